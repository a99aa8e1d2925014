//! Finds out which engine a clear-text connection wants, by its first bytes.
//!
//! A connection speaks HTTP/2 exactly when it begins with the 24 bytes of the client preface
//! (RFC 9113, section 3.4); anything else is HTTP/1. The bytes read here are handed on.
//!
//! Not here: TLS and ALPN, which settle the same question before the first byte.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tandem_protocol::refusal::Limit;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::observe::Shard;

/// RFC 9113, section 3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Http1,
    Http2,
}

/// Reads until the bytes can be told apart; gives them back with the answer.
///
/// # Errors
/// `TimedOut` when no byte came within `idle` or the preface was not complete `head` after its
/// first byte, which `shard` counts; `UnexpectedEof` when the caller left without a byte.
pub(crate) async fn find(
    io: &mut TcpStream,
    idle: Duration,
    head: Duration,
    shard: &Shard,
) -> io::Result<(Engine, Bytes)> {
    let mut first = BytesMut::with_capacity(1024);
    let mut deadline = Instant::now() + idle;
    loop {
        let Ok(read) = timeout_at(deadline, io.read_buf(&mut first)).await else {
            shard.count_limit(if first.is_empty() { Limit::KeepAlive } else { Limit::HeadRead });
            return Err(io::Error::from(io::ErrorKind::TimedOut));
        };
        let read = read?;
        if let Some(engine) = engine_of(&first) {
            return Ok((engine, first.freeze()));
        }
        if read == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        if first.len() == read {
            deadline = Instant::now() + head;
        }
    }
}

/// What `bytes` decide; `None` while they could still become either.
fn engine_of(bytes: &[u8]) -> Option<Engine> {
    let known = bytes.len().min(PREFACE.len());
    if bytes[..known] != PREFACE[..known] {
        Some(Engine::Http1)
    } else if known == PREFACE.len() {
        Some(Engine::Http2)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preface_decides_at_its_last_byte_and_anything_else_at_the_first_difference() {
        assert_eq!(engine_of(b""), None);
        assert_eq!(engine_of(b"P"), None);
        assert_eq!(engine_of(&PREFACE[..23]), None);
        assert_eq!(engine_of(PREFACE), Some(Engine::Http2));
        assert_eq!(engine_of(b"POST /v1"), Some(Engine::Http1));
        assert_eq!(engine_of(b"PRI * HTTP/1.1\r\n"), Some(Engine::Http1));
        assert_eq!(engine_of(b"\x16\x03\x01"), Some(Engine::Http1));
    }
}
