//! Recorded calls as load, their gaps, and the record of what a run sends.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tandem_contract::fields::{put_bytes, put_number};
use tandem_measure::records::{Bounds, Framing, Log, read};
use tandem_testkit::{Backend, Script};

use crate::place::{Notes, Place, Said};
use crate::schema;
use crate::sides::{SMALL, note, side};

const READ: &str = "test.v1.Notes/Read";
const BOUNDS: Bounds = Bounds { calls: 1 << 20, message_bytes: 1 << 30, plain_bytes: 1 << 30 };

/// A service that answers all with the same, and keeps what reached it.
struct Side {
    backend: Backend,
    notes: Notes,
}

impl Side {
    fn new(contract: &str) -> Side {
        let backend = Backend::start(vec![Script::message(note("x", 7))]);
        let notes = Notes::before(backend.address, contract, "primary: it");
        Side { backend, notes }
    }

    /// The messages of the calls of one method.
    fn sent(&self, method: &str) -> BTreeSet<Vec<Bytes>> {
        let path = format!("/{method}");
        let reached = self.backend.reached().into_iter();
        reached.filter(|call| call.path == path).map(|call| call.messages).collect()
    }
}

fn two() -> [Side; 2] {
    [(); 2].map(|()| Side::new(tandem_testkit::gateway::CONTRACT))
}

fn compare(place: &Place, method: &str, sides: [SocketAddr; 2], more: &[&str]) -> Said {
    let (one, other) = (side("one", sides[0]), side("other", sides[1]));
    let mut words = vec!["compare", method, "--primary", &one, "--candidate", &other];
    // What a test says itself holds.
    let said = |flag: &str| more.iter().any(|word| word.split('=').next() == Some(flag));
    let is_paced = said("--arrivals") || said("--speed");
    let is_small = |word: &&&str| {
        let flag = word.split('=').next().unwrap();
        !(said(flag) || is_paced && flag == "--rate")
    };
    words.extend(SMALL.iter().filter(is_small));
    words.extend(more);
    place.tandem(&words)
}

fn result(place: &Place, out: &str) -> Value {
    let result: Value = serde_json::from_str(&place.read(&format!("{out}/result.json"))).unwrap();
    schema::keeps(&result);
    result
}

fn log(place: &Place, file: &str) -> Log {
    read(&std::fs::read(place.0.join(file)).unwrap(), &BOUNDS, |_| true).unwrap()
}

fn addresses(sides: &[Side; 2]) -> [SocketAddr; 2] {
    [sides[0].notes.address, sides[1].notes.address]
}

/// An entry of a binary log, `ms` after some moment.
fn entry(call: u64, ms: u64, kind: u64, payload: Option<(u32, Vec<u8>)>) -> Vec<u8> {
    let mut moment = Vec::new();
    put_number(1, 1_700_000_000 + ms / 1_000, &mut moment);
    put_number(2, ms % 1_000 * 1_000_000, &mut moment);
    let mut bytes = Vec::new();
    put_bytes(1, &moment, &mut bytes);
    put_number(2, call, &mut bytes);
    put_number(4, kind, &mut bytes);
    put_number(5, 1, &mut bytes);
    if let Some((number, payload)) = payload {
        put_bytes(number, &payload, &mut bytes);
    }
    bytes
}

/// A call as grpc-go logs it, with a credential in its metadata.
fn call(number: u64, ms: u64, method: &str, messages: &[&[u8]]) -> Vec<Vec<u8>> {
    let (mut pair, mut metadata, mut header) = (Vec::new(), Vec::new(), Vec::new());
    put_bytes(1, b"authorization", &mut pair);
    put_bytes(2, b"Bearer hunter2", &mut pair);
    put_bytes(1, &pair, &mut metadata);
    put_bytes(1, &metadata, &mut header);
    put_bytes(2, format!("/{method}").as_bytes(), &mut header);
    let mut all = vec![entry(number, ms, 1, Some((6, header)))];
    for data in messages {
        let mut message = Vec::new();
        put_number(1, data.len() as u64, &mut message);
        put_bytes(2, data, &mut message);
        all.push(entry(number, ms, 3, Some((8, message))));
    }
    all.push(entry(number, ms, 5, None));
    all.push(entry(number, ms + 1, 6, Some((9, Vec::new()))));
    all
}

