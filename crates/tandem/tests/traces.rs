//! `observe.traces` at the command line: refused by a build without the feature `otlp`, acted
//! upon by one with it.
//!
//! `./x test` runs this file twice, without the feature and with it.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A folder that goes when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn with(platform: &str) -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tandem-traces-{}-{next}", std::process::id());
        let folder = Folder(std::env::temp_dir().join(name));
        std::fs::create_dir_all(&folder.0).unwrap();
        std::fs::write(folder.0.join("tandem.yaml"), platform).unwrap();
        folder
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn platform(collector: SocketAddr) -> String {
    format!(
        "format: 1\nlisten: {{ public: {{ address: \"127.0.0.1:0\" }} }}\nobserve:\n  \
         access_log: {{ to: none }}\n  traces: {{ otlp: \"http://{collector}\", share: 100% }}\n"
    )
}

fn tandem(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
    command.args(arguments).current_dir(folder).output().unwrap()
}

#[test]
fn version_names_the_features_of_the_build() {
    let folder = Folder::with("");
    let said = String::from_utf8(tandem(&folder.0, &["version"]).stdout).unwrap();
    let expected = match (cfg!(feature = "jemalloc"), cfg!(feature = "otlp")) {
        (false, false) => "features: none ",
        (true, false) => "features: jemalloc ",
        (false, true) => "features: otlp ",
        (true, true) => "features: jemalloc, otlp ",
    };
    assert!(said.contains(expected), "{said}");
    let json: serde_json::Value =
        serde_json::from_slice(&tandem(&folder.0, &["version", "--json"]).stdout).unwrap();
    let features = json["features"].as_array().unwrap().len();
    let expected = [cfg!(feature = "jemalloc"), cfg!(feature = "otlp")];
    assert_eq!(features, expected.into_iter().filter(|built| *built).count());
}

#[test]
fn a_build_without_the_feature_refuses_the_key_and_says_how_to_get_it() {
    let folder = Folder::with(&platform(([127, 0, 0, 1], 4317).into()));
    let output = tandem(&folder.0, &["check", "tandem.yaml"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    if cfg!(feature = "otlp") {
        assert_eq!(output.status.code(), Some(0), "{said}");
        return;
    }
    assert_eq!(output.status.code(), Some(1), "{said}");
    for part in [
        "error[TND0004]: `traces` is not built in",
        "tandem.yaml:5:3",
        "cargo build --release -p tandem --features otlp",
    ] {
        assert!(said.contains(part), "{part} in:\n{said}");
    }
    let refused = tandem(&folder.0, &["run"]);
    assert_eq!(refused.status.code(), Some(1));
}

/// Ends with the value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_build_with_the_feature_goes_to_the_collector() {
    if !cfg!(feature = "otlp") {
        return; // the other run of this file
    }
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = Folder::with(&platform(collector.local_addr().unwrap()));
    let ready = folder.0.join("ready.json");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
    command.args(["run", "--ready-file", "ready.json"]).current_dir(&folder.0);
    let _running = Running(command.stderr(Stdio::null()).spawn().unwrap());
    let began = Instant::now();
    let public: SocketAddr = loop {
        assert!(began.elapsed() < Duration::from_secs(20), "it starts in time");
        let text = std::fs::read_to_string(&ready).unwrap_or_default();
        if let Ok(ready) = serde_json::from_str::<serde_json::Value>(&text) {
            break ready["public"].as_str().unwrap().parse().unwrap();
        }
        std::thread::yield_now();
    };
    let mut call = TcpStream::connect(public).unwrap();
    call.write_all(b"GET /v1/any HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    call.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    let (mut stream, _) = collector.accept().unwrap();
    let mut preface = [0; 24];
    stream.read_exact(&mut preface).unwrap();
    assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
}
