//! `bench proxy`: what a gRPC call costs on its way through.

use std::time::Duration;

use crate::bench::Bench;
use crate::load::http2;
use crate::orders::{self, Size};
use crate::peer::{Peer, Speaks};
use crate::process::Outcome;
use crate::round::{Length, Load, Scenario};
use crate::streams;

const FULL: Length = Length { rounds: 31, slice: Duration::from_millis(400) };
const QUICK: Length = Length { rounds: 9, slice: Duration::from_millis(200) };

const PEERS: &[Peer] = &[Peer::Direct, Peer::Tandem, Peer::Envoy, Peer::Haproxy, Peer::Nginx];
const PEERS_QUICK: &[Peer] = &[Peer::Direct, Peer::Tandem, Peer::Envoy, Peer::Haproxy];

pub(crate) fn run(quick: bool) -> Outcome<()> {
    let (length, peers) = if quick { (QUICK, PEERS_QUICK) } else { (FULL, PEERS) };
    let bench = Bench::new()?;
    let scenarios = [
        echo(&bench, "grpc-small", Size::Small, 8, peers),
        echo(&bench, "grpc-medium", Size::Medium, 8, peers),
        echo(&bench, "grpc-large", Size::Large, 1, peers),
        streams::grpc(&bench, "stream-100", 100, 8, peers),
    ];
    let peers: Vec<(Peer, Speaks)> = peers.iter().map(|peer| (*peer, Speaks::Grpc)).collect();
    bench.measure("proxy", quick, length, &peers, &scenarios)
}

/// An order to and fro, on four connections with `streams` at once on each.
pub(crate) fn echo(
    bench: &Bench,
    name: &'static str,
    size: Size,
    streams: usize,
    peers: &'static [Peer],
) -> Scenario {
    let request = bench.orders.framed(size);
    let bytes = request.len() as u64;
    let call = http2::Call { path: orders::ECHO, request, messages: 1, bytes };
    let load = Load::Grpc { call, connections: 4, streams };
    Scenario { name, load, unit: "call", units_a_call: 1, peers }
}
