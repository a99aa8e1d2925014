//! Downstream HTTP/2 on the library's server half.
//!
//! One task a connection reads frames and accepts streams, one task a stream carries its call. A
//! caller that resets its stream drops that task and everything it holds, the upstream's stream
//! included; so a caller that leaves cancels the whole chain (hybrid HY-2). Answers move by
//! flow control: nothing is taken from the upstream until the caller has room.
//!
//! A connection that is to go, for its age, the number of its calls, its silence or the drain, is
//! told twice: a GOAWAY with the highest id, so that streams on their way are still taken, then
//! one with the last that was (RFC 9113, section 6.8; protocols G-7). What was begun finishes.
//!
//! What the library writes leaves when a turn of the connection is over (`outbox`).
//!
//! Not here: what a call means (`path`).

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Ping, PingPong, Reason, RecvStream, SendStream};
use tandem_protocol::refusal::Limit;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};

use super::Origin;
use super::wire::{Activity, CallGuard, Wire};
use crate::body::{Body, BodyError, Piece};
use crate::call::{Answer, Incoming, Version};
use crate::limits::Limits;
use crate::observe::{Record, Shard};
use crate::outbox::{self, Outbox};
use crate::path;
use crate::thread::Thread;

/// How long a peer may take to answer our ping (security FC-10).
const PING_ANSWER: Duration = Duration::from_secs(20);

/// Serves one connection until it ends, by the caller, by a clock or by the drain.
pub(super) async fn serve(
    thread: Rc<Thread>,
    origin: Rc<Origin>,
    outbox: Outbox<Wire>,
    activity: Rc<Activity>,
    age: Duration,
) {
    let limits = &thread.limits;
    let handshake = handshake(limits, outbox.clone());
    let mut connection = match timeout(limits.head_read, handshake).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return tracing::debug!(%error, "http/2 handshake failed"),
        Err(_elapsed) => {
            thread.observe.count_limit(Limit::HeadRead);
            return tracing::debug!("http/2 handshake was too slow");
        }
    };
    let mut pings = connection.ping_pong().map(|pings| Pings { pings, sent: None });
    let mut drain = thread.drain();
    let mut served = 0_u32;
    let mut closing = false;
    let began = Instant::now();
    let old_at = began + age;
    let mut check_at = began + limits.keep_alive;
    // Made once, not whenever something happens on the connection; and one for both ends.
    let mut timer = pin!(sleep_until(check_at.min(old_at)));
    let mut draining = pin!(drain.begun());
    loop {
        tokio::select! {
            turn = poll_fn(|cx| poll_turn(&mut connection, &outbox, cx)) => match turn {
                Turn::Call(request, respond) => {
                    let (call_thread, origin) = (Rc::clone(&thread), Rc::clone(&origin));
                    let guard = activity.call();
                    let stream = carry_stream(call_thread, origin, request, respond, guard);
                    thread.tasks.start(stream);
                    served += 1;
                    if served == limits.requests_per_connection && !closing {
                        thread.observe.count_limit(Limit::RequestsPerConnection);
                        connection.graceful_shutdown();
                        closing = true;
                    }
                }
                Turn::Failed(error) => {
                    if error.reason() == Some(Reason::ENHANCE_YOUR_CALM) && !error.is_remote() {
                        thread.observe.count_limit(Limit::Resets);
                    }
                    return tracing::debug!(%error, "http/2 connection failed");
                }
                Turn::Unwritable(error) => {
                    return tracing::debug!(%error, "http/2 connection failed");
                }
                Turn::Ended => return,
            },
            () = timer.as_mut() => {
                let now = Instant::now();
                if now >= check_at {
                    if let Some(pings) = &mut pings && !pings.in_time(now) {
                        return tracing::debug!("the caller does not answer pings");
                    }
                    let silent_at = activity.idle_since() + limits.keep_alive;
                    check_at = if activity.calls() > 0 {
                        if let Some(pings) = &mut pings {
                            pings.send(now);
                        }
                        now + PING_ANSWER.min(limits.keep_alive)
                    } else if now >= silent_at {
                        if closing {
                            return;
                        }
                        thread.observe.count_limit(Limit::KeepAlive);
                        connection.graceful_shutdown();
                        closing = true;
                        now + PING_ANSWER
                    } else {
                        silent_at
                    };
                }
                if now >= old_at && !closing {
                    connection.graceful_shutdown();
                    closing = true;
                }
                timer.as_mut().reset(if closing { check_at } else { check_at.min(old_at) });
            }
            pong = poll_fn(|cx| match &mut pings {
                Some(pings) => pings.poll(cx),
                None => Poll::Pending,
            }) => if pong.is_err() {
                pings = None;
            },
            () = draining.as_mut(), if !closing => {
                connection.graceful_shutdown();
                closing = true;
            }
        }
    }
}

