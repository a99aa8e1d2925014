package main

import (
	"encoding/base64"
	"fmt"
	"hash/crc32"
	"strings"

	"google.golang.org/protobuf/proto"

	"tandem.local/cases/catalogue/go/gen/cataloguepb"
	"tandem.local/cases/catalogue/go/gen/recordpb"
)

const (
	pageSizeDefault = 25
	pageSizeMost    = 1000
)

// order is how a list is sorted: by a field, then by name, both in one direction.
type order struct {
	column     string // empty for the name alone
	number     bool   // whether the column holds integers
	descending bool
}

func parseOrder(text string) (order, bool) {
	field, descending := text, false
	isSpace := func(r rune) bool { return r == ' ' }
	if words := strings.FieldsFunc(text, isSpace); len(words) > 0 {
		field = words[0]
		switch {
		case len(words) == 2 && words[1] == "desc":
			descending = true
		case len(words) > 1:
			return order{}, false
		}
	} else if text != "" {
		return order{}, false
	}
	switch field {
	case "", "name":
		return order{descending: descending}, true
	case "display_name", "category":
		return order{column: "p." + field, descending: descending}, true
	case "stock":
		return order{column: "p.stock", number: true, descending: descending}, true
	case "price.units":
		return order{column: "p.units", number: true, descending: descending}, true
	}
	return order{}, false
}

// selection is a part of the products: which, in which order, from where on.
type selection struct {
	filter filter
	hidden []string // categories that are left out
	order  order
	after  *recordpb.PageToken // nil for the beginning
	count  int
}

// query is the selection as SQL, by the key and never by a count of rows that are left out.
func (s selection) query() (string, []any) {
	var conditions []string
	values := s.filter.values
	if s.filter.sql != "" {
		conditions = append(conditions, s.filter.sql)
	}
	if len(s.hidden) > 0 {
		conditions = append(conditions, "p.category NOT IN (?"+strings.Repeat(", ?", len(s.hidden)-1)+")")
		for _, category := range s.hidden {
			values = append(values, category)
		}
	}
	direction, behind := "", ">"
	if s.order.descending {
		direction, behind = " DESC", "<"
	}
	sorted := "p.name" + direction
	if s.order.column != "" {
		sorted = s.order.column + direction + ", " + sorted
	}
	if s.after != nil {
		switch {
		case s.order.column == "":
			conditions = append(conditions, "p.name "+behind+" ?")
			values = append(values, s.after.Name)
		default:
			conditions = append(conditions, fmt.Sprintf("(%s, p.name) %s (?, ?)", s.order.column, behind))
			var last any = s.after.Text
			if s.order.number {
				last = s.after.Number
			}
			values = append(values, last, s.after.Name)
		}
	}
	sql := "SELECT p.body FROM products p"
	if len(conditions) > 0 {
		sql += " WHERE " + strings.Join(conditions, " AND ")
	}
	return sql + " ORDER BY " + sorted + " LIMIT ?", append(values, s.count)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// argumentsOf is what a page token is bound to: everything but the size, which may change from
// page to page, and the token itself.
func argumentsOf(request *cataloguepb.ListProductsRequest) uint32 {
	bytes, err := proto.Marshal(&cataloguepb.ListProductsRequest{
		Filter:   request.Filter,
		OrderBy:  request.OrderBy,
		ReadMask: request.ReadMask,
	})
	if err != nil {
		return 0 // text that is no UTF-8 never came this far
	}
	return crc32.Checksum(bytes, castagnoli)
}

// tokenBehind points behind a product.
func tokenBehind(last *cataloguepb.Product, by order, arguments uint32) (string, error) {
	token := &recordpb.PageToken{Name: last.Name, Arguments: arguments}
	switch by.column {
	case "p.display_name":
		token.Text = last.DisplayName
	case "p.category":
		token.Text = last.Category
	case "p.stock":
		token.Number = last.Stock
	case "p.units":
		token.Number = last.GetPrice().GetUnits()
	}
	bytes, err := proto.Marshal(token)
	return base64.RawURLEncoding.EncodeToString(bytes), err
}

func readToken(text string, arguments uint32) (*recordpb.PageToken, bool) {
	bytes, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, false
	}
	token := &recordpb.PageToken{}
	if err := proto.Unmarshal(bytes, token); err != nil {
		return nil, false
	}
	return token, token.Name != "" && token.Arguments == arguments
}
