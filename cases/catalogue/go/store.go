package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"google.golang.org/protobuf/proto"
	_ "modernc.org/sqlite" // the driver "sqlite", in pure Go

	"tandem.local/cases/catalogue/go/gen/cataloguepb"
	"tandem.local/cases/service/go/gen/adminpb"
)

const (
	readers        = 4
	behindMost     = 4096      // changes that a follower may be behind (CAT-10)
	tombstonesKept = 1_000_000 // sequences for which the mark of a removed product is kept (CAT-10)
	requestsKept   = 100_000   // answers to request ids that are remembered (CO-3)
)

var (
	errUnknown      = errors.New("no such product")
	errExists       = errors.New("the name is taken")
	errStale        = errors.New("the etag is stale")
	errOtherRequest = errors.New("the request id belongs to another request")
)

// Store keeps products and their changes in one SQLite file. One connection writes, four read.
// Each write is one transaction that holds the product, its change and, for a creation, the
// answer to its request id; it takes the next number of a dense sequence.
//
// --sync group is as safe as each: commits are not grouped yet.
type Store struct {
	read, write *sql.DB

	// mu orders commits and their announcement: followers hear commits in their order.
	mu        sync.Mutex
	followers map[*follower]struct{}
}

// follower hears of commits; it is cut when its channel is full.
type follower struct {
	changes chan *cataloguepb.Change
	lagged  chan struct{}
}

// OpenStore opens or makes the file in a folder.
func OpenStore(folder, sync string) (*Store, error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	synchronous := "FULL"
	if sync == "none" {
		synchronous = "OFF"
	}
	source := "file:" + filepath.Join(folder, "catalogue.sqlite") +
		"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=cache_size(-65536)" +
		"&_pragma=synchronous(" + synchronous + ")&_txlock=immediate"
	write, err := sql.Open("sqlite", source)
	if err != nil {
		return nil, err
	}
	write.SetMaxOpenConns(1)
	if err := migrate(write); err != nil {
		return nil, err
	}
	read, err := sql.Open("sqlite", source+"&_txlock=deferred")
	if err != nil {
		return nil, err
	}
	read.SetMaxOpenConns(readers)
	read.SetMaxIdleConns(readers)
	return &Store{read: read, write: write, followers: map[*follower]struct{}{}}, nil
}

// Close closes the file.
func (s *Store) Close() error {
	return errors.Join(s.read.Close(), s.write.Close())
}

func migrate(db *sql.DB) error {
	var version int
	if err := db.QueryRow("PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	switch version {
	case 0:
		_, err := db.Exec(`BEGIN IMMEDIATE;
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
			COMMIT;`)
		return err
	case 1:
		return nil
	default:
		return fmt.Errorf("the data was written by a newer version (%d)", version)
	}
}

// update runs change in one transaction and tells followers what it committed. The sequence is
// that of the commit, or of the last one where change failed.
func (s *Store) update(ctx context.Context, change func(*sql.Tx, int64) (*cataloguepb.Change, error)) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback() // after a commit it does nothing
	last, err := lastSequence(ctx, tx)
	if err != nil {
		return 0, err
	}
	made, err := change(tx, last+1)
	if err != nil || made == nil {
		return last, err
	}
	if _, err := tx.ExecContext(ctx, "UPDATE state SET sequence = ?", made.Sequence); err != nil {
		return last, err
	}
	if err := tx.Commit(); err != nil {
		return last, err
	}
	for follower := range s.followers {
		select {
		case follower.changes <- made:
		default:
			delete(s.followers, follower)
			close(follower.lagged)
		}
	}
	return made.Sequence, nil
}

