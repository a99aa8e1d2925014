//! Values of settings against the rules of their contract (hybrid SE-1): both sides of each limit,
//! the words, and the nearest value.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::sync::Arc;

use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};
use tandem_config::Tnd;
use tandem_config::settings::{RuleNotHeld, SettingsMessage, VALUES_BYTES_MOST};
use tandem_contract::Contract;

/// The rules of the standard that these tests write, with its numbers.
const VALIDATE: &str = include_str!("parts/validate.proto");

struct Files(String);

impl FileResolver for Files {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match name {
            "one.proto" => File::from_source(name, &self.0),
            "buf/validate/validate.proto" => File::from_source(name, VALIDATE),
            _ => Err(protox::Error::file_not_found(name)),
        }
    }
}

/// The message `S` with these fields; beside it an enum `E` and a message `Inner`.
fn settings(fields: &str) -> Result<SettingsMessage, Vec<RuleNotHeld>> {
    let text = format!(
        "syntax = \"proto3\"; package p; import \"buf/validate/validate.proto\";\n\
         import \"google/protobuf/wrappers.proto\"; import \"google/protobuf/duration.proto\";\n\
         enum E {{ NONE = 0; RED = 1; BLUE = 2; }}\n\
         message Inner {{ int32 depth = 1 [(buf.validate.field).int32.lte = 3]; Inner inner = 2; }}\n\
         message S {{ {fields} }}\n"
    );
    let mut resolver = ChainFileResolver::new();
    resolver.add(Files(text));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true);
    compiler.open_file("one.proto").unwrap_or_else(|error| panic!("{fields}: {error}"));
    let set = compiler.encode_file_descriptor_set();
    let contract = Arc::new(Contract::from_descriptor_set(&set).unwrap());
    let message = contract.message_named("p.S").unwrap();
    SettingsMessage::new(contract, message)
}

/// What is told of `json`: each violation, with the nearest value behind an arrow.
fn told(fields: &str, json: &str) -> Vec<String> {
    let settings = settings(fields).unwrap_or_else(|faults| panic!("{fields}: {faults:?}"));
    let violations = settings.check(json).err().unwrap_or_default();
    let arrow = |nearest: &Option<String>| match nearest {
        Some(nearest) => format!(" → {nearest}"),
        None => String::new(),
    };
    violations.iter().map(|one| format!("{one}{}", arrow(&one.nearest))).collect()
}

/// `field` of `S` called `f`, with one rule, given `value`.
fn check(field: &str, rule: &str, value: &str, expected: Option<&str>) {
    let fields = format!("{field} f = 1 [(buf.validate.field).{rule}];");
    let found = told(&fields, &format!("{{\"f\": {value}}}"));
    let expected: Vec<String> = expected.iter().map(|text| format!("f {text}")).collect();
    assert_eq!(found, expected, "{field} with {rule} given {value}");
}

#[test]
fn hybrid_se_1_integers_and_their_ranges() {
    let lte = "int32 = {gte: 0, lte: 60}";
    check("int32", lte, "60", None);
    check("int32", lte, "0", None);
    check("int32", lte, "61", Some("is at most 60 (rule int32.lte) → 60"));
    check("int32", lte, "90", Some("is at most 60 (rule int32.lte) → 60"));
    check("int32", lte, "-1", Some("is at least 0 (rule int32.gte) → 0"));
    check("int32", "int32 = {gt: 0, lt: 60}", "60", Some("is less than 60 (rule int32.lt) → 59"));
    check("int32", "int32 = {gt: 0, lt: 60}", "0", Some("is more than 0 (rule int32.gt) → 1"));
    check("int32", "int32.const = 5", "6", Some("is 5 (rule int32.const) → 5"));
    let some = "int32 = {in: [1, 4, 9]}";
    check("int32", some, "4", None);
    check("int32", some, "8", Some("is one of 1, 4, 9 (rule int32.in) → 9"));
    let none = "int32 = {not_in: [7, 8]}";
    check("int32", none, "7", Some("is none of 7, 8 (rule int32.not_in) → 6"));
    check("int32", "int32.example = 7", "8", None);
    // Ends that are crossed allow what is outside.
    let outside = "int32 = {gt: 10, lt: 5}";
    check("int32", outside, "11", None);
    check("int32", outside, "4", None);
    let words = "is less than 5, or more than 10 (rule int32.gt) → 4";
    check("int32", outside, "5", Some(words));
    let words = "is less than 5, or more than 10 (rule int32.gt) → 11";
    check("int32", outside, "10", Some(words));
}

