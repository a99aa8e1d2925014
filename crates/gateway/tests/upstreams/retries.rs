//! How often a call is sent, and when it is not sent again.

use std::time::Duration;

use tandem_gateway::observe::RetryReason;
use tandem_testkit::client::{GrpcCall, grpc, note, rest};
use tandem_testkit::{Backend, Refuser, Script, TestGateway, gateway};
use tokio::time::Instant;

use super::{call, echo, failing, failures, statuses};

const RETRIES: &str = "retries: { codes: [UNAVAILABLE], attempts: 2 }";

fn status(code: &'static str) -> Script {
    Script::trailers(&[("grpc-status", code)])
}

/// Fails without a head of its own: trailers-only.
fn head_alone(code: &'static str) -> Script {
    Script::Answer {
        http_status: 200,
        head: vec![("content-type", "application/grpc"), ("grpc-status", code)],
        messages: Vec::new(),
        trailers: None,
    }
}

/// A head, and a moment later the end of everything.
fn head_then_reset() -> Script {
    Script::ResetAfter { messages: Vec::new(), code: 0x2 }
}

async fn gateway_of(backend: &Backend, rules: &str) -> TestGateway {
    let setup = gateway(backend.address).upstream("eject: false").one_thread();
    if rules.is_empty() { setup.start().await } else { setup.rules(rules).start().await }
}

