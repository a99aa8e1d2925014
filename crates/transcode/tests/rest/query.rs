//! Parameters (protocols, section 4).

use serde_json::{Value, json};
use tandem_transcode::Unknown;

use crate::call::{Call, Types, call};

/// `GET /{id}` with this query: what beside `id` was bound, or the field of the fault.
fn check(query: &str, expected: Result<Value, &str>) {
    let bound = call("Path", "/{id}").path(&["a"]).query(query);
    match expected {
        Ok(mut expected) => {
            expected["id"] = json!("a");
            bound.becomes(expected);
        }
        Err(field) => bound.refused(field, ""),
    }
}

#[test]
fn protocols_q_1_three_names_at_each_level() {
    for (query, expected) in [
        ("book.first_line=x", json!({ "book": { "firstLine": "x" } })),
        ("book.firstLine=x", json!({ "book": { "firstLine": "x" } })),
        ("book.OddName=x", json!({ "book": { "OddName": "x" } })),
        ("book.odd=x", json!({ "book": { "OddName": "x" } })),
        ("book.sequel.first_line=x", json!({ "book": { "sequel": { "firstLine": "x" } } })),
        ("wrapped_flag=true", json!({ "wrappedFlag": true })),
        ("wrappedFlag=true", json!({ "wrappedFlag": true })),
        ("book%2Efirst%5Fline=x", json!({ "book": { "firstLine": "x" } })),
        ("&&size=5&", json!({ "size": 5 })),
    ] {
        check(query, Ok(expected));
    }
    for query in ["Book.name=x", "book.FirstLine=x", "book.first-line=x", "book.oddName=x", "=x"] {
        check(query, Err(""));
    }
    // Two names of one field are one field.
    check("book.firstLine=x&book.first_line=y", Err("book.first_line"));
}

#[test]
fn protocols_q_2_lists_are_keys_again_and_one_value_is_one() {
    check("many=1&many=2&many=1", Ok(json!({ "many": [1, 2, 1] })));
    check("many=0", Ok(json!({ "many": [0] })));
    check("words=a,b&size=1&words=&words", Ok(json!({ "words": ["a,b", "", ""], "size": 1 })));
    check("colors=RED&colors=7&colors=-1", Ok(json!({ "colors": ["RED", 7, "MINUS"] })));
    check(
        "book.tags=a&third.tags=x&book.tags=b",
        Ok(json!({
            "book": { "tags": ["a", "b"] }, "third": { "tags": ["x"] }
        })),
    );
    check("many=1,2", Err("many"));
    check("size=1&size=1", Err("size"));
    check("word=a&word=a", Err("word"));
    check("book.name=a&book.pages=1&book.name=a", Err("book.name"));
    check("mask=a&mask=b", Err("mask"));
    // A whole and a part of it.
    check("at=1970-01-01T00:00:00Z&at.seconds=1", Err("at.seconds"));
    check("at.seconds=1&at=1970-01-01T00:00:00Z", Err("at"));
}

#[test]
fn protocols_q_3_a_plus_is_a_space_and_no_value_is_the_empty_text() {
    check("words=a+b%2Bc%20d", Ok(json!({ "words": ["a b+c d"] })));
    check("words=a=b", Ok(json!({ "words": ["a=b"] })));
    check("words=%C3%BC", Ok(json!({ "words": ["ü"] })));
    for query in ["left", "left="] {
        check(query, Ok(json!({ "left": "" })));
    }
    for (query, expected) in [
        ("raw=", json!({})),
        ("wrapped_bytes", json!({ "wrappedBytes": "" })),
        ("word=", json!({ "word": "" })),
        ("mask", json!({ "mask": "" })),
    ] {
        check(query, Ok(expected));
    }
    for field in
        ["size", "flag", "color", "number", "many", "at", "took", "count", "wrapped_flag", "opt"]
    {
        check(field, Err(field));
        check(&format!("{field}="), Err(field));
    }
    for query in ["left=%zz", "left=%f", "left=%", "left=%ff", "left=%C3", "%ff=1"] {
        let field = if query.starts_with('%') { "" } else { "left" };
        check(query, Err(field));
    }
}

#[test]
fn protocols_q_4_booleans_have_two_spellings_and_enums_their_names_and_numbers() {
    check("flag=true", Ok(json!({ "flag": true })));
    check("flag=false", Ok(json!({})));
    for value in ["TRUE", "1", "0", "yes", "t", "true+"] {
        check(&format!("flag={value}"), Err("flag"));
        check(&format!("wrapped_flag={value}"), Err("wrapped_flag"));
    }
    check("color=RED", Ok(json!({ "color": "RED" })));
    check("color=-1", Ok(json!({ "color": "MINUS" })));
    check("color=7", Ok(json!({ "color": 7 })));
    for value in ["BLUE", "red", "2147483648", "1.5", "+1", "1+"] {
        check(&format!("color={value}"), Err("color"));
    }
    // A closed enum has the numbers of its list and no others.
    let old =
        |query| Call { types: Types::old(), ..call("Get", "/{id}") }.path(&["a"]).query(query);
    old("closed=SECOND").becomes(json!({ "id": "a", "closed": "SECOND" }));
    old("closed=1&many=2").becomes(json!({ "id": "a", "closed": "FIRST", "many": ["SECOND"] }));
    for (query, field) in
        [("closed=0", "closed"), ("closed=3", "closed"), ("many=1&many=3", "many")]
    {
        old(query).refused(field, "has no value");
    }
    // Groups have parts as messages have; defaults of the file are values as any other.
    old("part.text=x&part.inner.deep=1&small=7")
        .becomes(json!({ "id": "a", "part": { "text": "x", "inner": { "deep": 1 } }, "small": 7 }));
}

