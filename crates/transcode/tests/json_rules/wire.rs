//! What files and bytes may say beside proto3: proto2, editions, bytes out of order (J-13, J-14).

use super::Row::{Text, Wire};
use super::{Schema, bytes, check};

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
