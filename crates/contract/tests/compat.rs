//! What breaks callers (protocols ), with `buf breaking` as the oracle.
//!
//! `./x test` names buf in `TANDEM_BUF`; without it the table is still held against our own
//! verdicts, and the test says that the oracle was not asked.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]
#![expect(clippy::print_stdout, reason = "what is skipped is said")]
#![expect(clippy::disallowed_methods, reason = "the oracle works on files")]

mod texts;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::*;
use tandem_contract::Contract;
use tandem_contract::compat::{
    Category, Change, Decision, Follow, breaking_changes, changes, follow, unlike_services,
};

/// Old text, new text, the rules of buf's WIRE_JSON that the new one breaks.
type Row = (&'static str, &'static str, &'static [&'static str]);

const FIELD_GONE: [&str; 2] =
    ["FIELD_NO_DELETE_UNLESS_NAME_RESERVED", "FIELD_NO_DELETE_UNLESS_NUMBER_RESERVED"];
const VALUE_GONE: [&str; 2] =
    ["ENUM_VALUE_NO_DELETE_UNLESS_NAME_RESERVED", "ENUM_VALUE_NO_DELETE_UNLESS_NUMBER_RESERVED"];
const TYPE: &[&str] = &["FIELD_WIRE_JSON_COMPATIBLE_TYPE"];
const SHAPE: &[&str] = &["FIELD_WIRE_JSON_COMPATIBLE_CARDINALITY"];

