//! A gRPC call passed through: messages unread, but counted and measured.
//!
//! The head of the answer is held until the first message or the status, so that a call that
//! fails before its first message fails in one head (protocols A-1, G-2). A stream that stays
//! silent releases it after [`HEAD_HOLD`]. An answer that breaks off ends with a status of ours
//! in its trailers, never by looking complete.
//!
//! Compressed messages pass too, where caller and upstream agree on the coding; they are decoded
//! only to be measured (protocols G-4).
//!
//! Source: gRPC over HTTP/2; protocols, sections 8, 10 and 11.

pub(super) mod gather;
mod json;
mod kept;

use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::StatusCode;
use http::header::{self, HeaderMap, HeaderValue};
use tandem_config::document::ErrorDetails;
use tandem_contract::MethodKind;
use tandem_protocol::coding::Bounds;
use tandem_protocol::compression::{self, Agreed};
use tandem_protocol::detect::Codec;
use tandem_protocol::envelope::{self, EnvelopeError, Scanner};
use tandem_protocol::metadata::{self, Metadata};
use tandem_protocol::refusal::{Limit, Reason, Refusal, Shape};
use tandem_protocol::status::{self, Code, Status};
use tandem_protocol::{CallerProtocol, cardinality};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use self::gather::Gather;
use super::cached::{self, Cached, Caller};
use super::pace::Pace;
use super::rest::broken;
use super::{Call, Unrecorded, deadline_exceeded, gave_up_for_time, refusal_of};
use crate::alarm::Alarm;
use crate::body::{Body, BodyError, Piece, Source};
use crate::mirror::Tap;
use crate::observe::{Record, Told};
use crate::route::Side;
use crate::snapshot::MethodPlan;
use crate::upstream::{Outgoing, OutgoingBody, Upstream, UpstreamAnswer};

/// A silent stream's head goes out after this time: callers that send and read at once wait for
/// it (protocols A-1).
const HEAD_HOLD: Duration = Duration::from_millis(100);

/// What a gRPC call brings beside its body.
pub(super) struct Request<'a> {
    pub(super) plan: &'a MethodPlan,
    /// Of the plan, in the call's snapshot.
    pub(super) method: usize,
    pub(super) upstream: &'a Arc<Upstream>,
    pub(super) side: Side,
    pub(super) codec: Codec,
    pub(super) caller: Caller<'a>,
    pub(super) metadata: Metadata,
    pub(super) tracestate: Option<&'a HeaderValue>,
    pub(super) deadline: Option<Instant>,
}

