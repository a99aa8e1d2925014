//! The methods of the contract over the store.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use case_service::admin::case_admin_server::CaseAdmin;
use case_service::admin::{StateDigestRequest, StateDigestResponse};
use case_service::errors::{self, Violation};
use case_service::start::Stopping;
use case_service::trailers::{answer, refused};
use prost::Message as _;
use prost_types::Timestamp;
use tokio::sync::{broadcast, mpsc};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status};

use crate::contract::catalogue_server::Catalogue;
use crate::contract::{
    BatchGetProductsRequest, BatchGetProductsResponse, Change, CreateProductRequest,
    DeleteProductRequest, GetProductRequest, ListProductsRequest, ListProductsResponse, Product,
    UpdateProductRequest, WatchProductsRequest, product,
};
use crate::store::{Created, Store, Written};
use crate::validate;

const DOMAIN: &str = "catalogue.tandem";
/// Changes that are read of the past at once.
const PAST_BATCH: i64 = 500;
/// Changes that wait between us and one follower's connection.
const FOLLOWER_BUFFER: usize = 64;

/// The service itself.
pub struct Service {
    store: Arc<Store>,
    test_clock: bool,
    stopping: Stopping,
}

impl Service {
    pub fn new(store: Arc<Store>, test_clock: bool, stopping: Stopping) -> Service {
        Service { store, test_clock, stopping }
    }

    fn now<T>(&self, request: &Request<T>) -> Timestamp {
        let given = request
            .metadata()
            .get("x-tandem-now")
            .filter(|_| self.test_clock)
            .and_then(|value| value.to_str().ok())
            .and_then(|text| text.parse().ok());
        given.unwrap_or_else(|| Timestamp::from(SystemTime::now()))
    }

    /// Runs `work` where blocking is allowed.
    async fn on_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, crate::store::Fault> + Send + 'static,
    ) -> Result<T, Status> {
        let store = Arc::clone(&self.store);
        let done = tokio::task::spawn_blocking(move || work(&store)).await;
        match done {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(fault)) => {
                tracing::error!(%fault, "the store failed");
                Err(error(Code::Internal, "STORE", "the store failed"))
            }
            Err(_panicked) => Err(error(Code::Internal, "BUG", "a fault of the service")),
        }
    }
}

fn error(code: Code, reason: &str, message: &str) -> Status {
    errors::status(code, DOMAIN, reason, message)
}

fn unknown_product(name: &str) -> Status {
    error(Code::NotFound, "UNKNOWN_PRODUCT", &format!("there is no {name}"))
}

fn stale_etag() -> Status {
    error(Code::Aborted, "ETAG", "the product has changed since; read it again")
}

fn invalid(violations: Vec<Violation>) -> Result<(), Status> {
    if violations.is_empty() { Ok(()) } else { Err(errors::invalid(DOMAIN, &violations)) }
}

type Follower = Pin<Box<dyn Stream<Item = Result<Change, Status>> + Send>>;

#[tonic::async_trait]
impl Catalogue for Service {
    async fn create_product(
        &self,
        request: Request<CreateProductRequest>,
    ) -> Result<Response<Product>, Status> {
        let now = self.now(&request);
        let request = request.into_inner();
        // What the id stands for: the request without it.
        let fingerprint =
            CreateProductRequest { request_id: String::new(), ..request.clone() }.encode_to_vec();
        let CreateProductRequest { product_id, product, request_id } = request;
        let mut product = product.unwrap_or_default();
        let mut violations: Vec<Violation> =
            validate::product_id(&product_id).into_iter().collect();
        violations.extend(validate::fields(&product));
        if !validate::request_id_is_fine(&request_id) {
            let what = "must be a UUID of version 4";
            violations.push(validate::violation("request_id", "REQUEST_ID", what));
        }
        invalid(violations)?;
        product.name = format!("products/{product_id}");
        product.price_text = product.price.as_ref().map(validate::price_text).unwrap_or_default();
        if product.state() == product::State::Unspecified {
            product.set_state(product::State::Active);
        }
        product.create_time = Some(now);
        product.update_time = Some(now);
        let created =
            self.on_store(move |store| store.create(product, &request_id, &fingerprint)).await?;
        match created {
            Created::New(product, sequence) | Created::Again(product, sequence) => {
                Ok(answer(*product, sequence))
            }
            Created::OtherRequest(last) => {
                let what = "belongs to another request";
                let violation = validate::violation("request_id", "REQUEST_ID", what);
                Err(refused(errors::invalid(DOMAIN, &[violation]), last))
            }
            Created::Exists(last) => {
                let taken = error(Code::AlreadyExists, "EXISTS", "the name is taken");
                Err(refused(taken, last))
            }
        }
    }

