//! Every kind of method × compression × outcome: what reached the upstream, and what came back,
//! to the last header and byte (protocols T-10).

use http::HeaderMap;
use tandem_testkit::backend::{Backend, End, Reached, Script};
use tandem_testkit::client::{GrpcAnswer, GrpcCall, note};
use tandem_testkit::{TestGateway, gateway};

use crate::{CODINGS, coded, framed};

/// Code 9, a message and one detail.
const DETAILS: &str = "CAkSAm5vGgkKA3QvYhICaGk";
const FAILED: [(&str, &str); 3] =
    [("grpc-status", "9"), ("grpc-message", "no"), ("grpc-status-details-bin", DETAILS)];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Outcome {
    Good,
    /// One head says all.
    FailsAtOnce,
    /// A head, then trailers, no message between them.
    FailsBeforeMessages,
    /// Behind the messages.
    FailsLate,
    /// The stream is reset behind the messages.
    Breaks,
    /// The caller is at fault, so the gateway says it.
    Refused,
}

struct Kind {
    method: &'static str,
    asks: usize,
    answers: usize,
}

const KINDS: [Kind; 4] = [
    Kind { method: "Get", asks: 1, answers: 1 },
    Kind { method: "Many", asks: 1, answers: 2 },
    Kind { method: "Collect", asks: 2, answers: 1 },
    Kind { method: "Talk", asks: 2, answers: 2 },
];

#[tokio::test(flavor = "multi_thread")]
async fn protocols_t_10_every_kind_compression_and_outcome() {
    use Outcome::{Breaks, FailsAtOnce, FailsBeforeMessages, FailsLate, Good, Refused};
    let compressions = CODINGS.map(Some);
    for compression in [None].into_iter().chain(compressions) {
        for outcome in [Good, FailsAtOnce, FailsBeforeMessages, FailsLate, Breaks, Refused] {
            for kind in &KINDS {
                check(kind, compression, outcome).await;
            }
        }
    }
}

