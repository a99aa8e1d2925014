//! An upstream that says GOAWAY to the first stream of each connection, and means that stream.
//!
//! The HTTP/2 library's server only goes away after the streams it has begun, so the few frames
//! are written here by hand (RFC 9113, sections 4.1, 6.5, 6.7 and 6.8). After a number of connections
//! it lets them through to a backend.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::acceptor::Acceptor;

const PREFACE_BYTES: usize = 24;
const HEADERS: u8 = 1;
const PING: u8 = 6;
const ACK: u8 = 1;
/// Empty settings.
const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
/// NO_ERROR, and no stream was begun.
const GO_AWAY: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// A running refuser; ends when it is dropped.
pub struct Refuser {
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
    _acceptor: Acceptor,
}

impl Refuser {
    /// Goes away on its first `refused` connections and forwards the others to `backend`.
    pub fn start(refused: usize, backend: SocketAddr) -> Refuser {
        let connections: Arc<AtomicUsize> = Arc::default();
        let counted = Arc::clone(&connections);
        let acceptor = Acceptor::start(move |stream| {
            let number = counted.fetch_add(1, Ordering::Relaxed);
            async move {
                // The other side may go at any time.
                let _ = match number < refused {
                    true => refuse(stream).await,
                    false => forward(stream, backend).await,
                };
            }
        });
        Refuser { address: acceptor.address, connections, _acceptor: acceptor }
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

async fn refuse(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.write_all(&SETTINGS).await?;
    stream.read_exact(&mut [0; PREFACE_BYTES]).await?;
    let mut told = false;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload).await?;
        if head[3] == PING && head[4] & ACK == 0 {
            head[4] |= ACK;
            stream.write_all(&[&head[..], &payload].concat()).await?;
        }
        if head[3] == HEADERS && !std::mem::replace(&mut told, true) {
            stream.write_all(&GO_AWAY).await?;
        }
    }
}

async fn forward(mut stream: TcpStream, backend: SocketAddr) -> std::io::Result<()> {
    let mut backend = TcpStream::connect(backend).await?;
    tokio::io::copy_bidirectional(&mut stream, &mut backend).await?;
    Ok(())
}
