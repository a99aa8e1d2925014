package main

import (
	"strings"
	"testing"
)

func TestAFilterBecomesSQLWithBoundValuesOnly(t *testing.T) {
	for _, check := range []struct {
		text   string
		sql    string // empty for the empty filter
		values int
	}{
		{"", "", 0},
		{"  ", "", 0},
		{"stock = 1", "((p.stock = ?))", 1},
		{"stock>-5", "((p.stock > ?))", 1},
		{`category="a b"`, "((p.category = ?))", 1},
		{"state : ACTIVE", "((p.state = ?))", 1},
		{"display_name:*", "((p.display_name <> ''))", 0},
		// OR binds tighter than AND.
		{"stock=1 AND stock=2 OR stock=3", "((p.stock = ?) AND (p.stock = ? OR p.stock = ?))", 3},
		{"NOT (stock=1 AND stock=2) OR stock=3", "((NOT ((p.stock = ?) AND (p.stock = ?)) OR p.stock = ?))", 3},
		{"labels.a:*", "((EXISTS (SELECT 1 FROM labels l WHERE l.product = p.name AND l.key = ?)))", 1},
		{`labels."in stock" != 'x'`, "((EXISTS (SELECT 1 FROM labels l WHERE l.product = p.name AND l.key = ? AND l.value <> ?)))", 2},
	} {
		got, err := parseFilter(check.text)
		if err != nil || got.sql != check.sql || len(got.values) != check.values {
			t.Errorf("%s: %q %v %v", check.text, got.sql, got.values, err)
		}
	}
}

func TestAFilterThatIsNoneIsRefused(t *testing.T) {
	for _, text := range []string{
		"stock", "stock =", "= 1", "stock = 1 AND", "AND stock = 1", "stock = 1 stock = 2", "(stock = 1", "stock = 1)",
		"stock = one", `stock = "1"`, "stock = 1.5", "stock = 9223372036854775808", "state = active", "state < ACTIVE",
		"price = 1", "labels = a", "labels. = a", `labels. "a" = b`, "name = a", `category = "a`, `category = "\n"`,
		"category = *", "category = AND", "NOT NOT stock = 1", "-stock = 1", "category = a,b", "category ! a", `category = a\`,
		strings.Repeat("x", 1025),
	} {
		if got, err := parseFilter(text); err == nil {
			t.Errorf("%s: %q", text, got.sql)
		}
	}
}

func TestTheLastFilterOfEachLimitPassesAndTheNextDoesNot(t *testing.T) {
	terms := func(count int) string { return strings.TrimPrefix(strings.Repeat(" AND stock=1", count), " AND ") }
	nested := func(depth int) string {
		return strings.Repeat("(", depth) + "stock=1" + strings.Repeat(")", depth)
	}
	long := func(bytes int) string { return "category=" + strings.Repeat("x", bytes-len("category=")) }
	numbers := limits(t)
	for limit, made := range map[string]func(int) string{
		"filter_terms": terms, "filter_depth": nested, "filter_bytes": long,
	} {
		most := numbers[limit]["most"]
		if most == 0 {
			t.Fatalf("limits.yaml has no %s", limit)
		}
		if _, err := parseFilter(made(most)); err != nil {
			t.Errorf("%s: %d is refused: %v", limit, most, err)
		}
		if _, err := parseFilter(made(most + 1)); err == nil {
			t.Errorf("%s: %d passes", limit, most+1)
		}
	}
}
