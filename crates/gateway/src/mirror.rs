//! Copies of calls, sent to a candidate behind the caller's back, and what their pairs show.
//!
//! The caller never waits for this room and never sees its failures: a tap on the path writes
//! down what passes, and a copy that finds no room is dropped and counted in
//! `tandem_mirror_dropped_total`. All else happens on a thread of its own, over connections of its
//! own. A copy that may not be made cannot be written down: it takes a
//! [`Leave`](tandem_config::document::Leave).
//!
//! Rooms in the order of a copy's way: `sample` (which calls), `method` (whose leave, to whom),
//! `tap`, `room` (how much waits), `queue` (the thread), `order` (whose turn), `send`, `answer`
//! (what came back), `pairs` (the evidence), `view`; `counts`, `recent` and `memory` beside them.
//!
//! Not here: which side answers a call (`route`), what differences mean (`tandem_judge`).

mod answer;
pub(crate) mod counts;
mod memory;
mod method;
mod order;
mod pairs;
mod queue;
mod recent;
mod room;
mod sample;
mod send;
mod tap;
pub(crate) mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::SystemTime;

use tandem_config::Namespace;
use tandem_config::document::{
    Forbidden, Leave, OrderBy, ResolvedMethod, SameRules, Share, TwinAsked,
};
use tandem_contract::Method;
use tandem_judge::diff::Differ;
use tandem_judge::noise::Source;
use tandem_judge::pair::Abandoned;
use tandem_transcode::{Plans, Projection};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use self::counts::{MirrorCounts, MirrorFigures};
pub(crate) use self::method::MethodMirror;
use self::pairs::{Evidence, Ground};
use self::queue::Told;
use self::room::Room;
use self::sample::Sampler;
use self::tap::Copied;
pub(crate) use self::tap::Tap;
use self::view::MethodPairs;
use crate::thread::Drain;
use crate::upstream::{Setting, Upstream};

/// The way from the taps to the mirror's thread.
#[derive(Clone)]
struct Way {
    queue: UnboundedSender<Told>,
    process: Arc<Room>,
    shed: Arc<AtomicBool>,
}

impl Way {
    /// Whether memory is short, and copies are the first to go (compare M-8).
    fn is_shedding(&self) -> bool {
        self.shed.load(Ordering::Relaxed)
    }

    fn place(&self, own: &Arc<Room>, bytes: usize) -> Result<room::Place, Abandoned> {
        room::Place::take(&self.process, own, bytes)
    }

    /// The way is unbounded, but each copy on it holds a place of the bounded room.
    fn offer(&self, copied: Copied) {
        if let Err(back) = self.queue.send(Told::Copy(Box::new(copied)))
            && let Told::Copy(copied) = back.0
        {
            copied.mirror.dropped(Abandoned::Stopped);
        }
    }
}

/// Everything that is mirrored. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Mirrors(Arc<Inner>);

struct Inner {
    way: Way,
    run: String,
    seed: u64,
    ratio_max: usize,
    /// What the thread takes with it when it is started: with the first method that is mirrored.
    waiting: Mutex<Option<Thread>>,
    running: Mutex<Option<JoinHandle<()>>>,
    // Locks that snapshots being built and readers take, never a call.
    rooms: Mutex<BTreeMap<String, Arc<Room>>>,
    methods: Mutex<BTreeMap<(String, String), Known>>,
}

struct Thread {
    queue: UnboundedReceiver<Told>,
    upstreams: Setting,
    drain: Drain,
}

/// What is known of a method that is or was mirrored.
#[derive(Clone)]
struct Known {
    counts: Arc<MirrorCounts>,
    evidence: Arc<Evidence>,
    scope: Vec<u8>,
    /// It is mirrored by the snapshot that serves.
    now: bool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A method as a snapshot is about to serve it.
pub(crate) struct Served<'a> {
    pub(crate) namespace: &'a Namespace,
    pub(crate) method: &'a Method,
    pub(crate) resolved: &'a ResolvedMethod,
    pub(crate) plans: &'a Arc<Plans>,
    pub(crate) upstreams: &'a BTreeMap<String, Arc<Upstream>>,
    /// Methods for which the same line of the document holds.
    pub(crate) of_line: usize,
    /// Its answers are kept.
    pub(crate) cached: bool,
}

