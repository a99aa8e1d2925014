//! What people see when a document is wrong: one golden frame a mistake (experience UX-18).

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use protox::file::{File, FileResolver};
use tandem_config::{Paint, check, load, render};
use tandem_contract::Contract;

const PLATFORM: &str = "\
format: 1
listen:
  public: { address: 127.0.0.1:8080 }
namespaces:
  shop:
    may: { services: [shop.v1.*], upstreams: [\"127.0.0.0/8:*\"], loopback: true }
";

const SHOP: &str = "\
namespace: shop
contract: { reflection: go }
upstreams:
  go: { address: 127.0.0.1:50051 }
methods:
  shop.v1.Catalogue/*: {}
";

/// Compares with `frames/NAME.txt`; the variable `TANDEM_REWRITE_GOLDEN` writes it instead.
#[track_caller]
fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/frames/{name}.txt"));
    if std::env::var_os("TANDEM_REWRITE_GOLDEN").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&path).unwrap_or_default(), "{}", path.display());
}

/// The frames of a platform file and a team's file that are not taken.
#[track_caller]
fn frames(platform: &str, shop: &str) -> String {
    let problems = load::from_texts(platform, &[("teams/shop.yaml", shop)]).unwrap_err();
    render(&problems, Paint::Plain, "nothing was applied")
}

/// The team's file with one change.
#[track_caller]
fn spoilt(good: &str, bad: &str) -> String {
    assert!(SHOP.contains(good), "{good}");
    frames(PLATFORM, &SHOP.replacen(good, bad, 1))
}

#[test]
fn the_documents_that_the_frames_spoil_are_good() {
    let loaded = load::from_texts(PLATFORM, &[("teams/shop.yaml", SHOP)]).unwrap();
    assert_eq!(loaded.namespaces[0].0.namespace, "shop");
}

#[test]
fn unknown_key() {
    golden("unknown_key", &frames(&PLATFORM.replace("listen:", "lisen:"), SHOP));
}

#[test]
fn unknown_key_without_a_near_one() {
    golden("unknown_key_without_a_near_one", &spoilt("{}", "{ deadline: { soft: 1s } }"));
}

#[test]
fn wrong_type() {
    golden("wrong_type", &spoilt("{}", "{ internal: 1, auth: [public] }"));
}

#[test]
fn missing_unit() {
    golden("missing_unit", &spoilt("{}", "{ deadline: { default: 2 } }"));
}

#[test]
fn duplicate_key() {
    golden("duplicate_key", &spoilt("methods:", "hosts: []\nhosts: []\nmethods:"));
}

#[test]
fn broken_yaml() {
    golden("broken_yaml", &spoilt("reflection: go }", "reflection: go"));
}

#[test]
fn alias_bomb() {
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (one, next) in "abcde".chars().zip("bcdef".chars()) {
        let many = vec![format!("*{one}"); 10].join(", ");
        bomb.push_str(&format!("{next}: &{next} [{many}]\n"));
    }
    golden("alias_bomb", &frames(PLATFORM, &bomb));
}

#[test]
fn too_large_file() {
    let text = format!("{SHOP}# {}\n", "x".repeat(1024 * 1024));
    golden("too_large_file", &frames(PLATFORM, &text));
}

#[test]
fn not_built_key() {
    golden("not_built_key", &spoilt("{}", "{ validate: true }"));
}

#[test]
fn wrong_namespace_name() {
    golden("wrong_namespace_name", &spoilt("namespace: shop", "namespace: shops"));
}

#[test]
fn no_namespace_name() {
    golden("no_namespace_name", &spoilt("namespace: shop", "namespace: ../shop"));
}

#[test]
fn fifty_problems_are_shown_and_the_others_counted() {
    let keys = |number: usize| -> String {
        let lines: Vec<_> = (0..number).map(|key| format!("key{key}: 1")).collect();
        frames(PLATFORM, &format!("{SHOP}{}\n", lines.join("\n")))
    };
    let fifty = keys(50);
    assert_eq!(fifty.matches("error[TND0101]").count(), 50);
    assert!(fifty.ends_with("\n\n50 problems in 1 file; nothing was applied\n"), "{fifty}");
    let more = keys(51);
    assert_eq!(more.matches("error[TND0101]").count(), 50);
    assert!(more.ends_with("… and 1 more\n51 problems in 1 file; nothing was applied\n"));
}

#[test]
fn escape_sequences_of_a_document_do_not_reach_the_terminal() {
    let text = frames(PLATFORM, &format!("{SHOP}\"\\e[31m\": 1\n"));
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

const CONTRACT: &str = r#"
syntax = "proto3"; package shop.v1;
message Item { string name = 1; }
service Catalogue { rpc GetProduct(Item) returns (Item); }
"#;

struct OneFile;

impl FileResolver for OneFile {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        File::from_source(name, CONTRACT)
    }
}

#[track_caller]
fn checked(platform: &str, teams: &[(&str, &str)]) -> String {
    let mut compiler = protox::Compiler::with_file_resolver(OneFile);
    compiler.open_file("shop.proto").unwrap();
    let set = compiler.encode_file_descriptor_set();
    let contract = Arc::new(Contract::from_descriptor_set(&set).unwrap());
    let loaded = load::from_texts(platform, teams).unwrap();
    let contracts: BTreeMap<_, _> = loaded
        .namespaces
        .iter()
        .map(|(namespace, _)| (namespace.namespace.clone(), Arc::clone(&contract)))
        .collect();
    render(&check(&loaded, &contracts), Paint::Plain, "nothing was applied")
}

#[test]
fn two_teams_claiming_one_method() {
    let grant = PLATFORM.lines().last().unwrap();
    let platform = format!("{PLATFORM}  stock:\n{grant}\n")
        .replace("loopback", "public_methods: true, loopback");
    let shop = SHOP.replace("{}", "{ auth: { public: true } }");
    let stock = shop.replace("namespace: shop", "namespace: stock");
    let teams = [("teams/shop.yaml", shop.as_str()), ("teams/stock.yaml", &stock)];
    golden("two_teams_claiming_one_method", &checked(&platform, &teams));
}

#[test]
fn unknown_method_and_no_auth_policy() {
    let shop = SHOP.replace("Catalogue/*", "Catalogue/GetProdukt");
    golden("unknown_method_and_no_auth_policy", &checked(PLATFORM, &[("teams/shop.yaml", &shop)]));
}

#[test]
fn a_misspelt_key_is_not_called_missing_as_well() {
    let text = frames(&PLATFORM.replace("listen:", "lisen:"), SHOP);
    assert!(!text.contains("TND0107"), "{text}");
    assert!(frames(&PLATFORM.replace("listen:", "hear:"), SHOP).contains("`listen` is missing"));
}

#[test]
fn outside_the_grant() {
    let shop = SHOP
        .replace("{}", "{ auth: { public: true } }")
        .replace("127.0.0.1:50051", "10.0.0.1:50051");
    golden("outside_the_grant", &checked(PLATFORM, &[("teams/shop.yaml", &shop)]));
}

#[test]
fn rules_that_the_contract_cannot_serve() {
    let rules = "    http:\n      - get: /v1/{name=items/*}/{nme}\n      - post: \"/v1/items:\"\n        body: item\n";
    let shop = format!("{SHOP}  shop.v1.Catalogue/GetProduct:\n{rules}")
        .replace("{}", "{ auth: { public: true } }");
    let platform = PLATFORM.replace("loopback", "public_methods: true, loopback");
    golden(
        "rules_that_the_contract_cannot_serve",
        &checked(&platform, &[("teams/shop.yaml", &shop)]),
    );
}
