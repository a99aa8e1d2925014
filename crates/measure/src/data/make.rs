//! How the value of each field is made: rules of the contract first, then its name, then its type.
//!
//! Not here: which fields are filled (`data`), what names mean (`names`).

use std::collections::BTreeMap;

use tandem_contract::rules::{self, FieldRules, Ignore, Number, NumberRules, TextRules, Typed};
use tandem_contract::{
    Cardinality, Contract, Field, Kind, Message, MessageId, Presence, Template, TemplateSegment,
    Variable, WellKnown,
};

use super::text::{self, Format};
use super::{Filling, Override, names};

/// Elements of a list, entries of a map, unless a rule says otherwise.
const ELEMENTS: (u64, u64) = (1, 3);
/// Whatever a rule allows.
const ELEMENTS_MOST: u64 = 64;

/// A value that is no message.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar {
    /// Booleans are 0 and 1.
    Integer(i128),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
}

/// How a value is made.
#[derive(Debug, Clone)]
pub(super) enum Make {
    Skip,
    Message(MessageId),
    OneOf(Vec<Scalar>),
    /// Both ends are included.
    Integer(i128, i128),
    Float(f64, f64),
    /// The key of a rank, as a number or as text within the rules.
    Key(Box<TextRules>),
    /// Names between literals: `shelves/key-1/books/key-2`.
    Names(Vec<Option<String>>),
    Words(Box<TextRules>),
    /// Contents, of a log-normal size within the rules.
    Contents(Box<TextRules>),
    Formatted(Format),
    /// Seconds since the epoch, up to 30 days ago.
    Moment,
}

/// The fields of one message type.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) fields: Vec<FieldPlan>,
    /// Numbers of the members of each oneof.
    pub(super) oneofs: Vec<Vec<u32>>,
}

#[derive(Debug)]
pub(super) struct FieldPlan {
    pub(super) number: u32,
    pub(super) make: Make,
    pub(super) many: Option<Many>,
    pub(super) oneof: Option<u32>,
    /// Its absence is something of its own.
    pub(super) optional: bool,
    pub(super) required: bool,
}

/// Of a list or a map.
#[derive(Debug)]
pub(super) struct Many {
    pub(super) least: u64,
    pub(super) most: u64,
    pub(super) unique: bool,
    /// Key and value of a map's entry.
    pub(super) entry: Option<(Make, Make)>,
}

/// Plans of `root` and of all that it holds, and what of their rules is not followed.
pub(super) fn plans(
    contract: &Contract,
    root: MessageId,
) -> (BTreeMap<MessageId, Plan>, Vec<String>) {
    let (mut plans, mut notes) = (BTreeMap::new(), Vec::new());
    let mut open = vec![root];
    while let Some(id) = open.pop() {
        if plans.contains_key(&id) {
            continue;
        }
        let message = contract.message(id);
        let mut plan = Plan::default();
        for field in &message.fields {
            let planned = planned(contract, message, field, &mut notes);
            if !matches!(planned.make, Make::Skip) {
                open.extend(inner(contract, field));
            }
            if let Some(oneof) = planned.oneof {
                plan.oneofs.resize(plan.oneofs.len().max(oneof as usize + 1), Vec::new());
                plan.oneofs[oneof as usize].push(planned.number);
            }
            plan.fields.push(planned);
        }
        plans.insert(id, plan);
    }
    (plans, notes)
}

/// The messages that a field holds, through the entries of maps.
fn inner(contract: &Contract, field: &Field) -> Option<MessageId> {
    let id = field.kind.message()?;
    if field.cardinality != Cardinality::Map {
        return Some(id);
    }
    contract.message(id).field_numbered(2)?.1.kind.message()
}

