//! Any two runs of bytes are compared within their budget, the same from both sides.

use std::sync::OnceLock;

use tandem_judge::diff::{Diff, Differ, Limits, Rank, Rules, Tolerance};
use tandem_judge::pair::Answer;

use super::common::differ;

/// What may be compared in all: far more than is spent by any input of a kilobyte.
const COMPARISONS: u32 = 20_000;

/// Rules of every kind, and none.
fn differs() -> &'static [Differ; 3] {
    static DIFFERS: OnceLock<[Differ; 3]> = OnceLock::new();
    DIFFERS.get_or_init(|| {
        let limits = Limits { comparisons: COMPARISONS, ..Limits::default() };
        let near = Tolerance { absolute: 0.5, ulps: 4 };
        let rank = Rank { epsilon: 0.05, key: "id".into(), score: "score".into() };
        let ruled = Rules::new()
            .unordered("orders")
            .keyed("orders.lines", "sku")
            .unordered("tags")
            .unordered("numbers")
            .tolerance("numbers", near)
            .tolerance("score", near)
            .ignore("took_ms")
            .ignore("extra.took")
            .critical("node")
            .at("hits", |rule| rule.rank = Some(rank))
            .at("maybe", |rule| rule.present_or_absent = true)
            .at("signature", |rule| rule.cross_verified = true)
            .trailer("x-cost");
        let keyed = Rules::new().keyed("orders", "id").unordered("").unordered("hits");
        [Rules::new(), ruled, keyed].map(|rules| differ(rules).with_limits(limits))
    })
}

/// Fails when a comparison panics, depends on its side or its turn, or finds what is not there.
pub(crate) fn check(data: &[u8]) {
    // The first byte says where the second answer begins; both halves also meet themselves.
    let Some((at, rest)) = data.split_first() else { return };
    let place = usize::from(*at) * rest.len() / 255;
    let (one, other) = rest.split_at(place.min(rest.len()));
    for differ in differs() {
        both_ways(differ, &Answer::ok(&[one]), &Answer::ok(&[other]));
        both_ways(differ, &Answer::ok(&[one, other, one]), &Answer::ok(&[other, one]));
        both_ways(differ, &Answer::failed(9, one), &Answer::failed(9, other));
        assert!(differ.compare_messages(one, one).is_empty());
        assert!(differ.compare_messages(other, other).is_empty());
    }
}

fn both_ways(differ: &Differ, one: &Answer<'_>, other: &Answer<'_>) {
    let (there, back) = (differ.compare(one, other), differ.compare(other, one));
    assert_eq!(there.rows, back.rows);
    assert_eq!(there.more, back.more);
    assert_eq!(ways(&there), ways(&back));
    assert_eq!(there, differ.compare(one, other));
    let counted: u64 = there.rows.values().map(|row| row.differences).sum();
    assert_eq!(counted, there.listed.len() as u64 + there.more);
    assert!(counted <= u64::from(COMPARISONS) + 1);
}

/// What differs where, without the values and the places in lists that belong to a side.
fn ways(diff: &Diff) -> Vec<String> {
    let mut ways: Vec<String> = diff
        .listed
        .iter()
        .map(|found| format!("{} {:?} {}", found.path.listed(), found.what, found.critical))
        .collect();
    ways.sort_unstable();
    ways
}
