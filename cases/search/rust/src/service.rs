//! The methods of the contract over the index.

use std::sync::Arc;
use std::time::Duration;

use case_service::admin::case_admin_server::CaseAdmin;
use case_service::admin::{
    ExportRequest, ImportResponse, Record, ResetRequest, ResetResponse, StateDigestRequest,
    StateDigestResponse,
};
use case_service::errors::{self, Violation};
use case_service::settings::Reader;
use case_service::trailers::answer;
use tokio::time::Instant;
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Response, Status, Streaming};

use crate::catalogue::{BatchGetProductsRequest, GetProductRequest, Product};
use crate::contract::search_server::Search;
use crate::contract::{
    Following, GetFollowingRequest, SearchRequest, SearchResponse, SearchSettings, search_request,
    search_response,
};
use crate::follow::Upstream;
use crate::index::{Found, Index, Mode};

const DOMAIN: &str = "search.tandem";
/// Hits of one answer where the caller does not say, and the team's setting where it does not.
const PAGE_SIZE: i32 = 10;
const PAGE_SIZE_MOST: i32 = 100;

/// Refuses what the service cannot run by, whatever let it through.
pub fn bearable(next: &SearchSettings) -> Result<(), String> {
    if next.name_weight_percent.is_some_and(|percent| !(10..=1000).contains(&percent)) {
        return Err("name_weight_percent must be 10 to 1000".into());
    }
    if next.page_size_most.is_some_and(|most| !(1..=PAGE_SIZE_MOST).contains(&most)) {
        return Err("page_size_most must be 1 to 100".into());
    }
    Ok(())
}

/// What a service hands on to the services that it calls (HY-2).
const HANDED_ON: [&str; 4] = ["traceparent", "tracestate", "x-request-id", "x-tandem-principal"];

/// The service itself.
pub struct Service {
    index: Arc<Index>,
    upstream: Option<Upstream>,
    settings: Reader<SearchSettings>,
}

impl Service {
    pub fn new(
        index: Arc<Index>,
        upstream: Option<Upstream>,
        settings: Reader<SearchSettings>,
    ) -> Service {
        Service { index, upstream, settings }
    }

    /// The products called `names` as they are now; those that are gone are left out.
    async fn products(&self, hop: &Hop, names: Vec<String>) -> Result<Vec<Product>, Status> {
        let Some(upstream) = &self.upstream else {
            let what = "this service was started without --internal";
            return Err(errors::status(Code::FailedPrecondition, DOMAIN, "NO_CATALOGUE", what));
        };
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let mut client = upstream.client();
        let all = BatchGetProductsRequest { names: names.clone() };
        match client.batch_get_products(hop.request(all)?).await {
            Ok(products) => return Ok(products.into_inner().products),
            // One was removed since it was indexed: ask for each.
            Err(status) if status.code() == Code::NotFound => {}
            Err(status) => return Err(status),
        }
        let mut products = Vec::with_capacity(names.len());
        for name in names {
            match client
                .get_product(hop.request(GetProductRequest { name, read_mask: None })?)
                .await
            {
                Ok(product) => products.push(product.into_inner()),
                Err(status) if status.code() == Code::NotFound => {}
                Err(status) => return Err(status),
            }
        }
        Ok(products)
    }
}

/// What of an incoming call goes on with the calls that it causes.
struct Hop {
    metadata: MetadataMap,
    deadline: Option<Instant>,
}

impl Hop {
    fn of<T>(request: &Request<T>) -> Hop {
        let mut metadata = MetadataMap::new();
        for name in HANDED_ON {
            if let Some(value) = request.metadata().get(name) {
                metadata.insert(name, value.clone());
            }
        }
        let timeout = request
            .metadata()
            .get("grpc-timeout")
            .and_then(|value| value.to_str().ok())
            .and_then(timeout_of);
        Hop { metadata, deadline: timeout.map(|timeout| Instant::now() + timeout) }
    }

    /// A request that carries what is handed on and what is left of the deadline.
    fn request<T>(&self, message: T) -> Result<Request<T>, Status> {
        let mut request = Request::new(message);
        *request.metadata_mut() = self.metadata.clone();
        if let Some(deadline) = self.deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Status::deadline_exceeded("no time is left"));
            }
            request.set_timeout(left);
        }
        Ok(request)
    }
}