fn planned(
    contract: &Contract,
    message: &Message,
    field: &Field,
    notes: &mut Vec<String>,
) -> FieldPlan {
    let read = rules::read(contract, message, field);
    let mut format = None;
    let read = read.unwrap_or_else(|(name, why)| {
        format = field.rules.as_deref().and_then(Format::of_rules);
        if format.is_none() {
            notes.push(format!("{}.{}: rule {name} {why}", message.full_name, field.name));
        }
        None
    });
    let of_field = read.unwrap_or_default();
    let required =
        field.behavior.required || of_field.required || field.presence == Presence::Required;
    let left_out = field.behavior.output_only
        || field.extension
        || of_field.ignore == Ignore::Always
        || matches!(field.kind, Kind::Group(_));
    let (make, many) = match (field.cardinality, &of_field.of) {
        _ if left_out => (Make::Skip, None),
        (Cardinality::Singular, _) => match format {
            Some(format) => (Make::Formatted(format), None),
            None => (make(contract, message, field, field.kind, &of_field), None),
        },
        (Cardinality::Repeated, typed) => {
            let of_item = match typed {
                Some(Typed::List { items: Some(items), .. }) => (**items).clone(),
                _ => FieldRules::default(),
            };
            let make = make(contract, message, field, field.kind, &of_item);
            (make, Some(many(typed.as_ref(), None)))
        }
        (Cardinality::Map, typed) => {
            let entry = entry(contract, field, typed.as_ref());
            (Make::Integer(0, 0), Some(many(typed.as_ref(), entry)))
        }
    };
    FieldPlan {
        number: field.number,
        make,
        many,
        oneof: field.oneof,
        optional: field.presence == Presence::Explicit && field.kind.message().is_none(),
        required,
    }
}

fn many(typed: Option<&Typed>, entry: Option<(Make, Make)>) -> Many {
    let (least, most, unique) = match typed {
        Some(Typed::List { least, most, unique, .. }) => (*least, *most, *unique),
        Some(Typed::Map { least, most, .. }) => (*least, *most, false),
        _ => (0, None, false),
    };
    let least = least.max(ELEMENTS.0.min(most.unwrap_or(u64::MAX))).min(ELEMENTS_MOST);
    let most = most.unwrap_or(ELEMENTS.1).min(ELEMENTS.1).max(least);
    Many { least, most, unique, entry }
}

fn entry(contract: &Contract, field: &Field, typed: Option<&Typed>) -> Option<(Make, Make)> {
    let entry = contract.message(field.kind.message()?);
    let (of_key, of_value) = match typed {
        Some(Typed::Map { keys, values, .. }) => (keys.as_deref(), values.as_deref()),
        _ => (None, None),
    };
    let part = |number, rules: Option<&FieldRules>| {
        let (_, part) = entry.field_numbered(number)?;
        Some(make(contract, entry, part, part.kind, &rules.cloned().unwrap_or_default()))
    };
    Some((part(1, of_key)?, part(2, of_value)?))
}

/// Of one value: what the rules leave, else what the name says.
fn make(
    contract: &Contract,
    message: &Message,
    field: &Field,
    kind: Kind,
    rules: &FieldRules,
) -> Make {
    match (kind, &rules.of) {
        (Kind::Message(id), _) => match contract.message(id).well_known {
            WellKnown::Any | WellKnown::FieldMask => Make::Skip,
            _ => Make::Message(id),
        },
        (Kind::Group(_), _) => Make::Skip,
        (_, Some(Typed::Bool(Some(constant)))) => {
            Make::OneOf(vec![Scalar::Integer(i128::from(*constant))])
        }
        (Kind::Bool, _) => Make::Integer(0, 1),
        (Kind::Enum(id), typed) => {
            let numbers = match typed {
                Some(Typed::Enum { numbers, .. }) => numbers.clone(),
                _ => NumberRules::default(),
            };
            let values = contract.enumeration(id).values.iter().map(|(_, number)| *number);
            enumeration(values.collect(), &numbers)
        }
        (Kind::String, Some(Typed::Text(text))) => of_text(field, text),
        (Kind::String, _) => names::text(&field.name),
        (Kind::Bytes, _) => Make::Contents(Box::default()),
        (kind, Some(Typed::Number(numbers))) => of_numbers(kind, field, numbers),
        _ if message.well_known == WellKnown::Timestamp && field.number == 1 => Make::Moment,
        _ if message.well_known == WellKnown::Duration && field.number == 1 => Make::Integer(0, 60),
        (Kind::Double | Kind::Float, _) => names::float(&field.name),
        _ => names::integer(&field.name),
    }
}

/// Any value of an enum that the rules allow, but the first while there are others: it means that
/// nothing was said.
fn enumeration(mut values: Vec<i32>, rules: &NumberRules) -> Make {
    let is = |number: &Number, value: i32| *number == Number::Integer(i128::from(value));
    if let Some(Number::Integer(constant)) = rules.constant {
        return Make::OneOf(vec![Scalar::Integer(constant)]);
    }
    values.dedup();
    values.retain(|value| {
        (rules.one_of.is_empty() || rules.one_of.iter().any(|number| is(number, *value)))
            && !rules.none_of.iter().any(|number| is(number, *value))
    });
    if values.len() > 1 && rules.one_of.is_empty() {
        values.retain(|value| *value != 0);
    }
    match values.is_empty() {
        true => Make::Skip,
        false => {
            Make::OneOf(values.into_iter().map(|value| Scalar::Integer(value.into())).collect())
        }
    }
}

