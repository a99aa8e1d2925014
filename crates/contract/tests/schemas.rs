//! What is read from descriptors, what is left out, and what a digest sees (protocols ).

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod texts;

#[path = "checks/descriptor_set.rs"]
mod descriptor_set;

use buffa::Message as _;
use buffa_descriptor::generated::descriptor::enum_descriptor_proto::EnumReservedRange;
use buffa_descriptor::generated::descriptor::feature_set::{
    EnumType, FieldPresence, MessageEncoding, RepeatedFieldEncoding, Utf8Validation,
};
use buffa_descriptor::generated::descriptor::field_descriptor_proto::{Label, Type};
use buffa_descriptor::generated::descriptor::{
    DescriptorProto, Edition, EnumDescriptorProto, EnumValueDescriptorProto, FeatureSet,
    FieldDescriptorProto, FileDescriptorProto, MethodDescriptorProto, OneofDescriptorProto,
    ServiceDescriptorProto,
};
use proptest::prelude::*;
use tandem_contract::{
    Cardinality, Contract, HttpMethod, Idempotency, Kind, Presence, WellKnown, fields,
};

// Descriptors written by hand: what no compiler would let through.

fn file(name: &str) -> FileDescriptorProto {
    FileDescriptorProto {
        name: Some(name.into()),
        package: Some("t".into()),
        syntax: Some("proto3".into()),
        ..Default::default()
    }
}

fn message(name: &str, field: Vec<FieldDescriptorProto>) -> DescriptorProto {
    DescriptorProto { name: Some(name.into()), field, ..Default::default() }
}

fn field(name: &str, number: i32, kind: Type) -> FieldDescriptorProto {
    FieldDescriptorProto {
        name: Some(name.into()),
        number: Some(number),
        r#type: Some(kind),
        label: Some(Label::LABEL_OPTIONAL),
        ..Default::default()
    }
}

fn typed(name: &str, number: i32, kind: Type, type_name: &str) -> FieldDescriptorProto {
    FieldDescriptorProto { type_name: Some(type_name.into()), ..field(name, number, kind) }
}

fn repeated(field: FieldDescriptorProto) -> FieldDescriptorProto {
    FieldDescriptorProto { label: Some(Label::LABEL_REPEATED), ..field }
}

fn entry(fields: Vec<FieldDescriptorProto>) -> DescriptorProto {
    let mut entry = message("E", fields);
    entry.options.get_or_insert_default().map_entry = Some(true);
    entry
}

fn feature(field: &mut FieldDescriptorProto) -> &mut FeatureSet {
    field.options.get_or_insert_default().features.get_or_insert_default()
}

fn method(name: &str, input: &str, output: &str) -> MethodDescriptorProto {
    MethodDescriptorProto {
        name: Some(name.into()),
        input_type: Some(input.into()),
        output_type: Some(output.into()),
        ..Default::default()
    }
}

fn service(name: &str, method: Vec<MethodDescriptorProto>) -> ServiceDescriptorProto {
    ServiceDescriptorProto { name: Some(name.into()), method, ..Default::default() }
}

fn read(files: &[FileDescriptorProto]) -> Contract {
    let files: Vec<Vec<u8>> = files.iter().map(FileDescriptorProto::encode_to_vec).collect();
    Contract::from_file_descriptors(&files).unwrap()
}

/// Faults as `file symbol: what`.
fn faults(contract: &Contract) -> Vec<String> {
    let shown = contract.faults().iter();
    shown.map(|fault| format!("{} {}: {}", fault.file, fault.symbol, fault.what)).collect()
}

fn field_of<'a>(contract: &'a Contract, message: &str, name: &str) -> &'a tandem_contract::Field {
    contract.message(contract.message_named(message).unwrap()).field_named(name).unwrap().1
}

