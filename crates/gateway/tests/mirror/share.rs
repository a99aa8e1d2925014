//! A part of the calls that the candidate answers.

use tandem_gateway::CandidateShare;
use tandem_testkit::client::{grpc, note};
use tandem_testkit::{Backend, Script};

use super::{EACH, calls, compared, message, mirrored, quiet};

#[tokio::test]
async fn compare_o_5_a_share_of_the_calls_goes_to_the_candidate_and_those_are_not_copied() {
    let (go, rust) = (Backend::start(vec![message("go")]), Backend::start(vec![message("rust")]));
    let gateway = mirrored(&go, &rust, EACH).start().await;
    let set = |per_mille| {
        let share = CandidateShare::from_per_mille(per_mille).unwrap();
        gateway.view.set_candidate_share("notes", "test.v1.Notes/Ask", share).unwrap();
    };
    grpc(gateway.public, "Ask", &[], &[&note("1")]).await;
    compared(&gateway, "Ask", 1).await;
    assert_eq!((go.calls(), rust.calls()), (1, 1), "none by itself");
    set(1000);
    let answer = grpc(gateway.public, "Ask", &[], &[&note("1")]).await;
    assert_eq!(answer.messages, [note("rust")]);
    assert_eq!((go.calls(), rust.calls()), (1, 2));
    set(250);
    assert_eq!(calls(&gateway, "Ask", 400).await, Vec::<String>::new());
    quiet(&gateway).await;
    let served =
        rust.reached().iter().filter(|one| !one.headers.contains_key("x-tandem-mirror")).count();
    // 400 draws of one in four: beyond these ends once in 10⁹ runs.
    assert!((50..=150).contains(&(served - 1)), "{served}");
    assert_eq!(go.calls() - 1 + served - 1, 400, "each call was answered by one side");
    set(0);
    let before = go.calls();
    calls(&gateway, "Ask", 20).await;
    assert_eq!(go.calls() - before, 20);
}

#[tokio::test]
async fn retries_stay_on_the_side_that_was_drawn() {
    let go = Backend::start(vec![message("go")]);
    let rust = Backend::start(vec![Script::trailers(&[("grpc-status", "14")]), message("rust")]);
    let gateway =
        mirrored(&go, &rust, EACH).rules("primary: it, retries: { attempts: 2 }").start().await;
    let all = CandidateShare::from_per_mille(1000).unwrap();
    gateway.view.set_candidate_share("notes", "test.v1.Notes/Ask", all).unwrap();
    let answer = grpc(gateway.public, "Ask", &[], &[&note("1")]).await;
    assert_eq!(answer.messages, [note("rust")]);
    assert_eq!((go.calls(), rust.calls()), (0, 2));
}
