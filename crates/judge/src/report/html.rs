//! The document as one page.
//!
//! What matters first: the verdict and the must-haves, then the table, the plots it rests on, the
//! answers, the rest. Every number of the page is in `result.json` too.

use super::document::{Document, PathLine, Rubric, Runtime, Side};
use super::page::{Td, escape, page, table};
use super::table::{cell, collector, label, must_word, value};
use super::{figures, units};
use crate::verdict::{Cell, Value};

/// The page, complete.
pub fn html(document: &Document) -> String {
    let [primary, candidate] = &document.sides;
    let title = format!("{} against {}", candidate.title(), primary.title());
    let mut body = head(document, &title);
    let mut part = |id: &str, name: &str, markup: String| {
        if !markup.is_empty() {
            body.push_str(&format!("<section id=\"{id}\"><h2>{name}</h2>\n{markup}</section>\n"));
        }
    };
    part("table", "Row by row", rows(document));
    part("latency", "Latency", figures::latency(document));
    part("cpu", "CPU and memory", figures::cpu(document));
    part("blocks", "Block by block", figures::blocks(document));
    part("runtime", "What the runtimes say", runtimes(document));
    part("answers", "Answers", answers(document));
    part("rubric", "Rubric", rubric(document));
    part("cost", "Cost of a million calls", cost(document));
    part("method", "How it was measured", method(document));
    page(&title, &body)
}

fn head(document: &Document, title: &str) -> String {
    let [primary, candidate] = &document.sides;
    let verdict = &document.verdict;
    let mut text = format!(
        "<h1>{}</h1>\n<p class=\"soft\">{} · seed {} · {}</p>\n",
        escape(title),
        escape(&document.run.method),
        escape(&document.run.seed),
        escape(&document.run.started),
    );
    if document.run.partial {
        text.push_str("<p class=\"partial\">This run ended before its plan did. What follows is what was measured until then.</p>\n");
    }
    text.push_str(&format!(
        "<p><span class=\"word\">{}</span><span class=\"key one\">{} (primary)</span><span class=\"key two\">{} (candidate)</span></p>\n<p>{}</p>\n",
        verdict.word, escape(&primary.title()), escape(&candidate.title()), escape(&verdict.sentence),
    ));
    for reason in &document.validity.reasons {
        text.push_str(&format!("<p class=\"partial\">{}</p>\n", escape(reason)));
    }
    if !document.run.notes.is_empty() {
        let notes = document.run.notes.iter().map(|note| format!("<li>{}</li>", escape(note)));
        text.push_str(&format!("<ul class=\"soft\">{}</ul>\n", notes.collect::<String>()));
    }
    if !document.must.is_empty() {
        let rows: Vec<Vec<Td>> = document
            .must
            .iter()
            .map(|must| {
                let class = if must.result == Value::Fail { "fail" } else { "" };
                vec![
                    Td::text(&must.expr),
                    Td::text(&must.role),
                    Td::classed(class, must_word(must.result)),
                ]
            })
            .collect();
        text.push_str(&table("Must-haves", &["demand", "side", "result"], &rows));
    }
    text.push_str("<nav aria-label=\"Parts\"><a href=\"#table\">rows</a><a href=\"#latency\">latency</a><a href=\"#cpu\">CPU and memory</a><a href=\"#blocks\">blocks</a><a href=\"#answers\">answers</a><a href=\"#method\">method</a></nav>\n");
    text
}

