//! What reaches the candidate and its twin, and what never does.

use tandem_judge::noise::Source;
use tandem_testkit::Backend;
use tandem_testkit::client::{grpc, note, rest};

use super::{compared, counter, message, mirrored, pairs};

#[tokio::test]
async fn a_call_is_copied_compared_and_counted() {
    let (go, rust) = (Backend::start(vec![message("Dune")]), Backend::start(vec![message("Dune")]));
    let gateway = mirrored(&go, &rust, "share: 100%, twin: none, max_rate: 100000/s").start().await;

    let answer = rest(gateway.public, "GET", "/v1/ask/1", "").await;
    assert_eq!((answer.status, &*answer.body), (200, r#"{"text":"Dune"}"#));
    let answer = grpc(gateway.public, "Ask", &[], &[&note("1")]).await;
    assert_eq!(answer.status(), "0");

    compared(&gateway, "Ask", 2).await;
    assert_eq!((go.calls(), rust.calls()), (2, 2));
    let pairs = pairs(&gateway, "Ask");
    assert_eq!((pairs.primary.as_str(), pairs.candidate.as_str()), ("it", "rust"));
    assert_eq!((pairs.source, pairs.twin), (Source::Rules, None));
    assert!(pairs.differences.is_empty());
    assert_eq!((pairs.lanes.primary.calls, pairs.lanes.candidate.calls), (2, 2));
    assert_eq!(counter(&gateway, "tandem_mirror_sent_total", "Ask", "side=\"candidate\""), 2);
    assert_eq!(counter(&gateway, "tandem_mirror_compared_total", "Ask", ""), 2);
}
