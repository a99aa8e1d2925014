//! Contracts that services tell, where no store holds what is claimed: files alone are served, or
//! what was served last (security T-1, RB-7).
//!
//! A contract that comes by reflection is checked as it would be in a document that is published,
//! and is held against what the others claim: by the contracts that they serve, and until theirs
//! has come, by those that they served last. So what a team had before a restart is its own after
//! it, whoever is asked first. Of two that never served, the first to tell has it.
//!
//! Not here: the same beside a store (`crate::stored`), what serves instead (`tandem_gateway`).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tandem_config::access::Claims;
use tandem_config::history::{Checked, PlatformBasis};
use tandem_config::store::NamespaceName;
use tandem_config::{Loaded, Namespace, Problem, Severity, Tnd};
use tandem_contract::Contract;
use tandem_gateway::{AdmitContracts, KeepContracts, NotTaken, View};

use crate::documents::Contracts;
use crate::stored::Stored;

/// What its team may do about a contract that claims what it may not.
pub(crate) const FIX: &str = "what served before goes on; take it out of the service's contract, \
                              or let the platform grant it, and reload";

/// What is wrong with a contract beside its document, in one line.
pub(crate) fn refused(problems: &[Problem]) -> String {
    const SHOWN: usize = 8;
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error);
    let mut all: Vec<&str> = errors.map(|problem| problem.what.as_str()).collect();
    let more = all.len().saturating_sub(SHOWN);
    all.truncate(SHOWN);
    let more = if more == 0 { String::new() } else { format!("; {more} more") };
    format!("{}{more}; {FIX}", all.join("; "))
}

/// By what is served: it says which contracts of services may serve.
#[derive(Clone)]
pub(crate) enum Judge {
    Store(Arc<Stored>),
    /// There is no store.
    Files(Arc<Admission>),
    /// There is a store, and it cannot be used.
    LastGood(Arc<Admission>),
}

impl Judge {
    pub(crate) fn stored(&self) -> Option<&Arc<Stored>> {
        match self {
            Judge::Store(stored) => Some(stored),
            Judge::Files(_) | Judge::LastGood(_) => None,
        }
    }

    pub(crate) fn admits(&self) -> Arc<dyn AdmitContracts> {
        match self {
            Judge::Store(stored) => Arc::clone(stored) as _,
            Judge::Files(admission) | Judge::LastGood(admission) => Arc::clone(admission) as _,
        }
    }
}

/// Judges by documents that stand in no store.
pub(crate) struct Admission(Mutex<State>);

struct State {
    documents: Files,
    claims: BTreeMap<NamespaceName, Claims>,
}

/// Teams' documents, and the platform's that they are checked against.
pub(crate) struct Files {
    pub(crate) platform: PlatformBasis,
    pub(crate) teams: BTreeMap<NamespaceName, Arc<str>>,
}

impl Files {
    /// Of files.
    pub(crate) fn of(loaded: &Loaded) -> Files {
        let team = |(document, text): (&Namespace, &str)| {
            Some((NamespaceName::new(&document.namespace)?, Arc::from(text)))
        };
        Files {
            platform: PlatformBasis::of_file(loaded.platform_text()),
            teams: loaded.texts().filter_map(team).collect(),
        }
    }

    fn claims(
        &self,
        name: &NamespaceName,
        contract: &Arc<Contract>,
    ) -> Result<Claims, Vec<Problem>> {
        let Some(text) = self.teams.get(name) else { return Ok(Claims::default()) };
        let checked = Checked::namespace(&self.platform, name, text, contract, None)?;
        Ok(checked.claims().cloned().unwrap_or_default())
    }
}

impl State {
    /// With what the contracts of files claim.
    fn new(documents: Files, contracts: &Contracts) -> State {
        let mut claims = BTreeMap::new();
        for name in documents.teams.keys() {
            let Some(contract) = contracts.get(name.as_str()) else { continue };
            if let Ok(own) = documents.claims(name, contract) {
                claims.insert(name.clone(), own);
            }
        }
        State { documents, claims }
    }

