package main

import (
	"slices"

	"google.golang.org/genproto/googleapis/type/money"

	"tandem.local/cases/catalogue/go/gen/cataloguepb"
	service "tandem.local/cases/service/go"
)

var (
	// Paths that an update takes over.
	writtenPaths = []string{"display_name", "description", "category", "price", "stock", "labels", "state", "discount_percent"}
	// Paths that an update may name without effect.
	keptPaths  = []string{"name", "price_text", "create_time", "update_time", "etag"}
	pricePaths = []string{"price.currency_code", "price.units", "price.nanos"}
)

// mask is a field mask of products. The zero mask has nothing.
type mask struct {
	whole bool
	paths []string
}

// maskOf reads a mask; an empty one, and `*` alone, is everything.
func maskOf(paths []string) mask {
	return mask{whole: len(paths) == 0 || len(paths) == 1 && paths[0] == "*", paths: paths}
}

func (m mask) has(path string) bool {
	return m.whole || slices.Contains(m.paths, path)
}

// check names the first path that is none of a product's.
func (m mask) check(field, reason string) []service.Violation {
	if m.whole {
		return nil
	}
	for _, path := range m.paths {
		if !slices.Contains(writtenPaths, path) && !slices.Contains(keptPaths, path) && !slices.Contains(pricePaths, path) {
			return []service.Violation{{Field: field, Reason: reason, Description: "has no path `" + path + "`"}}
		}
	}
	return nil
}

// updateMask is what an update changes; without a mask, what the caller filled in (AIP-134).
func updateMask(request *cataloguepb.UpdateProductRequest) mask {
	if paths := request.GetUpdateMask().GetPaths(); len(paths) > 0 {
		return maskOf(paths)
	}
	product := request.GetProduct()
	filled := map[string]bool{
		"display_name":     product.GetDisplayName() != "",
		"description":      product.GetDescription() != "",
		"category":         product.GetCategory() != "",
		"price":            product.GetPrice() != nil,
		"stock":            product.GetStock() != 0,
		"labels":           len(product.GetLabels()) > 0,
		"state":            product.GetState() != 0,
		"discount_percent": product.GetDiscountPercent() != 0,
	}
	var m mask
	for _, path := range writtenPaths {
		if filled[path] {
			m.paths = append(m.paths, path)
		}
	}
	return m
}

// merge takes the masked fields of given over into product.
func (m mask) merge(product, given *cataloguepb.Product) {
	if m.has("display_name") {
		product.DisplayName = given.DisplayName
	}
	if m.has("description") {
		product.Description = given.Description
	}
	if m.has("category") {
		product.Category = given.Category
	}
	if m.has("price") {
		product.Price = given.Price
	} else {
		m.mergePrice(product, given.GetPrice())
	}
	if m.has("stock") {
		product.Stock = given.Stock
	}
	if m.has("labels") {
		product.Labels = given.Labels
	}
	if m.has("state") {
		product.State = given.State
		if product.State == cataloguepb.Product_STATE_UNSPECIFIED {
			product.State = cataloguepb.Product_ACTIVE
		}
	}
	if m.has("discount_percent") {
		product.DiscountPercent = given.DiscountPercent
	}
}

func (m mask) mergePrice(product *cataloguepb.Product, given *money.Money) {
	if product.Price == nil {
		product.Price = &money.Money{}
	}
	if m.has("price.currency_code") {
		product.Price.CurrencyCode = given.GetCurrencyCode()
	}
	if m.has("price.units") {
		product.Price.Units = given.GetUnits()
	}
	if m.has("price.nanos") {
		product.Price.Nanos = given.GetNanos()
	}
}

// cut leaves of product what the mask has.
func (m mask) cut(product *cataloguepb.Product) *cataloguepb.Product {
	if m.whole {
		return product
	}
	left := &cataloguepb.Product{}
	if m.has("name") {
		left.Name = product.Name
	}
	if m.has("price_text") {
		left.PriceText = product.PriceText
	}
	if m.has("create_time") {
		left.CreateTime = product.CreateTime
	}
	if m.has("update_time") {
		left.UpdateTime = product.UpdateTime
	}
	if m.has("etag") {
		left.Etag = product.Etag
	}
	m.merge(left, product)
	if !slices.ContainsFunc(m.paths, func(path string) bool { return path == "price" || slices.Contains(pricePaths, path) }) {
		left.Price = nil
	}
	return left
}
