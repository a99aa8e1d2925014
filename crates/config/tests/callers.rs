//! Who may call and how much, as documents say it: `identity`, `auth`, `limits`.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::collections::BTreeMap;

use tandem_config::document::{
    Address, Auth, CallLimit, ClaimValue, HttpsUrl, KeysAt, Per, PlacedLimits, Rate, TokenRule,
    Way, Who,
};
use tandem_config::load::from_texts;
use tandem_config::{Problem, Tnd, check};
use tandem_contract::MethodKind;
use tandem_protocol::token::Algorithm;

/// A root that is trusted, for issuers of tests.
const CA: &str = include_str!("parts/ca.pem");

fn platform(identity: &str) -> String {
    format!(
        "format: 1\nlisten: {{ public: {{ address: 127.0.0.1:0 }} }}\nidentity:\n{identity}\n\
         namespaces:\n  shop:\n    may: {{ services: [a.*], upstreams: [\"h:1\"] }}\n    \
         quota: {{ calls_at_once: 10 }}\n"
    )
}

fn staff() -> String {
    let ca = CA.replace('\n', "\n        ");
    format!(
        "  jwt:\n    staff:\n      issuer: https://id.example.com\n      audience: [api]\n      \
         ca: |\n        {ca}\n  api_keys: {{}}\n"
    )
}

fn team(defaults: &str) -> String {
    format!(
        "namespace: shop\ncontract: {{ reflection: it }}\nupstreams: {{ it: {{ address: \"h:1\" }} }}\n\
         defaults: {{ {defaults} }}\nmethods:\n  a.B/*: {{}}\n  a.B/Own: {{ limits: {{ message: 1MiB }} }}\n"
    )
}

fn problems(platform: &str, team: &str) -> Vec<Problem> {
    match from_texts(platform, &[("shop", team)]) {
        Ok(loaded) => check(&loaded, &BTreeMap::new()),
        Err(problems) => problems,
    }
}

/// Exactly these codes for `defaults` of the team.
fn expect(defaults: &str, codes: &[Tnd]) {
    let found = problems(&platform(&staff()), &team(defaults));
    let told: Vec<Tnd> = found.iter().map(|problem| problem.code).collect();
    assert_eq!(told, codes, "{defaults}\n{found:#?}");
}

fn auth_of(written: &str) -> Option<Auth> {
    let loaded = from_texts(&platform(&staff()), &[("shop", &team(&format!("auth: {written}")))]);
    loaded.unwrap().namespaces[0].0.defaults.auth.clone()
}

#[test]
fn a_policy_names_one_way_or_any_of_several() {
    let token =
        |rule: TokenRule| Some(Auth { who: Who::Known(vec![Way::Token(rule)]), debug: false });
    let plain =
        TokenRule { issuer: "staff".into(), scopes: vec![], claims: vec![], groups: vec![] };
    assert_eq!(auth_of("{ jwt: staff }"), token(plain.clone()));
    let written = "{ jwt: staff, scopes: [a.read, a.write], claims: { tenant: [x, 7], ok: true }, groups: [g] }";
    let values = vec![ClaimValue::Text("x".into()), ClaimValue::Number(7)];
    let claims = vec![("tenant".into(), values), ("ok".into(), vec![ClaimValue::Truth(true)])];
    let scopes: Vec<String> = vec!["a.read".into(), "a.write".into()];
    let groups = vec!["g".into()];
    assert_eq!(
        auth_of(written),
        token(TokenRule { scopes: scopes.clone(), claims, groups, ..plain.clone() })
    );
    let any =
        "{ any: [{ jwt: staff }, { api_key: true, scopes: [a.read, a.write] }], debug: true }";
    let ways = vec![Way::Token(plain), Way::ApiKey { scopes }];
    assert_eq!(auth_of(any), Some(Auth { who: Who::Known(ways), debug: true }));
}

