//! Asks the services that a person names what they are: clear text or TLS, and what they serve.
//!
//! Nobody has to say more than `NAME=HOST:PORT`. All are asked at once; every failure is told, each
//! with the address, the step and the time spent.
//!
//! Not here: what is written about them (`draft`), calling them (`cli::call`).

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tandem_config::document::units::parse_address;
use tandem_config::document::{self, Address, forbidden};
use tandem_config::load::from_texts;
use tandem_config::{Problem, Tnd};
use tandem_contract::Contract;
use tandem_gateway::tasks::Side;
use tandem_gateway::upstream::Upstream;
use tandem_gateway::upstream::reflection::{self, Reflected, ReflectionError};
use tandem_gateway::upstream::speaks::{self, NotSpoken, Speaks};

use crate::failure::{Exit, Failure};

/// Of a file of certificates: enough for a chain, less than a system's bundle, for it comes to
/// stand in the team's file.
const CA_BYTES_MOST: u64 = 64 * 1024;

/// Whom to trust, for servers over TLS.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct TrustArguments {
    /// Who signs the certificates of servers over TLS: a PEM file. The system's roots are not asked.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The name in their certificates, where it is not that of the address.
    #[arg(long, value_name = "NAME")]
    tls_name: Option<String>,
}

/// As [`TrustArguments`], read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trust {
    /// Certificates in PEM, without what may stand around them.
    pub(crate) ca: Option<String>,
    pub(crate) name: Option<String>,
}

impl TrustArguments {
    /// # Errors
    /// The file cannot be read, or is no file of certificates.
    pub(crate) fn read(&self) -> Result<Trust, Failure> {
        let ca = self.ca.as_deref().map(certificates).transpose()?;
        Ok(Trust { ca, name: self.tls_name.clone() })
    }
}

fn certificates(path: &Path) -> Result<String, Failure> {
    let unusable = |why: String| {
        Failure::new(Exit::Usage, format!("{} holds no certificates", path.display()))
            .coded(Tnd::FileUnreadable)
            .at("--ca")
            .because(why)
            .fix("give the certificate of whoever signs the server's, in PEM")
    };
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(CA_BYTES_MOST + 1).read_to_string(&mut text))
        .map_err(|error| unusable(error.to_string()))?;
    if text.len() as u64 > CA_BYTES_MOST {
        let why = format!("it is larger than {} KiB", CA_BYTES_MOST / 1024);
        return Err(unusable(why).fix("give the one certificate that is meant, not a whole bundle"));
    }
    let mut kept = String::new();
    let mut inside = false;
    for line in text.lines().map(str::trim_end) {
        inside = inside || line == BEGIN;
        if inside {
            kept.push_str(line);
            kept.push('\n');
        }
        inside = inside && line != END;
    }
    if kept.is_empty() {
        return Err(unusable(format!("there is no line `{BEGIN}` in it")));
    }
    Ok(kept)
}

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// `NAME=ADDR`, well formed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) address: Address,
}

/// All that were named with `flag`, or what is wrong with them.
///
/// # Errors
/// Each text that is no upstream, and a name or an address that is there twice.
pub(crate) fn named(flag: &str, texts: &[String]) -> Result<Vec<Named>, Vec<Failure>> {
    let (mut all, mut failures): (Vec<Named>, Vec<Failure>) = (Vec::new(), Vec::new());
    for text in texts {
        let failed = |why: String, fix: &str| {
            Failure::new(Exit::Usage, format!("`{text}` is no upstream"))
                .coded(Tnd::WrongAddress)
                .at(flag)
                .because(why)
                .fix(fix)
        };
        match one(text) {
            Err((why, fix)) => failures.push(failed(why, &fix)),
            Ok(new) => {
                match all.iter().find(|old| old.name == new.name || old.address == new.address) {
                    Some(old) if old.name == new.name => {
                        let why = format!("`{}` is named twice", old.name);
                        failures.push(failed(why, "give each upstream a name of its own"));
                    }
                    Some(old) => {
                        let why = format!("`{}` has that address already", old.name);
                        failures.push(failed(why, "name each address once"));
                    }
                    None => all.push(new),
                }
            }
        }
    }
    if failures.is_empty() { Ok(all) } else { Err(failures) }
}

