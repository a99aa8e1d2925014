package main

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"

	"google.golang.org/grpc/metadata"

	"tandem.dev/clients/go"
	"tandem.local/cases/catalogue/go/gen/cataloguepb"
)

const (
	discountMostDefault = 20
	discountMostLargest = 60
	hiddenMost          = 50
	newPriceFormat      = "tandem.cases.catalogue.v1.CatalogueSettings.new_price_format"
)

// team is what the shop's team says at this moment; nil says nothing, which leaves the defaults.
type team func() *cataloguepb.CatalogueSettings

func (t team) now() *cataloguepb.CatalogueSettings {
	if t == nil {
		return nil
	}
	return t()
}

// discountMost is the largest discount that a product may be given, in percent.
func (t team) discountMost() int32 {
	now := t.now()
	if now == nil || now.MaxDiscountPercent == nil {
		return discountMostDefault
	}
	return *now.MaxDiscountPercent
}

// hidden are the categories that lists leave out.
func (t team) hidden() []string { return t.now().GetHiddenCategories() }

// shown are products as the caller sees them: with the new price where that is switched on for it.
func (t team) shown(ctx context.Context, products []*cataloguepb.Product) []*cataloguepb.Product {
	perMille := t.now().GetNewPriceFormat().GetPerMille()
	principal := principalOf(ctx)
	if principal == "" || !settings.IsOn(perMille, newPriceFormat, principal) {
		return products
	}
	for _, product := range products {
		product.PriceText = newPriceText(product.Price)
	}
	return products
}

// principalOf is who calls, as the gateway says; empty where it does not.
func principalOf(ctx context.Context) string {
	for _, said := range metadata.ValueFromIncomingContext(ctx, "x-tandem-principal") {
		principal, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(said, "="))
		if err == nil {
			return string(principal)
		}
	}
	return ""
}

// bearable refuses what the service cannot run by, whatever let it through.
func bearable(next *cataloguepb.CatalogueSettings) error {
	if next.MaxDiscountPercent != nil && (*next.MaxDiscountPercent < 0 || *next.MaxDiscountPercent > discountMostLargest) {
		return errors.New("max_discount_percent must be 0 to 60")
	}
	if len(next.HiddenCategories) > hiddenMost {
		return errors.New("hidden_categories must be at most 50")
	}
	return nil
}
