//! `bench transcode`: what a call costs that comes as REST and goes on as gRPC.

use std::time::Duration;

use crate::bench::Bench;
use crate::load::http1;
use crate::orders::Size;
use crate::peer::{Peer, Speaks};
use crate::process::Outcome;
use crate::round::{Length, Load, Scenario};

const FULL: Length = Length { rounds: 31, slice: Duration::from_millis(400) };
const QUICK: Length = Length { rounds: 9, slice: Duration::from_millis(200) };

const PEERS: &[Peer] = &[Peer::Tandem, Peer::Envoy, Peer::GrpcGateway, Peer::Vanguard];
const PEERS_QUICK: &[Peer] = &[Peer::Tandem, Peer::Envoy, Peer::GrpcGateway];

pub(crate) fn run(quick: bool) -> Outcome<()> {
    let (length, peers) = if quick { (QUICK, PEERS_QUICK) } else { (FULL, PEERS) };
    let bench = Bench::new()?;
    let scenarios = [
        echo(&bench, "rest-small", Size::Small, 32, peers),
        echo(&bench, "rest-medium", Size::Medium, 32, peers),
        echo(&bench, "rest-large", Size::Large, 4, peers),
    ];
    let peers: Vec<(Peer, Speaks)> = peers.iter().map(|peer| (*peer, Speaks::Rest)).collect();
    bench.measure("transcode", quick, length, &peers, &scenarios)
}

/// An order to and fro as JSON, one call at a time on each of `connections`.
pub(crate) fn echo(
    bench: &Bench,
    name: &'static str,
    size: Size,
    connections: usize,
    peers: &'static [Peer],
) -> Scenario {
    let json = bench.orders.json(size);
    let call = http1::Call::post("/v1/orders:echo", &json, json.len() as u64 * 9 / 10);
    let load = Load::Rest { call, connections };
    Scenario { name, load, unit: "call", units_a_call: 1, peers }
}
