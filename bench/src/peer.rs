//! What stands between the load and the backend, and how it is started.
//!
//! Configurations lie in `bench/peers/`, with `@words@` for what a run fills in.
//!
//! Not here: what is sent through it (`load`), what it spends (`process`).

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::process::{Folder, Outcome, Running, rest};

const STARTS_WITHIN: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// Nothing: the load calls the backend.
    Direct,
    Tandem,
    /// Another build of Tandem.
    Before,
    Envoy,
    Haproxy,
    Nginx,
    /// These two are programs of ours on their released modules (`peers/go`).
    GrpcGateway,
    Vanguard,
}

/// What callers speak to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    Grpc,
    /// REST over HTTP/1.1; gRPC goes out.
    Rest,
}

impl Peer {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Peer::Direct => "direct",
            Peer::Tandem => "tandem",
            Peer::Before => "before",
            Peer::Envoy => "envoy",
            Peer::Haproxy => "haproxy",
            Peer::Nginx => "nginx",
            Peer::GrpcGateway => "grpc-gateway",
            Peer::Vanguard => "vanguard-go",
        }
    }

    /// Its configurations in `bench/peers/`, and what each is called where it runs.
    pub(crate) fn files(self, speaks: Speaks) -> &'static [(&'static str, &'static str)] {
        match (self, speaks) {
            (Peer::Direct, _) => &[],
            (Peer::Tandem | Peer::Before, _) => {
                &[("tandem.yaml", "tandem.yaml"), ("tandem-team.yaml", "teams/bench.yaml")]
            }
            (Peer::Envoy, Speaks::Grpc) => &[("envoy-grpc.yaml", "envoy.yaml")],
            (Peer::Envoy, Speaks::Rest) => &[("envoy-transcode.yaml", "envoy.yaml")],
            (Peer::Haproxy, _) => &[("haproxy.cfg", "haproxy.cfg")],
            (Peer::Nginx, _) => &[("nginx.conf", "nginx.conf")],
            (Peer::GrpcGateway, _) => &[("go/grpcgateway/main.go", "main.go")],
            (Peer::Vanguard, _) => &[("go/vanguard/main.go", "main.go")],
        }
    }

    fn program(self, root: &Path) -> Outcome<PathBuf> {
        Ok(match self {
            Peer::Direct => return Err("nothing to start".into()),
            // What is released, or what was just built to be weighed.
            Peer::Tandem => match std::env::var_os("TANDEM_BENCH_TANDEM") {
                Some(program) => program.into(),
                None => root.join("target/release/tandem"),
            },
            Peer::Before => std::env::var_os("TANDEM_BENCH_BEFORE")
                .ok_or("TANDEM_BENCH_BEFORE names no other build; ./x bench sets it")?
                .into(),
            Peer::Envoy => std::env::var_os("TANDEM_BENCH_ENVOY")
                .ok_or("TANDEM_BENCH_ENVOY names no Envoy; ./x bench sets it")?
                .into(),
            Peer::Haproxy => "/usr/sbin/haproxy".into(),
            Peer::Nginx => "/usr/sbin/nginx".into(),
            Peer::GrpcGateway => root.join("target/tools/peers/grpcgateway"),
            Peer::Vanguard => root.join("target/tools/peers/vanguard"),
        })
    }

    fn words(self, folder: &Path, listen: SocketAddr, upstream: SocketAddr) -> Vec<String> {
        let path = |name: &str| folder.join(name).display().to_string();
        match self {
            Peer::Direct => vec![],
            Peer::Tandem | Peer::Before => {
                vec![
                    "run".into(),
                    "--config".into(),
                    path("tandem.yaml"),
                    "--data".into(),
                    path("data"),
                ]
            }
            Peer::Envoy => ["--concurrency", "1", "--disable-hot-restart", "-l", "error", "-c"]
                .map(String::from)
                .into_iter()
                .chain([path("envoy.yaml")])
                .collect(),
            Peer::Haproxy => vec!["-db".into(), "-f".into(), path("haproxy.cfg")],
            Peer::Nginx => vec!["-c".into(), path("nginx.conf")],
            Peer::GrpcGateway | Peer::Vanguard => vec![listen.to_string(), upstream.to_string()],
        }
    }

    /// What it calls its version.
    pub(crate) fn version(self, root: &Path) -> Option<String> {
        let flag = match self {
            Peer::Direct => return None,
            Peer::Tandem | Peer::Before | Peer::Envoy => "--version",
            Peer::Haproxy | Peer::Nginx => "-v",
            Peer::GrpcGateway => return module(root, "github.com/grpc-ecosystem/grpc-gateway/v2"),
            Peer::Vanguard => return module(root, "connectrpc.com/vanguard"),
        };
        let output = Command::new(self.program(root).ok()?).arg(flag).output().ok()?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let line = said.lines().map(str::trim).find(|line| !line.is_empty())?;
        // Some name the path by which they were called first.
        Some(line.rsplit_once("version: ").map_or(line, |(_, version)| version).to_owned())
    }
}

/// The version of a module that the Go peers are built with.
fn module(root: &Path, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(root.join("bench/peers/go/go.mod")).ok()?;
    let line = text.lines().find_map(|line| line.trim().strip_prefix(name))?;
    Some(line.trim().to_owned())
}

/// A peer that runs, or the backend itself.
pub(crate) struct Target {
    pub(crate) peer: Peer,
    pub(crate) address: SocketAddr,
    pub(crate) running: Option<Running>,
}

impl Target {
    /// Starts `peer` in front of `upstream` and waits until it takes connections.
    pub(crate) fn start(
        peer: Peer,
        speaks: Speaks,
        root: &Path,
        folder: &Folder,
        upstream: SocketAddr,
    ) -> Outcome<Target> {
        if peer == Peer::Direct {
            return Ok(Target { peer, address: upstream, running: None });
        }
        let address = free_address()?;
        let own = folder.0.join(format!("{}-{}", peer.name(), address.port()));
        for (from, to) in peer.files(speaks) {
            let text = std::fs::read_to_string(root.join("bench/peers").join(from))?;
            let text = text
                .replace("@listen@", &address.port().to_string())
                .replace("@upstream@", &upstream.to_string())
                .replace("@upstream_port@", &upstream.port().to_string())
                .replace("@folder@", &folder.0.display().to_string());
            let to = own.join(to);
            let beside = to.parent().ok_or("a file lies in a folder")?;
            std::fs::create_dir_all(beside)?;
            // Tandem reads its contract from beside the team's document.
            if matches!(peer, Peer::Tandem | Peer::Before) {
                std::fs::copy(folder.0.join("orders.binpb"), beside.join("orders.binpb"))?;
            }
            std::fs::write(to, text)?;
        }
        let program = peer.program(root)?;
        let mut running =
            Running::start(&program, &peer.words(&own, address, upstream), own.join("log"))?;
        let end = Instant::now() + STARTS_WITHIN;
        while std::net::TcpStream::connect(address).is_err() {
            if let Some(why) = running.ended() {
                return Err(format!("{}: {why}", peer.name()).into());
            }
            if Instant::now() > end {
                return Err(format!("{} does not listen\n{}", peer.name(), running.said()).into());
            }
            rest();
        }
        Ok(Target { peer, address, running: Some(running) })
    }

    /// Run time so far, of what is measured.
    pub(crate) fn cpu(&self) -> Outcome<Duration> {
        self.running.as_ref().map_or(Ok(Duration::ZERO), Running::cpu)
    }
}

fn free_address() -> Outcome<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
