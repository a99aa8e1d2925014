//! The whole state as records: out, in, and as a digest.

use std::fmt;

use case_service::admin::Record;
use prost::Message;
use prost_types::Timestamp;
use rusqlite::{Transaction, params};
use sha2::Digest as _;

use crate::contract::{CreateProductRequest, Product};
use crate::protos::google::r#type::Money;
use crate::record::{Answered, Asked, Gone, Label, Product as Kept, State, Times};
use crate::store::{Fault, Seen, Store, decode, etag_of, put_change, revision_of, write_product};
use crate::validate::price_text;

/// Keys: what kind of piece, then which.
const GONE: &str = "g/";
const PRODUCT: &str = "p/";
const REQUEST: &str = "r/";
const STATE: &str = "s";

/// Why an import was not taken.
#[derive(Debug)]
pub enum ImportFault {
    Store(Fault),
    /// Which record, and what is wrong with it.
    Record(String, String),
    /// The caller left.
    Cut,
}

impl From<Fault> for ImportFault {
    fn from(fault: Fault) -> ImportFault {
        ImportFault::Store(fault)
    }
}

impl fmt::Display for ImportFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImportFault::Store(fault) => write!(f, "the store failed: {fault}"),
            ImportFault::Record(key, why) => write!(f, "record {key:?}: {why}"),
            ImportFault::Cut => write!(f, "the import was cut"),
        }
    }
}

fn kept(product: &Product) -> (Kept, Times) {
    let price = product.price.clone().unwrap_or_default();
    let labels = product.labels.iter();
    let record = Kept {
        name: product.name.clone(),
        display_name: product.display_name.clone(),
        description: product.description.clone(),
        category: product.category.clone(),
        currency_code: price.currency_code,
        units: price.units,
        nanos: price.nanos,
        stock: product.stock,
        discount_percent: product.discount_percent,
        labels: labels
            .map(|(key, value)| Label { key: key.clone(), value: value.clone() })
            .collect(),
        state: product.state,
        revision: revision_of(&product.etag).unwrap_or(0),
        sequence: 0,
    };
    (record, Times { create_time: product.create_time, update_time: product.update_time })
}

fn product(record: Kept, times: Times) -> Product {
    let Times { create_time, update_time } = times;
    let Kept { currency_code, units, nanos, .. } = record;
    let price = Money { currency_code, units, nanos };
    Product {
        name: record.name,
        display_name: record.display_name,
        description: record.description,
        category: record.category,
        price_text: price_text(&price),
        price: Some(price),
        stock: record.stock,
        discount_percent: record.discount_percent,
        labels: record.labels.into_iter().map(|Label { key, value }| (key, value)).collect(),
        state: record.state,
        create_time,
        update_time,
        etag: etag_of(record.revision),
    }
}

/// Equal for two creations exactly when they ask for the same.
pub fn fingerprint(request: &CreateProductRequest) -> Vec<u8> {
    let given = request.product.clone().unwrap_or_default();
    let (mut record, Times { .. }) = kept(&given);
    record.revision = 0;
    let asked =
        Asked { product_id: request.product_id.clone(), product: Some(record), etag: given.etag };
    sha2::Sha256::digest(asked.encode_to_vec()).to_vec()
}

fn record(key: String, value: &impl Message, noise: Option<&Times>) -> Record {
    let noise = noise.map(Message::encode_to_vec).unwrap_or_default();
    Record { key, value: value.encode_to_vec(), noise }
}

impl Store {
    /// Gives every record of the state as of one commit, in the order of their keys, until
    /// `give` no longer wants any.
    pub fn records(&self, mut give: impl FnMut(Record) -> bool) -> Result<(), Fault> {
        let Seen { .. } = self.view(|transaction| {
            let state = transaction.query_row("SELECT sequence, pruned FROM state", [], |row| {
                Ok(State { sequence: row.get(0)?, pruned: row.get(1)? })
            })?;
            let all = gone_records(transaction, &mut give)?
                && product_records(transaction, &mut give)?
                && request_records(transaction, &mut give)?;
            if all {
                give(record(STATE.into(), &state, None));
            }
            Ok(Ok(()))
        })?;
        Ok(())
    }

    /// SHA-256 over the records without their noise.
    pub fn records_digest(&self) -> Result<Vec<u8>, Fault> {
        let mut hash = sha2::Sha256::new();
        self.records(|mut record| {
            record.noise.clear();
            hash.update(record.encode_length_delimited_to_vec());
            true
        })?;
        Ok(hash.finalize().to_vec())
    }

