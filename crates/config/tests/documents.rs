//! Documents that are right, and every way in which they are wrong (experience, sections 4 to 6).

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use protox::file::{
    ChainFileResolver, File, FileResolver, GoogleFileResolver, IncludeFileResolver,
};
use tandem_config::document::{Auth, Bounds, FollowRules, HealthCheck, RetryPolicy, Share, Who};
use tandem_config::load::from_texts;
use tandem_config::{Paint, Problem, Severity, Tnd, check, help_page, load, render};
use tandem_contract::compat::Follow;
use tandem_contract::{Contract, MethodKind};
use tandem_protocol::status::Code;

const PLATFORM: &str = "\
format: 1
listen:
  public: { address: 127.0.0.1:0 }
namespaces:
  shop:
    may: { hosts: [shop.example], services: [test.v1.*], paths: [/v1/**], upstreams: [\"127.0.0.0/8:1-65535\"], public_methods: true, loopback: true }
";

const TEAM: &str = "\
namespace: shop
contract: { reflection: go }
upstreams:
  go: { address: \"127.0.0.1:50051\" }
  rust: { address: \"127.0.0.1:50052\" }
defaults:
  primary: go
  auth: { public: true }
  deadline: { default: 2s, max: 10s }
methods:
  test.v1.Shop/*: {}
  test.v1.Shop/Get: { primary: rust, deadline: { max: 1s } }
  test.v1.Shop/Watch: { internal: true, deadline: none }
";

const CONTRACT: &str = r#"
syntax = "proto3"; package test.v1; import "google/api/annotations.proto";
message Item { string name = 1; }
service Shop {
  rpc Get(Item) returns (Item) { option (google.api.http) = { get: "/v1/items/{name}" }; }
  rpc Watch(Item) returns (stream Item);
}
"#;

/// The problems of a team's file, the platform's being right.
fn problems(team: &str) -> Vec<Problem> {
    problems_of(PLATFORM, &[("shop", team)])
}

fn problems_of(platform: &str, teams: &[(&str, &str)]) -> Vec<Problem> {
    match from_texts(platform, teams) {
        Err(problems) => problems,
        Ok(loaded) => check(&loaded, &contracts(teams)),
    }
}

fn contracts(teams: &[(&str, &str)]) -> BTreeMap<String, Arc<Contract>> {
    let contract = Arc::new(compiled("test.proto"));
    teams.iter().map(|(name, _)| ((*name).to_owned(), Arc::clone(&contract))).collect()
}

struct Text;

impl FileResolver for Text {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        if name == "test.proto" {
            return File::from_source(name, CONTRACT);
        }
        let case = name.strip_prefix("tandem/cases/").and_then(|rest| rest.split('/').next());
        let case = case.ok_or_else(|| protox::Error::file_not_found(name))?;
        let path = root().join("cases").join(case).join("contract.proto");
        File::from_source(name, &std::fs::read_to_string(path).map_err(protox::Error::new)?)
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn compiled(file: &str) -> Contract {
    let mut resolver = ChainFileResolver::new();
    resolver.add(Text);
    resolver.add(IncludeFileResolver::new(root().join("proto")));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true);
    compiler.open_file(file).unwrap();
    Contract::from_descriptor_set(&compiler.encode_file_descriptor_set()).unwrap()
}

/// Changes the team's file and expects exactly these codes, in order.
fn expect(old: &str, new: &str, codes: &[Tnd]) -> Vec<Problem> {
    assert!(TEAM.contains(old), "{old}");
    let found = problems(&TEAM.replacen(old, new, 1));
    let names: Vec<Tnd> = found.iter().map(|problem| problem.code).collect();
    assert_eq!(names, codes, "{old:?} → {new:?}\n{}", render(&found, Paint::Plain, ""));
    found
}

#[test]
fn a_right_document_has_no_problem_and_its_rules_are_resolved() {
    assert!(problems(TEAM).is_empty());
    let loaded = from_texts(PLATFORM, &[("shop", TEAM)]).unwrap();
    let (namespace, _) = &loaded.namespaces[0];
    let limits = &loaded.platform.limits;
    let get = namespace.resolve("test.v1.Shop", "Get", MethodKind::Unary, limits);
    assert_eq!(get.primary.as_deref(), Some("rust"));
    assert_eq!(get.auth, Some(Auth { who: Who::Public, debug: false }));
    // A more exact line replaces the whole key (UX-25).
    let max = Duration::from_secs(1);
    assert_eq!(get.deadline, Some(Bounds { default: max, max }));
    let watch = namespace.resolve("test.v1.Shop", "Watch", MethodKind::ServerStream, limits);
    assert_eq!(
        (watch.primary.as_deref(), watch.internal, watch.deadline),
        (Some("go"), true, None)
    );
}

#[test]
fn experience_ux_18_a_problem_shows_its_place_reason_and_remedy() {
    let found = expect("primary: go", "primry: go", &[Tnd::UnknownKey]);
    let text = render(&found, Paint::Plain, "nothing was applied");
    assert!(text.contains("error[TND0101]"), "{text}");
    assert!(text.contains("shop:7:3"), "{text}");
    assert!(text.contains("primry: go"), "{text}");
    assert!(text.contains("`primary`"), "{text}");
    assert!(text.contains("1 problem in 1 file; nothing was applied"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&found[0].to_json()).unwrap();
    assert_eq!(json["code"], "TND0101");
    assert_eq!(json["line"], 7);
    assert_eq!(json["severity"], "error");
}

#[test]
fn experience_ux_24_values_have_their_type_and_their_unit() {
    for (old, new) in [
        ("default: 2s", "default: 2"),
        ("default: 2s", "default: soon"),
        ("public: true", "public: \"yes\""),
        ("internal: true", "internal: 1"),
        ("127.0.0.1:50051", "127.0.0.1"),
        ("127.0.0.1:50051", "127.0.0.1:99999"),
    ] {
        expect(old, new, &[Tnd::WrongType]);
    }
    expect("  primary: go\n", "  primary: go\n  primary: go\n", &[Tnd::DuplicateKey]);
}

#[test]
fn what_is_known_and_not_built_is_refused_never_ignored() {
    for (old, new) in [
        ("  primary: go", "  primary: go\n  validate: true"),
        ("  primary: go", "  primary: go\n  same: { by_reader: [a] }"),
        ("{ public: true }", "{ mtls: { san: [a] } }"),
        ("{ public: true }", "{ jwt: staff, when: \"true\" }"),
        ("50051\" }", "50051\", tls: { insecure: true } }"),
        ("50051\" }", "50051\", cost: \"agent:go.shop.svc:9190\" }"),
    ] {
        let found = problems(&TEAM.replacen(old, new, 1));
        assert!(found.iter().any(|problem| problem.code == Tnd::NotBuiltIn), "{new}: {found:#?}");
    }
}

#[test]
fn names_that_lead_nowhere_are_told_with_the_nearest_one() {
    let found = expect("primary: rust", "primary: rst", &[Tnd::UnknownUpstream]);
    assert!(found[0].here.contains("`rust`"), "{:?}", found[0].here);
    let found = expect("Shop/Get:", "Shop/Gett:", &[Tnd::UnknownMethod]);
    assert!(found[0].here.contains("`Get`"), "{:?}", found[0].here);
    expect("reflection: go", "reflection: og", &[Tnd::UnknownUpstream]);
    expect("  primary: go\n", "", &[Tnd::MissingKey, Tnd::MissingKey]);
}

#[test]
fn a_team_sees_the_use_only_of_what_it_was_granted() {
    let problems = |cost: &str, may: &str| {
        let team = TEAM.replacen("50051\" }", &format!("50051\", cost: {cost} }}"), 1);
        let platform = PLATFORM.replacen("loopback: true", &format!("loopback: true{may}"), 1);
        let found = problems_of(&platform, &[("shop", &team)]);
        found.iter().map(|problem| problem.code).collect::<Vec<_>>()
    };
    assert_eq!(problems("\"pid:1\"", ""), [Tnd::OutsideGrant]);
    let slice = ", cost: [\"cgroup:/shop.slice/*\", \"port:50051\"]";
    assert_eq!(problems("\"cgroup:/shop.slice/go\"", slice), []);
    assert_eq!(problems("[\"cgroup:/shop.slice/go\", \"port:50051\"]", slice), []);
    assert_eq!(problems("[\"port:50051\", \"port:1\"]", slice), [Tnd::OutsideGrant]);
    assert_eq!(problems("\"cgroup:/shop.slice/../other\"", slice), [Tnd::WrongType]);
    assert_eq!(problems("\"exec:./svc\"", slice), [Tnd::WrongType]);
    assert_eq!(problems("\"shop\"", slice), [Tnd::WrongType]);
    let all = ", cost: [\"*\"]";
    assert_eq!(problems("\"port:1\"", all), [Tnd::WrongType]);
    let many = vec!["\"port:50051\""; 257].join(", ");
    assert_eq!(problems(&format!("[{many}]"), slice), [Tnd::OverLimit]);
}

#[test]
fn a_team_claims_only_what_it_was_granted() {
    expect("upstreams:", "hosts: [other.example]\nupstreams:", &[Tnd::OutsideGrant]);
    expect("127.0.0.1:50051", "10.0.0.1:50051", &[Tnd::OutsideGrant]);
    expect("127.0.0.1:50051", "169.254.169.254:80", &[Tnd::AddressForbidden]);
    expect("127.0.0.1:50051", "0.0.0.0:80", &[Tnd::AddressForbidden]);
    expect("namespace: shop", "namespace: shop\nhosts: [shop.example]", &[]);
    let platform = |from: &str, to: &str| {
        assert!(PLATFORM.contains(from));
        let found = problems_of(&PLATFORM.replacen(from, to, 1), &[("shop", TEAM)]);
        found.iter().map(|problem| problem.code).collect::<Vec<_>>()
    };
    assert_eq!(platform("services: [test.v1.*]", "services: [other.*]"), [Tnd::OutsideGrant]);
    assert_eq!(platform("paths: [/v1/**]", "paths: [/v2/**]"), [Tnd::OutsideGrant]);
    assert_eq!(platform("public_methods: true", "public_methods: false"), [Tnd::OutsideGrant]);
    assert_eq!(platform("loopback: true", "loopback: false"), [Tnd::OutsideGrant; 2]);
    assert_eq!(platform("  shop:\n", "  other:\n"), [Tnd::OutsideGrant]);
}

#[test]
fn security_po_1_a_method_without_a_policy_is_a_warning() {
    let found = problems(&TEAM.replacen("  auth: { public: true }\n", "", 1));
    assert!(!found.is_empty());
    assert!(found.iter().all(|problem| {
        problem.code == Tnd::NoAuthPolicy && problem.severity == Severity::Warning
    }));
}

#[test]
fn security_t_1_two_namespaces_cannot_claim_one_method() {
    let platform = format!(
        "{PLATFORM}  copy:\n    may: {{ hosts: [copy.example], services: [test.v1.*], paths: [/v1/**], \
         upstreams: [\"127.0.0.0/8:1-65535\"], public_methods: true, loopback: true }}\n"
    );
    let copy = TEAM.replacen("namespace: shop", "namespace: copy", 1);
    let found = problems_of(&platform, &[("shop", TEAM), ("copy", &copy)]);
    assert!(!found.is_empty());
    assert!(found.iter().all(|problem| problem.code == Tnd::ClaimedByAnother), "{found:#?}");
    let own_host = copy.replacen("namespace: copy", "namespace: copy\nhosts: [copy.example]", 1);
    assert!(problems_of(&platform, &[("shop", TEAM), ("copy", &own_host)]).is_empty());
}

#[test]
fn security_li_33_hostile_text_is_refused_in_bounded_work() {
    let bomb = {
        let mut text = String::from("a: &a [x,x,x,x,x,x,x,x,x]\n");
        for (one, other) in "abcdefgh".chars().zip("bcdefghi".chars()) {
            text.push_str(&format!(
                "{other}: &{other} [{}]\n",
                vec![format!("*{one}"); 9].join(",")
            ));
        }
        text
    };
    let deep = format!("a: {}{}", "[".repeat(10_000), "]".repeat(10_000));
    let long = format!("namespace: shop\n# {}\n", "x".repeat(2 << 20));
    for text in [
        bomb.as_str(),
        &deep,
        &long,
        "",
        "[",
        "\t",
        "namespace: shop\n---\nnamespace: shop\n",
        "namespace: \u{0}",
        "a: *nothing",
        "<<: { a: 1 }",
        "- 1",
        "null",
    ] {
        let found = problems(text);
        assert!(!found.is_empty(), "{:?}", &text[..text.len().min(60)]);
        assert!(found.iter().all(|problem| !problem.what.is_empty()));
    }
}

#[test]
fn experience_ux_19_all_problems_come_at_once_in_the_order_of_the_file() {
    let team = TEAM
        .replacen("address: \"127.0.0.1:50051\"", "adress: \"127.0.0.1:50051\"", 1)
        .replacen("default: 2s", "default: 2", 1)
        .replacen("internal: true", "intern: true", 1);
    let found = problems(&team);
    let lines: Vec<_> = found.iter().filter_map(|problem| problem.line).collect();
    assert!(lines.len() >= 3, "{found:#?}");
    assert!(lines.is_sorted(), "{lines:?}");
}

#[test]
fn experience_ux_21_every_code_has_its_page() {
    for code in Tnd::ALL {
        let page = help_page(*code);
        assert!(page.starts_with(&format!("# {}: ", code.name())), "{}", code.name());
        for part in ["## Cause", "## Example", "## Remedy"] {
            assert!(page.contains(part), "{} lacks {part}", code.name());
        }
    }
}

#[test]
fn experience_ux_38_the_examples_pass_against_the_contracts_of_the_cases() {
    for folder in ["docs/examples", "cases/shop"] {
        let loaded = load(&root().join(folder).join("tandem.yaml"))
            .unwrap_or_else(|problems| panic!("{folder}: {}", render(&problems, Paint::Plain, "")));
        let catalogue = Arc::new(compiled("tandem/cases/catalogue/v1/contract.proto"));
        let search = Arc::new(compiled("tandem/cases/search/v1/contract.proto"));
        let contracts = BTreeMap::from([
            ("shop".to_owned(), Arc::clone(&catalogue)),
            ("shop-rust".to_owned(), catalogue),
            ("search".to_owned(), search),
        ]);
        let found = check(&loaded, &contracts);
        assert!(found.is_empty(), "{folder}: {}", render(&found, Paint::Plain, ""));
    }
}

#[test]
fn retries_and_upstreams_are_read_with_their_defaults() {
    let loaded = |team: &str| from_texts(PLATFORM, &[("shop", team)]).unwrap();
    let retries = |written: &str| {
        let team = TEAM.replacen("{ public: true }", &format!("{{ public: true }}{written}"), 1);
        let loaded = loaded(&team);
        let (namespace, _) = &loaded.namespaces[0];
        let limits = &loaded.platform.limits;
        namespace.resolve("test.v1.Shop", "Get", MethodKind::Unary, limits).retries
    };
    assert_eq!(retries(""), None);
    assert_eq!(retries("\n  retries: none"), None);
    let built_in = RetryPolicy {
        codes: [Code::Unavailable].into(),
        attempts: 2,
        attempt: None,
        budget: Share::from_per_mille(200).unwrap(),
    };
    assert_eq!(retries("\n  retries: {}"), Some(built_in));
    let written =
        "\n  retries: { codes: [ABORTED, UNAVAILABLE], attempts: 5, attempt: 800ms, budget: 5% }";
    let policy = RetryPolicy {
        codes: [Code::Aborted, Code::Unavailable].into(),
        attempts: 5,
        attempt: Some(Duration::from_millis(800)),
        budget: Share::from_per_mille(50).unwrap(),
    };
    assert_eq!(retries(written), Some(policy));

    let upstream = |written: &str| {
        let team = TEAM.replacen("50051\" }", &format!("50051\"{written} }}"), 1);
        loaded(&team).namespaces[0].0.upstreams["go"].clone()
    };
    let plain = upstream("");
    assert_eq!((plain.health, plain.eject, plain.connections), (HealthCheck::None, true, 1));
    assert!(plain.loopback, "as the platform grants it");
    let other = upstream(", health: grpc, eject: false, balance: p2c, connections: 4");
    assert_eq!((other.health, other.eject, other.connections), (HealthCheck::Grpc, false, 4));
}

#[test]
fn retries_and_upstreams_that_are_written_wrongly() {
    let upstream = |written: &str, code| {
        expect("50051\" }", &format!("50051\", {written} }}"), &[code]);
    };
    upstream("health: http", Tnd::WrongType);
    upstream("health: true", Tnd::WrongType);
    upstream("eject: half", Tnd::WrongType);
    upstream("balance: random", Tnd::WrongType);
    upstream("connections: 5", Tnd::OverLimit);
    upstream("connections: 0", Tnd::OverLimit);
    let retries = |written: &str, code| {
        expect("{ public: true }", &format!("{{ public: true }}\n  retries: {written}"), &[code]);
    };
    retries("always", Tnd::WrongType);
    retries("{ codes: UNAVAILABLE }", Tnd::WrongType);
    retries("{ codes: [OK] }", Tnd::WrongType);
    retries("{ codes: [unavailable] }", Tnd::WrongType);
    retries("{ codes: [14] }", Tnd::WrongType);
    retries("{ attempts: 1 }", Tnd::OverLimit);
    retries("{ attempts: 6 }", Tnd::OverLimit);
    retries("{ attempt: 0ms }", Tnd::OverLimit);
    retries("{ budget: 101% }", Tnd::WrongType);
    retries("{ budget: 20 }", Tnd::WrongType);
    retries("{ code: [UNAVAILABLE] }", Tnd::UnknownKey);
}

#[test]
fn protocols_x_4_a_contract_is_followed_as_its_document_says() {
    let digest = "0f".repeat(32);
    let follow = |written: &str| {
        let team =
            TEAM.replacen("{ reflection: go }", &format!("{{ reflection: go{written} }}"), 1);
        from_texts(PLATFORM, &[("shop", &team)]).unwrap().namespaces[0].0.follow
    };
    let rules = |policy, recorded| FollowRules { policy, recorded };
    assert_eq!(follow(""), rules(Follow::Compatible, None));
    assert_eq!(follow(", follow: manual"), rules(Follow::Manual, None));
    let recorded = Some([0x0f; 32]);
    for (word, policy) in
        [("compatible", Follow::Compatible), ("manual", Follow::Manual), ("pinned", Follow::Pinned)]
    {
        let written = format!(", follow: {word}, digest: \"{digest}\"");
        assert_eq!(follow(&written), rules(policy, recorded));
    }

    let source = "{ reflection: go }";
    for (written, code) in [
        ("{ reflection: go, follow: pinned }".to_owned(), Tnd::MissingKey),
        ("{ reflection: go, follow: always }".to_owned(), Tnd::WrongType),
        ("{ reflection: go, digest: \"0f\" }".to_owned(), Tnd::WrongType),
        (format!("{{ reflection: go, digest: \"g{}\" }}", &digest[1..]), Tnd::WrongType),
        (format!("{{ reflection: go, digest: \"é{}\" }}", &digest[2..]), Tnd::WrongType),
        ("{ descriptors: shop.binpb, follow: manual }".to_owned(), Tnd::WrongType),
        (format!("{{ protos: proto, digest: \"{digest}\" }}"), Tnd::WrongType),
    ] {
        let found = problems(&TEAM.replacen(source, &written, 1));
        assert_eq!(found.iter().map(|one| one.code).collect::<Vec<_>>(), [code], "{written}");
    }
}
