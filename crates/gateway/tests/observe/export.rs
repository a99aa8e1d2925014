//! Sampled calls reach a collector, which costs no call whatever it does.
//!
//! What comes there is read by the files of OpenTelemetry themselves.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;
use tandem_config::document::{Address, Share, Traces};
use tandem_testkit::client::{grpc, note, raw, rest};
use tandem_testkit::gateway::{Setup, contract_of};
use tandem_testkit::{Authority, Backend, Script, TestGateway, TlsFront, gateway};
use tandem_transcode::{JsonOptions, Limits, Plans, append_json_from_wire};
use tokio::time::Instant;

use super::{LONG, nobody};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn to(collector: SocketAddr, per_mille: u16) -> Traces {
    let share = Share::from_per_mille(per_mille).unwrap();
    Traces { collector: Address::Fixed(collector), tls: None, share }
}

/// A collector that takes everything.
fn collector() -> Backend {
    Backend::start(vec![Script::message(Vec::new())])
}

/// A span as it came, with the resource that it belongs to.
#[derive(Debug, Clone)]
struct Exported {
    name: String,
    kind: String,
    trace: String,
    id: String,
    parent: String,
    nanos: (u64, u64),
    attributes: BTreeMap<String, String>,
    status: Value,
    resource: BTreeMap<String, String>,
}

/// What came to the collector so far.
fn exported(collector: &Backend) -> Vec<Exported> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/observe/proto");
    let contract =
        contract_of(&folder, "opentelemetry/proto/collector/trace/v1/trace_service.proto");
    let contract = std::sync::Arc::new(contract);
    let input = contract.methods().next().unwrap().1.input;
    let plans = Plans::new(contract);
    let mut found = Vec::new();
    for reached in collector.reached() {
        assert_eq!(reached.path, "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
        let mut json = Vec::new();
        let (options, limits) = (JsonOptions::default(), Limits::default());
        append_json_from_wire(&plans, input, &reached.messages[0], &options, &limits, &mut json)
            .unwrap();
        let json: Value = serde_json::from_slice(&json).unwrap();
        for resource_spans in list(&json["resourceSpans"]) {
            for scope_spans in list(&resource_spans["scopeSpans"]) {
                assert_eq!(scope_spans["scope"]["name"], "tandem");
                let spans = list(&scope_spans["spans"]).iter();
                found.extend(spans.map(|span| read(span, &resource_spans["resource"])));
            }
        }
    }
    found
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn read(span: &Value, resource: &Value) -> Exported {
    let text = |key: &str| span[key].as_str().unwrap_or("").to_owned();
    let id = |key: &str| {
        use base64::Engine as _;
        let bytes = base64::engine::general_purpose::STANDARD.decode(text(key)).unwrap();
        tandem_protocol::identity::hex(&bytes)
    };
    let nanos = |key: &str| text(key).parse().unwrap();
    Exported {
        name: text("name"),
        kind: text("kind").trim_start_matches("SPAN_KIND_").to_owned(),
        trace: id("traceId"),
        id: id("spanId"),
        parent: id("parentSpanId"),
        nanos: (nanos("startTimeUnixNano"), nanos("endTimeUnixNano")),
        attributes: attributes(&span["attributes"]),
        status: span["status"].clone(),
        resource: attributes(&resource["attributes"]),
    }
}

fn attributes(pairs: &Value) -> BTreeMap<String, String> {
    list(pairs)
        .iter()
        .map(|pair| {
            let value = pair["value"].as_object().unwrap().values().next().unwrap();
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (pair["key"].as_str().unwrap().to_owned(), value)
        })
        .collect()
}

fn counted(gateway: &TestGateway, series: &str) -> u64 {
    let text = gateway.view.metrics().text();
    let found = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("{series} in {text}")).parse().unwrap()
}

async fn sent(gateway: &TestGateway, calls: u64) {
    gateway.until(|gateway| counted(gateway, "tandem_traces_sent_total") == calls).await;
}

