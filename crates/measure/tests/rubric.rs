//! The rubric of two tiny programs, by the real tools.
//!
//! The Go half says so and passes when there is no Go: what a missing tool gives is tested by
//! itself.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tandem_judge::report::Rubric;
use tandem_judge::verdict::{Fact, Must, Value};
use tandem_measure::rubric::{self, Findings, NOT_RUN, Options, Row, Source, Sources, Start};

fn source(name: &str) -> Source {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    Source { role: "primary".into(), folder, ..Source::default() }
}

/// A folder of this test for scratch, which must be empty afterwards.
fn run(source: Source, rows: &[Row], name: &str) -> Findings {
    let scratch = std::env::temp_dir().join(format!("tandem-{name}-{}", std::process::id()));
    let options = Options {
        rows: rows.iter().copied().collect(),
        builds: 1,
        tests: 2,
        starts: 3,
        scratch: scratch.clone(),
        ..Options::default()
    };
    let findings = rubric::run(&Sources { sides: vec![source] }, &options, |_| {});
    // Fails when anything was left in it.
    std::fs::remove_dir(&scratch).expect("nothing is left behind");
    findings
}

#[track_caller]
fn row<'a>(findings: &'a Findings, name: &str) -> &'a Rubric {
    findings.rows.iter().find(|row| row.row == name).unwrap_or_else(|| {
        let names: Vec<&str> = findings.rows.iter().map(|row| row.row.as_str()).collect();
        panic!("no row {name} among {names:?}")
    })
}

fn go_is_here() -> bool {
    let here = Command::new("go").arg("version").output().is_ok_and(|out| out.status.success());
    if !here {
        eprintln!("skipped: Go is missing");
    }
    here
}

#[test]
fn a_rust_program_is_counted_built_tested_and_started() {
    let mut tiny = source("tiny-rust");
    tiny.start = Some(Start {
        arguments: vec!["{port}".into()],
        service: "tiny.Tiny".into(),
        call: Some(("tiny.Tiny/Get".into(), Vec::new())),
        ..Start::default()
    });
    let rows: BTreeSet<Row> = Row::ALL.into_iter().filter(|row| *row != Row::Dynamic).collect();
    let findings = run(tiny, &Vec::from_iter(rows), "rubric-rust");

    let surface = row(&findings, "R-1");
    assert!(surface.value.starts_with("own: 1 unsafe (1 blocks, 0 fn"), "{surface:?}");
    assert!(surface.value.contains("in 0 of 0 crates"), "{surface:?}");
    assert!(row(&findings, "R-3").value.starts_with("own: 0 unsafe impl of Send or Sync"));
    assert_eq!(row(&findings, "R-3 loom").value, NOT_RUN);
    let advisories = row(&findings, "R-4");
    assert_eq!((advisories.value.as_str(), advisories.note.as_str()), (NOT_RUN, "no database"));
    for name in ["R-5 clean", "R-5 handler", "R-5 leaf"] {
        let built = row(&findings, name);
        assert!(built.value.starts_with("wall ") && built.value.ends_with("(N = 1)"), "{built:?}");
        assert!(
            built.command.starts_with("CARGO_TARGET_DIR=$SCRATCH/target cargo build --release")
        );
    }
    let leaf = row(&findings, "R-5 leaf");
    assert!(leaf.note.ends_with("tiny-rust/leaf/src/lib.rs"), "{leaf:?}");
    let tests = row(&findings, "R-7");
    assert!(
        tests.value.starts_with("1 tests passed, 0 failed; 0 flaky, 0 always fail"),
        "{tests:?}"
    );
    let artefact = row(&findings, "R-8");
    assert!(artefact.value.contains("stripped") || artefact.note.contains("strip"), "{artefact:?}");
    assert_eq!(row(&findings, "R-9").value, "0 (0 direct, 0 transitive)");
    let code = row(&findings, "R-10");
    assert!(code.value.contains("0 generated, 7 tests"), "{code:?}");
    let start = row(&findings, "R-11");
    assert!(start.value.contains("first answer") && start.value.contains("RSS "), "{start:?}");
    for name in ["R-6", "R-12"] {
        assert_eq!(row(&findings, name).value, NOT_RUN);
    }
    let here = env!("CARGO_MANIFEST_DIR");
    assert!(findings.rows.iter().all(|row| !format!("{row:?}").contains(here)), "{findings:?}");

    let facts = &findings.facts["primary"];
    let judged = |text: &str, name: &str| Must::parse(text).unwrap().judged(&facts[name]).value;
    assert_eq!(judged("advisories(high)=0", "advisories(high)"), Value::NotRun);
    assert_eq!(judged("license in {MIT}", "license"), Value::Pass);
}

