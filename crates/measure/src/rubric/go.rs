//! The rows of a Go package: what the go command says of it, and what its sources say.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Deserializer, Value};

use super::builds::Builder;
use super::command::Step;
use super::dependencies::Dependency;
use super::lines::{self, Lines};
use super::scratch::Scratch;
use super::{
    Found, Language, Place, Row, Side, advisories, artefact, builds, checks, cold_start,
    dependencies, licences, surface,
};

/// A package that the build takes in.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Package {
    path: String,
    folder: PathBuf,
    /// `None` for the standard library.
    module: Option<Module>,
    imports: BTreeSet<String>,
    files: Vec<String>,
    cgo_files: usize,
    assembly_files: usize,
    tests: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
struct Module {
    path: String,
    version: String,
    folder: PathBuf,
    /// Of this repository: the main module, or one that a path stands for.
    own: bool,
    direct: bool,
}

/// From `go list -deps -json`: what is imported comes before what imports it.
///
/// # Errors
/// When the text is none of go's.
pub(crate) fn read(text: &str) -> Result<Vec<Package>, String> {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let words = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().map(word).collect()
    };
    let mut packages = Vec::new();
    for value in Deserializer::from_str(text).into_iter::<Value>() {
        let value = value.map_err(|error| error.to_string())?;
        let module = &value["Module"];
        let replaced = word(&module["Replace"]["Path"]);
        let own = module["Main"] == true || replaced.starts_with('.') || replaced.starts_with('/');
        packages.push(Package {
            path: word(&value["ImportPath"]),
            folder: word(&value["Dir"]).into(),
            module: module.is_object().then(|| Module {
                path: word(&module["Path"]),
                version: word(&module["Version"]),
                folder: word(&module["Dir"]).into(),
                own,
                direct: module["Indirect"] != true,
            }),
            imports: words(&value["Imports"]).into_iter().collect(),
            files: [words(&value["GoFiles"]), words(&value["CgoFiles"])].concat(),
            cgo_files: words(&value["CgoFiles"]).len(),
            assembly_files: words(&value["SFiles"]).len(),
            tests: [words(&value["TestGoFiles"]), words(&value["XTestGoFiles"])].concat(),
        });
    }
    if packages.is_empty() {
        return Err("go list named no package".to_owned());
    }
    Ok(packages)
}

impl Package {
    fn own(&self) -> bool {
        self.module.as_ref().is_some_and(|module| module.own)
    }
}

/// What Go does not watch over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Surface {
    packages: u64,
    unsafe_imports: u64,
    cgo: u64,
    assembly: u64,
    linknames: u64,
}

impl Surface {
    fn add(&mut self, package: &Package) {
        self.packages += 1;
        self.unsafe_imports += u64::from(package.imports.contains("unsafe"));
        self.cgo += u64::from(package.cgo_files > 0);
        self.assembly += u64::from(package.assembly_files > 0);
        let sources =
            package.files.iter().filter_map(|file| std::fs::read(package.folder.join(file)).ok());
        self.linknames +=
            sources.map(|text| surface::linknames(&String::from_utf8_lossy(&text))).sum::<u64>();
    }

    fn text(&self) -> String {
        format!(
            "unsafe in {} of {} packages, cgo in {}, assembly in {}, {} linknames",
            self.unsafe_imports, self.packages, self.cgo, self.assembly, self.linknames
        )
    }
}

