//! One connection to an endpoint: made, kept alive, and given up when it is old or dead.
//!
//! A connection whose peer has said GOAWAY, or that is older than its age, gets no new stream;
//! those on it finish (protocols G-7). Pings find a peer that has gone without a word, and are
//! few: grpc-go closes a connection whose third ping within five minutes finds no data sent in
//! between ("too_many_pings", gRPC proposal A8), so a silent stream is asked after twice and then
//! seldom.
//!
//! Not here: which connection a call gets (`group`), when one is made (`pool`).

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Ping, PingPong};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::{Timing, Upstream};
use crate::net;
use crate::outbox::Outbox;

/// What an upstream may send before we have read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Windows {
    stream_bytes: u32,
    connection_bytes: u32,
    /// What small frames may cost beyond their bytes; `None`: half of the connection's.
    overhead_bytes: Option<usize>,
}

impl Windows {
    /// Towards upstreams (security LI-36): the library's own throttle large answers.
    pub(crate) const CALLS: Windows =
        Windows { stream_bytes: 1 << 20, connection_bytes: 4 << 20, overhead_bytes: None };
    /// Of calls off the path. The library (h2 0.4.20) charges small frames of a stream that was
    /// taken back and never gives that back, so a connection on which many streams are cut would
    /// end by its own guard; a server that somebody names himself may cost that.
    pub(crate) const DIRECT: Windows = Windows { overhead_bytes: Some(1 << 40), ..Windows::CALLS };
    /// Of copies, whose answers are read no further than that: what an endless one leaves in the
    /// library's buffers counts too.
    pub(crate) const COPIES: Windows =
        Windows { stream_bytes: 256 << 10, connection_bytes: 1 << 20, overhead_bytes: None };
}

/// Decoded bytes of one head that an upstream may send.
const HEADER_LIST_BYTES: u32 = 64 * 1024;
/// Bytes of one frame that an upstream may send. Each frame of the least that the protocol allows,
/// 16 KiB, is a read and an allocation of its own.
const FRAME_BYTES: u32 = 64 * 1024;
/// Streams that we reset for the peer's faults before the connection goes (security LI-20).
const RESETS_OWN: usize = 100;
/// Left for the handshakes, however long it took to connect.
const HANDSHAKE_LEAST: Duration = Duration::from_millis(50);
/// Pings without anything heard in between; a third could be one too many.
const PINGS_IN_SILENCE: u32 = 2;
/// Between pings after that: the least that grpc-go takes from anybody.
const PING_SELDOM: Duration = Duration::from_secs(5 * 60);

/// Why no stream could be had. The text is for the log: it names addresses.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum NoStream {
    #[error("{name}: {step}: {what}")]
    Unreachable { name: Arc<str>, step: &'static str, what: String },
    #[error("{0}: too many calls wait for it")]
    TooManyWait(Arc<str>),
}

impl NoStream {
    pub(super) fn unreachable(upstream: &Upstream, step: &'static str, error: &io::Error) -> Self {
        NoStream::Unreachable { name: Arc::clone(&upstream.name), step, what: error.to_string() }
    }
}

/// A connection as those see it who hand it out.
pub(super) struct Connection {
    send: SendRequest<Bytes>,
    pub(super) life: Rc<Life>,
}

/// What is known of a connection by those who use it.
pub(super) struct Life {
    dead: Cell<bool>,
    old: Cell<bool>,
    calls: Cell<usize>,
    /// Whether any answer came over it.
    served: Cell<bool>,
    /// When the peer last said something.
    heard: Cell<Instant>,
    /// Told when the first call comes after none.
    woken: Notify,
}

/// A place on a connection, given back when it is dropped.
pub(super) struct Place(Rc<Life>);

impl Place {
    /// The connection turned out to be unusable: nobody is given it again.
    pub(super) fn condemn(&self) {
        self.0.dead.set(true);
    }

    /// The peer has said something.
    pub(super) fn heard(&self, now: Instant) {
        self.0.heard.set(now);
        self.0.served.set(true);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.calls.set(self.0.calls.get() - 1);
    }
}

impl Connection {
    /// Whether new streams may be opened on it: it lives, and its peer has not said GOAWAY.
    pub(super) fn is_usable(&mut self) -> bool {
        // The library keeps the GOAWAY as an error for those who would open a stream.
        let mut cx = Context::from_waker(Waker::noop());
        !self.life.dead.get() && !matches!(self.send.poll_ready(&mut cx), Poll::Ready(Err(_)))
    }

    /// Whether it is to be replaced, as soon as another one stands.
    pub(super) fn is_old(&self) -> bool {
        self.life.old.get()
    }

    /// Whether it ended without a single answer, which is no better than no connection.
    pub(super) fn was_of_use(&self) -> bool {
        self.life.served.get()
    }

    /// Calls on it, where there is room for one more.
    pub(super) fn room(&self) -> Option<usize> {
        let calls = self.life.calls.get();
        (calls < self.send.current_max_send_streams()).then_some(calls)
    }

