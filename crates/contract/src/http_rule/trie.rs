//! The matcher of templates: one trie, walked by precedence.
//!
//! At each segment a literal goes before `*`, and `*` before `**`, whatever the order of
//! declaration; a rule with a verb goes before one without (protocols P-8). Where a preferred
//! branch leads nowhere the walk comes back, with a budget of steps, so that no set of templates
//! makes a path expensive.
//!
//! Not here: reading paths (`path`), what the match means.

use std::collections::HashMap;

use super::path::Segments;
use super::{HttpMethod, Segment, Template, Variable};

/// Steps of one walk; ordinary sets need a handful.
const STEPS_MOST: u32 = 10_000;

/// Templates → values of type `T`.
#[derive(Debug)]
pub struct Trie<T> {
    nodes: Vec<Node<T>>,
}

#[derive(Debug)]
struct Node<T> {
    literals: HashMap<Box<str>, usize>,
    one: Option<usize>,
    /// Rules that end here, by verb (empty for none).
    ends: HashMap<Box<str>, Leaf<T>>,
    /// Rules whose last segment is `**`, from here on.
    rests: HashMap<Box<str>, Leaf<T>>,
}

/// Rules of one template, by HTTP method.
#[derive(Debug)]
struct Leaf<T>(Vec<(HttpMethod, T)>);

impl<T> Default for Node<T> {
    fn default() -> Node<T> {
        Node { literals: HashMap::new(), one: None, ends: HashMap::new(), rests: HashMap::new() }
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
    Found(&'a T),
    /// The path is known, the HTTP method is not; those that are, in alphabetical order, `*`
    /// never among them.
    WrongMethod(Vec<&'a str>),
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
                Segment::Literal(text) => {
                    at = match self.nodes[at].literals.get(text) {
                        Some(next) => *next,
                        None => {
                            let next = self.push();
                            self.nodes[at].literals.insert(text.clone(), next);
                            next
                        }
                    };
                }
                Segment::One => {
                    at = match self.nodes[at].one {
                        Some(next) => next,
                        None => {
                            let next = self.push();
                            self.nodes[at].one = Some(next);
                            next
                        }
                    };
                }
                Segment::Rest => rest = true,
            }
        }
        let node = &mut self.nodes[at];
        let leaves = if rest { &mut node.rests } else { &mut node.ends };
        let verb: Box<str> = template.verb.clone().unwrap_or_default();
        let leaf = &mut leaves.entry(verb).or_insert_with(|| Leaf(Vec::new())).0;
        if let Some(place) = leaf.iter().position(|(method, _)| method == http_method) {
            return Err(&leaf[place].1);
        }
        leaf.push((http_method.clone(), value));
        Ok(())
    }

    fn push(&mut self) -> usize {
        self.nodes.push(Node::default());
        self.nodes.len() - 1
    }

    /// Looks up a path. The second part says whether the last segment was split at its verb.
    pub fn find<'a>(&'a self, http_method: &str, path: &Segments) -> (Match<'a, T>, bool) {
        if path.trailing_slash {
            return (Match::NotFound, false);
        }
        let mut steps = STEPS_MOST;
        if let Some((before, verb)) = &path.split {
            let head = &path.plain[..path.plain.len() - 1];
            let found = self.walk(0, head, Some(before), verb, &mut steps);
            // Known verb: its rules decide, even where they refuse the method (P-7).
            if let Some(leaf) = found {
                return (leaf.by_method(http_method), true);
            }
        }
        match self.walk(0, &path.plain, None, "", &mut steps) {
            Some(leaf) => (leaf.by_method(http_method), false),
            None => (Match::NotFound, false),
        }
    }

    /// The preferred leaf for `segments`, then `last`, below the node `at`. Recursion is as deep
    /// as templates are long.
    fn walk<'a>(
        &'a self,
        at: usize,
        segments: &[String],
        last: Option<&String>,
        verb: &str,
        steps: &mut u32,
    ) -> Option<&'a Leaf<T>> {
        *steps = steps.checked_sub(1)?;
        let node = &self.nodes[at];
        let (segment, segments, last) = match (segments.split_first(), last) {
            (Some((segment, rest)), last) => (segment, rest, last),
            (None, Some(last)) => (last, segments, None),
            (None, None) => {
                return node.ends.get(verb).or_else(|| node.rests.get(verb));
            }
        };
        let literal = node.literals.get(segment.as_str()).copied();
        // An empty text before a verb (`/v1/:verb`) is no segment that a `*` could match.
        let one = node.one.filter(|_| !segment.is_empty());
        for next in [literal, one].into_iter().flatten() {
            if let Some(leaf) = self.walk(next, segments, last, verb, steps) {
                return Some(leaf);
            }
        }
        node.rests.get(verb).filter(|_| !segment.is_empty())
    }
}

impl<T> Leaf<T> {
    fn by_method(&self, http_method: &str) -> Match<'_, T> {
        let by = |wanted: &str| self.0.iter().find(|(method, _)| method.name() == wanted);
        // Without a rule of its own HEAD runs the rule of GET (P-9).
        let found = by(http_method)
            .or_else(|| if http_method == "HEAD" { by("GET") } else { None })
            .or_else(|| self.0.iter().find(|(method, _)| *method == HttpMethod::Any));
        if let Some((_, value)) = found {
            return Match::Found(value);
        }
        let mut allow: Vec<&str> = self.0.iter().map(|(method, _)| method.name()).collect();
        if allow.contains(&"GET") && !allow.contains(&"HEAD") {
            allow.push("HEAD");
        }
        if !allow.contains(&"OPTIONS") {
            allow.push("OPTIONS");
        }
        allow.sort_unstable();
        Match::WrongMethod(allow)
    }
}

/// The texts that `variables` capture of a path that matched, in their order.
pub fn values(variables: &[Variable], path: &Segments, split: bool) -> Vec<String> {
    let mut plain: Vec<&str> = path.plain.iter().map(String::as_str).collect();
    if split && let (Some((before, _)), Some(last)) = (&path.split, plain.last_mut()) {
        *last = before;
    }
    variables
        .iter()
        .map(|variable| {
            let end = variable.end.unwrap_or(plain.len()).min(plain.len());
            plain[variable.first.min(end)..end].join("/")
        })
        .collect()
}