/// Bodies of files of proto3.
const PROTO3: &[Row] = &[
    // Fields that go.
    ("message M { int32 a = 1; string b = 2; }", "message M { string b = 2; }", &FIELD_GONE),
    (
        "message M { int32 a = 1; }",
        "message M { reserved 1; }",
        &["FIELD_NO_DELETE_UNLESS_NAME_RESERVED"],
    ),
    (
        "message M { int32 a = 1; }",
        "message M { reserved \"a\"; }",
        &["FIELD_NO_DELETE_UNLESS_NUMBER_RESERVED"],
    ),
    ("message M { int32 a = 1; }", "message M { reserved 1; reserved \"a\"; }", &[]),
    ("message M { int32 a = 5; }", "message M { reserved 1 to 9; reserved \"a\", \"b\"; }", &[]),
    ("message M { int32 a = 1; }", "message M { int32 a = 2; }", &FIELD_GONE),
    (
        "message M { message N { int32 a = 1; } N n = 1; }",
        "message M { message N { } N n = 1; }",
        &FIELD_GONE,
    ),
    // Fields that come, and files that only look different.
    ("message M { int32 a = 1; }", "message M { int32 a = 1; string b = 2; }", &[]),
    ("message M { int32 a = 1; string b = 2; }", "message M { string b = 2; int32 a = 1; }", &[]),
    ("message M { int32 a = 1; } message N { }", "message M { int32 a = 1; }", &[]),
    ("message M { int32 a = 1; }", "message M { int32 a = 1 [deprecated = true]; }", &[]),
    (
        "message M { repeated int32 a = 1; }",
        "message M { repeated int32 a = 1 [packed = false]; }",
        &[],
    ),
    // Names.
    (
        "message M { int32 a = 1; }",
        "message M { int32 b = 1; }",
        &["FIELD_SAME_NAME", "FIELD_SAME_JSON_NAME"],
    ),
    (
        "message M { int32 a = 1; }",
        "message M { int32 a = 1 [json_name = \"b\"]; }",
        &["FIELD_SAME_JSON_NAME"],
    ),
    (
        "message M { int32 a = 1; }",
        "message M { int32 b = 1 [json_name = \"a\"]; }",
        &["FIELD_SAME_NAME"],
    ),
    ("message M { int32 a_b = 1; }", "message M { int32 a_b = 1 [json_name = \"aB\"]; }", &[]),
    // Types.
    ("message M { int32 a = 1; }", "message M { uint32 a = 1; }", &[]),
    ("message M { int64 a = 1; }", "message M { uint64 a = 1; }", &[]),
    ("message M { fixed32 a = 1; }", "message M { sfixed32 a = 1; }", &[]),
    ("message M { fixed64 a = 1; }", "message M { sfixed64 a = 1; }", &[]),
    ("message M { int32 a = 1; }", "message M { int64 a = 1; }", TYPE),
    ("message M { int32 a = 1; }", "message M { sint32 a = 1; }", TYPE),
    ("message M { int32 a = 1; }", "message M { bool a = 1; }", TYPE),
    ("message M { sint32 a = 1; }", "message M { sint64 a = 1; }", TYPE),
    ("message M { string a = 1; }", "message M { bytes a = 1; }", TYPE),
    ("message M { float a = 1; }", "message M { double a = 1; }", TYPE),
    (
        "message M { N a = 1; } message N { } message O { }",
        "message M { O a = 1; } message N { } message O { }",
        TYPE,
    ),
    (
        "message M { int32 a = 1; } enum E { Z = 0; }",
        "message M { E a = 1; } enum E { Z = 0; }",
        TYPE,
    ),
    (
        "message M { E a = 1; enum E { Z = 0; } }",
        "message M { E a = 1; } enum E { Z = 0; Y = 1; }",
        &[],
    ),
    (
        "message M { E a = 1; enum E { Z = 0; X = 2; } }",
        "message M { E a = 1; } enum E { Z = 0; Y = 1; }",
        TYPE,
    ),
    ("message M { E a = 1; enum E { Z = 0; } }", "message M { F a = 1; } enum F { Z = 0; }", TYPE),
    ("message M { map<string, int32> a = 1; }", "message M { map<string, int64> a = 1; }", TYPE),
    ("message M { map<string, int32> a = 1; }", "message M { map<string, uint32> a = 1; }", &[]),
    ("message M { map<int32, int32> a = 1; }", "message M { map<string, int32> a = 1; }", TYPE),
    // How often, and whether.
    ("message M { int32 a = 1; }", "message M { optional int32 a = 1; }", &[]),
    ("message M { optional int32 a = 1; }", "message M { int32 a = 1; }", &[]),
    ("message M { int32 a = 1; }", "message M { repeated int32 a = 1; }", SHAPE),
    ("message M { repeated int32 a = 1; }", "message M { int32 a = 1; }", SHAPE),
    (
        "message M { repeated N a = 1; } message N { }",
        "message M { map<string, N> a = 1; } message N { }",
        &["FIELD_WIRE_JSON_COMPATIBLE_CARDINALITY", "FIELD_WIRE_JSON_COMPATIBLE_TYPE"],
    ),
    // Oneofs.
    ("message M { oneof o { int32 a = 1; } }", "message M { int32 a = 1; }", &["FIELD_SAME_ONEOF"]),
    ("message M { int32 a = 1; }", "message M { oneof o { int32 a = 1; } }", &["FIELD_SAME_ONEOF"]),
    (
        "message M { oneof o { int32 a = 1; } }",
        "message M { oneof p { int32 a = 1; } }",
        &["FIELD_SAME_ONEOF"],
    ),
    (
        "message M { oneof o { int32 a = 1; } }",
        "message M { oneof o { int32 a = 1; string b = 2; } }",
        &[],
    ),
    (
        "message M { oneof o { int32 a = 1; } }",
        "message M { optional int32 a = 1; }",
        &["FIELD_SAME_ONEOF"],
    ),
    // What is reserved.
    ("message M { reserved 5; }", "message M { }", &["RESERVED_MESSAGE_NO_DELETE"]),
    (
        "message M { reserved 5 to 9; }",
        "message M { reserved 5 to 7, 9; }",
        &["RESERVED_MESSAGE_NO_DELETE"],
    ),
    ("message M { reserved 5 to 9; }", "message M { reserved 9, 7, 5 to 6, 8; }", &[]),
    (
        "message M { reserved \"x\"; }",
        "message M { reserved \"y\"; }",
        &["RESERVED_MESSAGE_NO_DELETE"],
    ),
    (
        "enum E { Z = 0; reserved 5 to max; }",
        "enum E { Z = 0; reserved 5; }",
        &["RESERVED_ENUM_NO_DELETE"],
    ),
    ("enum E { Z = 0; reserved \"X\"; }", "enum E { Z = 0; }", &["RESERVED_ENUM_NO_DELETE"]),
    // Enum values.
    ("enum E { Z = 0; A = 1; }", "enum E { Z = 0; }", &VALUE_GONE),
    ("enum E { Z = 0; A = 1; }", "enum E { Z = 0; reserved 1; reserved \"A\"; }", &[]),
    (
        "enum E { Z = 0; A = 1; }",
        "enum E { Z = 0; reserved 1; }",
        &["ENUM_VALUE_NO_DELETE_UNLESS_NAME_RESERVED"],
    ),
    ("enum E { Z = 0; A = 1; }", "enum E { Z = 0; B = 1; }", &["ENUM_VALUE_SAME_NAME"]),
    ("enum E { Z = 0; A = 1; }", "enum E { Z = 0; A = 1; B = 2; }", &[]),
    (
        "enum E { option allow_alias = true; Z = 0; A = 1; B = 1; }",
        "enum E { Z = 0; A = 1; }",
        &["ENUM_VALUE_SAME_NAME"],
    ),
    ("enum E { Z = 0; A = 1; }", "enum E { option allow_alias = true; Z = 0; A = 1; B = 1; }", &[]),
    ("enum E { Z = 0; A = 1; B = 2; }", "enum E { Z = 0; B = 2; A = 1; }", &[]),
    // Methods.
    (
        "message M { } message N { } service S { rpc R(M) returns (M); }",
        "message M { } message N { } service S { rpc R(N) returns (M); }",
        &["RPC_SAME_REQUEST_TYPE"],
    ),
    (
        "message M { } message N { } service S { rpc R(M) returns (M); }",
        "message M { } message N { } service S { rpc R(M) returns (N); }",
        &["RPC_SAME_RESPONSE_TYPE"],
    ),
    (
        "message M { } service S { rpc R(M) returns (M); }",
        "message M { } service S { rpc R(stream M) returns (M); }",
        &["RPC_SAME_CLIENT_STREAMING"],
    ),
    (
        "message M { } service S { rpc R(M) returns (stream M); }",
        "message M { } service S { rpc R(M) returns (M); }",
        &["RPC_SAME_SERVER_STREAMING"],
    ),
    (
        "message M { } service S { rpc R(M) returns (M) { option idempotency_level = NO_SIDE_EFFECTS; } }",
        "message M { } service S { rpc R(M) returns (M); }",
        &["RPC_SAME_IDEMPOTENCY_LEVEL"],
    ),
    (
        "message M { } service S { rpc R(M) returns (M); }",
        "message M { } service S { rpc R(M) returns (M) { option idempotency_level = IDEMPOTENT; } }",
        &["RPC_SAME_IDEMPOTENCY_LEVEL"],
    ),
    (
        "message M { } service S { rpc R(M) returns (M); }",
        "message M { } service S { rpc R(M) returns (M); rpc Q(M) returns (M); }",
        &[],
    ),
    (
        "message M { int32 a = 1; oneof o { string b = 2; } E e = 3; } enum E { Z = 0; A = 1; }",
        "message M { int64 c = 1; string b = 2; repeated E e = 3; } enum E { Z = 0; }",
        &[
            "FIELD_SAME_NAME",
            "FIELD_SAME_JSON_NAME",
            "FIELD_WIRE_JSON_COMPATIBLE_TYPE",
            "FIELD_SAME_ONEOF",
            "FIELD_WIRE_JSON_COMPATIBLE_CARDINALITY",
            VALUE_GONE[0],
            VALUE_GONE[1],
        ],
    ),
];

