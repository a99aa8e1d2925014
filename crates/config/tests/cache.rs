//! The key `cache`: what may be written, what holds in the end, which methods it may hold for.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use protox::file::{ChainFileResolver, File, FileResolver};
use tandem_config::document::{CacheRules, PlatformLimits};
use tandem_config::load::from_texts;
use tandem_config::{Problem, Tnd, check};
use tandem_contract::{Contract, MethodKind};

const PLATFORM: &str = "\
format: 1
listen: { public: { address: 127.0.0.1:0 } }
namespaces:
  shop: { may: { services: [t.S], public_methods: true, loopback: true, upstreams: [\"127.0.0.0/8:*\"] }, quota: { cache: 2MiB } }
";

const CONTRACT: &str = "
syntax = \"proto3\"; package t;
message M { string name = 1; M sub = 2; repeated M many = 3; map<string, M> map = 4; int32 number = 5; }
message N { string other = 1; }
service S {
  rpc Get(M) returns (M) { option idempotency_level = NO_SIDE_EFFECTS; }
  rpc Look(N) returns (M) { option idempotency_level = NO_SIDE_EFFECTS; }
  rpc Watch(M) returns (stream M) { option idempotency_level = NO_SIDE_EFFECTS; }
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

/// A team's file with `defaults`, `Service/*` and further lines as given.
fn team(defaults: &str, service: &str, methods: &str) -> String {
    format!(
        "namespace: shop\ncontract: {{ reflection: go }}\nupstreams: {{ go: {{ address: \"127.0.0.1:1\" }} }}\n\
         defaults: {{ auth: {{ public: true }}{defaults} }}\nmethods:\n  t.S/*: {{ {service} }}\n{methods}"
    )
}

fn checked(team: &str) -> Vec<Problem> {
    let loaded = match from_texts(PLATFORM, &[("teams/shop.yaml", team)]) {
        Ok(loaded) => loaded,
        Err(problems) => return problems,
    };
    check(&loaded, &BTreeMap::from([("shop".to_owned(), Arc::new(contract()))]))
}

fn resolved(team: &str, method: &str, kind: MethodKind) -> Option<CacheRules> {
    let loaded = from_texts(PLATFORM, &[("teams/shop.yaml", team)]).unwrap();
    assert_eq!(loaded.namespaces[0].0.cache_bytes, 2 << 20, "as the platform grants it");
    loaded.namespaces[0].0.resolve("t.S", method, kind, &PlatformLimits::default()).cache
}

/// There is nothing to say.
fn fine(problems: &[Problem]) {
    assert!(problems.is_empty(), "{problems:#?}");
}

fn get(written: &str) -> String {
    team("", "", &format!("  t.S/Get: {{ cache: {written} }}\n"))
}

#[test]
fn what_is_not_written_has_its_default() {
    let rules = |written: &str| resolved(&get(written), "Get", MethodKind::Unary);
    let plain = CacheRules {
        ttl: Duration::from_millis(200),
        fields: None,
        per_principal: false,
        stale_if_error: Duration::ZERO,
        entry_bytes_max: 1 << 20,
    };
    assert_eq!(rules("none"), None);
    assert_eq!(rules("{ ttl: 200ms }"), Some(plain));
    let all = "{ ttl: 24h, fields: [name, sub.name], per: principal, stale_if_error: 5s, \
               entry: 1KiB }";
    let all_of_it = CacheRules {
        ttl: Duration::from_secs(24 * 60 * 60),
        fields: Some(vec!["name".into(), "sub.name".into()]),
        per_principal: true,
        stale_if_error: Duration::from_secs(5),
        entry_bytes_max: 1024,
    };
    assert_eq!(rules(all), Some(all_of_it));
}

#[test]
fn experience_ux_25_a_nearer_line_takes_the_place_of_the_whole_key() {
    let text = team(
        ", cache: { ttl: 1s, per: principal }",
        "cache: { ttl: 2s }",
        "  t.S/Get: { cache: none }\n  t.S/Look: { primary: go }\n",
    );
    let rules = |method: &str, kind| resolved(&text, method, kind);
    assert_eq!(rules("Get", MethodKind::Unary), None);
    let look = rules("Look", MethodKind::Unary).unwrap();
    assert_eq!((look.ttl, look.per_principal), (Duration::from_secs(2), false));
    // Streams are not kept, whatever holds for the others.
    assert_eq!(rules("Watch", MethodKind::ServerStream), None);
    assert_eq!(resolved(&team("", "", ""), "Get", MethodKind::Unary), None);
}

#[test]
fn both_ends_of_each_range_are_taken_and_nothing_beyond() {
    for (written, code) in [
        ("{ ttl: 1ms }", None),
        ("{ ttl: 0ms }", Some(Tnd::OverLimit)),
        ("{ ttl: 24h }", None),
        ("{ ttl: 86401s }", Some(Tnd::OverLimit)),
        ("{ ttl: 5 }", Some(Tnd::WrongType)),
        ("{}", Some(Tnd::MissingKey)),
        ("{ per: principal }", Some(Tnd::MissingKey)),
        ("always", Some(Tnd::WrongType)),
        ("true", Some(Tnd::WrongType)),
        ("{ ttl: 1s, per: source }", Some(Tnd::WrongType)),
        ("{ ttl: 1s, stale_if_error: 0s }", None),
        ("{ ttl: 1s, stale_if_error: 24h }", None),
        ("{ ttl: 1s, stale_if_error: 25h }", Some(Tnd::OverLimit)),
        ("{ ttl: 1s, entry: 1KiB }", None),
        ("{ ttl: 1s, entry: 0KiB }", Some(Tnd::OverLimit)),
        ("{ ttl: 1s, entry: 1MiB }", None),
        ("{ ttl: 1s, entry: 1025KiB }", Some(Tnd::OverLimit)),
        ("{ ttl: 1s, fields: [] }", Some(Tnd::WrongType)),
        ("{ ttl: 1s, fields: name }", Some(Tnd::WrongType)),
        ("{ ttl: 1s, fields: [7] }", Some(Tnd::WrongType)),
        ("{ ttl: 1s, vary: x }", Some(Tnd::UnknownKey)),
        ("{ ttl: 1s, ttl: 2s }", Some(Tnd::DuplicateKey)),
    ] {
        let codes: Vec<Tnd> = checked(&get(written)).iter().map(|one| one.code).collect();
        assert_eq!(codes, Vec::from_iter(code), "{written}");
    }
    let many = |count: usize| {
        let names = vec!["name"; count].join(", ");
        checked(&get(&format!("{{ ttl: 1s, fields: [{names}] }}")))
    };
    fine(&many(100));
    assert_eq!(many(101)[0].code, Tnd::OverLimit);
}

#[test]
fn only_single_answers_without_side_effects_are_kept() {
    let of = |method: &str| {
        checked(&team("", "", &format!("  t.S/{method}: {{ cache: {{ ttl: 1s }} }}\n")))
    };
    fine(&of("Get"));
    for (method, says) in [
        ("Watch", "it is a stream"),
        ("Replace", "this one may do something"),
        ("Make", "this one may do something"),
    ] {
        let problems = of(method);
        assert_eq!(problems.len(), 1, "{problems:#?}");
        assert_eq!(problems[0].code, Tnd::WrongType);
        assert_eq!(problems[0].path, format!("methods[\"t.S/{method}\"].cache"));
        assert!(problems[0].here.contains(says), "{problems:#?}");
    }
    // For several methods it holds for those that fit; for none of them it says nothing.
    fine(&checked(&team(", cache: { ttl: 1s }", "", "")));
    fine(&checked(&team("", "cache: { ttl: 1s }", "")));
    let both = "  t.S/Get: { cache: none }\n  t.S/Look: { cache: none }\n";
    let problems = checked(&team("", "cache: { ttl: 1s }", both));
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(problems[0].what.contains("holds for no method"), "{problems:#?}");
}

#[test]
fn every_field_is_one_of_the_request_and_named_at_its_place_where_it_is_not() {
    for (field, fine) in [
        ("name", true),
        ("sub.sub.name", true),
        ("many.name", true),
        ("map.number", true),
        ("sub", true),
        ("nme", false),
        ("sub.nme", false),
        ("name.sub", false),
        ("\"\"", false),
    ] {
        let problems = checked(&get(&format!("{{ ttl: 1s, fields: [number, {field}] }}")));
        let places: Vec<_> = problems.iter().map(|one| (one.code, &*one.path)).collect();
        let expected = [(Tnd::WrongType, "methods[\"t.S/Get\"].cache.fields[1]")];
        assert_eq!(places, expected[..usize::from(!fine)], "{field}: {problems:#?}");
    }
    // Of a line for several methods each must have them.
    let problems = checked(&team(", cache: { ttl: 1s, fields: [name] }", "", ""));
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(problems[0].what.contains("t.S/Look"), "{problems:#?}");
    let other = "  t.S/Look: { cache: { ttl: 1s, fields: [other] } }\n";
    fine(&checked(&team(", cache: { ttl: 1s, fields: [name] }", "", other)));
}

#[test]
fn one_answer_is_not_larger_than_what_the_namespace_may_keep() {
    let with = |quota: &str| {
        let platform = PLATFORM.replace("cache: 2MiB", &format!("cache: {quota}"));
        let loaded = from_texts(&platform, &[("teams/shop.yaml", &get("{ ttl: 1s }"))]);
        loaded.map_or_else(|problems| problems, |loaded| check(&loaded, &BTreeMap::new()))
    };
    fine(&with("1MiB"));
    for quota in ["1023KiB", "0KiB"] {
        let problems = with(quota);
        assert_eq!(problems.len(), 1, "{problems:#?}");
        assert_eq!(
            (problems[0].code, &*problems[0].path),
            (Tnd::OverLimit, "methods[\"t.S/Get\"].cache")
        );
    }
    fine(&with("65536MiB"));
    assert_eq!(with("65537MiB")[0].code, Tnd::OverLimit);
}
