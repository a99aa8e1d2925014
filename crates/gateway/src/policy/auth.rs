//! Who calls, and whether he may.
//!
//! A policy is one or more ways to prove it; whoever passes by one of them is let in. What a caller
//! reads is one of three sentences (a credential is needed, it is not accepted, you may not), with
//! the name of a missing scope and nothing else of the policy; what exactly was wrong is in the log.
//!
//! Rooms: `jwt` (tokens of issuers), `keys` (their keys, read on the side), `tokens` (those seen
//! before), `api_key`.
//!
//! Not here: certificates of callers, for listeners speak no TLS.

pub(crate) mod api_key;
mod jwt;
pub(crate) mod keys;
mod tokens;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use http::{HeaderMap, HeaderName, header};
use serde_json::Value;
use tandem_config::document::{ClaimValue, Identities, Rate, TokenRule, Way, Who};
use tandem_protocol::refusal::{Instead, Limit, Reason, Refusal};
use tandem_protocol::token::TokenFault;
use tokio::time::Instant;

pub use self::api_key::{ApiKey, ApiKeys};
pub(crate) use self::jwt::TokenCheck;
use self::jwt::{Issuer, Unverified, Verified};
pub use self::keys::KeyTiming;
pub(crate) use self::tokens::Tokens;
use super::limit::{Caller, Registry, Rule};
use crate::net::Names;
use crate::tasks::Side;
use crate::thread::Drain;

/// Whom the process believes; the same for all data threads.
pub(crate) struct Identity {
    issuers: BTreeMap<String, Arc<Issuer>>,
    /// Where callers send keys, and its twin with `_` for `-`, which opens nothing; `None`: no key
    /// opens anything.
    key_header: Option<[HeaderName; 2]>,
    keys: ArcSwap<ApiKeys>,
    /// Keys that were none, by source (security A-6).
    failures: Arc<Rule>,
}

/// Wrong keys that one source may show together, and how many of them come back in a second.
const FAILURES: Rate = Rate { per_second: 1, burst: 60 };

/// What is known of an issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerStatus {
    pub name: String,
    /// Keys that tokens are checked by; 0: nobody is let in.
    pub keys: usize,
    /// Since they were read.
    pub age: Option<Duration>,
}

impl Identity {
    /// As the platform's document says.
    pub(crate) fn new(document: &Identities, keys: ApiKeys, limits: &Registry) -> Identity {
        let Identities { issuers, api_keys } = document;
        Identity {
            issuers: issuers
                .iter()
                .map(|(name, issuer)| (name.clone(), Arc::new(Issuer::new(name, issuer.clone()))))
                .collect(),
            key_header: api_keys
                .as_ref()
                .map(|keys| [keys.header.clone(), keys.header.replace('-', "_")])
                .map(|names| names.map(|name| HeaderName::try_from(name).expect("it was read"))),
            keys: ArcSwap::from_pointee(keys),
            failures: limits.own("key_failures", FAILURES, Limit::KeyFailures),
        }
    }

    /// Reads the keys of issuers until the drain begins.
    pub(crate) fn keep_reading(
        &self,
        side: &Side,
        names: &Names,
        timing: &KeyTiming,
        drain: &Drain,
    ) {
        for issuer in self.issuers.values() {
            let reading = keys::keep_reading(Arc::clone(issuer), names.clone(), timing.clone());
            let mut drain = drain.clone();
            side.start(async move {
                tokio::select! {
                    () = reading => {}
                    () = drain.begun() => {}
                }
            });
        }
    }

    pub(crate) fn set_api_keys(&self, keys: ApiKeys) {
        self.keys.store(Arc::new(keys));
    }

    /// The headers that a key could come by: the gateway's own, which no upstream sees.
    pub(crate) fn key_headers(&self) -> &[HeaderName] {
        self.key_header.as_ref().map_or(&[], |names| names)
    }

    pub(crate) fn issuers(&self) -> Vec<IssuerStatus> {
        let status = |issuer: &Arc<Issuer>| {
            let keys = issuer.keys.load();
            IssuerStatus {
                name: issuer.name.to_string(),
                keys: keys.as_ref().map_or(0, |keys| keys.len()),
                age: keys.as_ref().map(|keys| keys.read.elapsed()),
            }
        };
        self.issuers.values().map(status).collect()
    }
}

/// Who may call a method.
pub(crate) enum Policy {
    /// Nobody (security PO-1).
    Closed,
    Public,
    Known(Known),
}

/// Who is known.
pub(crate) struct Known {
    ways: Vec<KnownWay>,
    /// What a caller without a credential is told, and one whose credential is wrong.
    missing: Box<str>,
    wrong: Box<str>,
}

