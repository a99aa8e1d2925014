//! What was acknowledged is there: after kill -9 in the middle of writes, and after SIGTERM.
//!
//! Each writer has products of its own and makes one call at a time, so that what must be there
//! is known exactly: all that was acknowledged, and of the call under way all or nothing. Killing
//! a process shows that nothing acknowledged waits in it; whether the disk keeps its word when
//! the power goes is the disk's to show.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;
use tonic::{Code, Status};

use crate::Fault;
use crate::contract::catalogue_client::CatalogueClient;
use crate::contract::{
    AdjustStockRequest, Change, CreateProductRequest, DeleteProductRequest, ExportProductsRequest,
    Product, WatchProductsRequest, change,
};
use crate::draw::Draw;
use crate::google::r#type::Money;
use crate::side::{Program, Side};

type Client = CatalogueClient<tonic::transport::Channel>;

const WRITERS: usize = 4;
/// Products of each writer.
const OWN: usize = 5;
/// Writes that are acknowledged before the process is killed, at least; up to twice as many.
const WRITES: usize = 40;

/// What a writer knows of its products: etag and stock by name, nothing of those that are gone.
type Known = BTreeMap<String, (String, i64)>;

/// One call, and what it makes of what is known.
#[derive(Debug, Clone)]
enum Write {
    Create(Box<CreateProductRequest>),
    Adjust(AdjustStockRequest),
    Delete(String),
}

struct Writer {
    client: Client,
    number: usize,
    draw: Draw,
    known: Known,
    /// The call that was never answered.
    under_way: Option<Write>,
    acknowledged: Arc<AtomicUsize>,
    grown: Arc<Notify>,
}

impl Writer {
    fn draw(&mut self) -> Write {
        let id = format!("w{}-{}", self.number, self.draw.below(OWN));
        let name = format!("products/{id}");
        if !self.known.contains_key(&name) {
            let price = Money { currency_code: "EUR".into(), units: 3, nanos: 0 };
            let product =
                Product { display_name: id.clone(), price: Some(price), ..Default::default() };
            let request_id = self.draw.uuid();
            let product = Some(product);
            let request = CreateProductRequest { product_id: id, product, request_id };
            return Write::Create(Box::new(request));
        }
        match self.draw.below(4) {
            0 => Write::Delete(name),
            _ => Write::Adjust(AdjustStockRequest { name, delta: 1 }),
        }
    }

    async fn send(&mut self, write: &Write) -> Result<(), Status> {
        let product = match write.clone() {
            Write::Create(request) => self.client.create_product(*request).await?.into_inner(),
            Write::Adjust(request) => self.client.adjust_stock(request).await?.into_inner(),
            Write::Delete(name) => {
                let request = DeleteProductRequest { name: name.clone(), etag: String::new() };
                self.client.delete_product(request).await?;
                self.known.remove(&name);
                return Ok(());
            }
        };
        self.known.insert(product.name, (product.etag, product.stock));
        Ok(())
    }

    /// Writes until the other side is gone.
    async fn write(mut self) -> (Writer, Status) {
        loop {
            let write = self.draw();
            self.under_way = Some(write.clone());
            match self.send(&write).await {
                Ok(()) => {
                    self.under_way = None;
                    self.acknowledged.fetch_add(1, Ordering::Relaxed);
                    self.grown.notify_one();
                }
                Err(status) => return (self, status),
            }
        }
    }

    /// What must be there now, given what is: all that was acknowledged, and of the call under
    /// way all or nothing. Takes over what is.
    fn judge(&mut self, there: &Known) -> Result<(), String> {
        let own = format!("products/w{}-", self.number);
        let mine: Known =
            there.iter().filter(|(name, _)| name.starts_with(&own)).map(cloned).collect();
        let unsure = match self.under_way.take() {
            None => None,
            Some(Write::Create(request)) => Some(format!("products/{}", request.product_id)),
            Some(Write::Adjust(AdjustStockRequest { name, .. }) | Write::Delete(name)) => {
                Some(name)
            }
        };
        let names = self.known.keys().chain(mine.keys());
        for name in names.filter(|name| Some(*name) != unsure.as_ref()) {
            if self.known.get(name) != mine.get(name) {
                let (known, found) = (self.known.get(name), mine.get(name));
                return Err(format!("{name} was acknowledged as {known:?} and is {found:?}"));
            }
        }
        if let Some(name) = unsure
            && let (Some((_, before)), Some((_, now))) = (self.known.get(&name), mine.get(&name))
            && !(*before..=before + 1).contains(now)
        {
            return Err(format!("the stock of {name} went from {before} to {now}"));
        }
        self.known = mine;
        Ok(())
    }
}

fn cloned((name, what): (&String, &(String, i64))) -> (String, (String, i64)) {
    (name.clone(), what.clone())
}