/// The go command, told that there is no network and that `go.mod` stays as it is.
fn go(words: &[&str], folder: &Path) -> Step {
    Step::new("go", words, folder).with("GOFLAGS", "-mod=readonly").with("GOPROXY", "off")
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
    let fields =
        "-json=ImportPath,Dir,Module,Imports,GoFiles,CgoFiles,SFiles,TestGoFiles,XTestGoFiles";
    let listing = go(&["list", "-deps", fields], &place.folder).words(&side.source.build).word(".");
    let command = listing.text();
    let packages = match listing.output(&side.limits).and_then(|ran| read(&ran.out)) {
        Ok(packages) => packages,
        Err(why) => {
            for row in side.options.rows.clone() {
                if !matches!(row, Row::Change | Row::Load) {
                    side.row(row.number(), &command, Err(why.clone()));
                }
            }
            return;
        }
    };
    if side.wants(Row::Surface) {
        say("counting what goes around the language");
        row_surface(side, &packages, &command);
    }
    let all = [&side.source.build[..], &["./...".to_owned()]].concat();
    if side.wants(Row::Dynamic) {
        say("tests under the address sanitizer");
        let step = go(&["test", "-asan", "-count=1", "-json"], &place.folder).words(&all);
        side.step("R-2", &step, |ran| {
            let tests = checks::go_tests(&ran.out, &ran.err);
            if tests.passed + tests.failed.len() as u64 == 0 {
                return Err(ran.failure("go"));
            }
            Ok(Found {
                said: checks::telling(&ran.out),
                ..Found::new(tests.text(), "sees what C code and unsafe do in the paths that run")
            })
        });
    }
    if side.wants(Row::Concurrency) {
        say("tests under the race detector, vet");
        let step = go(&["test", "-race", "-count=1", "-json"], &place.folder).words(&all);
        side.step("R-3", &step, |ran| {
            let tests = checks::go_tests(&ran.out, &ran.err);
            if tests.passed + tests.failed.len() as u64 == 0 {
                return Err(ran.failure("go"));
            }
            let value = format!("{} data races; {}", checks::races(&ran.out), tests.text());
            Ok(Found {
                said: checks::telling(&ran.out),
                ..Found::new(value, "sees only the paths that run")
            })
        });
        let step = go(&["vet"], &place.folder).words(&all);
        side.step("R-3 vet", &step, |ran| {
            if ran.code != Some(0) && checks::vet_findings(&ran.err) == 0 {
                return Err(ran.failure("go"));
            }
            Ok(Found::new(format!("{} findings", checks::vet_findings(&ran.err)), ""))
        });
    }
    if side.wants(Row::Advisories) {
        advisories::go(side, place);
    }
    if side.wants(Row::Dependencies) {
        say("dependencies");
        row_dependencies(side, &packages, &command);
    }
    if side.wants(Row::Tests) {
        say("tests, again and again");
        let build = go(&["test", "-count=1", "-run", "^$"], &place.folder).words(&all);
        let step = go(&["test", "-count=1", "-json"], &place.folder).words(&all);
        checks::again(side, &build, &step, checks::go_tests);
    }
    let built = if [Row::Build, Row::Artefact, Row::ColdStart].iter().any(|&row| side.wants(row)) {
        say("builds");
        build(side, place, top, scratch, &packages)
    } else {
        Err("nothing was built".to_owned())
    };
    if side.wants(Row::Artefact) {
        artefact::row(side, &built, scratch);
    }
    if side.wants(Row::Code) {
        code(side, &packages);
    }
    if side.wants(Row::ColdStart) {
        say("starts");
        cold_start::row(side, &built, scratch);
    }
}

fn row_surface(side: &mut Side<'_>, packages: &[Package], command: &str) {
    let (mut own, mut others, mut std) = <(Surface, Surface, Surface)>::default();
    let mut said = Vec::new();
    for package in packages {
        match &package.module {
            None => std.add(package),
            Some(module) if module.own => own.add(package),
            Some(_) => {
                others.add(package);
                if package.imports.contains("unsafe") || package.cgo_files > 0 {
                    said.push(package.path.clone());
                }
            }
        }
    }
    let value =
        format!("own: {}; dependencies: {}; std: {}", own.text(), others.text(), std.text());
    let note = "an import of unsafe, whatever it is used for; the standard library apart";
    side.row("R-1", command, Ok(Found { said: said.join("\n"), ..Found::new(value, note) }));
}

