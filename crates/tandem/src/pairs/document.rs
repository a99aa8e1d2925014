//! A live pair as a document of the schema `tandem.compare/v1`.
//!
//! What a measured comparison has and a live one has not (blocks, a run against itself, a generator)
//! is empty there. The run is always marked as partial: it has no plan that could end.

use std::collections::BTreeMap;

use tandem_judge::live::Measured;
use tandem_judge::report::{
    Answers, Document, Metric, MetricSide, PathLine, Run, SCHEMA_NAME, Series, Side, Validity,
    VerdictLine,
};
use tandem_judge::stats::ranks::Shown;
use tandem_judge::verdict::Cell;

use super::{Pair, since, source};

/// The document of a pair; samples only where whoever asks may read them.
pub(crate) fn document(pair: &Pair, with_samples: bool) -> Document {
    let Pair { pairs, judged, costs: _, seconds, per_second } = pair;
    let side = |role: &str, name: &str| Side {
        role: role.to_owned(),
        name: name.to_owned(),
        ..Side::default()
    };
    let paths = pairs.paths.iter().map(|evidence| {
        let samples: Vec<_> = match with_samples {
            true => pair.samples_of(&evidence.path).cloned().collect(),
            false => Vec::new(),
        };
        let proposed = pair.proposed(&evidence.path);
        let proposed_rule = proposed.map(|proposal| proposal.line(&evidence.path));
        PathLine { proposed_rule, ..PathLine::new(evidence, &samples) }
    });
    let dropped = pairs.dropped.iter().map(|(why, count)| (why.label().to_owned(), *count));
    let started = since(pairs.since);
    Document {
        schema: SCHEMA_NAME.to_owned(),
        run: Run {
            id: format!("live {} {} {started}", pairs.namespace, pairs.method),
            seed: pairs.seed.to_string(),
            started,
            seconds: *seconds,
            partial: true,
            method: pairs.method.clone(),
            ..Run::default()
        },
        sides: [side("primary", &pairs.primary), side("candidate", &pairs.candidate)],
        aa: BTreeMap::new(),
        validity: Validity::default(),
        answers: Answers {
            calls: pairs.calls,
            critical: pairs.critical,
            noise: source(pairs.source).to_owned(),
            sampled_after_cache: pairs.sampled_after_cache,
            abandoned: dropped.collect(),
            cut: None, // not counted
            paths: paths.collect(),
        },
        metrics: judged
            .measured
            .iter()
            .map(|measured| metric(pair, measured, *per_second))
            .collect(),
        capacity: None,
        slopes: None,
        pauses: None,
        memory: None,
        histograms: Vec::new(),
        rubric: Vec::new(),
        cost: None,
        must: Vec::new(),
        verdict: VerdictLine::new(&judged.verdict, judged.sentence.clone()),
        ledger: Vec::new(),
        series: Series::default(),
    }
}

fn metric(pair: &Pair, measured: &Measured, rate: Option<f64>) -> Metric {
    let Measured { row, unit, primary, candidate, margin, floor, against } = measured;
    let side = |absolute: &tandem_judge::cost::Absolute| MetricSide {
        value: absolute.value,
        interval: absolute.interval,
        n: absolute.calls,
        dimmed: absolute.shown != Shown::Yes,
    };
    let open = pair.judged.open.iter().find(|open| open.id == row.id);
    let lacks = match (row.cell, open) {
        (Cell::Unknown, Some(open)) if open.pairs.is_some() => Some("pairs"),
        (Cell::Unknown, Some(open)) if open.seconds.is_some() => Some("time"),
        (Cell::Unknown, _) => Some("below_floor"),
        (Cell::Better | Cell::Same | Cell::Worse, _) => None,
    };
    Metric {
        id: row.id.clone(),
        unit: (*unit).to_owned(),
        rate,
        primary: side(primary),
        candidate: side(candidate),
        ratio: row.ratio,
        interval: row.interval,
        p: None,
        p_holm: row.p_holm,
        margin: *margin,
        floor: *floor,
        cell: row.cell,
        headline: row.headline,
        counts: row.counts,
        needed_quartets: None,
        lacks: lacks.map(str::to_owned),
        needed_pairs: open.and_then(|open| open.pairs),
        against: (*against != pair.pairs.primary).then(|| against.clone()),
    }
}
