//! `tandem ns create`: a namespace from a command to its first call.

use std::io::ErrorKind;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::place::{Notes, until};
use crate::teams::{CREATE, Request, Team, create_beside_the_notes, document};

/// What the team of `ledger` applies.
fn ledger(service: &Notes) -> String {
    format!(
        "namespace: ledger\nhosts: [ledger.example.com]\ncontract: {{ reflection: go }}\n\
         upstreams: {{ go: {{ address: \"{}\" }} }}\n\
         defaults: {{ primary: go, auth: {{ public: true }} }}\nmethods: {{ test.v1.Notes/*: {{}} }}\n",
        service.address
    )
}

/// Who answers for its host: the notes, which name none, where nobody else does.
fn answered(team: &Team) -> String {
    let line = "GET /v1/notes/x HTTP/1.1";
    let answer = Request::to_host(team.running.public, line, "ledger.example.com").send();
    answer.json()["text"].as_str().unwrap_or_default().to_owned()
}

/// Waits until the ledger answers.
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
    // What was said to be live is called at once.
    assert_eq!(answered(&team), "a ledger");
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

/// Waits until the gateway says why a file is not version 1.
#[track_caller]
fn refused(team: &Team, why: &str) {
    let told = until(Duration::from_secs(30), || {
        let said = team.tandem(&["ns", "show", "ledger", "--json"]);
        said.out.contains(why).then_some(())
    });
    assert!(told.is_some(), "{}", team.running.log());
}

#[test]
fn security_t_1_a_file_that_claims_what_a_live_team_has_takes_nothing_and_stops_nobody() {
    // A more exact path takes calls away, the name of a service makes both of them unservable; by
    // what its service says, and by what its own files say.
    let narrower =
        "methods: { test.v1.Notes/*: {}, test.v1.Notes/Get: { http: { get: /v1/notes/x } } }";
    let cases = [
        ("{ reflection: go }", format!("{narrower}, defaults")),
        ("{ reflection: go }", "methods: { test.v1.Notes/*: {} }".to_owned()),
        ("{ protos: ledger.proto }", "methods: { test.v1.Ledger/*: {} }".to_owned()),
    ];
    let proto = "syntax = \"proto3\"; package test.v1; import \"google/api/annotations.proto\";\n\
         message Line { string text = 1; }\n\
         service Ledger { rpc Get(Line) returns (Line) \
         { option (google.api.http) = { get: \"/v1/notes/x\" }; } }\n";
    let service = Notes::saying("a ledger");
    let mut team = Team::start();
    create_beside_the_notes(&team);
    team.place.write("teams/ledger.proto", proto);
    for (contract, methods) in cases {
        let (methods, rest) = match methods.strip_suffix(", defaults") {
            Some(methods) => (methods.to_owned(), ", rest: { rpc_paths: false }"),
            None => (methods, ""),
        };
        let text = format!(
            "namespace: ledger\ncontract: {contract}\n\
             upstreams: {{ go: {{ address: \"{}\" }} }}\n\
             defaults: {{ primary: go, auth: {{ public: true }}{rest} }}\n{methods}\n",
            service.address
        );
        team.place.write("teams/ledger.yaml", &text);
        team = team.killed_and_started();
        refused(&team, "claimed by another namespace");
        assert_eq!(answered(&team), "a note", "{text}");
        // Nor does a reload bring it in, and what is live goes on.
        assert_eq!(team.tandem(&["reload"]).exit, 0);
        refused(&team, "claimed by another namespace");
        assert_eq!(answered(&team), "a note", "{text}");
        assert!(team.tandem(&["history", "ledger"]).out.is_empty());
        let deadline = document(team.service.address, "3s");
        team.place.write("teams/notes.yaml", &deadline);
        let applied = team.tandem(&["apply", "teams/notes.yaml", "-m", "goes on"]);
        assert_eq!(applied.exit, 0, "{applied:?}");
        let back = team.tandem(&["rollback", "notes", "--to", "1", "-m", "for the next", "--yes"]);
        assert_eq!(back.exit, 0, "{back:?}");
    }
}

