//! The text of the metrics: as the format asks, as the manual lists, bounded, and right.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tandem_gateway::{Declared, DeclaredSettings};
use tandem_protocol::refusal::{Limit, Reason};
use tandem_testkit::client::{GrpcCall, grpc, note, raw, rest};
use tandem_testkit::{Backend, Script, TestGateway, gateway};

use super::echoing;
use super::openmetrics::{Family, parse};

fn families(gateway: &TestGateway) -> BTreeMap<String, Family> {
    let text = gateway.view.metrics().text();
    parse(&text).unwrap_or_else(|why| panic!("{why}\n{text}"))
}

/// The value of a counter or gauge that has these labels.
fn value(gateway: &TestGateway, name: &str, labels: &[(&str, &str)]) -> u64 {
    let families = families(gateway);
    let found = families[name].samples.iter().find(|sample| {
        labels.iter().all(|(name, value)| sample.labels.get(*name).is_some_and(|is| is == value))
    });
    found.map_or(0, |sample| sample.value as u64)
}

fn refusals(gateway: &TestGateway, reason: &str) -> u64 {
    value(gateway, "tandem_refusals", &[("reason", reason)])
}

fn limits(gateway: &TestGateway, limit: &str) -> u64 {
    value(gateway, "tandem_limits_met", &[("limit", limit)])
}

