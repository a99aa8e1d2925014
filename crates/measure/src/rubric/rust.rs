//! The rows of a Rust package: what cargo says of it, and what its sources say.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::builds::Builder;
use super::command::{Limits, Step};
use super::dependencies::Dependency;
use super::lines::{self, Lines};
use super::scratch::Scratch;
use super::surface::Unsafe;
use super::{
    Found, Language, Place, Row, Side, advisories, artefact, builds, checks, cold_start,
    dependencies,
};

/// A package that the build takes in.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Package {
    pub(crate) name: String,
    version: String,
    licence: Option<String>,
    /// Of this repository.
    own: bool,
    /// Named by the package itself.
    direct: bool,
    /// Reached without passing a build dependency.
    normal: bool,
    build_script: bool,
    folder: PathBuf,
    /// Source files of its targets' entries.
    entries: Vec<PathBuf>,
    uses: BTreeSet<String>,
}

/// The package and all that it is built from, itself first.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Graph {
    pub(crate) packages: Vec<Package>,
    /// The program that it builds.
    pub(crate) program: Option<String>,
}

impl Graph {
    /// From `cargo metadata`, for the package of `manifest`.
    ///
    /// # Errors
    /// When there is no such package, or the text is none of cargo's.
    pub(crate) fn read(text: &str, manifest: &Path) -> Result<Graph, String> {
        let all: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let by_id: BTreeMap<String, Value> = list(&all["packages"])
            .into_iter()
            .map(|package| (word(&package["id"]), package))
            .collect();
        let nodes: BTreeMap<String, Value> = list(&all["resolve"]["nodes"])
            .into_iter()
            .map(|node| (word(&node["id"]), node))
            .collect();
        let (root, package) = by_id
            .iter()
            .find(|(_, package)| Path::new(&word(&package["manifest_path"])) == manifest)
            .ok_or("its Cargo.toml names no package: point at the folder of one")?;
        let program = list(&package["targets"])
            .iter()
            .find(|target| list(&target["kind"]).contains(&Value::from("bin")))
            .map(|target| word(&target["name"]));

        // Breadth first over what is built for the program, tests left out; first all that is
        // reached by normal dependencies, so that a package is marked so if it can be.
        let mut seen: BTreeMap<String, bool> = BTreeMap::from([(root.clone(), true)]);
        let mut order = vec![root.clone()];
        let mut waiting = VecDeque::from([(root.clone(), true)]);
        let mut behind = VecDeque::new();
        while let Some((id, normal)) = waiting.pop_front().or_else(|| behind.pop_front()) {
            for used in list(&nodes.get(&id).unwrap_or(&Value::Null)["deps"]) {
                let kinds: Vec<String> =
                    list(&used["dep_kinds"]).iter().map(|kind| word(&kind["kind"])).collect();
                let normal_use = kinds.iter().any(String::is_empty);
                if !normal_use && !kinds.iter().any(|kind| kind == "build") {
                    continue;
                }
                let to = word(&used["pkg"]);
                let marked = normal && normal_use;
                if !seen.contains_key(&to) {
                    seen.insert(to.clone(), marked);
                    order.push(to.clone());
                } else if !marked || seen[&to] {
                    continue;
                } else {
                    seen.insert(to.clone(), true);
                }
                if marked { waiting.push_back((to, true)) } else { behind.push_back((to, false)) }
            }
        }
        let uses = |id: &str| -> BTreeSet<String> {
            let node = nodes.get(id).unwrap_or(&Value::Null);
            list(&node["deps"]).iter().map(|used| word(&used["pkg"])).collect()
        };
        let direct = uses(root);
        let packages = order
            .iter()
            .filter_map(|id| Some((id, by_id.get(id)?)))
            .map(|(id, package)| {
                let own = package["source"].is_null();
                let targets = list(&package["targets"]);
                let is = |target: &Value, wanted: &[&str]| {
                    list(&target["kind"]).iter().any(|kind| wanted.contains(&word(kind).as_str()))
                };
                let built: &[&str] = if own {
                    &["lib", "rlib", "bin", "proc-macro", "custom-build", "cdylib", "staticlib"]
                } else {
                    &["lib", "rlib", "proc-macro", "custom-build", "cdylib", "staticlib", "dylib"]
                };
                Package {
                    name: word(&package["name"]),
                    version: word(&package["version"]),
                    licence: package["license"].as_str().map(str::to_owned),
                    own,
                    direct: direct.contains(id.as_str()),
                    normal: seen[id],
                    build_script: targets.iter().any(|target| is(target, &["custom-build"])),
                    folder: Path::new(&word(&package["manifest_path"]))
                        .parent()
                        .map(Path::to_owned)
                        .unwrap_or_default(),
                    entries: targets
                        .iter()
                        .filter(|target| is(target, built))
                        .map(|target| PathBuf::from(word(&target["src_path"])))
                        .collect(),
                    uses: uses(id),
                }
            })
            .collect();
        Ok(Graph { packages, program })
    }

