//! The request that is one message: its body read to the end, within its limit and its pace.
//!
//! Not here: requests that are streams of messages (`request`), how a body is bound (`transcode`).

use std::future::poll_fn;
use std::task::Poll;

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap};
use tandem_protocol::refusal::{Limit, Reason, Refusal};
use tandem_protocol::{coding, rest};
use tandem_transcode::{RestRequest, RulePlan, UnaskedBody, request_from_rest};

use super::Reading;
use super::request::{Asking, framed};
use crate::body::{Body, Piece};
use crate::observe::Record;
use crate::path::Call;
use crate::path::pace::Pace;
use crate::snapshot::MethodPlan;

/// The one message of a request.
pub(super) async fn message(
    call: &Call,
    plan: &MethodPlan,
    rule: &RulePlan,
    reading: &Reading,
    asking: Asking<'_>,
    record: &mut Record,
) -> Result<Bytes, Refusal> {
    let Asking { values, query, http_method, headers, body } = asking;
    let coding = coding::of_body(headers)?;
    let wants_json = rule.takes_body() && !rule.takes_raw();
    // What is refused for its type is not asked for first (protocols H-2); where it is not sure
    // that something comes, nothing is what may come, and nothing has no type.
    let promised = promised_bytes(headers).is_some_and(|bytes| bytes > 0);
    if wants_json && promised {
        rest::body_is_json(headers)?;
    }
    let unasked = !rule.takes_body() && reading.options.body_without_rule == UnaskedBody::Refuse;
    let mut body = if promised && unasked {
        // Binding refuses any; what stands in it does not matter.
        Bytes::from_static(b"?")
    } else {
        collect(call, body, plan.message_bytes_max, headers).await?
    };
    record.received(body.len());
    if !body.is_empty() && rule.takes_body() {
        if wants_json {
            rest::body_is_json(headers)?;
        }
        if let Some(coding) = coding {
            let bounds = coding::Bounds {
                bytes_max: plan.message_bytes_max,
                ratio_max: call.thread.limits.ratio as usize,
            };
            body = coding::decode(coding, &body, bounds)?.into();
        }
    }
    let content_type = if rule.takes_raw() { rest::content_type(headers)? } else { None };
    let request = RestRequest { rule, values, query, body: &body, content_type, http_method };
    let Reading { options, limits } = reading;
    framed(body.len(), |out| request_from_rest(&plan.plans, request, options, limits, out))
        .map_err(|fault| Refusal::of_fault(&fault))
}

/// The length that a caller says its body has.
fn promised_bytes(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The whole body.
async fn collect(
    call: &Call,
    mut body: Body,
    bytes_max: usize,
    headers: &HeaderMap,
) -> Result<Bytes, Refusal> {
    let too_large = || {
        Refusal::new(Reason::TooLarge, format!("the body has more than {bytes_max} bytes"))
            .over(Limit::Message)
    };
    // What a caller promises is refused at once, what it sends is counted all the same.
    if promised_bytes(headers).is_some_and(|bytes| bytes > bytes_max as u64) {
        return Err(too_large());
    }
    let mut pace = Pace::new(&call.thread.limits);
    let mut first = Bytes::new();
    let mut gathered = BytesMut::new();
    loop {
        let bytes = first.len() + gathered.len();
        let piece = poll_fn(|cx| match body.poll_piece(cx) {
            Poll::Ready(piece) => Poll::Ready(Ok(piece)),
            Poll::Pending => pace.poll_late(cx).map(Err),
        });
        match piece.await? {
            Some(Ok(Piece::Data(data))) => {
                pace.came(data.len(), true);
                if bytes + data.len() > bytes_max {
                    return Err(too_large());
                }
                if bytes == 0 {
                    // A body that comes in one piece is not copied.
                    first = data;
                } else {
                    gathered.extend_from_slice(&std::mem::take(&mut first));
                    gathered.extend_from_slice(&data);
                }
            }
            // Request trailers are dropped (protocols M-6).
            Some(Ok(Piece::Trailers(_))) => {}
            Some(Err(error)) => {
                return Err(Refusal::new(Reason::Malformed, "the body broke off")
                    .logged(format!("the request body: {error}")));
            }
            None if gathered.is_empty() => return Ok(first),
            None => return Ok(gathered.freeze()),
        }
    }
}
