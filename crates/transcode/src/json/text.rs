//! Strings of JSON: where a run of plain bytes ends, and how text is written.

/// Where the run of plain bytes that begins at `from` ends: at a quote, a backslash, a control
/// character or the end. Eight bytes a step, by the zero-byte test of Mycroft (1987): a byte is
/// found when subtracting from it borrows; only the lowest find is exact, and only it is used.
#[inline]
pub(super) fn plain_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let found = special(u64::from_le_bytes(*chunk));
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(byte) = bytes.get(at)
        && !matches!(byte, b'"' | b'\\' | 0..0x20)
    {
        at += 1;
    }
    at
}

pub(super) const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The high bit of the lowest byte that is a quote, a backslash or a control character.
#[inline]
fn special(word: u64) -> u64 {
    let quote = word ^ (ONES * b'"' as u64);
    let slash = word ^ (ONES * b'\\' as u64);
    let below = word.wrapping_sub(ONES * 0x20) & !word;
    ((quote.wrapping_sub(ONES) & !quote) | (slash.wrapping_sub(ONES) & !slash) | below) & HIGHS
}

/// Appends `text` as a JSON string.
pub(crate) fn put_string(text: &str, out: &mut Vec<u8>) {
    put_escaped(text.as_bytes(), out);
}

/// Appends bytes that are UTF-8 as a JSON string.
fn put_escaped(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    let mut from = 0;
    let mut at = plain_end(bytes, 0);
    while at < bytes.len() {
        out.extend_from_slice(&bytes[from..at]);
        put_escape(bytes[at], out);
        from = at + 1;
        at = plain_end(bytes, from);
    }
    out.extend_from_slice(&bytes[from..]);
    out.push(b'"');
}

#[cold]
fn put_escape(byte: u8, out: &mut Vec<u8>) {
    let letter = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        byte => {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[HEX[(byte >> 4) as usize], HEX[(byte & 15) as usize]]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', letter]);
}

/// Appends the first `length` of `bytes`, the bytes of a string on the wire, as a JSON string;
/// `false` when they are no UTF-8. What stands behind them in `bytes` is not read.
#[inline]
pub(crate) fn put_text(bytes: &[u8], length: usize, out: &mut Vec<u8>) -> bool {
    let text = &bytes[..length];
    // A short run of plain ASCII, which most strings are, is found in one look.
    if is_plain(text) {
        out.push(b'"');
        put_front(bytes, length, out);
        out.push(b'"');
        return true;
    }
    put_other_text(text, out)
}

#[inline(never)]
fn put_other_text(text: &[u8], out: &mut Vec<u8>) -> bool {
    let valid = if text.len() < 32 {
        std::str::from_utf8(text).is_ok()
    } else {
        simdutf8::basic::from_utf8(text).is_ok()
    };
    if valid {
        put_escaped(text, out);
    }
    valid
}

/// Whether the bytes are ASCII without anything to escape.
#[inline]
fn is_plain(text: &[u8]) -> bool {
    let odd = |chunk: &[u8; 8]| {
        let word = u64::from_le_bytes(*chunk);
        special(word) | (word & HIGHS)
    };
    match text.last_chunk::<8>() {
        // The last word overlaps the one before it.
        Some(last) => text.as_chunks::<8>().0.iter().chain([last]).all(|chunk| odd(chunk) == 0),
        None => text.iter().all(|byte| matches!(byte, 0x20..0x80) && !matches!(byte, b'"' | b'\\')),
    }
}

/// Appends the first `length` of `bytes`. Where more bytes stand behind them, a copy of fixed
/// size that is cut afterwards spares the call that a copy of any size is: 16 bytes cover most
/// names and texts.
#[inline]
pub(crate) fn put_front(bytes: &[u8], length: usize, out: &mut Vec<u8>) {
    match bytes.first_chunk::<16>() {
        Some(chunk) if length <= 16 => {
            let end = out.len() + length;
            out.extend_from_slice(chunk);
            out.truncate(end);
        }
        _ => out.extend_from_slice(&bytes[..length]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_run_ends_where_a_byte_by_byte_reader_says() {
        let slow = |bytes: &[u8], from: usize| {
            from + bytes[from..]
                .iter()
                .take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20))
                .count()
        };
        // Every byte at every place of a word, among bytes that borrow from their neighbours.
        for byte in 0..=255_u8 {
            for place in 0..20 {
                for filler in [b'a', 0x21, 0x23, 0x5b, 0x5d, 0x20, 0x7f, 0x80, 0xff] {
                    let mut bytes = [filler; 20];
                    bytes[place] = byte;
                    for from in 0..3 {
                        assert_eq!(plain_end(&bytes, from), slow(&bytes, from), "{bytes:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn text_of_the_wire_is_checked_and_escaped_at_every_length() {
        for length in 0..80 {
            for bad in 0..=length {
                let mut text = "é".repeat(length);
                text.insert(bad * 2, '"');
                let mut out = Vec::new();
                assert!(put_text(text.as_bytes(), text.len(), &mut out));
                assert_eq!(out, serde_json::to_vec(&text).unwrap());
                let mut bytes = vec![b'a'; length];
                bytes.insert(bad, 0xff);
                assert!(!put_text(&bytes, bytes.len(), &mut Vec::new()), "{bytes:?}");
                // What stands behind the text does not count.
                let mut out = Vec::new();
                assert!(put_text(&bytes, bad, &mut out));
                assert_eq!(out, format!("\"{}\"", "a".repeat(bad)).into_bytes());
            }
        }
    }
}
