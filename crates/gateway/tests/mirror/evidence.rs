//! What pairs show: one wrong field among noisy ones, found and named, and nothing else accused.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tandem_contract::fields;
use tandem_judge::noise::{Class, Proposal, Source, Why};
use tandem_testkit::client::{grpc, note};
use tandem_testkit::{Backend, Script, Setup, TestGateway};

use super::{EACH, calls, compared, mirrored, pairs};

/// A note with all that it can hold; `unknown` is a field that the contract does not have.
fn full(text: &str, number: u64, more: &[&str], hidden: &str, unknown: bool) -> Script {
    let mut out = Vec::new();
    fields::put_bytes(1, text.as_bytes(), &mut out);
    fields::put_number(2, number, &mut out);
    for one in more {
        fields::put_bytes(3, one.as_bytes(), &mut out);
    }
    if !hidden.is_empty() {
        fields::put_bytes(4, hidden.as_bytes(), &mut out);
    }
    if unknown {
        fields::put_number(9, 1, &mut out);
    }
    Script::message(out)
}

/// Answers of one build: the number is noise in two of ten, the list comes in any order, and the
/// text is wrong in one of `wrong_every`. Half of them have a field that the contract does not know.
fn build(seed: u64, count: usize, wrong_every: Option<usize>) -> Vec<Script> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut answers = Vec::new();
    for place in 0..count {
        let number =
            if random.random_range(0..10) < 2 { random.random_range(8..1_000_000) } else { 7 };
        let mut more = ["a", "b", "c"];
        more.rotate_left(random.random_range(0..3));
        let wrong = wrong_every.is_some_and(|every| place % every == every / 2);
        let text = if wrong { "wrong" } else { "right" };
        answers.push(full(text, number, &more, "", random.random_range(0..2) == 0));
    }
    answers
}

fn with_twin(go: &Backend, rust: &Backend, twin: &Backend, same: &str, more: &str) -> Setup {
    mirrored(go, rust, &format!("twin: go-2, max_rate: 100000/s{more}"))
        .also("go-2", twin.address, "")
        .rules(&format!("primary: it, same: {{ {same} }}"))
}

#[tokio::test]
async fn compare_t_8_one_wrong_field_in_one_of_200_answers_is_found_and_nothing_else_is_accused() {
    const CALLS: usize = 3_000;
    let go = Backend::start(build(1, CALLS, None));
    let twin = Backend::start(build(2, CALLS, None));
    let rust = Backend::start(build(3, CALLS, Some(200)));
    let gateway = with_twin(&go, &rust, &twin, "unordered: [\"more[]\"]", "").start().await;

    assert_eq!(calls(&gateway, "Ask", CALLS).await, Vec::<String>::new());
    compared(&gateway, "Ask", CALLS as u64).await;

    let found = pairs(&gateway, "Ask");
    assert_eq!((found.calls, found.dropped.len()), (CALLS as u64, 0));
    assert_eq!(found.source, Source::Twin);
    let accused: Vec<&str> = found
        .paths
        .iter()
        .filter(|row| row.class.is_worse())
        .map(|row| row.path.as_str())
        .collect();
    assert_eq!(accused, ["text"], "seed {}: {:#?}", found.seed, found.paths);
    let class = |path: &str| found.paths.iter().find(|row| row.path == path).unwrap().class;
    assert_eq!(class("number"), Class::NoisyEqual);
    let text = found.paths.iter().find(|row| row.path == "text").unwrap();
    assert_eq!((text.candidate_only, text.twin_only), (15, 0));
    let listed: Vec<&str> = found.differences.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(listed, ["#9", "number", "text"], "a shuffled list is none");
    let unknown = found.paths.iter().find(|row| row.path == "<message>").unwrap();
    assert!(unknown.candidate_only > 500 && unknown.twin_only > 500, "{unknown:?}");
    assert!(found.samples.is_empty(), "nobody asked for any");
    assert_eq!(found.lanes.twin.unwrap().calls, CALLS as u64);
}

async fn asked(gateway: &TestGateway, count: usize) {
    asked_more(gateway, count, count).await;
}

/// Asks, and waits until so many pairs were compared in all.
async fn asked_more(gateway: &TestGateway, count: usize, all: usize) {
    for _ in 0..count {
        assert_eq!(grpc(gateway.public, "Ask", &[], &[&note("q")]).await.status(), "0");
    }
    compared(gateway, "Ask", all as u64).await;
}

#[tokio::test]
async fn compare_j_3_a_service_built_from_a_newer_contract_shows_by_its_unknown_fields() {
    let same = full("x", 7, &[], "", false);
    let (go, twin) = (Backend::start(vec![same.clone()]), Backend::start(vec![same]));
    let rust = Backend::start(vec![full("x", 7, &[], "", true)]);
    let gateway = with_twin(&go, &rust, &twin, "critical: [text]", "").start().await;
    asked(&gateway, 20).await;
    let found = pairs(&gateway, "Ask");
    assert_eq!(found.differences.len(), 1, "{:?}", found.differences);
    let worse: Vec<_> = found.paths.iter().filter(|row| row.class.is_worse()).collect();
    assert_eq!(worse.len(), 1);
    assert_eq!((worse[0].path.as_str(), worse[0].class), ("<message>", Class::DifferentAlways));
    assert_eq!(found.critical, 0);
}

