//! A value against the rules of its field: what it must be, and the nearest value that may stand
//! there.
//!
//! Values are JSON as the transcoder writes it: 64-bit integers as text, enums by name, every
//! field without presence there.
//!
//! Not here: what the rules are (`rules`), whether the value is of its field's type (transcoder).

use serde_json::Value;
use tandem_contract::{Contract, EnumId, Field, Kind, Presence};

use super::Violation;
use crate::suggest;
use tandem_contract::rules::{Bound, FieldRules, Ignore, Number, NumberRules, TextRules, Typed};

/// Items of a list of allowed values that a message shows.
const SHOWN: usize = 12;

/// Holds what stands in `field` against its rules; `None`: nothing does.
pub(super) fn field(
    contract: &Contract,
    field: &Field,
    rules: &FieldRules,
    value: Option<&Value>,
    path: &str,
    found: &mut Vec<Violation>,
) {
    let zero = value.is_none_or(|value| is_zero(contract, field.kind, value));
    let unset = value.is_none() || (field.presence == Presence::Implicit && zero);
    if rules.ignore == Ignore::Always || (rules.ignore == Ignore::Zero && zero) {
        return;
    }
    if rules.required && unset {
        let must = "must be given".to_owned();
        return found.push(Violation {
            field: path.to_owned(),
            rule: "required".to_owned(),
            must,
            nearest: None,
        });
    }
    if let Some(value) = value {
        one(contract, field.kind, rules, value, path, found);
    }
}

/// Holds one value against the rules of its type.
fn one(
    contract: &Contract,
    kind: Kind,
    rules: &FieldRules,
    value: &Value,
    path: &str,
    found: &mut Vec<Violation>,
) {
    match (&rules.of, value) {
        (None, _) => {}
        (Some(Typed::Number(numbers)), value) => {
            if let Some(number) = number(numbers, value) {
                let broken = broken_number(numbers, number);
                let nearest = |_: &str| nearest_number(numbers, number).map(written);
                add(found, path, rules.name, broken, nearest);
            }
        }
        (Some(Typed::Bool(constant)), Value::Bool(value)) => {
            let broken = constant.filter(|constant| constant != value);
            let broken = broken.map(|constant| ("const", format!("is {constant}")));
            let nearest = |_: &str| constant.map(|constant| constant.to_string());
            add(found, path, rules.name, broken, nearest);
        }
        (Some(Typed::Text(text)), Value::String(value)) => {
            let broken = broken_text(text, value);
            let nearest = |_: &str| {
                let nearest = nearest_text(text, value);
                nearest.map(|text| Value::from(text).to_string())
            };
            add(found, path, rules.name, broken, nearest);
        }
        (Some(Typed::Enum { defined_only, numbers }), value) => {
            if let Kind::Enum(id) = kind {
                let broken = broken_enum(contract, id, *defined_only, numbers, value);
                add(found, path, rules.name, broken, |_| None);
            }
        }
        (Some(Typed::List { least, most, unique, items }), Value::Array(values)) => {
            let broken = broken_list(*least, *most, *unique, values);
            add(found, path, rules.name, broken, |_| None);
            if let Some(items) = items {
                for (index, item) in values.iter().enumerate() {
                    inner(contract, kind, items, item, &format!("{path}[{index}]"), found);
                }
            }
        }
        (Some(Typed::Map { least, most, keys, values }), Value::Object(entries)) => {
            let count = entries.len() as u64;
            let broken = broken_count(*least, *most, count, ["min_pairs", "max_pairs"], "pairs");
            add(found, path, rules.name, broken, |_| None);
            let entry = kind.message().map(|id| contract.message(id));
            let of = |number| entry?.field_numbered(number).map(|(_, field)| field.kind);
            for (key, value) in entries {
                let path = format!("{path}[{}]", Value::from(key.as_str()));
                if let (Some(rules), Some(kind)) = (keys, of(1)) {
                    inner(contract, kind, rules, &key_value(kind, key), &path, found);
                }
                if let (Some(rules), Some(kind)) = (values, of(2)) {
                    inner(contract, kind, rules, value, &path, found);
                }
            }
        }
        // Another form of JSON would not have been written for a field that the rules fit.
        (Some(_), _) => {}
    }
}

fn inner(
    contract: &Contract,
    kind: Kind,
    rules: &FieldRules,
    value: &Value,
    path: &str,
    found: &mut Vec<Violation>,
) {
    let zero = is_zero(contract, kind, value);
    if rules.ignore == Ignore::Always || (rules.ignore == Ignore::Zero && zero) {
        return;
    }
    one(contract, kind, rules, value, path, found);
}

/// Keys of maps are text in JSON.
fn key_value(kind: Kind, key: &str) -> Value {
    match (kind, key) {
        (Kind::Bool, "true") => Value::Bool(true),
        (Kind::Bool, _) => Value::Bool(false),
        _ => Value::from(key),
    }
}

