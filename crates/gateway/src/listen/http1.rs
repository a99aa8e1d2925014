//! Downstream HTTP/1: the library's server half under our clocks.
//!
//! The library parses heads and frames bodies. What could be read in two ways does not reach it:
//! `protocol::http1` judges the bytes in front of it (in `wire`), `protocol::strict` what a request
//! says behind it. Its own limits are set a little wider than ours, so that a refusal is ours to
//! word. A body that fails is aborted: what it said before is sent, then the
//! connection closes without the last chunk, so a failed answer never looks complete (protocols
//! S-3).
//!
//! A caller that is silent for a second costs no engine: the library's connection is let go and
//! made anew when something comes. It holds two buffers of 8 KiB as long as it lives, and most
//! connections of a gateway are silent.
//!
//! Not here: our own server half (security FC-1), which will take the library's place behind this
//! same function and read a head once.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming as LibraryBody;
use hyper::server::conn::http1::Parts;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tandem_protocol::http1::Doubt;
use tandem_protocol::refusal::{Limit, Reason, Refusal};
use tokio::time::sleep;

use super::Origin;
use super::wire::{Activity, CallGuard, Wire};
use crate::body::{Body, BodyError, Piece};
use crate::call::{Answer, Incoming, Version};
use crate::observe::{Record, Shard};
use crate::path;
use crate::thread::Thread;

