//! Verdict, differences and noise for people: what it rests on first.

use std::fmt::Write as _;

use serde_json::Value;
use tandem_judge::report::units;

use super::super::{plain, table};

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or("")
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

/// Writing into a string does not fail.
macro_rules! line {
    ($out:expr, $($words:tt)*) => {{ let _ = writeln!($out, $($words)*); }};
}

pub(super) fn verdict(told: &Value) -> String {
    let mut out = String::new();
    line!(out, "{}   {}", plain(text(told, "evidence")), plain(text(told, "method")));
    let twin = match (text(told, "noise"), told["twin"].as_str()) {
        ("twin", Some(twin)) => format!("twin {}", plain(twin)),
        ("twice", _) => "primary asked twice".to_owned(),
        _ => "no twin".to_owned(),
    };
    let rate = told["pairs_per_second"].as_f64().map_or(units::NOTHING.to_owned(), units::rate);
    line!(
        out,
        "  {} serves, {} mirrored, {twin}   {rate} now, {} so far",
        plain(text(told, "primary")),
        plain(text(told, "candidate")),
        units::about(told["seconds"].as_f64().unwrap_or(0.0)),
    );
    let classes = &told["classes"];
    line!(
        out,
        "  answers   critical {}   worse {}   noise {}   identical {}   unknown {}",
        number(&told["critical"]),
        number(&classes["worse"]),
        number(&classes["noise"]),
        number(&classes["identical"]),
        number(&classes["unknown"]),
    );
    out.push_str(&lanes(told));
    for known in list(told, "known").filter_map(Value::as_str) {
        line!(out, "  known     {}", plain(known));
    }
    for open in list(told, "open") {
        line!(out, "  open      {}{}", plain(text(open, "what")), left(open));
    }
    if told["sampled_after_cache"] == true {
        line!(out, "  sampled after the cache: hits are not among the pairs");
    }
    let _ = write!(out, "{}", plain(text(told, "sentence")));
    out
}

/// ", about 3,900 pairs more (18 s at this rate)".
fn left(open: &Value) -> String {
    let seconds = open["seconds"].as_f64().map(units::about);
    match (open["pairs"].as_u64(), seconds) {
        (Some(pairs), Some(time)) => {
            format!(": about {} pairs more, {time} at this rate", units::count(pairs))
        }
        (Some(pairs), None) => format!(": about {} pairs more", units::count(pairs)),
        (None, Some(time)) => format!(": about {time} more"),
        (None, None) => String::new(),
    }
}

fn lanes(told: &Value) -> String {
    let quantile = |value: &Value| match value["value_s"].as_f64() {
        None => units::NOTHING.to_owned(),
        Some(seconds) => {
            let bound = |place: usize| value["interval"][place].as_f64().map(units::duration);
            let interval = bound(0).zip(bound(1));
            let interval = interval.map(|(low, high)| format!(" [{low}, {high}]"));
            let few = if value["dimmed"] == true { " (few calls)" } else { "" };
            format!("{}{}{few}", units::duration(seconds), interval.unwrap_or_default())
        }
    };
    let cpu = list(told, "lanes").any(|lane| lane["cpu_s"].is_number());
    let mut rows = vec![["", "", "calls", "errors", "p50", "p99", "CPU/call"].map(str::to_owned)];
    if !cpu {
        rows[0][6] = String::new();
    }
    for lane in list(told, "lanes") {
        rows.push([
            text(lane, "role").to_owned(),
            text(lane, "upstream").to_owned(),
            units::count(number(&lane["calls"])),
            units::count(number(&lane["errors"])),
            quantile(&lane["p50"]),
            quantile(&lane["p99"]),
            lane["cpu_s"].as_f64().map(units::duration).unwrap_or_default(),
        ]);
    }
    table(&rows)
}

pub(super) fn differences(told: &Value) -> String {
    let mut out = String::new();
    line!(
        out,
        "{}   {} pairs   critical {}",
        plain(text(told, "method")),
        units::count(number(&told["pairs"])),
        number(&told["critical"]),
    );
    let mut rows = vec![
        ["path", "class", "candidate", "twin", "both", "extra <", "looks like"].map(str::to_owned),
    ];
    for path in list(told, "paths") {
        rows.push([
            text(path, "path").to_owned(),
            text(path, "class").to_owned(),
            units::count(number(&path["candidate_only"])),
            units::count(number(&path["twin_only"])),
            units::count(number(&path["both"])),
            path["bound"].as_f64().map_or(String::new(), units::percent),
            text(path, "why").to_owned(),
        ]);
    }
    if rows.len() == 1 {
        line!(out, "  no difference");
        return out.trim_end().to_owned();
    }
    out.push_str(&table(&rows));
    for path in list(told, "paths") {
        for sample in list(path, "samples") {
            let side = |key: &str| sample[key].as_str().map_or("(nothing)".to_owned(), plain);
            line!(
                out,
                "  {}   {}: {}   {}: {}",
                plain(text(sample, "place")),
                plain(text(told, "primary")),
                side("primary"),
                plain(text(told, "candidate")),
                side("candidate"),
            );
        }
    }
    match text(told, "samples") {
        "off" => line!(out, "  no values are kept: `mirror: {{ samples: true }}` keeps a few"),
        "publisher" => line!(out, "  the values are shown to publishers"),
        _ => {}
    }
    out.trim_end().to_owned()
}

pub(super) fn noise(told: &Value) -> String {
    let mut out = String::new();
    let how = match text(told, "noise") {
        "twin" => "learned from the twin",
        "twice" => "learned from the primary, asked twice",
        _ => "declared alone: without a twin nothing is learned",
    };
    let pairs = units::count(number(&told["pairs"]));
    line!(out, "{}   {pairs} pairs   {how}", plain(text(told, "method")));
    let mut rows = vec![
        ["path", "class", "twin differs", "candidate differs", "looks like"].map(str::to_owned),
    ];
    for path in list(told, "learned") {
        let both = number(&path["both"]);
        let flagged = path["flagged"] == true;
        let why = text(path, "why");
        rows.push([
            text(path, "path").to_owned(),
            text(path, "class").to_owned(),
            units::count(number(&path["twin_only"]) + both),
            units::count(number(&path["candidate_only"]) + both),
            if flagged { format!("{why}, but the twin never differs") } else { why.to_owned() },
        ]);
    }
    if rows.len() > 1 {
        out.push_str(&table(&rows));
    }
    for path in list(told, "learned") {
        let proposed = &path["proposed"];
        if path["flagged"] != true && proposed.is_object() {
            let (rule, why) = (plain(text(proposed, "rule")), plain(text(proposed, "why")));
            line!(out, "  proposed  {rule}   {why}");
        }
    }
    for path in list(told, "ignored").filter_map(Value::as_str) {
        line!(out, "  {}   declared: same.ignore", plain(path));
    }
    out.trim_end().to_owned()
}
