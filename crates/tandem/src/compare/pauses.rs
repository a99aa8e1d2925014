//! What is looked at when the load is over: memory a minute later, and pauses seen from outside.
//!
//! Not here: what a pause is (`tandem_judge::cost`).

use std::time::Duration;

use tandem_judge::cost;
use tandem_judge::report;

use super::quartets::role;
use super::run::{Halt, Run};

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
    let after = [&mut run.primary, &mut run.candidate].map(|side| side.probe.memory().anonymous);
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
