//! What a rollout was told to do.

use std::fmt;

use super::guard::{Guard, Kind};
use super::share::Share;

/// A plan, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Rising; the last one is everything.
    pub shares: Vec<Share>,
    /// Seconds, and calls of the candidate, in each step at least.
    pub dwell_s: u64,
    pub calls_least: u64,
    /// Shares that somebody has to approve.
    pub approve: Vec<Share>,
    pub bake_s: u64,
    /// Seconds after which a step without evidence is held.
    pub max_s: u64,
    pub guards: Vec<Guard>,
    /// Chance, over the whole rollout, to roll back an equal candidate.
    pub alpha: f64,
    /// Chance, a guard, to let a harmful one pass.
    pub beta: f64,
    pub on_harm: OnHarm,
}

/// What proven harm leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnHarm {
    #[default]
    RollBack,
    Hold,
}

/// Why a plan cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanFault {
    pub path: String,
    pub what: String,
}

impl fmt::Display for PlanFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.path, self.what)
    }
}

impl std::error::Error for PlanFault {}

impl Plan {
    /// Everything that is wrong with it.
    pub fn faults(&self) -> Vec<PlanFault> {
        let mut faults = Vec::new();
        let mut fault = |path: &str, what: &str| {
            faults.push(PlanFault { path: path.to_owned(), what: what.to_owned() });
        };
        if !self.shares.windows(2).all(|pair| pair[0] < pair[1]) {
            fault("steps.shares", "each share is larger than the one before");
        }
        if self.shares.last() != Some(&Share::ALL) {
            fault("steps.shares", "the last share is 100%");
        }
        // Copies alone never complete a rollout: a candidate can tell them from calls.
        let served = self.shares.first().is_some_and(|share| *share < Share::ALL);
        if !served || self.shares.contains(&Share::NONE) {
            fault("steps.shares", "the first share lies between 0% and 100%");
        }
        if !self.approve.iter().all(|share| self.shares.contains(share)) {
            fault("steps.approve", "only a share of the plan can be approved");
        }
        for (path, chance) in [("decide.alpha", self.alpha), ("decide.beta", self.beta)] {
            if !(chance > 0.0 && chance < 1.0) {
                fault(path, "a chance lies between 0 and 1");
            }
        }
        if self.guards.is_empty() {
            fault("guards", "without a guard nothing can be shown");
        }
        for (place, guard) in self.guards.iter().enumerate() {
            let fine = match guard.kind {
                Kind::Events { tolerate } | Kind::Ratio { tolerate } => {
                    tolerate > 1.0 && tolerate.is_finite()
                }
                Kind::Budget { most } => most > 0.0 && most < 1.0,
                Kind::Memory { most } => most > 0,
            };
            if !fine {
                fault(
                    &format!("guards[{place}]"),
                    "it tolerates more than 1 time the primary, or a part between 0 and 1",
                );
            }
        }
        faults
    }
}
