//! Sides that we start: a command, a port, a folder, cores; ended with all that they started.
//!
//! The words of a command are split as a shell would split them and no shell is asked, so the pid
//! is that of the service. In each word `{port}` stands for a free port, `{port:NAME}` for further
//! ones, and `{folder}` for a folder of this start's own, empty, that goes when it ends. A copy of
//! the environment goes along, with `GOMAXPROCS` and `TOKIO_WORKER_THREADS` set to the number of
//! cores that it may use; what the command itself sets holds.
//!
//! Not here: whether it answers (`side`).

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// What a command line says, split into its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Command {
    /// `NAME=VALUE` in front of the program.
    environment: Vec<(String, String)>,
    program: String,
    arguments: Vec<String>,
}

impl Command {
    /// # Errors
    /// Quotes that do not end, or no program.
    pub(crate) fn read(text: &str) -> Result<Command, String> {
        let mut words = words(text)?.into_iter().peekable();
        let mut environment = Vec::new();
        while let Some((name, value)) = words.peek().and_then(|word| assignment(word)) {
            environment.push((name, value));
            words.next();
        }
        let program = words.next().ok_or("the command has no program")?;
        Ok(Command { environment, program, arguments: words.collect() })
    }

    pub(crate) fn program(&self) -> &str {
        &self.program
    }

    pub(crate) fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// `NAME=VALUE` in front of the program.
    pub(crate) fn assignments(&self) -> &[(String, String)] {
        &self.environment
    }

    /// Names of the variables that it sets in front of the program.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &str> {
        self.environment.iter().map(|(name, _)| &**name)
    }
}

fn assignment(word: &str) -> Option<(String, String)> {
    let (name, value) = word.split_once('=')?;
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name.then(|| (name.to_owned(), value.to_owned()))
}

/// The words of a command line: blanks part them, quotes and a backslash keep them together.
fn words(text: &str) -> Result<Vec<String>, String> {
    let (mut all, mut word) = (Vec::new(), None::<String>);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            ' ' | '\t' => all.extend(word.take()),
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match letters.next() {
                        None => return Err(format!("a {letter} has no end")),
                        Some(end) if end == letter => break,
                        Some('\\') if letter == '"' => match letters.next() {
                            Some(next @ ('"' | '\\')) => word.push(next),
                            Some(next) => word.extend(['\\', next]),
                            None => return Err("it ends with a backslash".into()),
                        },
                        Some(other) => word.push(other),
                    }
                }
            }
            '\\' => match letters.next() {
                Some(next) => word.get_or_insert_default().push(next),
                None => return Err("it ends with a backslash".into()),
            },
            other => word.get_or_insert_default().push(other),
        }
    }
    all.extend(word);
    Ok(all)
}

/// Groups of processes that run, so that they can be ended from anywhere.
#[derive(Debug, Clone, Default)]
pub(crate) struct Running(Arc<Mutex<Vec<Pid>>>);

impl Running {
    /// Ends all of them at once.
    pub(crate) fn kill(&self) {
        for group in self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // It may have ended meanwhile.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }

    fn add(&self, group: Pid) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(group);
    }

    fn remove(&self, group: Pid) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|other| *other != group);
    }
}

/// A command that runs. Ended when it is dropped, with everything that it started.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    running: Running,
    pub(crate) ports: Ports,
    pub(crate) folder: Folder,
    said: PathBuf,
}

/// The ports of a start by name; that without a name is the one that is called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ports(BTreeMap<String, u16>);

