//! The rules of protocols, section 11, that a gRPC caller meets.

use tandem_testkit::backend::{Backend, End, Script};
use tandem_testkit::client::{GrpcAnswer, GrpcCall, grpc, note};
use tandem_testkit::{TestGateway, gateway};

use crate::{CODINGS, coded, framed, reached};

const GRPC: (&str, &str) = ("content-type", "application/grpc");

/// Sends these bytes, a DATA frame each, and ends the request.
async fn send(
    gateway: &TestGateway,
    method: &str,
    headers: &[(&str, &str)],
    pieces: &[&[u8]],
) -> GrpcAnswer {
    let mut call = GrpcCall::open(gateway.public, method, headers).await;
    for piece in pieces {
        call.bytes(piece);
    }
    call.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_g_1_a_timeout_that_is_none_or_over_never_reaches_the_upstream() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway(backend.address).start().await;
    let message = note("x");
    for (text, status) in [
        ("1H", "0"),
        ("99999999S", "0"),
        ("1M", "0"),
        ("9000m", "0"),
        ("9000000u", "0"),
        ("0m", "4"),
        ("1n", "4"),         // gone before it could be asked
        ("123456789m", "3"), // nine digits
        ("1", "3"),
        ("m", "3"),
        ("", "3"),
        ("-1m", "3"),
        ("1.5S", "3"),
        ("1 S", "3"),
        ("1s", "3"),
        ("1ms", "3"),
    ] {
        let case = format!("<{text}>");
        let headers = [("grpc-timeout", text), ("x-case", &case)];
        let answer = grpc(gateway.public, "Get", &headers, &[&message]).await;
        assert_eq!(answer.status(), status, "{text:?}");
        assert_eq!(reached(&backend, &case).is_some(), status == "0", "{text:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_g_2_details_are_kept_in_the_one_head_of_a_failure() {
    // code 9, and an ErrorInfo-like Any; padded, as some services write it.
    const DETAILS: &str = "CAkSAm5vGgkKA3QvYhICaGk=";
    let told = [("grpc-status", "9"), ("grpc-message", "no"), ("grpc-status-details-bin", DETAILS)];
    let in_head = || {
        let mut head = vec![GRPC, ("x-tail", "1")];
        head.extend(told);
        Script::Raw { head, pieces: Vec::new(), end: End::Bare }
    };
    let behind_a_head = || {
        let mut trailers = vec![("x-tail", "1")];
        trailers.extend(told);
        Script::Raw { head: vec![GRPC], pieces: Vec::new(), end: End::Trailers(trailers) }
    };
    let behind_empty_data = || {
        let mut trailers = vec![("x-tail", "1")];
        trailers.extend(told);
        Script::Raw { head: vec![GRPC], pieces: vec![Vec::new()], end: End::Trailers(trailers) }
    };
    for (script, sent) in [in_head(), behind_a_head(), behind_empty_data()].into_iter().zip(0..) {
        let backend = Backend::start(vec![script]);
        let gateway = gateway(backend.address).start().await;
        for method in ["Get", "Many", "Collect", "Talk"] {
            let answer = grpc(gateway.public, method, &[], &[&note("x")]).await;
            assert!(answer.trailers.is_none(), "{sent} {method}: one head");
            assert!(answer.body.is_empty(), "{sent} {method}");
            let head = |name: &str| answer.head[name].to_str().unwrap();
            assert_eq!(head("grpc-status"), "9", "{sent} {method}");
            assert_eq!(head("grpc-message"), "no");
            assert_eq!(head("grpc-status-details-bin"), DETAILS.trim_end_matches('='));
            assert_eq!(head("x-tail"), "1");
        }
    }
    // A status behind a message stays behind it.
    let backend = Backend::start(vec![Script::Raw {
        head: vec![GRPC],
        pieces: vec![framed(false, &note("a"))],
        end: End::Trailers(told.to_vec()),
    }]);
    let gateway = gateway(backend.address).start().await;
    let answer = grpc(gateway.public, "Many", &[], &[&note("x")]).await;
    assert!(!answer.head.contains_key("grpc-status"));
    let trailers = answer.trailers.unwrap();
    assert_eq!(trailers["grpc-status-details-bin"], DETAILS.trim_end_matches('='));
    assert_eq!(trailers["grpc-status"], "9");
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_g_4_the_request_is_measured_by_what_it_holds() {
    let backend = Backend::start(vec![Script::message(note("ok"))]);
    let gateway = gateway(backend.address).limits("message: 200KiB").start().await;
    let sized = |bytes: usize| note(&"x".repeat(bytes - 4));
    let ratio = 64 << 10;
    for coding in CODINGS {
        let small = coded(coding, &note("hello"));
        let fits = coded(coding, &sized(ratio));
        let bomb = coded(coding, &sized(ratio + 1));
        assert!(ratio > 100 * bomb.len(), "{coding}: the ratio is broken");
        let noisy = |bytes| coded(coding, &noise(bytes));
        let cut = &small[..small.len() - 1];
        let named = [("grpc-encoding", coding)];
        let check = async |headers: &[(&str, &str)], frames: &[u8], status: &str| {
            // Split where nothing else splits it, too.
            let (one, two) = frames.split_at(frames.len() / 2);
            for (pieces, case) in [(&[frames][..], "whole"), (&[one, two], "split")] {
                let case = format!("{case} {coding} {}", frames.len());
                let headers = [headers, &[("x-case", &case)]].concat();
                let answer = send(&gateway, "Get", &headers, pieces).await;
                assert_eq!(answer.status(), status, "{coding} {headers:?} {}", frames.len());
                if status == "0" {
                    let reached = reached(&backend, &case).unwrap();
                    assert_eq!(reached.headers["grpc-encoding"], coding);
                    assert!(reached.body == frames, "{coding}: it passes as it is");
                }
            }
        };
        check(&named, &framed(true, &small), "0").await;
        check(&named, &framed(false, &note("plain")), "0").await;
        check(&named, &framed(true, b""), "0").await;
        check(&named, &framed(true, &fits), "0").await;
        check(&named, &framed(true, &bomb), "8").await;
        check(&named, &framed(true, &noisy(200 << 10)), "0").await;
        check(&named, &framed(true, &noisy((200 << 10) + 1)), "8").await;
        check(&named, &framed(true, cut), "3").await;
        check(&named, &framed(true, b"in no coding"), "3").await;
        // The flag says compressed and nobody said in what.
        check(&[], &framed(true, &small), "13").await;
        check(&[("grpc-encoding", "identity")], &framed(true, &small), "13").await;
    }
}

/// Bytes that are a note and hold nearly as many in every coding.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let letters = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'!' + (state >> 26) as u8)
    });
    note(&letters.take(bytes - 4).collect::<String>())
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_g_4_an_unknown_encoding_names_those_that_are_taken() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway(backend.address).start().await;
    for encoding in ["snappy", "br", "GZIP", "gzip,zstd", ""] {
        // Whether or not a message is compressed: the call could not be answered for.
        for compressed in [false, true] {
            let frame = framed(compressed, &note("x"));
            let answer = send(&gateway, "Get", &[("grpc-encoding", encoding)], &[&frame]).await;
            assert_eq!(answer.status(), "12", "{encoding}");
            assert_eq!(
                answer.head["grpc-accept-encoding"], "identity, gzip, deflate, zstd",
                "{encoding}"
            );
        }
    }
    assert!(backend.reached().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_g_4_a_limit_is_answered_before_the_request_ends() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway(backend.address).limits("message: 1KiB").start().await;
    let large = note(&"x".repeat(2_000));
    for method in ["Get", "Collect", "Talk"] {
        for (headers, frame) in [
            (vec![], framed(false, &large)),
            // Its head alone, which promises more than may come.
            (vec![], framed(false, &large)[..5].to_vec()),
            (vec![("grpc-encoding", "zstd")], framed(true, &coded("zstd", &large))),
            (vec![("grpc-encoding", "gzip")], framed(true, &coded("gzip", &large))),
        ] {
            let mut call = GrpcCall::open(gateway.public, method, &headers).await;
            call.bytes(&frame);
            // Not `finish`: the request stays open.
            let answer = call.read().await;
            assert_eq!(answer.status(), "8", "{method} {headers:?}");
        }
    }
    assert!(backend.reached().iter().all(|reached| !reached.ended), "it never looked whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_g_4_the_answer_is_measured_by_what_it_holds() {
    let ratio = 64 << 10;
    for coding in CODINGS {
        let small = framed(true, &coded(coding, &note("hello")));
        let fits = framed(true, &coded(coding, &note(&"x".repeat(ratio - 4))));
        let bomb = framed(true, &coded(coding, &note(&"x".repeat(ratio - 3))));
        let accepts = ("grpc-accept-encoding", coding);
        let sends = ("grpc-encoding", coding);
        let other = if coding == "gzip" { "zstd" } else { "gzip" };
        for (asked, named, body, status) in [
            (vec![accepts], Some(coding), &small, "0"),
            (vec![sends], Some(coding), &small, "0"), // what a caller sends it also takes
            (vec![accepts], Some(coding), &fits, "0"),
            (vec![accepts], Some(coding), &bomb, "8"),
            (vec![accepts], Some(other), &small, "13"), // not offered
            (vec![], Some(coding), &small, "13"),
            (vec![accepts], None, &small, "13"), // the flag without a name
            (vec![accepts], Some("identity"), &small, "13"),
            (vec![accepts], Some("snappy"), &small, "13"),
            (vec![accepts], Some(coding), &framed(true, b"in no coding"), "13"),
        ] {
            let mut head = vec![GRPC];
            head.extend(named.map(|named| ("grpc-encoding", named)));
            let end = End::Trailers(vec![("grpc-status", "0")]);
            let backend =
                Backend::start(vec![Script::Raw { head, pieces: vec![body.clone()], end }]);
            let gateway = gateway(backend.address).start().await;
            for method in ["Get", "Many"] {
                let frame = framed(false, &note("x"));
                let answer = send(&gateway, method, &asked, &[&frame]).await;
                assert_eq!(answer.status(), status, "{coding} {asked:?} {named:?} {method}");
                if status == "0" {
                    assert_eq!(answer.head["grpc-encoding"], coding);
                    assert!(&answer.body == body, "{coding}: it passes as it is");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_g_4_only_what_can_be_measured_is_offered_and_told() {
    let backend = Backend::start(vec![Script::Answer {
        http_status: 200,
        head: vec![GRPC, ("grpc-accept-encoding", "snappy,identity,gzip")],
        messages: vec![note("a")],
        trailers: Some(vec![("grpc-status", "0")]),
    }]);
    let gateway = gateway(backend.address).start().await;
    for (offered, reaches) in [
        ("identity,deflate,gzip", Some("identity,deflate,gzip")),
        ("zstd, snappy, br", Some("zstd")),
        ("snappy", None),
    ] {
        let headers = [("grpc-accept-encoding", offered)];
        let answer = grpc(gateway.public, "Get", &headers, &[&note("x")]).await;
        assert_eq!(answer.head["grpc-accept-encoding"], "identity,gzip");
        let reached = backend.reached().pop().unwrap();
        let reached = reached.headers.get("grpc-accept-encoding");
        assert_eq!(reached.map(|value| value.to_str().unwrap()), reaches, "{offered}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_g_5_frames_may_be_cut_and_joined_anywhere() {
    let limit = 1024;
    let message = |bytes: usize| framed(false, &note(&"x".repeat(bytes - 3)));
    let empty = framed(false, b"");
    let small = framed(false, &note("hello"));
    let most = message(limit);
    let over = message(limit + 1);
    let bytes_alone: Vec<&[u8]> = small.chunks(1).collect();
    let three = [&small[..], &empty, &most].concat();
    let odd: Vec<&[u8]> = three.chunks(7).collect();
    let over_behind = [&small[..], &over].concat();
    // pieces, messages, the status
    let cases: [(&[&[u8]], usize, &str); 10] = [
        (&[&small], 1, "0"),
        (&bytes_alone, 1, "0"),
        (&[&small[..5], &small[5..]], 1, "0"),
        (&[b"", &small, b""], 1, "0"),
        (&[&three], 3, "0"),
        (&odd, 3, "0"),
        (&[&empty], 1, "0"),
        (&[&most], 1, "0"),
        (&[&over], 1, "8"),
        (&[&over_behind], 2, "8"),
    ];
    for (pieces, messages, status) in cases {
        let whole = pieces.concat();
        // Towards the upstream.
        let backend = Backend::start(vec![Script::message(note("ok"))]);
        let testee = gateway(backend.address).limits("message: 1KiB").start().await;
        for method in ["Get", "Many", "Collect", "Talk"] {
            let one_is_due = matches!(method, "Get" | "Many");
            if one_is_due && messages != 1 {
                continue;
            }
            let before = backend.reached().len();
            let answer = send(&testee, method, &[], pieces).await;
            assert_eq!(answer.status(), status, "{method}: {} in {}", whole.len(), pieces.len());
            if status == "0" {
                assert!(backend.reached()[before].body == whole, "{method}: {}", whole.len());
            }
        }
        // Towards the caller.
        if status != "0" {
            continue; // the limit of answers is another: calls.rs and g_4
        }
        let pieces: Vec<Vec<u8>> = pieces.iter().map(|piece| piece.to_vec()).collect();
        let end = End::Trailers(vec![("grpc-status", "0")]);
        let backend = Backend::start(vec![Script::Raw { head: vec![GRPC], pieces, end }]);
        let gateway = gateway(backend.address).start().await;
        for method in ["Get", "Many", "Collect", "Talk"] {
            if matches!(method, "Get" | "Collect") && messages != 1 {
                continue;
            }
            let answer = send(&gateway, method, &[], &[&small]).await;
            assert_eq!(answer.status(), "0", "{method}");
            assert!(answer.body == whole, "{method}");
        }
    }
}

/// A server of HTTP/2 ends a connection on which too many small frames come; with it go the calls
/// of others.
#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_cuts_small_does_not_end_the_connection_of_others() {
    let backend = Backend::start(vec![Script::message(note("ok"))]);
    let gateway = gateway(backend.address).start().await;
    let frames = framed(false, &note("hello")).repeat(400);
    let cut: Vec<&[u8]> = frames.chunks(3).collect();
    let answer = send(&gateway, "Collect", &[], &cut).await;
    assert_eq!(answer.status(), "0");
    assert!(backend.reached()[0].body == frames);
    assert_eq!(backend.connections().closed, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_g_5_a_request_ends_between_messages_only() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway(backend.address).start().await;
    let frame = framed(false, &note("hello"));
    for end in 1..frame.len() {
        let answer = send(&gateway, "Collect", &[], &[&frame[..end]]).await;
        assert_eq!(answer.status(), "3", "{end}");
    }
    assert!(backend.reached().iter().all(|reached| !reached.ended), "none looked whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_g_6_compressed_messages_are_counted_like_others() {
    let two = framed(true, &coded("gzip", &note("x"))).repeat(2);
    let named = [("grpc-encoding", "gzip")];
    let backend = Backend::start(vec![Script::Raw {
        head: vec![GRPC, named[0]],
        pieces: vec![two.clone()],
        end: End::Trailers(vec![("grpc-status", "0")]),
    }]);
    let gateway = gateway(backend.address).start().await;
    for (method, body, status) in [
        ("Get", &two[..], "12"),
        ("Many", &two, "12"),
        ("Get", &two[..two.len() / 2], "12"), // two answers
        ("Collect", &two, "12"),              // two answers
        ("Many", &two[..two.len() / 2], "0"),
        ("Talk", &two, "0"),
    ] {
        let answer = send(&gateway, method, &named, &[body]).await;
        assert_eq!(answer.status(), status, "{method} {}", body.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_e_9_an_answer_in_another_codec_is_a_fault_of_the_upstream() {
    for (media, status) in [
        ("application/grpc", "0"),
        ("application/grpc+proto", "0"),
        ("application/grpc;charset=utf-8", "0"),
        ("application/grpc+json", "13"),
        ("application/grpc+thrift", "13"),
        ("application/grpc-web", "2"),
        ("application/grpcx", "2"),
        ("application/json", "2"),
    ] {
        for messages in [vec![note("a")], Vec::new()] {
            let backend = Backend::start(vec![Script::Answer {
                http_status: 200,
                head: vec![("content-type", media)],
                messages,
                trailers: Some(vec![("grpc-status", "0")]),
            }]);
            let gateway = gateway(backend.address).start().await;
            let answer = grpc(gateway.public, "Talk", &[], &[&note("x")]).await;
            assert_eq!(answer.status(), status, "{media}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_g_8_what_the_gateway_answers_itself_keeps_the_same_rules() {
    const HEALTH: &str = "/grpc.health.v1.Health/Check";
    const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway(backend.address).offering().start().await;
    // Field 1 of a health question, field 4 of one of reflection: the service's name.
    let question = |field: u8| [&[field << 3 | 2, 13][..], b"test.v1.Notes"].concat();
    for (path, plain, two) in [(HEALTH, question(1), "12"), (REFLECTION, question(4), "0")] {
        for coding in CODINGS {
            let named = &[("grpc-encoding", coding)][..];
            let packed = framed(true, &coded(coding, &plain));
            let bomb = framed(true, &coded(coding, &vec![0; 70_000]));
            for (headers, body, status) in [
                (named, packed.clone(), "0"),
                (named, framed(false, &plain), "0"),
                (named, [&packed[..], &packed].concat(), two),
                (named, bomb, "8"),
                (named, framed(true, b"in no coding"), "3"),
                (&[], packed.clone(), "13"),
                (&[], framed(false, &vec![0; 70_000]), "8"),
                (&[("grpc-encoding", "snappy")], framed(false, &plain), "12"),
            ] {
                let answer = send(&gateway, path, headers, &[&body]).await;
                assert_eq!(answer.status(), status, "{path} {headers:?} {}", body.len());
                if status == "0" {
                    assert!(!answer.messages.is_empty(), "{path}");
                }
            }
        }
        for media in ["application/grpc+json", "application/grpc-web"] {
            let answer = send(&gateway, path, &[("content-type", media)], &[]).await;
            assert!(answer.status() != "0" && answer.messages.is_empty(), "{media}");
        }
    }
}
