//! The table of what is kept: found by its key, good until its time, pushed out when there is no
//! room. Pure: whoever asks says what time it is.
//!
//! Which entry goes: S3-FIFO. New entries stand in a small queue, a tenth of the bytes; what was
//! asked for again while it stood there moves to the main queue, where an entry that was asked for
//! since its last turn gets another one. So a scan of a million keys that nobody asks for twice
//! runs through the small queue and touches nothing else. Keys that left the small queue are
//! remembered by their hash: who comes back goes to the main queue at once. No look-up moves
//! anything, and an entry that goes takes [`TURNS`] steps at most. Weighed against LRU (a scan
//! empties it; a hit moves links) and against a library (its table counts what we give it, not what
//! it uses itself, and its clock is not ours).
//!
//! Bytes are those of keys and values as they are told, and of the tables: a slot that was once
//! needed stays, and stays counted, until nothing at all is kept.
//!
//! Source: Yang, Zhang, Qiu, Yue, Vinayak, "FIFO queues are all you need for cache eviction",
//! SOSP 2023, sections 4.1 and 4.2.
//!
//! Not here: what a key and a value are, who asks (`cache`), several askers at once (`flight`).

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

/// Bytes that a slot takes, whatever is in it: 72 itself, 25 in the index, 17 for a remembered
/// hash, and as much again for tables that double before they are full.
pub(super) const SLOT_BYTES: usize = 256;
/// Bytes that an entry takes beside its slot, key and value: heads of their allocations.
pub(super) const ENTRY_BYTES: usize = 64;

/// Entries that are given another turn before one goes all the same: some 30 microseconds.
const TURNS: usize = 1_024;
/// Times that an entry can have been asked for, for all that is remembered.
const USES_MOST: u8 = 3;
/// The part of the bytes that new entries stand in: a tenth.
const SMALL_PART: usize = 10;

const NOWHERE: u32 = u32::MAX;

/// How long an entry is good, since whoever keeps time began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Life {
    /// Until then it is as good as a new one.
    pub(super) fresh_until: Duration,
    /// Until then it is better than a failure.
    pub(super) stale_until: Duration,
}

/// What is there under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found<V> {
    Fresh(V),
    Stale(V),
    Nothing,
}

/// What was counted, and what is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) entries: usize,
    /// With keys, tables and what belongs to them.
    pub(super) bytes: usize,
    pub(super) stored: u64,
    /// Went for want of room while they were good.
    pub(super) evicted: u64,
}

pub(super) struct Store<V> {
    budget: usize,
    /// Of the entries; their slots apart.
    held: usize,
    small: Queue,
    main: Queue,
    slots: Vec<Slot<V>>,
    free: u32,
    index: HashMap<Arc<[u8]>, u32>,
    ghosts: Ghosts,
    stored: u64,
    evicted: u64,
}

struct Slot<V> {
    entry: Option<Entry<V>>,
    /// Towards the head of the queue; of a free slot the next free one.
    newer: u32,
    older: u32,
}

struct Entry<V> {
    key: Arc<[u8]>,
    value: V,
    bytes: usize,
    life: Life,
    uses: u8,
    in_main: bool,
}

#[derive(Debug, Clone, Copy)]
struct Queue {
    newest: u32,
    oldest: u32,
    /// With the slots.
    bytes: usize,
}

impl Default for Queue {
    fn default() -> Queue {
        Queue { newest: NOWHERE, oldest: NOWHERE, bytes: 0 }
    }
}

/// Hashes of keys that went from the small queue, the oldest forgotten first.
#[derive(Default)]
struct Ghosts {
    order: VecDeque<u64>,
    there: HashSet<u64>,
    hasher: RandomState,
}

impl Ghosts {
    fn remember(&mut self, key: &[u8], most: usize) {
        let hash = self.hasher.hash_one(key);
        if self.there.insert(hash) {
            self.order.push_back(hash);
        }
        while self.order.len() > most {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.order.pop_front() {
            self.there.remove(&oldest);
        }
    }

    /// Its place in the order stays until it is the oldest; that costs a place and no search.
    fn take(&mut self, key: &[u8]) -> bool {
        self.there.remove(&self.hasher.hash_one(key))
    }
}

impl<V: Clone> Store<V> {
    pub(super) fn new(budget: usize) -> Store<V> {
        Store {
            budget,
            held: 0,
            small: Queue::default(),
            main: Queue::default(),
            slots: Vec::new(),
            free: NOWHERE,
            index: HashMap::new(),
            ghosts: Ghosts::default(),
            stored: 0,
            evicted: 0,
        }
    }

