//! Asks a running gateway's admin API from the command line.
//!
//! One request a connection, answers bounded in size and time; enough HTTP/1.1 for our own listener
//! and no more.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
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

/// What comes back.
pub(crate) struct Told {
    pub(crate) status: u16,
    /// The version in `etag`, without its quotes.
    pub(crate) tag: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// What a write was made from.
#[derive(Debug, Clone)]
pub(crate) enum Made {
    /// It needs no version.
    Anyhow,
    /// `If-Match`.
    From(String),
    /// `If-None-Match: *`.
    FromNothing,
}

/// How this program names itself, so that the audit log knows the way by which somebody came.
pub(crate) const AGENT: &str = concat!("tandem-cli/", env!("CARGO_PKG_VERSION"));

impl Admin {
    /// The JSON at `path`.
    ///
    /// # Errors
    /// Exit 6 when nobody answers, 7 without a right, 1 for any other refusal.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.json(&self.ask("GET", path, None, &Made::Anyhow).await?)
    }

    /// The JSON at `path` and the version that it is of.
    ///
    /// # Errors
    /// As [`Admin::get`].
    pub(crate) async fn get_tagged(&self, path: &str) -> Result<(Value, String), Failure> {
        let told = self.ask("GET", path, None, &Made::Anyhow).await?;
        Ok((self.json(&told)?, told.tag.unwrap_or_default()))
    }

    /// The JSON at `path`, or `None` for 404.
    ///
    /// # Errors
    /// As [`Admin::get`].
    pub(crate) async fn find(&self, path: &str) -> Result<Option<(Value, String)>, Failure> {
        let told = self.fetch_in_time("GET", path, None, &Made::Anyhow).await?;
        match told.status {
            404 => Ok(None),
            _ => {
                let told = self.good(told)?;
                Ok(Some((self.json(&told)?, told.tag.unwrap_or_default())))
            }
        }
    }

    /// What comes back for an empty POST to `path`: also the JSON of a reload that was refused
    /// (409).
    ///
    /// # Errors
    /// As [`Admin::get`].
    pub(crate) async fn post(&self, path: &str) -> Result<Value, Failure> {
        let told = self.fetch_in_time("POST", path, None, &Made::Anyhow).await?;
        match (told.status, self.json(&told)) {
            (409, Ok(body)) if body.get("problems").is_some_and(Value::is_string) => Ok(body),
            _ => {
                let told = self.good(told)?;
                self.json(&told)
            }
        }
    }

    /// Sends `body`; what comes back, null for nothing.
    ///
    /// # Errors
    /// As [`Admin::get`]; exit 3 where somebody was faster.
    pub(crate) async fn send(
        &self,
        http_method: &str,
        path: &str,
        body: Option<&Value>,
        made: &Made,
    ) -> Result<Value, Failure> {
        let told = self.ask(http_method, path, body, made).await?;
        match told.body.is_empty() {
            true => Ok(Value::Null),
            false => self.json(&told),
        }
    }

    /// The bytes at `path`.
    ///
    /// # Errors
    /// As [`Admin::get`].
    pub(crate) async fn bytes(&self, path: &str) -> Result<Vec<u8>, Failure> {
        Ok(self.ask("GET", path, None, &Made::Anyhow).await?.body)
    }

    async fn ask(
        &self,
        http_method: &str,
        path: &str,
        body: Option<&Value>,
        made: &Made,
    ) -> Result<Told, Failure> {
        let told = self.fetch_in_time(http_method, path, body, made).await?;
        self.good(told)
    }

    async fn fetch_in_time(
        &self,
        http_method: &str,
        path: &str,
        body: Option<&Value>,
        made: &Made,
    ) -> Result<Told, Failure> {
        tokio::time::timeout(self.timeout, self.fetch(http_method, path, body, made))
            .await
            .map_err(|_elapsed| self.unreachable("no answer in time"))?
    }

    fn json(&self, told: &Told) -> Result<Value, Failure> {
        serde_json::from_slice(&told.body).map_err(|error| {
            Failure::new(Exit::Failed, format!("the answer of {} is no JSON", self.address))
                .because(error.to_string())
        })
    }

    /// An answer that is none of a failure.
    fn good(&self, told: Told) -> Result<Told, Failure> {
        if (200..300).contains(&told.status) {
            return Ok(told);
        }
        let exit = match told.status {
            401 | 403 => Exit::Refused,
            412 => Exit::Different,
            404 => Exit::Usage,
            _ => Exit::Failed,
        };
        let body: Value = serde_json::from_slice(&told.body).unwrap_or_default();
        let problems = body["problems"].as_array().cloned().unwrap_or_default();
        let Some(first) = problems.first() else {
            let text = String::from_utf8_lossy(&told.body);
            let what = format!("{} answered {}", self.address, told.status);
            return Err(Failure::new(exit, what).because(text.trim()));
        };
        let text = |key: &str| first[key].as_str().unwrap_or_default().to_owned();
        let mut failure = Failure::new(exit, text("what"));
        failure.code = Tnd::named(&text("code"));
        failure.at = Some(text("where")).filter(|text| !text.is_empty());
        failure.why = Some(text("why")).filter(|text| !text.is_empty());
        failure.fix = Some(text("fix")).filter(|text| !text.is_empty());
        if problems.len() > 1 {
            let more: Vec<String> = problems[1..]
                .iter()
                .map(|one| {
                    let text = |key: &str| one[key].as_str().unwrap_or_default();
                    format!("{}: {}", text("where"), text("what"))
                })
                .collect();
            let why = failure.why.take().map(|why| format!("{why}; ")).unwrap_or_default();
            failure.why = Some(format!("{why}and {} more: {}", more.len(), more.join("; ")));
        }
        if told.status == 401 {
            failure.fix =
                Some("give the file that `tandem run` named with `--token-file FILE`".to_owned());
        }
        Err(failure)
    }

    fn unreachable(&self, why: &str) -> Failure {
        Failure::new(Exit::Unreachable, format!("{} cannot be reached", self.address))
            .coded(Tnd::Unreachable)
            .because(why)
            .fix("start a gateway with `tandem run`, or name its admin address with `--admin ADDR`")
    }

    async fn fetch(
        &self,
        http_method: &str,
        path: &str,
        body: Option<&Value>,
        made: &Made,
    ) -> Result<Told, Failure> {
        let lost = |error: std::io::Error| self.unreachable(&error.to_string());
        let mut stream = net::connect(self.address, self.timeout).await.map_err(lost)?;
        let token = match &self.token {
            Some(token) => format!("authorization: Bearer {token}\r\n"),
            None => String::new(),
        };
        let condition = match made {
            Made::Anyhow => String::new(),
            Made::From(version) => format!("if-match: \"{version}\"\r\n"),
            Made::FromNothing => "if-none-match: *\r\n".to_owned(),
        };
        let body = body.map(Value::to_string).unwrap_or_default();
        let media = if body.is_empty() { "" } else { "content-type: application/json\r\n" };
        let request = format!(
            "{http_method} {path} HTTP/1.1\r\nhost: {}\r\nuser-agent: {AGENT}\r\n{token}{condition}\
             {media}content-length: {}\r\nconnection: close\r\n\r\n{body}",
            self.address,
            body.len(),
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
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let Some(status) = status else {
            return Err(self.unreachable("what answers there does not speak HTTP"));
        };
        let tag = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("etag"))
            .map(|(_, value)| value.trim().trim_matches('"').to_owned());
        Ok(Told { status, tag, body })
    }
}
