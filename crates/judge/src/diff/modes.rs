//! How the elements of lists find each other where nobody has said so, from what a primary and
//! its twin have sent (compare J-6).
//!
//! Keyed, if a scalar of the elements is unique within both lists, and shared by them, in nearly
//! all of enough samples; a set, if the two instances of one build gave the same elements in
//! different orders; a list else. What is inferred is shown and pinned by whoever reads it: it
//! changes nothing by itself, and frozen rules stay frozen while evidence is gathered.

use std::collections::{BTreeMap, BTreeSet};

use tandem_contract::{Cardinality, Field, Kind, MessageId, WellKnown};
use tandem_transcode::view::{Value, Values, View};

use super::canonical::Writer;
use super::rules::Order;
use super::walk::{Walk, Way};
use super::{Differ, sample};

/// Lists of two or more elements that must have been seen.
const SAMPLES_LEAST: u64 = 200;
/// Of a hundred samples, those in which a key must hold.
const HOLDS_PERCENT: u64 = 99;
/// Scalars of an element that are tried as keys.
const KEYS_MOST: usize = 16;
/// Values that one pair may cost.
const VALUES_MOST: u32 = 20_000;
const DEPTH_MOST: u32 = 32;

/// The mode of each list, by its path.
pub type ListModes = BTreeMap<String, Order>;

/// What samples have shown about the lists of one answer type.
#[derive(Debug, Clone, Default)]
pub struct ModeEvidence {
    lists: BTreeMap<String, Seen>,
}

#[derive(Debug, Clone, Default)]
struct Seen {
    samples: u64,
    /// Equal elements in another order.
    reordered: u64,
    /// By field: in how many samples it was a key.
    keys: BTreeMap<Box<str>, u64>,
}

impl ModeEvidence {
    /// Takes in the answers of a primary and its twin to one call.
    pub fn observe(&mut self, differ: &Differ, primary: &[u8], twin: &[u8]) {
        let mut walk = Walk::new(differ);
        walk.left = walk.left.min(VALUES_MOST);
        let way = walk.way();
        self.message(&mut walk, differ.message, (primary, twin), String::new(), way);
    }

    /// The modes that the samples bear out; paths that stay lists are not named.
    pub fn modes(&self) -> ListModes {
        let mode = |seen: &Seen| {
            let holds = |count: u64| {
                seen.samples >= SAMPLES_LEAST && count * 100 >= seen.samples * HOLDS_PERCENT
            };
            let keys = || seen.keys.iter().filter(|(_, count)| holds(**count));
            let usual = keys().min_by_key(|(name, _)| usual_rank(name));
            if let Some((key, _)) = usual {
                return Some(Order::Keyed(key.clone()));
            }
            (seen.reordered > 0).then_some(Order::Set)
        };
        self.lists.iter().filter_map(|(path, seen)| Some((path.clone(), mode(seen)?))).collect()
    }

