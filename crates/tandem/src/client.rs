//! Asks a running gateway's admin API from the command line.
//!
//! One request a connection, answers bounded in size and time; enough HTTP/1.1 for our own listener
//! and no more.

use std::net::SocketAddr;
use std::time::Duration;

use tandem_config::Tnd;
use tandem_gateway::net;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::failure::{Exit, Failure};

const ANSWER_BYTES_MOST: u64 = 64 << 20;

/// Where the admin API is, and by which right it is asked.
pub(crate) struct Admin {
    pub(crate) address: SocketAddr,
    pub(crate) token: Option<String>,
    pub(crate) timeout: Duration,
}

impl Admin {
    /// The JSON at `path`.
    ///
    /// # Errors
    /// Exit 6 when nobody answers, 7 when the token is refused, 1 for any other answer.
    pub(crate) async fn get(&self, path: &str) -> Result<serde_json::Value, Failure> {
        self.ask("GET", path).await
    }

    /// What comes back for an empty POST to `path`: also the JSON of a refusal (409).
    ///
    /// # Errors
    /// As [`Admin::get`].
    pub(crate) async fn post(&self, path: &str) -> Result<serde_json::Value, Failure> {
        self.ask("POST", path).await
    }

    /// The bytes at `path`.
    ///
    /// # Errors
    /// As [`Admin::get`].
    pub(crate) async fn bytes(&self, path: &str) -> Result<Vec<u8>, Failure> {
        self.in_time("GET", path).await
    }

    async fn in_time(&self, http_method: &str, path: &str) -> Result<Vec<u8>, Failure> {
        tokio::time::timeout(self.timeout, self.fetch(http_method, path))
            .await
            .map_err(|_elapsed| self.unreachable("no answer in time"))?
    }

    async fn ask(&self, http_method: &str, path: &str) -> Result<serde_json::Value, Failure> {
        let text = self.in_time(http_method, path).await?;
        serde_json::from_slice(&text).map_err(|error| {
            Failure::new(Exit::Failed, format!("the answer of {} is no JSON", self.address))
                .because(error.to_string())
        })
    }

    fn unreachable(&self, why: &str) -> Failure {
        Failure::new(Exit::Unreachable, format!("{} cannot be reached", self.address))
            .coded(Tnd::Unreachable)
            .because(why)
            .fix("start a gateway with `tandem run`, or name its admin address with `--admin ADDR`")
    }

    async fn fetch(&self, http_method: &str, path: &str) -> Result<Vec<u8>, Failure> {
        let lost = |error: std::io::Error| self.unreachable(&error.to_string());
        let mut stream = net::connect(self.address, self.timeout).await.map_err(lost)?;
        let token = match &self.token {
            Some(token) => format!("authorization: Bearer {token}\r\n"),
            None => String::new(),
        };
        let request = format!(
            "{http_method} {path} HTTP/1.1\r\nhost: {}\r\n{token}content-length: 0\r\nconnection: close\r\n\r\n",
            self.address
        );
        stream.write_all(request.as_bytes()).await.map_err(lost)?;
        let mut answer = Vec::new();
        stream.take(ANSWER_BYTES_MOST).read_to_end(&mut answer).await.map_err(lost)?;
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
        let Some(end) = end.filter(|_| answer.starts_with(b"HTTP/1.")) else {
            return Err(self.unreachable("what answers there does not speak HTTP"));
        };
        let body = answer.split_off(end + 4);
        let head = String::from_utf8_lossy(&answer);
        let status = head.split(' ').nth(1).unwrap_or("");
        match status {
            "200" | "409" => Ok(body),
            "401" | "403" => Err(Failure::new(Exit::Refused, "the admin API refused the token")
                .coded(Tnd::NoCredential)
                .because(format!("{} answered {status}", self.address))
                .fix("give the file that `tandem run` named with `--token-file FILE`")),
            status => {
                Err(Failure::new(Exit::Failed, format!("{} answered {status}", self.address))
                    .because(String::from_utf8_lossy(&body).trim()))
            }
        }
    }
}
