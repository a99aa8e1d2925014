//! The end of a run: its document drawn, written and printed, and its exit code.
//!
//! Not here: what the figures mean (`document`, by `tandem_judge`).

use std::path::Path;

use tandem_judge::report::{self, Document};
use tandem_measure::environment::Machine;
use tandem_measure::probe::Target;
use tandem_measure::probe::host::UNATTRIBUTED_MOST;

use super::ask::Ask;
use super::document::{self, Judged};
use super::ending::{self, Beside};
use super::evidence::Evidence;
use super::figures;
use super::run::{Halt, Run};
use super::side::{Settings, Side};
use super::streams::{self, Seen};
use crate::failure::{Exit, Failure};
use crate::files::{self, New, Over};
use crate::output::{self, Form};

/// Both sides as a report names them.
pub(crate) fn sides(primary: &Side, candidate: &Side, settings: &Settings) -> [report::Side; 2] {
    [primary, candidate].map(|side| report::Side {
        role: side.role.to_owned(),
        name: side.named.name.clone(),
        version: String::new(),
        target: super::redact::text(&targets(&side.named.targets)),
        build: report::Build::default(),
        runtime: report::Runtime {
            parallelism: side.threads_told(settings),
            ..report::Runtime::default()
        },
    })
}

fn targets(all: &[Target]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The machine as it is.
pub(crate) fn machine() -> report::Machine {
    let Machine {
        cpu,
        cores,
        cores_allowed: _,
        memory_bytes: _,
        kernel,
        virtualisation,
        cgroup,
        cgroup_cores: _,
        governor: _,
        load: _,
    } = Machine::read();
    report::Machine {
        cpu: cpu.unwrap_or_default(),
        cores: u32::try_from(cores).unwrap_or(u32::MAX),
        kernel: kernel.unwrap_or_default(),
        virtualisation: Some(virtualisation),
        cgroup,
        sources: report::Sources::default(),
    }
}

/// Draws the document, writes it where it is wanted, prints the table.
///
/// # Errors
/// Files that cannot be written.
pub(crate) fn report(mut run: Run, halt: Option<Halt>, form: Form) -> Result<Exit, Failure> {
    run.evidence.partial |= halt.is_some();
    run.evidence.machine.sources = sources(&run);
    // Before the document is drawn, which says what had to be changed or left out.
    let corpus = match run.ask.out {
        Some(_) => Some(recorded(&mut run)?),
        None => None,
    };
    for side in [&run.primary, &run.candidate] {
        run.evidence.notes.extend(side.probe.notes().cloned());
    }
    let Judged { mut document, verdict, regressions, unproven } =
        document::judged(&run.ask, &run.evidence);
    document.ledger = ledger(&run.ask, &document);
    if let Some((folder, corpus)) = run.ask.out.as_ref().zip(corpus) {
        write(folder, &document, &run.evidence, corpus)?;
    }
    match form {
        Form::Json => output::data(&report::json(&document)),
        Form::Text => {
            output::data(&report::table(&document));
            for note in notes(&run, &document) {
                output::talk(&format!("  {note}"));
            }
            if let Some(folder) = &run.ask.out {
                output::talk(&format!("  report      {}", folder.join("report.html").display()));
            }
        }
    }
    let beside = Beside { has_regressed: !regressions.is_empty(), unproven };
    let (exit, found) = ending::exit(&verdict, beside, halt.as_ref(), run.ask.fail_on.as_deref());
    // A failure is said by whoever gets it, and ends with its own code.
    if let Some(Halt::Failed(failure)) = halt {
        return Err(failure);
    }
    if exit as u8 != found && form == Form::Text {
        output::talk(&format!("  exit {found} is left out by `--fail-on`, so it is 0"));
    }
    Ok(exit)
}

/// Which reading of each ladder was used; of the primary, and of the candidate where it differs.
fn sources(run: &Run) -> report::Sources {
    let [primary, candidate] = [&run.primary, &run.candidate].map(|side| side.probe.sources());
    let ([cpu, peak], [other_cpu, other_peak]) = (primary, candidate);
    let both = |one: String, other: String| match one == other {
        true => one,
        false => format!("{one}; candidate {other}"),
    };
    report::Sources {
        cpu: both(cpu, other_cpu),
        memory: both(peak, other_peak),
        context_switches: "none".to_owned(),
    }
}

/// What a reader must not conclude, and what was not as it should be.
fn notes(run: &Run, document: &Document) -> Vec<String> {
    let mut notes: Vec<String> =
        document.run.notes.iter().map(|it| format!("note        {it}")).collect();
    notes.extend(streams(run).into_iter().map(|it| format!("note        {it}")));
    let nobody = document::unattributed(&run.evidence);
    if nobody > UNATTRIBUTED_MOST {
        let part = report::units::percent(nobody);
        notes.push(format!(
            "note        nobody answers for {part} of the CPU: others use this machine"
        ));
    }
    if run.ask.quick {
        notes.push(
            "--quick: one rate, no slope of CPU, no capacity, no memory a minute later; a p99 needs \
             more calls than this sends"
                .to_owned(),
        );
    }
    notes
}

/// Which streams were cut, and where the sides did not do the same work.
fn streams(run: &Run) -> Vec<String> {
    let mut seen: [Vec<Seen>; 2] = Default::default();
    for (_, series) in &run.evidence.series {
        for (all, more) in seen.iter_mut().zip(&series.streams) {
            streams::add_all(all, more);
        }
    }
    let [primary, candidate] = [0, 1].map(|side: usize| &*run.ask.sides[side].name);
    let both = seen[0].iter().zip(&seen[1]).zip(run.evidence.answers.names());
    both.filter_map(|((one, other), method)| {
        streams::note(method, [(primary, *one), (candidate, *other)], run.ask.cut)
    })
    .collect()
}

/// Runs of this series that came before, from the result that this one replaces (compare P-7).
fn ledger(ask: &Ask, document: &Document) -> Vec<report::Ledger> {
    let before = ask.out.as_ref().and_then(|folder| {
        let text = super::ask::read_file("--out", &folder.join(RESULT)).ok()?;
        serde_json::from_str::<Document>(&text).ok()
    });
    let of_series = before.filter(|before| {
        let names =
            |document: &Document| [0, 1].map(|side: usize| document.sides[side].name.clone());
        before.run.method == document.run.method && names(before) == names(document)
    });
    let mut ledger = of_series.map(|before| before.ledger).unwrap_or_default();
    ledger.push(report::Ledger {
        id: document.run.id.clone(),
        started: document.run.started.clone(),
        word: document.verdict.word.to_string(),
    });
    ledger
}

const RESULT: &str = "result.json";

/// The record of what was sent.
fn recorded(run: &mut Run) -> Result<Vec<u8>, Failure> {
    let (written, notes) = run.sent.record(&run.generator.calls)?;
    run.evidence.notes.extend(notes);
    run.evidence.data.redacted = Some(written.redacted);
    run.evidence.data.left_out = Some(written.left_out);
    Ok(written.bytes)
}

fn write(
    folder: &Path,
    document: &Document,
    evidence: &Evidence,
    corpus: Vec<u8>,
) -> Result<(), Failure> {
    let file =
        |name: &str, bytes: Vec<u8>| New { path: folder.join(name), bytes, over: Over::Replace };
    let mut all = vec![
        file("report.html", report::html(document).into_bytes()),
        file(RESULT, report::json(document).into_bytes()),
        file("blocks.csv", report::blocks_csv(document).into_bytes()),
        file("corpus.binlog", corpus),
    ];
    all.extend(figures::series(evidence).into_iter().map(|(name, text)| file(&name, text)));
    all.extend(figures::interval_logs(evidence).into_iter().map(|(name, text)| file(&name, text)));
    files::write(&all)
}
