//! The path of a request: judged once, split and decoded where it is asked for.
//!
//! Every rule on paths is judged here and nowhere later: a [`Path`] holds no empty, `.` or `..`
//! segment, no control byte and no broken escape, and nobody reads the raw text again (security
//! N-1). It borrows the target and allocates nothing; a segment is copied only where it holds an
//! escape.
//!
//! Whether `%2F` and `%5C` may pass is a switch of the method that the path means, so they are
//! noted here and refused by the directory, which knows the method.
//!
//! Source: RFC 3986, section 2.1 and 3.3; the choices are protocols P-4, P-5, P-6 and P-10.

use std::borrow::Cow;
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

/// What a method lets pass in the paths that mean it (protocols, section 14).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PathSwitches {
    pub encoded_slash: EncodedSlash,
    pub trailing_slash: TrailingSlash,
}

/// `%2F` and `%5C` in a path (protocols P-5, P-6).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EncodedSlash {
    /// 400.
    #[default]
    Refuse,
    /// Data. A variable of one segment holds `/`; a variable of several keeps `%2F` as it was
    /// written, so that its own slashes stay what separates segments.
    Decode,
}

/// A path that is known but for a `/` at its end (protocols P-10).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TrailingSlash {
    /// 404: it is another path.
    #[default]
    NotFound,
    /// 308 to the path without it.
    Redirect,
}

/// A path that passed every rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path<'a> {
    /// Raw, without the slash in front and one at the end; empty for `/`.
    text: &'a str,
    /// Where in `text` the verb's colon stands, if a part of the path can be a verb.
    colon: Option<usize>,
    trailing_slash: bool,
    held: Option<PathFault>,
    /// It holds a `%`.
    escaped: bool,
}

impl<'a> Path<'a> {
    /// Judges a raw path, without its query.
    ///
    /// # Errors
    /// The first fault from the left; never [`PathFault::EncodedSlash`], nor
    /// [`PathFault::Backslash`] for `%5C`.
    pub fn of(raw: &'a str) -> Result<Path<'a>, PathFault> {
        let all = raw.strip_prefix('/').ok_or(PathFault::NoSlash)?;
        let text = all.strip_suffix('/').unwrap_or(all);
        let mut path = Path {
            text,
            colon: verb_colon(text),
            trailing_slash: text.len() < all.len(),
            held: None,
            escaped: text.as_bytes().contains(&b'%'),
        };
        let mut rest = (!all.is_empty()).then_some(text);
        while let Some(text) = rest {
            let (segment, behind) = next_segment(text);
            path.held = path.held.or(judge(segment)?);
            rest = behind;
        }
        Ok(path)
    }

    /// Whether a `/` stands at the end (protocols P-10). It is no part of the segments.
    pub fn trailing_slash(&self) -> bool {
        self.trailing_slash
    }

    /// What is wrong with the path unless its method decodes encoded slashes (protocols P-5).
    pub fn held(&self) -> Option<PathFault> {
        self.held
    }

    /// The decoded segments, the last one with what may be a verb.
    pub fn segments(&self) -> impl Iterator<Item = Cow<'a, str>> {
        // Of an empty text `split` would make one empty segment.
        let none = self.text.is_empty();
        self.text.split('/').skip(usize::from(none)).map(decoded)
    }

    /// The path read without a verb.
    pub(crate) fn whole(&self) -> Reading<'a> {
        Reading { text: self.text, verb: Cow::Borrowed(""), escaped: self.escaped }
    }

    /// The path read with what stands behind its last colon as the verb (protocols P-7).
    pub(crate) fn split_at_verb(&self) -> Option<Reading<'a>> {
        let (text, verb) = self.text.split_at(self.colon?);
        Some(Reading { text, verb: decoded(&verb[1..]), escaped: self.escaped })
    }
}

/// One way to read a path: its raw segments, and the verb behind them.
#[derive(Debug)]
pub(crate) struct Reading<'a> {
    /// Empty for no segment at all; no segment in it is empty.
    text: &'a str,
    /// Decoded; empty for none.
    pub(crate) verb: Cow<'a, str>,
    escaped: bool,
}

impl<'a> Reading<'a> {
    /// The raw segments; `None` for none.
    pub(crate) fn raw(&self) -> Option<&'a str> {
        (!self.text.is_empty()).then_some(self.text)
    }

    /// The first segment of a part of the raw text, decoded, and what is behind it.
    pub(crate) fn next<'b>(&self, raw: &'b str) -> (Cow<'b, str>, Option<&'b str>) {
        let (segment, rest) = next_segment(raw);
        (if self.escaped { decoded(segment) } else { Cow::Borrowed(segment) }, rest)
    }

    /// The text from the segment `first` up to and without `end`, decoded. A `None` captures to
    /// the path's end.
    pub(crate) fn capture(&self, first: usize, end: Option<usize>) -> String {
        let begin = place_of(self.text, first);
        let captured = match end.map(|end| place_of(self.text, end)) {
            // In front of the next segment stands a slash.
            Some(end) if end < self.text.len() => &self.text[begin..end - 1],
            Some(_) | None => &self.text[begin..],
        };
        match end {
            _ if !self.escaped => captured.to_owned(),
            Some(end) if end - first == 1 => decoded(captured).into_owned(),
            Some(_) | None => decoded_but_slashes(captured),
        }
    }
}

