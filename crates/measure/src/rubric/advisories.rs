//! Row R-4: known faults of what a program is built from, by the languages' own tools and a
//! database on this machine.
//!
//! Without a database nothing is known, which is neither a zero nor a pass. RustSec gives a vector
//! and no word; the Go database gives neither, so each of its entries counts as high. What the
//! lock file names and what the program can reach are two numbers.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Deserializer, Value};
use tandem_judge::verdict::Fact;

use super::command::Step;
use super::{Found, Place, Side};

/// From here on a fault is high (CVSS 3.1, section 5).
const HIGH: f64 = 7.0;

/// Known faults, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Known {
    all: BTreeSet<String>,
    high: BTreeSet<String>,
    /// Where the tool knows what can be reached.
    reached: Option<BTreeSet<String>>,
}

pub(crate) fn rust(side: &mut Side<'_>, place: &Place) {
    let database = side.options.rustsec.clone();
    let step = Step::new("cargo", &["audit", "--json", "--no-fetch", "--db"], &place.root)
        .word(database.as_ref().map_or("DIR".into(), |folder| folder.display().to_string()));
    row(side, &step, database.as_deref(), of_audit);
}

pub(crate) fn go(side: &mut Side<'_>, place: &Place) {
    let database = side.options.govulndb.clone();
    let folder = database.as_ref().map_or("DIR".into(), |folder| folder.display().to_string());
    let step = Step::new("govulncheck", &["-json", "-db"], &place.folder)
        .word(format!("file://{folder}"))
        .word("./...");
    row(side, &step, database.as_deref(), of_govulncheck);
}

fn row(
    side: &mut Side<'_>,
    step: &Step,
    database: Option<&Path>,
    read: fn(&str) -> Result<Known, String>,
) {
    let found = match database {
        None => Err("no database".to_owned()),
        // A fault found ends the tools with another code than 0.
        Some(folder) => step.run(&side.limits).and_then(|ran| {
            let known = read(&ran.out).map_err(|why| format!("{why}; {}", ran.failure("it")))?;
            Ok((known, dated(folder)))
        }),
    };
    let fact = match &found {
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        Ok((known, _)) => Fact::Exact(known.high.len() as f64),
        Err(_) => Fact::NotRun,
    };
    side.facts.insert("advisories(high)".to_owned(), fact);
    let found = found.map(|(known, dated)| {
        let Known { all, high, reached } = known;
        let reached = reached.map_or(String::new(), |one| format!(", {} reached", one.len()));
        let value = format!("{} ({} high{reached})", all.len(), high.len());
        let names: Vec<&str> = all.iter().map(String::as_str).collect();
        let note = format!("database of {dated}; without a rating a fault counts as high");
        Found { said: names.join("\n"), ..Found::new(value, note) }
    });
    side.row("R-4", &step.text(), found);
}

/// When the database was last changed, as far as it says so.
fn dated(folder: &Path) -> String {
    let index = std::fs::read_to_string(folder.join("index/db.json")).ok();
    let said = index.and_then(|text| serde_json::from_str::<Value>(&text).ok());
    if let Some(time) = said.as_ref().and_then(|index| index["modified"].as_str()) {
        return time.to_owned();
    }
    let commit = Step::new("git", &["log", "-1", "--format=%cs"], folder);
    let limits =
        super::Limits { time: std::time::Duration::from_secs(20), stop: Default::default() };
    commit.output(&limits).map_or_else(|_| "unknown date".into(), |ran| ran.out.trim().to_owned())
}

/// From `cargo audit --json`.
fn of_audit(out: &str) -> Result<Known, String> {
    let said: Value =
        serde_json::from_str(out).map_err(|_| "cargo audit said no JSON".to_owned())?;
    let list = said["vulnerabilities"]["list"]
        .as_array()
        .ok_or("cargo audit's answer has no list of vulnerabilities")?;
    let mut known = Known::default();
    for entry in list {
        let advisory = &entry["advisory"];
        let id = advisory["id"].as_str().unwrap_or("without a name").to_owned();
        let score = advisory["cvss"].as_str().and_then(cvss_3);
        if score.is_none_or(|score| score >= HIGH) {
            known.high.insert(id.clone());
        }
        known.all.insert(id);
    }
    Ok(known)
}

/// From `govulncheck -json`: a stream of messages; a finding whose trace names a function is one
/// that the program reaches.
fn of_govulncheck(out: &str) -> Result<Known, String> {
    let mut known = Known { reached: Some(BTreeSet::new()), ..Known::default() };
    let mut messages = 0;
    for message in Deserializer::from_str(out).into_iter::<Value>() {
        let message = message.map_err(|_| "govulncheck said no JSON".to_owned())?;
        messages += 1;
        let finding = &message["finding"];
        let Some(id) = finding["osv"].as_str() else { continue };
        known.all.insert(id.to_owned());
        let called = finding["trace"].as_array().into_iter().flatten();
        if called.into_iter().any(|frame| frame["function"].is_string()) {
            known.reached.get_or_insert_default().insert(id.to_owned());
        }
    }
    if messages == 0 {
        return Err("govulncheck said nothing".to_owned());
    }
    known.high.clone_from(&known.all);
    Ok(known)
}

