//! The spine: the one function that carries a call.
//!
//! Order (security, section 3): one canonical request, detect, admit, decode, route, send. No
//! later step reads raw text again or undoes a refusal of an earlier one. The record of the call
//! is begun first and rides on the answer.
//!
//! Not here: how bytes came in (`listen`) and go out (`upstream`).

mod cached;
mod grpc;
mod pace;
mod rest;

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use tandem_contract::directory::Audience;
use tandem_protocol::CallerProtocol;
use tandem_protocol::deadline::format_grpc_timeout;
use tandem_protocol::detect::{self, Detected};
use tandem_protocol::encoding::Accepted;
use tandem_protocol::identity::{self, TraceParent};
use tandem_protocol::metadata::{self, Hop, Metadata};
use tandem_protocol::refusal::{Limit, Reason, Refusal, Shape};
use tandem_protocol::status;
use tandem_protocol::strict::{self, HeadLimits};
use tokio::time::Instant;

use self::cached::Caller;
pub(crate) use self::grpc::{Media, final_status};
use crate::call::{Answer, Incoming, Version, value_of_one_call};
use crate::listen::Origin;
use crate::observe::{Begin, Debug, Record, TraceContext};
use crate::own;
use crate::policy::{self, Admitted, NotAdmitted};
use crate::snapshot::Snapshot;
use crate::thread::Thread;
use crate::upstream::{NoStream, SendError};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The flag of a trace context whose caller records it.
const SAMPLED: u8 = 0x01;
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Carries one call. Dropping the future cancels it, at the upstream too.
// The call is borrowed: what a future is given by value it holds twice.
pub(crate) async fn carry(
    thread: &Rc<Thread>,
    origin: &Rc<Origin>,
    incoming: &mut Incoming,
) -> Answer {
    let shape = shape_of(incoming);
    let call = Call::begin(thread, origin, incoming);
    let outcome = {
        let mut carried = pin!(carry_call(&call, incoming));
        std::future::poll_fn(|cx| {
            // A bug in one call must not take its connection or its thread along (security R-11).
            match std::panic::catch_unwind(AssertUnwindSafe(|| carried.as_mut().poll(cx))) {
                Ok(polled) => polled.map(Some),
                Err(_panic) => Poll::Ready(None),
            }
        })
        .await
    };
    match outcome {
        Some(answer) => answer,
        None => {
            tracing::error!(code = "TND0901", "a call panicked; please report this");
            // The call's own record is lost in the panic.
            let record = call.record();
            let refusal = Refusal::new(Reason::Bug, "a fault of the gateway");
            call.refused(&refusal, shape, record)
        }
    }
}

/// The answer to bytes that are no head: a call of which nothing is known.
pub(crate) fn refuse_head(thread: &Rc<Thread>, origin: &Rc<Origin>, refusal: &Refusal) -> Answer {
    let (head, ()) = http::Request::new(()).into_parts();
    let incoming = Incoming::new(head, crate::body::Body::empty(), Version::Http1);
    let call = Call::begin(thread, origin, &incoming);
    let record = call.record();
    call.refused(refusal, Shape::Rest, record)
}

/// What is known of a call from its first moment.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) thread: Rc<Thread>,
    pub(crate) origin: Rc<Origin>,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) began: Instant,
    head_began: Option<Instant>,
    pub(crate) request_id: Arc<str>,
    pub(crate) context: TraceContext,
    pub(crate) version: Version,
    /// It is asked by HEAD: whatever the answer is, it has no body.
    pub(crate) head: bool,
    /// What the answer may be coded in; `None` where the caller takes nothing that is served.
    pub(crate) accepted: Option<Accepted>,
    flags: u8,
}

