//! Keys of callers (security A-6), and ways beside each other.

use std::time::{Duration, SystemTime};

use tandem_gateway::{ApiKey, ApiKeys};
use tandem_testkit::{Issuer, gateway};

use super::{CALLERS, Caller, call, echo};

const READ: &str = "tnk_r1_0123456789";
const WRITE: &str = "tnk_w1_0123456789";
const GONE: &str = "tnk_g1_0123456789";
const OTHERS: &str = "tnk_o1_0123456789";

fn keys() -> ApiKeys {
    let key = |text: &str, name: &str, namespace: &str, scopes: &[&str], expires| ApiKey {
        digest: ApiKeys::digest(text),
        name: name.into(),
        namespace: namespace.into(),
        scopes: scopes.iter().map(ToString::to_string).collect(),
        expires,
    };
    let past = Some(SystemTime::now() - Duration::from_secs(1));
    [
        ("r1".to_owned(), key(READ, "reader", "notes", &["read"], None)),
        ("w1".to_owned(), key(WRITE, "writer", "notes", &["read", "write"], None)),
        ("g1".to_owned(), key(GONE, "gone", "notes", &["read", "write"], past)),
        ("o1".to_owned(), key(OTHERS, "other", "search", &["read", "write"], None)),
    ]
    .into_iter()
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn security_a_6_a_key_opens_what_it_was_made_for_and_is_seen_by_no_service() {
    let backend = echo();
    let setup = gateway(backend.address).callers("api_keys: {}").api_keys(keys());
    let gateway = setup.auth("{ api_key: true, scopes: [write] }").start().await;
    for caller in CALLERS {
        let wrong = "the credential is not accepted";
        for (key, code, message) in [
            (WRITE, 0, ""),
            (READ, 7, "the credential lacks the scope write"),
            (GONE, 16, wrong),
            (OTHERS, 16, wrong),
            ("tnk_x1_0123456789", 16, wrong),
            ("tnk_w1_0123456780", 16, wrong),
            ("", 16, wrong),
        ] {
            // A twin with `_` opens nothing, and no service is shown it either.
            let headers = [("x-api-key", key), ("x_api_key", WRITE)];
            let answer = call(caller, gateway.public, &headers).await;
            assert_eq!((answer.code, &*answer.message), (code, message), "{caller:?} {key}");
            let challenge = if code == 16 { "ApiKey" } else { "" };
            assert_eq!(answer.header("www-authenticate"), challenge, "{caller:?} {key}");
        }
        for headers in [&[("x_api_key", WRITE)][..], &[], &[("authorization", "Bearer a.b.c")]] {
            let answer = call(caller, gateway.public, headers).await;
            assert_eq!(
                (answer.code, &*answer.message),
                (16, "a credential is needed"),
                "{caller:?}"
            );
        }
        let twice = [("x-api-key", WRITE), ("x-api-key", WRITE)];
        assert_eq!(call(caller, gateway.public, &twice).await.code, 16, "{caller:?}");
    }
    assert_eq!(backend.calls(), 3);
    for reached in backend.reached() {
        assert_eq!(reached.headers["x-tandem-principal"], "a2V5OndyaXRlcg"); // key:writer
        assert!(!reached.headers.contains_key("x-api-key"));
        assert!(!reached.headers.contains_key("x_api_key"));
    }
    // The whole set is replaced: what is not in it is gone at once.
    gateway.view.set_api_keys(ApiKeys::default());
    let answer = call(Caller::Http1, gateway.public, &[("x-api-key", WRITE)]).await;
    assert_eq!(answer.code, 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn security_a_6_a_source_may_be_wrong_only_so_often() {
    let backend = echo();
    let setup = gateway(backend.address).callers("api_keys: { header: x-key }").api_keys(keys());
    let gateway = setup.auth("{ api_key: true }").start().await;
    let began = std::time::Instant::now();
    let mut refused = 0;
    for number in 0..200 {
        let key = format!("tnk_r1_{number}");
        let answer = call(Caller::Http1, gateway.public, &[("x-key", &key)]).await;
        match answer.code {
            16 => refused += 1,
            8 => assert!(!answer.header("retry-after").is_empty()),
            other => panic!("{other}"),
        }
    }
    let back = began.elapsed().as_secs() as usize + 1;
    assert!((60..=60 + back).contains(&refused), "{refused}");
    // A good key from there waits as well; elsewhere nobody does.
    assert_eq!(call(Caller::Grpc, gateway.public, &[("x-key", READ)]).await.code, 8);
    assert_eq!(backend.calls(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn any_of_several_ways_is_enough() {
    let (issuer, backend) = (Issuer::start(), echo());
    let (staff, guests) = (issuer.document("staff", ""), Issuer::start());
    let identity = format!("jwt: {{ {staff}, {} }}, api_keys: {{}}", guests.document("guests", ""));
    let auth = "{ any: [{ jwt: staff, scopes: [a] }, { jwt: guests }, { api_key: true, scopes: [write] }] }";
    let setup = gateway(backend.address).callers(&identity).api_keys(keys()).auth(auth);
    let gateway = setup.start().await;
    gateway.until(|gateway| gateway.view.issuers().iter().all(|issuer| issuer.keys > 0)).await;
    let bearer = |token: String| format!("Bearer {token}");
    let (good, poor) =
        (bearer(issuer.token("ann", "\"scope\":\"a\",")), bearer(issuer.token("ann", "")));
    let guest = bearer(guests.token("ann", ""));
    for caller in CALLERS {
        for (headers, code) in [
            (vec![("authorization", &*good)], 0),
            (vec![("authorization", &*guest)], 0),
            (vec![("x-api-key", WRITE)], 0),
            // One that passes is enough, whatever stands beside it.
            (vec![("authorization", "Bearer a.b.c"), ("x-api-key", WRITE)], 0),
            (vec![("authorization", &*good), ("x-api-key", "tnk_a_b")], 0),
            // Who proved himself and may not is told so; who did not, is told that.
            (vec![("authorization", &*poor)], 7),
            (vec![("x-api-key", READ)], 7),
            (vec![("authorization", &*poor), ("x-api-key", "tnk_a_b")], 7),
            (vec![("authorization", "Bearer a.b.c")], 16),
            (vec![], 16),
        ] {
            let answer = call(caller, gateway.public, &headers).await;
            assert_eq!(answer.code, code, "{caller:?} {headers:?}");
            if code == 16 {
                assert!(answer.header("www-authenticate").starts_with("Bearer"));
                assert!(answer.header("www-authenticate").ends_with(", ApiKey"));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_m_8_a_service_passes_its_caller_on_by_the_internal_listener_only() {
    let backend = echo();
    let gateway = gateway(backend.address).start().await;
    let ann = [("x-tandem-principal", "and0OnN0YWZmOmFubg")];
    for caller in CALLERS {
        let before = backend.calls();
        assert_eq!(call(caller, gateway.public, &ann).await.code, 0);
        assert_eq!(call(caller, gateway.internal, &ann).await.code, 0);
        let reached = backend.reached();
        assert!(!reached[before].headers.contains_key("x-tandem-principal"), "{caller:?}");
        assert_eq!(reached[before + 1].headers["x-tandem-principal"], ann[0].1, "{caller:?}");
        for odd in ["%", "", "AA"] {
            let answer = call(caller, gateway.internal, &[("x-tandem-principal", odd)]).await;
            assert_eq!(answer.code, 3, "{caller:?} {odd}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn experience_ux_42_the_internal_listener_asks_for_the_same_credentials() {
    let backend = echo();
    let setup = gateway(backend.address).callers("api_keys: {}").api_keys(keys());
    let gateway = setup.auth("{ api_key: true }").start().await;
    let ann = ("x-tandem-principal", "and0OnN0YWZmOmFubg");
    for caller in CALLERS {
        // To name somebody is no credential.
        assert_eq!(call(caller, gateway.internal, &[ann]).await.code, 16, "{caller:?}");
        let before = backend.calls();
        assert_eq!(call(caller, gateway.internal, &[ann, ("x-api-key", READ)]).await.code, 0);
        assert_eq!(backend.reached()[before].headers["x-tandem-principal"], ann.1, "{caller:?}");
    }
}
