//! `bench added`: how long a gRPC call takes longer on its way through, at a rate that leaves all
//! of them time.
//!
//! Calls go out by a schedule, 2,000 a second with exponential gaps, whether or not answers have
//! come; time counts from the scheduled moment. In every round each target carries the same
//! schedule, in an order that is drawn anew. What a target adds is its median less that of the
//! same calls made directly in the same round; ratios are of what is added.
//!
//! Backend and load share a core as everywhere here, so the generator does not wait awake: that
//! would take the backend's time. It is late by some 50 µs, on the way to each target alike.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use serde_json::{Map, Value, json};
use tandem_bench_payload::median::{self, INTERVAL, Median};
use tandem_bench_payload::order::Random;
use tandem_judge::stats::draws::Draws;
use tandem_measure::load::{
    self, Call, Ended, IN_FLIGHT_MOST, Offer, Outcome as CallOutcome, Precise, Recorder, Schedule,
    Sender, Waiting,
};
use tokio::net::TcpStream;

use crate::bench::Bench;
use crate::load::http2;
use crate::orders::{self, Size};
use crate::peer::{Peer, Speaks};
use crate::process::Outcome;
use crate::round::Ratio;
use crate::{bar, report};

const RATE: f64 = 2_000.0;
const CONNECTIONS: usize = 4;
const SEED: u64 = 5;
const NAME: &str = "added-p50";
const PEERS: &[Peer] = &[Peer::Direct, Peer::Tandem, Peer::Envoy, Peer::Haproxy];

/// Rounds, and seconds of one target in each.
const FULL: (usize, u64) = (31, 2);
const QUICK: (usize, u64) = (9, 1);

pub(crate) fn run(quick: bool) -> Outcome<()> {
    let (rounds, seconds) = if quick { QUICK } else { FULL };
    let bench = Bench::new()?;
    let peers: Vec<(Peer, Speaks)> = PEERS.iter().map(|peer| (*peer, Speaks::Grpc)).collect();
    let surroundings = report::surroundings(&bench.root, &peers);
    report::print_surroundings(&surroundings);
    let targets = bench.targets(&peers)?;
    let addresses = targets.iter().map(|(_, target)| (target.peer, target.address)).collect();
    let request = bench.orders.framed(Size::Small);
    let thread = load::on_own_thread(&[], move || async move {
        let seen = measured(addresses, &request, rounds, Duration::from_secs(seconds)).await;
        seen.map_err(|error| error.to_string())
    })?;
    let lanes = thread.join().map_err(|_panic| "the load panicked")???;
    let (ratios, added) = print(&lanes);
    bar::print(&ratios);
    report::write(&bench.root, "added", quick, [surroundings, results(&lanes, &added), Map::new()])
}

/// The rounds of one target, in microseconds.
struct Lane {
    peer: Peer,
    p50: Vec<f64>,
    p99: Vec<f64>,
    lag_p50: Vec<f64>,
}

/// Calls over connections that stand from one round to the next.
struct Calls {
    address: SocketAddr,
    connections: Vec<SendRequest<Bytes>>,
    next: Cell<usize>,
    call: http2::Call,
    fault: RefCell<Option<String>>,
}

impl Calls {
    async fn connect(address: SocketAddr, request: &Bytes) -> Outcome<Calls> {
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            let stream = TcpStream::connect(address).await?;
            connections.push(http2::connect(stream, http2::WINDOWS).await?);
        }
        let bytes = request.len() as u64;
        let call = http2::Call { path: orders::ECHO, request: request.clone(), messages: 1, bytes };
        Ok(Calls { address, connections, next: Cell::new(0), call, fault: RefCell::default() })
    }
}

impl Sender for Calls {
    async fn send(&self, _number: u64, _call: &Call) -> Ended {
        let next = self.next.get();
        self.next.set(next + 1);
        let connection = &self.connections[next % CONNECTIONS];
        let outcome = match http2::make(connection, self.address, &self.call).await {
            Ok(()) => CallOutcome::Answered(0),
            Err(error) => {
                self.fault.replace(Some(error));
                CallOutcome::Lost(2)
            }
        };
        Ended {
            outcome,
            answer_bytes: self.call.bytes,
            answer: Bytes::new(),
            quiet: Duration::ZERO,
        }
    }
}

