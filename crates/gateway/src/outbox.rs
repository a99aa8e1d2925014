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
//! Small pieces are copied into that room. A large one, which whoever gave it to the library has
//! [lent](lend), is kept by reference: the library shows a stream's bytes as plain slices, and a
//! slice of a piece that is lent is that piece.
//!
//! Not here: how long a write may make no progress (`listen::wire`).

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// 64 KiB: four frames of the largest size that every peer takes.
const KEPT_BYTES_MOST: usize = 64 * 1024;
/// A piece from here on is kept by reference; to copy a smaller one costs less than its slice.
const HELD_BYTES_LEAST: usize = 4 * 1024;
/// Slices of one write beside what is kept; the library gives two.
const SLICES_MOST: usize = 8;
/// Slices that what is kept can be: pieces held, of which one may have gone out in part, and what
/// was copied before, between and behind them.
const KEPT_SLICES_MOST: usize = 2 * (KEPT_BYTES_MOST / HELD_BYTES_LEAST + 1) + 1;

thread_local! {
    /// The room of the turn before, for the next one.
    static ROOM: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static LENT: RefCell<Lent> = const { RefCell::new(Lent::new()) };
}

/// Says that the library is about to be given `piece`, so that an [`Outbox`] of this thread can
/// keep it without a copy. Nothing depends on it but the copy.
pub(crate) fn lend(piece: &Bytes) {
    if piece.len() >= HELD_BYTES_LEAST {
        LENT.with_borrow_mut(|lent| lent.add(piece));
    }
}

/// Large pieces that are on their way through the library, the oldest first.
///
/// Of a stream that ended before all was written some stay; so they are bounded, by number and by
/// bytes, and the oldest go.
struct Lent {
    pieces: VecDeque<Bytes>,
    bytes: usize,
}

impl Lent {
    const PIECES_MOST: usize = 32;
    const BYTES_MOST: usize = 1 << 20;

    const fn new() -> Lent {
        Lent { pieces: VecDeque::new(), bytes: 0 }
    }

    fn add(&mut self, piece: &Bytes) {
        if piece.len() > Lent::BYTES_MOST {
            return;
        }
        self.pieces.push_back(piece.clone());
        self.bytes += piece.len();
        while self.pieces.len() > Lent::PIECES_MOST || self.bytes > Lent::BYTES_MOST {
            self.give_back(0);
        }
    }

    fn give_back(&mut self, at: usize) {
        if let Some(piece) = self.pieces.remove(at) {
            self.bytes -= piece.len();
        }
    }

    /// The piece, or the part of it, that `slice` is. A piece is given back when too little is
    /// left of it to be asked for.
    fn find(&mut self, slice: &[u8]) -> Option<Bytes> {
        let wanted = slice.as_ptr_range();
        let at = self.pieces.iter().position(|piece| {
            let lent = piece.as_ptr_range();
            lent.start <= wanted.start && wanted.end <= lent.end
        })?;
        let found = self.pieces[at].slice_ref(slice);
        let left = self.pieces[at].as_ptr_range().end.addr() - wanted.end.addr();
        if left < HELD_BYTES_LEAST {
            self.give_back(at);
        }
        Some(found)
    }
}

/// A stream whose writes leave together; cheap to clone, all clones are one stream.
// A lock that is never waited for: the library and the driver of its connection are one task. It
// is one because off the path that task runs where tasks must be `Send`.
pub(crate) struct Outbox<T>(Arc<Mutex<Inner<T>>>);

struct Inner<T> {
    io: T,
    kept: Kept,
    /// Something went out since the last flush.
    unflushed: bool,
}

/// What waits for the end of the turn.
#[derive(Default)]
struct Kept {
    /// What was copied; what lies before `sent` has gone out.
    copied: Vec<u8>,
    sent: usize,
    /// What is held, each piece with the place in `copied` that it stands before.
    held: VecDeque<(usize, Bytes)>,
    held_bytes: usize,
}

impl<T> Clone for Outbox<T> {
    fn clone(&self) -> Self {
        Outbox(Arc::clone(&self.0))
    }
}