    pub(super) fn budget(&self) -> usize {
        self.budget
    }

    fn bytes(&self) -> usize {
        self.held + self.slots.len() * SLOT_BYTES
    }

    pub(super) fn figures(&self) -> Figures {
        Figures {
            entries: self.index.len(),
            bytes: self.bytes(),
            stored: self.stored,
            evicted: self.evicted,
        }
    }

    /// What is kept under `key` at `now`.
    pub(super) fn look(&mut self, key: &[u8], now: Duration) -> Found<V> {
        let Some(at) = self.index.get(key) else { return Found::Nothing };
        let Some(entry) = &mut self.slots[*at as usize].entry else { return Found::Nothing };
        // What is past all use keeps its place: who asks is about to fill it.
        entry.uses = (entry.uses + 1).min(USES_MOST);
        if now < entry.life.fresh_until {
            Found::Fresh(entry.value.clone())
        } else if now < entry.life.stale_until {
            Found::Stale(entry.value.clone())
        } else {
            Found::Nothing
        }
    }

    /// Keeps `value`, of so many bytes, in the place of what was there. Says whether there was
    /// room; where there is none, nothing is kept under the key.
    pub(super) fn put(
        &mut self,
        key: Arc<[u8]>,
        value: V,
        bytes: usize,
        life: Life,
        now: Duration,
    ) -> bool {
        let bytes = bytes.saturating_add(key.len()).saturating_add(ENTRY_BYTES);
        // What is asked for all the time stays where it stands when it is made anew.
        let (in_main, uses) = match self.remove(&key) {
            Some(before) => (before.in_main, before.uses),
            None => (self.ghosts.take(&key), 0),
        };
        let slot = |store: &Store<V>| if store.free == NOWHERE { SLOT_BYTES } else { 0 };
        while self.bytes().saturating_add(bytes).saturating_add(slot(self)) > self.budget {
            if !self.evict(now) {
                return false;
            }
        }
        let at = self.place(Entry { key: Arc::clone(&key), value, bytes, life, uses, in_main });
        self.index.insert(key, at);
        self.held += bytes;
        self.push(at);
        self.stored += 1;
        true
    }

    /// Evicts until `budget` holds, `most` entries at a time; says whether it does.
    pub(super) fn set_budget(&mut self, budget: usize, most: usize, now: Duration) -> bool {
        self.budget = budget;
        for _ in 0..most {
            if self.bytes() <= budget || !self.evict(now) {
                return true;
            }
        }
        self.bytes() <= budget
    }

    /// Takes out what `gone` says of the `most` slots from `from` on: how many entries that were,
    /// their bytes, and where to go on.
    pub(super) fn sweep(
        &mut self,
        from: usize,
        most: usize,
        gone: impl Fn(&[u8]) -> bool,
    ) -> (usize, usize, Option<usize>) {
        let end = from.saturating_add(most).min(self.slots.len());
        let (mut entries, mut bytes) = (0, 0);
        for at in from..end {
            let Some(entry) = self.slots.get(at).and_then(|slot| slot.entry.as_ref()) else {
                continue;
            };
            if !gone(&entry.key) {
                continue;
            }
            let key = Arc::clone(&entry.key);
            if let Some(entry) = self.remove(&key) {
                entries += 1;
                bytes += entry.bytes + SLOT_BYTES;
            }
        }
        if self.index.is_empty() {
            self.forget_all();
        }
        (entries, bytes, (end < self.slots.len()).then_some(end))
    }

    fn remove(&mut self, key: &[u8]) -> Option<Entry<V>> {
        let at = self.index.remove(key)?;
        self.take_out(at)
    }

