//! How people are asked for the settings of a service: one [`FormField`] for each field of the
//! message, made from the contract (hybrid SE-9).
//!
//! The page, `tandem settings` and programs are given the same. A message inside of a message is
//! laid out to a depth; below it, and where a value has a JSON form of its own, the kind is
//! `json`: written as text.
//!
//! Not here: holding values (`super`), the words of a refused value (`hold`).

use serde::Serialize;
use serde_json::{Map, Value};
use tandem_contract::{Cardinality, Contract, Field, Kind, MessageId, Presence, WellKnown};

use super::hold;
use tandem_contract::rules::{self, Bound, FieldRules, Number, NumberRules, TextRules, Typed};

/// Levels of fields that are laid out.
const DEPTH_MOST: usize = 4;
/// Fields that are laid out in all; what does not fit is `json`.
const FIELDS_MOST: usize = 2_000;

/// One field, as it is asked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FormField {
    /// As in the contract's file; the name of its value in a document.
    pub name: String,
    /// The name in words.
    pub label: String,
    /// What the file says of it; may be empty.
    pub comment: String,
    /// Of one value: `bool`, `int32`, `int64`, `uint32`, `uint64`, `float`, `double`, `string`,
    /// `bytes`, `enum`, `rollout`, `duration`, `timestamp`, `message` or `json`.
    pub kind: &'static str,
    pub repeated: bool,
    pub map: bool,
    /// Of a map the kind of its keys.
    pub key: Option<&'static str>,
    /// The oneof that it is a member of: one of them is given at most.
    pub oneof: Option<String>,
    /// The value where nothing is written; null where that is not the same as any value.
    pub default: Value,
    /// Of the field, then of its items or values.
    pub rules: Vec<FormRule>,
    /// The least and the largest value, written as JSON writes it without quotes.
    pub min: Option<String>,
    pub max: Option<String>,
    /// Of lists and maps.
    pub max_items: Option<u64>,
    /// Characters of text.
    pub min_len: Option<u64>,
    pub max_len: Option<u64>,
    /// Names of an enum, in the order of the file.
    pub values: Vec<String>,
    /// Of a `message`.
    pub fields: Vec<FormField>,
}

/// One rule of a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FormRule {
    /// `int32.lte`.
    pub rule: String,
    /// As JSON.
    pub value: String,
    /// In words: "is at most 60".
    pub must: String,
}

/// The fields of `message`, in the order of the file. Rules that this build does not know are left
/// out: [`super::SettingsMessage::new`] refuses them.
pub fn form(contract: &Contract, message: MessageId) -> Vec<FormField> {
    fields(contract, message, DEPTH_MOST, &mut FIELDS_MOST.clone())
}

/// Recursion is bounded by `depth`, work by `left`.
fn fields(
    contract: &Contract,
    message: MessageId,
    depth: usize,
    left: &mut usize,
) -> Vec<FormField> {
    let fields = &contract.message(message).fields;
    // The fields of this level come before what is in them.
    *left = left.saturating_sub(fields.len());
    fields.iter().map(|field| one(contract, message, field, depth, left)).collect()
}

fn one(
    contract: &Contract,
    message: MessageId,
    field: &Field,
    depth: usize,
    left: &mut usize,
) -> FormField {
    let of = contract.message(message);
    let (key, value) = parts(contract, field);
    let inner = value.message().map(|id| (id, contract.message(id)));
    let mut kind = kind_name(contract, value);
    let mut inner_fields = Vec::new();
    if let ("message", Some((id, inner))) = (kind, inner) {
        if depth > 1 && inner.fields.len() <= *left {
            inner_fields = fields(contract, id, depth - 1, left);
        } else {
            kind = "json";
        }
    }
    let rules = rules::read(contract, of, field).ok().flatten().unwrap_or_default();
    let bounds = Bounds::of(&rules, kind);
    FormField {
        name: field.name.to_string(),
        label: label(&field.name),
        comment: contract.comment(message, field).unwrap_or_default().to_owned(),
        kind,
        repeated: field.cardinality == Cardinality::Repeated,
        map: field.cardinality == Cardinality::Map,
        key: key.map(|key| kind_name(contract, key)),
        oneof: field.oneof.map(|index| of.oneofs[index as usize].to_string()),
        default: default(contract, field, value),
        rules: told(&rules),
        min: bounds.min,
        max: bounds.max,
        max_items: bounds.max_items,
        min_len: bounds.min_len,
        max_len: bounds.max_len,
        values: match value {
            Kind::Enum(id) => {
                let values = contract.enumeration(id).values.iter();
                values.map(|(name, _)| name.to_string()).collect()
            }
            _ => Vec::new(),
        },
        fields: inner_fields,
    }
}

