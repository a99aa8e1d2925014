//! The key `settings` of a team's file: read, held against the contract, pushed, opened to people
//! (hybrid SE-1, SE-5, SE-7, SE-8; security RB-10).
//!
//! Not here: single rules (`settings.rs`), edits of texts (`settings_edit.rs`).

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tandem_config::access::{Identity, Membership, Principal, Role, Who};
use tandem_config::audit::{Source, Timestamp};
use tandem_config::document::Require;
use tandem_config::history::{Checked, History, PlatformBasis};
use tandem_config::load::from_texts;
use tandem_config::settings::{form, published};
use tandem_config::store::{Memory, NamespaceName, Scope};
use tandem_config::{Act, Namespace, Problem, Severity, Tnd, check};
use tandem_contract::Contract;
use tandem_contract::source::text::{ProtoText, compile};

const PLATFORM: &str = "format: 1\n\
listen: { public: { address: 127.0.0.1:0 } }\n\
namespaces: { shop: { may: { services: [p.*], upstreams: [\"go:80\"] } } }\n";

/// The settings message of `p.A`; `rest` stands beside it.
fn contract(fields: &str, rest: &str) -> Arc<Contract> {
    let text = |name: &str, text: String| ProtoText { name: name.to_owned(), text };
    let set = compile(&[
        text("buf/validate/validate.proto", include_str!("parts/validate.proto").to_owned()),
        text(
            "p.proto",
            format!(
                "syntax = \"proto3\"; package p; import \"tandem/settings/v1/settings.proto\";\n\
                 import \"buf/validate/validate.proto\"; import \"google/protobuf/duration.proto\";\n\
                 import \"google/protobuf/struct.proto\"; import \"google/protobuf/wrappers.proto\";\n\
                 enum E {{ NONE = 0; RED = 1; }}\n\
                 message In {{ int32 deep = 1 [(buf.validate.field).int32.lte = 3]; In in = 2; }}\n\
                 message S {{ option (tandem.settings.v1.settings) = {{ service: \"p.A\" }};\n\
                 {fields} }}\n\
                 service A {{ rpc R(In) returns (In); }} service B {{ rpc R(In) returns (In); }}\n\
                 {rest}"
            ),
        ),
    ]);
    Arc::new(
        Contract::from_descriptor_set(&set.unwrap_or_else(|faults| panic!("{faults:?}"))).unwrap(),
    )
}

const FIELDS: &str = "// In percent\n// of the price.\n\
    int32 max_discount = 1 [(buf.validate.field).int32 = {gte: 0, lte: 60}];\n\
    repeated string hidden = 2 [(buf.validate.field).repeated.max_items = 2];\n\
    tandem.settings.v1.Rollout format = 3; In in = 4; map<string, In> by_name = 5; double rate = 6;\n\
    E colour = 7;";

/// A document of the namespace `shop` that serves `p.A`.
fn document(settings: &str) -> String {
    format!(
        "namespace: shop\n\
         contract: {{ descriptors: shop.binpb }}\n\
         upstreams: {{ go: {{ address: \"dns:go:80\" }} }}\n\
         methods: {{ p.A/*: }}\n\
         {settings}"
    )
}

/// `values` of `p.A`, each on a line of its own from line 8 on.
fn with_values(values: &str) -> String {
    document(&format!("settings:\n  p.A:\n    values:\n{values}"))
}

fn read(text: &str) -> Result<Namespace, Vec<Problem>> {
    from_texts(PLATFORM, &[("teams/shop.yaml", text)])
        .map(|loaded| loaded.namespaces.into_iter().next().unwrap().0)
}

fn problems(text: &str, contract: &Arc<Contract>) -> Vec<Problem> {
    let loaded = match from_texts(PLATFORM, &[("teams/shop.yaml", text)]) {
        Ok(loaded) => loaded,
        Err(problems) => return problems,
    };
    let contracts = BTreeMap::from([("shop".to_owned(), Arc::clone(contract))]);
    let problems = check(&loaded, &contracts).into_iter();
    problems.filter(|problem| problem.code != Tnd::NoAuthPolicy).collect()
}

