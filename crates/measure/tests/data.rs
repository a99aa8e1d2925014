//! Messages made from contracts: valid, within the rules, the same for the same seed (compare
//! L-7).

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod compiled;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use compiled::compiled;
use serde_json::Value as Json;
use tandem_contract::{Contract, MethodId};
use tandem_measure::data::{DataOptions, Override, Values, calls, calls_of};
use tandem_transcode::{JsonOptions, Limits, Plans, json_from_wire};

/// A service with one method that takes `Request`, and what else the text declares.
fn contract(text: &str) -> Arc<Contract> {
    let text = format!(
        "syntax = \"proto3\"; package test;
        import \"buf/validate/validate.proto\";
        import \"google/api/annotations.proto\";
        import \"google/api/field_behavior.proto\";
        import \"google/protobuf/duration.proto\";
        import \"google/protobuf/struct.proto\";
        import \"google/protobuf/timestamp.proto\";
        import \"google/protobuf/wrappers.proto\";
        service S {{ rpc Get(Request) returns (Request) {{
            option (google.api.http) = {{ get: \"/v1/{{name=shelves/*/books/*}}\" }};
        }} }}
        {text}"
    );
    compiled(&text, "test.proto")
}

fn only_method(contract: &Contract) -> MethodId {
    contract.methods().next().unwrap().0
}

fn options(seed: u64) -> DataOptions {
    DataOptions::new(seed, Duration::from_secs(1_700_000_000))
}

/// The first `count` messages of a seed, as JSON.
fn made(contract: &Arc<Contract>, options: &DataOptions, count: u64) -> Vec<Json> {
    let method = only_method(contract);
    let values = Values::new(contract, method, options).unwrap();
    let plans = Plans::new(Arc::clone(contract));
    let input = contract.method(method).input;
    (0..count)
        .map(|number| {
            let wire = values.message(number);
            let shown = JsonOptions { proto_names: true, ..JsonOptions::default() };
            let json = json_from_wire(&plans, input, &wire, &shown, &Limits::default());
            let json = json.unwrap_or_else(|fault| panic!("message {number}: {fault:?}"));
            serde_json::from_slice(&json).unwrap()
        })
        .collect()
}

const RULES: &str = r#"
    enum Colour { COLOUR_UNSPECIFIED = 0; RED = 1; GREEN = 2; BLUE = 3; }
    message Request {
        string name = 1;
        int32 small = 2 [(buf.validate.field).int32 = { gte: -5, lt: 0 }];
        double half = 3 [(buf.validate.field).double = { gt: 0.25, lte: 0.75 }];
        string code = 4 [(buf.validate.field).string = { len: 6 }];
        string title = 5 [(buf.validate.field).string = { min_len: 20, max_len: 30, prefix: "T " }];
        string mail = 6 [(buf.validate.field).string.email = true];
        string uuid = 7 [(buf.validate.field).string.uuid = true];
        Colour colour = 8 [(buf.validate.field).enum = { defined_only: true, not_in: [2] }];
        repeated string tags = 9
            [(buf.validate.field).repeated = { min_items: 2, max_items: 2, unique: false,
                                               items: { string: { in: ["a", "b"] } } }];
        string made_there = 10 [(google.api.field_behavior) = OUTPUT_ONLY];
        optional string needed = 11 [(google.api.field_behavior) = REQUIRED];
        uint64 far = 12 [(buf.validate.field).uint64.gt = 5000000000];
        string shape = 13 [(buf.validate.field).string.pattern = "^x+$"];
        string page_token = 14;
    }
"#;

#[test]
fn compare_l_7_values_keep_the_rules_of_the_contract() {
    const SEED: u64 = 17;
    let contract = contract(RULES);
    for (number, message) in made(&contract, &options(SEED), 300).iter().enumerate() {
        let told = || format!("seed {SEED}, message {number}: {message}");
        let text = |name: &str| message[name].as_str().unwrap_or_default();
        let small = message["small"].as_i64().unwrap();
        assert!((-5..0).contains(&small), "{}", told());
        let half = message["half"].as_f64().unwrap();
        assert!(half > 0.25 && half <= 0.75, "{}", told());
        assert_eq!(text("code").chars().count(), 6, "{}", told());
        assert!(text("title").starts_with("T "), "{}", told());
        assert!((20..=30).contains(&text("title").chars().count()), "{}", told());
        assert!(text("mail").ends_with("@example.com"), "{}", told());
        let parts: Vec<usize> = text("uuid").split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12], "{}", told());
        assert!(["RED", "BLUE"].contains(&text("colour")), "{}", told());
        let tags = message["tags"].as_array().unwrap();
        assert!(tags.len() == 2 && tags.iter().all(|tag| tag == "a" || tag == "b"), "{}", told());
        assert!(message.get("made_there").is_none(), "{}", told());
        assert!(message.get("page_token").is_none(), "{}", told());
        assert!(message.get("needed").is_some(), "{}", told());
        assert!(text("far").parse::<u64>().unwrap() > 5_000_000_000, "{}", told());
        let name: Vec<&str> = text("name").split('/').collect();
        assert!(matches!(name[..], ["shelves", _, "books", _]), "{}", told());
    }
}

