//! Request ids and trace contexts: what ties the hops of one call together.
//!
//! Sources: W3C Trace Context, level 1, section 3.2; experience UX-35.

use std::fmt;

/// Characters of a request id that is kept.
const REQUEST_ID_CHARS_MOST: usize = 128;

/// Whether a caller's request id may be kept: 1 to 128 of `[A-Za-z0-9._-]`.
pub fn request_id_is_usable(text: &str) -> bool {
    (1..=REQUEST_ID_CHARS_MOST).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// A request id made of random bytes: 32 hex digits.
pub fn make_request_id(random: [u8; 16]) -> String {
    hex(&random)
}

/// A `traceparent` of version 00.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    /// Not all zero.
    pub trace: [u8; 16],
    /// The span that the call came from; not all zero.
    pub parent: [u8; 8],
    pub flags: u8,
}

impl TraceParent {
    /// Reads the header; `None` for anything that must be treated as absent. Versions above 00
    /// are read by their first four parts, as the specification asks.
    pub fn parse(text: &str) -> Option<TraceParent> {
        let bytes = text.as_bytes();
        let longer = bytes.len() > 55;
        if bytes.len() < 55 || bytes[2] != b'-' || bytes[35] != b'-' || bytes[52] != b'-' {
            return None;
        }
        let [version] = unhex::<1>(&bytes[..2])?;
        if version == 0xff || (version == 0 && longer) || (longer && bytes[55] != b'-') {
            return None;
        }
        let trace = unhex::<16>(&bytes[3..35])?;
        let parent = unhex::<8>(&bytes[36..52])?;
        let [flags] = unhex::<1>(&bytes[53..55])?;
        let zero = trace == [0; 16] || parent == [0; 8];
        (!zero).then_some(TraceParent { trace, parent, flags })
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TraceParent { trace, parent, flags } = self;
        write!(formatter, "00-{}-{}-{flags:02x}", hex(trace), hex(parent))
    }
}

/// Lower-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| DIGITS[digit as usize] as char)
        .collect()
}

/// Reads exactly `N` bytes of lower-case hex digits.
pub fn unhex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    if digits.len() != 2 * N {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_trace_context_is_read_and_written_alike() {
        assert_eq!(TraceParent::parse(GOOD).unwrap().to_string(), GOOD);
        let newer = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-else";
        assert_eq!(TraceParent::parse(newer).unwrap().to_string(), GOOD);
    }

    #[test]
    fn a_trace_context_that_is_none_counts_as_absent() {
        for text in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
            "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceParent::parse(text), None, "{text}");
        }
    }

    #[test]
    fn experience_ux_35_request_ids_have_a_closed_alphabet_and_a_length() {
        assert!(request_id_is_usable("a"));
        assert!(request_id_is_usable(&"x".repeat(128)));
        assert!(request_id_is_usable("A-z_0.9"));
        for text in ["", &"x".repeat(129), "a b", "a\n", "ä", "a/b"] {
            assert!(!request_id_is_usable(text), "{text}");
        }
    }
}
