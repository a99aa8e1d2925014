//! Copies of a stateful service: each write at its place, or not at all.

use tandem_testkit::client::{grpc, note};
use tandem_testkit::{Backend, Script, TestGateway, gateway};

use super::{CONTRACT, compared, dropped, message, pairs, quiet};

fn committed(number: &'static str) -> Script {
    Script::Answer {
        http_status: 200,
        head: vec![("content-type", "application/grpc")],
        messages: vec![note("done")],
        trailers: Some(vec![("grpc-status", "0"), ("tandem-sequence", number)]),
    }
}

fn refused(number: &'static str) -> Script {
    Script::trailers(&[("grpc-status", "9"), ("tandem-sequence", number)])
}

async fn stateful(go: &Backend, own: &Backend, order_by: &str) -> TestGateway {
    let mirror = format!("mirror: {{ to: own, writes: isolated, order_by: {order_by} }}");
    let mut setup = gateway(go.address)
        .contract(CONTRACT)
        .rules("primary: it")
        .quota("mirror: 100%")
        .also("own", own.address, "isolated: true");
    for method in ["Write", "Replace", "Ask"] {
        setup = setup.method(method, &mirror);
    }
    setup.start().await
}

fn texts(backend: &Backend) -> Vec<String> {
    let text = |one: &tandem_testkit::backend::Reached| {
        String::from_utf8_lossy(&one.messages[0][2..]).into_owned()
    };
    backend.reached().iter().map(text).collect()
}

#[tokio::test]
async fn compare_m_2_writes_reach_the_candidate_in_the_order_of_the_primarys_commits() {
    // As they are called; and the number that the primary gives each.
    let go = Backend::start(vec![
        committed("1"), // first
        committed("3"), // b
        refused("3"),   // c: a write that was refused saw commit 3
        committed("2"), // a
        committed("5"), // e
        committed("4"), // d
        committed("5"), // f: a read that saw commit 5
    ]);
    let own = Backend::start(vec![message("done")]);
    let gateway = stateful(&go, &own, "\"*\"").await;
    grpc(gateway.public, "Write", &[], &[&note("first")]).await;
    compared(&gateway, "Write", 1).await;
    for (method, text) in [
        ("Write", "b"),
        ("Write", "c"),
        ("Replace", "a"),
        ("Write", "e"),
        ("Write", "d"),
        ("Ask", "f"),
    ] {
        grpc(gateway.public, method, &[], &[&note(text)]).await;
    }
    compared(&gateway, "Write", 5).await;
    compared(&gateway, "Ask", 1).await;
    assert_eq!(texts(&own), ["first", "a", "b", "c", "d", "e", "f"]);
    assert_eq!(own.connections().streams_most, 1, "one at a time");
    let pairs = pairs(&gateway, "Write");
    assert_eq!(pairs.source, tandem_judge::noise::Source::Rules, "no write is carried out twice");
    assert!(go.reached().iter().all(|one| !one.headers.contains_key("x-tandem-mirror")));
}

#[tokio::test]
async fn compare_m_2_each_key_has_an_order_of_its_own_and_no_number_is_no_place() {
    let go = Backend::start(vec![committed("7"), committed("1"), committed("8"), message("none")]);
    let own = Backend::start(vec![message("done")]);
    let gateway = stateful(&go, &own, "text").await;
    for text in ["x", "y", "x", "z"] {
        grpc(gateway.public, "Write", &[], &[&note(text)]).await;
    }
    compared(&gateway, "Write", 3).await;
    gateway.until(|gateway| dropped(gateway, "Write", "out_of_order") == 1).await;
    let mut reached = texts(&own);
    reached.sort();
    assert_eq!(reached, ["x", "x", "y"]);
}

#[tokio::test]
async fn compare_m_12_behind_a_write_that_never_comes_nothing_is_sent_until_it_begins_anew() {
    let go = Backend::start(vec![
        committed("1"),
        committed("1"),
        committed("3"),
        committed("2"),
        committed("9"),
    ]);
    let own = Backend::start(vec![message("done")]);
    let gateway = stateful(&go, &own, "\"*\"").await;
    let write = async |text: &str| {
        grpc(gateway.public, "Write", &[], &[&note(text)]).await;
    };
    write("a").await;
    compared(&gateway, "Write", 1).await;
    write("again").await; // its place has passed
    gateway.until(|gateway| dropped(gateway, "Write", "out_of_order") == 1).await;
    write("c").await; // the second is missing, and is waited for
    gateway.until(|gateway| dropped(gateway, "Write", "out_of_order") == 2).await;
    write("b").await; // too late
    gateway.until(|gateway| dropped(gateway, "Write", "out_of_order") == 3).await;
    assert_eq!(texts(&own), ["a"]);
    assert!(gateway.view.begin_pairs_anew("notes", "test.v1.Notes/Write"));
    assert_eq!(pairs(&gateway, "Write").calls, 0);
    write("i").await;
    compared(&gateway, "Write", 2).await;
    quiet(&gateway).await;
    assert_eq!(texts(&own), ["a", "i"]);
}
