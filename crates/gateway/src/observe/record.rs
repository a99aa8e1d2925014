//! The record of one call; it rides on the answer.
//!
//! It is begun when the head is in, learns on the way what the call is, and is closed when the
//! last byte of the answer has been handed over. Dropped open, it says that the caller left:
//! code CANCELLED, marked as abandoned. A spine that closed its books when it returned would
//! count every stream as instant.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use tandem_protocol::status::Code;
use tokio::time::Instant;

use super::metrics::MethodCounters;
use super::shard::Shard;
use super::traces::Span;
use crate::body::BodyError;

/// The trace that a call belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TraceContext {
    pub(crate) trace: [u8; 16],
    /// Our own span; parent of whatever the upstream does.
    pub(crate) span: [u8; 8],
    pub(crate) parent: Option<[u8; 8]>,
}

/// What is known when a record begins.
pub(crate) struct Begin {
    pub(crate) shard: Rc<Shard>,
    pub(crate) thread: usize,
    pub(crate) listener: Arc<str>,
    pub(crate) context: TraceContext,
    pub(crate) request_id: Arc<str>,
}

/// The open record of a call.
pub struct Record {
    begin: Begin,
    started: Instant,
    started_unix: Duration,
    name: Option<Arc<str>>,
    counters: Option<Arc<MethodCounters>>,
    upstream: Option<Arc<str>>,
    upstream_began: Option<Instant>,
    upstream_took: Option<Duration>,
    code: Option<Code>,
    told: Option<Rc<Cell<Option<Code>>>>,
    http_status: u16,
    sent_bytes: u64,
    closed: bool,
}

impl Record {
    pub(crate) fn begin(begin: Begin) -> Record {
        let started_unix =
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Record {
            begin,
            started: Instant::now(),
            started_unix,
            name: None,
            counters: None,
            upstream: None,
            upstream_began: None,
            upstream_took: None,
            code: None,
            told: None,
            http_status: 0,
            sent_bytes: 0,
            closed: false,
        }
    }

    /// The call is one of a known method from here on.
    pub(crate) fn detected(&mut self, name: &Arc<str>, counters: &Arc<MethodCounters>) {
        counters.began(self.begin.thread);
        self.name = Some(Arc::clone(name));
        self.counters = Some(Arc::clone(counters));
    }

    /// The request goes out to an upstream.
    pub(crate) fn asked(&mut self, upstream: &Arc<str>) {
        self.upstream = Some(Arc::clone(upstream));
        self.upstream_began = Some(Instant::now());
    }

    /// The head of the upstream's answer is there.
    pub(crate) fn answered(&mut self) {
        self.upstream_took = self.upstream_began.map(|began| began.elapsed());
    }

    /// The head of the answer, as the caller sees it, and its code where it is known by now.
    pub(crate) fn head(&mut self, http_status: u16, code: Option<Code>) {
        self.http_status = http_status;
        self.code = code;
    }

    /// Where the code is told of an answer that says it in its own bytes, not in trailers.
    pub(crate) fn told_by_body(&mut self) -> Rc<Cell<Option<Code>>> {
        Rc::clone(self.told.get_or_insert_default())
    }

    pub(crate) fn sent(&mut self, bytes: usize) {
        self.sent_bytes += bytes as u64;
    }

    /// Trailers pass on their way to the caller: they hold the code of a stream.
    pub(crate) fn saw_trailers(&mut self, trailers: &HeaderMap) {
        if let Some(status) = trailers.get("grpc-status") {
            let number = status.to_str().ok().and_then(|text| text.parse().ok());
            self.code = Some(number.map_or(Code::Unknown, Code::from_number));
        }
    }

    /// The answer broke off, and the caller saw it break.
    pub(crate) fn failed(&mut self, _error: &BodyError) {
        self.hear();
        if self.code.is_none_or(|code| code == Code::Ok) {
            self.code = Some(Code::Internal);
        }
        self.close(false);
    }

    /// The last byte of the answer has been handed over.
    pub(crate) fn finish(&mut self) {
        self.close(false);
    }

    /// Takes the code that the body has told.
    fn hear(&mut self) {
        if let Some(code) = self.told.as_ref().and_then(|told| told.take()) {
            self.code = Some(code);
        }
    }

    fn close(&mut self, abandoned: bool) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        self.hear();
        let took = self.started.elapsed();
        let code = if abandoned { Code::Cancelled } else { self.code.unwrap_or(Code::Unknown) };
        let Begin { shard, thread, listener, context, request_id } = &self.begin;
        let method = match &self.counters {
            Some(counters) => {
                counters.ended(*thread, code, took, abandoned);
                Arc::clone(&counters.method)
            }
            None => {
                shard.count_refused();
                Arc::from("")
            }
        };
        if abandoned {
            shard.count_abandoned();
        }
        shard.keep(Span {
            trace: context.trace,
            span: context.span,
            parent: context.parent,
            name: self.name.take().unwrap_or_else(|| Arc::from("refused")),
            method,
            listener: Arc::clone(listener),
            upstream: self.upstream.take(),
            started: self.started_unix,
            took,
            upstream_took: self.upstream_took,
            code,
            http_status: self.http_status,
            request_id: Arc::clone(request_id),
            sent_bytes: self.sent_bytes,
            abandoned,
        });
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.close(true);
    }
}
