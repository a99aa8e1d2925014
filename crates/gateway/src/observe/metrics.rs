//! Counters of methods, and all figures in the text form that Prometheus reads.
//!
//! A method's counters outlive snapshots: a reload that keeps the method keeps its figures. Label
//! values come from configured names only, so their number is bounded (security W-8).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use tandem_protocol::status::Code;

use super::shard::{ShardFigures, ShardReader, Totals};
use super::upstreams::{EndpointState, RetryReason, UpstreamCounters, UpstreamFigures};

/// Upper bounds of the duration buckets, in microseconds; a last one holds the rest.
const BOUNDS_MICROS: [u64; 17] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000,
];
const BUCKETS: usize = BOUNDS_MICROS.len() + 1;
const CODES: usize = 17;

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
    codes: [AtomicU64; CODES],
    buckets: [AtomicU64; BUCKETS],
    sum_nanos: AtomicU64,
}

/// The figures of one method, added up over the threads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MethodFigures {
    /// Calls carried now.
    pub in_flight: i64,
    /// Calls that their callers left before the end; counted under CANCELLED as well.
    pub abandoned: u64,
    /// Ended calls by gRPC code.
    pub codes: [u64; CODES],
    /// Ended calls by duration; bucket `n` holds those up to the `n`th bound.
    pub buckets: [u64; BUCKETS],
    /// Of all durations.
    pub sum: Duration,
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

    pub(super) fn ended(&self, thread: usize, code: Code, took: Duration, abandoned: bool) {
        let shard = &self.shards[thread];
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_MICROS.partition_point(|bound| *bound < micros);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        shard.in_flight.fetch_sub(1, Ordering::Relaxed);
        shard.codes[code as usize].fetch_add(1, Ordering::Relaxed);
        shard.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        shard.sum_nanos.fetch_add(nanos, Ordering::Relaxed);
        if abandoned {
            shard.abandoned.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What was counted so far.
    pub fn figures(&self) -> MethodFigures {
        let mut figures = MethodFigures::default();
        let mut sum_nanos = 0_u64;
        for shard in &self.shards {
            figures.in_flight += shard.in_flight.load(Ordering::Relaxed);
            figures.abandoned += shard.abandoned.load(Ordering::Relaxed);
            for (sum, code) in figures.codes.iter_mut().zip(&shard.codes) {
                *sum += code.load(Ordering::Relaxed);
            }
            for (sum, bucket) in figures.buckets.iter_mut().zip(&shard.buckets) {
                *sum += bucket.load(Ordering::Relaxed);
            }
            sum_nanos = sum_nanos.saturating_add(shard.sum_nanos.load(Ordering::Relaxed));
        }
        figures.sum = Duration::from_nanos(sum_nanos);
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
        }))
    }

    pub(crate) fn totals(&self) -> &Arc<Totals> {
        &self.0.totals
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

    /// All figures as OpenMetrics text.
    pub fn text(&self) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self.clone()));
        let mut text = String::new();
        // Writing into a string does not fail.
        let _ = encode(&mut text, &registry);
        text
    }
}

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let methods = self.methods();
        let figures: Vec<_> = methods.iter().map(|method| method.figures()).collect();
        let labels: Vec<_> = methods
            .iter()
            .map(|method| {
                [("namespace", method.namespace.to_string()), ("method", method.method.to_string())]
            })
            .collect();

        let mut calls = encoder.encode_descriptor(
            "tandem_calls",
            "Calls that ended, by gRPC code",
            None,
            MetricType::Counter,
        )?;
        for (labels, figures) in labels.iter().zip(&figures) {
            for (number, count) in figures.codes.iter().enumerate().filter(|(_, count)| **count > 0)
            {
                let code = Code::from_number(number as u32).name().to_owned();
                let [namespace, method] = labels.clone();
                calls
                    .encode_family(&[namespace, method, ("code", code)].as_slice())?
                    .encode_counter::<NoLabelSet, _, u64>(count, None)?;
            }
        }
        let mut durations = encoder.encode_descriptor(
            "tandem_call_duration_seconds",
            "From the call's first byte to the answer's last",
            None,
            MetricType::Histogram,
        )?;
        for (labels, figures) in labels.iter().zip(&figures) {
            let bounds = BOUNDS_MICROS.iter().map(|micros| *micros as f64 / 1e6);
            let buckets: Vec<(f64, u64)> = bounds.chain([f64::MAX]).zip(figures.buckets).collect();
            durations.encode_family(&labels.as_slice())?.encode_histogram::<NoLabelSet>(
                figures.sum.as_secs_f64(),
                figures.calls(),
                &buckets,
                None,
            )?;
        }
        let mut in_flight = encoder.encode_descriptor(
            "tandem_calls_in_flight",
            "Calls carried now",
            None,
            MetricType::Gauge,
        )?;
        for (labels, figures) in labels.iter().zip(&figures) {
            in_flight.encode_family(&labels.as_slice())?.encode_gauge(&figures.in_flight)?;
        }

        let sum = self.shard_figures();
        let counters = [
            ("tandem_connections", "Downstream connections accepted", sum.connections),
            (
                "tandem_connections_refused",
                "Connections closed at once, their source held too many",
                self.0.totals.connections_refused(),
            ),
            ("tandem_refused_calls", "Calls refused before a method was known", sum.refused),
            ("tandem_abandoned_calls", "Calls that their callers left", sum.abandoned),
            ("tandem_slow_heads", "Heads that took too long to arrive", sum.slow_heads),
            ("tandem_connect_failures", "Connections to upstreams not made", sum.connect_failures),
            ("tandem_downstream_writes", "Writes to downstream sockets", sum.writes),
        ];
        for (name, help, count) in counters {
            encoder
                .encode_descriptor(name, help, None, MetricType::Counter)?
                .encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        let gauges = [
            ("tandem_connections_open", "Downstream connections now", sum.connections_open),
            (
                "tandem_upstream_connections_open",
                "Connections to upstreams now",
                sum.upstream_connections_open,
            ),
        ];
        for (name, help, count) in gauges {
            encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&count)?;
        }
        self.encode_upstreams(&mut encoder)
    }
}

