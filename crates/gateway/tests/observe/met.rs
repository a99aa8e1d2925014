//! Limits that are met are counted by their keys (security LI-35): those that neither the table of
//! `metrics` nor the tests of the limits themselves count.

use std::io::Read as _;
use std::time::Duration;

use flate2::Compression;
use flate2::read::GzEncoder;
use tandem_testkit::backend::End;
use tandem_testkit::client::{GrpcCall, grpc, note, raw, rest};
use tandem_testkit::{Backend, Script, TestGateway, gateway};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

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

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    GzEncoder::new(data, Compression::best()).read_to_end(&mut out).unwrap();
    out
}

/// The ratio is judged above 64 KiB of what comes out; the letters here compress a thousandfold.
const JUDGED: usize = 64 << 10;

#[tokio::test(flavor = "multi_thread")]
async fn security_li_11_a_body_that_expands_too_far_is_413_and_counted() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway(backend.address).start().await;
    for (bytes, status, counted) in [(JUDGED, 200, 0), (JUDGED + 1, 413, 1)] {
        let around = "{\"text\":\"\"}".len();
        let body = gzip(format!("{{\"text\":\"{}\"}}", "a".repeat(bytes - around)).as_bytes());
        assert!(bytes > 100 * body.len(), "the ratio is broken");
        let head = format!(
            "POST /v1/notes HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let answer = raw(gateway.public, &[head.as_bytes(), &body].concat()).await.unwrap();
        assert_eq!(answer.status, status, "{bytes}: {}", answer.head);
        gateway.until(|gateway| met(gateway, "ratio") == counted).await;
    }
    assert_eq!(backend.calls(), 1);
}