/// `grpc-timeout`: digits and a unit.
fn timeout_of(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

fn violations(request: &SearchRequest) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut check = |fine: bool, field, reason, description: &str| {
        if !fine {
            violations.push(Violation { field, reason, description: description.into() });
        }
    };
    let query = (1..=1024).contains(&request.query.len());
    check(query, "query", "QUERY", "must have 1 to 1024 bytes");
    let mode = search_request::Mode::try_from(request.mode).is_ok();
    check(mode, "mode", "MODE", "must be a known mode");
    check(request.page_size >= 0, "page_size", "PAGE_SIZE", "must not be negative");
    check((0..=10_000).contains(&request.skip), "skip", "SKIP", "must be 0 to 10000");
    violations
}

#[tonic::async_trait]
impl Search for Service {
    async fn search(
        &self,
        request: Request<SearchRequest>,
    ) -> Result<Response<SearchResponse>, Status> {
        let hop = Hop::of(&request);
        let request = request.into_inner();
        let faults = violations(&request);
        if !faults.is_empty() {
            return Err(errors::invalid(DOMAIN, &faults));
        }
        let mode = match request.mode() {
            search_request::Mode::Unspecified | search_request::Mode::All => Mode::All,
            search_request::Mode::Any => Mode::Any,
            search_request::Mode::Phrase => Mode::Phrase,
        };
        let count = match request.page_size {
            0 => PAGE_SIZE,
            size => size,
        };
        let settings = self.settings.current();
        let count = count.min(settings.page_size_most.unwrap_or(PAGE_SIZE_MOST)).max(1) as usize;
        let name_weight = settings.name_weight_percent.unwrap_or(100) as f32 / 100.0;
        let skip = request.skip as usize;
        let index = Arc::clone(&self.index);
        let found = tokio::task::spawn_blocking(move || {
            index.search(&request.query, mode, name_weight, skip, count)
        })
        .await;
        let Ok(Ok(Found { hits, total, sequence })) = found else {
            tracing::error!("the index failed");
            return Err(errors::status(Code::Internal, DOMAIN, "INDEX", "the index failed"));
        };
        let mut products = Vec::new();
        if request.with_products {
            let names = hits.iter().map(|hit| hit.id.clone()).collect();
            products = self.products(&hop, names).await?;
        }
        let hits = hits
            .into_iter()
            .map(|hit| search_response::Hit {
                product: products.iter().find(|product| product.name == hit.id).cloned(),
                id: hit.id,
                score: hit.score.into(),
                display_name: hit.display_name,
            })
            .collect();
        let total = i64::try_from(total).unwrap_or(i64::MAX);
        Ok(answer(SearchResponse { hits, total, sequence }, sequence))
    }

    async fn get_following(
        &self,
        _request: Request<GetFollowingRequest>,
    ) -> Result<Response<Following>, Status> {
        let sequence = self.index.sequence();
        let following = Following {
            sequence,
            documents: i64::try_from(self.index.documents()).unwrap_or(i64::MAX),
            connected: self.upstream.as_ref().is_some_and(Upstream::connected),
        };
        Ok(answer(following, sequence))
    }
}

/// `CaseAdmin` of search.
pub struct Administration {
    index: Arc<Index>,
}

impl Administration {
    pub fn new(index: Arc<Index>) -> Administration {
        Administration { index }
    }
}

#[tonic::async_trait]
impl CaseAdmin for Administration {
    async fn state_digest(
        &self,
        _request: Request<StateDigestRequest>,
    ) -> Result<Response<StateDigestResponse>, Status> {
        let index = Arc::clone(&self.index);
        let read = tokio::task::spawn_blocking(move || index.records()).await;
        let Ok(Ok((records, sequence))) = read else {
            return Err(errors::status(Code::Internal, DOMAIN, "INDEX", "the index failed"));
        };
        Ok(Response::new(StateDigestResponse {
            sha256: case_service::digest(&records),
            sequence,
            count: i64::try_from(records.len()).unwrap_or(i64::MAX),
            records_sha256: Vec::new(),
        }))
    }

    async fn reset(&self, _: Request<ResetRequest>) -> Result<Response<ResetResponse>, Status> {
        Err(Status::unimplemented(FOLLOWS))
    }

    type ExportStream = tokio_stream::Empty<Result<Record, Status>>;

    async fn export(
        &self,
        _: Request<ExportRequest>,
    ) -> Result<Response<Self::ExportStream>, Status> {
        Err(Status::unimplemented(FOLLOWS))
    }

    async fn import(
        &self,
        _: Request<Streaming<Record>>,
    ) -> Result<Response<ImportResponse>, Status> {
        Err(Status::unimplemented(FOLLOWS))
    }
}

/// Why there is nothing to put into this state, or to take out of it.
const FOLLOWS: &str = "the index is made from the catalogue's changes; reset that instead";
