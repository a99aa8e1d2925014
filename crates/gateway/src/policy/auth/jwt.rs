//! Tokens of an issuer, checked by its keys.
//!
//! The keys are asked for on the side (`keys`) and read here; no call waits for them. Which
//! algorithms a key verifies is the key's to say and the platform's, never the token's (security
//! Signatures are checked by a library on aws-lc; what a token says is held against what is
//! asked in `protocol::token`, because the library rounds times and takes lists of issuers.
//!
//! Not here: who may call what (`auth`), tokens seen before (`tokens`).

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use tandem_config::document;
use tandem_protocol::key_set::{Material, PublicKey};
use tandem_protocol::metadata::PRINCIPAL_BYTES_MOST;
use tandem_protocol::token::{Algorithm, Claims, Token, TokenFault};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::tokens::{Tokens, digest};

/// How long keys are used that cannot be read again (security LI-29).
pub(super) const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// An issuer of tokens, as the platform describes it, with its keys as they were last read.
pub(crate) struct Issuer {
    pub(crate) name: Arc<str>,
    pub(super) document: document::Issuer,
    pub(super) keys: ArcSwapOption<KeySet>,
    /// Somebody showed a token of a key that is not known.
    wanted: AtomicBool,
    pub(super) wake: Notify,
}

/// The keys of an issuer.
pub(super) struct KeySet {
    /// Another number for other keys: what was verified by older ones is verified anew.
    pub(super) generation: u64,
    pub(super) read: Instant,
    pub(super) public: Vec<PublicKey>,
    keys: Vec<Key>,
}

struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

/// What is kept of a token that was accepted.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(super) principal: Arc<str>,
    pub(super) scopes: Vec<Box<str>>,
    pub(super) groups: Vec<Box<str>>,
    pub(super) claims: Claims,
    /// Since 1970, leeway included.
    end: Duration,
    generation: u64,
}

/// Why a token is not accepted; for the log.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unverified {
    #[error(transparent)]
    Fault(#[from] TokenFault),
    #[error("its issuer has no such key")]
    UnknownKey,
    #[error("its signature is wrong")]
    Signature,
    #[error("its claim `{0}` names no principal")]
    NoPrincipal(String),
    /// Nothing is known about the token.
    #[error("the keys of its issuer cannot be read")]
    NoKeys,
}

/// What became of a token; counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenCheck {
    /// It was known.
    Known,
    Verified,
    Refused,
}

impl TokenCheck {
    pub(crate) const ALL: [TokenCheck; 3] =
        [TokenCheck::Known, TokenCheck::Verified, TokenCheck::Refused];

    /// As metrics name it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            TokenCheck::Known => "known",
            TokenCheck::Verified => "verified",
            TokenCheck::Refused => "refused",
        }
    }
}

impl Issuer {
    pub(super) fn new(name: &str, document: document::Issuer) -> Issuer {
        let (keys, wanted, wake) = Default::default();
        Issuer { name: name.into(), document, keys, wanted, wake }
    }

    /// Who shows this token, from what is known or by its signature. `wall` is the time since
    /// 1970, `now` that of timers.
    pub(super) fn verified(
        &self,
        token: &str,
        known: &mut Tokens,
        wall: Duration,
        now: Instant,
    ) -> (Result<Rc<Verified>, Unverified>, TokenCheck) {
        let digest = digest(&self.name, token);
        let keys = self.keys.load();
        let keys = keys.as_ref().filter(|keys| now.saturating_duration_since(keys.read) < STALE);
        let Some(keys) = keys else {
            return (Err(Unverified::NoKeys), TokenCheck::Refused);
        };
        if let Some(verified) = known.get(&digest) {
            if verified.generation == keys.generation && wall < verified.end {
                return (Ok(verified), TokenCheck::Known);
            }
            known.forget(&digest);
        }
        match self.verify(token, keys, wall) {
            Ok(verified) => {
                let verified = Rc::new(verified);
                known.put(digest, Rc::clone(&verified), token.len());
                (Ok(verified), TokenCheck::Verified)
            }
            Err(why) => (Err(why), TokenCheck::Refused),
        }
    }

