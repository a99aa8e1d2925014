//! Whether a new contract takes over (protocols ).

use tandem_contract::compat::{Decision, Follow, breaking_changes, follow, unlike_services};

use crate::texts;

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
