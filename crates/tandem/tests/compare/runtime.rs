//! What a service says of itself stands in the report beside what was measured (compare A-13).

use std::time::Duration;

use tandem_contract::fields::{put_bytes, put_number};
use tandem_testkit::{Backend, Script};

use crate::place::Place;
use crate::schema;
use crate::sides::{side, steady, words};

fn double(number: u8, value: f64) -> Vec<u8> {
    [&[number << 3 | 1][..], &value.to_le_bytes()].concat()
}

/// A snapshot of a process in Go after so many collections, each with a stop below 0.5 ms.
fn of_go(cycles: u64) -> Vec<u8> {
    let (mut stops, mut bucket, mut go, mut message) =
        (Vec::new(), double(1, 0.0005), Vec::new(), Vec::new());
    put_number(2, cycles, &mut bucket);
    put_bytes(1, &bucket, &mut stops);
    put_number(1, 200, &mut go);
    put_number(3, cycles, &mut go);
    put_bytes(7, &stops, &mut go);
    put_bytes(2, b"1.4.0", &mut message);
    put_number(4, 1, &mut message);
    put_bytes(6, &go, &mut message);
    message
}

fn of_tokio() -> Vec<u8> {
    let mut message = Vec::new();
    put_bytes(2, b"1.5.0", &mut message);
    put_number(4, 1, &mut message);
    put_bytes(7, &[], &mut message);
    message
}

#[test]
fn compare_a_13_collections_in_the_measured_blocks_are_told_and_none_is_not_zero() {
    let place = Place::new();
    let (one, other) = (steady(Duration::ZERO), steady(Duration::ZERO));
    // Asked three times: what it is, before the first block, after the last one.
    let counted = |before, after| {
        let script = |cycles| Box::new(Script::message(of_go(cycles)));
        Backend::start(vec![Script::Every(3, script(after), script(before))])
    };
    let rust = Backend::start(vec![Script::message(of_tokio())]);
    let (one, other) = (side("rust", one.address), side("go", other.address));
    let check = |go: &Backend, table: &str, note: Option<&str>| {
        let runtime = [("rust", &rust), ("go", go)]
            .map(|(name, at)| format!("--runtime={name}={}", at.address));
        let more = [&*runtime[0], &*runtime[1], "--out", "out"];
        let said = place.tandem(&words(&one, &other, &more));
        assert!(said.out.contains(table), "{table}: {said:?}");
        assert!(said.out.contains("primary rust 1.5.0 (") && said.out.contains("GOMAXPROCS 1)"));
        assert_eq!(said.err.contains("in its measured blocks"), note.is_some(), "{said:?}");
        assert!(note.is_none_or(|note| said.err.contains(note)), "{said:?}");
        let result: serde_json::Value =
            serde_json::from_str(&place.read("out/result.json")).unwrap();
        schema::keeps(&result);
        result
    };
    let often = counted(100, 311);
    let result = check(&often, "[rust none; go gc cycles 211, stop p99 500 µs]", None);
    let [rust_side, go] = [&result["sides"][0], &result["sides"][1]];
    assert_eq!((&go["version"], &go["runtime"]["gogc"]), (&"1.4.0".into(), &"100".into()));
    assert_eq!(go["runtime"]["gc_stop_p99_s"], 0.0005);
    // None: not a zero.
    assert!(rust_side["runtime"]["gc_cycles"].is_null(), "{rust_side}");
    assert!(rust_side["runtime"]["gc_stop_p99_s"].is_null(), "{rust_side}");
    // Four are too few, and are said to be (compare P-9).
    let seldom = counted(100, 104);
    check(&seldom, "go gc cycles 4, stop p99 500 µs]", Some("`go` collected 4 times"));
    let enough = counted(100, 105);
    check(&enough, "go gc cycles 5,", None);
}

#[test]
fn a_side_without_such_a_service_is_measured_all_the_same_and_a_promised_one_is_missed() {
    let place = Place::new();
    let (one, other) = (steady(Duration::ZERO), steady(Duration::ZERO));
    let (first, second) = (side("one", one.address), side("other", other.address));
    let said = place.tandem(&words(&first, &second, &["--json"]));
    assert_eq!(said.json()["sides"][0]["version"], "");
    assert_eq!(said.json()["verdict"]["sentence"].as_str().map(str::is_empty), Some(false));
    let promised = format!("--runtime=other={}", crate::place::free());
    let said = place.tandem(&words(&first, &second, &[&promised]));
    assert!(said.err.contains("`--runtime other=…` tells nothing"), "{said:?}");
    let said = place.tandem(&words(&first, &second, &["--runtime=nobody=127.0.0.1:1"]));
    assert!(said.exit == 2 && said.err.contains("no side is called `nobody`"), "{said:?}");
}
