//! Times, kept in histograms of high dynamic range: 1 µs to 60 s with three digits.
//!
//! Everything is allocated when the histogram is made; recording touches one counter. Histograms
//! are merged, never averaged (compare L-2). What judges them gets [`Counts`]; files and other
//! tools get HdrHistogram's own format (`log`).

mod log;

use std::time::Duration;

use tandem_judge::stats::counts::Counts;

pub use self::log::{IntervalLog, encoded, encoded_base64};

/// Longest time that is kept as it is; longer ones are kept as this.
pub const LONGEST: Duration = Duration::from_secs(60);

const LONGEST_US: u64 = LONGEST.as_micros() as u64;
const DIGITS: u8 = 3;

/// Times in microseconds; some 140 KiB.
#[derive(Debug, Clone)]
pub struct Histogram(hdrhistogram::Histogram<u64>);

impl Default for Histogram {
    fn default() -> Histogram {
        let bounds = hdrhistogram::Histogram::new_with_bounds(1, LONGEST_US, DIGITS);
        Histogram(bounds.expect("1 µs to 60 s with three digits are bounds"))
    }
}

impl Histogram {
    /// Of what judges read; what was a histogram before comes out as it was.
    pub fn of(counts: &Counts) -> Histogram {
        let mut histogram = Histogram::default();
        histogram.add(counts);
        histogram
    }

    /// Keeps one time, to the nearest microsecond.
    pub fn record(&mut self, time: Duration) {
        self.0.saturating_record(((time.as_nanos() + 500) / 1_000).min(LONGEST_US.into()) as u64);
    }

    /// Adds all that another one keeps.
    pub fn merge(&mut self, other: &Histogram) {
        self.0.add(&other.0).expect("all have the same bounds");
    }

    /// Adds counts in microseconds.
    pub fn add(&mut self, counts: &Counts) {
        for (value_us, count) in counts.pairs() {
            self.0.saturating_record_n((*value_us).min(LONGEST_US), *count);
        }
    }

    /// Forgets all, and keeps the memory.
    pub fn reset(&mut self) {
        self.0.reset();
    }

    /// How many times were kept.
    pub fn total(&self) -> u64 {
        self.0.len()
    }

    /// What judges read: each value is the highest that its counter stands for, as every reader of
    /// such histograms prints it.
    pub fn counts(&self) -> Counts {
        let recorded = self.0.iter_recorded();
        Counts::new(recorded.map(|step| {
            (self.0.highest_equivalent(step.value_iterated_to()), step.count_since_last_iteration())
        }))
    }

    /// Each counter from the lowest on, zeros included, up to the last that is not zero.
    fn counters(&self) -> Vec<u64> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let mut counters = Vec::new();
        let mut value = 0;
        while value <= self.0.max() {
            counters.push(self.0.count_at(value));
            value = self.0.next_non_equivalent(value);
        }
        counters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn us(time: u64) -> Duration {
        Duration::from_micros(time)
    }

    #[test]
    fn compare_l_2_times_keep_three_digits_from_a_microsecond_to_a_minute() {
        for (time, low, high) in [
            (Duration::ZERO, 0, 0),
            (Duration::from_nanos(499), 0, 0),
            (Duration::from_nanos(500), 1, 1),
            (us(1), 1, 1),
            (us(2_047), 2_047, 2_047),
            (us(123_456), 123_333, 123_580),
            (us(59_999_999), 59_940_000, 60_060_000),
            (Duration::from_secs(61), 59_940_000, 60_060_000),
        ] {
            let mut histogram = Histogram::default();
            histogram.record(time);
            let counts = histogram.counts();
            let [(value, 1)] = counts.pairs() else { panic!("{time:?}: {counts:?}") };
            assert!((low..=high).contains(value), "{time:?} is kept as {value}");
        }
    }

    #[test]
    fn compare_l_2_merging_is_recording_into_one() {
        let (mut one, mut other, mut both) = <(Histogram, Histogram, Histogram)>::default();
        for time in 0..5_000 {
            let time = us(time * time % 900_001);
            let half = if time.as_micros().is_multiple_of(3) { &mut one } else { &mut other };
            half.record(time);
            both.record(time);
        }
        let judged = Counts::merged([&one.counts(), &other.counts()]);
        one.merge(&other);
        assert_eq!(one.counts(), both.counts());
        assert_eq!(judged, both.counts());
        assert_eq!(Histogram::of(&judged).counts(), judged);
        one.reset();
        assert_eq!((one.total(), one.counts()), (0, Counts::default()));
    }
}
