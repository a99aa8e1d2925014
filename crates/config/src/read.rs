//! From a tree to a document: known keys taken, every other key answered, all at once.
//!
//! A reader never stops at a fault: it notes it and goes on with the default, so that one run
//! names them all. A document with problems is thrown away by `load`.
//!
//! Not here: what the documents mean together (`check`).

mod auth;
mod cache;
mod contract;
mod cost;
mod identity;
mod limits;
mod mirror;
mod namespace;
mod platform;
mod rest;
mod same;
mod settings;
mod tls;

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub(crate) use self::namespace::namespace;
pub(crate) use self::platform::platform;
use crate::document::units::{self, UnitFault};
use crate::problem::{Problem, Tnd};
use crate::source::{Key, Node, Place, Source, Step, Value, cut};
use crate::suggest;

/// Problems kept of one file; far more than are shown.
const PROBLEMS_MAX: usize = 1_000;

/// What a group of keys knows.
pub(crate) enum Known {
    /// Read by this build.
    Now(&'static str),
    /// A key of the format that this build cannot serve: TND0004, never accepted in silence.
    Later(&'static str),
    /// As [`Known::Later`], with what to do meanwhile.
    Instead(&'static str, &'static str),
}

impl Known {
    fn name(&self) -> &'static str {
        match self {
            Known::Now(name) | Known::Later(name) | Known::Instead(name, _) => name,
        }
    }
}

/// Which layer of the precedence is read (experience UX-25).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layer {
    Defaults,
    /// `package.Service/*`.
    Service,
    /// `package.Service/Method`.
    Method,
}

/// A file being read.
pub(crate) struct Reading {
    source: Arc<Source>,
    /// Where files that the document names are looked for.
    folder: PathBuf,
    pub(crate) problems: Vec<Problem>,
}

/// A value, and how one came to it.
#[derive(Clone, Copy)]
pub(crate) struct At<'a> {
    pub(crate) node: &'a Node,
    key: Option<&'a Key>,
    step: Option<Step<'a>>,
    above: Option<&'a At<'a>>,
}

impl<'a> At<'a> {
    pub(crate) fn root(node: &'a Node) -> At<'a> {
        At { node, key: None, step: None, above: None }
    }

    fn below(&'a self, step: Step<'a>, key: Option<&'a Key>, node: &'a Node) -> At<'a> {
        At { node, key, step: Some(step), above: Some(self) }
    }

    /// The name of the key.
    pub(crate) fn name(&self) -> &'a str {
        match self.step {
            Some(Step::Key(name)) => name,
            Some(Step::Index(_)) | None => "",
        }
    }

    fn trail(&self) -> Vec<Step<'a>> {
        let mut trail = self.above.map_or_else(Vec::new, |above| above.trail());
        trail.extend(self.step);
        trail
    }

    fn place(&self) -> Place {
        let span = match (&self.node.value, self.key) {
            (Value::Map(_) | Value::List(_) | Value::Null, Some(key)) => key.span.clone(),
            _ => self.node.span.clone(),
        };
        Place::new(span, self.key_above())
    }

    fn key_above(&self) -> Option<std::ops::Range<usize>> {
        let above = self.above?;
        above.key.map(|key| key.span.clone()).or_else(|| above.key_above())
    }

    /// The entries of a group of any names; doubles are told once by [`Reading::entries`].
    fn items(&'a self) -> Vec<At<'a>> {
        match &self.node.value {
            Value::List(items) => items
                .iter()
                .enumerate()
                .map(|(index, node)| self.below(Step::Index(index), None, node))
                .collect(),
            _ => Vec::new(),
        }
    }
}

impl Reading {
    /// Of a document that lies in `folder`.
    pub(crate) fn new(source: Arc<Source>, folder: &Path) -> Reading {
        Reading { source, folder: folder.to_owned(), problems: Vec::new() }
    }

