//! Later messages of a stream of requests: path and query are those of the first.

use serde_json::json;
use tandem_transcode::RulePlan;

use crate::call::{Types, call};

#[test]
fn protocols_s_10_path_and_query_bind_into_the_first_message_only() {
    for (call, first, later) in [
        (
            call("Named", "/book/{book.name}").path(&["a"]).query("id=x").body(r#"{"pages":"1"}"#),
            json!({ "id": "x", "book": { "name": "a", "pages": "1" } }),
            json!({ "book": { "pages": "1" } }),
        ),
        (
            call("Field", "/many").body("[1,2]"),
            json!({ "many": [1, 2] }),
            json!({ "many": [1, 2] }),
        ),
        (call("Field", "/book").query("id=x"), json!({ "id": "x" }), json!({})),
        (
            call("Patch", "/book").body(r#"{"pages":"1"}"#),
            json!({ "book": { "pages": "1" }, "mask": "pages" }),
            json!({ "book": { "pages": "1" }, "mask": "pages" }),
        ),
        (
            // The mask of the query is the first message's: the later one has its own.
            call("Patch", "/book").query("mask=name").body(r#"{"pages":"1"}"#),
            json!({ "book": { "pages": "1" }, "mask": "name" }),
            json!({ "book": { "pages": "1" }, "mask": "pages" }),
        ),
    ] {
        assert_eq!(call.json(), Ok(first));
        assert_eq!(call.later(), Ok(later));
    }
}

#[test]
fn protocols_s_10_a_later_message_may_say_what_the_path_says() {
    // Another value than the path's, and another member of its oneof.
    let named = call("Named", "/book/{book.name}").path(&["a"]).body(r#"{"name":"b"}"#);
    named.refused("book.name", "another value than the path");
    assert_eq!(named.later(), Ok(json!({ "book": { "name": "b" } })));
    let left = call("Named", "/url/{book.ebook.url}").path(&["a"]).body(r#"{"paper":"p"}"#);
    left.refused("book.ebook.url", "oneof");
    assert_eq!(left.later(), Ok(json!({ "book": { "paper": "p" } })));
    // What is no message stays none.
    let fault = call("Field", "/book").body("{\"pages\":true}").later().unwrap_err();
    assert_eq!(fault.field, "book.pages");
}

#[test]
fn protocols_s_9_a_rule_knows_whether_one_body_may_be_a_list() {
    let types = Types::shop();
    let contract = types.plans.contract();
    for (method, template, may) in [
        ("Whole", "/{id}", false),
        ("Field", "/book", false),
        ("Field", "/many", true),
        ("Field", "/books", true),
        ("Field", "/value", true),
        ("Field", "/list", true),
        ("Field", "/structure", false),
        ("Field", "/size", false),
        ("Field", "/upload", false),
        ("Labels", "/labels", false),
        ("Raw", "/raw", false),
    ] {
        let (found, rule) = types.rule(method, template);
        let plan = RulePlan::new(contract, rule, found.input, found.output);
        assert_eq!(plan.body_may_be_list(contract), may, "{method} {template}");
    }
}
