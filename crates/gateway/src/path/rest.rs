//! A unary REST call: JSON in, one message to the upstream, JSON out; raw bytes either way where
//! a method says so by `google.api.HttpBody`.
//!
//! Source: protocols, sections 5, 7 and 8.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use tandem_contract::MethodKind;
use tandem_protocol::detect::Binding;
use tandem_protocol::envelope::{self, EnvelopeError, EnvelopeReader};
use tandem_protocol::metadata::{self, Metadata};
use tandem_protocol::refusal::{Reason, Refusal};
use tandem_protocol::status::{self, Code, Status};
use tandem_protocol::{CallerProtocol, cardinality, coding, rest};
use tandem_transcode::{
    Limits as JsonLimits, RestAnswer, RestRequest, request_from_rest, response_to_rest,
};
use tokio::time::{Instant, timeout_at};

use super::grpc::Media;
use super::{Call, TRACESTATE, Unrecorded, deadline_exceeded, gave_up_for_time, refusal_of};
use crate::body::{Body, BodyError, Piece};
use crate::observe::Record;
use crate::snapshot::MethodPlan;
use crate::upstream::{Outgoing, OutgoingBody, Upstream, UpstreamAnswer};

/// What a REST call brings beside its body.
pub(super) struct Request<'a> {
    pub(super) plan: &'a MethodPlan,
    pub(super) upstream: &'a Arc<Upstream>,
    pub(super) binding: Binding,
    pub(super) query: Option<&'a str>,
    pub(super) http_method: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) metadata: Metadata,
    pub(super) deadline: Option<Instant>,
}

pub(super) async fn carry(
    call: &Call,
    request: Request<'_>,
    body: Body,
    record: &mut Record,
) -> Result<Unrecorded, Refusal> {
    let deadline = request.deadline;
    let carried = carry_unbounded(call, request, body, record);
    match deadline {
        Some(deadline) => {
            timeout_at(deadline, carried).await.unwrap_or_else(|_elapsed| Err(deadline_exceeded()))
        }
        None => carried.await,
    }
}