/// The kinds of a map's keys and of one value.
fn parts(contract: &Contract, field: &Field) -> (Option<Kind>, Kind) {
    if field.cardinality != Cardinality::Map {
        return (None, field.kind);
    }
    let entry = field.kind.message().map(|id| contract.message(id));
    let part = |number| Some(entry?.field_numbered(number)?.1.kind);
    (part(1), part(2).unwrap_or(field.kind))
}

fn kind_name(contract: &Contract, kind: Kind) -> &'static str {
    match kind {
        Kind::Bool => "bool",
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => "int32",
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => "int64",
        Kind::Uint32 | Kind::Fixed32 => "uint32",
        Kind::Uint64 | Kind::Fixed64 => "uint64",
        Kind::Float => "float",
        Kind::Double => "double",
        Kind::String => "string",
        Kind::Bytes => "bytes",
        Kind::Enum(_) => "enum",
        Kind::Message(id) | Kind::Group(id) => {
            let message = contract.message(id);
            match message.well_known {
                WellKnown::No if rules::is_rollout(message) => "rollout",
                WellKnown::No => "message",
                WellKnown::Duration => "duration",
                WellKnown::Timestamp => "timestamp",
                WellKnown::Wrapper => {
                    let value = message.field_numbered(1);
                    value.map_or("json", |(_, value)| kind_name(contract, value.kind))
                }
                WellKnown::Any
                | WellKnown::FieldMask
                | WellKnown::Struct
                | WellKnown::Value
                | WellKnown::ListValue
                | WellKnown::Empty
                | WellKnown::HttpBody => "json",
            }
        }
    }
}

