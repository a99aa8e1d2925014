//! The path of a request, decoded once.
//!
//! Every rule on paths is judged here and nowhere later: what leaves is a list of decoded
//! segments, and nobody reads the raw text again (security N-1).
//!
//! Source: RFC 3986, section 2.1 and 3.3; the choices are protocols P-4, P-5, P-6 and P-10.

use std::fmt;

/// Why a path is refused with 400 before anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathFault {
    /// It does not begin with `/`.
    NoSlash,
    /// `//` in the middle.
    EmptySegment,
    /// `.` or `..`, written in any way.
    DotSegment,
    /// A byte below 0x20, or 0x7F, after decoding.
    ControlByte,
    /// `%` without two hex digits.
    BadEscape,
    /// The decoded bytes are no UTF-8.
    NotUtf8,
    /// `%2F`: a slash that is none.
    EncodedSlash,
    /// `\` or `%5C`.
    Backslash,
}

impl fmt::Display for PathFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            PathFault::NoSlash => "the path does not begin with a slash",
            PathFault::EmptySegment => "the path has an empty segment",
            PathFault::DotSegment => "the path has a segment `.` or `..`",
            PathFault::ControlByte => "the path has a control character",
            PathFault::BadEscape => "the path has a `%` without two hex digits behind it",
            PathFault::NotUtf8 => "the path is not UTF-8",
            PathFault::EncodedSlash => "the path has an encoded slash",
            PathFault::Backslash => "the path has a backslash",
        })
    }
}

impl std::error::Error for PathFault {}

/// A path that passed every rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segments {
    /// Decoded; the last one without its verb where `verb` is set.
    pub(crate) plain: Vec<String>,
    /// The last segment split at its last `:` that was not written as `%3A`, each part decoded.
    pub(crate) split: Option<(String, String)>,
    /// The path ends with `/` (protocols P-10).
    pub(crate) trailing_slash: bool,
}

impl Segments {
    /// The decoded segments, the last one with its verb.
    pub fn decoded(&self) -> impl Iterator<Item = &str> {
        self.plain.iter().map(String::as_str)
    }

    /// Splits and decodes a raw path, without its query.
    ///
    /// # Errors
    /// The first fault from the left.
    pub fn of(raw: &str) -> Result<Segments, PathFault> {
        let rest = raw.strip_prefix('/').ok_or(PathFault::NoSlash)?;
        let mut segments = Segments { plain: Vec::new(), split: None, trailing_slash: false };
        if rest.is_empty() {
            return Ok(segments);
        }
        let mut parts = rest.split('/').peekable();
        while let Some(part) = parts.next() {
            let last = parts.peek().is_none();
            if part.is_empty() {
                if !last {
                    return Err(PathFault::EmptySegment);
                }
                segments.trailing_slash = true;
                continue;
            }
            segments.plain.push(decode_segment(part)?);
            if last && let Some((before, verb)) = part.rsplit_once(':') {
                // Both halves are parts of a text that has just passed, so neither fails but as
                // a dot segment, which then is no verb's place either.
                if let (Ok(before), Ok(verb)) = (decode_segment(before), decode_segment(verb)) {
                    segments.split = Some((before, verb));
                }
            }
        }
        Ok(segments)
    }
}

/// Decodes one segment and judges it.
pub(crate) fn decode_segment(raw: &str) -> Result<String, PathFault> {
    let bytes = raw.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let byte = match bytes[at] {
            b'%' => {
                let digits = bytes.get(at + 1..at + 3).ok_or(PathFault::BadEscape)?;
                at += 2;
                match hex(digits[0])? << 4 | hex(digits[1])? {
                    b'/' => return Err(PathFault::EncodedSlash),
                    byte => byte,
                }
            }
            byte => byte,
        };
        match byte {
            b'\\' => return Err(PathFault::Backslash),
            0..0x20 | 0x7f => return Err(PathFault::ControlByte),
            byte => decoded.push(byte),
        }
        at += 1;
    }
    if decoded == b"." || decoded == b".." {
        return Err(PathFault::DotSegment);
    }
    String::from_utf8(decoded).map_err(|_error| PathFault::NotUtf8)
}

fn hex(digit: u8) -> Result<u8, PathFault> {
    (digit as char).to_digit(16).map(|value| value as u8).ok_or(PathFault::BadEscape)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_p_4_odd_paths_are_refused_before_anything_else() {
        for (raw, fault) in [
            ("", PathFault::NoSlash),
            ("v1/x", PathFault::NoSlash),
            ("//", PathFault::EmptySegment),
            ("/v1//x", PathFault::EmptySegment),
            ("/v1/./x", PathFault::DotSegment),
            ("/v1/../x", PathFault::DotSegment),
            ("/v1/%2e%2E/x", PathFault::DotSegment),
            ("/v1/.%2e", PathFault::DotSegment),
            ("/v1/a%00b", PathFault::ControlByte),
            ("/v1/a%0d%0aX", PathFault::ControlByte),
            ("/v1/a%7f", PathFault::ControlByte),
            ("/v1/%zz", PathFault::BadEscape),
            ("/v1/%", PathFault::BadEscape),
            ("/v1/%2", PathFault::BadEscape),
            ("/v1/%+1", PathFault::BadEscape),
            ("/v1/%c0%af", PathFault::NotUtf8),
            ("/v1/%ff", PathFault::NotUtf8),
            ("/v1/%ed%a0%80", PathFault::NotUtf8),
            ("/v1/a%2Fb", PathFault::EncodedSlash),
            ("/v1/a%2fb", PathFault::EncodedSlash),
            ("/v1/a%5Cb", PathFault::Backslash),
            ("/v1/a\\b", PathFault::Backslash),
        ] {
            assert_eq!(Segments::of(raw), Err(fault), "{raw}");
        }
    }

    #[test]
    fn protocols_p_5_decoding_happens_once_and_plus_stays() {
        let decoded = |raw: &str| Segments::of(raw).unwrap().plain;
        assert_eq!(decoded("/v1/%252F"), ["v1", "%2F"]);
        assert_eq!(decoded("/a+b/%C3%A9;x"), ["a+b", "é;x"]);
        assert_eq!(decoded("/"), [""; 0]);
    }

    #[test]
    fn protocols_p_7_the_verb_stands_behind_the_last_colon_that_is_not_escaped() {
        let split = |raw: &str| Segments::of(raw).unwrap().split;
        assert_eq!(split("/v1/a:b"), Some(("a".into(), "b".into())));
        assert_eq!(split("/v1/a:b:c"), Some(("a:b".into(), "c".into())));
        assert_eq!(split("/v1/a%3Ab"), None);
        assert_eq!(split("/v1:x/a"), None);
    }
}
