//! Each way a comparison ends has its number (compare C-5), alone and where several hold.

use std::time::Duration;

use tandem_testkit::Script;

use crate::place::{Notes, Place, free};
use crate::schema;
use crate::sides::{SLOW, interrupted, measured, note, side, steady, words, wrong_each};

#[test]
fn compare_c_5_what_cannot_be_asked_is_2_and_says_what_to_write() {
    let place = Place::with(&[("bad.yaml", "calls: [{ method: Read, what: 1 }]")]);
    let service = steady(SLOW);
    let (one, other) = (side("one", service.address), side("other", service.address));
    let check = |more: &[&str], word: &str| {
        let said = place.tandem(&words(&one, &other, more));
        assert!(said.exit == 2 && said.err.contains(word), "{more:?}: {said:?}");
        assert_eq!(said.out, "", "{more:?}");
    };
    check(&["--duet"], "both sides cannot be called at once");
    check(&["--cut=1h"], "--cut 100,500ms");
    check(&["--data", "corpus:x.binlog"], "TND0105");
    check(&["--arrivals", "trace"], "--data corpus:FILE");
    check(&["--data", "plan:nowhere.yaml"], "TND0105");
    check(&["--data", "plan:bad.yaml"], "`what` is not known");
    check(&["--ignore", "txet"], "--ignore");
    check(&["--must", "nowhere"], "TND0105");
    check(&["--counts", "speed"], "the rows are cpu");
    check(&["--margin", "cpu=0%"], "--margin");
    check(&["--prices", "cpu=1"], "GiBh");
    check(&["--fail-on", "6"], "only 3, 4, 5 and 8");
    check(&["--block=1ms"], "from 50 ms");
    check(&["--cpus=gen=0"], "svc=1");
    check(&["--capacity"], "--slo");
    check(&["--noise", "hope"], "`aa`, `twice`");
    let said = place.tandem(&["compare", "Read", "--primary", &one, "--candidate", &one]);
    assert!(said.exit == 2 && said.err.contains("same name"), "{said:?}");
    let rates = ["compare", "Read", "--primary", &one, "--candidate", &other, "--rates=20%,40%"];
    let said = place.tandem(&rates);
    assert!(said.exit == 2 && said.err.contains("the weaker side's capacity"), "{said:?}");
    let said = place.tandem(&["compare", "Nothing", "--primary", &one, "--candidate", &other]);
    assert!(said.exit == 2 && said.err.contains("TND0112"), "{said:?}");
}

#[test]
fn compare_c_3_methods_with_side_effects_and_remote_targets_are_refused() {
    let place = Place::new();
    let service = steady(SLOW);
    let (one, other) = (side("one", service.address), side("other", service.address));
    let far = format!("far=pid:{}@192.0.2.1:1", std::process::id());
    for (method, candidate, code) in [
        ("test.v1.Notes/Get", &other, "TND0604"),
        ("test.v1.Notes/Replace", &other, "TND0604"),
        ("test.v1.Notes/Talk", &other, "TND0604"),
        ("test.v1.Notes/Read", &far, "TND0605"),
    ] {
        let said = place.tandem(&["compare", method, "--primary", &one, "--candidate", candidate]);
        assert!(said.exit == 2 && said.err.contains(code), "{method}: {said:?}");
    }
}

#[test]
fn compare_c_1_sides_with_different_contracts_are_not_compared() {
    let place = Place::new();
    let other = "syntax = \"proto3\"; package test.v1;\nmessage Note { string text = 1; }\n\
                 service Notes { rpc Read(Note) returns (Note) { option idempotency_level = \
                 NO_SIDE_EFFECTS; } }";
    let one = steady(SLOW);
    let unlike = Notes::by_contract(vec![Script::message(note("x", 7))], other);
    let (one, unlike) = (side("one", one.address), side("unlike", unlike.address));
    let said = place.tandem(&words(&one, &unlike, &[]));
    assert!(said.exit == 1 && said.err.contains("TND0206"), "{said:?}");
    assert!(said.err.contains("unlike"), "{said:?}");
}

#[test]
fn compare_c_5_a_dead_target_is_6() {
    let place = Place::new();
    let service = steady(SLOW);
    let (one, dead) = (side("one", service.address), side("dead", free()));
    let said = place.tandem(&words(&one, &dead, &[]));
    assert!(said.exit == 6 && said.err.contains("TND0301"), "{said:?}");
    let ended = "dead=exec:\"sh -c 'echo no database; exit 1'\"";
    let said = place.tandem(&words(&one, ended, &[]));
    assert!(said.exit == 6 && said.err.contains("no database"), "{said:?}");
}

