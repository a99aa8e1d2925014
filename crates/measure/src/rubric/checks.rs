//! Tests, and what tools say about a run of them.

use std::collections::BTreeSet;

use serde_json::Value;
use tandem_judge::report::units;

use super::command::{Ran, Step};
use super::{Found, Side};

/// One run of tests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tests {
    pub(crate) passed: u64,
    pub(crate) skipped: u64,
    pub(crate) failed: BTreeSet<String>,
}

impl Tests {
    pub(crate) fn text(&self) -> String {
        let Tests { passed, skipped, failed } = self;
        let skipped = if *skipped > 0 { format!(", {skipped} skipped") } else { String::new() };
        format!("{passed} tests passed, {} failed{skipped}", failed.len())
    }
}

/// From what `cargo test` prints for people: its form for machines is not stable.
pub(crate) fn cargo_tests(out: &str, _err: &str) -> Tests {
    let mut tests = Tests::default();
    for line in out.lines() {
        if let Some(name) =
            line.strip_prefix("test ").and_then(|line| line.strip_suffix(" ... FAILED"))
        {
            tests.failed.insert(name.to_owned());
        }
        let Some(result) = line.strip_prefix("test result: ") else { continue };
        for part in result.split([';', '.']) {
            let mut words = part.split_whitespace();
            let count = words.next().and_then(|word| word.parse::<u64>().ok());
            match (count, words.next()) {
                (Some(count), Some("passed")) => tests.passed += count,
                (Some(count), Some("ignored")) => tests.skipped += count,
                _ => {}
            }
        }
    }
    tests
}

/// From `go test -json`: a line an event. What does not build is a failure of its package.
pub(crate) fn go_tests(out: &str, _err: &str) -> Tests {
    let mut tests = Tests::default();
    for event in out.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let package = event["Package"].as_str().unwrap_or_default();
        match (event["Action"].as_str(), event["Test"].as_str()) {
            (Some("pass"), Some(_)) => tests.passed += 1,
            (Some("skip"), Some(_)) => tests.skipped += 1,
            (Some("fail"), Some(test)) => drop(tests.failed.insert(format!("{package}: {test}"))),
            (Some("fail"), None) if !names(&tests, package) => {
                tests.failed.insert(format!("{package}: it did not build or broke off"));
            }
            _ => {}
        }
    }
    tests
}

fn names(tests: &Tests, package: &str) -> bool {
    let prefix = format!("{package}: ");
    tests.failed.iter().any(|name| name.starts_with(&prefix))
}

fn printed(out: &str) -> impl Iterator<Item = String> {
    out.lines().filter_map(|line| {
        let event: Value = serde_json::from_str(line).ok()?;
        event["Output"].as_str().map(|text| text.trim_end().to_owned())
    })
}

/// How often the race detector spoke.
pub(crate) fn races(out: &str) -> u64 {
    printed(out).filter(|line| line.contains("WARNING: DATA RACE")).count() as u64
}

/// What tests printed, without the lines about each that began and passed.
pub(crate) fn telling(out: &str) -> String {
    let told = printed(out).filter(|line| {
        let line = line.trim_start();
        !line.is_empty() && !line.starts_with("=== ") && !line.starts_with("--- PASS")
    });
    told.collect::<Vec<_>>().join("\n")
}

/// `file.go:3:5: what`, one a finding.
pub(crate) fn vet_findings(err: &str) -> u64 {
    let finding = |line: &&str| line.contains(".go:") && !line.starts_with('#');
    err.lines().filter(finding).count() as u64
}

/// Row R-7: the tests many times over, built once before.
pub(crate) fn again(side: &mut Side<'_>, build: &Step, step: &Step, read: fn(&str, &str) -> Tests) {
    let runs = side.options.tests.max(1);
    let found = build.output(&side.limits).and_then(|_| {
        let mut ran: Vec<(Ran, Tests)> = Vec::new();
        for _ in 0..runs {
            let one = step.run(&side.limits)?;
            let tests = read(&one.out, &one.err);
            if tests.passed + tests.skipped + tests.failed.len() as u64 == 0 {
                return Err(if one.code == Some(0) {
                    "it has no tests".to_owned()
                } else {
                    one.failure("the tests")
                });
            }
            ran.push((one, tests));
        }
        Ok(series(&ran))
    });
    side.row("R-7", &format!("{}   # {runs} times", step.text()), found);
}

fn series(ran: &[(Ran, Tests)]) -> Found {
    let mut wall: Vec<f64> = ran.iter().map(|(ran, _)| ran.wall.as_secs_f64()).collect();
    let mut cpu: Vec<f64> = ran.iter().map(|(ran, _)| ran.cpu.as_secs_f64()).collect();
    let all: BTreeSet<&String> = ran.iter().flat_map(|(_, tests)| &tests.failed).collect();
    let always = all
        .iter()
        .filter(|name| ran.iter().all(|(_, tests)| tests.failed.contains(**name)))
        .count();
    let counts: BTreeSet<String> = ran.iter().map(|(_, tests)| tests.text()).collect();
    let value = format!(
        "{}; {} flaky, {always} always fail; wall {}, CPU {}",
        counts.into_iter().collect::<Vec<_>>().join(" | "),
        all.len() - always,
        units::duration(median(&mut wall)),
        units::duration(median(&mut cpu)),
    );
    let names: Vec<&str> = all.into_iter().map(String::as_str).collect();
    Found {
        said: names.join("\n"),
        ..Found::new(
            value,
            format!("medians of {} runs; flaky: failed in some and not in all", ran.len()),
        )
    }
}

/// The middle of what was measured, the mean of two for an even number; 0 for nothing.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => 0.0,
        length if length % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_test_prints_is_read() {
        // Two targets of cargo 1.95, one with a failure.
        let out = "
running 3 tests
test filter::tests::or_binds_tighter ... ok
test page::tests::a_token ... FAILED
test page::tests::slow ... ignored

test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s


running 2 tests
test one ... ok
test two ... ok

test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.12s
";
        let tests = cargo_tests(out, "");
        assert_eq!((tests.passed, tests.skipped), (3, 1));
        assert_eq!(Vec::from_iter(tests.failed), ["page::tests::a_token"]);
        assert_eq!(cargo_tests("error: could not compile", ""), Tests::default());
    }

    #[test]
    fn what_go_test_prints_is_read() {
        let out = include_str!("../../tests/data/gotest.jsonl");
        let tests = go_tests(out, "");
        assert_eq!(tests.passed, 1);
        assert_eq!(
            Vec::from_iter(&tests.failed),
            [
                "example.com/tiny/broken: it did not build or broke off",
                "example.com/tiny: TestHits"
            ]
        );
        assert_eq!(races(out), 1);
        let told = telling(out);
        assert!(told.contains("DATA RACE") && !told.contains("=== RUN"), "{told}");
    }

    #[test]
    fn what_vet_says_is_counted() {
        let err = "# example.com/tiny\n# [example.com/tiny]\n./main.go:11:2: unreachable code\n";
        assert_eq!(vet_findings(err), 1);
        assert_eq!(vet_findings("go: cannot find main module\n"), 0);
    }

    #[test]
    fn a_median_lies_in_the_middle() {
        for (mut values, expected) in
            [(vec![3.0, 1.0, 2.0], 2.0), (vec![4.0, 1.0], 2.5), (vec![], 0.0)]
        {
            assert!((median(&mut values) - expected).abs() < 1e-12);
        }
    }
}