    pub(super) fn take(&self) -> (SendRequest<Bytes>, Place) {
        if self.life.calls.replace(self.life.calls.get() + 1) == 0 {
            // An idle connection is asked at once whether it still lives.
            self.life.woken.notify_one();
        }
        (self.send.clone(), Place(Rc::clone(&self.life)))
    }
}

/// The settings that we offer to every upstream.
pub(super) fn client_builder(windows: Windows) -> h2::client::Builder {
    let mut builder = h2::client::Builder::new();
    builder
        .initial_window_size(windows.stream_bytes)
        .initial_connection_window_size(windows.connection_bytes)
        .max_header_list_size(HEADER_LIST_BYTES)
        .max_frame_size(FRAME_BYTES)
        .max_local_error_reset_streams(Some(RESETS_OWN))
        .enable_push(false);
    if let Some(bytes) = windows.overhead_bytes {
        builder.data_frame_budget(bytes);
    }
    builder
}

/// The library's side of a connection: does its work while it is polled, and ends with it.
// Boxed, because over TLS it is another type.
pub(crate) type Work = Pin<Box<dyn Future<Output = Result<(), Lost>> + Send>>;

/// How a connection ended that did not end well.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Lost {
    #[error(transparent)]
    Http2(#[from] h2::Error),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The library's connection, and what it has written: that leaves when there is no more to do.
struct Turns<T: AsyncRead + AsyncWrite + Unpin> {
    connection: h2::client::Connection<Outbox<T>, Bytes>,
    outbox: Outbox<T>,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Future for Turns<T> {
    type Output = Result<(), Lost>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(ended) = Pin::new(&mut self.connection).poll(cx) {
            return Poll::Ready(ended.map_err(Lost::from));
        }
        match self.outbox.poll_leave(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
        }
    }
}

/// What came of [`dial`].
pub(crate) struct Dialled {
    pub(crate) send: SendRequest<Bytes>,
    pub(crate) work: Work,
    pings: Option<PingPong>,
}

/// Why there is no connection: the step, and what happened.
type Step = (&'static str, String);

enum Undialled {
    /// The server took its leave before it could be called; no call was lost to it.
    WentAway(String),
    Failed(Step),
}

impl From<Step> for Undialled {
    fn from(step: Step) -> Undialled {
        Undialled::Failed(step)
    }
}

/// Connects and shakes hands within the upstream's time for all of it. A server that goes away
/// while it is greeted is dialled once more: whoever listens there now may be its successor.
///
/// # Errors
/// The step that failed, and why.
pub(crate) async fn dial(upstream: &Upstream, address: SocketAddr) -> Result<Dialled, Step> {
    let dialled = match dial_once(upstream, address).await {
        Err(Undialled::WentAway(_)) => dial_once(upstream, address).await,
        other => other,
    };
    dialled.map_err(|undialled| match undialled {
        Undialled::WentAway(what) => ("HTTP/2", what),
        Undialled::Failed(step) => step,
    })
}

async fn dial_once(upstream: &Upstream, address: SocketAddr) -> Result<Dialled, Undialled> {
    let began = Instant::now();
    let io = net::connect_upstream(
        address,
        upstream.loopback,
        &upstream.own_listeners,
        upstream.connect,
    )
    .await
    .map_err(|error| ("connect", error.to_string()))?;
    let end = began + upstream.connect.max(began.elapsed() + HANDSHAKE_LEAST);
    let Some(tls) = &upstream.tls else { return shake(io, upstream.windows, end).await };
    let io = timeout_at(end, tls.shake(io))
        .await
        .map_err(|_elapsed| ("TLS", "no handshake in time".to_owned()))?
        .map_err(|why| ("TLS", why.to_string()))?;
    shake(io, upstream.windows, end).await
}

/// HTTP/2 over a stream that stands.
async fn shake(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    windows: Windows,
    end: Instant,
) -> Result<Dialled, Undialled> {
    let late = |what: &str| ("HTTP/2", format!("no {what} in time"));
    let outbox = Outbox::new(io);
    let handshake = client_builder(windows).handshake::<_, Bytes>(outbox.clone());
    let (send, mut connection) = timeout_at(end, handshake)
        .await
        .map_err(|_elapsed| late("handshake"))?
        .map_err(|error| ("HTTP/2", error.to_string()))?;
    let mut pings = connection.ping_pong();
    let mut turns = Turns { connection, outbox };
    timeout_at(end, settings_have_come(&mut turns, pings.as_mut()))
        .await
        .map_err(|_elapsed| late("settings"))??;
    Ok(Dialled { send, work: Box::pin(turns), pings })
}

/// Waits until the server has said how many streams it takes: calls that come before that may be
/// more, and those that it refuses cannot all be sent again.
///
/// Its settings come before all else (RFC 9113, section 3.4), so before the answer to a ping.
async fn settings_have_come<T>(
    turns: &mut Turns<T>,
    pings: Option<&mut PingPong>,
) -> Result<(), Undialled>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let Some(pings) = pings else { return Ok(()) };
    tokio::select! {
        ended = turns => Err(unwelcome(ended.err())),
        pong = pings.ping(Ping::opaque()) => match pong {
            Ok(_pong) => Ok(()),
            Err(error) => Err(unwelcome(Some(error.into()))),
        },
    }
}

fn unwelcome(error: Option<Lost>) -> Undialled {
    match error {
        // After a GOAWAY without a reproach, and after an end without a word.
        None => Undialled::WentAway("closed at once".into()),
        Some(Lost::Http2(error))
            if error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR) =>
        {
            Undialled::WentAway(error.to_string())
        }
        Some(error) => ("HTTP/2", error.to_string()).into(),
    }
}