/// Code, line, path and words of each.
fn told(text: &str, contract: &Arc<Contract>) -> Vec<String> {
    let one = |problem: &Problem| {
        let line = problem.line.map(|line| line.to_string()).unwrap_or_default();
        format!("{} {line} {}: {}", problem.code.name(), problem.path, problem.what)
    };
    problems(text, contract).iter().map(one).collect()
}

#[test]
fn hybrid_se_1_values_are_read_as_they_are_written() {
    let namespace = read(&document(
        "settings:\n  p.A:\n    require: all\n    values:\n      max_discount: 20\n      \
         hidden: [a, \"1\"]\n      in: { in: { deep: 1 } }\n      rate: 0.10\n    access:\n      \
         max_discount: [user:pm, group:leads]\n  p.B:\n",
    ))
    .unwrap();
    let rules = &namespace.settings["p.A"];
    assert_eq!(
        serde_json::Value::Object(rules.values.clone()),
        serde_json::json!({
            "max_discount": 20, "hidden": ["a", "1"], "in": { "in": { "deep": 1 } }, "rate": 0.1
        })
    );
    assert_eq!(rules.require, Require::All);
    let people: Vec<&str> = rules.access["max_discount"].iter().map(Who::as_str).collect();
    assert_eq!(people, ["user:pm", "group:leads"]);
    assert_eq!(namespace.settings["p.B"], Default::default());
}

#[test]
fn hybrid_se_1_what_nobody_knows_and_what_stands_twice_is_refused_at_its_place() {
    let contract = contract(FIELDS, "");
    let settings = document(
        "settings:\n  p.A:\n    value: {}\n    require: some\n    values:\n      max_discount: 1\n      \
         max_discount: 2\n      in: { deep: 1, deep: 2 }\n      colour:\n    access: { rate: [ann] }\n  \
         not a service: {}\n  p.A: {}\n",
    );
    assert_eq!(
        told(&settings, &contract),
        [
            "TND0101 7 settings[\"p.A\"].value: unknown key `value`",
            "TND0102 8 settings[\"p.A\"].require: `require` is `none` or `all`",
            "TND0103 11 settings[\"p.A\"].values.max_discount: `max_discount` is written twice",
            "TND0103 12 settings[\"p.A\"].values.in.deep: `deep` is written twice",
            "TND0102 13 settings[\"p.A\"].values.colour: `colour` has no value",
            "TND0102 14 settings[\"p.A\"].access.rate[0]: `ann` is nobody",
            "TND0102 15 settings[\"not a service\"]: `not a service` is no service",
            "TND0103 16 settings[\"p.A\"]: `p.A` is written twice",
        ]
    );
}

#[test]
fn hybrid_se_8_a_reference_to_a_secret_is_no_setting() {
    let text = with_values("      hidden: [a, \"store:payments/key\"]\n");
    let found = problems(&text, &contract(FIELDS, ""));
    let [problem] = &found[..] else { panic!("{found:?}") };
    assert_eq!(problem.code, Tnd::NotBuiltIn);
    assert_eq!(problem.path, "settings[\"p.A\"].values.hidden[1]");
    assert!(!format!("{}{}{}", problem.what, problem.here, problem.why).contains("payments"));
}