#[tokio::test(flavor = "multi_thread")]
async fn the_text_is_openmetrics_with_and_without_calls() {
    let (_backend, gateway) = echoing().await;
    families(&gateway);
    rest(gateway.public, "GET", "/v1/notes/a", "").await;
    rest(gateway.public, "GET", "/v1/nothing", "").await;
    grpc(gateway.public, "Get", &[], &[&note("a")]).await;
    gateway.until(|gateway| gateway.figures("Get").calls() == 2).await;
    assert_eq!(value(&gateway, "tandem_calls", &[("code", "OK")]), 2);
    let families = families(&gateway);
    let durations = &families["tandem_call_duration_seconds"];
    let counted = durations.samples.iter().filter(|sample| sample.suffix == "_count");
    assert_eq!(counted.map(|sample| sample.value as u64).sum::<u64>(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_manual_lists_every_metric_with_its_kind_and_its_labels() {
    let backend = Backend::start(vec![Script::Echo]);
    let settings = DeclaredSettings { message: Default::default(), require_all: false };
    let settings = Declared::from([("test.v1.Notes".to_owned(), Some(settings))]);
    let keeping = gateway(backend.address)
        .method("Read", "cache: { ttl: 1s }, mirror: { share: 100%, to: it }");
    let looked_at = keeping.upstream(&format!("cost: \"pid:{}\"", std::process::id()));
    let gateway = looked_at.settings(Arc::new(move |_, _| settings.clone())).start().await;
    gateway.until(|gateway| !gateway.view.costs().is_empty()).await;
    rest(gateway.public, "GET", "/v1/read/a", "").await;
    gateway.until(|gateway| gateway.figures("Read").calls() == 1).await;
    let manual = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/manual/metrics.md"
    ))
    .unwrap();
    let quoted = |cell: &str| -> BTreeSet<String> {
        cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let mut listed = BTreeMap::new();
    for line in manual.lines().filter(|line| line.starts_with("| `tandem_")) {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let name = quoted(cells[1]).pop_first().unwrap();
        assert!(cells[4].len() > 2 && cells[5].len() > 3, "{line}");
        let row = (cells[2].to_owned(), quoted(cells[3]));
        assert!(listed.insert(name, row).is_none(), "{line}");
    }
    let exported: BTreeMap<_, _> = families(&gateway)
        .into_iter()
        .map(|(name, family)| {
            let mut labels = BTreeSet::new();
            for sample in &family.samples {
                labels.extend(sample.labels.keys().filter(|label| *label != "le").cloned());
            }
            (name, (family.kind, labels))
        })
        .collect();
    assert_eq!(listed, exported);
    // The words of the closed sets stand there too.
    for word in Reason::ALL.map(Reason::name).into_iter().chain(Limit::ALL.map(Limit::name)) {
        assert!(manual.contains(&format!("`{word}`")), "{word}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn security_w_8_nothing_that_a_caller_sends_becomes_a_series() {
    let (_backend, gateway) = echoing().await;
    let series = |gateway: &TestGateway| -> BTreeSet<String> {
        let text = gateway.view.metrics().text();
        text.lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.rsplit_once(' '))
            // A code that was not seen yet is a series of a closed set: seventeen a method.
            .filter(|(series, _)| !series.contains("code="))
            .map(|(series, _)| series.to_owned())
            .collect()
    };
    let before = series(&gateway);
    let mut call = String::new();
    for number in 0..1000 {
        let (method, path) = match number % 4 {
            0 => ("GET".into(), format!("/v1/odd-{number}")),
            1 => (format!("ODD{number}"), "/v1/notes/a".into()),
            2 => ("GET".into(), format!("/v1/notes/value-{number}?odd{number}=1")),
            _ => ("POST".into(), format!("/odd.v{number}.Service/Method{number}")),
        };
        let close = if number == 999 { "connection: close\r\n" } else { "" };
        call.push_str(&format!(
            "{method} {path} HTTP/1.1\r\nhost: odd-{number}.test\r\nx-odd: {number}\r\n\
             x-request-id: odd-{number}\r\ncontent-length: 0\r\n{close}\r\n"
        ));
    }
    raw(gateway.public, call.as_bytes()).await.unwrap();
    for number in 0..10 {
        let path = format!("/odd.v{number}.Service/Method");
        grpc(gateway.public, &path, &[("x-odd", "1")], &[]).await;
    }
    gateway.until(|gateway| value(gateway, "tandem_refused_calls", &[]) >= 500).await;
    assert_eq!(series(&gateway), before);
    let text = gateway.view.metrics().text();
    assert!(!text.to_lowercase().contains("odd"), "{text}");
    // Methods and upstreams, each with at most seventeen codes.
    let codes = text.lines().filter(|line| line.contains("code=")).count();
    assert!(codes <= 9 * 17, "{codes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_m_6_dropped_request_trailers_are_counted() {
    let (backend, gateway) = echoing().await;
    let chunked = "POST /v1/notes HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntrailer: x-end\r\n\
                   content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n\
                   2\r\n{}\r\n0\r\nx-end: 1\r\n\r\n";
    assert_eq!(raw(gateway.public, chunked.as_bytes()).await.unwrap().status, 200);
    assert_eq!(value(&gateway, "tandem_request_trailers_dropped", &[]), 1);
    let mut call = GrpcCall::open(gateway.public, "Get", &[]).await;
    call.message(&note("a"));
    let trailers = [("x-end", "1"), ("grpc-status", "0"), ("authorization", "b")];
    let trailers = trailers.map(|(name, value)| {
        (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
    });
    call.send.send_trailers(trailers.into_iter().collect()).unwrap();
    assert_eq!(call.read().await.status(), "0");
    assert_eq!(value(&gateway, "tandem_request_trailers_dropped", &[]), 2);
    for reached in backend.reached() {
        assert!(!reached.headers.contains_key("x-end"));
        assert!(!reached.headers.contains_key("authorization"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_counted_by_upstream_and_code() {
    let backend = Backend::start(vec![
        Script::message(note("a")),
        Script::trailers(&[("grpc-status", "5")]),
        Script::trailers(&[("grpc-status", "14")]),
        Script::trailers(&[("grpc-status", "14")]),
    ]);
    let gateway = gateway(backend.address).upstream("eject: false").start().await;
    for _ in 0..4 {
        grpc(gateway.public, "Get", &[], &[&note("a")]).await;
    }
    gateway.until(|gateway| gateway.figures("Get").calls() == 4).await;
    let counted =
        |code| value(&gateway, "tandem_upstream_calls", &[("upstream", "it"), ("code", code)]);
    assert_eq!([counted("OK"), counted("NOT_FOUND"), counted("UNAVAILABLE")], [1, 1, 2]);
    assert_eq!(gateway.upstream().answer_times.count(), 4);
    // A call that never came to an upstream is none of its own.
    rest(gateway.public, "POST", "/v1/notes", "{").await;
    gateway.until(|gateway| gateway.figures("Get").calls() == 5).await;
    assert_eq!(gateway.upstream().codes.iter().sum::<u64>(), 4);
}

/// What is refused, in whose words, and what is counted then.
#[tokio::test(flavor = "multi_thread")]
async fn security_li_35_a_limit_that_is_met_is_counted_with_the_reason() {
    let backend = Backend::start(vec![Script::Echo]);
    let limits_of = "message: 1KiB, uri: 1KiB, headers: 20, header_bytes: 4KiB, json_depth: 4, \
                     json_nodes: 20";
    let gateway = gateway(backend.address)
        .limits(limits_of)
        .rules("rest: { unknown_json_field: ignore }")
        .start()
        .await;
    let get = |path: &str, more: &str| {
        format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{more}\r\n").into_bytes()
    };
    let post = |body: &str, more: &str| {
        let head = "POST /v1/notes HTTP/1.1\r\nhost: a\r\nconnection: close\r\n";
        let length = body.len();
        let framing = format!("content-type: application/json\r\ncontent-length: {length}\r\n");
        format!("{head}{framing}{more}\r\n{body}").into_bytes()
    };
    let many: String = (0..20).map(|number| format!("x-h{number}: 1\r\n")).collect();
    let list = |values: usize| format!("{{\"more\":[{}]}}", vec!["\"a\""; values].join(","));
    for (request, status, reason, limit) in [
        (get(&format!("/v1/notes/{}", "a".repeat(1024)), ""), 414, "uri_too_long", "uri"),
        (get(&format!("/v1{}", "/a".repeat(70)), ""), 400, "malformed", "uri"),
        (get("/v1/notes/a", &many), 431, "head_too_large", "headers"),
        (
            get("/v1/notes/a", &format!("x-long: {}\r\n", "a".repeat(4096))),
            431,
            "head_too_large",
            "header_bytes",
        ),
        (
            get("/v1/notes/a", &format!("x-long-bin: {}\r\n", "AAAA".repeat(900))),
            200,
            "none",
            "none",
        ),
        (post(&format!("{{\"text\":\"{}\"}}", "a".repeat(1024)), ""), 413, "too_large", "message"),
        (post("{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}", ""), 400, "malformed", "json_depth"),
        (post(&list(40), ""), 400, "malformed", "json_nodes"),
    ] {
        let before = (refusals(&gateway, reason), limits(&gateway, limit));
        let answer = raw(gateway.public, &request).await.unwrap();
        assert_eq!(answer.status, status, "{limit}: {}", answer.body);
        let more = if reason == "none" { 0 } else { 1 };
        let after = (before.0 + more, before.1 + more);
        gateway.until(|gateway| refusals(gateway, reason) == after.0).await;
        assert_eq!(limits(&gateway, limit), after.1, "{limit}: {}", answer.body);
    }
    let large = note(&"a".repeat(2000));
    assert_eq!(grpc(gateway.public, "Get", &[], &[&large]).await.status(), "8");
    gateway.until(|gateway| limits(gateway, "message") == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_broken_off_is_counted_as_a_refusal_too() {
    let backend = Backend::start(vec![Script::HangAfter(vec![note("a")])]);
    let gateway = gateway(backend.address).limits("stream_idle: 200ms").start().await;
    let answer = grpc(gateway.public, "Many", &[], &[&note("a")]).await;
    assert_eq!(answer.status(), "4");
    gateway.until(|gateway| refusals(gateway, "deadline") == 1).await;
    assert_eq!(limits(&gateway, "stream_idle"), 1);
    let answer = rest(gateway.public, "GET", "/v1/many", "").await;
    assert!(answer.body.contains("\"code\":4"), "{}", answer.body);
    gateway.until(|gateway| limits(gateway, "stream_idle") == 2).await;
    assert_eq!(refusals(&gateway, "deadline"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_meet_a_limit_are_counted() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let backend = Backend::start(vec![Script::Echo]);
    let limits_of = "head_read: 100ms, keep_alive: 100ms, connections_per_source: 2, \
                     requests_per_connection: 2";
    let gateway = gateway(backend.address).limits(limits_of).start().await;
    let mut slow = tokio::net::TcpStream::connect(gateway.public).await.unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let mut idle = tokio::net::TcpStream::connect(gateway.public).await.unwrap();
    let mut third = tokio::net::TcpStream::connect(gateway.public).await.unwrap();
    let mut rest = Vec::new();
    let _ = third.read_to_end(&mut rest).await;
    assert_eq!(limits(&gateway, "connections_per_source"), 1);
    let _ = idle.read_to_end(&mut rest).await;
    let _ = slow.read_to_end(&mut rest).await;
    gateway.until(|gateway| limits(gateway, "head_read") == 1).await;
    gateway.until(|gateway| limits(gateway, "keep_alive") == 1).await;
    let two = "GET /v1/notes/a HTTP/1.1\r\nhost: a\r\n\r\n".repeat(2);
    raw(gateway.public, two.as_bytes()).await.unwrap();
    assert_eq!(limits(&gateway, "requests_per_connection"), 1);
}
