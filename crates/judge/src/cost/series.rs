//! One metric over a series of quartets.

use super::{Block, Quartet, Side};
use crate::stats::bootstrap::{self, Measured};
use crate::stats::counts::Counts;
use crate::stats::draws::Draws;
use crate::stats::ranks::{self, Shown};
use crate::stats::ratio;

/// What is compared. Smaller is better but for throughput.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    /// CPU seconds a call.
    Cpu,
    /// Calls a second.
    Throughput,
    /// Mean latency, in microseconds.
    Mean,
    P50,
    P99,
    P999,
    /// Peak memory of a block, in bytes.
    PeakMemory,
    /// Allocations a call.
    Allocations,
}

impl Metric {
    /// As files and flags write it.
    pub fn id(self) -> &'static str {
        match self {
            Metric::Cpu => "cpu",
            Metric::Throughput => "throughput",
            Metric::Mean => "mean",
            Metric::P50 => "p50",
            Metric::P99 => "p99",
            Metric::P999 => "p99.9",
            Metric::PeakMemory => "peak_mem",
            Metric::Allocations => "allocations",
        }
    }

    /// The part of the calls, of a percentile.
    pub fn part(self) -> Option<f64> {
        match self {
            Metric::P50 => Some(0.5),
            Metric::P99 => Some(0.99),
            Metric::P999 => Some(0.999),
            Metric::Cpu
            | Metric::Throughput
            | Metric::Mean
            | Metric::PeakMemory
            | Metric::Allocations => None,
        }
    }

    pub fn smaller_is_better(self) -> bool {
        self != Metric::Throughput
    }
}

/// One metric of both sides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measurement {
    pub metric: Metric,
    pub primary: Absolute,
    pub candidate: Absolute,
    /// candidate/primary.
    pub ratio: f64,
    /// 95 %; `None` from fewer than twelve quartets.
    pub interval: Option<(f64, f64)>,
    /// By sign flips of quartets, or from the bootstrap of a percentile.
    pub p: Option<f64>,
    pub quartets: usize,
}

/// One side's value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Absolute {
    pub value: f64,
    pub interval: Option<(f64, f64)>,
    /// Calls that it rests on.
    pub calls: u64,
    /// Of a percentile: whether there are enough calls beyond it.
    pub shown: Shown,
}

/// The metric over all valid quartets; `None` where a side cannot be read, or there are none.
pub fn measure(quartets: &[Quartet], metric: Metric, draws: &mut Draws) -> Option<Measurement> {
    let valid: Vec<&Quartet> = quartets.iter().filter(|quartet| quartet.is_valid()).collect();
    match metric.part() {
        Some(part) => percentile(&valid, metric, part, draws),
        None => by_quartet(&valid, metric, draws),
    }
}

/// The log of the ratio in each valid quartet, for a plot; `None` of a percentile, or where a side
/// cannot be read.
pub fn logs_by_quartet(quartets: &[Quartet], metric: Metric) -> Option<Vec<f64>> {
    let valid: Vec<&Quartet> = quartets.iter().filter(|quartet| quartet.is_valid()).collect();
    logs(&valid, metric)
}

/// The log of the ratio in each valid quartet: what intervals and flips work on.
pub(super) fn logs(quartets: &[&Quartet], metric: Metric) -> Option<Vec<f64>> {
    let log = |quartet: &&Quartet| {
        let side = |side| value(quartet.of(side), metric);
        let log = (side(Side::Candidate)? / side(Side::Primary)?).ln();
        log.is_finite().then_some(log)
    };
    quartets.iter().map(log).collect()
}

fn by_quartet(quartets: &[&Quartet], metric: Metric, draws: &mut Draws) -> Option<Measurement> {
    let logs = logs(quartets, metric)?;
    let ratio = ratio::of_logs(&logs)?;
    let absolute = |side| {
        let blocks = quartets.iter().flat_map(move |quartet| quartet.of(side));
        let calls = blocks.clone().map(|block| block.calls).sum();
        Some(Absolute { value: value(blocks, metric)?, interval: None, calls, shown: Shown::Yes })
    };
    Some(Measurement {
        metric,
        primary: absolute(Side::Primary)?,
        candidate: absolute(Side::Candidate)?,
        ratio: ratio.value,
        interval: ratio.interval,
        p: ratio.interval.map(|_| ratio::flip_p(&logs, draws)),
        quartets: ratio.quartets,
    })
}

fn percentile(
    quartets: &[&Quartet],
    metric: Metric,
    part: f64,
    draws: &mut Draws,
) -> Option<Measurement> {
    let merged =
        |quartet: &Quartet, side| Counts::merged(quartet.of(side).map(|block| &block.latency_us));
    let mut restarts: Vec<(u32, Vec<Measured>)> = Vec::new();
    for quartet in quartets {
        let measured = Measured {
            primary: merged(quartet, Side::Primary),
            candidate: merged(quartet, Side::Candidate),
        };
        match restarts.iter_mut().find(|(restart, _)| *restart == quartet.restart) {
            Some((_, quartets)) => quartets.push(measured),
            None => restarts.push((quartet.restart, vec![measured])),
        }
    }
    let restarts: Vec<Vec<Measured>> = restarts.into_iter().map(|(_, quartets)| quartets).collect();
    let absolute = |side: fn(&Measured) -> &Counts| {
        let counts = Counts::merged(restarts.iter().flatten().map(side));
        let found = ranks::quantile(&counts, part)?;
        let interval = found.interval.map(|(low, high)| (low as f64, high as f64));
        let value = found.value as f64;
        Some(Absolute { value, interval, calls: found.count, shown: found.shown })
    };
    let (primary, candidate) = (absolute(|both| &both.primary)?, absolute(|both| &both.candidate)?);
    let enough = quartets.len() >= ratio::QUARTETS_LEAST;
    let drawn = enough.then(|| bootstrap::quantile_ratio(&restarts, part, draws)).flatten();
    Some(Measurement {
        metric,
        primary,
        candidate,
        ratio: candidate.value / primary.value,
        interval: drawn.map(|drawn| drawn.interval),
        p: drawn.map(|drawn| drawn.p),
        quartets: quartets.len(),
    })
}

/// The metric of some blocks of one side.
fn value<'b>(blocks: impl Iterator<Item = &'b Block> + Clone, metric: Metric) -> Option<f64> {
    let calls: u64 = blocks.clone().map(|block| block.calls).sum();
    let seconds: f64 = blocks.clone().map(|block| block.seconds).sum();
    if calls == 0 {
        return None;
    }
    match metric {
        Metric::Cpu => {
            let cpu: Option<Vec<f64>> = blocks.map(|block| block.cpu_s).collect();
            Some(cpu?.into_iter().sum::<f64>() / calls as f64)
        }
        Metric::Throughput => (seconds > 0.0).then(|| calls as f64 / seconds),
        Metric::Mean => Counts::merged(blocks.map(|block| &block.latency_us)).mean(),
        Metric::PeakMemory => {
            let peaks: Option<Vec<u64>> = blocks.map(|block| block.peak_bytes).collect();
            let peaks = peaks?;
            let sum: f64 = peaks.iter().map(|peak| *peak as f64).sum();
            Some(sum / peaks.len() as f64)
        }
        Metric::Allocations => {
            let counts: Option<Vec<u64>> = blocks.map(|block| block.allocations).collect();
            Some(counts?.into_iter().sum::<u64>() as f64 / calls as f64)
        }
        Metric::P50 | Metric::P99 | Metric::P999 => None,
    }
}
