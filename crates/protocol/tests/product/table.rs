//! The product: who calls × what kind of method × how the request is coded × how it goes; what is
//! sent for each, and what must come of it (protocols T-10).
//!
//! Two tests walk it: `product` of this crate feeds bytes to the readers and writers, without a
//! socket, and `product` of `tandem-gateway` calls through sockets. What must come of a case
//! stands here alone.

use std::io::Read as _;

use flate2::Compression;
use flate2::read::{GzEncoder, ZlibEncoder};
use tandem_contract::{MethodKind, fields};
use tandem_protocol::coding::Coding;
use tandem_protocol::stream::{Framing, Lines};

/// A method of each kind, each with a rule.
pub(crate) const CONTRACT: &str = r#"
syntax = "proto3"; package test.v1;
import "google/api/annotations.proto";
message Note { string text = 1; }
service Notes {
  rpc Get(Note) returns (Note) { option (google.api.http) = { post: "/v1/get" body: "*" }; }
  rpc Many(Note) returns (stream Note) { option (google.api.http) = { post: "/v1/many" body: "*" }; }
  rpc Collect(stream Note) returns (Note) { option (google.api.http) = { post: "/v1/collect" body: "*" }; }
  rpc Talk(stream Note) returns (stream Note) { option (google.api.http) = { post: "/v1/talk" body: "*" }; }
  rpc Secret(Note) returns (Note);
}
"#;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// With answers in this framing, and streams of requests in one like it.
    Rest(Framing),
    Grpc,
    GrpcJson,
}

const CALLERS: [Caller; 5] = [
    Caller::Rest(Framing::Array),
    Caller::Rest(Framing::Lines(Lines::XNdjson)),
    Caller::Rest(Framing::Events),
    Caller::Grpc,
    Caller::GrpcJson,
];

const KINDS: [MethodKind; 4] =
    [MethodKind::Unary, MethodKind::ServerStream, MethodKind::ClientStream, MethodKind::Bidi];

const CODINGS: [Option<Coding>; 4] =
    [None, Some(Coding::Gzip), Some(Coding::Deflate), Some(Coding::Zstd)];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Good,
    /// One head of the upstream says all.
    FailsAtOnce,
    /// A head, then trailers, no message between them.
    FailsBeforeMessages,
    /// Behind the messages: two, where the method answers many.
    FailsLate,
    /// The upstream resets the stream behind the messages.
    Breaks,
    /// Two messages come where the method takes one.
    AsksTwice,
    /// Two messages come back where the method answers one.
    AnswersTwice,
    /// The last thing that the caller sends is no message.
    Unreadable,
    /// The upstream says nothing.
    Deadline,
}

const OUTCOMES: [Outcome; 9] = [
    Outcome::Good,
    Outcome::FailsAtOnce,
    Outcome::FailsBeforeMessages,
    Outcome::FailsLate,
    Outcome::Breaks,
    Outcome::AsksTwice,
    Outcome::AnswersTwice,
    Outcome::Unreadable,
    Outcome::Deadline,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) caller: Caller,
    pub(crate) kind: MethodKind,
    pub(crate) coding: Option<Coding>,
    pub(crate) outcome: Outcome,
}

/// Every case that can be: where any number is fine nobody sends one too many.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for caller in CALLERS {
        for kind in KINDS {
            for coding in CODINGS {
                for outcome in OUTCOMES {
                    let many = match outcome {
                        Outcome::AsksTwice => kind.many_requests(),
                        Outcome::AnswersTwice => kind.many_answers(),
                        _ => false,
                    };
                    if !many {
                        cases.push(Case { caller, kind, coding, outcome });
                    }
                }
            }
        }
    }
    cases
}

/// What the upstream answers.
pub(crate) struct Answer {
    pub(crate) head: Vec<(&'static str, &'static str)>,
    pub(crate) pieces: Vec<Vec<u8>>,
    pub(crate) end: AnswerEnd,
}

pub(crate) enum AnswerEnd {
    Trailers(Vec<(&'static str, &'static str)>),
    InHead,
    Reset(u32),
    Never,
}

