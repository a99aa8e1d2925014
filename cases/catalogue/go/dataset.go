package main

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/genproto/googleapis/type/money"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tandem.local/cases/catalogue/go/gen/cataloguepb"
	"tandem.local/cases/service/go/gen/adminpb"
)

var datasetSizes = map[adminpb.Dataset]int64{
	adminpb.Dataset_DATASET_UNSPECIFIED: 0,
	adminpb.Dataset_EMPTY:               0,
	adminpb.Dataset_SMALL:               1_000,
	adminpb.Dataset_STANDARD:            100_000,
	adminpb.Dataset_LARGE:               2_000_000,
}

var (
	adjectives = []string{"Blue", "Small", "Heavy", "Quiet", "Bright", "Plain", "Round", "Folding", "Old", "Warm"}
	nouns      = []string{"kettle", "lamp", "chair", "teapot", "drill", "rope", "basket", "clock", "mirror", "tent"}
	categories = []string{"kitchen", "light", "furniture", "tools", "garden", "outdoor", "office", "décor"}
	colours    = []string{"red", "green", "blue", "white", "black", "grey"}
	materials  = []string{"steel", "wood", "glass"}
)

// splitMix is the generator SplitMix64 (Steele, Lea and Flood, 2014): a few lines in any language.
type splitMix uint64

func (s *splitMix) below(bound uint64) uint64 {
	*s += 0x9e3779b97f4a7c15
	mixed := uint64(*s)
	mixed = (mixed ^ mixed>>30) * 0xbf58476d1ce4e5b9
	mixed = (mixed ^ mixed>>27) * 0x94d049bb133111eb
	return (mixed ^ mixed>>31) % bound
}

// generated is product number of a dataset; both languages draw in the same order.
func generated(draw *splitMix, number int64, now *timestamppb.Timestamp) *cataloguepb.Product {
	adjective := adjectives[draw.below(uint64(len(adjectives)))]
	noun := nouns[draw.below(uint64(len(nouns)))]
	product := &cataloguepb.Product{
		Name:        fmt.Sprintf("products/p-%d", number),
		DisplayName: fmt.Sprintf("%s %s %d", adjective, noun, number),
		Description: fmt.Sprintf("A %s %s.", strings.ToLower(adjective), noun),
		Category:    categories[draw.below(uint64(len(categories)))],
		CreateTime:  now,
		UpdateTime:  now,
		State:       cataloguepb.Product_ACTIVE,
	}
	product.Price = &money.Money{
		CurrencyCode: "EUR",
		Units:        1 + int64(draw.below(500)),
		Nanos:        int32(draw.below(100)) * 10_000_000,
	}
	product.PriceText = priceText(product.Price)
	product.Stock = int64(draw.below(1000))
	labels := map[string]string{}
	if colour := draw.below(8); colour < uint64(len(colours)) {
		labels["colour"] = colours[colour]
	}
	if material := draw.below(4); material < uint64(len(materials)) {
		labels["material"] = materials[material]
	}
	if len(labels) > 0 {
		product.Labels = labels
	}
	if draw.below(20) == 0 {
		product.State = cataloguepb.Product_RETIRED
	}
	return product
}

// Reset puts a generated state in the place of the present one.
func (s *Store) Reset(ctx context.Context, size int64, seed uint64) (int64, error) {
	now := timestamppb.Now()
	return s.replace(ctx, func(in *connection) (int64, error) {
		draw := splitMix(seed)
		for number := int64(1); number <= size; number++ {
			if err := put(ctx, in, generated(&draw, number, now), 1, number); err != nil {
				return 0, err
			}
		}
		return size, in.exec(ctx, "UPDATE state SET sequence = ?, pruned = ?", size, size)
	})
}
