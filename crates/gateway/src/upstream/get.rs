//! One GET by https, of something small that an outside server publishes.
//!
//! No redirect is followed, the server is verified, the address is judged when it is connected like
//! that of any upstream, and a body is read up to a bound (security T-4). HTTP/1, which every such
//! server speaks.
//!
//! Not here: how often, and what came (`policy::auth::keys`); how long it may take (the caller).

use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header;
use http_body::{Body as _, Frame};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls_pki_types::CertificateDer;
use tandem_config::document::{Address, HttpsUrl, Tls};

use super::tls;
use crate::net::{self, Names};

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Get {
    pub(crate) url: HttpsUrl,
    /// Whether it may stand on this machine.
    pub(crate) loopback: bool,
    pub(crate) body_bytes_max: usize,
}

/// Why nothing came; in words for the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotGot {
    #[error("{host}: {step} failed: {what}")]
    Failed { host: String, step: &'static str, what: String },
    #[error("{host} answers with {status}{}", if *redirect { ", and no redirect is followed" } else { "" })]
    Status { host: String, status: u16, redirect: bool },
    #[error("{host} sends more than {most} bytes")]
    TooLarge { host: String, most: usize },
}

const CONNECT: Duration = Duration::from_secs(5);
/// Bytes of an answer's head.
const HEAD_BYTES_MOST: usize = 16 * 1024;

/// Asks once; `roots` vouch for the server.
pub(crate) async fn get(
    asked: &Get,
    roots: &[CertificateDer<'static>],
    names: &Names,
) -> Result<Bytes, NotGot> {
    let Get { url, loopback, body_bytes_max } = asked;
    let host = url.authority.clone();
    let failed = |step, what: String| NotGot::Failed { host: host.clone(), step, what };
    let (name, addresses) = match &url.address {
        Address::Fixed(address) => (address.ip().to_string(), vec![*address]),
        Address::Dns { host, port } => {
            let found = names.resolve(host, *port, 4).await;
            (host.clone(), found.map_err(|error| failed("resolve", error.to_string()))?)
        }
    };
    let stream = connect(&addresses, *loopback).await;
    let stream = stream.map_err(|error| failed("connect", error.to_string()))?;
    let tls = Tls { roots: roots.to_vec(), name: None, identity: None };
    let stream = tls::Client::http1(&tls, &name).shake(stream).await;
    let stream = stream.map_err(|error| failed("TLS", error.to_string()))?;

    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEAD_BYTES_MOST);
    let shaken = builder.handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.map_err(|error| failed("HTTP", error.to_string()))?;
    let request = http::Request::get(&url.path)
        .header(header::HOST, &url.authority)
        .header(header::ACCEPT, "application/json")
        .header(header::USER_AGENT, "tandem")
        .header(header::CONNECTION, "close")
        .body(Nothing)
        .map_err(|error| failed("HTTP", error.to_string()))?;
    let exchange = async {
        let answer = sender.send_request(request).await;
        let answer = answer.map_err(|error| failed("HTTP", error.to_string()))?;
        let status = answer.status();
        if status != http::StatusCode::OK {
            let (status, redirect) = (status.as_u16(), status.is_redirection());
            return Err(NotGot::Status { host: host.clone(), status, redirect });
        }
        match read(answer.into_body(), *body_bytes_max).await {
            Ok(Some(body)) => Ok(body),
            Ok(None) => Err(NotGot::TooLarge { host: host.clone(), most: *body_bytes_max }),
            Err(error) => Err(failed("HTTP", error.to_string())),
        }
    };
    let (mut connection, mut exchange) = (pin!(connection), pin!(exchange));
    let mut over = false;
    loop {
        tokio::select! {
            biased;
            got = &mut exchange => return got,
            // How the connection ended shows in the exchange.
            _ = &mut connection, if !over => over = true,
        }
    }
}

/// The body of a GET.
struct Nothing;

impl http_body::Body for Nothing {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        true
    }
}

async fn connect(
    addresses: &[SocketAddr],
    loopback: bool,
) -> std::io::Result<tokio::net::TcpStream> {
    let mut last = Err(std::io::ErrorKind::NotFound.into());
    for address in addresses {
        // The platform's own word: it names the issuer and the listeners both.
        last = net::connect_upstream(*address, loopback, &[], CONNECT).await;
        if last.is_ok() {
            break;
        }
    }
    last
}

/// The whole body; `None` where it is larger than `most`.
async fn read(body: Incoming, most: usize) -> hyper::Result<Option<Bytes>> {
    let mut body = pin!(body);
    let mut all = BytesMut::new();
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let Ok(data) = frame?.into_data() else { continue };
        if all.len() + data.len() > most {
            return Ok(None);
        }
        all.extend_from_slice(&data);
    }
    Ok(Some(all.freeze()))
}
