//! Answers that are kept, and given instead of asking the service again.
//!
//! **The service is asked with the key.** What an answer is kept under (the method as it is
//! configured, the principal where the rules say so, the chosen fields of the request) is all that
//! the service is told: the message is read off the key, and no metadata of a caller goes along.
//! So nothing that the key does not hold can be in the answer, however a service behaves, and JSON
//! and protobuf callers who ask the same share one answer. What is kept is the message as the
//! service sent it; it is written for each caller anew.
//!
//! A namespace has a space of its own, with its own bytes: what one does, another does not feel.
//! Where the quotas of all are more than the process has for it, each has its part of that.
//!
//! Spaces are shared by the data threads (performance PF-1 names this exception): a cache a thread
//! would ask the service once a thread, keep everything as often, and hit less. The lock is held
//! for a look into a table and never while anybody waits.
//!
//! A method's entries are those of its *generation*: a number that no two methods ever share, and
//! that changes with the contract, the upstream, the rules that choose, and a purge. A call that
//! began before keeps its number, so what it brings home late is found by nobody.
//!
//! Rooms: what is kept (`answer`), the table (`store`), several askers at once (`flight`), what may be kept (`rules`).
//!
//! Not here: who may call (`policy`, before this), the way of a call through it (`path::cached`).

mod answer;
mod flight;
mod rules;
mod store;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::HeaderMap;
use tandem_config::document::{self, CacheRules, PlatformLimits};
use tandem_contract::MessageId;
use tandem_transcode::{Plans, Projection};
use tokio::time::Instant;

pub(crate) use self::answer::{Failure, Kept};
use self::flight::Flight;
pub(crate) use self::flight::{Landed, Lead, Next, Seat};
pub(crate) use self::rules::has_credential;
use self::store::{Found, Life, Store};

/// Longer questions are not kept; they go to the service as ever.
const KEY_BYTES_MOST: usize = 16 * 1024;
/// Calls at once that are made for several, in one namespace. They go on when their callers have
/// left, so whoever asks and leaves must not have any number of them under way; what is beyond
/// goes as a call of its own, which ends with its caller.
const FLIGHTS_MOST: usize = 1_024;
/// Bytes of a generation at the beginning of a key.
const GENERATION: usize = size_of::<u64>();
/// Entries that are taken out under one hold of a lock, so that no call waits for long.
const AT_ONCE: usize = 1_024;
/// Where nobody says what the process may use for buffers (security LI-23).
const BUFFER_BYTES: u64 = 256 << 20;

/// All that is kept in the process. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Caches(Arc<Inner>);

struct Inner {
    began: Instant,
    /// The next generation.
    generation: AtomicU64,
    // Snapshots being built and readers of figures take it, never a call.
    spaces: Mutex<BTreeMap<String, Arc<Space>>>,
}

/// What is kept for one namespace.
pub(crate) struct Space {
    caches: Caches,
    table: Mutex<Table>,
    lineages: Mutex<BTreeMap<String, (Fingerprint, Arc<AtomicU64>)>>,
}

pub(crate) struct Table {
    /// `None`: the answer to this is each caller's own, so nobody needs to wait for another's.
    store: Store<Option<Arc<Kept>>>,
    flights: HashMap<Arc<[u8]>, Arc<Flight>>,
}

/// What makes the answers of a method other answers when it changes.
#[derive(PartialEq)]
struct Fingerprint {
    contract: [u8; 32],
    primary: Option<(String, document::Upstream)>,
    fields: Option<Vec<String>>,
    per_principal: bool,
}

/// The cache of one method, as one snapshot has it.
pub(crate) struct MethodCache {
    space: Arc<Space>,
    generation: Arc<AtomicU64>,
    projection: Projection,
    rules: CacheRules,
}

/// What somebody asks.
pub(crate) struct Question {
    key: Arc<[u8]>,
    fields_at: usize,
}

