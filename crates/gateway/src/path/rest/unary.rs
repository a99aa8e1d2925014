//! The answer that is one message: waited for as a whole, so that its head says how the call
//! ended.
//!
//! Source: protocols, sections 7 and 8.

use bytes::Bytes;
use http::StatusCode;
use http::header::HeaderMap;
use tandem_contract::MethodKind;
use tandem_protocol::envelope::{EnvelopeError, EnvelopeReader};
use tandem_protocol::metadata;
use tandem_protocol::refusal::{Reason, Refusal};
use tandem_protocol::status::{self, Code, Status};
use tandem_protocol::{CallerProtocol, cardinality};
use tandem_transcode::{RestAnswer, response_to_rest};

use super::{Answering, JSON, broken, failed, finish, media_type, success_status};
use crate::body::Piece;
use crate::observe::Record;
use crate::path::grpc::{Media, final_status};
use crate::path::{Call, Unrecorded, deadline_exceeded, gave_up_for_time};
use crate::upstream::{Upstream, UpstreamAnswer};

pub(super) async fn answer(
    call: &Call,
    answering: Answering<'_>,
    answer: UpstreamAnswer,
    record: &mut Record,
) -> Result<Unrecorded, Refusal> {
    let Answering { place, reading, upstream, deadline, conditions } = answering;
    let plan = place.plan();
    let gathered = gather(answer, upstream).await?;
    let mut out = metadata::head_to_caller(&gathered.head, CallerProtocol::Rest);
    metadata::trailers_to_caller(&gathered.trailers, CallerProtocol::Rest, &mut out);
    call.sign(&mut out);
    let message = match gathered.outcome {
        Ok(message) => message,
        Err(said) if gave_up_for_time(&said, deadline) => return Err(deadline_exceeded()),
        Err(said) => return Ok(failed(call, out, said, plan, record)),
    };
    let json = &reading.options.json;
    let written = response_to_rest(&plan.plans, place.rule(), &message, json, &reading.limits);
    let (media, body) = match written.map_err(|fault| Refusal::of_fault(&fault))? {
        RestAnswer::Json(json) => (Some(JSON), Bytes::from(json)),
        RestAnswer::Raw { content_type, data } => {
            finish::put_coding_of_raw(&mut out, &gathered.head);
            (media_type(content_type, upstream)?, message.slice_ref(data))
        }
    };
    let status = success_status(&gathered.head);
    let answer = finish::whole(call, out, status, media, body, conditions);
    record.head(answer.status.as_u16(), Some(Code::Ok));
    Ok(answer)
}

/// A whole unary answer.
struct Gathered {
    head: HeaderMap,
    trailers: HeaderMap,
    /// The message's bytes, or the status with which the call failed.
    outcome: Result<Bytes, Status>,
}

async fn gather(answer: UpstreamAnswer, upstream: &Upstream) -> Result<Gathered, Refusal> {
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
                        ),
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
