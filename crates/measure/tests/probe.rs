//! The probes on real processes: this program starts itself as what is measured.
//!
//! As a child it does one piece of work for each line that it reads, says when it is done, and
//! ends with its input. So nothing here waits for time to pass.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use tandem_measure::probe::exec::Exec;
use tandem_measure::probe::{CpuSource, MemorySource, PeakSource, Probe, ProbeError, Target};

const CHILD: &str = "TANDEM_PROBE_CHILD";
const MIB: u64 = 1 << 20;

/// What the others start; by itself it has nothing to do.
#[test]
#[ignore = "the child of the other tests"]
fn child() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    say("ready");
    let mut kept: Vec<Vec<u8>> = Vec::new();
    let mut listener = None;
    let mut nappers = Vec::new();
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let (work, amount) = line.split_once(' ').unwrap_or((&line, "0"));
        let amount: u64 = amount.parse().unwrap();
        match work {
            "threads" => {
                let before = own_cpu();
                for _ in 0..amount {
                    std::thread::spawn(|| spin(Duration::from_millis(2))).join().unwrap();
                }
                say(&format!("used {}", (own_cpu() - before).as_micros()));
            }
            "spin" => {
                spin(Duration::from_millis(amount));
                say("done");
            }
            "child" => {
                let mut inner = Started::plain();
                inner.ask(&format!("spin {amount}"));
                say("started");
                // Ends with its input, and is waited for.
                drop(inner);
            }
            "nap" => {
                let (napped, wait) = std::sync::mpsc::channel();
                let (awake, end) = std::sync::mpsc::channel::<()>();
                std::thread::spawn(move || {
                    for _ in 0..amount {
                        let _ = end.recv_timeout(Duration::from_millis(1));
                    }
                    napped.send(()).unwrap();
                    // Lives on, or what it did would be forgotten with it.
                    let _ = end.recv();
                });
                wait.recv().unwrap();
                nappers.push(awake);
                say("napped");
            }
            "keep" => {
                kept.push(vec![1; (amount * MIB) as usize]);
                say("kept");
            }
            "drop" => {
                kept.clear();
                say("dropped");
            }
            "listen" => {
                let bound = TcpListener::bind(("127.0.0.1", u16::try_from(amount).unwrap()));
                let bound = bound.unwrap();
                say(&format!("port {}", bound.local_addr().unwrap().port()));
                listener = Some(bound);
            }
            _ => panic!("{line}"),
        }
    }
    drop(listener);
}

fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n:{text}").unwrap();
    out.flush().unwrap();
}

/// Uses so much CPU, not time.
fn spin(how_long: Duration) {
    let clock = nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID;
    let now = || Duration::from(clock.now().unwrap());
    let end = now() + how_long;
    while now() < end {
        std::hint::spin_loop();
    }
}

fn own_cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(micros as u64)
}

struct Started {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

fn arguments() -> Vec<String> {
    let program = std::env::current_exe().unwrap().into_os_string().into_string().unwrap();
    let words = ["--exact", "child", "--ignored", "--nocapture", "--test-threads=1", "-q"];
    std::iter::once(program).chain(words.map(str::to_owned)).collect()
}

impl Started {
    fn plain() -> Started {
        let words = arguments();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        Started::by(command)
    }

    fn by(mut command: Command) -> Started {
        let mut process = command
            .env(CHILD, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = process.stdin.take();
        let output = BufReader::new(process.stdout.take().unwrap());
        let mut started = Started { process, input, output };
        assert_eq!(started.hear(), "ready");
        started
    }

    fn hear(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "the child ended");
            if let Some(said) = line.strip_prefix(':') {
                return said.trim_end().to_owned();
            }
        }
    }

    fn ask(&mut self, work: &str) -> String {
        writeln!(self.input.as_mut().unwrap(), "{work}").unwrap();
        self.hear()
    }

    fn target(&self) -> Target {
        Target::Pid(self.process.id())
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // It ends with its input.
        self.input = None;
        self.process.wait().unwrap();
    }
}

fn used(probe: &mut Probe, work: impl FnOnce()) -> Duration {
    let before = probe.read();
    work();
    probe.read().since(&before).cpu.unwrap()
}

#[track_caller]
fn assert_within(value: Duration, expected: Duration, part: f64) {
    let off = value.as_secs_f64() / expected.as_secs_f64() - 1.0;
    assert!(off.abs() <= part, "{value:?} is not {expected:?}: {:.2} % off", off * 100.0);
}

