//! What copies are sent to: a candidate that answers as the primary does, or in one of the ways in
//! which a candidate can be bad.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::net::{TcpListener, TcpStream};

use crate::process::Outcome;

/// How it behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    Healthy,
    /// Nobody listens.
    Down,
    /// Each answer takes a fifth of a second.
    Slow,
    /// No answer ever comes.
    Hung,
    /// Each stream is reset.
    Resetting,
    /// Bytes that are no messages.
    Garbage,
}

impl Manner {
    pub(crate) const ALL: [Manner; 6] = [
        Manner::Healthy,
        Manner::Down,
        Manner::Slow,
        Manner::Hung,
        Manner::Resetting,
        Manner::Garbage,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Manner::Healthy => "healthy",
            Manner::Down => "down",
            Manner::Slow => "slow",
            Manner::Hung => "hung",
            Manner::Resetting => "resetting",
            Manner::Garbage => "garbage",
        }
    }

    /// Starts such a candidate; it lives as long as this process.
    pub(crate) fn start(self) -> Outcome<SocketAddr> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        if self == Manner::Down {
            // Its port was free a moment ago, and stays so for all that is likely.
            return Ok(address);
        }
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::spawn(move || runtime.block_on(accept(listener, self)));
        Ok(address)
    }
}

#[expect(clippy::disallowed_methods, reason = "its tasks end with the process")]
async fn accept(listener: std::net::TcpListener, manner: Manner) -> std::io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (io, _) = listener.accept().await?;
        io.set_nodelay(true)?;
        tokio::spawn(serve(io, manner));
    }
}

#[expect(clippy::disallowed_methods, reason = "its tasks end with the process")]
async fn serve(io: TcpStream, manner: Manner) {
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(10_000);
    let Ok(mut connection) = builder.handshake::<_, Bytes>(io).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        tokio::spawn(async move {
            let _ = answer(request, respond, manner).await;
        });
    }
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    manner: Manner,
) -> Result<(), h2::Error> {
    let mut body = request.into_body();
    let mut asked = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        asked.extend_from_slice(&data);
    }
    match manner {
        Manner::Healthy | Manner::Down | Manner::Garbage => {}
        Manner::Slow => tokio::time::sleep(Duration::from_millis(200)).await,
        Manner::Hung => {
            std::future::poll_fn(|cx| respond.poll_reset(cx)).await?;
            return Ok(());
        }
        Manner::Resetting => {
            respond.send_reset(Reason::INTERNAL_ERROR);
            return Ok(());
        }
    }
    let mut response = Response::new(());
    let media = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(http::header::CONTENT_TYPE, media);
    let mut stream = respond.send_response(response, false)?;
    let answer = if manner == Manner::Garbage { vec![0xff; 64] } else { asked };
    stream.send_data(answer.into(), false)?;
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    stream.send_trailers(trailers)
}
