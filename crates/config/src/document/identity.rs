//! `identity` of the platform's document: whom the process believes about who calls.
//!
//! Teams name what stands here; they do not bring issuers of their own, for whoever may name an
//! issuer may be anybody.
//!
//! Not here: who may call which method (`auth`), the keys themselves (`tandem-gateway`).

use std::collections::BTreeMap;

use rustls_pki_types::CertificateDer;
use tandem_protocol::token::{Algorithm, Asked};

use super::units::Address;

/// `identity`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identities {
    /// `jwt`: issuers of tokens, by the name that teams give.
    pub issuers: BTreeMap<String, Issuer>,
    /// `api_keys`: `None`: no key opens anything.
    pub api_keys: Option<ApiKeyHeader>,
}

/// `identity.jwt.NAME`: who issues tokens, and how they are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    /// `issuer`, `audience`, `not_before`.
    pub asked: Asked,
    pub keys: KeySource,
    /// Those that a key may be used for; one or more.
    pub algorithms: Vec<Algorithm>,
    /// The claim that names the caller.
    pub principal: String,
    /// The claim that names the groups of the caller.
    pub groups: String,
}

/// Where the keys of an issuer are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySource {
    pub at: KeysAt,
    /// Who signs the certificate of the server that is asked. One or more.
    pub roots: Vec<CertificateDer<'static>>,
}

/// `jwks`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeysAt {
    /// `auto`: at the place that the issuer's own description names (OpenID Connect Discovery 1.0,
    /// section 4). This is the address of the description.
    Discovered(HttpsUrl),
    /// A key set.
    Set(HttpsUrl),
}

impl KeysAt {
    /// What is asked first.
    pub fn first(&self) -> &HttpsUrl {
        match self {
            KeysAt::Discovered(url) | KeysAt::Set(url) => url,
        }
    }
}

/// `https://HOST[:PORT]/PATH[?QUERY]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpsUrl {
    pub address: Address,
    /// As it was written, for the header `host`.
    pub authority: String,
    /// With the query; begins with `/`.
    pub path: String,
}

/// `identity.api_keys`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyHeader {
    /// In lower case.
    pub header: String,
}

impl ApiKeyHeader {
    /// Where nobody wrote one.
    pub const DEFAULT: &'static str = "x-api-key";
}
