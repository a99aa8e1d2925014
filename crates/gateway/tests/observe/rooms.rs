//! A kept trace shows where the time of a call went, room by room.

use std::time::Duration;

use tandem_gateway::observe::{Outcome, Room, Span};
use tandem_testkit::client::{GrpcCall, grpc, note, rest};
use tandem_testkit::{Backend, Script, gateway};

use super::{echoing, header, names, nobody, request_id, span};

/// Rooms lie end to end and fill the call.
fn check_no_gap(span: &Span) {
    let rooms = span.way.rooms(span.took);
    let mut at = 0;
    for room in rooms.iter().filter(|room| room.name != "listen") {
        assert_eq!(room.from_nanos, at, "{}: {rooms:#?}", room.name);
        at += room.took.as_nanos() as i64;
    }
    assert_eq!(at, span.took.as_nanos() as i64, "{rooms:#?}");
}

fn upstream(span: &Span) -> Vec<Room> {
    let rooms = span.way.rooms(span.took);
    rooms.into_iter().find(|room| room.name == "upstream").unwrap().rooms
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rest_call_is_in_every_room_from_the_head_to_the_last_byte() {
    let (_backend, gateway) = echoing().await;
    let answer = rest(gateway.public, "POST", "/v1/notes", r#"{"text":"a"}"#).await;
    let span = span(&gateway, header(&answer.head, "x-request-id")).await;
    let rooms = span.way.rooms(span.took);
    let all = ["listen", "detect", "policy", "decode", "upstream", "encode", "write"];
    assert_eq!(names(&rooms), all);
    assert_eq!(names(&upstream(&span)), ["wait", "attempt", "answer"]);
    check_no_gap(&span);
    let attempt = span.way.attempt.unwrap();
    assert_eq!((attempt.endpoint, attempt.outcome), (0, Outcome::Answered));
    assert_eq!((span.received_bytes, span.sent_bytes), (12, 12));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grpc_call_is_with_its_upstream_until_the_trailers() {
    let (_backend, gateway) = echoing().await;
    let answer = grpc(gateway.public, "Get", &[], &[&note("a")]).await;
    let span = span(&gateway, &request_id(&answer)).await;
    let rooms = span.way.rooms(span.took);
    // The beginning of a head is not seen in HTTP/2, and nothing is encoded anew.
    assert_eq!(names(&rooms), ["detect", "policy", "decode", "upstream", "write"]);
    assert_eq!(names(&upstream(&span)), ["wait", "attempt", "answer"]);
    check_no_gap(&span);
    assert_eq!((span.received_bytes, span.sent_bytes), (8, 8));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_with_its_upstream_as_long_as_it_lasts() {
    let backend = Backend::start(vec![Script::EchoEach]);
    let gateway = gateway(backend.address).start().await;
    let mut call = GrpcCall::open(gateway.public, "Talk", &[]).await;
    call.message(&note("a"));
    backend.answered(1).await;
    call.message(&note("b"));
    let answer = call.finish().await;
    let span = span(&gateway, &request_id(&answer)).await;
    let rooms = span.way.rooms(span.took);
    let with_upstream = rooms.iter().find(|room| room.name == "upstream").unwrap();
    assert!(with_upstream.took > span.took / 2, "{rooms:#?}");
    check_no_gap(&span);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_refused_ends_in_the_room_that_refused_it() {
    let (_backend, gateway) = echoing().await;
    for (path, body, expected) in [
        ("/v1/nothing", "", &["listen", "detect", "write"][..]),
        ("/v1/notes", "{\"text\":", &["listen", "detect", "policy", "decode", "write"]),
    ] {
        let method = if body.is_empty() { "GET" } else { "POST" };
        let answer = rest(gateway.public, method, path, body).await;
        let span = span(&gateway, header(&answer.head, "x-request-id")).await;
        assert_eq!(names(&span.way.rooms(span.took)), expected, "{path}");
        assert!(span.reason.is_some(), "{path}");
        check_no_gap(&span);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_attempt_is_shown_with_its_endpoint_and_what_came_of_it() {
    let failing = Backend::start(vec![Script::trailers(&[("grpc-status", "14")])]);
    let good = Backend::start(vec![Script::Echo]);
    let gateway = gateway(failing.address)
        .addresses([failing.address, good.address])
        .upstream("eject: false")
        .rules("retries: { codes: [UNAVAILABLE], attempts: 2 }")
        .one_thread()
        .start()
        .await;
    // Which endpoint comes first is drawn: some call meets the failing one.
    let mut sent_twice = None;
    for _ in 0..100 {
        let answer = grpc(gateway.public, "Read", &[], &[&note("a")]).await;
        assert_eq!(answer.status(), "0");
        let span = span(&gateway, &request_id(&answer)).await;
        check_no_gap(&span);
        if span.way.attempts().count() == 2 {
            sent_twice = Some(span);
            break;
        }
    }
    let span = sent_twice.expect("a call was sent twice");
    let attempts: Vec<_> = span.way.attempts().copied().collect();
    let said: Vec<_> = attempts.iter().map(|one| (one.endpoint, one.outcome.name())).collect();
    assert_eq!(said, [(0, Some("UNAVAILABLE")), (1, None)]);
    assert!(attempts[0].ended.unwrap() <= attempts[1].sent);
    assert_eq!(names(&upstream(&span)), ["wait", "attempt", "attempt", "answer"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_no_endpoint_takes_waits_and_is_not_sent() {
    let (_held, address) = nobody();
    let gateway = gateway(address).start().await;
    let answer = grpc(gateway.public, "Get", &[], &[&note("a")]).await;
    assert_eq!(answer.status(), "14");
    let span = span(&gateway, &request_id(&answer)).await;
    assert_eq!(names(&upstream(&span)), ["wait"]);
    assert_eq!(span.way.upstream_took(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_that_passes_leaves_the_attempt_without_an_answer() {
    let backend = Backend::start(vec![Script::Hang]);
    let gateway = gateway(backend.address).rules("deadline: { default: 50ms }").start().await;
    let answer = rest(gateway.public, "GET", "/v1/notes/a", "").await;
    assert_eq!(answer.status, 504);
    let span = span(&gateway, header(&answer.head, "x-request-id")).await;
    assert_eq!(span.way.attempt.unwrap().outcome, Outcome::Open);
    let waited = upstream(&span).iter().map(|room| room.took).max().unwrap();
    assert!(waited > Duration::from_millis(20), "{waited:?}");
    check_no_gap(&span);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_comes_slowly_is_time_spent_in_listen() {
    use tokio::io::AsyncWriteExt as _;
    let (_backend, gateway) = echoing().await;
    let mut stream = tokio::net::TcpStream::connect(gateway.public).await.unwrap();
    stream.write_all(b"GET /v1/notes/a HTTP/1.1\r\nx-request-id: slow\r\n").await.unwrap();
    stream.flush().await.unwrap();
    // Long enough to be told from the time that a head takes otherwise.
    tokio::time::sleep(Duration::from_millis(60)).await;
    stream.write_all(b"host: any\r\nconnection: close\r\n\r\n").await.unwrap();
    let span = span(&gateway, "slow").await;
    let head = span.way.head_took.unwrap();
    assert!(head >= Duration::from_millis(40), "{head:?}");
    assert!(span.took < head, "the call began behind it");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_gateway_answers_itself_is_no_refusal() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway(backend.address).offering().start().await;
    let answer = grpc(gateway.public, "/grpc.health.v1.Health/Check", &[], &[b""]).await;
    assert_eq!(answer.status(), "0");
    let span = span(&gateway, &request_id(&answer)).await;
    assert_eq!(names(&span.way.rooms(span.took)), ["detect", "own"]);
    assert_eq!(&*span.method, "grpc.health.v1.Health/Check");
    assert_eq!(span.reason, None);
    let text = gateway.view.metrics().text();
    assert!(text.contains("tandem_refused_calls_total 0\n"), "{text}");
    assert!(text.contains("tandem_own_calls_total{service=\"health\"} 1\n"), "{text}");
}
