//! The only place of the gateway that opens a socket.
//!
//! Listening sockets, accepted streams, connections to upstreams, names resolved: all pass here,
//! so that a simulation can put its own network behind these few functions, and so that rules on
//! addresses have one place to stand.
//!
//! Not here: what is spoken over a stream (`listen`, `upstream`).

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

/// Connections that the kernel keeps for us while the acceptor is busy.
const BACKLOG: i32 = 1024;

/// Opens a listening socket; port 0 takes a free one.
///
/// # Errors
/// What the system says: the port is taken, the address is not ours, no right.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restarted gateway may listen again at once, while old connections still time out.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Makes a stream that another thread accepted belong to this thread's loop.
///
/// # Errors
/// When the loop cannot watch it (out of descriptors).
pub fn adopt(stream: std::net::TcpStream) -> io::Result<TcpStream> {
    stream.set_nonblocking(true)?;
    // Small messages must not wait for more (Nagle): a call is one small write.
    stream.set_nodelay(true)?;
    TcpStream::from_std(stream)
}

/// Connects to `address` within `limit`.
///
/// # Errors
/// `TimedOut` after `limit`, else what the system says.
pub async fn connect(address: SocketAddr, limit: Duration) -> io::Result<TcpStream> {
    match tokio::time::timeout(limit, TcpStream::connect(address)).await {
        Ok(connected) => {
            let stream = connected?;
            stream.set_nodelay(true)?;
            Ok(stream)
        }
        Err(_elapsed) => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("no connection within {} ms", limit.as_millis()),
        )),
    }
}

/// The addresses of `host`, at most `most`, in the system's order.
///
/// # Errors
/// What the resolver says; an answer without addresses is `NotFound`.
pub async fn resolve(host: &str, port: u16, most: usize) -> io::Result<Vec<SocketAddr>> {
    let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await?.take(most).collect();
    if found.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    Ok(found)
}

/// Raises the soft limit of open descriptors to the hard one and says what it is then.
///
/// # Errors
/// When the system refuses to tell or to raise.
pub fn raise_descriptor_limit() -> io::Result<u64> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(hard)
}

/// The processor cores that this process may use, in the system's numbering.
pub fn allowed_cores() -> Vec<usize> {
    let Ok(set) = nix::sched::sched_getaffinity(nix::unistd::Pid::from_raw(0)) else {
        return vec![0];
    };
    let cores: Vec<usize> = (0..nix::sched::CpuSet::count())
        .filter(|core| set.is_set(*core).unwrap_or(false))
        .collect();
    if cores.is_empty() { vec![0] } else { cores }
}

/// Pins the calling thread to `core`.
///
/// # Errors
/// When the system refuses; the thread then runs where it is put.
pub fn pin_to(core: usize) -> io::Result<()> {
    let mut set = nix::sched::CpuSet::new();
    set.set(core)?;
    nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &set)?;
    Ok(())
}
