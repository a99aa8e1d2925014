//! Our own wrapper over an accepted stream: what every downstream byte passes.
//!
//! It keeps the clocks that the HTTP library does not: idle connections, slow heads, writes that
//! make no progress (security LI-3, LI-4, LI-6). It gives back the bytes that were read to find
//! the protocol, and counts writes, so that writes per request can be measured (performance
//! PF-2). Of HTTP/1 it lets only those bytes through that can be read in one way (`protocol::http1`);
//! where a doubt begins the engine sees the end of the connection, and what the caller is told is
//! written when the engine is done. It also knows when an engine may go because nothing is under way
//! ([`Activity::is_at_rest`]). The frame counter for HTTP/2 will stand here too (security
//! FC-3).
//!
//! Not here: which engine reads the bytes (`listen`), limits on what they mean (`protocol::strict`).

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tandem_protocol::http1::{Doubt, Grammar};
use tandem_protocol::refusal::Limit;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::alarm::Alarm;
use crate::observe::Shard;

/// What a connection does at the moment, shared between the wrapper and the engine above it.
pub(crate) struct Activity {
    calls: Cell<u32>,
    idle_since: Cell<Instant>,
    head_since: Cell<Option<Instant>>,
    // Whoever holds back the end of the connection until its calls are over.
    waiting: RefCell<Option<Waker>>,
    // Flushes that left nothing unwritten, and whoever waits for the next one.
    flushes: Cell<u64>,
    flush_awaited: RefCell<Option<Waker>>,
    /// Nothing has come for long enough that the engine may go.
    at_rest: Cell<bool>,
}

impl Activity {
    pub(crate) fn new() -> Rc<Activity> {
        Rc::new(Activity {
            calls: Cell::new(0),
            idle_since: Cell::new(Instant::now()),
            head_since: Cell::new(None),
            waiting: RefCell::new(None),
            flushes: Cell::new(0),
            flush_awaited: RefCell::new(None),
            at_rest: Cell::new(false),
        })
    }

    /// A head is complete: a call is being carried until the guard is dropped.
    pub(crate) fn call(self: &Rc<Self>) -> CallGuard {
        self.calls.set(self.calls.get() + 1);
        self.head_since.set(None);
        CallGuard(Rc::clone(self))
    }

    /// When the first byte of the head came that a call is about to be made of; `None` where it
    /// came with the call before.
    pub(crate) fn head_began(&self) -> Option<Instant> {
        self.head_since.get()
    }

    /// Whether the engine may go until bytes come: the caller has been silent for [`REST`], the
    /// next byte begins a head, and all that the engine had to say is said.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.at_rest.get()
    }

    pub(crate) fn calls(&self) -> u32 {
        self.calls.get()
    }

    /// When the last call was over; at first, when the connection began.
    pub(crate) fn idle_since(&self) -> Instant {
        self.idle_since.get()
    }
}

/// Says by its drop that the call, its answer included, is over.
pub(crate) struct CallGuard(Rc<Activity>);

impl CallGuard {
    /// How often the engine has had everything written.
    pub(crate) fn flushes(&self) -> u64 {
        self.0.flushes.get()
    }

    /// Waits until the engine has had everything written once more than `flushes` times. The
    /// engine flushes whenever the answer has nothing to give, which is what waiting means.
    pub(crate) fn poll_flushed_since(&self, flushes: u64, cx: &mut Context<'_>) -> Poll<()> {
        if self.flushes() > flushes {
            return Poll::Ready(());
        }
        *self.0.flush_awaited.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for CallGuard {
    fn drop(&mut self) {
        self.0.calls.set(self.0.calls.get() - 1);
        self.0.idle_since.set(Instant::now());
        if let Some(waiting) = self.0.waiting.borrow_mut().take() {
            waiting.wake();
        }
    }
}

/// Silence after which a connection keeps no engine.
const REST: Duration = Duration::from_secs(1);

/// The clocks of one connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clocks {
    /// From the first byte of a head to its end (LI-3).
    pub(crate) head_read: Duration,
    /// Between calls (LI-4).
    pub(crate) keep_alive: Duration,
    /// A write without progress (LI-6).
    pub(crate) stalled_write: Duration,
}

/// Which clocks the wrapper keeps while it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// HTTP/1: heads and idle times are seen here.
    Http1,
    /// HTTP/2: the engine knows its streams and keeps those clocks itself.
    Http2,
}