impl Call {
    fn begin(thread: &Rc<Thread>, origin: &Rc<Origin>, incoming: &Incoming) -> Call {
        let text =
            |name: &HeaderName| incoming.headers.get(name).and_then(|value| value.to_str().ok());
        let request_id: Arc<str> = match text(&REQUEST_ID) {
            Some(id) if identity::request_id_is_usable(id) => id.into(),
            _ => identity::make_request_id(rand::random()).into(),
        };
        let parent = text(&TRACEPARENT).and_then(TraceParent::parse);
        let began = Instant::now();
        let said = parent.map(|parent| parent.flags & SAMPLED != 0);
        let sampled = thread.observe.samples(origin.listener.internal, said, began);
        let context = TraceContext {
            trace: parent.map_or_else(rand::random, |parent| parent.trace),
            span: rand::random(),
            parent: parent.map(|parent| parent.parent),
            sampled,
        };
        Call {
            thread: Rc::clone(thread),
            origin: Rc::clone(origin),
            snapshot: thread.snapshot.load_full(),
            began,
            head_began: incoming.head_began,
            request_id,
            context,
            version: incoming.version,
            head: incoming.method == Method::HEAD,
            accepted: match shape_of(incoming) {
                Shape::Grpc => Some(Accepted::IDENTITY),
                Shape::Rest | Shape::Connect => Accepted::by_caller(&incoming.headers).ok(),
            },
            // What is sampled here is sampled from here on; nothing that was is no longer.
            flags: parent.map_or(0, |parent| parent.flags) | if sampled { SAMPLED } else { 0 },
        }
    }

    fn record(&self) -> Record {
        Record::begin(Begin {
            shard: Rc::clone(&self.thread.observe),
            thread: self.thread.index,
            listener: Arc::clone(&self.origin.listener.name),
            context: self.context,
            request_id: Arc::clone(&self.request_id),
            began: self.began,
            head_began: self.head_began,
        })
    }

    /// The refusal in the caller's words, with the record on it.
    pub(crate) fn refused(&self, refusal: &Refusal, shape: Shape, mut record: Record) -> Answer {
        note(&self.request_id, refusal);
        let rendered = refusal.render(shape);
        record.refused(refusal);
        record.head(rendered.status.as_u16(), Some(rendered.code));
        let mut headers = rendered.headers;
        self.sign(&mut headers);
        record.tell(&mut headers);
        let (status, body) = (rendered.status, rendered.body);
        match shape {
            Shape::Grpc => Answer { status, headers, body: crate::body::Body::whole(body), record },
            Shape::Rest | Shape::Connect => {
                rest::finish::whole(self, headers, status, None, body, None).with(record)
            }
        }
    }

    /// What stands on every answer (experience UX-35).
    pub(crate) fn sign(&self, headers: &mut HeaderMap) {
        if let Some(id) = value_of_one_call(&self.request_id) {
            headers.insert(REQUEST_ID, id);
        }
        headers.insert(header::SERVER, HeaderValue::from_static("tandem"));
    }

    /// Tells the service who calls (protocols M-8), and takes away what only the gateway reads.
    fn name_caller(&self, metadata: &mut Metadata, principal: Option<&str>) {
        let headers = metadata.headers_mut();
        if let Some(principal) = principal {
            headers.insert(metadata::PRINCIPAL, metadata::principal_header(principal));
        }
        for name in self.thread.judges.identity.key_headers() {
            headers.remove(name);
        }
    }

    /// The headers of the request to the upstream: metadata, and what the gateway says itself.
    pub(crate) fn outgoing(
        &self,
        metadata: Metadata,
        tracestate: Option<&HeaderValue>,
        deadline: Option<Instant>,
    ) -> HeaderMap {
        let mut headers = metadata.into_headers();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        if let Some(id) = value_of_one_call(&self.request_id) {
            headers.insert(REQUEST_ID, id);
        }
        let TraceContext { trace, span, .. } = self.context;
        let traceparent = TraceParent { trace, parent: span, flags: self.flags };
        if let Some(value) = value_of_one_call(&traceparent.to_string()) {
            headers.insert(TRACEPARENT, value);
        }
        if let Some(tracestate) = tracestate {
            headers.insert(TRACESTATE, tracestate.clone());
        }
        if let Some(deadline) = deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            if let Some(value) = value_of_one_call(&format_grpc_timeout(left)) {
                headers.insert(HeaderName::from_static("grpc-timeout"), value);
            }
        }
        headers
    }
}

/// Logs why a call was not carried, or not to its end; once, by whoever tells the caller.
fn note(request_id: &str, refusal: &Refusal) {
    match refusal.reason {
        Reason::Unavailable
        | Reason::UpstreamUnusable
        | Reason::UpstreamTooLarge
        | Reason::UpstreamCancelled => {
            tracing::warn!(request = %request_id, reason = ?refusal.reason, "{}", refusal.log);
        }
        reason => {
            tracing::debug!(request = %request_id, ?reason, "{}", refusal.log);
        }
    }
}

