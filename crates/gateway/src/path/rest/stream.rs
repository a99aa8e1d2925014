//! The answer that is a stream of messages, framed as the caller likes it.
//!
//! The head is held until the first message or the status, so that a stream that fails before
//! its first message fails as any call does (protocols A-1, S-2). A silent one releases its head
//! after `rest.head_hold`. Each message is one piece and leaves when it comes; nothing is taken
//! from the upstream before the caller has taken what came before (S-8). A stream that fails
//! later says so in its framing and never looks complete (S-3).
//!
//! Not here: the bytes of the framings (`protocol::stream`), how a transfer is aborted
//! (`listen`).

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::HeaderMap;
use tandem_config::document::{HeadHold, StreamEnvelope};
use tandem_protocol::envelope::{EnvelopeError, EnvelopeReader};
use tandem_protocol::refusal::{Limit, Reason, Refusal, Shape};
use tandem_protocol::status::{self, Code, Status};
use tandem_protocol::stream::{After, Envelope, EventId, Framer, Framing};
use tandem_protocol::{CallerProtocol, metadata, rest};
use tandem_transcode::{RestAnswer, response_to_rest};
use tokio::time::{Instant, Sleep, sleep, timeout_at};

use super::request::Progress;
use super::{Answering, Place, Reading, broken, failed, finish, media_type, success_status};
use crate::alarm::Alarm;
use crate::body::{Body, BodyError, Piece, Source};
use crate::observe::{Record, Told};
use crate::path::grpc::{Activity, Media, final_status, for_caller, too_silent, unusable};
use crate::path::{Call, Unrecorded, deadline_exceeded, gave_up_for_time, note};
use crate::upstream::{Upstream, UpstreamAnswer};

/// A stream of events says something after this time of silence (protocols S-7).
const EVENT_SILENCE: Duration = Duration::from_secs(15);

/// How the answer reaches the caller.
pub(super) struct Delivery {
    /// `None`: raw bytes.
    pub(super) framing: Option<Framing>,
    /// The caller reads when it has written everything (protocols S-11).
    pub(super) half_duplex: bool,
    /// Of a request that is a stream.
    pub(super) progress: Option<Rc<Progress>>,
    pub(super) activity: Rc<Activity>,
}

pub(super) async fn answer(
    call: &Call,
    answering: Answering<'_>,
    answer: UpstreamAnswer,
    delivery: Delivery,
    record: &mut Record,
) -> Result<Unrecorded, Refusal> {
    let Answering { place, reading, upstream, deadline, conditions: _ } = answering;
    let Delivery { framing, half_duplex, progress, activity } = delivery;
    let mut messages = Messages::of(answer, upstream, Rc::clone(&activity));
    if let Some(progress) = &progress
        && half_duplex
    {
        messages.gather_until_ended(progress).await?;
    }
    let first = match framing {
        // Where only a first message names the media type there is no head without one (A-3).
        Some(_) if messages.usable => {
            // Event sources wait for it.
            let HeadHold(held) = place.plan().rest.head_hold;
            timeout_at(Instant::now() + held, messages.next()).await.ok()
        }
        _ => Some(messages.next().await),
    };
    if let Some(refusal) = progress.as_ref().and_then(|progress| progress.take_fault()) {
        return Err(refusal);
    }
    let mut headers = metadata::head_to_caller(messages.metadata(), CallerProtocol::Rest);
    call.sign(&mut headers);
    let status = success_status(&messages.head);
    let envelope = match place.plan().rest.stream_envelope {
        StreamEnvelope::Bare => Envelope::Bare,
        StreamEnvelope::ResultError => Envelope::ResultError,
    };
    let framer = framing.map(|framing| Framer::new(framing, envelope));
    let mut writer = Writer { place, reading, framer };
    let mut media = framing.map(Framing::content_type);
    let first = match first {
        None => None,
        Some(Next::Message(message)) => {
            let Written { bytes, content_type } = writer.write(&message)?;
            if let Some(text) = content_type {
                finish::put_coding_of_raw(&mut headers, &messages.head);
                media = media_type(&text, upstream)?;
            }
            Some(bytes)
        }
        Some(Next::Ended(said)) if said.code == Code::Ok => {
            let body = writer.framer.as_ref().map(Framer::success).unwrap_or_default();
            let answer = finish::whole(call, headers, status, media, body, None);
            record.head(status.as_u16(), Some(Code::Ok));
            return Ok(answer);
        }
        Some(Next::Ended(said)) if gave_up_for_time(&said, deadline) => {
            return Err(deadline_exceeded());
        }
        Some(Next::Ended(said)) => {
            return Ok(failed(call, headers, said, writer.place.plan(), record));
        }
        Some(Next::Broken(refusal)) => return Err(refusal),
    };
    finish::put_media(call, &mut headers, media);
    if call.head || finish::is_silent(status) {
        record.head(status.as_u16(), Some(Code::Ok));
        return Ok(Unrecorded { status, headers, body: Body::empty() });
    }
    record.head(status.as_u16(), None);
    let gate = AnswerGate {
        first,
        messages: Some(messages),
        abort: None,
        writer,
        deadline,
        clock: Alarm::default(),
        silence: None,
        progress,
        activity,
        told: record.told_by_body(),
        request_id: Arc::clone(&call.request_id),
    };
    let body = finish::while_written(call, &mut headers, Body::stream(gate));
    Ok(Unrecorded { status, headers, body })
}

