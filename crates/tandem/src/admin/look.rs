//! What is looked at: status, methods, traces; and the reload of files.
//!
//! A visitor sees what belongs to the namespaces that he may see, in every list (security T-7).
//!
//! Not here: the shape of what is shown (`views`).

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Json};
use serde::Deserialize;
use serde_json::json;
use tandem_gateway::observe::Span;
use tandem_gateway::{CacheFigures, Purged};
use tandem_protocol::identity::unhex;

use super::call::{Answer, Call};
use super::refusal::Refusal;
use super::views;

pub(super) async fn status(call: Call) -> Result<Answer, Refusal> {
    Ok(Answer::json(views::status(&call.admin, &|namespace| call.sees(namespace))))
}

pub(super) async fn methods(call: Call) -> Result<Answer, Refusal> {
    Ok(Answer::json(views::methods(&call.admin.view, &|namespace| call.sees(namespace))))
}

pub(super) async fn openapi(_call: Call) -> Result<Answer, Refusal> {
    Ok(Answer::json(super::openapi::document()))
}

pub(super) async fn trace(call: Call) -> Result<Answer, Refusal> {
    let id = call.part("id");
    let Some(trace) = unhex::<16>(id.as_bytes()) else {
        return Err(Refusal::malformed("a trace id has 32 hex digits", "copy it whole"));
    };
    let spans = visible(&call, call.admin.view.trace(trace));
    Ok(Answer::json(views::spans(id, &spans)))
}

pub(super) async fn request(call: Call) -> Result<Answer, Refusal> {
    let id = call.part("id");
    let spans = visible(&call, call.admin.view.request(id));
    Ok(Answer::json(views::spans(id, &spans)))
}

/// The spans of methods that the visitor may see. What no namespace serves is the platform's.
fn visible(call: &Call, spans: Vec<Span>) -> Vec<Span> {
    let platform = call.visitor.as_ref().is_some_and(|visitor| visitor.identity.platform_admin);
    let served = call.admin.view.served();
    let sees = |span: &Span| {
        let service = span.method.split('/').next().unwrap_or_default();
        let mut owners =
            served.iter().filter(|(document, _)| document.services().contains(service)).peekable();
        match owners.peek() {
            None => platform,
            Some(_) => owners.any(|(document, _)| call.sees(&document.namespace)),
        }
    };
    spans.into_iter().filter(|span| platform || sees(span)).collect()
}

pub(super) async fn reload(call: Call) -> Result<Answer, Refusal> {
    // Finished whoever asked goes on listening or not.
    let reloaded = call.admin.reloader.reload().await;
    let status = if reloaded.taken { StatusCode::OK } else { StatusCode::CONFLICT };
    Ok(Answer::Whole((status, Json(reloaded.to_json())).into_response()))
}

/// What is kept of a namespace's answers; zeros where nothing ever was.
pub(super) async fn cache(call: Call) -> Result<Answer, Refusal> {
    let namespace = call.namespace()?;
    let all = call.admin.view.cache();
    let found = all.into_iter().find(|one| one.namespace == namespace.as_str());
    let CacheFigures { namespace: _, entries, bytes, bytes_max, stored, evicted } =
        found.unwrap_or_default();
    Ok(Answer::json(json!({
        "entries": entries, "bytes": bytes, "bytes_max": bytes_max, "stored": stored,
        "evicted": evicted,
    })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CachePurge {
    /// `package.Service/Method`; all of the namespace's without it.
    #[serde(default)]
    method: Option<String>,
}

pub(super) async fn purge(call: Call) -> Result<Answer, Refusal> {
    let CachePurge { method } = call.read()?;
    let namespace = call.namespace()?;
    let purged = call.admin.view.purge(namespace.as_str(), method.as_deref());
    let Some(Purged { entries, bytes }) = purged else {
        return Err(Refusal::missing("nothing of that name keeps answers"));
    };
    Ok(Answer::json(json!({ "entries": entries, "bytes": bytes })))
}