enum KnownWay {
    /// `None` where the process has not been told of the issuer: nobody passes.
    Token(Option<Arc<Issuer>>, TokenRule),
    ApiKey {
        scopes: Vec<String>,
    },
}

impl Policy {
    /// As a team's document says.
    pub(crate) fn new(who: Option<&Who>, identity: &Identity) -> Policy {
        let ways = match who {
            None => return Policy::Closed,
            Some(Who::Public) => return Policy::Public,
            Some(Who::Known(ways)) => ways,
        };
        let (mut tokens, mut keys) = (false, false);
        let ways = ways.iter().map(|way| match way {
            Way::Token(rule) => {
                tokens = true;
                KnownWay::Token(identity.issuers.get(&rule.issuer).cloned(), rule.clone())
            }
            Way::ApiKey { scopes } => {
                keys = true;
                KnownWay::ApiKey { scopes: scopes.clone() }
            }
        });
        let ways = ways.collect();
        // RFC 6750, section 3; keys have no scheme that anybody registered.
        let challenge = |bearer: &str| {
            let named = [(tokens, bearer), (keys, "ApiKey")];
            let named: Vec<&str> =
                named.iter().filter(|(is, _)| *is).map(|(_, word)| *word).collect();
            named.join(", ").into_boxed_str()
        };
        let (missing, wrong) = (challenge("Bearer"), challenge("Bearer error=\"invalid_token\""));
        Policy::Known(Known { ways, missing, wrong })
    }
}

/// What a call brings to be judged by.
pub(crate) struct Credentials<'a> {
    pub(crate) headers: &'a HeaderMap,
    pub(crate) peer: IpAddr,
    pub(crate) namespace: &'a str,
    pub(crate) now: Instant,
    /// `now` as limits count it.
    pub(crate) limit_now: u64,
}

/// A header that proves something.
#[derive(Clone, Copy)]
enum Sent<'a> {
    Nothing,
    /// Twice, or nothing that could be read.
    Odd,
    Text(&'a str),
}

/// How a way ended that did not let the caller in; later ones say more.
#[derive(PartialEq, PartialOrd)]
enum Failed {
    Missing,
    Wrong,
    NotKnowable,
    NotAllowed,
}

impl Known {
    /// Who calls.
    ///
    /// # Errors
    /// 401, 403; 503 where a key set is not there; 429 for a source that shows wrong keys.
    pub(crate) fn judge(
        &self,
        identity: &Identity,
        credentials: &Credentials<'_>,
        seen: &RefCell<Tokens>,
        mut checked: impl FnMut(TokenCheck),
    ) -> Result<Arc<str>, Refusal> {
        let token = bearer(credentials.headers);
        let key = identity
            .key_header
            .as_ref()
            .map_or(Sent::Nothing, |[name, _]| only(credentials.headers, name));
        let mut worst: (Failed, Option<Refusal>) = (Failed::Missing, None);
        let mut keep = |failed: Failed, refusal: Refusal| {
            if worst.1.is_none() || failed > worst.0 {
                worst = (failed, Some(refusal));
            }
        };
        let wrong = |log: String| Refusal {
            instead: Instead::Credential(self.wrong.clone()),
            ..Refusal::new(Reason::NoCredential, "the credential is not accepted").logged(log)
        };
        for way in &self.ways {
            match (way, token, key) {
                (KnownWay::Token(..), Sent::Nothing, _)
                | (KnownWay::ApiKey { .. }, _, Sent::Nothing) => {}
                (KnownWay::Token(..), Sent::Odd, _) | (KnownWay::ApiKey { .. }, _, Sent::Odd) => {
                    keep(
                        Failed::Wrong,
                        wrong("a credential that stands twice or cannot be read".into()),
                    );
                }
                (KnownWay::Token(None, rule), ..) => {
                    keep(
                        Failed::Wrong,
                        wrong(format!("no issuer `{}` was there at the start", rule.issuer)),
                    );
                }
                (KnownWay::Token(Some(issuer), rule), Sent::Text(token), _) => {
                    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
                    let (verified, check) = issuer.verified(
                        token,
                        &mut seen.borrow_mut(),
                        wall.unwrap_or_default(),
                        credentials.now,
                    );
                    checked(check);
                    match verified {
                        Ok(verified) => match allowed(&verified, rule) {
                            Ok(()) => return Ok(Arc::clone(&verified.principal)),
                            Err(refusal) => keep(Failed::NotAllowed, refusal),
                        },
                        Err(Unverified::NoKeys) => {
                            let log = format!("the keys of `{}` are not there", issuer.name);
                            let refusal = Refusal {
                                retry_after: Some(Duration::from_secs(1)),
                                ..Refusal::new(
                                    Reason::Unavailable,
                                    "credentials cannot be checked now",
                                )
                            };
                            keep(Failed::NotKnowable, refusal.logged(log));
                        }
                        Err(why) => {
                            let too_long = matches!(why, Unverified::Fault(TokenFault::TooLong));
                            let mut refusal =
                                wrong(format!("a token for `{}`: {why}", issuer.name));
                            refusal.limit = too_long.then_some(Limit::Token);
                            keep(Failed::Wrong, refusal);
                        }
                    }
                }
                (KnownWay::ApiKey { scopes }, _, Sent::Text(key)) => {
                    let (peer, headers) = (credentials.peer, credentials.headers);
                    let caller = Caller { peer, principal: None, headers };
                    if let Err(refused) =
                        identity.failures.would_pass(caller, credentials.limit_now)
                    {
                        return Err(identity.failures.refusal(&refused));
                    }
                    let keys = identity.keys.load();
                    match keys.shown(key, credentials.namespace, SystemTime::now()) {
                        Some(shown) => match missing(scopes, |scope| {
                            shown.scopes.iter().any(|one| one == scope)
                        }) {
                            None => return Ok(shown.principal),
                            Some(scope) => {
                                keep(Failed::NotAllowed, without_scope(scope, scopes, false))
                            }
                        },
                        None => {
                            identity.failures.note(caller, credentials.limit_now);
                            keep(Failed::Wrong, wrong("a key that opens nothing here".into()));
                        }
                    }
                }
            }
        }
        Err(worst.1.unwrap_or_else(|| Refusal {
            instead: Instead::Credential(self.missing.clone()),
            ..Refusal::new(Reason::NoCredential, "a credential is needed")
        }))
    }
}

