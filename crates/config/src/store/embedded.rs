//! A store in one file, on redb.
//!
//! A change is acknowledged when it is on disk: two-phase commits with immediate durability
//! (security CF-4; one phase would trust a weak checksum over content that teams write). Opening
//! checks the checksum of every page, and a file that is not whole is refused and left as it is.
//! A second process is refused by a lock on the folder, which dies with its owner.
//!
//! After an error of the disk the file is closed and opened again before anything else is done
//! with it; a sync that failed is never repeated. Where even that fails, every call tries to open
//! it once more, so a disk that has space again serves again.
//!
//! The library may panic on a file that is altered while it is open. Each call catches that and
//! answers that the store is damaged.
//!
//! Not here: what lies in the file (`crate::history` and others), paths and locks of files
//! (`crate::files`).

#[cfg(test)]
mod faulty;
#[cfg(test)]
mod image;
#[cfg(test)]
mod replay;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;

use redb::backends::FileBackend;
use redb::{
    Database, Durability, ReadableDatabase as _, ReadableTable, StorageBackend, TableDefinition,
};

use super::feed::Feed;
use super::{Change, Damage, Entry, Key, News, Range, Revision, Store, StoreFault, View, envelope};
use crate::files::{self, FileFault};

const TABLE: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("entries");
/// Stands in front of every key: format and revision.
const META: &str = "";
/// How values lie in the file.
const FORMAT: u32 = 1;
const FILE: &str = "store.redb";
/// Where a new file is made before it gets its name.
const UNFINISHED: &str = "store.redb.new";
const LOCK: &str = "store.lock";
/// Enough for the pages of one change; the library's own default is a gigabyte.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

/// One file that survives.
pub struct Embedded {
    open: Box<dyn Fn() -> Result<Database, StoreFault> + Send + Sync>,
    /// `None` after a fault of the disk, until it can be opened again.
    database: RwLock<Option<Database>>,
    /// Held from the beginning of a change until those who watch were told.
    commits: Mutex<()>,
    feed: Feed,
    /// Locked as long as it is open.
    _lock: Option<File>,
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded").field("feed", &self.feed).finish_non_exhaustive()
    }
}

impl Embedded {
    /// Opens the store in `folder`, and makes both where they are not there. Folder and file are
    /// for their owner alone.
    ///
    /// # Errors
    /// A store that another process has open, that is damaged, of another format, or on a disk
    /// that refuses.
    pub fn open(folder: &Path) -> Result<Embedded, StoreFault> {
        files::make_folder(folder).map_err(StoreFault::Io)?;
        let lock = files::lock(&folder.join(LOCK)).map_err(StoreFault::Io)?;
        let lock = lock.ok_or(StoreFault::InUse)?;
        let path = folder.join(FILE);
        if !path.try_exists().map_err(StoreFault::Io)? {
            // A crash leaves a file under its final name only when it is whole.
            let unfinished = folder.join(UNFINISHED);
            let file = files::create_anew(&unfinished).map_err(StoreFault::Io)?;
            guarded(|| create(FileBackend::new(file).map_err(of)?))?;
            files::put_in_place(&unfinished, &path).map_err(StoreFault::Io)?;
        }
        let open = move || {
            let file = files::open_for_writing(&path).map_err(|fault| match fault {
                FileFault::Io(error) => StoreFault::Io(error),
                other => StoreFault::Io(io::Error::other(other.to_string())),
            })?;
            open(FileBackend::new(file).map_err(of)?)
        };
        Embedded::with(open, Some(lock))
    }

    /// Whether a store was made in `folder`, in whatever state it is now.
    pub fn is_at(folder: &Path) -> bool {
        folder.join(FILE).exists()
    }

    fn with(
        open: impl Fn() -> Result<Database, StoreFault> + Send + Sync + 'static,
        lock: Option<File>,
    ) -> Result<Embedded, StoreFault> {
        let database = guarded(&open)?;
        let revision = guarded(|| revision(&database))?;
        Ok(Embedded {
            open: Box::new(open),
            database: RwLock::new(Some(database)),
            commits: Mutex::new(()),
            feed: Feed::new(revision),
            _lock: lock,
        })
    }

