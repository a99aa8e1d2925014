//! `bench streams`: what a message of a stream costs on its way through, and what is held for
//! callers that read slowly.

use std::time::Duration;

use crate::bench::Bench;
use crate::load::{http1, http2};
use crate::orders::{self, Size};
use crate::peer::{Peer, Speaks};
use crate::process::Outcome;
use crate::round::{Length, Load, Scenario};
use crate::{bar, flood, report, round};

const FULL: Length = Length { rounds: 31, slice: Duration::from_millis(500) };
const QUICK: Length = Length { rounds: 9, slice: Duration::from_millis(250) };
const FLOOD: Duration = Duration::from_secs(12);
const FLOOD_QUICK: Duration = Duration::from_secs(4);

const GRPC: &[Peer] = &[Peer::Direct, Peer::Tandem, Peer::Envoy, Peer::Haproxy];
const REST: &[Peer] = &[Peer::Tandem, Peer::Envoy];

pub(crate) fn run(quick: bool) -> Outcome<()> {
    let (length, flood_length) = if quick { (QUICK, FLOOD_QUICK) } else { (FULL, FLOOD) };
    let bench = Bench::new()?;
    let mut peers: Vec<(Peer, Speaks)> = GRPC.iter().map(|peer| (*peer, Speaks::Grpc)).collect();
    peers.extend(REST.iter().map(|peer| (*peer, Speaks::Rest)));
    let surroundings = report::surroundings(&bench.root, &peers);
    report::print_surroundings(&surroundings);
    let scenarios = [
        grpc(&bench, "stream-100", 100, 8, GRPC),
        grpc(&bench, "stream-10000", 10_000, 2, GRPC),
        lines(&bench, "ndjson-100", 100, 16),
        lines(&bench, "ndjson-10000", 10_000, 8),
    ];
    let targets = bench.targets(&peers)?;
    let samples = bench.wait(round::run(&targets, &scenarios, length))?;
    drop(targets);
    let ratios = round::ratios(&scenarios, &samples);
    report::print(&scenarios, &samples, &ratios);
    let mut held = Vec::new();
    for (peer, speaks) in peers {
        // Fresh ones: memory that an earlier load has left behind would hide growth.
        let target = bench.target(peer, speaks)?;
        let flood = flood::run(speaks, &target, &bench.backend, &bench.orders, flood_length);
        held.push(bench.wait(flood)?);
    }
    flood::print(&held, flood_length);
    bar::print(&ratios);
    let results = report::results(length, &scenarios, &samples, &ratios);
    let floods = flood::results(&held, flood_length);
    report::write(&bench.root, "streams", quick, [surroundings, results, floods])
}

/// A stream of small orders, on four connections with `streams` at once on each.
pub(crate) fn grpc(
    bench: &Bench,
    name: &'static str,
    messages: u32,
    streams: usize,
    peers: &'static [Peer],
) -> Scenario {
    let call = http2::Call {
        path: orders::WATCH,
        request: orders::watch(Size::Small, messages),
        messages: messages.into(),
        bytes: u64::from(messages) * bench.orders.framed(Size::Small).len() as u64,
    };
    let load = Load::Grpc { call, connections: 4, streams };
    Scenario { name, load, unit: "message", units_a_call: messages, peers }
}

/// The same as lines of JSON, one stream a connection.
fn lines(bench: &Bench, name: &'static str, messages: u32, connections: usize) -> Scenario {
    let target = format!("/v1/orders/small:watch?count={messages}");
    let json = bench.orders.json(Size::Small).len() as u64;
    let call = http1::Call::get(&target, messages.into(), u64::from(messages) * json * 9 / 10);
    let load = Load::Rest { call, connections };
    Scenario { name, load, unit: "message", units_a_call: messages, peers: REST }
}