    async fn get_product(
        &self,
        request: Request<GetProductRequest>,
    ) -> Result<Response<Product>, Status> {
        let GetProductRequest { name } = request.into_inner();
        invalid(validate::name(&name).into_iter().collect())?;
        let asked = name.clone();
        let (product, last) = self.on_store(move |store| store.get(&asked)).await?;
        match product {
            Some(product) => Ok(answer(product, last)),
            None => Err(refused(unknown_product(&name), last)),
        }
    }

    async fn list_products(
        &self,
        request: Request<ListProductsRequest>,
    ) -> Result<Response<ListProductsResponse>, Status> {
        let ListProductsRequest { page_size, page_token } = request.into_inner();
        let count = match page_size {
            0 => 25,
            1.. => page_size.min(1000) as usize,
            _ => {
                let what = "must not be negative";
                let violation = validate::violation("page_size", "PAGE_SIZE", what);
                return Err(errors::invalid(DOMAIN, &[violation]));
            }
        };
        let after = if page_token.is_empty() {
            String::new()
        } else {
            read_token(&page_token, page_size).ok_or_else(|| {
                let what = "is none of ours, or belongs to other arguments";
                let violation = validate::violation("page_token", "PAGE_TOKEN", what);
                errors::invalid(DOMAIN, &[violation])
            })?
        };
        let (mut products, last) =
            self.on_store(move |store| store.list(&after, count + 1)).await?;
        let mut next_page_token = String::new();
        if products.len() > count {
            products.truncate(count);
            if let Some(product) = products.last() {
                next_page_token = write_token(&product.name, page_size);
            }
        }
        Ok(answer(ListProductsResponse { products, next_page_token }, last))
    }

    async fn batch_get_products(
        &self,
        request: Request<BatchGetProductsRequest>,
    ) -> Result<Response<BatchGetProductsResponse>, Status> {
        let BatchGetProductsRequest { names } = request.into_inner();
        let mut violations = Vec::new();
        if !(1..=100).contains(&names.len()) {
            violations.push(validate::violation("names", "NAMES", "must be 1 to 100"));
        }
        violations.extend(names.iter().find_map(|name| validate::name(name)));
        invalid(violations)?;
        let (products, last) = self.on_store(move |store| store.batch(&names)).await?;
        match products {
            Ok(products) => Ok(answer(BatchGetProductsResponse { products }, last)),
            Err(name) => Err(refused(unknown_product(&name), last)),
        }
    }

