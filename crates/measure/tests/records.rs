//! Files of recorded calls: written, read, told from others, redacted.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

#[path = "checks/records.rs"]
#[expect(dead_code, reason = "the check itself is run by `corpus`")]
mod check;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use check::{ACCOUNTS, method};
use tandem_contract::fields::{put_bytes, put_number, put_varint};
use tandem_measure::records::{
    Bounds, Cleaned, Cleaner, Framing, Log, RecordFault, Whole, Writer, Written, read,
};

const BOUNDS: Bounds = Bounds { calls: 100, message_bytes: 1 << 20, plain_bytes: 1 << 22 };
const AT: Duration = Duration::new(1_700_000_000, 250_000_000);
const OPEN: &str = "records.v1.Accounts/Open";

/// An `Account` of this name, with what stands behind.
fn account(name: &str, more: &[u8]) -> Bytes {
    let mut bytes = Vec::new();
    put_bytes(1, name.as_bytes(), &mut bytes);
    bytes.extend_from_slice(more);
    bytes.into()
}

fn cleaned(message: &Bytes) -> Cleaned {
    Cleaner::new(Arc::clone(&ACCOUNTS)).clean(method(OPEN).input, message).unwrap()
}

fn all(file: &[u8]) -> Result<Log, RecordFault> {
    read(file, &BOUNDS, |_| true)
}

/// Three calls as ours, with what was sent.
fn written() -> (Written, Vec<Bytes>) {
    let messages: Vec<Bytes> = ["a", "b", "a"].iter().map(|name| account(name, b"")).collect();
    let mut writer = Writer::new(1 << 20);
    for (number, message) in messages.iter().enumerate() {
        let at = AT + Duration::from_millis(number as u64);
        writer.add(OPEN, Some(at), &[cleaned(message)], Some(number as u32)).unwrap();
    }
    (writer.finish().unwrap(), messages)
}

/// An entry as gRPC libraries write it, with what is not used.
fn entry(call: u64, kind: u64, payload: Option<(u32, Vec<u8>)>) -> Vec<u8> {
    let mut moment = Vec::new();
    put_number(1, AT.as_secs() + call, &mut moment);
    let mut bytes = Vec::new();
    put_bytes(1, &moment, &mut bytes);
    put_number(2, call, &mut bytes);
    put_number(4, kind, &mut bytes);
    put_number(5, 2, &mut bytes);
    if let Some((number, payload)) = payload {
        put_bytes(number, &payload, &mut bytes);
    }
    put_bytes(11, b"\x08\x01\x12\x09127.0.0.1", &mut bytes);
    bytes
}

fn header(call: u64, name: &str) -> Vec<u8> {
    let mut metadata = Vec::new();
    let mut pair = Vec::new();
    put_bytes(1, b"authorization", &mut pair);
    put_bytes(2, b"Bearer hunter2", &mut pair);
    put_bytes(1, &pair, &mut metadata);
    let mut header = Vec::new();
    put_bytes(1, &metadata, &mut header);
    put_bytes(2, name.as_bytes(), &mut header);
    entry(call, 1, Some((6, header)))
}

fn message(call: u64, kind: u64, data: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    put_number(1, data.len() as u64, &mut message);
    put_bytes(2, data, &mut message);
    entry(call, kind, Some((8, message)))
}

fn trailer(call: u64, code: u64) -> Vec<u8> {
    let mut trailer = Vec::new();
    put_number(2, code, &mut trailer);
    put_bytes(3, b"no account of hunter2", &mut trailer);
    entry(call, 6, Some((9, trailer)))
}

/// Two calls that overlap, and one that the log does not end.
fn entries() -> Vec<Vec<u8>> {
    vec![
        header(7, "/records.v1.Accounts/Open"),
        header(8, "/records.v1.Accounts/Load"),
        message(7, 3, b"\x0a\x01a"),
        message(8, 3, b"\x0a\x01b"),
        entry(7, 5, None),
        entry(7, 2, None),
        message(7, 4, b"answer"),
        trailer(7, 5),
        message(8, 3, b"\x0a\x01c"),
        entry(8, 5, None),
        trailer(8, 0),
        message(99, 3, b"of a call that began before"),
        header(9, "/records.v1.Accounts/Open"),
    ]
}

fn big_endian(entries: &[Vec<u8>]) -> Vec<u8> {
    let framed = |entry: &Vec<u8>| [&(entry.len() as u32).to_be_bytes()[..], entry].concat();
    entries.iter().flat_map(framed).collect()
}

fn by_varints(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    for entry in entries {
        put_varint(entry.len() as u64, &mut file);
        file.extend_from_slice(entry);
    }
    file
}

