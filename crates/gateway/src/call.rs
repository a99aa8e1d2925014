//! The neutral values that the path works on: what came in, what goes out.
//!
//! They hold types of `http` (names, values, numbers), never of the library that moves bytes, so
//! the engines behind `listen` and `upstream` can be replaced without anyone noticing.

use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use tokio::time::Instant;

use crate::body::Body;
use crate::observe::Record;

/// The version of HTTP that a call came in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// It cannot say that a body of unknown length was cut.
    Http10,
    Http1,
    Http2,
}

/// A value that no other call has, for a header that each call has.
///
/// Marked so that HTTP/2 sends it as it is: in the tables of both ends it would only drive out
/// what comes again, and make those of a connection grow to their limit.
pub(crate) fn value_of_one_call(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    // "Sensitive" is the library's word for what is never indexed (RFC 7541, section 6.2.3).
    value.set_sensitive(true);
    Some(value)
}

/// A request as it arrived; nothing in it has been judged yet.
pub struct Incoming {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub version: Version,
    pub body: Body,
    /// When the first byte of its head came, where that is known.
    pub head_began: Option<Instant>,
}

impl Incoming {
    pub fn new(head: http::request::Parts, body: Body, version: Version) -> Incoming {
        let http::request::Parts { method, uri, headers, .. } = head;
        Incoming { method, uri, headers, version, body, head_began: None }
    }
}

/// What goes back to the caller. The record of the call rides on it and is closed by whoever
/// writes the last byte.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Body,
    pub record: Record,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_one_call_is_kept_out_of_header_tables() {
        let value = value_of_one_call("01-a_b").unwrap();
        assert_eq!(value, "01-a_b");
        assert!(value.is_sensitive(), "the library indexes what is not");
        assert!(value_of_one_call("a\nb").is_none());
    }
}
