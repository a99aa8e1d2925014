//! What the processes of upstreams use: CPU and memory, read once a second off the path.
//!
//! CPU and the calls that were sent, mirrored copies among them, are read together, so that their
//! quotient is of one stretch of time. Reading walks over the processes of the machine and so
//! costs something itself: it never takes more than a tenth of one core, however many targets there
//! are, and is done where blocking is allowed. Nothing is written to a process that is looked at.
//!
//! Not here: which targets a team may name (`tandem-config`), how a process is read
//! (`measure::probe`), what a figure means (`judge`).

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tandem_measure::probe::{Probe, Reading, Target};
use tokio::sync::watch;
use tokio::time::Instant;

use super::metrics::Metrics;
use super::upstreams::UpstreamCounters;
use crate::reconcile::{CostTargets, Reconciler};
use crate::tasks::Side;
use crate::thread::Drain;

/// What one upstream's processes used.
#[derive(Debug, Clone, PartialEq)]
pub struct UpstreamCost {
    pub namespace: String,
    pub upstream: String,
    /// As written, several with commas.
    pub target: String,
    /// Where CPU time is read: `process clock`; `none` while nothing was found.
    pub source: String,
    /// Where memory is read.
    pub memory_source: String,
    /// When its processes were looked at first; another `cost` begins anew.
    pub since: SystemTime,
    /// The last minute, or as much of it as there is.
    pub window: CostWindow,
    /// Since `since`.
    pub total: CostWindow,
    /// Full stretches of thirty seconds, the oldest first, each with its number. Those of all upstreams
    /// are cut at the same moments, so stretches with one number are of one time.
    pub buckets: Vec<(u64, CostWindow)>,
    /// Anonymous memory.
    pub memory_bytes: Option<u64>,
    /// The largest that was read.
    pub memory_peak_bytes: Option<u64>,
    /// That run now.
    pub processes: usize,
    /// Instances that were seen to begin anew.
    pub restarts: u64,
    /// Instances of which nothing runs now: while there are, the figures are of a part.
    pub missing: usize,
}

/// CPU and calls of one stretch of time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct CostWindow {
    pub seconds: f64,
    /// `None` where it cannot be read.
    pub cpu_s: Option<f64>,
    /// Requests that were sent to it, further attempts and mirrored copies included.
    pub calls: u64,
}

/// The figures of all upstreams. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Costs(Arc<Inner>);

struct Inner {
    // Taken by the reader once a second, and by whoever looks.
    kept: Mutex<BTreeMap<Key, Kept>>,
    readings: watch::Sender<u64>,
    /// From here the stretches are numbered.
    began: Instant,
}

/// Namespace and name.
type Key = (String, String);

/// One upstream as it is read.
struct Watched {
    key: Key,
    targets: Vec<Target>,
    probe: Probe,
    counters: Arc<UpstreamCounters>,
}

