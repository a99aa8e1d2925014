//! Versions of a namespace on a running gateway: made from files, published, taken back.

use std::time::Duration;

use serde_json::json;

use crate::place::{Place, Running, ask, free, until};
use crate::teams::{Team, document};

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

#[test]
fn experience_ux_23_a_file_becomes_version_1_and_then_the_stored_version_wins() {
    let team = Team::start();
    let history = team.tandem(&["history", "notes"]);
    assert!(history.out.starts_with("notes@1 ") && history.out.contains("live"), "{history:?}");
    assert!(history.out.contains("user:first-start"), "{history:?}");
    assert_eq!(team.tandem(&["show", "notes"]).out, team.place.read("teams/notes.yaml"));

    // A file that differs is told of, and does not serve.
    team.place.write("teams/notes.yaml", &document(team.service.address, "3s"));
    assert_eq!(team.tandem(&["reload"]).exit, 0);
    let status = team.tandem(&["status", "--json"]).json();
    let differs = &status["store"]["files_that_differ"][0];
    assert_eq!((&differs["namespace"], &differs["lines"]), (&json!("notes"), &json!(1)));
    let diff = team.tandem(&["diff"]);
    assert_eq!(diff.exit, 3, "{diff:?}");
    assert!(diff.out.contains("~ defaults.deadline.default: \"2s\" → \"3s\""), "{diff:?}");

    // It is brought in by hand, and stays over a kill.
    let applied = team.tandem(&["apply", "-m", "slower notes"]);
    assert_eq!((applied.exit, &*applied.out), (0, "notes: live, version 2\n"), "{applied:?}");
    let team = team.killed_and_started();
    assert_eq!(team.tandem(&["diff"]).exit, 0);
    let history = team.tandem(&["history", "notes"]);
    let first = lines(&history.out)[0];
    assert!(first.contains("notes@2") && first.contains("slower notes"), "{history:?}");
    assert_eq!(team.tandem(&["apply", "-m", "again"]).out, "notes: unchanged, version 2\n");
}

#[test]
fn an_older_version_goes_live_again_as_a_new_one() {
    let team = Team::start();
    let first = team.place.read("teams/notes.yaml");
    team.place.write("teams/notes.yaml", &document(team.service.address, "3s"));
    assert_eq!(team.tandem(&["apply", "-m", "slower"]).exit, 0);
    // Nobody is there to be asked.
    let asked = team.tandem(&["rollback", "notes", "--to", "1", "-m", "too slow"]);
    assert_eq!(asked.exit, 2, "{asked:?}");
    let back = team.tandem(&["rollback", "notes", "--to", "1", "-m", "too slow", "--yes"]);
    assert_eq!((back.exit, &*back.out), (0, "notes: live, version 3\n"), "{back:?}");
    assert_eq!(team.tandem(&["show", "notes"]).out, first);
    assert!(lines(&team.tandem(&["history", "notes"]).out)[0].contains("(back to 1)"));
    let missing = team.tandem(&["rollback", "notes", "--to", "9", "-m", "x", "--yes"]);
    assert_eq!(missing.exit, 2, "{missing:?}");
    assert!(missing.err.contains("TND0506"), "{missing:?}");
}

#[test]
fn security_ad_6_of_two_changes_made_from_one_version_the_second_is_told_what_is_live() {
    let team = Team::start();
    let publish = |deadline: &str, from: u64| {
        let text = document(team.service.address, deadline);
        let body = json!({ "text": text, "why": "a race" });
        let request = team.api("POST", "/namespaces/notes/publish").token(&team.operator());
        request.made_from(from).json(&body).send()
    };
    let first = publish("3s", 1);
    assert_eq!((first.status, first.header("etag")), (200, Some("\"2\"")), "{first:?}");
    let second = publish("4s", 1);
    assert_eq!((second.status, &second.json()["live"]), (412, &json!(2)), "{second:?}");
    assert_eq!(second.problem()["code"], "TND0503");
    let without = team.api("POST", "/namespaces/notes/publish").token(&team.operator());
    let without = without.json(&json!({ "text": "x", "why": "" })).send();
    assert_eq!(without.status, 428, "{without:?}");
    team.is_at(2);
}

