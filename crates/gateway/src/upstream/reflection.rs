//! Asks an upstream for its contract by server reflection, v1 first; v1alpha where v1 is
//! UNIMPLEMENTED (protocols X-1).
//!
//! This is side work: it has a connection of its own, driven here to its end, bounded in time and
//! in bytes. The files come back as the upstream sent them, in no order; `contract::source` makes
//! sense of them.
//!
//! Source: grpc/reflection/v1/reflection.proto; v1alpha has the same messages.
//!
//! Public because the command line asks servers for their contracts in the same way.
//!
//! Not here: when to ask again (`reconcile`), answering callers' reflection (`own`).

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use h2::client::SendRequest;
use http::{HeaderMap, StatusCode};
use tandem_protocol::envelope::{self, EnvelopeReader};
use tokio::time::timeout;

use super::connection::{self, Dialled};
use super::{Upstream, addresses};
use tandem_contract::fields::{self, Field};

/// Time for the whole conversation.
const WHOLE: Duration = Duration::from_secs(10);
/// Bytes of all files together; a contract larger than this comes as a descriptor set.
const BYTES_MOST: usize = 16 << 20;
/// Files of one contract.
const FILES_MOST: usize = 4096;

/// Why there is no contract; for the log and `tandem status`.
#[derive(Debug, thiserror::Error)]
pub enum ReflectionError {
    #[error("{address}: {step}: {what}")]
    Unreachable { address: String, step: &'static str, what: String },
    #[error("{address} answers neither reflection v1 nor v1alpha: {what}")]
    NotOffered { address: String, what: String },
    #[error("{address}: the answer is unusable: {what}")]
    Unusable { address: String, what: String },
}

/// The services that an upstream names, and every file that describes them.
#[derive(Debug, Default)]
pub struct Reflected {
    /// Full names, without those of reflection and health themselves.
    pub services: Vec<String>,
    /// Serialized `google.protobuf.FileDescriptorProto`, each once.
    pub files: Vec<Vec<u8>>,
    /// `v1` or `v1alpha`.
    pub version: &'static str,
}

/// Fetches the contract of `upstream` from the first of its addresses that answers.
///
/// # Errors
/// When no address can be reached, none offers reflection, or what came is not reflection.
pub async fn fetch(upstream: &Upstream) -> Result<Reflected, ReflectionError> {
    let mut last = ReflectionError::Unreachable {
        address: upstream.name.to_string(),
        step: "resolve",
        what: "no address".into(),
    };
    let all = addresses(upstream).await.map_err(|(address, what)| {
        ReflectionError::Unreachable { address, step: "resolve", what }
    })?;
    for address in all {
        match timeout(WHOLE, fetch_from(upstream, address)).await {
            Ok(Ok(reflected)) => return Ok(reflected),
            Ok(Err(error)) => last = error,
            Err(_elapsed) => last = unreachable(address, "call", "no answer in time"),
        }
    }
    Err(last)
}

fn unreachable(
    address: SocketAddr,
    step: &'static str,
    what: impl std::fmt::Display,
) -> ReflectionError {
    ReflectionError::Unreachable { address: address.to_string(), step, what: what.to_string() }
}

async fn fetch_from(
    upstream: &Upstream,
    address: SocketAddr,
) -> Result<Reflected, ReflectionError> {
    let Dialled { send, work, .. } = connection::dial(upstream, address)
        .await
        .map_err(|(step, what)| unreachable(address, step, what))?;
    let talk = async {
        let mut refused = String::new();
        for version in ["v1", "v1alpha"] {
            let mut talk = Talk::begin(send.clone(), upstream, address, version).await?;
            match talk.whole_contract().await {
                Ok((services, files)) => return Ok(Reflected { services, files, version }),
                Err(Said::Unimplemented(what)) => refused = what,
                Err(Said::No(what) | Said::Unusable(what)) => {
                    let address = address.to_string();
                    return Err(ReflectionError::Unusable { address, what });
                }
            }
        }
        Err(ReflectionError::NotOffered { address: address.to_string(), what: refused })
    };
    tokio::select! {
        result = talk => result,
        ended = work => {
            let what = ended.err().map_or("connection closed".into(), |error| error.to_string());
            Err(unreachable(address, "call", what))
        }
    }
}

/// Why a conversation ended without a contract.
enum Said {
    /// The upstream knows no such service: try the other version.
    Unimplemented(String),
    /// It knows the service and refused; another version would be refused alike.
    No(String),
    Unusable(String),
}

/// One `ServerReflectionInfo` stream: question, answer, question, answer.
struct Talk {
    ask: h2::SendStream<Bytes>,
    response: Option<h2::client::ResponseFuture>,
    answers: Option<RecvStream>,
    reader: EnvelopeReader,
    bytes: usize,
}

impl Talk {
    async fn begin(
        send: SendRequest<Bytes>,
        upstream: &Upstream,
        address: SocketAddr,
        version: &str,
    ) -> Result<Talk, ReflectionError> {
        let failed = |error: h2::Error| unreachable(address, "call", error);
        let mut send = send.ready().await.map_err(failed)?;
        let uri = format!(
            "{}://{}/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            upstream.scheme(),
            upstream.authority
        );
        let request = http::Request::post(uri)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .map_err(|error| unreachable(address, "call", error))?;
        let (response, ask) = send.send_request(request, false).map_err(failed)?;
        Ok(Talk {
            ask,
            response: Some(response),
            answers: None,
            reader: EnvelopeReader::new(BYTES_MOST),
            bytes: 0,
        })
    }