#[test]
fn protocols_q_5_messages_with_a_text_form_are_given_as_that_text() {
    check("at=1970-01-01T00:00:05Z", Ok(json!({ "at": "1970-01-01T00:00:05Z" })));
    check("at=1970-01-01T01:00:00%2B01:00", Ok(json!({ "at": "1970-01-01T00:00:00Z" })));
    check("at.seconds=5&at.nanos=1000", Ok(json!({ "at": "1970-01-01T00:00:05.000001Z" })));
    check("took=-1.5s", Ok(json!({ "took": "-1.500s" })));
    check("took.seconds=2", Ok(json!({ "took": "2s" })));
    check("mask=book.firstLine,id", Ok(json!({ "mask": "book.firstLine,id" })));
    check("mask=book.first_line,bookName", Ok(json!({ "mask": "book.firstLine,bookName" })));
    check(
        "word=x&count=5&wrapped_flag=false",
        Ok(json!({
            "word": "x", "count": "5", "wrappedFlag": false
        })),
    );
    for value in ["-_8", "-_8=", "%2B/8=", "%2B/8"] {
        check(&format!("raw={value}"), Ok(json!({ "raw": "+/8=" })));
    }
    check("at=5", Err("at"));
    check("took=5", Err("took"));
    check("raw=*", Err("raw"));
    check("count=x", Err("count"));
    check("mask=a_bC", Err("mask"));
    // Only times are given by their parts as well.
    check("word.value=x", Err("word"));
    check("mask.paths=x", Err("mask"));
}

#[test]
fn protocols_q_6_what_has_no_text_is_no_parameter() {
    for (query, field) in [
        ("books=1", "books"),
        ("books.name=1", "books"),
        ("times=1970-01-01T00:00:00Z", "times"),
        ("book.labels=1", "book.labels"),
        ("book.labels.x=1", "labels"),
        ("structure=1", "structure"),
        ("structure.fields=1", "structure"),
        ("structure.a=1", "structure"),
        ("value=1", "value"),
        ("value.string_value=x", "value"),
        ("list=1", "list"),
        ("any=1", "any"),
        ("any.type_url=x", "any"),
        ("book=1", "book"),
        ("book=", "book"),
        ("empty=1", "empty"),
    ] {
        check(query, Err(field));
        let ignoring = call("Path", "/{id}").path(&["a"]).query(query);
        ignoring.with(|options| options.unknown_query = Unknown::Ignore).refused(field, "");
    }
    // Of a body of any type the parts can be said.
    check(
        "upload.content_type=a/b&upload.data=AAA=",
        Ok(json!({
            "upload": { "contentType": "a/b", "data": "AAA=" }
        })),
    );
}

#[test]
fn protocols_q_7_unknown_parameters_are_refused_or_dropped() {
    for query in ["nope=1", "book.nope=1", "size.x=1", "nope", "book.=1", ".id=1", "book..name=1"] {
        check(query, Err(""));
        let ignoring = call("Path", "/{id}").path(&["a"]).query(query);
        ignoring
            .with(|options| options.unknown_query = Unknown::Ignore)
            .becomes(json!({ "id": "a" }));
    }
    // The other switch is another one.
    let bound = call("Path", "/{id}").path(&["a"]).query("nope=1");
    bound.with(|options| options.json.ignore_unknown = true).refused("", "unknown parameter");
    // Names of more than 32 parts are none.
    let deep = |parts: usize| format!("book.{}name=x", "sequel.".repeat(parts - 2));
    assert!(call("Path", "/{id}").path(&["a"]).query(&deep(32)).json().is_ok());
    let fault = call("Path", "/{id}").path(&["a"]).query(&deep(33)).json().unwrap_err();
    assert!(fault.reason.contains("more than 32 parts"), "{fault}");
}

#[test]
fn protocols_q_8_a_default_with_presence_is_there() {
    check("opt=0", Ok(json!({ "opt": 0 })));
    check("right=0", Ok(json!({ "right": 0 })));
    check("count=0", Ok(json!({ "count": "0" })));
    check("book.author.born=0", Ok(json!({ "book": { "author": { "born": 0 } } })));
    // Without presence there is nothing to tell it from an unset one.
    check("size=0&flag=false&color=NONE&left=", Ok(json!({ "left": "" })));
    check("book.pages=0", Ok(json!({ "book": {} })));
}
