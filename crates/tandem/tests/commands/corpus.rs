//! `tandem corpus`: what a file of recorded calls holds, and a smaller one that covers as much.

use tandem_contract::fields::{put_bytes, put_number};

use crate::place::{Notes, Place, free};

/// One entry of a binary log in grpc-go's framing, a second of it later than the one before.
fn entry(log: &mut Vec<u8>, call: u64, kind: u64, payload: Option<(u32, Vec<u8>)>) {
    let (mut moment, mut entry) = (Vec::new(), Vec::new());
    put_number(1, 1_700_000_000 + call, &mut moment);
    put_bytes(1, &moment, &mut entry);
    put_number(2, call, &mut entry);
    put_number(4, kind, &mut entry);
    if let Some((number, payload)) = payload {
        put_bytes(number, &payload, &mut entry);
    }
    log.extend_from_slice(&(entry.len() as u32).to_be_bytes());
    log.extend_from_slice(&entry);
}

fn call(log: &mut Vec<u8>, number: u64, method: &str, message: &[u8], status: u64) {
    let (mut header, mut sent, mut trailer) = (Vec::new(), Vec::new(), Vec::new());
    put_bytes(2, format!("/{method}").as_bytes(), &mut header);
    put_number(1, message.len() as u64, &mut sent);
    put_bytes(2, message, &mut sent);
    put_number(2, status, &mut trailer);
    entry(log, number, 1, Some((6, header)));
    entry(log, number, 3, Some((8, sent)));
    entry(log, number, 5, None);
    entry(log, number, 6, Some((9, trailer)));
}

const READ: &str = "test.v1.Notes/Read";
const PROTO: &str = r#"
syntax = "proto3"; package test.v1;
message Note { string text = 1; int64 number = 2; string key = 3 [debug_redact = true]; }
service Notes { rpc Read(Note) returns (Note); }
"#;

fn place() -> Place {
    let place = Place::with(&[("notes.proto", PROTO)]);
    let mut log = Vec::new();
    for (number, message, status) in [
        (1, &b"\x0a\x01a"[..], 0),
        (2, b"\x0a\x01b", 0),         // nothing new
        (3, b"\x0a\x01a", 5),         // a status
        (4, b"\x10\x07", 0),          // a field
        (5, b"\x0a\x01c\x10\x08", 0), // both were there
        (6, b"\x1a\x07hunter2", 0),   // a field, and a secret
    ] {
        call(&mut log, number, READ, message, status);
    }
    call(&mut log, 7, "other.v1.Other/Get", b"", 0);
    std::fs::write(place.0.join("go.binlog"), log).unwrap();
    place
}

#[test]
fn compare_11_ls_says_methods_calls_span_and_sizes_of_a_record() {
    let place = place();
    let said = place.tandem(&["corpus", "ls", "go.binlog"]);
    assert_eq!(said.exit, 0, "{said:?}");
    let row: Vec<&str> = said.out.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row, [READ, "6", "5", "6", "25", "B", "0", "0:", "5,", "5:", "1"], "{said:?}");
    assert!(said.err.contains("7 calls of 2 methods over 6 s, 1/s"), "{said:?}");
    let object = place.tandem(&["corpus", "ls", "go.binlog", "--json"]).json();
    assert_eq!((&object["framing"], &object["calls"]), (&"big_endian".into(), &7.into()));
    assert_eq!(object["span_s"], 6.0);
    let of_read = &object["methods"][0];
    assert_eq!((&of_read["different"], &of_read["bytes"]), (&5.into(), &25.into()), "{object}");
    assert_eq!(of_read["codes"], serde_json::json!({ "0": 5, "5": 1 }));
}

#[test]
fn compare_11_minimise_keeps_the_calls_that_have_a_new_field_or_status_and_redacts() {
    let place = place();
    let words = ["corpus", "minimise", "go.binlog", "--out", "small", "--contract", "notes.proto"];
    let said = place.tandem(&words);
    assert_eq!((said.exit, said.out.starts_with("small: 4 of 7 calls")), (0, true), "{said:?}");
    assert!(said.err.contains("in 1 calls something was redacted"), "{said:?}");
    assert!(said.err.contains("left out are: other.v1.Other/Get"), "{said:?}");
    let object = place.tandem(&["corpus", "ls", "small", "--json"]).json();
    assert_eq!((&object["framing"], &object["redacted"]), (&"records".into(), &1.into()));
    assert_eq!(object["methods"][0]["codes"], serde_json::json!({ "0": 3, "5": 1 }), "{object}");
    // Times are kept.
    assert_eq!(object["span_s"], 5.0);
    // Small enough that nothing of it is packed away.
    let bytes = std::fs::read(place.0.join("small")).unwrap();
    let plain = zstd::stream::decode_all(&*bytes).unwrap();
    assert!(!plain.windows(7).any(|part| part == b"hunter2"));
    // It covers all that there is, so nothing more can go.
    let again = ["corpus", "minimise", "small", "--out", "again", "--contract", "notes.proto"];
    let said = place.tandem(&[&again[..], &["--json"]].concat());
    assert_eq!((&said.json()["kept"], &said.json()["calls"]), (&4.into(), &4.into()), "{said:?}");
    // What is there stays.
    let said = place.tandem(&words);
    assert!(said.exit == 1 && said.err.contains("TND0005"), "{said:?}");
    assert_eq!(place.tandem(&[&words[..], &["--force"]].concat()).exit, 0);
}

#[test]
fn compare_11_minimise_asks_a_service_for_the_contract() {
    let place = place();
    let service = Notes::saying("x");
    let mut log = Vec::new();
    call(&mut log, 1, READ, b"\x0a\x01a", 0);
    std::fs::write(place.0.join("log"), log).unwrap();
    let address = service.address.to_string();
    let said = place.tandem(&["corpus", "minimise", "log", "--out", "o", "--server", &address]);
    assert_eq!(said.exit, 0, "{said:?}");
    let dead = free().to_string();
    let said = place.tandem(&["corpus", "minimise", "log", "--out", "p", "--server", &dead]);
    assert!(said.exit == 6 && said.err.contains("TND0301"), "{said:?}");
    let said = place.tandem(&["corpus", "minimise", "log", "--out", "p"]);
    assert!(said.exit == 2 && said.err.contains("--contract"), "{said:?}");
    assert!(!place.0.join("p").exists());
}

#[test]
fn compare_11_files_that_are_no_records_are_named_with_what_to_do() {
    let place = place();
    let said = place.tandem(&["corpus", "ls", "nowhere"]);
    assert!(said.exit == 2 && said.err.contains("TND0105"), "{said:?}");
    let said = place.tandem(&["corpus", "ls", "notes.proto"]);
    assert!(said.exit == 1 && said.err.contains("TND0607"), "{said:?}");
    assert!(said.err.contains("GrpcLogEntry"), "{said:?}");
    // A message that is none by the contract is named by its place among all calls.
    let mut log = Vec::new();
    call(&mut log, 1, READ, b"\x0a\x01a", 0);
    call(&mut log, 2, READ, b"\x0a\x05a", 0);
    std::fs::write(place.0.join("bad"), log).unwrap();
    let words = ["corpus", "minimise", "bad", "--out", "p", "--contract", "notes.proto"];
    let said = place.tandem(&words);
    assert!(said.exit == 1 && said.err.contains("record 1 of bad"), "{said:?}");
    assert!(!place.0.join("p").exists());
}
