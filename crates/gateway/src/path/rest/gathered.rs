//! A unary answer of a service, read to its end: one message, or the status with which it failed.
//!
//! Source: protocols, sections 7 and 8; gRPC over HTTP/2, "Responses".
//!
//! Not here: how a caller takes it (`unary`).

use bytes::Bytes;
use http::StatusCode;
use http::header::HeaderMap;
use tandem_contract::MethodKind;
use tandem_protocol::cardinality;
use tandem_protocol::envelope::{EnvelopeError, EnvelopeReader};
use tandem_protocol::refusal::{Limit, Reason, Refusal};
use tandem_protocol::status::{self, Code, Status};

use super::broken;
use crate::body::Piece;
use crate::path::grpc::{Media, final_status};
use crate::upstream::{Upstream, UpstreamAnswer};

/// A whole unary answer.
pub(in crate::path) struct Gathered {
    pub(in crate::path) head: HeaderMap,
    pub(in crate::path) trailers: HeaderMap,
    /// The message's bytes, or the status with which the call failed.
    pub(in crate::path) outcome: Result<Bytes, Status>,
}

pub(in crate::path) async fn gather(
    answer: UpstreamAnswer,
    upstream: &Upstream,
) -> Result<Gathered, Refusal> {
    let UpstreamAnswer { status: http_status, headers: head, mut body } = answer;
    let unusable = |log: String| {
        Refusal::new(Reason::UpstreamUnusable, "the answer of the service cannot be read")
            .logged(format!("{}: {log}", upstream.name))
    };
    let limit = upstream.message_bytes_max as usize;
    let mut reader = EnvelopeReader::new(limit);
    let mut messages: Vec<Bytes> = Vec::new();
    let mut trailers = HeaderMap::new();
    let media = Media::of(&head);
    while let Some(piece) = body.piece().await {
        match piece {
            Ok(Piece::Data(data)) if media == Media::Grpc && http_status == StatusCode::OK => {
                reader.push(data);
                while let Some(message) = reader.next() {
                    let message = message.map_err(|error| match error {
                        EnvelopeError::TooLarge { .. } => Refusal::new(
                            Reason::UpstreamTooLarge,
                            format!("the answer has more than {limit} bytes"),
                        )
                        .over(Limit::UpstreamMessage),
                        error => unusable(error.to_string()),
                    })?;
                    if message.compressed {
                        return Err(unusable("compressed without being asked".into()));
                    }
                    messages.push(message.payload);
                    cardinality::of_answer(MethodKind::Unary, messages.len() as u64, false)
                        .map_err(|fault| Refusal::new(Reason::Cardinality, fault.to_string()))?;
                }
            }
            Ok(Piece::Data(_)) => {} // the page of some other server: not ours to read
            Ok(Piece::Trailers(last)) => trailers = last,
            Err(error) => return Err(broken(&error, upstream)),
        }
    }
    reader.end().map_err(|error| unusable(error.to_string()))?;
    // A status in the head counts only when nothing followed (E-9).
    let said = match status::from_trailers(&trailers) {
        Some(said) => Some(said),
        None if messages.is_empty() && trailers.is_empty() => status::from_trailers(&head),
        None => None,
    };
    let said = final_status(said, http_status, media);
    let (head, trailers) = if trailers.is_empty() && messages.is_empty() {
        // Trailers-only: what stands in the only head is trailing metadata.
        (HeaderMap::new(), head)
    } else {
        (head, trailers)
    };
    if said.code != Code::Ok {
        return Ok(Gathered { head, trailers, outcome: Err(said) });
    }
    cardinality::of_answer(MethodKind::Unary, messages.len() as u64, true)
        .map_err(|fault| Refusal::new(Reason::Cardinality, fault.to_string()))?;
    let message = messages.pop().unwrap_or_default();
    Ok(Gathered { head, trailers, outcome: Ok(message) })
}
