//! A candidate may do what it likes: nobody waits, nobody sees it, and it is counted.

use std::time::Duration;

use tandem_testkit::client::note;
use tandem_testkit::{Backend, End, Script};

use super::{EACH, batch_of, counter, lost, message, mirrored, mirrored_to, pairs, quiet};

/// Ten times as large as what the primary answers, and more than is read.
fn huge() -> Script {
    Script::Flood(1, note(&"x".repeat(300 << 10)))
}

#[tokio::test]
async fn compare_t_11_whatever_the_candidate_does_no_call_fails_and_each_is_an_event() {
    let broken_off = Script::Raw {
        head: vec![("content-type", "application/grpc")],
        pieces: vec![vec![0, 0, 0, 0, 9]],
        end: End::Reset(8),
    };
    let endless = Script::Flood(1_000_000, note(&"x".repeat(16 << 10)));
    for (what, script, reasons) in [
        ("never answers", Script::Hang, &["timed_out"][..]),
        ("hangs after its head", Script::HangAfter(vec![]), &["timed_out"]),
        ("resets", Script::Reset(2), &["reset"]),
        ("breaks off", broken_off, &["reset"]),
        // Whichever comes first.
        ("is endless", endless, &["too_large", "timed_out"]),
        ("is huge", huge(), &["too_large", "timed_out"]),
        ("answers garbage", Script::Garbage(vec![9; 64]), &[]),
        ("fails", Script::trailers(&[("grpc-status", "13")]), &[]),
    ] {
        let go = Backend::start(vec![message("x")]);
        let rust = Backend::start(vec![script]);
        let gateway = mirrored(&go, &rust, EACH)
            .rules("primary: it, deadline: { default: 2s }")
            .start()
            .await;
        let failed = batch_of(gateway.public, "Ask", 30).await;
        assert_eq!(failed, Vec::<String>::new(), "{what}");
        quiet(&gateway).await;
        assert_eq!(go.calls(), 30, "{what}");
        let pairs = pairs(&gateway, "Ask");
        assert_eq!(pairs.calls, 30, "{what}: each is an event");
        assert_eq!(pairs.lanes.candidate.errors, 30, "{what}");
        let code = pairs.paths.iter().find(|row| row.path == "<code>").unwrap();
        assert_eq!(code.candidate_only, 30, "{what}");
        if !reasons.is_empty() {
            let found: u64 = reasons.iter().map(|reason| lost(&gateway, "Ask", reason)).sum();
            assert_eq!(found, 30, "{what}");
        }
        // The primary's endpoints know nothing of it.
        let figures = gateway.view.metrics().upstreams();
        let of_go = figures.iter().find(|one| &*one.upstream == "it").unwrap().figures();
        assert_eq!((of_go.ejections, of_go.attempts), (0, 30));
    }
}

#[tokio::test]
async fn compare_t_11_callers_have_their_answers_before_the_candidate_has_said_anything() {
    let (go, rust) = (Backend::start(vec![message("x")]), Backend::start(vec![Script::Held]));
    let gateway = mirrored(&go, &rust, EACH).start().await;
    assert_eq!(batch_of(gateway.public, "Ask", 50).await, Vec::<String>::new());
    gateway.until(|_| rust.calls() == 50).await;
    assert_eq!(pairs(&gateway, "Ask").calls, 0);
    rust.release();
    quiet(&gateway).await;
    assert_eq!(pairs(&gateway, "Ask").calls, 50);
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
