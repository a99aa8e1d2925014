//! Scalars between text and wire.
//!
//! Source: ProtoJSON, the table of types (protocols J-1 to J-5).

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{alphabet, prelude::BASE64_STANDARD};
use tandem_contract::{Contract, Kind};

use crate::fault::{Fault, echo};
use crate::json::{self, Next, Reader};
use crate::limits::JsonOptions;
use crate::wire::{self, Value};

/// A scalar in the form in which it stands on the wire, without its tag.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(Vec<u8>),
}

impl Scalar {
    /// Whether an unset field without presence means the same.
    pub(crate) fn is_default(&self) -> bool {
        match self {
            Scalar::Varint(value) | Scalar::Fixed64(value) => *value == 0,
            Scalar::Fixed32(value) => *value == 0,
            Scalar::Bytes(bytes) => bytes.is_empty(),
        }
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        match self {
            Scalar::Varint(value) => wire::put_varint(*value, out),
            Scalar::Fixed64(value) => out.extend_from_slice(&value.to_le_bytes()),
            Scalar::Fixed32(value) => out.extend_from_slice(&value.to_le_bytes()),
            Scalar::Bytes(bytes) => {
                wire::put_varint(bytes.len() as u64, out);
                out.extend_from_slice(bytes);
            }
        }
    }

    pub(crate) fn put_field(&self, number: u32, out: &mut Vec<u8>) {
        let wire_type = match self {
            Scalar::Varint(_) => 0,
            Scalar::Fixed64(_) => 1,
            Scalar::Fixed32(_) => 5,
            Scalar::Bytes(_) => 2,
        };
        wire::put_tag(number, wire_type, out);
        self.put(out);
    }
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn unzigzag(value: u64) -> i64 {
    ((value >> 1) as i64) ^ -((value & 1) as i64)
}

/// Reads a scalar from JSON. `None` is an unknown enum name that `options` lets go (J-12).
pub(crate) fn from_json(
    contract: &Contract,
    kind: Kind,
    reader: &mut Reader<'_>,
    options: &JsonOptions,
) -> Result<Option<Scalar>, Fault> {
    let at = reader.position();
    let found = reader.next()?;
    match (kind, found) {
        (Kind::Bool, Next::Bool) => Ok(Some(Scalar::Varint(reader.boolean()?.into()))),
        (Kind::Bool, _) => Err(reader.unexpected("true or false")),
        (Kind::String, Next::String) => {
            Ok(Some(Scalar::Bytes(reader.string()?.into_owned().into_bytes())))
        }
        (Kind::String, _) => Err(reader.unexpected("a string")),
        (Kind::Bytes, Next::String) => bytes_of(&reader.string()?)
            .map(|bytes| Some(Scalar::Bytes(bytes)))
            .map_err(|f| f.at(at)),
        (Kind::Bytes, _) => Err(reader.unexpected("base64 text")),
        (Kind::Enum(id), Next::String) => {
            let name = reader.string()?;
            match contract.enumeration(id).number(&name) {
                Some(number) => Ok(Some(enum_scalar(number))),
                None if options.ignore_unknown => Ok(None),
                None => Err(unknown_name(contract, kind, &name).at(at)),
            }
        }
        (Kind::Enum(_), Next::Number) => {
            let text = reader.number()?;
            number_of(contract, kind, text).map(Some).map_err(|fault| fault.at(at))
        }
        (Kind::Enum(_), _) => Err(reader.unexpected("the name of a value")),
        (_, Next::Number) => {
            let text = reader.number()?;
            number_of(contract, kind, text).map(Some).map_err(|fault| fault.at(at))
        }
        (_, Next::String) => {
            let text = reader.string()?;
            number_text(contract, kind, &text).map(Some).map_err(|fault| fault.at(at))
        }
        _ => Err(reader.unexpected("a number")),
    }
}

fn enum_scalar(number: i32) -> Scalar {
    Scalar::Varint(i64::from(number) as u64)
}

fn unknown_name(contract: &Contract, kind: Kind, name: &str) -> Fault {
    let Kind::Enum(id) = kind else { return Fault::caller("no such value") };
    let full_name = &contract.enumeration(id).full_name;
    Fault::caller(format!("{full_name} has no value {}", echo(name)))
}

/// Reads a scalar from the text of a path variable or a query parameter (protocols P-12, Q-4).
pub(crate) fn from_text(contract: &Contract, kind: Kind, text: &str) -> Result<Scalar, Fault> {
    match kind {
        Kind::String => Ok(Scalar::Bytes(text.as_bytes().to_vec())),
        Kind::Bytes => bytes_of(text).map(Scalar::Bytes),
        Kind::Bool => match text {
            "true" => Ok(Scalar::Varint(1)),
            "false" => Ok(Scalar::Varint(0)),
            other => Err(Fault::caller(format!("{} is neither true nor false", echo(other)))),
        },
        Kind::Enum(id) => match contract.enumeration(id).number(text) {
            Some(number) => Ok(enum_scalar(number)),
            None if json::number_length(text.as_bytes()) == Some(text.len()) => {
                number_of(contract, kind, text)
            }
            None => Err(unknown_name(contract, kind, text)),
        },
        kind => number_text(contract, kind, text),
    }
}

/// A number inside a string: the same grammar, and the three words of floats.
fn number_text(contract: &Contract, kind: Kind, text: &str) -> Result<Scalar, Fault> {
    let word = match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    };
    match (kind, word) {
        (Kind::Double, Some(value)) => return Ok(Scalar::Fixed64(value.to_bits())),
        (Kind::Float, Some(value)) => return Ok(Scalar::Fixed32((value as f32).to_bits())),
        _ => {}
    }
    if json::number_length(text.as_bytes()) != Some(text.len()) {
        return Err(Fault::caller(format!("{} is no number", echo(text))));
    }
    number_of(contract, kind, text)
}

