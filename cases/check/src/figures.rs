//! What a process says of itself: how it is built, and counters of its runtime that grow with its
//! calls.

use crate::Fault;
use crate::contract::ListProductsRequest;
use crate::runtime::{SnapshotRequest, SnapshotResponse, snapshot_response::Runtime};
use crate::side::{Program, Side};

/// Calls between two snapshots.
const CALLS: u64 = 200;

pub async fn run(programs: &[Program]) -> Result<String, Fault> {
    let folder = tempfile::tempdir()?;
    let mut told = Vec::new();
    for program in programs {
        let mut side = Side::start(program, folder.path(), "none").await?;
        let before = snapshot(&mut side).await?;
        for _ in 0..CALLS {
            side.calls.list_products(ListProductsRequest::default()).await?;
        }
        let after = snapshot(&mut side).await?;
        check(&before, &after).map_err(|what| format!("{}: {what}: {after:?}", side.name))?;
        let toolchain = after.build.map(|build| build.toolchain).unwrap_or_default();
        told.push(format!("{} ({toolchain}, {} thread)", after.program, after.parallelism));
    }
    Ok(told.join(", "))
}

async fn snapshot(side: &mut Side) -> Result<SnapshotResponse, Fault> {
    Ok(side.figures.snapshot(SnapshotRequest {}).await?.into_inner())
}

fn check(before: &SnapshotResponse, after: &SnapshotResponse) -> Result<(), &'static str> {
    let holds = |holds: bool, what| if holds { Ok(()) } else { Err(what) };
    let build = after.build.as_ref().ok_or("it does not say how it was built")?;
    holds(!build.toolchain.is_empty() && !build.profile.is_empty(), "its build is half said")?;
    holds(!after.program.is_empty() && !after.version.is_empty(), "it has no name or version")?;
    // A service runs on one thread unless it is told otherwise.
    holds(after.parallelism == 1, "it does more at once than it was told to")?;
    match (&before.runtime, &after.runtime) {
        (Some(Runtime::Go(before)), Some(Runtime::Go(after))) => {
            let counts = |durations: &Option<crate::runtime::Durations>| -> u64 {
                let buckets = durations.iter().flat_map(|durations| &durations.buckets);
                buckets.map(|bucket| bucket.count).sum()
            };
            holds(after.allocated_bytes > before.allocated_bytes, "its calls allocate nothing")?;
            holds(counts(&after.scheduling) > counts(&before.scheduling), "nothing ever waited")?;
            // Its classes of CPU stand at 0 until the first cycle has ended.
            holds(after.gogc_percent == 100, "its collector is not said")
        }
        (Some(Runtime::Tokio(before)), Some(Runtime::Tokio(after))) => {
            holds(after.polls >= before.polls + CALLS, "its calls are not polled")?;
            holds(after.polled_s > before.polled_s, "its polls take no time")?;
            holds(
                after.polls_long_from_s > 0.0 && after.polls_long <= after.polls,
                "long is not said",
            )
        }
        _ => Err("it does not say what it runs on"),
    }
}
