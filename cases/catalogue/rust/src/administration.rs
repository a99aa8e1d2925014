//! `CaseAdmin` of the catalogue.

use std::sync::Arc;

use case_service::admin::case_admin_server::CaseAdmin;
use case_service::admin::{
    Dataset, ExportRequest, ImportResponse, Record, ResetRequest, ResetResponse,
    StateDigestRequest, StateDigestResponse,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::dataset;
use crate::records::ImportFault;
use crate::service::store_failed;
use crate::store::{Fault, Store};

/// Records that wait between us and the other side.
const BUFFER: usize = 64;

pub struct Administration {
    store: Arc<Store>,
}

impl Administration {
    pub fn new(store: Arc<Store>) -> Administration {
        Administration { store }
    }

    async fn on_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Status> {
        let store = Arc::clone(&self.store);
        match tokio::task::spawn_blocking(move || work(&store)).await {
            Ok(Ok(done)) => Ok(done),
            _ => Err(store_failed()),
        }
    }
}

#[tonic::async_trait]
impl CaseAdmin for Administration {
    async fn state_digest(
        &self,
        _request: Request<StateDigestRequest>,
    ) -> Result<Response<StateDigestResponse>, Status> {
        let ((revisions, sequence), records_sha256) =
            self.on_store(|store| Ok((store.revisions()?, store.records_digest()?))).await?;
        Ok(Response::new(StateDigestResponse {
            sha256: case_service::digest(&revisions),
            sequence,
            count: i64::try_from(revisions.len()).unwrap_or(i64::MAX),
            records_sha256,
        }))
    }

    async fn reset(
        &self,
        request: Request<ResetRequest>,
    ) -> Result<Response<ResetResponse>, Status> {
        let ResetRequest { dataset, seed } = request.into_inner();
        let dataset = Dataset::try_from(dataset)
            .map_err(|_unknown| Status::invalid_argument(format!("no dataset {dataset}")))?;
        let size = dataset::size(dataset);
        let sequence = self.on_store(move |store| store.reset(size, seed)).await?;
        Ok(Response::new(ResetResponse { sequence }))
    }

    type ExportStream = ReceiverStream<Result<Record, Status>>;

    async fn export(
        &self,
        _request: Request<ExportRequest>,
    ) -> Result<Response<Self::ExportStream>, Status> {
        let (to_caller, records) = mpsc::channel(BUFFER);
        let store = Arc::clone(&self.store);
        tokio::task::spawn_blocking(move || {
            let read = store.records(|record| to_caller.blocking_send(Ok(record)).is_ok());
            if read.is_err() {
                // A caller that has left needs no reason.
                let _ = to_caller.blocking_send(Err(store_failed()));
            }
        });
        Ok(Response::new(ReceiverStream::new(records)))
    }

    async fn import(
        &self,
        request: Request<Streaming<Record>>,
    ) -> Result<Response<ImportResponse>, Status> {
        let mut incoming = request.into_inner();
        let (to_store, mut records) = mpsc::channel(BUFFER);
        let store = Arc::clone(&self.store);
        let taking = tokio::task::spawn_blocking(move || {
            let records = std::iter::from_fn(|| records.blocking_recv());
            // What ends without the last record is not taken, so a caller that left changes nothing.
            store.import(records)
        });
        loop {
            let record = match incoming.message().await {
                Ok(Some(record)) => Ok(record),
                Ok(None) => break,
                Err(_cut) => Err(ImportFault::Cut),
            };
            let last = record.is_err();
            // The store has stopped reading where it has found a fault.
            if to_store.send(record).await.is_err() || last {
                break;
            }
        }
        drop(to_store);
        match taking.await {
            Ok(Ok((sequence, count))) => Ok(Response::new(ImportResponse { sequence, count })),
            Ok(Err(ImportFault::Store(_)) | Err(ImportFault::Cut)) | Err(_) => Err(store_failed()),
            Ok(Err(fault @ ImportFault::Record(..))) => {
                Err(Status::invalid_argument(fault.to_string()))
            }
        }
    }
}
