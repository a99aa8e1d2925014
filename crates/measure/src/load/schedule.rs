//! When each call of a block is sent, decided before the block.
//!
//! Not here: keeping to it (`pace`, `offer`).

use std::sync::Arc;
use std::time::Duration;

use tandem_judge::stats::draws::Draws;

/// Calls of one block, at most: what is asked beyond it is a slip of the pen.
const SLOTS_MOST: usize = 50_000_000;

/// How the moments of a schedule are found.
#[derive(Debug, Clone)]
pub enum Arrivals {
    /// Gaps are exponential: callers who know nothing of each other.
    Exponential,
    /// All gaps are equal.
    Uniform,
    /// As recorded, from its first call on, this many times as fast.
    Trace { moments: Arc<[Duration]>, speed: f64 },
}

impl Arrivals {
    /// The schedule of a block. A trace has a rate of its own; `rate` is not asked.
    pub fn schedule(&self, rate: f64, length: Duration, draws: &mut Draws) -> Schedule {
        match self {
            Arrivals::Exponential => Schedule::exponential(rate, length, draws),
            Arrivals::Uniform => Schedule::uniform(rate, length),
            Arrivals::Trace { moments, speed } => Schedule::trace(moments, *speed, length),
        }
    }
}

/// The moments at which the calls of a block are to be sent, from the block's start on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// In rising order, all before `length`.
    at_ns: Vec<u64>,
    length: Duration,
}

impl Schedule {
    /// `rate` calls a second with exponential gaps: a Poisson process.
    ///
    /// Source: Devroye, "Non-Uniform Random Variate Generation" (1986), chapter VI.1.2.
    pub fn exponential(rate: f64, length: Duration, draws: &mut Draws) -> Schedule {
        Schedule::by_gaps(rate, length, |mean_ns| -(1.0 - draws.unit()).ln() * mean_ns)
    }

    /// `rate` calls a second at equal distances, the first after one of them.
    pub fn uniform(rate: f64, length: Duration) -> Schedule {
        Schedule::by_gaps(rate, length, |mean_ns| mean_ns)
    }

    /// The moments of a recording, told from its first one on, `speed` times as fast. What lies
    /// beyond `length` is left out.
    pub fn trace(moments: &[Duration], speed: f64, length: Duration) -> Schedule {
        let speed = if speed.is_finite() && speed > 0.0 { speed } else { 1.0 };
        let first = moments.iter().min().copied().unwrap_or_default();
        let mut at_ns: Vec<u64> = moments
            .iter()
            .map(|moment| ((*moment - first).as_nanos() as f64 / speed) as u64)
            .filter(|at| u128::from(*at) < length.as_nanos())
            .collect();
        at_ns.sort_unstable();
        at_ns.truncate(SLOTS_MOST);
        Schedule { at_ns, length }
    }

    fn by_gaps(rate: f64, length: Duration, mut gap: impl FnMut(f64) -> f64) -> Schedule {
        let mut at_ns = Vec::new();
        if rate.is_finite() && rate > 0.0 {
            let mean_ns = 1e9 / rate;
            let end = length.as_nanos() as f64;
            // Added as floats, so that the rounding of a gap does not shift all behind it.
            let mut at = gap(mean_ns);
            while at < end && at_ns.len() < SLOTS_MOST {
                at_ns.push(at as u64);
                at += gap(mean_ns);
            }
        }
        Schedule { at_ns, length }
    }

    pub fn len(&self) -> usize {
        self.at_ns.len()
    }

    pub fn is_empty(&self) -> bool {
        self.at_ns.is_empty()
    }

    /// Of the whole block.
    pub fn length(&self) -> Duration {
        self.length
    }

    /// The moments, from the block's start on.
    pub fn moments(&self) -> impl Iterator<Item = Duration> + '_ {
        self.at_ns.iter().map(|at| Duration::from_nanos(*at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn compare_l_1_a_schedule_is_the_same_from_the_same_seed_and_within_its_block() {
        let one = Schedule::exponential(2_000.0, 2 * SECOND, &mut Draws::new(7));
        let same = Schedule::exponential(2_000.0, 2 * SECOND, &mut Draws::new(7));
        let other = Schedule::exponential(2_000.0, 2 * SECOND, &mut Draws::new(8));
        assert_eq!(one, same);
        assert_ne!(one, other);
        assert!(one.moments().is_sorted());
        assert!(one.moments().all(|at| at < 2 * SECOND));
    }

    #[test]
    fn compare_l_1_gaps_are_exponential() {
        const SEED: u64 = 11;
        let schedule = Schedule::exponential(1_000.0, 100 * SECOND, &mut Draws::new(SEED));
        let moments: Vec<Duration> = schedule.moments().collect();
        let mut gaps: Vec<f64> =
            moments.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
        gaps.sort_by(f64::total_cmp);
        // Kolmogorov and Smirnov's distance; at 1 % it is 1.63/√n.
        let count = gaps.len() as f64;
        let distance = gaps.iter().enumerate().map(|(rank, gap)| {
            let expected = 1.0 - (-gap * 1_000.0).exp();
            (expected - rank as f64 / count).abs().max((expected - (rank + 1) as f64 / count).abs())
        });
        let distance = distance.fold(0.0, f64::max);
        assert!(distance < 1.63 / count.sqrt(), "seed {SEED}: {distance} of {count} gaps");
    }

    #[test]
    fn a_uniform_schedule_has_equal_gaps() {
        let schedule = Schedule::uniform(4.0, SECOND);
        let moments: Vec<u128> = schedule.moments().map(|at| at.as_millis()).collect();
        assert_eq!(moments, [250, 500, 750]);
    }

    #[test]
    fn a_trace_begins_with_its_first_call_and_runs_at_its_speed() {
        let moments: Vec<Duration> = [5_000, 5_400, 5_200, 9_000].map(Duration::from_millis).into();
        let schedule = Schedule::trace(&moments, 2.0, SECOND);
        let moments: Vec<u128> = schedule.moments().map(|at| at.as_millis()).collect();
        assert_eq!(moments, [0, 100, 200]);
    }

    #[test]
    fn no_rate_is_no_call() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Schedule::uniform(rate, SECOND).is_empty(), "{rate}");
        }
    }
}
