//! Blocks that measured something else than the service (compare L-4, A-6).

use std::collections::BTreeMap;
use std::fmt;

use super::Quartet;

/// What the generator and the machine say about one block.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct BlockReadings {
    /// Calls of the schedule, and those of them that could not be sent.
    pub scheduled: u64,
    pub unsent: u64,
    /// Calls whose times were set aside: the generator stood still when they were to be sent, or
    /// when they ended.
    pub set_aside: u64,
    /// 99th percentile of the time from the intended moment to the sending, in microseconds, of
    /// the others.
    pub lag_p99_us: u64,
    /// Median of the time from sending to the end, in microseconds.
    pub service_p50_us: u64,
    /// Part of its cores that the generator used.
    pub generator_busy: f64,
    /// Part of the time that the host took away, in each half of the block.
    pub steal: [f64; 2],
}

/// Why a block does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Void {
    Unsent,
    Stalled,
    Lag,
    Generator,
    Steal,
}

impl Void {
    pub(super) const ALL: [Void; 5] =
        [Void::Unsent, Void::Stalled, Void::Lag, Void::Generator, Void::Steal];
}

impl fmt::Display for Void {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Void::Unsent => "calls were not sent",
            Void::Stalled => "the generator stood still too often",
            Void::Lag => "calls were sent late",
            Void::Generator => "the generator was busy",
            Void::Steal => "the host took time away",
        })
    }
}

const UNSENT_MOST: f64 = 0.001;
/// With more set aside, what is left is a choice of moments and not the block.
const SET_ASIDE_MOST: f64 = 0.1;
const LAG_MOST_US: f64 = 100.0;
const LAG_OF_SERVICE_MOST: f64 = 0.05;
const GENERATOR_BUSY_MOST: f64 = 0.7;
const STEAL_MOST: f64 = 0.02;

/// Whether a block counts, and why not.
pub fn void(readings: &BlockReadings) -> Option<Void> {
    let BlockReadings {
        scheduled,
        unsent,
        set_aside,
        lag_p99_us,
        service_p50_us,
        generator_busy,
        steal,
    } = *readings;
    let lag_most = LAG_MOST_US.max(LAG_OF_SERVICE_MOST * service_p50_us as f64);
    if unsent as f64 > UNSENT_MOST * scheduled as f64 {
        Some(Void::Unsent)
    } else if set_aside as f64 > SET_ASIDE_MOST * scheduled as f64 {
        Some(Void::Stalled)
    } else if lag_p99_us as f64 > lag_most {
        Some(Void::Lag)
    } else if generator_busy > GENERATOR_BUSY_MOST {
        Some(Void::Generator)
    } else if steal.iter().any(|part| *part > STEAL_MOST) {
        Some(Void::Steal)
    } else {
        None
    }
}

/// The part of the quartets that must count for their mean to stand for all of them.
const VALID_LEAST: f64 = 0.5;

/// Why a series cannot be believed, empty if it can: more than half of its quartets are void.
/// What made them void is then no accident, and what is left was chosen by it.
pub fn unbelievable(quartets: &[Quartet]) -> Vec<String> {
    let valid = quartets.iter().filter(|quartet| quartet.is_valid()).count();
    if quartets.is_empty() || valid as f64 >= VALID_LEAST * quartets.len() as f64 {
        return Vec::new();
    }
    let mut causes: BTreeMap<Void, u64> = BTreeMap::new();
    for void in quartets.iter().flat_map(|quartet| &quartet.blocks).filter_map(|it| it.void) {
        *causes.entry(void).or_default() += 1;
    }
    let all = quartets.len();
    causes
        .into_iter()
        .map(|(void, blocks)| {
            format!("{} of {all} quartets are void: {void} in {blocks} blocks", all - valid)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Block, Side};
    use super::*;
    use crate::stats::counts::Counts;

    #[test]
    fn a_series_of_which_half_counts_is_believed_and_less_is_not() {
        let quartet = |void| {
            let block = Block {
                side: Side::Primary,
                seconds: 1.0,
                calls: 1,
                cpu_s: None,
                idle_cpu_s: None,
                latency_us: Counts::default(),
                peak_bytes: None,
                allocations: None,
                void,
            };
            Quartet { restart: 0, offered: 1.0, blocks: vec![block] }
        };
        let series = |void: usize| -> Vec<Quartet> {
            (0..4).map(|place| quartet((place < void).then_some(Void::Lag))).collect()
        };
        assert_eq!(unbelievable(&series(2)), Vec::<String>::new());
        let reasons = unbelievable(&series(3));
        assert_eq!(reasons, ["3 of 4 quartets are void: calls were sent late in 3 blocks"]);
        assert_eq!(unbelievable(&[]), Vec::<String>::new());
    }

    #[test]
    fn compare_l_4_a_block_counts_up_to_its_bounds_and_not_beyond() {
        let fine = BlockReadings {
            scheduled: 10_000,
            unsent: 10,
            set_aside: 1_000,
            lag_p99_us: 100,
            service_p50_us: 500,
            generator_busy: 0.7,
            steal: [0.02, 0.0],
        };
        for (readings, expected) in [
            (fine, None),
            (BlockReadings { unsent: 11, ..fine }, Some(Void::Unsent)),
            (BlockReadings { set_aside: 1_001, ..fine }, Some(Void::Stalled)),
            (BlockReadings { lag_p99_us: 101, ..fine }, Some(Void::Lag)),
            (BlockReadings { lag_p99_us: 500, service_p50_us: 10_000, ..fine }, None),
            (BlockReadings { lag_p99_us: 501, service_p50_us: 10_000, ..fine }, Some(Void::Lag)),
            (BlockReadings { generator_busy: 0.701, ..fine }, Some(Void::Generator)),
            (BlockReadings { steal: [0.0, 0.021], ..fine }, Some(Void::Steal)),
        ] {
            assert_eq!(void(&readings), expected, "{readings:?}");
        }
    }
}