    /// Does `work` with the open file; opens it first where it had to be closed.
    fn with_database<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, StoreFault>,
    ) -> Result<T, StoreFault> {
        // A panic under the lock is caught by `guarded`, so the lock is poisoned only by one of
        // this file's own lines; the file is then opened anew.
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(database) = &*database {
            return guarded(|| work(database));
        }
        drop(database);
        self.reopen()?;
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        match &*database {
            Some(database) => guarded(|| work(database)),
            None => Err(StoreFault::Io(io::Error::other("the store was closed again"))),
        }
    }

    /// Closes the file and opens it from the disk.
    fn reopen(&self) -> Result<Revision, StoreFault> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        // Closing may fail as well; nothing is lost by it that was acknowledged.
        let closed = database.take();
        guarded(|| {
            drop(closed);
            Ok(())
        })?;
        let opened = guarded(&self.open)?;
        let revision = guarded(|| revision(&opened))?;
        *database = Some(opened);
        self.feed.restart(revision);
        Ok(revision)
    }

    /// What became of a change whose commit failed.
    fn after_failure(&self, before: Revision, error: io::Error) -> StoreFault {
        match self.reopen() {
            Ok(revision) if revision == before => StoreFault::Io(error),
            Ok(_) | Err(_) => StoreFault::Unsure(error),
        }
    }
}

impl Store for Embedded {
    fn read(&self, keys: &[Key], ranges: &[Range]) -> Result<View, StoreFault> {
        let read = self.with_database(|database| view(database, keys, ranges));
        if let Err(StoreFault::Io(_)) = read {
            // The library reads nothing more after a fault; the next call shall.
            let _ = self.reopen();
        }
        read
    }

    fn commit(&self, change: &Change) -> Result<Revision, StoreFault> {
        if let Some(fault) = change.too_large() {
            return Err(fault);
        }
        let _one = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = None;
        let committed = self.with_database(|database| {
            let (transaction, revision, next) = prepare(database, change)?;
            before = Some(revision);
            transaction.commit().map_err(of)?;
            Ok(next)
        });
        match (committed, before) {
            (Ok(next), _) => {
                self.feed.publish(next, change.keys());
                Ok(next)
            }
            (Err(StoreFault::Io(error)), Some(before)) => Err(self.after_failure(before, error)),
            (Err(StoreFault::Damaged(damage)), Some(before)) => {
                Err(self.after_failure(before, io::Error::other(damage)))
            }
            (Err(fault @ (StoreFault::Io(_) | StoreFault::Damaged(_))), None) => {
                // The change was not begun to be made; what is open may be stale all the same.
                let _ = self.reopen();
                Err(fault)
            }
            (Err(fault), _) => Err(fault),
        }
    }

    fn wait(&self, after: Revision, timeout: Duration) -> Result<News, StoreFault> {
        match self.feed.wait(after, timeout) {
            Err(StoreFault::Older { .. }) => {
                // Read between a commit and its news: they come before the lock is free.
                drop(self.commits.lock());
                self.feed.wait(after, Duration::ZERO)
            }
            news => news,
        }
    }
}

/// A new file, with a description and nothing else.
fn create(backend: impl StorageBackend) -> Result<Database, StoreFault> {
    let database = builder().create_with_backend(backend).map_err(of)?;
    let transaction = begin(&database)?;
    {
        let mut table = transaction.open_table(TABLE).map_err(of)?;
        table.insert(META, meta(Revision(0)).as_slice()).map_err(of)?;
    }
    transaction.commit().map_err(of)?;
    Ok(database)
}

/// A file that was made by [`create`].
fn open(backend: impl StorageBackend) -> Result<Database, StoreFault> {
    // The library would make a new store of an empty file, and nobody would miss the old one.
    if backend.len().map_err(StoreFault::Io)? == 0 {
        return Err(Damage::File("the file is empty".to_owned()).into());
    }
    builder().create_with_backend(backend).map_err(of)
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    builder
}

fn begin(database: &Database) -> Result<redb::WriteTransaction, StoreFault> {
    let mut transaction = database.begin_write().map_err(of)?;
    transaction.set_durability(Durability::Immediate).map_err(of)?;
    transaction.set_two_phase_commit(true);
    Ok(transaction)
}

