//! `tandem init --from NAME=ADDR…`: asks the services, writes the files that `tandem run` serves.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tandem_config::{Tnd, schema};
use tandem_gateway::net;
use tandem_gateway::upstream::speaks::Speaks;

use super::contract::from_file;
use super::{address_of_listener, on_a_loop, say_all};
use crate::admin::views;
use crate::discover::{self, Found, Reflection, Trust, TrustArguments, plain};
use crate::documents::Documents;
use crate::draft::{self, Draft, Drafted, Profile, Wishes};
use crate::failure::{Exit, Failure};
use crate::files::{self, New, Over};
use crate::output::{self, Form};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A service to stand behind the gateway, once for each: `--from go=127.0.0.1:50051`.
    #[arg(long = "from", value_name = "NAME=ADDR", required = true)]
    from: Vec<String>,
    /// The team's name; by default the last part of the package.
    #[arg(long, value_name = "NS")]
    namespace: Option<String>,
    /// How REST is read: strictly, or as Envoy's transcoder does.
    #[arg(long, value_enum, default_value_t = Profile::Strict)]
    profile: Profile,
    /// Listen on other addresses than this machine's; without an auth policy every call is 401
    /// there.
    #[arg(long)]
    public: bool,
    /// Overwrite the files that it writes.
    #[arg(long)]
    force: bool,
    /// Where to write; the teams' files come into `teams` beside it.
    #[arg(long, value_name = "FILE", default_value = "tandem.yaml")]
    config: PathBuf,
    /// Where callers come.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: String,
    /// Where the admin API listens; this machine only.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9080")]
    admin: String,
    /// What they serve, where they do not offer reflection: a descriptor set, a .proto file or a
    /// folder of them.
    #[arg(long, value_name = "PATH")]
    contract: Option<PathBuf>,
    #[command(flatten)]
    trust: TrustArguments,
}

pub(super) fn init(arguments: &Arguments, form: Form, timeout: Duration) -> Result<Exit, Failure> {
    let trust = arguments.trust.read()?;
    let wishes = wishes(arguments, trust)?;
    let named = match discover::named("--from", &arguments.from) {
        Ok(named) => named,
        Err(failures) => return Ok(say_all(&failures, form)),
    };
    let given = arguments.contract.as_deref().map(from_file).transpose()?;
    // Asked before the services: what cannot be written need not be found out.
    if !arguments.force && arguments.config.exists() {
        return Err(files::is_there(&[arguments.config.display().to_string()]));
    }
    foreign_teams(&arguments.config)?;
    let reflection = if given.is_some() { Reflection::Leave } else { Reflection::Ask };
    let found = on_a_loop(async {
        Ok(discover::discover("--from", named, &wishes.trust, reflection, timeout).await)
    })?;
    let found = match found {
        Ok(found) => found,
        Err(failures) => return Ok(say_all(&failures, form)),
    };
    if form == Form::Text {
        output::talk(&table(&found, reflection));
    }
    let (given, set) = given.map_or((None, None), |(contract, set)| (Some(contract), Some(set)));
    let Draft { documents, namespaces, warnings } = draft::draft(&found, given.as_ref(), &wishes)?;
    let over = if arguments.force { Over::Replace } else { Over::Keep };
    let all = new_files(&arguments.config, &documents, &namespaces, set, over);
    let names: Vec<String> = all.iter().map(|new| new.path.display().to_string()).collect();
    ours_alone(&arguments.config, &names)?;
    files::write(&all)?;
    say_all(&warnings, form);
    match form {
        Form::Text => say(arguments, &wishes, &namespaces, &names),
        Form::Json => output::data(&object(&found, &namespaces, &names, &wishes).to_string()),
    }
    Ok(Exit::Fine)
}

fn wishes(arguments: &Arguments, trust: Trust) -> Result<Wishes, Failure> {
    let listen = address_of_listener("--listen", &arguments.listen)?;
    let admin = address_of_listener("--admin", &arguments.admin)?;
    let elsewhere = !listen.ip().to_canonical().is_loopback();
    let public = match (arguments.public, elsewhere) {
        // The port that was wished, on every address.
        (true, false) => match listen {
            SocketAddr::V4(_) => SocketAddr::from(([0, 0, 0, 0], listen.port())),
            SocketAddr::V6(_) => SocketAddr::from(([0_u16; 8], listen.port())),
        },
        (_, false) | (true, true) => listen,
        (false, true) => {
            return Err(Failure::new(Exit::Usage, format!("{listen} is reached by others"))
                .coded(Tnd::AddressForbidden)
                .at("--listen")
                .because("what is written lets everybody call who reaches the listener")
                .fix("listen on 127.0.0.1, or add `--public`: then nobody may call before `auth` is written"));
        }
    };
    if let Some(namespace) = &arguments.namespace {
        let good = (1..=63).contains(&namespace.len())
            && namespace.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if !good {
            return Err(Failure::new(Exit::Usage, format!("`{namespace}` is no name"))
                .at("--namespace")
                .because("a name is 1 to 63 of `a` to `z`, `0` to `9` and `-`")
                .fix("choose another name"));
        }
    }
    Ok(Wishes {
        namespace: arguments.namespace.clone(),
        profile: arguments.profile,
        public,
        admin,
        trust,
    })
}

