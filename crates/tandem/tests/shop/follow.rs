//! HY-3: search follows the catalogue, whatever is killed.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::backend::{Shop, ask, product, runs, until};

/// Kills of each part in the crash tests.
const KILLS: u32 = 20;

fn found_within_a_second(language: &str) {
    if !runs() {
        return;
    }
    let shop = Shop::start(language);
    for number in 0..5 {
        let path = format!("/v1/products?productId=p-{number}");
        let body = product(&format!("Kettle number{number}"));
        assert_eq!(shop.gateway.rest("POST", &path, &body).unwrap().status, 200);
        let began = Instant::now();
        let found = until(Duration::from_secs(5), || {
            let query = format!("/v1/search?query=number{number}");
            let answer = shop.gateway.rest("GET", &query, "")?;
            (answer.json()["total"] == "1").then(|| began.elapsed())
        });
        let took = found.expect("found at all");
        assert!(took < Duration::from_secs(1), "found after {took:?}");
    }
    let body = "{\"displayName\":\"Teapot\"}";
    assert_eq!(shop.gateway.rest("PATCH", "/v1/products/p-0", body).unwrap().status, 200);
    assert_eq!(shop.gateway.rest("DELETE", "/v1/products/p-1", "").unwrap().status, 200);
    let agreed = shop.agree(Duration::from_secs(2)).unwrap();
    assert_eq!((agreed.sequence, agreed.count), (7, 4));
}

#[test]
fn hybrid_hy_3_a_product_changed_by_rest_is_found_within_a_second_in_go() {
    found_within_a_second("go");
}

#[test]
fn hybrid_hy_3_a_product_changed_by_rest_is_found_within_a_second_in_rust() {
    found_within_a_second("rust");
}

/// Writes until told to stop; counts what was acknowledged.
fn write(public: std::net::SocketAddr, writer: u32, stop: &AtomicBool, acknowledged: &AtomicU32) {
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let id = format!("w{writer}-{number}");
        let path = format!("/v1/products?productId={id}");
        let created = ask(public, "POST", &path, "", &product("Crash kettle"));
        if created.is_none_or(|answer| answer.status != 200) {
            continue;
        }
        acknowledged.fetch_add(1, Ordering::Relaxed);
        match number % 3 {
            0 => drop(ask(public, "DELETE", &format!("/v1/products/{id}"), "", "")),
            1 => {
                let body = "{\"stock\":\"7\"}";
                drop(ask(public, "PATCH", &format!("/v1/products/{id}"), "", body));
            }
            _ => {}
        }
    }
}

fn survives(language: &str, mut kill: impl FnMut(&mut Shop, u32)) {
    if !runs() {
        return;
    }
    let mut shop = Shop::start(language);
    let (stop, acknowledged) = (AtomicBool::new(false), AtomicU32::new(0));
    let public = shop.gateway.public;
    std::thread::scope(|scope| {
        for writer in 0..2 {
            let (stop, acknowledged) = (&stop, &acknowledged);
            scope.spawn(move || write(public, writer, stop, acknowledged));
        }
        for round in 0..KILLS {
            let before = acknowledged.load(Ordering::Relaxed);
            // Kill in the middle of writes that are really carried out.
            let went_on = until(Duration::from_secs(20), || {
                (acknowledged.load(Ordering::Relaxed) >= before + 3).then_some(())
            });
            if went_on.is_none() {
                stop.store(true, Ordering::Relaxed);
                panic!("no write went through in round {round}:\n{}", shop.gateway.log());
            }
            kill(&mut shop, round);
        }
        stop.store(true, Ordering::Relaxed);
    });
    shop.gateway.ready();
    let agreed = shop.agree(Duration::from_secs(30));
    let agreed = agreed.unwrap_or_else(|(catalogue, search)| {
        panic!("catalogue {catalogue:?}\nsearch {search:?}\n{}", shop.gateway.log())
    });
    assert!(agreed.sequence >= u64::from(acknowledged.load(Ordering::Relaxed)));
    assert!(agreed.count > 0);
}

#[test]
fn hybrid_hy_3_search_killed_twenty_times_equals_the_catalogue_afterwards() {
    survives("go", |shop, _round| {
        shop.search.kill();
        shop.search.start();
    });
}

#[test]
fn hybrid_hy_3_the_catalogue_in_go_killed_twenty_times_is_followed_exactly() {
    survives("go", |shop, _round| {
        shop.catalogue.kill();
        shop.catalogue.start();
    });
}

#[test]
fn hybrid_hy_3_the_catalogue_in_rust_killed_twenty_times_is_followed_exactly() {
    survives("rust", |shop, _round| {
        shop.catalogue.kill();
        shop.catalogue.start();
    });
}

#[test]
fn hybrid_hy_3_the_gateway_killed_twenty_times_loses_no_change() {
    survives("rust", |shop, _round| {
        shop.gateway.kill();
        shop.gateway.begin();
        shop.gateway.ready();
    });
}