/// What must reach the upstream.
pub(crate) enum Reaches {
    /// Nothing at all.
    Nothing,
    /// Nothing that looks whole.
    NotWhole,
    /// One request with this body.
    Whole(Vec<u8>),
}

/// What must come back.
pub(crate) struct Back {
    pub(crate) http_status: u16,
    /// The code of the call, in trailers or in the head; REST has it in the body.
    pub(crate) grpc_status: Option<String>,
    /// Names in the head, but for those that the version of HTTP brings.
    pub(crate) head: Vec<String>,
    pub(crate) body: Vec<u8>,
    /// The beginning of the body is enough: messages that were on their way when it broke.
    pub(crate) in_part: bool,
    pub(crate) end: BackEnd,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BackEnd {
    Complete,
    /// The connection closes without the last chunk, or the stream is reset.
    Aborted,
    /// Trailers of these names.
    Trailers(Vec<String>),
}

/// Names in their order, each of its own.
pub(crate) fn sorted(names: impl IntoIterator<Item = impl Into<String>>) -> Vec<String> {
    let mut names: Vec<String> = names.into_iter().map(Into::into).collect();
    names.sort_unstable();
    names
}

/// Code 9, a message and one detail of a type that nobody knows.
const DETAILS: &str = "CAkSAm5vGgkKA3QvYhICaGk";
const FAILED: [(&str, &str); 3] =
    [("grpc-status", "9"), ("grpc-message", "no"), ("grpc-status-details-bin", DETAILS)];
const FAILED_JSON: &str = r#"{"code":9,"message":"no","details":[{"@type":"t/b","value":"aGk="}]}"#;

pub(crate) const BROKE_OFF: &str = "the service broke the call off";
pub(crate) const TOO_LATE: &str = "the deadline of the call has passed";
/// What a gRPC caller says of its patience; the route says the same of REST calls.
pub(crate) const PATIENCE: &str = "1000m";

impl Case {
    pub(crate) fn method(self) -> &'static str {
        match self.kind {
            MethodKind::Unary => "Get",
            MethodKind::ServerStream => "Many",
            MethodKind::ClientStream => "Collect",
            MethodKind::Bidi => "Talk",
        }
    }

    /// Headers of the request, those too that a stranger may not say.
    pub(crate) fn headers(self) -> Vec<(&'static str, &'static str)> {
        let mut headers = vec![
            ("x-mine", "y"),
            ("x-mine", "z"),
            ("x-mine-bin", "AAE="),
            ("user-agent", "own/1"),
            ("x-tandem-principal", "cm9vdA"),
            ("x-forwarded-for", "10.0.0.1"),
            ("grpc-status", "0"),
            ("connect-protocol-version", "1"),
        ];
        match self.caller {
            Caller::Rest(framing) => {
                let lines = matches!(framing, Framing::Lines(_)) && self.kind.many_requests();
                let media = if lines { "application/x-ndjson" } else { "application/json" };
                headers.push(("content-type", media));
                headers.push(("accept", self.accept(framing)));
                headers.extend(self.coding.map(|coding| ("content-encoding", coding.name())));
            }
            Caller::Grpc | Caller::GrpcJson => {
                let json = self.caller == Caller::GrpcJson;
                let media = if json { "application/grpc+json" } else { "application/grpc" };
                headers.push(("content-type", media));
                if let Some(coding) = self.coding {
                    headers.push(("grpc-encoding", coding.name()));
                    headers.push(("grpc-accept-encoding", "identity,gzip"));
                }
                if self.outcome == Outcome::Deadline {
                    headers.push(("grpc-timeout", PATIENCE));
                }
            }
        }
        headers
    }