/// Bodies of files of proto2.
const PROTO2: &[Row] = &[
    (
        "message M { optional int32 a = 1; }",
        "message M { required int32 a = 1; }",
        &["MESSAGE_SAME_REQUIRED_FIELDS", "FIELD_WIRE_JSON_COMPATIBLE_CARDINALITY"],
    ),
    (
        "message M { optional int32 a = 1; }",
        "message M { optional int32 a = 1; required int32 b = 2; }",
        &["MESSAGE_SAME_REQUIRED_FIELDS"],
    ),
    (
        "message M { required int32 a = 1; }",
        "message M { reserved 1; reserved \"a\"; }",
        &["MESSAGE_SAME_REQUIRED_FIELDS"],
    ),
    (
        "message M { optional int32 a = 1 [default = 7]; }",
        "message M { optional int32 a = 1 [default = 8]; }",
        &["FIELD_SAME_DEFAULT"],
    ),
    (
        "message M { optional int32 a = 1 [default = 7]; }",
        "message M { optional int32 a = 1; }",
        &["FIELD_SAME_DEFAULT"],
    ),
    (
        "message M { optional int32 a = 1 [default = 0]; }",
        "message M { optional int32 a = 1; }",
        &[],
    ),
    (
        "message M { optional int32 a = 1 [default = 7]; }",
        "message M { optional uint32 a = 1 [default = 7]; }",
        &[],
    ),
    (
        "message M { optional float a = 1 [default = 0.1]; }",
        "message M { optional double a = 1 [default = 0.1]; }",
        TYPE,
    ),
    (
        "message M { optional double a = 1 [default = nan]; }",
        "message M { optional double a = 1 [default = nan]; }",
        &[],
    ),
    (
        "message M { optional bytes a = 1 [default = \"\\001\"]; }",
        "message M { optional bytes a = 1 [default = \"\\x01\"]; }",
        &[],
    ),
    (
        "message M { optional bytes a = 1 [default = \"\\001\"]; }",
        "message M { optional bytes a = 1 [default = \"\\002\"]; }",
        &["FIELD_SAME_DEFAULT"],
    ),
    (
        "message M { optional string a = 1 [default = \"x\"]; }",
        "message M { optional string a = 1 [default = \"y\"]; }",
        &["FIELD_SAME_DEFAULT"],
    ),
    (
        "message M { optional bool a = 1 [default = true]; }",
        "message M { optional bool a = 1 [default = false]; }",
        &["FIELD_SAME_DEFAULT"],
    ),
    (
        "message M { optional E a = 1; } enum E { A = 1; B = 2; }",
        "message M { optional E a = 1; } enum E { B = 2; A = 1; }",
        &["FIELD_SAME_DEFAULT"],
    ),
    (
        "message M { optional E a = 1 [default = A]; } enum E { A = 1; B = 2; }",
        "message M { optional E a = 1 [default = B]; } enum E { A = 1; B = 2; }",
        &["FIELD_SAME_DEFAULT"],
    ),
    (
        "message M { optional group A = 1 { optional int32 x = 1; } }",
        "message M { optional A a = 1; message A { optional int32 x = 1; } }",
        TYPE,
    ),
    (
        "message M { extensions 10 to 20; } extend M { optional int32 x = 10; }",
        "message M { extensions 10 to 20; } extend M { optional int64 x = 10; }",
        TYPE,
    ),
    (
        "message M { extensions 10 to 20; } extend M { optional int32 x = 10; }",
        "message M { extensions 10 to 20; } extend M { optional int32 y = 10; }",
        &["FIELD_SAME_NAME"],
    ),
    (
        "message M { extensions 10 to 20; } extend M { optional int32 x = 10; }",
        "message M { extensions 10 to 20; }",
        &[],
    ),
];

