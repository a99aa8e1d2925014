//! Evidence and the current step → the next step, and why.
//!
//! [`next`] is a function of the plan, the stored record and what was observed; it acts on
//! nothing. Whoever calls it writes the new record with one compare-and-set, so any gateway may
//! compute it, and a stored observation gives every transition again, bit for bit (compare O-2).
//!
//! The share rises only on evidence: for every guard a running proof that the candidate is not
//! worse than is tolerated, over calls that it served. It falls at once: on harm that a fresh test
//! of this epoch has proven, or on a hard trip, which needs no statistics. What is missing is
//! never a pass.
//!
//! Not here: writing the step, draining, sticky keys (`gateway`), reading counters (`measure`).

mod estimate;
mod guard;
mod plan;
mod share;
mod step;

pub use self::estimate::{Estimate, Rates, estimate};
pub use self::guard::{Counts, Guard, GuardEvidence, Kind};
pub use self::plan::{OnHarm, Plan, PlanFault};
pub use self::share::{Share, key_is_moved};
pub use self::step::next;

use crate::stats::evidence::Stretch;

/// Where a rollout is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    Draft,
    /// The primary serves; primary and twin are compared.
    Learning,
    /// The candidate gets copies.
    Mirroring,
    /// Waits for approval, or for the window.
    Ready,
    /// The candidate serves the share of step `.0`.
    Stepping(usize),
    /// As that step, until the next one is approved.
    Awaiting(usize),
    Held(Hold),
    RollingBack,
    /// The candidate serves everything; the old primary stays warm.
    Baking,
    Done,
    RolledBack,
    Cancelled,
    Blocked(Block),
}

/// Why a share is frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hold {
    /// The evidence did not come in time.
    NoEvidence,
    /// Readings that a guard needs are missing.
    Readings,
    /// Without one endpoint there is no harm.
    BadEndpoint,
    BuildChanged,
    /// A limit on memory was passed three times.
    Memory,
    /// Harm, where the plan says to hold.
    Harm,
    LeaseLost,
    TooManyKeys,
    Operator,
}

/// Why a rollout cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Block {
    NoiseTooHigh,
    AnswersWorse,
    CriticalDifference,
}

impl State {
    /// Whether nothing follows but a new rollout.
    pub fn is_final(self) -> bool {
        matches!(self, State::Done | State::RolledBack | State::Cancelled | State::Blocked(_))
    }
}

/// What is stored: all that the next step follows from, but for what is observed.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    pub state: State,
    /// The share that is served, in per mille.
    pub share: Share,
    /// The step that the share belongs to; kept while held.
    pub step: usize,
    /// From 1, counted over the rollout; 0 before any share is served. A change of share, a
    /// resumption and six hours at one share begin a new one (compare E-5).
    pub epoch: u32,
    /// Seconds, by the clock of the store.
    pub started_s: u64,
    /// Since when evidence is waited for: the start, or the last resumption.
    pub waiting_since_s: u64,
    pub step_since_s: u64,
    pub epoch_since_s: u64,
    /// Closed stretches by guard: what safety rests on besides the current epoch.
    pub past: Vec<Vec<Stretch>>,
    /// Calls and events of the candidate in closed epochs, by guard, for budgets.
    pub past_calls: Vec<(u64, u64)>,
    /// Calls of the candidate in closed epochs of this step.
    pub step_calls: u64,
}

impl Record {
    /// A rollout that was created at `now_s`.
    pub fn new(plan: &Plan, now_s: u64) -> Record {
        Record {
            state: State::Draft,
            share: Share::NONE,
            step: 0,
            epoch: 0,
            started_s: now_s,
            waiting_since_s: now_s,
            step_since_s: now_s,
            epoch_since_s: now_s,
            past: vec![Vec::new(); plan.guards.len()],
            past_calls: vec![(0, 0); plan.guards.len()],
            step_calls: 0,
        }
    }
}

/// What somebody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    Start,
    Approve,
    Hold,
    Resume,
    Abort,
}

/// A reason to leave at once (compare G-9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trip {
    NoHealthyEndpoint,
    /// A restart, or the end by lack of memory.
    CandidateRestarted,
    /// Of at least twenty calls in a second more than half failed.
    MostCallsFailed,
    LeaseLost,
}

/// What is known at one moment. Sums over all gateways, of the current epoch where nothing else
/// is said.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    pub now_s: u64,
    pub command: Option<Command>,
    pub targets_healthy: bool,
    pub contracts_equal: bool,
    /// Fields' noise, thresholds and idle cost are known.
    pub learned: bool,
    pub noise_too_high: bool,
    /// No path is worse, and of each the evidence suffices.
    pub answers_equal: bool,
    pub answers_worse: bool,
    pub critical: u64,
    /// By guard, in the order of the plan.
    pub guards: Vec<Counts>,
    /// The same without the candidate's worst endpoint, where it has more than one (E-10).
    pub without_worst_endpoint: Option<Vec<Counts>>,
    /// Calls that the candidate served.
    pub calls: u64,
    pub readings_missing: bool,
    pub build_changed: bool,
    pub too_many_keys: bool,
    pub window_open: bool,
    /// No call of the candidate is open any more.
    pub drained: bool,
    pub trip: Option<Trip>,
}

impl Observed {
    /// Nothing has happened, and nothing is wrong.
    pub fn quiet(plan: &Plan, now_s: u64) -> Observed {
        Observed {
            now_s,
            command: None,
            targets_healthy: true,
            contracts_equal: true,
            learned: false,
            noise_too_high: false,
            answers_equal: false,
            answers_worse: false,
            critical: 0,
            guards: vec![Counts::default(); plan.guards.len()],
            without_worst_endpoint: None,
            calls: 0,
            readings_missing: false,
            build_changed: false,
            too_many_keys: false,
            window_open: true,
            drained: false,
            trip: None,
        }
    }
}

/// A step that is to be written, with what it rests on.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    pub from: State,
    pub to: State,
    pub share: Share,
    pub epoch: u32,
    pub at_s: u64,
    /// A sentence for people.
    pub why: String,
    pub evidence: Vec<GuardEvidence>,
}
