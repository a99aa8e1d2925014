//! What is known of calls: traces by room, what callers are told, metrics, the access log, OTLP.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod cost;
mod debug;
mod export;
mod log;
mod met;
mod metrics;
mod openmetrics;
mod rooms;

use std::net::SocketAddr;
use std::time::Duration;

use tandem_gateway::observe::{Room, Span};
use tandem_testkit::client::GrpcAnswer;
use tandem_testkit::{Backend, Script, TestGateway, gateway};

/// The spans of a request, once there are `count`.
async fn spans(gateway: &TestGateway, request_id: &str, count: usize) -> Vec<Span> {
    gateway.until(|gateway| gateway.view.request(request_id).len() == count).await;
    gateway.view.request(request_id)
}

/// The one span of a request.
async fn span(gateway: &TestGateway, request_id: &str) -> Span {
    spans(gateway, request_id, 1).await.remove(0)
}

fn request_id(answer: &GrpcAnswer) -> String {
    answer.head["x-request-id"].to_str().unwrap().to_owned()
}

/// A header of an HTTP/1.1 answer; empty without it.
fn header<'a>(head: &'a str, name: &str) -> &'a str {
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(found, _)| *found == name)
        .map_or("", |(_, value)| value)
}

fn names(rooms: &[Room]) -> Vec<&'static str> {
    rooms.iter().map(|room| room.name).collect()
}

async fn echoing() -> (Backend, TestGateway) {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway(backend.address).start().await;
    (backend, gateway)
}

/// An address that is taken and where nobody listens, as long as the socket is held.
fn nobody() -> (socket2::Socket, SocketAddr) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

/// More than any call of these tests takes.
const LONG: Duration = Duration::from_secs(20);
