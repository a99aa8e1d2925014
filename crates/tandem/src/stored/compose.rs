//! From files and live versions to the documents that are served.
//!
//! Each live version is read and checked by itself beside the platform's document, so one that
//! cannot be served any more takes none with it.
//!
//! Not here: what serves them (`tandem_gateway::View`).

use tandem_config::history::{DiffLine, Snapshot, SnapshotDocument, diff};
use tandem_config::load::from_texts;
use tandem_config::{Loaded, Namespace, Severity, check};
use tandem_gateway::{ApiKey, ApiKeys, Held, HeldBack, KeepContracts};

use tandem_config::document::NamespaceGrant;

use super::*;
use crate::admit::Admission;
use crate::documents::Contracts;

/// What a process was given beside its store: its files, read and checked.
#[derive(Clone)]
pub(crate) struct Process {
    /// The text of `tandem.yaml`.
    pub(crate) platform: Arc<str>,
    pub(crate) document: Platform,
    /// Each team's file.
    pub(crate) files: BTreeMap<NamespaceName, File>,
}

/// A team's file.
#[derive(Clone)]
pub(crate) struct File {
    pub(crate) text: Arc<str>,
    /// Where it names files: the contract that they give, and the descriptor set of it.
    pub(crate) contract: Option<(Arc<Contract>, Arc<[u8]>)>,
}

/// A file that says something else than what is live.
#[derive(Debug, Clone)]
pub(crate) struct Difference {
    pub(crate) namespace: NamespaceName,
    pub(crate) version: u32,
    pub(crate) who: String,
    pub(crate) lines: Vec<DiffLine>,
}

impl Process {
    /// Of documents that were checked.
    pub(crate) fn new(loaded: &Loaded, contracts: &Contracts) -> Process {
        let file = |(document, text): (&Namespace, &str)| {
            let name = NamespaceName::new(&document.namespace)?;
            let contract = contracts
                .get(&document.namespace)
                .map(|contract| (Arc::clone(contract), contract.descriptor_set().into()));
            Some((name, File { text: text.into(), contract }))
        };
        Process {
            platform: loaded.platform_text().into(),
            document: loaded.platform.clone(),
            files: loaded.texts().filter_map(file).collect(),
        }
    }

    /// What each namespace may claim: by the platform's live version, or by the file.
    pub(super) fn grants(&self, live: Option<&Content>) -> BTreeMap<String, NamespaceGrant> {
        let stored = live.and_then(|content| from_texts(&content.text, &[]).ok());
        stored.map_or_else(|| self.document.namespaces.clone(), |one| one.platform.namespaces)
    }
}

type LiveVersions = BTreeMap<NamespaceName, Arc<Content>>;
type LeftOut = BTreeMap<NamespaceName, Vec<Problem>>;

/// A live version, made ready.
struct Ready {
    document: Namespace,
    contract: Option<Arc<Contract>>,
}

/// Everybody who may come, with their roles, and where the operator is an owner.
type Everybody = (BTreeMap<String, issued::Issued>, Membership, BTreeSet<NamespaceName>);

impl Stored {
    /// Serves what the store holds now.
    ///
    /// # Errors
    /// A store that cannot be read, or documents that do not fit together: what was served goes
    /// on, and the sentence says why.
    pub(crate) fn refresh(&self) -> Result<(), String> {
        let mut state = self.state();
        self.refresh_locked(&mut state)
    }

    /// Begins to serve through `view`.
    ///
    /// # Errors
    /// As [`Stored::refresh`].
    pub(crate) fn serve_by(&self, view: View) -> Result<(), String> {
        let mut state = self.state();
        state.view = Some(view);
        self.refresh_locked(&mut state)
    }

    /// Takes the files as they are now.
    ///
    /// # Errors
    /// As [`Stored::refresh`]; the files from before stay.
    pub(crate) fn take(&self, process: Process) -> Result<(), String> {
        let mut state = self.state();
        let before = std::mem::replace(&mut state.process, process);
        // Other files may do better.
        let refused = std::mem::take(&mut state.refused);
        self.refresh_locked(&mut state).inspect_err(|_| {
            state.process = before;
            state.refused = refused;
        })?;
        self.taken.notify_one();
        if let Some(view) = &state.view {
            view.read_contracts_again();
        }
        Ok(())
    }

