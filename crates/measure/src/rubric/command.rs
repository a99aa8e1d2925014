//! Runs a program to its end and says what that cost.
//!
//! A program has limits of time and of output; over either, or when the whole is stopped, its
//! process group is ended, so that a compiler's children do not outlive it. CPU time is that of
//! the program and of every child that it waited for, read before the kernel forgets it; memory is
//! the sum over the process group, looked at twenty times a second.
//!
//! Not here: what a program's output means.

use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

/// Output beyond this ends a program: nothing that is asked here says so much.
const OUTPUT_BYTES_MAX: usize = 64 << 20;
/// Between two looks at memory and at the limits.
const LOOK: Duration = Duration::from_millis(50);
/// What `/proc` calls a second of CPU: `USER_HZ`, 100 on every Linux that we build for.
const TICKS_A_SECOND: u64 = 100;

/// One program to run.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    program: String,
    arguments: Vec<String>,
    folder: PathBuf,
    environment: Vec<(String, String)>,
}

/// What every program of one run shares.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) time: Duration,
    pub(crate) stop: Arc<AtomicBool>,
}

/// How a program ended, and what it took.
#[derive(Debug)]
pub(crate) struct Ran {
    /// `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) wall: Duration,
    /// With all children that were waited for; a step of 10 ms.
    pub(crate) cpu: Duration,
    /// Of the process group; what two processes share counts twice.
    pub(crate) memory_bytes_peak: u64,
}

impl Step {
    pub(crate) fn new(program: &str, arguments: &[&str], folder: &Path) -> Step {
        Step {
            program: program.to_owned(),
            arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
            folder: folder.to_owned(),
            environment: Vec::new(),
        }
    }

    pub(crate) fn word(mut self, word: impl Into<String>) -> Step {
        self.arguments.push(word.into());
        self
    }

    pub(crate) fn words(mut self, words: &[String]) -> Step {
        self.arguments.extend_from_slice(words);
        self
    }

    pub(crate) fn with(mut self, name: &str, value: impl AsRef<Path>) -> Step {
        self.environment.push((name.to_owned(), value.as_ref().display().to_string()));
        self
    }

    /// As a shell would be told it.
    pub(crate) fn text(&self) -> String {
        let set = self.environment.iter().map(|(name, value)| format!("{name}={}", quoted(value)));
        let words = [&self.program].into_iter().chain(&self.arguments).map(|word| quoted(word));
        set.chain(words).collect::<Vec<_>>().join(" ")
    }

    /// Runs it to its end, whatever that is.
    ///
    /// # Errors
    /// Why there is no end to report: not found, over a limit, stopped.
    pub(crate) fn run(&self, limits: &Limits) -> Result<Ran, String> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).current_dir(&self.folder);
        for (name, value) in &self.environment {
            command.env(name, value);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let began = Instant::now();
        let mut group = Group::start(&mut command).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => format!("`{}` is not on PATH", self.program),
            _ => format!("`{}` cannot be started: {error}", self.program),
        })?;
        let over = Arc::new(AtomicBool::new(false));
        let out = gathered(group.child.stdout.take(), Arc::clone(&over));
        let err = gathered(group.child.stderr.take(), Arc::clone(&over));

        let (ended, end) = mpsc::channel();
        let pid = group.pid;
        // Waits without taking the end away, so that the CPU time can still be read.
        let waiter = thread::spawn(move || {
            let _ = waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
            let _ = ended.send(());
        });
        let too_much = || format!("it said more than {} MiB", OUTPUT_BYTES_MAX >> 20);
        let mut memory_bytes_peak = 0;
        let stopped = loop {
            match end.recv_timeout(LOOK) {
                Ok(()) | Err(RecvTimeoutError::Disconnected) => {
                    break over.load(Ordering::Acquire).then(too_much);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            memory_bytes_peak = memory_bytes_peak.max(group.memory_bytes());
            if limits.stop.load(Ordering::Relaxed) {
                break Some("stopped".to_owned());
            }
            if began.elapsed() > limits.time {
                break Some(format!("not done after {} s, so it was ended", limits.time.as_secs()));
            }
            if over.load(Ordering::Acquire) {
                break Some(too_much());
            }
        };
        let wall = began.elapsed();
        if let Some(why) = stopped {
            group.end();
            let _ = waiter.join();
            return Err(why);
        }
        let _ = waiter.join();
        let cpu = cpu(pid);
        let status = group.child.wait().map_err(|error| error.to_string())?;
        // Whatever it left running would hold its output open.
        group.end();
        let code = status.code().or_else(|| status.signal().map(|signal| -signal));
        let said = |from: mpsc::Receiver<String>| {
            from.recv_timeout(Duration::from_secs(5)).unwrap_or_default()
        };
        Ok(Ran { code, out: said(out), err: said(err), wall, cpu, memory_bytes_peak })
    }

    /// Runs it and takes an end other than 0 for a reason not to know.
    ///
    /// # Errors
    /// As [`Step::run`], and the last of what a program said that failed.
    pub(crate) fn output(&self, limits: &Limits) -> Result<Ran, String> {
        let ran = self.run(limits)?;
        if ran.code == Some(0) {
            return Ok(ran);
        }
        Err(ran.failure(&self.program))
    }
}

