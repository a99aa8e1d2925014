//! Counters of methods, and where all figures of the process are found.
//!
//! A method's counters outlive snapshots: a reload that keeps the method keeps its figures.
//!
//! Not here: the text that Prometheus reads (`exposition`).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tandem_protocol::status::Code;

use super::access_log::LogCounts;
use super::cost::{Costs, UpstreamCost};
use super::durations::{DurationFigures, Durations};
use super::export::ExportCounts;
use super::shard::{ShardFigures, ShardReader, Totals};
use super::upstreams::UpstreamCounters;
use crate::cache::{CacheFigures, CacheUse, Caches};
use crate::mirror::Mirrors;
use crate::own::board::{Board, SettingsFigures};

/// gRPC codes, OK among them.
pub(super) const CODES: usize = 17;

/// The counters of one method, by data thread.
#[derive(Debug)]
pub struct MethodCounters {
    /// Namespace of the method.
    pub namespace: Arc<str>,
    /// `package.Service/Method`.
    pub method: Arc<str>,
    shards: Box<[MethodShard]>,
}

#[derive(Debug, Default)]
#[repr(align(128))] // no two threads write into one pair of cache lines
struct MethodShard {
    in_flight: AtomicI64,
    abandoned: AtomicU64,
    ours: AtomicU64,
    codes: [AtomicU64; CODES],
    cache: [AtomicU64; CacheUse::ALL.len()],
    durations: Durations,
}

/// The figures of one method, added up over the threads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MethodFigures {
    /// Calls carried now.
    pub in_flight: i64,
    /// Calls that their callers left before the end; counted under CANCELLED as well.
    pub abandoned: u64,
    /// Calls that failed between the gateway and its upstreams: no endpoint, a lost connection, an
    /// answer that is none. What an upstream itself answered is not among them.
    pub ours: u64,
    /// Ended calls by gRPC code.
    pub codes: [u64; CODES],
    /// Calls of a method that keeps answers, by how they were answered ([`CacheUse`]).
    pub cache: [u64; CacheUse::ALL.len()],
    /// How long ended calls took.
    pub durations: DurationFigures,
}

impl MethodFigures {
    /// Calls that ended, however they did.
    pub fn calls(&self) -> u64 {
        self.codes.iter().sum()
    }

    /// Calls that ended with another code than OK.
    pub fn errors(&self) -> u64 {
        self.codes[1..].iter().sum()
    }
}

impl MethodCounters {
    fn new(namespace: Arc<str>, method: Arc<str>, threads: usize) -> MethodCounters {
        let shards = (0..threads).map(|_| MethodShard::default()).collect();
        MethodCounters { namespace, method, shards }
    }