/// What is known of one upstream.
struct Kept {
    target: String,
    source: String,
    memory_source: String,
    since: SystemTime,
    first: Point,
    /// Of the last minute, the oldest first.
    points: VecDeque<Point>,
    /// The stretch that is not full yet: its number, and where it began.
    filling: Option<(u64, Point)>,
    buckets: VecDeque<(u64, CostWindow)>,
    memory_bytes: Option<u64>,
    memory_peak_bytes: Option<u64>,
    processes: usize,
    restarts: u64,
    missing: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Point {
    at: Instant,
    cpu: Option<Duration>,
    calls: u64,
}

const EVERY: Duration = Duration::from_secs(1);
/// Time between readings, in the time that one took.
const PAUSE_IN_READINGS: u32 = 9;
/// One of the stretches of time that are held against each other (compare G-6).
const BUCKET: Duration = Duration::from_secs(30);
/// A day of them.
const BUCKETS_MOST: usize = 2_880;
/// How far back the window reaches.
const WINDOW: Duration = Duration::from_secs(60);
/// Targets of all namespaces together; those beyond are not looked at.
const TARGETS_MOST: usize = 1024;

impl Costs {
    pub(crate) fn new() -> Costs {
        Costs(Arc::new(Inner {
            kept: Mutex::default(),
            readings: watch::Sender::new(0),
            began: Instant::now(),
        }))
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<Key, Kept>> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn readings(&self) -> watch::Receiver<u64> {
        self.0.readings.subscribe()
    }

    /// In the order of namespaces and names.
    pub(crate) fn list(&self) -> Vec<UpstreamCost> {
        self.kept().iter().map(|(key, kept)| kept.shown(key)).collect()
    }

    /// Reads for as long as the gateway runs.
    pub(crate) fn keep_reading(
        &self,
        reconciler: &Arc<Reconciler>,
        metrics: &Metrics,
        side: &Side,
        drain: &Drain,
    ) {
        let (this, reconciler, metrics) = (self.clone(), Arc::clone(reconciler), metrics.clone());
        let mut drain = drain.clone();
        side.start(async move {
            tokio::select! {
                () = this.read_on(&reconciler, &metrics) => {}
                () = drain.begun() => {}
            }
        });
    }

    async fn read_on(&self, reconciler: &Reconciler, metrics: &Metrics) {
        let mut seen = None;
        let mut watched = Vec::new();
        loop {
            if let Some((generation, targets)) = reconciler.cost_targets(seen) {
                seen = Some(generation);
                watched = watch_these(watched, targets, metrics);
                self.kept().retain(|key, _| watched.iter().any(|one| one.key == *key));
            }
            let began = Instant::now();
            if !watched.is_empty() {
                // Files of the kernel are read, hundreds of them on a busy machine.
                let read = tokio::task::spawn_blocking(move || read(watched)).await;
                watched = match read {
                    Ok((watched, readings)) => {
                        self.put(&watched, readings);
                        watched
                    }
                    Err(error) => {
                        tracing::error!(%error, "the use of upstreams could not be read");
                        seen = None;
                        Vec::new()
                    }
                };
                self.0.readings.send_modify(|count| *count += 1);
            }
            let pause = began.elapsed().saturating_mul(PAUSE_IN_READINGS);
            tokio::time::sleep(pause.max(EVERY)).await;
        }
    }

    fn put(&self, watched: &[Watched], readings: Vec<OneReading>) {
        let now = SystemTime::now();
        let mut kept = self.kept();
        for (watched, (reading, memory, calls)) in watched.iter().zip(readings) {
            let point = Point { at: reading.at.into(), cpu: reading.cpu, calls };
            let target = listed(&watched.targets);
            // The same upstream with other targets is another one to whoever adds up.
            if kept.get(&watched.key).is_some_and(|kept| kept.target != target) {
                kept.remove(&watched.key);
            }
            let kept =
                kept.entry(watched.key.clone()).or_insert_with(|| Kept::new(target, now, point));
            let number =
                point.at.saturating_duration_since(self.0.began).as_secs() / BUCKET.as_secs();
            let sources = watched.probe.sources();
            kept.source = sources.cpu_text();
            kept.memory_source = sources.memory_text();
            kept.take((number, point), &reading, memory);
        }
    }
}

type OneReading = (Reading, Option<u64>, u64);

fn read(mut watched: Vec<Watched>) -> (Vec<Watched>, Vec<OneReading>) {
    let readings = Probe::read_all(watched.iter_mut().map(|one| &mut one.probe));
    let readings = readings
        .into_iter()
        .zip(&watched)
        .map(|((reading, memory), one)| (reading, memory, one.counters.figures().attempts));
    let readings = readings.collect();
    (watched, readings)
}

/// Probes for `targets`: those of `before` go on where nothing changed.
fn watch_these(before: Vec<Watched>, targets: CostTargets, metrics: &Metrics) -> Vec<Watched> {
    let mut before: BTreeMap<Key, Watched> =
        before.into_iter().map(|one| (one.key.clone(), one)).collect();
    let mut left = TARGETS_MOST;
    let mut watched = Vec::with_capacity(targets.len());
    for (key, targets) in targets {
        let (namespace, upstream) = (&*key.0, &*key.1);
        if targets.len() > left {
            tracing::warn!(namespace, upstream, "not looked at: there are {TARGETS_MOST} targets");
            continue;
        }
        left -= targets.len();
        match before.remove(&key).filter(|one| one.targets == targets) {
            Some(one) => watched.push(one),
            None => match Probe::new(targets.clone()) {
                Ok(probe) => {
                    let counters = metrics.upstream(namespace, upstream);
                    watched.push(Watched { key, targets, probe, counters });
                }
                // Refused when the document was read.
                Err(error) => tracing::warn!(namespace, upstream, "not looked at: {error}"),
            },
        }
    }
    watched
}

fn listed(targets: &[Target]) -> String {
    targets.iter().map(Target::to_string).collect::<Vec<_>>().join(", ")
}

impl Kept {
    fn new(target: String, since: SystemTime, first: Point) -> Kept {
        Kept {
            target,
            source: String::new(),
            memory_source: String::new(),
            since,
            first,
            points: VecDeque::new(),
            filling: None,
            buckets: VecDeque::new(),
            memory_bytes: None,
            memory_peak_bytes: None,
            processes: 0,
            restarts: 0,
            missing: 0,
        }
    }

