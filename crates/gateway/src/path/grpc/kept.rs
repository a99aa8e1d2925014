//! Calls of gRPC whose method keeps answers: the request as one message, and the answer of one.
//!
//! Not here: what is kept and who waits (`path::cached`), calls that pass (`grpc`).

use bytes::Bytes;
use http::StatusCode;
use http::header::{self, HeaderMap, HeaderValue};
use tandem_protocol::CallerProtocol;
use tandem_protocol::coding::{Bounds, Coding};
use tandem_protocol::compression;
use tandem_protocol::detect::Codec;
use tandem_protocol::envelope::{self, EnvelopeReader};
use tandem_protocol::metadata;
use tandem_protocol::refusal::{Reason, Refusal};
use tandem_protocol::status::{Code, Status};
use tandem_transcode::append_json_from_wire;

use super::json::Messages;
use super::{media_type, trailers_only};
use crate::body::{Body, Piece};
use crate::cache::Failure;
use crate::observe::{Record, Told};
use crate::path::cached::Answered;
use crate::path::{Call, Unrecorded};
use crate::snapshot::MethodPlan;

/// The one message of a request, decoded; `body` has been judged piece by piece.
pub(super) async fn message(
    mut body: Body,
    coding: Option<Coding>,
    bounds: Bounds,
    told: &Told,
) -> Result<Bytes, Refusal> {
    let mut reader = EnvelopeReader::new(bounds.bytes_max);
    let mut message = Bytes::new();
    while let Some(piece) = body.piece().await {
        match piece {
            Ok(Piece::Data(data)) => reader.push(data),
            Ok(Piece::Trailers(_)) => {}
            Err(error) => {
                // What the gate found says more than that it broke off.
                let fault = told.fault.borrow_mut().take();
                return Err(fault.unwrap_or_else(|| {
                    Refusal::new(Reason::Malformed, "the body broke off")
                        .logged(format!("the request body: {error}"))
                }));
            }
        }
        while let Some(envelope) = reader.next() {
            let envelope = envelope.map_err(Refusal::of_envelope)?;
            message = compression::open(envelope, coding, bounds)?;
        }
    }
    Ok(message)
}

/// A kept answer as this caller takes it.
pub(super) fn answer(
    call: &Call,
    plan: &MethodPlan,
    codec: Codec,
    answered: &Answered,
    record: &mut Record,
) -> Result<Unrecorded, Refusal> {
    let kept = &answered.kept;
    let mut headers = metadata::head_to_caller(&kept.head(), CallerProtocol::Grpc);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type(codec)));
    answered.put_age(&mut headers);
    call.sign(&mut headers);
    let framed = match codec {
        Codec::Proto => envelope::frame(kept.message()),
        Codec::Json => {
            let Messages { plans, message, options, limits } =
                Messages::of(call, plan, plan.output);
            let mut out = Vec::new();
            envelope::begin(&mut out);
            append_json_from_wire(&plans, message, kept.message(), &options, &limits, &mut out)
                .map_err(|fault| Refusal::of_fault(&fault))?;
            envelope::seal(out)
        }
    };
    let mut trailers = HeaderMap::new();
    metadata::trailers_to_caller(&kept.trailers(), CallerProtocol::Grpc, &mut trailers);
    Status::new(Code::Ok, "").put(&mut trailers);
    record.head(200, None);
    let body = Body::whole_with_trailers(framed, trailers);
    Ok(Unrecorded { status: StatusCode::OK, headers, body })
}

/// A failure that was told to all who waited.
pub(super) fn failure(
    call: &Call,
    plan: &MethodPlan,
    codec: Codec,
    failure: &Failure,
    record: &mut Record,
) -> Unrecorded {
    let (status, trailers) = failure.said();
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type(codec)));
    metadata::trailers_to_caller(trailers, CallerProtocol::Grpc, &mut headers);
    call.sign(&mut headers);
    trailers_only(headers, status, plan.rest.error_details, record)
}
