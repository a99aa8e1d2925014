//! What can be counted about an implementation without load: the rows of the rubric.
//!
//! Each row is a count, a time or a list, with the command that anybody can run again and what it
//! said. A tool or a database that is missing makes a row `not_run` with the reason, which is
//! neither a zero nor a pass. Own code and dependencies stand apart, and nothing becomes a score:
//! the two languages' rows are two lists.
//!
//! Sources are never written to: builds run on a copy in a scratch folder that is removed
//! afterwards. Nothing is downloaded: cargo and go are told that there is no network, so a cold
//! cache gives `not_run`.
//!
//! Not here: what rows mean for a verdict (`judge::verdict`), anything under load (`load`,
//! `probe`).

mod advisories;
mod artefact;
mod builds;
mod checks;
mod cold_start;
pub(crate) mod command;
mod dependencies;
mod go;
mod grpc;
mod licences;
mod lines;
mod rust;
pub(crate) mod scratch;
mod surface;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tandem_judge::report::Rubric;
use tandem_judge::verdict::Fact;

use self::command::{Limits, Step};
use self::scratch::Scratch;

/// In the place of a value that could not be had.
pub const NOT_RUN: &str = "not_run";

/// The sources of the implementations.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    pub sides: Vec<Source>,
}

/// One implementation's sources, and how it is built and started.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// `primary` or `candidate`.
    pub role: String,
    /// Where its `Cargo.toml` is, or the Go package with its `main`. Empty where nobody has the
    /// sources: then only what a program by itself shows is looked at.
    pub folder: PathBuf,
    /// Further words for the build: `--features x`, `-tags x`.
    pub build: Vec<String>,
    /// Without it there is no cold start to look at.
    pub start: Option<Start>,
}

/// How the program is started and asked.
#[derive(Debug, Clone, Default)]
pub struct Start {
    /// `None` for the one that was built.
    pub program: Option<PathBuf>,
    pub environment: Vec<(String, String)>,
    /// `{port}` becomes a free port, `{port:NAME}` a further one, `{data}` and `{folder}` a folder.
    pub arguments: Vec<String>,
    /// The service that `grpc.health.v1` is asked for.
    pub service: String,
    /// `package.Service/Method` and the bytes of a request that it answers with a message of less
    /// than 64 KiB.
    pub call: Option<(String, Vec<u8>)>,
    /// Whether an answer without a message, which is a status, is an answer as well.
    pub any_status: bool,
}

/// Rows that can be asked for apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Row {
    Surface,
    Dynamic,
    Concurrency,
    Advisories,
    Build,
    Change,
    Tests,
    Artefact,
    Dependencies,
    Code,
    ColdStart,
    Load,
}

impl Row {
    pub const ALL: [Row; 12] = [
        Row::Surface,
        Row::Dynamic,
        Row::Concurrency,
        Row::Advisories,
        Row::Build,
        Row::Change,
        Row::Tests,
        Row::Artefact,
        Row::Dependencies,
        Row::Code,
        Row::ColdStart,
        Row::Load,
    ];

    /// `R-1`.
    pub fn number(self) -> &'static str {
        match self {
            Row::Surface => "R-1",
            Row::Dynamic => "R-2",
            Row::Concurrency => "R-3",
            Row::Advisories => "R-4",
            Row::Build => "R-5",
            Row::Change => "R-6",
            Row::Tests => "R-7",
            Row::Artefact => "R-8",
            Row::Dependencies => "R-9",
            Row::Code => "R-10",
            Row::ColdStart => "R-11",
            Row::Load => "R-12",
        }
    }
}