impl<T> Outbox<T> {
    pub(crate) fn new(io: T) -> Outbox<T> {
        let inner = Inner { io, kept: Kept::default(), unflushed: false };
        Outbox(Arc::new(Mutex::new(inner)))
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

impl Kept {
    fn bytes(&self) -> usize {
        self.copied.len() - self.sent + self.held_bytes
    }

    fn keep(&mut self, slice: &[u8]) {
        if slice.len() >= HELD_BYTES_LEAST
            && let Some(piece) = LENT.with_borrow_mut(|lent| lent.find(slice))
        {
            self.held_bytes += piece.len();
            self.held.push_back((self.copied.len(), piece));
            return;
        }
        if self.copied.capacity() == 0 {
            self.copied = ROOM.take();
        }
        // Only a peer that reads slowly leaves a part unsent.
        if self.sent > 0 {
            let sent = std::mem::take(&mut self.sent);
            self.copied.drain(..sent);
            for (place, _) in &mut self.held {
                *place -= sent;
            }
        }
        self.copied.extend_from_slice(slice);
    }

    /// Puts what is kept into `slices`, in its order; returns how many they are.
    fn fill<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        let mut put = |bytes: &'a [u8]| {
            if !bytes.is_empty() {
                slices[filled] = IoSlice::new(bytes);
                filled += 1;
            }
        };
        let mut from = self.sent;
        for (place, piece) in &self.held {
            put(&self.copied[from..*place]);
            put(piece);
            from = *place;
        }
        put(&self.copied[from..]);
        filled
    }

    /// The first `bytes` of it went out.
    fn went_out(&mut self, mut bytes: usize) {
        while bytes > 0 {
            match self.held.front_mut() {
                Some((place, piece)) if *place == self.sent => {
                    let part = bytes.min(piece.len());
                    piece.advance(part);
                    if piece.is_empty() {
                        self.held.pop_front();
                    }
                    self.held_bytes -= part;
                    bytes -= part;
                }
                front => {
                    let to = front.map_or(self.copied.len(), |(place, _)| *place);
                    let part = bytes.min(to - self.sent);
                    self.sent += part;
                    bytes -= part;
                }
            }
        }
        if self.bytes() == 0 {
            self.sent = 0;
            self.copied.clear();
            ROOM.set(std::mem::take(&mut self.copied));
            // Its room is small, but silent connections are many.
            self.held = VecDeque::new();
        }
    }
}

impl<T: AsyncWrite + Unpin> Inner<T> {
    fn poll_leave(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.kept.bytes() > 0 {
            ready!(self.poll_send(cx, &[]))?;
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// One write of what is kept, and of `slices` behind it; how many bytes of those went out.
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut all = [IoSlice::new(&[]); KEPT_SLICES_MOST + SLICES_MOST];
        let kept = self.kept.fill(&mut all);
        let several = slices.len().min(SLICES_MOST);
        all[kept..kept + several].copy_from_slice(&slices[..several]);
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, &all[..kept + several]);
        let written = ready!(written)?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.unflushed = true;
        let of_kept = written.min(self.kept.bytes());
        self.kept.went_out(of_kept);
        Poll::Ready(Ok(written - of_kept))
    }

