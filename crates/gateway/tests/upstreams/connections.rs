//! How connections come, grow, age and go.

use std::time::Duration;

use tandem_gateway::upstream::Timing;
use tandem_testkit::client::{GrpcCall, note};
use tandem_testkit::{Backend, FaultProxy, Script, gateway};

use super::{call, echo, failures, statuses};

/// A call that has sent its message and waits for its answer.
async fn waiting(public: std::net::SocketAddr) -> GrpcCall {
    let mut call = GrpcCall::open(public, "Get", &[]).await;
    call.message(&note("x"));
    call.send.send_data(bytes::Bytes::new(), true).expect("the request ends");
    call
}

#[tokio::test(flavor = "multi_thread")]
async fn performance_pf_11_connections_grow_to_four_and_then_calls_wait() {
    let backend = Backend::start_with(vec![Script::Held], Some(2));
    let proxy = FaultProxy::start(backend.address);
    let gateway = gateway(proxy.address).one_thread().start().await;
    let mut calls = Vec::new();
    for begun in 1..=8 {
        calls.push(waiting(gateway.public).await);
        gateway.until(|_| backend.calls() == begun || begun > 8).await;
    }
    assert_eq!(proxy.counts().connections, 4, "two streams on each");
    let ninth = waiting(gateway.public).await;
    gateway.until(|gateway| gateway.figures("Get").in_flight == 9).await;
    // A place that is given back is the ninth's.
    drop(calls.pop());
    gateway.until(|_| backend.calls() == 9).await;
    assert_eq!(proxy.counts().connections, 4);
    backend.release();
    assert_eq!(ninth.read().await.status(), "0");
    for call in calls {
        assert_eq!(call.read().await.status(), "0");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_begins_with_the_connections_that_are_written() {
    let backend = echo();
    let proxy = FaultProxy::start(backend.address);
    let setup = gateway(proxy.address).upstream("connections: 3").one_thread();
    let gateway = setup.start().await;
    let calling = async {
        while proxy.counts().connections < 3 {
            assert_eq!(call(&gateway, "Get").await.status(), "0");
        }
    };
    tokio::time::timeout(Duration::from_secs(10), calling).await.expect("three connections");
    // Accepted by the proxy, the third is not one of the gateway's before its first frames came.
    gateway.until(|gateway| gateway.upstream().connections_open == 3).await;
    assert_eq!(failures(&statuses(&gateway, "Get", 20).await), 0);
    assert_eq!(proxy.counts().connections, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_g_7_streams_that_were_begun_finish_and_new_ones_go_elsewhere() {
    let backend = Backend::start(vec![Script::Held]);
    let proxy = FaultProxy::start(backend.address);
    let gateway = gateway(proxy.address).one_thread().start().await;
    let before = waiting(gateway.public).await;
    gateway.until(|_| backend.calls() == 1).await;
    backend.go_away();
    // The GOAWAY is there when a new call opens a connection of its own.
    let mut after = Vec::new();
    let opened = async {
        while proxy.counts().connections < 2 {
            after.push(waiting(gateway.public).await);
            let begun = 1 + after.len();
            gateway.until(|_| backend.calls() == begun).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), opened).await.expect("another connection");
    backend.release();
    assert_eq!(before.read().await.status(), "0");
    for call in after {
        assert_eq!(call.read().await.status(), "0");
    }
    proxy.until(|counts| counts.open == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn goaways_under_load_lose_no_call() {
    let backend = echo();
    let proxy = FaultProxy::start(backend.address);
    let gateway = gateway(proxy.address).start().await;
    let going_away = async {
        gateway.until(|_| backend.calls() > 0).await;
        for _ in 0..10 {
            let connections = proxy.counts().connections;
            backend.go_away();
            proxy.until(|counts| counts.connections > connections).await;
            // A server that goes before its connection stands has told nobody that it is there.
            let calls = backend.calls();
            gateway.until(|_| backend.calls() > calls).await;
        }
    };
    let calling = async {
        loop {
            let answer = call(&gateway, "Get").await;
            assert_eq!(answer.status(), "0", "{answer:?} {:?}", gateway.upstream());
        }
    };
    tokio::select! {
        () = going_away => {}
        () = calling => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_connection_is_replaced_without_losing_a_call() {
    let backend = echo();
    let proxy = FaultProxy::start(backend.address);
    let timing = Timing { age: Duration::from_millis(40), ..Timing::default() };
    let gateway = gateway(proxy.address).timing(timing).one_thread().start().await;
    let calling = async {
        // The old ones are closed, not kept: there is one that is used, and one that begins.
        while proxy.counts().connections < 5 || proxy.counts().open > 2 {
            assert_eq!(call(&gateway, "Get").await.status(), "0");
        }
    };
    let calling = tokio::time::timeout(Duration::from_secs(10), calling).await;
    calling.unwrap_or_else(|_elapsed| panic!("{:?}", proxy.counts()));
}

/// Found by the test above on a machine so busy that a connection was old before it was used.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_old_at_each_call_do_not_pile_up() {
    let backend = echo();
    let proxy = FaultProxy::start(backend.address);
    let timing = Timing { age: Duration::ZERO, ..Timing::default() };
    let gateway = gateway(proxy.address).timing(timing).one_thread().start().await;
    let calling = async {
        while proxy.counts().connections < 8 || proxy.counts().open > 2 {
            assert_eq!(call(&gateway, "Get").await.status(), "0");
        }
    };
    let calling = tokio::time::timeout(Duration::from_secs(10), calling).await;
    calling.unwrap_or_else(|_elapsed| panic!("{:?}", proxy.counts()));
}

#[tokio::test(flavor = "multi_thread")]
async fn security_u_1_a_peer_that_has_gone_without_a_word_is_found_by_pings() {
    let backend = echo();
    let proxy = FaultProxy::start(backend.address);
    let quick = Duration::from_millis(100);
    let timing = Timing { ping_every: quick, ping_answer: quick, ..Timing::default() };
    let setup = gateway(proxy.address).timing(timing).rules("deadline: { default: 60s }");
    let gateway = setup.one_thread().start().await;
    assert_eq!(call(&gateway, "Get").await.status(), "0");
    proxy.set(tandem_testkit::Faults { half_open: true, ..Default::default() });
    assert_eq!(call(&gateway, "Get").await.status(), "14", "long before its deadline");
    proxy.heal();
    assert!(super::until_well(&gateway, "Get").await <= 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_stream_is_not_asked_after_until_its_server_calls_it_an_attack() {
    // grpc-go ends a connection at the third ping without data in between.
    let backend = Backend::start(vec![Script::HangAfter(vec![note("a")])]);
    let proxy = FaultProxy::start(backend.address);
    let timing = Timing { ping_every: Duration::from_millis(20), ..Timing::default() };
    let gateway = gateway(proxy.address).timing(timing).one_thread().start().await;
    let mut call = GrpcCall::open(gateway.public, "Many", &[]).await;
    call.message(&note("x"));
    call.send.send_data(bytes::Bytes::new(), true).unwrap();
    gateway.until(|_| backend.calls() == 1).await;
    // Two pings of 17 bytes, their answers, and then silence: what passes stays the same.
    let mut seen = proxy.counts();
    let mut still = 0;
    while still < 20 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let now = proxy.counts();
        still = if now == seen { still + 1 } else { 0 };
        seen = now;
    }
    assert_eq!(gateway.figures("Many").in_flight, 1);
}