    async fn whole_contract(&mut self) -> Result<(Vec<String>, Vec<Vec<u8>>), Said> {
        let named = self.list_services().await?;
        let services: Vec<String> = named
            .into_iter()
            .filter(|name| !name.starts_with("grpc.reflection.") && name != "grpc.health.v1.Health")
            .collect();
        let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for service in &services {
            for file in self.files(FILE_CONTAINING_SYMBOL, service).await? {
                keep(&mut files, file)?;
            }
        }
        let mut absent = BTreeSet::new();
        while let Some(missing) = missing_import(&files, &absent) {
            if files.len() >= FILES_MOST {
                return Err(Said::Unusable(format!("more than {FILES_MOST} files")));
            }
            match self.files(FILE_BY_FILENAME, &missing).await {
                Ok(answered) => {
                    let before = files.len();
                    for file in answered {
                        keep(&mut files, file)?;
                    }
                    if files.len() == before {
                        absent.insert(missing);
                    }
                }
                // Servers often leave out files of options only; the contract decides whether it
                // can do without.
                Err(Said::No(_)) => {
                    absent.insert(missing);
                }
                Err(unusable) => return Err(unusable),
            }
        }
        let _ = self.ask.send_data(Bytes::new(), true);
        Ok((services, files.into_values().collect()))
    }

    async fn list_services(&mut self) -> Result<Vec<String>, Said> {
        let answer = self.question(LIST_SERVICES, "*").await?;
        let mut names = Vec::new();
        for field in fields::each(&answer) {
            let Field { number, bytes, .. } = field.map_err(|what| Said::Unusable(what.into()))?;
            if number != LIST_SERVICES_RESPONSE {
                continue;
            }
            for service in fields::each(bytes) {
                let service = service.map_err(|what| Said::Unusable(what.into()))?;
                if service.number == 1 {
                    names.extend(fields::first_text(service.bytes, 1));
                }
            }
        }
        Ok(names)
    }

    async fn files(&mut self, asked: u32, name: &str) -> Result<Vec<Vec<u8>>, Said> {
        let answer = self.question(asked, name).await?;
        let mut files = Vec::new();
        for field in fields::each(&answer) {
            let Field { number, bytes, .. } = field.map_err(|what| Said::Unusable(what.into()))?;
            if number == FILE_DESCRIPTOR_RESPONSE {
                for file in fields::each(bytes) {
                    let file = file.map_err(|what| Said::Unusable(what.into()))?;
                    if file.number == 1 {
                        files.push(file.bytes.to_vec());
                    }
                }
            }
        }
        Ok(files)
    }

