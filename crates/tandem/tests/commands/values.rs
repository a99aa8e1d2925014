//! Settings of a service, changed by the command line and by the API of the page.

use serde_json::json;
use tandem_testkit::Script;

use crate::place::Notes;
use crate::teams::Team;

const CONTRACT: &str = r#"
syntax = "proto3"; package test.v1;
import "google/api/annotations.proto";
import "buf/validate/validate.proto";
import "tandem/settings/v1/settings.proto";
message Note { string text = 1; }
message NotesSettings {
  option (tandem.settings.v1.settings) = { service: "test.v1.Notes" };
  int32 max_length = 1 [(buf.validate.field).int32 = { gte: 0, lte: 60 }];
  repeated string hidden = 2 [(buf.validate.field).repeated.max_items = 2];
  tandem.settings.v1.Rollout new_paper = 3;
}
service Notes {
  rpc Get(Note) returns (Note) { option (google.api.http) = { get: "/v1/notes/{text}" }; }
}
"#;

const SERVICE: &str = "/namespaces/notes/settings/test.v1.Notes";

fn team() -> Team {
    let team = Team::before(Notes::by_contract(vec![Script::message(Vec::new())], CONTRACT));
    let text = team.place.read("teams/notes.yaml")
        + "settings:\n  test.v1.Notes:\n    values:\n      max_length: 20 # as long as a tweet was\n    \
           access: { max_length: [token:manager] }\n";
    team.place.write("teams/notes.yaml", &text);
    let applied = team.tandem(&["apply", "-m", "settings"]);
    assert_eq!((applied.exit, &*applied.out), (0, "notes: live, version 2\n"), "{applied:?}");
    team
}

#[test]
fn hybrid_se_1_a_value_is_changed_refused_and_taken_back() {
    let team = team();
    let set = team.tandem(&["settings", "set", "Notes", "max_length=30", "-m", "winter sale"]);
    assert_eq!((set.exit, &*set.out), (0, "notes: live, version 3\n"), "{set:?}");
    assert!(set.err.contains("max_length: 20 → 30"), "{set:?}");
    // Only the value moved in the text of its author.
    let shown = team.tandem(&["show", "notes"]).out;
    assert_eq!(
        shown,
        team.place.read("teams/notes.yaml").replace("max_length: 20", "max_length: 30")
    );

    let refused = team.tandem(&["settings", "set", "Notes", "max_length=90", "-m", "more"]);
    assert_eq!(refused.exit, 1, "{refused:?}");
    for part in ["TND0122", "max_length is at most 60 (rule int32.lte)", "write 60"] {
        assert!(refused.err.contains(part), "{part}: {refused:?}");
    }
    let unknown = team.tandem(&["settings", "set", "Notes", "max_lenght=3", "-m", "x"]);
    assert!(unknown.exit == 1 && unknown.err.contains("max_length"), "{unknown:?}");
    team.is_at(3);

    let got = team.tandem(&["settings", "get", "Notes", "--json"]).json();
    let values = json!({ "max_length": 30, "hidden": [], "new_paper": { "per_mille": 0 } });
    assert_eq!(got["values"]["max_length"], values["max_length"], "{got}");
    assert_eq!(got["written"], json!({ "max_length": 30 }));
    assert_eq!(got["may_change"], json!(["max_length", "hidden", "new_paper"]));
    assert_eq!(got["fields"][0]["max"], "60");

    let back = ["settings", "rollback", "Notes", "--to", "2", "-m", "the sale is over", "--yes"];
    let back = team.tandem(&back);
    assert_eq!((back.exit, &*back.out), (0, "notes: live, version 4\n"), "{back:?}");
    assert_eq!(team.tandem(&["show", "notes"]).out, team.place.read("teams/notes.yaml"));
    let history = team.tandem(&["settings", "history", "Notes"]).out;
    let numbers: Vec<&str> =
        history.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(numbers, ["4", "3", "2", "1"], "{history}");
    assert!(history.contains("winter sale  max_length=30"), "{history}");
}

