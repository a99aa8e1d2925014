//! How a stream of messages looks to a REST caller: a JSON array, one message a line, or
//! server-sent events.
//!
//! [`Framing::accepted`] reads `Accept`, [`Framer`] puts the bytes around messages that are JSON
//! already. A failed stream never looks complete: [`Framer::failure`] says whether the transfer
//! must be aborted behind the record (protocols S-3).
//!
//! Source: protocols S-1 to S-7; HTML, "Server-sent events", for events.
//!
//! Not here: when bytes are sent and how a transfer is aborted (`tandem-gateway`); how messages
//! come in (`values`).

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};

use crate::accept;
use crate::refusal::{Reason, Refusal};

/// What stands around the messages of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// `[a,b]`, `application/json`.
    Array,
    /// One message a line, under the name that the caller gave the type.
    Lines(Lines),
    /// `text/event-stream`.
    Events,
}

/// The names of one message a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    XNdjson,
    Jsonl,
    Ndjson,
}

/// In the order that decides between equal weights (S-1).
const OFFERED: [Framing; 5] = [
    Framing::Array,
    Framing::Lines(Lines::XNdjson),
    Framing::Lines(Lines::Jsonl),
    Framing::Lines(Lines::Ndjson),
    Framing::Events,
];

impl Framing {
    /// The framing that a caller with these headers likes best; `default` where it has no wish,
    /// and before all others of the same weight.
    ///
    /// # Errors
    /// 406 when `Accept` names types and none of ours is among them.
    pub fn accepted(headers: &HeaderMap, default: Framing) -> Result<Framing, Refusal> {
        let ranges = || accept::elements(headers, &header::ACCEPT);
        if ranges().next().is_none() {
            return Ok(default);
        }
        let mut best = (0, None);
        for framing in [default].into_iter().chain(OFFERED) {
            let weight = accept::weight_of_media(framing.media(), ranges());
            if weight > best.0 {
                best = (weight, Some(framing));
            }
        }
        best.1.ok_or_else(|| {
            let message =
                "this method answers application/json, application/x-ndjson or text/event-stream";
            Refusal::new(Reason::NotAcceptable, message)
        })
    }

    fn media(self) -> &'static str {
        match self {
            Framing::Array => "application/json",
            Framing::Lines(Lines::XNdjson) => "application/x-ndjson",
            Framing::Lines(Lines::Jsonl) => "application/jsonl",
            Framing::Lines(Lines::Ndjson) => "application/ndjson",
            Framing::Events => "text/event-stream",
        }
    }

    /// The value of `Content-Type`.
    pub fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(self.media())
    }
}

/// What stands around each message of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Envelope {
    Bare,
    /// `{"result":…}`, so that `{"error":…}` is unmistakable (S-6).
    ResultError,
}

/// What follows the record of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// The transfer ends as one that is complete: the record is unmistakable.
    End,
    /// The transfer is aborted.
    Abort,
}

/// Puts the bytes of a framing around messages.
#[derive(Debug)]
pub struct Framer {
    framing: Framing,
    envelope: Envelope,
    messages: u64,
}

impl Framer {
    /// `envelope` matters to lines only.
    pub fn new(framing: Framing, envelope: Envelope) -> Framer {
        Framer { framing, envelope, messages: 0 }
    }

    /// Frames the next message, which is JSON without line breaks.
    pub fn message(&mut self, json: &[u8]) -> Bytes {
        self.messages += 1;
        match self.framing {
            Framing::Array if self.messages == 1 => joined(&[b"[", json]),
            Framing::Array => joined(&[b",", json]),
            Framing::Lines(_) => match self.envelope {
                Envelope::Bare => joined(&[json, b"\n"]),
                Envelope::ResultError => joined(&[b"{\"result\":", json, b"}\n"]),
            },
            Framing::Events => {
                let id = self.messages.to_string();
                joined(&[b"id: ", id.as_bytes(), b"\ndata: ", json, b"\n\n"])
            }
        }
    }

    /// The end of a stream that succeeded (S-4, S-5); may be empty.
    pub fn success(&self) -> Bytes {
        Bytes::from_static(match self.framing {
            Framing::Array if self.messages == 0 => b"[]",
            Framing::Array => b"]",
            Framing::Lines(_) => b"",
            Framing::Events => b"event: end\ndata: {}\n\n",
        })
    }

    /// The record of a failure whose status is this JSON, and what must follow it (S-3).
    pub fn failure(&self, status: &[u8]) -> (Bytes, After) {
        match self.framing {
            Framing::Array => {
                let before: &[u8] = if self.messages == 0 { b"[" } else { b"," };
                (joined(&[before, b"{\"error\":", status, b"}"]), After::Abort)
            }
            Framing::Lines(_) => {
                let after = match self.envelope {
                    Envelope::Bare => After::Abort,
                    Envelope::ResultError => After::End,
                };
                (joined(&[b"{\"error\":", status, b"}\n"]), after)
            }
            Framing::Events => (joined(&[b"event: error\ndata: ", status, b"\n\n"]), After::End),
        }
    }

    /// What is said in silence, so that nobody between takes the stream for dead (S-7).
    pub fn silence(&self) -> Option<Bytes> {
        match self.framing {
            Framing::Array | Framing::Lines(_) => None,
            Framing::Events => Some(Bytes::from_static(b":\n\n")),
        }
    }
}

