//! The request that is a stream of messages, on its way in.
//!
//! Path and query bind into the first message of a stream (protocols S-10). What of them cannot
//! be bound is found before anything reaches the upstream; a fault in a later element names it
//! and cancels the upstream (S-9). What came is handed on before more is taken, a coded body as
//! far as its sender has flushed it, so memory is one message and one chunk however long it lives.
//!
//! Not here: requests that are one message (`whole`), where an element of a body ends
//! (`protocol::values`), how it is bound (`transcode`).

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::header::HeaderMap;
use tandem_protocol::refusal::{Limit, Reason, Refusal};
use tandem_protocol::values::{Values, ValuesError};
use tandem_protocol::{coding, envelope, rest};
use tandem_transcode::{Fault, RestRequest, next_request_from_rest, request_from_rest};

use super::{Place, Reading};
use crate::body::{Body, BodyError, Piece, Source};
use crate::observe::{Record, Told};
use crate::path::Call;
use crate::path::grpc::Activity;
use crate::path::pace::Pace;
use crate::upstream::OutgoingBody;

/// What a request is made of.
pub(super) struct Asking<'a> {
    pub(super) values: &'a [String],
    pub(super) query: Option<&'a str>,
    pub(super) http_method: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: Body,
}

/// What goes to the upstream, and how far it has come.
pub(super) struct Asked {
    pub(super) body: OutgoingBody,
    /// `None` where all of it is at hand.
    pub(super) progress: Option<Rc<Progress>>,
}

impl Asked {
    pub(super) fn whole(message: Bytes) -> Asked {
        Asked { body: OutgoingBody::Whole(message), progress: None }
    }
}

/// What the answer's side must know of a request that is still on its way.
#[derive(Default)]
pub(super) struct Progress {
    fault: RefCell<Option<Refusal>>,
    ended: Cell<bool>,
}

impl Progress {
    /// The fault of the caller that ended the request, given out once.
    pub(super) fn take_fault(&self) -> Option<Refusal> {
        self.fault.borrow_mut().take()
    }

    /// Whether nothing more goes to the upstream.
    pub(super) fn ended(&self) -> bool {
        self.ended.get()
    }
}

/// Writes one message behind its head.
pub(super) fn framed(
    bytes: usize,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), Fault>,
) -> Result<Bytes, Fault> {
    let mut message = Vec::with_capacity(envelope::HEAD + bytes + 64);
    envelope::begin(&mut message);
    write(&mut message)?;
    Ok(envelope::seal(message))
}

/// The messages of a request, one after the other. Unless the caller reads while it writes
/// (`duplex`), the first one is waited for, so that a fault in it reaches no upstream.
pub(super) async fn stream(
    call: &Call,
    place: &Place,
    reading: Reading,
    asking: Asking<'_>,
    (activity, record): (&Rc<Activity>, &mut Record),
    duplex: bool,
) -> Result<Asked, Refusal> {
    let Asking { values, query, http_method, headers, body } = asking;
    let (plan, rule) = (place.plan(), place.rule());
    let parts = if rule.takes_raw() {
        Parts::Raw(BytesMut::new())
    } else if body.is_empty() {
        Parts::None
    } else {
        let may_be_list = rule.body_may_be_list(plan.plans.contract());
        let layout = rest::body_of_values(headers, may_be_list)?;
        Parts::Values(Values::new(layout, plan.message_bytes_max))
    };
    let coded = match coding::of_body(headers)? {
        Some(coding) => Some(coding::Pieces::new(coding, call.thread.limits.ratio as usize)?),
        None => None,
    };
    let content_type = if rule.takes_raw() { rest::content_type(headers)? } else { None };
    let progress = Rc::<Progress>::default();
    let told = record.told_by_body();
    let mut gate = RequestGate {
        body,
        coded,
        parts,
        pace: Pace::new(&call.thread.limits),
        latest: 0,
        ended: false,
        first: None,
        begun: false,
        place: place.clone(),
        reading,
        values: values.to_vec(),
        query: query.map(str::to_owned),
        content_type: content_type.map(str::to_owned),
        http_method: http_method.to_owned(),
        progress: Rc::clone(&progress),
        activity: Rc::clone(activity),
        told,
    };
    gate.bind(b"").map_err(|fault| Refusal::of_fault(&fault))?;
    gate.begun = false;
    if !duplex {
        gate.first = poll_fn(|cx| gate.poll_message(cx)).await?;
    }
    Ok(Asked { body: OutgoingBody::Stream(Body::stream(gate)), progress: Some(progress) })
}