    fn ask(place: &Place, limits: &Limits) -> (String, Result<(Graph, String), String>) {
        let host = Step::new("rustc", &["-vV"], &place.folder).output(limits).map(|ran| {
            let host = ran.out.lines().find_map(|line| line.strip_prefix("host: "));
            host.unwrap_or_default().to_owned()
        });
        let words = ["metadata", "--locked", "--offline", "--format-version", "1"];
        let mut step = Step::new("cargo", &words, &place.folder);
        if let Ok(host) = &host {
            step = step.word("--filter-platform").word(host.as_str());
        }
        let manifest = place.folder.join("Cargo.toml");
        let graph = host
            .and_then(|_| step.output(limits))
            .and_then(|ran| Ok((Graph::read(&ran.out, &manifest)?, ran.out)));
        (step.text(), graph)
    }

    /// An own library that uses no other one.
    fn leaf(&self) -> Option<&Package> {
        let own = |package: &&Package| package.own && package.normal;
        self.packages.iter().skip(1).filter(own).min_by_key(|package| package.uses.len())
    }
}

impl Package {
    /// All sources of its targets: what lies in the folders of their entries.
    fn sources(&self) -> BTreeSet<PathBuf> {
        let mut files = BTreeSet::new();
        for entry in &self.entries {
            match entry.parent() {
                // A script or a library beside the manifest stands for itself: what else lies
                // there are tests and examples.
                Some(folder) if folder != self.folder => walk(folder, &mut files, 0),
                _ => drop(files.insert(entry.clone())),
            }
        }
        files
    }
}

fn walk(folder: &Path, files: &mut BTreeSet<PathBuf>, depth: usize) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let (path, Ok(kind)) = (entry.path(), entry.file_type()) else { continue };
        if kind.is_dir() && depth < 32 {
            walk(&path, files, depth + 1);
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "rs") {
            files.insert(path);
        }
    }
}

