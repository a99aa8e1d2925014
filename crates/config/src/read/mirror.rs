//! `mirror`: which calls are copied, and to whom.
//!
//! Not here: whether they may be (`check`).

use super::Known::Now;
use super::{At, Reading};
use crate::document::units::{parse_rate, parse_share};
use crate::document::{
    Credentials, Mirror, MirrorRules, OrderBy, SampleKey, Share, TwinRule, Writes,
};
use crate::source::Value;

pub(super) fn mirror(reading: &mut Reading, at: &At<'_>) -> Option<Mirror> {
    if matches!(&at.node.value, Value::Text(text) if text == "none") {
        return Some(Mirror::None);
    }
    if !matches!(at.node.value, Value::Map(_)) {
        reading.wrong(at, "is `none` or a group of keys", "write `none` or `{ share: 10% }`");
        return None;
    }
    let fields = reading.fields(
        at,
        &[
            Now("share"),
            Now("max_rate"),
            Now("to"),
            Now("twin"),
            Now("writes"),
            Now("order_by"),
            Now("by_key"),
            Now("credentials"),
            Now("samples"),
        ],
    );
    let share = fields.get("share").and_then(|at| reading.parsed(at, parse_share));
    let rate = fields
        .get("max_rate")
        .map(|at| reading.within(at, parse_rate, "1/s", "100000/s").unwrap_or(MirrorRules::RATE));
    let to = fields.get("to").and_then(|at| reading.text(at)).map(str::to_owned);
    let twin = match fields.get("twin").and_then(|at| reading.text(at)) {
        None => TwinRule::Unwritten,
        Some("none") => TwinRule::None,
        Some(name) => TwinRule::Named(name.to_owned()),
    };
    let writes = fields.get("writes").and_then(|at| {
        reading.word(at, &[("refuse", Writes::Refuse), ("isolated", Writes::Isolated)])
    });
    let writes = writes.unwrap_or(Writes::Refuse);
    let order_by = fields.get("order_by").and_then(|at| reading.text(at)).map(|text| match text {
        "*" => OrderBy::Service,
        field => OrderBy::Field(field.to_owned()),
    });
    let by_key = fields.get("by_key").and_then(|at| key(reading, at));
    let credentials = fields.get("credentials").and_then(|at| {
        reading.word(at, &[("strip", Credentials::Strip), ("forward", Credentials::Forward)])
    });
    let samples = fields.get("samples").and_then(|at| reading.boolean(at));
    Some(Mirror::Copied(MirrorRules {
        share: share.unwrap_or(Share::ALL),
        // A part of the writes is worse than none, so none is cut off where nobody wrote a rate.
        rate_max: rate.or((writes == Writes::Refuse).then_some(MirrorRules::RATE)),
        to,
        twin,
        writes,
        order_by,
        by_key,
        credentials: credentials.unwrap_or(Credentials::Strip),
        samples: samples.unwrap_or(false),
    }))
}

fn key(reading: &mut Reading, at: &At<'_>) -> Option<SampleKey> {
    let text = reading.text(at)?;
    let token = |name: &str| {
        !name.is_empty()
            && name.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte)
            })
    };
    match text.strip_prefix("header:") {
        Some(name) if token(name) => Some(SampleKey::Header(name.to_owned())),
        None if text == "principal" => Some(SampleKey::Principal),
        _ => {
            let should = "is `principal` or `header:NAME`, the name in lower case";
            reading.wrong(at, should, "write for example `header:x-user`");
            None
        }
    }
}