/// In grpc-go's framing.
fn grpc_go(calls: &[Vec<Vec<u8>>]) -> Vec<u8> {
    let framed = |entry: &Vec<u8>| [&(entry.len() as u32).to_be_bytes()[..], entry].concat();
    calls.iter().flatten().flat_map(framed).collect()
}

/// Forty calls in a second, in two bursts; each with a text of its own.
fn burst() -> Vec<u8> {
    let calls = (0..40_u64).map(|number| {
        let ms = number % 20 * 5 + number / 20 * 900;
        call(number + 1, ms, READ, &[&note(&format!("r{number}"), 1)])
    });
    grpc_go(&calls.collect::<Vec<_>>())
}

#[test]
fn compare_l_7_the_record_of_a_run_drives_another_and_both_sides_get_the_same_bytes() {
    let place = Place::new();
    let sides = two();
    let said = compare(&place, READ, addresses(&sides), &["--out", "first"]);
    assert!(said.err.contains("200 calls, 0 not OK"), "{said:?}");
    let record = log(&place, "first/corpus.binlog");
    let recorded: BTreeSet<Vec<Bytes>> =
        record.calls.iter().map(|call| call.messages.clone()).collect();
    assert_eq!((record.framing, record.methods.len()), (Framing::Records, 1));
    let result_of = |out| result(&place, out)["run"]["data"].clone();
    let first = result_of("first");
    assert_eq!((&first["source"], &first["redacted"]), (&"schema".into(), &0.into()), "{first}");
    assert!(first["recorded_rate"].is_null());

    // Other sides: all that reaches them comes from the file, and nothing but what is in it.
    let others = two();
    let data = ["--data", "corpus:first/corpus.binlog", "--out", "second"];
    let said = compare(&place, READ, addresses(&others), &data);
    assert!(said.err.contains("200 calls, 0 not OK"), "{said:?}");
    assert!(said.err.contains("in the order of the record"), "{said:?}");
    let [one, other] = [0, 1].map(|side: usize| others[side].sent(READ));
    assert!(!one.is_empty() && one.is_subset(&recorded) && other.is_subset(&recorded));
    // The calls for answers are the first 200, so each of them has reached both.
    let answers = record.calls.iter().take(200).map(|call| call.messages.clone());
    let answers: BTreeSet<Vec<Bytes>> = answers.collect();
    assert!(answers.is_subset(&one) && answers.is_subset(&other));
    // The same seed, the same calls: the second run sent what the first did.
    let [again, _] = [0, 1].map(|side: usize| sides[side].sent(READ));
    assert_eq!(again.intersection(&one).count(), one.len().min(again.len()));
    assert_eq!(result_of("second")["source"], "corpus");
    let second = log(&place, "second/corpus.binlog");
    assert_eq!(second.calls, record.calls);
}

#[test]
fn compare_l_1_a_log_of_grpc_go_is_sent_at_its_own_gaps_and_rate() {
    let place = Place::new();
    std::fs::write(place.0.join("go.binlog"), burst()).unwrap();
    let sides = two();
    let more = [
        "--data",
        "corpus:go.binlog",
        "--arrivals=trace",
        "--speed=2",
        "--block=500ms",
        "--out",
        "out",
    ];
    let said = compare(&place, READ, addresses(&sides), &more);
    assert!(said.err.contains("a binary log as grpc-go writes it"), "{said:?}");
    // 39 gaps in 995 ms.
    assert!(said.err.contains("39.2/s over 995 ms, sent 2 times as fast: 78.4/s"), "{said:?}");
    let result = result(&place, "out");
    let data = &result["run"]["data"];
    assert_eq!((&data["arrivals"], &data["calls"]), (&"trace".into(), &40.into()), "{data}");
    let rate = data["recorded_rate"].as_f64().unwrap();
    assert!((rate - 39.0 / 0.995).abs() < 1e-6, "{data}");
    // All forty, and what was recorded byte for byte.
    let expected: BTreeSet<Vec<Bytes>> =
        (0..40).map(|number| vec![Bytes::from(note(&format!("r{number}"), 1))]).collect();
    for side in &sides {
        assert_eq!(side.sent(READ), expected);
    }
    // The four blocks of a quartet send the same part of the record.
    let blocks = result["series"]["blocks"].as_array().unwrap();
    let calls: Vec<u64> = blocks.iter().map(|block| block["calls"].as_u64().unwrap()).collect();
    assert!(calls.len() >= 8 && calls.iter().all(|count| *count > 0), "{calls:?}");
    assert!(calls.chunks(4).all(|quartet| quartet.iter().all(|it| it == &quartet[0])), "{calls:?}");
    // Its record keeps the times, and neither it nor the result the credential.
    let record = log(&place, "out/corpus.binlog");
    assert_eq!(record.calls[1].at, Some(Duration::from_millis(1_700_000_000_005)));
    let bytes = std::fs::read(place.0.join("out/corpus.binlog")).unwrap();
    let plain = zstd::stream::decode_all(&*bytes).unwrap();
    for text in [plain, place.read("out/result.json").into_bytes()] {
        assert!(!text.windows(7).any(|part| part == b"hunter2"));
    }
    // At a rate of one's own the gaps keep their shape.
    let more = ["--data", "corpus:go.binlog", "--arrivals=trace", "--rate=60", "--plan-only"];
    let said = compare(&place, READ, addresses(&sides), &more);
    assert!(said.exit == 0 && said.out.contains("at 60/s"), "{said:?}");
}