#[test]
fn a_policy_that_says_two_things_or_nothing_is_refused() {
    for (auth, codes) in [
        ("{}", vec![Tnd::MissingKey]),
        ("{ debug: true }", vec![Tnd::MissingKey]),
        ("{ scopes: [a] }", vec![Tnd::MissingKey]),
        ("{ jwt: staff, api_key: true }", vec![Tnd::WrongType]),
        ("{ jwt: staff, public: true }", vec![Tnd::WrongType]),
        ("{ public: true, scopes: [a] }", vec![Tnd::WrongType]),
        ("{ public: false }", vec![Tnd::WrongType]),
        ("{ api_key: false }", vec![Tnd::WrongType]),
        ("{ api_key: true, groups: [a] }", vec![Tnd::WrongType]),
        ("{ jwt: staff, scopes: [\"a b\"] }", vec![Tnd::WrongType]),
        ("{ jwt: staff, scopes: [\"a\\\"b\"] }", vec![Tnd::WrongType]),
        ("{ jwt: staff, claims: { a: 1.5 } }", vec![Tnd::WrongType]),
        ("{ jwt: staff, claims: { a: [] } }", vec![Tnd::WrongType]),
        ("{ jwt: staff, groups: [] }", vec![Tnd::WrongType]),
        ("{ any: [] }", vec![Tnd::WrongType]),
        ("{ any: [{}] }", vec![Tnd::MissingKey]),
        ("{ any: [{ jwt: staff }], scopes: [a] }", vec![Tnd::WrongType]),
        ("{ any: [{ public: true }] }", vec![Tnd::UnknownKey]),
        ("{ any: [{ any: [{ jwt: staff }] }] }", vec![Tnd::UnknownKey]),
        ("{ mtls: { san: [a] } }", vec![Tnd::NotBuiltIn]),
        ("{ any: [{ mtls: { san: [a] } }, { jwt: staff }] }", vec![Tnd::NotBuiltIn]),
    ] {
        let found = problems(&platform(&staff()), &team(&format!("auth: {auth}")));
        let told: Vec<Tnd> = found.iter().map(|problem| problem.code).collect();
        assert!(!told.is_empty(), "{auth}");
        assert!(codes.iter().all(|code| told.contains(code)), "{auth}: {told:?}");
    }
}

#[test]
fn what_a_team_names_must_be_known_to_the_platform() {
    expect("auth: { jwt: staff }", &[]);
    expect("auth: { api_key: true }", &[]);
    expect("auth: { jwt: stuff }", &[Tnd::UnknownIdentity]);
    expect("auth: { any: [{ jwt: staff }, { jwt: other }] }", &[Tnd::UnknownIdentity]);
    expect("auth: { public: true }", &[Tnd::OutsideGrant]);
    let found = problems(&platform(&staff()), &team("auth: { jwt: stuff }"));
    assert!(found[0].here.contains("`staff`"), "{found:?}");
    let none = platform("  jwt: {}");
    for auth in ["auth: { jwt: staff }", "auth: { api_key: true }"] {
        let found = problems(&none, &team(auth));
        assert_eq!(found[0].code, Tnd::UnknownIdentity, "{auth}");
    }
}

#[test]
fn an_issuer_has_safe_defaults() {
    let loaded = from_texts(&platform(&staff()), &[]).unwrap();
    let identity = &loaded.platform.identity;
    let staff = &identity.issuers["staff"];
    assert_eq!(staff.algorithms, [Algorithm::Es256, Algorithm::Rs256]);
    assert_eq!((&*staff.principal, &*staff.groups), ("sub", "groups"));
    assert!(staff.asked.not_before, "security A-2: all four are required");
    assert_eq!(
        (&*staff.asked.issuer, &staff.asked.audience[..]),
        ("https://id.example.com", &["api".to_owned()][..])
    );
    let address = Address::Dns { host: "id.example.com".into(), port: 443 };
    let path = "/.well-known/openid-configuration".into();
    let url = HttpsUrl { address, authority: "id.example.com".into(), path };
    assert_eq!(staff.keys.at, KeysAt::Discovered(url));
    assert_eq!(staff.keys.roots.len(), 1);
    assert_eq!(identity.api_keys.as_ref().unwrap().header, "x-api-key");
}

#[test]
fn an_issuer_is_read_strictly() {
    let written = |line: &str| {
        let text = staff().replacen("audience: [api]", line, 1);
        problems(&platform(&text), &team(""))
            .iter()
            .map(|problem| problem.code)
            .filter(|code| *code != Tnd::NoAuthPolicy)
            .collect::<Vec<_>>()
    };
    let api = "audience: api\n      ";
    for (line, code) in [
        ("audience: []", Some(Tnd::WrongType)),
        ("groups: g", Some(Tnd::MissingKey)), // no audience
        (&format!("{api}algorithms: HS256"), Some(Tnd::WrongType)),
        (&format!("{api}algorithms: [ES256, none]"), Some(Tnd::WrongType)),
        (&format!("{api}algorithms: []"), Some(Tnd::WrongType)),
        (&format!("{api}algorithms: [EdDSA, PS256]"), None),
        (&format!("{api}jwks: http://id.example.com/keys"), Some(Tnd::WrongType)),
        (&format!("{api}jwks: https://user@id.example.com/keys"), Some(Tnd::WrongType)),
        (&format!("{api}jwks: https://id.example.com/keys?a=b"), None),
        (&format!("{api}jwks: https://id.example.com:8443/keys"), None),
        (&format!("{api}jwks: https://id.example.com/a#b"), Some(Tnd::WrongType)),
        (&format!("{api}jwks: https://2130706433/keys"), Some(Tnd::WrongType)),
        (&format!("{api}principal: \"\""), Some(Tnd::WrongType)),
        (&format!("{api}not_before: optional"), None),
        (&format!("{api}not_before: no"), Some(Tnd::WrongType)),
        (&format!("{api}secret: x"), Some(Tnd::UnknownKey)),
    ] {
        let found = written(line);
        assert_eq!(found.first().copied(), code, "{line}: {found:?}");
    }
    for (identity, code) in [
        ("  mtls: { principal: san_uri }", Tnd::NotBuiltIn),
        ("  page: { oidc: staff }", Tnd::NotBuiltIn),
        ("  api_keys: { header: authorization }", Tnd::WrongType),
        ("  api_keys: { header: cookie }", Tnd::WrongType),
        ("  api_keys: { header: x-tandem-key }", Tnd::WrongType),
        ("  api_keys: { header: X-Api-Key }", Tnd::WrongType),
        ("  jwt: { Staff: { issuer: a, audience: b } }", Tnd::WrongType),
        ("  jwt: { staff: { issuer: not-a-url, audience: b, jwks: auto } }", Tnd::WrongType),
    ] {
        let found = problems(&platform(identity), &team(""));
        assert_eq!(found.first().map(|problem| problem.code), Some(code), "{identity}");
    }
}

