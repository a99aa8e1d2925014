//! The highest rate at which each side keeps the objective: probes in turns, as the search asks
//! for them (compare K-1 to K-3).
//!
//! Not here: which rate comes next, and when a probe failed (`tandem_judge::capacity`).

use std::time::Duration;

use tandem_judge::capacity::{self, Next, Search};
use tandem_judge::cost::{self, void};
use tandem_judge::report;

use super::ask::Objective;
use super::blocks::Order;
use super::quartets::role;
use super::run::{Halt, Run};

/// Searches both sides; `None` where the budget ends it first.
pub(crate) async fn search(
    run: &mut Run,
    objective: &Objective,
) -> Result<Option<report::Capacity>, Halt> {
    let kept = capacity::Objective {
        slow_budget: objective.slow_budget,
        error_budget: objective.error_budget,
    };
    let mut searches = [cost::Side::Primary, cost::Side::Candidate]
        .map(|side| (side, Search::new(kept, run.ask.start), None));
    let mut probes = Vec::new();
    while searches.iter().any(|(_, _, found)| found.is_none()) {
        for (side, search, found) in &mut searches {
            match search.next() {
                Next::Done(capacity) => *found = Some(capacity),
                Next::Probe { rate, seconds } => {
                    let length = Duration::from_secs(seconds.into());
                    run.progress.at("capacity", probes.len() as u64, 80, run.budget.left());
                    if !run.budget.allows(length) {
                        run.cut("search for capacity");
                        return Ok(None);
                    }
                    let (seen, line) = probe(run, *side, rate, length, objective).await?;
                    search.observe(&seen);
                    let passed = search.seen().last().is_some_and(|seen| seen.failure.is_none());
                    probes.push(report::CapacityProbe { passed, ..line });
                }
            }
        }
    }
    let [primary, candidate] = searches.map(|(_, _, found)| found.map(side_of).unwrap_or_default());
    let [one, other] = [primary, candidate].map(|side| report::units::rate(side.lo));
    run.progress.done("capacity", &format!("{one} and {other} keep {}", objective.text));
    Ok(Some(report::Capacity {
        slo: objective.text.clone(),
        threshold_s: Some(objective.slow.as_secs_f64()),
        primary,
        candidate,
        probes,
    }))
}

/// These parts of what the weaker side can take, as calls a second in rising order; `None` where
/// that is nothing.
pub(crate) fn rates(parts: &[f64], weaker: f64) -> Option<Vec<f64>> {
    let mut rates: Vec<f64> =
        parts.iter().map(|part| (part * weaker).round()).filter(|rate| *rate >= 1.0).collect();
    rates.dedup_by(|one, other| one.total_cmp(other).is_eq());
    (!rates.is_empty()).then_some(rates)
}

fn side_of(found: capacity::Capacity) -> report::CapacitySide {
    let capacity::Capacity { low, high, cpu_cores, unsettled: _ } = found;
    report::CapacitySide { lo: low, hi: high, cpu_cores }
}

async fn probe(
    run: &mut Run,
    which: cost::Side,
    rate: f64,
    length: Duration,
    objective: &Objective,
) -> Result<(capacity::Probe, report::CapacityProbe), Halt> {
    let (seed, first) = (run.draws.next(), run.draws.next() >> 16);
    let order = Order { rate, length, seed, first, keep: 0 };
    let (on, off) = match which {
        cost::Side::Primary => (&mut run.primary, &mut run.candidate),
        cost::Side::Candidate => (&mut run.candidate, &mut run.primary),
    };
    let sent = run.generator.send(which, on, Some(off), &order);
    let sent = run.interrupt.or(sent).await??;
    let cores = sent.block.cpu_s.map(|cpu| cpu / sent.block.seconds.max(1e-9));
    let seen = sent.offered.probe(objective.slow.as_micros() as u64, cores);
    let line = report::CapacityProbe {
        role: role(which).to_owned(),
        rate,
        passed: false,
        void: void(&sent.offered.readings()).is_some(),
        p99_s: sent.block.latency_us.quantile(0.99).map(|us| us as f64 / 1e6),
    };
    Ok((seen, line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compare_a_11_rates_are_parts_of_what_the_weaker_side_can_take() {
        let parts = [0.2, 0.4, 0.6, 0.8];
        assert_eq!(rates(&parts, 5_000.0), Some(vec![1_000.0, 2_000.0, 3_000.0, 4_000.0]));
        // Less than one call a second is no rate, and one rate is not two.
        assert_eq!(rates(&parts, 2.0), Some(vec![1.0, 2.0]));
        assert_eq!(rates(&parts, 0.0), None);
    }
}