/// What is wrong, and what to write.
fn one(text: &str) -> Result<Named, (String, String)> {
    const EXAMPLE: &str = "write `NAME=HOST:PORT`, for example `go=127.0.0.1:50051`";
    let Some((name, address)) = text.split_once('=') else {
        return Err(("a name is missing in front of the address".into(), EXAMPLE.into()));
    };
    let good = (1..=63).contains(&name.len())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    if !good {
        let why = "a name is 1 to 63 of `a` to `z`, `0` to `9` and `-`";
        return Err((why.into(), EXAMPLE.into()));
    }
    Ok(Named { name: name.to_owned(), address: address_of(address)? })
}

/// An address as people write it, or what is wrong with it and what to write.
pub(crate) fn address_of(text: &str) -> Result<Address, (String, String)> {
    if text.starts_with("unix:") || text.starts_with('/') || text.starts_with("./") {
        let fix = "let the service listen on 127.0.0.1 as well, and name that port";
        return Err(("sockets of the file system are not reached".into(), fix.into()));
    }
    let address = parse_address(text).map_err(|fault| (fault.wrong, fault.right))?;
    if let Address::Fixed(fixed) = &address
        && let Some(why) = forbidden(fixed.ip())
    {
        return Err((why.into(), "use another address; no upstream may have this one".into()));
    }
    Ok(address)
}

/// A service that answered.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) name: String,
    pub(crate) address: Address,
    pub(crate) speaks: Speaks,
    /// As it is called.
    pub(crate) upstream: Upstream,
    /// `None`: it offers no reflection.
    pub(crate) promise: Option<Promise>,
}

/// What a service says of itself.
#[derive(Debug)]
pub(crate) struct Promise {
    /// `v1` or `v1alpha`.
    pub(crate) version: &'static str,
    /// Full names, in the order of the alphabet.
    pub(crate) services: Vec<String>,
    pub(crate) contract: Arc<Contract>,
}

/// Whether services are asked what they serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reflection {
    Ask,
    /// Their contract comes from elsewhere.
    Leave,
}

/// Asks all of them at once, each step within `limit`; `flag` is what they were named with.
///
/// # Errors
/// Those that could not be asked.
pub(crate) async fn discover(
    flag: &'static str,
    all: Vec<Named>,
    trust: &Trust,
    reflection: Reflection,
    limit: Duration,
) -> Result<Vec<Found>, Vec<Failure>> {
    let side = Side::new(tokio::runtime::Handle::current());
    let (say, mut heard) = tokio::sync::mpsc::unbounded_channel();
    for (position, named) in all.into_iter().enumerate() {
        let (say, trust) = (say.clone(), trust.clone());
        side.start(async move {
            let answer = ask(flag, named, &trust, reflection, limit).await;
            // Nobody hears it where the command has been given up.
            let _ = say.send((position, answer));
        });
    }
    drop(say);
    let mut answers = Vec::new();
    while let Some(answer) = heard.recv().await {
        answers.push(answer);
    }
    answers.sort_by_key(|(position, _)| *position);
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for (_, answer) in answers {
        match answer {
            Ok(one) => found.push(one),
            Err(failure) => failures.push(failure),
        }
    }
    if failures.is_empty() { Ok(found) } else { Err(failures) }
}

