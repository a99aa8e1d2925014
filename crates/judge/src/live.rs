//! What the pairs of a method that serves say so far, and what they cannot say yet.
//!
//! Whoever looks at a live pair looks whenever he likes and stops when he likes what he sees. So
//! nothing here rests on a size of sample that was fixed before: answers are judged by bets
//! (`noise`), quantiles by [`lasting`](crate::stats::ranks::lasting) ranks, CPU by a confidence
//! sequence over buckets of time (compare G-6, G-8). Intervals of the rows that count hold together
//! at 95 %, at every moment at once.
//!
//! The candidate's times are held against the twin's and never against the primary's, which is
//! asked earlier and over other connections (compare G-5). There is no run of one build against
//! itself to learn a floor from, so the margin stands in its place: a side is better only if it is
//! better by more than that.
//!
//! Not here: counting pairs (`noise`), reading counters (`measure`), the document (`report`).

mod words;

use crate::cost::Absolute;
use crate::noise::{PathEvidence, Settings, Source, left};
use crate::stats::counts::Counts;
use crate::stats::ranks::{self, Quantile, Shown};
use crate::stats::{needed, sequence};
use crate::verdict::{self, Cell, CellInput, Evidence, Row, Verdict};

/// Buckets of time from which on CPU has an interval (compare G-6).
pub const BUCKETS_LEAST: usize = 20;
/// Seconds of one of them.
pub const BUCKET_S: f64 = 30.0;
/// The part by which sides may differ and still be the same, of times and of costs.
const MARGIN_TIME: f64 = 0.10;
const MARGIN_COST: f64 = 0.03;
/// 5 % over the two rows that count, so that both hold together.
const ALPHA: f64 = 0.05 / 2.0;

/// What one upstream did with the calls and copies that it got.
#[derive(Debug, Clone, Copy)]
pub struct Lane<'a> {
    pub name: &'a str,
    pub calls: u64,
    pub errors: u64,
    pub latency_us: &'a Counts,
}

/// CPU of both sides.
#[derive(Debug, Clone, Copy)]
pub struct Cpu<'a> {
    /// Seconds a call, without what a side uses when nobody calls; of the primary, the candidate.
    pub per_call_s: (Option<f64>, Option<f64>),
    /// Calls that it rests on.
    pub calls: (u64, u64),
    /// The log of candidate/primary, of one bucket each.
    pub logs: &'a [f64],
}

/// All that is known of a live pair.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    pub source: Source,
    pub settings: Settings,
    pub paths: &'a [PathEvidence],
    /// Paths that are tested: what the error rate is divided by.
    pub rows: usize,
    pub critical: u64,
    pub pairs: u64,
    /// At the present rate; `None` where it is not known.
    pub pairs_per_s: Option<f64>,
    pub primary: Lane<'a>,
    pub candidate: Lane<'a>,
    pub twin: Option<Lane<'a>>,
    /// `None` where no upstream names what it costs.
    pub cpu: Option<Cpu<'a>>,
}

/// A row with both sides' values.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    pub row: Row,
    /// `s` everywhere; values are in it.
    pub unit: &'static str,
    pub primary: Absolute,
    pub candidate: Absolute,
    pub margin: f64,
    pub floor: f64,
    /// Whose value stands on the primary's side: its own, or its twin's.
    pub against: String,
}

/// Something that is not known yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Open {
    /// `answers`, `p99`, `cpu`.
    pub id: String,
    /// A sentence.
    pub what: String,
    /// Pairs still to come, as far as it can be told.
    pub pairs: Option<u64>,
    /// Seconds at the present rate.
    pub seconds: Option<f64>,
}

/// What follows.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    pub measured: Vec<Measured>,
    pub verdict: Verdict,
    pub sentence: String,
    /// "240 of about 3,900 pairs".
    pub evidence: String,
    pub known: Vec<String>,
    pub open: Vec<Open>,
}