#[test]
fn protocols_x_1_editions_are_read_by_their_features() {
    let mut m = message(
        "M",
        vec![
            field("explicit", 1, Type::TYPE_INT32),
            field("implicit", 2, Type::TYPE_INT32),
            field("required", 3, Type::TYPE_INT32),
            repeated(field("packed", 4, Type::TYPE_INT32)),
            repeated(field("expanded", 5, Type::TYPE_INT32)),
            typed("delimited", 6, Type::TYPE_MESSAGE, ".t.M"),
            field("text", 7, Type::TYPE_STRING),
            FieldDescriptorProto { oneof_index: Some(0), ..field("one", 8, Type::TYPE_STRING) },
            typed("open", 9, Type::TYPE_ENUM, ".t.Open"),
            typed("closed", 10, Type::TYPE_ENUM, ".t.Closed"),
        ],
    );
    m.oneof_decl = vec![OneofDescriptorProto { name: Some("choice".into()), ..Default::default() }];
    feature(&mut m.field[1]).field_presence = Some(FieldPresence::IMPLICIT);
    feature(&mut m.field[2]).field_presence = Some(FieldPresence::LEGACY_REQUIRED);
    feature(&mut m.field[4]).repeated_field_encoding = Some(RepeatedFieldEncoding::EXPANDED);
    feature(&mut m.field[5]).message_encoding = Some(MessageEncoding::DELIMITED);
    // What a oneof says holds for its members.
    let of_oneof = m.oneof_decl[0].options.get_or_insert_default();
    of_oneof.features.get_or_insert_default().utf8_validation = Some(Utf8Validation::NONE);
    let value =
        EnumValueDescriptorProto { name: Some("A".into()), number: Some(0), ..Default::default() };
    let enumeration = |name: &str| EnumDescriptorProto {
        name: Some(name.into()),
        value: vec![value.clone()],
        ..Default::default()
    };
    let mut closed = enumeration("Closed");
    closed.options.get_or_insert_default().features.get_or_insert_default().enum_type =
        Some(EnumType::CLOSED);
    for edition in [Edition::EDITION_2023, Edition::EDITION_2024] {
        let contract = read(&[FileDescriptorProto {
            syntax: Some("editions".into()),
            edition: Some(edition),
            message_type: vec![m.clone()],
            enum_type: vec![enumeration("Open"), closed.clone()],
            ..file("a.proto")
        }]);
        assert_eq!(faults(&contract), [""; 0]);
        let of = |name| field_of(&contract, "t.M", name);
        assert_eq!(of("explicit").presence, Presence::Explicit);
        assert_eq!(of("implicit").presence, Presence::Implicit);
        assert_eq!(of("required").presence, Presence::Required);
        assert!(of("packed").packed && !of("expanded").packed);
        assert!(matches!(of("delimited").kind, Kind::Group(_)));
        assert!(of("text").utf8 && !of("one").utf8);
        assert_eq!(of("one").oneof, Some(0));
        let is_closed = |name| match of(name).kind {
            Kind::Enum(id) => contract.enumeration(id).closed,
            other => panic!("{other:?} is no enum"),
        };
        assert!(!is_closed("open") && is_closed("closed"));
    }
}

#[test]
fn protocols_x_1_what_a_later_edition_says_is_not_guessed() {
    for (syntax, edition) in
        [("editions", Some(Edition::EDITION_UNSTABLE)), ("editions", None), ("proto4", None)]
    {
        let unknown = FileDescriptorProto {
            syntax: Some(syntax.into()),
            edition,
            message_type: vec![message("New", vec![])],
            ..file("new.proto")
        };
        let old =
            FileDescriptorProto { message_type: vec![message("Old", vec![])], ..file("old.proto") };
        let contract = read(&[unknown, old]);
        assert_eq!(contract.faults().len(), 1, "{syntax} {edition:?}");
        assert_eq!(contract.faults()[0].file, "new.proto");
        assert!(contract.message_named("t.New").is_none());
        assert!(contract.message_named("t.Old").is_some());
    }
}

#[test]
fn protocols_x_1_files_come_in_any_order_and_more_than_once() {
    let uses = FileDescriptorProto {
        dependency: vec!["b.proto".into()],
        message_type: vec![message("A", vec![typed("b", 1, Type::TYPE_MESSAGE, ".t.B")])],
        ..file("a.proto")
    };
    let used = FileDescriptorProto { message_type: vec![message("B", vec![])], ..file("b.proto") };
    let one = read(&[uses.clone(), used.clone()]);
    let other = read(&[used.clone(), uses.clone(), used.clone(), uses]);
    assert_eq!(faults(&other), [""; 0]);
    assert_eq!(one.digest(), other.digest());
    let different = FileDescriptorProto { package: Some("u".into()), ..used.clone() };
    assert_eq!(
        faults(&read(&[used, different])),
        ["b.proto : two files have this name and differ; the first one counts"]
    );
}

