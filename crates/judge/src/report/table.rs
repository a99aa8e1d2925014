//! The document as a table for a terminal, and its blocks as CSV.
//!
//! No colours and no lines: columns that a pipe and a screen reader take alike.

use std::fmt::Write as _;

use super::document::{Document, Metric, MetricSide, Runtime};
use super::units;
use crate::noise::Class;
use crate::verdict::{Cell, Value};

/// The table, about 120 columns wide, ending in a line break.
pub fn table(document: &Document) -> String {
    let mut text = String::new();
    head(document, &mut text);
    answers(document, &mut text);
    rows(document, &mut text);
    tail(document, &mut text);
    // What came from elsewhere has no say over a terminal.
    text.retain(|letter| letter == '\n' || !letter.is_control());
    text
}

fn head(document: &Document, text: &mut String) {
    let [primary, candidate] = &document.sides;
    let side = |side: &super::Side| match threads(&side.runtime) {
        Some(threads) => format!("{} ({}, {threads})", side.title(), side.target),
        None => format!("{} ({})", side.title(), side.target),
    };
    line(
        text,
        &format!(
            "tandem compare  {}   seed {}   primary {}   candidate {}",
            document.run.method,
            document.run.seed,
            side(primary),
            side(candidate)
        ),
    );
    if document.run.partial {
        line(text, "partial: the run ended before its plan did");
    }
    let floors: Vec<String> = document
        .aa
        .iter()
        .map(|(metric, aa)| format!("{metric} ±{}", units::percent(aa.floor.exp() - 1.0)))
        .collect();
    let floors = if floors.is_empty() { units::NOTHING.to_owned() } else { floors.join("   ") };
    let lag = document.run.generator.lag_p99_s.map_or(units::NOTHING.to_owned(), units::duration);
    let validity = &document.validity;
    line(
        text,
        &format!(
            "noise floor (A/A)   {floors}     generator lag p99 {lag}   set aside {}   steal {}   void blocks {}/{}",
            units::percent(validity.set_aside),
            units::percent(validity.steal),
            units::count(validity.void_blocks),
            units::count(validity.blocks),
        ),
    );
}

fn answers(document: &Document, text: &mut String) {
    let answers = &document.answers;
    let of = |class: &[Class]| -> Vec<&super::PathLine> {
        answers.paths.iter().filter(|path| class.contains(&path.class)).collect()
    };
    let named = |label: &str, classes: &[Class], show: &dyn Fn(&super::PathLine) -> String| {
        let found = of(classes);
        let names: Vec<String> = found.iter().take(4).map(|path| show(path)).collect();
        let more = if found.len() > 4 { ", …" } else { "" };
        match names.as_slice() {
            [] => format!("{label} 0"),
            names => format!("{label} {} ({}{more})", found.len(), names.join(", ")),
        }
    };
    let path = |path: &super::PathLine| path.path.clone();
    let bound =
        |path: &super::PathLine| format!("{}: extra < {}", path.path, units::percent(path.bound));
    line(
        text,
        &format!(
            "answers             {} calls   critical {}   {}   {}   {}   {}",
            units::count(answers.calls),
            units::count(answers.critical),
            named("worse", &[Class::DifferentAlways, Class::Worse], &path),
            named("noisy-equal", &[Class::NoisyEqual], &path),
            named("masked", &[Class::Masked], &path),
            named("unknown", &[Class::Unknown], &bound),
        ),
    );
    if answers.sampled_after_cache {
        line(text, "                    sampled after the cache: hits are not among them");
    }
    if let Some(cut) = answers.cut.filter(|cut| *cut > 0) {
        let count = units::count(cut);
        line(
            text,
            &format!("                    {count} were cut: compared to the shorter prefix"),
        );
    }
    if answers.noise == "rules" {
        line(
            text,
            "                    no twin: no more than \"no difference found under these rules\"",
        );
    }
}

