//! Counts of many, in memory that never grows.
//!
//! A count is found by a keyed hash in one of two sets of [`WAYS`] slots. A slot is given to
//! somebody else only when it says nothing any more: no call is open and its rate is whole again.
//! So nobody is freed of what he has used up by making the table forget him, however many names he
//! has; where both sets are taken by others who are still counted, a newcomer gets no slot, and
//! newcomers of one rule are counted together ([`super::Rule`]).
//!
//! Shared by all data threads, and exact over them: each slot is a few atomics, changed by compare
//! and exchange, and no call ever waits for another but those who come for the first time, for
//! whom a lock (one of [`STRIPES`]) keeps two of one name from getting two slots. Leasing pieces of
//! a rate to threads (performance PF-10) was left out: at 1/s a piece would be all there is, and the
//! exchanges of one call cost 8 ns alone and 17 ns where two threads want one slot all the time.
//!
//! Whoever takes a slot marks it first and then looks once more whether it is free; whoever counts
//! in one looks afterwards whether it is still his. One of the two sees the other (both are in
//! total order), and counts anew. What can be lost in such a meeting is one call of somebody who
//! had not called for so long that his rate was whole.
//!
//! Not here: the arithmetic (`gcra`), whose calls are counted together (`limit`).

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};

/// Slots of one set: two lines of memory for their names.
const WAYS: usize = 8;
/// 32,768 slots of 24 bytes: 786 KB for each kind of key that a namespace limits by.
const SETS: usize = 4096;
const STRIPES: usize = 64;

/// No name; slots begin like this.
const NOBODY: u64 = 0;
/// A slot that is being taken.
const TAKEN: u64 = u64::MAX;

/// What is counted of one.
#[derive(Debug, Default)]
pub(super) struct Slot {
    name: AtomicU64,
    /// See `gcra`.
    pub(super) kept: AtomicU64,
    /// Calls that have not ended.
    pub(super) open: AtomicU32,
}

impl Slot {
    fn says_nothing(&self, now: u64) -> bool {
        self.open.load(SeqCst) == 0 && self.kept.load(SeqCst) <= now
    }

    pub(super) fn belongs_to(&self, name: u64) -> bool {
        self.name.load(SeqCst) == name
    }
}

pub(crate) struct Table {
    /// Set after set.
    slots: Box<[Slot]>,
    newcomers: [Mutex<()>; STRIPES],
}

impl Table {
    pub(super) fn new() -> Table {
        Table::of(SETS)
    }

    fn of(sets: usize) -> Table {
        let slots = (0..sets * WAYS).map(|_| Slot::default()).collect();
        Table { slots, newcomers: std::array::from_fn(|_| Mutex::default()) }
    }

    /// A hash as a name: two of its values mean something else.
    pub(super) fn name(hash: u64) -> u64 {
        hash.clamp(NOBODY + 1, TAKEN - 1)
    }

    /// Where a name may stand: two sets.
    fn places(&self, name: u64) -> impl Iterator<Item = usize> + use<> {
        let sets = (self.slots.len() / WAYS) as u64;
        let set = |number: u64| {
            let first = (number % sets) as usize * WAYS;
            first..first + WAYS
        };
        set(name).chain(set(name >> 32))
    }

    /// The slot at a place. One with an open call stays where it is.
    pub(super) fn at(&self, place: usize) -> &Slot {
        &self.slots[place]
    }

    /// The place of this name, where it has one.
    pub(super) fn find(&self, name: u64) -> Option<usize> {
        self.places(name).find(|place| self.at(*place).belongs_to(name))
    }

    /// The place of this name, which is given to it where it has none; `None` where there is no
    /// room.
    pub(super) fn place(&self, name: u64, now: u64) -> Option<usize> {
        if let Some(place) = self.find(name) {
            return Some(place);
        }
        let stripe = &self.newcomers[(name >> 16) as usize % STRIPES];
        let _alone = stripe.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = self.find(name) {
            return Some(place);
        }
        self.places(name).find(|place| {
            let slot = self.at(*place);
            let before = slot.name.load(SeqCst);
            if before == TAKEN || !slot.says_nothing(now) {
                return false;
            }
            if slot.name.compare_exchange(before, TAKEN, SeqCst, SeqCst).is_err() {
                return false;
            }
            let free = slot.says_nothing(now);
            // What is kept has passed, which is the same as nothing: it need not be cleared.
            slot.name.store(if free { name } else { before }, SeqCst);
            free
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(table: &Table, name: u64, now: u64) -> &Slot {
        table.at(table.place(name, now).unwrap())
    }

    #[test]
    fn a_slot_is_found_again_and_given_away_only_when_it_says_nothing() {
        let table = Table::of(1);
        for name in 1..=8 {
            let slot = slot(&table, name, 100);
            slot.kept.store(100 + name, SeqCst);
        }
        assert!(table.place(9, 100).is_none(), "all eight are still counted");
        assert_eq!(slot(&table, 3, 100).kept.load(SeqCst), 103);
        // The first whose moment has passed goes; one with an open call stays.
        slot(&table, 1, 100).open.store(1, SeqCst);
        assert!(table.place(9, 101).is_none());
        slot(&table, 9, 102).kept.store(500, SeqCst);
        assert!(table.place(2, 102).is_none(), "it was given away, and there is no other");
        assert_eq!(slot(&table, 1, 102).open.load(SeqCst), 1);
    }

    #[test]
    fn newcomers_of_one_name_on_many_threads_get_one_slot() {
        let table = Table::of(2);
        for name in 1..500_u64 {
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        let slot = slot(&table, name << 32 | name, name);
                        slot.kept.fetch_add(1, SeqCst);
                    });
                }
            });
            let all = table.slots.iter();
            let mine = all.filter(|slot| slot.belongs_to(name << 32 | name)).count();
            assert_eq!(mine, 1, "{name}");
            let slot = slot(&table, name << 32 | name, name);
            slot.kept.store(0, SeqCst);
        }
    }
}