/// Whole files.
const WHOLE: &[Row] = &[
    (
        "syntax = \"proto3\"; package PACKAGE; message M { int32 a = 1; } enum E { Z = 0; }",
        "syntax = \"proto2\"; package PACKAGE; message M { optional int32 a = 1; } enum E { Z = 0; }",
        &["MESSAGE_SAME_JSON_FORMAT", "ENUM_SAME_JSON_FORMAT"],
    ),
    (
        "syntax = \"proto2\"; package PACKAGE; message M { optional int32 a = 1; }",
        "syntax = \"proto3\"; package PACKAGE; message M { optional int32 a = 1; }",
        &[],
    ),
    (
        "syntax = \"proto2\"; package PACKAGE; message M { optional E a = 1; } enum E { Z = 0; }",
        "syntax = \"proto3\"; package PACKAGE; message M { optional E a = 1; } enum E { Z = 0; }",
        &[],
    ),
    (
        "syntax = \"proto3\"; package PACKAGE; message M { }",
        "syntax = \"proto3\"; package PACKAGE.v2; message M { }",
        &["FILE_SAME_PACKAGE"],
    ),
];

/// Whole files of editions, which only the oracle's compiler reads.
const EDITIONS: &[Row] = &[
    (
        "edition = \"2023\"; package PACKAGE; message M { M m = 1; }",
        "edition = \"2023\"; package PACKAGE; message M { M m = 1 [features.message_encoding = DELIMITED]; }",
        TYPE,
    ),
    (
        "edition = \"2023\"; package PACKAGE; message M { int32 a = 1; }",
        "edition = \"2023\"; package PACKAGE; message M { int32 a = 1 [features.field_presence = IMPLICIT]; }",
        &[],
    ),
    (
        "edition = \"2023\"; package PACKAGE; enum E { Z = 0; }",
        "edition = \"2023\"; package PACKAGE; enum E { option features.enum_type = CLOSED; Z = 0; }",
        &[],
    ),
    (
        "edition = \"2023\"; package PACKAGE; message M { }",
        "edition = \"2023\"; package PACKAGE; message M { option features.json_format = LEGACY_BEST_EFFORT; }",
        &["MESSAGE_SAME_JSON_FORMAT"],
    ),
    (
        "edition = \"2023\"; package PACKAGE; message M { int32 a = 1 [default = 7]; }",
        "edition = \"2023\"; package PACKAGE; message M { int32 a = 1; }",
        &["FIELD_SAME_DEFAULT"],
    ),
    (
        "syntax = \"proto3\"; package PACKAGE; message M { optional int32 a = 1; E e = 2; } enum E { Z = 0; }",
        "edition = \"2023\"; package PACKAGE; message M { int32 a = 1; E e = 2 [features.field_presence = IMPLICIT]; } enum E { Z = 0; }",
        &[],
    ),
];

