//! What a namespace may not claim, and what its contract may not hold (security T-1, T-3, PO-2).

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::collections::BTreeMap;
use std::sync::Arc;

use protox::file::{
    ChainFileResolver, File, FileResolver, GoogleFileResolver, IncludeFileResolver,
};
use tandem_config::load::from_texts;
use tandem_config::{Problem, Severity, Tnd, check};
use tandem_contract::Contract;

/// A platform that grants one namespace a service and `grants`.
fn platform(grants: &str) -> String {
    format!(
        "format: 1\nlisten: {{ public: {{ address: 127.0.0.1:0 }} }}\nnamespaces:\n  \
         shop: {{ may: {{ services: [a.B, a.C], public_methods: true, {grants} }} }}\n"
    )
}

/// A team with one upstream.
fn team(address: &str) -> String {
    format!(
        "namespace: shop\ncontract: {{ reflection: go }}\nupstreams: {{ go: {{ address: \
         \"{address}\" }} }}\ndefaults: {{ auth: {{ public: true }} }}\nmethods: {{ a.B/*: {{}} }}\n"
    )
}

fn codes(problems: &[Problem]) -> Vec<Tnd> {
    problems.iter().map(|problem| problem.code).collect()
}

/// The codes without a contract.
fn offline(platform: &str, teams: &[(&str, &str)]) -> Vec<Tnd> {
    codes(&check(&from_texts(platform, teams).unwrap(), &BTreeMap::new()))
}

struct One(String);

impl FileResolver for One {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match name {
            "one.proto" => File::from_source(name, &self.0),
            _ => Err(protox::Error::file_not_found(name)),
        }
    }
}

/// The problems beside a contract of services with these bodies.
fn with_contract(platform: &str, team: &str, services: &str) -> Vec<Problem> {
    let text = format!(
        "syntax = \"proto3\"; package a; import \"google/api/annotations.proto\";\n\
         message M {{ string name = 1; }}\n{services}"
    );
    let mut resolver = ChainFileResolver::new();
    resolver.add(One(text));
    let protos = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    resolver.add(IncludeFileResolver::new(protos));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true);
    compiler.open_file("one.proto").unwrap();
    let set = compiler.encode_file_descriptor_set();
    let contract = Arc::new(Contract::from_descriptor_set(&set).unwrap());
    let loaded = from_texts(platform, &[("teams/shop.yaml", team)]).unwrap();
    check(&loaded, &BTreeMap::from([("shop".to_owned(), contract)]))
}

fn get(service: &str, method: &str, template: &str) -> String {
    format!(
        "service {service} {{ rpc {method}(M) returns (M) \
         {{ option (google.api.http) = {{ get: \"{template}\" }}; }} }}\n"
    )
}

#[test]
fn security_t_3_some_addresses_cannot_be_granted() {
    let all = platform("loopback: true, upstreams: [\"*:*\", \"0.0.0.0/0:*\", \"[::/0]:*\"]");
    let address = |address: &str| offline(&all, &[("teams/shop.yaml", team(address).as_str())]);
    for granted in
        ["127.0.0.1:1", "[::1]:1", "10.0.0.1:1", "[fd00::1]:1", "dns:a.b:1", "[::ffff:10.0.0.1]:1"]
    {
        assert_eq!(address(granted), [], "{granted}");
    }
    for never in [
        "169.254.169.254:80",
        "169.254.0.1:80",
        "[fe80::1]:80",
        "[::ffff:169.254.169.254]:80",
        "[fd00:ec2::254]:80",
        "168.63.129.16:80",
        "100.100.100.200:80",
        "192.0.0.192:80",
        "0.0.0.0:80",
        "0.1.2.3:80",
        "[::]:80",
        "224.0.0.1:80",
        "255.255.255.255:80",
        "[ff02::1]:80",
    ] {
        assert_eq!(address(never), [Tnd::AddressForbidden], "{never}");
    }
}

