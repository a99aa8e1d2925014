//! Memory while an upstream sends as fast as it can and callers read slowly.
//!
//! A gateway that takes from the upstream only what its callers take keeps its memory, however
//! long the streams last; one that reads ahead without a bound grows with the difference. The
//! backend sends orders without an end on [`CALLERS`] streams, each on a connection of its own;
//! each caller reads [`PACE_BYTES`] a second. What the backend could send ahead of what was read
//! lies in the gateway and in the kernel's socket buffers on both sides of it.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use crate::backend::Backend;
use crate::load::http2;
use crate::orders::{self, Orders, Size};
use crate::peer::{Peer, Speaks, Target};
use crate::process::Outcome;

const CALLERS: usize = 16;
const PACE_BYTES: usize = 64 * 1024;
const TICK: Duration = Duration::from_millis(250);
/// The window of a caller that asks for nothing else (RFC 9113, section 6.9.2).
const WINDOW_BYTES: u32 = 65_535;
const RECEIVE_BUFFER_BYTES: u32 = 64 * 1024;
const SAMPLE: Duration = Duration::from_millis(100);
const MESSAGE: Size = Size::Medium;

/// What one target held.
pub(crate) struct Held {
    name: &'static str,
    peer: Peer,
    /// Before there were callers, and every [`SAMPLE`] from then on.
    resident_bytes: Vec<u64>,
    /// The same for what the backend has sent ahead of what callers have read, in its own bytes.
    ahead_bytes: Vec<u64>,
    sent_bytes: u64,
    /// As callers count them.
    read_bytes: u64,
}

/// Floods `target` for `length`.
pub(crate) async fn run(
    speaks: Speaks,
    target: &Target,
    backend: &Backend,
    orders: &Orders,
    length: Duration,
) -> Outcome<Held> {
    let read = Rc::new(Cell::new(0_u64));
    let mut resident_bytes = vec![resident(target)?];
    let mut ahead_bytes = vec![0];
    let before = backend.sent_bytes();
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (address, read) = (target.address, Rc::clone(&read));
        match speaks {
            Speaks::Grpc => callers.spawn_local(read_grpc(address, read)),
            Speaks::Rest => callers.spawn_local(read_rest(address, read)),
        };
    }
    // A line has another length than the message that it was made of.
    let line = match speaks {
        Speaks::Grpc => 1.0,
        Speaks::Rest => {
            orders.framed(MESSAGE).len() as f64 / (orders.json(MESSAGE).len() + 1) as f64
        }
    };
    let end = Instant::now() + length;
    let mut samples = interval(SAMPLE);
    while Instant::now() < end {
        tokio::select! {
            _ = samples.tick() => {
                let sent = backend.sent_bytes() - before;
                let taken = (read.get() as f64 * line) as u64;
                resident_bytes.push(resident(target)?);
                ahead_bytes.push(sent.saturating_sub(taken));
            }
            Some(ended) = callers.join_next() => {
                let why = ended?.err().unwrap_or_else(|| "it ended".into());
                return Err(format!("{}: a stream without an end: {why}", target.peer.name()).into());
            }
        }
    }
    let sent_bytes = backend.sent_bytes() - before;
    // On a machine that does much else callers are slower than they would be; that they read at
    // all has to be seen.
    let least = (PACE_BYTES * CALLERS) as f64 * length.as_secs_f64() / 8.0;
    if (read.get() as f64) < least {
        return Err(format!("{}: callers got only {} bytes", target.peer.name(), read.get()).into());
    }
    let name = match speaks {
        Speaks::Grpc => "grpc",
        Speaks::Rest => "ndjson",
    };
    let (peer, read_bytes) = (target.peer, read.get());
    Ok(Held { name, peer, resident_bytes, ahead_bytes, sent_bytes, read_bytes })
}

fn resident(target: &Target) -> Outcome<u64> {
    target.running.as_ref().map_or(Ok(0), |running| running.resident_bytes())
}