#[test]
fn calls_that_are_written_are_read_again_and_the_index_says_what_they_are() {
    let (written, messages) = written();
    assert_eq!((written.calls, written.redacted, written.left_out), (3, 0, 0));
    let log = all(&written.bytes).unwrap();
    assert_eq!((log.framing, log.packed, log.is_partial), (Framing::Records, true, false));
    assert_eq!(log.methods, [OPEN]);
    for (number, call) in log.calls.iter().enumerate() {
        assert_eq!((call.number, call.method, call.whole), (number as u64, 0, Whole::Yes));
        assert_eq!(call.at, Some(AT + Duration::from_millis(number as u64)));
        assert_eq!(
            (&call.messages[..], call.status),
            (&messages[number..=number], Some(number as u32))
        );
    }
    let index = log.index.unwrap();
    let keys: Vec<u64> = index.calls.iter().map(|call| call.key).collect();
    assert!(keys[0] == keys[2] && keys[0] != keys[1], "{keys:?}");
    assert_eq!(keys, log.calls.iter().map(|call| call.key()).collect::<Vec<_>>());
    assert!(index.calls.iter().zip(&log.calls).all(|(told, call)| told.at == call.at));
}

#[test]
fn what_is_written_is_a_plain_log_once_it_is_unpacked() {
    let (written, messages) = written();
    let plain = zstd::stream::decode_all(&*written.bytes).unwrap();
    let log = all(&plain).unwrap();
    assert_eq!((log.framing, log.packed, log.index), (Framing::Varint, false, None));
    let sent: Vec<&Bytes> = log.calls.iter().flat_map(|call| &call.messages).collect();
    assert_eq!(sent, messages.iter().collect::<Vec<_>>());
}

#[test]
fn logs_of_grpc_go_and_of_others_are_told_apart_packed_or_not() {
    for (framing, plain) in
        [(Framing::BigEndian, big_endian(&entries())), (Framing::Varint, by_varints(&entries()))]
    {
        let packed = zstd::bulk::compress(&plain, 3).unwrap();
        for (packed, file) in [(false, plain), (true, packed)] {
            let log = all(&file).unwrap();
            assert_eq!((log.framing, log.packed), (framing, packed));
            assert_eq!(log.methods, [OPEN, "records.v1.Accounts/Load"]);
            let calls: Vec<_> = log
                .calls
                .iter()
                .map(|call| (call.method, call.messages.len(), call.status, call.whole))
                .collect();
            let expected = [
                (0, 1, Some(5), Whole::Yes),
                (1, 2, Some(0), Whole::Yes),
                (0, 0, None, Whole::Open),
            ];
            assert_eq!(calls, expected);
            assert_eq!((log.strays, log.others), (1, 0));
            assert_eq!(log.calls[1].at, Some(Duration::from_secs(AT.as_secs() + 8)));
        }
    }
}

#[test]
fn a_log_that_grpc_go_itself_wrote_is_read() {
    // By 1.83 with `binarylog.NewTempFileSink`; caller and service are one process, so each call is
    // there as both logged it.
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/records");
    let log = all(&std::fs::read(format!("{folder}/grpc_go_itself")).unwrap()).unwrap();
    assert_eq!((log.framing, log.packed, log.strays), (Framing::BigEndian, false, 0));
    assert_eq!(log.methods, ["grpc.health.v1.Health/Check", "grpc.health.v1.Health/Watch"]);
    let calls: Vec<_> = log.calls.iter().map(|call| (call.method, call.status)).collect();
    let (found, missing, cancelled) = ((0, Some(0)), (0, Some(5)), (1, Some(1)));
    let expected = [found, found, found, found, missing, missing, cancelled, cancelled];
    assert_eq!(calls, expected);
    assert!(
        log.calls.iter().all(|call| {
            call.whole == Whole::Yes && call.messages.len() == 1 && call.at.is_some()
        })
    );
    assert_eq!(log.calls[4].messages, [&b"\x0a\x06nobody"[..]]);
}

#[test]
fn only_calls_of_wanted_methods_are_kept_and_numbered_among_all() {
    let log = read(&big_endian(&entries()), &BOUNDS, |name| name.ends_with("/Load")).unwrap();
    assert_eq!((log.calls.len(), log.calls[0].number, log.others), (1, 1, 2));
    assert_eq!(log.other_methods, [OPEN]);
}

#[test]
fn a_message_that_its_logger_cut_is_marked() {
    let mut short = message(7, 3, b"\x0a\x01a");
    put_number(10, 1, &mut short);
    let log = all(&big_endian(&[header(7, "a.B/C"), short])).unwrap();
    assert_eq!(log.calls[0].whole, Whole::Cut);
}

