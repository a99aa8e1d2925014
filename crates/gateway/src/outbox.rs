//! What a connection says in one turn of its task leaves in one piece.
//!
//! The HTTP/2 library writes each DATA frame by itself, and a write costs more than what stands
//! around a small message. So the library is given an [`Outbox`] as its stream: what it writes is
//! kept until whoever drives the connection says that the turn is over ([`Outbox::poll_leave`]),
//! which is when the library has nothing more to do. Nothing waits for more: a turn ends before
//! the loop looks at the sockets again. The library's own flushes cannot say that, for it flushes
//! behind each frame.
//!
//! At most [`KEPT_BYTES_MOST`] are kept; beyond that what is kept goes out together with what
//! comes, and where the socket takes nothing, the library waits as it would on the socket. So a
//! peer that does not read costs this much more and no more. The room is lent for the turn: a
//! connection that is silent holds none.
//!
//! Not here: how long a write may make no progress (`listen::wire`).

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// 64 KiB: four frames of the largest size that every peer takes.
const KEPT_BYTES_MOST: usize = 64 * 1024;
/// Slices of one write beside what is kept; the library gives two.
const SLICES_MOST: usize = 8;

thread_local! {
    /// The room of the turn before, for the next one.
    static ROOM: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A stream whose writes leave together; cheap to clone, all clones are one stream.
// A lock that is never waited for: the library and the driver of its connection are one task. It
// is one because off the path that task runs where tasks must be `Send`.
pub(crate) struct Outbox<T>(Arc<Mutex<Inner<T>>>);

struct Inner<T> {
    io: T,
    /// What is kept; what lies before `sent` has gone out.
    kept: Vec<u8>,
    sent: usize,
    /// Something went out since the last flush.
    unflushed: bool,
}

impl<T> Clone for Outbox<T> {
    fn clone(&self) -> Self {
        Outbox(Arc::clone(&self.0))
    }
}

impl<T> Outbox<T> {
    pub(crate) fn new(io: T) -> Outbox<T> {
        Outbox(Arc::new(Mutex::new(Inner { io, kept: Vec::new(), sent: 0, unflushed: false })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: AsyncWrite + Unpin> Outbox<T> {
    /// Sends what is kept: the turn is over.
    ///
    /// # Errors
    /// What the stream below says; nothing can be sent after that.
    pub(crate) fn poll_leave(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner().poll_leave(cx)
    }
}

impl<T: AsyncWrite + Unpin> Inner<T> {
    fn poll_leave(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.kept.is_empty() {
            let sent = ready!(Pin::new(&mut self.io).poll_write(cx, &self.kept[self.sent..]))?;
            self.went_out(sent)?;
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Takes `slices`, `bytes` in all, or as many of them as there is room for.
    fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
        bytes: usize,
    ) -> Poll<io::Result<usize>> {
        while self.kept_bytes() + bytes > KEPT_BYTES_MOST {
            let mut all = [IoSlice::new(&[]); SLICES_MOST + 1];
            let several = slices.len().min(SLICES_MOST);
            all[0] = IoSlice::new(&self.kept[self.sent..]);
            all[1..=several].copy_from_slice(&slices[..several]);
            let written = Pin::new(&mut self.io).poll_write_vectored(cx, &all[..=several]);
            let written = ready!(written)?;
            let of_kept = written.min(self.kept_bytes());
            if of_kept > 0 || written == 0 {
                self.went_out(of_kept)?;
            }
            if written > of_kept {
                self.unflushed = true;
                return Poll::Ready(Ok(written - of_kept));
            }
        }
        if self.kept.capacity() == 0 {
            self.kept = ROOM.take();
        }
        // Only a peer that reads slowly leaves a part unsent.
        self.kept.drain(..std::mem::take(&mut self.sent));
        for slice in slices {
            self.kept.extend_from_slice(slice);
        }
        Poll::Ready(Ok(bytes))
    }

    fn kept_bytes(&self) -> usize {
        self.kept.len() - self.sent
    }

    fn went_out(&mut self, bytes: usize) -> io::Result<()> {
        if bytes == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.unflushed = true;
        self.sent += bytes;
        if self.sent == self.kept.len() {
            self.sent = 0;
            self.kept.clear();
            ROOM.set(std::mem::take(&mut self.kept));
        }
        Ok(())
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Outbox<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner().io).poll_read(cx, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Outbox<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.inner().poll_take(cx, &[IoSlice::new(bytes)], bytes.len())
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let bytes = slices.iter().map(|slice| slice.len()).sum();
        self.inner().poll_take(cx, slices, bytes)
    }

    /// What is kept fits any number of slices, so the library need not join them itself.
    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Nothing: the library flushes behind each frame.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.inner();
        ready!(inner.poll_leave(cx))?;
        Pin::new(&mut inner.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    /// A stream that says how often it was written to.
    struct Counted(DuplexStream, Arc<Mutex<usize>>);

    impl AsyncWrite for Counted {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            let written = ready!(Pin::new(&mut self.0).poll_write(cx, bytes));
            *self.1.lock().unwrap() += 1;
            Poll::Ready(written)
        }

        fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_shutdown(cx)
        }
    }

    /// An outbox, the other end of its stream that holds `room` bytes, and the count of writes.
    fn outbox(room: usize) -> (Outbox<Counted>, DuplexStream, Arc<Mutex<usize>>) {
        let (near, far) = duplex(room);
        let writes = Arc::new(Mutex::new(0));
        (Outbox::new(Counted(near, Arc::clone(&writes))), far, writes)
    }

    async fn leave(outbox: &Outbox<Counted>) {
        poll_fn(|cx| outbox.poll_leave(cx)).await.unwrap();
    }

    #[tokio::test]
    async fn what_was_written_leaves_at_the_end_of_the_turn_in_one_piece() {
        let (mut outbox, mut far, writes) = outbox(1 << 20);
        for piece in [&b"one "[..], b"two ", b"three"] {
            outbox.write_all(piece).await.unwrap();
            outbox.flush().await.unwrap();
        }
        assert_eq!(*writes.lock().unwrap(), 0);
        leave(&outbox).await;
        assert_eq!(*writes.lock().unwrap(), 1);
        assert_eq!(outbox.inner().kept.capacity(), 0, "between turns nothing is held");
        // A turn in which nothing was said writes nothing.
        leave(&outbox).await;
        assert_eq!(*writes.lock().unwrap(), 1);
        // A farewell needs no turn.
        outbox.write_all(b".").await.unwrap();
        outbox.shutdown().await.unwrap();
        let mut read = String::new();
        far.read_to_string(&mut read).await.unwrap();
        assert_eq!(read, "one two three.");
    }

    #[tokio::test]
    async fn a_peer_that_does_not_read_costs_64_kib_and_then_the_writer_waits() {
        let (mut outbox, mut far, _) = outbox(1000);
        let cx = &mut Context::from_waker(std::task::Waker::noop());
        let mut taken = 0;
        // 13 divides neither room: pieces are cut where they fall.
        let sent: Vec<u8> = (0..300_000).map(|at| (at % 251) as u8).collect();
        let mut polled = |outbox: &mut Outbox<Counted>, cx: &mut Context<'_>| {
            let piece = &sent[taken..sent.len().min(taken + 13 * 1024)];
            let polled = Pin::new(outbox).poll_write(cx, piece);
            if let Poll::Ready(bytes) = &polled {
                taken += bytes.as_ref().unwrap();
            }
            polled.is_ready().then_some(taken)
        };
        let mut full = 0;
        while let Some(taken) = polled(&mut outbox, cx) {
            full = taken;
            let _ = outbox.poll_leave(cx);
        }
        let held = outbox.inner().kept.len();
        assert!(held <= KEPT_BYTES_MOST, "{held}");
        assert!((KEPT_BYTES_MOST - 13 * 1024..=KEPT_BYTES_MOST + 1000).contains(&full), "{full}");
        // As it reads, the rest follows, each byte once and in its order.
        let mut read = Vec::new();
        let mut piece = [0; 700];
        while read.len() < sent.len() {
            let _ = polled(&mut outbox, cx).filter(|taken| *taken < sent.len());
            let _ = outbox.poll_leave(cx);
            assert!(outbox.inner().kept.len() <= KEPT_BYTES_MOST);
            let bytes = far.read(&mut piece).await.unwrap();
            read.extend_from_slice(&piece[..bytes]);
        }
        assert!(read == sent);
    }
}
