//! `./x fuzz [TARGET…] [--seconds N]`: the fuzz targets, each for a while.
//!
//! The same checks run over the kept corpora in `./x test`.

use std::path::Path;
use std::process::Command;

use crate::process::{quiet, root, shown};

const VERSION: &str = "0.13.2";

pub(crate) fn run(arguments: &[&str]) -> Result<(), String> {
    let mut seconds = 60_u64;
    let mut wanted = Vec::new();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        if *word == "--seconds" {
            let number = words.next().and_then(|number| number.parse().ok());
            seconds = number.ok_or("--seconds takes a number")?;
        } else {
            wanted.push(*word);
        }
    }
    let folder = root().join("fuzz/fuzz_targets");
    let mut targets: Vec<String> = std::fs::read_dir(&folder)
        .map_err(|error| format!("{}: {error}", folder.display()))?
        .filter_map(|entry| entry.ok()?.path().file_stem()?.to_str().map(str::to_owned))
        .collect();
    targets.sort();
    if let Some(unknown) = wanted.iter().find(|name| !targets.iter().any(|target| target == *name))
    {
        return Err(format!("no target `{unknown}`; there are {}", targets.join(", ")));
    }
    let tool = root().join("target/tools/bin/cargo-fuzz");
    if !tool.exists() {
        println!("  install    cargo-fuzz {VERSION}, into target/tools");
        quiet(
            Command::new("cargo")
                .args(["install", "cargo-fuzz", "--locked", "--version", VERSION, "--root"])
                .arg(root().join("target/tools")),
        )?;
    }
    for target in targets.iter().filter(|name| wanted.is_empty() || wanted.contains(&name.as_str()))
    {
        fuzz(&tool, target, seconds)?;
    }
    Ok(())
}

fn fuzz(tool: &Path, target: &str, seconds: u64) -> Result<(), String> {
    // What is found new stays out of the repository until somebody has looked at it.
    let found = root().join("fuzz/target/corpus").join(target);
    std::fs::create_dir_all(&found).map_err(|error| error.to_string())?;
    shown(
        Command::new(tool)
            .args(["run", "--sanitizer", "none", target])
            .arg(&found)
            .arg(root().join("fuzz/corpus").join(target))
            .arg("--")
            .arg(format!("-max_total_time={seconds}"))
            .arg("-rss_limit_mb=2048")
            .current_dir(root().join("fuzz"))
            // The allowed way to the sanitizer hooks on a stable toolchain.
            .env("RUSTC_BOOTSTRAP", "1"),
    )
}