    /// `number` is that of the stretch that `point` lies in.
    fn take(&mut self, (number, point): (u64, Point), reading: &Reading, memory: Option<u64>) {
        // CPU counts from the first time that something was found, and so must the calls.
        if self.first.cpu.is_none() && point.cpu.is_some() {
            self.first = point;
            self.points.clear();
            self.filling = None;
        }
        self.fill(number, point);
        self.points.push_back(point);
        while self.points.get(1).is_some_and(|second| point.at - second.at >= WINDOW) {
            self.points.pop_front();
        }
        self.memory_bytes = memory;
        self.memory_peak_bytes = self.memory_peak_bytes.max(memory);
        self.processes = reading.processes;
        self.restarts = reading.restarts;
        self.missing = reading.missing;
    }

    fn fill(&mut self, number: u64, point: Point) {
        match self.filling {
            Some((filling, _)) if filling == number => return,
            // A reading that came so late that a stretch has none of its own leaves a gap.
            Some((filling, begin)) if filling + 1 == number && point.cpu.is_some() => {
                if self.buckets.len() == BUCKETS_MOST {
                    self.buckets.pop_front();
                }
                self.buckets.push_back((filling, point.since(&begin)));
            }
            Some(_) | None => {}
        }
        self.filling = Some((number, point));
    }

    fn shown(&self, (namespace, upstream): &Key) -> UpstreamCost {
        let last = self.points.back().copied().unwrap_or(self.first);
        let oldest = self.points.front().copied().unwrap_or(self.first);
        UpstreamCost {
            namespace: namespace.clone(),
            upstream: upstream.clone(),
            target: self.target.clone(),
            source: self.source.clone(),
            memory_source: self.memory_source.clone(),
            since: self.since,
            window: last.since(&oldest),
            total: last.since(&self.first),
            buckets: self.buckets.iter().copied().collect(),
            memory_bytes: self.memory_bytes,
            memory_peak_bytes: self.memory_peak_bytes,
            processes: self.processes,
            restarts: self.restarts,
            missing: self.missing,
        }
    }
}

impl Point {
    fn since(&self, earlier: &Point) -> CostWindow {
        let cpu = self.cpu.zip(earlier.cpu).map(|(now, then)| now.saturating_sub(then));
        CostWindow {
            seconds: self.at.saturating_duration_since(earlier.at).as_secs_f64(),
            cpu_s: cpu.map(|cpu| cpu.as_secs_f64()),
            calls: self.calls.saturating_sub(earlier.calls),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compare_g_6_cpu_and_calls_are_of_the_same_stretch_and_the_window_is_a_minute() {
        let start = Instant::now();
        let at = |second: u64, cpu_ms: Option<u64>, calls| Point {
            at: start + Duration::from_secs(second),
            cpu: cpu_ms.map(Duration::from_millis),
            calls,
        };
        let reading = |processes: usize| Reading {
            at: start.into(),
            cpu: None,
            processes,
            restarts: 0,
            missing: usize::from(processes == 0),
        };
        let mut kept = Kept::new("pid:1".into(), SystemTime::UNIX_EPOCH, at(0, None, 7));
        let key = ("shop".to_owned(), "go".to_owned());
        // Called while its process was not found yet: these calls have no CPU, and do not count.
        kept.take((0, at(0, None, 7)), &reading(0), None);
        kept.take((0, at(1, None, 9)), &reading(0), None);
        assert_eq!(kept.shown(&key).total.cpu_s, None);
        assert_eq!(kept.shown(&key).missing, 1);
        kept.take((0, at(2, Some(0), 10)), &reading(1), Some(300));
        for second in 3..=102 {
            let (cpu, calls) = ((second - 2) * 10, 10 + (second - 2) * 5);
            kept.take((second / 30, at(second, Some(cpu), calls)), &reading(1), Some(200));
        }
        let cost = kept.shown(&key);
        let window = |seconds, cpu_s, calls| CostWindow { seconds, cpu_s: Some(cpu_s), calls };
        assert_eq!(cost.total, window(100.0, 1.0, 500));
        assert_eq!(cost.window, window(60.0, 0.6, 300));
        assert_eq!((cost.memory_bytes, cost.memory_peak_bytes), (Some(200), Some(300)));
        assert_eq!(kept.points.len(), 61);
        // The first stretch begins where its process was found; the last is not full.
        assert_eq!(
            cost.buckets,
            [
                (0, window(28.0, 0.28, 140)),
                (1, window(30.0, 0.3, 150)),
                (2, window(30.0, 0.3, 150))
            ]
        );
        // A stretch without a reading of its own is none, and nothing is made up for it.
        kept.take((5, at(150, Some(2_000), 900)), &reading(1), None);
        kept.take((6, at(180, Some(2_300), 1_050)), &reading(1), None);
        let numbers: Vec<u64> =
            kept.shown(&key).buckets.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [0, 1, 2, 5]);
    }
}
