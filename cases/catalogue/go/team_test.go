package main

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"tandem.dev/clients/go/settingspb"
	"tandem.local/cases/catalogue/go/gen/cataloguepb"
)

func TestADiscountIsBoundByTheTeamAndOneThatStandsMayStay(t *testing.T) {
	var now cataloguepb.CatalogueSettings
	client := serve(t, func() *cataloguepb.CatalogueSettings { return &now })
	discounted := func(id string, percent int32) error {
		product := kettle()
		product.DiscountPercent = percent
		_, err := client.CreateProduct(t.Context(), &cataloguepb.CreateProductRequest{ProductId: id, Product: product})
		return err
	}
	expect := func(err error, message string) {
		t.Helper()
		if got := status.Convert(err).Message(); got != message {
			t.Errorf("%q, want %q", got, message)
		}
	}
	const beyond = "product.discount_percent: must be 0 to %, the largest discount at this time"
	expect(discounted("default", 20), "")
	expect(discounted("none", 21), strings.Replace(beyond, "%", "20", 1))
	expect(discounted("none", -1), strings.Replace(beyond, "%", "20", 1))
	now.MaxDiscountPercent = proto.Int32(60)
	expect(discounted("most", 60), "")
	expect(discounted("none", 61), strings.Replace(beyond, "%", "60", 1))
	now.MaxDiscountPercent = proto.Int32(0)
	expect(discounted("none", 1), strings.Replace(beyond, "%", "0", 1))

	update := func(percent int32, paths ...string) error {
		product := &cataloguepb.Product{Name: "products/most", DisplayName: "Teapot", DiscountPercent: percent}
		_, err := client.UpdateProduct(t.Context(), &cataloguepb.UpdateProductRequest{
			Product: product, UpdateMask: &fieldmaskpb.FieldMask{Paths: paths},
		})
		return err
	}
	expect(update(0, "display_name"), "")
	expect(update(61, "discount_percent"), strings.Replace(beyond, "%", "60", 1))
	expect(update(0, "discount_percent"), "")
	expect(update(1, "discount_percent"), strings.Replace(beyond, "%", "0", 1))
}

func TestHiddenCategoriesAreLeftOutOfLists(t *testing.T) {
	now := cataloguepb.CatalogueSettings{HiddenCategories: []string{"secret", "o'ld"}}
	client := serve(t, func() *cataloguepb.CatalogueSettings { return &now })
	for id, category := range map[string]string{"a": "secret", "b": "o'ld", "c": "kitchen", "d": ""} {
		product := kettle()
		product.Category = category
		if _, err := client.CreateProduct(t.Context(), &cataloguepb.CreateProductRequest{ProductId: id, Product: product}); err != nil {
			t.Fatal(err)
		}
	}
	listed := func(filter string) []string {
		t.Helper()
		page, err := client.ListProducts(t.Context(), &cataloguepb.ListProductsRequest{Filter: filter})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, product := range page.Products {
			names = append(names, product.Name)
		}
		return names
	}
	if got := listed(""); !slices.Equal(got, []string{"products/c", "products/d"}) {
		t.Errorf("listed %v", got)
	}
	if got := listed(`category = "secret" OR stock = 0`); !slices.Equal(got, []string{"products/c", "products/d"}) {
		t.Errorf("listed by a filter %v", got)
	}
	if _, err := client.GetProduct(t.Context(), &cataloguepb.GetProductRequest{Name: "products/a"}); err != nil {
		t.Errorf("hidden from lists alone: %v", err)
	}
}

func TestTheNewPriceIsForPrincipalsOfItsShare(t *testing.T) {
	// Alice's number is 139 (clients/vectors.json).
	now := cataloguepb.CatalogueSettings{NewPriceFormat: &settingspb.Rollout{}}
	client := serve(t, func() *cataloguepb.CatalogueSettings { return &now })
	create(t, client, "p")
	for _, check := range []struct {
		perMille  uint32
		principal string
		want      string
	}{
		{139, "alice", "12.50 EUR"},
		{140, "alice", "EUR 12.50"},
		{1000, "", "12.50 EUR"},
		{1000, "bob", "EUR 12.50"},
		{140, "bob", "12.50 EUR"},
	} {
		now.NewPriceFormat.PerMille = check.perMille
		ctx := t.Context()
		if check.principal != "" {
			said := base64.URLEncoding.EncodeToString([]byte(check.principal))
			ctx = metadata.AppendToOutgoingContext(ctx, "x-tandem-principal", said)
		}
		product, err := client.GetProduct(ctx, &cataloguepb.GetProductRequest{Name: "products/p"})
		if err != nil || product.PriceText != check.want {
			t.Errorf("%+v: %q, %v", check, product.GetPriceText(), err)
		}
		page, err := client.ListProducts(ctx, &cataloguepb.ListProductsRequest{})
		if err != nil || page.Products[0].PriceText != check.want {
			t.Errorf("%+v, listed: %v, %v", check, page, err)
		}
	}
}

func TestValuesThatCannotBeBorneAreRefused(t *testing.T) {
	for _, check := range []struct {
		percent *int32
		hidden  int
		want    string
	}{
		{nil, 0, ""},
		{proto.Int32(0), 50, ""},
		{proto.Int32(60), 0, ""},
		{proto.Int32(-1), 0, "max_discount_percent must be 0 to 60"},
		{proto.Int32(61), 0, "max_discount_percent must be 0 to 60"},
		{nil, 51, "hidden_categories must be at most 50"},
	} {
		got := ""
		if err := bearable(&cataloguepb.CatalogueSettings{MaxDiscountPercent: check.percent, HiddenCategories: make([]string, check.hidden)}); err != nil {
			got = err.Error()
		}
		if got != check.want {
			t.Errorf("%+v: %q", check, got)
		}
	}
}
