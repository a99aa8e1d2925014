//! One file as it was written: its text, and a tree of its values that knows their places.
//!
//! The tree is the only thing that the readers of the documents see, so they can report every
//! fault of a file at once. It is bounded by the budget of `yaml` before it is built.
//!
//! Not here: the YAML library (`yaml`), what keys mean (`read`).

use std::fmt::{self, Write as _};
use std::ops::Range;

/// A file that was read.
#[derive(Debug)]
pub(crate) struct Source {
    /// As people name it: relative to the folder of `tandem.yaml`.
    pub name: String,
    pub text: String,
    pub(crate) root: Option<Node>,
}

impl Source {
    /// Where the value, or the key that leads to it, stands; the nearest thing above it where it
    /// is not in the file.
    pub(crate) fn place(&self, trail: &[Step<'_>]) -> Place {
        let mut place = Place::default();
        let Some(mut node) = self.root.as_ref() else { return place };
        for step in trail {
            let found = match (step, &node.value) {
                (Step::Key(name), Value::Map(entries)) => entries
                    .iter()
                    .find(|(key, _)| key.text == *name)
                    .map(|(key, value)| (Some(key.span.clone()), value)),
                (Step::Index(index), Value::List(items)) => {
                    items.get(*index).map(|item| (None, item))
                }
                _ => None,
            };
            let Some((key, value)) = found else { break };
            place = Place {
                context: place.key.clone().or(place.context),
                key: key.clone(),
                span: match (key, &value.value) {
                    (Some(key), Value::Map(_) | Value::List(_)) => key,
                    _ => value.span.clone(),
                },
            };
            node = value;
        }
        place
    }

    /// Whether a list stands there.
    pub(crate) fn is_list(&self, trail: &[Step<'_>]) -> bool {
        let mut node = self.root.as_ref();
        for step in trail {
            node = match (step, node.map(|node| &node.value)) {
                (Step::Key(name), Some(Value::Map(entries))) => {
                    entries.iter().find(|(key, _)| key.text == *name).map(|(_, value)| value)
                }
                (Step::Index(index), Some(Value::List(items))) => items.get(*index),
                _ => None,
            };
        }
        matches!(node.map(|node| &node.value), Some(Value::List(_)))
    }

    /// The place of the scalar `text`, narrowed to what begins at its character `column` (from 1).
    /// The whole scalar where it is not written letter by letter.
    pub(crate) fn within(&self, place: Place, text: &str, column: usize) -> Place {
        let written = self.text.get(place.span.clone()).unwrap_or_default();
        let quote = usize::from(written.starts_with(['"', '\'']));
        let skipped: usize = text.chars().take(column - 1).map(char::len_utf8).sum();
        let begin = place.span.start + quote + skipped;
        let end = place.span.start + quote + text.len();
        match written.get(quote..).is_some_and(|written| written.starts_with(text)) && begin < end {
            true => Place { span: begin..end, ..place },
            false => place,
        }
    }

    /// Line and column of a byte, both from 1; columns count characters.
    pub(crate) fn line_and_column(&self, byte: usize) -> (usize, usize) {
        let before = self.text.get(..byte).unwrap_or(&self.text);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before.chars().rev().take_while(|letter| *letter != '\n').count() + 1;
        (line, column)
    }
}

/// Bytes of a text that a message points at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) span: Range<usize>,
    /// The key in front of the value.
    key: Option<Range<usize>>,
    /// The key above it, shown for orientation.
    pub(crate) context: Option<Range<usize>>,
}

impl Place {
    pub(crate) fn new(span: Range<usize>, context: Option<Range<usize>>) -> Place {
        Place { span, key: None, context }
    }
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) span: Range<usize>,
    pub(crate) value: Value,
}

#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Integer(i128),
    /// Finite.
    Float(f64),
    Text(String),
    List(Vec<Node>),
    /// In the order of the file, doubles included.
    Map(Vec<(Key, Node)>),
}

impl Value {
    /// In the words of a message: "this is …".
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Value::Null => "empty",
            Value::Bool(_) => "true or false",
            Value::Integer(_) | Value::Float(_) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a group of keys",
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) span: Range<usize>,
}

/// One step of a path in a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

/// A path for people: `methods["a.B/C"].limits`, `upstreams.go.address[1]`. Long keys are cut.
pub(crate) struct Trail<'a>(pub(crate) &'a [Step<'a>]);

impl fmt::Display for Trail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(name) if plain(name) => {
                    if position > 0 {
                        f.write_char('.')?;
                    }
                    f.write_str(name)?;
                }
                Step::Key(name) => write!(f, "[\"{}\"]", cut(name))?,
            }
        }
        Ok(())
    }
}

fn plain(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// At most 96 characters of a text that strangers wrote, control characters escaped.
pub(crate) fn cut(text: &str) -> String {
    let mut letters = text.chars();
    let mut shown: String = letters
        .by_ref()
        .take(96)
        .flat_map(|letter| match letter.is_control() {
            true => letter.escape_default().collect::<Vec<_>>(),
            false => vec![letter],
        })
        .collect();
    if letters.next().is_some() {
        shown.push('…');
    }
    shown
}