pub(crate) fn run(
    side: &mut Side<'_>,
    place: &Place,
    top: &Path,
    scratch: &Scratch,
    progress: &mut impl FnMut(&str),
) {
    let role = side.source.role.clone();
    let mut say = |what: &str| progress(&format!("{role}: {what}"));
    let (command, graph) = Graph::ask(place, &side.limits);
    let graph = match graph {
        Ok((graph, _)) => graph,
        Err(why) => {
            for row in side.options.rows.clone() {
                if !matches!(row, Row::Change | Row::Load) {
                    side.row(row.number(), &command, Err(why.clone()));
                }
            }
            return;
        }
    };
    let name = graph.packages[0].name.clone();
    if side.wants(Row::Surface) || side.wants(Row::Concurrency) {
        say("counting unsafe code");
        surface(side, &graph, &command);
    }
    if side.wants(Row::Dynamic) {
        say("tests under Miri");
        dynamic(side, place, &name, scratch);
    }
    if side.wants(Row::Concurrency) {
        loom(side, place, &graph, &name, scratch);
    }
    if side.wants(Row::Advisories) {
        advisories::rust(side, place);
    }
    if side.wants(Row::Dependencies) {
        say("dependencies");
        let words = ["tree", "--locked", "--offline", "-e", "normal", "--prefix", "none", "-p"];
        let step = Step::new("cargo", &words, &place.folder).word(name.as_str());
        let found = step.output(&side.limits).and_then(|ran| dependencies::of_tree(&ran.out));
        let listed = found.clone().unwrap_or_default();
        let direct: BTreeSet<&str> =
            graph.packages.iter().filter(|one| one.direct).map(|one| one.name.as_str()).collect();
        let found = found.map(|listed| dependencies::row(&listed, |one| direct.contains(one)));
        side.row("R-9", &step.text(), found);
        let licensed = graph.packages.iter().filter(|package| {
            !package.own
                && listed
                    .iter()
                    .any(|one| one.name == package.name && one.version == package.version)
        });
        let licensed: Vec<Dependency> = licensed
            .map(|package| Dependency {
                name: package.name.clone(),
                version: package.version.clone(),
                own: false,
                licence: package.licence.clone(),
            })
            .collect();
        dependencies::licence_row(side, &command, &licensed);
    }
    if side.wants(Row::Tests) {
        say("tests, again and again");
        let words = ["test", "--locked", "--offline", "-p", &name];
        let target = scratch.path().join("tests");
        let step = Step::new("cargo", &words, &place.folder).with("CARGO_TARGET_DIR", &target);
        let build = step.clone().word("--no-run");
        checks::again(side, &build, &step, checks::cargo_tests);
        let _ = std::fs::remove_dir_all(target);
    }
    let built = if [Row::Build, Row::Artefact, Row::ColdStart].iter().any(|&row| side.wants(row)) {
        say("builds");
        build(side, place, top, scratch, &graph)
    } else {
        Err("nothing was built".to_owned())
    };
    if side.wants(Row::Artefact) {
        artefact::row(side, &built, scratch);
    }
    if side.wants(Row::Code) {
        code(side, &graph, scratch);
    }
    if side.wants(Row::ColdStart) {
        say("starts");
        cold_start::row(side, &built, scratch);
    }
}

/// Own code and dependencies apart.
fn surface(side: &mut Side<'_>, graph: &Graph, command: &str) {
    let (mut own, mut others) = (Unsafe::default(), Unsafe::default());
    let (mut crates, mut with, mut scripts, mut own_scripts) = (0_u64, 0_u64, 0_u64, 0_u64);
    let mut promising = 0_u64;
    let mut most: Vec<(u64, String)> = Vec::new();
    for package in &graph.packages {
        let mut found = Unsafe::default();
        for file in package.sources() {
            if let Ok(source) = std::fs::read(&file) {
                found += Unsafe::read(&String::from_utf8_lossy(&source));
            }
        }
        if package.own {
            own += found;
            own_scripts += u64::from(package.build_script);
        } else {
            others += found;
            crates += 1;
            with += u64::from(found.total() > 0);
            scripts += u64::from(package.build_script);
            promising += u64::from(found.send_or_sync > 0);
            most.push((found.total(), format!("{} {}", package.name, package.version)));
        }
    }
    most.sort_by(|left, right| right.cmp(left));
    if side.wants(Row::Surface) {
        let said: Vec<String> = most
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(n, name)| format!("{n} {name}"))
            .collect();
        let value = format!(
            "own: {}, {own_scripts} build.rs; dependencies: {} in {with} of {crates} crates, {scripts} build.rs",
            forms(&own),
            forms(&others),
        );
        let note = "what stands in macros and under any cfg is counted; crates of build scripts \
                    and macros are among the dependencies";
        side.row("R-1", command, Ok(Found { said: said.join("\n"), ..Found::new(value, note) }));
        let geiger = Step::new("cargo", &["geiger", "--version"], Path::new("/"));
        if let Ok(ran) = geiger.output(&side.limits) {
            let note = "cross-check: run it in the package's folder";
            side.row("R-1 cargo geiger", &geiger.text(), Ok(Found::new(ran.out.trim(), note)));
        }
    }
    if side.wants(Row::Concurrency) {
        let value = format!(
            "own: {} unsafe impl of Send or Sync, {} static mut; dependencies: {} in {promising} crates, {} static mut",
            own.send_or_sync, own.static_mut, others.send_or_sync, others.static_mut,
        );
        let note =
            "the compiler refuses data races; these are the places where it believes the author";
        side.row("R-3", command, Ok(Found::new(value, note)));
    }
}

