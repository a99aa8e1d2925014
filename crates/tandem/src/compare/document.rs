//! What was gathered, as the document of a comparison: every cell, word and sentence comes from
//! `tandem_judge`; here the parts are put where they belong.
//!
//! Not here: table, file and page (`tandem_judge::report`).

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use tandem_judge::cost::{self, CostInput, Measurement, Metric, Quartet};
use tandem_judge::noise::Source;
use tandem_judge::report;
use tandem_judge::stats::counts::Counts;
use tandem_judge::stats::draws::Draws;
use tandem_judge::stats::ranks::Shown;
use tandem_judge::verdict::{self, CellInput, Fact, MustResult, Regression, Row, Verdict};

use super::ask::{Ask, Demand, METRICS, Prices};
use super::baseline;
use super::evidence::Evidence;
use super::figures::{histograms, plots};
use super::rubric;

/// A comparison as it is reported, and what its end follows from.
pub(crate) struct Judged {
    pub(crate) document: report::Document,
    pub(crate) verdict: Verdict,
    pub(crate) regressions: Vec<Regression>,
    /// A must-have that was neither kept nor broken, for lack of evidence.
    pub(crate) unproven: bool,
}

/// Draws the verdict over everything that was gathered.
pub(crate) fn judged(ask: &Ask, evidence: &Evidence) -> Judged {
    let mut draws = Draws::new(ask.seed);
    let floors = floors(evidence, &mut draws);
    let rows = Rows::of(ask, evidence, &floors, &mut draws);
    let (paths, lines) = evidence.answers.paths(evidence.started_s());
    let must = [cost::Side::Primary, cost::Side::Candidate].map(|side| {
        let facts = Facts { evidence, rows: &rows, side };
        let results =
            ask.duties.0.iter().map(|must| must.judged(&facts.named(&must.name, must.rate)));
        results.collect::<Vec<MustResult>>()
    });
    let invalid = invalid(evidence);
    let critical = evidence.answers.critical();
    let verdict = verdict::verdict(&verdict::Evidence {
        invalid: &invalid,
        answers: &paths,
        critical,
        must: (&must[0], &must[1]),
        rows: &rows.rows,
    });
    let [primary, candidate] = &evidence.sides;
    let names = (&*primary.title(), &*candidate.title());
    let rate = evidence.judged().map(|(rate, _)| *rate);
    let sentence = verdict::sentence(&verdict, &rows.rows, names, rate);
    let regressions = ask.baseline.as_deref().map_or_else(Vec::new, |before| {
        let before: Vec<Row> = before.metrics.iter().map(row_of).collect();
        verdict::regressions(&before, &rows.rows, |id| {
            (ask.demand.margin(id), smaller_is_better(id))
        })
    });
    let unproven = must
        .iter()
        .flatten()
        .any(|result| matches!(result.value, verdict::Value::NotProven | verdict::Value::NotRun));
    let lags = || evidence.all().flat_map(|series| &series.lags_us);
    let mut generator = evidence.generator;
    generator.lag_p99_s = Counts::of(lags().copied()).quantile(0.99).map(|us| us as f64 / 1e6);
    let answers = report::Answers {
        calls: evidence.answers.calls(),
        critical,
        noise: match evidence.answers.source() {
            Source::Twin => "twin",
            Source::Twice => "twice",
            Source::Rules => "rules",
        }
        .to_owned(),
        sampled_after_cache: false,
        abandoned: evidence.answers.lost(),
        cut: Some(evidence.answers.cut()),
        paths: lines,
    };
    let musts = [("primary", &must[0]), ("candidate", &must[1])];
    let document = report::Document {
        schema: report::SCHEMA_NAME.to_owned(),
        run: run(ask, evidence, generator),
        sides: evidence.sides.clone(),
        aa: floors,
        validity: validity(evidence, invalid),
        answers,
        metrics: rows.metrics,
        capacity: evidence.capacity.clone(),
        slopes: slopes(evidence, &mut draws),
        pauses: evidence.pauses,
        memory: evidence.memory,
        histograms: histograms(evidence),
        rubric: evidence.rubric.clone(),
        cost: ask.prices.and_then(|prices| money(prices, evidence)),
        must: musts
            .into_iter()
            .flat_map(|(role, all)| all.iter().map(move |result| report::Must::new(role, result)))
            .collect(),
        verdict: report::VerdictLine::new(&verdict, sentence),
        ledger: Vec::new(),
        series: plots(evidence),
    };
    let mut document = document;
    if let Some(before) = ask.baseline.as_deref() {
        let mut said = baseline::unlike(before, &document);
        said.extend(regressions.iter().map(baseline::text));
        document.run.notes.extend(said);
    }
    Judged { document, verdict, regressions, unproven }
}

