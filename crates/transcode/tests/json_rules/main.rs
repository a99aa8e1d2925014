//! The rules J-1 to J-17 of ProtoJSON, a table for each: text in, text out, bytes in.
//!
//! A row of [`Row::Text`] is a JSON text and what the message that it makes is written as, or
//! nothing when it is refused; a row of [`Row::Wire`] is the bytes of a message (in hexadecimal)
//! and its JSON. Numbers are compared by value, the rest to the letter.
//!
//! Not here: products of the rules (`oracle.rs`), requests and answers of calls (`binding.rs`).

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../generated/mod.rs"]
mod generated;

/// In as it comes out.
macro_rules! same {
    ($text:literal) => {
        Text($text, Some($text))
    };
}

macro_rules! refused {
    ($text:literal) => {
        Text($text, None)
    };
}

mod choices;
mod names;
mod scalars;
mod well_known;
mod wire;

use std::sync::OnceLock;

use buffa::Message as _;
use buffa_descriptor::generated::descriptor::feature_set::{
    EnumType, FieldPresence, MessageEncoding,
};
use buffa_descriptor::generated::descriptor::{Edition, FileDescriptorSet};
use common::compiled;
use generated::{Both, difference, parsed};
use tandem_transcode::{JsonOptions, Limits, json_from_wire, wire_from_json};

const PROTO3: &str = r#"
syntax = "proto3"; package t;
import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/empty.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
message M {
  double d = 1; float f = 2; int32 i32 = 3; int64 i64 = 4; uint32 u32 = 5; uint64 u64 = 6;
  sint32 s32 = 7; sint64 s64 = 8; fixed32 x32 = 9; fixed64 x64 = 10; sfixed32 y32 = 11;
  sfixed64 y64 = 12; bool b = 13; string some_text = 14; bytes raw = 15; E e = 16; M sub = 17;
  repeated int32 many = 18; repeated string texts = 19; repeated M subs = 20;
  map<string, int64> by_text = 21; map<int32, M> by_number = 22; map<bool, string> by_bool = 23;
  optional int32 maybe = 24;
  oneof one { string left = 25; int32 right = 26; M third = 27;
              google.protobuf.NullValue no = 28; google.protobuf.Value any_value = 29; }
  google.protobuf.Timestamp at = 30; google.protobuf.Duration took = 31;
  google.protobuf.FieldMask mask = 32; google.protobuf.Struct structure = 33;
  google.protobuf.Value value = 34; google.protobuf.ListValue list = 35;
  google.protobuf.Any any = 36; google.protobuf.Int64Value wrapped = 37;
  google.protobuf.StringValue wrapped_text = 38; google.protobuf.BytesValue wrapped_raw = 39;
  google.protobuf.DoubleValue wrapped_double = 40; google.protobuf.BoolValue wrapped_bool = 41;
  repeated E enums = 42; repeated google.protobuf.NullValue nulls = 43;
  repeated google.protobuf.Value values = 44; map<string, E> enum_map = 45;
  map<uint64, string> by_u64 = 46; google.protobuf.Empty empty = 47;
  string renamed = 48 [json_name = "other-name"]; google.protobuf.NullValue nothing = 49;
  repeated google.protobuf.Int64Value wrappeds = 50; map<string, google.protobuf.Value> value_map = 51;
  optional google.protobuf.NullValue maybe_no = 52;
}
enum E { option allow_alias = true; ZERO = 0; ONE = 1; UNO = 1; MINUS = -1; }
"#;

const PROTO2: &str = r#"
syntax = "proto2"; package t;
import "google/protobuf/any.proto";
message M {
  optional int32 maybe = 1; required int32 must = 2; optional Closed closed = 3;
  repeated Closed closeds = 4; optional string text = 5 [default = "unset"];
  optional group Inner = 6 { optional int32 deep = 1; optional M again = 2; }
  repeated group Each = 7 { optional string text = 1; }
  map<string, Closed> closed_map = 8; repeated int32 unpacked = 9; optional M sub = 10;
  oneof one { Closed chosen = 11; int32 other = 12; } optional google.protobuf.Any any = 13;
  extensions 100 to 200;
}
enum Closed { FIRST = 1; SECOND = 2; }
extend M { optional string ext_text = 100; repeated M ext_many = 101; }
message Scope { extend M { optional int32 inside = 102; } }
"#;

