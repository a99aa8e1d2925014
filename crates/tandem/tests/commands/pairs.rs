//! Live pairs of a method: what they say, in which form, with which exit, and what is accepted.

use std::time::Duration;

use serde_json::{Value, json};
use tandem_testkit::{Backend, Script};

use crate::golden::shape;
use crate::place::{Notes, ask, golden, until};
use crate::teams::Team;

const CONTRACT: &str = r#"
syntax = "proto3"; package test.v1;
import "google/api/annotations.proto";
message Note { string text = 1; string stamp = 3; }
service Notes {
  rpc Get(Note) returns (Note) {
    option idempotency_level = NO_SIDE_EFFECTS;
    option (google.api.http) = { get: "/v1/notes/{text}" };
  }
  rpc Put(Note) returns (Note) { option (google.api.http) = { post: "/v1/notes" body: "*" }; }
}
"#;

const METHOD: &str = "/namespaces/notes/methods/test.v1.Notes/Get";

/// An answer with a text and a stamp.
fn answer(text: &str, stamp: &str) -> Vec<Script> {
    let field = |tag: u8, text: &str| {
        let mut bytes = vec![tag, u8::try_from(text.len()).unwrap()];
        bytes.extend_from_slice(text.as_bytes());
        bytes
    };
    vec![Script::message([field(0x0a, text), field(0x1a, stamp)].concat())]
}

struct Pair {
    team: Team,
    _others: [Backend; 2],
}

impl Pair {
    /// The primary says `a`; so does its twin, with a stamp of its own; the candidate `text`.
    fn start(text: &str, mirror: &str) -> Pair {
        // A gateway in front of a service would refuse a stranger's copies, so these have none.
        let (rust, twin) = (answer(text, "one"), answer("a", "two"));
        let (rust, twin) = (Backend::start(rust), Backend::start(twin));
        let team = Team::before(Notes::by_contract(answer("a", "one"), CONTRACT));
        let upstreams = format!(
            "  rust: {{ address: \"{}\" }}\n  go-2: {{ address: \"{}\" }}\ndefaults:",
            rust.address, twin.address
        );
        let document = team.place.read("teams/notes.yaml").replace("defaults:", &upstreams);
        let line = format!(
            "  test.v1.Notes/*: {{}}\n  test.v1.Notes/Get:\n    candidate: rust\n    mirror: {mirror} # on trial\n"
        );
        let document = document.replace("  test.v1.Notes/*: {}\n", &line);
        team.place.write("teams/notes.yaml", &document);
        let applied = team.tandem(&["apply", "-m", "a candidate"]);
        assert_eq!((applied.exit, &*applied.out), (0, "notes: live, version 2\n"), "{applied:?}");
        Pair { team, _others: [rust, twin] }
    }

    /// Calls until so many pairs were compared.
    fn compared(&self, wanted: u64) {
        let enough = until(Duration::from_secs(60), || {
            let told = ask(self.team.running.public, "GET /v1/notes/x HTTP/1.1", "")?;
            assert_eq!(told.0, 200, "{told:?}");
            let told = self.verdict();
            // The pace, without which nothing says how long the rest takes, is known after a second.
            let is_paced = told["pairs_per_second"].is_number();
            (is_paced && told["pairs"].as_u64()? >= wanted).then_some(())
        });
        assert!(enough.is_some(), "{}\n{}", self.verdict(), self.team.running.log());
    }