    /// Gives `name` what the contract claims beside what it has, if nobody else has it.
    fn give(&mut self, name: &NamespaceName, contract: &Arc<Contract>) -> Result<(), Vec<Problem>> {
        let claims = self.documents.claims(name, contract)?;
        let claims = claims.joined(self.claims.get(name).unwrap_or(&Claims::default()));
        let others = self.claims.iter().filter(|(other, _)| *other != name);
        let conflicts = others.filter_map(|(_, theirs)| claims.conflict(theirs));
        let problem = |conflict: tandem_config::access::ClaimConflict| {
            Problem::error(Tnd::ClaimedByAnother, conflict.to_string())
        };
        let problems: Vec<Problem> = conflicts.map(problem).collect();
        if !problems.is_empty() {
            return Err(problems);
        }
        self.claims.insert(name.clone(), claims);
        Ok(())
    }
}

impl Admission {
    /// Beside `documents`, of which `contracts` came by file and `kept` knows what served last.
    pub(crate) fn new(
        documents: Files,
        contracts: &Contracts,
        kept: &dyn KeepContracts,
    ) -> Admission {
        let mut state = State::new(documents, contracts);
        let names: Vec<NamespaceName> = state.documents.teams.keys().cloned().collect();
        for name in names.iter().filter(|name| !contracts.contains_key(name.as_str())) {
            let Some(set) = kept.kept(name.as_str()) else { continue };
            let Ok(contract) = Contract::from_descriptor_set(&set) else { continue };
            // What may not be claimed any more is nobody's.
            let _ = state.give(name, &Arc::new(contract));
        }
        Admission(Mutex::new(state))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `serve`, which begins to serve other documents, and judges by those from then on.
    ///
    /// # Errors
    /// A contract that serves now would claim beside them what it may not; what `serve` says.
    pub(crate) fn replace(
        &self,
        documents: Files,
        contracts: &Contracts,
        view: &View,
        serve: impl FnOnce() -> Result<(), String>,
    ) -> Result<(), String> {
        let mut state = self.state();
        let mut next = State::new(documents, contracts);
        let names: Vec<NamespaceName> = next.documents.teams.keys().cloned().collect();
        for name in names.iter().filter(|name| !contracts.contains_key(name.as_str())) {
            let Some(contract) = view.contract(name.as_str()) else { continue };
            let Err(mut problems) = next.give(name, &contract) else { continue };
            // The rest may be well with what its service tells when it is asked again.
            let claimed = [Tnd::OutsideGrant, Tnd::ClaimedByAnother];
            problems.retain(|problem| claimed.contains(&problem.code));
            if !problems.is_empty() {
                let all: Vec<&str> = problems.iter().map(|problem| &*problem.what).collect();
                return Err(format!("`{name}`, by what its service tells: {}", all.join("; ")));
            }
        }
        serve()?;
        *state = next;
        Ok(())
    }
}

impl AdmitContracts for Admission {
    fn admit(
        &self,
        namespace: &Namespace,
        contract: &Arc<Contract>,
        take: &mut dyn FnMut() -> Result<(), String>,
    ) -> Result<(), NotTaken> {
        let name = NamespaceName::new(&namespace.namespace)
            .ok_or_else(|| NotTaken::Failed(format!("`{}` is no name", namespace.namespace)))?;
        let mut state = self.state();
        let before = state.claims.get(&name).cloned();
        state.give(&name, contract).map_err(|problems| NotTaken::Refused(refused(&problems)))?;
        take().map_err(|why| {
            match before {
                Some(before) => drop(state.claims.insert(name.clone(), before)),
                None => drop(state.claims.remove(&name)),
            }
            NotTaken::Failed(why)
        })
    }
}
