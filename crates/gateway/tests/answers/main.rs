//! REST answers as callers find them: coded, known already, negotiated; by HTTP/1.1 and HTTP/2.

mod coding;
mod conditions;
mod negotiation;

use tandem_contract::fields;
use tandem_testkit::backend::{Backend, Script};
use tandem_testkit::client::{RestCall, Transfer, note};
use tandem_testkit::{Setup, TestGateway, gateway};

const ANSWERS: &str = r#"
syntax = "proto3"; package test.v1;
import "google/api/annotations.proto";
import "google/api/httpbody.proto";
message Note { string text = 1; int64 number = 2; }
service Notes {
  rpc Get(Note) returns (Note) { option (google.api.http) = { get: "/v1/notes/{text}" additional_bindings { post: "/v1/notes" body: "*" } }; }
  rpc Read(Note) returns (Note) { option idempotency_level = NO_SIDE_EFFECTS; option (google.api.http) = { post: "/v1/read" body: "*" }; }
  rpc Page(Note) returns (google.api.HttpBody) { option (google.api.http) = { get: "/v1/page" }; }
  rpc Many(Note) returns (stream Note) { option (google.api.http) = { get: "/v1/many" }; }
  rpc Pages(Note) returns (stream google.api.HttpBody) { option (google.api.http) = { get: "/v1/pages" }; }
  rpc Talk(stream Note) returns (stream Note) { option (google.api.http) = { post: "/v1/talk" body: "*" }; }
  rpc Secret(Note) returns (Note);
}
"#;

const HTTP1: bool = false;
const HTTP2: bool = true;
const BOTH: [bool; 2] = [HTTP1, HTTP2];
const GET: (&str, &str) = ("GET", "/v1/notes/a");

async fn answers(backend: &Backend) -> TestGateway {
    gateway_of(backend).start().await
}

fn gateway_of(backend: &Backend) -> Setup {
    gateway(backend.address).contract(ANSWERS)
}

/// A request without a body.
async fn ask(
    gateway: &TestGateway,
    http2: bool,
    line: (&str, &str),
    headers: &[(&str, &str)],
) -> Transfer {
    RestCall::open(gateway.public, http2, line, headers, false).await.finish().await
}

/// A request with `{}`.
async fn post(
    gateway: &TestGateway,
    http2: bool,
    path: &str,
    headers: &[(&str, &str)],
) -> Transfer {
    let headers = [&[("content-type", "application/json")], headers].concat();
    let mut call = RestCall::open(gateway.public, http2, ("POST", path), &headers, true).await;
    call.send(b"{}").await;
    call.send(b"").await;
    call.finish().await
}

/// One message, with this metadata in the head.
fn with_metadata(metadata: &[(&'static str, &'static str)], message: Vec<u8>) -> Script {
    Script::Answer {
        http_status: 200,
        head: [&[("content-type", "application/grpc")], metadata].concat(),
        messages: vec![message],
        trailers: Some(vec![("grpc-status", "0")]),
    }
}

fn http_body(content_type: &str, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    fields::put_bytes(1, content_type.as_bytes(), &mut out);
    fields::put_bytes(2, data, &mut out);
    out
}

/// A message whose JSON has so many bytes.
fn sized(bytes: usize) -> Vec<u8> {
    note(&"x".repeat(bytes - r#"{"text":""}"#.len()))
}