struct Case {
    /// `p7/t.proto`; its package is `p7`.
    file: String,
    old: String,
    new: String,
    expected: BTreeSet<String>,
}

fn cases(with_editions: bool) -> Vec<Case> {
    let syntax = |text: &str, syntax: &str| match syntax {
        "" => text.to_owned(),
        syntax => format!("syntax = \"{syntax}\"; package PACKAGE; {text}"),
    };
    let editions = if with_editions { EDITIONS } else { &[] };
    [(PROTO3, "proto3"), (PROTO2, "proto2"), (WHOLE, ""), (editions, "")]
        .into_iter()
        .flat_map(|(rows, kind)| rows.iter().map(move |row| (row, kind)))
        .enumerate()
        .map(|(number, ((old, new, expected), kind))| {
            let package = format!("p{number}");
            Case {
                file: format!("{package}/t.proto"),
                old: syntax(old, kind).replace("PACKAGE", &package),
                new: syntax(new, kind).replace("PACKAGE", &package),
                expected: expected.iter().map(|rule| (*rule).to_owned()).collect(),
            }
        })
        .collect()
}

/// Rules of WIRE_JSON that are broken, by file.
fn ours(old: &Contract, new: &Contract) -> BTreeMap<String, BTreeSet<String>> {
    let mut rules: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for change in changes(old, new) {
        if change.category == Category::WireJson {
            rules.entry(change.file).or_default().insert(change.rule.to_owned());
        }
    }
    rules
}

fn check(cases: &[Case], found: &BTreeMap<String, BTreeSet<String>>, whose: &str) {
    for Case { file, old, new, expected } in cases {
        let found = found.get(file).cloned().unwrap_or_default();
        assert_eq!(&found, expected, "{whose}:\n{old}\n{new}");
    }
}

#[test]
fn protocols_x_5_rules_of_wire_json_are_those_of_the_table() {
    let cases = cases(false);
    let side = |text: fn(&Case) -> &str| {
        let files: Vec<(&str, &str)> = cases.iter().map(|case| (&*case.file, text(case))).collect();
        Contract::from_descriptor_set(&texts::set(&files)).unwrap()
    };
    check(&cases, &ours(&side(|case| &case.old), &side(|case| &case.new)), "ours");
}

#[test]
fn protocols_x_5_the_oracle_says_the_same() {
    let Some(buf) = std::env::var_os("TANDEM_BUF").map(PathBuf::from) else {
        println!(
            "SKIPPED: buf, the oracle of breaking changes, is not asked (TANDEM_BUF is unset)"
        );
        return;
    };
    let cases = cases(true);
    assert!(cases.len() >= 90, "{}", cases.len());
    let folder = Folder::new();
    for case in &cases {
        folder.write(&format!("old/{}", case.file), &case.old);
        folder.write(&format!("new/{}", case.file), &case.new);
    }
    for side in ["old", "new"] {
        folder.write(&format!("{side}/buf.yaml"), "version: v2\nbreaking: { use: [WIRE_JSON] }\n");
    }
    let contract = |side: &str| {
        let set = folder.0.join(format!("{side}.binpb"));
        let output = Command::new(&buf)
            .args(["build", "--as-file-descriptor-set", "-o"])
            .arg(&set)
            .current_dir(folder.0.join(side))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Contract::from_descriptor_set(&std::fs::read(set).unwrap()).unwrap()
    };
    let (old, new) = (contract("old"), contract("new"));
    assert_eq!((old.faults(), new.faults()), (&[][..], &[][..]));
    check(&cases, &ours(&old, &new), "ours, compiled by buf");
    let output = Command::new(&buf)
        .args(["breaking", "--error-format", "json", "--against"])
        .arg(folder.0.join("old"))
        .current_dir(folder.0.join("new"))
        .output()
        .unwrap();
    // 100: changes were found.
    assert_eq!(output.status.code(), Some(100), "{}", String::from_utf8_lossy(&output.stderr));
    let mut said: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let part = |key: &str| {
            let from = line.find(&format!("\"{key}\":\"")).unwrap() + key.len() + 4;
            line[from..].split('"').next().unwrap().to_owned()
        };
        said.entry(part("path")).or_default().insert(part("type"));
    }
    check(&cases, &said, "buf");
}

