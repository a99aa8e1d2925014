//! What may be built in: licences, bans, floors, sources, the number of crates.
//!
//! Works from `cargo metadata` alone. `deny.toml` says the same to cargo-deny; a test compares
//! the two. Advisories need a database that is not part of the repository: their absence is said,
//! and is never a pass.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::crate_line::{list, metadata};

const LICENCES: [&str; 12] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Zlib",
];

/// Banned crates, with the only parents below which they may stand.
const BANS: [(&str, &[&str]); 12] = [
    ("governor", &[]),
    ("native-tls", &[]),
    ("openidconnect", &[]),
    ("openssl", &[]),
    ("pingora", &[]),
    ("prost-reflect", &["protox"]),
    ("reqwest", &[]),
    ("ring", &[]),
    ("rustls-pemfile", &[]),
    ("serde_yaml", &[]),
    ("serde_yaml_ng", &[]),
    ("serde_yml", &[]),
];

/// The oldest versions that may be built in.
const FLOORS: [(&str, [u64; 3]); 4] =
    [("h2", [0, 4, 20]), ("hyper", [1, 12, 0]), ("hyper-util", [0, 1, 21]), ("tonic", [0, 14, 9])];

/// Crates of the house's workspace, tests and tools included.
const CRATES_MOST: usize = 265;

pub(crate) fn run() -> Result<(), String> {
    let mut faults = Vec::new();
    for manifest in [
        "Cargo.toml",
        "cases/Cargo.toml",
        "cases/defects/rust/Cargo.toml",
        "clients/rust/Cargo.toml",
        "bench/codec/Cargo.toml",
    ] {
        let metadata = metadata(manifest)?;
        let crates = list(&metadata["packages"]).len();
        println!("{manifest}: {crates} crates");
        if manifest == "Cargo.toml" && crates > CRATES_MOST {
            faults.push(format!("{crates} crates are more than {CRATES_MOST}"));
        }
        faults.extend(judge(&metadata).into_iter().map(|fault| format!("{manifest}: {fault}")));
    }
    println!("advisories: not run (no database)");
    for fault in &faults {
        println!("{fault}");
    }
    if faults.is_empty() { Ok(()) } else { Err(format!("{} faults in the supply", faults.len())) }
}

fn judge(metadata: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    for package in list(&metadata["packages"]) {
        let name = package["name"].as_str().unwrap_or("");
        let version = package["version"].as_str().unwrap_or("");
        let own = package["source"].is_null();
        if !own {
            let licence = package["license"].as_str().unwrap_or("");
            if !licence_is_fine(licence) {
                faults.push(format!("{name} {version} has the licence `{licence}`"));
            }
            let source = package["source"].as_str().unwrap_or("");
            if !source.starts_with("registry+") {
                faults.push(format!("{name} comes from {source}"));
            }
        }
        if let Some((_, floor)) = FLOORS.iter().find(|(floor, _)| *floor == name)
            && parts(version) < *floor
        {
            faults.push(format!("{name} {version} is below its floor {floor:?}"));
        }
        for dependency in list(&package["dependencies"]) {
            let used = dependency["name"].as_str().unwrap_or("");
            // A dependency that is listed may still not be built in; what is, is a package here.
            let built = list(&metadata["packages"])
                .iter()
                .any(|package| package["name"].as_str() == Some(used));
            if let Some((_, parents)) = BANS.iter().find(|(banned, _)| *banned == used)
                && built
                && !parents.contains(&name)
                && dependency["optional"].as_bool() != Some(true)
            {
                faults.push(format!("{name} brings {used}, which is banned"));
            }
            if own && dependency["req"].as_str() == Some("*") && dependency["path"].is_null() {
                faults.push(format!("{name} takes any version of {used}"));
            }
        }
    }
    faults
}