#[test]
fn loopback_takes_its_own_grant_beside_the_address() {
    let check = |loopback: bool, upstreams: &str, address: &str| {
        let platform = platform(&format!("loopback: {loopback}, upstreams: [{upstreams}]"));
        offline(&platform, &[("teams/shop.yaml", team(address).as_str())]).is_empty()
    };
    for address in ["127.0.0.1:1", "127.9.9.9:1", "[::ffff:127.0.0.1]:1"] {
        assert!(check(true, "\"127.0.0.0/8:*\"", address), "{address}");
        assert!(!check(false, "\"127.0.0.0/8:*\"", address), "{address}");
        assert!(!check(true, "", address), "{address}");
    }
    assert!(check(true, "\"localhost:*\"", "dns:localhost:1"));
    assert!(!check(false, "\"localhost:*\"", "dns:localhost:1"));
    assert!(!check(false, "\"*:*\"", "dns:a.localhost:1"));
}

#[test]
fn grants_of_upstreams_cover_names_networks_and_ports() {
    let check = |pattern: &str, address: &str, covered: bool| {
        let platform = platform(&format!("upstreams: [\"{pattern}\"]"));
        let codes = offline(&platform, &[("teams/shop.yaml", team(address).as_str())]);
        assert_eq!(codes.is_empty(), covered, "{pattern} {address} {codes:?}");
    };
    check("*.shop.svc:50051", "dns:go.shop.svc:50051", true);
    check("*.shop.svc:50051", "dns:a.go.shop.svc:50051", true);
    check("*.shop.svc:50051", "dns:shop.svc:50051", false);
    check("*.shop.svc:50051", "dns:evilshop.svc:50051", false);
    check("*.shop.svc:50051", "dns:go.shop.svc:50052", false);
    check("*.shop.svc:50051-50052", "dns:go.shop.svc:50052", true);
    check("*.shop.svc:50051-50052", "dns:go.shop.svc:50053", false);
    check("go:1", "dns:go:1", true);
    check("*:1", "dns:go:1", true);
    check("*:1", "10.0.0.1:1", false); // a name pattern says nothing about addresses
    check("10.0.0.0/8:1", "10.255.255.255:1", true);
    check("10.0.0.0/8:1", "11.0.0.0:1", false);
    check("10.0.0.1:1", "10.0.0.1:1", true);
    check("10.0.0.1:1", "10.0.0.2:1", false);
    check("0.0.0.0/0:1", "11.0.0.0:1", true);
    check("10.0.0.0/8:1", "[::ffff:10.0.0.1]:1", true);
    check("[fd00::/8]:1", "[fd12::1]:1", true);
    check("[fd00::/8]:1", "[fe00::1]:1", false);
}

#[test]
fn grants_of_paths_cover_templates() {
    let check = |pattern: &str, template: &str, covered: bool| {
        let grants = format!("upstreams: [\"10.0.0.0/8:*\"], paths: [\"{pattern}\"]");
        let found =
            with_contract(&platform(&grants), &team("10.0.0.1:1"), &get("B", "Get", template));
        let expected: &[Tnd] = if covered { &[] } else { &[Tnd::OutsideGrant] };
        assert_eq!(codes(&found), expected, "{pattern} {template}");
    };
    check("/v1/products", "/v1/products", true);
    check("/v1/products", "/v1/products:watch", false);
    check("/v1/products", "/v1/products/x", false);
    check("/v1/products:*", "/v1/products:watch", true);
    check("/v1/products:*", "/v1/products", false);
    check("/v1/products:watch", "/v1/products:watch", true);
    check("/v1/products:watch", "/v1/products:other", false);
    check("/v1/products/**", "/v1/{name=products/*}", true);
    check("/v1/products/**", "/v1/products/{name}:verb", true);
    check("/v1/products/**", "/v1/{name=products/**}", true);
    check("/v1/products/**", "/v1/{name=**}", false);
    check("/v1/products/**", "/v1/productsx/y", false);
    check("/v1/*", "/v1/{name}", true);
    check("/v1/*", "/v1/{name=**}", false);
    check("/v1/a", "/v1/{name}", false); // the template matches more than is granted
}