/// `max_discount_percent` → `Max discount percent`.
fn label(name: &str) -> String {
    let words = name.trim_matches(['[', ']']).rsplit('.').next().unwrap_or(name).replace('_', " ");
    let mut letters = words.trim().chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

fn default(contract: &Contract, field: &Field, kind: Kind) -> Value {
    match field.cardinality {
        Cardinality::Repeated => return Value::Array(Vec::new()),
        Cardinality::Map => return Value::Object(Map::new()),
        Cardinality::Singular => {}
    }
    let given = field.default.as_deref();
    if field.presence != Presence::Implicit && given.is_none() {
        return Value::Null;
    }
    match kind {
        Kind::Bool => (given == Some("true")).into(),
        Kind::Enum(id) => {
            let values = &contract.enumeration(id).values;
            let name = given.or(values.first().map(|(name, _)| &**name));
            name.map_or(Value::Null, Value::from)
        }
        Kind::String => given.unwrap_or_default().into(),
        // What stands in a file is escaped as in C; nobody has asked for it yet.
        Kind::Bytes => {
            if given.is_some() {
                Value::Null
            } else {
                "".into()
            }
        }
        // ProtoJSON writes 64 bits as text.
        Kind::Int64 | Kind::Uint64 | Kind::Sint64 | Kind::Fixed64 | Kind::Sfixed64 => {
            given.unwrap_or("0").into()
        }
        Kind::Message(_) | Kind::Group(_) => Value::Null,
        Kind::Double
        | Kind::Float
        | Kind::Int32
        | Kind::Uint32
        | Kind::Sint32
        | Kind::Fixed32
        | Kind::Sfixed32 => {
            let number = given.map_or(Ok(0.into()), serde_json::from_str::<Value>);
            // `inf` and `nan` are text in JSON, too.
            number.unwrap_or_else(|_| given.unwrap_or_default().into())
        }
    }
}

/// What a widget limits by itself.
#[derive(Default)]
struct Bounds {
    min: Option<String>,
    max: Option<String>,
    max_items: Option<u64>,
    min_len: Option<u64>,
    max_len: Option<u64>,
}

impl Bounds {
    fn of(rules: &FieldRules, kind: &str) -> Bounds {
        if kind == "rollout" {
            let most = rules::PER_MILLE_MOST.to_string();
            return Bounds { min: Some("0".into()), max: Some(most), ..Bounds::default() };
        }
        match &rules.of {
            Some(Typed::Number(numbers)) => Bounds::of_numbers(numbers),
            Some(Typed::Text(text)) => Bounds {
                min_len: text.length.or((text.least > 0).then_some(text.least)),
                max_len: text.length.or(text.most),
                ..Bounds::default()
            },
            Some(Typed::List { most, items, .. }) => {
                let items = items.as_deref().map(|items| Bounds::of(items, kind));
                Bounds { max_items: *most, ..items.unwrap_or_default() }
            }
            Some(Typed::Map { most, values, .. }) => {
                let values = values.as_deref().map(|values| Bounds::of(values, kind));
                Bounds { max_items: *most, ..values.unwrap_or_default() }
            }
            Some(Typed::Bool(_) | Typed::Enum { .. }) | None => Bounds::default(),
        }
    }

    fn of_numbers(numbers: &NumberRules) -> Bounds {
        let (above, below) = (numbers.above, numbers.below);
        // Ends that are crossed allow what is outside of them.
        if above.zip(below).is_some_and(|(above, below)| above.at > below.at) {
            return Bounds::default();
        }
        let end = |end: Option<Bound>, up| {
            let end = end.map(|end| end.first(up, numbers.single));
            numbers.constant.or(end).map(hold::written)
        };
        Bounds { min: end(above, true), max: end(below, false), ..Bounds::default() }
    }
}

fn told(rules: &FieldRules) -> Vec<FormRule> {
    let FieldRules { required, ignore: _, name, of } = rules;
    let mut told = Vec::new();
    if *required {
        told.push(rule("required", "true", "must be given"));
    }
    match of {
        None => {}
        Some(Typed::Number(numbers)) => told_numbers(name, numbers, &mut told),
        Some(Typed::Bool(constant)) => {
            let constant = constant.map(|constant| constant.to_string());
            told.extend(constant.map(|is| rule("bool.const", &is, format!("is {is}"))));
        }
        Some(Typed::Text(text)) => told_text(text, &mut told),
        Some(Typed::Enum { defined_only, numbers }) => {
            if *defined_only {
                told.push(rule("enum.defined_only", "true", "is one of the values of the list"));
            }
            told_numbers("enum", numbers, &mut told);
        }
        Some(Typed::List { least, most, unique, items }) => {
            told_count("repeated", ["min_items", "max_items"], *least, *most, "items", &mut told);
            if *unique {
                told.push(rule("repeated.unique", "true", "holds each item once"));
            }
            told.extend(inside(items.as_deref(), "each item"));
        }
        Some(Typed::Map { least, most, keys, values }) => {
            told_count("map", ["min_pairs", "max_pairs"], *least, *most, "pairs", &mut told);
            told.extend(inside(keys.as_deref(), "each key"));
            told.extend(inside(values.as_deref(), "each value"));
        }
    }
    told
}

fn rule(name: &str, value: &str, must: impl Into<String>) -> FormRule {
    FormRule { rule: name.to_owned(), value: value.to_owned(), must: must.into() }
}

fn inside<'a>(rules: Option<&FieldRules>, each: &'a str) -> impl Iterator<Item = FormRule> + 'a {
    let told = rules.map(told).unwrap_or_default().into_iter();
    told.map(move |told| FormRule { must: format!("{each} {}", told.must), ..told })
}

