//! Which differences mean nothing, learned from a second primary.
//!
//! Each mirrored call goes to the candidate and to a twin, an instance of the primary's build, at
//! the same instant. If the candidate is as good as a second primary, each of the two is equally
//! likely to be the one that differs, however noisy a path is. So only the calls in which exactly
//! one of them differs are counted, and bet on (compare N-1 to N-4). Every difference is listed
//! from the first one on; the test decides its class alone.
//!
//! A [`Ledger`] is nothing but counters: the same calls in the same order give the same classes.
//!
//! Not here: what the differences are (`diff`), what a verdict makes of the classes (`verdict`).

mod class;
mod counts;
mod left;
mod listing;
mod proposals;
mod reservoir;
mod tolerance;
mod why;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use self::class::{Class, Settings};
pub use self::counts::RowCounts;
pub use self::left::left;
pub use self::listing::{Line, Listing};
pub use self::proposals::{Proposal, Proposals};
pub use self::reservoir::{Sample, Samples};
pub use self::why::{Why, why};

use crate::diff::{Diff, Differ, RowId, Rows};
use crate::pair::{Abandoned, Loss, Reply, Trial};

/// Where the knowledge of noise comes from (compare N-9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A second instance of the primary's build, asked at the same instant.
    Twin,
    /// The primary, asked twice.
    Twice,
    /// Declared rules alone: nothing can be told from noise, so no path is ever worse, and the
    /// verdict says no more than "no difference found under these rules".
    Rules,
}

/// What one call showed about one trial side.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Compared(Diff),
    Lost(Loss),
}

/// Counters of one method, by path.
#[derive(Debug, Clone)]
pub struct Ledger {
    rows: Arc<Rows>,
    settings: Settings,
    source: Source,
    calls: u64,
    /// Calls in which the messages of all sides could be compared.
    compared: u64,
    counts: Vec<RowCounts>,
    lost: BTreeMap<Loss, (u64, u64)>,
    abandoned: BTreeMap<Abandoned, u64>,
    critical: u64,
    listing: Listing,
}

/// One line of a report about answers.
#[derive(Debug, Clone, PartialEq)]
pub struct PathEvidence {
    pub path: String,
    pub class: Class,
    /// Calls in which only the candidate differed, only the twin, and both.
    pub candidate_only: u64,
    pub twin_only: u64,
    pub both: u64,
    pub calls: u64,
    pub e_value: f64,
    /// "Extra difference rate below this, at 95 %."
    pub bound: f64,
    pub critical: u64,
}

impl Ledger {
    /// Without any call.
    pub fn new(differ: &Differ, source: Source, settings: Settings) -> Ledger {
        let rows = Arc::new(differ.rows().clone());
        Ledger {
            counts: vec![RowCounts::default(); rows.len()],
            rows,
            settings,
            source,
            calls: 0,
            compared: 0,
            lost: BTreeMap::new(),
            abandoned: BTreeMap::new(),
            critical: 0,
            listing: Listing::default(),
        }
    }

