//! Server-sent events: the status and the live pairs each second, and versions as they go live.
//!
//! A reader that is slow misses seconds and never holds anybody up. Rights are asked anew for each
//! event, so a revoked token ends the stream.
//!
//! Not here: the shape of the status (`views`).

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use super::call::{Answer, Call, when};
use super::refusal::Refusal;
use super::{pairs, views};
use crate::stored::{Live, now};

const EVERY: Duration = Duration::from_secs(1);
/// Streams at once.
const STREAMS_MOST: usize = 64;

pub(super) async fn events(call: Call) -> Result<Answer, Refusal> {
    let permit = std::sync::Arc::clone(&call.admin.streams).try_acquire_owned().map_err(|_| {
        Refusal::new(
            axum::http::StatusCode::TOO_MANY_REQUESTS,
            format!("{STREAMS_MOST} streams of events are open already"),
            "close a page",
        )
    })?;
    let (send, receive) = tokio::sync::mpsc::channel::<Bytes>(4);
    let side = call.admin.view.clone();
    let telling = async move {
        let mut call = call;
        let mut news = call.admin.stored.as_ref().map(|stored| stored.news());
        let mut each = tokio::time::interval(EVERY);
        each.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            let live = async {
                match &mut news {
                    None => std::future::pending().await,
                    Some(news) => news.recv().await,
                }
            };
            let text = tokio::select! {
                _ = each.tick() => {
                    if !call.is_still_somebody() {
                        return;
                    }
                    let status = views::status(&call.admin, &|name| call.sees(name));
                    let pairs = pairs::figures(&call);
                    match pairs.as_array().is_some_and(Vec::is_empty) {
                        true => event("status", &status),
                        false => [event("status", &status), event("pairs", &pairs)].concat().into(),
                    }
                }
                live = live => match live {
                    Ok(live) if call.sees(&live.namespace) => event("change", &change(&live)),
                    Ok(_) | Err(RecvError::Lagged(_)) => continue,
                    Err(RecvError::Closed) => return,
                },
                () = send.closed() => return,
            };
            if send.send(text).await.is_err() {
                return;
            }
        }
    };
    side.on_the_side(async move {
        telling.await;
        drop(permit);
    });
    let mut response = Response::new(Body::new(Receiving(receive)));
    let media = HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, media);
    Ok(Answer::Whole(response))
}

/// How many streams there may be.
pub(super) fn permits() -> std::sync::Arc<tokio::sync::Semaphore> {
    std::sync::Arc::new(tokio::sync::Semaphore::new(STREAMS_MOST))
}

fn change(live: &Live) -> Value {
    let Live { namespace, number, who, why, when: at } = live;
    json!({ "namespace": namespace, "version": number, "who": who, "why": why, "when": when(*at) })
}

/// JSON has no line break outside of strings, and none unescaped inside.
fn event(name: &str, data: &Value) -> Bytes {
    format!("event: {name}\ndata: {data}\n\n").into()
}

impl Call {
    /// Looks the visitor and his rights up anew.
    fn is_still_somebody(&mut self) -> bool {
        let Some(visitor) = &self.visitor else { return false };
        let now = now();
        let good = visitor.expires.is_none_or(|expires| now < expires)
            && self.admin.people.again(visitor.token.as_deref(), now).is_some();
        if good {
            self.principal = self.admin.people.principal(&visitor.identity);
        }
        good
    }
}

struct Receiving(tokio::sync::mpsc::Receiver<Bytes>);

impl http_body::Body for Receiving {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|bytes| bytes.map(|bytes| Ok(http_body::Frame::data(bytes))))
    }
}
