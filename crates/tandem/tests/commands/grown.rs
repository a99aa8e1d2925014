//! Contracts that grow while they serve: what a service tells later is judged as what was published
//! (security T-1, RB-7).

use std::net::SocketAddr;
use std::time::Duration;

use crate::place::{Notes, Place, Running, note, until};
use crate::teams::{PLATFORM, Request, Team, create_beside_the_notes, document};
use tandem_testkit::Script;

/// The contract of the ledger: its own paths, and whatever more its service tells.
fn contract(more: &str) -> String {
    format!(
        "syntax = \"proto3\"; package test.v1; import \"google/api/annotations.proto\";
         message Note {{ string text = 1; }}
         service Notes {{
           rpc Enter(Note) returns (Note) {{ option (google.api.http) = {{ get: \"/v1/ledger/{{text}}\" }}; }}
           rpc Secret(Note) returns (Note);
           {more}
         }}"
    )
}

fn get(method: &str, path: &str) -> String {
    let rule = format!("{{ option (google.api.http) = {{ get: \"{path}\" }}; }}");
    format!("rpc {method}(Note) returns (Note) {rule}")
}

fn ledger_document(ledger: &Notes, deadline: &str) -> String {
    format!(
        "namespace: ledger\ncontract: {{ reflection: go }}\n\
         upstreams: {{ go: {{ address: \"{}\" }} }}\n\
         defaults: {{ primary: go, auth: {{ public: true }}, rest: {{ rpc_paths: false }}, \
         deadline: {{ default: {deadline} }} }}\n\
         methods: {{ test.v1.Notes/*: {{}} }}\n",
        ledger.address
    )
}

/// A ledger without hosts of its own beside the notes of another team, both live; its service is
/// named as theirs, so it answers by REST alone.
struct Two {
    team: Team,
    ledger: Notes,
}

impl Two {
    fn start() -> Two {
        let team = Team::start();
        create_beside_the_notes(&team);
        let answer = vec![Script::message(note("a ledger"))];
        let ledger = Notes::by_contract(answer, &contract(""));
        let two = Two { team, ledger };
        two.team.place.write("teams/ledger.yaml", &two.document("2s"));
        let applied = two.apply();
        assert_eq!(applied.exit, 0, "{applied:?}");
        assert_eq!(two.answered("/v1/ledger/x"), "a ledger");
        assert_eq!(two.answered("/v1/notes/x"), "a note");
        two
    }

    fn document(&self, deadline: &str) -> String {
        ledger_document(&self.ledger, deadline)
    }

    fn apply(&self) -> crate::place::Said {
        self.team.tandem(&["apply", "teams/ledger.yaml", "-m", "a ledger"])
    }

    /// The service tells more than before, and the gateway asks it.
    fn tells(&self, more: &str) {
        self.ledger.promises(&contract(more));
        assert_eq!(self.team.tandem(&["reload"]).exit, 0);
    }

    /// Who answers a GET: the text, or the status where there is none.
    fn answered(&self, path: &str) -> String {
        answer_of(self.team.running.public, path)
    }

    /// Waits until `path` is answered so.
    #[track_caller]
    fn comes(&self, path: &str, answer: &str) {
        let came = until(Duration::from_secs(30), || (self.answered(path) == answer).then_some(()));
        assert!(came.is_some(), "{path}: {}\n{}", self.answered(path), self.team.running.log());
    }

    /// Waits until people are told `why` of the ledger.
    #[track_caller]
    fn told(&self, why: &str) {
        told(&self.team, why);
    }

    fn killed_and_started(self) -> Two {
        let Two { team, ledger } = self;
        Two { team: team.killed_and_started(), ledger }
    }
}

fn answer_of(public: SocketAddr, path: &str) -> String {
    let line = format!("GET {path} HTTP/1.1");
    let answer = Request::to_host(public, &line, "anywhere.example.com").send();
    match answer.status {
        200 => answer.json()["text"].as_str().unwrap_or_default().to_owned(),
        status => status.to_string(),
    }
}

#[track_caller]
fn told(team: &Team, why: &str) {
    let told = until(Duration::from_secs(30), || {
        let said = team.tandem(&["ns", "show", "ledger", "--json"]);
        said.out.contains(why).then_some(())
    });
    let said = team.tandem(&["ns", "show", "ledger"]);
    assert!(told.is_some(), "{said:?}\n{}", team.running.log());
}

const CLAIMED: &str = "is claimed by another namespace";

#[test]
fn security_t_1_a_service_that_tells_more_takes_no_path_of_another_team() {
    let two = Two::start();
    // Narrower, equal, wider.
    for (number, path) in ["/v1/notes/x", "/v1/notes/{text}", "/v1/{text=**}"].iter().enumerate() {
        two.tells(&[get(&format!("Sly{number}"), path), get("New", "/v1/ledger/new/x")].concat());
        two.told(CLAIMED);
        assert_eq!(two.answered("/v1/notes/x"), "a note", "{path}");
        // Nothing of the contract serves; what was good last goes on.
        assert_eq!(two.answered("/v1/ledger/new/x"), "404", "{path}");
        assert_eq!(two.answered("/v1/ledger/x"), "a ledger", "{path}");
        // Said once, however often it is asked.
        assert_eq!(two.team.tandem(&["reload"]).exit, 0);
        two.tells("");
        let log = two.team.running.log();
        let said = log.lines().filter(|line| line.contains(CLAIMED)).count();
        assert_eq!(said, number + 1, "{log}");
    }
    let gone = until(Duration::from_secs(30), || {
        let said = two.team.tandem(&["ns", "show", "ledger", "--json"]);
        (!said.out.contains(CLAIMED)).then_some(())
    });
    assert!(gone.is_some(), "{}", two.team.running.log());
}

#[test]
fn security_rb_7_a_service_that_tells_more_gains_nothing_beyond_its_grant() {
    let two = Two::start();
    for path in ["/v2/ledger/x", "/test.v1.Notes/Get"] {
        two.tells(&get("Sly", path));
        two.told(&format!("may not claim the path GET {path}"));
        assert_eq!(two.answered("/v1/ledger/x"), "a ledger");
    }
    assert_eq!(two.answered("/v2/ledger/x"), "404");
    // Nobody is served less for it, and the gateway is ready.
    assert_eq!(two.answered("/v1/notes/x"), "a note");
    let ready = Request::raw(two.team.running.admin, "GET /readyz HTTP/1.1").send();
    assert_eq!(ready.status, 200);
}

/// What the notes publish to have one more path.
fn notes_with(two: &Two, path: &str) -> crate::place::Said {
    let text = document(two.team.service.address, "2s")
        + &format!("  test.v1.Notes/Get: {{ http: {{ get: \"{path}\" }} }}\n");
    two.team.place.write("teams/notes.yaml", &text);
    two.team.tandem(&["apply", "teams/notes.yaml", "-m", "one more"])
}

#[test]
fn security_t_1_what_a_service_gained_is_its_own_over_restarts_and_while_it_tells_less() {
    let two = Two::start();
    let new = get("New", "/v1/new/{text}");
    two.tells(&new);
    two.comes("/v1/new/x", "a ledger");
    let refused = notes_with(&two, "/v1/new/x");
    assert!(refused.exit != 0 && refused.err.contains(CLAIMED), "{refused:?}");
    let audit = two.team.tandem(&["audit", "list", "ledger"]).out;
    assert!(audit.contains("claim") && audit.contains("its service tells"), "{audit}");
    // It is no less its own where the service tells less for a while, and over a restart.
    two.ledger.promises(&contract(""));
    let two = two.killed_and_started();
    two.comes("/v1/new/x", "404");
    let refused = notes_with(&two, "/v1/new/x");
    assert!(refused.exit != 0 && refused.err.contains(CLAIMED), "{refused:?}");
    two.tells(&new);
    two.comes("/v1/new/x", "a ledger");
    // A version of its team, made while it is not told, gives it back.
    two.ledger.promises(&contract(""));
    let two = two.killed_and_started();
    two.comes("/v1/new/x", "404");
    two.team.place.write("teams/ledger.yaml", &two.document("3s"));
    assert_eq!(two.apply().exit, 0);
    let taken = notes_with(&two, "/v1/new/x");
    assert_eq!(taken.exit, 0, "{taken:?}");
    assert_eq!(two.answered("/v1/new/x"), "a note");
    two.tells(&new);
    two.told(CLAIMED);
    assert_eq!(two.answered("/v1/new/x"), "a note");
}

#[test]
fn security_t_1_the_older_claim_wins_whoever_is_asked_first_after_a_start() {
    let two = Two::start();
    // While the gateway is down the ledger's service begins to tell a path of the notes.
    two.ledger.promises(&contract(&get("Sly", "/v1/notes/x")));
    let two = two.killed_and_started();
    two.told(CLAIMED);
    two.comes("/v1/ledger/x", "a ledger");
    two.comes("/v1/notes/x", "a note");
    // With no contract kept the notes have theirs by what the store says, however late their own
    // service tells it. The ledger has nothing that may serve, and keeps nobody waiting.
    std::fs::remove_dir_all(two.team.place.0.join("data/contracts")).unwrap();
    let two = two.killed_and_started();
    two.told(CLAIMED);
    assert_eq!(two.answered("/v1/ledger/x"), "503");
    two.comes("/v1/notes/x", "a note");
    two.ledger.promises(&contract(""));
    two.comes("/v1/ledger/x", "a ledger");
}

#[test]
fn security_s_5_while_a_namespace_is_left_out_the_others_are_kept_for_a_start_without_the_store() {
    let two = Two::start();
    let place = &two.team.place;
    let large =
        two.document("2s").replace("primary: go,", "primary: go, limits: { message: 2MiB },");
    place.write("teams/ledger.yaml", &large);
    assert_eq!(two.apply().exit, 0);
    // The platform goes lower, and the ledger's live version is above it.
    std::fs::remove_file(place.0.join("teams/ledger.yaml")).unwrap();
    let platform = place.read("tandem.yaml");
    place.write("tandem.yaml", &format!("{platform}limits: {{ message: 1MiB }}\n"));
    let two = two.killed_and_started();
    assert!(two.team.running.log().contains("its live version is not served"));
    assert_eq!(two.answered("/v1/ledger/x"), "404");
    assert_eq!(notes_with(&two, "/v1/moved/{text}").exit, 0);
    assert_eq!((&*two.answered("/v1/moved/x"), &*two.answered("/v1/notes/x")), ("a note", "404"));

    let Two { team, ledger: _ledger } = two;
    let Team { running, place, service: _service } = team;
    running.signal("-TERM");
    place.damage_the_store();
    let running = Running::start_unready(&place, &[]);
    let answered =
        |path: &str| crate::place::ask(running.public, &format!("GET {path} HTTP/1.1"), "");
    let moved = until(Duration::from_secs(30), || {
        answered("/v1/moved/x").filter(|(status, _)| *status == 200)
    });
    assert!(moved.is_some(), "{}", running.log());
    for path in ["/v1/notes/x", "/v1/ledger/x"] {
        assert_eq!(answered(path).map(|(status, _)| status), Some(404), "{path}");
    }
    // The files may be older than what is served.
    let said = place.tandem(&["reload", "--admin", &running.admin.to_string()]);
    assert!(said.exit == 1 && said.err.contains("what was served last goes on"), "{said:?}");
    assert_eq!(answered("/v1/moved/x").map(|(status, _)| status), Some(200));
}

#[test]
fn security_t_1_without_a_store_a_service_that_tells_more_takes_nothing_either() {
    let notes = Notes::saying("a note");
    let two = |ledger: Notes| {
        let platform = PLATFORM.replace("store: { embedded: data/store }\n", "");
        // On the hosts of the notes.
        let platform = platform.replace("  other:", "  ledger:");
        let platform = platform.replace("hosts: [other.example.com], ", "");
        let place = Place::with(&[
            ("tandem.yaml", &platform),
            ("teams/notes.yaml", &document(notes.address, "2s")),
            ("teams/ledger.yaml", &ledger_document(&ledger, "2s")),
        ]);
        (place, ledger)
    };
    let answer = vec![Script::message(note("a ledger"))];
    let (place, ledger) = two(Notes::by_contract(answer, &contract("")));
    let sly = contract(&get("Sly", "/v1/notes/x"));
    let check = |running: &Running| {
        let told = until(Duration::from_secs(30), || {
            let said = place.tandem(&["status", "--admin", &running.admin.to_string()]);
            said.out.contains(CLAIMED).then_some(())
        });
        assert!(told.is_some(), "{}", running.log());
        assert_eq!(answer_of(running.public, "/v1/notes/x"), "a note");
        assert_eq!(answer_of(running.public, "/v1/ledger/x"), "a ledger");
    };
    let running = Running::start(&place, &[]);
    assert_eq!(answer_of(running.public, "/v1/ledger/x"), "a ledger");
    ledger.promises(&sly);
    let reloaded = place.tandem(&["reload", "--admin", &running.admin.to_string()]);
    assert_eq!(reloaded.exit, 0, "{reloaded:?}");
    check(&running);
    // What served last is held until its service is asked, so the order of a start is nothing.
    running.signal("-TERM");
    for _ in 0..3 {
        let running = Running::start(&place, &[]);
        check(&running);
        running.signal("-TERM");
    }
    // A reload does not bring it in by other documents.
    let running = Running::start(&place, &[]);
    place.write("teams/ledger.yaml", &ledger_document(&ledger, "3s"));
    let reloaded = place.tandem(&["reload", "--admin", &running.admin.to_string()]);
    assert_eq!(reloaded.exit, 0, "{reloaded:?}");
    check(&running);
}

#[test]
fn a_service_that_is_down_is_told_of_once_however_often_others_publish() {
    let team = Team::start();
    create_beside_the_notes(&team);
    // It takes connections, and ends them.
    let down = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = down.local_addr().unwrap();
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&asked);
    // Ends with the test's process.
    std::thread::spawn(move || {
        for caller in down.incoming() {
            drop(caller);
            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    });
    let text = document(address, "2s").replace("namespace: notes", "namespace: ledger");
    team.place.write("teams/ledger.yaml", &text.replace("test.v1.Notes", "test.v1.Ledger"));
    let _ = team.tandem(&["reload"]);
    let is_asked = |times: usize| {
        let asked = || asked.load(std::sync::atomic::Ordering::SeqCst);
        let most = asked() + times;
        let told = until(Duration::from_secs(30), || (asked() >= most).then_some(()));
        assert!(told.is_some(), "{}", team.running.log());
    };
    is_asked(3);
    for deadline in ["3s", "4s", "5s"] {
        team.place.write("teams/notes.yaml", &document(team.service.address, deadline));
        assert_eq!(team.tandem(&["apply", "teams/notes.yaml", "-m", "other"]).exit, 0);
        is_asked(3);
    }
    let log = team.running.log();
    assert_eq!(log.lines().filter(|line| line.contains("no contract yet")).count(), 1, "{log}");
}
