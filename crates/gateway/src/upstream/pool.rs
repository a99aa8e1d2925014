//! Connections of one data thread to the upstreams.
//!
//! Each thread has its own (performance PF-1). An address begins with the connections that its
//! configuration names and grows to [`CONNECTIONS_MOST`] when their streams run out; then calls
//! wait, at most [`WAITING_MOST`] of them (security LI-25). Connecting is a task of its own: a
//! caller that leaves does not cancel it for the others who wait.
//!
//! Not here: what is sent (`upstream`), which upstream a call goes to (`route`). Balancing is
//! the fewest streams today; two choices by latency, ejection and health come with their issue.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Ping, PingPong};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use super::{Upstream, UpstreamAddress};
use crate::net;
use crate::observe::Shard;
use crate::tasks::Tasks;

/// Connections of one thread to one address, at most.
const CONNECTIONS_MOST: usize = 4;
/// Calls of one thread that wait for a stream of one upstream, at most.
const WAITING_MOST: usize = 1024;
/// Addresses that are kept of one name (security LI-25).
const ADDRESSES_MOST: usize = 256;
/// Age at which a name is asked for again.
const RESOLVE_AGAIN: Duration = Duration::from_secs(5);
/// An address that could not be connected is left out so long, while others stand.
const AVOID: Duration = Duration::from_secs(1);
/// A connection with calls on it is asked so often whether it lives, and has this long to answer.
const PING_EVERY: Duration = Duration::from_secs(10);
const PING_ANSWER: Duration = Duration::from_secs(5);
/// Windows towards upstreams (security LI-36): the library's own throttle large answers.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
/// Decoded bytes of one head that an upstream may send.
const HEADER_LIST_BYTES: u32 = 64 * 1024;

/// Why no stream could be had. The text is for the log: it names addresses.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum NoStream {
    #[error("{name}: {step}: {what}")]
    Unreachable { name: Arc<str>, step: &'static str, what: String },
    #[error("{0}: too many calls wait for it")]
    TooManyWait(Arc<str>),
}

/// All upstream connections of this thread.
#[derive(Clone)]
pub(crate) struct Pool(Rc<Inner>);

struct Inner {
    tasks: Tasks,
    observe: Rc<Shard>,
    groups: RefCell<BTreeMap<Arc<str>, Rc<Group>>>,
}

/// One upstream: its addresses and who waits for them.
struct Group {
    endpoints: RefCell<Vec<Rc<Endpoint>>>,
    resolving: Cell<bool>,
    resolved: Cell<Option<Instant>>,
    /// Counts attempts that failed, so that a waiter tells an old failure from a new one.
    failures: Cell<u64>,
    failure: RefCell<Option<NoStream>>,
    waiting: Cell<usize>,
    changed: Notify,
}

struct Endpoint {
    address: SocketAddr,
    connections: RefCell<Vec<Connection>>,
    connecting: Cell<usize>,
    failed: Cell<Option<Instant>>,
}

#[derive(Clone)]
struct Connection {
    send: SendRequest<Bytes>,
    life: Rc<Life>,
}

/// What is known of a connection by those who use it.
#[derive(Default)]
struct Life {
    dead: Cell<bool>,
    calls: Cell<usize>,
}

/// A place on a connection; given back when the call, its answer included, is over.
pub(crate) struct Lease {
    life: Rc<Life>,
    group: Rc<Group>,
}

impl Lease {
    /// The connection turned out to be unusable: nobody is given it again.
    pub(super) fn condemn(&self) {
        self.life.dead.set(true);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.life.calls.set(self.life.calls.get() - 1);
        if self.group.waiting.get() > 0 {
            self.group.changed.notify_waiters();
        }
    }
}

impl Pool {
    pub(crate) fn new(tasks: Tasks, observe: Rc<Shard>) -> Pool {
        Pool(Rc::new(Inner { tasks, observe, groups: RefCell::default() }))
    }

    /// Lets go of every connection; those with calls on them end with their last call.
    pub(crate) fn close_idle(&self) {
        for group in self.0.groups.borrow().values() {
            for endpoint in group.endpoints.borrow().iter() {
                endpoint.connections.borrow_mut().clear();
            }
        }
    }

    /// A handle on which one request can be sent at once.
    ///
    /// Waits for a connection or a free stream; the caller bounds the wait by its deadline.
    pub(super) async fn stream(
        &self,
        upstream: &Arc<Upstream>,
    ) -> Result<(SendRequest<Bytes>, Lease), NoStream> {
        let group = self.group(upstream);
        let failures_before = group.failures.get();
        loop {
            if let Some(found) = take(&group) {
                return Ok(found);
            }
            if group.failures.get() != failures_before {
                let failure = group.failure.borrow().clone();
                return Err(failure.expect("a counted failure is kept"));
            }
            if group.waiting.get() >= WAITING_MOST {
                return Err(NoStream::TooManyWait(Arc::clone(&upstream.name)));
            }
            self.grow(upstream, &group);
            let _waits = Waits::on(&group);
            group.changed.notified().await;
        }
    }

