//! Every reason for which a copy is never sent, each counted under its name (compare M-12).

use tandem_gateway::net::Names;
use tandem_testkit::client::{grpc, note, rest};
use tandem_testkit::{Backend, Script};

use super::{EACH, batch_of, dropped, message, mirrored, mirrored_to, pairs, quiet};

#[tokio::test]
async fn compare_m_12_a_full_queue_drops_the_newest() {
    let (go, rust) = (Backend::start(vec![message("x")]), Backend::start(vec![Script::Held]));
    let gateway = mirrored(&go, &rust, EACH).quota("mirror: 0.2%").start().await;
    batch_of(gateway.public, "Ask", 5).await;
    gateway.until(|gateway| dropped(gateway, "Ask", "queue_full") == 3).await;
    rust.release();
    quiet(&gateway).await;
    assert_eq!(pairs(&gateway, "Ask").calls, 2);
}

#[tokio::test]
async fn compare_m_12_bytes_are_bounded_as_copies_are() {
    let (go, rust) = (Backend::start(vec![message("x")]), Backend::start(vec![Script::Held]));
    // A hundredth of 16 MiB: one such request fits, two do not.
    let gateway = mirrored(&go, &rust, EACH).quota("mirror: 1%").start().await;
    let large = note(&"x".repeat(100 << 10));
    for _ in 0..3 {
        assert_eq!(grpc(gateway.public, "Ask", &[], &[&large]).await.status(), "0");
    }
    gateway.until(|gateway| dropped(gateway, "Ask", "bytes_full") == 2).await;
    rust.release();
    quiet(&gateway).await;
    assert_eq!(pairs(&gateway, "Ask").calls, 1);
}

/// Both sides of the bound, of the request and of the primary's answer.
#[tokio::test]
async fn compare_m_12_bodies_over_256_kib_are_not_copied() {
    const BOUND: usize = 256 << 10;
    // What an envelope and a field of this size take up beside the text.
    const AROUND: usize = 5 + 4;
    for (asked, answered, expected) in [
        (BOUND - AROUND, 1, 0),
        (BOUND - AROUND + 1, 1, 1),
        (1, BOUND - AROUND, 0),
        (1, BOUND - AROUND + 1, 1),
    ] {
        let go = Backend::start(vec![Script::Flood(1, note(&"y".repeat(answered)))]);
        let rust = Backend::start(vec![message("x")]);
        let gateway = mirrored(&go, &rust, EACH).start().await;
        let answer = grpc(gateway.public, "Ask", &[], &[&note(&"x".repeat(asked))]).await;
        assert_eq!(answer.status(), "0");
        quiet(&gateway).await;
        let body = format!("{{\"text\":\"{}\"}}", "x".repeat(asked));
        assert_eq!(rest(gateway.public, "POST", "/v1/ask", &body).await.status, 200);
        quiet(&gateway).await;
        gateway
            .until(|gateway| {
                dropped(gateway, "Ask", "body_too_large") + pairs(gateway, "Ask").calls == 2
            })
            .await;
        assert_eq!(dropped(&gateway, "Ask", "body_too_large"), expected * 2, "{asked} {answered}");
    }
}

#[tokio::test]
async fn compare_m_8_copies_are_shed_while_memory_is_short() {
    let (go, rust) = (Backend::start(vec![message("x")]), Backend::start(vec![message("x")]));
    let gateway = mirrored(&go, &rust, EACH).start().await;
    gateway.view.shed_copies(true);
    assert_eq!(batch_of(gateway.public, "Ask", 3).await, Vec::<String>::new());
    assert_eq!(dropped(&gateway, "Ask", "shed"), 3);
    gateway.view.shed_copies(false);
    batch_of(gateway.public, "Ask", 1).await;
    super::compared(&gateway, "Ask", 1).await;
    assert_eq!(rust.calls(), 1);
}

#[tokio::test]
async fn compare_m_12_a_candidate_whose_name_leads_nowhere_is_none() {
    let go = Backend::start(vec![message("x")]);
    let names = Names::answered_by(|_host, _port| {
        Err(std::io::Error::new(std::io::ErrorKind::NotFound, "no such name"))
    });
    let gateway = mirrored_to(&go, "dns:gone.test:1", EACH).names(names).start().await;
    assert_eq!(batch_of(gateway.public, "Ask", 3).await, Vec::<String>::new());
    gateway.until(|gateway| dropped(gateway, "Ask", "no_candidate") == 3).await;
    assert_eq!(pairs(&gateway, "Ask").calls, 0, "it is known before any answer");
}
