//! Runs one conversion under the counter, or under the allocator that counts.

use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tandem_transcode::Fault;

use crate::Outcome;

/// What grows faster than its input may never end. This long is many times what a conversion
/// takes under the counter on a slow machine.
const LONGEST: Duration = Duration::from_secs(100);

/// How a conversion ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ending {
    pub(crate) input_bytes: u64,
    /// `None` when it was refused.
    pub(crate) output_bytes: Option<u64>,
}

impl Ending {
    /// The line in which the called program says it.
    pub(crate) fn line(input_bytes: usize, output: &Result<Vec<u8>, Fault>) -> String {
        match output {
            Ok(output) => format!("answered {input_bytes} {}", output.len()),
            Err(fault) => format!("refused {input_bytes} {fault}"),
        }
    }

    fn read(line: &str) -> Option<Ending> {
        let mut words = line.split_whitespace();
        let answered = words.next()? == "answered";
        let input_bytes = words.next()?.parse().ok()?;
        let output_bytes = if answered { Some(words.next()?.parse().ok()?) } else { None };
        Some(Ending { input_bytes, output_bytes })
    }
}

/// Instructions of the conversion that this program makes when it is started with `words`, and
/// what it printed.
pub(crate) fn instructions(words: &[&str]) -> Outcome<(u64, String)> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--toggle-collect=*counted_call*"])
        // Counts are read from what it says at the end; the file would be one more thing to
        // leave behind.
        .args(["--callgrind-out-file=/dev/null"])
        .arg(own)
        .args(words);
    let (out, err) = finish(&mut command)?;
    let count = err
        .lines()
        .find_map(|line| line.split_once("Collected :"))
        .and_then(|(_, count)| count.trim().parse().ok())
        .ok_or_else(|| format!("valgrind names no count:\n{err}"))?;
    if count == 0 {
        return Err("nothing was counted: the function has lost its name".into());
    }
    Ok((count, out))
}

/// Instructions of one attack at one size, and how it ended.
pub(crate) fn attack(name: &str, size: usize) -> Outcome<(u64, Ending)> {
    let (count, out) = instructions(&["attack", name, &size.to_string()])?;
    let ending = Ending::read(&out).ok_or_else(|| format!("said nothing of its end: {out}"))?;
    Ok((count, ending))
}

/// The most bytes that the conversion held at once, beside its input.
pub(crate) fn peak(name: &str, size: usize) -> Outcome<u64> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(own.with_file_name("tandem-bench-peak"));
    let (out, _) = finish(command.args([name, &size.to_string()]))?;
    out.trim().parse().map_err(|_| format!("no number of bytes: {out}"))
}

/// Runs `command` to its end, or ends it after [`LONGEST`]; gives what it printed.
fn finish(command: &mut Command) -> Outcome<(String, String)> {
    let said = |error: std::io::Error| error.to_string();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{:?}: {error}", command.get_program()))?;
    // What is printed is a few lines, far less than a pipe holds: it can be read at the end.
    let until = Instant::now() + LONGEST;
    while child.try_wait().map_err(said)?.is_none() {
        if Instant::now() > until {
            child.kill().map_err(said)?;
            child.wait().map_err(said)?;
            return Err(format!("no end after {} s", LONGEST.as_secs()));
        }
        pause();
    }
    let output = child.wait_with_output().map_err(said)?;
    let [out, err] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    if output.status.success() {
        return Ok((out, err));
    }
    Err(format!("ended with {}\n{err}", output.status))
}

/// A short rest between two looks at a program that cannot tell when it ends.
fn pause() {
    let (_keep, nobody) = mpsc::channel::<()>();
    let _ = nobody.recv_timeout(Duration::from_millis(5));
}
