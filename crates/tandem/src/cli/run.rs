//! `tandem run`: the daemon.
//!
//! First SIGTERM or Ctrl-C drains, the second stops at once; SIGHUP reads the files again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tandem_config::access::Membership;
use tandem_config::document::{AccessLogTarget, StorePlace};
use tandem_config::store::{Embedded, NamespaceName};
use tandem_config::{Platform, Severity, Tnd};
use tandem_gateway::observe::AccessLog;
use tandem_gateway::tasks::Side;
use tandem_gateway::{
    AdmitContracts, Gateway, Listener, Plan, StartError, net, settings_of_documents,
};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::check::show;
use super::init::{call_lines, reach, table};
use super::{address_of_listener, say_all};
use crate::admin::{self, About, Admin, Guard, Opened};
use crate::admit::{Admission, Files, Judge};
use crate::discover::{self, Reflection, TrustArguments};
use crate::documents::{Contracts, Documents, problems_of, settled_by_store};
use crate::draft::{self, Draft, Drafted, Profile, Wishes};
use crate::failure::{Exit, Failure};
use crate::kept::Kept;
use crate::output::{self, Form};
use crate::people::People;
use crate::reload::{Reloaded, Reloader};
use crate::stored::{Process, Stored, last_good};
use crate::token;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The platform's file; the teams' files are in `teams` beside it.
    #[arg(long, default_value = "tandem.yaml", env = "TANDEM_CONFIG")]
    config: PathBuf,
    /// Serve this service without any file, once for each; on this machine only.
    #[arg(long = "upstream", value_name = "NAME=ADDR", conflicts_with = "config")]
    upstreams: Vec<String>,
    /// With `--upstream`: where callers come.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080", requires = "upstreams")]
    listen: String,
    /// With `--upstream`: where the admin API listens.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9080", requires = "upstreams")]
    admin: String,
    #[command(flatten)]
    trust: TrustArguments,
    /// The folder of what must be kept: the admin token, the last good contracts.
    #[arg(long, default_value = "data", env = "TANDEM_DATA")]
    data: PathBuf,
    /// Write the addresses there, as one JSON object, once listeners are open.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

/// How long calls under way may go on after SIGTERM (security O-2).
const GRACE: Duration = Duration::from_secs(30);

/// What a daemon tells while it runs.
pub(super) fn log_to_stderr() {
    use tracing_subscriber::filter::{LevelFilter, Targets};
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::util::SubscriberInitExt as _;
    let filter =
        Targets::new().with_default(LevelFilter::INFO).with_target("h2", LevelFilter::WARN);
    tracing_subscriber::registry()
        .with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false))
        .with(filter)
        .init();
}

pub(super) fn run(arguments: &Arguments, form: Form, timeout: Duration) -> Result<Exit, Failure> {
    log_to_stderr();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("side")
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::new(Exit::Failed, "no loop can be made").because(error.to_string())
        })?;
    let ended = runtime.block_on(async {
        // Before anything that takes time: without it a SIGHUP ends the process. One that comes
        // while it starts is a reload as soon as there is something to reload.
        let hang_up = signal(SignalKind::hangup()).map_err(no_signals)?;
        let (documents, drafted) = match arguments.upstreams.is_empty() {
            true => (files(arguments)?, None),
            false => match without_files(arguments, form, timeout).await? {
                Some(draft) => (draft.documents, Some(draft.namespaces)),
                None => return Ok(Exit::Failed),
            },
        };
        serve(arguments, &documents, drafted.as_deref(), form, hang_up).await
    });
    // A daemon ends with few codes (experience UX-17): whoever restarts it knows no others.
    let few = |exit| match exit {
        Exit::Fine | Exit::Usage | Exit::Interrupted => exit,
        Exit::Failed
        | Exit::Different
        | Exit::Gate
        | Exit::NotEnough
        | Exit::Unreachable
        | Exit::Refused
        | Exit::Invalid => Exit::Failed,
    };
    ended.map(few).map_err(|failure| Failure { exit: few(failure.exit), ..failure })
}

