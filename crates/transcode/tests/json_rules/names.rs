//! Names of fields, enums and map keys, and what is unknown (J-4, J-5, J-11, J-12, J-15).

use tandem_transcode::{JsonOptions, Limits, wire_from_json};

use super::Row::{Text, Wire};
use super::{Schema, check, check_with};

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
