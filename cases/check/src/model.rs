//! The catalogue as its contract tells it, kept naively: a sorted vector, looked through.
//!
//! Written from the contract alone; nothing here knows how an implementation does it.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use prost::Message as _;
use prost_types::{FieldMask, Timestamp};
use tonic::Code;

use crate::contract::{
    AdjustStockRequest, BatchGetProductsRequest, CreateProductRequest, DeleteProductRequest,
    GetProductRequest, ListProductsRequest, ListProductsResponse, Product, UpdateProductRequest,
    product,
};
use crate::filter::Filter;
use crate::record::PageToken;

/// How a call is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: Code,
    pub reason: String,
    /// The fields that are at fault, in the order in which they are named.
    pub fields: Vec<String>,
}

impl Refusal {
    fn new(code: Code, reason: &str) -> Refusal {
        Refusal { code, reason: reason.into(), fields: Vec::new() }
    }
}

type Answer<T> = Result<T, Refusal>;

#[derive(Debug, Clone, Default)]
pub struct Model {
    /// In the order of names.
    products: Vec<Product>,
    /// Names that were removed, with their last revision.
    gone: Vec<(String, i64)>,
    /// Ids of requests with what they asked for and what they got.
    requests: Vec<(String, CreateProductRequest, Product)>,
    pub sequence: i64,
    /// Every name that was ever written, with the number of its last commit.
    changes: Vec<(String, i64)>,
}

/// What a filter is: none of the language, or a tree.
#[derive(Debug, Clone)]
pub enum Wanted {
    All,
    Some(Filter),
    Nonsense,
}

const PATHS: [&str; 13] = [
    "name",
    "display_name",
    "description",
    "category",
    "price",
    "price_text",
    "stock",
    "labels",
    "state",
    "create_time",
    "update_time",
    "etag",
    "discount_percent",
];
const PRICE_PATHS: [&str; 3] = ["price.currency_code", "price.units", "price.nanos"];

impl Model {
    pub fn products(&self) -> &[Product] {
        &self.products
    }

    fn find(&self, name: &str) -> Option<&Product> {
        self.products.iter().find(|product| product.name == name)
    }

    fn known(&self, name: &str) -> Answer<&Product> {
        self.find(name).ok_or_else(|| Refusal::new(Code::NotFound, "UNKNOWN_PRODUCT"))
    }

    fn commit(&mut self, name: &str) {
        self.sequence += 1;
        self.changes.retain(|(changed, _)| changed != name);
        self.changes.push((name.to_owned(), self.sequence));
    }

    fn put(&mut self, mut product: Product) -> Product {
        product.price_text = price_text(&product);
        self.commit(&product.name);
        self.products.retain(|other| other.name != product.name);
        self.products.push(product.clone());
        self.products.sort_by(|a, b| a.name.cmp(&b.name));
        product
    }

    /// Names that were changed behind `from`, in the order of their last commits.
    pub fn changed_behind(&self, from: i64) -> Vec<(String, i64)> {
        self.changes.iter().filter(|(_, sequence)| *sequence > from).cloned().collect()
    }

    fn new_product(&mut self, name: String, given: Product, now: Timestamp) -> Product {
        let before = self.gone.iter().find(|(gone, _)| *gone == name).map_or(0, |(_, last)| *last);
        self.gone.retain(|(gone, _)| *gone != name);
        let state = if given.state == 0 { product::State::Active as i32 } else { given.state };
        self.put(Product {
            name,
            state,
            create_time: Some(now),
            update_time: Some(now),
            etag: format!("\"r{}\"", before + 1),
            ..given
        })
    }

    pub fn create(&mut self, request: &CreateProductRequest, now: Timestamp) -> Answer<Product> {
        let mut faults = Faults::default();
        faults.check(id_is_fine(&request.product_id), "product_id", "PRODUCT_ID");
        let given = request.product.clone().unwrap_or_default();
        faults.product(&given);
        let id = &request.request_id;
        faults.check(id.is_empty() || uuid_is_fine(id), "request_id", "REQUEST_ID");
        faults.end()?;
        if let Some((_, asked, got)) =
            self.requests.iter().find(|(known, ..)| !id.is_empty() && known == id)
        {
            if asked == request {
                return Ok(got.clone());
            }
            faults.check(false, "request_id", "REQUEST_ID");
            faults.end()?;
        }
        let name = format!("products/{}", request.product_id);
        if self.find(&name).is_some() {
            return Err(Refusal::new(Code::AlreadyExists, "EXISTS"));
        }
        let made = self.new_product(name, given, now);
        if !id.is_empty() {
            self.requests.push((id.clone(), request.clone(), made.clone()));
        }
        Ok(made)
    }