#[test]
fn hybrid_se_1_every_value_that_is_refused_is_named_at_its_line_with_the_nearest_that_is_not() {
    let contract = contract(FIELDS, "");
    let text = with_values(
        "      max_discount: 90\n      hidden:\n        - a\n        - b\n        - c\n      \
         format: { per_mille: 1001 }\n      in:\n        in:\n          deep: 4\n      \
         by_name: { \"x y\": { deep: 5 } }\n      rate: much\n      colour: GREEN\n",
    );
    let found = problems(&text, &contract);
    let lines: Vec<String> = found
        .iter()
        .map(|one| format!("{} {}: {} | {}", one.line.unwrap(), one.path, one.what, one.fix))
        .collect();
    let at = |line: usize, rest: &str| format!("{line} settings[\"p.A\"].values.{rest}");
    let near = |value: &str| format!("write {value}, the nearest value that is allowed");
    assert_eq!(
        lines,
        [
            at(
                8,
                &format!(
                    "max_discount: max_discount is at most 60 (rule int32.lte) | {}",
                    near("60")
                )
            ),
            at(
                9,
                "hidden: hidden has at most 2 items (rule repeated.max_items) | write another value"
            ),
            at(
                13,
                &format!(
                    "format.per_mille: format.per_mille is at most 1000 (rule uint32.lte) | {}",
                    near("1000")
                )
            ),
            at(
                16,
                &format!("in.in.deep: in.in.deep is at most 3 (rule int32.lte) | {}", near("3"))
            ),
            at(
                17,
                &format!(
                    "by_name[\"x y\"].deep: by_name[\"x y\"].deep is at most 3 (rule int32.lte) | {}",
                    near("3")
                )
            ),
            at(18, "rate: rate is refused: `much` is no number (rule type) | write another value"),
            at(
                19,
                "colour: colour is refused: p.E has no value `GREEN` (rule type) | write another value"
            ),
        ]
    );
    assert!(found.iter().all(|problem| problem.code == Tnd::SettingRefused));
    let found = problems(&with_values("      colour: REED\n"), &contract);
    assert_eq!(found[0].fix, "write \"RED\", the nearest value that is allowed");
    assert_eq!(
        told(
            &with_values("      max_discount: 60\n      format: { per_mille: 1000 }\n"),
            &contract
        ),
        [""; 0]
    );
}

#[test]
fn fields_are_named_as_the_contracts_file_names_them() {
    let contract = contract(FIELDS, "");
    let text = with_values(
        "      maxDiscount: 20\n      max_dicount: 20\n      in: { in: { deeep: 1 } }\n      other: 1\n",
    );
    let found = problems(&text, &contract);
    let lines: Vec<String> =
        found.iter().map(|one| format!("{} {} | {}", one.code.name(), one.what, one.fix)).collect();
    assert_eq!(
        lines,
        [
            "TND0101 maxDiscount is written `max_discount` here (rule name) | write `max_discount`",
            "TND0101 max_dicount is no field of `p.S`; did you mean `max_discount`? (rule name) | write `max_discount`",
            "TND0101 in.in.deeep is no field of `p.In`; did you mean `deep`? (rule name) | write `deep`",
            "TND0101 other is no field of `p.S` (rule name) | take it out, or add the field to the contract",
        ]
    );
}

#[test]
fn hybrid_se_1_a_service_must_be_there_must_have_settings_and_must_be_granted() {
    let contract = contract(
        FIELDS,
        "message T { option (tandem.settings.v1.settings) = { service: \"p.B\" }; }",
    );
    let of = |service: &str| document(&format!("settings: {{ {service}: {{}} }}\n"));
    assert_eq!(told(&of("p.B"), &contract), [""; 0], "a service need not be served");
    assert_eq!(
        told(&of("p.C"), &contract),
        ["TND0112 5 settings[\"p.C\"]: the contract has no service `p.C`"]
    );
    assert_eq!(
        told(&of("q.C"), &contract),
        [
            "TND0110 5 settings[\"q.C\"]: the namespace may not claim the service `q.C`",
            "TND0112 5 settings[\"q.C\"]: the contract has no service `q.C`",
        ]
    );
    let without = self::contract(FIELDS, "");
    assert_eq!(told(&of("p.B"), &without), ["TND0101 5 settings[\"p.B\"]: `p.B` has no settings"]);
}

#[test]
fn settings_of_a_service_stand_in_one_namespace() {
    let platform = PLATFORM.replace(
        "namespaces: { ",
        "namespaces: { twin: { may: { services: [p.*], hosts: [twin.example], \
         upstreams: [\"go:80\"] } }, ",
    );
    let shop = document("settings: { p.A: { values: { max_discount: 1 } } }\n");
    let twin = shop.replace("namespace: shop", "namespace: twin\nhosts: [twin.example]");
    let loaded = from_texts(&platform, &[("teams/shop.yaml", &shop), ("teams/twin.yaml", &twin)]);
    let found = check(&loaded.unwrap(), &BTreeMap::new());
    let claimed: Vec<_> =
        found.iter().filter(|problem| problem.code == Tnd::ClaimedByAnother).collect();
    let [problem] = claimed[..] else { panic!("{found:?}") };
    assert_eq!(problem.file.as_deref(), Some("teams/twin.yaml"));
    assert_eq!(problem.path, "settings[\"p.A\"]");
}

