//! Changes of types: a table of the rules of WIRE_JSON, and `buf breaking` over the same table.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::*;
use tandem_contract::Contract;
use tandem_contract::compat::{Category, changes};

use crate::texts;

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
