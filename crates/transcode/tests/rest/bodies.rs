//! Request bodies (protocols, section 5).

use serde_json::{Value, json};
use tandem_transcode::{Limits, RestRequest, RulePlan, Unknown, request_from_rest};

use crate::call::{Call, Types, call};

/// A body that is one field: the value that the field has, or a fault.
fn check(field: &str, body: &str, expected: Option<Value>) {
    let template = format!("/{field}");
    let bound = call("Field", &template).body(body);
    match expected {
        Some(Value::Null) => bound.becomes(json!({})),
        Some(expected) => bound.becomes(json!({ field: expected })),
        None => {
            let fault = bound.json().expect_err(body);
            assert!(fault.field.is_empty() || fault.field.starts_with(field), "{body}: {fault}");
        }
    }
}

#[test]
fn protocols_i_1_a_body_is_a_field_of_any_kind() {
    for (field, body, expected) in [
        ("book", r#"{"name":"n"}"#, Some(json!({ "name": "n" }))),
        ("book", "{}", Some(json!({}))),
        ("size", "5", Some(json!(5))),
        ("size", "\"5\"", Some(json!(5))),
        ("size", "0", Some(Value::Null)),
        ("size", "x", None),
        ("opt", "0", Some(json!(0))),
        ("flag", "true", Some(json!(true))),
        ("flag", "1", None),
        ("many", "[1, 2]", Some(json!([1, 2]))),
        ("many", "[]", Some(Value::Null)),
        ("many", "1", None),
        ("many", "[null]", None),
        ("color", "\"RED\"", Some(json!("RED"))),
        ("color", "7", Some(json!(7))),
        ("color", "\"BLUE\"", None),
        ("colors", r#"["RED",-1]"#, Some(json!(["RED", "MINUS"]))),
        ("word", "\"x\"", Some(json!("x"))),
        ("word", "\"\"", Some(json!(""))),
        ("structure", r#"{"a":[1,null]}"#, Some(json!({ "a": [1.0, null] }))),
        ("structure", "[]", None),
        ("value", "\"x\"", Some(json!("x"))),
        ("value", "[{}]", Some(json!([{}]))),
        ("value", "1", Some(json!(1.0))),
        ("list", "[true]", Some(json!([true]))),
        ("list", "{}", None),
        ("at", "\"1970-01-01T00:00:05Z\"", Some(json!("1970-01-01T00:00:05Z"))),
        ("raw", "\"-_8\"", Some(json!("+/8="))),
        ("books", r#"[{"name":"a"},{}]"#, Some(json!([{ "name": "a" }, {}]))),
        ("third", r#"{"tags":["x"]}"#, Some(json!({ "tags": ["x"] }))),
        ("empty", "{}", Some(json!({}))),
        ("mask", "\"a,b\"", Some(json!("a,b"))),
        (
            "any",
            r#"{"@type":"type.googleapis.com/t.Author","name":"x"}"#,
            Some(json!({ "@type": "type.googleapis.com/t.Author", "name": "x" })),
        ),
    ] {
        check(field, body, expected);
    }
    call("Labels", "/labels")
        .body(r#"{"a":"b","c":""}"#)
        .becomes(json!({ "labels": { "a": "b", "c": "" } }));
    call("Labels", "/labels").body(r#"{"a":"b","a":"c"}"#).refused("labels", "stands twice");
}

#[test]
fn protocols_i_2_bodies_that_are_empty_null_or_of_another_kind() {
    for body in ["", " ", "\r\n\t "] {
        call("Whole", "/none").body(body).becomes(json!({}));
        check("book", body, Some(Value::Null));
        check("many", body, Some(Value::Null));
        check("value", body, Some(Value::Null));
    }
    for field in
        ["book", "size", "many", "word", "structure", "at", "books", "third", "list", "any"]
    {
        for body in ["null", " null\n"] {
            let template = format!("/{field}");
            let fault = call("Field", &template).body(body).json().expect_err(field);
            assert_eq!(fault.field, field, "{fault}");
        }
    }
    // For these two null is a value.
    call("Field", "/value").body("null").becomes(json!({ "value": null }));
    assert!(call("Field", "/nothing").body("null").json().is_ok());
    for body in ["null", "[]", "1", "\"x\"", "true"] {
        call("Whole", "/none").body(body).refused("", "an object was expected");
    }
    for body in ["[]", "1", "\"x\""] {
        check("book", body, None);
    }
}

#[test]
fn protocols_i_3_one_value_and_each_key_once() {
    for body in ["{} {}", "{}x", "{},", r#"{"size":1} null"#] {
        call("Whole", "/none").body(body).refused("", "text stands behind the value");
    }
    check("size", "5 5", None);
    check("many", "[1]]", None);
    for (body, key) in [
        (r#"{"size":1,"size":1}"#, "size"),
        (r#"{"wrappedFlag":true,"wrapped_flag":true}"#, "wrappedFlag"),
        (r#"{"size":1,"\u0073ize":1}"#, "size"),
        (r#"{"size":null,"size":1}"#, "size"),
    ] {
        call("Whole", "/none").body(body).refused("", &format!("the key `{key}` stands twice"));
    }
    call("Field", "/book")
        .body(r#"{"firstLine":"a","first_line":"a"}"#)
        .refused("book", "the key `firstLine` stands twice");
    call("Whole", "/none").body("{\"size\":1").refused("", "");
}

#[test]
fn protocols_i_4_unknown_keys_are_refused_or_dropped() {
    let body = r#"{"nope":[{"a":1}],"size":1,"book":{"nope":1,"name":"n"}}"#;
    let whole = call("Whole", "/none").body(body);
    whole.refused("", "unknown field `nope`");
    whole
        .with(|options| options.json.ignore_unknown = true)
        .becomes(json!({ "size": 1, "book": { "name": "n" } }));
    // The other switch is another one.
    whole.with(|options| options.unknown_query = Unknown::Ignore).refused("", "unknown field");
    // What is dropped must be JSON all the same.
    call("Whole", "/none")
        .body(r#"{"nope":[1,]}"#)
        .with(|options| options.json.ignore_unknown = true)
        .refused("", "");
}

#[test]
fn protocols_i_8_a_raw_body_is_a_media_type_and_bytes() {
    let raw = |template, body: &'static [u8], content_type| Call {
        body,
        content_type,
        ..call("Field", template)
    };
    let upload = |body, content_type| raw("/upload", body, content_type);
    let value = |content_type: &str, data: &str| json!({ "upload": { "contentType": content_type, "data": data } });
    upload(b"\0\xff", Some("a/b; c=d")).becomes(value("a/b; c=d", "AP8="));
    // Text that looks like JSON, or like nothing, is bytes too.
    upload(b"{}", Some("application/json")).becomes(value("application/json", "e30="));
    upload(b"  ", Some("a/b")).becomes(value("a/b", "ICA="));
    upload(b"null", None).becomes(json!({ "upload": { "data": "bnVsbA==" } }));
    upload(b"", Some("a/b")).becomes(json!({ "upload": { "contentType": "a/b" } }));
    upload(b"", None).becomes(json!({}));
    // Other fields come from the query; those of the body do not.
    Call { query: "id=a&book.name=n", ..upload(b"x", None) }
        .becomes(json!({ "upload": { "data": "eA==" }, "id": "a", "book": { "name": "n" } }));
    Call { query: "upload.data=eA==", ..upload(b"x", None) }
        .refused("upload.data", "it belongs to the body");
    // A member of a oneof.
    raw("/page", b"x", None).becomes(json!({ "page": { "data": "eA==" } }));
    Call { query: "left=a", ..raw("/page", b"x", None) }.refused("left", "a second member");
    Call { query: "left=a", ..raw("/page", b"", None) }.becomes(json!({ "left": "a" }));

    // The whole request.
    let whole = |template, body: &'static [u8], content_type| Call {
        body,
        content_type,
        ..call("Raw", template)
    };
    whole("/raw", b"[", Some("a/b")).becomes(json!({ "contentType": "a/b", "data": "Ww==" }));
    whole("/raw", b"", None).becomes(json!({}));
    Call { query: "content_type=a", ..whole("/raw", b"x", None) }
        .refused("content_type", "a parameter binds nothing");
    // The path and the header may not differ (B-1).
    let typed = |content_type| whole("/raw/{content_type}", b"x", content_type).path(&["a"]);
    typed(Some("a")).becomes(json!({ "contentType": "a", "data": "eA==" }));
    typed(None).becomes(json!({ "contentType": "a", "data": "eA==" }));
    typed(Some("b")).refused("content_type", "another value than the path");
    // In a list, or as a field of a message that is JSON, it is JSON.
    call("Whole", "/none")
        .body(r#"{"upload":{"data":"eA=="}}"#)
        .becomes(json!({ "upload": { "data": "eA==" } }));
}

#[test]
fn a_rule_says_whether_its_body_and_its_answer_are_json() {
    let types = Types::shop();
    for (method, template, takes_body, takes_raw, answers_raw) in [
        ("Path", "/{id}", false, false, false),
        ("Whole", "/none", true, false, false),
        ("Field", "/book", true, false, false),
        ("Field", "/upload", true, true, false),
        ("Raw", "/raw", true, true, true),
        ("Answer", "/upload", false, false, true),
        ("Answer", "/book", false, false, false),
    ] {
        let (found, rule) = types.rule(method, template);
        let plan = RulePlan::new(types.plans.contract(), rule, found.input, found.output);
        assert_eq!(
            (plan.takes_body(), plan.takes_raw(), plan.answers_raw()),
            (takes_body, takes_raw, answers_raw),
            "{method} {template}"
        );
    }
}

/// Levels of JSON: the last that passes, the first that does not, in each place of a body.
#[test]
fn security_li_12_the_depth_is_counted_from_the_body_on() {
    let types = Types::shop();
    let bound = |template: &str, body: &str| {
        let method = if template == "/none" { "Whole" } else { "Field" };
        let (found, rule) = types.rule(method, template);
        let plan = RulePlan::new(types.plans.contract(), rule, found.input, found.output);
        let request = RestRequest {
            rule: &plan,
            values: &[],
            query: None,
            body: body.as_bytes(),
            content_type: None,
            http_method: "POST",
        };
        let mut out = Vec::new();
        request_from_rest(&types.plans, request, &Default::default(), &Limits::default(), &mut out)
    };
    let books = |levels: usize| {
        format!("{}{{}}{}", r#"{"sequel":"#.repeat(levels - 1), "}".repeat(levels - 1))
    };
    assert!(bound("/book", &books(48)).is_ok());
    assert!(bound("/book", &books(49)).is_err());
    assert!(bound("/none", &format!(r#"{{"book":{}}}"#, books(47))).is_ok());
    assert!(bound("/none", &format!(r#"{{"book":{}}}"#, books(48))).is_err());
    // Lists inside a Value cost two messages each.
    let lists = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert!(bound("/value", &lists(48)).is_ok());
    assert!(bound("/value", &lists(49)).is_err());
    for levels in [1_000, 100_000] {
        assert!(bound("/value", &lists(levels)).is_err());
        assert!(bound("/book", &books(levels)).is_err());
    }
}
