//! Pauses, seen from outside (compare A-12).
//!
//! Both runtimes are asked the same: a probe of an empty method, sent on time whether or not the
//! last one came back. Probes in a row that are far later than usual are one pause. What a runtime
//! says of itself stands beside it, never instead.

/// Pauses of one side.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pauses {
    pub count: u64,
    pub per_minute: f64,
    pub longest_us: u64,
    /// Part of the probes that were in a pause.
    pub share: f64,
    /// From which latency on a probe is in a pause.
    pub threshold_us: u64,
}

const THRESHOLD_LEAST_US: u64 = 1_000;
const THRESHOLD_MEDIANS: u64 = 10;

/// The pauses in the latencies of probes, in their order, over `seconds`. `None` without probes.
pub fn pauses(latencies_us: &[u64], seconds: f64) -> Option<Pauses> {
    let mut sorted = latencies_us.to_vec();
    sorted.sort_unstable();
    let median = *sorted.get(sorted.len().checked_sub(1)? / 2)?;
    let threshold_us = THRESHOLD_LEAST_US.max(median.saturating_mul(THRESHOLD_MEDIANS));
    let is_late = |latency: &u64| *latency > threshold_us;
    let runs = latencies_us.chunk_by(|one, other| is_late(one) == is_late(other));
    let count = runs.filter(|run| run.first().is_some_and(is_late)).count() as u64;
    let late = latencies_us.iter().filter(|latency| is_late(latency));
    Some(Pauses {
        count,
        per_minute: if seconds > 0.0 { count as f64 * 60.0 / seconds } else { 0.0 },
        longest_us: late.clone().max().copied().unwrap_or(0),
        share: late.count() as f64 / latencies_us.len() as f64,
        threshold_us,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compare_a_12_late_probes_in_a_row_are_one_pause() {
        let mut latencies = vec![50; 1_000];
        latencies[10..13].copy_from_slice(&[3_000, 2_000, 1_001]);
        latencies[500] = 1_000; // at the threshold
        latencies[900] = 5_000;
        let found = pauses(&latencies, 30.0).unwrap();
        assert_eq!((found.count, found.longest_us, found.threshold_us), (2, 5_000, 1_000));
        assert!((found.per_minute - 4.0).abs() < 1e-9, "{found:?}");
        assert!((found.share - 0.004).abs() < 1e-9, "{found:?}");
        // Slow probes raise the threshold.
        assert_eq!(pauses(&[500; 100], 1.0).map(|found| found.threshold_us), Some(5_000));
        assert_eq!(pauses(&[], 1.0), None);
    }
}