fn run(ask: &Ask, evidence: &Evidence, generator: report::Generator) -> report::Run {
    report::Run {
        id: evidence.id.clone(),
        seed: ask.seed.to_string(),
        started: rfc_3339(evidence.started),
        seconds: evidence.took().as_secs_f64(),
        budget_s: Some(ask.budget.as_secs_f64()),
        partial: evidence.partial,
        method: evidence.method.clone(),
        argv: super::redact::argv(std::env::args()),
        block_s: ask.block.as_secs_f64(),
        machine: evidence.machine.clone(),
        generator,
        data: Some(evidence.data.clone()),
        notes: evidence.notes.clone(),
    }
}

fn validity(evidence: &Evidence, reasons: Vec<String>) -> report::Validity {
    let steals: Vec<f64> =
        evidence.all().flat_map(|series| series.steals.iter().copied()).collect();
    let blocks = || evidence.all().flat_map(|series| &series.blocks);
    let calls = blocks().map(|block| block.calls).sum::<u64>();
    let set_aside = blocks().map(|block| block.set_aside).sum::<u64>();
    report::Validity {
        blocks: evidence.all().map(|series| series.blocks.len() as u64).sum(),
        void_blocks: evidence.all().map(|series| series.void()).sum(),
        steal: steals.iter().fold(0.0, |sum, part| sum + part) / (steals.len().max(1) as f64),
        unattributed_cpu: unattributed(evidence),
        set_aside: set_aside as f64 / calls.max(1) as f64,
        reasons,
    }
}

/// Part of the machine's CPU time that nobody answers for (compare A-7); 0 where too little was
/// used to tell.
pub(crate) fn unattributed(evidence: &Evidence) -> f64 {
    const BUSY_LEAST_S: f64 = 0.5;
    let sum = |part: fn(&(Duration, Duration)) -> Duration| {
        evidence.all().map(|series| part(&series.busy).as_secs_f64()).sum::<f64>()
    };
    let (busy, answered) = (sum(|busy| busy.0), sum(|busy| busy.1));
    if busy < BUSY_LEAST_S { 0.0 } else { ((busy - answered) / busy).max(0.0) }
}

/// Why the measurement cannot be believed.
fn invalid(evidence: &Evidence) -> Vec<String> {
    let Some((_, series)) = evidence.judged() else { return Vec::new() };
    let (void, all) = (series.void(), series.blocks.len() as u64);
    let mut reasons = cost::unbelievable(&series.quartets);
    // Sent again until they count, they would be a choice of moments as well.
    if reasons.is_empty() && void * 2 > all {
        reasons.push(format!("{void} of {all} blocks are void"));
    }
    reasons
}

/// The noise floor of every metric that two processes of one build show.
fn floors(evidence: &Evidence, draws: &mut Draws) -> BTreeMap<String, report::Aa> {
    let floor = |metric: Metric, draws: &mut Draws| {
        let floor = cost::floor(&evidence.aa.quartets, metric, draws)?;
        Some((metric.id().to_owned(), report::Aa { rms: floor.rms, floor: floor.log }))
    };
    METRICS.into_iter().filter_map(|metric| floor(metric, draws)).collect()
}