fn add(
    found: &mut Vec<Violation>,
    path: &str,
    of: &str,
    broken: Option<(&'static str, String)>,
    nearest: impl FnOnce(&str) -> Option<String>,
) {
    let Some((rule, must)) = broken else { return };
    let nearest = nearest(rule);
    found.push(Violation { field: path.to_owned(), rule: format!("{of}.{rule}"), must, nearest });
}

fn is_zero(contract: &Contract, kind: Kind, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => match kind {
            Kind::String | Kind::Bytes => text.is_empty(),
            Kind::Enum(id) => contract.enumeration(id).number(text) == Some(0),
            _ => text == "0",
        },
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => kind.message().is_none() || entries.is_empty(),
    }
}

/// The value of a numeric field, which may be written as text.
fn number(rules: &NumberRules, value: &Value) -> Option<Number> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    match (rules.floating, rules.single) {
        // 0.1 in single precision is not 0.1 in double.
        (true, true) => text.parse::<f32>().ok().map(|value| Number::Float(value.into())),
        (true, false) => text.parse().ok().map(Number::Float),
        (false, _) => text.parse().ok().map(Number::Integer),
    }
}

fn broken_number(rules: &NumberRules, number: Number) -> Option<(&'static str, String)> {
    let NumberRules { constant, below, above, one_of, none_of, finite, floating: _, single: _ } =
        rules;
    if let Some(constant) = constant.filter(|constant| *constant != number) {
        return Some(("const", format!("is {}", written(constant))));
    }
    if *finite && !matches!(number, Number::Float(value) if value.is_finite()) {
        return Some(("finite", "is a finite number".to_owned()));
    }
    let under = below.is_none_or(|end| end.is_above(number));
    let over = above.is_none_or(|end| end.is_below(number));
    let told = |word: &str, end: Bound| format!("is {word} {}", written(end.at));
    match (above, below) {
        // Ends that are crossed allow what is outside of them.
        (Some(above), Some(below)) if above.at > below.at => {
            if !under && !over {
                let low = if below.inclusive { "at most" } else { "less than" };
                let high = if above.inclusive { "at least" } else { "more than" };
                let must = format!("{}, or {high} {}", told(low, *below), written(above.at));
                return Some((above.rule("gte", "gt"), must));
            }
        }
        (above, below) => {
            if let Some(above) = above.filter(|_| !over) {
                let word = if above.inclusive { "at least" } else { "more than" };
                return Some((above.rule("gte", "gt"), told(word, above)));
            }
            if let Some(below) = below.filter(|_| !under) {
                let word = if below.inclusive { "at most" } else { "less than" };
                return Some((below.rule("lte", "lt"), told(word, below)));
            }
        }
    }
    let words = |numbers: &[Number]| list(numbers.iter().map(|number| written(*number)));
    if !one_of.is_empty() && !one_of.contains(&number) {
        return Some(("in", format!("is one of {}", words(one_of))));
    }
    none_of.contains(&number).then(|| ("not_in", format!("is none of {}", words(none_of))))
}

/// Of the values where rules begin or end, the nearest that all of them allow.
fn nearest_number(rules: &NumberRules, number: Number) -> Option<Number> {
    let ends = [
        rules.above.map(|end| end.first(true, rules.single)),
        rules.below.map(|end| end.first(false, rules.single)),
    ];
    let step = |by| match number {
        Number::Integer(value) => Some(Number::Integer(value + by)),
        Number::Float(_) => None,
    };
    let candidates = rules.constant.into_iter().chain(ends.into_iter().flatten());
    let candidates = candidates.chain(rules.one_of.iter().copied()).chain(step(1)).chain(step(-1));
    candidates
        .filter(|candidate| broken_number(rules, *candidate).is_none())
        .min_by(|one, other| distance(*one, number).total_cmp(&distance(*other, number)))
}

fn distance(one: Number, other: Number) -> f64 {
    match (one, other) {
        (Number::Integer(one), Number::Integer(other)) => one.abs_diff(other) as f64,
        (Number::Float(one), Number::Float(other)) => (one - other).abs(),
        (Number::Integer(_), Number::Float(_)) | (Number::Float(_), Number::Integer(_)) => f64::MAX,
    }
}

pub(super) fn written(number: Number) -> String {
    match number {
        Number::Integer(value) => value.to_string(),
        // A single-precision number as the shortest text that means it.
        Number::Float(value) if f64::from(value as f32).to_bits() == value.to_bits() => {
            (value as f32).to_string()
        }
        Number::Float(value) => value.to_string(),
    }
}