fn rows(document: &Document) -> String {
    let [primary, candidate] = &document.sides;
    let ratio_head = format!("{}/{}, 95 %", candidate.name, primary.name);
    let rows: Vec<Vec<Td>> = document
        .metrics
        .iter()
        .map(|metric| {
            let ratio = match metric.interval {
                Some((low, high)) => format!(
                    "{} [{}, {}]",
                    units::ratio(metric.ratio),
                    units::ratio(low),
                    units::ratio(high)
                ),
                None => units::ratio(metric.ratio),
            };
            let class = match metric.cell {
                Cell::Better => "better",
                Cell::Worse => "worse",
                Cell::Same => "",
                Cell::Unknown => "unknown",
            };
            let anchor = match metric.id.as_str() {
                "cpu" | "peak_mem" => "#cpu",
                "p50" | "p99" | "p99.9" | "capacity" => "#latency",
                _ => "#blocks",
            };
            let mark = if metric.headline { "" } else { " (exploratory)" };
            let side = |side: &super::MetricSide| {
                let class = if side.dimmed { "dim" } else { "" };
                let text = format!("{}, n = {}", value(metric, side), units::count(side.n));
                Td::classed(class, &text)
            };
            vec![
                Td::markup(format!("<a href=\"{anchor}\">{}</a>{mark}", escape(&label(metric)))),
                side(&metric.primary),
                side(&metric.candidate),
                Td::text(&ratio),
                Td::classed(class, &cell(document, metric)),
            ]
        })
        .collect();
    let heads = ["row", &primary.name, &candidate.name, &ratio_head, "verdict"];
    let floors: Vec<String> = document
        .aa
        .iter()
        .map(|(metric, aa)| format!("{metric} ±{}", units::percent(aa.floor.exp() - 1.0)))
        .collect();
    let caption = if floors.is_empty() {
        "No noise floor was measured.".to_owned()
    } else {
        format!("Two processes of one build differed by up to: {}.", floors.join(", "))
    };
    table(&caption, &heads, &rows)
}

/// Detail in the words of the services, beside what was seen from outside; empty where neither of
/// them was asked.
fn runtimes(document: &Document) -> String {
    let sides = &document.sides;
    if sides.iter().all(|side| side.runtime.kind.is_none() && side.build.toolchain.is_empty()) {
        return String::new();
    }
    let optional = |value: Option<String>| value.unwrap_or_else(|| units::NOTHING.to_owned());
    let text = |text: &str| optional(Some(text.to_owned()).filter(|text| !text.is_empty()));
    let long = |runtime: &Runtime| {
        let (polls, long, from) = (runtime.polls?, runtime.polls_long?, runtime.polls_long_from_s?);
        let (long, polls, from) = (units::count(long), units::count(polls), units::duration(from));
        Some(format!("{long} of {polls} took {from} or longer"))
    };
    type Line<'l> = (&'l str, &'l dyn Fn(&Side) -> String);
    let lines: [Line<'_>; 10] = [
        ("version", &|side| text(&side.version)),
        ("toolchain", &|side| text(&side.build.toolchain)),
        ("flags", &|side| text(&side.build.flags)),
        ("profile", &|side| text(&side.build.profile)),
        ("threads for its code", &|side| {
            optional(side.runtime.parallelism.map(|count| units::count(count.into())))
        }),
        ("allocator", &|side| optional(side.runtime.allocator.clone())),
        ("GOGC", &|side| optional(side.runtime.gogc.clone())),
        ("collector, in measured blocks", &|side| optional(collector(&side.runtime))),
        ("collector's CPU, of the service's own", &|side| {
            optional(side.runtime.gc_share_of_user.map(units::percent))
        }),
        ("tasks that held a thread long", &|side| optional(long(&side.runtime))),
    ];
    let rows: Vec<Vec<Td>> = lines
        .iter()
        .map(|(name, read)| {
            let [one, other] = [0, 1].map(|place: usize| Td::text(&read(&sides[place])));
            vec![Td::text(name), one, other]
        })
        .collect();
    table(
        "Said by the services themselves, between the first and the last measured block; it stands \
         beside what was seen from outside and replaces none of it",
        &["", &sides[0].name, &sides[1].name],
        &rows,
    )
}