/// One quantile of a lane, with the interval that may be looked at at any moment.
pub fn quantile(lane: &Lane<'_>, part: f64) -> Option<Quantile> {
    ranks::lasting_quantile(lane.latency_us, part, 0.05)
}

/// Judges a live pair.
pub fn judge(seen: &Seen<'_>) -> Judged {
    let mut measured = Vec::new();
    for (id, part, counts) in [("p50", 0.5, false), ("p99", 0.99, true)] {
        measured.extend(seen.twin.and_then(|twin| time(seen, &twin, id, part, counts)));
    }
    measured.extend(seen.cpu.as_ref().and_then(|cpu| cost(seen, cpu)));
    let rows: Vec<Row> = measured.iter().map(|measured| measured.row.clone()).collect();
    let evidence = Evidence {
        invalid: &[],
        answers: seen.paths,
        critical: seen.critical,
        must: (&[], &[]),
        rows: &rows,
    };
    let verdict = verdict::verdict(&evidence);
    let open = open(seen, &rows);
    Judged {
        sentence: words::sentence(seen, &verdict, &rows),
        evidence: words::evidence(seen, &open),
        known: words::known(seen, &measured),
        open,
        measured,
        verdict,
    }
}

/// Calls of the row's smaller side, which its interval rests on.
fn calls(seen: &Seen<'_>) -> u64 {
    let twin = seen.twin.map_or(0, |twin| twin.latency_us.total());
    seen.candidate.latency_us.total().min(twin)
}

fn time(seen: &Seen<'_>, twin: &Lane<'_>, id: &str, part: f64, counts: bool) -> Option<Measured> {
    // Each side's interval takes half of what may go wrong, so their ratio's takes all of it.
    let side = |lane: &Lane<'_>| ranks::lasting_quantile(lane.latency_us, part, ALPHA / 2.0);
    let (one, other) = (side(twin)?, side(&seen.candidate)?);
    let interval =
        one.interval.zip(other.interval).map(|((low, high), (other_low, other_high))| {
            (
                other_low.max(1) as f64 / high.max(1) as f64,
                other_high.max(1) as f64 / low.max(1) as f64,
            )
        });
    let input = CellInput {
        id: id.to_owned(),
        // A histogram's lowest value is no time at all.
        ratio: other.value.max(1) as f64 / one.value.max(1) as f64,
        interval,
        p: None,
        quartets: usize::try_from(calls(seen)).unwrap_or(usize::MAX),
        smaller_is_better: true,
        margin: MARGIN_TIME,
        floor: MARGIN_TIME.ln_1p(),
        headline: counts,
        counts,
    };
    Some(row(&input, seconds(&one), seconds(&other), twin.name))
}

fn seconds(found: &Quantile) -> Absolute {
    let seconds = |micros: u64| micros as f64 * 1e-6;
    Absolute {
        value: seconds(found.value),
        interval: found.interval.map(|(low, high)| (seconds(low), seconds(high))),
        calls: found.count,
        shown: found.shown,
    }
}

fn cost(seen: &Seen<'_>, cpu: &Cpu<'_>) -> Option<Measured> {
    let (one, other) = (cpu.per_call_s.0?, cpu.per_call_s.1?);
    if !(one > 0.0 && other > 0.0) {
        return None;
    }
    let enough = cpu.logs.len() >= BUCKETS_LEAST;
    let lasting = enough.then(|| sequence::interval(cpu.logs, ALPHA)).flatten();
    let (ratio, interval) = match lasting {
        Some((mean, low, high)) => (mean.exp(), Some((low.exp(), high.exp()))),
        None => (other / one, None),
    };
    let input = CellInput {
        id: "cpu".to_owned(),
        ratio,
        interval,
        p: None,
        quartets: cpu.logs.len(),
        smaller_is_better: true,
        margin: MARGIN_COST,
        floor: MARGIN_COST.ln_1p(),
        headline: true,
        counts: true,
    };
    let side = |value, calls| Absolute { value, interval: None, calls, shown: Shown::Yes };
    let (one, other) = (side(one, cpu.calls.0), side(other, cpu.calls.1));
    Some(row(&input, one, other, seen.primary.name))
}

