//! A scripted upstream on the HTTP/2 library itself: it can be as wrong as a test needs.
//!
//! Each request takes the next line of the script; the last line repeats. What reached it is
//! recorded. Questions after its health are answered apart and recorded nowhere.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use tandem_protocol::envelope::{self, EnvelopeReader};
use tokio::sync::watch;

use crate::acceptor::{Acceptor, start};

/// What the upstream does with one request.
#[derive(Debug, Clone)]
pub enum Script {
    /// A head, messages, trailers.
    Answer {
        http_status: u16,
        head: Vec<(&'static str, &'static str)>,
        messages: Vec<Vec<u8>>,
        /// `None` ends the stream without any.
        trailers: Option<Vec<(&'static str, &'static str)>>,
    },
    /// A head and bytes as they are, each piece in a DATA frame of its own; then the end.
    Raw { head: Vec<(&'static str, &'static str)>, pieces: Vec<Vec<u8>>, end: End },
    /// Answers with the request's first message.
    Echo,
    /// Answers each message with itself, when it comes.
    EchoEach,
    /// So many times this message, each when there is room for it, and status OK.
    Flood(usize, Vec<u8>),
    /// A head and messages, then the stream is reset with this code.
    ResetAfter { messages: Vec<Vec<u8>>, code: u32 },
    /// The stream is reset with this code before any head.
    Reset(u32),
    /// Bytes that are no message, then a lawful end.
    Garbage(Vec<u8>),
    /// A head and this `grpc-status` at the request's first message.
    RefuseAtOnce(&'static str),
    /// Never answers.
    Hang,
    /// A head and the messages, then silence.
    HangAfter(Vec<Vec<u8>>),
    /// Answers with the request's first message once [`Backend::release`] was called.
    Held,
    /// So long after the request came, the other.
    After(Duration, Box<Script>),
    /// Each request whose number, from 1, is a multiple of this gets the first, every other one
    /// the second.
    Every(usize, Box<Script>, Box<Script>),
}

/// What it answers to `grpc.health.v1.Health/Check`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It has no such service.
    Unknown,
    Serving,
    NotServing,
    /// It never answers.
    Silent,
}

/// How an answer ends.
#[derive(Debug, Clone)]
pub enum End {
    Trailers(Vec<(&'static str, &'static str)>),
    /// In its last DATA frame; without one in the head, which is how trailers-only looks.
    Bare,
    /// Reset with this code.
    Reset(u32),
}

/// How the upstream behaves as a server of HTTP/2, whatever it answers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Manner {
    /// SETTINGS_MAX_CONCURRENT_STREAMS.
    pub streams_most: Option<u32>,
    /// A connection says GOAWAY when this many requests have come on it.
    pub goaway_after: Option<usize>,
    /// Pings that it sends, one after the other, before it answers a request.
    pub pings: usize,
}

impl Script {
    /// One message and status OK.
    pub fn message(message: impl Into<Vec<u8>>) -> Script {
        Script::Answer {
            http_status: 200,
            head: vec![("content-type", "application/grpc")],
            messages: vec![message.into()],
            trailers: Some(vec![("grpc-status", "0")]),
        }
    }

    /// No message, and these trailers.
    pub fn trailers(trailers: &[(&'static str, &'static str)]) -> Script {
        Script::Answer {
            http_status: 200,
            head: vec![("content-type", "application/grpc")],
            messages: Vec::new(),
            trailers: Some(trailers.to_vec()),
        }
    }
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Reached {
    pub path: String,
    pub headers: HeaderMap,
    pub messages: Vec<Bytes>,
    /// The body as it came.
    pub body: Vec<u8>,
    /// Whether the request was ended, not broken off.
    pub ended: bool,
}

/// A running upstream; ends when it is dropped.
pub struct Backend {
    pub address: SocketAddr,
    reached: Arc<Mutex<Vec<Reached>>>,
    cancelled: watch::Receiver<usize>,
    shared: Arc<Shared>,
    connections: watch::Receiver<Connections>,
    answered: watch::Receiver<usize>,
    _acceptor: Acceptor,
}

/// What was seen of connections so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Connections {
    pub opened: usize,
    pub closed: usize,
    /// Pings of ours that were answered.
    pub pongs: usize,
    /// The most requests that were open at once on one connection.
    pub streams_most: usize,
}

