//! Chosen fields as a key, cut out, and kept alone, against the dynamic messages of another
//! library: however a message is written, its value alone counts.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod common;

use std::sync::{Arc, OnceLock};

use buffa_descriptor::DescriptorPool;
use buffa_descriptor::reflect::DynamicMessage;
use common::compiled;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tandem_contract::{Cardinality, Contract, Field, Kind, MessageId, WellKnown};
use tandem_transcode::{JsonOptions, Limits, Plans, Projection, wire_from_json};

const TYPES: &str = r#"
syntax = "proto3"; package t;
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
message M {
  int32 i32 = 1; sint32 s32 = 2; uint64 u64 = 3; double d = 4; float f = 5; fixed32 x32 = 6; bool b = 7;
  string text = 8; bytes raw = 9; E e = 10; optional int32 maybe = 11; M sub = 12;
  repeated M subs = 13; repeated sint32 many = 14; repeated string texts = 15; repeated E enums = 16;
  map<string, M> by_text = 17; map<int32, string> by_number = 18; map<bool, double> by_bool = 19;
  oneof one { string left = 20; int32 right = 21; M third = 22; }
  google.protobuf.Timestamp at = 23; google.protobuf.StringValue word = 24;
  google.protobuf.Struct structure = 25; repeated double doubles = 26; map<string, E> by_enum = 27;
}
enum E { ZERO = 0; ONE = 1; MINUS = -1; }
"#;

struct Types {
    plans: Plans,
    pool: Arc<DescriptorPool>,
}

fn types() -> &'static Types {
    static TYPES_READ: OnceLock<Types> = OnceLock::new();
    TYPES_READ.get_or_init(|| {
        let set = compiled(TYPES);
        Types {
            plans: Plans::new(Arc::new(Contract::from_descriptor_set(&set).unwrap())),
            pool: Arc::new(DescriptorPool::decode(&set).unwrap()),
        }
    })
}

fn message() -> MessageId {
    types().plans.contract().message_named("t.M").unwrap()
}

fn wire(json: &Value) -> Vec<u8> {
    let (options, limits) = (JsonOptions::default(), Limits::default());
    let text = json.to_string();
    wire_from_json(&types().plans, message(), text.as_bytes(), &options, &limits).unwrap()
}

/// What the other library reads.
fn read(wire: &[u8]) -> Value {
    let index = types().pool.message_index("t.M").unwrap();
    let message = DynamicMessage::decode(Arc::clone(&types().pool), index, wire).unwrap();
    serde_json::from_str(&message.to_json().unwrap()).unwrap()
}

fn projection(paths: &[&str]) -> Projection {
    Projection::new(&types().plans, message(), paths).unwrap()
}

fn key(projection: &Projection, wire: &[u8]) -> Vec<u8> {
    let mut out = b"before".to_vec();
    projection.key(wire, &mut out).unwrap();
    out.strip_prefix(b"before").unwrap().to_vec()
}

/// A small generator of numbers; a failing case prints its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn one_of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.roll(list.len() as u64) as usize]
    }
}

/// A message of few and small values, so that two of them are often the same in part.
fn any_message(dice: &mut Dice, depth: u32) -> Value {
    let contract = types().plans.contract();
    let fields = &contract.message(message()).fields;
    let mut object = Map::new();
    let mut oneof = false;
    for _ in 0..dice.roll(7) {
        let field = dice.one_of(fields);
        if field.oneof.is_some() && std::mem::replace(&mut oneof, true) {
            continue;
        }
        let value = match field.cardinality {
            Cardinality::Singular => any_value(dice, field.kind, depth),
            Cardinality::Repeated => {
                (0..dice.roll(3)).map(|_| any_value(dice, field.kind, depth)).collect()
            }
            Cardinality::Map => {
                let entry = contract.message(field.kind.message().unwrap());
                let keys: &[&str] = match entry.field_numbered(1).unwrap().1.kind {
                    Kind::String => &["", "a", "b"],
                    Kind::Bool => &["true", "false"],
                    _ => &["0", "1", "-1"],
                };
                let kind = entry.field_numbered(2).unwrap().1.kind;
                let entries = (0..dice.roll(3))
                    .map(|_| ((*dice.one_of(keys)).to_owned(), any_value(dice, kind, depth)));
                Value::Object(entries.collect())
            }
        };
        object.insert(field.json_name.to_string(), value);
    }
    Value::Object(object)
}

