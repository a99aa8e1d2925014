//! What the gateway answers itself: server reflection and health, where a listener offers them, and
//! the settings of services, on the internal listener alone (hybrid SE-2).
//!
//! Rooms: what a caller may see (`describe`); the values of each service and who runs them
//! (`board`, `instances`), told and reported by gRPC (`settings`).
//!
//! Not here: which values a document gives (`tandem-config`); OpenAPI and the docs page, which will
//! stand here as well.

pub(crate) mod board;
mod describe;
pub(crate) mod instances;
mod settings;

use std::task::Poll;

use bytes::Bytes;
use http::StatusCode;
use http::header::{self, HeaderMap, HeaderValue};
use tandem_contract::directory::Audience;
use tandem_protocol::coding::{Bounds, Coding};
use tandem_protocol::compression;
use tandem_protocol::envelope::{self, EnvelopeReader};
use tandem_protocol::refusal::{Refusal, Shape};
use tandem_protocol::status::{Code, Status};

use self::describe::View;
use crate::body::{Body, BodyError, Piece, Source};
use crate::call::{Answer, Incoming, Version};
use crate::listen::Listener;
use crate::observe::{OwnService, Record};
use crate::path::Call;

/// Bytes of one question.
const QUESTION_BYTES_MOST: usize = 64 * 1024;

/// Which service of the gateway's own a request asks for, if the listener offers it.
pub(crate) fn asked(listener: &Listener, incoming: &Incoming, path: &str) -> Option<OwnService> {
    let grpc = incoming.version == Version::Http2
        && incoming.method == http::Method::POST
        && incoming
            .headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|media| media == "application/grpc" || media == "application/grpc+proto");
    match path {
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
        | "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
            if grpc && listener.reflection =>
        {
            Some(OwnService::Reflection)
        }
        "/grpc.health.v1.Health/Check" if grpc && listener.health => Some(OwnService::HealthCheck),
        "/tandem.settings.v1.Settings/Watch" if grpc && listener.internal => {
            Some(OwnService::SettingsWatch)
        }
        "/tandem.settings.v1.Settings/Report" if grpc && listener.internal => {
            Some(OwnService::SettingsReport)
        }
        _ => None,
    }
}

/// Answers; each question as it comes.
pub(crate) async fn answer(
    call: &Call,
    service: OwnService,
    audience: Audience<'_>,
    headers: &HeaderMap,
    body: Body,
    mut record: Record,
) -> Answer {
    record.is_own(service);
    let coding = match compression::of_request(headers) {
        Ok(coding) => coding,
        Err(refusal) => return call.refused(&refusal, Shape::Grpc, record),
    };
    let bounds =
        Bounds { bytes_max: QUESTION_BYTES_MOST, ratio_max: call.thread.limits.ratio as usize };
    let questions =
        Questions { body, reader: EnvelopeReader::new(QUESTION_BYTES_MOST), coding, bounds };
    let body = match service {
        OwnService::Reflection => {
            let view = View::of(call, audience);
            Body::stream(questions.each(None, move |question| Ok(view.reflect(question))))
        }
        OwnService::HealthCheck => {
            let view = View::of(call, audience);
            Body::stream(questions.each(Some(1), move |question| view.health(question)))
        }
        OwnService::SettingsReport => {
            let asker = settings::Asker::of(call, audience);
            Body::stream(questions.each(Some(1), move |question| asker.report(question)))
        }
        OwnService::SettingsWatch => {
            let asker = settings::Asker::of(call, audience);
            match settings::Watch::begin(asker, questions).await {
                Ok(watch) => Body::stream(watch),
                Err(status) => return refused(call, &status, record),
            }
        }
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    call.sign(&mut headers);
    record.head(200, None);
    Answer { status: StatusCode::OK, headers, body, record }
}

/// A refusal in the head: a caller that sees a head without it knows that it was heard.
fn refused(call: &Call, status: &Status, mut record: Record) -> Answer {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    status.put(&mut headers);
    call.sign(&mut headers);
    record.head(200, Some(status.code));
    Answer { status: StatusCode::OK, headers, body: Body::empty(), record }
}

type Polled = Poll<Option<Result<Piece, BodyError>>>;

/// What the caller sends, message by message.
struct Questions {
    body: Body,
    reader: EnvelopeReader,
    coding: Option<Coding>,
    bounds: Bounds,
}

impl Questions {
    /// The next message, or why there can be none; `None` after the last.
    fn poll_next(
        &mut self,
        cx: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<Result<Bytes, Status>, BodyError>>> {
        loop {
            match self.reader.next() {
                Some(Ok(question)) => {
                    let opened = compression::open(question, self.coding, self.bounds);
                    let opened = opened.map_err(|refusal| refusal.status(Shape::Grpc));
                    return Poll::Ready(Some(Ok(opened)));
                }
                Some(Err(error)) => {
                    let status = Refusal::of_envelope(error).status(Shape::Grpc);
                    return Poll::Ready(Some(Ok(Err(status))));
                }
                None => {}
            }
            match std::task::ready!(self.body.poll_piece(cx)) {
                Some(Ok(Piece::Data(data))) => self.reader.push(data),
                Some(Ok(Piece::Trailers(_))) => {}
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }

    /// Answers each message; `exactly` says how many there must be.
    fn each(
        mut self,
        exactly: Option<u32>,
        mut reply: impl FnMut(&Bytes) -> Result<Vec<u8>, Status> + 'static,
    ) -> impl Source + 'static {
        let mut ended = false;
        let mut answered = 0_u32;
        move |cx: &mut std::task::Context<'_>| {
            if ended {
                return Poll::Ready(None);
            }
            let outcome = match std::task::ready!(self.poll_next(cx)) {
                Some(Ok(question)) => question.and_then(|question| {
                    answered += 1;
                    if exactly.is_some_and(|exactly| answered > exactly) {
                        return Err(one_message("more came"));
                    }
                    reply(&question)
                }),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None if exactly.is_some_and(|exactly| answered < exactly) => {
                    Err(one_message("none came"))
                }
                None => Err(Status::new(Code::Ok, "")),
            };
            match outcome {
                Ok(reply) => data(envelope::frame(&reply)),
                Err(status) => {
                    ended = true;
                    trailers(&status)
                }
            }
        }
    }
}

fn one_message(but: &str) -> Status {
    Status::new(Code::Unimplemented, format!("the method takes one message, {but}"))
}

fn data(frame: Bytes) -> Polled {
    Poll::Ready(Some(Ok(Piece::Data(frame))))
}

fn trailers(status: &Status) -> Polled {
    let mut trailers = HeaderMap::new();
    status.put(&mut trailers);
    Poll::Ready(Some(Ok(Piece::Trailers(trailers))))
}
