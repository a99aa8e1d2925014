//! What stands behind `./x`: set-up, demo, tests, gates.
//!
//! std and serde_json only, so that a cold clone answers within seconds. One file a command.

#![allow(clippy::print_stdout, reason = "a task talks to the person who started it")]

mod crate_line;
mod demo;
mod fuzz;
mod http;
mod npm;
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
        Some((&"build", [])) => process::cargo(&["build", "--release", "--locked", "-p", "tandem"]),
        Some((&"cases", [])) => demo::build_cases(true, true).map(drop),
        Some((&"supply", [])) => supply::run(),
        Some((&"crate-line", [])) => crate_line::run(),
        Some((&"conformance", rest)) => not_built(
            rest,
            "conformance",
            "ProtoJSON comes with the codec, gRPC interop with streams",
        ),
        Some((&"bench", rest)) => bench(rest),
        Some((&"fuzz", rest)) => fuzz::run(rest),
        _ => Err(
            "usage: ./x demo [--once] [--rust-only] | test | build | cases | supply | crate-line"
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

/// Builds what is measured, makes sure of the load generator and hands over to `bench/`.
fn bench(rest: &[&str]) -> Result<(), String> {
    use std::process::Command;
    if process::quiet(Command::new("h2load").arg("--version")).is_err() {
        println!("  install    apt-get install nghttp2-client");
        process::quiet(Command::new("apt-get").args([
            "install",
            "-y",
            "-qq",
            "--no-install-recommends",
            "nghttp2-client",
        ]))?;
    }
    process::cargo(&[
        "build",
        "--release",
        "--locked",
        "--quiet",
        "-p",
        "tandem",
        "-p",
        "tandem-bench",
    ])?;
    demo::build_cases(false, true)?;
    process::shown(Command::new(process::root().join("target/release/tandem-bench")).args(rest))
}

/// A word that is agreed and has nothing behind it yet says so; asked for a suite it fails.
fn not_built(rest: &[&str], word: &str, what: &str) -> Result<(), String> {
    match rest.first() {
        None => {
            println!("no {word} suite is built yet: {what}");
            Ok(())
        }
        Some(suite) => Err(format!("there is no {word} suite `{suite}` yet: {what}")),
    }
}
