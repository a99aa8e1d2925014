//! The chain itself: its next entry, and whether it holds.
//!
//! Not here: what an entry says (`entry`).

use serde::{Deserialize, Serialize};

use super::entry::AuditEntry;
use crate::problem::Tnd;
use crate::store::{
    Change, Damage, Digest, Key, Kind, Range, Revision, Scope, Store, StoreFault, View,
};

/// Entries read at once.
const PAGE: usize = 1_000;

/// Where a chain ends: what to note elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Entries so far.
    pub number: u64,
    /// Of the last entry; zeros before the first.
    pub digest: Digest,
}

/// A chain that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    pub head: Head,
}

/// The first place where a chain does not hold.
#[derive(Debug, thiserror::Error)]
pub enum ChainFault {
    #[error("entry {number} of `{scope}` cannot be read")]
    Unreadable { scope: Scope, number: u64 },
    #[error("entry {number} of `{scope}` is missing")]
    Missing { scope: Scope, number: u64 },
    #[error("entry {number} of `{scope}` does not continue the one before it")]
    Broken { scope: Scope, number: u64 },
    #[error("entry {number} of `{scope}` is not of this place")]
    Misplaced { scope: Scope, number: u64 },
    #[error("the log of `{scope}` ends at entry {found}, and {noted} is noted beside it")]
    Cut { scope: Scope, found: u64, noted: u64 },
    #[error("the head that is noted beside the log of `{scope}` is not that of its last entry")]
    OtherHead { scope: Scope },
    #[error("no entry of `{scope}` has the head that was noted elsewhere: its end was cut")]
    HeadNotFound { scope: Scope },
    #[error(transparent)]
    Store(#[from] StoreFault),
}

impl ChainFault {
    /// The code that people are shown.
    pub fn code(&self) -> Tnd {
        match self {
            ChainFault::Store(fault) => fault.code(),
            _ => Tnd::AuditBroken,
        }
    }
}

/// Holds the whole chain of `scope` against itself, against the head beside it, and, where one
/// was noted elsewhere, against that: it must be the digest of some entry.
///
/// # Errors
/// The first place where it does not hold.
pub fn verify(
    store: &dyn Store,
    scope: &Scope,
    noted: Option<Digest>,
) -> Result<Verified, ChainFault> {
    // The head first: entries that are written meanwhile come after it.
    let beside = noted_head(store, scope)?;
    let mut found = Head { number: 0, digest: AuditEntry::nothing() };
    let mut noted_found = noted.is_none_or(|noted| noted == found.digest);
    loop {
        let entries = page(store, scope, found.number)?;
        let Some(last) = entries.last().map(|(number, _)| *number) else { break };
        for (number, bytes) in entries {
            if number > beside.number {
                break;
            }
            let scope = || scope.clone();
            if number != found.number + 1 {
                return Err(ChainFault::Missing { scope: scope(), number: found.number + 1 });
            }
            let entry = AuditEntry::from_bytes(&bytes)
                .ok_or_else(|| ChainFault::Unreadable { scope: scope(), number })?;
            if entry.number != number || entry.scope != scope() {
                return Err(ChainFault::Misplaced { scope: scope(), number });
            }
            if entry.previous != found.digest {
                return Err(ChainFault::Broken { scope: scope(), number });
            }
            found = Head { number, digest: entry.digest() };
            noted_found |= noted == Some(found.digest);
        }
        if last >= beside.number {
            break;
        }
    }
    let scope = scope.clone();
    if found.number != beside.number {
        return Err(ChainFault::Cut { scope, found: found.number, noted: beside.number });
    }
    if found.digest != beside.digest {
        return Err(ChainFault::OtherHead { scope });
    }
    let after = Key::audit(&scope, found.number);
    let beyond = Range::of(Kind::Audit).within(&scope).after(after).most(1);
    let view = store.read(&[Key::audit_head(&scope)], &[beyond])?;
    let still = read_head(&view, &scope)? == beside;
    if still && view.entries.keys().any(|key| key.kind() == Kind::Audit) {
        return Err(ChainFault::Misplaced { scope, number: found.number + 1 });
    }
    if !noted_found {
        return Err(ChainFault::HeadNotFound { scope });
    }
    Ok(Verified { head: found })
}

/// At most `most` entries of `scope` behind number `after`, in order.
///
/// # Errors
/// A store that cannot be read, or an entry that cannot.
pub fn chain(
    store: &dyn Store,
    scope: &Scope,
    after: u64,
    most: usize,
) -> Result<Vec<AuditEntry>, ChainFault> {
    let range = Range::of(Kind::Audit).within(scope).after(Key::audit(scope, after)).most(most);
    let view = store.read(&[], &[range])?;
    view.entries
        .iter()
        .map(|(key, entry)| {
            AuditEntry::from_bytes(&entry.value).ok_or_else(|| ChainFault::Unreadable {
                scope: scope.clone(),
                number: key.name().parse().unwrap_or(0),
            })
        })
        .collect()
}

/// Where the log of `scope` ends by what stands beside it: for metrics, and to be noted elsewhere.
///
/// # Errors
/// A store that cannot be read.
pub fn noted_head(store: &dyn Store, scope: &Scope) -> Result<Head, StoreFault> {
    read_head(&store.read(&[Key::audit_head(scope)], &[])?, scope)
}

/// The head of `scope`, and what a change that appends must expect.
pub(crate) fn head(view: &View, scope: &Scope) -> Result<(Head, Option<Revision>), StoreFault> {
    Ok((read_head(view, scope)?, view.revision_of(&Key::audit_head(scope))))
}

/// Adds the entry to the change; `number` and `previous` are set here.
pub(crate) fn append(change: &mut Change, entry: AuditEntry, after: (Head, Option<Revision>)) {
    let (Head { number, digest }, revision) = after;
    let entry = AuditEntry { number: number + 1, previous: digest, ..entry };
    let head = Head { number: entry.number, digest: entry.digest() };
    let key = Key::audit_head(&entry.scope);
    change.expect(key.clone(), revision);
    change.put(key, serde_json::to_vec(&head).expect("a number and a text are JSON"));
    let key = Key::audit(&entry.scope, entry.number);
    // An entry is never written over, not even where the head was set back.
    change.expect(key.clone(), None);
    change.put(key, entry.to_bytes());
}

fn page(store: &dyn Store, scope: &Scope, after: u64) -> Result<Vec<(u64, Vec<u8>)>, StoreFault> {
    let range = Range::of(Kind::Audit).within(scope).after(Key::audit(scope, after)).most(PAGE);
    let view = store.read(&[], &[range])?;
    let number = |key: &Key| key.name().parse().map_err(|_| Damage::of(key, "has no number"));
    let entries = view.entries.into_iter();
    entries.map(|(key, entry)| Ok((number(&key)?, entry.value))).collect()
}

fn read_head(view: &View, scope: &Scope) -> Result<Head, StoreFault> {
    let key = Key::audit_head(scope);
    match view.value(&key) {
        None => Ok(Head { number: 0, digest: AuditEntry::nothing() }),
        Some(bytes) => serde_json::from_slice(bytes)
            .map_err(|_| Damage::of(&key, "is no head of an audit log").into()),
    }
}
