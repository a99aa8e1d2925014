//! The service behind everything that is measured: `tandem.bench.v1.Orders` on the HTTP/2
//! library, which decodes nothing but the request of a stream.
//!
//! `Echo` answers with the bytes of the request. `Watch` sends one order, made beforehand, as
//! often as it is asked to; each message is given to the connection before the next is made, as
//! a service does that has something to say. It runs on a thread of this process, so that what
//! it has sent can be read without asking it.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::net::{TcpListener, TcpStream};

use crate::orders::{self, Orders};
use crate::process::Outcome;

pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    sent: Arc<AtomicU64>,
}

impl Backend {
    /// Starts it; it lives as long as this process.
    pub(crate) fn start(orders: &Orders) -> Outcome<Backend> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let sent = Arc::new(AtomicU64::new(0));
        let service = Service { orders: orders.clone(), sent: Arc::clone(&sent) };
        std::thread::spawn(move || runtime.block_on(accept(listener, service)));
        Ok(Backend { address, sent })
    }

    /// Bytes of messages that were given to connections, as far as windows allowed.
    pub(crate) fn sent_bytes(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

#[derive(Clone)]
struct Service {
    orders: Orders,
    sent: Arc<AtomicU64>,
}

#[expect(clippy::disallowed_methods, reason = "its tasks end with the process")]
async fn accept(listener: std::net::TcpListener, service: Service) -> std::io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (io, _) = listener.accept().await?;
        io.set_nodelay(true)?;
        tokio::spawn(serve(io, service.clone()));
    }
}

#[expect(clippy::disallowed_methods, reason = "its tasks end with the process")]
async fn serve(io: TcpStream, service: Service) {
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(4 << 20)
        .initial_connection_window_size(64 << 20)
        .max_concurrent_streams(10_000)
        .max_send_buffer_size(1 << 20);
    let Ok(mut connection) = builder.handshake::<_, Bytes>(io).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        let service = service.clone();
        // A caller that leaves ends its stream; nobody else needs to know.
        tokio::spawn(async move {
            let _ = answer(request, respond, service).await;
        });
    }
}

async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    service: Service,
) -> Result<(), h2::Error> {
    let (head, body) = request.into_parts();
    let body = whole(body).await?;
    let mut response = Response::new(());
    let media = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(http::header::CONTENT_TYPE, media);
    let mut stream = respond.send_response(response, false)?;
    let mut status = "0";
    match head.uri.path() {
        orders::ECHO => {
            send(&mut stream, body, &service.sent).await?;
        }
        orders::WATCH => match orders::read_watch(&body) {
            Some((size, count)) => {
                let message = service.orders.framed(size);
                let mut left = count;
                while count == 0 || left > 0 {
                    send(&mut stream, message.clone(), &service.sent).await?;
                    left = left.saturating_sub(1);
                    tokio::task::yield_now().await;
                }
            }
            None => status = "3",
        },
        _ => status = "12",
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(status));
    stream.send_trailers(trailers)
}

async fn whole(mut body: RecvStream) -> Result<Bytes, h2::Error> {
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        match (first.is_empty(), all.is_empty()) {
            (true, true) => first = data,
            (false, true) => {
                all.extend_from_slice(&first);
                all.extend_from_slice(&data);
            }
            (_, false) => all.extend_from_slice(&data),
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

async fn send(
    stream: &mut SendStream<Bytes>,
    mut data: Bytes,
    sent: &AtomicU64,
) -> Result<(), h2::Error> {
    while !data.is_empty() {
        stream.reserve_capacity(data.len());
        let mut room = stream.capacity();
        while room == 0 {
            room = match poll_fn(|cx| stream.poll_capacity(cx)).await {
                Some(room) => room?,
                None => return Ok(()),
            };
        }
        let part = data.split_to(room.min(data.len()));
        sent.fetch_add(part.len() as u64, Ordering::Relaxed);
        stream.send_data(part, false)?;
    }
    Ok(())
}
