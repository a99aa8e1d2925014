//! Keys and values as they are written into a document.
//!
//! Not here: where they are written (`change`).

use std::fmt::Write as _;

use serde_json::Value;

/// How a group around it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// Keys without quotes where they need none.
    Yaml,
    Json,
}

/// A key as it is written.
pub(super) fn key(name: &str, style: Style) -> String {
    match style == Style::Yaml && is_plain(name, true) {
        true => name.to_owned(),
        false => quoted(name),
    }
}

/// A value on one line.
pub(super) fn value(value: &Value, style: Style) -> String {
    let mut out = String::new();
    put(value, style, &mut out);
    out
}

/// Recursion is as deep as the value; a document that nests deeper than it may is not taken.
fn put(value: &Value, style: Style, out: &mut String) {
    match value {
        Value::String(text) if style == Style::Yaml && is_plain(text, false) => out.push_str(text),
        Value::String(text) => out.push_str(&quoted(text)),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                put(item, style, out);
            }
            out.push(']');
        }
        Value::Object(entries) if entries.is_empty() => out.push_str("{}"),
        Value::Object(entries) => {
            let space = if style == Style::Yaml { " " } else { "" };
            let _ = write!(out, "{{{space}");
            for (index, (name, value)) in entries.iter().enumerate() {
                let _ = write!(out, "{}{}: ", if index > 0 { ", " } else { "" }, key(name, style));
                put(value, style, out);
            }
            let _ = write!(out, "{space}}}");
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            let _ = write!(out, "{value}");
        }
    }
}

/// Whether a text means itself without quotes, everywhere.
fn is_plain(text: &str, dots: bool) -> bool {
    const OTHERS: [&str; 11] =
        ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf"];
    let letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    let inner =
        |byte: u8| letter(byte) || byte.is_ascii_digit() || byte == b'-' || (dots && byte == b'.');
    text.len() <= 512
        && text.bytes().next().is_some_and(letter)
        && text.bytes().all(inner)
        && !OTHERS.iter().any(|other| text.eq_ignore_ascii_case(other))
}

/// As JSON; what YAML does not take as it is, is escaped.
fn quoted(text: &str) -> String {
    let json = Value::from(text).to_string();
    let mut out = String::with_capacity(json.len());
    for letter in json.chars() {
        match letter {
            '\u{7f}'..='\u{9f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(letter));
            }
            letter => out.push(letter),
        }
    }
    out
}
