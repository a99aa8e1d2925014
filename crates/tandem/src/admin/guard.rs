//! Who may ask the admin listener (security AD-1 to AD-3, LI-31).
//!
//! Not here: whom a token belongs to (`crate::people`), what he may (`table`).

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tandem_config::access::{Identity, Who};

use super::Admin;
use super::failures::Failures;
use super::refusal::Refusal;
use super::session;
use crate::people::Visitor;
use crate::stored::now;

/// What a page sends beside its cookie with everything that changes something: a form of another
/// site cannot.
const CSRF: &str = "x-tandem-csrf";

/// What is asked of every request.
pub(crate) struct Guard {
    /// `127.0.0.1:9080`, `localhost:9080`: the names that this listener is called by.
    hosts: Vec<String>,
    failures: Failures,
}

/// Somebody without a credential, who has no right at all.
pub(super) fn nobody() -> Identity {
    let who = Who::parse("user:nobody").expect("a user with a name");
    Identity { who, groups: BTreeSet::new(), platform_admin: false }
}

impl Guard {
    /// A guard for the listener at `address`.
    pub(crate) fn new(address: SocketAddr) -> Guard {
        let port = address.port();
        let hosts =
            vec![address.to_string(), format!("localhost:{port}"), format!("127.0.0.1:{port}")];
        Guard { hosts, failures: Failures::default() }
    }

    fn host_is_ours(&self, headers: &HeaderMap) -> bool {
        let mut hosts = headers.get_all(header::HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
        let host = host.to_str().unwrap_or("").to_ascii_lowercase();
        self.hosts.contains(&host)
    }

    /// A page of another origin is refused even where it only reads. What may come from elsewhere
    /// is a person who follows a link to the page, which holds nothing by itself.
    fn origin_is_ours(&self, request: &Request) -> bool {
        let headers = request.headers();
        let link = request.method() == Method::GET
            && !request.uri().path().starts_with("/api/")
            && headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate");
        let origin = match headers.get(header::ORIGIN) {
            None => true,
            Some(origin) => {
                let origin = origin.to_str().unwrap_or("").to_ascii_lowercase();
                self.hosts.iter().any(|host| origin == format!("http://{host}"))
            }
        };
        let site = match headers.get("sec-fetch-site") {
            None => true,
            Some(site) => matches!(site.as_bytes(), b"same-origin" | b"none") || link,
        };
        origin && site
    }

    /// Somebody at `source` came with what opens nothing.
    pub(super) fn count_failure(&self, source: IpAddr) {
        self.failures.count(source);
    }

    /// Who asks, by a token or by the cookie of a session.
    ///
    /// # Errors
    /// 401 for nobody, 429 after too many attempts, 403 for a cookie without its header.
    pub(super) fn visitor(
        &self,
        admin: &Admin,
        source: SocketAddr,
        headers: &HeaderMap,
        method: &Method,
    ) -> Result<Visitor, Refusal> {
        if self.failures.are_too_many(source.ip()) {
            return Err(Refusal::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too many failed attempts",
                "wait a minute",
            ));
        }
        let visitor = match headers.get(header::AUTHORIZATION) {
            Some(value) => value
                .to_str()
                .ok()
                .and_then(|value| value.strip_prefix("Bearer "))
                .and_then(|token| admin.people.who(token.trim(), now())),
            None => {
                let visitor = admin.sessions.visitor(&admin.people, headers);
                let safe = method.is_safe();
                if visitor.is_some() && !safe && !headers.contains_key(CSRF) {
                    return Err(Refusal::new(
                        StatusCode::FORBIDDEN,
                        format!("a session changes things only with the header `{CSRF}`"),
                        format!("send `{CSRF}: 1`"),
                    ));
                }
                visitor
            }
        };
        visitor.ok_or_else(|| {
            // Somebody who brings nothing at all tries nothing.
            if headers.contains_key(header::AUTHORIZATION) || session::has_cookie(headers) {
                self.count_failure(source.ip());
            }
            session::nobody()
        })
    }

    /// Whether `source` may try to sign in.
    pub(super) fn may_try(&self, source: SocketAddr) -> bool {
        !self.failures.are_too_many(source.ip())
    }
}

fn refuse(status: StatusCode, text: &'static str) -> Response {
    (status, [(header::X_CONTENT_TYPE_OPTIONS, "nosniff")], text).into_response()
}

/// Host and origin of every request, before anything else; what browsers must know of every
/// answer.
pub(crate) async fn judge(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Response {
    if !guard.host_is_ours(request.headers()) {
        return refuse(StatusCode::MISDIRECTED_REQUEST, "this host is not served here\n");
    }
    if !guard.origin_is_ours(&request) {
        return refuse(StatusCode::FORBIDDEN, "pages of other origins may not ask here\n");
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let put = |headers: &mut HeaderMap, name, value| {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    };
    put(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    put(headers, header::CACHE_CONTROL, "no-store");
    put(headers, header::REFERRER_POLICY, "no-referrer");
    response
}