fn folder_of(config: &Path) -> &Path {
    match config.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// The documents of `teams`, which a gateway would read as well.
fn teams_there(config: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder_of(config).join("teams"));
    let mut found: Vec<PathBuf> = entries
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let hidden =
                path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            let ending = path.extension().and_then(|ending| ending.to_str());
            !hidden && matches!(ending, Some("yaml" | "yml" | "json"))
        })
        .collect();
    found.sort();
    found
}

/// Without a `tandem.yaml` the files of teams belong to nobody that is known here.
fn foreign_teams(config: &Path) -> Result<(), Failure> {
    let there = teams_there(config);
    match there.is_empty() || config.exists() {
        true => Ok(()),
        false => Err(beside(&there)),
    }
}

/// `tandem.yaml` would grant nothing to files of other teams, and `run` would refuse them all.
fn ours_alone(config: &Path, ours: &[String]) -> Result<(), Failure> {
    let others: Vec<PathBuf> = teams_there(config)
        .into_iter()
        .filter(|path| !ours.contains(&path.display().to_string()))
        .filter(|path| {
            // As it is written when the folder is this one.
            let plain = path.strip_prefix(".").unwrap_or(path).display().to_string();
            !ours.contains(&plain)
        })
        .collect();
    if others.is_empty() { Ok(()) } else { Err(beside(&others)) }
}

fn beside(others: &[PathBuf]) -> Failure {
    let names: Vec<String> = others.iter().map(|path| path.display().to_string()).collect();
    Failure::new(Exit::Failed, "there are files of other teams")
        .coded(Tnd::FileIsThere)
        .at(names.join(", "))
        .because("the new tandem.yaml would grant them nothing, and nothing would be served")
        .fix("move them away, or write elsewhere with `--config FOLDER/tandem.yaml`")
}

fn new_files(
    config: &Path,
    documents: &Documents,
    namespaces: &[Drafted],
    set: Option<Vec<u8>>,
    over: Over,
) -> Vec<New> {
    let folder = match config.parent() {
        Some(folder) => folder.to_owned(),
        None => PathBuf::new(),
    };
    let new = |path: PathBuf, text: &str, over| New { path, bytes: text.as_bytes().to_vec(), over };
    let mut all = Vec::new();
    if let Documents::Texts { platform, teams } = documents {
        all.push(new(config.to_owned(), platform, over));
        all.extend(teams.iter().map(|(name, text)| new(folder.join(name), text, over)));
    }
    if let (Some(bytes), [only]) = (set, namespaces) {
        let path = folder.join(format!("teams/{}.binpb", only.name));
        all.push(New { path, bytes, over });
    }
    // Nobody writes these by hand.
    for (name, text) in [("tandem", schema::TANDEM), ("namespace", schema::NAMESPACE)] {
        let path = folder.join(format!(".tandem/{name}.schema.json"));
        all.push(new(path, text, Over::Replace));
    }
    all
}

fn spoken(found: &Found, reflection: Reflection) -> String {
    let speaks = match found.speaks {
        Speaks::ClearText => "h2c",
        Speaks::Tls => "TLS",
    };
    match (&found.promise, reflection) {
        (Some(promise), _) => format!("{speaks}, reflection {}", promise.version),
        (None, Reflection::Ask) => format!("{speaks}, no reflection"),
        (None, Reflection::Leave) => speaks.to_owned(),
    }
}

/// A line an upstream: where, how, what.
pub(super) fn table(found: &[Found], reflection: Reflection) -> String {
    let mut rows: Vec<[String; 3]> = Vec::new();
    let mut known: Vec<(&str, [u8; 32])> = Vec::new();
    for one in found {
        let mut what = Vec::new();
        for name in one.promise.iter().flat_map(|promise| &promise.services) {
            let Some(promise) = &one.promise else { continue };
            let methods =
                promise.contract.services().iter().find(|service| *service.full_name == **name);
            let count = methods.map_or(0, |service| service.methods.len());
            let digest = promise.contract.service_digest(name).unwrap_or_default();
            let same = match known.iter().find(|(other, _)| other == name) {
                Some((_, other)) if *other == digest => ", same contract",
                Some(_) => ", ANOTHER contract",
                None => "",
            };
            known.push((name, digest));
            let plural = if count == 1 { "" } else { "s" };
            what.push(format!("{name} ({count} method{plural}){same}"));
        }
        let what = match (what.is_empty(), reflection) {
            (false, _) => what.join("; "),
            (true, Reflection::Ask) => "nothing is known".to_owned(),
            (true, Reflection::Leave) => "serves what `--contract` says".to_owned(),
        };
        let named = format!("{}={}", one.name, plain(&one.address));
        rows.push([named, spoken(one, reflection), what]);
    }
    super::table(&rows)
}

