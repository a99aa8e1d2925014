//! Our own wrapper over an accepted stream: what every downstream byte passes.
//!
//! It keeps the clocks that the HTTP library does not: idle connections, slow heads, writes that
//! make no progress (security LI-3, LI-4, LI-6). It gives back the bytes that were read to find
//! the protocol, and counts writes, so that writes per request can be measured (performance
//! PF-2). Of HTTP/1 it lets only those bytes through that can be read in one way (`protocol::http1`);
//! where a doubt begins the engine sees the end of the connection, and what the caller is told is
//! written when the engine is done. The frame counter for HTTP/2 will stand here too (security
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
use tokio::time::{Instant, Sleep};

use crate::observe::Shard;

/// What a connection does at the moment, shared between the wrapper and the engine above it.
pub(crate) struct Activity {
    calls: Cell<u32>,
    idle_since: Cell<Instant>,
    head_since: Cell<Option<Instant>>,
    // Whoever waited for bytes while a call was carried: its clock begins when the call ends.
    waiting: RefCell<Option<Waker>>,
    // Flushes that left nothing unwritten, and whoever waits for the next one.
    flushes: Cell<u64>,
    flush_awaited: RefCell<Option<Waker>>,
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

    pub(crate) fn calls(&self) -> u32 {
        self.calls.get()
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
    judge: Option<Judge>,
    reading: Reading,
    clocks: Clocks,
    activity: Rc<Activity>,
    shard: Rc<Shard>,
    // Boxed because a timer may not move; made once a connection, at its first wait.
    read_timer: Option<Pin<Box<Sleep>>>,
    write_timer: Option<Pin<Box<Sleep>>>,
    write_stalled: bool,
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
            read_timer: None,
            write_timer: None,
            write_stalled: false,
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
        self.judge = Some(judge);
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
            if self.reading == Reading::Http1 {
                *self.activity.waiting.borrow_mut() = Some(cx.waker().clone());
            }
            return Poll::Pending;
        };
        ready!(poll_timer(&mut self.read_timer, deadline, cx));
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

    fn after_write(
        &mut self,
        cx: &mut Context<'_>,
        polled: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match polled {
            Poll::Ready(written) => {
                self.write_stalled = false;
                self.shard.count_write();
                Poll::Ready(written)
            }
            Poll::Pending => {
                if !self.write_stalled {
                    self.write_stalled = true;
                    let deadline = Instant::now() + self.clocks.stalled_write;
                    match &mut self.write_timer {
                        Some(timer) => timer.as_mut().reset(deadline),
                        None => {
                            self.write_timer = Some(Box::pin(tokio::time::sleep_until(deadline)));
                        }
                    }
                }
                let timer = self.write_timer.as_mut().expect("armed above");
                ready!(timer.as_mut().poll(cx));
                self.shard.count_limit(Limit::StalledWrite);
                Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the caller takes no bytes",
                )))
            }
        }
    }
}

/// Polls a timer that is set to `deadline`, making it when it is missing.
fn poll_timer(
    timer: &mut Option<Pin<Box<Sleep>>>,
    deadline: Instant,
    cx: &mut Context<'_>,
) -> Poll<()> {
    let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
    if timer.deadline() != deadline {
        timer.as_mut().reset(deadline);
    }
    timer.as_mut().poll(cx)
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.first.is_empty() {
            let bytes = this.first.len().min(buffer.remaining());
            buffer.put_slice(&this.first[..bytes]);
            this.first.advance(bytes);
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
            if !this.first.is_empty() {
                let bytes = this.first.len().min(buffer.remaining());
                buffer.put_slice(&this.first[..bytes]);
                this.first.advance(bytes);
            }
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
