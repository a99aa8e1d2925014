//! Copies of a stateful service, in the order of the primary's commits, key by key.
//!
//! Every answer of such a service says a number in its trailer `tandem-sequence`: a write its own
//! commit, a read or a refused write the last commit that it saw; numbers are dense within a key.
//! So each copy has a place: a write at its number, all else behind the write with its number and
//! before the next one. One copy of a key is under way at a time.
//!
//! A copy whose place has passed is dropped before it is sent. A gap is waited for, for a second
//! or 1,024 copies: behind a write that never comes the two sides differ by design, so nothing of
//! that key is sent any more until the evidence begins anew (compare M-2, cases ST-3).
//!
//! Pure: time comes as an argument. Not here: which field of a request is the key (`method`).

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

/// How long the first copies of a key are gathered: they come from several data threads, and the
/// lowest number is where the order begins.
pub(super) const GATHER: Duration = Duration::from_millis(100);
/// How long a missing number is waited for.
const GAP: Duration = Duration::from_secs(1);
/// Copies of a key that wait, at most.
const WAITING_MOST: usize = 1_024;
/// Keys that are known. Beyond it the one that was idle longest is forgotten, and begins anew.
const KEYS_MOST: usize = 65_536;

/// Where a copy stands in the order of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// The commit itself.
    Write(u64),
    /// Behind this commit.
    After(u64),
}

impl Place {
    /// Sorts writes before what saw them.
    fn rank(self) -> (u64, u8) {
        match self {
            Place::Write(number) => (number, 0),
            Place::After(number) => (number, 1),
        }
    }
}

/// The keys of all services, and what waits for its turn.
pub(super) struct Lines<T> {
    keys: BTreeMap<Vec<u8>, Line<T>>,
}

struct Line<T> {
    /// The number of the next write; `None` while the first copies are gathered.
    next: Option<u64>,
    waiting: BTreeMap<(u64, u8), VecDeque<T>>,
    count: usize,
    /// One copy is under way.
    busy: bool,
    /// Since when the first that waits cannot go.
    stuck: Option<Instant>,
    /// A write is missing for good.
    lost: bool,
    used: Instant,
}

impl<T> Default for Lines<T> {
    fn default() -> Lines<T> {
        Lines { keys: BTreeMap::new() }
    }
}

impl<T> Lines<T> {
    /// Takes in a copy. What comes back is out of order, and is never sent.
    pub(super) fn place(&mut self, key: &[u8], place: Place, copy: T, now: Instant) -> Vec<T> {
        if !self.keys.contains_key(key) {
            self.make_room();
            let line = Line {
                next: None,
                waiting: BTreeMap::new(),
                count: 0,
                busy: false,
                stuck: Some(now),
                lost: false,
                used: now,
            };
            self.keys.insert(key.to_vec(), line);
        }
        let Some(line) = self.keys.get_mut(key) else { return vec![copy] };
        line.used = now;
        if line.lost || line.has_passed(place) {
            return vec![copy];
        }
        line.waiting.entry(place.rank()).or_default().push_back(copy);
        line.count += 1;
        if line.count > WAITING_MOST && !line.busy && line.next.is_some() && !line.is_due() {
            return line.give_up();
        }
        Vec::new()
    }

    /// The next copy of a key, where one may go now. It is under way until [`Lines::done`].
    pub(super) fn take(&mut self, key: &[u8], now: Instant) -> Option<T> {
        let line = self.keys.get_mut(key)?;
        if line.busy || line.lost {
            return None;
        }
        if line.next.is_none() {
            let since = line.stuck?;
            let first = *line.waiting.keys().next()?;
            if now.saturating_duration_since(since) < GATHER {
                return None;
            }
            line.next = Some(match first {
                (number, 0) => number,
                (number, _) => number.saturating_add(1),
            });
        }
        if !line.is_due() {
            if line.stuck.is_none() && line.count > 0 {
                line.stuck = Some(now);
            }
            return None;
        }
        let mut first = line.waiting.first_entry()?;
        let (number, kind) = *first.key();
        let copy = first.get_mut().pop_front();
        if first.get().is_empty() {
            first.remove();
        }
        line.count -= 1;
        line.busy = true;
        line.stuck = None;
        line.used = now;
        if kind == 0 {
            line.next = Some(number.saturating_add(1));
        }
        copy
    }

    /// The copy of this key that was under way has its answers.
    pub(super) fn done(&mut self, key: &[u8]) {
        if let Some(line) = self.keys.get_mut(key) {
            line.busy = false;
        }
    }

    /// Keys in which something may go, or must be given up, for time has passed.
    pub(super) fn stuck(&self, now: Instant) -> Vec<Vec<u8>> {
        let due = |line: &Line<T>| {
            let wait = if line.next.is_none() { GATHER } else { GAP };
            !line.busy
                && line.count > 0
                && line.stuck.is_some_and(|since| now.saturating_duration_since(since) >= wait)
        };
        self.keys.iter().filter(|(_, line)| due(line)).map(|(key, _)| key.clone()).collect()
    }

    /// Gives up a key whose missing number has not come in time. What comes back is never sent.
    pub(super) fn expire(&mut self, key: &[u8], now: Instant) -> Vec<T> {
        let Some(line) = self.keys.get_mut(key) else { return Vec::new() };
        let late = line.stuck.is_some_and(|since| now.saturating_duration_since(since) >= GAP);
        if line.busy || line.next.is_none() || line.is_due() || !late {
            return Vec::new();
        }
        line.give_up()
    }

