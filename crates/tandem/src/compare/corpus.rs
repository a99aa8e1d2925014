//! Recorded calls as load, and the record of what a run sends.
//!
//! Calls of a file are sent in the order of the record, from the beginning again after the last:
//! users who record expect what they recorded, and what depends on its order (a cache that warms,
//! a list that was paged through) stays as it was. A call that cannot be sent as it was is refused
//! with its number; one that the log shows in part only because it ends there is left out, which is
//! said.
//!
//! Not here: files of records (`tandem_measure::records`), when calls are sent (`quartets`).

use std::path::Path;
use std::time::Duration;

use tandem_config::Tnd;
use tandem_contract::{MessageId, Method};
use tandem_judge::report::{self, units};
use tandem_measure::load::{Call, Trace};
use tandem_measure::records::{
    self, Bounds, Cleaned, Cleaner, Index, Log, RecordFault, RecordedCall, Whole, Writer, Written,
};
use tandem_transcode::Plans;

use super::ask::{Ask, RATE_MOST};
use super::requests::Requests;
use crate::failure::{Exit, Failure};

/// Of a file that is read. What is sent stays in memory for the whole run.
pub(crate) const BOUNDS: Bounds =
    Bounds { calls: 200_000, message_bytes: 256 << 20, plain_bytes: 1 << 30 };
const FILE_BYTES_MOST: u64 = 256 << 20;
/// Of the entries of `corpus.binlog`, before they are packed.
const WRITTEN_BYTES_MOST: u64 = 64 << 20;

/// What `file` holds of the methods that are wanted.
///
/// # Errors
/// It cannot be opened (TND0105), or read (TND0607).
pub(crate) fn read(flag: &str, file: &Path, wants: impl Fn(&str) -> bool) -> Result<Log, Failure> {
    let bytes = bytes_of(flag, file)?;
    records::read(&bytes, &BOUNDS, wants).map_err(|fault| unusable(flag, file, &fault))
}

fn bytes_of(flag: &str, file: &Path) -> Result<Vec<u8>, Failure> {
    use std::io::Read as _;
    let unreadable = |exit, code, why: String, fix: &str| {
        Failure::new(exit, format!("{} cannot be read", file.display()))
            .coded(code)
            .at(flag)
            .because(why)
            .fix(fix)
    };
    let mut bytes = Vec::new();
    let read = std::fs::File::open(file)
        .and_then(|open| open.take(FILE_BYTES_MOST + 1).read_to_end(&mut bytes));
    read.map_err(|error| {
        let fix = "name a file of records that you may read";
        unreadable(Exit::Usage, Tnd::FileUnreadable, error.to_string(), fix)
    })?;
    if bytes.len() as u64 > FILE_BYTES_MOST {
        let why = format!("it has more than {} MiB", FILE_BYTES_MOST >> 20);
        let fix = "record for a shorter time, or pack it with zstd";
        return Err(unreadable(Exit::Failed, Tnd::RecordsUnusable, why, fix));
    }
    Ok(bytes)
}

fn unusable(flag: &str, file: &Path, fault: &RecordFault) -> Failure {
    Failure::new(Exit::Failed, format!("{} has no records that can be used", file.display()))
        .coded(Tnd::RecordsUnusable)
        .at(flag)
        .because(fault.to_string())
        .fix(&fault.fix)
}

/// A call that cannot be sent again.
pub(crate) fn unsendable(flag: &str, file: &Path, number: u64, why: &str, fix: &str) -> Failure {
    let what = format!("record {number} of {} cannot be sent again", file.display());
    Failure::new(Exit::Failed, what).coded(Tnd::RecordsUnusable).at(flag).because(why).fix(fix)
}

/// What becomes of a recorded call.
pub(crate) enum Fate {
    /// Its messages, read by the contract.
    Sendable(Vec<Cleaned>),
    /// The log ends in it, or it was given up before it sent anything.
    Unfinished,
}

/// Whether a call can be sent again.
///
/// # Errors
/// Why not, and what to do.
pub(crate) fn fate(
    cleaner: &Cleaner,
    method: &Method,
    call: &RecordedCall,
) -> Result<Fate, (String, &'static str)> {
    const WHOLE: &str = "log whole messages: `GRPC_BINARY_LOG_FILTER='*'`";
    const OTHER: &str = "record the service whose contract is compared, or leave the method out";
    let many = method.kind.many_requests();
    let name = method.full_name();
    match (call.whole, call.messages.len(), many) {
        (Whole::Cut, ..) => {
            let why = format!("a message of this call of {name} was cut by whoever logged it");
            return Err((why, WHOLE));
        }
        // One message is all of such a call, whatever the log still had to say.
        (Whole::Open, 1, false) | (Whole::Yes, 1, false) => {}
        (Whole::Open, ..) => return Ok(Fate::Unfinished),
        (Whole::Yes, 0, false) if call.status.is_some_and(|status| status != 0) => {
            return Ok(Fate::Unfinished);
        }
        (Whole::Yes, 0, false) => {
            return Err((format!("this call of {name} was logged without its message"), WHOLE));
        }
        (Whole::Yes, count, false) => {
            return Err((format!("it has {count} messages, and {name} takes one"), OTHER));
        }
        (Whole::Yes, _, true) => {}
    }
    let read = |message| cleaner.clean(method.input, message);
    let messages = call.messages.iter().map(read).collect::<Result<Vec<_>, _>>();
    match messages {
        Ok(messages) => Ok(Fate::Sendable(messages)),
        Err(fault) => Err((format!("of {name}: {fault}"), OTHER)),
    }
}

