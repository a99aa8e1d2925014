//! What is stored of a version and of a draft, as JSON.
//!
//! Not here: the texts of versions, which lie under their digest (`super`).

use serde::{Deserialize, Serialize};

use crate::access::Claims;
use crate::audit::Timestamp;
use crate::store::{Damage, Digest, Key, Revision, Scope, StoreFault, View};

/// A published version: who, when, why, and the digests of what it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Version {
    /// From 1, without a gap.
    pub number: u32,
    pub who: String,
    pub when: Timestamp,
    /// At most [`crate::WHY_BYTES_MOST`].
    pub why: String,
    pub origin: Origin,
    pub text: Digest,
    /// Of the descriptor set, where it came with one.
    pub contract: Option<Digest>,
}

/// How a version came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    Published,
    /// It has the text of an older one.
    RolledBack {
        to: u32,
    },
}

/// What somebody prepares; the next version, perhaps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    pub text: String,
    /// The version that was live when it was saved; 0 before the first.
    pub base: u32,
    pub who: String,
    pub when: Timestamp,
    /// What a change of the draft must name.
    #[serde(skip)]
    pub revision: Revision,
}

impl Version {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers are JSON")
    }

    /// Digests of everything that the version needs.
    pub(crate) fn contents(&self) -> Vec<Digest> {
        std::iter::once(self.text).chain(self.contract).collect()
    }
}

impl Draft {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers are JSON")
    }
}

/// The version under `key`, which must be of its number.
pub(crate) fn version_in(view: &View, key: &Key) -> Result<Option<Version>, StoreFault> {
    let Some(bytes) = view.value(key) else { return Ok(None) };
    let version: Version =
        serde_json::from_slice(bytes).map_err(|_| Damage::of(key, "is no version"))?;
    if Key::version(key.scope(), version.number) != *key {
        return Err(Damage::of(key, "is a version of another number").into());
    }
    Ok(Some(version))
}

/// The draft of `scope`, with its revision.
pub(crate) fn draft_in(view: &View, scope: &Scope) -> Result<Option<Draft>, StoreFault> {
    let key = Key::draft(scope);
    let Some(entry) = view.entries.get(&key) else { return Ok(None) };
    let draft: Draft =
        serde_json::from_slice(&entry.value).map_err(|_| Damage::of(&key, "is no draft"))?;
    Ok(Some(Draft { revision: entry.revision, ..draft }))
}

/// The number of the live version of `scope`; 0 before the first.
pub(crate) fn live_in(view: &View, scope: &Scope) -> Result<u32, StoreFault> {
    let key = Key::live(scope);
    let Some(bytes) = view.value(&key) else { return Ok(0) };
    let number = std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok());
    Ok(number.filter(|number| *number > 0).ok_or_else(|| Damage::of(&key, "is no number"))?)
}

/// The claims under `key`.
pub(crate) fn claims_in(view: &View, key: &Key) -> Result<Option<Claims>, StoreFault> {
    let Some(bytes) = view.value(key) else { return Ok(None) };
    let claims = serde_json::from_slice(bytes);
    Ok(Some(claims.map_err(|_| Damage::of(key, "is no list of claims"))?))
}
