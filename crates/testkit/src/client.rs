//! Callers: raw HTTP/1.1 bytes, and gRPC on the HTTP/2 library itself.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tandem_contract::fields;
use tandem_protocol::envelope::{self, EnvelopeReader};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A `test.v1.Note` with this text.
pub fn note(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    if !text.is_empty() {
        fields::put_bytes(1, text.as_bytes(), &mut out);
    }
    out
}

/// An HTTP/1.1 answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// In lower case.
    pub head: String,
    pub body: String,
}

/// Sends whatever bytes and reads until the gateway closes; `None` without an answer.
pub async fn raw(address: SocketAddr, request: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let _ = tokio::time::timeout(Duration::from_secs(20), read).await.expect("an end in time");
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() })
}

/// GET or POST with JSON.
pub async fn rest(address: SocketAddr, method: &str, path: &str, body: &str) -> Answer {
    let framing = if body.is_empty() {
        String::new()
    } else {
        format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len())
    };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: any\r\nconnection: close\r\n{framing}\r\n{body}"
    );
    raw(address, request.as_bytes()).await.expect("an answer")
}

/// How a gRPC call went.
#[derive(Debug)]
pub struct GrpcAnswer {
    pub http_status: StatusCode,
    pub head: HeaderMap,
    pub messages: Vec<Bytes>,
    /// The body as it came.
    pub body: Vec<u8>,
    /// `None` when the head was all (trailers-only), or the stream broke.
    pub trailers: Option<HeaderMap>,
    /// The stream was reset.
    pub reset: bool,
}

impl GrpcAnswer {
    /// `grpc-status`, wherever it stands.
    pub fn status(&self) -> &str {
        let holder = self.trailers.as_ref().unwrap_or(&self.head);
        holder.get("grpc-status").map_or("none", |value| value.to_str().expect("text"))
    }
}

/// A stream that a test drives step by step.
pub struct GrpcCall {
    pub send: h2::SendStream<Bytes>,
    response: h2::client::ResponseFuture,
}

impl GrpcCall {
    /// Opens a connection and a stream on it.
    pub async fn open(address: SocketAddr, method: &str, headers: &[(&str, &str)]) -> GrpcCall {
        let stream = TcpStream::connect(address).await.expect("a connection");
        let (send, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
        #[expect(clippy::disallowed_methods, reason = "a caller is no part of the gateway")]
        tokio::spawn(async move {
            let _ = connection.await;
        });
        let mut send = send.ready().await.expect("a stream");
        // A whole path is of another service.
        let path = if method.starts_with('/') {
            method.to_owned()
        } else {
            format!("/test.v1.Notes/{method}")
        };
        let mut request = http::Request::post(format!("http://any{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .expect("a request");
        for (name, value) in headers {
            let name = HeaderName::try_from(*name).expect("a name");
            let value = HeaderValue::from_str(value).expect("a value");
            if name == "content-type" {
                request.headers_mut().insert(name, value);
            } else {
                request.headers_mut().append(name, value);
            }
        }
        let (response, send) = send.send_request(request, false).expect("a stream");
        GrpcCall { send, response }
    }

    /// Sends one message.
    pub fn message(&mut self, message: &[u8]) {
        // A gateway that has refused already takes no more; the answer says why.
        let _ = self.send.send_data(envelope::frame(message), false);
    }

    /// Sends bytes as they are, in a DATA frame of their own.
    pub fn bytes(&mut self, bytes: &[u8]) {
        let _ = self.send.send_data(Bytes::copy_from_slice(bytes), false);
    }

    /// Whether a head comes within `limit`; the call is given up afterwards.
    pub async fn head_comes(self, limit: Duration) -> bool {
        tokio::time::timeout(limit, self.response).await.is_ok_and(|head| head.is_ok())
    }

    /// Ends the request and reads the answer to its end.
    pub async fn finish(mut self) -> GrpcAnswer {
        // A gateway that has refused already takes no more.
        let _ = self.send.send_data(Bytes::new(), true);
        self.read().await
    }

    /// Reads the answer to its end, without ending the request.
    pub async fn read(self) -> GrpcAnswer {
        let GrpcCall { send, response } = self;
        let _open = send;
        let response = tokio::time::timeout(Duration::from_secs(20), response)
            .await
            .expect("a head in time")
            .expect("a head");
        let (head, mut body) = response.into_parts();
        let mut reader = EnvelopeReader::new(64 << 20);
        let mut messages = Vec::new();
        let mut bytes = Vec::new();
        let mut reset = false;
        while let Some(data) = body.data().await {
            let Ok(data) = data else {
                reset = true;
                break;
            };
            let _ = body.flow_control().release_capacity(data.len());
            bytes.extend_from_slice(&data);
            reader.push(data);
            while let Some(Ok(message)) = reader.next() {
                messages.push(message.payload);
            }
        }
        let trailers = body.trailers().await.ok().flatten();
        GrpcAnswer {
            http_status: head.status,
            head: head.headers,
            messages,
            body: bytes,
            trailers,
            reset,
        }
    }
}

/// One message, and the answer to it.
pub async fn grpc(
    address: SocketAddr,
    method: &str,
    headers: &[(&str, &str)],
    messages: &[&[u8]],
) -> GrpcAnswer {
    let mut call = GrpcCall::open(address, method, headers).await;
    for message in messages {
        call.message(message);
    }
    call.finish().await
}
