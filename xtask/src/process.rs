//! Programs that a task runs: to their end, or beside it.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// The folder of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("xtask lies in it")
}

/// Runs `cargo` in the repository and shows what it says.
pub(crate) fn cargo(arguments: &[&str]) -> Result<(), String> {
    shown(Command::new("cargo").args(arguments).current_dir(root()))
}

/// Runs a program and shows what it says.
pub(crate) fn shown(command: &mut Command) -> Result<(), String> {
    let line = format!("{command:?}");
    match command.stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{line} ended with {status}")),
        Err(error) => Err(format!("{line}: {error}")),
    }
}

/// Runs a program and shows what it says only when it fails.
pub(crate) fn quiet(command: &mut Command) -> Result<String, String> {
    let line = format!("{command:?}");
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| format!("{line}: {error}"))?;
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(out);
    }
    let err = String::from_utf8_lossy(&output.stderr);
    Err(format!("{line} ended with {}\n{out}{err}", output.status))
}

/// A program that runs beside the task and is ended with it.
pub(crate) struct Beside {
    pub(crate) name: String,
    child: Child,
    log: PathBuf,
}

impl Beside {
    /// Starts `command`; what it says on stderr goes to a file in `folder`.
    pub(crate) fn start(
        name: &str,
        command: &mut Command,
        folder: &Path,
    ) -> Result<(Beside, impl BufRead + use<>), String> {
        let failed = |error: std::io::Error| format!("{name} cannot be started: {error}");
        let log = folder.join(format!("{name}.log"));
        let file = std::fs::File::create(&log).map_err(failed)?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .map_err(failed)?;
        let out = child.stdout.take().expect("piped above");
        Ok((Beside { name: name.to_owned(), child, log }, BufReader::new(out)))
    }

    /// The last lines of its log, when it has ended.
    pub(crate) fn ended(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok()??;
        Some(format!("{} ended with {status}\n{}", self.name, self.last_lines()))
    }

    /// How it ended; `None` when it has not after `limit`.
    pub(crate) fn outcome(&mut self, limit: Duration) -> Option<ExitStatus> {
        until(limit, || self.child.try_wait().ok()?)
    }

    /// The last lines of its log.
    pub(crate) fn last_lines(&self) -> String {
        let mut text = String::new();
        if let Ok(mut file) = std::fs::File::open(&self.log) {
            let _ = file.read_to_string(&mut text);
        }
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Asks it to end and waits; after `limit` it is ended by force.
    pub(crate) fn stop(&mut self, limit: Duration) {
        let id = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &id]).status();
        let until = Instant::now() + limit;
        while Instant::now() < until {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            pause();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.stop(Duration::from_secs(12));
        }
    }
}

/// A short rest between two looks at something that cannot tell when it changes.
pub(crate) fn pause() {
    // A receiver with a time limit is the timer of a program without a loop.
    let (_keep, nobody) = mpsc::channel::<()>();
    let _ = nobody.recv_timeout(Duration::from_millis(20));
}

/// Looks until `look` finds something, or `limit` has passed.
pub(crate) fn until<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() >= end {
            return None;
        }
        pause();
    }
}