/// Where a caller leaves: its request whole, or in the middle of it.
#[tokio::test(flavor = "multi_thread")]
async fn hybrid_hy_2_a_caller_that_leaves_cancels_a_call_of_every_kind() {
    for kind in &KINDS {
        for compression in [None, Some("gzip")] {
            for whole in [true, false] {
                let what = format!("{} {compression:?} whole: {whole}", kind.method);
                let backend = Backend::start(vec![Script::Hang]);
                let gateway = gateway(backend.address).start().await;
                let named = compression.map(|coding| ("grpc-encoding", coding));
                let headers: Vec<_> = named.into_iter().collect();
                let mut call = GrpcCall::open(gateway.public, kind.method, &headers).await;
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
                gateway.until(|gateway| gateway.figures(kind.method).abandoned == 1).await;
                assert_eq!(gateway.figures(kind.method).codes[1], 1, "{what}: CANCELLED");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_m_7_a_deadline_ends_a_call_of_every_kind_on_both_sides() {
    for kind in &KINDS {
        let backend = Backend::start(vec![Script::Hang]);
        let gateway = gateway(backend.address).start().await;
        let headers = [("grpc-timeout", "300m")];
        let mut call = GrpcCall::open(gateway.public, kind.method, &headers).await;
        call.message(&note("asked"));
        let answer = call.finish().await;
        assert_eq!(answer.status(), "4", "{}", kind.method);
        assert!(answer.messages.is_empty() && !answer.reset, "{}", kind.method);
        backend.cancelled(1).await;
    }
}

async fn check(kind: &Kind, compression: Option<&'static str>, outcome: Outcome) {
    let what = format!("{} {compression:?} {outcome:?}", kind.method);
    let frame = |text: &str| match compression {
        Some(coding) => framed(true, &coded(coding, &note(text))),
        None => framed(false, &note(text)),
    };
    let answered: Vec<Vec<u8>> = (0..kind.answers).map(|n| frame(&format!("answer {n}"))).collect();
    let backend = Backend::start(vec![script(compression, outcome, &answered)]);
    let gateway = gateway(backend.address).start().await;
    let mut asked: Vec<Vec<u8>> = (0..kind.asks).map(|n| frame(&format!("asked {n}"))).collect();
    if outcome == Outcome::Refused {
        asked.push(vec![9, 0, 0, 0, 0]); // a flag that is none
    }
    let answer = call(&gateway, kind, compression, &asked).await;
    let answered = answered.concat();
    let common = ["content-type", "server", "x-request-id"];
    let coding = compression.map(|_| "grpc-encoding");
    let failed = FAILED.map(|(name, _)| name);
    match outcome {
        Outcome::Good => {
            names(&answer.head, common.into_iter().chain(coding).chain(["x-head"]), &what);
            let trailers = answer.trailers.as_ref().expect(&what);
            names(trailers, ["grpc-status", "x-tail"], &what);
            assert!(answer.body == answered, "{what}");
        }
        Outcome::FailsAtOnce | Outcome::FailsBeforeMessages => {
            let head = if outcome == Outcome::FailsAtOnce { None } else { Some("x-head") };
            let coding = coding.filter(|_| outcome == Outcome::FailsBeforeMessages);
            let all = common.into_iter().chain(failed).chain(["x-tail"]).chain(head).chain(coding);
            names(&answer.head, all, &what);
            assert!(answer.trailers.is_none(), "{what}");
            assert!(answer.body.is_empty(), "{what}");
            assert_eq!(answer.head["grpc-status-details-bin"], DETAILS, "{what}");
        }
        Outcome::FailsLate => {
            names(&answer.head, common.into_iter().chain(coding).chain(["x-head"]), &what);
            let trailers = answer.trailers.as_ref().expect(&what);
            names(trailers, failed.into_iter().chain(["x-tail"]), &what);
            assert_eq!(trailers["grpc-status-details-bin"], DETAILS, "{what}");
            assert!(answer.body == answered, "{what}");
        }
        Outcome::Breaks => {
            names(&answer.head, common.into_iter().chain(coding).chain(["x-head"]), &what);
            let trailers = answer.trailers.as_ref().expect(&what);
            names(trailers, ["grpc-status", "grpc-message"], &what);
            assert!(answer.body == answered, "{what}");
        }
        Outcome::Refused => {
            names(&answer.head, common.into_iter().chain(["grpc-status", "grpc-message"]), &what);
            assert!(answer.body.is_empty() && answer.trailers.is_none(), "{what}");
        }
    }
    assert_eq!(answer.http_status, 200, "{what}");
    assert_eq!(answer.head["content-type"], "application/grpc", "{what}");
    assert!(!answer.reset, "{what}");
    let status = match outcome {
        Outcome::Good => "0",
        Outcome::FailsAtOnce | Outcome::FailsBeforeMessages | Outcome::FailsLate => "9",
        Outcome::Breaks => "13",
        Outcome::Refused => "3",
    };
    assert_eq!(answer.status(), status, "{what}");
    if outcome == Outcome::Refused {
        // What had passed before may have arrived; it never looks whole.
        assert!(backend.reached().iter().all(|reached| !reached.ended), "{what}");
        return;
    }
    let all = backend.reached();
    assert_eq!(all.len(), 1, "{what}: sent once");
    arrived(&all[0], kind, compression, &asked.concat(), &what);
}

fn script(compression: Option<&'static str>, outcome: Outcome, answers: &[Vec<u8>]) -> Script {
    let mut head = vec![("content-type", "application/grpc")];
    if outcome == Outcome::FailsAtOnce {
        head.extend(FAILED);
        head.push(("x-tail", "2"));
        return Script::Raw { head, pieces: Vec::new(), end: End::Bare };
    }
    head.push(("x-head", "1"));
    head.extend(compression.map(|coding| ("grpc-encoding", coding)));
    let mut failed = FAILED.to_vec();
    failed.push(("x-tail", "2"));
    let (pieces, end) = match outcome {
        Outcome::FailsBeforeMessages => (Vec::new(), End::Trailers(failed)),
        Outcome::FailsLate => (answers.to_vec(), End::Trailers(failed)),
        Outcome::Breaks => (answers.to_vec(), End::Reset(0x2)),
        Outcome::Good | Outcome::Refused | Outcome::FailsAtOnce => {
            (answers.to_vec(), End::Trailers(vec![("grpc-status", "0"), ("x-tail", "2")]))
        }
    };
    Script::Raw { head, pieces, end }
}

async fn call(
    gateway: &TestGateway,
    kind: &Kind,
    compression: Option<&str>,
    asked: &[Vec<u8>],
) -> GrpcAnswer {
    let mut headers = vec![
        ("x-mine", "y"),
        ("x-mine", "z"),
        ("x-mine-bin", "AAE="),
        ("user-agent", "grpc-own/1"),
        // What a stranger may not say.
        ("x-tandem-principal", "cm9vdA"),
        ("x-forwarded-for", "10.0.0.1"),
        ("grpc-status", "0"),
        ("connect-protocol-version", "1"),
    ];
    if let Some(coding) = compression {
        headers.extend([("grpc-encoding", coding), ("grpc-accept-encoding", "identity,gzip")]);
    }
    let mut call = GrpcCall::open(gateway.public, kind.method, &headers).await;
    for message in asked {
        call.bytes(message);
    }
    call.finish().await
}

fn arrived(reached: &Reached, kind: &Kind, compression: Option<&str>, asked: &[u8], what: &str) {
    assert_eq!(reached.path, format!("/test.v1.Notes/{}", kind.method), "{what}");
    assert!(reached.body == asked, "{what}: the messages pass as they are");
    assert!(reached.ended, "{what}");
    let unary = kind.method == "Get";
    let compressed = ["grpc-encoding", "grpc-accept-encoding"];
    let expected = [
        "content-type",
        "te",
        "traceparent",
        "user-agent",
        "x-forwarded-for",
        "x-mine",
        "x-mine-bin",
        "x-request-id",
    ];
    let expected = expected
        .into_iter()
        .chain(unary.then_some("grpc-timeout"))
        .chain(compressed.into_iter().filter(|_| compression.is_some()));
    names(&reached.headers, expected, what);
    assert!(reached.headers.get_all("x-mine").iter().eq(["y", "z"]), "{what}: in order");
    assert_eq!(reached.headers["x-mine-bin"], "AAE", "{what}: unpadded");
    assert_eq!(reached.headers["x-forwarded-for"], "127.0.0.1", "{what}");
}

/// Asserts that there are these headers and no others.
fn names<'a>(headers: &HeaderMap, expected: impl IntoIterator<Item = &'a str>, what: &str) {
    let mut expected: Vec<&str> = expected.into_iter().collect();
    expected.sort_unstable();
    let mut found: Vec<&str> = headers.keys().map(|name| name.as_str()).collect();
    found.sort_unstable();
    assert_eq!(found, expected, "{what}");
}
