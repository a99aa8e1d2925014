//! Who may set a field: path, then body, then query (protocols, section 3).

use serde_json::json;
use tandem_transcode::{UnaskedBody, Unknown};

use crate::call::{Call, Types, call};

#[test]
fn protocols_p_11_parents_of_a_variable_are_created() {
    let deep = |value| call("Path", "/born/{book.author.born}").path(value).json().unwrap();
    assert_eq!(deep(&["-1"]), json!({ "book": { "author": { "born": -1 } } }));
    assert_eq!(deep(&["0"]), json!({ "book": { "author": { "born": 0 } } }));
    // A default without presence is not written, its parents are.
    call("Path", "/pages/{book.pages}").path(&["0"]).becomes(json!({ "book": {} }));
    // Lengths of more than one byte.
    let long = "x".repeat(300);
    call("Path", "/url/{book.ebook.url}")
        .path(&[&long])
        .becomes(json!({ "book": { "ebook": { "url": long } } }));
}

#[test]
fn protocols_p_12_path_values_are_parsed_by_the_type_of_their_field() {
    for (template, value, expected) in [
        ("/{id}", "a b/ü", Some(json!({ "id": "a b/ü" }))),
        ("/{id}", "", Some(json!({}))),
        ("/size/{size}", "-2147483648", Some(json!({ "size": -2_147_483_648 }))),
        ("/size/{size}", "2147483647", Some(json!({ "size": 2_147_483_647 }))),
        ("/size/{size}", "2147483648", None),
        ("/size/{size}", "", None),
        ("/size/{size}", "1x", None),
        ("/size/{size}", "+1", None),
        ("/size/{size}", "0x1", None),
        ("/big/{big}", "9223372036854775807", Some(json!({ "big": "9223372036854775807" }))),
        ("/big/{big}", "-9223372036854775808", Some(json!({ "big": "-9223372036854775808" }))),
        ("/big/{big}", "9223372036854775808", None),
        ("/u32/{u32}", "4294967295", Some(json!({ "u32": 4_294_967_295_u32 }))),
        ("/u32/{u32}", "-1", None),
        ("/s32/{s32}", "-1", Some(json!({ "s32": -1 }))),
        ("/x64/{x64}", "18446744073709551615", Some(json!({ "x64": "18446744073709551615" }))),
        ("/flag/{flag}", "true", Some(json!({ "flag": true }))),
        ("/flag/{flag}", "false", Some(json!({}))),
        ("/flag/{flag}", "True", None),
        ("/flag/{flag}", "1", None),
        ("/color/{color}", "RED", Some(json!({ "color": "RED" }))),
        ("/color/{color}", "-1", Some(json!({ "color": "MINUS" }))),
        ("/color/{color}", "7", Some(json!({ "color": 7 }))),
        ("/color/{color}", "BLUE", None),
        ("/color/{color}", "red", None),
        ("/raw/{raw}", "-_8", Some(json!({ "raw": "+/8=" }))),
        ("/raw/{raw}", "+/8=", Some(json!({ "raw": "+/8=" }))),
        ("/raw/{raw}", "+_8=", None),
        ("/raw/{raw}", "a", None),
        ("/number/{number}", "NaN", Some(json!({ "number": "NaN" }))),
        ("/number/{number}", "-Infinity", Some(json!({ "number": "-Infinity" }))),
        ("/number/{number}", "1e3", Some(json!({ "number": 1000.0 }))),
        ("/number/{number}", "1e400", None),
        ("/number/{number}", "inf", None),
        ("/real/{real}", "0.5", Some(json!({ "real": 0.5 }))),
        ("/real/{real}", "1e39", None),
        ("/at/{at}", "1970-01-01T01:00:00+01:00", Some(json!({ "at": "1970-01-01T00:00:00Z" }))),
        ("/at/{at}", "yesterday", None),
        ("/took/{took}", "-1.5s", Some(json!({ "took": "-1.500s" }))),
        ("/took/{took}", "1", None),
        ("/mask/{mask}", "book.firstLine,id", Some(json!({ "mask": "book.firstLine,id" }))),
        ("/word/{word}", "", Some(json!({ "word": "" }))),
        ("/count/{count}", "5", Some(json!({ "count": "5" }))),
        ("/count/{count}", "x", None),
        ("/opt/{opt}", "0", Some(json!({ "opt": 0 }))),
    ] {
        let found = call("Path", template).path(&[value]).json();
        match (found, expected) {
            (Ok(found), Some(expected)) => assert_eq!(found, expected, "{template} {value}"),
            (Err(fault), None) => {
                // The field is named as the template names it.
                assert!(template.ends_with(&format!("{{{}}}", fault.field)), "{fault}");
            }
            (found, _) => panic!("{template} {value}: {found:?}"),
        }
    }
}