async fn ask(
    flag: &str,
    named: Named,
    trust: &Trust,
    reflection: Reflection,
    limit: Duration,
) -> Result<Found, Failure> {
    let Named { name, address } = named;
    let at = format!("{flag} {name}={}", plain(&address));
    let (speaks, upstream) = reach(&name, &address, trust, limit).await.map_err(|it| it.at(&at))?;
    if reflection == Reflection::Leave {
        return Ok(Found { name, address, speaks, upstream, promise: None });
    }
    let promise = match reflection::fetch(&upstream).await {
        Ok(Reflected { mut services, files, version }) => {
            services.sort();
            let contract = Contract::from_file_descriptors(&files).map_err(|faults| {
                Failure::new(Exit::Failed, format!("the contract of `{name}` cannot be used"))
                    .coded(Tnd::ContractUnusable)
                    .at(&at)
                    .because(faults.to_string())
                    .fix("correct the service's descriptors; `buf build` says the same of them")
            })?;
            Some(Promise { version, services, contract: Arc::new(contract) })
        }
        Err(ReflectionError::NotOffered { .. }) => None,
        Err(error @ ReflectionError::Unreachable { .. }) => {
            return Err(Failure::new(
                Exit::Unreachable,
                format!("{} does not answer", plain(&address)),
            )
            .coded(Tnd::Unreachable)
            .at(&at)
            .because(error.to_string())
            .fix("look into the service's own log, and try again"));
        }
        Err(error @ ReflectionError::Unusable { .. }) => {
            let what = format!("{} does not say what it serves", plain(&address));
            return Err(Failure::new(Exit::Failed, what)
                .coded(Tnd::NoReflection)
                .at(&at)
                .because(error.to_string())
                .fix(WITHOUT_REFLECTION));
        }
    };
    Ok(Found { name, address, speaks, upstream, promise })
}

/// What to do about a service without reflection.
pub(crate) const WITHOUT_REFLECTION: &str = "register reflection in the service (Go: `reflection.Register(server)`, Rust: tonic-reflection), \
     or say what it serves: `tandem init … --contract FILE`, a descriptor set, a .proto file or a \
     folder of them";

/// `HOST:PORT`, without the `dns:` of documents.
pub(crate) fn plain(address: &Address) -> String {
    let text = address.to_string();
    text.strip_prefix("dns:").map(str::to_owned).unwrap_or(text)
}

/// Finds out what speaks at `address`, and gives it back as it is to be asked.
///
/// # Errors
/// Nobody is there, it is no gRPC server, or its certificate is not accepted.
pub(crate) async fn reach(
    name: &str,
    address: &Address,
    trust: &Trust,
    limit: Duration,
) -> Result<(Speaks, Upstream), Failure> {
    let mut clear = described(name, address, None)?;
    clear.connect = limit;
    let secured = described(name, address, Some(trust))?;
    let host = match address {
        Address::Fixed(address) => address.ip().to_string(),
        Address::Dns { host, .. } => host.clone(),
    };
    let plain_upstream = Upstream::of_document(name, &clear);
    let speaks = speaks::ask(&plain_upstream, secured.tls.as_ref(), &host)
        .await
        .map_err(|error| not_spoken(&plain(address), error, trust))?;
    let upstream = match speaks {
        Speaks::ClearText => plain_upstream,
        Speaks::Tls => {
            Upstream::of_document(name, &document::Upstream { connect: limit, ..secured })
        }
    };
    Ok((speaks, upstream))
}

fn not_spoken(address: &str, error: NotSpoken, trust: &Trust) -> Failure {
    let why = error.to_string();
    match error {
        NotSpoken::Unreachable { step, .. } => {
            let fix = match step {
                "resolve" => "correct the name, or write the IP address",
                "connect" => "start the service, or correct its address",
                _ => "look whether the service is well; nothing came from it",
            };
            Failure::new(Exit::Unreachable, format!("{address} cannot be reached"))
                .coded(Tnd::Unreachable)
                .because(why)
                .fix(fix)
        }
        NotSpoken::Certificate { .. } => {
            let fix = match trust.ca {
                None => "name the certificate of whoever signs it: `--ca FILE`",
                Some(_) => "give the right `--ca FILE`; where its name differs, `--tls-name NAME`",
            };
            Failure::new(Exit::Failed, format!("the certificate of {address} is not accepted"))
                .coded(Tnd::CertificateRefused)
                .because(why)
                .fix(fix)
        }
        NotSpoken::ClientCertificate { .. } => {
            Failure::new(Exit::Failed, format!("{address} wants a client certificate"))
                .coded(Tnd::NotGrpc)
                .because(why)
                .fix("write the files by hand, the upstream with `tls: { ca, cert, key }`")
        }
        NotSpoken::Tls { .. } | NotSpoken::Neither { .. } => Failure::new(
            Exit::Failed,
            format!("{address} speaks no gRPC"),
        )
        .coded(Tnd::NotGrpc)
        .because(why)
        .fix("name the port of the gRPC server; it needs HTTP/2, clear or over TLS with ALPN `h2`"),
    }
}