#[test]
fn compare_c_2_a_plan_sends_nothing() {
    let place = Place::new();
    let (one, dead) = (side("one", free()), side("dead", free()));
    let said = place.tandem(&words(&one, &dead, &["--plan-only"]));
    assert_eq!(said.exit, 0, "{said:?}");
    assert!(said.out.contains("nothing was sent") && said.out.contains("quartets"), "{said:?}");
    let json = place.tandem(&words(&one, &dead, &["--plan-only", "--json"])).json();
    assert!(json["seconds"].as_f64().is_some_and(|seconds| seconds > 1.0), "{json}");
}

#[test]
fn compare_v_2_one_wrong_answer_in_two_hundred_in_a_critical_field_is_found_by_its_path() {
    let place = Place::new();
    let (right, wrong) = (wrong_each(usize::MAX), wrong_each(200));
    let (right, wrong) = (side("right", right.address), side("wrong", wrong.address));
    let said = place.tandem(&words(&right, &wrong, &["--critical", "number", "--out", "out"]));
    assert_eq!(said.exit, 3, "{said:?}");
    assert!(said.out.contains("differs: number"), "{said:?}");
    let result: serde_json::Value = serde_json::from_str(&place.read("out/result.json")).unwrap();
    assert_eq!(result["verdict"]["differing"], serde_json::json!(["number"]), "{said:?}");
    schema::keeps(&result);
    // Left out, it is said and becomes 0; 3 comes before 8 and 5, which may hold as well.
    let more = ["--critical", "number", "--fail-on", "4,5,8"];
    let said = place.tandem(&words(&right, &wrong, &more));
    assert!(said.exit == 0 && said.err.contains("exit 3 is left out"), "{said:?}");
}

#[test]
fn compare_n_2_wrong_answers_are_told_from_noise_without_being_called_critical() {
    let place = Place::new();
    let (right, wrong) = (wrong_each(usize::MAX), wrong_each(5));
    let (right, wrong) = (side("right", right.address), side("wrong", wrong.address));
    let said = place.tandem(&words(&right, &wrong, &["--json"]));
    assert_eq!(said.exit, 3, "{said:?}");
    let paths = said.json()["answers"]["paths"].clone();
    let worse: Vec<&str> = paths
        .as_array()
        .unwrap()
        .iter()
        .filter(|path| path["class"] == "worse")
        .map(|path| path["path"].as_str().unwrap())
        .collect();
    assert_eq!(worse, ["number"]);
    // The same in both is noise, and in neither of them worse.
    let said = place.tandem(&words(&wrong, &right, &["--ignore", "number", "--json"]));
    assert_ne!(said.exit, 3, "{said:?}");
}

#[test]
fn compare_c_5_a_must_have_that_fails_is_4_and_too_few_quartets_are_5() {
    let place = Place::with(&[
        ("must", "- p50<=1ms\n- mismatch(critical)=0\n"),
        ("kept", "p50<=10s\ncapacity>=100\n"),
    ]);
    let (one, other) = (steady(SLOW), steady(SLOW));
    let (one, other) = (side("one", one.address), side("other", other.address));
    let check = |must: &str, exit: i32, word: &str| {
        // Some ninety calls a side: a quantile of fewer than twenty is none.
        let more = ["--quick", "--quartets=3", "--budget=3m", "--block=250ms", "--must", must];
        let Some(said) = measured(&place, &words(&one, &other, &more)) else { return };
        assert!(said.exit == exit && said.out.contains(word), "{must}: {said:?}");
    };
    check("must", 4, "primary p50<=1ms: FAIL");
    check("kept", 5, "primary p50<=10s: pass   primary capacity>=100: not run");
}

#[test]
fn compare_c_5_a_verdict_is_0_whatever_it_is() {
    let place = Place::new();
    let (fast, slow) = (steady(SLOW / 3), steady(SLOW));
    let (fast, slow) = (side("fast", fast.address), side("slow", slow.address));
    let more = ["--quartets=12", "--counts=p50", "--budget=5m", "--quick"];
    let Some(said) = measured(&place, &words(&fast, &slow, &more)) else { return };
    assert!(said.exit == 0 && said.out.contains("PRIMARY   fast: p50"), "{said:?}");
}

#[test]
fn compare_c_4_an_interrupted_run_leaves_a_valid_report() {
    let place = Place::new();
    let (one, other) = (steady(Duration::ZERO), steady(Duration::ZERO));
    let (one, other) = (side("one", one.address), side("other", other.address));
    let more = ["--quartets=11", "--block=1s", "--budget=5m", "--out", "out"];
    let words = words(&one, &other, &more);
    // Answers are compared: quartets are being sent.
    let (_, said) = interrupted(&place, &words, "answers", Duration::from_secs(120));
    assert!(said.contains("partial: the run ended before its plan did"), "{said}");
}
