//! A caller's connection whose incoming bytes are kept, to be read as frames of HTTP/2.
//!
//! The HTTP/2 library tells its user that a connection goes away, and not how: the frames do
//! (RFC 9113, section 6.8).

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

const FRAME_HEAD: usize = 9;
const GOAWAY: u8 = 7;

/// A GOAWAY as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GoAway {
    pub last_stream: u32,
    pub code: u32,
}

/// The bytes that have come so far.
#[derive(Debug, Clone, Default)]
pub struct Tap(Arc<Mutex<Vec<u8>>>);

impl Tap {
    /// The GOAWAYs among them, in their order.
    pub fn go_aways(&self) -> Vec<GoAway> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rest = &bytes[..];
        let mut found = Vec::new();
        while let Some((head, behind)) = rest.split_at_checked(FRAME_HEAD) {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let Some((payload, next)) = behind.split_at_checked(length) else { break };
            if head[3] == GOAWAY
                && let [a, b, c, d, e, f, g, h, ..] = *payload
            {
                let last_stream = u32::from_be_bytes([a & 0x7f, b, c, d]);
                found.push(GoAway { last_stream, code: u32::from_be_bytes([e, f, g, h]) });
            }
            rest = next;
        }
        found
    }
}

/// A connection that is tapped.
pub struct Tapped {
    io: TcpStream,
    tap: Tap,
}

impl Tapped {
    pub async fn connect(address: SocketAddr) -> (Tapped, Tap) {
        let io = TcpStream::connect(address).await.expect("a connection");
        let tap = Tap::default();
        (Tapped { io, tap: tap.clone() }, tap)
    }
}

impl AsyncRead for Tapped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(cx, buffer);
        let mut kept = self.tap.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(&buffer.filled()[before..]);
        polled
    }
}

impl AsyncWrite for Tapped {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
