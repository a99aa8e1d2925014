//! The field mask of a PATCH (protocols I-7).

use serde_json::{Value, json};
use tandem_transcode::PatchMask;

use crate::call::{Call, call};

fn mask_of(bound: &Call<'_>) -> Value {
    bound.json().unwrap().get("mask").cloned().unwrap_or(Value::Null)
}

#[test]
fn protocols_i_7_a_patch_names_the_keys_that_are_there() {
    for (body, mask) in [
        (r#"{"pages":1}"#, json!("pages")),
        (r#"{"pages":0}"#, json!("pages")),
        (r#"{"pages":1,"name":"n"}"#, json!("pages,name")),
        (r#"{"pages":null}"#, json!("pages")),
        // Names of the file, whichever of the two was given.
        (r#"{"firstLine":"x"}"#, json!("firstLine")),
        (r#"{"first_line":"x"}"#, json!("firstLine")),
        (r#"{"OddName":"x"}"#, json!("odd")),
        (r#"{"\u0070ages":1,"fir\u0073tLine":""}"#, json!("pages,firstLine")),
        // Messages by their parts, empty ones and null as a whole.
        (r#"{"author":{"born":null}}"#, json!("author.born")),
        (r#"{"author":{"name":"x","born":1}}"#, json!("author.name,author.born")),
        (r#"{"author":{}}"#, json!("author")),
        (r#"{"author":null}"#, json!("author")),
        (
            r#"{"sequel":{"author":{"name":"x"},"sequel":{},"pages":1},"pages":2}"#,
            json!("sequel.author.name,sequel.sequel,sequel.pages,pages"),
        ),
        // Lists, maps and messages with a form of their own as a whole.
        (r#"{"tags":[],"labels":{}}"#, json!("tags,labels")),
        (r#"{"tags":["a"],"labels":{"x":"y"}}"#, json!("tags,labels")),
        (r#"{"author":{"at":"1970-01-01T00:00:00Z"}}"#, json!("author.at")),
        (r#"{"ebook":{"url":"u"}}"#, json!("ebook.url")),
        (r#" { "pages" : 1 } "#, json!("pages")),
        ("{}", json!("")),
        // No body, no keys.
        ("", Value::Null),
    ] {
        assert_eq!(mask_of(&call("Patch", "/book").body(body)), mask, "{body}");
    }
    // The key that repeats the path is a key.
    let named = call("Patch", "/book/{book.name}").path(&["n"]).body(r#"{"name":"n"}"#);
    named.becomes(json!({ "book": { "name": "n" }, "mask": "name" }));
    let named = call("Patch", "/book/{book.name}").path(&["n"]).body(r#"{"pages":"1"}"#);
    named.becomes(json!({ "book": { "name": "n", "pages": "1" }, "mask": "pages" }));
}

#[test]
fn protocols_i_7_a_mask_that_was_given_is_kept() {
    let body = r#"{"pages":"1"}"#;
    let bound = |query| call("Patch", "/book").body(body).query(query);
    assert_eq!(mask_of(&bound("mask=tags,firstLine")), json!("tags,firstLine"));
    assert_eq!(mask_of(&bound("mask=")), json!(""));
    assert_eq!(mask_of(&bound("size=1")), json!("pages"));
    let by_path = call("Patch", "/mask/{mask}").path(&["tags"]).body(body);
    assert_eq!(mask_of(&by_path), json!("tags"));
    // Of a body that is the whole message the mask is what the body says.
    let whole = |body| call("Patch", "/whole").body(body);
    assert_eq!(mask_of(&whole(r#"{"mask":"tags","size":1}"#)), json!("tags"));
    assert_eq!(mask_of(&whole(r#"{"size":1}"#)), Value::Null);
}

#[test]
fn protocols_i_7_nothing_is_filled_where_the_rule_does_not_hold() {
    let body = r#"{"pages":"1"}"#;
    // Two masks, another method, a body that is no message of its own form, the switch.
    call("PatchTwo", "/two").body(body).becomes(json!({ "book": { "pages": "1" } }));
    let put = Call { http_method: Some("PUT"), ..call("Patch", "/book").body(body) };
    assert_eq!(mask_of(&put), Value::Null);
    assert_eq!(mask_of(&call("Patch", "/books").body("[{}]")), Value::Null);
    assert_eq!(mask_of(&call("Patch", "/structure").body(r#"{"a":1}"#)), Value::Null);
    let leaving = call("Patch", "/book").body(body);
    let leaving = leaving.with(|options| options.patch_mask = PatchMask::Leave);
    assert_eq!(mask_of(&leaving), Value::Null);
    // A rule for any method fills the mask of a PATCH.
    for (method, mask) in [("PATCH", json!("pages")), ("POST", Value::Null)] {
        let any = Call { http_method: Some(method), ..call("Patch", "/any").body(body) };
        assert_eq!(mask_of(&any), mask, "{method}");
    }
}

#[test]
fn protocols_i_7_an_unknown_key_that_may_be_ignored_is_no_path() {
    let body = r#"{"nope":{"a":1},"pages":"1","author":{"nope":1}}"#;
    let bound = call("Patch", "/book").body(body);
    bound.refused("book", "unknown field");
    let bound = bound.with(|options| options.json.ignore_unknown = true);
    assert_eq!(mask_of(&bound), json!("pages,author"));
}

/// Each path repeats its parents, so the mask could be many times the body.
#[test]
fn a_mask_does_not_grow_past_its_bound() {
    const PARENT: &str = "\"anotherBookThatHasALongName\":";
    let leaves = r#""pages":"1","name":"n","firstLine":"f","OddName":"o","tags":[],"labels":{}"#;
    let deep = |levels: usize| {
        let open = format!("{{{leaves},{PARENT}").repeat(levels);
        format!("{open}{{{leaves}}}{}", "}".repeat(levels))
    };
    let mut last = 0;
    let mut refused = 0;
    for levels in 0..47 {
        let body = deep(levels);
        match call("Patch", "/book").body(&body).json() {
            Ok(json) => {
                let mask = json["mask"].as_str().unwrap().len();
                assert!(refused == 0 && mask > last && mask <= 64 << 10, "{levels}: {mask}");
                last = mask;
            }
            Err(fault) => {
                assert!(fault.reason.contains("it has more than 65536"), "{fault}");
                assert_eq!(fault.field, "mask");
                refused += 1;
            }
        }
        // A mask of one's own, or none, is not measured.
        assert!(call("Patch", "/book").body(&body).query("mask=name").json().is_ok());
    }
    assert!(refused > 0 && last > 50_000, "the bound lies in between: {last}, {refused}");
}
