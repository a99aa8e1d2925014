//! What comes back of an attempt, piece by piece, and what it says about the endpoint.
//!
//! An answer tells its lease whether it was good for the endpoint: a single answer at its end, a
//! stream at its first message, for it may take hours, and once more where it breaks off. What
//! it passes on it passes on unread.
//!
//! Not here: whether the call is sent again (`send`, `retry`).

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use http::{HeaderMap, StatusCode};
use tandem_protocol::status::{self, Code};
use tokio::time::Instant;

use super::UpstreamAnswer;
use super::endpoint::Lease;
use super::retry::Pushback;
use crate::body::{Body, BodyError, Companion, Piece};

/// An answer of which the head is there.
pub(super) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    source: Source,
}

/// The rest of an answer, and what lives as long as it.
struct Source {
    stream: RecvStream,
    pump: Option<Companion>,
    lease: Lease,
    data_ended: bool,
    grpc_ok: bool,
    one_answer: bool,
}

/// What followed the head: a piece, the end, or a fault.
pub(super) type First = Option<Result<Piece, BodyError>>;

impl Answer {
    pub(super) fn of(
        response: http::Response<RecvStream>,
        pump: Option<Companion>,
        lease: Lease,
        one_answer: bool,
    ) -> Answer {
        let (head, stream) = response.into_parts();
        let source = Source {
            pump,
            lease,
            data_ended: false,
            grpc_ok: head.status == StatusCode::OK,
            one_answer,
            stream,
        };
        if source.stream.is_end_stream() {
            let code = code_in(Some(&head.headers), head.status);
            source.lease.judged(!is_endpoints_fault(code));
        }
        Answer { status: head.status, headers: head.headers, source }
    }

    pub(super) async fn first_piece(&mut self) -> First {
        loop {
            match poll_fn(|cx| self.source.poll_piece(cx)).await {
                Some(Ok(Piece::Data(data))) if data.is_empty() => {}
                first => return first,
            }
        }
    }

    /// The answer for the caller, `first` being what was taken off it.
    pub(super) fn give(self, first: Option<First>) -> UpstreamAnswer {
        let Answer { status, headers, mut source } = self;
        let body = match first {
            Some(None) => Body::empty(),
            Some(Some(Ok(Piece::Trailers(trailers)))) => {
                Body::whole_with_trailers(Bytes::new(), trailers)
            }
            Some(Some(piece)) => {
                let mut first = Some(piece);
                Body::stream(move |cx: &mut Context<'_>| match first.take() {
                    Some(piece) => Poll::Ready(Some(piece)),
                    None => source.poll_piece(cx),
                })
            }
            None if source.stream.is_end_stream() => Body::empty(),
            None => Body::stream(move |cx: &mut Context<'_>| source.poll_piece(cx)),
        };
        UpstreamAnswer { status, headers, body }
    }
}

impl Source {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, BodyError>>> {
        poll_pump(&mut self.pump, cx);
        if !self.data_ended {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(data)) => {
                    self.lease.heard(Instant::now());
                    if !self.one_answer {
                        self.lease.judged(self.grpc_ok);
                    }
                    let released = self.stream.flow_control().release_capacity(data.len());
                    return Poll::Ready(Some(match released {
                        Ok(()) => Ok(Piece::Data(data)),
                        Err(error) => Err(self.broken(&error)),
                    }));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(self.broken(&error)))),
                None => self.data_ended = true,
            }
        }
        Poll::Ready(match ready!(self.stream.poll_trailers(cx)) {
            Ok(Some(trailers)) => {
                let status = if self.grpc_ok { StatusCode::OK } else { StatusCode::BAD_GATEWAY };
                self.lease.judged(!is_endpoints_fault(code_in(Some(&trailers), status)));
                Some(Ok(Piece::Trailers(trailers)))
            }
            Ok(None) => None,
            Err(error) => Some(Err(self.broken(&error))),
        })
    }

    fn broken(&self, error: &h2::Error) -> BodyError {
        self.lease.judged(!is_endpoints_fault(code_of(error)));
        match error.reason() {
            Some(reason) if error.is_reset() => BodyError::Reset(reason.into()),
            _ => BodyError::ConnectionLost(error.to_string()),
        }
    }
}

/// The code with which an answer failed that has no message, and what it says about another
/// attempt; `None` for an answer that has one, or that ended well.
pub(super) fn failure(answer: &Answer, first: &First) -> Option<(Code, Pushback)> {
    let (code, trailers) = match first {
        Some(Ok(Piece::Data(_))) => return None,
        Some(Ok(Piece::Trailers(trailers))) => {
            (code_in(Some(trailers), answer.status), Some(trailers))
        }
        Some(Err(BodyError::Reset(code))) => (status::from_reset(*code), None),
        Some(Err(_)) => (Code::Unavailable, None),
        None => (code_in(Some(&answer.headers), answer.status), Some(&answer.headers)),
    };
    let pushback = trailers.map_or(Pushback::Nothing, Pushback::in_trailers);
    (code != Code::Ok).then_some((code, pushback))
}

/// The code of an answer without a message (protocols E-9).
fn code_in(trailers: Option<&HeaderMap>, status: StatusCode) -> Code {
    match trailers.and_then(status::from_trailers) {
        Some(said) if said.code == Code::Ok && status != StatusCode::OK => {
            status::from_http(status).code
        }
        Some(said) => said.code,
        None if status != StatusCode::OK => status::from_http(status).code,
        None => Code::Internal,
    }
}

pub(super) fn code_of(error: &h2::Error) -> Code {
    match error.reason() {
        Some(reason) if error.is_reset() => status::from_reset(reason.into()),
        _ => Code::Unavailable,
    }
}

/// Codes that are held against an endpoint: those that a caller's input does not bring about.
/// UNKNOWN and INTERNAL are what many servers say to a request they stumble over, and a stranger
/// with such a request must not take endpoints out.
pub(super) fn is_endpoints_fault(code: Code) -> bool {
    code == Code::Unavailable
}

pub(super) fn poll_pump(pump: &mut Option<Companion>, cx: &mut Context<'_>) {
    if let Some(running) = pump
        && running.as_mut().poll(cx).is_ready()
    {
        *pump = None;
    }
}
