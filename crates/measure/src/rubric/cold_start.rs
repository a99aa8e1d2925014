//! Row R-11: from exec to a healthy answer and to the first one that does work.
//!
//! Looked at every 200 µs. The page cache is warm; emptying it needs root. The data folder is kept
//! from an uncounted start before, so migrations and first files are no part of it: it is the
//! start after a deploy.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_nanosleep};
use tandem_judge::report::units;

use super::checks::median;
use super::command::{Group, resident_bytes};
use super::grpc::Connection;
use super::scratch::Scratch;
use super::{Found, Side, Start};

const LOOK: Duration = Duration::from_micros(200);
/// A service that is not healthy by then does not start.
const START_MAX: Duration = Duration::from_secs(30);
const CALL_MAX: Duration = Duration::from_secs(5);

/// One start.
#[derive(Debug, Clone, Copy)]
struct Started {
    healthy: Duration,
    answered: Option<Duration>,
    memory_bytes: u64,
}

pub(crate) fn row(side: &mut Side<'_>, built: &Result<PathBuf, String>, scratch: &Scratch) {
    let Some(start) = side.source.start.clone() else {
        side.row("R-11", "", Err("nobody said how it is started".to_owned()));
        return;
    };
    let shown = start.program.as_ref().map_or("PROGRAM".into(), |it| it.display().to_string());
    let set = start.environment.iter().map(|(name, value)| format!("{name}={value} "));
    let words = start.arguments.join(" ");
    let times = side.options.starts;
    let command = format!("{}{shown} {words}   # {times} times", set.collect::<String>());
    let program = start.program.clone().map_or_else(|| built.clone(), Ok);
    let found = program.and_then(|program| {
        let program = program.as_path();
        let data = scratch.path().join("data");
        std::fs::create_dir_all(&data).map_err(|error| error.to_string())?;
        once(program, &start, &data)?;
        let mut all = Vec::new();
        for _ in 0..side.options.starts.max(1) {
            if side.stopped() {
                return Err("stopped".to_owned());
            }
            all.push(once(program, &start, &data)?);
        }
        Ok(text(&all))
    });
    side.row("R-11", &command, found);
}

/// Starts it, asks until it is healthy, asks it to work, ends it.
fn once(program: &Path, start: &Start, data: &Path) -> Result<Started, String> {
    let ports = Ports::choose(start)?;
    let port = ports.0[0].1;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let data = data.display().to_string();
    let fill = |word: &String| ports.fill(word).replace("{data}", &data).replace("{folder}", &data);
    let mut command = Command::new(program);
    command.args(start.arguments.iter().map(fill));
    command.envs(start.environment.iter().map(|(name, value)| (name, fill(value))));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let began = Instant::now();
    let mut group =
        Group::start(&mut command).map_err(|error| format!("it cannot be started: {error}"))?;
    let mut last;
    let mut connection = loop {
        match healthy(address, &start.service) {
            Ok(connection) => break connection,
            Err(error) => last = error.to_string(),
        }
        if let Ok(Some(status)) = group.child.try_wait() {
            return Err(format!("it ended with {status} before it was healthy"));
        }
        if began.elapsed() > START_MAX {
            return Err(format!("not healthy after {} s: {last}", START_MAX.as_secs()));
        }
        rest();
    };
    let healthy = began.elapsed();
    let answered = match &start.call {
        None => None,
        Some((method, message)) => {
            let answer = connection
                .call(&format!("/{method}"), message)
                .map_err(|error| format!("{method}: {error}"))?;
            if answer.is_none() && !start.any_status {
                return Err(format!("{method} answered without a message"));
            }
            Some(began.elapsed())
        }
    };
    let process = PathBuf::from(format!("/proc/{}", group.pid));
    let memory_bytes = resident_bytes(&process).ok_or("its memory cannot be read")?;
    group.end();
    Ok(Started { healthy, answered, memory_bytes })
}

fn healthy(address: SocketAddr, service: &str) -> std::io::Result<Connection> {
    // grpc.health.v1: field 1 of the request is the service, field 1 of the answer 1 when it serves.
    const SERVING: [u8; 2] = [0x08, 0x01];
    let mut connection = Connection::open(address, CALL_MAX)?;
    let length = u8::try_from(service.len()).map_err(std::io::Error::other)?;
    let message =
        if length == 0 { Vec::new() } else { [&[0x0a, length], service.as_bytes()].concat() };
    match connection.call("/grpc.health.v1.Health/Check", &message)? {
        Some(answer) if answer == SERVING => Ok(connection),
        Some(_) => Err(std::io::Error::other("it says that it does not serve")),
        None => Err(std::io::Error::other("it answers no grpc.health.v1 for this service")),
    }
}

