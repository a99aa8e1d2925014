//! A proxy between a gateway and its upstream that does what networks do wrong.
//!
//! It stands on loopback and forwards bytes until a test says otherwise: [`FaultProxy::set`]
//! changes what happens to every connection, open or to come, from that moment on, and
//! [`FaultProxy::reset_all`] ends the open ones with a TCP reset. It counts connections and bytes,
//! so that a test waits for what has happened instead of for a time.
//!
//! Bytes that are not the backend's come from a seed, which is printed.
//!
//! Not here: faults of HTTP/2 and gRPC themselves (`backend`).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

/// What goes wrong; the default is nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    /// New connections are accepted and reset at once.
    pub refuse: bool,
    /// Nothing is forwarded, and everything stays open: the other side has gone without a word.
    pub half_open: bool,
    /// Each piece is held so long, in either direction.
    pub latency: Duration,
    /// Bytes a second from the backend.
    pub bytes_per_second: Option<u64>,
    /// Bytes from the backend that a connection carries before it is reset.
    pub cut_after: Option<u64>,
    /// Bytes from the backend that a connection carries before nonsense follows.
    pub garbage_after: Option<u64>,
    /// Time between the backend's close and the gateway's learning of it.
    pub slow_close: Duration,
}

/// What has happened so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections accepted.
    pub connections: u64,
    /// Connections open now.
    pub open: u64,
    /// Bytes from the gateway.
    pub from_gateway: u64,
    /// Bytes to the gateway.
    pub to_gateway: u64,
}

/// A running proxy; ends with all its connections when it is dropped.
pub struct FaultProxy {
    /// Where the gateway connects.
    pub address: SocketAddr,
    faults: watch::Sender<Faults>,
    resets: watch::Sender<u64>,
    counters: Arc<Counters>,
    // Wakes those who wait for a count.
    changed: watch::Receiver<()>,
    _stop: watch::Sender<()>,
}

struct Counters {
    connections: AtomicU64,
    open: AtomicU64,
    from_gateway: AtomicU64,
    to_gateway: AtomicU64,
    seed: u64,
    changed: watch::Sender<()>,
}

impl FaultProxy {
    /// Starts it on a free port of this machine, in front of `backend`.
    pub fn start(backend: SocketAddr) -> FaultProxy {
        FaultProxy::start_seeded(backend, 0x7461_6e64_656d)
    }

    /// As [`FaultProxy::start`], with the seed of a run that is to be repeated.
    pub fn start_seeded(backend: SocketAddr, seed: u64) -> FaultProxy {
        let (faults, faults_now) = watch::channel(Faults::default());
        let (resets, resets_now) = watch::channel(0);
        let (tell, changed) = watch::channel(());
        let (stop, mut stopped) = watch::channel(());
        let counters = Arc::new(Counters {
            connections: AtomicU64::new(0),
            open: AtomicU64::new(0),
            from_gateway: AtomicU64::new(0),
            to_gateway: AtomicU64::new(0),
            seed,
            changed: tell,
        });
        let (say, heard) = std::sync::mpsc::sync_channel(1);
        let counted = Arc::clone(&counters);
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a loop");
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                let _ = say.send(listener.local_addr().expect("it is bound"));
                let accepting = async {
                    loop {
                        let (stream, _) = listener.accept().await.expect("a connection");
                        let number = counted.connections.fetch_add(1, Ordering::Relaxed);
                        counted.open.fetch_add(1, Ordering::Relaxed);
                        counted.tell();
                        let relay = Relay {
                            backend,
                            number,
                            faults: faults_now.clone(),
                            resets: resets_now.clone(),
                            counters: Arc::clone(&counted),
                        };
                        start(relay.run(stream));
                    }
                };
                tokio::select! {
                    () = accepting => {}
                    _ = stopped.changed() => {}
                }
            });
        });
        let address = heard.recv().expect("the proxy starts");
        FaultProxy { address, faults, resets, counters, changed, _stop: stop }
    }

    /// From now on this goes wrong, and nothing else.
    pub fn set(&self, faults: Faults) {
        self.faults.send_replace(faults);
    }

    /// From now on nothing goes wrong.
    pub fn heal(&self) {
        self.set(Faults::default());
    }

    /// Ends every open connection with a TCP reset.
    pub fn reset_all(&self) {
        self.resets.send_modify(|resets| *resets += 1);
    }

    pub fn counts(&self) -> Counts {
        let Counters { connections, open, from_gateway, to_gateway, seed: _, changed: _ } =
            &*self.counters;
        Counts {
            connections: connections.load(Ordering::Relaxed),
            open: open.load(Ordering::Relaxed),
            from_gateway: from_gateway.load(Ordering::Relaxed),
            to_gateway: to_gateway.load(Ordering::Relaxed),
        }
    }

    /// Waits until the counts are as `wanted` says; fails the test after 20 s.
    pub async fn until(&self, wanted: impl Fn(Counts) -> bool) {
        let mut changed = self.changed.clone();
        let waited = async {
            while !wanted(self.counts()) {
                changed.changed().await.expect("the proxy runs");
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(20), waited).await;
        assert!(waited.is_ok(), "not in time: {:?}", self.counts());
    }
}