fn number_of(contract: &Contract, kind: Kind, text: &str) -> Result<Scalar, Fault> {
    let out_of_range = || Fault::caller(format!("{} is out of range", echo(text)));
    if matches!(kind, Kind::Double | Kind::Float) {
        // The grammar is checked; the standard library rounds correctly.
        return if kind == Kind::Double {
            let value: f64 = text.parse().map_err(|_error| out_of_range())?;
            if value.is_finite() {
                Ok(Scalar::Fixed64(value.to_bits()))
            } else {
                Err(out_of_range())
            }
        } else {
            let value: f32 = text.parse().map_err(|_error| out_of_range())?;
            if value.is_finite() {
                Ok(Scalar::Fixed32(value.to_bits()))
            } else {
                Err(out_of_range())
            }
        };
    }
    let whole =
        integer_of(text).ok_or_else(|| Fault::caller(format!("{} is no integer", echo(text))))?;
    let signed32 = || i32::try_from(whole).map_err(|_error| out_of_range());
    let unsigned32 = || u32::try_from(whole).map_err(|_error| out_of_range());
    let signed64 = || i64::try_from(whole).map_err(|_error| out_of_range());
    let unsigned64 = || u64::try_from(whole).map_err(|_error| out_of_range());
    Ok(match kind {
        Kind::Int32 => Scalar::Varint(i64::from(signed32()?) as u64),
        Kind::Int64 => Scalar::Varint(signed64()? as u64),
        Kind::Uint32 => Scalar::Varint(unsigned32()?.into()),
        Kind::Uint64 => Scalar::Varint(unsigned64()?),
        Kind::Sint32 => Scalar::Varint(u64::from(zigzag(signed32()?.into()) as u32)),
        Kind::Sint64 => Scalar::Varint(zigzag(signed64()?)),
        Kind::Fixed32 => Scalar::Fixed32(unsigned32()?),
        Kind::Fixed64 => Scalar::Fixed64(unsigned64()?),
        Kind::Sfixed32 => Scalar::Fixed32(signed32()? as u32),
        Kind::Sfixed64 => Scalar::Fixed64(signed64()? as u64),
        Kind::Enum(id) => {
            let number = signed32()?;
            let enumeration = contract.enumeration(id);
            if enumeration.closed && enumeration.name(number).is_none() {
                return Err(unknown_name(contract, kind, text));
            }
            enum_scalar(number)
        }
        Kind::Double
        | Kind::Float
        | Kind::Bool
        | Kind::String
        | Kind::Bytes
        | Kind::Message(_)
        | Kind::Group(_) => return Err(Fault::caller("a number has no place here")),
    })
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

/// Writes a scalar as JSON.
pub(crate) fn to_json(
    contract: &Contract,
    kind: Kind,
    utf8: bool,
    value: Value<'_>,
    options: &JsonOptions,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let wrong = || Fault::upstream("a field has a wrong wire type");
    match (kind, value) {
        (Kind::Double, Value::Fixed64(bits)) => put_double(f64::from_bits(bits), out),
        (Kind::Float, Value::Fixed32(bits)) => put_float(f32::from_bits(bits), out),
        (Kind::Int32, Value::Varint(value)) => put_int(value as i32, out),
        (Kind::Uint32, Value::Varint(value)) => put_int(value as u32, out),
        (Kind::Sint32, Value::Varint(value)) => {
            put_int(unzigzag(u64::from(value as u32)) as i32, out);
        }
        (Kind::Fixed32, Value::Fixed32(value)) => put_int(value, out),
        (Kind::Sfixed32, Value::Fixed32(value)) => put_int(value as i32, out),
        (Kind::Int64, Value::Varint(value)) => put_long((value as i64).into(), options, out),
        (Kind::Uint64, Value::Varint(value)) => put_long(value.into(), options, out),
        (Kind::Sint64, Value::Varint(value)) => put_long(unzigzag(value).into(), options, out),
        (Kind::Fixed64, Value::Fixed64(value)) => put_long(value.into(), options, out),
        (Kind::Sfixed64, Value::Fixed64(value)) => put_long((value as i64).into(), options, out),
        (Kind::Bool, Value::Varint(value)) => {
            out.extend_from_slice(if value == 0 { b"false" } else { b"true" });
        }
        (Kind::Enum(id), Value::Varint(value)) => {
            let number = value as i32;
            let enumeration = contract.enumeration(id);
            if &*enumeration.full_name == "google.protobuf.NullValue" {
                out.extend_from_slice(b"null");
                return Ok(());
            }
            match enumeration.name(number) {
                Some(name) if !options.enum_numbers => json::put_string(name, out),
                _ => put_int(number, out),
            }
        }
        (Kind::String, Value::Bytes(bytes)) => match std::str::from_utf8(bytes) {
            Ok(text) => json::put_string(text, out),
            Err(_error) if !utf8 => json::put_string(&String::from_utf8_lossy(bytes), out),
            Err(_error) => return Err(Fault::upstream("a string is not UTF-8")),
        },
        (Kind::Bytes, Value::Bytes(bytes)) => {
            out.push(b'"');
            out.extend_from_slice(BASE64_STANDARD.encode(bytes).as_bytes());
            out.push(b'"');
        }
        _ => return Err(wrong()),
    }
    Ok(())
}

/// The value of an unset field of `kind`.
pub(crate) fn default_of(contract: &Contract, kind: Kind) -> Value<'static> {
    match kind {
        Kind::Enum(id) => Value::Varint(i64::from(contract.enumeration(id).default()) as u64),
        kind => match wire::wire_type(kind) {
            1 => Value::Fixed64(0),
            5 => Value::Fixed32(0),
            0 => Value::Varint(0),
            _ => Value::Bytes(b""),
        },
    }
}

fn put_int(value: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn put_long(value: i128, options: &JsonOptions, out: &mut Vec<u8>) {
    const EXACT: i128 = (1 << 53) - 1;
    let bare = options.int64_numbers && (-EXACT..=EXACT).contains(&value);
    if !bare {
        out.push(b'"');
    }
    put_int(value, out);
    if !bare {
        out.push(b'"');
    }
}

pub(crate) fn put_double(value: f64, out: &mut Vec<u8>) {
    if value.is_finite() {
        put_shortest(ryu::Buffer::new().format_finite(value), out);
    } else {
        put_word(value.is_nan(), value > 0.0, out);
    }
}

fn put_float(value: f32, out: &mut Vec<u8>) {
    if value.is_finite() {
        put_shortest(ryu::Buffer::new().format_finite(value), out);
    } else {
        put_word(value.is_nan(), value > 0.0, out);
    }
}

fn put_shortest(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(text.strip_suffix(".0").unwrap_or(text).as_bytes());
}

fn put_word(nan: bool, positive: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(match (nan, positive) {
        (true, _) => b"\"NaN\"",
        (false, true) => b"\"Infinity\"",
        (false, false) => b"\"-Infinity\"",
    });
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
