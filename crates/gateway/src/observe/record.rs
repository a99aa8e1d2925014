//! The record of one call; it rides on the answer.
//!
//! It is begun when the head is in, learns on the way what the call is, and is closed when the
//! last byte of the answer has been handed over. Dropped open, it says that the caller left:
//! code CANCELLED, marked as abandoned. A spine that closed its books when it returned would
//! count every stream as instant.
//!
//! Whatever is counted of a call is counted when its record is closed, so nothing is counted
//! twice and nothing of a call that has not ended.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use tandem_protocol::CallerProtocol;
use tandem_protocol::refusal::{Limit, Reason, Refusal};
use tandem_protocol::status::Code;
use tokio::time::Instant;

use super::debug::{self, Debug};
use super::metrics::MethodCounters;
use super::shard::{OwnService, Shard};
use super::traces::Span;
use super::upstreams::UpstreamCounters;
use super::way::{Journey, Way};
use crate::body::BodyError;
use crate::cache::CacheUse;
use crate::policy::limit::{Held, ToldLimits};

/// The trace that a call belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TraceContext {
    pub(crate) trace: [u8; 16],
    /// Our own span; parent of whatever the upstream does.
    pub(crate) span: [u8; 8],
    pub(crate) parent: Option<[u8; 8]>,
    /// It goes to the collector.
    pub(crate) sampled: bool,
}

/// What is known when a record begins.
pub(crate) struct Begin {
    pub(crate) shard: Rc<Shard>,
    pub(crate) thread: usize,
    pub(crate) listener: Arc<str>,
    pub(crate) context: TraceContext,
    pub(crate) request_id: Arc<str>,
    /// When the head was in.
    pub(crate) began: Instant,
    /// When it had begun to come, where that is known.
    pub(crate) head_began: Option<Instant>,
}

/// The open record of a call.
pub struct Record {
    begin: Begin,
    journey: Journey,
    started_unix: Duration,
    name: Option<Arc<str>>,
    counters: Option<Arc<MethodCounters>>,
    protocol: Option<CallerProtocol>,
    own: Option<OwnService>,
    upstream: Option<Arc<UpstreamCounters>>,
    /// Of a call that was made for several, and counted by whoever made it.
    fetched_of: Option<Arc<str>>,
    /// Where it is hit, stale or shared, the service did not get this call: it is no sample for a
    /// mirror.
    cache: Option<CacheUse>,
    code: Option<Code>,
    refusal: Option<Refused>,
    told: Option<Rc<Told>>,
    debug: Debug,
    principal: Option<Arc<str>>,
    /// What the answer says of the limits of the caller.
    limits: Option<ToldLimits>,
    /// What the call holds of them, until it ends.
    held: Option<Held>,
    http_status: u16,
    received_bytes: u64,
    sent_bytes: u64,
    closed: bool,
}

/// Why a call was not carried, or not to its end.
pub(super) type Refused = (Reason, Option<Limit>);

/// What the bodies of a call say beside their bytes, to each other and to the record. One
/// allocation for calls that have bodies which are streams.
#[derive(Default)]
pub(crate) struct Told {
    code: Cell<Option<Code>>,
    refusal: Cell<Option<Refused>>,
    received_bytes: Cell<u64>,
    /// A fault of the caller that was found while its request went out.
    pub(crate) fault: RefCell<Option<Refusal>>,
}

impl Told {
    /// The answer ends with this code, which it says in its own bytes.
    pub(crate) fn ended(&self, code: Code) {
        self.code.set(Some(code));
    }

    /// The answer was broken off for this reason; the caller is told by whoever says so.
    pub(crate) fn refused(&self, refusal: &Refusal) {
        self.refusal.set(Some((refusal.reason, refusal.limit)));
    }

    /// Bytes of the request came.
    pub(crate) fn received(&self, bytes: usize) {
        self.received_bytes.set(self.received_bytes.get() + bytes as u64);
    }
}

impl Record {
    pub(crate) fn begin(begin: Begin) -> Record {
        let started_unix =
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let journey = Journey::new(begin.began, begin.head_began);
        Record {
            begin,
            journey,
            started_unix,
            name: None,
            counters: None,
            protocol: None,
            own: None,
            upstream: None,
            fetched_of: None,
            cache: None,
            code: None,
            refusal: None,
            told: None,
            debug: Debug::NOTHING,
            principal: None,
            limits: None,
            held: None,
            http_status: 0,
            received_bytes: 0,
            sent_bytes: 0,
            closed: false,
        }
    }

    /// The call is one of a known method from here on.
    pub(crate) fn detected(
        &mut self,
        protocol: CallerProtocol,
        name: &Arc<str>,
        counters: &Arc<MethodCounters>,
    ) {
        counters.began(self.begin.thread);
        self.protocol = Some(protocol);
        self.name = Some(Arc::clone(name));
        self.counters = Some(Arc::clone(counters));
        self.journey.detected();
    }

    /// The gateway answers the call itself.
    pub(crate) fn is_own(&mut self, service: OwnService) {
        self.protocol = Some(CallerProtocol::Grpc);
        self.own = Some(service);
        self.journey.is_own();
    }

    /// The call may go on.
    pub(crate) fn admitted(&mut self) {
        self.journey.admitted();
    }

    /// Who calls, where that is known; never by which credential.
    pub(crate) fn caller(&mut self, principal: Option<Arc<str>>) {
        self.principal = principal;
    }

    /// What the answer says of the limits of the caller.
    pub(crate) fn limits(&mut self, told: Option<ToldLimits>) {
        self.limits = told;
    }

    /// What is given back when the call ends.
    pub(crate) fn holds(&mut self, held: Held) {
        self.held = Some(held);
    }

