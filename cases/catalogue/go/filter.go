package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"tandem.local/cases/catalogue/go/gen/cataloguepb"
)

const (
	filterBytesMost = 1024
	filterTermsMost = 32
	filterDepthMost = 8 // parentheses inside each other
)

// filter is a condition over the products p, with the values that it binds. Nothing that a caller
// wrote stands in its text.
type filter struct {
	sql    string
	values []any
}

// parseFilter compiles a filter of the contract, the subset of AIP-160 that is written at
// ListProductsRequest.filter. The empty filter is the empty condition.
func parseFilter(text string) (filter, error) {
	if len(text) > filterBytesMost {
		return filter{}, fmt.Errorf("must have at most %d bytes", filterBytesMost)
	}
	p := filterParser{text: text}
	if err := p.advance(); err != nil {
		return filter{}, err
	}
	if p.token.kind == endOfText {
		return filter{}, nil
	}
	if err := p.expression(); err != nil {
		return filter{}, err
	}
	if p.token.kind != endOfText {
		return filter{}, p.unexpected("AND, OR or the end")
	}
	return filter{sql: p.sql.String(), values: p.values}, nil
}

type tokenKind int

const (
	endOfText tokenKind = iota
	word
	quoted
	operator
	opening
	closing
)

type token struct {
	kind  tokenKind
	text  string // a word or an operator as it stands, a quoted text without quotes and escapes
	start int
	end   int
}

// filterParser writes the condition while it reads: one method a rule of the grammar.
type filterParser struct {
	text   string
	token  token // the one to be looked at
	depth  int
	terms  int
	sql    strings.Builder
	values []any
}

func (p *filterParser) unexpected(wanted string) error {
	return fmt.Errorf("wants %s at byte %d", wanted, p.token.start)
}

// expression is disjunctions joined by AND.
func (p *filterParser) expression() error {
	return p.joined("AND", p.disjunction)
}

// disjunction is terms joined by OR, which binds tighter.
func (p *filterParser) disjunction() error {
	return p.joined("OR", p.term)
}

func (p *filterParser) joined(by string, part func() error) error {
	p.sql.WriteByte('(')
	for {
		if err := part(); err != nil {
			return err
		}
		if p.token.kind != word || p.token.text != by {
			p.sql.WriteByte(')')
			return nil
		}
		p.sql.WriteString(" " + by + " ")
		if err := p.advance(); err != nil {
			return err
		}
	}
}

func (p *filterParser) term() error {
	if p.token.kind == word && p.token.text == "NOT" {
		p.sql.WriteString("NOT ")
		if err := p.advance(); err != nil {
			return err
		}
	}
	if p.token.kind != opening {
		return p.comparison()
	}
	if p.depth++; p.depth > filterDepthMost {
		return fmt.Errorf("has more than %d parentheses inside each other", filterDepthMost)
	}
	if err := p.advance(); err != nil {
		return err
	}
	if err := p.expression(); err != nil {
		return err
	}
	if p.token.kind != closing {
		return p.unexpected("`)`")
	}
	p.depth--
	return p.advance()
}

func (p *filterParser) comparison() error {
	if p.terms++; p.terms > filterTermsMost {
		return fmt.Errorf("has more than %d comparisons", filterTermsMost)
	}
	field, err := p.field()
	if err != nil {
		return err
	}
	if p.token.kind != operator {
		return p.unexpected("an operator")
	}
	op := p.token.text
	if err := p.advance(); err != nil {
		return err
	}
	value := p.token
	if value.kind == word && isKeyword(value.text) || value.kind != word && value.kind != quoted {
		return p.unexpected("a value")
	}
	present := value.kind == word && value.text == "*"
	if present && op != ":" {
		return fmt.Errorf("takes `*` behind `:` only, not at byte %d", value.start)
	}
	if err := p.compare(field, op, value, present); err != nil {
		return err
	}
	return p.advance()
}

func isKeyword(text string) bool {
	return text == "AND" || text == "OR" || text == "NOT"
}

// filterField is what a comparison looks at.
type filterField struct {
	column string
	kind   fieldKind
	label  string
}

type fieldKind int

const (
	textField fieldKind = iota
	numberField
	stateField
	labelField
)

var filterFields = map[string]filterField{
	"category":     {column: "p.category", kind: textField},
	"display_name": {column: "p.display_name", kind: textField},
	"price.units":  {column: "p.units", kind: numberField},
	"stock":        {column: "p.stock", kind: numberField},
	"state":        {column: "p.state", kind: stateField},
}

