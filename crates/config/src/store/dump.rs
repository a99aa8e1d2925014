//! A whole store as JSON lines, and back.
//!
//! The first line describes the dump, each further one holds a key with its value in base64, the
//! last a SHA-256 over all lines before it. Secrets stay sealed: a dump is of no use without the
//! key that sealed them. A dump is filled into an empty store in one change, which then stands at
//! the dump's revision or later, so that nobody who watched the old one takes it for set back.
//!
//! Not here: what is wrong with the values (`check`), files (the command line).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use super::{Change, Digest, Key, Kind, Range, Revision, Store, StoreFault};

/// How a dump is written.
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct First {
    tandem_store_dump: u32,
    revision: Revision,
    entries: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    key: Key,
    value: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Last {
    sha256: Digest,
}

/// Why a dump was not filled in.
#[derive(Debug, thiserror::Error)]
pub enum DumpFault {
    #[error("line {line} of the dump {what}")]
    Line { line: usize, what: &'static str },
    #[error("the dump has format {0}, and this build reads {FORMAT}")]
    Format(u32),
    #[error("the store is not empty")]
    NotEmpty,
    #[error(transparent)]
    Store(#[from] StoreFault),
}

/// Everything in the store, at one revision. It asks for no right: whoever
/// offers it to others asks first.
///
/// # Errors
/// A store that cannot be read.
pub fn dump(store: &dyn Store) -> Result<String, StoreFault> {
    let view = store.read(&[], &everything())?;
    let first =
        First { tandem_store_dump: FORMAT, revision: view.revision, entries: view.entries.len() };
    let mut text = json(&first);
    for (key, entry) in view.entries {
        text += &json(&Line { key, value: BASE64_STANDARD.encode(entry.value) });
    }
    let sha256 = Digest::of(text.as_bytes());
    text += &json(&Last { sha256 });
    Ok(text)
}

/// Fills an empty store with what [`dump`] gave.
///
/// # Errors
/// A dump that was cut or altered, a store that is not empty or cannot be written; nothing was
/// filled in then.
pub fn restore(store: &dyn Store, text: &str) -> Result<Revision, DumpFault> {
    let (revision, entries) = read(text)?;
    let mut change = Change::new();
    change.at_least(revision);
    let view = store.read(&[], &everything())?;
    if !view.entries.is_empty() {
        return Err(DumpFault::NotEmpty);
    }
    for (key, value) in entries {
        change.expect(key.clone(), None);
        change.put(key, value);
    }
    Ok(store.commit(&change)?)
}

fn read(text: &str) -> Result<(Revision, BTreeMap<Key, Vec<u8>>), DumpFault> {
    let fault = |line: usize, what| DumpFault::Line { line, what };
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let [first, middle @ .., last] = lines.as_slice() else {
        return Err(fault(lines.len(), "is missing: the dump was cut"));
    };
    let end = lines.len();
    let head: First = serde_json::from_str(first).map_err(|_| fault(1, "is no dump's first"))?;
    if head.tandem_store_dump != FORMAT {
        return Err(DumpFault::Format(head.tandem_store_dump));
    }
    let Last { sha256 } = serde_json::from_str(last)
        .map_err(|_| fault(end, "is not the end of a dump: it was cut"))?;
    if Digest::of(&text.as_bytes()[..text.len() - last.len()]) != sha256 {
        return Err(fault(end, "has another SHA-256 than the lines before it"));
    }
    let mut entries = BTreeMap::new();
    for (index, line) in middle.iter().enumerate() {
        let Line { key, value } =
            serde_json::from_str(line).map_err(|_| fault(index + 2, "is no entry"))?;
        let value =
            BASE64_STANDARD.decode(value).map_err(|_| fault(index + 2, "has no base64 value"))?;
        if entries.insert(key, value).is_some() {
            return Err(fault(index + 2, "has a key that was there already"));
        }
    }
    if entries.len() != head.entries {
        return Err(fault(end, "comes after another number of entries than was promised"));
    }
    Ok((head.revision, entries))
}

pub(super) fn everything() -> Vec<Range> {
    Kind::ALL.iter().copied().map(Range::of).collect()
}

fn json(value: &impl Serialize) -> String {
    let mut line = serde_json::to_string(value).expect("texts and numbers are JSON");
    line.push('\n');
    line
}