fn files(arguments: &Arguments) -> Result<Documents, Failure> {
    let config = &arguments.config;
    if !config.exists() {
        return Err(Failure::new(Exit::Failed, format!("there is no {}", config.display()))
            .coded(Tnd::FileUnreadable)
            .at("--config")
            .because("a gateway serves what its files say")
            .fix(
                "let `tandem init --from NAME=ADDR` write them, or serve without: \
                 `tandem run --upstream NAME=ADDR`",
            ));
    }
    Ok(Documents::Files(config.clone()))
}

/// The documents that `init` would write, and what is to be said; `None`: all was said.
async fn without_files(
    arguments: &Arguments,
    form: Form,
    timeout: Duration,
) -> Result<Option<Draft>, Failure> {
    let public = address_of_listener("--listen", &arguments.listen)?;
    if !public.ip().to_canonical().is_loopback() {
        return Err(Failure::new(Exit::Usage, format!("{public} is reached by others"))
            .coded(Tnd::AddressForbidden)
            .at("--listen")
            .because("without files everybody may call, so only this machine is listened on")
            .fix("write files with `tandem init --public`, and say in them who may call"));
    }
    let wishes = Wishes {
        namespace: None,
        profile: Profile::Strict,
        public,
        admin: address_of_listener("--admin", &arguments.admin)?,
        trust: arguments.trust.read()?,
    };
    let named = match discover::named("--upstream", &arguments.upstreams) {
        Ok(named) => named,
        Err(failures) => {
            say_all(&failures, form);
            return Err(Failure::new(Exit::Usage, "the gateway was not started"));
        }
    };
    let found = match discover::discover(
        "--upstream",
        named,
        &wishes.trust,
        Reflection::Ask,
        timeout,
    )
    .await
    {
        Ok(found) => found,
        Err(failures) => {
            say_all(&failures, form);
            return Ok(None);
        }
    };
    if form == Form::Text {
        output::talk(&table(&found, Reflection::Ask));
    }
    let draft = draft::draft(&found, None, &wishes)?;
    say_all(&draft.warnings, form);
    if arguments.config.exists() && form == Form::Text {
        output::talk(&format!("  {} is not read", arguments.config.display()));
    }
    Ok(Some(draft))
}

