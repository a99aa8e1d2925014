//! The whole gateway, started and stopped.
//!
//! Start: listeners are opened first, so that a taken port ends it at once; then data threads,
//! snapshot, acceptors. Stop: acceptors end, connections are told to go, calls under way have
//! their time, threads are joined.
//!
//! Not here: files and signals (the binary).

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tandem_config::Namespace;
use tandem_config::document::{PlatformLimits, Traces};
use tandem_contract::Contract;
use tokio::sync::watch;

use crate::cache::{CacheFigures, Caches, Purged};
use crate::limits::Limits;
use crate::listen::{self, Listener, Room};
use crate::net;
use crate::observe::{AccessLog, Exporter, Metrics, Span};
use crate::reconcile::{ContractState, KeepContracts, Reconciler};
use crate::snapshot::Snapshot;
use crate::tasks::Side;
use crate::thread::{Common, Drain, Threads};
use crate::upstream::Setting;

/// What a gateway is made of. Documents have been checked.
pub struct Plan {
    /// Addresses with port 0 take a free one.
    pub listeners: Vec<(Listener, SocketAddr)>,
    /// Data threads.
    pub threads: usize,
    pub limits: PlatformLimits,
    pub namespaces: Vec<Namespace>,
    /// Of the namespaces whose contract came by file; the others are asked for by reflection.
    pub contracts: BTreeMap<String, Arc<Contract>>,
    /// Where contracts that came by reflection are kept over a restart; `None` keeps none.
    pub keeper: Option<Arc<dyn KeepContracts>>,
    pub access_log: Option<AccessLog>,
    /// The collector of sampled traces; `None` sends none.
    pub traces: Option<Traces>,
    /// How long calls may go on once the drain has begun.
    pub grace: Duration,
    pub upstreams: Setting,
}

/// Why a gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("listener `{name}`: {address} cannot be opened")]
    Listen {
        name: String,
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("a data thread cannot be started")]
    Thread(#[source] io::Error),
    #[error("the namespaces do not fit together: {0}")]
    Snapshot(String),
}

/// A running gateway.
pub struct Gateway {
    addresses: BTreeMap<String, SocketAddr>,
    reconciler: Arc<Reconciler>,
    metrics: Metrics,
    caches: Caches,
    side: Side,
    begin_drain: watch::Sender<bool>,
    drain: Drain,
    threads: Threads,
    acceptors: Side,
    access_log: Option<AccessLog>,
    exporter: Option<Exporter>,
}

/// How long what is known of the last calls may take to be written and handed over.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// What is known of a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceStatus {
    pub name: String,
    /// `reflection v1`, `descriptors`; `None` while there is no contract.
    pub contract: Option<String>,
    /// SHA-256 of the contract's files, in hex.
    pub digest: Option<String>,
    /// Why there is none, or what was left out of it.
    pub problems: Vec<String>,
}

/// How a stop went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    pub took: Duration,
}

impl Gateway {
    /// Starts everything. Must be called on the side runtime; `side` starts tasks there.
    ///
    /// # Errors
    /// A port that cannot be opened, threads that cannot be made, namespaces that claim the same.
    pub async fn start(plan: Plan, side: Side) -> Result<Gateway, StartError> {
        let Plan {
            listeners,
            threads,
            limits,
            namespaces,
            contracts,
            keeper,
            access_log,
            traces,
            grace,
            upstreams,
        } = plan;
        let descriptors = net::raise_descriptor_limit().unwrap_or(1024);
        let process_limits = Arc::new(Limits::of(&limits, descriptors));
        let mut sockets = Vec::new();
        let mut addresses = BTreeMap::new();
        for (listener, address) in listeners {
            let failed =
                |source| StartError::Listen { name: listener.name.to_string(), address, source };
            let socket = net::listen(address).map_err(failed)?;
            let bound = socket.local_addr().map_err(failed)?;
            addresses.insert(listener.name.to_string(), bound);
            sockets.push((listener, socket));
        }
        let metrics = Metrics::new(threads);
        let caches = Caches::new();
        metrics.has_caches(caches.clone());
        let current = Arc::new(ArcSwap::from_pointee(Snapshot::empty()));
        let reconciler = Reconciler::new(
            limits,
            namespaces,
            &contracts,
            keeper,
            metrics.clone(),
            caches.clone(),
            Arc::clone(&current),
        );
        reconciler.publish().map_err(StartError::Snapshot)?;
        let exporter = traces.map(|traces| Exporter::start(&traces, &side));
        if let Some(log) = &access_log {
            metrics.has_access_log(log.counts());
        }
        if let Some(exporter) = &exporter {
            metrics.has_exporter(exporter.counts());
        }
        let (begin_drain, drain) = Drain::new();
        let common = Common {
            snapshot: current,
            limits: Arc::clone(&process_limits),
            drain: drain.clone(),
            grace,
            access_log: access_log.clone(),
            exporter: exporter.clone(),
            upstreams,
        };
        let threads = Threads::start(threads, &common).map_err(StartError::Thread)?;
        metrics.add_shards(threads.counters.clone());
        let room = Room::new(process_limits.connections, process_limits.connections_per_source);
        let acceptors = Side::new(tokio::runtime::Handle::current());
        for (listener, socket) in sockets {
            let totals = Arc::clone(metrics.totals());
            let doors = threads.doors.clone();
            let accepting = listen::accept(
                socket,
                Arc::new(listener),
                room.clone(),
                doors,
                totals,
                drain.clone(),
            );
            acceptors.start(accepting);
        }
        reconciler.fetch_missing(&side, &drain);
        reconciler.follow(&side, &drain);
        Ok(Gateway {
            addresses,
            reconciler,
            metrics,
            caches,
            side,
            begin_drain,
            drain,
            threads,
            acceptors,
            access_log,
            exporter,
        })
    }

