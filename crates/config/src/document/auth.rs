//! `auth` of a team's document: who may call a method.
//!
//! Not here: whether what is named exists (`crate::check`), proving it (`tandem-gateway`).

/// Who may call, and what callers may do beside that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    pub who: Who,
    /// Whether a caller who asks by `x-tandem-debug` is told where the time went and which
    /// implementation answered.
    pub debug: bool,
}

/// Who may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// Everybody.
    Public,
    /// Who passes by one of these ways, of which there is one or more (`any`).
    Known(Vec<Way>),
}

/// One way to prove who calls, and what is asked beside that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    Token(TokenRule),
    /// A key of this namespace, issued for all of these scopes.
    ApiKey {
        scopes: Vec<String>,
    },
}

/// `jwt`, with what stands beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRule {
    /// A name under `identity.jwt`.
    pub issuer: String,
    /// All of them.
    pub scopes: Vec<String>,
    /// Each of these claims has one of its values, or a list with one of them.
    pub claims: Vec<(String, Vec<ClaimValue>)>,
    /// One of them; empty: any caller, in groups or not.
    pub groups: Vec<String>,
}

/// A value that a claim may be asked to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimValue {
    Text(String),
    Number(i64),
    Truth(bool),
}
