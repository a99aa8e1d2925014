//! The grammar of templates, with a place for each refusal.
//!
//! The grammar itself is a library's (`http_path_template`), which says what is wrong and not
//! where. This file is the only one that knows it.
//!
//! Source: google/api/http.proto, "Path template syntax".

use http_path_template::{Grammar, ParseError, PathTemplate, Segment};

/// A template in the order of its text. Places are bytes of it.
pub(super) struct Parsed<'a> {
    pub(super) parts: Vec<Part<'a>>,
    /// Behind the colon, with its place.
    pub(super) verb: Option<(usize, &'a str)>,
}

/// A segment, or the begin of a variable.
pub(super) enum Part<'a> {
    /// With its place; not decoded.
    Literal(usize, &'a str),
    One,
    /// Always the last part.
    Rest,
    /// The parts that follow belong to it: as many as `count` says, or all where it is `None`.
    Variable {
        place: usize,
        name: &'a str,
        count: Option<usize>,
    },
}

/// # Errors
/// Where and what is wrong.
pub(super) fn parse(text: &str) -> Result<Parsed<'_>, (usize, String)> {
    let template = PathTemplate::parse(text, Grammar::default())
        .map_err(|error| (place_of(text, &error), error.to_string()))?;
    // What the library gives back are slices of the text.
    let place = |part: &str| (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    let mut parts = Vec::new();
    for segment in template.segments() {
        if let Segment::Variable(variable) = segment {
            let open = variable.segments().last() == Some(Segment::Rest);
            let count = variable.segments().count();
            let name = variable.field_path();
            let count = (!open).then_some(count);
            parts.push(Part::Variable { place: place(name), name, count });
            for segment in variable.segments() {
                parts.push(part(segment, place).ok_or_else(unknown)?);
            }
        } else {
            parts.push(part(*segment, place).ok_or_else(unknown)?);
        }
    }
    let verb = template.verb().map(|verb| (place(verb), verb));
    Ok(Parsed { parts, verb })
}

fn part<'a>(segment: Segment<'a>, place: impl Fn(&str) -> usize) -> Option<Part<'a>> {
    match segment {
        Segment::Literal(text) => Some(Part::Literal(place(text), text)),
        Segment::Single => Some(Part::One),
        Segment::Rest => Some(Part::Rest),
        _ => None,
    }
}

/// The grammar of google.api.http has no other segments (the library's enum may grow).
fn unknown() -> (usize, String) {
    (0, "a segment that google.api.http does not know".to_owned())
}

/// The byte that the library refused, found again by what it says is wrong.
fn place_of(text: &str, error: &ParseError) -> usize {
    let found = if error.is_missing_leading_slash() {
        Some(0)
    } else if error.is_empty_segment() {
        empty_segment(text)
    } else if error.is_unbalanced_braces() {
        unbalanced_brace(text)
    } else if error.is_nested_variable() {
        outside_and_in(text).find(|(_, byte, depth)| *byte == b'{' && *depth > 0).map(first)
    } else if error.is_empty_field_path() {
        variables(text).find(|(_, name)| name.is_empty()).map(|(place, _)| place)
    } else if error.is_invalid_field_name() {
        variables(text).find_map(|(place, name)| Some(place + bad_name(name)?))
    } else if error.is_invalid_literal() {
        bad_literal(text)
    } else if error.is_rest_not_last() {
        text.find("**")
    } else if error.is_invalid_verb() {
        let verb = colons(text).next().map_or(0, |colon| colon + 1);
        Some(verb + bad_byte(&text[verb..]).unwrap_or(0))
    } else if error.is_multiple_verbs() {
        colons(text).nth(1)
    } else {
        // An empty verb.
        colons(text).next()
    };
    found.unwrap_or(0)
}

fn first<A, B, C>((first, _, _): (A, B, C)) -> A {
    first
}

/// Each byte with its place and the braces around it.
fn outside_and_in(text: &str) -> impl Iterator<Item = (usize, u8, usize)> {
    let mut depth = 0_usize;
    text.bytes().enumerate().map(move |(place, byte)| {
        if byte == b'}' {
            depth = depth.saturating_sub(1);
        }
        let around = depth;
        if byte == b'{' {
            depth += 1;
        }
        (place, byte, around)
    })
}

/// The colons outside of variables.
fn colons(text: &str) -> impl Iterator<Item = usize> {
    outside_and_in(text).filter(|(_, byte, depth)| *byte == b':' && *depth == 0).map(first)
}

/// Place and name of each variable.
fn variables(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.match_indices('{').map(|(brace, _)| {
        let name = &text[brace + 1..];
        (brace + 1, name.split(['=', '}']).next().unwrap_or(name))
    })
}

/// The first part between dots that is no identifier.
fn bad_name(name: &str) -> Option<usize> {
    let mut place = 0;
    for part in name.split('.') {
        let begins = part.starts_with(|letter: char| letter == '_' || letter.is_ascii_alphabetic());
        if !begins || !part.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric()) {
            return Some(place);
        }
        place += part.len() + 1;
    }
    None
}

fn unbalanced_brace(text: &str) -> Option<usize> {
    let mut open = Vec::new();
    for (place, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => open.push(place),
            b'}' => match open.pop() {
                Some(_) => {}
                None => return Some(place),
            },
            _ => {}
        }
    }
    open.first().copied()
}

/// Each segment with its place, those inside of variables among them.
fn segments(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let end = colons(text).next().unwrap_or(text.len());
    let text = &text[..end];
    let mut place = 0;
    text.split('/').map(move |segment| {
        let at = place;
        place += segment.len() + 1;
        // The first segment inside of a variable stands behind its `=`.
        let inside = segment.strip_prefix('{').and_then(|name| name.split_once('='));
        match inside {
            Some((name, inside)) => (at + name.len() + 2, inside.trim_end_matches('}')),
            None if segment.starts_with('{') => (at, segment),
            None => (at, segment.trim_end_matches('}')),
        }
    })
}

fn empty_segment(text: &str) -> Option<usize> {
    // What stands before the first slash is no segment.
    segments(text).skip(1).find(|(_, segment)| segment.is_empty()).map(|(place, _)| place)
}

fn bad_literal(text: &str) -> Option<usize> {
    let whole = |segment: &str| {
        matches!(segment, "*" | "**") || segment.starts_with('{') && segment.ends_with('}')
    };
    segments(text)
        .filter(|(_, segment)| !whole(segment))
        .find_map(|(place, segment)| Some(place + bad_byte(segment)?))
}

/// The first byte that may not stand in a literal (RFC 3986, `pchar` without `*`).
fn bad_byte(literal: &str) -> Option<usize> {
    let bytes = literal.as_bytes();
    let hex = |place: usize| bytes.get(place).is_some_and(u8::is_ascii_hexdigit);
    (0..bytes.len()).find(|place| match bytes[*place] {
        b'%' => !hex(place + 1) || !hex(place + 2),
        byte => !byte.is_ascii_alphanumeric() && !b"-._~!$&'()+,;=:@".contains(&byte),
    })
}
