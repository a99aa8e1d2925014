//! What people do: check, publish, roll back, draft (experience UX-13, security CF-1).
//!
//! A document is checked against the contract that it will be served with, so the contract must be
//! at hand: from the namespace as it is served, from the store, from whoever publishes, or from the
//! service itself. What was published is served when the act returns.
//!
//! Not here: who may (`tandem_config` asks in each act), settings (`crate::stored::values`).

use serde_json::Value;
use tandem_config::document::ContractSource;
use tandem_config::edit::{EditFault, add_namespace};
use tandem_config::history::{DiffLine, Draft, HistoryFault, Version, diff};
use tandem_config::{ActFault, Namespace, Severity};
use tandem_gateway::upstream::{Upstream, reflection};

use super::values::never;
use super::*;

/// How often an act begins anew when what it rests on has changed meanwhile.
const ATTEMPTS_MOST: u32 = 5;
/// How long an act waits until calls are carried by what it published: a service that has just told
/// its contract to the check tells it again in milliseconds.
const CARRIED_WITHIN: Duration = Duration::from_secs(3);

/// Why an act did not happen.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The document is wrong; all faults of it.
    Wrong(Vec<Problem>),
    Act(ActFault<HistoryFault>),
    /// Nobody has the contract that the document would be served with; why.
    NoContract(String),
    /// It is stored, and could not be swapped in; why.
    NotServed(String),
    /// There is a namespace of this name.
    NameTaken(NamespaceName),
    /// The platform's document cannot be changed safely; why.
    NotEditable(EditFault),
    /// The gateway itself is at fault.
    Broken(String),
}

impl From<ActFault<HistoryFault>> for Fault {
    fn from(fault: ActFault<HistoryFault>) -> Fault {
        Fault::Act(fault)
    }
}

impl From<StoreFault> for Fault {
    fn from(fault: StoreFault) -> Fault {
        Fault::Act(ActFault::Store(fault))
    }
}

/// A document with what its publication needs.
#[derive(Clone)]
pub(crate) struct Change {
    pub(crate) namespace: NamespaceName,
    pub(crate) text: String,
    /// A descriptor set, where whoever publishes brings one.
    pub(crate) contract: Option<Vec<u8>>,
}

/// A version that was published.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) version: Version,
    /// What may stay as it is.
    pub(crate) warnings: Vec<Problem>,
    /// Why no call is carried by it yet.
    pub(crate) awaited: Option<String>,
}

impl Stored {
    /// Checks a document of a team; stores nothing. `Ok` holds what may stay as it is.
    ///
    /// # Errors
    /// Every fault of it; no contract to be had.
    pub(crate) async fn check(self: &Arc<Self>, change: Change) -> Result<Checked, Fault> {
        let (contract, set) = self.contract_for(&change).await?;
        let this = Arc::clone(self);
        blocking(move || {
            let Change { namespace, text, contract: _ } = change;
            let basis = this.basis()?;
            Checked::namespace(&basis, &namespace, &text, &contract, set).map_err(Fault::Wrong)
        })
        .await
    }

    /// Makes a document the live version, if `read` still is.
    ///
    /// # Errors
    /// Everything that [`Stored::check`] finds; no right, a newer version, a claim of others.
    pub(crate) async fn publish(
        self: &Arc<Self>,
        who: Principal,
        source: Source,
        change: Change,
        why: String,
        read: u32,
    ) -> Result<Published, Fault> {
        self.make_live(change, move |history, checked| {
            let act = Act { principal: &who, source, when: now(), why: &why };
            history.publish(act, checked, read)
        })
        .await
    }

    /// Makes the text of version `to` live again, as a new version.
    ///
    /// # Errors
    /// As [`Stored::publish`]; no such version.
    pub(crate) async fn roll_back(
        self: &Arc<Self>,
        who: Principal,
        source: Source,
        namespace: NamespaceName,
        to: u32,
        why: String,
        read: u32,
    ) -> Result<Published, Fault> {
        let scope = Scope::Namespace(namespace.clone());
        let old = {
            let (this, who) = (Arc::clone(self), who.clone());
            let scope = scope.clone();
            blocking(move || Ok(History::new(&*this.store).version(&who, &scope, to)?)).await?
        };
        let contract = old.contract.as_ref().map(|set| set.to_vec());
        let change = Change { namespace: namespace.clone(), text: old.text.to_string(), contract };
        self.make_live(change, move |history, checked| {
            let act = Act { principal: &who, source, when: now(), why: &why };
            history.roll_back(act, checked, to, read)
        })
        .await
    }

