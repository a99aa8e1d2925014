//! `tandem corpus`: what files of recorded calls hold, and smaller ones that cover as much.
//!
//! Not here: the files (`tandem_measure::records`), sending them (`crate::compare`). Nothing here
//! records or sends live traffic.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tandem_contract::{Contract, Method};
use tandem_judge::report::units;
use tandem_measure::records::{Cleaned, Cleaner, Log, Whole, Writer};

use super::target::contract_of;
use super::{contract, on_a_loop, table, target};
use crate::compare::corpus::{self, Fate};
use crate::discover::TrustArguments;
use crate::failure::{Exit, Failure};
use crate::files::{self, New, Over};
use crate::output::{self, Form};

#[derive(Debug, Subcommand)]
pub(super) enum Corpora {
    /// Lists the methods of a file of recorded calls: how many, over which time, how large.
    Ls(Ls),
    /// Writes a smaller file: of the calls those that have a field or a status that none before has.
    #[command(alias = "minimize")]
    Minimise(Minimise),
}

#[derive(Debug, Args)]
pub(super) struct Ls {
    /// corpus.binlog of `compare --out`, or the binary log of a gRPC library.
    file: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct Minimise {
    /// corpus.binlog of `compare --out`, or the binary log of a gRPC library.
    file: PathBuf,
    /// Where the smaller one is written; fields marked `debug_redact` are redacted.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Replaces `--out` if it is there.
    #[arg(long)]
    force: bool,
    /// The contract: a descriptor set, a .proto file or a folder of them.
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "server",
        required_unless_present = "server"
    )]
    contract: Option<PathBuf>,
    /// A gateway or a service that is asked for the contract by reflection.
    #[arg(long, value_name = "HOST:PORT")]
    server: Option<String>,
    #[command(flatten)]
    trust: TrustArguments,
}

pub(super) fn corpora(command: Corpora, form: Form, timeout: Duration) -> Result<Exit, Failure> {
    match command {
        Corpora::Ls(Ls { file }) => ls(&file, form),
        Corpora::Minimise(arguments) => minimise(&arguments, form, timeout),
    }
}

/// What a file has of one method.
#[derive(Debug, Clone, Default)]
struct OfMethod {
    calls: u64,
    messages: u64,
    bytes: u64,
    /// That the log does not hold whole.
    unfinished: u64,
    keys: BTreeSet<u64>,
    /// By status; those without are in no place.
    codes: BTreeMap<u32, u64>,
}

fn ls(file: &Path, form: Form) -> Result<Exit, Failure> {
    let log = corpus::read("FILE", file, |_| true)?;
    let mut methods = vec![OfMethod::default(); log.methods.len()];
    for call in &log.calls {
        let of = &mut methods[call.method as usize];
        of.calls += 1;
        of.messages += call.messages.len() as u64;
        of.bytes += call.messages.iter().map(|message| message.len() as u64).sum::<u64>();
        of.unfinished += u64::from(call.whole != Whole::Yes);
        of.keys.insert(call.key());
        if let Some(code) = call.status {
            *of.codes.entry(code).or_default() += 1;
        }
    }
    match form {
        Form::Json => output::data(&object(file, &log, &methods).to_string()),
        Form::Text => {
            let head = ["METHOD", "CALLS", "DIFFERENT", "MESSAGES", "SIZE", "UNFINISHED", "CODES"];
            let mut rows = vec![head.map(str::to_owned)];
            rows.extend(log.methods.iter().zip(&methods).map(|(name, of)| row(name, of)));
            output::data(&table(&rows));
            output::talk(&summary(file, &log));
            corpus::said(&log, 0).iter().for_each(|note| output::talk(&format!("note: {note}")));
        }
    }
    Ok(Exit::Fine)
}

