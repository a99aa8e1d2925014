//! Instructions of each scenario, held against those that were accepted last.
//!
//! Not here: how they are counted (`counter`).

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tandem_bench_payload::scenario::{self, Scenario};

use crate::Outcome;
use crate::counter;

/// More than a change of the compiler's mood, less than what anyone would want to lose unseen.
const MORE_MOST: f64 = 1.03;

pub(crate) fn run(accept: bool) -> Outcome<()> {
    let path = path()?;
    let accepted = if path.exists() { read(&path)? } else { Map::new() };
    let mut counts = Map::new();
    let mut worse = Vec::new();
    for Scenario { name, json, .. } in scenario::all() {
        let (count, _) =
            counter::instructions(&["scenario", name]).map_err(|why| format!("{name}: {why}"))?;
        let per_byte = count as f64 / json.len() as f64;
        let before = accepted.get(name).and_then(Value::as_u64);
        let change = before.map_or(", new".into(), |before| {
            format!(", {:+.2} %", (count as f64 / before as f64 - 1.0) * 100.0)
        });
        println!("instructions {name} {count}, {per_byte:.2} per byte of JSON{change}");
        if regressed(count, before) {
            worse.push(name);
        }
        counts.insert(name.into(), count.into());
    }
    if accept {
        return write(&path, counts);
    }
    if accepted.is_empty() {
        return Err("there is nothing to compare with; --accept makes it".into());
    }
    if worse.is_empty() {
        return Ok(());
    }
    Err(format!(
        "over 3 % more than accepted: {}; --accept when it is worth that",
        worse.join(", ")
    ))
}

fn regressed(count: u64, before: Option<u64>) -> bool {
    before.is_some_and(|before| count as f64 > before as f64 * MORE_MOST)
}

fn path() -> Outcome<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../results");
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    Ok(folder.join("codec-instructions.json"))
}

fn read(path: &Path) -> Outcome<Map<String, Value>> {
    let said = |error: &dyn std::error::Error| format!("{}: {error}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| said(&error))?;
    let mut document: Value = serde_json::from_str(&text).map_err(|error| said(&error))?;
    match document["instructions"].take() {
        Value::Object(counts) => Ok(counts),
        _ => Err(format!("{}: no `instructions`", path.display())),
    }
}

fn write(path: &Path, counts: Map<String, Value>) -> Outcome<()> {
    let document = json!({
        "command": "./x bench codec --instructions --accept",
        "instructions": counts,
    });
    let text = serde_json::to_string_pretty(&document).map_err(|error| error.to_string())?;
    std::fs::write(path, text + "\n").map_err(|error| format!("{}: {error}", path.display()))?;
    println!("accepted");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_of_three_per_cent() {
        assert!(!regressed(1030, Some(1000)));
        assert!(regressed(1031, Some(1000)));
        assert!(!regressed(1031, None));
    }
}
