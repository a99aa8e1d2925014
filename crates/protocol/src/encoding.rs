//! Which coding an answer leaves in: what the caller takes, and what is worth it.
//!
//! Offered are zstd and gzip. Of equal weight zstd goes first: on JSON it gives the smaller body
//! for a fraction of gzip's time. It is sent to nobody who has not named it; `*` was written by
//! many who never heard of it, and means gzip here. Deflate is not offered: readers disagree on
//! whether it has a zlib head.
//!
//! A body is coded when its media type is one that compresses, it has more than
//! [`CODED_FROM_BYTES`], and nobody said `no-transform`. Events never are: proxies and browsers
//! hold coded bytes back until a buffer is full, and an event is wanted now.
//!
//! Source: RFC 9110, sections 8.4.1 and 12.5.3; RFC 9111, section 5.2.2.6; protocols A-6.
//!
//! Not here: the bytes themselves (`encoder`), codings of requests (`coding`).

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::accept;
use crate::refusal::{Reason, Refusal};

/// A coding that answers may leave in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Gzip,
    Zstd,
}

impl Encoding {
    /// The value of `Content-Encoding`.
    pub fn name(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Encoding::Gzip => "gzip",
            Encoding::Zstd => "zstd",
        })
    }
}

/// Bodies of so many bytes and fewer leave as they are: they go in one packet or two either way.
pub const CODED_FROM_BYTES: usize = 1024;

/// The codings that a caller takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// The one that it likes best, where that is not the body as it is.
    best: Option<Encoding>,
    /// It takes a body as it is.
    identity: bool,
}

impl Accepted {
    /// Nothing is coded for this caller.
    pub const IDENTITY: Accepted = Accepted { best: None, identity: true };

    /// Reads `Accept-Encoding`; without it nothing is coded.
    ///
    /// # Errors
    /// 406 when the caller takes neither one of ours nor a body as it is.
    pub fn by_caller(headers: &HeaderMap) -> Result<Accepted, Refusal> {
        let (mut zstd, mut gzip, mut identity, mut any) = (None, None, None, None);
        for element in accept::elements(headers, &header::ACCEPT_ENCODING) {
            let is = |name: &str| element.value.eq_ignore_ascii_case(name);
            let slot = if is("zstd") {
                &mut zstd
            } else if is("gzip") || is("x-gzip") {
                &mut gzip
            } else if is("identity") {
                &mut identity
            } else if is("*") {
                &mut any
            } else {
                continue;
            };
            *slot = (*slot).max(Some(element.weight));
        }
        let (zstd, gzip) = (zstd.unwrap_or(0), gzip.or(any).unwrap_or(0));
        // A body as it is needs no mention to be taken, only to be refused or liked better.
        let refused = identity.or(any) == Some(0);
        let (best, weight) =
            if zstd >= gzip { (Encoding::Zstd, zstd) } else { (Encoding::Gzip, gzip) };
        let best = (weight > 0 && weight >= identity.unwrap_or(0)).then_some(best);
        if refused && best.is_none() {
            return Err(not_acceptable());
        }
        Ok(Accepted { best, identity: !refused })
    }

    /// The coding for a body of `bytes`; of unknown length without.
    pub fn encoding(self, bytes: Option<usize>) -> Option<Encoding> {
        let worth_it = bytes.is_none_or(|bytes| bytes > CODED_FROM_BYTES);
        self.best.filter(|_| worth_it || !self.identity && bytes != Some(0))
    }

    /// Whether it takes a body as it is.
    pub fn identity(self) -> bool {
        self.identity
    }
}

/// The refusal for a caller that takes neither one of ours nor a body as it is.
pub fn not_acceptable() -> Refusal {
    let message = "answers are coded in zstd or gzip, or in nothing";
    Refusal::new(Reason::NotAcceptable, message)
}

/// Whether a body under these headers may be coded at all.
pub fn may_be_coded(headers: &HeaderMap) -> bool {
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    media.is_some_and(compresses)
        && !headers.contains_key(header::CONTENT_ENCODING)
        && !says(headers, &header::CACHE_CONTROL, "no-transform")
}

/// Whether bodies of this media type are text, more or less. What is not known here is more often
/// compressed already than not: images, video, archives, fonts.
fn compresses(media: &str) -> bool {
    let name = media.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let Some((group, kind)) = name.split_once('/') else { return false };
    match group {
        "text" => kind != "event-stream",
        "application" | "image" | "model" => {
            kind.ends_with("+json")
                || kind.ends_with("+xml")
                || kind.ends_with("+yaml")
                || (group == "application" && TEXTS.contains(&kind))
        }
        _ => false,
    }
}

/// Under `application/`.
const TEXTS: [&str; 14] = [
    "json",
    "x-ndjson",
    "ndjson",
    "jsonl",
    "json-seq",
    "xml",
    "xml-dtd",
    "javascript",
    "x-javascript",
    "yaml",
    "x-yaml",
    "toml",
    "graphql",
    "sql",
];

