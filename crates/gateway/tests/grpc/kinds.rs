//! Methods of every kind that end before their time: the caller leaves, or the deadline passes.
//!
//! Not here: the product of kinds, compression and outcomes (`product`, beside this folder).

use tandem_testkit::backend::{Backend, Script};
use tandem_testkit::client::{GrpcCall, note};
use tandem_testkit::gateway;

use crate::{coded, framed};

const KINDS: [&str; 4] = ["Get", "Many", "Collect", "Talk"];

/// Where a caller leaves: its request whole, or in the middle of it.
#[tokio::test(flavor = "multi_thread")]
async fn hybrid_hy_2_a_caller_that_leaves_cancels_a_call_of_every_kind() {
    for kind in KINDS {
        for compression in [None, Some("gzip")] {
            for whole in [true, false] {
                let what = format!("{kind} {compression:?} whole: {whole}");
                let backend = Backend::start(vec![Script::Hang]);
                let gateway = gateway(backend.address).start().await;
                let named = compression.map(|coding| ("grpc-encoding", coding));
                let headers: Vec<_> = named.into_iter().collect();
                let mut call = GrpcCall::open(gateway.public, kind, &headers).await;
                let frame = match compression {
                    Some(coding) => framed(true, &coded(coding, &note("asked"))),
                    None => framed(false, &note("asked")),
                };
                call.bytes(if whole { &frame } else { &frame[..frame.len() - 1] });
                if whole {
                    call.send.send_data(bytes::Bytes::new(), true).unwrap();
                    gateway.until(|_| backend.reached().len() == 1).await;
                } else {
                    gateway.until(|_| backend.connections().streams_most == 1).await;
                }
                call.send.send_reset(h2::Reason::CANCEL);
                backend.cancelled(1).await;
                let reached = &backend.reached()[0];
                assert_eq!(reached.ended, whole, "{what}");
                assert_eq!(reached.messages.len(), usize::from(whole), "{what}");
                gateway.until(|gateway| gateway.figures(kind).abandoned == 1).await;
                assert_eq!(gateway.figures(kind).codes[1], 1, "{what}: CANCELLED");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_m_7_a_deadline_ends_a_call_of_every_kind_on_both_sides() {
    for kind in KINDS {
        let backend = Backend::start(vec![Script::Hang]);
        let gateway = gateway(backend.address).start().await;
        let headers = [("grpc-timeout", "300m")];
        let mut call = GrpcCall::open(gateway.public, kind, &headers).await;
        call.message(&note("asked"));
        let answer = call.finish().await;
        assert_eq!(answer.status(), "4", "{kind}");
        assert!(answer.messages.is_empty() && !answer.reset, "{kind}");
        backend.cancelled(1).await;
    }
}
