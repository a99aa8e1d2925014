//! Upstreams that are killed, cut, reset and garbled at each stage: a call ends in time, with a
//! code of a failure or a whole answer, and all is well again afterwards.

use std::time::Duration;

use tandem_testkit::{Backend, FaultProxy, Faults, Script, TestGateway, gateway};
use tokio::time::{Instant, timeout};

use super::{call, echo, until_well};

/// The bytes that a backend sends for a connection's first call lie below this.
const STAGES: u64 = 160;
/// Within the settings that a server sends first, and their acknowledgement.
const BEFORE_AN_ANSWER: u64 = 12;
/// Behind the answer's head and message, before the end of its trailers.
const IN_AN_ANSWER: u64 = 60;

async fn gateway_of(proxy: &FaultProxy) -> TestGateway {
    gateway(proxy.address).one_thread().start().await
}

/// A call on a new connection while `faults` hold; its status.
async fn through(gateway: &TestGateway, proxy: &FaultProxy, faults: Faults) -> String {
    proxy.reset_all();
    proxy.until(|counts| counts.open == 0).await;
    proxy.set(faults);
    let answer = timeout(Duration::from_secs(10), call(gateway, "Get")).await;
    let answer = answer.expect("nothing hangs");
    let status = answer.status().to_owned();
    assert!(status != "0" || answer.messages.len() == 1, "OK is a whole answer");
    status
}

#[tokio::test(flavor = "multi_thread")]
async fn security_u_1_reset_at_each_stage() {
    let backend = echo();
    let proxy = FaultProxy::start(backend.address);
    let gateway = gateway_of(&proxy).await;
    let mut told = std::collections::BTreeMap::new();
    for bytes in (0..STAGES).step_by(8) {
        let faults = Faults { cut_after: Some(bytes), ..Faults::default() };
        let status = through(&gateway, &proxy, faults).await;
        assert!(["0", "14"].contains(&&*status), "cut after {bytes} bytes: {status}");
        *told.entry(status).or_insert(0) += 1;
        proxy.heal();
        until_well(&gateway, "Get").await;
    }
    eprintln!("{told:?}");
    assert!(told.len() == 2, "some stages lie before the answer's end and some behind: {told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn security_u_1_garbage_at_each_stage() {
    let backend = echo();
    let proxy = FaultProxy::start(backend.address);
    let gateway = gateway_of(&proxy).await;
    for bytes in (0..STAGES).step_by(16) {
        let faults = Faults { garbage_after: Some(bytes), ..Faults::default() };
        let status = through(&gateway, &proxy, faults).await;
        assert!(["0", "2", "4", "13", "14"].contains(&&*status), "after {bytes} bytes: {status}");
        proxy.heal();
        until_well(&gateway, "Get").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn security_u_4_an_upstream_that_was_killed_answers_soon_after_it_is_back() {
    let backend = echo();
    let proxy = FaultProxy::start(backend.address);
    let gateway = gateway_of(&proxy).await;
    assert_eq!(call(&gateway, "Get").await.status(), "0");
    for round in 0..3 {
        proxy.set(Faults { refuse: true, ..Faults::default() });
        proxy.reset_all();
        for _ in 0..30 {
            assert_eq!(call(&gateway, "Get").await.status(), "14");
        }
        proxy.heal();
        let back = Instant::now();
        let failed = until_well(&gateway, "Get").await;
        eprintln!("round {round}: well {:?} after the repair, {failed} failed", back.elapsed());
    }
    // Nobody hammered on the closed door.
    let connections = proxy.counts().connections;
    assert!(connections < 40, "{connections} connections for 90 calls while it was away");
}

#[tokio::test(flavor = "multi_thread")]
async fn security_u_1_one_of_two_killed_under_load_costs_only_what_was_under_way() {
    let (one, two) = (echo(), echo());
    let (first, second) = (FaultProxy::start(one.address), FaultProxy::start(two.address));
    let setup = gateway(first.address).addresses([first.address, second.address]);
    let gateway = setup.one_thread().start().await;
    for _ in 0..20 {
        assert_eq!(call(&gateway, "Get").await.status(), "0");
    }
    first.set(Faults { refuse: true, ..Faults::default() });
    first.reset_all();
    first.until(|counts| counts.open == 0).await;
    let mut failed = 0;
    for _ in 0..200 {
        failed += usize::from(call(&gateway, "Get").await.status() != "0");
    }
    // The connection may be chosen once before its end is known.
    assert!(failed <= 1, "{failed} of 200");
    let before = one.calls();
    first.heal();
    let comes_back = async {
        while one.calls() == before {
            assert_eq!(call(&gateway, "Get").await.status(), "0");
        }
    };
    timeout(Duration::from_secs(20), comes_back).await.expect("the first gets calls again");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_may_be_repeated_lose_nothing_to_an_endpoint_that_is_cut() {
    let (one, two) = (echo(), echo());
    let cut = FaultProxy::start(one.address);
    cut.set(Faults { cut_after: Some(BEFORE_AN_ANSWER), ..Faults::default() });
    let rules = "retries: { codes: [UNAVAILABLE], attempts: 2 }";
    let setup = gateway(cut.address).addresses([cut.address, two.address]).rules(rules);
    let gateway = setup.one_thread().start().await;
    let statuses = super::statuses(&gateway, "Read", 200).await;
    assert_eq!(super::failures(&statuses), 0, "{statuses:?}");
    let figures = gateway.upstream();
    assert!(cut.counts().connections >= 1, "it was tried");
    assert!(figures.attempts <= 240 + 10, "{figures:?}");
    assert_eq!(figures.attempts - 200, figures.retries.iter().sum::<u64>(), "{figures:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn security_u_4_an_endpoint_that_breaks_its_answers_off_is_left_out() {
    let (one, two) = (echo(), echo());
    let cut = FaultProxy::start(one.address);
    cut.set(Faults { cut_after: Some(IN_AN_ANSWER), ..Faults::default() });
    let setup = gateway(cut.address).addresses([cut.address, two.address]);
    let gateway = setup.one_thread().start().await;
    let mut failed = 0;
    let left_out = async {
        while gateway.upstream().ejections == 0 {
            failed += usize::from(call(&gateway, "Get").await.status() != "0");
        }
    };
    timeout(Duration::from_secs(20), left_out).await.expect("it is left out");
    assert_eq!(failed, 5, "in a row");
}

#[tokio::test(flavor = "multi_thread")]
async fn security_u_1_a_paused_upstream_ends_its_calls_by_their_deadline() {
    let backend = Backend::start(vec![Script::Echo]);
    let proxy = FaultProxy::start(backend.address);
    let setup = gateway(proxy.address).rules("deadline: { default: 300ms }");
    let gateway = setup.one_thread().start().await;
    assert_eq!(call(&gateway, "Get").await.status(), "0");
    proxy.set(Faults { half_open: true, ..Faults::default() });
    for _ in 0..3 {
        assert_eq!(call(&gateway, "Get").await.status(), "4");
    }
    proxy.heal();
    until_well(&gateway, "Get").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_networks_and_slow_closes_change_nothing_but_the_time() {
    let backend = echo();
    let proxy = FaultProxy::start(backend.address);
    let gateway = gateway_of(&proxy).await;
    proxy.set(Faults {
        latency: Duration::from_millis(5),
        bytes_per_second: Some(20_000),
        slow_close: Duration::from_millis(50),
        ..Faults::default()
    });
    for _ in 0..5 {
        assert_eq!(call(&gateway, "Get").await.status(), "0");
    }
}
