//! What is looked at when the load is over: memory a minute later, and pauses seen from outside.
//!
//! Not here: what a pause is (`tandem_judge::cost`).

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tandem_judge::cost;
use tandem_judge::report;
use tandem_measure::hiccup;
use tandem_measure::load::Call;

use super::quartets::role;
use super::run::{Halt, Run};
use super::streams::Callee;
use super::wire::Wire;

/// After the last call, until memory is read once more.
const MINUTE: Duration = Duration::from_secs(60);

/// Memory of both sides: before any call, at the highest, a minute after the last one. Not in a
/// hurry, and not where the budget has no minute left.
pub(crate) async fn memory(run: &mut Run, idle: [Option<u64>; 2]) -> Result<(), Halt> {
    if run.ask.quick || !run.budget.allows(MINUTE) {
        return Ok(());
    }
    run.progress.at("memory", 0, 1, MINUTE);
    run.interrupt.or(tokio::time::sleep(MINUTE)).await?;
    let after =
        [run.primary.probe.memory().await.anonymous, run.candidate.probe.memory().await.anonymous];
    let peaks = [cost::Side::Primary, cost::Side::Candidate].map(|side| {
        let blocks = run.evidence.series.iter().flat_map(|(_, series)| &series.blocks);
        blocks.filter(|block| block.role == role(side)).filter_map(|block| block.memory_bytes).max()
    });
    let point = |place: usize| {
        let [idle, peak, after] =
            [idle[place]?, peaks[place]?, after[place]?].map(|bytes| bytes as f64);
        Some(report::MemoryPoint { idle, peak, after_60s: after })
    };
    run.evidence.memory =
        point(0).zip(point(1)).map(|(primary, candidate)| report::Memory { primary, candidate });
    run.progress.done("memory", "a minute after the last call");
    Ok(())
}

/// Probes a second, and for how long; the second of each is for a run in a hurry.
const PROBES: f64 = 500.0;
const LENGTHS: [Duration; 2] = [Duration::from_secs(20), Duration::from_secs(5)];
/// What every server of gRPC may have, and what costs it next to nothing.
const HEALTH: &str = "/grpc.health.v1.Health/Check";

/// Pauses of both sides, by probes of their health on a connection of their own (compare A-12).
/// Not where the budget has no time left for them, or a side has no such service.
pub(crate) async fn hiccup(run: &mut Run) -> Result<(), Halt> {
    let length = LENGTHS[usize::from(run.ask.quick)];
    if !run.budget.allows(length * 2) {
        return Ok(());
    }
    let callees: Rc<[Callee]> = [Callee::unary(HEALTH)].into();
    let call = Call { method: 0, messages: [Bytes::new()].into() };
    let mut found = Vec::new();
    for place in [0, 1] {
        run.progress.at("pauses", place, 2, length);
        let side = [&run.primary, &run.candidate][usize::from(place == 1)];
        let name = side.named.name.clone();
        let wire = Wire::connect(&side.upstream, 1, &callees, run.ask.timeout, &run.settings.tasks);
        let Ok(wire) = run.interrupt.or(wire).await? else { return Ok(()) };
        if run.interrupt.or(wire.one(&call)).await?.is_failed() {
            run.note(&format!("pauses are not looked for: `{name}` has no health service"));
            return Ok(());
        }
        let (clock, wire) = (run.generator.clock(), Rc::new(wire));
        let probing = hiccup::probe(&wire, clock, &call, (PROBES, length), run.ask.timeout);
        found.push(run.interrupt.or(probing).await?);
    }
    let aside: u64 = found.iter().map(|found| found.set_aside).sum();
    let sides: Option<Vec<report::PausesSide>> =
        found.iter().map(|found| found.pauses().map(side_of)).collect();
    if let Some([primary, candidate]) = sides.as_deref() {
        run.evidence.pauses = Some(report::Sides { primary: *primary, candidate: *candidate });
    }
    run.progress.done("pauses", &format!("{PROBES} probes a second, {aside} set aside"));
    Ok(())
}

fn side_of(found: cost::Pauses) -> report::PausesSide {
    let cost::Pauses { count: _, per_minute, longest_us, share, threshold_us } = found;
    report::PausesSide {
        per_minute,
        longest_s: longest_us as f64 / 1e6,
        share,
        threshold_s: threshold_us as f64 / 1e6,
    }
}