    fn api(&self, what: &str) -> Value {
        let request = self.team.api("GET", &format!("{METHOD}/{what}"));
        let answer = request.token(&self.team.operator()).send();
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    fn verdict(&self) -> Value {
        self.api("verdict")
    }
}

const TWIN: &str = "{ share: 100%, twin: go-2, samples: true }";

#[test]
fn experience_ux_17_a_candidate_that_answers_otherwise_ends_a_verdict_with_3() {
    let pair = Pair::start("b", TWIN);
    pair.compared(30);
    let said = pair.team.tandem(&["verdict", "Notes/Get"]);
    assert_eq!(said.exit, 3, "{said:?}");
    for part in ["go serves, rust mirrored, twin go-2", "worse 1", "Verdict: answers-differ."] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    let let_pass = pair.team.tandem(&["verdict", "Get", "--fail-on", "5"]);
    assert_eq!(let_pass.exit, 0, "{let_pass:?}");
    assert!(let_pass.err.contains("exit code 3 is not among --fail-on"), "{let_pass:?}");

    let told = pair.verdict();
    assert_eq!(told["document"]["schema"], "tandem.compare/v1");
    assert_eq!(told["document"]["verdict"]["word"], "answers-differ");
    assert_eq!(told["document"]["verdict"]["differing"], json!(["text"]));
    assert_eq!(told["known"][0], "answers differ in text");
    let roles: Vec<&Value> =
        told["lanes"].as_array().unwrap().iter().map(|lane| &lane["role"]).collect();
    assert_eq!(roles, ["primary", "candidate", "twin"]);

    let diffs = pair.team.tandem(&["diffs", "Get", "--samples", "1"]);
    assert_eq!(diffs.exit, 0, "{diffs:?}");
    for part in ["text", "different-always", "go: a", "rust: b"] {
        assert!(diffs.out.contains(part), "{part}: {}", diffs.out);
    }
    let one = pair.team.tandem(&["diffs", "Get", "--path", "stamp", "--json"]).json();
    let paths: Vec<&Value> =
        one["paths"].as_array().unwrap().iter().map(|path| &path["path"]).collect();
    assert_eq!(paths, ["stamp"]);
    assert_eq!(one["paths"][0]["class"], "masked");
    let mut shapes = serde_json::Map::new();
    for words in [&["verdict", "Get"][..], &["diffs", "Get"], &["noise", "list", "Get"]] {
        let said = pair.team.tandem(&[words, &["--json"]].concat());
        shapes.insert(words.join(" "), shape(&said.json()));
    }
    let text = serde_json::to_string_pretty(&Value::Object(shapes)).unwrap();
    golden("json_shapes_pairs.json", &(text + "\n"));
    let noise = pair.team.tandem(&["noise", "list", "Get"]);
    assert!(noise.out.contains("learned from the twin"), "{noise:?}");
    assert!(noise.out.contains("stamp"), "{noise:?}");
}

#[test]
fn compare_n_8_noise_is_accepted_by_one_act_that_stands_in_the_history() {
    let pair = Pair::start("b", TWIN);
    pair.compared(12);
    let team = &pair.team;
    let accept = ["noise", "accept", "Get", "text", "-m", "spelled as the house spells it"];
    let said = team.tandem(&accept);
    assert_eq!((said.exit, &*said.out), (0, "notes: live, version 3\n"), "{said:?}");
    // Only the method's own line moved in the text of its author.
    let shown = team.tandem(&["show", "notes"]).out;
    let expected = team
        .place
        .read("teams/notes.yaml")
        .replace("# on trial\n", "# on trial\n    same: { ignore: [text] }\n");
    assert_eq!(shown, expected);
    let history = team.tandem(&["history", "notes"]).out;
    let why = "noise accepted in test.v1.Notes/Get, text: spelled as the house spells it";
    assert!(history.contains(why), "{history}");
    // What is not compared any more differs no longer.
    pair.compared(12);
    assert!(
        pair.api("differences")["paths"]
            .as_array()
            .unwrap()
            .iter()
            .all(|path| path["path"] != "text")
    );
    let listed = team.tandem(&["noise", "list", "Get"]).out;
    assert!(listed.contains("text   declared: same.ignore"), "{listed}");
    assert_eq!(team.tandem(&["verdict", "Get"]).exit, 5);

    let again = team.tandem(&accept);
    assert!(again.exit == 1 && again.err.contains("not compared"), "{again:?}");
    let status = team.tandem(&["noise", "accept", "Get", "<code>", "-m", "x"]);
    assert!(status.exit == 1 && status.err.contains("never noise"), "{status:?}");
    let no_list = team.tandem(&["noise", "accept", "Get", "stamp", "--as", "unordered", "-m", "x"]);
    assert!(no_list.exit == 1 && no_list.err.contains("only a list has an order"), "{no_list:?}");
    let no_rule = team.tandem(&["noise", "accept", "Get", "stamp", "--as", "hope", "-m", "x"]);
    assert!(no_rule.exit != 0 && no_rule.err.contains("`keyed=FIELD`"), "{no_rule:?}");
    let unknown = team.tandem(&["noise", "accept", "Get", "colour", "-m", "x"]);
    assert!(unknown.exit == 1 && unknown.err.contains("colour"), "{unknown:?}");
    let back = team.tandem(&["rollback", "notes", "--to", "2", "-m", "it was no noise", "--yes"]);
    assert_eq!(back.exit, 0, "{back:?}");
    assert_eq!(team.tandem(&["show", "notes"]).out, team.place.read("teams/notes.yaml"));
}

#[test]
fn a_mirror_is_switched_off_and_on_by_the_api_and_its_method_is_told_from_one_that_is_not() {
    let pair = Pair::start("a", TWIN);
    pair.compared(1);
    let put = |from: u64, body: Value| {
        let request = pair.team.api("PUT", &format!("{METHOD}/mirror"));
        request.token(&pair.team.operator()).made_from(from).json(&body).send()
    };
    let off = put(2, json!({ "on": false, "why": "a sale" }));
    assert_eq!(off.status, 200, "{off:?}");
    let said = pair.team.tandem(&["verdict", "Get"]);
    assert_eq!(said.exit, 2, "{said:?}");
    assert!(said.err.contains("are not mirrored"), "{said:?}");
    let old = put(2, json!({ "on": true, "share": "50%", "why": "x" }));
    assert_eq!((old.status, &old.json()["live"]), (412, &json!(3)));
    let on =
        put(3, json!({ "on": true, "share": "50%", "twin": "go-2", "why": "the sale is over" }));
    assert_eq!(on.status, 200, "{on:?}");
    assert!(
        pair.team
            .tandem(&["show", "notes"])
            .out
            .contains("mirror: { share: \"50%\", twin: go-2 } # on trial")
    );
    // Writes stay what they are.
    let writes = pair.team.api("PUT", "/namespaces/notes/methods/test.v1.Notes/Put/mirror");
    let body = json!({ "on": true, "share": "50%", "why": "x" });
    let writes = writes.token(&pair.team.operator()).made_from(4).json(&body).send();
    assert_eq!(writes.status, 422, "{writes:?}");
    let unknown = pair.team.tandem(&["verdict", "Gte"]);
    assert!(unknown.exit == 2 && unknown.err.contains("did you mean"), "{unknown:?}");
}

#[test]
fn compare_n_10_values_are_for_publishers_and_classes_for_all_who_may_look() {
    let pair = Pair::start("b", TWIN);
    pair.compared(3);
    let asked = |token: &str| {
        let request = pair.team.api("GET", &format!("{METHOD}/differences"));
        request.token(token).send().json()
    };
    let viewer = asked(&pair.team.token("viewer", &[]));
    assert_eq!(viewer["samples"], "publisher", "{viewer}");
    assert_eq!(viewer["paths"][0]["samples"], json!([]));
    let publisher = asked(&pair.team.token("publisher", &[]));
    assert_eq!(publisher["paths"][0]["samples"][0]["candidate"], "b", "{publisher}");
    // Whoever sees nothing of the namespace sees none of its pairs.
    let all = |token: &str| pair.team.api("GET", "/pairs").token(token).send().json();
    assert_eq!(all(&pair.team.token("stranger", &[])), json!([]));
    assert_eq!(all(&pair.team.token("viewer2", &[])), json!([]));
    assert_eq!(all(&pair.team.operator()).as_array().unwrap().len(), 1);
}
