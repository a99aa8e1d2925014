//! Messages of gRPC callers that write JSON (`application/grpc+json`, protocols G-3).
//!
//! Upstreams speak protobuf only, so such messages are written anew in both directions, one at a
//! time, by the codec that serves REST. Compressed ones are taken; answers go out as they are.
//!
//! Not here: what holds for every gRPC call (`grpc`).

use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::HeaderMap;
use tandem_contract::MessageId;
use tandem_protocol::coding::{Bounds, Coding};
use tandem_protocol::compression;
use tandem_protocol::envelope::{self, Envelope, EnvelopeReader};
use tandem_protocol::refusal::{Refusal, Shape};
use tandem_transcode::{
    JsonOptions, Limits as JsonLimits, Plans, append_json_from_wire, append_wire_from_json,
};

use super::unusable;
use crate::body::{Body, BodyError, Piece, Source};
use crate::observe::Told;
use crate::path::Call;
use crate::path::pace::Pace;
use crate::snapshot::MethodPlan;
use crate::upstream::Upstream;

/// How the messages of one direction are read and written.
pub(super) struct Messages {
    pub(super) plans: Arc<Plans>,
    pub(super) message: MessageId,
    pub(super) options: JsonOptions,
    pub(super) limits: JsonLimits,
}

impl Messages {
    pub(super) fn of(call: &Call, plan: &MethodPlan, message: MessageId) -> Messages {
        let limits = JsonLimits {
            json_depth: call.thread.limits.json_depth,
            json_nodes: call.thread.limits.json_nodes,
            ..JsonLimits::default()
        };
        let options = plan.bind_options().json;
        Messages { plans: Arc::clone(&plan.plans), message, options, limits }
    }
}

/// The request: JSON in, protobuf out.
pub(super) struct FromJson {
    body: Body,
    reader: EnvelopeReader,
    coding: Option<Coding>,
    bounds: Bounds,
    messages: Messages,
    pace: Pace,
    /// Bytes that came last.
    latest: usize,
    told: Rc<Told>,
}

impl FromJson {
    /// `coding` is what the caller named; `bounds` hold for JSON after decoding.
    pub(super) fn new(
        body: Body,
        coding: Option<Coding>,
        bounds: Bounds,
        messages: Messages,
        pace: Pace,
        told: Rc<Told>,
    ) -> FromJson {
        let reader = EnvelopeReader::new(bounds.bytes_max);
        FromJson { body, reader, coding, bounds, messages, pace, latest: 0, told }
    }

    fn written(&self, envelope: Envelope) -> Result<Piece, Refusal> {
        let json = compression::open(envelope, self.coding, self.bounds)?;
        let Messages { plans, message, options, limits } = &self.messages;
        let mut out = Vec::with_capacity(envelope::HEAD + json.len());
        envelope::begin(&mut out);
        append_wire_from_json(plans, *message, &json, options, limits, &mut out)
            .map_err(|fault| Refusal::of_fault(&fault))?;
        Ok(Piece::Data(envelope::seal(out)))
    }

    fn refuse(&self, refusal: Refusal) -> Poll<Option<Result<Piece, BodyError>>> {
        *self.told.fault.borrow_mut() = Some(refusal);
        Poll::Ready(Some(Err(BodyError::Aborted("the request was refused"))))
    }
}

impl Source for FromJson {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, BodyError>>> {
        loop {
            match self.reader.next() {
                Some(Ok(envelope)) => {
                    self.pace.completed(self.latest);
                    return match self.written(envelope) {
                        Ok(piece) => Poll::Ready(Some(Ok(piece))),
                        Err(refusal) => self.refuse(refusal),
                    };
                }
                Some(Err(error)) => return self.refuse(Refusal::of_envelope(error)),
                None => {}
            }
            let inside = self.reader.end().is_err();
            let Poll::Ready(piece) = self.body.poll_piece(cx) else {
                if inside && let Poll::Ready(late) = self.pace.poll_late(cx) {
                    return self.refuse(late);
                }
                return Poll::Pending;
            };
            match piece {
                Some(Ok(Piece::Data(data))) => {
                    self.latest = data.len();
                    self.pace.came(data.len(), inside);
                    self.reader.push(data);
                }
                Some(Ok(Piece::Trailers(_))) | None => {
                    return match self.reader.end() {
                        Ok(()) => Poll::Ready(None),
                        Err(error) => self.refuse(Refusal::of_envelope(error)),
                    };
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
            }
        }
    }
}

/// The answer: protobuf in, JSON out. What comes in has been judged and is not compressed.
pub(super) struct IntoJson {
    /// `None` once a status of ours was given in place of the rest.
    body: Option<Body>,
    reader: EnvelopeReader,
    messages: Messages,
    upstream: Arc<Upstream>,
    told: Rc<Told>,
}

impl IntoJson {
    pub(super) fn new(
        body: Body,
        messages: Messages,
        upstream: &Arc<Upstream>,
        told: Rc<Told>,
    ) -> IntoJson {
        let reader = EnvelopeReader::new(upstream.message_bytes_max as usize);
        IntoJson { body: Some(body), reader, messages, upstream: Arc::clone(upstream), told }
    }

    fn written(&self, envelope: &Envelope) -> Result<Piece, Refusal> {
        let Messages { plans, message, options, limits } = &self.messages;
        let mut out = Vec::with_capacity(envelope::HEAD + envelope.payload.len() * 2 + 64);
        envelope::begin(&mut out);
        append_json_from_wire(plans, *message, &envelope.payload, options, limits, &mut out)
            .map_err(|fault| Refusal::of_fault(&fault))?;
        Ok(Piece::Data(envelope::seal(out)))
    }

    /// Ends the answer with a refusal in its trailers and cancels the rest at the upstream.
    fn break_off(&mut self, refusal: &Refusal) -> Poll<Option<Result<Piece, BodyError>>> {
        self.body = None;
        self.told.refused(refusal);
        tracing::warn!(upstream = %self.upstream.name, "{}", refusal.log);
        let mut trailers = HeaderMap::new();
        refusal.status(Shape::Grpc).put(&mut trailers);
        Poll::Ready(Some(Ok(Piece::Trailers(trailers))))
    }
}

impl Source for IntoJson {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Piece, BodyError>>> {
        loop {
            let Some(body) = &mut self.body else { return Poll::Ready(None) };
            match self.reader.next() {
                Some(Ok(envelope)) => {
                    return match self.written(&envelope) {
                        Ok(piece) => Poll::Ready(Some(Ok(piece))),
                        Err(refusal) => self.break_off(&refusal),
                    };
                }
                Some(Err(error)) => {
                    let refusal = unusable(&self.upstream, &error.to_string());
                    return self.break_off(&refusal);
                }
                None => {}
            }
            match ready!(body.poll_piece(cx)) {
                Some(Ok(Piece::Data(data))) => self.reader.push(data),
                last => return Poll::Ready(last),
            }
        }
    }
}