/// What the requests of an HTTP/1 connection look like so far.
struct Judge {
    grammar: Grammar,
    /// The beginning of a head, or of a chunk's line: it has come and may not pass yet.
    held: BytesMut,
    doubt: Option<Doubt>,
    /// The engine was told of the doubt: by bytes within a body, else by the end.
    told: bool,
    /// What the caller is told of a head in doubt.
    refuse: Box<dyn Fn(Doubt) -> Bytes>,
    farewell: Option<Bytes>,
}

/// What the engine reads where a body's framing is in doubt: it is none wherever it stands, so
/// the body fails, and its call with it.
const NO_FRAMING: &[u8] = b"\r!";

impl Judge {
    /// How many of `bytes`, which came behind what is held, may pass after what is held; and that.
    fn pass(&mut self, bytes: &[u8]) -> (Bytes, usize) {
        if self.held.is_empty() {
            let judged = self.grammar.judge(bytes);
            self.doubt = judged.doubt;
            self.held.extend_from_slice(&bytes[judged.bytes..]);
            return (Bytes::new(), judged.bytes);
        }
        self.held.extend_from_slice(bytes);
        let judged = self.grammar.judge(&self.held);
        self.doubt = judged.doubt;
        (self.held.split_to(judged.bytes).freeze(), 0)
    }
}

pub(crate) struct Wire {
    io: TcpStream,
    /// Read before anything new.
    first: Bytes,
    // Boxed, for HTTP/2 has none.
    judge: Option<Box<Judge>>,
    reading: Reading,
    clocks: Clocks,
    activity: Rc<Activity>,
    shard: Rc<Shard>,
    read_alarm: Alarm,
    write_alarm: Alarm,
    /// Since when a write has made no progress.
    stalled_since: Option<Instant>,
    /// Something was written since the last flush.
    unflushed: bool,
}

impl Wire {
    /// Wraps `io`; `first` is read again before anything new.
    pub(crate) fn new(
        io: TcpStream,
        first: Bytes,
        reading: Reading,
        clocks: Clocks,
        activity: Rc<Activity>,
        shard: Rc<Shard>,
    ) -> Wire {
        if !first.is_empty() {
            activity.head_since.set(Some(Instant::now()));
        }
        Wire {
            io,
            first,
            judge: None,
            reading,
            clocks,
            activity,
            shard,
            read_alarm: Alarm::default(),
            write_alarm: Alarm::default(),
            stalled_since: None,
            unflushed: false,
        }
    }

    /// Judges what comes as requests of HTTP/1, whose heads have at most so many bytes. `refuse`
    /// makes the last answer of a connection whose next head is in doubt.
    pub(crate) fn judging(
        mut self,
        head_bytes_max: usize,
        refuse: impl Fn(Doubt) -> Bytes + 'static,
    ) -> Wire {
        let grammar = Grammar::new(head_bytes_max);
        let mut judge = Judge {
            grammar,
            held: BytesMut::new(),
            doubt: None,
            told: false,
            refuse: Box::new(refuse),
            farewell: None,
        };
        let (_, bytes) = judge.pass(&self.first);
        self.first.truncate(bytes);
        self.judge = Some(Box::new(judge));
        self
    }