pub(super) async fn carry(
    call: &Call,
    request: Request<'_>,
    body: Body,
    record: &mut Record,
) -> Result<Unrecorded, Refusal> {
    let Request { plan, method, upstream, side, codec, caller, .. } = request;
    let Request { mut metadata, mut tracestate, deadline, .. } = request;
    // A timer fires at its next tick; until then an upstream could be asked in vain.
    if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
        return Err(deadline_exceeded());
    }
    let told = record.told_by_body();
    let ratio_max = call.thread.limits.ratio as usize;
    let mut agreed = Agreed::by_caller(metadata.headers_mut())?;
    let body = match codec {
        Codec::Proto => body,
        Codec::Json => {
            let coding = agreed.request;
            agreed = Agreed::nothing(metadata.headers_mut());
            let bounds = Bounds { bytes_max: plan.message_bytes_max, ratio_max };
            let messages = json::Messages::of(call, plan, plan.input);
            let told = Rc::clone(&told);
            let pace = Pace::new(&call.thread.limits);
            Body::stream(json::FromJson::new(body, coding, bounds, messages, pace, told))
        }
    };
    let activity = Activity::new(call.thread.limits.stream_idle);
    let gate = RequestGate {
        body: Gather::new(body),
        scanner: Scanner::new(plan.message_bytes_max).decoding(agreed.request, ratio_max),
        pace: Pace::new(&call.thread.limits),
        kind: plan.kind,
        told: Rc::clone(&told),
        activity: Rc::clone(&activity),
    };
    let mut body = Body::stream(gate);
    if let Some(cache) = cached::open_to(plan, caller, record) {
        let bounds = Bounds { bytes_max: plan.message_bytes_max, ratio_max };
        let message = kept::message(body, agreed.request, bounds, &told);
        let message = match deadline {
            Some(deadline) => timeout_at(deadline, message).await.map_err(|_| deadline_exceeded()),
            None => Ok(message.await),
        }??;
        let asked = (&*message, caller);
        let to = (upstream, side);
        match cached::carry(call, (cache, method), to, asked, deadline, record).await? {
            Cached::Answer(answered) => return kept::answer(call, plan, codec, &answered, record),
            Cached::Failed(failure) => {
                return Ok(kept::failure(call, plan, codec, &failure, record));
            }
            Cached::Own { message, metadata: own } => {
                (body, metadata, tracestate) = (Body::whole(message), own, None);
                agreed = Agreed::nothing(metadata.headers_mut());
            }
            // What was decoded goes as it is, which every coding allows.
            Cached::Passed => body = Body::whole(envelope::frame(&message)),
        }
    }
    let mut outgoing = Outgoing {
        path: plan.path.clone(),
        headers: call.outgoing(metadata, tracestate, deadline),
        body: OutgoingBody::Stream(body),
        terms: plan.terms(deadline),
    };
    let tap = Tap::on(plan.mirror.as_ref(), side, caller.marked, &mut outgoing);
    let journey = record.asked(&upstream.counters);
    let held = async {
        let answer = call.thread.upstreams.send(upstream, outgoing, journey).await;
        let answer = tap.observe(answer.map_err(|error| refusal_of(&error))?);
        hold(answer, plan.kind, upstream).await
    };
    let held = match deadline {
        Some(deadline) => {
            timeout_at(deadline, held).await.unwrap_or_else(|_elapsed| Err(deadline_exceeded()))
        }
        None => held.await,
    };
    // What the caller did wrong explains better than what became of it at the upstream.
    if let Some(refusal) = told.fault.borrow_mut().take() {
        return Err(refusal);
    }
    let Held { status: http_status, mut head, first, body } = held?;
    let media = Media::of(&head);
    let coding = agreed.answered(&mut head);
    if coding.is_err() || codec == Codec::Json {
        head.remove(compression::ENCODING);
    }
    if codec == Codec::Json {
        head.remove(compression::ACCEPT_ENCODING);
    }
    let mut headers = metadata::head_to_caller(&head, CallerProtocol::Grpc);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type(codec)));
    call.sign(&mut headers);
    let usable = media == Media::Grpc && http_status == StatusCode::OK;
    match first {
        First::Data(_) | First::Silence if !usable => {
            let said = final_status(None, http_status, media);
            Ok(trailers_only(headers, said, plan.rest.error_details, record))
        }
        First::Ended(trailers) => {
            let said = match &trailers {
                Some(trailers) => status::from_trailers(trailers),
                None => status::from_trailers(&head),
            };
            let mut said = final_status(said, http_status, media);
            if gave_up_for_time(&said, deadline) {
                return Err(deadline_exceeded());
            }
            if said.code == Code::Ok
                && let Err(fault) = cardinality::of_answer(plan.kind, 0, true)
            {
                let refusal = Refusal::new(Reason::Cardinality, fault.to_string());
                record.refused(&refusal);
                said = refusal.status(Shape::Grpc);
            }
            let trailers = trailers.unwrap_or_default();
            metadata::trailers_to_caller(&trailers, CallerProtocol::Grpc, &mut headers);
            Ok(trailers_only(headers, said, plan.rest.error_details, record))
        }
        first @ (First::Data(_) | First::Silence) => {
            let coding = coding.map_err(|unoffered| unusable(upstream, &unoffered.to_string()))?;
            record.head(200, None);
            let gate = AnswerGate {
                first: match first {
                    First::Data(data) => Some(Piece::Data(data)),
                    First::Silence | First::Ended(_) => None,
                },
                body: Some(Gather::new(body)),
                scanner: Scanner::new(upstream.message_bytes_max as usize)
                    .decoding(coding, ratio_max),
                kind: plan.kind,
                details: plan.rest.error_details,
                upstream: Arc::clone(upstream),
                deadline,
                clock: Alarm::default(),
                told: Rc::clone(&told),
                activity,
            };
            let mut body = Body::stream(gate);
            if codec == Codec::Json {
                let messages = json::Messages::of(call, plan, plan.output);
                body = Body::stream(json::IntoJson::new(body, messages, upstream, told));
            }
            Ok(Unrecorded { status: StatusCode::OK, headers, body })
        }
    }
}

