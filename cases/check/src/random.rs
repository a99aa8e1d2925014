//! Random calls from a seed: each is made of every side, and each answer compared with the
//! model's, whole: message or code, reason and fields, and the number of the commit.
//!
//! In between every side is killed and started again, and each state is exported and imported
//! into the next side, in another language.

use std::fmt::Debug;
use std::path::Path;

use prost_types::{FieldMask, Timestamp};
use tonic::{Code, Request, Response, Status};

use crate::Fault;
use crate::answers::{Seen, seen};
use crate::contract::catalogue_client::CatalogueClient;
use crate::contract::{
    AdjustStockRequest, BatchGetProductsRequest, Change, CreateProductRequest,
    DeleteProductRequest, ExportProductsRequest, GetProductRequest, ListProductsRequest, Product,
    UpdateProductRequest, WatchProductsRequest, change,
};
use crate::draw::Draw;
use crate::filter::{Filter, WRONG};
use crate::google::r#type::Money;
use crate::model::{Model, Refusal, Wanted};
use crate::record::PageToken;
use crate::side::{Program, Side};
use crate::words;

type Client = CatalogueClient<tonic::transport::Channel>;

/// Names that calls meet at.
const NAMES: usize = 120;

/// What a run did.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counts {
    pub calls: usize,
    pub refused: usize,
    pub products: usize,
}

/// Makes `calls` calls drawn from `seed`.
///
/// # Errors
/// The first answer that is not the model's, with the call.
pub async fn run(programs: &[Program], seed: u64, calls: usize) -> Result<Counts, Fault> {
    let folder = tempfile::tempdir()?;
    let mut run = Run::start(programs, folder.path(), seed).await?;
    for number in 0..calls {
        run.now.seconds += 1;
        run.now.nanos = [0, 5_000_000, 123_456_789][number % 3];
        run.step().await.map_err(|fault| format!("seed {seed}, call {number}: {fault}"))?;
        if number == calls / 3 {
            for side in &mut run.sides {
                side.kill_and_start().await?;
            }
        }
        if number == calls * 2 / 3 {
            run.exchange().await?;
        }
    }
    run.equal().await?;
    run.counts.products = run.model.products().len();
    Ok(run.counts)
}

struct Run {
    sides: Vec<Side>,
    model: Model,
    draw: Draw,
    now: Timestamp,
    counts: Counts,
    /// Creations with a request id, to be made once more.
    asked: Vec<CreateProductRequest>,
    /// A list to be gone on with: the request, what its filter means, its next token.
    listing: Option<(ListProductsRequest, Wanted, String)>,
}

impl Run {
    async fn start(programs: &[Program], folder: &Path, seed: u64) -> Result<Run, Fault> {
        let mut sides = Vec::new();
        for program in programs {
            sides.push(Side::start(program, folder, "none").await?);
        }
        Ok(Run {
            sides,
            model: Model::default(),
            draw: Draw::new(seed),
            now: Timestamp { seconds: 1_700_000_000, nanos: 0 },
            counts: Counts::default(),
            asked: Vec::new(),
            listing: None,
        })
    }

    async fn step(&mut self) -> Result<(), Fault> {
        match self.draw.below(100) {
            0..24 => self.create().await,
            24..32 => self.get().await,
            32..56 => self.list().await,
            56..76 => self.update().await,
            76..84 => self.delete().await,
            84..88 => self.batch().await,
            88..97 => self.adjust().await,
            97 => self.export().await,
            _ => self.watch().await,
        }
    }

    /// Makes one call of every side and compares what each said with `expected`.
    async fn ask<Q, A, F>(
        &mut self,
        request: &Q,
        call: impl Fn(Client, Request<Q>) -> F,
        expected: Result<A, Refusal>,
    ) -> Result<(), Fault>
    where
        Q: Clone + Debug,
        A: PartialEq + Debug + Send + 'static,
        F: Future<Output = Result<Response<A>, Status>> + Send + 'static,
    {
        self.counts.calls += 1;
        self.counts.refused += usize::from(expected.is_err());
        let expected = Seen { answer: expected, sequence: Some(self.model.sequence) };
        let mut asked = Vec::new();
        for side in &self.sides {
            let mut made = Request::new(request.clone());
            made.metadata_mut().insert("x-tandem-now", self.now.to_string().parse()?);
            asked.push((side.name.clone(), tokio::spawn(call(side.calls.clone(), made))));
        }
        for (name, answered) in asked {
            let got = seen(answered.await?);
            if got != expected {
                return Err(format!("{request:?}\n  {name} {got:?}\n  model {expected:?}").into());
            }
        }
        Ok(())
    }

