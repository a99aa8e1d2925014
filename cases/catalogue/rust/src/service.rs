//! The methods of the contract over the store.

use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use case_service::errors::{self, Violation};
use case_service::start::Stopping;
use case_service::trailers::{answer, refused};
use prost_types::Timestamp;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Response, Status};

use crate::contract::catalogue_server::Catalogue;
use crate::contract::{
    AdjustStockRequest, BatchGetProductsRequest, BatchGetProductsResponse, Change,
    CreateProductRequest, DeleteProductRequest, ExportProductsRequest, GetProductRequest,
    ListProductsRequest, ListProductsResponse, Product, UpdateProductRequest, WatchProductsRequest,
    product,
};
use crate::filter::Filter;
use crate::mask::Mask;
use crate::page::{self, Order, Selection};
use crate::records::fingerprint;
use crate::store::{Fault, Refusal, Seen, Store};
use crate::team::Team;
use crate::{validate, watch};

const DOMAIN: &str = "catalogue.tandem";
/// Messages that wait between us and the reader of one stream.
const STREAM_BUFFER: usize = 64;
const NAMES_MOST: usize = 100;

/// The service itself.
#[derive(Clone)]
pub struct Service {
    store: Arc<Store>,
    test_clock: bool,
    stopping: Stopping,
    team: Team,
}

impl Service {
    pub fn new(store: Arc<Store>, test_clock: bool, stopping: Stopping, team: Team) -> Service {
        Service { store, test_clock, stopping, team }
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
        work: impl FnOnce(&Store) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Status> {
        let store = Arc::clone(&self.store);
        let done = tokio::task::spawn_blocking(move || work(&store)).await;
        match done {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(fault)) => {
                tracing::error!(%fault, "the store failed");
                Err(store_failed())
            }
            Err(_panicked) => Err(error(Code::Internal, "BUG", "a fault of the service")),
        }
    }

    /// Refuses what the store never saw.
    fn check(&self, violations: Vec<Violation>) -> Result<(), Status> {
        if violations.is_empty() {
            return Ok(());
        }
        Err(refused(errors::invalid(DOMAIN, &violations), self.store.last()))
    }

    /// A stream that `send` fills, until it ends or the service does.
    fn stream<T: Send + 'static, F>(
        &self,
        send: impl FnOnce(mpsc::Sender<Result<T, Status>>) -> F,
    ) -> Response<Streamed<T>>
    where
        F: Future<Output = Option<Status>> + Send + 'static,
    {
        let (to_reader, messages) = mpsc::channel(STREAM_BUFFER);
        let sending = send(to_reader.clone());
        let mut stopping = self.stopping.clone();
        tokio::spawn(async move {
            let end = tokio::select! {
                end = sending => end,
                () = stopping.begun() => {
                    Some(error(Code::Unavailable, "STOPPING", "the service is stopping"))
                }
                () = to_reader.closed() => None,
            };
            if let Some(end) = end {
                // A reader that has left needs no reason.
                let _ = to_reader.send(Err(end)).await;
            }
        });
        Response::new(Box::pin(ReceiverStream::new(messages)))
    }
}

pub fn error(code: Code, reason: &str, message: &str) -> Status {
    errors::status(code, DOMAIN, reason, message)
}

pub fn store_failed() -> Status {
    error(Code::Internal, "STORE", "the store failed")
}

/// An answer with its commit, or the refusal in the contract's words.
fn reply<T>(seen: Seen<T>) -> Result<Response<T>, Status> {
    let Seen { outcome, sequence } = seen;
    let refusal = match outcome {
        Ok(message) => return Ok(answer(message, sequence)),
        Err(refusal) => refusal,
    };
    let status = match refusal {
        Refusal::Unknown(name) => {
            error(Code::NotFound, "UNKNOWN_PRODUCT", &format!("there is no {name}"))
        }
        Refusal::Exists => error(Code::AlreadyExists, "EXISTS", "the name is taken"),
        Refusal::StaleEtag => {
            error(Code::Aborted, "ETAG", "the product has changed since; read it again")
        }
        Refusal::OtherRequest => {
            let what = "belongs to another request";
            errors::invalid(DOMAIN, &[validate::violation("request_id", "REQUEST_ID", what)])
        }
        Refusal::StockBelow => {
            error(Code::FailedPrecondition, "STOCK", "the stock would be below 0")
        }
        Refusal::StockBeyond => {
            error(Code::OutOfRange, "STOCK", "the stock would be beyond an int64")
        }
        Refusal::Invalid(violations) => errors::invalid(DOMAIN, &violations),
    };
    Err(refused(status, sequence))
}

