package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/protobuf/proto"

	"tandem.local/cases/catalogue/go/gen/cataloguepb"
	"tandem.local/cases/catalogue/go/gen/recordpb"
	"tandem.local/cases/service/go/gen/adminpb"
)

// Keys of records: what kind of piece, then which.
const (
	goneKey    = "g/"
	productKey = "p/"
	requestKey = "r/"
	stateKey   = "s"
)

// errRecord is wrapped by whatever is wrong with an import.
var errRecord = errors.New("the import cannot be taken")

func recordOf(product *cataloguepb.Product) (*recordpb.Product, *recordpb.Times) {
	record := &recordpb.Product{
		Name:         product.GetName(),
		DisplayName:  product.GetDisplayName(),
		Description:  product.GetDescription(),
		Category:     product.GetCategory(),
		CurrencyCode: product.GetPrice().GetCurrencyCode(),
		Units:        product.GetPrice().GetUnits(),
		Nanos:        product.GetPrice().GetNanos(),
		Stock:        product.GetStock(),
		State:        int32(product.GetState()),

		DiscountPercent: product.GetDiscountPercent(),
	}
	for _, key := range slices.Sorted(maps.Keys(product.GetLabels())) {
		record.Labels = append(record.Labels, &recordpb.Label{Key: key, Value: product.Labels[key]})
	}
	if revision, err := revisionOf(product.GetEtag()); err == nil {
		record.Revision = revision
	}
	return record, &recordpb.Times{CreateTime: product.GetCreateTime(), UpdateTime: product.GetUpdateTime()}
}

func productOf(record *recordpb.Product, times *recordpb.Times) *cataloguepb.Product {
	product := &cataloguepb.Product{
		Name:        record.GetName(),
		DisplayName: record.GetDisplayName(),
		Description: record.GetDescription(),
		Category:    record.GetCategory(),
		Price: &money.Money{
			CurrencyCode: record.GetCurrencyCode(),
			Units:        record.GetUnits(),
			Nanos:        record.GetNanos(),
		},
		Stock:      record.GetStock(),
		State:      cataloguepb.Product_State(record.GetState()),
		CreateTime: times.GetCreateTime(),
		UpdateTime: times.GetUpdateTime(),
		Etag:       etagOf(record.GetRevision()),

		DiscountPercent: record.GetDiscountPercent(),
	}
	product.PriceText = priceText(product.Price)
	if len(record.GetLabels()) > 0 {
		product.Labels = make(map[string]string, len(record.Labels))
		for _, label := range record.Labels {
			product.Labels[label.Key] = label.Value
		}
	}
	return product
}

// fingerprintOf is equal for two creations exactly when they ask for the same.
func fingerprintOf(request *cataloguepb.CreateProductRequest) ([]byte, error) {
	record, _ := recordOf(request.Product)
	record.Revision = 0
	bytes, err := proto.Marshal(&recordpb.Asked{
		ProductId: request.ProductId,
		Product:   record,
		Etag:      request.Product.GetEtag(),
	})
	sum := sha256.Sum256(bytes)
	return sum[:], err
}

func record(key string, value, noise proto.Message) (*adminpb.Record, error) {
	made := &adminpb.Record{Key: key}
	var err error
	if made.Value, err = proto.Marshal(value); err != nil {
		return nil, err
	}
	if noise != nil {
		made.Noise, err = proto.Marshal(noise)
	}
	return made, err
}

// Records gives every record of the state as of one commit, in the order of their keys.
func (s *Store) Records(ctx context.Context, yield func(*adminpb.Record) error) (int64, error) {
	return s.view(ctx, func(in *connection) error {
		give := func(key string, value, noise proto.Message) error {
			made, err := record(key, value, noise)
			if err != nil {
				return err
			}
			return yield(made)
		}
		state := &recordpb.State{}
		if err := in.get(ctx, "SELECT sequence, pruned FROM state", nil, &state.Sequence, &state.Pruned); err != nil {
			return err
		}
		for _, part := range []func(context.Context, *connection, giving) error{goneRecords, productRecords, requestRecords} {
			if err := part(ctx, in, give); err != nil {
				return err
			}
		}
		return give(stateKey, state, nil)
	})
}

type giving func(key string, value, noise proto.Message) error

func goneRecords(ctx context.Context, in *connection, give giving) error {
	rows, err := in.query(ctx, "SELECT name, gone, sequence FROM changes WHERE gone IS NOT NULL ORDER BY name")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		gone := &recordpb.Gone{}
		if err := rows.Scan(&name, &gone.Revision, &gone.Sequence); err != nil {
			return err
		}
		if err := give(goneKey+name, gone, nil); err != nil {
			return err
		}
	}
	return rows.Err()
}

