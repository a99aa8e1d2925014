//! A message level by level: two encodings of one message give one view.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod common;

use std::sync::{Arc, LazyLock};

use common::compiled;
use tandem_contract::{Contract, MessageId};
use tandem_transcode::Plans;
use tandem_transcode::view::{MapKey, Unreadable, Value, Values, View};

const PROTO: &str = r#"
syntax = "proto2"; package t;
message M {
  optional int32 number = 1; optional M inner = 2; repeated int32 many = 3; repeated string texts = 4;
  map<int32, M> map = 5; oneof o { string left = 6; bool right = 7; } repeated E closed = 8;
  optional group G = 9 { optional int32 x = 1; } optional sint64 zigzag = 10; optional fixed32 fixed = 11;
  optional float small = 12; map<string, E> names = 13; optional E one = 14;
}
enum E { A = 1; B = 2; }
"#;

fn plans() -> &'static Plans {
    static PLANS: LazyLock<Plans> = LazyLock::new(|| {
        let contract = Contract::from_descriptor_set(&compiled(PROTO)).unwrap();
        assert_eq!(contract.faults(), []);
        Plans::new(Arc::new(contract))
    });
    &PLANS
}

fn id() -> MessageId {
    plans().contract().message_named("t.M").unwrap()
}

fn view(wire: &[u8]) -> Result<View<'_>, Unreadable> {
    plans().view(id(), wire, &mut 1_000)
}

/// The values of one field, by its name.
fn field<'w>(view: &View<'w>, name: &str) -> Option<Values<'w>> {
    let (place, _) = plans().contract().message(id()).field_named(name).unwrap();
    view.fields.iter().find(|(found, _)| *found == place).map(|(_, values)| values.clone())
}

#[test]
fn two_encodings_of_one_message_give_one_view() {
    for (one, other) in [
        // The last number counts, however long it is written.
        (&b"\x08\x05\x08\x07"[..], &b"\x08\x87\x00"[..]),
        // Messages that are split merge.
        (b"\x12\x02\x08\x01\x12\x02\x50\x02", b"\x12\x04\x08\x01\x50\x02"),
        // Packed or not, in one run or in two.
        (b"\x18\x01\x18\x02\x18\x03", b"\x1a\x02\x01\x02\x18\x03"),
        // Fields in any order.
        (b"\x08\x01\x22\x01a", b"\x22\x01a\x08\x01"),
        // The last member of a oneof.
        (b"\x32\x01a\x38\x01", b"\x38\x01"),
        // The last entry of a key; an entry without a value has its default.
        (b"\x2a\x04\x08\x03\x12\x00\x2a\x02\x08\x01", b"\x2a\x02\x08\x01\x2a\x02\x08\x03"),
    ] {
        let (one, other) = (view(one).unwrap(), view(other).unwrap());
        assert_eq!(one, other);
        assert!(!one.fields.is_empty());
    }
}

#[test]
fn values_are_what_their_kinds_say() {
    let wire = b"\x08\xff\xff\xff\xff\x0f\x50\x03\x5d\x07\x00\x00\x00\x65\x00\x00\x00\x3f\x38\x02\x4b\x08\x04\x4c";
    let view = view(wire).unwrap();
    for (name, expected) in [
        ("number", Value::Signed(-1)),
        ("zigzag", Value::Signed(-2)),
        ("fixed", Value::Unsigned(7)),
        ("small", Value::Float(0.5)),
        ("right", Value::Bool(true)),
    ] {
        assert_eq!(field(&view, name), Some(Values::Singular(expected)), "{name}");
    }
    let Some(Values::Singular(Value::Message(_, group))) = field(&view, "g") else {
        panic!("{view:?}")
    };
    assert_eq!(&*group, b"\x08\x04");
    assert_eq!(field(&view, "inner"), None);
}

#[test]
fn maps_stand_by_their_keys_and_closed_enums_take_no_strangers() {
    let seen =
        view(b"\x2a\x02\x08\x05\x2a\x0b\x08\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01").unwrap();
    let Some(Values::Map(entries)) = field(&seen, "map") else { panic!("{seen:?}") };
    let keys: Vec<_> = entries.into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, [MapKey::Signed(-2), MapKey::Signed(5)]);
    let seen = view(b"\x6a\x03\x0a\x01x").unwrap();
    let Some(Values::Map(entries)) = field(&seen, "names") else { panic!("{seen:?}") };
    assert_eq!(entries[0].1, Value::Enum(1), "the first of the list");

    let seen = view(b"\x40\x01\x40\x09\x40\x02\x42\x02\x01\x08\x70\x09").unwrap();
    let values = [1, 2, 1].map(Value::Enum).to_vec();
    assert_eq!(field(&seen, "closed"), Some(Values::Repeated(values)));
    assert_eq!(field(&seen, "one"), None);
    assert_eq!(seen.unknown, [(8, 0, &b"\x09"[..]), (8, 0, b"\x08"), (14, 0, b"\x09")]);
}

#[test]
fn what_the_contract_does_not_know_stands_apart_by_number() {
    // Number 99 as a number, 20 as text, `number` with a wrong wire type.
    let seen = view(b"\x98\x06\x01\xa2\x01\x01a\x08\x01\x0a\x01b\x98\x06\x02").unwrap();
    let expected = [(1, 2, &b"\x01b"[..]), (20, 2, b"\x01a"), (99, 0, b"\x01"), (99, 0, b"\x02")];
    assert_eq!(seen.unknown, expected);
    assert_eq!(field(&seen, "number"), Some(Values::Singular(Value::Signed(1))));
}

#[test]
fn what_is_read_is_counted_and_bytes_that_are_no_message_are_refused() {
    let packed = [&b"\x1a\x64"[..], &[1; 100]].concat();
    for (left, expected) in [(100, false), (101, true)] {
        let mut rest = left;
        let read = plans().view(id(), &packed, &mut rest);
        assert_eq!(read.is_ok(), expected, "{left}");
        assert_eq!(rest, 0, "{left}");
        assert!(read.is_ok() || read == Err(Unreadable::Exhausted));
    }
    // Parts that are copied to be joined cost as well.
    let part = [&b"\x12\x80\x0a"[..], &[0x18; 1_280]].concat();
    let split = [&part[..], &part].concat();
    assert_eq!(plans().view(id(), &split, &mut 41), Err(Unreadable::Exhausted));
    assert!(plans().view(id(), &split, &mut 42).is_ok());
    for broken in [&b"\x08"[..], b"\xff", b"\x12\x05a", b"\x4b\x08\x01", b"\x1a\x01\xff", b"\x00"] {
        assert_eq!(view(broken), Err(Unreadable::Broken), "{broken:?}");
    }
    assert!(view(b"").unwrap().fields.is_empty());
}
