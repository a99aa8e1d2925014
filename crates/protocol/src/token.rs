//! A signed token of a caller (JWT) taken apart, strictly, and what it says held against what is
//! asked of it.
//!
//! Nothing here knows a key: [`Token::parse`] gives out what was signed and by which algorithm the
//! token says so; whoever holds the keys decides by the key, never by the token (security A-1).
//! Time is an argument.
//!
//! Stricter than the standard where that hides nothing from honest issuers: an object with two
//! members of one name, a header that points to keys of its own or to extensions, times that are no
//! whole numbers, a list of issuers.
//!
//! Sources: RFC 7515 (JWS), 7519 (JWT), 8725 (best practice); security, LI-17, LI-29.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// Bytes of a token (security LI-17).
pub const TOKEN_BYTES_MOST: usize = 8 * 1024;
/// Bytes of the name of a key (security LI-17).
pub const KEY_ID_BYTES_MOST: usize = 256;
/// How far clocks may be apart (security LI-29).
pub const LEEWAY: Duration = Duration::from_secs(30);

/// An algorithm of a signature whose key is no secret. Those with a shared secret are not among
/// them, nor is `none`: they cannot even be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

impl Algorithm {
    pub const ALL: [Algorithm; 9] = [
        Algorithm::Rs256,
        Algorithm::Rs384,
        Algorithm::Rs512,
        Algorithm::Ps256,
        Algorithm::Ps384,
        Algorithm::Ps512,
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::EdDsa,
    ];

    /// As tokens and key sets name it (RFC 7518, section 3.1; RFC 8037).
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Rs256 => "RS256",
            Algorithm::Rs384 => "RS384",
            Algorithm::Rs512 => "RS512",
            Algorithm::Ps256 => "PS256",
            Algorithm::Ps384 => "PS384",
            Algorithm::Ps512 => "PS512",
            Algorithm::Es256 => "ES256",
            Algorithm::Es384 => "ES384",
            Algorithm::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of exactly this name.
    pub fn named(name: &str) -> Option<Algorithm> {
        Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }
}

/// Why a token is not taken; for the log, never for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    #[error("it is longer than {TOKEN_BYTES_MOST} bytes")]
    TooLong,
    #[error("it is not three parts of base64url with points between them")]
    Parts,
    #[error("its {0} is no JSON object, or says something twice")]
    NotJson(&'static str),
    #[error("it names no algorithm that could be accepted")]
    Algorithm,
    #[error("its header says `{0}`, which is never followed")]
    Header(&'static str),
    #[error("it is of another type")]
    Type,
    #[error("the name of its key is no text of 1 to {KEY_ID_BYTES_MOST} bytes")]
    KeyId,
    #[error("it has no `{0}`")]
    Missing(&'static str),
    #[error("its `{0}` is malformed")]
    Malformed(&'static str),
    #[error("it comes from another issuer")]
    Issuer,
    #[error("it is meant for others")]
    Audience,
    #[error("it has expired")]
    Expired,
    #[error("it does not hold yet")]
    NotYet,
}

/// A token whose form is right. Nothing that it says is proven.
#[derive(Debug)]
pub struct Token<'a> {
    pub algorithm: Algorithm,
    /// Which of the issuer's keys; a name to look up and nothing else.
    pub key_id: Option<String>,
    /// What was signed.
    pub signed: &'a str,
    /// In base64url.
    pub signature: &'a str,
    pub claims: Claims,
}

impl<'a> Token<'a> {
    /// Takes a token in compact form apart.
    ///
    /// # Errors
    /// Anything but the form that the module describes.
    pub fn parse(text: &'a str) -> Result<Token<'a>, TokenFault> {
        if text.len() > TOKEN_BYTES_MOST {
            return Err(TokenFault::TooLong);
        }
        let mut parts = text.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TokenFault::Parts);
        };
        if signature.is_empty() {
            return Err(TokenFault::Parts);
        }
        let signed = &text[..header.len() + 1 + payload.len()];
        URL_SAFE_NO_PAD.decode(signature).map_err(|_error| TokenFault::Parts)?;
        let (algorithm, key_id) = read_header(&object(header, "header")?)?;
        let claims = Claims(object(payload, "payload")?);
        Ok(Token { algorithm, key_id, signed, signature, claims })
    }
}

/// The members of an object, in their order.
type Members = Vec<(String, Value)>;

fn object(part: &str, what: &'static str) -> Result<Members, TokenFault> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_error| TokenFault::Parts)?;
    match serde_json::from_slice(&bytes) {
        Ok(Once::Object(members)) => Ok(members),
        Ok(Once::Other(_)) | Err(_) => Err(TokenFault::NotJson(what)),
    }
}

fn member<'m>(members: &'m Members, name: &str) -> Option<&'m Value> {
    members.iter().find(|(known, _)| known == name).map(|(_, value)| value)
}

