//! Sends a call to its upstream and gives back the answer as it comes.
//!
//! The HTTP/2 library is used directly here, because its reset codes, windows and GOAWAY decide
//! what may be said to the caller and what may be sent again (performance PF-4). A call whose
//! request provably never began (no stream could be opened, or the upstream refused the stream)
//! is sent once more on another connection, if its body is at hand (security U-3).
//!
//! Dropping what `send` returns cancels the stream at the upstream.
//!
//! Not here: what the answer means to the caller (`path`), which upstream it is (`route`).

pub mod direct;
mod pool;
pub mod reflection;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, StatusCode, Uri};

use self::pool::Lease;
pub(crate) use self::pool::{NoStream, Pool};
use crate::body::{Body, BodyError, Companion, Piece};

/// An upstream as the snapshot describes it.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// Unlike for any two upstreams of the process: namespace and name.
    pub key: Arc<str>,
    /// The name that its team gave it; shown in traces, metrics and logs, never to callers.
    pub name: Arc<str>,
    pub addresses: Vec<UpstreamAddress>,
    /// Time for a connection: TCP and the HTTP/2 handshake together.
    pub connect: Duration,
    /// The largest message that it may answer (security LI-25).
    pub message_bytes_max: u32,
    /// What it is called in `:authority`.
    pub authority: http::uri::Authority,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamAddress {
    Fixed(SocketAddr),
    Name { host: String, port: u16 },
}

/// What is sent: gRPC, always.
pub(crate) struct Outgoing {
    /// `/package.Service/Method`.
    pub(crate) path: http::uri::PathAndQuery,
    /// Everything but what HTTP/2 itself needs.
    pub(crate) headers: HeaderMap,
    pub(crate) body: OutgoingBody,
}

pub(crate) enum OutgoingBody {
    /// At hand, so it can be sent again.
    Whole(Bytes),
    /// Sent as it comes, so it can be sent once.
    Stream(Body),
}

/// The head of an upstream's answer, and what follows it.
pub(crate) struct UpstreamAnswer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error(transparent)]
    NoStream(#[from] NoStream),
    /// The upstream reset the stream, with this code of RFC 9113, section 7.
    #[error("{name} reset the stream with code {code}")]
    Reset { name: Arc<str>, code: u32 },
    #[error("{name}: connection lost: {what}")]
    ConnectionLost { name: Arc<str>, what: String },
}

/// How often a call that never began is begun again.
const BEGINNINGS_MOST: u32 = 3;

impl Pool {
    /// Sends `outgoing` and waits for the head of the answer. The deadline is the caller's to
    /// keep; nothing here waits for anything else.
    pub(crate) async fn send(
        &self,
        upstream: &Arc<Upstream>,
        outgoing: Outgoing,
    ) -> Result<UpstreamAnswer, SendError> {
        let Outgoing { path, headers, mut body } = outgoing;
        let mut begun = 0;
        loop {
            begun += 1;
            let (send, lease) = self.stream(upstream).await?;
            // The library hands out streams to those who ask for them.
            let send = match send.ready().await {
                Ok(send) => send,
                Err(error) => {
                    lease.condemn();
                    if begun < BEGINNINGS_MOST {
                        continue;
                    }
                    return Err(lost(upstream, &error));
                }
            };
            let head = request_head(upstream, path.clone(), headers.clone());
            let (response, pump, again) = match begin(send, head, body) {
                Ok(begun) => begun,
                Err((error, unsent)) => {
                    lease.condemn();
                    body = unsent;
                    if begun < BEGINNINGS_MOST {
                        continue;
                    }
                    return Err(lost(upstream, &error));
                }
            };
            match answer_head(response, pump).await {
                Ok((response, pump)) => return Ok(answer(response, pump, lease)),
                Err(error) if never_began(&error) && begun < BEGINNINGS_MOST => match again {
                    Some(bytes) => body = OutgoingBody::Whole(bytes),
                    None => return Err(lost(upstream, &error)),
                },
                Err(error) => return Err(lost(upstream, &error)),
            }
        }
    }
}

fn request_head(
    upstream: &Upstream,
    path: http::uri::PathAndQuery,
    headers: HeaderMap,
) -> http::Request<()> {
    let mut uri = http::uri::Parts::default();
    uri.scheme = Some(http::uri::Scheme::HTTP);
    uri.authority = Some(upstream.authority.clone());
    uri.path_and_query = Some(path);
    let mut request = http::Request::new(());
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = Uri::from_parts(uri).expect("scheme, authority and path are all there");
    *request.headers_mut() = headers;
    request
}

type Begun = (ResponseFuture, Option<Companion>, Option<Bytes>);

