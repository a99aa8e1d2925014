//! Limits and options (J-16, J-17).

use tandem_transcode::{JsonOptions, Limits, json_from_wire, wire_from_json};

use super::Row::Wire;
use super::{Schema, bytes, check_with};
use crate::generated::{difference, parsed};

#[test]
fn protocols_j_16_depth_and_size_are_counted() {
    let both = Schema::Proto3.both();
    let id = both.plans.contract().message_named("t.M").unwrap();
    let options = JsonOptions::default();
    let limits = Limits { json_depth: 4, json_nodes: 9, wire_depth: 5, any_depth: 2 };
    let reads = |text: &str| wire_from_json(&both.plans, id, text.as_bytes(), &options, &limits);
    for (text, taken) in [
        (r#"{"sub":{"sub":{"sub":{}}}}"#, true),
        (r#"{"sub":{"sub":{"sub":{"sub":{}}}}}"#, false),
        (r#"{"sub":{"sub":{"many":[]}}}"#, true),
        (r#"{"sub":{"sub":{"sub":{"many":[]}}}}"#, false),
        // The object, the list and its elements are nine values, and ten.
        (r#"{"many":[1,2,3,4,5,6,7]}"#, true),
        (r#"{"many":[1,2,3,4,5,6,7,8]}"#, false),
        (r#"{"i32":1,"b":true,"byText":{"a":1,"b":2,"c":3,"d":4,"e":5}}"#, true),
        (r#"{"i32":1,"b":true,"byText":{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6}}"#, false),
    ] {
        assert_eq!(reads(text).is_ok(), taken, "{text}");
    }
    let writes = |wire: &str| json_from_wire(&both.plans, id, &bytes(wire), &options, &limits);
    for (wire, written) in [
        ("8a 01 09 8a 01 06 8a 01 03 8a 01 00", true),
        ("8a 01 0c 8a 01 09 8a 01 06 8a 01 03 8a 01 00", false),
        // A map entry is a level of its own.
        ("8a 01 0b 8a 01 08 b2 01 05 08 01 12 01 00", false),
        ("8a 01 0a 8a 01 07 b2 01 04 08 01 12 00", true),
        ("8a 01 0d 8a 01 0a 8a 01 07 b2 01 04 08 01 12 00", false),
        // Unknown groups are counted as well.
        ("c3 3e c3 3e c3 3e c3 3e c4 3e c4 3e c4 3e c4 3e", true),
    ] {
        assert_eq!(writes(wire).is_ok(), written, "{wire}");
    }
}

#[test]
fn protocols_j_17_each_option_changes_what_is_written() {
    let wire = "18 05 20 05 30 80 80 80 80 80 80 80 10 72 01 61 80 01 01";
    let plain = JsonOptions::default();
    for (options, expected) in [
        (plain, r#"{"i32":5,"i64":"5","u64":"9007199254740992","someText":"a","e":"ONE"}"#),
        (
            JsonOptions { enum_numbers: true, ..plain },
            r#"{"i32":5,"i64":"5","u64":"9007199254740992","someText":"a","e":1}"#,
        ),
        (
            JsonOptions { proto_names: true, ..plain },
            r#"{"i32":5,"i64":"5","u64":"9007199254740992","some_text":"a","e":"ONE"}"#,
        ),
        (
            // Beyond 2^53 - 1 a number is still text.
            JsonOptions { int64_numbers: true, ..plain },
            r#"{"i32":5,"i64":5,"u64":"9007199254740992","someText":"a","e":"ONE"}"#,
        ),
    ] {
        check_with(Schema::Proto3, &options, &[Wire(wire, Some(expected))]);
    }
    let numbers = JsonOptions { int64_numbers: true, ..plain };
    check_with(
        Schema::Proto3,
        &numbers,
        &[
            Wire("30 ff ff ff ff ff ff ff 0f", Some(r#"{"u64":9007199254740991}"#)),
            Wire("20 81 80 80 80 80 80 80 f0 ff 01", Some(r#"{"i64":-9007199254740991}"#)),
            Wire("20 80 80 80 80 80 80 80 f0 ff 01", Some(r#"{"i64":"-9007199254740992"}"#)),
            Wire("aa 02 02 08 05", Some(r#"{"wrapped":5}"#)),
            Wire("aa 01 05 0a 01 61 10 01", Some(r#"{"byText":{"a":1}}"#)),
            // Keys are text whatever they count.
            Wire("f2 02 05 08 01 12 01 61", Some(r#"{"byU64":{"1":"a"}}"#)),
        ],
    );
    let emit = JsonOptions { emit_defaults: true, ..plain };
    check_with(
        Schema::Edition,
        &emit,
        &[
            Wire("", Some(r#"{"implicit":0,"each":[],"many":[]}"#)),
            Wire("08 00", Some(r#"{"explicit":0,"implicit":0,"each":[],"many":[]}"#)),
        ],
    );
    let both = Schema::Proto3.both();
    let id = both.plans.contract().message_named("t.M").unwrap();
    let json = json_from_wire(&both.plans, id, b"", &emit, &Limits::default()).unwrap();
    let json = parsed(&String::from_utf8(json).unwrap());
    for (key, expected) in [
        ("d", Some("0.0")),
        ("i64", Some(r#""0""#)),
        ("b", Some("false")),
        ("someText", Some(r#""""#)),
        ("raw", Some(r#""""#)),
        ("e", Some(r#""ZERO""#)),
        ("many", Some("[]")),
        ("byText", Some("{}")),
        ("nothing", Some("null")),
        ("sub", None),
        ("maybe", None),
        ("left", None),
        ("at", None),
        ("wrapped", None),
        ("value", None),
    ] {
        let same = match (json.get(key), expected.map(parsed)) {
            (Some(ours), Some(expected)) => difference(ours, &expected).is_none(),
            (ours, expected) => ours.is_none() && expected.is_none(),
        };
        assert!(same, "{key}: {:?} and not {expected:?}", json.get(key));
    }
}
