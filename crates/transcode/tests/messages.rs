//! Messages both ways against the dynamic messages of another library, and hostile input.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod common;

use std::sync::Arc;

use buffa_descriptor::DescriptorPool;
use buffa_descriptor::reflect::DynamicMessage;
use common::compiled;
use proptest::prelude::*;
use serde_json::{Value, json};
use tandem_contract::Contract;
use tandem_transcode::{FaultKind, JsonOptions, Limits, Plans, json_from_wire, wire_from_json};

const TORTURE: &str = r#"
syntax = "proto3"; package t;
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
message All {
  double d = 1; float f = 2; int32 i32 = 3; int64 i64 = 4; uint32 u32 = 5; uint64 u64 = 6;
  sint32 s32 = 7; sint64 s64 = 8; fixed32 x32 = 9; fixed64 x64 = 10; sfixed32 y32 = 11;
  sfixed64 y64 = 12; bool b = 13; string some_text = 14; bytes raw = 15; E e = 16; All sub = 17;
  repeated int32 many = 18; repeated string texts = 19; repeated All subs = 20;
  map<string, int64> by_text = 21; map<int32, All> by_number = 22; map<bool, string> by_bool = 23;
  optional int32 maybe = 24;
  oneof one { string left = 25; int32 right = 26; All third = 27; }
  google.protobuf.Timestamp at = 28; google.protobuf.Duration took = 29;
  google.protobuf.FieldMask mask = 30; google.protobuf.Struct structure = 31;
  google.protobuf.Value value = 32; google.protobuf.ListValue list = 33;
  google.protobuf.Any any = 34; google.protobuf.Int64Value wrapped = 35;
  google.protobuf.StringValue wrapped_text = 36; repeated E enums = 37;
  google.protobuf.NullValue nothing = 38; repeated double doubles = 39;
}
enum E { ZERO = 0; ONE = 1; MINUS = -1; }
"#;

struct Both {
    plans: Plans,
    pool: Arc<DescriptorPool>,
}

impl Both {
    fn new() -> Both {
        let set = compiled(TORTURE);
        Both {
            plans: Plans::new(Arc::new(Contract::from_descriptor_set(&set).unwrap())),
            pool: Arc::new(DescriptorPool::decode(&set).unwrap()),
        }
    }

    fn wire(&self, json: &str) -> Result<Vec<u8>, String> {
        let all = self.plans.contract().message_named("t.All").unwrap();
        wire_from_json(
            &self.plans,
            all,
            json.as_bytes(),
            &JsonOptions::default(),
            &Limits::default(),
        )
        .map_err(|fault| fault.to_string())
    }

    fn json(&self, wire: &[u8]) -> Result<String, String> {
        let all = self.plans.contract().message_named("t.All").unwrap();
        json_from_wire(&self.plans, all, wire, &JsonOptions::default(), &Limits::default())
            .map(|json| String::from_utf8(json).unwrap())
            .map_err(|fault| fault.to_string())
    }

    fn oracle_wire(&self, json: &str) -> Result<Vec<u8>, String> {
        let all = self.pool.message_index("t.All").unwrap();
        DynamicMessage::from_json(Arc::clone(&self.pool), all, json)
            .map(|message| message.encode_to_vec())
            .map_err(|error| error.to_string())
    }

    fn oracle_json(&self, wire: &[u8]) -> Result<String, String> {
        let all = self.pool.message_index("t.All").unwrap();
        DynamicMessage::decode(Arc::clone(&self.pool), all, wire)
            .map_err(|error| error.to_string())?
            .to_json()
            .map_err(|error| error.to_string())
    }
}

/// JSON by meaning: `1` and `1.0` are one number.
fn value(json: &str) -> Value {
    fn numbers(value: &mut Value) {
        match value {
            Value::Number(number) => *value = json!(number.as_f64()),
            Value::Array(list) => list.iter_mut().for_each(numbers),
            Value::Object(map) => map.values_mut().for_each(numbers),
            Value::Null | Value::Bool(_) | Value::String(_) => {}
        }
    }
    let mut value = serde_json::from_str(json).unwrap();
    numbers(&mut value);
    value
}

