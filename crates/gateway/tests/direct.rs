//! Calls past the gateway: streams, read to their end or as far as they are wanted.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use tandem_gateway::tasks::Side;
use tandem_gateway::upstream::direct::{Direct, Reading, StreamAnswer, StreamEnd};
use tandem_protocol::status::Code;
use tandem_testkit::{Backend, Script};

const LIMIT: Duration = Duration::from_secs(20);
const ALL: Reading =
    Reading { messages_most: 1_000_000, time_most: None, bytes_most: 1 << 30, keeps: true };

async fn direct(script: Script) -> (Backend, Direct) {
    let backend = Backend::start(vec![script]);
    let side = Side::new(tokio::runtime::Handle::current());
    let direct = Direct::connect(backend.address, LIMIT, &side).await.unwrap();
    (backend, direct)
}

async fn read(direct: &Direct, messages: &[&'static str], reading: &Reading) -> StreamAnswer {
    let messages: Vec<Bytes> =
        messages.iter().map(|it| Bytes::from_static(it.as_bytes())).collect();
    direct.stream("/a.B/C", &HeaderMap::new(), &messages, reading, LIMIT).await.unwrap()
}

#[tokio::test]
async fn all_messages_go_out_and_all_answers_come_back_with_their_status() {
    let (_backend, direct) = direct(Script::EchoEach).await;
    let answer = read(&direct, &["one", "", "three"], &ALL).await;
    assert_eq!(answer.messages, ["one", "", "three"]);
    assert_eq!((answer.count, answer.bytes, answer.quiet), (3, 8, Duration::ZERO));
    let StreamEnd::Ended { status, .. } = answer.end else { panic!("{:?}", answer.end) };
    assert_eq!(status.code, Code::Ok);
    // Counted and not kept.
    let answer = read(&direct, &["one"], &Reading { keeps: false, ..ALL }).await;
    assert_eq!((answer.messages.len(), answer.count, answer.bytes), (0, 1, 3));
}

#[tokio::test]
async fn a_stream_is_cut_after_messages_or_time_and_given_up_beyond_its_bytes() {
    let (_backend, many) = direct(Script::Flood(10, b"abcd".to_vec())).await;
    let answer = read(&many, &[""], &Reading { messages_most: 4, ..ALL }).await;
    assert!(matches!(answer.end, StreamEnd::CutByCount), "{answer:?}");
    assert_eq!(answer.messages.len(), 4);
    let answer = read(&many, &[""], &Reading { messages_most: 11, ..ALL }).await;
    assert!(matches!(answer.end, StreamEnd::Ended { .. }), "{answer:?}");
    let answer = read(&many, &[""], &Reading { bytes_most: 40, ..ALL }).await;
    assert!(matches!(answer.end, StreamEnd::Ended { .. }), "{answer:?}");
    let answer = read(&many, &[""], &Reading { bytes_most: 39, ..ALL }).await;
    assert!(matches!(answer.end, StreamEnd::TooLarge), "{answer:?}");
    assert!(answer.messages.is_empty());
    // One that is silent after its messages: at once, where they are all that is wanted.
    let (_backend, silent) = direct(Script::HangAfter(vec![b"a".to_vec(), b"b".to_vec()])).await;
    let answer = read(&silent, &[""], &Reading { messages_most: 2, ..ALL }).await;
    assert!(matches!(answer.end, StreamEnd::CutByCount), "{answer:?}");
    let time = Duration::from_millis(300);
    let answer = read(&silent, &[""], &Reading { time_most: Some(time), ..ALL }).await;
    assert!(matches!(answer.end, StreamEnd::CutByTime), "{answer:?}");
    assert_eq!(answer.messages, ["a", "b"]);
    assert!(answer.quiet > Duration::ZERO, "{answer:?}");
}

#[tokio::test]
async fn a_connection_outlives_any_number_of_streams_of_small_messages_that_were_cut() {
    // What lies unread when a stream is taken back was counted against the connection for good.
    let (backend, direct) = direct(Script::Flood(5_000, b"small".to_vec())).await;
    for _ in 0..100 {
        let answer = read(&direct, &[""], &Reading { messages_most: 1, ..ALL }).await;
        assert!(matches!(answer.end, StreamEnd::CutByCount), "{answer:?}");
    }
    assert!(direct.is_usable());
    assert_eq!(backend.connections().opened, 1);
}