    pub fn get(&self, request: &GetProductRequest) -> Answer<Product> {
        let mut faults = Faults::default();
        faults.check(name_is_fine(&request.name), "name", "NAME");
        faults.mask(request.read_mask.as_ref(), "read_mask", "READ_MASK");
        faults.end()?;
        Ok(cut(self.known(&request.name)?, request.read_mask.as_ref()))
    }

    pub fn batch(&self, request: &BatchGetProductsRequest) -> Answer<Vec<Product>> {
        let mut faults = Faults::default();
        faults.check((1..=100).contains(&request.names.len()), "names", "NAMES");
        faults.check(request.names.iter().all(|name| name_is_fine(name)), "names", "NAME");
        faults.end()?;
        request.names.iter().map(|name| self.known(name).cloned()).collect()
    }

    /// `filter` is what `request.filter` means; `token_is_fine` whether the token belongs to these
    /// arguments.
    pub fn list(
        &self,
        request: &ListProductsRequest,
        filter: &Wanted,
        token: Option<&PageToken>,
    ) -> Answer<ListProductsResponse> {
        let mut faults = Faults::default();
        faults.check(request.page_size >= 0, "page_size", "PAGE_SIZE");
        let token_is_fine = request.page_token.is_empty()
            || token.is_some_and(|token| token.arguments == arguments(request));
        faults.check(token_is_fine, "page_token", "PAGE_TOKEN");
        faults.check(!matches!(filter, Wanted::Nonsense), "filter", "FILTER");
        let words: Vec<&str> = request.order_by.split_whitespace().collect();
        let (field, descending) = match words[..] {
            [] => ("name", false),
            [field] => (field, false),
            [field, "desc"] => (field, true),
            _ => ("", false),
        };
        let known = ["name", "display_name", "category", "stock", "price.units"].contains(&field);
        faults.check(known, "order_by", "ORDER_BY");
        faults.mask(request.read_mask.as_ref(), "read_mask", "READ_MASK");
        faults.end()?;

        let key = |product: &Product| Key {
            text: match field {
                "display_name" => product.display_name.clone(),
                "category" => product.category.clone(),
                _ => String::new(),
            },
            number: match field {
                "stock" => product.stock,
                "price.units" => product.price.as_ref().map_or(0, |price| price.units),
                _ => 0,
            },
            name: product.name.clone(),
        };
        let mut found: Vec<&Product> = self
            .products
            .iter()
            .filter(|product| match filter {
                Wanted::Some(filter) => filter.holds(product),
                _ => true,
            })
            .collect();
        found.sort_by_key(|product| key(product));
        if descending {
            found.reverse();
        }
        if let Some(token) = token.filter(|_| !request.page_token.is_empty()) {
            let last =
                Key { text: token.text.clone(), number: token.number, name: token.name.clone() };
            found.retain(
                |product| {
                    if descending { key(product) < last } else { key(product) > last }
                },
            );
        }
        let size = match request.page_size {
            0 => 25,
            size => size.min(1000) as usize,
        };
        let mut next_page_token = String::new();
        if found.len() > size {
            found.truncate(size);
            let Key { text, number, name } = key(found[size - 1]);
            let token = PageToken { name, text, number, arguments: arguments(request) };
            next_page_token = BASE64_URL_SAFE_NO_PAD.encode(token.encode_to_vec());
        }
        let mask = request.read_mask.as_ref();
        let products = found.into_iter().map(|product| cut(product, mask)).collect();
        Ok(ListProductsResponse { products, next_page_token })
    }

