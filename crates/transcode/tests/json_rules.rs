//! The rules J-1 to J-17 of ProtoJSON, a table for each: text in, text out, bytes in.
//!
//! A row of [`Row::Text`] is a JSON text and what the message that it makes is written as, or
//! nothing when it is refused; a row of [`Row::Wire`] is the bytes of a message (in hexadecimal)
//! and its JSON. Numbers are compared by value, the rest to the letter.
//!
//! Not here: products of the rules (`oracle.rs`), requests and answers of calls (`binding.rs`).

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod common;
mod generated;

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

#[test]
fn protocols_j_1_64_bit_integers_are_text_out_and_either_in() {
    check(
        Schema::Proto3,
        &[
            same!(r#"{"i64":"9007199254740993"}"#),
            Text(r#"{"i64":9007199254740993}"#, Some(r#"{"i64":"9007199254740993"}"#)),
            Text(r#"{"u64":18446744073709551615}"#, Some(r#"{"u64":"18446744073709551615"}"#)),
            Text(r#"{"s64":-9223372036854775808}"#, Some(r#"{"s64":"-9223372036854775808"}"#)),
            Text(r#"{"i64":1e2}"#, Some(r#"{"i64":"100"}"#)),
            Text(r#"{"i64":"1e2"}"#, Some(r#"{"i64":"100"}"#)),
            Text(r#"{"i64":1.0}"#, Some(r#"{"i64":"1"}"#)),
            Text(r#"{"i32":1E+2,"u32":"10e-1"}"#, Some(r#"{"i32":100,"u32":1}"#)),
            Text(r#"{"i64":9.223372036854775807e18}"#, Some(r#"{"i64":"9223372036854775807"}"#)),
            refused!(r#"{"i64":9.223372036854775808e18}"#),
            refused!(r#"{"i64":"9223372036854775808"}"#),
            refused!(r#"{"u64":18446744073709551616}"#),
            refused!(r#"{"i64":1.5}"#),
            refused!(r#"{"i64":"1.5"}"#),
            refused!(r#"{"i64":1e-1}"#),
            refused!(r#"{"i64":" 1"}"#),
            refused!(r#"{"i64":"1 "}"#),
            refused!(r#"{"i64":""}"#),
            refused!(r#"{"i64":"0x10"}"#),
            refused!(r#"{"i64":"+1"}"#),
            refused!(r#"{"i64":"01"}"#),
            refused!(r#"{"i64":01}"#),
            refused!(r#"{"i64":true}"#),
            refused!(r#"{"i64":1e99999999999}"#),
            Text(r#"{"i64":0e99999999999}"#, Some("{}")),
            Wire("20 ff ff ff ff ff ff ff ff ff 01", Some(r#"{"i64":"-1"}"#)),
            Wire("30 ff ff ff ff ff ff ff ff ff 01", Some(r#"{"u64":"18446744073709551615"}"#)),
        ],
    );
}

#[test]
fn protocols_j_2_numbers_keep_to_their_range_and_zero_keeps_its_sign() {
    check(
        Schema::Proto3,
        &[
            same!(r#"{"i32":2147483647,"s32":-2147483648}"#),
            refused!(r#"{"i32":2147483648}"#),
            refused!(r#"{"i32":-2147483649}"#),
            same!(r#"{"u32":4294967295}"#),
            refused!(r#"{"u32":4294967296}"#),
            refused!(r#"{"u32":-1}"#),
            refused!(r#"{"x64":"-1"}"#),
            Text(r#"{"u32":-0}"#, Some("{}")),
            same!(r#"{"d":-0.0}"#),
            same!(r#"{"f":-0.0}"#),
            Text(r#"{"d":0.0}"#, Some("{}")),
            same!(r#"{"d":1.7976931348623157e308}"#),
            refused!(r#"{"d":1.8e308}"#),
            refused!(r#"{"d":-1e999}"#),
            Text(r#"{"d":1e-999}"#, Some("{}")),
            same!(r#"{"f":3.4028235e38}"#),
            refused!(r#"{"f":3.5e38}"#),
            refused!(r#"{"f":"-3.5e38"}"#),
            same!(r#"{"d":"NaN","f":"NaN"}"#),
            same!(r#"{"d":"Infinity","f":"-Infinity"}"#),
            refused!(r#"{"d":NaN}"#),
            refused!(r#"{"d":Infinity}"#),
            refused!(r#"{"d":"nan"}"#),
            refused!(r#"{"d":"inf"}"#),
            refused!(r#"{"d":"+Infinity"}"#),
            refused!(r#"{"i32":"NaN"}"#),
            Text(r#"{"d":"1.5"}"#, Some(r#"{"d":1.5}"#)),
            refused!(r#"{"d":"1.5 "}"#),
            refused!(r#"{"d":".5"}"#),
            refused!(r#"{"d":1.}"#),
            same!(r#"{"d":5e-324}"#),
            // Halfway between two doubles: to even.
            Text(r#"{"d":9007199254740993.0}"#, Some(r#"{"d":9007199254740992.0}"#)),
            // Numbers wider than their type on the wire lose their high bits.
            Wire("18 ff ff ff ff ff ff ff ff ff 01", Some(r#"{"i32":-1}"#)),
            Wire("18 80 80 80 80 10", Some("{}")),
            Wire("68 02", Some(r#"{"b":true}"#)),
            Wire("09 00 00 00 00 00 00 f8 ff", Some(r#"{"d":"NaN"}"#)),
            Wire("15 00 00 80 7f", Some(r#"{"f":"Infinity"}"#)),
        ],
    );
}

#[test]
fn protocols_j_3_base64_comes_in_two_alphabets_and_goes_out_in_one() {
    check(
        Schema::Proto3,
        &[
            same!(r#"{"raw":"+/8="}"#),
            Text(r#"{"raw":"-_8"}"#, Some(r#"{"raw":"+/8="}"#)),
            Text(r#"{"raw":"-_8="}"#, Some(r#"{"raw":"+/8="}"#)),
            Text(r#"{"raw":"AQ"}"#, Some(r#"{"raw":"AQ=="}"#)),
            Text(r#"{"raw":"\u0041Q=="}"#, Some(r#"{"raw":"AQ=="}"#)),
            Text(r#"{"raw":""}"#, Some("{}")),
            refused!(r#"{"raw":"A"}"#),
            refused!(r#"{"raw":"AQ==="}"#),
            refused!(r#"{"raw":"AQ==AQ=="}"#),
            refused!(r#"{"raw":"A Q="}"#),
            refused!(r#"{"raw":"AQ\n"}"#),
            refused!(r#"{"raw":"*"}"#),
            refused!(r#"{"raw":1}"#),
            same!(r#"{"wrappedRaw":""}"#),
            Wire("7a 02 fb ff", Some(r#"{"raw":"+/8="}"#)),
        ],
    );
}

#[test]
fn protocols_j_4_both_names_come_in_and_the_json_name_goes_out() {
    check(
        Schema::Proto3,
        &[
            same!(r#"{"someText":"a"}"#),
            Text(r#"{"some_text":"a"}"#, Some(r#"{"someText":"a"}"#)),
            Text(r#"{"some\u005ftext":"a"}"#, Some(r#"{"someText":"a"}"#)),
            same!(r#"{"other-name":"a"}"#),
            Text(r#"{"renamed":"a"}"#, Some(r#"{"other-name":"a"}"#)),
            refused!(r#"{"SomeText":"a"}"#),
            refused!(r#"{"some_text":"a","someText":"a"}"#),
            refused!(r#"{"someText":"a","someText":"a"}"#),
            refused!(r#"{"14":"a"}"#),
            refused!(r#"{"":1}"#),
        ],
    );
    check(
        Schema::Proto2,
        &[
            same!(r#"{"[t.ext_text]":"a"}"#),
            same!(r#"{"[t.ext_many]":[{"must":1},{}]}"#),
            same!(r#"{"[t.Scope.inside]":3}"#),
            refused!(r#"{"[t.ext_none]":"a"}"#),
            refused!(r#"{"ext_text":"a"}"#),
            refused!(r#"{"[.t.ext_text]":"a"}"#),
            Wire("a2 06 01 61", Some(r#"{"[t.ext_text]":"a"}"#)),
        ],
    );
}

#[test]
fn protocols_j_5_enums_go_by_name_and_null_is_null() {
    check(
        Schema::Proto3,
        &[
            same!(r#"{"e":"ONE"}"#),
            Text(r#"{"e":"UNO"}"#, Some(r#"{"e":"ONE"}"#)),
            Text(r#"{"e":-1}"#, Some(r#"{"e":"MINUS"}"#)),
            Text(r#"{"e":1.0}"#, Some(r#"{"e":"ONE"}"#)),
            same!(r#"{"e":7}"#),
            same!(r#"{"e":-2147483648}"#),
            refused!(r#"{"e":2147483648}"#),
            refused!(r#"{"e":"TWO"}"#),
            refused!(r#"{"e":"one"}"#),
            refused!(r#"{"e":"1"}"#),
            refused!(r#"{"e":true}"#),
            Text(r#"{"e":"ZERO"}"#, Some("{}")),
            same!(r#"{"enums":["ZERO","MINUS",5]}"#),
            Text(r#"{"nothing":null}"#, Some("{}")),
            Text(r#"{"nothing":"NULL_VALUE"}"#, Some("{}")),
            same!(r#"{"no":null}"#),
            Text(r#"{"no":"NULL_VALUE"}"#, Some(r#"{"no":null}"#)),
            same!(r#"{"maybeNo":null}"#),
            Wire("a0 03 00", Some(r#"{"maybeNo":null}"#)),
            same!(r#"{"nulls":[null,null]}"#),
            Text(r#"{"nulls":["NULL_VALUE",0]}"#, Some(r#"{"nulls":[null,null]}"#)),
            refused!(r#"{"no":null,"left":"a"}"#),
            Wire("80 01 07", Some(r#"{"e":7}"#)),
            Wire("d2 02 03 00 01 05", Some(r#"{"enums":["ZERO","ONE",5]}"#)),
            Wire("e0 01 00", Some(r#"{"no":null}"#)),
        ],
    );
}

#[test]
fn protocols_j_6_times_are_utc_out_and_in_range() {
    check(
        Schema::Proto3,
        &[
            same!(r#"{"at":"2026-11-24T12:00:00Z"}"#),
            same!(r#"{"at":"2026-11-24T12:00:00.500Z"}"#),
            same!(r#"{"at":"2026-11-24T12:00:00.000001Z"}"#),
            same!(r#"{"at":"2026-11-24T12:00:00.123456789Z"}"#),
            Text(
                r#"{"at":"2026-11-24T12:00:00.5Z"}"#,
                Some(r#"{"at":"2026-11-24T12:00:00.500Z"}"#),
            ),
            Text(r#"{"at":"2026-11-24T12:00:00+01:30"}"#, Some(r#"{"at":"2026-11-24T10:30:00Z"}"#)),
            Text(r#"{"at":"2026-11-24T12:00:00-08:00"}"#, Some(r#"{"at":"2026-11-24T20:00:00Z"}"#)),
            same!(r#"{"at":"0001-01-01T00:00:00Z"}"#),
            same!(r#"{"at":"9999-12-31T23:59:59.999999999Z"}"#),
            same!(r#"{"at":"1969-12-31T23:59:59.999999999Z"}"#),
            same!(r#"{"at":"2000-02-29T00:00:00Z"}"#),
            refused!(r#"{"at":"1900-02-29T00:00:00Z"}"#),
            refused!(r#"{"at":"2026-02-30T00:00:00Z"}"#),
            refused!(r#"{"at":"2026-13-01T00:00:00Z"}"#),
            refused!(r#"{"at":"2026-00-01T00:00:00Z"}"#),
            refused!(r#"{"at":"2026-11-24T24:00:00Z"}"#),
            // A leap second has no place in a Timestamp.
            refused!(r#"{"at":"2016-12-31T23:59:60Z"}"#),
            refused!(r#"{"at":"0000-12-31T23:59:59Z"}"#),
            refused!(r#"{"at":"0001-01-01T00:00:00+00:01"}"#),
            refused!(r#"{"at":"9999-12-31T23:59:59-00:01"}"#),
            refused!(r#"{"at":"10000-01-01T00:00:00Z"}"#),
            refused!(r#"{"at":"2026-11-24T12:00:00.1234567890Z"}"#),
            refused!(r#"{"at":"2026-11-24T12:00:00.Z"}"#),
            refused!(r#"{"at":"2026-11-24T12:00:00"}"#),
            refused!(r#"{"at":"2026-11-24 12:00:00Z"}"#),
            refused!(r#"{"at":"2026-11-24t12:00:00z"}"#),
            refused!(r#"{"at":"2026-11-24T12:00:00+0100"}"#),
            refused!(r#"{"at":" 2026-11-24T12:00:00Z"}"#),
            refused!(r#"{"at":1}"#),
            refused!(r#"{"at":{"seconds":1}}"#),
            Text(r#"{"at":null}"#, Some("{}")),
            Wire("f2 01 00", Some(r#"{"at":"1970-01-01T00:00:00Z"}"#)),
            // 253402300799 and one more; -62135596800 and one less.
            Wire("f2 01 07 08 ff 82 d1 ff af 07", Some(r#"{"at":"9999-12-31T23:59:59Z"}"#)),
            Wire("f2 01 07 08 80 83 d1 ff af 07", None),
            Wire(
                "f2 01 0b 08 80 92 b8 c3 98 fe ff ff ff 01",
                Some(r#"{"at":"0001-01-01T00:00:00Z"}"#),
            ),
            Wire("f2 01 0b 08 ff 91 b8 c3 98 fe ff ff ff 01", None),
            Wire("f2 01 06 10 ff 93 eb dc 03", Some(r#"{"at":"1970-01-01T00:00:00.999999999Z"}"#)),
            Wire("f2 01 06 10 80 94 eb dc 03", None),
            Wire("f2 01 0b 10 ff ff ff ff ff ff ff ff ff 01", None),
        ],
    );
}

#[test]
fn protocols_j_7_durations_have_one_sign_and_a_bound() {
    check(
        Schema::Proto3,
        &[
            same!(r#"{"took":"1s"}"#),
            Text(r#"{"took":"1.5s"}"#, Some(r#"{"took":"1.500s"}"#)),
            Text(r#"{"took":"-0.5s"}"#, Some(r#"{"took":"-0.500s"}"#)),
            Text(r#"{"took":"-0s"}"#, Some(r#"{"took":"0s"}"#)),
            same!(r#"{"took":"0.000000001s"}"#),
            same!(r#"{"took":"315576000000s"}"#),
            same!(r#"{"took":"-315576000000s"}"#),
            same!(r#"{"took":"315576000000.999999999s"}"#),
            same!(r#"{"took":"-315576000000.999999999s"}"#),
            refused!(r#"{"took":"315576000001s"}"#),
            refused!(r#"{"took":"-315576000001s"}"#),
            refused!(r#"{"took":"1"}"#),
            refused!(r#"{"took":"s"}"#),
            refused!(r#"{"took":".5s"}"#),
            refused!(r#"{"took":"1.s"}"#),
            refused!(r#"{"took":"+1s"}"#),
            refused!(r#"{"took":"1e3s"}"#),
            refused!(r#"{"took":"1.0000000001s"}"#),
            refused!(r#"{"took":"1 s"}"#),
            refused!(r#"{"took":1}"#),
            Wire("fa 01 00", Some(r#"{"took":"0s"}"#)),
            Wire("fa 01 0b 10 80 b6 ca 91 fe ff ff ff ff 01", Some(r#"{"took":"-0.500s"}"#)),
            // Seconds and nanos of two signs.
            Wire("fa 01 0d 08 01 10 ff ff ff ff ff ff ff ff ff 01", None),
            Wire("fa 01 0d 08 ff ff ff ff ff ff ff ff ff 01 10 01", None),
            // 315576000000 and one more.
            Wire("fa 01 07 08 80 bc ae ce 97 09", Some(r#"{"took":"315576000000s"}"#)),
            Wire("fa 01 07 08 81 bc ae ce 97 09", None),
            Wire("fa 01 06 10 80 94 eb dc 03", None),
        ],
    );
}

#[test]
fn protocols_j_8_masks_survive_the_round_trip_or_are_refused() {
    check(
        Schema::Proto3,
        &[
            same!(r#"{"mask":"someText,sub.i32"}"#),
            same!(r#"{"mask":""}"#),
            refused!(r#"{"mask":"some_text"}"#),
            refused!(r#"{"mask":["someText"]}"#),
            Wire("82 02 0b 0a 09 73 6f 6d 65 5f 74 65 78 74", Some(r#"{"mask":"someText"}"#)),
            // someText: a capital would come back as an underscore.
            Wire("82 02 0a 0a 08 73 6f 6d 65 54 65 78 74", None),
            // a__b, a_1, a_: lowerCamel cannot say them.
            Wire("82 02 06 0a 04 61 5f 5f 62", None),
            Wire("82 02 05 0a 03 61 5f 31", None),
            Wire("82 02 04 0a 02 61 5f", None),
        ],
    );
}

#[test]
fn protocols_j_9_an_any_holds_a_type_of_the_contract() {
    check(
        Schema::Proto3,
        &[
            same!(r#"{"any":{"@type":"type.googleapis.com/t.M","i32":1}}"#),
            Text(
                r#"{"any":{"i32":1,"@type":"x/t.M"}}"#,
                Some(r#"{"any":{"@type":"x/t.M","i32":1}}"#),
            ),
            Text(
                r#"{"any":{"i32":1,"@type":"a.b/c/t.M","b":true}}"#,
                Some(r#"{"any":{"@type":"a.b/c/t.M","i32":1,"b":true}}"#),
            ),
            Text(r#"{"any":{"sub":{"any":{"@type":"no/such"}},"@type":"x/t.M"}}"#, None),
            same!(r#"{"any":{"@type":"x/t.M"}}"#),
            same!(r#"{"any":{}}"#),
            same!(r#"{"any":{"@type":"x/google.protobuf.Duration","value":"1s"}}"#),
            Text(
                r#"{"any":{"value":"1s","@type":"x/google.protobuf.Duration"}}"#,
                Some(r#"{"any":{"@type":"x/google.protobuf.Duration","value":"1s"}}"#),
            ),
            same!(r#"{"any":{"@type":"x/google.protobuf.Struct","value":{"a":[1,null]}}}"#),
            same!(r#"{"any":{"@type":"x/google.protobuf.Value","value":null}}"#),
            same!(r#"{"any":{"@type":"x/google.protobuf.Int64Value","value":"7"}}"#),
            same!(r#"{"any":{"@type":"x/google.protobuf.Any","value":{"@type":"x/t.M","i32":1}}}"#),
            same!(r#"{"any":{"@type":"x/google.protobuf.Any","value":{}}}"#),
            refused!(r#"{"any":{"i32":1}}"#),
            refused!(r#"{"any":{"@type":"x/t.Nope"}}"#),
            refused!(r#"{"any":{"@type":"t.M"}}"#),
            refused!(r#"{"any":{"@type":""}}"#),
            refused!(r#"{"any":{"@type":1}}"#),
            refused!(r#"{"any":{"@type":null}}"#),
            refused!(r#"{"any":{"@type":"x/t.M","@type":"x/t.M"}}"#),
            refused!(r#"{"any":{"@type":"x/t.M","nope":1}}"#),
            refused!(r#"{"any":{"@type":"x/google.protobuf.Duration"}}"#),
            refused!(r#"{"any":{"@type":"x/google.protobuf.Duration","value":"1s","more":1}}"#),
            refused!(r#"{"any":{"@type":"x/google.protobuf.Duration","value":"1s","value":"1s"}}"#),
            refused!(r#"{"any":[]}"#),
            // A type that nobody knows keeps its bytes: x/no, 01 02.
            Wire(
                "a2 02 0a 0a 04 78 2f 6e 6f 12 02 01 02",
                Some(r#"{"any":{"@type":"x/no","value":"AQI="}}"#),
            ),
            Wire("a2 02 00", Some(r#"{"any":{}}"#)),
            // A known type with bytes that are none of it.
            Wire("a2 02 09 0a 05 78 2f 74 2e 4d 12 01 08", None),
        ],
    );
}

/// `Any` in `Any`, so many, around an empty one.
fn nested_any(levels: usize) -> Vec<u8> {
    let mut any = Vec::new();
    for _ in 0..levels {
        let inner = any;
        any = Vec::new();
        tandem_contract::fields::put_bytes(1, b"x/google.protobuf.Any", &mut any);
        tandem_contract::fields::put_bytes(2, &inner, &mut any);
    }
    let mut message = Vec::new();
    tandem_contract::fields::put_bytes(36, &any, &mut message);
    message
}

#[test]
fn protocols_j_9_deeper_than_32_an_any_is_kept_unread() {
    let both = Schema::Proto3.both();
    for (levels, unread) in [(32, false), (33, true), (34, true), (200, true)] {
        let json = both.json(&nested_any(levels)).unwrap();
        let mut value = &parsed(&json)["any"];
        let mut steps = 0;
        while value["value"].is_object() {
            value = &value["value"];
            steps += 1;
        }
        assert_eq!(value["value"].is_string(), unread, "{levels}: {json}");
        assert_eq!(steps, levels.min(32), "{levels}: {json}");
    }
}

#[test]
fn protocols_j_10_wrappers_structs_and_null() {
    check(
        Schema::Proto3,
        &[
            same!(r#"{"wrapped":"0","wrappedText":"","wrappedBool":false}"#),
            Text(r#"{"wrapped":0}"#, Some(r#"{"wrapped":"0"}"#)),
            Text(r#"{"wrapped":null}"#, Some("{}")),
            refused!(r#"{"wrapped":{"value":1}}"#),
            same!(r#"{"wrappedDouble":"NaN"}"#),
            same!(r#"{"wrappeds":["1","2"]}"#),
            refused!(r#"{"wrappeds":[null]}"#),
            same!(r#"{"structure":{"a":[1,null,{"b":true,"":"x"}]}}"#),
            same!(r#"{"structure":{}}"#),
            refused!(r#"{"structure":[]}"#),
            refused!(r#"{"structure":{"a":1,"a":2}}"#),
            Text(r#"{"structure":null}"#, Some("{}")),
            same!(r#"{"value":null}"#),
            same!(r#"{"value":"NaN"}"#),
            same!(r#"{"value":[[],{}]}"#),
            refused!(r#"{"value":1e999}"#),
            same!(r#"{"anyValue":null}"#),
            refused!(r#"{"anyValue":null,"left":"a"}"#),
            same!(r#"{"values":[null,1]}"#),
            same!(r#"{"valueMap":{"a":null}}"#),
            same!(r#"{"list":[]}"#),
            refused!(r#"{"list":{}}"#),
            same!(r#"{"empty":{}}"#),
            refused!(r#"{"empty":{"a":1}}"#),
            refused!(r#"{"empty":[]}"#),
            Text(
                r#"{"i32":null,"sub":null,"many":null,"byText":null,"maybe":null,"left":null}"#,
                Some("{}"),
            ),
            // null sets no member of a oneof.
            Text(r#"{"left":null,"right":1}"#, Some(r#"{"right":1}"#)),
            Text(r#"{"nulls":null}"#, Some("{}")),
            Text(r#"{"values":null}"#, Some("{}")),
            refused!(r#"{"many":[null]}"#),
            refused!(r#"{"subs":[null]}"#),
            refused!(r#"{"texts":["a",null]}"#),
            refused!(r#"{"byText":{"a":null}}"#),
            refused!(r#"{"byNumber":{"1":null}}"#),
            // A Value of NaN, and one of nothing.
            Wire("92 02 09 11 00 00 00 00 00 00 f8 7f", None),
            Wire("92 02 09 11 00 00 00 00 00 00 f0 7f", None),
            Wire("92 02 00", None),
            Wire("aa 02 00", Some(r#"{"wrapped":"0"}"#)),
        ],
    );
}

#[test]
fn protocols_j_11_keys_are_text_once_and_text_is_unicode() {
    check(
        Schema::Proto3,
        &[
            same!(r#"{"byText":{"":"1","a b":"2"}}"#),
            same!(r#"{"byNumber":{"-3":{},"0":{}}}"#),
            same!(r#"{"byBool":{"true":"x","false":"y"}}"#),
            same!(r#"{"byU64":{"18446744073709551615":"x"}}"#),
            refused!(r#"{"byText":{"a":1,"a":2}}"#),
            refused!(r#"{"byText":{"a":1,"\u0061":2}}"#),
            refused!(r#"{"byNumber":{"1":{},"1":{}}}"#),
            // Two spellings of one key.
            refused!(r#"{"byNumber":{"1":{},"1.0":{}}}"#),
            refused!(r#"{"byNumber":{"10":{},"1e1":{}}}"#),
            refused!(r#"{"byNumber":{"1":{},"01":{}}}"#),
            refused!(r#"{"byNumber":{"01":{}}}"#),
            refused!(r#"{"byNumber":{"":{}}}"#),
            refused!(r#"{"byNumber":{"a":{}}}"#),
            refused!(r#"{"byNumber":{"2147483648":{}}}"#),
            refused!(r#"{"byU64":{"-1":"x"}}"#),
            refused!(r#"{"byBool":{"1":"x"}}"#),
            refused!(r#"{"byBool":{"True":"x"}}"#),
            refused!(r#"{"byText":[]}"#),
            same!(r#"{"someText":"é😀"}"#),
            Text(r#"{"someText":"\u00e9\ud83d\ude00"}"#, Some(r#"{"someText":"é😀"}"#)),
            Text(r#"{"someText":"\/\b\f\n\r\t\"\\"}"#, Some(r#"{"someText":"/\b\f\n\r\t\"\\"}"#)),
            same!(r#"{"someText":"\u0000\u001f"}"#),
            refused!(r#"{"someText":"\ud800"}"#),
            refused!(r#"{"someText":"\udc00"}"#),
            refused!(r#"{"someText":"\ud800\ud800"}"#),
            refused!(r#"{"someText":"\ud800x"}"#),
            refused!(r#"{"someText":"\ud83d\u0041"}"#),
            refused!(r#"{"someText":"\u00g0"}"#),
            refused!(r#"{"someText":"\x"}"#),
            refused!("{\"someText\":\"\u{1}\"}"),
            refused!(r#"{"nope\ud800":1}"#),
            // c3 28 is no UTF-8; nor are c0 80 (overlong) and ed a0 80 (a surrogate).
            Wire("72 02 c3 28", None),
            Wire("72 02 c0 80", None),
            Wire("72 03 ed a0 80", None),
            Wire("72 03 e2 82 ac", Some(r#"{"someText":"€"}"#)),
        ],
    );
    let both = Schema::Proto3.both();
    let id = both.plans.contract().message_named("t.M").unwrap();
    for text in [
        &b"{\"someText\":\"\xc3\x28\"}"[..],
        b"{\"someText\":\"\xc0\x80\"}",
        b"{\"someText\":\"\xed\xa0\x80\"}",
        b"{\"\xff\":1}",
    ] {
        let (options, limits) =
            (JsonOptions { ignore_unknown: true, ..JsonOptions::default() }, Limits::default());
        assert!(wire_from_json(&both.plans, id, text, &options, &limits).is_err(), "{text:?}");
    }
}

#[test]
fn protocols_j_12_ignored_unknowns_leave_nothing_behind() {
    let options = JsonOptions { ignore_unknown: true, ..JsonOptions::default() };
    check_with(
        Schema::Proto3,
        &options,
        &[
            Text(r#"{"nope":{"a":[1,{"b":null}]},"i32":1}"#, Some(r#"{"i32":1}"#)),
            Text(r#"{"e":"TWO"}"#, Some("{}")),
            Text(r#"{"enums":["ONE","TWO","MINUS"]}"#, Some(r#"{"enums":["ONE","MINUS"]}"#)),
            Text(r#"{"enums":["TWO"]}"#, Some("{}")),
            Text(r#"{"enumMap":{"a":"TWO","b":"ONE"}}"#, Some(r#"{"enumMap":{"b":"ONE"}}"#)),
            Text(r#"{"sub":{"nope":1,"e":"TWO"}}"#, Some(r#"{"sub":{}}"#)),
            Text(r#"{"any":{"@type":"x/t.M","nope":1}}"#, Some(r#"{"any":{"@type":"x/t.M"}}"#)),
            Text(r#"{"empty":{"nope":1}}"#, Some(r#"{"empty":{}}"#)),
            Text(r#"{"[t.nope]":1}"#, Some("{}")),
            // What is ignored is still JSON, and a known field is still checked.
            refused!(r#"{"nope":01}"#),
            refused!(r#"{"nope":{"a":}}"#),
            refused!(r#"{"nope":"\ud800"}"#),
            refused!(r#"{"i32":"x"}"#),
            refused!(r#"{"e":true}"#),
            refused!(r#"{"e":2147483648}"#),
            refused!(r#"{"i32":1,"i32":1}"#),
        ],
    );
    check_with(
        Schema::Proto2,
        &options,
        &[Text(
            r#"{"closed":"NONE","closeds":["FIRST","NONE"]}"#,
            Some(r#"{"closeds":["FIRST"]}"#),
        )],
    );
}

#[test]
fn protocols_j_13_proto2_and_editions() {
    check(
        Schema::Proto2,
        &[
            // A required field may be missing: whether that is an error is the upstream's to say.
            same!("{}"),
            same!(r#"{"must":0}"#),
            same!(r#"{"maybe":0,"text":""}"#),
            same!(r#"{"closed":"FIRST"}"#),
            refused!(r#"{"closed":7}"#),
            refused!(r#"{"closed":0}"#),
            same!(r#"{"inner":{"deep":1,"again":{"must":2}}}"#),
            same!(r#"{"each":[{"text":"a"},{}]}"#),
            same!(r#"{"unpacked":[1,2]}"#),
            // Numbers outside of a closed enum are unknown fields.
            Wire("18 07", Some("{}")),
            Wire("18 01 18 07", Some(r#"{"closed":"FIRST"}"#)),
            Wire("20 01 20 07 20 02", Some(r#"{"closeds":["FIRST","SECOND"]}"#)),
            Wire("22 03 01 07 02", Some(r#"{"closeds":["FIRST","SECOND"]}"#)),
            Wire("42 05 0a 01 61 10 01", Some(r#"{"closedMap":{"a":"FIRST"}}"#)),
            Wire("42 05 0a 01 61 10 07", Some("{}")),
            Wire("42 07 0a 01 61 10 01 10 07", Some("{}")),
            Wire("42 07 0a 01 61 10 07 10 01", Some(r#"{"closedMap":{"a":"FIRST"}}"#)),
            // An entry that is left out leaves the one before it.
            Wire("42 02 10 01 42 03 10 e8 07", Some(r#"{"closedMap":{"":"FIRST"}}"#)),
            Wire(
                "42 05 0a 01 61 10 02 42 05 0a 01 61 10 07",
                Some(r#"{"closedMap":{"a":"SECOND"}}"#),
            ),
            // An unknown number does not take the place of the other member.
            Wire("60 05 58 07", Some(r#"{"other":5}"#)),
            Wire("60 05 58 02", Some(r#"{"chosen":"SECOND"}"#)),
            Wire("33 08 05 34", Some(r#"{"inner":{"deep":5}}"#)),
            Wire("3b 0a 01 61 3c 3b 3c", Some(r#"{"each":[{"text":"a"},{}]}"#)),
            // A group that does not end, one that ends as another, an end without a beginning.
            Wire("33 08 05", None),
            Wire("33 08 05 3c", None),
            Wire("34", None),
            // A string of proto2 may be no UTF-8.
            Wire("2a 01 ff", Some("{\"text\":\"\u{fffd}\"}")),
        ],
    );
    check(
        Schema::Edition,
        &[
            same!(r#"{"explicit":0}"#),
            Text(r#"{"implicit":0}"#, Some("{}")),
            same!(r#"{"must":0}"#),
            same!(r#"{"closed":"ZERO"}"#),
            refused!(r#"{"closed":7}"#),
            same!(r#"{"delimited":{"delimited":{}},"each":[{},{"implicit":1}]}"#),
            Wire("23 10 01 24", Some(r#"{"delimited":{"implicit":1}}"#)),
            Wire("2b 2c 2b 10 01 2c", Some(r#"{"each":[{},{"implicit":1}]}"#)),
            Wire("18 07", Some("{}")),
        ],
    );
    let wire = |schema: Schema, text: &str| schema.both().wire(text).unwrap();
    assert_eq!(wire(Schema::Proto2, r#"{"inner":{"deep":5}}"#), bytes("33 08 05 34"));
    assert_eq!(wire(Schema::Proto2, r#"{"unpacked":[1,2]}"#), bytes("48 01 48 02"));
    assert_eq!(wire(Schema::Edition, r#"{"delimited":{"implicit":1}}"#), bytes("23 10 01 24"));
    assert_eq!(wire(Schema::Edition, r#"{"many":[1,2]}"#), bytes("3a 02 01 02"));
}

#[test]
fn protocols_j_14_what_stands_twice_is_merged_or_the_last_counts() {
    check(
        Schema::Proto3,
        &[
            // Scalars: the last. Also when it is the default.
            Wire("18 01 18 02", Some(r#"{"i32":2}"#)),
            Wire("18 01 18 00", Some("{}")),
            Wire("18 01 68 01 18 02", Some(r#"{"i32":2,"b":true}"#)),
            Wire("72 01 61 72 01 62", Some(r#"{"someText":"b"}"#)),
            Wire("c0 01 01 c0 01 00", Some(r#"{"maybe":0}"#)),
            // Messages: in pieces, one inside the other, and with something between.
            Wire("8a 01 02 18 01 8a 01 02 68 01", Some(r#"{"sub":{"i32":1,"b":true}}"#)),
            Wire("8a 01 02 18 01 18 05 8a 01 02 18 02", Some(r#"{"i32":5,"sub":{"i32":2}}"#)),
            Wire(
                "8a 01 05 8a 01 02 18 01 8a 01 05 8a 01 02 68 01",
                Some(r#"{"sub":{"sub":{"i32":1,"b":true}}}"#),
            ),
            Wire("8a 01 02 18 01 8a 01 00", Some(r#"{"sub":{"i32":1}}"#)),
            Wire("8a 01 04 90 01 01 18 8a 01 03 90 01 02", None),
            Wire("8a 01 03 90 01 01 8a 01 03 90 01 02", Some(r#"{"sub":{"many":[1,2]}}"#)),
            // Lists: scattered, packed and not.
            Wire("90 01 01 18 05 90 01 02", Some(r#"{"i32":5,"many":[1,2]}"#)),
            Wire("92 01 02 01 02 90 01 03 92 01 01 04", Some(r#"{"many":[1,2,3,4]}"#)),
            Wire("92 01 00", Some("{}")),
            Wire("a2 01 00 68 01 a2 01 02 18 01", Some(r#"{"b":true,"subs":[{},{"i32":1}]}"#)),
            // Oneofs: the last member; the same message member is merged.
            Wire("ca 01 01 61 d0 01 07", Some(r#"{"right":7}"#)),
            Wire("d0 01 07 ca 01 01 61", Some(r#"{"left":"a"}"#)),
            Wire("da 01 02 18 01 da 01 02 68 01", Some(r#"{"third":{"i32":1,"b":true}}"#)),
            Wire("da 01 02 18 01 d0 01 07 da 01 02 68 01", Some(r#"{"third":{"b":true}}"#)),
            Wire("d0 01 00", Some(r#"{"right":0}"#)),
            // Maps: the last entry; key or value missing, or twice, or the value first.
            Wire(
                "aa 01 05 0a 01 61 10 01 aa 01 05 0a 01 61 10 02",
                Some(r#"{"byText":{"a":"2"}}"#),
            ),
            Wire(
                "aa 01 05 0a 01 61 10 01 68 01 aa 01 05 0a 01 62 10 02",
                Some(r#"{"b":true,"byText":{"a":"1","b":"2"}}"#),
            ),
            Wire("aa 01 00", Some(r#"{"byText":{"":"0"}}"#)),
            Wire("aa 01 03 0a 01 61", Some(r#"{"byText":{"a":"0"}}"#)),
            Wire("aa 01 02 10 05", Some(r#"{"byText":{"":"5"}}"#)),
            Wire("aa 01 05 10 05 0a 01 61", Some(r#"{"byText":{"a":"5"}}"#)),
            Wire("aa 01 07 0a 01 61 10 01 10 02", Some(r#"{"byText":{"a":"2"}}"#)),
            Wire("aa 01 08 0a 01 61 0a 01 62 10 01", Some(r#"{"byText":{"b":"1"}}"#)),
            Wire("aa 01 07 0a 01 61 10 01 18 09", Some(r#"{"byText":{"a":"1"}}"#)),
            Wire("b2 01 02 08 01", Some(r#"{"byNumber":{"1":{}}}"#)),
            Wire(
                "b2 01 0a 08 01 12 02 18 01 12 02 68 01",
                Some(r#"{"byNumber":{"1":{"i32":1,"b":true}}}"#),
            ),
            // An entry replaces another whole: its message is not merged.
            Wire(
                "b2 01 06 08 01 12 02 18 01 b2 01 06 08 01 12 02 68 01",
                Some(r#"{"byNumber":{"1":{"b":true}}}"#),
            ),
            // Well-known types are messages too.
            Wire("f2 01 02 08 01 f2 01 02 10 00", Some(r#"{"at":"1970-01-01T00:00:01Z"}"#)),
            Wire("92 02 02 20 01 92 02 03 1a 01 61", Some(r#"{"value":"a"}"#)),
            Wire("82 02 03 0a 01 61 82 02 03 0a 01 62", Some(r#"{"mask":"a,b"}"#)),
            Wire("aa 02 02 08 01 aa 02 02 08 02", Some(r#"{"wrapped":"2"}"#)),
        ],
    );
}

#[test]
fn protocols_j_15_unknown_fields_do_not_appear() {
    check(
        Schema::Proto3,
        &[
            Wire("c0 3e 01 18 02", Some(r#"{"i32":2}"#)),
            Wire("c2 3e 01 61 c1 3e 01 02 03 04 05 06 07 08 c5 3e 01 02 03 04", Some("{}")),
            Wire("c3 3e 08 01 c3 3e c4 3e c4 3e 18 02", Some(r#"{"i32":2}"#)),
            // A known number with a wire type that does not fit.
            Wire("1a 01 61", Some("{}")),
            Wire("1d 01 02 03 04", Some("{}")),
            Wire("70 01", Some("{}")),
            Wire("88 01 05", Some("{}")),
            Wire("1b 1c", Some("{}")),
            Wire("18 05 1a 01 61", Some(r#"{"i32":5}"#)),
            // The number 0, numbers above 2^29 - 1, wire types 6 and 7.
            Wire("00 01", None),
            Wire("80 80 80 80 10 01", None),
            Wire("1e", None),
            Wire("1f", None),
            // Cut off.
            Wire("18", None),
            Wire("72 05 61", None),
            Wire("c2 3e 05 61", None),
            Wire("09 00", None),
            // Eleven bytes of a number.
            Wire("18 ff ff ff ff ff ff ff ff ff ff 01", None),
        ],
    );
}

#[test]
fn protocols_j_16_depth_and_size_are_counted() {
    let both = Schema::Proto3.both();
    let id = both.plans.contract().message_named("t.M").unwrap();
    let options = JsonOptions::default();
    let limits = Limits { json_depth: 4, json_nodes: 9, wire_depth: 5, any_depth: 2 };
    let reads = |text: &str| wire_from_json(&both.plans, id, text.as_bytes(), &options, &limits);
    for (text, taken) in [
        (r#"{"sub":{"sub":{"sub":{}}}}"#, true),
        (r#"{"sub":{"sub":{"sub":{"sub":{}}}}}"#, false),
        (r#"{"sub":{"sub":{"many":[]}}}"#, true),
        (r#"{"sub":{"sub":{"sub":{"many":[]}}}}"#, false),
        // The object, the list and its elements are nine values, and ten.
        (r#"{"many":[1,2,3,4,5,6,7]}"#, true),
        (r#"{"many":[1,2,3,4,5,6,7,8]}"#, false),
        (r#"{"i32":1,"b":true,"byText":{"a":1,"b":2,"c":3,"d":4,"e":5}}"#, true),
        (r#"{"i32":1,"b":true,"byText":{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6}}"#, false),
    ] {
        assert_eq!(reads(text).is_ok(), taken, "{text}");
    }
    let writes = |wire: &str| json_from_wire(&both.plans, id, &bytes(wire), &options, &limits);
    for (wire, written) in [
        ("8a 01 09 8a 01 06 8a 01 03 8a 01 00", true),
        ("8a 01 0c 8a 01 09 8a 01 06 8a 01 03 8a 01 00", false),
        // A map entry is a level of its own.
        ("8a 01 0b 8a 01 08 b2 01 05 08 01 12 01 00", false),
        ("8a 01 0a 8a 01 07 b2 01 04 08 01 12 00", true),
        ("8a 01 0d 8a 01 0a 8a 01 07 b2 01 04 08 01 12 00", false),
        // Unknown groups are counted as well.
        ("c3 3e c3 3e c3 3e c3 3e c4 3e c4 3e c4 3e c4 3e", true),
    ] {
        assert_eq!(writes(wire).is_ok(), written, "{wire}");
    }
}

#[test]
fn protocols_j_17_each_option_changes_what_is_written() {
    let wire = "18 05 20 05 30 80 80 80 80 80 80 80 10 72 01 61 80 01 01";
    let plain = JsonOptions::default();
    for (options, expected) in [
        (plain, r#"{"i32":5,"i64":"5","u64":"9007199254740992","someText":"a","e":"ONE"}"#),
        (
            JsonOptions { enum_numbers: true, ..plain },
            r#"{"i32":5,"i64":"5","u64":"9007199254740992","someText":"a","e":1}"#,
        ),
        (
            JsonOptions { proto_names: true, ..plain },
            r#"{"i32":5,"i64":"5","u64":"9007199254740992","some_text":"a","e":"ONE"}"#,
        ),
        (
            // Beyond 2^53 - 1 a number is still text.
            JsonOptions { int64_numbers: true, ..plain },
            r#"{"i32":5,"i64":5,"u64":"9007199254740992","someText":"a","e":"ONE"}"#,
        ),
    ] {
        check_with(Schema::Proto3, &options, &[Wire(wire, Some(expected))]);
    }
    let numbers = JsonOptions { int64_numbers: true, ..plain };
    check_with(
        Schema::Proto3,
        &numbers,
        &[
            Wire("30 ff ff ff ff ff ff ff 0f", Some(r#"{"u64":9007199254740991}"#)),
            Wire("20 81 80 80 80 80 80 80 f0 ff 01", Some(r#"{"i64":-9007199254740991}"#)),
            Wire("20 80 80 80 80 80 80 80 f0 ff 01", Some(r#"{"i64":"-9007199254740992"}"#)),
            Wire("aa 02 02 08 05", Some(r#"{"wrapped":5}"#)),
            Wire("aa 01 05 0a 01 61 10 01", Some(r#"{"byText":{"a":1}}"#)),
            // Keys are text whatever they count.
            Wire("f2 02 05 08 01 12 01 61", Some(r#"{"byU64":{"1":"a"}}"#)),
        ],
    );
    let emit = JsonOptions { emit_defaults: true, ..plain };
    check_with(
        Schema::Edition,
        &emit,
        &[
            Wire("", Some(r#"{"implicit":0,"each":[],"many":[]}"#)),
            Wire("08 00", Some(r#"{"explicit":0,"implicit":0,"each":[],"many":[]}"#)),
        ],
    );
    let both = Schema::Proto3.both();
    let id = both.plans.contract().message_named("t.M").unwrap();
    let json = json_from_wire(&both.plans, id, b"", &emit, &Limits::default()).unwrap();
    let json = parsed(&String::from_utf8(json).unwrap());
    for (key, expected) in [
        ("d", Some("0.0")),
        ("i64", Some(r#""0""#)),
        ("b", Some("false")),
        ("someText", Some(r#""""#)),
        ("raw", Some(r#""""#)),
        ("e", Some(r#""ZERO""#)),
        ("many", Some("[]")),
        ("byText", Some("{}")),
        ("nothing", Some("null")),
        ("sub", None),
        ("maybe", None),
        ("left", None),
        ("at", None),
        ("wrapped", None),
        ("value", None),
    ] {
        let same = match (json.get(key), expected.map(parsed)) {
            (Some(ours), Some(expected)) => difference(ours, &expected).is_none(),
            (ours, expected) => ours.is_none() && expected.is_none(),
        };
        assert!(same, "{key}: {:?} and not {expected:?}", json.get(key));
    }
}