    fn verify(&self, text: &str, keys: &KeySet, wall: Duration) -> Result<Verified, Unverified> {
        let Token { algorithm, key_id, signed, signature, claims } = Token::parse(text)?;
        // What costs little comes first; the caller is told the same whatever is wrong.
        let end = claims.judge(&self.document.asked, wall)?;
        let Some(key) = keys.find(key_id.as_deref(), algorithm) else {
            self.want_keys();
            return Err(Unverified::UnknownKey);
        };
        let algorithm = library_algorithm(algorithm);
        let right = jsonwebtoken::crypto::verify(signature, signed.as_bytes(), &key.key, algorithm);
        if !right.unwrap_or(false) {
            return Err(Unverified::Signature);
        }
        let document::Issuer { principal, groups, .. } = &self.document;
        let named = claims.get(principal).and_then(|claim| claim.as_str()).filter(|name| {
            // With its front it must still fit where principals stand.
            (1..=PRINCIPAL_BYTES_MOST / 2).contains(&name.len()) && !name.contains(char::is_control)
        });
        let named = named.ok_or_else(|| Unverified::NoPrincipal(principal.clone()))?;
        let boxed = |texts: Vec<&str>| texts.into_iter().map(Box::from).collect();
        Ok(Verified {
            // Two issuers may call two people by one name, and a key may be called like a person.
            principal: format!("jwt:{}:{named}", self.name).into(),
            scopes: boxed(claims.scopes()),
            groups: boxed(claims.texts(groups)),
            claims,
            end,
            generation: keys.generation,
        })
    }

    /// Asks for the keys to be read again, soon; how soon is not the caller's to say.
    fn want_keys(&self) {
        if !self.wanted.swap(true, Ordering::Relaxed) {
            self.wake.notify_one();
        }
    }

    /// The keys are being read: who misses one from now on asks again.
    pub(super) fn being_read(&self) {
        self.wanted.store(false, Ordering::Relaxed);
    }
}

impl KeySet {
    /// Keys as they were read at `now`; `before` are those that they take the place of.
    pub(super) fn new(public: Vec<PublicKey>, now: Instant, before: Option<&KeySet>) -> KeySet {
        let generation = match before {
            Some(before) if before.public == public => before.generation,
            Some(before) => before.generation + 1,
            None => 0,
        };
        let keys = public.iter().filter_map(|key| {
            let PublicKey { id, algorithms, material } = key;
            let base64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
            let key = match material {
                Material::Rsa { n, e } => DecodingKey::from_rsa_raw_components(n, e),
                // A point without its first byte is two numbers of one length.
                Material::Curve(point) => {
                    let (x, y) = point.get(1..)?.split_at((point.len() - 1) / 2);
                    DecodingKey::from_ec_components(&base64(x), &base64(y)).ok()?
                }
                Material::Ed25519(x) => DecodingKey::from_ed_components(&base64(x)).ok()?,
            };
            Some(Key { id: id.clone(), algorithms: algorithms.clone(), key })
        });
        let keys = keys.collect();
        KeySet { generation, read: now, keys, public }
    }

    /// The key of this name, if it verifies this algorithm. A token that names no key is checked
    /// by the only one that could, if there is only one.
    fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&Key> {
        let mut fitting = self.keys.iter().filter(|key| key.algorithms.contains(&algorithm));
        match id {
            Some(id) => fitting.find(|key| key.id.as_deref() == Some(id)),
            None => fitting.next().filter(|_| fitting.next().is_none()),
        }
    }

    /// How many keys there are.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }
}

fn library_algorithm(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    use jsonwebtoken::Algorithm as Library;
    match algorithm {
        Algorithm::Rs256 => Library::RS256,
        Algorithm::Rs384 => Library::RS384,
        Algorithm::Rs512 => Library::RS512,
        Algorithm::Ps256 => Library::PS256,
        Algorithm::Ps384 => Library::PS384,
        Algorithm::Ps512 => Library::PS512,
        Algorithm::Es256 => Library::ES256,
        Algorithm::Es384 => Library::ES384,
        Algorithm::EdDsa => Library::EdDSA,
    }
}

#[cfg(test)]
impl Verified {
    pub(super) fn of_test() -> Verified {
        let token = Token::parse("eyJhbGciOiJFUzI1NiJ9.e30.AA").expect("a token");
        Verified {
            principal: "jwt:a:b".into(),
            scopes: Vec::new(),
            groups: Vec::new(),
            claims: token.claims,
            end: Duration::MAX,
            generation: 0,
        }
    }
}
