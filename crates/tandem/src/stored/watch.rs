//! Off the path, for as long as the gateway runs: the store is watched, and files without a
//! version become version 1.
//!
//! Not here: what is served (`compose`).

use super::*;

impl Stored {
    /// Watches the store until the gateway drains.
    pub(crate) async fn watch(self: Arc<Self>, view: View) {
        let watching = async {
            loop {
                let this = Arc::clone(&self);
                let waited = tokio::task::spawn_blocking(move || this.wait_once()).await;
                if let Err(error) = waited {
                    tracing::error!(%error, "the store is not watched");
                    return;
                }
            }
        };
        let seeding = async {
            loop {
                let this = Arc::clone(&self);
                let seeded = tokio::task::spawn_blocking(move || this.seed()).await;
                match seeded {
                    // A reload may bring more of them.
                    Ok(0) => self.taken.notified().await,
                    Ok(_) => tokio::time::sleep(SEED_EVERY).await,
                    Err(error) => {
                        tracing::error!(%error, "files are not taken into the store");
                        return;
                    }
                }
            }
        };
        tokio::select! {
            ((), (), ()) = async { tokio::join!(watching, seeding, self.watch_versions(&view)) } => {}
            () = view.draining() => {}
        }
    }

    fn wait_once(&self) {
        let seen = self.revision();
        match self.store.wait(seen, WAIT) {
            Ok(News::Nothing) => {}
            Ok(News::Moved { keys, revision }) => {
                let matters = |key: &Key| {
                    matches!(key.kind(), Kind::Live | Kind::Members | Kind::Token | Kind::CallerKey)
                };
                if keys.iter().any(matters) {
                    self.refresh_or_say();
                } else {
                    self.state().revision = revision;
                }
            }
            Ok(News::Gap { .. }) => self.refresh_or_say(),
            Err(fault) => {
                tracing::error!(%fault, "the store cannot be watched; what serves goes on");
                // Not at once again: it would fill the log.
                std::thread::park_timeout(WAIT);
            }
        }
    }

    /// As [`Stored::refresh`]; what goes wrong is for the log.
    pub(crate) fn refresh_or_say(&self) {
        if let Err(why) = self.refresh() {
            tracing::error!("what the store says is not served: {why}");
        }
    }

    /// Publishes files that have no version, where their contract is known. How many still wait.
    fn seed(&self) -> usize {
        let (files, platform) = {
            let state = self.state();
            let files: Vec<_> = state
                .process
                .files
                .iter()
                .filter(|(name, _)| !state.live.contains_key(*name))
                .map(|(name, file)| (name.clone(), file.clone()))
                .collect();
            let platform = state.grants.is_none().then(|| Arc::clone(&state.process.platform));
            (files, platform)
        };
        let starter = starter(files.iter().map(|(name, _)| name));
        let history = History::new(&*self.store);
        let act =
            |why: &'static str| Act { principal: &starter, source: Source::File, when: now(), why };
        if let Some(text) = platform
            && let Ok(checked) = Checked::platform(&text)
        {
            let why = "tandem.yaml, at the first start";
            if let Err(fault) = history.publish(act(why), &checked, 0) {
                tracing::warn!(%fault, "tandem.yaml is not taken into the store");
            }
            self.refresh_or_say();
        }
        let mut waiting = 0;
        for (name, file) in files {
            // Until it is live, no other contract of its service is taken.
            let _alone = self.alone();
            let (contract, set) = match &file.contract {
                Some((contract, set)) => (Arc::clone(contract), Some(Arc::clone(set))),
                None => {
                    let view = self.state().view.clone();
                    let Some(contract) = view.and_then(|view| view.contract(name.as_str())) else {
                        match self.not_granted(&name, &file.text) {
                            Some(why) => self.refused(name, why),
                            None => {
                                let why = "its service has not told its contract yet";
                                self.state().waiting.insert(name, why.to_owned());
                            }
                        }
                        waiting += 1;
                        continue;
                    };
                    (contract, None)
                }
            };
            let basis = match self.basis() {
                Ok(basis) => basis,
                Err(fault) => {
                    tracing::error!(%fault, "the store cannot be read");
                    return waiting + 1;
                }
            };
            let published = Checked::namespace(&basis, &name, &file.text, &contract, set)
                .map_err(|problems| {
                    let all: Vec<&str> = problems.iter().map(|one| one.what.as_str()).collect();
                    all.join("; ")
                })
                .and_then(|checked| {
                    history
                        .publish(act("its file, at the first start"), &checked, 0)
                        .map_err(|fault| fault.to_string())
                });
            match published {
                Ok(_) => self.refresh_or_say(),
                Err(why) => {
                    self.refused(name, why);
                    waiting += 1;
                }
            }
        }
        waiting
    }
}

impl Stored {
    /// Says once why a file is not version 1. The gateway is ready without it from now on.
    fn refused(&self, name: NamespaceName, why: String) {
        let anew = {
            let mut state = self.state();
            if state.waiting.get(&name) != Some(&why) {
                tracing::warn!(namespace = %name, "its file is not version 1: {why}");
            }
            state.waiting.insert(name.clone(), why);
            state.refused.insert(name)
        };
        if anew {
            self.refresh_or_say();
        }
    }

    /// What the platform does not grant to a file by what the store says: nobody asks the service
    /// of such a file for its contract.
    fn not_granted(&self, name: &NamespaceName, text: &str) -> Option<String> {
        let problems = compose::granted(&self.basis().ok()?, name, text).err()?;
        let all: Vec<String> = problems.into_iter().map(|one| one.what).collect();
        Some(all.join("; "))
    }
}

/// Who takes files into an empty store: the process that was given them.
fn starter<'a>(namespaces: impl Iterator<Item = &'a NamespaceName>) -> Principal {
    let who = Who::parse("user:first-start").expect("a user with a name");
    let mut membership = Membership::new();
    for namespace in namespaces {
        membership.grant(namespace, &who, Role::Publisher);
    }
    membership.principal(&Identity { who, groups: BTreeSet::new(), platform_admin: true })
}
