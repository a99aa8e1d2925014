//! The one rule of the house: each crate uses only those to its left.

use std::process::Command;

use serde_json::Value;

use crate::process::{quiet, root};

/// From left to right.
const LINE: [&str; 8] = [
    "tandem-contract",
    "tandem-transcode",
    "tandem-protocol",
    "tandem-judge",
    "tandem-measure",
    "tandem-config",
    "tandem-gateway",
    "tandem",
];
/// Only these may use the test kit, and only in their tests.
const TESTKIT: &str = "tandem-testkit";
const TESTKIT_USERS: [&str; 2] = ["tandem-gateway", "tandem"];
/// Crates that know no socket, no file and no clock, and libraries that would give them one.
const PURE: [&str; 4] = ["tandem-contract", "tandem-transcode", "tandem-protocol", "tandem-judge"];
const WORLDLY: [&str; 10] =
    ["tokio", "hyper", "hyper-util", "h2", "jiff", "rand", "socket2", "nix", "rustix", "axum"];

pub(crate) fn run() -> Result<(), String> {
    let client = metadata("clients/rust/Cargo.toml")?;
    let mut faults = faults(&metadata("Cargo.toml")?, &metadata("cases/Cargo.toml")?);
    faults.extend(of_client(&client));
    if faults.is_empty() {
        println!("the line of crates holds");
        return Ok(());
    }
    for fault in &faults {
        println!("{fault}");
    }
    Err(format!("{} arrows that may not be", faults.len()))
}

pub(crate) fn metadata(manifest: &str) -> Result<Value, String> {
    let text = quiet(
        Command::new("cargo")
            .args(["metadata", "--format-version", "1", "--locked", "--manifest-path", manifest])
            .current_dir(root()),
    )?;
    serde_json::from_str(&text).map_err(|error| error.to_string())
}

/// The workspace's own packages.
fn members(metadata: &Value) -> Vec<&Value> {
    let ids: Vec<&Value> = list(&metadata["workspace_members"]).iter().collect();
    list(&metadata["packages"]).iter().filter(|package| ids.contains(&&package["id"])).collect()
}

pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// What a service builds in to be given its settings is open to strangers: it uses nothing of ours.
fn of_client(client: &Value) -> Vec<String> {
    let dependencies = members(client).into_iter().flat_map(|one| list(&one["dependencies"]));
    dependencies
        .filter(|dependency| dependency["path"].is_string())
        .map(|dependency| format!("the client uses {} of this repository", dependency["name"]))
        .collect()
}

pub(crate) fn faults(house: &Value, cases: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let place = |name: &str| LINE.iter().position(|crate_name| *crate_name == name);
    for package in members(house) {
        let name = package["name"].as_str().unwrap_or("");
        for dependency in list(&package["dependencies"]) {
            let used = dependency["name"].as_str().unwrap_or("");
            let test = dependency["kind"].as_str() == Some("dev");
            if used == TESTKIT && !(test && TESTKIT_USERS.contains(&name)) {
                faults.push(format!("{name} uses {TESTKIT} outside the tests of its users"));
            }
            if PURE.contains(&name) && WORLDLY.contains(&used) && !(test && used == "tokio") {
                faults.push(format!("{name} is pure and uses {used}"));
            }
            if let (Some(user), Some(used_place)) = (place(name), place(used))
                && used_place >= user
            {
                faults.push(format!("{name} uses {used}, which stands to its right"));
            }
        }
    }
    // The cases are what a stranger would have written, and the house does without them.
    let names = |metadata: &Value| -> Vec<String> {
        members(metadata)
            .iter()
            .filter_map(|package| package["name"].as_str().map(str::to_owned))
            .collect()
    };
    for (metadata, others, what) in
        [(house, names(cases), "of the cases"), (cases, names(house), "of the gateway")]
    {
        for package in members(metadata) {
            for dependency in list(&package["dependencies"]) {
                let used = dependency["name"].as_str().unwrap_or("");
                if dependency["path"].is_string() && others.iter().any(|other| other == used) {
                    faults.push(format!("{} uses {used} {what}", package["name"]));
                }
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn house(name: &str, used: &str, kind: Option<&str>) -> Value {
        json!({
            "workspace_members": ["a"],
            "packages": [{ "id": "a", "name": name,
                           "dependencies": [{ "name": used, "kind": kind, "path": "/x" }] }],
        })
    }

    fn bites(name: &str, used: &str, kind: Option<&str>) -> bool {
        !faults(&house(name, used, kind), &json!({})).is_empty()
    }

    #[test]
    fn the_line_bites_when_an_arrow_is_added() {
        assert!(!bites("tandem-protocol", "tandem-transcode", None));
        assert!(bites("tandem-transcode", "tandem-protocol", None));
        assert!(bites("tandem-transcode", "tandem-protocol", Some("dev")));
        assert!(bites("tandem-contract", "tandem", Some("build")));
    }

    #[test]
    fn the_test_kit_stays_in_tests() {
        assert!(!bites("tandem", TESTKIT, Some("dev")));
        assert!(bites("tandem", TESTKIT, None));
        assert!(bites("tandem-config", TESTKIT, Some("dev")));
    }

    #[test]
    fn a_pure_crate_stays_pure() {
        assert!(bites("tandem-protocol", "h2", None));
        assert!(bites("tandem-contract", "rand", None));
        assert!(!bites("tandem-contract", "tokio", Some("dev")));
        assert!(!bites("tandem-gateway", "h2", None));
    }

    #[test]
    fn the_client_of_the_settings_uses_nothing_of_ours() {
        let client = |path: Option<&str>| {
            json!({
                "workspace_members": ["a"],
                "packages": [{ "id": "a", "name": "tandem-settings",
                    "dependencies": [{ "name": "tandem-contract", "path": path }] }],
            })
        };
        assert_eq!(of_client(&client(Some("/x"))).len(), 1);
        assert!(of_client(&client(None)).is_empty());
    }

    #[test]
    fn dep_20_cases_and_gateway_use_nothing_of_each_other() {
        let cases = house("catalogue", "tandem-contract", None);
        let gateway = house("tandem-contract", "bytes", None);
        assert!(!faults(&gateway, &cases).is_empty());
    }
}
