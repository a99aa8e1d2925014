package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"google.golang.org/protobuf/proto"

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
// --sync group is as safe as each: commits are not grouped.
type Store struct {
	pools   []*sql.DB
	readers chan *connection // those that nobody uses
	last    atomic.Int64     // the last commit

	// mu orders commits and their announcement: followers hear commits in their order.
	mu        sync.Mutex
	writer    *connection
	followers map[*follower]struct{}
}

// follower hears of commits; it is cut when its channel is full.
type follower struct {
	changes chan *cataloguepb.Change
	lagged  chan struct{}
}

// OpenStore opens or makes the file in a folder.
func OpenStore(ctx context.Context, folder, sync string) (*Store, error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	synchronous := "FULL"
	if sync == "none" {
		synchronous = "OFF"
	}
	path := source(filepath.Join(folder, "catalogue.sqlite"), synchronous)
	store := &Store{readers: make(chan *connection, readers), followers: map[*follower]struct{}{}}
	pool, writers, err := connect(ctx, path, 1)
	if err != nil {
		return nil, err
	}
	store.pools, store.writer = append(store.pools, pool), writers[0]
	if err := migrate(ctx, store.writer); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	pool, read, err := connect(ctx, path, readers)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	store.pools = append(store.pools, pool)
	for _, reader := range read {
		store.readers <- reader
	}
	last, err := store.view(ctx, func(*connection) error { return nil })
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	store.last.Store(last)
	return store, nil
}

// Close closes the file once the calls that use it have ended.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.writer.close()
	if len(s.pools) > 1 {
		for range readers {
			all = errors.Join(all, (<-s.readers).close())
		}
	}
	for _, pool := range s.pools {
		all = errors.Join(all, pool.Close())
	}
	return all
}

// Last is the number of the last commit.
func (s *Store) Last() int64 {
	return s.last.Load()
}

// update runs change in one transaction and tells followers what it committed. The sequence is
// that of the commit, or of the last one where change failed or gave nothing.
func (s *Store) update(ctx context.Context, change func(*connection, int64) (*cataloguepb.Change, error)) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var made *cataloguepb.Change
	last := s.Last()
	err := s.writer.transaction(ctx, "BEGIN IMMEDIATE", func() error {
		var err error
		if made, err = change(s.writer, last+1); err != nil || made == nil {
			return err
		}
		return s.writer.exec(ctx, "UPDATE state SET sequence = ?", made.Sequence)
	})
	if err != nil || made == nil {
		return last, err
	}
	s.last.Store(made.Sequence)
	for follower := range s.followers {
		select {
		case follower.changes <- made:
		default:
			s.cut(follower)
		}
	}
	return made.Sequence, nil
}

// cut ends a follower; mu is held.
func (s *Store) cut(gone *follower) {
	delete(s.followers, gone)
	close(gone.lagged)
}

// Create creates a product, which has everything but its etag. A request id that was answered
// before gets the same product again.
func (s *Store) Create(ctx context.Context, product *cataloguepb.Product, requestID string, fingerprint []byte) (*cataloguepb.Product, int64, error) {
	answer := product
	sequence, err := s.update(ctx, func(in *connection, sequence int64) (*cataloguepb.Change, error) {
		if requestID != "" {
			var known, body []byte
			err := in.get(ctx, "SELECT request, answer FROM requests WHERE id = ?", []any{requestID}, &known, &body)
			switch {
			case err == nil && !bytes.Equal(known, fingerprint):
				return nil, errOtherRequest
			case err == nil:
				answer = &cataloguepb.Product{}
				return nil, proto.Unmarshal(body, answer)
			case !errors.Is(err, sql.ErrNoRows):
				return nil, err
			}
		}
		if _, err := productNamed(ctx, in, product.Name); !errors.Is(err, errUnknown) {
			if err == nil {
				err = errExists
			}
			return nil, err
		}
		if err := insert(ctx, in, product, sequence); err != nil {
			return nil, err
		}
		if requestID != "" {
			if err := remember(ctx, in, requestID, sequence, fingerprint, product); err != nil {
				return nil, err
			}
		}
		return changed(sequence, product), nil
	})
	return answer, sequence, err
}

