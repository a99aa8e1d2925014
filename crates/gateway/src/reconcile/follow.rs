//! Contracts that upstreams tell: asked for until they come, read again while they serve.
//!
//! A namespace whose upstream does not answer is asked again, ever more slowly, up to once in
//! [`ASK_AGAIN_MOST`]; the others serve meanwhile. A contract that serves is read again every
//! [`FOLLOW_EVERY`], and soon after a data thread has connected anew, for a server that comes back
//! may be another build. What its namespace says under `contract.follow` decides whether it takes
//! over or waits and is shown (protocols ).
//!
//! Not here: building snapshots and swapping them (`super`); the decision itself
//! (`compat::follow` of the contract crate).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tandem_config::Namespace;
use tandem_config::document::{ContractSource, FollowRules};
use tandem_contract::Contract;
use tandem_contract::compat::{self, Change, Decision, Follow};
use tandem_protocol::identity;
use tokio::time::Instant;

use super::{ContractState, KEPT, Known, NOT_ASKED, Reconciler};
use crate::snapshot::upstreams_of;
use crate::tasks::Side;
use crate::thread::Drain;
use crate::upstream::reflection;

/// Time between the first two questions; it doubles.
const ASK_AGAIN: Duration = Duration::from_millis(100);
const ASK_AGAIN_MOST: Duration = Duration::from_secs(2);
/// A contract that came by reflection is read again after this time (protocols X-4).
const FOLLOW_EVERY: Duration = Duration::from_secs(60);
/// How often it is looked whether an upstream has new connections. Reading a contract costs its
/// upstream a millisecond or two; once a second at most is nothing beside its calls.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Changes of a contract that are named; the rest is counted.
const CHANGES_NAMED: usize = 8;

impl Reconciler {
    /// Asks the upstreams of all namespaces that have no contract, each in a task of its own.
    pub(crate) fn fetch_missing(self: &Arc<Self>, side: &Side, drain: &Drain) {
        let wanted = self.wanted().clone();
        for namespace in wanted.namespaces {
            let ContractSource::Reflection(upstream) = &namespace.contract else { continue };
            if let Some(ContractState::Known(_)) = wanted.states.get(&namespace.namespace) {
                continue;
            }
            let (this, mut drain) = (Arc::clone(self), drain.clone());
            let upstream = upstream.clone();
            side.start(async move {
                tokio::select! {
                    () = this.fetch(wanted.generation, &namespace, &upstream) => {}
                    () = drain.begun() => {}
                }
            });
        }
    }

    /// Reads the contracts that came by reflection again, for as long as the gateway runs.
    pub(crate) fn follow(self: &Arc<Self>, side: &Side, drain: &Drain) {
        let (this, mut drain) = (Arc::clone(self), drain.clone());
        side.start(async move {
            let following = async {
                let (mut read, mut connected) = (Instant::now(), BTreeMap::new());
                loop {
                    tokio::time::sleep(LOOK_EVERY).await;
                    let now_connected = this.connections_opened();
                    let due = read.elapsed() >= FOLLOW_EVERY;
                    let anew =
                        |namespace: &str| now_connected.get(namespace) != connected.get(namespace);
                    this.read_some_again(|namespace| due || anew(namespace)).await;
                    connected = now_connected;
                    if due {
                        read = Instant::now();
                    }
                }
            };
            tokio::select! {
                () = following => {}
                () = drain.begun() => {}
            }
        });
    }

    /// Connections that the data threads have opened, by namespace, to the upstream that tells its
    /// contract.
    fn connections_opened(&self) -> BTreeMap<String, u64> {
        let wanted = self.wanted();
        let mut opened = BTreeMap::new();
        for namespace in &wanted.namespaces {
            let ContractSource::Reflection(upstream) = &namespace.contract else { continue };
            let counters = self.standing.metrics.upstream(&namespace.namespace, upstream);
            opened.insert(namespace.namespace.clone(), counters.figures().connections_opened);
        }
        opened
    }

    /// Reads the contracts that came by reflection once more. An upstream that does not answer
    /// changes nothing.
    pub(crate) async fn read_again(&self) {
        self.read_some_again(|_| true).await;
    }

