package main

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"tandem.local/cases/catalogue/go/gen/cataloguepb"
)

// migrations lead from each version of the file to the next. Both languages write the same tables.
var migrations = []func(context.Context, *connection) error{
	script(`
		CREATE TABLE products (name TEXT PRIMARY KEY, revision INTEGER NOT NULL,
		                       body BLOB NOT NULL) WITHOUT ROWID;
		CREATE TABLE changes (name TEXT PRIMARY KEY, sequence INTEGER NOT NULL,
		                      gone INTEGER) WITHOUT ROWID;
		CREATE UNIQUE INDEX changes_by_sequence ON changes (sequence);
		CREATE TABLE requests (id TEXT PRIMARY KEY, sequence INTEGER NOT NULL,
		                       request BLOB NOT NULL, answer BLOB NOT NULL) WITHOUT ROWID;
		CREATE INDEX requests_by_sequence ON requests (sequence);
		CREATE TABLE state (sequence INTEGER NOT NULL, pruned INTEGER NOT NULL);
		INSERT INTO state VALUES (0, 0);`),
	columnsToSearch,
}

func script(text string) func(context.Context, *connection) error {
	return func(ctx context.Context, in *connection) error { return in.script(ctx, text) }
}

// migrate brings the file to the version of this program, one transaction a step.
func migrate(ctx context.Context, in *connection) error {
	var version int
	if err := in.get(ctx, "PRAGMA user_version", nil, &version); err != nil {
		return err
	}
	if version > len(migrations) {
		return fmt.Errorf("the data was written by a newer version (%d)", version)
	}
	for ; version < len(migrations); version++ {
		err := in.transaction(ctx, "BEGIN IMMEDIATE", func() error {
			if err := migrations[version](ctx, in); err != nil {
				return err
			}
			return in.script(ctx, fmt.Sprintf("PRAGMA user_version = %d", version+1))
		})
		if err != nil {
			return fmt.Errorf("migration to version %d: %w", version+1, err)
		}
	}
	return nil
}

// columnsToSearch gives filters and orders something to look at, and request ids a fingerprint
// that both languages agree on.
func columnsToSearch(ctx context.Context, in *connection) error {
	err := in.script(ctx, `
		ALTER TABLE products RENAME TO products_1;
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
		CREATE INDEX labels_by_value ON labels (key, value, product);`)
	if err != nil {
		return err
	}
	for body, err := range bodies(ctx, in, "SELECT body FROM products_1") {
		if err != nil {
			return err
		}
		product := &cataloguepb.Product{}
		if err := proto.Unmarshal(body, product); err != nil {
			return err
		}
		if err := writeProduct(ctx, in, product); err != nil {
			return err
		}
	}
	if err := in.script(ctx, "DROP TABLE products_1"); err != nil {
		return err
	}
	for body, err := range bodies(ctx, in, "SELECT request FROM requests") {
		if err != nil {
			return err
		}
		request := &cataloguepb.CreateProductRequest{}
		if err := proto.Unmarshal(body, request); err != nil {
			return err
		}
		fingerprint, err := fingerprintOf(request)
		if err != nil {
			return err
		}
		if err := in.exec(ctx, "UPDATE requests SET request = ? WHERE request = ?", fingerprint, body); err != nil {
			return err
		}
	}
	return nil
}

// bodies reads a column whole before the first value is given, so that the table may be changed.
func bodies(ctx context.Context, in *connection, query string) func(func([]byte, error) bool) {
	return func(yield func([]byte, error) bool) {
		rows, err := in.query(ctx, query)
		if err != nil {
			yield(nil, err)
			return
		}
		var found [][]byte
		for rows.Next() {
			var body []byte
			if err := rows.Scan(&body); err != nil {
				yield(nil, errors.Join(err, rows.Close()))
				return
			}
			found = append(found, body)
		}
		if err := rows.Err(); err != nil {
			yield(nil, err)
			return
		}
		for _, body := range found {
			if !yield(body, nil) {
				return
			}
		}
	}
}
