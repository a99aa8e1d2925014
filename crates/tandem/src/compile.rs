//! Compiles .proto text in a process that may die (protocols X-1, security LI-30).
//!
//! [`compile`] runs this binary once more with a hidden command. That process limits its own
//! memory and processor time, reads the texts from stdin and writes a descriptor set or faults to
//! stdout. Whatever happens to it, a broken text, an endless one, a bomb, happens to it alone: it
//! and what it started are killed after 2 seconds, and its answer is bounded.
//!
//! Texts of editions are compiled by `buf` or `protoc` from PATH, started by that process under
//! the same limits, in a folder that goes with the call.
//!
//! Not here: reading the files (`tandem_config`), the compiler of proto2 and proto3
//! (`tandem_contract::source::text`).

mod child;
mod workplace;

use std::io::{Read, Write};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use tandem_config::CompileFault;
use tandem_contract::source::text::is_edition;
use tandem_contract::{DESCRIPTOR_SET_BYTES_MOST, ProtoText, TextFault, fields};

pub(crate) use self::child::run as child;
use self::workplace::Workplace;

/// The name of the hidden command.
pub(crate) const COMMAND: &str = "compile-protos";
/// Time for the whole compilation.
const TIME: Duration = Duration::from_secs(2);

/// Compiles `texts` into the bytes of a descriptor set.
pub(crate) fn compile(texts: &[ProtoText]) -> Result<Vec<u8>, CompileFault> {
    let ended = |what: &str, error: std::io::Error| CompileFault::Ended(format!("{what}: {error}"));
    let workplace = if texts.iter().any(|text| is_edition(&text.text)) {
        Some(Workplace::with(texts).map_err(|error| ended("no folder to work in", error))?)
    } else {
        None
    };
    let program = std::env::current_exe()
        .map_err(|error| ended("this program does not find itself", error))?;
    let mut command = Command::new(program);
    command.arg(COMMAND);
    if let Some(workplace) = &workplace {
        command.arg(workplace.path());
    }
    // Nothing of ours goes along but where programs are.
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    match run(command, put_texts(texts), TIME) {
        Err(error) => Err(ended("the compiler cannot be started", error)),
        Ok(Outcome::Late) => {
            Err(CompileFault::Ended(format!("it took more than {} seconds", TIME.as_secs())))
        }
        Ok(Outcome::Ended(status, _)) if status.code().is_none() => {
            Err(CompileFault::Ended(format!("it used more than it may, or failed ({status})")))
        }
        Ok(Outcome::Ended(_, answer)) if answer.len() > ANSWER_MOST => {
            let what = format!("its descriptors have more than {DESCRIPTOR_SET_BYTES_MOST} bytes");
            Err(CompileFault::Ended(what))
        }
        Ok(Outcome::Ended(status, answer)) => match (status.success(), read_answer(&answer)) {
            (true, Some(answer)) => answer,
            _ => Err(CompileFault::Ended(format!("it said nothing ({status})"))),
        },
    }
}

/// What became of a child.
#[derive(Debug)]
enum Outcome {
    /// With the beginning of what it wrote to stdout.
    Ended(ExitStatus, Vec<u8>),
    /// It was killed, and all that it started.
    Late,
}

/// Runs `command` in a process group of its own for at most `time`.
fn run(mut command: Command, input: Vec<u8>, time: Duration) -> std::io::Result<Outcome> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
    let mut child = command.spawn()?;
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        unreachable!("both are piped above")
    };
    // Threads of their own, for a child that neither reads nor writes would hold this one. They
    // end with the pipes, so with the child and all that it started.
    let writer = std::thread::spawn(move || {
        // A child that went away early says so by its status.
        let _ = stdin.write_all(&input);
    });
    let group = Pid::from_raw(child.id().cast_signed());
    let (send, receive) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut answer = Vec::new();
        // One byte more than may be tells that there is more.
        let read = stdout.take(ANSWER_MOST as u64 + 1).read_to_end(&mut answer);
        // To its end, and not yet away: its number stays its own, so that the group can be killed.
        let ended = waitid(Id::Pid(group), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
        let _ = send.send(read.and(ended.map_err(Into::into)).map(|_status| answer));
    });
    let answer = receive.recv_timeout(time);
    // Also after an answer: nothing that it started may stay.
    let _ = killpg(group, Signal::SIGKILL);
    let status = child.wait()?;
    for thread in [writer, reader] {
        let _ = thread.join();
    }
    match answer {
        Ok(answer) => Ok(Outcome::Ended(status, answer?)),
        Err(_elapsed) => Ok(Outcome::Late),
    }
}

// Both ways in messages of one kind: a field a file or fault, its parts in fields below it.

const ANSWER_MOST: usize = DESCRIPTOR_SET_BYTES_MOST + 1024;

const TEXT: u32 = 1;
/// Fields of an answer.
const SET: u32 = 1;
const FAULT: u32 = 2;
const NO_EDITION_COMPILER: u32 = 3;

