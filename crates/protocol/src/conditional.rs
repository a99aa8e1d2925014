//! Entity tags: what an answer is called, and whether the caller has it already.
//!
//! Ours are weak. They are made of the body before it is coded, so that one tag stands for an
//! answer as it is, in gzip and in zstd; a strong one would have to differ (RFC 9110, section
//! 8.8.3). Nothing is lost by that: `If-None-Match` compares weakly, and there are no ranges to
//! ask for. A tag depends on the bytes and their media type alone, so every gateway gives the
//! same one, and gives it again after a restart.
//!
//! The hash is SHA-256, cut to 128 bits: what callers can write into an answer must not let them
//! make a new one look like the old.
//!
//! Source: RFC 9110, sections 8.8.3 (tags), 13.1.2 (`If-None-Match`), 15.4.5 (304).
//!
//! Not here: which answers have a tag (`tandem-gateway`).

use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::header::{self, HeaderMap, HeaderValue};

/// The weak tag of a body.
pub fn tag_of(media: Option<&HeaderValue>, body: &[u8]) -> HeaderValue {
    let mut hash = Context::new(&SHA256);
    // A header's value holds no line break, so the two cannot run into each other.
    hash.update(media.map_or(b"", HeaderValue::as_bytes));
    hash.update(b"\n");
    hash.update(body);
    let digest = hash.finish();
    let text = BASE64_URL_SAFE_NO_PAD.encode(&digest.as_ref()[..16]);
    HeaderValue::from_str(&format!("W/\"{text}\"")).expect("base64 is a header's value")
}

/// The same tag, weak: for a strong one whose bytes were coded on the way.
pub fn weak(tag: &HeaderValue) -> HeaderValue {
    if tag.as_bytes().starts_with(b"W/") {
        return tag.clone();
    }
    let weak = [b"W/", tag.as_bytes()].concat();
    HeaderValue::from_bytes(&weak).unwrap_or_else(|_error| tag.clone())
}

/// Whether `If-None-Match` names the answer with this tag, by the weak comparison; `*` names
/// every answer. A list that is none names nothing: to send an answer is never wrong.
pub fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let Some(ours) = opaque(tag.as_bytes()) else { return false };
    let mut found = false;
    for value in headers.get_all(header::IF_NONE_MATCH) {
        let text = value.as_bytes().trim_ascii();
        if text == b"*" {
            found = true;
            continue;
        }
        match names(text, ours) {
            Some(named) => found |= named,
            None => return false,
        }
    }
    found
}

/// Whether a list of tags names `ours`; `None` where it is no list.
fn names(text: &[u8], ours: &[u8]) -> Option<bool> {
    let mut found = false;
    let mut rest = text;
    loop {
        rest = rest.trim_ascii_start();
        if let [b',', behind @ ..] = rest {
            rest = behind;
            continue;
        }
        if rest.is_empty() {
            return Some(found);
        }
        let begin = rest.strip_prefix(b"W/").unwrap_or(rest).strip_prefix(b"\"")?;
        let end = begin.iter().position(|byte| *byte == b'"')?;
        let tag = &begin[..end];
        if !tag.iter().copied().all(is_of_tag) {
            return None;
        }
        found |= tag == ours;
        rest = begin[end + 1..].trim_ascii_start();
        if !(rest.is_empty() || rest[0] == b',') {
            return None;
        }
    }
}

/// What stands between the quotes of one tag.
fn opaque(tag: &[u8]) -> Option<&[u8]> {
    let tag = tag.strip_prefix(b"W/").unwrap_or(tag).strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    tag.iter().copied().all(is_of_tag).then_some(tag)
}

fn is_of_tag(byte: u8) -> bool {
    byte == 0x21 || (0x23..=0x7e).contains(&byte) || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_a_5_a_tag_is_of_the_bytes_and_their_type_and_the_same_everywhere() {
        let json = HeaderValue::from_static("application/json");
        let tag = tag_of(Some(&json), b"{}");
        // SHA-256 of `application/json`, a line break and `{}`, by another program.
        assert_eq!(tag, TAG_OF_EMPTY);
        assert_eq!(tag_of(Some(&json), b"{}"), tag);
        assert_ne!(tag_of(Some(&json), b"{ }"), tag);
        assert_ne!(tag_of(None, b"{}"), tag);
        assert_eq!(weak(&tag), tag);
        assert_eq!(weak(&HeaderValue::from_static("\"a\"")), "W/\"a\"");
    }

    const TAG_OF_EMPTY: &str = "W/\"b4no25kKFXD_lAIqxbtwyA\"";

    #[test]
    fn protocols_a_5_if_none_match_is_a_list_of_tags_compared_weakly() {
        for (given, known) in [
            (&[][..], false),
            (&["W/\"a\""], true),
            (&["\"a\""], true),
            (&["*"], true),
            (&[" * "], true),
            (&["\"b\", W/\"a\" ,\"c\""], true),
            (&["\"b\"", "W/\"a\""], true),
            (&["\"b\"", "*"], true),
            (&[",, \"a\",,"], true),
            (&["\"b\""], false),
            (&["\"A\""], false),
            (&["\"\""], false),
            // A comma may stand inside a tag.
            (&["\"b,\", \"a\""], true),
            (&["\"b,W/\"a\""], false),
            // What is no list names nothing, whatever stands in it.
            (&["a"], false),
            (&["\"a"], false),
            (&["a\""], false),
            (&["w/\"a\""], false),
            (&["W/ \"a\""], false),
            (&["\"a\" \"b\""], false),
            (&["\"a\"; q=1"], false),
            (&["\"a\", b"], false),
            (&["\"a\"", "b"], false),
            (&["\"a\", *"], false),
            (&["\"b c\", \"a\""], false),
            (&[""], false),
        ] {
            let mut headers = HeaderMap::new();
            for value in given {
                headers.append(header::IF_NONE_MATCH, HeaderValue::from_str(value).unwrap());
            }
            for tag in ["W/\"a\"", "\"a\""] {
                let tag = HeaderValue::from_static(tag);
                assert_eq!(is_known(&headers, &tag), known, "{given:?} {tag:?}");
            }
            for broken in ["a", "\"a", ""] {
                let tag = HeaderValue::from_static(broken);
                assert!(!is_known(&headers, &tag), "{given:?}: a tag that is none is no name");
            }
        }
    }
}
