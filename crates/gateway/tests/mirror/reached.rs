//! What reaches the candidate and its twin, and what never does.

use tandem_judge::noise::Source;
use tandem_testkit::client::{RestCall, grpc, note, raw, rest};
use tandem_testkit::{Backend, Script};

use super::{EACH, READS, compared, counter, lost, message, mirrored, pairs, quiet};

fn answers(messages: &[&str]) -> Script {
    Script::Answer {
        http_status: 200,
        head: vec![("content-type", "application/grpc")],
        messages: messages.iter().map(|text| note(text)).collect(),
        trailers: Some(vec![("grpc-status", "0")]),
    }
}

#[tokio::test]
async fn a_call_is_copied_compared_and_counted() {
    let (go, rust) = (Backend::start(vec![message("Dune")]), Backend::start(vec![message("Dune")]));
    let gateway = mirrored(&go, &rust, EACH).start().await;

    let answer = rest(gateway.public, "GET", "/v1/ask/1", "").await;
    assert_eq!((answer.status, &*answer.body), (200, r#"{"text":"Dune"}"#));
    let answer = grpc(gateway.public, "Ask", &[], &[&note("1")]).await;
    assert_eq!(answer.status(), "0");

    compared(&gateway, "Ask", 2).await;
    assert_eq!((go.calls(), rust.calls()), (2, 2));
    let pairs = pairs(&gateway, "Ask");
    assert_eq!((pairs.primary.as_str(), pairs.candidate.as_str()), ("it", "rust"));
    assert_eq!((pairs.source, pairs.twin), (Source::Rules, None));
    assert!(pairs.differences.is_empty());
    assert_eq!((pairs.lanes.primary.calls, pairs.lanes.candidate.calls), (2, 2));
    assert_eq!(pairs.lanes.candidate.latency_us.total(), 2);
    assert_eq!(counter(&gateway, "tandem_mirror_sent_total", "Ask", "side=\"candidate\""), 2);
    assert_eq!(counter(&gateway, "tandem_mirror_sent_total", "Ask", "side=\"twin\""), 0);
    let mirrored = gateway.view.mirrored();
    let all = READS.map(|method| ("notes".to_owned(), format!("test.v1.Notes/{method}")));
    let mut all = all.to_vec();
    all.sort();
    assert_eq!(mirrored, all);
}

/// Every kind of method, from REST and gRPC callers: what reaches the candidate is what reached
/// the primary, byte for byte, and the pair is whole.
#[tokio::test]
async fn compare_m_7_all_kinds_of_streams_are_copied_from_all_callers() {
    for (method, requests, messages, path, body) in [
        ("Ask", &["a"][..], &["x"][..], "POST /v1/ask", r#"{"text":"a"}"#),
        ("AskMany", &["a"], &["x", "y", "z"], "GET /v1/many/a", ""),
        (
            "AskOfMany",
            &["a", "b", "c"],
            &["x"],
            "POST /v1/of-many",
            r#"[{"text":"a"},{"text":"b"},{"text":"c"}]"#,
        ),
        ("AskEach", &["a", "b"], &["x", "y"], "POST /v1/each", r#"[{"text":"a"},{"text":"b"}]"#),
    ] {
        let go = Backend::start(vec![answers(messages)]);
        let rust = Backend::start(vec![answers(messages)]);
        let gateway = mirrored(&go, &rust, EACH).start().await;
        let requests: Vec<Vec<u8>> = requests.iter().map(|text| note(text)).collect();
        let borrowed: Vec<&[u8]> = requests.iter().map(|request| &**request).collect();

        let answer = grpc(gateway.public, method, &[], &borrowed).await;
        assert_eq!((answer.status(), answer.messages.len()), ("0", messages.len()), "{method}");
        compared(&gateway, method, 1).await;
        let (verb, path) = path.split_once(' ').unwrap();
        let answer = rest(gateway.public, verb, path, body).await;
        assert_eq!(answer.status, 200, "{method}: {}", answer.body);
        compared(&gateway, method, 2).await;

        let (to_go, to_rust) = (go.reached(), rust.reached());
        assert_eq!((to_go.len(), to_rust.len()), (2, 2), "{method}");
        for (primary, candidate) in to_go.iter().zip(&to_rust) {
            assert_eq!(primary.path, candidate.path);
            assert_eq!(primary.messages, requests, "{method}");
            assert_eq!(candidate.body, primary.body, "{method}");
            assert!(candidate.ended);
        }
        let pairs = pairs(&gateway, method);
        assert_eq!((pairs.calls, pairs.differences.len()), (2, 0), "{method}: {pairs:?}");
        assert_eq!(pairs.lanes.candidate.errors, 0);
    }
}

#[tokio::test]
async fn compare_m_4_a_copy_is_marked_and_has_no_credential_of_its_caller() {
    let request = "GET /v1/ask/1 HTTP/1.1\r\nhost: any\r\nconnection: close\r\nx-request-id: r-1\r\n\
                   authorization: Bearer secret\r\ncookie: secret=1\r\nx-api-key: secret\r\n\
                   x_api_key: secret\r\nx-other: kept\r\n\r\n";
    for forward in [false, true] {
        let go = Backend::start(vec![message("x")]);
        let (go_2, rust) = (Backend::start(vec![message("x")]), Backend::start(vec![message("x")]));
        let credentials = if forward { ", credentials: forward" } else { "" };
        let rules = format!("twin: go-2, max_rate: 1000/s{credentials}");
        let gateway = mirrored(&go, &rust, &rules).also("go-2", go_2.address, "").start().await;
        assert_eq!(raw(gateway.public, request.as_bytes()).await.unwrap().status, 200);
        compared(&gateway, "Ask", 1).await;

        let primary = &go.reached()[0].headers;
        assert!(primary.get("x-tandem-mirror").is_none());
        assert_eq!(primary["authorization"], "Bearer secret");
        let mut runs = Vec::new();
        for (backend, side) in [(&rust, "candidate"), (&go_2, "twin")] {
            let reached = backend.reached();
            assert_eq!(reached.len(), 1);
            let headers = &reached[0].headers;
            let mark = headers["x-tandem-mirror"].to_str().unwrap();
            let (run, name) = mark.split_once('/').unwrap();
            assert_eq!((run.len(), name), (8, side));
            runs.push(run.to_owned());
            for name in ["authorization", "cookie", "x-api-key", "x_api_key"] {
                assert_eq!(headers.contains_key(name), forward, "{side} {name}");
            }
            assert_eq!(headers["x-other"], "kept");
            assert_eq!(headers["x-request-id"], "r-1", "pairs are found by it");
            assert_eq!(headers["traceparent"], primary["traceparent"]);
            let timeout = headers["grpc-timeout"].to_str().unwrap();
            let millis = match timeout.split_at(timeout.len() - 1) {
                (number, "m") => number.parse::<u64>().unwrap(),
                (number, "u") => number.parse::<u64>().unwrap() / 1_000,
                (number, "S") => number.parse::<u64>().unwrap() * 1_000,
                other => panic!("{other:?}"),
            };
            assert!(millis <= 5_000, "{timeout}");
        }
        assert_eq!(runs[0], runs[1]);
        assert_eq!(pairs(&gateway, "Ask").twin.as_deref(), Some("go-2"));
        assert_eq!(pairs(&gateway, "Ask").source, Source::Twin);
    }
}

#[tokio::test]
async fn compare_n_9_without_a_twin_the_primary_is_asked_twice() {
    let (go, rust) = (Backend::start(vec![message("x")]), Backend::start(vec![message("x")]));
    let gateway = mirrored(&go, &rust, "max_rate: 1000/s").start().await;
    rest(gateway.public, "GET", "/v1/ask/1", "").await;
    compared(&gateway, "Ask", 1).await;
    let marks: Vec<Option<String>> = go
        .reached()
        .iter()
        .map(|reached| {
            let mark = reached.headers.get("x-tandem-mirror")?.to_str().ok()?;
            Some(mark.split_once('/')?.1.to_owned())
        })
        .collect();
    assert_eq!(marks, [None, Some("twin".to_owned())]);
    assert_eq!(rust.calls(), 1);
    let pairs = pairs(&gateway, "Ask");
    assert_eq!((pairs.source, pairs.twin), (Source::Twice, None));
    assert_eq!(pairs.lanes.twin.unwrap().upstream, "it");
}

#[tokio::test]
async fn compare_m_6_a_copy_is_never_sent_again() {
    let go = Backend::start(vec![message("x")]);
    // REFUSED_STREAM: it never began, which any caller's call would be sent again for.
    let rust = Backend::start(vec![Script::Reset(7), message("x")]);
    let gateway =
        mirrored(&go, &rust, EACH).rules("primary: it, retries: { attempts: 3 }").start().await;
    rest(gateway.public, "GET", "/v1/ask/1", "").await;
    compared(&gateway, "Ask", 1).await;
    assert_eq!(rust.calls(), 1);
    assert_eq!(lost(&gateway, "Ask", "reset"), 1);
}

#[tokio::test]
async fn compare_m_3_what_the_cache_answers_is_never_copied() {
    let (go, rust) = (Backend::start(vec![message("x")]), Backend::start(vec![message("x")]));
    let mut setup = mirrored(&go, &rust, EACH);
    setup = setup.rules("primary: it, cache: { ttl: 1h }");
    let gateway = setup.start().await;
    for _ in 0..3 {
        assert_eq!(rest(gateway.public, "GET", "/v1/ask/1", "").await.status, 200);
        assert_eq!(grpc(gateway.public, "Ask", &[], &[&note("1")]).await.status(), "0");
    }
    compared(&gateway, "Ask", 1).await;
    rest(gateway.public, "GET", "/v1/ask/2", "").await;
    compared(&gateway, "Ask", 2).await;
    quiet(&gateway).await;
    assert_eq!((go.calls(), rust.calls()), (2, 2));
    let fetched = &rust.reached()[0];
    assert_eq!(fetched.messages, [note("1")]);
    assert!(pairs(&gateway, "Ask").sampled_after_cache);
    assert!(!pairs(&gateway, "AskMany").sampled_after_cache);
}

#[tokio::test]
async fn compare_j_9_of_a_stream_whose_caller_left_what_both_sides_sent_is_compared() {
    let both = Script::HangAfter(vec![note("a"), note("b")]);
    let (go, rust) = (Backend::start(vec![both.clone()]), Backend::start(vec![both]));
    let gateway = mirrored(&go, &rust, EACH).start().await;
    let headers = [("accept", "application/x-ndjson")];
    let line = ("GET", "/v1/many/1");
    let mut call = RestCall::open(gateway.public, true, line, &headers, false).await;
    call.until("\"b\"").await;
    drop(call);
    compared(&gateway, "AskMany", 1).await;
    let pairs = pairs(&gateway, "AskMany");
    assert_eq!((pairs.calls, pairs.differences.len()), (1, 0), "{pairs:?}");
}
