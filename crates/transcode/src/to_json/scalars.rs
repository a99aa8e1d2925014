//! Scalars on the wire → JSON.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tandem_contract::Kind;

use super::{Halt, Printer, Written};
use crate::fault::Fault;
use crate::json;
use crate::plan::FieldPlan;
use crate::scalar::integer;
use crate::wire::Cursor;

impl<'p> Printer<'p> {
    /// The value of an unset scalar.
    pub(super) fn default(&self, field: &FieldPlan, out: &mut Vec<u8>) {
        match field.kind {
            Kind::Enum(id) => self.put_enum(self.plans.enumeration(id).default(), field.kind, out),
            Kind::String | Kind::Bytes => out.extend_from_slice(b"\"\""),
            Kind::Bool => out.extend_from_slice(b"false"),
            Kind::Double | Kind::Float => out.extend_from_slice(b"0.0"),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => self.put_signed(0, out),
            Kind::Uint64 | Kind::Fixed64 => self.put_unsigned(0, out),
            Kind::Int32 | Kind::Uint32 | Kind::Sint32 | Kind::Fixed32 | Kind::Sfixed32 => {
                out.push(b'0')
            }
            Kind::Message(_) | Kind::Group(_) => out.extend_from_slice(b"{}"),
        }
    }

    /// One scalar, its default included. `Unknown`, with nothing that is to stay in `out`, for a
    /// number outside a closed enum.
    #[inline]
    pub(super) fn scalar(
        &mut self,
        field: &'p FieldPlan,
        cursor: &mut Cursor<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Written, Halt> {
        let is_default = match field.kind {
            Kind::String => {
                let (bytes, length) = cursor.bytes_and_more()?;
                put_text(field, bytes, length, out)?;
                length == 0
            }
            Kind::Int32 | Kind::Uint32 | Kind::Sint32 | Kind::Fixed32 | Kind::Sfixed32 => {
                let value = integer(field.kind, cursor)?;
                out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
                value == 0
            }
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
                let value = integer(field.kind, cursor)?;
                self.put_signed(value, out);
                value == 0
            }
            Kind::Uint64 => {
                let value = cursor.varint()?;
                self.put_unsigned(value, out);
                value == 0
            }
            Kind::Fixed64 => {
                let value = cursor.fixed64()?;
                self.put_unsigned(value, out);
                value == 0
            }
            Kind::Bool => {
                let value = cursor.varint()? != 0;
                out.extend_from_slice(if value { b"true" } else { b"false" });
                !value
            }
            Kind::Double => {
                let bits = cursor.fixed64()?;
                put_float(f64::from_bits(bits), out);
                bits == 0
            }
            Kind::Float => {
                let bits = cursor.fixed32()?;
                put_float(f32::from_bits(bits), out);
                bits == 0
            }
            Kind::Enum(id) => {
                let number = cursor.varint()? as i32;
                if !self.plans.enumeration(id).has(number) {
                    return Ok(Written::Unknown);
                }
                self.put_enum(number, field.kind, out);
                number == 0
            }
            Kind::Bytes => {
                let bytes = cursor.bytes()?;
                put_base64(bytes, out);
                bytes.is_empty()
            }
            Kind::Message(_) | Kind::Group(_) => return Ok(Written::Unknown),
        };
        Ok(if is_default { Written::Default } else { Written::Value })
    }

    #[inline]
    fn put_signed(&self, value: i64, out: &mut Vec<u8>) {
        let bare = self.options.int64_numbers && value.unsigned_abs() <= EXACT_MOST;
        put_long(itoa::Buffer::new().format(value), bare, out);
    }

    #[inline]
    fn put_unsigned(&self, value: u64, out: &mut Vec<u8>) {
        let bare = self.options.int64_numbers && value <= EXACT_MOST;
        put_long(itoa::Buffer::new().format(value), bare, out);
    }

    #[inline]
    fn put_enum(&self, number: i32, kind: Kind, out: &mut Vec<u8>) {
        let Kind::Enum(id) = kind else { return };
        let plan = self.plans.enumeration(id);
        match plan.quoted(number) {
            _ if plan.null_value => out.extend_from_slice(b"null"),
            Some(name) if !self.options.enum_numbers => out.extend_from_slice(name),
            _ => out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes()),
        }
    }
}

/// Integers that a double holds exactly.
const EXACT_MOST: u64 = (1 << 53) - 1;

/// Appends the first `length` of `bytes` as a string.
#[inline]
pub(super) fn put_text(
    field: &FieldPlan,
    bytes: &[u8],
    length: usize,
    out: &mut Vec<u8>,
) -> Result<(), Halt> {
    if json::put_text(bytes, length, out) {
        return Ok(());
    }
    not_text(field, &bytes[..length], out)
}

#[cold]
#[inline(never)]
fn not_text(field: &FieldPlan, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Halt> {
    if field.utf8 {
        return Err(Fault::upstream("a string is not UTF-8").into());
    }
    // Where the contract promises nothing, what is no text is shown as such.
    json::put_string(&String::from_utf8_lossy(bytes), out);
    Ok(())
}

pub(super) fn put_base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let written = BASE64_STANDARD.encode_slice(bytes, &mut out[start..]);
    out.truncate(start + written.expect("four letters for three bytes"));
    out.push(b'"');
}

#[inline]
fn put_long(digits: &str, bare: bool, out: &mut Vec<u8>) {
    if bare {
        out.extend_from_slice(digits.as_bytes());
    } else {
        out.push(b'"');
        out.extend_from_slice(digits.as_bytes());
        out.push(b'"');
    }
}

/// The shortest text that reads back as the value, always with a point or an exponent, so that a
/// reader without types sees a float.
fn put_float<F: zmij::Float + Into<f64> + Copy>(value: F, out: &mut Vec<u8>) {
    let wide: f64 = value.into();
    if wide.is_finite() {
        out.extend_from_slice(zmij::Buffer::new().format_finite(value).as_bytes());
        return;
    }
    out.extend_from_slice(match (wide.is_nan(), wide > 0.0) {
        (true, _) => b"\"NaN\"",
        (false, true) => b"\"Infinity\"",
        (false, false) => b"\"-Infinity\"",
    });
}
