//! What to look at, as people write it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// One instance of an implementation, as written in `--primary rust=pid:811` or in `cost`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `pid:N`: a process and its children.
    Pid(u32),
    /// `exec:"CMD"`: a command that whoever compares starts (`exec::Exec`).
    Exec(String),
    /// `cgroup:PATH`: below the root of the hierarchy, or the whole path in the file system.
    Cgroup(PathBuf),
    /// `unit:NAME`: a unit of systemd, `.service` where no kind is written.
    Unit(String),
    /// `docker:ID`: a container by its id or the beginning of it, 8 digits at least.
    Docker(String),
    /// `k8s-pod:UID`: all containers of a pod.
    KubernetesPod(String),
    /// `port:N`: whoever listens on the TCP port, in the same network namespace.
    Port(u16),
    /// `agent:HOST:PORT`: read by `tandem agent` on another machine.
    Agent { host: String, port: u16 },
}

/// Why a text is no target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no target: {what}")]
pub struct TargetError {
    pub text: String,
    pub what: &'static str,
}

/// Bytes of a target; longer than any path that the kernel takes.
const TEXT_MOST: usize = 4352;
const KINDS: &str = "it is pid:N, exec:\"CMD\", cgroup:PATH, unit:NAME, docker:ID, k8s-pod:UID, port:N or \
     agent:HOST:PORT";

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Target, TargetError> {
        parse(text).map_err(|what| {
            let text = text.chars().take(80).collect();
            TargetError { text, what }
        })
    }
}

fn parse(text: &str) -> Result<Target, &'static str> {
    if text.len() > TEXT_MOST {
        return Err("it is too long");
    }
    let (kind, rest) = text.split_once(':').ok_or(KINDS)?;
    if rest.chars().any(char::is_control) {
        return Err("a control character stands in it");
    }
    match kind {
        "pid" => match decimal(rest).and_then(|pid| u32::try_from(pid).ok()) {
            // The kernel's PID_MAX_LIMIT.
            Some(pid) if (1..=4_194_304).contains(&pid) => Ok(Target::Pid(pid)),
            Some(_) | None => Err("a pid is a number from 1 to 4194304"),
        },
        "exec" => match unquoted(rest).trim() {
            "" => Err("the command is empty"),
            command => Ok(Target::Exec(command.to_owned())),
        },
        "cgroup" => {
            let path = PathBuf::from(rest);
            let plain = path.components().all(|part| {
                matches!(part, std::path::Component::RootDir | std::path::Component::Normal(_))
            });
            match rest {
                "" | "/" => Err("the path is empty; the root is the whole machine"),
                _ if !plain => Err("the path has `.` or `..` in it"),
                _ => Ok(Target::Cgroup(path)),
            }
        }
        "unit" => {
            let fine = !rest.is_empty()
                && rest.len() <= 255
                && rest.chars().all(|c| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c));
            let with_kind = ["service", "scope", "slice"]
                .iter()
                .any(|kind| rest.strip_suffix(kind).is_some_and(|name| name.ends_with('.')));
            match (fine, with_kind) {
                (false, _) => Err("a unit's name has letters, digits and :-_.\\@ only"),
                (true, true) => Ok(Target::Unit(rest.to_owned())),
                (true, false) => Ok(Target::Unit(format!("{rest}.service"))),
            }
        }
        "docker" => {
            let hexadecimal = rest.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c));
            match hexadecimal && (8..=64).contains(&rest.len()) {
                true => Ok(Target::Docker(rest.to_owned())),
                false => Err("a container's id is 8 to 64 digits 0-9 a-f"),
            }
        }
        "k8s-pod" => {
            let fine = rest.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
            match fine && (32..=36).contains(&rest.len()) {
                true => Ok(Target::KubernetesPod(rest.to_ascii_lowercase())),
                false => Err("a pod's UID is a UUID"),
            }
        }
        "port" => port(rest).map(Target::Port).ok_or("a port is a number from 1 to 65535"),
        "agent" => {
            const WHAT: &str = "an agent is HOST:PORT";
            let (host, at) = rest.rsplit_once(':').ok_or(WHAT)?;
            let named = |host: &str| {
                !host.is_empty()
                    && host.len() <= 255
                    && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c))
            };
            let numbered = |host: &str| {
                let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
                inner.is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok())
            };
            match port(at) {
                Some(port) if named(host) || numbered(host) => {
                    Ok(Target::Agent { host: host.to_owned(), port })
                }
                Some(_) | None => Err(WHAT),
            }
        }
        _ => Err(KINDS),
    }
}

