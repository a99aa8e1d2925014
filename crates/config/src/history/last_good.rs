//! The last good snapshots on the local disk, so that a gateway starts and goes on without its
//! store (security CF-3, S-5).
//!
//! Each file holds the texts of all live versions, behind a line with its SHA-256. A file is
//! written aside and renamed, the newest twenty are kept, and a file that is not whole is passed
//! over for the one before it.
//!
//! Not here: when one is written or used (`tandem-gateway`).

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::files;
use crate::store::{Digest, NamespaceName, Revision};

/// Files that are kept.
pub const SNAPSHOTS_KEPT: usize = 20;
/// Bytes of one file: a hundred namespaces with their contracts.
const BYTES_MOST: u64 = 1 << 30;
const FIRST_WORD: &str = "tandem-snapshot 1";
const ENDING: &str = ".snapshot";

/// Everything that was live at one revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    pub revision: Revision,
    /// The platform's own text, where it has versions.
    pub platform: Option<SnapshotDocument>,
    pub namespaces: BTreeMap<NamespaceName, SnapshotDocument>,
}

/// One live version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotDocument {
    pub version: u32,
    pub text: String,
    /// The descriptor set it was served with, in base64.
    pub contract: Option<String>,
}

/// Why a snapshot was not kept or not found.
#[derive(Debug, thiserror::Error)]
pub enum LastGoodFault {
    #[error("the last good snapshot cannot be read or written: {0}")]
    Io(#[from] io::Error),
    #[error("none of {0} kept snapshots is whole")]
    NoneWhole(usize),
}

/// A folder of snapshots.
#[derive(Debug, Clone)]
pub struct LastGood {
    folder: PathBuf,
}

impl LastGood {
    /// Keeps snapshots in `folder`, which is made with the first.
    pub fn below(folder: &Path) -> LastGood {
        LastGood { folder: folder.to_owned() }
    }

    /// Keeps a snapshot as the newest, and takes away the oldest above the number that is kept.
    /// Those of later revisions go as well: the store that had them was put back to an older state,
    /// or another is in its place. One that cannot be taken away is left.
    ///
    /// # Errors
    /// A disk that refuses; what was kept before is untouched.
    pub fn keep(&self, snapshot: &Snapshot) -> Result<(), LastGoodFault> {
        files::make_folder(&self.folder)?;
        let body = serde_json::to_string(snapshot).expect("texts and numbers are JSON");
        let text = format!("{FIRST_WORD} {}\n{body}", Digest::of(body.as_bytes()));
        let name = format!("{:020}{ENDING}", snapshot.revision.0);
        files::write_whole(&self.folder.join(&name), text.as_bytes())?;
        let (names, later): (Vec<String>, Vec<String>) =
            self.names()?.into_iter().partition(|one| *one <= name);
        for old in names[..names.len().saturating_sub(SNAPSHOTS_KEPT)].iter().chain(&later) {
            let _ = files::remove(&self.folder.join(old));
        }
        Ok(())
    }

    /// The newest snapshot that is whole; `None` where none was ever kept.
    ///
    /// # Errors
    /// A folder that cannot be read, or in which every file is damaged.
    pub fn newest(&self) -> Result<Option<Snapshot>, LastGoodFault> {
        let names = self.names()?;
        let mut whole = names.iter().rev().filter_map(|name| self.read(name));
        match whole.next() {
            None if !names.is_empty() => Err(LastGoodFault::NoneWhole(names.len())),
            snapshot => Ok(snapshot),
        }
    }

    /// In the order of their revisions.
    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = files::names(&self.folder)?;
        names.retain(|name| name.ends_with(ENDING));
        Ok(names)
    }

    fn read(&self, name: &str) -> Option<Snapshot> {
        let text = files::read_text(&self.folder.join(name), BYTES_MOST).ok()?;
        let (first, body) = text.split_once('\n')?;
        let digest = Digest::parse(first.strip_prefix(FIRST_WORD)?.strip_prefix(' ')?)?;
        if Digest::of(body.as_bytes()) != digest {
            return None;
        }
        let snapshot: Snapshot = serde_json::from_str(body).ok()?;
        // A file under another's name would be taken for newer than it is.
        (name == format!("{:020}{ENDING}", snapshot.revision.0)).then_some(snapshot)
    }
}