fn row(input: &CellInput, primary: Absolute, candidate: Absolute, against: &str) -> Measured {
    let mut rows = verdict::cells(std::slice::from_ref(input));
    Measured {
        row: rows.swap_remove(0),
        unit: "s",
        primary,
        candidate,
        margin: input.margin,
        floor: input.floor,
        against: against.to_owned(),
    }
}

/// What is not known yet, the answers first.
fn open(seen: &Seen<'_>, rows: &[Row]) -> Vec<Open> {
    let seconds = |pairs: Option<u64>| {
        let rate = seen.pairs_per_s.filter(|rate| *rate > 0.0)?;
        pairs.map(|pairs| pairs as f64 / rate)
    };
    let mut open = Vec::new();
    let waits: Vec<(&PathEvidence, Option<u64>)> = seen
        .paths
        .iter()
        .map(|path| (path, left(path, seen.source, &seen.settings, seen.rows)))
        .filter(|(_, left)| *left != Some(0))
        .collect();
    if !waits.is_empty() {
        // Ready when the last of them is; what never will be is named beside it.
        let pairs = waits.iter().filter_map(|(_, left)| *left).max();
        let never = waits.iter().filter(|(_, left)| left.is_none()).map(|(path, _)| &*path.path);
        let never: Vec<&str> = never.collect();
        let what = words::open_answers(waits.len(), &never);
        open.push(Open { id: "answers".to_owned(), what, pairs, seconds: seconds(pairs) });
    }
    for id in ["p99", "cpu"] {
        let found = rows.iter().find(|row| row.id == id);
        if found.is_some_and(|row| row.cell != Cell::Unknown) {
            continue;
        }
        let (what, pairs, seconds) = match id {
            "p99" if seen.twin.is_none() => (words::NO_TWIN, None, None),
            "cpu" if seen.cpu.is_none() => (words::NO_COST, None, None),
            "p99" => {
                let so_far = calls(seen);
                // Below this many calls the ranks of a p99 enclose it nowhere.
                let least = || first_p99().saturating_sub(so_far).max(1);
                let pairs = match found.filter(|row| row.interval.is_some()) {
                    Some(row) => more(row, so_far, MARGIN_TIME),
                    None => Some(least()),
                };
                (pairs.map_or(words::AT_MARGIN, |_| words::MORE_PAIRS), pairs, seconds(pairs))
            }
            _ => {
                let so_far = seen.cpu.map_or(0, |cpu| cpu.logs.len());
                let buckets = match found.filter(|row| row.interval.is_some()) {
                    Some(row) => more(row, so_far as u64, MARGIN_COST),
                    None => Some(BUCKETS_LEAST.saturating_sub(so_far).max(1) as u64),
                };
                let seconds = buckets.map(|buckets| buckets as f64 * BUCKET_S);
                (buckets.map_or(words::AT_MARGIN, |_| words::MORE_TIME), None, seconds)
            }
        };
        let what = format!("{}: {what}", verdict::row_label(id));
        open.push(Open { id: id.to_owned(), what, pairs, seconds });
    }
    open
}

/// Calls from which on a p99 has an interval here.
fn first_p99() -> u64 {
    let mut calls = 1_024;
    while ranks::lasting(calls, 0.99, ALPHA / 2.0).is_none() {
        calls *= 2;
    }
    calls
}

/// More of what the row rests on, calls or buckets, that would settle it.
fn more(row: &Row, so_far: u64, margin: f64) -> Option<u64> {
    let (low, high) = row.interval?;
    let half = (high / low).ln() / 2.0;
    let so_far = usize::try_from(so_far).ok()?;
    needed::quartets(row.ratio.ln(), half, so_far, margin).map(|more| more.max(1))
}
