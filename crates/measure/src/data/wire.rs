//! Values onto the wire.
//!
//! Source: Protocol Buffers, "Encoding".

use tandem_contract::Kind;
use tandem_contract::fields::{put_bytes, put_varint};

use super::make::Scalar;

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const FIXED32: u64 = 5;

pub(super) fn message(number: u32, contents: &[u8], out: &mut Vec<u8>) {
    put_bytes(number, contents, out);
}

/// One field with its tag.
pub(super) fn field(number: u32, kind: Kind, value: &Scalar, out: &mut Vec<u8>) {
    let wire_type = match (kind, value) {
        (_, Scalar::Text(text)) => return put_bytes(number, text.as_bytes(), out),
        (_, Scalar::Bytes(bytes)) => return put_bytes(number, bytes, out),
        (Kind::Double | Kind::Fixed64 | Kind::Sfixed64, _) => FIXED64,
        (Kind::Float | Kind::Fixed32 | Kind::Sfixed32, _) => FIXED32,
        _ => VARINT,
    };
    put_varint(u64::from(number) << 3 | wire_type, out);
    plain(kind, value, out);
}

/// All elements of a packed list.
pub(super) fn packed(number: u32, kind: Kind, values: &[Scalar], out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    let mut contents = Vec::new();
    values.iter().for_each(|value| plain(kind, value, &mut contents));
    put_bytes(number, &contents, out);
}

fn plain(kind: Kind, value: &Scalar, out: &mut Vec<u8>) {
    let integer = match value {
        Scalar::Integer(value) => *value,
        Scalar::Float(value) => *value as i128,
        Scalar::Text(_) | Scalar::Bytes(_) => 0,
    };
    let float = match value {
        Scalar::Float(value) => *value,
        _ => integer as f64,
    };
    match kind {
        Kind::Double => out.extend_from_slice(&float.to_le_bytes()),
        Kind::Float => out.extend_from_slice(&(float as f32).to_le_bytes()),
        Kind::Fixed64 | Kind::Sfixed64 => out.extend_from_slice(&(integer as u64).to_le_bytes()),
        Kind::Fixed32 | Kind::Sfixed32 => out.extend_from_slice(&(integer as u32).to_le_bytes()),
        Kind::Sint32 | Kind::Sint64 => {
            let value = integer as i64;
            put_varint(((value << 1) ^ (value >> 63)) as u64, out);
        }
        Kind::Uint32 => put_varint(u64::from(integer as u32), out),
        // Negative numbers of 32 bits have ten bytes on the wire, as those of 64.
        Kind::Int32 | Kind::Enum(_) => put_varint(i64::from(integer as i32) as u64, out),
        Kind::Int64 | Kind::Uint64 => put_varint(integer as u64, out),
        Kind::Bool => put_varint(u64::from(integer != 0), out),
        Kind::String | Kind::Bytes | Kind::Message(_) | Kind::Group(_) => {}
    }
}
