//! The word of a verdict, and the modes of lists that samples show.

mod common;
mod messages;

use common::differ;
use messages::wire;
use tandem_judge::diff::{ModeEvidence, Order, Rules};
use tandem_judge::noise::{Class, PathEvidence};
use tandem_judge::verdict::{Cell, Evidence, Fact, Must, MustResult, Row, Word, sentence, verdict};

fn row(id: &str, cell: Cell, counts: bool) -> Row {
    Row {
        id: id.into(),
        ratio: 1.63,
        interval: Some((1.59, 1.68)),
        cell,
        counts,
        headline: true,
        p_holm: None,
        settling: None,
    }
}

fn path(name: &str, class: Class, critical: u64) -> PathEvidence {
    PathEvidence {
        path: name.into(),
        class,
        candidate_only: 0,
        twin_only: 0,
        both: 0,
        calls: 100,
        e_value: 1.0,
        bound: 1.0,
        critical,
    }
}

fn result(bound: &str, value: f64) -> MustResult {
    let must = Must::parse(bound).unwrap_or_else(|fault| panic!("{fault}"));
    must.judged(&Fact::Exact(value))
}

#[test]
fn compare_v_5_a_side_wins_if_it_is_better_somewhere_and_worse_and_unknown_nowhere() {
    use Cell::{Better, Same, Unknown, Worse};
    for (cells, expected) in [
        (&[Better, Same][..], Word::Candidate),
        (&[Worse, Same], Word::Primary),
        (&[Same, Same], Word::NoDifference),
        (&[Better, Worse], Word::TradeOff),
        (&[Better, Worse, Unknown], Word::TradeOff),
        (&[Better, Unknown], Word::NotEnoughEvidence),
        (&[Same, Unknown], Word::NotEnoughEvidence),
        (&[Unknown], Word::NotEnoughEvidence),
        (&[], Word::NotEnoughEvidence),
    ] {
        let rows: Vec<Row> = cells.iter().map(|cell| row("cpu", *cell, true)).collect();
        let evidence =
            Evidence { invalid: &[], answers: &[], critical: 0, must: (&[], &[]), rows: &rows };
        assert_eq!(verdict(&evidence).word, expected, "{cells:?}");
    }
    // What does not count decides nothing.
    let rows = [row("cpu", Better, true), row("p50", Worse, false), row("mean", Unknown, false)];
    let evidence =
        Evidence { invalid: &[], answers: &[], critical: 0, must: (&[], &[]), rows: &rows };
    assert_eq!(verdict(&evidence).word, Word::Candidate);
}

#[test]
fn compare_v_1_validity_comes_before_answers_and_answers_before_must_haves_and_rows() {
    let rows = [row("cpu", Cell::Better, true)];
    let (kept, failed) = ([result("p99<=20ms", 0.01)], [result("p99<=20ms", 0.03)]);
    let differing = [path("orders[].price", Class::Worse, 0)];
    let always = [path("node", Class::DifferentAlways, 0)];
    let critical = [path("node", Class::Unknown, 1)];
    let harmless = [path("node", Class::Masked, 0), path("took_ms", Class::NoisyEqual, 0)];
    let invalid = ["half of the blocks are void".to_owned()];
    let fine = Evidence {
        invalid: &[],
        answers: &harmless,
        critical: 0,
        must: (&kept, &kept),
        rows: &rows,
    };
    for (evidence, expected) in [
        (fine, Word::Candidate),
        (Evidence { must: (&kept, &failed), ..fine }, Word::Primary),
        (Evidence { must: (&failed, &kept), ..fine }, Word::Candidate),
        (Evidence { must: (&failed, &failed), ..fine }, Word::MustFailed),
        (Evidence { answers: &differing, must: (&kept, &failed), ..fine }, Word::AnswersDiffer),
        (Evidence { answers: &always, ..fine }, Word::AnswersDiffer),
        (Evidence { answers: &critical, critical: 1, ..fine }, Word::AnswersDiffer),
        (Evidence { invalid: &invalid, answers: &differing, ..fine }, Word::Invalid),
    ] {
        assert_eq!(verdict(&evidence).word, expected, "{evidence:?}");
    }
}

#[test]
fn compare_v_7_the_sentence_is_built_from_rows_alone() {
    let rows = [
        row("cpu", Cell::Worse, true),
        Row { ratio: 1.07, interval: Some((0.93, 1.22)), ..row("p99", Cell::Unknown, true) },
        row("mean", Cell::Worse, false),
    ];
    let evidence =
        Evidence { invalid: &[], answers: &[], critical: 0, must: (&[], &[]), rows: &rows };
    let said = sentence(&verdict(&evidence), &rows, ("rust 1.4.0", "go 1.4.0"), Some(2_000.0));
    assert_eq!(
        said,
        "At 2,000/s, go 1.4.0 against rust 1.4.0: CPU per request 1.63× [1.59, 1.68]; \
         p99 unknown (1.07 [0.93, 1.22]). Verdict: not-enough-evidence."
    );
}

/// Orders `ids` with the same price each, in this order.
fn orders(ids: &[u32]) -> Vec<u8> {
    let orders: Vec<String> =
        ids.iter().map(|id| format!(r#"{{"id": "o{id}", "count": 1}}"#)).collect();
    wire(&format!(r#"{{"orders": [{}], "tags": ["a", "b"], "numbers": [1, 1]}}"#, orders.join(",")))
}

#[test]
fn compare_j_6_modes_of_lists_are_inferred_from_the_primary_and_its_twin() {
    let differ = differ(Rules::new());
    let mut seen = ModeEvidence::default();
    for call in 0..199 {
        seen.observe(&differ, &orders(&[call, call + 1]), &orders(&[call + 1, call]));
    }
    // Too few for a key; that the order is noise is seen already.
    assert_eq!(seen.modes(), [("orders".to_owned(), Order::Set)].into());
    seen.observe(&differ, &orders(&[1, 2]), &orders(&[2, 1]));
    assert_eq!(seen.modes(), [("orders".to_owned(), Order::Keyed("id".into()))].into());
    // One sample in fifty without a key of its own is too many.
    for _ in 0..5 {
        seen.observe(&differ, &orders(&[1, 1]), &orders(&[1, 1]));
    }
    assert_eq!(seen.modes(), [("orders".to_owned(), Order::Set)].into());
    // What is inferred becomes a rule by being taken over, and gives way to what is declared.
    let rules = Rules::new().keyed("orders", "id").with_inferred(&seen.modes());
    let pinned = common::differ(rules);
    assert!(pinned.compare_messages(&orders(&[1, 2]), &orders(&[2, 1])).is_empty());
    let inferred = common::differ(Rules::new().with_inferred(&seen.modes()));
    assert!(inferred.compare_messages(&orders(&[1, 2]), &orders(&[2, 1])).is_empty());
    assert!(!differ.compare_messages(&orders(&[1, 2]), &orders(&[2, 1])).is_empty());
}

#[test]
fn a_value_that_is_new_in_each_answer_is_no_key() {
    let differ = differ(Rules::new());
    let mut seen = ModeEvidence::default();
    for call in 0..300 {
        seen.observe(&differ, &orders(&[call, call + 1]), &orders(&[call + 1_000, call + 1_001]));
    }
    assert_eq!(seen.modes(), [].into());
}