#[test]
fn hybrid_se_1_every_width_and_sign_of_numbers() {
    let most = "int64.lte = 9007199254740993";
    check("int64", most, "\"9007199254740993\"", None);
    let words = "is at most 9007199254740993 (rule int64.lte) → 9007199254740993";
    check("int64", most, "\"9007199254740994\"", Some(words));
    let words = "is at least -9223372036854775807 (rule int64.gte) → -9223372036854775807";
    let least = "int64.gte = -9223372036854775807";
    check("int64", least, "\"-9223372036854775808\"", Some(words));
    let words = "is at most 18446744073709551614 (rule uint64.lte) → 18446744073709551614";
    let most = "uint64.lte = 18446744073709551614";
    check("uint64", most, "\"18446744073709551615\"", Some(words));
    check("sint32", "sint32.gte = -3", "-3", None);
    check("sint32", "sint32.gte = -3", "-4", Some("is at least -3 (rule sint32.gte) → -3"));
    check("fixed32", "fixed32.lte = 9", "10", Some("is at most 9 (rule fixed32.lte) → 9"));
    let words = "is more than -2 (rule sfixed64.gt) → -1";
    check("sfixed64", "sfixed64.gt = -2", "-2", Some(words));
    check("float", "float.gte = 0.1", "0.1", None);
    check("float", "float.gte = 0.1", "0", Some("is at least 0.1 (rule float.gte) → 0.1"));
    check(
        "float",
        "float.finite = true",
        "\"NaN\"",
        Some("is a finite number (rule float.finite)"),
    );
    check("float", "float.lt = 1", "\"NaN\"", Some("is less than 1 (rule float.lt) → 0.99999994"));
    check("double", "double.lte = 0.5", "0.75", Some("is at most 0.5 (rule double.lte) → 0.5"));
    check(
        "double",
        "double = {in: [0.5, 1.5]}",
        "1.2",
        Some("is one of 0.5, 1.5 (rule double.in) → 1.5"),
    );
    check("bool", "bool.const = true", "true", None);
    check("bool", "bool.const = true", "false", Some("is true (rule bool.const) → true"));
}

#[test]
fn hybrid_se_1_text() {
    check("string", "string.max_len = 3", "\"äöü\"", None);
    let words = "has at most 3 characters (rule string.max_len) → \"äöü\"";
    check("string", "string.max_len = 3", "\"äöüx\"", Some(words));
    check(
        "string",
        "string.min_len = 2",
        "\"a\"",
        Some("has at least 2 characters (rule string.min_len)"),
    );
    check("string", "string.len = 2", "\"a\"", Some("has 2 characters (rule string.len)"));
    check(
        "string",
        "string.max_bytes = 3",
        "\"äö\"",
        Some("has at most 3 bytes (rule string.max_bytes)"),
    );
    check(
        "string",
        "string.min_bytes = 3",
        "\"ä\"",
        Some("has at least 3 bytes (rule string.min_bytes)"),
    );
    let some = "string = {in: [\"eur\", \"usd\"]}";
    check("string", some, "\"usd\"", None);
    check("string", some, "\"udd\"", Some("is one of \"eur\", \"usd\" (rule string.in) → \"usd\""));
    check("string", some, "\"pound\"", Some("is one of \"eur\", \"usd\" (rule string.in)"));
    let words = "is none of \"a\" (rule string.not_in)";
    check("string", "string = {not_in: [\"a\"]}", "\"a\"", Some(words));
    let words = "begins with \"p-\" (rule string.prefix) → \"p-7\"";
    check("string", "string.prefix = \"p-\"", "\"7\"", Some(words));
    check(
        "string",
        "string.suffix = \"!\"",
        "\"a\"",
        Some("ends with \"!\" (rule string.suffix) → \"a!\""),
    );
    check("string", "string.contains = \"b\"", "\"a\"", Some("holds \"b\" (rule string.contains)"));
    let words = "does not hold \"b\" (rule string.not_contains)";
    check("string", "string.not_contains = \"b\"", "\"abc\"", Some(words));
    check("string", "string.const = \"x\"", "\"y\"", Some("is \"x\" (rule string.const) → \"x\""));
}

