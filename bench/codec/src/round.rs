//! Rounds of timed calls, interleaved, and what is concluded from them.
//!
//! In every round each peer converts each scenario for about the same length of CPU time, in an
//! order that is drawn anew; a ratio is taken within one round, so that a machine that slows down
//! slows both sides of it. Of the rounds' ratios the median is given, with the order statistics
//! around it that hold the true median with a probability of at least 95 %: no assumption about
//! the shape of the noise (Conover, Practical Nonparametric Statistics, 1999, section 3.2).

use std::hint::black_box;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use tandem_bench_payload::order::Random;
use tandem_bench_payload::scenario::Scenario;

use crate::peer::{Outcome, Peer, Peers};

/// How long a run is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Length {
    pub(crate) rounds: usize,
    /// CPU time of one peer's calls in one round.
    pub(crate) slice: Duration,
}

/// The times of one peer on one scenario.
pub(crate) struct Times {
    pub(crate) scenario: usize,
    pub(crate) peer: Peer,
    /// Calls of one round.
    pub(crate) calls: u32,
    /// CPU nanoseconds of one call, one value a round.
    pub(crate) nanos: Vec<f64>,
}

/// Times every peer on every scenario.
pub(crate) fn run(
    peers: &Peers,
    scenarios: &[Scenario],
    length: Length,
    mut after_round: impl FnMut(usize),
) -> Outcome<Vec<Times>> {
    let mut times = Vec::new();
    for (index, scenario) in scenarios.iter().enumerate() {
        for peer in Peer::ALL.into_iter().filter(|peer| peer.goes(scenario.direction)) {
            let calls = calls_in(length.slice, peers, peer, scenario)?;
            times.push(Times { scenario: index, peer, calls, nanos: Vec::new() });
        }
    }
    let random = &mut Random::new(3);
    for round in 0..length.rounds {
        for (index, scenario) in scenarios.iter().enumerate() {
            let mut turn: Vec<&mut Times> =
                times.iter_mut().filter(|times| times.scenario == index).collect();
            random.shuffle(&mut turn);
            for times in turn {
                let spent = time(peers, times.peer, scenario, times.calls)?;
                times.nanos.push(spent.as_secs_f64() * 1e9 / f64::from(times.calls));
            }
        }
        after_round(round + 1);
    }
    Ok(times)
}

/// How many calls take about `slice`; warms up on the way.
fn calls_in(slice: Duration, peers: &Peers, peer: Peer, scenario: &Scenario) -> Outcome<u32> {
    let mut calls = 1_u32;
    loop {
        let spent = time(peers, peer, scenario, calls)?;
        if spent * 4 >= slice || calls > u32::MAX / 2 {
            let wanted = slice.as_secs_f64() / spent.as_secs_f64() * f64::from(calls);
            return Ok((wanted as u32).max(1));
        }
        calls *= 2;
    }
}

/// CPU time of this thread for `calls` conversions, their outputs made and dropped.
fn time(peers: &Peers, peer: Peer, scenario: &Scenario, calls: u32) -> Outcome<Duration> {
    let began = thread_cpu()?;
    for _ in 0..calls {
        let (json, wire) = black_box((&*scenario.json, &*scenario.wire));
        black_box(peers.convert(peer, scenario.direction, json, wire)?);
    }
    Ok(thread_cpu()?.saturating_sub(began))
}

fn thread_cpu() -> Outcome<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

/// A median with the interval that holds the true one with at least 95 %.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Median {
    pub(crate) middle: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// The median of `values`; of fewer than six the interval is their whole range and holds less.
///
/// # Panics
/// When there is no value.
pub(crate) fn median(values: &[f64]) -> Median {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let count = sorted.len();
    let middle = (sorted[(count - 1) / 2] + sorted[count / 2]) / 2.0;
    let low = rank(count);
    Median { middle, low: sorted[low], high: sorted[count - 1 - low] }
}

/// The greatest rank r, from 0, for which [r, count-1-r] holds the median with at least 95 %: the
/// number of values below the median is binomial (count, ½), and at most 2.5 % may lie in a tail.
fn rank(count: usize) -> usize {
    let mut probability = 0.5_f64.powi(count as i32);
    let mut tail = 0.0;
    for below in 0..count {
        tail += probability;
        if tail > 0.025 {
            return below.saturating_sub(1);
        }
        probability *= (count - below) as f64 / (below + 1) as f64;
    }
    0
}

/// The ratio of two peers' times, round by round.
pub(crate) fn ratio(ours: &Times, theirs: &Times) -> Median {
    let ratios: Vec<f64> =
        ours.nanos.iter().zip(&theirs.nanos).map(|(ours, theirs)| ours / theirs).collect();
    median(&ratios)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ranks from the table of the binomial distribution (Conover 1999, table A3), from 0.
    #[test]
    fn the_interval_is_that_of_the_binomial_table() {
        for (count, expected) in [(5, 0), (6, 0), (8, 0), (9, 1), (10, 1), (15, 3), (20, 5)] {
            assert_eq!(rank(count), expected, "{count} values");
        }
    }

    #[test]
    fn a_median_stands_between_its_bounds() {
        let values = [9.0, 1.0, 8.0, 2.0, 7.0, 3.0, 6.0, 4.0, 5.0];
        assert_eq!(median(&values), Median { middle: 5.0, low: 2.0, high: 8.0 });
        assert_eq!(median(&[2.0, 1.0]), Median { middle: 1.5, low: 1.0, high: 2.0 });
    }

    #[test]
    fn a_ratio_is_taken_within_a_round() {
        let times = |nanos: &[f64]| Times {
            scenario: 0,
            peer: Peer::Tandem,
            calls: 1,
            nanos: nanos.to_vec(),
        };
        // The machine is four times slower in the second round; the ratio is not.
        let ratio = ratio(&times(&[1.0, 4.0]), &times(&[2.0, 8.0]));
        assert_eq!(ratio, Median { middle: 0.5, low: 0.5, high: 0.5 });
    }
}
