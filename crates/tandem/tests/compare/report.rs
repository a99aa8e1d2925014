//! What a report holds and what it must not (compare T-19).

use tandem_testkit::Script;

use crate::place::{Notes, Place};
use crate::sides::{note, side, words};

const CONTRACT: &str = "syntax = \"proto3\"; package test.v1;\n\
     message Note { string text = 1; int64 number = 2; string secret = 4 [debug_redact = true]; }\n\
     service Notes { rpc Read(Note) returns (Note) { option idempotency_level = NO_SIDE_EFFECTS; } }";

fn telling(secret: &str) -> Notes {
    let mut answer = note("x", 7);
    answer.extend_from_slice(&[0x22, u8::try_from(secret.len()).unwrap()]);
    answer.extend_from_slice(secret.as_bytes());
    Notes::by_contract(vec![Script::message(answer)], CONTRACT)
}

#[test]
fn compare_t_19_no_file_holds_the_value_of_a_redacted_field() {
    let place = Place::new();
    let (one, other) = (telling("hunter2-one"), telling("hunter2-other"));
    let (one, other) = (side("one", one.address), side("other", other.address));
    let said = place.tandem(&words(&one, &other, &["--out", "out", "--json"]));
    assert_eq!(said.exit, 3, "{said:?}");
    let files = place.files();
    let written = [
        "blocks.csv",
        "candidate.hlog",
        "corpus.binlog",
        "primary.hlog",
        "report.html",
        "result.json",
        "series.csv",
    ];
    assert_eq!(files, written.map(|name| format!("out/{name}")));
    for file in &files {
        let mut bytes = std::fs::read(place.0.join(file)).unwrap();
        if file.ends_with(".binlog") {
            bytes = zstd::stream::decode_all(&*bytes).unwrap();
        }
        assert!(!bytes.windows(7).any(|part| part == b"hunter2"), "{file}");
    }
    assert!(!said.out.contains("hunter2") && !said.err.contains("hunter2"), "{said:?}");
    // The difference itself is told.
    let result: serde_json::Value = serde_json::from_str(&place.read("out/result.json")).unwrap();
    assert_eq!(result["verdict"]["differing"], serde_json::json!(["secret"]));
}

#[test]
fn compare_p_7_a_second_run_into_a_folder_keeps_the_first_in_its_ledger() {
    let place = Place::new();
    let (one, other) = (telling("a"), telling("b"));
    let (one, other) = (side("one", one.address), side("other", other.address));
    let words = words(&one, &other, &["--out", "out"]);
    assert_eq!([place.tandem(&words).exit, place.tandem(&words).exit], [3, 3]);
    let result: serde_json::Value = serde_json::from_str(&place.read("out/result.json")).unwrap();
    assert_eq!(result["ledger"].as_array().map(Vec::len), Some(2), "{}", result["ledger"]);
}