fn read_header(header: &Members) -> Result<(Algorithm, Option<String>), TokenFault> {
    // Keys that come with the token, extensions that must be understood, another encoding of the
    // payload, a token within the token, a compressed or an encrypted one.
    for name in ["crit", "b64", "jwk", "jku", "x5u", "x5c", "cty", "zip", "enc", "epk"] {
        if member(header, name).is_some() {
            return Err(TokenFault::Header(name));
        }
    }
    let algorithm = member(header, "alg")
        .and_then(Value::as_str)
        .and_then(Algorithm::named)
        .ok_or(TokenFault::Algorithm)?;
    // What is signed for another purpose is no token of access (RFC 8725, section 3.11).
    let typed = match member(header, "typ") {
        None => true,
        Some(Value::String(text)) => {
            let text = text.to_ascii_lowercase();
            matches!(text.strip_prefix("application/").unwrap_or(&text), "jwt" | "at+jwt")
        }
        Some(_) => false,
    };
    if !typed {
        return Err(TokenFault::Type);
    }
    let key_id = match member(header, "kid") {
        None => None,
        Some(Value::String(text)) if (1..=KEY_ID_BYTES_MOST).contains(&text.len()) => {
            Some(text.clone())
        }
        Some(_) => return Err(TokenFault::KeyId),
    };
    Ok((algorithm, key_id))
}

/// What is asked of a token beside its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub issuer: String,
    /// One of them must be among those that the token is meant for.
    pub audience: Vec<String>,
    /// Whether a token without `nbf` is refused.
    pub not_before: bool,
}

/// The claims of a token.
#[derive(Debug, Clone, PartialEq)]
pub struct Claims(Members);

impl Claims {
    /// Holds the claims against what is asked at `now` (since 1970), and says until when the token
    /// holds, leeway included.
    ///
    /// # Errors
    /// What is missing, malformed or not as asked. What is malformed is never taken for absent.
    pub fn judge(&self, asked: &Asked, now: Duration) -> Result<Duration, TokenFault> {
        match self.get("iss") {
            None => return Err(TokenFault::Missing("iss")),
            Some(Value::String(issuer)) if *issuer == asked.issuer => {}
            Some(Value::String(_)) => return Err(TokenFault::Issuer),
            Some(_) => return Err(TokenFault::Malformed("iss")),
        }
        let meant = self.get("aud").ok_or(TokenFault::Missing("aud"))?;
        let meant = texts(meant).ok_or(TokenFault::Malformed("aud"))?;
        if !meant.iter().any(|one| asked.audience.iter().any(|known| known == one)) {
            return Err(TokenFault::Audience);
        }
        let end = self.time("exp")?.ok_or(TokenFault::Missing("exp"))?.saturating_add(LEEWAY);
        if now >= end {
            return Err(TokenFault::Expired);
        }
        match self.time("nbf")? {
            None if asked.not_before => return Err(TokenFault::Missing("nbf")),
            None => {}
            Some(begin) if now.saturating_add(LEEWAY) < begin => return Err(TokenFault::NotYet),
            Some(_) => {}
        }
        Ok(end)
    }

    /// A claim by its name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        member(&self.0, name)
    }

    /// The texts of a claim that is one text or a list of them; none where it is absent or
    /// something else.
    pub fn texts(&self, name: &str) -> Vec<&str> {
        self.get(name).and_then(texts).unwrap_or_default()
    }

    /// What the token was issued for: `scope` (RFC 8693, section 4.2), or `scp`, as some issuers
    /// call it. Malformed ones grant nothing.
    pub fn scopes(&self) -> Vec<&str> {
        let name = if self.get("scope").is_some() { "scope" } else { "scp" };
        let texts = self.texts(name);
        texts.into_iter().flat_map(|text| text.split(' ')).filter(|one| !one.is_empty()).collect()
    }

    /// Seconds since 1970; whole numbers only.
    fn time(&self, name: &'static str) -> Result<Option<Duration>, TokenFault> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.as_u64().map(Duration::from_secs).map(Some).ok_or(TokenFault::Malformed(name))
    }
}

fn texts(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(text) => Some(vec![text]),
        Value::Array(items) => items.iter().map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    }
}

/// JSON in which nothing is said twice, at any depth. The library bounds the depth.
enum Once {
    Object(Members),
    Other(Value),
}

impl Once {
    fn value(self) -> Value {
        match self {
            Once::Object(members) => Value::Object(members.into_iter().collect()),
            Once::Other(value) => value,
        }
    }
}

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Once, D::Error> {
        deserializer.deserialize_any(OnceVisitor)
    }
}

struct OnceVisitor;

impl<'de> Visitor<'de> for OnceVisitor {
    type Value = Once;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Once, E> {
        Ok(Once::Other(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Once, E> {
        Ok(Once::Other(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Once, E> {
        Ok(Once::Other(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Once, E> {
        Ok(Once::Other(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Once, E> {
        Ok(Once::Other(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Once, E> {
        Ok(Once::Other(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Once, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Once>()? {
            list.push(item.value());
        }
        Ok(Once::Other(Value::Array(list)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Once, A::Error> {
        let mut members: Members = Vec::new();
        // A token has at most 8 KiB, so a list is looked through often enough.
        while let Some((name, value)) = entries.next_entry::<String, Once>()? {
            if members.iter().any(|(known, _)| *known == name) {
                return Err(de::Error::custom("a member stands twice"));
            }
            members.push((name, value.value()));
        }
        Ok(Once::Object(members))
    }
}