    /// Makes room once; `false` where nothing is left to go.
    fn evict(&mut self, now: Duration) -> bool {
        for turn in 0.. {
            let from_small = self.main.oldest == NOWHERE
                || (self.small.oldest != NOWHERE && self.small.bytes > self.budget / SMALL_PART);
            let oldest = if from_small { self.small.oldest } else { self.main.oldest };
            if oldest == NOWHERE {
                return false;
            }
            let uses = self.slots[oldest as usize].entry.as_mut().map_or(0, |entry| {
                let uses = entry.uses;
                entry.uses = if from_small { 0 } else { uses.saturating_sub(1) };
                uses
            });
            if uses > 0 && turn < TURNS {
                self.unlink(oldest);
                if let Some(entry) = &mut self.slots[oldest as usize].entry {
                    entry.in_main = true;
                }
                self.push(oldest);
                continue;
            }
            if let Some(gone) = self.take_out(oldest) {
                self.index.remove(&gone.key);
                if now < gone.life.stale_until {
                    self.evicted += 1;
                }
                if from_small {
                    self.ghosts.remember(&gone.key, self.slots.len());
                }
            }
            break;
        }
        if self.index.is_empty() {
            self.forget_all();
        }
        true
    }

    /// Nothing is kept: the tables need not be either.
    fn forget_all(&mut self) {
        let (budget, stored, evicted) = (self.budget, self.stored, self.evicted);
        *self = Store { stored, evicted, ..Store::new(budget) };
    }

    fn place(&mut self, entry: Entry<V>) -> u32 {
        let slot = Slot { entry: Some(entry), newer: NOWHERE, older: NOWHERE };
        if self.free == NOWHERE {
            self.slots.push(slot);
            // More slots than numbers would be a terabyte of them.
            return (self.slots.len() - 1) as u32;
        }
        let at = self.free;
        self.free = self.slots[at as usize].newer;
        self.slots[at as usize] = slot;
        at
    }

    fn take_out(&mut self, at: u32) -> Option<Entry<V>> {
        self.unlink(at);
        let entry = self.slots[at as usize].entry.take()?;
        self.slots[at as usize].newer = self.free;
        self.free = at;
        self.held -= entry.bytes;
        Some(entry)
    }

    fn queue(&mut self, in_main: bool) -> &mut Queue {
        if in_main { &mut self.main } else { &mut self.small }
    }

    /// Puts the entry at the head of its queue.
    fn push(&mut self, at: u32) {
        let Some(entry) = &self.slots[at as usize].entry else { return };
        let (in_main, bytes) = (entry.in_main, entry.bytes);
        let queue = self.queue(in_main);
        queue.bytes += bytes + SLOT_BYTES;
        let before = std::mem::replace(&mut queue.newest, at);
        if before == NOWHERE {
            queue.oldest = at;
        } else {
            self.slots[before as usize].newer = at;
        }
        let slot = &mut self.slots[at as usize];
        (slot.newer, slot.older) = (NOWHERE, before);
    }

