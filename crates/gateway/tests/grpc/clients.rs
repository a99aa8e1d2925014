//! Clients of strangers: what they tell their users of a stream that fails behind its second
//! message.
//!
//! `./x test` installs them and names them in `TANDEM_GRPCURL` and `TANDEM_PYTHON`; without these
//! the tests are not run. The catalogue's calls are in `crates/tandem/tests`.

use std::ffi::OsString;
use std::process::Command;

use tandem_testkit::backend::{Backend, End, Script};
use tandem_testkit::client::note;
use tandem_testkit::gateway;

use crate::framed;

/// ABORTED, `torn`, an ErrorInfo whose reason is `TORN`.
const TORN: [(&str, &str); 3] = [
    ("grpc-status", "10"),
    ("grpc-message", "torn"),
    (
        "grpc-status-details-bin",
        "CAoSBHRvcm4aOAoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLkVycm9ySW5mbxIMCgRUT1JOEgR0ZXN0",
    ),
];

fn torn_stream() -> Backend {
    Backend::start(vec![Script::Raw {
        head: vec![("content-type", "application/grpc")],
        pieces: vec![framed(false, &note("one")), framed(false, &note("two"))],
        end: End::Trailers(TORN.to_vec()),
    }])
}

#[expect(clippy::print_stdout, reason = "skipped tests say so")]
fn client(variable: &str) -> Option<OsString> {
    let client = std::env::var_os(variable);
    if client.is_none() {
        println!("skipped: {variable} names no client (./x test)");
    }
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_t_9_grpcurl_tells_a_failure_behind_the_second_message() {
    let Some(grpcurl) = client("TANDEM_GRPCURL") else { return };
    let backend = torn_stream();
    let gateway = gateway(backend.address).offering().start().await;
    let output = Command::new(grpcurl)
        .args(["-plaintext", "-d", "{}", &gateway.public.to_string(), "test.v1.Notes/Many"])
        .output()
        .unwrap();
    let messages = String::from_utf8_lossy(&output.stdout);
    assert_eq!(messages, "{\n  \"text\": \"one\"\n}\n{\n  \"text\": \"two\"\n}\n");
    let said = String::from_utf8_lossy(&output.stderr);
    // The contract of tests has no ErrorInfo, so its bytes are shown.
    for part in ["Code: Aborted", "Message: torn", "\"@value\": \"CgRUT1JOEgR0ZXN0\""] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!output.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_t_9_python_tells_a_failure_behind_the_second_message() {
    let Some(python) = client("TANDEM_PYTHON") else { return };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/grpc/stream.py");
    for (compression, coding) in
        [("NoCompression", None), ("Deflate", Some("deflate")), ("Gzip", Some("gzip"))]
    {
        let backend = torn_stream();
        let gateway = gateway(backend.address).offering().start().await;
        let address = gateway.public.to_string();
        let output = Command::new(&python).args([script, &address, compression]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let told = String::from_utf8_lossy(&output.stdout);
        assert_eq!(told, "one\ntwo\nABORTED\ntorn\nwith its reason\n", "{compression}: {said}");
        // Its compression reached the upstream as it was.
        let reached = &backend.reached()[0];
        let named = reached.headers.get("grpc-encoding").map(|value| value.to_str().unwrap());
        assert_eq!(named.filter(|name| *name != "identity"), coding);
        assert_eq!(reached.body[0], u8::from(coding.is_some()), "{compression}");
        assert!(reached.headers["grpc-accept-encoding"].to_str().unwrap().contains("gzip"));
    }
}
