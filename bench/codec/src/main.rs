//! The codec against its peers, in one process and one run.
//!
//! `./x bench codec [--quick]` prints a line `ratio tandem/PEER SCENARIO 0.12 [0.11, 0.13]` for
//! each peer and scenario (our time ÷ theirs), a table of the speeds and the bars with what was
//! reached, and writes all rounds to `bench/results/codec.json`.
//!
//! Not here: instruction counts and hostile input (`tandem-bench-count`).

mod bar;
mod generated;
mod peer;
mod report;
mod round;

use std::time::Duration;

use tandem_bench_payload::scenario;

use crate::peer::{Outcome, Peer, Peers};
use crate::round::Length;

const FULL: Length = Length { rounds: 51, slice: Duration::from_millis(60) };
const QUICK: Length = Length { rounds: 15, slice: Duration::from_millis(40) };

fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let quick = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--quick"] => true,
        _ => return Err("usage: ./x bench codec [--quick]".into()),
    };
    let length = if quick { QUICK } else { FULL };
    let surroundings = report::surroundings()?;
    let peers = Peers::new()?;
    let scenarios = scenario::all();
    for scenario in &scenarios {
        for peer in Peer::ALL.into_iter().filter(|peer| peer.goes(scenario.direction)) {
            peers
                .check(peer, scenario.direction, &scenario.json, &scenario.wire)
                .map_err(|fault| format!("{} {}: {fault}", peer.name(), scenario.name))?;
        }
    }
    println!("every peer gives the same messages");
    let times = round::run(&peers, &scenarios, length, |round| {
        eprint!("\rround {round} of {}", length.rounds);
    })?;
    eprintln!();
    report::print(&scenarios, &times);
    let ratios = report::ratios(&scenarios, &times);
    bar::print(&ratios);
    report::write(quick, length, surroundings, &scenarios, &times)
}