/// What comes next from the upstream.
enum Next {
    Message(Bytes),
    /// What it said at its end, or what the absence of that means.
    Ended(Status),
    /// It ended without saying anything that can be used.
    Broken(Refusal),
}

/// The messages of an upstream's answer, and how it ends.
struct Messages {
    http_status: StatusCode,
    head: HeaderMap,
    /// The head is one behind which messages may stand.
    usable: bool,
    body: Body,
    reader: EnvelopeReader,
    count: u64,
    /// Gathered for a caller that does not read yet.
    waiting: VecDeque<Next>,
    trailers_only: bool,
    upstream: Arc<Upstream>,
    activity: Rc<Activity>,
}

impl Messages {
    fn of(answer: UpstreamAnswer, upstream: &Arc<Upstream>, activity: Rc<Activity>) -> Messages {
        let UpstreamAnswer { status, headers, body } = answer;
        Messages {
            http_status: status,
            usable: Media::of(&headers) == Media::Grpc && status == StatusCode::OK,
            head: headers,
            body,
            reader: EnvelopeReader::new(upstream.message_bytes_max as usize),
            count: 0,
            waiting: VecDeque::new(),
            trailers_only: false,
            upstream: Arc::clone(upstream),
            activity,
        }
    }

    /// Leading metadata; trailing metadata of a stream is dropped (protocols M-5), and in an
    /// answer without messages and trailers the only head is trailing.
    fn metadata(&self) -> &HeaderMap {
        static NONE: std::sync::LazyLock<HeaderMap> = std::sync::LazyLock::new(HeaderMap::new);
        if self.trailers_only { &NONE } else { &self.head }
    }

    async fn next(&mut self) -> Next {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Not to be polled again behind an end.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        match self.waiting.pop_front() {
            Some(next) => Poll::Ready(next),
            None => self.poll_upstream(cx),
        }
    }