impl Counters {
    fn tell(&self) {
        self.changed.send_replace(());
    }
}

#[expect(clippy::disallowed_methods, reason = "the proxy is no part of the gateway")]
fn start(future: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(future);
}

/// One connection.
struct Relay {
    backend: SocketAddr,
    number: u64,
    faults: watch::Receiver<Faults>,
    resets: watch::Receiver<u64>,
    counters: Arc<Counters>,
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Closed,
    Reset,
}

impl Relay {
    async fn run(mut self, mut gateway: TcpStream) {
        let end = self.carry(&mut gateway).await;
        if end == End::Reset {
            // Without time to linger a close is a reset.
            let _ = SockRef::from(&gateway).set_linger(Some(Duration::ZERO));
        }
        drop(gateway);
        self.counters.open.fetch_sub(1, Ordering::Relaxed);
        self.counters.tell();
    }

    async fn carry(&mut self, gateway: &mut TcpStream) -> End {
        if self.faults.borrow().refuse {
            return End::Reset;
        }
        let Ok(mut backend) = TcpStream::connect(self.backend).await else { return End::Reset };
        let _ = gateway.set_nodelay(true);
        let _ = backend.set_nodelay(true);
        let mut resets = self.resets.clone();
        resets.mark_unchanged();
        let (from_gateway, to_gateway) = gateway.split();
        let (from_backend, to_backend) = backend.split();
        let up = self.up(from_gateway, to_backend);
        let down = self.down(from_backend, to_gateway);
        let both = async {
            tokio::pin!(up, down);
            tokio::select! {
                // The gateway has closed: nobody reads what the backend still says.
                ended = &mut up => ended,
                ended = &mut down => ended,
            }
        };
        tokio::select! {
            ended = both => ended.unwrap_or(End::Reset),
            _ = resets.changed() => End::Reset,
        }
    }

