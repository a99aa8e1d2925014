//! Signing in from a browser: a cookie that scripts cannot read, and links that work once.
//!
//! A session belongs to a token and is gone with it. Of cookie and link the SHA-256 is kept, in
//! memory only: a restart signs everybody out (security AD-1, AD-3).
//!
//! Not here: who a token belongs to (`crate::people`).

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;
use tandem_config::Tnd;
use tandem_config::audit::Timestamp;
use tandem_config::store::{Digest, Scope};
use tandem_protocol::identity::hex;

use super::call::{Answer, Call, when};
use super::refusal::Refusal;
use crate::people::{People, Visitor};
use crate::stored::now;

/// `__Host-`: no other host, no other path, and over a trustworthy connection only, which browsers
/// take loopback for.
const COOKIE: &str = "__Host-tandem";
const SESSION: Duration = Duration::from_secs(8 * 60 * 60);
const LINK: Duration = Duration::from_secs(30 * 60);
/// Sessions, and links, at once; the oldest goes first.
const MOST: usize = 1_000;

/// Who is signed in.
#[derive(Default)]
pub(crate) struct Sessions {
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    sessions: BTreeMap<Digest, Session>,
    links: BTreeMap<Digest, Session>,
}

#[derive(Clone)]
struct Session {
    /// `None`: the operator's.
    token: Option<String>,
    expires: Timestamp,
}

fn later(time: Timestamp, by: Duration) -> Timestamp {
    Timestamp(time.0.saturating_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX)))
}

fn keep(among: &mut BTreeMap<Digest, Session>, session: Session, now: Timestamp) -> String {
    among.retain(|_, session| now < session.expires);
    while among.len() >= MOST {
        let oldest = among.iter().min_by_key(|(_, session)| session.expires).map(|(key, _)| *key);
        let Some(oldest) = oldest else { break };
        among.remove(&oldest);
    }
    let text = hex(&rand::random::<[u8; 32]>());
    among.insert(Digest::of(text.as_bytes()), session);
    text
}

impl Sessions {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose the cookie of a request is.
    pub(super) fn visitor(&self, people: &People, headers: &HeaderMap) -> Option<Visitor> {
        let (cookie, now) = (cookie_of(headers)?, now());
        let key = Digest::of(cookie.as_bytes());
        let session = self.open().sessions.get(&key).cloned().filter(|one| now < one.expires)?;
        let visitor = people.again(session.token.as_deref(), now)?;
        let expires = visitor.expires.map_or(session.expires, |one| one.min(session.expires));
        Some(Visitor { expires: Some(expires), ..visitor })
    }

    fn begin(&self, token: Option<String>, now: Timestamp) -> String {
        let session = Session { token, expires: later(now, SESSION) };
        keep(&mut self.open().sessions, session, now)
    }

    fn link(&self, token: Option<String>, now: Timestamp) -> (String, Timestamp) {
        let expires = later(now, LINK);
        (keep(&mut self.open().links, Session { token, expires }, now), expires)
    }

    fn take_link(&self, link: &str, now: Timestamp) -> Option<Session> {
        let found = self.open().links.remove(&Digest::of(link.as_bytes()));
        found.filter(|one| now < one.expires)
    }

    fn end(&self, headers: &HeaderMap) {
        if let Some(cookie) = cookie_of(headers) {
            self.open().sessions.remove(&Digest::of(cookie.as_bytes()));
        }
    }
}

/// Whether a request comes with a session's cookie.
pub(super) fn has_cookie(headers: &HeaderMap) -> bool {
    cookie_of(headers).is_some()
}

fn cookie_of(headers: &HeaderMap) -> Option<&str> {
    let each = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    each.flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value)
}

fn with_cookie(value: &str, seconds: u64) -> Answer {
    let cookie =
        format!("{COOKIE}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Strict");
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Answer::Whole(response)
}

pub(super) async fn show(call: Call) -> Result<Answer, Refusal> {
    let visitor = call.visitor.as_ref().ok_or_else(nobody)?;
    let namespaces = call.admin.known_namespaces();
    let roles: BTreeMap<String, &str> = namespaces
        .into_iter()
        .filter_map(|name| {
            let role = call.principal.role_in(&Scope::namespace(&name)?)?;
            Some((name, role.name()))
        })
        .collect();
    let groups: Vec<&str> = visitor.identity.groups.iter().map(|group| group.as_str()).collect();
    Ok(Answer::json(json!({
        "who": visitor.identity.who.as_str(),
        "groups": groups,
        "platform_admin": visitor.identity.platform_admin,
        "roles": roles,
        "expires": visitor.expires.map(when),
    })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignIn {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    link: Option<String>,
}

/// What a failed attempt is told, whichever part of it was wrong.
pub(super) fn nobody() -> Refusal {
    Refusal::coded(
        StatusCode::UNAUTHORIZED,
        Tnd::NoCredential,
        "a token is needed, and this opens nothing",
        "give the token from the file that `tandem run` named, or one by `tandem token create`",
    )
}

pub(super) async fn begin(call: Call) -> Result<Answer, Refusal> {
    let (sessions, now) = (&call.admin.sessions, now());
    let token = match call.read()? {
        SignIn { token: Some(token), link: None } => {
            call.admin.people.who(token.trim(), now).ok_or_else(nobody)?.token
        }
        SignIn { token: None, link: Some(link) } => {
            let session = sessions.take_link(&link, now).ok_or_else(nobody)?;
            call.admin.people.again(session.token.as_deref(), now).ok_or_else(nobody)?.token
        }
        SignIn { .. } => {
            return Err(Refusal::malformed(
                "the body has neither a `token` nor a `link`, or both",
                "send one of them",
            ));
        }
    };
    Ok(with_cookie(&sessions.begin(token, now), SESSION.as_secs()))
}

pub(super) async fn end(call: Call) -> Result<Answer, Refusal> {
    call.admin.sessions.end(&call.headers);
    Ok(with_cookie("", 0))
}

pub(super) async fn link(call: Call) -> Result<Answer, Refusal> {
    let visitor = call.visitor.as_ref().ok_or_else(nobody)?;
    let (link, expires) = call.admin.sessions.link(visitor.token.clone(), now());
    Ok(Answer::json(json!({ "link": link, "expires": when(expires) })))
}
