//! Measured times as counts by value: what a histogram holds, whoever kept it.
//!
//! Merged, never averaged. Values are in whatever unit the caller counts in.

/// Values in rising order, each with how often it was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counts(Vec<(u64, u64)>);

impl Counts {
    /// Of pairs in any order; the same value may come more than once.
    pub fn new(pairs: impl IntoIterator<Item = (u64, u64)>) -> Counts {
        let mut pairs: Vec<(u64, u64)> =
            pairs.into_iter().filter(|(_, count)| *count > 0).collect();
        pairs.sort_unstable();
        pairs.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                kept.1 += later.1;
            }
            same
        });
        Counts(pairs)
    }

    /// Of single values.
    pub fn of(values: impl IntoIterator<Item = u64>) -> Counts {
        Counts::new(values.into_iter().map(|value| (value, 1)))
    }

    /// All of several.
    pub fn merged<'a>(all: impl IntoIterator<Item = &'a Counts>) -> Counts {
        Counts::new(all.into_iter().flat_map(|counts| counts.0.iter().copied()))
    }

    pub fn pairs(&self) -> &[(u64, u64)] {
        &self.0
    }

    /// How many values were seen.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    /// The value of a rank from 1; `None` beyond the last.
    pub fn ranked(&self, rank: u64) -> Option<u64> {
        let mut before = 0;
        let found = self.0.iter().find(|(_, count)| {
            before += count;
            rank >= 1 && before >= rank
        });
        found.map(|(value, _)| *value)
    }

    /// The smallest value that at least `part` of the values do not exceed.
    pub fn quantile(&self, part: f64) -> Option<u64> {
        let total = self.total();
        self.ranked(((part * total as f64).ceil() as u64).clamp(1, total.max(1)))
    }

    /// How many values exceed `bound`.
    pub fn above(&self, bound: u64) -> u64 {
        self.0.iter().filter(|(value, _)| *value > bound).map(|(_, count)| count).sum()
    }

    pub fn mean(&self) -> Option<f64> {
        let total = self.total();
        let sum: f64 = self.0.iter().map(|(value, count)| *value as f64 * *count as f64).sum();
        (total > 0).then(|| sum / total as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_merge_and_keep_their_ranks() {
        let counts = Counts::merged([&Counts::of([3, 1, 3]), &Counts::new([(2, 2), (9, 0)])]);
        assert_eq!(counts.pairs(), [(1, 1), (2, 2), (3, 2)]);
        let ranked: Vec<_> = (0..=6).map(|rank| counts.ranked(rank)).collect();
        assert_eq!(ranked, [None, Some(1), Some(2), Some(2), Some(3), Some(3), None]);
        assert_eq!(counts.quantile(0.5), Some(2));
        assert_eq!(counts.quantile(1.0), Some(3));
        assert_eq!(counts.above(1), 4);
        assert_eq!(Counts::default().quantile(0.5), None);
    }
}
