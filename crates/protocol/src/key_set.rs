//! The public keys of an issuer of tokens, as it publishes them (JWKS).
//!
//! A key that cannot be used, for whatever reason, is left out: an issuer may have keys for other
//! purposes and of kinds that nobody here knows. Shared secrets are never keys.
//!
//! Sources: RFC 7517 (JWK), 7518 section 6, 8037 section 2; security, LI-29.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::token::{Algorithm, KEY_ID_BYTES_MOST};

/// Bytes of a key set (security LI-29).
pub const KEY_SET_BYTES_MOST: usize = 64 * 1024;
/// Keys of one set (security LI-29).
pub const KEYS_MOST: usize = 50;

/// A key, with the only algorithms that it verifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    pub id: Option<String>,
    pub algorithms: Vec<Algorithm>,
    pub material: Material,
}

/// The numbers of a key, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// An uncompressed point (SEC 1, section 2.3.3).
    Curve(Vec<u8>),
    Ed25519([u8; 32]),
}

/// Why a set is of no use; in words for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeySetFault {
    #[error("the key set is larger than {KEY_SET_BYTES_MOST} bytes")]
    TooLarge,
    #[error("the key set is no JSON object with a list `keys`")]
    NotASet,
    #[error("the key set has more than {KEYS_MOST} keys")]
    TooMany,
    #[error("the key set has no key that can be used")]
    NoKey,
}

/// The keys of a set that can be used, for signatures by one of `allowed`.
///
/// # Errors
/// It is no set, too large, or nothing in it is of use.
pub fn read(text: &[u8], allowed: &[Algorithm]) -> Result<Vec<PublicKey>, KeySetFault> {
    if text.len() > KEY_SET_BYTES_MOST {
        return Err(KeySetFault::TooLarge);
    }
    let set: Value = serde_json::from_slice(text).map_err(|_error| KeySetFault::NotASet)?;
    let keys = set.get("keys").and_then(Value::as_array).ok_or(KeySetFault::NotASet)?;
    if keys.len() > KEYS_MOST {
        return Err(KeySetFault::TooMany);
    }
    let usable: Vec<PublicKey> = keys.iter().filter_map(|key| one(key, allowed)).collect();
    match usable.is_empty() {
        true => Err(KeySetFault::NoKey),
        false => Ok(usable),
    }
}

fn one(key: &Value, allowed: &[Algorithm]) -> Option<PublicKey> {
    let text = |name: &str| key.get(name).map(|value| value.as_str());
    let number = |name: &str| URL_SAFE_NO_PAD.decode(text(name)??).ok();
    // RFC 7517, sections 4.2 and 4.3: absent means any use.
    if text("use").is_some_and(|purpose| purpose != Some("sig")) {
        return None;
    }
    if let Some(operations) = key.get("key_ops")
        && !operations.as_array()?.iter().any(|operation| operation == "verify")
    {
        return None;
    }
    let id = match text("kid") {
        None => None,
        Some(id) => Some(id?.to_owned())
            .filter(|id| (1..=KEY_ID_BYTES_MOST).contains(&id.len()))
            .map(Some)?,
    };
    use Algorithm as A;
    let (material, fitting): (Material, &[Algorithm]) = match (text("kty")??, text("crv")) {
        ("RSA", _) => {
            let (n, e) = (number("n")?, number("e")?);
            // Below 2,048 bits the library refuses; so a set does not promise what fails later.
            let bits =
                n.iter().position(|byte| *byte != 0).map_or(0, |zeros| 8 * (n.len() - zeros));
            if !(2048..=8192).contains(&bits) || e.len() > 8 {
                return None;
            }
            let fitting = &[A::Rs256, A::Rs384, A::Rs512, A::Ps256, A::Ps384, A::Ps512];
            (Material::Rsa { n, e }, fitting)
        }
        ("EC", Some(Some("P-256"))) => {
            (Material::Curve(point(&number("x")?, &number("y")?, 32)?), &[A::Es256])
        }
        ("EC", Some(Some("P-384"))) => {
            (Material::Curve(point(&number("x")?, &number("y")?, 48)?), &[A::Es384])
        }
        ("OKP", Some(Some("Ed25519"))) => {
            (Material::Ed25519(number("x")?.try_into().ok()?), &[A::EdDsa])
        }
        _ => return None,
    };
    // A key that says its algorithm is for that one alone.
    let said = match text("alg") {
        None => None,
        Some(name) => Some(Algorithm::named(name?)?),
    };
    let algorithms: Vec<Algorithm> = fitting
        .iter()
        .copied()
        .filter(|one| allowed.contains(one) && said.is_none_or(|said| said == *one))
        .collect();
    (!algorithms.is_empty()).then_some(PublicKey { id, algorithms, material })
}

fn point(x: &[u8], y: &[u8], bytes: usize) -> Option<Vec<u8>> {
    if x.len() != bytes || y.len() != bytes {
        return None;
    }
    Some([&[4], x, y].concat())
}
