//! The matcher of templates: one trie, walked by precedence.
//!
//! At each segment a literal goes before `*`, and `*` before `**`, whatever the order of
//! declaration; a rule with a verb goes before one without (protocols P-8). Of the rules that a
//! path matches the first one that takes the HTTP method is meant, as if each method had a trie
//! of its own: beside `GET /users/me`, `DELETE /users/{id}` still deletes `me`. A path is known
//! by another method only where no matching rule takes the one that was asked.
//!
//! A walk comes to a node at most once, for there is one way to it, so it is never longer than
//! the templates together; a budget bounds it for sets that are made to be slow.
//!
//! Not here: reading paths (`path`), what the match means (`directory`).

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use super::path::{Path, Reading};
use super::{HttpMethod, Segment, Template, Variable};

/// Nodes of one walk; ordinary sets need a handful.
const STEPS_MOST: u32 = 10_000;

/// Templates → values of type `T`.
#[derive(Debug)]
pub struct Trie<T> {
    nodes: Vec<Node<T>>,
}

#[derive(Debug)]
struct Node<T> {
    /// By text, decoded; in the order of the texts.
    literals: Vec<(Box<str>, u32)>,
    one: Option<u32>,
    /// Rules that end here.
    ends: Vec<Leaf<T>>,
    /// Rules whose last segment is `**`, from here on.
    rests: Vec<Leaf<T>>,
}

/// The rules of one template, by HTTP method.
#[derive(Debug)]
struct Leaf<T> {
    /// Decoded; empty for none.
    verb: Box<str>,
    rules: Vec<(HttpMethod, T)>,
}

impl<T> Default for Node<T> {
    fn default() -> Node<T> {
        Node { literals: Vec::new(), one: None, ends: Vec::new(), rests: Vec::new() }
    }
}

impl<T> Default for Trie<T> {
    fn default() -> Trie<T> {
        Trie { nodes: vec![Node::default()] }
    }
}

/// What a path means to a trie.
#[derive(Debug, PartialEq, Eq)]
pub enum Match<'a, T> {
    Found {
        value: &'a T,
        /// The last segment was split at its verb.
        verb: bool,
    },
    /// The path is known, the HTTP method is not.
    WrongMethod {
        /// The best rule of another method.
        best: &'a T,
        /// All methods that are known, in alphabetical order; `OPTIONS` among them, and `HEAD`
        /// where `GET` is (protocols P-9).
        allow: Vec<&'a str>,
    },
    NotFound,
}

impl<T> Trie<T> {
    /// Adds a rule. When one stands there that matches the same texts by the same method, nothing
    /// is changed and that one is given back.
    ///
    /// # Errors
    /// The value of the rule that is equal.
    pub fn insert(
        &mut self,
        http_method: &HttpMethod,
        template: &Template,
        value: T,
    ) -> Result<(), &T> {
        let mut at = 0;
        let mut rest = false;
        for segment in &template.segments {
            match segment {
                Segment::Literal(text) => at = self.below_literal(at, text),
                Segment::One => at = self.below_one(at),
                Segment::Rest => rest = true,
            }
        }
        let node = &mut self.nodes[at];
        let leaves = if rest { &mut node.rests } else { &mut node.ends };
        let verb = template.verb().unwrap_or("");
        let place = match leaves.iter().position(|leaf| *leaf.verb == *verb) {
            Some(place) => place,
            None => {
                leaves.push(Leaf { verb: verb.into(), rules: Vec::new() });
                leaves.len() - 1
            }
        };
        let rules = &mut leaves[place].rules;
        match rules.iter().position(|(method, _)| method == http_method) {
            Some(equal) => Err(&rules[equal].1),
            None => {
                rules.push((http_method.clone(), value));
                Ok(())
            }
        }
    }

    fn below_literal(&mut self, at: usize, text: &str) -> usize {
        match self.nodes[at].literals.binary_search_by(|(known, _)| (**known).cmp(text)) {
            Ok(place) => self.nodes[at].literals[place].1 as usize,
            Err(place) => {
                let next = self.push();
                self.nodes[at].literals.insert(place, (text.into(), next));
                next as usize
            }
        }
    }

    fn below_one(&mut self, at: usize) -> usize {
        if let Some(next) = self.nodes[at].one {
            return next as usize;
        }
        let next = self.push();
        self.nodes[at].one = Some(next);
        next as usize
    }

    fn push(&mut self) -> u32 {
        self.nodes.push(Node::default());
        (self.nodes.len() - 1) as u32
    }

