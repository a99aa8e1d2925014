//! A REST call: JSON in, messages to the upstream, JSON out; raw bytes either way where a method
//! says so by `google.api.HttpBody`.
//!
//! The four kinds of methods are made of two halves each: a request that is whole or a stream
//! (`request`), an answer that is whole (`unary`) or a stream (`stream`).
//!
//! Source: protocols, sections 5, 7, 8 and 9.

mod coded;
pub(super) mod finish;
pub(super) mod gathered;
mod request;
mod stream;
mod unary;
mod whole;

use std::rc::Rc;
use std::sync::Arc;

use http::StatusCode;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use tandem_config::document::StreamFraming;
use tandem_contract::MethodKind;
use tandem_protocol::detect::Binding;
use tandem_protocol::encoding;
use tandem_protocol::envelope;
use tandem_protocol::metadata::Metadata;
use tandem_protocol::refusal::{Reason, Refusal};
use tandem_protocol::rest;
use tandem_protocol::status::Status;
use tandem_protocol::stream::{Framing, Lines};
use tandem_transcode::{BindOptions, Limits as JsonLimits, RulePlan};
use tokio::time::{Instant, timeout_at};

use self::request::Asked;
use super::cached::{self, Cached, Caller};
use super::grpc::{Activity, for_caller};
use super::{Call, TRACESTATE, Unrecorded, deadline_exceeded, refusal_of};
use crate::body::{Body, BodyError};
use crate::call::Version;
use crate::mirror::Tap;
use crate::observe::Record;
use crate::route::Side;
use crate::snapshot::{MethodPlan, Snapshot};
use crate::upstream::{Outgoing, OutgoingBody, Upstream};

/// What a REST call brings beside its body.
pub(super) struct Request<'a> {
    pub(super) plan: &'a MethodPlan,
    /// Of the plan, in the call's snapshot.
    pub(super) method: usize,
    pub(super) version: Version,
    pub(super) upstream: &'a Arc<Upstream>,
    pub(super) side: Side,
    pub(super) binding: Binding,
    pub(super) query: Option<&'a str>,
    pub(super) http_method: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) caller: Caller<'a>,
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
    // Unary calls are no streams: nothing of one is kept for them.
    let activity = (request.plan.kind != MethodKind::Unary)
        .then(|| Activity::new(call.thread.limits.stream_idle));
    let carried = carry_unbounded(call, request, body, activity.clone(), record);
    match (deadline, activity) {
        (Some(deadline), _) => {
            timeout_at(deadline, carried).await.unwrap_or_else(|_elapsed| Err(deadline_exceeded()))
        }
        (None, Some(activity)) => tokio::select! {
            biased;
            carried = carried => carried,
            refusal = activity.silence() => Err(refusal),
        },
        (None, None) => carried.await,
    }
}

