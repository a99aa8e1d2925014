//! Limits that are met are counted by their keys (security LI-35): those that neither the table of
//! `metrics` nor the tests of the limits themselves count.

use tandem_testkit::client::{grpc, note, raw, rest};
use tandem_testkit::{Backend, Script, TestGateway, gateway};
use tokio::net::TcpStream;

fn met(gateway: &TestGateway, limit: &str) -> u64 {
    gateway.metric(&format!("tandem_limits_met_total{{limit=\"{limit}\"}}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn security_li_17_a_binary_value_of_8_kib_passes_and_a_larger_one_is_counted() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway(backend.address).start().await;
    // Three bytes in four letters.
    for (bytes, status, counted) in [(8_190, 200, 0), (8_193, 400, 1)] {
        let value = "AAAA".repeat(bytes / 3);
        let request = format!(
            "GET /v1/notes/a HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-long-bin: {value}\r\n\r\n"
        );
        let answer = raw(gateway.public, request.as_bytes()).await.unwrap();
        assert_eq!(answer.status, status, "{bytes}: {}", answer.body);
        gateway.until(|gateway| met(gateway, "binary") == counted).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn security_li_25_an_answer_larger_than_its_upstream_may_give_is_counted() {
    let backend = Backend::start(vec![Script::message(note(&"a".repeat(2_000)))]);
    let gateway = gateway(backend.address).upstream("message: 1KiB").start().await;
    assert_ne!(rest(gateway.public, "GET", "/v1/notes/a", "").await.status, 200);
    gateway.until(|gateway| met(gateway, "upstream_message") == 1).await;
    assert_ne!(grpc(gateway.public, "Get", &[], &[&note("a")]).await.status(), "0");
    gateway.until(|gateway| met(gateway, "upstream_message") == 2).await;
}

/// Messages in messages, the innermost empty.
fn nested(levels: usize) -> Vec<u8> {
    let mut message = Vec::new();
    for _ in 0..levels {
        let mut around = vec![0x0a];
        let mut length = message.len();
        while length >= 0x80 {
            around.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
            length >>= 7;
        }
        around.push(u8::try_from(length).unwrap());
        around.extend(message);
        message = around;
    }
    message
}

#[tokio::test(flavor = "multi_thread")]
async fn security_li_13_an_answer_that_is_nested_too_deeply_is_counted() {
    const NESTS: &str = r#"
        syntax = "proto3"; package test.v1;
        import "google/api/annotations.proto";
        message Nest { Nest inner = 1; }
        service Notes {
          rpc Get(Nest) returns (Nest) { option (google.api.http) = { get: "/v1/nests" }; }
        }
    "#;
    for (levels, counted) in [(50, 0), (500, 1)] {
        let backend = Backend::start(vec![Script::message(nested(levels))]);
        let gateway = gateway(backend.address).contract(NESTS).start().await;
        let answer = rest(gateway.public, "GET", "/v1/nests", "").await;
        assert_eq!(answer.status == 200, counted == 0, "{levels}: {}", answer.body);
        gateway.until(|gateway| gateway.figures("Get").calls() == 1).await;
        assert_eq!(met(&gateway, "wire_depth"), counted, "{levels}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn security_li_20_a_caller_that_resets_what_it_began_again_and_again_is_counted() {
    let backend = Backend::start(vec![Script::Hang]);
    let gateway = gateway(backend.address).limits("resets: 10").start().await;
    let stream = TcpStream::connect(gateway.public).await.unwrap();
    let (send, connection) = h2::client::handshake(stream).await.unwrap();
    // All of them lie there before the gateway takes the first (CVE-2023-44487).
    let mut send = send.ready().await.unwrap();
    for _ in 0..90 {
        let request = http::Request::post(format!("http://{}/test.v1.Notes/Get", gateway.public))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .unwrap();
        let Ok((_answer, mut body)) = send.send_request(request, false) else { break };
        body.send_reset(h2::Reason::CANCEL);
    }
    let ended = tokio::time::timeout(std::time::Duration::from_secs(10), connection).await;
    let ended = ended.expect("the connection is ended");
    gateway.until(|gateway| met(gateway, "resets") == 1).await;
    assert!(ended.is_err_and(|error| error.reason() == Some(h2::Reason::ENHANCE_YOUR_CALM)));
}
