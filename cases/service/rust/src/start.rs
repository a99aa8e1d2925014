//! Start-up and stop of any case: the same command line, the same line on stdout when ready.
//!
//! SIGTERM drains: streams that would never end are told by [`Stopping`], calls under way have
//! ten seconds.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::admin::case_admin_server::{CaseAdmin, CaseAdminServer};
use crate::figures::{Figures, FiguresLayer};
use crate::runtime::runtime_server::RuntimeServer;
use crate::trailers::TrailersLayer;

/// The command line that all cases share.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Where calls are taken; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Where the administration of the case listens; never the port of calls.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub admin: SocketAddr,
    /// The folder of the data; made when it is missing.
    #[arg(long)]
    pub data: PathBuf,
    /// When a write is safe on the disk.
    #[arg(long, value_enum, default_value = "each")]
    pub sync: Sync,
    /// Threads that carry calls.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub workers: u16,
    /// The gateway's internal listener, for settings and calls to other services.
    #[arg(long)]
    pub internal: Option<SocketAddr>,
    /// Where the last settings are kept.
    #[arg(long)]
    pub settings_file: Option<PathBuf>,
}

/// When a write is safe on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Sync {
    /// Some time after the answer.
    None,
    /// Before the answer, several writes together.
    Group,
    /// Before the answer, each by itself.
    Each,
}

/// Becomes true when the service is to end; long streams end with UNAVAILABLE then.
#[derive(Debug, Clone)]
pub struct Stopping(watch::Receiver<bool>);

impl Stopping {
    /// A signal that nobody gives, for tests.
    pub fn never() -> (watch::Sender<bool>, Stopping) {
        let (begin, stopping) = watch::channel(false);
        (begin, Stopping(stopping))
    }

    /// Returns once the service is to end.
    pub async fn begun(&mut self) {
        // The sender lives as long as the service.
        let _ = self.0.wait_for(|begun| *begun).await;
    }
}

/// Calls under way have this long after SIGTERM.
const DRAIN: Duration = Duration::from_secs(10);
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 2 << 20;
const STREAMS: u32 = 1000;

/// Runs `main` on a runtime with as many threads as the options say.
///
/// # Errors
/// When the runtime cannot be made, and what `main` says.
pub fn run<F>(options: &Options, main: F) -> Result<(), Box<dyn std::error::Error>>
where
    F: Future<Output = Result<(), Box<dyn std::error::Error>>>,
{
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(options.workers.into())
        .enable_all()
        .build()?
        .block_on(main)
}

/// The signal that goes with [`serve`].
pub fn stopping() -> (watch::Sender<bool>, Stopping) {
    Stopping::never()
}

/// What a case serves.
pub struct Serving<A> {
    /// Its methods.
    pub routes: Routes,
    pub admin: A,
    pub descriptors: &'static [u8],
    /// The service's full name, for health.
    pub service: &'static str,
    /// What it calls itself to whoever asks for its figures.
    pub program: &'static str,
    /// Further faces that the case serves by itself: their names and addresses, for the line that
    /// says that it is ready.
    pub faces: Vec<(&'static str, SocketAddr)>,
    pub begin_stop: watch::Sender<bool>,
}

/// Serves until SIGTERM or SIGINT, then drains.
///
/// # Errors
/// A port that is taken, a signal handler that cannot be set.
pub async fn serve(
    options: &Options,
    serving: Serving<impl CaseAdmin>,
) -> Result<(), Box<dyn std::error::Error>> {
    let Serving { routes: case, admin, descriptors, service, program, faces, begin_stop } = serving;
    let listener = TcpListener::bind(options.listen)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}", options.listen))?;
    let admin_listener = TcpListener::bind(options.admin)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}", options.admin))?;
    let (address, admin_address) = (listener.local_addr()?, admin_listener.local_addr()?);

    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_service_status("", tonic_health::ServingStatus::Serving).await;
    health.set_service_status(service, tonic_health::ServingStatus::Serving).await;
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(descriptors)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let routes = case
        .add_service(health_service)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?);

    let mut drain = Stopping(begin_stop.subscribe());
    let mut admin_drain = Stopping(begin_stop.subscribe());
    let case_server = Server::builder()
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(STREAMS)
        .layer(FiguresLayer)
        .layer(TrailersLayer)
        .add_routes(routes)
        .serve_with_incoming_shutdown(
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            async move { drain.begun().await },
        );
    let admin_server = Server::builder()
        .add_service(CaseAdminServer::new(admin))
        .add_service(RuntimeServer::new(Figures { program, workers: options.workers }))
        .serve_with_incoming_shutdown(TcpListenerStream::new(admin_listener), async move {
            admin_drain.begun().await;
        });
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;

    let mut ready = serde_json::Map::new();
    for (name, address) in [("listen", address), ("admin", admin_address)].into_iter().chain(faces)
    {
        ready.insert(name.into(), address.to_string().into());
    }
    println!("{}", serde_json::Value::Object(ready));
    let ended = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        tracing::info!("draining");
        // Nobody left to tell is fine.
        let _ = begin_stop.send(true);
        tokio::time::sleep(DRAIN).await;
        tracing::warn!("calls were cut at the end of the drain");
    };
    tokio::select! {
        served = async { tokio::try_join!(case_server, admin_server) } => { served?; }
        () = ended => {}
    }
    Ok(())
}
