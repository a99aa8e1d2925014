//! What the store says, served; and the ways in which people change it.
//!
//! With a store the live version of a namespace wins over its file (experience UX-23): a file of a
//! namespace without a version becomes version 1 as soon as its contract is known, a file that
//! differs later is told of and waits for `tandem apply`. Whenever something moves in the store,
//! the documents are put together anew and swapped in. A version whose document cannot be served
//! any more (the platform took a grant away) leaves its namespace out; the others go on.
//!
//! What was served last lies on the disk as well ([`LastGood`]); a gateway whose store is damaged
//! starts from it, is not ready, and refuses every change.
//!
//! Calls here block. They come from the side runtime's blocking threads.
//!
//! Not here: versions and rights themselves (`tandem_config`), HTTP (`crate::admin`).

mod acts;
mod admit;
mod compose;
mod probation;
mod values;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tandem_config::access::{Identity, Membership, Principal, Role, Who, issued, members};
use tandem_config::audit::{Source, Timestamp};
use tandem_config::document::{Platform, StorePlace};
use tandem_config::history::{Checked, Content, History, LastGood, PlatformBasis};
use tandem_config::secret::SealingKeys;
use tandem_config::store::{
    Embedded, Key, Kind, NamespaceName, News, Range, Revision, Scope, Store, StoreFault,
};
use tandem_config::{Act, Problem, Tnd};
use tandem_contract::Contract;
use tandem_gateway::View;
use tokio::sync::{Notify, broadcast};

pub(crate) use self::acts::{Change, Fault, Published};
pub(crate) use self::compose::{Difference, Process, last_good};
pub(crate) use self::values::{ValuesFault, ValuesVersion};
use crate::failure::{Exit, Failure};
use crate::people::People;

/// The folder of what was served last, in the data folder.
const LAST_GOOD: &str = "last-good";
/// How long the store is waited for at once; a stop waits no longer than this.
const WAIT: Duration = Duration::from_millis(500);
/// How often it is looked whether a file's contract is known, so that it can become version 1.
const SEED_EVERY: Duration = Duration::from_millis(100);
/// Changes that a slow reader of events may be behind.
const NEWS_KEPT: usize = 64;

/// A version that went live.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    pub(crate) namespace: String,
    pub(crate) number: u32,
    pub(crate) who: String,
    pub(crate) why: String,
    pub(crate) when: Timestamp,
}

/// The store of a running gateway, and what is served of it.
pub(crate) struct Stored {
    store: Arc<dyn Store>,
    keys: SealingKeys,
    last_good: LastGood,
    evidence: probation::Evidence,
    people: Arc<People>,
    state: Mutex<State>,
    /// Before `state`, where both are held.
    alone: Mutex<()>,
    /// Told when other files were taken.
    taken: Notify,
    news: broadcast::Sender<Live>,
}

/// What is served at this moment.
struct State {
    /// The files, as they were read last.
    process: Process,
    view: Option<View>,
    /// Everything up to here is served.
    revision: Revision,
    live: BTreeMap<NamespaceName, Arc<Content>>,
    grants: Option<Arc<Content>>,
    /// Namespaces whose live version cannot be served, with the reasons.
    left_out: BTreeMap<NamespaceName, Vec<Problem>>,
    /// Files that say something else than what is live.
    differences: Vec<Difference>,
    /// Files that are not version 1 yet, and why the last attempt failed.
    waiting: BTreeMap<NamespaceName, String>,
    /// Of those, the files that were refused as they are; the gateway is ready without them.
    refused: BTreeSet<NamespaceName>,
}

/// A namespace as people see it.
pub(crate) struct Line {
    pub(crate) name: NamespaceName,
    /// `None` before the first.
    pub(crate) live: Option<Arc<Content>>,
    pub(crate) problems: Vec<String>,
}

/// The time, as versions and audit entries have it.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Random numbers for keys and tokens.
pub(crate) fn random(bytes: &mut [u8]) -> std::io::Result<()> {
    rand::fill(bytes);
    Ok(())
}