    async fn update_product(
        &self,
        request: Request<UpdateProductRequest>,
    ) -> Result<Response<Product>, Status> {
        let now = self.now(&request);
        let UpdateProductRequest { product, update_mask } = request.into_inner();
        let given = product.unwrap_or_default();
        let mask = update_mask.unwrap_or_default().paths;
        let whole = mask.is_empty() || mask == ["*"];
        let unknown = mask.iter().find(|path| {
            let path = path.as_str();
            !whole
                && !validate::UPDATABLE.contains(&path)
                && !validate::IGNORED.contains(&path)
                && !validate::PRICE_PARTS.contains(&path)
        });
        let mut violations: Vec<Violation> = validate::name(&given.name).into_iter().collect();
        if let Some(path) = unknown {
            let what = format!("has no path `{path}`");
            violations.push(Violation {
                field: "update_mask",
                reason: "UPDATE_MASK",
                description: what,
            });
        }
        if !validate::etag_is_fine(&given.etag) {
            violations.push(validate::violation("product.etag", "ETAG", "must be as it was given"));
        }
        invalid(violations)?;
        let named = move |path: &str| whole || mask.iter().any(|named| named == path);
        let name = given.name.clone();
        let asked = name.clone();
        let (fault, faults) = std::sync::mpsc::sync_channel(1);
        let written = self
            .on_store(move |store| {
                let etag = given.etag.clone();
                // The merged product is judged before anything is kept.
                let (present, last) = store.get(&asked)?;
                let Some(present) = present else { return Ok(Written::Unknown(last)) };
                let mut merged = present;
                merge(&mut merged, &given, &named);
                merged.etag = String::new();
                let violations = validate::fields(&merged);
                if !violations.is_empty() {
                    let _ = fault.send((violations, last));
                    return Ok(Written::Unknown(last));
                }
                store.update(&asked, &etag, |product| {
                    merge(product, &given, &named);
                    product.price_text =
                        product.price.as_ref().map(validate::price_text).unwrap_or_default();
                    product.update_time = Some(now);
                })
            })
            .await?;
        if let Ok((violations, last)) = faults.try_recv() {
            return Err(refused(errors::invalid(DOMAIN, &violations), last));
        }
        match written {
            Written::Done(product, sequence) => Ok(answer(*product, sequence)),
            Written::Unknown(last) => Err(refused(unknown_product(&name), last)),
            Written::StaleEtag(last) => Err(refused(stale_etag(), last)),
        }
    }

    async fn delete_product(
        &self,
        request: Request<DeleteProductRequest>,
    ) -> Result<Response<()>, Status> {
        let DeleteProductRequest { name, etag } = request.into_inner();
        let mut violations: Vec<Violation> = validate::name(&name).into_iter().collect();
        if !validate::etag_is_fine(&etag) {
            violations.push(validate::violation("etag", "ETAG", "must be as it was given"));
        }
        invalid(violations)?;
        let asked = name.clone();
        match self.on_store(move |store| store.delete(&asked, &etag)).await? {
            Written::Done(_, sequence) => Ok(answer((), sequence)),
            Written::Unknown(last) => Err(refused(unknown_product(&name), last)),
            Written::StaleEtag(last) => Err(refused(stale_etag(), last)),
        }
    }

    type WatchProductsStream = Follower;

    async fn watch_products(
        &self,
        request: Request<WatchProductsRequest>,
    ) -> Result<Response<Follower>, Status> {
        let WatchProductsRequest { from_sequence: from } = request.into_inner();
        if from < 0 {
            let what = "must not be negative";
            let violation = validate::violation("from_sequence", "FROM_SEQUENCE", what);
            return Err(errors::invalid(DOMAIN, &[violation]));
        }
        let past = self.on_store(move |store| store.past(from, 0)).await?;
        if from > past.last {
            let what = "that sequence is not reached yet; begin at 0";
            return Err(error(Code::OutOfRange, "AHEAD", what));
        }
        if from > 0 && from < past.pruned {
            let what = "removals since then are forgotten; begin at 0 with an empty state";
            return Err(error(Code::OutOfRange, "TOO_OLD", what));
        }
        let (to_follower, changes) = mpsc::channel(FOLLOWER_BUFFER);
        let (store, mut stopping) = (Arc::clone(&self.store), self.stopping.clone());
        tokio::spawn(async move {
            let end = tokio::select! {
                end = follow(store, from, &to_follower) => end,
                () = stopping.begun() => {
                    Some(error(Code::Unavailable, "STOPPING", "the service is stopping"))
                }
                () = to_follower.closed() => None,
            };
            if let Some(end) = end {
                // A follower that has left needs no reason.
                let _ = to_follower.send(Err(end)).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(changes))))
    }
}

