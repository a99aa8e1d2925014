//! Calls that are copied to a candidate, by real sockets on every side.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod dropped;
mod evidence;
mod guarded;
mod harmless;
mod ordered;
mod reached;
mod share;

use std::net::SocketAddr;

use tandem_gateway::MethodPairs;
use tandem_protocol::envelope;
use tandem_testkit::client::note;
use tandem_testkit::{Backend, Script, Setup, TestGateway, gateway};

/// All kinds of methods: `Ask…` have no side effects, `Write` and `Replace` have.
const CONTRACT: &str = r#"
syntax = "proto3"; package test.v1;
import "google/api/annotations.proto";
message Note { string text = 1; int64 number = 2; repeated string more = 3; string hidden = 4 [debug_redact = true]; }
service Notes {
  rpc Ask(Note) returns (Note) { option idempotency_level = NO_SIDE_EFFECTS; option (google.api.http) = { get: "/v1/ask/{text}" additional_bindings { post: "/v1/ask" body: "*" } }; }
  rpc AskMany(Note) returns (stream Note) { option idempotency_level = NO_SIDE_EFFECTS; option (google.api.http) = { get: "/v1/many/{text}" }; }
  rpc AskOfMany(stream Note) returns (Note) { option idempotency_level = NO_SIDE_EFFECTS; option (google.api.http) = { post: "/v1/of-many" body: "*" }; }
  rpc AskEach(stream Note) returns (stream Note) { option idempotency_level = NO_SIDE_EFFECTS; option (google.api.http) = { post: "/v1/each" body: "*" }; }
  rpc Write(Note) returns (Note) { option (google.api.http) = { post: "/v1/write" body: "*" }; }
  rpc Replace(Note) returns (Note) { option idempotency_level = IDEMPOTENT; option (google.api.http) = { get: "/v1/replace" }; }
  rpc Secret(Note) returns (Note);
}
"#;

const READS: [&str; 4] = ["Ask", "AskMany", "AskOfMany", "AskEach"];

/// No twin, and every call.
const EACH: &str = "twin: none, max_rate: 100000/s";

/// A gateway whose reads are mirrored from `primary` to `candidate` by these rules, all of them.
fn mirrored(primary: &Backend, candidate: &Backend, mirror: &str) -> Setup {
    mirrored_to(primary, candidate.address, mirror)
}

fn mirrored_to(primary: &Backend, candidate: impl ToString, mirror: &str) -> Setup {
    let mut setup = gateway(primary.address)
        .contract(CONTRACT)
        .rules("primary: it")
        .quota("mirror: 100%")
        .also("rust", candidate, "");
    for method in READS {
        setup = setup.method(method, &format!("candidate: rust, mirror: {{ {mirror} }}"));
    }
    setup
}

fn message(text: &str) -> Script {
    Script::message(note(text))
}

fn pairs(gateway: &TestGateway, method: &str) -> MethodPairs {
    gateway.view.pairs("notes", &format!("test.v1.Notes/{method}")).unwrap()
}

/// Waits until so many pairs of a method have been compared.
async fn compared(gateway: &TestGateway, method: &str, count: u64) {
    gateway
        .until(|gateway| counter(gateway, "tandem_mirror_compared_total", method, "") >= count)
        .await;
}

/// Waits until no copy waits or is under way.
async fn quiet(gateway: &TestGateway) {
    gateway.until(|gateway| gateway.view.copies() == 0).await;
}

fn counter(gateway: &TestGateway, name: &str, method: &str, labels: &str) -> u64 {
    let more = if labels.is_empty() { String::new() } else { format!(",{labels}") };
    let series = format!("{name}{{namespace=\"notes\",method=\"test.v1.Notes/{method}\"{more}}}");
    gateway.metric(&series)
}

fn dropped(gateway: &TestGateway, method: &str, reason: &str) -> u64 {
    counter(gateway, "tandem_mirror_dropped_total", method, &format!("reason=\"{reason}\""))
}

fn lost(gateway: &TestGateway, method: &str, reason: &str) -> u64 {
    let labels = format!("side=\"candidate\",reason=\"{reason}\"");
    counter(gateway, "tandem_mirror_abandoned_total", method, &labels)
}

/// Calls `method` so often, over one connection, a few at once, and waits for the copies in
/// between, so that none finds the queue full. Gives back the codes other than OK.
async fn calls(gateway: &TestGateway, method: &str, count: usize) -> Vec<String> {
    let mut failed = Vec::new();
    let mut left = count;
    while left > 0 {
        let batch = left.min(100);
        failed.extend(batch_of(gateway.public, method, batch).await);
        left -= batch;
        gateway.until(|gateway| gateway.view.copies() < 300).await;
    }
    failed
}

async fn batch_of(address: SocketAddr, method: &str, count: usize) -> Vec<String> {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let (send, connection) = h2::client::handshake(stream).await.unwrap();
    let driven = async {
        let _ = connection.await;
    };
    let sent = async {
        let mut failed = Vec::new();
        let mut answers = Vec::new();
        for _ in 0..count {
            let mut send = send.clone().ready().await.unwrap();
            let request = http::Request::post(format!("http://any/test.v1.Notes/{method}"))
                .header("content-type", "application/grpc")
                .header("te", "trailers")
                .body(())
                .unwrap();
            let (response, mut body) = send.send_request(request, false).unwrap();
            body.send_data(envelope::frame(&note("q")), true).unwrap();
            answers.push(response);
        }
        for response in answers {
            let (head, mut body) = response.await.unwrap().into_parts();
            while let Some(data) = body.data().await {
                let data = data.unwrap();
                let _ = body.flow_control().release_capacity(data.len());
            }
            let trailers = body.trailers().await.unwrap().unwrap_or(head.headers);
            let status = trailers["grpc-status"].to_str().unwrap().to_owned();
            if status != "0" {
                failed.push(status);
            }
        }
        drop(send);
        failed
    };
    tokio::select! {
        failed = sent => failed,
        () = driven => panic!("the connection ended first"),
    }
}
