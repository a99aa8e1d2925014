//! Evidence → better, same, worse or unknown → one word.
//!
//! The order is fixed (compare V-1): is the measurement valid, do the answers agree, do the
//! must-haves hold, then the rows of the table, then the word. There is no score: a side wins if
//! it is better somewhere and worse and unknown nowhere, and everything else is said as it is.
//!
//! Not here: units and layout (`report`), the next step of a rollout (`rollout`).

mod baseline;
mod cell;
mod exit;
mod must;
mod sentence;

use std::fmt;

pub use self::baseline::{Regression, regressions};
pub use self::cell::{Cell, CellInput, Row, Settling, cells};
pub use self::exit::{Ending, Stopped, exit_code};
pub use self::must::{Fact, Must, MustFault, MustResult, Value};
pub(crate) use self::sentence::label as row_label;
pub use self::sentence::sentence;

use crate::noise::PathEvidence;

/// The verdict of a comparison.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// The primary dominates.
    Primary,
    /// The candidate dominates.
    Candidate,
    /// Every counting row is the same.
    NoDifference,
    /// Each side is better somewhere.
    TradeOff,
    NotEnoughEvidence,
    /// The sides do not do the same work, so their costs are not compared.
    AnswersDiffer,
    /// The measurement cannot be believed.
    Invalid,
    /// Neither side, or neither alone, keeps its must-haves.
    MustFailed,
}

impl fmt::Display for Word {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Word::Primary => "primary",
            Word::Candidate => "candidate",
            Word::NoDifference => "no-difference",
            Word::TradeOff => "trade-off",
            Word::NotEnoughEvidence => "not-enough-evidence",
            Word::AnswersDiffer => "answers-differ",
            Word::Invalid => "invalid",
            Word::MustFailed => "must-failed",
        })
    }
}

/// All that the word follows from.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// Why the measurement cannot be believed.
    pub invalid: &'a [String],
    pub answers: &'a [PathEvidence],
    /// Differences in critical fields that are not noise.
    pub critical: u64,
    /// Of the primary and of the candidate.
    pub must: (&'a [MustResult], &'a [MustResult]),
    pub rows: &'a [Row],
}

/// The word, and the rows that it rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub word: Word,
    /// Names of the counting rows in which each side is better.
    pub primary_better: Vec<String>,
    pub candidate_better: Vec<String>,
    pub unknown: Vec<String>,
    /// Paths that differ.
    pub differing: Vec<String>,
    /// Must-haves that failed, by side: "primary: p99<=20ms".
    pub failed: Vec<String>,
    pub invalid: Vec<String>,
}

/// Draws the verdict.
pub fn verdict(evidence: &Evidence<'_>) -> Verdict {
    let Evidence { invalid, answers, critical, must, rows } = *evidence;
    let named = |cell: Cell| -> Vec<String> {
        let found = rows.iter().filter(|row| row.counts && row.cell == cell);
        found.map(|row| row.id.clone()).collect()
    };
    let failed = |side: &str, results: &[MustResult]| -> Vec<String> {
        let found = results.iter().filter(|result| result.value == Value::Fail);
        found.map(|result| format!("{side}: {}", result.text)).collect()
    };
    let mut differing: Vec<String> = answers
        .iter()
        .filter(|path| path.class.is_worse() || path.critical > 0)
        .map(|path| path.path.clone())
        .collect();
    if critical > 0 && differing.is_empty() {
        differing.push("critical".to_owned());
    }
    let (primary_failed, candidate_failed) =
        (failed("primary", must.0), failed("candidate", must.1));
    let (primary_better, candidate_better) = (named(Cell::Worse), named(Cell::Better));
    let (unknown, same) = (named(Cell::Unknown), named(Cell::Same));
    let word = if !invalid.is_empty() {
        Word::Invalid
    } else if !differing.is_empty() {
        Word::AnswersDiffer
    } else {
        // A side that fails a must-have is out, whatever else it is.
        match (primary_failed.is_empty(), candidate_failed.is_empty()) {
            (false, false) => Word::MustFailed,
            (false, true) => Word::Candidate,
            (true, false) => Word::Primary,
            (true, true) => {
                match (primary_better.is_empty(), candidate_better.is_empty(), unknown.is_empty()) {
                    (false, false, _) => Word::TradeOff,
                    (false, true, true) => Word::Primary,
                    (true, false, true) => Word::Candidate,
                    (true, true, true) if !same.is_empty() => Word::NoDifference,
                    _ => Word::NotEnoughEvidence,
                }
            }
        }
    };
    Verdict {
        word,
        primary_better,
        candidate_better,
        unknown,
        differing,
        failed: [primary_failed, candidate_failed].concat(),
        invalid: invalid.to_vec(),
    }
}
