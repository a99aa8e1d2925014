//! How often and how many at once (experience UX-36, security LI-24, T-6).

use std::time::Instant;

use tandem_gateway::{ApiKey, ApiKeys};
use tandem_testkit::backend::{Backend, Script};
use tandem_testkit::client::{GrpcCall, note};
use tandem_testkit::{TestGateway, gateway};

use super::{CALLERS, Caller, call, echo};

/// Keys of so many callers, `tnk_0_s` and on.
fn keys(count: usize) -> ApiKeys {
    let key = |number: usize| ApiKey {
        digest: ApiKeys::digest(&format!("tnk_{number}_s")),
        name: format!("caller-{number}"),
        namespace: "notes".into(),
        scopes: Vec::new(),
        expires: None,
    };
    (0..count).map(|number| (number.to_string(), key(number))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn experience_ux_36_a_rate_is_told_on_success_and_when_it_is_used_up() {
    for caller in CALLERS {
        let backend = echo();
        let gateway = gateway(backend.address)
            .rules("limits: { per: source, rate: 1/s, burst: 3 }")
            .start()
            .await;
        let mut refused = 0;
        let mut left = Vec::new();
        for _ in 0..6 {
            let answer = call(caller, gateway.public, &[]).await;
            assert_eq!(answer.header("ratelimit-policy"), "\"source\";q=3;w=3", "{caller:?}");
            let told = answer.header("ratelimit").to_owned();
            match answer.code {
                0 => {
                    assert_eq!(answer.header("retry-after"), "");
                    left.push(told);
                }
                8 => {
                    refused += 1;
                    assert_eq!(answer.message, "too many calls");
                    assert_eq!(answer.header("retry-after"), "1", "{caller:?}");
                    assert!(told.starts_with("\"source\";r=0;t="), "{told}");
                }
                other => panic!("{caller:?}: {other}"),
            }
        }
        assert!(left[0].starts_with("\"source\";r=2;t="), "{left:?}");
        assert!(refused >= 1, "{caller:?}: {left:?}");
        assert_eq!(backend.calls(), left.len(), "what is refused reaches nobody");
        let text = gateway.view.metrics().text();
        assert!(text.contains(&format!("tandem_limits_met_total{{limit=\"rate\"}} {refused}\n")));
        assert!(text.contains(&format!("tandem_refusals_total{{reason=\"quota\"}} {refused}\n")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_limit_nothing_is_said_of_one() {
    let backend = echo();
    let gateway = gateway(backend.address).start().await;
    for caller in CALLERS {
        let answer = call(caller, gateway.public, &[]).await;
        assert_eq!((answer.header("ratelimit"), answer.header("ratelimit-policy")), ("", ""));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn security_li_37_a_burst_is_exact_over_data_threads() {
    let backend = echo();
    let gateway = gateway(backend.address)
        .threads(4)
        .callers("api_keys: {}")
        .api_keys(keys(1))
        .auth("{ api_key: true }")
        .rules("limits: { per: principal, rate: 1/s, burst: 200 }")
        .start()
        .await;
    let (began, address) = (Instant::now(), gateway.public);
    // Each on a connection of its own, so that all four threads have some.
    let caller = || async move {
        let mut let_in = 0;
        for _ in 0..100 {
            let answer = call(Caller::Http1, address, &[("x-api-key", "tnk_0_s")]).await;
            let_in += usize::from(answer.code == 0);
        }
        let_in
    };
    let (a, b, c, d, e, f) =
        tokio::join!(caller(), caller(), caller(), caller(), caller(), caller());
    let let_in = a + b + c + d + e + f;
    let back = began.elapsed().as_secs() as usize + 1;
    assert!((200..=200 + back).contains(&let_in), "{let_in} of 600, {back} may have come back");
    assert_eq!(backend.calls(), let_in);
}

#[tokio::test(flavor = "multi_thread")]
async fn security_t_6_the_flood_of_one_principal_does_not_refuse_another() {
    let backend = echo();
    let gateway = gateway(backend.address)
        .callers("api_keys: {}")
        .api_keys(keys(2))
        .auth("{ api_key: true }")
        .rules("limits: [{ per: namespace, rate: 100/s, burst: 60 }, { per: principal, rate: 1/s, burst: 30 }]")
        .start()
        .await;
    let mut flooded = 0;
    for _ in 0..300 {
        let answer = call(Caller::Http2, gateway.public, &[("x-api-key", "tnk_0_s")]).await;
        flooded += usize::from(answer.code == 8);
    }
    assert!(flooded >= 200, "{flooded}");
    // Calls without a credential use up nothing either.
    for _ in 0..100 {
        assert_eq!(call(Caller::Http1, gateway.public, &[]).await.code, 16);
    }
    for caller in CALLERS {
        for _ in 0..10 {
            let answer = call(caller, gateway.public, &[("x-api-key", "tnk_1_s")]).await;
            assert_eq!(answer.code, 0, "{caller:?}: {answer:?}");
        }
    }
}

/// So many streams that are open at the backend.
async fn open(gateway: &TestGateway, count: u64) -> Vec<GrpcCall> {
    let before = gateway.upstream().attempts;
    let mut calls = Vec::new();
    for _ in 0..count {
        let mut call = GrpcCall::open(gateway.public, "Talk", &[]).await;
        call.message(&note("a"));
        calls.push(call);
    }
    gateway.until(|gateway| gateway.upstream().attempts == before + count).await;
    calls
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_at_once_are_given_back_when_they_end_and_when_their_callers_leave() {
    for (rules, quota) in
        [("limits: { per: source, at_once: 3 }", ""), ("primary: it", "calls_at_once: 3")]
    {
        let backend = Backend::start(vec![Script::EchoEach]);
        let mut setup = gateway(backend.address).rules(rules);
        if !quota.is_empty() {
            setup = setup.quota(quota);
        }
        let gateway = setup.start().await;
        for round in 0..3 {
            let calls = open(&gateway, 3).await;
            for caller in CALLERS {
                let answer = call(caller, gateway.public, &[]).await;
                assert_eq!(
                    (answer.code, answer.header("retry-after")),
                    (8, "1"),
                    "{caller:?} {rules}"
                );
            }
            if round == 0 {
                // They end by themselves.
                for call in calls {
                    let answer =
                        tokio::time::timeout(std::time::Duration::from_secs(20), call.finish());
                    assert_eq!(answer.await.expect("in time").status(), "0");
                }
            } else {
                // Their callers are gone.
                drop(calls);
                gateway.until(|gateway| gateway.figures("Talk").in_flight == 0).await;
            }
            for caller in CALLERS {
                assert_eq!(call(caller, gateway.public, &[]).await.code, 0, "{caller:?} {rules}");
            }
        }
        let text = gateway.view.metrics().text();
        let name = if quota.is_empty() { "at_once" } else { "calls_at_once" };
        assert!(
            text.contains(&format!("tandem_limits_met_total{{limit=\"{name}\"}} 9\n")),
            "{text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_with_limits_of_its_own_takes_nothing_from_the_others() {
    let backend = echo();
    let gateway = gateway(backend.address)
        .rules("limits: { per: source, rate: 1/s, burst: 5 }")
        .method("Read", "limits: { per: source, rate: 1/s, burst: 2 }")
        .start()
        .await;
    let get = |path: &'static str| async move {
        tandem_testkit::client::rest(gateway.public, "GET", path, "").await.status
    };
    let mut read = Vec::new();
    for _ in 0..3 {
        read.push(get("/v1/read/a").await);
    }
    assert_eq!(read[..2], [200, 200]);
    let mut others = Vec::new();
    for _ in 0..5 {
        others.push(get("/v1/notes/a").await);
    }
    assert_eq!(others, [200; 5]);
}
