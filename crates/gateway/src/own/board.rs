//! The settings of every service: what they are now, who is told, and what became of it.
//!
//! The reconciler writes a state of all of them each time it publishes a snapshot. Whoever watches
//! a service hears that there is another, and reads what is the newest then: a slow watcher skips
//! what came in between, and nothing is kept for it.
//!
//! What the platform's store waits for with `require: all` is an event (`View::settings_refused`):
//! what is done about it is the store's.
//!
//! Not here: who may ask and how it looks on the wire (`settings`), the values of a document
//! (`tandem-config`).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use tandem_config::Namespace;
use tandem_config::document::Require;
use tandem_config::settings::ServiceSettings;
use tandem_contract::{Contract, fields};
use tandem_protocol::envelope;
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

use super::instances::{Full, Instance, Instances, Now, Outcome, Values};

/// What a namespace's document gives a service for its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredSettings {
    /// The serialized settings message.
    pub message: Bytes,
    /// Whether a version that one instance refuses is to be rolled back (`require: all`).
    pub require_all: bool,
}

/// By the full names of the services whose settings a contract declares; `None` where the values
/// of the document are none that it allows, which changes nothing.
pub type Declared = BTreeMap<String, Option<DeclaredSettings>>;

/// What a namespace and its contract give, for each service whose settings the contract declares.
pub type Declare = Arc<dyn Fn(&Namespace, &Arc<Contract>) -> Declared + Send + Sync>;

/// What the document itself gives, held against the contract once more: one that came by reflection
/// may have changed under values that were good.
pub fn settings_of_documents(namespace: &Namespace, contract: &Arc<Contract>) -> Declared {
    let found = tandem_config::settings::published(namespace, contract).into_iter();
    found
        .map(|(service, settings)| {
            let settings = settings
                .map(|ServiceSettings { message: _, wire, json: _, require }| DeclaredSettings {
                    message: wire.into(),
                    require_all: require == Require::All,
                })
                .inspect_err(|problems| {
                    let what: Vec<&str> = problems.iter().map(|problem| &*problem.what).collect();
                    let (namespace, what) = (&namespace.namespace, what.join("; "));
                    tracing::warn!(namespace, service, "its settings stay as they were: {what}");
                });
            (service, settings.ok())
        })
        .collect()
}

/// An instance refused values of a service that wants all of them to agree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsRefused {
    pub namespace: String,
    pub version: u64,
    pub service: String,
    pub instance: String,
    pub reason: String,
}

/// What is known of the settings of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceInstances {
    pub namespace: String,
    pub service: String,
    /// What is told now.
    pub values: Values,
    pub require_all: bool,
    /// In the order of their names.
    pub instances: Vec<Instance>,
}

/// The values of one service as they are told.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) values: Values,
    require_all: bool,
    /// A `Snapshot` in its envelope, made once for all who watch.
    pub(super) frame: Bytes,
    since: Instant,
}

impl Published {
    fn new(version: u64, declared: &DeclaredSettings) -> Published {
        let DeclaredSettings { message, require_all } = declared;
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, message).as_ref());
        let mut snapshot = Vec::with_capacity(message.len() + 64);
        if version > 0 {
            fields::put_number(1, version, &mut snapshot);
        }
        if !message.is_empty() {
            fields::put_bytes(2, message, &mut snapshot);
        }
        fields::put_bytes(3, &hash, &mut snapshot);
        Published {
            values: Values { version, hash },
            require_all: *require_all,
            frame: envelope::frame(&snapshot),
            since: Instant::now(),
        }
    }
}

/// The settings of all services.
pub(crate) struct Board {
    // Taken by whoever publishes, by readers, and once by each stream that begins; never by calls.
    places: Mutex<BTreeMap<Key, Place>>,
    refused: broadcast::Sender<SettingsRefused>,
}

/// What is told of one service now, for one who watches.
pub(super) type Current = watch::Receiver<Arc<Published>>;

/// Namespace and service.
type Key = (Arc<str>, Arc<str>);

/// Its sender alone keeps the streams of a service going.
struct Place {
    current: watch::Sender<Arc<Published>>,
    topic: Arc<Topic>,
}

/// Refusals that may wait to be heard. Who falls behind sees the same in [`ServiceInstances`].
const REFUSALS_WAIT: usize = 256;

/// What is known of the instances of one service.
pub(super) struct Topic {
    namespace: Arc<str>,
    service: Arc<str>,
    // Taken once for each value that an instance is told or reports.
    instances: Mutex<Instances>,
    pushes: AtomicU64,
    applied: AtomicU64,
    refused: AtomicU64,
}

/// The figures of one service.
#[derive(Debug, Clone)]
pub(crate) struct SettingsFigures {
    pub(crate) namespace: Arc<str>,
    pub(crate) service: Arc<str>,
    pub(crate) watchers: usize,
    /// By `InstanceState::index`.
    pub(crate) instances: [usize; 4],
    pub(crate) pushes: u64,
    pub(crate) applied: u64,
    pub(crate) refused: u64,
    /// Since these values are told.
    pub(crate) age: Duration,
}

/// Why no settings are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotFound {
    /// No contract declares any for the service.
    Undeclared,
    /// Several namespaces have the service, and the asker named the host of none.
    Several,
}

impl Board {
    pub(crate) fn new() -> Arc<Board> {
        let (refused, _) = broadcast::channel(REFUSALS_WAIT);
        Arc::new(Board { places: Mutex::default(), refused })
    }