/// Bytes of a raw body that make one message (protocols I-8).
const RAW_PART_BYTES: usize = 64 * 1024;

/// What has come of the body and is no message yet.
enum Parts {
    None,
    Values(Values),
    Raw(BytesMut),
}

impl Parts {
    fn push(&mut self, data: &[u8]) {
        match self {
            Parts::None => {}
            Parts::Values(values) => values.push(data),
            Parts::Raw(bytes) => bytes.extend_from_slice(data),
        }
    }

    fn next(&mut self) -> Option<Result<Bytes, ValuesError>> {
        match self {
            Parts::None => None,
            Parts::Values(values) => values.next(),
            Parts::Raw(bytes) if bytes.len() >= RAW_PART_BYTES => {
                Some(Ok(bytes.split_to(RAW_PART_BYTES).freeze()))
            }
            Parts::Raw(_) => None,
        }
    }

    /// Whether a message is under way.
    fn is_inside(&self) -> bool {
        match self {
            Parts::None => false,
            Parts::Values(values) => values.is_inside(),
            Parts::Raw(bytes) => !bytes.is_empty(),
        }
    }

    fn end(&mut self) -> Result<Option<Bytes>, ValuesError> {
        match self {
            Parts::None => Ok(None),
            Parts::Values(values) => values.end(),
            Parts::Raw(bytes) if bytes.is_empty() => Ok(None),
            Parts::Raw(bytes) => Ok(Some(bytes.split().freeze())),
        }
    }
}

/// Turns the body of the caller into the messages of the upstream, one at a time.
struct RequestGate {
    body: Body,
    /// Of a coded body.
    coded: Option<coding::Pieces>,
    parts: Parts,
    pace: Pace,
    /// Bytes that came last.
    latest: usize,
    /// The body has ended.
    ended: bool,
    /// A message that was made beforehand.
    first: Option<Bytes>,
    /// A message was bound: the next one is not the first.
    begun: bool,
    place: Place,
    reading: Reading,
    values: Vec<String>,
    query: Option<String>,
    content_type: Option<String>,
    http_method: String,
    progress: Rc<Progress>,
    activity: Rc<Activity>,
    /// `None` where the body was counted already.
    told: Rc<Told>,
}