    fn poll_upstream(&mut self, cx: &mut Context<'_>) -> Poll<Next> {
        loop {
            match self.reader.next() {
                Some(Ok(message)) if message.compressed => {
                    let log = "compressed without being asked";
                    return Poll::Ready(Next::Broken(unusable(&self.upstream, log)));
                }
                Some(Ok(message)) => {
                    self.count += 1;
                    return Poll::Ready(Next::Message(message.payload));
                }
                Some(Err(error @ EnvelopeError::TooLarge { .. })) => {
                    let refusal = Refusal::new(Reason::UpstreamTooLarge, error.to_string());
                    let refusal = refusal.over(Limit::UpstreamMessage);
                    return Poll::Ready(Next::Broken(refusal));
                }
                Some(Err(error)) => {
                    let refusal = unusable(&self.upstream, &error.to_string());
                    return Poll::Ready(Next::Broken(refusal));
                }
                None => {}
            }
            match ready!(self.body.poll_piece(cx)) {
                Some(Ok(Piece::Data(data))) if self.usable => {
                    self.activity.seen();
                    self.reader.push(data);
                }
                Some(Ok(Piece::Data(data))) if data.is_empty() => {}
                // The page of some other server: not ours to read.
                Some(Ok(Piece::Data(_))) => return Poll::Ready(self.ended(None)),
                Some(Ok(Piece::Trailers(trailers))) => {
                    return Poll::Ready(self.ended(status::from_trailers(&trailers)));
                }
                None => {
                    // A status in the head counts only when nothing followed (E-9).
                    self.trailers_only = self.count == 0 && self.reader.end().is_ok();
                    let said =
                        self.trailers_only.then(|| status::from_trailers(&self.head)).flatten();
                    return Poll::Ready(self.ended(said));
                }
                Some(Err(error)) => {
                    return Poll::Ready(Next::Broken(broken(&error, &self.upstream)));
                }
            }
        }
    }

    fn ended(&self, said: Option<Status>) -> Next {
        let said = final_status(said, self.http_status, Media::of(&self.head));
        match self.reader.end() {
            Err(error) if said.code == Code::Ok => {
                Next::Broken(unusable(&self.upstream, &error.to_string()))
            }
            _ => Next::Ended(said),
        }
    }

    /// Gathers what comes until the caller has written everything: one that does not read yet
    /// must not stop its own request. As much is kept as one message may have.
    async fn gather_until_ended(&mut self, progress: &Progress) -> Result<(), Refusal> {
        let mut bytes = 0;
        poll_fn(|cx| {
            loop {
                if progress.ended() {
                    return Poll::Ready(Ok(()));
                }
                let next = match self.poll_upstream(cx) {
                    Poll::Ready(next) => next,
                    Poll::Pending if progress.ended() => return Poll::Ready(Ok(())),
                    Poll::Pending => return Poll::Pending,
                };
                let Next::Message(message) = &next else {
                    self.waiting.push_back(next);
                    return Poll::Ready(Ok(()));
                };
                // What keeping a message costs beside its bytes counts too.
                bytes += message.len() + size_of::<Next>();
                if bytes > self.upstream.message_bytes_max as usize {
                    let message = "too much was answered before the request had ended; \
                                   by HTTP/2 both can flow at once";
                    let refusal = Refusal::new(Reason::UpstreamTooLarge, message);
                    return Poll::Ready(Err(refusal.over(Limit::UpstreamMessage)));
                }
                self.waiting.push_back(next);
            }
        })
        .await
    }
}

/// Turns messages into the caller's bytes.
struct Writer {
    place: Place,
    reading: Reading,
    /// `None`: raw bytes.
    framer: Option<Framer>,
}

struct Written {
    bytes: Bytes,
    /// Of a raw message.
    content_type: Option<String>,
}

impl Writer {
    fn write(&mut self, message: &Bytes) -> Result<Written, Refusal> {
        let plans = &self.place.plan().plans;
        let Reading { options, limits } = &self.reading;
        let written = response_to_rest(plans, self.place.rule(), message, &options.json, limits)
            .map_err(|fault| Refusal::of_fault(&fault))?;
        Ok(match written {
            RestAnswer::Json(json) => {
                let Some(framer) = &mut self.framer else {
                    return Ok(Written { bytes: json.into(), content_type: None });
                };
                let bytes = match self.place.plan().event_id.as_ref().filter(|_| framer.has_ids()) {
                    None => framer.message(&json, EventId::Ordinal),
                    Some(field) => {
                        let id = field
                            .read(plans, message, &options.json, limits)
                            .map_err(|fault| Refusal::of_fault(&fault))?;
                        framer.message(&json, id.as_deref().map_or(EventId::None, EventId::Text))
                    }
                };
                Written { bytes, content_type: None }
            }
            RestAnswer::Raw { content_type, data } => Written {
                bytes: message.slice_ref(data),
                content_type: Some(content_type.to_owned()),
            },
        })
    }
}

