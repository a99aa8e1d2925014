//! Pages under concurrent writes: what stands all the while comes exactly once, in its order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::Fault;
use crate::contract::catalogue_client::CatalogueClient;
use crate::contract::{CreateProductRequest, DeleteProductRequest, ListProductsRequest, Product};
use crate::draw::Draw;
use crate::google::r#type::Money;
use crate::side::{Program, Side};

type Client = CatalogueClient<tonic::transport::Channel>;

const STEADY: usize = 60;
const ORDERS: [&str; 10] = [
    "name",
    "name desc",
    "display_name",
    "display_name desc",
    "category",
    "category desc",
    "stock",
    "stock desc",
    "price.units",
    "price.units desc",
];

fn product(draw: &mut Draw) -> Product {
    Product {
        display_name: format!("n{}", draw.below(5)),
        category: format!("c{}", draw.below(3)),
        price: Some(Money { currency_code: "EUR".into(), units: draw.below(4) as i64, nanos: 0 }),
        stock: draw.below(4) as i64,
        ..Default::default()
    }
}

async fn create(client: &mut Client, id: String, draw: &mut Draw) -> Result<(), Fault> {
    let product = Some(product(draw));
    let request = CreateProductRequest { product_id: id, product, request_id: String::new() };
    client.create_product(request).await?;
    Ok(())
}

pub async fn run(programs: &[Program]) -> Result<String, Fault> {
    let mut writes = 0;
    for program in programs {
        let folder = tempfile::tempdir()?;
        let side = Side::start(program, folder.path(), "none").await?;
        let mut client = side.calls.clone();
        let mut draw = Draw::new(1);
        for number in 0..STEADY {
            create(&mut client, format!("steady-{number}"), &mut draw).await?;
        }
        let stop = Arc::new(AtomicBool::new(false));
        let written = Arc::new(AtomicUsize::new(0));
        let churning =
            tokio::spawn(churn(side.calls.clone(), Arc::clone(&stop), Arc::clone(&written)));
        let mut walked = Ok(());
        for order in ORDERS {
            // A walk that nothing was written in shows nothing.
            let before = written.load(Ordering::Relaxed);
            while walked.is_ok() && !churning.is_finished() {
                walked = walk(&mut client, order).await;
                if written.load(Ordering::Relaxed) > before + 5 {
                    break;
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
        churning.await??;
        walked.map_err(|fault| format!("{}: {fault}", program.name))?;
        writes += written.load(Ordering::Relaxed);
    }
    Ok(format!("{} orders walked while {writes} products came and went", ORDERS.len()))
}

/// Creates and removes products between the steady ones.
async fn churn(
    mut client: Client,
    stop: Arc<AtomicBool>,
    written: Arc<AtomicUsize>,
) -> Result<(), Fault> {
    let mut draw = Draw::new(2);
    for number in 0_usize.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        create(&mut client, format!("s{}-{number}", draw.below(10)), &mut draw).await?;
        written.fetch_add(1, Ordering::Relaxed);
        // Something that was there goes: never a steady one.
        let request = ListProductsRequest {
            filter: "NOT display_name = nothing".into(),
            page_size: 1000,
            ..Default::default()
        };
        let all = client.list_products(request).await?.into_inner().products;
        let churned: Vec<&Product> =
            all.iter().filter(|product| !product.name.contains("steady")).collect();
        if churned.len() > 20 {
            let name = draw.pick(&churned).name.clone();
            client.delete_product(DeleteProductRequest { name, etag: String::new() }).await?;
        }
    }
    Ok(())
}

async fn walk(client: &mut Client, order: &str) -> Result<(), Fault> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut request =
        ListProductsRequest { order_by: order.into(), page_size: 7, ..Default::default() };
    loop {
        let page = client.list_products(request.clone()).await?.into_inner();
        for product in page.products {
            *seen.entry(product.name).or_default() += 1;
        }
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    for number in 0..STEADY {
        let name = format!("products/steady-{number}");
        let times = seen.get(&name).copied().unwrap_or(0);
        if times != 1 {
            return Err(format!("by {order}, {name} came {times} times").into());
        }
    }
    match seen.iter().find(|(_, times)| **times > 1) {
        // A product that is never changed cannot come twice, wherever a page begins.
        Some((name, times)) => Err(format!("by {order}, {name} came {times} times").into()),
        None => Ok(()),
    }
}