    fn message<'d>(
        &mut self,
        walk: &mut Walk<'d>,
        id: MessageId,
        (one, other): (&[u8], &[u8]),
        path: String,
        way: Way<'d>,
    ) {
        let plans = &walk.differ.plans;
        let message = plans.contract().message(id);
        let plain = matches!(message.well_known, WellKnown::No | WellKnown::HttpBody);
        if way.depth >= DEPTH_MOST || !plain {
            return;
        }
        let views = plans.view(id, one, &mut walk.left).ok().zip({
            let mut left = walk.left;
            let view = plans.view(id, other, &mut left);
            walk.left = left;
            view.ok()
        });
        let Some((one, other)) = views else { return };
        let way = Way { depth: way.depth + 1, ..way };
        for (place, values) in &one.fields {
            let field = &message.fields[*place];
            let below = way.named(&field.name);
            let twin = other.fields.iter().find(|(found, _)| found == place);
            let Some((_, twin)) = twin else { continue };
            let path = match path.as_str() {
                "" => field.name.to_string(),
                path => format!("{path}.{}", field.name),
            };
            match (values, twin) {
                (
                    Values::Singular(Value::Message(id, one)),
                    Values::Singular(Value::Message(_, other)),
                ) => self.message(walk, *id, (one, other), path, below),
                (Values::Repeated(one), Values::Repeated(other)) => {
                    self.list(walk, field, (one, other), path, below);
                }
                _ => {}
            }
        }
    }

    fn list<'d>(
        &mut self,
        walk: &mut Walk<'d>,
        field: &Field,
        (one, other): (&[Value<'_>], &[Value<'_>]),
        path: String,
        way: Way<'d>,
    ) {
        for (one, other) in one.iter().zip(other) {
            if let (Value::Message(id, one), Value::Message(_, other)) = (one, other) {
                self.message(walk, *id, (one, other), path.clone(), way);
            }
        }
        if one.len() < 2 || other.len() < 2 {
            return;
        }
        let seen = self.lists.entry(path).or_default();
        seen.samples += 1;
        if one.len() == other.len() && reordered(walk, one, other, way) {
            seen.reordered += 1;
        }
        let Some(id) = field.kind.message() else { return };
        let message = walk.differ.plans.contract().message(id);
        let scalars = message.fields.iter().enumerate().filter(|(_, field)| {
            field.cardinality == Cardinality::Singular
                && !matches!(
                    field.kind,
                    Kind::Message(_) | Kind::Group(_) | Kind::Double | Kind::Float | Kind::Bool
                )
        });
        let scalars: Vec<(usize, &Field)> = scalars.take(KEYS_MOST).collect();
        let views = [one, other].map(|list| views(walk, list));
        let [Some(ones), Some(others)] = views else { return };
        for (place, scalar) in scalars {
            let sets = [&ones, &others].map(|views| unique(walk, views, place, scalar));
            if let [Some(one), Some(other)] = sets {
                // A value that is made anew in each answer is unique, and finds nothing.
                let shared = one.intersection(&other).count();
                if shared * 2 >= one.len().min(other.len()) {
                    *seen.keys.entry(scalar.name.clone()).or_default() += 1;
                }
            }
        }
    }
}

/// `id`, `key` and `name` are tried first, then what ends in `_id`.
fn usual_rank(name: &str) -> (usize, &str) {
    let rank = ["id", "key", "name"].iter().position(|usual| *usual == name);
    (rank.unwrap_or(if name.ends_with("_id") { 3 } else { 4 }), name)
}

fn reordered<'d>(
    walk: &mut Walk<'d>,
    one: &[Value<'_>],
    other: &[Value<'_>],
    way: Way<'d>,
) -> bool {
    let mut writer = Writer::new(walk);
    let mut forms = |list: &[Value<'_>]| -> Option<Vec<Vec<u8>>> {
        list.iter().map(|value| writer.of(value, way).ok()).collect()
    };
    let (ones, others) = (forms(one), forms(other));
    let left = writer.left;
    walk.left = left;
    let (Some(mut one), Some(mut other)) = (ones, others) else { return false };
    if one == other {
        return false;
    }
    one.sort_unstable();
    other.sort_unstable();
    one == other
}

fn views<'v>(walk: &mut Walk<'_>, list: &'v [Value<'_>]) -> Option<Vec<View<'v>>> {
    let plans = &walk.differ.plans;
    list.iter()
        .map(|value| match value {
            Value::Message(id, contents) => plans.view(*id, contents, &mut walk.left).ok(),
            _ => None,
        })
        .collect()
}

/// The values of a field in all elements, if each has its own.
fn unique(
    walk: &Walk<'_>,
    views: &[View<'_>],
    place: usize,
    field: &Field,
) -> Option<BTreeSet<String>> {
    let contract = walk.differ.plans.contract();
    let mut seen = BTreeSet::new();
    for view in views {
        let (_, values) = view.fields.iter().find(|(found, _)| *found == place)?;
        let Values::Singular(value) = values else { return None };
        if !seen.insert(sample::text(contract, field, value)) {
            return None;
        }
    }
    Some(seen)
}
