//! Changes of calls: what is no longer taken, and what is told of the rest (protocols X-5).

use tandem_contract::compat::{Category, Change, breaking_changes, changes};

use crate::texts;

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
