//! One change of a text: a value replaced, put in or taken out.
//!
//! `None` where the text is written in a way that is not understood here. Whoever calls proves the
//! result all the same.
//!
//! Not here: where things stand (`place`), how they are written (`render`).

use std::ops::Range;

use serde_json::{Map, Value};

use super::place::{
    behind_colon, end, ends_in_lines, indent, is_alias, is_flow, is_nothing, keeps_lines, line_end,
    line_is_done, line_start, significant,
};
use super::render::{self, Style};
use crate::source::{Key, Node, Value as Written};
use crate::yaml;

/// `text` with `value` at the keys of `trail`, or without what stands there.
pub(super) fn one(
    text: &str,
    trail: &[String],
    value: Option<&Value>,
    json: bool,
) -> Option<String> {
    let root = yaml::parse(text).ok()?;
    let style = if json { Style::Json } else { Style::Yaml };
    let edit = Edit { text, style };
    let mut node = &root;
    let mut above: Option<Entry<'_>> = None;
    for (depth, name) in trail.iter().enumerate() {
        if is_alias(text, node) {
            return None;
        }
        let missing = &trail[depth..];
        match &node.value {
            Written::Map(entries) => match entries.iter().position(|(key, _)| key.text == *name) {
                Some(index) => {
                    above = Some(Entry {
                        group: node,
                        entries,
                        index,
                        colon: above_colon(text, above.as_ref()),
                    });
                    node = &entries[index].1;
                }
                None => {
                    let Some(value) = value else { return Some(text.to_owned()) };
                    return edit.insert(node, entries, above.as_ref(), missing, value, trail);
                }
            },
            Written::Null => {
                let Some(value) = value else { return Some(text.to_owned()) };
                return edit.fill(&above?, missing, value);
            }
            _ => return None,
        }
    }
    let entry = above?;
    match value {
        Some(value) => edit.replace(&entry, &render::value(value, style)),
        None => edit.remove(&entry),
    }
}

/// One entry of a group.
#[derive(Clone)]
struct Entry<'a> {
    group: &'a Node,
    entries: &'a [(Key, Node)],
    index: usize,
    /// Behind the colon that leads to the group; `None` for the root.
    colon: Option<usize>,
}

impl<'a> Entry<'a> {
    fn key(&self) -> &'a Key {
        &self.entries[self.index].0
    }

    fn node(&self) -> &'a Node {
        &self.entries[self.index].1
    }
}

/// Behind the colon that leads to what `entry` holds.
fn above_colon(text: &str, entry: Option<&Entry<'_>>) -> Option<usize> {
    entry.and_then(|entry| behind_colon(text, entry.key()))
}

struct Edit<'a> {
    text: &'a str,
    style: Style,
}