/// The answer on its way to the caller, from its first message on.
struct AnswerGate {
    first: Option<Bytes>,
    /// `None` once the stream has ended, well or not; what is left of it is cancelled then.
    messages: Option<Messages>,
    /// Follows the record of a failure.
    abort: Option<BodyError>,
    writer: Writer,
    deadline: Option<Instant>,
    clock: Alarm,
    // Boxed because a timer may not move.
    silence: Option<Pin<Box<Sleep>>>,
    progress: Option<Rc<Progress>>,
    activity: Rc<Activity>,
    told: Rc<Told>,
    request_id: Arc<str>,
}

impl AnswerGate {
    /// The deadline of the call, or without one the silence of both sides (security LI-7).
    fn poll_clock(&mut self, cx: &mut Context<'_>) -> Poll<Refusal> {
        let end = self.deadline.unwrap_or_else(|| self.activity.end());
        ready!(self.clock.poll(end, cx));
        Poll::Ready(if self.deadline.is_some() { deadline_exceeded() } else { too_silent() })
    }

    /// Something to say where nothing was said for long.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        let Some(bytes) = self.writer.framer.as_ref().and_then(Framer::silence) else {
            return Poll::Pending;
        };
        let timer = self.silence.get_or_insert_with(|| Box::pin(sleep(EVENT_SILENCE)));
        ready!(timer.as_mut().poll(cx));
        self.silence = None;
        Poll::Ready(bytes)
    }

    fn refuse(&mut self, refusal: &Refusal) -> Option<Result<Piece, BodyError>> {
        note(&self.request_id, refusal);
        self.told.refused(refusal);
        self.fail(refusal.status(Shape::Rest))
    }

    /// Ends the answer with the record of a failure and cancels the rest at the upstream.
    fn fail(&mut self, said: Status) -> Option<Result<Piece, BodyError>> {
        self.messages = None;
        let said = for_caller(said, self.writer.place.plan().rest.error_details);
        self.told.ended(said.code);
        let aborted = BodyError::Aborted("the stream failed");
        let Some(framer) = &self.writer.framer else { return Some(Err(aborted)) };
        let status = rest::error_body(&said, Some(&self.writer.place.plan().plans));
        let (record, after) = framer.failure(&status);
        self.abort = (after == After::Abort).then_some(aborted);
        Some(Ok(Piece::Data(record)))
    }

    fn succeed(&mut self) -> Option<Result<Piece, BodyError>> {
        self.messages = None;
        self.told.ended(Code::Ok);
        let last = self.writer.framer.as_ref().map(Framer::success).unwrap_or_default();
        (!last.is_empty()).then_some(Ok(Piece::Data(last)))
    }
}