impl RequestGate {
    /// The next message with its head; `None` behind the last.
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Refusal>> {
        loop {
            match self.parts.next() {
                Some(Ok(part)) => {
                    self.pace.completed(self.latest);
                    return Poll::Ready(self.element(&part).map(Some));
                }
                Some(Err(error)) => return Poll::Ready(Err(self.unusable(error))),
                None if self.ended => return Poll::Ready(Ok(None)),
                None => {}
            }
            match self.coded.as_mut().and_then(coding::Pieces::next) {
                Some(Ok(decoded)) => {
                    self.parts.push(decoded);
                    continue;
                }
                Some(Err(refusal)) => return Poll::Ready(Err(self.of_element(refusal, 0))),
                None => {}
            }
            let Poll::Ready(piece) = self.body.poll_piece(cx) else {
                return match self.parts.is_inside() {
                    true => self.pace.poll_late(cx).map(|late| Err(self.of_element(late, 0))),
                    false => Poll::Pending,
                };
            };
            match piece {
                Some(Ok(Piece::Data(data))) => {
                    self.activity.seen();
                    self.told.received(data.len());
                    self.latest = data.len();
                    self.pace.came(data.len(), self.parts.is_inside());
                    match &mut self.coded {
                        None => self.parts.push(&data),
                        Some(coded) => coded.push(data),
                    }
                }
                Some(Err(error)) => {
                    let refusal = Refusal::new(Reason::Malformed, "the body broke off");
                    let log = format!("the request body: {error}");
                    return Poll::Ready(Err(refusal.logged(log)));
                }
                // Request trailers are dropped (protocols M-6); they end the request.
                Some(Ok(Piece::Trailers(_))) | None => {
                    self.ended = true;
                    if let Some(Err(refusal)) = self.coded.as_ref().map(coding::Pieces::end) {
                        return Poll::Ready(Err(refusal));
                    }
                    return Poll::Ready(match self.parts.end() {
                        Ok(Some(last)) => self.element(&last).map(Some),
                        // What path and query say is not lost for want of an element.
                        Ok(None) if !self.begun && self.says_something() => {
                            self.element(b"").map(Some)
                        }
                        Ok(None) => Ok(None),
                        Err(error) => Err(self.unusable(error)),
                    });
                }
            }
        }
    }

    /// Whether there is something for a first message beside the body.
    fn says_something(&self) -> bool {
        !self.values.is_empty()
            || self.query.as_ref().is_some_and(|query| !query.is_empty())
            || self.content_type.is_some()
    }

    fn element(&mut self, part: &[u8]) -> Result<Bytes, Refusal> {
        self.bind(part).map_err(|fault| self.of_element(Refusal::of_fault(&fault), 1))
    }

    fn bind(&mut self, part: &[u8]) -> Result<Bytes, Fault> {
        let first = !std::mem::replace(&mut self.begun, true);
        let request = RestRequest {
            rule: self.place.rule(),
            values: &self.values,
            query: self.query.as_deref(),
            body: part,
            // The type stands in the first message (protocols I-8).
            content_type: self.content_type.as_deref().filter(|_| first),
            http_method: &self.http_method,
        };
        let plans = &self.place.plan().plans;
        let Reading { options, limits } = &self.reading;
        framed(part.len(), |out| {
            if first {
                request_from_rest(plans, request, options, limits, out)
            } else {
                next_request_from_rest(plans, request, options, limits, out)
            }
        })
    }

    fn unusable(&self, error: ValuesError) -> Refusal {
        let limit = matches!(error, ValuesError::TooLarge { .. }).then_some(Limit::Message);
        let reason = match error {
            ValuesError::TooLarge { .. } => Reason::TooLarge,
            ValuesError::NoList { .. }
            | ValuesError::NoValue { .. }
            | ValuesError::NoComma { .. }
            | ValuesError::Behind { .. }
            | ValuesError::Truncated => Reason::Malformed,
        };
        self.of_element(Refusal { limit, ..Refusal::new(reason, error.to_string()) }, 0)
    }

    /// Names the element, `back` before the next one (protocols S-9).
    fn of_element(&self, refusal: Refusal, back: u64) -> Refusal {
        let Parts::Values(values) = &self.parts else { return refusal };
        let number = values.count().saturating_sub(back);
        let mut refusal = refusal;
        for violation in &mut refusal.violations {
            violation.description = format!("element {number}: {}", violation.description);
        }
        refusal.message = format!("element {number}: {}", refusal.message);
        refusal.log = format!("element {number}: {}", refusal.log);
        refusal
    }
}

impl Source for RequestGate {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, BodyError>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Piece::Data(first))));
        }
        Poll::Ready(match std::task::ready!(self.poll_message(cx)) {
            Ok(Some(message)) => Some(Ok(Piece::Data(message))),
            Ok(None) => {
                self.progress.ended.set(true);
                None
            }
            Err(refusal) => {
                *self.progress.fault.borrow_mut() = Some(refusal);
                self.progress.ended.set(true);
                Some(Err(BodyError::Aborted("the request was refused")))
            }
        })
    }
}
