//! What counts as a difference, and on which path.

mod common;
mod messages;

use common::{differ, plans};
use messages::wire;
use tandem_judge::diff::{Diff, Limits, Rank, Rules, Tolerance};
use tandem_judge::pair::Answer;

/// The differences of two pages as lines: path, way, both values.
fn lines(diff: &Diff) -> Vec<String> {
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
    diff.listed
        .iter()
        .map(|found| {
            let (one, other) = (text(&found.primary), text(&found.other));
            format!("{} {:?} {one} {other}", found.path.place(), found.what)
        })
        .collect()
}

/// The same with the sides swapped.
fn swapped(diff: &Diff) -> Diff {
    let mut diff = diff.clone();
    for found in &mut diff.listed {
        std::mem::swap(&mut found.primary, &mut found.other);
    }
    for check in &mut diff.to_verify {
        std::mem::swap(&mut check.primary, &mut check.other);
    }
    diff
}

/// Compares two pages both ways; the lines of the differences.
fn found(rules: Rules, one: &str, other: &str) -> Vec<String> {
    let differ = differ(rules);
    let (one, other) = (wire(one), wire(other));
    assert!(differ.compare_messages(&one, &one).is_empty());
    assert!(differ.compare_messages(&other, &other).is_empty());
    let diff = differ.compare_messages(&one, &other);
    let back = differ.compare_messages(&other, &one);
    assert_eq!(diff.rows, back.rows, "the same rows from both sides");
    assert_eq!(diff, differ.compare_messages(&one, &other), "the same again");
    assert_eq!(diff.listed.len(), swapped(&back).listed.len());
    lines(&diff)
}

fn check(one: &str, other: &str, expected: &[&str]) {
    assert_eq!(found(Rules::new(), one, other), expected, "{one} {other}");
}

