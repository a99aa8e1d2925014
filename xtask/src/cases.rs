//! The reference services: built, checked against their model and each other, their contracts
//! against Google's API linter.
//!
//! Not here: the shop that they make together (`demo`), and what goes through the gateway (the
//! tests of `crates/tandem`).

use std::path::PathBuf;
use std::process::Command;

use crate::process::{quiet, root, shown};
use crate::{defects, demo, faults};

const USAGE: &str = "usage: ./x cases [build] | check [catalogue] [--full] [--ops N] [--seeds K] \
                     [--first SEED] [--kills R] [--write] | lint | faults [build|pairs] | \
                     defects [--write] | rubric [catalogue] [rust|go] [WORDS of the rubric]";

/// What `--full` asks for; without it the check keeps to what fits every run of the tests.
const FULL: [&str; 6] = ["--ops", "100000", "--seeds", "10", "--kills", "50"];

pub(crate) fn run(arguments: &[&str]) -> Result<(), String> {
    match arguments {
        [] | ["build"] => demo::build_cases(true, true).map(drop),
        ["check", rest @ ..] => check(rest),
        ["lint"] => lint(),
        ["faults"] => faults::run(),
        ["faults", "build"] => faults::build_all(),
        ["faults", "pairs"] => faults::pairs::run(),
        ["defects", rest @ ..] => defects::run(rest),
        ["rubric", rest @ ..] => rubric(rest),
        _ => Err(USAGE.into()),
    }
}

/// Drives every implementation of the catalogue, Go on both of its SQLite libraries.
pub(crate) fn check(arguments: &[&str]) -> Result<(), String> {
    let mut words: Vec<&str> = Vec::new();
    for argument in arguments {
        match *argument {
            "catalogue" => {}
            "--full" => words.extend(FULL),
            other => words.push(other),
        }
    }
    demo::build_cases(true, false)?;
    let rust = root().join("cases/target/debug");
    let mut sides = vec![("rust", rust.join("catalogue"))];
    if demo::go_is_here() {
        sides.push(("go", root().join("target/cases/catalogue-go")));
        sides.push(("go-c", go_on_the_c_library()?));
    } else {
        println!("  Go is missing: Rust is compared with the model alone");
    }
    let mut command = Command::new(rust.join("case-check"));
    command.arg("catalogue").arg("--golden").arg(root().join("cases/catalogue/golden"));
    for (name, path) in sides {
        command.arg("--side").arg(format!("{name}={}", path.display()));
    }
    shown(command.args(words))
}

/// The second Go row: SQLite's C library, so that no figure is about a translation of it.
fn go_on_the_c_library() -> Result<PathBuf, String> {
    let program = root().join("target/cases/catalogue-go-c");
    shown(
        Command::new("go")
            .args(["build", "-mod=readonly", "-trimpath", "-tags", "mattn", "-o"])
            .arg(&program)
            .arg("./catalogue/go")
            .env("CGO_ENABLED", "1")
            .current_dir(root().join("cases")),
    )?;
    Ok(program)
}

/// The rubric of the catalogue in each language; further words go to the example that prints it.
fn rubric(arguments: &[&str]) -> Result<(), String> {
    let arguments = arguments.strip_prefix(&["catalogue"]).unwrap_or(arguments);
    let (languages, words): (Vec<&str>, &[&str]) = match arguments {
        [language @ ("rust" | "go"), rest @ ..] => (vec![language], rest),
        all => (vec!["rust", "go"], all),
    };
    // A start after a deploy, which answers with a page of no products.
    const SERVICE: &str = "tandem.cases.catalogue.v1.Catalogue";
    for language in languages {
        if language == "go" && !demo::go_is_here() {
            println!("go: not run, Go is missing");
            continue;
        }
        println!("\n{language}\n");
        shown(
            Command::new("cargo")
                .args(["run", "--quiet", "--locked", "-p", "tandem-measure", "--example", "rubric"])
                .args(["--", language])
                .arg(root().join("cases/catalogue").join(language))
                .arg("--scratch")
                .arg(root().join("target/tmp"))
                .args(["--service", SERVICE, "--call", &format!("{SERVICE}/ListProducts")])
                .args(words)
                .args(["--", "--listen", "127.0.0.1:{port}", "--data", "{data}"])
                .current_dir(root()),
        )?;
    }
    Ok(())
}

/// Google's API linter over the contracts that are to be clean; what is excepted stands, with its
/// reason, in `cases/api-linter.yaml`.
pub(crate) fn lint() -> Result<(), String> {
    let linter = root().join("target/tools/api-linter");
    if !linter.exists() {
        println!("  install    api-linter, as a Go module, into target/tools");
        quiet(
            Command::new("go")
                .args(["build", "-mod=readonly", "-o"])
                .arg(&linter)
                .arg("github.com/googleapis/api-linter/v2/cmd/api-linter")
                .current_dir(root().join("cases/lint")),
        )?;
    }
    // The linter looks for a contract where it is imported from.
    let folder = root().join("target/tmp/contracts");
    let contract = "tandem/cases/catalogue/v1/contract.proto";
    let place = folder.join(contract);
    let copied = place
        .parent()
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| std::fs::copy(root().join("cases/catalogue/contract.proto"), &place));
    copied.map_err(|error| format!("{}: {error}", place.display()))?;
    let said = quiet(
        Command::new(&linter)
            .arg("-I")
            .arg(&folder)
            .arg("-I")
            .arg(root().join("proto"))
            .arg("--config")
            .arg(root().join("cases/api-linter.yaml"))
            .args(["--set-exit-status", "--output-format", "yaml", contract])
            .current_dir(&folder),
    )?;
    println!("{}", said.trim());
    Ok(())
}