/// The transaction of a change, not committed; the revision before and after it.
fn prepare(
    database: &Database,
    change: &Change,
) -> Result<(redb::WriteTransaction, Revision, Revision), StoreFault> {
    let transaction = begin(database)?;
    let (revision, next) = {
        let mut table = transaction.open_table(TABLE).map_err(of)?;
        let revision = revision_in(&table)?;
        for (key, expected) in &change.expected {
            let found = entry(&table, key.as_str())?;
            if found.map(|entry| entry.revision) != *expected {
                return Err(StoreFault::Moved(key.clone()));
            }
        }
        let next = change.next_after(revision)?;
        for (key, value) in &change.writes {
            match value {
                Some(value) => {
                    let bytes = envelope::close(key.as_str(), next, value);
                    table.insert(key.as_str(), bytes.as_slice()).map_err(of)?;
                }
                None => {
                    table.remove(key.as_str()).map_err(of)?;
                }
            }
        }
        table.insert(META, meta(next).as_slice()).map_err(of)?;
        (revision, next)
    };
    Ok((transaction, revision, next))
}

fn view(database: &Database, keys: &[Key], ranges: &[Range]) -> Result<View, StoreFault> {
    let transaction = database.begin_read().map_err(of)?;
    let table = transaction.open_table(TABLE).map_err(of)?;
    let revision = revision_in(&table)?;
    let mut entries = BTreeMap::new();
    for key in keys {
        if let Some(entry) = entry(&table, key.as_str())? {
            entries.insert(key.clone(), entry);
        }
    }
    for range in ranges {
        let prefix = range.prefix();
        let first = match &range.after {
            Some(key) if key.as_str() > prefix.as_str() => Bound::Excluded(key.as_str()),
            _ => Bound::Included(prefix.as_str()),
        };
        let found = table.range::<&str>((first, Bound::Unbounded)).map_err(of)?;
        for item in found.take(range.most) {
            let (key, bytes) = item.map_err(of)?;
            let text = key.value();
            if !text.starts_with(&prefix) {
                break;
            }
            let key = Key::parse(text).ok_or_else(|| Damage::Key(text.to_owned()))?;
            let entry = envelope::open(text, bytes.value())?;
            entries.insert(key, entry);
        }
    }
    Ok(View { revision, entries })
}

fn entry(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
    key: &str,
) -> Result<Option<Entry>, StoreFault> {
    let found = table.get(key).map_err(of)?;
    Ok(found.map(|bytes| envelope::open(key, bytes.value())).transpose()?)
}

fn revision(database: &Database) -> Result<Revision, StoreFault> {
    let transaction = database.begin_read().map_err(of)?;
    let table = transaction.open_table(TABLE).map_err(|error| match error {
        redb::TableError::Storage(error) => of(error),
        other => Damage::File(other.to_string()).into(),
    })?;
    revision_in(&table)
}

/// The description is a value as others are, whose content is the format.
fn meta(revision: Revision) -> Vec<u8> {
    envelope::close(META, revision, &FORMAT.to_be_bytes())
}

fn revision_in(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
) -> Result<Revision, StoreFault> {
    let meta = entry(table, META)?.ok_or(Damage::Meta("is missing"))?;
    let format = meta.value.as_slice().try_into().map_err(|_| Damage::Meta("is unreadable"))?;
    match u32::from_be_bytes(format) {
        FORMAT => Ok(meta.revision),
        found => Err(Damage::Format { found, known: FORMAT }.into()),
    }
}

/// Runs what may panic on a file that somebody else altered.
fn guarded<T>(work: impl FnOnce() -> Result<T, StoreFault>) -> Result<T, StoreFault> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(Damage::File("the library that reads it panicked".to_owned()).into())
    })
}

fn of(error: impl Into<redb::Error>) -> StoreFault {
    match error.into() {
        redb::Error::DatabaseAlreadyOpen => StoreFault::InUse,
        // What no store begins with, or ends too early.
        redb::Error::Io(error)
            if matches!(
                error.kind(),
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
            ) =>
        {
            Damage::File(error.to_string()).into()
        }
        redb::Error::Io(error) => StoreFault::Io(error),
        redb::Error::Corrupted(what) => Damage::File(what).into(),
        error @ (redb::Error::UpgradeRequired(_)
        | redb::Error::RepairAborted
        | redb::Error::TableTypeMismatch { .. }
        | redb::Error::TypeDefinitionChanged { .. }
        | redb::Error::TableIsMultimap(_)
        | redb::Error::TableDoesNotExist(_)) => Damage::File(error.to_string()).into(),
        other => StoreFault::Io(io::Error::other(other)),
    }
}
