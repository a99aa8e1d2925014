//! Numbers and bytes (J-1 to J-3).

use super::Row::{Text, Wire};
use super::{Schema, check};

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