/// A connection that is being driven by whoever polls [`Driver::run`].
pub(super) struct Driver {
    work: Work,
    pings: Option<PingPong>,
    life: Rc<Life>,
}

/// Makes a connection to the endpoint at `address`.
pub(super) async fn open(
    upstream: &Upstream,
    address: SocketAddr,
) -> Result<(Connection, Driver), NoStream> {
    let began = Instant::now();
    let dialled = dial(upstream, address).await;
    let Dialled { send, work, pings } = dialled.map_err(|(step, what)| NoStream::Unreachable {
        name: Arc::clone(&upstream.name),
        step,
        what: format!("{address} after {} ms: {what}", began.elapsed().as_millis()),
    })?;
    let life = Rc::new(Life {
        dead: Cell::new(false),
        old: Cell::new(false),
        calls: Cell::new(0),
        served: Cell::new(false),
        heard: Cell::new(Instant::now()),
        woken: Notify::new(),
    });
    Ok((Connection { send, life: Rc::clone(&life) }, Driver { work, pings, life }))
}

impl Driver {
    /// Drives the connection to its end, which is told to nobody but its [`Life`].
    pub(super) async fn run(self, name: &str, timing: &Timing, age: Duration) {
        let Driver { work, pings, life } = self;
        let ageing = async {
            sleep(age).await;
            life.old.set(true);
            pending::<()>().await;
        };
        tokio::select! {
            // What has arrived is read first: after a stop of the whole process the answer to a
            // ping may lie there while its time is long over (security O-1).
            biased;
            ended = work => if let Err(error) = ended {
                tracing::debug!(upstream = name, %error, "connection ended");
            },
            () = unanswered(pings, &life, timing) => {
                tracing::warn!(upstream = name, "the connection does not answer pings");
            }
            () = ageing => {}
        }
        life.dead.set(true);
    }
}

/// Returns when a connection that carries calls has not answered a ping in time.
async fn unanswered(pings: Option<PingPong>, life: &Life, timing: &Timing) {
    let Some(mut pings) = pings else { return pending().await };
    let mut asked = Asked::new(life.heard.get());
    loop {
        if life.calls.get() == 0 {
            life.woken.notified().await;
            continue;
        }
        let now = Instant::now();
        let due = asked.due(life.heard.get(), timing.ping_every);
        if due > now {
            sleep(due - now).await;
            continue;
        }
        asked.ask(now);
        if pings.send_ping(Ping::opaque()).is_err() {
            return pending().await; // the connection itself says why it ends
        }
        match timeout(timing.ping_answer, poll_fn(|cx| pings.poll_pong(cx))).await {
            Ok(Ok(_pong)) => {}
            Ok(Err(_ended)) => return pending().await,
            Err(_elapsed) => return,
        }
    }
}

/// When the peer was asked, and how often since it last said something by itself.
#[derive(Debug, Clone, Copy)]
struct Asked {
    times: u32,
    last: Instant,
    heard: Instant,
}

impl Asked {
    fn new(now: Instant) -> Asked {
        Asked { times: 0, last: now, heard: now }
    }

    /// When to ask next, the peer having been heard at `heard`.
    fn due(&mut self, heard: Instant, every: Duration) -> Instant {
        if heard > self.heard {
            self.heard = heard;
            self.times = 0;
        }
        let wait = if self.times < PINGS_IN_SILENCE { every } else { PING_SELDOM.max(every) };
        self.last.max(self.heard) + wait
    }

    fn ask(&mut self, now: Instant) {
        self.times += 1;
        self.last = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_peer_is_asked_twice_and_then_seldom() {
        let start = Instant::now();
        let every = Duration::from_secs(10);
        let mut asked = Asked::new(start);
        let mut gaps = Vec::new();
        let mut now = start;
        for _ in 0..4 {
            let due = asked.due(start, every);
            gaps.push((due - now).as_secs());
            now = due;
            asked.ask(now);
        }
        assert_eq!(gaps, [10, 10, 300, 300]);
        // Who speaks is asked as in the beginning.
        let heard = now + Duration::from_secs(1);
        assert_eq!(asked.due(heard, every), heard + every);
        // Who speaks all the time is never asked.
        assert_eq!(asked.due(heard + every, every), heard + every * 2);
    }
}
