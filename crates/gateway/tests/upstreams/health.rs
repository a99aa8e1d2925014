//! Endpoints that say they are not well, and say so no more.

use std::time::Duration;

use tandem_gateway::observe::EndpointState;
use tandem_gateway::upstream::Timing;
use tandem_testkit::{Health, TestGateway, gateway};

use super::{call, echo, failures, statuses};

/// Until this many endpoints are unhealthy in the eyes of the thread that carries the calls.
async fn until_unhealthy(gateway: &TestGateway, count: i64) {
    let calling = async {
        while gateway.upstream().endpoints_in(EndpointState::Unhealthy) != count {
            assert_eq!(call(gateway, "Get").await.status(), "0");
        }
    };
    let state = tokio::time::timeout(Duration::from_secs(10), calling).await;
    assert!(state.is_ok(), "{:?}", gateway.upstream());
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_go_out_by_what_they_say_and_come_back() {
    let (one, two) = (echo(), echo());
    let quick = Duration::from_millis(20);
    let timing = Timing {
        check_every: quick,
        check_in_doubt: quick,
        check_answer: Duration::from_millis(200),
        ..Timing::default()
    };
    let setup = gateway(one.address).addresses([one.address, two.address]);
    let gateway = setup.upstream("health: grpc").timing(timing).one_thread().start().await;
    // Neither has the service, so neither has anything to say against itself.
    assert_eq!(failures(&statuses(&gateway, "Get", 20).await), 0);
    assert_eq!(gateway.upstream().endpoints_in(EndpointState::Unhealthy), 0);
    two.set_health(Health::Serving);
    for ill in [Health::NotServing, Health::Silent] {
        one.set_health(ill);
        until_unhealthy(&gateway, 1).await;
        let before = one.calls();
        assert_eq!(failures(&statuses(&gateway, "Get", 20).await), 0);
        assert_eq!(one.calls(), before, "{ill:?}");
        one.set_health(Health::Serving);
        until_unhealthy(&gateway, 0).await;
        let comes_back = async {
            while one.calls() == before {
                call(&gateway, "Get").await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), comes_back).await.expect("it gets calls");
    }
    // Where all are unwell, one that may fail is better than none.
    one.set_health(Health::NotServing);
    two.set_health(Health::NotServing);
    until_unhealthy(&gateway, 2).await;
    assert_eq!(failures(&statuses(&gateway, "Get", 10).await), 0);
}
