//! What is counted without load stands in the same report (compare §8).

use std::time::Duration;

use serde_json::Value;

use crate::place::Place;
use crate::schema;
use crate::sides::{interrupted, side, steady, words};

/// A tiny program in Rust, with a package beneath it.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../measure/tests/data/tiny-rust");

fn rows<'r>(result: &'r Value, role: &str, name: &str) -> Vec<&'r Value> {
    let all = result["rubric"].as_array().unwrap().iter();
    all.filter(|row| row["role"] == role && row["row"] == name).collect()
}

#[test]
fn compare_r_5_builds_sizes_and_lines_of_both_sides_stand_in_the_report() {
    let place = Place::with(&[("must", "license in {MIT, Apache-2.0}\nadvisories(high)=0\n")]);
    let (one, other) = (steady(Duration::ZERO), steady(Duration::ZERO));
    let (one, other) = (side("one", one.address), side("other", other.address));
    let sources = format!("--src-primary={SOURCES}");
    let more =
        ["--quick", "--rubric", &sources, "--budget=8m", "--must=must", "--out=out", "--json"];
    let said = place.tandem(&words(&one, &other, &more));
    let result = said.json();
    schema::keeps(&result);
    let value = |role: &str, name: &str| {
        let found = rows(&result, role, name);
        assert_eq!(found.len(), 1, "{role} {name}: {}", result["rubric"]);
        found[0]["value"].as_str().unwrap().to_owned()
    };
    assert!(value("primary", "R-5 clean").starts_with("wall "), "{}", result["rubric"]);
    assert!(value("primary", "R-8").contains("as built"));
    assert!(value("primary", "R-10").contains("handwritten"));
    // Nobody named the candidate's sources, and it was not started by a command: no zeros.
    for name in ["R-5", "R-7", "R-8", "R-11"] {
        assert_eq!(value("candidate", name), "not_run", "{name}");
    }
    // Rows of load by other instruments are not pretended to.
    assert!(rows(&result, "primary", "R-12").is_empty());
    // A demand on what has no database is not proven.
    let must = result["must"].as_array().unwrap();
    let found: Vec<&str> = must
        .iter()
        .filter(|must| must["role"] == "primary")
        .map(|must| must["result"].as_str().unwrap())
        .collect();
    assert_eq!(found, ["pass", "not-run"], "{must:?}");
    let page = place.read("out/report.html");
    assert!(page.contains("id=\"rubric\"") && page.contains("cargo build --release"));
}

#[test]
fn compare_c_2_the_rubric_is_part_of_the_plan_and_of_its_time() {
    let place = Place::new();
    let (one, other) = (side("one", crate::place::free()), side("other", crate::place::free()));
    let seconds = |more: &[&str]| {
        let json = place.tandem(&words(&one, &other, more)).json();
        let steps = json["steps"].to_string();
        (json["seconds"].as_f64().unwrap(), steps.contains("rubric R-1"))
    };
    let (without, is_there) = seconds(&["--plan-only", "--json"]);
    assert!(!is_there);
    let (with, is_there) = seconds(&["--plan-only", "--json", "--rubric"]);
    assert!(is_there && with > without + 60.0, "{with} {without}");
}

#[test]
fn compare_c_4_an_interrupted_rubric_leaves_what_was_counted() {
    let place = Place::new();
    let (one, other) = (steady(Duration::ZERO), steady(Duration::ZERO));
    let (one, other) = (side("one", one.address), side("other", other.address));
    let sources = [format!("--src-primary={SOURCES}"), format!("--src-candidate={SOURCES}")];
    let more = ["--quick", "--rubric", &sources[0], &sources[1], "--budget=8m", "--out=out"];
    let words = words(&one, &other, &more);
    // The last line before the rubric: a gateway has health, so pauses are looked for.
    let (result, _) = interrupted(&place, &words, "  pauses  ", Duration::from_secs(240));
    let last = rows(&result, "candidate", "R-8");
    assert!(last.iter().all(|row| row["value"] == "not_run"), "{last:?}");
}