fn joined(parts: &[&[u8]]) -> Bytes {
    parts.concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_s_1_accept_chooses_the_framing() {
        use Framing::{Array, Events, Lines};
        let x_ndjson = Lines(super::Lines::XNdjson);
        for (accept, framing) in [
            (None, Some(Array)),
            (Some(""), Some(Array)),
            (Some("*/*"), Some(Array)),
            (Some("application/*"), Some(Array)),
            (Some("application/json"), Some(Array)),
            (Some("application/x-ndjson"), Some(x_ndjson)),
            (Some("application/jsonl"), Some(Lines(super::Lines::Jsonl))),
            (Some("application/ndjson"), Some(Lines(super::Lines::Ndjson))),
            (Some("text/event-stream"), Some(Events)),
            (Some("text/*"), Some(Events)),
            (Some("Text/Event-Stream; charset=utf-8"), Some(Events)),
            // Weights decide, then the order of the rule, never that of the header.
            (Some("text/event-stream, application/x-ndjson, application/json"), Some(Array)),
            (Some("text/event-stream, application/x-ndjson"), Some(x_ndjson)),
            (Some("application/json;q=0.8, text/event-stream;q=0.9"), Some(Events)),
            (Some("application/json;q=0.999, text/event-stream;q=1"), Some(Events)),
            (Some("application/json; Q=0.5, application/ndjson;q=0.5"), Some(Array)),
            (Some("*/*;q=0.1, text/event-stream"), Some(Events)),
            // The range that says most counts, whatever stands beside it.
            (Some("*/*, application/json;q=0"), Some(x_ndjson)),
            (Some("application/*;q=0, */*;q=0.5"), Some(Events)),
            (Some("application/json;q=0"), None),
            (Some("application/json;q=0.000"), None),
            (Some("application/json;q=2"), None),
            (Some("application/json;q=1.001"), None),
            (Some("application/json;q=0.0001"), None),
            (Some("text/html, application/grpc"), None),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            }
            match (Framing::accepted(&headers, Array), framing) {
                (Ok(found), Some(framing)) => assert_eq!(found, framing, "{accept:?}"),
                (Err(refusal), None) => assert_eq!(refusal.reason, Reason::NotAcceptable),
                (found, _) => panic!("{accept:?}: {found:?}"),
            }
        }
        let mut two = HeaderMap::new();
        two.append(header::ACCEPT, HeaderValue::from_static("text/html"));
        two.append(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
        assert_eq!(Framing::accepted(&two, Array).unwrap(), Events);
        // The route's default comes first among equals, and only among them.
        for (accept, framing) in [
            (None, Events),
            (Some("*/*"), Events),
            (Some("application/json, text/event-stream"), Events),
            (Some("application/json"), Array),
            (Some("*/*;q=0.5, application/json"), Array),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            }
            assert_eq!(Framing::accepted(&headers, Events).unwrap(), framing, "{accept:?}");
        }
    }

    /// The bytes of a whole stream.
    fn framed(
        framing: Framing,
        envelope: Envelope,
        messages: &[&str],
        failure: Option<&str>,
    ) -> (String, After) {
        let mut framer = Framer::new(framing, envelope);
        let mut out = Vec::new();
        for message in messages {
            out.extend_from_slice(&framer.message(message.as_bytes()));
        }
        let (last, after) = match failure {
            Some(status) => framer.failure(status.as_bytes()),
            None => (framer.success(), After::End),
        };
        out.extend_from_slice(&last);
        (String::from_utf8(out).unwrap(), after)
    }

    #[test]
    fn protocols_s_3_s_4_s_5_each_end_of_each_framing() {
        let lines = Framing::Lines(Lines::Jsonl);
        let two = ["{}", "{\"a\":1}"];
        for (framing, messages, failure, text, after) in [
            (Framing::Array, &two[..], None, "[{},{\"a\":1}]", After::End),
            (Framing::Array, &[], None, "[]", After::End),
            (Framing::Array, &two, Some("S"), "[{},{\"a\":1},{\"error\":S}", After::Abort),
            (Framing::Array, &[], Some("S"), "[{\"error\":S}", After::Abort),
            (lines, &two, None, "{}\n{\"a\":1}\n", After::End),
            (lines, &[], None, "", After::End),
            (lines, &two, Some("S"), "{}\n{\"a\":1}\n{\"error\":S}\n", After::Abort),
            (
                Framing::Events,
                &two,
                None,
                "id: 1\ndata: {}\n\nid: 2\ndata: {\"a\":1}\n\nevent: end\ndata: {}\n\n",
                After::End,
            ),
            (Framing::Events, &[], None, "event: end\ndata: {}\n\n", After::End),
            (
                Framing::Events,
                &two[..1],
                Some("S"),
                "id: 1\ndata: {}\n\nevent: error\ndata: S\n\n",
                After::End,
            ),
        ] {
            let expected = (text.to_owned(), after);
            assert_eq!(framed(framing, Envelope::Bare, messages, failure), expected, "{framing:?}");
        }
    }

    #[test]
    fn protocols_s_6_enveloped_lines_end_cleanly_either_way() {
        let lines = Framing::Lines(Lines::XNdjson);
        for (framing, messages, failure, text, after) in [
            (lines, &["{}"][..], None, "{\"result\":{}}\n", After::End),
            (lines, &[], None, "", After::End),
            (lines, &["1"], Some("S"), "{\"result\":1}\n{\"error\":S}\n", After::End),
            (Framing::Array, &["1"], Some("S"), "[1,{\"error\":S}", After::Abort),
        ] {
            let found = framed(framing, Envelope::ResultError, messages, failure);
            assert_eq!(found, (text.to_owned(), after), "{framing:?}");
        }
    }
}
