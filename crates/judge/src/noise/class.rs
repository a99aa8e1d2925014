//! The class of a path, from its counters (compare §3).

use std::fmt;

use super::{RowCounts, Source};
use crate::stats::evidence::{SAFETY, Stretch, evidence, rate_bound};

/// What is known about a path, in the order in which it is decided.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The candidate differs in every call, the twin in none.
    DifferentAlways,
    /// The candidate differs more often than a second primary would.
    Worse,
    /// The primary differs from its twin in most calls: only shapes are compared.
    Masked,
    /// No difference, and few enough can have been missed.
    Identical,
    /// Differences, and the candidate has no more of them than a second primary.
    NoisyEqual,
    /// Not enough calls yet.
    Unknown,
}

impl Class {
    /// Whether it speaks against the candidate (compare V-2).
    pub fn is_worse(self) -> bool {
        matches!(self, Class::DifferentAlways | Class::Worse)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Class::DifferentAlways => "different-always",
            Class::Worse => "worse",
            Class::Masked => "masked",
            Class::Identical => "identical",
            Class::NoisyEqual => "noisy-equal",
            Class::Unknown => "unknown",
        })
    }
}

/// What is tolerated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// The chance, over all paths of a method and all looks, to accuse an equal candidate.
    pub alpha: f64,
    /// The rate of extra differences that is as good as none.
    pub extra_most: f64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { alpha: 0.01, extra_most: 0.001 }
    }
}

impl Settings {
    /// The evidence from which on one of `rows` paths is worse: m/α.
    pub fn worse_at(&self, rows: usize) -> f64 {
        rows as f64 / self.alpha
    }
}

/// Evidence that suffices to call a noisy path equal, and the ratio that it speaks against.
pub(super) const EQUAL_AT: f64 = 20.0;
pub(super) const EQUAL_RATIO: f64 = 1.5;

pub(super) fn of(counts: &RowCounts, calls: u64, source: Source, settings: &Settings) -> Class {
    let quiet = counts.twin_only == 0 && counts.both == 0;
    if source == Source::Rules {
        // Nothing tells a wrong answer from noise.
        let proven = counts.candidate_only == 0 && rate_bound(0, calls) <= settings.extra_most;
        return if proven { Class::Identical } else { Class::Unknown };
    }
    if counts.worse_since.is_some() {
        let always = quiet && counts.candidate_only == calls;
        return if always { Class::DifferentAlways } else { Class::Worse };
    }
    if counts.masked_since.is_some() {
        return Class::Masked;
    }
    let bound = rate_bound(counts.candidate_only, calls);
    if quiet && counts.candidate_only == 0 {
        return if bound <= settings.extra_most { Class::Identical } else { Class::Unknown };
    }
    let equal = || {
        let stretch =
            Stretch { candidate: counts.candidate_only, primary: counts.twin_only, share: 0.5 };
        evidence(&[stretch], SAFETY, EQUAL_RATIO) >= EQUAL_AT
    };
    if !quiet && (bound <= settings.extra_most || equal()) {
        return Class::NoisyEqual;
    }
    Class::Unknown
}