    fn group(&self, upstream: &Arc<Upstream>) -> Rc<Group> {
        if let Some(group) = self.0.groups.borrow().get(&upstream.key) {
            return Rc::clone(group);
        }
        let group = Rc::new(Group {
            endpoints: RefCell::default(),
            resolving: Cell::new(false),
            resolved: Cell::new(None),
            failures: Cell::new(0),
            failure: RefCell::new(None),
            waiting: Cell::new(0),
            changed: Notify::new(),
        });
        self.0.groups.borrow_mut().insert(Arc::clone(&upstream.key), Rc::clone(&group));
        group
    }

    /// Sees to it that something changes for those who wait: a name resolved, a connection made,
    /// or a failure told.
    fn grow(&self, upstream: &Arc<Upstream>, group: &Rc<Group>) {
        let old = group.resolved.get().is_none_or(|at| at.elapsed() > RESOLVE_AGAIN);
        if old && !group.resolving.replace(true) {
            let (upstream, group) = (Arc::clone(upstream), Rc::clone(group));
            self.0.tasks.start(async move { resolve(&upstream, &group).await });
        }
        let endpoints = group.endpoints.borrow();
        let fresh = endpoints
            .iter()
            .filter(|endpoint| endpoint.failed.get().is_none_or(|at| at.elapsed() > AVOID));
        let mut candidates: Vec<&Rc<Endpoint>> = fresh.collect();
        if candidates.is_empty() {
            candidates = endpoints.iter().collect();
        }
        let Some(endpoint) = candidates
            .into_iter()
            .filter(|endpoint| endpoint.standing() < CONNECTIONS_MOST)
            .min_by_key(|endpoint| endpoint.standing())
        else {
            return;
        };
        if endpoint.connecting.get() > 0 {
            return;
        }
        endpoint.connecting.set(endpoint.connecting.get() + 1);
        let (upstream, group) = (Arc::clone(upstream), Rc::clone(group));
        let (endpoint, pool) = (Rc::clone(endpoint), self.clone());
        self.0.tasks.start(async move {
            let connected = connect(&pool, &upstream, &group, &endpoint).await;
            endpoint.connecting.set(endpoint.connecting.get() - 1);
            match connected {
                Ok(connection) => {
                    endpoint.failed.set(None);
                    endpoint.connections.borrow_mut().push(connection);
                }
                Err(failure) => {
                    tracing::warn!(%failure, "no connection");
                    endpoint.failed.set(Some(Instant::now()));
                    pool.0.observe.count_connect_failure();
                    group.fail(failure);
                }
            }
            group.changed.notify_waiters();
        });
    }
}

impl Group {
    fn fail(&self, failure: NoStream) {
        self.failures.set(self.failures.get() + 1);
        *self.failure.borrow_mut() = Some(failure);
    }
}

impl Endpoint {
    fn standing(&self) -> usize {
        self.connections.borrow().len() + self.connecting.get()
    }
}

struct Waits<'a>(&'a Group);

