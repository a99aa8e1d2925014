//! Whether the default of a field changed (`FIELD_SAME_DEFAULT`).
//!
//! Defaults are compared as values: a number stays itself when its type grows, a float that became
//! a double is compared as a float. Where no default is written it is the kind's zero, of an enum
//! its first value.
//!
//! Not here: whether the type may change at all (`types`).

use crate::types::{Cardinality, Contract, Field, Kind};

#[derive(Debug, Clone, PartialEq)]
enum Value {
    Integer(i128),
    Float(f32),
    Double(f64),
    Text(Vec<u8>),
}

/// What the default was and is, in words, when the two differ.
pub(super) fn changed(
    (old_contract, before): (&Contract, &Field),
    (contract, now): (&Contract, &Field),
) -> Option<(String, String)> {
    let was = value(old_contract, before)?;
    let is = value(contract, now)?;
    if (is_zero(&was) && is_zero(&is)) || same(&was, &is) {
        return None;
    }
    Some((shown(before, &was), shown(now, &is)))
}

fn shown(field: &Field, value: &Value) -> String {
    match (&field.default, value) {
        (Some(given), _) => format!("`{given}`"),
        (None, Value::Integer(number)) => number.to_string(),
        (None, _) => "nothing".into(),
    }
}

/// `None` for fields that cannot have a default: lists, maps, messages.
fn value(contract: &Contract, field: &Field) -> Option<Value> {
    if field.cardinality != Cardinality::Singular || field.kind.message().is_some() {
        return None;
    }
    let given = field.default.as_deref();
    Some(match field.kind {
        Kind::String => Value::Text(given.unwrap_or("").as_bytes().to_vec()),
        Kind::Bytes => Value::Text(unescaped(given.unwrap_or(""))),
        Kind::Float => Value::Float(given.and_then(|text| text.parse().ok()).unwrap_or(0.0)),
        Kind::Double => Value::Double(given.and_then(|text| text.parse().ok()).unwrap_or(0.0)),
        Kind::Bool => Value::Integer((given == Some("true")).into()),
        Kind::Enum(id) => {
            let enumeration = contract.enumeration(id);
            let number = given.and_then(|name| enumeration.number(name));
            Value::Integer(number.unwrap_or_else(|| enumeration.default()).into())
        }
        _ => Value::Integer(given.and_then(|text| text.parse().ok()).unwrap_or(0)),
    })
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Integer(number) => *number == 0,
        Value::Float(number) => number.to_bits() == 0,
        Value::Double(number) => number.to_bits() == 0,
        Value::Text(text) => text.is_empty(),
    }
}

fn same(one: &Value, other: &Value) -> bool {
    use Value::{Double, Float, Integer, Text};
    match (one, other) {
        (Text(one), Text(other)) => one == other,
        (Integer(one), Integer(other)) => one == other,
        (Integer(whole), Float(number)) | (Float(number), Integer(whole)) => {
            is_whole(f64::from(*number), *whole)
        }
        (Integer(whole), Double(number)) | (Double(number), Integer(whole)) => {
            is_whole(*number, *whole)
        }
        (Float(one), Float(other)) => equal(f64::from(*one), f64::from(*other)),
        (Double(one), Double(other)) => equal(*one, *other),
        (Float(float), Double(double)) | (Double(double), Float(float)) => {
            equal(f64::from(*float), f64::from(*double as f32))
        }
        (Text(_), _) | (_, Text(_)) => false,
    }
}

/// As numbers are equal, and NaN is NaN.
fn equal(one: f64, other: f64) -> bool {
    one.is_nan() && other.is_nan() || one.partial_cmp(&other).is_some_and(|order| order.is_eq())
}

/// Exactly: a double beyond 2^53 is still one integer.
fn is_whole(number: f64, whole: i128) -> bool {
    number.abs() < 1e30 && equal(number.trunc(), number) && number as i128 == whole
}

/// Bytes as descriptors write them: escaped as in C.
fn unescaped(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        if *byte != b'\\' {
            out.push(*byte);
            continue;
        }
        let Some((escape, tail)) = rest.split_first() else { break };
        rest = tail;
        let (most, base) = match escape {
            b'x' | b'X' => (2, 16),
            b'0'..=b'7' => {
                // The first digit belongs to the number.
                rest = &text.as_bytes()[text.len() - rest.len() - 1..];
                (3, 8)
            }
            other => {
                out.push(match other {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'a' => 7,
                    b'b' => 8,
                    b'f' => 12,
                    b'v' => 11,
                    other => *other,
                });
                continue;
            }
        };
        let mut value = 0_u32;
        for _ in 0..most {
            let Some(digit) = rest.first().and_then(|byte| char::from(*byte).to_digit(base)) else {
                break;
            };
            value = value * base + digit;
            rest = &rest[1..];
        }
        out.push(value as u8);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_compared_as_they_are_meant() {
        for (text, expected) in [
            ("abc", &b"abc"[..]),
            (r"\001\377", &[1, 255]),
            (r"\x41\xfF", b"A\xff"),
            (r"\1234", &[0o123, b'4']),
            (r#"\"\\\n"#, b"\"\\\n"),
            (r"\", b""),
            ("ä", "ä".as_bytes()),
        ] {
            assert_eq!(unescaped(text), expected, "{text}");
        }
    }

    #[test]
    fn numbers_are_compared_as_values() {
        use Value::{Double, Float, Integer};
        for (one, other, expected) in [
            (Integer(1), Double(1.0), true),
            (Integer(1), Double(1.5), false),
            (Integer(i128::from(u64::MAX)), Double(18_446_744_073_709_551_615.0), false),
            (Float(0.1), Double(0.1), true),
            (Double(f64::NAN), Float(f32::NAN), true),
            (Double(f64::NAN), Integer(0), false),
            (Double(f64::INFINITY), Integer(0), false),
        ] {
            assert_eq!(same(&one, &other), expected, "{one:?} {other:?}");
            assert_eq!(same(&other, &one), expected, "{other:?} {one:?}");
        }
    }
}
