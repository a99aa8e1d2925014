//! Asks a running gateway's admin API from the command line.
//!
//! One request a connection, answers bounded in size and time; enough HTTP/1.1 for our own listener
//! and no more.

use std::net::SocketAddr;
use std::time::Duration;

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

    async fn ask(&self, http_method: &str, path: &str) -> Result<serde_json::Value, Failure> {
        let text = tokio::time::timeout(self.timeout, self.fetch(http_method, path))
            .await
            .map_err(|_elapsed| self.unreachable("no answer in time"))??;
        serde_json::from_str(&text).map_err(|error| {
            Failure::new(Exit::Failed, format!("the answer of {} is no JSON", self.address))
                .because(error.to_string())
        })
    }

    fn unreachable(&self, why: &str) -> Failure {
        Failure::new(Exit::Unreachable, format!("{} cannot be reached", self.address))
            .coded("TND0301")
            .because(why)
            .fix("start a gateway with `tandem run`, or name its admin address with `--admin ADDR`")
    }

    async fn fetch(&self, http_method: &str, path: &str) -> Result<String, Failure> {
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
        let text = String::from_utf8_lossy(&answer);
        let (head, body) = text
            .split_once("\r\n\r\n")
            .ok_or_else(|| self.unreachable("what answers there does not speak HTTP"))?;
        let status = head.split(' ').nth(1).unwrap_or("");
        match status {
            "200" | "409" => Ok(body.to_owned()),
            "401" | "403" => Err(Failure::new(Exit::Refused, "the admin API refused the token")
                .coded("TND0401")
                .because(format!("{} answered {status}", self.address))
                .fix("give the file that `tandem run` named with `--token-file FILE`")),
            status => {
                Err(Failure::new(Exit::Failed, format!("{} answered {status}", self.address))
                    .because(body.trim().to_owned()))
            }
        }
    }
}