    fn accept(self, framing: Framing) -> &'static str {
        match framing {
            Framing::Lines(_) if self.kind.many_answers() => "application/x-ndjson",
            Framing::Events if self.kind.many_answers() => "text/event-stream",
            Framing::Array | Framing::Lines(_) | Framing::Events => "application/json",
        }
    }

    fn asked_texts(self) -> Vec<String> {
        let two = self.kind.many_requests() || self.outcome == Outcome::AsksTwice;
        (0..if two { 2 } else { 1 }).map(|number| format!("asked {number}")).collect()
    }

    /// The body of the request: a piece a message where the protocol frames messages.
    pub(crate) fn asked(self) -> Vec<Vec<u8>> {
        let texts = self.asked_texts();
        let mut values: Vec<String> = texts.iter().map(|text| json(text)).collect();
        // A flag that is none, and a field.
        let no_frame = (self.outcome == Outcome::Unreadable).then(|| vec![9, 0, 0, 0, 0]);
        if self.outcome == Outcome::Unreadable {
            let rest = self.kind.many_requests();
            values.truncate(if rest { values.len() } else { 0 });
            values.push(r#"{"no":1}"#.to_owned());
        }
        match self.caller {
            Caller::Grpc => {
                let frames = texts.iter().map(|text| frame(self.coding, &note(text)));
                frames.chain(no_frame).collect()
            }
            Caller::GrpcJson => {
                let frames = texts.iter().map(|text| frame(self.coding, json(text).as_bytes()));
                frames.chain(no_frame).collect()
            }
            Caller::Rest(framing) => {
                let body = match framing {
                    _ if !self.kind.many_requests() => values.concat(),
                    Framing::Array => format!("[{}]", values.join(",")),
                    Framing::Lines(_) => values.join("\n") + "\n",
                    Framing::Events => values.join(" "),
                };
                vec![coded(self.coding, body.as_bytes())]
            }
        }
    }

    pub(crate) fn reaches(self) -> Reaches {
        match (self.outcome, self.caller) {
            (Outcome::AsksTwice, Caller::Rest(_)) => Reaches::Nothing,
            (Outcome::Unreadable, Caller::Rest(_)) if !self.kind.many_requests() => {
                Reaches::Nothing
            }
            (Outcome::AsksTwice | Outcome::Unreadable, _) => Reaches::NotWhole,
            // Messages pass as they are, where nobody has to write them anew.
            (_, Caller::Grpc) => Reaches::Whole(self.asked().concat()),
            (_, Caller::Rest(_) | Caller::GrpcJson) => {
                let texts = self.asked_texts();
                Reaches::Whole(texts.iter().flat_map(|text| frame(None, &note(text))).collect())
            }
        }
    }

    /// Names of the metadata that must reach the upstream, beside what the gateway says itself.
    pub(crate) fn reaching_names(self) -> Vec<&'static str> {
        let mut names = vec!["user-agent", "x-forwarded-for", "x-mine", "x-mine-bin"];
        match self.caller {
            Caller::Rest(_) => names.push("accept"),
            Caller::Grpc if self.coding.is_some() => {
                names.extend(["grpc-encoding", "grpc-accept-encoding"]);
            }
            Caller::Grpc | Caller::GrpcJson => {}
        }
        names
    }

    fn answered_texts(self) -> Vec<String> {
        let two = self.kind.many_answers() || self.outcome == Outcome::AnswersTwice;
        (0..if two { 2 } else { 1 }).map(|number| format!("answer {number}")).collect()
    }

    /// The coding of the answer: that of the request, which the caller takes by sending it.
    fn answer_coding(self) -> Option<Coding> {
        self.coding.filter(|_| self.caller == Caller::Grpc)
    }

    pub(crate) fn answer(self) -> Answer {
        let mut head = vec![("content-type", "application/grpc")];
        let failed: Vec<_> = FAILED.into_iter().chain([("x-tail", "2")]).collect();
        if self.outcome == Outcome::FailsAtOnce {
            head.extend(failed);
            return Answer { head, pieces: Vec::new(), end: AnswerEnd::InHead };
        }
        head.push(("x-head", "1"));
        head.extend(self.answer_coding().map(|coding| ("grpc-encoding", coding.name())));
        let texts = self.answered_texts();
        let pieces = texts.iter().map(|text| frame(self.answer_coding(), &note(text))).collect();
        let good = vec![("grpc-status", "0"), ("x-tail", "2")];
        let (pieces, end) = match self.outcome {
            Outcome::FailsBeforeMessages => (Vec::new(), AnswerEnd::Trailers(failed)),
            Outcome::FailsLate => (pieces, AnswerEnd::Trailers(failed)),
            Outcome::Breaks => (pieces, AnswerEnd::Reset(0x2)),
            Outcome::Deadline => (Vec::new(), AnswerEnd::Never),
            Outcome::Good
            | Outcome::FailsAtOnce
            | Outcome::AsksTwice
            | Outcome::Unreadable
            | Outcome::AnswersTwice => (pieces, AnswerEnd::Trailers(good)),
        };
        Answer { head, pieces, end }
    }

    pub(crate) fn comes_back(self) -> Back {
        match self.caller {
            Caller::Rest(framing) => self.comes_back_by_rest(framing),
            Caller::Grpc | Caller::GrpcJson => self.comes_back_by_grpc(),
        }
    }

    fn comes_back_by_grpc(self) -> Back {
        let texts = self.answered_texts();
        let body: Vec<u8> = match self.caller {
            Caller::GrpcJson => {
                texts.iter().flat_map(|text| frame(None, json(text).as_bytes())).collect()
            }
            Caller::Grpc | Caller::Rest(_) => self.answer().pieces.concat(),
        };
        let common = ["content-type", "server", "x-request-id"].into_iter();
        let coding = self.answer_coding().map(|_| "grpc-encoding");
        let head: Vec<_> = common.clone().chain(coding).chain(["x-head"]).collect();
        let failed = FAILED.map(|(name, _)| name).into_iter().chain(["x-tail"]);
        let ours = ["grpc-status", "grpc-message"];
        let trailers = |names: &[&'static str]| BackEnd::Trailers(sorted(names.iter().copied()));
        let (status, head, body, end) = match self.outcome {
            Outcome::Good => ("0", head, body, trailers(&["grpc-status", "x-tail"])),
            Outcome::FailsAtOnce => {
                ("9", common.chain(failed).collect(), Vec::new(), BackEnd::Complete)
            }
            Outcome::FailsBeforeMessages => {
                ("9", head.into_iter().chain(failed).collect(), Vec::new(), BackEnd::Complete)
            }
            Outcome::FailsLate => ("9", head, body, BackEnd::Trailers(sorted(failed))),
            Outcome::Breaks => ("13", head, body, trailers(&ours)),
            Outcome::AnswersTwice => ("12", head, body, trailers(&ours)),
            Outcome::AsksTwice => {
                ("12", common.chain(ours).collect(), Vec::new(), BackEnd::Complete)
            }
            Outcome::Unreadable => {
                ("3", common.chain(ours).collect(), Vec::new(), BackEnd::Complete)
            }
            Outcome::Deadline => ("4", common.chain(ours).collect(), Vec::new(), BackEnd::Complete),
        };
        Back {
            http_status: 200,
            grpc_status: Some(status.to_owned()),
            head: sorted(head),
            body,
            in_part: self.outcome == Outcome::AnswersTwice,
            end,
        }
    }

    fn comes_back_by_rest(self, framing: Framing) -> Back {
        let many = self.kind.many_answers();
        let values: Vec<String> = self.answered_texts().iter().map(|text| json(text)).collect();
        let refused = |code: u8, message: &str| {
            format!("{{\"code\":{code},\"message\":\"{message}\",\"details\":[]}}")
        };
        let unbound = |what: &str| {
            format!(
                r#"{{"code":3,"message":"{what}","details":[{{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{{"description":"{what}"}}]}}]}}"#
            )
        };
        let (http_status, body, end) = match self.outcome {
            Outcome::Good if many => (200, framed(framing, &values, None), BackEnd::Complete),
            Outcome::Good => (200, values.concat(), BackEnd::Complete),
            Outcome::FailsLate | Outcome::Breaks if many => {
                let broke = refused(13, BROKE_OFF);
                let late = self.outcome == Outcome::FailsLate;
                let status = if late { FAILED_JSON } else { &broke };
                let end = match framing {
                    Framing::Events => BackEnd::Complete,
                    Framing::Array | Framing::Lines(_) => BackEnd::Aborted,
                };
                (200, framed(framing, &values, Some(status)), end)
            }
            Outcome::FailsAtOnce | Outcome::FailsBeforeMessages | Outcome::FailsLate => {
                (400, FAILED_JSON.to_owned(), BackEnd::Complete)
            }
            Outcome::Breaks => (502, refused(13, BROKE_OFF), BackEnd::Complete),
            Outcome::AnswersTwice => {
                let message = "the method answers one message, more came";
                (501, refused(12, message), BackEnd::Complete)
            }
            Outcome::AsksTwice => {
                let body = unbound("text stands behind the value (at byte 18)");
                (400, body, BackEnd::Complete)
            }
            Outcome::Unreadable => {
                let element = if self.kind.many_requests() { "element 2: " } else { "" };
                let body = unbound(&format!("{element}unknown field `no` (at byte 6)"));
                (400, body, BackEnd::Complete)
            }
            Outcome::Deadline => (504, refused(4, TOO_LATE), BackEnd::Complete),
        };
        let ours = http_status >= 400 && self.outcome.is_ours();
        let mut head = vec!["content-type", "server", "x-request-id"];
        if !ours {
            head.push("vary");
            if self.outcome != Outcome::FailsAtOnce {
                head.push("x-head");
            }
            // Behind a stream there is no place for what comes last.
            if !many {
                head.push("trailer-x-tail");
            }
        }
        let (head, body) = (sorted(head), body.into());
        Back { http_status, grpc_status: None, head, body, in_part: false, end }
    }
}

