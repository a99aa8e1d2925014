//! Products and their changes in one SQLite file.
//!
//! One connection writes, [`READERS`] read. Each write is one transaction that holds the product,
//! its change and, for a creation, the answer to its request id; it takes the next number of a
//! dense sequence. Followers are told while the writer is still held, so they hear commits in
//! their order.
//!
//! `--sync group` is as safe as `each`: commits are not grouped yet.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use case_service::admin::DigestRecord;
use case_service::start::Sync;
use prost::Message as _;
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};
use tokio::sync::broadcast;

use crate::contract::{Change, Product, change};

/// Connections that read.
const READERS: usize = 4;
/// Changes that a follower may be behind (CAT-10).
const BEHIND_MOST: usize = 4096;
/// Sequences for which the mark of a removed product is kept (CAT-10).
const TOMBSTONES_KEPT: i64 = 1_000_000;
/// Answers to request ids that are remembered (CO-3).
const REQUESTS_KEPT: i64 = 100_000;

/// The whole state.
pub struct Store {
    writer: Mutex<Connection>,
    readers: Vec<Mutex<Connection>>,
    next_reader: std::sync::atomic::AtomicUsize,
    changes: broadcast::Sender<Change>,
}

/// A fault of the database; the call fails with INTERNAL.
pub type Fault = rusqlite::Error;

/// What a creation came to.
pub enum Created {
    New(Box<Product>, i64),
    /// The same request was answered before.
    Again(Box<Product>, i64),
    /// The request id belongs to another request.
    OtherRequest(i64),
    Exists(i64),
}

/// What a change or a removal came to.
pub enum Written {
    Done(Box<Product>, i64),
    Unknown(i64),
    StaleEtag(i64),
}

/// What a follower may read at once.
pub struct Past {
    pub changes: Vec<Change>,
    /// The last commit at the time of reading.
    pub last: i64,
    /// Marks of removed products up to this commit are gone.
    pub pruned: i64,
}