/// Ports that were free a moment ago, by what stands for each; `{port}` comes first.
struct Ports(Vec<(String, u16)>);

impl Ports {
    fn choose(start: &Start) -> Result<Ports, String> {
        let mut names = vec!["{port}".to_owned()];
        let values = start.environment.iter().map(|(_, value)| value);
        for text in start.arguments.iter().chain(values) {
            for rest in text.split("{port:").skip(1) {
                let name = rest.split_once('}').map(|(name, _)| format!("{{port:{name}}}"));
                names.extend(name.filter(|name| !names.contains(name)));
            }
        }
        // All are held until all are chosen, or one could be chosen twice.
        let held = names.into_iter().map(|name| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            Ok((name, listener.local_addr()?.port(), listener))
        });
        let held = held.collect::<std::io::Result<Vec<_>>>();
        let held = held.map_err(|error| format!("no port is free: {error}"))?;
        Ok(Ports(held.into_iter().map(|(name, port, _)| (name, port)).collect()))
    }

    fn fill(&self, word: &str) -> String {
        self.0
            .iter()
            .fold(word.to_owned(), |word, (name, port)| word.replace(name, &port.to_string()))
    }
}

fn rest() {
    let length = TimeSpec::from_duration(LOOK);
    let _ = clock_nanosleep(ClockId::CLOCK_MONOTONIC, ClockNanosleepFlags::empty(), &length);
}

fn text(all: &[Started]) -> Found {
    let times = |pick: fn(&Started) -> Option<Duration>| -> Vec<f64> {
        all.iter().filter_map(pick).map(|time| time.as_secs_f64()).collect()
    };
    let shown = |name: &str, mut values: Vec<f64>| {
        let middle = median(&mut values);
        // By rank, of few values: the second longest of a hundred.
        let tail = values.len().saturating_sub(1 + values.len() / 100);
        format!(
            "{name} {} (p99 {})",
            units::duration(middle),
            values
                .get(tail)
                .map_or_else(|| units::NOTHING.to_owned(), |&value| units::duration(value))
        )
    };
    let mut parts = vec![shown("healthy", times(|start| Some(start.healthy)))];
    let answered = times(|start| start.answered);
    if !answered.is_empty() {
        parts.push(shown("first answer", answered));
    }
    #[expect(clippy::cast_precision_loss, reason = "bytes of one process")]
    let mut memory: Vec<f64> = all.iter().map(|start| start.memory_bytes as f64).collect();
    parts.push(format!("RSS {}", units::bytes(median(&mut memory))));
    let note = format!(
        "medians of {}; page cache warm, the data folder kept; looked at every {} µs; when p99 is \
         steady needs load and is not looked at",
        all.len(),
        LOOK.as_micros()
    );
    Found::new(parts.join(", "), note)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_becomes_healthy_says_why() {
        let start = Start { arguments: vec!["-c".into(), "exit 3".into()], ..Start::default() };
        let why = once(Path::new("/bin/sh"), &start, Path::new("/")).unwrap_err();
        assert!(why.contains("exit status: 3 before it was healthy"), "{why}");
    }

    #[test]
    fn each_placeholder_has_a_port_of_its_own_in_arguments_and_variables() {
        let start = Start {
            environment: vec![("ADMIN".into(), "{port:admin}".into())],
            arguments: vec!["{port}".into(), "{port:admin}".into(), "{port:rest}".into()],
            ..Start::default()
        };
        let ports = Ports::choose(&start).unwrap();
        let filled = ports.fill("{port} {port:admin} {port:rest} {port:admin}");
        let numbers: Vec<u16> = filled.split(' ').map(|port| port.parse().unwrap()).collect();
        assert_eq!(numbers[1], numbers[3]);
        assert!(numbers[0] != numbers[1] && numbers[1] != numbers[2] && numbers[0] != numbers[2]);
    }

    #[test]
    fn the_p99_of_a_hundred_is_the_second_longest() {
        let start = |ms| Started {
            healthy: Duration::from_millis(ms),
            answered: None,
            memory_bytes: 1 << 20,
        };
        let all: Vec<Started> = (1..=100).map(start).collect();
        let found = text(&all);
        assert!(found.value.starts_with("healthy 50.5 ms (p99 99 ms), RSS "), "{}", found.value);
    }
}
