//! Figures: builds what is measured, makes sure of the tools, hands over to `bench/`.
//!
//! `bench calls` measures the gateway, `bench codec` the codec; bench/README.md says how each is
//! read.

use std::process::Command;

use crate::demo;
use crate::process::{cargo, quiet, root, shown};

const USAGE: &str = "usage: ./x bench calls [--quick]
       ./x bench codec [--quick | --instructions [--accept] | --hostile [--short] | --generate]";

pub(crate) fn run(words: &[&str]) -> Result<(), String> {
    match words {
        ["calls", rest @ ..] => calls(rest),
        ["codec", rest @ ..] => codec(rest),
        _ => Err(USAGE.into()),
    }
}

fn calls(rest: &[&str]) -> Result<(), String> {
    debian("h2load", "nghttp2-client")?;
    cargo(&["build", "--release", "--locked", "--quiet", "-p", "tandem", "-p", "tandem-bench"])?;
    demo::build_cases(false, true)?;
    let program = root().join("target/release/tandem-bench");
    shown(Command::new(program).arg("calls").args(rest))
}

pub(crate) fn codec(words: &[&str]) -> Result<(), String> {
    match words {
        [] | ["--quick"] => run_codec("tandem-bench-codec", words),
        ["--instructions" | "--hostile", ..] => {
            debian("valgrind", "valgrind")?;
            run_codec("tandem-bench-count", words)
        }
        ["--generate"] => run_codec("tandem-bench-generate", &[]),
        _ => Err(USAGE.into()),
    }
}

/// Builds one package of `bench/codec`, a workspace of its own, and runs its program.
fn run_codec(package: &str, words: &[&str]) -> Result<(), String> {
    let folder = root().join("bench/codec");
    let manifest = folder.join("Cargo.toml");
    shown(
        Command::new("cargo")
            .args(["build", "--release", "--locked", "--quiet", "-p", package, "--manifest-path"])
            .arg(manifest),
    )?;
    shown(Command::new(folder.join("target/release").join(package)).args(words))
}

/// Makes sure of `program`, which Debian's `package` brings.
fn debian(program: &str, package: &str) -> Result<(), String> {
    if quiet(Command::new(program).arg("--version")).is_ok() {
        return Ok(());
    }
    println!("  install    apt-get install {package}");
    quiet(Command::new("apt-get").args(["update", "-qq"]))?;
    quiet(
        Command::new("apt-get")
            .args(["install", "-y", "-qq", "--no-install-recommends", package])
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
    .map(drop)
}
