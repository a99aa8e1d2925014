//! The only place of the gateway that opens a socket.
//!
//! Listening sockets, accepted streams, connections to upstreams, names resolved: all pass here,
//! so that a simulation can put its own network behind these few functions, and so that rules on
//! addresses have one place to stand.
//!
//! Not here: what is spoken over a stream (`listen`, `upstream`).

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tandem_config::document::{forbidden, is_listener};
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

/// Connects to an upstream's address, if anybody may: the last look at an address, after names
/// were resolved (security RB-8, T-3). `loopback` is what the platform granted, `own` where the
/// gateway itself listens.
///
/// # Errors
/// `PermissionDenied` for an address that no upstream may have, else as [`connect`].
pub async fn connect_upstream(
    address: SocketAddr,
    loopback: bool,
    own: &[SocketAddr],
    limit: Duration,
) -> io::Result<TcpStream> {
    let no = |why| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    if let Some(why) = denied(address.ip(), loopback) {
        return no(why);
    }
    let here = |ours: &dyn Fn(IpAddr) -> bool| is_listener(address, own, ours);
    if here(&|address| address.is_loopback()) {
        return no(OWN);
    }
    let stream = connect(address, limit).await?;
    // The machine speaks to an address of its own from that address. Nothing has been sent.
    let from = stream.local_addr()?.ip().to_canonical();
    if here(&|address| address == from) {
        return no(OWN);
    }
    Ok(stream)
}

const OWN: &str = "the gateway itself listens there";

fn denied(address: IpAddr, loopback: bool) -> Option<&'static str> {
    let here = address.to_canonical().is_loopback();
    forbidden(address).or_else(|| {
        (here && !loopback).then_some("the platform has not granted addresses of this machine")
    })
}

type Lookup = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// Who knows the addresses of names: the system, or a test. Cheap to clone.
#[derive(Clone)]
pub struct Names(Arc<dyn Fn(String, u16) -> Lookup + Send + Sync>);

impl Default for Names {
    /// The system's resolver.
    fn default() -> Names {
        Names(Arc::new(|host, port| {
            Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
        }))
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Names").finish_non_exhaustive()
    }
}

impl Names {
    /// Names as `answer` gives them for a host and a port.
    pub fn answered_by(
        answer: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Names {
        Names(Arc::new(move |host, port| Box::pin(std::future::ready(answer(&host, port)))))
    }

    /// The addresses of `host`, at most `most`, each once, in the resolver's order.
    ///
    /// # Errors
    /// What the resolver says; an answer without addresses is `NotFound`.
    pub async fn resolve(&self, host: &str, port: u16, most: usize) -> io::Result<Vec<SocketAddr>> {
        let mut found = Vec::new();
        for address in (self.0)(host.to_owned(), port).await? {
            if found.len() < most && !found.contains(&address) {
                found.push(address);
            }
        }
        if found.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
        }
        Ok(found)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_rb_8_addresses_are_judged_as_they_are_connected() {
        for (address, with_grant, without) in [
            ("10.0.0.1", true, true),
            ("192.168.0.1", true, true),
            ("2001:db8::1", true, true),
            ("127.0.0.1", true, false),
            ("127.255.255.254", true, false),
            ("::1", true, false),
            ("::ffff:127.0.0.1", true, false),
            ("169.254.169.254", false, false),
            ("::ffff:169.254.169.254", false, false),
            ("fe80::1", false, false),
            ("168.63.129.16", false, false),
            ("fd00:ec2::254", false, false),
            ("0.0.0.0", false, false),
            ("0.1.2.3", false, false),
            ("::", false, false),
            ("224.0.0.1", false, false),
            ("255.255.255.255", false, false),
            ("ff02::1", false, false),
        ] {
            let parsed = address.parse().unwrap();
            assert_eq!(denied(parsed, true).is_none(), with_grant, "{address}");
            assert_eq!(denied(parsed, false).is_none(), without, "{address}");
        }
    }

    #[tokio::test]
    async fn security_u_2_answers_are_bounded_and_never_empty() {
        let many = Names::answered_by(|_host, port| {
            let address = |n: u32| IpAddr::from((0x0a00_0000 + n).to_be_bytes());
            Ok((0..1000).map(|n| (address(n), port).into()).collect())
        });
        assert_eq!(many.resolve("many", 1, 256).await.unwrap().len(), 256);
        let twice = Names::answered_by(|_host, port| Ok(vec![([10, 0, 0, 1], port).into(); 3]));
        assert_eq!(twice.resolve("twice", 1, 256).await.unwrap().len(), 1);
        let none = Names::answered_by(|_host, _port| Ok(Vec::new()));
        let error = none.resolve("none", 1, 256).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