fn answers(document: &Document) -> String {
    let answers = &document.answers;
    let mut text = format!(
        "<p>{} calls were answered by both sides. Differences in critical fields: {}.</p>\n",
        units::count(answers.calls),
        units::count(answers.critical)
    );
    if answers.noise == "rules" {
        text.push_str("<p>There was no second primary to learn noise from, so this says no more than: no difference found under these rules.</p>\n");
    }
    if answers.sampled_after_cache {
        text.push_str("<p>Calls were copied behind the cache: hits are not among them.</p>\n");
    }
    if let Some(cut) = answers.cut.filter(|cut| *cut > 0) {
        let count = units::count(cut);
        text.push_str(&format!(
            "<p>{count} streams were cut before they ended: of those the shorter prefix of the two was compared.</p>\n"
        ));
    }
    let told = |path: &&PathLine| {
        path.class != crate::noise::Class::Identical
            && (path.class != crate::noise::Class::Unknown || path.candidate_only + path.both > 0)
    };
    let rows: Vec<Vec<Td>> = answers
        .paths
        .iter()
        .filter(told)
        .map(|path| {
            let class = if path.class.is_worse() { "worse" } else { "" };
            vec![
                Td::markup(format!("<code>{}</code>{}", escape(&path.path), samples(path))),
                Td::classed(class, &path.class.to_string()),
                Td::text(&units::count(path.candidate_only)),
                Td::text(&units::count(path.twin_only)),
                Td::text(&units::count(path.both)),
                Td::text(&units::digits(path.e_value)),
                Td::text(&format!("< {}", units::percent(path.bound))),
            ]
        })
        .collect();
    let proposed = proposed(&answers.paths);
    if rows.is_empty() {
        text.push_str("<p>No path differed.</p>\n");
        return text + &proposed;
    }
    let heads = ["path", "class", "candidate only", "twin only", "both", "evidence", "extra"];
    text.push_str(&table("Paths that differed at least once", &heads, &rows));
    text + &proposed
}

/// Rules that somebody may make of what was seen.
fn proposed(paths: &[PathLine]) -> String {
    let rules = paths.iter().filter_map(|path| path.proposed_rule.as_ref());
    let items: String =
        rules.map(|rule| format!("<li><code>{}</code></li>\n", escape(rule))).collect();
    if items.is_empty() {
        return String::new();
    }
    format!("<p>Rules that are proposed; none was applied:</p>\n<ul>\n{items}</ul>\n")
}

fn samples(path: &PathLine) -> String {
    if path.samples.is_empty() {
        return String::new();
    }
    let shown = |value: &Option<String>| match value {
        Some(value) => format!("<pre>{}</pre>", escape(value)),
        None => units::NOTHING.to_owned(),
    };
    let rows: Vec<Vec<Td>> = path
        .samples
        .iter()
        .map(|sample| {
            vec![
                Td::markup(format!("<code>{}</code>", escape(&sample.place))),
                Td::markup(shown(&sample.primary)),
                Td::markup(shown(&sample.candidate)),
            ]
        })
        .collect();
    let inner = table("Samples", &["place", "primary", "candidate"], &rows);
    format!("<details><summary>{} samples</summary>{inner}</details>", path.samples.len())
}