    pub(super) fn began(&self, thread: usize) {
        self.shards[thread].in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn ended(
        &self,
        thread: usize,
        code: Code,
        took: Duration,
        abandoned: bool,
        ours: bool,
    ) {
        let shard = &self.shards[thread];
        if ours {
            shard.ours.fetch_add(1, Ordering::Relaxed);
        }
        shard.in_flight.fetch_sub(1, Ordering::Relaxed);
        shard.codes[code as usize].fetch_add(1, Ordering::Relaxed);
        shard.durations.count(took);
        if abandoned {
            shard.abandoned.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn cache_used(&self, thread: usize, made: CacheUse) {
        self.shards[thread].cache[made as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub fn figures(&self) -> MethodFigures {
        let mut figures = MethodFigures::default();
        for shard in &self.shards {
            figures.in_flight += shard.in_flight.load(Ordering::Relaxed);
            figures.ours += shard.ours.load(Ordering::Relaxed);
            figures.abandoned += shard.abandoned.load(Ordering::Relaxed);
            for (sum, code) in figures.codes.iter_mut().zip(&shard.codes) {
                *sum += code.load(Ordering::Relaxed);
            }
            for (sum, made) in figures.cache.iter_mut().zip(&shard.cache) {
                *sum += made.load(Ordering::Relaxed);
            }
            figures.durations.add(&shard.durations);
        }
        figures
    }
}

/// All figures of the process. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

/// Namespace and `package.Service/Method`.
type MethodKey = (Arc<str>, Arc<str>);

struct Inner {
    threads: usize,
    // A lock that snapshots being built and readers take, never a call.
    methods: Mutex<BTreeMap<MethodKey, Arc<MethodCounters>>>,
    upstreams: Mutex<BTreeMap<MethodKey, Arc<UpstreamCounters>>>,
    shards: Mutex<Vec<ShardReader>>,
    totals: Arc<Totals>,
    access_log: OnceLock<Arc<LogCounts>>,
    export: OnceLock<Arc<ExportCounts>>,
    settings: OnceLock<Arc<Board>>,
    caches: OnceLock<Caches>,
    mirrors: OnceLock<Mirrors>,
    costs: OnceLock<Costs>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// Counters for `threads` data threads.
    pub(crate) fn new(threads: usize) -> Metrics {
        Metrics(Arc::new(Inner {
            threads,
            methods: Mutex::default(),
            upstreams: Mutex::default(),
            shards: Mutex::default(),
            totals: Arc::default(),
            access_log: OnceLock::new(),
            export: OnceLock::new(),
            settings: OnceLock::new(),
            caches: OnceLock::new(),
            mirrors: OnceLock::new(),
            costs: OnceLock::new(),
        }))
    }

    pub(crate) fn totals(&self) -> &Arc<Totals> {
        &self.0.totals
    }

    /// The access log, where there is one; said once, at the start.
    pub(crate) fn has_access_log(&self, counts: Arc<LogCounts>) {
        let _ = self.0.access_log.set(counts);
    }

    pub(super) fn access_log(&self) -> Option<&LogCounts> {
        self.0.access_log.get().map(|counts| &**counts)
    }

    /// The exporter of traces, where there is one; said once, at the start.
    pub(crate) fn has_exporter(&self, counts: Arc<ExportCounts>) {
        let _ = self.0.export.set(counts);
    }

    pub(super) fn exporter(&self) -> Option<&ExportCounts> {
        self.0.export.get().map(|counts| &**counts)
    }

    /// Where the settings of services stand; said once, at the start.
    pub(crate) fn has_settings(&self, board: Arc<Board>) {
        let _ = self.0.settings.set(board);
    }

    pub(super) fn settings(&self) -> Vec<SettingsFigures> {
        self.0.settings.get().map(|board| board.figures()).unwrap_or_default()
    }

    /// Where answers are kept; said once, at the start.
    pub(crate) fn has_caches(&self, caches: Caches) {
        let _ = self.0.caches.set(caches);
    }

    pub(super) fn caches(&self) -> Vec<CacheFigures> {
        self.0.caches.get().map(Caches::figures).unwrap_or_default()
    }

    /// What is mirrored; said once, at the start.
    pub(crate) fn has_mirrors(&self, mirrors: Mirrors) {
        let _ = self.0.mirrors.set(mirrors);
    }

    /// What upstreams use; said once, at the start.
    pub(crate) fn has_costs(&self, costs: Costs) {
        let _ = self.0.costs.set(costs);
    }

    pub(super) fn costs(&self) -> Vec<UpstreamCost> {
        self.0.costs.get().map(Costs::list).unwrap_or_default()
    }

    pub(super) fn mirrors(&self) -> Option<&Mirrors> {
        self.0.mirrors.get()
    }

    pub(crate) fn add_shards(&self, readers: Vec<ShardReader>) {
        self.0.shards.lock().unwrap_or_else(PoisonError::into_inner).extend(readers);
    }

    pub(crate) fn shards(&self) -> Vec<ShardReader> {
        self.0.shards.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The counters of a method: the same ones each time it is asked for by the same names.
    pub(crate) fn method(&self, namespace: &str, method: &str) -> Arc<MethodCounters> {
        let mut methods = self.0.methods.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (Arc::from(namespace), Arc::from(method));
        let counters = methods.entry(key).or_insert_with_key(|(namespace, method)| {
            let (namespace, method) = (Arc::clone(namespace), Arc::clone(method));
            Arc::new(MethodCounters::new(namespace, method, self.0.threads))
        });
        Arc::clone(counters)
    }

    /// Counters of every method that was ever served, by namespace and name.
    pub fn methods(&self) -> Vec<Arc<MethodCounters>> {
        let methods = self.0.methods.lock().unwrap_or_else(PoisonError::into_inner);
        methods.values().cloned().collect()
    }

    /// The counters of an upstream: the same ones each time it is asked for by the same names.
    pub(crate) fn upstream(&self, namespace: &str, upstream: &str) -> Arc<UpstreamCounters> {
        let mut upstreams = self.0.upstreams.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (Arc::from(namespace), Arc::from(upstream));
        let counters = upstreams.entry(key).or_insert_with_key(|(namespace, upstream)| {
            let (namespace, upstream) = (Arc::clone(namespace), Arc::clone(upstream));
            Arc::new(UpstreamCounters::new(namespace, upstream, self.0.threads))
        });
        Arc::clone(counters)
    }

    /// Counters of every upstream that was ever configured, by namespace and name.
    pub fn upstreams(&self) -> Vec<Arc<UpstreamCounters>> {
        let upstreams = self.0.upstreams.lock().unwrap_or_else(PoisonError::into_inner);
        upstreams.values().cloned().collect()
    }

    pub(crate) fn shard_figures(&self) -> ShardFigures {
        let mut sum = ShardFigures::default();
        for reader in self.shards() {
            sum += reader.figures();
        }
        sum
    }
}
