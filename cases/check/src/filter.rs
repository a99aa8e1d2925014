//! Random filters: made as trees, judged as trees, and written as a caller would write them.
//!
//! Nothing here reads a filter, so a fault of a parser cannot hide in a parser of ours.

use crate::contract::{Product, product};
use crate::draw::Draw;
use crate::words;

/// Disjunctions joined by AND; each is terms joined by OR.
#[derive(Debug, Clone)]
pub struct Filter(Vec<Vec<Term>>);

#[derive(Debug, Clone)]
struct Term {
    not: bool,
    what: Simple,
}

#[derive(Debug, Clone)]
enum Simple {
    Comparison(Comparison),
    Nested(Filter),
}

#[derive(Debug, Clone)]
struct Comparison {
    field: Field,
    operator: &'static str,
    value: Value,
}

#[derive(Debug, Clone)]
enum Field {
    Category,
    DisplayName,
    Units,
    Stock,
    State,
    Label(String),
}

#[derive(Debug, Clone)]
enum Value {
    Anything,
    Text(String),
    Number(i64),
    State(product::State),
}

const OPERATORS: [&str; 7] = ["=", "!=", "<", "<=", ">", ">=", ":"];
const EQUAL_OR_NOT: [&str; 3] = ["=", "!=", ":"];

impl Filter {
    /// Of as many comparisons as the contract allows at most.
    pub fn draw(draw: &mut Draw) -> Filter {
        loop {
            let filter = Filter::of_depth(draw, 2);
            if filter.comparisons() <= 32 {
                return filter;
            }
        }
    }

    fn comparisons(&self) -> usize {
        let terms = self.0.iter().flatten();
        terms
            .map(|term| match &term.what {
                Simple::Comparison(_) => 1,
                Simple::Nested(filter) => filter.comparisons(),
            })
            .sum()
    }

    fn of_depth(draw: &mut Draw, depth: usize) -> Filter {
        let terms = |draw: &mut Draw| {
            let count = 1 + draw.below(2);
            (0..count).map(|_| Term::draw(draw, depth)).collect()
        };
        let count = 1 + draw.below(2);
        Filter((0..count).map(|_| terms(draw)).collect())
    }

    pub fn holds(&self, product: &Product) -> bool {
        self.0.iter().all(|terms| terms.iter().any(|term| term.holds(product)))
    }

    pub fn text(&self, draw: &mut Draw) -> String {
        let joined = |parts: Vec<String>, by: &str| parts.join(&format!(" {by} "));
        let disjunctions = self.0.iter().map(|terms| {
            let terms = terms.iter().map(|term| term.text(draw)).collect();
            joined(terms, "OR")
        });
        joined(disjunctions.collect(), "AND")
    }
}

impl Term {
    fn draw(draw: &mut Draw, depth: usize) -> Term {
        let not = draw.chance(20);
        let what = if depth > 0 && draw.chance(25) {
            Simple::Nested(Filter::of_depth(draw, depth - 1))
        } else {
            Simple::Comparison(Comparison::draw(draw))
        };
        Term { not, what }
    }

    fn holds(&self, product: &Product) -> bool {
        let holds = match &self.what {
            Simple::Comparison(comparison) => comparison.holds(product),
            Simple::Nested(filter) => filter.holds(product),
        };
        holds != self.not
    }

    fn text(&self, draw: &mut Draw) -> String {
        let not = if self.not { "NOT " } else { "" };
        match &self.what {
            Simple::Comparison(comparison) => format!("{not}{}", comparison.text(draw)),
            Simple::Nested(filter) => format!("{not}({})", filter.text(draw)),
        }
    }
}

