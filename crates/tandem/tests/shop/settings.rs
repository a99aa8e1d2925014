//! Settings of services, obeyed by the real ones, with and without the gateway (hybrid SE-2, SE-4).

use std::time::Duration;

use crate::backend::{Shop, ask, direct, runs, until};

const CREATE: &str = "/tandem.cases.catalogue.v1.Catalogue/CreateProduct";

/// Creates a product by REST and says how it went: `Ok`, or the sentence of the refusal.
fn create(shop: &Shop, id: &str, more: &str) -> Result<(), String> {
    let body = format!(
        "{{\"displayName\":\"Kettle\",\"price\":{{\"currencyCode\":\"EUR\",\"units\":\"12\"}}{more}}}"
    );
    let answer = shop.gateway.rest("POST", &format!("/v1/products?productId={id}"), &body).unwrap();
    match answer.status {
        200 => Ok(()),
        400 => Err(answer.json()["message"].as_str().unwrap().to_owned()),
        other => panic!("{other}: {}", answer.body),
    }
}

fn discount(percent: i32) -> String {
    format!(",\"discountPercent\":{percent}")
}

fn beyond(most: i32) -> Result<(), String> {
    Err(format!("product.discount_percent: must be 0 to {most}, the largest discount at this time"))
}

/// A product with this discount, as gRPC has it.
fn request(id: &str, percent: u64) -> Vec<u8> {
    use tandem_contract::fields::{put_bytes, put_number};
    let (mut money, mut product, mut request) = (Vec::new(), Vec::new(), Vec::new());
    put_bytes(1, b"EUR", &mut money);
    put_number(2, 12, &mut money);
    put_bytes(2, b"Kettle", &mut product);
    put_bytes(5, &money, &mut product);
    put_number(13, percent, &mut product);
    put_bytes(1, id.as_bytes(), &mut request);
    put_bytes(2, &product, &mut request);
    request
}

/// Waits until a discount is taken that was refused before.
fn until_taken(shop: &Shop, percent: i32) {
    let mut tries = 0;
    let taken = until(Duration::from_secs(20), || {
        tries += 1;
        create(shop, &format!("try-{percent}-{tries}"), &discount(percent)).ok()
    });
    assert!(taken.is_some(), "{percent} is not taken:\n{}", shop.gateway.log());
}

fn values(most: i32) -> String {
    format!(
        "settings:\n  tandem.cases.catalogue.v1.Catalogue:\n    values:\n      \
         max_discount_percent: {most}\n      hidden_categories: [secret]\n      \
         new_price_format: {{ per_mille: 1000 }}\n"
    )
}

fn a_service_obeys_its_team(language: &str) {
    if !runs() {
        return;
    }
    let mut shop = Shop::start(language);
    // The defaults of the contract.
    assert_eq!(create(&shop, "plain", &discount(20)), Ok(()));
    assert_eq!(create(&shop, "dear", &discount(21)), beyond(20));
    assert_eq!(create(&shop, "hidden", ",\"category\":\"secret\""), Ok(()));

    shop.team("shop", &values(30));
    shop.gateway.hang_up();
    until_taken(&shop, 30);
    assert_eq!(create(&shop, "dear", &discount(31)), beyond(30));
    let list = shop.gateway.rest("GET", "/v1/products?readMask=name", "").unwrap().body;
    assert!(list.contains("products/plain") && !list.contains("products/hidden"), "{list}");
    assert_eq!(shop.gateway.rest("GET", "/v1/products/hidden", "").unwrap().status, 200);
    let price = |principal: &str| {
        let answer =
            ask(shop.gateway.internal, "GET", "/v1/products/plain", principal, "").unwrap();
        answer.json()["priceText"].as_str().unwrap().to_owned()
    };
    assert_eq!(price("x-tandem-principal: YWxpY2U\r\n"), "EUR 12.00");
    assert_eq!(price(""), "12.00 EUR");

    // A document with a fault changes nothing; one that lowers the ceiling lets stand what stands.
    shop.team("shop", &values(61));
    shop.gateway.hang_up();
    shop.team("shop", &values(10));
    shop.gateway.hang_up();
    // Until then it is taken, and so is the name.
    let mut tries = 0;
    let lowered = until(Duration::from_secs(20), || {
        tries += 1;
        (create(&shop, &format!("less-{tries}"), &discount(25)) == beyond(10)).then_some(())
    });
    assert!(lowered.is_some(), "{}", shop.gateway.log());
    let name = "{\"displayName\":\"Teapot\"}";
    assert_eq!(shop.gateway.rest("PATCH", "/v1/products/plain", name).unwrap().status, 200);

    // Without the gateway the service goes on by the last values, and starts by them.
    shop.gateway.kill();
    let sentence =
        |id: &str, percent| direct(shop.catalogue.address, CREATE, &request(id, percent));
    assert_eq!(sentence("alone-1", 11), (3, beyond(10).unwrap_err()));
    assert_eq!(sentence("alone-2", 10), (0, String::new()));
    shop.catalogue.kill();
    shop.catalogue.start();
    let sentence =
        |id: &str, percent| direct(shop.catalogue.address, CREATE, &request(id, percent));
    assert_eq!(sentence("alone-3", 11), (3, beyond(10).unwrap_err()));
    assert_eq!(sentence("alone-4", 10), (0, String::new()));

    // The gateway comes back with other values.
    shop.team("shop", &values(40));
    shop.gateway.begin();
    shop.gateway.ready();
    until_taken(&shop, 40);
    assert_eq!(create(&shop, "dear", &discount(41)), beyond(40));
}

#[test]
fn hybrid_se_4_settings_are_obeyed_with_and_without_the_gateway_in_go() {
    a_service_obeys_its_team("go");
}

#[test]
fn hybrid_se_4_settings_are_obeyed_with_and_without_the_gateway_in_rust() {
    a_service_obeys_its_team("rust");
}