async fn carry_unbounded(
    call: &Call,
    request: Request<'_>,
    body: Body,
    activity: Option<Rc<Activity>>,
    record: &mut Record,
) -> Result<Unrecorded, Refusal> {
    let Request { plan, method, version, upstream, side, binding, .. } = request;
    let Request { query, http_method, headers, caller, mut metadata, deadline, .. } = request;
    let place = Place { snapshot: Arc::clone(&call.snapshot), method, rule: binding.rule };
    let rule = &plan.rules[binding.rule];
    if call.accepted.is_none() {
        return Err(encoding::not_acceptable());
    }
    let framing = match (rule.answers_raw(), plan.kind.many_answers()) {
        (true, _) => None,
        (false, true) => Some(Framing::accepted(headers, default_framing(plan))?),
        (false, false) => {
            rest::accepts_json(headers)?;
            Some(Framing::Array)
        }
    };
    if version == Version::Http10 && plan.kind.many_answers() && framing != Some(Framing::Events) {
        let message = "over HTTP/1.0 a failed stream would look complete; use HTTP/1.1, \
                       or accept text/event-stream";
        return Err(Refusal::new(Reason::HttpVersion, message));
    }
    let reading = Reading::of(call, plan);
    let asking = request::Asking { values: &binding.values, query, http_method, headers, body };
    let Asked { mut body, progress } = match &activity {
        Some(activity) if plan.kind.many_requests() && rule.takes_body() => {
            // Only HTTP/2 callers read before they have written (protocols S-11).
            let duplex = plan.kind.many_answers() && version == Version::Http2;
            request::stream(call, &place, reading, asking, (activity, record), duplex).await?
        }
        _ => Asked::whole(whole::message(call, plan, rule, &reading, asking, record).await?),
    };
    let mut reading = reading;
    reading.options.json = rest::json_asked(headers, reading.options.json);
    // Only of a safe request (RFC 9110, section 13.1.2).
    let conditions = matches!(http_method, "GET" | "HEAD").then_some(headers);
    let mut tracestate = headers.get(&TRACESTATE);
    if let OutgoingBody::Whole(framed) = &body
        && let Some(cache) = cached::open_to(plan, caller, record)
    {
        let message = framed.get(envelope::HEAD..).unwrap_or_default();
        let asked = (message, caller);
        let to = (upstream, side);
        match cached::carry(call, (cache, method), to, asked, deadline, record).await? {
            Cached::Answer(answered) => {
                let answering = Answering { place, reading, upstream, deadline, conditions };
                return unary::kept(call, answering, &answered, record);
            }
            Cached::Failed(failure) => return Ok(unary::failure(call, plan, &failure, record)),
            Cached::Own { message, metadata: own } => {
                (body, metadata, tracestate) = (OutgoingBody::Whole(message), own, None);
            }
            Cached::Passed => {}
        }
    }
    let mut outgoing = Outgoing {
        path: plan.path.clone(),
        headers: call.outgoing(metadata, tracestate, deadline),
        body,
        terms: plan.terms(deadline),
    };
    let tap = Tap::on(plan.mirror.as_ref(), side, caller.marked, &mut outgoing);
    let answering = Answering { place, reading, upstream, deadline, conditions };
    let answered = async {
        let journey = record.asked(&upstream.counters);
        let answer = call.thread.upstreams.send(upstream, outgoing, journey).await;
        let answer = tap.observe(answer.map_err(|error| refusal_of(&error))?);
        match activity {
            Some(activity) if plan.kind.many_answers() => {
                let progress = progress.clone();
                let half_duplex = version != Version::Http2;
                let delivery = stream::Delivery { framing, half_duplex, progress, activity };
                stream::answer(call, answering, answer, delivery, record).await
            }
            _ => unary::answer(call, answering, answer, record).await,
        }
    }
    .await;
    // What the caller did wrong explains better than what became of it at the upstream.
    match progress.and_then(|progress| progress.take_fault()) {
        Some(refusal) if answered.is_err() => Err(refusal),
        _ => answered,
    }
}

/// Where a caller has no wish (protocols S-1).
fn default_framing(plan: &MethodPlan) -> Framing {
    match plan.rest.stream_framing {
        StreamFraming::Array => Framing::Array,
        StreamFraming::Ndjson => Framing::Lines(Lines::XNdjson),
        StreamFraming::Sse => Framing::Events,
    }
}

/// A rule, kept with the snapshot that it belongs to.
#[derive(Clone)]
struct Place {
    snapshot: Arc<Snapshot>,
    method: usize,
    rule: usize,
}

impl Place {
    fn plan(&self) -> &MethodPlan {
        &self.snapshot.methods[self.method]
    }

    fn rule(&self) -> &RulePlan {
        &self.plan().rules[self.rule]
    }
}

/// How JSON is read and written for one call.
#[derive(Clone, Copy)]
struct Reading {
    options: BindOptions,
    limits: JsonLimits,
}

impl Reading {
    fn of(call: &Call, plan: &MethodPlan) -> Reading {
        let limits = JsonLimits {
            json_depth: call.thread.limits.json_depth,
            json_nodes: call.thread.limits.json_nodes,
            ..JsonLimits::default()
        };
        Reading { options: plan.bind_options(), limits }
    }
}

/// What both kinds of answers need to know of their call.
struct Answering<'a> {
    place: Place,
    reading: Reading,
    upstream: &'a Arc<Upstream>,
    deadline: Option<Instant>,
    /// The headers of a request that may be told that nothing has changed.
    conditions: Option<&'a HeaderMap>,
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The status of an upstream as the whole answer.
fn failed(
    call: &Call,
    mut headers: HeaderMap,
    said: Status,
    plan: &MethodPlan,
    record: &mut Record,
) -> Unrecorded {
    let said = for_caller(said, plan.rest.error_details);
    let status = said.code.http_status();
    record.head(status.as_u16(), Some(said.code));
    if let Some(seconds) = retry_after(&said) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    let body = rest::error_body(&said, Some(&plan.plans));
    finish::whole(call, headers, status, Some(JSON), body, None)
}

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

pub(super) fn broken(error: &BodyError, upstream: &Upstream) -> Refusal {
    use crate::upstream::SendError;
    let name = Arc::clone(&upstream.name);
    refusal_of(&match error {
        BodyError::Reset(code) => SendError::Reset { name, code: *code },
        other => SendError::ConnectionLost { name, what: other.to_string() },
    })
}
