//! `same`: which differences of answers are lawful.
//!
//! Not here: whether its paths are there (`check`).

use std::collections::BTreeMap;

use tandem_judge::diff::{Rank, Tolerance};

use super::Known::{Later, Now};
use super::{At, Reading};
use crate::document::SameRules;
use crate::document::units::{UnitFault, parse_share};
use crate::problem::{Problem, Tnd};
use crate::source::Value;

/// Paths under one key, at most.
const PATHS_MOST: usize = 1_000;

pub(super) fn same(reading: &mut Reading, at: &At<'_>) -> SameRules {
    let fields = reading.fields(
        at,
        &[
            Now("ignore"),
            Now("ordered"),
            Now("unordered"),
            Now("keyed"),
            Now("tolerance"),
            Now("critical"),
            Now("cross_verified"),
            Now("present_or_absent"),
            Now("rank_epsilon"),
            Later("by_reader"),
            Now("trailers"),
            Now("extra_max"),
        ],
    );
    let mut list = |name| fields.get(name).map(|at| paths(reading, at)).unwrap_or_default();
    let ignore = list("ignore");
    let ordered = list("ordered");
    let unordered = list("unordered");
    let critical = list("critical");
    let cross_verified = list("cross_verified");
    let present_or_absent = list("present_or_absent");
    let keyed =
        by_path(reading, fields.get("keyed"), |reading, at| reading.text(at).map(str::to_owned));
    let tolerance = by_path(reading, fields.get("tolerance"), tolerance);
    let rank_epsilon = by_path(reading, fields.get("rank_epsilon"), rank);
    let trailers = fields.get("trailers").map(|at| reading.list(at, trailer)).unwrap_or_default();
    let extra_max =
        fields.get("extra_max").and_then(|at| reading.within(at, parse_share, "0.1%", "100%"));
    SameRules {
        ignore,
        ordered,
        unordered,
        keyed,
        tolerance,
        critical,
        cross_verified,
        present_or_absent,
        rank_epsilon,
        trailers,
        extra_max,
    }
}

fn paths(reading: &mut Reading, at: &At<'_>) -> Vec<String> {
    if let Value::List(items) = &at.node.value
        && items.len() > PATHS_MOST
    {
        let what = "`same` names too many paths";
        let problem = Problem::error(Tnd::OverLimit, what)
            .here(format!("{} are written, {PATHS_MOST} are allowed", items.len()))
            .fix("name the message that they belong to, or `**.name` for all of one name");
        reading.problem(at, problem);
        return Vec::new();
    }
    reading.list(at, |reading, at| reading.text(at).map(str::to_owned))
}

fn by_path<T>(
    reading: &mut Reading,
    at: Option<&At<'_>>,
    mut value: impl FnMut(&mut Reading, &At<'_>) -> Option<T>,
) -> BTreeMap<String, T> {
    let Some(at) = at else { return BTreeMap::new() };
    let entries = reading.entries(at);
    let read = entries.iter().filter_map(|at| Some((at.name().to_owned(), value(reading, at)?)));
    read.collect()
}

fn tolerance(reading: &mut Reading, at: &At<'_>) -> Option<Tolerance> {
    let example = "write a distance such as `1e-9`, or `3ulp`";
    let parse = |text: &str| -> Result<Tolerance, UnitFault> {
        let fault = || UnitFault {
            wrong: "this is neither a distance nor a number of ulps".to_owned(),
            right: example.to_owned(),
        };
        if let Some(ulps) = text.strip_suffix("ulp") {
            let ulps = ulps.parse().map_err(|_| fault())?;
            return Ok(Tolerance { absolute: 0.0, ulps });
        }
        let absolute: f64 = text.parse().map_err(|_| fault())?;
        let good = absolute.is_finite() && absolute >= 0.0;
        good.then_some(Tolerance { absolute, ulps: 0 }).ok_or_else(fault)
    };
    reading.parsed(at, parse)
}

/// `{ epsilon: 0.02, key: id, score: score }`
fn rank(reading: &mut Reading, at: &At<'_>) -> Option<Rank> {
    let fields = reading.fields(at, &[Now("epsilon"), Now("key"), Now("score")]);
    let mut text = |name: &'static str| match fields.get(name) {
        Some(at) => reading.text(at).map(Box::from),
        None => {
            let fix = "write `{ epsilon: 0.02, key: FIELD, score: FIELD }`";
            reading.missing(at, name, fix);
            None
        }
    };
    let (key, score) = (text("key"), text("score"));
    let epsilon = match fields.get("epsilon") {
        None => {
            reading.missing(at, "epsilon", "say how near scores lie that may change places");
            None
        }
        Some(at) => match &at.node.value {
            Value::Float(number) if (0.0..1.0).contains(number) => Some(*number),
            Value::Integer(0) => Some(0.0),
            _ => {
                reading.wrong(at, "is a number from 0 to below 1", "write for example `0.02`");
                None
            }
        },
    };
    Some(Rank { epsilon: epsilon?, key: key?, score: score? })
}

fn trailer(reading: &mut Reading, at: &At<'_>) -> Option<String> {
    let name = reading.text(at)?;
    let good = !name.is_empty()
        && name.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte)
        });
    if !good {
        reading.wrong(at, "is the name of a trailer in lower case", "write for example `x-total`");
        return None;
    }
    Some(name.to_owned())
}