    fn places(&self) -> MutexGuard<'_, BTreeMap<Key, Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The settings of all namespaces from now on, with their versions; `None` where the contract
    /// is not known at this moment, which changes nothing.
    pub(crate) fn publish<'a>(
        &self,
        namespaces: impl IntoIterator<Item = (&'a str, u64, Option<Declared>)>,
    ) {
        let mut places = self.places();
        let mut before = std::mem::take(&mut *places);
        for (namespace, version, declared) in namespaces {
            let namespace: Arc<str> = namespace.into();
            let Some(declared) = declared else {
                let (kept, others): (BTreeMap<_, _>, BTreeMap<_, _>) =
                    before.into_iter().partition(|((of, _), _)| *of == namespace);
                before = others;
                places.extend(kept);
                continue;
            };
            for (service, declared) in declared {
                let key = (Arc::clone(&namespace), Arc::from(service));
                let place = before.remove(&key);
                let next = declared.map(|declared| Published::new(version, &declared));
                let place = match (place, next) {
                    (Some(place), Some(next)) => {
                        place.tell(next);
                        place
                    }
                    (Some(place), None) => place,
                    (None, Some(next)) => Place::new(&key, next),
                    (None, None) => continue,
                };
                places.insert(key, place);
            }
        }
        // What is left is declared no longer: dropping a sender ends the streams of its service.
    }

    /// Finds the service in the one namespace that has it; where several have, in the one that
    /// `choose` names.
    pub(super) fn find(
        &self,
        service: &str,
        choose: impl FnOnce() -> Option<Arc<str>>,
    ) -> Result<(Arc<Topic>, Current), NotFound> {
        let places = self.places();
        let mut found = places.iter().filter(|((_, of), _)| **of == *service);
        let (key, place) = found.next().ok_or(NotFound::Undeclared)?;
        let place = match found.next() {
            None => place,
            Some(_) => {
                let namespace = choose().ok_or(NotFound::Several)?;
                places.get(&(namespace, Arc::clone(&key.1))).ok_or(NotFound::Several)?
            }
        };
        Ok((Arc::clone(&place.topic), place.current.subscribe()))
    }

    /// What an instance says of values, told to whoever waits for refusals.
    pub(super) fn report(
        &self,
        topic: &Topic,
        current: &Published,
        instance: &str,
        values: Values,
        outcome: Outcome,
    ) -> Result<(), Full> {
        topic.reported(instance, values, outcome.clone())?;
        if let Outcome::Refused(reason) = outcome
            && current.require_all
            && current.values == values
        {
            // Nobody may be waiting, where the gateway serves files alone.
            let _ = self.refused.send(SettingsRefused {
                namespace: topic.namespace.to_string(),
                version: values.version,
                service: topic.service.to_string(),
                instance: instance.to_owned(),
                reason,
            });
        }
        Ok(())
    }

    pub(crate) fn refused(&self) -> broadcast::Receiver<SettingsRefused> {
        self.refused.subscribe()
    }

    /// Everything that is known, in the order of namespaces and services.
    pub(crate) fn list(&self) -> Vec<ServiceInstances> {
        let now = Now::new();
        let places = self.places();
        let known = |place: &Place| {
            let current = place.current.borrow();
            ServiceInstances {
                namespace: place.topic.namespace.to_string(),
                service: place.topic.service.to_string(),
                values: current.values,
                require_all: current.require_all,
                instances: place.topic.instances().list(now),
            }
        };
        places.values().map(known).collect()
    }

    pub(crate) fn figures(&self) -> Vec<SettingsFigures> {
        let now = Now::new();
        let places = self.places();
        let figures = |place: &Place| {
            let topic = &place.topic;
            let mut instances = topic.instances();
            SettingsFigures {
                namespace: Arc::clone(&topic.namespace),
                service: Arc::clone(&topic.service),
                watchers: instances.watchers(),
                instances: instances.counts(now),
                pushes: topic.pushes.load(Ordering::Relaxed),
                applied: topic.applied.load(Ordering::Relaxed),
                refused: topic.refused.load(Ordering::Relaxed),
                age: place.current.borrow().since.elapsed(),
            }
        };
        places.values().map(figures).collect()
    }
}

impl Place {
    fn new((namespace, service): &Key, published: Published) -> Place {
        let (current, _) = watch::channel(Arc::new(published));
        let topic = Arc::new(Topic {
            namespace: Arc::clone(namespace),
            service: Arc::clone(service),
            instances: Mutex::default(),
            pushes: AtomicU64::new(0),
            applied: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        });
        Place { current, topic }
    }

    /// Tells who watches, unless the values and their version are those that they have.
    fn tell(&self, next: Published) {
        self.current.send_if_modified(|current| {
            let other = current.values != next.values;
            if other || current.require_all != next.require_all {
                let since = if other { next.since } else { current.since };
                *current = Arc::new(Published { since, ..next });
            }
            other
        });
    }
}

impl Topic {
    fn instances(&self) -> MutexGuard<'_, Instances> {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An instance begins to watch; it `has` these values or is about to be told them.
    pub(super) fn came(&self, instance: &str, values: Values, has: bool) -> Result<(), Full> {
        self.instances().came(instance, values, has, Now::new())
    }

    /// An instance is told other values.
    pub(super) fn told(&self, instance: &str, values: Values) {
        self.instances().told(instance, values, Now::new());
    }

    /// Values go out.
    pub(super) fn count_push(&self) {
        self.pushes.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn went(&self, instance: &str) {
        self.instances().went(instance, Now::new());
    }

    fn reported(&self, instance: &str, values: Values, outcome: Outcome) -> Result<(), Full> {
        let counter = match outcome {
            Outcome::Applied => &self.applied,
            Outcome::Refused(_) => &self.refused,
        };
        self.instances().reported(instance, values, outcome, Now::new())?;
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