    async fn up(&self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> io::Result<End> {
        let mut faults = self.faults.clone();
        let mut piece = vec![0; 16 * 1024];
        loop {
            let read = from.read(&mut piece).await?;
            if read == 0 {
                return Ok(End::Closed);
            }
            self.counters.from_gateway.fetch_add(read as u64, Ordering::Relaxed);
            self.counters.tell();
            self.hold(&mut faults).await;
            to.write_all(&piece[..read]).await?;
        }
    }

    async fn down(&self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> io::Result<End> {
        let mut faults = self.faults.clone();
        let mut piece = vec![0; 16 * 1024];
        let mut carried = 0_u64;
        loop {
            let read = from.read(&mut piece).await?;
            self.hold(&mut faults).await;
            let Faults { bytes_per_second, cut_after, garbage_after, slow_close, .. } =
                faults.borrow_and_update().clone();
            if read == 0 {
                sleep(slow_close).await;
                return Ok(End::Closed);
            }
            let left = |after: Option<u64>| {
                let left = after?.saturating_sub(carried);
                usize::try_from(left).ok().filter(|left| *left < read)
            };
            let kept = left(cut_after).unwrap_or(read);
            if let Some(good) = left(garbage_after) {
                self.spoil(&mut piece[good..kept.max(good)], carried);
            }
            if let Some(rate) = bytes_per_second {
                sleep(Duration::from_secs_f64(kept as f64 / rate.max(1) as f64)).await;
            }
            carried += kept as u64;
            // Counted first: who has read a byte finds it counted.
            self.counters.to_gateway.fetch_add(kept as u64, Ordering::Relaxed);
            self.counters.tell();
            to.write_all(&piece[..kept]).await?;
            if kept < read {
                return Ok(End::Reset);
            }
        }
    }

    /// The time that a piece waits: its latency, and as long as the connection is half open.
    async fn hold(&self, faults: &mut watch::Receiver<Faults>) {
        let latency = faults.borrow_and_update().latency;
        if !latency.is_zero() {
            sleep(latency).await;
        }
        // An error means that the proxy ends, and its connections with it.
        let _ = faults.wait_for(|faults| !faults.half_open).await;
    }

    fn spoil(&self, bytes: &mut [u8], carried: u64) {
        let seed = self.counters.seed;
        eprintln!("fault proxy: nonsense on connection {} from seed {seed:#x}", self.number);
        let mut state = seed ^ (self.number << 32) ^ carried;
        for byte in bytes {
            *byte = draw(&mut state);
        }
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014): small, and the same everywhere.
fn draw(state: &mut u64) -> u8 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A backend that answers each line with itself, and one that the proxy stands before.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        start(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                start(async move {
                    let (mut from, mut to) = stream.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        address
    }

    async fn say(stream: &mut TcpStream, text: &[u8]) -> io::Result<Vec<u8>> {
        stream.write_all(text).await?;
        let mut answer = vec![0; text.len()];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    }

    #[tokio::test]
    async fn it_forwards_and_counts_until_it_resets() {
        let proxy = FaultProxy::start(echo().await);
        let mut stream = TcpStream::connect(proxy.address).await.unwrap();
        assert_eq!(say(&mut stream, b"hello").await.unwrap(), b"hello");
        let expected = Counts { connections: 1, open: 1, from_gateway: 5, to_gateway: 5 };
        assert_eq!(proxy.counts(), expected);
        proxy.reset_all();
        let error = stream.read(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        proxy.until(|counts| counts.open == 0).await;
        // A reset ends what stood then, not what comes.
        let mut stream = TcpStream::connect(proxy.address).await.unwrap();
        assert_eq!(say(&mut stream, b"again").await.unwrap(), b"again");
    }

    #[tokio::test]
    async fn it_cuts_spoils_and_holds() {
        let proxy = FaultProxy::start(echo().await);
        proxy.set(Faults { cut_after: Some(3), ..Faults::default() });
        let mut stream = TcpStream::connect(proxy.address).await.unwrap();
        stream.write_all(b"hello").await.unwrap();
        // A reset may overtake what was sent before it, so the bytes are counted at the proxy.
        let mut answer = Vec::new();
        assert!(stream.read_to_end(&mut answer).await.is_err());
        assert!(b"hel".starts_with(&answer), "{answer:?}");
        assert_eq!(proxy.counts().to_gateway, 3);

        proxy.set(Faults { garbage_after: Some(2), ..Faults::default() });
        let mut stream = TcpStream::connect(proxy.address).await.unwrap();
        let answer = say(&mut stream, b"hello").await.unwrap();
        assert_eq!(&answer[..2], b"he");
        assert_ne!(&answer[2..], b"llo");

        proxy.set(Faults { half_open: true, ..Faults::default() });
        let mut stream = TcpStream::connect(proxy.address).await.unwrap();
        let before = proxy.counts().from_gateway;
        stream.write_all(b"hello").await.unwrap();
        proxy.until(|counts| counts.from_gateway == before + 5).await;
        let silent = tokio::time::timeout(Duration::from_millis(50), stream.read_u8()).await;
        assert!(silent.is_err(), "nothing is forwarded: {silent:?}");
        proxy.heal();
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"hello");

        proxy.set(Faults { refuse: true, ..Faults::default() });
        // The reset may come before the connection is seen to stand.
        if let Ok(mut stream) = TcpStream::connect(proxy.address).await {
            assert!(say(&mut stream, b"x").await.is_err());
        }
    }
}