    pub fn update(&mut self, request: &UpdateProductRequest, now: Timestamp) -> Answer<Product> {
        let given = request.product.clone().unwrap_or_default();
        let mut faults = Faults::default();
        faults.check(name_is_fine(&given.name), "product.name", "NAME");
        faults.check(etag_is_fine(&given.etag), "product.etag", "ETAG");
        faults.mask(request.update_mask.as_ref(), "update_mask", "UPDATE_MASK");
        faults.end()?;
        let stale = Refusal::new(Code::Aborted, "ETAG");
        let Some(present) = self.find(&given.name).cloned() else {
            if !request.allow_missing {
                return self.known(&given.name).cloned();
            }
            faults.product(&given);
            faults.end()?;
            if !given.etag.is_empty() {
                return Err(stale);
            }
            return Ok(self.new_product(given.name.clone(), given, now));
        };
        let mut merged = present.clone();
        for path in changed_paths(&given, request.update_mask.as_ref()) {
            take(&mut merged, &given, &path);
        }
        faults.product(&merged);
        faults.end()?;
        if !given.etag.is_empty() && given.etag != present.etag {
            return Err(stale);
        }
        merged.update_time = Some(now);
        merged.etag = format!("\"r{}\"", revision(&present.etag) + 1);
        Ok(self.put(merged))
    }

    pub fn delete(&mut self, request: &DeleteProductRequest) -> Answer<()> {
        let mut faults = Faults::default();
        faults.check(name_is_fine(&request.name), "name", "NAME");
        faults.check(etag_is_fine(&request.etag), "etag", "ETAG");
        faults.end()?;
        let present = self.known(&request.name)?.clone();
        if !request.etag.is_empty() && request.etag != present.etag {
            return Err(Refusal::new(Code::Aborted, "ETAG"));
        }
        self.commit(&present.name);
        self.products.retain(|product| product.name != present.name);
        self.gone.push((present.name, revision(&present.etag)));
        Ok(())
    }

    pub fn adjust(&mut self, request: &AdjustStockRequest, now: Timestamp) -> Answer<Product> {
        let mut faults = Faults::default();
        faults.check(name_is_fine(&request.name), "name", "NAME");
        faults.end()?;
        let mut product = self.known(&request.name)?.clone();
        let Some(stock) = product.stock.checked_add(request.delta) else {
            return Err(Refusal::new(Code::OutOfRange, "STOCK"));
        };
        if stock < 0 {
            return Err(Refusal::new(Code::FailedPrecondition, "STOCK"));
        }
        product.stock = stock;
        product.update_time = Some(now);
        product.etag = format!("\"r{}\"", revision(&product.etag) + 1);
        Ok(self.put(product))
    }
}

/// What a list is sorted by, with the name for ties.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    text: String,
    number: i64,
    name: String,
}

pub fn arguments(request: &ListProductsRequest) -> u32 {
    let bound = ListProductsRequest { page_size: 0, page_token: String::new(), ..request.clone() };
    crc32c::crc32c(&bound.encode_to_vec())
}

/// The faults of a request, in the order of its fields.
#[derive(Default)]
struct Faults(Vec<(String, String)>);

impl Faults {
    fn check(&mut self, fine: bool, field: &str, reason: &str) {
        if !fine {
            self.0.push((field.into(), reason.into()));
        }
    }

    fn mask(&mut self, mask: Option<&FieldMask>, field: &str, reason: &str) {
        let paths = mask.map(|mask| &mask.paths[..]).unwrap_or_default();
        let known =
            |path: &String| PATHS.contains(&path.as_str()) || PRICE_PATHS.contains(&path.as_str());
        self.check(paths == ["*"] || paths.iter().all(known), field, reason);
    }

    fn product(&mut self, product: &Product) {
        let length = product.display_name.len();
        self.check((1..=128).contains(&length), "product.display_name", "DISPLAY_NAME");
        self.check(product.description.len() <= 4096, "product.description", "DESCRIPTION");
        self.check(product.category.len() <= 64, "product.category", "CATEGORY");
        let price = product.price.as_ref().is_some_and(|price| {
            let code = price.currency_code.as_bytes();
            let nanos = i64::from(price.nanos);
            code.len() == 3
                && code.iter().all(u8::is_ascii_uppercase)
                && nanos.abs() < 1_000_000_000
                && price.units.signum() * nanos.signum() >= 0
        });
        self.check(price, "product.price", "PRICE");
        self.check(product.stock >= 0, "product.stock", "STOCK");
        let label =
            |(key, value): (&String, &String)| (1..=63).contains(&key.len()) && value.len() <= 63;
        let labels = product.labels.len() <= 16 && product.labels.iter().all(label);
        self.check(labels, "product.labels", "LABELS");
        self.check((0..=2).contains(&product.state), "product.state", "STATE");
        self.check(etag_is_fine(&product.etag), "product.etag", "ETAG");
        let discount = (0..=20).contains(&product.discount_percent);
        self.check(discount, "product.discount_percent", "DISCOUNT_PERCENT");
    }

