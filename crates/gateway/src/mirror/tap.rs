//! Takes a copy of a call as it passes: its request on the way out, its answer on the way back.
//!
//! Nothing here waits, and nothing here changes what passes: pieces are handed on as they came,
//! and what they say is written down beside them, 256 KiB a body at most. When the answer has
//! ended the copy is offered to the queue; one that finds no room is dropped and counted. A call
//! that fails before its service has answered leaves no copy, and neither does one whose request
//! was not complete: there is nothing to compare with.
//!
//! Runs on data threads, after policy has rewritten the call and the cache had no answer, so what
//! is copied is what the primary gets (compare M-3, M-7).

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use std::sync::Arc;
use tandem_judge::pair::Abandoned;
use tokio::time::Instant;

use super::answer::{BODY_BYTES_MOST, Recorded};
use super::method::MethodMirror;
use super::room;
use crate::body::{Body, BodyError, Piece, Source};
use crate::route::Side;
use crate::upstream::{Outgoing, OutgoingBody, UpstreamAnswer};

/// A copy of a call, whole.
pub(super) struct Copied {
    pub(super) mirror: Arc<MethodMirror>,
    /// Of the request to the primary, without what is the caller's alone.
    pub(super) headers: HeaderMap,
    /// Envelopes.
    pub(super) request: Bytes,
    pub(super) primary: Recorded,
    /// The time that the primary had for its answer.
    pub(super) had: Duration,
    /// How long the primary took to the end of its answer.
    pub(super) took: Duration,
    pub(super) _place: room::Place,
}

/// A call of which a copy is being taken, or none.
pub(crate) struct Tap(Option<Rc<Call>>);

struct Call {
    mirror: Arc<MethodMirror>,
    headers: HeaderMap,
    asked: RefCell<Asked>,
    had: Duration,
    began: Instant,
}

#[derive(Default)]
struct Asked {
    written: Written,
    ended: bool,
}

/// What has passed of a body.
#[derive(Default)]
struct Written {
    bytes: BytesMut,
    too_large: bool,
}

impl Written {
    /// Whether it still fits.
    fn add(&mut self, data: &[u8]) -> bool {
        if self.bytes.len() + data.len() > BODY_BYTES_MOST {
            self.too_large = true;
            self.bytes = BytesMut::new();
        }
        if !self.too_large {
            // Copied, for a piece of a few bytes may keep a whole read of the socket alive.
            self.bytes.extend_from_slice(data);
        }
        !self.too_large
    }
}

/// A copy waits no longer for its answer than this (compare M-6).
const HAS_MOST: Duration = Duration::from_secs(5);

impl Tap {
    /// Begins to copy a call that goes to `side`, if its method is mirrored and the sampling takes
    /// it. A marked call is never copied (compare M-5).
    pub(crate) fn on(
        mirror: Option<&Arc<MethodMirror>>,
        side: Side,
        marked: bool,
        outgoing: &mut Outgoing,
    ) -> Tap {
        // Without a mirror this is all that a call pays.
        let Some(mirror) = mirror else { return Tap(None) };
        if side != Side::Primary || marked || !mirror.takes(&outgoing.headers) {
            return Tap(None);
        }
        if mirror.way.is_shedding() {
            mirror.dropped(Abandoned::Shed);
            return Tap(None);
        }
        let began = Instant::now();
        let had = outgoing.terms.deadline.map(|end| end.saturating_duration_since(began));
        let call = Rc::new(Call {
            mirror: Arc::clone(mirror),
            headers: mirror.headers(&outgoing.headers),
            asked: RefCell::default(),
            had: had.unwrap_or(HAS_MOST).min(HAS_MOST),
            began,
        });
        match &mut outgoing.body {
            OutgoingBody::Whole(bytes) => {
                let mut asked = call.asked.borrow_mut();
                asked.ended = true;
                if !asked.written.add(bytes) {
                    mirror.dropped(Abandoned::BodyTooLarge);
                    return Tap(None);
                }
            }
            OutgoingBody::Stream(body) => {
                let body_of_call = std::mem::replace(body, Body::empty());
                *body = Body::stream(Asking { body: body_of_call, call: Rc::clone(&call) });
            }
        }
        Tap(Some(call))
    }