fn broken_text(rules: &TextRules, value: &str) -> Option<(&'static str, String)> {
    let TextRules {
        constant,
        length,
        least,
        most,
        bytes,
        bytes_least,
        bytes_most,
        prefix,
        suffix,
        contains,
        contains_not,
        one_of,
        none_of,
    } = rules;
    let quoted = |text: &str| Value::from(text).to_string();
    if let Some(constant) = constant.as_ref().filter(|constant| *constant != value) {
        return Some(("const", format!("is {}", quoted(constant))));
    }
    let letters = value.chars().count() as u64;
    if let Some(length) = length.filter(|length| *length != letters) {
        return Some(("len", format!("has {length} characters")));
    }
    let names = ["min_len", "max_len"];
    if let Some(broken) = broken_count(*least, *most, letters, names, "characters") {
        return Some(broken);
    }
    let size = value.len() as u64;
    if let Some(bytes) = bytes.filter(|bytes| *bytes != size) {
        return Some(("len_bytes", format!("has {bytes} bytes")));
    }
    let names = ["min_bytes", "max_bytes"];
    if let Some(broken) = broken_count(*bytes_least, *bytes_most, size, names, "bytes") {
        return Some(broken);
    }
    if !value.starts_with(prefix.as_str()) {
        return Some(("prefix", format!("begins with {}", quoted(prefix))));
    }
    if !value.ends_with(suffix.as_str()) {
        return Some(("suffix", format!("ends with {}", quoted(suffix))));
    }
    if !value.contains(contains.as_str()) {
        return Some(("contains", format!("holds {}", quoted(contains))));
    }
    if let Some(never) = contains_not.as_ref().filter(|never| value.contains(never.as_str())) {
        return Some(("not_contains", format!("does not hold {}", quoted(never))));
    }
    let words = |texts: &[String]| list(texts.iter().map(|text| quoted(text)));
    if !one_of.is_empty() && !one_of.iter().any(|text| text == value) {
        return Some(("in", format!("is one of {}", words(one_of))));
    }
    let never = none_of.iter().any(|text| text == value);
    never.then(|| ("not_in", format!("is none of {}", words(none_of))))
}

fn nearest_text(rules: &TextRules, value: &str) -> Option<String> {
    let cut = rules.most.map(|most| {
        value.chars().take(usize::try_from(most).unwrap_or(usize::MAX)).collect::<String>()
    });
    let near = suggest::nearest(value, rules.one_of.iter().map(String::as_str));
    let completed = (!value.starts_with(rules.prefix.as_str()))
        .then(|| format!("{}{value}", rules.prefix))
        .into_iter()
        .chain(
            (!value.ends_with(rules.suffix.as_str())).then(|| format!("{value}{}", rules.suffix)),
        );
    rules
        .constant
        .clone()
        .into_iter()
        .chain(near.map(str::to_owned))
        .chain(cut)
        .chain(completed)
        .find(|candidate| broken_text(rules, candidate).is_none())
}

fn broken_enum(
    contract: &Contract,
    id: EnumId,
    defined_only: bool,
    rules: &NumberRules,
    value: &Value,
) -> Option<(&'static str, String)> {
    let of = contract.enumeration(id);
    let number = match value {
        Value::String(name) => of.number(name)?,
        value => i32::try_from(value.as_i64()?).ok()?,
    };
    let named = |number: &Number| match number {
        Number::Integer(number) => {
            let name = i32::try_from(*number).ok().and_then(|number| of.name(number));
            name.map_or_else(|| number.to_string(), |name| format!("`{name}`"))
        }
        Number::Float(number) => number.to_string(),
    };
    let held = Number::Integer(i128::from(number));
    let NumberRules { constant, one_of, none_of, .. } = rules;
    if let Some(constant) = constant.filter(|constant| *constant != held) {
        return Some(("const", format!("is {}", named(&constant))));
    }
    if defined_only && of.name(number).is_none() {
        let names = list(of.values.iter().map(|(name, _)| format!("`{name}`")));
        return Some(("defined_only", format!("is one of {names}")));
    }
    if !one_of.is_empty() && !one_of.contains(&held) {
        return Some(("in", format!("is one of {}", list(one_of.iter().map(named)))));
    }
    let never = none_of.contains(&held);
    never.then(|| ("not_in", format!("is none of {}", list(none_of.iter().map(named)))))
}

fn broken_list(
    least: u64,
    most: Option<u64>,
    unique: bool,
    values: &[Value],
) -> Option<(&'static str, String)> {
    let names = ["min_items", "max_items"];
    if let Some(broken) = broken_count(least, most, values.len() as u64, names, "items") {
        return Some(broken);
    }
    // Values of a settings message are bounded in bytes, so their texts can be sorted.
    let mut texts: Vec<String> = values.iter().map(Value::to_string).collect();
    texts.sort();
    let twice = texts.windows(2).find(|pair| pair[0] == pair[1]).filter(|_| unique);
    twice.map(|pair| ("unique", format!("holds {} once", crate::source::cut(&pair[0]))))
}

fn broken_count(
    least: u64,
    most: Option<u64>,
    count: u64,
    [less, more]: [&'static str; 2],
    of: &str,
) -> Option<(&'static str, String)> {
    if count < least {
        return Some((less, format!("has at least {least} {of}")));
    }
    let most = most.filter(|most| count > *most)?;
    Some((more, format!("has at most {most} {of}")))
}

pub(super) fn list(words: impl Iterator<Item = String>) -> String {
    let words: Vec<String> = words.collect();
    let mut text = words.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if words.len() > SHOWN {
        text.push_str(", …");
    }
    text
}
