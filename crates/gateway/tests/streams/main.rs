//! Streams as REST through a gateway, by HTTP/1.1 and HTTP/2: exact bytes, and how transfers end.

mod answers;
mod flow;
mod leaving;
mod pace;
mod requests;
mod switches;

use tandem_testkit::backend::{Backend, Script};
use tandem_testkit::client::{RestCall, Transfer, note};
use tandem_testkit::{TestGateway, gateway};

const STREAMS: &str = r#"
syntax = "proto3"; package test.v1;
import "google/api/annotations.proto";
import "google/api/httpbody.proto";
import "google/protobuf/struct.proto";
message Note { string text = 1; int64 number = 2; repeated string more = 3; google.protobuf.Value any = 4; oneof one { string left = 5; string right = 6; } }
message Part { string name = 1; google.api.HttpBody content = 2; }
service Notes {
  rpc Many(Note) returns (stream Note) { option (google.api.http) = { get: "/v1/many" additional_bindings { get: "/v1/texts" response_body: "text" } additional_bindings { post: "/v1/many" body: "*" } }; }
  rpc Pages(Note) returns (stream google.api.HttpBody) { option (google.api.http) = { get: "/v1/pages" }; }
  rpc Collect(stream Note) returns (Note) { option (google.api.http) = { post: "/v1/collect" body: "*" additional_bindings { post: "/v1/collect/{text}" body: "*" } additional_bindings { post: "/v1/more/{text}" body: "more" } additional_bindings { post: "/v1/any/{text}" body: "any" } additional_bindings { post: "/v1/left/{left}" body: "*" } additional_bindings { get: "/v1/collect/{text}" } }; }
  rpc Upload(stream Part) returns (Note) { option (google.api.http) = { post: "/v1/upload/{name}" body: "content" }; }
  rpc Talk(stream Note) returns (stream Note) { option (google.api.http) = { post: "/v1/talk" body: "*" }; }
  rpc Secret(Note) returns (Note);
}
"#;

const HTTP1: bool = false;
const HTTP2: bool = true;
const JSON: (&str, &str) = ("content-type", "application/json");
const FRAMINGS: [&str; 3] = ["application/json", "application/x-ndjson", "text/event-stream"];

async fn streams(backend: &Backend) -> TestGateway {
    gateway(backend.address).contract(STREAMS).start().await
}

async fn get(gateway: &TestGateway, http2: bool, path: &str, accept: &str) -> Transfer {
    let headers = [("accept", accept)];
    RestCall::open(gateway.public, http2, ("GET", path), &headers, false).await.finish().await
}

async fn post(
    gateway: &TestGateway,
    http2: bool,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Transfer {
    let mut call = RestCall::open(gateway.public, http2, ("POST", path), headers, true).await;
    if !body.is_empty() {
        call.send(body).await;
    }
    call.send(b"").await;
    call.finish().await
}

fn answer(messages: &[&str], trailers: Option<Vec<(&'static str, &'static str)>>) -> Script {
    Script::Answer {
        http_status: 200,
        head: vec![("content-type", "application/grpc"), ("x-own", "1")],
        messages: messages.iter().map(|text| note(text)).collect(),
        trailers,
    }
}

fn ok(messages: &[&str]) -> Script {
    answer(messages, Some(vec![("grpc-status", "0"), ("x-late", "1")]))
}

fn failed(messages: &[&str]) -> Script {
    answer(messages, Some(vec![("grpc-status", "9"), ("grpc-message", "full")]))
}

/// The code that stands in the record of the call.
async fn recorded(gateway: &TestGateway, transfer: &Transfer) -> String {
    let id = transfer.header("x-request-id");
    gateway.until(|gateway| !gateway.view.request(id).is_empty()).await;
    gateway.view.request(id)[0].code.name().to_owned()
}

const FULL: &str = r#"{"code":9,"message":"full","details":[]}"#;
