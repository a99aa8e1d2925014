//! The gateway and its peers, measured in one run.
//!
//! `bench calls | streams | proxy | transcode | idle | settings | mirror [--quick]` and
//! `bench against [--quick] [SCENARIO]…`; bench/README.md says how
//! each is read. Figures are printed, every round is written to `bench/results/`.

#![expect(clippy::print_stdout, reason = "figures are for the person who asked")]
#![allow(clippy::print_stderr, reason = "so is the count of rounds")]

mod against;
mod backend;
mod bar;
mod bench;
mod calls;
mod candidate;
mod flood;
mod idle;
mod load;
mod mirror;
mod orders;
mod peer;
mod process;
mod proxy;
mod report;
mod round;
mod settings;
mod streams;
mod transcode;

use process::Outcome;

fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    if let ["against", rest @ ..] = &words[..] {
        let only: Vec<&str> = rest.iter().copied().filter(|word| *word != "--quick").collect();
        return against::run(only.len() < rest.len(), &only);
    }
    let (what, quick) = match words[..] {
        [what] => (what, false),
        [what, "--quick"] => (what, true),
        _ => return Err(USAGE.into()),
    };
    match what {
        "calls" => calls::run(quick),
        "streams" => streams::run(quick),
        "proxy" => proxy::run(quick),
        "transcode" => transcode::run(quick),
        "idle" => idle::run(quick),
        "settings" => settings::run(quick),
        "mirror" => mirror::run(quick),
        _ => Err(USAGE.into()),
    }
}

const USAGE: &str =
    "usage: bench calls | streams | proxy | transcode | idle | settings | mirror [--quick]
       bench against [--quick] [SCENARIO]…";
