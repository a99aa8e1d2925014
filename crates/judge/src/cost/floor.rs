//! How large a difference between two processes of one build can look (compare I-4).

use super::series::logs;
use super::{Metric, Quartet};
use crate::stats::draws::Draws;
use crate::stats::ratio;

/// The noise floor of one metric, as |log ratio|.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Floor {
    /// Differences up to here are not told from noise: the upper end of the 95 % interval of the
    /// false |log ratio|.
    pub log: f64,
    /// Root of the mean square of the quartets' logs.
    pub rms: f64,
}

impl Floor {
    /// "±0.5 %".
    pub fn percent(self) -> f64 {
        (self.log.exp() - 1.0) * 100.0
    }
}

/// The floor of `metric`, from quartets in which both sides were the primary.
pub fn floor(quartets: &[Quartet], metric: Metric, draws: &mut Draws) -> Option<Floor> {
    let valid: Vec<&Quartet> = quartets.iter().filter(|quartet| quartet.is_valid()).collect();
    if metric.part().is_some() {
        let found = super::measure(quartets, metric, draws)?;
        let (low, high) = found.interval?;
        return Some(Floor { log: farthest(low.ln(), high.ln()), rms: found.ratio.ln().abs() });
    }
    let logs = logs(&valid, metric)?;
    let (low, high) = ratio::of_logs(&logs)?.interval?;
    let squares: f64 = logs.iter().map(|log| log * log).sum();
    Some(Floor { log: farthest(low.ln(), high.ln()), rms: (squares / logs.len() as f64).sqrt() })
}

fn farthest(low: f64, high: f64) -> f64 {
    low.abs().max(high.abs())
}