/// What there is to a question.
pub(crate) enum Asked {
    Kept(Arc<Kept>),
    /// Each asks for himself.
    Own,
    /// Somebody makes the call: whoever got the lead.
    Flight {
        seat: Seat,
        lead: Option<Lead>,
        stale: Option<Arc<Kept>>,
    },
}

/// What is kept for a namespace now, and what was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CacheFigures {
    pub namespace: String,
    pub entries: usize,
    /// With keys, tables and what belongs to them.
    pub bytes: usize,
    pub bytes_max: usize,
    pub stored: u64,
    /// Pushed out while they were good.
    pub evicted: u64,
}

/// What a purge took out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Purged {
    pub entries: usize,
    pub bytes: usize,
}

/// How a call of a method that keeps answers was answered.
///
/// A mirror must never be offered a call that was answered in any way but [`CacheUse::Miss`] and
/// [`CacheUse::Passed`]: the service did not get it (compare, section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheUse {
    /// From what was kept.
    Hit,
    /// The service was asked.
    Miss,
    /// The service was asked by somebody else at the time.
    Shared,
    /// From what was kept and is old, because the service failed.
    Stale,
    /// As if nothing were kept: a credential, a question too long, an answer of one caller's own.
    Passed,
}

impl CacheUse {
    pub(crate) const ALL: [CacheUse; 5] =
        [CacheUse::Hit, CacheUse::Miss, CacheUse::Shared, CacheUse::Stale, CacheUse::Passed];

    /// As metrics, the log and traces call it.
    pub fn name(self) -> &'static str {
        match self {
            CacheUse::Hit => "hit",
            CacheUse::Miss => "miss",
            CacheUse::Shared => "shared",
            CacheUse::Stale => "stale",
            CacheUse::Passed => "passed",
        }
    }
}

impl Caches {
    pub(crate) fn new() -> Caches {
        let (generation, spaces) = (AtomicU64::new(1), Mutex::default());
        Caches(Arc::new(Inner { began: Instant::now(), generation, spaces }))
    }

    fn now(&self) -> Duration {
        self.0.began.elapsed()
    }

