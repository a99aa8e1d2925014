//! What a side can take, and whether it takes less than it did (compare K-1 to K-3, V-8).

use serde_json::{Value, json};

use tandem_testkit::Script;

use crate::place::{Notes, Place, Said};
use crate::schema;
use crate::sides::{note, side, words};

/// Calls a second that a side takes, and how many more at once.
const LIMIT: f64 = 200.0;
const BURST: f64 = 20.0;

/// Beyond its limit it answers RESOURCE_EXHAUSTED.
fn limited() -> Notes {
    let rules = format!("limits: {{ per: source, rate: {LIMIT}/s, burst: {BURST} }}");
    let answer = vec![Script::message(note("x", 7))];
    Notes::by_rules(answer, tandem_testkit::gateway::CONTRACT, &rules)
}

/// Probes of 250 ms, confirmations of 1 s.
fn compared(place: &Place, sides: [&str; 2], more: &[&str]) -> Said {
    let [primary, candidate] = sides;
    let words = ["compare", "test.v1.Notes/Read", "--primary", primary, "--candidate", candidate];
    let small = [
        "--capacity",
        "--slo=p99=5s,errors=1%",
        "--start=100",
        "--block=100ms",
        "--arrivals=uniform",
        "--cpus=none",
        "--seed=7",
        "--budget=3m",
        "--margin=capacity=30%",
        "--out=out",
    ];
    place.tandem(&[&words[..], &small, more].concat())
}

#[test]
fn compare_k_3_a_known_limit_lies_in_the_bracket_and_an_older_result_is_held_against_it() {
    // Two searches, each with the minute until memory is read once more.
    if std::env::var_os("TANDEM_LONG").is_none() {
        println!("skipped: TANDEM_LONG is not set");
        return;
    }
    let place = Place::new();
    let (one, other) = (limited(), limited());
    let (one, other) = (side("one", one.address), side("other", other.address));
    // Last time the candidate took twice as much, on another machine.
    place.tandem(&words(&one, &other, &["--out", "out"]));
    let mut better: Value = serde_json::from_str(&place.read("out/result.json")).unwrap();
    better["run"]["machine"]["cpu"] = json!("another processor");
    let of_side = json!({ "value": 200.0, "interval": null, "n": 0 });
    better["metrics"] = json!([{
        "id": "capacity", "unit": "1/s", "rate": null, "primary": of_side, "candidate": of_side,
        "ratio": 2.0, "interval": [1.9, 2.1], "p": null, "p_holm": null, "margin": 0.03,
        "floor": 0.0, "cell": "better", "headline": true, "counts": true,
        "needed_quartets": null, "lacks": null,
    }]);
    place.write("better.json", &better.to_string());

    let said = compared(&place, [&one, &other], &["--baseline=better.json"]);
    let first: Value = serde_json::from_str(&place.read("out/result.json")).unwrap();
    schema::keeps(&first);
    for role in ["primary", "candidate"] {
        let [low, high] = ["lo", "hi"].map(|end| first["capacity"][role][end].as_f64().unwrap());
        // In one second it takes its rate and, once, its burst.
        assert!(low <= LIMIT + BURST && high >= LIMIT * 0.9, "{role}: {low} to {high}: {said:?}");
        assert!(low >= LIMIT * 0.7 && high <= low * 1.3, "{role}: {low} to {high}: {said:?}");
    }
    assert!(said.out.contains("capacity p99≤5s") && said.out.contains("same"), "{said:?}");
    assert_eq!(said.exit, 4, "{said:?}");
    assert!(said.err.contains("worse than before: capacity was 2.00"), "{said:?}");
    assert!(said.err.contains("another machine (another processor"), "{said:?}");
    assert!(place.read("out/report.html").contains("worse than before: capacity"));

    // As good as last time.
    place.write("equal.json", &first.to_string());
    let said = compared(&place, [&one, &other], &["--baseline=equal.json"]);
    assert!(said.exit == 0 && !said.err.contains("worse than before"), "{said:?}");
    assert!(!said.err.contains("another machine"), "{said:?}");
}
