//! How much of the calls the candidate serves.

use std::fmt;

/// Part of the calls in per mille, so that a step compares equal after a trip through the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share(u16);

impl Share {
    pub const NONE: Share = Share(0);
    pub const ALL: Share = Share(1_000);

    /// `None` above 1,000.
    pub fn per_mille(share: u16) -> Option<Share> {
        (share <= 1_000).then_some(Share(share))
    }

    /// As a fraction.
    pub fn part(self) -> f64 {
        f64::from(self.0) / 1_000.0
    }

    pub fn in_per_mille(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Share {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 10, self.0 % 10) {
            (whole, 0) => write!(formatter, "{whole}%"),
            (whole, tenth) => write!(formatter, "{whole}.{tenth}%"),
        }
    }
}

/// Whether a key whose keyed hash (over key and rollout id) is `hash` belongs to the candidate. A
/// key that has moved stays moved while the share grows (compare O-5).
pub fn key_is_moved(hash: u64, share: Share) -> bool {
    let place = (u128::from(hash) * 1_000) >> 64;
    place < u128::from(share.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::draws::Draws;

    #[test]
    fn compare_o_5_a_key_that_has_moved_stays_moved() {
        let mut draws = Draws::new(1);
        let hashes: Vec<u64> = (0..20_000).map(|_| draws.next()).chain([0, u64::MAX]).collect();
        let mut before = vec![false; hashes.len()];
        for share in [0, 1, 10, 50, 250, 500, 999, 1_000] {
            let share = Share::per_mille(share).unwrap();
            let moved: Vec<bool> = hashes.iter().map(|hash| key_is_moved(*hash, share)).collect();
            assert!(before.iter().zip(&moved).all(|(before, now)| !before || *now), "{share}");
            let part = moved.iter().filter(|moved| **moved).count() as f64 / hashes.len() as f64;
            assert!((part - share.part()).abs() < 0.015, "seed 1: {share}: {part}");
            before = moved;
        }
        assert!(before.iter().all(|moved| *moved));
        assert_eq!(Share::per_mille(1_001), None);
        assert_eq!(Share::per_mille(1).map(|share| share.to_string()).as_deref(), Some("0.1%"));
    }
}
