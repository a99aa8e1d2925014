//! The keys `candidate`, `mirror`, `same`, `isolated`: what may be written, what holds in the end,
//! which calls may be copied to whom.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::collections::BTreeMap;
use std::sync::Arc;

use protox::file::{ChainFileResolver, File, FileResolver};
use tandem_config::document::{
    Credentials, MirrorRules, OrderBy, PlatformLimits, ResolvedMethod, SampleKey, Share, TwinRule,
    Writes,
};
use tandem_config::load::from_texts;
use tandem_config::{Paint, Problem, Tnd, check, render};
use tandem_contract::{Contract, MethodKind};

const PLATFORM: &str = "\
format: 1
listen: { public: { address: 127.0.0.1:0, trust: { mirrored: [10.0.0.0/8, \"::1\"] } } }
namespaces:
  shop: { may: { services: [t.S], public_methods: true, loopback: true, upstreams: [\"127.0.0.0/8:*\"] }, quota: { mirror: 25% } }
";

const CONTRACT: &str = "
syntax = \"proto3\"; package t;
message M { string name = 1; M sub = 2; repeated M many = 3; map<string, M> map = 4; double score = 5; string create_time = 6; }
message N { string other = 1; M inner = 2; }
service S {
  rpc Get(M) returns (M) { option idempotency_level = NO_SIDE_EFFECTS; }
  rpc Look(N) returns (N) { option idempotency_level = NO_SIDE_EFFECTS; }
  rpc Replace(M) returns (M) { option idempotency_level = IDEMPOTENT; }
  rpc Make(M) returns (M);
}
";

struct Text;

impl FileResolver for Text {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match name {
            "t.proto" => File::from_source(name, CONTRACT),
            _ => Err(protox::Error::file_not_found(name)),
        }
    }
}

fn contract() -> Contract {
    let mut resolver = ChainFileResolver::new();
    resolver.add(Text);
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.open_file("t.proto").unwrap();
    Contract::from_descriptor_set(&compiler.encode_file_descriptor_set()).unwrap()
}

/// A team's file with further keys under `defaults`, `t.S/*`, and further lines.
fn team(defaults: &str, service: &str, methods: &str) -> String {
    format!(
        "namespace: shop\ncontract: {{ reflection: go }}\nupstreams:\n\
         \x20 go: {{ address: \"127.0.0.1:1\" }}\n\
         \x20 go-2: {{ address: \"127.0.0.1:2\" }}\n\
         \x20 rust: {{ address: \"127.0.0.1:3\" }}\n\
         \x20 own: {{ address: \"127.0.0.1:4\", isolated: true }}\n\
         \x20 own-2: {{ address: \"127.0.0.1:5\", isolated: true }}\n\
         \x20 liar: {{ address: \"127.0.0.1:1\", isolated: true }}\n\
         defaults: {{ primary: go, auth: {{ public: true }}{defaults} }}\nmethods:\n  t.S/*: {{ {service} }}\n{methods}"
    )
}

fn problems(team: &str) -> Vec<Problem> {
    let loaded = match from_texts(PLATFORM, &[("teams/shop.yaml", team)]) {
        Ok(loaded) => loaded,
        Err(problems) => return problems,
    };
    check(&loaded, &BTreeMap::from([("shop".to_owned(), Arc::new(contract()))]))
}

/// Code and path of each problem.
fn told(team: &str) -> Vec<(Tnd, String)> {
    problems(team).into_iter().map(|problem| (problem.code, problem.path)).collect()
}

fn resolved(team: &str, method: &str) -> ResolvedMethod {
    let loaded = from_texts(PLATFORM, &[("teams/shop.yaml", team)])
        .unwrap_or_else(|problems| panic!("{problems:#?}"));
    let namespace = &loaded.namespaces[0].0;
    assert_eq!(namespace.mirror_share.per_mille(), 250, "as the platform grants it");
    namespace.resolve("t.S", method, MethodKind::Unary, &PlatformLimits::default())
}

fn get(mirror: &str) -> String {
    team("", "", &format!("  t.S/Get: {{ candidate: rust, mirror: {mirror} }}\n"))
}

#[test]
fn what_is_not_written_has_its_default() {
    let plain = MirrorRules {
        share: Share::ALL,
        rate_max: Some(100),
        to: None,
        twin: TwinRule::Unwritten,
        writes: Writes::Refuse,
        order_by: None,
        by_key: None,
        credentials: Credentials::Strip,
        samples: false,
    };
    let rules = |written: &str| resolved(&get(written), "Get").mirror;
    assert_eq!(rules("none"), None);
    assert_eq!(rules("{}"), Some(plain.clone()));
    let isolated = rules("{ writes: isolated, order_by: \"*\", to: own }").unwrap();
    assert_eq!((isolated.rate_max, isolated.order_by), (None, Some(OrderBy::Service)));
    let all = "{ share: 0.1%, max_rate: 7/s, to: own, twin: none, writes: isolated, order_by: \
               sub.name, by_key: \"header:x-user\", credentials: forward, samples: true }";
    let all_of_it = MirrorRules {
        share: Share::from_per_mille(1).unwrap(),
        rate_max: Some(7),
        to: Some("own".into()),
        twin: TwinRule::None,
        writes: Writes::Isolated,
        order_by: Some(OrderBy::Field("sub.name".into())),
        by_key: Some(SampleKey::Header("x-user".into())),
        credentials: Credentials::Forward,
        samples: true,
    };
    assert_eq!(rules(all), Some(all_of_it));
    assert_eq!(resolved(&get("{}"), "Get").candidate.as_deref(), Some("rust"));
    assert_eq!(resolved(&get("{}"), "Look").candidate, None);
    let loaded = from_texts(PLATFORM, &[]).unwrap();
    assert_eq!(loaded.platform.listen["public"].mirrored.len(), 2);
}

#[test]
fn experience_ux_25_a_nearer_line_takes_the_place_of_the_whole_key() {
    let text = team(
        ", candidate: rust, mirror: { share: 5%, samples: true }, same: { ignore: [name] }",
        "mirror: { share: 7% }",
        "  t.S/Get: { mirror: none, same: { critical: [name] } }\n  t.S/Look: { candidate: go-2 }\n",
    );
    let share = |method| resolved(&text, method).mirror.map(|rules| rules.share.per_mille());
    assert_eq!([share("Get"), share("Look"), share("Make")], [None, Some(70), Some(70)]);
    assert!(!resolved(&text, "Look").mirror.unwrap().samples, "never parts of a key");
    assert_eq!(resolved(&text, "Look").candidate.as_deref(), Some("go-2"));
    assert_eq!(resolved(&text, "Get").candidate.as_deref(), Some("rust"));
    assert!(resolved(&text, "Get").same.ignore.is_empty());
    assert_eq!(resolved(&text, "Make").same.ignore, ["name"]);
}

#[test]
fn what_cannot_be_read_is_told_at_its_place() {
    for (written, code, key) in [
        ("some", Tnd::WrongType, ""),
        ("{ share: 10 }", Tnd::WrongType, ".share"),
        ("{ max_rate: 0/s }", Tnd::OverLimit, ".max_rate"),
        ("{ writes: allowed }", Tnd::WrongType, ".writes"),
        ("{ by_key: x-user }", Tnd::WrongType, ".by_key"),
        ("{ credentials: yes }", Tnd::WrongType, ".credentials"),
        ("{ sampels: true }", Tnd::UnknownKey, ".sampels"),
    ] {
        let path = format!("methods.t.S/Get.mirror{key}");
        let found = told(&get(written));
        assert_eq!(found.len(), 1, "{written}: {found:?}");
        assert_eq!(found[0].0, code, "{written}");
        assert!(found[0].1.ends_with(&format!("mirror{key}")), "{path}: {found:?}");
    }
    for same in [
        "tolerance: { score: much }",
        "tolerance: { score: -1 }",
        "rank_epsilon: { many: { epsilon: 2, key: name, score: score } }",
        "trailers: [X-Up]",
        "ignore: name",
    ] {
        let found = told(&team(&format!(", same: {{ {same} }}"), "", ""));
        assert!(found.iter().any(|(code, _)| *code == Tnd::WrongType), "{same}: {found:?}");
    }
    let found = told(&team(", same: { by_reader: [name] }", "", ""));
    assert_eq!(found[0].0, Tnd::NotBuiltIn);
}

#[test]
fn compare_m_1_a_mirrored_write_is_refused_at_the_line_that_says_so() {
    let refused = |service: &str, methods: &str| told(&team(", candidate: rust", service, methods));
    let at = |path: &str| vec![(Tnd::MirroredWrite, path.to_owned())];
    let service = "methods[\"t.S/*\"].mirror";
    let path = |found: &[(Tnd, String)]| found.first().map(|(_, path)| path.clone());
    // One problem a line, however many of its methods write.
    let found = refused("mirror: { share: 10% }", "");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, Tnd::MirroredWrite);
    assert!(path(&found).unwrap().contains("t.S/*"), "{found:?} {service} {:?}", at(service));
    for method in ["Replace", "Make"] {
        let found = refused("", &format!("  t.S/{method}: {{ mirror: {{ share: 5% }} }}\n"));
        assert_eq!((found.len(), found[0].0), (1, Tnd::MirroredWrite), "{method}");
    }
    for method in ["Get", "Look"] {
        let found = refused("", &format!("  t.S/{method}: {{ mirror: {{ share: 5% }} }}\n"));
        assert!(found.is_empty(), "{found:?}");
    }
    // What reads is not touched by a line for what writes, and the other way round.
    let writes = "mirror: { to: own, writes: isolated, order_by: \"*\" }";
    assert_eq!(refused(writes, "  t.S/Get: { mirror: { share: 1% } }\n"), []);
    let message =
        problems(&team("", "", "  t.S/Make: { candidate: rust, mirror: { share: 5% } }\n"));
    let frame = render(&message, Paint::Plain, "nothing was applied");
    for line in [
        "error[TND0114]: a method with side effects would be mirrored",
        "^^^^^^ `Make` does not declare idempotency_level = NO_SIDE_EFFECTS",
        "= why: a mirrored write would be carried out twice",
        "set `mirror.writes: isolated`",
    ] {
        assert!(frame.contains(line), "{frame}");
    }
}

#[test]
fn compare_m_1_isolated_is_who_says_so_and_is_not_the_primary_by_another_name() {
    for (mirror, expected) in [
        ("to: own, twin: own-2, writes: isolated, order_by: \"*\"", None),
        ("to: rust, writes: isolated, order_by: \"*\"", Some(Tnd::MirroredWrite)),
        ("to: own, twin: go-2, writes: isolated, order_by: \"*\"", Some(Tnd::MirroredWrite)),
        ("to: go, writes: isolated, order_by: \"*\"", Some(Tnd::MirroredWrite)),
        ("to: liar, writes: isolated, order_by: \"*\"", Some(Tnd::MirroredWrite)),
        ("to: own, twin: liar, writes: isolated, order_by: \"*\"", Some(Tnd::MirroredWrite)),
        ("to: own, writes: isolated", Some(Tnd::MissingKey)),
        ("writes: isolated, order_by: \"*\"", Some(Tnd::MissingKey)),
        ("to: own, writes: isolated, order_by: nothing", Some(Tnd::WrongType)),
        ("to: own, writes: isolated, order_by: name", None),
        ("to: owm, writes: isolated, order_by: \"*\"", Some(Tnd::UnknownUpstream)),
        ("to: own, twin: go-3, writes: isolated, order_by: \"*\"", Some(Tnd::UnknownUpstream)),
    ] {
        let methods = "  t.S/Look: { mirror: none }\n";
        let found = told(&team("", &format!("mirror: {{ {mirror} }}"), methods));
        let codes: Vec<Tnd> = found.iter().map(|(code, _)| *code).collect();
        match expected {
            None => assert_eq!(codes, [], "{mirror}"),
            Some(code) => assert_eq!(codes.first(), Some(&code), "{mirror}: {found:?}"),
        }
    }
    let unknown = told(&team(", candidate: rusty", "", ""));
    assert_eq!(unknown[0].0, Tnd::UnknownUpstream);
    // Without the contract what the upstreams say is known, and what the methods say is not.
    let loaded = from_texts(
        PLATFORM,
        &[("shop", &team("", "mirror: { to: rust, writes: isolated, order_by: \"*\" }", ""))],
    );
    let found = check(&loaded.unwrap(), &BTreeMap::new());
    assert_eq!(found.iter().map(|one| one.code).collect::<Vec<_>>(), [Tnd::MirroredWrite]);
}

#[test]
fn compare_m_2_the_writes_of_a_service_are_mirrored_all_or_not_at_all() {
    let writes = "to: own, writes: isolated, order_by: \"*\"";
    for (more, key) in [
        ("share: 99.9%", "share"),
        ("max_rate: 100000/s", "max_rate"),
        ("by_key: principal", "by_key"),
    ] {
        let found = told(&team("", &format!("mirror: {{ {writes}, {more} }}"), ""));
        assert_eq!((found.len(), found[0].0), (1, Tnd::MirroredInPart), "{more}");
        assert!(found[0].1.ends_with(key), "{found:?}");
    }
    for method in [
        "  t.S/Make: { mirror: none }\n",
        "  t.S/Make: { mirror: { to: own-2, writes: isolated, order_by: \"*\" } }\n",
    ] {
        let found = told(&team("", &format!("mirror: {{ {writes} }}"), method));
        assert_eq!((found.len(), found[0].0), (1, Tnd::MirroredInPart), "{method}: {found:?}");
        assert!(found[0].1.contains("t.S/Make"), "{found:?}");
    }
    // Reads may be mirrored in part, to the same upstream too, or not.
    let part = format!("  t.S/Get: {{ mirror: {{ {writes}, share: 10%, max_rate: 5/s }} }}\n");
    assert_eq!(told(&team("", &format!("mirror: {{ {writes} }}"), &part)), []);
    let order = "  t.S/Get: { candidate: rust, mirror: { order_by: name } }\n";
    let found = told(&team("", "", order));
    assert_eq!((found.len(), found[0].0), (1, Tnd::WrongType), "{found:?}");
    let reads =
        "  t.S/Get: { mirror: none }\n  t.S/Look: { candidate: rust, mirror: { share: 1% } }\n";
    assert_eq!(told(&team("", &format!("mirror: {{ {writes} }}"), reads)), []);
}

#[test]
fn a_path_of_same_is_one_of_some_answer_for_which_its_line_holds() {
    for (same, good) in [
        ("ignore: [\"**.create_time\", other, inner.name, many, \"map{}.name\"]", true),
        ("unordered: [\"many[]\"], keyed: { inner.many: name }", true),
        ("tolerance: { score: 1e-9, \"**.score\": 3ulp }", true),
        ("critical: [sub.name], present_or_absent: [\"\"], cross_verified: [name]", true),
        ("rank_epsilon: { many: { epsilon: 0.02, key: name, score: score } }", true),
        ("trailers: [x-total], extra_max: 0.5%, ordered: [many]", true),
        ("ignore: [nam]", false),
        ("ignore: [\"**.nam\"]", false),
        ("unordered: [name]", false),
        ("keyed: { many: sub }", false),
        ("tolerance: { name: 1ulp }", false),
        ("critical: [name.first]", false),
        ("rank_epsilon: { many: { epsilon: 0.02, key: id, score: score } }", false),
    ] {
        let found = told(&team(&format!(", same: {{ {same} }}"), "", ""));
        assert_eq!(found.is_empty(), good, "{same}: {found:?}");
        assert!(found.iter().all(|(code, _)| *code == Tnd::WrongType), "{same}: {found:?}");
    }
    // `other` is in the answers of Look alone.
    assert_eq!(told(&team("", "", "  t.S/Look: { same: { ignore: [other] } }\n")), []);
    let found = told(&team("", "", "  t.S/Get: { same: { ignore: [other] } }\n"));
    assert_eq!(found.len(), 1);
    assert!(found[0].1.contains("ignore"), "{found:?}");
}

#[test]
fn a_rule_at_any_depth_holds_at_every_depth_that_is_compared() {
    let text = team(", same: { ignore: [\"**.create_time\"], critical: [\"**.name\"] }", "", "");
    let contract = contract();
    let (_, method) = contract.methods().find(|(_, method)| &*method.name == "Get").unwrap();
    let rules = resolved(&text, "Get").same.of(&contract, method.output);
    assert!(rules.faults(&contract, method.output).is_empty());
    let named = rules.changed(&tandem_judge::diff::Rules::new());
    for path in
        ["create_time", "sub.create_time", "many.create_time", "map.create_time", "sub.sub.name"]
    {
        assert!(named.iter().any(|found| found == path), "{path}: {named:?}");
    }
}
