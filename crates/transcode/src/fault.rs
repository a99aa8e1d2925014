//! Why a conversion failed, and whose fault it is.

use std::fmt;

/// Bytes of the input that a reason may repeat (protocols B-7).
const ECHO_BYTES_MOST: usize = 64;

/// The first fault of an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Path of the field, `product.price.units`; empty for the input as a whole.
    pub field: String,
    /// A sentence for the caller, without a full stop; repeats at most 64 bytes of the input.
    pub reason: String,
    /// Byte offset in the JSON text, where there is one.
    pub position: Option<usize>,
    pub kind: FaultKind,
    /// The limit that was met, if it was one.
    pub limit: Option<FaultLimit>,
}

/// A fault on its way up: a pointer, so that the way that meets none stays cheap.
pub(crate) type Stop = Box<Fault>;

impl From<Stop> for Fault {
    fn from(stop: Stop) -> Fault {
        *stop
    }
}

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// What the caller sent cannot be read or bound: 400.
    Caller,
    /// What the upstream sent cannot be written as JSON: 502.
    Upstream,
    /// The answer would grow past its bound (security LI-16).
    TooLarge,
}

/// A limit of [`Limits`](crate::Limits), or the bound of what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultLimit {
    JsonDepth,
    JsonNodes,
    JsonOut,
    WireDepth,
}

impl Fault {
    pub(crate) fn caller(reason: impl Into<String>) -> Fault {
        Fault {
            field: String::new(),
            reason: reason.into(),
            position: None,
            kind: FaultKind::Caller,
            limit: None,
        }
    }

    /// It was this limit that was met.
    pub(crate) fn over(mut self, limit: FaultLimit) -> Fault {
        self.limit = Some(limit);
        self
    }

    pub(crate) fn upstream(reason: impl Into<String>) -> Fault {
        Fault { kind: FaultKind::Upstream, ..Fault::caller(reason) }
    }

    pub(crate) fn at(mut self, position: usize) -> Fault {
        self.position.get_or_insert(position);
        self
    }

    /// Says that the fault lies below the field `name`.
    pub(crate) fn within(mut self, name: &str) -> Fault {
        self.put_within(name);
        self
    }

    /// As [`Fault::within`], in its place.
    pub(crate) fn put_within(&mut self, name: &str) {
        if self.field.is_empty() {
            self.field = name.to_owned();
        } else if self.field.starts_with('[') {
            self.field.insert_str(0, name);
        } else {
            self.field.insert(0, '.');
            self.field.insert_str(0, name);
        }
        // A path is for people: one that goes on for ever is cut from the right.
        if self.field.len() > 256 {
            let end = (0..=256).rev().find(|end| self.field.is_char_boundary(*end)).unwrap_or(0);
            self.field.truncate(end);
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(formatter, "{}: ", self.field)?;
        }
        formatter.write_str(&self.reason)?;
        if let Some(position) = self.position {
            write!(formatter, " (at byte {position})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}

/// A piece of the input as a reason may show it: quoted, cut to 64 bytes, controls escaped.
pub(crate) fn echo(text: &str) -> String {
    let end = (0..=text.len().min(ECHO_BYTES_MOST))
        .rev()
        .find(|end| text.is_char_boundary(*end))
        .unwrap_or(0);
    let dots = if end < text.len() { "…" } else { "" };
    format!("`{}{dots}`", text[..end].escape_debug())
}
