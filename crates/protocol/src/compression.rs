//! How gRPC names the compression of messages, and what the gateway makes of it (protocols G-4).
//!
//! A compressed message passes as it is: the gateway decodes it only to measure it. So it lets
//! through what it can measure and nothing else: what a caller says it takes is cut to that before
//! it reaches the upstream, and an upstream that answers in what it was not offered is at fault.
//!
//! Sources: gRPC over HTTP/2, "Message-Encoding"; gRPC, "Compression".
//!
//! Not here: the decoders (`coding`), the flag before each message (`envelope`).

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::coding::{self, Bounds, Coding};
use crate::envelope::{Envelope, EnvelopeError};
use crate::refusal::{Reason, Refusal};

/// The coding of the messages that follow.
pub const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
/// The codings that may be answered in.
pub const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// What is let through; the value of `grpc-accept-encoding` beside a refusal.
pub const ACCEPTED: &str = "identity, gzip, deflate, zstd";

/// What a call may be compressed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreed {
    /// The request's messages; `None` for identity.
    pub request: Option<Coding>,
    accepts: [bool; 3],
}

impl Agreed {
    /// For a call whose messages are written anew: nothing is compressed on the way.
    pub fn nothing(headers: &mut HeaderMap) -> Agreed {
        headers.remove(ENCODING);
        headers.remove(ACCEPT_ENCODING);
        Agreed { request: None, accepts: [false; 3] }
    }

    /// Reads what the caller says, and leaves of it in `headers` what can be kept.
    ///
    /// # Errors
    /// The request's coding is none of ours.
    pub fn by_caller(headers: &mut HeaderMap) -> Result<Agreed, Refusal> {
        let request = of_request(headers)?;
        let mut accepts = [false; 3];
        for coding in keep_known(headers) {
            accepts[coding as usize] = true;
        }
        Ok(Agreed { request, accepts })
    }

    /// The coding of the answer's messages, and leaves in `head` what the caller may be told.
    ///
    /// # Errors
    /// It was not offered: neither among what the caller takes nor what it sends itself, which
    /// the specification lets a server answer in.
    pub fn answered(&self, head: &mut HeaderMap) -> Result<Option<Coding>, Unoffered> {
        keep_known(head);
        match named(head) {
            Ok(None) => Ok(None),
            Ok(Some(coding)) if self.accepts[coding as usize] || self.request == Some(coding) => {
                Ok(Some(coding))
            }
            Ok(Some(_)) | Err(Unknown) => Err(Unoffered),
        }
    }
}

/// The coding of a request's messages; `None` for identity.
///
/// # Errors
/// It is none of ours.
pub fn of_request(headers: &HeaderMap) -> Result<Option<Coding>, Refusal> {
    named(headers).map_err(|Unknown| {
        let message = format!("messages may be compressed in one of {ACCEPTED}");
        Refusal::new(Reason::ContentCoding, message)
    })
}

/// The bytes of a caller's message, decoded where it is compressed.
///
/// # Errors
/// It is compressed and no coding was named, holds more than `bounds` allow, or is unsound.
pub fn open(envelope: Envelope, coding: Option<Coding>, bounds: Bounds) -> Result<Bytes, Refusal> {
    if !envelope.compressed {
        return Ok(envelope.payload);
    }
    let coding = coding.ok_or_else(|| Refusal::of_envelope(EnvelopeError::Unnamed))?;
    // No bytes are the empty message in every coding.
    if envelope.payload.is_empty() {
        return Ok(envelope.payload);
    }
    coding::decode(coding, &envelope.payload, bounds).map(Bytes::from)
}

/// An answer in a coding that nobody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer is in an encoding that was not offered")]
pub struct Unoffered;

struct Unknown;

/// The one coding that `grpc-encoding` names.
fn named(headers: &HeaderMap) -> Result<Option<Coding>, Unknown> {
    let mut values = headers.get_all(ENCODING).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Unknown);
    }
    match value.as_bytes() {
        b"identity" => Ok(None),
        name => {
            let name = std::str::from_utf8(name).map_err(|_error| Unknown)?;
            Coding::of_name(name).map(Some).ok_or(Unknown)
        }
    }
}