    pub(crate) fn problem(&mut self, at: &At<'_>, problem: Problem) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem.at_place(&self.source, &at.trail(), at.place()));
        }
    }

    /// A problem at the key instead of at its value.
    fn problem_at_key(&mut self, at: &At<'_>, problem: Problem) {
        if self.problems.len() < PROBLEMS_MAX {
            let span = at.key.map_or_else(|| at.node.span.clone(), |key| key.span.clone());
            let place = Place::new(span, at.key_above());
            self.problems.push(problem.at_place(&self.source, &at.trail(), place));
        }
    }

    pub(crate) fn wrong(&mut self, at: &At<'_>, should: impl Display, example: impl Into<String>) {
        let problem = Problem::error(Tnd::WrongType, format!("`{}` {should}", shown(at)))
            .here(format!("this is {}", at.node.value.kind()))
            .fix(example);
        self.problem(at, problem);
    }

    fn unit(&mut self, at: &At<'_>, fault: UnitFault) {
        let UnitFault { wrong, right } = fault;
        let what = format!("`{}` has a value that cannot be read", shown(at));
        self.problem(at, Problem::error(Tnd::WrongType, what).here(wrong).fix(right));
    }

    pub(crate) fn over(&mut self, at: &At<'_>, least: impl Display, most: impl Display) {
        let problem = Problem::error(Tnd::OverLimit, format!("`{}` is out of range", shown(at)))
            .here(format!("allowed is {least} to {most}"))
            .fix(format!("write a value from {least} to {most}"));
        self.problem(at, problem);
    }

    pub(crate) fn later(&mut self, at: &At<'_>, instead: &str) {
        let name = shown(at);
        let fix = match instead {
            "" => format!("take `{name}` out"),
            instead => instead.to_owned(),
        };
        let problem = Problem::error(Tnd::NotBuiltIn, format!("`{name}` is not built in"))
            .here("this build knows the key and cannot do what it asks")
            .why("a key without effect would promise what does not happen")
            .fix(fix);
        self.problem_at_key(at, problem);
    }

    /// Says nothing where a misspelt key was meant to be this one: that key is a problem already.
    pub(crate) fn missing(&mut self, at: &At<'_>, name: &str, fix: &str) {
        if let Value::Map(entries) = &at.node.value
            && entries.iter().any(|(key, _)| suggest::nearest(&key.text, [name]).is_some())
        {
            return;
        }
        let what = match at.step {
            None => format!("`{name}` is missing"),
            Some(_) => format!("`{}` has no `{name}`", shown(at)),
        };
        let problem = Problem::error(Tnd::MissingKey, what).fix(fix);
        self.problem_at_key(at, problem);
    }

    /// The values of the known keys, in the order of `known`; every other key is a problem.
    pub(crate) fn fields<'a>(&mut self, at: &'a At<'a>, known: &[Known]) -> Fields<'a> {
        let mut found = Vec::new();
        for entry in self.entries(at) {
            match known.iter().find(|known| known.name() == entry.name()) {
                Some(Known::Now(_)) => found.push(entry),
                Some(Known::Later(_)) => self.later(&entry, ""),
                Some(Known::Instead(_, instead)) => self.later(&entry, instead),
                None => self.unknown(&entry, known),
            }
        }
        Fields(found)
    }

    fn unknown(&mut self, entry: &At<'_>, known: &[Known]) {
        let name = shown(entry);
        let here = suggest::or_nothing(entry.name(), known.iter().map(Known::name));
        let fix = match suggest::nearest(entry.name(), known.iter().map(Known::name)) {
            Some(near) => format!("write `{near}`"),
            None => {
                let names: Vec<_> =
                    known.iter().map(|known| format!("`{}`", known.name())).collect();
                format!("take it out; known here are {}", names.join(", "))
            }
        };
        let problem = Problem::error(Tnd::UnknownKey, format!("unknown key `{name}`"))
            .here(here.unwrap_or_default())
            .fix(fix);
        self.problem_at_key(entry, problem);
    }

    /// All entries of a group, a doubled key once; something else than a group is a problem.
    pub(crate) fn entries<'a>(&mut self, at: &'a At<'a>) -> Vec<At<'a>> {
        let Value::Map(entries) = &at.node.value else {
            self.wrong(at, "is a group of keys", "write `key: value` lines below it, or `{}`");
            return Vec::new();
        };
        let mut first: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
        let mut found = Vec::new();
        for (key, node) in entries {
            let entry = at.below(Step::Key(&key.text), Some(key), node);
            match first.get(key.text.as_str()) {
                None => {
                    let (line, _) = self.source.line_and_column(key.span.start);
                    first.insert(&key.text, line);
                    found.push(entry);
                }
                Some(line) => {
                    let what = format!("`{}` is written twice", shown(&entry));
                    let problem = Problem::error(Tnd::DuplicateKey, what)
                        .here(format!("first written in line {line}"))
                        .why("one of the two would be lost")
                        .fix("keep one of them");
                    self.problem_at_key(&entry, problem);
                }
            }
        }
        found
    }

    pub(crate) fn text<'a>(&mut self, at: &At<'a>) -> Option<&'a str> {
        match &at.node.value {
            Value::Text(text) => Some(text),
            Value::Bool(_) | Value::Integer(_) | Value::Float(_) => {
                self.wrong(at, "is text", "put the value in quotes");
                None
            }
            Value::Null | Value::List(_) | Value::Map(_) => {
                self.wrong(at, "is text", "write one word or a text in quotes");
                None
            }
        }
    }

    /// One of a few words, each with what it means. A word of digits may stand without quotes.
    pub(crate) fn word<T: Copy>(&mut self, at: &At<'_>, words: &[(&str, T)]) -> Option<T> {
        let written = match &at.node.value {
            Value::Integer(number) => number.to_string(),
            _ => self.text(at)?.to_owned(),
        };
        let found = words.iter().find(|(word, _)| *word == written);
        if found.is_none() {
            let names = || words.iter().map(|(word, _)| *word);
            let all: Vec<String> = names().map(|word| format!("`{word}`")).collect();
            let what = format!("`{}` is {}", shown(at), all.join(" or "));
            let problem = Problem::error(Tnd::WrongType, what)
                .here(suggest::or_nothing(&written, names()).unwrap_or_default())
                .fix(format!("write {}", all.join(" or ")));
            self.problem(at, problem);
        }
        found.map(|(_, meaning)| *meaning)
    }

    pub(crate) fn boolean(&mut self, at: &At<'_>) -> Option<bool> {
        match &at.node.value {
            Value::Bool(value) => Some(*value),
            _ => {
                self.wrong(at, "is `true` or `false`", "write `true` or `false`");
                None
            }
        }
    }

    /// A whole number of `range`.
    pub(crate) fn count<T>(&mut self, at: &At<'_>, range: RangeInclusive<T>) -> Option<T>
    where
        T: TryFrom<i128> + PartialOrd + Display,
    {
        let (least, most) = range.into_inner();
        let Value::Integer(number) = at.node.value else {
            let should = format!("is a whole number from {least} to {most}");
            self.wrong(at, should, "write the number without a unit and without quotes");
            return None;
        };
        let within = T::try_from(number).ok().filter(|value| *value >= least && *value <= most);
        if within.is_none() {
            self.over(at, least, most);
        }
        within
    }

    /// A value with a unit; a bare number goes to `parse` as well, which names the units.
    pub(crate) fn parsed<T>(
        &mut self,
        at: &At<'_>,
        parse: impl FnOnce(&str) -> Result<T, UnitFault>,
    ) -> Option<T> {
        let parsed = match &at.node.value {
            Value::Text(text) => parse(text),
            Value::Integer(number) => parse(&number.to_string()),
            Value::Float(_) => {
                parse(self.source.text.get(at.node.span.clone()).unwrap_or_default())
            }
            Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => {
                self.text(at);
                return None;
            }
        };
        parsed.map_err(|fault| self.unit(at, fault)).ok()
    }

    /// A duration of the range, whose ends are written as people write them.
    pub(crate) fn duration(&mut self, at: &At<'_>, least: &str, most: &str) -> Option<Duration> {
        self.within(at, units::parse_duration, least, most)
    }

    /// Bytes of the range, whose ends are written as people write them.
    pub(crate) fn size(&mut self, at: &At<'_>, least: &str, most: &str) -> Option<u64> {
        self.within(at, units::parse_size, least, most)
    }

    pub(crate) fn within<T: PartialOrd>(
        &mut self,
        at: &At<'_>,
        parse: fn(&str) -> Result<T, UnitFault>,
        least: &str,
        most: &str,
    ) -> Option<T> {
        let value = self.parsed(at, parse)?;
        let range = (parse(least), parse(most));
        let (Ok(first), Ok(last)) = range else {
            unreachable!("the ends of a range in the code are well formed");
        };
        if value < first || value > last {
            self.over(at, least, most);
            return None;
        }
        Some(value)
    }

    /// Each item of a list, those that can be read.
    pub(crate) fn list<T>(
        &mut self,
        at: &At<'_>,
        mut item: impl FnMut(&mut Reading, &At<'_>) -> Option<T>,
    ) -> Vec<T> {
        if !matches!(at.node.value, Value::List(_)) {
            self.wrong(at, "is a list", "write `[ONE, TWO]`, or `[]` for none");
            return Vec::new();
        }
        at.items().iter().filter_map(|at| item(self, at)).collect()
    }

    /// `[a-z0-9-]{1,63}` (experience UX-24, security T-2).
    pub(crate) fn check_name(&mut self, at: &At<'_>, name: &str) -> bool {
        let good = (1..=63).contains(&name.len())
            && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if !good {
            let what = format!("`{}` is no name", cut(name));
            let problem = Problem::error(Tnd::WrongType, what)
                .here("a name is 1 to 63 of `a` to `z`, `0` to `9` and `-`")
                .fix("choose another name");
            match at.name() == name {
                true => self.problem_at_key(at, problem),
                false => self.problem(at, problem),
            }
        }
        good
    }
}

/// The last step of a path, for a message.
fn shown(at: &At<'_>) -> String {
    match at.step {
        Some(Step::Key(name)) => cut(name),
        Some(Step::Index(index)) => {
            let list = at.above.map(shown).unwrap_or_default();
            format!("{list}[{index}]")
        }
        None => "the document".to_owned(),
    }
}

/// The known keys of a group that are in the file.
pub(crate) struct Fields<'a>(Vec<At<'a>>);

impl<'a> Fields<'a> {
    pub(crate) fn get(&self, name: &str) -> Option<&At<'a>> {
        self.0.iter().find(|at| at.name() == name)
    }
}
