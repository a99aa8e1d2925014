//! Answers that are kept, through sockets: who gets them, who never does, how often the service is
//! asked.

mod calls;
mod failures;
mod principals;
mod seen;
mod together;

use tandem_gateway::CacheUse;
use tandem_testkit::backend::{Backend, Script};
use tandem_testkit::client::{Answer, raw};
use tandem_testkit::{Setup, TestGateway, gateway};

/// A gateway whose method `Read` is kept by `rules`.
fn kept(backend: &Backend, rules: &str) -> Setup {
    gateway(backend.address).method("Read", &format!("cache: {{ {rules} }}"))
}

/// GET /v1/read/TEXT with these header lines.
async fn read(gateway: &TestGateway, text: &str, headers: &[&str]) -> Answer {
    let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let request =
        format!("GET /v1/read/{text} HTTP/1.1\r\nhost: any\r\nconnection: close\r\n{lines}\r\n");
    raw(gateway.public, request.as_bytes()).await.expect("an answer")
}

/// The value of a header; empty without it.
fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    let prefix = format!("{name}: ");
    answer.head.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or("")
}

/// Calls of `Read` that were answered in this way.
fn counted(gateway: &TestGateway, made: CacheUse) -> u64 {
    gateway.figures("/Read").cache[made as usize]
}

/// Calls of `Read` under way.
fn under_way(gateway: &TestGateway) -> i64 {
    gateway.figures("/Read").in_flight
}

/// One message, with this metadata in the head and behind it.
fn saying(
    head: &[(&'static str, &'static str)],
    trailers: &[(&'static str, &'static str)],
    message: Vec<u8>,
) -> Script {
    Script::Answer {
        http_status: 200,
        head: [&[("content-type", "application/grpc")], head].concat(),
        messages: vec![message],
        trailers: Some([&[("grpc-status", "0")], trailers].concat()),
    }
}