impl Store {
    /// Opens or makes the file in `folder`.
    ///
    /// # Errors
    /// A folder that cannot be written, a file that is no database of ours.
    pub fn open(folder: &Path, sync: Sync) -> Result<Store, Box<dyn std::error::Error>> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join("catalogue.sqlite");
        let open = || -> Result<Connection, Fault> {
            let connection = Connection::open(&path)?;
            connection.busy_timeout(std::time::Duration::from_secs(5))?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            let synchronous = match sync {
                Sync::None => "OFF",
                Sync::Group | Sync::Each => "FULL",
            };
            connection.pragma_update(None, "synchronous", synchronous)?;
            connection.pragma_update(None, "cache_size", -65_536)?;
            Ok(connection)
        };
        let writer = open()?;
        migrate(&writer)?;
        let readers =
            (0..READERS).map(|_| open().map(Mutex::new)).collect::<Result<Vec<_>, _>>()?;
        Ok(Store {
            writer: Mutex::new(writer),
            readers,
            next_reader: std::sync::atomic::AtomicUsize::new(0),
            changes: broadcast::channel(BEHIND_MOST).0,
        })
    }

    fn reader(&self) -> MutexGuard<'_, Connection> {
        let next = self.next_reader.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let reader = &self.readers[next % self.readers.len()];
        reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `write` in one transaction and tells followers what it committed.
    fn write<T>(
        &self,
        write: impl FnOnce(&Transaction<'_>) -> Result<(T, Option<Change>), Fault>,
    ) -> Result<T, Fault> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (outcome, change) = write(&transaction)?;
        transaction.commit()?;
        if let Some(change) = change {
            // Nobody following is fine.
            let _ = self.changes.send(change);
        }
        Ok(outcome)
    }

    /// Creates a product; `product` has everything but revision and etag.
    pub fn create(
        &self,
        mut product: Product,
        request_id: &str,
        request: &[u8],
    ) -> Result<Created, Fault> {
        self.write(|transaction| {
            let last = last_sequence(transaction)?;
            if !request_id.is_empty() {
                let known: Option<(Vec<u8>, Vec<u8>)> = transaction
                    .prepare_cached("SELECT request, answer FROM requests WHERE id = ?1")?
                    .query_row([request_id], |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()?;
                if let Some((known, answer)) = known {
                    let outcome = if known == request {
                        Created::Again(Box::new(decode(&answer)?), last)
                    } else {
                        Created::OtherRequest(last)
                    };
                    return Ok((outcome, None));
                }
            }
            if product_named(transaction, &product.name)?.is_some() {
                return Ok((Created::Exists(last), None));
            }
            // A name that comes back goes on counting, so that no revision means two states.
            let revision = revision_before(transaction, &product.name)? + 1;
            product.etag = etag(revision);
            let sequence = last + 1;
            put(transaction, &product, revision, sequence)?;
            if !request_id.is_empty() {
                transaction
                    .prepare_cached(
                        "INSERT INTO requests (id, sequence, request, answer) VALUES (?1, ?2, ?3, ?4)",
                    )?
                    .execute(params![request_id, sequence, request, product.encode_to_vec()])?;
                transaction
                    .prepare_cached("DELETE FROM requests WHERE sequence <= ?1")?
                    .execute([sequence - REQUESTS_KEPT])?;
            }
            let change = changed(sequence, product.clone());
            Ok((Created::New(Box::new(product), sequence), Some(change)))
        })
    }

    /// Changes a product by `edit`, which sees the present one.
    pub fn update(
        &self,
        name: &str,
        expected_etag: &str,
        edit: impl FnOnce(&mut Product),
    ) -> Result<Written, Fault> {
        self.write(|transaction| {
            let last = last_sequence(transaction)?;
            let Some((mut product, revision)) = product_named(transaction, name)? else {
                return Ok((Written::Unknown(last), None));
            };
            if !expected_etag.is_empty() && expected_etag != product.etag {
                return Ok((Written::StaleEtag(last), None));
            }
            edit(&mut product);
            product.etag = etag(revision + 1);
            let sequence = last + 1;
            put(transaction, &product, revision + 1, sequence)?;
            let change = changed(sequence, product.clone());
            Ok((Written::Done(Box::new(product), sequence), Some(change)))
        })
    }

    /// Removes a product and leaves its mark.
    pub fn delete(&self, name: &str, expected_etag: &str) -> Result<Written, Fault> {
        self.write(|transaction| {
            let last = last_sequence(transaction)?;
            let Some((product, revision)) = product_named(transaction, name)? else {
                return Ok((Written::Unknown(last), None));
            };
            if !expected_etag.is_empty() && expected_etag != product.etag {
                return Ok((Written::StaleEtag(last), None));
            }
            let sequence = last + 1;
            transaction.prepare_cached("DELETE FROM products WHERE name = ?1")?.execute([name])?;
            put_change(transaction, name, sequence, Some(revision))?;
            let pruned = sequence - TOMBSTONES_KEPT;
            let gone = transaction
                .prepare_cached("DELETE FROM changes WHERE gone IS NOT NULL AND sequence <= ?1")?
                .execute([pruned])?;
            if gone > 0 {
                transaction.execute("UPDATE state SET pruned = ?1", [pruned])?;
            }
            let change = Change { sequence, what: Some(change::What::Deleted(name.to_owned())) };
            Ok((Written::Done(Box::new(product), sequence), Some(change)))
        })
    }

    /// One product, and the last commit that the answer knows.
    pub fn get(&self, name: &str) -> Result<(Option<Product>, i64), Fault> {
        let mut reader = self.reader();
        let transaction = reader.transaction()?;
        let product = product_named(&transaction, name)?.map(|(product, _)| product);
        Ok((product, last_sequence(&transaction)?))
    }

    /// The products called `names`; the first unknown one where there is one.
    pub fn batch(&self, names: &[String]) -> Result<(Result<Vec<Product>, String>, i64), Fault> {
        let mut reader = self.reader();
        let transaction = reader.transaction()?;
        let last = last_sequence(&transaction)?;
        let mut products = Vec::with_capacity(names.len());
        for name in names {
            match product_named(&transaction, name)? {
                Some((product, _)) => products.push(product),
                None => return Ok((Err(name.clone()), last)),
            }
        }
        Ok((Ok(products), last))
    }

    /// At most `count` products whose names come behind `after`.
    pub fn list(&self, after: &str, count: usize) -> Result<(Vec<Product>, i64), Fault> {
        let mut reader = self.reader();
        let transaction = reader.transaction()?;
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let products = transaction
            .prepare_cached("SELECT body FROM products WHERE name > ?1 ORDER BY name LIMIT ?2")?
            .query_map(params![after, count], |row| row.get::<_, Vec<u8>>(0))?
            .map(|body| decode(&body?))
            .collect::<Result<Vec<_>, _>>()?;
        Ok((products, last_sequence(&transaction)?))
    }

    /// The last change of each name behind `from`, at most `count`, in their order.
    pub fn past(&self, from: i64, count: i64) -> Result<Past, Fault> {
        let mut reader = self.reader();
        let transaction = reader.transaction()?;
        let changes = transaction
            .prepare_cached(
                "SELECT c.name, c.sequence, p.body FROM changes c LEFT JOIN products p USING (name)
                 WHERE c.sequence > ?1 ORDER BY c.sequence LIMIT ?2",
            )?
            .query_map([from, count], |row| {
                Ok((row.get::<_, String>(0)?, row.get(1)?, row.get::<_, Option<Vec<u8>>>(2)?))
            })?
            .map(|row| {
                let (name, sequence, body) = row?;
                let what = match body {
                    Some(body) => change::What::Product(decode(&body)?),
                    None => change::What::Deleted(name),
                };
                Ok(Change { sequence, what: Some(what) })
            })
            .collect::<Result<Vec<_>, Fault>>()?;
        let pruned = transaction.query_row("SELECT pruned FROM state", [], |row| row.get(0))?;
        Ok(Past { changes, last: last_sequence(&transaction)?, pruned })
    }

    /// Changes as they are committed from now on.
    pub fn follow(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// Names and revisions in the order of the names, and the last commit.
    pub fn records(&self) -> Result<(Vec<DigestRecord>, i64), Fault> {
        let mut reader = self.reader();
        let transaction = reader.transaction()?;
        let records = transaction
            .prepare("SELECT name, revision FROM products ORDER BY name")?
            .query_map([], |row| Ok(DigestRecord { name: row.get(0)?, revision: row.get(1)? }))?
            .collect::<Result<Vec<_>, _>>()?;
        Ok((records, last_sequence(&transaction)?))
    }
}

/// Brings the tables to the version of this program.
fn migrate(connection: &Connection) -> Result<(), Box<dyn std::error::Error>> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    match version {
        0 => connection.execute_batch(
            "BEGIN IMMEDIATE;
             CREATE TABLE products (name TEXT PRIMARY KEY, revision INTEGER NOT NULL,
                                    body BLOB NOT NULL) WITHOUT ROWID;
             CREATE TABLE changes (name TEXT PRIMARY KEY, sequence INTEGER NOT NULL,
                                   gone INTEGER) WITHOUT ROWID;
             CREATE UNIQUE INDEX changes_by_sequence ON changes (sequence);
             CREATE TABLE requests (id TEXT PRIMARY KEY, sequence INTEGER NOT NULL,
                                    request BLOB NOT NULL, answer BLOB NOT NULL) WITHOUT ROWID;
             CREATE INDEX requests_by_sequence ON requests (sequence);
             CREATE TABLE state (sequence INTEGER NOT NULL, pruned INTEGER NOT NULL);
             INSERT INTO state VALUES (0, 0);
             PRAGMA user_version = 1;
             COMMIT;",
        )?,
        1 => {}
        newer => return Err(format!("the data was written by a newer version ({newer})").into()),
    }
    Ok(())
}

