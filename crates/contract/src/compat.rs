//! What changed between two contracts, and whether callers break (protocols ).
//!
//! A change breaks when `buf breaking` says so in its category WIRE_JSON, by the same rules under
//! the same names, or when a call that the old contract took is no longer taken or goes elsewhere:
//! services, methods, HTTP rules and query fields, which buf does not look at. Everything else that
//! changed is named too, as compatible.
//!
//! Three deliberate differences: a field that editions make required counts as required in every
//! rule (buf looks at the label alone); both contracts are compared as they are served, so what
//! was left out for a fault is not there; and types of `google.protobuf` are not compared, for they
//! come with each side's compiler.
//!
//! The comparison is linear in both contracts but for query fields, whose walk has a budget;
//! the list it makes is bounded.
//!
//! Not here: where contracts come from, swapping them (`tandem-gateway`).

mod default;
mod follow;
mod methods;
mod query;
mod types;

use std::collections::BTreeMap;

pub use self::follow::{Decision, Follow, follow, unlike_services};
use crate::fields;
use crate::types::Contract;

/// Changes that are kept, of those that break and of those that do not; the rest is a number.
const CHANGES_MOST: usize = 5_000;

/// What a change means for those who call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    /// Bytes or JSON of one side are misread by the other: a rule of `buf breaking`.
    WireJson,
    /// A call is no longer taken, or goes elsewhere.
    Calls,
    /// Nobody who keeps to the old contract notices, or is promised otherwise.
    Compatible,
}

impl Category {
    /// `wire_json`, `calls` or `compatible`, as `--json` says it.
    pub fn name(self) -> &'static str {
        match self {
            Category::WireJson => "wire_json",
            Category::Calls => "calls",
            Category::Compatible => "compatible",
        }
    }
}

/// One difference between two contracts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    pub category: Category,
    /// Name of the .proto file, of the new contract where it is in it.
    pub file: String,
    /// Full name of the method, message, field or enum; empty for a whole file.
    pub symbol: String,
    /// `FIELD_SAME_NAME`: in `WireJson` buf's name of the rule, else one of ours.
    pub rule: &'static str,
    /// What changed, in one sentence.
    pub what: String,
    /// What callers notice.
    pub notice: String,
}

impl Change {
    /// Whether callers of the old contract may break.
    pub fn breaks(&self) -> bool {
        self.category != Category::Compatible
    }
}

/// Everything that differs: what breaks first, then by file and symbol. Empty for contracts that
/// mean the same.
pub fn changes(old: &Contract, new: &Contract) -> Vec<Change> {
    let mut report = Report::default();
    packages(old, new, &mut report);
    types::compare(old, new, &mut report);
    methods::compare(old, new, &mut report);
    report.all()
}

/// Those of [`changes`] that break; a contract may follow another by itself when there are none.
pub fn breaking_changes(old: &Contract, new: &Contract) -> Vec<Change> {
    let mut changes = changes(old, new);
    changes.retain(Change::breaks);
    changes
}

/// `FILE_SAME_PACKAGE`: the full names of everything in a file change with its package.
fn packages(old: &Contract, new: &Contract, report: &mut Report) {
    let packages = |contract: &Contract| -> BTreeMap<String, String> {
        let package = |file: &[u8]| fields::first_text(file, 2).unwrap_or_default();
        contract.files().map(|(name, file)| (name.to_owned(), package(file))).collect()
    };
    let now = packages(new);
    for (file, before) in packages(old) {
        if let Some(package) = now.get(&file).filter(|package| **package != before) {
            report.breaks_wire_json(
                At { file: &file, symbol: "" },
                "FILE_SAME_PACKAGE",
                format!("the package changed from `{before}` to `{package}`"),
                "every path, and every type name in JSON, is another one",
            );
        }
    }
}

/// Where a change stands.
#[derive(Clone, Copy)]
struct At<'a> {
    file: &'a str,
    symbol: &'a str,
}

/// Collects changes, as many as may be.
#[derive(Default)]
struct Report {
    breaking: Vec<Change>,
    compatible: Vec<Change>,
    more_breaking: usize,
    more_compatible: usize,
}

impl Report {
    fn breaks_wire_json(&mut self, at: At<'_>, rule: &'static str, what: String, notice: &str) {
        self.add(Category::WireJson, at, rule, what, notice);
    }

    fn breaks_calls(&mut self, at: At<'_>, rule: &'static str, what: String, notice: &str) {
        self.add(Category::Calls, at, rule, what, notice);
    }

    fn compatible(&mut self, at: At<'_>, rule: &'static str, what: String, notice: &str) {
        self.add(Category::Compatible, at, rule, what, notice);
    }

    fn add(
        &mut self,
        category: Category,
        at: At<'_>,
        rule: &'static str,
        what: String,
        notice: &str,
    ) {
        let (kept, more) = match category {
            Category::WireJson | Category::Calls => (&mut self.breaking, &mut self.more_breaking),
            Category::Compatible => (&mut self.compatible, &mut self.more_compatible),
        };
        if kept.len() == CHANGES_MOST {
            *more += 1;
            return;
        }
        kept.push(Change {
            category,
            file: at.file.to_owned(),
            symbol: at.symbol.to_owned(),
            rule,
            what,
            notice: notice.to_owned(),
        });
    }

    fn all(mut self) -> Vec<Change> {
        let by_place = |one: &Change, other: &Change| {
            (&one.file, &one.symbol, one.category, one.rule, &one.what).cmp(&(
                &other.file,
                &other.symbol,
                other.category,
                other.rule,
                &other.what,
            ))
        };
        for (kept, more, category) in [
            (&mut self.breaking, self.more_breaking, Category::Calls),
            (&mut self.compatible, self.more_compatible, Category::Compatible),
        ] {
            kept.sort_by(by_place);
            if more > 0 {
                kept.push(Change {
                    category,
                    file: String::new(),
                    symbol: String::new(),
                    rule: "MORE",
                    what: format!("{more} further changes"),
                    notice: "the contracts have little in common".into(),
                });
            }
        }
        self.breaking.append(&mut self.compatible);
        self.breaking
    }
}
