//! One connection to one server, for work off the path: the command line, tests.
//!
//! No pool, no retry, no balance: a call either gets its answer or an error that names the step
//! at which it failed and the time it took. What a call sends is known when it begins: all of it
//! goes out, then its end; so a stream is answered as a whole, or as much of it as is wanted.
//!
//! Not here: calls of callers (`Pool`).

use std::future::poll_fn;
use std::net::SocketAddr;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::SendStream;
use h2::client::{ResponseFuture, SendRequest};
use http::response::Parts;
use http::{HeaderMap, StatusCode};
use tandem_protocol::envelope::{self, EnvelopeError, EnvelopeReader};
use tandem_protocol::status::{self, Code, Status};
use tokio::time::{Instant, timeout_at};

use super::connection::{self, Dialled, Windows, client_builder};
use super::{Upstream, addresses};
use crate::net;
use crate::tasks::Side;

/// Largest answer that is read.
const ANSWER_BYTES_MOST: usize = 64 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[error("{address}: {step} failed after {} ms: {what}", after.as_millis())]
pub struct DirectError {
    pub address: String,
    /// `resolve`, `connect`, `TLS`, `HTTP/2` or `call`.
    pub step: &'static str,
    pub after: Duration,
    pub what: String,
}

/// An HTTP/2 connection.
pub struct Direct {
    address: SocketAddr,
    /// `http://HOST:PORT`, in front of each path.
    origin: String,
    send: SendRequest<Bytes>,
}

/// How a unary call ended.
#[derive(Debug)]
pub struct UnaryAnswer {
    pub http_status: StatusCode,
    pub head: HeaderMap,
    pub trailers: HeaderMap,
    /// OK or not.
    pub status: Status,
    /// Empty where there was none.
    pub message: Bytes,
}

/// How much of a stream of answers is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Messages after which it is cut, if it has not ended with them.
    pub messages_most: u64,
    /// Time after which it is cut; `None`: it ends within the time of the call, or has failed.
    pub time_most: Option<Duration>,
    /// Bytes of all messages together; of a stream that has more nothing is kept.
    pub bytes_most: u64,
    /// Messages are kept; else they are counted.
    pub keeps: bool,
}

/// How a stream of answers ended.
#[derive(Debug)]
pub enum StreamEnd {
    /// By itself, with whatever status.
    Ended { trailers: HeaderMap, status: Status },
    /// It had more messages than are read, or did not end with them.
    CutByCount,
    /// It had not ended when its time was over.
    CutByTime,
    /// Its messages have more bytes than are read.
    TooLarge,
}

/// What was read of a stream.
#[derive(Debug)]
pub struct StreamAnswer {
    /// In their order; empty where they are only counted.
    pub messages: Vec<Bytes>,
    pub count: u64,
    pub bytes: u64,
    /// From the last message to the end of reading, of a stream that was cut; of one without
    /// messages nothing, for it was waited for all the time.
    pub quiet: Duration,
    pub end: StreamEnd,
}

impl Direct {
    /// Connects within `limit`; the connection is driven by a task of `side`.
    ///
    /// # Errors
    /// No connection, or no HTTP/2 on it.
    pub async fn connect(
        address: SocketAddr,
        limit: Duration,
        side: &Side,
    ) -> Result<Direct, DirectError> {
        let began = Instant::now();
        let failed = |step, what: String| {
            let address = address.to_string();
            DirectError { address, step, after: began.elapsed(), what }
        };
        let io = net::connect(address, limit)
            .await
            .map_err(|error| failed("connect", error.to_string()))?;
        let handshake = client_builder(Windows::DIRECT).handshake::<_, Bytes>(io);
        let (send, connection) = timeout_at(began + limit, handshake)
            .await
            .map_err(|_elapsed| failed("HTTP/2", "no handshake in time".into()))?
            .map_err(|error| failed("HTTP/2", error.to_string()))?;
        side.start(async move {
            let _ = connection.await; // its users learn of its end by their calls
        });
        Ok(Direct { address, origin: format!("http://{address}"), send })
    }

