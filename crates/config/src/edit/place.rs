//! Where things stand in the text of a document: the end of a value, what lies between two.
//!
//! The tree of `crate::yaml` says where values begin, and of single ones where they end. Everything
//! here may be wrong about a text that is written strangely: whoever edits proves the result.
//!
//! Not here: changing anything (`change`).

use crate::source::{Key, Node, Value};

/// What YAML takes for space, line ends among it.
const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// Whether the group is written with braces.
pub(super) fn is_flow(text: &str, node: &Node) -> bool {
    text.get(node.span.clone()) == Some("{")
}

/// Whether the value stands elsewhere.
pub(super) fn is_alias(text: &str, node: &Node) -> bool {
    text.get(node.span.start..).is_some_and(|rest| rest.starts_with('*'))
}

/// Whether nothing is written for the value, not even `null`.
pub(super) fn is_nothing(node: &Node) -> bool {
    matches!(node.value, Value::Null) && node.span.is_empty()
}

/// The byte behind the colon of a key.
pub(super) fn behind_colon(text: &str, key: &Key) -> Option<usize> {
    let rest = text.get(key.span.end..)?;
    let colon = rest.find(|letter| letter != ' ' && letter != '\t')?;
    rest[colon..].starts_with(':').then_some(key.span.end + colon + 1)
}

/// The byte behind a value, which stands behind the colon of `key`.
pub(super) fn end(text: &str, key: &Key, node: &Node) -> Option<usize> {
    match is_nothing(node) {
        true => behind_colon(text, key),
        false => end_of(text, node),
    }
}

/// Recursion is as deep as documents may nest.
fn end_of(text: &str, node: &Node) -> Option<usize> {
    if is_alias(text, node) {
        return Some(node.span.end);
    }
    match &node.value {
        Value::Map(entries) => {
            let last = entries.last();
            let inner = last.map_or(Some(node.span.end), |(key, node)| end(text, key, node))?;
            if is_flow(text, node) { closing(text, inner, '}') } else { Some(inner) }
        }
        Value::List(items) => {
            let last = items.last();
            let inner = last.map_or(Some(node.span.end), |item| end_of(text, item))?;
            match text.get(node.span.clone()) {
                Some("[") => closing(text, inner, ']'),
                _ => Some(inner),
            }
        }
        // Text in a block is said to go on to the next key.
        Value::Text(_) => Some(text.get(..node.span.end)?.trim_end_matches(SPACE).len()),
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) => Some(node.span.end),
    }
}

/// Whether the last thing of a value is text of several lines.
pub(super) fn ends_in_lines(text: &str, node: &Node) -> bool {
    let last = last_of(node);
    matches!(last.value, Value::Text(_))
        && text.get(last.span.clone()).is_some_and(|text| text.contains('\n'))
}

/// Whether the last thing of a value is text with empty lines at its end.
pub(super) fn keeps_lines(node: &Node) -> bool {
    matches!(&last_of(node).value, Value::Text(text) if text.ends_with("\n\n"))
}

/// The last single value in a value.
fn last_of(node: &Node) -> &Node {
    let inner = match &node.value {
        Value::Map(entries) => entries.last().map(|(_, last)| last),
        Value::List(items) => items.last(),
        _ => None,
    };
    inner.map_or(node, last_of)
}

/// The byte behind the bracket that closes a group whose last value ends at `from`.
fn closing(text: &str, from: usize, bracket: char) -> Option<usize> {
    let mut at = from;
    loop {
        at = significant(text, at);
        match text[at..].chars().next()? {
            ',' | ':' => at += 1,
            found => return (found == bracket).then_some(at + 1),
        }
    }
}

/// The next byte at or behind `from` that is neither space nor comment; the end of the text where
/// there is none.
pub(super) fn significant(text: &str, from: usize) -> usize {
    let mut at = from;
    loop {
        at += text[at..].len() - text[at..].trim_start_matches(SPACE).len();
        let comment = text[at..].starts_with('#')
            && text[..at].chars().next_back().is_none_or(|letter| SPACE.contains(&letter));
        if !comment {
            return at;
        }
        at = line_end(text, at);
    }
}

/// Whether nothing but space and comments stands between `from` and the end of its line.
pub(super) fn line_is_done(text: &str, from: usize) -> bool {
    significant(text, from) >= line_end(text, from)
}

/// The first byte of the line of `at`.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}

/// The byte behind the line of `at` and its newline.
pub(super) fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |newline| at + newline + 1)
}

/// The spaces in front of a key that is the first thing on its line.
pub(super) fn indent<'a>(text: &'a str, key: &Key) -> Option<&'a str> {
    let before = text.get(line_start(text, key.span.start)..key.span.start)?;
    before.bytes().all(|byte| byte == b' ').then_some(before)
}
