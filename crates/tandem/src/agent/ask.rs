//! The other end: one agent, asked by whoever compares.
//!
//! One connection, made anew where the agent or somebody in between has closed it. Nothing runs
//! between two questions: the connection is moved on only while one is asked, so a block of load is
//! not disturbed. Every question has a deadline.
//!
//! Not here: what the figures are for (`compare::meter`).

use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use http::{HeaderValue, Request, header};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tandem_gateway::net::{self, Names};

use super::{Any, Asked, BODY_BYTES_MOST, PATH, PROTO, Problem, Refused, Told};

/// For one question, connecting included.
pub(crate) const LIMIT: Duration = Duration::from_secs(3);
/// Addresses of a name that are tried.
const ADDRESSES_MOST: usize = 4;
const HEAD_BYTES_MOST: usize = 16 << 10;

/// An agent.
pub(crate) struct Agent {
    host: String,
    port: u16,
    token: HeaderValue,
    line: Option<Line>,
}

/// A connection to it.
struct Line {
    sender: http1::SendRequest<Body>,
    /// Ends when the connection does; whoever asks moves it.
    driver: Pin<Box<dyn Future<Output = ()>>>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Unanswered {
    Unreachable(String),
    NoAgent(String),
    OtherProto { theirs: u32 },
    Refused(Refused),
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unanswered::Unreachable(what) => f.write_str(what),
            Unanswered::NoAgent(what) => write!(f, "what answers there is no agent: {what}"),
            Unanswered::OtherProto { theirs } => {
                write!(f, "it speaks protocol {theirs}, this program {PROTO}")
            }
            // A stranger's text: it moves no cursor.
            Unanswered::Refused(refused) => write!(f, "{}", refused.what.escape_debug()),
        }
    }
}

impl Agent {
    /// `None` where the token cannot stand in a header.
    pub(crate) fn new(host: &str, port: u16, token: &str) -> Option<Agent> {
        let mut token = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
        token.set_sensitive(true);
        Some(Agent { host: host.to_owned(), port, token, line: None })
    }

    /// Asks; once more on another connection where the first has broken.
    ///
    /// # Errors
    /// No answer within [`LIMIT`], or one that refuses.
    pub(crate) async fn ask(&mut self, asked: &Asked) -> Result<Told, Unanswered> {
        let was_connected = self.line.is_some();
        let asking = async {
            match self.ask_once(asked).await {
                Err(Unanswered::Unreachable(_)) if was_connected => {
                    self.line = None;
                    self.ask_once(asked).await
                }
                answer => answer,
            }
        };
        let answer = tokio::time::timeout(LIMIT, asking).await.unwrap_or_else(|_elapsed| {
            let what = format!("no answer within {} s", LIMIT.as_secs());
            Err(Unanswered::Unreachable(what))
        });
        if answer.is_err() {
            self.line = None;
        }
        answer
    }

    async fn ask_once(&mut self, asked: &Asked) -> Result<Told, Unanswered> {
        let mut line = match self.line.take() {
            Some(line) => line,
            None => self.connect().await?,
        };
        let failed = |error: hyper::Error| Unanswered::Unreachable(error.to_string());
        let body = serde_json::to_vec(asked).unwrap_or_default();
        let request = Request::post(PATH)
            .header(header::HOST, format!("{}:{}", self.host, self.port))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::AUTHORIZATION, self.token.clone())
            .body(Body::from(body))
            .map_err(|error| Unanswered::NoAgent(error.to_string()))?;
        let Line { sender, driver } = &mut line;
        let exchange = async {
            sender.ready().await.map_err(failed)?;
            let answer = sender.send_request(request).await.map_err(failed)?;
            let status = answer.status();
            let body = to_bytes(Body::new(answer.into_body()), BODY_BYTES_MOST).await;
            let body = body.map_err(|error| Unanswered::Unreachable(error.to_string()))?;
            Ok((status, body))
        };
        let mut over = false;
        let (status, body) = {
            let mut exchange = std::pin::pin!(exchange);
            loop {
                tokio::select! {
                    biased;
                    got = &mut exchange => break got?,
                    // How it ended shows in the exchange.
                    () = driver.as_mut(), if !over => over = true,
                }
            }
        };
        if !over {
            self.line = Some(line);
        }
        let no_agent = || Unanswered::NoAgent(format!("it says {status} and no more"));
        let Any { proto } = serde_json::from_slice(&body).map_err(|_| no_agent())?;
        if proto != PROTO {
            return Err(Unanswered::OtherProto { theirs: proto });
        }
        match status.is_success() {
            true => serde_json::from_slice(&body).map_err(|_| no_agent()),
            false => {
                let refused = serde_json::from_slice(&body).map_err(|_| no_agent())?;
                Err(Unanswered::Refused(refused))
            }
        }
    }

    async fn connect(&self) -> Result<Line, Unanswered> {
        let failed = |what: String| Unanswered::Unreachable(what);
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let addresses = match host.parse() {
            Ok(ip) => vec![SocketAddr::new(ip, self.port)],
            Err(_) => {
                let found = Names::default().resolve(host, self.port, ADDRESSES_MOST).await;
                found.map_err(|error| failed(error.to_string()))?
            }
        };
        let mut last = Err(std::io::ErrorKind::NotFound.into());
        for address in addresses {
            last = net::connect(address, LIMIT).await;
            if last.is_ok() {
                break;
            }
        }
        let stream = last.map_err(|error| failed(error.to_string()))?;
        let mut builder = http1::Builder::new();
        builder.max_buf_size(HEAD_BYTES_MOST);
        let shaken = builder.handshake(TokioIo::new(stream)).await;
        let (sender, connection) = shaken.map_err(|error| failed(error.to_string()))?;
        Ok(Line { sender, driver: Box::pin(async move { _ = connection.await }) })
    }
}

impl Unanswered {
    /// What the agent says is wrong, if it is the agent that says so.
    pub(crate) fn problem(&self) -> Option<Problem> {
        match self {
            Unanswered::Refused(refused) => Some(refused.problem),
            Unanswered::Unreachable(_) | Unanswered::NoAgent(_) | Unanswered::OtherProto { .. } => {
                None
            }
        }
    }
}