async fn serve(
    arguments: &Arguments,
    documents: &Documents,
    drafted: Option<&[Drafted]>,
    form: Form,
    mut hang_up: Signal,
) -> Result<Exit, Failure> {
    let (mut problems, loaded) = problems_of(documents);
    let store = loaded.as_ref().and_then(|(loaded, _)| loaded.platform.store.as_ref());
    if store.is_some_and(|place| Embedded::is_at(&place.folder)) {
        settled_by_store(&mut problems);
    }
    show(&problems, form, "the gateway was not started");
    let fatal = problems.iter().any(|problem| problem.severity == Severity::Error);
    let Some((loaded, contracts)) = loaded.filter(|_| !fatal) else {
        return Ok(Exit::Failed);
    };
    let side = Side::new(tokio::runtime::Handle::current());
    let platform = loaded.platform.clone();
    let threads =
        platform.threads.map_or_else(|| net::allowed_cores().len(), |threads| threads.get().into());
    let (token, token_file) = token::load_or_make(&arguments.data)?;
    let admin_address = platform.listen.get(Platform::ADMIN).map(|listen| listen.address);
    for name in [Platform::ADMIN, Platform::METRICS] {
        if let Some(listen) = platform.listen.get(name)
            && !admin::may_listen(listen.address)
        {
            return Err(Failure::new(
                Exit::Failed,
                format!("listener `{name}` may stand on loopback only"),
            )
            .coded(Tnd::NotBuiltIn)
            .because("another address needs TLS with client certificates, which is not built yet")
            .fix(format!("write `listen: {{ {name}: {{ address: 127.0.0.1:9080 }} }}`")));
        }
    }
    // The ports of the admin side are opened first, so that a taken one ends the start at once.
    let admin_socket = admin_address.map(|address| open(Platform::ADMIN, address)).transpose()?;
    let metrics_address = platform.listen.get(Platform::METRICS).map(|listen| listen.address);
    let metrics_socket =
        metrics_address.map(|address| open(Platform::METRICS, address)).transpose()?;

    let people = Arc::new(People::new(token));
    let operators = loaded.platform.namespaces.keys();
    let operators = operators.filter_map(|name| NamespaceName::new(name)).collect();
    people.replace(BTreeMap::new(), Membership::new(), &operators);
    let files = || loaded.namespaces.iter().map(|(namespace, _)| namespace.clone()).collect();
    let begun = match &platform.store {
        None => {
            let admission = Arc::new(Admission::new(
                Files::of(&loaded),
                &contracts,
                &Kept::below(&arguments.data),
            ));
            let files = files();
            Begun { judge: Judge::Files(admission), fault: None, namespaces: files, contracts }
        }
        Some(place) => {
            let process = Process::new(&loaded, &contracts);
            let (place, data) = (place.clone(), arguments.data.clone());
            let people = Arc::clone(&people);
            let begun = tokio::task::spawn_blocking(move || begin(&place, &data, process, people));
            begun.await.map_err(|error| {
                Failure::new(Exit::Failed, "the store was not opened").because(error.to_string())
            })??
        }
    };
    let Begun { judge, fault, namespaces, contracts } = begun;
    let stored = judge.stored().cloned();
    let plan = plan(&platform, namespaces, contracts, judge.admits(), threads, &arguments.data)?;
    let gateway = Gateway::start(plan, side.clone()).await.map_err(not_started)?;
    if let Some(stored) = &stored {
        let (this, view) = (Arc::clone(stored), gateway.view());
        let served = tokio::task::spawn_blocking(move || this.serve_by(view)).await;
        served.unwrap_or_else(|error| Err(error.to_string())).map_err(|why| {
            Failure::new(Exit::Failed, "what the store holds cannot be served")
                .coded(Tnd::StoreDamaged)
                .because(why)
                .fix("`tandem store check DIR` tells what is wrong with it")
        })?;
        side.start(Arc::clone(stored).watch(gateway.view()));
    }

    let mut listeners: BTreeMap<String, SocketAddr> = gateway.addresses().clone();
    for (name, socket) in [(Platform::ADMIN, &admin_socket), (Platform::METRICS, &metrics_socket)] {
        if let Some(address) = socket.as_ref().and_then(|socket| socket.local_addr().ok()) {
            listeners.insert(name.to_owned(), address);
        }
    }
    let about = Arc::new(About {
        version: env!("CARGO_PKG_VERSION"),
        listeners: listeners.clone(),
        threads,
    });
    let reloader =
        Arc::new(Reloader::new(documents.clone(), gateway.view(), judge, platform.clone()));
    let mut admin_tasks = Vec::new();
    for (name, socket) in [(Platform::ADMIN, admin_socket), (Platform::METRICS, metrics_socket)] {
        let (Some(socket), Some(address)) = (socket, listeners.get(name)) else { continue };
        let guard = Arc::new(Guard::new(*address));
        let (about, reloader) = (Arc::clone(&about), Arc::clone(&reloader));
        let store = Opened { stored: stored.clone(), fault: fault.clone() };
        let people = Arc::clone(&people);
        let admin = Admin::new(gateway.view(), guard, about, reloader, people, store);
        let routes = if name == Platform::ADMIN {
            admin::routes(admin)
        } else {
            admin::metrics_routes(admin)
        };
        let routes = routes.into_make_service_with_connect_info::<SocketAddr>();
        admin_tasks.push(side.start(async move {
            if let Err(error) = axum::serve(socket, routes).await {
                tracing::error!(%error, "the admin listener ended");
            }
        }));
    }
    say_ready(arguments, &listeners, &token_file, drafted, form)?;

    let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
    let interrupted = loop {
        tokio::select! {
            _ = terminate.recv() => break false,
            _ = interrupt.recv() => break true,
            _ = hang_up.recv() => {
                let reloader = Arc::clone(&reloader);
                side.start(async move { say_reloaded(&reloader.reload().await) });
            }
        }
    };
    tracing::info!("draining");
    for task in admin_tasks {
        task.abort();
    }
    let exit = if interrupted { Exit::Interrupted } else { Exit::Fine };
    tokio::select! {
        stopped = gateway.stop() => {
            tracing::info!(took_ms = u64::try_from(stopped.took.as_millis()).unwrap_or(u64::MAX), "stopped");
        }
        _ = terminate.recv() => tracing::warn!("stopped at once"),
        _ = interrupt.recv() => tracing::warn!("stopped at once"),
    }
    Ok(exit)
}

