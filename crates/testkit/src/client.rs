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

    /// Sends one message; a gateway that has answered already takes no more.
    pub fn message(&mut self, message: &[u8]) {
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

/// How a transfer ended, as its caller can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By the last chunk, the length that was promised, or END_STREAM.
    Complete,
    /// HTTP/1.1: the connection closed before its end.
    Closed,
    /// HTTP/2: RST_STREAM with this code.
    Reset(u32),
}

const GRPC: &str = "application/grpc";

/// A REST answer, whichever version of HTTP it came by.
#[derive(Debug)]
pub struct Transfer {
    pub status: StatusCode,
    /// Of a gRPC answer with its trailers.
    pub headers: HeaderMap,
    /// As text, whatever it is.
    pub body: String,
    pub bytes: Vec<u8>,
    pub end: End,
}

impl Transfer {
    /// A header's text; empty without it.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }
}

/// A REST call that a test drives step by step.
pub enum RestCall {
    Http1 { stream: TcpStream, read: Vec<u8>, silent: bool },
    Http2(Box<Http2Call>),
}

/// Over HTTP/2.
pub struct Http2Call {
    send: h2::SendStream<Bytes>,
    response: Option<h2::client::ResponseFuture>,
    head: Option<(StatusCode, HeaderMap)>,
    body: Option<h2::RecvStream>,
    read: Vec<u8>,
}

