//! `buf.validate.FieldRules`: bytes of the option → rules of one field.
//!
//! Source of names and numbers: buf/validate/validate.proto of protovalidate 1.3. Read from the
//! option's bytes, as `google.api.http` is. Rules that this build does not know are refused by
//! name; examples are no rules.
//!
//! Not here: holding values against them (`settings` of `tandem-config`), making values that keep
//! them (`data` of `tandem-measure`).

use std::cmp::Ordering;

use crate::fields::{self, Field as Wire};
use crate::types::{Cardinality, Contract, Field, Kind, Message, WellKnown};

/// The largest share of a rollout.
pub const PER_MILLE_MOST: i128 = 1_000;

/// Rules of items inside rules of lists; the standard knows one level.
const NESTED_MOST: u32 = 2;

/// The rules of one field.
#[derive(Debug, Clone, Default)]
pub struct FieldRules {
    pub required: bool,
    pub ignore: Ignore,
    /// `int32`, `string`, `repeated`: how rules of it are called.
    pub name: &'static str,
    pub of: Option<Typed>,
}

/// When the rules of a field are not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ignore {
    #[default]
    Never,
    Zero,
    Always,
}

#[derive(Debug, Clone)]
pub enum Typed {
    Number(NumberRules),
    Bool(Option<bool>),
    Text(TextRules),
    Enum {
        defined_only: bool,
        numbers: NumberRules,
    },
    List {
        least: u64,
        most: Option<u64>,
        unique: bool,
        items: Option<Box<FieldRules>>,
    },
    Map {
        least: u64,
        most: Option<u64>,
        keys: Option<Box<FieldRules>>,
        values: Option<Box<FieldRules>>,
    },
}

/// Of integers, floating point numbers and numbers of enums.
#[derive(Debug, Clone, Default)]
pub struct NumberRules {
    pub constant: Option<Number>,
    pub below: Option<Bound>,
    pub above: Option<Bound>,
    pub one_of: Vec<Number>,
    pub none_of: Vec<Number>,
    pub finite: bool,
    pub floating: bool,
    /// Of single precision.
    pub single: bool,
}

/// One end of a range.
#[derive(Debug, Clone, Copy)]
pub struct Bound {
    pub at: Number,
    pub inclusive: bool,
}

impl Bound {
    /// How the rule is called that this end comes from.
    pub fn rule(&self, inclusive: &'static str, exclusive: &'static str) -> &'static str {
        if self.inclusive { inclusive } else { exclusive }
    }

    /// Whether `number` lies under this upper end. Nothing that is no number does.
    pub fn is_above(&self, number: Number) -> bool {
        number < self.at || self.inclusive && number == self.at
    }

    /// Whether `number` lies over this lower end.
    pub fn is_below(&self, number: Number) -> bool {
        number > self.at || self.inclusive && number == self.at
    }

    /// The first value inside of this end, on the side of `up`.
    pub fn first(&self, up: bool, single: bool) -> Number {
        match (self.at, self.inclusive) {
            (at, true) => at,
            (Number::Integer(at), false) => Number::Integer(if up { at + 1 } else { at - 1 }),
            (Number::Float(at), false) if single => {
                let at = at as f32;
                Number::Float(f64::from(if up { at.next_up() } else { at.next_down() }))
            }
            (Number::Float(at), false) => {
                Number::Float(if up { at.next_up() } else { at.next_down() })
            }
        }
    }
}

/// A value of any numeric field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    Integer(i128),
    Float(f64),
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Number) -> Option<Ordering> {
        match (self, other) {
            (Number::Integer(one), Number::Integer(other)) => one.partial_cmp(other),
            (Number::Float(one), Number::Float(other)) => one.partial_cmp(other),
            (Number::Integer(_), Number::Float(_)) | (Number::Float(_), Number::Integer(_)) => None,
        }
    }
}

/// Of text. Lengths count characters.
#[derive(Debug, Clone, Default)]
pub struct TextRules {
    pub constant: Option<String>,
    pub length: Option<u64>,
    pub least: u64,
    pub most: Option<u64>,
    pub bytes: Option<u64>,
    pub bytes_least: u64,
    pub bytes_most: Option<u64>,
    pub prefix: String,
    pub suffix: String,
    pub contains: String,
    pub contains_not: Option<String>,
    pub one_of: Vec<String>,
    pub none_of: Vec<String>,
}

