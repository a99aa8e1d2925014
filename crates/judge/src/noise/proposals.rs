//! Rules that would make noise of a method none, proposed from what a primary and its twin have
//! sent (compare J-5, J-6, N-8).
//!
//! Nothing proposed here changes a comparison. It is shown beside its path and becomes a rule by
//! somebody's act; evidence about the path begins anew with it.
//!
//! What is held is bounded, whatever is sent: a few texts and the largest distances of each row,
//! counts of lists. The texts are shown to nobody, only the guess is; values of `debug_redact`
//! fields are gone before they come here.

use std::collections::{BTreeMap, VecDeque};

use super::tolerance::Distances;
use super::{Why, why};
use crate::diff::{Diff, Differ, ModeEvidence, Order, RowId, Rules, Tolerance};
use crate::pair::Answer;

/// Pairs of texts that are held of one path: the latest.
const TEXTS_MOST: usize = 8;
/// Longer ones are no id, no time and no address.
const TEXT_BYTES_MOST: usize = 256;
/// Pairs whose lists are read, and those in which the twin differed: an order that is noise shows
/// in the latter alone.
const LISTS_MOST: u64 = 1_000;
const DIFFERING_LISTS_MOST: u64 = 10_000;

/// A rule for one path.
#[derive(Debug, Clone, PartialEq)]
pub enum Proposal {
    /// Not to be compared: what its values look like.
    Ignore(Why),
    /// Floats that lie near each other.
    Tolerance(f64),
    /// A list whose order means nothing.
    Unordered,
    /// A list whose elements find each other by this field.
    Keyed(Box<str>),
}

impl Proposal {
    /// The word of the rule, as `same` and the files of `tandem compare` have it.
    fn word(&self) -> &'static str {
        match self {
            Proposal::Ignore(_) => "ignore",
            Proposal::Tolerance(_) => "tolerance",
            Proposal::Unordered => "unordered",
            Proposal::Keyed(_) => "keyed",
        }
    }

    /// Why it is proposed.
    pub fn why(&self) -> String {
        match self {
            Proposal::Ignore(why) => why.text().to_owned(),
            Proposal::Tolerance(_) => {
                "twice what 99.9 % of the twin's values lie apart from the primary's".to_owned()
            }
            Proposal::Unordered => "the twin sends the same elements in another order".to_owned(),
            Proposal::Keyed(key) => format!("each element has its own `{key}`"),
        }
    }

    /// What it says of its path: `keyed=id`, `unordered`.
    pub fn says(&self) -> String {
        let word = self.word();
        match self {
            Proposal::Ignore(_) | Proposal::Unordered => word.to_owned(),
            Proposal::Tolerance(bound) => format!("{word}={bound:e}"),
            Proposal::Keyed(key) => format!("{word}={key}"),
        }
    }

    /// The rule at `path`, as a file of `tandem compare` has it: `keyed orders[]=id`.
    pub fn rule(&self, path: &str) -> String {
        let says = self.says();
        match says.split_once('=') {
            Some((word, value)) => format!("{word} {path}={value}"),
            None => format!("{says} {path}"),
        }
    }

    /// The rule with its reason.
    pub fn line(&self, path: &str) -> String {
        format!("{}    # {}", self.rule(path), self.why())
    }
}

/// What proposals rest on.
#[derive(Debug, Clone, Default)]
pub struct Proposals {
    /// Pairs of primary and twin whose messages were compared.
    pairs: u64,
    /// Of those, the ones whose lists were read.
    read: u64,
    modes: ModeEvidence,
    rows: BTreeMap<RowId, Seen>,
}

#[derive(Debug, Clone, Default)]
struct Seen {
    /// The primary's, the twin's, the id of the request.
    texts: VecDeque<[String; 3]>,
    distances: Distances,
    /// Pairs before what is held of this row began anew.
    begun: u64,
}

impl Proposals {
    /// Takes in what the twin answered, and how it differed from the primary.
    pub fn observe(
        &mut self,
        differ: &Differ,
        (primary, twin): (&Answer<'_>, &Answer<'_>),
        diff: &Diff,
        request_id: &str,
    ) {
        if !diff.fields_compared {
            return;
        }
        self.pairs += 1;
        let reads = match diff.is_empty() {
            true => self.read < LISTS_MOST,
            false => self.read < DIFFERING_LISTS_MOST,
        };
        if reads {
            self.read += 1;
            for (one, other) in primary.messages.iter().zip(twin.messages) {
                self.modes.observe(differ, one, other);
            }
        }
        let mut farthest: BTreeMap<RowId, f64> = BTreeMap::new();
        for difference in &diff.listed {
            let (Some(one), Some(other)) = (&difference.primary, &difference.other) else {
                continue;
            };
            if let Some(distance) = float(one).zip(float(other)).map(|(one, other)| one - other) {
                let most = farthest.entry(difference.row).or_default();
                *most = most.max(distance.abs());
            }
            if one.len().max(other.len()) > TEXT_BYTES_MOST {
                continue;
            }
            let texts = &mut self.rows.entry(difference.row).or_default().texts;
            if texts.len() >= TEXTS_MOST {
                texts.pop_front();
            }
            texts.push_back([one.clone(), other.clone(), request_id.to_owned()]);
        }
        for (row, distance) in farthest {
            self.rows.entry(row).or_default().distances.add(distance);
        }
    }

    /// Forgets what is known of one row: a rule for it has changed (compare N-5).
    pub fn restart_row(&mut self, row: RowId) {
        if let Some(seen) = self.rows.get_mut(&row) {
            *seen = Seen { begun: self.pairs, ..Seen::default() };
        }
    }

    /// By row; what is declared already is not proposed. `now_s` is the time since 1970.
    pub fn of(&self, differ: &Differ, now_s: u64) -> BTreeMap<RowId, Proposal> {
        let rows = differ.rows();
        let mut all = BTreeMap::new();
        for (row, seen) in &self.rows {
            let texts: Vec<(&str, &str)> =
                seen.texts.iter().map(|[one, other, _]| (one.as_str(), other.as_str())).collect();
            let requests: Vec<&str> = seen.texts.iter().map(|[_, _, id]| id.as_str()).collect();
            let tolerance = || {
                let absolute = seen.distances.proposed(self.pairs - seen.begun)?;
                let rule = Tolerance { absolute, ulps: 0 };
                let fits = differ.takes(&Rules::new().tolerance(rows.name(*row), rule));
                fits.then_some(Proposal::Tolerance(absolute))
            };
            let proposed = why(&texts, now_s, &requests).map(Proposal::Ignore);
            if let Some(proposed) = proposed.or_else(tolerance) {
                all.insert(*row, proposed);
            }
        }
        for (path, order) in self.modes.modes() {
            if differ.settles_order(&path) {
                continue;
            }
            let proposed = match order {
                Order::Set => Proposal::Unordered,
                Order::Keyed(key) => Proposal::Keyed(key),
                Order::List => continue,
            };
            // The list's own row is the first of those at its path.
            if let Some(row) = rows.below(&path).first() {
                all.insert(*row, proposed);
            }
        }
        all
    }
}

/// A float as a sample prints it. Whole numbers have no tolerance proposed: two ids lie apart by
/// something too.
fn float(text: &str) -> Option<f64> {
    let is_float = text.contains(['.', 'e']);
    text.parse::<f64>().ok().filter(|number| is_float && number.is_finite())
}