    /// Compares one mirrored call and counts it.
    pub fn observe(&mut self, differ: &Differ, trial: &Trial<'_>) -> (Outcome, Option<Outcome>) {
        let outcome = |reply: &Reply<'_>| match reply {
            Reply::Answered(answer) => Outcome::Compared(differ.compare(&trial.primary, answer)),
            Reply::Lost(loss) => Outcome::Lost(*loss),
        };
        let (candidate, twin) = (outcome(&trial.candidate), trial.twin.as_ref().map(outcome));
        self.record(&candidate, twin.as_ref());
        (candidate, twin)
    }

    /// Counts one call that was compared elsewhere.
    pub fn record(&mut self, candidate: &Outcome, twin: Option<&Outcome>) {
        // Without a twin it is as if the primary had repeated itself.
        let equal = Outcome::Compared(Diff { fields_compared: true, ..Diff::default() });
        let twin = match self.source {
            Source::Rules => &equal,
            // A call whose twin was never asked tells nothing.
            Source::Twin | Source::Twice => match twin {
                Some(twin) => twin,
                None => return,
            },
        };
        self.calls += 1;
        self.count_lost(candidate, twin);
        if let Outcome::Compared(diff) = candidate {
            self.listing.add(diff);
        }
        let fields = |outcome: &Outcome| match outcome {
            Outcome::Compared(diff) => diff.fields_compared,
            Outcome::Lost(_) => false,
        };
        let compared = fields(candidate) && fields(twin);
        self.compared += u64::from(compared);
        let threshold = self.settings.worse_at(self.rows.len());
        for place in touched(candidate, twin) {
            let row = RowId(place);
            // Where the messages of one side were not compared, nothing is known of their fields.
            if !compared && !is_around_the_message(&self.rows, row) {
                continue;
            }
            let Some(counts) = self.counts.get_mut(place as usize) else { continue };
            let (left, right) = (differs(candidate, row), differs(twin, row));
            let call = match is_around_the_message(&self.rows, row) {
                true => self.calls - counts.begun.0,
                false => self.compared - counts.begun.1,
            };
            if counts.count(left, right, threshold, call) {
                self.critical += 1;
            }
        }
    }

    /// A call that was given up before either trial answer was known.
    pub fn abandon(&mut self, reason: Abandoned) {
        *self.abandoned.entry(reason).or_default() += 1;
    }

    /// Begins anew: a build of either side or the contract has changed (compare N-5).
    pub fn restart(&mut self, differ: &Differ) {
        let abandoned = std::mem::take(&mut self.abandoned);
        *self = Ledger { abandoned, ..Ledger::new(differ, self.source, self.settings) };
    }

    /// The evidence about one path begins anew: a rule for it has changed (compare N-5).
    pub fn restart_row(&mut self, row: RowId) {
        if let Some(counts) = self.counts.get_mut(row.0 as usize) {
            *counts = RowCounts { begun: (self.calls, self.compared), ..RowCounts::default() };
        }
    }

    fn count_lost(&mut self, candidate: &Outcome, twin: &Outcome) {
        if let Outcome::Lost(loss) = candidate {
            self.lost.entry(*loss).or_default().0 += 1;
        }
        if let Outcome::Lost(loss) = twin {
            self.lost.entry(*loss).or_default().1 += 1;
        }
    }

    pub fn calls(&self) -> u64 {
        self.calls
    }

    pub fn source(&self) -> Source {
        self.source
    }

    /// By reason: copies without an answer, of the candidate and of the twin.
    pub fn lost(&self) -> &BTreeMap<Loss, (u64, u64)> {
        &self.lost
    }

    pub fn abandoned(&self) -> &BTreeMap<Abandoned, u64> {
        &self.abandoned
    }

    /// Differences in critical fields that are not noise (compare J-12).
    pub fn critical(&self) -> u64 {
        self.critical
    }

    /// Every difference of the candidate, by where it is.
    pub fn listing(&self) -> &Listing {
        &self.listing
    }

    /// The counters of one row.
    pub fn counts(&self, row: RowId) -> Option<&RowCounts> {
        self.counts.get(row.0 as usize)
    }

    /// The rows in which the candidate is worse: cheap enough to be asked after each call.
    pub fn worse(&self) -> impl Iterator<Item = RowId> {
        let worse = |(_, counts): &(u32, &RowCounts)| counts.worse_since.is_some();
        let rows = (0..).zip(&self.counts).filter(worse).map(|(row, _)| RowId(row));
        rows.filter(|_| self.source != Source::Rules)
    }

    /// The evidence about one row.
    pub fn evidence(&self, row: RowId) -> Option<PathEvidence> {
        let counts = self.counts(row)?;
        let calls = match is_around_the_message(&self.rows, row) {
            true => self.calls - counts.begun.0,
            false => self.compared - counts.begun.1,
        };
        let class = class::of(counts, calls, self.source, &self.settings);
        Some(PathEvidence {
            path: self.rows.name(row).to_owned(),
            class,
            candidate_only: counts.candidate_only,
            twin_only: counts.twin_only,
            both: counts.both,
            calls,
            e_value: counts.evidence(),
            bound: crate::stats::evidence::rate_bound(counts.candidate_only, calls),
            critical: counts.critical,
        })
    }

    /// The evidence about all rows, in the order of the contract.
    pub fn paths(&self) -> Vec<PathEvidence> {
        (0..self.counts.len() as u32).filter_map(|row| self.evidence(RowId(row))).collect()
    }
}

/// The rows in which either side differs.
fn touched(candidate: &Outcome, twin: &Outcome) -> Vec<u32> {
    let rows = |outcome: &Outcome| -> Vec<u32> {
        match outcome {
            Outcome::Compared(diff) => diff.rows.keys().map(|row| row.0).collect(),
            Outcome::Lost(_) => vec![Rows::CODE.0],
        }
    };
    let mut touched = rows(candidate);
    touched.extend(rows(twin));
    touched.sort_unstable();
    touched.dedup();
    touched
}

/// Whether a row is compared in every call: status, trailers and the bounds of the comparison.
fn is_around_the_message(rows: &Rows, row: RowId) -> bool {
    row != Rows::MESSAGE && rows.name(row).starts_with('<')
}

/// How one side differs from the primary in one row.
fn differs(outcome: &Outcome, row: RowId) -> counts::Seen {
    match outcome {
        Outcome::Compared(diff) => {
            diff.rows.get(&row).map_or_else(Default::default, |found| counts::Seen {
                any: found.differences > 0,
                shape: found.shapes > 0,
                critical: found.critical > 0,
            })
        }
        // No answer at all differs in what every answer has: its status.
        Outcome::Lost(_) => {
            counts::Seen { any: row == Rows::CODE, shape: row == Rows::CODE, critical: false }
        }
    }
}
