//! What stands behind `./x`: set-up, demo, tests, gates.
//!
//! std and serde_json only, so that a cold clone answers within seconds. One file a command.

#![allow(clippy::print_stdout, reason = "a task talks to the person who started it")]

mod bench;
mod cases;
mod conformance;
mod crate_line;
mod defects;
mod demo;
mod faults;
mod fuzz;
mod http;
mod interop;
mod npm;
mod page;
mod process;
mod supply;
mod test;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.split_first() {
        Some((&"test", rest)) => test::run(rest),
        Some((&"demo", rest)) => demo::run(rest),
        Some((&"build", [])) => page::build().and_then(|()| {
            process::cargo(&["build", "--release", "--locked", "-p", "tandem"])
        }),
        Some((&"page", [])) => page::test(),
        Some((&"page", ["gateway"])) => page::test_on_gateways(),
        Some((&"cases", rest)) => cases::run(rest),
        Some((&"supply", [])) => supply::run(),
        Some((&"crate-line", [])) => crate_line::run(),
        Some((&"conformance", rest)) => conformance::run(rest),
        Some((&"bench", rest)) => bench::run(rest),
        Some((&"fuzz", rest)) => fuzz::run(rest),
        _ => Err(
            "usage: ./x demo [--once] [--rust-only] | test | build | page [gateway] | cases [check|lint|faults|defects|rubric] | \
             conformance SUITE | bench calls|streams|proxy|transcode|added|idle|settings|mirror|codec | fuzz TARGET | \
             supply | crate-line"
                .into(),
        ),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) if why.is_empty() => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}