#[test]
fn protocols_j_what_is_taken_and_what_it_becomes() {
    let both = Both::new();
    for (text, becomes) in [
        ("{}", "{}"),
        (r#"{"i64":9007199254740993}"#, r#"{"i64":"9007199254740993"}"#),
        (r#"{"i64":"-9223372036854775808"}"#, r#"{"i64":"-9223372036854775808"}"#),
        (r#"{"u64":"18446744073709551615"}"#, r#"{"u64":"18446744073709551615"}"#),
        (r#"{"i32":1e2,"u32":1.0}"#, r#"{"i32":100,"u32":1}"#),
        (r#"{"i32":"7"}"#, r#"{"i32":7}"#),
        (r#"{"d":"NaN","f":"-Infinity"}"#, r#"{"d":"NaN","f":"-Infinity"}"#),
        (r#"{"d":-0.0}"#, r#"{"d":-0}"#),
        (r#"{"some_text":"a"}"#, r#"{"someText":"a"}"#),
        (r#"{"someText":"é\u0041\ud83d\ude00\n"}"#, r#"{"someText":"éA😀\n"}"#),
        (r#"{"raw":"-_8"}"#, r#"{"raw":"+/8="}"#),
        (r#"{"raw":"+/8="}"#, r#"{"raw":"+/8="}"#),
        (r#"{"e":"ONE"}"#, r#"{"e":"ONE"}"#),
        (r#"{"e":-1}"#, r#"{"e":"MINUS"}"#),
        (r#"{"e":7}"#, r#"{"e":7}"#),
        (r#"{"i32":null,"sub":null,"many":null,"byText":null}"#, "{}"),
        (r#"{"maybe":0}"#, r#"{"maybe":0}"#),
        (r#"{"sub":{}}"#, r#"{"sub":{}}"#),
        (r#"{"left":""}"#, r#"{"left":""}"#),
        (
            r#"{"byNumber":{"-3":{"i32":1}},"byBool":{"true":"x"}}"#,
            r#"{"byNumber":{"-3":{"i32":1}},"byBool":{"true":"x"}}"#,
        ),
        (r#"{"at":"2026-11-24T12:00:00+01:00"}"#, r#"{"at":"2026-11-24T11:00:00Z"}"#),
        (r#"{"took":"-0.5s"}"#, r#"{"took":"-0.500s"}"#),
        (r#"{"mask":"someText,sub.i32"}"#, r#"{"mask":"someText,sub.i32"}"#),
        (
            r#"{"structure":{"a":[1,null,{"b":true}]}}"#,
            r#"{"structure":{"a":[1,null,{"b":true}]}}"#,
        ),
        (r#"{"value":null}"#, r#"{"value":null}"#),
        (r#"{"list":[]}"#, r#"{"list":[]}"#),
        (r#"{"wrapped":"0","wrappedText":""}"#, r#"{"wrapped":"0","wrappedText":""}"#),
        (r#"{"nothing":null}"#, "{}"),
        (
            r#"{"any":{"i32":1,"@type":"type.googleapis.com/t.All"}}"#,
            r#"{"any":{"@type":"type.googleapis.com/t.All","i32":1}}"#,
        ),
        (
            r#"{"any":{"@type":"x/google.protobuf.Duration","value":"1s"}}"#,
            r#"{"any":{"@type":"x/google.protobuf.Duration","value":"1s"}}"#,
        ),
        (r#"{"any":{}}"#, r#"{"any":{}}"#),
    ] {
        let wire = both.wire(text).unwrap_or_else(|why| panic!("{text}: {why}"));
        assert_eq!(value(&both.json(&wire).unwrap()), value(becomes), "{text}");
    }
}

#[test]
fn protocols_j_and_i_what_is_refused() {
    let both = Both::new();
    for text in [
        "",
        "null",
        "[]",
        "1",
        "{",
        "{}x",
        "{}{}",
        r#"{"nope":1}"#,
        r#"{"i32":1,"i32":2}"#,
        r#"{"some_text":"a","someText":"b"}"#,
        r#"{"i32":1.5}"#,
        r#"{"i32":2147483648}"#,
        r#"{"u32":-1}"#,
        r#"{"i32":"1 "}"#,
        r#"{"i32":"0x1"}"#,
        r#"{"i32":true}"#,
        r#"{"f":1e39}"#,
        r#"{"d":1e309}"#,
        r#"{"i32":01}"#,
        r#"{"i32":+1}"#,
        r#"{"i32":.5}"#,
        r#"{"i32":1.}"#,
        r#"{"b":"true"}"#,
        r#"{"b":1}"#,
        r#"{"someText":1}"#,
        r#"{"raw":"*"}"#,
        r#"{"e":"TWO"}"#,
        r#"{"many":[null]}"#,
        r#"{"many":1}"#,
        r#"{"byText":{"a":null}}"#,
        r#"{"byText":{"a":1,"a":2}}"#,
        r#"{"byNumber":{"1":{},"1.0":{}}}"#,
        r#"{"byBool":{"1":"x"}}"#,
        r#"{"left":"a","right":1}"#,
        r#"{"sub":[]}"#,
        r#"{"at":"yesterday"}"#,
        r#"{"at":1}"#,
        r#"{"took":"1"}"#,
        r#"{"mask":"some_text"}"#,
        r#"{"structure":[]}"#,
        r#"{"list":{}}"#,
        r#"{"any":{"i32":1}}"#,
        r#"{"any":{"@type":"x/t.Nope"}}"#,
        r#"{"any":{"@type":"t.All"}}"#,
        r#"{"any":{"@type":"x/google.protobuf.Duration","value":"1s","more":1}}"#,
        "{\"someText\":\"\n\"}",
        r#"{"someText":"\ud800"}"#,
        r#"{"someText":"\x"}"#,
        r#"{"someText":"a}"#,
        r#"{'i32':1}"#,
        r#"{"i32":1,}"#,
        r#"{i32:1}"#,
        "\u{feff}{}",
    ] {
        let fault = both.wire(text);
        assert!(fault.is_err(), "{text} was taken");
    }
    let all = both.plans.contract().message_named("t.All").unwrap();
    let text = b"{\"someText\":\"\xff\"}";
    let fault = wire_from_json(&both.plans, all, text, &JsonOptions::default(), &Limits::default());
    assert_eq!(fault.unwrap_err().kind, FaultKind::Caller);
}

#[test]
fn protocols_b_7_a_fault_names_its_field_and_its_place() {
    let both = Both::new();
    let all = both.plans.contract().message_named("t.All").unwrap();
    let text = br#"{"subs":[{},{"byNumber":{"1":{"i32":"x"}}}]}"#;
    let fault = wire_from_json(&both.plans, all, text, &JsonOptions::default(), &Limits::default())
        .unwrap_err();
    assert_eq!(fault.field, "subs[1].byNumber[`1`].i32");
    assert_eq!(fault.position, Some(36));
    let long = format!("{{\"i32\":\"{}\"}}", "x".repeat(1000));
    let fault = both.wire(&long).unwrap_err();
    assert!(fault.len() < 150, "{fault}");
}

#[test]
fn protocols_j_14_the_last_wins_and_messages_merge() {
    let both = Both::new();
    let parts = [
        r#"{"i32":1,"sub":{"i32":1},"many":[1],"byText":{"a":1},"left":"x"}"#,
        r#"{"i32":2,"sub":{"b":true},"many":[2],"byText":{"a":2,"b":3},"right":4}"#,
    ];
    let wire: Vec<u8> = parts.iter().flat_map(|part| both.wire(part).unwrap()).collect();
    let merged =
        json!({"i32":2,"sub":{"i32":1,"b":true},"many":[1,2],"byText":{"a":"2","b":"3"},"right":4});
    let merged = value(&merged.to_string());
    assert_eq!(value(&both.json(&wire).unwrap()), merged);
    assert_eq!(value(&both.oracle_json(&wire).unwrap()), merged);
    // Unpacked elements and unknown fields.
    let wire = [0x90, 0x01, 1, 0x92, 0x01, 2, 2, 3, 0xfa, 0x7f, 1, 9];
    assert_eq!(value(&both.json(&wire).unwrap()), value(r#"{"many":[1,2,3]}"#));
}

#[test]
fn protocols_j_12_ignored_unknowns_leave_nothing_behind() {
    let both = Both::new();
    let all = both.plans.contract().message_named("t.All").unwrap();
    let options = JsonOptions { ignore_unknown: true, ..JsonOptions::default() };
    let text = br#"{"nope":{"a":[1]},"e":"TWO","enums":["ONE","TWO"],"i32":1}"#;
    let wire = wire_from_json(&both.plans, all, text, &options, &Limits::default()).unwrap();
    assert_eq!(value(&both.json(&wire).unwrap()), value(r#"{"enums":["ONE"],"i32":1}"#));
}

#[test]
fn protocols_j_17_options_change_how_json_is_written() {
    let both = Both::new();
    let all = both.plans.contract().message_named("t.All").unwrap();
    let wire = both.wire(r#"{"i64":5,"u64":"9007199254740992","e":"ONE","someText":"a"}"#).unwrap();
    let options = JsonOptions {
        enum_numbers: true,
        proto_names: true,
        int64_numbers: true,
        ..JsonOptions::default()
    };
    let out = json_from_wire(&both.plans, all, &wire, &options, &Limits::default()).unwrap();
    assert_eq!(
        value(std::str::from_utf8(&out).unwrap()),
        value(r#"{"i64":5,"u64":"9007199254740992","e":1,"some_text":"a"}"#)
    );
    let options = JsonOptions { emit_defaults: true, ..JsonOptions::default() };
    let out = json_from_wire(&both.plans, all, b"", &options, &Limits::default()).unwrap();
    let out = value(std::str::from_utf8(&out).unwrap());
    assert_eq!(out["i64"], "0");
    assert_eq!(out["many"], json!([]));
    assert_eq!(out["byText"], json!({}));
    assert_eq!(out["e"], "ZERO");
    assert!(out.get("sub").is_none() && out.get("maybe").is_none() && out.get("left").is_none());
}

#[test]
fn protocols_j_9_a_type_may_come_late_at_every_level() {
    let both = Both::new();
    let any = "x/google.protobuf.Any";
    let early = r#"{"@type":"x/t.All","i32":1,"any":{"@type":"x/t.All","b":true}}"#;
    let late = r#"{"any":{"b":true,"@type":"x/t.All"},"i32":1,"@type":"x/t.All"}"#;
    let wrapped = |inner: &str, late: bool| {
        if late {
            format!(r#"{{"value":{inner},"@type":"{any}"}}"#)
        } else {
            format!(r#"{{"@type":"{any}","value":{inner}}}"#)
        }
    };
    let mut expected = early.to_owned();
    let mut given = late.to_owned();
    for level in 0..20 {
        expected = wrapped(&expected, false);
        given = wrapped(&given, level % 3 != 0);
    }
    // Two of them side by side: what was looked through for one does not serve the other.
    let value_of = |text: &str| value(&both.json(&both.wire(text).unwrap()).unwrap());
    let pair = |text: &str| format!(r#"{{"any":{text},"sub":{{"any":{text}}}}}"#);
    assert_eq!(value_of(&pair(&given)), value_of(&pair(&expected)));
    for text in [
        r#"{"any":{"i32":1,"sub":{"any":{"b":true}}}}"#,
        r#"{"any":{"sub":{"@type":"x/t.All"},"i32":1}}"#,
    ] {
        assert!(both.wire(text).unwrap_err().contains("without `@type`"), "{text}");
    }
}

#[test]
fn security_r_6_broken_bytes_are_the_upstreams_fault() {
    let both = Both::new();
    let all = both.plans.contract().message_named("t.All").unwrap();
    for wire in [
        &b"\x72"[..],
        b"\x72\x05ab",
        b"\x72\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x00\x01",
        b"\x1c",
        b"\x1b\x18\x01",
        b"\x92\x01\x01\x80",
        b"\x72\x02\xc3\x28",
        b"\xe2\x01\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x10\x01",
    ] {
        let fault =
            json_from_wire(&both.plans, all, wire, &JsonOptions::default(), &Limits::default());
        assert_eq!(fault.unwrap_err().kind, FaultKind::Upstream, "{wire:?}");
    }
}

/// A message of length-delimited fields.
fn fields_of(fields: &[(u32, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, bytes) in fields {
        tandem_contract::fields::put_bytes(*number, bytes, &mut out);
    }
    out
}

/// Runs `work` on a stack of 2 MiB, as a data thread has it.
fn on_a_small_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(2 << 20);
        thread.spawn_scoped(scope, work).unwrap().join().unwrap()
    })
}

#[test]
fn security_r_7_a_hundred_thousand_levels_are_an_error_and_no_abort() {
    const LEVELS: usize = 100_000;
    let both = Both::new();
    for (open, inner, close) in
        [("[", "", "]"), ("{\"structure\":", "{}", "}"), ("{\"sub\":", "{}", "}")]
    {
        for prefix in ["", "{\"list\":", "{\"value\":"] {
            let text = format!("{prefix}{}{inner}{}", open.repeat(LEVELS), close.repeat(LEVELS));
            assert!(on_a_small_stack(|| both.wire(&text)).is_err());
        }
    }
    let open = "{\"@type\":\"x/google.protobuf.Any\",\"value\":";
    let text = format!("{{\"any\":{}{{}}{}}}", open.repeat(LEVELS), "}".repeat(LEVELS));
    assert!(on_a_small_stack(|| both.wire(&text)).is_err());

    // The same on the wire: messages, groups, Any in Any, lists in values.
    let url = b"x/google.protobuf.Any";
    let mut any = Vec::new();
    let mut message = Vec::new();
    for _ in 0..5_000 {
        any = fields_of(&[(1, url), (2, &any)]);
        message = fields_of(&[(17, &message)]);
    }
    // Any deeper than 32 is kept unread; there is no abort, and no unbounded work either.
    let wire = fields_of(&[(34, &any)]);
    let opaque = on_a_small_stack(|| both.json(&wire)).unwrap();
    assert_eq!(opaque.matches("@type").count(), 33);
    assert!(on_a_small_stack(|| both.json(&message)).is_err());
    let groups = vec![0x0b; LEVELS];
    assert!(on_a_small_stack(|| both.json(&groups)).is_err());
}

#[test]
fn security_li_12_and_13_the_last_depth_that_passes_and_the_first_that_does_not() {
    let both = Both::new();
    let nested =
        |levels: usize| format!("{}{{}}{}", "{\"sub\":".repeat(levels - 1), "}".repeat(levels - 1));
    assert!(both.wire(&nested(48)).is_ok());
    assert!(both.wire(&nested(49)).is_err());
    let mut wire = Vec::new();
    for _ in 0..99 {
        wire = fields_of(&[(17, &wire)]);
    }
    assert!(both.json(&wire).is_ok());
    assert!(both.json(&fields_of(&[(17, &wire)])).is_err());
    let many = |values: usize| format!("{{\"many\":[{}]}}", vec!["1"; values].join(","));
    // The object and the list are values too.
    assert!(both.wire(&many(99_998)).is_ok());
    assert!(both.wire(&many(99_999)).is_err());
}

#[test]
fn security_li_16_an_answer_cannot_grow_without_bound() {
    let both = Both::new();
    let all = both.plans.contract().message_named("t.All").unwrap();
    // Each empty message is two bytes on the wire; with all its fields written it is hundreds.
    let wire: Vec<u8> = (0..20_000).flat_map(|_| [0xa2, 0x01, 0x00]).collect();
    let options = JsonOptions { emit_defaults: true, ..JsonOptions::default() };
    let fault = json_from_wire(&both.plans, all, &wire, &options, &Limits::default());
    assert_eq!(fault.unwrap_err().kind, FaultKind::TooLarge);
}

/// JSON of the torture message, mostly lawful.
fn torture(depth: u32) -> BoxedStrategy<Value> {
    let text = prop_oneof!["[a-z]{0,6}", "\\PC{0,6}"];
    let field = prop_oneof![
        any::<f64>().prop_filter_map("finite", |d| d.is_finite().then(|| ("d", json!(d)))),
        any::<i32>().prop_map(|i| ("i32", json!(i))),
        any::<i64>().prop_map(|i| ("i64", json!(i.to_string()))),
        any::<i64>().prop_map(|i| ("s64", json!(i))),
        any::<u64>().prop_map(|u| ("x64", json!(u))),
        any::<i32>().prop_map(|i| ("y32", json!(i))),
        any::<bool>().prop_map(|b| ("b", json!(b))),
        text.clone().prop_map(|t| ("someText", json!(t))),
        prop::sample::select(vec!["ZERO", "ONE", "MINUS"]).prop_map(|e| ("e", json!(e))),
        any::<Option<i32>>().prop_map(|i| ("maybe", json!(i))),
        prop::collection::vec(any::<i32>(), 0..4).prop_map(|many| ("many", json!(many))),
        prop::collection::vec(text.clone(), 0..4).prop_map(|many| ("texts", json!(many))),
        prop::collection::btree_map(text.clone(), any::<i64>(), 0..4)
            .prop_map(|map| ("byText", json!(map))),
        (-62_135_596_800_i64..253_402_300_800).prop_map(|_| ("took", json!("1.5s"))),
        any::<i64>().prop_map(|i| ("wrapped", json!(i))),
        text.clone().prop_map(|t| ("structure", json!({ "k": [t, 1, null, { "x": false }] }))),
        text.clone().prop_map(|t| ("value", json!(t))),
        text.prop_map(|t| ("any", json!({ "@type": "x/t.All", "someText": t }))),
    ];
    let flat = prop::collection::vec(field, 0..6).prop_map(|fields| {
        Value::Object(fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    });
    if depth == 0 {
        return flat.boxed();
    }
    (flat, prop::option::of(torture(depth - 1)), prop::collection::vec(torture(depth - 1), 0..3))
        .prop_map(|(mut all, sub, subs)| {
            if let Some(sub) = sub {
                all["sub"] = sub.clone();
                all["byNumber"] = json!({ "5": sub });
            }
            all["subs"] = json!(subs);
            all
        })
        .boxed()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn both_ways_agree_with_the_dynamic_messages_of_another_library(message in torture(2)) {
        let both = Both::new();
        let text = message.to_string();
        let wire = both.wire(&text).unwrap();
        let oracle = both.oracle_wire(&text).unwrap();
        // The same message, whichever library reads it.
        let mine = both.oracle_json(&wire).unwrap();
        let theirs = both.oracle_json(&oracle).unwrap();
        prop_assert_eq!(value(&mine), value(&theirs));
        prop_assert_eq!(value(&both.json(&oracle).unwrap()), value(&theirs));
        prop_assert_eq!(value(&both.json(&wire).unwrap()), value(&theirs));
    }

    #[test]
    fn any_bytes_end_in_json_or_in_a_fault(wire in prop::collection::vec(any::<u8>(), 0..80)) {
        let both = Both::new();
        if let Ok(json) = both.json(&wire) {
            prop_assert!(serde_json::from_str::<Value>(&json).is_ok(), "{json}");
        }
    }

    #[test]
    fn any_text_ends_in_a_message_or_in_a_fault(text in "[{}\\[\\]\":,a-z0-9.eE+ \\-\\\\]{0,40}") {
        let both = Both::new();
        if let Ok(wire) = both.wire(&text) {
            prop_assert!(both.json(&wire).is_ok(), "{text}");
        }
    }
}

#[test]
fn a_message_has_one_canonical_form_whatever_its_encoding() {
    let both = Both::new();
    let all = both.plans.contract().message_named("t.All").unwrap();
    let canonical = |wire: &[u8]| {
        tandem_transcode::wire_from_wire(&both.plans, all, wire, &Limits::default()).unwrap()
    };
    let one = both
        .wire(r#"{"byText":{"b":"2","a":"1"},"i32":-1,"sub":{"b":true,"i32":1},"many":[1,2],"left":"x"}"#)
        .unwrap();
    let parts = [
        r#"{"left":"y","many":[1],"sub":{"i32":2}}"#,
        r#"{"right":4,"byText":{"a":"9"}}"#,
        r#"{"many":[2],"i32":7,"sub":{"i32":1,"b":true},"byText":{"a":"1","b":"2"},"left":"x"}"#,
        r#"{"i32":-1}"#,
    ];
    let other: Vec<u8> = parts.iter().flat_map(|part| both.wire(part).unwrap()).collect();
    assert_eq!(canonical(&one), canonical(&other));
    assert_eq!(canonical(&canonical(&one)), canonical(&one));
    // The oracle reads the same message.
    assert_eq!(both.oracle_json(&canonical(&other)).unwrap(), both.oracle_json(&other).unwrap());
    // Protocols J-15: what is not known stays, behind the rest.
    let mut unknown = vec![0xfa, 0x7f, 1, 9];
    unknown.extend_from_slice(&one);
    assert!(canonical(&unknown).ends_with(&[0xfa, 0x7f, 1, 9]));
}

#[test]
fn protocols_j_13_a_number_outside_a_closed_enum_is_not_there_at_all() {
    let set = compiled(
        "syntax = \"proto2\"; package t;
         enum E { A = 1; B = 2; }
         message M { optional E e = 1; oneof o { E one = 2; int32 two = 3; } repeated E many = 4;
           map<string, E> map = 5; }",
    );
    let plans = Plans::new(Arc::new(Contract::from_descriptor_set(&set).unwrap()));
    let message = plans.contract().message_named("t.M").unwrap();
    for (wire, json) in [
        (&[8, 1, 8, 9][..], r#"{"e":"A"}"#),
        (&[8, 9, 8, 2], r#"{"e":"B"}"#),
        (&[8, 9], "{}"),
        // It wipes no other member, and none wipes it.
        (&[24, 7, 16, 9], r#"{"two":7}"#),
        (&[16, 9, 24, 7], r#"{"two":7}"#),
        (&[16, 1, 24, 7, 16, 9], r#"{"two":7}"#),
        (&[34, 3, 1, 9, 2, 32, 9], r#"{"many":["A","B"]}"#),
        (&[32, 9], "{}"),
        (&[42, 5, 10, 1, b'a', 16, 9], "{}"),
        (&[42, 7, 10, 1, b'a', 16, 1, 16, 9], "{}"),
        (&[42, 10, 10, 1, b'a', 16, 1, 16, 9, 10, 1, b'a'], "{}"),
        (&[42, 2, 16, 1, 42, 2, 16, 9], r#"{"map":{"":"A"}}"#),
        (&[42, 2, 16, 9, 42, 2, 16, 1, 42, 2, 16, 9], r#"{"map":{"":"A"}}"#),
        (&[42, 2, 16, 1, 8, 1, 42, 2, 16, 9, 42, 2, 16, 2], r#"{"e":"A","map":{"":"B"}}"#),
        (&[42, 7, 10, 1, b'a', 16, 9, 16, 1], r#"{"map":{"a":"A"}}"#),
    ] {
        let (options, limits) = (JsonOptions::default(), Limits::default());
        let written = json_from_wire(&plans, message, wire, &options, &limits);
        let written = written.map(|json| String::from_utf8(json).unwrap());
        assert_eq!(written.as_deref(), Ok(json), "{wire:?}");
    }
}