fn any_value(dice: &mut Dice, kind: Kind, depth: u32) -> Value {
    match kind {
        Kind::Message(id) | Kind::Group(id) => {
            match types().plans.contract().message(id).well_known {
                WellKnown::Timestamp => dice
                    .one_of(&[json!("1970-01-01T00:00:00Z"), json!("1970-01-01T00:00:01.5Z")])
                    .clone(),
                WellKnown::Wrapper => dice.one_of(&[json!(""), json!("a")]).clone(),
                WellKnown::Struct => dice
                    .one_of(&[
                        json!({}),
                        json!({ "a": null }),
                        json!({ "a": [1.5, { "b": true }] }),
                    ])
                    .clone(),
                _ if depth == 0 => json!({}),
                _ => any_message(dice, depth - 1),
            }
        }
        Kind::String => dice.one_of(&[json!(""), json!("a"), json!("bc")]).clone(),
        Kind::Bytes => dice.one_of(&[json!(""), json!("AA=="), json!("AP8=")]).clone(),
        Kind::Bool => json!(dice.roll(2) == 0),
        Kind::Enum(_) => {
            dice.one_of(&[json!("ZERO"), json!("ONE"), json!("MINUS"), json!(7)]).clone()
        }
        Kind::Double | Kind::Float => dice.one_of(&[json!(0.0), json!(-0.0), json!(1.5)]).clone(),
        Kind::Uint64 => {
            dice.one_of(&[json!("0"), json!("1"), json!("18446744073709551615")]).clone()
        }
        Kind::Uint32 | Kind::Fixed32 | Kind::Fixed64 => {
            dice.one_of(&[json!(0), json!(300)]).clone()
        }
        _ => dice.one_of(&[json!(0), json!(-1), json!(300)]).clone(),
    }
}

/// The message with one thing in it changed.
fn tweaked(dice: &mut Dice, json: &mut Value) {
    let Value::Object(object) = json else { return };
    let names: Vec<String> = object.keys().cloned().collect();
    if names.is_empty() || dice.roll(4) == 0 {
        let Value::Object(more) = any_message(dice, 1) else { return };
        let members = ["left", "right", "third"];
        if members.iter().any(|member| more.contains_key(*member)) {
            members.iter().for_each(|member| drop(object.remove(*member)));
        }
        object.extend(more.into_iter().take(2));
        return;
    }
    let name = dice.one_of(&names);
    match object.get_mut(name) {
        Some(Value::Object(map)) if is_map(name) && dice.roll(3) > 0 => {
            let Some(key) = map.keys().next().cloned() else { return };
            let value = map.remove(&key).unwrap();
            let other = match name.as_str() {
                "byNumber" => "7",
                "byBool" if key == "true" => "false",
                "byBool" => "true",
                _ => "other",
            };
            map.insert(other.to_owned(), value);
        }
        Some(Value::Array(list)) if dice.roll(3) > 0 => match dice.roll(3) {
            0 => list.reverse(),
            1 => drop(list.pop()),
            _ => list.extend(list.last().cloned()),
        },
        Some(inner @ Value::Object(_)) if ["sub", "third"].contains(&name.as_str()) => {
            tweaked(dice, inner);
        }
        _ => drop(object.remove(name)),
    }
}

/// A field as it stands on the wire: number, wire type, value with the length before it.
type Raw = (u32, u8, Vec<u8>);

fn raw_varint(bytes: &mut &[u8]) -> Vec<u8> {
    let length = bytes.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
    let (varint, rest) = bytes.split_at(length);
    *bytes = rest;
    varint.to_vec()
}

fn number_of(varint: &[u8]) -> u64 {
    varint.iter().rev().fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f))
}

fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn delimited(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(bytes.len() as u64, &mut out);
    out.extend_from_slice(bytes);
    out
}

fn contents(value: &[u8]) -> &[u8] {
    let mut rest = value;
    raw_varint(&mut rest);
    rest
}

fn fields_of(mut bytes: &[u8]) -> Vec<Raw> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = number_of(&raw_varint(&mut bytes));
        let value = match tag & 7 {
            0 => raw_varint(&mut bytes),
            2 => {
                let mut value = raw_varint(&mut bytes);
                let (inner, rest) = bytes.split_at(number_of(&value) as usize);
                value.extend_from_slice(inner);
                bytes = rest;
                value
            }
            wire_type => {
                let (value, rest) = bytes.split_at(if wire_type == 1 { 8 } else { 4 });
                bytes = rest;
                value.to_vec()
            }
        };
        fields.push(((tag >> 3) as u32, (tag & 7) as u8, value));
    }
    fields
}

fn written(fields: &[Raw]) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, wire_type, value) in fields {
        put_varint(u64::from(*number) << 3 | u64::from(*wire_type), &mut out);
        out.extend_from_slice(value);
    }
    out
}

/// The same message written in another way: fields in another order, messages in parts, scalars,
/// members and entries before the ones that count, lists packed or not, fields of no type.
fn rewritten(dice: &mut Dice, id: MessageId, bytes: &[u8]) -> Vec<u8> {
    let contract = types().plans.contract();
    let message = contract.message(id);
    // Fields whose order among each other matters: those of one number, those of one oneof.
    let mut streams: Vec<(u64, Vec<Raw>)> = Vec::new();
    let mut put =
        |stream: u64, fields: Vec<Raw>| match streams.iter_mut().find(|(s, _)| *s == stream) {
            Some((_, stream)) => stream.extend(fields),
            None => streams.push((stream, fields)),
        };
    for raw in fields_of(bytes) {
        let Some((_, field)) = message.field_numbered(raw.0) else {
            put(u64::from(raw.0), vec![raw]);
            continue;
        };
        let stream = match field.oneof {
            Some(oneof) => 1 << 40 | u64::from(oneof),
            None => u64::from(raw.0),
        };
        if let Some(oneof) = field.oneof
            && dice.roll(2) == 0
        {
            let others: Vec<&Field> =
                message.fields.iter().filter(|other| other.oneof == Some(oneof)).collect();
            // Another member last, or a message would be merged with what comes.
            let last = others.iter().find(|other| other.number != raw.0).unwrap();
            let decoys = [*dice.one_of(&others), *dice.one_of(&others), last];
            put(stream, decoys.iter().map(|other| decoy(dice, other)).collect());
        }
        put(stream, rewritten_field(dice, field, raw));
    }
    if dice.roll(2) == 0 {
        put(1 << 50, vec![(1_000, 2, delimited(b"unknown")), (1_001, 0, vec![1])]);
    }
    let mut out = Vec::new();
    while !streams.is_empty() {
        let at = dice.roll(streams.len() as u64) as usize;
        out.push(streams[at].1.remove(0));
        if streams[at].1.is_empty() {
            streams.swap_remove(at);
        }
    }
    written(&out)
}

/// Any value of a field.
fn decoy(dice: &mut Dice, field: &Field) -> Raw {
    let wire_type = match field.kind {
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => 1,
        Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => 5,
        Kind::String | Kind::Bytes | Kind::Message(_) | Kind::Group(_) => 2,
        _ => 0,
    };
    let value = match wire_type {
        0 => vec![dice.roll(2) as u8],
        1 => vec![dice.roll(2) as u8; 8],
        5 => vec![dice.roll(2) as u8; 4],
        // For a message `i32: 1`, for a text a control byte.
        _ => delimited(b"\x08\x01"),
    };
    (field.number, wire_type, value)
}

