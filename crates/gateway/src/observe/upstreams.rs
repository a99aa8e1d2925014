//! Counters of one upstream, by data thread.
//!
//! They outlive snapshots as those of methods do. Names are configured ones, and every other
//! label is one of a closed set.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use tandem_protocol::status::Code;

use super::durations::{DurationFigures, Durations};
use super::metrics::CODES;

/// Why a call was sent once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryReason {
    /// The upstream never began it: no side effect can have come of it.
    NeverBegan,
    /// It failed with a code that the document names.
    Code,
    /// The time of one attempt had passed.
    TimedOut,
}

impl RetryReason {
    pub const ALL: [RetryReason; 3] =
        [RetryReason::NeverBegan, RetryReason::Code, RetryReason::TimedOut];

    pub fn name(self) -> &'static str {
        match self {
            RetryReason::NeverBegan => "never_began",
            RetryReason::Code => "code",
            RetryReason::TimedOut => "timed_out",
        }
    }
}

/// What an endpoint is to the data thread that looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointState {
    /// Calls go to it.
    In,
    /// Its calls failed, or its checks: it gets none for a while.
    Ejected,
    Unhealthy,
    /// It could not be connected a moment ago.
    Unreachable,
}

impl EndpointState {
    pub const ALL: [EndpointState; 4] = [
        EndpointState::In,
        EndpointState::Ejected,
        EndpointState::Unhealthy,
        EndpointState::Unreachable,
    ];

    pub fn name(self) -> &'static str {
        match self {
            EndpointState::In => "in",
            EndpointState::Ejected => "ejected",
            EndpointState::Unhealthy => "unhealthy",
            EndpointState::Unreachable => "unreachable",
        }
    }
}

const REASONS: usize = RetryReason::ALL.len();
const STATES: usize = EndpointState::ALL.len();

/// The counters of one upstream, by data thread.
#[derive(Debug)]
pub struct UpstreamCounters {
    /// Namespace of the upstream.
    pub namespace: Arc<str>,
    /// Its name there.
    pub upstream: Arc<str>,
    shards: Box<[Shard]>,
}

#[derive(Debug, Default)]
#[repr(align(128))] // no two threads write into one pair of cache lines
struct Shard {
    codes: [AtomicU64; CODES],
    answer_times: Durations,
    attempts: AtomicU64,
    retries: [AtomicU64; REASONS],
    budget_exhausted: AtomicU64,
    ejections: AtomicU64,
    resolve_failures: AtomicU64,
    connect_failures: AtomicU64,
    connections_open: AtomicI64,
    connections_opened: AtomicU64,
    endpoints: [AtomicI64; STATES],
}

/// The figures of one upstream, added up over the threads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UpstreamFigures {
    /// Ended calls that it was asked, by the gRPC code that their callers got.
    pub codes: [u64; CODES],
    /// From the request's being ready to the head of the answer.
    pub answer_times: DurationFigures,
    /// Requests that went out, the further ones included.
    pub attempts: u64,
    /// Attempts after the first, by [`RetryReason`].
    pub retries: [u64; REASONS],
    /// Attempts that were not made because the budget was spent.
    pub budget_exhausted: u64,
    pub ejections: u64,
    pub resolve_failures: u64,
    pub connect_failures: u64,
    pub connections_open: i64,
    /// All that were ever opened.
    pub connections_opened: u64,
    /// By [`EndpointState`]; each data thread counts for itself.
    pub endpoints: [i64; STATES],
}

impl UpstreamCounters {
    pub(super) fn new(namespace: Arc<str>, upstream: Arc<str>, threads: usize) -> Self {
        let shards = (0..threads).map(|_| Shard::default()).collect();
        UpstreamCounters { namespace, upstream, shards }
    }

    /// Counters that nobody reads: for an upstream that no data thread has.
    pub fn unread() -> Arc<UpstreamCounters> {
        Arc::new(UpstreamCounters::new("".into(), "".into(), 0))
    }