    fn refresh_locked(&self, state: &mut State) -> Result<(), String> {
        let unreadable = |fault: StoreFault| format!("the store cannot be read: {fault}");
        // The revision first: what is read after it is of it or newer, so nothing is missed.
        let seen = self.store.read(&[], &[Range::of(Kind::Live)]).map_err(unreadable)?;
        let history = History::new(&*self.store);
        let gateway = Principal::gateway();
        let mut live = BTreeMap::new();
        let mut grants = None;
        for key in seen.entries.keys() {
            let content = history.live(&gateway, key.scope()).map_err(|fault| fault.to_string())?;
            let Some(content) = content else { continue };
            match key.scope() {
                Scope::Platform => grants = Some(Arc::new(content)),
                Scope::Namespace(name) => {
                    live.insert(name.clone(), Arc::new(content));
                }
            }
        }
        let text = Arc::clone(&state.process.platform);
        let basis = match &grants {
            None => PlatformBasis::of_file(text),
            Some(grants) => PlatformBasis::with_grants(text, Arc::clone(&grants.text), &seen),
        };
        let mut left_out = BTreeMap::new();
        let mut ready = BTreeMap::new();
        for (name, content) in &live {
            let contract = contract_of(content);
            match contract.and_then(|kept| ready_of(state, &basis, name, &content.text, kept)) {
                Ok(one) => drop(ready.insert(name.clone(), one)),
                Err(problems) => drop(left_out.insert(name.clone(), problems)),
            }
        }
        let everybody =
            self.everybody(state, grants.as_deref(), &live, &ready).map_err(unreadable)?;
        if let Some(view) = &state.view {
            let (files, held) = held_files(state, &basis, &live);
            let served = ready.values().map(|ready| ready.document.clone());
            let namespaces = served.chain(files).collect();
            let contracts = ready.iter().filter_map(|(name, ready)| {
                Some((name.to_string(), Arc::clone(ready.contract.as_ref()?)))
            });
            let contracts = contracts.collect();
            let versions = live
                .iter()
                .map(|(name, content)| (name.to_string(), u64::from(content.version.number)))
                .collect();
            let limits = state.process.document.limits.clone();
            view.serve(limits, namespaces, versions, &contracts, held)?;
            view.set_api_keys(caller_keys(&*self.store).map_err(unreadable)?);
        }
        let (tokens, membership, namespaces) = everybody;
        self.people.replace(tokens, membership, &namespaces);
        self.keep(state, seen.revision, grants.as_deref(), (&live, &left_out));
        self.tell(state, &live);
        for (name, problems) in
            left_out.iter().filter(|(name, _)| !state.left_out.contains_key(name))
        {
            let all: Vec<&str> = problems.iter().map(|problem| problem.what.as_str()).collect();
            tracing::error!(namespace = %name, "its live version is not served: {}", all.join("; "));
        }
        state.differences = differences(&state.process, &live);
        state.waiting.retain(|name, _| !live.contains_key(name));
        state.refused.retain(|name| !live.contains_key(name));
        state.revision = seen.revision;
        state.live = live;
        state.grants = grants;
        state.left_out = left_out;
        Ok(())
    }

    fn everybody(
        &self,
        state: &State,
        grants: Option<&Content>,
        live: &BTreeMap<NamespaceName, Arc<Content>>,
        ready: &BTreeMap<NamespaceName, Ready>,
    ) -> Result<Everybody, StoreFault> {
        let mut membership = Membership::new();
        let mut namespaces: BTreeSet<NamespaceName> = live.keys().cloned().collect();
        for (name, grant) in &state.process.grants(grants) {
            let Some(name) = NamespaceName::new(name) else { continue };
            membership.add_document(&name, &grant.members);
            namespaces.insert(name);
        }
        members::collect(&*self.store, &mut membership)?;
        for (name, ready) in ready {
            membership.open_fields(name, &ready.document);
        }
        let tokens = issued::collect(&*self.store, issued::Sort::Token)?;
        let tokens = tokens.into_iter().map(|(_, id, issued)| (id, issued)).collect();
        Ok((tokens, membership, namespaces))
    }

