//! What is known of a method's pairs, as those read it who show it.
//!
//! A copy of the moment, made while nobody on the path waits: numbers, classes and texts, no
//! bytes of calls. Samples are there only where the team asked for them.
//!
//! Not here: how it is counted (`pairs`), how it is drawn or printed.

use std::collections::BTreeMap;
use std::time::SystemTime;

use tandem_judge::noise::{Line, PathEvidence, Proposal, Sample, Source};
use tandem_judge::pair::{Abandoned, Loss};
use tandem_judge::stats::counts::Counts;

/// The pairs of one method since the evidence last began.
#[derive(Debug, Clone)]
pub struct MethodPairs {
    pub namespace: String,
    /// `package.Service/Method`.
    pub method: String,
    /// The upstream that answers the callers.
    pub primary: String,
    /// The upstream that the copies go to.
    pub candidate: String,
    /// The second instance of the primary's build; `None` where the team named none.
    pub twin: Option<String>,
    /// Where the knowledge of noise comes from.
    pub source: Source,
    /// When the evidence began: with a change of the contract, a rule or a side it begins anew.
    pub since: SystemTime,
    /// Pairs a second over the last half minute; `None` in the first second.
    pub per_second: Option<f64>,
    /// Of every draw: which side is sent first, which samples are kept.
    pub seed: u64,
    /// Answers are kept for this method, so only calls that missed the cache were copied.
    pub sampled_after_cache: bool,
    /// Pairs that were compared.
    pub calls: u64,
    /// Differences in critical fields that are no noise.
    pub critical: u64,
    /// Paths that are tested.
    pub rows: usize,
    /// The evidence about each of them, in the order of the contract.
    pub paths: Vec<PathEvidence>,
    /// Every difference of the candidate from the first one on, by where it is: finer than the
    /// paths that are tested.
    pub differences: Vec<(String, Line)>,
    /// A few differences with their values; empty unless `mirror.samples` is true.
    pub samples: Vec<Sample>,
    /// By tested path: the rule that would take its noise away.
    pub proposals: BTreeMap<String, Proposal>,
    /// Copies without an answer, by reason: of the candidate and of the twin.
    pub lost: BTreeMap<Loss, (u64, u64)>,
    /// Copies that were never sent, by reason.
    pub dropped: BTreeMap<Abandoned, u64>,
    pub lanes: Lanes,
}

/// What each side made of the calls that were paired.
#[derive(Debug, Clone, Default)]
pub struct Lanes {
    pub primary: Lane,
    pub candidate: Lane,
    /// Of the twin, or of the primary where that is asked twice.
    pub twin: Option<Lane>,
}

/// One side.
#[derive(Debug, Clone, Default)]
pub struct Lane {
    pub upstream: String,
    /// Calls that it was asked.
    pub calls: u64,
    /// Those with another code than OK, and those that were lost.
    pub errors: u64,
    /// How long its answers took, in microseconds, rounded to about 1 %. The candidate's and the
    /// twin's run from the same instant; the primary's are as the callers had them.
    pub latency_us: Counts,
}
