//! Files read again while the gateway runs. Nothing but the gateway is needed: what a path means
//! is answered without an upstream.

use std::process::Command;
use std::time::Duration;

use crate::backend::{Folder, Gateway, ask, folder, platform, until};

const PROTO: &str = r#"
syntax = "proto3"; package t.v1;
import "google/api/annotations.proto";
message Note { string text = 1; }
service Notes { rpc Get(Note) returns (Note) { option (google.api.http) = { get: "/v1/notes/{text}" }; } }
"#;

fn team(rest: &str) -> String {
    format!(
        "namespace: shop\ncontract: {{ protos: notes.proto }}\n\
         upstreams: {{ it: {{ address: \"127.0.0.1:1\" }} }}\n\
         defaults: {{ auth: {{ public: true }} }}\nmethods:\n  t.v1.Notes/Get: {{ {rest} }}\n"
    )
}

fn write(folder: &Folder, team: &str) {
    std::fs::write(folder.0.join("teams/shop.yaml"), team).unwrap();
}

fn running() -> (Folder, Gateway) {
    let zero = "127.0.0.1:0".parse().unwrap();
    let folder = folder();
    let text = platform(zero, zero, zero, "shop: t.v1.*");
    std::fs::write(folder.0.join("tandem.yaml"), text).unwrap();
    std::fs::write(folder.0.join("teams/notes.proto"), PROTO).unwrap();
    write(&folder, &team(""));
    let gateway = Gateway::start(&folder);
    gateway.ready();
    (folder, gateway)
}

/// Whether the path is known: without an upstream it is 503, an unknown one 404.
fn is_known(gateway: &Gateway, path: &str) -> bool {
    match ask(gateway.public, "GET", path, "", "").unwrap().status {
        503 => true,
        404 => false,
        other => panic!("{path}: {other}\n{}", gateway.log()),
    }
}

fn reload(gateway: &Gateway, folder: &Folder, more: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tandem"))
        .args(["reload", "--admin", &gateway.admin.to_string(), "--token-file"])
        .arg(folder.0.join("data/admin.token"))
        .args(more)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn reload_takes_what_is_good_and_leaves_the_old_in_place_of_what_is_not() {
    let (folder, gateway) = running();
    assert!(is_known(&gateway, "/v1/notes/a") && !is_known(&gateway, "/v2/notes/a"));

    write(&folder, &team("http: { get: \"/v2/notes/{text}\" }"));
    let (exit, out, err) = reload(&gateway, &folder, &[]);
    assert_eq!((exit, out.as_str(), err.as_str()), (0, "reloaded, 1 namespaces\n", ""));
    assert!(is_known(&gateway, "/v2/notes/a") && !is_known(&gateway, "/v1/notes/a"));

    write(&folder, &team("htp: 1"));
    let (exit, out, err) = reload(&gateway, &folder, &[]);
    assert_eq!((exit, out.as_str()), (1, ""));
    assert!(err.contains("error[TND0101]") && err.contains("teams/shop.yaml:6"), "{err}");
    assert!(err.contains("the old documents go on"), "{err}");
    let (exit, out, _) = reload(&gateway, &folder, &["--json"]);
    assert_eq!(exit, 1);
    let told: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(told["taken"], false);
    assert!(is_known(&gateway, "/v2/notes/a"), "{}", gateway.log());
}

#[test]
fn what_belongs_to_the_process_is_told_to_need_a_restart() {
    let (folder, gateway) = running();
    let file = folder.0.join("tandem.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("threads: 3\n{text}")).unwrap();
    let (exit, out, err) = reload(&gateway, &folder, &[]);
    assert_eq!((exit, out.as_str()), (0, "reloaded, 1 namespaces\n"), "{err}");
    assert!(err.contains("`threads`"), "{err}");
}

#[test]
fn experience_ux_15_a_hang_up_reads_the_files_again() {
    let (folder, gateway) = running();
    write(&folder, &team("http: { get: \"/v3/notes/{text}\" }"));
    gateway.hang_up();
    let known = until(Duration::from_secs(20), || is_known(&gateway, "/v3/notes/a").then_some(()));
    assert!(known.is_some(), "{}", gateway.log());
    write(&folder, "namespace: [");
    gateway.hang_up();
    let told =
        until(Duration::from_secs(20), || gateway.log().contains("not reloaded").then_some(()));
    assert!(told.is_some(), "{}", gateway.log());
    assert!(is_known(&gateway, "/v3/notes/a"));
}

#[test]
fn reload_without_a_gateway_ends_with_6() {
    let folder = folder();
    let output = Command::new(env!("CARGO_BIN_EXE_tandem"))
        .args(["reload", "--admin", "127.0.0.1:1", "--token-file"])
        .arg(folder.0.join("none"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(6));
}