/// The calls of `file` whose methods are compared.
///
/// # Errors
/// As [`read`]; a method without any call, and calls that cannot be sent.
pub(crate) fn requests(
    file: &Path,
    plans: &Plans,
    methods: &[Method],
    is_trace: bool,
) -> Result<Requests, Failure> {
    const FLAG: &str = "--data";
    let log = read(FLAG, file, |name| methods.iter().any(|method| method.full_name() == name))?;
    let cleaner = Cleaner::new(plans.contract().clone());
    let place = |name: &String| methods.iter().position(|method| method.full_name() == name);
    let places: Vec<Option<usize>> = log.methods.iter().map(place).collect();
    let (mut calls, mut at, mut unfinished) = (Vec::new(), Vec::new(), 0_u64);
    for recorded in &log.calls {
        let Some(method) = places[recorded.method as usize] else { continue };
        match fate(&cleaner, &methods[method], recorded) {
            Ok(Fate::Sendable(_)) => {
                calls.push(Call { method, messages: recorded.messages.clone().into() });
                at.push(recorded.at);
            }
            Ok(Fate::Unfinished) => unfinished += 1,
            Err((why, fix)) => return Err(unsendable(FLAG, file, recorded.number, &why, fix)),
        }
    }
    let mut counts = vec![0_u64; methods.len()];
    calls.iter().for_each(|call: &Call| counts[call.method] += 1);
    if let Some(without) = counts.iter().position(|count| *count == 0) {
        return Err(no_call(file, &methods[without], &log));
    }
    let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned();
    let mut notes = vec![format!(
        "{} calls of {name} ({}), in the order of the record and from the beginning again after \
         the last",
        units::count(calls.len() as u64),
        log.framing.text(),
    )];
    notes.extend(said(&log, unfinished));
    let (trace, at) = match is_trace {
        true => {
            let (trace, in_order) = traced(file, calls, at)?;
            calls = in_order.0;
            (Some(trace), in_order.1)
        }
        false => (None, at),
    };
    Ok(Requests { calls, at, trace, notes })
}

fn no_call(file: &Path, method: &Method, log: &Log) -> Failure {
    const NAMED_MOST: usize = 5;
    let mut there: Vec<&str> =
        log.methods.iter().chain(&log.other_methods).map(String::as_str).collect();
    let more = there.len().saturating_sub(NAMED_MOST);
    there.truncate(NAMED_MOST);
    let mut why = match there.as_slice() {
        [] => "it has no call at all".to_owned(),
        there => format!("it has calls of {}", there.join(", ")),
    };
    if more > 0 {
        why.push_str(&format!(" and {more} more methods"));
    }
    let what = format!("{} has no call of {}", file.display(), method.full_name());
    Failure::new(Exit::Usage, what)
        .coded(Tnd::RecordsUnusable)
        .at("--data")
        .because(why)
        .fix("name methods that were recorded; `tandem corpus ls FILE` lists them")
}

/// What a reader has to know of a record.
pub(crate) fn said(log: &Log, unfinished: u64) -> Vec<String> {
    let mut notes = Vec::new();
    if unfinished > 0 {
        notes.push(format!(
            "{} recorded calls are left out: the record ends before they do, or they sent nothing",
            units::count(unfinished)
        ));
    }
    if log.is_partial {
        notes.push(format!(
            "the record is longer than is read ({} calls, {} MiB of messages): its beginning is used",
            units::count(BOUNDS.calls as u64),
            BOUNDS.message_bytes >> 20
        ));
    }
    if let Some(Index { redacted, left_out, .. }) = &log.index {
        if *redacted > 0 {
            notes.push(format!(
                "in {} recorded calls something was redacted when they were written: they are not \
                 byte for byte those that were sent then",
                units::count(*redacted)
            ));
        }
        if *left_out > 0 {
            notes.push(format!(
                "{} calls were left out when the record was written, for its size",
                units::count(*left_out)
            ));
        }
    }
    notes
}

/// Calls in the order of their times, with these.
type InOrder = (Vec<Call>, Vec<Option<Duration>>);

