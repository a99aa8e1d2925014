//! What has come already: fields and oneofs of a message, keys of a map.
//!
//! Small sets, which almost all are, live in a word or a short list; larger ones grow, the keys
//! into a table whose hash is keyed, so that nobody can choose keys that collide.

use std::borrow::Cow;
use std::collections::HashSet;

/// Numbered slots: a message's fields, then its oneofs.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    low: u64,
    high: Vec<u64>,
}

impl Seen {
    /// Marks a slot; `false` when it was marked before.
    #[inline]
    pub(crate) fn insert(&mut self, slot: u32) -> bool {
        if slot < 64 {
            let bit = 1 << slot;
            let new = self.low & bit == 0;
            self.low |= bit;
            return new;
        }
        self.insert_high(slot)
    }

    #[inline(never)]
    fn insert_high(&mut self, slot: u32) -> bool {
        let (word, bit) = place(slot);
        if self.high.len() <= word {
            self.high.resize(word + 1, 0);
        }
        let new = self.high[word] & bit == 0;
        self.high[word] |= bit;
        new
    }

    pub(crate) fn remove(&mut self, slot: u32) {
        if slot < 64 {
            self.low &= !(1 << slot);
        } else if let Some(word) = self.high.get_mut(place(slot).0) {
            *word &= !place(slot).1;
        }
    }

    #[inline]
    pub(crate) fn contains(&self, slot: u32) -> bool {
        if slot < 64 {
            return self.low & 1 << slot != 0;
        }
        let (word, bit) = place(slot);
        self.high.get(word).is_some_and(|word| word & bit != 0)
    }
}

fn place(slot: u32) -> (usize, u64) {
    (slot as usize / 64 - 1, 1 << (slot % 64))
}

/// A key of a map: texts by their characters, numbers by their value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum MapKey<'a> {
    Text(Cow<'a, [u8]>),
    Number(u64),
}

/// Keys up to which comparing one by one is cheaper than hashing.
const LISTED_MOST: usize = 8;

/// The keys of one map.
#[derive(Debug, Default)]
pub(crate) struct Keys<'a> {
    listed: Vec<MapKey<'a>>,
    hashed: HashSet<MapKey<'a>>,
}

impl<'a> Keys<'a> {
    /// Adds a key; `false` when it is there already.
    #[inline]
    pub(crate) fn insert(&mut self, key: MapKey<'a>) -> bool {
        if self.hashed.is_empty() {
            if self.listed.contains(&key) {
                return false;
            }
            if self.listed.len() < LISTED_MOST {
                self.listed.push(key);
                return true;
            }
            self.hashed.extend(self.listed.drain(..));
        }
        self.hashed.insert(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_new_once_and_again_when_removed() {
        let mut seen = Seen::default();
        for slot in [0, 1, 63, 64, 65, 127, 128, 5000] {
            assert!(!seen.contains(slot));
            assert!(seen.insert(slot), "{slot}");
            assert!(!seen.insert(slot), "{slot}");
            assert!(seen.contains(slot));
        }
        seen.remove(63);
        seen.remove(5000);
        assert!(seen.insert(63) && seen.insert(5000) && !seen.insert(64));
    }

    #[test]
    fn keys_are_told_apart_in_small_and_in_large_maps() {
        for count in [3_u64, 8, 9, 1000] {
            let mut keys = Keys::default();
            for number in 0..count {
                assert!(keys.insert(MapKey::Number(number)));
                assert!(keys.insert(MapKey::Text(number.to_string().into_bytes().into())));
            }
            for number in 0..count {
                assert!(!keys.insert(MapKey::Number(number)));
                assert!(!keys.insert(MapKey::Text(number.to_string().into_bytes().into())));
            }
        }
    }
}