/// The base score of a CVSS 3 vector (FIRST, CVSS 3.1 specification, section 7.1); `None` for
/// other versions and for what is no vector.
fn cvss_3(vector: &str) -> Option<f64> {
    let metrics = vector.strip_prefix("CVSS:3.1/").or_else(|| vector.strip_prefix("CVSS:3.0/"))?;
    let of = |name: &str| {
        metrics
            .split('/')
            .find_map(|part| part.split_once(':').filter(|(key, _)| *key == name))
            .map(|(_, value)| value)
    };
    let changed = match of("S")? {
        "C" => true,
        "U" => false,
        _ => return None,
    };
    let way = match of("AV")? {
        "N" => 0.85,
        "A" => 0.62,
        "L" => 0.55,
        "P" => 0.2,
        _ => return None,
    };
    let complexity = match of("AC")? {
        "L" => 0.77,
        "H" => 0.44,
        _ => return None,
    };
    let rights = match (of("PR")?, changed) {
        ("N", _) => 0.85,
        ("L", false) => 0.62,
        ("L", true) => 0.68,
        ("H", false) => 0.27,
        ("H", true) => 0.5,
        _ => return None,
    };
    let person = match of("UI")? {
        "N" => 0.85,
        "R" => 0.62,
        _ => return None,
    };
    let loss = |name: &str| match of(name)? {
        "H" => Some(0.56),
        "L" => Some(0.22),
        "N" => Some(0.0),
        _ => None,
    };
    let lost = 1.0 - (1.0 - loss("C")?) * (1.0 - loss("I")?) * (1.0 - loss("A")?);
    let impact = if changed {
        7.52 * (lost - 0.029) - 3.25 * (lost - 0.02_f64).powi(15)
    } else {
        6.42 * lost
    };
    if impact <= 0.0 {
        return Some(0.0);
    }
    let exploitable = 8.22 * way * complexity * rights * person;
    let sum = impact + exploitable;
    Some(rounded_up(if changed { (1.08 * sum).min(10.0) } else { sum.min(10.0) }))
}

/// To one digit, upwards, as the specification's appendix A spells it out.
fn rounded_up(score: f64) -> f64 {
    let parts = (score * 100_000.0).round();
    if parts % 10_000.0 < 0.5 {
        parts / 100_000.0
    } else {
        ((parts / 10_000.0).floor() + 1.0) / 10.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_has_its_published_score() {
        for (vector, expected) in [
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", Some(9.8)),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H", Some(7.5)),
            // CVE-2013-1937, CVE-2013-0375 and CVE-2014-3566 of FIRST's examples.
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", Some(6.1)),
            ("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N", Some(6.4)),
            ("CVSS:3.0/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N", Some(3.1)),
            ("CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:N/I:N/A:N", Some(0.0)),
            ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", None),
            ("high", None),
        ] {
            match (cvss_3(vector), expected) {
                (Some(found), Some(expected)) => {
                    assert!((found - expected).abs() < 1e-9, "{vector}: {found}");
                }
                (found, expected) => assert_eq!(found, expected, "{vector}"),
            }
        }
    }

    #[test]
    fn what_cargo_audit_says_is_read() {
        // The form of cargo-audit 0.21, shortened.
        let out = r#"{"database":{"advisory-count":800},"lockfile":{"dependency-count":3},
            "vulnerabilities":{"found":true,"count":3,"list":[
            {"advisory":{"id":"RUSTSEC-2020-0071","package":"time","cvss":"CVSS:3.1/AV:L/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"}},
            {"advisory":{"id":"RUSTSEC-2021-0145","package":"atty","cvss":null}},
            {"advisory":{"id":"RUSTSEC-2023-0001","package":"tokio","cvss":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"}}]}}"#;
        let known = of_audit(out).unwrap();
        assert_eq!(known.all.len(), 3);
        assert_eq!(Vec::from_iter(known.high), ["RUSTSEC-2021-0145", "RUSTSEC-2023-0001"]);
        assert_eq!(of_audit(r#"{"vulnerabilities":{"list":[]}}"#).unwrap(), Known::default());
        assert!(of_audit("error: couldn't open db").is_err() && of_audit("{}").is_err());
    }

    #[test]
    fn what_govulncheck_says_is_read() {
        // The form of govulncheck 1.1, shortened: one fault that is only required, one reached.
        let out = r#"{"config":{"protocol_version":"v1.0.0"}}
            {"osv":{"id":"GO-2022-0969"}}
            {"finding":{"osv":"GO-2022-0969","trace":[{"module":"golang.org/x/net"}]}}
            {"finding":{"osv":"GO-2021-0113","trace":[{"module":"golang.org/x/text","package":"golang.org/x/text/language"}]}}
            {"finding":{"osv":"GO-2021-0113","trace":[{"module":"golang.org/x/text","package":"golang.org/x/text/language","function":"Parse"},{"module":"m","function":"main"}]}}"#;
        let known = of_govulncheck(out).unwrap();
        assert_eq!(known.all.len(), 2);
        assert_eq!(known.high, known.all);
        assert_eq!(Vec::from_iter(known.reached.unwrap()), ["GO-2021-0113"]);
        assert!(of_govulncheck("").is_err() && of_govulncheck("govulncheck: loading").is_err());
    }
}
