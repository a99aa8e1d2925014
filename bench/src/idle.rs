//! `bench idle`: resident memory of a connection that has carried one call and is kept.
//!
//! Callers come from many addresses of the loopback network: a source may hold only so many
//! connections. Memory is read before the first one, at half and when all stand; before that one
//! more connection makes [`BEFORE`] calls, for what a process keeps of its last calls is no
//! caller's.

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::{Map, Value, json};
use tokio::net::TcpSocket;

use crate::bench::Bench;
use crate::load::{http1, http2};
use crate::orders::{self, Size};
use crate::peer::{Peer, Speaks, Target};
use crate::process::Outcome;
use crate::report;

/// Below what a process may have open where that is 20,000, which Tandem halves.
const CONNECTIONS: usize = 9_500;
pub(crate) const CONNECTIONS_QUICK: usize = 2_000;
const A_SOURCE: usize = 200;
/// More than Tandem keeps spans of.
const BEFORE: usize = 5_000;

pub(crate) const TWO_BUILDS: &[(Peer, Speaks)] = &[
    (Peer::Tandem, Speaks::Grpc),
    (Peer::Before, Speaks::Grpc),
    (Peer::Tandem, Speaks::Rest),
    (Peer::Before, Speaks::Rest),
];

const PEERS: &[(Peer, Speaks)] = &[
    (Peer::Tandem, Speaks::Grpc),
    (Peer::Envoy, Speaks::Grpc),
    (Peer::Haproxy, Speaks::Grpc),
    (Peer::Nginx, Speaks::Grpc),
    (Peer::Tandem, Speaks::Rest),
    (Peer::Envoy, Speaks::Rest),
    (Peer::GrpcGateway, Speaks::Rest),
    (Peer::Vanguard, Speaks::Rest),
];

pub(crate) struct Held {
    peer: Peer,
    speaks: Speaks,
    connections: usize,
    /// Before the first connection, at half of them, at all.
    resident_bytes: [u64; 3],
}

impl Held {
    fn bytes_a_connection(&self) -> f64 {
        let [before, _, after] = self.resident_bytes;
        after.saturating_sub(before) as f64 / self.connections as f64
    }

    fn name(&self) -> &'static str {
        match self.speaks {
            Speaks::Grpc => "idle-http2",
            Speaks::Rest => "idle-http1",
        }
    }
}

pub(crate) fn run(quick: bool) -> Outcome<()> {
    let connections = if quick { CONNECTIONS_QUICK } else { CONNECTIONS };
    let bench = Bench::new()?;
    let peers: Vec<(Peer, Speaks)> = PEERS
        .iter()
        .filter(|(peer, _)| !quick || !matches!(peer, Peer::Nginx | Peer::Vanguard))
        .copied()
        .collect();
    let surroundings = report::surroundings(&bench.root, &peers);
    report::print_surroundings(&surroundings);
    let held = hold_all(&bench, &peers, connections)?;
    print(&held);
    let results = Map::from_iter([("results".to_owned(), results(&held).into())]);
    report::write(&bench.root, "idle", quick, [surroundings, results, Map::new()])
}

/// One target after another, each started anew.
pub(crate) fn hold_all(
    bench: &Bench,
    peers: &[(Peer, Speaks)],
    connections: usize,
) -> Outcome<Vec<Held>> {
    let mut held = Vec::new();
    for (peer, speaks) in peers {
        let target = bench.target(*peer, *speaks)?;
        let outcome = bench.wait(hold(bench, *speaks, &target, connections));
        held.push(outcome.map_err(|error| format!("{}: {error}", peer.name()))?);
    }
    Ok(held)
}

/// A connection that is kept, and the call that it carries.
enum Kept {
    Http1(http1::Connection, http1::Call),
    Http2(http2::Callers, http2::Call),
}