fn trailers_only(
    mut headers: HeaderMap,
    said: Status,
    details: ErrorDetails,
    record: &mut Record,
) -> Unrecorded {
    record.head(200, Some(said.code));
    for_caller(said, details).put(&mut headers);
    Unrecorded { status: StatusCode::OK, headers, body: Body::empty() }
}

/// A failure as the caller may see it (protocols E-6).
pub(super) fn for_caller(said: Status, details: ErrorDetails) -> Status {
    match details {
        ErrorDetails::Safe => said.without_debug_info(),
        ErrorDetails::All => said,
    }
}

/// What an answer says that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    Grpc,
    /// gRPC with messages in something else than protobuf, which nobody asked for.
    OtherCodec,
    Other,
}

impl Media {
    pub(crate) fn of(head: &HeaderMap) -> Media {
        let media = head.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        let Some(rest) = media.strip_prefix(b"application/grpc") else { return Media::Other };
        let rest = rest.split(|byte| *byte == b';').next().unwrap_or_default();
        match rest.trim_ascii() {
            b"" | b"+proto" => Media::Grpc,
            [b'+', ..] => Media::OtherCodec,
            _ => Media::Other, // gRPC-Web, say
        }
    }
}

fn media_type(codec: Codec) -> &'static str {
    match codec {
        Codec::Proto => "application/grpc",
        Codec::Json => "application/grpc+json",
    }
}

/// The status of an answer: what was said, or what its absence means (protocols E-9).
pub(crate) fn final_status(said: Option<Status>, http_status: StatusCode, media: Media) -> Status {
    match said {
        Some(said) if said.code != Code::Ok => said,
        _ if http_status != StatusCode::OK => status::from_http(http_status),
        Some(said) if media == Media::Grpc => said,
        None if media == Media::Grpc => {
            Status::new(Code::Internal, "the service ended without a status")
        }
        _ if media == Media::OtherCodec => {
            Status::new(Code::Internal, "the service answered in a codec that was not asked for")
        }
        _ => Status::new(Code::Unknown, "the service did not answer in gRPC"),
    }
}

/// When either side last said something (security LI-7).
pub(super) struct Activity {
    last: std::cell::Cell<Instant>,
    idle: Duration,
}

impl Activity {
    pub(super) fn new(idle: Duration) -> Rc<Activity> {
        Rc::new(Activity { last: std::cell::Cell::new(Instant::now()), idle })
    }

    pub(super) fn seen(&self) {
        self.last.set(Instant::now());
    }

    /// When the silence has lasted too long, unless somebody says something.
    pub(super) fn end(&self) -> Instant {
        self.last.get() + self.idle
    }

    /// Waits until the silence has lasted too long.
    pub(super) async fn silence(&self) -> Refusal {
        while Instant::now() < self.end() {
            sleep_until(self.end()).await;
        }
        too_silent()
    }
}

/// The request on its way out.
struct RequestGate {
    body: Gather,
    scanner: Scanner,
    pace: Pace,
    kind: MethodKind,
    told: Rc<Told>,
    activity: Rc<Activity>,
}

impl RequestGate {
    /// Whether a message has begun and is not complete.
    fn is_inside(&self) -> bool {
        self.scanner.end().is_err()
    }