/// How much is done, and within what.
#[derive(Debug, Clone)]
pub struct Options {
    pub rows: BTreeSet<Row>,
    /// Builds from nothing, and changes built after the last of them.
    pub builds: u32,
    pub tests: u32,
    pub starts: u32,
    /// For one command.
    pub time_max: Duration,
    /// A copy of the RustSec database.
    pub rustsec: Option<PathBuf>,
    /// A copy of the Go vulnerability database.
    pub govulndb: Option<PathBuf>,
    /// Where the scratch folder is made; as large as a build.
    pub scratch: PathBuf,
    /// Set by whoever wants the run to end: rows that are left become `not_run`.
    pub stop: Arc<AtomicBool>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            rows: Row::ALL.into_iter().collect(),
            builds: 5,
            tests: 10,
            starts: 100,
            time_max: Duration::from_mins(20),
            rustsec: None,
            govulndb: None,
            scratch: std::env::temp_dir(),
            stop: Arc::default(),
        }
    }
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Findings {
    pub rows: Vec<Rubric>,
    /// By role, then by the name that a must-have uses: `advisories(high)`, `license`.
    pub facts: BTreeMap<String, BTreeMap<String, Fact>>,
    /// By role, in seconds.
    pub builds: BTreeMap<String, BuildTimes>,
}

/// How long builds took, each by the clock on the wall.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BuildTimes {
    pub clean_s: Vec<f64>,
    /// After a change where the program begins.
    pub changed_s: Vec<f64>,
}

/// What a side is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    Rust,
    Go,
}

/// Runs the rows for each side; `progress` is told what is about to be done.
pub fn run(sources: &Sources, options: &Options, mut progress: impl FnMut(&str)) -> Findings {
    let mut findings = Findings::default();
    for source in &sources.sides {
        let mut side = Side {
            source,
            options,
            limits: Limits { time: options.time_max, stop: Arc::clone(&options.stop) },
            rows: Vec::new(),
            facts: BTreeMap::new(),
            builds: BuildTimes::default(),
            names: Vec::new(),
        };
        side.run(&mut progress);
        let Side { rows, facts, builds, .. } = side;
        findings.rows.extend(rows);
        findings.facts.insert(source.role.clone(), facts);
        findings.builds.insert(source.role.clone(), builds);
    }
    findings
}

/// One side while its rows are filled.
struct Side<'a> {
    source: &'a Source,
    options: &'a Options,
    limits: Limits,
    rows: Vec<Rubric>,
    facts: BTreeMap<String, Fact>,
    builds: BuildTimes,
    /// Folders of this machine and what stands for them in the report.
    names: Vec<(String, &'static str)>,
}

/// A row's value with what stands beside it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Found {
    pub(crate) value: String,
    pub(crate) note: String,
    /// What the command said.
    pub(crate) said: String,
}

impl Found {
    pub(crate) fn new(value: impl Into<String>, note: impl Into<String>) -> Found {
        Found { value: value.into(), note: note.into(), said: String::new() }
    }
}

/// Where the sources lie and what is built of them.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) language: Language,
    /// The folder that is built: a package.
    pub(crate) folder: PathBuf,
    /// The folder of the workspace or the module.
    pub(crate) root: PathBuf,
}

impl Place {
    /// The nearest `Cargo.toml` or `go.mod`; where both stand, the folder's own files decide.
    ///
    /// # Errors
    /// When there is neither.
    fn find(folder: &Path) -> Result<Place, String> {
        let folder =
            folder.canonicalize().map_err(|error| format!("{}: {error}", folder.display()))?;
        for root in folder.ancestors() {
            let (rust, go) = (root.join("Cargo.toml").is_file(), root.join("go.mod").is_file());
            let language = match (rust, go) {
                (false, false) => continue,
                (true, false) => Language::Rust,
                (false, true) => Language::Go,
                (true, true) if holds_go(&folder) => Language::Go,
                (true, true) => Language::Rust,
            };
            let root = root.to_owned();
            return Ok(Place { language, folder, root });
        }
        Err("there is no Cargo.toml and no go.mod in the folder or above it".to_owned())
    }
}

fn holds_go(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| {
        entries.any(|entry| entry.is_ok_and(|e| e.path().extension().is_some_and(|x| x == "go")))
    })
}