fn row(name: &str, of: &OfMethod) -> [String; 7] {
    let OfMethod { calls, messages, bytes, unfinished, keys, codes } = of;
    let codes: Vec<String> =
        codes.iter().map(|(code, count)| format!("{code}: {}", units::count(*count))).collect();
    [
        name.to_owned(),
        units::count(*calls),
        units::count(keys.len() as u64),
        units::count(*messages),
        units::bytes(*bytes as f64),
        units::count(*unfinished),
        if codes.is_empty() { "not recorded".to_owned() } else { codes.join(", ") },
    ]
}

/// The earliest and the latest beginning of a call.
fn span(log: &Log) -> Option<(Duration, Duration)> {
    let times = || log.calls.iter().filter_map(|call| call.at);
    times().min().zip(times().max())
}

fn summary(file: &Path, log: &Log) -> String {
    let packed = if log.packed { ", in zstd" } else { "" };
    let mut text = format!(
        "{}: {}{packed}; {} calls of {} methods",
        file.display(),
        log.framing.text(),
        units::count(log.calls.len() as u64),
        log.methods.len()
    );
    match span(log) {
        Some((first, last)) => {
            let seconds = (last - first).as_secs_f64();
            text.push_str(&format!(" over {}", units::duration(seconds)));
            if let Some(rate) = rate(log) {
                text.push_str(&format!(", {}", units::rate(rate)));
            }
        }
        None => text.push_str(", without times"),
    }
    if log.strays > 0 {
        text.push_str(&format!(
            "; {} entries of calls that began before",
            units::count(log.strays)
        ));
    }
    text
}

/// Calls a second, as `--arrivals trace` sends them where all have their times.
fn rate(log: &Log) -> Option<f64> {
    let (first, last) = span(log)?;
    let timed = log.calls.iter().filter(|call| call.at.is_some()).count();
    let seconds = (last - first).as_secs_f64();
    (seconds > 0.0).then(|| (timed as f64 - 1.0) / seconds)
}

fn object(file: &Path, log: &Log, methods: &[OfMethod]) -> Value {
    let methods: Vec<Value> = log
        .methods
        .iter()
        .zip(methods)
        .map(|(name, of)| {
            let OfMethod { calls, messages, bytes, unfinished, keys, codes } = of;
            let codes: serde_json::Map<String, Value> =
                codes.iter().map(|(code, count)| (code.to_string(), json!(count))).collect();
            json!({
                "method": name, "calls": calls, "different": keys.len(), "messages": messages,
                "bytes": bytes, "unfinished": unfinished, "codes": codes,
            })
        })
        .collect();
    let framing = match log.framing {
        tandem_measure::records::Framing::Records => "records",
        tandem_measure::records::Framing::BigEndian => "big_endian",
        tandem_measure::records::Framing::Varint => "varint",
    };
    let index = log.index.as_ref();
    json!({
        "file": file.display().to_string(),
        "framing": framing,
        "packed": log.packed,
        "calls": log.calls.len(),
        "methods": methods,
        "first_s": span(log).map(|(first, _)| first.as_secs_f64()),
        "span_s": span(log).map(|(first, last)| (last - first).as_secs_f64()),
        "rate": rate(log),
        "strays": log.strays,
        "partial": log.is_partial,
        "redacted": index.map(|index| index.redacted),
        "left_out": index.map(|index| index.left_out),
    })
}

