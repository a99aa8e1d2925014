//! Answers: the message, one field of it, or raw bytes (protocols A-2, A-3).

use tandem_transcode::{
    FaultKind, JsonOptions, Limits, RestAnswer, RulePlan, response_to_rest, wire_from_json,
};

use crate::call::Types;

/// What an answer becomes by the rule: JSON text, or the media type and the bytes.
fn answer(
    method: &str,
    template: &str,
    wire: &[u8],
) -> Result<(Option<String>, Vec<u8>), FaultKind> {
    let types = Types::shop();
    let (found, rule) = types.rule(method, template);
    let plan = RulePlan::new(types.plans.contract(), rule, found.input, found.output);
    let (options, limits) = (JsonOptions::default(), Limits::default());
    match response_to_rest(&types.plans, &plan, wire, &options, &limits) {
        Ok(RestAnswer::Json(json)) => Ok((None, json)),
        Ok(RestAnswer::Raw { content_type, data }) => {
            Ok((Some(content_type.to_owned()), data.to_vec()))
        }
        Err(fault) => Err(fault.kind),
    }
}

fn wire(json: &str) -> Vec<u8> {
    let types = Types::shop();
    let id = types.plans.contract().message_named("t.Request").unwrap();
    let (options, limits) = (JsonOptions::default(), Limits::default());
    wire_from_json(&types.plans, id, json.as_bytes(), &options, &limits).unwrap()
}

#[test]
fn protocols_a_2_response_body_is_one_field_and_its_absence_is_written() {
    for (template, json, expected) in [
        ("/whole", "{}", "{}"),
        ("/whole", r#"{"id":"a"}"#, r#"{"id":"a"}"#),
        ("/book", r#"{"book":{"pages":"1"}}"#, r#"{"pages":"1"}"#),
        ("/book", r#"{"book":{}}"#, "{}"),
        ("/book", "{}", "null"),
        ("/many", r#"{"many":[1,2]}"#, "[1,2]"),
        ("/many", "{}", "[]"),
        ("/books", r#"{"books":[{}]}"#, "[{}]"),
        ("/books", "{}", "[]"),
        ("/size", r#"{"size":5}"#, "5"),
        ("/size", "{}", "0"),
        ("/big", "{}", "\"0\""),
        ("/id", "{}", "\"\""),
        ("/raw", "{}", "\"\""),
        ("/flag", "{}", "false"),
        ("/color", "{}", "\"NONE\""),
        ("/opt", r#"{"opt":0}"#, "0"),
        ("/opt", "{}", "null"),
        ("/word", r#"{"word":""}"#, "\"\""),
        ("/word", "{}", "null"),
        ("/left", r#"{"left":""}"#, "\"\""),
        ("/left", r#"{"right":1}"#, "null"),
        ("/labels", r#"{"book":{"labels":{"a":"b"}}}"#, r#"{"a":"b"}"#),
        ("/labels", r#"{"book":{}}"#, "{}"),
        ("/labels", "{}", "{}"),
        ("/author", r#"{"book":{"author":{"born":0}}}"#, r#"{"born":0}"#),
        ("/author", r#"{"book":{}}"#, "null"),
        ("/author", "{}", "null"),
    ] {
        let (media, text) = answer("Answer", template, &wire(json)).unwrap();
        assert_eq!(media, None, "{template}");
        assert_eq!(String::from_utf8(text).unwrap(), expected, "{template} {json}");
    }
}

#[test]
fn protocols_a_3_a_raw_answer_is_its_media_type_and_its_bytes() {
    let upload = |json: &str| answer("Answer", "/upload", &wire(json)).unwrap();
    let raw = |media: &str, data: &[u8]| (Some(media.to_owned()), data.to_vec());
    assert_eq!(
        upload(r#"{"upload":{"contentType":"a/b; c=d","data":"AP8="}}"#),
        raw("a/b; c=d", b"\0\xff")
    );
    assert_eq!(upload(r#"{"upload":{"data":"AP8="}}"#), raw("", b"\0\xff"));
    assert_eq!(upload(r#"{"upload":{}}"#), raw("", b""));
    assert_eq!(upload(r#"{"id":"a"}"#), raw("", b""));
    // What HttpBody has beside the two is for the upstream's own use.
    let extended =
        r#"{"upload":{"data":"AP8=","extensions":[{"@type":"type.googleapis.com/t.Author"}]}}"#;
    assert_eq!(upload(extended), raw("", b"\0\xff"));
    // A split message: the last of each counts.
    let parts = [
        wire(r#"{"upload":{"contentType":"a/b","data":"AAAA"}}"#),
        wire(r#"{"id":"x"}"#),
        wire(r#"{"upload":{"data":"AP8="}}"#),
    ];
    assert_eq!(answer("Answer", "/upload", &parts.concat()).unwrap(), raw("a/b", b"\0\xff"));
    // A member of a oneof that another one took the place of is unset, and may come again.
    let page = r#"{"page":{"contentType":"a/b","data":"AP8="}}"#;
    let left = r#"{"left":"x"}"#;
    let taken = [wire(page), wire(left)].concat();
    assert_eq!(answer("Answer", "/page", &taken).unwrap(), raw("", b""));
    let again = [wire(page), wire(left), wire(r#"{"page":{"data":"AP8="}}"#)].concat();
    assert_eq!(answer("Answer", "/page", &again).unwrap(), raw("", b"\0\xff"));
    // The whole message.
    let http_body = b"\x0a\x03a/b\x12\x02\0\xff";
    assert_eq!(answer("Raw", "/raw", http_body).unwrap(), raw("a/b", b"\0\xff"));
    assert_eq!(answer("Raw", "/raw", b"").unwrap(), raw("", b""));
}

#[test]
fn protocols_a_3_bytes_that_are_no_http_body_are_the_upstreams_fault() {
    for wire in [&b"\x0a\x05a/b"[..], b"\x0a\x01\xff", b"\xff", b"\x13"] {
        assert_eq!(answer("Raw", "/raw", wire), Err(FaultKind::Upstream), "{wire:?}");
    }
    // Fields of another wire type are unknown ones.
    let empty = Ok((Some(String::new()), Vec::new()));
    assert_eq!(answer("Raw", "/raw", b"\x08\x01\x10\x02"), empty);
}