func productRecords(ctx context.Context, in *connection, give giving) error {
	rows, err := in.query(ctx, "SELECT p.name, p.body, c.sequence FROM products p JOIN changes c USING (name) ORDER BY p.name")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var body []byte
		var sequence int64
		if err := rows.Scan(&name, &body, &sequence); err != nil {
			return err
		}
		product := &cataloguepb.Product{}
		if err := proto.Unmarshal(body, product); err != nil {
			return err
		}
		kept, times := recordOf(product)
		kept.Sequence = sequence
		if err := give(productKey+name, kept, times); err != nil {
			return err
		}
	}
	return rows.Err()
}

func requestRecords(ctx context.Context, in *connection, give giving) error {
	rows, err := in.query(ctx, "SELECT id, sequence, request, answer FROM requests ORDER BY id")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var answer []byte
		answered := &recordpb.Answered{}
		if err := rows.Scan(&id, &answered.Sequence, &answered.Fingerprint, &answer); err != nil {
			return err
		}
		product := &cataloguepb.Product{}
		if err := proto.Unmarshal(answer, product); err != nil {
			return err
		}
		var times *recordpb.Times
		answered.Answer, times = recordOf(product)
		if err := give(requestKey+id, answered, times); err != nil {
			return err
		}
	}
	return rows.Err()
}

// replace puts another state in the place of the present one; fill writes it and gives its last
// commit. Followers are cut: what they know is of the old state.
func (s *Store) replace(ctx context.Context, fill func(*connection) (int64, error)) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.Last()
	err := s.writer.transaction(ctx, "BEGIN IMMEDIATE", func() error {
		err := s.writer.script(ctx, "DELETE FROM products; DELETE FROM labels; DELETE FROM changes; DELETE FROM requests")
		if err != nil {
			return err
		}
		last, err = fill(s.writer)
		return err
	})
	if err != nil {
		return s.Last(), err
	}
	s.last.Store(last)
	for follower := range s.followers {
		s.cut(follower)
	}
	return last, nil
}

// Import puts the state that next gives, until it gives nil, in the place of the present one.
func (s *Store) Import(ctx context.Context, next func() (*adminpb.Record, error)) (sequence, count int64, err error) {
	sequence, err = s.replace(ctx, func(in *connection) (int64, error) {
		var state *recordpb.State
		for {
			made, err := next()
			if err != nil {
				return 0, err
			}
			if made == nil {
				break
			}
			count++
			if state != nil {
				return 0, fmt.Errorf("%w: %q comes behind the last record", errRecord, made.Key)
			}
			if made.Key == stateKey {
				state = &recordpb.State{}
				if err := proto.Unmarshal(made.Value, state); err != nil {
					return 0, fmt.Errorf("%w: %q: %w", errRecord, made.Key, err)
				}
				continue
			}
			if err := importRecord(ctx, in, made); err != nil {
				return 0, fmt.Errorf("%w: %q: %w", errRecord, made.Key, err)
			}
		}
		if state == nil {
			return 0, fmt.Errorf("%w: its last record is missing", errRecord)
		}
		return state.Sequence, in.exec(ctx, "UPDATE state SET sequence = ?, pruned = ?", state.Sequence, state.Pruned)
	})
	return sequence, count, err
}

func importRecord(ctx context.Context, in *connection, made *adminpb.Record) error {
	times := &recordpb.Times{}
	if err := proto.Unmarshal(made.Noise, times); err != nil {
		return err
	}
	kind, which, _ := strings.Cut(made.Key, "/")
	switch kind + "/" {
	case goneKey:
		gone := &recordpb.Gone{}
		if err := proto.Unmarshal(made.Value, gone); err != nil {
			return err
		}
		return in.exec(ctx, "INSERT INTO changes (name, sequence, gone) VALUES (?, ?, ?)", which, gone.Sequence, gone.Revision)
	case productKey:
		kept := &recordpb.Product{}
		if err := proto.Unmarshal(made.Value, kept); err != nil {
			return err
		}
		if kept.Name != which {
			return fmt.Errorf("it holds %q", kept.Name)
		}
		if err := writeProduct(ctx, in, productOf(kept, times)); err != nil {
			return err
		}
		return in.exec(ctx, "INSERT INTO changes (name, sequence) VALUES (?, ?)", which, kept.Sequence)
	case requestKey:
		answered := &recordpb.Answered{}
		if err := proto.Unmarshal(made.Value, answered); err != nil {
			return err
		}
		body, err := encode(productOf(answered.Answer, times))
		if err != nil {
			return err
		}
		return in.exec(ctx, "INSERT INTO requests (id, sequence, request, answer) VALUES (?, ?, ?, ?)",
			which, answered.Sequence, answered.Fingerprint, body)
	}
	return errors.New("no such kind")
}
