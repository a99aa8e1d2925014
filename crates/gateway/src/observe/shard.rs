//! Counters of one data thread that belong to no method.
//!
//! Only the thread writes, readers add up over threads; relaxed atomics because no reader draws
//! a conclusion from two counters at once.

use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use tandem_protocol::refusal::{Limit, Reason};
use tokio::time::Instant;

use super::access_log::AccessLog;
use super::export::{Exporter, Sampler};
use super::traces::{Ring, Span};
use crate::policy::auth::TokenCheck;

/// The writing half; stays on its data thread.
pub(crate) struct Shard {
    counters: Arc<Counters>,
    // A lock of this thread's own: readers (the admin API) take it for a copy, seldom; the
    // thread finds it free.
    ring: Arc<Mutex<Ring>>,
    access_log: OnceCell<AccessLog>,
    export: OnceCell<(Exporter, Sampler)>,
}

/// The reading half of one thread's shard.
#[derive(Clone)]
pub(crate) struct ShardReader {
    counters: Arc<Counters>,
    ring: Arc<Mutex<Ring>>,
}

#[derive(Debug, Default)]
#[repr(align(128))] // no two threads write into one pair of cache lines
struct Counters {
    writes: AtomicU64,
    request_trailers_dropped: AtomicU64,
    refusals: [AtomicU64; REASONS],
    limits: [AtomicU64; LIMITS],
    own: [AtomicU64; OWN],
    tokens: [AtomicU64; TOKENS],
    connections: AtomicU64,
    connections_open: AtomicI64,
    upstream_connections_open: AtomicI64,
    connect_failures: AtomicU64,
    refused: AtomicU64,
    abandoned: AtomicU64,
}

const REASONS: usize = Reason::ALL.len();
const LIMITS: usize = Limit::ALL.len();
const OWN: usize = OwnService::ALL.len();
const TOKENS: usize = TokenCheck::ALL.len();

/// A service of the gateway's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OwnService {
    Reflection,
    HealthCheck,
    SettingsWatch,
    SettingsReport,
}

impl OwnService {
    pub(super) const ALL: [OwnService; 4] = [
        OwnService::Reflection,
        OwnService::HealthCheck,
        OwnService::SettingsWatch,
        OwnService::SettingsReport,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            OwnService::Reflection => "reflection",
            OwnService::HealthCheck => "health",
            OwnService::SettingsWatch => "settings_watch",
            OwnService::SettingsReport => "settings_report",
        }
    }

    pub(super) fn method(self) -> Arc<str> {
        static NAMES: LazyLock<[Arc<str>; OWN]> = LazyLock::new(|| {
            [
                "grpc.reflection.ServerReflection/ServerReflectionInfo",
                "grpc.health.v1.Health/Check",
                "tandem.settings.v1.Settings/Watch",
                "tandem.settings.v1.Settings/Report",
            ]
            .map(Arc::from)
        });
        Arc::clone(&NAMES[self as usize])
    }
}

/// What acceptors count; they belong to no data thread.
#[derive(Debug, Default)]
pub struct Totals {
    connections_refused: AtomicU64,
    accept_pauses: AtomicU64,
}

impl Totals {
    /// A connection was closed at once because its source held too many (security LI-1).
    pub(crate) fn count_connection_refused(&self) {
        self.connections_refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Nothing is accepted until a connection ends (security LI-1).
    pub(crate) fn count_accept_pause(&self) {
        self.accept_pauses.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn limit(&self, limit: Limit) -> u64 {
        match limit {
            Limit::Connections => self.accept_pauses.load(Ordering::Relaxed),
            Limit::ConnectionsPerSource => self.connections_refused.load(Ordering::Relaxed),
            _ => 0,
        }
    }
}

/// Figures of one thread, or of all when added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ShardFigures {
    pub(crate) writes: u64,
    pub(crate) request_trailers_dropped: u64,
    /// By [`Reason`].
    pub(crate) refusals: [u64; REASONS],
    /// By [`Limit`].
    pub(crate) limits: [u64; LIMITS],
    /// By [`OwnService`].
    pub(crate) own: [u64; OWN],
    /// By [`TokenCheck`].
    pub(crate) tokens: [u64; TOKENS],
    pub(crate) connections: u64,
    pub(crate) connections_open: i64,
    pub(crate) upstream_connections_open: i64,
    pub(crate) connect_failures: u64,
    pub(crate) refused: u64,
    pub(crate) abandoned: u64,
}

impl Shard {
    /// The reader, and what the thread makes its shard of.
    pub(crate) fn parts() -> (ShardReader, ShardReader) {
        let reader = ShardReader { counters: Arc::default(), ring: Arc::default() };
        (reader.clone(), reader)
    }

    pub(crate) fn new(parts: ShardReader) -> Shard {
        let ShardReader { counters, ring } = parts;
        Shard { counters, ring, access_log: OnceCell::new(), export: OnceCell::new() }
    }

    pub(crate) fn set_access_log(&self, log: AccessLog) {
        // Set once, when the thread starts.
        let _ = self.access_log.set(log);
    }