    async fn read_some_again(&self, which: impl Fn(&str) -> bool) {
        let wanted = self.wanted().clone();
        for namespace in wanted.namespaces.iter().filter(|one| which(&one.namespace)) {
            let ContractSource::Reflection(upstream) = &namespace.contract else { continue };
            let Some(ContractState::Known(known)) = wanted.states.get(&namespace.namespace) else {
                continue;
            };
            let upstreams = upstreams_of(namespace, &self.standing.metrics);
            let Some(upstream) = upstreams.get(upstream) else { continue };
            match ask(upstream).await {
                Ok((contract, how)) => {
                    self.decide(wanted.generation, namespace, known, &contract, how);
                }
                Err(why) => {
                    tracing::debug!(namespace = %namespace.namespace, "not read again: {why}");
                }
            }
            self.compare_others(wanted.generation, namespace).await;
        }
    }

    /// Marks the other upstreams of a namespace that describe one of its services otherwise: the
    /// contract of the one that the document names serves, no common part is guessed (protocols
    /// Who does not answer is not marked.
    async fn compare_others(&self, generation: u64, namespace: &Namespace) {
        let ContractSource::Reflection(source) = &namespace.contract else { return };
        let upstreams = upstreams_of(namespace, &self.standing.metrics);
        let mut others = Vec::new();
        for (name, upstream) in upstreams.iter().filter(|(name, _)| *name != source) {
            if let Ok((contract, _how)) = ask(upstream).await {
                others.push((name, contract));
            }
        }
        let mut wanted = self.wanted();
        if wanted.generation != generation {
            return;
        }
        let state = wanted.states.get_mut(&namespace.namespace);
        let Some(ContractState::Known(known)) = state else { return };
        let unlike = others.iter().flat_map(|(name, contract)| {
            let services = compat::unlike_services(&known.raw, contract);
            services.into_iter().map(move |service| {
                format!("{UNLIKE} `{name}`: `{service}` is not what it is at `{source}`, whose contract serves")
            })
        });
        let unlike: Vec<String> = unlike.collect();
        known.problems.retain(|problem| !problem.starts_with(UNLIKE));
        known.problems.extend(unlike);
    }

    /// Takes a contract that was read again, or says why not (protocols ).
    fn decide(
        &self,
        generation: u64,
        namespace: &Namespace,
        known: &Known,
        contract: &Arc<Contract>,
        how: String,
    ) {
        let name = &namespace.namespace;
        let FollowRules { policy, recorded } = namespace.follow;
        let not_taken = match compat::follow(policy, recorded.as_ref(), Some(&known.raw), contract)
        {
            Decision::Stay => None,
            Decision::Swap(_) => match self.accept(generation, namespace, contract, how) {
                Ok(()) => {
                    tracing::info!(namespace = %name, "the contract has changed and serves");
                    return;
                }
                Err(why) => Some(format!("{CHANGED} and was not taken: {why}")),
            },
            Decision::Wait(changes) => Some(waits(&changes, contract)),
            Decision::Refuse => Some(format!("{CHANGED}; {}", refused(contract))),
        };
        let mut wanted = self.wanted();
        if wanted.generation != generation {
            return;
        }
        if let Some(ContractState::Known(known)) = wanted.states.get_mut(name) {
            let said = known.problems.iter().any(|problem| Some(problem) == not_taken.as_ref());
            known.problems.retain(|problem| !problem.starts_with(CHANGED));
            if let Some(problem) = not_taken {
                if !said {
                    tracing::warn!(namespace = %name, "{problem}");
                }
                known.problems.push(problem);
            }
        }
    }