    /// Takes `slices`, `bytes` in all, or as many of them as there is room for.
    fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
        bytes: usize,
    ) -> Poll<io::Result<usize>> {
        while self.kept.bytes() + bytes > KEPT_BYTES_MOST {
            let sent = ready!(self.poll_send(cx, slices))?;
            if sent > 0 {
                return Poll::Ready(Ok(sent));
            }
        }
        for slice in slices {
            self.kept.keep(slice);
        }
        Poll::Ready(Ok(bytes))
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
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            slices: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let written = ready!(Pin::new(&mut self.0).poll_write_vectored(cx, slices));
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

    /// Reads what lies there, if anything does.
    async fn take(far: &mut DuplexStream, read: &mut Vec<u8>) {
        let mut piece = [0; 9000];
        let taken = tokio::select! {
            biased;
            bytes = far.read(&mut piece) => bytes.unwrap(),
            // The runtime makes a task that has done much pause, and its streams then have nothing.
            () = tokio::task::yield_now() => 0,
        };
        read.extend_from_slice(&piece[..taken]);
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
        assert_eq!(outbox.inner().kept.copied.capacity(), 0, "between turns nothing is held");
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
    async fn a_large_piece_that_was_lent_is_kept_without_a_copy() {
        let (mut outbox, mut far, writes) = outbox(1 << 20);
        let large = Bytes::from((0..40_000).map(|at| (at % 251) as u8).collect::<Vec<u8>>());
        lend(&large);
        // As the library cuts it: frames with heads, the first bytes of each copied to its head.
        let mut expected = Vec::new();
        for frame in large.chunks(16 * 1024) {
            outbox.write_all(b"head").await.unwrap();
            outbox.write_all(&frame[..200]).await.unwrap();
            outbox.write_all(&frame[200..]).await.unwrap();
            expected.extend_from_slice(b"head");
            expected.extend_from_slice(frame);
        }
        let copied = outbox.inner().kept.copied.len();
        assert_eq!(copied, 3 * (4 + 200), "heads alone were copied");
        assert!(LENT.with_borrow(|lent| lent.pieces.is_empty() && lent.bytes == 0));
        // What nobody lent is copied.
        outbox.write_all(&[7; 5000]).await.unwrap();
        expected.extend_from_slice(&[7; 5000]);
        assert_eq!(outbox.inner().kept.copied.len(), copied + 5000);
        leave(&outbox).await;
        assert_eq!(*writes.lock().unwrap(), 1);
        let mut read = vec![0; expected.len()];
        far.read_exact(&mut read).await.unwrap();
        assert!(read == expected);
    }

    #[tokio::test]
    async fn what_is_held_and_what_is_copied_leave_in_their_order_however_little_the_peer_takes() {
        for room in [13, 1000, 5000, 70_000] {
            let (outbox, mut far, _) = outbox(room);
            let cx = &mut Context::from_waker(std::task::Waker::noop());
            let (mut expected, mut read) = (Vec::new(), Vec::new());
            // Small, large and lent, large and not lent; sizes that meet each bound.
            for (at, size) in [3, 4096, 9, 4095, 20_000, 5000, 65_536, 1, 60_000, 4097, 4097]
                .into_iter()
                .cycle()
                .take(44)
                .enumerate()
            {
                let sent = Bytes::from(vec![at as u8; size]);
                if at % 3 != 0 {
                    lend(&sent);
                }
                expected.extend_from_slice(&sent);
                let mut from = 0;
                while from < size {
                    let taken = Pin::new(&mut outbox.clone()).poll_write(cx, &sent[from..]);
                    match taken {
                        Poll::Ready(bytes) => from += bytes.unwrap(),
                        Poll::Pending => {
                            assert!(outbox.inner().kept.bytes() <= KEPT_BYTES_MOST);
                            take(&mut far, &mut read).await;
                        }
                    }
                }
                let _ = outbox.poll_leave(cx);
            }
            while read.len() < expected.len() {
                let _ = outbox.poll_leave(cx);
                take(&mut far, &mut read).await;
            }
            assert!(read == expected, "room {room}");
            assert_eq!(outbox.inner().kept.bytes(), 0);
        }
    }

    #[test]
    fn pieces_of_streams_that_ended_are_few_and_small() {
        for _ in 0..100 {
            lend(&Bytes::from(vec![0; 5000]));
        }
        let held = |most: usize| LENT.with_borrow(|lent| lent.pieces.len() <= most);
        assert!(held(Lent::PIECES_MOST));
        for _ in 0..8 {
            lend(&Bytes::from(vec![0; 500_000]));
            assert!(LENT.with_borrow(|lent| lent.bytes <= Lent::BYTES_MOST));
        }
        // One that is larger than all of them may be is not kept at all.
        LENT.with_borrow_mut(|lent| *lent = Lent::new());
        lend(&Bytes::from(vec![0; Lent::BYTES_MOST + 1]));
        assert!(held(0));
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
        let held = outbox.inner().kept.bytes();
        assert!(held <= KEPT_BYTES_MOST, "{held}");
        assert!((KEPT_BYTES_MOST - 13 * 1024..=KEPT_BYTES_MOST + 1000).contains(&full), "{full}");
        // As it reads, the rest follows, each byte once and in its order.
        let mut read = Vec::new();
        let mut piece = [0; 700];
        while read.len() < sent.len() {
            let _ = polled(&mut outbox, cx).filter(|taken| *taken < sent.len());
            let _ = outbox.poll_leave(cx);
            assert!(outbox.inner().kept.bytes() <= KEPT_BYTES_MOST);
            let bytes = far.read(&mut piece).await.unwrap();
            read.extend_from_slice(&piece[..bytes]);
        }
        assert!(read == sent);
    }
}