    /// What the engine reads in the place of bytes in doubt; `None` where there are none.
    fn poll_doubt(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Option<Poll<io::Result<()>>> {
        let judge = self.judge.as_mut()?;
        let doubt = judge.doubt?;
        if matches!(doubt, Doubt::Body(_)) && !judge.told && buffer.remaining() >= NO_FRAMING.len()
        {
            judge.told = true;
            buffer.put_slice(NO_FRAMING);
            return Some(Poll::Ready(Ok(())));
        }
        // The calls before are answered first: an end would cut them off.
        if self.activity.calls() > 0 {
            *self.activity.waiting.borrow_mut() = Some(cx.waker().clone());
            return Some(Poll::Pending);
        }
        judge.told = true;
        Some(Poll::Ready(Ok(())))
    }

    /// What is left to say to a caller whose head is in doubt.
    fn farewell(&mut self) -> Option<Bytes> {
        let judge = self.judge.as_mut()?;
        // An engine that closes for a reason of its own has said so.
        let doubt = judge.doubt.filter(|doubt| judge.told && !matches!(doubt, Doubt::Body(_)))?;
        let farewell = judge.farewell.get_or_insert_with(|| (judge.refuse)(doubt));
        (!farewell.is_empty()).then(|| farewell.clone())
    }

    /// When the present wait for bytes must end, and whether a head had begun.
    fn read_deadline(&self) -> Option<(Instant, bool)> {
        if self.reading == Reading::Http2 || self.activity.calls() > 0 {
            return None;
        }
        Some(match self.activity.head_since.get() {
            Some(since) => (since + self.clocks.head_read, true),
            None => (self.activity.idle_since.get() + self.clocks.keep_alive, false),
        })
    }

    fn poll_read_clock(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let Some((deadline, head_began)) = self.read_deadline() else {
            // The clock begins when the call ends, which nobody tells a task that waits here.
            if self.reading == Reading::Http1 {
                let Clocks { head_read, keep_alive, .. } = self.clocks;
                self.read_alarm.look_again(head_read.min(keep_alive).min(REST), cx);
            }
            return Poll::Pending;
        };
        let rest = self.activity.idle_since.get() + REST;
        if !head_began && rest < deadline && !self.activity.at_rest.get() {
            ready!(self.read_alarm.poll(rest, cx));
            self.activity.at_rest.set(self.may_rest());
        }
        ready!(self.read_alarm.poll(deadline, cx));
        if head_began {
            // No answer is under way, so these bytes cannot cut into one. One attempt: a caller
            // that sends too slowly may also read too slowly.
            let _ = self.io.try_write(
                b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
            );
            self.shard.count_limit(Limit::HeadRead);
        } else {
            self.shard.count_limit(Limit::KeepAlive);
        }
        Poll::Ready(io::Error::from(io::ErrorKind::TimedOut))
    }

    fn may_rest(&self) -> bool {
        let between = |judge: &Judge| judge.held.is_empty() && judge.grammar.is_between_requests();
        self.first.is_empty() && !self.unflushed && self.judge.as_deref().is_some_and(between)
    }

    /// Waits until something comes, an end included, without room for it.
    ///
    /// # Errors
    /// `TimedOut` at the end of the time between calls.
    pub(crate) fn poll_come(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.io.poll_read_ready(cx)?.is_ready() {
            self.activity.at_rest.set(false);
            return Poll::Ready(Ok(()));
        }
        self.poll_read_clock(cx).map(Err)
    }

    /// Takes back what the engine had read and not used, and lets go of what it needs no more.
    pub(crate) fn rest(&mut self, unused: Bytes) {
        debug_assert!(self.first.is_empty());
        self.first = unused;
        if let Some(judge) = &mut self.judge {
            judge.held = BytesMut::new();
        }
    }

    fn after_write(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match polled {
            Poll::Ready(written) => {
                self.stalled_since = None;
                self.unflushed = true;
                self.shard.count_write();
                Poll::Ready(written)
            }
            Poll::Pending => {
                let since = *self.stalled_since.get_or_insert_with(Instant::now);
                ready!(self.write_alarm.poll(since + self.clocks.stalled_write, cx));
                self.shard.count_limit(Limit::StalledWrite);
                Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the caller takes no bytes",
                )))
            }
        }
    }

    /// Gives what was read before.
    fn give_first(&mut self, buffer: &mut ReadBuf<'_>) {
        let bytes = self.first.len().min(buffer.remaining());
        buffer.put_slice(&self.first[..bytes]);
        self.first.advance(bytes);
        if self.first.is_empty() {
            self.first = Bytes::new(); // which lets go of the room
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.first.is_empty() {
            this.give_first(buffer);
            return Poll::Ready(Ok(()));
        }
        loop {
            if let Some(polled) = this.poll_doubt(cx, buffer) {
                return polled;
            }
            let before = buffer.filled().len();
            match Pin::new(&mut this.io).poll_read(cx, buffer) {
                Poll::Ready(Ok(())) => {
                    let came = buffer.filled().len() > before;
                    if !came {
                        return Poll::Ready(Ok(()));
                    }
                    if this.activity.calls() == 0 && this.activity.head_since.get().is_none() {
                        this.activity.head_since.set(Some(Instant::now()));
                    }
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return this.poll_read_clock(cx).map(Err),
            }
            let Some(judge) = &mut this.judge else { return Poll::Ready(Ok(())) };
            let (held, bytes) = judge.pass(&buffer.filled()[before..]);
            buffer.set_filled(before + bytes);
            this.first = held;
            this.give_first(buffer);
            // Nothing would be an end; more must come before something may pass.
            if buffer.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.after_write(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write_vectored(cx, slices);
        self.after_write(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        self.unflushed = false;
        // The engine asks for this only when it has written everything itself.
        self.activity.flushes.set(self.activity.flushes.get() + 1);
        if let Some(awaited) = self.activity.flush_awaited.borrow_mut().take() {
            awaited.wake();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(left) = self.farewell() {
            let polled = Pin::new(&mut self.io).poll_write(cx, &left);
            let written = ready!(self.after_write(cx, polled))?;
            if let Some(farewell) = self.judge.as_mut().and_then(|judge| judge.farewell.as_mut()) {
                farewell.advance(written);
            }
        }
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    use super::*;

    /// A wire of a connection on which `sent` came, and the caller's end.
    async fn wire(sent: &[u8]) -> (Wire, Rc<Activity>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut caller = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        caller.write_all(sent).await.unwrap();
        let (io, _) = listener.accept().await.unwrap();
        let clocks =
            Clocks { head_read: REST + REST / 2, keep_alive: REST + REST / 2, stalled_write: REST };
        let activity = Activity::new();
        let (_, parts) = Shard::parts();
        let shard = Rc::new(Shard::new(parts));
        let wire = Wire::new(io, Bytes::new(), Reading::Http1, clocks, Rc::clone(&activity), shard)
            .judging(1024, |_doubt| Bytes::new());
        (wire, activity, caller)
    }

    /// Reads until `bytes` have come, as an engine does.
    async fn read(wire: &mut Wire, bytes: usize) {
        let mut room = vec![0; bytes];
        let mut buffer = ReadBuf::new(&mut room);
        while buffer.remaining() > 0 {
            poll_fn(|cx| Pin::new(&mut *wire).poll_read(cx, &mut buffer)).await.unwrap();
        }
    }

    /// Waits for more, which never comes; whether the engine might go meanwhile.
    async fn rests(wire: &mut Wire, activity: &Activity) -> bool {
        let mut room = [0; 64];
        let mut rested = false;
        poll_fn(|cx| {
            let polled = Pin::new(&mut *wire).poll_read(cx, &mut ReadBuf::new(&mut room));
            rested |= polled.is_pending() && activity.is_at_rest();
            polled
        })
        .await
        .expect_err("its time is over");
        rested
    }

    #[tokio::test]
    async fn a_silent_connection_needs_no_engine_between_calls() {
        const CALL: &[u8] = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi";
        let half_a_head = [CALL, b"GET / HT"].concat();
        for (sent, flushed, expected) in [
            (CALL, true, true),
            // What the engine has to say is not said.
            (CALL, false, false),
            // It has read a part of what is to come.
            (&CALL[..CALL.len() - 1], true, false),
            (&half_a_head, true, false),
        ] {
            let (mut wire, activity, _caller) = wire(sent).await;
            let call = activity.call();
            read(&mut wire, sent.len().min(CALL.len())).await;
            wire.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            if flushed {
                wire.flush().await.unwrap();
            }
            drop(call);
            let shown = String::from_utf8_lossy(sent);
            assert_eq!(rests(&mut wire, &activity).await, expected, "{shown:?} {flushed}");
        }
    }
}