    /// What the caller asked to be told, and may be told.
    pub(crate) fn tells(&mut self, debug: Debug) {
        self.debug = debug;
    }

    /// The request goes out to an upstream. What it meets on the way is noted in what comes back.
    pub(crate) fn asked(&mut self, upstream: &Arc<UpstreamCounters>) -> &mut Journey {
        self.upstream = Some(Arc::clone(upstream));
        self.journey.asked();
        &mut self.journey
    }

    /// What is kept is asked first.
    pub(crate) fn asked_of_cache(&mut self) {
        self.journey.asked();
    }

    /// How the call was answered, its method keeping answers.
    pub(crate) fn cache_used(&mut self, made: CacheUse) {
        self.cache = Some(made);
        self.journey.cache_used(made);
        if made != CacheUse::Passed {
            self.journey.over();
        }
    }

    /// This call asked the upstream for everybody who waited, in this way.
    pub(crate) fn fetched(&mut self, upstream: &Arc<str>, way: Way) {
        self.fetched_of = Some(Arc::clone(upstream));
        self.journey.fetched(way);
    }

    /// Nothing more is wanted of the upstream.
    pub(crate) fn upstream_over(&mut self) {
        self.journey.over();
    }

    /// The head of the answer, as the caller sees it, and its code where it is known by now.
    pub(crate) fn head(&mut self, http_status: u16, code: Option<Code>) {
        self.http_status = http_status;
        self.code = code;
        self.journey.answered(code.is_some());
    }

    /// The answer is a refusal of ours.
    pub(crate) fn refused(&mut self, refusal: &Refusal) {
        self.refusal = Some((refusal.reason, refusal.limit));
    }

    /// Puts what the caller may be told of its call into the head of the answer.
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        if let Some(limits) = &self.limits {
            limits.put(headers);
        }
        if self.debug != Debug::NOTHING {
            let served_by = self.upstream.as_ref().map(|upstream| &upstream.upstream);
            let served_by = served_by.or(self.fetched_of.as_ref()).map(|name| &**name);
            let took = self.journey.took();
            debug::put_in_head(self.debug, self.journey.way(), took, served_by, headers);
        }
    }

    /// Where bodies tell what they have to tell.
    pub(crate) fn told_by_body(&mut self) -> Rc<Told> {
        Rc::clone(self.told.get_or_insert_default())
    }

    /// Bytes of the request came.
    pub(crate) fn received(&mut self, bytes: usize) {
        self.received_bytes += bytes as u64;
    }

    pub(crate) fn sent(&mut self, bytes: usize) {
        self.sent_bytes += bytes as u64;
    }

    /// Trailers pass on their way to the caller: they hold the code of a stream, and what the
    /// caller may be told of all of it.
    pub(crate) fn see_trailers(&mut self, trailers: &mut HeaderMap) {
        if let Some(status) = trailers.get("grpc-status") {
            let number = status.to_str().ok().and_then(|text| text.parse().ok());
            self.code = Some(number.map_or(Code::Unknown, Code::from_number));
        }
        self.journey.over();
        if self.debug != Debug::NOTHING {
            let took = self.journey.took();
            debug::put_in_trailers(self.debug, self.journey.way(), took, trailers);
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

    /// Takes what the bodies have told.
    fn hear(&mut self) {
        let Some(told) = &self.told else { return };
        if let Some(code) = told.code.take() {
            self.code = Some(code);
        }
        if let Some(refused) = told.refusal.take() {
            self.refusal = Some(refused);
        }
        self.received_bytes += told.received_bytes.take();
    }

    fn close(&mut self, abandoned: bool) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        // Before anything of the end can be seen, so that the next call finds it given back.
        self.held = None;
        self.hear();
        let took = self.journey.took();
        let code = if abandoned { Code::Cancelled } else { self.code.unwrap_or(Code::Unknown) };
        let Begin { shard, thread, listener, context, request_id, .. } = &self.begin;
        let ours = self.refusal.is_some_and(|(reason, _)| {
            let failed = [Reason::Unavailable, Reason::UpstreamUnusable, Reason::Bug];
            failed.contains(&reason) && !abandoned
        });
        let method = match (&self.counters, self.own) {
            (Some(counters), _) => {
                counters.ended(*thread, code, took, abandoned, ours);
                if let Some(made) = self.cache {
                    counters.cache_used(*thread, made);
                }
                Arc::clone(&counters.method)
            }
            (None, Some(service)) => {
                shard.count_own(service);
                service.method()
            }
            (None, None) => {
                shard.count_refused();
                Arc::from("")
            }
        };
        if abandoned {
            shard.count_abandoned();
        }
        let way = self.journey.take();
        if let Some(upstream) = &self.upstream {
            upstream.ended(*thread, code, way.upstream_took());
        }
        // A caller that left was told nothing, whatever there was to say.
        let refusal = self.refusal.filter(|_| !abandoned);
        if let Some((reason, limit)) = refusal {
            shard.count_refusal(reason, limit);
        }
        let name = match self.own {
            Some(service) => service.method(),
            None => self.name.take().unwrap_or_else(|| Arc::from("refused")),
        };
        shard.keep(Span {
            trace: context.trace,
            span: context.span,
            parent: context.parent,
            sampled: context.sampled,
            name,
            method,
            protocol: self.protocol,
            listener: Arc::clone(listener),
            principal: self.principal.take(),
            upstream: self
                .upstream
                .take()
                .map(|upstream| Arc::clone(&upstream.upstream))
                .or_else(|| self.fetched_of.take()),
            started: self.started_unix,
            took,
            way,
            code,
            reason: refusal.map(|(reason, _)| reason),
            http_status: self.http_status,
            request_id: Arc::clone(request_id),
            received_bytes: self.received_bytes,
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
