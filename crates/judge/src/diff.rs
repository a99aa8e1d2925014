//! Two answers → their differences by field path.
//!
//! Works on the wire bytes, level by level, by the plans of the contract: never on JSON text.
//! Presence, oneofs, unknown fields, maps, well-known types and numbers are compared by what they
//! mean (compare J-1 to J-9); rules declare what differs lawfully ([`Rules`]). Equal bytes are
//! equal at once, so a pair costs nothing where it agrees.
//!
//! A pair ends: levels are counted, and so are the values read and compared. What lies beyond is
//! *different*, on the path `<cost>`: a candidate that answers absurdly must not hide by it
//! (compare N-6). Nothing panics, whatever the bytes are. Swapping the sides swaps the
//! differences and changes nothing else.
//!
//! Not here: whether a difference means anything (`noise`).

mod canonical;
mod list;
mod modes;
mod path;
mod rank;
mod rows;
mod rules;
mod sample;
mod scalar;
mod status;
mod walk;
mod well_known;

use std::collections::BTreeMap;
use std::sync::Arc;

use tandem_contract::MessageId;
use tandem_transcode::Plans;

pub use self::modes::{ListModes, ModeEvidence};
pub use self::path::{Path, Step};
pub use self::rows::{RowId, Rows};
pub use self::rules::{Order, Rank, Rule, RuleFault, Rules, Tolerance};

use self::walk::Walk;
use crate::pair::Answer;

/// What one comparison may spend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Messages inside each other.
    pub depth: u32,
    /// `Any` inside `Any`.
    pub any_depth: u32,
    /// Values read and compared.
    pub comparisons: u32,
    /// Differences written out; the rest is counted.
    pub listed: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { depth: 100, any_depth: 32, comparisons: 200_000, listed: 256 }
    }
}

/// Compares the answers of one method.
#[derive(Debug)]
pub struct Differ {
    plans: Arc<Plans>,
    message: MessageId,
    rules: Rules,
    rows: Rows,
    limits: Limits,
}

impl Differ {
    /// For answers of type `message`.
    ///
    /// # Errors
    /// All rules that name no field, or ask of a field what its type cannot have.
    pub fn new(
        plans: Arc<Plans>,
        message: MessageId,
        rules: Rules,
    ) -> Result<Differ, Vec<RuleFault>> {
        let faults = rules.faults(plans.contract(), message);
        if !faults.is_empty() {
            return Err(faults);
        }
        let rows = Rows::new(plans.contract(), message, rules.trailers());
        Ok(Differ { plans, message, rules, rows, limits: Limits::default() })
    }

    /// The same with other bounds.
    pub fn with_limits(self, limits: Limits) -> Differ {
        Differ { limits, ..self }
    }

    /// The paths that are tested, frozen with the rules (compare N-3).
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// Whether `rules` could hold for these answers.
    pub(crate) fn takes(&self, rules: &Rules) -> bool {
        rules.faults(self.plans.contract(), self.message).is_empty()
    }

    /// Whether it is declared how the elements of the list at `path` find each other, or that they
    /// are not compared.
    pub(crate) fn settles_order(&self, path: &str) -> bool {
        self.rules.settles_order(path)
    }

    /// The differences between the primary's answer and another one.
    pub fn compare(&self, primary: &Answer<'_>, other: &Answer<'_>) -> Diff {
        let mut walk = Walk::new(self);
        walk.answers(primary, other);
        walk.diff
    }

    /// As [`Differ::compare`], of two messages alone.
    pub fn compare_messages(&self, primary: &[u8], other: &[u8]) -> Diff {
        self.compare(&Answer::ok(&[primary]), &Answer::ok(&[other]))
    }
}

/// What two answers differ in.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Diff {
    /// Every row in which they differ.
    pub rows: BTreeMap<RowId, RowDiff>,
    /// The first differences in full, in the order of the walk.
    pub listed: Vec<Difference>,
    /// How many more there are.
    pub more: u64,
    /// Whether messages were compared: not where one side failed and the other did not.
    pub fields_compared: bool,
    /// The caller left early, so only what both sides had sent was compared.
    pub cut: bool,
    /// Values of both sides that are to be verified by the other side (`cross_verified`).
    pub to_verify: Vec<CrossCheck>,
}

impl Diff {
    /// Whether there is no difference.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Whether they differ in a field that must never differ (compare J-12).
    pub fn is_critical(&self) -> bool {
        self.rows.values().any(|row| row.critical > 0)
    }
}

/// How often and in what way one row differs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RowDiff {
    pub differences: u64,
    /// Those of presence, type and shape; the rest are values.
    pub shapes: u64,
    /// Those in critical fields.
    pub critical: u64,
}

/// One difference.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Where it is tested.
    pub row: RowId,
    /// Where it is.
    pub path: Path,
    pub what: What,
    pub critical: bool,
    /// As text, cut; `None` for what is not there.
    pub primary: Option<String>,
    pub other: Option<String>,
}

/// The way in which two values differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum What {
    Value,
    /// Set on one side only.
    Presence,
    /// Another member of the oneof.
    Case,
    /// Another type: of an `Any`, of a `Value`.
    Type,
    /// More or fewer elements, entries or messages.
    Length,
    /// The same elements in an order that means something else.
    Order,
    /// A field that the contract does not know.
    Unknown,
    /// Bytes that are no such message on one side.
    Unreadable,
    /// The status code.
    Code,
    /// The details of an error.
    Details,
    Trailer,
    /// A bound of the comparison was reached.
    Cost,
}

impl What {
    /// Whether it is visible without the values (compare §3, class `masked`).
    pub fn is_shape(self) -> bool {
        self != What::Value
    }
}

/// Two values that only the other side can judge: signatures, ciphertexts (compare J-11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrossCheck {
    pub path: Path,
    pub primary: Vec<u8>,
    pub other: Vec<u8>,
}
