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
    /// Those of a recording, stretched or pressed together to the rate.
    Trace(Arc<Trace>),
}

impl Arrivals {
    /// The schedule of a block, and the number of the call that its first slot sends: `first`,
    /// unless the calls have moments of their own. Of a trace `first` says which part is sent.
    pub fn block(
        &self,
        rate: f64,
        length: Duration,
        first: u64,
        draws: &mut Draws,
    ) -> (u64, Schedule) {
        match self {
            Arrivals::Exponential => (first, Schedule::exponential(rate, length, draws)),
            Arrivals::Uniform => (first, Schedule::uniform(rate, length)),
            Arrivals::Trace(trace) => trace.block(rate, length, first),
        }
    }
}

/// Numbers of first calls that blocks are drawn with: 48 bits.
const FIRSTS: u64 = 1 << 48;

/// The moments of recorded calls, which go round: behind the last one comes the first again, after
/// a gap as they have on average.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// Since the first one, in rising order.
    at_ns: Vec<u64>,
    round_ns: f64,
}

impl Trace {
    /// Of moments in rising order, one a call; `None` where they are fewer than two, or all the
    /// same, or not in order.
    pub fn new(moments: &[Duration]) -> Option<Trace> {
        let (first, last) = (*moments.first()?, *moments.last()?);
        let span_ns = u64::try_from(last.checked_sub(first)?.as_nanos()).ok()?;
        if span_ns == 0 || !moments.is_sorted() {
            return None;
        }
        let since = |moment: &Duration| (*moment - first).as_nanos() as u64;
        let calls = moments.len() as f64;
        let round_ns = span_ns as f64 * calls / (calls - 1.0);
        Some(Trace { at_ns: moments.iter().map(since).collect(), round_ns })
    }

    /// Calls a second, on average.
    pub fn rate(&self) -> f64 {
        self.at_ns.len() as f64 * 1e9 / self.round_ns
    }

    /// From the first call to the last.
    pub fn span(&self) -> Duration {
        Duration::from_nanos(self.at_ns.last().copied().unwrap_or_default())
    }

    /// What follows on a moment of the recording; `first` says which, each as likely as any other,
    /// so that bursts are met as often as they last. A part without any call begins with the next
    /// one, for a block without calls shows nothing.
    fn block(&self, rate: f64, length: Duration, first: u64) -> (u64, Schedule) {
        let none = Schedule { at_ns: Vec::new(), length };
        if !(rate.is_finite() && rate > 0.0) {
            return (0, none);
        }
        let slower = self.rate() / rate;
        let end = length.as_nanos() as f64;
        let from = self.round_ns * ((first % FIRSTS) as f64 / FIRSTS as f64);
        let begin = self.at_ns.partition_point(|at| (*at as f64) < from);
        let count = self.at_ns.len();
        // Since the beginning of the recording, rounds included.
        let at = |place: usize| {
            self.at_ns[place % count] as f64 + (place / count) as f64 * self.round_ns
        };
        let from = match (at(begin) - from) * slower < end {
            true => from,
            false => at(begin),
        };
        let moments = (begin..).map(|place| (at(place) - from) * slower);
        let moments = moments.take_while(|at| *at < end).take(SLOTS_MOST);
        let at_ns = moments.map(|at| at.round() as u64).collect();
        ((begin % count) as u64, Schedule { at_ns, length })
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

    fn trace() -> Trace {
        let moments = [5_000, 5_100, 5_200, 9_000].map(Duration::from_millis);
        Trace::new(&moments).unwrap()
    }

    #[test]
    fn compare_l_1_a_trace_has_the_rate_of_its_record_and_sends_its_calls_at_its_gaps() {
        let trace = trace();
        // Four calls in 4 s and a gap of 4/3 s before the first comes again.
        assert!((trace.rate() - 0.75).abs() < 1e-9, "{}", trace.rate());
        assert_eq!(trace.span(), 4 * SECOND);
        let of = |rate, seconds, first| {
            let (first, schedule) = trace.block(rate, seconds * SECOND, first);
            let moments: Vec<u128> = schedule.moments().map(|at| at.as_millis()).collect();
            (first, moments)
        };
        assert_eq!(of(0.75, 5, 0), (0, vec![0, 100, 200, 4_000]));
        assert_eq!(of(0.75, 6, 0), (0, vec![0, 100, 200, 4_000, 5_333, 5_433, 5_533]));
        // Twice as fast.
        assert_eq!(of(1.5, 1, 0), (0, vec![0, 50, 100]));
        // From the middle of the round on: nothing comes for 1.3 s.
        assert_eq!(of(0.75, 2, FIRSTS / 2), (3, vec![1_333]));
        // So a shorter block begins with what comes next.
        assert_eq!(of(0.75, 1, FIRSTS / 2), (3, vec![0]));
        // Behind the last call comes the first.
        assert_eq!(of(0.75, 2, FIRSTS - 1), (0, vec![0, 100, 200]));
        assert_eq!(of(f64::NAN, 2, 0), (0, vec![]));
    }

    #[test]
    fn a_trace_over_many_blocks_has_as_many_calls_as_its_rate_says() {
        const SEED: u64 = 5;
        let (trace, mut draws) = (trace(), Draws::new(SEED));
        let blocks = 20_000;
        let calls: usize =
            (0..blocks).map(|_| trace.block(1.5, 4 * SECOND, draws.next() >> 16).1.len()).sum();
        let rate = calls as f64 / f64::from(blocks) / 4.0;
        assert!((rate - 1.5).abs() < 0.02, "seed {SEED}: {rate}");
    }

    #[test]
    fn a_trace_has_two_moments_at_least_and_all_in_order() {
        for (moments, expected) in [
            (&[][..], false),
            (&[1], false),
            (&[1, 1], false),
            (&[2, 1], false),
            (&[1, 3, 2, 4], false),
            (&[1, 2], true),
        ] {
            let moments: Vec<Duration> =
                moments.iter().map(|it| Duration::from_secs(*it)).collect();
            assert_eq!(Trace::new(&moments).is_some(), expected, "{moments:?}");
        }
    }

    #[test]
    fn no_rate_is_no_call() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Schedule::uniform(rate, SECOND).is_empty(), "{rate}");
        }
    }
}