    /// Connects to the first address of `upstream` that answers, as the upstream is configured:
    /// over TLS where it has that, within its time; the connection is driven by a task of `side`.
    ///
    /// # Errors
    /// As [`Direct::connect`], for the last address; a name that does not resolve.
    pub async fn to(upstream: &Upstream, side: &Side) -> Result<Direct, DirectError> {
        let began = Instant::now();
        let failed =
            |address, step, what| DirectError { address, step, after: began.elapsed(), what };
        let all = addresses(upstream)
            .await
            .map_err(|(address, what)| failed(address, "resolve", what))?;
        let mut last = failed(upstream.name.to_string(), "resolve", "no address".into());
        let upstream = Upstream { windows: Windows::DIRECT, ..upstream.clone() };
        for address in all {
            match connection::dial(&upstream, address).await {
                Ok(Dialled { send, work, .. }) => {
                    side.start(async move {
                        let _ = work.await; // its users learn of its end by their calls
                    });
                    let origin = format!("{}://{}", upstream.scheme(), upstream.authority);
                    return Ok(Direct { address, origin, send });
                }
                Err((step, what)) => last = failed(address.to_string(), step, what),
            }
        }
        Err(last)
    }

    /// Whether a call can be begun on it, as far as it is known: it lives, and its server has not
    /// taken its leave.
    pub fn is_usable(&self) -> bool {
        // The library keeps the GOAWAY as an error for those who would open a stream.
        let mut cx = Context::from_waker(Waker::noop());
        !matches!(self.send.clone().poll_ready(&mut cx), Poll::Ready(Err(_)))
    }

    /// Calls `path` (`/package.Service/Method`) with one message.
    ///
    /// # Errors
    /// When the stream breaks; a status that is not OK is an answer.
    pub async fn unary(
        &self,
        path: &str,
        headers: &HeaderMap,
        message: &[u8],
        limit: Duration,
    ) -> Result<UnaryAnswer, DirectError> {
        let began = Instant::now();
        let uri = format!("{}{path}", self.origin);
        let call = unary(self.send.clone(), &uri, headers, message);
        let answer = timeout_at(began + limit, call).await;
        let answer = answer.unwrap_or_else(|_elapsed| Err("no answer in time".into()));
        answer.map_err(|what| self.failed(began, what))
    }

    /// Calls `path` with these messages, one after the other and then their end, and reads what is
    /// answered meanwhile, as much of it as `reading` wants. A stream that is cut is taken back.
    ///
    /// # Errors
    /// When the stream breaks, or has not ended in time; cuts and a status that is not OK are
    /// answers.
    pub async fn stream(
        &self,
        path: &str,
        headers: &HeaderMap,
        messages: &[Bytes],
        reading: &Reading,
        limit: Duration,
    ) -> Result<StreamAnswer, DirectError> {
        let began = Instant::now();
        let uri = format!("{}{path}", self.origin);
        let cut_at = reading.time_most.filter(|time| *time < limit).map(|time| began + time);
        // Outside of the call, so that what was read is there when its time is over.
        let mut read = Read::default();
        let call = stream(self.send.clone(), &uri, headers, messages, reading, &mut read);
        let end = match (timeout_at(cut_at.unwrap_or(began + limit), call).await, cut_at) {
            (Ok(Ok(end)), _) => end,
            (Ok(Err(what)), _) => return Err(self.failed(began, what)),
            (Err(_elapsed), Some(_)) => StreamEnd::CutByTime,
            (Err(_elapsed), None) => return Err(self.failed(began, "no answer in time".into())),
        };
        let Read { mut messages, count, bytes, last } = read;
        if matches!(end, StreamEnd::TooLarge) {
            messages.clear();
        }
        let quiet = match end {
            StreamEnd::Ended { .. } | StreamEnd::TooLarge => Duration::ZERO,
            StreamEnd::CutByCount | StreamEnd::CutByTime => {
                last.map(|last| last.elapsed()).unwrap_or_default()
            }
        };
        Ok(StreamAnswer { messages, count, bytes, quiet, end })
    }

    fn failed(&self, began: Instant, what: String) -> DirectError {
        let address = self.address.to_string();
        DirectError { address, step: "call", after: began.elapsed(), what }
    }
}

/// What came of a stream so far.
#[derive(Default)]
struct Read {
    messages: Vec<Bytes>,
    count: u64,
    bytes: u64,
    last: Option<Instant>,
}