/// The gaps of the record, and the calls in the order of their times.
fn traced(
    file: &Path,
    calls: Vec<Call>,
    at: Vec<Option<Duration>>,
) -> Result<(Trace, InOrder), Failure> {
    let without = at.iter().filter(|at| at.is_none()).count();
    let timeless = |why: String| {
        Failure::new(Exit::Usage, format!("{} has no gaps between calls", file.display()))
            .coded(Tnd::RecordsUnusable)
            .at("--arrivals")
            .because(why)
            .fix("use `--arrivals poisson`, or record calls with their times")
    };
    if without > 0 {
        return Err(timeless(format!("{without} of {} calls have no time", at.len())));
    }
    // Whoever logs from several threads may be a little out of order.
    let mut timed: Vec<(Duration, Call)> = at.into_iter().flatten().zip(calls).collect();
    timed.sort_by_key(|(at, _)| *at);
    let moments: Vec<Duration> = timed.iter().map(|(at, _)| *at).collect();
    let trace = Trace::new(&moments)
        .ok_or_else(|| timeless("all of its calls are of one moment".to_owned()))?;
    let in_order = timed.into_iter().map(|(at, call)| (call, Some(at))).unzip();
    Ok((trace, in_order))
}

/// Calls a second of a record at this speed, and how that is said.
///
/// # Errors
/// Too few or too many to be offered.
pub(crate) fn rate(trace: &Trace, speed: f64) -> Result<(f64, String), Failure> {
    let (own, rate) = (trace.rate(), trace.rate() * speed);
    if !(1.0..=RATE_MOST).contains(&rate) {
        let fix = match rate < 1.0 {
            true => {
                format!("make it a call a second at least: `--speed {:.0}`", (2.0 / own).ceil())
            }
            false => "make it 10 million calls a second at most".to_owned(),
        };
        let what = "the record cannot be offered at this speed";
        return Err(Failure::new(Exit::Usage, what)
            .at("--speed")
            .because(format!("it has {own:.3} calls a second, times {speed}"))
            .fix(fix));
    }
    let span = units::duration(trace.span().as_secs_f64());
    let (own, offered) = (units::rate(own), units::rate(rate));
    Ok((rate, format!("{own} over {span}, sent {speed} times as fast: {offered}")))
}

/// How the result names what is sent.
pub(crate) fn described(ask: &Ask, calls: usize, trace: Option<&Trace>) -> report::Data {
    report::Data {
        source: ask.data.name().to_owned(),
        calls: calls as u64,
        arrivals: ask.gaps.name().to_owned(),
        recorded_rate: trace.map(Trace::rate),
        redacted: None,
        left_out: None,
    }
}

/// What a run sends, as far as its record needs it.
pub(crate) struct Sent {
    pub(crate) cleaner: Cleaner,
    /// Full name and input, by number of the method.
    pub(crate) methods: Vec<(String, MessageId)>,
    /// When each call was recorded; shorter than the calls, or empty, where they were made.
    pub(crate) at: Vec<Option<Duration>>,
}

impl Sent {
    pub(crate) fn new(plans: &Plans, methods: &[Method], at: Vec<Option<Duration>>) -> Sent {
        let methods = methods.iter().map(|method| (method.full_name().to_owned(), method.input));
        Sent { cleaner: Cleaner::new(plans.contract().clone()), methods: methods.collect(), at }
    }

    /// The record of `calls`, and what a reader has to know of it.
    ///
    /// # Errors
    /// Out of memory.
    pub(crate) fn record(&self, calls: &[Call]) -> Result<(Written, Vec<String>), Failure> {
        let failed = |error: std::io::Error| {
            Failure::new(Exit::Failed, "the calls cannot be recorded").because(error.to_string())
        };
        let mut writer = Writer::new(WRITTEN_BYTES_MOST);
        let mut unread = 0_u64;
        for (number, call) in calls.iter().enumerate() {
            let (name, input) = &self.methods[call.method];
            let messages = call.messages.iter().map(|message| self.cleaner.clean(*input, message));
            // What cannot be read cannot be redacted.
            let Ok(messages) = messages.collect::<Result<Vec<_>, _>>() else {
                unread += 1;
                continue;
            };
            let at = self.at.get(number).copied().flatten();
            writer.add(name, at, &messages, None).map_err(failed)?;
        }
        let written = writer.finish().map_err(failed)?;
        let notes = notes(&written, unread);
        Ok((written, notes))
    }
}

fn notes(written: &Written, unread: u64) -> Vec<String> {
    let Written { bytes: _, calls, redacted, left_out } = written;
    let mut notes = Vec::new();
    if *redacted > 0 {
        notes.push(format!(
            "corpus.binlog: in {} of {} calls something was redacted, so `--data corpus:` sends \
             other calls than this run",
            units::count(*redacted),
            units::count(*calls)
        ));
    }
    if *left_out > 0 {
        notes.push(format!(
            "corpus.binlog holds the first {} calls of {}: more than {} MiB are not written",
            units::count(*calls),
            units::count(calls + left_out),
            WRITTEN_BYTES_MOST >> 20
        ));
    }
    if unread > 0 {
        notes.push(format!(
            "corpus.binlog: {} calls are not in it, for they are no messages by the contract",
            units::count(unread)
        ));
    }
    notes
}
