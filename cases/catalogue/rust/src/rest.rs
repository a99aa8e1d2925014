//! The plain REST face: the same methods with Actix-web, without gRPC or a gateway in front.
//!
//! `WatchProducts` is followed by services, by gRPC, and is not here.

use std::net::{SocketAddr, TcpListener};

use actix_web::dev::Server;
use actix_web::http::StatusCode;
use actix_web::http::header::ContentType;
use actix_web::web::{self, Bytes, Data, Path, PayloadConfig};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, ResponseError};
use case_service::start::Stopping;
use prost_types::FieldMask;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_stream::StreamExt as _;
use tonic::{Code, Request, Status};

use crate::contract::catalogue_server::Catalogue as _;
use crate::contract::{
    AdjustStockRequest, BatchGetProductsRequest, CreateProductRequest, DeleteProductRequest,
    ExportProductsRequest, GetProductRequest, ListProductsRequest, Product, UpdateProductRequest,
};
use crate::json::{self, AdjustIn, ProductIn, ProductOut, ProductsOut, snake};
use crate::service::Service;

const BODY_BYTES_MOST: usize = 4 << 20;
/// Seconds that calls under way have when the service ends.
const DRAIN_SECONDS: u64 = 10;

/// The face, bound to its address; nothing where it is not wanted.
pub struct Face(Option<(Server, SocketAddr)>);

impl Face {
    /// # Errors
    /// A port that is taken.
    pub fn bind(
        address: Option<SocketAddr>,
        service: Service,
        workers: u16,
    ) -> std::io::Result<Face> {
        let Some(address) = address else { return Ok(Face(None)) };
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let server = HttpServer::new(move || App::new().configure(|to| routes(to, &service)))
            .workers(workers.into())
            // The service as a whole is told when to end.
            .disable_signals()
            .shutdown_timeout(DRAIN_SECONDS)
            .listen(listener)?
            .run();
        Ok(Face(Some((server, address))))
    }

    pub fn address(&self) -> Option<SocketAddr> {
        self.0.as_ref().map(|(_, address)| *address)
    }

    /// Serves until the service is to end, then drains.
    ///
    /// # Errors
    /// What the listener says.
    pub async fn serve(self, mut stopping: Stopping) -> std::io::Result<()> {
        let Some((server, _)) = self.0 else { return Ok(()) };
        let handle = server.handle();
        let stop = async {
            stopping.begun().await;
            handle.stop(true).await;
            Ok(())
        };
        tokio::try_join!(server, stop).map(drop)
    }
}

fn routes(to: &mut web::ServiceConfig, service: &Service) {
    to.app_data(Data::new(service.clone()))
        .app_data(PayloadConfig::new(BODY_BYTES_MOST))
        .service(
            web::resource("/v1/products").route(web::post().to(create)).route(web::get().to(list)),
        )
        .route("/v1/products:batchGet", web::get().to(batch))
        .route("/v1/products:export", web::get().to(export))
        .route("/v1/products/{id:[^/]*}:adjustStock", web::post().to(adjust))
        .service(
            web::resource("/v1/products/{id}")
                .route(web::get().to(get))
                .route(web::patch().to(update))
                .route(web::delete().to(delete)),
        );
}

/// A refusal in the contract's words.
#[derive(Debug)]
struct Refusal(Status);

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Refusal {}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        // google/rpc/code.proto
        let number = match self.0.code() {
            Code::Ok => 200,
            Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => 400,
            Code::Unauthenticated => 401,
            Code::PermissionDenied => 403,
            Code::NotFound => 404,
            Code::AlreadyExists | Code::Aborted => 409,
            Code::ResourceExhausted => 429,
            Code::Cancelled => 499,
            Code::Unimplemented => 501,
            Code::Unavailable => 503,
            Code::DeadlineExceeded => 504,
            Code::Unknown | Code::Internal | Code::DataLoss => 500,
        };
        StatusCode::from_u16(number).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::build(self.status_code()).json(json::status(&self.0))
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Refusal {
        Refusal(status)
    }
}

