//! Scalars between text and wire.
//!
//! Source: ProtoJSON, the table of types (protocols J-1 to J-5).

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use tandem_contract::Kind;

use crate::fault::{Fault, echo};
use crate::json::{self, Next, Reader};
use crate::limits::JsonOptions;
use crate::plan::{EnumPlan, Plans};
use crate::wire::{self, Broken, Cursor};

/// A number in the form in which it stands on the wire, without its tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bits {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
}

impl Bits {
    /// An integer of a kind, where it is in its range; `None` for kinds that are none.
    #[inline]
    pub(crate) fn integer(kind: Kind, negative: bool, magnitude: u64) -> Option<Bits> {
        const I32_MOST: u64 = i32::MAX as u64;
        const I64_MOST: u64 = i64::MAX as u64;
        const U32_MOST: u64 = u32::MAX as u64;
        let signed = |most: u64| {
            if negative {
                (magnitude <= most + 1).then(|| (magnitude as i64).wrapping_neg())
            } else {
                (magnitude <= most).then_some(magnitude as i64)
            }
        };
        let unsigned =
            |most: u64| (magnitude <= most && (!negative || magnitude == 0)).then_some(magnitude);
        Some(match kind {
            Kind::Int32 | Kind::Enum(_) => Bits::Varint(signed(I32_MOST)? as u64),
            Kind::Int64 => Bits::Varint(signed(I64_MOST)? as u64),
            Kind::Uint32 => Bits::Varint(unsigned(U32_MOST)?),
            Kind::Uint64 => Bits::Varint(unsigned(u64::MAX)?),
            Kind::Sint32 => Bits::Varint(u64::from(zigzag(signed(I32_MOST)?) as u32)),
            Kind::Sint64 => Bits::Varint(zigzag(signed(I64_MOST)?)),
            Kind::Fixed32 => Bits::Fixed32(unsigned(U32_MOST)? as u32),
            Kind::Fixed64 => Bits::Fixed64(unsigned(u64::MAX)?),
            Kind::Sfixed32 => Bits::Fixed32(signed(I32_MOST)? as u32),
            Kind::Sfixed64 => Bits::Fixed64(signed(I64_MOST)? as u64),
            Kind::Double
            | Kind::Float
            | Kind::Bool
            | Kind::String
            | Kind::Bytes
            | Kind::Message(_)
            | Kind::Group(_) => return None,
        })
    }

    #[inline]
    pub(crate) fn is_zero(self) -> bool {
        match self {
            Bits::Varint(value) | Bits::Fixed64(value) => value == 0,
            Bits::Fixed32(value) => value == 0,
        }
    }

    /// All of them, widened.
    pub(crate) fn wide(self) -> u64 {
        match self {
            Bits::Varint(value) | Bits::Fixed64(value) => value,
            Bits::Fixed32(value) => u64::from(value),
        }
    }

    /// The lowest 32, as the number of an enum.
    #[inline]
    pub(crate) fn low32(self) -> i32 {
        self.wide() as i32
    }

    #[inline]
    pub(crate) fn put(self, out: &mut Vec<u8>) {
        match self {
            Bits::Varint(value) => wire::put_varint(value, out),
            Bits::Fixed64(value) => out.extend_from_slice(&value.to_le_bytes()),
            Bits::Fixed32(value) => out.extend_from_slice(&value.to_le_bytes()),
        }
    }
}

/// A scalar in the form in which it stands on the wire, without its tag.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar {
    Number(Bits),
    Bytes(Vec<u8>),
}

impl Scalar {
    /// The bits of a number; 0 for bytes.
    pub(crate) fn wide(&self) -> u64 {
        match self {
            Scalar::Number(bits) => bits.wide(),
            Scalar::Bytes(_) => 0,
        }
    }

    /// Whether an unset field without presence means the same.
    pub(crate) fn is_default(&self) -> bool {
        match self {
            Scalar::Number(bits) => bits.is_zero(),
            Scalar::Bytes(bytes) => bytes.is_empty(),
        }
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        match self {
            Scalar::Number(bits) => bits.put(out),
            Scalar::Bytes(bytes) => {
                wire::put_varint(bytes.len() as u64, out);
                out.extend_from_slice(bytes);
            }
        }
    }