fn row_dependencies(side: &mut Side<'_>, packages: &[Package], command: &str) {
    let mut listed: Vec<Dependency> = Vec::new();
    let mut direct = BTreeSet::new();
    for module in packages.iter().filter_map(|package| package.module.as_ref()) {
        if listed.iter().any(|one| one.name == module.path) {
            continue;
        }
        if module.direct {
            direct.insert(module.path.as_str());
        }
        listed.push(Dependency {
            name: module.path.clone(),
            version: module.version.clone(),
            own: module.own,
            licence: licence(&module.folder),
        });
    }
    listed.sort();
    let mut found = dependencies::row(&listed, |one| direct.contains(one));
    found.note =
        "modules that packages of the build come from, the standard library left out".into();
    side.row("R-9", command, Ok(found));
    dependencies::licence_row(side, command, &listed);
}

/// By the words of the module's own file.
fn licence(folder: &Path) -> Option<String> {
    ["LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "COPYING", "LICENSE.MIT"]
        .iter()
        .find_map(|name| std::fs::read(folder.join(name)).ok())
        .and_then(|text| licences::of_text(&String::from_utf8_lossy(&text)))
        .map(str::to_owned)
}

fn build(
    side: &mut Side<'_>,
    place: &Place,
    top: &Path,
    scratch: &Scratch,
    packages: &[Package],
) -> Result<PathBuf, String> {
    let copy = builds::copied(side, place, top, scratch)?;
    let program = scratch.path().join("program");
    let step = go(&["build", "-trimpath", "-o"], &copy.folder)
        .word(program.display().to_string())
        .words(&side.source.build)
        .word(".");
    let here = |package: &Package| {
        let file = package.files.first()?;
        let within = package.folder.strip_prefix(top).ok()?.join(file);
        Some(copy.top.join(within))
    };
    // The last is what was asked for, the first own ones import no own ones.
    let root = packages.last();
    let leaf = packages.iter().rev().skip(1).rev().find(|package| package.own());
    let builder = Builder {
        step,
        variable: "GOCACHE",
        folder: scratch.path().join("target"),
        handler: root.and_then(here),
        leaf: leaf.and_then(here),
        constant: |number| format!("\nvar tandemRubric{number} = {number}\n"),
        versions: super::version("go", "version", &place.folder, &side.limits),
        flags: ["GOAMD64", "CGO_ENABLED", "GOEXPERIMENT"],
    };
    builds::rows(side, &builder)?;
    if program.is_file() { Ok(program) } else { Err("the build left no program".to_owned()) }
}

fn code(side: &mut Side<'_>, packages: &[Package]) {
    let mut lines = Lines::default();
    let mut files = 0_u64;
    for package in packages.iter().filter(|package| package.own()) {
        for file in package.files.iter().chain(&package.tests) {
            if let Ok(source) = std::fs::read(package.folder.join(file)) {
                lines +=
                    lines::count(Path::new(file), &String::from_utf8_lossy(&source), Language::Go);
                files += 1;
            }
        }
    }
    let value = format!(
        "{} handwritten, {} generated, {} tests",
        lines.handwritten, lines.generated, lines.tests
    );
    let note =
        format!("lines that hold code, {files} files of own packages; generated: what says so");
    side.row(
        "R-10",
        "counted by tandem (blank lines and comments left out)",
        Ok(Found::new(value, note)),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `go list -deps -json=…` in a module with one dependency and one that a path stands for.
    const LISTED: &str = include_str!("../../tests/data/golist.json");

    #[test]
    fn modules_are_own_direct_or_neither() {
        let packages = read(LISTED).unwrap();
        let found: Vec<(&str, Option<(bool, bool)>)> = packages
            .iter()
            .map(|one| {
                (one.path.as_str(), one.module.as_ref().map(|module| (module.own, module.direct)))
            })
            .collect();
        assert_eq!(
            found,
            [
                ("internal/goarch", None),
                ("unsafe", None),
                ("golang.org/x/sys/unix", Some((false, false))),
                ("tandem.dev/clients/go", Some((true, true))),
                ("tandem.local/cases/catalogue/go", Some((true, true))),
            ]
        );
        let mut surface = Surface::default();
        packages.iter().for_each(|package| surface.add(package));
        assert_eq!(
            surface.text(),
            "unsafe in 1 of 5 packages, cgo in 0, assembly in 1, 0 linknames"
        );
        assert!(read("").is_err() && read("go: no such package").is_err());
    }
}
