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
