//! One connection to one server, for work off the path: the command line, tests.
//!
//! No pool, no retry, no balance: a call either gets its answer or an error that names the step
//! at which it failed and the time it took.
//!
//! Not here: calls of callers (`Pool`).

use std::future::poll_fn;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, StatusCode};
use tandem_protocol::envelope::{self, EnvelopeReader};
use tandem_protocol::status::{self, Code, Status};
use tokio::time::{Instant, timeout_at};

use super::connection::{self, Dialled, Windows, client_builder};
use super::{Upstream, addresses};
use crate::net;
use crate::tasks::Side;

/// Largest answer that is read.
const ANSWER_BYTES_MOST: usize = 64 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[error("{address}: {step} failed after {} ms: {what}", after.as_millis())]
pub struct DirectError {
    pub address: String,
    /// `resolve`, `connect`, `TLS`, `HTTP/2` or `call`.
    pub step: &'static str,
    pub after: Duration,
    pub what: String,
}

/// An HTTP/2 connection.
pub struct Direct {
    address: SocketAddr,
    /// `http://HOST:PORT`, in front of each path.
    origin: String,
    send: SendRequest<Bytes>,
}

/// How a unary call ended.
#[derive(Debug)]
pub struct UnaryAnswer {
    pub http_status: StatusCode,
    pub head: HeaderMap,
    pub trailers: HeaderMap,
    /// OK or not.
    pub status: Status,
    /// Empty where there was none.
    pub message: Bytes,
}

impl Direct {
    /// Connects within `limit`; the connection is driven by a task of `side`.
    ///
    /// # Errors
    /// No connection, or no HTTP/2 on it.
    pub async fn connect(
        address: SocketAddr,
        limit: Duration,
        side: &Side,
    ) -> Result<Direct, DirectError> {
        let began = Instant::now();
        let failed = |step, what: String| {
            let address = address.to_string();
            DirectError { address, step, after: began.elapsed(), what }
        };
        let io = net::connect(address, limit)
            .await
            .map_err(|error| failed("connect", error.to_string()))?;
        let handshake = client_builder(Windows::CALLS).handshake::<_, Bytes>(io);
        let (send, connection) = timeout_at(began + limit, handshake)
            .await
            .map_err(|_elapsed| failed("HTTP/2", "no handshake in time".into()))?
            .map_err(|error| failed("HTTP/2", error.to_string()))?;
        side.start(async move {
            let _ = connection.await; // its users learn of its end by their calls
        });
        Ok(Direct { address, origin: format!("http://{address}"), send })
    }

    /// Connects to the first address of `upstream` that answers, as the upstream is configured:
    /// over TLS where it has that, within its time; the connection is driven by a task of `side`.
    ///
    /// # Errors
    /// As [`Direct::connect`], for the last address; a name that does not resolve.
    pub async fn to(upstream: &Upstream, side: &Side) -> Result<Direct, DirectError> {
        let began = Instant::now();
        let failed =
            |address, step, what| DirectError { address, step, after: began.elapsed(), what };
        let all = addresses(upstream)
            .await
            .map_err(|(address, what)| failed(address, "resolve", what))?;
        let mut last = failed(upstream.name.to_string(), "resolve", "no address".into());
        for address in all {
            match connection::dial(upstream, address).await {
                Ok(Dialled { send, work, .. }) => {
                    side.start(async move {
                        let _ = work.await; // its users learn of its end by their calls
                    });
                    let origin = format!("{}://{}", upstream.scheme(), upstream.authority);
                    return Ok(Direct { address, origin, send });
                }
                Err((step, what)) => last = failed(address.to_string(), step, what),
            }
        }
        Err(last)
    }

    /// Calls `path` (`/package.Service/Method`) with one message.
    ///
    /// # Errors
    /// When the stream breaks; a status that is not OK is an answer.
    pub async fn unary(
        &self,
        path: &str,
        headers: &HeaderMap,
        message: &[u8],
        limit: Duration,
    ) -> Result<UnaryAnswer, DirectError> {
        let began = Instant::now();
        let uri = format!("{}{path}", self.origin);
        let call = unary(self.send.clone(), &uri, headers, message);
        let answer = timeout_at(began + limit, call).await;
        answer.unwrap_or_else(|_elapsed| Err("no answer in time".into())).map_err(|what| {
            let address = self.address.to_string();
            DirectError { address, step: "call", after: began.elapsed(), what }
        })
    }
}

/// Calls `uri` with one message on a connection that somebody drives.
///
/// # Errors
/// In words for the log, when the stream breaks; a status that is not OK is an answer.
pub(crate) async fn unary(
    send: SendRequest<Bytes>,
    uri: &str,
    headers: &HeaderMap,
    message: &[u8],
) -> Result<UnaryAnswer, String> {
    let failed = |error: h2::Error| error.to_string();
    let mut send = send.ready().await.map_err(failed)?;
    let mut request = http::Request::post(uri)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .map_err(|error| error.to_string())?;
    for (name, value) in headers {
        request.headers_mut().append(name.clone(), value.clone());
    }
    let (response, mut body) = send.send_request(request, false).map_err(failed)?;
    body.send_data(envelope::frame(message), true).map_err(failed)?;
    let (head, mut body) = response.await.map_err(failed)?.into_parts();
    let mut reader = EnvelopeReader::new(ANSWER_BYTES_MOST);
    while let Some(data) = body.data().await {
        let data = data.map_err(failed)?;
        let _ = body.flow_control().release_capacity(data.len());
        reader.push(data);
    }
    let trailers = poll_fn(|cx| body.poll_trailers(cx)).await.map_err(failed)?.unwrap_or_default();
    let message = match reader.next() {
        Some(Ok(message)) => message.payload,
        Some(Err(error)) => return Err(error.to_string()),
        None => Bytes::new(),
    };
    let said = status::from_trailers(&trailers)
        .or_else(|| status::from_trailers(&head.headers))
        .unwrap_or_else(|| match head.status {
            StatusCode::OK => Status::new(Code::Internal, "no status"),
            other => status::from_http(other),
        });
    let (http_status, head) = (head.status, head.headers);
    Ok(UnaryAnswer { http_status, head, trailers, status: said, message })
}
