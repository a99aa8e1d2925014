//! The highest rate at which each side keeps the objective: probes in turns, as the search asks
//! for them (compare K-1 to K-3).
//!
//! Not here: which rate comes next, and when a probe failed (`tandem_judge::capacity`).

use std::time::Duration;

use tandem_judge::capacity::{self, Next, Search};
use tandem_judge::cost::{self, void};
use tandem_judge::report;

use super::ask::{BLOCK_USUAL, Objective};
use super::blocks::Order;
use super::quartets::role;
use super::run::{Halt, Run};

/// A probe that fails while the generator itself is late, or the host takes the processor away,
/// says nothing of the side: it is sent again, so often in all. One that passes all the same counts.
const TRIES: u32 = 3;

/// Searches both sides; probes and confirmations are as long as two and a half and ten blocks. `None`
/// where the budget ends it first.
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
    let (mut probes, mut doubtful) = (Vec::new(), [false; 2]);
    let mut over = false;
    'search: while searches.iter().any(|(_, _, found)| found.is_none()) {
        for (side, search, found) in &mut searches {
            match search.next() {
                Next::Done(capacity) => *found = Some(capacity),
                Next::Probe { rate, seconds } => {
                    let blocks = f64::from(seconds) / BLOCK_USUAL.as_secs_f64();
                    let length = run.ask.block.mul_f64(blocks);
                    for left in (0..TRIES).rev() {
                        run.progress.at("capacity", probes.len() as u64, 80, run.budget.left());
                        if !run.budget.allows(length) {
                            over = true;
                            break 'search;
                        }
                        let (seen, line) = probe(run, *side, rate, length, objective).await?;
                        let passed = capacity::failure(&kept, &seen).is_none();
                        let is_void = line.void;
                        probes.push(report::CapacityProbe { passed, ..line });
                        if passed || !is_void || left == 0 {
                            doubtful[*side as usize] |= !passed && is_void;
                            search.observe(&seen);
                            break;
                        }
                    }
                }
            }
        }
    }
    if over {
        run.cut("search for capacity");
        unconfirmed(run, &probes);
        return Ok(None);
    }
    let [primary, candidate] = searches.map(|(_, _, found)| found.map(side_of).unwrap_or_default());
    for (side, _) in run.ask.sides.clone().iter().zip(doubtful).filter(|(_, is)| *is) {
        run.note(&format!(
            "the generator itself was late where `{}` failed: the upper end of its capacity may be \
             the generator's",
            side.name
        ));
    }
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

/// Says what was seen of a search that did not end: enough to begin nearer next time.
fn unconfirmed(run: &mut Run, probes: &[report::CapacityProbe]) {
    for (place, which) in [cost::Side::Primary, cost::Side::Candidate].into_iter().enumerate() {
        let of = |passed| {
            let mine = probes.iter().filter(|probe| probe.role == role(which));
            mine.filter(move |probe| probe.passed == passed).map(|probe| probe.rate)
        };
        let text = |rate: Option<f64>| rate.map_or("nothing".to_owned(), report::units::rate);
        run.note(&format!(
            "capacity of `{}` is not confirmed: {} passed, {} failed; set `--start` near it, or \
             give a larger `--budget`",
            run.ask.sides[place].name.clone(),
            text(of(true).reduce(f64::max)),
            text(of(false).reduce(f64::min)),
        ));
    }
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