#[test]
fn hybrid_se_5_a_field_that_is_opened_exists() {
    let text = document("settings: { p.A: { access: { max_dicount: [user:pm], hidden: [] } } }\n");
    assert_eq!(
        told(&text, &contract(FIELDS, "")),
        ["TND0101 5 settings[\"p.A\"].access.max_dicount: `max_dicount` is no field of `p.S`"]
    );
}

#[test]
fn security_po_2_a_rule_that_nobody_holds_is_a_fault_of_the_contract() {
    let cel = contract("int32 a = 1 [(buf.validate.field).cel = {id: \"x\"}];", "");
    let what = "`p.S.a` has the rule cel, which is not built in";
    assert_eq!(told(&document(""), &cel), [format!("TND0201 2 contract.descriptors: {what}")]);
    let written = with_values("      a: 1\n");
    assert_eq!(told(&written, &cel), [format!("TND0201 6 settings[\"p.A\"]: {what}")]);
    // What is reflected cannot be corrected before it is published.
    let reflected = document("").replace("descriptors: shop.binpb", "reflection: go");
    let found = problems(&reflected, &cel);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].severity, Severity::Warning);
}

#[test]
fn a_contract_that_refuses_its_own_defaults_asks_for_values() {
    let contract = contract("int32 a = 1 [(buf.validate.field).int32.gte = 1];", "");
    let found = problems(&document(""), &contract);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].code, found[0].severity), (Tnd::SettingRefused, Severity::Warning));
    assert_eq!(found[0].here, "a is at least 1 (rule int32.gte)");
    assert_eq!(told(&with_values("      a: 1\n"), &contract), [""; 0]);
}