async fn stream(
    send: SendRequest<Bytes>,
    uri: &str,
    headers: &HeaderMap,
    messages: &[Bytes],
    reading: &Reading,
    read: &mut Read,
) -> Result<StreamEnd, String> {
    let failed = |error: h2::Error| error.to_string();
    let (response, mut body) = begin(send, uri, headers).await?;
    for message in messages {
        body.send_data(envelope::frame(message), false).map_err(failed)?;
    }
    body.send_data(Bytes::new(), true).map_err(failed)?;
    let (head, mut body) = response.await.map_err(failed)?.into_parts();
    let mut reader = EnvelopeReader::new(ANSWER_BYTES_MOST);
    while let Some(data) = body.data().await {
        let data = data.map_err(failed)?;
        let _ = body.flow_control().release_capacity(data.len());
        reader.push(data);
        while let Some(message) = reader.next() {
            let message = match message {
                Ok(message) => message.payload,
                Err(EnvelopeError::TooLarge { .. }) => return Ok(StreamEnd::TooLarge),
                Err(error) => return Err(error.to_string()),
            };
            if read.count == reading.messages_most {
                return Ok(StreamEnd::CutByCount);
            }
            read.count += 1;
            read.bytes += message.len() as u64;
            read.last = Some(Instant::now());
            if read.bytes > reading.bytes_most {
                return Ok(StreamEnd::TooLarge);
            }
            if reading.keeps {
                read.messages.push(message);
            }
        }
        // Whether another one comes is not waited for: one that follows live may be silent.
        if read.count == reading.messages_most && !body.is_end_stream() {
            return Ok(StreamEnd::CutByCount);
        }
    }
    reader.end().map_err(|error| error.to_string())?;
    let trailers = poll_fn(|cx| body.poll_trailers(cx)).await.map_err(failed)?.unwrap_or_default();
    let status = said(&head, &trailers);
    Ok(StreamEnd::Ended { trailers, status })
}

/// Opens a stream for a call to `uri`.
async fn begin(
    send: SendRequest<Bytes>,
    uri: &str,
    headers: &HeaderMap,
) -> Result<(ResponseFuture, SendStream<Bytes>), String> {
    let mut send = send.ready().await.map_err(|error| error.to_string())?;
    let mut request = http::Request::post(uri)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .map_err(|error| error.to_string())?;
    for (name, value) in headers {
        request.headers_mut().append(name.clone(), value.clone());
    }
    send.send_request(request, false).map_err(|error| error.to_string())
}

/// The status of an answer, from its trailers or else its head.
fn said(head: &Parts, trailers: &HeaderMap) -> Status {
    status::from_trailers(trailers).or_else(|| status::from_trailers(&head.headers)).unwrap_or_else(
        || match head.status {
            StatusCode::OK => Status::new(Code::Internal, "no status"),
            other => status::from_http(other),
        },
    )
}

/// Calls `uri` with one message on a connection that somebody drives.
///
/// # Errors
/// In words for the log, when the stream breaks; a status that is not OK is an answer.
pub(crate) async fn unary(
    send: SendRequest<Bytes>,
    uri: &str,
    headers: &HeaderMap,
    message: &[u8],
) -> Result<UnaryAnswer, String> {
    let failed = |error: h2::Error| error.to_string();
    let (response, mut body) = begin(send, uri, headers).await?;
    body.send_data(envelope::frame(message), true).map_err(failed)?;
    let (head, mut body) = response.await.map_err(failed)?.into_parts();
    let mut reader = EnvelopeReader::new(ANSWER_BYTES_MOST);
    while let Some(data) = body.data().await {
        let data = data.map_err(failed)?;
        let _ = body.flow_control().release_capacity(data.len());
        reader.push(data);
    }
    let trailers = poll_fn(|cx| body.poll_trailers(cx)).await.map_err(failed)?.unwrap_or_default();
    let message = match reader.next() {
        Some(Ok(message)) => message.payload,
        Some(Err(error)) => return Err(error.to_string()),
        None => Bytes::new(),
    };
    let said = said(&head, &trailers);
    let (http_status, head) = (head.status, head.headers);
    Ok(UnaryAnswer { http_status, head, trailers, status: said, message })
}
