//! The interop suite of gRPC: the client and the server of grpc-go, with the gateway between them.
//!
//! Both are programs of strangers, installed as Go modules at one version. The server has no
//! reflection, so its contract is written here; a call passes unread, so the messages of it are
//! empty. Each case is a run of the client, which ends with 0 when all that it looked at was as
//! it must be.
//!
//! Not here: the six negative cases over HTTP/2 (`crates/gateway/tests/grpc/http2.rs`), and
//! those of ORCA, of credentials and of a client's own balancing, which a gateway has no part in.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::conformance::{Outcome, at};
use crate::process::{Beside, cargo, quiet, root, until};
use crate::{demo, http};

pub(crate) const VERSION: &str = "v1.83.0";

/// In the order in which they run. Gateway and server live through all of them, so that a case
/// also meets what an earlier one has left behind.
pub(crate) const CASES: [&str; 16] = [
    "empty_unary",
    "large_unary",
    "client_streaming",
    "server_streaming",
    "ping_pong",
    "empty_stream",
    "timeout_on_sleeping_server",
    "cancel_after_begin",
    "cancel_after_first_response",
    "status_code_and_message",
    "special_status_message",
    "custom_metadata",
    "unimplemented_method",
    "unimplemented_service",
    "rpc_soak",
    "channel_soak",
];

/// The client gives a soak ten seconds, and everything else much less.
const CASE_TAKES_AT_MOST: Duration = Duration::from_secs(30);
const STARTS_WITHIN: Duration = Duration::from_secs(20);
const STOPS_WITHIN: Duration = Duration::from_secs(5);

/// `UnimplementedCall` is in the contract and not in the server, so that the server refuses it;
/// `UnimplementedService` is in neither, so that the gateway does.
const CONTRACT: &str = r#"syntax = "proto3";

package grpc.testing;

message Any {}

service TestService {
  rpc EmptyCall(Any) returns (Any);
  rpc UnaryCall(Any) returns (Any);
  rpc StreamingOutputCall(Any) returns (stream Any);
  rpc StreamingInputCall(stream Any) returns (Any);
  rpc FullDuplexCall(stream Any) returns (stream Any);
  rpc HalfDuplexCall(stream Any) returns (stream Any);
  rpc UnimplementedCall(Any) returns (Any);
}
"#;

const PLATFORM: &str = r#"format: 1
listen:
  public: { address: "127.0.0.1:0" }
  admin: { address: "127.0.0.1:0" }
observe: { access_log: { to: none } }
namespaces:
  interop:
    may:
      services: [grpc.testing.*]
      upstreams: ["127.0.0.0/8:1-65535"]
      public_methods: true
      loopback: true
"#;

pub(crate) fn run(folder: &Path) -> Result<Outcome, String> {
    if !demo::go_is_here() {
        return Err("Go is missing, so its client and server are not run".into());
    }
    let server = program("server")?;
    let client = program("client")?;
    cargo(&["build", "--quiet", "--locked", "-p", "tandem"])?;

    let folder = folder.join("interop");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(at(&folder))?;
    }
    fs::create_dir_all(folder.join("teams")).map_err(at(&folder))?;
    let (mut server, upstream) = start_server(&server, &folder)?;
    let (mut gateway, public) = start_gateway(&folder, &upstream)?;

    let (mut passed, mut failed) = (0, 0);
    for case in CASES {
        match carry_out(&client, case, &public, &folder) {
            Ok(()) => passed += 1,
            Err(why) => {
                failed += 1;
                println!("  failed     {case}: {why}");
            }
        }
        if let Some(why) = gateway.ended() {
            return Err(format!("after {case}: {why}"));
        }
    }
    gateway.stop(STOPS_WITHIN);
    server.stop(STOPS_WITHIN);
    Ok(Outcome { passed, failed, skipped: CASES.len() as u64 - passed - failed })
}