/// A folder that goes when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        let folder = std::env::temp_dir().join(format!("tandem-compat-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const SHOP: &str = "syntax = \"proto3\"; package t; import \"google/api/annotations.proto\";\n\
    import \"google/protobuf/timestamp.proto\";\n\
    message Ask { string name = 1; int32 size = 2; Sub sub = 3; map<string, string> map = 4; string other = 5; \
      google.protobuf.Timestamp at = 6; }\n\
    message Sub { string text = 1; Sub again = 2; int32 more = 3; }\n\
    message Answer { Sub sub = 1; string text = 2; }\n\
    service S {\n\
      rpc Get(Ask) returns (Answer) { option (google.api.http) = { get: \"/v1/{name=p/*}:go\" }; }\n\
      rpc Put(Ask) returns (Answer) { option (google.api.http) = { put: \"/v1/{name}\" body: \"sub\" response_body: \"sub\" }; }\n\
      rpc Any(Ask) returns (Answer) { option (google.api.http) = { custom: { kind: \"*\" path: \"/v1/any\" } }; }\n\
    }\n\
    service Other { rpc R(Ask) returns (Answer); }";

/// Rules and symbols of what breaks calls.
fn calls(old: &str, new: &str) -> Vec<String> {
    changes(&texts::contract(old), &texts::contract(new))
        .into_iter()
        .filter(|change| change.category == Category::Calls)
        .map(|Change { rule, symbol, .. }| format!("{rule} {symbol}"))
        .collect()
}

#[test]
fn protocols_x_5_calls_that_are_no_longer_taken_break() {
    let table: [(&str, &str, &[&str]); 23] = [
        ("", "", &[]),
        ("service Other { rpc R(Ask) returns (Answer); }", "", &["SERVICE_NO_DELETE t.Other"]),
        ("rpc R(Ask) returns (Answer);", "", &["RPC_NO_DELETE t.Other/R"]),
        ("p/*}:go", "p/*}:went", &["HTTP_RULE_NO_DELETE t.S/Get"]),
        ("p/*}:go", "q/*}:go", &["HTTP_RULE_NO_DELETE t.S/Get"]),
        ("p/*}:go", "p/**}:go", &["HTTP_RULE_NO_DELETE t.S/Get"]),
        ("get: \"/v1", "post: \"/v1", &["HTTP_RULE_NO_DELETE t.S/Get"]),
        ("{ get: \"/v1/{name=p/*}:go\" }", "{ }", &["HTTP_RULE_NO_DELETE t.S/Get"]),
        (
            "{ get: \"/v1/{name=p/*}:go\" }",
            "{ get: \"/v1/{name=p/*}:go\" additional_bindings { get: \"/v2\" } }",
            &[],
        ),
        (
            "{ get: \"/v1/{name=p/*}:go\" }",
            "{ get: \"/v2\" additional_bindings { get: \"/v1/{name=p/*}:go\" } }",
            &[],
        ),
        (
            "{ get: \"/v1/{name=p/*}:go\" }",
            "{ custom: { kind: \"*\" path: \"/v1/{name=p/*}:go\" } }",
            &[],
        ),
        (
            "custom: { kind: \"*\" path: \"/v1/any\" }",
            "get: \"/v1/any\"",
            &["HTTP_RULE_NO_DELETE t.S/Any"],
        ),
        ("\"/v1/{name}\" body", "\"/v1/{name=*}\" body", &[]),
        (
            "\"/v1/{name}\" body",
            "\"/v1/{other}\" body",
            &["HTTP_QUERY_FIELD_NO_DELETE t.S/Put", "HTTP_RULE_SAME_VARIABLES t.S/Put"],
        ),
        (
            "\"/v1/any\"",
            "\"/v1/any\" } body: \"*\" additional_bindings { get: \"/v2\"",
            &["HTTP_RULE_SAME_BODY t.S/Any"],
        ),
        ("\" body: \"sub\"", "\" body: \"*\"", &["HTTP_RULE_SAME_BODY t.S/Put"]),
        ("body: \"sub\" response", "response", &["HTTP_RULE_SAME_BODY t.S/Put"]),
        ("response_body: \"sub\"", "", &["HTTP_RULE_SAME_RESPONSE_BODY t.S/Put"]),
        (
            "response_body: \"sub\"",
            "response_body: \"text\"",
            &["HTTP_RULE_SAME_RESPONSE_BODY t.S/Put"],
        ),
        // Reserved as it should be, which satisfies buf, and still a query field that is gone.
        (
            "int32 size = 2;",
            "reserved 2; reserved \"size\";",
            &[
                "HTTP_QUERY_FIELD_NO_DELETE t.S/Any",
                "HTTP_QUERY_FIELD_NO_DELETE t.S/Get",
                "HTTP_QUERY_FIELD_NO_DELETE t.S/Put",
            ],
        ),
        (
            "int32 more = 3;",
            "reserved 3; reserved \"more\";",
            &["HTTP_QUERY_FIELD_NO_DELETE t.S/Any", "HTTP_QUERY_FIELD_NO_DELETE t.S/Get"],
        ),
        (
            "google.protobuf.Timestamp at = 6;",
            "reserved 6; reserved \"at\";",
            &[
                "HTTP_QUERY_FIELD_NO_DELETE t.S/Any",
                "HTTP_QUERY_FIELD_NO_DELETE t.S/Get",
                "HTTP_QUERY_FIELD_NO_DELETE t.S/Put",
            ],
        ),
        // A map stands in no query.
        ("map<string, string> map = 4;", "reserved 4; reserved \"map\";", &[]),
    ];
    for (old, new, expected) in table {
        assert!(SHOP.contains(old), "{old}");
        assert_eq!(calls(SHOP, &SHOP.replace(old, new)), expected, "{old} → {new}");
    }
}