    fn id(&mut self) -> String {
        match self.draw.below(60) {
            0 => String::new(),
            1 => "-a".into(),
            2 => "Upper".into(),
            3 => "x".repeat(63),
            4 => "x".repeat(64),
            _ => format!("p-{}", self.draw.below(NAMES)),
        }
    }

    fn name(&mut self) -> String {
        let id = self.id();
        if self.draw.chance(2) { format!("things/{id}") } else { format!("products/{id}") }
    }

    /// A name that is there, mostly.
    fn present(&mut self) -> String {
        let products = self.model.products();
        if products.is_empty() || self.draw.chance(15) {
            return self.name();
        }
        self.draw.pick(products).name.clone()
    }

    fn etag(&mut self, name: &str) -> String {
        let present = self.model.products().iter().find(|product| product.name == name);
        match (self.draw.below(10), present) {
            (0, _) => "\"r99\"".into(),
            (1, _) if self.draw.chance(30) => "none".into(),
            (1..4, Some(product)) => product.etag.clone(),
            _ => String::new(),
        }
    }

    fn product(&mut self) -> Product {
        let draw = &mut self.draw;
        let price = Money {
            currency_code: (*draw.pick(&["EUR", "EUR", "EUR", "CHF", "USD", "eur", ""])).into(),
            units: words::number(draw),
            nanos: *draw.pick(&[0, 0, 0, 5, 500_000_000, -1, 999_999_999, 1_000_000_000]),
        };
        let mut product = Product {
            display_name: words::display_name(draw),
            description: "d".repeat(*draw.pick(&[0, 0, 0, 10, 10, 4096, 4097])),
            category: words::category(draw),
            price: Some(price).filter(|_| draw.chance(97)),
            stock: words::number(draw),
            state: *draw.pick(&[0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 7]),
            discount_percent: *draw.pick(&[0, 0, 0, 5, 20, 20, 21, -1]),
            ..Default::default()
        };
        for _ in 0..draw.below(4) {
            product.labels.insert(words::label_key(draw), words::label_value(draw));
        }
        if draw.chance(2) {
            product.labels =
                (0..16 + draw.below(2)).map(|n| (n.to_string(), "v".repeat(63))).collect();
        }
        // What only the service writes is given at times, and has no effect.
        if draw.chance(5) {
            product.price_text = "cheap".into();
            product.create_time = Some(Timestamp { seconds: 1, nanos: 1 });
        }
        // Most products are lawful; the rest shows the refusals.
        if draw.chance(80) {
            product.stock = product.stock.max(0);
            product.state = product.state.min(2);
            product.discount_percent = product.discount_percent.clamp(0, 20);
            product.description.truncate(4096);
            let price = product.price.get_or_insert_default();
            price.currency_code = "EUR".into();
            price.nanos =
                (price.nanos.abs() % 1_000_000_000) * if price.units < 0 { -1 } else { 1 };
        }
        product
    }

    async fn create(&mut self) -> Result<(), Fault> {
        let mut request = CreateProductRequest {
            product_id: self.id(),
            product: Some(self.product()).filter(|_| self.draw.chance(99)),
            request_id: String::new(),
        };
        if self.draw.chance(30) {
            request.request_id = self.draw.uuid();
            self.asked.push(request.clone());
        } else if self.draw.chance(2) {
            request.request_id = "no-uuid".into();
        } else if !self.asked.is_empty() && self.draw.chance(15) {
            let again = self.draw.pick(&self.asked).clone();
            request = if self.draw.chance(70) {
                again
            } else {
                CreateProductRequest { request_id: again.request_id, ..request }
            };
        }
        let expected = self.model.create(&request, self.now);
        let call =
            |mut client: Client, request| async move { client.create_product(request).await };
        self.ask(&request, call, expected).await
    }