/// The rule's name and why it is refused.
pub type NotHeld = (String, &'static str);

const NOT_BUILT_IN: &str = "is not built in";
const NOT_OF_THIS_FIELD: &str = "does not fit the field's type";
const UNREADABLE: &str = "cannot be read";

/// Whether it is the share of principals of proto/tandem/settings/v1/settings.proto.
pub fn is_rollout(message: &Message) -> bool {
    let shape = |field: &Field| {
        field.number == 1
            && field.kind == Kind::Uint32
            && field.cardinality == Cardinality::Singular
            && &*field.name == "per_mille"
    };
    &*message.full_name == "tandem.settings.v1.Rollout"
        && matches!(&message.fields[..], [only] if shape(only))
}

/// The rule that is built in: a share is at most the whole.
fn per_mille() -> FieldRules {
    let below = Some(Bound { at: Number::Integer(PER_MILLE_MOST), inclusive: true });
    let numbers = NumberRules { below, ..NumberRules::default() };
    FieldRules { name: "uint32", of: Some(Typed::Number(numbers)), ..FieldRules::default() }
}

/// The rules of `field` of `message`; `None` where it has none.
///
/// # Errors
/// The rule that is not built in, does not fit the field or cannot be read.
pub fn read(
    contract: &Contract,
    message: &Message,
    field: &Field,
) -> Result<Option<FieldRules>, NotHeld> {
    if is_rollout(message) && field.rules.is_none() {
        return Ok(Some(per_mille()));
    }
    let Some(bytes) = &field.rules else { return Ok(None) };
    let rules = field_rules(bytes, NESTED_MOST)?;
    fits(contract, field, &rules)?;
    Ok(Some(rules))
}

fn field_rules(bytes: &[u8], nested: u32) -> Result<FieldRules, NotHeld> {
    let mut rules = FieldRules::default();
    // A message that was written in parts is all of them.
    let mut typed: Option<(u32, Vec<u8>)> = None;
    for part in fields::each(bytes) {
        let part = part.map_err(|_| ("field".to_owned(), UNREADABLE))?;
        match part.number {
            23 | 29 => return Err(("cel".to_owned(), NOT_BUILT_IN)),
            25 => rules.required = part.value != 0,
            27 => {
                rules.ignore = match part.value {
                    0 => Ignore::Never,
                    1 => Ignore::Zero,
                    3 => Ignore::Always,
                    _ => return Err(("ignore".to_owned(), NOT_BUILT_IN)),
                };
            }
            number => match &mut typed {
                Some((same, bytes)) if *same == number => bytes.extend_from_slice(part.bytes),
                other => *other = Some((number, part.bytes.to_vec())),
            },
        }
    }
    if let Some((number, bytes)) = typed {
        (rules.name, rules.of) = of_type(number, &bytes, nested)?;
    }
    Ok(rules)
}

fn of_type(
    number: u32,
    bytes: &[u8],
    nested: u32,
) -> Result<(&'static str, Option<Typed>), NotHeld> {
    let not_built_in = |name: &str| Err((name.to_owned(), NOT_BUILT_IN));
    let (name, of) = match number {
        1..=12 => {
            let (name, coding) = NUMBERS[number as usize - 1];
            (name, Typed::Number(numbers(name, coding, bytes)?))
        }
        13 => ("bool", boolean(bytes)?),
        14 => ("string", Typed::Text(text(bytes)?)),
        15 => return not_built_in("bytes"),
        16 => ("enum", enumeration(bytes)?),
        18 => ("repeated", list(bytes, nested)?),
        19 => ("map", map(bytes, nested)?),
        20 => return not_built_in("any"),
        21 => return not_built_in("duration"),
        22 => return not_built_in("timestamp"),
        28 => return not_built_in("field_mask"),
        other => return not_built_in(&other.to_string()),
    };
    Ok((name, Some(of)))
}

#[derive(Debug, Clone, Copy)]
enum Coding {
    Float,
    Double,
    Signed,
    Unsigned,
    Zigzag,
    Fixed,
    SignedFixed32,
    SignedFixed64,
}

/// By number of the rule, from 1.
const NUMBERS: [(&str, Coding); 12] = [
    ("float", Coding::Float),
    ("double", Coding::Double),
    ("int32", Coding::Signed),
    ("int64", Coding::Signed),
    ("uint32", Coding::Unsigned),
    ("uint64", Coding::Unsigned),
    ("sint32", Coding::Zigzag),
    ("sint64", Coding::Zigzag),
    ("fixed32", Coding::Fixed),
    ("fixed64", Coding::Fixed),
    ("sfixed32", Coding::SignedFixed32),
    ("sfixed64", Coding::SignedFixed64),
];

impl Coding {
    fn number(self, value: u64) -> Number {
        match self {
            Coding::Float => Number::Float(f64::from(f32::from_bits(value as u32))),
            Coding::Double => Number::Float(f64::from_bits(value)),
            Coding::Signed | Coding::SignedFixed64 => Number::Integer(i128::from(value as i64)),
            Coding::SignedFixed32 => Number::Integer(i128::from(value as u32 as i32)),
            Coding::Unsigned | Coding::Fixed => Number::Integer(i128::from(value)),
            Coding::Zigzag => {
                let value = (value >> 1) as i64 ^ -((value & 1) as i64);
                Number::Integer(i128::from(value))
            }
        }
    }
}

fn numbers(name: &str, coding: Coding, bytes: &[u8]) -> Result<NumberRules, NotHeld> {
    let floating = matches!(coding, Coding::Float | Coding::Double);
    let single_precision = matches!(coding, Coding::Float);
    let mut rules = NumberRules { floating, single: single_precision, ..NumberRules::default() };
    for part in fields::each(bytes) {
        let part = part.map_err(|_| (name.to_owned(), UNREADABLE))?;
        let number = coding.number(part.value);
        match part.number {
            1 => rules.constant = Some(number),
            2 => rules.below = Some(Bound { at: number, inclusive: false }),
            3 => rules.below = Some(Bound { at: number, inclusive: true }),
            4 => rules.above = Some(Bound { at: number, inclusive: false }),
            5 => rules.above = Some(Bound { at: number, inclusive: true }),
            6 => rules.one_of.push(single(name, number, &part)?),
            7 => rules.none_of.push(single(name, number, &part)?),
            8 if floating => rules.finite = part.value != 0,
            8 | 9 => {}
            other => return Err((format!("{name} {other}"), NOT_BUILT_IN)),
        }
    }
    Ok(rules)
}

/// The file of the rules is proto2, whose lists are not packed.
fn single(name: &str, number: Number, part: &Wire<'_>) -> Result<Number, NotHeld> {
    match part.bytes.is_empty() {
        true => Ok(number),
        false => Err((format!("{name}.in"), UNREADABLE)),
    }
}

fn boolean(bytes: &[u8]) -> Result<Typed, NotHeld> {
    let mut constant = None;
    for part in fields::each(bytes) {
        match part.map_err(|_| ("bool".to_owned(), UNREADABLE))? {
            Wire { number: 1, value, .. } => constant = Some(value != 0),
            Wire { number: 2, .. } => {}
            Wire { number, .. } => return Err((format!("bool {number}"), NOT_BUILT_IN)),
        }
    }
    Ok(Typed::Bool(constant))
}

fn text(bytes: &[u8]) -> Result<TextRules, NotHeld> {
    let mut rules = TextRules::default();
    for part in fields::each(bytes) {
        let part = part.map_err(|_| ("string".to_owned(), UNREADABLE))?;
        let words = || {
            let text = std::str::from_utf8(part.bytes).map(str::to_owned);
            text.map_err(|_| ("string".to_owned(), UNREADABLE))
        };
        let not_built_in = |name: &str| Err((format!("string.{name}"), NOT_BUILT_IN));
        match part.number {
            1 => rules.constant = Some(words()?),
            2 => rules.least = part.value,
            3 => rules.most = Some(part.value),
            4 => rules.bytes_least = part.value,
            5 => rules.bytes_most = Some(part.value),
            7 => rules.prefix = words()?,
            8 => rules.suffix = words()?,
            9 => rules.contains = words()?,
            10 => rules.one_of.push(words()?),
            11 => rules.none_of.push(words()?),
            19 => rules.length = Some(part.value),
            20 => rules.bytes = Some(part.value),
            23 => rules.contains_not = Some(words()?),
            34 => {}
            6 => return not_built_in("pattern"),
            12 => return not_built_in("email"),
            13 => return not_built_in("hostname"),
            17 => return not_built_in("uri"),
            22 => return not_built_in("uuid"),
            other => return not_built_in(&other.to_string()),
        }
    }
    Ok(rules)
}

fn enumeration(bytes: &[u8]) -> Result<Typed, NotHeld> {
    let mut numbers = NumberRules::default();
    let mut defined_only = false;
    for part in fields::each(bytes) {
        let part = part.map_err(|_| ("enum".to_owned(), UNREADABLE))?;
        let number = Coding::Signed.number(part.value);
        match part.number {
            1 => numbers.constant = Some(number),
            2 => defined_only = part.value != 0,
            3 => numbers.one_of.push(single("enum", number, &part)?),
            4 => numbers.none_of.push(single("enum", number, &part)?),
            5 => {}
            other => return Err((format!("enum {other}"), NOT_BUILT_IN)),
        }
    }
    Ok(Typed::Enum { defined_only, numbers })
}

fn list(bytes: &[u8], nested: u32) -> Result<Typed, NotHeld> {
    let (mut least, mut most, mut unique) = (0, None, false);
    let mut items: Option<Vec<u8>> = None;
    for part in fields::each(bytes) {
        let part = part.map_err(|_| ("repeated".to_owned(), UNREADABLE))?;
        match part.number {
            1 => least = part.value,
            2 => most = Some(part.value),
            3 => unique = part.value != 0,
            4 => items.get_or_insert_default().extend_from_slice(part.bytes),
            other => return Err((format!("repeated {other}"), NOT_BUILT_IN)),
        }
    }
    Ok(Typed::List { least, most, unique, items: inner(items, nested)? })
}

fn map(bytes: &[u8], nested: u32) -> Result<Typed, NotHeld> {
    let (mut least, mut most) = (0, None);
    let (mut keys, mut values): (Option<Vec<u8>>, Option<Vec<u8>>) = (None, None);
    for part in fields::each(bytes) {
        let part = part.map_err(|_| ("map".to_owned(), UNREADABLE))?;
        match part.number {
            1 => least = part.value,
            2 => most = Some(part.value),
            4 => keys.get_or_insert_default().extend_from_slice(part.bytes),
            5 => values.get_or_insert_default().extend_from_slice(part.bytes),
            other => return Err((format!("map {other}"), NOT_BUILT_IN)),
        }
    }
    let (keys, values) = (inner(keys, nested)?, inner(values, nested)?);
    Ok(Typed::Map { least, most, keys, values })
}

fn inner(bytes: Option<Vec<u8>>, nested: u32) -> Result<Option<Box<FieldRules>>, NotHeld> {
    let Some(bytes) = bytes else { return Ok(None) };
    match nested.checked_sub(1) {
        Some(nested) => Ok(Some(Box::new(field_rules(&bytes, nested)?))),
        None => Err(("rules inside rules".to_owned(), NOT_BUILT_IN)),
    }
}

/// Whether the rules are of the field's own type.
fn fits(contract: &Contract, field: &Field, rules: &FieldRules) -> Result<(), NotHeld> {
    let wrong = |name: &str| Err((name.to_owned(), NOT_OF_THIS_FIELD));
    match (field.cardinality, &rules.of) {
        (_, None) => Ok(()),
        (Cardinality::Repeated, Some(Typed::List { items, .. })) => {
            items.as_ref().map_or(Ok(()), |items| fits_one(contract, field.kind, items))
        }
        (Cardinality::Map, Some(Typed::Map { keys, values, .. })) => {
            let entry = field.kind.message().map(|id| contract.message(id));
            let kind = |number| {
                let found = entry.and_then(|entry| entry.field_numbered(number));
                found.map(|(_, field)| field.kind)
            };
            for (rules, kind) in [(keys, kind(1)), (values, kind(2))] {
                if let (Some(rules), Some(kind)) = (rules, kind) {
                    fits_one(contract, kind, rules)?;
                }
            }
            Ok(())
        }
        (Cardinality::Singular, Some(_)) => fits_one(contract, field.kind, rules),
        (Cardinality::Repeated | Cardinality::Map, Some(_)) => wrong(rules.name),
    }
}

fn fits_one(contract: &Contract, kind: Kind, rules: &FieldRules) -> Result<(), NotHeld> {
    let wrapped = kind.message().map(|id| contract.message(id));
    let wrapped = wrapped.filter(|message| message.well_known == WellKnown::Wrapper);
    let kind =
        wrapped.and_then(|message| message.field_numbered(1)).map_or(kind, |(_, field)| field.kind);
    // Rules are named as the kinds are; bytes have rules too, which are not held here.
    let own = match kind {
        Kind::Bytes | Kind::Message(_) | Kind::Group(_) => "",
        kind => kind.name(),
    };
    match &rules.of {
        None => Ok(()),
        Some(_) if rules.name == own => Ok(()),
        Some(_) => Err((rules.name.to_owned(), NOT_OF_THIS_FIELD)),
    }
}
