//! What is old is given where the service fails, as far as the rules say, and never else.

use std::time::Duration;

use tandem_gateway::CacheUse;
use tandem_testkit::TestGateway;
use tandem_testkit::backend::{Backend, Script};
use tandem_testkit::client::{grpc, note};

use super::{counted, header, kept, read};

/// Something is kept that is no longer fresh.
async fn aged(backend: &Backend, rules: &str) -> TestGateway {
    backend.set(vec![Script::message(note("old"))]);
    let setup = kept(backend, &format!("ttl: 1ms{rules}")).upstream("eject: false");
    let gateway = setup.start().await;
    read(&gateway, "a", &[]).await;
    // The clock of the gateway is the one of this test.
    tokio::time::sleep(Duration::from_millis(3)).await;
    gateway
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_answer_is_given_for_the_codes_of_a_failing_service_and_no_others() {
    const CODES: [(&str, bool); 16] = [
        ("1", false),
        ("2", true),
        ("3", false),
        ("4", true),
        ("5", false),
        ("6", false),
        ("7", false),
        ("8", false),
        ("9", false),
        ("10", false),
        ("11", false),
        ("12", false),
        ("13", true),
        ("14", true),
        ("15", true),
        ("16", false),
    ];
    let backend = Backend::start(vec![Script::Echo]);
    for (rules, may) in [(", stale_if_error: 1h", true), ("", false)] {
        for (code, error) in CODES {
            let gateway = aged(&backend, rules).await;
            backend.set(vec![Script::trailers(Box::leak(Box::new([("grpc-status", code)])))]);
            let answer = read(&gateway, "a", &[]).await;
            let by_grpc = grpc(gateway.public, "Read", &[], &[&note("a")]).await;
            if may && error {
                assert_eq!((answer.status, &*answer.body), (200, "{\"text\":\"old\"}"), "{code}");
                assert_eq!(header(&answer, "age"), "0");
                assert_eq!(
                    (by_grpc.status(), &*by_grpc.messages),
                    ("0", &[note("old").into()][..])
                );
                gateway.until(|gateway| counted(gateway, CacheUse::Stale) == 2).await;
            } else {
                assert_ne!(answer.status, 200, "{code}");
                assert_eq!(by_grpc.status(), code);
                gateway.until(|gateway| counted(gateway, CacheUse::Miss) == 3).await;
            }
            // The service is well again: what it says now counts.
            backend.set(vec![Script::message(note("new"))]);
            assert_eq!(read(&gateway, "a", &[]).await.body, "{\"text\":\"new\"}", "{code}");
            gateway.gateway.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_answer_is_given_where_the_service_is_gone_or_hangs() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = aged(&backend, ", stale_if_error: 1h").await;
    backend.set(vec![Script::Reset(2)]);
    assert_eq!(read(&gateway, "a", &[]).await.body, "{\"text\":\"old\"}");
    gateway.gateway.stop().await;

    let rules = ", stale_if_error: 1h }, deadline: { default: 100ms";
    let gateway = aged(&backend, rules).await;
    backend.set(vec![Script::Hang]);
    assert_eq!(read(&gateway, "a", &[]).await.body, "{\"text\":\"old\"}");
    let answer = grpc(gateway.public, "Read", &[("grpc-timeout", "50m")], &[&note("a")]).await;
    assert_eq!(answer.status(), "0");
    // The call that hangs is given up at the method's own deadline.
    backend.cancelled(1).await;
    gateway.gateway.stop().await;

    let gateway = aged(&backend, " }, deadline: { default: 100ms").await;
    backend.set(vec![Script::Hang]);
    assert_eq!(read(&gateway, "a", &[]).await.status, 504, "nothing old may be given");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_answer_is_not_given_beyond_its_time() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = aged(&backend, ", stale_if_error: 1ms").await;
    backend.set(vec![Script::trailers(&[("grpc-status", "14")])]);
    assert_eq!(read(&gateway, "a", &[]).await.status, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_caller_of_a_failing_service_asks_it_once() {
    let backend = Backend::start(vec![Script::trailers(&[("grpc-status", "14")])]);
    let gateway = kept(&backend, "ttl: 1h").upstream("eject: false").start().await;
    for calls in 1..4 {
        assert_eq!(read(&gateway, "a", &[]).await.status, 503);
        assert_eq!(backend.calls(), calls);
    }
}