#[test]
fn hybrid_se_2_every_service_with_settings_is_handed_its_values_or_the_defaults() {
    let contract = contract(
        FIELDS,
        "message T { option (tandem.settings.v1.settings) = { service: \"p.B\" }; bool on = 1; }",
    );
    let namespace = read(&with_values("      max_discount: 20\n    require: all\n")).unwrap();
    let settings = published(&namespace, &contract);
    let a = settings["p.A"].as_ref().unwrap();
    assert_eq!((&*a.message, &a.wire[..], a.require), ("p.S", &[0x08, 20][..], Require::All));
    assert!(a.json.contains("\"max_discount\":20,\"hidden\":[]"), "{}", a.json);
    // Nobody serves `p.B` here, and nobody names it.
    assert_eq!(settings.len(), 1);
    let both = document("").replace("p.A/*:", "p.A/*: , p.B/*:");
    let settings = published(&read(&both).unwrap(), &contract);
    let b = settings["p.B"].as_ref().unwrap();
    assert_eq!((&*b.json, &b.wire[..], b.require), (r#"{"on":false}"#, &[][..], Require::None));
}

#[test]
fn one_service_whose_values_a_newer_contract_refuses_stops_no_other() {
    let newer = contract(
        "int32 max_discount = 1 [(buf.validate.field).int32.lte = 10];",
        "message T { option (tandem.settings.v1.settings) = { service: \"p.B\" }; bool on = 1; }",
    );
    let text =
        format!("{}  p.B: {{ values: {{ on: true }} }}\n", with_values("      max_discount: 20\n"));
    let settings = published(&read(&text).unwrap(), &newer);
    let problems = settings["p.A"].as_ref().unwrap_err();
    assert_eq!(problems[0].what, "max_discount is at most 10 (rule int32.lte)");
    assert_eq!(settings["p.B"].as_ref().unwrap().json, r#"{"on":true}"#);
}

#[test]
fn hybrid_se_7_only_the_published_rollout_has_the_rule_of_the_whole() {
    let own = contract("Rollout own = 1;", "message Rollout { uint32 per_mille = 1; }");
    assert_eq!(told(&with_values("      own: { per_mille: 1001 }\n"), &own), [""; 0]);
}

fn shop() -> NamespaceName {
    NamespaceName::new("shop").unwrap()
}

fn act(principal: &Principal) -> Act<'_> {
    Act { principal, source: Source::Api, when: Timestamp(1), why: "a sale" }
}

fn identity(who: &str) -> Identity {
    Identity { who: Who::parse(who).unwrap(), groups: BTreeSet::new(), platform_admin: false }
}

#[test]
fn security_rb_10_a_manager_may_change_his_field_and_nothing_else() {
    let contract = contract(FIELDS, "");
    let text = |values: &str, rest: &str| {
        document(&format!(
            "settings:\n  p.A:\n    values: {{ {values} }}\n    \
             access: {{ max_discount: [user:pm] }}\n{rest}"
        ))
    };
    let store = Memory::new();
    let publish = |principal: &Principal, text: &str, read| {
        let platform = PlatformBasis::of_file(PLATFORM);
        let checked = Checked::namespace(&platform, &shop(), text, &contract, None).unwrap();
        let version = History::new(&store).publish(act(principal), &checked, read);
        version.ok().map(|version| version.number)
    };
    let mut membership = Membership::new();
    let scope = Scope::Namespace(shop());
    membership.grant(&shop(), &Who::parse("user:ann").unwrap(), Role::Publisher);
    let ann = membership.principal(&identity("user:ann"));
    let first = text("max_discount: 20, rate: 1", "");
    assert_eq!(publish(&ann, &first, 0), Some(1));

    // What is live says what is opened.
    let live = History::new(&store).live(&ann, &scope).unwrap().unwrap();
    membership.open_fields(&shop(), &read(&live.text).unwrap());
    let manager = membership.principal(&identity("user:pm"));
    let stranger = membership.principal(&identity("user:eve"));

    let change = text("max_discount: 30, rate: 1", "");
    assert_eq!(publish(&stranger, &change, 1), None);
    assert_eq!(publish(&manager, &change, 1), Some(2));
    assert_eq!(publish(&manager, &text("rate: 1", ""), 2), Some(3), "back to the default");
    for refused in [
        text("max_discount: 40, rate: 2", ""),
        text("max_discount: 40, rate: 1", "hosts: []\n"),
        text("max_discount: 40, rate: 1", "defaults: { internal: true }\n"),
        text("max_discount: 40, rate: 1", "").replace("user:pm", "user:pm, user:eve"),
        text("max_discount: 40, rate: 1", "").replace("    access", "    require: all\n    access"),
        text("max_discount: 40, rate: 1", "").replace("dns:go:80", "dns:go:80\", \"dns:go:80"),
        text("rate: 1", ""),
    ] {
        let refused = refused.replace(
            "address: \"dns:go:80\", \"dns:go:80\"",
            "address: [\"dns:go:80\", \"dns:go:80\"]",
        );
        assert_eq!(publish(&manager, &refused, 3), None, "{refused}");
    }
    // The last field that goes leaves an empty group, which is no more than that.
    assert_eq!(publish(&ann, &text("max_discount: 5", ""), 3), Some(4));
    assert_eq!(publish(&manager, &text("", ""), 4), Some(5));
    assert_eq!(publish(&manager, &text("max_discount: 6", ""), 5), Some(6));
}

#[test]
fn hybrid_se_9_a_form_says_all_that_a_page_needs() {
    let contract = contract(
        &format!(
            "{FIELDS} int64 big = 8 [(buf.validate.field).int64.gte = 5]; optional bool on = 9;\n\
             oneof way {{ string a = 10; string b = 11; }} google.protobuf.Struct any = 12;\n\
             google.protobuf.Duration every = 13; google.protobuf.Int32Value maybe = 14;\n\
             string code = 15 [(buf.validate.field).string = {{min_len: 2, max_len: 8}}];\n\
             repeated int32 list = 16 [(buf.validate.field).repeated.items.int32.lt = 9];"
        ),
        "",
    );
    let fields = form(&contract, contract.settings_of("p.A").unwrap());
    let json = |name: &str| {
        let field = fields.iter().find(|field| field.name == name).unwrap();
        serde_json::to_value(field).unwrap()
    };
    assert_eq!(
        json("max_discount"),
        serde_json::json!({
            "name": "max_discount", "label": "Max discount", "comment": "In percent of the price.",
            "kind": "int32", "repeated": false, "map": false, "key": null, "oneof": null, "default": 0,
            "rules": [
                { "rule": "int32.gte", "value": "0", "must": "is at least 0" },
                { "rule": "int32.lte", "value": "60", "must": "is at most 60" },
            ],
            "min": "0", "max": "60", "max_items": null, "min_len": null, "max_len": null,
            "values": [], "fields": [],
        })
    );
    let kinds: Vec<String> = fields
        .iter()
        .map(|field| format!("{} {} {}", field.name, field.kind, field.default))
        .collect();
    assert_eq!(
        kinds,
        [
            "max_discount int32 0",
            "hidden string []",
            "format rollout null",
            "in message null",
            "by_name message {}",
            "rate double 0",
            "colour enum \"NONE\"",
            "big int64 \"0\"",
            "on bool null",
            "a string null",
            "b string null",
            "any json null",
            "every duration null",
            "maybe int32 null",
            "code string \"\"",
            "list int32 []",
        ]
    );
    assert_eq!((&json("format")["min"], &json("format")["max"]), (&"0".into(), &"1000".into()));
    assert_eq!(json("hidden")["max_items"], 2);
    assert_eq!(json("by_name")["key"], "string");
    assert_eq!(json("colour")["values"], serde_json::json!(["NONE", "RED"]));
    assert_eq!(json("a")["oneof"], "way");
    assert_eq!((&json("code")["min_len"], &json("code")["max_len"]), (&2.into(), &8.into()));
    assert_eq!(
        (&json("list")["max"], &json("list")["rules"][0]["must"]),
        (&"8".into(), &"each item is less than 9".into())
    );
    // A message that holds itself ends in text.
    let mut kinds = Vec::new();
    let mut inner = fields.iter().find(|field| field.name == "in");
    while let Some(field) = inner {
        kinds.push(field.kind);
        inner = field.fields.iter().find(|field| field.name == "in");
    }
    assert_eq!(kinds, ["message", "message", "message", "json"]);
}

#[test]
fn the_example_of_the_manual_is_right() {
    let page = include_str!("../../../docs/manual/settings.md");
    let block = |kind: &str| {
        let start = page.find(&format!("```{kind}\n")).unwrap();
        let text = &page[start..].split_once('\n').unwrap().1;
        text.split_once("```").unwrap().0.to_owned()
    };
    let text = |name: &str, text: String| ProtoText { name: name.to_owned(), text };
    let validate = include_str!("parts/validate.proto").to_owned();
    let set = compile(&[
        text("buf/validate/validate.proto", validate),
        text("shop.proto", block("proto")),
    ]);
    let contract = Arc::new(Contract::from_descriptor_set(&set.unwrap()).unwrap());
    let platform = "format: 1\nlisten: { public: { address: 127.0.0.1:0 } }\n\
        namespaces: { shop: { may: { services: [shop.v1.*], upstreams: [\"catalogue:50051\"], \
        public_methods: true } } }\n";
    let told = |team: &str| {
        let loaded = from_texts(platform, &[("teams/shop.yaml", team)]).unwrap();
        let contracts = BTreeMap::from([("shop".to_owned(), Arc::clone(&contract))]);
        check(&loaded, &contracts)
    };
    let team = block("yaml");
    assert!(told(&team).is_empty(), "{:?}", told(&team));
    let refused = told(&team.replace("percent: 20", "percent: 90"));
    assert_eq!(refused.len(), 1);
    let place =
        format!("teams/shop.yaml:{}:{}", refused[0].line.unwrap(), refused[0].column.unwrap());
    assert!(
        page.contains(&format!("error[{}]: {}\n  --> {place}\n", refused[0].code, refused[0].what)),
        "{place}"
    );
}
