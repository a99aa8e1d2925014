package main

import (
	"fmt"
	"regexp"
	"strings"

	"google.golang.org/genproto/googleapis/type/money"

	"tandem.local/cases/catalogue/go/gen/cataloguepb"
	service "tandem.local/cases/service/go"
)

// What a product may be, field by field in the order of the contract (CAT-1). Every limit stands
// in the contract's comments and in cases/limits.yaml.
var (
	productIDs = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	etags      = regexp.MustCompile(`^"r[0-9]{1,19}"$`)
	requestIDs = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-4[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$`)
	currencies = regexp.MustCompile(`^[A-Z]{3}$`)
)

func checkName(field, name string) []service.Violation {
	id, found := strings.CutPrefix(name, "products/")
	if found && productIDs.MatchString(id) {
		return nil
	}
	return []service.Violation{{Field: field, Reason: "NAME", Description: "must be products/{id}"}}
}

func checkEtag(field, etag string) []service.Violation {
	if etag == "" || etags.MatchString(etag) {
		return nil
	}
	return []service.Violation{{Field: field, Reason: "ETAG", Description: "must be as it was given"}}
}

// checkProduct finds the faults of a product's own fields, its name left out. No discount is larger
// than discountMost.
func checkProduct(p *cataloguepb.Product, discountMost int32) []service.Violation {
	var violations []service.Violation
	check := func(fine bool, field, reason, description string) {
		if !fine {
			violations = append(violations, service.Violation{Field: "product." + field, Reason: reason, Description: description})
		}
	}
	check(len(p.GetDisplayName()) >= 1 && len(p.GetDisplayName()) <= 128, "display_name", "DISPLAY_NAME", "must have 1 to 128 bytes")
	check(len(p.GetDescription()) <= 4096, "description", "DESCRIPTION", "must have at most 4096 bytes")
	check(len(p.GetCategory()) <= 64, "category", "CATEGORY", "must have at most 64 bytes")
	check(priceIsFine(p.GetPrice()), "price", "PRICE", "must have a currency of three capital letters, and units and nanos of one sign")
	check(p.GetStock() >= 0, "stock", "STOCK", "must be 0 or more")
	check(labelsAreFine(p.GetLabels()), "labels", "LABELS", "must be at most 16, keys of 1 to 63 bytes, values of at most 63 bytes")
	_, known := cataloguepb.Product_State_name[int32(p.GetState())]
	check(known, "state", "STATE", "must be a known state")
	violations = append(violations, checkEtag("product.etag", p.GetEtag())...)
	discount := p.GetDiscountPercent()
	check(discount >= 0 && discount <= discountMost, "discount_percent", "DISCOUNT_PERCENT", fmt.Sprintf("must be 0 to %d, the largest discount at this time", discountMost))
	return violations
}

func priceIsFine(price *money.Money) bool {
	if price == nil || !currencies.MatchString(price.CurrencyCode) {
		return false
	}
	if price.Nanos < -999_999_999 || price.Nanos > 999_999_999 {
		return false
	}
	return price.Units == 0 || price.Nanos == 0 || (price.Units < 0) == (price.Nanos < 0)
}

func labelsAreFine(labels map[string]string) bool {
	if len(labels) > 16 {
		return false
	}
	for key, value := range labels {
		if len(key) < 1 || len(key) > 63 || len(value) > 63 {
			return false
		}
	}
	return true
}

// priceText is the price for people, `12.50 EUR`: two decimals at least, more where they say
// something.
func priceText(price *money.Money) string {
	return amount(price) + " " + price.GetCurrencyCode()
}

// newPriceText is the same with the currency before the amount, `EUR 12.50`.
func newPriceText(price *money.Money) string {
	return price.GetCurrencyCode() + " " + amount(price)
}

func amount(price *money.Money) string {
	sign := ""
	if price.Units < 0 || price.Nanos < 0 {
		sign = "-"
	}
	units, nanos := uint64(price.Units), price.Nanos
	if price.Units < 0 {
		units = -units
	}
	if nanos < 0 {
		nanos = -nanos
	}
	decimals := fmt.Sprintf("%09d", nanos)
	for len(decimals) > 2 && decimals[len(decimals)-1] == '0' {
		decimals = decimals[:len(decimals)-1]
	}
	return fmt.Sprintf("%s%d.%s", sign, units, decimals)
}