#[test]
fn fields_differ_by_what_they_mean() {
    check("{}", "{}", &[]);
    check(r#"{"tookMs": "1"}"#, r#"{"tookMs": "2"}"#, &["took_ms Value 1 2"]);
    check(r#"{"score": 1.5}"#, r#"{"score": 1.25}"#, &["score Value 1.5 1.25"]);
    check(r#"{"score": "NaN"}"#, r#"{"score": "NaN"}"#, &[]);
    check(r#"{"score": -0.0}"#, "{}", &[]);
    check(r#"{"state": "OPEN"}"#, r#"{"state": "CLOSED"}"#, &["state Value OPEN CLOSED"]);
    check(r#"{"state": "OPEN"}"#, "{}", &["state Value OPEN UNKNOWN"]);
    check(r#"{"signature": "AAE="}"#, r#"{"signature": "AAI="}"#, &["signature Value 0001 0002"]);
    check(
        r#"{"next": {"next": {"node": "a"}}}"#,
        r#"{"next": {"next": {"node": "b"}}}"#,
        &["next.next.node Value a b"],
    );
}

#[test]
fn compare_j_2_a_default_is_absent_and_presence_is_a_difference() {
    check(r#"{"maybe": 0}"#, "{}", &["maybe Presence 0 -"]);
    check("{}", r#"{"maybe": 3}"#, &["maybe Presence - 3"]);
    check(r#"{"next": {}}"#, "{}", &["next Presence (0 bytes) -"]);
    check(r#"{"wrapped": ""}"#, "{}", &["wrapped Presence (0 bytes) -"]);
    check(r#"{"wrapped": ""}"#, r#"{"wrapped": "a"}"#, &["wrapped Value  a"]);
    // A default without presence that somebody wrote out.
    let differ = differ(Rules::new());
    let explicit_zero = [24, 0]; // took_ms: 0
    assert!(differ.compare_messages(&explicit_zero, b"").is_empty());
    assert!(differ.compare_messages(b"", &explicit_zero).is_empty());
}

#[test]
fn compare_j_2_another_case_of_a_oneof_is_one_difference() {
    check(r#"{"name": "a"}"#, r#"{"number": 4}"#, &["by Case name number"]);
    check(r#"{"whole": {}}"#, r#"{"whole": {"count": 1}}"#, &["whole.count Value 0 1"]);
    check(r#"{"name": "a"}"#, "{}", &["name Presence a -"]);
    assert_eq!(found(Rules::new().ignore("by"), r#"{"name": "a"}"#, r#"{"number": 4}"#), [""; 0]);
}

#[test]
fn compare_j_3_unknown_fields_count_as_bytes_by_number() {
    let differ = differ(Rules::new());
    let with = |extra: &[u8]| [&wire(r#"{"node": "a"}"#)[..], extra].concat();
    // Field 99, varint 1; field 99, varint 2; field 98 before 99.
    let (one, two) = (with(&[0x98, 6, 1]), with(&[0x98, 6, 2]));
    assert_eq!(lines(&differ.compare_messages(&one, &two)), ["#99 Unknown 01 02"]);
    assert_eq!(lines(&differ.compare_messages(&one, &with(b""))), ["#99 Unknown 01 -"]);
    let (one, two) = (with(&[0x98, 6, 1, 0x90, 6, 1]), with(&[0x90, 6, 1, 0x98, 6, 1]));
    assert!(differ.compare_messages(&one, &two).is_empty());
    // In a message that lies inside, tested as its parent.
    let nested = |extra: &[u8]| {
        let mut page = vec![0x7a, extra.len() as u8];
        page.extend_from_slice(extra);
        page
    };
    let diff = differ.compare_messages(&nested(&[0x98, 6, 1]), &nested(&[0x98, 6, 2]));
    assert_eq!(lines(&diff), ["next.#99 Unknown 01 02"]);
    assert_eq!(differ.rows().name(diff.listed[0].row), "next");
}

#[test]
fn compare_j_4_well_known_types_count_by_what_they_say() {
    check(
        r#"{"at": "2020-01-01T00:00:00Z"}"#,
        r#"{"at": "2020-01-01T00:00:00.5Z"}"#,
        &["at Value 1577836800.000000000s 1577836800.500000000s"],
    );
    check(
        r#"{"took": "1.5s"}"#,
        r#"{"took": "-0.5s"}"#,
        &["took Value 1.500000000s -0.500000000s"],
    );
    check(r#"{"mask": "a,b"}"#, r#"{"mask": "b,a"}"#, &[]);
    check(r#"{"mask": "a,b"}"#, r#"{"mask": "a"}"#, &["mask Value a,b a"]);
    check(
        r#"{"extra": {"took": 1, "by": {"host": "a"}}}"#,
        r#"{"extra": {"by": {"host": "b"}, "took": 1}}"#,
        &["extra.by.host Value a b"],
    );
    check(
        r#"{"extra": {"a": 1}}"#,
        r#"{"extra": {"a": "1"}}"#,
        &["extra.a Type number_value string_value"],
    );
    check(
        r#"{"extra": {"a": [1, 2]}}"#,
        r#"{"extra": {"a": [1, 3]}}"#,
        &["extra.a[1] Value 2.0 3.0"],
    );
    check(
        r#"{"anyValue": null}"#,
        r#"{"anyValue": false}"#,
        &["any_value Type null_value bool_value"],
    );
    check(
        r#"{"detail": {"@type": "x/t.Line", "sku": "a"}}"#,
        r#"{"detail": {"@type": "y/t.Line", "sku": "b"}}"#,
        &["detail.[t.Line].sku Value a b"],
    );
    check(
        r#"{"detail": {"@type": "x/t.Line"}}"#,
        r#"{"detail": {"@type": "x/t.Hit"}}"#,
        &["detail Type t.Line t.Hit"],
    );
    // Below what is tested as one there are lines, and no rows.
    let differ = differ(Rules::new());
    let one = wire(r#"{"extra": {"took": 1}}"#);
    let diff = differ.compare_messages(&one, &wire(r#"{"extra": {"took": 2}}"#));
    assert_eq!(differ.rows().name(diff.listed[0].row), "extra");
}

#[test]
fn compare_j_4_maps_differ_by_key_whatever_their_order() {
    check(
        r#"{"labels": {"eu": {"count": 1}, "us": {"count": 2}}}"#,
        r#"{"labels": {"us": {"count": 2}, "eu": {"count": 3}, "ap": {}}}"#,
        &["labels{ap} Presence - (0 bytes)", "labels{eu}.count Value 1 3"],
    );
    check(r#"{"names": {"-1": "a"}}"#, r#"{"names": {"-1": "b"}}"#, &["names{-1} Value a b"]);
}

#[test]
fn compare_j_5_a_tolerance_holds_where_it_is_declared() {
    let near = |absolute, ulps| Tolerance { absolute, ulps };
    let rules = Rules::new()
        .tolerance("orders[].price", near(0.25, 0))
        .tolerance("numbers", near(0.0, 1))
        .tolerance("took_ms", near(5.0, 0));
    let one = r#"{"orders": [{"price": 1.0}], "numbers": [1.0], "tookMs": "3", "score": 1.0}"#;
    let close = r#"{"orders": [{"price": 1.25}], "numbers": [1.0000000000000002], "tookMs": "8", "score": 1.25}"#;
    assert_eq!(found(rules.clone(), one, close), ["score Value 1.0 1.25"]);
    let far = r#"{"orders": [{"price": 1.5}], "numbers": [1.0000000000000004], "tookMs": "9", "score": 1.0}"#;
    let expected = [
        "orders[0].price Value 1.0 1.5",
        "took_ms Value 3 9",
        "numbers[0] Value 1.0 1.0000000000000004",
    ];
    assert_eq!(found(rules, one, far), expected);
}

#[test]
fn compare_j_6_lists_are_compared_by_place_in_any_order_or_by_key() {
    let one = r#"{"tags": ["a", "b", "c"]}"#;
    check(one, r#"{"tags": ["a", "c", "b"]}"#, &["tags[1] Value b c", "tags[2] Value c b"]);
    // One element more in the middle is one difference.
    check(
        one,
        r#"{"tags": ["a", "x", "b", "c"]}"#,
        &["tags Length 0 without a counterpart 1 without a counterpart"],
    );
    assert_eq!(found(Rules::new().unordered("tags"), one, r#"{"tags": ["c", "a", "b"]}"#), [""; 0]);
    // As often: a set counts.
    assert_eq!(
        found(Rules::new().unordered("tags[]"), r#"{"tags": ["a", "a"]}"#, r#"{"tags": ["a"]}"#),
        ["tags Length 1 without a counterpart 0 without a counterpart"]
    );
    let one = r#"{"orders": [{"id": "1", "price": 2.0}, {"id": "2", "price": 3.0}]}"#;
    let other = r#"{"orders": [{"id": "2", "price": 3.0}, {"id": "1", "price": 2.5}]}"#;
    assert_eq!(
        found(Rules::new().keyed("orders", "id"), one, other),
        ["orders[id=1].price Value 2.0 2.5"]
    );
    let other = r#"{"orders": [{"id": "3"}, {"id": "1", "price": 2.0}]}"#;
    assert_eq!(
        found(Rules::new().keyed("orders", "id"), one, other),
        ["orders Length 1 without a counterpart 1 without a counterpart"]
    );
}

#[test]
fn compare_j_7_what_a_set_does_not_match_is_paired_with_the_nearest() {
    let one = r#"{"orders": [{"id": "1", "price": 2.0, "count": 1}, {"id": "2", "price": 3.0, "count": 9}, {"id": "3"}]}"#;
    let other = r#"{"orders": [{"id": "3"}, {"id": "2", "price": 3.0, "count": 8}, {"id": "1", "price": 2.5, "count": 1}]}"#;
    assert_eq!(
        found(Rules::new().unordered("orders"), one, other),
        ["orders[0].price Value 2.0 2.5", "orders[1].count Value 9 8"]
    );
    // What rules ignore does not keep elements apart, and neither does a tolerance.
    let rules = Rules::new().unordered("orders").ignore("orders.count");
    let rules = rules.tolerance("orders.price", Tolerance { absolute: 0.5, ulps: 0 });
    assert_eq!(found(rules, one, other), [""; 0]);
    // Sets inside of sets.
    let one = r#"{"orders": [{"id": "1", "lines": [{"sku": "a"}, {"sku": "b"}]}, {"id": "2"}]}"#;
    let other = r#"{"orders": [{"id": "2"}, {"id": "1", "lines": [{"sku": "b"}, {"sku": "a"}]}]}"#;
    assert_eq!(
        found(Rules::new().unordered("orders").unordered("orders.lines"), one, other),
        [""; 0]
    );
}

#[test]
fn compare_j_7_beyond_64_items_nothing_is_paired() {
    let page = |from: usize, count: usize| {
        let orders: Vec<_> =
            (from..from + count).map(|id| format!(r#"{{"id": "{id}", "count": 1}}"#)).collect();
        format!(r#"{{"orders": [{}]}}"#, orders.join(","))
    };
    let rules = || Rules::new().unordered("orders");
    assert_eq!(found(rules(), &page(0, 64), &page(1_000, 64)).len(), 64);
    assert_eq!(
        found(rules(), &page(0, 65), &page(1_000, 65)),
        ["orders Length 65 without a counterpart 65 without a counterpart"]
    );
}

#[test]
fn compare_j_9_streams_are_sequences_and_a_caller_that_left_is_no_difference() {
    let messages = [wire(r#"{"node": "a"}"#), wire(r#"{"node": "b"}"#), wire(r#"{"node": "c"}"#)];
    let [a, b, c] = [0, 1, 2].map(|place: usize| messages[place].as_slice());
    let compare = |rules, one: &[&[u8]], other: &[&[u8]], cut| {
        let answer = |messages| Answer { cut, ..Answer::ok(messages) };
        differ(rules).compare(&answer(one), &Answer::ok(other))
    };
    let diff = compare(Rules::new(), &[a, b, c], &[a, c, c], false);
    assert_eq!(lines(&diff), ["[1].node Value b c"]);
    let diff = compare(Rules::new(), &[a, b, c], &[a, b], false);
    assert_eq!(lines(&diff), ["<message> Length 1 without a counterpart 0 without a counterpart"]);
    let diff = compare(Rules::new(), &[a, b, c], &[a, b], true);
    assert!(diff.is_empty() && diff.cut);
    assert!(compare(Rules::new().unordered(""), &[a, b, c], &[c, a, b], false).is_empty());
    let diff = compare(Rules::new().keyed("", "node"), &[a, b], &[b, c], false);
    assert_eq!(lines(&diff), ["<message> Length 1 without a counterpart 1 without a counterpart"]);
    assert!(!compare(Rules::new(), &[a], &[], false).is_empty());
}

/// A `google.rpc.Status` with these details.
fn status(message: &str, details: &[(&str, &[u8])]) -> Vec<u8> {
    use tandem_contract::fields::{put_bytes, put_number};
    let mut status = Vec::new();
    put_number(1, 9, &mut status);
    put_bytes(2, message.as_bytes(), &mut status);
    for (name, contents) in details {
        let mut any = Vec::new();
        put_bytes(1, format!("type.googleapis.com/{name}").as_bytes(), &mut any);
        put_bytes(2, contents, &mut any);
        put_bytes(3, &any, &mut status);
    }
    status
}

fn info(reason: &str, domain: &str, detail: &str) -> Vec<u8> {
    use tandem_contract::fields::put_bytes;
    let mut info = Vec::new();
    put_bytes(1, reason.as_bytes(), &mut info);
    put_bytes(2, domain.as_bytes(), &mut info);
    put_bytes(3, detail.as_bytes(), &mut info);
    info
}

#[test]
fn compare_j_1_the_code_counts_the_text_of_an_error_does_not() {
    let differ = differ(Rules::new().trailer("x-cost"));
    let error = |details| Answer::failed(9, details);
    let diff = differ.compare(&error(b""), &Answer::ok(&[b""]));
    assert_eq!(lines(&diff), ["<code> Code 9 0"]);
    assert!(!diff.fields_compared);

    let (kind, text) = ("google.rpc.ErrorInfo", "google.rpc.LocalizedMessage");
    let one = status("try again", &[(kind, &info("FULL", "shop", "id 1")), (text, b"\x0a\x02fr")]);
    let same = status("noch einmal", &[(kind, &info("FULL", "shop", "id 2"))]);
    assert!(differ.compare(&error(&one), &error(&same)).is_empty());
    let other = status("try again", &[(kind, &info("EMPTY", "shop", "id 1"))]);
    let diff = differ.compare(&error(&one), &error(&other));
    assert_eq!(lines(&diff), ["<details>.[google.rpc.ErrorInfo].reason Details FULL EMPTY"]);
    let none = status("try again", &[]);
    let diff = differ.compare(&error(&one), &error(&none));
    assert_eq!(lines(&diff), ["<details> Details google.rpc.ErrorInfo "]);
    // A detail of the contract is compared as a message, another one as bytes.
    let line = |contents| status("", &[("t.Line", contents)]);
    let (left, right) = (line(b"\x0a\x01a"), line(b"\x0a\x01b"));
    let diff = differ.compare(&error(&left), &error(&right));
    assert_eq!(lines(&diff), ["<details>.[t.Line].sku Value a b"]);
    assert!(!differ.compare(&error(b"\xff"), &error(&one)).is_empty());

    let trailers = |value| Answer { trailers: value, ..Answer::ok(&[]) };
    let (one, other) = ([("x-cost", &b"1"[..]), ("x-node", b"a")], [("x-cost", &b"2"[..])]);
    let diff = differ.compare(&trailers(&one), &trailers(&other));
    assert_eq!(lines(&diff), ["<trailers>.x-cost Trailer 1 2"]);
}

#[test]
fn compare_j_11_declared_comparators_take_what_is_lawful() {
    let rules = Rules::new().at("signature", |rule| rule.cross_verified = true);
    let differ_ = differ(rules);
    let (one, other) = (wire(r#"{"signature": "AAE="}"#), wire(r#"{"signature": "AAI="}"#));
    let diff = differ_.compare_messages(&one, &other);
    assert!(diff.is_empty());
    assert_eq!(
        (&diff.to_verify[0].primary[..], &diff.to_verify[0].other[..]),
        (&[0, 1][..], &[0, 2][..])
    );

    let cache = |rule: &mut tandem_judge::diff::Rule| rule.present_or_absent = true;
    let rules = || Rules::new().at("maybe", cache).at("", cache);
    assert_eq!(found(rules(), r#"{"maybe": 1}"#, "{}"), [""; 0]);
    assert_eq!(found(rules(), r#"{"maybe": 1}"#, r#"{"maybe": 2}"#), ["maybe Value 1 2"]);
    let answers = (Answer::ok(&[b""]), Answer::failed(5, b""));
    assert!(differ(rules()).compare(&answers.0, &answers.1).is_empty());
    assert!(!differ(rules()).compare(&answers.0, &Answer::failed(14, b"")).is_empty());
}

#[test]
fn compare_j_11_ranked_lists_agree_where_scores_are_close() {
    let page = |hits: &[(&str, f64)]| {
        let hits: Vec<_> = hits
            .iter()
            .map(|(id, score)| format!(r#"{{"id": "{id}", "score": {score:?}}}"#))
            .collect();
        format!(r#"{{"hits": [{}]}}"#, hits.join(","))
    };
    let rules = || {
        let rank = Rank { epsilon: 0.02, key: "id".into(), score: "score".into() };
        let near = Tolerance { absolute: 0.2, ulps: 0 };
        Rules::new().at("hits", |rule| rule.rank = Some(rank)).tolerance("hits.score", near)
    };
    let one = page(&[("a", 10.0), ("b", 9.9), ("c", 5.0)]);
    // Close scores change places, and the last one falls off for one that is as good.
    assert_eq!(found(rules(), &one, &page(&[("b", 9.9), ("a", 9.9), ("c", 5.0)])), [""; 0]);
    assert_eq!(found(rules(), &one, &page(&[("a", 10.0), ("b", 9.9), ("d", 4.95)])), [""; 0]);
    let swapped = found(rules(), &one, &page(&[("a", 10.0), ("c", 5.1), ("b", 9.9)]));
    assert_eq!(swapped, ["hits Order a b c a c b"]);
    let missing = found(rules(), &one, &page(&[("a", 10.0), ("c", 5.0)]));
    assert_eq!(missing, ["hits Length 1 without a counterpart 0 without a counterpart"]);
}

#[test]
fn compare_j_12_critical_fields_and_all_below_them_are_marked() {
    let differ = differ(Rules::new().critical("orders"));
    let one = wire(r#"{"orders": [{"price": 1.0}], "node": "a"}"#);
    let diff = differ.compare_messages(&one, &wire(r#"{"orders": [{"price": 2.0}], "node": "a"}"#));
    assert!(diff.is_critical());
    let diff = differ.compare_messages(&one, &wire(r#"{"orders": [{"price": 1.0}], "node": "b"}"#));
    assert!(!diff.is_critical() && !diff.is_empty());
}

#[test]
fn compare_n_10_values_that_the_contract_redacts_are_in_no_sample() {
    check(
        r#"{"secret": "hunter2"}"#,
        r#"{"secret": "hunter3"}"#,
        &["secret Value (redacted) (redacted)"],
    );
    let long = "x".repeat(5_000);
    let (one, other) = (format!(r#"{{"node": "{long}"}}"#), format!(r#"{{"node": "{long}y"}}"#));
    let differ = differ(Rules::new());
    let diff = differ.compare_messages(&wire(&one), &wire(&other));
    let shown = diff.listed[0].primary.as_ref().unwrap();
    assert_eq!(shown.chars().count(), 4_097);
}

#[test]
fn rules_that_name_no_field_are_refused_all_at_once() {
    let rules = Rules::new()
        .ignore("ordrs")
        .ignore("orders.prize")
        .unordered("node")
        .keyed("orders", "lines")
        .keyed("labels", "id")
        .tolerance("node", Tolerance::default())
        .tolerance("score", Tolerance { absolute: -1.0, ulps: 0 })
        .ignore("tookMs")
        .ignore("detail.t.Line");
    let faults =
        tandem_judge::diff::Differ::new(std::sync::Arc::clone(plans()), common::page(), rules)
            .unwrap_err();
    let texts: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 9, "{texts:#?}");
    let fine = Rules::new().ignore("extra.anything.at.all").ignore("detail.[t.Line].sku");
    differ(fine.ignore("labels.lines.sku").keyed("orders.lines", "sku").ignore("wrapped"));
}

#[test]
fn an_ignored_path_is_ignored_with_all_below_it() {
    let one =
        r#"{"orders": [{"id": "1", "price": 1.0}], "extra": {"took": 1, "x": 1}, "node": "a"}"#;
    let other =
        r#"{"orders": [{"id": "1", "price": 2.0}], "extra": {"took": 2, "x": 1}, "node": "a"}"#;
    assert_eq!(found(Rules::new().ignore("orders").ignore("extra.took"), one, other), [""; 0]);
}

#[test]
fn compare_n_3_rows_are_the_paths_of_the_type_and_recursion_ends() {
    let differ = differ(Rules::new().trailer("x-cost"));
    let rows = differ.rows();
    for name in [
        "<code>",
        "<details>",
        "<cost>",
        "<message>",
        "<trailers>.x-cost",
        "orders[]",
        "orders[].lines[].sku",
        "labels{}",
        "labels{}.price",
        "by",
        "whole.count",
        "next",
        "extra",
        "detail",
        "at",
    ] {
        assert!(rows.named(name).is_some(), "{name}");
    }
    assert_eq!(rows.named("next.node"), None);
    assert_eq!(rows.named("extra.fields{}"), None);
}

#[test]
fn a_pair_that_costs_too_much_is_different_on_the_path_cost() {
    let limits = |comparisons| Limits { comparisons, ..Limits::default() };
    let numbers = |last: u32| {
        let numbers: Vec<String> =
            (0..1_000).map(|at| if at == 999 { last.to_string() } else { "1".into() }).collect();
        wire(&format!(r#"{{"numbers": [{}]}}"#, numbers.join(",")))
    };
    let (one, other) = (numbers(1), numbers(2));
    let cheap = differ(Rules::new()).with_limits(limits(3_004));
    assert_eq!(lines(&cheap.compare_messages(&one, &other)), ["numbers[999] Value 1.0 2.0"]);
    for comparisons in [0, 1, 999, 2_000, 2_500, 3_000] {
        let cheap = differ(Rules::new()).with_limits(limits(comparisons));
        let diff = cheap.compare_messages(&one, &other);
        assert!(
            diff.listed.iter().any(|found| found.path.place().ends_with("<cost>")),
            "{comparisons}"
        );
        assert!(cheap.compare_messages(&one, &one).is_empty(), "equal bytes cost nothing");
    }
}

#[test]
fn messages_inside_each_other_end_at_a_depth_on_a_small_stack() {
    let deep = |leaf: &[u8]| {
        let mut message = leaf.to_vec();
        for _ in 0..100_000 {
            let mut around = vec![0x7a];
            let mut length = message.len();
            while length >= 0x80 {
                around.push(length as u8 | 0x80);
                length >>= 7;
            }
            around.push(length as u8);
            if around.len() + message.len() > 60_000 {
                break;
            }
            around.extend_from_slice(&message);
            message = around;
        }
        message
    };
    let (one, other) = (deep(b"\x12\x01a"), deep(b"\x12\x01b"));
    let run = move || {
        let diff = differ(Rules::new()).compare_messages(&one, &other);
        assert_eq!(diff.listed.len(), 1);
        assert!(
            diff.listed[0].path.place().ends_with(".<cost>"),
            "{}",
            diff.listed[0].path.place()
        );
        let set = differ(Rules::new().unordered(""))
            .compare(&Answer::ok(&[&one, b""]), &Answer::ok(&[&other, b""]));
        assert!(!set.is_empty());
    };
    std::thread::Builder::new().stack_size(512 << 10).spawn(run).unwrap().join().unwrap();
}

#[test]
fn bytes_that_are_no_message_differ_from_those_that_are_and_nothing_panics() {
    let differ = differ(Rules::new());
    let fine = wire(r#"{"node": "a"}"#);
    let diff = differ.compare_messages(&fine, b"\xff");
    assert_eq!(lines(&diff), ["<message> Unreadable - no message of its type"]);
    assert!(differ.compare_messages(b"\xff", b"\xff").is_empty());
    assert!(!differ.compare_messages(b"\xff", b"\xfe").is_empty());
    // One that lies inside.
    let diff = differ.compare_messages(b"\x7a\x01\xff", b"\x7a\x02\x12\x00");
    assert_eq!(lines(&diff), ["next Unreadable no message of its type -"]);
}