/// Digits only: no sign, no space.
fn decimal(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

fn port(text: &str) -> Option<u16> {
    decimal(text).and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0)
}

/// A shell takes the quotes away; a file does not.
fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text)
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Pid(pid) => write!(formatter, "pid:{pid}"),
            Target::Exec(command) => write!(formatter, "exec:\"{command}\""),
            Target::Cgroup(path) => write!(formatter, "cgroup:{}", path.display()),
            Target::Unit(name) => write!(formatter, "unit:{name}"),
            Target::Docker(id) => write!(formatter, "docker:{id}"),
            Target::KubernetesPod(uid) => write!(formatter, "k8s-pod:{uid}"),
            Target::Port(port) => write!(formatter, "port:{port}"),
            Target::Agent { host, port } => write!(formatter, "agent:{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_target_is_read_and_written_back() {
        for (text, target) in [
            ("pid:1", Target::Pid(1)),
            ("pid:4194304", Target::Pid(4_194_304)),
            ("exec:\"./svc --port {port}\"", Target::Exec("./svc --port {port}".into())),
            ("cgroup:/system.slice/a.service", Target::Cgroup("/system.slice/a.service".into())),
            ("unit:shop@1.service", Target::Unit("shop@1.service".into())),
            ("unit:run-u3.scope", Target::Unit("run-u3.scope".into())),
            ("docker:0123abcd", Target::Docker("0123abcd".into())),
            (
                "k8s-pod:7f1c2f6e-1a2b-4c3d-8e9f-001122334455",
                Target::KubernetesPod("7f1c2f6e-1a2b-4c3d-8e9f-001122334455".into()),
            ),
            ("port:65535", Target::Port(65535)),
            (
                "agent:catalogue-go.shop.svc:9190",
                Target::Agent { host: "catalogue-go.shop.svc".into(), port: 9190 },
            ),
            ("agent:[::1]:9190", Target::Agent { host: "[::1]".into(), port: 9190 }),
        ] {
            assert_eq!(text.parse(), Ok(target.clone()), "{text}");
            assert_eq!(target.to_string(), text);
        }
    }

    #[test]
    fn a_unit_without_a_kind_is_a_service_and_quotes_of_a_command_may_be_left_out() {
        assert_eq!("unit:shop".parse(), Ok(Target::Unit("shop.service".into())));
        assert_eq!("exec:./svc".parse(), Ok(Target::Exec("./svc".into())));
    }

    #[test]
    fn what_is_no_target_is_refused() {
        for text in [
            "",
            "811",
            "pid",
            "pid:",
            "pid:0",
            "pid:-1",
            "pid:+1",
            "pid: 1",
            "pid:4194305",
            "pid:99999999999999999999",
            "exec:",
            "exec:\"\"",
            "exec:a\nb",
            "cgroup:",
            "cgroup:/",
            "cgroup:/a/../b",
            "cgroup:../b",
            "cgroup:./b",
            "cgroup:/a\0b",
            "unit:",
            "unit:a/b",
            "unit:a b",
            "docker:0123abc",
            "docker:0123ABCD",
            "docker:../../../..",
            "k8s-pod:1",
            "k8s-pod:../..",
            "port:0",
            "port:65536",
            "agent:9190",
            "agent::9190",
            "agent:a/b:1",
            "agent:[::g]:1",
            "agent:host:0",
            "perf:1",
            "PID:1",
        ] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
        assert!(format!("cgroup:/{}", "a".repeat(5000)).parse::<Target>().is_err());
    }
}
