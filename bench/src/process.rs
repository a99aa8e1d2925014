//! Programs that run beside the measurement, and what they spend.
//!
//! This process and its threads (backend and load) stay on core 1, what is measured gets core 0
//! to itself. Run time is the kernel's account of a process with all its threads, ended ones
//! included; memory is what is resident.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::signal::{Signal, kill};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const MEASURED_CORE: &str = "0";
const LOAD_CORE: usize = 1;

/// Keeps this process off the core of what is measured; to be called before there are threads.
pub(crate) fn stay_on_load_core() -> Outcome<()> {
    let mut cores = CpuSet::new();
    cores.set(LOAD_CORE)?;
    sched_setaffinity(Pid::from_raw(0), &cores)
        .map_err(|error| format!("two cores are needed, 0 and 1: {error}"))?;
    Ok(())
}

/// A program on the measured core; it is ended with its owner.
pub(crate) struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts a program whose output goes to `log`.
    pub(crate) fn start(program: &Path, words: &[String], log: PathBuf) -> Outcome<Running> {
        let file = std::fs::File::create(&log)?;
        let child = Command::new("taskset")
            .args(["-c", MEASURED_CORE])
            .arg(program)
            .args(words)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .map_err(|error| format!("taskset cannot be started: {error}"))?;
        Ok(Running { child, log })
    }

    /// What it said, when it has ended.
    pub(crate) fn ended(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok()??;
        Some(format!("ended with {status}\n{}", self.said()))
    }

    /// The last lines of what it said.
    pub(crate) fn said(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Run time so far, of the process and of those that it started.
    pub(crate) fn cpu(&self) -> Outcome<Duration> {
        let mut sum = Duration::ZERO;
        for process in self.processes() {
            let clock = ClockId::pid_cpu_clock_id(process)?;
            sum += Duration::from(clock_gettime(clock)?);
        }
        Ok(sum)
    }

    /// Resident memory, of the process and of those that it started.
    pub(crate) fn resident_bytes(&self) -> Outcome<u64> {
        let mut sum = 0;
        for process in self.processes() {
            let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
            let kib = line.and_then(|line| line.trim().split(' ').next()).ok_or("no VmRSS")?;
            sum += kib.parse::<u64>()? * 1024;
        }
        Ok(sum)
    }

    /// The processes that it is.
    pub(crate) fn ids(&self) -> Vec<i32> {
        self.processes().into_iter().map(Pid::as_raw).collect()
    }

    fn processes(&self) -> Vec<Pid> {
        let id = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        let children = children.unwrap_or_default();
        let children = children.split_whitespace().filter_map(|id| id.parse().ok());
        std::iter::once(id as i32).chain(children).map(Pid::from_raw).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Asked first, so that one that has started others takes them along.
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
        let end = Instant::now() + Duration::from_secs(3);
        while Instant::now() < end {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            rest();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Run time so far of this process: backend and load.
pub(crate) fn own_cpu() -> Outcome<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?.into())
}

/// A short wait for something that cannot tell when it changes.
pub(crate) fn rest() {
    std::thread::park_timeout(Duration::from_millis(20));
}

/// A folder that goes with its owner.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Outcome<Folder> {
        let path = std::env::temp_dir().join(format!("tandem-bench-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