fn rubric(document: &Document) -> String {
    let rows: Vec<Vec<Td>> = document
        .rubric
        .iter()
        .map(|row| {
            let value = if row.value == "not_run" { "not run" } else { row.value.as_str() };
            vec![
                Td::text(&row.row),
                Td::text(&row.role),
                Td::text(value),
                Td::markup(ran(row)),
                Td::text(&row.note),
            ]
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    table(
        "Counts, times and lists, each with its command",
        &["row", "side", "value", "command", "note"],
        &rows,
    )
}

/// The command, and behind it what it said.
fn ran(row: &Rubric) -> String {
    let command = format!("<code>{}</code>", escape(&row.command));
    if row.output.is_empty() {
        return command;
    }
    format!("<details><summary>{command}</summary><pre>{}</pre></details>", escape(&row.output))
}

fn cost(document: &Document) -> String {
    let Some(cost) = &document.cost else { return String::new() };
    let prices = &cost.prices;
    let input = |name: &str, text: &str, value: f64| {
        format!(
            "<label>{text} <input name=\"{name}\" type=\"number\" min=\"0\" step=\"any\" value=\"{value}\"></label>"
        )
    };
    let form: String = [
        input("cpu", "CPU, an hour", prices.cpu_hour),
        input("gib", "GiB, an hour", prices.gib_hour),
        input("instance", "instance, an hour", prices.instance_hour),
        input("headroom", "headroom", prices.headroom),
        input("least", "instances at least", f64::from(prices.instances_least)),
    ]
    .concat();
    let optional = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
    let row = |name: &str, side: &super::CostSide| {
        let provisioned = match (side.provisioned, side.instances) {
            (Some(provisioned), Some(count)) => format!("{} ({count})", units::money(provisioned)),
            _ => units::NOTHING.to_owned(),
        };
        format!(
            "<tr data-cpu=\"{}\" data-memory=\"{}\" data-rate=\"{}\" data-capacity=\"{}\"><th scope=\"row\">{}</th><td class=\"packed\" data-name=\"packed\">{}</td><td class=\"provisioned\" data-name=\"provisioned (instances)\">{provisioned}</td></tr>\n",
            side.cpu_s,
            side.memory_gib,
            cost.rate,
            optional(side.capacity),
            escape(name),
            units::money(side.packed),
        )
    };
    let [primary, candidate] = &document.sides;
    format!(
        "<p>At {}. Packed pays for the CPU and memory that are used, provisioned for whole instances that are large enough for the peak. Prices are those of whoever ran this; other ones can be tried here.</p>\n<form id=\"prices\">{form}</form>\n<table><thead><tr><th scope=\"col\">side</th><th scope=\"col\">packed</th><th scope=\"col\">provisioned (instances)</th></tr></thead><tbody>{}{}</tbody></table>\n",
        units::rate(cost.rate),
        row(&primary.name, &cost.primary),
        row(&candidate.name, &cost.candidate),
    )
}

fn method(document: &Document) -> String {
    let run = &document.run;
    let mut text = String::from("<dl>\n");
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            text.push_str(&format!("<dt>{}</dt><dd>{}</dd>\n", escape(name), escape(value)));
        }
    };
    line("command", &run.argv.join(" "));
    line("run", &run.id);
    line("took", &units::about(run.seconds));
    let machine = &run.machine;
    line(
        "machine",
        &format!(
            "{}, {} cores, {}{}",
            machine.cpu,
            machine.cores,
            machine.kernel,
            machine.virtualisation.as_ref().map_or(String::new(), |name| format!(", {name}"))
        ),
    );
    line(
        "readings",
        &format!(
            "CPU {}, memory {}, context switches {}",
            machine.sources.cpu, machine.sources.memory, machine.sources.context_switches
        ),
    );
    let optional = |value: Option<String>| value.unwrap_or_else(|| units::NOTHING.to_owned());
    line(
        "generator",
        &format!(
            "at most {}, lag p99 {}",
            optional(run.generator.rate_most.map(units::rate)),
            optional(run.generator.lag_p99_s.map(units::duration))
        ),
    );
    let validity = &document.validity;
    line(
        "blocks",
        &format!(
            "{}, of which {} void; times set aside {}, steal {}, unattributed CPU {}",
            units::count(validity.blocks),
            units::count(validity.void_blocks),
            units::percent(validity.set_aside),
            units::percent(validity.steal),
            units::percent(validity.unattributed_cpu)
        ),
    );
    for side in &document.sides {
        let runtime = &side.runtime;
        let mut facts = vec![
            side.title(),
            side.target.clone(),
            side.build.toolchain.clone(),
            side.build.flags.clone(),
            side.build.profile.clone(),
        ];
        facts.extend(runtime.parallelism.map(|count| format!("parallelism {count}")));
        facts.extend(runtime.gogc.as_ref().map(|gogc| format!("GOGC {gogc}")));
        facts.extend(runtime.allocator.as_ref().map(|name| format!("allocator {name}")));
        facts.extend(
            runtime
                .gc_cycles
                .map(|count| format!("{} collections in measured blocks", units::count(count))),
        );
        facts.retain(|fact| !fact.is_empty());
        line(&side.role, &facts.join(", "));
    }
    let runs: Vec<String> = document
        .ledger
        .iter()
        .map(|run| format!("{} {} {}", run.started, run.id, run.word))
        .collect();
    line("all runs of this series", &runs.join("; "));
    text.push_str("</dl>\n<p class=\"soft\">What this does not show: other machines, other loads, and what no call of this run has asked for. Percentiles come from calls sent on a schedule, whether or not earlier ones had come back.</p>\n");
    text
}