    fn spaces(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Space>>> {
        self.0.spaces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_generation(&self) -> u64 {
        self.0.generation.fetch_add(1, Ordering::Relaxed)
    }

    /// The cache of a method as its document and its contract say.
    pub(crate) fn method(
        &self,
        namespace: &document::Namespace,
        (name, input): (&str, MessageId),
        plans: &Plans,
        primary: Option<&str>,
        rules: CacheRules,
    ) -> Result<MethodCache, String> {
        let projection = match &rules.fields {
            None => Projection::all(plans, input),
            Some(fields) => {
                let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
                Projection::new(plans, input, &fields)?
            }
        };
        let primary = primary.and_then(|name| {
            namespace.upstreams.get(name).map(|upstream| (name.to_owned(), upstream.clone()))
        });
        let fingerprint = Fingerprint {
            contract: *plans.contract().digest(),
            primary,
            fields: rules.fields.clone(),
            per_principal: rules.per_principal,
        };
        let space = Arc::clone(
            self.spaces()
                .entry(namespace.namespace.clone())
                .or_insert_with(|| Arc::new(Space::new(self.clone()))),
        );
        let generation = space.generation_of(name, fingerprint);
        Ok(MethodCache { space, generation, projection, rules })
    }

    /// Shares the bytes of the process between the namespaces that keep something, each with its
    /// quota; what others kept goes.
    pub(crate) fn share(&self, limits: &PlatformLimits, quotas: &BTreeMap<&str, u64>) {
        // Half of what all buffers may take: calls under way need the rest.
        let most = limits.buffer_bytes.unwrap_or(BUFFER_BYTES) / 2;
        let wanted = quotas.values().fold(0_u64, |sum, quota| sum.saturating_add(*quota));
        let spaces = self.spaces().clone();
        for (name, space) in spaces {
            let quota = quotas.get(name.as_str()).copied().unwrap_or(0);
            let part = match wanted > most {
                true => u128::from(quota) * u128::from(most) / u128::from(wanted.max(1)),
                false => u128::from(quota),
            };
            let budget = usize::try_from(part).unwrap_or(usize::MAX);
            while !space.table().store.set_budget(budget, AT_ONCE, self.now()) {}
        }
    }

    /// Forgets what is kept of `method` (`package.Service/Method`), or of all methods of the
    /// namespace. What is under way is not kept either. `None` where nothing of that name ever
    /// kept anything.
    pub(crate) fn purge(&self, namespace: &str, method: Option<&str>) -> Option<Purged> {
        let space = self.spaces().get(namespace).cloned()?;
        let mut old = Vec::new();
        {
            let lineages = space.lineages.lock().unwrap_or_else(PoisonError::into_inner);
            for (name, (_, generation)) in lineages.iter() {
                if method.is_none_or(|method| method == name) {
                    old.push(generation.swap(self.next_generation(), Ordering::AcqRel));
                }
            }
        }
        if method.is_some() && old.is_empty() {
            return None;
        }
        Some(space.sweep(&old))
    }

    /// In the order of the namespaces' names.
    pub(crate) fn figures(&self) -> Vec<CacheFigures> {
        let spaces = self.spaces().clone();
        spaces
            .into_iter()
            .map(|(namespace, space)| {
                let table = space.table();
                let store::Figures { entries, bytes, stored, evicted } = table.store.figures();
                let bytes_max = table.store.budget();
                CacheFigures { namespace, entries, bytes, bytes_max, stored, evicted }
            })
            .collect()
    }
}

impl Space {
    fn new(caches: Caches) -> Space {
        let table = Table { store: Store::new(0), flights: HashMap::new() };
        Space { caches, table: Mutex::new(table), lineages: Mutex::default() }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The generation of a method: the one that it had, while its answers stay what they were.
    fn generation_of(&self, method: &str, fingerprint: Fingerprint) -> Arc<AtomicU64> {
        let mut lineages = self.lineages.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((before, generation)) = lineages.get(method)
            && *before == fingerprint
        {
            return Arc::clone(generation);
        }
        let generation = Arc::new(AtomicU64::new(self.caches.next_generation()));
        lineages.insert(method.to_owned(), (fingerprint, Arc::clone(&generation)));
        generation
    }

    /// Takes out what is of these generations.
    fn sweep(&self, old: &[u64]) -> Purged {
        let gone = |key: &[u8]| {
            key.first_chunk().is_some_and(|bytes| old.contains(&u64::from_be_bytes(*bytes)))
        };
        let mut purged = Purged::default();
        let mut from = Some(0);
        while let Some(at) = from {
            let (entries, bytes, next) = self.table().store.sweep(at, AT_ONCE, gone);
            purged.entries += entries;
            purged.bytes += bytes;
            from = next;
        }
        purged
    }
}

impl Table {
    /// Nobody sits down in this flight any longer.
    fn give_up(&mut self, key: &[u8], flight: &Arc<Flight>) {
        if self.flights.get(key).is_some_and(|one| Arc::ptr_eq(one, flight)) {
            self.flights.remove(key);
        }
    }
}

impl MethodCache {
    /// Whether each principal has answers of his own.
    pub(crate) fn per_principal(&self) -> bool {
        self.rules.per_principal
    }

    /// The question that a message is, asked by `principal` where that matters. `None` for bytes
    /// that are no message, which the service may judge, and for what is too long.
    pub(crate) fn question(&self, message: &[u8], principal: Option<&str>) -> Option<Question> {
        let mut key = Vec::with_capacity(GENERATION + 1 + message.len() + 8);
        key.extend_from_slice(&self.generation.load(Ordering::Acquire).to_be_bytes());
        match principal {
            None => key.push(0),
            Some(name) => {
                key.push(1);
                // The length first: one name is never the beginning of a longer one with fields.
                key.extend_from_slice(&u32::try_from(name.len()).ok()?.to_be_bytes());
                key.extend_from_slice(name.as_bytes());
            }
        }
        let fields_at = key.len();
        self.projection.key(message, &mut key).ok()?;
        (key.len() <= KEY_BYTES_MOST).then(|| Question { key: key.into(), fields_at })
    }

    /// The message that the service is asked with, behind what `out` holds.
    pub(crate) fn message(&self, question: &Question, out: &mut Vec<u8>) {
        let fields = &question.key[question.fields_at..];
        self.projection.message_of_key(fields, out).expect("a key is read by whoever wrote it");
    }

    /// What there is to a question.
    pub(crate) fn ask(&self, question: &Question) -> Asked {
        let now = self.space.caches.now();
        let mut table = self.space.table();
        let stale = match table.store.look(&question.key, now) {
            Found::Fresh(Some(kept)) => return Asked::Kept(kept),
            Found::Fresh(None) => return Asked::Own,
            Found::Stale(kept) => kept,
            Found::Nothing => None,
        };
        if let Some(flight) = table.flights.get(&question.key) {
            return Asked::Flight { seat: flight.seat(&self.space), lead: None, stale };
        }
        if table.flights.len() >= FLIGHTS_MOST {
            return Asked::Own;
        }
        let flight = Flight::new(Arc::clone(&question.key));
        table.flights.insert(Arc::clone(&question.key), Arc::clone(&flight));
        let seat = flight.seat(&self.space);
        // A lead that is dropped takes the lock.
        drop(table);
        let lead = Some(flight.lead(&self.space));
        Asked::Flight { seat, lead, stale }
    }

    /// An answer came: it is kept as far as it may be, and told to everybody who waits as far as
    /// that may be. `mine` has it first: whoever made the call may tell it in any case.
    pub(crate) fn land(
        &self,
        lead: Lead,
        head: &HeaderMap,
        trailers: &HeaderMap,
        message: &Bytes,
        mine: impl FnOnce(Arc<Kept>),
    ) {
        let now = self.space.caches.now();
        let CacheRules { ttl, fields: _, per_principal, stale_if_error, entry_bytes_max } =
            &self.rules;
        let life = rules::lifetime([head, trailers], *ttl, *per_principal);
        let fresh_until = now.saturating_add(life.unwrap_or(*ttl));
        let stale_until = fresh_until.saturating_add(*stale_if_error);
        let kept = Arc::new(Kept::of(head, trailers, message, now, stale_until));
        let key = Arc::clone(lead.key());
        let (value, bytes, life, landed) = match life {
            Some(_) => {
                let (bytes, life) = (kept.bytes(), Life { fresh_until, stale_until });
                let value = (bytes as u64 <= *entry_bytes_max).then(|| Some(Arc::clone(&kept)));
                (value, bytes, life, Landed::Answer(Arc::clone(&kept)))
            }
            // Remembered, so that the next ones do not wait for each other in vain.
            None => (Some(None), 0, Life { fresh_until, stale_until: fresh_until }, Landed::Own),
        };
        if let Some(value) = value {
            self.space.table().store.put(key, value, bytes, life, now);
        }
        mine(kept);
        lead.land(landed);
    }

    /// The call failed.
    pub(crate) fn fail(&self, lead: Lead, failure: Failure) {
        match &failure {
            Failure::Said { status, .. } if rules::is_about_the_question(status.code) => {
                lead.land(Landed::Failed(Arc::new(failure)));
            }
            _ => lead.fail(failure),
        }
    }

    /// Whether this old answer is still better than nothing.
    pub(crate) fn is_usable(&self, kept: &Kept) -> bool {
        self.space.caches.now() < kept.stale_until
    }

    /// How old an answer is now.
    pub(crate) fn age_of(&self, kept: &Kept) -> Duration {
        self.space.caches.now().saturating_sub(kept.came) + kept.age
    }
}
