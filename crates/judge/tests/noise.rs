//! Noise learned from a second primary: classes, critical fields, what was sent and lost.

#![expect(clippy::print_stdout, reason = "a test says its seed and what it found")]

mod common;
mod messages;

use common::differ;
use messages::wire;
use tandem_judge::diff::{Differ, Rules};
use tandem_judge::noise::{Class, Ledger, PathEvidence, Samples, Settings, Source};
use tandem_judge::pair::{Abandoned, Answer, Loss, Reply, Trial};
use tandem_judge::stats::draws::Draws;

/// One call: three answers in bytes.
fn observe(ledger: &mut Ledger, differ: &Differ, answers: [&[u8]; 3]) {
    let [primary, candidate, twin] = answers.map(|answer| [answer]);
    let trial = Trial {
        primary: Answer::ok(&primary),
        candidate: Reply::Answered(Answer::ok(&candidate)),
        twin: Some(Reply::Answered(Answer::ok(&twin))),
    };
    ledger.observe(differ, &trial);
}

fn path(ledger: &Ledger, name: &str) -> PathEvidence {
    let found = ledger.paths().into_iter().find(|row| row.path == name);
    found.unwrap_or_else(|| panic!("no row {name}"))
}

fn accused(ledger: &Ledger) -> Vec<String> {
    let found = ledger.worse().filter_map(|row| ledger.evidence(row));
    let judged = |row: PathEvidence| {
        assert!(row.class.is_worse(), "{row:?}");
        row.path
    };
    found.map(judged).collect()
}