fn echoing(traces: Traces) -> (Backend, Setup) {
    let backend = Backend::start(vec![Script::Echo]);
    let setup = gateway(backend.address).traces(traces);
    (backend, setup)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_and_its_rooms_are_one_tree_of_spans_with_the_names_of_the_conventions() {
    let collector = collector();
    let (_backend, setup) = echoing(to(collector.address, 0));
    let gateway = setup.start().await;
    let call = format!(
        "POST /v1/notes HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-request-id: mine\r\n\
         traceparent: 00-{TRACE}-{PARENT}-01\r\ncontent-type: application/json\r\n\
         content-length: 2\r\n\r\n{{}}"
    );
    assert_eq!(raw(gateway.public, call.as_bytes()).await.unwrap().status, 200);
    sent(&gateway, 1).await;
    let spans = exported(&collector);
    let all = [
        "POST /v1/notes",
        "listen",
        "detect",
        "policy",
        "decode",
        "upstream",
        "wait",
        "attempt",
        "answer",
        "encode",
        "write",
    ];
    assert_eq!(spans.iter().map(|span| &*span.name).collect::<Vec<_>>(), all);
    let by_name = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let call = by_name("POST /v1/notes");
    assert_eq!((&*call.kind, &*call.trace, &*call.parent), ("SERVER", TRACE, PARENT));
    for (key, value) in [
        ("rpc.system", "grpc"),
        ("rpc.service", "test.v1.Notes"),
        ("rpc.method", "Get"),
        ("rpc.grpc.status_code", "0"),
        ("http.request.method", "POST"),
        ("http.route", "/v1/notes"),
        ("http.response.status_code", "200"),
        ("tandem.upstream", "it"),
        ("tandem.attempts", "1"),
        ("tandem.listener", "public"),
        ("tandem.request_id", "mine"),
    ] {
        assert_eq!(call.attributes.get(key).map(String::as_str), Some(value), "{key}");
    }
    assert!(!call.attributes.contains_key("tandem.refused"));
    assert!(call.status.is_null(), "{}", call.status);
    assert_eq!(call.resource["service.name"], "tandem");
    assert!(call.resource["service.instance.id"].len() == 32);
    for room in &spans[1..] {
        let within = ["wait", "attempt", "answer"].contains(&&*room.name);
        let parent = if within { by_name("upstream") } else { call };
        assert_eq!((&*room.parent, &*room.trace), (&*parent.id, TRACE), "{}", room.name);
        let kind = if room.name == "attempt" { "CLIENT" } else { "INTERNAL" };
        assert_eq!(room.kind, kind, "{}", room.name);
        assert!(room.nanos.0 <= room.nanos.1 && room.nanos.1 <= call.nanos.1, "{}", room.name);
    }
    // The head came before the call began; all else lies within it.
    assert!(by_name("listen").nanos.1 == call.nanos.0);
    assert!(by_name("write").nanos.1 == call.nanos.1);
    let attempt = by_name("attempt");
    assert_eq!(attempt.attributes["tandem.endpoint"], "0");
    assert_eq!(attempt.attributes["tandem.upstream"], "it");
    let ids: std::collections::BTreeSet<_> = spans.iter().map(|span| &span.id).collect();
    assert_eq!(ids.len(), spans.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_says_whose_it_is() {
    let collector = collector();
    let backend = Backend::start(vec![
        Script::trailers(&[("grpc-status", "5")]),
        Script::trailers(&[("grpc-status", "14")]),
    ]);
    let traces = to(collector.address, 1000);
    let gateway = gateway(backend.address).upstream("eject: false").traces(traces).start().await;
    grpc(gateway.public, "Get", &[], &[&note("a")]).await;
    grpc(gateway.public, "Get", &[], &[&note("a")]).await;
    rest(gateway.public, "GET", "/v1/nothing", "").await;
    sent(&gateway, 3).await;
    let spans = exported(&collector);
    let calls: Vec<_> = spans.iter().filter(|span| span.kind == "SERVER").collect();
    let said: Vec<_> = calls
        .iter()
        .map(|call| {
            let refused = call.attributes.get("tandem.refused").map_or("", String::as_str);
            (&*call.name, &*call.attributes["rpc.grpc.status_code"], &call.status["code"], refused)
        })
        .collect();
    let error = Value::from("STATUS_CODE_ERROR");
    // What the caller got wrong is no error of the service (semantic conventions, gRPC server).
    assert_eq!(
        said,
        [
            ("test.v1.Notes/Get", "5", &Value::Null, ""),
            ("test.v1.Notes/Get", "14", &error, ""),
            ("refused", "5", &Value::Null, "not_found"),
        ]
    );
    assert!(!calls[2].attributes.contains_key("rpc.method"));
    assert!(calls.iter().all(|call| call.parent.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sampled_is_settled_at_the_head_and_handed_on() {
    let flagged = format!("00-{TRACE}-{PARENT}-01");
    let unflagged = format!("00-{TRACE}-{PARENT}-00");
    for (share, inside, said, sampled, flag) in [
        (0, false, None, false, "00"),
        (0, false, Some(&unflagged), false, "00"),
        (0, false, Some(&flagged), true, "01"),
        (1000, false, None, true, "01"),
        (1000, false, Some(&unflagged), true, "01"),
        (0, true, Some(&flagged), true, "01"),
        (1000, true, Some(&unflagged), false, "00"),
        (1000, true, None, true, "01"),
    ] {
        let collector = collector();
        let (backend, setup) = echoing(to(collector.address, share));
        let gateway = setup.start().await;
        let address = if inside { gateway.internal } else { gateway.public };
        let headers: Vec<_> = said.iter().map(|said| ("traceparent", said.as_str())).collect();
        grpc(address, "Get", &headers, &[&note("a")]).await;
        let reached = backend.reached().remove(0);
        let sent_on = reached.headers["traceparent"].to_str().unwrap();
        assert!(sent_on.ends_with(&format!("-{flag}")), "{share} {inside} {said:?}: {sent_on}");
        gateway.gateway.stop().await;
        let calls = exported(&collector).iter().filter(|span| span.kind == "SERVER").count();
        assert_eq!(calls, usize::from(sampled), "{share} {inside} {said:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_collector_flags_pass_as_they_came() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway(backend.address).start().await;
    for flag in ["00", "01", "03"] {
        let said = format!("00-{TRACE}-{PARENT}-{flag}");
        grpc(gateway.public, "Get", &[("traceparent", &said)], &[&note("a")]).await;
        let reached = backend.reached().pop().unwrap();
        assert!(reached.headers["traceparent"].to_str().unwrap().ends_with(flag));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_at_the_end_is_handed_over() {
    let collector = collector();
    let (_backend, setup) = echoing(to(collector.address, 1000));
    let gateway = setup.start().await;
    for _ in 0..20 {
        rest(gateway.public, "GET", "/v1/notes/a", "").await;
    }
    gateway.gateway.stop().await;
    let calls = exported(&collector).iter().filter(|span| span.kind == "SERVER").count();
    assert_eq!(calls, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_not_taken_for_the_moment_is_sent_again() {
    let collector = Backend::start(vec![
        Script::trailers(&[("grpc-status", "14")]),
        Script::message(Vec::new()),
    ]);
    let (_backend, setup) = echoing(to(collector.address, 1000));
    let gateway = setup.start().await;
    rest(gateway.public, "GET", "/v1/notes/a", "").await;
    sent(&gateway, 1).await;
    let reached = collector.reached();
    assert_eq!(reached.len(), 2);
    assert_eq!(reached[0].messages, reached[1].messages);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_collector_refuses_for_good_is_dropped_and_counted() {
    let collector = Backend::start(vec![Script::trailers(&[("grpc-status", "3")])]);
    let (_backend, setup) = echoing(to(collector.address, 1000));
    let gateway = setup.start().await;
    rest(gateway.public, "GET", "/v1/notes/a", "").await;
    let dropped = "tandem_traces_dropped_total{reason=\"not_taken\"}";
    gateway.until(|gateway| counted(gateway, dropped) == 1).await;
    assert_eq!(collector.calls(), 1, "it is not asked again");
    assert_eq!(counted(&gateway, "tandem_traces_sent_total"), 0);
}

/// Calls go on as ever, and the gateway ends in time.
async fn check_costs_nothing(collector: SocketAddr) {
    let (_backend, setup) = echoing(to(collector, 1000));
    let gateway = setup.one_thread().start().await;
    // More than the exporter has room for, all at once.
    let calls = "GET /v1/nothing HTTP/1.1\r\nhost: a\r\n\r\n".repeat(4_000);
    let last = "GET /v1/notes/a HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let answers = raw(gateway.public, format!("{calls}{last}").as_bytes()).await.unwrap();
    assert!(answers.body.ends_with(r#"{"text":"a"}"#), "the last one is answered as well");
    for _ in 0..20 {
        assert_eq!(rest(gateway.public, "GET", "/v1/notes/a", "").await.status, 200);
    }
    let dropped = "tandem_traces_dropped_total{reason=\"queue_full\"}";
    gateway.until(|gateway| counted(gateway, dropped) > 0).await;
    assert_eq!(counted(&gateway, "tandem_traces_sent_total"), 0);
    let began = Instant::now();
    tokio::time::timeout(LONG, gateway.gateway.stop()).await.expect("it ends in time");
    assert!(began.elapsed() < LONG / 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_dead_costs_no_call() {
    let (_held, address) = nobody();
    check_costs_nothing(address).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_hangs_costs_no_call() {
    let hangs = Backend::start(vec![Script::Hang]);
    check_costs_nothing(hangs.address).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_accepts_and_says_nothing_costs_no_call() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    check_costs_nothing(silent.local_addr().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn security_tl_2_a_collector_over_tls_is_verified() {
    let (ours, strange) = (Authority::new(), Authority::new());
    for (trusted, takes) in [(&ours, 1), (&strange, 0)] {
        let collector = collector();
        let identity = ours.signs(&["127.0.0.1"]);
        let front = TlsFront::start(collector.address, &identity, &["h2"], None);
        let platform = format!(
            "format: 1\nlisten: {{ public: {{ address: \"127.0.0.1:0\" }} }}\nobserve: {{ traces: {{ \
             otlp: \"https://{}\", share: 100%, tls: {{ ca: {:?} }} }} }}\n",
            front.address,
            trusted.pem()
        );
        let loaded = tandem_config::load::from_texts(&platform, &[]).unwrap();
        let (_backend, setup) = echoing(loaded.platform.observe.traces.unwrap());
        let gateway = setup.start().await;
        assert_eq!(rest(gateway.public, "GET", "/v1/notes/a", "").await.status, 200);
        gateway.gateway.stop().await;
        assert_eq!(collector.calls(), takes);
    }
}
