//! Protobuf bytes, field by field.
//!
//! A length prefix reserves nothing; what it promises must be there. Groups are measured without
//! recursion.
//!
//! Source: Protocol Buffers, "Encoding".

use tandem_contract::Kind;

/// The value of one field on the wire.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
    /// What stands between the group's tags.
    Group(&'a [u8]),
}

/// The bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broken;

/// Reads the fields of `message` in order; ends after the first error.
pub(crate) fn each(
    message: &[u8],
    depth_max: u32,
) -> impl Iterator<Item = Result<(u32, Value<'_>), Broken>> {
    let mut rest = message;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let field = next(&mut rest, depth_max);
        if field.is_none() {
            rest = &[];
        }
        Some(field.ok_or(Broken))
    })
}

fn next<'a>(rest: &mut &'a [u8], depth_max: u32) -> Option<(u32, Value<'a>)> {
    let (number, wire_type) = tag(rest)?;
    let value = match wire_type {
        3 => Value::Group(group(rest, number, depth_max)?),
        wire_type => plain(rest, wire_type)?,
    };
    Some((number, value))
}

fn tag(rest: &mut &[u8]) -> Option<(u32, u8)> {
    let tag = u32::try_from(varint(rest)?).ok()?;
    let number = tag >> 3;
    (number > 0).then_some((number, (tag & 7) as u8))
}

fn plain<'a>(rest: &mut &'a [u8], wire_type: u8) -> Option<Value<'a>> {
    Some(match wire_type {
        0 => Value::Varint(varint(rest)?),
        1 => Value::Fixed64(u64::from_le_bytes(take(rest, 8)?.try_into().ok()?)),
        2 => {
            let length = usize::try_from(varint(rest)?).ok()?;
            Value::Bytes(take(rest, length)?)
        }
        5 => Value::Fixed32(u32::from_le_bytes(take(rest, 4)?.try_into().ok()?)),
        _ => return None,
    })
}

/// The contents of the group `number`, up to its end tag, which is taken too.
fn group<'a>(rest: &mut &'a [u8], number: u32, depth_max: u32) -> Option<&'a [u8]> {
    let start = *rest;
    let mut open = vec![number];
    loop {
        let before = rest.len();
        let (number, wire_type) = tag(rest)?;
        match wire_type {
            3 if open.len() as u32 >= depth_max => return None,
            3 => open.push(number),
            4 if open.pop() != Some(number) => return None,
            4 if open.is_empty() => return Some(&start[..start.len() - before]),
            4 => {}
            wire_type => drop(plain(rest, wire_type)?),
        }
    }
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

pub(crate) fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for (place, byte) in rest.iter().enumerate().take(10) {
        // The tenth byte holds one bit; more would not fit.
        if place == 9 && *byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            *rest = &rest[place + 1..];
            return Some(value);
        }
    }
    None
}

/// Splits packed values; `None` when they do not come out even.
pub(crate) fn packed(kind: Kind, mut bytes: &[u8]) -> Option<Vec<Value<'_>>> {
    let mut values = Vec::new();
    while !bytes.is_empty() {
        values.push(plain(&mut bytes, wire_type(kind))?);
    }
    Some(values)
}

/// The wire type in which a value of `kind` stands unpacked.
pub(crate) fn wire_type(kind: Kind) -> u8 {
    match kind {
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => 1,
        Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => 5,
        Kind::String | Kind::Bytes | Kind::Message(_) => 2,
        Kind::Group(_) => 3,
        Kind::Int32
        | Kind::Int64
        | Kind::Uint32
        | Kind::Uint64
        | Kind::Sint32
        | Kind::Sint64
        | Kind::Bool
        | Kind::Enum(_) => 0,
    }
}

pub(crate) fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn put_tag(number: u32, wire_type: u8, out: &mut Vec<u8>) {
    put_varint(u64::from(number) << 3 | u64::from(wire_type), out);
}

pub(crate) fn put_bytes(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    put_tag(number, 2, out);
    put_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Appends a message field: length-delimited, or between group tags.
pub(crate) fn put_message(number: u32, kind: Kind, message: &[u8], out: &mut Vec<u8>) {
    if matches!(kind, Kind::Group(_)) {
        put_tag(number, 3, out);
        out.extend_from_slice(message);
        put_tag(number, 4, out);
    } else {
        put_bytes(number, message, out);
    }
}