    pub(crate) fn put_field(&self, number: u32, out: &mut Vec<u8>) {
        let wire_type = match self {
            Scalar::Number(Bits::Varint(_)) => 0,
            Scalar::Number(Bits::Fixed64(_)) => 1,
            Scalar::Number(Bits::Fixed32(_)) => 5,
            Scalar::Bytes(_) => 2,
        };
        wire::put_tag(number, wire_type, out);
        self.put(out);
    }
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[inline]
fn unzigzag(value: u64) -> i64 {
    ((value >> 1) as i64) ^ -((value & 1) as i64)
}

/// Reads an integer of 32 bits, or a signed one of 64, from the wire.
#[inline]
pub(crate) fn integer(kind: Kind, cursor: &mut Cursor<'_>) -> Result<i64, Broken> {
    Ok(match kind {
        Kind::Int32 | Kind::Enum(_) => i64::from(cursor.varint()? as i32),
        Kind::Uint32 => i64::from(cursor.varint()? as u32),
        Kind::Sint32 => unzigzag(u64::from(cursor.varint()? as u32)),
        Kind::Fixed32 => i64::from(cursor.fixed32()?),
        Kind::Sfixed32 => i64::from(cursor.fixed32()? as i32),
        Kind::Int64 => cursor.varint()? as i64,
        Kind::Sint64 => unzigzag(cursor.varint()?),
        Kind::Sfixed64 => cursor.fixed64()? as i64,
        Kind::Uint64
        | Kind::Fixed64
        | Kind::Bool
        | Kind::Double
        | Kind::Float
        | Kind::String
        | Kind::Bytes
        | Kind::Message(_)
        | Kind::Group(_) => return Err(Broken),
    })
}

/// Reads a scalar from JSON. `None` is an unknown enum name that `options` lets go (J-12).
pub(crate) fn from_json(
    plans: &Plans,
    kind: Kind,
    reader: &mut Reader<'_>,
    options: &JsonOptions,
) -> Result<Option<Scalar>, Fault> {
    let at = reader.position();
    let found = reader.next()?;
    match (kind, found) {
        (Kind::Bool, Next::Bool) => {
            Ok(Some(Scalar::Number(Bits::Varint(reader.boolean()?.into()))))
        }
        (Kind::Bool, _) => Err(reader.unexpected("true or false")),
        (Kind::String, Next::String) => {
            Ok(Some(Scalar::Bytes(reader.string()?.into_owned().into_bytes())))
        }
        (Kind::String, _) => Err(reader.unexpected("a string")),
        (Kind::Bytes, Next::String) => bytes_of(&reader.string()?)
            .map(|bytes| Some(Scalar::Bytes(bytes)))
            .map_err(|f| f.at(at)),
        (Kind::Bytes, _) => Err(reader.unexpected("base64 text")),
        (Kind::Enum(id), Next::Null) if plans.enumeration(id).null_value => {
            reader.null()?;
            Ok(Some(Scalar::Number(Bits::Varint(0))))
        }
        (Kind::Enum(id), Next::String) => {
            let name = reader.string()?;
            match plans.enumeration(id).number(name.as_bytes()) {
                Some(number) => Ok(Some(enum_scalar(number))),
                None if options.ignore_unknown => Ok(None),
                None => Err(unknown_name(plans.enumeration(id), &name).at(at)),
            }
        }
        (Kind::Enum(_), Next::Bool | Next::Null | Next::Array | Next::Object) => {
            Err(reader.unexpected("the name of a value"))
        }
        (_, Next::Number) => {
            let text = reader.number()?;
            number_of(plans, kind, text).map(Some).map_err(|fault| fault.at(at))
        }
        (_, Next::String) => {
            let text = reader.string()?;
            number_text(plans, kind, &text).map(Some).map_err(|fault| fault.at(at))
        }
        _ => Err(reader.unexpected("a number")),
    }
}

fn enum_scalar(number: i32) -> Scalar {
    Scalar::Number(Bits::Varint(i64::from(number) as u64))
}

#[cold]
pub(crate) fn unknown_name(plan: &EnumPlan, name: &str) -> Fault {
    Fault::caller(format!("{} has no value {}", plan.full_name, echo(name)))
}

/// Reads a scalar from the text of a path variable, a query parameter or a map's key (protocols
/// P-12, Q-4).
pub(crate) fn from_text(plans: &Plans, kind: Kind, text: &str) -> Result<Scalar, Fault> {
    match kind {
        Kind::String => Ok(Scalar::Bytes(text.as_bytes().to_vec())),
        Kind::Bytes => bytes_of(text).map(Scalar::Bytes),
        Kind::Bool => match text {
            "true" => Ok(Scalar::Number(Bits::Varint(1))),
            "false" => Ok(Scalar::Number(Bits::Varint(0))),
            other => Err(Fault::caller(format!("{} is neither true nor false", echo(other)))),
        },
        Kind::Enum(id) => {
            let plan = plans.enumeration(id);
            match plan.number(text.as_bytes()) {
                Some(number) => Ok(enum_scalar(number)),
                None if json::number_length(text.as_bytes()) == Some(text.len()) => {
                    number_of(plans, kind, text)
                }
                None => Err(unknown_name(plan, text)),
            }
        }
        kind => number_text(plans, kind, text),
    }
}

/// A number inside a string: the same grammar, and the three words of floats.
fn number_text(plans: &Plans, kind: Kind, text: &str) -> Result<Scalar, Fault> {
    let word = match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    };
    match (kind, word) {
        (Kind::Double, Some(value)) => return Ok(Scalar::Number(Bits::Fixed64(value.to_bits()))),
        (Kind::Float, Some(value)) => {
            return Ok(Scalar::Number(Bits::Fixed32((value as f32).to_bits())));
        }
        _ => {}
    }
    if json::number_length(text.as_bytes()) != Some(text.len()) {
        return Err(Fault::caller(format!("{} is no number", echo(text))));
    }
    number_of(plans, kind, text)
}