/// A compressed message that is `bytes` long inside, behind its head.
fn framed(bytes: usize) -> Vec<u8> {
    // A tag and a length of three bytes.
    let message = note(&"a".repeat(bytes - 4));
    assert_eq!(message.len(), bytes);
    let coded = gzip(&message);
    let length = u32::try_from(coded.len()).unwrap();
    [&[1], &length.to_be_bytes()[..], &coded].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn security_li_11_a_message_that_expands_too_far_is_resource_exhausted_and_counted() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway(backend.address).start().await;
    for (bytes, status, counted) in [(JUDGED, "0", 0), (JUDGED + 1, "8", 1)] {
        let mut call = GrpcCall::open(gateway.public, "Get", &[("grpc-encoding", "gzip")]).await;
        call.bytes(&framed(bytes));
        assert_eq!(call.finish().await.status(), status, "{bytes}");
        gateway.until(|gateway| met(gateway, "ratio") == counted).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn security_li_11_an_answer_that_expands_too_far_reaches_nobody_and_is_counted() {
    for (bytes, passes) in [(JUDGED, true), (JUDGED + 1, false)] {
        let backend = Backend::start(vec![Script::Raw {
            head: vec![("content-type", "application/grpc"), ("grpc-encoding", "gzip")],
            pieces: vec![framed(bytes)],
            end: End::Trailers(vec![("grpc-status", "0")]),
        }]);
        let gateway = gateway(backend.address).start().await;
        // A REST caller's answer is asked for without a coding.
        let accepts = [("grpc-accept-encoding", "gzip")];
        let answer = grpc(gateway.public, "Get", &accepts, &[&note("a")]).await;
        assert_eq!(answer.status(), if passes { "0" } else { "8" }, "{bytes}");
        gateway.until(|gateway| gateway.figures("Get").calls() == 1).await;
        assert_eq!(met(&gateway, "ratio"), u64::from(!passes), "{bytes}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn security_li_16_a_json_answer_of_a_mebibyte_passes_and_a_longer_one_is_counted() {
    // One byte on the wire is 35 letters of JSON, and 29,959 of them end at a mebibyte exactly: 16
    // times the message is less than that.
    let contract = |field: &str| {
        format!(
            "syntax = \"proto3\"; package test.v1; import \"google/api/annotations.proto\";
             enum Kind {{ {} = 0; }}
             message Note {{ repeated Kind {field} = 1; }}
             service Notes {{
               rpc Get(Note) returns (Note) {{ option (google.api.http) = {{ get: \"/v1/kinds\" }}; }}
             }}",
            "K".repeat(32)
        )
    };
    let values = 29_959;
    // The field, packed; its length takes three bytes.
    let message = [&[0x0a, 0x87, 0xea, 0x01][..], &vec![0; values]].concat();
    for (field, passes) in [("kinds", true), ("kindss", false)] {
        let backend = Backend::start(vec![Script::message(message.clone())]);
        let gateway = gateway(backend.address).contract(&contract(field)).start().await;
        let answer = rest(gateway.public, "GET", "/v1/kinds", "").await;
        assert_eq!(answer.status, if passes { 200 } else { 502 }, "{field}: {}", answer.head);
        assert!(!passes || answer.body.len() == 1 << 20, "{}", answer.body.len());
        gateway.until(|gateway| gateway.figures("Get").calls() == 1).await;
        assert_eq!(met(&gateway, "json_out"), u64::from(!passes), "{field}");
        // Who takes the message as it is meets no such limit.
        assert_eq!(grpc(gateway.public, "Get", &[], &[&[]]).await.status(), "0");
    }
}

/// Connections, each after a call that was answered.
async fn connections(gateway: &TestGateway, count: usize) -> Vec<TcpStream> {
    let mut all = Vec::new();
    for _ in 0..count {
        let mut stream = TcpStream::connect(gateway.public).await.unwrap();
        stream.write_all(b"GET /v1/notes/a HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut answer = [0; 15];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
        all.push(stream);
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn security_li_1_the_last_connection_is_served_and_one_more_waits_and_is_counted() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway(backend.address).limits("connections: 32").start().await;
    // Each listener holds a place for who comes to it next, and these gateways have two.
    let mut all = connections(&gateway, 30).await;
    assert_eq!(met(&gateway, "connections"), 0);
    all.extend(connections(&gateway, 1).await);
    // The acceptor has found no room for the next.
    gateway.until(|gateway| met(gateway, "connections") == 1).await;
    let mut more = TcpStream::connect(gateway.public).await.unwrap();
    more.write_all(b"GET /v1/notes/a HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut answer = [0; 15];
    let early = tokio::time::timeout(Duration::from_millis(200), more.read_exact(&mut answer));
    assert!(early.await.is_err(), "it waits in the backlog");
    // It has its turn when another ends.
    drop(all.pop());
    tokio::time::timeout(Duration::from_secs(10), more.read_exact(&mut answer))
        .await
        .expect("it is accepted")
        .unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
}

/// Calls that wait for a stream of one upstream and data thread (security LI-25).
const WAIT_MOST: usize = 1_024;

#[tokio::test(flavor = "multi_thread")]
async fn security_li_25_the_last_call_that_waits_for_an_upstream_and_the_first_that_does_not() {
    // Connections are taken and never answered, so no call is ever sent.
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = gateway(mute.local_addr().unwrap())
        .one_thread()
        .limits("streams: 2000, connections_per_source: 2000")
        .quota("calls_at_once: 2000")
        .upstream("connect: 60s")
        .start()
        .await;
    let stream = TcpStream::connect(gateway.public).await.unwrap();
    let (send, connection) = h2::client::handshake(stream).await.unwrap();
    tandem_gateway::tasks::Side::new(tokio::runtime::Handle::current()).start(async move {
        let _ = connection.await;
    });
    let mut waiting = Vec::new();
    let mut send = send.ready().await.unwrap();
    for _ in 0..WAIT_MOST {
        send = send.ready().await.unwrap();
        let request = http::Request::post("http://any/test.v1.Notes/Get")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .unwrap();
        let (answer, mut body) = send.send_request(request, false).unwrap();
        body.send_data(vec![0; 5].into(), true).unwrap();
        waiting.push((answer, body));
    }
    gateway.until(|gateway| gateway.figures("Get").in_flight == WAIT_MOST as i64).await;
    assert_eq!(met(&gateway, "upstream_waiting"), 0);
    // In the words of each caller.
    assert_eq!(grpc(gateway.public, "Get", &[], &[&[]]).await.status(), "14");
    gateway.until(|gateway| met(gateway, "upstream_waiting") == 1).await;
    assert_eq!(rest(gateway.public, "GET", "/v1/notes/a", "").await.status, 503);
    gateway.until(|gateway| met(gateway, "upstream_waiting") == 2).await;
    // One that leaves makes room for one.
    drop(waiting.pop());
    gateway.until(|gateway| gateway.figures("Get").in_flight == WAIT_MOST as i64 - 1).await;
    let mut last = GrpcCall::open(gateway.public, "Get", &[]).await;
    last.message(&[]);
    assert!(!last.head_comes(Duration::from_millis(200)).await, "it waits");
    assert_eq!(met(&gateway, "upstream_waiting"), 2);
}