/// Whether one of the offered licences is on the list: `MIT OR Apache-2.0`, `(A OR B) AND C`.
fn licence_is_fine(expression: &str) -> bool {
    if expression.is_empty() {
        return false;
    }
    expression.replace('/', " OR ").split(" AND ").all(|part| {
        part.trim_matches(|letter| "() ".contains(letter))
            .split(" OR ")
            .map(|licence| licence.trim_matches(|letter| "() ".contains(letter)))
            .any(|licence| LICENCES.contains(&licence))
    })
}

fn parts(version: &str) -> [u64; 3] {
    let plain = version.split(['-', '+']).next().unwrap_or("");
    let mut numbers = plain.split('.').map(|part| part.parse().unwrap_or(0));
    [(); 3].map(|()| numbers.next().unwrap_or(0))
}

/// What `deny.toml` lists, for the comparison.
#[cfg_attr(not(test), expect(dead_code, reason = "only the comparison needs it"))]
fn listed(deny: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let between = |from: &str, to: &str| {
        let start = deny.find(from).map_or(deny.len(), |at| at + from.len());
        deny[start..].split(to).next().unwrap_or("").to_owned()
    };
    let quoted = |text: &str| -> BTreeSet<String> {
        text.split('"').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let crates = between("deny = [", "\n]")
        .lines()
        .filter_map(|line| line.split("crate = \"").nth(1))
        .filter_map(|rest| rest.split('"').next())
        .map(str::to_owned)
        .collect();
    (quoted(&between("allow = [", "]")), crates)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn package(name: &str, version: &str, licence: &str, used: &str) -> Value {
        json!({ "packages": [
            { "name": name, "version": version, "license": licence,
              "source": "registry+x", "dependencies": [{ "name": used }] },
            { "name": used, "version": "9.9.9", "license": "MIT", "source": "registry+x" },
        ] })
    }

    #[test]
    fn a_licence_outside_the_list_is_found() {
        assert!(judge(&package("a", "1.0.0", "MIT OR GPL-3.0", "b")).is_empty());
        assert!(
            judge(&package("a", "1.0.0", "(MIT OR Apache-2.0) AND Unicode-3.0", "b")).is_empty()
        );
        assert_eq!(judge(&package("a", "1.0.0", "GPL-3.0", "b")).len(), 1);
        assert_eq!(judge(&package("a", "1.0.0", "MIT AND GPL-3.0", "b")).len(), 1);
        assert_eq!(judge(&package("a", "1.0.0", "", "b")).len(), 1);
    }

    #[test]
    fn a_banned_crate_is_found_unless_its_parent_may_have_it() {
        assert_eq!(judge(&package("a", "1.0.0", "MIT", "reqwest")).len(), 1);
        assert_eq!(judge(&package("a", "1.0.0", "MIT", "prost-reflect")).len(), 1);
        assert!(judge(&package("protox", "1.0.0", "MIT", "prost-reflect")).is_empty());
    }

    #[test]
    fn dep_16_a_version_below_its_floor_is_found() {
        assert_eq!(judge(&package("h2", "0.4.19", "MIT", "b")).len(), 1);
        assert!(judge(&package("h2", "0.4.20", "MIT", "b")).is_empty());
        assert!(judge(&package("h2", "0.5.0", "MIT", "b")).is_empty());
    }

    #[test]
    fn a_source_that_is_no_registry_is_found() {
        let mut doctored = package("a", "1.0.0", "MIT", "b");
        doctored["packages"][0]["source"] = json!("git+https://example.com/a");
        assert_eq!(judge(&doctored).len(), 1);
    }

    #[test]
    fn deny_toml_says_the_same() {
        let deny = std::fs::read_to_string(crate::process::root().join("deny.toml")).unwrap();
        let (licences, crates) = listed(&deny);
        assert_eq!(licences, LICENCES.iter().map(ToString::to_string).collect());
        let bans = BANS.iter().map(|(name, _)| (*name).to_owned());
        let floors = FLOORS.iter().map(|(name, [a, b, c])| format!("{name}:<{a}.{b}.{c}"));
        assert_eq!(crates, bans.chain(floors).collect());
    }
}
