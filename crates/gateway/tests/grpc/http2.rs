//! Upstreams that are difficult as servers of HTTP/2: the six negative cases of gRPC's interop
//! suite, with the gateway as the client (protocols T-4, G-7).

use tandem_testkit::backend::{Backend, End, Manner, Script};
use tandem_testkit::client::{GrpcAnswer, GrpcCall, grpc, note};
use tandem_testkit::{TestGateway, gateway};

use crate::framed;

async fn call(gateway: &TestGateway) -> GrpcAnswer {
    grpc(gateway.public, "Get", &[], &[&note("x")]).await
}

/// Answers that are reset somewhere; `check` is the one place that knows how.
async fn reset(pieces: Vec<Vec<u8>>, answered: usize) {
    // NO_ERROR, INTERNAL_ERROR, CANCEL (RFC 9113, section 7; protocols E-10).
    for (code, status) in [(0x0, "13"), (0x2, "13"), (0x8, "1")] {
        let broken = Script::Raw {
            head: vec![("content-type", "application/grpc")],
            pieces: pieces.clone(),
            end: End::Reset(code),
        };
        let backend = Backend::start(vec![broken, Script::Echo]);
        let gateway = gateway(backend.address).start().await;
        let answer = call(&gateway).await;
        assert_eq!(answer.status(), status, "{code}");
        assert_eq!(answer.messages.len(), answered, "{code}");
        assert!(!answer.reset, "{code}: it ends with a status");
        // It may have been carried out, so it is not sent again; and the next call is none the worse.
        assert_eq!(backend.reached().len(), 1, "{code}");
        assert_eq!(call(&gateway).await.status(), "0", "{code}");
        assert_eq!(backend.connections().closed, 0, "{code}: a stream ended, not the connection");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_t_4_rst_after_header() {
    reset(Vec::new(), 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_t_4_rst_during_data() {
    let frame = framed(false, &note("half of it comes"));
    reset(vec![frame[..frame.len() / 2].to_vec()], 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_t_4_rst_after_data() {
    reset(vec![framed(false, &note("all of it comes"))], 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_t_4_goaway_lets_the_call_end_and_the_next_goes_elsewhere() {
    let manner = Manner { goaway_after: Some(1), ..Manner::default() };
    let backend = Backend::with_manner(vec![Script::Echo], manner);
    let gateway = gateway(backend.address).start().await;
    for calls in 1..=4 {
        // GOAWAY comes when the request has, before its answer.
        assert_eq!(call(&gateway).await.status(), "0", "call {calls}");
        gateway.until(|_| backend.connections().closed == calls).await;
        assert_eq!(backend.connections().opened, calls, "a connection each");
    }
    assert_eq!(backend.reached().len(), 4, "each was sent once");
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_t_4_ping_is_answered() {
    let manner = Manner { pings: 5, ..Manner::default() };
    let backend = Backend::with_manner(vec![Script::Echo], manner);
    let gateway = gateway(backend.address).start().await;
    assert_eq!(call(&gateway).await.status(), "0");
    assert_eq!(backend.connections().pongs, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_t_4_max_streams_is_kept_and_nobody_is_refused() {
    let manner = Manner { streams_most: Some(2), ..Manner::default() };
    let backend = Backend::with_manner(vec![Script::Echo], manner);
    let gateway = gateway(backend.address).start().await;
    let calls = (0..15).map(|_| async {
        let mut call = GrpcCall::open(gateway.public, "Get", &[]).await;
        call.message(&note("x"));
        call
    });
    // All of them stand open at once, the message sent and the request not ended.
    let mut open = Vec::new();
    for call in calls {
        open.push(call.await);
    }
    let mut ending = Vec::new();
    for call in open {
        #[expect(clippy::disallowed_methods, reason = "a caller is no part of the gateway")]
        ending.push(tokio::spawn(call.finish()));
    }
    for ended in ending {
        assert_eq!(ended.await.unwrap().status(), "0");
    }
    assert_eq!(backend.reached().len(), 15);
    assert!(backend.connections().streams_most <= 2, "{:?}", backend.connections());
}