impl Source for AnswerGate {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, BodyError>>> {
        loop {
            if let Some(first) = self.first.take().filter(|first| !first.is_empty()) {
                return Poll::Ready(Some(Ok(Piece::Data(first))));
            }
            if let Some(error) = self.abort.take() {
                return Poll::Ready(Some(Err(error)));
            }
            let Some(messages) = &mut self.messages else { return Poll::Ready(None) };
            let polled = messages.poll_next(cx);
            // A fault of the caller's that came up on the way is the reason for whatever followed.
            let fault = self.progress.as_ref().and_then(|progress| progress.take_fault());
            if let Some(refusal) = fault {
                return Poll::Ready(self.refuse(&refusal));
            }
            let next = match polled {
                Poll::Ready(next) => next,
                Poll::Pending => {
                    if let Poll::Ready(refusal) = self.poll_clock(cx) {
                        return Poll::Ready(self.refuse(&refusal));
                    }
                    return self.poll_silence(cx).map(|bytes| Some(Ok(Piece::Data(bytes))));
                }
            };
            self.silence = None;
            match next {
                Next::Message(message) => match self.writer.write(&message) {
                    // Raw messages may be empty.
                    Ok(written) => self.first = Some(written.bytes),
                    Err(refusal) => return Poll::Ready(self.refuse(&refusal)),
                },
                Next::Ended(said) if said.code == Code::Ok => return Poll::Ready(self.succeed()),
                Next::Ended(said) if gave_up_for_time(&said, self.deadline) => {
                    return Poll::Ready(self.refuse(&deadline_exceeded()));
                }
                Next::Ended(said) => return Poll::Ready(self.fail(said)),
                Next::Broken(refusal) => return Poll::Ready(self.refuse(&refusal)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tandem_config::document::{JsonSwitches, RestSwitches};
    use tandem_contract::directory::Directory;
    use tandem_contract::{Contract, MethodKind};
    use tandem_protocol::envelope;
    use tandem_transcode::{Limits as JsonLimits, Plans, RulePlan};
    use tokio::sync::mpsc;

    use super::*;
    use crate::observe::Metrics;
    use crate::snapshot::{MethodPlan, Snapshot};
    use crate::upstream::{RetryRules, UpstreamAddress};

    const MANY: &str = r#"
        syntax = "proto3"; package test.v1; import "google/api/annotations.proto";
        message Note { string text = 1; }
        service Notes { rpc Many(Note) returns (stream Note) {
          option (google.api.http) = { get: "/v1/many" }; } }
    "#;

    fn snapshot(contract: Contract) -> Snapshot {
        let contract = Arc::new(contract);
        let (_, method) = contract.methods().next().expect("a method");
        let rule = RulePlan::new(&contract, &method.rules[0], method.input, method.output);
        let plan = MethodPlan {
            plans: Arc::new(Plans::new(Arc::clone(&contract))),
            kind: MethodKind::ServerStream,
            input: method.input,
            output: method.output,
            path: "/test.v1.Notes/Many".parse().expect("a path"),
            route: crate::route::Route::new(None, None, crate::route::CandidateShare::NONE),
            mirror: None,
            policy: crate::policy::auth::Policy::Public,
            limits: Default::default(),
            debug: false,
            deadline: None,
            message_bytes_max: 1024,
            rest: RestSwitches::default(),
            event_id: None,
            json: JsonSwitches::default(),
            cache: None,
            retries: RetryRules::NONE,
            counters: Metrics::new(1).method("notes", "test.v1.Notes.Many"),
            rpc_name: "/test.v1.Notes/Many".into(),
            rule_names: Vec::new(),
            rules: vec![rule],
        };
        Snapshot {
            directory: Directory::empty(),
            methods: vec![plan],
            waiting: BTreeSet::new(),
            left_out: Vec::new(),
        }
    }

    /// How messages are given to an upstream.
    type Send = mpsc::UnboundedSender<Vec<u8>>;

    /// Bytes of the largest message of the upstream.
    const MOST: u32 = 1024;

    fn messages(idle: Duration) -> (Messages, Send) {
        let (send, mut receive) = mpsc::unbounded_channel::<Vec<u8>>();
        let body = Body::stream(move |cx: &mut Context<'_>| {
            receive.poll_recv(cx).map(|message| Some(Ok(Piece::Data(envelope::frame(&message?)))))
        });
        let headers = [(http::header::CONTENT_TYPE, "application/grpc".parse().expect("a type"))];
        let answer =
            UpstreamAnswer { status: StatusCode::OK, headers: headers.into_iter().collect(), body };
        let authority = http::uri::Authority::from_static("it");
        let address = UpstreamAddress::Fixed(([127, 0, 0, 1], 1).into());
        let plain = Upstream::plain(address, authority, Duration::from_secs(1));
        let upstream = Arc::new(Upstream { message_bytes_max: MOST, ..plain });
        (Messages::of(answer, &upstream, Activity::new(idle)), send)
    }

    fn gate(framing: Framing, idle: Duration) -> (Body, Send) {
        let (messages, send) = messages(idle);
        let activity = Rc::clone(&messages.activity);
        let snapshot = Arc::new(snapshot(tandem_testkit::gateway::contract(MANY)));
        let reading =
            Reading { options: snapshot.methods[0].bind_options(), limits: JsonLimits::default() };
        let place = Place { snapshot, method: 0, rule: 0 };
        let gate = AnswerGate {
            first: None,
            messages: Some(messages),
            abort: None,
            writer: Writer { place, reading, framer: Some(Framer::new(framing, Envelope::Bare)) },
            deadline: None,
            clock: Alarm::default(),
            silence: None,
            progress: None,
            activity,
            told: Rc::default(),
            request_id: "id".into(),
        };
        (Body::stream(gate), send)
    }

    async fn text(body: &mut Body) -> String {
        match body.piece().await {
            Some(Ok(Piece::Data(data))) => String::from_utf8(data.to_vec()).expect("text"),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn protocols_s_7_a_comment_every_15_seconds_of_silence() {
        let began = Instant::now();
        let (mut body, send) = gate(Framing::Events, Duration::from_secs(70));
        let at = |seconds: u64| (began + Duration::from_secs(seconds), ":\n\n".to_owned());
        for seconds in [15, 30] {
            let comment = text(&mut body).await;
            assert_eq!((Instant::now(), comment), at(seconds));
        }
        // Ten seconds into the silence a message comes: the silence begins again.
        tokio::select! {
            biased;
            _ = text(&mut body) => panic!("nothing is due"),
            () = tokio::time::sleep(Duration::from_secs(10)) => {}
        }
        send.send(b"\x0a\x01a".to_vec()).expect("the gate lives");
        assert_eq!(text(&mut body).await, "id: 1\ndata: {\"text\":\"a\"}\n\n");
        for seconds in [55, 70, 85, 100] {
            let comment = text(&mut body).await;
            assert_eq!((Instant::now(), comment), at(seconds));
        }
        // Comments are ours: both sides have been silent since 40 s.
        let end = text(&mut body).await;
        assert!(end.starts_with("event: error\ndata: {\"code\":4,"), "{end}");
        assert_eq!(Instant::now(), began + Duration::from_secs(110));
        assert!(body.piece().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn protocols_s_11_what_comes_before_the_request_has_ended_is_kept_within_a_bound() {
        let each = 100 + size_of::<Next>();
        let fits = MOST as usize / each;
        for (count, fine) in [(fits, true), (fits + 1, false)] {
            let (mut messages, send) = messages(Duration::from_secs(300));
            for _ in 0..count {
                send.send(vec![0; 100]).expect("it is read");
            }
            let progress = Progress::default();
            let gathered = {
                let gathering = messages.gather_until_ended(&progress);
                tokio::time::timeout(Duration::from_secs(1), gathering).await
            };
            match gathered {
                Err(_still_gathering) => assert!(fine, "{count}"),
                Ok(gathered) => {
                    let reason = gathered.map_err(|refusal| refusal.reason);
                    assert_eq!((reason, fine), (Err(Reason::UpstreamTooLarge), false), "{count}");
                    continue;
                }
            }
            // What was kept comes first, in its order, and nothing is lost.
            drop(send);
            for _ in 0..count {
                assert!(
                    matches!(messages.next().await, Next::Message(found) if found.len() == 100)
                );
            }
            assert!(
                matches!(messages.next().await, Next::Ended(said) if said.code == Code::Internal)
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn protocols_s_7_arrays_and_lines_say_nothing_in_silence() {
        let lines = Framing::Lines(tandem_protocol::stream::Lines::Ndjson);
        for framing in [Framing::Array, lines] {
            let began = Instant::now();
            let (mut body, _send) = gate(framing, Duration::from_secs(300));
            let end = text(&mut body).await;
            assert!(end.contains("{\"error\":{\"code\":4,"), "{end}");
            assert_eq!(Instant::now(), began + Duration::from_secs(300));
            let aborted = BodyError::Aborted("the stream failed");
            assert_eq!(body.piece().await.map(|piece| piece.unwrap_err()), Some(aborted));
        }
    }
}
