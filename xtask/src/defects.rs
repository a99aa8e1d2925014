//! Programs with one defect each: which stage catches it first, in its own words.
//!
//! The stages are tried in their order, from the compiler to a soak run, until one catches it; what
//! the run found is the table, whatever anybody expected. `cases/defects/table.txt` is the last
//! table that somebody looked at, and a run that differs fails.
//!
//! A soak run works in rounds of equal work and reads the program's memory between them, so a busy
//! machine makes it slower and not different.
//!
//! Not here: the faults that are planted into living services (`faults`).

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::demo;
use crate::process::{quiet, root};

const LANGUAGES: [Language; 2] = [Language::Rust, Language::Go];
/// Each with what it is, and what a run that does not go wrong prints.
const DEFECTS: [(&str, &str, &str); 5] = [
    ("D-1", "data race on a counter", "200000"),
    ("D-2", "map written concurrently", "200000"),
    ("D-3", "use after close", "recorded"),
    ("D-9", "leaked task", "2100"),
    ("D-14", "reference cycle", "20480"),
];
/// A run that takes longer hangs.
const RUN_MAX: Duration = Duration::from_secs(60);
/// Rounds before memory counts: a heap has its size then.
const WARM_ROUNDS: usize = 4;
const ROUNDS: usize = 12;
/// Growth over the rounds that count from which on a program is said to grow. A leak of the
/// programs here adds at least 40 MiB in that time; a collected heap moved by less than 4.
const GROWTH_BYTES: u64 = 16 << 20;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Language {
    Rust,
    Go,
}

impl fmt::Display for Language {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Language::Rust => "rust",
            Language::Go => "go",
        })
    }
}

/// The earliest first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Compile,
    Lint,
    TestTool,
    Crash,
    Pair,
    Soak,
    Silent,
}

impl fmt::Display for Stage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Stage::Compile => "compile error",
            Stage::Lint => "lint",
            Stage::TestTool => "test tool",
            Stage::Crash => "panic/crash",
            Stage::Pair => "pair difference",
            Stage::Soak => "growth in soak",
            Stage::Silent => "silent",
        })
    }
}

/// `./x cases defects [--write]`.
pub(crate) fn run(arguments: &[&str]) -> Result<(), String> {
    let write = match arguments {
        [] => false,
        ["--write"] => true,
        other => return Err(format!("unknown words: {}", other.join(" "))),
    };
    let go = demo::go_is_here();
    let mut table = String::new();
    for (number, what, answer) in DEFECTS {
        for language in LANGUAGES {
            if language == Language::Go && !go {
                println!("  {number:<5} {language:<5} not run: Go is missing");
                continue;
            }
            let program = Program::new(number, language, answer)?;
            let (stage, said) = program.climb(Stage::Compile)?;
            println!("  {number:<5} {language:<5} {what:<25} {stage:<16} {said}");
            if stage == Stage::TestTool {
                // Whoever runs no race detector and no such test meets it later or never.
                let (later, said) = program.climb(Stage::Crash)?;
                println!("  {:<37} without it: {later} ({said})", "");
            }
            table.push_str(&format!("{number:<5} {language:<5} {stage:<16} {}\n", lasting(&said)));
        }
    }
    let file = root().join("cases/defects/table.txt");
    if write {
        return std::fs::write(&file, table).map_err(|error| error.to_string());
    }
    let expected = std::fs::read_to_string(&file).map_err(|error| error.to_string())?;
    let expected: String = expected
        .lines()
        .filter(|line| go || line.split_whitespace().nth(1) != Some("go"))
        .map(|line| format!("{line}\n"))
        .collect();
    if table == expected {
        return Ok(());
    }
    Err(format!("another table than cases/defects/table.txt (--write takes it over):\n{table}"))
}

/// Without the numbers that each run has its own of.
fn lasting(said: &str) -> String {
    let mut parts = said.split(": ");
    let first = parts.next().unwrap_or_default().trim();
    match (first, parts.next()) {
        ("WARNING" | "panic" | "fatal error", Some(what)) => format!("{first}: {}", what.trim()),
        _ => first.to_owned(),
    }
}