#[test]
fn a_log_that_ends_in_an_entry_says_where_and_what_to_do() {
    let file = big_endian(&entries());
    let first = entries()[0].len() + 4;
    let fault = all(&file[..first + 9]).unwrap_err();
    assert_eq!((fault.entry, fault.offset), (Some(1), first as u64));
    assert!(fault.fix.contains(&format!("head -c {first}")), "{fault:?}");
    assert!(all(&file[..first]).is_ok());
    let fault = all(&file[..first + 2]).unwrap_err();
    assert!(fault.what.contains("length is not all there"), "{fault:?}");
    let packed = zstd::bulk::compress(&file, 3).unwrap();
    let fault = all(&packed[..packed.len() - 3]).unwrap_err();
    assert!(fault.what.contains("zstd frame is not all there"), "{fault:?}");
}

#[test]
fn our_own_file_is_whole_or_refused_wherever_it_was_cut() {
    let (written, _) = written();
    for end in 0..written.bytes.len() {
        let fault = all(&written.bytes[..end]).unwrap_err();
        assert!(!fault.fix.is_empty(), "{end}: {fault:?}");
    }
    // Cut between two frames its entries are lawful; it is the index that tells.
    let index = written.bytes.windows(4).rposition(|at| at == b"\x50\x2a\x4d\x18").unwrap();
    let fault = all(&written.bytes[..index]).unwrap_err();
    assert!(fault.what.contains("its end is missing"), "{fault:?}");
}

#[test]
fn other_files_are_named_as_such() {
    let set = ACCOUNTS.descriptor_set();
    let long = [&[0, 0xff, 0xff, 0xff][..], &[1; 64]].concat();
    let huge = [&[0x01, 0, 0, 0][..], &[1; 64]].concat();
    for (what, file) in [
        ("empty", &b""[..]),
        ("a script", b"#!/bin/sh\nexit 0\n"),
        ("a descriptor set", &set),
        ("JSON", b"{\"calls\": []}"),
        ("zeros", &[0; 64]),
        ("a length beyond the file", &long),
        ("a length beyond any entry", &huge),
        ("nothing, packed", &zstd::bulk::compress(b"", 3).unwrap()),
        ("a script, packed", &zstd::bulk::compress(b"#!/bin/sh\nexit 0\n", 3).unwrap()),
        ("gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\x03"),
    ] {
        let fault = all(file).unwrap_err();
        assert!(!fault.fix.is_empty() && !fault.what.is_empty(), "{what}: {fault:?}");
    }
}

#[test]
fn no_more_is_read_than_the_bounds_allow() {
    let bounds = |calls, message_bytes, plain_bytes| Bounds { calls, message_bytes, plain_bytes };
    let file = big_endian(&entries());
    let first = entries()[0].len() as u64 + 4;
    for (bounds, calls, partial) in [
        (bounds(3, 9, 1 << 20), 3, false),
        (bounds(2, 9, 1 << 20), 2, true),
        // The second call is the one whose message has no room.
        (bounds(3, 8, 1 << 20), 1, true),
        (bounds(3, 9, first), 1, true),
        (bounds(3, 9, first - 1), 0, true),
    ] {
        let log = read(&file, &bounds, |_| true).unwrap();
        assert_eq!((log.calls.len(), log.is_partial), (calls, partial), "{bounds:?}");
    }
    // A small file that unpacks to a lot.
    let many: Vec<Vec<u8>> = (1..20_000).map(|call| header(call, "a.B/C")).collect();
    let packed = zstd::bulk::compress(&big_endian(&many), 3).unwrap();
    let log = all(&packed).unwrap();
    assert_eq!((log.calls.len(), log.is_partial), (BOUNDS.calls, true));
}

#[test]
fn a_file_that_would_become_too_large_is_the_beginning_of_what_was_given() {
    let mut writer = Writer::new(300);
    for number in 0..10 {
        // The fourth is large, and those behind it would have room.
        let name = if number == 3 { "x".repeat(500) } else { number.to_string() };
        writer.add(OPEN, None, &[cleaned(&account(&name, b""))], None).unwrap();
    }
    let written = writer.finish().unwrap();
    assert_eq!(written.calls + written.left_out, 10);
    let log = all(&written.bytes).unwrap();
    assert!((1..=3).contains(&log.calls.len()), "{}", log.calls.len());
    assert_eq!(log.index.unwrap().left_out, written.left_out);
    assert_eq!(log.calls[0].at, None);
}