fn writers(side: &Side, seed: u64) -> Vec<Writer> {
    let (acknowledged, grown) = (Arc::default(), Arc::default());
    let writer = |number| Writer {
        client: side.calls.clone(),
        number,
        draw: Draw::new(seed * 1000 + number as u64),
        known: Known::new(),
        under_way: None,
        acknowledged: Arc::clone(&acknowledged),
        grown: Arc::clone(&grown),
    };
    (0..WRITERS).map(writer).collect()
}

pub async fn run(programs: &[Program], rounds: u32) -> Result<String, Fault> {
    let mut all = 0;
    for program in programs {
        let folder = tempfile::tempdir()?;
        let mut side = Side::start(program, folder.path(), "each").await?;
        let mut working = writers(&side, u64::from(rounds));
        let acknowledged = Arc::clone(&working[0].acknowledged);
        let mut draw = Draw::new(rounds.into());
        for round in 0..rounds {
            let until = acknowledged.load(Ordering::Relaxed) + WRITES + draw.below(WRITES);
            working = write_until(&mut side, working, until, End::Kill).await?.0;
            side.start_again().await?;
            let there = judged(&mut side, &mut working).await;
            there.map_err(|fault| format!("{}, round {round}: {fault}", program.name))?;
        }
        all += acknowledged.load(Ordering::Relaxed);
    }
    Ok(format!("{rounds} a side, none of {all} acknowledged writes lost"))
}

/// SIGTERM under load: it ends with 0, what was acknowledged is there, and what was not carried
/// is told as UNAVAILABLE.
pub async fn stops(programs: &[Program]) -> Result<String, Fault> {
    for program in programs {
        let folder = tempfile::tempdir()?;
        let mut side = Side::start(program, folder.path(), "each").await?;
        let working = writers(&side, 99);
        let (mut working, statuses) =
            write_until(&mut side, working, WRITES, End::Terminate).await?;
        for status in statuses {
            // A call on a connection that is being closed was never begun: callers try again.
            if !matches!(status.code(), Code::Unavailable | Code::Cancelled | Code::Unknown) {
                return Err(format!("{}: a call ended with {status}", program.name).into());
            }
        }
        side.start_again().await?;
        judged(&mut side, &mut working)
            .await
            .map_err(|fault| format!("{}: {fault}", program.name))?;
    }
    Ok("SIGTERM under load ends with 0 and loses nothing".into())
}

enum End {
    Kill,
    Terminate,
}

/// Lets the writers write until so much is acknowledged, and ends the process in the middle.
async fn write_until(
    side: &mut Side,
    working: Vec<Writer>,
    until: usize,
    end: End,
) -> Result<(Vec<Writer>, Vec<Status>), Fault> {
    let (acknowledged, grown) =
        (Arc::clone(&working[0].acknowledged), Arc::clone(&working[0].grown));
    let mut at_work = Vec::new();
    for mut writer in working {
        writer.client = side.calls.clone();
        at_work.push(tokio::spawn(writer.write()));
    }
    while acknowledged.load(Ordering::Relaxed) < until {
        grown.notified().await;
    }
    match end {
        End::Kill => side.kill().await?,
        End::Terminate => {
            let status = side.terminate().await?;
            if !status.success() {
                return Err(format!("{} ended with {status}", side.name).into());
            }
        }
    }
    let (mut working, mut statuses) = (Vec::new(), Vec::new());
    for writer in at_work {
        let (writer, status) = writer.await?;
        working.push(writer);
        statuses.push(status);
    }
    Ok((working, statuses))
}

/// Compares what is there with what every writer knows, and a follower's view with both.
async fn judged(side: &mut Side, working: &mut [Writer]) -> Result<(), Fault> {
    // What was not answered is asked again: the same request gets the answer of the first.
    let again: Vec<CreateProductRequest> = working
        .iter()
        .filter_map(|writer| match &writer.under_way {
            Some(Write::Create(request)) => Some((**request).clone()),
            _ => None,
        })
        .collect();
    for request in again {
        let first = side.calls.create_product(request.clone()).await?.into_inner();
        let second = side.calls.create_product(request).await?.into_inner();
        if first != second {
            return Err(format!("one request was answered with {first:?} and {second:?}").into());
        }
    }
    let mut there = Known::new();
    let mut stream = side.calls.export_products(ExportProductsRequest {}).await?.into_inner();
    while let Some(product) = stream.message().await? {
        there.insert(product.name, (product.etag, product.stock));
    }
    for writer in working {
        writer.judge(&there)?;
    }
    let last = side.digest().await?.sequence;
    let request = WatchProductsRequest { from_sequence: 0 };
    let mut stream = side.calls.watch_products(request).await?.into_inner();
    let mut followed = Known::new();
    let mut at = 0;
    while at < last {
        let Change { sequence, what } = stream.message().await?.ok_or("the stream ended")?;
        at = sequence;
        match what {
            Some(change::What::Product(product)) => {
                followed.insert(product.name, (product.etag, product.stock));
            }
            Some(change::What::Deleted(name)) => {
                followed.remove(&name);
            }
            None => return Err("a change says nothing".into()),
        }
    }
    if followed == there { Ok(()) } else { Err("a follower has another state".into()) }
}
