//! An answer as it is kept, or as several are told it; and a failure.
//!
//! Not here: whether it may be kept (`rules`), where it stands (`store`).

use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use tandem_protocol::refusal::{Reason, Refusal, Shape};
use tandem_protocol::status::Status;

use super::rules;

/// What a kept header takes beside its letters.
const HEADER_BYTES: usize = size_of::<(HeaderName, HeaderValue)>();
/// An answer that is kept, or told to several.
pub(crate) struct Kept {
    head: Vec<(HeaderName, HeaderValue)>,
    trailers: Vec<(HeaderName, HeaderValue)>,
    message: Bytes,
    pub(super) came: Duration,
    /// How old it was then.
    pub(super) age: Duration,
    pub(super) stale_until: Duration,
}

/// Why there is no answer.
pub(crate) enum Failure {
    /// The service says so.
    Said {
        status: Status,
        trailers: HeaderMap,
    },
    Refused(Refusal),
}

impl Failure {
    pub(crate) fn lost() -> Failure {
        let refusal = Refusal::new(Reason::Unavailable, "the service cannot be reached");
        Failure::Refused(refusal.logged("a call for several was lost".to_owned()))
    }

    /// The status and the trailing metadata of the service, or the gateway's own status.
    pub(crate) fn said(&self) -> (Status, &HeaderMap) {
        static NONE: LazyLock<HeaderMap> = LazyLock::new(HeaderMap::new);
        match self {
            Failure::Said { status, trailers } => (status.clone(), trailers),
            Failure::Refused(refusal) => (refusal.status(Shape::Grpc), &NONE),
        }
    }

    /// Whether an old answer is better.
    pub(crate) fn is_error(&self) -> bool {
        match self {
            Failure::Said { status, .. } => rules::is_error(status.code),
            Failure::Refused(refusal) => rules::is_refusal_for_error(refusal),
        }
    }
}

impl Kept {
    /// Copies: what the library hands out is cut from buffers that are larger, and would keep all
    /// of them.
    pub(super) fn of(
        head: &HeaderMap,
        trailers: &HeaderMap,
        message: &Bytes,
        came: Duration,
        stale_until: Duration,
    ) -> Kept {
        Kept {
            head: copied(head),
            trailers: copied(trailers),
            message: Bytes::copy_from_slice(message),
            came,
            age: rules::age([head, trailers]),
            stale_until,
        }
    }

    pub(crate) fn head(&self) -> HeaderMap {
        map_of(&self.head)
    }

    pub(crate) fn trailers(&self) -> HeaderMap {
        map_of(&self.trailers)
    }

    /// The service had it from somewhere itself.
    pub(crate) fn was_old(&self) -> bool {
        !self.age.is_zero()
    }

    pub(crate) fn message(&self) -> &Bytes {
        &self.message
    }

    pub(super) fn bytes(&self) -> usize {
        let of = |headers: &[(HeaderName, HeaderValue)]| -> usize {
            let letters = headers.iter().map(|(name, value)| name.as_str().len() + value.len());
            letters.sum::<usize>() + headers.len() * HEADER_BYTES
        };
        size_of::<Kept>() + self.message.len() + of(&self.head) + of(&self.trailers)
    }
}

fn map_of(headers: &[(HeaderName, HeaderValue)]) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        map.append(name.clone(), value.clone());
    }
    map
}

/// What belongs to the answer and not to its framing.
fn copied(headers: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    let kept = headers.iter().filter(|(name, _)| {
        **name != header::CONTENT_TYPE
            && **name != header::AGE
            && !name.as_str().starts_with("grpc-")
    });
    let copies = kept.filter_map(|(name, value)| {
        let name = HeaderName::from_bytes(name.as_str().as_bytes()).ok()?;
        Some((name, HeaderValue::from_bytes(value.as_bytes()).ok()?))
    });
    copies.collect()
}
