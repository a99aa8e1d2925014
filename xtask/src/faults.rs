//! Planted faults: each patch under `cases/faults` goes into a copy of the cases, and the check
//! must find it. A fault that is not found is a fault of the check.
//!
//! The faulty programs stay in `target/faults/bin`, named `catalogue-LANGUAGE-FAULT`: services
//! like any other, to be put behind a gateway as a candidate that pairs must find (`pairs`).

pub(crate) mod pairs;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::demo;
use crate::process::{quiet, root};

/// Enough calls for a fault to show.
const CHECK: [&str; 6] = ["--ops", "3000", "--seeds", "1", "--kills", "1"];

/// The copy, outside of the repository so that git takes its files for what they are.
struct Copy(PathBuf);

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn run() -> Result<(), String> {
    let mut missed = Vec::new();
    for Fault { name, language, patch } in faults()? {
        match found(language, &program(language, &name, &patch)?)? {
            Some(by) => println!("  {name:<10} {language:<6} found: {by}"),
            None => missed.push(format!("{name} in {language}")),
        }
    }
    if missed.is_empty() { Ok(()) } else { Err(format!("not found: {}", missed.join(", "))) }
}

/// Builds every faulty program and says where it is.
pub(crate) fn build_all() -> Result<(), String> {
    for Fault { name, language, patch } in faults()? {
        println!("  {}", program(language, &name, &patch)?.display());
    }
    Ok(())
}

struct Fault {
    name: String,
    language: &'static str,
    patch: PathBuf,
}

fn faults() -> Result<Vec<Fault>, String> {
    let mut all = Vec::new();
    for language in ["go", "rust"] {
        if language == "go" && !demo::go_is_here() {
            println!("  Go is missing: its faults are not planted");
            continue;
        }
        let folder = root().join("cases/faults/catalogue").join(language);
        let mut patches: Vec<PathBuf> = std::fs::read_dir(&folder)
            .map_err(|error| format!("{}: {error}", folder.display()))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        patches.sort();
        for patch in patches {
            let name = patch.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            all.push(Fault { name, language, patch });
        }
    }
    Ok(all)
}

/// The service with the fault in it; built again only when something of it has changed.
fn program(language: &str, name: &str, patch: &Path) -> Result<PathBuf, String> {
    let kept = root().join("target/faults/bin").join(format!("catalogue-{language}-{name}"));
    let listed = quiet(
        Command::new("git")
            .args(["ls-files", "-co", "--exclude-standard", "cases", "clients", "proto"])
            .current_dir(root()),
    )?;
    let sources = listed.lines().filter(|file| !file.starts_with("cases/faults/"));
    let mut digest = DefaultHasher::new();
    for file in sources.map(|file| root().join(file)).chain([patch.to_owned()]) {
        let bytes = std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        (file.strip_prefix(root()).unwrap_or(&file), bytes).hash(&mut digest);
    }
    let (stamp, digest) = (kept.with_extension("sources"), format!("{:016x}", digest.finish()));
    if kept.exists() && std::fs::read_to_string(&stamp).is_ok_and(|built| built == digest) {
        return Ok(kept);
    }
    let copy = Copy(std::env::temp_dir().join(format!("tandem-faults-{}", std::process::id())));
    std::fs::create_dir_all(&copy.0).map_err(|error| error.to_string())?;
    for file in listed.lines() {
        let to = copy.0.join(file);
        let copied = to
            .parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| std::fs::copy(root().join(file), &to));
        copied.map_err(|error| format!("{file}: {error}"))?;
    }
    quiet(Command::new("git").arg("apply").arg(patch).current_dir(&copy.0))?;
    let built = build(language, &copy.0.join("cases"))?;
    let moved = kept
        .parent()
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| std::fs::copy(&built, &kept))
        .and_then(|_bytes| std::fs::write(stamp, digest));
    moved.map_err(|error| format!("{}: {error}", kept.display()))?;
    Ok(kept)
}

/// The first line of what the check says; `None` when it passes.
fn found(language: &str, program: &Path) -> Result<Option<String>, String> {
    let checked = Command::new(root().join("cases/target/debug/case-check"))
        .arg("catalogue")
        .arg("--golden")
        .arg(root().join("cases/catalogue/golden"))
        .arg("--side")
        .arg(format!("{language}={}", program.display()))
        .args(CHECK)
        .output()
        .map_err(|error| format!("case-check: {error}; ./x cases check builds it"))?;
    let said = String::from_utf8_lossy(&checked.stderr);
    let first: String = said.lines().next().unwrap_or_default().chars().take(110).collect();
    Ok((!checked.status.success()).then_some(first))
}

/// The real programs are left alone: the faulty ones are built beside them.
fn build(language: &str, cases: &Path) -> Result<PathBuf, String> {
    let target = root().join("target/faults");
    if language == "go" {
        let program = target.join("catalogue-go");
        let words = ["build", "-mod=readonly", "-o"];
        let mut command = Command::new("go");
        command.args(words).arg(&program).arg("./catalogue/go").current_dir(cases);
        return quiet(&mut command).map(|_| program);
    }
    let mut command = Command::new("cargo");
    command
        .args(["build", "--quiet", "--locked", "-p", "catalogue", "--manifest-path"])
        .arg(cases.join("Cargo.toml"))
        .env("CARGO_TARGET_DIR", &target);
    quiet(&mut command).map(|_| target.join("debug/catalogue"))
}