#[test]
fn rules_that_values_do_not_follow_are_named() {
    let contract = contract(RULES);
    let values = Values::new(&contract, only_method(&contract), &options(1)).unwrap();
    let notes = values.notes();
    assert_eq!(notes, ["test.Request.shape: rule string.pattern is not built in"]);
}

const KINDS: &str = r#"
    message Leaf { bool flag = 1; bytes raw = 2; Request back = 3; repeated Leaf leaves = 4; }
    message Request {
        string name = 1;
        repeated sint32 zigzag = 2;
        repeated fixed64 fixed = 3;
        repeated float floats = 4;
        map<string, int64> counts = 5;
        map<int32, Leaf> leaves = 6;
        oneof choice { string left = 7; Leaf right = 8; sfixed32 middle = 9; }
        Leaf leaf = 10;
        google.protobuf.Timestamp at = 11;
        google.protobuf.Duration took = 12;
        google.protobuf.Struct free = 13;
        google.protobuf.Int64Value wrapped = 14;
        optional bool maybe = 15;
        sfixed64 below = 16;
        repeated string words = 17;
        uint32 count = 18;
    }
"#;

#[test]
fn messages_of_every_kind_of_field_are_read_again_and_end() {
    const SEED: u64 = 23;
    let contract = contract(KINDS);
    let messages = made(&contract, &options(SEED), 200);
    let has = |name: &str| messages.iter().filter(|message| message.get(name).is_some()).count();
    for name in ["left", "right", "middle"] {
        assert!(has(name) > 30, "seed {SEED}: {name} in {} of 200", has(name));
    }
    assert_eq!(has("left") + has("right") + has("middle"), 200, "seed {SEED}");
    assert!((60..140).contains(&has("maybe")), "seed {SEED}: {}", has("maybe"));
    assert!(has("at") > 150 && has("free") > 150, "seed {SEED}");
    for message in &messages {
        assert!(message.to_string().len() < 200_000, "seed {SEED}");
        assert!(message["at"].as_str().is_none_or(|at| at.starts_with("2023-")), "{message}");
    }
}

#[test]
fn compare_l_7_the_same_seed_and_number_are_the_same_bytes() {
    let contract = contract(KINDS);
    let method = only_method(&contract);
    let messages = |seed| -> Vec<Bytes> {
        let values = Values::new(&contract, method, &options(seed)).unwrap();
        (0..50).map(|number| values.message(number)).collect()
    };
    assert_eq!(messages(7), messages(7));
    assert_ne!(messages(7), messages(8));
    let values = Values::new(&contract, method, &options(7)).unwrap();
    assert_eq!(values.message(49), messages(7)[49], "whatever was made before");
    let different: BTreeSet<Bytes> = messages(7).into_iter().collect();
    assert!(different.len() > 45, "{}", different.len());
}

#[test]
fn what_the_user_says_of_a_field_comes_first() {
    let contract = contract(RULES);
    let said = [
        ("name", Override::parse("a|b")),
        ("small", Override::parse("7..9")),
        ("half", Override::parse("2..2.5")),
        ("colour", Override::parse("GREEN")),
        ("title", Override::parse("skip")),
        ("page_token", Override::parse("key")),
    ];
    let overrides = said.map(|(path, given)| (path.to_owned(), given)).into();
    for message in made(&contract, &DataOptions { overrides, ..options(3) }, 100) {
        assert!(message["name"] == "a" || message["name"] == "b", "{message}");
        assert!((7..=9).contains(&message["small"].as_i64().unwrap()), "{message}");
        assert!((2.0..=2.5).contains(&message["half"].as_f64().unwrap()), "{message}");
        assert_eq!(message["colour"], "GREEN");
        assert!(message.get("title").is_none(), "{message}");
        assert!(message["page_token"].as_str().unwrap().starts_with("key-"), "{message}");
    }
}

