//! Files read again while the gateway runs: by SIGHUP, by `tandem reload`.
//!
//! Files are read and checked whole before anything changes; with one fault the old documents go
//! on. Two reloads never overlap. What belongs to the process (listeners, threads, its limits)
//! stays as it was at the start, and whoever asks is told.
//!
//! Documents that came without files stay as they are; their contracts are read again.
//!
//! Not here: what is swapped (`tandem_gateway::View::reload`).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use tandem_config::{Paint, Platform, Severity};
use tandem_gateway::View;
use tokio::sync::Mutex;

use crate::admit::{Files, Judge};
use crate::documents::{Documents, problems_of, settled_by_store};
use crate::stored::Process;

/// Reads the files of a running gateway again.
pub(crate) struct Reloader {
    documents: Documents,
    view: View,
    judge: Judge,
    /// As the process was started.
    started: Platform,
    one_at_a_time: Mutex<()>,
}

/// How a reload went.
pub(crate) struct Reloaded {
    /// Whether the new documents serve.
    pub(crate) taken: bool,
    /// Problems as people read them; empty when there are none.
    pub(crate) problems: String,
    pub(crate) namespaces: usize,
    /// Keys of `tandem.yaml` whose change waits for a restart.
    pub(crate) needs_restart: Vec<&'static str>,
}

impl Reloader {
    pub(crate) fn new(
        documents: Documents,
        view: View,
        judge: Judge,
        started: Platform,
    ) -> Reloader {
        Reloader { documents, view, judge, started, one_at_a_time: Mutex::new(()) }
    }

    /// Reads, checks and takes the files, or says why not.
    pub(crate) async fn reload(&self) -> Reloaded {
        let _alone = self.one_at_a_time.lock().await;
        let documents = self.documents.clone();
        // Files are read and .proto text is compiled where waiting holds nobody up.
        let read = tokio::task::spawn_blocking(move || problems_of(&documents)).await;
        let Ok((mut problems, loaded)) = read else {
            return self.refused("the files could not be read: a fault of the gateway".into());
        };
        if self.judge.stored().is_some() && loaded.is_some() {
            settled_by_store(&mut problems);
        }
        let failed = problems.iter().any(|problem| problem.severity == Severity::Error);
        let text = if problems.is_empty() {
            String::new()
        } else {
            let outcome = if failed { "the old documents go on" } else { "taken all the same" };
            tandem_config::render(&problems, Paint::Plain, outcome)
        };
        let Some((loaded, contracts)) = loaded.filter(|_| !failed) else {
            return self.refused(text);
        };
        let Platform { listen, threads, identity, limits, observe, store, namespaces: _ } =
            &loaded.platform;
        let needs_restart = [
            ("listen", *listen != self.started.listen),
            ("threads", *threads != self.started.threads),
            ("identity", *identity != self.started.identity),
            ("limits", *limits != self.started.limits),
            ("observe", *observe != self.started.observe),
            ("store", *store != self.started.store),
        ];
        let count = loaded.namespaces.len();
        let taken = match &self.judge {
            Judge::Store(stored) => {
                let (stored, process) = (Arc::clone(stored), Process::new(&loaded, &contracts));
                let taken = tokio::task::spawn_blocking(move || stored.take(process)).await;
                taken.unwrap_or_else(|error| Err(error.to_string()))
            }
            Judge::Files(admission) => {
                let (admission, view) = (Arc::clone(admission), self.view.clone());
                // Contracts are checked, and while one is judged it is waited for.
                let taken = tokio::task::spawn_blocking(move || {
                    let (limits, namespaces) = (
                        loaded.platform.limits.clone(),
                        loaded.namespaces.iter().map(|(namespace, _)| namespace.clone()).collect(),
                    );
                    let files = Files::of(&loaded);
                    admission.replace(files, &contracts, &view, || {
                        view.reload(limits, namespaces, BTreeMap::new(), &contracts)
                    })
                });
                taken.await.unwrap_or_else(|error| Err(error.to_string()))
            }
            // What a file says may be long past.
            Judge::LastGood(_) => Err("the store cannot be used, and what the files say may be \
                                       older than what it holds: what was served last goes on"
                .to_owned()),
        };
        match taken {
            Ok(()) => Reloaded {
                taken: true,
                problems: text,
                namespaces: count,
                needs_restart: needs_restart
                    .into_iter()
                    .filter_map(|(key, changed)| changed.then_some(key))
                    .collect(),
            },
            Err(why) => self.refused(format!("error: the namespaces do not fit together: {why}")),
        }
    }

    fn refused(&self, problems: String) -> Reloaded {
        Reloaded { taken: false, problems, namespaces: 0, needs_restart: Vec::new() }
    }
}

impl Reloaded {
    /// As the admin API tells it.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "taken": self.taken,
            "namespaces": self.namespaces,
            "problems": self.problems,
            "needs_restart": self.needs_restart,
        })
    }
}