    /// Keeps what is served for a start without the store: without the namespaces that are left
    /// out, for the sake of the others. What they were when they were served may be more than the
    /// platform grants now.
    fn keep(
        &self,
        state: &State,
        revision: Revision,
        grants: Option<&Content>,
        (live, left_out): (&LiveVersions, &LeftOut),
    ) {
        fn served(live: &LiveVersions, left_out: &LeftOut) -> LiveVersions {
            let served = live.iter().filter(|(name, _)| !left_out.contains_key(*name));
            served.map(|(name, content)| (name.clone(), Arc::clone(content))).collect()
        }
        let now = served(live, left_out);
        let same = now == served(&state.live, &state.left_out);
        if live.is_empty() || (same && state.grants.as_deref() == grants) {
            return;
        }
        let document = |content: &Content| SnapshotDocument {
            version: content.version.number,
            text: content.text.to_string(),
            contract: content.contract.as_ref().map(|set| BASE64_STANDARD.encode(set)),
        };
        let snapshot = Snapshot {
            revision,
            platform: grants.map(document),
            namespaces: now.iter().map(|(name, one)| (name.clone(), document(one))).collect(),
        };
        if let Err(fault) = self.last_good.keep(&snapshot) {
            tracing::warn!(%fault, "what is served is not kept beside the store");
        }
    }

    fn tell(&self, state: &State, live: &BTreeMap<NamespaceName, Arc<Content>>) {
        for (name, content) in live {
            let version = &content.version;
            let known = state.live.get(name).map(|content| content.version.number);
            if known == Some(version.number) {
                continue;
            }
            tracing::info!(namespace = %name, version = version.number, who = %version.who, "live");
            // Nobody may be listening.
            let _ = self.news.send(Live {
                namespace: name.to_string(),
                number: version.number,
                who: version.who.clone(),
                why: version.why.clone(),
                when: version.when,
            });
        }
    }
}

/// The API keys of callers, as the gateway compares them.
fn caller_keys(store: &dyn Store) -> Result<ApiKeys, StoreFault> {
    let all = issued::collect(store, issued::Sort::CallerKey)?;
    let one = |(scope, id, issued): (Scope, String, issued::Issued)| {
        let key = ApiKey {
            digest: *issued.digest.as_bytes(),
            name: issued.name,
            namespace: scope.to_string(),
            scopes: issued.scopes,
            expires: Some(UNIX_EPOCH + Duration::from_millis(issued.expires.0)),
        };
        (id, key)
    };
    Ok(all.into_iter().map(one).collect())
}

/// The files that may still become version 1. What a file claims is its own only by then: until
/// that its contract is asked for where the store's grants let it be reached, and nothing of it is
/// served. Nobody else's call goes by its routes, whatever it or its service says.
fn held_files(
    state: &State,
    basis: &PlatformBasis,
    live: &BTreeMap<NamespaceName, Arc<Content>>,
) -> (Vec<Namespace>, HeldBack) {
    let files = state.process.files.iter().filter(|(name, _)| !live.contains_key(*name));
    let (mut documents, mut held) = (Vec::new(), HeldBack::new());
    for (name, file) in files {
        // Told where it would become version 1 (`watch`).
        let Ok(document) = granted(basis, name, &file.text) else { continue };
        let how = match state.refused.contains(name) {
            true => Held::Refused,
            false => Held::Coming,
        };
        documents.push(document);
        held.insert(name.to_string(), how);
    }
    (documents, held)
}

/// A document that the platform's grants allow, as far as it can be told without its contract.
///
/// # Errors
/// Everything that is wrong with it.
pub(super) fn granted(
    basis: &PlatformBasis,
    name: &NamespaceName,
    text: &str,
) -> Result<Namespace, Vec<Problem>> {
    let loaded = basis.load(&[(&format!("teams/{name}.yaml"), text)])?;
    let mut problems = check(&loaded, &BTreeMap::new());
    problems.retain(|problem| problem.severity == Severity::Error);
    let document = loaded.namespaces.into_iter().next().map(|(document, _)| document);
    match document.filter(|document| problems.is_empty() && document.namespace == name.as_str()) {
        Some(document) => Ok(document),
        None => Err(problems),
    }
}

