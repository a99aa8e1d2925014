//! `result.json`, schema `tandem.compare/v1`. Fields are only ever added.
//!
//! Times are seconds, sizes bytes, parts fractions of one. What is not known is `null`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::cost::Measurement;
use crate::noise::{Class, PathEvidence, Sample};
use crate::stats::ranks::Shown;
use crate::verdict::{Cell, MustResult, Row, Settling, Value, Verdict, Word};

/// The name of the schema, which is also its version.
pub const SCHEMA_NAME: &str = "tandem.compare/v1";
/// The JSON Schema of the document.
pub const SCHEMA: &str = include_str!("schema.json");

/// One comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    pub schema: String,
    pub run: Run,
    /// The primary, then the candidate.
    pub sides: [Side; 2],
    /// By metric: what two processes of one build differ in.
    pub aa: BTreeMap<String, Aa>,
    pub validity: Validity,
    pub answers: Answers,
    pub metrics: Vec<Metric>,
    pub capacity: Option<Capacity>,
    pub slopes: Option<Slopes>,
    pub pauses: Option<Sides<PausesSide>>,
    pub memory: Option<Memory>,
    pub histograms: Vec<Histogram>,
    pub rubric: Vec<Rubric>,
    pub cost: Option<Cost>,
    pub must: Vec<Must>,
    pub verdict: VerdictLine,
    pub ledger: Vec<Ledger>,
    /// What the plots are drawn from.
    #[serde(default)]
    pub series: Series,
}

/// One value for each side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Sides<T> {
    pub primary: T,
    pub candidate: T,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    pub id: String,
    /// As text: JSON numbers do not hold every seed.
    pub seed: String,
    /// RFC 3339.
    pub started: String,
    pub seconds: f64,
    pub budget_s: Option<f64>,
    /// Ended before its plan did.
    pub partial: bool,
    pub method: String,
    pub argv: Vec<String>,
    pub block_s: f64,
    pub machine: Machine,
    pub generator: Generator,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Data>,
    /// What could not be done as it was asked, and what a reader must not conclude.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What was sent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Data {
    /// `schema`, `plan` or `corpus`.
    pub source: String,
    /// How many calls there are, sent in turn; longer runs begin again with the first.
    pub calls: u64,
    /// `poisson`, `uniform` or `trace`.
    pub arrivals: String,
    /// Calls a second, on average, when they were recorded; of `trace`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded_rate: Option<f64>,
    /// Calls of corpus.binlog in which something was redacted; where it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redacted: Option<u64>,
    /// Calls that are not in corpus.binlog, for its size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<u64>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    pub cpu: String,
    pub cores: u32,
    pub kernel: String,
    pub virtualisation: Option<String>,
    pub cgroup: Option<String>,
    pub sources: Sources,
}

/// Which reading of the ladder was used.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sources {
    pub cpu: String,
    pub memory: String,
    pub context_switches: String,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Generator {
    /// Calls a second that it sends at most, against a service that does nothing.
    pub rate_most: Option<f64>,
    pub lag_p99_s: Option<f64>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// `primary` or `candidate`.
    pub role: String,
    pub name: String,
    pub version: String,
    pub target: String,
    pub build: Build,
    pub runtime: Runtime,
}

