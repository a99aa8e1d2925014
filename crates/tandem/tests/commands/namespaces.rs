//! `tandem ns create`: a namespace from a command to its first call.

use std::time::Duration;

use serde_json::json;

use crate::place::{Notes, until};
use crate::teams::{Request, Team};

/// What the team of `ledger` applies.
fn ledger(service: &Notes) -> String {
    format!(
        "namespace: ledger\nhosts: [ledger.example.com]\ncontract: {{ reflection: go }}\n\
         upstreams: {{ go: {{ address: \"{}\" }} }}\n\
         defaults: {{ primary: go, auth: {{ public: true }} }}\nmethods: {{ test.v1.Notes/*: {{}} }}\n",
        service.address
    )
}

const CREATE: [&str; 19] = [
    "ns",
    "create",
    "ledger",
    "--owner",
    "token:lee",
    "--host",
    "ledger.example.com",
    "--service",
    "test.v1.*",
    "--path",
    "/v1/**",
    "--upstream",
    "127.0.0.0/8:1-65535",
    "--public-methods",
    "--loopback",
    "--document",
    "4KiB",
    "-m",
    "a team of its own",
];

/// Who answers for its host: the notes, which name none, where nobody else does.
fn answered(team: &Team) -> String {
    let line = "GET /v1/notes/x HTTP/1.1";
    let answer = Request::to_host(team.running.public, line, "ledger.example.com").send();
    answer.json()["text"].as_str().unwrap_or_default().to_owned()
}

/// Waits until the ledger answers: its first version is live before its service was asked.
#[track_caller]
fn serves(team: &Team) {
    let ledger = until(Duration::from_secs(30), || (answered(team) == "a ledger").then_some(()));
    assert!(ledger.is_some(), "{}", team.running.log());
}

#[test]
fn a_namespace_that_a_command_made_serves_and_is_there_after_a_restart() {
    let (team, service) = (Team::start(), Notes::saying("a ledger"));
    let platform = team.place.read("tandem.yaml");
    let lee = team.token("lee", &[]);
    let made = team.tandem(&CREATE);
    assert_eq!(
        (made.exit, &*made.out),
        (0, "ledger: made, version 2 of the platform\n"),
        "{made:?}"
    );
    // In the text of the platform's document, which is as it was besides.
    let live = team.api("GET", "/platform").token(&team.operator()).send().json();
    let text = live["text"].as_str().unwrap();
    let line = text.strip_prefix(platform.as_str()).unwrap_or_else(|| panic!("{text}"));
    assert_eq!(
        line,
        "  ledger: { may: { hosts: [\"ledger.example.com\"], loopback: true, paths: [\"/v1/**\"], \
         public_methods: true, services: [\"test.v1.*\"], upstreams: [\"127.0.0.0/8:1-65535\"] }, \
         members: { owner: [\"token:lee\"] }, quota: { document: \"4KiB\" } }\n"
    );
    assert_eq!(live["version"]["why"], "a team of its own");
    let audit = team.tandem(&["audit", "list"]).out;
    assert!(audit.contains("write grants") && audit.contains("a team of its own"), "{audit}");

    // Its owner makes its first version, and it is called.
    team.place.write("lee.token", &lee);
    team.place.write("teams/ledger.yaml", &ledger(&service));
    let apply = ["apply", "teams/ledger.yaml", "-m", "first", "--token-file", "lee.token"];
    let applied = team.tandem(&apply);
    assert_eq!((applied.exit, &*applied.out), (0, "ledger: live, version 1\n"), "{applied:?}");
    serves(&team);
    // It may no more than it was given.
    let other = ledger(&service).replace("ledger.example.com", "notes.example.com");
    team.place.write("teams/ledger.yaml", &other);
    let refused = team.tandem(&apply);
    assert!(refused.exit == 1 && refused.err.contains("TND0110"), "{refused:?}");

    // The files know nothing of it: what the store says counts.
    team.place.write("teams/ledger.yaml", &ledger(&service));
    let team = team.killed_and_started();
    assert!(team.running.log().contains("the platform knows no namespace `ledger`"));
    assert_eq!(answered(&team), "a ledger");
    assert_eq!(team.tandem(&["reload"]).exit, 0);
    assert_eq!(answered(&team), "a ledger");
}

#[test]
fn a_file_without_a_version_is_not_served_beyond_the_grants_of_the_store() {
    let (team, service) = (Team::start(), Notes::saying("a ledger"));
    team.place.write("teams/ledger.yaml", &ledger(&service));
    // The platform's file lets it, and the store does not.
    let platform = team.place.read("tandem.yaml");
    let granted = platform.replace("  other:", "  ledger:");
    team.place.write("tandem.yaml", &granted.replace("other.example.com", "ledger.example.com"));
    let team = team.killed_and_started();
    let said = team.tandem(&["ns", "list"]).out;
    assert!(!said.contains("ledger"), "{said}");
    assert_eq!(answered(&team), "a note");
    assert_eq!(team.tandem(&CREATE).exit, 0);
    team.tandem(&["reload"]);
    let history = until(Duration::from_secs(30), || {
        let said = team.tandem(&["history", "ledger"]);
        said.out.contains("ledger@1").then_some(())
    });
    assert!(history.is_some(), "{}", team.running.log());
    serves(&team);
}

#[test]
fn a_namespace_is_made_once_by_the_platform_alone_and_its_grant_is_checked() {
    let team = Team::start();
    let taken = team.tandem(&["ns", "create", "notes", "-m", "again"]);
    assert_eq!(taken.exit, 3, "{taken:?}");
    assert!(taken.err.contains("there is a namespace `notes`"), "{taken:?}");
    let wrong = team.tandem(&[
        "ns",
        "create",
        "ledger",
        "--owner",
        "lee",
        "--upstream",
        "nowhere",
        "-m",
        "x",
    ]);
    assert_eq!(wrong.exit, 1, "{wrong:?}");
    for place in ["namespaces.ledger.members.owner", "namespaces.ledger.may.upstreams"] {
        assert!(wrong.err.contains(place), "{wrong:?}");
    }
    let name = team.tandem(&["ns", "create", "No Name", "-m", "x"]);
    assert_eq!(name.exit, 2, "{name:?}");

    team.place.write("owner.token", &team.token("owner", &[]));
    let refused = team.tandem(&[&CREATE[..], &["--token-file", "owner.token"]].concat());
    assert_eq!(refused.exit, 7, "{refused:?}");
    let ask = |condition: Option<(&str, &str)>, body: &serde_json::Value| {
        let request = team.api("PUT", "/namespaces/ledger").token(&team.operator());
        let request = condition.into_iter().fold(request, |one, (name, to)| one.header(name, to));
        request.json(body).send().status
    };
    let nothing = Some(("if-none-match", "*"));
    assert_eq!(ask(None, &json!({ "why": "x" })), 428);
    assert_eq!(ask(nothing, &json!({ "why": "x", "namespace": "ledger" })), 400);
    assert_eq!(ask(nothing, &json!({ "why": "x", "may": { "everything": true } })), 422);
    // Nothing of it was made.
    let live = team.api("GET", "/platform").token(&team.operator()).send();
    assert_eq!(live.json()["version"]["number"], 1);
    assert_eq!(ask(nothing, &json!({ "why": "x" })), 200, "members and grants may come later");
}