#[test]
fn compare_t_19_no_value_of_a_redacted_field_and_no_credential_is_written() {
    let secret = |field: u32| {
        let mut bytes = Vec::new();
        put_bytes(field, b"hunter2", &mut bytes);
        bytes
    };
    let mut any = Vec::new();
    put_bytes(1, b"type.googleapis.com/records.v1.Account", &mut any);
    put_bytes(2, &secret(2), &mut any);
    let mut strange = Vec::new();
    put_bytes(1, b"type.googleapis.com/other.v1.Secret", &mut strange);
    put_bytes(2, b"hunter2", &mut strange);
    let nested = |field: u32, inner: &[u8]| {
        let mut bytes = Vec::new();
        put_bytes(field, inner, &mut bytes);
        bytes
    };
    let entry = [&nested(1, b"k")[..], &nested(2, &secret(2))].concat();
    let tokens = [&nested(1, b"k")[..], &nested(2, b"hunter2")].concat();
    let pin = [&[0x31][..], b"hunter2!"].concat();
    let flag = vec![12 << 3, 1];
    for (what, more) in [
        ("a text", secret(2)),
        ("below", nested(3, &secret(2))),
        ("in a map", nested(4, &entry)),
        ("in an Any", nested(5, &any)),
        ("in an Any of another contract", nested(5, &strange)),
        ("a number", pin),
        ("a message", nested(8, &secret(1))),
        ("a map", nested(9, &tokens)),
        ("a field that the contract does not have", secret(77)),
        ("a flag", flag),
    ] {
        let message = account("me", &more);
        let clean = cleaned(&message);
        assert!(clean.is_redacted(), "{what}");
        let mut writer = Writer::new(1 << 20);
        writer.add(OPEN, None, std::slice::from_ref(&clean), None).unwrap();
        let written = writer.finish().unwrap();
        assert_eq!(written.redacted, 1, "{what}");
        let plain = zstd::stream::decode_all(&*written.bytes).unwrap();
        for bytes in [&plain, &written.bytes] {
            assert!(!bytes.windows(7).any(|part| part == b"hunter2"), "{what}");
        }
        // Nor does the index tell one secret from another.
        let index = all(&written.bytes).unwrap().index.unwrap();
        let mut other = Writer::new(1 << 20);
        let text = String::from_utf8_lossy(&more).replace("hunter2", "hunter3");
        if let Ok(clean) = Cleaner::new(Arc::clone(&ACCOUNTS))
            .clean(method(OPEN).input, &account("me", text.as_bytes()))
        {
            other.add(OPEN, None, &[clean], None).unwrap();
            let other = all(&other.finish().unwrap().bytes).unwrap().index.unwrap();
            assert_eq!(index.calls[0].key, other.calls[0].key, "{what}");
        }
    }
    // What is read of a log has no metadata, addresses or texts of errors.
    let log = all(&big_endian(&entries())).unwrap();
    let told = format!("{log:?}");
    assert!(!told.contains("hunter2") && !told.contains("127.0.0.1"), "{told}");
}

#[test]
fn a_message_without_secrets_stays_as_it_is_byte_for_byte() {
    // Out of order, a varint longer than it has to be, a list once packed and once not.
    let message = Bytes::from_static(b"\x3a\x02\x01\x02\x38\x83\x00\x0a\x01a\x1a\x03\x0a\x01b");
    let clean = cleaned(&message);
    assert_eq!((clean.bytes(), clean.is_redacted()), (&message, false));
}

#[test]
fn what_is_no_message_of_the_type_says_which_field() {
    let cleaner = Cleaner::new(Arc::clone(&ACCOUNTS));
    let deep = (0..101).fold(Vec::new(), |inner, _| {
        let mut bytes = Vec::new();
        put_bytes(3, &inner, &mut bytes);
        bytes
    });
    for (message, word) in [
        (&b"\x0a\x05ab"[..], "cut short"),
        (b"\x08\x01", "`name` is string"),
        (b"\x0a\x01\xff", "`name` is not UTF-8"),
        (b"\x1a\x02\x08\x01", "`name` is string"),
        (b"\x0f", "cut short"),
        (&deep, "in each other"),
    ] {
        let fault = cleaner.clean(method(OPEN).input, &Bytes::copy_from_slice(message));
        let fault = fault.unwrap_err().to_string();
        assert!(fault.contains(word), "{fault}");
    }
}

#[test]
fn paths_tell_messages_with_other_fields_apart_and_not_those_with_other_values() {
    let paths = |message: Bytes| cleaned(&message).paths().clone();
    assert_eq!(paths(account("a", b"")), paths(account("b", b"")));
    assert_ne!(paths(account("a", b"")), paths(account("a", b"\x38\x01")));
    let below = paths(account("a", b"\x1a\x03\x0a\x01b"));
    let twice = paths(account("a", b"\x1a\x03\x0a\x01b\x1a\x03\x0a\x01c"));
    assert_eq!(below, twice);
    assert_eq!(below.len(), 3);
}
