//! How long a plan takes, from live rates, by simulated runs of equal sides (compare E-7).

use super::guard::Kind;
use super::plan::Plan;
use crate::stats::draws::Draws;
use crate::stats::evidence::{SAFETY, Stretch, budget_evidence, evidence};

/// What the method does today.
#[derive(Debug, Clone, PartialEq)]
pub struct Rates {
    /// Calls a second.
    pub calls: f64,
    /// Mirrored calls a second before the first step, and for how many seconds.
    pub mirrored: f64,
    pub mirrored_s: f64,
    /// By guard: the part of the calls that is an event.
    pub events: Vec<f64>,
}

/// The median of the simulated runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// Seconds until every guard is proven and every step has its dwell; `None` when most runs
    /// did not get there within `max`.
    pub seconds: Option<f64>,
    /// By guard: the median of the seconds at the first share alone.
    pub by_guard: Vec<Option<f64>>,
}

const RUNS: usize = 200;
/// Events of one run: nobody waits for more.
const EVENTS_MOST: u64 = 20_000;

/// Simulates the plan.
pub fn estimate(plan: &Plan, rates: &Rates, draws: &mut Draws) -> Estimate {
    let Some(first) = plan.shares.first() else {
        return Estimate { seconds: None, by_guard: Vec::new() };
    };
    let share = first.part();
    let guards = || plan.guards.iter().zip(&rates.events);
    let mut by_guard = vec![Vec::with_capacity(RUNS); plan.guards.len()];
    let mut slowest = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let mut most = Some(0.0_f64);
        for ((guard, part), times) in guards().zip(&mut by_guard) {
            let time = seconds(guard.kind, *part, share, plan, rates, draws);
            most = most.zip(time).map(|(most, time)| most.max(time));
            times.push(time);
        }
        slowest.push(most);
    }
    // After the first share each step takes its dwell, and its calls.
    let later: f64 = plan.shares[1..]
        .iter()
        .filter(|share| share.part() < 1.0)
        .map(|share| {
            let calls = plan.calls_least as f64 / (rates.calls * share.part()).max(1e-9);
            calls.max(plan.dwell_s as f64)
        })
        .sum();
    let first_least =
        (plan.dwell_s as f64).max(plan.calls_least as f64 / (rates.calls * share).max(1e-9));
    let seconds = median(&mut slowest).map(|time| time.max(first_least) + later);
    Estimate {
        seconds: seconds.filter(|seconds| *seconds <= plan.max_s as f64),
        by_guard: by_guard.iter_mut().map(|times| median(times)).collect(),
    }
}

/// Until one guard is proven at a share, in one run.
fn seconds(
    kind: Kind,
    part: f64,
    share: f64,
    plan: &Plan,
    rates: &Rates,
    draws: &mut Draws,
) -> Option<f64> {
    let needed = 1.0 / plan.beta;
    match kind {
        Kind::Events { tolerate } => {
            if part <= 0.0 || rates.calls <= 0.0 {
                return None;
            }
            // While mirroring, half of the discordant events are the candidate's.
            let mirrored = 2.0 * part * rates.mirrored * rates.mirrored_s;
            let mut past = Stretch { candidate: 0, primary: 0, share: 0.5 };
            for _ in 0..mirrored.min(EVENTS_MOST as f64) as u64 {
                if draws.coin() { past.candidate += 1 } else { past.primary += 1 }
            }
            let mut now = Stretch { candidate: 0, primary: 0, share };
            let mut time = 0.0;
            for _ in 0..EVENTS_MOST {
                if evidence(&[past, now], SAFETY, tolerate) >= needed {
                    return Some(time);
                }
                time -= (1.0 - draws.unit()).ln() / (rates.calls * part);
                if draws.unit() < share {
                    now.candidate += 1
                } else {
                    now.primary += 1
                }
                if time > plan.max_s as f64 {
                    return None;
                }
            }
            None
        }
        Kind::Budget { most } => {
            // Events come by their rate; the calls between them are quiet.
            let (mut calls, mut events) = (0_u64, 0_u64);
            let served = rates.calls * share;
            loop {
                let quiet = match part {
                    part if part <= 0.0 => u64::MAX,
                    part => ((1.0 - draws.unit()).ln() / (-part).ln_1p()) as u64,
                };
                let proven = |at: u64| budget_evidence(events, calls + at, most) >= needed;
                let most_calls = (plan.max_s as f64 * served) as u64;
                let reach = quiet.min(most_calls.saturating_sub(calls));
                if proven(reach) {
                    let (mut low, mut high) = (0, reach);
                    while low < high {
                        let middle = low.midpoint(high);
                        if proven(middle) { high = middle } else { low = middle + 1 }
                    }
                    return (served > 0.0).then(|| (calls + low) as f64 / served);
                }
                if reach < quiet || events > EVENTS_MOST {
                    return None;
                }
                calls += quiet + 1;
                events += 1;
            }
        }
        // Buckets of half a minute, from twenty on.
        Kind::Ratio { .. } => Some(600.0),
        Kind::Memory { .. } => Some(0.0),
    }
}

fn median(times: &mut [Option<f64>]) -> Option<f64> {
    // Runs that never got there are the slowest.
    times.sort_by(|one, other| {
        one.unwrap_or(f64::INFINITY).total_cmp(&other.unwrap_or(f64::INFINITY))
    });
    times.get(times.len().checked_sub(1)? / 2).copied().flatten()
}