    /// Asks one question and waits for its answer, a `ServerReflectionResponse`.
    async fn question(&mut self, number: u32, text: &str) -> Result<Vec<u8>, Said> {
        let mut message = Vec::new();
        fields::put_bytes(number, text.as_bytes(), &mut message);
        self.ask
            .send_data(envelope::frame(&message), false)
            .map_err(|error| Said::Unusable(error.to_string()))?;
        if let Some(response) = self.response.take() {
            let response = response.await.map_err(|error| Said::Unusable(error.to_string()))?;
            let (head, answers) = response.into_parts();
            if !head.status.is_success() {
                let what = format!("HTTP {}", head.status.as_u16());
                // What 404 means of gRPC: grpc/doc/http-grpc-status-mapping.md.
                return Err(match head.status {
                    StatusCode::NOT_FOUND => Said::Unimplemented(what),
                    _ => Said::No(what),
                });
            }
            if let Some(said) = failed_status(&head.headers) {
                return Err(said);
            }
            self.answers = Some(answers);
        }
        let answer = self.next_message().await?;
        for field in fields::each(&answer) {
            let field = field.map_err(|what| Said::Unusable(what.into()))?;
            if field.number == ERROR_RESPONSE {
                let what = fields::first_text(field.bytes, 2).unwrap_or_default();
                return Err(Said::No(format!("{text}: {what}")));
            }
        }
        Ok(answer)
    }

    async fn next_message(&mut self) -> Result<Vec<u8>, Said> {
        let answers = self.answers.as_mut().expect("the head of the answer came first");
        loop {
            match self.reader.next() {
                Some(Ok(message)) => {
                    self.bytes += message.payload.len();
                    if self.bytes > BYTES_MOST {
                        return Err(Said::Unusable(format!("more than {BYTES_MOST} bytes")));
                    }
                    if message.compressed {
                        return Err(Said::Unusable("compressed without being asked".into()));
                    }
                    return Ok(message.payload.to_vec());
                }
                Some(Err(error)) => return Err(Said::Unusable(error.to_string())),
                None => {}
            }
            match answers.data().await {
                Some(Ok(data)) => {
                    let _ = answers.flow_control().release_capacity(data.len());
                    self.reader.push(data);
                }
                Some(Err(error)) => return Err(Said::Unusable(error.to_string())),
                None => {
                    let trailers = poll_fn(|cx| answers.poll_trailers(cx)).await;
                    let trailers = trailers.ok().flatten().unwrap_or_default();
                    return Err(failed_status(&trailers)
                        .unwrap_or_else(|| Said::Unusable("the stream ended early".into())));
                }
            }
        }
    }
}

/// Field numbers of `ServerReflectionRequest` and `ServerReflectionResponse`.
const FILE_BY_FILENAME: u32 = 3;
const FILE_CONTAINING_SYMBOL: u32 = 4;
const LIST_SERVICES: u32 = 7;
const FILE_DESCRIPTOR_RESPONSE: u32 = 4;
const LIST_SERVICES_RESPONSE: u32 = 6;
const ERROR_RESPONSE: u32 = 7;

fn failed_status(headers: &HeaderMap) -> Option<Said> {
    let status = headers.get("grpc-status")?.to_str().ok()?;
    if status == "0" {
        return None;
    }
    let message = headers.get("grpc-message").and_then(|value| value.to_str().ok());
    let what = format!("status {status} {}", message.unwrap_or_default());
    Some(match status {
        "12" => Said::Unimplemented(what),
        _ => Said::No(what),
    })
}

/// Field 1 of `FileDescriptorProto` is its name.
fn keep(files: &mut BTreeMap<String, Vec<u8>>, file: Vec<u8>) -> Result<(), Said> {
    let name = fields::first_text(&file, 1)
        .ok_or_else(|| Said::Unusable("a file without a name".into()))?;
    files.insert(name, file);
    Ok(())
}

/// Field 3 of `FileDescriptorProto` is a file that it imports.
fn missing_import(files: &BTreeMap<String, Vec<u8>>, absent: &BTreeSet<String>) -> Option<String> {
    files
        .values()
        .flat_map(|file| fields::each(file).map_while(Result::ok))
        .filter(|field| field.number == 3)
        .filter_map(|field| String::from_utf8(field.bytes.to_vec()).ok())
        .find(|name| !files.contains_key(name) && !absent.contains(name))
}
