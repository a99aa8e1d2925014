//! Streams over time: what waits for whom, what ends them, and who is told.

use tandem_testkit::backend::{Backend, Script};
use tandem_testkit::client::{End, RestCall, note};
use tandem_testkit::gateway;

use super::{FRAMINGS, HTTP1, HTTP2, JSON, STREAMS, get, streams};

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
        eprintln!(
            "http2 {http2}: {seen} messages of 64 KiB were taken for a caller that reads none"
        );
        assert!(seen * text.len() < most_bytes, "{seen} messages were taken, http2 {http2}");
        let transfer = call.finish().await;
        assert_eq!(transfer.end, End::Complete);
        assert_eq!(transfer.body.len(), messages * (text.len() + r#"{"text":""},"#.len()) + 1);
    }
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