struct Program {
    language: Language,
    name: String,
    answer: &'static str,
    folder: PathBuf,
    target: PathBuf,
}

impl Program {
    fn new(number: &str, language: Language, answer: &'static str) -> Result<Program, String> {
        let digits = number.trim_start_matches("D-");
        let folder = root().join("cases/defects").join(language.to_string());
        let target = root().join("target/defects");
        std::fs::create_dir_all(&target).map_err(|error| error.to_string())?;
        Ok(Program { language, name: format!("d{digits:0>2}"), answer, folder, target })
    }

    /// The first stage, from `stage` on, that catches it, and what that said.
    fn climb(&self, from: Stage) -> Result<(Stage, String), String> {
        if from == Stage::Compile {
            if let Some(said) = caught(&self.tool(&["check"], &["build", "-o", "/dev/null"])?) {
                return Ok((Stage::Compile, said));
            }
            if let Some(said) = caught(&self.lint()?) {
                return Ok((Stage::Lint, said));
            }
            if let Some(said) = caught(&self.tool(&["test"], &["test", "-race", "-count=1"])?) {
                return Ok((Stage::TestTool, said));
            }
        }
        let program = self.build()?;
        let ran = ended(Command::new(&program), RUN_MAX)?;
        if !ran.status.success() {
            return Ok((Stage::Crash, caught(&ran).unwrap_or_default()));
        }
        let said = String::from_utf8_lossy(&ran.stdout).trim().to_owned();
        if said != self.answer {
            return Ok((Stage::Pair, format!("{said} where {} is right", self.answer)));
        }
        // Those that cannot grow have no such mode.
        if !matches!(self.name.as_str(), "d09" | "d14") {
            return Ok((Stage::Silent, "the answer was right this time".to_owned()));
        }
        let growth = soak(&program)?;
        let mib = |bytes: u64| bytes >> 20;
        let rounds = ROUNDS - WARM_ROUNDS;
        Ok(if growth >= GROWTH_BYTES {
            (Stage::Soak, format!("memory grew: {} MiB in {rounds} rounds", mib(growth)))
        } else {
            (Stage::Silent, format!("memory did not grow: {} MiB in {rounds} rounds", mib(growth)))
        })
    }

    fn lint(&self) -> Result<Output, String> {
        match self.language {
            Language::Rust => self.cargo(&["clippy", "--all-targets"], &["--", "-D", "warnings"]),
            Language::Go => self.go(&["vet"]),
        }
    }

    fn tool(&self, cargo: &[&str], go: &[&str]) -> Result<Output, String> {
        match self.language {
            Language::Rust => self.cargo(cargo, &[]),
            Language::Go => self.go(go),
        }
    }

    fn cargo(&self, words: &[&str], behind: &[&str]) -> Result<Output, String> {
        Command::new("cargo")
            .args(words)
            .args(["--quiet", "--locked", "-p", &self.name])
            .args(behind)
            .env("CARGO_TARGET_DIR", &self.target)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("cargo: {error}"))
    }

    fn go(&self, words: &[&str]) -> Result<Output, String> {
        Command::new("go")
            .args(words)
            .arg(format!("./{}", self.name))
            .env("GOFLAGS", "-mod=readonly")
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("go: {error}"))
    }

    fn build(&self) -> Result<PathBuf, String> {
        let place = self.target.join(format!("{}-{}", self.name, self.language));
        let (built, program) = match self.language {
            Language::Rust => {
                (self.cargo(&["build"], &[])?, self.target.join("debug").join(&self.name))
            }
            Language::Go => (self.go(&["build", "-o", &place.display().to_string()])?, place),
        };
        if built.status.success() {
            return Ok(program);
        }
        Err(String::from_utf8_lossy(&built.stderr).into_owned())
    }
}