/// The upstream as a team's document would have it. Certificates are read by the reader of
/// documents, so that what is accepted here is accepted there.
fn described(
    name: &str,
    address: &Address,
    trust: Option<&Trust>,
) -> Result<document::Upstream, Failure> {
    const PLATFORM: &str = "format: 1\nlisten: { public: { address: 127.0.0.1:0 } }\n\
                            namespaces: { it: { may: { loopback: true } } }\n";
    let mut entry = String::new();
    upstream_text(&mut entry, name, address, trust);
    let team = format!(
        "namespace: it\ncontract: {{ reflection: {name} }}\nupstreams:\n{entry}methods: {{}}\n"
    );
    let unusable = |problem: Option<Problem>| {
        let (here, fix) = problem.map(|problem| (problem.here, problem.fix)).unwrap_or_default();
        Failure::new(Exit::Usage, "the certificates cannot be used")
            .coded(Tnd::FileUnreadable)
            .at("--ca")
            .because(here)
            .fix(fix)
    };
    let loaded = from_texts(PLATFORM, &[("teams/it.yaml", &team)])
        .map_err(|problems| unusable(problems.into_iter().next()))?;
    let (namespace, _) = loaded.namespaces.into_iter().next().ok_or_else(|| unusable(None))?;
    namespace.upstreams.into_values().next().ok_or_else(|| unusable(None))
}

/// The lines of one upstream in a team's file, below `upstreams:`.
pub(crate) fn upstream_text(
    out: &mut String,
    name: &str,
    address: &Address,
    trust: Option<&Trust>,
) {
    out.push_str(&format!("  {name}:\n    address: \"{address}\"\n"));
    let Some(Trust { ca: Some(ca), name }) = trust else { return };
    out.push_str("    tls:                      # the server is always verified\n");
    if let Some(name) = name {
        out.push_str(&format!("      name: \"{}\"\n", name.replace(['"', '\\', '\n'], "")));
    }
    out.push_str("      ca: |\n");
    for line in ca.lines() {
        out.push_str(&format!("        {line}\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_an_address_is_said_with_what_to_write() {
        let check = |text: &str, word: &str| {
            let failures = named("--from", &[text.to_owned()]).unwrap_err();
            let shown = failures[0].text();
            assert!(shown.contains(word) && shown.contains("= fix: "), "{text}: {shown}");
            assert_eq!((failures.len(), failures[0].exit), (1, Exit::Usage), "{text}");
        };
        check("127.0.0.1:1", "a name is missing");
        check("=127.0.0.1:1", "a name is 1 to 63");
        check("Go=127.0.0.1:1", "a name is 1 to 63");
        check("go=", "the port is missing");
        check("go=127.0.0.1", "the port is missing");
        check("go=127.0.0.1:0", "1 to 65535");
        check("go=127.0.0.1:65536", "1 to 65535");
        check("go=::1:50051", "in brackets");
        check("go=[::1]", "behind the brackets");
        check("go=http://127.0.0.1:1", "has no scheme");
        check("go=unix:/run/go.sock", "sockets of the file system");
        check("go=/run/go.sock", "sockets of the file system");
        check("go=LOCALHOST:1", "lower case");
        check("go=a b:1", "no host");
        check("go=169.254.169.254:80", "metadata");
    }

    #[test]
    fn names_and_addresses_are_there_once() {
        let words = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            named("--from", &texts).unwrap_err().remove(0).why.unwrap()
        };
        assert_eq!(words(&["a=h:1", "a=h:2"]), "`a` is named twice");
        assert_eq!(words(&["a=h:1", "b=h:1"]), "`a` has that address already");
    }

    #[test]
    fn addresses_of_every_kind_are_taken() {
        for text in ["a=127.0.0.1:1", "a=[::1]:65535", "a=localhost:50051", "a=dns:a.b.svc:1"] {
            assert_eq!(named("--from", &[text.to_owned()]).unwrap().len(), 1, "{text}");
        }
    }
}