fn rows(document: &Document, text: &mut String) {
    let [primary, candidate] = &document.sides;
    let mut rows: Vec<[String; 5]> = Vec::new();
    let ratio_head = format!("{}/{}  95 %", candidate.name, primary.name);
    rows.push(["", &primary.name, &candidate.name, &ratio_head, "verdict"].map(str::to_owned));
    let ratio_of = |metric: &Metric| match metric.interval {
        Some((low, high)) => {
            let [ratio, low, high] = [metric.ratio, low, high].map(units::ratio);
            format!("{ratio}  [{low}, {high}]")
        }
        None => units::ratio(metric.ratio),
    };
    let is_capacity = |metric: &&Metric| metric.id == "capacity" && document.capacity.is_some();
    // It has a line of its own, with its objective.
    for metric in document.metrics.iter().filter(|metric| !is_capacity(metric)) {
        let ratio = ratio_of(metric);
        let [one, other] = [&metric.primary, &metric.candidate].map(|side| value(metric, side));
        rows.push([label(metric), one, other, ratio, cell(document, metric)]);
    }
    let mut add = |name: &str, one: String, other: String| {
        rows.push([name.to_owned(), one, other, String::new(), String::new()]);
    };
    if let Some(memory) = &document.memory {
        let side = |point: &super::MemoryPoint| {
            [point.idle, point.peak, point.after_60s].map(units::bytes).join(" / ")
        };
        add("memory idle/peak/+60s", side(&memory.primary), side(&memory.candidate));
    }
    let stops = stops(document);
    if document.pauses.is_some() || !stops.is_empty() {
        let side = |side: &super::PausesSide| {
            let longest = units::duration(side.longest_s);
            format!("{} (longest {longest})", units::digits(side.per_minute))
        };
        let nothing = || units::NOTHING.to_owned();
        let of = |pick: fn(&super::Pauses) -> &super::PausesSide| {
            document.pauses.as_ref().map_or_else(nothing, |pauses| side(pick(pauses)))
        };
        let (one, other) = (of(|it| &it.primary), of(|it| &it.candidate));
        rows.push(["pauses/min".to_owned(), one, other, String::new(), stops]);
    }
    if let Some(capacity) = &document.capacity {
        let side = |side: &super::CapacitySide| {
            let high = side.hi.map_or(units::NOTHING.to_owned(), units::digits);
            format!("[{}, {high}]/s", units::digits(side.lo))
        };
        let name = format!("capacity {}", capacity.slo);
        let judged = document.metrics.iter().find(is_capacity);
        let verdict = judged.map(|metric| cell(document, metric)).unwrap_or_default();
        let ratio = judged.map(ratio_of).unwrap_or_default();
        rows.push([name, side(&capacity.primary), side(&capacity.candidate), ratio, verdict]);
    }
    let mut add = |name: &str, one: String, other: String| {
        rows.push([name.to_owned(), one, other, String::new(), String::new()]);
    };
    if let Some(slopes) = &document.slopes {
        let side = |slope: &super::SideSlope| {
            format!("{} + {} cores", units::duration(slope.marginal), units::digits(slope.idle))
        };
        add("CPU slope + idle", side(&slopes.primary), side(&slopes.candidate));
    }
    if let Some(cost) = &document.cost {
        let side = |side: &super::CostSide| {
            let provisioned = side.provisioned.map_or(units::NOTHING.to_owned(), units::money);
            format!("{} / {provisioned}", units::money(side.packed))
        };
        add("cost/10⁶ packed/prov.", side(&cost.primary), side(&cost.candidate));
    }
    lay(&rows, text);
}

fn tail(document: &Document, text: &mut String) {
    if !document.must.is_empty() {
        let musts: Vec<String> = document
            .must
            .iter()
            .map(|must| format!("{} {}: {}", must.role, must.expr, must_word(must.result)))
            .collect();
        line(text, &format!("must-haves          {}", musts.join("   ")));
    }
    for reason in &document.validity.reasons {
        line(text, &format!("void                {reason}"));
    }
    let verdict = &document.verdict;
    let [primary, candidate] = &document.sides;
    let list = |name: &str, rows: &[String]| match rows {
        [] => String::new(),
        rows => format!("   {name}: {}", rows.join(", ")),
    };
    line(
        text,
        &format!(
            "verdict             {}{}{}{}{}",
            verdict.word.to_string().to_uppercase(),
            list(&primary.name, &verdict.primary),
            list(&candidate.name, &verdict.candidate),
            list("unknown", &verdict.unknown),
            list("differs", &verdict.differing),
        ),
    );
    line(text, &format!("                    {}", verdict.sentence));
}

/// `1 worker`, `GOMAXPROCS 1` (compare A-14).
fn threads(runtime: &Runtime) -> Option<String> {
    let count = runtime.parallelism?;
    Some(match (runtime.kind.as_deref(), count) {
        (Some("go"), count) => format!("GOMAXPROCS {count}"),
        (_, 1) => "1 worker".to_owned(),
        (_, count) => format!("{count} workers"),
    })
}

/// What the runtimes say of their collectors, beside what was seen from outside: `[rust none, go gc
/// cycles 211, stop p99 0.4 ms]`; empty where none of them was asked.
fn stops(document: &Document) -> String {
    let said: Vec<String> = document
        .sides
        .iter()
        .filter_map(|side| Some(format!("{} {}", side.name, collector(&side.runtime)?)))
        .collect();
    if said.is_empty() { String::new() } else { format!("[{}]", said.join("; ")) }
}