impl Stored {
    /// Opens the store at `place`.
    ///
    /// # Errors
    /// TND0501 where another process has it, TND0502 where it is damaged and nothing was kept
    /// beside it, TND0505 where the disk refuses, TND0002 for a key file that others may read.
    pub(crate) fn open(
        place: &StorePlace,
        data: &Path,
        process: Process,
        people: Arc<People>,
    ) -> Result<Arc<Stored>, Failure> {
        let refused = |code: Tnd, why: String| {
            Failure::new(Exit::Failed, "the store cannot be used")
                .coded(code)
                .at("store.embedded")
                .because(format!("{}: {why}", place.folder.display()))
        };
        let store = Embedded::open(&place.folder).map_err(|fault| {
            let failure = refused(fault.code(), fault.to_string());
            match fault {
                StoreFault::InUse => {
                    failure.fix("end the other gateway, or give this one a store of its own")
                }
                StoreFault::Damaged(_) | StoreFault::Older { .. } => failure.fix(
                    "move the folder aside and fill a new one with `tandem store restore FILE`; \
                     what was served last lies below `last-good` in the data folder",
                ),
                _ => failure.fix("give a folder that this user may write, on a disk with room"),
            }
        })?;
        let keys = SealingKeys::load_or_make(&place.key, &random).map_err(|fault| {
            Failure::new(Exit::Failed, "the store's key file cannot be used")
                .coded(fault.code())
                .at("store.key")
                .because(format!("{}: {fault}", place.key.display()))
                .fix(format!("chmod 600 {}, or name another file", place.key.display()))
        })?;
        let (news, _) = broadcast::channel(NEWS_KEPT);
        let state = State {
            process,
            view: None,
            revision: Revision(0),
            live: BTreeMap::new(),
            grants: None,
            left_out: BTreeMap::new(),
            differences: Vec::new(),
            waiting: BTreeMap::new(),
            refused: BTreeSet::new(),
        };
        let stored = Stored {
            store: Arc::new(store),
            keys,
            last_good: LastGood::below(&data.join(LAST_GOOD)),
            evidence: probation::Evidence::below(data),
            people,
            state: Mutex::new(state),
            alone: Mutex::new(()),
            taken: Notify::new(),
            news,
        };
        Ok(Arc::new(stored))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The store itself, for what asks it directly.
    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// The keys that seal secrets.
    pub(crate) fn keys(&self) -> &SealingKeys {
        &self.keys
    }

    /// Versions that go live from now on.
    pub(crate) fn news(&self) -> broadcast::Receiver<Live> {
        self.news.subscribe()
    }

    /// Everything up to this revision of the store is served.
    pub(crate) fn revision(&self) -> Revision {
        self.state().revision
    }

    /// Files that say something else than what is live.
    pub(crate) fn differences(&self) -> Vec<Difference> {
        self.state().differences.clone()
    }

    /// Every namespace of the platform's document and of the store.
    pub(crate) fn lines(&self) -> Vec<Line> {
        let state = self.state();
        let line = |name: &NamespaceName| Line {
            live: state.live.get(name).cloned(),
            problems: state
                .left_out
                .get(name)
                .into_iter()
                .flatten()
                .map(|problem| format!("not served: {}: {}", problem.path, problem.what))
                .chain(state.waiting.get(name).map(|why| format!("not version 1 yet: {why}")))
                .collect(),
            name: name.clone(),
        };
        state.names().iter().map(line).collect()
    }

    /// The live version that is served of a namespace.
    pub(crate) fn live(&self, namespace: &NamespaceName) -> Option<Arc<Content>> {
        self.state().live.get(namespace).cloned()
    }

    /// The members that the platform's document names.
    pub(crate) fn platform_members(&self, namespace: &NamespaceName) -> Vec<(String, Role)> {
        let state = self.state();
        let grants = state.process.grants(state.grants.as_deref());
        let Some(grant) = grants.get(namespace.as_str()) else { return Vec::new() };
        let each = |(role, names): (Role, &[String])| {
            names.iter().map(move |name| (name.clone(), role)).collect::<Vec<_>>()
        };
        grant.members.by_role().into_iter().flat_map(each).collect()
    }

    /// What a team's document is checked against now.
    pub(crate) fn basis(&self) -> Result<PlatformBasis, StoreFault> {
        let (text, grants) = {
            let state = self.state();
            (Arc::clone(&state.process.platform), state.grants.clone())
        };
        let view = self.store.read(&[Key::live(&Scope::Platform)], &[])?;
        Ok(match grants {
            None => PlatformBasis::of_store(text, &view),
            Some(grants) => PlatformBasis::with_grants(text, Arc::clone(&grants.text), &view),
        })
    }
}

impl State {
    fn names(&self) -> BTreeSet<NamespaceName> {
        let grants = self.process.grants(self.grants.as_deref());
        let named = grants.keys().filter_map(|name| NamespaceName::new(name));
        named.chain(self.live.keys().cloned()).collect()
    }
}