#[tokio::test]
async fn compare_n_10_samples_are_kept_where_they_are_asked_for_and_hidden_fields_never() {
    let (go, twin) = (
        Backend::start(vec![full("a", 7, &[], "secret one", false)]),
        Backend::start(vec![full("a", 7, &[], "secret one", false)]),
    );
    let rust = Backend::start(vec![full("b", 7, &[], "secret two", false)]);
    let gateway =
        with_twin(&go, &rust, &twin, "critical: [\"**.text\"]", ", samples: true").start().await;
    asked(&gateway, 30).await;
    let found = pairs(&gateway, "Ask");
    assert_eq!(found.critical, 30, "a critical difference that is no noise is seen at once");
    let of = |place: &str| found.samples.iter().filter(|one| one.place == place).count();
    assert_eq!((of("text"), of("hidden")), (20, 20));
    let all = format!("{found:?}");
    assert!(all.contains("\"a\"") && all.contains("\"b\""));
    assert!(!all.contains("secret"), "{all}");
}

#[tokio::test]
async fn compare_n_8_noise_is_shown_with_what_it_seems_to_be() {
    let uuid = |place: u64| format!("0190163d-8694-739b-aea5-{place:012x}");
    let answers = |offset: u64| -> Vec<Script> {
        (0..30).map(|place| full(&uuid(place * 7 + offset), 7, &[], "", false)).collect()
    };
    let (go, twin) = (Backend::start(answers(1)), Backend::start(answers(2)));
    let rust = Backend::start(answers(3));
    let gateway = with_twin(&go, &rust, &twin, "", "").start().await;
    asked(&gateway, 30).await;
    let found = pairs(&gateway, "Ask");
    let proposed: Vec<_> = found.proposals.into_iter().collect();
    assert_eq!(proposed, [("text".to_owned(), Proposal::Ignore(Why::Uuid))]);
    assert!(found.paths.iter().all(|row| !row.class.is_worse()));
}

#[tokio::test]
async fn compare_j_6_an_order_that_is_noise_is_proposed_changes_nothing_and_is_pinned_by_a_rule() {
    let answer = |more: &[&str]| vec![full("a", 7, more, "", false)];
    let (go, twin) = (Backend::start(answer(&["x", "y"])), Backend::start(answer(&["y", "x"])));
    let rust = Backend::start(answer(&["y", "x"]));
    let setup = |same: &str| with_twin(&go, &rust, &twin, same, "");
    let gateway = setup("").start().await;
    asked(&gateway, 20).await;
    let row = || pairs(&gateway, "Ask").paths.into_iter().find(|row| row.path == "more[]").unwrap();
    let found = pairs(&gateway, "Ask");
    let proposed: Vec<_> = found.proposals.into_iter().collect();
    assert_eq!(proposed, [("more[]".to_owned(), Proposal::Unordered)]);
    assert_eq!((row().both, row().calls), (20, 20), "a proposal is no rule");

    let documents = setup("unordered: [\"more[]\"]").documents();
    let (namespaces, contracts) = (documents.namespaces, documents.contracts);
    let (versions, held) = Default::default();
    gateway.view.serve(documents.limits, namespaces, versions, &contracts, held).unwrap();
    asked_more(&gateway, 20, 40).await;
    assert_eq!((row().both, row().calls), (0, 20));
    assert_eq!(pairs(&gateway, "Ask").proposals, [].into());
}

#[tokio::test]
async fn compare_n_5_evidence_begins_anew_with_what_it_rests_on() {
    let answer = |text| full(text, 7, &[], "", false);
    let (go, twin) = (Backend::start(vec![answer("a")]), Backend::start(vec![answer("a")]));
    let rust = Backend::start(vec![full("b", 8, &[], "", false)]);
    let setup = |same: &str, more: &str| with_twin(&go, &rust, &twin, same, more);
    let gateway = setup("", "").start().await;
    asked(&gateway, 25).await;
    let serve = |setup: Setup| {
        let documents = setup.documents();
        let (namespaces, contracts) = (documents.namespaces, documents.contracts);
        let (versions, held) = Default::default();
        gateway.view.serve(documents.limits, namespaces, versions, &contracts, held).unwrap();
    };
    let counts = |path: &str| {
        let found = pairs(&gateway, "Ask");
        found.paths.into_iter().find(|row| row.path == path).map(|row| row.candidate_only).unwrap()
    };
    let before = pairs(&gateway, "Ask");
    assert_eq!((before.calls, counts("text"), counts("number")), (25, 25, 25));
    // Nothing has changed.
    serve(setup("", ""));
    assert_eq!((pairs(&gateway, "Ask").since, counts("text")), (before.since, 25));
    // A rule has: its path begins anew, and no other does.
    serve(setup("ignore: [text]", ""));
    assert_eq!(
        (pairs(&gateway, "Ask").since, counts("text"), counts("number")),
        (before.since, 0, 25)
    );
    // A side has: all of it does.
    serve(mirrored(&go, &twin, EACH));
    let after = pairs(&gateway, "Ask");
    assert_eq!((after.calls, after.twin, after.source), (0, None, Source::Rules));
    assert!(after.since > before.since);
    assert_eq!(gateway.view.mirrored().len(), 4);
    // It is mirrored no longer, and what was known is still there.
    serve(tandem_testkit::gateway(go.address).contract(super::CONTRACT));
    assert!(gateway.view.mirrored().is_empty());
    assert_eq!(pairs(&gateway, "Ask").since, after.since);
}
