//! What the plots and files of a report are drawn from: times, curves, blocks, quartets.
//!
//! Not here: rows and verdict (`document`), drawing (`tandem_judge::report`).

use std::time::Duration;

use tandem_judge::cost::{self, Quartet};
use tandem_judge::report;
use tandem_judge::stats::counts::Counts;
use tandem_judge::stats::ranks::{self, Quantile, Shown};
use tandem_measure::histogram::{Histogram, IntervalLog, encoded_base64};
use tandem_measure::load::Recorded;

use super::ask::METRICS;
use super::evidence::Evidence;
use super::quartets::role;

/// Times of both sides at the rate that the verdict is about.
pub(crate) fn histograms(evidence: &Evidence) -> Vec<report::Histogram> {
    let Some((_, series)) = evidence.judged() else { return Vec::new() };
    let mut all = Vec::new();
    let sides = [cost::Side::Primary, cost::Side::Candidate];
    for (side, recorded) in sides.into_iter().zip(&series.recorded) {
        for (name, status, kind, counts) in times(evidence, recorded) {
            all.push(report::Histogram {
                role: role(side).to_owned(),
                method: name.clone(),
                status: status.to_owned(),
                kind: kind.to_owned(),
                hdr_v2_base64: encoded_base64(&Histogram::of(&counts)),
            });
        }
    }
    all
}

/// By method and end: the three times, those without calls left out.
fn times<'r>(
    evidence: &'r Evidence,
    recorded: &'r Recorded,
) -> impl Iterator<Item = (&'r String, &'static str, &'static str, Counts)> {
    let names = evidence.answers.names();
    recorded.methods.iter().zip(names).flat_map(|(method, name)| {
        [("ok", &method.ok), ("failed", &method.failed), ("timed-out", &method.timed_out)]
            .into_iter()
            .flat_map(move |(status, times)| {
                [("intended", &times.latency), ("service", &times.service), ("lag", &times.lag)]
                    .map(|(kind, counts)| (name, status, kind, counts.clone()))
            })
            .filter(|(.., counts)| counts.total() > 0)
    })
}

/// The series that the verdict and the noise floor rest on, so that both can be computed again.
pub(crate) fn series(evidence: &Evidence) -> Vec<(String, Vec<u8>)> {
    let judged = evidence.judged().map(|(_, series)| ("series.csv", series));
    let all = judged.into_iter().chain([("series-aa.csv", &evidence.aa)]);
    all.filter(|(_, series)| !series.quartets.is_empty())
        .map(|(name, series)| (name.to_owned(), cost::series_to_text(&series.quartets).into()))
        .collect()
}

/// By side: the times at the rate that the verdict is about, as HdrHistogram's interval logs.
pub(crate) fn interval_logs(evidence: &Evidence) -> Vec<(String, Vec<u8>)> {
    let Some((_, series)) = evidence.judged() else { return Vec::new() };
    let start = Duration::from_secs(evidence.started_s());
    let from = series.blocks.first().map_or(0.0, |block| block.start_s);
    let to = series.blocks.last().map_or(from, |block| block.start_s + block.seconds);
    let (at, length) = (Duration::from_secs_f64(from), Duration::from_secs_f64(to - from));
    let sides = [cost::Side::Primary, cost::Side::Candidate];
    let log = |side, recorded| {
        let mut log = IntervalLog::new(start);
        for (name, status, kind, counts) in times(evidence, recorded) {
            log.add(&format!("{name}.{status}.{kind}"), at, length, &Histogram::of(&counts));
        }
        (format!("{}.hlog", role(side)), log.text().as_bytes().to_vec())
    };
    sides.into_iter().zip(&series.recorded).map(|(side, recorded)| log(side, recorded)).collect()
}

/// Percentiles of the curve in the report.
const CURVE: [f64; 10] = [0.01, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9999];

pub(crate) fn plots(evidence: &Evidence) -> report::Series {
    let mut plots = report::Series::default();
    for (rate, series) in &evidence.series {
        plots.blocks.extend(series.blocks.iter().cloned());
        for (side, recorded) in
            [cost::Side::Primary, cost::Side::Candidate].into_iter().zip(&series.recorded)
        {
            let Some(p99) = recorded.latency_us().quantile(0.99) else { continue };
            let blocks = series.quartets.iter().filter(|quartet| quartet.is_valid());
            let blocks: Vec<_> =
                blocks.flat_map(|it| &it.blocks).filter(|it| it.side == side).collect();
            let cpu: Option<f64> = blocks.iter().map(|block| block.cpu_s).sum();
            let seconds: f64 = blocks.iter().map(|block| block.seconds).sum();
            plots.load.push(report::LoadPoint {
                role: role(side).to_owned(),
                rate: *rate,
                p99_s: p99 as f64 / 1e6,
                cpu_cores: cpu.filter(|_| seconds > 0.0).map(|cpu| cpu / seconds),
            });
        }
    }
    if let Some((_, series)) = evidence.judged() {
        for (side, recorded) in
            [cost::Side::Primary, cost::Side::Candidate].into_iter().zip(&series.recorded)
        {
            plots.curves.extend(curve(side, &recorded.latency_us()));
        }
        for metric in METRICS.into_iter().filter(|metric| metric.part().is_none()) {
            let logs = |quartets: &[Quartet]| cost::logs_by_quartet(quartets, metric);
            if let Some(found) = logs(&series.quartets).filter(|logs| !logs.is_empty()) {
                plots.quartets.insert(metric.id().to_owned(), found);
            }
            if let Some(found) = logs(&evidence.aa.quartets).filter(|logs| !logs.is_empty()) {
                plots.aa_quartets.insert(metric.id().to_owned(), found);
            }
        }
    }
    plots
}

fn curve(side: cost::Side, counts: &Counts) -> Option<report::Curve> {
    let point = |(part, found): (f64, Quantile)| {
        let (low, high) = found.interval.filter(|_| found.shown != Shown::No)?;
        let seconds = |us: u64| us as f64 / 1e6;
        let (value_s, low_s, high_s) = (seconds(found.value), seconds(low), seconds(high));
        Some(report::CurvePoint { part, value_s, low_s, high_s })
    };
    let band = ranks::band(counts, &CURVE, 0.05);
    let points: Vec<_> = band.into_iter().filter_map(point).collect();
    (!points.is_empty()).then(|| report::Curve {
        role: role(side).to_owned(),
        n: counts.total(),
        points,
    })
}
