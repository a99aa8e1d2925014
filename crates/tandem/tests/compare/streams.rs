//! Streams as load and for their answers (compare J-9).

use std::net::SocketAddr;

use serde_json::Value;
use tandem_testkit::Script;

use crate::place::{Notes, Place, Said};
use crate::schema;
use crate::sides::{SMALL, note, side};

fn numbered(numbers: &[u8]) -> Vec<Vec<u8>> {
    numbers.iter().map(|number| note("x", *number)).collect()
}

/// Ends after these.
fn ending(numbers: &[u8]) -> Script {
    Script::Answer {
        http_status: 200,
        head: vec![("content-type", "application/grpc")],
        messages: numbered(numbers),
        trailers: Some(vec![("grpc-status", "0")]),
    }
}

/// Sends these and then nothing, and does not end.
fn following(numbers: &[u8]) -> Script {
    Script::HangAfter(numbered(numbers))
}

fn compare(place: &Place, method: &str, services: [SocketAddr; 2], more: &[&str]) -> Said {
    let (one, other) = (side("one", services[0]), side("other", services[1]));
    let mut words = vec!["compare", method, "--primary", &one, "--candidate", &other];
    words.extend(SMALL);
    words.extend(["--out", "out"]);
    words.extend(more);
    place.tandem(&words)
}

fn compared(method: &str, scripts: [Script; 2], more: &[&str]) -> (Said, Value) {
    let place = Place::new();
    let [one, other] = scripts.map(|script| Notes::answering(vec![script]));
    let said = compare(&place, method, [one.address, other.address], more);
    let result = serde_json::from_str(&place.read("out/result.json")).unwrap();
    schema::keeps(&result);
    (said, result)
}

const FOLLOW: &str = "test.v1.Notes/Follow";

#[test]
fn compare_j_9_streams_that_end_are_compared_message_by_message() {
    let (said, result) = compared(FOLLOW, [ending(&[1, 2, 3]), ending(&[1, 2, 3])], &[]);
    assert_ne!(said.exit, 3, "{said:?}");
    assert!(result["answers"]["calls"].as_u64() >= Some(200), "{said:?}");
    assert_eq!(result["answers"]["cut"], 0, "{said:?}");
    assert!(!said.err.contains("streams of"), "{said:?}");
    let (said, result) = compared(FOLLOW, [ending(&[1, 2, 3]), ending(&[1, 9, 3])], &[]);
    assert_eq!(said.exit, 3, "{said:?}");
    assert_eq!(result["verdict"]["differing"], serde_json::json!(["number"]), "{said:?}");
    // One message less, and the sides did not do the same work.
    let (said, _) = compared(FOLLOW, [ending(&[1, 2, 3]), ending(&[1, 2])], &[]);
    assert_eq!(said.exit, 3, "{said:?}");
    assert!(said.err.contains("one sent 3.0 messages a call, other 2.0"), "{said:?}");
}

#[test]
fn compare_j_9_a_stream_without_an_end_is_cut_which_is_no_failure_and_no_difference() {
    let cut = ["--cut", "500ms"];
    let (said, result) = compared(FOLLOW, [following(&[1, 2]), following(&[1, 2])], &cut);
    assert_ne!(said.exit, 3, "{said:?}");
    assert_eq!(result["answers"]["cut"], result["answers"]["calls"], "{said:?}");
    assert!(said.err.contains("were cut after 500 ms"), "{said:?}");
    assert!(said.err.contains(", 0 not OK"), "{said:?}");
    // To the shorter prefix: what one of them sent more in the same time is no difference.
    let (said, _) = compared(FOLLOW, [following(&[1, 2]), following(&[1])], &cut);
    assert_ne!(said.exit, 3, "{said:?}");
    // Within the prefix it is one.
    let (said, _) = compared(FOLLOW, [following(&[1, 2]), following(&[7, 2])], &cut);
    assert_eq!(said.exit, 3, "{said:?}");
}

#[test]
fn compare_j_9_a_stream_that_goes_on_where_the_other_one_ended_is_a_difference() {
    let cut = ["--cut", "500ms"];
    let (said, _) = compared(FOLLOW, [ending(&[1]), following(&[1, 2])], &cut);
    assert_eq!(said.exit, 3, "{said:?}");
    // As is one of which nothing came while there was something to come.
    let (said, result) = compared(FOLLOW, [following(&[1]), following(&[])], &cut);
    assert_eq!(said.exit, 3, "{said:?}");
    assert!(result["answers"]["abandoned"]["candidate TimedOut"].is_u64(), "{result}");
}

#[test]
fn compare_j_9_a_stream_is_cut_after_messages_and_has_no_more_bytes_than_are_compared() {
    let flood = |count| Script::Flood(count, note("x", 1));
    let (said, result) = compared(FOLLOW, [flood(50), flood(40)], &["--cut", "20"]);
    assert_ne!(said.exit, 3, "{said:?}");
    assert_eq!(result["answers"]["cut"], result["answers"]["calls"], "{said:?}");
    assert!(said.err.contains("were cut after 20 messages"), "{said:?}");
    assert!(!said.err.contains("same work"), "{said:?}");
    let large = Script::Flood(5, [&[0x0a, 0x80, 0x80, 0x40][..], &[b'x'; 1 << 20]].concat());
    let (said, result) = compared(FOLLOW, [ending(&[1]), large], &[]);
    assert_eq!(said.exit, 3, "{said:?}");
    assert!(result["answers"]["abandoned"]["candidate TooLarge"].is_u64(), "{result}");
}

#[test]
fn compare_j_9_calls_of_a_plan_may_send_several_messages() {
    let place = Place::with(&[
        (
            "talk.yaml",
            "calls: [{ method: Notes/Talk, messages: [{ text: x, number: 1 }, { text: x, number: \
             2 }, { text: x, number: 3 }] }]",
        ),
        ("collect.yaml", "calls: [{ method: Notes/Collect, messages: [{ number: 1 }, {}] }]"),
        ("rules", "ignore text\n"),
        ("one.yaml", "calls: [{ method: Notes/Follow, messages: [{}] }]"),
    ]);
    let echo = Notes::answering(vec![Script::EchoEach]);
    let three = Notes::answering(vec![ending(&[1, 2, 3])]);
    // Calls with side effects are not repeated, so noise is declared and not learned.
    let told = ["--stateful", "true", "--noise", "rules:rules", "--critical", "number"];
    let more = [&["--data", "plan:talk.yaml"][..], &told].concat();
    // All three were sent, or not all would have come back.
    let method = "test.v1.Notes/Talk";
    let said = compare(&place, method, [three.address, echo.address], &more);
    assert!(said.exit != 3 && said.err.contains("200 calls, 0 not OK"), "{said:?}");
    assert!(!said.err.contains("streams of"), "{said:?}");
    let unlike = Notes::answering(vec![ending(&[1, 2, 9])]);
    let said = compare(&place, method, [unlike.address, echo.address], &more);
    assert_eq!(said.exit, 3, "{said:?}");
    // One answer to several messages.
    let one = Notes::answering(vec![Script::message(note("x", 7))]);
    let more = [&["--data", "plan:collect.yaml"][..], &told].concat();
    let said = compare(&place, "test.v1.Notes/Collect", [one.address, one.address], &more);
    assert!(said.exit != 3 && said.err.contains("200 calls, 0 not OK"), "{said:?}");
    let said = compare(&place, FOLLOW, [one.address; 2], &["--data", "plan:one.yaml"]);
    assert!(said.exit == 2 && said.err.contains("takes one message"), "{said:?}");
}
