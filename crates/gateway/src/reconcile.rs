//! Off the path: contracts are followed, documents reloaded, snapshots built and swapped.
//!
//! New documents are tried whole before anything is swapped; what serves stays where they do not
//! fit together. A swap is one pointer: calls under way finish on the old snapshot (protocols X-6).
//! The last good contract of a namespace is kept, and serves after a start until the service
//! itself can be asked.
//!
//! Not here: reading and checking documents (`tandem-config`).

mod admit;
mod follow;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tandem_config::Namespace;
use tandem_config::document::{ContractSource, PlatformLimits};
use tandem_contract::{ConfiguredFault, Contract, RuleFault, fields};
use tandem_measure::probe::Target;
use tandem_transcode::Plans;
use tokio::sync::watch;

pub use self::admit::{AdmitContracts, NotTaken};
use crate::cache::Caches;
use crate::mirror::Mirrors;
use crate::observe::Metrics;
use crate::own::board::{Board, Declare};
use crate::policy::Judges;
use crate::route::CandidateShare;
use crate::snapshot::{CandidateShares, Snapshot};

/// How the last good contract came.
const KEPT: &str = "last good, kept";

/// Where the last good contract of each namespace is kept over a restart (protocols X-6).
///
/// Called on the side, with the name of a namespace (`[a-z0-9-]`, at most 63). Failing to keep
/// one is the keeper's to log: what serves does not depend on it.
pub trait KeepContracts: Send + Sync {
    /// The serialized `google.protobuf.FileDescriptorSet` that was kept last.
    fn kept(&self, namespace: &str) -> Option<Vec<u8>>;
    /// Keeps `set` in the place of what was kept before.
    fn keep(&self, namespace: &str, set: &[u8]);
}

/// What is known of a namespace's contract.
#[derive(Debug, Clone)]
pub(crate) enum ContractState {
    Known(Known),
    Waiting(Waiting),
}

/// Why there is no contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Waiting {
    NotAsked,
    /// The service did not tell one, for this reason last.
    Untold(String),
    /// What it told is not taken, for this reason.
    Refused(String),
}

impl Waiting {
    pub(crate) fn why(&self) -> &str {
        match self {
            Waiting::NotAsked => "not asked yet",
            Waiting::Untold(why) | Waiting::Refused(why) => why,
        }
    }
}

/// A contract that serves.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    /// As it came, its annotations in their place.
    raw: Arc<Contract>,
    /// As the namespace serves it.
    pub(crate) plans: Arc<Plans>,
    /// How it came: `reflection v1`, `descriptors`.
    pub(crate) how: String,
    /// What cannot be served of it (protocols P-15), and a newer contract that was not taken.
    pub(crate) problems: Vec<String>,
}

/// Everything that a snapshot is made of, and the pointer it is put behind.
pub(crate) struct Reconciler {
    // Held while a snapshot is built, so that what is known and what serves never part. Nobody on
    // the path waits for it.
    wanted: Mutex<Wanted>,
    keeper: Option<Arc<dyn KeepContracts>>,
    admit: Arc<dyn AdmitContracts>,
    declare: Declare,
    current: Arc<ArcSwap<Snapshot>>,
    /// Moves with each swap.
    swapped: watch::Sender<()>,
    standing: Standing,
}

/// What snapshots are built beside, and what outlives them.
pub(crate) struct Standing {
    pub(crate) metrics: Metrics,
    pub(crate) judges: Arc<Judges>,
    pub(crate) caches: Caches,
    pub(crate) mirrors: Mirrors,
    pub(crate) board: Arc<Board>,
}

/// What a gateway is to serve; it has been checked.
pub(crate) struct Documents<'a> {
    pub(crate) limits: PlatformLimits,
    pub(crate) namespaces: Vec<Namespace>,
    /// Of the namespaces that have one.
    pub(crate) versions: BTreeMap<String, u64>,
    /// Those that came by file.
    pub(crate) contracts: &'a BTreeMap<String, Arc<Contract>>,
    pub(crate) held: HeldBack,
}

/// Namespaces whose contract is asked for, and of which nothing is served or told.
pub type HeldBack = BTreeMap<String, Held>;

/// Why a namespace is held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// It comes soon: the gateway is not ready before.
    Coming,
    /// Something must change first; the gateway is ready without it.
    Refused,
}

/// By namespace and name of the upstream.
pub(crate) type CostTargets = BTreeMap<(String, String), Vec<Target>>;

/// The documents, and what is known of their contracts.
#[derive(Clone)]
struct Wanted {
    /// Grows with each set of documents: a task for an older one ends by itself.
    generation: u64,
    limits: PlatformLimits,
    namespaces: Vec<Namespace>,
    versions: BTreeMap<String, u64>,
    states: BTreeMap<String, ContractState>,
    held: HeldBack,
    /// Parts of calls that candidates answer.
    shares: CandidateShares,
}

impl Wanted {
    /// What is known of a namespace's contract, where the namespace is served.
    fn known(&self, namespace: &str) -> Option<&Known> {
        match self.states.get(namespace)? {
            ContractState::Known(known) if !self.held.contains_key(namespace) => Some(known),
            ContractState::Known(_) | ContractState::Waiting(_) => None,
        }
    }
}

