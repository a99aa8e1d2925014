//! Many who ask the same at once.

use tandem_gateway::CacheUse;
use tandem_gateway::tasks::Side;
use tandem_testkit::TestGateway;
use tandem_testkit::backend::{Backend, Script};
use tandem_testkit::client::{RestCall, grpc, note, rest};
use tokio::sync::mpsc;

use super::{counted, kept, read, under_way};

/// So many callers at once, half by REST; each says whether he got this text.
fn callers(gateway: &TestGateway, count: usize, text: &'static str) -> mpsc::Receiver<bool> {
    let side = Side::new(tokio::runtime::Handle::current());
    let (said, heard) = mpsc::channel(count);
    let public = gateway.public;
    for number in 0..count {
        let said = said.clone();
        side.start(async move {
            let good = if number % 2 == 0 {
                let answer = rest(public, "GET", "/v1/read/a", "").await;
                answer.body == format!("{{\"text\":\"{text}\"}}")
            } else {
                let answer = grpc(public, "Read", &[], &[&note("a")]).await;
                *answer.messages == [note(text)]
            };
            said.send(good).await.expect("the test listens");
        });
    }
    heard
}

async fn all(mut heard: mpsc::Receiver<bool>) -> (usize, usize) {
    let (mut good, mut bad) = (0, 0);
    while let Some(one) = heard.recv().await {
        if one { good += 1 } else { bad += 1 }
    }
    (good, bad)
}

#[tokio::test(flavor = "multi_thread")]
async fn security_c_4_a_thousand_who_ask_the_same_are_one_call_to_the_service() {
    let backend = Backend::start(vec![Script::Held]);
    let setup = kept(&backend, "ttl: 1h").limits("connections_per_source: 2000");
    let gateway = setup.start().await;
    let heard = callers(&gateway, 1_000, "a");
    gateway.until(|gateway| under_way(gateway) == 1_000).await;
    backend.release();
    assert_eq!(all(heard).await, (1_000, 0));
    assert_eq!(backend.calls(), 1);
    gateway.until(|gateway| under_way(gateway) == 0).await;
    assert_eq!(counted(&gateway, CacheUse::Miss), 1);
    assert_eq!(counted(&gateway, CacheUse::Shared) + counted(&gateway, CacheUse::Hit), 999);
}

#[tokio::test(flavor = "multi_thread")]
async fn security_c_4_a_caller_who_leaves_ends_nothing_for_those_who_wait() {
    let backend = Backend::start(vec![Script::Held]);
    let gateway = kept(&backend, "ttl: 1h").start().await;
    let line = ("GET", "/v1/read/a");
    let first = RestCall::open(gateway.public, true, line, &[], false).await;
    gateway.until(|_| backend.calls() == 1).await;
    let heard = callers(&gateway, 20, "a");
    gateway.until(|gateway| under_way(gateway) == 21).await;
    drop(first);
    gateway.until(|gateway| under_way(gateway) == 20).await;
    backend.release();
    assert_eq!(all(heard).await, (20, 0));
    assert_eq!(backend.calls(), 1);

    // Also where nobody is left: the answer is kept for the next one.
    let backend = Backend::start(vec![Script::Held]);
    let gateway = kept(&backend, "ttl: 1h").start().await;
    let alone = RestCall::open(gateway.public, true, line, &[], false).await;
    gateway.until(|_| backend.calls() == 1).await;
    drop(alone);
    backend.release();
    gateway.until(|gateway| gateway.view.cache()[0].entries == 1).await;
    assert_eq!(read(&gateway, "a", &[]).await.status, 200);
    assert_eq!(backend.calls(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn security_c_4_a_call_that_fails_is_made_once_more_for_those_who_wait() {
    // The first call hangs until the method's own deadline; who waits has more time.
    let backend = Backend::start(vec![Script::Hang, Script::Echo]);
    let setup = kept(&backend, "ttl: 1h }, deadline: { default: 2s, max: 60s");
    let gateway = setup.start().await;
    let side = Side::new(tokio::runtime::Handle::current());
    let (said, heard) = mpsc::channel(100);
    for _ in 0..100 {
        let (said, public) = (said.clone(), gateway.public);
        side.start(async move {
            let time = [("grpc-timeout", "30S")];
            let answer = grpc(public, "Read", &time, &[&note("a")]).await;
            said.send(answer.status() == "0").await.expect("the test listens");
        });
    }
    drop(said);
    gateway.until(|gateway| under_way(gateway) == 100).await;
    assert_eq!(all(heard).await, (100, 0));
    assert_eq!(backend.calls(), 2);
    // The second one fails too: then everybody has the failure, and nobody asks once more.
    backend.set(vec![Script::Hang]);
    let (said, heard) = mpsc::channel(20);
    for _ in 0..20 {
        let (said, public) = (said.clone(), gateway.public);
        side.start(async move {
            let time = [("grpc-timeout", "30S")];
            let answer = grpc(public, "Read", &time, &[&note("b")]).await;
            said.send(answer.status() == "4").await.expect("the test listens");
        });
    }
    drop(said);
    assert_eq!(all(heard).await, (20, 0));
    assert_eq!(backend.calls(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_waits_as_long_as_he_himself_may() {
    let backend = Backend::start(vec![Script::Held]);
    let gateway = kept(&backend, "ttl: 1h").start().await;
    let heard = callers(&gateway, 2, "a");
    gateway.until(|_| backend.calls() == 1).await;
    let hurried = grpc(gateway.public, "Read", &[("grpc-timeout", "20m")], &[&note("a")]).await;
    assert_eq!(hurried.status(), "4");
    backend.release();
    assert_eq!(all(heard).await, (2, 0));

    // One in a hurry who asks first does not make the others hurry.
    let backend = Backend::start(vec![Script::Held]);
    let gateway = kept(&backend, "ttl: 1h").start().await;
    let hurried = grpc(gateway.public, "Read", &[("grpc-timeout", "20m")], &[&note("a")]).await;
    assert_eq!(hurried.status(), "4");
    let heard = callers(&gateway, 2, "a");
    gateway.until(|gateway| under_way(gateway) == 2).await;
    backend.release();
    assert_eq!(all(heard).await, (2, 0));
    assert_eq!(backend.calls(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_ones_own_is_told_to_nobody_else() {
    let own = super::saying(&[("cache-control", "no-store")], &[], note("a"));
    let backend = Backend::start(vec![own]);
    let gateway = kept(&backend, "ttl: 1h").start().await;
    let heard = callers(&gateway, 50, "a");
    assert_eq!(all(heard).await, (50, 0));
    assert_eq!(backend.calls(), 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_stops_lets_those_who_wait_have_their_answer() {
    let backend = Backend::start(vec![Script::Held]);
    let gateway = kept(&backend, "ttl: 1h").start().await;
    let heard = callers(&gateway, 10, "a");
    gateway.until(|gateway| under_way(gateway) == 10 && backend.calls() == 1).await;
    let stop = gateway.gateway.stop();
    let (_, answers) = tokio::join!(stop, async {
        tokio::task::yield_now().await;
        backend.release();
        all(heard).await
    });
    assert_eq!(answers, (10, 0));
}