fn say(arguments: &Arguments, wishes: &Wishes, namespaces: &[Drafted], names: &[String]) {
    let quiet: Vec<&str> =
        names.iter().map(String::as_str).filter(|name| !name.ends_with(".schema.json")).collect();
    output::talk(&format!("  wrote {}, and schemas for editors in .tandem", quiet.join(", ")));
    output::talk(&reach(namespaces, &|name| {
        format!("`http:` lines to take over stand in teams/{name}.yaml")
    }));
    if !wishes.public.ip().to_canonical().is_loopback() {
        output::talk(&format!(
            "  {} is reached by others: every call is 401 until `auth` is written (docs: TND0115)",
            wishes.public
        ));
    }
    for address in [wishes.public, wishes.admin] {
        if address.port() != 0
            && on_a_loop(async { Ok(net::listen(address)) }).is_ok_and(|it| it.is_err())
        {
            output::talk(&format!(
                "  {address} is taken at the moment: end that program, or write another port in {}",
                arguments.config.display()
            ));
        }
    }
    let config = match arguments.config.to_str() {
        Some("tandem.yaml") => String::new(),
        _ => format!(" --config {}", arguments.config.display()),
    };
    output::talk(&format!("  next: tandem run{config}"));
    if wishes.public.ip().to_canonical().is_loopback() {
        output::talk(&call_lines(namespaces, wishes.public));
    }
}

/// What is reached how, in a sentence.
///
/// `remedy` says where a method without REST paths gets one, by namespace.
pub(super) fn reach(namespaces: &[Drafted], remedy: &dyn Fn(&str) -> String) -> String {
    let mut text = String::new();
    for namespace in namespaces {
        let all: Vec<_> = namespace.methods().collect();
        let without: Vec<&str> = all
            .iter()
            .filter(|method| method.rules.is_empty())
            .map(|method| &*method.name)
            .collect();
        text.push_str(&format!(
            "  {}: methods by gRPC: {}, of which by REST: {}\n",
            namespace.name,
            all.len(),
            all.len() - without.len()
        ));
        if let [first, rest @ ..] = &without[..] {
            let more = match rest.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            text.push_str(&format!(
                "    by gRPC only: {first}{more}, for the contract has no google.api.http there; {}\n",
                remedy(&namespace.name)
            ));
        }
    }
    text.trim_end().to_owned()
}

/// Where to call, with lines that work as they stand.
pub(super) fn call_lines(namespaces: &[Drafted], public: SocketAddr) -> String {
    let sample = draft::samples(namespaces, public);
    let mut text = String::new();
    if let Some(line) = &sample.curl {
        text.push_str(&format!("    {line}\n"));
    }
    match &sample.grpcurl {
        Some(line) => text.push_str(&format!("    {line}\n")),
        None => text.push_str(&format!("    grpcurl -plaintext {public} list\n")),
    }
    text.trim_end().to_owned()
}

fn object(found: &[Found], namespaces: &[Drafted], names: &[String], wishes: &Wishes) -> Value {
    let upstreams: Vec<Value> = found
        .iter()
        .map(|one| {
            json!({
                "name": one.name,
                "address": plain(&one.address),
                "tls": one.speaks == Speaks::Tls,
                "reflection": one.promise.as_ref().map(|promise| promise.version),
                "services": one.promise.as_ref().map(|promise| &promise.services),
            })
        })
        .collect();
    let namespaces_shown: Vec<Value> = namespaces
        .iter()
        .map(|namespace| {
            let methods: Vec<Value> = namespace
                .methods()
                .map(|method| {
                    json!({
                        "method": method.full_name(),
                        "kind": views::kind(method.kind),
                        "rest": !method.rules.is_empty(),
                    })
                })
                .collect();
            let services: &BTreeSet<String> = &namespace.services;
            json!({ "name": namespace.name, "services": services, "methods": methods })
        })
        .collect();
    let sample = draft::samples(namespaces, wishes.public);
    json!({
        "wrote": names,
        "upstreams": upstreams,
        "namespaces": namespaces_shown,
        "curl": sample.curl,
        "grpcurl": sample.grpcurl,
    })
}