fn smaller_is_better(id: &str) -> bool {
    let known = METRICS.iter().find(|metric| metric.id() == id);
    // Builds are times as well.
    known.map_or(id != "capacity", |metric| metric.smaller_is_better())
}

/// A row of an older document.
fn row_of(metric: &report::Metric) -> Row {
    Row {
        id: metric.id.clone(),
        ratio: metric.ratio,
        interval: metric.interval,
        cell: metric.cell,
        counts: metric.counts,
        headline: metric.headline,
        p_holm: metric.p_holm,
        settling: None,
    }
}

/// All rows of the table, judged.
struct Rows {
    metrics: Vec<report::Metric>,
    /// Those of the rate that the verdict is about, and capacity.
    rows: Vec<Row>,
    measured: Vec<Measurement>,
}

impl Rows {
    fn of(
        ask: &Ask,
        evidence: &Evidence,
        floors: &BTreeMap<String, report::Aa>,
        draws: &mut Draws,
    ) -> Rows {
        let last = evidence.series.len().saturating_sub(1);
        let mut found: Vec<(usize, f64, Measurement)> = Vec::new();
        for (place, (rate, series)) in evidence.series.iter().enumerate() {
            // At one rate the idle part has to be taken out; at several the slope does that.
            let settled = match last {
                0 => cost::without_idle(&series.quartets),
                _ => series.quartets.clone(),
            };
            for metric in METRICS {
                let measured = cost::measure(&settled, metric, draws);
                // Too few calls beyond a percentile to print it (compare I-10).
                let is_shown = |found: &Measurement| {
                    found.primary.shown != Shown::No && found.candidate.shown != Shown::No
                };
                found.extend(measured.filter(is_shown).map(|it| (place, *rate, it)));
            }
        }
        let mut inputs: Vec<CellInput> = found
            .iter()
            .map(|(place, _, measured)| {
                let id = measured.metric.id();
                CellInput {
                    id: id.to_owned(),
                    ratio: measured.ratio,
                    interval: measured.interval,
                    p: measured.p,
                    quartets: measured.quartets,
                    smaller_is_better: measured.metric.smaller_is_better(),
                    margin: ask.demand.margin(id),
                    floor: floors.get(id).map_or(0.0, |aa| aa.floor),
                    headline: *place == last && Demand::is_headline(id),
                    counts: *place == last && ask.demand.counts(id),
                }
            })
            .collect();
        let capacity = evidence.capacity.as_ref().and_then(|found| capacity_input(ask, found));
        inputs.extend(capacity.iter().cloned());
        let first_of_builds = inputs.len();
        inputs.extend(rubric::inputs(&ask.demand, &evidence.builds));
        let judged = verdict::cells(&inputs);
        let mut metrics: Vec<report::Metric> = found
            .iter()
            .zip(&judged)
            .zip(&inputs)
            .map(|(((_, rate, measured), row), input)| {
                let (unit, scale) = unit(measured.metric);
                let (margin, floor) = (input.margin, input.floor);
                report::Metric::new(measured, row, unit, scale, margin, floor, Some(*rate))
            })
            .collect();
        let of_capacity =
            capacity.as_ref().zip(evidence.capacity.as_ref()).zip(judged.get(found.len()));
        metrics.extend(of_capacity.map(|((input, found), row)| capacity_metric(found, input, row)));
        let of_builds = inputs.iter().zip(&judged).skip(first_of_builds);
        metrics.extend(of_builds.map(|(input, row)| rubric::metric(&evidence.builds, input, row)));
        let is_judged = |place: usize| found.get(place).is_none_or(|(series, ..)| *series == last);
        let rows =
            judged.into_iter().enumerate().filter(|(place, _)| is_judged(*place)).map(|it| it.1);
        let measured =
            found.iter().filter(|(place, ..)| *place == last).map(|(.., measured)| *measured);
        Rows { metrics, rows: rows.collect(), measured: measured.collect() }
    }
}