/// Opens the stream; gives the body back if it could not be opened.
#[expect(clippy::result_large_err, reason = "the body goes back to be sent on another connection")]
fn begin(
    mut send: SendRequest<Bytes>,
    head: http::Request<()>,
    body: OutgoingBody,
) -> Result<Begun, (h2::Error, OutgoingBody)> {
    match body {
        OutgoingBody::Whole(bytes) => match send.send_request(head, bytes.is_empty()) {
            Ok((response, mut stream)) => {
                if !bytes.is_empty() {
                    // The bytes are in memory already: the library keeps them and sends them as
                    // the window opens.
                    if let Err(error) = stream.send_data(bytes.clone(), true) {
                        return Err((error, OutgoingBody::Whole(bytes)));
                    }
                }
                Ok((response, None, Some(bytes)))
            }
            Err(error) => Err((error, OutgoingBody::Whole(bytes))),
        },
        OutgoingBody::Stream(body) if body.is_empty() => match send.send_request(head, true) {
            Ok((response, _stream)) => Ok((response, None, None)),
            Err(error) => Err((error, OutgoingBody::Stream(body))),
        },
        OutgoingBody::Stream(body) => match send.send_request(head, false) {
            Ok((response, stream)) => Ok((response, Some(Box::pin(pump(body, stream))), None)),
            Err(error) => Err((error, OutgoingBody::Stream(body))),
        },
    }
}

/// Moves the request's pieces to the upstream as its windows allow.
async fn pump(mut body: Body, mut stream: SendStream<Bytes>) {
    while let Some(piece) = body.piece().await {
        match piece {
            Ok(Piece::Data(mut data)) => {
                while !data.is_empty() {
                    stream.reserve_capacity(data.len());
                    let room = match poll_fn(|cx| stream.poll_capacity(cx)).await {
                        Some(Ok(room)) => room,
                        // The answer says why; what is left of the request is not wanted.
                        Some(Err(_)) | None => return,
                    };
                    let part = data.split_to(room.min(data.len()));
                    if !part.is_empty() && stream.send_data(part, false).is_err() {
                        return;
                    }
                }
            }
            // Request trailers are dropped (protocols M-6).
            Ok(Piece::Trailers(_)) => break,
            Err(_) => {
                // Never ended, always reset: half a request must not look whole.
                stream.send_reset(Reason::CANCEL);
                return;
            }
        }
    }
    let _ = stream.send_data(Bytes::new(), true);
}

async fn answer_head(
    mut response: ResponseFuture,
    mut pump: Option<Companion>,
) -> Result<(http::Response<RecvStream>, Option<Companion>), h2::Error> {
    let response = poll_fn(|cx| {
        poll_pump(&mut pump, cx);
        Pin::new(&mut response).poll(cx)
    })
    .await?;
    Ok((response, pump))
}

fn poll_pump(pump: &mut Option<Companion>, cx: &mut Context<'_>) {
    if let Some(running) = pump
        && running.as_mut().poll(cx).is_ready()
    {
        *pump = None;
    }
}

fn answer(
    response: http::Response<RecvStream>,
    mut pump: Option<Companion>,
    lease: Lease,
) -> UpstreamAnswer {
    let (head, mut stream) = response.into_parts();
    let body = if stream.is_end_stream() {
        Body::empty()
    } else {
        let mut data_ended = false;
        Body::stream(move |cx: &mut Context<'_>| {
            let _held = &lease;
            poll_pump(&mut pump, cx);
            if !data_ended {
                match ready!(stream.poll_data(cx)) {
                    Some(Ok(data)) => {
                        let released = stream.flow_control().release_capacity(data.len());
                        return Poll::Ready(Some(match released {
                            Ok(()) => Ok(Piece::Data(data)),
                            Err(error) => Err(body_error(&error)),
                        }));
                    }
                    Some(Err(error)) => return Poll::Ready(Some(Err(body_error(&error)))),
                    None => data_ended = true,
                }
            }
            stream.poll_trailers(cx).map(|trailers| match trailers {
                Ok(Some(trailers)) => Some(Ok(Piece::Trailers(trailers))),
                Ok(None) => None,
                Err(error) => Some(Err(body_error(&error))),
            })
        })
    };
    UpstreamAnswer { status: head.status, headers: head.headers, body }
}

fn body_error(error: &h2::Error) -> BodyError {
    match error.reason() {
        Some(reason) if error.is_reset() => BodyError::Reset(reason.into()),
        _ => BodyError::ConnectionLost(error.to_string()),
    }
}

fn never_began(error: &h2::Error) -> bool {
    error.is_remote() && error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM)
}

fn lost(upstream: &Upstream, error: &h2::Error) -> SendError {
    let name = Arc::clone(&upstream.name);
    match error.reason() {
        Some(reason) if error.is_reset() => SendError::Reset { name, code: reason.into() },
        _ => SendError::ConnectionLost { name, what: error.to_string() },
    }
}