#[test]
fn security_t_3_a_file_reaches_this_machine_by_the_grants_of_the_store_and_not_by_its_own() {
    let team = Team::start();
    let service = TcpListener::bind("127.0.0.1:0").unwrap();
    service.set_nonblocking(true).unwrap();
    let address = service.local_addr().unwrap();
    // The store lets it have 4 KiB and not this machine; its files say that it may have both.
    let words: Vec<&str> = CREATE.into_iter().filter(|word| *word != "--loopback").collect();
    let made = team.tandem(&words);
    assert_eq!(made.exit, 0, "{made:?}");
    let platform = team.place.read("tandem.yaml").replace("  other:", "  ledger:");
    team.place.write("tandem.yaml", &platform.replace("other.example.com", "ledger.example.com"));
    let text = format!(
        "namespace: ledger\nhosts: [ledger.example.com]\ncontract: {{ reflection: go }}\n\
         upstreams: {{ go: {{ address: \"{address}\" }} }}\n\
         defaults: {{ primary: go, auth: {{ public: true }} }}\nmethods: {{ test.v1.Notes/*: {{}} }}\n"
    );
    let mut team = team;
    for (text, why) in [
        (text.clone(), "may not reach this machine"),
        // A document that cannot even be read by the store's grants is no way around them.
        (format!("{text}# {}\n", "long ".repeat(1_000)), "is too large"),
    ] {
        team.place.write("teams/ledger.yaml", &text);
        team = team.killed_and_started();
        refused(&team, why);
        assert_eq!(answered(&team), "a note");
        let asked = service.accept().unwrap_err();
        assert_eq!(asked.kind(), ErrorKind::WouldBlock, "its service was asked");
    }
}

/// Before a service: lets one conversation through and no further one until it is opened.
struct Gate {
    address: SocketAddr,
    open: Arc<AtomicBool>,
}

impl Gate {
    fn before(service: SocketAddr) -> Gate {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let open = Arc::new(AtomicBool::new(false));
        let opened = Arc::clone(&open);
        // Ends with the test's process, as does what it holds.
        std::thread::spawn(move || {
            for (number, caller) in listener.incoming().enumerate() {
                if number > 0 && !opened.load(Ordering::SeqCst) {
                    continue;
                }
                let (Ok(caller), Ok(callee)) = (caller, TcpStream::connect(service)) else {
                    return;
                };
                let pairs =
                    [(caller.try_clone().unwrap(), callee.try_clone().unwrap()), (callee, caller)];
                for (mut from, mut to) in pairs {
                    std::thread::spawn(move || {
                        let _ = std::io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Write);
                    });
                }
            }
        });
        Gate { address, open }
    }
}

#[test]
fn a_version_by_which_nobody_is_answered_yet_is_not_said_to_be_live() {
    let (team, service) = (Team::start(), Notes::saying("a ledger"));
    assert_eq!(team.tandem(&CREATE).exit, 0);
    // It tells its contract to the check, and then to nobody.
    let gate = Gate::before(service.address);
    let text = ledger(&service).replace(&service.address.to_string(), &gate.address.to_string());
    team.place.write("teams/ledger.yaml", &text);
    let applied = team.tandem(&["apply", "teams/ledger.yaml", "-m", "first"]);
    assert_eq!(applied.exit, 0, "{applied:?}");
    assert_eq!(applied.out, "ledger: stored, and not live yet, version 1\n", "{applied:?}");
    assert!(applied.err.contains("as soon as this is over"), "{applied:?}");
    assert!(applied.err.contains(&gate.address.to_string()), "{applied:?}");
    assert_ne!(answered(&team), "a ledger");
    gate.open.store(true, Ordering::SeqCst);
    serves(&team);
}
