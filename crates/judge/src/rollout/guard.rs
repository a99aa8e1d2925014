//! What may not get worse (compare G-1 to G-8).

use crate::stats::evidence::{HARM, SAFETY, Stretch, budget_evidence, evidence, harm_threshold};
use crate::stats::sequence;

/// One guard of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Guard {
    /// As a report prints it: `error`, `slower_than 250ms`.
    pub name: String,
    pub kind: Kind,
}

/// How a guard is tested.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Events of both sides: errors, timeouts, slow calls, lost pairs, mismatches. Its rate may
    /// be `tolerate` times the primary's.
    Events { tolerate: f64 },
    /// The candidate's events may come in this part of its calls.
    Budget { most: f64 },
    /// Values by bucket, as logs of ratios: CPU per call.
    Ratio { tolerate: f64 },
    /// A plain limit on bytes an instance; nothing is tested (compare G-7).
    Memory { most: u64 },
}

/// What a guard has counted in the current epoch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counts {
    /// Events of the candidate, and of the primary (or twin).
    pub candidate: u64,
    pub primary: u64,
    /// Calls of the candidate.
    pub calls: u64,
    /// Logs of ratios by bucket, of a `Ratio`.
    pub logs: Vec<f64>,
    /// The last buckets' memory in bytes, of a `Memory`.
    pub memory: Vec<u64>,
}

/// What a guard says, as it is stored with a transition.
#[derive(Debug, Clone, PartialEq)]
pub struct GuardEvidence {
    pub name: String,
    pub candidate: u64,
    pub primary: u64,
    /// Evidence of harm in this epoch, and from where on it rolls back.
    pub harm: f64,
    pub harm_at: f64,
    pub harmful: bool,
    /// Evidence of safety over all epochs, and what is needed.
    pub safety: f64,
    pub safety_at: f64,
    pub safe: bool,
    /// Limits of memory passed.
    pub over: bool,
}

/// Candidate events below which nothing relative rolls back (compare E-5).
const EVENTS_LEAST: u64 = 3;
/// Buckets below which a ratio says nothing (compare G-6).
const BUCKETS_LEAST: usize = 20;
/// Buckets over a memory limit that hold.
const OVER_LEAST: usize = 3;

/// What a guard is judged under.
#[derive(Debug, Clone, Copy)]
pub(super) struct Under<'a> {
    pub(super) alpha: f64,
    pub(super) beta: f64,
    pub(super) guards: u32,
    pub(super) epoch: u32,
    pub(super) share: f64,
    pub(super) past: &'a [Stretch],
    /// Calls and events of the candidate in closed epochs.
    pub(super) past_calls: (u64, u64),
}

impl Guard {
    pub(super) fn judged(&self, counts: &Counts, under: &Under<'_>) -> GuardEvidence {
        let harm_at = harm_threshold(under.alpha, under.guards, under.epoch);
        let safety_at = 1.0 / under.beta;
        let (harm, safety, over) = match self.kind {
            Kind::Events { tolerate } => {
                let now = Stretch {
                    candidate: counts.candidate,
                    primary: counts.primary,
                    share: under.share,
                };
                // At a share of 0 or 1 the side of an event says nothing.
                let fair = under.share > 0.0 && under.share < 1.0;
                let all: Vec<Stretch> =
                    under.past.iter().copied().chain(fair.then_some(now)).collect();
                let harm = if fair { evidence(&[now], HARM, tolerate) } else { 1.0 };
                (harm, evidence(&all, SAFETY, tolerate), false)
            }
            Kind::Budget { most } => {
                let calls = under.past_calls.0 + counts.calls;
                let events = under.past_calls.1 + counts.candidate;
                let harm = budget_harm(counts.candidate, counts.calls, most);
                (harm, budget_evidence(events, calls, most), false)
            }
            Kind::Ratio { tolerate } => (
                self.ratio(counts, tolerate, 1.0 / harm_at, Direction::Above, harm_at),
                self.ratio(counts, tolerate, under.beta, Direction::Below, safety_at),
                false,
            ),
            Kind::Memory { most } => {
                let last = counts.memory.iter().rev().take(OVER_LEAST);
                let over =
                    counts.memory.len() >= OVER_LEAST && last.clone().all(|used| *used > most);
                let reading = !counts.memory.is_empty();
                (1.0, if reading && !over { safety_at } else { 1.0 }, over)
            }
        };
        let enough = matches!(self.kind, Kind::Ratio { .. }) || counts.candidate >= EVENTS_LEAST;
        GuardEvidence {
            name: self.name.clone(),
            candidate: counts.candidate,
            primary: counts.primary,
            harm,
            harm_at,
            harmful: enough && harm >= harm_at,
            safety,
            safety_at,
            safe: safety >= safety_at,
            over,
        }
    }

    /// The threshold where the interval of the mean lies wholly on one side of the tolerated
    /// ratio, 1 where it does not: a sequence of intervals has no evidence of its own.
    fn ratio(
        &self,
        counts: &Counts,
        tolerate: f64,
        alpha: f64,
        direction: Direction,
        reached: f64,
    ) -> f64 {
        if counts.logs.len() < BUCKETS_LEAST {
            return 1.0;
        }
        let Some((_, low, high)) = sequence::interval(&counts.logs, alpha) else { return 1.0 };
        let beyond = match direction {
            Direction::Above => low > tolerate.ln(),
            Direction::Below => high < tolerate.ln(),
        };
        if beyond { reached } else { 1.0 }
    }
}

#[derive(Debug, Clone, Copy)]
enum Direction {
    Above,
    Below,
}

/// The bet of E-4 turned around: that events come more often than the budget.
fn budget_harm(events: u64, calls: u64, budget: f64) -> f64 {
    let quiet = calls.saturating_sub(events) as f64;
    let ratios: Vec<f64> = HARM.ratios().filter(|ratio| ratio * budget < 1.0).collect();
    if ratios.is_empty() {
        return 1.0;
    }
    let logs = ratios.iter().map(|ratio| {
        events as f64 * ratio.ln() + quiet * ((-budget * ratio).ln_1p() - (-budget).ln_1p())
    });
    crate::stats::evidence::mixture(logs)
}