async fn carry_unbounded(
    call: &Call,
    request: Request<'_>,
    body: Body,
    record: &mut Record,
) -> Result<Unrecorded, Refusal> {
    let Request { plan, upstream, binding, query, http_method, headers, metadata, deadline } =
        request;
    if plan.kind != MethodKind::Unary {
        let message = "streams are not served as REST yet; call this method by gRPC";
        return Err(Refusal::new(Reason::Unimplemented, message));
    }
    let rule = &plan.rules[binding.rule];
    if !rule.answers_raw() {
        rest::accepts_json(headers)?;
    }
    let coding = coding::of_body(headers)?;
    let mut body = collect(call, body, plan.message_bytes_max, headers).await?;
    if !body.is_empty() && rule.takes_body() {
        if !rule.takes_raw() {
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
    let limits = JsonLimits {
        json_depth: call.thread.limits.json_depth,
        json_nodes: call.thread.limits.json_nodes,
        ..JsonLimits::default()
    };
    let options = plan.bind_options();
    let rest_request = RestRequest {
        rule,
        values: &binding.values,
        query,
        body: &body,
        content_type: if rule.takes_raw() { rest::content_type(headers)? } else { None },
        http_method,
    };
    let mut message = Vec::with_capacity(envelope::HEAD + body.len() + 64);
    envelope::begin(&mut message);
    request_from_rest(&plan.plans, rest_request, &options, &limits, &mut message)
        .map_err(|fault| Refusal::of_fault(&fault))?;
    let outgoing = Outgoing {
        path: plan.path.clone(),
        headers: call.outgoing(metadata, headers.get(&TRACESTATE), deadline),
        body: OutgoingBody::Whole(envelope::seal(message)),
        terms: plan.terms(deadline),
    };
    record.asked(&upstream.name);
    let answer =
        call.thread.upstreams.send(upstream, outgoing).await.map_err(|error| refusal_of(&error))?;
    record.answered();
    let gathered = gather(answer, upstream).await?;
    let mut out = metadata::head_to_caller(&gathered.head, CallerProtocol::Rest);
    metadata::trailers_to_caller(&gathered.trailers, CallerProtocol::Rest, &mut out);
    call.sign(&mut out);
    let (status, media, body) = match gathered.outcome {
        Ok(message) => {
            let json = rest::json_asked(headers, options.json);
            let answer = response_to_rest(&plan.plans, rule, &message, &json, &limits)
                .map_err(|fault| Refusal::of_fault(&fault))?;
            let (media, body) = match answer {
                RestAnswer::Json(json) => (Some(JSON), Bytes::from(json)),
                RestAnswer::Raw { content_type, data } => {
                    (media_type(content_type, upstream)?, message.slice_ref(data))
                }
            };
            let status = success_status(&gathered.head);
            record.head(status.as_u16(), Some(Code::Ok));
            (status, media, body)
        }
        Err(failed) if gave_up_for_time(&failed, deadline) => return Err(deadline_exceeded()),
        Err(failed) => {
            let failed = failed.without_debug_info();
            record.head(failed.code.http_status().as_u16(), Some(failed.code));
            if let Some(seconds) = retry_after(&failed) {
                out.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            let body = rest::error_body(&failed, Some(&plan.plans));
            (failed.code.http_status(), Some(JSON), body)
        }
    };
    if let Some(media) = media {
        out.insert(header::CONTENT_TYPE, media);
    }
    out.insert(header::VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    let silent = http_method == "HEAD" || matches!(status.as_u16(), 204 | 205 | 304);
    if http_method == "HEAD" {
        out.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    let body = if silent { Body::empty() } else { Body::whole(body) };
    Ok(Unrecorded { status, headers: out, body })
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The media type of a raw answer; none where the service named none (protocols A-3).
fn media_type(text: &str, upstream: &Upstream) -> Result<Option<HeaderValue>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    HeaderValue::from_str(text).map(Some).map_err(|_error| {
        Refusal::new(Reason::UpstreamUnusable, "the answer of the service has no usable media type")
            .logged(format!("{}: a content_type that no header can hold", upstream.name))
    })
}

/// `x-http-code` of the upstream, where it is one (protocols A-4).
fn success_status(head: &HeaderMap) -> StatusCode {
    let Some(value) = head.get(HeaderName::from_static("x-http-code")) else {
        return StatusCode::OK;
    };
    value
        .to_str()
        .ok()
        .and_then(|text| text.parse::<u16>().ok())
        .filter(|number| (200..600).contains(number))
        .and_then(|number| StatusCode::from_u16(number).ok())
        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Seconds, rounded up, of a `google.rpc.RetryInfo` in the details (protocols E-7).
fn retry_after(status: &Status) -> Option<u64> {
    use tandem_contract::fields;
    let details = status.details();
    let (_, info) = details.iter().find(|(url, _)| url.ends_with("/google.rpc.RetryInfo"))?;
    let delay = fields::each(info).map_while(Result::ok).find(|field| field.number == 1)?;
    let mut seconds = 0;
    let mut nanos = 0;
    for field in fields::each(delay.bytes).map_while(Result::ok) {
        match field.number {
            1 => seconds = field.value,
            2 => nanos = field.value,
            _ => {}
        }
    }
    i64::try_from(seconds).ok().filter(|seconds| *seconds >= 0)?;
    Some(seconds + u64::from(nanos > 0))
}

/// Time before the pace of a body is judged (security LI-5).
const PACE_AFTER: Duration = Duration::from_secs(10);

/// The whole request body, within its limit and its pace.
async fn collect(
    call: &Call,
    mut body: Body,
    bytes_max: usize,
    headers: &HeaderMap,
) -> Result<Bytes, Refusal> {
    let too_large =
        || Refusal::new(Reason::TooLarge, format!("the body has more than {bytes_max} bytes"));
    // What a caller promises is refused at once, what it sends is counted all the same.
    let promised = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<u64>().ok());
    if promised.is_some_and(|bytes| bytes > bytes_max as u64) {
        return Err(too_large());
    }
    let pace = call.thread.limits.body_pace.max(1);
    let began = Instant::now();
    let mut first = Bytes::new();
    let mut gathered = BytesMut::new();
    loop {
        let bytes = first.len() + gathered.len();
        // At this moment the bytes so far are no longer enough.
        let late = began + PACE_AFTER.max(Duration::from_secs(bytes as u64 / pace + 1));
        let piece = timeout_at(late, body.piece())
            .await
            .map_err(|_elapsed| Refusal::new(Reason::TooSlow, "the body comes too slowly"))?;
        match piece {
            Some(Ok(Piece::Data(data))) => {
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
    let said = super::grpc::final_status(said, http_status, media);
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

pub(super) fn broken(error: &BodyError, upstream: &Upstream) -> Refusal {
    use crate::upstream::SendError;
    let name = Arc::clone(&upstream.name);
    refusal_of(&match error {
        BodyError::Reset(code) => SendError::Reset { name, code: *code },
        other => SendError::ConnectionLost { name, what: other.to_string() },
    })
}