impl Kept {
    async fn call(&mut self) -> Outcome<()> {
        match self {
            Kept::Http1(connection, call) => Ok(connection.make(call).await?),
            Kept::Http2(callers, call) => callers.round(call, 1).await,
        }
    }
}

async fn hold(bench: &Bench, speaks: Speaks, target: &Target, connections: usize) -> Outcome<Held> {
    let running = target.running.as_ref().ok_or("nothing runs")?;
    let order = bench.orders.framed(Size::Small);
    let json = bench.orders.json(Size::Small);
    let bytes = order.len() as u64;
    let grpc = http2::Call { path: orders::ECHO, request: order, messages: 1, bytes };
    let rest = http1::Call::post("/v1/orders:echo", &json, json.len() as u64 * 9 / 10);
    let mut all = Vec::new();
    let mut resident_bytes = [0; 3];
    // One more than is counted, before the first look: what is made once, the upstream's
    // connection and the ring of the last calls above all, is no caller's.
    for index in 0..=connections {
        let socket = TcpSocket::new_v4()?;
        let source = index / A_SOURCE;
        let source = Ipv4Addr::new(127, 1, (source / 250) as u8, (source % 250) as u8 + 1);
        socket.bind(SocketAddr::from((source, 0)))?;
        let io = socket.connect(target.address).await?;
        let mut kept = match speaks {
            Speaks::Grpc => {
                Kept::Http2(http2::Callers::over(io, target.address).await?, grpc.clone())
            }
            Speaks::Rest => Kept::Http1(http1::Connection::new(io)?, rest.clone()),
        };
        for _ in 0..if index == 0 { BEFORE } else { 1 } {
            kept.call().await?;
        }
        all.push(kept);
        let place = [0, connections / 2, connections].iter().position(|mark| *mark == index);
        if let Some(place) = place {
            resident_bytes[place] = running.resident_bytes()?;
        }
    }
    // One that was closed meanwhile would count as free of charge.
    for kept in all.iter_mut().step_by(connections / 20) {
        kept.call().await.map_err(|error| format!("a connection was not kept: {error}"))?;
    }
    Ok(Held { peer: target.peer, speaks, connections, resident_bytes })
}

pub(crate) fn print(held: &[Held]) {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load average after: {}\n", load.trim());
    println!(
        "{:<14}{:<14}{:>12}{:>12}{:>12}{:>12}{:>18}",
        "scenario",
        "through",
        "connections",
        "start, MiB",
        "half, MiB",
        "all, MiB",
        "KiB a connection"
    );
    for one in held {
        let [before, half, all] = one.resident_bytes.map(|bytes| bytes as f64 / f64::from(1 << 20));
        println!(
            "{:<14}{:<14}{:>12}{before:>12.1}{half:>12.1}{all:>12.1}{:>18.2}",
            one.name(),
            one.peer.name(),
            one.connections,
            one.bytes_a_connection() / 1024.0,
        );
    }
    println!();
    for one in held.iter().filter(|one| one.peer == Peer::Tandem) {
        let start = one.resident_bytes[0] as f64 / 1e6;
        let each = one.bytes_a_connection() / 1e3;
        for (what, reached, unit, now, goal) in [
            ("resident at start", start, "MB", 25.0, 12.0),
            ("a connection", each, "KB", 25.0, 2.0),
        ] {
            let met = if reached <= now { "met" } else { "missed" };
            let there = if reached <= goal { "reached" } else { "not reached" };
            println!(
                "bar {} {what}: {reached:.1} {unit}; now <= {now} {met}; goal <= {goal} {there}",
                one.name()
            );
        }
    }
}

fn results(held: &[Held]) -> Vec<Value> {
    held.iter()
        .map(|one| {
            json!({
                "scenario": one.name(),
                "through": one.peer.name(),
                "connections": one.connections,
                "resident_bytes": one.resident_bytes,
                "bytes_a_connection": one.bytes_a_connection().round(),
            })
        })
        .collect()
}