// Create creates a product; it has everything but its etag. A request id that was answered
// before gets the same product again.
func (s *Store) Create(ctx context.Context, product *cataloguepb.Product, requestID string, request []byte) (*cataloguepb.Product, int64, error) {
	answer := product
	sequence, err := s.update(ctx, func(tx *sql.Tx, sequence int64) (*cataloguepb.Change, error) {
		if requestID != "" {
			var known, body []byte
			err := tx.QueryRowContext(ctx, "SELECT request, answer FROM requests WHERE id = ?", requestID).Scan(&known, &body)
			switch {
			case err == nil && !bytes.Equal(known, request):
				return nil, errOtherRequest
			case err == nil:
				answer = &cataloguepb.Product{}
				return nil, proto.Unmarshal(body, answer)
			case !errors.Is(err, sql.ErrNoRows):
				return nil, err
			}
		}
		if _, _, err := productNamed(ctx, tx, product.Name); !errors.Is(err, errUnknown) {
			if err == nil {
				err = errExists
			}
			return nil, err
		}
		// A name that comes back goes on counting, so that no revision means two states.
		var gone sql.NullInt64
		err := tx.QueryRowContext(ctx, "SELECT gone FROM changes WHERE name = ?", product.Name).Scan(&gone)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, err
		}
		body, err := put(ctx, tx, product, gone.Int64+1, sequence)
		if err != nil {
			return nil, err
		}
		if requestID != "" {
			_, err := tx.ExecContext(ctx, "INSERT INTO requests (id, sequence, request, answer) VALUES (?, ?, ?, ?)",
				requestID, sequence, request, body)
			if err != nil {
				return nil, err
			}
			if _, err := tx.ExecContext(ctx, "DELETE FROM requests WHERE sequence <= ?", sequence-requestsKept); err != nil {
				return nil, err
			}
		}
		return changed(sequence, product), nil
	})
	return answer, sequence, err
}

// Update changes a product by edit, which sees the present one; an error of edit changes nothing.
func (s *Store) Update(ctx context.Context, name, etag string, edit func(*cataloguepb.Product) error) (*cataloguepb.Product, int64, error) {
	var product *cataloguepb.Product
	sequence, err := s.update(ctx, func(tx *sql.Tx, sequence int64) (*cataloguepb.Change, error) {
		present, revision, err := productNamed(ctx, tx, name)
		if err != nil {
			return nil, err
		}
		// Faults of the fields come before a stale etag, as on the other side.
		tag := present.Etag
		if err := edit(present); err != nil {
			return nil, err
		}
		if etag != "" && etag != tag {
			return nil, errStale
		}
		product = present
		if _, err := put(ctx, tx, product, revision+1, sequence); err != nil {
			return nil, err
		}
		return changed(sequence, product), nil
	})
	return product, sequence, err
}

// Delete removes a product and leaves its mark.
func (s *Store) Delete(ctx context.Context, name, etag string) (int64, error) {
	return s.update(ctx, func(tx *sql.Tx, sequence int64) (*cataloguepb.Change, error) {
		product, revision, err := productNamed(ctx, tx, name)
		if err != nil {
			return nil, err
		}
		if etag != "" && etag != product.Etag {
			return nil, errStale
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM products WHERE name = ?", name); err != nil {
			return nil, err
		}
		if err := putChange(ctx, tx, name, sequence, sql.NullInt64{Int64: revision, Valid: true}); err != nil {
			return nil, err
		}
		pruned := sequence - tombstonesKept
		result, err := tx.ExecContext(ctx, "DELETE FROM changes WHERE gone IS NOT NULL AND sequence <= ?", pruned)
		if err != nil {
			return nil, err
		}
		if count, err := result.RowsAffected(); err != nil {
			return nil, err
		} else if count > 0 {
			if _, err := tx.ExecContext(ctx, "UPDATE state SET pruned = ?", pruned); err != nil {
				return nil, err
			}
		}
		return &cataloguepb.Change{Sequence: sequence, What: &cataloguepb.Change_Deleted{Deleted: name}}, nil
	})
}

// view runs look in one read-only transaction and gives the last commit that it saw.
func (s *Store) view(ctx context.Context, look func(*sql.Tx) error) (int64, error) {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return 0, err
	}
	defer tx.Rollback() // nothing was written
	last, err := lastSequence(ctx, tx)
	if err != nil {
		return 0, err
	}
	return last, look(tx)
}

// Get reads the products called names; errUnknown is wrapped with the first one missing.
func (s *Store) Get(ctx context.Context, names ...string) ([]*cataloguepb.Product, int64, error) {
	products := make([]*cataloguepb.Product, 0, len(names))
	last, err := s.view(ctx, func(tx *sql.Tx) error {
		for _, name := range names {
			product, _, err := productNamed(ctx, tx, name)
			if err != nil {
				return err
			}
			products = append(products, product)
		}
		return nil
	})
	return products, last, err
}