/// Sends the past, then what is committed; returns why it ended, `None` when nobody listens.
async fn follow(
    store: Arc<Store>,
    from: i64,
    follower: &mpsc::Sender<Result<Change, Status>>,
) -> Option<Status> {
    let mut at = from;
    let mut live = None;
    loop {
        let reading = Arc::clone(&store);
        let past = tokio::task::spawn_blocking(move || reading.past(at, PAST_BATCH)).await;
        let Ok(Ok(past)) = past else {
            return Some(error(Code::Internal, "STORE", "the store failed"));
        };
        if past.changes.is_empty() {
            // Listen first, then look once more: nothing can fall between.
            if live.is_some() {
                break;
            }
            live = Some(store.follow());
            continue;
        }
        for change in past.changes {
            at = change.sequence;
            follower.send(Ok(change)).await.ok()?;
        }
    }
    let mut live = live?;
    loop {
        match live.recv().await {
            Ok(change) if change.sequence <= at => {}
            Ok(change) => {
                at = change.sequence;
                follower.send(Ok(change)).await.ok()?;
            }
            Err(broadcast::error::RecvError::Lagged(_)) => {
                let what = "the follower is too far behind; resume from its last sequence";
                return Some(error(Code::ResourceExhausted, "LAGGED", what));
            }
            Err(broadcast::error::RecvError::Closed) => return None,
        }
    }
}

/// Takes the named fields of `given` over into `product`.
fn merge(product: &mut Product, given: &Product, named: &impl Fn(&str) -> bool) {
    if named("display_name") {
        product.display_name.clone_from(&given.display_name);
    }
    if named("description") {
        product.description.clone_from(&given.description);
    }
    if named("category") {
        product.category.clone_from(&given.category);
    }
    if named("price") {
        product.price.clone_from(&given.price);
    } else {
        let from = given.price.clone().unwrap_or_default();
        let to = product.price.get_or_insert_default();
        if named("price.currency_code") {
            to.currency_code = from.currency_code;
        }
        if named("price.units") {
            to.units = from.units;
        }
        if named("price.nanos") {
            to.nanos = from.nanos;
        }
    }
    if named("stock") {
        product.stock = given.stock;
    }
    if named("labels") {
        product.labels.clone_from(&given.labels);
    }
    if named("state") {
        product.state = match given.state() {
            product::State::Unspecified if product::State::try_from(given.state).is_ok() => {
                product::State::Active as i32
            }
            _ => given.state,
        };
    }
}

/// base64url of the last name with its length, then CRC-32C of the page size as it was asked.
fn write_token(last: &str, page_size: i32) -> String {
    let mut bytes = Vec::new();
    prost::encode_length_delimiter(last.len(), &mut bytes).expect("a vector grows");
    bytes.extend_from_slice(last.as_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(page_size.to_string().as_bytes()).to_be_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn read_token(token: &str, page_size: i32) -> Option<String> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?;
    let mut rest = &bytes[..];
    let length = prost::decode_length_delimiter(&mut rest).ok()?;
    let (last, check) = rest.split_at_checked(length)?;
    let expected = crc32c::crc32c(page_size.to_string().as_bytes()).to_be_bytes();
    (check == expected).then(|| String::from_utf8(last.to_vec()).ok()).flatten()
}

/// `CaseAdmin` of the catalogue.
pub struct Administration {
    store: Arc<Store>,
}

impl Administration {
    pub fn new(store: Arc<Store>) -> Administration {
        Administration { store }
    }
}

#[tonic::async_trait]
impl CaseAdmin for Administration {
    async fn state_digest(
        &self,
        _request: Request<StateDigestRequest>,
    ) -> Result<Response<StateDigestResponse>, Status> {
        let store = Arc::clone(&self.store);
        let read = tokio::time::timeout(
            Duration::from_secs(60),
            tokio::task::spawn_blocking(move || store.records()),
        );
        let Ok(Ok(Ok((records, sequence)))) = read.await else {
            return Err(error(Code::Internal, "STORE", "the store failed"));
        };
        Ok(Response::new(StateDigestResponse {
            sha256: case_service::digest(&records),
            sequence,
            count: i64::try_from(records.len()).unwrap_or(i64::MAX),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_token_is_bound_to_the_page_size() {
        let token = write_token("products/p-1", 25);
        assert_eq!(read_token(&token, 25).as_deref(), Some("products/p-1"));
        assert_eq!(read_token(&token, 26), None);
        assert_eq!(read_token("AAAA", 25), None);
        assert_eq!(read_token("", 25), None);
        assert_eq!(read_token("%", 25), None);
    }
}
