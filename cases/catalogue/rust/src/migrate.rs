//! Brings the file to the version of this program, one transaction a step. Both languages write
//! the same tables.

use prost::Message as _;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::contract::CreateProductRequest;
use crate::records::fingerprint;
use crate::store::{Fault, decode, write_product};

type Step = fn(&Transaction<'_>) -> Result<(), Box<dyn std::error::Error>>;

const STEPS: [Step; 2] = [tables, columns_to_search];
const LAST: i64 = STEPS.len() as i64;

/// # Errors
/// A file that a newer version wrote, one that holds something else.
pub fn migrate(connection: &mut Connection) -> Result<(), Box<dyn std::error::Error>> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version > LAST {
        return Err(format!("the data was written by a newer version ({version})").into());
    }
    for (made, step) in (1..=LAST).zip(STEPS).filter(|(made, _)| *made > version) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        step(&transaction).map_err(|error| format!("migration to version {made}: {error}"))?;
        transaction.pragma_update(None, "user_version", made)?;
        transaction.commit()?;
    }
    Ok(())
}

fn tables(transaction: &Transaction<'_>) -> Result<(), Box<dyn std::error::Error>> {
    Ok(transaction.execute_batch(
        "CREATE TABLE products (name TEXT PRIMARY KEY, revision INTEGER NOT NULL,
                                body BLOB NOT NULL) WITHOUT ROWID;
         CREATE TABLE changes (name TEXT PRIMARY KEY, sequence INTEGER NOT NULL,
                               gone INTEGER) WITHOUT ROWID;
         CREATE UNIQUE INDEX changes_by_sequence ON changes (sequence);
         CREATE TABLE requests (id TEXT PRIMARY KEY, sequence INTEGER NOT NULL,
                                request BLOB NOT NULL, answer BLOB NOT NULL) WITHOUT ROWID;
         CREATE INDEX requests_by_sequence ON requests (sequence);
         CREATE TABLE state (sequence INTEGER NOT NULL, pruned INTEGER NOT NULL);
         INSERT INTO state VALUES (0, 0);",
    )?)
}

/// Gives filters and orders something to look at, and request ids a fingerprint that both
/// languages agree on.
fn columns_to_search(transaction: &Transaction<'_>) -> Result<(), Box<dyn std::error::Error>> {
    transaction.execute_batch(
        "ALTER TABLE products RENAME TO products_1;
         CREATE TABLE products (name TEXT PRIMARY KEY, revision INTEGER NOT NULL,
                                display_name TEXT NOT NULL, category TEXT NOT NULL,
                                units INTEGER NOT NULL, stock INTEGER NOT NULL,
                                state INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;
         CREATE INDEX products_by_display_name ON products (display_name, name);
         CREATE INDEX products_by_category ON products (category, name);
         CREATE INDEX products_by_units ON products (units, name);
         CREATE INDEX products_by_stock ON products (stock, name);
         CREATE TABLE labels (product TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
                              PRIMARY KEY (product, key)) WITHOUT ROWID;
         CREATE INDEX labels_by_value ON labels (key, value, product);",
    )?;
    for body in bodies(transaction, "SELECT body FROM products_1")? {
        write_product(transaction, &decode(&body)?)?;
    }
    transaction.execute_batch("DROP TABLE products_1")?;
    for body in bodies(transaction, "SELECT request FROM requests")? {
        let request = CreateProductRequest::decode(&body[..])?;
        transaction.execute(
            "UPDATE requests SET request = ?1 WHERE request = ?2",
            [&fingerprint(&request), &body],
        )?;
    }
    Ok(())
}

/// A column, read whole, so that the table may be changed.
fn bodies(transaction: &Transaction<'_>, query: &str) -> Result<Vec<Vec<u8>>, Fault> {
    transaction.prepare(query)?.query_map([], |row| row.get(0))?.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Product;

    #[test]
    fn a_file_of_the_first_version_keeps_its_products_and_the_requests_that_made_them() {
        let mut connection = Connection::open_in_memory().unwrap();
        let transaction = connection.transaction().unwrap();
        tables(&transaction).unwrap();
        let product = Product {
            name: "products/a".into(),
            etag: "\"r3\"".into(),
            stock: 7,
            labels: [("colour".to_owned(), "red".to_owned())].into(),
            ..Default::default()
        };
        let request = CreateProductRequest { product_id: "a".into(), ..Default::default() };
        let body = product.encode_to_vec();
        let asked = request.encode_to_vec();
        transaction.execute("INSERT INTO products VALUES ('products/a', 3, ?1)", [&body]).unwrap();
        transaction
            .execute("INSERT INTO requests VALUES ('id', 1, ?1, ?2)", [&asked, &body])
            .unwrap();
        transaction.pragma_update(None, "user_version", 1).unwrap();
        transaction.commit().unwrap();

        migrate(&mut connection).unwrap();

        let kept: (i64, i64, String) = connection
            .query_row(
                "SELECT p.revision, p.stock, l.value FROM products p JOIN labels l ON l.product = p.name",
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .unwrap();
        assert_eq!(kept, (3, 7, "red".to_owned()));
        let known: Vec<u8> =
            connection.query_row("SELECT request FROM requests", [], |row| row.get(0)).unwrap();
        assert_eq!(known, fingerprint(&request));
    }

    #[test]
    fn a_file_of_a_newer_version_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "user_version", LAST + 1).unwrap();
        assert!(migrate(&mut connection).unwrap_err().to_string().contains("newer"));
    }
}