/// Whether a list of directives has this one.
fn says(headers: &HeaderMap, name: &HeaderName, directive: &str) -> bool {
    let texts = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).any(|part| part.trim().eq_ignore_ascii_case(directive))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Encoding::{Gzip, Zstd};

    fn accepted(given: &[&str]) -> Result<Accepted, Refusal> {
        let mut headers = HeaderMap::new();
        for value in given {
            headers.append(header::ACCEPT_ENCODING, HeaderValue::from_str(value).unwrap());
        }
        Accepted::by_caller(&headers)
    }

    #[test]
    fn protocols_a_6_accept_encoding_chooses_the_coding() {
        for (given, expected) in [
            (&[][..], Ok((None, true))),
            (&[""], Ok((None, true))),
            (&["gzip"], Ok((Some(Gzip), true))),
            (&["GZip"], Ok((Some(Gzip), true))),
            (&["x-gzip"], Ok((Some(Gzip), true))),
            (&["zstd"], Ok((Some(Zstd), true))),
            // What browsers, curl, Go and Python send.
            (&["gzip, deflate, br, zstd"], Ok((Some(Zstd), true))),
            (&["deflate, gzip, br, zstd"], Ok((Some(Zstd), true))),
            (&["gzip, deflate"], Ok((Some(Gzip), true))),
            // Weights stand before our order, our order before that of the header.
            (&["gzip;q=0.9, zstd;q=0.8"], Ok((Some(Gzip), true))),
            (&["gzip;q=0.8", "zstd;q=0.9"], Ok((Some(Zstd), true))),
            (&["gzip, zstd"], Ok((Some(Zstd), true))),
            (&["gzip;q=0.001"], Ok((Some(Gzip), true))),
            (&["gzip;q=0"], Ok((None, true))),
            (&["gzip;q=nonsense"], Ok((None, true))),
            (&["zstd;q=0, gzip"], Ok((Some(Gzip), true))),
            // A body as it is, where it is liked better; of equal weight it is coded.
            (&["identity, gzip;q=0.5"], Ok((None, true))),
            (&["identity, gzip"], Ok((Some(Gzip), true))),
            (&["identity;q=0.5, gzip;q=0.5"], Ok((Some(Gzip), true))),
            (&["identity;q=0.5, gzip;q=0.4, zstd;q=0.6"], Ok((Some(Zstd), true))),
            // `*` is what stands nowhere else, and never zstd.
            (&["*"], Ok((Some(Gzip), true))),
            (&["*;q=0.5, zstd;q=0.4"], Ok((Some(Gzip), true))),
            (&["gzip;q=0, *"], Ok((None, true))),
            (&["br, *;q=0.1"], Ok((Some(Gzip), true))),
            (&["gzip, *;q=0"], Ok((Some(Gzip), false))),
            (&["identity, *;q=0"], Ok((None, true))),
            (&["zstd, identity;q=0"], Ok((Some(Zstd), false))),
            (&["gzip;q=0.1, identity;q=0"], Ok((Some(Gzip), false))),
            // Codings that are not ours change nothing.
            (&["br"], Ok((None, true))),
            (&["deflate, compress, br"], Ok((None, true))),
            // Nothing is left.
            (&["*;q=0"], Err(())),
            (&["identity;q=0"], Err(())),
            (&["br, identity;q=0"], Err(())),
            (&["gzip;q=0, identity;q=0.0"], Err(())),
        ] {
            match (accepted(given), expected) {
                (Ok(Accepted { best, identity }), Ok(expected)) => {
                    assert_eq!((best, identity), expected, "{given:?}");
                }
                (Err(refusal), Err(())) => assert_eq!(refusal.reason, Reason::NotAcceptable),
                (got, _) => panic!("{given:?}: {got:?}"),
            }
        }
    }

    #[test]
    fn protocols_a_6_bodies_above_1_kib_are_coded_and_smaller_ones_only_on_demand() {
        let (gzip, only) = (accepted(&["gzip"]).unwrap(), accepted(&["gzip, *;q=0"]).unwrap());
        for (bytes, usual, on_demand) in [
            (Some(0), None, None),
            (Some(1), None, Some(Gzip)),
            (Some(1_023), None, Some(Gzip)),
            (Some(1_024), None, Some(Gzip)),
            (Some(1_025), Some(Gzip), Some(Gzip)),
            (None, Some(Gzip), Some(Gzip)),
        ] {
            assert_eq!(gzip.encoding(bytes), usual, "{bytes:?}");
            assert_eq!(only.encoding(bytes), on_demand, "{bytes:?}");
            assert_eq!(Accepted::IDENTITY.encoding(bytes), None);
        }
    }

    #[test]
    fn protocols_a_6_what_is_coded_already_or_may_not_be_changed_stays() {
        use header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE};
        for (media, fine) in [
            ("application/json", true),
            ("application/json; charset=utf-8", true),
            ("Application/Problem+JSON", true),
            ("application/x-ndjson", true),
            ("text/csv;header=present", true),
            ("text/html", true),
            ("image/svg+xml", true),
            ("text/event-stream", false),
            ("Text/Event-Stream; charset=utf-8", false),
            ("image/png", false),
            ("image/webp", false),
            ("video/mp4", false),
            ("audio/ogg", false),
            ("font/woff2", false),
            ("application/zip", false),
            ("application/gzip", false),
            ("application/zstd", false),
            ("application/pdf", false),
            ("application/octet-stream", false),
            ("json", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            assert!(!may_be_coded(&headers), "a body of no type");
            headers.insert(CONTENT_TYPE, HeaderValue::from_str(media).unwrap());
            assert_eq!(may_be_coded(&headers), fine, "{media}");
        }
        for (name, value, fine) in [
            (CONTENT_ENCODING, "br", false),
            (CONTENT_ENCODING, "identity", false),
            (CACHE_CONTROL, "public, max-age=60", true),
            (CACHE_CONTROL, "public, No-Transform", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
            headers.append(CACHE_CONTROL, HeaderValue::from_static("private"));
            headers.append(name, HeaderValue::from_static(value));
            assert_eq!(may_be_coded(&headers), fine, "{value}");
        }
    }
}
