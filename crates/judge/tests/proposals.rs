//! Rules that are proposed from what a primary and its twin have sent: for which paths, when, and
//! that nothing changes by them alone.

mod common;
mod messages;

use std::collections::BTreeMap;

use common::differ;
use messages::wire;
use tandem_judge::diff::{Differ, Rules, Tolerance};
use tandem_judge::noise::{Proposal, Proposals, Why};
use tandem_judge::pair::Answer;
use tandem_judge::stats::draws::Draws;

fn observe(proposals: &mut Proposals, differ: &Differ, [primary, twin]: [&str; 2]) {
    let [primary, twin] = [wire(primary), wire(twin)];
    let (primary, twin) = ([&*primary], [&*twin]);
    let (primary, twin) = (Answer::ok(&primary), Answer::ok(&twin));
    let diff = differ.compare(&primary, &twin);
    proposals.observe(differ, (&primary, &twin), &diff, "");
}

/// The rules as a file of `tandem compare` has them.
fn rules(proposals: &Proposals, differ: &Differ) -> Vec<String> {
    let name = |row| differ.rows().name(row).to_owned();
    let proposed: BTreeMap<String, Proposal> =
        proposals.of(differ, 1_800_000_000).into_iter().map(|(row, it)| (name(row), it)).collect();
    proposed.iter().map(|(path, proposal)| proposal.rule(path)).collect()
}

#[test]
fn compare_j_6_a_mode_is_proposed_for_a_list_and_not_for_one_that_has_a_rule() {
    let page = |ids: [u32; 3], tags: [&str; 2]| {
        let orders = ids.map(|id| format!(r#"{{"id": "o{id}", "count": 1}}"#)).join(",");
        format!(r#"{{"orders": [{orders}], "tags": ["{}", "{}"]}}"#, tags[0], tags[1])
    };
    let plain = differ(Rules::new());
    let mut proposals = Proposals::default();
    for call in 0..200 {
        let (first, second) = (page([call, 1_000, 1_001], ["a", "b"]), [1_001, call, 1_000]);
        observe(&mut proposals, &plain, [&first, &page(second, ["b", "a"])]);
        if call == 198 {
            // Too few for a key; that the order is noise is seen already.
            assert_eq!(rules(&proposals, &plain), ["unordered orders[]", "unordered tags[]"]);
        }
    }
    assert_eq!(rules(&proposals, &plain), ["keyed orders[]=id", "unordered tags[]"]);
    for declared in [
        Rules::new().unordered("orders[]").ignore("tags"),
        Rules::new().keyed("orders", "id").unordered("tags"),
        Rules::new().ignore(""),
    ] {
        assert_eq!(rules(&proposals, &differ(declared)), [""; 0]);
    }
}

#[test]
fn compare_j_6_a_key_shows_in_answers_that_agree_as_well() {
    let plain = differ(Rules::new());
    let mut proposals = Proposals::default();
    for call in 0..200 {
        let page = format!(
            r#"{{"hits": [{{"id": "h{call}", "title": "x"}}, {{"id": "g", "title": "x"}}]}}"#
        );
        observe(&mut proposals, &plain, [&page, &page]);
    }
    assert_eq!(rules(&proposals, &plain), ["keyed hits[]=id"]);
}

#[test]
fn compare_j_5_a_tolerance_is_proposed_for_floats_alone_and_is_enough_for_what_was_seen() {
    const SEED: u64 = 5;
    let plain = differ(Rules::new());
    let mut proposals = Proposals::default();
    let mut draws = Draws::new(SEED);
    let mut pages = Vec::new();
    for call in 0..2_000 {
        // Noise of one in a million, in half of the answers; and numbers that are no floats.
        let mut page = || {
            let noise = if draws.unit() < 0.5 { draws.unit() * 1e-6 } else { 0.0 };
            let count = draws.below(1_000);
            format!(r#"{{"score": {:?}, "number": {count}, "node": "{}.5"}}"#, 3.0 + noise, count)
        };
        pages.push([page(), page()]);
        let [one, other] = &pages[call];
        observe(&mut proposals, &plain, [one, other]);
        if call == 998 {
            assert_eq!(rules(&proposals, &plain), [""; 0], "a thousandth of fewer is none");
        }
    }
    let proposed = proposals.of(&plain, 1_800_000_000);
    let rows: Vec<&str> = proposed.keys().map(|row| plain.rows().name(*row)).collect();
    assert_eq!(rows, ["score"], "seed {SEED}: {proposed:?}");
    let Some(Proposal::Tolerance(absolute)) = proposed.into_values().next() else {
        panic!("no tolerance")
    };
    assert!((1.9e-6..2e-6).contains(&absolute), "seed {SEED}: {absolute}");
    // By itself it changes nothing; declared, no pair differs in the score any more.
    let declared = differ(
        Rules::new()
            .tolerance("score", Tolerance { absolute, ulps: 0 })
            .ignore("number")
            .ignore("node"),
    );
    let differing = |differ: &Differ| {
        let differs = |[one, other]: &&[String; 2]| {
            !differ.compare_messages(&wire(one), &wire(other)).is_empty()
        };
        pages.iter().filter(differs).count()
    };
    assert_eq!(differing(&declared), 0);
    assert!(differing(&plain) > 1_900);
}

#[test]
fn compare_n_5_a_row_that_begins_anew_is_proposed_for_from_new_pairs_alone() {
    let plain = differ(Rules::new());
    let mut proposals = Proposals::default();
    let uuid = |call: u32| format!(r#"{{"node": "0190163d-8694-739b-aea5-{call:012x}"}}"#);
    (0..3).for_each(|call| observe(&mut proposals, &plain, [&uuid(call), &uuid(call + 9)]));
    let node = plain.rows().named("node").unwrap();
    assert_eq!(proposals.of(&plain, 0), [(node, Proposal::Ignore(Why::Uuid))].into());
    proposals.restart_row(node);
    assert_eq!(proposals.of(&plain, 0), [].into());
    (0..3).for_each(|call| observe(&mut proposals, &plain, [&uuid(call), &uuid(call + 9)]));
    assert_eq!(proposals.of(&plain, 0).len(), 1);
}

#[test]
fn a_proposal_is_written_as_it_is_declared() {
    for (proposal, says, line) in [
        (Proposal::Ignore(Why::Uuid), "ignore", "ignore a[].b    # UUID"),
        (
            Proposal::Unordered,
            "unordered",
            "unordered a[].b    # the twin sends the same elements in another order",
        ),
        (
            Proposal::Keyed("id".into()),
            "keyed=id",
            "keyed a[].b=id    # each element has its own `id`",
        ),
        (
            Proposal::Tolerance(0.0025),
            "tolerance=2.5e-3",
            "tolerance a[].b=2.5e-3    # twice what 99.9 % of the twin's values lie apart from the \
             primary's",
        ),
    ] {
        assert_eq!((proposal.says(), proposal.line("a[].b")), (says.to_owned(), line.to_owned()));
    }
}