/// The library's handshake on `outbox`.
fn handshake(limits: &Limits, outbox: Outbox<Wire>) -> h2::server::Handshake<Outbox<Wire>, Bytes> {
    h2::server::Builder::new()
        .initial_window_size(limits.stream_window_bytes)
        .initial_connection_window_size(limits.connection_window_bytes)
        .max_concurrent_streams(limits.streams)
        // Room above our own limit, so that `strict` words the refusal.
        .max_header_list_size(limits.header_bytes + limits.uri_bytes + 8 * 1024)
        .max_pending_accept_reset_streams(limits.resets_pending as usize)
        .max_local_error_reset_streams(Some(limits.resets_own as usize))
        .max_send_buffer_size(SEND_BUFFER_BYTES)
        .handshake(outbox)
}

type LibraryConnection = h2::server::Connection<Outbox<Wire>, Bytes>;

/// What came of a turn of a connection.
#[expect(clippy::large_enum_variant, reason = "most turns bring a call, and none is kept")]
enum Turn {
    Call(http::Request<RecvStream>, SendResponse<Bytes>),
    Failed(h2::Error),
    Unwritable(std::io::Error),
    Ended,
}

/// Does what there is to do; where that is all, what was written leaves.
fn poll_turn(
    connection: &mut LibraryConnection,
    outbox: &Outbox<Wire>,
    cx: &mut Context<'_>,
) -> Poll<Turn> {
    match connection.poll_accept(cx) {
        Poll::Ready(Some(Ok((request, respond)))) => Poll::Ready(Turn::Call(request, respond)),
        Poll::Ready(Some(Err(error))) => Poll::Ready(Turn::Failed(error)),
        Poll::Ready(None) => Poll::Ready(Turn::Ended),
        Poll::Pending => match outbox.poll_leave(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Turn::Unwritable(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
        },
    }
}

/// Bytes of answers that the library may hold for one stream beside the windows.
const SEND_BUFFER_BYTES: usize = 64 * 1024;

/// Our pings to the caller: at most one is out.
struct Pings {
    pings: PingPong,
    sent: Option<Instant>,
}

impl Pings {
    fn send(&mut self, now: Instant) {
        if self.sent.is_none() && self.pings.send_ping(Ping::opaque()).is_ok() {
            self.sent = Some(now);
        }
    }

    fn in_time(&self, now: Instant) -> bool {
        self.sent.is_none_or(|sent| now < sent + PING_ANSWER)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        if self.sent.is_none() {
            return Poll::Pending;
        }
        let pong = std::task::ready!(self.pings.poll_pong(cx));
        self.sent = None;
        Poll::Ready(pong.map(|_pong| ()))
    }
}

// No `async fn`: it would hold the request beside the call that is made of it.
fn carry_stream(
    thread: Rc<Thread>,
    origin: Rc<Origin>,
    request: http::Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    guard: CallGuard,
) -> impl Future<Output = ()> {
    let expected = Expected::by(request.headers());
    let (head, body) = request.into_parts();
    let body = downstream_body(body, expected.clone(), Rc::clone(&thread.observe));
    let mut incoming = Incoming::new(head, body, Version::Http2);
    async move {
        let _guard = guard;
        let _open = thread.stream_opened();
        let answer = {
            let mut carried = pin!(path::carry(&thread, &origin, &mut incoming));
            poll_fn(|cx| {
                if respond.poll_reset(cx).is_ready() {
                    return Poll::Ready(None);
                }
                let polled = carried.as_mut().poll(cx).map(Some);
                if polled.is_pending()
                    && let Some(expected) = &expected
                {
                    expected.say(&mut respond, cx);
                }
                polled
            })
            .await
        };
        drop(incoming);
        // The caller has gone: dropping the call cancels what it had begun.
        let Some(answer) = answer else { return };
        let Answer { status, headers, body, mut record } = answer;
        let ends = body.is_empty();
        let sent = {
            let mut response = http::Response::new(());
            *response.status_mut() = status;
            *response.headers_mut() = headers;
            respond.send_response(response, ends)
        };
        match sent {
            Ok(_) if ends => record.finish(),
            Ok(stream) => {
                let stalled = thread.limits.stalled_write;
                if let Err(gone) = send_body(stream, body, &mut record, stalled).await {
                    if matches!(gone, Gone::Stalled) {
                        thread.observe.count_limit(Limit::StalledWrite);
                    }
                    tracing::debug!(%gone, "an answer was not taken to its end");
                }
            }
            Err(error) => tracing::debug!(%error, "the caller took no answer"),
        }
    }
}

/// A caller that waits for 100 (Continue) before it sends its body. It is told once the body is
/// wanted, so that what is refused by its head is never sent (RFC 9110, section 10.1.1; protocols
/// H-2). Over HTTP/1 the library does the same.
#[derive(Clone)]
struct Expected(Rc<Expectation>);

#[derive(Default)]
struct Expectation {
    wanted: Cell<bool>,
    said: Cell<bool>,
    // The stream's own task; the body may be read by another.
    task: RefCell<Option<Waker>>,
}

impl Expected {
    fn by(headers: &http::HeaderMap) -> Option<Expected> {
        let expect = headers.get(http::header::EXPECT)?;
        let continues = expect.as_bytes().eq_ignore_ascii_case(b"100-continue");
        continues.then(|| Expected(Rc::default()))
    }

    /// The body is wanted.
    fn want(&self) {
        if !self.0.wanted.replace(true)
            && let Some(task) = self.0.task.borrow_mut().take()
        {
            task.wake();
        }
    }

    /// Says so, where it was not said yet.
    fn say(&self, respond: &mut SendResponse<Bytes>, cx: &Context<'_>) {
        if self.0.said.get() {
            return;
        }
        if !self.0.wanted.get() {
            *self.0.task.borrow_mut() = Some(cx.waker().clone());
            return;
        }
        self.0.said.set(true);
        let mut response = http::Response::new(());
        *response.status_mut() = http::StatusCode::CONTINUE;
        // A stream that is gone shows itself by its reset.
        let _ = respond.send_informational(response);
    }
}

fn downstream_body(mut body: RecvStream, expected: Option<Expected>, shard: Rc<Shard>) -> Body {
    if body.is_end_stream() {
        return Body::empty();
    }
    let mut data_ended = false;
    Body::stream(move |cx: &mut Context<'_>| {
        if let Some(expected) = &expected {
            expected.want();
        }
        if !data_ended {
            match std::task::ready!(body.poll_data(cx)) {
                Some(Ok(data)) => {
                    // The caller may send the next piece: the path takes a piece only when it
                    // has room for one.
                    let released = body.flow_control().release_capacity(data.len());
                    return Poll::Ready(Some(match released {
                        Ok(()) => Ok(Piece::Data(data)),
                        Err(error) => Err(body_error(&error)),
                    }));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(body_error(&error)))),
                None => data_ended = true,
            }
        }
        body.poll_trailers(cx).map(|trailers| match trailers {
            Ok(Some(trailers)) => {
                shard.count_request_trailers();
                Some(Ok(Piece::Trailers(trailers)))
            }
            Ok(None) => None,
            Err(error) => Some(Err(body_error(&error))),
        })
    })
}