    fn unlink(&mut self, at: u32) {
        let slot = &self.slots[at as usize];
        let Some(entry) = &slot.entry else { return };
        let (newer, older, in_main, bytes) = (slot.newer, slot.older, entry.in_main, entry.bytes);
        let queue = self.queue(in_main);
        queue.bytes -= bytes + SLOT_BYTES;
        if newer == NOWHERE {
            queue.newest = older;
        }
        if older == NOWHERE {
            queue.oldest = newer;
        }
        if newer != NOWHERE {
            self.slots[newer as usize].older = older;
        }
        if older != NOWHERE {
            self.slots[older as usize].newer = newer;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn key(number: u32) -> Arc<[u8]> {
        number.to_be_bytes().into()
    }

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn life(fresh: u64, stale: u64) -> Life {
        Life { fresh_until: at(fresh), stale_until: at(stale) }
    }

    const FOREVER: Life = Life { fresh_until: Duration::MAX, stale_until: Duration::MAX };
    /// What one entry of these tests takes, its value having no bytes.
    const ONE: usize = SLOT_BYTES + ENTRY_BYTES + 4;

    impl<V: Clone> Store<V> {
        /// Everything that must be true between two calls.
        fn assert_sound(&self) {
            let mut entry_bytes = 0;
            let mut seen = 0;
            for (queue, in_main) in [(self.small, false), (self.main, true)] {
                let (mut at, mut newer, mut queue_bytes) = (queue.newest, NOWHERE, 0);
                while at != NOWHERE {
                    let slot = &self.slots[at as usize];
                    let entry = slot.entry.as_ref().expect("what stands in a queue is there");
                    assert_eq!((slot.newer, entry.in_main), (newer, in_main));
                    assert_eq!(self.index.get(&entry.key), Some(&at));
                    queue_bytes += entry.bytes + SLOT_BYTES;
                    entry_bytes += entry.bytes;
                    seen += 1;
                    (newer, at) = (at, slot.older);
                }
                assert_eq!(queue.oldest, newer);
                assert_eq!(queue.bytes, queue_bytes);
            }
            let (mut free, mut at) = (0, self.free);
            while at != NOWHERE {
                free += 1;
                assert!(self.slots[at as usize].entry.is_none());
                at = self.slots[at as usize].newer;
            }
            assert_eq!((seen, seen + free), (self.index.len(), self.slots.len()));
            assert_eq!(self.held, entry_bytes);
            assert!(self.bytes() <= self.budget, "{} of {}", self.bytes(), self.budget);
            assert!(self.ghosts.order.len() <= self.slots.len());
            assert!(self.ghosts.there.len() <= self.ghosts.order.len());
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Put { key: u32, bytes: usize, fresh: u64, stale: u64 },
        Look(u32),
        Wait(u64),
        Budget(usize),
        Sweep(u8),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0..40_u32, 0..2_000_usize, 0..50_u64, 0..50_u64)
                .prop_map(|(key, bytes, fresh, stale)| Step::Put { key, bytes, fresh, stale }),
            6 => (0..40_u32).prop_map(Step::Look),
            2 => (0..20_u64).prop_map(Step::Wait),
            1 => (0..40_000_usize).prop_map(Step::Budget),
            1 => any::<u8>().prop_map(Step::Sweep),
        ];
        prop::collection::vec(step, 0..300)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        /// The store is a map with a clock that may have lost something, and whose losses it
        /// counts; where there is room it has lost nothing.
        #[test]
        fn security_c_5_a_store_is_a_map_with_time_that_never_outgrows_its_budget(
            steps in steps(),
            roomy in any::<bool>(),
        ) {
            let mut store = Store::new(if roomy { 1 << 30 } else { 10_000 });
            let mut model: BTreeMap<u32, (u64, Life)> = BTreeMap::new();
            let mut now = 0;
            for (number, step) in (0_u64..).zip(&steps) {
                match *step {
                    Step::Put { key: name, bytes, fresh, stale } => {
                        let life = life(now + fresh, now + fresh + stale);
                        let there = store.put(key(name), number, bytes, life, at(now));
                        prop_assert!(there || !roomy);
                        if there {
                            model.insert(name, (number, life));
                        } else {
                            model.remove(&name);
                        }
                    }
                    Step::Look(name) => {
                        let expected = match model.get(&name) {
                            Some((value, life)) if at(now) < life.fresh_until => Found::Fresh(*value),
                            Some((value, life)) if at(now) < life.stale_until => Found::Stale(*value),
                            _ => Found::Nothing,
                        };
                        let found = store.look(&key(name), at(now));
                        if roomy {
                            prop_assert_eq!(found, expected);
                        } else {
                            prop_assert!(found == expected || found == Found::Nothing);
                        }
                    }
                    Step::Wait(ms) => now += ms,
                    Step::Budget(_) if roomy => {}
                    Step::Budget(budget) => while !store.set_budget(budget, 3, at(now)) {},
                    Step::Sweep(rest) => {
                        let gone = |key: &[u8]| key[3] % 4 == rest % 4;
                        let mut from = Some(0);
                        while let Some(at) = from {
                            (_, _, from) = store.sweep(at, 7, gone);
                        }
                        model.retain(|name, _| !gone(&name.to_be_bytes()));
                    }
                }
                store.assert_sound();
            }
        }
    }

    #[test]
    fn an_entry_is_fresh_then_stale_then_gone_to_the_moment() {
        let mut store = Store::new(1 << 20);
        assert!(store.put(key(1), 'a', 10, life(100, 150), at(50)));
        for (ms, found) in [
            (50, Found::Fresh('a')),
            (99, Found::Fresh('a')),
            (100, Found::Stale('a')),
            (149, Found::Stale('a')),
            (150, Found::Nothing),
        ] {
            assert_eq!(store.look(&key(1), at(ms)), found, "{ms}");
        }
        // Without a stale time it is gone when it is no longer fresh.
        assert!(store.put(key(1), 'b', 10, life(100, 100), at(50)));
        assert_eq!(store.look(&key(1), at(99)), Found::Fresh('b'));
        assert_eq!(store.look(&key(1), at(100)), Found::Nothing);
        // A clock that ends does not wrap around.
        assert!(store.put(key(1), 'c', 10, FOREVER, at(50)));
        assert_eq!(store.look(&key(1), Duration::MAX - at(1)), Found::Fresh('c'));
    }

    #[test]
    fn what_fits_to_the_byte_is_kept_and_one_byte_more_is_not() {
        let mut store = Store::new(ONE + 100);
        assert!(store.put(key(1), (), 100, FOREVER, at(0)));
        assert_eq!(store.figures().bytes, ONE + 100);
        assert!(!store.put(key(2), (), 101, FOREVER, at(0)));
        assert!(!store.put(key(3), (), usize::MAX, FOREVER, at(0)));
        store.assert_sound();
        assert!(!Store::new(0).put(key(1), (), 0, FOREVER, at(0)));
    }

    #[test]
    fn security_c_5_a_scan_of_keys_that_nobody_asks_for_twice_leaves_what_is_asked_for() {
        let room = 1_000;
        let mut store = Store::new(room * ONE);
        let asked: Vec<u32> = (0..800).collect();
        for name in &asked {
            assert!(store.put(key(*name), (), 0, FOREVER, at(0)));
            assert_eq!(store.look(&key(*name), at(0)), Found::Fresh(()));
        }
        for name in 1_000_000..1_100_000 {
            assert!(store.put(key(name), (), 0, FOREVER, at(0)));
        }
        store.assert_sound();
        let left = asked.iter().filter(|name| store.look(&key(**name), at(0)) != Found::Nothing);
        assert_eq!(left.count(), asked.len());
        let figures = store.figures();
        assert!(figures.bytes <= room * ONE && figures.entries <= room, "{figures:?}");
        assert_eq!(figures.evicted, 100_800 - figures.entries as u64);
    }

    #[test]
    fn who_comes_back_soon_after_it_went_is_let_into_the_main_queue() {
        let mut store = Store::new(20 * ONE);
        for name in 0..40 {
            store.put(key(name), (), 0, FOREVER, at(0));
        }
        assert_eq!(store.look(&key(15), at(0)), Found::Nothing);
        store.put(key(15), (), 0, FOREVER, at(0));
        for name in 100..140 {
            store.put(key(name), (), 0, FOREVER, at(0));
        }
        assert_eq!(store.look(&key(15), at(0)), Found::Fresh(()));
    }

    #[test]
    fn an_entry_that_is_made_anew_keeps_its_place() {
        let mut store = Store::new(20 * ONE);
        store.put(key(0), 0, 0, FOREVER, at(0));
        assert_eq!(store.look(&key(0), at(0)), Found::Fresh(0));
        for round in 1..10 {
            for name in 0..40 {
                store.put(key(1_000 * round + name), 1, 0, FOREVER, at(0));
            }
            store.put(key(0), round, 0, FOREVER, at(0));
            assert_eq!(store.look(&key(0), at(0)), Found::Fresh(round));
        }
    }

    #[test]
    fn a_store_that_everybody_asks_for_all_of_still_lets_one_go_in_a_few_steps() {
        let mut store = Store::new(1_000 * ONE);
        for name in 0..1_000 {
            store.put(key(name), (), 0, FOREVER, at(0));
            for _ in 0..5 {
                store.look(&key(name), at(0));
            }
        }
        // Bounded by turns, not by entries: the next one is let in, and one went for it.
        store.put(key(5_000), (), 0, FOREVER, at(0));
        assert_eq!(store.figures().entries, 1_000);
        assert_eq!(store.figures().evicted, 1);
        store.assert_sound();
    }

    #[test]
    fn tables_go_with_the_last_entry() {
        let mut store = Store::new(100 * ONE);
        for name in 0..100 {
            store.put(key(name), (), 0, FOREVER, at(0));
        }
        assert!(store.set_budget(0, 1_000, at(0)));
        let gone = Figures { entries: 0, bytes: 0, stored: 100, evicted: 100 };
        assert_eq!(store.figures(), gone);
    }
}