fn told_count(
    of: &str,
    [less, more]: [&str; 2],
    least: u64,
    most: Option<u64>,
    what: &str,
    told: &mut Vec<FormRule>,
) {
    if least > 0 {
        let must = format!("has at least {least} {what}");
        told.push(rule(&format!("{of}.{less}"), &least.to_string(), must));
    }
    if let Some(most) = most {
        let must = format!("has at most {most} {what}");
        told.push(rule(&format!("{of}.{more}"), &most.to_string(), must));
    }
}

fn told_numbers(of: &str, numbers: &NumberRules, told: &mut Vec<FormRule>) {
    let NumberRules { constant, below, above, one_of, none_of, finite, floating: _, single: _ } =
        numbers;
    let mut one = |name: &str, value: String, must: String| {
        told.push(rule(&format!("{of}.{name}"), &value, must));
    };
    if let Some(constant) = constant.map(hold::written) {
        one("const", constant.clone(), format!("is {constant}"));
    }
    let end = |end: Option<Bound>, inclusive: [&'static str; 2], exclusive: [&'static str; 2]| {
        let end = end?;
        let [name, word] = if end.inclusive { inclusive } else { exclusive };
        let at = hold::written(end.at);
        Some((name, at.clone(), format!("is {word} {at}")))
    };
    let ends = [
        end(*above, ["gte", "at least"], ["gt", "more than"]),
        end(*below, ["lte", "at most"], ["lt", "less than"]),
    ];
    for (name, value, must) in ends.into_iter().flatten() {
        one(name, value, must);
    }
    let list = |numbers: &[Number]| hold::list(numbers.iter().map(|number| hold::written(*number)));
    if !one_of.is_empty() {
        one("in", format!("[{}]", list(one_of)), format!("is one of {}", list(one_of)));
    }
    if !none_of.is_empty() {
        one("not_in", format!("[{}]", list(none_of)), format!("is none of {}", list(none_of)));
    }
    if *finite {
        one("finite", "true".to_owned(), "is a finite number".to_owned());
    }
}

fn told_text(text: &TextRules, told: &mut Vec<FormRule>) {
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
    } = text;
    let quoted = |text: &str| Value::from(text).to_string();
    let mut one = |name: &str, value: String, must: String| {
        told.push(rule(&format!("string.{name}"), &value, must));
    };
    if let Some(constant) = constant {
        one("const", quoted(constant), format!("is {}", quoted(constant)));
    }
    for (name, count, what) in [("len", length, "characters"), ("len_bytes", bytes, "bytes")] {
        if let Some(count) = count {
            one(name, count.to_string(), format!("has {count} {what}"));
        }
    }
    for (name, part, word) in [
        ("prefix", Some(prefix), "begins with"),
        ("suffix", Some(suffix), "ends with"),
        ("contains", Some(contains), "holds"),
        ("not_contains", contains_not.as_ref(), "does not hold"),
    ] {
        if let Some(part) = part.filter(|part| !part.is_empty()) {
            one(name, quoted(part), format!("{word} {}", quoted(part)));
        }
    }
    let list = |texts: &[String]| hold::list(texts.iter().map(|text| quoted(text)));
    if !one_of.is_empty() {
        one("in", format!("[{}]", list(one_of)), format!("is one of {}", list(one_of)));
    }
    if !none_of.is_empty() {
        one("not_in", format!("[{}]", list(none_of)), format!("is none of {}", list(none_of)));
    }
    told_count("string", ["min_len", "max_len"], *least, *most, "characters", told);
    told_count("string", ["min_bytes", "max_bytes"], *bytes_least, *bytes_most, "bytes", told);
}