    /// Checks a document, lets `act` make it live, and serves it. Where its service has told
    /// another contract since the check it is checked again: what is claimed is what is served.
    async fn make_live(
        self: &Arc<Self>,
        change: Change,
        act: impl Fn(History<'_>, &Checked) -> Result<Version, ActFault<HistoryFault>>
        + Clone
        + Send
        + 'static,
    ) -> Result<Published, Fault> {
        for _ in 0..ATTEMPTS_MOST {
            let checked = self.check(change.clone()).await?;
            let (this, act) = (Arc::clone(self), act.clone());
            let published = blocking(move || {
                let _alone = this.alone();
                if this.contract_moved(&checked)? {
                    return Ok(None);
                }
                let version = act(History::new(&*this.store), &checked)?;
                this.refresh().map_err(Fault::NotServed)?;
                let warnings = checked.warnings().to_vec();
                Ok(Some(Published { version, warnings, awaited: None }))
            });
            if let Some(published) = published.await? {
                let awaited = self.awaited(&change.namespace).await;
                return Ok(Published { awaited, ..published });
            }
        }
        Err(Fault::NoContract("its service tells another one each time that it is asked".into()))
    }

    /// Waits until calls of the namespace are carried, and says why they are not after a while.
    async fn awaited(&self, namespace: &NamespaceName) -> Option<String> {
        let view = self.state().view.clone()?;
        let carried = tokio::time::timeout(CARRIED_WITHIN, view.carried(namespace.as_str()));
        if carried.await.is_ok() {
            return None;
        }
        let told = view.namespaces().into_iter().find(|one| one.name == namespace.as_str());
        let why = told.and_then(|one| one.problems.into_iter().next());
        Some(why.unwrap_or_else(|| "it is not served".to_owned()))
    }

    /// Makes a platform document the live one: its `namespaces` are the grants from now on. What
    /// teams have live must fit them.
    ///
    /// # Errors
    /// No right, a newer version, a document that is wrong, live versions that it would leave out.
    pub(crate) async fn publish_platform(
        self: &Arc<Self>,
        who: Principal,
        source: Source,
        text: String,
        why: String,
        read: u32,
    ) -> Result<Published, Fault> {
        let this = Arc::clone(self);
        blocking(move || {
            let checked = Checked::platform(&text).map_err(Fault::Wrong)?;
            let faults = this.left_out_by(&text)?;
            if !faults.is_empty() {
                return Err(Fault::Wrong(faults));
            }
            let act = Act { principal: &who, source, when: now(), why: &why };
            let version = History::new(&*this.store).publish(act, &checked, read)?;
            this.refresh().map_err(Fault::NotServed)?;
            Ok(Published { version, warnings: Vec::new(), awaited: None })
        })
        .await
    }

    /// Adds a namespace to the platform's live document, as its next version: `grant` is what the
    /// document says of it. Whoever else changes the platform meanwhile loses nothing by it.
    ///
    /// # Errors
    /// No right, a name that is taken, a grant that is wrong.
    pub(crate) async fn create_namespace(
        self: &Arc<Self>,
        who: Principal,
        source: Source,
        namespace: NamespaceName,
        grant: Value,
        why: String,
    ) -> Result<Published, Fault> {
        let this = Arc::clone(self);
        blocking(move || {
            let history = History::new(&*this.store);
            for attempt in 1.. {
                let live = history.live(&who, &Scope::Platform).map_err(never)?;
                let (text, read) = match &live {
                    Some(content) => (Arc::clone(&content.text), content.version.number),
                    None => (Arc::clone(&this.state().process.platform), 0),
                };
                let added = add_namespace(&text, namespace.as_str(), &grant);
                let Some(text) = added.map_err(Fault::NotEditable)? else {
                    return Err(Fault::NameTaken(namespace));
                };
                let checked = Checked::platform(&text).map_err(Fault::Wrong)?;
                let act = Act { principal: &who, source, when: now(), why: &why };
                let version = match history.publish(act, &checked, read) {
                    // Somebody else was faster; his version has the namespace or can be given it.
                    Err(ActFault::Act(HistoryFault::Newer { .. })) if attempt < ATTEMPTS_MOST => {
                        continue;
                    }
                    published => published?,
                };
                this.refresh().map_err(Fault::NotServed)?;
                return Ok(Published { version, warnings: Vec::new(), awaited: None });
            }
            unreachable!("the last attempt returns")
        })
        .await
    }

    /// What live versions would be at fault with `platform` in the place of the grants.
    fn left_out_by(&self, platform: &str) -> Result<Vec<Problem>, Fault> {
        let state = self.state();
        let view = self.store.read(&[Key::live(&Scope::Platform)], &[])?;
        let process = Arc::clone(&state.process.platform);
        let basis = PlatformBasis::with_grants(process, platform, &view);
        let mut faults = Vec::new();
        for (name, content) in &state.live {
            let file = format!("teams/{name}.yaml");
            let loaded = match basis.load(&[(&file, &content.text)]) {
                Ok(loaded) => loaded,
                Err(problems) => {
                    faults.extend(problems);
                    continue;
                }
            };
            let contract = state.view.as_ref().and_then(|view| view.contract(name.as_str()));
            let known = contract.map(|one| (name.to_string(), one)).into_iter().collect();
            let problems = tandem_config::check(&loaded, &known);
            let error = |problem: &Problem| problem.severity == Severity::Error;
            faults.extend(problems.into_iter().filter(error));
        }
        Ok(faults)
    }

    /// The lines by which `text` differs from the live version.
    pub(crate) fn diff_to_live(
        &self,
        namespace: &NamespaceName,
        text: &str,
    ) -> Result<Vec<DiffLine>, String> {
        let live = self.live(namespace);
        let before = live.as_ref().map_or("", |content| &content.text);
        let lines = match before {
            "" => diff("{}", text),
            before => diff(before, text),
        };
        // Where nothing was live the whole document is new, and nothing went.
        lines
            .map(|lines| lines.into_iter().filter(|line| !line.path.is_empty()).collect())
            .map_err(|fault| fault.to_string())
    }

    /// The draft of a namespace.
    pub(crate) fn draft(
        &self,
        who: &Principal,
        scope: &Scope,
    ) -> Result<Option<Draft>, ActFault<std::convert::Infallible>> {
        History::new(&*self.store).draft(who, scope)
    }

    /// The contract that a document would be served with, and the descriptor set that is kept
    /// with the version.
    async fn contract_for(
        self: &Arc<Self>,
        change: &Change,
    ) -> Result<(Arc<Contract>, Option<Arc<[u8]>>), Fault> {
        if let Some(set) = &change.contract {
            let contract = Contract::from_descriptor_set(set).map_err(|faults| {
                let what = "the contract that came with the document cannot be used";
                Fault::Wrong(vec![
                    Problem::error(Tnd::ContractUnusable, what).here(faults.to_string()),
                ])
            })?;
            return Ok((Arc::new(contract), Some(set.as_slice().into())));
        }
        let document = self.document_of(change)?;
        match &document.contract {
            ContractSource::Reflection(upstream) => {
                if let Some(contract) = self.served_contract(&document, upstream) {
                    return Ok((contract, None));
                }
                let Some(described) = document.upstreams.get(upstream) else {
                    // Told by the check, which needs some contract.
                    return Ok((Arc::new(nothing()), None));
                };
                let upstream = Upstream::of_document(upstream, described);
                let asked = reflection::fetch(&upstream).await;
                let reflected = asked.map_err(|error| Fault::NoContract(error.to_string()))?;
                let contract = Contract::from_file_descriptors(&reflected.files)
                    .map_err(|faults| Fault::NoContract(faults.to_string()))?;
                Ok((Arc::new(contract), None))
            }
            ContractSource::Descriptors(_) | ContractSource::Protos(_) => {
                let live = self.live(&change.namespace);
                let kept = live.as_ref().and_then(|content| content.contract.clone());
                let of_file = || {
                    let state = self.state();
                    let file = state.process.files.get(&change.namespace)?;
                    file.contract.clone()
                };
                if let Some(set) = kept {
                    let contract = Contract::from_descriptor_set(&set)
                        .map_err(|faults| Fault::NoContract(faults.to_string()))?;
                    return Ok((Arc::new(contract), Some(set)));
                }
                match of_file() {
                    Some((contract, set)) => Ok((contract, Some(set))),
                    None => Err(Fault::NoContract(
                        "the document names files, and they did not come with it".to_owned(),
                    )),
                }
            }
        }
    }

    fn document_of(&self, change: &Change) -> Result<Namespace, Fault> {
        let basis = self.basis()?;
        let file = format!("teams/{}.yaml", change.namespace);
        let loaded = basis.load(&[(&file, &change.text)]).map_err(Fault::Wrong)?;
        let document = loaded.namespaces.into_iter().next().map(|(document, _)| document);
        document.ok_or_else(|| Fault::Broken("a document was read and is not there".to_owned()))
    }

    /// The contract that serves, where the document would have it from the same place.
    pub(super) fn served_contract(
        &self,
        document: &Namespace,
        upstream: &str,
    ) -> Option<Arc<Contract>> {
        let state = self.state();
        let view = state.view.as_ref()?;
        let served = view.served();
        let (before, _) =
            served.iter().find(|(before, _)| before.namespace == document.namespace)?;
        let same = before.contract == document.contract
            && before.upstreams.get(upstream) == document.upstreams.get(upstream);
        if same { view.contract(&document.namespace) } else { None }
    }
}

/// A contract without a service.
fn nothing() -> Contract {
    Contract::from_file_descriptors(&[]).unwrap_or_else(|_| unreachable!("no file has no fault"))
}

/// Runs what blocks where blocking holds nobody up.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(Fault::Broken(error.to_string())),
    }
}