impl Mirrors {
    pub(crate) fn new(upstreams: Setting, drain: Drain, ratio_max: usize) -> Mirrors {
        let (sender, queue) = unbounded_channel();
        let seed = rand::random();
        let way = Way {
            queue: sender,
            process: Room::new(Share::ALL),
            shed: Arc::new(AtomicBool::new(false)),
        };
        Mirrors(Arc::new(Inner {
            way,
            run: format!("{:08x}", rand::random::<u32>()),
            seed,
            ratio_max,
            waiting: Mutex::new(Some(Thread { queue, upstreams, drain })),
            running: Mutex::new(None),
            rooms: Mutex::default(),
            methods: Mutex::default(),
        }))
    }

    /// The mirror of a method, where its document asks for one and its contract gives leave.
    pub(crate) fn method(&self, served: &Served<'_>) -> Option<Arc<MethodMirror>> {
        let rules = served.resolved.mirror.as_ref()?;
        let name = served.method.full_name();
        let leave = rules.leave(
            served.method.idempotency,
            served.resolved.primary.as_deref(),
            served.resolved.candidate.as_deref(),
            &served.namespace.upstreams,
        );
        let leave = match leave {
            Ok(leave) => leave,
            Err(why) => {
                // A contract that came by reflection may say another thing than the one checked.
                let why: Forbidden = why;
                tracing::warn!(method = name, ?why, "not mirrored");
                return None;
            }
        };
        let made = self.made(served, leave);
        match made {
            Ok(mirror) => {
                self.start();
                Some(Arc::new(mirror))
            }
            Err(why) => {
                tracing::warn!(method = name, "not mirrored: {why}");
                None
            }
        }
    }

    fn made(&self, served: &Served<'_>, leave: Leave) -> Result<MethodMirror, String> {
        let Served { namespace, method, resolved, plans, upstreams, of_line, cached } = served;
        let contract = plans.contract();
        let name = method.full_name();
        let primary = resolved.primary.as_deref().ok_or("it has no primary")?;
        let upstream = |name: &str| {
            let found = upstreams.get(name).map(|upstream| method::for_copies(upstream));
            found.ok_or_else(|| format!("there is no upstream `{name}`"))
        };
        let candidate = upstream(leave.to())?;
        let (twin, source) = match leave.twin() {
            TwinAsked::Named(name) => (Some(upstream(name)?), Source::Twin),
            TwinAsked::PrimaryAgain => (Some(upstream(primary)?), Source::Twice),
            TwinAsked::Nobody => (None, Source::Rules),
        };
        let order = match &leave.rules().order_by {
            Some(OrderBy::Field(path)) => Some(Projection::new(plans, method.input, &[path])?),
            Some(OrderBy::Service) | None => None,
        };
        let rules = resolved.same.of(contract, method.output);
        let differ = Differ::new(Arc::clone(plans), method.output, rules.clone())
            .map_err(|faults| format!("`same`: {faults:?}"))?;
        let side = |name: &str| {
            let addresses = namespace.upstreams.get(name).map(|upstream| &upstream.addresses);
            format!("{name} {addresses:?}")
        };
        let named_twin = match leave.twin() {
            TwinAsked::Named(name) => Some(name.clone()),
            TwinAsked::PrimaryAgain | TwinAsked::Nobody => None,
        };
        let extra_most = resolved.same.extra_max.unwrap_or(SameRules::EXTRA_MAX);
        let setting = pairs::Setting {
            namespace: namespace.namespace.clone(),
            method: name.to_owned(),
            primary: primary.to_owned(),
            candidate: leave.to().to_owned(),
            twin: named_twin.clone(),
            ground: Ground {
                digest: *contract.digest(),
                sides: [side(primary), side(leave.to()), side(named_twin.as_deref().unwrap_or(""))],
                source,
            },
            differ,
            rules,
            extra_most: f64::from(extra_most.per_mille()) / 1000.0,
            samples: leave.rules().samples,
            sampled_after_cache: *cached,
        };
        let scope = format!("{}/{}/{}\0", namespace.namespace, method.service, leave.to());
        let room = {
            let mut rooms = locked(&self.0.rooms);
            let room = rooms.entry(namespace.namespace.clone());
            Arc::clone(room.or_insert_with(|| Room::new(namespace.mirror_share)))
        };
        room.set(namespace.mirror_share);
        let known = self.known(setting, scope.as_bytes());
        Ok(MethodMirror {
            sampler: Sampler::new(leave.rules(), *of_line, self.0.seed),
            leave,
            method: name.into(),
            path: http::uri::PathAndQuery::try_from(&*method.path)
                .map_err(|error| error.to_string())?,
            kind: method.kind,
            candidate,
            twin,
            scope: scope.into_bytes(),
            order,
            room,
            counts: known.counts,
            evidence: known.evidence,
            way: self.0.way.clone(),
        })
    }