    /// Puts the state that `records` hold in the place of the present one, all of it or nothing;
    /// gives its last commit and how many records it had.
    pub fn import(
        &self,
        records: impl Iterator<Item = Result<Record, ImportFault>>,
    ) -> Result<(i64, i64), ImportFault> {
        let mut count = 0;
        let last = self.replace(|transaction| {
            let mut state = None;
            for record in records {
                let record = record?;
                count += 1;
                let key = record.key.clone();
                let wrong = |why: String| ImportFault::Record(key.clone(), why);
                if state.is_some() {
                    return Err(wrong("comes behind the last one".into()));
                }
                if record.key == STATE {
                    state = Some(decoded::<State>(&record.value).map_err(wrong)?);
                } else {
                    take(transaction, record)?.map_err(wrong)?;
                }
            }
            let State { sequence, pruned } = state
                .ok_or_else(|| ImportFault::Record(STATE.into(), "is missing at the end".into()))?;
            transaction
                .execute("UPDATE state SET sequence = ?1, pruned = ?2", [sequence, pruned])?;
            Ok::<_, ImportFault>(sequence)
        })?;
        Ok((last, count))
    }
}

fn gone_records(
    transaction: &Transaction<'_>,
    give: &mut impl FnMut(Record) -> bool,
) -> Result<bool, Fault> {
    let mut query = transaction
        .prepare("SELECT name, gone, sequence FROM changes WHERE gone IS NOT NULL ORDER BY name")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let gone = Gone { revision: row.get(1)?, sequence: row.get(2)? };
        if !give(record(format!("{GONE}{}", row.get::<_, String>(0)?), &gone, None)) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn product_records(
    transaction: &Transaction<'_>,
    give: &mut impl FnMut(Record) -> bool,
) -> Result<bool, Fault> {
    let mut query = transaction.prepare(
        "SELECT p.name, p.body, c.sequence FROM products p JOIN changes c USING (name) ORDER BY p.name",
    )?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let (mut kept, times) = kept(&decode(&row.get::<_, Vec<u8>>(1)?)?);
        kept.sequence = row.get(2)?;
        if !give(record(format!("{PRODUCT}{}", row.get::<_, String>(0)?), &kept, Some(&times))) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn request_records(
    transaction: &Transaction<'_>,
    give: &mut impl FnMut(Record) -> bool,
) -> Result<bool, Fault> {
    let mut query =
        transaction.prepare("SELECT id, sequence, request, answer FROM requests ORDER BY id")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let (answer, times) = kept(&decode(&row.get::<_, Vec<u8>>(3)?)?);
        let answered =
            Answered { sequence: row.get(1)?, fingerprint: row.get(2)?, answer: Some(answer) };
        if !give(record(format!("{REQUEST}{}", row.get::<_, String>(0)?), &answered, Some(&times)))
        {
            return Ok(false);
        }
    }
    Ok(true)
}

fn decoded<M: Message + Default>(bytes: &[u8]) -> Result<M, String> {
    M::decode(bytes).map_err(|error| error.to_string())
}

/// Writes one record; the inner fault is the record's.
fn take(transaction: &Transaction<'_>, record: Record) -> Result<Result<(), String>, Fault> {
    let Record { key, value, noise } = record;
    let parsed = parse(&key, &value, &noise);
    match parsed {
        Err(why) => return Ok(Err(why)),
        Ok(Piece::Gone(name, gone)) => {
            put_change(transaction, name, gone.sequence, Some(gone.revision))?;
        }
        Ok(Piece::Product(sequence, product)) => {
            write_product(transaction, &product)?;
            put_change(transaction, &product.name, sequence, None)?;
        }
        Ok(Piece::Request(id, sequence, fingerprint, answer)) => {
            transaction
                .prepare_cached(
                    "INSERT INTO requests (id, sequence, request, answer) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![id, sequence, fingerprint, answer.encode_to_vec()])?;
        }
    }
    Ok(Ok(()))
}

enum Piece<'a> {
    Gone(&'a str, Gone),
    Product(i64, Box<Product>),
    Request(&'a str, i64, Vec<u8>, Box<Product>),
}

fn parse<'a>(key: &'a str, value: &[u8], noise: &[u8]) -> Result<Piece<'a>, String> {
    if let Some(name) = key.strip_prefix(GONE) {
        return Ok(Piece::Gone(name, decoded(value)?));
    }
    let times = decoded::<Times>(noise)?;
    if let Some(name) = key.strip_prefix(PRODUCT) {
        let record: Kept = decoded(value)?;
        if record.name != name {
            return Err(format!("holds {:?}", record.name));
        }
        return Ok(Piece::Product(record.sequence, Box::new(product(record, times))));
    }
    if let Some(id) = key.strip_prefix(REQUEST) {
        let Answered { sequence, fingerprint, answer } = decoded(value)?;
        let answer = product(answer.unwrap_or_default(), times);
        return Ok(Piece::Request(id, sequence, fingerprint, Box::new(answer)));
    }
    Err("is of no known kind".into())
}

/// Now, as the contract has it.
pub fn now() -> Timestamp {
    Timestamp::from(std::time::SystemTime::now())
}
