//! Streams of the contract: every product once, and the changes as they come.

use std::sync::Arc;

use tokio::sync::{broadcast, mpsc};
use tonic::{Code, Status};

use crate::contract::{Change, Product};
use crate::filter::Filter;
use crate::page::{Order, Selection};
use crate::record::PageToken;
use crate::service::{error, store_failed};
use crate::store::Store;

/// Products or changes that are read at once.
pub const BATCH: usize = 500;

/// Sends every product in the order of names; returns why it ended early, `None` when all were
/// sent or nobody listens.
///
/// Part by part: a caller who reads slowly holds no transaction open.
pub async fn export(
    store: Arc<Store>,
    caller: &mpsc::Sender<Result<Product, Status>>,
) -> Option<Status> {
    let mut after = None;
    loop {
        let reading = Arc::clone(&store);
        let what = Selection {
            hidden: Vec::new(),
            filter: Filter::default(),
            order: Order::BY_NAME,
            after: after.take(),
            count: BATCH,
        };
        let read = tokio::task::spawn_blocking(move || reading.list(what)).await;
        let Ok(Ok(read)) = read else { return Some(store_failed()) };
        let products = read.outcome.unwrap_or_default();
        let count = products.len();
        for product in products {
            after = Some(PageToken { name: product.name.clone(), ..Default::default() });
            caller.send(Ok(product)).await.ok()?;
        }
        if count < BATCH {
            return None;
        }
    }
}

/// Sends the past, then what is committed; returns why it ended, `None` when nobody listens.
pub async fn follow(
    store: Arc<Store>,
    from: i64,
    follower: &mpsc::Sender<Result<Change, Status>>,
) -> Option<Status> {
    let mut at = from;
    let mut live = None;
    loop {
        let reading = Arc::clone(&store);
        let past = tokio::task::spawn_blocking(move || reading.past(at, BATCH as i64)).await;
        let Ok(Ok(past)) = past else { return Some(store_failed()) };
        if past.changes.is_empty() {
            // Listen first, then look once more: nothing can fall between.
            if live.is_some() {
                break;
            }
            live = Some(store.follow());
            continue;
        }
        for change in past.changes {
            at = change.sequence;
            follower.send(Ok(change)).await.ok()?;
        }
    }
    let mut live = live?;
    loop {
        match live.recv().await {
            Ok(change) if change.sequence <= at => {}
            Ok(change) => {
                at = change.sequence;
                follower.send(Ok(change)).await.ok()?;
            }
            // Too slow, or the state was replaced.
            Err(broadcast::error::RecvError::Lagged(_) | broadcast::error::RecvError::Closed) => {
                let what = "the follower is too far behind; resume from its last sequence";
                return Some(error(Code::ResourceExhausted, "LAGGED", what));
            }
        }
    }
}
