//! Whatever a caller sends as a token: what is accepted a naive reader of the same text accepts,
//! and no algorithm but the known ones is ever named (security FZ-13).

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use tandem_protocol::token::{Algorithm, Asked, Token};

const NOW: u64 = 1_800_000_000;

/// A token; or two lines, its header and its payload as JSON, for which the parts are made.
pub(crate) fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let made = text.split_once('\n').map(|(header, payload)| {
        [header, payload, "s"].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")
    });
    let text = made.as_deref().unwrap_or(text);
    let asked = Asked { issuer: "i".into(), audience: vec!["a".into()], not_before: true };
    let Ok(token) = Token::parse(text) else { return };
    let mut parts = text.split('.');
    let mut part = || -> Value {
        let bytes = URL_SAFE_NO_PAD.decode(parts.next().expect("three parts")).expect("base64");
        serde_json::from_slice(&bytes).expect("JSON")
    };
    let (header, payload) = (part(), part());
    assert_eq!(header["alg"], token.algorithm.name());
    assert!(Algorithm::ALL.contains(&token.algorithm));
    assert_eq!(header.get("kid").and_then(Value::as_str), token.key_id.as_deref());
    assert!(header.get("crit").is_none() && header.get("jwk").is_none());
    assert_eq!(format!("{}.{}", token.signed, token.signature), text);
    if let Ok(end) = token.claims.judge(&asked, Duration::from_secs(NOW)) {
        assert_eq!(payload["iss"], "i");
        let meant = match &payload["aud"] {
            Value::Array(all) => all.iter().any(|one| one == "a"),
            one => one == "a",
        };
        assert!(meant);
        let exp = payload["exp"].as_u64().expect("a whole number");
        assert!(exp.saturating_add(30) > NOW);
        assert_eq!(end, Duration::from_secs(exp).saturating_add(Duration::from_secs(30)));
        assert!(payload["nbf"].as_u64().expect("a whole number") <= NOW + 30);
    }
}
