//! The agent's listener: few connections, small requests, a token for each of them.
//!
//! A page in a browser that reaches the port (by a name that turns to loopback, say) has no token
//! and is refused by its `Origin` as well. Nothing is written anywhere, and nothing is told without
//! the token but that an agent is there (`/healthz`).
//!
//! Not here: what is looked at (`watch`).

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tandem_gateway::tasks::Side;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch as signal};

use super::watch::{EVERY, Watch, refused};
use super::{Asked, BODY_BYTES_MOST, PATH, PROTO, Problem, Refused, Told};
use crate::admin::Failures;
use crate::token::Expected;

/// Connections at a time; others wait.
const CONNECTIONS_MOST: usize = 16;
/// For a head, and for what lies between two requests: whoever is silent longer connects anew.
const SILENT: Duration = Duration::from_secs(30);
/// For a body.
const BODY: Duration = Duration::from_secs(5);
/// Bytes of a head.
const HEAD_BYTES_MOST: usize = 16 << 10;

/// What every connection needs.
struct Served {
    watch: Arc<Watch>,
    token: Expected,
    failures: Failures,
}

/// Serves until `stop` is dropped; requests under way are answered.
pub(crate) async fn serve(
    listener: TcpListener,
    watch: Arc<Watch>,
    token: Expected,
    side: &Side,
    stop: signal::Receiver<()>,
) {
    let served = Arc::new(Served { watch, token, failures: Failures::default() });
    let free = Arc::new(Semaphore::new(CONNECTIONS_MOST));
    let stopped =
        |mut stop: signal::Receiver<()>| async move { while stop.changed().await.is_ok() {} };
    side.start({
        let (watch, stop) = (Arc::clone(&served.watch), stop.clone());
        async move {
            let mut ticks = tokio::time::interval(EVERY);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
            let mut stopped = std::pin::pin!(stopped(stop));
            loop {
                tokio::select! {
                    _ = ticks.tick() => watch.sample(),
                    () = &mut stopped => break,
                }
            }
        }
    });
    let accept = async {
        loop {
            let permit = Arc::clone(&free).acquire_owned().await;
            let (stream, source) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors, say: they come back.
                    tracing::warn!(%error, "nobody is taken in");
                    tokio::time::sleep(EVERY).await;
                    continue;
                }
            };
            _ = stream.set_nodelay(true);
            let (served, stop) = (Arc::clone(&served), stop.clone());
            side.start(async move {
                let _permit = permit;
                let service = service_fn(move |request| {
                    let served = Arc::clone(&served);
                    async move { Ok::<_, Infallible>(answer(&served, source, request).await) }
                });
                let mut builder = http1::Builder::new();
                builder.timer(TokioTimer::new()).header_read_timeout(SILENT);
                builder.max_buf_size(HEAD_BYTES_MOST).max_headers(32);
                let connection = builder.serve_connection(TokioIo::new(stream), service);
                let mut connection = std::pin::pin!(connection);
                // How it ends is the other side's affair.
                tokio::select! {
                    _ = &mut connection => {}
                    () = stopped(stop) => {
                        connection.as_mut().graceful_shutdown();
                        _ = connection.await;
                    }
                }
            });
        }
    };
    tokio::select! {
        () = accept => {}
        () = stopped(stop.clone()) => {}
    }
}

async fn answer(served: &Served, source: SocketAddr, request: Request<Incoming>) -> Response<Body> {
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/healthz") => respond(StatusCode::OK, Body::from("ok\n"), "text/plain"),
        (&Method::POST, PATH) => match look(served, source, request).await {
            Ok(told) => json(StatusCode::OK, &told),
            Err((status, refused)) => json(status, &refused),
        },
        _ => respond(StatusCode::NOT_FOUND, Body::from("there is no such path\n"), "text/plain"),
    }
}

async fn look(
    served: &Served,
    source: SocketAddr,
    request: Request<Incoming>,
) -> Result<Told, (StatusCode, Refused)> {
    let (head, body) = request.into_parts();
    may_ask(served, source, &head.headers)?;
    let malformed = |what: &str| (StatusCode::BAD_REQUEST, refused(Problem::Malformed, what));
    let body = tokio::time::timeout(BODY, to_bytes(Body::new(body), BODY_BYTES_MOST)).await;
    let body = body.map_err(|_| malformed("the body did not come in time"))?;
    let body = body.map_err(|_| malformed("the body is too large, or broke off"))?;
    let asked: Asked = match serde_json::from_slice(&body) {
        Ok(asked) => asked,
        // Another number may have other fields, and is the better thing to say.
        Err(error) => match serde_json::from_slice::<super::Any>(&body) {
            Ok(any) if any.proto != PROTO => Asked { proto: any.proto, ..Asked::default() },
            Ok(_) | Err(_) => return Err(malformed(&error.to_string())),
        },
    };
    let watch = Arc::clone(&served.watch);
    let looked = tokio::task::spawn_blocking(move || watch.look(&asked)).await;
    let looked = looked.unwrap_or_else(|error| Err(refused(Problem::Broken, error.to_string())));
    looked.map_err(|refused| {
        let status = match refused.problem {
            Problem::Proto => StatusCode::CONFLICT,
            Problem::Unknown | Problem::NotFound => StatusCode::NOT_FOUND,
            Problem::Ambiguous | Problem::Malformed => StatusCode::BAD_REQUEST,
            Problem::Denied | Problem::Token | Problem::Attempts => StatusCode::FORBIDDEN,
            Problem::Broken | Problem::Other => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, refused)
    })
}

/// Whether whoever asks has the token, and is no page in a browser.
fn may_ask(
    served: &Served,
    source: SocketAddr,
    headers: &HeaderMap,
) -> Result<(), (StatusCode, Refused)> {
    if headers.contains_key(header::ORIGIN) || headers.contains_key("sec-fetch-site") {
        let what = "no page asks an agent";
        return Err((StatusCode::FORBIDDEN, refused(Problem::Token, what)));
    }
    if served.failures.are_too_many(source.ip()) {
        let what = "too many wrong tokens came from this address; wait a minute";
        return Err((StatusCode::TOO_MANY_REQUESTS, refused(Problem::Attempts, what)));
    }
    let presented = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap_or(""));
    let token = presented.and_then(|value| value.strip_prefix("Bearer "));
    if token.is_some_and(|token| served.token.is(token.trim())) {
        return Ok(());
    }
    // Somebody who brings nothing at all tries nothing.
    if presented.is_some() {
        served.failures.count(source.ip());
        tracing::warn!(source = %source.ip(), "a wrong token");
    }
    let what = match presented {
        Some(_) => "this is not the agent's token",
        None => "an agent wants its token",
    };
    Err((StatusCode::UNAUTHORIZED, refused(Problem::Token, what)))
}

fn json(status: StatusCode, body: &impl serde::Serialize) -> Response<Body> {
    let text = serde_json::to_vec(body).unwrap_or_default();
    respond(status, Body::from(text), "application/json")
}

fn respond(status: StatusCode, body: Body, media: &'static str) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, media),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, header::HeaderValue::from_static(value));
    }
    response
}
