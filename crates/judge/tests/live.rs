//! A live pair: what its counters say, what they do not say yet, and how long the rest takes.

use tandem_judge::live::{Cpu, Judged, Lane, Seen, judge};
use tandem_judge::noise::{Class, PathEvidence, Settings, Source};
use tandem_judge::stats::counts::Counts;
use tandem_judge::stats::draws::Draws;
use tandem_judge::verdict::{Cell, Word};

fn path(name: &str, class: Class, candidate_only: u64, calls: u64) -> PathEvidence {
    PathEvidence {
        path: name.into(),
        class,
        candidate_only,
        twin_only: u64::from(class == Class::NoisyEqual) * calls / 2,
        both: 0,
        calls,
        e_value: 1.0,
        bound: 0.001,
        critical: 0,
    }
}

/// Log-normal times around `median_us`.
fn times(median_us: f64, calls: u64, seed: u64) -> Counts {
    let mut draws = Draws::new(seed);
    Counts::of((0..calls).map(|_| (median_us * (0.5 * draws.normal()).exp()) as u64))
}

struct Case {
    paths: Vec<PathEvidence>,
    pairs: u64,
    candidate_us: f64,
    twin: bool,
    source: Source,
    logs: Option<Vec<f64>>,
}

impl Case {
    fn new(pairs: u64, candidate_us: f64) -> Case {
        let class = if pairs >= 3_927 { Class::Identical } else { Class::Unknown };
        let paths = vec![path("<code>", class, 0, pairs), path("price", class, 0, pairs)];
        Case { paths, pairs, candidate_us, twin: true, source: Source::Twin, logs: None }
    }

    fn judged(&self) -> Judged {
        let (primary, twin) = (times(900.0, self.pairs, 1), times(1_000.0, self.pairs, 2));
        let candidate = times(self.candidate_us, self.pairs, 3);
        let lane = |name, latency_us| Lane { name, calls: self.pairs, errors: 0, latency_us };
        let cpu = self.logs.as_ref().map(|logs| Cpu {
            per_call_s: (Some(118e-6), Some(61e-6)),
            calls: (self.pairs, self.pairs),
            logs,
        });
        judge(&Seen {
            source: self.source,
            settings: Settings::default(),
            paths: &self.paths,
            rows: 10,
            critical: 0,
            pairs: self.pairs,
            pairs_per_s: Some(200.0),
            primary: lane("go", &primary),
            candidate: lane("rust", &candidate),
            twin: self.twin.then(|| lane("go-2", &twin)),
            cpu,
        })
    }
}

#[test]
fn experience_ux_6_a_verdict_says_its_evidence_before_anything_else() {
    for (pairs, expected) in [(0, "0 of about 3,900 pairs"), (240, "240 of about 3,900 pairs")] {
        let case = Case { twin: false, ..Case::new(pairs, 1_000.0) };
        assert_eq!(case.judged().evidence, expected);
    }
    let judged = Case { twin: false, ..Case::new(240, 1_000.0) }.judged();
    assert_eq!(judged.verdict.word, Word::NotEnoughEvidence);
    let answers = &judged.open[0];
    assert_eq!((&*answers.id, answers.pairs), ("answers", Some(3_687)));
    // At 200 a second.
    assert_eq!(answers.seconds.map(f64::round), Some(18.0));
}

#[test]
fn a_side_that_is_slower_by_more_than_the_margin_is_found_and_an_equal_one_is_not() {
    for (candidate_us, expected) in
        [(1_500.0, Cell::Worse), (600.0, Cell::Better), (1_000.0, Cell::Same)]
    {
        let judged = Case::new(200_000, candidate_us).judged();
        let p99 = judged.measured.iter().find(|one| one.row.id == "p99").unwrap();
        assert_eq!(p99.row.cell, expected, "{candidate_us}: {p99:?}");
        // Held against the twin: the primary, asked earlier, is quicker here.
        assert_eq!(p99.against, "go-2");
        assert!((p99.row.ratio * 1_000.0 / candidate_us - 1.0).abs() < 0.1, "{p99:?}");
    }
    let early = Case::new(3_000, 1_000.0).judged();
    let p99 = early.open.iter().find(|one| one.id == "p99").unwrap();
    assert!(p99.pairs.is_some_and(|pairs| (5_000..1_000_000).contains(&pairs)), "{p99:?}");
}

#[test]
fn cpu_has_no_interval_before_twenty_buckets_and_says_how_long_they_take() {
    let logs = |count: usize| {
        let mut draws = Draws::new(5);
        Some((0..count).map(|_| 0.52_f64.ln() + 0.05 * draws.normal()).collect())
    };
    let early = Case { logs: logs(19), ..Case::new(4_000, 1_000.0) }.judged();
    let row = |judged: &Judged| judged.measured.iter().find(|one| one.row.id == "cpu").cloned();
    let found = row(&early).unwrap();
    assert_eq!((found.row.cell, found.row.interval), (Cell::Unknown, None));
    let open = early.open.iter().find(|one| one.id == "cpu").unwrap();
    assert_eq!(open.seconds, Some(30.0));
    let later = Case { logs: logs(20), ..Case::new(4_000, 1_000.0) }.judged();
    assert_eq!(row(&later).unwrap().row.cell, Cell::Better);
    assert!(later.known.iter().any(|text| text.starts_with("CPU per request: rust better, 0.5")));
}

#[test]
fn compare_v_2_answers_that_differ_come_before_any_figure() {
    let mut case = Case::new(200_000, 600.0);
    case.paths.push(path("stock", Class::Worse, 40, 200_000));
    let judged = case.judged();
    assert_eq!(judged.verdict.word, Word::AnswersDiffer);
    assert_eq!(judged.known[0], "answers differ in stock");
    assert_eq!(
        judged.sentence,
        "The answers of go and rust differ: stock. Verdict: answers-differ."
    );
}

#[test]
fn compare_n_9_without_a_twin_the_verdict_is_capped() {
    let mut case = Case { twin: false, source: Source::Rules, ..Case::new(5_000, 600.0) };
    let judged = case.judged();
    assert_eq!(judged.verdict.word, Word::NotEnoughEvidence);
    assert!(judged.sentence.contains("No difference found under these rules"), "{judged:?}");
    assert!(judged.open.iter().any(|one| one.what.contains("needs a twin")), "{judged:?}");
    // A difference is no longer none, and can be told from noise by nobody.
    case.paths.push(path("etag", Class::Unknown, 3, 5_000));
    let judged = case.judged();
    assert!(!judged.sentence.contains("No difference found"), "{judged:?}");
    assert!(judged.open[0].what.contains("by rules alone etag never will"), "{judged:?}");
}

#[test]
fn noise_is_named() {
    let mut case = Case::new(5_000, 1_000.0);
    case.paths.push(path("create_time", Class::NoisyEqual, 2_400, 5_000));
    case.paths.push(path("update_time", Class::NoisyEqual, 2_400, 5_000));
    let judged = case.judged();
    assert_eq!(
        judged.known[0],
        "no difference of the answers; 2 fields are noise (create_time, update_time)"
    );
}
