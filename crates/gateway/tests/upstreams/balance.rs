//! Which endpoint a call gets: the quicker one, and not one that fails.

use std::time::Duration;

use tandem_gateway::observe::EndpointState;
use tandem_testkit::{Backend, FaultProxy, Faults, Script, TestGateway, gateway};
use tokio::task::JoinSet;

use super::{call, echo, failing, failures, statuses};

fn addresses(backends: &[&Backend]) -> Vec<std::net::SocketAddr> {
    backends.iter().map(|backend| backend.address).collect()
}

/// `count` calls, `at_once` of them at a time.
async fn load(gateway: &TestGateway, count: usize, at_once: usize) {
    let public = gateway.public;
    let mut calls = JoinSet::new();
    for _ in 0..count {
        if calls.len() == at_once {
            calls.join_next().await;
        }
        calls.spawn(async move {
            let message = tandem_testkit::client::note("x");
            tandem_testkit::client::grpc(public, "Read", &[], &[&message]).await;
        });
    }
    while calls.join_next().await.is_some() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn all_endpoints_get_calls_and_a_slow_endpoint_gets_fewer() {
    let (one, two, slow) = (echo(), echo(), echo());
    let proxy = FaultProxy::start(slow.address);
    let addresses = [one.address, two.address, proxy.address];
    let gateway = gateway(one.address).addresses(addresses).one_thread().start().await;
    load(&gateway, 240, 12).await;
    let shares = [one.calls(), two.calls(), slow.calls()];
    // How evenly is for `balance` to show: here a busy machine makes one of them slow at times.
    assert!(shares.iter().all(|calls| *calls >= 1), "{shares:?}");
    proxy.set(Faults { latency: Duration::from_millis(50), ..Faults::default() });
    // Its answers are slow from here on; a few calls show it.
    load(&gateway, 60, 12).await;
    let before = slow.calls();
    load(&gateway, 240, 12).await;
    let share = slow.calls() - before;
    assert!(share < 40, "{share} of 240 calls went to the slow endpoint");
}

#[tokio::test(flavor = "multi_thread")]
async fn security_u_4_an_endpoint_that_fails_is_left_out_and_comes_back() {
    let (one, two, bad) = (echo(), echo(), failing("14"));
    let setup = gateway(one.address).addresses(addresses(&[&one, &two, &bad]));
    let gateway = setup.one_thread().start().await;
    // When its turn comes depends on how quick it was; then it does not take long.
    let mut statuses = Vec::new();
    let left_out = async {
        while gateway.upstream().ejections == 0 {
            statuses.extend(super::statuses(&gateway, "Read", 1).await);
        }
        statuses.extend(super::statuses(&gateway, "Read", 200).await);
    };
    tokio::time::timeout(Duration::from_secs(30), left_out).await.expect("it is left out");
    let (failed, out) = (failures(&statuses), gateway.upstream().ejections);
    // Five in a row, and one more at each return.
    let most = 5 + usize::try_from(out).unwrap();
    assert!(failed <= most, "{failed} failed, left out {out} times");
    assert_eq!(bad.calls(), failed, "every other call went elsewhere");
    // Repaired, it gets calls again, and these do not fail.
    bad.set(vec![Script::Echo]);
    let repaired = bad.calls();
    let comes_back = async {
        while bad.calls() < repaired + 20 {
            assert_eq!(call(&gateway, "Read").await.status(), "0");
        }
    };
    tokio::time::timeout(Duration::from_secs(30), comes_back).await.expect("it comes back");
}

#[tokio::test(flavor = "multi_thread")]
async fn security_u_4_at_most_half_are_out_and_none_where_ejection_is_off() {
    for (written, out_most) in [("eject: true", 1), ("eject: false", 0)] {
        let (one, two, three) = (failing("14"), failing("14"), failing("14"));
        let setup = gateway(one.address).addresses(addresses(&[&one, &two, &three]));
        let gateway = setup.upstream(written).one_thread().start().await;
        statuses(&gateway, "Read", 60).await;
        let figures = gateway.upstream();
        let out = figures.endpoints_in(EndpointState::Ejected);
        assert_eq!(out, out_most, "{written}: {figures:?}");
        assert_eq!(figures.attempts, 60);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_caller_can_bring_about_does_not_take_an_endpoint_out() {
    for code in ["2", "3", "5", "8", "13"] {
        let (one, two) = (failing(code), failing(code));
        let setup = gateway(one.address).addresses(addresses(&[&one, &two]));
        let gateway = setup.one_thread().start().await;
        assert_eq!(failures(&statuses(&gateway, "Read", 20).await), 20);
        assert_eq!(gateway.upstream().ejections, 0, "code {code}");
    }
}
