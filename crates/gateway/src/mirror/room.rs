//! How much room copies may take up: in all, and of one namespace.
//!
//! A copy takes its place before it is queued and gives it back when its pair has been compared
//! or given up, so what is counted is everything that waits and everything that is under way. One
//! that finds no room is dropped, the newest first (compare M-7).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tandem_config::document::Share;
use tandem_judge::pair::Abandoned;

/// Copies of the process (security LI-27).
pub(super) const COPIES_MOST: usize = 1_024;
/// Bytes of requests and of the primary's answers. With what the trial sides answer at most, 64
/// times 256 KiB, it is 32 MiB (security LI-27).
pub(super) const BYTES_MOST: usize = 16 << 20;
/// What a copy takes up beside its bodies: headers, places in maps.
const BESIDE_BYTES: usize = 2 << 10;

/// A bound, and what of it is taken.
#[derive(Debug)]
pub(super) struct Room {
    // Atomic: the data threads offer, the mirror's thread gives back.
    copies: AtomicUsize,
    bytes: AtomicUsize,
    copies_most: AtomicUsize,
    bytes_most: AtomicUsize,
}

impl Room {
    /// The part `share` of what the process has.
    pub(super) fn new(share: Share) -> Arc<Room> {
        let room = Room {
            copies: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            copies_most: AtomicUsize::new(0),
            bytes_most: AtomicUsize::new(0),
        };
        room.set(share);
        Arc::new(room)
    }

    /// Another part from now on.
    pub(super) fn set(&self, share: Share) {
        let part = |whole: usize| whole * usize::from(share.per_mille()) / 1000;
        self.copies_most.store(part(COPIES_MOST), Ordering::Relaxed);
        self.bytes_most.store(part(BYTES_MOST), Ordering::Relaxed);
    }

    fn take(&self, bytes: usize) -> Result<(), Abandoned> {
        let before = self.copies.fetch_add(1, Ordering::Relaxed);
        if before >= self.copies_most.load(Ordering::Relaxed) {
            self.copies.fetch_sub(1, Ordering::Relaxed);
            return Err(Abandoned::QueueFull);
        }
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > self.bytes_most.load(Ordering::Relaxed) {
            self.give(bytes);
            return Err(Abandoned::BytesFull);
        }
        Ok(())
    }

    fn give(&self, bytes: usize) {
        self.copies.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// The part of `whole` that the room is of all that there is.
    pub(super) fn part_of(&self, whole: usize) -> usize {
        whole * self.copies_most.load(Ordering::Relaxed) / COPIES_MOST
    }

    /// Copies that have a place now.
    pub(super) fn copies(&self) -> usize {
        self.copies.load(Ordering::Relaxed)
    }
}

/// The place of one copy, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    process: Arc<Room>,
    own: Arc<Room>,
    bytes: usize,
}

impl Place {
    /// A place for a copy with so many bytes in its bodies.
    ///
    /// # Errors
    /// Which bound it would break.
    pub(super) fn take(
        process: &Arc<Room>,
        own: &Arc<Room>,
        bytes: usize,
    ) -> Result<Place, Abandoned> {
        let bytes = bytes + BESIDE_BYTES;
        own.take(bytes)?;
        process.take(bytes).inspect_err(|_full| own.give(bytes))?;
        Ok(Place { process: Arc::clone(process), own: Arc::clone(own), bytes })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.process.give(self.bytes);
        self.own.give(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compare_m_7_a_namespace_has_its_part_and_the_process_its_bound() {
        let half = Share::from_per_mille(500).unwrap();
        let process = Room::new(Share::ALL);
        let (one, other) = (Room::new(half), Room::new(Share::ALL));
        let mut held = Vec::new();
        for _ in 0..512 {
            held.push(Place::take(&process, &one, 0).unwrap());
        }
        assert_eq!(Place::take(&process, &one, 0).unwrap_err(), Abandoned::QueueFull);
        for _ in 0..512 {
            held.push(Place::take(&process, &other, 0).unwrap());
        }
        assert_eq!(Place::take(&process, &other, 0).unwrap_err(), Abandoned::QueueFull);
        assert_eq!(other.copies(), 512, "what was refused leaves nothing behind");
        drop(held);
        assert_eq!((process.copies(), one.copies(), other.copies()), (0, 0, 0));
        let bytes = BYTES_MOST / 2 - BESIDE_BYTES;
        let all = Place::take(&process, &one, bytes).unwrap();
        assert_eq!(Place::take(&process, &one, 1).unwrap_err(), Abandoned::BytesFull);
        let rest = Place::take(&process, &other, bytes).unwrap();
        assert_eq!(Place::take(&process, &other, 0).unwrap_err(), Abandoned::BytesFull);
        drop((all, rest));
        assert_eq!(process.bytes.load(Ordering::Relaxed), 0);
    }
}