    fn refuse(&self, refusal: Refusal) -> Poll<Option<Result<Piece, BodyError>>> {
        *self.told.fault.borrow_mut() = Some(refusal);
        Poll::Ready(Some(Err(BodyError::Aborted("the request was refused"))))
    }
}

impl Source for RequestGate {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, BodyError>>> {
        let Poll::Ready(piece) = self.body.poll_piece(cx) else {
            if self.is_inside()
                && let Poll::Ready(late) = self.pace.poll_late(cx)
            {
                return self.refuse(late);
            }
            return Poll::Pending;
        };
        match piece {
            Some(Ok(Piece::Data(data))) => {
                self.activity.seen();
                let before = self.scanner.messages();
                self.pace.came(data.len(), self.is_inside());
                self.told.received(data.len());
                if let Err(error) = self.scanner.pass(&data) {
                    return self.refuse(Refusal::of_envelope(error));
                }
                let messages = self.scanner.messages();
                if messages > before {
                    self.pace.completed(data.len());
                }
                match cardinality::of_request(self.kind, messages, false) {
                    Ok(()) => Poll::Ready(Some(Ok(Piece::Data(data)))),
                    Err(fault) => self.refuse(Refusal::new(Reason::Cardinality, fault.to_string())),
                }
            }
            // Request trailers are dropped (protocols M-6); they end the request.
            Some(Ok(Piece::Trailers(_))) | None => {
                if let Err(error) = self.scanner.end() {
                    return self.refuse(Refusal::of_envelope(error));
                }
                match cardinality::of_request(self.kind, self.scanner.messages(), true) {
                    Ok(()) => Poll::Ready(None),
                    Err(fault) => self.refuse(Refusal::new(Reason::Cardinality, fault.to_string())),
                }
            }
            Some(Err(error)) => Poll::Ready(Some(Err(error))),
        }
    }
}

/// What came first behind the head.
enum First {
    Data(bytes::Bytes),
    /// Nothing within the time that a head may be held.
    Silence,
    /// No message: the trailers, or `None` where the head was all.
    Ended(Option<HeaderMap>),
}

struct Held {
    status: StatusCode,
    head: HeaderMap,
    first: First,
    body: Body,
}

async fn hold(
    answer: UpstreamAnswer,
    kind: MethodKind,
    upstream: &Upstream,
) -> Result<Held, Refusal> {
    let UpstreamAnswer { status, headers: head, mut body } = answer;
    let first = async {
        loop {
            match body.piece().await {
                Some(Ok(Piece::Data(data))) if data.is_empty() => {}
                Some(Ok(Piece::Data(data))) => return Ok(First::Data(data)),
                Some(Ok(Piece::Trailers(trailers))) => return Ok(First::Ended(Some(trailers))),
                Some(Err(error)) => return Err(broken(&error, upstream)),
                None => return Ok(First::Ended(None)),
            }
        }
    };
    let first = if kind == MethodKind::Unary {
        first.await?
    } else {
        match timeout(HEAD_HOLD, first).await {
            Ok(first) => first?,
            Err(_elapsed) => First::Silence,
        }
    };
    Ok(Held { status, head, first, body })
}

/// The answer on its way to the caller, from its first message on.
struct AnswerGate {
    first: Option<Piece>,
    /// `None` once a status of ours was given in place of the rest.
    body: Option<Gather>,
    scanner: Scanner,
    kind: MethodKind,
    details: ErrorDetails,
    upstream: Arc<Upstream>,
    deadline: Option<Instant>,
    clock: Alarm,
    told: Rc<Told>,
    activity: Rc<Activity>,
}

impl AnswerGate {
    /// Ends the answer with a refusal in its trailers and cancels the rest at the upstream.
    fn break_off(&mut self, refusal: &Refusal) -> Poll<Option<Result<Piece, BodyError>>> {
        self.told.refused(refusal);
        self.end_with(refusal.status(Shape::Grpc), &HeaderMap::new())
    }

