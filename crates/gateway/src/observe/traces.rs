//! The last calls, kept in memory so that the way of one can be shown as a tree.
//!
//! Each data thread keeps the last [`KEPT`] spans. A span is one call through the gateway; a
//! service that calls on through the internal listener hands on the trace context, and its call
//! becomes a child of the span it came from (W3C Trace Context, level 1).
//!
//! Not here: export to a collector (`otlp`).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tandem_protocol::CallerProtocol;
use tandem_protocol::refusal::Reason;
use tandem_protocol::status::Code;

use super::way::Way;

/// Spans kept by each data thread: about 1.5 MB a thread.
const KEPT: usize = 4096;

/// One call through the gateway.
#[derive(Debug, Clone)]
pub struct Span {
    pub trace: [u8; 16],
    pub span: [u8; 8],
    /// The span that the call came from; `None` where the caller sent no trace context.
    pub parent: Option<[u8; 8]>,
    /// It goes to the collector, where there is one.
    pub sampled: bool,
    /// What was called, in the caller's words: `POST /v1/products` or `/package.Service/Method`.
    pub name: Arc<str>,
    /// `package.Service/Method`; empty where the call was refused before that was known.
    pub method: Arc<str>,
    /// `None` where the call was refused before that was known.
    pub protocol: Option<CallerProtocol>,
    pub listener: Arc<str>,
    /// Who called, where that was asked or passed on by a service.
    pub principal: Option<Arc<str>>,
    /// Name of the upstream that answered; `None` where none was asked.
    pub upstream: Option<Arc<str>>,
    /// Since 1970-01-01 UTC, by the clock of the wall.
    pub started: Duration,
    pub took: Duration,
    /// Where the time went.
    pub way: Way,
    pub code: Code,
    /// Why the gateway itself ended the call; `None` where it did not.
    pub reason: Option<Reason>,
    pub http_status: u16,
    pub request_id: Arc<str>,
    /// Bytes of the request's body, as far as the path has taken it.
    pub received_bytes: u64,
    /// Bytes of the answer's body.
    pub sent_bytes: u64,
    /// The caller left before the end.
    pub abandoned: bool,
}

#[derive(Debug, Default)]
pub(super) struct Ring {
    spans: VecDeque<Span>,
}

impl Ring {
    pub(super) fn push(&mut self, span: Span) {
        if self.spans.len() == KEPT {
            self.spans.pop_front();
        }
        self.spans.push_back(span);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Span> {
        self.spans.iter()
    }
}