impl Ports {
    /// Chooses a free port for each placeholder of `texts`.
    fn choose<'t>(texts: impl Iterator<Item = &'t str>) -> io::Result<Ports> {
        let mut names: Vec<String> = vec![String::new()];
        for text in texts {
            let behind = text.split("{port").skip(1);
            names.extend(behind.filter_map(|rest| {
                let name = rest.split_once('}')?.0.strip_prefix(':')?;
                Some(name.to_owned())
            }));
        }
        names.sort();
        names.dedup();
        // All are held until all are chosen, or one could be chosen twice.
        let held = names.into_iter().map(|name| {
            let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
            Ok((name, listener.local_addr()?.port(), listener))
        });
        let held = held.collect::<io::Result<Vec<_>>>()?;
        Ok(Ports(held.into_iter().map(|(name, port, _)| (name, port)).collect()))
    }

    /// That of `{port:NAME}`.
    pub(crate) fn named(&self, name: &str) -> Option<u16> {
        self.0.get(name).copied()
    }

    /// `text` with its placeholders filled.
    pub(crate) fn fill(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, port)| match name.as_str() {
            "" => text.replace("{port}", &port.to_string()),
            name => text.replace(&format!("{{port:{name}}}"), &port.to_string()),
        })
    }

    /// `TANDEM_PORT_ADMIN` and its like.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (String, String)> + '_ {
        let named = self.0.iter().filter(|(name, _)| !name.is_empty());
        named.map(|(name, port)| {
            let name = name.to_ascii_uppercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
            (format!("TANDEM_PORT_{name}"), port.to_string())
        })
    }
}

/// A folder that goes with whom it belongs to.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    fn make() -> io::Result<Folder> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tandem-compare-{}-{next}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(path.join("data"))?;
        Ok(Folder(path))
    }

    /// What `{folder}` stands for.
    pub(crate) fn data(&self) -> PathBuf {
        self.0.join("data")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is the system's to clean.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Time from SIGTERM on; a service that drains longer is killed.
const DRAIN: Duration = Duration::from_secs(3);
/// Of what it said to nobody, as much as a failure shows.
const SAID_LINES: usize = 5;

impl Process {
    /// Starts it on `cores`, where there are any in it.
    ///
    /// # Errors
    /// What the system says: no such program, no right, no port.
    pub(crate) fn start(
        command: &Command,
        cores: &[usize],
        running: &Running,
    ) -> io::Result<Process> {
        let Command { environment, program, arguments } = command;
        let texts = arguments.iter().chain(environment.iter().map(|(_, value)| value));
        let ports = Ports::choose(texts.map(String::as_str))?;
        let folder = Folder::make()?;
        let data = folder.data().display().to_string();
        let fill = |text: &str| ports.fill(text).replace("{folder}", &data);
        let said = folder.0.join("said");
        let out = std::fs::File::create(&said)?;
        let mut command = std::process::Command::new(program);
        command.args(arguments.iter().map(|word| fill(word)));
        if !cores.is_empty() {
            let count = cores.len().to_string();
            command.envs([("GOMAXPROCS", &count), ("TOKIO_WORKER_THREADS", &count)]);
        }
        command.envs(environment.iter().map(|(name, value)| (name, fill(value))));
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out).process_group(0);
        let child = spawn_on(cores, command)?;
        running.add(Pid::from_raw(child.id().cast_signed()));
        Ok(Process { child, running: running.clone(), ports, folder, said })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<String> {
        self.child.try_wait().ok().flatten().map(|status| status.to_string())
    }

    /// The last lines that it printed.
    pub(crate) fn last_lines(&self) -> String {
        let bytes = std::fs::read(&self.said).unwrap_or_default();
        let tail = &bytes[bytes.len().saturating_sub(4_096)..];
        let text = String::from_utf8_lossy(tail);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(SAID_LINES)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let group = Pid::from_raw(self.child.id().cast_signed());
        let _ = killpg(group, Signal::SIGTERM);
        let until = Instant::now() + DRAIN;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::park_timeout(Duration::from_millis(5));
        }
        // Also where it ended: nothing that it started may stay.
        let _ = killpg(group, Signal::SIGKILL);
        let _ = self.child.wait();
        self.running.remove(group);
    }
}

/// A child has the cores of the thread that starts it, so a thread of its own starts it.
fn spawn_on(cores: &[usize], mut command: std::process::Command) -> io::Result<Child> {
    if cores.is_empty() {
        return command.spawn();
    }
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core)?;
    }
    let thread = std::thread::spawn(move || {
        sched_setaffinity(Pid::from_raw(0), &set)?;
        command.spawn()
    });
    thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread that starts it panicked")))
}

