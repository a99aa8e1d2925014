//! The admin listener: its own port, its own rules, never a data thread.
//!
//! Only `/healthz` and `/readyz` answer without a token, one word each, and the page, which holds
//! nothing until somebody signs in. Every request is judged by its `Host`, its `Origin` and its
//! `Sec-Fetch-Site` before anything else, so that a web page cannot drive it through an operator's
//! browser (security AD-1 to AD-4, W-1, W-2). Paths below `/api/v1` stand in one table, each with
//! the right that it needs.
//!
//! Not here: what the handlers do (`crate::stored`, `crate::people`, `crate::reload`).

mod audit;
mod call;
mod credentials;
mod events;
mod failures;
mod guard;
mod look;
mod members;
mod openapi;
mod pairs;
mod refusal;
mod secrets;
mod session;
mod table;
mod teams;
mod values;
pub(crate) mod views;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Query, RawPathParams, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodFilter, MethodRouter, get};
use tandem_config::access::{ObjectId, authorise};
use tandem_config::audit::Source;
use tandem_config::store::Scope;
use tandem_gateway::View;
use tokio::sync::Semaphore;

use self::call::Call;
pub(crate) use self::call::when;
pub(crate) use self::failures::Failures;
pub(crate) use self::guard::Guard;
use self::refusal::Refusal;
pub(crate) use self::session::Sessions;
use self::table::{ROUTES, Right, Route};
pub(crate) use self::views::About;
use crate::people::People;
use crate::reload::Reloader;
use crate::stored::Stored;

/// Bytes of a body (security LI-31).
const BODY_BYTES_MOST: usize = 1024 * 1024;
/// Calls that are worked on at once; others wait.
const CALLS_MOST: usize = 16;

/// What the handlers look at.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) view: View,
    pub(crate) guard: Arc<Guard>,
    pub(crate) about: Arc<About>,
    pub(crate) reloader: Arc<Reloader>,
    pub(crate) people: Arc<People>,
    /// `None`: files alone are served, or what was served last.
    pub(crate) stored: Option<Arc<Stored>>,
    /// Why the store that is wanted is not there.
    pub(crate) store_fault: Option<Arc<str>>,
    sessions: Arc<Sessions>,
    calls: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

/// The store, where there is one, and why not, where one is wanted.
pub(crate) struct Opened {
    pub(crate) stored: Option<Arc<Stored>>,
    pub(crate) fault: Option<Arc<str>>,
}

impl Admin {
    pub(crate) fn new(
        view: View,
        guard: Arc<Guard>,
        about: Arc<About>,
        reloader: Arc<Reloader>,
        people: Arc<People>,
        store: Opened,
    ) -> Admin {
        let Opened { stored, fault: store_fault } = store;
        Admin {
            view,
            guard,
            about,
            reloader,
            people,
            stored,
            store_fault,
            sessions: Arc::default(),
            calls: Arc::new(Semaphore::new(CALLS_MOST)),
            streams: events::permits(),
        }
    }

    /// Every namespace that is served or stored.
    fn known_namespaces(&self) -> BTreeSet<String> {
        let served = self.view.served().into_iter().map(|(document, _)| document.namespace);
        let lines = self.stored.iter().flat_map(|stored| stored.lines());
        served.chain(lines.map(|line| line.name.to_string())).collect()
    }
}

/// The routes of the admin listener at `address`.
pub(crate) fn routes(admin: Admin) -> Router {
    let mut by_path: BTreeMap<&str, MethodRouter<Admin>> = BTreeMap::new();
    for route in ROUTES {
        let so_far = by_path.remove(route.path).unwrap_or_default();
        let filter = MethodFilter::try_from(route.method.clone());
        let filter = filter.expect("the table has methods that are known");
        let one = so_far.on(filter, move |state, source, path, query, request| {
            answer(route, state, source, path, query, request)
        });
        by_path.insert(route.path, one);
    }
    let mut api = Router::new();
    for (path, methods) in by_path {
        api = api.route(path, methods);
    }
    Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics_by_token))
        .nest("/api/v1", api.fallback(async || Refusal::missing("there is no such path")))
        .merge(crate::page::routes())
        .layer(middleware::from_fn_with_state(Arc::clone(&admin.guard), guard::judge))
        .with_state(admin)
}

/// The one route of a metrics listener, which asks for no token and so stays on loopback.
pub(crate) fn metrics_routes(admin: Admin) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .fallback(async || (StatusCode::NOT_FOUND, "no such path\n"))
        .layer(middleware::from_fn_with_state(Arc::clone(&admin.guard), guard::judge))
        .with_state(admin)
}

/// Whether an admin listener may stand at `address`: loopback only, as long as there is no TLS.
pub(crate) fn may_listen(address: SocketAddr) -> bool {
    address.ip().is_loopback()
}