#[test]
fn compare_i_4_the_noise_floor_of_a_trace_is_measured_at_its_gaps() {
    let place = Place::new();
    std::fs::write(place.0.join("go.binlog"), burst()).unwrap();
    let sides = two();
    let more = [
        "--data",
        "corpus:go.binlog",
        "--arrivals=trace",
        "--quartets=12",
        "--block=100ms",
        "--out",
        "out",
    ];
    let said = compare(&place, READ, addresses(&sides), &more);
    assert!(said.err.contains("quartets of one process of one"), "{said:?}");
    let blocks = &result(&place, "out")["series"]["blocks"];
    assert!(blocks.as_array().unwrap().iter().all(|it| it["calls"].as_u64() > Some(0)), "{blocks}");
}

#[test]
fn compare_l_7_streams_of_a_record_are_sent_with_all_their_messages() {
    let place = Place::with(&[("rules", "ignore text\n")]);
    let talk = "test.v1.Notes/Talk";
    let messages = [note("a", 1), note("b", 2), note("c", 3)];
    let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
    let calls = [call(1, 0, talk, &messages), call(2, 5, talk, &messages[..1])];
    // The log ends before this one does.
    let open = call(3, 9, talk, &messages)[..2].to_vec();
    std::fs::write(place.0.join("log"), grpc_go(&[&calls[..], &[open]].concat())).unwrap();
    let sides = two();
    let more =
        ["--data", "corpus:log", "--stateful", "true", "--noise", "rules:rules", "--out", "out"];
    let said = compare(&place, talk, addresses(&sides), &more);
    assert!(said.err.contains("2 calls, 0 not OK"), "{said:?}");
    assert!(said.err.contains("1 recorded calls are left out"), "{said:?}");
    let whole: Vec<Bytes> = messages.iter().map(|it| Bytes::copy_from_slice(it)).collect();
    for side in &sides {
        assert_eq!(side.sent(talk), BTreeSet::from([whole.clone(), whole[..1].to_vec()]));
    }
}

#[test]
fn compare_t_19_no_redacted_value_is_in_the_record_and_the_result_says_that_it_was_changed() {
    let contract = r#"
        syntax = "proto3"; package test.v1;
        message Note { string text = 1; int64 number = 2; string key = 3 [debug_redact = true]; }
        service Notes { rpc Read(Note) returns (Note) { option idempotency_level = NO_SIDE_EFFECTS; } }
    "#;
    let place = Place::with(&[(
        "plan.yaml",
        "calls: [{ method: Notes/Read, data: { text: open, key: hunter2 } }]",
    )]);
    let sides = [(); 2].map(|()| Side::new(contract));
    let more = ["--data", "plan:plan.yaml", "--out", "out"];
    let said = compare(&place, READ, addresses(&sides), &more);
    assert!(said.err.contains("something was redacted"), "{said:?}");
    let sent = sides[0].sent(READ);
    assert!(sent.iter().flatten().any(|it| it.windows(7).any(|part| part == b"hunter2")));
    let bytes = std::fs::read(place.0.join("out/corpus.binlog")).unwrap();
    let plain = zstd::stream::decode_all(&*bytes).unwrap();
    let has = |bytes: &[u8], text: &[u8]| bytes.windows(text.len()).any(|part| part == text);
    assert!(has(&plain, b"open") && !has(&plain, b"hunter2") && !has(&bytes, b"hunter2"));
    let result = result(&place, "out");
    assert_eq!(result["run"]["data"]["redacted"], result["run"]["data"]["calls"], "{result}");
    let notes = result["run"]["notes"].to_string();
    assert!(notes.contains("sends other calls than this run"), "{notes}");
    // Whoever sends it again is told, and sends what is in it.
    let others = [(); 2].map(|()| Side::new(contract));
    let more = ["--data", "corpus:out/corpus.binlog"];
    let said = compare(&place, READ, addresses(&others), &more);
    assert!(said.err.contains("not byte for byte those that were sent"), "{said:?}");
    let sent = others[1].sent(READ);
    assert!(sent.iter().flatten().all(|it| has(it, b"redacted")) && !sent.is_empty());
}

