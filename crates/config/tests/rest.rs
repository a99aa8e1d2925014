//! What a team says about REST: its switches, and rules in the place of annotations.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use protox::file::{
    ChainFileResolver, File, FileResolver, GoogleFileResolver, IncludeFileResolver,
};
use tandem_config::document::{
    EncodedSlash, HeadHold, JsonDefaults, JsonEnums, JsonInt64, JsonNames, JsonSwitches, PatchMask,
    PathSwitches, PlatformLimits, ResolvedMethod, RestSwitches, StreamEnvelope, StreamFraming,
    TrailingSlash, UnaskedBody, Unknown,
};
use tandem_config::load::{Loaded, from_texts};
use tandem_config::{Problem, Severity, Tnd, check};
use tandem_contract::{Contract, HttpMethod, MethodKind, RuleText};

const PLATFORM: &str = "\
format: 1
listen: { public: { address: 127.0.0.1:0 } }
namespaces:
  shop: { may: { services: [t.S], paths: [/v1/**], public_methods: true, loopback: true, upstreams: [\"127.0.0.0/8:*\"] } }
";

/// A team's file with `defaults`, `Service/*` and `Service/Method` as given.
fn team(defaults: &str, service: &str, method: &str) -> String {
    format!(
        "namespace: shop\ncontract: {{ reflection: go }}\nupstreams: {{ go: {{ address: \"127.0.0.1:1\" }} }}\n\
         defaults: {{ auth: {{ public: true }}{defaults} }}\nmethods:\n  t.S/*: {{ {service} }}\n  \
         t.S/Get: {{ {method} }}\n"
    )
}

fn loaded(team: &str) -> Result<Loaded, Vec<Problem>> {
    from_texts(PLATFORM, &[("teams/shop.yaml", team)])
}

fn resolved(team: &str, method: &str) -> ResolvedMethod {
    let loaded = loaded(team).unwrap();
    let limits = PlatformLimits::default();
    loaded.namespaces[0].0.resolve("t.S", method, MethodKind::Unary, &limits)
}

#[test]
fn protocols_k_each_switch_says_what_it_says() {
    let rest = RestSwitches::default;
    let paths = PathSwitches::default();
    for (written, expected) in [
        ("", rest()),
        ("encoded_slash: refuse, trailing_slash: 404", rest()),
        ("trailing_slash: \"404\", unknown_query: refuse", rest()),
        ("unknown_json_field: refuse, body_without_rule: refuse, patch_mask: fill", rest()),
        (
            "encoded_slash: decode",
            RestSwitches {
                paths: PathSwitches { encoded_slash: EncodedSlash::Decode, ..paths },
                ..rest()
            },
        ),
        (
            "trailing_slash: redirect",
            RestSwitches {
                paths: PathSwitches { trailing_slash: TrailingSlash::Redirect, ..paths },
                ..rest()
            },
        ),
        ("unknown_query: ignore", RestSwitches { unknown_query: Unknown::Ignore, ..rest() }),
        (
            "unknown_json_field: ignore",
            RestSwitches { unknown_json_field: Unknown::Ignore, ..rest() },
        ),
        (
            "body_without_rule: ignore",
            RestSwitches { body_without_rule: UnaskedBody::Ignore, ..rest() },
        ),
        ("stream_framing: array, stream_envelope: bare", rest()),
        (
            "stream_framing: ndjson",
            RestSwitches { stream_framing: StreamFraming::Ndjson, ..rest() },
        ),
        ("stream_framing: sse", RestSwitches { stream_framing: StreamFraming::Sse, ..rest() }),
        (
            "stream_envelope: result_error",
            RestSwitches { stream_envelope: StreamEnvelope::ResultError, ..rest() },
        ),
        ("patch_mask: leave", RestSwitches { patch_mask: PatchMask::Leave, ..rest() }),
        ("head_hold: 1s", rest()),
        (
            "head_hold: 1ms",
            RestSwitches { head_hold: HeadHold(Duration::from_millis(1)), ..rest() },
        ),
        ("head_hold: 60s", RestSwitches { head_hold: HeadHold(Duration::from_secs(60)), ..rest() }),
        ("sse_id_field: a.b", RestSwitches { sse_id_field: Some("a.b".into()), ..rest() }),
    ] {
        for team in [
            team(&format!(", rest: {{ {written} }}"), "", ""),
            team("", &format!("rest: {{ {written} }}"), ""),
            team("", "", &format!("rest: {{ {written} }}")),
        ] {
            assert_eq!(resolved(&team, "Get").rest, expected, "{team}");
        }
    }
}

#[test]
fn protocols_j_17_each_choice_of_json_says_what_it_says() {
    let json = JsonSwitches::default();
    for (written, expected) in [
        ("", json),
        ("defaults: omit, enums: name, names: json, int64: string", json),
        ("defaults: emit", JsonSwitches { defaults: JsonDefaults::Emit, ..json }),
        ("enums: number", JsonSwitches { enums: JsonEnums::Number, ..json }),
        ("names: proto", JsonSwitches { names: JsonNames::Proto, ..json }),
        ("int64: number", JsonSwitches { int64: JsonInt64::Number, ..json }),
    ] {
        let found = resolved(&team("", "", &format!("json: {{ {written} }}")), "Get").json;
        assert_eq!(found, expected, "{written}");
    }
}

#[test]
fn experience_ux_25_a_more_exact_line_replaces_the_whole_key() {
    let team = team(
        ", rest: { rpc_paths: false, unknown_query: ignore }, json: { enums: number }",
        "rest: { patch_mask: leave }",
        "json: { names: proto }",
    );
    let (get, other) = (resolved(&team, "Get"), resolved(&team, "Other"));
    let leave = RestSwitches { patch_mask: PatchMask::Leave, ..RestSwitches::default() };
    assert_eq!((&get.rest, &other.rest), (&leave, &leave));
    assert_eq!(get.json, JsonSwitches { names: JsonNames::Proto, ..JsonSwitches::default() });
    assert_eq!(other.json, JsonSwitches { enums: JsonEnums::Number, ..JsonSwitches::default() });
    // What holds for the namespace is no part of that.
    assert!(!loaded(&team).unwrap().namespaces[0].0.rpc_paths());
}

/// The codes and columns of what a method's line has wrong; the line begins in column 1.
fn wrong(method: &str) -> Vec<(Tnd, usize)> {
    let problems = loaded(&team("", "", method)).unwrap_err();
    let begin = "  t.S/Get: { ".len();
    problems
        .iter()
        .map(|problem| (problem.code, problem.column.unwrap().saturating_sub(begin)))
        .collect()
}

#[test]
fn words_that_no_switch_knows_are_refused_at_their_place() {
    for (written, code, column) in [
        ("rest: { encoded_slash: keep }", Tnd::WrongType, 24),
        ("rest: { trailing_slash: 308 }", Tnd::WrongType, 25),
        ("rest: { unknown_query: true }", Tnd::WrongType, 24),
        ("rest: { patch_mask: [fill] }", Tnd::WrongType, 9),
        ("rest: { head_hold: 0ms }", Tnd::OverLimit, 20),
        ("rest: { head_hold: 60001ms }", Tnd::OverLimit, 20),
        ("rest: { head_hold: 1 }", Tnd::WrongType, 20),
        ("rest: { sse_id_field: 1 }", Tnd::WrongType, 23),
        ("rest: { profile: strict }", Tnd::NotBuiltIn, 9),
        ("rest: { wrong_method: 404 }", Tnd::NotBuiltIn, 9),
        ("rest: { defaults: emit }", Tnd::NotBuiltIn, 9),
        ("rest: { rpc_paths: false }", Tnd::NotBuiltIn, 9),
        ("rest: { encoded_slashes: decode }", Tnd::UnknownKey, 9),
        ("json: { enums: numbers }", Tnd::WrongType, 16),
        ("json: { indent: 2 }", Tnd::UnknownKey, 9),
    ] {
        assert_eq!(wrong(written), [(code, column)], "{written}");
    }
}

fn written(method: &str) -> Option<Vec<RuleText>> {
    let loaded = loaded(&team("", "", method)).unwrap_or_else(|found| panic!("{found:#?}"));
    loaded.namespaces[0].0.methods["t.S/Get"].http.clone()
}

#[test]
fn protocols_p_14_rules_are_written_as_a_list_or_one() {
    let rule = |http_method, template: &str| RuleText {
        http_method,
        template: template.into(),
        body: String::new(),
        response_body: String::new(),
    };
    let purge = HttpMethod::Custom("PURGE".into());
    for (text, expected) in [
        ("", None),
        ("http: []", Some(vec![])),
        ("http: { get: /v1/a }", Some(vec![rule(HttpMethod::Get, "/v1/a")])),
        (
            "http: [{ put: /v1/a }, { delete: /v1/b }]",
            Some(vec![rule(HttpMethod::Put, "/v1/a"), rule(HttpMethod::Delete, "/v1/b")]),
        ),
        (
            "http: { custom: { kind: PURGE, path: \"/v1/{name=**}\" } }",
            Some(vec![rule(purge, "/v1/{name=**}")]),
        ),
        (
            "http: { custom: { kind: \"*\", path: /v1/a } }",
            Some(vec![rule(HttpMethod::Any, "/v1/a")]),
        ),
        (
            "http: [{ patch: /v1/a, body: \"*\", response_body: name }]",
            Some(vec![RuleText {
                body: "*".into(),
                response_body: "name".into(),
                ..rule(HttpMethod::Patch, "/v1/a")
            }]),
        ),
        ("http: [{ post: /v1/a }]", Some(vec![rule(HttpMethod::Post, "/v1/a")])),
    ] {
        assert_eq!(written(text), expected, "{text}");
    }
}

#[test]
fn protocols_p_14_a_rule_that_is_none_is_refused_at_its_place() {
    for (text, code, column) in [
        ("http: /v1/a", Tnd::WrongType, 7),
        ("http: [/v1/a]", Tnd::WrongType, 8),
        ("http: {}", Tnd::MissingKey, 1),
        ("http: { body: \"*\" }", Tnd::MissingKey, 1),
        ("http: { get: /v1/a, put: /v1/a }", Tnd::WrongType, 26),
        ("http: { get: 1 }", Tnd::WrongType, 14),
        ("http: { head: /v1/a }", Tnd::UnknownKey, 9),
        ("http: { get: /v1/a, selector: t.S.Get }", Tnd::NotBuiltIn, 21),
        ("http: { get: /v1/a, additional_bindings: [] }", Tnd::NotBuiltIn, 21),
        ("http: { custom: { kind: PURGE } }", Tnd::MissingKey, 9),
        ("http: { custom: { path: /v1/a } }", Tnd::MissingKey, 9),
        ("http: { custom: { kind: GET, path: /v1/a } }", Tnd::WrongType, 25),
        ("http: { custom: { kind: TRACE, path: /v1/a } }", Tnd::WrongType, 25),
        ("http: { custom: { kind: a b, path: /v1/a } }", Tnd::WrongType, 25),
    ] {
        let found = wrong(text);
        assert!(found.contains(&(code, column)), "{text}: {found:?}");
    }
    for team in [team(", http: []", "", ""), team("", "http: []", "")] {
        let problems = loaded(&team).unwrap_err();
        assert!(problems[0].what.contains("belongs to one method"), "{problems:#?}");
    }
    let rules = |number: usize| format!("http: [{}]", vec!["{ get: /v1/a }"; number].join(", "));
    assert_eq!(written(&rules(101)).unwrap().len(), 101);
    assert_eq!(wrong(&rules(102)), [(Tnd::OverLimit, 1)]);
}

const CONTRACT: &str = r#"
syntax = "proto3"; package t; import "google/api/annotations.proto";
message In { string name = 1; Sub sub = 2; repeated string many = 3; }
message Sub { string name = 1; }
service S {
  rpc Get(In) returns (In) { option (google.api.http) = { get: "/v1/annotated/{none}" additional_bindings { get: "/v1/old" } }; }
  rpc Other(In) returns (In) { option (google.api.http) = { get: "/v1/other" }; }
  rpc Watch(In) returns (stream In);
  rpc Tail(In) returns (stream Line);
}
message Line { int64 number = 1; }
"#;

struct One;

impl FileResolver for One {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match name {
            "one.proto" => File::from_source(name, CONTRACT),
            _ => Err(protox::Error::file_not_found(name)),
        }
    }
}

fn contract() -> Arc<Contract> {
    let mut resolver = ChainFileResolver::new();
    resolver.add(One);
    let protos = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    resolver.add(IncludeFileResolver::new(protos));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true);
    compiler.open_file("one.proto").unwrap();
    Arc::new(Contract::from_descriptor_set(&compiler.encode_file_descriptor_set()).unwrap())
}

fn checked(team: &str) -> Vec<Problem> {
    let loaded = loaded(team).unwrap_or_else(|found| panic!("{found:#?}"));
    check(&loaded, &BTreeMap::from([("shop".to_owned(), contract())]))
}

#[test]
fn protocols_p_14_rules_replace_the_annotations_and_their_faults() {
    // The annotation binds a field that is none: left out of what is reflected, and named.
    let annotated = checked(&team("", "", ""));
    assert_eq!(annotated.len(), 1, "{annotated:#?}");
    assert_eq!((annotated[0].code, annotated[0].severity), (Tnd::TemplateError, Severity::Warning));
    assert_eq!(checked(&team("", "", "http: { get: \"/v1/new/{name}\" }")).len(), 0);
    let served = |team: &str| -> Vec<String> {
        let (served, faults) = loaded(team).unwrap().namespaces[0].0.served(&contract());
        assert_eq!(faults, []);
        let rules = served.methods().flat_map(|(_, method)| &method.rules);
        rules.map(|rule| format!("{} {}", rule.http_method, rule.template.text())).collect()
    };
    assert_eq!(served(&team("", "", "")), ["GET /v1/old", "GET /v1/other"]);
    assert_eq!(served(&team("", "", "http: []")), ["GET /v1/other"]);
    assert_eq!(
        served(&team("", "", "http: [{ get: \"/v1/new/{name}\" }, { put: /v1/x, body: sub }]")),
        ["GET /v1/new/{name}", "PUT /v1/x", "GET /v1/other"]
    );
}

#[test]
fn protocols_p_14_and_p_15_every_fault_of_a_configured_rule_has_its_line_and_column() {
    let before = "  t.S/Get: { ".len();
    let text = "http: [{ get: \"/v1/{nme}/{many}\", body: sub.name }, { put: \"/v1/{sub.no}\", response_body: x }]";
    let found = checked(&team("", "", text));
    let places: Vec<(Tnd, Option<usize>, usize)> = found
        .iter()
        .map(|problem| (problem.code, problem.line, problem.column.unwrap() - before))
        .collect();
    let column = |part: &str| text.find(part).unwrap() + 1;
    let expected = ["nme}", "many}", ".name", "no}", "x }"]
        .map(|part| (Tnd::TemplateError, Some(7), column(part)));
    assert_eq!(places, expected, "{found:#?}");
    assert!(found.iter().all(|problem| problem.severity == Severity::Error));
    assert_eq!(found[0].path, "methods[\"t.S/Get\"].http[0].get");
    // One rule without a list, and a method of the caller's own.
    let found = checked(&team("", "", "http: { custom: { kind: PURGE, path: \"/v1/a:b:c\" } }"));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].path, "methods[\"t.S/Get\"].http.custom.path");
    assert_eq!(
        found[0].column.unwrap() - before,
        "http: { custom: { kind: PURGE, path: \"/v1/a:b:".len()
    );
}

#[test]
fn protocols_p_14_configured_rules_are_held_to_the_same_claims() {
    let codes = |method: &str| -> Vec<Tnd> {
        checked(&team("", "", method)).iter().map(|problem| problem.code).collect()
    };
    assert_eq!(codes("http: { get: /v2/x }"), [Tnd::OutsideGrant]);
    assert_eq!(codes("http: { get: /v1/other }"), [Tnd::EqualRules]);
    assert_eq!(codes("http: { get: \"/v1/%6Fther\" }"), [Tnd::EqualRules]);
    assert_eq!(codes("http: [{ put: /v1/other }]"), []);
    let unknown = team("", "", "http: []").replace("t.S/Get:", "t.S/Gett:");
    let found = checked(&unknown);
    assert!(
        found.iter().any(|one| one.code == Tnd::UnknownMethod && one.line == Some(7)),
        "{found:#?}"
    );
}

#[test]
fn protocols_d_5_a_rule_that_is_an_rpc_path_is_refused_however_it_is_written() {
    for template in ["/t.S/Other", "/t.S/%4Fther", "/{name=t.S/Other}"] {
        let team = team("", "", &format!("http: {{ get: \"{template}\" }}"));
        let found = checked(&team);
        assert!(found.iter().any(|one| one.code == Tnd::EqualRules), "{template}: {found:#?}");
    }
}

#[test]
fn protocols_s_7_the_field_of_an_id_is_one_scalar_of_each_stream_that_it_numbers() {
    /// Faults of `t.S/Watch`, beside the annotation that the contract has wrong.
    fn found(defaults: &str, service: &str, watch: &str) -> Vec<Problem> {
        let text = team(defaults, service, "http: []") + &format!("  t.S/Watch: {{ {watch} }}\n");
        checked(&text)
    }
    let named = |field: &str| format!("rest: {{ sse_id_field: {field} }}");
    for (field, fine) in [
        ("name", true),
        ("sub.name", true),
        ("sub", false),
        ("many", false),
        ("nme", false),
        ("name.sub", false),
        ("sub.nme", false),
        ("\"\"", false),
    ] {
        let problems = found("", "", &named(field));
        let places: Vec<_> =
            problems.iter().map(|one| (one.code, one.line, one.column, &*one.path)).collect();
        let path = "methods[\"t.S/Watch\"].rest.sse_id_field";
        let column = "  t.S/Watch: { rest: { sse_id_field: ".len() + 1;
        let expected = [(Tnd::WrongType, Some(8), Some(column), path)];
        assert_eq!(places, expected[..usize::from(!fine)], "{field}: {problems:#?}");
    }
    // For all methods: each stream must have it, and the line that is nearer holds.
    let of_all = format!(", {}", named("name"));
    let problems = found(&of_all, "", "");
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(problems[0].what.contains("t.S/Tail"), "{problems:#?}");
    assert_eq!(problems[0].path, "defaults.rest.sse_id_field");
    assert_eq!(found(&of_all, &named("number"), "").len(), 1, "now Watch has none");
    assert_eq!(found(&of_all, &named("number"), &named("name")).len(), 0);
    // A method that answers once has no events.
    let once = team("", "", &format!("http: [], {}", named("name")));
    let problems = checked(&once);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(problems[0].what.contains("answers one message"), "{problems:#?}");
}