    pub(crate) fn set_exporter(&self, exporter: Exporter) {
        let sampler = Sampler::of(&exporter);
        let _ = self.export.set((exporter, sampler));
    }

    /// Whether a call that begins now goes to the collector; never where there is none. `said`
    /// and `inside` are those of [`Sampler::takes`].
    pub(crate) fn samples(&self, inside: bool, said: Option<bool>, now: Instant) -> bool {
        self.export.get().is_some_and(|(_, sampler)| sampler.takes(inside, said, now))
    }

    pub(crate) fn count_write(&self) {
        self.counters.writes.fetch_add(1, Ordering::Relaxed);
    }

    /// A request had trailers, and nobody reads them (protocols M-6).
    pub(crate) fn count_request_trailers(&self) {
        self.counters.request_trailers_dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection met a limit; what calls meet is counted with their refusals.
    pub(crate) fn count_limit(&self, limit: Limit) {
        self.counters.limits[limit as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_refusal(&self, reason: Reason, limit: Option<Limit>) {
        self.counters.refusals[reason as usize].fetch_add(1, Ordering::Relaxed);
        if let Some(limit) = limit {
            self.count_limit(limit);
        }
    }

    pub(super) fn count_own(&self, service: OwnService) {
        self.counters.own[service as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_connect_failure(&self) {
        self.counters.connect_failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_refused(&self) {
        self.counters.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_abandoned(&self) {
        self.counters.abandoned.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a downstream connection as open until the value is dropped.
    pub(crate) fn connection_opened(self: &Rc<Self>) -> Standing {
        self.counters.connections.fetch_add(1, Ordering::Relaxed);
        Standing::new(&self.counters, |counters| &counters.connections_open)
    }

    pub(crate) fn count_token(&self, check: TokenCheck) {
        self.counters.tokens[check as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a connection to an upstream as open until the value is dropped.
    pub(crate) fn upstream_connection_opened(self: &Rc<Self>) -> Standing {
        Standing::new(&self.counters, |counters| &counters.upstream_connections_open)
    }

    pub(super) fn keep(&self, span: Span) {
        if let Some(log) = self.access_log.get() {
            log.write(&span);
        }
        if span.sampled
            && let Some((exporter, _)) = self.export.get()
        {
            exporter.offer(&span);
        }
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).push(span);
    }
}

impl ShardReader {
    pub(crate) fn figures(&self) -> ShardFigures {
        let counters = &self.counters;
        ShardFigures {
            writes: counters.writes.load(Ordering::Relaxed),
            request_trailers_dropped: counters.request_trailers_dropped.load(Ordering::Relaxed),
            refusals: read(&counters.refusals),
            limits: read(&counters.limits),
            own: read(&counters.own),
            tokens: read(&counters.tokens),
            connections: counters.connections.load(Ordering::Relaxed),
            connections_open: counters.connections_open.load(Ordering::Relaxed),
            upstream_connections_open: counters.upstream_connections_open.load(Ordering::Relaxed),
            connect_failures: counters.connect_failures.load(Ordering::Relaxed),
            refused: counters.refused.load(Ordering::Relaxed),
            abandoned: counters.abandoned.load(Ordering::Relaxed),
        }
    }

    /// The kept spans of this thread that `wanted` picks.
    pub(crate) fn spans(&self, wanted: impl Fn(&Span) -> bool) -> Vec<Span> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.iter().filter(|span| wanted(span)).cloned().collect()
    }
}

fn read<const N: usize>(counters: &[AtomicU64; N]) -> [u64; N] {
    std::array::from_fn(|at| counters[at].load(Ordering::Relaxed))
}

fn add<const N: usize>(sums: &mut [u64; N], others: [u64; N]) {
    sums.iter_mut().zip(others).for_each(|(sum, other)| *sum += other);
}

impl std::ops::AddAssign for ShardFigures {
    fn add_assign(&mut self, other: ShardFigures) {
        let ShardFigures {
            writes,
            request_trailers_dropped,
            refusals,
            limits,
            own,
            tokens,
            connections,
            connections_open,
            upstream_connections_open,
            connect_failures,
            refused,
            abandoned,
        } = other;
        self.writes += writes;
        self.request_trailers_dropped += request_trailers_dropped;
        add(&mut self.refusals, refusals);
        add(&mut self.limits, limits);
        add(&mut self.own, own);
        add(&mut self.tokens, tokens);
        self.connections += connections;
        self.connections_open += connections_open;
        self.upstream_connections_open += upstream_connections_open;
        self.connect_failures += connect_failures;
        self.refused += refused;
        self.abandoned += abandoned;
    }
}

/// Something that is counted as long as it stands.
pub(crate) struct Standing {
    counters: Arc<Counters>,
    gauge: fn(&Counters) -> &AtomicI64,
}

impl Standing {
    fn new(counters: &Arc<Counters>, gauge: fn(&Counters) -> &AtomicI64) -> Standing {
        gauge(counters).fetch_add(1, Ordering::Relaxed);
        Standing { counters: Arc::clone(counters), gauge }
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        (self.gauge)(&self.counters).fetch_sub(1, Ordering::Relaxed);
    }
}