/// In whose words to refuse before the protocol is known.
fn shape_of(incoming: &Incoming) -> Shape {
    let media = incoming.headers.get(header::CONTENT_TYPE);
    match media {
        Some(media) if media.as_bytes().starts_with(b"application/grpc") => Shape::Grpc,
        _ if detect::is_rpc_path(incoming.uri.path()) => Shape::Connect,
        _ => Shape::Rest,
    }
}

// Both are borrowed, too.
async fn carry_call(call: &Call, incoming: &mut Incoming) -> Answer {
    let body = std::mem::replace(&mut incoming.body, crate::body::Body::empty());
    let incoming = &*incoming;
    let mut record = call.record();
    let limits = &call.thread.limits;
    let head_limits = HeadLimits {
        uri_bytes: limits.uri_bytes as usize,
        headers: limits.headers as usize,
        header_bytes: limits.header_bytes as usize,
        ..HeadLimits::default()
    };
    let early = shape_of(incoming);
    let canonical =
        match strict::check(&incoming.method, &incoming.uri, &incoming.headers, &head_limits) {
            Ok(canonical) => canonical,
            Err(refusal) => {
                let mut answer = call.refused(&refusal, early, record);
                if call.version != Version::Http2 {
                    // Where one request ends and the next begins is in doubt (protocols H-1).
                    answer.headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                return answer;
            }
        };
    let listener = &call.origin.listener;
    let audience = Audience {
        internal: listener.internal,
        authority: &canonical.authority,
        listener_hosts: &listener.hosts,
    };
    if let Some(service) = own::asked(listener, incoming, canonical.path) {
        return own::answer(call, service, audience, &incoming.headers, body, record).await;
    }
    let head = detect::Head {
        http_method: incoming.method.as_str(),
        path: canonical.path,
        query: canonical.query,
        content_type: incoming
            .headers
            .get(header::CONTENT_TYPE)
            .map(|value| value.to_str().unwrap_or("?")),
        http2: incoming.version == Version::Http2,
    };
    let Detected { protocol, method, codec, binding } =
        match detect::detect(&call.snapshot.directory, &head, audience) {
            Ok(detected) => detected,
            Err(undetected) => {
                let detect::Undetected { refusal, shape } = *undetected;
                let refusal = unless_waiting(call, refusal);
                return call.refused(&refusal, shape, record);
            }
        };
    let plan = &call.snapshot.methods[method.0 as usize];
    let name = match &binding {
        Some(binding) => &plan.rule_names[binding.rule],
        None => &plan.rpc_name,
    };
    record.detected(protocol, name, &plan.counters);
    if plan.debug {
        record.tells(Debug::asked(&incoming.headers));
    }
    let shape = match protocol {
        CallerProtocol::Rest => Shape::Rest,
        CallerProtocol::Grpc => Shape::Grpc,
    };
    let peer = call.origin.peer.ip();
    let mirrored = listener.mirrored.iter().any(|network| network.contains(peer));
    let hop = Hop { internal: listener.internal, mirrored, peer };
    let headers = &incoming.headers;
    let admitted = match policy::admit(&call.thread, plan, protocol, headers, hop, call.began) {
        Ok(admitted) => admitted,
        Err(refused) => {
            let NotAdmitted { refusal, principal, told } = *refused;
            record.caller(principal);
            record.limits(told);
            return call.refused(&refusal, shape, record);
        }
    };
    let Admitted { deadline, principal, held, told } = admitted;
    record.caller(principal.clone());
    record.limits(told);
    record.holds(held);
    let mut metadata = match metadata::to_upstream(&incoming.headers, protocol, hop) {
        Ok(metadata) => metadata,
        Err(refusal) => return call.refused(&refusal, shape, record),
    };
    call.name_caller(&mut metadata, principal.as_deref());
    let Some((upstream, side)) = plan.route.draw(rand::random) else {
        let refusal = Refusal {
            retry_after: Some(RETRY),
            ..Refusal::new(Reason::Unavailable, "no implementation is configured")
        };
        return call.refused(&refusal, shape, record);
    };
    record.admitted();
    let marked = metadata.is_marked();
    let caller = Caller { headers: &incoming.headers, principal: principal.as_deref(), marked };
    let method = method.0 as usize;
    match (protocol, binding) {
        (CallerProtocol::Rest, Some(binding)) => {
            let rest = rest::Request {
                plan,
                method,
                version: incoming.version,
                upstream,
                side,
                binding,
                query: canonical.query,
                http_method: incoming.method.as_str(),
                headers: &incoming.headers,
                caller,
                metadata,
                deadline,
            };
            match rest::carry(call, rest, body, &mut record).await {
                Ok(answer) => answer.with(record),
                Err(refusal) => call.refused(&refusal, shape, record),
            }
        }
        (CallerProtocol::Rest | CallerProtocol::Grpc, _) => {
            let tracestate = incoming.headers.get(&TRACESTATE);
            let request = grpc::Request {
                plan,
                method,
                upstream,
                side,
                codec,
                caller,
                metadata,
                tracestate,
                deadline,
            };
            match grpc::carry(call, request, body, &mut record).await {
                Ok(answer) => answer.with(record),
                Err(refusal) => call.refused(&refusal, shape, record),
            }
        }
    }
}

/// An answer before its record is put on it.
struct Unrecorded {
    status: http::StatusCode,
    headers: HeaderMap,
    body: crate::body::Body,
}

impl Unrecorded {
    fn with(self, record: Record) -> Answer {
        let Unrecorded { status, mut headers, body } = self;
        record.tell(&mut headers);
        Answer { status, headers, body, record }
    }
}

/// While a namespace has no contract, what is not found may be its method (protocols E-2).
fn unless_waiting(call: &Call, refusal: Refusal) -> Refusal {
    if refusal.reason != Reason::NotFound || call.snapshot.waiting.is_empty() {
        return refusal;
    }
    let waiting: Vec<&str> = call.snapshot.waiting.iter().map(String::as_str).collect();
    Refusal {
        retry_after: Some(RETRY),
        ..Refusal::new(Reason::Unavailable, "the contract of a service is not known yet")
            .logged(format!("no contract yet for: {}", waiting.join(", ")))
    }
}

/// What a failed send means to a caller.
fn refusal_of(error: &SendError) -> Refusal {
    let refusal = of_send_error(error).logged(error.to_string());
    let retry_after = (refusal.reason == Reason::Unavailable).then_some(RETRY);
    Refusal { retry_after, ..refusal }
}

/// When a caller may try again what could not be carried (protocols E-2).
const RETRY: std::time::Duration = std::time::Duration::from_secs(1);

fn of_send_error(error: &SendError) -> Refusal {
    match error {
        SendError::NoStream(why) => Refusal {
            limit: matches!(why, NoStream::TooManyWait(_)).then_some(Limit::UpstreamWaiting),
            ..Refusal::new(Reason::Unavailable, "the service cannot be reached")
        },
        SendError::AttemptTimedOut(_) => {
            Refusal::new(Reason::Deadline, "the service did not answer in time")
        }
        SendError::ConnectionLost { .. } => {
            Refusal::new(Reason::Unavailable, "the connection to the service was lost")
        }
        SendError::Reset { code, .. } => {
            let reason = match status::from_reset(*code) {
                status::Code::Unavailable => Reason::Unavailable,
                status::Code::ResourceExhausted => Reason::Quota,
                status::Code::PermissionDenied => Reason::NotAllowed,
                status::Code::Cancelled => Reason::UpstreamCancelled,
                _ => Reason::UpstreamUnusable,
            };
            Refusal::new(reason, "the service broke the call off")
        }
    }
}

fn deadline_exceeded() -> Refusal {
    Refusal::new(Reason::Deadline, "the deadline of the call has passed").over(Limit::Deadline)
}

/// An upstream that is told the time left, rounded down, gives up a moment before we do. What it
/// says then is that the deadline has passed, whatever code it chose (tonic says CANCELLED).
fn gave_up_for_time(said: &status::Status, deadline: Option<Instant>) -> bool {
    const ROUNDING: std::time::Duration = std::time::Duration::from_millis(5);
    said.code == status::Code::Cancelled
        && deadline.is_some_and(|deadline| Instant::now() + ROUNDING >= deadline)
}