    /// Goes on with the answer.
    pub(crate) fn observe(self, answer: UpstreamAnswer) -> UpstreamAnswer {
        let Tap(Some(call)) = self else { return answer };
        let UpstreamAnswer { status, headers, body } = answer;
        let mut answering = Answering {
            recording: Some(Recording {
                status,
                head: headers.clone(),
                written: Written::default(),
            }),
            body,
            call,
        };
        if answering.body.is_empty() {
            answering.ended(None, false);
            return UpstreamAnswer { status, headers, body: Body::empty() };
        }
        UpstreamAnswer { status, headers, body: Body::stream(answering) }
    }
}

/// The request, as it passes.
struct Asking {
    body: Body,
    call: Rc<Call>,
}

impl Source for Asking {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, BodyError>>> {
        let polled = self.body.poll_piece(cx);
        let mut asked = self.call.asked.borrow_mut();
        match &polled {
            Poll::Ready(Some(Ok(Piece::Data(data)))) => {
                let fitted = !asked.written.too_large;
                if !asked.written.add(data) && fitted {
                    self.call.mirror.dropped(Abandoned::BodyTooLarge);
                }
            }
            Poll::Ready(Some(Ok(Piece::Trailers(_))) | None) => asked.ended = true,
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        drop(asked);
        polled
    }
}

/// The answer, as it passes.
struct Answering {
    body: Body,
    /// `None` once the copy was offered or given up.
    recording: Option<Recording>,
    call: Rc<Call>,
}

struct Recording {
    status: StatusCode,
    head: HeaderMap,
    written: Written,
}

impl Answering {
    /// Offers the copy: the answer has ended, or its caller has left (`cut`).
    fn ended(&mut self, trailers: Option<HeaderMap>, cut: bool) {
        let Some(Recording { status, head, written }) = self.recording.take() else { return };
        let Call { mirror, headers, asked, had, began } = &*self.call;
        let mut asked = asked.borrow_mut();
        if !asked.ended || asked.written.too_large {
            return;
        }
        let request = std::mem::take(&mut asked.written.bytes).freeze();
        drop(asked);
        let bytes = request.len() + written.bytes.len();
        let place = match mirror.way.place(&mirror.room, bytes) {
            Ok(place) => place,
            Err(full) => return mirror.dropped(full),
        };
        let body = written.bytes.freeze();
        let copied = Copied {
            mirror: Arc::clone(mirror),
            headers: headers.clone(),
            request,
            primary: Recorded { status, head, body, trailers, cut },
            had: *had,
            took: began.elapsed(),
            _place: place,
        };
        mirror.way.offer(copied);
    }
}

impl Source for Answering {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, BodyError>>> {
        let polled = self.body.poll_piece(cx);
        match &polled {
            Poll::Ready(Some(Ok(Piece::Data(data)))) => {
                if let Some(recording) = &mut self.recording
                    && !recording.written.add(data)
                {
                    self.recording = None;
                    // Once a call, whichever of its bodies it is.
                    if !self.call.asked.borrow().written.too_large {
                        self.call.mirror.dropped(Abandoned::BodyTooLarge);
                    }
                }
            }
            Poll::Ready(Some(Ok(Piece::Trailers(trailers)))) => {
                self.ended(Some(trailers.clone()), false);
            }
            Poll::Ready(None) => self.ended(None, false),
            // The primary broke off: there is no answer to compare with.
            Poll::Ready(Some(Err(_))) => self.recording = None,
            Poll::Pending => {}
        }
        polled
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        // Whoever read it left. Of a stream the beginning is an answer too.
        if self.call.mirror.kind.many_answers()
            && self.recording.as_ref().is_some_and(|one| !one.written.bytes.is_empty())
        {
            self.ended(None, true);
        }
    }
}
