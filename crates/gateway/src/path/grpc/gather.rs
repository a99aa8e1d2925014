//! Small pieces of a body that are there at once become one.
//!
//! A frame costs whoever receives it more than its bytes: a server of HTTP/2 that is sent too many
//! small ones closes the connection, and the callers whose calls share it pay. So frames are not
//! passed on as the other side cut them. Nothing waits here: what has not come is not waited for.

use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};

use crate::body::{Body, BodyError, Piece, Source};

/// A piece of so many bytes is worth its frame; the HTTP/2 library draws the same line.
const SMALL_BYTES: usize = 256;
/// What was gathered goes out at this size.
const GATHERED_BYTES: usize = 4096;

pub(in crate::path) struct Gather {
    body: Body,
    /// What came behind small pieces and is none.
    held: Option<Option<Result<Piece, BodyError>>>,
}

impl Gather {
    pub(in crate::path) fn new(body: Body) -> Gather {
        Gather { body, held: None }
    }

    /// Joins `first` with what is there behind it.
    fn join(&mut self, first: Bytes, cx: &mut Context<'_>) -> Bytes {
        let mut gathered = BytesMut::new();
        loop {
            match self.body.poll_piece(cx) {
                Poll::Ready(Some(Ok(Piece::Data(data)))) => {
                    if gathered.is_empty() {
                        gathered.reserve(first.len() + data.len());
                        gathered.extend_from_slice(&first);
                    }
                    gathered.extend_from_slice(&data);
                    if gathered.len() >= GATHERED_BYTES {
                        return gathered.freeze();
                    }
                }
                other => {
                    if let Poll::Ready(last) = other {
                        self.held = Some(last);
                    }
                    return if gathered.is_empty() { first } else { gathered.freeze() };
                }
            }
        }
    }
}

impl Source for Gather {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, BodyError>>> {
        if let Some(held) = self.held.take() {
            return Poll::Ready(held);
        }
        Poll::Ready(match ready!(self.body.poll_piece(cx)) {
            Some(Ok(Piece::Data(data))) if data.len() < SMALL_BYTES => {
                Some(Ok(Piece::Data(self.join(data, cx))))
            }
            other => other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays `script` through a [`Gather`]; `None` in it is a moment without anything.
    fn pieces(script: Vec<Option<usize>>, end: Option<Result<Piece, BodyError>>) -> Vec<String> {
        let mut script = script.into_iter();
        let mut end = Some(end);
        let body = Body::stream(move |_: &mut Context<'_>| match script.next() {
            Some(Some(bytes)) => Poll::Ready(Some(Ok(Piece::Data(vec![7; bytes].into())))),
            Some(None) => Poll::Pending,
            None => Poll::Ready(end.take().expect("not polled behind its end")),
        });
        let mut gather = Gather::new(body);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut out = Vec::new();
        loop {
            out.push(match gather.poll_piece(&mut cx) {
                Poll::Pending => "-".to_owned(),
                Poll::Ready(Some(Ok(Piece::Data(data)))) => data.len().to_string(),
                Poll::Ready(Some(Ok(Piece::Trailers(_)))) => "trailers".to_owned(),
                Poll::Ready(Some(Err(_))) => "error".to_owned(),
                Poll::Ready(None) => "end".to_owned(),
            });
            if matches!(&**out.last().unwrap(), "end" | "error") {
                return out;
            }
        }
    }

    #[test]
    fn small_pieces_that_are_there_become_one_and_nothing_waits() {
        let (s, l) = (Some(100), Some(300));
        for (script, end, expected) in [
            (vec![], None, &["end"][..]),
            (vec![s], None, &["100", "end"]),
            (vec![s, s, s], None, &["300", "end"]),
            (vec![s, None, s], None, &["100", "100", "end"]),
            (vec![s, None, None, s], None, &["100", "-", "100", "end"]),
            (vec![None, s, s, None], None, &["-", "200", "end"]),
            (vec![Some(0), s], None, &["100", "end"]),
            (vec![l, l, s], None, &["300", "300", "100", "end"]),
            (vec![s, l, s], None, &["500", "end"]),
            (vec![s; 50], None, &["4100", "900", "end"]),
            (vec![s, s], Some(Err(BodyError::Reset(8))), &["200", "error"]),
        ] {
            assert_eq!(pieces(script.clone(), end), expected, "{script:?}");
        }
    }
}
