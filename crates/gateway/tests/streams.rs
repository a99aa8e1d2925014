//! Streams as REST through a gateway, by HTTP/1.1 and HTTP/2: exact bytes, and how transfers end.

use tandem_contract::fields;
use tandem_testkit::backend::{Backend, Script};
use tandem_testkit::client::{End, RestCall, Transfer, note, raw};
use tandem_testkit::{TestGateway, gateway};

const STREAMS: &str = r#"
syntax = "proto3"; package test.v1;
import "google/api/annotations.proto";
import "google/api/httpbody.proto";
import "google/protobuf/struct.proto";
message Note { string text = 1; int64 number = 2; repeated string more = 3; google.protobuf.Value any = 4; oneof one { string left = 5; string right = 6; } }
message Part { string name = 1; google.api.HttpBody content = 2; }
service Notes {
  rpc Many(Note) returns (stream Note) { option (google.api.http) = { get: "/v1/many" additional_bindings { get: "/v1/texts" response_body: "text" } additional_bindings { post: "/v1/many" body: "*" } }; }
  rpc Pages(Note) returns (stream google.api.HttpBody) { option (google.api.http) = { get: "/v1/pages" }; }
  rpc Collect(stream Note) returns (Note) { option (google.api.http) = { post: "/v1/collect" body: "*" additional_bindings { post: "/v1/collect/{text}" body: "*" } additional_bindings { post: "/v1/more/{text}" body: "more" } additional_bindings { post: "/v1/any/{text}" body: "any" } additional_bindings { post: "/v1/left/{left}" body: "*" } additional_bindings { get: "/v1/collect/{text}" } }; }
  rpc Upload(stream Part) returns (Note) { option (google.api.http) = { post: "/v1/upload/{name}" body: "content" }; }
  rpc Talk(stream Note) returns (stream Note) { option (google.api.http) = { post: "/v1/talk" body: "*" }; }
  rpc Secret(Note) returns (Note);
}
"#;

const HTTP1: bool = false;
const HTTP2: bool = true;
const JSON: (&str, &str) = ("content-type", "application/json");
const FRAMINGS: [&str; 3] = ["application/json", "application/x-ndjson", "text/event-stream"];

async fn streams(backend: &Backend) -> TestGateway {
    gateway(backend.address).contract(STREAMS).start().await
}

async fn get(gateway: &TestGateway, http2: bool, path: &str, accept: &str) -> Transfer {
    let headers = [("accept", accept)];
    RestCall::open(gateway.public, http2, ("GET", path), &headers, false).await.finish().await
}