    /// What is known of the method, by the rules that hold from now on.
    fn known(&self, setting: pairs::Setting, scope: &[u8]) -> Known {
        let mut methods = locked(&self.0.methods);
        let key = (setting.namespace.clone(), setting.method.clone());
        let now = SystemTime::now();
        match methods.get_mut(&key) {
            Some(known) => {
                if known.evidence.takes_over(setting, rand::random(), now) {
                    let _ = self.0.way.queue.send(Told::Anew(known.scope.clone()));
                }
                known.scope = scope.to_vec();
                known.now = true;
                known.clone()
            }
            None => {
                let seed = rand::random();
                let (namespace, method) = &key;
                tracing::info!(%namespace, %method, seed, "evidence of pairs begins");
                let known = Known {
                    counts: Arc::default(),
                    evidence: Arc::new(Evidence::new(setting, seed, now)),
                    scope: scope.to_vec(),
                    now: true,
                };
                methods.insert(key, known.clone());
                known
            }
        }
    }

    /// The snapshot that serves mirrors these methods and no others.
    pub(crate) fn are(&self, mirrored: &BTreeSet<(String, String)>) {
        for (key, known) in locked(&self.0.methods).iter_mut() {
            known.now = mirrored.contains(key);
        }
    }

    /// Starts the thread, once.
    fn start(&self) {
        let Some(Thread { queue, upstreams, drain }) = locked(&self.0.waiting).take() else {
            return;
        };
        let start = queue::Start {
            queue,
            upstreams,
            drain,
            run: self.0.run.clone(),
            ratio_max: self.0.ratio_max,
            shed: Arc::clone(&self.0.way.shed),
        };
        tracing::info!(run = %self.0.run, seed = self.0.seed, "mirroring begins");
        let spawned =
            std::thread::Builder::new().name("mirror".to_owned()).spawn(|| queue::run(start));
        match spawned {
            Ok(handle) => *locked(&self.0.running) = Some(handle),
            Err(error) => tracing::error!(%error, "nothing is mirrored: no thread can be started"),
        }
    }

    /// Waits for the end of the thread, which a drain ends; blocks.
    pub(crate) fn join(&self) {
        if let Some(handle) = locked(&self.0.running).take()
            && handle.join().is_err()
        {
            tracing::error!("the mirror's thread panicked");
        }
    }

    /// Memory is short, or no longer: copies are the first load to be shed (compare M-8).
    pub(crate) fn shed(&self, shed: bool) {
        self.0.way.shed.store(shed, Ordering::Relaxed);
    }

    /// The methods that are mirrored now.
    pub(crate) fn mirrored(&self) -> Vec<(String, String)> {
        let methods = locked(&self.0.methods);
        methods.iter().filter(|(_, known)| known.now).map(|(key, _)| key.clone()).collect()
    }

    /// What is known of the pairs of a method that is or was mirrored.
    pub(crate) fn pairs(&self, namespace: &str, method: &str) -> Option<MethodPairs> {
        let key = (namespace.to_owned(), method.to_owned());
        let known = locked(&self.0.methods).get(&key).cloned()?;
        Some(known.evidence.view(SystemTime::now(), known.counts.by_reason()))
    }

    /// Forgets what the pairs of a method have shown; `false` where it was never mirrored.
    pub(crate) fn restart(&self, namespace: &str, method: &str) -> bool {
        let key = (namespace.to_owned(), method.to_owned());
        let Some(known) = locked(&self.0.methods).get(&key).cloned() else { return false };
        known.evidence.restart(SystemTime::now());
        let _ = self.0.way.queue.send(Told::Anew(known.scope));
        true
    }

    /// Figures of every method that is or was mirrored, by namespace and name.
    pub(crate) fn figures(&self) -> Vec<(String, String, MirrorFigures)> {
        let methods = locked(&self.0.methods);
        let figures = methods.iter().map(|((namespace, method), known)| {
            (namespace.clone(), method.clone(), known.counts.figures())
        });
        figures.collect()
    }

    /// Copies that wait or are under way, of all namespaces.
    pub(crate) fn copies(&self) -> usize {
        self.0.way.process.copies()
    }
}