type Answer = Result<HttpResponse, Refusal>;

fn invalid(what: impl std::fmt::Display) -> Refusal {
    Refusal(Status::invalid_argument(what.to_string()))
}

fn answer(message: &impl Serialize) -> HttpResponse {
    HttpResponse::Ok().json(message)
}

fn name_of(id: &str) -> String {
    format!("products/{id}")
}

/// A call with the headers that the methods read as metadata.
fn call<T>(head: &HttpRequest, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let now = head.headers().get("x-tandem-now").and_then(|value| value.to_str().ok());
    if let Some(now) = now.and_then(|text| text.parse().ok()) {
        request.metadata_mut().insert("x-tandem-now", now);
    }
    let principal = head.headers().get("x-tandem-principal").and_then(|value| value.to_str().ok());
    if let Some(principal) = principal.and_then(|text| text.parse().ok()) {
        request.metadata_mut().insert("x-tandem-principal", principal);
    }
    request
}

async fn create(service: Data<Service>, head: HttpRequest, body: Bytes) -> Answer {
    let query = Query::read(&head, &["product_id", "request_id"])?;
    let product = body_of::<ProductIn>(&body)?.map(Product::from).unwrap_or_default();
    let request = CreateProductRequest {
        product_id: query.text("product_id"),
        product: Some(product),
        request_id: query.text("request_id"),
    };
    let made = service.create_product(call(&head, request)).await?;
    Ok(answer(&ProductOut::new(made.get_ref())))
}

async fn get(service: Data<Service>, head: HttpRequest, id: Path<String>) -> Answer {
    let query = Query::read(&head, &["read_mask"])?;
    let request = GetProductRequest { name: name_of(&id), read_mask: query.mask("read_mask") };
    let found = service.get_product(call(&head, request)).await?;
    Ok(answer(&ProductOut::new(found.get_ref())))
}

async fn list(service: Data<Service>, head: HttpRequest) -> Answer {
    let known = ["page_size", "page_token", "filter", "order_by", "read_mask"];
    let query = Query::read(&head, &known)?;
    let request = ListProductsRequest {
        page_size: query.parsed("page_size")?,
        page_token: query.text("page_token"),
        filter: query.text("filter"),
        order_by: query.text("order_by"),
        read_mask: query.mask("read_mask"),
    };
    let page = service.list_products(call(&head, request)).await?;
    Ok(answer(&ProductsOut::of_page(page.get_ref())))
}

async fn batch(service: Data<Service>, head: HttpRequest) -> Answer {
    let query = Query::read(&head, &["names"])?;
    let names = query.0.into_iter().map(|(_, name)| name).collect();
    let found = service.batch_get_products(call(&head, BatchGetProductsRequest { names })).await?;
    Ok(answer(&ProductsOut::of(&found.get_ref().products)))
}

async fn update(
    service: Data<Service>,
    head: HttpRequest,
    id: Path<String>,
    body: Bytes,
) -> Answer {
    let query = Query::read(&head, &["update_mask", "allow_missing"])?;
    let given = body_of::<ProductIn>(&body)?;
    agrees(given.as_ref().and_then(|given| given.name.as_deref()), &id)?;
    let update_mask = match query.mask("update_mask") {
        Some(mask) => mask,
        None => FieldMask { paths: body_of(&body)?.as_ref().map(json::paths).unwrap_or_default() },
    };
    let mut product = given.map(Product::from).unwrap_or_default();
    product.name = name_of(&id);
    let request = UpdateProductRequest {
        product: Some(product),
        update_mask: Some(update_mask),
        allow_missing: query.parsed("allow_missing")?,
    };
    let written = service.update_product(call(&head, request)).await?;
    Ok(answer(&ProductOut::new(written.get_ref())))
}