#[test]
fn limits_are_one_or_a_list_and_come_from_one_place() {
    let of = |limits: &str, method: &str| {
        let text = team(&format!("auth: {{ jwt: staff }}, limits: {limits}"));
        let loaded = from_texts(&platform(&staff()), &[("shop", &text)]).unwrap();
        let limits = &loaded.platform.limits;
        let resolved = loaded.namespaces[0].0.resolve("a.B", method, MethodKind::Unary, limits);
        (resolved.message_bytes_max, resolved.limits)
    };
    let rate = |per_second, burst| Some(Rate { per_second, burst });
    let one = CallLimit { per: Per::Principal, rate: rate(200, 400), at_once: None };
    let placed = |calls| PlacedLimits { place: "defaults".into(), calls };
    assert_eq!(
        of("{ per: principal, rate: 200/s, burst: 400 }", "Get"),
        (4 << 20, placed(vec![one.clone()]))
    );
    let list = "[{ message: 2MiB }, { per: source, rate: 5/s }, { per: namespace, at_once: 10 }, \
                 { per: \"key:header:x-account\", rate: 1/s, at_once: 1 }]";
    let calls = vec![
        CallLimit { per: Per::Source, rate: rate(5, 5), at_once: None },
        CallLimit { per: Per::Namespace, rate: None, at_once: Some(10) },
        CallLimit { per: Per::Header("x-account".into()), rate: rate(1, 1), at_once: Some(1) },
    ];
    assert_eq!(of(list, "Get"), (2 << 20, placed(calls)));
    // A more exact line replaces the whole key (UX-25).
    let own = PlacedLimits { place: "a.B/Own".into(), calls: vec![] };
    assert_eq!(of("{ per: principal, rate: 200/s }", "Own"), (1 << 20, own));
}

#[test]
fn a_limit_says_whose_calls_and_how_many() {
    for (limits, code) in [
        ("{ per: principal }", Tnd::MissingKey),
        ("{ rate: 5/s }", Tnd::MissingKey),
        ("{ per: principal, burst: 5 }", Tnd::MissingKey),
        ("{ per: everybody, rate: 5/s }", Tnd::WrongType),
        ("{ per: \"key:header:x-tandem-principal\", rate: 5/s }", Tnd::WrongType),
        ("{ per: \"key:header:Host\", rate: 5/s }", Tnd::WrongType),
        ("{ per: \"key:header:\", rate: 5/s }", Tnd::WrongType),
        ("{ per: principal, rate: 5 }", Tnd::WrongType),
        ("{ per: principal, rate: 0/s }", Tnd::OverLimit),
        ("{ per: principal, rate: 1000001/s }", Tnd::OverLimit),
        ("{ per: principal, rate: 1/s, burst: 0 }", Tnd::OverLimit),
        ("{ per: principal, at_once: 0 }", Tnd::OverLimit),
        ("[{ message: 1MiB }, { message: 2MiB }]", Tnd::DuplicateKey),
        ("{ message: 5MiB }", Tnd::OverLimit),
        ("{ per: principal, at_once: 11 }", Tnd::OverLimit), // the quota is 10
    ] {
        let found = problems(
            &platform(&staff()),
            &team(&format!("auth: {{ jwt: staff }}, limits: {limits}")),
        );
        let codes: Vec<Tnd> = found.iter().map(|problem| problem.code).collect();
        assert!(codes.contains(&code), "{limits}: {codes:?}");
    }
    expect(
        "auth: { jwt: staff }, limits: { per: principal, rate: 1000000/s, burst: 1000000, at_once: 10 }",
        &[],
    );
    let nine = format!("[{}]", ["{ per: source, rate: 1/s }"; 9].join(", "));
    expect(&format!("auth: {{ jwt: staff }}, limits: {nine}"), &[Tnd::OverLimit]);
}
