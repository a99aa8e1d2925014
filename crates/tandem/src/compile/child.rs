//! The process that compiles: it limits itself, reads texts, writes an answer.
//!
//! Not here: what kills it when it is late (`super`).

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use nix::sys::resource::{Resource, setrlimit};
use tandem_config::CompileFault;
use tandem_contract::source::text::{self, at_place, is_edition};
use tandem_contract::{ProtoText, TextFault};

use super::{put_answer, read_texts};

/// Bytes of memory, and seconds of a processor (security LI-30).
const MEMORY: u64 = 2 << 30;
const SECONDS: u64 = 2;
/// Bytes of all texts with their names; those who send them have counted already.
const INPUT_MOST: u64 = 32 << 20;

/// Compiles what stands on stdin; `workplace` is the folder with the same files, if programs that
/// read files are needed.
pub(crate) fn run(workplace: Option<&Path>) -> ExitCode {
    // Before a byte is read. A limit that cannot be set is no limit: better no answer.
    let limited = setrlimit(Resource::RLIMIT_AS, MEMORY, MEMORY)
        .and_then(|()| setrlimit(Resource::RLIMIT_CPU, SECONDS, SECONDS))
        .and_then(|()| setrlimit(Resource::RLIMIT_CORE, 0, 0));
    if limited.is_err() {
        return ExitCode::FAILURE;
    }
    let mut input = Vec::new();
    if io::stdin().take(INPUT_MOST).read_to_end(&mut input).is_err() {
        return ExitCode::FAILURE;
    }
    let Some(texts) = read_texts(&input) else { return ExitCode::FAILURE };
    let answer = match workplace {
        None => text::compile(&texts).map_err(CompileFault::Texts),
        Some(folder) => by_program(folder, &texts),
    };
    let mut out = io::stdout();
    match out.write_all(&put_answer(&answer)).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Runs `buf` or `protoc`, which inherit the limits and the group that is killed.
fn by_program(folder: &Path, texts: &[ProtoText]) -> Result<Vec<u8>, CompileFault> {
    let names = || texts.iter().map(|text| text.name.as_str());
    let mut command = if let Some(buf) = on_path("buf") {
        let mut command = Command::new(buf);
        command.args(["build", "--as-file-descriptor-set", "-o", "-"]);
        command.args(names().flat_map(|name| ["--path", name]));
        command
    } else if let Some(protoc) = on_path("protoc") {
        let mut command = Command::new(protoc);
        command.args(["--include_imports", "--include_source_info"]);
        command.args(["--descriptor_set_out=/dev/stdout", "-I."]);
        command.args(names());
        command
    } else {
        let edition = texts.iter().find(|text| is_edition(&text.text));
        let name = edition.map(|text| text.name.clone()).unwrap_or_default();
        return Err(CompileFault::NoEditionCompiler(name));
    };
    // What a program keeps for next time stays in the folder.
    command.current_dir(folder).env("HOME", folder).env("BUF_CACHE_DIR", folder.join(".cache"));
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| CompileFault::Ended(format!("{:?}: {error}", command.get_program())))?;
    if output.status.success() {
        return Ok(text::with_comments_only(&output.stdout));
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let faults: Vec<TextFault> = said.lines().filter_map(at_place).take(50).collect();
    if faults.is_empty() {
        let what = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        return Err(CompileFault::Ended(format!("{}: {what}", output.status)));
    }
    Err(CompileFault::Texts(faults))
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|program| program.is_file())
}
