//! Answers that are streams: the bytes of each framing, and how the transfer ends.

use tandem_contract::fields;
use tandem_testkit::backend::{Backend, Script};
use tandem_testkit::client::{End, RestCall, note, raw};

use super::{FRAMINGS, FULL, HTTP1, HTTP2, answer, failed, get, ok, recorded, streams};

/// What stands around messages in each framing: the two, a failure, a success.
const AROUND: [(&str, &str, &str); 3] = [
    (r#"[{"text":"a"},{"text":"b"}"#, r#",{"error":STATUS}"#, "]"),
    ("{\"text\":\"a\"}\n{\"text\":\"b\"}\n", "{\"error\":STATUS}\n", ""),
    (
        "id: 1\ndata: {\"text\":\"a\"}\n\nid: 2\ndata: {\"text\":\"b\"}\n\n",
        "event: error\ndata: STATUS\n\n",
        "event: end\ndata: {}\n\n",
    ),
];

/// Two messages come, then an end; `failed` is the status that it means.
async fn ends(script: Script, failed: Option<&str>, code: &str) {
    let backend = Backend::start(vec![script.clone()]);
    let gateway = streams(&backend).await;
    for http2 in [HTTP1, HTTP2] {
        for (accept, (messages, failure, success)) in FRAMINGS.iter().zip(AROUND) {
            let transfer = get(&gateway, http2, "/v1/many", accept).await;
            let case = format!("{script:?} http2 {http2} {accept}");
            let (last, end) = match failed {
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
            let mut names: Vec<&str> = transfer.headers.keys().map(|name| name.as_str()).collect();
            names.retain(|name| !matches!(*name, "date" | "transfer-encoding" | "x-own"));
            names.sort_unstable();
            assert_eq!(names, ["content-type", "server", "vary", "x-request-id"], "{case}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_s_3_a_failed_stream_never_looks_complete() {
    let two = ["a", "b"];
    let cut_by_reset =
        Script::ResetAfter { messages: two.iter().map(|text| note(text)).collect(), code: 2 };
    let broken = r#"{"code":13,"message":"the service broke the call off","details":[]}"#;
    let no_status = r#"{"code":13,"message":"the service ended without a status","details":[]}"#;
    ends(failed(&two), Some(FULL), "FAILED_PRECONDITION").await;
    ends(cut_by_reset, Some(broken), "INTERNAL").await;
    ends(answer(&two, None), Some(no_status), "INTERNAL").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_s_4_a_stream_that_succeeded_says_so() {
    ends(ok(&["a", "b"]), None, "OK").await;
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

#[tokio::test(flavor = "multi_thread")]
async fn protocols_s_1_the_caller_says_how_a_stream_is_framed() {
    let backend = Backend::start(vec![ok(&["a"])]);
    let gateway = streams(&backend).await;
    let array = ("application/json", r#"[{"text":"a"}]"#);
    let events = ("text/event-stream", "id: 1\ndata: {\"text\":\"a\"}\n\nevent: end\ndata: {}\n\n");
    let lines = |media| (media, "{\"text\":\"a\"}\n");
    for (accept, (media, body)) in [
        ("*/*", array),
        ("text/event-stream, application/json", array),
        ("application/json;q=0.5, text/event-stream", events),
        ("application/jsonl", lines("application/jsonl")),
        ("application/ndjson;q=0.9, text/event-stream;q=0.8", lines("application/ndjson")),
        ("application/x-ndjson, text/event-stream", lines("application/x-ndjson")),
    ] {
        for http2 in [HTTP1, HTTP2] {
            let transfer = get(&gateway, http2, "/v1/many", accept).await;
            assert_eq!(
                (transfer.header("content-type"), &*transfer.body),
                (media, body),
                "{accept}"
            );
        }
    }
}