#[test]
fn lists_switches_and_defaults_are_written_as_values() {
    let team = team();
    let words =
        ["settings", "set", "test.v1.Notes", "hidden=[\"a\",\"b\"]", "max_length=", "-m", "x"];
    let set = team.tandem(&words);
    assert_eq!(set.exit, 0, "{set:?}");
    let share =
        team.tandem(&["settings", "set", "Notes", r#"new_paper={"per_mille":100}"#, "-m", "x"]);
    assert_eq!(share.exit, 0, "{share:?}");
    let got = team.tandem(&["settings", "get", "Notes", "--json"]).json();
    let written = json!({ "hidden": ["a", "b"], "new_paper": { "per_mille": 100 } });
    assert_eq!(got["written"], written);
    let shares = ["settings", "set", "Notes", r#"new_paper={"per_mille":1001}"#, "-m", "x"];
    assert!(team.tandem(&shares).err.contains("TND0122"));
    let many = ["settings", "set", "Notes", r#"hidden=["a","b","c"]"#, "-m", "x"];
    assert!(team.tandem(&many).err.contains("repeated.max_items"));
    assert_eq!(team.tandem(&["settings", "set", "Notes", "max_length", "-m", "x"]).exit, 2);
    assert_eq!(team.tandem(&["settings", "get", "Nothing"]).exit, 2);
}

#[test]
fn security_rb_10_a_manager_changes_the_field_that_was_opened_to_him_and_nothing_else() {
    let team = team();
    let manager = team.token("manager", &[]);
    assert_eq!(
        team.tandem(&["member", "add", "notes", "token:manager", "--role", "viewer"]).exit,
        0
    );
    let change = |values: serde_json::Value, from: u64| {
        let request = team.api("PATCH", SERVICE).token(&manager).made_from(from);
        request.json(&json!({ "values": values, "why": "a sale" })).send()
    };
    let shown = team.api("GET", SERVICE).token(&manager).send().json();
    assert_eq!(shown["may_change"], json!(["max_length"]));
    let changed = change(json!({ "max_length": 40 }), 2);
    assert_eq!(changed.status, 200, "{changed:?}");
    assert_eq!(changed.json()["version"]["who"], "token:manager");
    for values in [json!({ "hidden": ["x"] }), json!({ "max_length": 50, "hidden": ["x"] })] {
        let refused = change(values, 3);
        assert_eq!(
            (refused.status, &refused.problem()["code"]),
            (403, &json!("TND0402")),
            "{refused:?}"
        );
    }
    // Nor by the document itself.
    let text = team.tandem(&["show", "notes"]).out.replace("max: 10s", "max: 11s");
    let publish = team.api("POST", "/namespaces/notes/publish").token(&manager).made_from(3);
    let publish = publish.json(&json!({ "text": text, "why": "x" })).send();
    assert_eq!(publish.status, 403, "{publish:?}");
    team.is_at(3);
    let audit = team.tandem(&["audit", "list", "notes"]).out;
    assert_eq!(audit.matches("REFUSED").count(), 3, "{audit}");
}

#[test]
fn of_two_editors_the_second_is_told_and_loses_nothing() {
    let team = team();
    let change = |length: u32, from: u64| {
        let request = team.api("PATCH", SERVICE).token(&team.operator()).made_from(from);
        request.json(&json!({ "values": { "max_length": length }, "why": "x" })).send()
    };
    assert_eq!(change(30, 2).status, 200);
    let second = change(40, 2);
    assert_eq!((second.status, &second.json()["live"]), (412, &json!(3)), "{second:?}");
    assert_eq!(change(40, 3).status, 200);
}

#[test]
fn an_editor_drafts_a_value_and_a_publisher_publishes_it() {
    let team = team();
    let editor = team.token("editor", &[]);
    team.place.write("editor.token", &editor);
    let set =
        ["settings", "set", "Notes", "max_length=33", "-m", "x", "--token-file", "editor.token"];
    let refused = team.tandem(&set);
    assert_eq!(refused.exit, 7, "{refused:?}");
    let drafted = team.tandem(&[&set[..], &["--draft"]].concat());
    assert_eq!(drafted.exit, 0, "{drafted:?}");
    team.is_at(2);
    assert_eq!(team.tandem(&["publish", "notes", "-m", "as drafted"]).exit, 0);
    assert!(team.tandem(&["show", "notes"]).out.contains("max_length: 33"));
}