impl RestCall {
    /// Sends a head. `open`: a body follows by [`RestCall::send`].
    pub async fn open(
        address: SocketAddr,
        http2: bool,
        line: (&str, &str),
        headers: &[(&str, &str)],
        open: bool,
    ) -> RestCall {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        let (method, path) = line;
        if !http2 {
            let mut head = format!("{method} {path} HTTP/1.1\r\nhost: any\r\n");
            for (name, value) in headers {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            head.push_str(if open { "transfer-encoding: chunked\r\n\r\n" } else { "\r\n" });
            stream.write_all(head.as_bytes()).await.expect("a request");
            return RestCall::Http1 { stream, read: Vec::new(), silent: method == "HEAD" };
        }
        let (send, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
        #[expect(clippy::disallowed_methods, reason = "a caller is no part of the gateway")]
        tokio::spawn(async move {
            let _ = connection.await;
        });
        let mut send = send.ready().await.expect("a stream");
        let mut request = http::Request::builder().method(method).uri(format!("http://any{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(()).expect("a request");
        let (response, send) = send.send_request(request, !open).expect("a stream");
        let response = Some(response);
        RestCall::Http2(Box::new(Http2Call {
            send,
            response,
            head: None,
            body: None,
            read: Vec::new(),
        }))
    }

    /// Sends a part of the body; none ends it.
    pub async fn send(&mut self, data: &[u8]) {
        match self {
            RestCall::Http1 { stream, .. } => {
                let mut chunk = format!("{:x}\r\n", data.len()).into_bytes();
                chunk.extend_from_slice(data);
                chunk.extend_from_slice(b"\r\n");
                // A gateway that has refused already takes no more; the answer says why.
                let _ = stream.write_all(&chunk).await;
            }
            RestCall::Http2(call) => {
                let _ = call.send.send_data(Bytes::copy_from_slice(data), data.is_empty());
            }
        }
    }

    /// Reads until `found` stands in what came, the framing of HTTP/1.1 included.
    pub async fn until(&mut self, found: &str) {
        let looked = async {
            let mut end = None;
            loop {
                let read = match self {
                    RestCall::Http1 { read, .. } => read,
                    RestCall::Http2(call) => &call.read,
                };
                let text = String::from_utf8_lossy(read);
                if text.contains(found) {
                    return;
                }
                assert_eq!(end, None, "it ended without {found}: {text}");
                end = self.more().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), looked).await.expect("it comes in time");
    }

    /// Reads until the body that has come is one that `enough` takes, and gives it.
    pub async fn until_body(&mut self, enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let looked = async {
            loop {
                let body = match self {
                    RestCall::Http1 { read, silent, .. } => {
                        http1_transfer(read, *silent).map(|found| found.bytes)
                    }
                    RestCall::Http2(call) => Some(call.read.clone()),
                };
                if let Some(body) = body.filter(|body| enough(body)) {
                    return body;
                }
                assert_eq!(self.more().await, None, "it ended before");
            }
        };
        tokio::time::timeout(Duration::from_secs(20), looked).await.expect("it comes in time")
    }

    /// Whether anything has come that was not read.
    pub fn has_come(&mut self) -> bool {
        match self {
            RestCall::Http1 { stream, read, .. } => {
                stream.try_read_buf(read).is_ok_and(|bytes| bytes > 0)
            }
            RestCall::Http2(_) => unreachable!("asked of HTTP/1.1 only"),
        }
    }

    /// Reads once; says how the transfer ended where it did.
    async fn more(&mut self) -> Option<End> {
        match self {
            RestCall::Http1 { stream, read, silent } => match stream.read_buf(read).await {
                Ok(0) | Err(_) => Some(End::Closed),
                Ok(_) => {
                    let found = http1_transfer(read, *silent);
                    found.is_some_and(|found| found.end == End::Complete).then_some(End::Complete)
                }
            },
            RestCall::Http2(call) => call.more().await,
        }
    }

    /// Waits for the head alone.
    pub async fn head(&mut self) -> StatusCode {
        match self {
            RestCall::Http1 { .. } => {
                self.until("\r\n\r\n").await;
                let RestCall::Http1 { read, silent, .. } = self else { unreachable!("it was one") };
                http1_transfer(read, *silent).expect("a head").status
            }
            RestCall::Http2(call) => {
                call.more().await;
                call.head.as_ref().expect("a head").0
            }
        }
    }

    /// Reads to the end.
    pub async fn finish(mut self) -> Transfer {
        let ended = async {
            loop {
                if let Some(end) = self.more().await {
                    return end;
                }
            }
        };
        let end =
            tokio::time::timeout(Duration::from_secs(20), ended).await.expect("an end in time");
        match self {
            RestCall::Http1 { read, silent, .. } => {
                let transfer = http1_transfer(&read, silent);
                transfer.unwrap_or_else(|| panic!("no head: {}", String::from_utf8_lossy(&read)))
            }
            RestCall::Http2(call) => {
                let Http2Call { head, read, .. } = *call;
                let (status, headers) = head.expect("a head");
                let body = String::from_utf8_lossy(&read).into_owned();
                Transfer { status, headers, body, bytes: read, end }
            }
        }
    }
}

impl Http2Call {
    async fn more(&mut self) -> Option<End> {
        let reset = |error: h2::Error| End::Reset(error.reason().map_or(u32::MAX, u32::from));
        if let Some(response) = self.response.take() {
            match response.await {
                Ok(response) => {
                    let (head, body) = response.into_parts();
                    self.head = Some((head.status, head.headers));
                    self.body = Some(body);
                    return None;
                }
                Err(error) => return Some(reset(error)),
            }
        }
        let body = self.body.as_mut()?;
        match body.data().await {
            Some(Ok(data)) => {
                let _ = body.flow_control().release_capacity(data.len());
                self.read.extend_from_slice(&data);
                None
            }
            Some(Err(error)) => Some(reset(error)),
            None => match body.trailers().await {
                Ok(None) => Some(End::Complete),
                Ok(Some(trailers)) => {
                    let (_, head) = self.head.as_mut().expect("it stands before");
                    let grpc = head.get("content-type").is_some_and(|media| media == GRPC);
                    assert!(grpc, "trailers for a REST caller: {trailers:?}");
                    head.extend(trailers);
                    Some(End::Complete)
                }
                Err(error) => Some(reset(error)),
            },
        }
    }
}

/// An answer of HTTP/1.1 as far as it has come; `None` before its head has. `silent`: it has no
/// body, whatever its head says of one.
fn http1_transfer(read: &[u8], silent: bool) -> Option<Transfer> {
    let end = read.windows(4).position(|four| four == b"\r\n\r\n")?;
    let text = std::str::from_utf8(&read[..end]).expect("a head");
    let mut lines = text.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(": ").expect("a header");
        let name = HeaderName::try_from(name).expect("a name");
        headers.append(name, HeaderValue::from_str(value).expect("a value"));
    }
    let mut rest = &read[end + 4..];
    let mut body = Vec::new();
    let mut end = End::Closed;
    if silent {
        end = End::Complete;
    } else if headers.contains_key("transfer-encoding") {
        while let Some(line) = rest.windows(2).position(|two| two == b"\r\n") {
            let size = std::str::from_utf8(&rest[..line]).expect("a size");
            let size = usize::from_str_radix(size, 16).expect("a size");
            let Some(chunk) = rest.get(line + 2..line + 2 + size) else { break };
            body.extend_from_slice(chunk);
            let Some(after) = rest.get(line + 2 + size + 2..) else { break };
            rest = after;
            if size == 0 {
                end = End::Complete;
                break;
            }
        }
    } else {
        let length = headers.get("content-length").and_then(|value| value.to_str().ok());
        let length: usize = length.map_or(0, |length| length.parse().expect("a length"));
        body.extend_from_slice(&rest[..rest.len().min(length)]);
        if body.len() == length {
            end = End::Complete;
        }
    }
    let text = String::from_utf8_lossy(&body).into_owned();
    Some(Transfer { status, headers, body: text, bytes: body, end })
}