// insert writes a product whose name is free.
func insert(ctx context.Context, in *connection, product *cataloguepb.Product, sequence int64) error {
	// A name that comes back goes on counting, so that no revision means two states.
	var gone sql.NullInt64
	err := in.get(ctx, "SELECT gone FROM changes WHERE name = ?", []any{product.Name}, &gone)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	return put(ctx, in, product, gone.Int64+1, sequence)
}

// remember keeps the answer to a request id and forgets the oldest.
func remember(ctx context.Context, in *connection, requestID string, sequence int64, fingerprint []byte, answer *cataloguepb.Product) error {
	body, err := encode(answer)
	if err != nil {
		return err
	}
	err = in.exec(ctx, "INSERT INTO requests (id, sequence, request, answer) VALUES (?, ?, ?, ?)",
		requestID, sequence, fingerprint, body)
	if err != nil {
		return err
	}
	return in.exec(ctx, "DELETE FROM requests WHERE sequence <= ?", sequence-requestsKept)
}

// Update changes a product by edit, which sees the present one; an error of edit changes nothing.
// Where there is none, missing makes one, unless it is nil.
func (s *Store) Update(ctx context.Context, name, etag string, edit func(*cataloguepb.Product) error, missing func() (*cataloguepb.Product, error)) (*cataloguepb.Product, int64, error) {
	var product *cataloguepb.Product
	sequence, err := s.update(ctx, func(in *connection, sequence int64) (*cataloguepb.Change, error) {
		present, err := productNamed(ctx, in, name)
		if errors.Is(err, errUnknown) && missing != nil {
			if product, err = missing(); err != nil {
				return nil, err
			}
			if etag != "" {
				return nil, errStale
			}
			if err := insert(ctx, in, product, sequence); err != nil {
				return nil, err
			}
			return changed(sequence, product), nil
		}
		if err != nil {
			return nil, err
		}
		tag := present.Etag
		// Faults of the fields come before a stale etag, as on the other side.
		if err := edit(present); err != nil {
			return nil, err
		}
		if etag != "" && etag != tag {
			return nil, errStale
		}
		revision, err := revisionOf(tag)
		if err != nil {
			return nil, err
		}
		product = present
		if err := put(ctx, in, product, revision+1, sequence); err != nil {
			return nil, err
		}
		return changed(sequence, product), nil
	})
	return product, sequence, err
}

// Delete removes a product and leaves its mark.
func (s *Store) Delete(ctx context.Context, name, etag string) (int64, error) {
	return s.update(ctx, func(in *connection, sequence int64) (*cataloguepb.Change, error) {
		product, err := productNamed(ctx, in, name)
		if err != nil {
			return nil, err
		}
		if etag != "" && etag != product.Etag {
			return nil, errStale
		}
		revision, err := revisionOf(product.Etag)
		if err != nil {
			return nil, err
		}
		if err := in.exec(ctx, "DELETE FROM labels WHERE product = ?", name); err != nil {
			return nil, err
		}
		if err := in.exec(ctx, "DELETE FROM products WHERE name = ?", name); err != nil {
			return nil, err
		}
		if err := putChange(ctx, in, name, sequence, sql.NullInt64{Int64: revision, Valid: true}); err != nil {
			return nil, err
		}
		if pruned := sequence - tombstonesKept; pruned > 0 {
			if err := in.exec(ctx, "DELETE FROM changes WHERE gone IS NOT NULL AND sequence <= ?", pruned); err != nil {
				return nil, err
			}
			if err := in.exec(ctx, "UPDATE state SET pruned = ?", pruned); err != nil {
				return nil, err
			}
		}
		return &cataloguepb.Change{Sequence: sequence, What: &cataloguepb.Change_Deleted{Deleted: name}}, nil
	})
}

// view runs look in one read-only transaction and gives the last commit that it saw.
func (s *Store) view(ctx context.Context, look func(*connection) error) (int64, error) {
	last := s.Last()
	select {
	case in := <-s.readers:
		defer func() { s.readers <- in }()
		err := in.transaction(ctx, "BEGIN", func() error {
			if err := in.get(ctx, "SELECT sequence FROM state", nil, &last); err != nil {
				return err
			}
			return look(in)
		})
		return last, err
	case <-ctx.Done():
		return last, ctx.Err()
	}
}

