//! REST requests and answers through a gateway: bodies that are no JSON, coded bodies, refusals.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use tandem_contract::fields;
use tandem_testkit::backend::{Backend, Script};
use tandem_testkit::client::{Answer, note, raw, rest};
use tandem_testkit::{TestGateway, gateway};

const FILES: &str = r#"
syntax = "proto3"; package test.v1;
import "google/api/annotations.proto";
import "google/api/httpbody.proto";
import "google/protobuf/field_mask.proto";
message File { string name = 1; google.api.HttpBody content = 2; string owner = 3; }
message Note { string text = 1; int64 number = 2; }
message Change { string id = 1; Note note = 2; google.protobuf.FieldMask mask = 3; }
service Notes {
  rpc Put(File) returns (File) { option (google.api.http) = { put: "/v1/files/{name}" body: "content" additional_bindings { get: "/v1/files/{name}" response_body: "content" } }; }
  rpc Echo(google.api.HttpBody) returns (google.api.HttpBody) { option (google.api.http) = { post: "/v1/echo" body: "*" }; }
  rpc Write(Note) returns (Note) { option (google.api.http) = { post: "/v1/notes/{text}" body: "*" additional_bindings { get: "/v1/notes/{text}" } }; }
  rpc Change(Change) returns (Change) { option (google.api.http) = { patch: "/v1/changes/{id}" body: "note" }; }
  rpc Secret(Note) returns (Note);
}
"#;

async fn files(backend: &Backend, limits: &str) -> TestGateway {
    gateway(backend.address).contract(FILES).limits(limits).start().await
}

