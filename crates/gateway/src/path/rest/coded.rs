//! An answer that is coded while it is written.
//!
//! What has come is flushed when nothing more is at hand, so a message reaches its reader when it
//! comes (protocols S-8), and messages that come together share one flush. At most
//! [`STEP_BYTES`] go in before something goes out: a slow reader still stops the upstream, and a
//! large body does not hold the thread.
//!
//! A body that fails is flushed and then broken off: its coded form has no end either, so it
//! looks complete to nobody (S-3).
//!
//! Not here: which coding (`finish`), the encoders (`protocol::encoder`).

use std::task::{Context, Poll};

use bytes::Bytes;
use tandem_protocol::encoder::Encoder;

use crate::body::{Body, BodyError, Piece, Source};

/// Bytes that go in before something goes out.
const STEP_BYTES: usize = 64 << 10;

pub(super) struct Coded {
    plain: Body,
    /// `None` once the body has ended, well or not.
    encoder: Option<Encoder>,
    /// Of the plain body, not coded yet.
    waiting: Bytes,
    /// Something went in that was not flushed.
    inside: bool,
    /// Follows what was flushed.
    failed: Option<BodyError>,
}

impl Coded {
    pub(super) fn new(plain: Body, encoder: Encoder) -> Coded {
        let waiting = Bytes::new();
        Coded { plain, encoder: Some(encoder), waiting, inside: false, failed: None }
    }
}

impl Source for Coded {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, BodyError>>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let Some(encoder) = &mut self.encoder else { return Poll::Ready(None) };
        let mut out = Vec::new();
        let mut left = STEP_BYTES;
        let done = loop {
            if left == 0 {
                break if out.is_empty() { encoder.flush(&mut out) } else { Some(()) };
            }
            if !self.waiting.is_empty() {
                let part = self.waiting.split_to(left.min(self.waiting.len()));
                left -= part.len();
                self.inside = true;
                if encoder.write(&part, &mut out).is_none() {
                    break None;
                }
                continue;
            }
            match self.plain.poll_piece(cx) {
                Poll::Ready(Some(Ok(Piece::Data(data)))) => self.waiting = data,
                // Trailers leave to gRPC callers only (protocols M-5).
                Poll::Ready(Some(Ok(Piece::Trailers(_)))) => {}
                Poll::Ready(None) => {
                    let ended = encoder.end(&mut out);
                    self.encoder = None;
                    break ended;
                }
                Poll::Ready(Some(Err(error))) => {
                    let flushed = if self.inside { encoder.flush(&mut out) } else { Some(()) };
                    self.encoder = None;
                    if out.is_empty() {
                        return Poll::Ready(Some(Err(error)));
                    }
                    self.failed = Some(error);
                    break flushed;
                }
                Poll::Pending if self.inside => {
                    self.inside = false;
                    break encoder.flush(&mut out);
                }
                Poll::Pending => return Poll::Pending,
            }
        };
        Poll::Ready(Some(match done {
            Some(()) => Ok(Piece::Data(out.into())),
            None => {
                self.encoder = None;
                Err(BodyError::Aborted("no memory to code the answer"))
            }
        }))
    }
}
