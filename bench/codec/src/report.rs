//! What a run prints, and the file that it leaves.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value, json};
use tandem_bench_payload::median::{INTERVAL, Median, median};
use tandem_bench_payload::scenario::Scenario;

use crate::peer::{Outcome, Peer};
use crate::round::{self, Length, Times};

/// Our time ÷ a peer's on one scenario.
pub(crate) struct Ratio {
    pub(crate) scenario: &'static str,
    pub(crate) peer: Peer,
    pub(crate) median: Median,
}

/// The ratios, in the order of scenarios and peers.
pub(crate) fn ratios(scenarios: &[Scenario], times: &[Times]) -> Vec<Ratio> {
    let ours = |scenario: usize| {
        times.iter().find(|times| times.scenario == scenario && times.peer == Peer::Tandem)
    };
    times
        .iter()
        .filter(|theirs| theirs.peer != Peer::Tandem)
        .filter_map(|theirs| {
            Some(Ratio {
                scenario: scenarios[theirs.scenario].name,
                peer: theirs.peer,
                median: round::ratio(ours(theirs.scenario)?, theirs),
            })
        })
        .collect()
}

pub(crate) fn print(scenarios: &[Scenario], times: &[Times]) {
    for Ratio { scenario, peer, median } in ratios(scenarios, times) {
        let Median { middle, low, high } = median;
        println!("ratio tandem/{} {scenario} {middle:.2} [{low:.2}, {high:.2}]", peer.name());
    }
    println!("\nMB/s of JSON text (median of the rounds)");
    print!("{:<20}{:>10}", "scenario", "bytes");
    for peer in Peer::ALL {
        print!("{:>18}", peer.name());
    }
    println!();
    for (index, scenario) in scenarios.iter().enumerate() {
        print!("{:<20}{:>10}", scenario.name, scenario.json.len());
        for peer in Peer::ALL {
            match times.iter().find(|times| times.scenario == index && times.peer == peer) {
                // Bytes a nanosecond are thousands of MB a second.
                Some(times) => {
                    let nanos = median(&times.nanos).middle;
                    print!("{:>18.0}", scenario.json.len() as f64 / nanos * 1e3);
                }
                None => print!("{:>18}", "-"),
            }
        }
        println!();
    }
    println!();
}

/// What a run took place on, as entries of its file.
///
/// Asked for before the first round, right behind the build: a run takes minutes, in which the
/// tree can change.
pub(crate) fn surroundings() -> Outcome<Map<String, Value>> {
    let root = root()?;
    let said = |program: &str, words: &[&str]| -> String {
        let output = Command::new(program).args(words).current_dir(&root).output();
        output.map_or_else(
            |_| "unknown".into(),
            |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        )
    };
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown");
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let changed = !said("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty();
    let entries = json!({
        "commit": said("git", &["rev-parse", "HEAD"]),
        "uncommitted_changes": changed,
        "date": said("date", &["-u", "+%Y-%m-%dT%H:%M:%SZ"]),
        "rustc": said("rustc", &["--version"]),
        "kernel": said("uname", &["-sr"]),
        "cpu": model.trim_start_matches([' ', '\t', ':']),
        "load_average": load.trim(),
        "versions": versions(&root)?,
    });
    match entries {
        Value::Object(entries) => Ok(entries),
        _ => Ok(Map::new()),
    }
}

fn root() -> Outcome<PathBuf> {
    Ok(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?)
}

/// Writes `bench/results/codec.json`; a quick run's goes to `target/`.
pub(crate) fn write(
    quick: bool,
    length: Length,
    surroundings: Map<String, Value>,
    scenarios: &[Scenario],
    times: &[Times],
) -> Outcome<()> {
    let root = root()?;
    let results: Vec<Value> = times
        .iter()
        .map(|times| {
            let scenario = &scenarios[times.scenario];
            json!({
                "scenario": scenario.name,
                "peer": times.peer.name(),
                "json_bytes": scenario.json.len(),
                "wire_bytes": scenario.wire.len(),
                "calls_a_round": times.calls,
                "cpu_ns_a_call": times.nanos,
            })
        })
        .collect();
    let ratios: Vec<Value> = ratios(scenarios, times)
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
    let command = if quick { "./x bench codec --quick" } else { "./x bench codec" };
    let mut document = surroundings;
    for (key, value) in [
        ("command", command.into()),
        ("clock", "CPU time of the thread".into()),
        ("rounds", length.rounds.into()),
        ("slice_ms", (length.slice.as_millis() as u64).into()),
        ("interval", INTERVAL.into()),
        ("ratios", ratios.into()),
        ("results", results.into()),
    ] {
        document.insert(key.into(), value);
    }
    let folder = if quick { root.join("target") } else { root.join("bench/results") };
    std::fs::create_dir_all(&folder)?;
    let path = folder.join("codec.json");
    std::fs::write(&path, format!("{}\n", pretty(&document)))?;
    println!("written: {}", path.strip_prefix(&root).unwrap_or(&path).display());
    Ok(())
}

/// The versions of the peers, from the lockfile that the program was built with.
fn versions(root: &Path) -> Outcome<Value> {
    let lock = std::fs::read_to_string(root.join("bench/codec/Cargo.lock"))?;
    let mut versions = Map::new();
    for package in lock.split("[[package]]") {
        let value = |key: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(key))?;
            Some(line.trim_matches([' ', '=', '"']).to_owned())
        };
        if let (Some(name), Some(version)) = (value("name"), value("version"))
            && ["buffa", "buffa-descriptor", "pbjson", "prost", "serde_json"]
                .contains(&name.as_str())
        {
            versions.insert(name, version.into());
        }
    }
    Ok(Value::Object(versions))
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
