//! REST calls over HTTP/1.1: as much of the protocol as the answers of gateways need.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Left;
use crate::process::Outcome;

const CALL_TAKES_AT_MOST: Duration = Duration::from_secs(60);
const READ_BYTES: usize = 64 * 1024;

/// A call and what has to come of it.
#[derive(Clone)]
pub(crate) struct Call {
    /// Head and body.
    pub(crate) request: Bytes,
    /// Line breaks in the answer, where it is a stream of lines; its messages.
    pub(crate) lines: Option<u64>,
    /// Bytes of the answer at least; spelling differs from gateway to gateway.
    pub(crate) bytes_least: u64,
}

impl Call {
    pub(crate) fn get(target: &str, lines: u64, bytes_least: u64) -> Call {
        let request =
            format!("GET {target} HTTP/1.1\r\nhost: bench\r\naccept: application/x-ndjson\r\n\r\n");
        Call { request: request.into(), lines: Some(lines), bytes_least }
    }

    pub(crate) fn post(target: &str, body: &[u8], bytes_least: u64) -> Call {
        let mut request = format!(
            "POST {target} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        request.extend_from_slice(body);
        Call { request: request.into(), lines: None, bytes_least }
    }
}

/// Connections that stand from one round to the next, each with one call at a time.
pub(crate) struct Callers(Vec<Rc<Mutex<Connection>>>);

impl Callers {
    pub(crate) async fn connect(address: SocketAddr, connections: usize) -> Outcome<Callers> {
        let mut all = Vec::new();
        for _ in 0..connections {
            let connection = Connection::new(TcpStream::connect(address).await?)?;
            all.push(Rc::new(Mutex::new(connection)));
        }
        Ok(Callers(all))
    }

    /// Makes `calls` calls; all of them have to succeed.
    pub(crate) async fn round(&self, call: &Call, calls: u32) -> Outcome<()> {
        let left = Left::new(calls);
        let mut workers = JoinSet::new();
        for connection in &self.0 {
            let (connection, left, call) = (Rc::clone(connection), left.clone(), call.clone());
            workers.spawn_local(async move {
                let mut connection = connection.lock().await;
                while left.take() {
                    let outcome = timeout(CALL_TAKES_AT_MOST, connection.make(&call)).await;
                    outcome.map_err(|_elapsed| "no end in time".to_owned())??;
                }
                Ok::<(), String>(())
            });
        }
        while let Some(worker) = workers.join_next().await {
            worker??;
        }
        Ok(())
    }
}

pub(crate) struct Connection {
    io: TcpStream,
    /// `at..end` is read and not used.
    buffer: Vec<u8>,
    at: usize,
    end: usize,
}

/// What came of a call.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Answer {
    bytes: u64,
    lines: u64,
}

impl Answer {
    fn pass(&mut self, data: &[u8]) {
        self.bytes += data.len() as u64;
        self.lines += data.iter().filter(|byte| **byte == b'\n').count() as u64;
    }
}

impl Connection {
    pub(crate) fn new(io: TcpStream) -> Outcome<Connection> {
        io.set_nodelay(true)?;
        Ok(Connection { io, buffer: vec![0; READ_BYTES], at: 0, end: 0 })
    }

    pub(crate) async fn make(&mut self, call: &Call) -> Result<(), String> {
        let said = |error: std::io::Error| error.to_string();
        self.io.write_all(&call.request).await.map_err(said)?;
        let answer = self.answer().await.map_err(said)?;
        let lines = call.lines.unwrap_or(answer.lines);
        if answer.lines != lines || answer.bytes < call.bytes_least {
            return Err(format!("{answer:?}, expected {lines} lines, {} bytes", call.bytes_least));
        }
        Ok(())
    }

    async fn answer(&mut self) -> std::io::Result<Answer> {
        let wrong = |what: String| std::io::Error::other(what);
        let status = self.line().await?;
        if !status.starts_with("HTTP/1.1 200") {
            return Err(wrong(status));
        }
        let (mut length, mut chunked) = (None, false);
        loop {
            let line = self.line().await?.to_ascii_lowercase();
            match line.split_once(':') {
                None => break,
                Some(("content-length", value)) => length = value.trim().parse::<u64>().ok(),
                Some(("transfer-encoding", value)) => chunked = value.trim() == "chunked",
                Some(_) => {}
            }
        }
        let mut answer = Answer::default();
        if !chunked {
            let length = length.ok_or_else(|| wrong("an answer without a length".into()))?;
            self.data(length, &mut answer).await?;
            return Ok(answer);
        }
        loop {
            let size = self.line().await?;
            let size =
                u64::from_str_radix(&size, 16).map_err(|_| wrong(format!("chunk {size}")))?;
            if size == 0 {
                while !self.line().await?.is_empty() {}
                return Ok(answer);
            }
            self.data(size, &mut answer).await?;
            self.line().await?;
        }
    }

    /// The next line, without its end.
    async fn line(&mut self) -> std::io::Result<String> {
        let mut line = Vec::new();
        loop {
            let waiting = &self.buffer[self.at..self.end];
            let found = waiting.iter().position(|byte| *byte == b'\n');
            line.extend_from_slice(&waiting[..found.unwrap_or(waiting.len())]);
            if let Some(found) = found {
                self.at += found + 1;
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return String::from_utf8(line).map_err(std::io::Error::other);
            }
            self.read().await?;
        }
    }

    async fn data(&mut self, mut left: u64, answer: &mut Answer) -> std::io::Result<()> {
        while left > 0 {
            if self.at == self.end {
                self.read().await?;
            }
            let part = (self.end - self.at).min(usize::try_from(left).unwrap_or(usize::MAX));
            answer.pass(&self.buffer[self.at..][..part]);
            self.at += part;
            left -= part as u64;
        }
        Ok(())
    }

    /// Reads on, what was read before being used.
    async fn read(&mut self) -> std::io::Result<()> {
        (self.at, self.end) = (0, self.io.read(&mut self.buffer).await?);
        if self.end == 0 { Err(std::io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}