async fn measured(
    targets: Vec<(Peer, SocketAddr)>,
    request: &Bytes,
    rounds: usize,
    length: Duration,
) -> Outcome<Vec<Lane>> {
    let clock = Rc::new(Precise::new(Waiting::Asleep)?);
    let recorder = Rc::new(RefCell::new(Recorder::new(1)));
    let calls: Rc<[Call]> = Rc::new([Call { method: 0, messages: Arc::new([]) }]);
    let mut lanes = Vec::new();
    for (peer, address) in targets {
        let sender = Rc::new(Calls::connect(address, request).await?);
        lanes.push((sender, Lane { peer, p50: Vec::new(), p99: Vec::new(), lag_p50: Vec::new() }));
    }
    let (random, draws) = (&mut Random::new(SEED), &mut Draws::new(SEED));
    // The first round warms up.
    for round in 0..=rounds {
        let offer = Offer {
            schedule: Schedule::exponential(RATE, length, draws),
            calls: Rc::clone(&calls),
            first: 0,
            deadline: Duration::from_secs(10),
            in_flight_most: IN_FLIGHT_MOST,
        };
        random.shuffle(&mut lanes);
        for (sender, lane) in &mut lanes {
            let seen = load::offer(sender, &clock, &recorder, &offer).await;
            if seen.recorded.ok() != seen.scheduled {
                let why = sender.fault.take().unwrap_or_else(|| "calls were not answered".into());
                return Err(format!("{}: {why}", lane.peer.name()).into());
            }
            if round == 0 {
                continue;
            }
            let times = &seen.recorded.methods[0].ok;
            let us = |found: Option<u64>| found.map_or(f64::NAN, |us| us as f64);
            lane.p50.push(us(times.latency.quantile(0.5)));
            lane.p99.push(us(times.latency.quantile(0.99)));
            lane.lag_p50.push(us(times.lag.quantile(0.5)));
        }
        eprint!("\r{NAME}: round {round} of {rounds}   ");
    }
    eprintln!();
    let mut lanes: Vec<Lane> = lanes.into_iter().map(|(_, lane)| lane).collect();
    lanes.sort_by_key(|lane| PEERS.iter().position(|peer| *peer == lane.peer));
    Ok(lanes)
}

/// What each target added in each round.
fn added(lanes: &[Lane]) -> Vec<(Peer, Vec<f64>)> {
    let Some(direct) = lanes.iter().find(|lane| lane.peer == Peer::Direct) else {
        return Vec::new();
    };
    let through = lanes.iter().filter(|lane| lane.peer != Peer::Direct);
    let less = |lane: &Lane| lane.p50.iter().zip(&direct.p50).map(|(one, by)| one - by).collect();
    through.map(|lane| (lane.peer, less(lane))).collect()
}

fn print(lanes: &[Lane]) -> (Vec<Ratio>, Vec<(Peer, Vec<f64>)>) {
    println!("\n{:<14}{:>30}{:>30}{:>12}", "through", "p50, µs", "p99, µs", "lag p50, µs");
    let shown = |values: &[f64]| {
        let Median { middle, low, high } = median::median(values);
        format!("{middle:.0} [{low:.0}, {high:.0}]")
    };
    for lane in lanes {
        let lag = median::median(&lane.lag_p50).middle;
        println!(
            "{:<14}{:>30}{:>30}{lag:>12.0}",
            lane.peer.name(),
            shown(&lane.p50),
            shown(&lane.p99),
        );
    }
    let added = added(lanes);
    println!();
    for (peer, values) in &added {
        println!("{} adds {} µs to the median at {RATE}/s", peer.name(), shown(values));
    }
    let ours = added.iter().find(|(peer, _)| *peer == Peer::Tandem);
    let mut ratios = Vec::new();
    for (peer, theirs) in added.iter().filter(|(peer, _)| *peer != Peer::Tandem) {
        let Some((_, ours)) = ours else { continue };
        let median = median::ratio(ours, theirs);
        let Median { middle, low, high } = median;
        println!("ratio tandem/{} {NAME} {middle:.2} [{low:.2}, {high:.2}]", peer.name());
        ratios.push(Ratio { scenario: NAME, peer: *peer, median });
    }
    println!();
    (ratios, added)
}

fn results(lanes: &[Lane], added: &[(Peer, Vec<f64>)]) -> Map<String, Value> {
    let lanes: Vec<Value> = lanes
        .iter()
        .map(|lane| {
            json!({
                "through": lane.peer.name(),
                "p50_us": lane.p50,
                "p99_us": lane.p99,
                "lag_p50_us": lane.lag_p50,
            })
        })
        .collect();
    let added: Vec<Value> = added
        .iter()
        .map(|(peer, values)| json!({ "through": peer.name(), "added_p50_us": values }))
        .collect();
    let mut entries = Map::new();
    for (key, value) in [
        ("rate", json!(RATE)),
        ("arrivals", "exponential".into()),
        ("seed", SEED.into()),
        ("connections", CONNECTIONS.into()),
        ("interval", INTERVAL.into()),
        ("results", lanes.into()),
        ("added", added.into()),
    ] {
        entries.insert(key.into(), value);
    }
    entries
}