#[test]
fn hybrid_se_1_enums() {
    check("E", "enum.defined_only = true", "2", None);
    let words = "is one of `NONE`, `RED`, `BLUE` (rule enum.defined_only)";
    check("E", "enum.defined_only = true", "3", Some(words));
    check("E", "enum = {in: [1, 2]}", "\"RED\"", None);
    check("E", "enum = {in: [1, 2]}", "\"NONE\"", Some("is one of `RED`, `BLUE` (rule enum.in)"));
    check("E", "enum = {not_in: [1]}", "\"RED\"", Some("is none of `RED` (rule enum.not_in)"));
    check("E", "enum.const = 2", "\"RED\"", Some("is `BLUE` (rule enum.const)"));
}

#[test]
fn hybrid_se_1_lists_and_maps() {
    let most = "repeated.max_items = 2";
    check("repeated string", most, "[\"a\", \"b\"]", None);
    let words = "has at most 2 items (rule repeated.max_items)";
    check("repeated string", most, "[\"a\", \"b\", \"c\"]", Some(words));
    let words = "has at least 1 items (rule repeated.min_items)";
    check("repeated string", "repeated.min_items = 1", "[]", Some(words));
    let words = "holds \"a\" once (rule repeated.unique)";
    check("repeated string", "repeated.unique = true", "[\"a\", \"b\", \"a\"]", Some(words));
    let fields = "repeated int32 f = 1 [(buf.validate.field).repeated.items.int32.lte = 5];\n\
                  map<string, int32> m = 2 [(buf.validate.field).map = {\n\
                    max_pairs: 2, keys: {string: {max_len: 2}}, values: {int32: {gte: 1}}}];";
    assert_eq!(
        told(fields, r#"{"f": [5, 6, 1, 7], "m": {"abc": 1, "b": 0}}"#),
        [
            "f[1] is at most 5 (rule int32.lte) → 5",
            "f[3] is at most 5 (rule int32.lte) → 5",
            "m[\"abc\"] has at most 2 characters (rule string.max_len) → \"ab\"",
            "m[\"b\"] is at least 1 (rule int32.gte) → 1",
        ]
    );
    let three = told(fields, r#"{"m": {"a": 1, "b": 1, "c": 1}}"#);
    assert_eq!(three, ["m has at most 2 pairs (rule map.max_pairs)"]);
}

#[test]
fn what_is_not_given_is_held_against_the_rules_as_the_standard_says() {
    let given = |fields: &str, json: &str| told(fields, json);
    let required = |kind: &str| format!("{kind} f = 1 [(buf.validate.field).required = true];");
    assert_eq!(given(&required("int32"), "{}"), ["f must be given (rule required)"]);
    assert_eq!(given(&required("int32"), r#"{"f": 0}"#), ["f must be given (rule required)"]);
    assert_eq!(given(&required("optional int32"), r#"{"f": 0}"#), [""; 0]);
    assert_eq!(given(&required("optional int32"), "{}"), ["f must be given (rule required)"]);
    assert_eq!(given(&required("Inner"), "{}"), ["f must be given (rule required)"]);
    assert_eq!(given(&required("Inner"), r#"{"f": {}}"#), [""; 0]);
    // Without presence zero is a value and is judged; with presence nothing is.
    let least = "[(buf.validate.field).int32.gte = 1];";
    assert_eq!(given(&format!("int32 f = 1 {least}"), "{}").len(), 1);
    assert_eq!(given(&format!("optional int32 f = 1 {least}"), "{}"), [""; 0]);
    let ignore = |how: &str| {
        format!("int32 f = 1 [(buf.validate.field) = {{int32: {{gte: 5}}, ignore: {how}}}];")
    };
    assert_eq!(given(&ignore("IGNORE_IF_ZERO_VALUE"), "{}"), [""; 0]);
    assert_eq!(given(&ignore("IGNORE_IF_ZERO_VALUE"), r#"{"f": 4}"#).len(), 1);
    assert_eq!(given(&ignore("IGNORE_ALWAYS"), r#"{"f": 4}"#), [""; 0]);
}

#[test]
fn rules_hold_inside_messages_and_wrappers() {
    let fields = "Inner f = 1; repeated Inner g = 2; map<string, Inner> h = 3;\n\
                  google.protobuf.Int32Value w = 4 [(buf.validate.field).int32.lte = 3];";
    let json = r#"{"f": {"inner": {"inner": {"depth": 4}}}, "g": [{}, {"depth": 5}],
                   "h": {"a": {"depth": 6}}, "w": 7}"#;
    assert_eq!(
        told(fields, json),
        [
            "f.inner.inner.depth is at most 3 (rule int32.lte) → 3",
            "g[1].depth is at most 3 (rule int32.lte) → 3",
            "h[\"a\"].depth is at most 3 (rule int32.lte) → 3",
            "w is at most 3 (rule int32.lte) → 3",
        ]
    );
    assert_eq!(told(fields, r#"{"w": 3, "f": {"depth": 3}}"#), [""; 0]);
}

#[test]
fn a_value_of_another_type_is_refused_with_its_field() {
    let fields = "int32 f = 1; E e = 2;";
    for (json, start) in [
        (r#"{"f": "x"}"#, "f is refused: "),
        (r#"{"f": 1.5}"#, "f is refused: "),
        (r#"{"e": "GREEN"}"#, "e is refused: "),
        (r#"{"g": 1}"#, "the settings: unknown field `g`"),
        ("[]", "the settings: "),
        ("{", "the settings: "),
    ] {
        let found = told(fields, json);
        assert!(found.len() == 1 && found[0].starts_with(start), "{json}: {found:?}");
        assert!(found[0].ends_with("(rule type)"), "{found:?}");
    }
    let large = format!("{{\"f\": 1{}}}", " ".repeat(VALUES_BYTES_MOST - 8));
    assert_eq!(told(fields, &large), [""; 0], "the last that is read");
    assert_eq!(told(fields, &format!("{large} ")).len(), 1, "the first that is not");
}

#[test]
fn values_that_pass_come_as_json_and_as_bytes() {
    let settings =
        settings("int32 max_items = 1; repeated string names = 2; optional int32 n = 3;");
    let values = settings.unwrap().check(r#"{"maxItems": 20}"#).unwrap();
    assert_eq!(values.json, r#"{"max_items":20,"names":[]}"#);
    assert_eq!(values.wire, [0x08, 20]);
}

#[test]
fn security_po_2_a_rule_that_is_not_held_is_a_fault_of_the_contract() {
    let faults = |fields: &str| -> Vec<String> {
        let faults = settings(fields).err().unwrap_or_default();
        faults.iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        faults(
            "string a = 1 [(buf.validate.field).string.pattern = \"^a+$\"];\n\
             string b = 2 [(buf.validate.field).string.email = true];\n\
             string c = 3 [(buf.validate.field).cel = {id: \"x\"}];\n\
             google.protobuf.Duration d = 4 [(buf.validate.field).duration.required = true];\n\
             int32 e = 5 [(buf.validate.field).int64.lte = 1];\n\
             int32 f = 6 [(buf.validate.field).repeated.max_items = 1];\n\
             repeated int32 g = 7 [(buf.validate.field).repeated.items.string.max_len = 1];\n\
             bytes h = 8 [(buf.validate.field).string.max_len = 1];"
        ),
        [
            "`p.S.a` has the rule string.pattern, which is not built in",
            "`p.S.b` has the rule string.email, which is not built in",
            "`p.S.c` has the rule cel, which is not built in",
            "`p.S.d` has the rule duration, which is not built in",
            "`p.S.e` has the rule int64, which does not fit the field's type",
            "`p.S.f` has the rule repeated, which does not fit the field's type",
            "`p.S.g` has the rule string, which does not fit the field's type",
            "`p.S.h` has the rule string, which does not fit the field's type",
        ]
    );
}

#[test]
fn rules_that_are_written_in_parts_all_hold() {
    let fields =
        "int32 f = 1 [(buf.validate.field).int32.gte = 2, (buf.validate.field).int32.lte = 4];";
    assert_eq!(told(fields, r#"{"f": 1}"#).len(), 1);
    assert_eq!(told(fields, r#"{"f": 3}"#), [""; 0]);
    assert_eq!(told(fields, r#"{"f": 5}"#).len(), 1);
}

#[test]
fn a_violation_is_a_problem_that_people_can_act_on() {
    let fields = "int32 max_discount_percent = 1 [(buf.validate.field).int32.lte = 60];";
    let violations = settings(fields).unwrap().check(r#"{"maxDiscountPercent": 90}"#).unwrap_err();
    let problem = violations[0].problem();
    assert_eq!(problem.code, Tnd::SettingRefused);
    assert_eq!(problem.what, "max_discount_percent is at most 60 (rule int32.lte)");
    assert_eq!(problem.fix, "write 60, the nearest value that is allowed");
}
