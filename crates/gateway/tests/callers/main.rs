//! Who calls, and how often, through sockets: REST and gRPC.

mod keys;
mod limits;
mod tokens;

use std::net::SocketAddr;

use tandem_testkit::backend::{Backend, Script};
use tandem_testkit::client::{RestCall, grpc, note};

/// How a caller calls.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Caller {
    Http1,
    Http2,
    Grpc,
}

pub(crate) const CALLERS: [Caller; 3] = [Caller::Http1, Caller::Http2, Caller::Grpc];

/// An answer, whatever the protocol.
#[derive(Debug)]
pub(crate) struct Answer {
    /// As gRPC says it: 0, 7, 8, 14, 16.
    pub(crate) code: u32,
    pub(crate) headers: http::HeaderMap,
    /// What the caller is told.
    pub(crate) message: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }
}

/// Calls `Get`.
pub(crate) async fn call(caller: Caller, address: SocketAddr, headers: &[(&str, &str)]) -> Answer {
    if caller == Caller::Grpc {
        let answer = grpc(address, "Get", headers, &[&note("a")]).await;
        let code = answer.status().parse().expect("a status");
        let all = answer.trailers.clone().unwrap_or_default();
        let message = answer.head.get("grpc-message").or(all.get("grpc-message"));
        let message = message.map_or("", |text| text.to_str().expect("text")).to_owned();
        return Answer { code, headers: answer.head, message };
    }
    let line = ("GET", "/v1/notes/a");
    let call = RestCall::open(address, caller == Caller::Http2, line, headers, false).await;
    let answer = call.finish().await;
    let code = match answer.status.as_u16() {
        200 => 0,
        400 => 3,
        401 => 16,
        403 => 7,
        429 => 8,
        503 => 14,
        other => panic!("{other}: {}", answer.body),
    };
    let message = answer.body.split("\"message\":\"").nth(1);
    let message = message.and_then(|rest| rest.split('"').next()).unwrap_or_default().to_owned();
    Answer { code, headers: answer.headers, message }
}

/// A service that answers with what it was asked.
pub(crate) fn echo() -> Backend {
    Backend::start(vec![Script::Echo])
}