#[test]
fn compare_l_7_what_cannot_be_sent_again_is_refused_with_its_place() {
    let place = Place::new();
    let write = |name: &str, bytes: &[u8]| std::fs::write(place.0.join(name), bytes).unwrap();
    let good = |number, ms| call(number, ms, READ, &[&note("a", 1)]);
    let log = grpc_go(&[good(1, 0), good(2, 10)]);
    write("good", &log);
    write("cut", &log[..log.len() - 3]);
    write("script", b"#!/bin/sh\n");
    write("foreign", &grpc_go(&[good(1, 0), call(2, 1, READ, &[b"\x08\x01"])]));
    write("two", &grpc_go(&[call(1, 1, READ, &[&note("a", 1), &note("b", 1)])]));
    write("headers", &grpc_go(&[call(1, 1, READ, &[])]));
    write("others", &grpc_go(&[call(1, 1, "test.v1.Notes/Get", &[&note("a", 1)])]));
    write("moment", &grpc_go(&[good(1, 5), good(2, 5)]));
    write("slow", &grpc_go(&[good(1, 0), good(2, 90_000)]));
    let mut timeless = Vec::new();
    for entry in good(1, 0) {
        // Without its first field.
        let bare = tandem_contract::fields::without(1, &entry).unwrap();
        timeless.extend_from_slice(&(bare.len() as u32).to_be_bytes());
        timeless.extend_from_slice(&bare);
    }
    write("timeless", &timeless);
    let sides = two();
    let check = |file: &str, more: &[&str], exit: i32, words: &[&str]| {
        let data = format!("corpus:{file}");
        let said = compare(&place, READ, addresses(&sides), &[&["--data", &data], more].concat());
        assert_eq!(said.exit, exit, "{file}: {said:?}");
        for word in words {
            assert!(said.err.contains(word), "{file} {word}: {said:?}");
        }
    };
    check("nowhere", &[], 2, &["TND0105", "--data"]);
    check("script", &[], 1, &["TND0607", "entry 0, at byte 0", "GrpcLogEntry"]);
    check("cut", &[], 1, &["TND0607", "entry 7", "the file ends in it", "head -c"]);
    check("foreign", &[], 1, &["record 1 of foreign", "`text` is string"]);
    check("two", &[], 1, &["record 0 of two", "takes one"]);
    check("headers", &[], 1, &["record 0 of headers", "GRPC_BINARY_LOG_FILTER='*'"]);
    check("others", &[], 2, &["has no call of test.v1.Notes/Read", "calls of test.v1.Notes/Get"]);
    check("moment", &["--arrivals=trace"], 2, &["all of its calls are of one moment"]);
    check("timeless", &["--arrivals=trace"], 2, &["1 of 1 calls have no time", "poisson"]);
    check("slow", &["--arrivals=trace"], 2, &["0.011 calls a second", "--speed 180"]);
    check("good", &["--speed=2"], 2, &["--arrivals trace"]);
    check("good", &["--arrivals=trace", "--speed=0"], 2, &["from 0.001 to 1000"]);
    check("good", &["--arrivals=trace", "--speed=2", "--rate=5"], 2, &["cannot be used with"]);
    let said = compare(&place, READ, addresses(&sides), &["--arrivals=trace"]);
    assert!(said.exit == 2 && said.err.contains("--data corpus:FILE"), "{said:?}");
}
