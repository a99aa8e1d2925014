//! Tokens and key sets of strangers, row by row (security A-1, A-2, A-3, A-5).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tandem_protocol::key_set::{self, KEYS_MOST, KeySetFault};
use tandem_protocol::token::{Algorithm, Asked, TOKEN_BYTES_MOST, Token, TokenFault};

const NOW: u64 = 1_800_000_000;

fn base64(text: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

fn claims() -> Value {
    json!({ "iss": "https://id.example.com", "aud": "api", "exp": NOW + 60, "nbf": NOW - 60,
            "sub": "ann" })
}

fn token(header: &str, payload: &str) -> String {
    format!("{}.{}.{}", base64(header), base64(payload), base64("signature"))
}

fn asked() -> Asked {
    let (issuer, audience) = ("https://id.example.com".into(), vec!["api".into(), "web".into()]);
    Asked { issuer, audience, not_before: true }
}

fn judge(claims: &str) -> Result<Duration, TokenFault> {
    let text = token(r#"{"alg":"ES256"}"#, claims);
    Token::parse(&text)?.claims.judge(&asked(), Duration::from_secs(NOW))
}

#[test]
fn security_a_1_a_header_that_asks_for_more_than_a_known_signature_is_refused() {
    use TokenFault as F;
    let check = |header: &str, expected: Result<Algorithm, TokenFault>| {
        let text = token(header, "{}");
        assert_eq!(Token::parse(&text).map(|token| token.algorithm), expected, "{header}");
    };
    for algorithm in Algorithm::ALL {
        check(&format!(r#"{{"alg":"{}"}}"#, algorithm.name()), Ok(algorithm));
    }
    for name in [
        "none",
        "None",
        "nOnE",
        "NONE",
        "",
        "HS256",
        "HS384",
        "HS512",
        "es256",
        "ES256 ",
        "ES512",
        "ES256K",
        "EdDSA25519",
        "RSA1_5",
        "dir",
        "A128KW",
        "RS256,HS256",
    ] {
        check(&format!(r#"{{"alg":"{name}"}}"#), Err(F::Algorithm));
    }
    for alg in ["null", "256", "true", "[\"ES256\"]", "{\"a\":\"ES256\"}"] {
        check(&format!(r#"{{"alg":{alg}}}"#), Err(F::Algorithm));
    }
    check("{}", Err(F::Algorithm));
    check(r#"{"Alg":"ES256"}"#, Err(F::Algorithm));
    for name in ["crit", "b64", "jwk", "jku", "x5u", "x5c", "cty", "zip", "enc", "epk"] {
        for value in ["null", "[]", "false", "\"JWT\"", "\"https://evil.example\"", "{}"] {
            check(&format!(r#"{{"alg":"ES256","{name}":{value}}}"#), Err(F::Header(name)));
        }
    }
    for (kind, good) in [
        ("\"JWT\"", true),
        ("\"jwt\"", true),
        ("\"at+jwt\"", true),
        ("\"application/at+jwt\"", true),
        ("\"JWE\"", false),
        ("\"logout+jwt\"", false),
        ("\"secevent+jwt\"", false),
        ("\"dpop+jwt\"", false),
        ("1", false),
        ("null", false),
    ] {
        let expected = if good { Ok(Algorithm::Es256) } else { Err(F::Type) };
        check(&format!(r#"{{"alg":"ES256","typ":{kind}}}"#), expected);
    }
    // What is said twice can be read in two ways.
    check(r#"{"alg":"none","alg":"ES256"}"#, Err(F::NotJson("header")));
    check(r#"{"alg":"ES256","x":{"a":1,"a":2}}"#, Err(F::NotJson("header")));
    check(r#"["ES256"]"#, Err(F::NotJson("header")));
    check("{\"alg\":\"ES256\"} x", Err(F::NotJson("header")));
    check(r#"{"alg":"ES256","x5t":"abc","jti":"1"}"#, Ok(Algorithm::Es256));
}

#[test]
fn security_a_1_a_token_is_three_parts_of_which_none_is_odd() {
    let (header, payload) = (base64(r#"{"alg":"ES256"}"#), base64("{}"));
    for text in [
        String::new(),
        ".".into(),
        "..".into(),
        format!("{header}.{payload}"),
        format!("{header}.{payload}."), // an empty signature
        format!("{header}.{payload}.AA.AA"),
        format!("{header}.{payload}.AA.AA.AA"), // five parts: an encrypted one
        format!("{header}.{payload}.A"),
        format!("{header}.{payload}.AA=="),
        format!("{header}.{payload}.AB"), // bits that mean nothing are another spelling
        format!("{header}.{payload}.A A"),
        format!("{header}=.{payload}.AA"),
        format!("{header}.{payload}.+/8"),
        format!(" {header}.{payload}.AA"),
        format!("{header}.{payload}.AA\n"),
    ] {
        assert_eq!(Token::parse(&text).unwrap_err(), TokenFault::Parts, "{text}");
    }
    let longest = |extra: usize| {
        let fixed = token(r#"{"alg":"ES256"}"#, "{}").len();
        format!("{header}.{payload}.{}", "A".repeat(TOKEN_BYTES_MOST - fixed + 12 + extra))
    };
    assert_eq!(longest(0).len(), TOKEN_BYTES_MOST);
    assert!(Token::parse(&longest(0)).is_ok());
    assert_eq!(Token::parse(&longest(1)).unwrap_err(), TokenFault::TooLong);
    let deep = format!(r#"{{"alg":"ES256","x":{}{}}}"#, "[".repeat(2000), "]".repeat(2000));
    assert_eq!(Token::parse(&token(&deep, "{}")).unwrap_err(), TokenFault::NotJson("header"));
}

#[test]
fn security_a_2_what_is_missing_or_mistyped_is_refused_and_never_taken_for_absent() {
    use TokenFault as F;
    let with = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        judge(&claims.to_string())
    };
    let without = |name: &str| {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(name);
        judge(&claims.to_string())
    };
    assert_eq!(judge(&claims().to_string()), Ok(Duration::from_secs(NOW + 60 + 30)));
    for name in ["exp", "nbf", "iss", "aud"] {
        assert_eq!(without(name), Err(F::Missing(name)));
        assert_eq!(with(name, json!(null)), Err(F::Malformed(name)), "{name}");
        assert_eq!(with(name, json!({})), Err(F::Malformed(name)), "{name}");
    }
    for name in ["exp", "nbf"] {
        let texts =
            [json!("1800000000"), json!(1.8e9), json!(-1), json!(1e30), json!(true), json!([1])];
        for value in texts {
            assert_eq!(with(name, value.clone()), Err(F::Malformed(name)), "{name} {value}");
        }
    }
    // The largest that can be said does not run over.
    assert!(with("exp", json!(u64::MAX)).is_ok());
    assert_eq!(with("nbf", json!(u64::MAX)), Err(F::NotYet));
    for value in [json!("https://id.example.com/"), json!("HTTPS://id.example.com"), json!("")] {
        assert_eq!(with("iss", value.clone()), Err(F::Issuer), "{value}");
    }
    assert_eq!(with("iss", json!(["https://id.example.com"])), Err(F::Malformed("iss")));
    for value in [json!("web"), json!(["x", "api"]), json!(["api"])] {
        assert!(with("aud", value.clone()).is_ok(), "{value}");
    }
    for value in [json!("API"), json!("apis"), json!([]), json!(["x", "y"]), json!("")] {
        assert_eq!(with("aud", value.clone()), Err(F::Audience), "{value}");
    }
    for value in [json!(["api", 1]), json!([["api"]]), json!(7)] {
        assert_eq!(with("aud", value.clone()), Err(F::Malformed("aud")), "{value}");
    }
    let twice = claims().to_string().replacen('{', r#"{"exp":1,"#, 1);
    assert_eq!(judge(&twice), Err(F::NotJson("payload")));
    assert_eq!(judge("[]"), Err(F::NotJson("payload")));

    let lenient = Asked { not_before: false, ..asked() };
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove("nbf");
    let text = token(r#"{"alg":"ES256"}"#, &claims.to_string());
    let token = Token::parse(&text).unwrap();
    assert!(token.claims.judge(&lenient, Duration::from_secs(NOW)).is_ok());
}

#[test]
fn security_a_5_the_leeway_is_thirty_seconds_to_the_nanosecond() {
    let text = token(r#"{"alg":"ES256"}"#, &claims().to_string());
    let token = Token::parse(&text).unwrap();
    let at = |now: Duration| token.claims.judge(&asked(), now).map(|_| ());
    let nano = Duration::from_nanos(1);
    let (first, end) = (Duration::from_secs(NOW - 60 - 30), Duration::from_secs(NOW + 60 + 30));
    assert_eq!(at(first - nano), Err(TokenFault::NotYet));
    assert_eq!(at(first), Ok(()));
    assert_eq!(at(end - nano), Ok(()));
    assert_eq!(at(end), Err(TokenFault::Expired));
}

#[test]
fn security_a_3_the_name_of_a_key_is_a_name_and_nothing_else() {
    let check = |kid: Value, expected: Result<Option<&str>, TokenFault>| {
        let text = token(&json!({ "alg": "ES256", "kid": kid }).to_string(), "{}");
        let read = Token::parse(&text).map(|token| token.key_id);
        assert_eq!(read.as_ref().map(|kid| kid.as_deref()), expected.as_ref().copied());
    };
    for kid in
        ["../../etc/passwd", "' OR 1=1 --", "http://evil.example/", "\u{0}", &"k".repeat(256)]
    {
        check(json!(kid), Ok(Some(kid)));
    }
    check(json!("k".repeat(257)), Err(TokenFault::KeyId));
    check(json!("k".repeat(2000)), Err(TokenFault::KeyId));
    for kid in [json!(""), json!(1), json!(null), json!(["a"])] {
        check(kid, Err(TokenFault::KeyId));
    }
}

#[test]
fn scopes_come_by_either_name_and_odd_ones_grant_nothing() {
    let scopes = |claims: Value| {
        let text = token(r#"{"alg":"ES256"}"#, &claims.to_string());
        let token = Token::parse(&text).unwrap();
        token.claims.scopes().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(scopes(json!({ "scope": "a b  c" })), ["a", "b", "c"]);
    assert_eq!(scopes(json!({ "scp": ["a", "b"] })), ["a", "b"]);
    assert_eq!(scopes(json!({ "scp": "a b" })), ["a", "b"]);
    assert_eq!(scopes(json!({ "scope": "a", "scp": "b" })), ["a"]);
    for none in [json!({}), json!({ "scope": 1 }), json!({ "scope": ["a", 1] })] {
        assert_eq!(scopes(none), [""; 0]);
    }
}

fn ec(id: &str) -> Value {
    json!({ "kty": "EC", "crv": "P-256", "kid": id, "x": base64([1; 32]), "y": base64([2; 32]) })
}

#[test]
fn security_a_1_a_key_says_which_algorithms_it_verifies() {
    let rsa = |bytes: usize| json!({ "kty": "RSA", "n": base64(vec![0xff; bytes]), "e": "AQAB" });
    let mut fixed = rsa(256);
    fixed["alg"] = json!("PS256");
    let mut odd = ec("x");
    odd["alg"] = json!("RS256");
    let mut encrypts = ec("x");
    encrypts["use"] = json!("enc");
    let mut signs = ec("x");
    signs["key_ops"] = json!(["sign"]);
    let mut short = ec("x");
    short["x"] = json!(base64([1; 31]));
    let all = Algorithm::ALL;
    let check = |key: Value, allowed: &[Algorithm], expected: Option<&[Algorithm]>| {
        let set = json!({ "keys": [key] }).to_string();
        let read = key_set::read(set.as_bytes(), allowed).ok();
        let algorithms = read.map(|keys| keys[0].algorithms.clone());
        assert_eq!(algorithms.as_deref(), expected, "{set}");
    };
    use Algorithm as A;
    check(ec("x"), &all, Some(&[A::Es256]));
    check(ec("x"), &[A::Rs256], None);
    check(rsa(256), &[A::Rs256, A::Es256], Some(&[A::Rs256]));
    check(rsa(255), &all, None); // below 2,048 bits
    check(rsa(1024), &[A::Rs512], Some(&[A::Rs512]));
    check(rsa(1025), &all, None);
    check(fixed, &all, Some(&[A::Ps256]));
    check(json!({ "kty": "OKP", "crv": "Ed25519", "x": base64([3; 32]) }), &all, Some(&[A::EdDsa]));
    check(json!({ "kty": "OKP", "crv": "X25519", "x": base64([3; 32]) }), &all, None);
    check(json!({ "kty": "oct", "k": base64([3; 32]) }), &all, None);
    check(json!({ "kty": "oct", "k": base64([3; 32]), "alg": "RS256" }), &all, None);
    for key in [odd, encrypts, signs, short, json!({}), json!(1), json!({ "kty": 7 })] {
        check(key, &all, None);
    }
}

#[test]
fn security_li_29_a_key_set_has_bounds_and_odd_keys_hide_no_good_one() {
    let read = |set: &str| key_set::read(set.as_bytes(), &Algorithm::ALL).map(|keys| keys.len());
    let many = |count: usize| {
        let keys: Vec<Value> = (0..count).map(|number| ec(&number.to_string())).collect();
        json!({ "keys": keys }).to_string()
    };
    assert_eq!(read(&many(KEYS_MOST)), Ok(50));
    assert_eq!(read(&many(KEYS_MOST + 1)), Err(KeySetFault::TooMany));
    let padded = |bytes: usize| {
        let set = many(1);
        format!("{set}{}", " ".repeat(bytes - set.len()))
    };
    assert_eq!(read(&padded(64 * 1024)), Ok(1));
    assert_eq!(read(&padded(64 * 1024 + 1)), Err(KeySetFault::TooLarge));
    assert_eq!(read(&json!({ "keys": [1, {}, ec("a")] }).to_string()), Ok(1));
    for none in ["{\"keys\":[]}", "{\"keys\":[{}]}"] {
        assert_eq!(read(none), Err(KeySetFault::NoKey), "{none}");
    }
    for odd in ["", "[]", "{}", "{\"keys\":{}}", "<html>"] {
        assert_eq!(read(odd), Err(KeySetFault::NotASet), "{odd}");
    }
}
