//! gRPC calls on the HTTP/2 library.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, Version, header};
use tokio::net::TcpStream;
use tokio::task::{JoinSet, spawn_local};
use tokio::time::timeout;

use super::Left;
use crate::process::Outcome;

/// Nothing that is called here takes as long.
const CALL_TAKES_AT_MOST: Duration = Duration::from_secs(60);
/// Of a stream and of a connection.
pub(crate) const WINDOWS: (u32, u32) = (1 << 20, 16 << 20);

/// A call and what has to come of it.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) path: &'static str,
    /// One message, framed.
    pub(crate) request: Bytes,
    /// Messages of the answer.
    pub(crate) messages: u64,
    /// Bytes of the answer, the frames of its messages included.
    pub(crate) bytes: u64,
}

/// Connections that stand from one round to the next.
pub(crate) struct Callers {
    address: SocketAddr,
    connections: Vec<SendRequest<Bytes>>,
    streams: usize,
}

impl Callers {
    /// Opens `connections`, each of which carries `streams` calls at once.
    pub(crate) async fn connect(
        address: SocketAddr,
        connections: usize,
        streams: usize,
    ) -> Outcome<Callers> {
        let mut all = Vec::new();
        for _ in 0..connections {
            all.push(connect(TcpStream::connect(address).await?, WINDOWS).await?);
        }
        Ok(Callers { address, connections: all, streams })
    }

    /// One call at a time over one connection that is there.
    pub(crate) async fn over(io: TcpStream, address: SocketAddr) -> Outcome<Callers> {
        Ok(Callers { address, connections: vec![connect(io, WINDOWS).await?], streams: 1 })
    }

    /// Makes `calls` calls; all of them have to succeed.
    pub(crate) async fn round(&self, call: &Call, calls: u32) -> Outcome<()> {
        let left = Left::new(calls);
        let mut workers = JoinSet::new();
        for send in &self.connections {
            for _ in 0..self.streams {
                let (send, left, call) = (send.clone(), left.clone(), call.clone());
                let address = self.address;
                workers.spawn_local(async move {
                    while left.take() {
                        let outcome =
                            timeout(CALL_TAKES_AT_MOST, make(&send, address, &call)).await;
                        outcome.map_err(|_elapsed| "no end in time".to_owned())??;
                    }
                    Ok::<(), String>(())
                });
            }
        }
        while let Some(worker) = workers.join_next().await {
            worker??;
        }
        Ok(())
    }
}

/// Shakes hands; `windows` are those of a stream and of the connection.
#[expect(clippy::disallowed_methods, reason = "the connection ends with its last caller")]
pub(crate) async fn connect(io: TcpStream, windows: (u32, u32)) -> Outcome<SendRequest<Bytes>> {
    io.set_nodelay(true)?;
    let (send, connection) = h2::client::Builder::new()
        .initial_window_size(windows.0)
        .initial_connection_window_size(windows.1)
        .handshake::<_, Bytes>(io)
        .await?;
    spawn_local(async move {
        let _ = connection.await;
    });
    Ok(send.ready().await?)
}

pub(crate) fn head(address: SocketAddr, path: &str) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = Method::POST;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = format!("http://{address}{path}").parse::<Uri>().expect("an address");
    let headers = request.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    request
}

/// One call; says what was wrong with its answer.
pub(crate) async fn make(
    send: &SendRequest<Bytes>,
    address: SocketAddr,
    call: &Call,
) -> Result<(), String> {
    let said = |error: h2::Error| error.to_string();
    let mut send = send.clone().ready().await.map_err(said)?;
    let (response, mut stream) =
        send.send_request(head(address, call.path), false).map_err(said)?;
    stream.send_data(call.request.clone(), true).map_err(said)?;
    let (head, mut body) = response.await.map_err(said)?.into_parts();
    if head.status != StatusCode::OK {
        return Err(format!("HTTP status {}", head.status));
    }
    let mut counter = Counter::default();
    while let Some(data) = body.data().await {
        let data = data.map_err(said)?;
        body.flow_control().release_capacity(data.len()).map_err(said)?;
        counter.pass(&data);
    }
    let trailers = body.trailers().await.map_err(said)?.unwrap_or(head.headers);
    is_ok(&trailers)?;
    let Counter { messages, bytes, .. } = counter;
    if (messages, bytes) != (call.messages, call.bytes) || !counter.is_between_messages() {
        return Err(format!(
            "{messages} messages in {bytes} bytes, expected {} in {}",
            call.messages, call.bytes
        ));
    }
    Ok(())
}

fn is_ok(trailers: &HeaderMap) -> Result<(), String> {
    match trailers.get("grpc-status") {
        Some(status) if status == "0" => Ok(()),
        Some(status) => Err(format!("{status:?} {:?}", trailers.get("grpc-message"))),
        None => Err("no grpc-status".into()),
    }
}

/// Counts messages by their frames.
#[derive(Default)]
pub(crate) struct Counter {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    head: [u8; 5],
    head_bytes: usize,
    left: usize,
}

impl Counter {
    pub(crate) fn pass(&mut self, mut data: &[u8]) {
        self.bytes += data.len() as u64;
        while !data.is_empty() {
            if self.left > 0 {
                let part = self.left.min(data.len());
                self.left -= part;
                data = &data[part..];
            } else {
                let part = (5 - self.head_bytes).min(data.len());
                self.head[self.head_bytes..][..part].copy_from_slice(&data[..part]);
                self.head_bytes += part;
                data = &data[part..];
                if self.head_bytes < 5 {
                    return;
                }
                self.head_bytes = 0;
                let [_, length @ ..] = self.head;
                self.left = u32::from_be_bytes(length) as usize;
            }
            if self.left == 0 && self.head_bytes == 0 {
                self.messages += 1;
            }
        }
    }

    fn is_between_messages(&self) -> bool {
        self.left == 0 && self.head_bytes == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_counted_wherever_the_pieces_are_cut() {
        let wire = b"\0\0\0\0\x03abc\0\0\0\0\0\0\0\0\0\x01z";
        for cut in 0..=wire.len() {
            let mut counter = Counter::default();
            counter.pass(&wire[..cut]);
            counter.pass(&wire[cut..]);
            assert_eq!((counter.messages, counter.bytes), (3, 19), "cut at {cut}");
            assert!(counter.is_between_messages());
        }
        let mut counter = Counter::default();
        counter.pass(&wire[..7]);
        assert!(counter.messages == 0 && !counter.is_between_messages());
    }
}
