//! What differs lawfully, declared by path.
//!
//! A path names fields with dots, `orders[].price` or `orders.price`; the empty path is the answer
//! itself, the sequence of a stream's messages included. Keys of maps and places in lists are no
//! part of it; names in a `Struct` and types in an `Any` (`[package.Type]`) are.
//!
//! Nothing here is learned: an inferred mode or a proposed tolerance is shown, and becomes a rule
//! by somebody's act.

use std::collections::BTreeMap;
use std::fmt;

use tandem_contract::{Cardinality, Contract, Kind, MessageId, WellKnown};

/// Rules of one answer type, in the form of its paths.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rules {
    root: Node,
    trailers: Vec<Box<str>>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Node {
    pub(super) rule: Rule,
    below: BTreeMap<Box<str>, Node>,
}

/// What is declared about one path.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rule {
    /// Not compared, with all below it.
    pub ignore: bool,
    /// How the elements of a list, or the messages of a stream, find each other.
    pub order: Option<Order>,
    pub tolerance: Option<Tolerance>,
    /// One difference that is not noise holds a rollout at once (compare J-12).
    pub critical: bool,
    /// A value on one side only is no difference (compare J-11). On the answer itself: NOT_FOUND
    /// against an answer.
    pub present_or_absent: bool,
    /// Two ranked lists.
    pub rank: Option<Rank>,
    /// Not compared here: each side verifies the other's value.
    pub cross_verified: bool,
}

/// The three modes of a list (compare J-6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Element by element.
    List,
    /// In any order, each as often.
    Set,
    /// By a scalar field of the elements.
    Keyed(Box<str>),
}

/// How far two numbers may lie apart: either bound suffices.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Tolerance {
    /// |a − b| at most.
    pub absolute: f64,
    /// Representable floats between them, at most.
    pub ulps: u64,
}

/// Two ranked lists agree if every pair in opposite order differs by less than `epsilon`, relative,
/// in at least one list, and each missing item is within it of the other list's last score.
#[derive(Debug, Clone, PartialEq)]
pub struct Rank {
    pub epsilon: f64,
    /// The scalar field that names an item.
    pub key: Box<str>,
    /// The number that it is ranked by.
    pub score: Box<str>,
}

/// A rule that cannot hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFault {
    pub path: String,
    pub what: String,
}

