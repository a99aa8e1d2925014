//! What may never be copied, and copies that come in.

use tandem_config::document::Network;
use tandem_testkit::client::{grpc, note, raw, rest};
use tandem_testkit::{Backend, gateway};

use super::{CONTRACT, EACH, compared, message, mirrored, quiet};

/// Documents that no check has seen: whatever they ask for, no write leaves towards an upstream
/// that shares its data.
#[tokio::test]
async fn compare_t_10_a_write_never_leaves_whatever_the_documents_ask_for() {
    for line in [
        "candidate: rust, mirror: {}",
        "candidate: rust, mirror: { share: 100%, max_rate: 100000/s, credentials: forward }",
        "mirror: { to: rust, twin: none }",
        "mirror: { to: rust, writes: isolated, order_by: \"*\" }",
        "mirror: { to: own, twin: rust, writes: isolated, order_by: \"*\" }",
        "mirror: { to: own, writes: isolated }",
        "mirror: { to: own, writes: isolated, order_by: \"*\", share: 50% }",
        "mirror: { to: own, writes: isolated, order_by: \"*\", max_rate: 1000/s }",
        "mirror: { to: liar, writes: isolated, order_by: \"*\" }",
        "mirror: { to: it, writes: isolated, order_by: \"*\" }",
        "mirror: { to: nobody, writes: isolated, order_by: \"*\" }",
    ] {
        let go = Backend::start(vec![message("x")]);
        let rust = Backend::start(vec![message("x")]);
        let gateway = gateway(go.address)
            .contract(CONTRACT)
            .rules("primary: it")
            .also("rust", rust.address, "")
            .also("own", rust.address, "isolated: true")
            .also("liar", go.address, "isolated: true")
            .method("Write", line)
            .method("Replace", line)
            .method("Ask", &format!("candidate: rust, mirror: {{ {EACH} }}"))
            .start()
            .await;
        for method in ["Write", "Replace"] {
            assert_eq!(grpc(gateway.public, method, &[], &[&note("1")]).await.status(), "0");
        }
        assert_eq!(rest(gateway.public, "POST", "/v1/write", "{}").await.status, 200);
        assert_eq!(rest(gateway.public, "GET", "/v1/replace", "").await.status, 200);
        // A read behind them: what was to be copied before it has been.
        grpc(gateway.public, "Ask", &[], &[&note("1")]).await;
        compared(&gateway, "Ask", 1).await;
        quiet(&gateway).await;
        let paths: Vec<String> = rust.reached().into_iter().map(|one| one.path).collect();
        assert_eq!(paths, ["/test.v1.Notes/Ask"], "{line}");
        assert_eq!(go.calls(), 5, "{line}: each call once");
        let mirrored = gateway.view.mirrored();
        assert_eq!(mirrored, [("notes".to_owned(), "test.v1.Notes/Ask".to_owned())], "{line}");
    }
}

const MARKED: &str = "GET /v1/ask/1 HTTP/1.1\r\nhost: any\r\nconnection: close\r\n\
                      x-tandem-mirror: 01234567/candidate\r\n\r\n";

#[tokio::test]
async fn compare_m_5_a_strangers_mark_is_refused() {
    let (go, rust) = (Backend::start(vec![message("x")]), Backend::start(vec![message("x")]));
    let other = Network { address: [10, 0, 0, 0].into(), prefix: 8 };
    let gateway = mirrored(&go, &rust, EACH).carries_copies_of(other).start().await;
    assert_eq!(raw(gateway.public, MARKED.as_bytes()).await.unwrap().status, 400);
    let marked = [("x-tandem-mirror", "01234567/twin")];
    // In a gRPC answer 400 is INVALID_ARGUMENT.
    let answer = grpc(gateway.public, "Ask", &marked, &[&note("1")]).await;
    assert_ne!(answer.status(), "0");
    assert_eq!((go.calls(), rust.calls()), (0, 0));
}

#[tokio::test]
async fn compare_m_5_a_copy_is_carried_for_trusted_networks_and_never_copied_again_nor_kept() {
    let (go, rust) = (Backend::start(vec![message("x")]), Backend::start(vec![message("x")]));
    let here = Network { address: [127, 0, 0, 0].into(), prefix: 8 };
    let gateway = mirrored(&go, &rust, EACH)
        .rules("primary: it, cache: { ttl: 1h }")
        .carries_copies_of(here)
        .start()
        .await;
    for _ in 0..2 {
        assert_eq!(raw(gateway.public, MARKED.as_bytes()).await.unwrap().status, 200);
    }
    // One without a mark behind them, which is copied.
    rest(gateway.public, "GET", "/v1/ask/1", "").await;
    compared(&gateway, "Ask", 1).await;
    quiet(&gateway).await;
    assert_eq!(rust.calls(), 1);
    let marks: Vec<bool> =
        go.reached().iter().map(|one| one.headers.contains_key("x-tandem-mirror")).collect();
    assert_eq!(marks, [true, true, false], "each reached the service, none was answered for");
    let mark = go.reached()[0].headers["x-tandem-mirror"].to_str().unwrap().to_owned();
    assert_eq!(mark, "01234567/candidate", "the next gateway sees it too");
}