/// What a gateway begins to serve with.
struct Begun {
    judge: Judge,
    /// Why there is no store where one is wanted.
    fault: Option<Arc<str>>,
    namespaces: Vec<tandem_config::Namespace>,
    contracts: Contracts,
}

/// Opens the store. Where it is damaged, what was served last is served on (security S-5).
fn begin(
    place: &StorePlace,
    data: &Path,
    process: Process,
    people: Arc<People>,
) -> Result<Begun, Failure> {
    let failure = match Stored::open(place, data, process.clone(), people) {
        Ok(stored) => {
            // Nothing is served until the store was asked: what a file says may be long past.
            let (namespaces, contracts) = (Vec::new(), Contracts::new());
            let judge = Judge::Store(stored);
            return Ok(Begun { judge, fault: None, namespaces, contracts });
        }
        Err(failure) if failure.code == Some(Tnd::StoreDamaged) => failure,
        Err(failure) => return Err(failure),
    };
    match last_good(data, &process, &Kept::below(data)) {
        Ok(Some((namespaces, contracts, admission))) => {
            output::talk(&failure.text());
            let fault = failure.why.unwrap_or(failure.what);
            let judge = Judge::LastGood(Arc::new(admission));
            Ok(Begun { judge, fault: Some(fault.into()), namespaces, contracts })
        }
        Ok(None) => Err(failure),
        Err(why) => {
            let before = failure.why.clone().unwrap_or_default();
            Err(failure.because(format!("{before}; nor can what was served last: {why}")))
        }
    }
}

fn plan(
    platform: &Platform,
    namespaces: Vec<tandem_config::Namespace>,
    contracts: Contracts,
    admit: Arc<dyn AdmitContracts>,
    threads: usize,
    data: &Path,
) -> Result<Plan, Failure> {
    let mut listeners: Vec<(Listener, SocketAddr)> = platform
        .public_listeners()
        .map(|(name, listen)| (listener(name, listen, false), listen.address))
        .collect();
    if let Some(listen) = platform.listen.get(Platform::INTERNAL) {
        listeners.push((listener(Platform::INTERNAL, listen, true), listen.address));
    }
    let out: Option<Box<dyn std::io::Write + Send>> = match &platform.observe.access_log.to {
        AccessLogTarget::None => None,
        AccessLogTarget::Stdout => Some(Box::new(std::io::stdout())),
        AccessLogTarget::File(path) => Some(Box::new(log_file(path)?)),
    };
    let share = platform.observe.access_log.share;
    let access_log = out.map(|out| AccessLog::start(out, share)).transpose();
    let access_log = access_log.map_err(|error| {
        Failure::new(Exit::Failed, "the access log cannot be written").because(error.to_string())
    })?;
    Ok(Plan {
        listeners,
        threads,
        limits: platform.limits.clone(),
        namespaces,
        versions: BTreeMap::new(),
        settings: Arc::new(settings_of_documents),
        contracts,
        keeper: Some(Arc::new(Kept::below(data))),
        admit,
        access_log,
        traces: platform.observe.traces.clone(),
        grace: GRACE,
        upstreams: Default::default(),
        identity: platform.identity.clone(),
        keys: Default::default(),
        api_keys: Default::default(),
    })
}

fn listener(name: &str, listen: &tandem_config::document::Listen, internal: bool) -> Listener {
    Listener {
        name: name.into(),
        internal,
        hosts: listen.hosts.clone(),
        mirrored: listen.mirrored.clone(),
        reflection: listen.offer.reflection,
        health: listen.offer.health,
    }
}

