//! Products and their changes in one SQLite file.
//!
//! One connection writes, [`READERS`] read. Each write is one transaction that holds the product,
//! its change and, for a creation, the answer to its request id; it takes the next number of a
//! dense sequence. Followers are told while the writer is still held, so they hear commits in
//! their order.
//!
//! `--sync group` is as safe as `each`: commits are not grouped.

use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use case_service::admin::DigestRecord;
use case_service::errors::Violation;
use case_service::start::Sync;
use prost::Message as _;
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};
use tokio::sync::broadcast;

use crate::contract::{Change, Product, change};
use crate::migrate::migrate;
use crate::page::Selection;

/// Connections that read.
const READERS: usize = 4;
/// Changes that a follower may be behind (CAT-10).
const BEHIND_MOST: usize = 4096;
/// Sequences for which the mark of a removed product is kept (CAT-10).
const TOMBSTONES_KEPT: i64 = 1_000_000;
/// Answers to request ids that are remembered (CO-3).
const REQUESTS_KEPT: i64 = 100_000;
/// Statements that a connection keeps prepared: filters come in any number of shapes.
const STATEMENTS_MOST: usize = 256;

/// The whole state.
pub struct Store {
    writer: Mutex<Connection>,
    readers: Vec<Mutex<Connection>>,
    next_reader: AtomicUsize,
    last: AtomicI64,
    changes: Mutex<broadcast::Sender<Change>>,
}

/// A fault of the database; the call fails with INTERNAL.
pub type Fault = rusqlite::Error;

/// Why the contract says no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    Unknown(String),
    Exists,
    StaleEtag,
    /// The request id belongs to another request.
    OtherRequest,
    StockBelow,
    StockBeyond,
    Invalid(Vec<Violation>),
}

/// What a call came to, and the commit that it made, or else the last one that it saw.
#[derive(Debug)]
pub struct Seen<T> {
    pub outcome: Result<T, Refusal>,
    pub sequence: i64,
}

/// What a follower may read at once.
pub struct Past {
    pub changes: Vec<Change>,
    /// The last commit at the time of reading.
    pub last: i64,
    /// Marks of removed products up to this commit are gone.
    pub pruned: i64,
}