#[tokio::test(flavor = "multi_thread")]
async fn security_u_3_what_is_sent_again_and_what_is_not() {
    let page = |http_status| Script::Answer {
        http_status,
        head: vec![("content-type", "text/html")],
        messages: Vec::new(),
        trailers: None,
    };
    let broken = Script::ResetAfter { messages: vec![note("a")], code: 0x2 };
    for (method, rules, first, sent, answer) in [
        // Only what may be repeated, and only where the document says so.
        ("Read", RETRIES, status("14"), 2, "0"),
        ("Replace", RETRIES, status("14"), 2, "0"),
        ("Get", RETRIES, status("14"), 1, "14"),
        ("Read", "", status("14"), 1, "14"),
        ("Read", "retries: none", status("14"), 1, "14"),
        // By code, wherever it stands.
        ("Read", RETRIES, head_alone("14"), 2, "0"),
        ("Read", RETRIES, status("13"), 1, "13"),
        ("Read", RETRIES, page(503), 2, "0"),
        ("Read", RETRIES, page(404), 1, "12"),
        ("Read", "retries: { codes: [INTERNAL] }", status("13"), 2, "0"),
        ("Read", "retries: { codes: [INTERNAL] }", Script::Reset(0x2), 2, "0"),
        ("Read", RETRIES, Script::Reset(0x2), 1, "13"),
        // A head is no answer yet.
        ("Read", "retries: { codes: [INTERNAL] }", head_then_reset(), 2, "0"),
        ("Follow", "retries: { codes: [INTERNAL] }", status("13"), 2, "0"),
        // Streams as well, until their answer begins; never afterwards.
        ("Follow", RETRIES, status("14"), 2, "0"),
        ("Follow", "retries: { codes: [INTERNAL] }", broken, 1, "13"),
        // What never began, once for any method.
        ("Get", "", Script::Reset(0x7), 2, "0"),
        ("Talk", "", Script::Reset(0x7), 2, "0"),
    ] {
        let backend = Backend::start(vec![first.clone(), Script::Echo]);
        let gateway = gateway_of(&backend, rules).await;
        let told = call(&gateway, method).await;
        let case = format!("{method} {rules:?} {first:?}");
        assert_eq!((backend.calls(), told.status()), (sent, answer), "{case}");
        assert_eq!(gateway.upstream().attempts, sent as u64, "{case}");
        let reached = backend.reached();
        assert_eq!(reached[0].messages, reached[sent - 1].messages, "{case}: sent whole again");
        let previous = reached[sent - 1].headers.get("grpc-previous-rpc-attempts");
        let counted = sent == 2 && !matches!(first, Script::Reset(0x7));
        assert_eq!(previous.is_some_and(|value| value == "1"), counted, "{case}: {previous:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn security_u_3_a_stream_refused_twice_is_told() {
    let backend = Backend::start(vec![Script::Reset(0x7)]);
    let gateway = gateway_of(&backend, "").await;
    assert_eq!(call(&gateway, "Get").await.status(), "14");
    assert_eq!(backend.calls(), 2);
    assert_eq!(gateway.upstream().retries_for(RetryReason::NeverBegan), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_g_7_what_lies_above_the_last_id_is_begun_again_elsewhere() {
    let backend = echo();
    let refuser = Refuser::start(1, backend.address);
    let gateway = gateway(refuser.address).one_thread().start().await;
    for method in ["Get", "Collect"] {
        assert_eq!(call(&gateway, method).await.status(), "0", "{method}");
    }
    assert_eq!(refuser.connections(), 2);
    assert_eq!(gateway.upstream().retries_for(RetryReason::NeverBegan), 1);
    assert_eq!(backend.calls(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn security_u_1_a_storm_of_goaways_is_told_and_not_answered_in_kind() {
    let backend = echo();
    let refuser = Refuser::start(usize::MAX, backend.address);
    let gateway = gateway(refuser.address).one_thread().start().await;
    let began = Instant::now();
    let statuses = statuses(&gateway, "Get", 100).await;
    assert!(statuses.iter().all(|status| status == "14"), "{statuses:?}");
    // 100 ms, 160 ms, … lie between two connections that were of no use.
    let most = 4 + began.elapsed().as_millis() / 80;
    assert!((refuser.connections() as u128) < most, "{} connections", refuser.connections());
    assert_eq!(backend.calls(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn security_li_26_64_kib_are_kept_for_another_attempt() {
    for (bytes, sent) in [(60 * 1024, 2), (70 * 1024, 1)] {
        let backend = Backend::start(vec![status("14"), Script::Echo]);
        let gateway = gateway_of(&backend, RETRIES).await;
        let message = note(&"x".repeat(bytes));
        let answer = grpc(gateway.public, "Replace", &[], &[&message]).await;
        assert_eq!(backend.calls(), sent, "{bytes} bytes");
        assert_eq!(answer.status(), if sent == 2 { "0" } else { "14" });
        assert_eq!(backend.reached()[sent - 1].messages, [message], "whole");
    }
    // A REST body is at hand as a whole, whatever its size.
    let backend = Backend::start(vec![status("14"), Script::Echo]);
    let gateway = gateway_of(&backend, RETRIES).await;
    let path = format!("/v1/read/{}", "x".repeat(4_000));
    assert_eq!(rest(gateway.public, "GET", &path, "").await.status, 200);
    assert_eq!(backend.calls(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_m_7_attempts_share_the_deadline_and_each_has_its_time() {
    let backend = Backend::start(vec![Script::Hang, Script::Echo]);
    let rules = "retries: { attempt: 150ms }, deadline: { default: 8s }";
    let gateway = gateway_of(&backend, rules).await;
    assert_eq!(call(&gateway, "Read").await.status(), "0");
    backend.cancelled(1).await;
    assert_eq!(gateway.upstream().retries_for(RetryReason::TimedOut), 1);
    let told: Vec<u64> = backend
        .reached()
        .iter()
        .map(|reached| reached.headers["grpc-timeout"].to_str().unwrap())
        .map(|told| told.trim_end_matches('m').parse().unwrap())
        .collect();
    assert!(told[1] + 150 <= told[0], "the second has what is left: {told:?}");
    // Where all attempts hang the caller is told in their time, not in its own.
    let backend = Backend::start(vec![Script::Hang]);
    let gateway = gateway_of(&backend, rules).await;
    assert_eq!(call(&gateway, "Read").await.status(), "4");
    backend.cancelled(2).await;
    assert_eq!(gateway.upstream().attempts, 2);
    // Once a stream's answer has begun its attempt's time is over.
    let backend = Backend::start(vec![Script::HangAfter(vec![note("a")])]);
    let gateway = gateway_of(&backend, rules).await;
    let mut following = GrpcCall::open(gateway.public, "Follow", &[("grpc-timeout", "1S")]).await;
    following.message(&note("x"));
    let answer = following.finish().await;
    assert_eq!((answer.messages.len(), answer.status()), (1, "4"));
    assert_eq!(gateway.upstream().attempts, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_pushes_back_is_obeyed() {
    let pushing = |ms| Script::trailers(&[("grpc-status", "14"), ("grpc-retry-pushback-ms", ms)]);
    for (ms, sent) in [("-1", 1), ("x", 1), ("0", 2), ("30", 2)] {
        let backend = Backend::start(vec![pushing(ms), Script::Echo]);
        let gateway = gateway_of(&backend, RETRIES).await;
        call(&gateway, "Read").await;
        assert_eq!(backend.calls(), sent, "{ms}");
    }
    // Not beyond the deadline, which the caller would not live to see.
    let backend = Backend::start(vec![pushing("60000"), Script::Echo]);
    let gateway = gateway_of(&backend, RETRIES).await;
    assert_eq!(call(&gateway, "Read").await.status(), "14");
}

#[tokio::test(flavor = "multi_thread")]
async fn security_u_3_a_full_outage_costs_a_fifth_more_and_ten_a_second() {
    let backend = failing("14");
    let gateway = gateway_of(&backend, "retries: { attempts: 5, budget: 20% }").await;
    let began = Instant::now();
    let calls = 400;
    assert_eq!(failures(&statuses(&gateway, "Read", calls).await), calls);
    let figures = gateway.upstream();
    // The bucket begins with one second's worth.
    let seconds = began.elapsed().as_secs_f64() + 1.0;
    let most = 1.2 * calls as f64 + 10.0 * seconds;
    eprintln!("{} attempts for {calls} calls in {seconds:.2} s", figures.attempts);
    assert!((figures.attempts as f64) <= most, "{} attempts, {most} are allowed", figures.attempts);
    assert!(figures.attempts >= (calls + calls / 6) as u64, "the budget is used: {figures:?}");
    assert_eq!(figures.attempts, backend.calls() as u64);
    assert!(figures.budget_exhausted > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn hybrid_hy_2_a_caller_that_leaves_stops_the_attempts() {
    let mut quickest = Duration::MAX;
    for _ in 0..5 {
        let backend = Backend::start(vec![Script::Hang]);
        let gateway = gateway_of(&backend, RETRIES).await;
        let mut call = GrpcCall::open(gateway.public, "Read", &[]).await;
        call.message(&note("x"));
        call.send.send_data(bytes::Bytes::new(), true).unwrap();
        gateway.until(|gateway| gateway.upstream().attempts == 1).await;
        let left = Instant::now();
        call.send.send_reset(h2::Reason::CANCEL);
        backend.cancelled(1).await;
        quickest = quickest.min(left.elapsed());
        gateway.until(|gateway| gateway.figures("Read").in_flight == 0).await;
        assert_eq!(gateway.upstream().attempts, 1, "nobody waits for another one");
    }
    // A busy machine delays some; the way itself is short.
    eprintln!("upstream reset after {quickest:?}");
    assert!(quickest < Duration::from_millis(100), "{quickest:?}");
}