impl Comparison {
    fn draw(draw: &mut Draw) -> Comparison {
        let field = match draw.below(6) {
            0 => Field::Category,
            1 => Field::DisplayName,
            2 => Field::Units,
            3 => Field::Stock,
            4 => Field::State,
            _ => Field::Label(words::label_key(draw)),
        };
        let operators: &[&str] =
            if matches!(field, Field::State) { &EQUAL_OR_NOT } else { &OPERATORS };
        let operator = *draw.pick(operators);
        let value = match &field {
            _ if operator == ":" && draw.chance(30) => Value::Anything,
            Field::Category => Value::Text(words::category(draw)),
            Field::DisplayName => Value::Text(words::display_name(draw)),
            Field::Label(_) => Value::Text(words::label_value(draw)),
            Field::Units | Field::Stock => Value::Number(words::number(draw)),
            Field::State => {
                Value::State(*draw.pick(&[product::State::Active, product::State::Retired]))
            }
        };
        Comparison { field, operator, value }
    }

    fn holds(&self, product: &Product) -> bool {
        match &self.field {
            Field::Category => text_holds(&product.category, self.operator, &self.value),
            Field::DisplayName => text_holds(&product.display_name, self.operator, &self.value),
            Field::Units => {
                let units = product.price.as_ref().map_or(0, |price| price.units);
                number_holds(units, self.operator, &self.value)
            }
            Field::Stock => number_holds(product.stock, self.operator, &self.value),
            Field::State => match self.value {
                Value::State(state) => (product.state() == state) != (self.operator == "!="),
                _ => true,
            },
            // A label that is not there answers every comparison with no.
            Field::Label(key) => product.labels.get(key).is_some_and(|label| {
                matches!(self.value, Value::Anything)
                    || text_holds(label, self.operator, &self.value)
            }),
        }
    }

    fn text(&self, draw: &mut Draw) -> String {
        let field = match &self.field {
            Field::Category => "category".to_owned(),
            Field::DisplayName => "display_name".to_owned(),
            Field::Units => "price.units".to_owned(),
            Field::Stock => "stock".to_owned(),
            Field::State => "state".to_owned(),
            Field::Label(key) => format!("labels.{}", word(key, draw)),
        };
        let value = match &self.value {
            Value::Anything => "*".to_owned(),
            Value::Text(text) => word(text, draw),
            Value::Number(number) => number.to_string(),
            Value::State(state) => state.as_str_name().to_owned(),
        };
        let space = if draw.chance(50) { " " } else { "" };
        format!("{field}{space}{}{space}{value}", self.operator)
    }
}

/// Bare where that is lawful, at times; else in quotes of either kind.
fn word(text: &str, draw: &mut Draw) -> String {
    let bare = !text.is_empty()
        && text.chars().all(|sign| sign.is_alphanumeric() || "_-./".contains(sign))
        && !["AND", "OR", "NOT"].contains(&text);
    if bare && draw.chance(50) {
        return text.to_owned();
    }
    let quote = *draw.pick(&['"', '\'']);
    let mut quoted = String::from(quote);
    for sign in text.chars() {
        if sign == quote || sign == '\\' {
            quoted.push('\\');
        }
        quoted.push(sign);
    }
    quoted.push(quote);
    quoted
}

fn text_holds(field: &str, operator: &str, value: &Value) -> bool {
    let Value::Text(value) = value else { return !field.is_empty() };
    match operator {
        ":" => field.contains(value.as_str()),
        operator => compared(field.as_bytes().cmp(value.as_bytes()), operator),
    }
}

fn number_holds(field: i64, operator: &str, value: &Value) -> bool {
    match value {
        Value::Number(value) => compared(field.cmp(value), operator),
        _ => field != 0,
    }
}

fn compared(order: std::cmp::Ordering, operator: &str) -> bool {
    match operator {
        "=" | ":" => order.is_eq(),
        "!=" => order.is_ne(),
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        _ => order.is_ge(),
    }
}

/// Filters that are none, one of each kind of fault.
pub const WRONG: [&str; 16] = [
    "stock",
    "stock =",
    "stock = 1 AND",
    "stock = 1 stock = 2",
    "(stock = 1",
    "stock = 1)",
    "stock = one",
    "stock = \"1\"",
    "stock = 9223372036854775808",
    "state < ACTIVE",
    "state = active",
    "price = 1",
    "labels = a",
    "category = \"a",
    "category = *",
    "NOT NOT stock = 1",
];