/// The token of `authorization: Bearer`. Another scheme is no token: it may be the service's own.
fn bearer(headers: &HeaderMap) -> Sent<'_> {
    match only(headers, &header::AUTHORIZATION) {
        Sent::Text(text) => match text.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Sent::Text(token),
            _ if text.eq_ignore_ascii_case("bearer") => Sent::Odd,
            _ => Sent::Nothing,
        },
        sent => sent,
    }
}

/// What the only header of this name says; it does not stand under another spelling either.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Sent<'a> {
    let mut values = headers.get_all(name).iter();
    match (values.next().map(|value| value.to_str()), values.next()) {
        (None, _) => Sent::Nothing,
        (Some(Ok(text)), None) => Sent::Text(text),
        (Some(_), _) => Sent::Odd,
    }
}

/// Whether a caller who proved himself may call.
fn allowed(verified: &Verified, rule: &TokenRule) -> Result<(), Refusal> {
    let TokenRule { issuer: _, scopes, claims, groups } = rule;
    if let Some(scope) = missing(scopes, |scope| verified.scopes.iter().any(|one| **one == *scope))
    {
        return Err(without_scope(scope, scopes, true));
    }
    let not = |log: String| {
        Refusal::new(Reason::NotAllowed, "the caller may not call this method").logged(log)
    };
    let in_group = |group: &String| verified.groups.iter().any(|one| **one == **group);
    if !groups.is_empty() && !groups.iter().any(in_group) {
        return Err(not(format!("{} is in none of the groups", verified.principal)));
    }
    for (name, values) in claims {
        let is = |value: &Value| values.iter().any(|wanted| says(value, wanted));
        let good = match verified.claims.get(name) {
            Some(Value::Array(items)) => items.iter().any(is),
            Some(value) => is(value),
            None => false,
        };
        if !good {
            return Err(not(format!("{} has another claim `{name}`", verified.principal)));
        }
    }
    Ok(())
}

fn says(value: &Value, wanted: &ClaimValue) -> bool {
    match wanted {
        ClaimValue::Text(text) => value.as_str() == Some(text),
        ClaimValue::Number(number) => value.as_i64() == Some(*number),
        ClaimValue::Truth(truth) => value.as_bool() == Some(*truth),
    }
}

fn missing(wanted: &[String], has: impl Fn(&str) -> bool) -> Option<&str> {
    wanted.iter().map(String::as_str).find(|scope| !has(scope))
}

/// 403 with the first scope that is missing (RFC 6750, section 3.1: with all that are needed).
fn without_scope(missing: &str, all: &[String], token: bool) -> Refusal {
    let message = format!("the credential lacks the scope {missing}");
    let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{}\"", all.join(" "));
    Refusal {
        instead: if token { Instead::Credential(challenge.into()) } else { Instead::Nothing },
        ..Refusal::new(Reason::NotAllowed, message)
    }
}