    async fn fetch(&self, generation: u64, namespace: &Namespace, upstream: &str) {
        let name = &namespace.namespace;
        let mut wait = ASK_AGAIN;
        let mut kept = self.kept(name);
        loop {
            let why = match upstreams_of(namespace, &self.standing.metrics).get(upstream) {
                None => format!("no upstream `{upstream}`"),
                Some(upstream) => match ask(upstream).await {
                    Ok((contract, how)) => {
                        match self.take_first(generation, namespace, &mut kept, &contract, how) {
                            Ok(()) => return self.compare_others(generation, namespace).await,
                            Err(why) => why,
                        }
                    }
                    Err(why) => why,
                },
            };
            // What was good last serves until the service can be asked; where one is pinned, only
            // that one.
            let may_serve = |contract: &Arc<Contract>| match namespace.follow.policy {
                Follow::Pinned => namespace.follow.recorded == Some(*contract.digest()),
                Follow::Compatible | Follow::Manual => true,
            };
            if let Some(contract) = kept.take().filter(may_serve)
                && self.accept(generation, namespace, &contract, KEPT.into()).is_ok()
            {
                tracing::warn!(namespace = %name, "the last good contract serves: {why}");
            }
            if !self.note_unasked(generation, name, &why) {
                return;
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(ASK_AGAIN_MOST);
        }
    }

    /// Takes the first contract that a service tells, or what was kept in its place where the
    /// namespace does not follow by itself: what served before a restart serves after it.
    fn take_first(
        &self,
        generation: u64,
        namespace: &Namespace,
        kept: &mut Option<Arc<Contract>>,
        contract: &Arc<Contract>,
        how: String,
    ) -> Result<(), String> {
        let FollowRules { policy, recorded } = namespace.follow;
        let before = match policy {
            // Whoever restarts means what the service tells now.
            Follow::Compatible => None,
            Follow::Manual => kept.as_deref(),
            // Another one than the recorded is worth nothing.
            Follow::Pinned => kept.as_deref().filter(|kept| recorded == Some(*kept.digest())),
        };
        let why = match compat::follow(policy, recorded.as_ref(), before, contract) {
            Decision::Stay | Decision::Swap(_) => {
                return self.accept(generation, namespace, contract, how);
            }
            Decision::Wait(changes) => waits(&changes, contract),
            Decision::Refuse => format!("{CHANGED}; {}", refused(contract)),
        };
        let serves = before.is_some();
        let Some(before) = kept.take().filter(|_| serves) else { return Err(why) };
        self.accept(generation, namespace, &before, KEPT.into())?;
        // The state has just been made.
        if let Some(ContractState::Known(known)) =
            self.wanted().states.get_mut(&namespace.namespace)
        {
            tracing::warn!(namespace = %namespace.namespace, "{why}");
            known.problems.push(why);
        }
        Ok(())
    }

    /// Writes down why a service could not be asked; `false` when other documents have come.
    fn note_unasked(&self, generation: u64, name: &str, why: &str) -> bool {
        let mut wanted = self.wanted();
        if wanted.generation != generation {
            return false;
        }
        match wanted.states.get_mut(name) {
            Some(ContractState::Known(known)) => {
                known.problems.retain(|problem| !problem.starts_with(UNASKED));
                known.problems.push(format!("{UNASKED}: {why}"));
            }
            Some(ContractState::Waiting { why: before }) => {
                // Once: a service that is down may be down in several ways, one after another.
                if before == NOT_ASKED {
                    tracing::warn!(namespace = %name, "no contract yet: {why}");
                }
                why.clone_into(before);
            }
            // Every namespace has a state.
            None => {}
        }
        true
    }
}

/// How the problem of a service that cannot be asked begins.
const UNASKED: &str = "the service does not tell its contract";
/// How the problem of an upstream begins that keeps another contract.
const UNLIKE: &str = "the contract differs at upstream";
/// How a problem about a newer contract begins.
const CHANGED: &str = "the contract has changed";

/// Why a contract waits, and how it is taken all the same.
fn waits(changes: &[Change], contract: &Contract) -> String {
    let breaking: Vec<&Change> = changes.iter().filter(|change| change.breaks()).collect();
    let digest = identity::hex(contract.digest());
    let take = format!("to serve it write `digest: \"{digest}\"` under `contract` and reload");
    if breaking.is_empty() {
        return format!("{CHANGED}, breaks no caller, and waits to be taken; {take}");
    }
    let mut named: Vec<String> = breaking
        .iter()
        .take(CHANGES_NAMED)
        .map(|change| format!("{}: {}", change.symbol, change.what))
        .collect();
    if breaking.len() > CHANGES_NAMED {
        named.push(format!("{} more", breaking.len() - CHANGES_NAMED));
    }
    let named = named.join("; ");
    format!("{CHANGED} in a way that breaks callers, and was not taken: {named}; {take}")
}

fn refused(contract: &Contract) -> String {
    let digest = identity::hex(contract.digest());
    format!("another one is pinned than the service tells, \"{digest}\"")
}

async fn ask(upstream: &crate::upstream::Upstream) -> Result<(Arc<Contract>, String), String> {
    let reflected = reflection::fetch(upstream).await.map_err(|error| error.to_string())?;
    let contract =
        Contract::from_file_descriptors(&reflected.files).map_err(|faults| faults.to_string())?;
    Ok((Arc::new(contract), format!("reflection {}", reflected.version)))
}
