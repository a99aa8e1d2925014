//! Follows the catalogue's changes through the gateway's internal listener (HY-3, SRC-11).
//!
//! Resumes from the sequence that the index was committed with; whatever is cut (the catalogue,
//! the gateway, this process) is taken up again from there. Changes are put by name, so one that
//! comes twice changes nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::catalogue::catalogue_client::CatalogueClient;
use crate::catalogue::{Change, Product, WatchProductsRequest, change};
use crate::index::{Document, Index};

/// A change is visible after this time at the latest.
const COMMIT_AFTER: Duration = Duration::from_millis(200);
/// Changes that one commit holds at most.
const COMMIT_CHANGES: usize = 20_000;
/// Waits between attempts.
const WAIT_LEAST: Duration = Duration::from_millis(50);
const WAIT_MOST: Duration = Duration::from_secs(1);

/// The way to the catalogue, and whether its stream of changes stands.
#[derive(Clone)]
pub struct Upstream {
    channel: Channel,
    connected: Arc<AtomicBool>,
}

impl Upstream {
    /// A way through the internal listener at `address`; nothing is connected yet.
    ///
    /// # Errors
    /// Never for an address; the type of the library's constructor asks for it.
    pub fn new(address: SocketAddr) -> Result<Upstream, tonic::transport::Error> {
        let channel = Endpoint::from_shared(format!("http://{address}"))?
            .connect_timeout(Duration::from_secs(1))
            // A gateway that died without a word is noticed within seconds.
            .http2_keep_alive_interval(Duration::from_secs(2))
            .keep_alive_timeout(Duration::from_secs(2))
            .keep_alive_while_idle(true)
            .tcp_nodelay(true)
            .connect_lazy();
        Ok(Upstream { channel, connected: Arc::default() })
    }

    pub fn client(&self) -> CatalogueClient<Channel> {
        CatalogueClient::new(self.channel.clone())
    }

    pub fn connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }
}

/// Follows for ever.
pub async fn follow(index: Arc<Index>, upstream: Upstream) {
    let mut wait = WAIT_LEAST;
    loop {
        let from = index.sequence();
        let began = Instant::now();
        let end = watch(&index, &upstream, from).await;
        upstream.connected.store(false, Ordering::Relaxed);
        // What was read and not committed is read again.
        let rolled = Arc::clone(&index);
        let rolled = tokio::task::spawn_blocking(move || rolled.rollback()).await;
        if !matches!(rolled, Ok(Ok(()))) {
            tracing::error!("the index cannot be rolled back");
        }
        match end {
            Ok(()) => tracing::info!(from, "the stream of changes ended"),
            Err(status) => {
                tracing::warn!(from, code = ?status.code(), message = status.message(), "following was cut");
                if status.code() == Code::OutOfRange && from > 0 {
                    // The catalogue has forgotten, or is another one: begin again.
                    begin_again(&index).await;
                }
            }
        }
        if began.elapsed() > WAIT_MOST {
            wait = WAIT_LEAST;
        }
        let jitter = rand::random_range(0.5..1.0);
        tokio::time::sleep(wait.mul_f64(jitter)).await;
        wait = (wait * 2).min(WAIT_MOST);
    }
}

async fn begin_again(index: &Arc<Index>) {
    tracing::warn!("the index begins again at 0");
    let index = Arc::clone(index);
    let cleared =
        tokio::task::spawn_blocking(move || index.clear().and_then(|()| index.commit(0))).await;
    if !matches!(cleared, Ok(Ok(()))) {
        tracing::error!("the index cannot be cleared");
    }
}

/// Reads one stream to its end.
async fn watch(index: &Arc<Index>, upstream: &Upstream, from: i64) -> Result<(), Status> {
    let request = WatchProductsRequest { from_sequence: from };
    let mut changes = upstream.client().watch_products(request).await?.into_inner();
    upstream.connected.store(true, Ordering::Relaxed);
    let mut last = from;
    let mut uncommitted = 0_usize;
    let mut due = Instant::now();
    loop {
        let next = tokio::select! {
            next = changes.message() => Some(next?),
            () = tokio::time::sleep_until(due), if uncommitted > 0 => None,
        };
        match next {
            Some(Some(change)) => {
                if uncommitted == 0 {
                    due = Instant::now() + COMMIT_AFTER;
                }
                last = change.sequence;
                uncommitted += 1;
                apply(index, change).map_err(broken)?;
            }
            Some(None) => return Ok(()),
            None => {}
        }
        if uncommitted > 0 && (uncommitted >= COMMIT_CHANGES || Instant::now() >= due) {
            let committing = Arc::clone(index);
            let sequence = last;
            tokio::task::spawn_blocking(move || committing.commit(sequence))
                .await
                .map_err(|error| Status::internal(error.to_string()))?
                .map_err(broken)?;
            uncommitted = 0;
        }
    }
}

fn broken(error: tantivy::TantivyError) -> Status {
    Status::internal(format!("the index: {error}"))
}

fn apply(index: &Index, change: Change) -> tantivy::Result<()> {
    match change.what {
        Some(change::What::Product(product)) => index.put(&document(product)),
        Some(change::What::Deleted(name)) => {
            index.delete(&name);
            Ok(())
        }
        None => Ok(()),
    }
}

fn document(product: Product) -> Document {
    Document {
        revision: revision_of(&product.etag),
        id: product.name,
        display_name: product.display_name,
        description: product.description,
        category: product.category,
    }
}

/// The number in `"r<revision>"`; 0 for anything else.
fn revision_of(etag: &str) -> i64 {
    etag.strip_prefix("\"r")
        .and_then(|rest| rest.strip_suffix('"'))
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0)
}