impl Side<'_> {
    fn run(&mut self, progress: &mut impl FnMut(&str)) {
        let wanted: Vec<Row> = self.options.rows.iter().copied().collect();
        if self.source.folder.as_os_str().is_empty() {
            self.without_sources(&wanted, progress);
            return;
        }
        let opened = Place::find(&self.source.folder).and_then(|place| {
            let scratch = Scratch::new(&self.options.scratch, &self.source.role)?;
            Ok((place, scratch))
        });
        let (place, scratch) = match opened {
            Ok(opened) => opened,
            Err(why) => {
                for row in wanted {
                    self.row(row.number(), "", Err(why.clone()));
                }
                return;
            }
        };
        let top = scratch::top(&place.folder, &place.root, &self.limits);
        self.name(scratch.path(), "$SCRATCH");
        self.name(&top, "$SRC");
        progress(&format!("{}: reading what it is made of", self.source.role));
        match place.language {
            Language::Rust => rust::run(self, &place, &top, &scratch, progress),
            Language::Go => go::run(self, &place, &top, &scratch, progress),
        }
        if self.wants(Row::Change) {
            let why = "a patch to the contract is written by hand for each service".to_owned();
            self.row(Row::Change.number(), "", Err(why));
        }
        if self.wants(Row::Load) {
            self.row(Row::Load.number(), "", Err("needs load: ./x bench idle".to_owned()));
        }
        let number = |row: &Rubric| {
            let digits = row.row.trim_start_matches("R-").split(' ').next().unwrap_or_default();
            digits.parse::<u32>().unwrap_or(u32::MAX)
        };
        self.rows.sort_by_key(number);
    }

    /// What a program shows without its sources: what it weighs and how it starts.
    fn without_sources(&mut self, wanted: &[Row], progress: &mut impl FnMut(&str)) {
        let program = self.source.start.as_ref().and_then(|start| start.program.clone());
        let missing = || "no sources were named".to_owned();
        let scratch = Scratch::new(&self.options.scratch, &self.source.role);
        for row in wanted {
            match (row, &program, &scratch) {
                (Row::Artefact, Some(program), Ok(scratch)) => {
                    self.name(scratch.path(), "$SCRATCH");
                    artefact::row(self, &on_path(program), scratch);
                }
                (Row::ColdStart, Some(_), Ok(scratch)) => {
                    progress(&format!("{}: starts", self.source.role));
                    cold_start::row(self, &Err(missing()), scratch);
                }
                (Row::Artefact | Row::ColdStart, Some(_), Err(why)) => {
                    self.row(row.number(), "", Err(why.clone()));
                }
                _ => self.row(row.number(), "", Err(missing())),
            }
        }
    }

    fn wants(&self, row: Row) -> bool {
        self.options.rows.contains(&row)
    }

    fn stopped(&self) -> bool {
        self.limits.stop.load(Ordering::Relaxed)
    }

    fn name(&mut self, folder: &Path, name: &'static str) {
        self.names.push((folder.display().to_string(), name));
    }

    /// Without the folders of this machine.
    fn plain(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (folder, name)| text.replace(folder, name))
    }

    fn row(&mut self, row: &str, command: &str, found: Result<Found, String>) {
        let Found { value, note, said } = found.unwrap_or_else(|why| Found::new(NOT_RUN, why));
        self.rows.push(Rubric {
            row: row.to_owned(),
            role: self.source.role.clone(),
            command: self.plain(command),
            value: self.plain(&value),
            note: self.plain(&note),
            output: self.plain(&command::cut(&said)),
        });
    }

    /// Runs a step and makes a row of what it said.
    fn step(
        &mut self,
        row: &str,
        step: &Step,
        read: impl FnOnce(&command::Ran) -> Result<Found, String>,
    ) {
        let found = step.run(&self.limits).and_then(|ran| {
            let said = ran.said();
            read(&ran)
                .map(|found| if found.said.is_empty() { Found { said, ..found } } else { found })
        });
        self.row(row, &step.text(), found);
    }
}

/// Where a program lies, looked for as a shell looks for it.
fn on_path(program: &Path) -> Result<PathBuf, String> {
    if program.components().count() > 1 {
        return Ok(program.to_owned());
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
        .ok_or_else(|| format!("`{}` is not on PATH", program.display()))
}

/// What a tool says of its version, in one line.
pub(crate) fn version(program: &str, word: &str, folder: &Path, limits: &Limits) -> String {
    Step::new(program, &[word], folder)
        .output(limits)
        .map(|ran| ran.out.lines().next().unwrap_or_default().trim().to_owned())
        .unwrap_or_else(|why| why)
}