impl Outcome {
    /// Whether the gateway says it, where nothing was said before.
    fn is_ours(self) -> bool {
        match self {
            Outcome::Breaks
            | Outcome::AsksTwice
            | Outcome::AnswersTwice
            | Outcome::Unreadable
            | Outcome::Deadline => true,
            Outcome::Good
            | Outcome::FailsAtOnce
            | Outcome::FailsBeforeMessages
            | Outcome::FailsLate => false,
        }
    }
}

/// The bytes of a whole stream, or of one that failed with this status.
fn framed(framing: Framing, values: &[String], failed: Option<&str>) -> String {
    let mut out = String::new();
    for (value, number) in values.iter().zip(1..) {
        match framing {
            Framing::Array => out += if number == 1 { "[" } else { "," },
            Framing::Lines(_) => {}
            Framing::Events => out += &format!("id: {number}\ndata: "),
        }
        out += value;
        match framing {
            Framing::Array => {}
            Framing::Lines(_) => out += "\n",
            Framing::Events => out += "\n\n",
        }
    }
    out += &match (framing, failed) {
        (Framing::Array, None) => "]".to_owned(),
        (Framing::Array, Some(status)) => format!(",{{\"error\":{status}}}"),
        (Framing::Lines(_), None) => String::new(),
        (Framing::Lines(_), Some(status)) => format!("{{\"error\":{status}}}\n"),
        (Framing::Events, None) => "event: end\ndata: {}\n\n".to_owned(),
        (Framing::Events, Some(status)) => format!("event: error\ndata: {status}\n\n"),
    };
    out
}

fn json(text: &str) -> String {
    format!("{{\"text\":\"{text}\"}}")
}

fn note(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    fields::put_bytes(1, text.as_bytes(), &mut out);
    out
}

/// A message behind its head.
fn frame(coding: Option<Coding>, message: &[u8]) -> Vec<u8> {
    let payload = coded(coding, message);
    let length = u32::try_from(payload.len()).expect("tests are smaller");
    [&[u8::from(coding.is_some())], &length.to_be_bytes()[..], &payload].concat()
}

fn coded(coding: Option<Coding>, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match coding {
        None => return data.to_vec(),
        Some(Coding::Gzip) => GzEncoder::new(data, Compression::best()).read_to_end(&mut out),
        Some(Coding::Deflate) => ZlibEncoder::new(data, Compression::best()).read_to_end(&mut out),
        Some(Coding::Zstd) => return zstd::bulk::compress(data, 3).expect("it fits into memory"),
    }
    .expect("it fits into memory");
    out
}