impl<'a> Waits<'a> {
    fn on(group: &'a Group) -> Waits<'a> {
        group.waiting.set(group.waiting.get() + 1);
        Waits(group)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.waiting.set(self.0.waiting.get() - 1);
    }
}

/// The living connection with the fewest calls that has a stream left.
fn take(group: &Rc<Group>) -> Option<(SendRequest<Bytes>, Lease)> {
    let endpoints = group.endpoints.borrow();
    let mut best: Option<Connection> = None;
    for endpoint in endpoints.iter() {
        let mut connections = endpoint.connections.borrow_mut();
        connections.retain(|connection| !connection.life.dead.get());
        for connection in connections.iter() {
            let calls = connection.life.calls.get();
            let room = calls < connection.send.current_max_send_streams();
            if room && best.as_ref().is_none_or(|best| calls < best.life.calls.get()) {
                best = Some(connection.clone());
            }
        }
    }
    let Connection { send, life } = best?;
    life.calls.set(life.calls.get() + 1);
    Some((send, Lease { life, group: Rc::clone(group) }))
}

/// Brings the group's endpoints in line with what the name says now.
async fn resolve(upstream: &Upstream, group: &Group) {
    let mut found = Vec::new();
    let mut failure = None;
    for address in &upstream.addresses {
        match address {
            UpstreamAddress::Fixed(address) => found.push(*address),
            UpstreamAddress::Name { host, port } => {
                match net::resolve(host, *port, ADDRESSES_MOST).await {
                    Ok(addresses) => found.extend(addresses),
                    Err(error) => failure = Some(unreachable(upstream, "resolve", &error)),
                }
            }
        }
    }
    group.resolving.set(false);
    group.resolved.set(Some(Instant::now()));
    found.truncate(ADDRESSES_MOST);
    if found.is_empty() {
        // The last good addresses stay (security U-2); without any, those who wait are told.
        if let Some(failure) = failure
            && group.endpoints.borrow().is_empty()
        {
            tracing::warn!(%failure, "no address");
            group.resolved.set(None);
            group.fail(failure);
        }
    } else {
        let mut endpoints = group.endpoints.borrow_mut();
        // Calls on an address that is gone finish: they hold their connection themselves.
        endpoints.retain(|endpoint| found.contains(&endpoint.address));
        for address in found {
            if !endpoints.iter().any(|endpoint| endpoint.address == address) {
                endpoints.push(Rc::new(Endpoint {
                    address,
                    connections: RefCell::default(),
                    connecting: Cell::new(0),
                    failed: Cell::new(None),
                }));
            }
        }
    }
    group.changed.notify_waiters();
}

fn unreachable(upstream: &Upstream, step: &'static str, error: &io::Error) -> NoStream {
    NoStream::Unreachable { name: Arc::clone(&upstream.name), step, what: error.to_string() }
}

async fn connect(
    pool: &Pool,
    upstream: &Upstream,
    group: &Rc<Group>,
    endpoint: &Endpoint,
) -> Result<Connection, NoStream> {
    let began = Instant::now();
    let failed = |step, what: String| NoStream::Unreachable {
        name: Arc::clone(&upstream.name),
        step,
        what: format!("{} after {} ms: {what}", endpoint.address, began.elapsed().as_millis()),
    };
    let io = net::connect(endpoint.address, upstream.connect)
        .await
        .map_err(|error| failed("connect", error.to_string()))?;
    let left = upstream.connect.saturating_sub(began.elapsed()).max(Duration::from_millis(50));
    let handshake = client_builder().handshake::<_, Bytes>(io);
    let (send, mut connection) = match timeout(left, handshake).await {
        Ok(Ok(made)) => made,
        Ok(Err(error)) => return Err(failed("HTTP/2", error.to_string())),
        Err(_elapsed) => return Err(failed("HTTP/2", "no handshake in time".into())),
    };
    let mut pings = connection.ping_pong();
    let told = timeout(left, settings_have_come(&mut connection, pings.as_mut()));
    match told.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(failed("HTTP/2", error)),
        Err(_elapsed) => return Err(failed("HTTP/2", "no settings in time".into())),
    }
    let life = Rc::new(Life::default());
    let standing = pool.0.observe.upstream_connection_opened();
    let (watched, group) = (Rc::clone(&life), Rc::clone(group));
    let name = Arc::clone(&upstream.name);
    pool.0.tasks.start(async move {
        tokio::select! {
            ended = connection => if let Err(error) = ended {
                tracing::debug!(upstream = %name, %error, "connection ended");
            },
            () = unanswered(pings, &watched) => {
                tracing::warn!(upstream = %name, "the connection does not answer pings");
            }
        }
        watched.dead.set(true);
        drop(standing);
        group.changed.notify_waiters();
    });
    Ok(Connection { send, life })
}

/// Waits until the server has said how many streams it takes: calls that come before that may be
/// more, and those that it refuses cannot all be sent again.
///
/// Its settings come before all else (RFC 9113, section 3.4), so before the answer to a ping.
async fn settings_have_come<T>(
    connection: &mut h2::client::Connection<T, Bytes>,
    pings: Option<&mut PingPong>,
) -> Result<(), String>
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let Some(pings) = pings else { return Ok(()) };
    tokio::select! {
        ended = connection => Err(match ended {
            Ok(()) => "closed at once".to_owned(),
            Err(error) => error.to_string(),
        }),
        pong = pings.ping(Ping::opaque()) => {
            pong.map(|_pong| ()).map_err(|error| error.to_string())
        }
    }
}

/// The settings that we offer to every upstream.
pub(super) fn client_builder() -> h2::client::Builder {
    let mut builder = h2::client::Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_header_list_size(HEADER_LIST_BYTES)
        .enable_push(false);
    builder
}

/// Returns when a connection that carries calls has not answered a ping in time.
async fn unanswered(pings: Option<PingPong>, life: &Life) {
    let Some(mut pings) = pings else { return std::future::pending().await };
    loop {
        sleep(PING_EVERY).await;
        if life.calls.get() == 0 {
            continue;
        }
        if pings.send_ping(Ping::opaque()).is_err() {
            return std::future::pending().await; // the connection itself says why it ends
        }
        match timeout(PING_ANSWER, poll_fn(|cx| pings.poll_pong(cx))).await {
            Ok(Ok(_pong)) => {}
            Ok(Err(_ended)) => return std::future::pending().await,
            Err(_elapsed) => return,
        }
    }
}
