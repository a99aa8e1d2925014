//! REST requests bound to messages, and answers cut out of them (protocols B, Q, I, P-12, A-2).

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod common;

use std::sync::Arc;

use common::compiled;
use serde_json::{Value, json};
use tandem_contract::Contract;
use tandem_transcode::{
    BindOptions, JsonOptions, Limits, Plans, RestAnswer, RestRequest, RulePlan, json_from_wire,
    request_from_rest, response_to_rest,
};

const CONTRACT: &str = r#"
syntax = "proto3"; package t;
import "google/api/annotations.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
message Book { string name = 1; int64 pages = 2; repeated string tags = 3; Author author = 4; map<string, string> labels = 5; }
message Author { string name = 1; optional int32 born = 2; }
message Request {
  string id = 1; Book book = 2; int32 size = 3; repeated int32 many = 4; bool flag = 5;
  Color color = 6; bytes raw = 7; google.protobuf.Timestamp at = 8; google.protobuf.Duration took = 9;
  google.protobuf.FieldMask mask = 10; google.protobuf.StringValue word = 11;
  google.protobuf.Struct structure = 12; repeated Book books = 13; optional int32 opt = 14;
  double number = 15; int64 big = 16; google.protobuf.Value value = 17;
  oneof one { string left = 18; int32 right = 19; }
}
enum Color { NONE = 0; RED = 1; }
service S {
  rpc Get(Request) returns (Request) { option (google.api.http) = { get: "/v1/get/{id}" }; }
  rpc Deep(Request) returns (Request) { option (google.api.http) = { get: "/v1/deep/{book.author.born}/{big}" }; }
  rpc Whole(Request) returns (Request) { option (google.api.http) = { post: "/v1/whole/{id}" body: "*" }; }
  rpc Part(Request) returns (Request) { option (google.api.http) = { patch: "/v1/part/{book.name}" body: "book" response_body: "book" }; }
  rpc One(Request) returns (Request) { option (google.api.http) = { post: "/v1/one/{left}" body: "*" }; }
  rpc List(Request) returns (Request) { option (google.api.http) = { post: "/v1/list" body: "many" response_body: "many" }; }
  rpc Map(Book) returns (Book) { option (google.api.http) = { get: "/v1/map" response_body: "labels" }; }
}
"#;

fn plans() -> Plans {
    Plans::new(Arc::new(Contract::from_descriptor_set(&compiled(CONTRACT)).unwrap()))
}

/// What the request of `method` becomes, or the field and the reason of its fault.
fn bound(
    method: &str,
    values: &[&str],
    query: &str,
    body: &str,
) -> Result<Value, (String, String)> {
    let plans = plans();
    let contract = plans.contract();
    let (_, found) = contract.methods().find(|(_, found)| &*found.name == method).unwrap();
    let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
    let rule = &found.rules[0];
    let plan = RulePlan::new(contract, rule, found.input, found.output);
    let request = RestRequest {
        rule: &plan,
        values: &values,
        query: (!query.is_empty()).then_some(query),
        body: body.as_bytes(),
        content_type: None,
        http_method: rule.http_method.name(),
    };
    let (options, limits) = (BindOptions::default(), Limits::default());
    let mut wire = Vec::new();
    request_from_rest(&plans, request, &options, &limits, &mut wire)
        .map_err(|fault| (fault.field, fault.reason))?;
    let json = json_from_wire(&plans, found.input, &wire, &options.json, &limits).unwrap();
    Ok(serde_json::from_slice(&json).unwrap())
}

fn taken(method: &str, values: &[&str], query: &str, body: &str, expected: Value) {
    let found = bound(method, values, query, body);
    assert_eq!(found, Ok(expected), "{method} {values:?} ?{query} {body}");
}

fn refused(method: &str, values: &[&str], query: &str, body: &str, field: &str) {
    let fault = bound(method, values, query, body).expect_err("a fault");
    assert_eq!(fault.0, field, "{method} {values:?} ?{query} {body}: {}", fault.1);
}

#[test]
fn protocols_p_12_path_values_are_parsed_by_the_type_of_their_field() {
    taken("Get", &["a b"], "", "", json!({ "id": "a b" }));
    taken(
        "Deep",
        &["-1", "9223372036854775807"],
        "",
        "",
        json!({ "book": { "author": { "born": -1 } }, "big": "9223372036854775807" }),
    );
    refused("Deep", &["x", "1"], "", "", "book.author.born");
    refused("Deep", &["1", "9223372036854775808"], "", "", "big");
}