fn forms(found: &Unsafe) -> String {
    format!(
        "{} unsafe ({} blocks, {} fn, {} impl, {} trait, {} extern, {} other)",
        found.total(),
        found.blocks,
        found.functions,
        found.impls,
        found.traits,
        found.extern_blocks,
        found.others
    )
}

fn dynamic(side: &mut Side<'_>, place: &Place, name: &str, scratch: &Scratch) {
    let words = ["+nightly", "miri", "test", "--locked", "--offline", "-p", name];
    let target = scratch.path().join("miri");
    let step = Step::new("cargo", &words, &place.folder).with("CARGO_TARGET_DIR", &target);
    // Asked first, because cargo's answer to a missing toolchain may be to fetch one.
    let there = Step::new("rustup", &["toolchain", "list"], &place.folder)
        .output(&side.limits)
        .is_ok_and(|ran| ran.out.lines().any(|line| line.starts_with("nightly")));
    if !there {
        let why = "Miri needs a nightly toolchain, and none is installed".to_owned();
        side.row("R-2", &step.text(), Err(why));
        return;
    }
    side.step("R-2", &step, |ran| {
        let tests = checks::cargo_tests(&ran.out, &ran.err);
        if tests.passed + tests.failed.len() as u64 == 0 {
            return Err(ran.failure("cargo"));
        }
        Ok(Found::new(tests.text(), "what needs the system cannot run under Miri"))
    });
    let _ = std::fs::remove_dir_all(target);
}

fn loom(side: &mut Side<'_>, place: &Place, graph: &Graph, name: &str, scratch: &Scratch) {
    let uses = |manifest: &str| manifest.contains("loom") || manifest.contains("shuttle");
    let has = graph.packages.iter().filter(|package| package.own).any(|package| {
        std::fs::read_to_string(package.folder.join("Cargo.toml")).is_ok_and(|text| uses(&text))
    });
    let target = scratch.path().join("loom");
    let step = Step::new("cargo", &["test", "--locked", "--offline", "-p", name], &place.folder)
        .with("RUSTFLAGS", "--cfg loom")
        .with("CARGO_TARGET_DIR", &target);
    if !has {
        side.row("R-3 loom", &step.text(), Err("it has no tests for loom or shuttle".to_owned()));
        return;
    }
    side.step("R-3 loom", &step, |ran| {
        let tests = checks::cargo_tests(&ran.out, &ran.err);
        Ok(Found::new(tests.text(), "each test tries the orders that its model allows"))
    });
    let _ = std::fs::remove_dir_all(target);
}

fn build(
    side: &mut Side<'_>,
    place: &Place,
    top: &Path,
    scratch: &Scratch,
    graph: &Graph,
) -> Result<PathBuf, String> {
    let copy = builds::copied(side, place, top, scratch)?;
    let package = &graph.packages[0];
    let words = ["build", "--release", "--locked", "--offline", "-p", &package.name];
    let here = |path: &Path| {
        let within = path.strip_prefix(top).ok()?;
        Some(copy.top.join(within))
    };
    // The crate is one unit of compilation, so its entry stands for any of its handlers.
    let handler = package.entries.iter().find(|entry| !entry.ends_with("build.rs"));
    let leaf = graph.leaf().and_then(|leaf| leaf.entries.iter().find(|e| !e.ends_with("build.rs")));
    let builder = Builder {
        step: Step::new("cargo", &words, &copy.folder).words(&side.source.build),
        variable: "CARGO_TARGET_DIR",
        folder: scratch.path().join("target"),
        handler: handler.and_then(|entry| here(entry)),
        leaf: leaf.and_then(|entry| here(entry)),
        constant: |number| format!("\n#[used]\nstatic TANDEM_RUBRIC_{number}: u32 = {number};\n"),
        versions: super::version("rustc", "--version", &place.folder, &side.limits),
        flags: ["RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS", "CARGO_PROFILE_RELEASE_LTO"],
    };
    builds::rows(side, &builder)?;
    let program = graph.program.as_ref().ok_or("the package builds no program")?;
    let built = builder.folder.join("release").join(program);
    if built.is_file() { Ok(built) } else { Err(format!("the build left no release/{program}")) }
}