fn rewritten_field(dice: &mut Dice, field: &Field, raw: Raw) -> Vec<Raw> {
    let (number, wire_type, value) = raw;
    match (field.cardinality, field.kind) {
        (Cardinality::Singular, Kind::Message(id)) => {
            let inner = rewritten(dice, id, contents(&value));
            let parts = fields_of(&inner);
            let cut = dice.roll(parts.len() as u64 + 1) as usize;
            if dice.roll(2) == 0 {
                return vec![(number, 2, delimited(&inner))];
            }
            // Fields of one number keep their order, so any cut will do.
            [&parts[..cut], &parts[cut..]]
                .map(|part| (number, 2, delimited(&written(part))))
                .to_vec()
        }
        (Cardinality::Repeated, Kind::Message(id)) => {
            vec![(number, 2, delimited(&rewritten(dice, id, contents(&value))))]
        }
        (Cardinality::Map, Kind::Message(id)) => {
            let entry = rewritten(dice, id, contents(&value));
            let mut out = Vec::new();
            if dice.roll(2) == 0 {
                // An entry with the same key and no value comes first.
                let key: Vec<Raw> =
                    fields_of(&entry).into_iter().filter(|(number, _, _)| *number == 1).collect();
                out.push((number, 2, delimited(&written(&key))));
            }
            out.push((number, 2, delimited(&entry)));
            out
        }
        (Cardinality::Repeated, kind) if kind.packable() && wire_type == 2 => {
            let wire_type = decoy(dice, field).1;
            let mut bytes = contents(&value);
            let mut out = Vec::new();
            while !bytes.is_empty() {
                let element = match wire_type {
                    0 => raw_varint(&mut bytes),
                    wire_type => {
                        let (element, rest) = bytes.split_at(if wire_type == 1 { 8 } else { 4 });
                        bytes = rest;
                        element.to_vec()
                    }
                };
                out.push(if dice.roll(2) == 0 {
                    (number, wire_type, element)
                } else {
                    (number, 2, delimited(&element))
                });
            }
            out
        }
        (Cardinality::Singular, _) if dice.roll(2) == 0 => {
            vec![decoy(dice, field), (number, wire_type, value)]
        }
        _ => vec![(number, wire_type, value)],
    }
}

/// The value at a path of names in JSON, through lists and maps; `null` where it is unset.
fn at(json: &Value, path: &[&str]) -> Value {
    let [name, below @ ..] = path else { return json.clone() };
    let found = &json[*name];
    match (found, is_map(name)) {
        _ if below.is_empty() => found.clone(),
        (Value::Array(list), _) => list.iter().map(|element| at(element, below)).collect(),
        (Value::Object(map), true) => {
            map.iter().map(|(key, value)| (key.clone(), at(value, below))).collect()
        }
        (found, _) => at(found, below),
    }
}

fn is_map(name: &str) -> bool {
    name.starts_with("by")
}

/// The same JSON without the value at the path.
fn remove(json: &mut Value, path: &[&str]) {
    let [name, below @ ..] = path else { return };
    let Value::Object(object) = json else { return };
    if below.is_empty() {
        object.remove(*name);
        return;
    }
    match object.get_mut(*name) {
        Some(Value::Array(list)) => list.iter_mut().for_each(|element| remove(element, below)),
        Some(Value::Object(map)) if is_map(name) => {
            map.values_mut().for_each(|value| remove(value, below));
        }
        Some(found) => remove(found, below),
        None => {}
    }
}

/// The same JSON with the values at the paths alone, and the parents that are set.
fn keep(json: &Value, paths: &[Vec<&str>]) -> Value {
    if paths.iter().any(Vec::is_empty) {
        return json.clone();
    }
    let Value::Object(object) = json else { return json.clone() };
    let mut kept = Map::new();
    for (name, value) in object {
        let below: Vec<Vec<&str>> =
            paths.iter().filter(|path| path[0] == name).map(|path| path[1..].to_vec()).collect();
        if below.is_empty() {
            continue;
        }
        let part = |value: &Value| keep(value, &below);
        let value = match value {
            Value::Array(list) if !below.iter().any(Vec::is_empty) => {
                list.iter().map(part).collect()
            }
            Value::Object(map) if is_map(name) && !below.iter().any(Vec::is_empty) => {
                map.iter().map(|(key, value)| (key.clone(), part(value))).collect()
            }
            value => part(value),
        };
        kept.insert(name.clone(), value);
    }
    Value::Object(kept)
}

