//! Rounds of timed calls, interleaved, and what is concluded from them.
//!
//! In every round each peer converts each scenario for about the same length of CPU time, in an
//! order that is drawn anew; a ratio is taken within one round, so that a machine that slows down
//! slows both sides of it.

use std::hint::black_box;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use tandem_bench_payload::median::{self, Median};
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

/// The ratio of two peers' times, round by round.
pub(crate) fn ratio(ours: &Times, theirs: &Times) -> Median {
    median::ratio(&ours.nanos, &theirs.nanos)
}