    fn end(&mut self) -> Answer<()> {
        let Some((_, reason)) = self.0.first() else { return Ok(()) };
        Err(Refusal {
            code: Code::InvalidArgument,
            reason: reason.clone(),
            fields: self.0.iter().map(|(field, _)| field.clone()).collect(),
        })
    }
}

fn id_is_fine(id: &str) -> bool {
    let lawful = |sign: char| sign == '-' || sign.is_ascii_lowercase() || sign.is_ascii_digit();
    (1..=63).contains(&id.len()) && id.chars().all(lawful) && !id.starts_with('-')
}

fn name_is_fine(name: &str) -> bool {
    name.strip_prefix("products/").is_some_and(id_is_fine)
}

fn etag_is_fine(etag: &str) -> bool {
    let digits = etag.strip_prefix("\"r").and_then(|rest| rest.strip_suffix('"'));
    etag.is_empty()
        || digits.is_some_and(|digits| {
            (1..=19).contains(&digits.len()) && digits.chars().all(|sign| sign.is_ascii_digit())
        })
}

fn uuid_is_fine(id: &str) -> bool {
    let groups: Vec<&str> = id.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12]
        && groups.iter().all(|group| group.chars().all(|sign| sign.is_ascii_hexdigit()))
        && groups[2].starts_with('4')
        && groups[3].starts_with(['8', '9', 'a', 'b', 'A', 'B'])
}

fn revision(etag: &str) -> i64 {
    etag.trim_matches(['"', 'r']).parse().unwrap_or(0)
}

fn price_text(product: &Product) -> String {
    let price = product.price.clone().unwrap_or_default();
    let total = i128::from(price.units) * 1_000_000_000 + i128::from(price.nanos);
    let sign = if total < 0 { "-" } else { "" };
    let mut text = format!("{}.{:09}", total.abs() / 1_000_000_000, total.abs() % 1_000_000_000);
    let least = text.find('.').unwrap_or(0) + 3;
    while text.len() > least && text.ends_with('0') {
        text.pop();
    }
    format!("{sign}{text} {}", price.currency_code)
}

/// The paths that an update changes: those named, or those filled in where none are.
fn changed_paths(given: &Product, mask: Option<&FieldMask>) -> Vec<String> {
    let named = mask.map(|mask| mask.paths.clone()).unwrap_or_default();
    let all = [
        "display_name",
        "description",
        "category",
        "price",
        "stock",
        "labels",
        "state",
        "discount_percent",
    ];
    if named == ["*"] {
        return all.map(str::to_owned).to_vec();
    }
    if !named.is_empty() {
        return named;
    }
    let empty = Product::default();
    let filled = |path: &&str| {
        let mut taken = Product::default();
        take(&mut taken, given, path);
        // A state that is not given is taken as ACTIVE, which is no filling in.
        if *path == "state" { given.state != 0 } else { taken != empty }
    };
    all.into_iter().filter(filled).map(str::to_owned).collect()
}

fn take(to: &mut Product, from: &Product, path: &str) {
    let price = from.price.clone().unwrap_or_default();
    match path {
        "display_name" => to.display_name = from.display_name.clone(),
        "description" => to.description = from.description.clone(),
        "category" => to.category = from.category.clone(),
        "price" => to.price = from.price.clone(),
        "price.currency_code" => {
            to.price.get_or_insert_default().currency_code = price.currency_code;
        }
        "price.units" => to.price.get_or_insert_default().units = price.units,
        "price.nanos" => to.price.get_or_insert_default().nanos = price.nanos,
        "stock" => to.stock = from.stock,
        "labels" => to.labels = from.labels.clone(),
        "discount_percent" => to.discount_percent = from.discount_percent,
        "state" if from.state == 0 => to.state = product::State::Active as i32,
        "state" => to.state = from.state,
        _ => {}
    }
}

fn cut(product: &Product, mask: Option<&FieldMask>) -> Product {
    let paths = mask.map(|mask| mask.paths.clone()).unwrap_or_default();
    if paths.is_empty() || paths == ["*"] {
        return product.clone();
    }
    let mut left = Product::default();
    for path in paths {
        match path.as_str() {
            "name" => left.name = product.name.clone(),
            "price_text" => left.price_text = product.price_text.clone(),
            "create_time" => left.create_time = product.create_time,
            "update_time" => left.update_time = product.update_time,
            "etag" => left.etag = product.etag.clone(),
            path => take(&mut left, product, path),
        }
    }
    left
}
