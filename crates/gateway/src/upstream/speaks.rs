//! Finds out what a server speaks: HTTP/2 in clear text (h2c), HTTP/2 over TLS, or neither.
//!
//! The server is sent what every HTTP/2 connection begins with (RFC 9113, section 3.4), and the
//! first bytes that come back say what it is. Where they do not, because a TLS server often closes
//! without a word, TLS is tried as well.
//!
//! For the command line, which is told addresses and nothing else; a gateway is told by its
//! documents.
//!
//! Not here: what the server serves (`reflection`).

use std::net::SocketAddr;
use std::time::Duration;

use rustls::AlertDescription;
use tandem_config::document::Tls;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::client::TlsStream;

use super::tls::{Client, ShakeError};
use super::{Upstream, addresses};
use crate::net;

/// What a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    ClearText,
    Tls,
}

/// Why it is not known, or of no use.
#[derive(Debug, thiserror::Error)]
pub enum NotSpoken {
    /// `step` is `resolve`, `connect` or `first word`.
    #[error("{address}: {step} failed after {} ms: {what}", after.as_millis())]
    Unreachable { address: String, step: &'static str, after: Duration, what: String },
    /// TLS, with a certificate that none of the roots at hand vouches for.
    #[error("{address} speaks TLS, and its certificate is not accepted: {what}")]
    Certificate { address: SocketAddr, what: String },
    #[error("{address} speaks TLS, and wants a client certificate")]
    ClientCertificate { address: SocketAddr },
    /// TLS, and not as it is needed: no HTTP/2 in it.
    #[error("{address} speaks TLS: {what}")]
    Tls { address: SocketAddr, what: String },
    #[error("{address} speaks neither HTTP/2 in clear text nor TLS: {what}")]
    Neither { address: SocketAddr, what: String },
}

/// The beginning of every connection of HTTP/2, and empty settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// How long a server may take to say its first word where nobody has asked.
const SPEAKS_AT_ONCE: Duration = Duration::from_millis(500);
/// As much of an answer as says what it is: the head of a frame.
const HEAD: usize = 9;

/// Asks the first address of `upstream` that can be connected, in `upstream.connect` for each
/// step. With `tls` a certificate is judged by it; without, none is accepted, and the answer of a
/// TLS server is [`NotSpoken::Certificate`]. `host` is the name that a certificate must have where
/// `tls` does not say.
///
/// # Errors
/// Nobody is there, or what speaks there is nothing that a gateway can use.
pub async fn ask(upstream: &Upstream, tls: Option<&Tls>, host: &str) -> Result<Speaks, NotSpoken> {
    let began = Instant::now();
    let unreachable = |address: String, step, what: String| NotSpoken::Unreachable {
        address,
        step,
        after: began.elapsed(),
        what,
    };
    let all = addresses(upstream)
        .await
        .map_err(|(address, what)| unreachable(address, "resolve", what))?;
    let mut last = unreachable(upstream.name.to_string(), "resolve", "no address".into());
    for address in all {
        let stream = match connect(upstream, address).await {
            Ok(stream) => stream,
            Err(what) => {
                last = unreachable(address.to_string(), "connect", what);
                continue;
            }
        };
        return match first_word(stream, Instant::now() + upstream.connect).await {
            Word::Http2 => Ok(Speaks::ClearText),
            Word::Http1 => {
                let what = "it answers in HTTP/1, and gRPC needs HTTP/2".into();
                Err(NotSpoken::Neither { address, what })
            }
            Word::Other(what) => over_tls(upstream, address, tls, host, what).await,
            Word::None(what) => match over_tls(upstream, address, tls, host, what).await {
                Err(NotSpoken::Neither { what, .. }) => {
                    Err(unreachable(address.to_string(), "first word", what))
                }
                said => said,
            },
        };
    }
    Err(last)
}

async fn connect(upstream: &Upstream, address: SocketAddr) -> Result<TcpStream, String> {
    let connected = net::connect_upstream(
        address,
        upstream.loopback,
        &upstream.own_listeners,
        upstream.connect,
    )
    .await;
    connected.map_err(|error| error.to_string())
}

/// What the server said first.
enum Word {
    Http2,
    Http1,
    /// Something else.
    Other(String),
    /// Nothing, and how that was.
    None(String),
}

async fn first_word(mut stream: TcpStream, end: Instant) -> Word {
    let mut head = [0; HEAD];
    let mut read = 0;
    let talk = async {
        stream.write_all(PREFACE).await?;
        while read < HEAD {
            match stream.read(&mut head[read..]).await? {
                0 => break,
                more => read += more,
            }
        }
        std::io::Result::Ok(())
    };
    let ended = timeout_at(end, talk).await;
    match (&head[..read], ended) {
        // SETTINGS come first, on stream 0 (RFC 9113, sections 3.4 and 4.1).
        ([_, _, _, 4, _, 0, 0, 0, 0], _) => Word::Http2,
        (b"HTTP/1.0 " | b"HTTP/1.1 ", _) => Word::Http1,
        ([], Ok(Err(error))) => Word::None(error.to_string()),
        ([], Ok(Ok(()))) => Word::None("it closed the connection without a word".into()),
        ([], Err(_elapsed)) => Word::None("it takes connections and says nothing".into()),
        (some, _) => Word::Other(format!("it began with the bytes {}", bytes(some))),
    }
}

fn bytes(some: &[u8]) -> String {
    some.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

async fn over_tls(
    upstream: &Upstream,
    address: SocketAddr,
    tls: Option<&Tls>,
    host: &str,
    clear_text: String,
) -> Result<Speaks, NotSpoken> {
    let neither = |what| Err(NotSpoken::Neither { address, what });
    let nobody = Tls { roots: Vec::new(), name: None, identity: None };
    let client = Client::new(tls.unwrap_or(&nobody), host);
    let stream = match connect(upstream, address).await {
        Ok(stream) => stream,
        Err(what) => return neither(format!("{clear_text}; a second time {what}")),
    };
    match timeout_at(Instant::now() + upstream.connect, client.shake(stream)).await {
        Ok(Ok(stream)) => match is_refused(stream).await {
            true => Err(NotSpoken::ClientCertificate { address }),
            false => Ok(Speaks::Tls),
        },
        Ok(Err(ShakeError::Certificate(what))) => Err(NotSpoken::Certificate { address, what }),
        Ok(Err(error @ (ShakeError::NoHttp2 | ShakeError::Failed(_)))) => {
            Err(NotSpoken::Tls { address, what: error.to_string() })
        }
        Ok(Err(ShakeError::Unusable(what))) => Err(NotSpoken::Tls { address, what }),
        Ok(Err(ShakeError::NotTls(_))) | Err(_) => neither(clear_text),
    }
}

/// Whether the server has shaken hands and then wants to know who calls: in TLS 1.3 it says so
/// afterwards (RFC 8446, section 4.4.2.4). Nothing is sent meanwhile, for a reset by a server that
/// has not read it could overtake the alert. Servers of HTTP/2 speak at once, so few are waited for.
async fn is_refused(mut stream: TlsStream<TcpStream>) -> bool {
    let mut first = [0];
    let Ok(Err(error)) = timeout(SPEAKS_AT_ONCE, stream.read(&mut first)).await else {
        return false;
    };
    let wants = rustls::Error::AlertReceived(AlertDescription::CertificateRequired);
    error.get_ref().and_then(|inner| inner.downcast_ref()) == Some(&wants)
}