fn of_text(field: &Field, rules: &TextRules) -> Make {
    let texts = |texts: &[String]| texts.iter().cloned().map(Scalar::Text).collect();
    match (&rules.constant, &rules.one_of[..], names::text(&field.name)) {
        (Some(constant), _, _) => Make::OneOf(vec![Scalar::Text(constant.clone())]),
        (None, one_of @ [_, ..], _) => Make::OneOf(texts(one_of)),
        (None, [], Make::Key(_)) => Make::Key(Box::new(rules.clone())),
        (None, [], Make::Contents(_)) => Make::Contents(Box::new(rules.clone())),
        // What the name says of a whole text may break the rules; lengths are sure.
        (None, [], _) => Make::Words(Box::new(rules.clone())),
    }
}

fn of_numbers(kind: Kind, field: &Field, rules: &NumberRules) -> Make {
    let scalar = |number: &Number| match *number {
        Number::Integer(value) => Scalar::Integer(value),
        Number::Float(value) => Scalar::Float(value),
    };
    if let Some(constant) = &rules.constant {
        return Make::OneOf(vec![scalar(constant)]);
    }
    if !rules.one_of.is_empty() {
        return Make::OneOf(rules.one_of.iter().map(scalar).collect());
    }
    let above = rules.above.map(|end| end.first(true, rules.single));
    let below = rules.below.map(|end| end.first(false, rules.single));
    if matches!(kind, Kind::Double | Kind::Float) {
        let float = |end| match end {
            Some(Number::Float(at)) => Some(at),
            _ => None,
        };
        let (low, high) = range(names::float(&field.name), float(above), float(below));
        return Make::Float(low, high);
    }
    let integer = |end| match end {
        Some(Number::Integer(at)) => Some(at),
        _ => None,
    };
    let (above, below) = (integer(above), integer(below));
    match (names::integer(&field.name), above, below) {
        (Make::Integer(low, high), above, below) => {
            let low = above.map_or(low.min(below.unwrap_or(low)), |above| low.max(above));
            let high = below.map_or(high.max(low), |below| high.min(below));
            if low <= high { Make::Integer(low, high) } else { between(above, below) }
        }
        (other, None, None) => other,
        (_, above, below) => between(above, below),
    }
}

/// All that the ends leave, and a thousand where one is open.
fn between(above: Option<i128>, below: Option<i128>) -> Make {
    match (above, below) {
        (Some(above), Some(below)) if above <= below => Make::Integer(above, below),
        // A range whose ends are swapped leaves what is outside of it (protovalidate).
        (Some(above), _) => Make::Integer(above, above + 1_000),
        (None, Some(below)) => Make::Integer(below - 1_000, below),
        (None, None) => Make::Integer(0, 1_000),
    }
}

/// The part of what the name says that lies within the ends, else all between them.
fn range(named: Make, least: Option<f64>, most: Option<f64>) -> (f64, f64) {
    let (low, high) = match named {
        Make::Float(low, high) => (low, high),
        _ => (0.0, 1_000.0),
    };
    let (low, high) = (least.map_or(low, |at| low.max(at)), most.map_or(high, |at| high.min(at)));
    match (low < high, least, most) {
        (true, _, _) => (low, high),
        (false, Some(least), Some(most)) if least < most => (least, most),
        (false, Some(least), _) => (least, least + 1_000.0),
        (false, None, Some(most)) => (most - 1_000.0, most),
        (false, None, None) => (0.0, 1_000.0),
    }
}

impl Make {
    /// A variable of a path that has literals in it, or more than one segment.
    pub(super) fn of_template(variable: &Variable, template: &Template) -> Option<Make> {
        let segments: Vec<Option<String>> = variable
            .segments(template)
            .map(|segment| match segment {
                TemplateSegment::Literal(text) => Some(text.to_owned()),
                TemplateSegment::One | TemplateSegment::Rest => None,
            })
            .collect();
        (segments.len() > 1).then_some(Make::Names(segments))
    }

