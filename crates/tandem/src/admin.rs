//! The admin listener: its own port, its own rules, never a data thread.
//!
//! Only `/healthz` and `/readyz` answer without a token, one word each. Every request is judged
//! by its `Host`, its `Origin` and its `Sec-Fetch-Site` before anything else, so that a web page
//! cannot drive it through an operator's browser (security AD-1 to AD-4, W-1, W-2).
//!
//! Not here: the page and writes, which come with the store; what `reload` does (`crate::reload`).

mod guard;
pub(crate) mod views;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use tandem_contract::fields;
use tandem_gateway::View;
use tandem_protocol::identity::unhex;

pub(crate) use self::guard::Guard;
use crate::reload::Reloader;

/// What the handlers look at.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) view: View,
    pub(crate) guard: Arc<Guard>,
    pub(crate) about: Arc<views::About>,
    pub(crate) reloader: Arc<Reloader>,
}

pub(crate) use self::views::About;

/// The routes of the admin listener at `address`.
pub(crate) fn routes(admin: Admin) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/api/v1/status", get(status))
        .route("/api/v1/reload", post(reload))
        .route("/api/v1/methods", get(methods))
        .route("/api/v1/namespaces/{namespace}/contract", get(contract))
        .route("/api/v1/traces/{id}", get(trace))
        .route("/api/v1/requests/{id}", get(request))
        .fallback(async || (StatusCode::NOT_FOUND, "no such path\n"))
        .layer(middleware::from_fn_with_state(Arc::clone(&admin.guard), guard::judge))
        .with_state(admin)
}

/// The one route of a metrics listener, which asks for no token and so stays on loopback.
pub(crate) fn metrics_routes(admin: Admin) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .fallback(async || (StatusCode::NOT_FOUND, "no such path\n"))
        .layer(middleware::from_fn_with_state(Arc::clone(&admin.guard), guard::judge_host))
        .with_state(admin)
}

/// Whether an admin listener may stand at `address`: loopback only, as long as there is no TLS.
pub(crate) fn may_listen(address: SocketAddr) -> bool {
    address.ip().is_loopback()
}

async fn ready(State(admin): State<Admin>) -> (StatusCode, &'static str) {
    if admin.view.ready() {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "starting")
    }
}

async fn metrics(State(admin): State<Admin>) -> Response {
    let media = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, media)], admin.view.metrics().text()).into_response()
}

async fn reload(State(admin): State<Admin>) -> (StatusCode, Json<serde_json::Value>) {
    // Finished whoever asked goes on listening or not.
    let reloader = Arc::clone(&admin.reloader);
    let reloaded = reloader.reload().await;
    let status = if reloaded.taken { StatusCode::OK } else { StatusCode::CONFLICT };
    (status, Json(reloaded.to_json()))
}

async fn status(State(admin): State<Admin>) -> Json<serde_json::Value> {
    Json(views::status(&admin.view, &admin.about))
}

async fn methods(State(admin): State<Admin>) -> Json<serde_json::Value> {
    Json(views::methods(&admin.view))
}

/// The contract as it is served, a `google.protobuf.FileDescriptorSet`.
async fn contract(State(admin): State<Admin>, Path(namespace): Path<String>) -> Response {
    let served = admin.view.served();
    let found = served.into_iter().find(|(document, _)| document.namespace == namespace);
    let Some((_, contract)) = found else {
        return (StatusCode::NOT_FOUND, "no such namespace\n").into_response();
    };
    let Some(contract) = contract else {
        return (StatusCode::SERVICE_UNAVAILABLE, "it has no contract yet\n").into_response();
    };
    let mut set = Vec::new();
    for (_, file) in contract.files() {
        fields::put_bytes(1, file, &mut set);
    }
    ([(header::CONTENT_TYPE, "application/x-protobuf")], set).into_response()
}

async fn trace(State(admin): State<Admin>, Path(id): Path<String>) -> Response {
    let Some(trace) = unhex::<16>(id.as_bytes()) else {
        return (StatusCode::BAD_REQUEST, "a trace id has 32 hex digits\n").into_response();
    };
    Json(views::spans(&id, &admin.view.trace(trace))).into_response()
}

async fn request(State(admin): State<Admin>, Path(id): Path<String>) -> Json<serde_json::Value> {
    Json(views::spans(&id, &admin.view.request(&id)))
}
