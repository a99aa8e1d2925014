//! `bench against`: this build beside another one, so that a change is judged by itself.
//!
//! The scenarios of `proxy` and `transcode` and the memory of kept connections, with no peers but
//! the two builds. Nothing is written to `bench/results/`: what such a run finds is for whoever
//! weighs the change.

use std::time::Duration;

use crate::bench::Bench;
use crate::orders::Size;
use crate::peer::{Peer, Speaks};
use crate::process::Outcome;
use crate::round::{Length, Scenario};
use crate::{idle, proxy, report, round, streams, transcode};

const FULL: Length = Length { rounds: 31, slice: Duration::from_millis(300) };
const QUICK: Length = Length { rounds: 11, slice: Duration::from_millis(150) };
const BUILDS: &[Peer] = &[Peer::Tandem, Peer::Before];

/// All scenarios, or those that `only` names; `idle` is one of them.
pub(crate) fn run(quick: bool, only: &[&str]) -> Outcome<()> {
    let length = if quick { QUICK } else { FULL };
    let wanted = |name: &str| only.is_empty() || only.contains(&name);
    let bench = Bench::new()?;
    let mut scenarios: Vec<Scenario> = vec![
        proxy::echo(&bench, "grpc-small", Size::Small, 8, BUILDS),
        proxy::echo(&bench, "grpc-medium", Size::Medium, 8, BUILDS),
        proxy::echo(&bench, "grpc-large", Size::Large, 1, BUILDS),
        streams::grpc(&bench, "stream-100", 100, 8, BUILDS),
        transcode::echo(&bench, "rest-small", Size::Small, 32, BUILDS),
        transcode::echo(&bench, "rest-medium", Size::Medium, 32, BUILDS),
        transcode::echo(&bench, "rest-large", Size::Large, 4, BUILDS),
    ];
    scenarios.retain(|scenario| wanted(scenario.name));
    let mut targets = Vec::new();
    for peer in BUILDS {
        for speaks in [Speaks::Grpc, Speaks::Rest] {
            targets.push((*peer, speaks));
        }
    }
    let targets = bench.targets(&targets)?;
    let samples = bench.wait(round::run(&targets, &scenarios, length))?;
    drop(targets);
    let ratios = round::ratios(&scenarios, &samples);
    report::print(&scenarios, &samples, &ratios);
    if !wanted("idle") {
        return Ok(());
    }
    idle::print(&idle::hold_all(&bench, idle::TWO_BUILDS, idle::CONNECTIONS_QUICK)?);
    Ok(())
}
