//! Bodies as the path sees them: a stream of bytes with trailers at its end.
//!
//! The HTTP library's own body types stay inside `listen` and `upstream`; both turn theirs into
//! a [`Body`] here. A body pulls: nothing is read from one side until the other has taken what
//! came before, so memory for a stream is one chunk and the flow-control windows.
//!
//! Not here: envelopes and messages (`protocol::envelope`), what an error means to a caller
//! (`path`).

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;

/// What a body is made of, in this order: any number of data pieces, then at most one of trailers.
#[derive(Debug)]
pub enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
}

/// Why a body ended before its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The peer reset the stream with this HTTP/2 error code (RFC 9113, section 7).
    #[error("stream reset with code {0}")]
    Reset(u32),
    /// The connection under the stream is gone.
    #[error("connection lost: {0}")]
    ConnectionLost(String),
    /// The bytes are not what the protocol allows.
    #[error("malformed body: {0}")]
    Malformed(String),
    /// We gave up on purpose: the answer began and then failed, and must not look complete.
    #[error("aborted: {0}")]
    Aborted(&'static str),
}

/// Something that yields the pieces of a body.
pub trait Source {
    /// The next piece; `None` after the last. Must not be polled again after `None` or an error.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, BodyError>>>;
}

/// A body: empty, whole, or a stream.
pub struct Body(Inner);

enum Inner {
    Empty,
    Whole(Bytes),
    WholeThenTrailers(Bytes, HeaderMap),
    Trailers(HeaderMap),
    // One allocation for a body that is a stream; it hides the HTTP library's type.
    Stream(Box<dyn Source>),
}

impl Body {
    pub fn empty() -> Body {
        Body(Inner::Empty)
    }

    /// All bytes at once, without trailers.
    pub fn whole(bytes: Bytes) -> Body {
        Body(if bytes.is_empty() { Inner::Empty } else { Inner::Whole(bytes) })
    }

    /// All bytes at once, then trailers.
    pub fn whole_with_trailers(bytes: Bytes, trailers: HeaderMap) -> Body {
        Body(if bytes.is_empty() {
            Inner::Trailers(trailers)
        } else {
            Inner::WholeThenTrailers(bytes, trailers)
        })
    }

    pub fn stream(source: impl Source + 'static) -> Body {
        Body(Inner::Stream(Box::new(source)))
    }

    /// Whether it is known that nothing comes, neither bytes nor trailers.
    pub fn is_empty(&self) -> bool {
        matches!(self.0, Inner::Empty)
    }

    /// The number of bytes, where it is known beforehand.
    pub fn exact_bytes(&self) -> Option<u64> {
        match &self.0 {
            Inner::Empty | Inner::Trailers(_) => Some(0),
            Inner::Whole(bytes) | Inner::WholeThenTrailers(bytes, _) => Some(bytes.len() as u64),
            Inner::Stream(_) => None,
        }
    }

    /// The next piece; `None` after the last.
    pub fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, BodyError>>> {
        let (piece, rest) = match std::mem::replace(&mut self.0, Inner::Empty) {
            Inner::Empty => return Poll::Ready(None),
            Inner::Whole(bytes) => (Piece::Data(bytes), Inner::Empty),
            Inner::WholeThenTrailers(bytes, trailers) => {
                (Piece::Data(bytes), Inner::Trailers(trailers))
            }
            Inner::Trailers(trailers) => (Piece::Trailers(trailers), Inner::Empty),
            Inner::Stream(mut source) => {
                let polled = source.poll_piece(cx);
                if !matches!(polled, Poll::Ready(None | Some(Err(_)))) {
                    self.0 = Inner::Stream(source);
                }
                return polled;
            }
        };
        self.0 = rest;
        Poll::Ready(Some(Ok(piece)))
    }

    /// The next piece; `None` after the last.
    pub async fn piece(&mut self) -> Option<Result<Piece, BodyError>> {
        std::future::poll_fn(|cx| self.poll_piece(cx)).await
    }
}

impl Source for Body {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, BodyError>>> {
        Body::poll_piece(self, cx)
    }
}

impl<F> Source for F
where
    F: FnMut(&mut Context<'_>) -> Poll<Option<Result<Piece, BodyError>>>,
{
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, BodyError>>> {
        self(cx)
    }
}

/// A future kept beside a body and polled with it.
pub type Companion = Pin<Box<dyn Future<Output = ()>>>;