#[test]
fn a_document_that_is_wrong_is_refused_whole_and_what_serves_goes_on() {
    let team = Team::start();
    let wrong = document(team.service.address, "2s")
        .replace("methods:", "methods:\n  test.v1.Notes/Nothing: {}")
        .replace("primary: go", "primary: rust");
    team.place.write("teams/notes.yaml", &wrong);
    let refused = team.tandem(&["apply", "-m", "wrong"]);
    assert_eq!(refused.exit, 1, "{refused:?}");
    assert!(refused.err.contains("TND0113") || refused.err.contains("TND0112"), "{refused:?}");
    let body = json!({ "text": wrong });
    let checked = team.api("POST", "/namespaces/notes/check").token(&team.operator());
    let checked = checked.json(&body).send();
    let codes: Vec<String> = checked.json()["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| problem["code"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(checked.status, 200);
    assert!(codes.contains(&"TND0112".into()) && codes.contains(&"TND0113".into()), "{codes:?}");
    team.is_at(1);
    let answer = ask(team.running.public, "GET /v1/notes/x HTTP/1.1", "");
    assert_eq!(answer, Some((200, r#"{"text":"a note"}"#.to_owned())));
}

#[test]
fn security_cf_2_a_version_that_went_live_just_before_a_restart_is_watched_on() {
    let team = Team::start();
    let broken = document(team.service.address, "2s")
        .replace("upstreams:\n", &format!("upstreams:\n  dead: {{ address: \"{}\" }}\n", free()));
    team.place.write("teams/notes.yaml", &broken.replace("primary: go", "primary: dead"));
    assert_eq!(team.tandem(&["apply", "-m", "another upstream"]).exit, 0);
    let team = team.killed_and_started();
    let back = until(Duration::from_secs(30), || {
        let _ = ask(team.running.public, "GET /v1/notes/x HTTP/1.1", "");
        let said = team.tandem(&["history", "notes", "--json"]);
        said.out.lines().next().filter(|line| line.contains("\"number\":3")).map(str::to_owned)
    });
    let back: serde_json::Value = serde_json::from_str(&back.expect("taken back")).unwrap();
    assert_eq!(back["who"], "gateway");
    assert!(back["why"].as_str().unwrap().contains("version 2 taken back"), "{back}");
}

#[test]
fn security_cf_2_a_version_that_breaks_calls_is_taken_back_by_itself() {
    let team = Team::start();
    // Nobody listens there: every call fails at the gateway.
    let broken = document(team.service.address, "2s")
        .replace("upstreams:\n", &format!("upstreams:\n  dead: {{ address: \"{}\" }}\n", free()));
    team.place.write("teams/notes.yaml", &broken.replace("primary: go", "primary: dead"));
    let applied = team.tandem(&["apply", "-m", "another upstream"]);
    assert_eq!(applied.exit, 0, "{applied:?}");
    assert!(applied.err.contains("~ defaults.primary: \"go\" → \"dead\""), "{applied:?}");
    let back = until(Duration::from_secs(30), || {
        let _ = ask(team.running.public, "GET /v1/notes/x HTTP/1.1", "");
        let said = team.tandem(&["history", "notes", "--json"]);
        said.out.lines().next().filter(|line| line.contains("\"number\":3")).map(str::to_owned)
    });
    let back: serde_json::Value = serde_json::from_str(&back.expect("taken back")).unwrap();
    assert_eq!(back["who"], "gateway");
    let why = back["why"].as_str().unwrap();
    assert!(why.contains("version 2 taken back") && why.contains("failed at the gateway"), "{why}");
    let well = until(Duration::from_secs(10), || {
        let answer = ask(team.running.public, "GET /v1/notes/x HTTP/1.1", "")?;
        (answer.0 == 200).then_some(())
    });
    assert!(well.is_some(), "{}", team.running.log());
    let audit = team.tandem(&["audit", "list", "notes"]).out;
    assert!(audit.lines().last().unwrap().contains("roll back (document notes) by gateway"));
}

#[test]
fn a_draft_is_saved_by_one_and_published_by_another() {
    let team = Team::start();
    team.place.write("teams/notes.yaml", &document(team.service.address, "3s"));
    let saved = team.tandem(&["apply", "--draft", "-m", "x"]);
    assert_eq!((saved.exit, &*saved.out), (0, "notes: saved as a draft, version 1\n"), "{saved:?}");
    assert!(team.tandem(&["show", "notes@draft"]).out.contains("default: 3s"));
    team.is_at(1);
    let published = team.tandem(&["publish", "notes", "-m", "as agreed"]);
    assert_eq!((published.exit, &*published.out), (0, "notes: live, version 2\n"));
    // It is done with.
    assert_eq!(team.tandem(&["show", "notes@draft"]).exit, 2);
    assert_eq!(team.tandem(&["publish", "notes", "-m", "again"]).exit, 2);
}

#[test]
fn the_platforms_document_is_a_version_too_and_may_not_leave_out_what_is_live() {
    let team = Team::start();
    let platform = team.place.read("tandem.yaml");
    team.place.write("tandem.yaml", &platform.replace("services: [test.v1.*]", "services: []"));
    let refused = team.tandem(&["apply", "tandem.yaml", "-m", "less"]);
    assert_eq!(refused.exit, 1, "{refused:?}");
    assert!(refused.err.contains("TND0110"), "{refused:?}");
    let more = platform.replace("paths: [/v1/**]", "paths: [/v1/**, /v2/**]");
    team.place.write("tandem.yaml", &more);
    let applied = team.tandem(&["apply", "tandem.yaml", "-m", "more paths"]);
    assert_eq!((applied.exit, &*applied.out), (0, "platform: live, version 2\n"), "{applied:?}");
    // It holds from the next check on.
    let text = document(team.service.address, "2s").replace(
        "methods:\n  test.v1.Notes/*: {}",
        "methods:\n  test.v1.Notes/*: {}\n  test.v1.Notes/Get: { http: [{ get: \"/v2/notes/{text}\" }] }",
    );
    team.place.write("teams/notes.yaml", &text);
    let applied = team.tandem(&["apply", "-m", "a second path"]);
    assert_eq!(applied.exit, 0, "{applied:?}");
    let answer = ask(team.running.public, "GET /v2/notes/x HTTP/1.1", "");
    assert_eq!(answer.map(|(status, _)| status), Some(200));
}

#[test]
fn without_a_store_nothing_makes_versions_and_says_why() {
    let team = Team::start();
    let platform = team.place.read("tandem.yaml").replace("store: { embedded: data/store }\n", "");
    let place = Place::with(&[
        ("tandem.yaml", &platform),
        ("teams/notes.yaml", &document(team.service.address, "2s")),
    ]);
    let running = Running::start(&place, &[]);
    let admin = running.admin.to_string();
    for words in [&["history", "notes"][..], &["apply", "-m", "x"], &["audit", "list", "notes"]] {
        let said = place.tandem(&[words, &["--admin", &admin]].concat());
        assert_eq!(said.exit, 1, "{words:?} {said:?}");
        assert!(said.err.contains("TND0507"), "{words:?} {said:?}");
    }
    let said = place.tandem(&["ns", "list", "--admin", &admin]);
    assert!(said.exit == 0 && said.out.starts_with("notes"), "{said:?}");
}

#[test]
fn security_s_5_a_store_belongs_to_one_gateway_and_for_a_damaged_one_what_was_served_last_goes_on()
{
    let team = Team::start();
    let second = team.place.tandem(&["run", "--data", "elsewhere"]);
    assert_eq!(second.exit, 1, "{second:?}");
    assert!(second.err.contains("TND0501"), "{second:?}");

    let Team { running, place, service: _service } = team;
    running.signal("-TERM");
    place.damage_the_store();
    let running = Running::start_unready(&place, &[]);
    let answer = until(Duration::from_secs(30), || {
        ask(running.public, "GET /v1/notes/x HTTP/1.1", "").filter(|(status, _)| *status == 200)
    });
    assert_eq!(answer, Some((200, r#"{"text":"a note"}"#.to_owned())), "{}", running.log());
    assert!(running.log().contains("TND0502"), "{}", running.log());
    assert_eq!(ask(running.admin, "GET /readyz HTTP/1.1", ""), Some((503, "store".to_owned())));
    let admin = running.admin.to_string();
    let said = place.tandem(&["apply", "-m", "x", "--admin", &admin]);
    assert!(said.exit == 1 && said.err.contains("TND0502"), "{said:?}");
    let status = place.tandem(&["status", "--json", "--admin", &admin]).json();
    assert!(status["store"]["unusable"].is_string(), "{status}");
    running.signal("-TERM");
    // Nothing was kept: it does not start.
    std::fs::remove_dir_all(place.0.join("data/last-good")).unwrap();
    let said = place.tandem(&["run"]);
    assert!(said.exit == 1 && said.err.contains("TND0502"), "{said:?}");
    let said = place.tandem(&["store", "check", "data/store"]);
    assert_eq!(said.exit, 1, "{said:?}");
}

#[test]
fn a_store_is_dumped_and_another_filled_from_it() {
    let team = Team::start();
    team.place.write("teams/notes.yaml", &document(team.service.address, "3s"));
    assert_eq!(team.tandem(&["apply", "-m", "slower"]).exit, 0);
    let busy = team.place.tandem(&["store", "check", "data/store"]);
    assert!(busy.exit == 1 && busy.err.contains("TND0501"), "{busy:?}");
    let Team { running, place, service: _service } = team;
    running.signal("-TERM");
    let check = place.tandem(&["store", "check", "data/store"]);
    assert_eq!((check.exit, &*check.out), (0, "everything holds together\n"), "{check:?}");
    let dumped = place.tandem(&["store", "dump", "data/store", "--to", "dump.jsonl"]);
    assert_eq!(dumped.exit, 0, "{dumped:?}");
    let again = place.tandem(&["store", "dump", "data/store", "--to", "dump.jsonl"]);
    assert!(again.exit == 1 && again.err.contains("TND0006"), "{again:?}");
    let restore = ["store", "restore", "other/store", "--from", "dump.jsonl", "--yes"];
    let filled = place.tandem(&restore);
    assert_eq!(filled.exit, 0, "{filled:?}");
    assert_eq!(place.tandem(&restore).exit, 1, "a store that is not empty");
    let platform = place.read("tandem.yaml").replace("data/store", "other/store");
    place.write("tandem.yaml", &platform);
    let running = Running::start(&place, &[]);
    let admin = running.admin.to_string();
    let said = place.tandem(&["history", "notes", "--admin", &admin]);
    assert!(said.out.starts_with("notes@2"), "{said:?}");
    let said = place.tandem(&["audit", "verify", "notes", "--admin", &admin]);
    assert!(said.exit == 0 && said.out.starts_with("2 entries hold"), "{said:?}");
}

#[test]
fn experience_ux_10_a_context_names_the_gateway_that_commands_ask() {
    let team = Team::start();
    let admin = team.running.admin.to_string();
    let tandem = |words: &[&str]| {
        let mut command = team.place.command(words);
        command.env("XDG_CONFIG_HOME", team.place.0.join("config"));
        crate::place::said(&mut command)
    };
    let token = team.place.0.join("data/admin.token").display().to_string();
    let add = ["context", "add", "here", "--admin", &admin, "--token-file", &token];
    assert_eq!(tandem(&add).exit, 0);
    assert_eq!(tandem(&["context", "add", "nowhere", "--admin", &free().to_string()]).exit, 0);
    assert_eq!(tandem(&["context", "use", "here"]).exit, 0);
    assert!(tandem(&["ns", "list"]).out.starts_with("notes"));
    assert_eq!(tandem(&["ns", "list", "--context", "nowhere"]).exit, 6);
    assert_eq!(tandem(&["context", "use", "nowhere"]).exit, 0);
    assert_eq!(tandem(&["ns", "list"]).exit, 6);
    // Back, and a flag is above it all.
    assert_eq!(tandem(&["context", "use", "-"]).exit, 0);
    assert_eq!(tandem(&["ns", "list"]).exit, 0);
    assert_eq!(tandem(&["ns", "list", "--admin", &free().to_string()]).exit, 6);
    assert!(tandem(&["context", "list"]).out.contains("* here"));
    assert_eq!(tandem(&["context", "remove", "here"]).exit, 0);
    assert_eq!(tandem(&["context", "use", "here"]).exit, 2);
    assert_eq!(tandem(&["ns", "list", "--context", "here"]).exit, 2);
}