/// The contract that is kept with a version.
fn contract_of(content: &Content) -> Result<Option<Arc<Contract>>, Vec<Problem>> {
    let Some(set) = &content.contract else { return Ok(None) };
    let contract = Contract::from_descriptor_set(set);
    let unusable = |why: String| vec![Problem::error(Tnd::ContractUnusable, why)];
    Ok(Some(Arc::new(contract.map_err(|faults| unusable(faults.to_string()))?)))
}

fn ready_of(
    state: &State,
    basis: &PlatformBasis,
    name: &NamespaceName,
    text: &str,
    contract: Option<Arc<Contract>>,
) -> Result<Ready, Vec<Problem>> {
    let file = format!("teams/{name}.yaml");
    let loaded = basis.load(&[(&file, text)])?;
    // One that comes by reflection was checked when it was published; the newest is held against
    // the document where it is known.
    let known = match (&contract, &state.view) {
        (Some(contract), _) => Some(Arc::clone(contract)),
        (None, Some(view)) => view.contract(name.as_str()),
        (None, None) => None,
    };
    let known = known.map(|contract| (name.to_string(), contract)).into_iter().collect();
    let problems = check(&loaded, &known);
    if problems.iter().any(|problem| problem.severity == Severity::Error) {
        return Err(problems);
    }
    let document = loaded.namespaces.into_iter().next().map(|(document, _)| document);
    Ok(Ready { document: document.ok_or_else(Vec::new)?, contract })
}

/// What was served last, for a start without the store (security S-5): the documents, their
/// contracts, and who judges what services tell. `None` where nothing was ever kept.
///
/// # Errors
/// Nothing that was kept is whole, or what it says cannot be served by this process's file.
pub(crate) fn last_good(
    data: &Path,
    process: &Process,
    contracts_kept: &dyn KeepContracts,
) -> Result<Option<(Vec<Namespace>, Contracts, Admission)>, String> {
    let kept = LastGood::below(&data.join(LAST_GOOD)).newest();
    let Some(snapshot) = kept.map_err(|fault| fault.to_string())? else { return Ok(None) };
    let Snapshot { revision, platform, namespaces } = snapshot;
    let text = Arc::clone(&process.platform);
    let basis = match platform {
        None => PlatformBasis::of_file(text),
        Some(grants) => PlatformBasis::with_grants(text, grants.text, &Default::default()),
    };
    let (mut documents, mut contracts) = (Vec::new(), Contracts::new());
    let mut texts = BTreeMap::new();
    for (name, kept) in namespaces {
        let SnapshotDocument { version, text, contract } = kept;
        let file = format!("teams/{name}.yaml");
        let loaded = basis.load(&[(&file, &text)]).map_err(|problems| {
            let all: Vec<&str> = problems.iter().map(|problem| problem.what.as_str()).collect();
            format!("{name}@{version}: {}", all.join("; "))
        })?;
        let set = contract.and_then(|contract| BASE64_STANDARD.decode(contract).ok());
        if let Some(Ok(contract)) = set.map(|set| Contract::from_descriptor_set(&set)) {
            contracts.insert(name.to_string(), Arc::new(contract));
        }
        documents.extend(loaded.namespaces.into_iter().map(|(document, _)| document));
        texts.insert(name, text.into());
    }
    tracing::warn!(%revision, "what was served last is served on");
    let beside = crate::admit::Files { platform: basis, teams: texts };
    let admission = Admission::new(beside, &contracts, contracts_kept);
    Ok(Some((documents, contracts, admission)))
}

/// Files that say something else than what is live.
fn differences(process: &Process, live: &BTreeMap<NamespaceName, Arc<Content>>) -> Vec<Difference> {
    let mut all = Vec::new();
    for (name, file) in &process.files {
        let Some(content) = live.get(name) else { continue };
        let lines = diff(&content.text, &file.text).unwrap_or_default();
        if !lines.is_empty() {
            all.push(Difference {
                namespace: name.clone(),
                version: content.version.number,
                who: content.version.who.clone(),
                lines,
            });
        }
    }
    all
}