#[test]
fn protocols_b_1_a_body_may_repeat_the_path_and_nothing_else() {
    let expected = || json!({ "id": "a", "size": 1 });
    taken("Whole", &["a"], "", r#"{"size":1}"#, expected());
    taken("Whole", &["a"], "", r#"{"size":1,"id":"a"}"#, expected());
    taken("Whole", &["a"], "", r#"{"size":1,"id":null}"#, expected());
    taken("Whole", &["a"], "", r#"{"size":1,"id":""}"#, expected());
    refused("Whole", &["a"], "", r#"{"id":"b"}"#, "id");
    refused("Part", &["n"], "", r#"{"name":"m"}"#, "book.name");
    taken(
        "Part",
        &["n"],
        "",
        r#"{"name":"n"}"#,
        json!({ "book": { "name": "n" }, "mask": "name" }),
    );
}

#[test]
fn protocols_b_2_to_b_6_nothing_is_bound_twice() {
    refused("Get", &["a"], "id=a", "", "id");
    refused("Whole", &["a"], "size=1", "{}", "size");
    refused("Part", &["n"], "book.pages=1", "{}", "book.pages");
    refused("Get", &["a"], "", "{}", "");
    taken("Part", &["n"], "size=1", "", json!({ "book": { "name": "n" }, "size": 1 }));
}

#[test]
fn protocols_b_3_two_members_of_a_oneof_are_refused_wherever_they_come_from() {
    refused("One", &["a"], "", r#"{"right":1}"#, "left");
    refused("Get", &["a"], "left=x&right=1", "", "right");
    taken("One", &["a"], "", r#"{"size":1}"#, json!({ "left": "a", "size": 1 }));
}

#[test]
fn protocols_q_1_to_q_8_parameters() {
    for (query, expected) in [
        ("size=5", json!({ "size": 5 })),
        ("book.author.name=x", json!({ "book": { "author": { "name": "x" } } })),
        ("many=1&many=2", json!({ "many": [1, 2] })),
        ("book.tags=a,b&book.tags=c", json!({ "book": { "tags": ["a,b", "c"] } })),
        ("left=a+b%2B", json!({ "left": "a b+" })),
        ("left", json!({ "left": "" })),
        ("flag=true", json!({ "flag": true })),
        ("color=RED", json!({ "color": "RED" })),
        ("color=7", json!({ "color": 7 })),
        ("raw=-_8", json!({ "raw": "+/8=" })),
        ("at=1970-01-01T00:00:05Z", json!({ "at": "1970-01-01T00:00:05Z" })),
        ("at.seconds=5", json!({ "at": "1970-01-01T00:00:05Z" })),
        ("took=1.5s", json!({ "took": "1.500s" })),
        ("mask=book.name,bookShelf", json!({ "mask": "book.name,bookShelf" })),
        ("mask=book_shelf", json!({ "mask": "bookShelf" })),
        ("word=", json!({ "word": "" })),
        ("opt=0", json!({ "opt": 0 })),
        ("number=NaN", json!({ "number": "NaN" })),
        ("&&size=5&", json!({ "size": 5 })),
    ] {
        let mut expected = expected;
        expected["id"] = json!("a");
        taken("Get", &["a"], query, "", expected);
    }
    for (query, field) in [
        ("size=1&size=2", "size"),
        ("size=1&Size=2", ""),
        ("size=", "size"),
        ("size", "size"),
        ("flag=TRUE", "flag"),
        ("flag=1", "flag"),
        ("color=BLUE", "color"),
        ("structure=1", "structure"),
        ("structure.a=1", "structure.a"),
        ("value=1", "value"),
        ("books=1", "books"),
        ("books.name=1", ""),
        ("book.labels=1", "book.labels"),
        ("nope=1", ""),
        ("book.nope=1", ""),
        ("left=%zz", ""),
        ("left=%ff", ""),
        ("at=x", "at"),
    ] {
        let fault = bound("Get", &["a"], query, "").expect_err(query);
        if !field.is_empty() && !query.starts_with("structure.a") {
            assert_eq!(fault.0, field, "{query}: {}", fault.1);
        }
    }
}

#[test]
fn protocols_i_2_bodies_that_are_empty_null_or_of_another_kind() {
    taken("Whole", &["a"], "", "", json!({ "id": "a" }));
    taken("Whole", &["a"], "", " ", json!({ "id": "a" }));
    refused("Whole", &["a"], "", "null", "");
    refused("Whole", &["a"], "", "[]", "");
    refused("Part", &["n"], "", "null", "book");
    taken("List", &[], "", "[1,2]", json!({ "many": [1, 2] }));
    refused("List", &[], "", "{}", "many");
}

#[test]
fn protocols_i_7_a_patch_names_the_keys_that_are_there() {
    let mask = |body: &str, query: &str| {
        bound("Part", &["n"], query, body).unwrap().get("mask").cloned().unwrap_or(Value::Null)
    };
    assert_eq!(mask(r#"{"pages":1,"author":{"born":null}}"#, ""), json!("pages,author.born"));
    assert_eq!(mask(r#"{"tags":[],"labels":{},"author":{}}"#, ""), json!("tags,labels,author"));
    assert_eq!(mask(r#"{"pages":1}"#, "mask=tags"), json!("tags"));
    assert_eq!(mask("", ""), Value::Null);
}

#[test]
fn protocols_a_2_response_body_is_one_field_and_its_absence_is_written() {
    let plans = plans();
    let contract = plans.contract();
    let (options, limits) = (JsonOptions::default(), Limits::default());
    let answer = |method: &str, json: &str| {
        let (_, found) = contract.methods().find(|(_, found)| &*found.name == method).unwrap();
        let wire = tandem_transcode::wire_from_json(
            &plans,
            found.output,
            json.as_bytes(),
            &options,
            &limits,
        )
        .unwrap();
        let rule = RulePlan::new(contract, &found.rules[0], found.input, found.output);
        match response_to_rest(&plans, &rule, &wire, &options, &limits).unwrap() {
            RestAnswer::Json(json) => String::from_utf8(json).unwrap(),
            RestAnswer::Raw { .. } => panic!("it is JSON"),
        }
    };
    assert_eq!(answer("Part", r#"{"book":{"pages":1}}"#), r#"{"pages":"1"}"#);
    assert_eq!(answer("Part", "{}"), "null");
    assert_eq!(answer("List", r#"{"many":[1]}"#), "[1]");
    assert_eq!(answer("List", "{}"), "[]");
    assert_eq!(answer("Map", "{}"), "{}");
    assert_eq!(answer("Get", "{}"), "{}");
}
