//! Tokens of an issuer, and the issuer's faults (security A-1 to A-5).

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tandem_config::document::Share;
use tandem_gateway::KeyTiming;
use tandem_gateway::net::Names;
use tandem_gateway::observe::AccessLog;
use tandem_testkit::issuer::{KeyAnswer, SigningKey, key_set};
use tandem_testkit::{Issuer, Setup, TestGateway, gateway};

use super::{Answer, CALLERS, Caller, call, echo};

/// The sentences of a refusal: whatever is wrong with a credential, the caller reads no more.
const NEEDED: &str = "a credential is needed";
const WRONG: &str = "the credential is not accepted";

fn before(issuer: &Issuer, backend: &tandem_testkit::Backend, auth: &str) -> Setup {
    gateway(backend.address)
        .callers(&format!("jwt: {{ {} }}", issuer.document("staff", "")))
        .auth(auth)
}

/// Waits until the gateway has keys of its issuers.
async fn with_keys(gateway: TestGateway) -> TestGateway {
    gateway.until(|gateway| gateway.view.issuers().iter().all(|issuer| issuer.keys > 0)).await;
    gateway
}

async fn with_token(caller: Caller, gateway: &TestGateway, token: &str) -> Answer {
    call(caller, gateway.public, &[("authorization", &format!("Bearer {token}"))]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_token_opens_the_method_and_names_the_principal_to_the_service() {
    let (issuer, backend) = (Issuer::start(), echo());
    let gateway = with_keys(before(&issuer, &backend, "{ jwt: staff }").start().await).await;
    let token = issuer.token("ann", "");
    for caller in CALLERS {
        for scheme in ["Bearer", "bearer", "BEARER"] {
            let credential = format!("{scheme} {token}");
            // What a caller says of himself never reaches a service (security A-8).
            let root = [("x-tandem-principal", "cm9vdA"), ("x_tandem_principal", "cm9vdA")];
            let headers = [("authorization", &*credential), root[0], root[1]];
            let answer = call(caller, gateway.public, &headers).await;
            assert_eq!(answer.code, 0, "{caller:?}: {answer:?}");
        }
    }
    for reached in backend.reached() {
        // base64url of `jwt:staff:ann`
        assert_eq!(reached.headers["x-tandem-principal"], "and0OnN0YWZmOmFubg");
        assert_eq!(reached.headers.get_all("x-tandem-principal").iter().count(), 1);
        assert!(!reached.headers.contains_key("x_tandem_principal"));
        // The service may want to call on with it.
        assert!(reached.headers.contains_key("authorization"));
    }
    let checks = gateway.view.metrics().text();
    let count = |result: &str| {
        let line = format!("tandem_token_checks_total{{result=\"{result}\"}} ");
        let found = checks.lines().find_map(|text| text.strip_prefix(&line));
        found.expect("a series").parse::<u32>().unwrap()
    };
    // Once on each of two threads at most, then it is known (performance PF-9).
    assert!((1..=2).contains(&count("verified")), "{checks}");
    assert_eq!(count("verified") + count("known"), 9);
    assert_eq!(count("refused"), 0);
    let spans = gateway.view.trace(*b"none of these   ");
    assert!(spans.is_empty());
    gateway.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn security_a_1_and_a_2_whatever_is_wrong_the_answer_is_one_and_nothing_reaches_the_service()
{
    let (issuer, backend) = (Issuer::start(), echo());
    let gateway = with_keys(before(&issuer, &backend, "{ jwt: staff }").start().await).await;
    let (claims, header) = (issuer.claims("ann", ""), r#"{"alg":"ES256","kid":"k1"}"#);
    let signed = |header: &str, claims: &str| issuer.key.token(header, claims);
    let stranger = SigningKey::new("k1");
    let good = issuer.token("ann", "");
    let (front, signature) = good.rsplit_once('.').unwrap();
    let without = |member: &str| {
        let start = claims.find(&format!("\"{member}\"")).unwrap();
        let end = claims[start..].find([',', '}']).unwrap() + start;
        let comma = usize::from(claims.as_bytes()[end] == b',');
        let cut = format!("{}{}", &claims[..start], &claims[end + comma..]);
        signed(header, &cut.replace(",}", "}"))
    };
    let with = |old: &str, new: &str| {
        assert!(claims.contains(old), "{old}");
        signed(header, &claims.replacen(old, new, 1))
    };
    let replaced = |header: &str| {
        // Another header over the same signature: what was signed is another text.
        let part = signed(header, &claims);
        format!("{}.{}", part.rsplit_once('.').unwrap().0, signature)
    };
    let padded = "x".repeat(9_000);
    let cases = [
        ("no signature", format!("{front}.")),
        ("none", signed(r#"{"alg":"none"}"#, &claims)),
        (
            "none, unsigned",
            format!("{}.", signed(r#"{"alg":"none"}"#, &claims).rsplit_once('.').unwrap().0),
        ),
        ("HS256", signed(r#"{"alg":"HS256","kid":"k1"}"#, &claims)),
        ("RS256 of an EC key", signed(r#"{"alg":"RS256","kid":"k1"}"#, &claims)),
        ("ES384 of a P-256 key", signed(r#"{"alg":"ES384","kid":"k1"}"#, &claims)),
        ("crit", signed(r#"{"alg":"ES256","kid":"k1","crit":["exp"]}"#, &claims)),
        ("b64", signed(r#"{"alg":"ES256","kid":"k1","b64":false}"#, &claims)),
        (
            "its own key",
            stranger.token(&format!(r#"{{"alg":"ES256","jwk":{}}}"#, stranger.public()), &claims),
        ),
        (
            "a key elsewhere",
            stranger.token(r#"{"alg":"ES256","kid":"k1","jku":"https://evil.example/"}"#, &claims),
        ),
        ("nested", signed(r#"{"alg":"ES256","kid":"k1","cty":"JWT"}"#, &claims)),
        ("another purpose", signed(r#"{"alg":"ES256","kid":"k1","typ":"logout+jwt"}"#, &claims)),
        ("a stranger's key", stranger.token(header, &claims)),
        ("another header", replaced(r#"{"alg":"ES256","kid":"k1","x":1}"#)),
        (
            "other claims",
            with("\"ann\"", "\"root\"")
                .replacen(|_: char| false, "", 1)
                .rsplit_once('.')
                .map(|(front, _)| format!("{front}.{signature}"))
                .unwrap(),
        ),
        ("a path as key", signed(r#"{"alg":"ES256","kid":"../../etc/passwd"}"#, &claims)),
        ("no exp", without("exp")),
        ("no nbf", without("nbf")),
        ("no iss", without("iss")),
        ("no aud", without("aud")),
        ("no sub", without("sub")),
        ("a number as sub", with("\"ann\"", "7")),
        ("a text as exp", with("\"exp\":", "\"exp\":\"1\",\"x\":")),
        ("another audience", with("\"api\"", "\"apis\"")),
        ("another issuer", with("https://", "http://")),
        ("twice", with("{", "{\"sub\":\"root\",")),
        ("expired", with("\"exp\":", "\"exp\":1000,\"x\":")),
        ("not yet", with("\"nbf\":", "\"nbf\":99999999999,\"x\":")),
        ("too long", signed(header, &claims.replacen('{', &format!("{{\"x\":\"{padded}\","), 1))),
        ("no token", String::new()),
        ("anything", "abc".into()),
        ("blanks", format!("{good} {good}")),
    ];
    for (what, token) in &cases {
        for caller in CALLERS {
            let answer = with_token(caller, &gateway, token).await;
            let told = (answer.code, &*answer.message, answer.header("www-authenticate"));
            assert_eq!(told, (16, WRONG, "Bearer error=\"invalid_token\""), "{caller:?}: {what}");
        }
    }
    let good = format!("Bearer {good}");
    for caller in CALLERS {
        let twice = [("authorization", &*good), ("authorization", &*good)];
        assert_eq!(call(caller, gateway.public, &twice).await.message, WRONG);
        for headers in [&[][..], &[("authorization", "Basic YTpi")], &[("x-api-key", "tnk_a_b")]] {
            let answer = call(caller, gateway.public, headers).await;
            let told = (answer.code, &*answer.message, answer.header("www-authenticate"));
            assert_eq!(told, (16, NEEDED, "Bearer"), "{caller:?} {headers:?}");
        }
        assert_eq!(call(caller, gateway.public, &twice[..1]).await.code, 0, "{caller:?}");
    }
    assert_eq!(backend.calls(), 3, "only the good ones");
    let text = gateway.view.metrics().text();
    assert!(text.contains("tandem_limits_met_total{limit=\"token\"} 3\n"), "security LI-17");
    assert_eq!(issuer.asked(), 1, "security A-3: one reading, whatever was shown");
}

#[tokio::test(flavor = "multi_thread")]
async fn scopes_groups_and_claims_are_asked_for_beside_the_token() {
    let (issuer, backend) = (Issuer::start(), echo());
    let auth = "{ any: [{ jwt: staff, scopes: [notes.read, notes.write], groups: [a, b], claims: { tenant: [x, 7], ok: true } }] }";
    let gateway = with_keys(before(&issuer, &backend, auth).start().await).await;
    let not = "the caller may not call this method";
    let scope = "the credential lacks the scope notes.write";
    let rest = r#""groups":["b"],"tenant":"x","ok":true,"#;
    let scoped = r#""scope":"notes.read notes.write","#;
    for (more, code, message) in [
        (format!("{scoped}{rest}"), 0, ""),
        (
            r#""scp":["notes.write","notes.read"],"groups":"a","tenant":[1,7],"ok":true,"#.into(),
            0,
            "",
        ),
        (format!(r#""scope":"notes.read",{rest}"#), 7, scope),
        (format!(r#""scope":"notes.read notes.writeX",{rest}"#), 7, scope),
        (format!(r#"{scoped}"groups":["c"],"tenant":"x","ok":true,"#), 7, not),
        (format!(r#"{scoped}"groups":[["a"]],"tenant":"x","ok":true,"#), 7, not),
        (format!(r#"{scoped}"groups":"a","tenant":"7","ok":true,"#), 7, not),
        (format!(r#"{scoped}"groups":"a","tenant":"x","ok":"true","#), 7, not),
        (format!(r#"{scoped}"groups":"a","ok":true,"#), 7, not),
    ] {
        for caller in CALLERS {
            let answer = with_token(caller, &gateway, &issuer.token("ann", &more)).await;
            assert_eq!((answer.code, &*answer.message), (code, message), "{caller:?}: {more}");
            let challenge = match message == scope {
                true => "Bearer error=\"insufficient_scope\", scope=\"notes.read notes.write\"",
                false => "",
            };
            assert_eq!(answer.header("www-authenticate"), challenge, "{caller:?}: {more}");
        }
    }
}

/// Lines as they are written.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("nobody panicked").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn security_w_7_the_principal_is_in_log_and_trace_and_the_credential_is_nowhere() {
    let (issuer, backend, lines) = (Issuer::start(), echo(), Lines::default());
    let log = AccessLog::start(Box::new(lines.clone()), Share::ALL).unwrap();
    let setup = before(&issuer, &backend, "{ jwt: staff, scopes: [a] }").access_log(log);
    let gateway = with_keys(setup.start().await).await;
    let token = issuer.token("ann", "\"scope\":\"a\",");
    let poor = issuer.token("bob", "");
    for (id, token) in [("good", &token), ("poor", &poor), ("wrong", &format!("{token}x"))] {
        let credential = format!("Bearer {token}");
        let headers = [("authorization", &*credential), ("x-request-id", id)];
        call(Caller::Http1, gateway.public, &headers).await;
        gateway.until(|gateway| !gateway.view.request(id).is_empty()).await;
    }
    let spans = ["good", "poor", "wrong"].map(|id| gateway.view.request(id).remove(0));
    let named = spans.each_ref().map(|span| span.principal.as_deref());
    assert_eq!(named, [Some("jwt:staff:ann"), None, None]);
    let told = format!("{spans:?}{}", gateway.view.metrics().text());
    gateway.gateway.stop().await;
    let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert_eq!(log.lines().count(), 3, "{log}");
    assert!(log.lines().next().unwrap().contains("\"principal\":\"jwt:staff:ann\""), "{log}");
    for secret in [&token, &poor] {
        let signature = secret.rsplit('.').next().unwrap();
        assert!(!log.contains(signature) && !told.contains(signature));
        assert!(!log.contains(&secret[..60]) && !told.contains(&secret[..60]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn security_a_3_an_unknown_key_brings_one_reading_in_the_time_that_is_set() {
    let (issuer, backend) = (Issuer::start(), echo());
    let timing = KeyTiming { least: Duration::from_millis(300), ..KeyTiming::default() };
    let setup = before(&issuer, &backend, "{ jwt: staff }").key_timing(timing.clone());
    let gateway = with_keys(setup.start().await).await;
    let began = std::time::Instant::now();
    // The issuer has a new key beside the old one: tokens of it are good once it was read.
    let next = SigningKey::new("k2");
    issuer.answers(KeyAnswer::Keys(key_set(&[&issuer.key, &next])));
    let token = next.token(r#"{"alg":"ES256","kid":"k2"}"#, &issuer.claims("ann", ""));
    assert_eq!(with_token(Caller::Http1, &gateway, &token).await.code, 16);
    for number in 0..300 {
        let header = format!(r#"{{"alg":"ES256","kid":"unknown-{number}"}}"#);
        let forged = next.token(&header, &issuer.claims("ann", ""));
        assert_eq!(with_token(Caller::Http2, &gateway, &forged).await.code, 16);
    }
    issuer.was_asked(2).await;
    gateway.until(|gateway| gateway.view.issuers()[0].keys == 2).await;
    assert_eq!(with_token(Caller::Grpc, &gateway, &token).await.code, 0);
    assert_eq!(with_token(Caller::Grpc, &gateway, &issuer.token("bob", "")).await.code, 0);
    let most = 2 + (began.elapsed().as_millis() / timing.least.as_millis()) as usize;
    assert!(issuer.asked() <= most, "{} readings, at most {most}", issuer.asked());
    // A key that is gone opens nothing, also for tokens that were seen before.
    issuer.answers(KeyAnswer::Keys(key_set(&[&next])));
    let forged = next.token(r#"{"alg":"ES256","kid":"k9"}"#, &issuer.claims("ann", ""));
    assert_eq!(with_token(Caller::Http1, &gateway, &forged).await.code, 16);
    gateway.until(|gateway| gateway.view.issuers()[0].keys == 1).await;
    for caller in CALLERS {
        assert_eq!(with_token(caller, &gateway, &issuer.token("bob", "")).await.code, 16);
        assert_eq!(with_token(caller, &gateway, &token).await.code, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn security_a_4_keys_that_were_read_hold_whatever_the_issuer_does_then() {
    let (issuer, backend) = (Issuer::start(), echo());
    let timing = KeyTiming {
        least: Duration::from_millis(20),
        every: Duration::from_millis(20),
        within: Duration::from_millis(500),
    };
    let setup = before(&issuer, &backend, "{ jwt: staff }").key_timing(timing);
    let gateway = with_keys(setup.start().await).await;
    let huge = format!("{}{}", key_set(&[&issuer.key]), " ".repeat(64 * 1024));
    let elsewhere = "location: https://127.0.0.1:1/keys\r\n";
    for answer in [
        KeyAnswer::Keys(String::new()),
        KeyAnswer::Keys("<html>".into()),
        KeyAnswer::Keys("{\"keys\":[]}".into()),
        KeyAnswer::Keys(huge),
        KeyAnswer::Other(500, "", String::new()),
        KeyAnswer::Other(302, elsewhere, key_set(&[&issuer.key])),
        KeyAnswer::Silence,
    ] {
        issuer.answers(answer.clone());
        issuer.was_asked(issuer.asked() + 2).await;
        let answer_of_gateway = with_token(Caller::Http1, &gateway, &issuer.token("ann", "")).await;
        assert_eq!(answer_of_gateway.code, 0, "{answer:?}");
    }
    let (address, token) = (issuer.address(), issuer.token("ann", ""));
    drop(issuer);
    let down = async {
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), down).await.expect("in time");
    assert_eq!(with_token(Caller::Grpc, &gateway, &token).await.code, 0);
    assert_eq!(gateway.view.issuers()[0].keys, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn security_po_2_nobody_is_let_in_by_keys_that_were_never_read_and_nobody_waits() {
    for odd in ["down", "silent", "another issuer", "clear text", "a stranger's certificate"] {
        let (issuer, backend) = (Issuer::start(), echo());
        let mut setup = before(&issuer, &backend, "{ jwt: staff }");
        match odd {
            "silent" => issuer.answers(KeyAnswer::Silence),
            "another issuer" => {
                issuer.describe("https://other.example", &format!("{}/keys", issuer.url))
            }
            "clear text" => issuer.describe(&issuer.url, &issuer.url.replace("https", "http")),
            "a stranger's certificate" => {
                let other =
                    Issuer::start().document("staff", "").replace("issuer: \"", "issuer: \"x");
                let ca = other.split("ca: ").nth(1).unwrap();
                let own = issuer.document("staff", "");
                let own = own.split("ca: ").next().unwrap();
                setup = setup.callers(&format!("jwt: {{ {own}ca: {ca} }}"));
            }
            _ => {}
        }
        let token = issuer.token("ann", "");
        let kept = (odd != "down").then_some(issuer);
        let gateway = setup.start().await;
        for caller in CALLERS {
            let answer = with_token(caller, &gateway, &token).await;
            let told = (answer.code, &*answer.message);
            assert_eq!(told, (14, "credentials cannot be checked now"), "{caller:?} {odd}");
            assert_eq!(answer.header("retry-after"), "1");
            assert_eq!(call(caller, gateway.public, &[]).await.code, 16, "{caller:?} {odd}");
        }
        assert_eq!(backend.calls(), 0);
        drop(kept);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn security_t_4_an_issuer_is_asked_only_where_it_may_stand() {
    for (led_to, loopback) in [([127, 0, 0, 1], true), ([169, 254, 169, 254], false)] {
        let (issuer, backend) = (Issuer::start(), echo());
        // A name that leads to this machine is not the word of the platform that it may.
        let document = issuer.document("staff", ", jwks: auto");
        let document = document.replace("https://127.0.0.1", "https://id.test");
        let asked = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&asked);
        let names = Names::answered_by(move |_host, port| {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok(vec![(led_to, port).into()])
        });
        let timing = KeyTiming { least: Duration::from_millis(20), ..KeyTiming::default() };
        let gateway = gateway(backend.address)
            .callers(&format!("jwt: {{ {document} }}"))
            .auth("{ jwt: staff }")
            .names(names)
            .key_timing(timing)
            .start()
            .await;
        // Three readings have failed by then.
        gateway.until(|_| asked.load(Ordering::Relaxed) > 3).await;
        assert_eq!((gateway.view.issuers()[0].keys, issuer.asked()), (0, 0), "{loopback}");
    }
}
