//! gRPC callers that write JSON (protocols G-3).

use tandem_testkit::backend::{Backend, End, Script};
use tandem_testkit::client::{GrpcAnswer, GrpcCall, note};
use tandem_testkit::{TestGateway, gateway};

use crate::{CODINGS, coded, framed, reached};

const JSON: (&str, &str) = ("content-type", "application/grpc+json");

async fn send(
    gateway: &TestGateway,
    method: &str,
    headers: &[(&str, &str)],
    pieces: &[&[u8]],
) -> GrpcAnswer {
    let headers = [&[JSON], headers].concat();
    let mut call = GrpcCall::open(gateway.public, method, &headers).await;
    for piece in pieces {
        call.bytes(piece);
    }
    call.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_g_3_json_is_written_anew_in_both_directions() {
    let two = || Script::Answer {
        http_status: 200,
        head: vec![("content-type", "application/grpc"), ("x-head", "1")],
        messages: vec![note("a"), Vec::new()],
        trailers: Some(vec![("grpc-status", "0"), ("x-tail", "2")]),
    };
    let json = [br#"{"text":"x"}"#.as_slice(), b" { } "];
    for (method, sent, script, answered) in [
        ("Get", 1, Script::message(note("a")), 1),
        ("Many", 1, two(), 2),
        ("Collect", 2, Script::message(note("a")), 1),
        ("Talk", 2, two(), 2),
    ] {
        let backend = Backend::start(vec![script]);
        let gateway = gateway(backend.address).start().await;
        let frames: Vec<u8> = json[..sent].iter().flat_map(|json| framed(false, json)).collect();
        let cut: Vec<&[u8]> = frames.chunks(3).collect();
        for pieces in [&[&frames[..]][..], &cut] {
            let answer = send(&gateway, method, &[], pieces).await;
            assert_eq!(answer.status(), "0", "{method}");
            assert_eq!(answer.head["content-type"], "application/grpc+json");
            let expected = [br#"{"text":"a"}"#.as_slice(), b"{}"];
            assert_eq!(answer.messages, expected[..answered], "{method}");
            let reached = backend.reached().pop().unwrap();
            assert_eq!(reached.headers["content-type"], "application/grpc");
            assert_eq!(reached.messages, [note("x"), Vec::new()][..sent], "{method}");
            assert!(reached.ended);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_g_3_compressed_json_is_decoded_and_the_upstream_is_told_nothing_of_it() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway(backend.address).limits("message: 1KiB").start().await;
    let sized = |bytes: usize| format!("{{\"text\":\"{}\"}}", "x".repeat(bytes - 11)).into_bytes();
    for coding in CODINGS {
        let named = [("grpc-encoding", coding), ("grpc-accept-encoding", coding)];
        for (headers, frame, status) in [
            (&named[..], framed(true, &coded(coding, br#"{"text":"x"}"#)), "0"),
            (&named, framed(false, br#"{"text":"x"}"#), "0"),
            (&named, framed(true, &coded(coding, &sized(1024))), "0"),
            (&named, framed(true, &coded(coding, &sized(1025))), "8"),
            (&named, framed(false, &sized(1025)), "8"),
            (&named, framed(true, b"in no coding"), "3"),
            (&[], framed(true, &coded(coding, b"{}")), "13"),
            (&[("grpc-encoding", "snappy")], framed(false, b"{}"), "12"),
        ] {
            let case = format!("{coding} {} {}", headers.len(), frame.len());
            let headers = [headers, &[("x-case", &case)]].concat();
            let answer = send(&gateway, "Get", &headers, &[&frame]).await;
            assert_eq!(answer.status(), status, "{coding} {headers:?} {}", frame.len());
            assert!(!answer.head.contains_key("grpc-encoding"));
            if status == "0" {
                let reached = reached(&backend, &case).unwrap();
                assert!(!reached.headers.keys().any(|name| name.as_str().ends_with("-encoding")));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_g_3_what_is_no_json_of_the_method_is_refused() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway(backend.address).start().await;
    for json in ["", "x", "[]", "{\"text\":1}", "{\"other\":1}", "{} {}", "{\"text\":\"a\""] {
        for method in ["Get", "Collect"] {
            let frame = framed(false, json.as_bytes());
            let answer = send(&gateway, method, &[], &[&frame]).await;
            assert_eq!(answer.status(), "3", "{method} {json}");
            assert!(answer.trailers.is_none(), "one head");
        }
    }
    assert!(backend.reached().iter().all(|reached| !reached.ended), "none looked whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_g_3_an_answer_that_no_json_can_hold_breaks_off_with_a_status() {
    let unsound = vec![0x0a, 0xff]; // a length without its bytes
    let good = framed(false, &note("a"));
    let pieces = [good, framed(false, &unsound), framed(false, &note("never"))];
    for (method, pieces, answered) in [("Many", &pieces[..], 1), ("Get", &pieces[1..2], 0)] {
        let backend = Backend::start(vec![Script::Raw {
            head: vec![("content-type", "application/grpc")],
            pieces: pieces.to_vec(),
            end: End::Trailers(vec![("grpc-status", "0")]),
        }]);
        let gateway = gateway(backend.address).start().await;
        let answer = send(&gateway, method, &[], &[&framed(false, b"{}")]).await;
        assert_eq!(answer.messages.len(), answered, "{method}");
        assert_eq!(answer.status(), "13", "{method}");
        assert!(!answer.reset);
    }
    // What was not offered is a fault, whatever it holds.
    let backend = Backend::start(vec![Script::Raw {
        head: vec![("content-type", "application/grpc"), ("grpc-encoding", "gzip")],
        pieces: vec![framed(true, &coded("gzip", &note("a")))],
        end: End::Trailers(vec![("grpc-status", "0")]),
    }]);
    let gateway = gateway(backend.address).start().await;
    let accepts = [("grpc-accept-encoding", "gzip")];
    let answer = send(&gateway, "Get", &accepts, &[&framed(false, b"{}")]).await;
    assert_eq!(answer.status(), "13");
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_g_2_a_status_of_the_upstream_reaches_a_caller_of_json_whole() {
    let backend = Backend::start(vec![Script::trailers(&[
        ("grpc-status", "5"),
        ("grpc-message", "none"),
        ("grpc-status-details-bin", "CAUSBG5vbmUaCQoDdC9iEgJoaQ"),
    ])]);
    let gateway = gateway(backend.address).start().await;
    let answer = send(&gateway, "Get", &[], &[&framed(false, b"{}")]).await;
    assert!(answer.trailers.is_none());
    assert_eq!(answer.head["content-type"], "application/grpc+json");
    assert_eq!(answer.head["grpc-status"], "5");
    assert_eq!(answer.head["grpc-status-details-bin"], "CAUSBG5vbmUaCQoDdC9iEgJoaQ");
}