#[test]
fn protocols_x_5_lost_no_side_effects_break_and_say_what_it_means() {
    let text = |level: &str| {
        format!(
            "syntax = \"proto3\"; package t; message M {{ }} service S {{ rpc R(M) returns (M) {{ \
             option idempotency_level = {level}; }} }}"
        )
    };
    let notice = |old: &str, new: &str| {
        let found = breaking_changes(&texts::contract(&text(old)), &texts::contract(&text(new)));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].rule, &*found[0].symbol), ("RPC_SAME_IDEMPOTENCY_LEVEL", "t.S/R"));
        found.into_iter().next().unwrap().notice
    };
    assert!(notice("NO_SIDE_EFFECTS", "IDEMPOTENT").contains("no longer cached"));
    assert!(notice("NO_SIDE_EFFECTS", "IDEMPOTENCY_UNKNOWN").contains("no longer cached"));
    assert!(notice("IDEMPOTENT", "IDEMPOTENCY_UNKNOWN").contains("no longer repeated"));
    assert!(notice("IDEMPOTENCY_UNKNOWN", "NO_SIDE_EFFECTS").contains("from now on"));
}

#[test]
fn protocols_x_5_compatible_changes_are_named_as_such() {
    let old = "syntax = \"proto3\"; package t; message M { int32 a = 1; int32 gone = 2; E e = 3; } \
               message Old { } enum E { Z = 0; X = 1; } service S { rpc R(M) returns (M); }";
    let new = "syntax = \"proto3\"; package t; message M { optional uint32 a = 1 [deprecated = true]; reserved 2; \
               reserved \"gone\"; E e = 3; string b = 4; } message New { } \
               enum E { Z = 0; reserved 1; reserved \"X\"; Y = 2; } enum F { FZ = 0; } \
               service S { rpc R(M) returns (M) { option deprecated = true; } rpc Q(M) returns (M); } \
               service T { }";
    let found = changes(&texts::contract(old), &texts::contract(new));
    let shown: Vec<String> =
        found.iter().map(|change| format!("{} {}", change.rule, change.symbol)).collect();
    assert_eq!(
        shown,
        [
            "ENUM_VALUE_ADDED t.E",
            "ENUM_VALUE_REMOVED t.E",
            "ENUM_ADDED t.F",
            "FIELD_DEPRECATED t.M.a",
            "FIELD_PRESENCE_CHANGED t.M.a",
            "FIELD_TYPE_CHANGED t.M.a",
            "FIELD_ADDED t.M.b",
            "FIELD_REMOVED t.M.gone",
            "MESSAGE_ADDED t.New",
            "MESSAGE_REMOVED t.Old",
            "RPC_ADDED t.S/Q",
            "RPC_DEPRECATED t.S/R",
            "SERVICE_ADDED t.T",
        ]
    );
    for change in found {
        assert!(!change.breaks() && change.file == "test.proto", "{change:?}");
        assert!(!change.what.is_empty() && !change.notice.is_empty(), "{change:?}");
    }
}

#[test]
fn types_that_come_with_a_compiler_are_not_compared() {
    let text = |field: &str| {
        format!("syntax = \"proto3\"; package google.protobuf; message FileOptions {{ {field} }}")
    };
    let (old, new) = (texts::contract(&text("int32 a = 1;")), texts::contract(&text("")));
    assert_eq!(changes(&old, &new), []);
}

#[test]
fn security_t_5_a_list_of_changes_is_bounded() {
    let text = |name: &str| {
        let fields: String = (1..=7_000).map(|n| format!("int32 {name}{n} = {n};")).collect();
        format!("syntax = \"proto3\"; package t; message M {{ {fields} }}")
    };
    let found = changes(&texts::contract(&text("a")), &texts::contract(&text("b")));
    assert_eq!(found.len(), 5_001);
    assert_eq!((found[5_000].rule, found[5_000].breaks()), ("MORE", true));
    assert_eq!(found[5_000].what, "9000 further changes");
}

