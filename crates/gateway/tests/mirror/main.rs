//! Calls that are copied to a candidate, by real sockets on every side.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod reached;

use tandem_gateway::MethodPairs;
use tandem_testkit::{Backend, Script, Setup, TestGateway, gateway};

/// All kinds of methods: `A…` have no side effects, `Write` and `Rename` have.
const CONTRACT: &str = r#"
syntax = "proto3"; package test.v1;
import "google/api/annotations.proto";
message Note { string text = 1; int64 number = 2; repeated string more = 3; }
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

/// A gateway whose reads are mirrored from `primary` to `candidate` by these rules, all of them.
fn mirrored(primary: &Backend, candidate: &Backend, mirror: &str) -> Setup {
    let mut setup = gateway(primary.address).contract(CONTRACT).rules("primary: it").also(
        "rust",
        candidate.address,
        "",
    );
    for method in READS {
        setup = setup.method(method, &format!("candidate: rust, mirror: {{ {mirror} }}"));
    }
    setup
}

fn message(text: &str) -> Script {
    Script::message(tandem_testkit::client::note(text))
}

fn pairs(gateway: &TestGateway, method: &str) -> MethodPairs {
    gateway.view.pairs("notes", &format!("test.v1.Notes/{method}")).unwrap()
}

/// Waits until so many pairs of a method have been compared.
async fn compared(gateway: &TestGateway, method: &str, count: u64) {
    gateway.until(|gateway| pairs(gateway, method).calls >= count).await;
}

fn counter(gateway: &TestGateway, name: &str, method: &str, labels: &str) -> u64 {
    let more = if labels.is_empty() { String::new() } else { format!(",{labels}") };
    let series = format!("{name}{{namespace=\"notes\",method=\"test.v1.Notes/{method}\"{more}}}");
    gateway.metric(&series)
}