impl Side {
    /// `rust 1.4.0`.
    pub fn title(&self) -> String {
        format!("{} {}", self.name, self.version).trim().to_owned()
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Build {
    pub toolchain: String,
    pub flags: String,
    pub profile: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Runtime {
    /// Threads that run the service's code: workers, GOMAXPROCS.
    pub parallelism: Option<u32>,
    pub gogc: Option<String>,
    pub allocator: Option<String>,
    /// Collections in measured blocks, where there is a collector.
    pub gc_cycles: Option<u64>,
    /// `go` has a collector, `tokio` has none; unknown where nobody was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Below so much all threads stood still in 99 of 100 stops for a collection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gc_stop_p99_s: Option<f64>,
    /// CPU of the collector over that of the service's own code, both as the runtime estimates
    /// them; never to be held against a clock of the kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gc_share_of_user: Option<f64>,
    /// Polls of the tasks that carry calls, and those that took `polls_long_from_s` or longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub polls: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub polls_long: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub polls_long_from_s: Option<f64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Aa {
    /// Of the logs of the quartets' ratios.
    pub rms: f64,
    /// |log ratio| that is not told from noise.
    pub floor: f64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Validity {
    pub blocks: u64,
    pub void_blocks: u64,
    pub steal: f64,
    pub unattributed_cpu: f64,
    /// Part of the calls whose times were set aside, for the generator stood still when they were
    /// to be sent or when they ended.
    #[serde(default)]
    pub set_aside: f64,
    /// Why the whole cannot be believed; empty if it can.
    pub reasons: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Answers {
    pub calls: u64,
    pub critical: u64,
    /// `twin`, `twice` or `rules`.
    pub noise: String,
    pub sampled_after_cache: bool,
    pub abandoned: BTreeMap<String, u64>,
    /// Pairs of streams of which only the shorter prefix was compared, for one was cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<u64>,
    pub paths: Vec<PathLine>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PathLine {
    pub path: String,
    pub class: Class,
    pub candidate_only: u64,
    pub twin_only: u64,
    pub both: u64,
    pub e_value: f64,
    pub bound: f64,
    pub critical: u64,
    pub proposed_rule: Option<String>,
    pub samples: Vec<PathSample>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PathSample {
    pub place: String,
    pub primary: Option<String>,
    pub candidate: Option<String>,
}

impl PathLine {
    /// From the evidence about a path and its samples.
    pub fn new(evidence: &PathEvidence, samples: &[Sample]) -> PathLine {
        let PathEvidence {
            path,
            class,
            candidate_only,
            twin_only,
            both,
            e_value,
            bound,
            critical,
            calls: _,
        } = evidence.clone();
        let sample = |sample: &Sample| PathSample {
            place: sample.place.clone(),
            primary: sample.primary.clone(),
            candidate: sample.other.clone(),
        };
        PathLine {
            path,
            class,
            candidate_only,
            twin_only,
            both,
            // JSON has no infinity.
            e_value: e_value.min(f64::MAX),
            bound,
            critical,
            proposed_rule: None,
            samples: samples.iter().map(sample).collect(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    pub id: String,
    /// `s`, `B`, `1/s` or `1`.
    pub unit: String,
    /// Calls a second.
    pub rate: Option<f64>,
    pub primary: MetricSide,
    pub candidate: MetricSide,
    /// candidate/primary.
    pub ratio: f64,
    pub interval: Option<(f64, f64)>,
    pub p: Option<f64>,
    pub p_holm: Option<f64>,
    pub margin: f64,
    pub floor: f64,
    pub cell: Cell,
    pub headline: bool,
    pub counts: bool,
    pub needed_quartets: Option<u64>,
    /// What else an unknown row lacks: `below_floor`, `no_interval`, `pairs`, `time`, `builds`; of
    /// capacity `overlap`, `no_end`.
    pub lacks: Option<String>,
    /// Of a live pair: calls still to be mirrored until the row is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needed_pairs: Option<u64>,
    /// Whose value stands on the primary's side, where it is not its own: its twin's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct MetricSide {
    pub value: f64,
    pub interval: Option<(f64, f64)>,
    /// Calls.
    pub n: u64,
    /// Fewer than a hundred calls beyond a percentile.
    #[serde(default)]
    pub dimmed: bool,
}

impl Metric {
    /// From a measurement and its judged row; times of `measured` are scaled by `scale` to the
    /// document's units.
    pub fn new(
        measured: &Measurement,
        row: &Row,
        unit: &str,
        scale: f64,
        margin: f64,
        floor: f64,
        rate: Option<f64>,
    ) -> Metric {
        let side = |absolute: &crate::cost::Absolute| MetricSide {
            value: absolute.value * scale,
            interval: absolute.interval.map(|(low, high)| (low * scale, high * scale)),
            n: absolute.calls,
            dimmed: absolute.shown != Shown::Yes,
        };
        let (needed_quartets, lacks) = match row.settling {
            Some(Settling::Quartets(count)) => (Some(count), None),
            Some(Settling::BelowFloor) => (None, Some("below_floor".to_owned())),
            Some(Settling::NoInterval) => (None, Some("no_interval".to_owned())),
            None => (None, None),
        };
        Metric {
            id: row.id.clone(),
            unit: unit.to_owned(),
            rate,
            primary: side(&measured.primary),
            candidate: side(&measured.candidate),
            ratio: row.ratio,
            interval: row.interval,
            p: measured.p,
            p_holm: row.p_holm,
            margin,
            floor,
            cell: row.cell,
            headline: row.headline,
            counts: row.counts,
            needed_quartets,
            lacks,
            needed_pairs: None,
            against: None,
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Capacity {
    /// As written: `p99≤20ms`.
    pub slo: String,
    /// The threshold in seconds, for the plot.
    pub threshold_s: Option<f64>,
    pub primary: CapacitySide,
    pub candidate: CapacitySide,
    pub probes: Vec<CapacityProbe>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct CapacitySide {
    pub lo: f64,
    pub hi: Option<f64>,
    pub cpu_cores: Option<f64>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CapacityProbe {
    pub role: String,
    pub rate: f64,
    pub passed: bool,
    pub void: bool,
    pub p99_s: Option<f64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct SideSlope {
    /// Cores.
    pub idle: f64,
    /// CPU seconds a call.
    pub marginal: f64,
    pub interval: Option<(f64, f64)>,
}

pub type Slopes = Sides<SideSlope>;
pub type Pauses = Sides<PausesSide>;

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct PausesSide {
    pub per_minute: f64,
    pub longest_s: f64,
    pub share: f64,
    pub threshold_s: f64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    pub primary: MemoryPoint,
    pub candidate: MemoryPoint,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct MemoryPoint {
    pub idle: f64,
    pub peak: f64,
    /// A minute after the last call.
    pub after_60s: f64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    pub role: String,
    pub method: String,
    pub status: String,
    /// `intended`, `service` or `lag`.
    pub kind: String,
    pub hdr_v2_base64: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Rubric {
    pub row: String,
    pub role: String,
    pub command: String,
    /// `not_run` is a value, and no zero.
    pub value: String,
    pub note: String,
    /// What the command said, cut in its middle.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    pub prices: Prices,
    /// Calls a second that it is about.
    pub rate: f64,
    pub primary: CostSide,
    pub candidate: CostSide,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Prices {
    pub cpu_hour: f64,
    pub gib_hour: f64,
    pub instance_hour: f64,
    pub headroom: f64,
    pub instances_least: u32,
}

/// Of a million calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct CostSide {
    pub packed: f64,
    pub packed_interval: Option<(f64, f64)>,
    pub provisioned: Option<f64>,
    pub instances: Option<u32>,
    /// What it was computed from, so that a page can do it again at other prices.
    pub cpu_s: f64,
    pub memory_gib: f64,
    pub capacity: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Must {
    pub expr: String,
    pub role: String,
    pub result: Value,
}

impl Must {
    pub fn new(role: &str, result: &MustResult) -> Must {
        Must { expr: result.text.clone(), role: role.to_owned(), result: result.value }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VerdictLine {
    pub word: Word,
    pub primary: Vec<String>,
    pub candidate: Vec<String>,
    pub unknown: Vec<String>,
    pub differing: Vec<String>,
    pub sentence: String,
}

impl VerdictLine {
    pub fn new(verdict: &Verdict, sentence: String) -> VerdictLine {
        let Verdict {
            word,
            primary_better,
            candidate_better,
            unknown,
            differing,
            failed: _,
            invalid: _,
        } = verdict.clone();
        VerdictLine {
            word,
            primary: primary_better,
            candidate: candidate_better,
            unknown,
            differing,
            sentence,
        }
    }
}

/// One run of the same series, so that the best of many is not shown as the only one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    pub id: String,
    pub started: String,
    pub word: String,
}

/// What the plots show.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Series {
    pub blocks: Vec<Block>,
    pub curves: Vec<Curve>,
    pub load: Vec<LoadPoint>,
    /// By metric: the log of the ratio in each quartet.
    pub quartets: BTreeMap<String, Vec<f64>>,
    /// The same of two processes of one build.
    pub aa_quartets: BTreeMap<String, Vec<f64>>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Block {
    pub role: String,
    pub restart: u32,
    pub start_s: f64,
    pub seconds: f64,
    pub rate: f64,
    pub calls: u64,
    pub cpu_s: Option<f64>,
    pub p99_s: Option<f64>,
    pub memory_bytes: Option<u64>,
    pub steal: f64,
    /// Calls whose times were set aside.
    #[serde(default)]
    pub set_aside: u64,
    pub void: Option<String>,
}

/// Latency by percentile, of one side.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    pub role: String,
    pub n: u64,
    pub points: Vec<CurvePoint>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    pub part: f64,
    pub value_s: f64,
    pub low_s: f64,
    pub high_s: f64,
}

/// One rate at which a side was measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadPoint {
    pub role: String,
    pub rate: f64,
    pub p99_s: f64,
    /// CPU cores used.
    pub cpu_cores: Option<f64>,
}