/// A page whose order, node and time are noise, as a service would send it.
fn noisy_page(draws: &mut Draws, call: u64, wrong: bool) -> Vec<u8> {
    let price = if wrong { 9.75 } else { 9.5 };
    let mut orders = [
        format!(r#"{{"id": "a{call}", "price": {price}, "count": 1}}"#),
        format!(r#"{{"id": "b{call}", "price": 2.5, "count": 2}}"#),
        format!(r#"{{"id": "c{call}", "price": 3.5, "count": 3}}"#),
    ];
    orders.swap(0, draws.below(3));
    let state = if draws.unit() < 0.3 { "OPEN" } else { "CLOSED" };
    wire(&format!(
        r#"{{"orders": [{}], "node": "n{}", "tookMs": "{}", "state": "{state}", "name": "x"}}"#,
        orders.join(","),
        draws.below(4),
        draws.below(50),
    ))
}

#[test]
fn one_field_wrong_in_one_of_200_answers_is_found_among_noise_and_nothing_else_is_accused() {
    const SEED: u64 = 200;
    let mut draws = Draws::new(SEED);
    let differ = differ(Rules::new().keyed("orders", "id"));
    let mut ledger = Ledger::new(&differ, Source::Twin, Settings::default());
    let mut found_after = None;
    for call in 0..6_000 {
        let wrong = draws.below(200) == 0;
        let primary = noisy_page(&mut draws, call, false);
        let candidate = noisy_page(&mut draws, call, wrong);
        let twin = noisy_page(&mut draws, call, false);
        observe(&mut ledger, &differ, [&primary, &candidate, &twin]);
        if found_after.is_none() && !accused(&ledger).is_empty() {
            found_after = Some(call);
        }
        if call % 500 == 0 && found_after.is_none() {
            assert_eq!(accused(&ledger), [""; 0]);
        }
    }
    println!("seed {SEED}: found after {found_after:?} calls");
    assert_eq!(accused(&ledger), ["orders[].price"], "seed {SEED}");
    assert_eq!(path(&ledger, "orders[].price").class, Class::Worse);
    assert_eq!(path(&ledger, "node").class, Class::Masked, "{:?}", path(&ledger, "node"));
    assert_eq!(path(&ledger, "took_ms").class, Class::Masked);
    assert_eq!(path(&ledger, "state").class, Class::NoisyEqual, "{:?}", path(&ledger, "state"));
    assert_eq!(path(&ledger, "name").class, Class::Identical);
    assert_eq!(path(&ledger, "orders[]").class, Class::Identical);
    let listed: Vec<&str> = ledger.listing().lines().map(|(path, _)| path).collect();
    assert_eq!(listed, ["node", "orders[].price", "state", "took_ms"]);
}

#[test]
fn one_field_wrong_in_one_of_200_answers_is_found_in_shuffled_lists_and_beside_unknown_fields() {
    const SEED: u64 = 201;
    let mut draws = Draws::new(SEED);
    let differ = differ(Rules::new().unordered("orders"));
    let mut ledger = Ledger::new(&differ, Source::Twin, Settings::default());
    let answer = |call: u64, wrong: bool, draws: &mut Draws| {
        let mut page = noisy_page(draws, call, wrong);
        // Field 90, which no contract here knows: always there, and of another value in one of ten.
        let value = if draws.below(10) == 0 { draws.below(100) as u8 } else { 100 };
        page.extend_from_slice(&[0xd0, 0x05, value]);
        page
    };
    for call in 0..6_000 {
        let wrong = draws.below(200) == 0;
        let primary = answer(call, false, &mut draws);
        let candidate = answer(call, wrong, &mut draws);
        let twin = answer(call, false, &mut draws);
        observe(&mut ledger, &differ, [&primary, &candidate, &twin]);
    }
    assert_eq!(accused(&ledger), ["orders[].price"], "seed {SEED}");
    let unknown = path(&ledger, "<message>");
    assert_eq!(unknown.class, Class::NoisyEqual, "seed {SEED}: {unknown:?}");
    assert_eq!(path(&ledger, "orders[]").class, Class::Identical);
}

#[test]
fn compare_n_11_thirty_percent_noise_does_not_hide_five_percent_of_wrong_answers() {
    const SEED: u64 = 11;
    let differ = differ(Rules::new());
    let page = |node: &str| wire(&format!(r#"{{"node": "{node}"}}"#));
    let (right, noise, wrong) = (page("a"), page("b"), page("c"));
    let mut found = Vec::new();
    for run in 0..9 {
        let mut draws = Draws::new(SEED + run);
        let mut ledger = Ledger::new(&differ, Source::Twin, Settings::default());
        let calls = (1..=20_000).find(|_| {
            let mut side = |extra: f64| match draws.unit() {
                drawn if drawn < 0.3 => &noise,
                drawn if drawn < 0.3 + extra => &wrong,
                _ => &right,
            };
            let (candidate, twin) = (side(0.05), side(0.0));
            observe(&mut ledger, &differ, [&right, candidate, twin]);
            !accused(&ledger).is_empty()
        });
        assert_eq!(accused(&ledger), ["node"], "seed {}", SEED + run);
        found.extend(calls);
    }
    found.sort_unstable();
    println!("seeds {SEED}…: calls {found:?}");
    assert!(found[4] < 6_000, "{found:?}");
}

#[test]
fn a_candidate_as_good_as_the_twin_is_accused_in_at_most_one_run_of_a_hundred() {
    const SEED: u64 = 5;
    let differ = differ(Rules::new());
    let page = |node: &str| wire(&format!(r#"{{"node": "{node}"}}"#));
    let (right, noise) = (page("a"), page("b"));
    let mut wrongly = 0;
    const RUNS: u64 = 200;
    for run in 0..RUNS {
        let mut draws = Draws::new(SEED * 1_000 + run);
        let mut ledger =
            Ledger::new(&differ, Source::Twin, Settings { alpha: 1.0, extra_most: 0.001 });
        for _ in 0..400 {
            let mut side = || if draws.unit() < 0.2 { &noise } else { &right };
            let (candidate, twin) = (side(), side());
            observe(&mut ledger, &differ, [&right, candidate, twin]);
        }
        wrongly += u64::from(!accused(&ledger).is_empty());
    }
    // α = 1 over all rows of the type leaves 1/m for the one row that differs.
    let rows = differ.rows().len() as u64;
    println!("seeds {SEED}…: {wrongly} of {RUNS} accused, {rows} rows");
    assert!(wrongly * rows <= RUNS * 2, "{wrongly} of {RUNS}");
}

#[test]
fn compare_classes_are_decided_in_their_order() {
    let differ = differ(Rules::new());
    let rows = differ.rows().len() as u64;
    let page = |node: &str| wire(&format!(r#"{{"node": "{node}"}}"#));
    let (a, b, c) = (page("a"), page("b"), page("c"));
    let run = |calls: u64, answers: &dyn Fn(u64) -> [Vec<u8>; 2]| {
        let mut ledger = Ledger::new(&differ, Source::Twin, Settings::default());
        for call in 0..calls {
            let [candidate, twin] = answers(call);
            observe(&mut ledger, &differ, [&a, &candidate, &twin]);
        }
        path(&ledger, "node").class
    };
    let all_wrong = |_| [b.clone(), a.clone()];
    assert_eq!(run(10, &all_wrong), Class::Unknown, "{rows} rows need more than ten");
    assert_eq!(run(17, &all_wrong), Class::DifferentAlways);
    assert_eq!(
        run(40, &|call| [if call == 0 { a.clone() } else { b.clone() }, a.clone()]),
        Class::Worse
    );
    // Values that differ between primary and twin in most calls say nothing.
    assert_eq!(run(40, &|_| [b.clone(), c.clone()]), Class::Masked);
    assert_eq!(run(3_926, &|_| [a.clone(), a.clone()]), Class::Unknown);
    assert_eq!(run(3_927, &|_| [a.clone(), a.clone()]), Class::Identical);
    let swapping = |call: u64| {
        let (one, other) = if call.is_multiple_of(2) { (&a, &b) } else { (&b, &a) };
        if call.is_multiple_of(3) { [one.clone(), other.clone()] } else { [a.clone(), a.clone()] }
    };
    assert_eq!(run(2_000, &swapping), Class::NoisyEqual);
    assert_eq!(run(60, &swapping), Class::Unknown);
}

#[test]
fn a_masked_path_is_still_accused_of_a_wrong_shape() {
    let differ = differ(Rules::new());
    let mut ledger = Ledger::new(&differ, Source::Twin, Settings::default());
    let page = |value: u64| wire(&format!(r#"{{"maybe": {value}}}"#));
    for call in 0..200 {
        let absent = call > 100;
        let candidate = if absent { wire("{}") } else { page(3 * call + 1) };
        observe(&mut ledger, &differ, [&page(3 * call), &candidate, &page(3 * call + 2)]);
        if call == 100 {
            assert_eq!(path(&ledger, "maybe").class, Class::Masked);
        }
    }
    assert_eq!(accused(&ledger), ["maybe"]);
}

#[test]
fn compare_n_6_a_copy_without_an_answer_is_an_event_and_a_dropped_one_is_not() {
    let differ = differ(Rules::new());
    let mut ledger = Ledger::new(&differ, Source::Twin, Settings::default());
    let page = [&b"\x12\x01a"[..]];
    let fine = Reply::Answered(Answer::ok(&page));
    let lost = Reply::Lost(Loss::TimedOut);
    let count = |ledger: &Ledger| {
        let row = path(ledger, "<code>");
        (row.candidate_only, row.twin_only, row.both, row.calls)
    };
    let mut call = |candidate, twin| {
        let trial = Trial { primary: Answer::ok(&page), candidate, twin: Some(twin) };
        ledger.observe(&differ, &trial);
        count(&ledger)
    };
    assert_eq!(call(lost, fine), (1, 0, 0, 1));
    assert_eq!(call(fine, lost), (1, 1, 0, 2));
    assert_eq!(call(lost, lost), (1, 1, 1, 3));
    assert_eq!(call(fine, fine), (1, 1, 1, 4));
    ledger.abandon(Abandoned::QueueFull);
    assert_eq!(count(&ledger), (1, 1, 1, 4));
    assert_eq!(ledger.abandoned()[&Abandoned::QueueFull], 1);
    assert_eq!(ledger.lost()[&Loss::TimedOut], (2, 2));
    // Of the messages nothing is known in those calls.
    assert_eq!(path(&ledger, "node").calls, 1);
}

#[test]
fn compare_j_12_one_critical_difference_that_is_not_noise_is_reported_at_once() {
    let differ = differ(Rules::new().critical("node").critical("took_ms"));
    let mut ledger = Ledger::new(&differ, Source::Twin, Settings::default());
    let page = |node: &str, took| wire(&format!(r#"{{"node": "{node}", "tookMs": "{took}"}}"#));
    observe(&mut ledger, &differ, [&page("a", 1), &page("a", 1), &page("a", 2)]);
    observe(&mut ledger, &differ, [&page("a", 1), &page("a", 2), &page("a", 1)]);
    assert_eq!(ledger.critical(), 0, "the path has shown noise");
    observe(&mut ledger, &differ, [&page("a", 1), &page("b", 1), &page("b", 1)]);
    assert_eq!(ledger.critical(), 0, "the twin differs too");
    let mut ledger = Ledger::new(&differ, Source::Twin, Settings::default());
    observe(&mut ledger, &differ, [&page("a", 1), &page("b", 1), &page("a", 1)]);
    assert_eq!(ledger.critical(), 1);
}

#[test]
fn compare_n_9_without_a_twin_nothing_is_worse_and_nothing_is_called_noise() {
    let differ = differ(Rules::new());
    let mut ledger = Ledger::new(&differ, Source::Rules, Settings::default());
    let page = [&b"\x12\x01a"[..]];
    let other = [&b"\x12\x01b"[..]];
    for call in 0..4_000 {
        let answer = if call < 50 { &other } else { &page };
        let candidate = Reply::Answered(Answer::ok(answer));
        ledger.observe(&differ, &Trial { primary: Answer::ok(&page), candidate, twin: None });
    }
    assert_eq!(path(&ledger, "node").class, Class::Unknown);
    assert_eq!(path(&ledger, "node").candidate_only, 50);
    assert_eq!(path(&ledger, "state").class, Class::Identical);
    assert_eq!(accused(&ledger), [""; 0]);
}

#[test]
fn compare_n_5_evidence_begins_anew_for_a_path_and_for_a_build() {
    let differ = differ(Rules::new());
    let mut ledger = Ledger::new(&differ, Source::Twin, Settings::default());
    let page = |node: &str| wire(&format!(r#"{{"node": "{node}"}}"#));
    for _ in 0..30 {
        observe(&mut ledger, &differ, [&page("a"), &page("b"), &page("a")]);
    }
    assert_eq!(accused(&ledger), ["node"]);
    let row = differ.rows().named("node").unwrap_or_else(|| panic!("it is there"));
    ledger.restart_row(row);
    assert_eq!((path(&ledger, "node").calls, path(&ledger, "state").calls), (0, 30));
    assert_eq!(accused(&ledger), [""; 0]);
    observe(&mut ledger, &differ, [&page("a"), &page("b"), &page("a")]);
    assert_eq!(path(&ledger, "node").candidate_only, 1);
    ledger.restart(&differ);
    assert_eq!((path(&ledger, "state").calls, path(&ledger, "node").candidate_only), (0, 0));
}

#[test]
fn compare_j_8_keys_of_a_map_have_lines_of_their_own_up_to_32() {
    let differ = differ(Rules::new());
    let mut ledger = Ledger::new(&differ, Source::Twin, Settings::default());
    let page =
        |key: u32, count| wire(&format!(r#"{{"labels": {{"k{key}": {{"count": {count}}}}}}}"#));
    let lines = |ledger: &Ledger| -> Vec<(String, u64)> {
        ledger.listing().lines().map(|(path, line)| (path.to_owned(), line.count)).collect()
    };
    for key in 0..32 {
        observe(&mut ledger, &differ, [&page(key, 1), &page(key, 2), &page(key, 1)]);
    }
    assert_eq!(lines(&ledger).len(), 32);
    assert_eq!(lines(&ledger)[0], ("labels{k0}.count".to_owned(), 1));
    observe(&mut ledger, &differ, [&page(32, 1), &page(32, 2), &page(32, 1)]);
    assert_eq!(lines(&ledger), [("labels{}.count".to_owned(), 33)]);
    observe(&mut ledger, &differ, [&page(0, 1), &page(0, 2), &page(0, 1)]);
    assert_eq!(lines(&ledger), [("labels{}.count".to_owned(), 34)]);
}

#[test]
fn compare_n_10_samples_are_few_and_the_same_for_the_same_seed() {
    let differ = differ(Rules::new());
    let page = |took: u32| wire(&format!(r#"{{"tookMs": "{took}"}}"#));
    let drawn = |seed| {
        let mut samples = Samples::new(seed);
        for took in 1..=1_000 {
            samples.offer(&differ.compare_messages(&page(0), &page(took)));
        }
        let row = differ.rows().named("took_ms").unwrap_or_else(|| panic!("it is there"));
        samples.of(row).iter().filter_map(|sample| sample.other.clone()).collect::<Vec<_>>()
    };
    let found = drawn(9);
    assert_eq!(found.len(), 20);
    assert_eq!(found, drawn(9));
    assert_ne!(found, drawn(10));
    let late = found.iter().filter(|took| took.parse::<u32>().is_ok_and(|took| took > 500));
    assert!((4..=16).contains(&late.count()), "seed 9: {found:?}");
}