/// Where the segment `number` begins; the end of the text where there is none.
fn place_of(text: &str, number: usize) -> usize {
    let Some(slashes_before) = number.checked_sub(1) else { return 0 };
    let slashes = text.bytes().enumerate().filter(|(_, byte)| *byte == b'/');
    let mut places = slashes.map(|(place, _)| place + 1);
    places.nth(slashes_before).unwrap_or(text.len())
}

/// The first raw segment of a text, and what is behind it. A loop over bytes: segments are short,
/// and the searcher of `str` costs more to set up than to run.
fn next_segment(text: &str) -> (&str, Option<&str>) {
    match text.bytes().position(|byte| byte == b'/') {
        Some(slash) => (&text[..slash], Some(&text[slash + 1..])),
        None => (text, None),
    }
}

/// Decodes one segment of a template and judges it as the segments of paths are.
pub(crate) fn decode_literal(raw: &str) -> Result<String, PathFault> {
    match judge(raw)? {
        None => Ok(decoded(raw).into_owned()),
        Some(fault) => Err(fault),
    }
}

/// The segment without its escapes. It has been judged, so every escape is whole and the bytes
/// are UTF-8.
pub(crate) fn decoded(segment: &str) -> Cow<'_, str> {
    if !segment.contains('%') {
        return Cow::Borrowed(segment);
    }
    let mut bytes = Vec::with_capacity(segment.len());
    each_byte(segment, |byte, _| bytes.push(byte));
    String::from_utf8(bytes).map_or_else(|_error| Cow::Borrowed(segment), Cow::Owned)
}

/// The text without its escapes but `%2F`, which stays as it was written.
fn decoded_but_slashes(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    each_byte(text, |byte, written| match byte {
        b'/' => bytes.extend_from_slice(written),
        byte => bytes.push(byte),
    });
    // A slash is no part of another character, so what was UTF-8 still is.
    String::from_utf8(bytes).unwrap_or_else(|_error| text.to_owned())
}

/// Each decoded byte and what was written for it.
fn each_byte(segment: &str, mut take: impl FnMut(u8, &[u8])) {
    let mut rest = segment.as_bytes();
    while let Some(byte) = rest.first() {
        let (byte, length) = match (byte, rest.get(1..3)) {
            (b'%', Some(&[high, low])) => match (hex(high), hex(low)) {
                (Some(high), Some(low)) => (high << 4 | low, 3),
                _ => (b'%', 1),
            },
            (byte, _) => (*byte, 1),
        };
        take(byte, &rest[..length]);
        rest = &rest[length..];
    }
}

/// What is wrong with one segment; in the `Ok` what is wrong unless the method allows it.
fn judge(raw: &str) -> Result<Option<PathFault>, PathFault> {
    if raw.is_empty() {
        return Err(PathFault::EmptySegment);
    }
    let mut held = None;
    let mut escaped = false;
    let mut bytes = raw.bytes();
    while let Some(written) = bytes.next() {
        let byte = match written {
            b'%' => {
                escaped = true;
                let mut digit = || bytes.next().and_then(hex).ok_or(PathFault::BadEscape);
                match digit()? << 4 | digit()? {
                    b'/' => {
                        held = held.or(Some(PathFault::EncodedSlash));
                        continue;
                    }
                    b'\\' => {
                        held = held.or(Some(PathFault::Backslash));
                        continue;
                    }
                    byte => byte,
                }
            }
            b'\\' => return Err(PathFault::Backslash),
            byte => byte,
        };
        if byte < 0x20 || byte == 0x7f {
            return Err(PathFault::ControlByte);
        }
    }
    if !escaped {
        return if is_dots(raw.as_bytes()) { Err(PathFault::DotSegment) } else { Ok(None) };
    }
    let mut plain = Vec::with_capacity(raw.len());
    each_byte(raw, |byte, _| plain.push(byte));
    if std::str::from_utf8(&plain).is_err() {
        return Err(PathFault::NotUtf8);
    }
    // Dots between slashes that are written as `%2F` are dots all the same: whoever reads the
    // value as a path further on must not be led upwards. No switch allows them (section 14).
    if plain.split(|byte| matches!(byte, b'/' | b'\\')).any(is_dots) {
        return Err(PathFault::DotSegment);
    }
    Ok(held)
}

fn is_dots(segment: &[u8]) -> bool {
    matches!(segment, b"." | b"..")
}

fn hex(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).map(|value| value as u8)
}