#[test]
fn compare_t_7_the_clock_of_a_process_that_spawns_2_ms_threads_is_within_a_hundredth_of_getrusage()
{
    let mut child = Started::plain();
    let mut probe = Probe::open(vec![child.target()]).unwrap();
    let mut said = String::new();
    let read = used(&mut probe, || said = child.ask("threads 400"));
    let itself: u64 = said.strip_prefix("used ").unwrap().parse().unwrap();
    assert!(itself >= 800_000, "{itself} µs");
    assert_within(read, Duration::from_micros(itself), 0.01);
    assert_eq!(probe.sources().cpu.into_iter().collect::<Vec<_>>(), [CpuSource::ProcessClock]);
}

#[test]
fn children_count_while_they_run_and_after_they_were_waited_for() {
    let mut child = Started::plain();
    let mut probe = Probe::open(vec![child.target()]).unwrap();
    let whole = used(&mut probe, || {
        child.ask("child 300");
        // The next word is read after the child's child was waited for.
        child.ask("spin 100");
    });
    // The start of a program costs something too.
    assert!(whole >= Duration::from_millis(380), "{whole:?}");
    let again = used(&mut probe, || drop(child.ask("spin 50")));
    assert_within(again, Duration::from_millis(50), 0.2);
}

#[test]
fn several_instances_are_one_sum() {
    let (mut one, mut other) = (Started::plain(), Started::plain());
    let mut probe = Probe::open(vec![one.target(), other.target()]).unwrap();
    let read = used(&mut probe, || {
        one.ask("spin 60");
        other.ask("spin 90");
    });
    assert_within(read, Duration::from_millis(150), 0.1);
    assert_eq!(probe.read().processes, 2);
}

#[test]
fn a_process_that_ended_is_missing_and_what_it_used_stays() {
    let mut child = Started::plain();
    let mut probe = Probe::open(vec![child.target()]).unwrap();
    let before = probe.read();
    child.ask("spin 60");
    let last = probe.read();
    drop(child);
    let gone = probe.read();
    assert_eq!((gone.processes, gone.missing, gone.restarts), (0, 1, 0));
    assert!(gone.since(&before).partial);
    assert_eq!(gone.cpu, last.cpu);
    assert_eq!(probe.memory(), tandem_measure::probe::Memory::default());
    assert_eq!(probe.peak(), None);
}

#[test]
fn a_service_that_began_anew_on_its_port_is_found_and_counted_on() {
    let mut first = Started::plain();
    let said = first.ask("listen 0");
    let port: u16 = said.strip_prefix("port ").unwrap().parse().unwrap();
    let mut probe = Probe::open(vec![Target::Port(port)]).unwrap();
    let before = probe.read();
    first.ask("spin 60");
    let last = probe.read();
    drop(first);
    assert_eq!(probe.read().missing, 1);

    let mut second = Started::plain();
    second.ask(&format!("listen {port}"));
    second.ask("spin 60");
    let found = probe.read();
    assert_eq!((found.missing, found.restarts, found.processes), (0, 1, 1));
    let more = found.since(&last).cpu.unwrap();
    assert!(more >= Duration::from_millis(60), "{more:?}");
    assert!(last.since(&before).cpu.unwrap() >= Duration::from_millis(60));
}

#[test]
fn a_command_is_started_in_a_cgroup_or_else_as_a_tree_and_its_pid_is_the_program() {
    for exec in [Exec::prepare(), Exec::without_cgroup()] {
        let in_cgroup = exec.has_cgroup();
        let text = arguments().join(" ");
        let mut child = Started::by(exec.command(&text));
        let pid = child.process.id();
        let mut probe = exec.probe(&text, pid).unwrap();
        let read = used(&mut probe, || {
            child.ask("child 100");
            child.ask("spin 100");
        });
        assert!(read >= Duration::from_millis(190), "{read:?}");
        let program = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap();
        assert_eq!(program, std::env::current_exe().unwrap());
        let source = if in_cgroup { CpuSource::CgroupV2 } else { CpuSource::ProcessClock };
        assert_eq!(probe.sources().cpu.into_iter().collect::<Vec<_>>(), [source]);
    }
}

