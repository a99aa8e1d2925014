//! Listeners: one acceptor each, which hands connections to the data threads.
//!
//! The acceptor counts connections, in all and by source, before it takes one (security LI-1),
//! and gives each to the data thread with the fewest open streams. From there on the connection
//! belongs to that thread: protocol found, engine picked, calls carried (performance PF-1).
//!
//! Not here: what a call means (`path`), TLS.

mod http1;
mod http2;
pub mod null;
mod preface;
pub(crate) mod wire;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tandem_config::document::Network;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::preface::Engine;
use self::wire::{Activity, Clocks, Reading, Wire};
use crate::net;
use crate::observe::Totals;
use crate::outbox::Outbox;
use crate::thread::{Doors, Drain, Thread};

/// What a listener is called and whom it serves.
#[derive(Debug, Clone)]
pub struct Listener {
    /// Its key under `listen`.
    pub name: Arc<str>,
    /// Whether methods marked `internal` are found here (hybrid HY-1).
    pub internal: bool,
    /// The hosts it answers; empty for namespaces that claim none.
    pub hosts: Vec<String>,
    /// Networks whose marked copies of calls are carried; others are refused (compare M-5).
    pub mirrored: Vec<Network>,
    /// Whether callers may ask it for descriptors.
    pub reflection: bool,
    /// Whether callers may ask it for its health.
    pub health: bool,
}

/// Where a call came in.
pub(crate) struct Origin {
    pub(crate) listener: Arc<Listener>,
    pub(crate) peer: SocketAddr,
}

/// A connection on its way from the acceptor to its data thread.
pub(crate) struct Accepted {
    stream: std::net::TcpStream,
    peer: SocketAddr,
    listener: Arc<Listener>,
    _places: Places,
}

/// The places that a connection takes in the counts of LI-1; given back when it ends.
struct Places {
    _total: OwnedSemaphorePermit,
    source: Source,
}

struct Source {
    address: IpAddr,
    counts: Arc<Mutex<HashMap<IpAddr, u32>>>,
}

impl Drop for Source {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// The counts of connections over all listeners of the process.
#[derive(Clone)]
pub(crate) struct Room {
    total: Arc<Semaphore>,
    per_source: u32,
    // A lock, but only acceptors and ending connections take it, never a call.
    sources: Arc<Mutex<HashMap<IpAddr, u32>>>,
}

impl Room {
    pub(crate) fn new(connections: u32, per_source: u32) -> Room {
        Room {
            total: Arc::new(Semaphore::new(connections as usize)),
            per_source,
            sources: Arc::default(),
        }
    }

    fn source(&self, address: IpAddr) -> Option<Source> {
        let mut counts = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_insert(0);
        if *count >= self.per_source {
            return None;
        }
        *count += 1;
        Some(Source { address, counts: Arc::clone(&self.sources) })
    }
}

/// How long the acceptor rests when the system has no descriptor for it (security R-10).
const REST: Duration = Duration::from_millis(100);

/// Accepts until the drain begins.
pub(crate) async fn accept(
    socket: TcpListener,
    listener: Arc<Listener>,
    room: Room,
    doors: Doors,
    totals: Arc<Totals>,
    mut drain: Drain,
) {
    loop {
        // At the limit nothing is accepted: callers wait in the kernel's backlog.
        let total = match Arc::clone(&room.total).try_acquire_owned() {
            Ok(total) => total,
            Err(_none_free) => {
                totals.count_accept_pause();
                match Arc::clone(&room.total).acquire_owned().await {
                    Ok(total) => total,
                    Err(_closed) => return,
                }
            }
        };
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            () = drain.begun() => return,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                if out_of_descriptors(&error) {
                    tracing::warn!(%error, "accept pauses");
                    tokio::time::sleep(REST).await;
                }
                continue;
            }
        };
        let Some(source) = room.source(peer.ip()) else {
            totals.count_connection_refused();
            continue; // dropping the stream closes it
        };
        let Ok(stream) = stream.into_std() else { continue };
        let listener = Arc::clone(&listener);
        doors.hand_over(Accepted {
            stream,
            peer,
            listener,
            _places: Places { _total: total, source },
        });
    }
}

fn out_of_descriptors(error: &io::Error) -> bool {
    use nix::errno::Errno;
    matches!(
        error.raw_os_error().map(Errno::from_raw),
        Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM)
    )
}

/// Serves one connection on its data thread until it ends.
// No `async fn`: it would hold what it is given and what that was taken apart into.
pub(crate) fn serve(thread: Rc<Thread>, accepted: Accepted) -> impl Future<Output = ()> {
    let Accepted { stream, peer, listener, _places: places } = accepted;
    debug_assert_eq!(places.source.address, peer.ip());
    async move {
        let _held = &places;
        let _connection = thread.observe.connection_opened();
        let io = match net::adopt(stream) {
            Ok(io) => io,
            Err(error) => return tracing::warn!(%error, "a connection could not be served"),
        };
        let Some((io, engine, first)) = find(&thread, io).await else { return };
        let limits = &thread.limits;
        let clocks = Clocks {
            head_read: limits.head_read,
            keep_alive: limits.keep_alive,
            stalled_write: limits.stalled_write,
        };
        let activity = Activity::new();
        // Connections that were opened together do not come back together.
        let age = limits.connection_age.mul_f64(rand::random_range(0.9..=1.0));
        let reading = match engine {
            Engine::Http1 => Reading::Http1,
            Engine::Http2 => Reading::Http2,
        };
        let shard = Rc::clone(&thread.observe);
        let wire = Wire::new(io, first, reading, clocks, Rc::clone(&activity), shard);
        let origin = Rc::new(Origin { listener, peer });
        match engine {
            Engine::Http1 => http1::serve(thread, origin, wire, activity, age).await,
            Engine::Http2 => {
                http2::serve(thread, origin, Outbox::new(wire), activity, age).await;
            }
        }
    }
}

/// Finds out what the caller of `io` speaks. A future of its own, whose room is the engine's
/// afterwards.
async fn find(thread: &Thread, mut io: TcpStream) -> Option<(TcpStream, Engine, Bytes)> {
    let limits = &thread.limits;
    let mut drain = thread.drain();
    let found = tokio::select! {
        found = preface::find(&mut io, limits.keep_alive, limits.head_read, &thread.observe) => found,
        () = drain.begun() => return None,
    };
    match found {
        Ok((engine, first)) => Some((io, engine, first)),
        Err(error) => {
            tracing::debug!(%error, "a connection said nothing");
            None
        }
    }
}