    /// Looks up a path. A slash at its end is not looked at.
    pub fn find(&self, http_method: &str, path: &Path<'_>) -> Match<'_, T> {
        // A known verb decides, even where its rules refuse the method (P-7).
        if let Some(split) = path.split_at_verb() {
            let found = self.find_as(http_method, &split);
            if !matches!(found, Match::NotFound) {
                return found;
            }
        }
        self.find_as(http_method, &path.whole())
    }

    fn find_as(&self, http_method: &str, reading: &Reading<'_>) -> Match<'_, T> {
        let mut best = None;
        let found = self.each_leaf(reading, |leaf| {
            best = best.or(leaf.rules.first().map(|(_, value)| value));
            leaf.taking(http_method).map_or(ControlFlow::Continue(()), ControlFlow::Break)
        });
        match (found, best) {
            (Some(value), _) => Match::Found { value, verb: !reading.verb.is_empty() },
            (None, Some(best)) => Match::WrongMethod { best, allow: self.allow(reading) },
            (None, None) => Match::NotFound,
        }
    }

    /// What may stand in `Allow`. No rule for any method matched, or it would have been found.
    fn allow(&self, reading: &Reading<'_>) -> Vec<&str> {
        let mut allow = BTreeSet::from(["OPTIONS"]);
        self.each_leaf(reading, |leaf| {
            allow.extend(leaf.rules.iter().map(|(method, _)| method.name()));
            ControlFlow::<()>::Continue(())
        });
        if allow.contains("GET") {
            allow.insert("HEAD");
        }
        allow.into_iter().collect()
    }

    /// Shows the leaves that match, the most exact one first, until `take` breaks.
    fn each_leaf<'a, R>(
        &'a self,
        reading: &Reading<'_>,
        mut take: impl FnMut(&'a Leaf<T>) -> ControlFlow<R>,
    ) -> Option<R> {
        let mut walk = Walk { trie: self, reading, steps: STEPS_MOST, take: &mut take };
        walk.from(0, reading.raw()).break_value()
    }
}

struct Walk<'a, 'b, T, F> {
    trie: &'a Trie<T>,
    reading: &'b Reading<'b>,
    steps: u32,
    take: &'b mut F,
}

impl<'a, T, F> Walk<'a, '_, T, F> {
    /// Goes on from the node `at` with the rest of the path. Recursion is as deep as templates
    /// are long.
    fn from<R>(&mut self, at: u32, rest: Option<&str>) -> ControlFlow<R>
    where
        F: FnMut(&'a Leaf<T>) -> ControlFlow<R>,
    {
        let Some(left) = self.steps.checked_sub(1) else { return ControlFlow::Continue(()) };
        self.steps = left;
        let node = &self.trie.nodes[at as usize];
        let Some(text) = rest else {
            self.leaf(&node.ends)?;
            return self.leaf(&node.rests);
        };
        let (segment, rest) = self.reading.next(text);
        if let Some(next) = node.below(&segment) {
            self.from(next, rest)?;
        }
        if let Some(next) = node.one {
            self.from(next, rest)?;
        }
        self.leaf(&node.rests)
    }

    fn leaf<R>(&mut self, leaves: &'a [Leaf<T>]) -> ControlFlow<R>
    where
        F: FnMut(&'a Leaf<T>) -> ControlFlow<R>,
    {
        match leaves.iter().find(|leaf| *leaf.verb == *self.reading.verb) {
            Some(leaf) => (self.take)(leaf),
            None => ControlFlow::Continue(()),
        }
    }
}

impl<T> Node<T> {
    fn below(&self, text: &str) -> Option<u32> {
        let place = self.literals.binary_search_by(|(known, _)| (**known).cmp(text)).ok()?;
        Some(self.literals[place].1)
    }
}

impl<T> Leaf<T> {
    /// The rule for an HTTP method: its own, for HEAD that of GET, else that for any (P-9).
    fn taking(&self, http_method: &str) -> Option<&T> {
        let by = |wanted: &str| self.rules.iter().find(|(method, _)| method.name() == wanted);
        let own = by(http_method);
        let head = || if http_method == "HEAD" { by("GET") } else { None };
        let any = || self.rules.iter().find(|(method, _)| *method == HttpMethod::Any);
        own.or_else(head).or_else(any).map(|(_, value)| value)
    }
}

/// The texts that `variables` capture of a path that matched, in their order. `verb` is what
/// [`Match::Found`] said.
pub fn values(variables: &[Variable], path: &Path<'_>, verb: bool) -> Vec<String> {
    let reading = path.split_at_verb().filter(|_| verb).unwrap_or_else(|| path.whole());
    variables.iter().map(|variable| reading.capture(variable.first, variable.end)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::RuleText;
    use super::*;
    use crate::types::MessageId;

    /// All templates of `depth` segments that are `a` or `*`, each with an end of its own: a path
    /// of `a`s comes to every node.
    fn every_way(depth: u32) -> Trie<u32> {
        let mut trie = Trie::default();
        for bits in 0..1_u32 << depth {
            let segments: Vec<_> =
                (0..depth).map(|place| if bits >> place & 1 == 1 { "*" } else { "a" }).collect();
            let rule = RuleText {
                http_method: HttpMethod::Get,
                template: format!("/{}/end{bits}", segments.join("/")),
                body: String::new(),
                response_body: String::new(),
            };
            let rule = rule.compile(&[], MessageId(0), MessageId(0)).unwrap();
            trie.insert(&rule.http_method, &rule.template, bits).unwrap();
        }
        trie
    }

    #[test]
    fn a_walk_has_a_budget_that_no_ordinary_set_comes_near() {
        // 2^13 − 1 nodes and one end are within it, 2^14 − 1 are not.
        for (depth, found) in [(12, true), (13, false)] {
            let trie = every_way(depth);
            let segments = vec!["a"; depth as usize].join("/");
            let find = |end: u32| {
                let path = format!("/{segments}/end{end}");
                matches!(trie.find("GET", &Path::of(&path).unwrap()), Match::Found { .. })
            };
            assert!(find(0), "the first way is the shortest");
            assert_eq!(find((1 << depth) - 1), found, "the last way, {depth} deep");
        }
    }
}