struct Shared {
    script: Mutex<Vec<Script>>,
    manner: Manner,
    connections: watch::Sender<Connections>,
    next: Mutex<usize>,
    reached: Arc<Mutex<Vec<Reached>>>,
    cancelled: watch::Sender<usize>,
    health: Mutex<Health>,
    released: watch::Sender<bool>,
    go_aways: watch::Sender<usize>,
    answered: watch::Sender<usize>,
}

impl Backend {
    /// Starts it on a free port of this machine.
    pub fn start(script: Vec<Script>) -> Backend {
        Backend::with_manner(script, Manner::default())
    }

    /// As [`Backend::start`], with at most so many streams on one connection.
    pub fn start_with(script: Vec<Script>, streams_most: Option<u32>) -> Backend {
        Backend::with_manner(script, Manner { streams_most, ..Manner::default() })
    }

    /// As [`Backend::start`], with manners of its own.
    pub fn with_manner(script: Vec<Script>, manner: Manner) -> Backend {
        let reached: Arc<Mutex<Vec<Reached>>> = Arc::default();
        let (count_cancelled, cancelled) = watch::channel(0);
        let (count_connections, connections) = watch::channel(Connections::default());
        let (count_answered, answered) = watch::channel(0);
        let shared = Arc::new(Shared {
            script: Mutex::new(script),
            manner,
            connections: count_connections,
            next: Mutex::new(0),
            reached: Arc::clone(&reached),
            cancelled: count_cancelled,
            health: Mutex::new(Health::Unknown),
            released: watch::Sender::new(false),
            go_aways: watch::Sender::new(0),
            answered: count_answered,
        });
        let served = Arc::clone(&shared);
        let acceptor = Acceptor::start(move |stream| serve(stream, Arc::clone(&served)));
        let address = acceptor.address;
        Backend { address, reached, cancelled, shared, connections, answered, _acceptor: acceptor }
    }

    /// From now on this is its script, from its first line.
    pub fn set(&self, script: Vec<Script>) {
        *self.shared.script.lock().unwrap_or_else(PoisonError::into_inner) = script;
        *self.shared.next.lock().unwrap_or_else(PoisonError::into_inner) = 0;
    }

    /// From now on it says this of its health.
    pub fn set_health(&self, health: Health) {
        *self.shared.health.lock().unwrap_or_else(PoisonError::into_inner) = health;
    }

    /// Answers what is [`Script::Held`], now and from now on.
    pub fn release(&self) {
        self.shared.released.send_replace(true);
    }

    /// Says GOAWAY on every connection: the streams that were begun finish.
    pub fn go_away(&self) {
        self.shared.go_aways.send_modify(|count| *count += 1);
    }