/// As the document has it: seconds, bytes, calls a second.
fn unit(metric: Metric) -> (&'static str, f64) {
    match metric {
        Metric::Cpu => ("s", 1.0),
        Metric::Mean | Metric::P50 | Metric::P99 | Metric::P999 => ("s", 1e-6),
        Metric::PeakMemory => ("B", 1.0),
        Metric::Throughput => ("1/s", 1.0),
        Metric::Allocations => ("1", 1.0),
    }
}

/// Capacity has an interval on each side; that of the ratio lies between the outer ends.
fn capacity_input(ask: &Ask, found: &report::Capacity) -> Option<CellInput> {
    let report::Capacity { primary, candidate, .. } = found;
    if primary.lo <= 0.0 || candidate.lo <= 0.0 {
        return None;
    }
    let interval = primary.hi.zip(candidate.hi).map(|(primary_high, candidate_high)| {
        (candidate.lo / primary_high, candidate_high / primary.lo)
    });
    Some(CellInput {
        id: "capacity".to_owned(),
        ratio: candidate.lo / primary.lo,
        interval,
        p: None,
        quartets: 0,
        smaller_is_better: false,
        margin: ask.demand.margin("capacity"),
        floor: 0.0,
        headline: true,
        counts: ask.demand.counts("capacity"),
    })
}

fn capacity_metric(found: &report::Capacity, input: &CellInput, row: &Row) -> report::Metric {
    let side = |side: &report::CapacitySide| report::MetricSide {
        value: side.lo,
        interval: side.hi.map(|high| (side.lo, high)),
        n: 0,
        dimmed: false,
    };
    report::Metric {
        id: row.id.clone(),
        unit: "1/s".to_owned(),
        rate: None,
        primary: side(&found.primary),
        candidate: side(&found.candidate),
        ratio: row.ratio,
        interval: row.interval,
        p: None,
        p_holm: row.p_holm,
        margin: input.margin,
        floor: input.floor,
        cell: row.cell,
        headline: row.headline,
        counts: row.counts,
        needed_quartets: None,
        needed_pairs: None,
        against: None,
        lacks: (row.cell == verdict::Cell::Unknown)
            .then(|| if row.interval.is_some() { "overlap" } else { "no_end" }.to_owned()),
    }
}

/// What is known of one side, by the names that must-haves use.
struct Facts<'e> {
    evidence: &'e Evidence,
    rows: &'e Rows,
    side: cost::Side,
}

