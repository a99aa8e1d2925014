//! What a side sent back, read as far as `judge` needs it: status, details, trailers, messages.
//!
//! All sides are read by the same rules, those by which the path reads a service's answer: what is
//! no gRPC, ends without a status, or has another number of messages than its method, is a failure
//! with the code that a caller would have got.
//!
//! Not here: what the differences are (`tandem_judge`).

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tandem_contract::MethodKind;
use tandem_judge::pair::Answer;
use tandem_protocol::cardinality;
use tandem_protocol::coding::{Bounds, Coding};
use tandem_protocol::compression::{self, Agreed};
use tandem_protocol::envelope::EnvelopeReader;
use tandem_protocol::status::{self, Code};

use crate::path::{Media, final_status};

/// A body is read no further than this, of a request and of every side's answer (compare M-7).
pub(super) const BODY_BYTES_MOST: usize = 256 << 10;
/// What a compressed message may expand to.
const MESSAGE_BYTES_MOST: usize = 1 << 20;

/// An answer as it came.
#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) status: StatusCode,
    pub(super) head: HeaderMap,
    /// Envelopes.
    pub(super) body: Bytes,
    /// `None` where the head was all, or the end did not come.
    pub(super) trailers: Option<HeaderMap>,
    /// Its caller left before the end.
    pub(super) cut: bool,
}

/// An answer as it is compared.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) code: u32,
    details: Vec<u8>,
    trailers: Vec<(String, Vec<u8>)>,
    messages: Vec<Bytes>,
    cut: bool,
}

/// Messages that expand to more than is compared.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

/// The messages of a body; the code of the failure that it is where it cannot be read.
pub(super) fn messages(
    body: Bytes,
    coding: Option<Coding>,
    ratio_max: usize,
) -> Result<Result<Vec<Bytes>, Code>, TooLarge> {
    let mut reader = EnvelopeReader::new(MESSAGE_BYTES_MOST);
    reader.push(body);
    let mut messages = Vec::new();
    let mut bytes = 0;
    while let Some(envelope) = reader.next() {
        let Ok(envelope) = envelope else { return Ok(Err(Code::Internal)) };
        let bounds = Bounds { bytes_max: MESSAGE_BYTES_MOST - bytes, ratio_max };
        match compression::open(envelope, coding, bounds) {
            Ok(message) => {
                bytes += message.len();
                messages.push(message);
            }
            Err(refusal) if refusal.limit.is_some() => return Err(TooLarge),
            Err(_unreadable) => return Ok(Err(Code::Internal)),
        }
        if bytes >= MESSAGE_BYTES_MOST {
            return Err(TooLarge);
        }
    }
    Ok(reader.end().map(|()| messages).map_err(|_truncated| Code::Internal))
}

impl Read {
    /// Reads an answer to a call that offered the codings of `asked`.
    pub(super) fn of(
        recorded: &Recorded,
        asked: &HeaderMap,
        kind: MethodKind,
        ratio_max: usize,
    ) -> Result<Read, TooLarge> {
        let Recorded { status: http_status, head, body, trailers, cut } = recorded;
        let media = Media::of(head);
        let ending = trailers.as_ref().unwrap_or(head);
        let said = status::from_trailers(ending);
        let said = match (cut, final_status(said, *http_status, media)) {
            (true, _) => None,
            (false, said) => Some(said),
        };
        let mut code = said.as_ref().map_or(Code::Ok, |said| said.code);
        let mut head = head.clone();
        let coding = Agreed::by_caller(&mut asked.clone())
            .map_err(drop)
            .and_then(|agreed| agreed.answered(&mut head).map_err(drop));
        let read = match coding {
            Ok(coding) => messages(body.clone(), coding, ratio_max)?,
            Err(()) => Err(Code::Internal),
        };
        let messages = match read {
            Ok(messages) => messages,
            // What the caller was not there to see the end of may end within a message.
            Err(_) if *cut => Vec::new(),
            Err(unreadable) => {
                code = unreadable;
                Vec::new()
            }
        };
        if code == Code::Ok
            && !cut
            && cardinality::of_answer(kind, messages.len() as u64, true).is_err()
        {
            code = Code::Internal;
        }
        let details = said.as_ref().map(|said| said.details.to_vec()).unwrap_or_default();
        let trailers = ending
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
            .collect();
        Ok(Read { code: code as u32, details, trailers, messages, cut: *cut })
    }

    /// The value of a trailer.
    pub(super) fn trailer(&self, name: &str) -> Option<&[u8]> {
        let found = self.trailers.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| &**value)
    }

    /// Lends it to `judge`.
    pub(super) fn lend<T>(&self, to: impl FnOnce(Answer<'_>) -> T) -> T {
        let trailers: Vec<(&str, &[u8])> =
            self.trailers.iter().map(|(name, value)| (name.as_str(), &**value)).collect();
        let messages: Vec<&[u8]> = self.messages.iter().map(|message| &**message).collect();
        to(Answer {
            code: self.code,
            details: &self.details,
            trailers: &trailers,
            messages: &messages,
            cut: self.cut,
        })
    }
}