/// A request with these header lines and bytes.
async fn send(gateway: &TestGateway, line: &str, headers: &[&str], body: &[u8]) -> Answer {
    let mut request = format!("{line} HTTP/1.1\r\nhost: any\r\nconnection: close\r\n").into_bytes();
    for header in headers {
        request.extend_from_slice(header.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    request.extend_from_slice(body);
    raw(gateway.public, &request).await.expect("an answer")
}

fn http_body(content_type: &str, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    fields::put_bytes(1, content_type.as_bytes(), &mut out);
    fields::put_bytes(2, data, &mut out);
    out
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(data).expect("it fits into memory");
    encoder.finish().expect("it fits into memory")
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_i_8_and_a_3_raw_bodies_go_both_ways_as_they_are() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = files(&backend, "").await;
    let data = b"\x00\x01 \xff\xfe{";
    let media = "content-type: image/x-own; q=\"a b\"";
    let answer = send(&gateway, "POST /v1/echo", &[media, "accept: image/*"], data).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.head.contains("content-type: image/x-own; q=\"a b\""), "{}", answer.head);
    assert_eq!(answer.body, String::from_utf8_lossy(data));
    let reached = &backend.reached()[0];
    assert_eq!(reached.messages[0], http_body("image/x-own; q=\"a b\"", data));

    // A field of the request: the others come from path and query.
    let answer =
        send(&gateway, "PUT /v1/files/a?owner=me", &["content-type: text/csv"], b"1,2").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let mut expected = Vec::new();
    fields::put_bytes(1, b"a", &mut expected);
    fields::put_bytes(2, &http_body("text/csv", b"1,2"), &mut expected);
    fields::put_bytes(3, b"me", &mut expected);
    assert_eq!(backend.reached()[1].messages[0], expected);
    // The answer of that rule is the whole message, so it is JSON.
    assert!(answer.body.contains("\"contentType\":\"text/csv\""), "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_a_3_a_raw_answer_without_a_media_type_has_no_such_header() {
    let mut file = Vec::new();
    fields::put_bytes(2, &http_body("text/plain", b"one"), &mut file);
    // A split message: what comes later takes the place of what came before.
    let mut last = Vec::new();
    fields::put_bytes(1, b"", &mut last);
    fields::put_bytes(2, b"two", &mut last);
    fields::put_bytes(2, &last, &mut file);
    let unusable = {
        let mut file = Vec::new();
        fields::put_bytes(2, &http_body("text/plain\r\nx-evil: 1", b"one"), &mut file);
        file
    };
    let backend = Backend::start(vec![
        Script::message(file),
        Script::message(Vec::new()),
        Script::message(unusable),
    ]);
    let gateway = files(&backend, "").await;
    let get = || send(&gateway, "GET /v1/files/a", &["accept: image/png"], b"");
    let answer = get().await;
    assert_eq!((answer.status, &*answer.body), (200, "two"));
    assert!(!answer.head.contains("content-type"), "{}", answer.head);
    let answer = get().await;
    assert_eq!((answer.status, &*answer.body), (200, ""));
    let answer = get().await;
    assert_eq!(answer.status, 502, "{}", answer.body);
    assert!(!answer.head.contains("x-evil"), "{}", answer.head);
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_i_6_coded_bodies_are_decoded_and_other_codings_are_415() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = files(&backend, "").await;
    let json = "content-type: application/json";
    let body = gzip(br#"{"number":"7"}"#);
    let answer = send(&gateway, "POST /v1/notes/a", &[json, "content-encoding: gzip"], &body).await;
    assert_eq!((answer.status, &*answer.body), (200, r#"{"number":"7","text":"a"}"#));
    // What reaches the upstream is a message, and no word about a coding.
    assert!(!backend.reached()[0].headers.contains_key("content-encoding"));

    let raw = "content-type: image/x-own";
    let body = gzip(b"data");
    let answer = send(&gateway, "POST /v1/echo", &[raw, "content-encoding: gzip"], &body).await;
    assert_eq!((answer.status, &*answer.body), (200, "data"));

    for coding in ["br", "gzip, gzip", "compress"] {
        let coding = format!("content-encoding: {coding}");
        let answer = send(&gateway, "POST /v1/notes/a", &[json, &coding], b"{}").await;
        assert_eq!(answer.status, 415, "{coding}");
        assert!(answer.head.contains("accept-encoding: gzip, deflate, zstd"), "{}", answer.head);
    }
    for coding in ["gzip", "deflate", "zstd"] {
        let coding = format!("content-encoding: {coding}");
        let answer = send(&gateway, "POST /v1/notes/a", &[json, &coding], b"{}").await;
        assert_eq!(answer.status, 400, "{coding}");
    }
    assert_eq!(backend.reached().len(), 2, "nothing that was refused reached the upstream");
}

#[tokio::test(flavor = "multi_thread")]
async fn security_r_4_li_10_li_11_a_bomb_is_413() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = files(&backend, "message: 128KiB").await;
    let headers = ["content-type: x/y", "content-encoding: gzip"];
    // Up to 64 KiB no ratio is asked for; above it 100.
    for (bytes, status) in [(64 << 10, 200), ((64 << 10) + 1, 413), (100 << 20, 413)] {
        let answer = send(&gateway, "POST /v1/echo", &headers, &gzip(&vec![b'a'; bytes])).await;
        assert_eq!(answer.status, status, "{bytes}");
    }
    // Text that compresses little: the limit of the message counts, before and after decoding.
    let mut state = 1_u32;
    let letter = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        b'a' + (state >> 28) as u8
    };
    let text: Vec<u8> = std::iter::repeat_with(letter).take(200_000).collect();
    for (bytes, status) in [(128 << 10, 200), ((128 << 10) + 1, 413)] {
        let answer = send(&gateway, "POST /v1/echo", &headers, &gzip(&text[..bytes])).await;
        assert_eq!(answer.status, status, "{bytes}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_b_7_a_refused_field_is_a_violation_of_bad_request() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = files(&backend, "").await;
    let long = "x".repeat(200);
    for (method, path, body, field, description) in [
        ("POST", "/v1/notes/a", r#"{"number":"x"}"#, "number", "`x` is no number (at byte 10)"),
        ("POST", "/v1/notes/a", r#"{"text":"b"}"#, "text", "another value than the path"),
        ("GET", "/v1/notes/a?number=", "", "number", "it has no value"),
        ("GET", "/v1/notes/a?text=a", "", "text", "the path has set it already"),
        ("GET", &format!("/v1/notes/a?{long}=1"), "", "", &format!("`{}…`", &long[..64])),
        ("GET", "/v1/notes/a?nope=1", "", "", "unknown parameter `nope`"),
        ("GET", "/v1/notes/a", "{}", "", "this method takes no body"),
    ] {
        let answer = rest(gateway.public, method, path, body).await;
        assert_eq!(answer.status, 400, "{path} {body}: {}", answer.body);
        assert!(answer.body.starts_with("{\"code\":3,"), "{}", answer.body);
        assert!(answer.body.contains("type.googleapis.com/google.rpc.BadRequest"), "{path}");
        let violations = answer.body.split("\"fieldViolations\":[").nth(1).expect("violations");
        if !field.is_empty() {
            assert!(violations.starts_with(&format!("{{\"field\":\"{field}\"")), "{violations}");
        }
        assert!(violations.contains(description), "{path}: {violations}");
    }
    assert!(backend.reached().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_i_7_a_patch_says_which_keys_it_has() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = files(&backend, "").await;
    let answer = rest(gateway.public, "PATCH", "/v1/changes/1", r#"{"number":"0"}"#).await;
    assert_eq!(answer.body, r#"{"id":"1","note":{},"mask":"number"}"#);
    let answer =
        rest(gateway.public, "PATCH", "/v1/changes/1?mask=text", r#"{"number":"1"}"#).await;
    assert_eq!(answer.body, r#"{"id":"1","note":{"number":"1"},"mask":"text"}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn security_li_8_the_last_number_of_parameters_that_passes_and_the_first_that_does_not() {
    let backend = Backend::start(vec![Script::message(note("a"))]);
    let gateway = gateway(backend.address).start().await;
    for (count, status) in [(100, 200), (101, 400)] {
        let query = "more=x&".repeat(count);
        let answer = rest(gateway.public, "GET", &format!("/v1/notes/a?{query}"), "").await;
        assert_eq!(answer.status, status, "{count}: {}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_j_17_a_caller_may_ask_for_numbers_and_defaults() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = files(&backend, "").await;
    let headers = ["content-type: application/json", "accept: application/json;int64=number"];
    let answer = send(&gateway, "POST /v1/notes/a", &headers, br#"{"number":"7"}"#).await;
    assert_eq!((answer.status, &*answer.body), (200, r#"{"number":7,"text":"a"}"#));
}