fn body_error(error: &h2::Error) -> BodyError {
    match error.reason() {
        Some(reason) if error.is_reset() => BodyError::Reset(reason.into()),
        _ => BodyError::ConnectionLost(error.to_string()),
    }
}

/// Why an answer was not taken to its end.
#[derive(Debug, thiserror::Error)]
enum Gone {
    #[error("the caller reset the stream")]
    Reset,
    #[error("the caller gave no room for too long")]
    Stalled,
    #[error("the answer failed: {0}")]
    Answer(BodyError),
    #[error(transparent)]
    Connection(#[from] h2::Error),
}

async fn send_body(
    mut stream: SendStream<Bytes>,
    mut body: Body,
    record: &mut Record,
    stalled: Duration,
) -> Result<(), Gone> {
    loop {
        let piece = poll_fn(|cx| {
            if stream.poll_reset(cx).is_ready() {
                return Poll::Ready(Err(Gone::Reset));
            }
            body.poll_piece(cx).map(Ok)
        })
        .await?;
        match piece {
            Some(Ok(Piece::Data(data))) => {
                record.sent(data.len());
                let last = body.is_empty();
                if let Err(gone) = send_data(&mut stream, data, last, stalled).await {
                    if matches!(gone, Gone::Stalled) {
                        stream.send_reset(Reason::CANCEL);
                    }
                    return Err(gone);
                }
                if last {
                    record.finish();
                    return Ok(());
                }
            }
            Some(Ok(Piece::Trailers(mut trailers))) => {
                record.see_trailers(&mut trailers);
                stream.send_trailers(trailers)?;
                record.finish();
                return Ok(());
            }
            Some(Err(error)) => {
                record.failed(&error);
                // The library throws away what it has not written when it resets a stream.
                let _ = timeout(stalled, written(&mut stream)).await;
                stream.send_reset(Reason::INTERNAL_ERROR);
                return Err(Gone::Answer(error));
            }
            None => {
                stream.send_data(Bytes::new(), true)?;
                record.finish();
                return Ok(());
            }
        }
    }
}

/// Waits until the library has let go of everything that was sent on the stream.
async fn written(stream: &mut SendStream<Bytes>) {
    let (gone, waited) = oneshot::channel();
    // Data leaves in its order: when this empty piece is gone, all before it is.
    if stream.send_data(Bytes::from_owner(LastPiece { _gone: gone }), false).is_ok() {
        let _ = waited.await;
    }
}

/// No bytes; its drop is what `written` waits for.
struct LastPiece {
    _gone: oneshot::Sender<()>,
}

impl AsRef<[u8]> for LastPiece {
    fn as_ref(&self) -> &[u8] {
        &[]
    }
}

/// Sends `data` as the caller's windows allow; `stalled` bounds each wait for room (LI-6).
async fn send_data(
    stream: &mut SendStream<Bytes>,
    mut data: Bytes,
    last: bool,
    stalled: Duration,
) -> Result<(), Gone> {
    if data.is_empty() {
        return Ok(stream.send_data(data, last)?);
    }
    while !data.is_empty() {
        stream.reserve_capacity(data.len());
        let room = poll_fn(|cx| {
            if stream.poll_reset(cx).is_ready() {
                return Poll::Ready(Err(Gone::Reset));
            }
            // Room of 0 is a change that brought none: wait for the next.
            while let Some(room) = std::task::ready!(stream.poll_capacity(cx)) {
                match room {
                    Ok(0) => {}
                    Ok(room) => return Poll::Ready(Ok(room)),
                    Err(error) => return Poll::Ready(Err(Gone::Connection(error))),
                }
            }
            Poll::Ready(Err(Gone::Reset))
        });
        let room = timeout(stalled, room).await.map_err(|_elapsed| Gone::Stalled)??;
        let part = data.split_to(room.min(data.len()));
        outbox::lend(&part);
        stream.send_data(part, last && data.is_empty())?;
    }
    Ok(())
}