#[test]
fn a_go_program_is_counted_tested_and_built() {
    if !go_is_here() {
        return;
    }
    let rows = [Row::Surface, Row::Concurrency, Row::Build, Row::Artefact, Row::Code, Row::Tests];
    let findings = run(source("tiny-go"), &rows, "rubric-go");
    let surface = row(&findings, "R-1");
    assert!(surface.value.starts_with("own: unsafe in 1 of 2 packages, cgo in 0"), "{surface:?}");
    let races = row(&findings, "R-3");
    // Without a C compiler there is no race detector, which is a reason and no zero.
    if races.value == NOT_RUN {
        assert!(races.note.contains("cgo") || races.note.contains("gcc"), "{races:?}");
    } else {
        assert_eq!(races.value, "1 data races; 0 tests passed, 1 failed", "{races:?}");
        assert!(races.output.contains("WARNING: DATA RACE"), "{races:?}");
    }
    assert_eq!(row(&findings, "R-3 vet").value, "0 findings");
    assert!(row(&findings, "R-5 clean").command.starts_with("GOFLAGS=-mod=readonly GOPROXY=off"));
    assert!(row(&findings, "R-5 leaf").note.ends_with("tiny-go/leaf/leaf.go"));
    assert!(row(&findings, "R-5 handler").note.ends_with("tiny-go/main.go"));
    assert!(row(&findings, "R-7").value.starts_with("1 tests passed, 0 failed; 0 flaky"));
    assert!(row(&findings, "R-8").value.contains(" as built"));
    let code = row(&findings, "R-10");
    assert_eq!(code.value, "22 handwritten, 0 generated, 5 tests", "{code:?}");
}

#[test]
fn compare_r_4_without_a_database_nothing_is_known_and_nothing_passes() {
    let findings = run(source("tiny-rust"), &[Row::Advisories], "rubric-advisories");
    assert_eq!(findings.facts["primary"]["advisories(high)"], Fact::NotRun);
}

#[test]
fn what_is_neither_rust_nor_go_is_said_in_every_row() {
    let nowhere = Source { role: "candidate".into(), folder: "/".into(), ..Source::default() };
    let options = Options { scratch: std::env::temp_dir(), ..Options::default() };
    let findings = rubric::run(&Sources { sides: vec![nowhere] }, &options, |_| {});
    assert_eq!(findings.rows.len(), Row::ALL.len());
    for row in &findings.rows {
        assert_eq!(row.value, NOT_RUN);
        assert!(row.note.contains("no Cargo.toml and no go.mod"), "{row:?}");
    }
}

#[test]
fn a_run_that_is_stopped_gives_reasons_and_no_values() {
    let stop = Arc::new(AtomicBool::new(true));
    let options = Options {
        stop,
        rows: BTreeSet::from([Row::Build, Row::Dependencies]),
        ..Options::default()
    };
    let sources = Sources { sides: vec![source("tiny-rust")] };
    let findings = rubric::run(&sources, &options, |_| {});
    assert!(!findings.rows.is_empty());
    for row in &findings.rows {
        assert_eq!(row.value, NOT_RUN, "{row:?}");
    }
}