/// Cuts `grpc-accept-encoding` to what can be let through, in the order that it came in.
fn keep_known(headers: &mut HeaderMap) -> Vec<Coding> {
    if !headers.contains_key(ACCEPT_ENCODING) {
        return Vec::new();
    }
    let (mut kept, mut codings) = (Vec::new(), Vec::new());
    for value in headers.get_all(ACCEPT_ENCODING) {
        let names = value.to_str().unwrap_or("").split(',').map(str::trim);
        for name in names {
            let coding = Coding::of_name(name);
            if coding.is_some() || name == "identity" {
                kept.push(name.to_owned());
            }
            codings.extend(coding);
        }
    }
    headers.remove(ACCEPT_ENCODING);
    if !kept.is_empty()
        && let Ok(value) = HeaderValue::from_str(&kept.join(","))
    {
        headers.insert(ACCEPT_ENCODING, value);
    }
    codings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(encoding: &[&'static str], accept: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in encoding {
            headers.append(ENCODING, HeaderValue::from_static(value));
        }
        for value in accept {
            headers.append(ACCEPT_ENCODING, HeaderValue::from_static(value));
        }
        headers
    }

    fn accept(headers: &HeaderMap) -> Option<&str> {
        let mut values = headers.get_all(ACCEPT_ENCODING).iter();
        let first = values.next().map(|value| value.to_str().unwrap());
        assert!(values.next().is_none(), "one header");
        first
    }

    #[test]
    fn protocols_g_4_an_unknown_encoding_is_refused() {
        for (encoding, expected) in [
            (&[][..], Some(None)),
            (&["identity"], Some(None)),
            (&["gzip"], Some(Some(Coding::Gzip))),
            (&["deflate"], Some(Some(Coding::Deflate))),
            (&["zstd"], Some(Some(Coding::Zstd))),
            (&["snappy"], None),
            (&["br"], None),
            (&["GZIP"], None), // names are compared as they stand
            (&["gzip, zstd"], None),
            (&["gzip", "gzip"], None),
            (&[""], None),
        ] {
            match (Agreed::by_caller(&mut headers(encoding, &[])), expected) {
                (Ok(agreed), Some(expected)) => assert_eq!(agreed.request, expected),
                (Err(refusal), None) => assert_eq!(refusal.reason, Reason::ContentCoding),
                (got, _) => panic!("{encoding:?}: {got:?}"),
            }
        }
    }

    #[test]
    fn protocols_g_4_only_what_can_be_measured_is_offered() {
        for (given, kept) in [
            (&[][..], None),
            (&["gzip"], Some("gzip")),
            (&["identity,deflate,gzip"], Some("identity,deflate,gzip")),
            (&["snappy, zstd ,br", "gzip"], Some("zstd,gzip")),
            (&["snappy"], None),
            (&[""], None),
        ] {
            let mut caller = headers(&[], given);
            Agreed::by_caller(&mut caller).unwrap();
            assert_eq!(accept(&caller), kept, "{given:?}");
            let mut upstream = headers(&[], given);
            Agreed::nothing(&mut HeaderMap::new()).answered(&mut upstream).unwrap();
            assert_eq!(accept(&upstream), kept, "{given:?}");
        }
    }

    #[test]
    fn protocols_e_9_an_encoding_that_was_not_offered_is_a_fault() {
        for (encoding, accepted, answered, expected) in [
            (&[][..], &[][..], &[][..], Ok(None)),
            (&[], &[], &["identity"], Ok(None)),
            (&[], &["gzip"], &["gzip"], Ok(Some(Coding::Gzip))),
            (&["gzip"], &[], &["gzip"], Ok(Some(Coding::Gzip))),
            (&["gzip"], &["zstd"], &["zstd"], Ok(Some(Coding::Zstd))),
            (&["gzip"], &["gzip"], &["identity"], Ok(None)),
            (&["gzip"], &[], &["zstd"], Err(Unoffered)),
            (&[], &[], &["gzip"], Err(Unoffered)),
            (&[], &["snappy"], &["snappy"], Err(Unoffered)),
            (&["gzip"], &[], &["gzip", "gzip"], Err(Unoffered)),
        ] {
            let agreed = Agreed::by_caller(&mut headers(encoding, accepted)).unwrap();
            let got = agreed.answered(&mut headers(answered, &[]));
            assert_eq!(got, expected, "{encoding:?} {accepted:?} {answered:?}");
        }
        let mut written_anew = headers(&["gzip"], &["gzip"]);
        let agreed = Agreed::nothing(&mut written_anew);
        assert!(written_anew.is_empty());
        assert_eq!(agreed.answered(&mut headers(&["gzip"], &[])), Err(Unoffered));
    }
}