    fn mask(&mut self) -> Option<FieldMask> {
        const PATHS: [&str; 13] = [
            "name",
            "display_name",
            "description",
            "price",
            "price.units",
            "price.nanos",
            "stock",
            "labels",
            "state",
            "etag",
            "update_time",
            "price_text",
            "discount_percent",
        ];
        let draw = &mut self.draw;
        let paths = match draw.below(12) {
            0..5 => return None,
            5 => vec![],
            6 => vec!["*"],
            7 if draw.chance(30) => vec!["stock", "nope"],
            _ => (0..1 + draw.below(4)).map(|_| *draw.pick(&PATHS)).collect(),
        };
        Some(FieldMask { paths: paths.into_iter().map(str::to_owned).collect() })
    }

    async fn get(&mut self) -> Result<(), Fault> {
        let request = GetProductRequest { name: self.present(), read_mask: self.mask() };
        let expected = self.model.get(&request);
        let call = |mut client: Client, request| async move { client.get_product(request).await };
        self.ask(&request, call, expected).await
    }

    async fn batch(&mut self) -> Result<(), Fault> {
        let count = *self.draw.pick(&[0, 1, 2, 3, 3, 100, 101]);
        let mut names: Vec<String> = (0..count.min(3)).map(|_| self.present()).collect();
        // As many as are wanted, of those that are there.
        let known: Vec<String> =
            self.model.products().iter().map(|product| product.name.clone()).collect();
        while names.len() < count && !known.is_empty() {
            names.push(self.draw.pick(&known).clone());
        }
        let request = BatchGetProductsRequest { names };
        let expected = self
            .model
            .batch(&request)
            .map(|products| crate::contract::BatchGetProductsResponse { products });
        let call =
            |mut client: Client, request| async move { client.batch_get_products(request).await };
        self.ask(&request, call, expected).await
    }

    async fn list(&mut self) -> Result<(), Fault> {
        let going_on = self.listing.take().filter(|_| self.draw.chance(75));
        let (mut request, wanted) = match going_on {
            Some((request, wanted, page_token)) => {
                (ListProductsRequest { page_token, ..request }, wanted)
            }
            None => {
                let (filter, wanted) = match self.draw.below(10) {
                    0..4 => (String::new(), Wanted::All),
                    4 if self.draw.chance(30) => {
                        ((*self.draw.pick(&WRONG)).to_owned(), Wanted::Nonsense)
                    }
                    _ => {
                        let filter = Filter::draw(&mut self.draw);
                        let text = filter.text(&mut self.draw);
                        let wanted =
                            if text.len() > 1024 { Wanted::Nonsense } else { Wanted::Some(filter) };
                        (text, wanted)
                    }
                };
                let orders = [
                    "",
                    "name",
                    "name desc",
                    "display_name",
                    "display_name desc",
                    "category",
                    "category desc",
                    "stock",
                    "stock  desc",
                    "price.units",
                    "price.units desc",
                    "description",
                ];
                let order_by = (*self.draw.pick(&orders)).to_owned();
                let read_mask = self.mask();
                (ListProductsRequest { filter, order_by, read_mask, ..Default::default() }, wanted)
            }
        };
        // The size may change from page to page.
        request.page_size = *self.draw.pick(&[0, 1, 2, 3, 5, 7, 7, 7, 1000, 5000, -1]);
        if !request.page_token.is_empty() && self.draw.chance(5) {
            request.order_by = "stock".into();
        }
        if self.draw.chance(1) {
            request.page_token = "bm9uc2Vuc2U".into();
        }
        let token = token_of(&request.page_token);
        let expected = self.model.list(&request, &wanted, token.as_ref());
        if let Ok(page) = &expected
            && !page.next_page_token.is_empty()
        {
            self.listing = Some((request.clone(), wanted, page.next_page_token.clone()));
        }
        let call = |mut client: Client, request| async move { client.list_products(request).await };
        self.ask(&request, call, expected).await
    }

    async fn update(&mut self) -> Result<(), Fault> {
        let mut product = self.product();
        product.name = self.present();
        product.etag = self.etag(&product.name.clone());
        let request = UpdateProductRequest {
            product: Some(product),
            update_mask: self.mask(),
            allow_missing: self.draw.chance(20),
        };
        let expected = self.model.update(&request, self.now);
        let call =
            |mut client: Client, request| async move { client.update_product(request).await };
        self.ask(&request, call, expected).await
    }