#[test]
fn protocols_b_1_a_body_may_repeat_the_path_and_nothing_else() {
    for (template, value, body, expected) in [
        ("/{id}", "a", r#"{"size":1}"#, Some(json!({ "id": "a", "size": 1 }))),
        ("/{id}", "a", r#"{"size":1,"id":"a"}"#, Some(json!({ "id": "a", "size": 1 }))),
        ("/{id}", "a", r#"{"id":null}"#, Some(json!({ "id": "a" }))),
        ("/{id}", "a", r#"{"id":""}"#, Some(json!({ "id": "a" }))),
        ("/{id}", "a", r#"{"id":"b"}"#, None),
        ("/{id}", "a", r#"{"id":"\u0061"}"#, Some(json!({ "id": "a" }))),
        ("/{id}", "a", r#"{"id":"a "}"#, None),
        ("/size/{size}", "0", r#"{"size":5}"#, None),
        ("/size/{size}", "-1", r#"{"size":-1.0}"#, Some(json!({ "size": -1 }))),
        ("/size/{size}", "-1", r#"{"size":"-1"}"#, Some(json!({ "size": -1 }))),
        ("/size/{size}", "-1", r#"{"size":1}"#, None),
        ("/size/{size}", "5", r#"{"size":0}"#, Some(json!({ "size": 5 }))),
        ("/s32/{s32}", "-7", r#"{"s32":-7}"#, Some(json!({ "s32": -7 }))),
        ("/x64/{x64}", "7", r#"{"x64":"7"}"#, Some(json!({ "x64": "7" }))),
        ("/x64/{x64}", "7", r#"{"x64":"8"}"#, None),
        ("/flag/{flag}", "true", r#"{"flag":true}"#, Some(json!({ "flag": true }))),
        ("/flag/{flag}", "true", r#"{"flag":false}"#, Some(json!({ "flag": true }))),
        ("/flag/{flag}", "false", r#"{"flag":true}"#, None),
        ("/color/{color}", "RED", r#"{"color":1}"#, Some(json!({ "color": "RED" }))),
        ("/color/{color}", "1", r#"{"color":"RED"}"#, Some(json!({ "color": "RED" }))),
        ("/color/{color}", "-1", r#"{"color":"MINUS"}"#, Some(json!({ "color": "MINUS" }))),
        ("/color/{color}", "RED", r#"{"color":7}"#, None),
        ("/raw/{raw}", "-_8", r#"{"raw":"+/8="}"#, Some(json!({ "raw": "+/8=" }))),
        ("/raw/{raw}", "-_8", r#"{"raw":"AAA="}"#, None),
        ("/number/{number}", "NaN", r#"{"number":"NaN"}"#, Some(json!({ "number": "NaN" }))),
        ("/number/{number}", "1e1", r#"{"number":10}"#, Some(json!({ "number": 10.0 }))),
        ("/number/{number}", "1", r#"{"number":-0.0}"#, None),
        // With presence a default is a value as any other.
        ("/opt/{opt}", "5", r#"{"opt":0}"#, None),
        ("/opt/{opt}", "0", r#"{"opt":0}"#, Some(json!({ "opt": 0 }))),
        ("/opt/{opt}", "5", r#"{"opt":null}"#, Some(json!({ "opt": 5 }))),
        ("/word/{word}", "a", r#"{"word":"a"}"#, Some(json!({ "word": "a" }))),
        ("/word/{word}", "a", r#"{"word":""}"#, None),
        ("/word/{word}", "a", r#"{"word":null}"#, Some(json!({ "word": "a" }))),
        ("/word/{word}", "", r#"{"word":""}"#, Some(json!({ "word": "" }))),
        ("/count/{count}", "5", r#"{"count":5}"#, Some(json!({ "count": "5" }))),
        ("/count/{count}", "0", r#"{"count":"0"}"#, Some(json!({ "count": "0" }))),
        ("/count/{count}", "5", r#"{"count":"6"}"#, None),
        (
            "/wb/{wrapped_bytes}",
            "-_8",
            r#"{"wrappedBytes":"+/8"}"#,
            Some(json!({ "wrappedBytes": "+/8=" })),
        ),
        (
            "/at/{at}",
            "1970-01-01T01:00:00.50+01:00",
            r#"{"at":"1970-01-01T00:00:00.5Z"}"#,
            Some(json!({ "at": "1970-01-01T00:00:00.500Z" })),
        ),
        ("/at/{at}", "1970-01-01T00:00:00Z", r#"{"at":"1970-01-01T00:00:00.5Z"}"#, None),
        (
            "/at/{at}",
            "1970-01-01T00:00:00Z",
            r#"{"at":null}"#,
            Some(json!({ "at": "1970-01-01T00:00:00Z" })),
        ),
        ("/took/{took}", "1.50s", r#"{"took":"1.5s"}"#, Some(json!({ "took": "1.500s" }))),
        ("/took/{took}", "1s", r#"{"took":"2s"}"#, None),
        // A mask that both name is not doubled.
        ("/mask/{mask}", "id,size", r#"{"mask":"id,size"}"#, Some(json!({ "mask": "id,size" }))),
        ("/mask/{mask}", "id,size", r#"{"mask":"size,id"}"#, None),
        ("/mask/{mask}", "id", r#"{"mask":"id,size"}"#, None),
        // Variables below a field.
        (
            "/name/{book.name}",
            "n",
            r#"{"book":{"pages":"1"}}"#,
            Some(json!({ "book": { "name": "n", "pages": "1" } })),
        ),
        (
            "/name/{book.name}",
            "n",
            r#"{"book":{"name":"n"}}"#,
            Some(json!({ "book": { "name": "n" } })),
        ),
        ("/name/{book.name}", "n", r#"{"book":{"name":"m"}}"#, None),
        (
            "/name/{book.name}",
            "n",
            r#"{"book":{"name":null}}"#,
            Some(json!({ "book": { "name": "n" } })),
        ),
        ("/name/{book.name}", "n", r#"{"book":null}"#, Some(json!({ "book": { "name": "n" } }))),
        (
            "/name/{book.name}",
            "n",
            r#"{"book":{"sequel":{"name":"m"}}}"#,
            Some(json!({ "book": { "name": "n", "sequel": { "name": "m" } } })),
        ),
        (
            "/name/{book.name}",
            "n",
            r#"{"books":[{"name":"m"}]}"#,
            Some(json!({ "book": { "name": "n" }, "books": [{ "name": "m" }] })),
        ),
        ("/born/{book.author.born}", "5", r#"{"book":{"author":{"born":6}}}"#, None),
        ("/born/{book.author.born}", "5", r#"{"book":{"author":{"born":0}}}"#, None),
        (
            "/born/{book.author.born}",
            "5",
            r#"{"book":{"author":{"name":"x"}}}"#,
            Some(json!({ "book": { "author": { "born": 5, "name": "x" } } })),
        ),
        // A part of a message whose JSON is a string.
        (
            "/seconds/{at.seconds}",
            "5",
            r#"{"at":"1970-01-01T00:00:05.5Z"}"#,
            Some(json!({ "at": "1970-01-01T00:00:05.500Z" })),
        ),
        ("/seconds/{at.seconds}", "5", r#"{"at":"1970-01-01T00:00:06Z"}"#, None),
        // Members of a oneof have presence.
        ("/left/{left}", "a", r#"{"left":"a"}"#, Some(json!({ "left": "a" }))),
        ("/left/{left}", "a", r#"{"left":""}"#, None),
        ("/left/{left}", "a", r#"{"left":null,"right":null}"#, Some(json!({ "left": "a" }))),
    ] {
        let bound = call("Whole", template);
        let values = [value];
        let bound = bound.path(&values).body(body);
        match expected {
            Some(expected) => bound.becomes(expected),
            None => {
                let field = template.split(['{', '}']).nth(1).unwrap();
                bound.refused(field, "the body gives it another value than the path");
            }
        }
    }
    let named = |body| call("Named", "/book/{book.name}").path(&["n"]).body(body);
    named(r#"{"name":"n"}"#).becomes(json!({ "book": { "name": "n" } }));
    named(r#"{"pages":"2"}"#).becomes(json!({ "book": { "name": "n", "pages": "2" } }));
    named("{}").becomes(json!({ "book": { "name": "n" } }));
    named("").becomes(json!({ "book": { "name": "n" } }));
    named(r#"{"name":"m"}"#).refused("book.name", "another value than the path");
    // The body is the variable itself.
    let size = |body| call("Named", "/size/{size}").path(&["5"]).body(body);
    size("5").becomes(json!({ "size": 5 }));
    size("0").becomes(json!({ "size": 5 }));
    size("6").refused("size", "another value than the path");
}

#[test]
fn protocols_b_1_holds_for_groups() {
    let old = |template| Call { types: Types::old(), ..call("Get", template) };
    let text = |body| old("/text/{part.text}").path(&["a"]).body(body);
    text(r#"{"id":"1","part":{"text":"a"}}"#)
        .becomes(json!({ "id": "1", "part": { "text": "a" } }));
    text(r#"{"id":"1","part":{"text":"b"}}"#).refused("part.text", "another value");
    text(r#"{"id":"1","part":{"inner":{"deep":1}}}"#)
        .becomes(json!({ "id": "1", "part": { "text": "a", "inner": { "deep": 1 } } }));
    let deep = |body| old("/deep/{part.inner.deep}").path(&["1"]).body(body).query("id=x");
    deep(r#"{"text":"b"}"#)
        .becomes(json!({ "id": "x", "part": { "text": "b", "inner": { "deep": 1 } } }));
    deep(r#"{"inner":{"deep":2}}"#).refused("part.inner.deep", "another value");
}

#[test]
fn protocols_b_2_a_parameter_never_names_what_the_path_binds() {
    for (template, value, query) in [
        ("/{id}", "a", "id=a"),
        ("/{id}", "a", "id=b"),
        ("/{id}", "a", "size=1&id="),
        ("/born/{book.author.born}", "1", "book.author.born=1"),
        ("/pages/{book.pages}", "0", "book.pages=0"),
        // A part of what the path binds, or the whole of which it binds a part.
        ("/at/{at}", "1970-01-01T00:00:00Z", "at.seconds=0"),
        ("/at/{at}", "1970-01-01T00:00:00Z", "at.nanos=1"),
        ("/seconds/{at.seconds}", "0", "at=1970-01-01T00:00:00Z"),
    ] {
        let key = query.rsplit('&').next().unwrap().split('=').next().unwrap();
        let values = [value];
        let bound = call("Path", template).path(&values).query(query);
        bound.refused(key, "the path has set it already");
        bound.with(|options| options.unknown_query = Unknown::Ignore).refused(key, "the path");
    }
    // What stands beside it in the same message is free.
    call("Path", "/seconds/{at.seconds}")
        .path(&["5"])
        .query("at.nanos=500000000")
        .becomes(json!({ "at": "1970-01-01T00:00:05.500Z" }));
    call("Path", "/born/{book.author.born}")
        .path(&["1"])
        .query("book.author.name=x&book.pages=2")
        .becomes(json!({ "book": { "author": { "born": 1, "name": "x" }, "pages": "2" } }));
}

#[test]
fn protocols_b_3_two_members_of_a_oneof_are_refused_wherever_they_come_from() {
    let second = "a second member of the oneof";
    // Path and body.
    let left = |body| call("Whole", "/left/{left}").path(&["a"]).body(body);
    for body in [r#"{"right":1}"#, r#"{"right":0}"#, r#"{"third":{}}"#, r#"{"page":{}}"#] {
        left(body).refused("left", second);
    }
    left(r#"{"size":1}"#).becomes(json!({ "left": "a", "size": 1 }));
    let third = |body| call("Whole", "/third/{third.name}").path(&["n"]).body(body);
    third(r#"{"left":"a"}"#).refused("third.name", second);
    third(r#"{"third":{"pages":"1"}}"#).becomes(json!({ "third": { "name": "n", "pages": "1" } }));
    // Below the top.
    let url = |body| call("Whole", "/url/{book.ebook.url}").path(&["u"]).body(body);
    url(r#"{"book":{"paper":"thick"}}"#).refused("book.ebook.url", second);
    url(r#"{"book":{"paper":null,"ebook":{"size":1}}}"#)
        .becomes(json!({ "book": { "ebook": { "url": "u", "size": 1 } } }));
    url(r#"{"book":{"sequel":{"paper":"thick"}}}"#)
        .becomes(json!({ "book": { "ebook": { "url": "u" }, "sequel": { "paper": "thick" } } }));
    call("Named", "/url/{book.ebook.url}")
        .path(&["u"])
        .body(r#"{"paper":"thick"}"#)
        .refused("book.ebook.url", second);
    // The body is a member itself.
    call("Named", "/left/{left}").path(&["a"]).body("{}").refused("left", second);
    call("Named", "/left/{left}").path(&["a"]).becomes(json!({ "left": "a" }));
    // Path and query.
    let path = |template, query| call("Path", template).path(&["a"]).query(query);
    path("/left/{left}", "right=1").refused("right", second);
    path("/left/{left}", "third.name=x").refused("third.name", second);
    path("/third/{third.name}", "left=").refused("left", second);
    path("/url/{book.ebook.url}", "book.paper=x").refused("book.paper", second);
    path("/url/{book.ebook.url}", "book.ebook.size=1")
        .becomes(json!({ "book": { "ebook": { "url": "a", "size": 1 } } }));
    path("/third/{third.name}", "third.pages=1&third.paper=x")
        .becomes(json!({ "third": { "name": "a", "pages": "1", "paper": "x" } }));
    // Query and query.
    path("/{id}", "left=x&right=1").refused("right", second);
    path("/{id}", "book.ebook.url=x&book.paper=y").refused("book.paper", second);
    path("/{id}", "book.ebook.url=x&third.paper=y").becomes(
        json!({ "id": "a", "book": { "ebook": { "url": "x" } }, "third": { "paper": "y" } }),
    );
    // Body and query.
    let field = |body, query| call("Field", "/third").body(body).query(query);
    field("{}", "left=x").refused("left", second);
    field("{}", "size=1").becomes(json!({ "third": {}, "size": 1 }));
    field("", "left=x").becomes(json!({ "left": "x" }));
    // Path and path: the contract leaves such a rule out.
}

#[test]
fn protocols_b_4_beside_a_whole_body_a_parameter_binds_nothing() {
    let whole = |query| call("Whole", "/{id}").path(&["a"]).body("{}").query(query);
    whole("size=1").refused("size", "a parameter binds nothing");
    whole("nope=1").refused("", "unknown parameter `nope`");
    let ignoring = |query| whole(query).with(|options| options.unknown_query = Unknown::Ignore);
    for query in ["size=1", "nope=1", "size=x", "size=1&size=2", "left=a&right=1"] {
        ignoring(query).becomes(json!({ "id": "a" }));
    }
    // The path is the path all the same (B-2).
    ignoring("id=a").refused("id", "the path has set it already");
}

#[test]
fn protocols_b_5_what_is_in_the_body_is_not_in_the_query() {
    for (query, key) in [("book.name=x", "book.name"), ("book=x", "book")] {
        for body in ["{}", ""] {
            let bound = call("Field", "/book").body(body).query(query);
            bound.refused(key, "it belongs to the body");
            bound
                .with(|options| options.unknown_query = Unknown::Ignore)
                .refused(key, "it belongs to the body");
        }
    }
    call("Field", "/size").body("5").query("size=5").refused("size", "it belongs to the body");
    call("Field", "/book")
        .body(r#"{"name":"n"}"#)
        .query("size=1&third.name=m")
        .becomes(json!({ "book": { "name": "n" }, "size": 1, "third": { "name": "m" } }));
}

#[test]
fn protocols_b_6_a_body_without_a_place_is_refused_or_dropped_and_never_bound() {
    let get = |body| call("Path", "/{id}").path(&["a"]).body(body);
    for body in ["{}", r#"{"size":1}"#, "x", "null"] {
        get(body).refused("", "this method takes no body");
        get(body)
            .with(|options| options.body_without_rule = UnaskedBody::Ignore)
            .becomes(json!({ "id": "a" }));
    }
    get(" \r\n").becomes(json!({ "id": "a" }));
}

#[test]
fn protocols_b_7_the_first_fault_is_named_with_its_field_and_its_place() {
    // Path before body, body before query.
    let path = call("Whole", "/size/{size}").path(&["x"]).body("{]").query("%zz");
    path.refused("size", "`x` is no number");
    let body = call("Field", "/book").body(r#"{"author":{"born":"x"}}"#).query("%zz=1");
    body.refused("book.author.born", "`x` is no number");
    assert_eq!(body.json().unwrap_err().position, Some(18));
    call("Field", "/book").body("{}").query("%zz=1").refused("", "two hex digits");
    // At most 64 bytes are shown, whole letters.
    let long = "ü".repeat(100);
    for fault in [
        call("Path", "/{id}").path(&["a"]).query(&format!("{long}=1")).json().unwrap_err(),
        call("Path", "/{id}").path(&["a"]).query(&format!("size={long}")).json().unwrap_err(),
        call("Path", "/size/{size}").path(&[&long]).json().unwrap_err(),
        call("Whole", "/none").body(&format!("{{\"{long}\":1}}")).json().unwrap_err(),
    ] {
        assert!(fault.reason.contains(&format!("`{}…`", "ü".repeat(32))), "{fault}");
        assert!(!fault.reason.contains(&"ü".repeat(33)) && fault.field.len() <= 64, "{fault}");
    }
}