    /// Whether anything waits.
    pub(super) fn is_waiting(&self) -> bool {
        self.keys.values().any(|line| line.count > 0)
    }

    /// Forgets every key that begins with `scope`; what waited there comes back.
    pub(super) fn forget(&mut self, scope: &[u8]) -> Vec<T> {
        let mut left = Vec::new();
        self.keys.retain(|key, line| {
            if key.starts_with(scope) {
                left.extend(std::mem::take(&mut line.waiting).into_values().flatten());
                return false;
            }
            true
        });
        left
    }

    fn make_room(&mut self) {
        if self.keys.len() < KEYS_MOST {
            return;
        }
        let idle = self.keys.iter().filter(|(_, line)| line.count == 0 && !line.busy);
        let oldest = idle.min_by_key(|(_, line)| line.used).map(|(key, _)| key.clone());
        if let Some(key) = oldest {
            self.keys.remove(&key);
        }
    }
}

impl<T> Line<T> {
    fn has_passed(&self, place: Place) -> bool {
        let Some(next) = self.next else { return false };
        match place {
            Place::Write(number) => number < next,
            Place::After(number) => number.saturating_add(1) < next,
        }
    }

    /// Whether the first that waits may go.
    fn is_due(&self) -> bool {
        let Some(next) = self.next else { return false };
        match self.waiting.keys().next() {
            Some((number, 0)) => *number == next,
            Some((number, _)) => number.saturating_add(1) == next,
            None => false,
        }
    }

    fn give_up(&mut self) -> Vec<T> {
        self.lost = true;
        self.count = 0;
        std::mem::take(&mut self.waiting).into_values().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Place::{After, Write};
    use super::*;

    /// Places copies in this order, everything at once, and says in which order they leave.
    fn order(places: &[Place]) -> (Vec<Place>, Vec<Place>) {
        let (mut lines, now) = (Lines::default(), Instant::now());
        let (mut sent, mut dropped) = (Vec::new(), Vec::new());
        for place in places {
            dropped.extend(lines.place(b"k", *place, *place, now));
        }
        let later = now + GATHER;
        while let Some(place) = lines.take(b"k", later) {
            assert_eq!(lines.take(b"k", later), None, "one at a time");
            sent.push(place);
            lines.done(b"k");
        }
        (sent, dropped)
    }

    #[test]
    fn compare_m_2_copies_leave_in_the_order_of_the_primarys_commits() {
        for (places, expected) in [
            (vec![Write(2), Write(1), After(1)], vec![Write(1), After(1), Write(2)]),
            (
                vec![After(7), Write(8), After(8), After(7)],
                vec![After(7), After(7), Write(8), After(8)],
            ),
            (vec![Write(5), After(5), Write(6)], vec![Write(5), After(5), Write(6)]),
            (vec![Write(3), Write(5)], vec![Write(3)]),
        ] {
            assert_eq!(order(&places), (expected, vec![]), "{places:?}");
        }
    }

    #[tokio::test]
    async fn compare_m_2_a_copy_whose_place_has_passed_is_dropped_before_it_is_sent() {
        let (mut lines, now) = (Lines::default(), Instant::now());
        let later = now + GATHER;
        assert!(lines.place(b"k", Write(4), 4, now).is_empty());
        assert_eq!(lines.take(b"k", now), None, "an earlier one may be on its way");
        assert_eq!(lines.take(b"k", later), Some(4));
        assert_eq!(lines.place(b"k", Write(4), 40, later), [40]);
        assert_eq!(lines.place(b"k", After(3), 3, later), [3]);
        assert!(lines.place(b"k", After(4), 41, later).is_empty());
        lines.done(b"k");
        assert_eq!(lines.take(b"k", later), Some(41));
        // Another key has an order of its own.
        assert!(lines.place(b"other", Write(1), 1, later).is_empty());
    }

    #[tokio::test]
    async fn compare_m_2_a_gap_is_waited_for_a_second_and_then_the_key_is_given_up() {
        let (mut lines, now) = (Lines::default(), Instant::now());
        let later = now + GATHER;
        lines.place(b"k", Write(1), 1, now);
        assert_eq!(lines.take(b"k", later), Some(1));
        lines.done(b"k");
        lines.place(b"k", Write(3), 3, later);
        assert_eq!(lines.take(b"k", later), None);
        assert!(lines.stuck(later).is_empty());
        assert!(lines.expire(b"k", later + GAP - Duration::from_millis(1)).is_empty());
        let at = later + GAP;
        assert_eq!(lines.stuck(at), [b"k".to_vec()]);
        assert_eq!(lines.expire(b"k", at), [3]);
        assert_eq!(lines.place(b"k", Write(2), 2, at), [2], "it has come too late");
        assert!(!lines.is_waiting());
        lines.forget(b"k");
        assert!(lines.place(b"k", Write(9), 9, at).is_empty(), "it begins anew");
    }

    #[tokio::test]
    async fn compare_m_2_a_gap_is_not_waited_for_by_more_than_1024_copies() {
        let (mut lines, now) = (Lines::default(), Instant::now());
        let later = now + GATHER;
        lines.place(b"k", Write(1), 1, now);
        lines.take(b"k", later);
        lines.done(b"k");
        for number in 3..3 + WAITING_MOST as u64 {
            assert!(lines.place(b"k", Write(number), 0, later).is_empty());
        }
        let last = 3 + WAITING_MOST as u64;
        assert_eq!(lines.place(b"k", Write(last), 0, later).len(), WAITING_MOST + 1);
    }
}