    /// How many requests reached it so far.
    pub fn calls(&self) -> usize {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Everything that reached it so far.
    pub fn reached(&self) -> Vec<Reached> {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was seen of connections so far.
    pub fn connections(&self) -> Connections {
        *self.connections.borrow()
    }

    /// Waits until `count` requests were reset by the other side.
    pub async fn cancelled(&self, count: usize) {
        at_least(&self.cancelled, count, "it is cancelled in time").await;
    }

    /// Messages that [`Script::EchoEach`] and [`Script::Flood`] have answered.
    pub fn answers(&self) -> usize {
        *self.answered.borrow()
    }

    /// Waits until they have answered `count` messages.
    pub async fn answered(&self, count: usize) {
        at_least(&self.answered, count, "it answers in time").await;
    }
}

async fn at_least(counter: &watch::Receiver<usize>, count: usize, expected: &str) {
    let mut counter = counter.clone();
    let waited = counter.wait_for(|counted| *counted >= count);
    tokio::time::timeout(Duration::from_secs(10), waited)
        .await
        .expect(expected)
        .expect("the backend lives");
}

async fn serve(stream: tokio::net::TcpStream, shared: Arc<Shared>) {
    let Manner { streams_most, goaway_after, pings } = shared.manner;
    let mut builder = h2::server::Builder::new();
    if let Some(streams) = streams_most {
        builder.max_concurrent_streams(streams);
    }
    let Ok(mut connection) = builder.handshake(stream).await else { return };
    shared.connections.send_modify(|seen| seen.opened += 1);
    let mut ping_pong = connection.ping_pong().expect("it was not taken before");
    let (answered, pinged) = watch::channel(pings == 0);
    let pinging = async {
        for _ in 0..pings {
            if ping_pong.ping(h2::Ping::opaque()).await.is_err() {
                return;
            }
            shared.connections.send_modify(|seen| seen.pongs += 1);
        }
        answered.send_replace(true);
    };
    let open = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let serving = async {
        let mut accepted = 0;
        let mut go_aways = shared.go_aways.subscribe();
        loop {
            let next = tokio::select! {
                next = connection.accept() => next,
                _ = go_aways.changed() => {
                    connection.graceful_shutdown();
                    continue;
                }
            };
            let Some(Ok((request, respond))) = next else { break };
            if request.uri().path() == "/grpc.health.v1.Health/Check" {
                let health = *shared.health.lock().unwrap_or_else(PoisonError::into_inner);
                start(answer_health(respond, health));
                continue;
            }
            accepted += 1;
            if goaway_after == Some(accepted) {
                connection.graceful_shutdown();
            }
            let script = {
                let mut next = shared.next.lock().unwrap_or_else(PoisonError::into_inner);
                let script = shared.script.lock().unwrap_or_else(PoisonError::into_inner);
                let line = script[(*next).min(script.len() - 1)].clone();
                *next += 1;
                match line {
                    Script::Every(count, one, other) => {
                        if next.is_multiple_of(count) {
                            *one
                        } else {
                            *other
                        }
                    }
                    line => line,
                }
            };
            let streams = open.fetch_add(1, Ordering::Relaxed) + 1;
            shared.connections.send_modify(|seen| {
                seen.streams_most = seen.streams_most.max(streams);
            });
            let (shared, open, mut pinged) =
                (Arc::clone(&shared), Arc::clone(&open), pinged.clone());
            start(async move {
                let _ = pinged.wait_for(|pinged| *pinged).await;
                answer(request, respond, script, shared).await;
                open.fetch_sub(1, Ordering::Relaxed);
            });
        }
    };
    tokio::join!(serving, pinging);
    shared.connections.send_modify(|seen| seen.closed += 1);
}

async fn answer_health(mut respond: SendResponse<Bytes>, health: Health) {
    let mut response = Response::new(());
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    // `HealthCheckResponse.status`: SERVING is 1, NOT_SERVING is 2.
    let message = match health {
        Health::Serving => [8, 1],
        Health::NotServing => [8, 2],
        Health::Unknown => {
            response.headers_mut().insert("grpc-status", HeaderValue::from_static("12"));
            let _ = respond.send_response(response, true);
            return;
        }
        Health::Silent => {
            let _ = std::future::poll_fn(|cx| respond.poll_reset(cx)).await;
            return;
        }
    };
    let Ok(mut stream) = respond.send_response(response, false) else { return };
    let _ = stream.send_data(envelope::frame(&message), false);
    let _ = stream.send_trailers(headers(&[("grpc-status", "0")]));
}

async fn answer(
    request: http::Request<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
    script: Script,
    shared: Arc<Shared>,
) {
    if matches!(script, Script::EchoEach) {
        return echo_each(request.into_body(), respond, &shared).await;
    }
    let (head, mut body) = request.into_parts();
    let mut reader = EnvelopeReader::new(64 << 20);
    let mut messages = Vec::new();
    let mut bytes = Vec::new();
    let mut ended = true;
    while let Some(data) = body.data().await {
        let Ok(data) = data else {
            ended = false;
            break;
        };
        let _ = body.flow_control().release_capacity(data.len());
        bytes.extend_from_slice(&data);
        reader.push(data);
        while let Some(Ok(message)) = reader.next() {
            messages.push(message.payload);
        }
        // Answers that do not wait for the whole request begin at its first message.
        if matches!(script, Script::HangAfter(_) | Script::RefuseAtOnce(_)) {
            break;
        }
    }
    let first = messages.first().cloned().unwrap_or_default();
    let path = head.uri.path().to_owned();
    let reached = Reached { path, headers: head.headers, messages, body: bytes, ended };
    shared.reached.lock().unwrap_or_else(PoisonError::into_inner).push(reached);
    if !ended {
        shared.cancelled.send_modify(|count| *count += 1);
        return;
    }
    let script = match script {
        Script::After(time, then) => {
            tokio::time::sleep(time).await;
            *then
        }
        script => script,
    };
    let script = match script {
        Script::Echo => Script::message(first.to_vec()),
        Script::Held => {
            let mut released = shared.released.subscribe();
            tokio::select! {
                _ = released.wait_for(|released| *released) => {}
                _ = std::future::poll_fn(|cx| respond.poll_reset(cx)) => {
                    shared.cancelled.send_modify(|count| *count += 1);
                    return;
                }
            }
            Script::message(first.to_vec())
        }
        script => script,
    };
    let mut response = Response::new(());
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    match script {
        Script::Echo | Script::EchoEach | Script::Held => unreachable!("answered above"),
        Script::After(..) | Script::Every(..) => unreachable!("they stand in no other"),
        Script::Flood(times, message) => {
            let Ok(mut stream) = respond.send_response(response, false) else { return };
            for _ in 0..times {
                let mut frame = envelope::frame(&message);
                while !frame.is_empty() {
                    stream.reserve_capacity(frame.len());
                    let room = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
                    let Some(Ok(room)) = room else {
                        shared.cancelled.send_modify(|count| *count += 1);
                        return;
                    };
                    let _ = stream.send_data(frame.split_to(room.min(frame.len())), false);
                }
                shared.answered.send_modify(|count| *count += 1);
            }
            let _ = stream.send_trailers(headers(&[("grpc-status", "0")]));
        }
        Script::Answer { http_status, head, messages, trailers } => {
            *response.status_mut() = StatusCode::from_u16(http_status).expect("a status");
            *response.headers_mut() = headers(&head);
            let Ok(mut stream) = respond.send_response(response, false) else { return };
            for message in messages {
                let _ = stream.send_data(envelope::frame(&message), false);
            }
            let _ = match trailers {
                Some(trailers) => stream.send_trailers(headers(&trailers)),
                None => stream.send_data(Bytes::new(), true),
            };
        }
        Script::Raw { head, pieces, end } => {
            *response.headers_mut() = headers(&head);
            let bare = matches!(end, End::Bare);
            let Ok(mut stream) = respond.send_response(response, bare && pieces.is_empty()) else {
                return;
            };
            let last = pieces.len();
            for (index, piece) in pieces.into_iter().enumerate() {
                let _ = stream.send_data(piece.into(), bare && index + 1 == last);
            }
            match end {
                End::Trailers(trailers) => {
                    let _ = stream.send_trailers(headers(&trailers));
                }
                End::Bare => {}
                End::Reset(code) => {
                    // What was sent leaves before the reset takes the stream away.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    stream.send_reset(Reason::from(code));
                }
            }
        }
        Script::ResetAfter { messages, code } => {
            let Ok(mut stream) = respond.send_response(response, false) else { return };
            for message in messages {
                let _ = stream.send_data(envelope::frame(&message), false);
            }
            // What was sent leaves before the reset takes the stream away.
            tokio::time::sleep(Duration::from_millis(50)).await;
            stream.send_reset(Reason::from(code));
        }
        Script::Reset(code) => respond.send_reset(Reason::from(code)),
        Script::Garbage(bytes) => {
            let Ok(mut stream) = respond.send_response(response, false) else { return };
            let _ = stream.send_data(Bytes::from(bytes), false);
            let _ = stream.send_trailers(headers(&[("grpc-status", "0")]));
        }
        Script::Hang => {
            let _ = std::future::poll_fn(|cx| respond.poll_reset(cx)).await;
            shared.cancelled.send_modify(|count| *count += 1);
        }
        Script::RefuseAtOnce(status) => {
            let Ok(mut stream) = respond.send_response(response, false) else { return };
            let _ = stream.send_trailers(headers(&[("grpc-status", status)]));
        }
        Script::HangAfter(messages) => {
            let Ok(mut stream) = respond.send_response(response, false) else { return };
            for message in messages {
                let _ = stream.send_data(envelope::frame(&message), false);
            }
            let _ = std::future::poll_fn(|cx| stream.poll_reset(cx)).await;
            shared.cancelled.send_modify(|count| *count += 1);
        }
    }
}

async fn echo_each(mut body: h2::RecvStream, mut respond: SendResponse<Bytes>, shared: &Shared) {
    let mut response = Response::new(());
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    let Ok(mut stream) = respond.send_response(response, false) else { return };
    let mut reader = EnvelopeReader::new(64 << 20);
    while let Some(data) = body.data().await {
        let Ok(data) = data else {
            shared.cancelled.send_modify(|count| *count += 1);
            return;
        };
        let _ = body.flow_control().release_capacity(data.len());
        reader.push(data);
        while let Some(Ok(message)) = reader.next() {
            let _ = stream.send_data(envelope::frame(&message.payload), false);
            shared.answered.send_modify(|count| *count += 1);
        }
    }
    let _ = stream.send_trailers(headers(&[("grpc-status", "0")]));
}

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers
}