impl Edit<'_> {
    fn with(&self, range: Range<usize>, new: &str) -> String {
        let mut text = self.text.to_owned();
        text.replace_range(range, new);
        text
    }

    fn blank(&self, range: Range<usize>) -> bool {
        self.text.get(range).is_some_and(|between| between.trim().is_empty())
    }

    /// Puts `new` in the place of the value.
    fn replace(&self, entry: &Entry<'_>, new: &str) -> Option<String> {
        let behind = behind_colon(self.text, entry.key())?;
        if is_nothing(entry.node()) {
            return Some(self.with(behind..behind, &format!(" {new}")));
        }
        let start = significant(self.text, behind);
        let end = end(self.text, entry.key(), entry.node())?;
        // A block below its key becomes a value beside it.
        let lines = self.text.get(behind..start)?.contains('\n');
        match lines && self.blank(behind..start) {
            true => Some(self.with(behind..end, &format!(" {new}"))),
            false => Some(self.with(start..end, new)),
        }
    }

    fn remove(&self, entry: &Entry<'_>) -> Option<String> {
        let end = end(self.text, entry.key(), entry.node())?;
        match is_flow(self.text, entry.group) {
            true => self.remove_from_flow(entry, end),
            false => self.remove_lines(entry, end),
        }
    }

    fn remove_lines(&self, entry: &Entry<'_>, end: usize) -> Option<String> {
        let key = entry.key();
        if entry.entries.len() == 1 {
            // An empty group says so, or it would be no group.
            return match entry.colon.filter(|colon| self.blank(*colon..key.span.start)) {
                Some(colon) => Some(self.with(colon..end, " {}")),
                None => Some(self.with(key.span.start..end, "{}")),
            };
        }
        indent(self.text, key)?;
        if !line_is_done(self.text, end) {
            return None;
        }
        let mut lines = line_start(self.text, key.span.start)..line_end(self.text, end);
        let before = entry.index.checked_sub(1).map(|before| &entry.entries[before].1);
        if before.is_some_and(|before| ends_in_lines(self.text, before)) {
            // Text that keeps the empty lines behind it must not be given more of them.
            lines.end = self.behind_blank(lines.end);
        }
        Some(self.with(lines, ""))
    }

    fn remove_from_flow(&self, entry: &Entry<'_>, end: usize) -> Option<String> {
        let start = entry.key().span.start;
        let after = end + self.text[end..].len() - self.text[end..].trim_start().len();
        if self.text[after..].starts_with(',') {
            let mut cut = start..after + 1;
            let own_line = self.blank(line_start(self.text, start)..start)
                && self.blank(cut.end..line_end(self.text, cut.end));
            if own_line {
                cut = line_start(self.text, start)..line_end(self.text, cut.end);
            } else {
                let spaces = self.text[cut.end..].bytes().take_while(|byte| *byte == b' ');
                cut.end += spaces.count();
            }
            return Some(self.with(cut, ""));
        }
        let Some(before) = entry.index.checked_sub(1) else {
            // Of braces nothing is left but themselves.
            let open = entry.group.span.end;
            let close = significant(self.text, end);
            return match self.blank(open..start) && self.blank(end..close) {
                true => Some(self.with(open..close, "")),
                false => Some(self.with(start..end, "")),
            };
        };
        let (key, node) = &entry.entries[before];
        let comma = significant(self.text, super::place::end(self.text, key, node)?);
        if !self.text[comma..].starts_with(',') {
            return None;
        }
        if self.blank(comma + 1..start) {
            return Some(self.with(comma..end, ""));
        }
        let mut text = self.with(start..end, "");
        text.replace_range(comma..comma + 1, "");
        Some(text)
    }

    /// Puts `missing` into a group that has entries or braces.
    fn insert(
        &self,
        group: &Node,
        entries: &[(Key, Node)],
        above: Option<&Entry<'_>>,
        missing: &[String],
        value: &Value,
        trail: &[String],
    ) -> Option<String> {
        if is_flow(self.text, group) {
            return self.insert_in_flow(group, entries, above, missing, value, trail);
        }
        let (key, node) = entries.last()?;
        let indent = indent(self.text, key)?;
        let end = end(self.text, key, node)?;
        if !line_is_done(self.text, end) {
            return None;
        }
        // Empty lines that belong to a text stay with it.
        let at = match keeps_lines(node) {
            true => self.behind_blank(line_end(self.text, end)),
            false => line_end(self.text, end),
        };
        Some(self.lines_behind(at, indent, missing, value))
    }

    /// The first line at or behind `at` that is not empty.
    fn behind_blank(&self, mut at: usize) -> usize {
        while at < self.text.len() && self.blank(at..line_end(self.text, at)) {
            at = line_end(self.text, at);
        }
        at
    }

    /// Lines for `missing`, put at the beginning of a line.
    fn lines_behind(&self, at: usize, indent: &str, missing: &[String], value: &Value) -> String {
        let newline = if self.text.contains("\r\n") { "\r\n" } else { "\n" };
        let mut lines = String::new();
        if !self.text[..at].ends_with('\n') {
            lines.push_str(newline);
        }
        let step = self.step();
        for (depth, name) in missing.iter().enumerate() {
            lines.push_str(indent);
            lines.push_str(&" ".repeat(depth * step));
            lines.push_str(&render::key(name, self.style));
            lines.push(':');
            if depth + 1 == missing.len() {
                lines.push(' ');
                lines.push_str(&render::value(value, self.style));
            }
            lines.push_str(newline);
        }
        self.with(at..at, &lines)
    }

    /// Spaces by which the author goes in.
    fn step(&self) -> usize {
        let lines = self.text.lines().map(|line| (line.trim_start(), line));
        let mut steps = lines.filter_map(|(words, line)| {
            let spaces = line.len() - words.len();
            let counts = (1..=8).contains(&spaces) && !words.is_empty() && !words.starts_with('#');
            counts.then_some(spaces)
        });
        steps.next().unwrap_or(2)
    }

    fn insert_in_flow(
        &self,
        group: &Node,
        entries: &[(Key, Node)],
        above: Option<&Entry<'_>>,
        missing: &[String],
        value: &Value,
        trail: &[String],
    ) -> Option<String> {
        let open = group.span.end;
        let quoted = entries.first().is_some_and(|(key, _)| {
            self.text.get(key.span.clone()).is_some_and(|key| key.starts_with('"'))
        });
        let style = if quoted { Style::Json } else { self.style };
        let (name, below) = missing.split_first()?;
        let entry = format!(
            "{}: {}",
            render::key(name, style),
            render::value(&nested(below, value), style)
        );
        if let Some((key, node)) = entries.last() {
            let (first, _) = entries.first()?;
            let space = self.text.get(open..first.span.start)?;
            let space = if space.trim().is_empty() && space.contains('\n') { space } else { " " };
            let end = end(self.text, key, node)?;
            return Some(self.with(end..end, &format!(",{space}{entry}")));
        }
        let close = significant(self.text, open);
        // Empty braces behind a key of a block: what is in them goes on lines of its own.
        if let Some(above) = above.filter(|above| !is_flow(self.text, above.group))
            && let Some(colon) = behind_colon(self.text, above.key())
            && self.blank(colon..group.span.start)
            && self.blank(open..close)
            && self.blank(close + 1..line_end(self.text, close + 1))
        {
            return one(&self.with(colon..close + 1, ""), trail, Some(value), false);
        }
        match (self.blank(open..close), style) {
            (true, Style::Yaml) => Some(self.with(open..close, &format!(" {entry} "))),
            (true, Style::Json) => Some(self.with(open..close, &entry)),
            (false, _) => Some(self.with(open..open, &format!(" {entry}"))),
        }
    }

    /// Puts `missing` where a group should be and nothing or `null` stands.
    fn fill(&self, entry: &Entry<'_>, missing: &[String], value: &Value) -> Option<String> {
        if !is_nothing(entry.node()) || is_flow(self.text, entry.group) {
            return self.replace(entry, &render::value(&nested(missing, value), self.style));
        }
        let behind = behind_colon(self.text, entry.key())?;
        if !line_is_done(self.text, behind) {
            return None;
        }
        let indent = indent(self.text, entry.key())?;
        let indent = format!("{indent}{}", " ".repeat(self.step()));
        Some(self.lines_behind(line_end(self.text, behind), &indent, missing, value))
    }
}

/// `value` inside of groups with these keys.
fn nested(keys: &[String], value: &Value) -> Value {
    keys.iter()
        .rev()
        .fold(value.clone(), |inner, key| Value::Object(Map::from_iter([(key.clone(), inner)])))
}