/// Reads what a tick allows, gives the window back, waits for the next tick.
async fn read_grpc(address: SocketAddr, read: Rc<Cell<u64>>) -> Result<(), String> {
    let said = |error: h2::Error| error.to_string();
    let io = socket()?.connect(address).await.map_err(|error| error.to_string())?;
    let send = http2::connect(io, (WINDOW_BYTES, WINDOW_BYTES)).await;
    let mut send = send.map_err(|error| error.to_string())?;
    let head = http2::head(address, orders::WATCH);
    let (response, mut stream) = send.send_request(head, false).map_err(said)?;
    stream.send_data(orders::watch(MESSAGE, 0), true).map_err(said)?;
    let mut body = response.await.map_err(said)?.into_body();
    let mut ticks = ticks();
    loop {
        let next = ticks.tick().await + TICK;
        let mut left = a_tick();
        while left > 0 {
            match timeout_at(next, body.data()).await {
                Ok(Some(data)) => {
                    let bytes = data.map_err(said)?.len();
                    body.flow_control().release_capacity(bytes).map_err(said)?;
                    read.set(read.get() + bytes as u64);
                    left = left.saturating_sub(bytes);
                }
                Ok(None) => return Err("no more messages".into()),
                Err(_elapsed) => break,
            }
        }
    }
}

async fn read_rest(address: SocketAddr, read: Rc<Cell<u64>>) -> Result<(), String> {
    let said = |error: std::io::Error| error.to_string();
    let mut io = socket()?.connect(address).await.map_err(said)?;
    let target = format!("/v1/orders/{}:watch", orders::name(MESSAGE));
    let request =
        format!("GET {target} HTTP/1.1\r\nhost: bench\r\naccept: application/x-ndjson\r\n\r\n");
    io.write_all(request.as_bytes()).await.map_err(said)?;
    let mut buffer = vec![0; a_tick()];
    let mut ticks = ticks();
    loop {
        let next = ticks.tick().await + TICK;
        let mut left = buffer.len();
        while left > 0 {
            match timeout_at(next, io.read(&mut buffer[..left])).await {
                Ok(Ok(0)) => return Err("no more lines".into()),
                Ok(bytes) => {
                    let bytes = bytes.map_err(said)?;
                    if read.get() == 0 && !buffer.starts_with(b"HTTP/1.1 200") {
                        return Err(String::from_utf8_lossy(&buffer[..bytes]).into_owned());
                    }
                    read.set(read.get() + bytes as u64);
                    left -= bytes;
                }
                Err(_elapsed) => break,
            }
        }
    }
}

fn a_tick() -> usize {
    PACE_BYTES * TICK.as_millis() as usize / 1000
}

fn ticks() -> tokio::time::Interval {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// One whose receive buffer does not grow, so that the caller is as slow as it reads.
fn socket() -> Result<TcpSocket, String> {
    let socket = TcpSocket::new_v4().map_err(|error| error.to_string())?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES).map_err(|error| error.to_string())?;
    Ok(socket)
}

pub(crate) fn print(held: &[Held], length: Duration) {
    println!(
        "flood of {:.0} s, {CALLERS} callers that read {} KiB/s each; MiB",
        length.as_secs_f64(),
        PACE_BYTES / 1024
    );
    println!(
        "{:<16}{:<14}{:>10}{:>10}{:>10}{:>10}{:>16}{:>16}{:>12}{:>12}",
        "scenario",
        "through",
        "start",
        "middle",
        "end",
        "most",
        "ahead, middle",
        "ahead, end",
        "sent",
        "read"
    );
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    for Held { name, peer, resident_bytes, ahead_bytes, sent_bytes, read_bytes } in held {
        let most = resident_bytes.iter().max().copied().unwrap_or(0);
        let at = |values: &[u64], part: usize| mib(values[(values.len() - 1) * part / 2]);
        println!(
            "{:<16}{:<14}{:>10.1}{:>10.1}{:>10.1}{:>10.1}{:>16.1}{:>16.1}{:>12.1}{:>12.1}",
            format!("flood-{name}"),
            peer.name(),
            at(resident_bytes, 0),
            at(resident_bytes, 1),
            at(resident_bytes, 2),
            mib(most),
            at(ahead_bytes, 1),
            at(ahead_bytes, 2),
            mib(*sent_bytes),
            mib(*read_bytes),
        );
    }
    println!();
}

/// As an entry of the run's file.
pub(crate) fn results(held: &[Held], length: Duration) -> Map<String, Value> {
    let values: Vec<Value> = held
        .iter()
        .map(|held| {
            json!({
                "scenario": format!("flood-{}", held.name),
                "through": held.peer.name(),
                "seconds": length.as_secs_f64(),
                "callers": CALLERS,
                "caller_bytes_a_second": PACE_BYTES,
                "sample_ms": SAMPLE.as_millis() as u64,
                "resident_bytes": held.resident_bytes,
                "ahead_bytes": held.ahead_bytes,
                "sent_bytes": held.sent_bytes,
                "read_bytes": held.read_bytes,
            })
        })
        .collect();
    let mut entries = Map::new();
    entries.insert("floods".into(), values.into());
    entries
}
