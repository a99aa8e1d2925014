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
use tandem_config::document::{Identities, PlatformLimits, Traces};
use tandem_contract::Contract;
use tokio::sync::{broadcast, watch};

use crate::cache::{CacheFigures, Caches, Purged};
use crate::limits::Limits;

use crate::listen::{self, Listener, Room};
use crate::mirror::Mirrors;
use crate::mirror::view::MethodPairs;
use crate::net;
use crate::observe::{AccessLog, Costs, Exporter, Metrics, Span, UpstreamCost};
use crate::own::board::{Board, Declare, ServiceInstances, SettingsRefused};
use crate::policy::Judges;
use crate::policy::auth::{ApiKeys, Identity, IssuerStatus, KeyTiming};
use crate::policy::limit::Registry;
use crate::reconcile::{
    AdmitContracts, ContractState, Documents, HeldBack, KeepContracts, Reconciler, Standing,
};
use crate::route::CandidateShare;
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
    /// The versions of the namespaces that have one: they came from a store and not from files.
    pub versions: BTreeMap<String, u64>,
    /// What the namespaces give the services for their settings.
    pub settings: Declare,
    /// Of the namespaces whose contract came by file; the others are asked for by reflection.
    pub contracts: BTreeMap<String, Arc<Contract>>,
    /// Where contracts that came by reflection are kept over a restart; `None` keeps none.
    pub keeper: Option<Arc<dyn KeepContracts>>,
    /// Who judges contracts that come by reflection, each time that one comes.
    pub admit: Arc<dyn AdmitContracts>,
    pub access_log: Option<AccessLog>,
    /// The collector of sampled traces; `None` sends none.
    pub traces: Option<Traces>,
    /// How long calls may go on once the drain has begun.
    pub grace: Duration,
    pub upstreams: Setting,
    /// Whom the process believes about who calls.
    pub identity: Identities,
    /// How often the keys of issuers are read.
    pub keys: KeyTiming,
    /// The keys of callers; replaced by [`View::set_api_keys`].
    pub api_keys: ApiKeys,
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
    judges: Arc<Judges>,
    metrics: Metrics,
    caches: Caches,
    mirrors: Mirrors,
    costs: Costs,
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
            versions,
            settings,
            contracts,
            keeper,
            admit,
            access_log,
            traces,
            grace,
            upstreams,
            identity,
            keys,
            api_keys,
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
        let (begin_drain, drain) = Drain::new();
        let ratio_max = process_limits.ratio as usize;
        let mirrors = Mirrors::new(upstreams.clone(), drain.clone(), ratio_max);
        metrics.has_mirrors(mirrors.clone());
        let costs = Costs::new();
        metrics.has_costs(costs.clone());
        let board = Board::new();
        metrics.has_settings(Arc::clone(&board));
        let registry = Registry::default();
        let identity = Identity::new(&identity, api_keys, &registry);
        let judges = Arc::new(Judges { identity, limits: registry });
        let reconciler = Reconciler::new(
            Documents {
                limits,
                namespaces,
                versions,
                contracts: &contracts,
                held: HeldBack::new(),
            },
            (keeper, admit),
            settings,
            Arc::clone(&current),
            Standing {
                metrics: metrics.clone(),
                judges: Arc::clone(&judges),
                caches: caches.clone(),
                mirrors: mirrors.clone(),
                board: Arc::clone(&board),
            },
        );
        reconciler.publish().map_err(StartError::Snapshot)?;
        let exporter = traces.map(|traces| Exporter::start(&traces, &side));
        if let Some(log) = &access_log {
            metrics.has_access_log(log.counts());
        }
        if let Some(exporter) = &exporter {
            metrics.has_exporter(exporter.counts());
        }
        let names = upstreams.names.clone();
        let common = Common {
            snapshot: current,
            settings: board,
            limits: Arc::clone(&process_limits),
            drain: drain.clone(),
            grace,
            access_log: access_log.clone(),
            exporter: exporter.clone(),
            upstreams,
            judges: Arc::clone(&judges),
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
        judges.identity.keep_reading(&side, &names, &keys, &drain);
        reconciler.fetch_missing(&side, &drain);
        reconciler.follow(&side, &drain);
        costs.keep_reading(&reconciler, &metrics, &side, &drain);
        Ok(Gateway {
            addresses,
            reconciler,
            judges,
            metrics,
            caches,
            mirrors,
            costs,
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
            judges: Arc::clone(&self.judges),
            metrics: self.metrics.clone(),
            caches: self.caches.clone(),
            mirrors: self.mirrors.clone(),
            costs: self.costs.clone(),
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
        let mirrors = self.mirrors;
        let joined = tokio::task::spawn_blocking(move || {
            threads.join();
            mirrors.join();
        })
        .await;
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
    judges: Arc<Judges>,
    metrics: Metrics,
    caches: Caches,
    mirrors: Mirrors,
    costs: Costs,
    side: Side,
    drain: Drain,
}

impl View {
    /// Serves other documents from now on; they have been checked. Calls under way finish by the
    /// old ones, counters go on. Contracts that come by reflection are kept where their source is
    /// the same, and read again.
    ///
    /// Listeners, threads, identity and the limits of the process stay those of the start.
    ///
    /// # Errors
    /// The namespaces do not fit together; everything stays as it was.
    pub fn reload(
        &self,
        limits: PlatformLimits,
        namespaces: Vec<Namespace>,
        versions: BTreeMap<String, u64>,
        contracts: &BTreeMap<String, Arc<Contract>>,
    ) -> Result<(), String> {
        let held = HeldBack::new();
        self.reconciler.replace(Documents { limits, namespaces, versions, contracts, held })?;
        self.reconciler.fetch_missing(&self.side, &self.drain);
        self.read_contracts_again();
        Ok(())
    }

    /// Reads the contracts that came by reflection once more, in a task.
    pub fn read_contracts_again(&self) {
        let reconciler = Arc::clone(&self.reconciler);
        self.on_the_side(async move { reconciler.read_again().await });
    }

    /// As [`View::reload`], for documents whose contracts nothing changed: contracts that come by
    /// reflection are asked for where there is none, or where another one is told than serves, and
    /// not read again. Of the namespaces that are `held` back the contract is asked for and nothing
    /// else is done.
    ///
    /// # Errors
    /// The namespaces do not fit together; everything stays as it was.
    pub fn serve(
        &self,
        limits: PlatformLimits,
        namespaces: Vec<Namespace>,
        versions: BTreeMap<String, u64>,
        contracts: &BTreeMap<String, Arc<Contract>>,
        held: HeldBack,
    ) -> Result<(), String> {
        self.reconciler.replace(Documents { limits, namespaces, versions, contracts, held })?;
        self.reconciler.fetch_missing(&self.side, &self.drain);
        let reconciler = Arc::clone(&self.reconciler);
        self.on_the_side(async move { reconciler.read_untaken_again().await });
        Ok(())
    }

    /// Resolves once calls of the namespace are carried: it has a contract and is not held back.
    pub async fn carried(&self, namespace: &str) {
        self.reconciler.carried(namespace).await;
    }

    /// The contract of a namespace as it came, without the rules that its document adds; `None`
    /// where there is none yet.
    pub fn contract(&self, namespace: &str) -> Option<Arc<Contract>> {
        self.reconciler.contract(namespace)
    }

    /// Runs `task` on the side until it ends or the gateway begins to stop.
    pub fn on_the_side(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut drain = self.drain.clone();
        self.side.start(async move {
            tokio::select! {
                () = task => {}
                () = drain.begun() => {}
            }
        });
    }

    /// Resolves once the gateway has begun to stop.
    pub async fn draining(&self) {
        self.drain.clone().begun().await;
    }

    /// Takes other keys of callers from now on, whole; calls under way go on.
    pub fn set_api_keys(&self, keys: ApiKeys) {
        self.judges.identity.set_api_keys(keys);
    }

    /// The issuers of tokens in the order of their names.
    pub fn issuers(&self) -> Vec<IssuerStatus> {
        self.judges.identity.issuers()
    }

    /// Ready: every namespace that is to be served has a contract, and no drain has begun
    /// (experience UX-34).
    pub fn ready(&self) -> bool {
        !self.drain.has_begun() && self.reconciler.complete()
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
                ContractState::Waiting(waiting) => NamespaceStatus {
                    name,
                    contract: None,
                    digest: None,
                    problems: vec![waiting.why().to_owned()],
                },
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

    /// The settings of every service whose contract declares some, and which instance runs which.
    pub fn settings(&self) -> Vec<ServiceInstances> {
        self.reconciler.board().list()
    }

    /// Hears of each instance that refuses the values that are told now, where its service wants
    /// all of them to agree (`require: all`): what the store is to roll back. One who falls far
    /// behind is told that he missed some, and finds them in [`View::settings`].
    pub fn settings_refused(&self) -> broadcast::Receiver<SettingsRefused> {
        self.reconciler.board().refused()
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

    /// What the processes of upstreams use, of those whose documents say where to look, by namespace
    /// and name. Read once a second.
    pub fn costs(&self) -> Vec<UpstreamCost> {
        self.costs.list()
    }

    /// Changes with each reading of [`View::costs`].
    pub fn costs_read(&self) -> watch::Receiver<u64> {
        self.costs.readings()
    }

    /// The methods whose calls are mirrored now: namespace and `package.Service/Method`.
    pub fn mirrored(&self) -> Vec<(String, String)> {
        self.mirrors.mirrored()
    }

    /// What the pairs of a method (`package.Service/Method`) have shown; `None` where it was never
    /// mirrored.
    pub fn pairs(&self, namespace: &str, method: &str) -> Option<MethodPairs> {
        self.mirrors.pairs(namespace, method)
    }

    /// Forgets what the pairs of a method have shown, and begins its order anew: a build of either
    /// side has changed, or the candidate's data are the primary's again. `false` where it was
    /// never mirrored.
    pub fn begin_pairs_anew(&self, namespace: &str, method: &str) -> bool {
        self.mirrors.restart(namespace, method)
    }

    /// Copies that wait or are under way.
    pub fn copies(&self) -> usize {
        self.mirrors.copies()
    }

    /// Whether memory is short: while it is, no call is copied (compare M-8). The mirror watches
    /// the memory of its process by itself, and says otherwise when that passes a bound; who knows
    /// more says it here.
    pub fn shed_copies(&self, shed: bool) {
        self.mirrors.shed(shed);
    }

    /// From now on the candidate of a method answers this part of its calls, each drawn for
    /// itself. It lasts until another part is set or the process ends.
    ///
    /// # Errors
    /// The namespaces do not fit together; everything stays as it was.
    pub fn set_candidate_share(
        &self,
        namespace: &str,
        method: &str,
        share: CandidateShare,
    ) -> Result<(), String> {
        self.reconciler.set_candidate_share((namespace, method), share)
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