const V1: &str = "syntax = \"proto3\"; package t; message M { int32 a = 1; } service S { rpc R(M) returns (M); }";
const V1_MORE: &str = "syntax = \"proto3\"; package t; message M { int32 a = 1; int32 b = 2; } service S { rpc R(M) returns (M); }";
const V2: &str = "syntax = \"proto3\"; package t; message M { int64 a = 1; } service S { rpc R(M) returns (M); }";

#[test]
fn protocols_x_4_the_policy_decides_whether_a_new_contract_takes_over() {
    let contracts = [V1, V1_MORE, V2].map(texts::contract);
    let [v1, more, v2] = &contracts;
    let record = |recorded: &str| match recorded {
        "more" => Some(more.digest()),
        "v2" => Some(v2.digest()),
        _ => None,
    };
    use Follow::{Compatible, Manual, Pinned};
    let table = [
        // What serves, what comes, what is recorded.
        (Compatible, Some(v1), v1, "", "stay"),
        (Compatible, Some(v1), more, "", "swap"),
        (Compatible, Some(v1), v2, "", "wait"),
        (Compatible, Some(v1), v2, "v2", "swap"),
        (Compatible, Some(v1), v2, "more", "wait"),
        (Compatible, None, v2, "more", "swap"),
        (Pinned, Some(v1), v1, "", "stay"),
        (Pinned, Some(v1), more, "", "refuse"),
        (Pinned, Some(v1), more, "more", "swap"),
        (Pinned, Some(v1), v2, "more", "refuse"),
        (Pinned, None, v2, "", "swap"),
        (Pinned, None, v2, "v2", "swap"),
        (Pinned, None, v2, "more", "refuse"),
        (Manual, Some(v1), v1, "", "stay"),
        (Manual, Some(v1), more, "", "wait"),
        (Manual, Some(v1), more, "more", "swap"),
        (Manual, Some(v1), v2, "v2", "swap"),
        (Manual, None, more, "", "swap"),
        (Manual, None, more, "v2", "wait"),
    ];
    for (policy, old, new, recorded, expected) in table {
        let decision = follow(policy, record(recorded), old, new);
        let found = match &decision {
            Decision::Stay => "stay",
            Decision::Swap(_) => "swap",
            Decision::Wait(_) => "wait",
            Decision::Refuse => "refuse",
        };
        assert_eq!(found, expected, "{policy:?} {recorded:?}");
    }
    assert_eq!(Follow::default(), Compatible);
}

#[test]
fn protocols_x_6_what_waits_says_why() {
    let (v1, v2) = (texts::contract(V1), texts::contract(V2));
    let Decision::Wait(changes) = follow(Follow::Compatible, None, Some(&v1), &v2) else {
        panic!("a breaking contract does not take over");
    };
    assert_eq!(changes, breaking_changes(&v1, &v2));
    assert_eq!(changes[0].rule, "FIELD_WIRE_JSON_COMPATIBLE_TYPE");
}

#[test]
fn protocols_x_7_unlike_services_are_named_and_those_of_one_side_are_not() {
    let text = |extra: &str, kind: &str| {
        format!(
            "syntax = \"proto3\"; package t; message M {{ }} message N {{ {kind} a = 1; }} \
             service Same {{ rpc R(M) returns (M); }} service Unlike {{ rpc R(N) returns (M); }} {extra}"
        )
    };
    let rust = texts::contract(&text("", "int32"));
    let go = texts::contract(&text("service More { rpc R(M) returns (M); }", "int64"));
    assert_eq!(unlike_services(&rust, &go), ["t.Unlike"]);
    assert_eq!(unlike_services(&go, &rust), ["t.Unlike"]);
    assert_eq!(unlike_services(&rust, &rust), [""; 0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    /// Any two of the table's files: no change from a contract to itself, and what breaks is listed
    /// first.
    #[test]
    fn a_contract_never_differs_from_itself(one in 0_usize..85, other in 0_usize..85) {
        let cases = cases(false);
        let text = |index: usize| {
            let case = &cases[index % cases.len()];
            case.new.replace(case.file.split('/').next().unwrap(), "q")
        };
        let (one, other) = (texts::contract(&text(one)), texts::contract(&text(other)));
        prop_assert_eq!(changes(&one, &one), []);
        let found = changes(&one, &other);
        prop_assert!(found.is_sorted_by_key(|change| !change.breaks()), "{:?}", found);
    }
}
