//! Where versions, drafts, claims, members, secrets and the audit chain are kept.
//!
//! One trait, [`Store`]: read several keys at one revision, commit a change if nothing that it
//! rests on has moved, wait for news. A change is one transaction: all of it or nothing, and when
//! [`Store::commit`] has answered, it survives a crash. Every value lies beside its SHA-256.
//!
//! Calls block: they belong on a thread that may wait, never on one that carries calls.
//!
//! [`Memory`] forgets, [`Embedded`] is one file; one suite of tests runs on both
//! (`tests/store.rs`). [`dump`], [`restore`] and [`check`] work on any.
//!
//! Not here: what the values mean (`crate::history`, `crate::access`, `crate::audit`).

mod check;
mod digest;
mod dump;
mod embedded;
mod envelope;
mod feed;
mod key;
mod memory;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::check::{Finding, check};
pub use self::digest::Digest;
pub use self::dump::{DumpFault, dump, restore};
pub use self::embedded::Embedded;
pub use self::key::{Key, Kind, NamespaceName, Range, Scope, ThingName};
pub use self::memory::Memory;
use crate::problem::Tnd;

/// Bytes of one value: a descriptor set and what stands around it.
pub const VALUE_BYTES_MOST: usize = 9 * 1024 * 1024;

/// A state of the whole store. Each change makes the next one; they never come again.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Where the platform and the teams keep what they change.
pub trait Store: Send + Sync {
    /// The keys that are there, and everything of the ranges, all at one revision.
    ///
    /// # Errors
    /// A store that cannot be read, or holds what it never wrote.
    fn read(&self, keys: &[Key], ranges: &[Range]) -> Result<View, StoreFault>;

    /// Makes the change if everything that it expects is so, as one transaction, and says at which
    /// revision. Safe on disk when this returns.
    ///
    /// # Errors
    /// [`StoreFault::Moved`] where an expectation fails. After [`StoreFault::Unsure`] the change
    /// may stand or not: read again. After anything else it does not stand.
    fn commit(&self, change: &Change) -> Result<Revision, StoreFault>;

    /// What moved after `after`, as soon as something has, or [`News::Nothing`] after `timeout`.
    ///
    /// # Errors
    /// [`StoreFault::Older`] where the store stands before `after`: it was set back.
    fn wait(&self, after: Revision, timeout: Duration) -> Result<News, StoreFault>;
}

/// What stands under some keys at one revision.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// Of the whole store.
    pub revision: Revision,
    pub entries: BTreeMap<Key, Entry>,
}

impl View {
    /// The value under `key`.
    pub fn value(&self, key: &Key) -> Option<&[u8]> {
        self.entries.get(key).map(|entry| entry.value.as_slice())
    }

    /// When `key` changed last; `None` where it is absent.
    pub fn revision_of(&self, key: &Key) -> Option<Revision> {
        self.entries.get(key).map(|entry| entry.revision)
    }
}

/// A value and when it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub revision: Revision,
    pub value: Vec<u8>,
}

/// What is to change, and what must still be so for it.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// `None`: absent.
    expected: BTreeMap<Key, Option<Revision>>,
    /// `None`: deleted.
    writes: BTreeMap<Key, Option<Vec<u8>>>,
    at_least: Revision,
}

impl Change {
    /// Changes nothing.
    pub fn new() -> Change {
        Change::default()
    }

    /// Only if `key` was changed last at `revision`, or is absent.
    pub fn expect(&mut self, key: Key, revision: Option<Revision>) {
        self.expected.insert(key, revision);
    }

    /// Only if `key` is as `view` saw it.
    pub fn expect_as_in(&mut self, view: &View, key: Key) {
        let revision = view.revision_of(&key);
        self.expect(key, revision);
    }

    /// Writes a value.
    pub fn put(&mut self, key: Key, value: Vec<u8>) {
        self.writes.insert(key, Some(value));
    }

    /// Takes a value away; nothing where there is none.
    pub fn delete(&mut self, key: Key) {
        self.writes.insert(key, None);
    }

    /// The revision after the change is `revision` or a later one: a store that is filled from a
    /// dump stands where the dumped one stood.
    pub fn at_least(&mut self, revision: Revision) {
        self.at_least = revision;
    }

    fn keys(&self) -> Vec<Key> {
        self.writes.keys().cloned().collect()
    }

    fn next_after(&self, revision: Revision) -> Result<Revision, StoreFault> {
        let next = revision.0.checked_add(1).ok_or(Damage::Meta("has no revision left"))?;
        Ok(Revision(next).max(self.at_least))
    }

    fn too_large(&self) -> Option<StoreFault> {
        let bytes = self.writes.values().flatten().map(Vec::len).max()?;
        (bytes > VALUE_BYTES_MOST).then_some(StoreFault::TooLarge { bytes })
    }
}

/// What a watcher is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    Nothing,
    /// These keys, and no others, moved up to `revision`.
    Moved {
        revision: Revision,
        keys: BTreeSet<Key>,
    },
    /// More moved than is remembered: read everything again.
    Gap {
        revision: Revision,
    },
}

/// Why a store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreFault {
    #[error("the store is in use by another process")]
    InUse,
    #[error("the store is damaged: {0}")]
    Damaged(#[from] Damage),
    #[error("a value of {bytes} bytes is larger than {VALUE_BYTES_MOST}")]
    TooLarge { bytes: usize },
    /// The disk refused. A change that met it does not stand.
    #[error("the store cannot be read or written: {0}")]
    Io(#[source] io::Error),
    /// The disk refused while a change was made safe.
    #[error("it is not known whether the change was kept ({0}); read again")]
    Unsure(#[source] io::Error),
    #[error("`{0}` was changed meanwhile")]
    Moved(Key),
    #[error("the store stands at revision {found}, and {known} was seen before: it was set back")]
    Older { known: Revision, found: Revision },
}

impl StoreFault {
    /// The code that people are shown.
    pub fn code(&self) -> Tnd {
        match self {
            StoreFault::InUse => Tnd::StoreInUse,
            StoreFault::Damaged(_) | StoreFault::Older { .. } => Tnd::StoreDamaged,
            StoreFault::TooLarge { .. } => Tnd::OverLimit,
            StoreFault::Io(_) | StoreFault::Unsure(_) => Tnd::StoreUnwritable,
            StoreFault::Moved(_) => Tnd::NewerVersion,
        }
    }
}

/// What a store holds and never wrote.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    #[error("{0}")]
    File(String),
    #[error("its description {0}")]
    Meta(&'static str),
    #[error("it has format {found}, and this build reads {known}")]
    Format { found: u32, known: u32 },
    #[error("the value of `{key}` {what}")]
    Value { key: String, what: &'static str },
    #[error("`{0}` is no key")]
    Key(String),
}

impl Damage {
    /// A value that its reader cannot make sense of.
    pub(crate) fn of(key: &Key, what: &'static str) -> Damage {
        Damage::Value { key: key.to_string(), what }
    }
}
