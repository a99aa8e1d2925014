//! Contracts that upstreams tell: asked for until they come, read again while they serve.
//!
//! A namespace whose upstream does not answer is asked again, ever more slowly, up to once in
//! [`ASK_AGAIN_MOST`]; the others serve meanwhile. A contract that serves is read again every
//! [`FOLLOW_EVERY`], and soon after a data thread has connected anew, for a server that comes back
//! may be another build. What its namespace says under `contract.follow` decides whether it takes
//! over or waits and is shown (protocols ). One that is not admitted ([`super::admit`])
//! does not: what was good last goes on, and why is told once.
//!
//! Not here: building snapshots and swapping them (`super`); the decision itself
//! (`compat::follow` of the contract crate).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tandem_config::Namespace;
use tandem_config::document::{ContractSource, FollowRules};
use tandem_contract::Contract;
use tandem_contract::compat::{self, Change, Decision, Follow};
use tandem_protocol::identity;
use tokio::time::Instant;

use super::{ContractState, KEPT, Known, NotTaken, Reconciler, Waiting};
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
    pub(crate) async fn read_again(self: &Arc<Self>) {
        self.read_some_again(|_| true).await;
    }

    /// Reads the contracts once more of which another one is told than serves: what it was not
    /// taken for may have changed.
    pub(crate) async fn read_untaken_again(self: &Arc<Self>) {
        let untaken: BTreeSet<String> = {
            let wanted = self.wanted();
            let of_telling = |state: &ContractState| match state {
                ContractState::Known(known) => known.problems.iter().any(|one| is_of_telling(one)),
                ContractState::Waiting(_) => false,
            };
            let untaken = wanted.states.iter().filter(|(_, state)| of_telling(state));
            untaken.map(|(name, _)| name.clone()).collect()
        };
        self.read_some_again(|name| untaken.contains(name)).await;
    }

    async fn read_some_again(self: &Arc<Self>, which: impl Fn(&str) -> bool) {
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
                    self.decide(wanted.generation, namespace, known, &contract, how).await;
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
    async fn decide(
        self: &Arc<Self>,
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
            Decision::Swap(_) => match self.accept(generation, namespace, contract, how).await {
                Ok(()) => {
                    tracing::info!(namespace = %name, "the contract has changed and serves");
                    return;
                }
                Err(why) => Some(not_admitted(contract, &why)),
            },
            Decision::Wait(changes) => Some(waits(&changes, contract)),
            Decision::Refuse => Some(format!("{CHANGED}; {}", refused(contract))),
        };
        self.note_told(generation, name, not_taken);
    }

    async fn fetch(self: &Arc<Self>, generation: u64, namespace: &Namespace, upstream: &str) {
        let name = &namespace.namespace;
        let mut wait = ASK_AGAIN;
        let mut kept = self.kept(name).filter(|kept| may_serve(namespace, kept));
        loop {
            let why = match upstreams_of(namespace, &self.standing.metrics).get(upstream) {
                None => NotTaken::Failed(format!("no upstream `{upstream}`")),
                Some(upstream) => match ask(upstream).await {
                    Ok((contract, how)) => {
                        let taken =
                            self.take_first(generation, namespace, &mut kept, &contract, how);
                        match taken.await {
                            Ok(()) => return self.compare_others(generation, namespace).await,
                            Err(why) => why,
                        }
                    }
                    Err(why) => NotTaken::Failed(why),
                },
            };
            // What was good last serves until the service can be asked.
            if let Some(contract) = kept.take() {
                match self.accept(generation, namespace, &contract, KEPT.into()).await {
                    Ok(()) => {
                        tracing::warn!(namespace = %name, "the last good contract serves: {why}");
                    }
                    Err(NotTaken::Failed(_)) => kept = Some(contract),
                    Err(NotTaken::Refused(why)) => {
                        tracing::warn!(namespace = %name, "the last good contract does not serve: {why}");
                    }
                }
            }
            if !self.note_untold(generation, name, &why) {
                return;
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(ASK_AGAIN_MOST);
        }
    }

    /// Takes the first contract that a service tells, or what was kept in its place where the
    /// namespace does not follow by itself, or may not have what it tells: what served before a
    /// restart serves after it.
    async fn take_first(
        self: &Arc<Self>,
        generation: u64,
        namespace: &Namespace,
        kept: &mut Option<Arc<Contract>>,
        contract: &Arc<Contract>,
        how: String,
    ) -> Result<(), NotTaken> {
        let FollowRules { policy, recorded } = namespace.follow;
        let before = match policy {
            // Whoever restarts means what the service tells now.
            Follow::Compatible => None,
            Follow::Manual | Follow::Pinned => kept.as_deref(),
        };
        let why = match compat::follow(policy, recorded.as_ref(), before, contract) {
            Decision::Stay | Decision::Swap(_) => {
                match self.accept(generation, namespace, contract, how).await {
                    Err(why @ NotTaken::Refused(_)) => {
                        NotTaken::Refused(not_admitted(contract, &why))
                    }
                    taken => return taken,
                }
            }
            Decision::Wait(changes) => NotTaken::Failed(waits(&changes, contract)),
            Decision::Refuse => NotTaken::Failed(format!("{CHANGED}; {}", refused(contract))),
        };
        if let Some(before) = kept.take() {
            self.accept(generation, namespace, &before, KEPT.into()).await?;
        }
        match self.note_told(generation, &namespace.namespace, Some(why.to_string())) {
            true => Ok(()),
            false => Err(why),
        }
    }

    /// Writes down why what a service told is not what serves, or that it is; `false` where
    /// nothing serves.
    fn note_told(&self, generation: u64, name: &str, not_taken: Option<String>) -> bool {
        let mut wanted = self.wanted();
        if wanted.generation != generation {
            // Other documents have come; whoever serves them notes for himself.
            return true;
        }
        let Some(ContractState::Known(known)) = wanted.states.get_mut(name) else { return false };
        let said = known.problems.iter().any(|problem| Some(problem) == not_taken.as_ref());
        let old = |problem: &str| problem.starts_with(CHANGED) || problem.starts_with(UNASKED);
        known.problems.retain(|problem| !old(problem));
        if let Some(problem) = not_taken {
            if !said {
                tracing::warn!(namespace = %name, "{problem}");
            }
            known.problems.push(problem);
        }
        true
    }

    /// Writes down why there is no contract of a service; `false` when other documents have come.
    fn note_untold(&self, generation: u64, name: &str, why: &NotTaken) -> bool {
        let mut wanted = self.wanted();
        if wanted.generation != generation {
            return false;
        }
        match wanted.states.get_mut(name) {
            Some(ContractState::Known(known)) => {
                known.problems.retain(|problem| !problem.starts_with(UNASKED));
                known.problems.push(format!("{UNASKED}: {why}"));
            }
            Some(ContractState::Waiting(before)) => {
                let (now, said) = match why {
                    NotTaken::Refused(why) => {
                        let now = Waiting::Refused(why.clone());
                        let said = *before == now;
                        (now, said)
                    }
                    // Once: a service that is down may be down in several ways, one after another.
                    NotTaken::Failed(why) => {
                        (Waiting::Untold(why.clone()), *before != Waiting::NotAsked)
                    }
                };
                if !said {
                    tracing::warn!(namespace = %name, "no contract yet: {why}");
                }
                *before = now;
            }
            // Every namespace has a state.
            None => {}
        }
        true
    }
}

/// Whether a contract that was kept may serve: where one is pinned, only that one.
fn may_serve(namespace: &Namespace, kept: &Contract) -> bool {
    let FollowRules { policy, recorded } = namespace.follow;
    match policy {
        Follow::Pinned => recorded == Some(*kept.digest()),
        Follow::Compatible | Follow::Manual => true,
    }
}

/// How the problem of a service that cannot be asked begins.
const UNASKED: &str = "the service does not tell its contract";
/// How the problem of an upstream begins that keeps another contract.
const UNLIKE: &str = "the contract differs at upstream";
/// How a problem about a newer contract begins.
const CHANGED: &str = "the contract has changed";

/// Whether a problem is about what services tell, and not about the contract that serves.
pub(super) fn is_of_telling(problem: &str) -> bool {
    [UNASKED, UNLIKE, CHANGED].iter().any(|beginning| problem.starts_with(beginning))
}

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

/// Why a contract is not taken though its namespace would follow it.
fn not_admitted(contract: &Contract, why: &NotTaken) -> String {
    let digest = identity::hex(contract.digest());
    format!("{CHANGED} (\"{digest}\") and was not taken: {why}")
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