impl Reconciler {
    pub(crate) fn new(
        documents: Documents<'_>,
        (keeper, admit): (Option<Arc<dyn KeepContracts>>, Arc<dyn AdmitContracts>),
        declare: Declare,
        current: Arc<ArcSwap<Snapshot>>,
        standing: Standing,
    ) -> Arc<Reconciler> {
        let Documents { limits, namespaces, versions, contracts, held } = documents;
        let states = states_of(&namespaces, contracts, None);
        let shares = CandidateShares::new();
        let wanted = Wanted { generation: 0, limits, namespaces, versions, states, held, shares };
        let wanted = Mutex::new(wanted);
        let (swapped, _) = watch::channel(());
        Arc::new(Reconciler { wanted, keeper, admit, declare, current, swapped, standing })
    }

    pub(crate) fn board(&self) -> &Board {
        &self.standing.board
    }

    fn wanted(&self) -> MutexGuard<'_, Wanted> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What serves at this moment.
    pub(crate) fn current(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    pub(crate) fn states(&self) -> BTreeMap<String, ContractState> {
        self.wanted().states.clone()
    }

    /// Each document with its contract as it is served.
    pub(crate) fn served(&self) -> Vec<(Namespace, Option<Arc<Contract>>)> {
        let wanted = self.wanted();
        let contract = |namespace: &Namespace| match wanted.states.get(&namespace.namespace) {
            Some(ContractState::Known(known)) => Some(Arc::clone(known.plans.contract())),
            Some(ContractState::Waiting(_)) | None => None,
        };
        let mut served: Vec<_> = wanted
            .namespaces
            .iter()
            .map(|namespace| (namespace.clone(), contract(namespace)))
            .collect();
        served.sort_by(|(one, _), (other, _)| one.namespace.cmp(&other.namespace));
        served
    }

    /// The contract of a namespace as it came.
    pub(crate) fn contract(&self, namespace: &str) -> Option<Arc<Contract>> {
        match self.wanted().states.get(namespace) {
            Some(ContractState::Known(known)) => Some(Arc::clone(&known.raw)),
            Some(ContractState::Waiting(_)) | None => None,
        }
    }

    pub(crate) fn limits(&self) -> PlatformLimits {
        self.wanted().limits.clone()
    }

    /// Where upstreams are looked at, by namespace and name, and the number of these documents;
    /// `None` where that is `seen`.
    pub(crate) fn cost_targets(&self, seen: Option<u64>) -> Option<(u64, CostTargets)> {
        let wanted = self.wanted();
        if seen == Some(wanted.generation) {
            return None;
        }
        let mut targets = BTreeMap::new();
        for namespace in &wanted.namespaces {
            for (name, upstream) in &namespace.upstreams {
                if !upstream.cost.is_empty() {
                    let key = (namespace.namespace.clone(), name.clone());
                    targets.insert(key, upstream.cost.clone());
                }
            }
        }
        Some((wanted.generation, targets))
    }

    /// Builds the first snapshot and puts it in place.
    ///
    /// # Errors
    /// Two namespaces claim the same; the old snapshot stays.
    pub(crate) fn publish(&self) -> Result<(), String> {
        self.swap(&self.wanted())
    }

    /// Puts the snapshot of `wanted` in place.
    fn swap(&self, wanted: &Wanted) -> Result<(), String> {
        let plans = |name: &String| {
            wanted.known(name).map(|known| (name.clone(), Arc::clone(&known.plans)))
        };
        let plans = wanted.states.keys().filter_map(plans).collect();
        let Standing { metrics, judges, caches, mirrors, board: _ } = &self.standing; // told below
        let Wanted { limits, namespaces, shares, .. } = wanted;
        let moving = (mirrors, shares);
        match Snapshot::build(limits, namespaces, &plans, metrics, judges, caches, moving) {
            Ok(snapshot) => {
                let before = self.current.load();
                for fault in snapshot.left_out.iter().filter(|one| !before.left_out.contains(one)) {
                    tracing::warn!("left out: {fault}");
                }
                self.current.store(Arc::new(snapshot));
                self.tell_settings(wanted);
                self.swapped.send_replace(());
                Ok(())
            }
            Err(faults) => {
                let all: Vec<String> = faults.iter().map(ToString::to_string).collect();
                Err(all.join("; "))
            }
        }
    }

    /// Puts the settings of all services on the board.
    fn tell_settings(&self, wanted: &Wanted) {
        self.standing.board.publish(wanted.namespaces.iter().map(|namespace| {
            let name = &*namespace.namespace;
            let version = wanted.versions.get(name).copied().unwrap_or(0);
            let declared =
                wanted.known(name).map(|known| (self.declare)(namespace, known.plans.contract()));
            (name, version, declared)
        }));
    }

    /// Serves other documents from now on. A namespace whose contract comes from where it came
    /// before keeps it until it is read again.
    ///
    /// # Errors
    /// Two namespaces claim the same; everything stays as it was.
    pub(crate) fn replace(&self, documents: Documents<'_>) -> Result<(), String> {
        let Documents { limits, namespaces, versions, contracts, held } = documents;
        let mut current = self.wanted();
        let states = states_of(&namespaces, contracts, Some(&current));
        let generation = current.generation + 1;
        let shares = current.shares.clone();
        let next = Wanted { generation, limits, namespaces, versions, states, held, shares };
        self.swap(&next)?;
        *current = next;
        Ok(())
    }

    /// Whether everything that is to be served has a contract. What was refused is not waited for:
    /// no team keeps the others from being served by what its service tells.
    pub(crate) fn complete(&self) -> bool {
        let wanted = self.wanted();
        wanted.states.iter().all(|(name, state)| match wanted.held.get(name) {
            None => match state {
                ContractState::Known(_) | ContractState::Waiting(Waiting::Refused(_)) => true,
                ContractState::Waiting(Waiting::NotAsked | Waiting::Untold(_)) => false,
            },
            Some(Held::Coming) => false,
            Some(Held::Refused) => true,
        })
    }

    /// Resolves once calls of the namespace are carried.
    pub(crate) async fn carried(&self, namespace: &str) {
        let mut swapped = self.swapped.subscribe();
        while self.wanted().known(namespace).is_none() {
            // The sender lives as long as `self`.
            let _ = swapped.changed().await;
        }
    }

    /// From now on the candidate of a method answers this part of its calls.
    ///
    /// # Errors
    /// As [`Reconciler::publish`].
    pub(crate) fn set_candidate_share(
        &self,
        (namespace, method): (&str, &str),
        share: CandidateShare,
    ) -> Result<(), String> {
        let mut current = self.wanted();
        let mut next = current.clone();
        next.shares.insert((namespace.to_owned(), method.to_owned()), share);
        self.swap(&next)?;
        *current = next;
        Ok(())
    }

    fn kept(&self, namespace: &str) -> Option<Arc<Contract>> {
        let set = self.keeper.as_ref()?.kept(namespace)?;
        let files: Result<Vec<Vec<u8>>, _> =
            fields::each(&set).map(|field| field.map(|field| field.bytes.to_vec())).collect();
        Contract::from_file_descriptors(&files.ok()?).ok().map(Arc::new)
    }
}

/// What is known of each namespace at first: what came by file, and what `before` knew of a
/// contract that comes from the same place.
fn states_of(
    namespaces: &[Namespace],
    contracts: &BTreeMap<String, Arc<Contract>>,
    before: Option<&Wanted>,
) -> BTreeMap<String, ContractState> {
    let kept = |namespace: &Namespace| {
        let before = before?;
        let ContractSource::Reflection(upstream) = &namespace.contract else { return None };
        let old = before.namespaces.iter().find(|old| old.namespace == namespace.namespace)?;
        let same = old.contract == namespace.contract
            && old.upstreams.get(upstream) == namespace.upstreams.get(upstream);
        match before.states.get(&namespace.namespace)? {
            ContractState::Known(state) if same => {
                let mut now = known(namespace, &state.raw, state.how.clone(), &state.problems);
                let told = state.problems.iter().filter(|problem| follow::is_of_telling(problem));
                now.problems.extend(told.cloned());
                Some(ContractState::Known(now))
            }
            // What was told of a service that is down is not told again for other documents.
            waiting @ ContractState::Waiting(_) if same => Some(waiting.clone()),
            ContractState::Known(_) | ContractState::Waiting(_) => None,
        }
    };
    namespaces
        .iter()
        .map(|namespace| {
            let name = &namespace.namespace;
            let state = match contracts.get(name) {
                Some(contract) => {
                    let state = before.and_then(|before| before.states.get(name));
                    let said = match state {
                        Some(ContractState::Known(known)) => &*known.problems,
                        Some(ContractState::Waiting(_)) | None => &[],
                    };
                    ContractState::Known(known(namespace, contract, "descriptors".into(), said))
                }
                None => kept(namespace).unwrap_or(ContractState::Waiting(Waiting::NotAsked)),
            };
            (name.clone(), state)
        })
        .collect()
}

/// The contract as the namespace serves it: its rules under `http` in the place of annotations
/// (protocols P-14). Problems that were `said` are not said again.
fn known(namespace: &Namespace, contract: &Arc<Contract>, how: String, said: &[String]) -> Known {
    let raw = Arc::clone(contract);
    let (contract, faults) = namespace.served(contract);
    let mut problems: Vec<String> = contract.faults().iter().map(ToString::to_string).collect();
    problems.extend(faults.into_iter().map(|ConfiguredFault { method, rule, fault }| {
        let RuleFault { part: _, column, what, fix } = fault;
        let method = contract.method(method).full_name();
        let column = column.map(|column| format!("column {column}: ")).unwrap_or_default();
        format!("{method}: http[{rule}]: {column}{what}; {fix}")
    }));
    for fault in problems.iter().filter(|problem| !said.contains(problem)) {
        tracing::warn!(namespace = %namespace.namespace, "left out of the contract: {fault}");
    }
    Known { raw, plans: Arc::new(Plans::new(contract)), how, problems }
}