fn minimise(arguments: &Minimise, form: Form, timeout: Duration) -> Result<Exit, Failure> {
    let Minimise { file, out, force, contract: given, server, trust } = arguments;
    let over = if *force { Over::Replace } else { Over::Keep };
    if over == Over::Keep && std::fs::symlink_metadata(out).is_ok() {
        // Before anybody is asked for anything.
        return Err(files::is_there(&[out.display().to_string()])
            .fix("write elsewhere, or overwrite with `--force`"));
    }
    let contract = match (given, server) {
        (Some(file), _) => contract::from_file(file)?.0,
        (None, Some(server)) => Arc::new(on_a_loop(reflected(server, trust, timeout))?),
        (None, None) => return Err(Failure::new(Exit::Usage, "no contract is named")),
    };
    let log = corpus::read("FILE", file, |_| true)?;
    let kept = kept(file, &log, &contract)?;
    let failed = |error: std::io::Error| {
        Failure::new(Exit::Failed, "the calls cannot be written").because(error.to_string())
    };
    let mut writer = Writer::new(u64::MAX);
    for call in &kept.calls {
        writer.add(call.method, call.at, &call.messages, call.status).map_err(failed)?;
    }
    let written = writer.finish().map_err(failed)?;
    let size = written.bytes.len();
    files::write(&[New { path: out.clone(), bytes: written.bytes, over }])?;
    let unknown: Vec<&str> = kept.unknown.iter().copied().collect();
    match form {
        Form::Json => output::data(
            &json!({
                "file": out.display().to_string(), "calls": log.calls.len(),
                "kept": written.calls, "redacted": written.redacted, "bytes": size,
                "unfinished": kept.unfinished, "unknown_methods": unknown,
            })
            .to_string(),
        ),
        Form::Text => {
            output::data(&format!(
                "{}: {} of {} calls, {}",
                out.display(),
                units::count(written.calls),
                units::count(log.calls.len() as u64),
                units::bytes(size as f64)
            ));
            let mut notes = corpus::said(&log, kept.unfinished);
            if written.redacted > 0 {
                let count = units::count(written.redacted);
                notes.push(format!("in {count} calls something was redacted"));
            }
            if !unknown.is_empty() {
                let names = unknown.join(", ");
                notes.push(format!("the contract does not have, and left out are: {names}"));
            }
            notes.iter().for_each(|note| output::talk(&format!("note: {note}")));
        }
    }
    Ok(Exit::Fine)
}

async fn reflected(
    server: &str,
    trust: &TrustArguments,
    timeout: Duration,
) -> Result<Contract, Failure> {
    let upstream = target::reach(server, &trust.read()?, timeout).await?;
    contract_of(&upstream, server).await
}

/// A call that stays.
struct Kept<'l> {
    method: &'l str,
    at: Option<Duration>,
    messages: Vec<Cleaned>,
    status: Option<u32>,
}

struct Minimised<'l> {
    calls: Vec<Kept<'l>>,
    unfinished: u64,
    /// Methods that the contract does not have.
    unknown: BTreeSet<&'l str>,
}

/// Of each method the calls that have what none before them has: a path of fields in a request, a
/// status, or no message at all.
fn kept<'l>(file: &Path, log: &'l Log, contract: &Arc<Contract>) -> Result<Minimised<'l>, Failure> {
    let cleaner = Cleaner::new(Arc::clone(contract));
    let known = |name: &String| -> Option<&Method> {
        contract.methods().map(|(_, method)| method).find(|method| method.full_name() == name)
    };
    let methods: Vec<Option<&Method>> = log.methods.iter().map(known).collect();
    let mut found = Minimised { calls: Vec::new(), unfinished: 0, unknown: BTreeSet::new() };
    let mut seen: BTreeSet<(u32, Feature)> = BTreeSet::new();
    for call in &log.calls {
        let name = &log.methods[call.method as usize];
        let Some(method) = methods[call.method as usize] else {
            found.unknown.insert(name);
            continue;
        };
        let messages = match corpus::fate(&cleaner, method, call) {
            Ok(Fate::Sendable(messages)) => messages,
            Ok(Fate::Unfinished) => {
                found.unfinished += 1;
                continue;
            }
            Err((why, fix)) => {
                return Err(corpus::unsendable("FILE", file, call.number, &why, fix));
            }
        };
        let mut is_new = seen.insert((call.method, Feature::Status(call.status)));
        is_new |= seen.insert((call.method, Feature::Messages(messages.len().min(2))));
        for path in messages.iter().flat_map(Cleaned::paths) {
            is_new |= seen.insert((call.method, Feature::Path(*path)));
        }
        if is_new {
            let (at, status) = (call.at, call.status);
            found.calls.push(Kept { method: name, at, messages, status });
        }
    }
    Ok(found)
}

/// What a call may show for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Feature {
    Status(Option<u32>),
    /// None, one, or several.
    Messages(usize),
    Path(u64),
}