/// What is chosen in these tests.
const CHOICES: [&[&str]; 12] = [
    &["i32"],
    &["text", "raw", "d", "b", "e", "maybe"],
    &["sub.text", "sub.sub.i32"],
    &["subs.i32", "subs.text", "many"],
    &["byText.text", "byText.sub.maybe"],
    &["left"],
    &["right", "third.left", "third.text"],
    &["sub", "subs"],
    &["byText", "byNumber", "byBool", "byEnum"],
    &["structure", "at", "word", "enums", "doubles", "texts"],
    &["sub.third", "sub.subs.byText.texts", "sub.left"],
    &["s32", "u64", "f", "x32", "third"],
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_key_is_the_same_if_and_only_if_the_chosen_values_are(
        seed in any::<u64>(),
        choice in 0..CHOICES.len(),
    ) {
        let paths = CHOICES[choice];
        let projection = projection(paths);
        let dice = &mut Dice(seed);
        let mut value = any_message(dice, 2);
        let one = wire(&value);
        let other = rewritten(dice, message(), &one);
        let (json, other_json) = (read(&one), read(&other));
        prop_assert_eq!(&json, &other_json, "the test writes the same message");
        prop_assert_eq!(key(&projection, &one), key(&projection, &other));

        tweaked(dice, &mut value);
        let third = wire(&value);
        let third_json = read(&third);
        let same = paths.iter().all(|path| {
            let path: Vec<&str> = path.split('.').collect();
            // As texts: -0.0 and 0.0 are two values.
            format!("{:?}", at(&json, &path)) == format!("{:?}", at(&third_json, &path))
        });
        prop_assert_eq!(
            key(&projection, &one) == key(&projection, &third), same, "{} {}", json, third_json
        );
    }

    #[test]
    fn security_fz_14_one_key_is_one_message_and_says_what_was_chosen(
        seed in any::<u64>(),
        choice in 0..=CHOICES.len(),
    ) {
        let projection = match CHOICES.get(choice) {
            Some(paths) => projection(paths),
            None => Projection::all(&types().plans, message()),
        };
        let dice = &mut Dice(seed);
        let one = wire(&any_message(dice, 2));
        let other = rewritten(dice, message(), &one);
        let of_key = |key: &[u8]| {
            let mut out = b"before".to_vec();
            projection.message_of_key(key, &mut out).unwrap();
            out.strip_prefix(b"before").unwrap().to_vec()
        };
        let asked = of_key(&key(&projection, &one));
        prop_assert_eq!(&of_key(&key(&projection, &other)), &asked);
        prop_assert_eq!(key(&projection, &asked), key(&projection, &one));
        let json = read(&asked);
        match CHOICES.get(choice) {
            None => prop_assert_eq!(json, read(&one)),
            // A parent of nothing that is set is not set either, which `only` leaves as it is.
            Some(_) => prop_assert_eq!(json, read(&of_key(&key(
                &projection,
                &projection.only(&one).unwrap(),
            )))),
        }
    }

    #[test]
    fn any_bytes_end_in_a_message_of_a_key_or_a_fault(
        bytes in prop::collection::vec(0..40_u8, 0..200),
    ) {
        let projection = Projection::all(&types().plans, message());
        let mut out = b"before".to_vec();
        if projection.message_of_key(&bytes, &mut out).is_err() {
            prop_assert_eq!(out, b"before");
        }
        // `sub` in itself, a hundred thousand times.
        prop_assert!(projection.message_of_key(&[12; 100_000], &mut Vec::new()).is_err());
    }

    #[test]
    fn what_is_cut_out_is_gone_and_nothing_else(
        seed in any::<u64>(),
        choice in 0..CHOICES.len(),
    ) {
        let paths = CHOICES[choice];
        let projection = projection(paths);
        let dice = &mut Dice(seed);
        let plain = wire(&any_message(dice, 2));
        let json = read(&plain);
        let split: Vec<Vec<&str>> = paths.iter().map(|path| path.split('.').collect()).collect();
        let mut without = json.clone();
        for path in &split {
            remove(&mut without, path);
        }
        let only = keep(&json, &split);
        for wire in [rewritten(dice, message(), &plain), plain] {
            prop_assert_eq!(read(&projection.without(&wire).unwrap()), without.clone());
            prop_assert_eq!(read(&projection.only(&wire).unwrap()), only.clone());
        }
    }

    #[test]
    fn any_bytes_end_in_a_projection_or_a_fault(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        choice in 0..CHOICES.len(),
    ) {
        let projection = projection(CHOICES[choice]);
        let mut out = b"before".to_vec();
        if projection.key(&bytes, &mut out).is_err() {
            prop_assert_eq!(out, b"before");
        }
        if let Ok(wire) = projection.without(&bytes) {
            prop_assert!(projection.without(&wire).unwrap() == wire, "nothing is left to cut");
        }
        if let Ok(wire) = projection.only(&bytes) {
            prop_assert!(projection.only(&wire).unwrap() == wire, "nothing is left to drop");
        }
    }
}

