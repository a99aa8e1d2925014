//! Exact intervals of quantiles, from ranks (compare I-6, I-10).
//!
//! The number of values below a quantile is binomial, whatever the distribution is, so two ranks
//! enclose the quantile with a known certainty.
//!
//! Source: David, Nagaraja, "Order Statistics" (2003), section 7.1; Hahn, Meeker, "Statistical
//! Intervals" (1991), section 5.2.

use super::binomial;
use super::counts::Counts;

/// Values beyond a percentile below which it is not printed, and below which it is dimmed.
const BEYOND_LEAST: f64 = 10.0;
const BEYOND_ENOUGH: f64 = 100.0;

/// The ranks, from 1, that enclose the quantile `part` of `count` values with 95 % certainty;
/// `None` while there are too few values for both ends.
pub fn enclosing(count: u64, part: f64) -> Option<(u64, u64)> {
    let low = binomial::low_rank(count, part, 0.025);
    let high = binomial::high_rank(count, part, 0.025);
    (low >= 1 && high <= count).then_some((low, high))
}

/// A quantile with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantile {
    pub value: u64,
    /// `None` while there are too few values.
    pub interval: Option<(u64, u64)>,
    pub count: u64,
    pub shown: Shown,
}

/// Whether a percentile may be printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Fewer than ten values beyond it.
    No,
    /// Fewer than a hundred.
    Dimmed,
    Yes,
}

/// The quantile `part` of measured values; `None` without any.
pub fn quantile(counts: &Counts, part: f64) -> Option<Quantile> {
    let count = counts.total();
    let value = counts.quantile(part)?;
    let interval =
        enclosing(count, part).and_then(|(low, high)| counts.ranked(low).zip(counts.ranked(high)));
    let beyond = count as f64 * (1.0 - part);
    // A count times a fraction is rarely whole; half a value more does no harm.
    let shown = match beyond + 1e-6 {
        beyond if beyond < BEYOND_LEAST => Shown::No,
        beyond if beyond < BEYOND_ENOUGH => Shown::Dimmed,
        _ => Shown::Yes,
    };
    Some(Quantile { value, interval, count, shown })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compare_i_6_ranks_are_those_of_the_binomial() {
        for (count, part, expected) in [
            (1_000, 0.5, Some((469, 532))),
            (10_000, 0.99, Some((9_880, 9_920))),
            (100_000, 0.999, Some((99_880, 99_920))),
            // From how many values on there is an interval at all (compare I-10).
            (5, 0.5, None),
            (6, 0.5, Some((1, 6))),
            (367, 0.99, None),
            (3_687, 0.999, None),
            (36_886, 0.9999, None),
            (0, 0.5, None),
        ] {
            assert_eq!(enclosing(count, part), expected, "{count} {part}");
        }
        for (count, part) in [(368, 0.99), (3_688, 0.999), (36_887, 0.9999)] {
            assert!(enclosing(count, part).is_some_and(|(_, high)| high == count), "{count}");
        }
    }

    #[test]
    fn compare_i_10_a_percentile_needs_ten_calls_beyond_it_and_a_hundred_to_be_undimmed() {
        for (count, expected) in
            [(999, Shown::No), (1_000, Shown::Dimmed), (9_999, Shown::Dimmed), (10_000, Shown::Yes)]
        {
            let found = quantile(&Counts::of(0..count), 0.99).map(|found| found.shown);
            assert_eq!(found, Some(expected), "{count}");
        }
        assert_eq!(quantile(&Counts::default(), 0.5), None);
    }
}
