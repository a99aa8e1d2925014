//! A caller that leaves: how long it takes until the upstream knows (hybrid HY-2, protocols S-8).

use std::time::{Duration, Instant};

use tandem_testkit::backend::{Backend, Script};
use tandem_testkit::client::{GrpcCall, RestCall, note};
use tandem_testkit::{TestGateway, gateway};

use super::{HTTP1, HTTP2, JSON, STREAMS};

/// Time from a caller's leave to the reset that its upstream sees.
const MOST: Duration = Duration::from_millis(100);
/// How often it is measured. One stall of this machine is no fault of the gateway's.
const TIMES: usize = 21;

/// Prints what was measured; half of the times must be within the bound.
fn judge(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let (median, most) = (times[times.len() / 2], times[times.len() - 1]);
    eprintln!("{what}: the upstream knows after {median:.1?}, at most {most:.1?}");
    assert!(median <= MOST, "{what}: {times:?}");
}

async fn rest(
    gateway: &TestGateway,
    http2: bool,
    path: &str,
    backend: &Backend,
    count: usize,
) -> Duration {
    let mut call = RestCall::open(gateway.public, http2, ("POST", path), &[JSON], true).await;
    if path == "/v1/collect" {
        // In the middle of its request.
        call.send(br#"[{"text":"a"}"#).await;
        backend.answered(count).await;
    } else {
        call.send(br#"{"text":"a"}"#).await;
        call.send(b"").await;
        call.until("\"b\"").await;
    }
    let left = Instant::now();
    // HTTP/1.1 closes its connection, HTTP/2 resets the stream.
    match &mut call {
        RestCall::Http1 { .. } => drop(call),
        RestCall::Http2(open) => open.reset(),
    }
    backend.cancelled(count).await;
    left.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn hybrid_hy_2_the_upstream_of_a_rest_caller_that_leaves_knows_within_100_ms() {
    for http2 in [HTTP1, HTTP2] {
        for path in ["/v1/many", "/v1/collect"] {
            let script = match path {
                "/v1/many" => Script::HangAfter(vec![note("b")]),
                _ => Script::EchoEach,
            };
            let backend = Backend::start(vec![script]);
            let gateway = gateway(backend.address).contract(STREAMS).start().await;
            let mut times = Vec::new();
            for count in 1..=TIMES {
                times.push(rest(&gateway, http2, path, &backend, count).await);
            }
            let version = if http2 { "HTTP/2" } else { "HTTP/1.1" };
            judge(&format!("REST over {version}, {path}"), times);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hybrid_hy_2_the_upstream_of_a_grpc_caller_that_leaves_knows_within_100_ms() {
    for media in ["application/grpc", "application/grpc+json"] {
        let backend = Backend::start(vec![Script::EchoEach]);
        let gateway = gateway(backend.address).contract(STREAMS).start().await;
        let mut times = Vec::new();
        for count in 1..=TIMES {
            let mut call = GrpcCall::open(gateway.public, "Talk", &[("content-type", media)]).await;
            match media {
                "application/grpc" => call.message(&note("a")),
                _ => call.message(br#"{"text":"a"}"#),
            }
            backend.answered(count).await;
            let left = Instant::now();
            call.send.send_reset(h2::Reason::CANCEL);
            backend.cancelled(count).await;
            times.push(left.elapsed());
        }
        judge(media, times);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn security_li_6_a_caller_that_takes_nothing_is_cut_and_its_upstream_cancelled() {
    for http2 in [HTTP1, HTTP2] {
        let text = "x".repeat(64 * 1024);
        let backend = Backend::start(vec![Script::Flood(100_000, note(&text))]);
        let limits = "stalled_write: 1s";
        let gateway = gateway(backend.address).contract(STREAMS).limits(limits).start().await;
        let line = ("GET", "/v1/many");
        let mut call = RestCall::open(gateway.public, http2, line, &[], false).await;
        assert_eq!(call.head().await, 200);
        let stalled = Instant::now();
        backend.cancelled(1).await;
        let (took, taken) = (stalled.elapsed(), backend.answers());
        eprintln!(
            "http2 {http2}: cut after {took:.1?}, when {taken} messages of 64 KiB were taken"
        );
        assert!(took >= Duration::from_millis(900), "http2 {http2}: {took:?}");
        assert!(taken < 1_000, "http2 {http2}: memory of one stream is bounded");
        gateway.until(|gateway| gateway.figures("Many").in_flight == 0).await;
        let met = "tandem_limits_met_total{limit=\"stalled_write\"}";
        gateway.until(|gateway| gateway.metric(met) == 1).await;
    }
}
