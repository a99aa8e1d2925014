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

/// A place in a message. Whatever is read ends inside it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'w> {
    bytes: &'w [u8],
    at: usize,
}

impl<'w> Cursor<'w> {
    #[inline]
    pub(crate) fn new(bytes: &'w [u8]) -> Cursor<'w> {
        Cursor { bytes, at: 0 }
    }

    #[inline]
    pub(crate) fn at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    #[inline]
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// What is left.
    #[inline]
    pub(crate) fn rest(&self) -> &'w [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Takes bytes that the caller has seen at the front of [`Cursor::rest`].
    #[inline]
    pub(crate) fn advance(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// A tag whose number is 1 or above.
    #[inline]
    pub(crate) fn tag(&mut self) -> Result<u32, Broken> {
        match self.bytes.get(self.at) {
            Some(byte) if (8..0x80).contains(byte) => {
                self.at += 1;
                Ok(u32::from(*byte))
            }
            _ => {
                let tag = u32::try_from(self.varint()?).map_err(|_error| Broken)?;
                if tag >> 3 == 0 { Err(Broken) } else { Ok(tag) }
            }
        }
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, Broken> {
        match self.bytes.get(self.at) {
            Some(byte) if *byte < 0x80 => {
                self.at += 1;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    #[inline]
    fn long_varint(&mut self) -> Result<u64, Broken> {
        if let Some(chunk) = self.rest().first_chunk::<8>() {
            let word = u64::from_le_bytes(*chunk);
            let ends = !word & HIGHS;
            if ends != 0 {
                // Up to the end's high bit, its own byte included.
                let bits = ends.trailing_zeros();
                self.at += bits as usize / 8 + 1;
                return Ok(gather(word & (u64::MAX >> (63 - bits))));
            }
        }
        self.longest_varint()
    }

    #[inline(never)]
    fn longest_varint(&mut self) -> Result<u64, Broken> {
        let mut rest = self.rest();
        let before = rest.len();
        let value = varint(&mut rest).ok_or(Broken)?;
        self.at += before - rest.len();
        Ok(value)
    }

    #[inline]
    pub(crate) fn fixed64(&mut self) -> Result<u64, Broken> {
        let bytes = self.rest().first_chunk().ok_or(Broken)?;
        self.at += 8;
        Ok(u64::from_le_bytes(*bytes))
    }

    #[inline]
    pub(crate) fn fixed32(&mut self) -> Result<u32, Broken> {
        let bytes = self.rest().first_chunk().ok_or(Broken)?;
        self.at += 4;
        Ok(u32::from_le_bytes(*bytes))
    }

    /// What stands behind a length.
    #[inline]
    pub(crate) fn bytes(&mut self) -> Result<&'w [u8], Broken> {
        let length = usize::try_from(self.varint()?).map_err(|_error| Broken)?;
        let bytes = self.rest().get(..length).ok_or(Broken)?;
        self.at += length;
        Ok(bytes)
    }

    /// As [`Cursor::bytes`], with all that stands behind them in the message, and their length.
    #[inline]
    pub(crate) fn bytes_and_more(&mut self) -> Result<(&'w [u8], usize), Broken> {
        let length = usize::try_from(self.varint()?).map_err(|_error| Broken)?;
        let more = self.rest();
        if length > more.len() {
            return Err(Broken);
        }
        self.at += length;
        Ok((more, length))
    }

    /// The contents of the group that `number` has opened; its end is taken.
    pub(crate) fn group(&mut self, number: u32, depth_max: u32) -> Result<&'w [u8], Broken> {
        let mut rest = self.rest();
        let before = rest.len();
        let contents = group(&mut rest, number, depth_max).ok_or(Broken)?;
        self.at += before - rest.len();
        Ok(contents)
    }

    /// Passes by the value behind `tag`.
    pub(crate) fn skip(&mut self, tag: u32, depth_max: u32) -> Result<(), Broken> {
        match tag & 7 {
            0 => self.varint().map(drop),
            1 => self.fixed64().map(drop),
            2 => self.bytes().map(drop),
            3 => self.group(tag >> 3, depth_max).map(drop),
            5 => self.fixed32().map(drop),
            _ => Err(Broken),
        }
    }
}

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

/// A varint and its length, 1 to 10.
#[inline]
pub(crate) fn varint_bytes(mut value: u64) -> ([u8; 10], usize) {
    let mut bytes = [0; 10];
    let mut length = 0;
    while value >= 0x80 {
        bytes[length] = value as u8 | 0x80;
        length += 1;
        value >>= 7;
    }
    bytes[length] = value as u8;
    (bytes, length + 1)
}

#[inline]
pub(crate) fn put_varint(value: u64, out: &mut Vec<u8>) {
    if value < 0x80 {
        return out.push(value as u8);
    }
    if value < 1 << 56 {
        // Eight bytes are copied and cut: one copy of fixed size, and no step a byte.
        let length = (63 - value.leading_zeros() as usize) / 7 + 1;
        let more = HIGHS & ((1 << (8 * (length - 1))) - 1);
        let end = out.len() + length;
        out.extend_from_slice(&(spread(value) | more).to_le_bytes());
        return out.truncate(end);
    }
    put_long_varint(value, out);
}

const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Each seven bits of the lower 56 in a byte of their own.
#[inline]
fn spread(value: u64) -> u64 {
    let fours = (value & 0x0fff_ffff) | (value & 0x00ff_ffff_f000_0000) << 4;
    let pairs = (fours & 0x0000_3fff_0000_3fff) | (fours & 0x0fff_c000_0fff_c000) << 2;
    (pairs & 0x007f_007f_007f_007f) | (pairs & 0x3f80_3f80_3f80_3f80) << 1
}

/// The other way: the lower seven bits of each byte, side by side.
#[inline]
fn gather(word: u64) -> u64 {
    let pairs = (word & 0x007f_007f_007f_007f) | (word & 0x7f00_7f00_7f00_7f00) >> 1;
    let fours = (pairs & 0x0000_3fff_0000_3fff) | (pairs & 0x3fff_0000_3fff_0000) >> 2;
    (fours & 0x0fff_ffff) | (fours & 0x0fff_ffff_0000_0000) >> 4
}

#[cold]
#[inline(never)]
fn put_long_varint(value: u64, out: &mut Vec<u8>) {
    let (bytes, length) = varint_bytes(value);
    out.extend_from_slice(&bytes[..length]);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_of_every_width_are_written_and_read_as_byte_by_byte() {
        let near = (0..64).flat_map(|bit| {
            let power = 1_u64 << bit;
            [power - 1, power, power + 1, power | 0x5555_5555_5555_5555 & (power - 1), !power]
        });
        for value in near.chain([u64::MAX]) {
            let (bytes, length) = varint_bytes(value);
            let mut out = vec![7];
            put_varint(value, &mut out);
            assert_eq!(out[1..], bytes[..length], "{value}");
            // With nothing, little and much behind it.
            for behind in [0, 1, 9] {
                let mut wire = out[1..].to_vec();
                wire.extend(std::iter::repeat_n(0xff, behind));
                let mut cursor = Cursor::new(&wire);
                assert_eq!(cursor.varint(), Ok(value), "{value} before {behind}");
                assert_eq!(cursor.position(), length);
            }
        }
        for wrong in
            [&[0x80][..], &[0xff; 9], &[0xff; 12], b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"]
        {
            assert_eq!(Cursor::new(wrong).varint(), Err(Broken), "{wrong:?}");
        }
        // Wider than it need be is lawful.
        assert_eq!(Cursor::new(&[0x81, 0x80, 0x80, 0, 9, 9, 9, 9, 9]).varint(), Ok(1));
    }
}
