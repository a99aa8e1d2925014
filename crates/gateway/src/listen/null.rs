//! A server that does nothing: each call is answered at once with an empty message.
//!
//! Whoever makes load measures itself against it first, so that what it cannot send is known to be
//! its own limit and not a service's (compare P-4).

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response};
use tandem_protocol::envelope;
use tokio::net::TcpStream;

use crate::net;
use crate::tasks::Side;

/// Calls that one connection may have open: nothing is to wait here.
const STREAMS_MOST: u32 = 100_000;
const WINDOW_BYTES: u32 = 1 << 20;

/// Listens on a free port of this machine; connections are served by tasks of `side` until its
/// loop ends.
///
/// # Errors
/// What the system says: no port, no right.
pub fn start(side: &Side) -> io::Result<SocketAddr> {
    let listener = net::listen(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let address = listener.local_addr()?;
    let connections = side.clone();
    side.start(async move {
        // Out of descriptors: whoever calls finds out by its calls.
        while let Ok((stream, _)) = listener.accept().await {
            connections.start(serve(stream));
        }
    });
    Ok(address)
}

async fn serve(stream: TcpStream) {
    // A connection that cannot be set so is slower, and still answers.
    let _ = stream.set_nodelay(true);
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(STREAMS_MOST).initial_window_size(WINDOW_BYTES);
    let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else { return };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        drop(request);
        let mut response = Response::new(());
        response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
        // A stream that was taken back is no fault of anybody's.
        let Ok(mut body) = respond.send_response(response, false) else { continue };
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        let _ = body.send_data(envelope::frame(b""), false);
        let _ = body.send_trailers(trailers);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::upstream::direct::Direct;

    #[tokio::test]
    async fn compare_p_4_it_answers_every_call_with_nothing() {
        let side = Side::new(tokio::runtime::Handle::current());
        let address = start(&side).unwrap();
        let limit = Duration::from_secs(10);
        let direct = Direct::connect(address, limit, &side).await.unwrap();
        for message in [&b""[..], &[7; 100_000]] {
            let answer = direct.unary("/a.B/C", &HeaderMap::new(), message, limit).await.unwrap();
            assert_eq!((answer.status.code as u8, &answer.message[..]), (0, &b""[..]));
        }
    }
}
