//! The highest rate that a side serves within an objective, as a state machine (compare K-1 to
//! K-3).
//!
//! [`Search::next`] says what to measure, [`Search::observe`] takes what was measured. The rate
//! grows by 1.6 until a probe fails, the bracket is halved to 5 %, and both its ends are confirmed
//! by five longer blocks each. An end that does not hold moves the bracket on. The result is an
//! interval, never the last second of a ramp.
//!
//! Nothing here waits or counts time. Between probes whoever runs them drains: calls in flight go
//! to zero first.

use crate::stats::binomial;

/// What a rate has to keep.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Objective {
    /// The part of the calls that may be slower than the threshold: 0.01 for a p99.
    pub slow_budget: f64,
    /// The part that may fail.
    pub error_budget: f64,
}

/// What one probe showed.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    pub offered_calls: u64,
    pub completed: u64,
    /// Calls whose time counts: all but those that met a stall of the generator.
    pub timed: u64,
    /// Of them: slower than the threshold. Those not completed are not among them.
    pub slow: u64,
    pub errors: u64,
    /// Calls in flight, at even distances.
    pub in_flight: Vec<u64>,
    /// CPU cores used.
    pub cpu_cores: Option<f64>,
}

/// Why a probe failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Failure {
    /// More slow calls than the budget, by an exact test at 5 %.
    Slow,
    Errors,
    /// Fewer than 99.5 % of the offered calls were completed.
    Incomplete,
    /// The generator stood still too often: of more than half of the calls no time counts.
    Unseen,
    /// Calls pile up.
    Growing,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Next {
    /// Offer `rate` calls a second for `seconds`, then drain.
    Probe {
        rate: f64,
        seconds: u32,
    },
    Done(Capacity),
}

/// The interval in which the capacity lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Capacity {
    /// The highest rate that passed at least four of five confirmations; 0 if none did.
    pub low: f64,
    /// The lowest that failed at least two; `None` if none did up to the end of the search.
    pub high: Option<f64>,
    /// CPU cores used at `low`.
    pub cpu_cores: Option<f64>,
    /// A bound of the search was reached before both ends were confirmed.
    pub unsettled: bool,
}

/// One probe as a report shows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    pub rate: f64,
    pub failure: Option<Failure>,
    pub confirming: bool,
}

const GROWTH: f64 = 1.6;
const BRACKET: f64 = 1.05;
const PROBE_S: u32 = 5;
const CONFIRM_S: u32 = 20;
const CONFIRMATIONS: u32 = 5;
const FAILED_LEAST: u32 = 2;
const COMPLETED_LEAST: f64 = 0.995;
/// Probes in all, confirmations included.
const PROBES_MOST: usize = 150;
/// Nobody offers more.
const RATE_MOST: f64 = 1e7;

/// A search for one side.
#[derive(Debug, Clone, PartialEq)]
pub struct Search {
    objective: Objective,
    stage: Stage,
    /// The highest rate seen to pass and the lowest seen to fail.
    low: f64,
    high: Option<f64>,
    confirmed_low: Option<(f64, Option<f64>)>,
    confirmed_high: Option<f64>,
    seen: Vec<Seen>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Stage {
    Growing { rate: f64 },
    Halving { rate: f64 },
    Confirming { rate: f64, run: u32, failed: u32, cores: f64, read: u32 },
    Done { unsettled: bool },
}

impl Search {
    /// From `start` calls a second.
    pub fn new(objective: Objective, start: f64) -> Search {
        let rate = if start.is_finite() { start.clamp(1.0, RATE_MOST) } else { 1.0 };
        Search {
            objective,
            stage: Stage::Growing { rate },
            low: 0.0,
            high: None,
            confirmed_low: None,
            confirmed_high: None,
            seen: Vec::new(),
        }
    }

    /// What to measure next, or the result.
    pub fn next(&self) -> Next {
        match self.stage {
            Stage::Growing { rate } | Stage::Halving { rate } => {
                Next::Probe { rate, seconds: PROBE_S }
            }
            Stage::Confirming { rate, .. } => Next::Probe { rate, seconds: CONFIRM_S },
            Stage::Done { unsettled } => Next::Done(Capacity {
                low: self.confirmed_low.map_or(0.0, |(rate, _)| rate),
                high: self.confirmed_high,
                cpu_cores: self.confirmed_low.and_then(|(_, cores)| cores),
                unsettled,
            }),
        }
    }

    /// All probes so far.
    pub fn seen(&self) -> &[Seen] {
        &self.seen
    }

