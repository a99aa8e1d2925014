//! The fourth and the fifth step: calls answered by Go are mirrored to Rust and to a second Go, and
//! what the pairs say is told as it comes (hybrid section 4).
//!
//! Nothing waits for the judge: after some seconds it is told what is known, what is open, and how
//! long the rest takes.
//!
//! Not here: the report of a measured comparison (`report`).

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Checks, Shop, product, say};
use crate::http;
use crate::process::until;

const METHOD: &str = "tandem.cases.catalogue.v1.Catalogue/GetProduct";
/// Calls a second.
const RATE: u32 = 200;
/// How long the fourth step lets them come.
const SECONDS: u32 = 8;
/// Products that are asked for, in all three services.
const PRODUCTS: u32 = 40;

/// Calls at a steady rate, one after the other; a slow answer delays no later ones for long.
pub(super) struct Load {
    next: Instant,
    sent: u32,
    pub(super) failed: u32,
}

impl Load {
    pub(super) fn new() -> Load {
        Load { next: Instant::now(), sent: 0, failed: 0 }
    }

    /// Sends the calls of one second.
    pub(super) fn second(&mut self, shop: &Shop) {
        self.next = self.next.max(Instant::now() - Duration::from_millis(200));
        for _ in 0..RATE {
            rest_until(self.next);
            self.next += Duration::from_secs(1) / RATE;
            let path = format!("/v1/products/pair-{}", self.sent % PRODUCTS);
            self.sent += 1;
            let answer = shop.rest("GET", &path, "");
            self.failed += u32::from(!answer.is_ok_and(|answer| answer.status == 200));
        }
    }
}

fn rest_until(then: Instant) {
    // A receiver with a time limit is the timer of a program without a loop.
    let (_keep, nobody) = std::sync::mpsc::channel::<()>();
    let left = then.saturating_duration_since(Instant::now());
    if !left.is_zero() {
        let _ = nobody.recv_timeout(left);
    }
}

/// The same products in all three, whose data is their own.
fn fill(shop: &Shop) -> Result<bool, String> {
    let mut fine = true;
    for number in 0..PRODUCTS {
        let path = format!("/v1/products?productId=pair-{number}");
        let body = product(&format!("Kettle {number}"));
        for host in ["localhost", "rust.localhost", "go-2.localhost"] {
            let made = http::send(&shop.public, "POST", &path, &[("host", host)], &body)?;
            fine &= made.status == 200;
        }
    }
    Ok(fine)
}

/// Live pairs of Go and Rust: how many, what differs, what a call costs.
pub(super) fn step_pairs(shop: &Shop, load: &mut Load, checks: &mut Checks) -> Result<(), String> {
    checks.that("the same products are in all three services", fill(shop)?);
    for second in 1..=SECONDS {
        load.second(shop);
        if second % 2 == 0
            && let Some(pair) = pair(shop)
        {
            let mark = if second == 2 { "4 pairs" } else { "" };
            say(mark, &line(&pair, second));
        }
    }
    let found = until(Duration::from_secs(10), || {
        let pair = pair(shop)?;
        // The last copies may be on their way.
        (pair["pairs"].as_u64()? >= u64::from(RATE * SECONDS) * 9 / 10).then_some(pair)
    });
    let found = found.or_else(|| pair(shop)).unwrap_or_default();
    let pairs = found["pairs"].as_u64().unwrap_or(0);
    checks.that("every caller was answered", load.failed == 0);
    checks.that(&format!("nine of ten calls became pairs: {pairs}"), pairs >= 1_440);
    checks.that(
        &format!("no path is worse, nothing critical: {found}"),
        found["classes"]["worse"] == 0 && found["critical"] == 0,
    );
    let noise = noise(shop);
    checks.that(
        &format!("the times that differ are noise: {noise:?}"),
        ["create_time", "update_time"].iter().all(|time| noise.iter().any(|one| one == time)),
    );
    say("", &costs(&found));
    Ok(())
}