    async fn delete(&mut self) -> Result<(), Fault> {
        let name = self.present();
        let request = DeleteProductRequest { etag: self.etag(&name), name };
        let expected = self.model.delete(&request);
        let call =
            |mut client: Client, request| async move { client.delete_product(request).await };
        self.ask(&request, call, expected).await
    }

    async fn adjust(&mut self) -> Result<(), Fault> {
        let delta = *self.draw.pick(&[1, 2, 5, -1, -1, -3, 0, i64::MAX, i64::MIN]);
        let request = AdjustStockRequest { name: self.present(), delta };
        let expected = self.model.adjust(&request, self.now);
        let call = |mut client: Client, request| async move { client.adjust_stock(request).await };
        self.ask(&request, call, expected).await
    }

    async fn export(&mut self) -> Result<(), Fault> {
        for side in &mut self.sides {
            let mut stream =
                side.calls.export_products(ExportProductsRequest {}).await?.into_inner();
            let mut products = Vec::new();
            while let Some(product) = stream.message().await? {
                products.push(product);
            }
            if products != self.model.products() {
                return Err(format!(
                    "{} exports {} products otherwise than the model",
                    side.name,
                    products.len()
                )
                .into());
            }
        }
        self.counts.calls += 1;
        Ok(())
    }

    /// Follows from somewhere in the past to the last commit: exactly the last change of each name.
    async fn watch(&mut self) -> Result<(), Fault> {
        let last = self.model.sequence;
        let from = self.draw.below(usize::try_from(last + 1)?) as i64;
        let expected: Vec<Change> = self
            .model
            .changed_behind(from)
            .into_iter()
            .map(|(name, sequence)| {
                let product = self.model.products().iter().find(|product| product.name == name);
                let what = match product {
                    Some(product) => change::What::Product(product.clone()),
                    None => change::What::Deleted(name),
                };
                Change { sequence, what: Some(what) }
            })
            .collect();
        for side in &mut self.sides {
            let request = WatchProductsRequest { from_sequence: from };
            let mut stream = side.calls.watch_products(request).await?.into_inner();
            let mut changes = Vec::new();
            while changes.len() < expected.len() {
                changes.push(stream.message().await?.ok_or("the stream ended")?);
            }
            if changes != expected {
                return Err(format!("{} tells other changes behind {from}", side.name).into());
            }
        }
        // Of what is yet to come there is nothing to be told.
        let request = WatchProductsRequest { from_sequence: last + 1 };
        for side in &mut self.sides {
            let status = match side.calls.watch_products(request).await {
                Ok(stream) => stream.into_inner().message().await.err(),
                Err(status) => Some(status),
            };
            let code = status.map(|status| status.code());
            if code != Some(Code::OutOfRange) {
                return Err(format!("{} follows from the future: {code:?}", side.name).into());
            }
        }
        self.counts.calls += 1;
        Ok(())
    }

    /// Every side takes the state of the next one over, and is as good as before.
    async fn exchange(&mut self) -> Result<(), Fault> {
        self.equal().await?;
        let mut states = Vec::new();
        for side in &mut self.sides {
            states.push(side.export().await?);
        }
        states.rotate_left(1);
        for (side, state) in self.sides.iter_mut().zip(states) {
            side.import(state).await?;
        }
        self.equal().await
    }

    /// Whether all sides hold one state, as many products as the model, up to its last commit.
    async fn equal(&mut self) -> Result<(), Fault> {
        let mut digests = Vec::new();
        for side in &mut self.sides {
            digests.push((side.name.clone(), side.digest().await?));
        }
        let (sequence, count) = (self.model.sequence, self.model.products().len() as i64);
        let first = digests.first().ok_or("there is no side")?.1.clone();
        let fine = digests.iter().all(|(_, digest)| *digest == first);
        if fine && (first.sequence, first.count) == (sequence, count) {
            return Ok(());
        }
        Err(format!("states differ: {digests:?}; the model is at {sequence} with {count}").into())
    }
}

fn token_of(text: &str) -> Option<PageToken> {
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use prost::Message as _;
    PageToken::decode(&BASE64_URL_SAFE_NO_PAD.decode(text).ok()?[..]).ok()
}