// Get reads the products called names; errUnknown is wrapped with the first one missing.
func (s *Store) Get(ctx context.Context, names ...string) ([]*cataloguepb.Product, int64, error) {
	products := make([]*cataloguepb.Product, 0, len(names))
	last, err := s.view(ctx, func(in *connection) error {
		for _, name := range names {
			product, err := productNamed(ctx, in, name)
			if err != nil {
				return err
			}
			products = append(products, product)
		}
		return nil
	})
	return products, last, err
}

// List reads what is selected.
func (s *Store) List(ctx context.Context, what selection) ([]*cataloguepb.Product, int64, error) {
	var products []*cataloguepb.Product
	query, values := what.query()
	last, err := s.view(ctx, func(in *connection) error {
		rows, err := in.query(ctx, query, values...)
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
	last, err := s.view(ctx, func(in *connection) error {
		if err := in.get(ctx, "SELECT pruned FROM state", nil, &found.pruned); err != nil {
			return err
		}
		rows, err := in.query(ctx, `SELECT c.name, c.sequence, p.body
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

// Revisions are names and revisions in the order of the names.
func (s *Store) Revisions(ctx context.Context) ([]*adminpb.DigestRecord, int64, error) {
	var records []*adminpb.DigestRecord
	last, err := s.view(ctx, func(in *connection) error {
		rows, err := in.query(ctx, "SELECT name, revision FROM products ORDER BY name")
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

func productNamed(ctx context.Context, in *connection, name string) (*cataloguepb.Product, error) {
	var body []byte
	err := in.get(ctx, "SELECT body FROM products WHERE name = ?", []any{name}, &body)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("%w: %s", errUnknown, name)
	}
	if err != nil {
		return nil, err
	}
	product := &cataloguepb.Product{}
	return product, proto.Unmarshal(body, product)
}

// put writes a product with its new revision, and its change.
func put(ctx context.Context, in *connection, product *cataloguepb.Product, revision, sequence int64) error {
	product.Etag = etagOf(revision)
	if err := writeProduct(ctx, in, product); err != nil {
		return err
	}
	return putChange(ctx, in, product.Name, sequence, sql.NullInt64{})
}

// writeProduct writes the row of a product and those of its labels.
func writeProduct(ctx context.Context, in *connection, product *cataloguepb.Product) error {
	revision, err := revisionOf(product.Etag)
	if err != nil {
		return err
	}
	body, err := encode(product)
	if err != nil {
		return err
	}
	err = in.exec(ctx, `INSERT OR REPLACE INTO products
		(name, revision, display_name, category, units, stock, state, body)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		product.Name, revision, product.DisplayName, product.Category,
		product.GetPrice().GetUnits(), product.Stock, int32(product.State), body)
	if err != nil {
		return err
	}
	if err := in.exec(ctx, "DELETE FROM labels WHERE product = ?", product.Name); err != nil {
		return err
	}
	for key, value := range product.Labels {
		err := in.exec(ctx, "INSERT INTO labels (product, key, value) VALUES (?, ?, ?)", product.Name, key, value)
		if err != nil {
			return err
		}
	}
	return nil
}

func putChange(ctx context.Context, in *connection, name string, sequence int64, gone sql.NullInt64) error {
	return in.exec(ctx, "INSERT OR REPLACE INTO changes (name, sequence, gone) VALUES (?, ?, ?)", name, sequence, gone)
}

func encode(product *cataloguepb.Product) ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.Marshal(product)
}

func etagOf(revision int64) string {
	return `"r` + strconv.FormatInt(revision, 10) + `"`
}

func revisionOf(etag string) (int64, error) {
	digits, found := strings.CutPrefix(etag, `"r`)
	digits, closed := strings.CutSuffix(digits, `"`)
	revision, err := strconv.ParseInt(digits, 10, 64)
	if !found || !closed || err != nil {
		return 0, fmt.Errorf("%q is no etag of ours", etag)
	}
	return revision, nil
}

func changed(sequence int64, product *cataloguepb.Product) *cataloguepb.Change {
	return &cataloguepb.Change{
		Sequence: sequence,
		What:     &cataloguepb.Change_Product{Product: proto.CloneOf(product)},
	}
}