/// Serves one connection until it ends, by the caller, by a clock or by the drain.
pub(super) async fn serve(
    thread: Rc<Thread>,
    origin: Rc<Origin>,
    wire: Wire,
    activity: Rc<Activity>,
    age: Duration,
) {
    let limits = &thread.limits;
    let served = Cell::new(0_u32);
    let carry = |request: http::Request<LibraryBody>| {
        served.set(served.get() + 1);
        let last = served.get() >= limits.requests_per_connection;
        if served.get() == limits.requests_per_connection {
            thread.observe.count_limit(Limit::RequestsPerConnection);
        }
        let head_began = activity.head_began();
        let guard = activity.call();
        let thread = Rc::clone(&thread);
        let origin = Rc::clone(&origin);
        // Boxed, because the library keeps the room of one call as long as the connection lives.
        Box::pin(async move {
            let open = thread.stream_opened();
            let (head, body) = request.into_parts();
            let body = downstream_body(body, Rc::clone(&thread.observe));
            let version = match head.version {
                http::Version::HTTP_10 | http::Version::HTTP_09 => Version::Http10,
                _ => Version::Http1,
            };
            let mut incoming = Incoming { head_began, ..Incoming::new(head, body, version) };
            let answer = path::carry(&thread, &origin, &mut incoming).await;
            let mut response = library_answer(answer, guard, open);
            if last || thread.draining() {
                response
                    .headers_mut()
                    .insert(http::header::CONNECTION, http::HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        })
    };
    let head_bytes_max = limits.header_bytes as usize + limits.uri_bytes as usize + BYTES_BEYOND;
    let mut wire = wire.judging(head_bytes_max, {
        let (thread, origin) = (Rc::clone(&thread), Rc::clone(&origin));
        move |doubt| last_words(&thread, &origin, doubt)
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // Our wrapper keeps this clock from the first byte of a head; the library's would also
        // run while a connection is idle.
        .header_read_timeout(None)
        .max_headers(limits.headers as usize + HEADERS_BEYOND)
        // Answers are flushed even while another request waits behind them: a stream's messages
        // must not wait for its end (protocols S-8), so there is no `pipeline_flush`.
        .max_buf_size(head_bytes_max);
    let mut drain = thread.drain();
    let mut drain = pin!(drain.begun());
    let mut ageing = pin!(sleep(age));
    loop {
        let mut connection =
            Box::new(builder.serve_connection(TokioIo::new(wire), service_fn(&carry)));
        let turns = poll_fn(|cx| match Pin::new(&mut *connection).poll(cx) {
            Poll::Ready(ended) => Poll::Ready(Some(ended)),
            Poll::Pending if activity.is_at_rest() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        tokio::select! {
            ended = turns => match ended {
                Some(ended) => return note(ended, &thread.observe),
                None => {
                    let Parts { io, read_buf, .. } = connection.into_parts();
                    wire = io.into_inner();
                    wire.rest(read_buf);
                }
            },
            () = async { tokio::select! { () = drain.as_mut() => {} () = ageing.as_mut() => {} } } => {
                // The call under way finishes and says `connection: close`; without one it closes
                // at once.
                Pin::new(&mut *connection).graceful_shutdown();
                return note(connection.await, &thread.observe);
            }
        }
        // The library holds room for what comes next as long as it lives; a caller that is silent
        // gets by without.
        tokio::select! {
            come = poll_fn(|cx| wire.poll_come(cx)) => if let Err(error) = come {
                return tracing::debug!(%error, "http/1 connection ended");
            },
            () = drain.as_mut() => return,
            () = ageing.as_mut() => return,
        }
    }
}

/// Headers that the library lets pass above our limit, so that `strict` words the refusal.
const HEADERS_BEYOND: usize = 28;
/// Bytes of a head that the library lets pass above our limits, for the same reason.
const BYTES_BEYOND: usize = 16 * 1024;

/// The answer to a head that is not read, as bytes.
fn last_words(thread: &Rc<Thread>, origin: &Rc<Origin>, doubt: Doubt) -> Bytes {
    let refusal = match doubt {
        Doubt::Head(what) | Doubt::Body(what) => Refusal::new(Reason::Malformed, what),
        Doubt::TooLarge => {
            Refusal::new(Reason::HeadTooLarge, "the head is too large").over(Limit::HeaderBytes)
        }
    };
    let Answer { status, headers, mut body, mut record } =
        path::refuse_head(thread, origin, &refusal);
    let mut out = format!("{:?} {status}\r\n", http::Version::HTTP_11).into_bytes();
    for (name, value) in &headers {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"connection: close\r\n\r\n");
    // A refusal is there as a whole.
    let mut context = Context::from_waker(std::task::Waker::noop());
    if let Poll::Ready(Some(Ok(Piece::Data(data)))) = body.poll_piece(&mut context) {
        out.extend_from_slice(&data);
    }
    record.finish();
    out.into()
}

fn note(ended: hyper::Result<()>, shard: &Shard) {
    if let Err(error) = ended {
        if error.is_parse_too_large() {
            shard.count_limit(Limit::HeaderBytes); // the library has worded this refusal
        }
        // A caller that goes away or sends nonsense is no fault of ours.
        tracing::debug!(%error, "http/1 connection ended");
    }
}

fn downstream_body(mut body: LibraryBody, shard: Rc<Shard>) -> Body {
    use http_body::Body as _;
    if body.is_end_stream() {
        return Body::empty();
    }
    Body::stream(move |cx: &mut Context<'_>| {
        Pin::new(&mut body).poll_frame(cx).map(|frame| {
            Some(match frame? {
                Ok(frame) => match frame.into_data() {
                    Ok(data) => Ok(Piece::Data(data)),
                    // Dropped on the path (protocols M-6).
                    Err(frame) => {
                        shard.count_request_trailers();
                        Ok(Piece::Trailers(frame.into_trailers().unwrap_or_default()))
                    }
                },
                Err(error) if error.is_incomplete_message() || error.is_closed() => {
                    Err(BodyError::ConnectionLost(error.to_string()))
                }
                Err(error) => Err(BodyError::Malformed(error.to_string())),
            })
        })
    })
}

fn library_answer(
    answer: Answer,
    guard: CallGuard,
    open: crate::thread::OpenStream,
) -> http::Response<AnswerBody> {
    let Answer { status, headers, body, record } = answer;
    let body = AnswerBody { body, record, failed: None, guard, _open: open };
    let mut response = http::Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Our body in the library's clothes; the record of the call rides on it.
struct AnswerBody {
    body: Body,
    record: Record,
    /// Why the answer broke off, and how often the wire had been flushed by then.
    failed: Option<(BodyError, u64)>,
    guard: CallGuard,
    _open: crate::thread::OpenStream,
}

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        loop {
            if let Some((error, flushes)) = &this.failed {
                // The library throws away what it has not written when a body fails.
                std::task::ready!(this.guard.poll_flushed_since(*flushes, cx));
                return Poll::Ready(Some(Err(error.clone())));
            }
            return Poll::Ready(match std::task::ready!(this.body.poll_piece(cx)) {
                Some(Ok(Piece::Data(data))) => {
                    this.record.sent(data.len());
                    if this.body.is_empty() {
                        this.record.finish();
                    }
                    Some(Ok(Frame::data(data)))
                }
                // HTTP trailers leave to gRPC callers only, and those speak HTTP/2 (M-5).
                Some(Ok(Piece::Trailers(mut trailers))) => {
                    this.record.see_trailers(&mut trailers);
                    continue;
                }
                Some(Err(error)) => {
                    this.record.failed(&error);
                    this.failed = Some((error, this.guard.flushes()));
                    continue;
                }
                None => {
                    this.record.finish();
                    None
                }
            });
        }
    }

    fn is_end_stream(&self) -> bool {
        self.failed.is_none() && self.body.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        match self.body.exact_bytes() {
            Some(bytes) => SizeHint::with_exact(bytes),
            None => SizeHint::default(),
        }
    }
}
