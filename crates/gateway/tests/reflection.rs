//! How an upstream is asked for its contract (protocols X-1).

use std::time::Duration;

use tandem_gateway::upstream::reflection::{self, ReflectionError};
use tandem_gateway::upstream::{Upstream, UpstreamAddress};
use tandem_testkit::backend::{Backend, Script};

const V1: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const V1ALPHA: &str = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

async fn asked(script: Script) -> (ReflectionError, Vec<String>) {
    let backend = Backend::start(vec![script]);
    let upstream = Upstream::plain(
        UpstreamAddress::Fixed(backend.address),
        "books".parse().expect("an authority"),
        Duration::from_secs(5),
    );
    let error = reflection::fetch(&upstream).await.expect_err("it has no contract");
    let paths = backend.reached().iter().map(|reached| reached.path.clone()).collect();
    (error, paths)
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_x_1_v1alpha_is_asked_after_unimplemented_and_after_nothing_else() {
    let (error, paths) = asked(Script::RefuseAtOnce("12")).await;
    assert!(matches!(error, ReflectionError::NotOffered { .. }), "{error}");
    assert_eq!(paths, [V1, V1ALPHA]);

    for status in ["7", "14", "16"] {
        let (error, paths) = asked(Script::RefuseAtOnce(status)).await;
        assert!(matches!(error, ReflectionError::Unusable { .. }), "{error}");
        assert!(error.to_string().contains(&format!("status {status} ")), "{error}");
        assert_eq!(paths, [V1]);
    }
}
