//! One entry, its bytes in the store and its digest.
//!
//! The digest is over the fields, each behind its length, and not over their JSON: it does not
//! change when the text of an entry is written otherwise.
//!
//! Not here: how entries hold together (`verify`).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::store::{Digest, Scope};

/// Milliseconds since 1970 in UTC.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Timestamp(pub u64);

/// The way by which somebody came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The command line.
    Cli,
    Api,
    Page,
    /// A file at the first start.
    File,
    /// The gateway, by itself.
    Gateway,
}

impl Source {
    /// As it stands in the log.
    pub fn name(self) -> &'static str {
        match self {
            Source::Cli => "cli",
            Source::Api => "api",
            Source::Page => "page",
            Source::File => "file",
            Source::Gateway => "gateway",
        }
    }
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Done,
    /// With the reason.
    Refused(String),
}

/// Something that somebody did or wanted to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditEntry {
    /// From 1, without a gap.
    pub number: u64,
    pub scope: Scope,
    pub when: Timestamp,
    /// `user:ann`, `token:ci`, `gateway`.
    pub who: String,
    /// [`crate::access::Action::name`].
    pub action: String,
    /// [`crate::access::ObjectId`] in words.
    pub object: String,
    /// In the words of whoever did it; for automatic acts the evidence.
    pub why: String,
    pub source: Source,
    /// Of the object; absent where there was none.
    pub before: Option<Digest>,
    pub after: Option<Digest>,
    pub outcome: Outcome,
    /// Of the entry before; of nothing for the first.
    pub previous: Digest,
}

impl AuditEntry {
    /// What the next entry holds of this one.
    pub fn digest(&self) -> Digest {
        let AuditEntry {
            number,
            scope,
            when,
            who,
            action,
            object,
            why,
            source,
            before,
            after,
            outcome,
            previous,
        } = self;
        let optional = |digest: &Option<Digest>| {
            digest.map_or_else(Vec::new, |digest| digest.as_bytes().to_vec())
        };
        let (result, reason) = match outcome {
            Outcome::Done => ("done", ""),
            Outcome::Refused(reason) => ("refused", reason.as_str()),
        };
        Digest::of_parts([
            &number.to_be_bytes()[..],
            scope.as_str().as_bytes(),
            &when.0.to_be_bytes(),
            who.as_bytes(),
            action.as_bytes(),
            object.as_bytes(),
            why.as_bytes(),
            source.name().as_bytes(),
            &optional(before),
            &optional(after),
            result.as_bytes(),
            reason.as_bytes(),
            previous.as_bytes(),
        ])
    }

    /// What the first entry holds in the place of a digest.
    pub(super) fn nothing() -> Digest {
        Digest::from_bytes([0; 32])
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers are JSON")
    }

    /// `None` for bytes that no build of ours wrote.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<AuditEntry> {
        serde_json::from_slice(bytes).ok()
    }
}

/// One line for people; texts of strangers are escaped.
impl fmt::Display for AuditEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AuditEntry { number, who, action, object, why, source, .. } = self;
        let escaped = |text: &str| text.escape_debug().to_string();
        write!(f, "{number} {} {action} ({})", escaped(who), escaped(object))?;
        write!(f, " by {}: {}", source.name(), escaped(why))?;
        match &self.outcome {
            Outcome::Done => Ok(()),
            Outcome::Refused(reason) => write!(f, " refused: {}", escaped(reason)),
        }
    }
}
