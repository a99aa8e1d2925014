//! Who may ask the admin listener (security AD-1 to AD-3, LI-31).

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::token::Expected;

/// Failed log-ins of one source in one minute (LI-31).
const FAILURES_MOST: u32 = 10;
const FAILURES_WINDOW: Duration = Duration::from_secs(60);
/// Sources that are remembered; the count is of loopback addresses, so few are ever needed.
const SOURCES_MOST: usize = 1024;

/// What is asked of every request.
pub(crate) struct Guard {
    token: Expected,
    /// `127.0.0.1:9080`, `localhost:9080`: the names that this listener is called by.
    hosts: Vec<String>,
    failures: Mutex<HashMap<IpAddr, (Instant, u32)>>,
}

impl Guard {
    /// A guard for the listener at `address`.
    pub(crate) fn new(token: Expected, address: SocketAddr) -> Guard {
        let port = address.port();
        let hosts =
            vec![address.to_string(), format!("localhost:{port}"), format!("127.0.0.1:{port}")];
        Guard { token, hosts, failures: Mutex::default() }
    }

    fn host_is_ours(&self, headers: &HeaderMap) -> bool {
        let mut hosts = headers.get_all(header::HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
        let host = host.to_str().unwrap_or("").to_ascii_lowercase();
        self.hosts.contains(&host)
    }

    /// A page of another origin is refused even where it only reads.
    fn origin_is_ours(&self, headers: &HeaderMap) -> bool {
        let origin = match headers.get(header::ORIGIN) {
            None => true,
            Some(origin) => {
                let origin = origin.to_str().unwrap_or("").to_ascii_lowercase();
                self.hosts.iter().any(|host| origin == format!("http://{host}"))
            }
        };
        let site = match headers.get("sec-fetch-site") {
            None => true,
            Some(site) => matches!(site.as_bytes(), b"same-origin" | b"none"),
        };
        origin && site
    }

    fn too_many_failures(&self, source: IpAddr, now: Instant) -> bool {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.get(&source).is_some_and(|(since, count)| {
            now.duration_since(*since) < FAILURES_WINDOW && *count >= FAILURES_MOST
        })
    }

    fn count_failure(&self, source: IpAddr, now: Instant) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= SOURCES_MOST {
            failures.retain(|_, (since, _)| now.duration_since(*since) < FAILURES_WINDOW);
        }
        let entry = failures.entry(source).or_insert((now, 0));
        if now.duration_since(entry.0) >= FAILURES_WINDOW {
            *entry = (now, 0);
        }
        entry.1 += 1;
    }

    fn token_is_right(&self, headers: &HeaderMap) -> bool {
        headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .is_some_and(|token| self.token.is(token.trim()))
    }
}

fn refuse(status: StatusCode, text: &'static str) -> Response {
    (status, [(header::X_CONTENT_TYPE_OPTIONS, "nosniff")], text).into_response()
}

/// Host and origin only: for a listener without a token.
pub(crate) async fn judge_host(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Response {
    if !guard.host_is_ours(request.headers()) {
        return refuse(StatusCode::MISDIRECTED_REQUEST, "this host is not served here\n");
    }
    if !guard.origin_is_ours(request.headers()) {
        return refuse(StatusCode::FORBIDDEN, "pages of other origins may not ask here\n");
    }
    next.run(request).await
}

/// Host, origin, then the token.
pub(crate) async fn judge(
    State(guard): State<Arc<Guard>>,
    ConnectInfo(source): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    if !guard.host_is_ours(request.headers()) {
        return refuse(StatusCode::MISDIRECTED_REQUEST, "this host is not served here\n");
    }
    if !guard.origin_is_ours(request.headers()) {
        return refuse(StatusCode::FORBIDDEN, "pages of other origins may not ask here\n");
    }
    let open = matches!(request.uri().path(), "/healthz" | "/readyz");
    if !open {
        let now = Instant::now();
        if guard.too_many_failures(source.ip(), now) {
            return refuse(StatusCode::TOO_MANY_REQUESTS, "too many failed attempts\n");
        }
        if !guard.token_is_right(request.headers()) {
            guard.count_failure(source.ip(), now);
            let mut response = refuse(StatusCode::UNAUTHORIZED, "a token is needed\n");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, axum::http::HeaderValue::from_static("Bearer"));
            return response;
        }
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, axum::http::HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, axum::http::HeaderValue::from_static("no-store"));
    response
}
