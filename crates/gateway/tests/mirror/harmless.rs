//! A candidate may do what it likes: nobody waits, nobody sees it, and it is counted.

use std::time::{Duration, Instant};

use tandem_testkit::client::note;
use tandem_testkit::{Backend, Script};

use super::{EACH, batch_of, counter, lost, message, mirrored, mirrored_to, pairs, quiet};

/// Ten times as large as what the primary answers, and more than is read.
fn huge() -> Script {
    Script::Flood(1, note(&"x".repeat(300 << 10)))
}

#[tokio::test]
async fn compare_t_11_whatever_the_candidate_does_no_call_fails_and_nobody_waits() {
    for (what, script, reason) in [
        ("never answers", Script::Hang, Some("timed_out")),
        ("hangs after its head", Script::HangAfter(vec![]), Some("timed_out")),
        ("resets", Script::Reset(2), Some("reset")),
        (
            "breaks off",
            Script::Raw {
                head: vec![("content-type", "application/grpc")],
                pieces: vec![vec![0, 0, 0, 0, 9]],
                end: tandem_testkit::End::Reset(8),
            },
            Some("reset"),
        ),
        ("is endless", Script::Flood(1_000_000, note(&"x".repeat(16 << 10))), Some("too_large")),
        ("is huge", huge(), Some("too_large")),
        ("answers garbage", Script::Garbage(vec![9; 64]), None),
        ("fails", Script::trailers(&[("grpc-status", "13")]), None),
    ] {
        let go = Backend::start(vec![message("x")]);
        let rust = Backend::start(vec![script]);
        let gateway = mirrored(&go, &rust, EACH)
            .rules("primary: it, deadline: { default: 400ms }")
            .start()
            .await;
        let began = Instant::now();
        let failed = batch_of(gateway.public, "Ask", 30).await;
        let took = began.elapsed();
        assert_eq!(failed, Vec::<String>::new(), "{what}");
        assert!(took < Duration::from_millis(390), "{what}: {took:?}");
        quiet(&gateway).await;
        assert_eq!(go.calls(), 30, "{what}");
        let pairs = pairs(&gateway, "Ask");
        assert_eq!(pairs.calls, 30, "{what}: each is an event");
        assert_eq!(pairs.lanes.candidate.errors, 30, "{what}");
        let code = pairs.paths.iter().find(|row| row.path == "<code>").unwrap();
        assert_eq!(code.candidate_only, 30, "{what}");
        if let Some(reason) = reason {
            assert_eq!(lost(&gateway, "Ask", reason), 30, "{what}");
        }
        // The primary's endpoints know nothing of it.
        let figures = gateway.view.metrics().upstreams();
        let of_go = figures.iter().find(|one| &*one.upstream == "it").unwrap().figures();
        assert_eq!((of_go.ejections, of_go.attempts), (0, 30));
    }
}

#[tokio::test]
async fn compare_t_11_a_candidate_that_is_down_delays_nobody_and_is_an_event() {
    let go = Backend::start(vec![message("x")]);
    // A port that was free a moment ago.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gateway = mirrored_to(&go, nobody, EACH).start().await;
    assert_eq!(batch_of(gateway.public, "Ask", 20).await, Vec::<String>::new());
    quiet(&gateway).await;
    assert_eq!(lost(&gateway, "Ask", "unreachable"), 20);
    assert_eq!(pairs(&gateway, "Ask").calls, 20);
}

/// A timed-out copy is a difference; one that was dropped leaves no trace in the evidence.
#[tokio::test]
async fn compare_t_9_a_copy_without_an_answer_counts_and_a_dropped_one_does_not() {
    let (go, go_2) = (Backend::start(vec![message("x")]), Backend::start(vec![message("x")]));
    let rust = Backend::start(vec![Script::Hang]);
    let gateway = mirrored(&go, &rust, "twin: go-2, max_rate: 100000/s")
        .also("go-2", go_2.address, "")
        .rules("primary: it, deadline: { default: 300ms }")
        .quota("mirror: 0.4%") // four copies
        .start()
        .await;
    assert_eq!(batch_of(gateway.public, "Ask", 20).await, Vec::<String>::new());
    quiet(&gateway).await;
    let pairs = pairs(&gateway, "Ask");
    let dropped = super::dropped(&gateway, "Ask", "queue_full");
    assert_eq!((pairs.calls, dropped), (4, 16));
    assert_eq!(pairs.dropped.values().sum::<u64>(), 16);
    let code = pairs.paths.iter().find(|row| row.path == "<code>").unwrap();
    assert_eq!((code.candidate_only, code.twin_only, code.calls), (4, 0, 4));
    assert_eq!(pairs.lost.values().copied().collect::<Vec<_>>(), [(4, 0)]);
}

#[tokio::test]
async fn a_gateway_with_copies_under_way_stops_at_once() {
    let go = Backend::start(vec![message("x")]);
    let rust = Backend::start(vec![Script::Hang]);
    let gateway = mirrored(&go, &rust, EACH).start().await;
    assert_eq!(batch_of(gateway.public, "Ask", 100).await, Vec::<String>::new());
    gateway
        .until(|gateway| {
            counter(gateway, "tandem_mirror_sent_total", "Ask", "side=\"candidate\"") == 64
        })
        .await;
    let view = gateway.view.clone();
    let stopped = gateway.gateway.stop().await;
    assert!(stopped.took < Duration::from_secs(3), "{stopped:?}");
    // Those that waited are counted; those under way are neither answered nor dropped.
    let dropped = view.pairs("notes", "test.v1.Notes/Ask").unwrap().dropped;
    assert_eq!(
        dropped.into_iter().collect::<Vec<_>>(),
        [(tandem_judge::pair::Abandoned::Stopped, 36)]
    );
    assert_eq!(view.copies(), 0, "nothing is held any more");
}