/// A new product: what was given, with what only the service writes.
fn made(name: String, given: Product, now: Timestamp) -> Product {
    let mut product = Product {
        name,
        price_text: given.price.as_ref().map(validate::price_text).unwrap_or_default(),
        create_time: Some(now),
        update_time: Some(now),
        ..given
    };
    if product.state() == product::State::Unspecified {
        product.set_state(product::State::Active);
    }
    product
}

type Streamed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Catalogue for Service {
    async fn create_product(
        &self,
        request: Request<CreateProductRequest>,
    ) -> Result<Response<Product>, Status> {
        let now = self.now(&request);
        let request = request.into_inner();
        let fingerprint = fingerprint(&request);
        let CreateProductRequest { product_id, product, request_id } = request;
        let product = product.unwrap_or_default();
        let mut violations: Vec<Violation> =
            validate::product_id(&product_id).into_iter().collect();
        violations.extend(validate::fields(&product, self.team.discount_most()));
        if !validate::request_id_is_fine(&request_id) {
            let what = "must be a UUID of version 4";
            violations.push(validate::violation("request_id", "REQUEST_ID", what));
        }
        self.check(violations)?;
        let product = made(format!("products/{product_id}"), product, now);
        reply(self.on_store(move |store| store.create(product, &request_id, &fingerprint)).await?)
    }

    async fn get_product(
        &self,
        request: Request<GetProductRequest>,
    ) -> Result<Response<Product>, Status> {
        let look = self.team.look(request.metadata());
        let GetProductRequest { name, read_mask } = request.into_inner();
        let mask = Mask::new(read_mask);
        let mut violations: Vec<Violation> = validate::name("name", &name).into_iter().collect();
        violations.extend(mask.check("read_mask", "READ_MASK"));
        self.check(violations)?;
        let Seen { outcome, sequence } = self.on_store(move |store| store.get(&[name])).await?;
        let outcome = outcome.map(|mut found| mask.cut(look.of(found.swap_remove(0))));
        reply(Seen { outcome, sequence })
    }

    async fn list_products(
        &self,
        request: Request<ListProductsRequest>,
    ) -> Result<Response<ListProductsResponse>, Status> {
        let look = self.team.look(request.metadata());
        let request = request.into_inner();
        let arguments = page::arguments(&request);
        let ListProductsRequest { page_size, page_token, filter, order_by, read_mask } = request;
        let mut violations = Vec::new();
        let mut refuse = |field, reason, description: &str| {
            violations.push(validate::violation(field, reason, description));
        };
        if page_size < 0 {
            refuse("page_size", "PAGE_SIZE", "must not be negative");
        }
        let size = match page_size {
            ..=0 => page::SIZE_DEFAULT,
            1.. => page_size.min(page::SIZE_MOST) as usize,
        };
        let mut after = None;
        if !page_token.is_empty() {
            after = page::read_token(&page_token, arguments);
            if after.is_none() {
                let what = "is none of ours, or belongs to other arguments";
                refuse("page_token", "PAGE_TOKEN", what);
            }
        }
        let filter = Filter::parse(&filter).unwrap_or_else(|why| {
            refuse("filter", "FILTER", &why);
            Filter::default()
        });
        let order = Order::parse(&order_by).unwrap_or_else(|| {
            let what =
                "must be name, display_name, category, stock or price.units, with or without ` desc`";
            refuse("order_by", "ORDER_BY", what);
            Order::BY_NAME
        });
        let mask = Mask::new(read_mask);
        violations.extend(mask.check("read_mask", "READ_MASK"));
        self.check(violations)?;
        // One more says whether there is a next page.
        let hidden = self.team.hidden();
        let what = Selection { filter, hidden, order, after, count: size + 1 };
        let Seen { outcome, sequence } = self.on_store(move |store| store.list(what)).await?;
        let outcome = outcome.map(|mut products| {
            let mut next_page_token = String::new();
            if products.len() > size {
                products.truncate(size);
                if let Some(last) = products.last() {
                    next_page_token = page::token_behind(last, order, arguments);
                }
            }
            let products = products.into_iter().map(|product| mask.cut(look.of(product))).collect();
            ListProductsResponse { products, next_page_token }
        });
        reply(Seen { outcome, sequence })
    }

    async fn batch_get_products(
        &self,
        request: Request<BatchGetProductsRequest>,
    ) -> Result<Response<BatchGetProductsResponse>, Status> {
        let look = self.team.look(request.metadata());
        let BatchGetProductsRequest { names } = request.into_inner();
        let mut violations = Vec::new();
        if !(1..=NAMES_MOST).contains(&names.len()) {
            violations.push(validate::violation("names", "NAMES", "must be 1 to 100"));
        }
        violations.extend(names.iter().find_map(|name| validate::name("names", name)));
        self.check(violations)?;
        let Seen { outcome, sequence } = self.on_store(move |store| store.get(&names)).await?;
        let outcome = outcome.map(|products| BatchGetProductsResponse {
            products: products.into_iter().map(|product| look.of(product)).collect(),
        });
        reply(Seen { outcome, sequence })
    }

    async fn update_product(
        &self,
        request: Request<UpdateProductRequest>,
    ) -> Result<Response<Product>, Status> {
        let now = self.now(&request);
        let request = request.into_inner();
        let mask = Mask::of_update(&request);
        let UpdateProductRequest { product, update_mask: _, allow_missing } = request;
        let given = product.unwrap_or_default();
        let mut violations: Vec<Violation> =
            validate::name("product.name", &given.name).into_iter().collect();
        violations.extend(validate::etag("product.etag", &given.etag));
        violations.extend(mask.check("update_mask", "UPDATE_MASK"));
        self.check(violations)?;
        let discount_most = self.team.discount_most();
        let work = move |store: &Store| {
            let edit = |product: &mut Product| {
                // A discount that stands may stay, whatever the team has lowered since.
                let discount_most = discount_most.max(product.discount_percent);
                mask.merge(product, &given);
                judged(product, discount_most)?;
                product.price_text =
                    product.price.as_ref().map(validate::price_text).unwrap_or_default();
                product.update_time = Some(now);
                Ok(())
            };
            let missing = || {
                judged(&given, discount_most)?;
                Ok(made(given.name.clone(), given.clone(), now))
            };
            store.update(&given.name, &given.etag, edit, allow_missing.then_some(missing))
        };
        reply(self.on_store(work).await?)
    }

    async fn delete_product(
        &self,
        request: Request<DeleteProductRequest>,
    ) -> Result<Response<()>, Status> {
        let DeleteProductRequest { name, etag } = request.into_inner();
        let mut violations: Vec<Violation> = validate::name("name", &name).into_iter().collect();
        violations.extend(validate::etag("etag", &etag));
        self.check(violations)?;
        reply(self.on_store(move |store| store.delete(&name, &etag)).await?)
    }

    async fn adjust_stock(
        &self,
        request: Request<AdjustStockRequest>,
    ) -> Result<Response<Product>, Status> {
        let now = self.now(&request);
        let AdjustStockRequest { name, delta } = request.into_inner();
        self.check(validate::name("name", &name).into_iter().collect())?;
        let work = move |store: &Store| {
            let edit = |product: &mut Product| {
                product.stock = match product.stock.checked_add(delta) {
                    None => return Err(Refusal::StockBeyond),
                    Some(..0) => return Err(Refusal::StockBelow),
                    Some(stock) => stock,
                };
                product.update_time = Some(now);
                Ok(())
            };
            store.update(&name, "", edit, None::<fn() -> Result<Product, Refusal>>)
        };
        reply(self.on_store(work).await?)
    }

    type ExportProductsStream = Streamed<Product>;

    async fn export_products(
        &self,
        _request: Request<ExportProductsRequest>,
    ) -> Result<Response<Streamed<Product>>, Status> {
        let store = Arc::clone(&self.store);
        Ok(self.stream(|caller| async move { watch::export(store, &caller).await }))
    }

    type WatchProductsStream = Streamed<Change>;

    async fn watch_products(
        &self,
        request: Request<WatchProductsRequest>,
    ) -> Result<Response<Streamed<Change>>, Status> {
        let WatchProductsRequest { from_sequence: from } = request.into_inner();
        if from < 0 {
            let what = "must not be negative";
            self.check(vec![validate::violation("from_sequence", "FROM_SEQUENCE", what)])?;
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
        let store = Arc::clone(&self.store);
        Ok(self.stream(move |follower| async move { watch::follow(store, from, &follower).await }))
    }
}

/// Whether a product may be kept as it is.
fn judged(product: &Product, discount_most: i32) -> Result<(), Refusal> {
    let violations = validate::fields(product, discount_most);
    if violations.is_empty() { Ok(()) } else { Err(Refusal::Invalid(violations)) }
}