    /// What a user said of `field`.
    pub(super) fn of_override(
        contract: &Contract,
        field: &Field,
        given: &Override,
    ) -> Result<Make, String> {
        let is_message = field.kind.message().is_some();
        let integral =
            !matches!(field.kind, Kind::Double | Kind::Float | Kind::String | Kind::Bytes);
        match given {
            Override::Skip => Ok(Make::Skip),
            _ if is_message => Err("a message has no value of its own; name a field in it".into()),
            Override::Key if matches!(field.kind, Kind::Bool | Kind::Enum(_)) => {
                Err("it is no key".into())
            }
            Override::Key => Ok(Make::Key(Box::default())),
            Override::Range(low, high) if low > high => Err("the range is empty".into()),
            Override::Range(_, _) if matches!(field.kind, Kind::String | Kind::Bytes) => {
                Err("a range is of numbers".into())
            }
            Override::Range(low, high) if integral => {
                Ok(Make::Integer(*low as i128, *high as i128))
            }
            Override::Range(low, high) => Ok(Make::Float(*low, *high)),
            Override::OneOf(texts) => {
                let values = texts.iter().map(|text| read(contract, field.kind, text));
                Ok(Make::OneOf(values.collect::<Result<_, _>>()?))
            }
        }
    }

    /// One value for a field of `kind`.
    pub(super) fn value(&self, filling: &mut Filling<'_>, kind: Kind) -> Scalar {
        let values = filling.values;
        match self {
            Make::Skip | Make::Message(_) => Scalar::Integer(0),
            Make::OneOf(of) => of[filling.draws.below(of.len())].clone(),
            Make::Integer(low, high) => Scalar::Integer(integer(filling, *low, *high)),
            Make::Float(low, high) => Scalar::Float(low + (high - low) * filling.draws.unit()),
            Make::Key(rules) => {
                let rank = values.keys.rank(&mut filling.draws);
                match kind {
                    Kind::String => Scalar::Text(text::key(rank, values.key_digits, rules)),
                    Kind::Bytes => Scalar::Bytes(rank.to_be_bytes().into()),
                    Kind::Double | Kind::Float => Scalar::Float(rank as f64),
                    _ => Scalar::Integer(rank.into()),
                }
            }
            Make::Names(segments) => {
                let names = segments.iter().map(|segment| match segment {
                    Some(literal) => literal.clone(),
                    None => {
                        let rank = values.keys.rank(&mut filling.draws);
                        text::key(rank, values.key_digits, &TextRules::default())
                    }
                });
                Scalar::Text(names.collect::<Vec<_>>().join("/"))
            }
            Make::Words(rules) => Scalar::Text(text::words(&mut filling.draws, 12, rules)),
            Make::Contents(rules) => {
                let size = values.payload.size(&mut filling.draws);
                match kind {
                    Kind::Bytes => {
                        Scalar::Bytes((0..size).map(|_| filling.draws.next() as u8).collect())
                    }
                    _ => Scalar::Text(text::words(&mut filling.draws, size, rules)),
                }
            }
            Make::Formatted(format) => {
                let rank = values.keys.rank(&mut filling.draws);
                Scalar::Text(format.text(rank))
            }
            Make::Moment => {
                const MONTH_S: i128 = 30 * 24 * 3_600;
                let now = i128::from(values.now.as_secs());
                Scalar::Integer(integer(filling, (now - MONTH_S).max(0), now))
            }
        }
    }
}

fn integer(filling: &mut Filling<'_>, low: i128, high: i128) -> i128 {
    let count = u64::try_from(high - low).unwrap_or(u64::MAX).saturating_add(1);
    low + i128::from(filling.draws.below(usize::try_from(count).unwrap_or(usize::MAX)) as u64)
}

/// A value as a user writes it.
fn read(contract: &Contract, kind: Kind, text: &str) -> Result<Scalar, String> {
    let not_one = |what: &str| format!("`{text}` is no {what}");
    match kind {
        Kind::String => Ok(Scalar::Text(text.into())),
        Kind::Bytes => Ok(Scalar::Bytes(text.into())),
        Kind::Bool => match text {
            "true" => Ok(Scalar::Integer(1)),
            "false" => Ok(Scalar::Integer(0)),
            _ => Err(not_one("boolean")),
        },
        Kind::Double | Kind::Float => {
            text.parse().map(Scalar::Float).map_err(|_| not_one("number"))
        }
        Kind::Enum(id) => {
            let of = contract.enumeration(id);
            let number =
                of.number(text).ok_or_else(|| not_one(&format!("value of {}", of.full_name)));
            number.map(|number| Scalar::Integer(number.into()))
        }
        _ => text.parse().map(Scalar::Integer).map_err(|_| not_one("whole number")),
    }
}
