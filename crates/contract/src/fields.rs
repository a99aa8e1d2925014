//! Messages small and fixed enough to be read without a descriptor, field by field.
//!
//! The `google.api.http` option, server reflection and health are such. Bytes are
//! borrowed, nothing recurses, and every step consumes input.
//!
//! Not here: messages of a contract (`tandem-transcode`).
//!
//! Source of the wire format: Protocol Buffers, "Encoding".

/// One field of a message as it stands on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// 1 and above.
    pub number: u32,
    /// The contents of a length-delimited field; empty for numbers.
    pub bytes: &'a [u8],
    /// The value of a varint, the bits of a fixed field; 0 for others.
    pub value: u64,
}

const CUT_SHORT: &str = "a field is cut short or of an unknown wire type";

/// The fields of `message` in wire order; ends after the first error.
pub fn each(message: &[u8]) -> impl Iterator<Item = Result<Field<'_>, &'static str>> {
    let mut rest = message;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let read = next(&mut rest);
        if read.is_none() {
            rest = &[];
        }
        Some(read.ok_or(CUT_SHORT))
    })
}

/// The numbers of a packed list; ends before the first that is cut short.
pub fn varints(packed: &[u8]) -> impl Iterator<Item = u64> {
    let mut rest = packed;
    std::iter::from_fn(move || take_varint(&mut rest))
}

/// `message` without its fields `number`, all others as they stand.
///
/// # Errors
/// When the bytes are no message.
pub fn without(number: u32, message: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut kept = Vec::with_capacity(message.len());
    let mut rest = message;
    while !rest.is_empty() {
        let before = rest;
        let field = next(&mut rest).ok_or(CUT_SHORT)?;
        if field.number != number {
            kept.extend_from_slice(&before[..before.len() - rest.len()]);
        }
    }
    Ok(kept)
}

/// The first field `number` as text.
pub fn first_text(message: &[u8], number: u32) -> Option<String> {
    each(message)
        .map_while(Result::ok)
        .find(|field| field.number == number)
        .and_then(|field| String::from_utf8(field.bytes.to_vec()).ok())
}

/// Appends a length-delimited field.
pub fn put_bytes(number: u32, bytes: &[u8], out: &mut Vec<u8>) {
    put_varint(u64::from(number) << 3 | 2, out);
    put_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// Appends a varint field.
pub fn put_number(number: u32, value: u64, out: &mut Vec<u8>) {
    put_varint(u64::from(number) << 3, out);
    put_varint(value, out);
}

/// Appends a varint alone: an element of a packed list, a tag.
pub fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn next<'a>(rest: &mut &'a [u8]) -> Option<Field<'a>> {
    let tag = take_varint(rest)?;
    let number = u32::try_from(tag >> 3).ok().filter(|number| *number > 0)?;
    let mut field = Field { number, bytes: &[], value: 0 };
    match tag & 7 {
        0 => field.value = take_varint(rest)?,
        1 => field.value = u64::from_le_bytes(take(rest, 8)?.try_into().ok()?),
        2 => {
            let length = usize::try_from(take_varint(rest)?).ok()?;
            field.bytes = take(rest, length)?;
        }
        5 => field.value = u32::from_le_bytes(take(rest, 4)?.try_into().ok()?).into(),
        _ => return None,
    }
    Some(field)
}

/// Takes `length` bytes off the front of `rest`; `None` where there are fewer.
pub fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

/// Takes a varint off the front of `rest`; `None` where it is cut short or longer than ten bytes.
/// Of the tenth byte what does not fit 64 bits is lost, as everywhere.
pub fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for (place, byte) in rest.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            *rest = &rest[place + 1..];
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let mut message = Vec::new();
        put_bytes(7, b"*", &mut message);
        put_number(2, 300, &mut message);
        let read: Vec<_> = each(&message).map(Result::unwrap).collect();
        assert_eq!(
            read,
            [
                Field { number: 7, bytes: b"*", value: 0 },
                Field { number: 2, bytes: b"", value: 300 }
            ]
        );
    }

    #[test]
    fn a_fixed_field_gives_its_bits() {
        let mut message = vec![1 << 3 | 1];
        message.extend_from_slice(&0.5_f64.to_le_bytes());
        message.push(2 << 3 | 5);
        message.extend_from_slice(&(-1_i32).to_le_bytes());
        let read: Vec<u64> = each(&message).map(|field| field.unwrap().value).collect();
        assert_eq!(read, [0.5_f64.to_bits(), 0xffff_ffff]);
    }

    #[test]
    fn a_field_left_out_leaves_the_others_as_they_were() {
        let mut message = Vec::new();
        put_number(2, 300, &mut message);
        put_bytes(9, b"positions", &mut message);
        put_bytes(1, b"name", &mut message);
        put_bytes(9, b"more", &mut message);
        let mut expected = Vec::new();
        put_number(2, 300, &mut expected);
        put_bytes(1, b"name", &mut expected);
        assert_eq!(without(9, &message), Ok(expected));
        assert!(without(9, &message[..message.len() - 1]).is_err());
    }

    #[test]
    fn a_field_cut_short_is_an_error_and_the_last_item() {
        for message in [&b"\x0a\x05abc"[..], b"\x08", b"\x0b", b"\x00\x00", &[0xff; 11]] {
            let read: Vec<_> = each(message).collect();
            assert_eq!(read.len(), 1, "{message:?}");
            assert!(read[0].is_err(), "{message:?}");
        }
    }
}