#[test]
fn keys_may_stand_behind_each_other() {
    // Texts that would run into each other if nothing said where they end.
    let projection = projection(&["text", "texts", "subs.text"]);
    let mut keys: Vec<Vec<u8>> = [
        json!({}),
        json!({ "text": "ab" }),
        json!({ "text": "a", "texts": ["b"] }),
        json!({ "texts": ["a", "b"] }),
        json!({ "texts": ["ab"] }),
        json!({ "texts": ["ab", ""] }),
        json!({ "texts": ["", "ab"] }),
        json!({ "subs": [{ "text": "a" }, { "text": "b" }] }),
        json!({ "subs": [{ "text": "ab" }] }),
        json!({ "subs": [{ "text": "ab" }, {}] }),
        json!({ "subs": [{}, { "text": "ab" }] }),
        json!({ "subs": [{}] }),
        json!({ "text": "\u{1}\u{0}" }),
    ]
    .iter()
    .map(|json| key(&projection, &wire(json)))
    .collect();
    keys.sort();
    for pair in keys.windows(2) {
        assert!(!pair[1].starts_with(&pair[0]), "{pair:?}");
    }
}

#[test]
fn numbers_are_what_their_type_makes_of_them() {
    let both = |paths: &[&str], one: &[u8], other: &[u8]| {
        let projection = projection(paths);
        assert_eq!(key(&projection, one), key(&projection, other), "{paths:?}");
    };
    // int32 -1 in ten bytes, and cut to five; a bool that is 2; an enum above 32 bits.
    both(&["i32"], b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x08\xff\xff\xff\xff\x0f");
    both(&["b"], b"\x38\x02", b"\x38\x01");
    both(&["e"], b"\x50\x81\x80\x80\x80\x10", b"\x50\x01");
    // A varint that is longer than it must be; a default that is written out.
    both(&["i32"], b"\x08\x81\x80\x00", b"\x08\x01");
    both(&["i32"], b"\x08\x00", b"");
    both(&["sub.i32"], b"\x62\x02\x08\x00", b"");
}

#[test]
fn a_member_that_was_replaced_does_not_come_back() {
    let projection = projection(&["right"]);
    // left "a", then right 1: the message has no left.
    let wire = b"\xa2\x01\x01a\xa8\x01\x01";
    assert_eq!(read(wire), json!({ "right": 1 }));
    assert_eq!(read(&projection.without(wire).unwrap()), json!({}));
    // Also when the two stand in two parts of one message.
    let below = Projection::new(&types().plans, message(), &["sub.right"]).unwrap();
    let wire = b"\x62\x04\xa2\x01\x01a\x62\x03\xa8\x01\x01";
    assert_eq!(read(wire), json!({ "sub": { "right": 1 } }));
    assert_eq!(read(&below.without(wire).unwrap()), json!({ "sub": {} }));
}

#[test]
fn unknown_fields_stay_beside_what_is_cut_and_go_with_what_is_not_chosen() {
    let projection = projection(&["text"]);
    let wire = b"\x42\x01a\xc2\x3e\x01x\x08\x05";
    assert_eq!(projection.without(wire).unwrap(), b"\xc2\x3e\x01x\x08\x05");
    assert_eq!(projection.only(wire).unwrap(), b"\x42\x01a");
    // A secret under the right number and a wrong wire type is cut as well.
    assert_eq!(projection.without(b"\x40\x05\x08\x05").unwrap(), b"\x08\x05");
}

/// The other library reads such bytes as something else, so this is apart from the comparison.
#[test]
fn a_field_of_a_wrong_wire_type_is_no_field() {
    let projection = projection(&["i32", "left", "sub.text"]);
    let wire = b"\x08\x05\xa2\x01\x01a\x62\x03\x42\x01b";
    // i32 as four bytes, right as text, sub as a number, text inside sub as a number.
    for odd in [&b"\x0d\x01\x02\x03\x04"[..], b"\xaa\x01\x01x", b"\x60\x07", b"\x62\x02\x40\x01"] {
        for (before, behind) in [(odd, &b""[..]), (&b""[..], odd)] {
            let odd = [before, &wire[..], behind].concat();
            assert_eq!(key(&projection, &odd), key(&projection, wire), "{odd:?}");
            let only = projection.only(&odd).unwrap();
            assert_eq!(read(&only), json!({ "i32": 5, "left": "a", "sub": { "text": "b" } }));
        }
    }
}

#[test]
fn a_path_that_names_nothing_is_refused() {
    for (path, reason) in [
        ("nope", "`nope`: `t.M` has no field `nope`"),
        ("", "``: `t.M` has no field ``"),
        ("sub.nope", "`sub.nope`: `t.M` has no field `nope`"),
        ("text.x", "`text.x`: `text` has no fields of its own"),
        ("by_number.x", "`by_number.x`: `by_number` has no fields of its own"),
        ("many.x", "`many.x`: `many` has no fields of its own"),
        ("sub.", "`sub.`: `t.M` has no field ``"),
    ] {
        let fault = Projection::new(&types().plans, message(), &[path]).unwrap_err();
        assert_eq!(fault, reason);
        // Also behind a path that has chosen its parent already.
        if path.starts_with("sub.") {
            assert!(Projection::new(&types().plans, message(), &["sub", path]).is_err());
        }
    }
    let deep = |names: usize| "sub.".repeat(names - 1) + "i32";
    let of = |path: &str| Projection::new(&types().plans, message(), &[path]);
    assert!(of(&deep(32)).is_ok());
    assert!(of(&deep(33)).unwrap_err().contains("more than 32 names"));
    // A whole and a part of it, in either order, is the whole.
    let wire = wire(&json!({ "sub": { "i32": 1, "text": "a" } }));
    for paths in [&["sub", "sub.text"], &["sub.text", "sub"]] {
        assert_eq!(projection(paths).without(&wire).unwrap(), b"");
    }
    // Names of the file and of JSON.
    assert!(of("by_text.by_text").is_ok() && of("byText.byText").is_ok());
}

#[test]
fn security_li_13_a_key_goes_down_a_hundred_levels_and_no_further() {
    let nested = |levels: usize| {
        let mut wire = Vec::new();
        for _ in 1..levels {
            let inner = std::mem::take(&mut wire);
            wire.push(12 << 3 | 2);
            wire.extend(delimited(&inner));
        }
        wire
    };
    let sub = projection(&["sub"]);
    assert!(sub.key(&nested(100), &mut Vec::new()).is_ok());
    assert!(sub.key(&nested(101), &mut Vec::new()).is_err());
    assert!(sub.key(&nested(100_000), &mut Vec::new()).is_err());
    // What is not chosen is not entered; what is cut is not either.
    assert!(projection(&["text"]).key(&nested(100_000), &mut Vec::new()).is_ok());
    assert_eq!(sub.without(&nested(100_000)).unwrap(), b"");
}
