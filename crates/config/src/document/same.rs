//! Which differences of answers are lawful: the key `same`.
//!
//! Paths are those of reports: `orders[].price`, `labels{}`; `**.name` is every field of that
//! name, at any depth. [`SameRules::of`] gives the rules of one answer type: a path that the type
//! does not have says nothing about it, and a line holds for many methods.
//!
//! Not here: comparing (`tandem_judge::diff`), whether a path exists anywhere (`crate::check`).

use std::collections::BTreeMap;

use tandem_contract::{Cardinality, Contract, MessageId, WellKnown};
use tandem_judge::diff::{Order, Rank, Rule, Rules, Tolerance};

use super::units::Share;

/// `same` as written; empty where nothing was.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SameRules {
    /// Not compared, with all below.
    pub ignore: Vec<String>,
    /// Lists that are compared element by element, whatever samples have shown.
    pub ordered: Vec<String>,
    /// Lists that are compared in any order.
    pub unordered: Vec<String>,
    /// Lists whose elements find each other by a field.
    pub keyed: BTreeMap<String, String>,
    pub tolerance: BTreeMap<String, Tolerance>,
    /// One difference that is no noise is one too many.
    pub critical: Vec<String>,
    pub cross_verified: Vec<String>,
    pub present_or_absent: Vec<String>,
    /// Lists ranked by a score.
    pub rank_epsilon: BTreeMap<String, Rank>,
    /// Trailers that count, in lower case.
    pub trailers: Vec<String>,
    /// The rate of extra differences that is as good as none; `None`: [`SameRules::EXTRA_MAX`].
    pub extra_max: Option<Share>,
}

/// A rule at one path.
pub(crate) struct Placed<'a> {
    /// The key under `same`.
    pub(crate) key: &'static str,
    /// Its place in the list of the key; `None` where the key is a map.
    pub(crate) index: Option<usize>,
    pub(crate) path: &'a str,
    change: Box<dyn Fn(&mut Rule) + 'a>,
}

impl Placed<'_> {
    /// The rule alone, for answers of one type; `None` where `**` finds no such field.
    pub(crate) fn alone(&self, contract: &Contract, message: MessageId) -> Option<Rules> {
        let paths = paths(contract, message, self.path);
        (!paths.is_empty()).then(|| self.put(Rules::new(), &paths))
    }

    fn put(&self, rules: Rules, paths: &[String]) -> Rules {
        paths.iter().fold(rules, |rules, path| rules.at(path, |rule| (self.change)(rule)))
    }
}

impl SameRules {
    /// One in a thousand.
    pub const EXTRA_MAX: Share = match Share::from_per_mille(1) {
        Some(share) => share,
        None => unreachable!(),
    };

    /// The rules for answers of type `message`: those of the paths that it has.
    pub fn of(&self, contract: &Contract, message: MessageId) -> Rules {
        let mut rules = Rules::new();
        for placed in self.placed() {
            let Some(alone) = placed.alone(contract, message) else { continue };
            if alone.faults(contract, message).is_empty() {
                rules = placed.put(rules, &paths(contract, message, placed.path));
            }
        }
        self.trailers.iter().fold(rules, |rules, name| rules.trailer(name))
    }

    /// Every rule with its place.
    pub(crate) fn placed(&self) -> Vec<Placed<'_>> {
        let SameRules {
            ignore,
            ordered,
            unordered,
            keyed,
            tolerance,
            critical,
            cross_verified,
            present_or_absent,
            rank_epsilon,
            trailers: _, // no paths
            extra_max: _,
        } = self;
        type Change = fn(&mut Rule);
        let lists: [(&'static str, &Vec<String>, Change); 6] = [
            ("ignore", ignore, |rule| rule.ignore = true),
            ("ordered", ordered, |rule| rule.order = Some(Order::List)),
            ("unordered", unordered, |rule| rule.order = Some(Order::Set)),
            ("critical", critical, |rule| rule.critical = true),
            ("cross_verified", cross_verified, |rule| rule.cross_verified = true),
            ("present_or_absent", present_or_absent, |rule| rule.present_or_absent = true),
        ];
        let listed = lists.into_iter().flat_map(|(key, paths, change)| {
            paths.iter().enumerate().map(move |(index, path)| Placed {
                key,
                index: Some(index),
                path,
                change: Box::new(change),
            })
        });
        let keyed = keyed.iter().map(|(path, field)| Placed {
            key: "keyed",
            index: None,
            path,
            change: Box::new(move |rule| rule.order = Some(Order::Keyed(field.as_str().into()))),
        });
        let tolerance = tolerance.iter().map(|(path, tolerance)| Placed {
            key: "tolerance",
            index: None,
            path,
            change: Box::new(move |rule| rule.tolerance = Some(*tolerance)),
        });
        let ranked = rank_epsilon.iter().map(|(path, rank)| Placed {
            key: "rank_epsilon",
            index: None,
            path,
            change: Box::new(move |rule| rule.rank = Some(rank.clone())),
        });
        listed.chain(keyed).chain(tolerance).chain(ranked).collect()
    }
}

/// How often one type may lie inside itself before `**` looks no deeper.
const INSIDE_ITSELF: usize = 3;
/// Paths that one `**` may stand for.
const PATHS_MOST: usize = 4_096;

/// What a path as written stands for in one type: itself, or every field that `**.name` finds.
fn paths(contract: &Contract, message: MessageId, written: &str) -> Vec<String> {
    let Some(name) = written.strip_prefix("**.") else { return vec![written.to_owned()] };
    let (first, below) = match name.split_once('.') {
        Some((first, below)) => (first, Some(below)),
        None => (name, None),
    };
    let bare = first.trim_end_matches("[]").trim_end_matches("{}");
    let mut found = Vec::new();
    let mut pending = vec![(message, String::new(), vec![message])];
    while let Some((id, at, entered)) = pending.pop() {
        let message = contract.message(id);
        if found.len() >= PATHS_MOST || pending.len() >= PATHS_MOST {
            break;
        }
        if !matches!(message.well_known, WellKnown::No | WellKnown::HttpBody) {
            continue;
        }
        for field in &message.fields {
            let path = match at.as_str() {
                "" => field.name.to_string(),
                at => format!("{at}.{}", field.name),
            };
            if *field.name == *bare {
                found.push(match below {
                    Some(below) => format!("{path}.{below}"),
                    None => path.clone(),
                });
            }
            let Some(inner) = field.kind.message() else { continue };
            let inner = match field.cardinality {
                Cardinality::Map => {
                    let value = contract.message(inner).field_numbered(2);
                    match value.and_then(|(_, value)| value.kind.message()) {
                        Some(value) => value,
                        None => continue,
                    }
                }
                Cardinality::Singular | Cardinality::Repeated => inner,
            };
            if entered.iter().filter(|one| **one == inner).count() < INSIDE_ITSELF {
                let entered = [&entered[..], &[inner]].concat();
                pending.push((inner, path, entered));
            }
        }
    }
    found.sort_unstable();
    found
}
