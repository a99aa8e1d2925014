//! `tandem agent --target [NAME=]TARGET`: reads what services here use for a `tandem compare` that
//! runs elsewhere, until SIGTERM or Ctrl-C.
//!
//! Not here: what is asked and answered (`crate::agent`).

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tandem_config::Tnd;
use tandem_gateway::net;
use tandem_gateway::tasks::Side;
use tandem_measure::probe::{Probe, ProbeError, Target};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch as channel;

use super::address_of_listener;
use super::run::{log_to_stderr, no_signals, write_ready};
use crate::agent::serve;
use crate::agent::watch::{Named, Watch};
use crate::failure::{Exit, Failure};
use crate::output::{self, Form};
use crate::token;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// What is read, once for each: [NAME=]TARGET, a target being `pid:N`, `port:N`,
    /// `cgroup:PATH`, `unit:NAME`, `docker:ID` or `k8s-pod:UID`. NAME is the side's name in
    /// `compare`; several of one name are instances of it. One target alone needs none.
    #[arg(long = "target", value_name = "TARGET", required = true)]
    targets: Vec<String>,
    /// Where it is asked; port 0 takes a free one. Beyond this machine only with `--token-file`.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: String,
    /// The token that whoever asks must have; a file that is not there is made, mode 0600.
    /// data/agent.token without it.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Write address and file of the token there, as one JSON object, once the listener is open.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

/// How long answers under way may take after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);
const RIGHT: &str = "write `--target TARGET` or, of several, `--target NAME=TARGET`, for example \
                     `--target go=unit:shop`";

pub(super) fn agent(arguments: &Arguments, form: Form) -> Result<Exit, Failure> {
    let targets = named(&arguments.targets)?;
    let address = address_of_listener("--listen", &arguments.listen)?;
    let here = address.ip().to_canonical().is_loopback();
    if !here && arguments.token_file.is_none() {
        return Err(Failure::new(Exit::Usage, format!("{address} is reached by others"))
            .coded(Tnd::NoCredential)
            .at("--listen")
            .because("whoever has the token sees what the services here use")
            .fix(
                "name a file with `--token-file FILE` (it is made), or stay on 127.0.0.1 and lead \
                 there by `ssh -N -L 9190:127.0.0.1:PORT HOST`",
            ));
    }
    log_to_stderr();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("agent")
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::new(Exit::Failed, "no loop can be made").because(error.to_string())
        })?;
    let ended = runtime.block_on(serve_at(arguments, targets, address, here, form));
    // Whatever still blocks has no say in when a daemon ends.
    runtime.shutdown_background();
    ended
}

async fn serve_at(
    arguments: &Arguments,
    targets: Vec<Named>,
    address: SocketAddr,
    here: bool,
    form: Form,
) -> Result<Exit, Failure> {
    // Before anything is told: whoever reads it may end this at once.
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
    // What is missing now may come; what never can ends the start.
    for error in targets.iter().filter_map(|named| Probe::open(named.targets.clone()).err()) {
        let failure = unreadable(&error);
        match failure.exit {
            Exit::Fine => super::say(&failure, form),
            _ => return Err(failure),
        }
    }
    let watch = Arc::new(Watch::new(targets).map_err(|error| unreadable(&error))?);
    let file = arguments.token_file.clone();
    let file = file.unwrap_or_else(|| PathBuf::from("data").join(token::AGENT_FILE));
    let (token, file) = token::load_or_make_at(&file, &token::AGENT)?;
    let socket = net::listen(address).map_err(|error| {
        let failure = Failure::new(Exit::Failed, "the agent's listener cannot be opened")
            .at("--listen")
            .because(format!("{address}: {error}"));
        match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                failure.coded(Tnd::PortTaken).fix("take another port, or 0 for a free one")
            }
            _ => failure,
        }
    })?;
    let bound = socket.local_addr().map_err(|error| {
        Failure::new(Exit::Failed, "the agent's listener cannot be opened")
            .because(error.to_string())
    })?;
    say_ready(arguments, bound, &watch, &file, here, form)?;
    let side = Side::new(tokio::runtime::Handle::current());
    let (stop, stopped) = channel::channel(());
    let serving = serve::serve(socket, watch, token, &side, stopped);
    let exit = tokio::select! {
        () = serving => Exit::Failed,
        _ = terminate.recv() => Exit::Fine,
        _ = interrupt.recv() => Exit::Interrupted,
    };
    drop(stop);
    // A second signal ends it at once.
    tokio::select! {
        _ = tokio::time::timeout(GRACE, side.emptied()) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(exit)
}

