//! The last step of an answer: its tag, its coding, its length, or no body at all.
//!
//! What HEAD answers is what GET would have answered without the body. Where GET's body would
//! have been coded, HEAD does not say how long: to know it, the body would have to be coded in
//! vain.
//!
//! Source: RFC 9110, sections 8.6, 9.3.2 and 15.4.5; protocols.
//!
//! Not here: bytes of codings and tags (`protocol`), pieces of a body (`coded`).

use bytes::Bytes;
use http::StatusCode;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use tandem_protocol::conditional;
use tandem_protocol::encoding::{self, Accepted, Encoding};

use super::coded::Coded;
use crate::body::Body;
use crate::call::Version;
use crate::path::grpc::gather::Gather;
use crate::path::{Call, Unrecorded};

/// Answers of more bytes get no tag: to hash them would hold up the other calls of the thread.
/// These take half a millisecond where the processor does not help.
const TAGGED_BYTES_MOST: usize = 256 << 10;

/// Longer bodies are coded while they are written, without a length beforehand, so that other
/// calls of the thread have their turn in between: gzip makes 100 bytes in a microsecond, zstd 200.
const CODED_AT_ONCE_BYTES_MOST: usize = 64 << 10;

/// An answer whose body is known. `conditions` are the headers of a request that may be told
/// that nothing has changed: GET and HEAD.
pub(in crate::path) fn whole(
    call: &Call,
    mut headers: HeaderMap,
    status: StatusCode,
    media: Option<HeaderValue>,
    body: Bytes,
    conditions: Option<&HeaderMap>,
) -> Unrecorded {
    put_media(call, &mut headers, media);
    let known = match conditions {
        Some(asked) if status == StatusCode::OK => is_known(&mut headers, &body, asked),
        _ => false,
    };
    let encoding = accepted(call).encoding(Some(body.len()));
    let encoding = encoding.filter(|_| encoding::may_be_coded(&headers));
    if known {
        // The tag is the one that the body would have had.
        if encoding.is_some() {
            weaken(&mut headers);
        }
        headers.remove(header::CONTENT_TYPE);
        headers.remove(header::CONTENT_ENCODING);
        return Unrecorded { status: StatusCode::NOT_MODIFIED, headers, body: Body::empty() };
    }
    if is_silent(status) {
        return Unrecorded { status, headers, body: Body::empty() };
    }
    if call.head {
        match encoding {
            Some(_) => weaken(&mut headers),
            None => {
                headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
            }
        }
        return Unrecorded { status, headers, body: Body::empty() };
    }
    let body = match encoding {
        Some(encoding) => coded(call, &mut headers, encoding, body),
        None => Body::whole(body),
    };
    if let Some(bytes) = body.exact_bytes() {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    }
    Unrecorded { status, headers, body }
}

/// What a caller that takes nothing of ours is told is told as it is.
fn accepted(call: &Call) -> Accepted {
    call.accepted.unwrap_or(Accepted::IDENTITY)
}

fn coded(call: &Call, headers: &mut HeaderMap, encoding: Encoding, body: Bytes) -> Body {
    if body.len() > CODED_AT_ONCE_BYTES_MOST {
        return while_written(call, headers, Body::whole(body));
    }
    match call.thread.encoders.code(encoding, &body) {
        // What does not become shorter leaves as it is, where that is taken.
        Some(coded) if coded.len() < body.len() || !accepted(call).identity() => {
            say_coded(headers, encoding);
            Body::whole(coded.into())
        }
        _ => Body::whole(body),
    }
}

/// A body of unknown length, coded on its way where the caller takes that; `headers` are those
/// that it leaves with. Small messages that are there at once leave in one piece either way:
/// there are HTTP/2 clients that cut a stream of many small frames.
pub(super) fn while_written(call: &Call, headers: &mut HeaderMap, body: Body) -> Body {
    let encoding = accepted(call).encoding(None).filter(|_| {
        // HTTP/1.0 cannot say that a body of unknown length was cut.
        call.version != Version::Http10 && encoding::may_be_coded(headers)
    });
    let lent = encoding.and_then(|encoding| {
        let encoder = call.thread.encoders.lend(encoding)?;
        Some((encoding, encoder))
    });
    let Some((encoding, encoder)) = lent else {
        let whole = body.exact_bytes().is_some();
        return if whole { body } else { Body::stream(Gather::new(body)) };
    };
    say_coded(headers, encoding);
    Body::stream(Coded::new(body, encoder))
}

fn say_coded(headers: &mut HeaderMap, encoding: Encoding) {
    headers.insert(header::CONTENT_ENCODING, encoding.name());
    weaken(headers);
}

/// A strong tag of the service's is of bytes that do not leave here.
fn weaken(headers: &mut HeaderMap) {
    if let Some(tag) = headers.get(header::ETAG) {
        let tag = conditional::weak(tag);
        headers.insert(header::ETAG, tag);
    }
}

/// Gives the answer a tag, unless the service has, and says whether the caller has the answer.
fn is_known(headers: &mut HeaderMap, body: &[u8], asked: &HeaderMap) -> bool {
    if let Some(tag) = headers.get(header::ETAG) {
        return conditional::is_known(asked, tag);
    }
    if body.len() > TAGGED_BYTES_MOST {
        return false;
    }
    let tag = conditional::tag_of(headers.get(header::CONTENT_TYPE), body);
    let known = conditional::is_known(asked, &tag);
    headers.insert(header::ETAG, tag);
    known
}

/// The media type, what the answer was chosen by, and when it was made. What the service says of
/// the last two stays.
pub(super) fn put_media(call: &Call, headers: &mut HeaderMap, media: Option<HeaderValue>) {
    if let Some(media) = media {
        headers.insert(header::CONTENT_TYPE, media);
    }
    headers.append(header::VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    // The library does that for HTTP/1.
    if call.version == Version::Http2 && !headers.contains_key(header::DATE) {
        headers.insert(header::DATE, call.thread.date.now());
    }
}

/// The coding that a raw body has already, as the service says (protocols A-6). It belongs to
/// the bytes, so it goes with them, unlike other `content-` metadata (M-5).
pub(super) fn put_coding_of_raw(headers: &mut HeaderMap, of_service: &HeaderMap) {
    const NAME: HeaderName = header::CONTENT_ENCODING;
    for value in of_service.get_all(NAME) {
        let is_token =
            |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~, ".contains(byte);
        if value.as_bytes().iter().all(is_token) {
            headers.append(NAME, value.clone());
        }
    }
}

/// Whether an answer with this status has no body, whatever there is to say (protocols A-4).
pub(super) fn is_silent(status: StatusCode) -> bool {
    matches!(status.as_u16(), 204 | 205 | 304)
}
