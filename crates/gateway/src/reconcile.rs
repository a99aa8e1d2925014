//! Off the path: contracts are fetched, snapshots built and swapped.
//!
//! A namespace whose upstream does not answer is asked again, ever more slowly, up to once in
//! [`ASK_AGAIN_MOST`]; the others serve meanwhile. A swap is one pointer.
//!
//! Not here: following a contract that changes (protocols X-4), which comes with reload.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tandem_config::Namespace;
use tandem_config::document::ContractSource;
use tandem_config::document::PlatformLimits;
use tandem_contract::Contract;
use tandem_transcode::Plans;

use crate::observe::Metrics;
use crate::snapshot::{Snapshot, upstreams_of};
use crate::tasks::Side;
use crate::thread::Drain;
use crate::upstream::reflection;

/// Time between the first two questions; it doubles.
const ASK_AGAIN: Duration = Duration::from_millis(100);
const ASK_AGAIN_MOST: Duration = Duration::from_secs(2);

/// What is known of a namespace's contract.
#[derive(Debug, Clone)]
pub(crate) enum ContractState {
    /// With how it came: `reflection v1`, `descriptors`.
    Known { plans: Arc<Plans>, how: String },
    /// With the last reason.
    Waiting { why: String },
}

/// Everything that a snapshot is made of, and the pointer it is put behind.
pub(crate) struct Reconciler {
    limits: PlatformLimits,
    namespaces: Vec<Namespace>,
    states: Mutex<BTreeMap<String, ContractState>>,
    metrics: Metrics,
    current: Arc<ArcSwap<Snapshot>>,
}

impl Reconciler {
    pub(crate) fn new(
        limits: PlatformLimits,
        namespaces: Vec<Namespace>,
        contracts: BTreeMap<String, Arc<Contract>>,
        metrics: Metrics,
        current: Arc<ArcSwap<Snapshot>>,
    ) -> Arc<Reconciler> {
        let states = namespaces
            .iter()
            .map(|namespace| {
                let name = &namespace.namespace;
                let state = match contracts.get(name) {
                    Some(contract) => ContractState::Known {
                        plans: Arc::new(Plans::new(Arc::clone(contract))),
                        how: "descriptors".into(),
                    },
                    None => ContractState::Waiting { why: "not asked yet".into() },
                };
                (name.clone(), state)
            })
            .collect();
        Arc::new(Reconciler { limits, namespaces, states: Mutex::new(states), metrics, current })
    }

    pub(crate) fn states(&self) -> BTreeMap<String, ContractState> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Builds a snapshot of what is known and puts it in place.
    ///
    /// # Errors
    /// Two namespaces claim the same; the old snapshot stays.
    pub(crate) fn publish(&self) -> Result<(), String> {
        let plans = self
            .states()
            .into_iter()
            .filter_map(|(name, state)| match state {
                ContractState::Known { plans, .. } => Some((name, plans)),
                ContractState::Waiting { .. } => None,
            })
            .collect();
        match Snapshot::build(&self.limits, &self.namespaces, &plans, &self.metrics) {
            Ok(snapshot) => {
                self.current.store(Arc::new(snapshot));
                Ok(())
            }
            Err(faults) => {
                let all: Vec<String> = faults.iter().map(ToString::to_string).collect();
                Err(all.join("; "))
            }
        }
    }

    /// Asks the upstreams of all namespaces that have no contract, each in a task of its own.
    pub(crate) fn fetch_missing(self: &Arc<Self>, side: &Side, drain: &Drain) {
        for namespace in &self.namespaces {
            let ContractSource::Reflection(upstream) = &namespace.contract else { continue };
            let known = self
                .states()
                .get(&namespace.namespace)
                .is_some_and(|state| matches!(state, ContractState::Known { .. }));
            if known {
                continue;
            }
            let (this, mut drain) = (Arc::clone(self), drain.clone());
            let (namespace, upstream) = (namespace.clone(), upstream.clone());
            side.start(async move {
                tokio::select! {
                    () = this.fetch(&namespace, &upstream) => {}
                    () = drain.begun() => {}
                }
            });
        }
    }

    async fn fetch(&self, namespace: &Namespace, upstream: &str) {
        let name = &namespace.namespace;
        let mut wait = ASK_AGAIN;
        loop {
            let why = match upstreams_of(namespace, &self.metrics).get(upstream) {
                None => format!("no upstream `{upstream}`"),
                Some(upstream) => match self.ask(upstream).await {
                    Ok((contract, how)) => match self.accept(name, contract, how) {
                        Ok(()) => return,
                        Err(why) => why,
                    },
                    Err(why) => why,
                },
            };
            let new = {
                let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
                let waiting = ContractState::Waiting { why: why.clone() };
                let before = states.insert(name.clone(), waiting);
                !matches!(before, Some(ContractState::Waiting { why: before }) if before == why)
            };
            if new {
                tracing::warn!(namespace = %name, "no contract yet: {why}");
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(ASK_AGAIN_MOST);
        }
    }

    async fn ask(
        &self,
        upstream: &crate::upstream::Upstream,
    ) -> Result<(Arc<Contract>, String), String> {
        let reflected = reflection::fetch(upstream).await.map_err(|error| error.to_string())?;
        let contract = Contract::from_file_descriptors(&reflected.files)
            .map_err(|faults| faults.to_string())?;
        for fault in contract.faults() {
            tracing::warn!(upstream = %upstream.name, "left out of the contract: {fault}");
        }
        Ok((Arc::new(contract), format!("reflection {}", reflected.version)))
    }

    fn accept(&self, name: &str, contract: Arc<Contract>, how: String) -> Result<(), String> {
        let plans = Arc::new(Plans::new(contract));
        let before = {
            let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
            states.insert(name.to_owned(), ContractState::Known { plans, how })
        };
        let published = self.publish();
        if published.is_err()
            && let Some(before) = before
        {
            let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
            states.insert(name.to_owned(), before);
        }
        published
    }
}
