//! Upstreams that live and die: where calls go, how often, and what becomes of them.
//!
//! One module a noun of the upstream side. Everything passes through sockets; the judges alone
//! are tested beside themselves (`src/upstream`).

mod balance;
mod connections;
mod faults;
mod health;
mod names;
mod reach;
mod retries;
mod storm;
mod tls;

use tandem_testkit::client::{GrpcAnswer, grpc, note};
use tandem_testkit::{Backend, Script, TestGateway};

/// A backend that answers each call with its request.
fn echo() -> Backend {
    Backend::start(vec![Script::Echo])
}

/// A backend that fails each call with this code, before any message.
fn failing(code: &'static str) -> Backend {
    Backend::start(vec![Script::trailers(&[("grpc-status", code)])])
}

/// One call with one message.
async fn call(gateway: &TestGateway, method: &str) -> GrpcAnswer {
    grpc(gateway.public, method, &[], &[&note("x")]).await
}

/// The statuses of `count` calls, one after another.
async fn statuses(gateway: &TestGateway, method: &str, count: usize) -> Vec<String> {
    let mut statuses = Vec::with_capacity(count);
    for _ in 0..count {
        statuses.push(call(gateway, method).await.status().to_owned());
    }
    statuses
}

/// How many of the statuses are another than OK.
fn failures(statuses: &[String]) -> usize {
    statuses.iter().filter(|status| *status != "0").count()
}

/// Calls until one is answered well; fails the test after 20 s. Says how many failed before.
async fn until_well(gateway: &TestGateway, method: &str) -> usize {
    let mut failed = 0;
    let calling = async {
        while call(gateway, method).await.status() != "0" {
            failed += 1;
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let well = tokio::time::timeout(std::time::Duration::from_secs(20), calling).await;
    assert!(well.is_ok(), "no good answer in time, {failed} failed");
    failed
}