    /// A call that went to it ended with this code; the head of its answer took so long.
    pub(crate) fn ended(&self, thread: usize, code: Code, took: Option<Duration>) {
        let Some(shard) = self.shards.get(thread) else { return };
        shard.codes[code as usize].fetch_add(1, Ordering::Relaxed);
        if let Some(took) = took {
            shard.answer_times.count(took);
        }
    }

    pub(crate) fn attempted(&self, thread: usize) {
        self.add(thread, |shard| &shard.attempts);
    }

    pub(crate) fn retried(&self, thread: usize, reason: RetryReason) {
        self.add(thread, |shard| &shard.retries[reason as usize]);
    }

    pub(crate) fn budget_exhausted(&self, thread: usize) {
        self.add(thread, |shard| &shard.budget_exhausted);
    }

    pub(crate) fn ejected(&self, thread: usize) {
        self.add(thread, |shard| &shard.ejections);
    }

    pub(crate) fn resolve_failed(&self, thread: usize) {
        self.add(thread, |shard| &shard.resolve_failures);
    }

    pub(crate) fn connect_failed(&self, thread: usize) {
        self.add(thread, |shard| &shard.connect_failures);
    }

    pub(crate) fn connection_opened(&self, thread: usize) {
        if let Some(shard) = self.shards.get(thread) {
            shard.connections_open.fetch_add(1, Ordering::Relaxed);
            shard.connections_opened.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn connection_closed(&self, thread: usize) {
        if let Some(shard) = self.shards.get(thread) {
            shard.connections_open.fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn endpoints_are(&self, thread: usize, endpoints: [u32; STATES]) {
        if let Some(shard) = self.shards.get(thread) {
            for (gauge, count) in shard.endpoints.iter().zip(endpoints) {
                gauge.store(count.into(), Ordering::Relaxed);
            }
        }
    }

    fn add(&self, thread: usize, counter: impl Fn(&Shard) -> &AtomicU64) {
        if let Some(shard) = self.shards.get(thread) {
            counter(shard).fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What was counted so far.
    pub fn figures(&self) -> UpstreamFigures {
        let mut figures = UpstreamFigures::default();
        for shard in &self.shards {
            let Shard {
                codes,
                answer_times,
                attempts,
                retries,
                budget_exhausted,
                ejections,
                resolve_failures,
                connect_failures,
                connections_open,
                connections_opened,
                endpoints,
            } = shard;
            for (sum, counter) in figures.codes.iter_mut().zip(codes) {
                *sum += counter.load(Ordering::Relaxed);
            }
            figures.answer_times.add(answer_times);
            figures.attempts += attempts.load(Ordering::Relaxed);
            for (sum, counter) in figures.retries.iter_mut().zip(retries) {
                *sum += counter.load(Ordering::Relaxed);
            }
            figures.budget_exhausted += budget_exhausted.load(Ordering::Relaxed);
            figures.ejections += ejections.load(Ordering::Relaxed);
            figures.resolve_failures += resolve_failures.load(Ordering::Relaxed);
            figures.connect_failures += connect_failures.load(Ordering::Relaxed);
            figures.connections_open += connections_open.load(Ordering::Relaxed);
            figures.connections_opened += connections_opened.load(Ordering::Relaxed);
            for (sum, gauge) in figures.endpoints.iter_mut().zip(endpoints) {
                *sum += gauge.load(Ordering::Relaxed);
            }
        }
        figures
    }
}

impl UpstreamFigures {
    /// Attempts after the first for this reason.
    pub fn retries_for(&self, reason: RetryReason) -> u64 {
        self.retries[reason as usize]
    }

    /// Endpoints in this state, each data thread's view counted.
    pub fn endpoints_in(&self, state: EndpointState) -> i64 {
        self.endpoints[state as usize]
    }
}
