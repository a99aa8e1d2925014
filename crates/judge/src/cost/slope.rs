//! CPU per call as a slope (compare A-11).
//!
//! A process uses CPU while nobody calls it. Divided by the calls, that makes whoever idles less
//! look better than it is, the more so the lower the rate. So idle and marginal cost are told
//! apart by measuring at several rates; at one rate the idle part is taken from the blocks in
//! which the other side was called, and the result says that it is no slope.

use super::{Quartet, Side};
use crate::stats::draws::Draws;
use crate::stats::slope::{Line, with_interval};

/// Rates below which no line is drawn.
const RATES_LEAST: usize = 3;
const DRAWS: usize = 500;

/// CPU seconds a second = idle + marginal × calls a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slope {
    /// Cores used without any call.
    pub idle: f64,
    /// CPU seconds of one call more.
    pub marginal: f64,
    /// 95 %, of `marginal`.
    pub interval: (f64, f64),
}

impl Slope {
    /// CPU seconds a call at a rate: what capacity is bought for.
    pub fn at(&self, rate: f64) -> f64 {
        self.marginal + self.idle / rate
    }
}

/// The slope of one side over quartets at three rates or more.
pub fn slope(quartets: &[Quartet], side: Side, draws: &mut Draws) -> Option<Slope> {
    let mut points = Vec::new();
    let mut rates: Vec<f64> = Vec::new();
    for quartet in quartets.iter().filter(|quartet| quartet.is_valid()) {
        let (mut cpu, mut seconds, mut calls) = (0.0, 0.0, 0);
        for block in quartet.of(side) {
            cpu += block.cpu_s?;
            seconds += block.seconds;
            calls += block.calls;
        }
        if seconds > 0.0 {
            points.push((calls as f64 / seconds, cpu / seconds));
            rates.push(quartet.offered);
        }
    }
    rates.sort_by(f64::total_cmp);
    rates.dedup_by(|one, other| one.total_cmp(other).is_eq());
    if rates.len() < RATES_LEAST {
        return None;
    }
    let (Line { idle, marginal }, interval) = with_interval(&points, draws, DRAWS)?;
    Some(Slope { idle: idle.max(0.0), marginal, interval })
}

/// CPU seconds a call at the one rate that was measured, without what the side used while the
/// other one was called.
pub fn idle_at_one_rate(quartets: &[Quartet], side: Side) -> Option<f64> {
    let (mut cpu, mut calls, mut idle_cores, mut blocks) = (0.0, 0, 0.0, 0.0);
    let mut on_seconds = 0.0;
    for block in quartets.iter().filter(|quartet| quartet.is_valid()).flat_map(|q| &q.blocks) {
        if block.side == side {
            cpu += block.cpu_s?;
            calls += block.calls;
            on_seconds += block.seconds;
        } else if block.seconds > 0.0 {
            idle_cores += block.idle_cpu_s? / block.seconds;
            blocks += 1.0;
        }
    }
    (calls > 0 && blocks > 0.0).then(|| (cpu - idle_cores / blocks * on_seconds) / calls as f64)
}

/// The quartets as they would be if neither side used anything while nobody calls it: each block's
/// CPU without what its side used in as much time of the other's blocks (compare A-11). For one
/// rate; over several rates [`slope`] tells the two apart. Where a side cannot be read, or used
/// less than its idle part, its blocks stay as they are.
pub fn without_idle(quartets: &[Quartet]) -> Vec<Quartet> {
    let idle = |side| {
        let blocks = quartets.iter().filter(|quartet| quartet.is_valid()).flat_map(|q| &q.blocks);
        let (mut cpu, mut seconds) = (0.0, 0.0);
        for block in blocks.filter(|block| block.side != side) {
            cpu += block.idle_cpu_s?;
            seconds += block.seconds;
        }
        (seconds > 0.0).then(|| cpu / seconds)
    };
    let [primary, candidate] = [Side::Primary, Side::Candidate].map(idle);
    let mut quartets = quartets.to_vec();
    for block in quartets.iter_mut().flat_map(|quartet| &mut quartet.blocks) {
        let cores = match block.side {
            Side::Primary => primary,
            Side::Candidate => candidate,
        };
        if let (Some(cpu), Some(cores)) = (block.cpu_s, cores) {
            let left = cpu - cores * block.seconds;
            block.cpu_s = Some(if left > 0.0 { left } else { cpu });
        }
    }
    quartets
}

#[cfg(test)]
mod tests {
    use super::super::Block;
    use super::*;
    use crate::stats::counts::Counts;

    #[test]
    fn compare_a_11_at_one_rate_what_a_side_idles_is_no_part_of_a_call() {
        // A call costs 50 µs on both sides; the candidate idles at a tenth of a core.
        let block = |side, idle: f64, other: f64| Block {
            side,
            seconds: 2.0,
            calls: 400,
            cpu_s: Some(400.0 * 50e-6 + idle * 2.0),
            idle_cpu_s: Some(other * 2.0),
            latency_us: Counts::default(),
            peak_bytes: None,
            allocations: None,
            void: None,
        };
        let (primary, candidate) =
            (block(Side::Primary, 0.0, 0.1), block(Side::Candidate, 0.1, 0.0));
        let blocks = vec![primary.clone(), candidate.clone(), candidate, primary];
        let quartets = [Quartet { restart: 0, offered: 200.0, blocks }];
        for block in &without_idle(&quartets)[0].blocks {
            assert!((block.cpu_s.unwrap() - 0.02).abs() < 1e-9, "{block:?}");
        }
        // It says the same as the number beside the table.
        for side in [Side::Primary, Side::Candidate] {
            let found = idle_at_one_rate(&quartets, side).unwrap();
            assert!((found - 50e-6).abs() < 1e-9, "{side:?} {found}");
        }
    }
}