/// Runs `line` by the shell to its end, with these variables: how it failed, if it did, and what
/// it printed.
pub(crate) fn hook(
    line: &str,
    variables: &[(String, String)],
    limit: Duration,
) -> Result<(), String> {
    let folder = Folder::make().map_err(|error| error.to_string())?;
    let said = folder.0.join("said");
    let out = std::fs::File::create(&said).map_err(|error| error.to_string())?;
    let copy = out.try_clone().map_err(|error| error.to_string())?;
    let mut child = std::process::Command::new("sh")
        .args(["-c", line])
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(copy)
        .process_group(0)
        .spawn()
        .map_err(|error| error.to_string())?;
    let until = Instant::now() + limit;
    let ended = loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) => break Some(status),
            None if Instant::now() >= until => break None,
            None => std::thread::park_timeout(Duration::from_millis(5)),
        }
    };
    let _ = killpg(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL);
    let _ = child.wait();
    let text = std::fs::read_to_string(&said).unwrap_or_default();
    let last = text.lines().last().unwrap_or_default().to_owned();
    match ended {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(format!("{status}: {last}")),
        None => Err(format!("it took more than {} s", limit.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_split_as_a_shell_would_split_it() {
        for (text, expected) in [
            ("a b  c", Some(&["a", "b", "c"][..])),
            ("a 'b c' \"d \\\" e\" f\\ g", Some(&["a", "b c", "d \" e", "f g"])),
            ("a '' b", Some(&["a", "", "b"])),
            ("a --x='y z'", Some(&["a", "--x=y z"])),
            ("a 'b", None),
            ("a \\", None),
        ] {
            let read = words(text).ok();
            let read: Option<Vec<&str>> =
                read.as_ref().map(|all| all.iter().map(String::as_str).collect());
            assert_eq!(read.as_deref(), expected, "{text}");
        }
        let read = Command::read("GOGC=50 ./svc --port {port}").unwrap();
        assert_eq!(read.environment, [("GOGC".to_owned(), "50".to_owned())]);
        assert_eq!(read.program, "./svc");
        assert!(Command::read("A=1").is_err());
    }

    #[test]
    fn every_placeholder_has_a_port_of_its_own() {
        let texts = ["--listen=127.0.0.1:{port}", "{port:admin}", "{port:admin}{port:x-y}"];
        let ports = Ports::choose(texts.into_iter()).unwrap();
        assert_eq!(ports.0.len(), 3);
        let filled = ports.fill("{port} {port:admin}");
        let numbers: Vec<u16> = filled.split(' ').map(|port| port.parse().unwrap()).collect();
        assert_ne!(numbers[0], numbers[1]);
        let names: Vec<String> = ports.variables().map(|(name, _)| name).collect();
        assert_eq!(names, ["TANDEM_PORT_ADMIN", "TANDEM_PORT_X_Y"]);
    }

    #[test]
    fn a_process_has_its_cores_and_its_folder_and_leaves_nothing() {
        let script = "sh -c 'echo $TOKIO_WORKER_THREADS > {folder}/threads; sleep 600 & wait'";
        let running = Running::default();
        let process = Process::start(&Command::read(script).unwrap(), &[0], &running).unwrap();
        let folder = process.folder.data();
        let threads = loop {
            match std::fs::read_to_string(folder.join("threads")) {
                Ok(text) if !text.is_empty() => break text,
                _ => std::thread::yield_now(),
            }
        };
        assert_eq!(threads, "1\n");
        let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap();
        assert!(status.contains("Cpus_allowed_list:\t0\n"), "{status}");
        let group = Pid::from_raw(process.pid().cast_signed());
        drop(process);
        assert!(!folder.exists());
        // The group may be there until its new parent has looked.
        while killpg(group, None).is_ok() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_hook_that_fails_says_what_it_said_last() {
        let run = |line: &str, limit| hook(line, &[("A".into(), "7".into())], limit);
        let long = Duration::from_secs(60);
        assert_eq!(run("test $A = 7", long), Ok(()));
        let failed = run("echo no dataset; exit 3", long).unwrap_err();
        assert!(failed.contains("no dataset") && failed.contains('3'), "{failed}");
        assert!(run("sleep 600", Duration::from_millis(20)).unwrap_err().contains("more than"));
    }
}