#[test]
fn an_override_that_leads_nowhere_or_does_not_fit_is_named() {
    let contract = contract(KINDS);
    let overrides = [
        ("nothing", "key"),
        ("leaf", "a"),
        ("count", "many"),
        ("maybe", "yes"),
        ("left", "1..2"),
        ("zigzag", "9..2"),
        ("leaf.flag", "key"),
    ];
    let count = overrides.len();
    let overrides = overrides.map(|(path, text)| (path.to_owned(), Override::parse(text))).into();
    let options = DataOptions { overrides, ..options(1) };
    let faults = Values::new(&contract, only_method(&contract), &options).unwrap_err();
    assert_eq!(faults.len(), count, "{faults:#?}");
    assert!(faults[0].contains("no field `nothing`"), "{faults:#?}");
}

#[test]
fn keys_come_from_the_stated_space_and_the_first_most_often() {
    const SEED: u64 = 29;
    let contract =
        contract("message Request { string name = 1; string book_id = 2; int64 id = 3; }");
    let options = DataOptions { keys: 100, ..options(SEED) };
    let messages = made(&contract, &options, 2_000);
    let ids: Vec<&str> =
        messages.iter().map(|message| message["book_id"].as_str().unwrap()).collect();
    assert!(ids.iter().all(|id| id.len() == "key-001".len()), "seed {SEED}");
    let count = |key: &str| ids.iter().filter(|id| **id == key).count();
    // Zipf's law gives the first of 100 keys 23 %, the last 0.15 %.
    assert!((380..540).contains(&count("key-001")), "seed {SEED}: {}", count("key-001"));
    assert!(count("key-100") < 20, "seed {SEED}: {}", count("key-100"));
}

#[test]
fn contents_are_log_normal_around_the_stated_size() {
    const SEED: u64 = 31;
    let contract = contract("message Request { string name = 1; bytes payload = 2; }");
    let options = DataOptions { payload_bytes: 2_000.0, ..options(SEED) };
    let values = Values::new(&contract, only_method(&contract), &options).unwrap();
    let mut sizes: Vec<usize> = (0..1_001).map(|number| values.message(number).len()).collect();
    sizes.sort_unstable();
    assert!((1_700..2_400).contains(&sizes[500]), "seed {SEED}: median {}", sizes[500]);
    // One in forty has more than e² times the median.
    assert!(sizes[1_000 - 25] > 8_000, "seed {SEED}: {}", sizes[975]);
}

#[test]
fn every_request_of_a_case_can_be_made() {
    let contract = compiled("", "tandem/cases/catalogue/v1/contract.proto");
    let plans = Plans::new(Arc::clone(&contract));
    for (method, described) in contract.methods() {
        let values = Values::new(&contract, method, &options(1)).unwrap();
        for number in 0..50 {
            let wire = values.message(number);
            let (options, limits) = (JsonOptions::default(), Limits::default());
            let json = json_from_wire(&plans, described.input, &wire, &options, &limits);
            assert!(json.is_ok(), "{} message {number}: {json:?}", described.full_name());
        }
    }
}

#[test]
fn calls_take_the_methods_in_turns_and_end_at_their_bytes() {
    let contract = contract(RULES);
    let method = only_method(&contract);
    let both = [1, 2].map(|seed| Values::new(&contract, method, &options(seed)).unwrap());
    let made = calls(&both, 10, 3, usize::MAX);
    let methods: Vec<usize> = made.iter().map(|call| call.method).collect();
    assert_eq!(methods, [0, 1, 0, 1, 0, 1, 0, 1, 0, 1]);
    assert!(made.iter().all(|call| call.messages.len() == 1), "the method takes one message");
    let few = calls(&both, 10, 3, made[0].messages[0].len() + 1);
    assert_eq!(few.len(), 2);
    let recorded = calls_of(4, [Bytes::from_static(b"\x0a\x01a"), Bytes::new()]);
    assert_eq!((recorded.len(), recorded[1].method), (2, 4));
}