    /// Takes the result of the probe that [`Search::next`] asked for.
    pub fn observe(&mut self, probe: &Probe) {
        let failure = failure(&self.objective, probe);
        let (Stage::Growing { rate } | Stage::Halving { rate } | Stage::Confirming { rate, .. }) =
            self.stage
        else {
            return;
        };
        let confirming = matches!(self.stage, Stage::Confirming { .. });
        self.seen.push(Seen { rate, failure, confirming });
        let passed = failure.is_none();
        self.stage = match self.stage {
            Stage::Growing { rate } | Stage::Halving { rate } => {
                self.bracket(rate, passed);
                self.narrow()
            }
            Stage::Confirming { rate, run, failed, cores, read } => {
                let failed = failed + u32::from(!passed);
                let (cores, read) = match probe.cpu_cores {
                    Some(used) => (cores + used, read + 1),
                    None => (cores, read),
                };
                if run + 1 < CONFIRMATIONS {
                    Stage::Confirming { rate, run: run + 1, failed, cores, read }
                } else {
                    let cores = (read > 0).then(|| cores / f64::from(read));
                    self.confirmed(rate, failed, cores)
                }
            }
            done @ Stage::Done { .. } => done,
        };
        if self.seen.len() >= PROBES_MOST && !matches!(self.stage, Stage::Done { .. }) {
            self.stage = Stage::Done { unsettled: true };
        }
    }

    fn bracket(&mut self, rate: f64, passed: bool) {
        if passed {
            self.low = self.low.max(rate);
        } else {
            self.high = Some(self.high.map_or(rate, |high| high.min(rate)));
        }
    }

    fn narrow(&self) -> Stage {
        match self.high {
            None if self.low * GROWTH > RATE_MOST => Stage::Done { unsettled: true },
            None => Stage::Growing { rate: self.low * GROWTH },
            // Nothing has passed yet: down, as it went up.
            Some(high) if self.low <= 0.0 => match high / GROWTH {
                rate if rate < 1.0 => confirm(1.0),
                rate => Stage::Halving { rate },
            },
            Some(high) if high / self.low > BRACKET => {
                Stage::Halving { rate: (high * self.low).sqrt() }
            }
            Some(_) => confirm(self.low),
        }
    }

