//! The plots of the page: which series goes into which figure.

use super::document::{Document, LoadPoint};
use super::page::escape;
use super::plot::{Axis, Plot};
use super::units;

/// Axes are in these, so that their ticks are whole.
const MIB: f64 = 1_048_576.0;
const MINUTE_S: f64 = 60.0;

fn figure(class: &str, svg: String, caption: &str) -> String {
    format!(
        "<figure class=\"{class}\">{svg}<figcaption>{}</figcaption></figure>\n",
        escape(caption)
    )
}

fn plots(figures: Vec<String>) -> String {
    if figures.is_empty() {
        return String::new();
    }
    format!("<div class=\"plots\">\n{}</div>\n", figures.concat())
}

/// The class that gives a side its colour.
fn class(role: &str) -> &'static str {
    if role == "primary" { "one" } else { "two" }
}

/// Latency by percentile, and against the offered rate.
pub(super) fn latency(document: &Document) -> String {
    let mut figures = Vec::new();
    let curves = &document.series.curves;
    let points = || curves.iter().flat_map(|curve| &curve.points);
    if points().next().is_some() {
        let across = Axis::nines(points().map(|point| point.part), "percentile of calls");
        let values = points().flat_map(|point| [point.low_s, point.value_s, point.high_s]);
        let mut plot = Plot::new(across, Axis::log(values, "", units::duration));
        let mut counts = Vec::new();
        for curve in curves {
            let name = class(&curve.role);
            let band: Vec<_> =
                curve.points.iter().map(|point| (point.part, point.low_s, point.high_s)).collect();
            plot.band(name, &band);
            plot.line(name, curve.points.iter().map(|point| (point.part, point.value_s)));
            counts.push(format!("{} n = {}", curve.role, units::count(curve.n)));
        }
        let caption = format!(
            "Latency by percentile, with the band in which the whole curve lies at 95 %, whenever one looks; {}.",
            counts.join(", ")
        );
        figures.push(figure("", plot.svg("latency by percentile"), &caption));
    }
    let load = &document.series.load;
    if !load.is_empty() {
        figures.push(load_figure(document, load));
    }
    plots(figures)
}

fn load_figure(document: &Document, load: &[LoadPoint]) -> String {
    let capacity = document.capacity.as_ref();
    let ends = capacity.into_iter().flat_map(|capacity| {
        [capacity.primary, capacity.candidate].map(|side| side.hi.unwrap_or(side.lo))
    });
    let rates = load.iter().map(|point| point.rate).chain(ends);
    let threshold = capacity.and_then(|capacity| capacity.threshold_s);
    let times = load.iter().map(|point| point.p99_s).chain(threshold);
    let across = Axis::from_zero(rates, "offered calls a second", units::digits);
    let mut plot = Plot::new(across, Axis::log(times, "", units::duration));
    if let Some(capacity) = capacity {
        for (role, side) in [("primary", capacity.primary), ("candidate", capacity.candidate)] {
            plot.span(class(role), side.lo, side.hi.unwrap_or(side.lo));
        }
    }
    if let Some(threshold) = threshold {
        plot.level("bad", threshold);
    }
    for role in ["primary", "candidate"] {
        let of_role = || load.iter().filter(move |point| point.role == role);
        plot.line(class(role), of_role().map(|point| (point.rate, point.p99_s)));
        for point in of_role() {
            let title =
                format!("{role}: {} at {}", units::duration(point.p99_s), units::rate(point.rate));
            plot.dot(class(role), point.rate, point.p99_s, &title);
        }
    }
    let void =
        capacity.into_iter().flat_map(|capacity| &capacity.probes).filter(|probe| probe.void);
    for probe in void {
        let at = probe.p99_s.or(threshold).unwrap_or_default();
        plot.cross(
            probe.rate,
            at,
            &format!("{}: void probe at {}", probe.role, units::rate(probe.rate)),
        );
    }
    let caption = match capacity {
        Some(capacity) => format!(
            "p99 against the offered rate. Line: the objective {}; bands: where each side's capacity lies; crosses: void probes.",
            capacity.slo
        ),
        None => "p99 against the offered rate.".to_owned(),
    };
    figure("", plot.svg("p99 against the offered rate"), &caption)
}

/// CPU against the rate, memory over time.
pub(super) fn cpu(document: &Document) -> String {
    plots(cpu_figure(document).into_iter().chain(memory_figure(document)).collect())
}

