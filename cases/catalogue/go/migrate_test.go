package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"tandem.local/cases/catalogue/go/gen/cataloguepb"
)

func TestAFileOfTheFirstVersionKeepsItsProductsAndTheRequestsThatMadeThem(t *testing.T) {
	ctx, folder := t.Context(), t.TempDir()
	pool, connections, err := connect(ctx, source(filepath.Join(folder, "catalogue.sqlite"), "OFF"), 1)
	if err != nil {
		t.Fatal(err)
	}
	old := connections[0]
	product := kettle()
	product.Name, product.Etag, product.Stock = "products/a", `"r3"`, 7
	product.Labels = map[string]string{"colour": "red"}
	body, err := encode(product)
	if err != nil {
		t.Fatal(err)
	}
	request := &cataloguepb.CreateProductRequest{ProductId: "a", Product: kettle()}
	asked, err := proto.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		migrations[0](ctx, old),
		old.exec(ctx, "INSERT INTO products VALUES ('products/a', 3, ?)", body),
		old.exec(ctx, "INSERT INTO changes VALUES ('products/a', 1, NULL)"),
		old.exec(ctx, "INSERT INTO requests VALUES ('id', 1, ?, ?)", asked, body),
		old.exec(ctx, "UPDATE state SET sequence = 1"),
		old.script(ctx, "PRAGMA user_version = 1"),
		old.close(),
		pool.Close(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	store, err := OpenStore(ctx, folder, "none")
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	found, err := parseFilter("stock = 7 AND labels.colour = red")
	if err != nil {
		t.Fatal(err)
	}
	products, last, err := store.List(ctx, selection{filter: found, count: 2})
	if err != nil || last != 1 || len(products) != 1 || !proto.Equal(products[0], product) {
		t.Errorf("%v at %d: %v", products, last, err)
	}
	want, err := fingerprintOf(request)
	if err != nil {
		t.Fatal(err)
	}
	var known []byte
	err = store.writer.get(ctx, "SELECT request FROM requests WHERE id = 'id'", nil, &known)
	if err != nil || !bytes.Equal(known, want) {
		t.Errorf("%x: %v", known, err)
	}
}

func TestAFileOfANewerVersionIsRefused(t *testing.T) {
	ctx, folder := t.Context(), t.TempDir()
	store, err := OpenStore(ctx, folder, "none")
	if err != nil {
		t.Fatal(err)
	}
	if err := store.writer.script(ctx, "PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenStore(ctx, folder, "none"); err == nil || !strings.Contains(err.Error(), "newer") {
		t.Error(err)
	}
}
