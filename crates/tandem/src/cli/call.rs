//! `tandem call METHOD -d JSON`: one unary call by reflection.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;
use tandem_contract::{Contract, Method, MethodKind};
use tandem_gateway::tasks::Side;
use tandem_gateway::upstream::direct::{Direct, DirectError};
use tandem_gateway::upstream::reflection::{self, ReflectionError};
use tandem_gateway::upstream::{Upstream, UpstreamAddress};
use tandem_protocol::status::Code;
use tandem_transcode::{JsonOptions, Limits, Plans, json_from_wire, wire_from_json};

use crate::failure::{Exit, Failure};
use crate::output::{self, Form};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// `package.Service/Method`; an unambiguous tail is enough.
    method: String,
    /// The request as JSON, or `@FILE`.
    #[arg(short, long, default_value = "{}")]
    data: String,
    /// A gateway whose listener offers reflection, or a service.
    #[arg(long, default_value = "127.0.0.1:8080", env = "TANDEM_SERVER")]
    server: SocketAddr,
    /// Metadata, `name: value`; may be repeated.
    #[arg(short = 'H', long = "header", value_name = "NAME:VALUE")]
    headers: Vec<String>,
}

pub(super) async fn call(
    arguments: Arguments,
    form: Form,
    timeout: Duration,
) -> Result<Exit, Failure> {
    let Arguments { method, data, server, headers } = arguments;
    let headers = headers_of(&headers)?;
    let json = match data.strip_prefix('@') {
        Some(file) => std::fs::read(file).map_err(|error| {
            Failure::new(Exit::Usage, format!("{file} cannot be read")).because(error.to_string())
        })?,
        None => data.into_bytes(),
    };
    let plans = Plans::new(Arc::new(contract_at(&server.to_string(), timeout).await?));
    let method = find(plans.contract(), &method)?;
    if method.kind != MethodKind::Unary {
        return Err(Failure::new(Exit::Usage, format!("{} is a stream", method.full_name()))
            .fix("use a gRPC client such as grpcurl for streams"));
    }
    let (options, limits) = (JsonOptions::default(), Limits::default());
    let message =
        wire_from_json(&plans, method.input, &json, &options, &limits).map_err(|fault| {
            Failure::new(Exit::Usage, "the request cannot be read").because(fault.to_string())
        })?;
    let side = Side::new(tokio::runtime::Handle::current());
    let direct = Direct::connect(server, timeout, &side).await.map_err(unreachable)?;
    let answer =
        direct.unary(&method.path, &headers, &message, timeout).await.map_err(unreachable)?;
    let status = answer.status;
    if status.code != Code::Ok {
        let text = format!("{} {}", status.code.name(), status.message);
        return match form {
            Form::Text => Err(Failure::new(Exit::Failed, text.trim_end())),
            Form::Json => {
                let object = json!({ "code": status.code.name(), "message": status.message });
                output::data(&object.to_string());
                Ok(Exit::Failed)
            }
        };
    }
    let out = json_from_wire(&plans, method.output, &answer.message, &options, &limits).map_err(
        |fault| Failure::new(Exit::Failed, "the answer cannot be read").because(fault.to_string()),
    )?;
    output::data(&String::from_utf8_lossy(&out));
    Ok(Exit::Fine)
}

fn unreachable(error: DirectError) -> Failure {
    Failure::new(Exit::Unreachable, format!("{} cannot be reached", error.address))
        .coded("TND0301")
        .because(error.to_string())
        .fix("name a running gateway or service with `--server ADDR`")
}

fn headers_of(given: &[String]) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    for text in given {
        let parsed = text.split_once(':').and_then(|(name, value)| {
            let name = HeaderName::try_from(name.trim().to_ascii_lowercase()).ok()?;
            Some((name, HeaderValue::from_str(value.trim()).ok()?))
        });
        let Some((name, value)) = parsed else {
            return Err(Failure::new(Exit::Usage, format!("`{text}` is no header"))
                .fix("write `name: value`"));
        };
        headers.append(name, value);
    }
    Ok(headers)
}

/// The contract of the server at `HOST:PORT`, by reflection.
pub(super) async fn contract_at(server: &str, timeout: Duration) -> Result<Contract, Failure> {
    let usage =
        || Failure::new(Exit::Usage, format!("`{server}` is no address")).fix("write `HOST:PORT`");
    let address = match server.parse() {
        Ok(address) => UpstreamAddress::Fixed(address),
        Err(_) => {
            let (host, port) = server.rsplit_once(':').ok_or_else(usage)?;
            UpstreamAddress::Name { host: host.into(), port: port.parse().map_err(|_| usage())? }
        }
    };
    let authority = server.parse().map_err(|_| usage())?;
    let upstream = Upstream::plain(address, authority, timeout);
    let reflected = reflection::fetch(&upstream).await.map_err(|error| match &error {
        ReflectionError::Unreachable { .. } => {
            Failure::new(Exit::Unreachable, format!("{server} cannot be reached"))
                .coded("TND0301")
                .because(error.to_string())
                .fix("name a running gateway or service with `--server ADDR`")
        }
        ReflectionError::NotOffered { .. } | ReflectionError::Unusable { .. } => {
            Failure::new(Exit::Failed, format!("{server} does not say what it serves"))
                .coded("TND0205")
                .because(error.to_string())
                .fix("offer reflection on that listener: `offer: { reflection: true }`")
        }
    })?;
    Contract::from_file_descriptors(&reflected.files).map_err(|faults| {
        Failure::new(Exit::Failed, "the contract cannot be used").because(faults.to_string())
    })
}

/// The method that `asked` names, wholly or by its tail.
fn find<'a>(contract: &'a Contract, asked: &str) -> Result<&'a Method, Failure> {
    let asked = asked.trim_start_matches('/');
    let mut found: BTreeMap<&str, &Method> = BTreeMap::new();
    for (_, method) in contract.methods() {
        let name = method.full_name();
        if name == asked {
            return Ok(method);
        }
        let before = name.strip_suffix(asked);
        if before.is_some_and(|before| before.ends_with(['.', '/'])) {
            found.insert(name, method);
        }
    }
    let names: Vec<&str> = found.keys().copied().collect();
    match found.len() {
        1 => Ok(found.into_values().next().expect("there is one")),
        0 => {
            let all: Vec<&str> = contract.methods().map(|(_, method)| method.full_name()).collect();
            Err(Failure::new(Exit::Usage, format!("there is no method `{asked}`"))
                .fix(format!("name one of: {}", all.join(", "))))
        }
        _ => Err(Failure::new(Exit::Usage, format!("`{asked}` could be several methods"))
            .fix(format!("name one of: {}", names.join(", ")))),
    }
}