#[test]
fn protocols_x_1_every_fault_has_its_file_and_symbol_and_the_rest_serves() {
    let long = "n".repeat(1_025);
    let mut m = message(
        "M",
        vec![
            field("fine", 1, Type::TYPE_INT32),
            field("twice", 1, Type::TYPE_INT32),
            field("no_number", 0, Type::TYPE_INT32),
            field("far", 1 << 29, Type::TYPE_INT32),
            FieldDescriptorProto { number: None, ..field("none", 0, Type::TYPE_INT32) },
            FieldDescriptorProto { r#type: None, ..field("untyped", 6, Type::TYPE_INT32) },
            typed("absent", 7, Type::TYPE_MESSAGE, ".t.Nowhere"),
            typed("absent_enum", 8, Type::TYPE_ENUM, ".t.M"),
            FieldDescriptorProto {
                json_name: Some("fine".into()),
                ..field("other", 9, Type::TYPE_INT32)
            },
            FieldDescriptorProto {
                json_name: Some("[t.x]".into()),
                ..field("odd", 10, Type::TYPE_INT32)
            },
            field("bad name", 11, Type::TYPE_INT32),
            FieldDescriptorProto {
                json_name: Some("x".into()),
                ..field("fine", 12, Type::TYPE_INT32)
            },
            typed("single_map", 13, Type::TYPE_MESSAGE, ".t.M.E"),
            repeated(typed("half_map", 14, Type::TYPE_MESSAGE, ".t.M.E")),
            field("last", 536_870_911, Type::TYPE_INT32),
        ],
    );
    m.nested_type = vec![entry(vec![field("key", 1, Type::TYPE_STRING)])];
    let a = FileDescriptorProto {
        message_type: vec![m, message("M", vec![]), message("1", vec![]), message(&long, vec![])],
        enum_type: vec![EnumDescriptorProto {
            name: Some("Empty".into()),
            reserved_range: vec![EnumReservedRange {
                start: Some(3),
                end: Some(1),
                ..Default::default()
            }],
            ..Default::default()
        }],
        service: vec![
            service(
                "S",
                vec![
                    method("Fine", ".t.M", ".t.M"),
                    method("Fine", ".t.M", ".t.M"),
                    method("Bad/", ".t.M", ".t.M"),
                    method("Absent", ".t.X", ".t.Y"),
                    method("Entry", ".t.M.E", ".t.M"),
                ],
            ),
            service("S", vec![]),
        ],
        ..file("a.proto")
    };
    let spaced = FileDescriptorProto { package: Some("a b".into()), ..file("spaced.proto") };
    let contract = read(&[a, spaced]);
    let expected = [
        "spaced.proto : its package is no name",
        "a.proto t.M: it is declared in `a.proto` already, which counts",
        "a.proto t.1: `1` is no name",
        "its full name has more than 1024 bytes",
        "a.proto t.Empty: an enum without a value",
        "a.proto t.M.twice: number 1 is that of `fine` already",
        "a.proto t.M.no_number: it has no usable number",
        "a.proto t.M.far: it has no usable number",
        "a.proto t.M.none: it has no usable number",
        "a.proto t.M.untyped: it has no type",
        "a.proto t.M.absent: its type `t.Nowhere` is not in the contract",
        "a.proto t.M.absent_enum: its type `t.M` is not in the contract",
        "a.proto t.M.other: its JSON name `fine` is that of `fine` already",
        "a.proto t.M.odd: `[t.x]` is no JSON name",
        "a.proto t.M.bad name: its name is none",
        "a.proto t.M.fine: the message has a field of this name already",
        "a.proto t.M.single_map: only a map has the type of a map's entry",
        "a.proto t.M.half_map: a map's entry has a key, a value and nothing else",
        "a.proto t.S/Fine: it is declared twice",
        "a.proto t.S: `Bad/` is no name of a method",
        "a.proto t.S/Absent: its type `t.X` is not in the contract",
        "a.proto t.S/Absent: its type `t.Y` is not in the contract",
        "a.proto t.S/Entry: its type `t.M.E` is the entry of a map",
        "a.proto t.S: it is declared twice",
    ];
    let found = faults(&contract);
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.ends_with(expected), "{found}\nis not\n{expected}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    let m = contract.message(contract.message_named("t.M").unwrap());
    let names: Vec<&str> = m.fields.iter().map(|field| &*field.name).collect();
    assert_eq!(names, ["fine", "last"]);
    let methods: Vec<&str> = contract.methods().map(|(_, method)| method.full_name()).collect();
    assert_eq!(methods, ["t.S/Fine"]);
    assert!(contract.faults().iter().all(|fault| !fault.fix.is_empty()));
}

#[test]
fn protocols_x_1_a_map_is_one_only_with_a_key_and_a_value() {
    let (int, text) = (Type::TYPE_INT32, Type::TYPE_STRING);
    let table = [
        (vec![field("key", 1, text), field("value", 2, int)], true),
        (vec![field("key", 1, Type::TYPE_BOOL), field("value", 2, int)], true),
        (vec![field("key", 1, Type::TYPE_FLOAT), field("value", 2, int)], false),
        (vec![field("key", 1, Type::TYPE_BYTES), field("value", 2, int)], false),
        (vec![field("key", 1, text), field("value", 3, int)], false),
        (vec![field("key", 1, text), repeated(field("value", 2, int))], false),
        (vec![field("key", 1, text)], false),
        (vec![field("key", 1, text), typed("value", 2, Type::TYPE_MESSAGE, ".t.Nowhere")], false),
        (vec![field("key", 1, text), field("value", 2, int), field("more", 3, int)], false),
        (vec![field("key", 1, text), typed("value", 2, Type::TYPE_MESSAGE, ".t.M.E")], false),
    ];
    for (fields, expected) in table {
        let shown = format!("{fields:?}");
        let mut m = message("M", vec![repeated(typed("map", 1, Type::TYPE_MESSAGE, ".t.M.E"))]);
        m.nested_type = vec![entry(fields)];
        let contract = read(&[FileDescriptorProto { message_type: vec![m], ..file("a.proto") }]);
        let m = contract.message(contract.message_named("t.M").unwrap());
        let map = m.field_named("map").map(|(_, field)| field.cardinality);
        assert_eq!(map, expected.then_some(Cardinality::Map), "{shown}");
    }
}

#[test]
fn protocols_x_1_a_known_name_with_other_fields_is_a_message_like_any_other() {
    let stranger = |name: &str, fields| FileDescriptorProto {
        package: Some("google.protobuf".into()),
        message_type: vec![message(name, fields)],
        ..file("stranger.proto")
    };
    for (name, fields, expected) in [
        ("Empty", vec![], WellKnown::Empty),
        ("Empty", vec![field("a", 1, Type::TYPE_INT32)], WellKnown::No),
        ("StringValue", vec![field("value", 1, Type::TYPE_STRING)], WellKnown::Wrapper),
        ("StringValue", vec![field("value", 1, Type::TYPE_BYTES)], WellKnown::No),
        ("StringValue", vec![field("value", 2, Type::TYPE_STRING)], WellKnown::No),
        ("StringValue", vec![], WellKnown::No),
        ("Any", vec![field("type_url", 1, Type::TYPE_STRING)], WellKnown::No),
        ("Timestamp", vec![], WellKnown::No),
        ("Value", vec![], WellKnown::No),
        ("FieldMask", vec![field("paths", 1, Type::TYPE_STRING)], WellKnown::No),
    ] {
        let contract = read(&[stranger(name, fields)]);
        let id = contract.message_named(&format!("google.protobuf.{name}")).unwrap();
        assert_eq!(contract.message(id).well_known, expected, "{name}");
        assert_eq!(contract.faults().len(), usize::from(expected == WellKnown::No));
    }
    let all = texts::contract(
        "syntax = \"proto3\"; package t; import \"google/protobuf/any.proto\";\n\
         import \"google/protobuf/struct.proto\"; import \"google/protobuf/wrappers.proto\";\n\
         import \"google/protobuf/timestamp.proto\"; import \"google/protobuf/duration.proto\";\n\
         import \"google/protobuf/field_mask.proto\"; import \"google/protobuf/empty.proto\";\n\
         import \"google/api/httpbody.proto\"; message M {}",
    );
    for name in [
        "google.protobuf.Any",
        "google.protobuf.Struct",
        "google.protobuf.Value",
        "google.protobuf.ListValue",
        "google.protobuf.Timestamp",
        "google.protobuf.Duration",
        "google.protobuf.FieldMask",
        "google.protobuf.Empty",
        "google.protobuf.DoubleValue",
        "google.protobuf.FloatValue",
        "google.protobuf.Int64Value",
        "google.protobuf.UInt64Value",
        "google.protobuf.Int32Value",
        "google.protobuf.UInt32Value",
        "google.protobuf.BoolValue",
        "google.protobuf.StringValue",
        "google.protobuf.BytesValue",
        "google.api.HttpBody",
    ] {
        let id = all.message_named(name).unwrap();
        assert_ne!(all.message(id).well_known, WellKnown::No, "{name}");
    }
}

#[test]
fn protocols_x_1_extensions_groups_aliases_and_message_sets_are_read() {
    let contract = texts::contract(
        "syntax = \"proto2\"; package t;\n\
         message M { extensions 100 to 200; optional int32 a = 1 [default = 7]; \
           optional bytes b = 2 [default = \"\\001\"]; reserved 10 to 12, 15; reserved \"old\"; }\n\
         message Outer { extend M { optional Outer inside = 101; } }\n\
         extend M { optional group G = 102 { optional int32 x = 1; } }\n\
         message Set { option message_set_wire_format = true; extensions 4 to max; }\n\
         message Item { extend Set { optional Item item = 1547769; } }\n\
         enum E { option allow_alias = true; A = 1; B = 1; C = 0; reserved 5 to max; }",
    );
    assert_eq!(field_of(&contract, "t.M", "[t.Outer.inside]").number, 101);
    assert!(field_of(&contract, "t.M", "[t.Outer.inside]").extension);
    assert!(matches!(field_of(&contract, "t.M", "[t.g]").kind, Kind::Group(_)));
    assert_eq!(field_of(&contract, "t.M", "a").default.as_deref(), Some("7"));
    assert_eq!(field_of(&contract, "t.M", "b").default.as_deref(), Some("\\001"));
    let m = contract.message(contract.message_named("t.M").unwrap());
    assert!(m.reserved.has_numbers(&(10..=12)) && m.reserved.has_numbers(&(15..=15)));
    assert!(!m.reserved.has_numbers(&(12..=13)) && !m.reserved.has_numbers(&(14..=14)));
    assert!(m.reserved.has_name("old") && !m.reserved.has_name("new"));
    assert!(!m.json_format && !m.message_set);
    let set = contract.message(contract.message_named("t.Set").unwrap());
    assert!(set.message_set);
    assert_eq!(field_of(&contract, "t.Set", "[t.Item.item]").number, 1_547_769);
    let e = contract.enumeration(contract.enumeration_named("t.E").unwrap());
    assert_eq!((e.default(), e.name(1), e.number("B")), (1, Some("A"), Some(1)));
    assert!(e.reserved.has_numbers(&(5..=i32::MAX)));
}

#[test]
fn protocols_x_2_options_are_read_where_their_file_was_not_reflected() {
    let set = texts::set(&[(
        "test.proto",
        "syntax = \"proto3\"; package t; import \"google/api/annotations.proto\";\n\
         message M { string a = 1; } service S { rpc R(M) returns (M) {\n\
           option idempotency_level = NO_SIDE_EFFECTS; option deprecated = true;\n\
           option (google.api.http) = { get: \"/v1/{a}\" additional_bindings { post: \"/v1\" body: \"*\" } };\n\
         } }",
    )]);
    let alone: Vec<Vec<u8>> = fields::each(&set)
        .map(|file| file.unwrap().bytes.to_vec())
        .filter(|file| fields::first_text(file, 1).as_deref() == Some("test.proto"))
        .collect();
    assert_eq!(alone.len(), 1);
    let contract = Contract::from_file_descriptors(&alone).unwrap();
    assert_eq!(contract.faults(), []);
    let (_, method) = contract.methods().next().unwrap();
    assert_eq!(method.idempotency, Idempotency::NoSideEffects);
    assert!(method.deprecated);
    let rules: Vec<_> =
        method.rules.iter().map(|rule| (&rule.http_method, rule.template.text())).collect();
    assert_eq!(rules, [(&HttpMethod::Get, "/v1/{a}"), (&HttpMethod::Post, "/v1")]);
}

const DIGESTED: &str = "syntax = \"proto3\"; package t; import \"google/api/annotations.proto\";\n\
    message M { int32 a = 1; repeated int32 list = 2; oneof choice { string x = 3; string y = 4; } E e = 5; \
      optional int32 maybe = 6; string p = 7; }\n\
    enum E { ZERO = 0; ONE = 1; }\n\
    message Unreached { int32 a = 1; }\n\
    service S { rpc R(M) returns (M) { option (google.api.http) = { get: \"/v1/{p}\" }; } rpc Q(M) returns (M); }";

#[test]
fn protocols_x_3_the_service_digest_sees_what_callers_can_tell_and_nothing_else() {
    let digest = |text: &str| texts::contract(text).service_digest("t.S").unwrap();
    let plain = digest(DIGESTED);
    let table = [
        // What callers can tell.
        ("int32 a = 1; repeated", "int32 a = 8; repeated", false),
        ("int32 a = 1; repeated", "sint32 a = 1; repeated", false),
        ("int32 a = 1; repeated", "optional int32 a = 1; repeated", false),
        ("int32 a = 1; repeated", "int32 a = 1 [json_name = \"b\"]; repeated", false),
        ("int32 a = 1; repeated", "int32 b = 1 [json_name = \"a\"]; repeated", false),
        ("int32 a = 1; repeated", "repeated int32 a = 1; repeated", false),
        ("int32 a = 1; repeated", "repeated", false),
        ("string y = 4; }", "} string y = 4;", false),
        ("oneof choice", "oneof other", false),
        ("ONE = 1;", "ONE = 2;", false),
        ("ONE = 1;", "EINS = 1;", false),
        ("ONE = 1;", "ONE = 1; TWO = 2;", false),
        ("rpc Q(M) returns (M);", "rpc Q(M) returns (stream M);", false),
        ("rpc Q(M) returns (M);", "rpc Q(stream M) returns (M);", false),
        ("rpc Q(M) returns (M);", "rpc Q(M) returns (Unreached);", false),
        ("rpc Q(M) returns (M);", "", false),
        (
            "rpc Q(M) returns (M);",
            "rpc Q(M) returns (M) { option idempotency_level = IDEMPOTENT; }",
            false,
        ),
        ("get: \"/v1/{p}\"", "get: \"/v2/{p}\"", false),
        ("get: \"/v1/{p}\"", "post: \"/v1/{p}\"", false),
        ("get: \"/v1/{p}\"", "get: \"/v1/{p}\" response_body: \"a\"", false),
        ("get: \"/v1/{p}\"", "post: \"/v1/{p}\" body: \"*\"", false),
        // What they cannot.
        ("package t;", "package t; option java_package = \"x\";", true),
        ("message M {", "/* words */ message M { reserved 99;", true),
        ("int32 a = 1; repeated", "int32 a = 1 [deprecated = true]; repeated", true),
        ("repeated int32 list = 2;", "repeated int32 list = 2 [packed = false];", true),
        ("message Unreached { int32 a = 1; }", "", true),
        (
            "optional int32 maybe = 6; string p = 7;",
            "string p = 7; optional int32 maybe = 6;",
            true,
        ),
    ];
    for (old, new, same) in table {
        assert!(DIGESTED.contains(old), "{old}");
        assert_eq!(plain == digest(&DIGESTED.replace(old, new)), same, "{old} → {new}");
    }
    assert_eq!(texts::contract(DIGESTED).service_digest("t.T"), None);
}

#[test]
fn protocols_x_3_closed_enums_and_defaults_are_part_of_the_digest() {
    let text = "syntax = \"proto2\"; package t; message M { optional E e = 1; optional int32 a = 2; } \
                enum E { A = 0; } service S { rpc R(M) returns (M); }";
    let digest = |text: &str| texts::contract(text).service_digest("t.S").unwrap();
    let plain = digest(text);
    for (old, new) in [
        ("proto2\"", "proto3\""),
        ("int32 a = 2", "int32 a = 2 [default = 7]"),
        ("optional int32", "required int32"),
    ] {
        assert_ne!(plain, digest(&text.replace(old, new)), "{new}");
    }
}

#[test]
fn protocols_x_3_two_layouts_of_one_contract_have_one_service_digest_and_two_set_digests() {
    let one = Contract::from_descriptor_set(&texts::set(&[(
        "one.proto",
        "syntax = \"proto3\"; package t; message M { N n = 1; } message N { int32 a = 1; } \
         service S { rpc B(M) returns (N); rpc A(M) returns (N); }",
    )]))
    .unwrap();
    let two = Contract::from_descriptor_set(&texts::set(&[
        (
            "z/messages.proto",
            "syntax = \"proto3\"; package t; message N { int32 a = 1; } message M { N n = 1; }",
        ),
        (
            "a/service.proto",
            "syntax = \"proto3\"; package t; import \"z/messages.proto\"; \
             service S { rpc A(M) returns (N); rpc B(M) returns (N); }",
        ),
    ]))
    .unwrap();
    assert_eq!(one.service_digest("t.S"), two.service_digest("t.S"));
    assert_ne!(one.digest(), two.digest());
    // Comments and positions are no part of either.
    let commented = Contract::from_descriptor_set(&texts::set(&[(
        "one.proto",
        "// words\nsyntax = \"proto3\";\n package t; message M { N n = 1; /* more */ } \
         message N { int32 a = 1; } service S { rpc B(M) returns (N); rpc A(M) returns (N); }",
    )]))
    .unwrap();
    assert_eq!(one.digest(), commented.digest());
}

#[test]
fn security_cf_7_a_set_has_at_most_20000_messages() {
    let with = |messages: usize| {
        let message_type = (0..messages).map(|n| message(&format!("M{n}"), vec![])).collect();
        let file = FileDescriptorProto { message_type, ..file("a.proto") };
        Contract::from_file_descriptors(&[file.encode_to_vec()])
            .map(|contract| contract.faults().len())
    };
    assert_eq!(with(20_000), Ok(0));
    assert!(with(20_001).unwrap_err().to_string().contains("more than 20000 messages"));
}

#[test]
fn security_t_5_small_bytes_do_not_become_large_memory() {
    // Each of these is a few megabytes of the shortest possible parts.
    let many = |number: u32, content: &[u8], times: usize| {
        let mut out = Vec::new();
        for _ in 0..times {
            fields::put_bytes(number, content, &mut out);
        }
        out
    };
    let million = 1_100_000;
    for bomb in [
        many(4, b"", million),
        many(3, b"", million),
        many(4, &many(8, b"", million), 1),
        many(4, &many(2, b"", million), 1),
        many(5, &many(2, b"", million), 1),
    ] {
        let faults = Contract::from_file_descriptors(&[bomb]).unwrap_err();
        assert!(faults.to_string().contains("more than"), "{faults}");
    }
    // Positions are left behind before anything counts them.
    let mut positions = file("a.proto").encode_to_vec();
    fields::put_bytes(9, &many(1, b"", million), &mut positions);
    assert_eq!(Contract::from_file_descriptors(&[positions]).unwrap().faults(), []);
    // One file that goes too deep is left out, the others serve.
    let mut deep = message("M", vec![]);
    for _ in 0..60 {
        deep = DescriptorProto { nested_type: vec![deep], ..message("M", vec![]) };
    }
    let deep = FileDescriptorProto { message_type: vec![deep], ..file("deep.proto") };
    let fine = FileDescriptorProto { message_type: vec![message("F", vec![])], ..file("f.proto") };
    let contract = read(&[deep, fine]);
    assert_eq!(faults(&contract), ["deep.proto : messages nest deeper than 60 levels"]);
    assert!(contract.message_named("t.F").is_some());
}

#[test]
fn security_t_5_faults_of_one_contract_are_bounded() {
    let message_type = (0..1_500).map(|_| message("M", vec![])).collect();
    let contract = read(&[FileDescriptorProto { message_type, ..file("a.proto") }]);
    assert_eq!(contract.faults().len(), 1_001);
    assert_eq!(contract.faults()[1_000].what, "499 further faults");
}

fn real_sets() -> Vec<Vec<u8>> {
    vec![
        texts::set(&[("test.proto", DIGESTED)]),
        texts::set(&[(
            "two.proto",
            "syntax = \"proto2\"; package t; message M { required int32 a = 1; map<string, M> map = 2; \
             optional group G = 3 { optional bytes d = 4; } extensions 100 to 200; \
             oneof o { int32 x = 5; string y = 6; } reserved 7; } extend M { optional string e = 100; }",
        )]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn damaged_sets_end_in_a_contract_or_in_faults(
        which in 0_usize..2,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..4), 0..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = real_sets().swap_remove(which);
        for (place, byte, act) in damage {
            let place = place.index(bytes.len());
            match act {
                0 => bytes[place] = byte,
                1 => bytes[place] ^= 1 << (byte % 8),
                2 => drop(bytes.remove(place)),
                _ => bytes.insert(place, byte),
            }
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        descriptor_set::check(&bytes);
    }
}