fn put_texts(texts: &[ProtoText]) -> Vec<u8> {
    let mut out = Vec::new();
    for ProtoText { name, text } in texts {
        let mut file = Vec::new();
        fields::put_bytes(1, name.as_bytes(), &mut file);
        fields::put_bytes(2, text.as_bytes(), &mut file);
        fields::put_bytes(TEXT, &file, &mut out);
    }
    out
}

fn read_texts(bytes: &[u8]) -> Option<Vec<ProtoText>> {
    fields::each(bytes)
        .map(|field| {
            let file = field.ok()?.bytes;
            let name = fields::first_text(file, 1)?;
            Some(ProtoText { name, text: fields::first_text(file, 2)? })
        })
        .collect()
}

fn put_answer(answer: &Result<Vec<u8>, CompileFault>) -> Vec<u8> {
    let mut out = Vec::new();
    match answer {
        Ok(set) => fields::put_bytes(SET, set, &mut out),
        Err(CompileFault::Texts(faults)) => {
            for TextFault { file, place, what } in faults {
                let mut fault = Vec::new();
                fields::put_bytes(1, file.as_bytes(), &mut fault);
                fields::put_bytes(2, what.as_bytes(), &mut fault);
                if let Some((line, column)) = place {
                    fields::put_number(3, *line as u64, &mut fault);
                    fields::put_number(4, *column as u64, &mut fault);
                }
                fields::put_bytes(FAULT, &fault, &mut out);
            }
        }
        Err(CompileFault::NoEditionCompiler(file)) => {
            fields::put_bytes(NO_EDITION_COMPILER, file.as_bytes(), &mut out);
        }
        Err(CompileFault::Ended(what)) => {
            let faults = vec![TextFault { file: String::new(), place: None, what: what.clone() }];
            return put_answer(&Err(CompileFault::Texts(faults)));
        }
    }
    out
}

/// `None` for what no child of ours writes.
fn read_answer(bytes: &[u8]) -> Option<Result<Vec<u8>, CompileFault>> {
    let mut faults = Vec::new();
    for field in fields::each(bytes) {
        let field = field.ok()?;
        match field.number {
            SET => return Some(Ok(field.bytes.to_vec())),
            FAULT => {
                let number = |number| {
                    let found = fields::each(field.bytes).map_while(Result::ok);
                    let found = found.filter(|part| part.number == number).last()?;
                    usize::try_from(found.value).ok()
                };
                faults.push(TextFault {
                    file: fields::first_text(field.bytes, 1)?,
                    place: number(3).zip(number(4)),
                    what: fields::first_text(field.bytes, 2)?,
                });
            }
            NO_EDITION_COMPILER => {
                let file = String::from_utf8_lossy(field.bytes).into_owned();
                return Some(Err(CompileFault::NoEditionCompiler(file)));
            }
            _ => return None,
        }
    }
    (!faults.is_empty()).then_some(Err(CompileFault::Texts(faults)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn security_li_30_a_child_that_does_not_end_is_killed_with_all_that_it_started() {
        // The second one holds the pipe: had it not been killed, `run` would wait for it.
        let outcome = run(shell("sleep 600 & sleep 600"), Vec::new(), Duration::from_millis(50));
        assert!(matches!(outcome, Ok(Outcome::Late)), "{outcome:?}");
    }

    #[test]
    fn security_li_30_what_a_child_leaves_behind_goes_too() {
        let script = "sleep 600 > /dev/null & echo $!";
        let Ok(Outcome::Ended(status, answer)) =
            run(shell(script), Vec::new(), Duration::from_secs(600))
        else {
            panic!("it ended");
        };
        assert!(status.success());
        let left: i32 = String::from_utf8(answer).unwrap().trim().parse().unwrap();
        // Killed; it may be there until its new parent has looked.
        let state = || std::fs::read_to_string(format!("/proc/{left}/stat")).unwrap_or_default();
        while !(state().is_empty() || state().contains(") Z ")) {
            std::thread::yield_now();
        }
    }

    #[test]
    fn security_li_30_a_child_that_reads_nothing_and_says_too_much_is_no_harm() {
        let outcome = run(shell("head -c 20000000 /dev/zero"), vec![0; 1 << 20], TIME * 300);
        let Ok(Outcome::Ended(_, answer)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(answer.len(), ANSWER_MOST + 1);
    }

    #[test]
    fn what_goes_between_the_processes_comes_back() {
        let texts = vec![
            ProtoText { name: "a.proto".into(), text: "one".into() },
            ProtoText { name: "b/c.proto".into(), text: String::new() },
        ];
        assert_eq!(read_texts(&put_texts(&texts)), Some(texts));
        let fault = |place| TextFault { file: "a.proto".into(), place, what: "w".into() };
        for answer in [
            Ok(vec![1, 2, 3]),
            Err(CompileFault::Texts(vec![fault(Some((3, 7))), fault(None)])),
            Err(CompileFault::NoEditionCompiler("a.proto".into())),
        ] {
            assert_eq!(read_answer(&put_answer(&answer)), Some(answer));
        }
        for other in [&b""[..], b"\xff", b"\x22\x01a"] {
            assert_eq!(read_answer(other), None, "{other:?}");
        }
    }
}