impl Facts<'_> {
    fn named(&self, name: &str, rate: Option<f64>) -> Fact {
        let at = self.evidence.judged().map(|(rate, _)| *rate);
        if rate.is_some_and(|rate| at.is_none_or(|at| (at - rate).abs() > 1e-9)) {
            return Fact::NotRun; // of another rate nothing is known
        }
        match name {
            "mismatch(critical)" => Fact::Exact(self.evidence.answers.critical() as f64),
            "mismatch(any)" => {
                let (paths, _) = self.evidence.answers.paths(0);
                Fact::Exact(paths.iter().filter(|path| path.class.is_worse()).count() as f64)
            }
            "errors" => self.errors(),
            "capacity" => self.capacity(),
            name => self.of_rubric(name).unwrap_or_else(|| self.measured(name)),
        }
    }

    fn of_rubric(&self, name: &str) -> Option<Fact> {
        let role = super::quartets::role(self.side);
        self.evidence.facts.get(role)?.get(name).cloned()
    }

    fn measured(&self, name: &str) -> Fact {
        let found = self.rows.measured.iter().find(|found| found.metric.id() == name);
        let Some(found) = found else { return Fact::NotRun };
        let absolute = match self.side {
            cost::Side::Primary => found.primary,
            cost::Side::Candidate => found.candidate,
        };
        let (_, scale) = unit(found.metric);
        match absolute.interval {
            Some((low, high)) => Fact::Interval(low * scale, high * scale),
            // Of a percentile without an interval nothing is proven.
            None if found.metric.part().is_some() => Fact::Interval(0.0, f64::INFINITY),
            None => Fact::Exact(absolute.value * scale),
        }
    }

    fn errors(&self) -> Fact {
        let Some((_, series)) = self.evidence.judged() else { return Fact::NotRun };
        let recorded = &series.recorded[self.side as usize];
        let all = recorded.ok() + recorded.failed() + recorded.timed_out();
        match all {
            0 => Fact::NotRun,
            all => Fact::Exact((all - recorded.ok()) as f64 / all as f64),
        }
    }

    fn capacity(&self) -> Fact {
        let Some(found) = &self.evidence.capacity else { return Fact::NotRun };
        let side = match self.side {
            cost::Side::Primary => found.primary,
            cost::Side::Candidate => found.candidate,
        };
        Fact::Interval(side.lo, side.hi.unwrap_or(f64::INFINITY))
    }
}

fn slopes(evidence: &Evidence, draws: &mut Draws) -> Option<report::Slopes> {
    let quartets: Vec<Quartet> =
        evidence.series.iter().flat_map(|(_, series)| series.quartets.clone()).collect();
    let mut slope = |side| {
        let found = cost::slope(&quartets, side, draws)?;
        let (idle, marginal) = (found.idle, found.marginal);
        Some(report::SideSlope { idle, marginal, interval: Some(found.interval) })
    };
    let primary = slope(cost::Side::Primary)?;
    Some(report::Slopes { primary, candidate: slope(cost::Side::Candidate)? })
}

fn money(prices: Prices, evidence: &Evidence) -> Option<report::Cost> {
    let Prices(prices) = prices;
    let (rate, series) = evidence.judged()?;
    let cpu = cost::measure(&series.quartets, Metric::Cpu, &mut Draws::new(0))?;
    let memory = cost::measure(&series.quartets, Metric::PeakMemory, &mut Draws::new(0))?;
    let capacity = evidence.capacity.as_ref();
    let side = |cpu: f64, memory: f64, capacity: Option<f64>| {
        let memory_gib = memory / 1_073_741_824.0;
        let input =
            CostInput { rate: *rate, cpu_s: cpu, cpu_interval_s: None, memory_gib, capacity };
        let found = cost::cost(&prices, &input)?;
        Some(report::CostSide {
            packed: found.packed,
            packed_interval: found.packed_interval,
            provisioned: found.provisioned.map(|(amount, _)| amount),
            instances: found.provisioned.map(|(_, count)| count),
            cpu_s: cpu,
            memory_gib,
            capacity,
        })
    };
    let cost::Prices { cpu_hour, gib_hour, instance_hour, headroom, instances_least } = prices;
    let of = |side: fn(&report::Capacity) -> f64| capacity.map(side).filter(|rate| *rate > 0.0);
    Some(report::Cost {
        prices: report::Prices { cpu_hour, gib_hour, instance_hour, headroom, instances_least },
        rate: *rate,
        primary: side(cpu.primary.value, memory.primary.value, of(|it| it.primary.lo))?,
        candidate: side(cpu.candidate.value, memory.candidate.value, of(|it| it.candidate.lo))?,
    })
}

/// UTC, to the second.
///
/// Source: Hinnant, "chrono-Compatible Low-Level Date Algorithms" (2013), `civil_from_days`.
fn rfc_3339(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let (days, second) = (since / 86_400, since % 86_400);
    let days = days + 719_468;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_as_a_date() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_767_607_200, "2026-01-05T10:00:00Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
        ] {
            assert_eq!(rfc_3339(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }
}