/// `None` when it passed; the line that says what is wrong when it did not.
fn caught(output: &Output) -> Option<String> {
    if output.status.success() {
        return None;
    }
    let said = [&output.stdout[..], b"\n", &output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    Some(telling(&said))
}

fn telling(said: &str) -> String {
    let telling = |line: &&str| {
        let words = ["error", "WARNING: DATA RACE", "fatal error", "panic: ", "main_test.go:"];
        words.iter().any(|word| line.trim_start().starts_with(word))
    };
    let line = said.lines().find(telling).or_else(|| said.lines().find(|line| !line.is_empty()));
    let line = line.unwrap_or("it said nothing").trim();
    // A test's line begins with its place, which moves with each edit.
    let line = match line.strip_prefix("main_test.go:").and_then(|line| line.split_once(": ")) {
        Some((_, what)) => what,
        None => line,
    };
    line.chars().take(110).collect()
}

/// Runs to the end, or is ended and counts as hung.
fn ended(mut command: Command, limit: Duration) -> Result<Output, String> {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{command:?}: {error}"))?;
    let id = child.id().to_string();
    let (send, end) = mpsc::channel();
    let waiter = std::thread::spawn(move || {
        let _ = send.send(child.wait_with_output());
    });
    let outcome = end.recv_timeout(limit).or_else(|_| {
        let _ = quiet(Command::new("kill").args(["-KILL", &id]));
        end.recv()
    });
    let _ = waiter.join();
    outcome.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}

/// By how many bytes a program's memory grows over rounds of the same work, once it is warm.
fn soak(program: &Path) -> Result<u64, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", program.display());
    let child = Command::new(program)
        .arg("soak")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let mut child = Ended(child);
    let mut ask = child.0.stdin.take().expect("piped above");
    let out = child.0.stdout.take().expect("piped above");
    let (done, rounds) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(out).lines() {
            if line.is_err() || done.send(()).is_err() {
                break;
            }
        }
    });
    let mut warm = 0;
    let mut last = 0;
    for round in 1..=ROUNDS {
        ask.write_all(b"go on\n").map_err(failed)?;
        rounds.recv_timeout(RUN_MAX).map_err(|_| "a round of the soak run hangs".to_owned())?;
        last = resident_bytes(child.0.id())?;
        if round == WARM_ROUNDS {
            warm = last;
        }
    }
    drop(ask);
    drop(child);
    let _ = reader.join();
    Ok(last.saturating_sub(warm))
}

/// Ended when it is no longer needed.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn resident_bytes(id: u32) -> Result<u64, String> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))
        .map_err(|error| format!("the program ended in its soak run: {error}"))?;
    status
        .lines()
        .find_map(|line| {
            line.strip_prefix("VmRSS:")?.trim().strip_suffix("kB")?.trim().parse().ok()
        })
        .map(|kib: u64| kib << 10)
        .ok_or_else(|| "its memory cannot be read".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_tells_is_found_and_lasts() {
        for (said, told, lasts) in [
            (
                "warning: unused\nerror[E0499]: cannot borrow `counter` as mutable\n --> src/main.rs",
                "error[E0499]: cannot borrow `counter` as mutable",
                "error[E0499]",
            ),
            (
                "==================\nWARNING: DATA RACE\nRead at 0x00c0000140e8 by goroutine 8:",
                "WARNING: DATA RACE",
                "WARNING: DATA RACE",
            ),
            (
                "--- FAIL: TestEntriesAreRecorded (0.00s)\n    main_test.go:10: append: write /tmp/x: file already closed\n",
                "append: write /tmp/x: file already closed",
                "append",
            ),
            (
                "fatal error: concurrent map writes\n\ngoroutine 7",
                "fatal error: concurrent map writes",
                "fatal error: concurrent map writes",
            ),
            ("", "it said nothing", "it said nothing"),
        ] {
            assert_eq!(telling(said), told, "{said}");
            assert_eq!(lasting(told), lasts, "{told}");
        }
    }

    #[test]
    fn a_program_that_hangs_is_ended() {
        let mut command = Command::new("sleep");
        command.arg("600");
        let output = ended(command, Duration::from_millis(300)).unwrap();
        assert!(!output.status.success());
    }
}
