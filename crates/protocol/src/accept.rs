//! What a caller takes, by `Accept` and its kin: elements with weights.
//!
//! A weight that cannot be read counts as 0, because the caller meant to say less than yes. Text
//! in quotes is one piece, whatever commas it holds.
//!
//! Source: RFC 9110, sections 5.6.1 (lists), 12.4.2 (weights) and 12.5.1 (`Accept`).
//!
//! Not here: what is on offer (`rest`, `stream`, `encoding`).

use http::header::{HeaderMap, HeaderName};

/// One element of such a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Element<'a> {
    /// As it was written; compare without regard to case.
    pub(crate) value: &'a str,
    /// 0 to 1000.
    pub(crate) weight: u16,
}

/// The elements of all headers of this name, in their order.
pub(crate) fn elements<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = Element<'a>> {
    headers
        .get_all(name)
        .iter()
        .flat_map(|value| pieces(value.to_str().unwrap_or(""), b','))
        .filter_map(Element::parse)
}

impl<'a> Element<'a> {
    /// `None` for an empty one, which lists may hold.
    fn parse(text: &'a str) -> Option<Element<'a>> {
        let mut parts = pieces(text, b';');
        let value = parts.next().filter(|value| !value.is_empty())?;
        let weight = parts
            .find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
            .map_or(1000, |weight| parse_weight(weight).unwrap_or(0));
        Some(Element { value, weight })
    }
}

/// The weight of the range that says most about `media` (RFC 9110, 12.5.1): 0 where it is refused
/// or where none speaks of it.
pub(crate) fn weight_of_media<'a>(media: &str, ranges: impl Iterator<Item = Element<'a>>) -> u16 {
    let group = media.split_once('/').map_or(media, |(group, _)| group);
    let exactness = |range: &Element<'_>| {
        if range.value.eq_ignore_ascii_case(media) {
            return Some(2);
        }
        match range.value.strip_suffix("/*")? {
            "*" => Some(0),
            found => found.eq_ignore_ascii_case(group).then_some(1),
        }
    };
    let matching = ranges.filter_map(|range| Some((exactness(&range)?, range.weight)));
    matching.max().map_or(0, |(_exactness, weight)| weight)
}

/// `text` cut at each `mark` that stands outside quotes, without the blanks around the pieces.
fn pieces(text: &str, mark: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (mut quoted, mut escaped) = (false, false);
        let end = text.bytes().position(|byte| {
            let literal = escaped;
            escaped = quoted && !literal && byte == b'\\';
            if byte == b'"' && !literal {
                quoted = !quoted;
            }
            byte == mark && !quoted
        });
        rest = end.map(|end| &text[end + 1..]);
        Some(text[..end.unwrap_or(text.len())].trim_matches([' ', '\t']))
    })
}

/// `0.5` as 500; one digit, a dot, at most three digits, and not above 1 (RFC 9110, 12.4.2).
fn parse_weight(text: &str) -> Option<u16> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if !matches!(whole, "0" | "1") || part.len() > 3 || !part.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let thousandths = part.bytes().chain(*b"000").take(3);
    let part = thousandths.fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    let weight = if whole == "1" { 1000 + part } else { part };
    (weight <= 1000).then_some(weight)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderValue, header};

    #[test]
    fn elements_are_cut_at_commas_outside_quotes_and_weighed() {
        for (given, expected) in [
            (&[][..], &[][..]),
            (&[""], &[]),
            (&[" , ,,"], &[]),
            (&["gzip, br;q=0.5"], &[("gzip", 1000), ("br", 500)]),
            (&["gzip", "br;q=1.000 , *;Q=0"], &[("gzip", 1000), ("br", 1000), ("*", 0)]),
            (&["a/b;x=\"1,2;q=0\";q=0.25, c/d"], &[("a/b", 250), ("c/d", 1000)]),
            (&["a/b;x=\"\\\",\";q=0.1, c/d"], &[("a/b", 100), ("c/d", 1000)]),
            (&["a;\tq=0.001"], &[("a", 1)]),
            // A quote that nobody closes: the rest is one piece, and says what it says.
            (&["a/b;x=\", c/d"], &[("a/b", 1000)]),
            // Weights that are none.
            (
                &["a;q=2, b;q=1.001, c;q=0.0001, d;q=, e;q=.5, f;q=-1, g;q=0,5"],
                &[
                    ("a", 0),
                    ("b", 0),
                    ("c", 0),
                    ("d", 0),
                    ("e", 0),
                    ("f", 0),
                    ("g", 0),
                    ("5", 1000),
                ],
            ),
            (&["a;q=1., b;q=0.5 x"], &[("a", 1000), ("b", 0)]),
        ] {
            let mut headers = HeaderMap::new();
            for value in given {
                headers.append(header::ACCEPT, HeaderValue::from_str(value).unwrap());
            }
            let found: Vec<_> = elements(&headers, &header::ACCEPT)
                .map(|element| (element.value, element.weight))
                .collect();
            assert_eq!(found, expected, "{given:?}");
        }
    }

    #[test]
    fn the_range_that_says_most_gives_the_weight() {
        for (accept, weight) in [
            ("*/*;q=0.1", 100),
            ("Application/*;q=0.2, */*;q=0.9", 200),
            ("application/*, APPLICATION/json;q=0.3", 300),
            ("application/json;q=0, */*", 0),
            ("text/*, application/jsonx, json", 0),
            // Of two that say the same, the one that likes it better.
            ("application/json;q=0.1, application/json;q=0.4", 400),
        ] {
            let mut headers = HeaderMap::new();
            headers.append(header::ACCEPT, HeaderValue::from_str(accept).unwrap());
            let ranges = elements(&headers, &header::ACCEPT);
            assert_eq!(weight_of_media("application/json", ranges), weight, "{accept}");
        }
    }
}
