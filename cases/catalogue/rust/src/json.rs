//! Messages of the contract as JSON, with serde, as ProtoJSON writes them.

use std::collections::BTreeMap;

use prost::Message as _;
use prost_types::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};
use tonic::Status;

use crate::contract::{AdjustStockRequest, ListProductsResponse, Product, product};
use crate::protos::google::r#type::Money;
use case_service::protos::google::rpc;

/// A product as it is written: what holds its default is left out.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProductOut<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    display_name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    category: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<MoneyOut<'a>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    price_text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    stock: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    create_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    update_time: Option<String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    etag: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    discount_percent: Option<i32>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MoneyOut<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    currency_code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    units: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nanos: Option<i32>,
}

/// 64-bit integers are strings; 0 is left out.
fn int64(number: i64) -> Option<String> {
    (number != 0).then(|| number.to_string())
}

impl<'a> ProductOut<'a> {
    pub fn new(product: &'a Product) -> ProductOut<'a> {
        let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
        ProductOut {
            name: &product.name,
            display_name: &product.display_name,
            description: &product.description,
            category: &product.category,
            price: product.price.as_ref().map(|price| MoneyOut {
                currency_code: &price.currency_code,
                units: int64(price.units),
                nanos: Some(price.nanos).filter(|nanos| *nanos != 0),
            }),
            price_text: &product.price_text,
            stock: int64(product.stock),
            labels: &product.labels,
            state: (product.state != 0).then(|| product.state().as_str_name()),
            create_time: time(product.create_time),
            update_time: time(product.update_time),
            etag: &product.etag,
            discount_percent: Some(product.discount_percent).filter(|percent| *percent != 0),
        }
    }
}

/// Products under a name, and what else there is.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProductsOut<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    products: Vec<ProductOut<'a>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    next_page_token: &'a str,
}

impl<'a> ProductsOut<'a> {
    pub fn of_page(page: &'a ListProductsResponse) -> ProductsOut<'a> {
        let next_page_token = &page.next_page_token;
        ProductsOut { next_page_token, ..ProductsOut::of(&page.products) }
    }

    pub fn of(products: &'a [Product]) -> ProductsOut<'a> {
        let products = products.iter().map(ProductOut::new).collect();
        ProductsOut { products, next_page_token: "" }
    }
}

/// `google.rpc.Status`.
pub fn status(status: &Status) -> Value {
    let whole = rpc::Status::decode(status.details()).unwrap_or_default();
    let details: Vec<Value> = whole.details.iter().filter_map(detail).collect();
    let mut told = json!({ "code": status.code() as i32, "message": status.message() });
    if !details.is_empty() {
        told["details"] = details.into();
    }
    told
}

/// The two kinds of details that this service gives.
fn detail(any: &prost_types::Any) -> Option<Value> {
    match any.type_url.rsplit('/').next()? {
        "google.rpc.ErrorInfo" => {
            let info = rpc::ErrorInfo::decode(&any.value[..]).ok()?;
            Some(json!({ "@type": any.type_url, "reason": info.reason, "domain": info.domain }))
        }
        "google.rpc.BadRequest" => {
            let bad = rpc::BadRequest::decode(&any.value[..]).ok()?;
            let violations = bad.field_violations.iter();
            let violations: Vec<Value> = violations
                .map(|one| json!({ "field": one.field, "description": one.description }))
                .collect();
            Some(json!({ "@type": any.type_url, "fieldViolations": violations }))
        }
        _ => None,
    }
}

/// A product as callers write it: every field by either of its names, `null` for unset.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProductIn {
    pub name: Option<String>,
    #[serde(alias = "display_name")]
    display_name: Option<String>,
    description: Option<String>,
    category: Option<String>,
    price: Option<MoneyIn>,
    #[serde(alias = "price_text")]
    price_text: Option<String>,
    stock: Option<Int64>,
    labels: Option<BTreeMap<String, String>>,
    state: Option<StateIn>,
    #[serde(alias = "create_time")]
    create_time: Option<TimeIn>,
    #[serde(alias = "update_time")]
    update_time: Option<TimeIn>,
    etag: Option<String>,
    #[serde(alias = "discount_percent")]
    discount_percent: Option<i32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MoneyIn {
    #[serde(alias = "currency_code")]
    currency_code: Option<String>,
    units: Option<Int64>,
    nanos: Option<i32>,
}

/// The body of `:adjustStock`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdjustIn {
    pub name: Option<String>,
    delta: Option<Int64>,
}

impl From<ProductIn> for Product {
    fn from(given: ProductIn) -> Product {
        Product {
            name: given.name.unwrap_or_default(),
            display_name: given.display_name.unwrap_or_default(),
            description: given.description.unwrap_or_default(),
            category: given.category.unwrap_or_default(),
            price: given.price.map(|price| Money {
                currency_code: price.currency_code.unwrap_or_default(),
                units: price.units.map_or(0, |units| units.0),
                nanos: price.nanos.unwrap_or(0),
            }),
            price_text: given.price_text.unwrap_or_default(),
            stock: given.stock.map_or(0, |stock| stock.0),
            labels: given.labels.unwrap_or_default(),
            state: given.state.map_or(0, |state| state.0),
            create_time: given.create_time.map(|time| time.0),
            update_time: given.update_time.map(|time| time.0),
            etag: given.etag.unwrap_or_default(),
            discount_percent: given.discount_percent.unwrap_or(0),
        }
    }
}

impl From<AdjustIn> for AdjustStockRequest {
    fn from(given: AdjustIn) -> AdjustStockRequest {
        AdjustStockRequest {
            name: given.name.unwrap_or_default(),
            delta: given.delta.map_or(0, |delta| delta.0),
        }
    }
}

/// A number, or one in a string.
struct Int64(i64);

impl<'de> Deserialize<'de> for Int64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Int64, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Number(i64),
            Text(String),
        }
        match Form::deserialize(deserializer)? {
            Form::Number(number) => Ok(Int64(number)),
            Form::Text(text) => text.parse().map(Int64).map_err(D::Error::custom),
        }
    }
}

/// A name of the contract, or a number.
struct StateIn(i32);

impl<'de> Deserialize<'de> for StateIn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<StateIn, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Number(i32),
            Name(String),
        }
        match Form::deserialize(deserializer)? {
            Form::Number(number) => Ok(StateIn(number)),
            Form::Name(name) => product::State::from_str_name(&name)
                .map(|state| StateIn(state as i32))
                .ok_or_else(|| D::Error::custom(format!("no state is called {name:?}"))),
        }
    }
}

/// RFC 3339.
struct TimeIn(Timestamp);

impl<'de> Deserialize<'de> for TimeIn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<TimeIn, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(TimeIn).map_err(D::Error::custom)
    }
}

/// What a body says, as paths of a mask: an update without a mask changes that, also to nothing.
pub fn paths(body: &Map<String, Value>) -> Vec<String> {
    let mut paths = Vec::new();
    for (key, value) in body {
        let path = snake(key);
        match value {
            Value::Object(parts) if path == "price" && !parts.is_empty() => {
                paths.extend(parts.keys().map(|part| format!("{path}.{}", snake(part))));
            }
            _ => paths.push(path),
        }
    }
    paths
}

/// The contract's name for a name of JSON.
pub fn snake(camel: &str) -> String {
    let mut name = String::with_capacity(camel.len() + 4);
    for sign in camel.chars() {
        if sign.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(sign.to_ascii_lowercase());
    }
    name
}
