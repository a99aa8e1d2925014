//! `limits` of a team's document.
//!
//! Not here: the limits of the process (`platform`), whether a team goes lower (`check`).

use super::Known::Now;
use super::{At, Known, Reading};
use crate::document::units::{self, UnitFault};
use crate::document::{CallLimit, Limits, Per, Rate};
use crate::problem::{Problem, Tnd};
use crate::source::Value;

/// Limits of one method; each is looked at by every call.
const LIMITS_MAX: usize = 8;

pub(super) fn limits(reading: &mut Reading, at: &At<'_>) -> Limits {
    let mut limits = Limits::default();
    if !matches!(at.node.value, Value::List(_)) {
        one(reading, at, &mut limits);
        return limits;
    }
    reading.list(at, |reading, at| {
        one(reading, at, &mut limits);
        Some(())
    });
    if limits.calls.len() > LIMITS_MAX {
        let problem = Problem::error(Tnd::OverLimit, "too many limits for one method")
            .here(format!("{} are written, {LIMITS_MAX} are allowed", limits.calls.len()))
            .fix("keep those that bind");
        reading.problem(at, problem);
    }
    limits
}

/// `{ message }`, `{ per, rate, burst, at_once }`, or both in one.
fn one(reading: &mut Reading, at: &At<'_>, limits: &mut Limits) {
    const KEYS: [Known; 5] =
        [Now("message"), Now("per"), Now("rate"), Now("burst"), Now("at_once")];
    let fields = reading.fields(at, &KEYS);
    if let Some(at) = fields.get("message") {
        if limits.message_bytes_max.is_some() {
            let problem = Problem::error(Tnd::DuplicateKey, "`message` is written twice")
                .why("one of the two would be lost")
                .fix("keep one of them");
            reading.problem(at, problem);
        }
        limits.message_bytes_max = reading.size(at, "1KiB", "256MiB").or(Some(0));
    }
    let rate_at = fields.get("rate");
    let rate = rate_at.and_then(|at| reading.within(at, units::parse_rate, "1/s", "1000000/s"));
    let burst = fields.get("burst").and_then(|at| reading.count(at, 1..=1_000_000_u32));
    let at_once = fields.get("at_once").and_then(|at| reading.count(at, 1..=1_000_000_u32));
    if let Some(at) = fields.get("burst").filter(|_| rate_at.is_none()) {
        let problem = Problem::error(Tnd::MissingKey, "a burst without a rate")
            .here("what was used up would never come back")
            .fix("write `rate: 10/s` beside it, or take `burst` out");
        reading.problem(at, problem);
    }
    let counts = rate_at.or_else(|| fields.get("at_once"));
    match (fields.get("per"), counts) {
        (None, None) => {}
        (Some(at), None) => {
            let problem = Problem::error(Tnd::MissingKey, "a limit that limits nothing")
                .fix("write `rate: 10/s`, `at_once: 8`, or both beside it");
            reading.problem(at, problem);
        }
        (None, Some(counts)) => {
            let problem = Problem::error(Tnd::MissingKey, "nobody says whose calls are counted")
                .fix(
                    "write `per: principal`, `source`, `namespace` or `key:header:NAME` beside it",
                );
            reading.problem(counts, problem);
        }
        (Some(at), Some(_)) => {
            if let Some(per) = reading.parsed(at, parse_per) {
                let rate =
                    rate.map(|per_second| Rate { per_second, burst: burst.unwrap_or(per_second) });
                limits.calls.push(CallLimit { per, rate, at_once });
            }
        }
    }
}

fn parse_per(text: &str) -> Result<Per, UnitFault> {
    match text {
        "principal" => Ok(Per::Principal),
        "source" => Ok(Per::Source),
        "namespace" => Ok(Per::Namespace),
        _ => match text.strip_prefix("key:header:") {
            Some(name) => parse_header(name).map(Per::Header),
            None => Err(UnitFault {
                wrong: "nobody's calls are counted like this".into(),
                right: "write `principal`, `source`, `namespace` or `key:header:NAME`".into(),
            }),
        },
    }
}

/// A header that callers send and that is theirs to choose.
pub(super) fn parse_header(text: &str) -> Result<String, UnitFault> {
    let fault = |wrong: &str| UnitFault {
        wrong: wrong.into(),
        right: "write a header's name in lower case, for example `x-account`".into(),
    };
    let letter = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    if !(1..=64).contains(&text.len()) || !text.bytes().all(letter) {
        return Err(fault("this is no name of a header in lower case"));
    }
    let ours = ["x-tandem-", "x-forwarded-", "grpc-", "connect-", "sec-", "proxy-"];
    let framing = [
        "host",
        "connection",
        "content-length",
        "content-type",
        "content-encoding",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "keep-alive",
        "expect",
        "forwarded",
        "traceparent",
        "tracestate",
        "x-request-id",
    ];
    if ours.iter().any(|front| text.starts_with(front)) || framing.contains(&text) {
        return Err(fault("this header belongs to the connection or to the gateway"));
    }
    Ok(text.to_owned())
}