    fn end_with(
        &mut self,
        said: Status,
        upstream: &HeaderMap,
    ) -> Poll<Option<Result<Piece, BodyError>>> {
        self.body = None;
        let mut trailers = HeaderMap::with_capacity(upstream.len() + 3);
        metadata::trailers_to_caller(upstream, CallerProtocol::Grpc, &mut trailers);
        for_caller(said, self.details).put(&mut trailers);
        Poll::Ready(Some(Ok(Piece::Trailers(trailers))))
    }

    /// The clock of the call: its deadline, or without one the silence of both sides.
    fn poll_clock(&mut self, cx: &mut Context<'_>) -> Poll<Refusal> {
        if let Some(deadline) = self.deadline {
            return self.clock.poll(deadline, cx).map(|()| deadline_exceeded());
        }
        self.clock.poll(self.activity.end(), cx).map(|()| too_silent())
    }
}

impl Source for AnswerGate {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, BodyError>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = match self.first.take() {
            Some(piece) => Poll::Ready(Some(Ok(piece))),
            None => body.poll_piece(cx),
        };
        // A fault of the caller's that came up on the way is the reason for whatever followed.
        let fault = self.told.fault.borrow_mut().take();
        if let Some(refusal) = fault {
            return self.break_off(&refusal);
        }
        match polled {
            Poll::Pending => match self.poll_clock(cx) {
                Poll::Ready(refusal) => self.break_off(&refusal),
                Poll::Pending => Poll::Pending,
            },
            Poll::Ready(Some(Ok(Piece::Data(data)))) => {
                self.activity.seen();
                if let Err(error) = self.scanner.pass(&data) {
                    let limit = match error {
                        EnvelopeError::TooLarge { .. } => Some(Limit::UpstreamMessage),
                        EnvelopeError::Expands { .. } => Some(Limit::Ratio),
                        EnvelopeError::Flag(_)
                        | EnvelopeError::Unnamed
                        | EnvelopeError::Unsound
                        | EnvelopeError::Truncated => None,
                    };
                    let refusal = match limit {
                        Some(limit) => {
                            Refusal::new(Reason::UpstreamTooLarge, error.to_string()).over(limit)
                        }
                        None => unusable(&self.upstream, &error.to_string()),
                    };
                    return self.break_off(&refusal);
                }
                match cardinality::of_answer(self.kind, self.scanner.messages(), false) {
                    Ok(()) => Poll::Ready(Some(Ok(Piece::Data(data)))),
                    Err(fault) => {
                        self.break_off(&Refusal::new(Reason::Cardinality, fault.to_string()))
                    }
                }
            }
            Poll::Ready(Some(Ok(Piece::Trailers(trailers)))) => {
                let said = status::from_trailers(&trailers);
                let mut said = final_status(said, StatusCode::OK, Media::Grpc);
                if said.code == Code::Ok {
                    let messages = self.scanner.messages();
                    if let Err(error) = self.scanner.end() {
                        let refusal = unusable(&self.upstream, &error.to_string());
                        self.told.refused(&refusal);
                        said = refusal.status(Shape::Grpc);
                    } else if let Err(fault) = cardinality::of_answer(self.kind, messages, true) {
                        let refusal = Refusal::new(Reason::Cardinality, fault.to_string());
                        self.told.refused(&refusal);
                        said = refusal.status(Shape::Grpc);
                    }
                }
                self.end_with(said, &trailers)
            }
            Poll::Ready(Some(Err(error))) => {
                let refusal = broken(&error, &self.upstream);
                tracing::warn!("{}", refusal.log);
                self.break_off(&refusal)
            }
            Poll::Ready(None) => {
                let said = final_status(None, StatusCode::OK, Media::Grpc);
                self.end_with(said, &HeaderMap::new())
            }
        }
    }
}

pub(super) fn too_silent() -> Refusal {
    Refusal::new(Reason::Deadline, "neither side has said anything for too long")
        .over(Limit::StreamIdle)
}

pub(super) fn unusable(upstream: &Upstream, log: &str) -> Refusal {
    Refusal::new(Reason::UpstreamUnusable, "the answer of the service cannot be read")
        .logged(format!("{}: {log}", upstream.name))
}