async fn post(
    gateway: &TestGateway,
    http2: bool,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Transfer {
    let mut call = RestCall::open(gateway.public, http2, ("POST", path), headers, true).await;
    if !body.is_empty() {
        call.send(body).await;
    }
    call.send(b"").await;
    call.finish().await
}

fn answer(messages: &[&str], trailers: Option<Vec<(&'static str, &'static str)>>) -> Script {
    Script::Answer {
        http_status: 200,
        head: vec![("content-type", "application/grpc"), ("x-own", "1")],
        messages: messages.iter().map(|text| note(text)).collect(),
        trailers,
    }
}

fn ok(messages: &[&str]) -> Script {
    answer(messages, Some(vec![("grpc-status", "0"), ("x-late", "1")]))
}

fn failed(messages: &[&str]) -> Script {
    answer(messages, Some(vec![("grpc-status", "9"), ("grpc-message", "full")]))
}

/// The code that stands in the record of the call.
async fn recorded(gateway: &TestGateway, transfer: &Transfer) -> String {
    let id = transfer.header("x-request-id");
    gateway.until(|gateway| !gateway.view.request(id).is_empty()).await;
    gateway.view.request(id)[0].code.name().to_owned()
}

const FULL: &str = r#"{"code":9,"message":"full","details":[]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn protocols_s_3_s_4_s_5_each_framing_says_how_the_stream_ended() {
    let two = ["a", "b"];
    let cut_by_reset =
        Script::ResetAfter { messages: two.iter().map(|text| note(text)).collect(), code: 2 };
    let broken = r#"{"code":13,"message":"the service broke the call off","details":[]}"#;
    let no_status = r#"{"code":13,"message":"the service ended without a status","details":[]}"#;
    let elements = [
        (r#"[{"text":"a"},{"text":"b"}"#, r#",{"error":STATUS}"#, "]"),
        ("{\"text\":\"a\"}\n{\"text\":\"b\"}\n", "{\"error\":STATUS}\n", ""),
        (
            "id: 1\ndata: {\"text\":\"a\"}\n\nid: 2\ndata: {\"text\":\"b\"}\n\n",
            "event: error\ndata: STATUS\n\n",
            "event: end\ndata: {}\n\n",
        ),
    ];
    for (script, status, code) in [
        (ok(&two), None, "OK"),
        (failed(&two), Some(FULL), "FAILED_PRECONDITION"),
        (cut_by_reset, Some(broken), "INTERNAL"),
        (answer(&two, None), Some(no_status), "INTERNAL"),
    ] {
        let backend = Backend::start(vec![script.clone()]);
        let gateway = streams(&backend).await;
        for http2 in [HTTP1, HTTP2] {
            for (accept, (messages, failure, success)) in FRAMINGS.iter().zip(elements) {
                let transfer = get(&gateway, http2, "/v1/many", accept).await;
                let case = format!("{script:?} http2 {http2} {accept}");
                let (last, end) = match status {
                    None => (success.to_owned(), End::Complete),
                    Some(status) if *accept == "text/event-stream" => {
                        (failure.replace("STATUS", status), End::Complete)
                    }
                    Some(status) if http2 => (failure.replace("STATUS", status), End::Reset(2)),
                    Some(status) => (failure.replace("STATUS", status), End::Closed),
                };
                assert_eq!(transfer.body, format!("{messages}{last}"), "{case}");
                assert_eq!(transfer.end, end, "{case}");
                assert_eq!(transfer.status, 200, "{case}");
                assert_eq!(transfer.header("content-type"), *accept, "{case}");
                assert_eq!(transfer.header("vary"), "Accept, Accept-Encoding");
                assert_eq!(recorded(&gateway, &transfer).await, code, "{case}");
                // Trailing metadata of a stream is dropped, grpc-* never leaves (M-5).
                let mut names: Vec<&str> =
                    transfer.headers.keys().map(|name| name.as_str()).collect();
                names.retain(|name| !matches!(*name, "date" | "transfer-encoding" | "x-own"));
                names.sort_unstable();
                assert_eq!(names, ["content-type", "server", "vary", "x-request-id"], "{case}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_s_2_a_failure_before_the_first_message_is_an_ordinary_error() {
    let unreadable = Script::message(b"\x0a\x05abc".to_vec());
    let page = Script::Answer {
        http_status: 503,
        head: vec![("content-type", "text/html")],
        messages: Vec::new(),
        trailers: None,
    };
    let in_the_head = Script::trailers(&[("grpc-status", "5"), ("grpc-message", "none")]);
    for (script, status, body) in [
        (failed(&[]), 400, FULL),
        (in_the_head, 404, r#"{"code":5,"message":"none","details":[]}"#),
        (Script::Reset(2), 502, "{\"code\":13,"),
        (page, 503, "{\"code\":14,"),
        (unreadable, 502, "{\"code\":13,"),
        (Script::Garbage(b"\x07\0\0\0\0".to_vec()), 502, "{\"code\":13,"),
        (answer(&[], None), 500, "{\"code\":13,"),
    ] {
        let backend = Backend::start(vec![script.clone()]);
        let gateway = streams(&backend).await;
        for http2 in [HTTP1, HTTP2] {
            for accept in FRAMINGS {
                let transfer = get(&gateway, http2, "/v1/many", accept).await;
                let case = format!("{script:?} http2 {http2} {accept}: {transfer:?}");
                assert_eq!(transfer.status, status, "{case}");
                assert!(transfer.body.starts_with(body), "{case}");
                assert_eq!(transfer.end, End::Complete, "{case}");
                assert_eq!(transfer.header("content-type"), "application/json", "{case}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_s_5_an_empty_stream_in_each_framing() {
    let backend = Backend::start(vec![ok(&[])]);
    let gateway = streams(&backend).await;
    for http2 in [HTTP1, HTTP2] {
        for (accept, body) in FRAMINGS.iter().zip(["[]", "", "event: end\ndata: {}\n\n"]) {
            let transfer = get(&gateway, http2, "/v1/many", accept).await;
            assert_eq!((transfer.status.as_u16(), &*transfer.body), (200, body), "{accept}");
            assert_eq!(transfer.end, End::Complete, "{accept}");
            assert_eq!(transfer.header("content-type"), *accept);
        }
    }
    let transfer = get(&gateway, HTTP1, "/v1/many", "image/png").await;
    assert_eq!(transfer.status, 406, "{}", transfer.body);
    assert_eq!(backend.reached().len(), 6, "what is not acceptable reaches no upstream");
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_s_8_each_message_leaves_when_it_comes_and_who_leaves_cancels() {
    let backend = Backend::start(vec![Script::HangAfter(vec![note("a"), note("b")])]);
    let gateway = streams(&backend).await;
    let mut cancelled = 0;
    for http2 in [HTTP1, HTTP2] {
        for accept in FRAMINGS {
            let headers = [("accept", accept)];
            let line = ("GET", "/v1/many");
            let mut call = RestCall::open(gateway.public, http2, line, &headers, false).await;
            call.until("\"b\"").await;
            drop(call);
            cancelled += 1;
            backend.cancelled(cancelled).await;
        }
    }
    // A request that waits behind the stream does not hold its messages back.
    let mut call = RestCall::open(gateway.public, HTTP1, ("GET", "/v1/many"), &[], false).await;
    let RestCall::Http1 { stream, .. } = &mut call else { unreachable!("it is HTTP/1.1") };
    tokio::io::AsyncWriteExt::write_all(stream, b"GET /v1/many HTTP/1.1\r\nhost: any\r\n\r\n")
        .await
        .expect("a request");
    call.until("\"b\"").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_a_1_a_silent_stream_lets_its_head_go_and_fails_in_its_framing() {
    let backend = Backend::start(vec![Script::HangAfter(Vec::new())]);
    let rules = "deadline: { default: 2s }";
    let gateway = gateway(backend.address).contract(STREAMS).rules(rules).start().await;
    let late = r#"{"code":4,"message":"the deadline of the call has passed","details":[]}"#;
    for http2 in [HTTP1, HTTP2] {
        let line = ("GET", "/v1/many");
        let mut call = RestCall::open(gateway.public, http2, line, &[], false).await;
        assert_eq!(call.head().await, 200);
        let transfer = call.finish().await;
        assert_eq!(transfer.body, format!("[{{\"error\":{late}}}"));
        assert_eq!(transfer.end, if http2 { End::Reset(2) } else { End::Closed });
    }
    backend.cancelled(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_a_2_and_s_7_fields_of_messages_and_the_last_event() {
    let backend = Backend::start(vec![ok(&["a", "", "b\nc"])]);
    let gateway = streams(&backend).await;
    let transfer = get(&gateway, HTTP1, "/v1/texts", "application/json").await;
    assert_eq!(transfer.body, r#"["a","","b\nc"]"#);
    let headers = [("accept", "text/event-stream"), ("last-event-id", "41")];
    let line = ("GET", "/v1/texts");
    let call = RestCall::open(gateway.public, HTTP2, line, &headers, false).await;
    let events = "id: 1\ndata: \"a\"\n\nid: 2\ndata: \"\"\n\nid: 3\ndata: \"b\\nc\"\n\n";
    assert_eq!(call.finish().await.body, format!("{events}event: end\ndata: {{}}\n\n"));
    assert_eq!(backend.reached()[1].headers["last-event-id"], "41");
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_a_3_a_raw_stream_has_the_type_of_its_first_message_and_aborts_when_it_fails() {
    let page = |content_type: &str, data: &str| {
        let mut out = Vec::new();
        fields::put_bytes(1, content_type.as_bytes(), &mut out);
        fields::put_bytes(2, data.as_bytes(), &mut out);
        out
    };
    let pages = vec![page("text/csv", "1,"), page("", ""), page("text/html", "2\n")];
    let script = |messages: &[Vec<u8>], status| Script::Answer {
        http_status: 200,
        head: vec![("content-type", "application/grpc")],
        messages: messages.to_vec(),
        trailers: Some(vec![("grpc-status", status)]),
    };
    for (script, status, media, body, complete) in [
        (script(&pages, "0"), 200, "text/csv", "1,2\n", true),
        (script(&pages, "9"), 200, "text/csv", "1,2\n", false),
        (script(&[], "0"), 200, "", "", true),
    ] {
        let backend = Backend::start(vec![script]);
        let gateway = streams(&backend).await;
        for http2 in [HTTP1, HTTP2] {
            let transfer = get(&gateway, http2, "/v1/pages", "text/csv").await;
            assert_eq!(
                (transfer.status.as_u16(), transfer.header("content-type")),
                (status, media)
            );
            assert_eq!(transfer.body, body);
            let aborted = if http2 { End::Reset(2) } else { End::Closed };
            assert_eq!(transfer.end, if complete { End::Complete } else { aborted });
        }
    }
}

/// The texts of the messages that reached the upstream.
fn texts(messages: &[bytes::Bytes]) -> Vec<Vec<u8>> {
    messages.iter().map(|message| message.to_vec()).collect()
}

fn numbered(text: &str, number: u64) -> Vec<u8> {
    let mut out = note(text);
    fields::put_number(2, number, &mut out);
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_s_9_s_10_streams_of_requests_reach_the_upstream_as_messages() {
    let backend = Backend::start(vec![Script::message(note("done"))]);
    let gateway = streams(&backend).await;
    let lines = ("content-type", "application/x-ndjson");
    let mut both = note("t");
    fields::put_bytes(3, b"x", &mut both);
    let mut more = Vec::new();
    fields::put_bytes(3, b"y", &mut more);
    fields::put_bytes(3, b"z", &mut more);
    let one = numbered("", 1);
    let right = {
        let mut out = Vec::new();
        fields::put_bytes(6, b"r", &mut out);
        out
    };
    let left = {
        let mut out = one.clone();
        fields::put_bytes(5, b"l", &mut out);
        out
    };
    let mut reached = 0;
    for (path, media, body, messages) in [
        ("/v1/collect", JSON, r#"[{"text":"a"}, {"text":"b"}]"#, vec![note("a"), note("b")]),
        ("/v1/collect", JSON, r#"{"text":"a"} {"text":"b"}{}"#, vec![note("a"), note("b"), vec![]]),
        ("/v1/collect", lines, "{\"text\":\"a\"}\n\n{\"text\":\"b\"}", vec![note("a"), note("b")]),
        ("/v1/collect", JSON, "[]", vec![]),
        ("/v1/collect", JSON, "", vec![]),
        // The path says something even where no element follows.
        ("/v1/collect/t", JSON, "[]", vec![note("t")]),
        (
            "/v1/collect/t",
            JSON,
            r#"[{"number":1},{"number":1}]"#,
            vec![
                {
                    let mut out = one.clone();
                    fields::put_bytes(1, b"t", &mut out);
                    out
                },
                one.clone(),
            ],
        ),
        // Later elements say nothing against the path.
        ("/v1/left/l", JSON, r#"[{"number":1},{"right":"r"}]"#, vec![left.clone(), right.clone()]),
        // A list of lists, because one element is a list itself.
        ("/v1/more/t", JSON, r#"[["x"],["y","z"]]"#, vec![both.clone(), more.clone()]),
        (
            "/v1/more/t?number=1",
            lines,
            "[\"y\",\"z\"]",
            vec![{
                let mut out = note("t");
                out.extend_from_slice(&more);
                fields::put_number(2, 1, &mut out);
                out
            }],
        ),
    ] {
        for http2 in [HTTP1, HTTP2] {
            let transfer = post(&gateway, http2, path, &[media], body.as_bytes()).await;
            assert_eq!(
                (transfer.status.as_u16(), &*transfer.body),
                (200, r#"{"text":"done"}"#),
                "{body}"
            );
            let last = &backend.reached()[reached];
            reached += 1;
            assert_eq!(texts(&last.messages), messages, "{path} {body}");
            assert!(last.ended, "{body}");
        }
    }
    // A rule that takes no body makes one message.
    let transfer = get(&gateway, HTTP1, "/v1/collect/t", "*/*").await;
    assert_eq!(transfer.status, 200, "{}", transfer.body);
    assert_eq!(texts(&backend.reached()[reached].messages), [note("t")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_s_9_a_fault_names_its_element_and_the_upstream_is_cancelled() {
    let backend = Backend::start(vec![Script::message(note("done"))]);
    let gateway = streams(&backend).await;
    let lines = ("content-type", "application/jsonl");
    for (path, media, body, status, message) in [
        ("/v1/collect", JSON, r#"[{"number":"x"}]"#, 400, "element 0: number: `x` is no number"),
        ("/v1/collect", JSON, "}", 400, "element 0: a value was expected (at byte 0)"),
        ("/v1/any/t", JSON, "1", 400, "element 0: a list of messages was expected (at byte 0)"),
        (
            "/v1/collect/t",
            JSON,
            r#"{"text":"u"}"#,
            400,
            "element 0: text: the body gives it another value than the path",
        ),
        ("/v1/collect?number=1", JSON, "[]", 400, "number: "),
        ("/v1/collect", ("content-type", "text/plain"), "x", 415, "the body must be"),
        ("/v1/collect", ("content-encoding", "br"), "x", 415, ""),
    ] {
        for http2 in [HTTP1, HTTP2] {
            let transfer = post(&gateway, http2, path, &[media], body.as_bytes()).await;
            assert_eq!(transfer.status, status, "{body}: {}", transfer.body);
            assert!(
                transfer.body.contains(&format!("\"message\":\"{message}")),
                "{}",
                transfer.body
            );
        }
    }
    assert!(backend.reached().is_empty(), "a fault in the first element reaches no upstream");
    let mut cancelled = 0;
    for (media, body, message) in [
        (
            JSON,
            r#"[{"text":"a"},{"text":"b"},{"number":"x"}]"#,
            "element 2: number: `x` is no number",
        ),
        (JSON, r#"[{"text":"a"},]"#, "element 1: a value was expected (at byte 14)"),
        (JSON, r#"[{"text":"a"},{"text":"b"}"#, "element 2: the body ends inside the list"),
        (lines, "{}\n{}\n{\"nope\":1}\n", "element 2: "),
    ] {
        for http2 in [HTTP1, HTTP2] {
            let transfer = post(&gateway, http2, "/v1/collect", &[media], body.as_bytes()).await;
            assert_eq!(transfer.status, 400, "{body}: {}", transfer.body);
            assert!(
                transfer.body.contains(&format!("\"message\":\"{message}")),
                "{}",
                transfer.body
            );
            cancelled += 1;
            backend.cancelled(cancelled).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_i_8_a_raw_body_becomes_messages_of_64_kib() {
    let backend = Backend::start(vec![Script::message(note("done"))]);
    let gateway = streams(&backend).await;
    let part = |name: &str, content_type: &str, data: &[u8]| {
        let (mut content, mut out) = (Vec::new(), Vec::new());
        if !content_type.is_empty() {
            fields::put_bytes(1, content_type.as_bytes(), &mut content);
        }
        if !data.is_empty() {
            fields::put_bytes(2, data, &mut content);
        }
        if !name.is_empty() {
            fields::put_bytes(1, name.as_bytes(), &mut out);
        }
        fields::put_bytes(2, &content, &mut out);
        out
    };
    let kib64 = 64 * 1024;
    for (number, (bytes, parts)) in
        [(0, vec![0]), (1, vec![1]), (kib64, vec![kib64]), (2 * kib64 + 1, vec![kib64, kib64, 1])]
            .into_iter()
            .enumerate()
    {
        let data = vec![b'x'; bytes];
        let headers = [("content-type", "image/x-own")];
        let transfer = post(&gateway, HTTP1, "/v1/upload/a", &headers, &data).await;
        assert_eq!(transfer.status, 200, "{}", transfer.body);
        let mut expected: Vec<Vec<u8>> =
            parts.iter().map(|bytes| part("", "", &vec![b'x'; *bytes])).collect();
        expected[0] = part("a", "image/x-own", &vec![b'x'; parts[0]]);
        assert!(texts(&backend.reached()[number].messages) == expected, "{bytes}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_s_11_http_2_flows_both_ways_at_once_and_http_1_one_after_the_other() {
    let backend = Backend::start(vec![Script::EchoEach]);
    let gateway = streams(&backend).await;
    let line = ("POST", "/v1/talk");
    let headers = [JSON, ("accept", "application/x-ndjson")];
    let mut call = RestCall::open(gateway.public, HTTP2, line, &headers, true).await;
    for (element, answer) in [("[{\"text\":\"a\"}", "\"a\"}\n"), (",{\"text\":\"b\"}", "\"b\"}\n")]
    {
        call.send(element.as_bytes()).await;
        call.until(answer).await;
    }
    call.send(b"]").await;
    call.send(b"").await;
    let both = "{\"text\":\"a\"}\n{\"text\":\"b\"}\n";
    let transfer = call.finish().await;
    assert_eq!((&*transfer.body, transfer.end), (both, End::Complete));

    let mut call = RestCall::open(gateway.public, HTTP1, line, &headers, true).await;
    for number in 1..=100 {
        call.send(b"{\"text\":\"a\"}").await;
        backend.answered(2 + number).await;
        assert!(!call.has_come(), "the answer began before the request had ended");
    }
    call.send(b"").await;
    let transfer = call.finish().await;
    assert_eq!((transfer.body, transfer.end), ("{\"text\":\"a\"}\n".repeat(100), End::Complete));

    // A fault behind the first answer: the framing says so.
    let mut call = RestCall::open(gateway.public, HTTP2, line, &headers, true).await;
    call.send(b"[{\"text\":\"a\"}").await;
    call.until("\"a\"}\n").await;
    call.send(b",{\"number\":\"x\"}").await;
    let transfer = call.finish().await;
    assert!(
        transfer.body.contains("\n{\"error\":{\"code\":3,\"message\":\"element 1: number: "),
        "{}",
        transfer.body
    );
    assert_eq!(transfer.end, End::Reset(2));
    backend.cancelled(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_s_8_a_slow_reader_stops_the_upstream() {
    // More than all buffers between: those of the sockets, which are the system's, and windows.
    const MIB: usize = 1024 * 1024;
    for (http2, messages, most_bytes) in [(HTTP1, 512, 16 * MIB), (HTTP2, 128, 3 * MIB)] {
        let text = "x".repeat(64 * 1024);
        let backend = Backend::start(vec![Script::Flood(messages, note(&text))]);
        let gateway = streams(&backend).await;
        let line = ("GET", "/v1/many");
        let mut call = RestCall::open(gateway.public, http2, line, &[], false).await;
        assert_eq!(call.head().await, 200);
        // Other calls are carried meanwhile, until the stream has stood still for a hundred.
        let (mut seen, mut still) = (0, 0);
        while still < 100 {
            assert_eq!(get(&gateway, http2, "/v1/none", "*/*").await.status, 404);
            still = if backend.answers() == seen { still + 1 } else { 0 };
            seen = backend.answers();
        }
        assert!(seen * text.len() < most_bytes, "{seen} messages were taken, http2 {http2}");
        let transfer = call.finish().await;
        assert_eq!(transfer.end, End::Complete);
        assert_eq!(transfer.body.len(), messages * (text.len() + r#"{"text":""},"#.len()) + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_a_4_head_and_statuses_without_a_body_end_the_stream() {
    let quiet = Script::Answer {
        http_status: 200,
        head: vec![("content-type", "application/grpc"), ("x-http-code", "204")],
        messages: vec![note("a")],
        trailers: Some(vec![("grpc-status", "0")]),
    };
    let backend = Backend::start(vec![quiet, Script::HangAfter(vec![note("a")])]);
    let gateway = streams(&backend).await;
    let transfer = get(&gateway, HTTP2, "/v1/many", "*/*").await;
    assert_eq!((transfer.status.as_u16(), &*transfer.body), (204, ""));
    for http2 in [HTTP1, HTTP2] {
        let line = ("HEAD", "/v1/many");
        let headers = [("accept", "text/event-stream")];
        let mut call = RestCall::open(gateway.public, http2, line, &headers, false).await;
        assert_eq!(call.head().await, 200);
    }
    backend.cancelled(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn security_li_7_a_stream_that_nobody_uses_ends() {
    let backend = Backend::start(vec![Script::HangAfter(vec![note("a")])]);
    let limits = "stream_idle: 1s";
    let gateway = gateway(backend.address).contract(STREAMS).limits(limits).start().await;
    let silent =
        r#"{"code":4,"message":"neither side has said anything for too long","details":[]}"#;
    let transfer = get(&gateway, HTTP2, "/v1/many", "*/*").await;
    assert_eq!(transfer.body, format!(r#"[{{"text":"a"}},{{"error":{silent}}}"#));
    assert_eq!(transfer.end, End::Reset(2));
    backend.cancelled(1).await;
    // Before the first answer it is an ordinary error.
    for path in ["/v1/collect", "/v1/talk"] {
        let mut call = RestCall::open(gateway.public, HTTP1, ("POST", path), &[JSON], true).await;
        call.send(b"[{}").await;
        let transfer = call.finish().await;
        assert_eq!((transfer.status.as_u16(), &*transfer.body), (504, silent), "{path}");
    }
}

/// What a caller's tool makes of a stream that failed.
#[tokio::test(flavor = "multi_thread")]
async fn protocols_s_3_curl_tells_a_failed_stream_from_a_finished_one() {
    let version = std::process::Command::new("curl").arg("-V").output();
    let Ok(version) = version else { return eprintln!("no curl on PATH: nothing was tried") };
    let http2_too = String::from_utf8_lossy(&version.stdout).contains("HTTP2");
    for (script, fails) in [(ok(&["a", "b"]), false), (failed(&["a", "b"]), true)] {
        let backend = Backend::start(vec![script]);
        let gateway = streams(&backend).await;
        let url = format!("http://{}/v1/many", gateway.public);
        for (option, cut) in [("--http1.1", 18), ("--http2-prior-knowledge", 92)] {
            if cut == 92 && !http2_too {
                continue;
            }
            for accept in FRAMINGS {
                let output = std::process::Command::new("curl")
                    .args(["-q", "-s", "-N", "--noproxy", "*", "--max-time", "20", option])
                    .args(["-H", &format!("accept: {accept}"), &url])
                    .output()
                    .expect("curl runs");
                let out = String::from_utf8_lossy(&output.stdout);
                // Events end cleanly: their last one says how.
                let events = accept == "text/event-stream";
                let code = if fails && !events { cut } else { 0 };
                assert_eq!(output.status.code(), Some(code), "{accept} {option} {out}");
                // By HTTP/2 curl drops what it has not yet written when the reset comes.
                if code != 92 {
                    assert_eq!(out.contains(FULL), fails, "{accept} {option} {out}");
                }
                assert_eq!(out.contains("event: error"), fails && events);
                assert_eq!(out.contains("event: end"), !fails && events);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_s_6_a_route_says_how_streams_are_framed() {
    let backend = Backend::start(vec![failed(&["a"])]);
    let rules = "rest: { stream_framing: ndjson, stream_envelope: result_error }";
    let gateway = gateway(backend.address).contract(STREAMS).method("Many", rules).start().await;
    for http2 in [HTTP1, HTTP2] {
        let transfer = get(&gateway, http2, "/v1/many", "*/*").await;
        assert_eq!(transfer.header("content-type"), "application/x-ndjson");
        let lines = format!("{{\"result\":{{\"text\":\"a\"}}}}\n{{\"error\":{FULL}}}\n");
        assert_eq!((transfer.body, transfer.end), (lines, End::Complete));
        let transfer = get(&gateway, http2, "/v1/many", "application/json").await;
        assert_eq!(transfer.body, format!(r#"[{{"text":"a"}},{{"error":{FULL}}}"#));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_s_8_a_caller_that_leaves_its_upload_cancels_it() {
    let backend = Backend::start(vec![Script::EchoEach]);
    let gateway = streams(&backend).await;
    for (number, http2) in [HTTP1, HTTP2].into_iter().enumerate() {
        for (more, path) in ["/v1/collect", "/v1/talk"].into_iter().enumerate() {
            let line = ("POST", path);
            let mut call = RestCall::open(gateway.public, http2, line, &[JSON], true).await;
            call.send(b"[{\"text\":\"a\"},").await;
            let count = 2 * number + more + 1;
            backend.answered(count).await;
            drop(call);
            backend.cancelled(count).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_i_6_a_coded_stream_is_decoded_as_a_whole() {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(br#"[{"text":"a"},{"text":"b"}]"#).expect("it fits into memory");
    let coded = encoder.finish().expect("it fits into memory");
    let backend = Backend::start(vec![Script::message(note("done"))]);
    let gateway = streams(&backend).await;
    for (number, http2) in [HTTP1, HTTP2].into_iter().enumerate() {
        let headers = [JSON, ("content-encoding", "gzip")];
        let transfer = post(&gateway, http2, "/v1/collect", &headers, &coded).await;
        assert_eq!(transfer.status, 200, "{}", transfer.body);
        assert_eq!(texts(&backend.reached()[number].messages), [note("a"), note("b")]);
    }
}

/// A body of unknown length ends with the connection there, whether it was cut or not.
#[tokio::test(flavor = "multi_thread")]
async fn protocols_s_3_http_1_0_gets_only_what_says_itself_that_it_failed() {
    let backend = Backend::start(vec![failed(&["a"])]);
    let gateway = streams(&backend).await;
    for (accept, path, status) in [
        ("application/json", "/v1/many", 505),
        ("application/x-ndjson", "/v1/many", 505),
        ("text/csv", "/v1/pages", 505),
        ("text/event-stream", "/v1/many", 200),
    ] {
        let request = format!("GET {path} HTTP/1.0\r\nhost: any\r\naccept: {accept}\r\n\r\n");
        let answer = raw(gateway.public, request.as_bytes()).await.expect("an answer");
        assert_eq!(answer.status, status, "{accept}: {}", answer.body);
        assert_eq!(
            answer.body.ends_with(&format!("event: error\ndata: {FULL}\n\n")),
            status == 200
        );
    }
    assert_eq!(backend.reached().len(), 1);
}