async fn delete(service: Data<Service>, head: HttpRequest, id: Path<String>) -> Answer {
    let query = Query::read(&head, &["etag"])?;
    let request = DeleteProductRequest { name: name_of(&id), etag: query.text("etag") };
    service.delete_product(call(&head, request)).await?;
    Ok(answer(&serde_json::json!({})))
}

async fn adjust(
    service: Data<Service>,
    head: HttpRequest,
    id: Path<String>,
    body: Bytes,
) -> Answer {
    Query::read(&head, &[])?;
    let given = body_of::<AdjustIn>(&body)?;
    agrees(given.as_ref().and_then(|given| given.name.as_deref()), &id)?;
    let request = given.map(AdjustStockRequest::from).unwrap_or_default();
    let request = AdjustStockRequest { name: name_of(&id), ..request };
    let written = service.adjust_stock(call(&head, request)).await?;
    Ok(answer(&ProductOut::new(written.get_ref())))
}

/// A list, product by product; a fault cuts it before its end.
async fn export(service: Data<Service>, head: HttpRequest) -> Answer {
    Query::read(&head, &[])?;
    let products = service.export_products(call(&head, ExportProductsRequest {})).await?;
    let mut before = "[";
    let products = products.into_inner().map(move |product| {
        let text = serde_json::to_string(&ProductOut::new(&product?))
            .map_err(|error| Status::internal(error.to_string()))?;
        let text = format!("{before}{text}");
        before = ",";
        Ok::<_, Refusal>(text)
    });
    // What begins the list where no product does.
    let mut empty = true;
    let body = products.map(Some).chain(tokio_stream::once(None)).map(move |part| match part {
        Some(part) => {
            empty = false;
            part.map(Bytes::from)
        }
        None if empty => Ok(Bytes::from_static(b"[]")),
        None => Ok(Bytes::from_static(b"]")),
    });
    Ok(HttpResponse::Ok().content_type(ContentType::json()).streaming(body))
}

/// Whether a body says the name of its path, or none.
fn agrees(given: Option<&str>, id: &str) -> Result<(), Refusal> {
    match given {
        Some(name) if !name.is_empty() && name != name_of(id) => {
            Err(invalid(format!("name: the path says {}", name_of(id))))
        }
        _ => Ok(()),
    }
}

fn body_of<T: DeserializeOwned>(body: &Bytes) -> Result<Option<T>, Refusal> {
    if body.is_empty() {
        return Ok(None);
    }
    serde_json::from_slice(body).map(Some).map_err(|error| invalid(format!("body: {error}")))
}

/// The parameters of a call, by the contract's names.
struct Query(Vec<(String, String)>);

impl Query {
    /// Parameters that are known, by either of their names; each but `names` once.
    fn read(head: &HttpRequest, known: &[&str]) -> Result<Query, Refusal> {
        let given: Vec<(String, String)> = serde_urlencoded::from_str(head.query_string())
            .map_err(|error| invalid(format!("query: {error}")))?;
        let mut query: Vec<(String, String)> = Vec::with_capacity(given.len());
        for (key, value) in given {
            let name = snake(&key);
            if !known.contains(&name.as_str()) {
                return Err(invalid(format!("{key}: no such parameter")));
            }
            if name != "names" && query.iter().any(|(known, _)| *known == name) {
                return Err(invalid(format!("{key}: stands twice")));
            }
            query.push((name, value));
        }
        Ok(Query(query))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn text(&self, name: &str) -> String {
        self.get(name).unwrap_or_default().to_owned()
    }

    fn parsed<T: std::str::FromStr + Default>(&self, name: &str) -> Result<T, Refusal> {
        match self.get(name) {
            None => Ok(T::default()),
            Some(text) => text.parse().map_err(|_wrong| invalid(format!("{name}: {text:?}"))),
        }
    }

    /// A mask as JSON has it, or by the names of the contract.
    fn mask(&self, name: &str) -> Option<FieldMask> {
        let paths = self.get(name)?.split(',').map(snake).collect();
        Some(FieldMask { paths })
    }
}