#[test]
fn the_cgroup_of_a_command_goes_with_its_probe() {
    let exec = Exec::prepare();
    let Some(folder) = exec.folder().map(std::path::Path::to_owned) else { return };
    assert!(folder.is_dir());
    let text = arguments().join(" ");
    let child = Started::by(exec.command(&text));
    let probe = exec.probe(&text, child.process.id()).unwrap();
    drop(child);
    drop(probe);
    assert!(!folder.exists());
}

#[test]
fn the_peak_of_a_block_is_not_that_of_the_process() {
    let mut child = Started::plain();
    let mut probe = Probe::open(vec![child.target()]).unwrap();
    child.ask("keep 96");
    child.ask("drop");
    let resting = probe.anonymous().unwrap();
    probe.begin_peak();
    child.ask("keep 32");
    child.ask("drop");
    let peak = probe.peak().unwrap();
    assert!(probe.sources().peak.contains(&PeakSource::HighWater), "{:?}", probe.sources());
    assert!((32 * MIB..80 * MIB).contains(&peak), "{peak} after {resting}");
}

#[test]
fn memory_is_what_was_touched() {
    let mut child = Started::plain();
    let mut probe = Probe::open(vec![child.target()]).unwrap();
    let before = probe.memory();
    child.ask("keep 48");
    let after = probe.memory();
    for of in [
        |memory: &tandem_measure::probe::Memory| memory.proportional,
        |memory: &tandem_measure::probe::Memory| memory.private_dirty,
        |memory: &tandem_measure::probe::Memory| memory.anonymous,
    ] {
        let more = of(&after).unwrap() - of(&before).unwrap();
        assert!((47 * MIB..56 * MIB).contains(&more), "{before:?} {after:?}");
    }
    assert!(probe.sources().memory.contains(&MemorySource::SmapsRollup));
}

#[test]
fn compare_a_5_switches_are_those_of_all_threads_not_of_the_first() {
    let mut child = Started::plain();
    let mut probe = Probe::open(vec![child.target()]).unwrap();
    let before = probe.scheduling().unwrap();
    child.ask("nap 50");
    let after = probe.scheduling().unwrap();
    let switches = after.switches_voluntary - before.switches_voluntary;
    assert!((50..2000).contains(&switches), "{before:?} {after:?}");
    assert!(after.waited > before.waited, "{before:?} {after:?}");
}

#[test]
fn how_much_a_service_can_do_at_once_is_read() {
    let child = Started::plain();
    let mut probe = Probe::open(vec![child.target()]).unwrap();
    let parallelism = probe.parallelism().unwrap();
    assert!((1..=4).contains(&parallelism.threads), "{parallelism:?}");
    let cores = std::thread::available_parallelism().unwrap().get() as u32;
    assert!(parallelism.cores_allowed >= cores, "{parallelism:?}");
}

#[test]
fn what_is_not_there_or_not_read_from_here_is_an_error_of_its_own_kind() {
    let open = |text: &str| Probe::open(vec![text.parse().unwrap()]).map(drop).unwrap_err();
    assert!(matches!(open("agent:host:9190"), ProbeError::Elsewhere { .. }));
    assert!(matches!(open("exec:./svc"), ProbeError::NotStarted { .. }));
    assert!(matches!(open("unit:no-such-unit-of-ours"), ProbeError::NotFound { .. }));
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = open(&format!("port:{closed}"));
    assert!(error.to_string().contains("names nothing that runs here"), "{error}");
    let ended = Started::plain();
    let target = ended.target().to_string();
    drop(ended);
    assert!(matches!(open(&target), ProbeError::NotFound { .. }));
}

#[test]
fn a_target_may_come_later() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = closed.local_addr().unwrap().port();
    let mut probe = Probe::new(vec![Target::Port(port)]).unwrap();
    drop(closed);
    let absent = probe.read();
    assert_eq!((absent.cpu, absent.missing), (None, 1));
    let mut child = Started::plain();
    child.ask(&format!("listen {port}"));
    let found = probe.read();
    assert_eq!((found.cpu, found.missing, found.restarts), (Some(Duration::ZERO), 0, 0));
}

#[test]
fn the_machine_says_how_busy_it_was() {
    let before = tandem_measure::probe::host::read().unwrap();
    let begun = Instant::now();
    spin(Duration::from_millis(300));
    let used = tandem_measure::probe::host::read().unwrap().since(&before);
    assert!(used.busy >= Duration::from_millis(250), "{used:?} in {:?}", begun.elapsed());
    assert!((0.0..=1.0).contains(&used.stolen) && (0.0..=1.0).contains(&used.busy_share));
}