/// Name, help and how it is read of each figure of an upstream that has no further label.
type UpstreamFigure<T> = (&'static str, &'static str, fn(&UpstreamFigures) -> T);

const UPSTREAM_COUNTERS: [UpstreamFigure<u64>; 6] = [
    ("tandem_upstream_attempts", "Requests sent, further attempts included", |of| of.attempts),
    (
        "tandem_upstream_budget_exhausted",
        "Further attempts that were not made, the budget being spent",
        |of| of.budget_exhausted,
    ),
    ("tandem_upstream_ejections", "Endpoints left out for their calls", |of| of.ejections),
    ("tandem_upstream_resolve_failures", "Names that gave no address", |of| of.resolve_failures),
    ("tandem_upstream_connect_failures", "Connections not made", |of| of.connect_failures),
    ("tandem_upstream_connections_opened", "Connections made", |of| of.connections_opened),
];

impl Metrics {
    fn encode_upstreams(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let all: Vec<_> = self
            .upstreams()
            .iter()
            .map(|upstream| {
                let namespace = ("namespace", upstream.namespace.to_string());
                let name = ("upstream", upstream.upstream.to_string());
                ([namespace, name], upstream.figures())
            })
            .collect();
        for (name, help, read) in UPSTREAM_COUNTERS {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (labels, figures) in &all {
                family
                    .encode_family(&labels.as_slice())?
                    .encode_counter::<NoLabelSet, _, u64>(&read(figures), None)?;
            }
        }
        let mut retries = encoder.encode_descriptor(
            "tandem_upstream_retries",
            "Attempts after the first, by reason",
            None,
            MetricType::Counter,
        )?;
        for ([namespace, upstream], figures) in &all {
            for reason in RetryReason::ALL {
                let reason_label = ("reason", reason.name().to_owned());
                retries
                    .encode_family(&[namespace.clone(), upstream.clone(), reason_label].as_slice())?
                    .encode_counter::<NoLabelSet, _, u64>(&figures.retries_for(reason), None)?;
            }
        }
        let mut connections = encoder.encode_descriptor(
            "tandem_upstream_connections",
            "Connections to the upstream now",
            None,
            MetricType::Gauge,
        )?;
        for (labels, figures) in &all {
            connections
                .encode_family(&labels.as_slice())?
                .encode_gauge(&figures.connections_open)?;
        }
        let mut endpoints = encoder.encode_descriptor(
            "tandem_upstream_endpoints",
            "Endpoints by state, as each data thread sees them, added up",
            None,
            MetricType::Gauge,
        )?;
        for ([namespace, upstream], figures) in &all {
            for state in EndpointState::ALL {
                let state_label = ("state", state.name().to_owned());
                endpoints
                    .encode_family(&[namespace.clone(), upstream.clone(), state_label].as_slice())?
                    .encode_gauge(&figures.endpoints_in(state))?;
            }
        }
        Ok(())
    }
}
