//! Reads the keys of issuers, on the side and again and again.
//!
//! At most one reading in [`KeyTiming::least`], whatever callers show (security A-3): a token of
//! an unknown key asks for an earlier one, and no call waits for it. Keys that were read are used
//! on while they cannot be read again, for a day; before the first reading nobody is let in.
//!
//! Not here: the way to the server (`upstream::get`), what a key set may hold
//! (`protocol::key_set`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tandem_config::document::{Address, HttpsUrl, KeysAt};
use tandem_protocol::key_set::{self, KEY_SET_BYTES_MOST};
use tokio::time::{Instant, sleep_until};

use super::jwt::{Issuer, KeySet};
use crate::net::Names;
use crate::upstream::get::{Get, get};

/// How often the keys of an issuer are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyTiming {
    /// Between two readings at least (security LI-29).
    pub least: Duration,
    /// Without anybody's asking.
    pub every: Duration,
    /// For one reading.
    pub within: Duration,
}

impl Default for KeyTiming {
    fn default() -> KeyTiming {
        KeyTiming {
            least: Duration::from_secs(30),
            every: Duration::from_secs(5 * 60),
            within: Duration::from_secs(10),
        }
    }
}

/// Reads the keys of `issuer` until nobody wants them any more.
pub(super) async fn keep_reading(issuer: Arc<Issuer>, names: Names, timing: KeyTiming) {
    loop {
        let began = Instant::now();
        issuer.being_read();
        let read = tokio::time::timeout(timing.within, read(&issuer, &names)).await;
        let read = read.unwrap_or_else(|_elapsed| {
            Err(format!("nothing came within {} s", timing.within.as_secs()))
        });
        match read {
            Ok(keys) => {
                tracing::debug!(issuer = %issuer.name, keys = keys.len(), "keys were read");
                issuer.keys.store(Some(Arc::new(keys)));
            }
            Err(why) => {
                let kept = issuer.keys.load().as_ref().map_or(0, |keys| keys.len());
                tracing::warn!(code = "TND0403", issuer = %issuer.name, kept, "no keys: {why}");
            }
        }
        // What could not be read is tried again as soon as it may be.
        let every = if issuer.keys.load().is_some() { timing.every } else { timing.least };
        tokio::select! {
            () = sleep_until(began + every.max(timing.least)) => {}
            () = issuer.wake.notified() => sleep_until(began + timing.least).await,
        }
    }
}

async fn read(issuer: &Issuer, names: &Names) -> Result<KeySet, String> {
    let source = &issuer.document.keys;
    // The platform wrote this address, so it says whether this machine may be asked (security T-4).
    let loopback = is_here(source.at.first());
    let ask = |url: &HttpsUrl| {
        let asked = Get { url: url.clone(), loopback, body_bytes_max: KEY_SET_BYTES_MOST };
        let (roots, names) = (source.roots.clone(), names.clone());
        async move { get(&asked, &roots, &names).await.map_err(|error| error.to_string()) }
    };
    let body = match &source.at {
        KeysAt::Set(url) => ask(url).await?,
        KeysAt::Discovered(url) => ask(&described(issuer, &ask(url).await?)?).await?,
    };
    let allowed = &issuer.document.algorithms;
    let public = key_set::read(&body, allowed).map_err(|fault| fault.to_string())?;
    let before = issuer.keys.load();
    Ok(KeySet::new(public, Instant::now(), before.as_deref()))
}

/// Where the issuer says that its keys are (OpenID Connect Discovery 1.0, sections 3 and 4.3).
fn described(issuer: &Issuer, body: &[u8]) -> Result<HttpsUrl, String> {
    let described: serde_json::Value =
        serde_json::from_slice(body).map_err(|_error| "the description is no JSON")?;
    let asked = &issuer.document.asked.issuer;
    if described["issuer"].as_str() != Some(asked) {
        return Err("the description is another issuer's".into());
    }
    let url = described["jwks_uri"].as_str().and_then(HttpsUrl::parse);
    url.ok_or_else(|| "the description has no usable `jwks_uri`".into())
}

fn is_here(url: &HttpsUrl) -> bool {
    match &url.address {
        Address::Fixed(address) => SocketAddr::ip(address).to_canonical().is_loopback(),
        Address::Dns { host, port: _ } => host == "localhost" || host.ends_with(".localhost"),
    }
}