/// What a write commits: the answer, and the change for followers. Without a change nothing is
/// committed.
type Outcome<T> = Result<(T, Option<Change>), Refusal>;

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
            connection.set_prepared_statement_cache_capacity(STATEMENTS_MOST);
            Ok(connection)
        };
        let mut writer = open()?;
        migrate(&mut writer)?;
        let last = writer.query_row("SELECT sequence FROM state", [], |row| row.get(0))?;
        let readers =
            (0..READERS).map(|_| open().map(Mutex::new)).collect::<Result<Vec<_>, _>>()?;
        Ok(Store {
            writer: Mutex::new(writer),
            readers,
            next_reader: AtomicUsize::new(0),
            last: AtomicI64::new(last),
            changes: Mutex::new(broadcast::channel(BEHIND_MOST).0),
        })
    }

    /// The number of the last commit.
    pub fn last(&self) -> i64 {
        self.last.load(Ordering::Relaxed)
    }

    fn reader(&self) -> MutexGuard<'_, Connection> {
        let next = self.next_reader.fetch_add(1, Ordering::Relaxed);
        let reader = &self.readers[next % self.readers.len()];
        reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `look` in one read-only transaction.
    pub fn view<T>(
        &self,
        look: impl FnOnce(&Transaction<'_>) -> Result<Result<T, Refusal>, Fault>,
    ) -> Result<Seen<T>, Fault> {
        let mut reader = self.reader();
        let transaction = reader.transaction()?;
        let sequence = transaction
            .prepare_cached("SELECT sequence FROM state")?
            .query_row([], |row| row.get(0))?;
        Ok(Seen { outcome: look(&transaction)?, sequence })
    }

    /// Runs `write`, which is given the number of its commit, in one transaction, and tells
    /// followers what it committed.
    fn write<T>(
        &self,
        write: impl FnOnce(&Transaction<'_>, i64) -> Result<Outcome<T>, Fault>,
    ) -> Result<Seen<T>, Fault> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let last = self.last();
        let (answer, change) = match write(&transaction, last + 1)? {
            Ok((answer, Some(change))) => (answer, change),
            Ok((answer, None)) => return Ok(Seen { outcome: Ok(answer), sequence: last }),
            Err(refusal) => return Ok(Seen { outcome: Err(refusal), sequence: last }),
        };
        transaction.prepare_cached("UPDATE state SET sequence = ?1")?.execute([last + 1])?;
        transaction.commit()?;
        self.last.store(last + 1, Ordering::Relaxed);
        // Nobody following is fine.
        let _ = self.changes().send(change);
        Ok(Seen { outcome: Ok(answer), sequence: last + 1 })
    }

    /// Puts another state in the place of the present one; `fill` writes it and gives its last
    /// commit. Followers are cut: what they know is of the old state.
    pub fn replace<E: From<Fault>>(
        &self,
        fill: impl FnOnce(&Transaction<'_>) -> Result<i64, E>,
    ) -> Result<i64, E> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(
            "DELETE FROM products; DELETE FROM labels; DELETE FROM changes; DELETE FROM requests",
        )?;
        let last = fill(&transaction)?;
        transaction.commit()?;
        self.last.store(last, Ordering::Relaxed);
        *self.changes() = broadcast::channel(BEHIND_MOST).0;
        Ok(last)
    }

    fn changes(&self) -> MutexGuard<'_, broadcast::Sender<Change>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Creates `product`, which has everything but its etag. A request id that was answered before
    /// gets the same product again.
    pub fn create(
        &self,
        mut product: Product,
        request_id: &str,
        fingerprint: &[u8],
    ) -> Result<Seen<Product>, Fault> {
        self.write(|transaction, sequence| {
            if !request_id.is_empty() {
                let known: Option<(Vec<u8>, Vec<u8>)> = transaction
                    .prepare_cached("SELECT request, answer FROM requests WHERE id = ?1")?
                    .query_row([request_id], |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()?;
                if let Some((known, answer)) = known {
                    return Ok(if known == fingerprint {
                        Ok((decode(&answer)?, None))
                    } else {
                        Err(Refusal::OtherRequest)
                    });
                }
            }
            if product_named(transaction, &product.name)?.is_some() {
                return Ok(Err(Refusal::Exists));
            }
            insert(transaction, &mut product, sequence)?;
            if !request_id.is_empty() {
                transaction
                    .prepare_cached(
                        "INSERT INTO requests (id, sequence, request, answer) VALUES (?1, ?2, ?3, ?4)",
                    )?
                    .execute(params![request_id, sequence, fingerprint, product.encode_to_vec()])?;
                transaction
                    .prepare_cached("DELETE FROM requests WHERE sequence <= ?1")?
                    .execute([sequence - REQUESTS_KEPT])?;
            }
            Ok(Ok(written(sequence, product)))
        })
    }

    /// Changes a product by `edit`, which sees the present one; where it refuses, nothing changes.
    /// Where there is none, `missing` makes one, if it is given.
    pub fn update(
        &self,
        name: &str,
        expected_etag: &str,
        edit: impl FnOnce(&mut Product) -> Result<(), Refusal>,
        missing: Option<impl FnOnce() -> Result<Product, Refusal>>,
    ) -> Result<Seen<Product>, Fault> {
        self.write(|transaction, sequence| {
            let present = product_named(transaction, name)?;
            let mut product = match (present, missing) {
                (Some(present), _) => present,
                (None, None) => return Ok(Err(Refusal::Unknown(name.to_owned()))),
                (None, Some(missing)) => {
                    let mut product = match missing() {
                        Ok(product) => product,
                        Err(refusal) => return Ok(Err(refusal)),
                    };
                    if !expected_etag.is_empty() {
                        return Ok(Err(Refusal::StaleEtag));
                    }
                    insert(transaction, &mut product, sequence)?;
                    return Ok(Ok(written(sequence, product)));
                }
            };
            let etag = product.etag.clone();
            // Faults of the fields come before a stale etag, as on the other side.
            if let Err(refusal) = edit(&mut product) {
                return Ok(Err(refusal));
            }
            if !expected_etag.is_empty() && expected_etag != etag {
                return Ok(Err(Refusal::StaleEtag));
            }
            put(transaction, &mut product, revision_of(&etag)? + 1, sequence)?;
            Ok(Ok(written(sequence, product)))
        })
    }

    /// Removes a product and leaves its mark.
    pub fn delete(&self, name: &str, expected_etag: &str) -> Result<Seen<()>, Fault> {
        self.write(|transaction, sequence| {
            let Some(product) = product_named(transaction, name)? else {
                return Ok(Err(Refusal::Unknown(name.to_owned())));
            };
            if !expected_etag.is_empty() && expected_etag != product.etag {
                return Ok(Err(Refusal::StaleEtag));
            }
            transaction.prepare_cached("DELETE FROM labels WHERE product = ?1")?.execute([name])?;
            transaction.prepare_cached("DELETE FROM products WHERE name = ?1")?.execute([name])?;
            put_change(transaction, name, sequence, Some(revision_of(&product.etag)?))?;
            let pruned = sequence - TOMBSTONES_KEPT;
            if pruned > 0 {
                transaction
                    .prepare_cached(
                        "DELETE FROM changes WHERE gone IS NOT NULL AND sequence <= ?1",
                    )?
                    .execute([pruned])?;
                transaction.prepare_cached("UPDATE state SET pruned = ?1")?.execute([pruned])?;
            }
            let change = Change { sequence, what: Some(change::What::Deleted(name.to_owned())) };
            Ok(Ok(((), Some(change))))
        })
    }

    /// The products called `names`, or the first of them that there is not.
    pub fn get(&self, names: &[String]) -> Result<Seen<Vec<Product>>, Fault> {
        self.view(|transaction| {
            let mut products = Vec::with_capacity(names.len());
            for name in names {
                match product_named(transaction, name)? {
                    Some(product) => products.push(product),
                    None => return Ok(Err(Refusal::Unknown(name.clone()))),
                }
            }
            Ok(Ok(products))
        })
    }

    /// What is selected.
    pub fn list(&self, what: Selection) -> Result<Seen<Vec<Product>>, Fault> {
        let (sql, values) = what.query();
        self.view(|transaction| {
            transaction
                .prepare_cached(&sql)?
                .query_map(rusqlite::params_from_iter(values), |row| row.get::<_, Vec<u8>>(0))?
                .map(|body| decode(&body?))
                .collect::<Result<Vec<_>, _>>()
                .map(Ok)
        })
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
        let (last, pruned) = transaction
            .prepare_cached("SELECT sequence, pruned FROM state")?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(Past { changes, last, pruned })
    }

    /// Changes as they are committed from now on; closed where the state is replaced.
    pub fn follow(&self) -> broadcast::Receiver<Change> {
        self.changes().subscribe()
    }

    /// Names and revisions in the order of the names, and the last commit.
    pub fn revisions(&self) -> Result<(Vec<DigestRecord>, i64), Fault> {
        let Seen { outcome, sequence } = self.view(|transaction| {
            transaction
                .prepare("SELECT name, revision FROM products ORDER BY name")?
                .query_map([], |row| Ok(DigestRecord { name: row.get(0)?, revision: row.get(1)? }))?
                .collect::<Result<Vec<_>, _>>()
                .map(Ok)
        })?;
        Ok((outcome.unwrap_or_default(), sequence))
    }
}

pub fn etag_of(revision: i64) -> String {
    format!("\"r{revision}\"")
}

/// The number in `"r<revision>"`.
pub fn revision_of(etag: &str) -> Result<i64, Fault> {
    etag.strip_prefix("\"r")
        .and_then(|rest| rest.strip_suffix('"'))
        .and_then(|digits| digits.parse().ok())
        .ok_or(Fault::InvalidQuery)
}

pub fn decode(body: &[u8]) -> Result<Product, Fault> {
    Product::decode(body).map_err(|error| {
        Fault::FromSqlConversionFailure(0, rusqlite::types::Type::Blob, Box::new(error))
    })
}

fn written(sequence: i64, product: Product) -> (Product, Option<Change>) {
    let change = Change { sequence, what: Some(change::What::Product(product.clone())) };
    (product, Some(change))
}

fn product_named(transaction: &Transaction<'_>, name: &str) -> Result<Option<Product>, Fault> {
    let body: Option<Vec<u8>> = transaction
        .prepare_cached("SELECT body FROM products WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    body.map(|body| decode(&body)).transpose()
}

/// Writes a product whose name is free.
fn insert(
    transaction: &Transaction<'_>,
    product: &mut Product,
    sequence: i64,
) -> Result<(), Fault> {
    // A name that comes back goes on counting, so that no revision means two states.
    let gone: Option<Option<i64>> = transaction
        .prepare_cached("SELECT gone FROM changes WHERE name = ?1")?
        .query_row([&product.name], |row| row.get(0))
        .optional()?;
    put(transaction, product, gone.flatten().unwrap_or(0) + 1, sequence)
}

/// Writes a product with its new revision, and its change.
pub fn put(
    transaction: &Transaction<'_>,
    product: &mut Product,
    revision: i64,
    sequence: i64,
) -> Result<(), Fault> {
    product.etag = etag_of(revision);
    write_product(transaction, product)?;
    put_change(transaction, &product.name, sequence, None)
}

/// Writes the row of a product and those of its labels.
pub fn write_product(transaction: &Transaction<'_>, product: &Product) -> Result<(), Fault> {
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO products
             (name, revision, display_name, category, units, stock, state, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            product.name,
            revision_of(&product.etag)?,
            product.display_name,
            product.category,
            product.price.as_ref().map_or(0, |price| price.units),
            product.stock,
            product.state,
            product.encode_to_vec(),
        ])?;
    transaction
        .prepare_cached("DELETE FROM labels WHERE product = ?1")?
        .execute([&product.name])?;
    for (key, value) in &product.labels {
        transaction
            .prepare_cached("INSERT INTO labels (product, key, value) VALUES (?1, ?2, ?3)")?
            .execute([&product.name, key, value])?;
    }
    Ok(())
}

pub fn put_change(
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
    Ok(())
}