#[test]
fn security_t_1_without_contracts_two_claims_of_one_service_are_found() {
    let grants = "upstreams: [\"10.0.0.0/8:*\"], hosts: [x.example, y.example]";
    let platform = platform(grants);
    let line = platform.lines().last().unwrap().replace("shop:", "copy:");
    let platform = format!("{platform}{line}\n");
    let one = team("10.0.0.1:1");
    let other = one.replace("namespace: shop", "namespace: copy");
    let hosts = |text: &str, hosts: &str| format!("{text}hosts: [{hosts}]\n");
    let check = |copy: &str, shop: &str| {
        offline(&platform, &[("teams/copy.yaml", copy), ("teams/shop.yaml", shop)])
    };
    assert_eq!(check(&other, &one), [Tnd::ClaimedByAnother]);
    let one_x = hosts(&one, "x.example");
    assert_eq!(check(&hosts(&other, "x.example, y.example"), &one_x), [Tnd::ClaimedByAnother]);
    assert_eq!(check(&hosts(&other, "y.example"), &one_x), []);
    assert_eq!(check(&other, &one_x), []);
}

#[test]
fn protocols_d_5_a_template_that_is_an_rpc_path_is_an_error() {
    let platform = platform("upstreams: [\"10.0.0.0/8:*\"], paths: [/**]");
    let rpc = |template: &str| {
        codes(&with_contract(&platform, &team("10.0.0.1:1"), &get("B", "Get", template)))
    };
    assert_eq!(rpc("/a.B/Get"), [Tnd::EqualRules]);
    assert_eq!(rpc("/a.B/Got"), []);
}

#[test]
fn equal_rules_of_one_namespace_are_an_error() {
    let platform = platform("upstreams: [\"10.0.0.0/8:*\"], paths: [/**]");
    let team = team("10.0.0.1:1").replace("a.B/*: {}", "a.B/*: {}, a.C/*: {}");
    let services = |other: &str| {
        codes(&with_contract(
            &platform,
            &team,
            &(get("B", "Get", "/v1/{name}") + &get("C", "Got", other)),
        ))
    };
    assert_eq!(services("/v1/*"), [Tnd::EqualRules]);
    assert_eq!(services("/v2/*"), []);
}

#[test]
fn protocols_p_15_a_bad_template_is_an_error_of_a_file_and_a_warning_of_reflection() {
    let platform = platform("upstreams: [\"10.0.0.0/8:*\"], paths: [/**]");
    let reflected = team("10.0.0.1:1");
    let file = reflected.replace("reflection: go", "descriptors: shop.binpb");
    let bad = get("B", "Get", "/v1/{nothing}");
    let found = with_contract(&platform, &reflected, &bad);
    assert_eq!((codes(&found), found[0].severity), (vec![Tnd::TemplateError], Severity::Warning));
    let found = with_contract(&platform, &file, &bad);
    assert_eq!((codes(&found), found[0].severity), (vec![Tnd::TemplateError], Severity::Error));
    // Of a service that the document does not name it is no matter.
    let other = "service B { rpc Get(M) returns (M); }\n".to_owned();
    let other = other + &get("C", "Got", "/v1/{nothing}");
    assert_eq!(codes(&with_contract(&platform, &file, &other)), []);
}

#[test]
fn protocols_d_5_to_name_one_method_exposes_its_service_and_says_so() {
    let platform = platform("upstreams: [\"10.0.0.0/8:*\"]");
    let team = team("10.0.0.1:1")
        .replace("defaults: { auth: { public: true } }\n", "")
        .replace("a.B/*: {}", "a.B/Get: { auth: { public: true } }");
    let both = "service B { rpc Get(M) returns (M); rpc Put(M) returns (M); }";
    let found = with_contract(&platform, &team, both);
    assert_eq!(codes(&found), [Tnd::NoAuthPolicy]);
    assert!(found[0].here.contains("Put"), "{}", found[0].here);
    let one = "service B { rpc Get(M) returns (M); }";
    assert_eq!(codes(&with_contract(&platform, &team, one)), []);
}

#[test]
fn the_quota_of_routes_counts_methods_and_rules() {
    let check = |routes: u32| {
        let platform = platform("upstreams: [\"10.0.0.0/8:*\"], paths: [/**]")
            .replace("may:", &format!("quota: {{ routes: {routes} }}, may:"));
        codes(&with_contract(&platform, &team("10.0.0.1:1"), &get("B", "Get", "/v1/{name}")))
    };
    assert_eq!(check(2), []);
    assert_eq!(check(1), [Tnd::OverLimit]);
}