func (p *filterParser) field() (filterField, error) {
	name := p.token
	if name.kind != word || isKeyword(name.text) {
		return filterField{}, p.unexpected("a field")
	}
	if err := p.advance(); err != nil {
		return filterField{}, err
	}
	if field, known := filterFields[name.text]; known {
		return field, nil
	}
	key, isLabel := strings.CutPrefix(name.text, "labels.")
	if isLabel && key == "" && p.token.kind == quoted && p.token.start == name.end {
		key = p.token.text
		if err := p.advance(); err != nil {
			return filterField{}, err
		}
	}
	if !isLabel || key == "" {
		return filterField{}, fmt.Errorf("has no field at byte %d", name.start)
	}
	return filterField{kind: labelField, label: key}, nil
}

var sqlOperators = map[string]string{"=": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}

func (p *filterParser) compare(field filterField, op string, value token, present bool) error {
	bind := func(sql string, values ...any) {
		p.sql.WriteString(sql)
		p.values = append(p.values, values...)
	}
	switch field.kind {
	case textField:
		switch {
		case present:
			bind(field.column + " <> ''")
		case op == ":":
			bind("instr("+field.column+", ?) > 0", value.text)
		default:
			bind(field.column+" "+sqlOperators[op]+" ?", value.text)
		}
	case labelField:
		const label = "EXISTS (SELECT 1 FROM labels l WHERE l.product = p.name AND l.key = ?"
		switch {
		case present:
			bind(label+")", field.label)
		case op == ":":
			bind(label+" AND instr(l.value, ?) > 0)", field.label, value.text)
		default:
			bind(label+" AND l.value "+sqlOperators[op]+" ?)", field.label, value.text)
		}
	case numberField:
		if present {
			bind(field.column + " <> 0")
			return nil
		}
		number, err := strconv.ParseInt(value.text, 10, 64)
		if err != nil || value.kind == quoted {
			return fmt.Errorf("wants an integer at byte %d", value.start)
		}
		if op == ":" {
			op = "="
		}
		bind(field.column+" "+sqlOperators[op]+" ?", number)
	case stateField:
		if present {
			bind(field.column + " <> 0")
			return nil
		}
		number, known := cataloguepb.Product_State_value[value.text]
		if !known {
			return fmt.Errorf("wants the name of a state at byte %d", value.start)
		}
		switch op {
		case "=", ":":
			bind(field.column+" = ?", number)
		case "!=":
			bind(field.column+" <> ?", number)
		default:
			return errors.New("takes `=`, `!=` and `:` for `state`")
		}
	}
	return nil
}

// advance reads the next token.
func (p *filterParser) advance() error {
	at := p.token.end
	for at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[at]) >= 0 {
		at++
	}
	p.token = token{start: at, end: at}
	if at == len(p.text) {
		return nil
	}
	rest := p.text[at:]
	switch rest[0] {
	case '(':
		p.token = token{kind: opening, start: at, end: at + 1}
		return nil
	case ')':
		p.token = token{kind: closing, start: at, end: at + 1}
		return nil
	case '"', '\'':
		return p.quotedText(at)
	}
	for _, op := range []string{"!=", "<=", ">=", "=", "<", ">", ":"} {
		if strings.HasPrefix(rest, op) {
			p.token = token{kind: operator, text: op, start: at, end: at + len(op)}
			return nil
		}
	}
	length := strings.IndexAny(rest, " \t\r\n()\"'=<>!:,\\")
	if length < 0 {
		length = len(rest)
	}
	if length == 0 {
		return fmt.Errorf("has an unexpected sign at byte %d", at)
	}
	p.token = token{kind: word, text: rest[:length], start: at, end: at + length}
	return nil
}

func (p *filterParser) quotedText(start int) error {
	quote := p.text[start]
	var text strings.Builder
	for at := start + 1; at < len(p.text); at++ {
		switch c := p.text[at]; {
		case c == quote:
			p.token = token{kind: quoted, text: text.String(), start: start, end: at + 1}
			return nil
		case c != '\\':
			text.WriteByte(c)
		case at+1 < len(p.text) && strings.IndexByte(`\"'`, p.text[at+1]) >= 0:
			at++
			text.WriteByte(p.text[at])
		default:
			return fmt.Errorf("has a `\\` before neither a quote nor another at byte %d", at)
		}
	}
	return fmt.Errorf("has a quote that is not closed at byte %d", start)
}
