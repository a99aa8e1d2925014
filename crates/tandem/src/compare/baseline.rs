//! An older result beside this one: what has become worse, and in what the two are not alike.
//!
//! Not here: when a row has become worse (`tandem_judge::verdict`).

use tandem_judge::report::{self, Document, Machine};
use tandem_judge::verdict::Regression;

/// A row that has become worse, in words.
pub(crate) fn text(regression: &Regression) -> String {
    let (before, now) = (regression.before.0, regression.now.0);
    format!(
        "worse than before: {} was {}, is {}",
        regression.id,
        report::units::ratio(before),
        report::units::ratio(now)
    )
}

/// In what the older run differs from this one, beside its figures. Ratios cancel the machine, most
/// of it, so another one is said and does not matter to the exit (compare V-8).
pub(crate) fn unlike(before: &Document, now: &Document) -> Vec<String> {
    let mut said = Vec::new();
    if machine(&before.run.machine) != machine(&now.run.machine) {
        said.push(format!(
            "the baseline is of another machine ({}): ratios are compared, which cancel most of that",
            machine(&before.run.machine)
        ));
    }
    if before.run.method != now.run.method {
        said.push(format!("the baseline is of other methods: {}", before.run.method));
    }
    let rates = |document: &Document| -> Option<f64> {
        document.metrics.iter().filter(|metric| metric.headline).find_map(|metric| metric.rate)
    };
    if let (Some(was), Some(is)) = (rates(before), rates(now))
        && (was - is).abs() > 1e-9
    {
        said.push(format!("the baseline is of another rate: {}", report::units::rate(was)));
    }
    said
}

/// What makes a machine another one; a new kernel does not.
fn machine(machine: &Machine) -> String {
    let Machine { cpu, cores, kernel: _, virtualisation: _, cgroup: _, sources: _ } = machine;
    let cpu = if cpu.is_empty() { "unknown processor" } else { cpu };
    format!("{cpu}, {cores} cores")
}