    /// Where each listener listens, by its name.
    pub fn addresses(&self) -> &BTreeMap<String, SocketAddr> {
        &self.addresses
    }

    /// A handle on everything that may be looked at; it outlives nothing and stops nothing.
    pub fn view(&self) -> View {
        View {
            reconciler: Arc::clone(&self.reconciler),
            metrics: self.metrics.clone(),
            caches: self.caches.clone(),
            side: self.side.clone(),
            drain: self.drain.clone(),
        }
    }

    /// Stops: no new connection, calls under way have the plan's grace.
    pub async fn stop(self) -> Stopped {
        let began = tokio::time::Instant::now();
        // Nobody listening is a gateway that has stopped already.
        let _ = self.begin_drain.send(true);
        self.acceptors.emptied().await;
        let threads = self.threads;
        // Joining blocks, so it is done where blocking is allowed.
        let joined = tokio::task::spawn_blocking(move || threads.join()).await;
        if let Err(error) = joined {
            tracing::error!(%error, "the data threads could not be joined");
        }
        let written = async {
            if let Some(log) = self.access_log {
                log.written(LAST_WORDS).await;
            }
        };
        let flushed = async {
            if let Some(exporter) = self.exporter {
                exporter.flushed(LAST_WORDS).await;
            }
        };
        tokio::join!(written, flushed);
        self.side.emptied().await;
        Stopped { took: began.elapsed() }
    }
}

/// What may be looked at from outside, and the one thing that may be done. Cheap to clone.
#[derive(Clone)]
pub struct View {
    reconciler: Arc<Reconciler>,
    metrics: Metrics,
    caches: Caches,
    side: Side,
    drain: Drain,
}

impl View {
    /// Serves other documents from now on; they have been checked. Calls under way finish by the
    /// old ones, counters go on. Contracts that come by reflection are kept where their source is
    /// the same, and read again.
    ///
    /// Listeners, threads and the limits of the process stay those of the start.
    ///
    /// # Errors
    /// The namespaces do not fit together; everything stays as it was.
    pub fn reload(
        &self,
        limits: PlatformLimits,
        namespaces: Vec<Namespace>,
        contracts: &BTreeMap<String, Arc<Contract>>,
    ) -> Result<(), String> {
        self.reconciler.replace(limits, namespaces, contracts)?;
        self.reconciler.fetch_missing(&self.side, &self.drain);
        let (reconciler, mut drain) = (Arc::clone(&self.reconciler), self.drain.clone());
        self.side.start(async move {
            tokio::select! {
                () = reconciler.read_again() => {}
                () = drain.begun() => {}
            }
        });
        Ok(())
    }

    /// Ready: every namespace has a contract, and no drain has begun (experience UX-34).
    pub fn ready(&self) -> bool {
        let known = |state: &ContractState| matches!(state, ContractState::Known(_));
        !self.drain.has_begun() && self.reconciler.states().values().all(known)
    }

    /// The namespaces in the order of their names.
    pub fn namespaces(&self) -> Vec<NamespaceStatus> {
        let current = self.reconciler.current();
        let twice = |name: &str| -> Vec<String> {
            let faults = current.left_out.iter().filter(|fault| fault.second.0 == name);
            faults.map(ToString::to_string).collect()
        };
        self.reconciler
            .states()
            .into_iter()
            .map(|(name, state)| match state {
                ContractState::Known(known) => NamespaceStatus {
                    problems: known.problems.into_iter().chain(twice(&name)).collect(),
                    name,
                    contract: Some(known.how),
                    digest: Some(tandem_protocol::identity::hex(known.plans.contract().digest())),
                },
                ContractState::Waiting { why } => {
                    NamespaceStatus { name, contract: None, digest: None, problems: vec![why] }
                }
            })
            .collect()
    }

    /// The documents in the order of the namespaces' names, each with its contract as it is served;
    /// `None` for one that has none yet.
    pub fn served(&self) -> Vec<(Namespace, Option<Arc<Contract>>)> {
        self.reconciler.served()
    }

    /// The limits that hold for the namespaces.
    pub fn limits(&self) -> PlatformLimits {
        self.reconciler.limits()
    }

    /// What is kept of answers, by namespace; those that never kept any are left out.
    pub fn cache(&self) -> Vec<CacheFigures> {
        self.caches.figures()
    }

    /// Forgets what is kept of `method` (`package.Service/Method`), or of all methods of the
    /// namespace; what is under way at this moment is not kept either. `None` where nothing of
    /// that name ever kept anything.
    pub fn purge(&self, namespace: &str, method: Option<&str>) -> Option<Purged> {
        self.caches.purge(namespace, method)
    }

    /// Counters and figures.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The kept spans of one trace, in the order of their beginning.
    pub fn trace(&self, trace: [u8; 16]) -> Vec<Span> {
        self.spans(|span| span.trace == trace)
    }

    /// The kept spans that carry this request id, in the order of their beginning.
    pub fn request(&self, id: &str) -> Vec<Span> {
        self.spans(|span| &*span.request_id == id)
    }

    fn spans(&self, wanted: impl Fn(&Span) -> bool) -> Vec<Span> {
        let mut spans: Vec<Span> =
            self.metrics.shards().iter().flat_map(|shard| shard.spans(&wanted)).collect();
        spans.sort_by_key(|span| span.started);
        spans
    }
}