impl fmt::Display for RuleFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}`: {}", self.path, self.what)
    }
}

impl std::error::Error for RuleFault {}

impl Rules {
    /// None: everything counts, lists are lists, numbers are exact.
    pub fn new() -> Rules {
        Rules::default()
    }

    /// Changes the rule at `path` by `change`.
    #[must_use]
    pub fn at(mut self, path: &str, change: impl FnOnce(&mut Rule)) -> Rules {
        let mut node = &mut self.root;
        for name in names(path) {
            node = node.below.entry(name.into()).or_default();
        }
        change(&mut node.rule);
        self
    }

    #[must_use]
    pub fn ignore(self, path: &str) -> Rules {
        self.at(path, |rule| rule.ignore = true)
    }

    #[must_use]
    pub fn unordered(self, path: &str) -> Rules {
        self.at(path, |rule| rule.order = Some(Order::Set))
    }

    #[must_use]
    pub fn keyed(self, path: &str, key: &str) -> Rules {
        self.at(path, |rule| rule.order = Some(Order::Keyed(key.into())))
    }

    #[must_use]
    pub fn tolerance(self, path: &str, tolerance: Tolerance) -> Rules {
        self.at(path, |rule| rule.tolerance = Some(tolerance))
    }

    #[must_use]
    pub fn critical(self, path: &str) -> Rules {
        self.at(path, |rule| rule.critical = true)
    }

    /// Also compares the trailer `name`, in lower case. No trailer counts unless it is named.
    #[must_use]
    pub fn trailer(mut self, name: &str) -> Rules {
        if !self.trailers.iter().any(|known| **known == *name) {
            self.trailers.push(name.into());
        }
        self
    }

    /// Takes over the modes of lists that samples have shown, where none is declared.
    #[must_use]
    pub fn with_inferred(mut self, modes: &BTreeMap<String, Order>) -> Rules {
        for (path, order) in modes {
            self = self.at(path, |rule| {
                rule.order.get_or_insert_with(|| order.clone());
            });
        }
        self
    }

    /// The trailers that count.
    pub fn trailer_names(&self) -> impl Iterator<Item = &str> {
        self.trailers.iter().map(|name| &**name)
    }

    /// The paths whose own rule is another one than in `before`, in their order. The rule of a
    /// path holds below it as well, so what was learned there holds no longer either.
    pub fn changed(&self, before: &Rules) -> Vec<String> {
        let mut changed = Vec::new();
        self.root.differs_from(&before.root, "", &mut changed);
        changed
    }

    /// Whether the list at `path` has an order, or it or something above it is ignored.
    pub(super) fn settles_order(&self, path: &str) -> bool {
        let mut node = &self.root;
        if node.rule.ignore {
            return true;
        }
        for name in names(path) {
            let Some(below) = node.below(name) else { return false };
            node = below;
            if node.rule.ignore {
                return true;
            }
        }
        let Rule { order, rank, cross_verified, .. } = &node.rule;
        order.is_some() || rank.is_some() || *cross_verified
    }

    pub(super) fn trailers(&self) -> &[Box<str>] {
        &self.trailers
    }

    pub(super) fn root(&self) -> &Node {
        &self.root
    }

    /// Everything that names no field, or asks of a field what it cannot have.
    pub fn faults(&self, contract: &Contract, message: MessageId) -> Vec<RuleFault> {
        let mut faults = Vec::new();
        let root = Place { message: Some(message), list: true, number: false, free: false };
        check(contract, root, "", &self.root, &mut faults);
        faults
    }
}

impl Node {
    fn differs_from(&self, before: &Node, path: &str, changed: &mut Vec<String>) {
        if self.rule != before.rule {
            changed.push(path.to_owned());
        }
        let nothing = Node::default();
        let names: std::collections::BTreeSet<&str> =
            self.below.keys().chain(before.below.keys()).map(|name| &**name).collect();
        for name in names {
            let inner = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            let [now, then] = [self, before].map(|node| node.below(name).unwrap_or(&nothing));
            now.differs_from(then, &inner, changed);
        }
    }

    pub(super) fn below(&self, name: &str) -> Option<&Node> {
        self.below.get(name)
    }
}

/// The names of a path; a name in brackets may have dots.
fn names(path: &str) -> impl Iterator<Item = &str> {
    let mut rest = path;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches('.');
        if rest.is_empty() {
            return None;
        }
        let end = match rest.strip_prefix('[').and_then(|inner| inner.find(']')) {
            Some(end) => end + 2,
            None => rest.find('.').unwrap_or(rest.len()),
        };
        let (name, after) = rest.split_at(end);
        rest = after.trim_start_matches("[]").trim_start_matches("{}");
        Some(name.trim_end_matches("[]").trim_end_matches("{}"))
    })
    .filter(|name| !name.is_empty())
}

/// What a path has come to.
#[derive(Clone, Copy)]
struct Place {
    message: Option<MessageId>,
    list: bool,
    number: bool,
    /// Below a `Struct` or an `Any`: any name may be meant.
    free: bool,
}

fn check(contract: &Contract, at: Place, path: &str, node: &Node, faults: &mut Vec<RuleFault>) {
    let mut fault = |what: String| faults.push(RuleFault { path: path.to_owned(), what });
    let Rule {
        ignore: _,
        order,
        tolerance,
        critical: _,
        present_or_absent: _,
        rank,
        cross_verified: _,
    } = &node.rule;
    let is_key = |name: &str| {
        let message = at.message.map(|id| contract.message(id))?;
        let (_, field) = message.field_named(name)?;
        (field.cardinality == Cardinality::Singular && field.kind.message().is_none())
            .then_some(field)
    };
    if !at.free {
        if order.is_some() && !at.list {
            fault("only a list has an order".to_owned());
        }
        if tolerance.is_some() && !at.number {
            fault("only numbers have a tolerance".to_owned());
        }
        if let Some(Order::Keyed(key)) = order
            && at.list
            && is_key(key).is_none()
        {
            fault(format!("its elements have no scalar field `{key}`"));
        }
        if let Some(rank) = rank {
            for name in [&rank.key, &rank.score] {
                if !at.list || is_key(name).is_none() {
                    fault(format!("its elements have no scalar field `{name}`"));
                }
            }
        }
    }
    if let Some(Rank { epsilon, .. }) = rank
        && !(0.0..1.0).contains(epsilon)
    {
        fault("epsilon lies from 0 to 1".to_owned());
    }
    if let Some(Tolerance { absolute, .. }) = tolerance
        && !(absolute.is_finite() && *absolute >= 0.0)
    {
        fault("a tolerance is a number from 0".to_owned());
    }
    for (name, below) in &node.below {
        let inner = if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
        match next(contract, at, name) {
            Ok(place) => check(contract, place, &inner, below, faults),
            Err(what) => faults.push(RuleFault { path: inner, what }),
        }
    }
}

fn next(contract: &Contract, at: Place, name: &str) -> Result<Place, String> {
    let anything = Place { message: None, list: true, number: true, free: true };
    let Some(id) = at.message else {
        return if at.free { Ok(anything) } else { Err("it has no fields".to_owned()) };
    };
    let message = contract.message(id);
    match message.well_known {
        WellKnown::Struct | WellKnown::Value | WellKnown::ListValue => return Ok(anything),
        WellKnown::Any => {
            let inner = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
            return match inner.and_then(|name| contract.message_named(name)) {
                Some(id) => {
                    Ok(Place { message: Some(id), list: false, number: false, free: false })
                }
                None => Err(format!("`{name}` is no type of the contract in brackets")),
            };
        }
        _ => {}
    }
    if message.oneofs.iter().any(|oneof| **oneof == *name) {
        return Ok(Place { message: None, list: false, number: false, free: false });
    }
    let Some((_, field)) = message.field_named(name).filter(|(_, field)| &*field.name == name)
    else {
        return Err(match message.field_named(name) {
            Some((_, field)) => format!("it is called `{}`", field.name),
            None => format!("`{}` has no such field", message.full_name),
        });
    };
    let (mut kind, list) = (field.kind, field.cardinality == Cardinality::Repeated);
    if field.cardinality == Cardinality::Map
        && let Some((_, value)) =
            kind.message().and_then(|entry| contract.message(entry).field_numbered(2))
    {
        kind = value.kind;
    }
    // A wrapper stands for its one field.
    if let Some(id) = kind.message()
        && contract.message(id).well_known == WellKnown::Wrapper
        && let Some((_, value)) = contract.message(id).field_numbered(1)
    {
        kind = value.kind;
    }
    let free = kind.message().is_some_and(|id| {
        matches!(contract.message(id).well_known, WellKnown::Value | WellKnown::ListValue)
    });
    let number = !matches!(
        kind,
        Kind::Bool | Kind::String | Kind::Bytes | Kind::Enum(_) | Kind::Message(_) | Kind::Group(_)
    );
    Ok(Place { message: kind.message(), list, number, free })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compare_n_5_rules_that_changed_are_named() {
        let before = Rules::new().ignore("a.b").critical("c").unordered("d[]");
        let after = Rules::new().ignore("a.b[]").unordered("d").keyed("e.f", "id");
        assert_eq!(after.changed(&before), ["c", "e.f"]);
        assert_eq!(before.changed(&after), ["c", "e.f"]);
        assert!(after.changed(&after.clone()).is_empty());
        assert_eq!(Rules::new().ignore("").changed(&Rules::new()), [""]);
    }

    #[test]
    fn a_path_is_read_with_and_without_its_brackets() {
        for (path, expected) in [
            ("orders[].price", &["orders", "price"][..]),
            ("orders.price", &["orders", "price"]),
            ("labels{}.x", &["labels", "x"]),
            ("", &[]),
            ("detail.[shop.v1.Book].title", &["detail", "[shop.v1.Book]", "title"]),
            ("[shop.v1.extra].x[]", &["[shop.v1.extra]", "x"]),
            ("tags[]", &["tags"]),
            ("..", &[]),
        ] {
            assert_eq!(names(path).collect::<Vec<_>>(), expected, "{path}");
        }
    }
}