/// `gc cycles 211, stop p99 0.4 ms`; `none` without a collector, for that is not `0 ms` (compare
/// A-13); `None` where nobody knows.
pub(super) fn collector(runtime: &Runtime) -> Option<String> {
    match (runtime.kind.as_deref(), runtime.gc_cycles) {
        (Some("tokio"), _) => Some("none".to_owned()),
        (_, Some(cycles)) => {
            let stop = runtime.gc_stop_p99_s.map_or(units::NOTHING.to_owned(), units::duration);
            Some(format!("gc cycles {}, stop p99 {stop}", units::count(cycles)))
        }
        (_, None) => None,
    }
}

pub(super) fn must_word(value: Value) -> &'static str {
    match value {
        Value::Pass => "pass",
        Value::Fail => "FAIL",
        Value::NotProven => "not proven",
        Value::NotRun => "not run",
    }
}

/// A row's name: `p99 @2,000/s`.
pub(super) fn label(metric: &Metric) -> String {
    let name = crate::verdict::row_label(&metric.id);
    match metric.rate {
        Some(rate) => format!("{name} @{}", units::rate(rate)),
        None => name.to_owned(),
    }
}

/// A side's value in the metric's unit, with its interval.
pub(super) fn value(metric: &Metric, side: &MetricSide) -> String {
    let unit = |value| match metric.unit.as_str() {
        "s" => units::duration(value),
        "B" => units::bytes(value),
        "1/s" => units::rate(value),
        _ => units::digits(value),
    };
    let dimmed = if side.dimmed { " (few calls)" } else { "" };
    match side.interval {
        Some((low, high)) => {
            format!("{} [{}, {}]{dimmed}", unit(side.value), unit(low), unit(high))
        }
        None => format!("{}{dimmed}", unit(side.value)),
    }
}

/// What a row says, and what it lacks.
pub(super) fn cell(document: &Document, metric: &Metric) -> String {
    let [primary, candidate] = &document.sides;
    match metric.cell {
        Cell::Better => format!("{} better", candidate.name),
        Cell::Worse => format!("{} better", primary.name),
        Cell::Same => "same".to_owned(),
        Cell::Unknown => match (metric.needed_quartets, metric.lacks.as_deref()) {
            (Some(count), _) => {
                let time = units::about(count as f64 * 4.0 * document.run.block_s);
                format!("unknown: {} more quartets (~{time})", units::count(count))
            }
            (None, Some("below_floor")) => "unknown: below the noise floor".to_owned(),
            (None, Some("pairs")) => match metric.needed_pairs {
                Some(pairs) => format!("unknown: about {} more pairs", units::count(pairs)),
                None => "unknown: more pairs".to_owned(),
            },
            (None, Some("builds")) => "unknown: more builds".to_owned(),
            (None, Some("overlap")) => "unknown: their intervals overlap".to_owned(),
            (None, Some("no_end")) => "unknown: no rate was too high for one of them".to_owned(),
            (None, Some("time")) => "unknown: more time".to_owned(),
            (None, _) => "unknown: too few quartets for an interval".to_owned(),
        },
    }
}

/// Lays rows out in columns as wide as their widest cell, two blanks between.
fn lay(rows: &[[String; 5]], text: &mut String) {
    let wide = |cell: &String| cell.chars().count();
    let widths: Vec<usize> =
        (0..5).map(|column| rows.iter().map(|row| wide(&row[column])).max().unwrap_or(0)).collect();
    for row in rows {
        let mut laid = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            laid.push_str(cell);
            laid.extend(std::iter::repeat_n(' ', width + 2 - wide(cell)));
        }
        line(text, &laid);
    }
}

fn line(text: &mut String, line: &str) {
    // A line break inside of a text would begin a line that nobody wrote.
    _ = writeln!(text, "{}", line.trim_end().replace('\n', " "));
}

/// The blocks as CSV, one a line (RFC 4180).
pub fn blocks_csv(document: &Document) -> String {
    let mut text = String::from(
        "role,restart,start_s,seconds,rate,calls,cpu_s,p99_s,memory_bytes,steal,set_aside,void\r\n",
    );
    for block in &document.series.blocks {
        let super::Block {
            role,
            restart,
            start_s,
            seconds,
            rate,
            calls,
            cpu_s,
            p99_s,
            memory_bytes,
            steal,
            set_aside,
            void,
        } = block;
        let number = |value: &Option<f64>| value.map_or(String::new(), |value| value.to_string());
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let memory = memory_bytes.map_or(String::new(), |bytes| bytes.to_string());
        _ = write!(
            text,
            "{},{restart},{start_s},{seconds},{rate},{calls},{},{},{memory},{steal},{set_aside},{}\r\n",
            quoted(role),
            number(cpu_s),
            number(p99_s),
            void.as_deref().map_or(String::new(), quoted),
        );
    }
    text
}