fn cpu_figure(document: &Document) -> Option<String> {
    let load = || document.series.load.iter().filter(|point| point.cpu_cores.is_some());
    load().next()?;
    let rates = load().map(|point| point.rate);
    let across = Axis::from_zero(rates, "offered calls a second", units::digits);
    // Each line ends where its side was measured.
    let sides = document.slopes.map(|slopes| {
        [("primary", slopes.primary), ("candidate", slopes.candidate)].map(|(role, slope)| {
            let rates = load().filter(|point| point.role == role).map(|point| point.rate);
            let end = rates.fold(0.0, f64::max);
            (role, slope, [0.0, end].map(|rate| (rate, slope.idle + slope.marginal * rate)))
        })
    });
    let ends = sides.iter().flatten().flat_map(|(_, _, ends)| ends.map(|(_, cores)| cores));
    let used = load().filter_map(|point| point.cpu_cores).chain(ends);
    let mut plot = Plot::new(across, Axis::from_zero(used, "", units::digits));
    let mut caption = "CPU cores used, against the offered rate".to_owned();
    for (role, slope, ends) in sides.iter().flatten() {
        plot.line(class(role), ends.iter().copied());
        let (marginal, idle) = (units::duration(slope.marginal), units::digits(slope.idle));
        caption.push_str(&format!("; {role} {marginal} a call and {idle} cores idle"));
    }
    if sides.is_none() {
        caption.push_str("; at too few rates for a slope");
    }
    caption.push('.');
    for point in load() {
        let cores = point.cpu_cores.unwrap_or_default();
        let (used, rate) = (units::digits(cores), units::rate(point.rate));
        let title = format!("{}: {used} cores at {rate}", point.role);
        plot.dot(class(&point.role), point.rate, cores, &title);
    }
    Some(figure("", plot.svg("CPU cores against the offered rate"), &caption))
}

fn memory_figure(document: &Document) -> Option<String> {
    let blocks = || document.series.blocks.iter().filter(|block| block.memory_bytes.is_some());
    blocks().next()?;
    let minute = |block: &super::Block| block.start_s / MINUTE_S;
    let mib = |block: &super::Block| block.memory_bytes.unwrap_or_default() as f64 / MIB;
    let across = Axis::from_zero(blocks().map(minute), "minutes", units::digits);
    let up = Axis::from_zero(blocks().map(mib), "", |mib| units::bytes(mib * MIB));
    let mut plot = Plot::new(across, up);
    for role in ["primary", "candidate"] {
        let of_role = blocks().filter(|block| block.role == role);
        plot.line(class(role), of_role.map(|block| (minute(block), mib(block))));
    }
    let caption = "Peak memory of each block, over the run.";
    Some(figure("", plot.svg("peak memory by block"), caption))
}

/// Every block, and every quartet's difference.
pub(super) fn blocks(document: &Document) -> String {
    let mut figures = Vec::new();
    let blocks = &document.series.blocks;
    let rate = |block: &super::Block| block.calls as f64 / block.seconds.max(1e-9);
    if !blocks.is_empty() {
        let minute = |block: &super::Block| block.start_s / MINUTE_S;
        let across = Axis::from_zero(blocks.iter().map(minute), "minutes", units::digits);
        let mut plot = Plot::new(across, Axis::from_zero(blocks.iter().map(rate), "", units::rate));
        for block in blocks {
            let text = format!(
                "{}, restart {}: {}, steal {}",
                block.role,
                block.restart,
                units::rate(rate(block)),
                units::percent(block.steal)
            );
            match &block.void {
                Some(why) => {
                    plot.cross(minute(block), rate(block), &format!("{text}; void: {why}"))
                }
                None => plot.dot(class(&block.role), minute(block), rate(block), &text),
            }
        }
        for pair in blocks.windows(2).filter(|pair| pair[0].restart != pair[1].restart) {
            plot.span("grey", minute(&pair[1]), minute(&pair[1]));
        }
        let caption = "Throughput of each block, over the run. Grey lines: both sides were restarted; crosses: void blocks.";
        figures.push(figure("", plot.svg("throughput by block"), caption));
    }
    for (metric, logs) in &document.series.quartets {
        let noise = document.series.aa_quartets.get(metric).map_or(&[][..], Vec::as_slice);
        figures.push(quartets(document, metric, logs, noise));
    }
    plots(figures)
}

fn quartets(document: &Document, metric: &str, logs: &[f64], noise: &[f64]) -> String {
    let all = || logs.iter().chain(noise).copied().filter(|log| log.is_finite());
    let low = all().fold(0.0, f64::min);
    let high = all().fold(0.0, f64::max);
    let room = ((high - low) * 0.08).max(0.005);
    let up = Axis::linear(low - room, high + room, "", |log| units::ratio(log.exp()));
    let most = logs.len().max(noise.len()) as f64;
    let across = Axis::linear(0.0, most.max(1.0) + 0.5, "quartet", units::digits);
    let mut plot = Plot::new(across, up).high(190.0);
    let found = document.metrics.iter().find(|row| row.id == metric);
    if let Some((low, high)) = found.and_then(|row| row.interval) {
        plot.band("two", &[(0.0, low.ln(), high.ln()), (most + 0.5, low.ln(), high.ln())]);
    }
    plot.level("grey", 0.0);
    for (class, values) in [("grey", noise), ("two", logs)] {
        for (place, log) in (1..).zip(values) {
            plot.dot(
                class,
                f64::from(place),
                *log,
                &format!("quartet {place}: {}", units::ratio(log.exp())),
            );
        }
    }
    if let Some(row) = found {
        plot.level("two", row.ratio.ln());
    }
    let name = crate::verdict::row_label(metric);
    let caption = format!(
        "{name}: candidate over primary in each quartet, with mean and interval; grey: two processes of one build."
    );
    figure("", plot.svg(&format!("{name} by quartet")), &caption)
}
