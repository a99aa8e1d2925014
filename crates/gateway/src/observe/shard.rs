//! Counters of one data thread that belong to no method.
//!
//! Only the thread writes, readers add up over threads; relaxed atomics because no reader draws
//! a conclusion from two counters at once.

use std::rc::Rc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::access_log::AccessLog;
use super::traces::{Ring, Span};

/// The writing half; stays on its data thread.
pub(crate) struct Shard {
    counters: Arc<Counters>,
    // A lock of this thread's own: readers (the admin API) take it for a copy, seldom; the
    // thread finds it free.
    ring: Arc<Mutex<Ring>>,
    access_log: std::cell::OnceCell<AccessLog>,
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
    slow_heads: AtomicU64,
    connections: AtomicU64,
    connections_open: AtomicI64,
    upstream_connections_open: AtomicI64,
    connect_failures: AtomicU64,
    refused: AtomicU64,
    abandoned: AtomicU64,
}

/// Sums over all data threads, beside the counts that acceptors keep.
#[derive(Debug, Default)]
pub struct Totals {
    connections_refused: AtomicU64,
}

impl Totals {
    pub(crate) fn count_connection_refused(&self) {
        self.connections_refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Connections closed at once because their source held too many (security LI-1).
    pub fn connections_refused(&self) -> u64 {
        self.connections_refused.load(Ordering::Relaxed)
    }
}

/// Figures of one thread, or of all when added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ShardFigures {
    pub(crate) writes: u64,
    pub(crate) slow_heads: u64,
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
        Shard { counters, ring, access_log: std::cell::OnceCell::new() }
    }

    pub(crate) fn set_access_log(&self, log: AccessLog) {
        // Set once, when the thread starts.
        let _ = self.access_log.set(log);
    }

    pub(crate) fn count_write(&self) {
        self.counters.writes.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_slow_head(&self) {
        self.counters.slow_heads.fetch_add(1, Ordering::Relaxed);
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

    /// Counts a connection to an upstream as open until the value is dropped.
    pub(crate) fn upstream_connection_opened(self: &Rc<Self>) -> Standing {
        Standing::new(&self.counters, |counters| &counters.upstream_connections_open)
    }

    pub(super) fn keep(&self, span: Span) {
        if let Some(log) = self.access_log.get() {
            log.write(&span);
        }
        self.ring.lock().unwrap_or_else(PoisonError::into_inner).push(span);
    }
}

impl ShardReader {
    pub(crate) fn figures(&self) -> ShardFigures {
        let counters = &self.counters;
        ShardFigures {
            writes: counters.writes.load(Ordering::Relaxed),
            slow_heads: counters.slow_heads.load(Ordering::Relaxed),
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

impl std::ops::AddAssign for ShardFigures {
    fn add_assign(&mut self, other: ShardFigures) {
        let ShardFigures {
            writes,
            slow_heads,
            connections,
            connections_open,
            upstream_connections_open,
            connect_failures,
            refused,
            abandoned,
        } = other;
        self.writes += writes;
        self.slow_heads += slow_heads;
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