/// The program of grpc-go by this name, built once. Both are named after their folder alone, so
/// each has one of its own.
fn program(name: &str) -> Result<PathBuf, String> {
    let folder = root().join("target/tools").join(name);
    let program = folder.join(name);
    let module = format!("google.golang.org/grpc\t{VERSION}\t");
    let is_here = quiet(Command::new("go").args(["version", "-m"]).arg(&program))
        .is_ok_and(|built| built.contains(&module));
    if !is_here {
        println!("  install    {name} of grpc-go {VERSION}, as a Go module, into target/tools");
        quiet(
            Command::new("go")
                .arg("install")
                .arg(format!("google.golang.org/grpc/interop/{name}@{VERSION}"))
                .env("GOBIN", &folder),
        )?;
    }
    Ok(program)
}

/// The server, and the address on which it listens.
fn start_server(program: &Path, folder: &Path) -> Result<(Beside, String), String> {
    let address = demo::free_address()?;
    let (_, port) = address.rsplit_once(':').expect("an address has a port");
    let mut command = Command::new(program);
    command.args(["--port", port]);
    let (mut server, _out) = Beside::start("server", &mut command, folder)?;
    let listens = until(STARTS_WITHIN, || match server.ended() {
        Some(why) => Some(Err(why)),
        None => TcpStream::connect(&address).ok().map(|_connection| Ok(())),
    });
    listens.unwrap_or_else(|| Err(format!("no server at {address}\n{}", server.last_lines())))?;
    Ok((server, address))
}

/// The gateway as the tests have built it, and the address that it serves.
fn start_gateway(folder: &Path, upstream: &str) -> Result<(Beside, String), String> {
    let team = format!(
        "namespace: interop\ncontract: {{ protos: interop.proto }}\n\
         upstreams: {{ go: {{ address: \"{upstream}\" }} }}\n\
         defaults: {{ auth: {{ public: true }} }}\nmethods: {{ grpc.testing.TestService/*: {{}} }}\n"
    );
    for (name, text) in [
        ("tandem.yaml", PLATFORM),
        ("teams/interop.yaml", &team),
        ("teams/interop.proto", CONTRACT),
    ] {
        let file = folder.join(name);
        fs::write(&file, text).map_err(at(&file))?;
    }
    let ready_file = folder.join("ready.json");
    let mut command = Command::new(root().join("target/debug/tandem"));
    command.arg("run").arg("--config").arg(folder.join("tandem.yaml"));
    command.arg("--data").arg(folder.join("data")).arg("--ready-file").arg(&ready_file);
    let (mut gateway, _out) = Beside::start("gateway", &mut command, folder)?;
    let ready = until(STARTS_WITHIN, || {
        if let Some(why) = gateway.ended() {
            return Some(Err(why));
        }
        let ready: Value = serde_json::from_str(&fs::read_to_string(&ready_file).ok()?).ok()?;
        let answer = http::send(ready["admin"].as_str()?, "GET", "/readyz", &[], "").ok()?;
        (answer.status == 200).then(|| ready["public"].as_str().map(str::to_owned))?.map(Ok)
    });
    let public = ready
        .unwrap_or_else(|| Err(format!("the gateway is not ready\n{}", gateway.last_lines())))?;
    Ok((gateway, public))
}

/// One run of the client.
fn carry_out(client: &Path, case: &str, public: &str, folder: &Path) -> Result<(), String> {
    let (host, port) = public.rsplit_once(':').ok_or_else(|| format!("no port in {public}"))?;
    let mut command = Command::new(client);
    command.args(["--server_host", host, "--server_port", port, "--test_case", case]);
    let (mut beside, _out) = Beside::start(case, &mut command, folder)?;
    match beside.outcome(CASE_TAKES_AT_MOST) {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(format!("ended with {status}\n{}", beside.last_lines())),
        None => {
            beside.stop(STOPS_WITHIN);
            Err(format!("not ended after {CASE_TAKES_AT_MOST:?}\n{}", beside.last_lines()))
        }
    }
}
