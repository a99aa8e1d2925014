//! Filters of the contract, compiled to SQL: the subset of AIP-160 that is written at
//! `ListProductsRequest.filter`.
//!
//! One function a rule of the grammar; each writes its part of the condition while it reads.
//! Nothing that a caller wrote stands in the SQL: values are bound.

use rusqlite::types::Value;

use crate::contract::product::State;

const BYTES_MOST: usize = 1024;
const TERMS_MOST: usize = 32;
/// Parentheses inside each other.
const DEPTH_MOST: usize = 8;

/// A condition over the products `p`.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Filter {
    /// Empty for no condition.
    pub sql: String,
    pub values: Vec<Value>,
}

impl Filter {
    /// Compiles `text`; the empty one is no condition.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn parse(text: &str) -> Result<Filter, String> {
        if text.len() > BYTES_MOST {
            return Err(format!("must have at most {BYTES_MOST} bytes"));
        }
        let mut parser = Parser {
            text,
            token: Token { kind: Kind::End, start: 0, end: 0 },
            depth: 0,
            terms: 0,
            filter: Filter::default(),
        };
        parser.advance()?;
        if parser.token.kind == Kind::End {
            return Ok(Filter::default());
        }
        parser.expression()?;
        match parser.token.kind {
            Kind::End => Ok(parser.filter),
            _ => Err(parser.unexpected("AND, OR or the end")),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Kind<'a> {
    End,
    Word(&'a str),
    /// Without its quotes and escapes.
    Quoted(String),
    Operator(&'static str),
    Opening,
    Closing,
}

#[derive(Debug, Clone)]
struct Token<'a> {
    kind: Kind<'a>,
    start: usize,
    end: usize,
}

/// What a comparison looks at.
enum Field {
    Text(&'static str),
    Number(&'static str),
    State,
    Label(String),
}

struct Parser<'a> {
    text: &'a str,
    /// The one to be looked at.
    token: Token<'a>,
    depth: usize,
    terms: usize,
    filter: Filter,
}

const OPERATORS: [(&str, &str); 6] =
    [("!=", "<>"), ("<=", "<="), (">=", ">="), ("=", "="), ("<", "<"), (">", ">")];
const KEYWORDS: [&str; 3] = ["AND", "OR", "NOT"];
const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

impl<'a> Parser<'a> {
    fn unexpected(&self, wanted: &str) -> String {
        format!("wants {wanted} at byte {}", self.token.start)
    }

    /// Disjunctions joined by AND.
    fn expression(&mut self) -> Result<(), String> {
        self.joined("AND", Parser::disjunction)
    }

    /// Terms joined by OR, which binds tighter.
    fn disjunction(&mut self) -> Result<(), String> {
        self.joined("OR", Parser::term)
    }

    fn joined(
        &mut self,
        by: &'static str,
        part: fn(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        self.filter.sql.push('(');
        loop {
            part(self)?;
            if self.token.kind != Kind::Word(by) {
                self.filter.sql.push(')');
                return Ok(());
            }
            self.filter.sql.push_str(&format!(" {by} "));
            self.advance()?;
        }
    }

    fn term(&mut self) -> Result<(), String> {
        if self.token.kind == Kind::Word("NOT") {
            self.filter.sql.push_str("NOT ");
            self.advance()?;
        }
        if self.token.kind != Kind::Opening {
            return self.comparison();
        }
        self.depth += 1;
        if self.depth > DEPTH_MOST {
            return Err(format!("has more than {DEPTH_MOST} parentheses inside each other"));
        }
        self.advance()?;
        self.expression()?;
        if self.token.kind != Kind::Closing {
            return Err(self.unexpected("`)`"));
        }
        self.depth -= 1;
        self.advance()
    }

    fn comparison(&mut self) -> Result<(), String> {
        self.terms += 1;
        if self.terms > TERMS_MOST {
            return Err(format!("has more than {TERMS_MOST} comparisons"));
        }
        let field = self.field()?;
        let Kind::Operator(operator) = self.token.kind else {
            return Err(self.unexpected("an operator"));
        };
        self.advance()?;
        match self.token.kind.clone() {
            Kind::Word("*") if operator == ":" => self.presence(field),
            Kind::Word("*") => {
                return Err(format!("takes `*` behind `:` only, not at byte {}", self.token.start));
            }
            Kind::Word(word) if !KEYWORDS.contains(&word) => {
                self.compare(field, operator, word.to_owned(), false)?;
            }
            Kind::Quoted(text) => self.compare(field, operator, text, true)?,
            _ => return Err(self.unexpected("a value")),
        }
        self.advance()
    }

    fn field(&mut self) -> Result<Field, String> {
        let start = self.token.start;
        let name = match self.token.kind {
            Kind::Word(word) if !KEYWORDS.contains(&word) => word,
            _ => return Err(self.unexpected("a field")),
        };
        let end = self.token.end;
        self.advance()?;
        Ok(match name {
            "category" => Field::Text("p.category"),
            "display_name" => Field::Text("p.display_name"),
            "price.units" => Field::Number("p.units"),
            "stock" => Field::Number("p.stock"),
            "state" => Field::State,
            "labels." => match self.token.kind.clone() {
                Kind::Quoted(key) if self.token.start == end && !key.is_empty() => {
                    self.advance()?;
                    Field::Label(key)
                }
                _ => return Err(format!("has no field at byte {start}")),
            },
            _ => match name.strip_prefix("labels.") {
                Some(key) => Field::Label(key.to_owned()),
                None => return Err(format!("has no field at byte {start}")),
            },
        })
    }

    /// `field:*`.
    fn presence(&mut self, field: Field) {
        match field {
            Field::Text(column) => self.write(&format!("{column} <> ''"), []),
            Field::Number(column) => self.write(&format!("{column} <> 0"), []),
            Field::State => self.write("p.state <> 0", []),
            Field::Label(key) => self.write(&format!("{LABEL})"), [Value::from(key)]),
        }
    }

    fn compare(
        &mut self,
        field: Field,
        operator: &'static str,
        value: String,
        quoted: bool,
    ) -> Result<(), String> {
        let sql_operator =
            OPERATORS.iter().find(|(own, _)| *own == operator).map_or("=", |(_, sql)| sql);
        match field {
            Field::Text(column) if operator == ":" => {
                self.write(&format!("instr({column}, ?) > 0"), [value.into()]);
            }
            Field::Text(column) => {
                self.write(&format!("{column} {sql_operator} ?"), [value.into()]);
            }
            Field::Label(key) if operator == ":" => {
                let sql = format!("{LABEL} AND instr(l.value, ?) > 0)");
                self.write(&sql, [key.into(), value.into()]);
            }
            Field::Label(key) => {
                let sql = format!("{LABEL} AND l.value {sql_operator} ?)");
                self.write(&sql, [key.into(), value.into()]);
            }
            Field::Number(column) => {
                let number = value.parse::<i64>().ok().filter(|_| !quoted);
                let number = number.ok_or_else(|| self.unexpected("an integer"))?;
                self.write(&format!("{column} {sql_operator} ?"), [number.into()]);
            }
            Field::State => {
                let state = State::from_str_name(&value)
                    .ok_or_else(|| self.unexpected("the name of a state"))?;
                if !["=", "!=", ":"].contains(&operator) {
                    return Err("takes `=`, `!=` and `:` for `state`".into());
                }
                self.write(&format!("p.state {sql_operator} ?"), [i64::from(state as i32).into()]);
            }
        }
        Ok(())
    }

    fn write<const N: usize>(&mut self, sql: &str, values: [Value; N]) {
        self.filter.sql.push_str(sql);
        self.filter.values.extend(values);
    }

    /// Reads the next token.
    fn advance(&mut self) -> Result<(), String> {
        let rest = self.text[self.token.end..].trim_start_matches(BLANKS);
        let start = self.text.len() - rest.len();
        let mut set = |kind, length| {
            self.token = Token { kind, start, end: start + length };
            Ok(())
        };
        match rest.chars().next() {
            None => return set(Kind::End, 0),
            Some('(') => return set(Kind::Opening, 1),
            Some(')') => return set(Kind::Closing, 1),
            Some(':') => return set(Kind::Operator(":"), 1),
            Some(quote @ ('"' | '\'')) => {
                let (text, length) = quoted(rest, quote)
                    .ok_or_else(|| format!("has a quoted text that is none at byte {start}"))?;
                return set(Kind::Quoted(text), length);
            }
            Some(_) => {}
        }
        if let Some((operator, _)) = OPERATORS.iter().find(|(own, _)| rest.starts_with(own)) {
            return set(Kind::Operator(operator), operator.len());
        }
        let ends = |sign| BLANKS.contains(&sign) || "()\"'=<>!:,\\".contains(sign);
        match rest.find(ends).unwrap_or(rest.len()) {
            0 => Err(format!("has an unexpected sign at byte {start}")),
            length => set(Kind::Word(&rest[..length]), length),
        }
    }
}

const LABEL: &str = "EXISTS (SELECT 1 FROM labels l WHERE l.product = p.name AND l.key = ?";

/// What stands in the quotes at the beginning of `rest`, and the length with both of them.
fn quoted(rest: &str, quote: char) -> Option<(String, usize)> {
    let mut text = String::new();
    let mut signs = rest.char_indices().skip(1);
    while let Some((at, sign)) = signs.next() {
        match sign {
            sign if sign == quote => return Some((text, at + 1)),
            '\\' => match signs.next()? {
                (_, escaped @ ('\\' | '"' | '\'')) => text.push(escaped),
                _ => return None,
            },
            sign => text.push(sign),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cat_2_a_filter_becomes_sql_with_bound_values_only() {
        for (text, sql, values) in [
            ("", "", 0),
            ("  ", "", 0),
            ("stock = 1", "((p.stock = ?))", 1),
            ("stock>-5", "((p.stock > ?))", 1),
            ("category=\"a b\"", "((p.category = ?))", 1),
            ("state : ACTIVE", "((p.state = ?))", 1),
            ("display_name:*", "((p.display_name <> ''))", 0),
            // OR binds tighter than AND.
            (
                "stock=1 AND stock=2 OR stock=3",
                "((p.stock = ?) AND (p.stock = ? OR p.stock = ?))",
                3,
            ),
            (
                "NOT (stock=1 AND stock=2) OR stock=3",
                "((NOT ((p.stock = ?) AND (p.stock = ?)) OR p.stock = ?))",
                3,
            ),
            (
                "labels.a:*",
                "((EXISTS (SELECT 1 FROM labels l WHERE l.product = p.name AND l.key = ?)))",
                1,
            ),
            (
                "labels.\"in stock\" != 'x'",
                "((EXISTS (SELECT 1 FROM labels l WHERE l.product = p.name AND l.key = ? AND l.value <> ?)))",
                2,
            ),
        ] {
            let filter = Filter::parse(text).unwrap();
            assert_eq!((filter.sql.as_str(), filter.values.len()), (sql, values), "{text}");
        }
    }

    #[test]
    fn cat_2_a_filter_that_is_none_is_refused() {
        for text in [
            "stock",
            "stock =",
            "= 1",
            "stock = 1 AND",
            "AND stock = 1",
            "stock = 1 stock = 2",
            "(stock = 1",
            "stock = 1)",
            "stock = one",
            "stock = \"1\"",
            "stock = 1.5",
            "stock = 9223372036854775808",
            "state = active",
            "state < ACTIVE",
            "price = 1",
            "labels = a",
            "labels. = a",
            "labels. \"a\" = b",
            "name = a",
            "category = \"a",
            "category = \"\\n\"",
            "category = *",
            "category = AND",
            "NOT NOT stock = 1",
            "-stock = 1",
            "category = a,b",
            "category ! a",
            "category = a\\",
            &"x".repeat(1025),
        ] {
            assert!(Filter::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn cat_2_the_last_filter_of_each_limit_passes_and_the_next_does_not() {
        let terms = |count: usize| vec!["stock=1"; count].join(" AND ");
        let nested = |depth: usize| format!("{}stock=1{}", "(".repeat(depth), ")".repeat(depth));
        let long = |bytes: usize| format!("category={}", "x".repeat(bytes - "category=".len()));
        let made: [(usize, &dyn Fn(usize) -> String); 3] =
            [(TERMS_MOST, &terms), (DEPTH_MOST, &nested), (BYTES_MOST, &long)];
        for (most, text) in made {
            assert!(Filter::parse(&text(most)).is_ok(), "{most}");
            assert!(Filter::parse(&text(most + 1)).is_err(), "{most}");
        }
    }
}