fn etag(revision: i64) -> String {
    format!("\"r{revision}\"")
}

fn decode(body: &[u8]) -> Result<Product, Fault> {
    Product::decode(body).map_err(|error| {
        Fault::FromSqlConversionFailure(0, rusqlite::types::Type::Blob, Box::new(error))
    })
}

fn changed(sequence: i64, product: Product) -> Change {
    Change { sequence, what: Some(change::What::Product(product)) }
}

fn last_sequence(transaction: &Transaction<'_>) -> Result<i64, Fault> {
    transaction.prepare_cached("SELECT sequence FROM state")?.query_row([], |row| row.get(0))
}

fn product_named(
    transaction: &Transaction<'_>,
    name: &str,
) -> Result<Option<(Product, i64)>, Fault> {
    let row: Option<(Vec<u8>, i64)> = transaction
        .prepare_cached("SELECT body, revision FROM products WHERE name = ?1")?
        .query_row([name], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    row.map(|(body, revision)| Ok((decode(&body)?, revision))).transpose()
}

/// The revision of a removed product of this name; 0 where there was none.
fn revision_before(transaction: &Transaction<'_>, name: &str) -> Result<i64, Fault> {
    let gone: Option<Option<i64>> = transaction
        .prepare_cached("SELECT gone FROM changes WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    Ok(gone.flatten().unwrap_or(0))
}

fn put(
    transaction: &Transaction<'_>,
    product: &Product,
    revision: i64,
    sequence: i64,
) -> Result<(), Fault> {
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO products (name, revision, body) VALUES (?1, ?2, ?3)",
        )?
        .execute(params![product.name, revision, product.encode_to_vec()])?;
    put_change(transaction, &product.name, sequence, None)
}

fn put_change(
    transaction: &Transaction<'_>,
    name: &str,
    sequence: i64,
    gone: Option<i64>,
) -> Result<(), Fault> {
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO changes (name, sequence, gone) VALUES (?1, ?2, ?3)",
        )?
        .execute(params![name, sequence, gone])?;
    transaction.prepare_cached("UPDATE state SET sequence = ?1")?.execute([sequence])?;
    Ok(())
}