impl Ran {
    /// One line about an end that was not 0.
    pub(crate) fn failure(&self, program: &str) -> String {
        let code = self.code.map_or_else(|| "?".to_owned(), |code| code.to_string());
        let said = if self.err.trim().is_empty() { &self.out } else { &self.err };
        let telling = said
            .lines()
            .map(str::trim)
            .find(|line| line.starts_with("error"))
            .or_else(|| said.lines().map(str::trim).rfind(|line| !line.is_empty()))
            .unwrap_or("it said nothing");
        let telling: String = telling.chars().take(300).collect();
        format!("`{program}` ended with {code}: {telling}")
    }

    /// What it said, both ways, cut in the middle.
    pub(crate) fn said(&self) -> String {
        let mut text = self.out.trim_end().to_owned();
        if !self.err.trim().is_empty() {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(self.err.trim_end());
        }
        cut(&text)
    }
}

/// A program and whatever it starts.
pub(crate) struct Group {
    pub(crate) child: Child,
    pub(crate) pid: Pid,
}

impl Group {
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start(command: &mut Command) -> std::io::Result<Group> {
        let child = command.process_group(0).spawn()?;
        let pid = Pid::from_raw(i32::try_from(child.id()).map_err(std::io::Error::other)?);
        Ok(Group { child, pid })
    }

    /// Ends all of it; what has ended stays so.
    pub(crate) fn end(&mut self) {
        let _ = killpg(self.pid, Signal::SIGKILL);
        let _ = self.child.wait();
    }