const EDITION: &str = r#"
syntax = "proto3"; package t;
message M {
  int32 explicit = 1; int32 implicit = 2; E closed = 3; M delimited = 4; repeated M each = 5;
  int32 must = 6; repeated int32 many = 7;
}
enum E { ZERO = 0; ONE = 1; }
"#;

/// [`EDITION`] as a file of edition 2023: the compiler at hand does not know editions.
fn edition_2023() -> Vec<u8> {
    let mut set = FileDescriptorSet::decode_from_slice(&compiled(EDITION)).unwrap();
    let file = set.file.iter_mut().find(|file| file.name.as_deref() == Some("test.proto")).unwrap();
    file.syntax = Some("editions".to_owned());
    file.edition = Some(Edition::EDITION_2023);
    let features =
        file.enum_type[0].options.get_or_insert_default().features.get_or_insert_default();
    features.enum_type = Some(EnumType::CLOSED);
    for field in &mut file.message_type[0].field {
        let features = field.options.get_or_insert_default().features.get_or_insert_default();
        match field.name.as_deref().unwrap() {
            "implicit" => features.field_presence = Some(FieldPresence::IMPLICIT),
            "must" => features.field_presence = Some(FieldPresence::LEGACY_REQUIRED),
            "delimited" | "each" => features.message_encoding = Some(MessageEncoding::DELIMITED),
            _ => {}
        }
    }
    set.encode_to_vec()
}

#[derive(Clone, Copy)]
enum Schema {
    Proto3,
    Proto2,
    Edition,
}

impl Schema {
    fn both(self) -> &'static Both {
        static PLANS: [OnceLock<Both>; 3] = [OnceLock::new(), OnceLock::new(), OnceLock::new()];
        PLANS[self as usize].get_or_init(|| match self {
            Schema::Proto3 => Both::new(&compiled(PROTO3), "t.M"),
            Schema::Proto2 => Both::new(&compiled(PROTO2), "t.M"),
            Schema::Edition => Both::new(&edition_2023(), "t.M"),
        })
    }
}

enum Row {
    /// JSON in → JSON out.
    Text(&'static str, Option<&'static str>),
    /// Bytes in → JSON out.
    Wire(&'static str, Option<&'static str>),
}

use Row::{Text, Wire};

fn check(schema: Schema, rows: &[Row]) {
    check_with(schema, &JsonOptions::default(), rows);
}

fn check_with(schema: Schema, options: &JsonOptions, rows: &[Row]) {
    let both = schema.both();
    let id = both.plans.contract().message_named("t.M").unwrap();
    let limits = Limits::default();
    let written = |wire: &[u8]| json_from_wire(&both.plans, id, wire, options, &limits);
    for row in rows {
        let (input, outcome, expected) = match row {
            Text(text, expected) => {
                let wire = wire_from_json(&both.plans, id, text.as_bytes(), options, &limits);
                // What was taken can be written.
                let json = wire
                    .map(|wire| written(&wire).unwrap_or_else(|fault| panic!("{text}: {fault}")));
                (*text, json, expected)
            }
            Wire(hex, expected) => (*hex, written(&bytes(hex)), expected),
        };
        let outcome = outcome.map(|json| String::from_utf8(json).unwrap());
        let passes = match (&outcome, expected) {
            (Ok(json), Some(expected)) => difference(&parsed(json), &parsed(expected)).is_none(),
            (outcome, expected) => outcome.is_err() && expected.is_none(),
        };
        assert!(passes, "{input}: {outcome:?} and not {expected:?}");
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}