    /// A rate was confirmed one way or the other; on to the other end, or away from it.
    fn confirmed(&mut self, rate: f64, failed: u32, cores: Option<f64>) -> Stage {
        if failed >= FAILED_LEAST {
            let lower = self.confirmed_high.is_none_or(|high| rate < high);
            if lower {
                self.confirmed_high = Some(rate);
            }
            match self.confirmed_low {
                Some((low, _)) if low < rate => Stage::Done { unsettled: false },
                _ if rate / BRACKET < 1.0 => Stage::Done { unsettled: false },
                _ => confirm(rate / BRACKET),
            }
        } else {
            if self.confirmed_low.is_none_or(|(low, _)| rate > low) {
                self.confirmed_low = Some((rate, cores));
            }
            match self.confirmed_high {
                Some(high) if high > rate => Stage::Done { unsettled: false },
                _ => {
                    let next = self.high.filter(|high| *high > rate).unwrap_or(rate * BRACKET);
                    confirm(next.min(rate * BRACKET))
                }
            }
        }
    }
}

fn confirm(rate: f64) -> Stage {
    Stage::Confirming { rate, run: 0, failed: 0, cores: 0.0, read: 0 }
}

/// Whether a probe failed, and why (compare K-2).
pub fn failure(objective: &Objective, probe: &Probe) -> Option<Failure> {
    let beyond = |count, of, budget| binomial::at_least(count, of, budget) <= 0.05;
    if (probe.completed as f64) < COMPLETED_LEAST * probe.offered_calls as f64 {
        Some(Failure::Incomplete)
    } else if probe.timed * 2 < probe.offered_calls {
        Some(Failure::Unseen)
    } else if beyond(probe.errors, probe.completed, objective.error_budget) {
        Some(Failure::Errors)
    } else if beyond(probe.slow, probe.completed.min(probe.timed), objective.slow_budget) {
        Some(Failure::Slow)
    } else if is_growing(&probe.in_flight, probe.offered_calls) {
        Some(Failure::Growing)
    } else {
        None
    }
}

/// Calls that may pile up, as a part of those offered, before growth counts at all: a queue that
/// keeps up still breathes.
const GROWTH_OF_OFFERED: f64 = 0.0025;

/// Whether the number in flight grows: by Kendall's trend test at 1 %, and by more than breathing.
///
/// Source: Mann, "Nonparametric Tests Against Trend" (Econometrica 13, 1945), section 3.
fn is_growing(in_flight: &[u64], offered_calls: u64) -> bool {
    let count = in_flight.len() as f64;
    if in_flight.len() < 8 {
        return false;
    }
    let quarter = in_flight.len() / 4;
    let mean = |part: &[u64]| part.iter().sum::<u64>() as f64 / part.len() as f64;
    let grown = mean(&in_flight[in_flight.len() - quarter..]) - mean(&in_flight[..quarter]);
    if grown <= GROWTH_OF_OFFERED * offered_calls as f64 {
        return false;
    }
    let mut trend = 0_i64;
    for (place, before) in in_flight.iter().enumerate() {
        for after in &in_flight[place + 1..] {
            trend += i64::from(after > before) - i64::from(after < before);
        }
    }
    let deviation = (count * (count - 1.0) * (2.0 * count + 5.0) / 18.0).sqrt();
    trend as f64 / deviation > 2.326
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECTIVE: Objective = Objective { slow_budget: 0.01, error_budget: 0.001 };

    fn probe(calls: u64, slow: u64) -> Probe {
        Probe {
            offered_calls: calls,
            completed: calls,
            timed: calls,
            slow,
            errors: 0,
            in_flight: vec![3; 50],
            cpu_cores: Some(0.5),
        }
    }

    #[test]
    fn compare_k_2_a_probe_fails_by_an_exact_test() {
        for (calls, slow, expected) in [
            (5_000, 62, None),
            (5_000, 63, Some(Failure::Slow)),
            (20_000, 223, None),
            (20_000, 224, Some(Failure::Slow)),
        ] {
            assert_eq!(failure(&OBJECTIVE, &probe(calls, slow)), expected, "{calls} {slow}");
        }
        let fine = probe(5_000, 0);
        let growing: Vec<u64> = (0..50).map(|second| second * 2).collect();
        for (probe, expected) in [
            (Probe { completed: 4_975, ..fine.clone() }, None),
            (Probe { completed: 4_974, ..fine.clone() }, Some(Failure::Incomplete)),
            (Probe { timed: 2_500, ..fine.clone() }, None),
            (Probe { timed: 2_499, ..fine.clone() }, Some(Failure::Unseen)),
            (Probe { timed: 2_500, slow: 40, ..fine.clone() }, Some(Failure::Slow)),
            (Probe { errors: 40, ..fine.clone() }, Some(Failure::Errors)),
            (Probe { in_flight: growing, ..fine.clone() }, Some(Failure::Growing)),
            (Probe { in_flight: (0..50).map(|at| at % 12).collect(), ..fine }, None),
        ] {
            assert_eq!(failure(&OBJECTIVE, &probe), expected, "{probe:?}");
        }
    }

    /// Runs a search on a side that passes below `limit`.
    fn run(limit: f64, start: f64) -> (Capacity, usize) {
        let mut search = Search::new(OBJECTIVE, start);
        loop {
            match search.next() {
                Next::Done(capacity) => return (capacity, search.seen().len()),
                Next::Probe { rate, .. } => {
                    let slow = if rate < limit { 0 } else { 5_000 };
                    search.observe(&probe(5_000, slow));
                }
            }
        }
    }

    #[test]
    fn a_side_with_a_sharp_limit_is_enclosed_within_five_percent() {
        for (limit, start) in [(9_000.0, 100.0), (57.0, 100.0), (1_234.5, 1_234.0), (2.5, 100.0)] {
            let (capacity, probes) = run(limit, start);
            let high = capacity.high.unwrap();
            assert!(capacity.low < limit && limit <= high, "{limit}: {capacity:?}");
            assert!(high / capacity.low <= BRACKET + 1e-9, "{limit}: {capacity:?}");
            assert!(!capacity.unsettled && probes < 40, "{limit}: {probes} probes");
            assert_eq!(capacity.cpu_cores, Some(0.5));
        }
    }

    #[test]
    fn a_side_that_never_passes_has_no_capacity_and_one_that_never_fails_no_upper_end() {
        let (capacity, _) = run(0.0, 100.0);
        assert_eq!((capacity.low, capacity.high), (0.0, Some(1.0)));
        let (capacity, probes) = run(f64::INFINITY, 100.0);
        assert_eq!((capacity.high, capacity.unsettled), (None, true));
        assert!(probes < 30, "{probes}");
    }
}
