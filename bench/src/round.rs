//! Rounds of load through one target after another, interleaved.
//!
//! In every round each target of a scenario carries the same number of calls, in an order that is
//! drawn anew; ratios are taken within one round, so that a machine that slows down slows both
//! sides. Connections stand from the first round to the last.

use std::time::{Duration, Instant};

use tandem_bench_payload::median::{self, Median};
use tandem_bench_payload::order::Random;

use crate::load::{http1, http2};
use crate::peer::{Peer, Speaks, Target};
use crate::process::{Outcome, own_cpu};

/// How long a run is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Length {
    pub(crate) rounds: usize,
    /// Time on the clock that the slowest target takes for one round, about.
    pub(crate) slice: Duration,
}

/// What is carried.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) load: Load,
    /// What the figures are divided by: `message` or `call`.
    pub(crate) unit: &'static str,
    pub(crate) units_a_call: u32,
    pub(crate) peers: &'static [Peer],
}

pub(crate) enum Load {
    Grpc { call: http2::Call, connections: usize, streams: usize },
    Rest { call: http1::Call, connections: usize },
}

impl Load {
    pub(crate) fn speaks(&self) -> Speaks {
        match self {
            Load::Grpc { .. } => Speaks::Grpc,
            Load::Rest { .. } => Speaks::Rest,
        }
    }

    fn at_once(&self) -> u32 {
        match self {
            Load::Grpc { connections, streams, .. } => (connections * streams) as u32,
            Load::Rest { connections, .. } => *connections as u32,
        }
    }
}

/// The rounds of one target on one scenario.
pub(crate) struct Sample {
    pub(crate) scenario: usize,
    pub(crate) peer: Peer,
    /// Calls of one round.
    pub(crate) calls: u32,
    /// One value a round.
    pub(crate) rounds: Vec<Spent>,
}

/// What one unit cost in one round, in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spent {
    /// CPU of the target.
    pub(crate) target: f64,
    /// CPU of backend and load together.
    pub(crate) around: f64,
    /// On the clock.
    pub(crate) clock: f64,
}

impl Sample {
    pub(crate) fn median(&self, part: impl Fn(&Spent) -> f64) -> Median {
        median::median(&self.rounds.iter().map(part).collect::<Vec<f64>>())
    }

    fn targets(&self) -> Vec<f64> {
        self.rounds.iter().map(|spent| spent.target).collect()
    }
}

/// Our CPU ÷ a peer's on one scenario.
pub(crate) struct Ratio {
    pub(crate) scenario: &'static str,
    pub(crate) peer: Peer,
    pub(crate) median: Median,
}

/// The ratios, in the order of scenarios and peers.
pub(crate) fn ratios(scenarios: &[Scenario], samples: &[Sample]) -> Vec<Ratio> {
    let ours = |scenario: usize| {
        samples.iter().find(|sample| sample.scenario == scenario && sample.peer == Peer::Tandem)
    };
    samples
        .iter()
        .filter(|theirs| !matches!(theirs.peer, Peer::Tandem | Peer::Direct))
        .filter_map(|theirs| {
            Some(Ratio {
                scenario: scenarios[theirs.scenario].name,
                peer: theirs.peer,
                median: median::ratio(&ours(theirs.scenario)?.targets(), &theirs.targets()),
            })
        })
        .collect()
}

/// One target on one scenario, with its connections.
struct Lane<'a> {
    target: &'a Target,
    callers: Callers,
    sample: Sample,
}

enum Callers {
    Grpc(http2::Callers),
    Rest(http1::Callers),
}

impl Lane<'_> {
    async fn carry(&self, scenario: &Scenario, calls: u32) -> Outcome<Spent> {
        let began = Instant::now();
        let (target, own) = (self.target.cpu()?, own_cpu()?);
        let outcome = match (&self.callers, &scenario.load) {
            (Callers::Grpc(callers), Load::Grpc { call, .. }) => callers.round(call, calls).await,
            (Callers::Rest(callers), Load::Rest { call, .. }) => callers.round(call, calls).await,
            (Callers::Grpc(_) | Callers::Rest(_), _) => Err("another protocol".into()),
        };
        let clock = began.elapsed();
        let (target, around) = (self.target.cpu()? - target, own_cpu()? - own);
        let name = self.target.peer.name();
        outcome.map_err(|error| format!("{name} {}: {error}", scenario.name))?;
        let units = f64::from(calls) * f64::from(scenario.units_a_call);
        let each = |time: Duration| time.as_secs_f64() * 1e9 / units;
        Ok(Spent { target: each(target), around: each(around), clock: each(clock) })
    }
}

/// Carries every scenario through every target of it.
pub(crate) async fn run(
    targets: &[(Speaks, Target)],
    scenarios: &[Scenario],
    length: Length,
) -> Outcome<Vec<Sample>> {
    let random = &mut Random::new(3);
    let mut samples = Vec::new();
    for (index, scenario) in scenarios.iter().enumerate() {
        let mut lanes = Vec::new();
        for (speaks, target) in targets {
            let wanted = *speaks == scenario.load.speaks() && scenario.peers.contains(&target.peer);
            if wanted {
                lanes.push(lane(index, scenario, target).await?);
            }
        }
        // The same number for all: the slowest decides.
        let mut calls = u32::MAX;
        for lane in &lanes {
            calls = calls.min(calls_in(length.slice, lane, scenario).await?);
        }
        for round in 0..length.rounds {
            random.shuffle(&mut lanes);
            for lane in &mut lanes {
                let spent = lane.carry(scenario, calls).await?;
                lane.sample.calls = calls;
                lane.sample.rounds.push(spent);
            }
            eprint!("\r{}: round {} of {}   ", scenario.name, round + 1, length.rounds);
        }
        lanes.sort_by_key(|lane| scenario.peers.iter().position(|peer| *peer == lane.sample.peer));
        samples.extend(lanes.into_iter().map(|lane| lane.sample));
    }
    eprintln!();
    Ok(samples)
}

async fn lane<'a>(index: usize, scenario: &Scenario, target: &'a Target) -> Outcome<Lane<'a>> {
    let address = target.address;
    let callers = match &scenario.load {
        Load::Grpc { connections, streams, .. } => {
            Callers::Grpc(http2::Callers::connect(address, *connections, *streams).await?)
        }
        Load::Rest { connections, .. } => {
            Callers::Rest(http1::Callers::connect(address, *connections).await?)
        }
    };
    let sample = Sample { scenario: index, peer: target.peer, calls: 0, rounds: Vec::new() };
    Ok(Lane { target, callers, sample })
}

/// How many calls take about `slice` on the clock, and as many as are under way at once at the
/// least; warms up on the way.
async fn calls_in(slice: Duration, lane: &Lane<'_>, scenario: &Scenario) -> Outcome<u32> {
    let least = scenario.load.at_once();
    let mut calls = scenario.load.at_once();
    loop {
        let spent = lane.carry(scenario, calls).await?;
        let took = spent.clock * f64::from(calls) * f64::from(scenario.units_a_call);
        let took = Duration::from_nanos(took as u64);
        if took * 3 >= slice || calls > u32::MAX / 2 {
            let wanted = slice.as_secs_f64() / took.as_secs_f64() * f64::from(calls);
            return Ok((wanted as u32).max(least));
        }
        calls *= 2;
    }
}