fn log_file(path: &Path) -> Result<std::fs::File, Failure> {
    std::fs::OpenOptions::new().create(true).append(true).open(path).map_err(|error| {
        Failure::new(Exit::Failed, "the access log cannot be opened")
            .because(format!("{}: {error}", path.display()))
            .fix("name another file in `observe.access_log.to`")
    })
}

fn open(name: &str, address: SocketAddr) -> Result<tokio::net::TcpListener, Failure> {
    net::listen(address).map_err(|error| port(name, address, &error))
}

fn port(name: &str, address: SocketAddr, error: &std::io::Error) -> Failure {
    let taken = error.kind() == std::io::ErrorKind::AddrInUse;
    let what = format!("listener `{name}` cannot be opened");
    let failure = Failure::new(Exit::Failed, what).because(format!("{address}: {error}"));
    if taken {
        failure.coded(Tnd::PortTaken).fix(format!(
            "end the program that holds the port, or change `listen.{name}.address` \
             (with `--upstream`: `--listen` and `--admin`)"
        ))
    } else {
        failure.fix(format!("change `listen.{name}.address`"))
    }
}

fn not_started(error: StartError) -> Failure {
    match &error {
        StartError::Listen { name, address, source } => port(name, *address, source),
        StartError::Thread(source) => {
            Failure::new(Exit::Failed, error.to_string()).because(source.to_string())
        }
        StartError::Snapshot(what) => {
            Failure::new(Exit::Failed, "the namespaces do not fit together")
                .coded(Tnd::ClaimedByAnother)
                .because(what.clone())
        }
    }
}

pub(super) fn no_signals(error: std::io::Error) -> Failure {
    Failure::new(Exit::Failed, "signals cannot be caught").because(error.to_string())
}

/// What became of a SIGHUP, for the log.
fn say_reloaded(reloaded: &Reloaded) {
    let Reloaded { taken, problems, namespaces, needs_restart } = reloaded;
    if !problems.is_empty() {
        output::talk(problems);
    }
    if *taken {
        tracing::info!(namespaces, ?needs_restart, "reloaded");
    } else {
        tracing::error!("not reloaded; the old documents go on");
    }
}

fn say_ready(
    arguments: &Arguments,
    listeners: &BTreeMap<String, SocketAddr>,
    token_file: &Path,
    drafted: Option<&[Drafted]>,
    form: Form,
) -> Result<(), Failure> {
    let mut ready = serde_json::Map::new();
    for (name, address) in listeners {
        ready.insert(name.clone(), json!(address.to_string()));
    }
    ready.insert("admin_token_file".into(), json!(token_file.display().to_string()));
    match form {
        Form::Json => output::data(&serde_json::Value::Object(ready.clone()).to_string()),
        Form::Text => {
            let mut line = String::from("  gateway");
            for (name, address) in listeners {
                line.push_str(&format!("   {name} http://{address}"));
            }
            output::talk(&line);
            if listeners.contains_key(Platform::ADMIN) {
                output::talk(&format!("  admin token in {} (0600)", token_file.display()));
            }
            // Where it really listens: a port may have been any free one.
            if let (Some(drafted), Some(public)) = (drafted, listeners.get("public")) {
                output::talk(&reach(drafted, &|_| {
                    "`tandem init` writes a file with lines that give it one".to_owned()
                }));
                output::talk(&call_lines(drafted, *public));
            }
        }
    }
    let Some(file) = &arguments.ready_file else { return Ok(()) };
    write_ready(file, &serde_json::Value::Object(ready))
}

/// Says that a daemon is ready, to whoever waits for the file.
pub(super) fn write_ready(file: &Path, ready: &serde_json::Value) -> Result<(), Failure> {
    // Written aside and renamed, so that nobody reads half of it.
    let aside = file.with_extension("part");
    std::fs::write(&aside, format!("{}\n", ready))
        .and_then(|()| std::fs::rename(&aside, file))
        .map_err(|error| {
            Failure::new(Exit::Failed, "the ready file cannot be written")
                .because(format!("{}: {error}", file.display()))
        })
}