// List reads at most count products whose names come behind after.
func (s *Store) List(ctx context.Context, after string, count int) ([]*cataloguepb.Product, int64, error) {
	var products []*cataloguepb.Product
	last, err := s.view(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, "SELECT body FROM products WHERE name > ? ORDER BY name LIMIT ?", after, count)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var body []byte
			if err := rows.Scan(&body); err != nil {
				return err
			}
			product := &cataloguepb.Product{}
			if err := proto.Unmarshal(body, product); err != nil {
				return err
			}
			products = append(products, product)
		}
		return rows.Err()
	})
	return products, last, err
}

// past is what a follower may read at once.
type past struct {
	changes []*cataloguepb.Change
	last    int64 // the last commit at the time of reading
	pruned  int64 // marks of removed products up to this commit are gone
}

// Past reads the last change of each name behind from, at most count, in their order.
func (s *Store) Past(ctx context.Context, from int64, count int) (past, error) {
	var found past
	last, err := s.view(ctx, func(tx *sql.Tx) error {
		if err := tx.QueryRowContext(ctx, "SELECT pruned FROM state").Scan(&found.pruned); err != nil {
			return err
		}
		rows, err := tx.QueryContext(ctx, `SELECT c.name, c.sequence, p.body
			FROM changes c LEFT JOIN products p USING (name)
			WHERE c.sequence > ? ORDER BY c.sequence LIMIT ?`, from, count)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var name string
			var sequence int64
			var body []byte
			if err := rows.Scan(&name, &sequence, &body); err != nil {
				return err
			}
			change := &cataloguepb.Change{Sequence: sequence, What: &cataloguepb.Change_Deleted{Deleted: name}}
			if body != nil {
				product := &cataloguepb.Product{}
				if err := proto.Unmarshal(body, product); err != nil {
					return err
				}
				change.What = &cataloguepb.Change_Product{Product: product}
			}
			found.changes = append(found.changes, change)
		}
		return rows.Err()
	})
	found.last = last
	return found, err
}

// Follow hears of commits from now on, until Unfollow.
func (s *Store) Follow() *follower {
	made := &follower{
		changes: make(chan *cataloguepb.Change, behindMost),
		lagged:  make(chan struct{}),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.followers[made] = struct{}{}
	return made
}

// Unfollow ends what Follow began.
func (s *Store) Unfollow(gone *follower) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.followers, gone)
}

// Records are names and revisions in the order of the names.
func (s *Store) Records(ctx context.Context) ([]*adminpb.DigestRecord, int64, error) {
	var records []*adminpb.DigestRecord
	last, err := s.view(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, "SELECT name, revision FROM products ORDER BY name")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			record := &adminpb.DigestRecord{}
			if err := rows.Scan(&record.Name, &record.Revision); err != nil {
				return err
			}
			records = append(records, record)
		}
		return rows.Err()
	})
	return records, last, err
}

func lastSequence(ctx context.Context, tx *sql.Tx) (int64, error) {
	var last int64
	err := tx.QueryRowContext(ctx, "SELECT sequence FROM state").Scan(&last)
	return last, err
}

func productNamed(ctx context.Context, tx *sql.Tx, name string) (*cataloguepb.Product, int64, error) {
	var body []byte
	var revision int64
	err := tx.QueryRowContext(ctx, "SELECT body, revision FROM products WHERE name = ?", name).Scan(&body, &revision)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, 0, fmt.Errorf("%w: %s", errUnknown, name)
	}
	if err != nil {
		return nil, 0, err
	}
	product := &cataloguepb.Product{}
	return product, revision, proto.Unmarshal(body, product)
}

func put(ctx context.Context, tx *sql.Tx, product *cataloguepb.Product, revision, sequence int64) ([]byte, error) {
	product.Etag = fmt.Sprintf("%q", fmt.Sprintf("r%d", revision))
	body, err := proto.Marshal(product)
	if err != nil {
		return nil, err
	}
	_, err = tx.ExecContext(ctx, "INSERT OR REPLACE INTO products (name, revision, body) VALUES (?, ?, ?)", product.Name, revision, body)
	if err != nil {
		return nil, err
	}
	return body, putChange(ctx, tx, product.Name, sequence, sql.NullInt64{})
}

func putChange(ctx context.Context, tx *sql.Tx, name string, sequence int64, gone sql.NullInt64) error {
	_, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO changes (name, sequence, gone) VALUES (?, ?, ?)", name, sequence, gone)
	return err
}

func changed(sequence int64, product *cataloguepb.Product) *cataloguepb.Change {
	return &cataloguepb.Change{
		Sequence: sequence,
		What:     &cataloguepb.Change_Product{Product: proto.CloneOf(product)},
	}
}
