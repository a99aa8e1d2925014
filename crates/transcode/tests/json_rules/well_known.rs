//! Types with a JSON form of their own (J-6 to J-10).

use super::Row::{Text, Wire};
use super::{Schema, check};
use crate::generated::parsed;

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
