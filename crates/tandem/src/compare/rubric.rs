//! What can be counted about both sides without load, when the load is over: the rows of the
//! rubric, by the same commands as `./x cases rubric`.
//!
//! Builds take minutes, so all of it happens on a thread of its own, on all cores that this process
//! had in the beginning, and ends with the budget: rows that are left are `not_run`, which is never
//! a zero. Nothing is downloaded and sources are not written to.
//!
//! Not here: the rows (`tandem_measure::rubric`), what follows from them (`document`).

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tandem_judge::cost;
use tandem_judge::report;
use tandem_judge::verdict::{self, Cell, CellInput};
use tandem_measure::environment::{pin, priority};
use tandem_measure::rubric::{
    self, BuildTimes, Findings, NOT_RUN, Options, Row, Source, Sources, Start,
};
use tokio::sync::mpsc;

use super::ask::Demand;
use super::process::Command;
use super::redact;
use super::run::{Halt, Run};
use super::target::Way;
use crate::failure::{Exit, Failure};

/// What is asked for with `--rubric`.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// The primary's sources, the candidate's.
    pub(crate) sources: [Option<PathBuf>; 2],
}

/// Added to a budget that nobody chose.
pub(crate) fn time(quick: bool) -> Duration {
    Duration::from_secs(if quick { 10 * 60 } else { 20 * 60 })
}

/// What is run here: the rest needs instruments of its own and is `./x cases rubric`.
const ROWS: [Row; 8] = [
    Row::Surface,
    Row::Advisories,
    Row::Build,
    Row::Tests,
    Row::Artefact,
    Row::Dependencies,
    Row::Code,
    Row::ColdStart,
];

/// How often what is repeated is done: builds, tests, starts. The second is for a run in a hurry.
const REPEATED: [(u32, u32, u32); 2] = [(3, 3, 20), (1, 1, 5)];

/// The rubric as a plan has it.
pub(crate) fn planned(quick: bool) -> String {
    let (builds, tests, starts) = REPEATED[usize::from(quick)];
    let numbers: Vec<&str> = ROWS.iter().map(|row| row.number()).collect();
    format!(
        "rubric {}: builds {builds}×, tests {tests}×, starts {starts}×, of each side",
        numbers.join(", ")
    )
}

/// Runs it, if it was asked for.
pub(crate) async fn rubric(run: &mut Run) -> Result<(), Halt> {
    let Some(wanted) = run.ask.rubric.clone() else { return Ok(()) };
    let left = run.budget.left();
    if left.is_zero() {
        run.cut("rubric before it began");
        return Ok(());
    }
    let (builds, tests, starts) = REPEATED[usize::from(run.ask.quick)];
    let options = Options {
        rows: ROWS.into_iter().collect(),
        builds,
        tests,
        starts,
        time_max: Options::default().time_max.min(left),
        ..Options::default()
    };
    let stop = Arc::clone(&options.stop);
    let sources = Sources { sides: sources(run, wanted) };
    let (say, mut heard) = mpsc::unbounded_channel();
    let cores = run.layout.all.clone();
    let mut work = tokio::task::spawn_blocking(move || {
        if !cores.is_empty() {
            // The thread that sends has one core, and what it starts would have no other.
            let _ = pin::this_thread(&cores);
        }
        priority::as_usual();
        rubric::run(&sources, &options, |what| _ = say.send(what.to_owned()))
    });
    let halted = loop {
        let over = tokio::time::sleep(run.budget.left());
        let next = async {
            tokio::select! {
                done = &mut work => Next::Done(done.map_err(|panic| failed(&panic.to_string()))),
                Some(what) = heard.recv() => Next::Said(what),
                () = over => Next::Over,
            }
        };
        match run.interrupt.or(next).await {
            Ok(Next::Said(what)) => run.progress.now("rubric", &what),
            Ok(Next::Done(findings)) => {
                keep(run, findings?);
                break None;
            }
            Ok(Next::Over) => {
                run.cut("rubric");
                break Some(None);
            }
            Err(interrupted) => break Some(Some(interrupted)),
        }
    };
    if let Some(interrupted) = halted {
        // What runs is ended with all that it started, and the rows until then are kept.
        stop.store(true, Ordering::Relaxed);
        keep(run, work.await.map_err(|panic| failed(&panic.to_string()))?);
        if let Some(interrupted) = interrupted {
            return Err(interrupted.into());
        }
    }
    let rows = &run.evidence.rubric;
    let lacks = rows.iter().filter(|row| row.value == NOT_RUN).count();
    let said = format!("{} rows, {lacks} of them not run", rows.len());
    run.progress.done("rubric", &said);
    Ok(())
}

