//! Sends a call to its upstream and gives back the answer as it comes.
//!
//! The HTTP/2 library is used directly here, because its reset codes, windows and GOAWAY decide
//! what may be said to the caller and what may be sent again (performance PF-4). Dropping the
//! future of [`Pool::send`], or the body of what it returns, cancels the stream at the upstream.
//!
//! Rooms: what is kept of an upstream (`pool`, `group`, `endpoint`, `connection`), where its endpoints are
//! (`names`) and how they are (`health`), which one a call gets (`balance`, `eject`, `backoff`),
//! how often it is sent (`send`, `retry`, `budget`), and what comes back (`answer`). Those who judge are pure: time and
//! randomness come as arguments.
//!
//! Not here: what the answer means to the caller (`path`), which upstream it is (`route`).

mod answer;
mod backoff;
mod balance;
mod budget;
mod connection;
pub mod direct;
mod eject;
mod endpoint;
pub(crate) mod get;
mod group;
mod health;
mod names;
mod pool;
pub mod reflection;
mod retry;
mod send;
pub mod speaks;
pub mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
pub use tandem_config::document::HealthCheck;
use tokio::time::Instant;

pub(crate) use self::connection::{Dialled, NoStream, Windows, dial};
pub(crate) use self::pool::{Pool, Seat};
pub(crate) use self::retry::RetryRules;
use crate::body::Body;
use crate::net::Names;
use crate::observe::UpstreamCounters;

/// Addresses that are kept of one name, and of one upstream (security LI-25).
const ADDRESSES_MOST: usize = 256;

/// An upstream as the snapshot describes it.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// Unlike for any two upstreams of the process: namespace and name.
    pub key: Arc<str>,
    /// The name that its team gave it; shown in traces, metrics and logs, never to callers.
    pub name: Arc<str>,
    pub addresses: Vec<UpstreamAddress>,
    /// Time for a connection: TCP and the HTTP/2 handshake together.
    pub connect: Duration,
    /// Connections of each data thread to begin with, for each address.
    pub connections: u8,
    /// The largest message that it may answer (security LI-25).
    pub message_bytes_max: u32,
    /// What it is called in `:authority`.
    pub authority: http::uri::Authority,
    pub health: HealthCheck,
    /// Whether an endpoint whose calls fail is left out for a while.
    pub eject: bool,
    /// Whether it may stand on this machine (security RB-8).
    pub loopback: bool,
    /// Where the gateway itself listens: it leads nowhere there (security RB-8).
    pub own_listeners: Arc<[SocketAddr]>,
    /// `None`: clear text (h2c).
    pub tls: Option<tls::Client>,
    pub counters: Arc<UpstreamCounters>,
    /// What it may send before it was read.
    pub(crate) windows: Windows,
    /// Later ones are larger: of two descriptions with one key the larger holds.
    pub(crate) made: u64,
}

impl Upstream {
    /// One that is asked off the path, at `address`, called `authority`, with nothing configured.
    pub fn plain(
        address: UpstreamAddress,
        authority: http::uri::Authority,
        connect: Duration,
    ) -> Upstream {
        Upstream {
            key: "".into(),
            name: "server".into(),
            addresses: vec![address],
            connect,
            connections: 1,
            message_bytes_max: u32::MAX,
            authority,
            health: HealthCheck::None,
            eject: false,
            loopback: true,
            own_listeners: Arc::default(),
            tls: None,
            counters: UpstreamCounters::unread(),
            windows: Windows::CALLS,
            made: 0,
        }
    }

    pub(crate) fn scheme(&self) -> http::uri::Scheme {
        match self.tls {
            Some(_) => http::uri::Scheme::HTTPS,
            None => http::uri::Scheme::HTTP,
        }
    }

    /// The number of the next description.
    pub(crate) fn next_made() -> u64 {
        static MADE: AtomicU64 = AtomicU64::new(0);
        MADE.fetch_add(1, Ordering::Relaxed) + 1
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamAddress {
    Fixed(SocketAddr),
    Name { host: String, port: u16 },
}

impl UpstreamAddress {
    fn is_name(&self) -> bool {
        matches!(self, UpstreamAddress::Name { .. })
    }
}

/// Where an upstream that is asked off the path is found: its addresses, names resolved.
///
/// # Errors
/// The name that does not resolve, and what the resolver says.
pub(crate) async fn addresses(upstream: &Upstream) -> Result<Vec<SocketAddr>, (String, String)> {
    let mut all = Vec::new();
    for address in &upstream.addresses {
        match address {
            UpstreamAddress::Fixed(address) => all.push(*address),
            UpstreamAddress::Name { host, port } => {
                let found = Names::default().resolve(host, *port, 4).await;
                all.extend(found.map_err(|error| (format!("{host}:{port}"), error.to_string()))?);
            }
        }
    }
    Ok(all)
}

/// What the pools of a gateway stand in: whom they ask for names, and what they do how often.
#[derive(Debug, Clone, Default)]
pub struct Setting {
    pub names: Names,
    pub timing: Timing,
}

/// How often things are done that no call asks for. Each wait is up to a tenth shorter or longer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// Age at which a connection is replaced, so that load follows where endpoints are added.
    pub age: Duration,
    /// Silence after which a connection with calls on it is asked whether it lives.
    pub ping_every: Duration,
    /// Time to answer that.
    pub ping_answer: Duration,
    /// Between two questions for the addresses of a name.
    pub resolve_every: Duration,
    /// Between two questions for an endpoint's health, while nothing changes.
    pub check_every: Duration,
    /// … and while the next answer may change something.
    pub check_in_doubt: Duration,
    /// Time to answer that.
    pub check_answer: Duration,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            age: Duration::from_secs(30 * 60),
            ping_every: Duration::from_secs(10),
            ping_answer: Duration::from_secs(5),
            resolve_every: Duration::from_secs(5),
            check_every: Duration::from_secs(5),
            check_in_doubt: Duration::from_secs(1),
            check_answer: Duration::from_secs(1),
        }
    }
}

/// What is sent: gRPC, always.
pub(crate) struct Outgoing {
    /// `/package.Service/Method`.
    pub(crate) path: http::uri::PathAndQuery,
    /// Everything but what HTTP/2 itself needs.
    pub(crate) headers: HeaderMap,
    pub(crate) body: OutgoingBody,
    pub(crate) terms: Terms,
}

pub(crate) enum OutgoingBody {
    Whole(Bytes),
    /// Sent as it comes; its beginning is kept until the answer begins (security LI-26).
    Stream(Body),
}

/// What holds for all attempts of a call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// Of the whole call.
    pub(crate) deadline: Option<Instant>,
    pub(crate) retries: RetryRules,
    /// One message is due, so nobody waits for a head without it.
    pub(crate) one_answer: bool,
}

/// The head of an upstream's answer, and what follows it.
pub(crate) struct UpstreamAnswer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error(transparent)]
    NoStream(#[from] NoStream),
    /// The upstream reset the stream, with this code of RFC 9113, section 7.
    #[error("{name} reset the stream with code {code}")]
    Reset { name: Arc<str>, code: u32 },
    #[error("{name}: connection lost: {what}")]
    ConnectionLost { name: Arc<str>, what: String },
    #[error("{0}: no answer within the time of one attempt")]
    AttemptTimedOut(Arc<str>),
}