/// The last colon of the last segment, if what is around it can be a segment and a verb. A colon
/// that is written as `%3A` is none.
fn verb_colon(text: &str) -> Option<usize> {
    let colon = text.bytes().rposition(|byte| matches!(byte, b':' | b'/'))?;
    let (path, verb) = (&text[..colon], &text[colon + 1..]);
    if text.as_bytes()[colon] == b'/' {
        return None;
    }
    let before = path.rsplit_once('/').map_or(path, |(_, before)| before);
    // `/:verb` is the root with a verb; elsewhere nothing before the colon is no segment.
    let root = colon == 0;
    if verb.is_empty() || before.is_empty() && !root {
        return None;
    }
    // What is left must still be a segment that may stand in a path.
    (root || !is_dots(decoded(before).as_bytes())).then_some(colon)
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
            ("/v1//", PathFault::EmptySegment),
            ("/v1/./x", PathFault::DotSegment),
            ("/v1/../x", PathFault::DotSegment),
            ("/v1/%2e%2E/x", PathFault::DotSegment),
            ("/v1/.%2e", PathFault::DotSegment),
            ("/v1/../", PathFault::DotSegment),
            ("/v1/a%2F..", PathFault::DotSegment),
            ("/v1/%2e%5Ca", PathFault::DotSegment),
            ("/v1/a\u{1}", PathFault::ControlByte),
            ("/v1/a%00b", PathFault::ControlByte),
            ("/v1/a%1f", PathFault::ControlByte),
            ("/v1/a%0d%0aX", PathFault::ControlByte),
            ("/v1/a%7f", PathFault::ControlByte),
            ("/v1/%zz", PathFault::BadEscape),
            ("/v1/%", PathFault::BadEscape),
            ("/v1/%2", PathFault::BadEscape),
            ("/v1/%2/x", PathFault::BadEscape),
            ("/v1/%+1", PathFault::BadEscape),
            ("/v1/%c0%af", PathFault::NotUtf8),
            ("/v1/%ff", PathFault::NotUtf8),
            ("/v1/%ed%a0%80", PathFault::NotUtf8),
            ("/v1/%c3:%a9", PathFault::NotUtf8),
            ("/v1/a\\b", PathFault::Backslash),
        ] {
            assert_eq!(Path::of(raw), Err(fault), "{raw}");
        }
        // The nearest ones that pass.
        for raw in ["/", "/v1/...", "/v1/.a", "/v1/%20", "/v1/%7e", "/v1/%2e%2e%2e"] {
            assert!(Path::of(raw).is_ok_and(|path| path.held().is_none()), "{raw}");
        }
    }

    #[test]
    fn protocols_p_5_and_p_6_encoded_slashes_are_held_for_the_method_to_judge() {
        for (raw, held) in [
            ("/v1/a%2Fb", Some(PathFault::EncodedSlash)),
            ("/v1/a%2fb", Some(PathFault::EncodedSlash)),
            ("/v1/a%5Cb", Some(PathFault::Backslash)),
            ("/v1/a%5c%2f", Some(PathFault::Backslash)),
            ("/v1%2F/a%5C", Some(PathFault::EncodedSlash)),
            ("/v1/a%252Fb", None),
            ("/v1/a+b;c", None),
        ] {
            assert_eq!(Path::of(raw).unwrap().held(), held, "{raw}");
        }
    }

    #[test]
    fn protocols_p_5_decoding_happens_once_and_plus_stays() {
        let decoded = |raw| Path::of(raw).unwrap().segments().collect::<Vec<_>>();
        assert_eq!(decoded("/v1/%252F"), ["v1", "%2F"]);
        assert_eq!(decoded("/a+b/%C3%A9;x"), ["a+b", "é;x"]);
        assert_eq!(decoded("/v1/a%2Fb"), ["v1", "a/b"]);
        assert_eq!(decoded("/"), [""; 0]);
        assert_eq!(decoded("/a/"), ["a"]);
    }

    #[test]
    fn protocols_p_5_a_capture_of_several_segments_keeps_encoded_slashes_as_written() {
        let capture = |raw, first, end| Path::of(raw).unwrap().whole().capture(first, end);
        assert_eq!(capture("/v1/a%2Fb%20c", 1, Some(2)), "a/b c");
        assert_eq!(capture("/v1/a%2Fb%20c", 1, None), "a%2Fb c");
        assert_eq!(capture("/v1/a%2fb/%5C%C3%A9", 0, Some(3)), "v1/a%2fb/\\é");
        assert_eq!(capture("/v1", 1, None), "");
    }

    #[test]
    fn protocols_p_7_the_verb_stands_behind_the_last_colon_that_is_not_escaped() {
        let split = |raw| {
            let reading = Path::of(raw).unwrap().split_at_verb()?;
            Some((reading.text.to_owned(), reading.verb.into_owned()))
        };
        let some = |text: &str, verb: &str| Some((text.to_owned(), verb.to_owned()));
        for (raw, expected) in [
            ("/v1/a:b", some("v1/a", "b")),
            ("/v1/a:b:c", some("v1/a:b", "c")),
            ("/v1/a:%C3%A9", some("v1/a", "é")),
            ("/:ping", some("", "ping")),
            ("/v1/a%3Ab", None),
            ("/v1:x/a", None),
            ("/v1/a:", None),   // no verb
            ("/v1/:a", None),   // no segment
            ("/v1/..:a", None), // none that may stand in a path
            ("/v1/%2e:a", None),
        ] {
            assert_eq!(split(raw), expected, "{raw}");
        }
    }
}
