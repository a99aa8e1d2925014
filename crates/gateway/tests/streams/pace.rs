//! How slowly a caller may send (security LI-5): inside a message, and between two of them.

use tandem_protocol::envelope;
use tandem_testkit::backend::{Backend, Script};
use tandem_testkit::client::{End, GrpcCall, RestCall, note, raw};
use tandem_testkit::{TestGateway, gateway};

use super::{HTTP1, HTTP2, JSON, STREAMS};

/// The pace is asked after a second: what one second is due beside the first bytes.
const LIMITS: &str = "body_pace_after: 100ms";

async fn started(backend: &Backend) -> TestGateway {
    gateway(backend.address).contract(STREAMS).limits(LIMITS).start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn security_li_5_a_body_that_stops_inside_a_message_is_408() {
    let backend = Backend::start(vec![Script::message(note("done"))]);
    let gateway = started(&backend).await;
    let mut cancelled = 0;
    for http2 in [HTTP1, HTTP2] {
        for (path, body, message) in [
            ("/v1/many", r#"{"te"#, "the body comes too slowly"),
            ("/v1/many", "", "the body comes too slowly"),
            ("/v1/collect", r#"[{"text":"a"},{"te"#, "element 1: the body comes too slowly"),
            ("/v1/talk", r#"[{"text":"a"},{"te"#, "element 1: the body comes too slowly"),
        ] {
            let mut call =
                RestCall::open(gateway.public, http2, ("POST", path), &[JSON], true).await;
            if !body.is_empty() {
                call.send(body.as_bytes()).await;
            }
            let transfer = call.finish().await;
            let expected = format!(r#"{{"code":4,"message":"{message}","details":[]}}"#);
            assert_eq!((transfer.status.as_u16(), &*transfer.body), (408, &*expected), "{path}");
            assert_eq!(transfer.end, End::Complete, "{path}");
            // A stream had begun: it never looks whole.
            cancelled += usize::from(path != "/v1/many");
            backend.cancelled(cancelled).await;
        }
    }
    assert!(backend.reached().iter().all(|reached| !reached.ended));
    // By HTTP/1.1 the connection is of no use any more: reading ends with it.
    let head = "POST /v1/collect HTTP/1.1\r\nhost: any\r\ncontent-type: application/json\r\n\
                transfer-encoding: chunked\r\n\r\n1\r\n{\r\n";
    let answer = raw(gateway.public, head.as_bytes()).await.expect("an answer");
    assert_eq!(answer.status, 408, "{}", answer.body);
    let met = "tandem_limits_met_total{limit=\"body_pace\"}";
    gateway.until(|gateway| gateway.metric(met) == 9).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn security_li_5_a_grpc_message_that_stops_half_way_is_deadline_exceeded() {
    let backend = Backend::start(vec![Script::EchoEach]);
    let gateway = started(&backend).await;
    let mut cancelled = 0;
    for (media, message) in
        [("application/grpc", note("a")), ("application/grpc+json", br#"{"text":"a"}"#.to_vec())]
    {
        for method in ["Collect", "Talk"] {
            let headers = [("content-type", media)];
            let mut call = GrpcCall::open(gateway.public, method, &headers).await;
            let frame = envelope::frame(&message);
            call.bytes(&frame);
            call.bytes(&frame[..frame.len() - 1]);
            let answer = call.read().await;
            assert_eq!(answer.status(), "4", "{media} {method}");
            assert!(!answer.reset, "{media} {method}: it ends with a status");
            cancelled += 1;
            backend.cancelled(cancelled).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn security_li_5_a_caller_that_is_silent_between_messages_is_no_slow_one() {
    let backend = Backend::start(vec![Script::EchoEach]);
    let gateway = started(&backend).await;
    let lines = [("content-type", "application/x-ndjson"), ("accept", "application/x-ndjson")];
    let mut rest = Vec::new();
    for http2 in [HTTP1, HTTP2] {
        for headers in [&[JSON, ("accept", "application/x-ndjson")], &lines] {
            let line = ("POST", "/v1/talk");
            let mut call = RestCall::open(gateway.public, http2, line, headers, true).await;
            call.send(b"{\"text\":\"a\"}\n").await;
            rest.push(call);
        }
    }
    let mut grpc = Vec::new();
    for (media, message) in
        [("application/grpc", note("a")), ("application/grpc+json", br#"{"text":"a"}"#.to_vec())]
    {
        let mut call = GrpcCall::open(gateway.public, "Talk", &[("content-type", media)]).await;
        call.message(&message);
        grpc.push((call, message));
    }
    backend.answered(rest.len() + grpc.len()).await;
    // So much time passes that a caller inside a message is refused, twice over.
    for _ in 0..2 {
        let line = ("POST", "/v1/collect");
        let mut slow = RestCall::open(gateway.public, HTTP2, line, &[JSON], true).await;
        slow.send(b"[{").await;
        assert_eq!(slow.finish().await.status, 408);
    }
    for mut call in rest {
        call.send(b"{\"text\":\"b\"}\n").await;
        call.send(b"").await;
        let transfer = call.finish().await;
        let both = "{\"text\":\"a\"}\n{\"text\":\"b\"}\n";
        assert_eq!((&*transfer.body, transfer.end), (both, End::Complete));
    }
    for (mut call, message) in grpc {
        call.message(&message);
        let answer = call.finish().await;
        assert_eq!((answer.status(), answer.messages.len()), ("0", 2));
    }
}