/// The targets by name, in the order of the names' first places.
fn named(texts: &[String]) -> Result<Vec<Named>, Failure> {
    let wrong = |text: &str, why: String| {
        Failure::new(Exit::Usage, format!("`{text}` is no target of an agent"))
            .coded(Tnd::WrongType)
            .at("--target")
            .because(why)
            .fix(RIGHT)
    };
    let mut all: Vec<Named> = Vec::new();
    for text in texts {
        let is_name = |name: &str| {
            (1..=63).contains(&name.len())
                && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        };
        let (name, target) = match text.split_once('=') {
            Some((name, target)) if is_name(name) => (Some(name.to_owned()), target),
            Some(_) | None => (None, &**text),
        };
        let target: Target = target.parse().map_err(|error| wrong(text, format!("{error}")))?;
        match &target {
            Target::Exec(_) => return Err(wrong(text, "an agent starts nothing".to_owned())),
            Target::Agent { .. } => {
                return Err(wrong(text, "an agent reads its own machine only".to_owned()));
            }
            Target::Pid(_)
            | Target::Cgroup(_)
            | Target::Unit(_)
            | Target::Docker(_)
            | Target::KubernetesPod(_)
            | Target::Port(_) => {}
        }
        match all.iter_mut().find(|one| one.name == name) {
            Some(one) if name.is_some() => one.targets.push(target),
            Some(_) | None => all.push(Named { name, targets: vec![target] }),
        }
    }
    if let (Some(nameless), true) = (all.iter().find(|one| one.name.is_none()), all.len() > 1) {
        let text = nameless.targets[0].to_string();
        return Err(wrong(&text, "it is one of several and has no name".to_owned()));
    }
    Ok(all)
}

/// A target that cannot be read now; one that may come later is a warning.
fn unreadable(error: &ProbeError) -> Failure {
    let text = error.to_string();
    match error {
        ProbeError::NotFound { target: Target::Pid(_), .. } => {
            Failure::new(Exit::Failed, text).coded(Tnd::Unreachable).at("--target")
        }
        ProbeError::NotFound { .. } => Failure::warning(Tnd::Unreachable, text)
            .at("--target")
            .fix("nothing has to be done if it is started later"),
        ProbeError::Ambiguous { .. } => Failure::new(Exit::Failed, text)
            .coded(Tnd::WrongType)
            .at("--target")
            .fix("name one process by `pid:N`"),
        ProbeError::Denied { .. } => Failure::new(Exit::Failed, text)
            .coded(Tnd::NoRight)
            .at("--target")
            .fix("run the agent as the user of the service, or as root"),
        ProbeError::Elsewhere { .. } | ProbeError::NotStarted { .. } => {
            Failure::new(Exit::Usage, text).coded(Tnd::WrongType).at("--target").fix(RIGHT)
        }
    }
}

fn say_ready(
    arguments: &Arguments,
    bound: SocketAddr,
    watch: &Watch,
    token_file: &std::path::Path,
    here: bool,
    form: Form,
) -> Result<(), Failure> {
    let shown = |named: &Named| {
        let targets: Vec<String> = named.targets.iter().map(Target::to_string).collect();
        (named.name.clone().unwrap_or_default(), targets.join(", "))
    };
    let targets: Vec<(String, String)> = watch.targets().iter().map(shown).collect();
    let ready = json!({
        "agent": bound.to_string(),
        "token_file": token_file.display().to_string(),
        "targets": targets
            .iter()
            .map(|(name, text)| json!({ "name": name, "target": text }))
            .collect::<Vec<_>>(),
    });
    match form {
        Form::Json => output::data(&ready.to_string()),
        Form::Text => {
            output::talk(&format!("  agent   {bound}"));
            for (name, text) in &targets {
                let name = if name.is_empty() { "NAME" } else { name };
                output::talk(&format!(
                    "  {name}   {text}   --primary {name}=agent:{bound}@ADDRESS"
                ));
            }
            output::talk(&format!("  token in {} (0600)", token_file.display()));
        }
    }
    if !here {
        let what = format!("what passes through {bound} is not encrypted, the token included");
        let warning = Failure::warning(Tnd::NotBuiltIn, what)
            .at("--listen")
            .because("listeners have no TLS yet")
            .fix(format!(
                "where others may read along, listen on 127.0.0.1 and lead there by \
                 `ssh -N -L {0}:127.0.0.1:{0} HOST`",
                bound.port()
            ));
        super::say(&warning, form);
    }
    match &arguments.ready_file {
        Some(file) => write_ready(file, &ready),
        None => Ok(()),
    }
}