/// Asks who it is and whether he may, then does it where waiting holds nobody up.
async fn answer(
    route: &'static Route,
    State(admin): State<Admin>,
    ConnectInfo(source): ConnectInfo<SocketAddr>,
    path: RawPathParams,
    Query(query): Query<BTreeMap<String, String>>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let path = path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let worked = async {
        let visitor = match route.right {
            Right::Open if admin.guard.may_try(source) => None,
            _ => Some(admin.guard.visitor(&admin, source, &head.headers, &head.method)?),
        };
        let body = read(&head.headers, body, route).await?;
        let principal = match &visitor {
            None => tandem_config::access::Membership::new().principal(&guard::nobody()),
            Some(visitor) => admin.people.principal(&visitor.identity),
        };
        let source_of = source_of(&head.headers);
        let call = Call {
            admin: admin.clone(),
            visitor,
            principal,
            source: source_of,
            path,
            query,
            headers: head.headers,
            body,
        };
        let open = matches!(route.right, Right::Open);
        let permit = Arc::clone(&admin.calls).acquire_owned().await;
        let runtime = tokio::runtime::Handle::current();
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            may(route, &call)?;
            runtime.block_on((route.run)(call))
        });
        let done = done
            .await
            .unwrap_or_else(|error| Err(crate::stored::Fault::Broken(error.to_string()).into()));
        if open && done.as_ref().is_err_and(|one| one.status == StatusCode::UNAUTHORIZED) {
            admin.guard.count_failure(source.ip());
        }
        done
    };
    match worked.await {
        Ok(answer) => answer.into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

/// Whether the right of the route is the visitor's (security RB-6, T-7).
fn may(route: &Route, call: &Call) -> Result<(), Refusal> {
    let asked = |action: tandem_config::access::Action, scope: &Scope| {
        let object = ObjectId::only(action.object_kind(), scope);
        authorise(&call.principal, action, &object)
    };
    match route.right {
        Right::Open | Right::Visitor => Ok(()),
        Right::OfPlatform(action) => {
            asked(action, &Scope::Platform).map_err(|refused| denied(route, call, &refused))
        }
        Right::In(action) | Right::InByAct(action) => {
            let scope = Scope::Namespace(call.namespace()?);
            let by_act = matches!(route.right, Right::InByAct(_));
            if by_act && call.principal.has_a_field_in(&scope) {
                return Ok(());
            }
            asked(action, &scope).map_err(|refused| match call.sees(scope.as_str()) {
                true => denied(route, call, &refused),
                false => Refusal::missing("there is no such namespace"),
            })
        }
    }
}

/// A refusal for want of a right; who wanted to change something is written down.
fn denied(route: &Route, call: &Call, refused: &tandem_config::access::Refused) -> Refusal {
    if !route.method.is_safe()
        && let Some(stored) = &call.admin.stored
        && let Err(fault) = tandem_config::note_refusal(stored.store(), call.act(""), refused)
    {
        tracing::error!(%fault, "a refusal is not in the audit log");
    }
    Refusal::no_right(refused)
}

/// The body, bounded, and of the media type that is taken.
async fn read(
    headers: &HeaderMap,
    body: Body,
    route: &Route,
) -> Result<axum::body::Bytes, Refusal> {
    let body = to_bytes(body, BODY_BYTES_MOST).await.map_err(|_| {
        Refusal::coded(
            StatusCode::PAYLOAD_TOO_LARGE,
            tandem_config::Tnd::OverLimit,
            format!("a body has at most {BODY_BYTES_MOST} bytes"),
            "write it shorter",
        )
    })?;
    let media = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let json = media.is_some_and(|media| {
        media.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
    });
    match route.takes {
        Some(_) if !json => Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the body is no `application/json`",
            "send JSON, and say so in `content-type`",
        )),
        None if !body.is_empty() => Err(Refusal::malformed(
            "this takes no body",
            "send none; what it is about stands in the path",
        )),
        Some(_) | None => Ok(body),
    }
}

/// By which way somebody came, for the audit log.
fn source_of(headers: &HeaderMap) -> Source {
    let cli = headers.get(header::USER_AGENT).is_some_and(|agent| agent == crate::client::AGENT);
    match (session::has_cookie(headers) && !headers.contains_key(header::AUTHORIZATION), cli) {
        (true, _) => Source::Page,
        (false, true) => Source::Cli,
        (false, false) => Source::Api,
    }
}

async fn ready(State(admin): State<Admin>) -> (StatusCode, &'static str) {
    if admin.store_fault.is_some() {
        (StatusCode::SERVICE_UNAVAILABLE, "store")
    } else if admin.view.ready() {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "starting")
    }
}

/// Everything is in the metrics, so a token needs the scope `metrics` or the whole platform.
async fn metrics_by_token(
    state: State<Admin>,
    ConnectInfo(source): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    match state.guard.visitor(&state, source, &headers, &Method::GET) {
        Ok(visitor)
            if visitor.identity.platform_admin
                || visitor.scopes.iter().any(|scope| scope == "metrics") =>
        {
            metrics(state).await
        }
        Ok(_) => Refusal::coded(
            StatusCode::FORBIDDEN,
            tandem_config::Tnd::NoRight,
            "the metrics tell of every namespace",
            "use a token with the scope `metrics`: `tandem token create NAME --scope metrics`",
        )
        .into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

async fn metrics(State(admin): State<Admin>) -> Response {
    let media = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, media)], admin.view.metrics().text()).into_response()
}