    /// Resident bytes of all its processes.
    fn memory_bytes(&self) -> u64 {
        let Ok(entries) = std::fs::read_dir("/proc") else { return 0 };
        let group = self.pid.as_raw().to_string();
        entries
            .flatten()
            .filter(|entry| {
                entry.file_name().as_encoded_bytes().first().is_some_and(u8::is_ascii_digit)
            })
            .filter_map(|entry| {
                let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
                (after_name(&stat)?.get(2)? == &group).then(|| entry.path())
            })
            .filter_map(|process| resident_bytes(&process))
            .sum()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}

/// `VmRSS` of a folder under `/proc`.
pub(crate) fn resident_bytes(process: &Path) -> Option<u64> {
    let status = std::fs::read_to_string(process.join("status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

/// The fields of `/proc/PID/stat` behind the name, which may hold spaces and parentheses.
fn after_name(stat: &str) -> Option<Vec<&str>> {
    Some(stat.rsplit_once(')')?.1.split_ascii_whitespace().collect())
}

/// CPU time of a program that has ended and is still known.
fn cpu(pid: Pid) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    Duration::from_millis(ticks(&stat).unwrap_or(0) * (1000 / TICKS_A_SECOND))
}

/// `utime`, `stime`, and both of the children that were waited for.
fn ticks(stat: &str) -> Option<u64> {
    let fields = after_name(stat)?;
    fields.get(11..15)?.iter().map(|field| field.parse::<u64>().ok()).sum()
}

/// Reads to the end, beside the program, and keeps what is within the limit.
fn gathered<R>(from: Option<R>, over: Arc<AtomicBool>) -> mpsc::Receiver<String>
where
    R: Read + Send + 'static,
{
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let mut from = from.map(|from| from.take(OUTPUT_BYTES_MAX as u64 + 1));
        if let Some(from) = &mut from {
            let _ = from.read_to_end(&mut bytes);
        }
        if bytes.len() > OUTPUT_BYTES_MAX {
            over.store(true, Ordering::Release);
        }
        // Only now: a program that nobody reads ends by itself, and must not seem to have done so.
        drop(from);
        let _ = send.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receive
}

/// Enough of a text to see what it is: 4 KiB, half from its beginning and half from its end.
pub(crate) fn cut(text: &str) -> String {
    const HALF: usize = 2_048;
    if text.len() <= 2 * HALF {
        return text.to_owned();
    }
    let (head, tail) = (text.floor_char_boundary(HALF), text.ceil_char_boundary(text.len() - HALF));
    format!("{}\n… {} bytes left out …\n{}", &text[..head], tail - head, &text[tail..])
}

fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_alphanumeric() || "-_./=:,+@%$".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(time: Duration) -> Limits {
        Limits { time, stop: Arc::default() }
    }

    fn shell(script: &str) -> Step {
        Step::new("sh", &["-c", script], Path::new("/"))
    }

    #[test]
    fn the_cpu_of_children_is_counted() {
        let busy = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done";
        let ran = shell(&format!("sh -c '{busy}'; true")).run(&limits(Duration::from_secs(60)));
        let ran = ran.unwrap();
        assert_eq!(ran.code, Some(0));
        assert!(ran.cpu >= Duration::from_millis(10), "{:?}", ran.cpu);
        assert!(ran.wall + Duration::from_millis(50) >= ran.cpu, "{ran:?}");
    }

    #[test]
    fn a_program_over_its_time_ends_with_all_that_it_started() {
        let folder = crate::rubric::scratch::Scratch::new(&std::env::temp_dir(), "t").unwrap();
        let file = folder.path().join("pid");
        let script = format!("sh -c 'echo $$ > {}; sleep 600' & wait", file.display());
        // Time enough for the inner shell to say who it is, on a busy machine too.
        let why = shell(&script).run(&limits(Duration::from_secs(2))).unwrap_err();
        assert!(why.contains("not done after"), "{why}");
        let child = std::fs::read_to_string(&file).unwrap();
        // Ended is gone, or waits for its new parent to take notice.
        let state = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.trim())).ok()?;
            after_name(&stat).map(|fields| fields[0].to_owned())
        };
        let is_over = |state: Option<&str>| state.is_none_or(|state| state == "Z" || state == "X");
        // A signal that was sent is not yet a process that has ended.
        let until = Instant::now() + Duration::from_secs(20);
        while !is_over(state().as_deref()) && Instant::now() < until {
            std::thread::yield_now();
        }
        let state = state();
        assert!(is_over(state.as_deref()), "{state:?}");
    }

    #[test]
    fn a_program_that_leaves_another_behind_does_not_hold_the_run() {
        let began = Instant::now();
        let ran = shell("sleep 600 & echo done").run(&limits(Duration::from_secs(60))).unwrap();
        assert_eq!(ran.out.trim(), "done");
        assert!(began.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn what_says_too_much_is_ended() {
        let why =
            shell("while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; done | cat")
                .run(&limits(Duration::from_secs(300)));
        assert_eq!(why.unwrap_err(), "it said more than 64 MiB");
    }

    #[test]
    fn a_missing_program_and_a_failure_say_so() {
        let step = Step::new("no-such-program-here", &[], Path::new("/"));
        let why = step.run(&limits(Duration::from_secs(1))).unwrap_err();
        assert_eq!(why, "`no-such-program-here` is not on PATH");
        let why = shell("echo note >&2; echo 'error: no such crate' >&2; exit 101")
            .output(&limits(Duration::from_secs(60)));
        assert_eq!(why.unwrap_err(), "`sh` ended with 101: error: no such crate");
    }

    #[test]
    fn a_stop_ends_it() {
        let limits = limits(Duration::from_secs(600));
        limits.stop.store(true, Ordering::Relaxed);
        assert_eq!(shell("sleep 600").run(&limits).unwrap_err(), "stopped");
    }

    #[test]
    fn the_command_is_what_a_shell_takes() {
        let step =
            Step::new("go", &["list", "-f", "{{.Dir}}"], Path::new("/")).with("GOOS", "linux");
        assert_eq!(step.text(), "GOOS=linux go list -f '{{.Dir}}'");
    }

    #[test]
    fn ticks_are_read_behind_a_name_with_spaces() {
        // A compiler's line of /proc/PID/stat, shortened at its end.
        let stat = "811 (ld) (x) Z 1 811 811 0 -1 4228 1 2 3 4 57 13 1024 211 20 0 1 0 99";
        assert_eq!(ticks(stat), Some(57 + 13 + 1024 + 211));
        assert_eq!(ticks("811 (ld"), None);
    }

    #[test]
    fn a_long_text_keeps_both_its_ends() {
        let text = format!("begin{}end", "ü".repeat(9_000));
        let short = cut(&text);
        assert!(short.starts_with("begin") && short.ends_with("end") && short.len() < 4_200);
        assert!(short.contains("bytes left out"));
        assert_eq!(cut("short"), "short");
    }
}