fn number_of(plans: &Plans, kind: Kind, text: &str) -> Result<Scalar, Fault> {
    let out_of_range = || Fault::caller(format!("{} is out of range", echo(text)));
    if matches!(kind, Kind::Double | Kind::Float) {
        // The grammar is checked; the standard library rounds correctly.
        return if kind == Kind::Double {
            let value: f64 = text.parse().map_err(|_error| out_of_range())?;
            if value.is_finite() {
                Ok(Scalar::Number(Bits::Fixed64(value.to_bits())))
            } else {
                Err(out_of_range())
            }
        } else {
            let value: f32 = text.parse().map_err(|_error| out_of_range())?;
            if value.is_finite() {
                Ok(Scalar::Number(Bits::Fixed32(value.to_bits())))
            } else {
                Err(out_of_range())
            }
        };
    }
    let whole =
        integer_of(text).ok_or_else(|| Fault::caller(format!("{} is no integer", echo(text))))?;
    // Nothing that far out is in the range of any kind.
    let magnitude = u64::try_from(whole.unsigned_abs()).map_err(|_error| out_of_range())?;
    let bits = Bits::integer(kind, whole < 0, magnitude).ok_or_else(out_of_range)?;
    if let Kind::Enum(id) = kind {
        let plan = plans.enumeration(id);
        if !plan.has(bits.low32()) {
            return Err(unknown_name(plan, text));
        }
    }
    Ok(Scalar::Number(bits))
}

/// The integer that a JSON number means, exactly; `None` when it is none, or far out of range.
fn integer_of(text: &str) -> Option<i128> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()),
        None => (text, Some(0)),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    let zero = digits.iter().all(|digit| *digit == b'0');
    if zero {
        return Some(0);
    }
    // An exponent that does not even fit an i64 belongs to no integer of ours.
    let mut shift = exponent?.checked_sub(fraction.len() as i64)?;
    while shift < 0 {
        if digits.pop()? != b'0' {
            return None;
        }
        shift += 1;
    }
    let start = digits.iter().position(|digit| *digit != b'0')?;
    if digits.len() as i64 - start as i64 + shift > 30 {
        return None;
    }
    let mut value =
        digits[start..].iter().fold(0_i128, |value, digit| value * 10 + i128::from(digit - b'0'));
    for _ in 0..shift {
        value *= 10;
    }
    Some(if negative { -value } else { value })
}

const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);

/// Base64 in either alphabet, padded or not (J-3).
pub(crate) fn bytes_of(text: &str) -> Result<Vec<u8>, Fault> {
    let engine = if text.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
    engine.decode(text).map_err(|_error| Fault::caller(format!("{} is no base64", echo(text))))
}

#[cfg(test)]
mod tests {
    use super::integer_of;

    #[test]
    fn protocols_j_1_integral_numbers_are_integers_in_any_spelling() {
        for (text, value) in [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("1.0", Some(1)),
            ("1e2", Some(100)),
            ("1.5e1", Some(15)),
            ("100e-2", Some(1)),
            ("9007199254740993", Some(9_007_199_254_740_993)),
            ("-9223372036854775808", Some(-9_223_372_036_854_775_808)),
            ("0e99999999999999999999", Some(0)),
            ("1.5", None),
            ("1e-1", None),
            ("1e400", None),
            ("1e99999999999999999999", None),
        ] {
            assert_eq!(integer_of(text), value, "{text}");
        }
    }
}
