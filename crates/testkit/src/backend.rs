//! A scripted upstream on the HTTP/2 library itself: it can be as wrong as a test needs.
//!
//! Each request takes the next line of the script; the last line repeats. What reached it is
//! recorded.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use tandem_protocol::envelope::{self, EnvelopeReader};
use tokio::net::TcpListener;
use tokio::sync::watch;

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
    /// Never answers.
    Hang,
    /// A head and the messages, then silence.
    HangAfter(Vec<Vec<u8>>),
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
    /// Whether the request was ended, not broken off.
    pub ended: bool,
}

/// A running upstream; ends when it is dropped.
pub struct Backend {
    pub address: SocketAddr,
    reached: Arc<Mutex<Vec<Reached>>>,
    cancelled: watch::Receiver<usize>,
    answered: watch::Receiver<usize>,
    _stop: watch::Sender<bool>,
}

struct Shared {
    script: Vec<Script>,
    next: Mutex<usize>,
    reached: Arc<Mutex<Vec<Reached>>>,
    cancelled: watch::Sender<usize>,
    answered: watch::Sender<usize>,
}

impl Backend {
    /// Starts it on a free port of this machine.
    pub fn start(script: Vec<Script>) -> Backend {
        let reached: Arc<Mutex<Vec<Reached>>> = Arc::default();
        let (count_cancelled, cancelled) = watch::channel(0);
        let (count_answered, answered) = watch::channel(0);
        let shared = Arc::new(Shared {
            script,
            next: Mutex::new(0),
            reached: Arc::clone(&reached),
            cancelled: count_cancelled,
            answered: count_answered,
        });
        let (stop, mut stopped) = watch::channel(false);
        let (say, heard) = std::sync::mpsc::sync_channel(1);
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a loop");
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                let _ = say.send(listener.local_addr().expect("it is bound"));
                let serving = async {
                    loop {
                        let (stream, _) = listener.accept().await.expect("a connection");
                        let shared = Arc::clone(&shared);
                        start(async move { serve(stream, shared).await });
                    }
                };
                tokio::select! {
                    () = serving => {}
                    _ = stopped.changed() => {}
                }
            });
        });
        let address = heard.recv().expect("the backend starts");
        Backend { address, reached, cancelled, answered, _stop: stop }
    }

    /// Everything that reached it so far.
    pub fn reached(&self) -> Vec<Reached> {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner).clone()
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

#[expect(clippy::disallowed_methods, reason = "the backend is no part of the gateway")]
fn start(future: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(future);
}

async fn serve(stream: tokio::net::TcpStream, shared: Arc<Shared>) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        let script = {
            let mut next = shared.next.lock().unwrap_or_else(PoisonError::into_inner);
            let script = shared.script[(*next).min(shared.script.len() - 1)].clone();
            *next += 1;
            script
        };
        start(answer(request, respond, script, Arc::clone(&shared)));
    }
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
    let mut ended = true;
    while let Some(data) = body.data().await {
        let Ok(data) = data else {
            ended = false;
            break;
        };
        let _ = body.flow_control().release_capacity(data.len());
        reader.push(data);
        while let Some(Ok(message)) = reader.next() {
            messages.push(message.payload);
        }
        // Answers that do not wait for the whole request begin at its first message.
        if matches!(script, Script::HangAfter(_)) {
            break;
        }
    }
    let first = messages.first().cloned().unwrap_or_default();
    let reached =
        Reached { path: head.uri.path().to_owned(), headers: head.headers, messages, ended };
    shared.reached.lock().unwrap_or_else(PoisonError::into_inner).push(reached);
    if !ended {
        shared.cancelled.send_modify(|count| *count += 1);
        return;
    }
    let script = match script {
        Script::Echo => Script::message(first.to_vec()),
        script => script,
    };
    let mut response = Response::new(());
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    match script {
        Script::Echo | Script::EchoEach => unreachable!("answered above"),
        Script::Flood(times, message) => {
            let Ok(mut stream) = respond.send_response(response, false) else { return };
            for _ in 0..times {
                let mut frame = envelope::frame(&message);
                while !frame.is_empty() {
                    stream.reserve_capacity(frame.len());
                    let room = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
                    let Some(Ok(room)) = room else { return };
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