fn code(side: &mut Side<'_>, graph: &Graph, scratch: &Scratch) {
    let mut lines = Lines::default();
    let mut files = 0_u64;
    let mut add = |path: &Path, shown: &Path| {
        if let Ok(source) = std::fs::read(path) {
            lines += lines::count(shown, &String::from_utf8_lossy(&source), Language::Rust);
            files += 1;
        }
    };
    for package in graph.packages.iter().filter(|package| package.own) {
        let mut sources = package.sources();
        for folder in ["tests", "benches"] {
            walk(&package.folder.join(folder), &mut sources, 0);
        }
        for file in &sources {
            add(file, file.strip_prefix(&package.folder).unwrap_or(file));
        }
    }
    let generated = made(graph, &scratch.path().join("target/release/build"));
    let built = scratch.path().join("target/release/build").is_dir();
    let value = format!(
        "{} handwritten, {} generated, {} tests",
        lines.handwritten,
        if built { (lines.generated + generated).to_string() } else { "? (not built)".to_owned() },
        lines.tests
    );
    let note = format!(
        "lines that hold code, {files} files of own packages; generated: what build scripts wrote"
    );
    side.row(
        "R-10",
        "counted by tandem (blank lines and comments left out)",
        Ok(Found::new(value, note)),
    );
}

/// Lines that own build scripts wrote.
fn made(graph: &Graph, build: &Path) -> u64 {
    let own: Vec<&str> = graph
        .packages
        .iter()
        .filter(|package| package.own)
        .map(|package| package.name.as_str())
        .collect();
    let Ok(entries) = std::fs::read_dir(build) else { return 0 };
    let mut files = BTreeSet::new();
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        // `NAME-HASH/out`.
        if name.rsplit_once('-').is_some_and(|(name, _)| own.contains(&name)) {
            walk(&entry.path().join("out"), &mut files, 0);
        }
    }
    let lines = files.iter().filter_map(|file| std::fs::read(file).ok()).map(|source| {
        let found =
            lines::count(Path::new("out"), &String::from_utf8_lossy(&source), Language::Rust);
        found.handwritten + found.generated + found.tests
    });
    lines.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `cargo metadata` of a package with a library of its own, itoa, and a build dependency,
    /// shortened to the keys that are read.
    const METADATA: &str = include_str!("../../tests/data/metadata.json");

    #[test]
    fn the_graph_has_what_is_built_and_not_what_is_tested() {
        let graph = Graph::read(METADATA, Path::new("/src/tiny/Cargo.toml")).unwrap();
        let found: Vec<(&str, bool, bool, bool)> = graph
            .packages
            .iter()
            .map(|one| (one.name.as_str(), one.own, one.direct, one.normal))
            .collect();
        assert_eq!(
            found,
            [
                ("tiny", true, false, true),
                ("itoa", false, true, true),
                ("leaf", true, true, true),
                ("cc", false, true, false),
                ("shlex", false, false, false),
            ]
        );
        assert_eq!(graph.program.as_deref(), Some("tiny"));
        assert_eq!(graph.leaf().unwrap().name, "leaf");
        let why = Graph::read(METADATA, Path::new("/src/Cargo.toml")).unwrap_err();
        assert!(why.contains("names no package"), "{why}");
    }
}