/// The verdict, where there is evidence; until then what is known, and how long the rest takes.
pub(super) fn step_verdict(shop: &Shop, checks: &mut Checks) -> Result<(), String> {
    let said = shop.tandem(&["verdict", METHOD, "--namespace", "shop", "--json"])?;
    let told: Value = serde_json::from_str(&said.out).unwrap_or_default();
    let word = told["word"].as_str().unwrap_or("no verdict");
    let evidence = told["evidence"].as_str().unwrap_or_default();
    checks.that(&format!("a verdict is told: {}{}", said.out, said.err), !evidence.is_empty());
    say("5 verdict", &format!("{evidence}: {word}"));
    let each = |key: &str| told[key].as_array().cloned().unwrap_or_default();
    for known in each("known") {
        say("", &format!("known: {}", known.as_str().unwrap_or_default()));
    }
    let open = each("open");
    for one in &open {
        let left = match one["seconds"].as_f64() {
            Some(seconds) => format!(", about {} more", about(seconds)),
            None => String::new(),
        };
        say("", &format!("open: {}{left}", one["what"].as_str().unwrap_or_default()));
    }
    let waits = word == "not-enough-evidence";
    checks.that("what is open says so", !waits || !open.is_empty());
    say("", &format!("tandem verdict {METHOD} -n shop    page: /m/{METHOD}"));
    Ok(())
}

/// The verdict once more, where another word has come; for whoever stays.
pub(super) fn told_anew(shop: &Shop, before: &mut String) -> Option<String> {
    let pair = pair(shop)?;
    let word = pair["word"].as_str()?.to_owned();
    let evidence = pair["evidence"].as_str()?.to_owned();
    let new = !before.is_empty() && *before != word;
    *before = word.clone();
    new.then(|| format!("{evidence}: {word}"))
}

/// What moves of the pair.
fn pair(shop: &Shop) -> Option<Value> {
    let all = shop.ask_admin("/api/v1/pairs").ok()?;
    all.as_array()?.iter().find(|pair| pair["method"] == METHOD).cloned()
}

fn line(pair: &Value, second: u32) -> String {
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let classes = &pair["classes"];
    format!(
        "00:{second:02}  {RATE}/s  {} serves, {} mirrored  {} pairs  {} differ  {} noise  {} open",
        pair["primary"].as_str().unwrap_or("?"),
        pair["candidate"].as_str().unwrap_or("?"),
        number(&pair["pairs"]),
        number(&classes["worse"]),
        number(&classes["noise"]),
        number(&classes["unknown"]),
    )
}

/// The paths in which the twin differs as well.
fn noise(shop: &Shop) -> Vec<String> {
    let path = format!("/api/v1/namespaces/shop/methods/{METHOD}/noise");
    let told = shop.ask_admin(&path).unwrap_or_default();
    let learned = told["learned"].as_array().cloned().unwrap_or_default();
    let ignored = told["ignored"].as_array().cloned().unwrap_or_default();
    let learned = learned.iter().filter_map(|one| one["path"].as_str().map(top));
    let ignored = ignored.iter().filter_map(|one| one.as_str().map(top));
    learned.chain(ignored).collect()
}

/// `create_time.seconds` and `**.create_time` are about the same field.
fn top(path: &str) -> String {
    let path = path.trim_start_matches("**.");
    path.split(['.', '[', '{']).next().unwrap_or(path).to_owned()
}

/// What a call takes of each side's time and CPU.
fn costs(pair: &Value) -> String {
    let lane = |lane: &Value| {
        let ms = |key: &str| lane[key]["value_s"].as_f64().map(|seconds| seconds * 1e3);
        let text = |value: Option<f64>| value.map_or("–".to_owned(), |ms| format!("{ms:.2}"));
        let cpu = lane["cpu_s"].as_f64().map(|seconds| format!(", {:.0} µs of CPU", seconds * 1e6));
        format!(
            "{} {} ms p50{}",
            lane["upstream"].as_str().unwrap_or("?"),
            text(ms("p50")),
            cpu.unwrap_or_default(),
        )
    };
    let lanes = pair["lanes"].as_array().cloned().unwrap_or_default();
    lanes.iter().map(lane).collect::<Vec<_>>().join("   ")
}

fn about(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 90.0 => format!("{seconds:.0} s"),
        seconds => format!("{:.0} min", seconds / 60.0),
    }
}
