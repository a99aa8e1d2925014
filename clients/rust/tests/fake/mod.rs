//! A small gateway: what it publishes is what a test says, what it hears is kept.

#[allow(missing_docs, clippy::all, dead_code)]
#[rustfmt::skip]
pub mod protos;

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use protos::settings_server::{Settings, SettingsServer};
use protos::{ReportRequest, ReportResponse, Snapshot, WatchRequest};
use sha2::Digest as _;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio_stream::wrappers::{TcpListenerStream, WatchStream};
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status};

/// What it says and what it heard; outlives the server, which can be killed and started again.
#[derive(Clone)]
pub struct Fake {
    current: watch::Sender<Option<Snapshot>>,
    reports: watch::Sender<Vec<ReportRequest>>,
    asked: Arc<Mutex<Vec<WatchRequest>>>,
}

/// A running server; killed by its drop.
pub struct Running {
    pub address: SocketAddr,
    kill: Option<oneshot::Sender<()>>,
    ended: Option<tokio::task::JoinHandle<()>>,
}

impl Running {
    /// Ends every connection and closes the port.
    pub async fn kill(mut self) {
        drop(self.kill.take());
        self.ended.take().unwrap().await.unwrap();
    }
}

impl Fake {
    pub fn new() -> Fake {
        let (current, _) = watch::channel(None);
        let (reports, _) = watch::channel(Vec::new());
        Fake { current, reports, asked: Arc::default() }
    }

    pub fn publish(&self, version: u64, message: &[u8]) {
        let hash = sha2::Sha256::digest(message).to_vec();
        self.publish_raw(Snapshot { version, message: message.to_vec(), hash });
    }

    pub fn publish_raw(&self, snapshot: Snapshot) {
        self.current.send_replace(Some(snapshot));
    }

    /// Listens at `address`; port 0 takes a free one.
    pub async fn start(&self, address: SocketAddr) -> Running {
        // A port that was free for a moment may have been taken for a call of somebody else.
        let bound = async {
            loop {
                match std::net::TcpListener::bind(address) {
                    Ok(listener) => return listener,
                    Err(_taken) => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        let bound = tokio::time::timeout(Duration::from_secs(20), bound).await;
        let listener = bound.expect("the port is free in time");
        let address = listener.local_addr().unwrap();
        let (kill, killed) = oneshot::channel::<()>();
        listener.set_nonblocking(true).unwrap();
        let service = SettingsServer::new(self.clone());
        // A runtime of its own: its end is the end of every connection, as by kill -9.
        let ended = tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let listener = TcpListenerStream::new(TcpListener::from_std(listener).unwrap());
                let server = tonic::transport::Server::builder()
                    .add_service(service)
                    .serve_with_incoming(listener);
                tokio::select! {
                    served = server => served.unwrap(),
                    _ = killed => {}
                }
            });
            runtime.shutdown_background();
        });
        Running { address, kill: Some(kill), ended: Some(ended) }
    }

    /// Waits until there are `count` reports, and gives them.
    pub async fn reports(&self, count: usize) -> Vec<ReportRequest> {
        let mut reports = self.reports.subscribe();
        let told = reports.wait_for(|reports| reports.len() >= count);
        let told = tokio::time::timeout(Duration::from_secs(20), told).await;
        told.expect("reports in time").unwrap().clone()
    }

    /// Streams that are open.
    pub fn watching(&self) -> usize {
        self.current.receiver_count()
    }

    pub fn asked(&self) -> Vec<WatchRequest> {
        self.asked.lock().unwrap().clone()
    }
}

#[tonic::async_trait]
impl Settings for Fake {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<Snapshot, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let request = request.into_inner();
        self.asked.lock().unwrap().push(request.clone());
        let has = move |snapshot: &Snapshot| {
            (snapshot.version, &snapshot.hash) == (request.have_version, &request.have_hash)
        };
        let mut first = true;
        let stream = WatchStream::new(self.current.subscribe()).filter_map(move |snapshot| {
            let told = snapshot.filter(|snapshot| !(std::mem::take(&mut first) && has(snapshot)));
            told.map(Ok)
        });
        Ok(Response::new(Box::pin(stream)))
    }

    async fn report(
        &self,
        request: Request<ReportRequest>,
    ) -> Result<Response<ReportResponse>, Status> {
        self.reports.send_modify(|reports| reports.push(request.into_inner()));
        Ok(Response::new(ReportResponse {}))
    }
}