enum Next {
    Said(String),
    Done(Result<Findings, Failure>),
    Over,
}

fn failed(why: &str) -> Failure {
    Failure::new(Exit::Failed, "the rubric stopped").at("--rubric").because(why)
}

fn keep(run: &mut Run, findings: Findings) {
    let Findings { rows, facts, builds } = findings;
    let shown = |row: report::Rubric| report::Rubric {
        // Its words come from a command line that may hold a secret (compare T-19).
        command: redact::text(&row.command),
        output: redact::text(&row.output),
        note: redact::text(&row.note),
        ..row
    };
    run.evidence.rubric = rows.into_iter().map(shown).collect();
    run.evidence.facts = facts;
    run.evidence.builds = ROLES.map(|role| builds.get(role).cloned().unwrap_or_default());
}

const ROLES: [&str; 2] = ["primary", "candidate"];

/// Both sides: their sources, and how what is built of them begins.
fn sources(run: &Run, wanted: Wanted) -> Vec<Source> {
    let sides = wanted.sources.into_iter().zip([&run.primary, &run.candidate]).zip(ROLES);
    sides
        .map(|((folder, side), role)| Source {
            role: role.to_owned(),
            folder: folder.unwrap_or_default(),
            build: Vec::new(),
            start: match &side.named.way {
                Way::Started { command, .. } => Some(start(run, command)),
                Way::There(_) | Way::Configured { .. } => None,
            },
        })
        .collect()
}

/// As the side was started for the load. Its data folder is empty, so whatever status the first
/// call gets is its first answer.
fn start(run: &Run, command: &Command) -> Start {
    let call = run.generator.calls.first();
    Start {
        program: Some(command.program().into()),
        environment: command.assignments().to_vec(),
        arguments: command.arguments().to_vec(),
        service: String::new(),
        call: call.map(|call| {
            let path = run.callees[call.method].path.trim_start_matches('/').to_owned();
            (path, call.messages.first().map(|message| message.to_vec()).unwrap_or_default())
        }),
        any_status: true,
    }
}

/// Rows of the table that come from builds.
pub(crate) const BUILDS: [&str; 2] = ["build", "build_changed"];

fn times(builds: &BuildTimes, id: &str) -> Vec<f64> {
    let BuildTimes { clean_s, changed_s } = builds;
    if id == BUILDS[0] { clean_s.clone() } else { changed_s.clone() }
}

/// Builds of both sides as rows to be judged; none where a side was not built.
pub(crate) fn inputs(demand: &Demand, builds: &[BuildTimes; 2]) -> Vec<CellInput> {
    let input = |id: &str| {
        let [primary, candidate] = [0, 1].map(|place: usize| times(&builds[place], id));
        let (ratio, interval) = cost::times_ratio(&primary, &candidate)?;
        Some(CellInput {
            id: id.to_owned(),
            ratio,
            interval,
            p: None,
            quartets: 0,
            smaller_is_better: true,
            margin: demand.margin(id),
            floor: 0.0,
            headline: false,
            counts: demand.counts(id),
        })
    };
    BUILDS.into_iter().filter_map(input).collect()
}

/// A judged row of builds for the document: the median of each side.
pub(crate) fn metric(
    builds: &[BuildTimes; 2],
    input: &CellInput,
    row: &verdict::Row,
) -> report::Metric {
    let side = |place: usize| {
        let mut times = times(&builds[place], &input.id);
        times.sort_by(f64::total_cmp);
        report::MetricSide {
            value: times[times.len() / 2],
            interval: None,
            n: times.len() as u64,
            dimmed: false,
        }
    };
    report::Metric {
        id: row.id.clone(),
        unit: "s".to_owned(),
        rate: None,
        primary: side(0),
        candidate: side(1),
        ratio: row.ratio,
        interval: row.interval,
        p: None,
        p_holm: None,
        margin: input.margin,
        floor: input.floor,
        cell: row.cell,
        headline: false,
        counts: row.counts,
        needed_quartets: None,
        needed_pairs: None,
        against: None,
        lacks: (row.cell == Cell::Unknown).then(|| "builds".to_owned()),
    }
}
