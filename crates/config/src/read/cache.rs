//! `cache`: what of a method's answers is kept.
//!
//! Not here: whether its fields are there and the method may be kept (`check`).

use std::time::Duration;

use super::Known::Now;
use super::{At, Reading};
use crate::document::{Cache, CacheRules};
use crate::problem::{Problem, Tnd};
use crate::source::Value;

pub(super) fn cache(reading: &mut Reading, at: &At<'_>) -> Option<Cache> {
    if matches!(&at.node.value, Value::Text(text) if text == "none") {
        return Some(Cache::None);
    }
    if !matches!(at.node.value, Value::Map(_)) {
        reading.wrong(at, "is `none` or a group of keys", "write `none` or `{ ttl: 1s }`");
        return None;
    }
    let known = [Now("ttl"), Now("fields"), Now("per"), Now("stale_if_error"), Now("entry")];
    let fields = reading.fields(at, &known);
    let Some(ttl) = fields.get("ttl") else {
        reading.missing(at, "ttl", "say how long an answer is good, for example `ttl: 1s`");
        return None;
    };
    let ttl = reading.duration(ttl, "1ms", "24h");
    let chosen = fields.get("fields").map(|at| chosen(reading, at));
    let per = fields.get("per").and_then(|at| reading.word(at, &[("principal", true)]));
    let stale = fields.get("stale_if_error").and_then(|at| reading.duration(at, "0s", "24h"));
    let entry = fields.get("entry").and_then(|at| reading.size(at, "1KiB", "1MiB"));
    Some(Cache::Kept(CacheRules {
        ttl: ttl?,
        fields: chosen,
        per_principal: per.unwrap_or(false),
        stale_if_error: stale.unwrap_or(Duration::ZERO),
        entry_bytes_max: entry.unwrap_or(CacheRules::ENTRY_BYTES),
    }))
}

/// Fields of one request, at most.
const FIELDS_MOST: usize = 100;

fn chosen(reading: &mut Reading, at: &At<'_>) -> Vec<String> {
    match &at.node.value {
        Value::List(items) if items.is_empty() => {
            let problem = Problem::error(Tnd::WrongType, "`fields` names no field")
                .here("every request would get one and the same answer")
                .fix("name the fields that the answer depends on, or take `fields` out for all");
            reading.problem(at, problem);
            return Vec::new();
        }
        Value::List(items) if items.len() > FIELDS_MOST => {
            let problem = Problem::error(Tnd::OverLimit, "`fields` names too many fields")
                .here(format!("{} are written, {FIELDS_MOST} are allowed", items.len()))
                .fix("name the message that they belong to, or take `fields` out for all");
            reading.problem(at, problem);
            return Vec::new();
        }
        _ => {}
    }
    reading.list(at, |reading, at| reading.text(at).map(str::to_owned))
}
