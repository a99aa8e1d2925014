//! How long things took, in buckets that every duration of the metrics shares.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets, in microseconds; a last one holds the rest.
const BOUNDS_MICROS: [u64; 17] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000,
];
const BUCKETS: usize = BOUNDS_MICROS.len() + 1;

/// Counted durations; only one thread writes.
#[derive(Debug, Default)]
pub(super) struct Durations {
    buckets: [AtomicU64; BUCKETS],
    sum_nanos: AtomicU64,
}

impl Durations {
    pub(super) fn count(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_MICROS.partition_point(|bound| *bound < micros);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_nanos.fetch_add(nanos, Ordering::Relaxed);
    }
}

/// What was counted, added up over the threads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DurationFigures {
    /// Bucket `n` holds those up to the `n`th bound and above the one before it.
    pub buckets: [u64; BUCKETS],
    /// Of all of them.
    pub sum: Duration,
}

impl DurationFigures {
    pub(super) fn add(&mut self, counted: &Durations) {
        for (sum, bucket) in self.buckets.iter_mut().zip(&counted.buckets) {
            *sum += bucket.load(Ordering::Relaxed);
        }
        let nanos = counted.sum_nanos.load(Ordering::Relaxed);
        self.sum = self.sum.saturating_add(Duration::from_nanos(nanos));
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The duration below which `share` of them lie, as well as the buckets tell: within the one
    /// that holds it they are taken as even, and those behind the last bound as at it. `None`
    /// where nothing was counted.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let wanted = share.clamp(0.0, 1.0) * count as f64;
        let (mut below, mut low) = (0.0, 0.0);
        for (bound, held) in BOUNDS_MICROS.iter().zip(&self.buckets) {
            let (high, held) = (*bound as f64, *held as f64);
            if below + held >= wanted && held > 0.0 {
                let within = (wanted - below) / held;
                return Some(Duration::from_secs_f64((low + (high - low) * within) / 1e6));
            }
            below += held;
            low = high;
        }
        BOUNDS_MICROS.last().map(|bound| Duration::from_micros(*bound))
    }

    /// Upper bounds in seconds, each with what its bucket alone holds.
    pub(super) fn by_bound(&self) -> Vec<(f64, u64)> {
        let bounds = BOUNDS_MICROS.iter().map(|micros| *micros as f64 / 1e6);
        bounds.chain([f64::INFINITY]).zip(self.buckets).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let durations = Durations::default();
        for micros in [0, 100, 101, 30_000_000, 30_000_001] {
            durations.count(Duration::from_micros(micros));
        }
        let mut figures = DurationFigures::default();
        figures.add(&durations);
        let filled: Vec<_> = figures.by_bound().into_iter().filter(|(_, held)| *held > 0).collect();
        assert_eq!(filled, [(1e-4, 2), (2.5e-4, 1), (30.0, 1), (f64::INFINITY, 1)]);
        assert_eq!(figures.count(), 5);
    }

    #[test]
    fn a_quantile_lies_in_the_bucket_that_holds_it() {
        let durations = Durations::default();
        let figures = || {
            let mut figures = DurationFigures::default();
            figures.add(&durations);
            figures
        };
        assert_eq!(figures().quantile(0.5), None);
        for _ in 0..4 {
            durations.count(Duration::from_micros(200));
        }
        assert_eq!(figures().quantile(0.5), Some(Duration::from_micros(175)));
        assert_eq!(figures().quantile(1.0), Some(Duration::from_micros(250)));
        durations.count(Duration::from_secs(60));
        assert_eq!(figures().quantile(1.0), Some(Duration::from_secs(30)));
    }
}
