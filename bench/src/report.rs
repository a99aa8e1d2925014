//! What a run prints, and the file that it leaves.

use std::path::Path;
use std::process::Command;

use serde_json::{Map, Value, json};
use tandem_bench_payload::median::{INTERVAL, Median};

use crate::peer::{Peer, Speaks};
use crate::process::Outcome;
use crate::round::{Length, Ratio, Sample, Scenario, Spent};

/// What a run took place on, as entries of its file.
///
/// Asked for before the first round, right behind the build: a run takes minutes, in which the
/// tree can change.
pub(crate) fn surroundings(root: &Path, peers: &[(Peer, Speaks)]) -> Map<String, Value> {
    let said = |program: &str, words: &[&str]| -> String {
        let output = Command::new(program).args(words).current_dir(root).output();
        output.map_or_else(
            |_| "unknown".into(),
            |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        )
    };
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown");
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let changed = !said("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty();
    let mut versions = Map::new();
    let mut files = Vec::new();
    for (peer, speaks) in peers {
        if let Some(version) = peer.version(root) {
            versions.insert(peer.name().into(), version.into());
        }
        files.extend(peer.files(*speaks).iter().map(|(from, _)| format!("bench/peers/{from}")));
    }
    files.sort();
    files.dedup();
    let mut entries = Map::new();
    for (key, value) in [
        ("commit", said("git", &["rev-parse", "HEAD"]).into()),
        ("uncommitted_changes", changed.into()),
        ("date", said("date", &["-u", "+%Y-%m-%dT%H:%M:%SZ"]).into()),
        ("rustc", said("rustc", &["--version"]).into()),
        ("kernel", said("uname", &["-sr"]).into()),
        ("cpu", model.trim_start_matches([' ', '\t', ':']).into()),
        ("load_average", load.trim().into()),
        ("versions", Value::Object(versions)),
        ("configurations", files.into()),
    ] {
        entries.insert(key.into(), value);
    }
    entries
}

/// Versions, configurations and load average, before the first figure.
pub(crate) fn print_surroundings(surroundings: &Map<String, Value>) {
    let text = |key: &str| surroundings.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
    println!("{}, {}, {}", text("cpu"), text("kernel"), text("rustc"));
    if let Some(Value::Object(versions)) = surroundings.get("versions") {
        for (peer, version) in versions {
            println!("{peer}: {}", version.as_str().unwrap_or(""));
        }
    }
    if let Some(Value::Array(files)) = surroundings.get("configurations") {
        let files: Vec<&str> = files.iter().filter_map(Value::as_str).collect();
        println!("configurations: {}", files.join(", "));
    }
    println!("load average before: {}", text("load_average"));
}

pub(crate) fn print(scenarios: &[Scenario], samples: &[Sample], ratios: &[Ratio]) {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load average after: {}\n", load.trim());
    println!(
        "{:<16}{:<14}{:>26}{:>14}{:>16}{:>14}",
        "scenario", "through", "its CPU, µs a unit", "units/s", "its core busy", "around, µs"
    );
    for sample in samples {
        let scenario = &scenarios[sample.scenario];
        let Median { middle, low, high } = sample.median(|spent| spent.target / 1e3);
        let cpu = format!("{middle:.2} [{low:.2}, {high:.2}]");
        println!(
            "{:<16}{:<14}{:>26}{:>14.0}{:>15.0}%{:>14.2}   a {}",
            scenario.name,
            sample.peer.name(),
            if sample.peer == Peer::Direct { "-".into() } else { cpu },
            sample.median(|spent| 1e9 / spent.clock).middle,
            sample.median(|spent| spent.target / spent.clock * 100.0).middle,
            sample.median(|spent| spent.around / 1e3).middle,
            scenario.unit,
        );
    }
    println!();
    for Ratio { scenario, peer, median } in ratios {
        let Median { middle, low, high } = median;
        println!("ratio tandem/{} {scenario} {middle:.2} [{low:.2}, {high:.2}]", peer.name());
    }
    println!();
}

/// Every round and every ratio, as entries of the file.
pub(crate) fn results(
    length: Length,
    scenarios: &[Scenario],
    samples: &[Sample],
    ratios: &[Ratio],
) -> Map<String, Value> {
    let part = |sample: &Sample, part: fn(&Spent) -> f64| -> Vec<f64> {
        sample.rounds.iter().map(|spent| part(spent).round()).collect()
    };
    let results: Vec<Value> = samples
        .iter()
        .map(|sample| {
            let scenario = &scenarios[sample.scenario];
            json!({
                "scenario": scenario.name,
                "through": sample.peer.name(),
                "unit": scenario.unit,
                "calls_a_round": sample.calls,
                "units_a_call": scenario.units_a_call,
                "cpu_ns_a_unit": part(sample, |spent| spent.target),
                "around_cpu_ns_a_unit": part(sample, |spent| spent.around),
                "clock_ns_a_unit": part(sample, |spent| spent.clock),
            })
        })
        .collect();
    let ratios: Vec<Value> = ratios
        .iter()
        .map(|ratio| {
            let Median { middle, low, high } = ratio.median;
            json!({
                "scenario": ratio.scenario,
                "peer": ratio.peer.name(),
                "median": middle,
                "low": low,
                "high": high,
            })
        })
        .collect();
    let mut entries = Map::new();
    for (key, value) in [
        ("clock", "CPU time of the process, all its threads".into()),
        ("rounds", length.rounds.into()),
        ("slice_ms", (length.slice.as_millis() as u64).into()),
        ("interval", INTERVAL.into()),
        ("ratios", Value::from(ratios)),
        ("results", Value::from(results)),
    ] {
        entries.insert(key.into(), value);
    }
    entries
}

/// Writes `bench/results/NAME.json`; a quick run's goes to `target/`.
pub(crate) fn write(
    root: &Path,
    name: &str,
    quick: bool,
    parts: [Map<String, Value>; 3],
) -> Outcome<()> {
    let mut document = Map::new();
    let command = format!("./x bench {name}{}", if quick { " --quick" } else { "" });
    document.insert("command".into(), command.into());
    document.extend(parts.into_iter().flatten());
    let folder = if quick { root.join("target") } else { root.join("bench/results") };
    std::fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{name}.json"));
    std::fs::write(&path, format!("{}\n", pretty(&document)))?;
    println!("written: {}", path.strip_prefix(root).unwrap_or(&path).display());
    Ok(())
}

/// One entry of a list a line: short enough to read, and a change shows as the lines it changes.
fn pretty(document: &Map<String, Value>) -> String {
    let lines: Vec<String> = document
        .iter()
        .map(|(key, value)| match value {
            Value::Array(values) => {
                let values: Vec<String> =
                    values.iter().map(|value| format!("    {value}")).collect();
                format!("  \"{key}\": [\n{}\n  ]", values.join(",\n"))
            }
            value => format!("  \"{key}\": {value}"),
        })
        .collect();
    format!("{{\n{}\n}}", lines.join(",\n"))
}
