//! What callers read of failures (protocols, section 8).

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use tandem_contract::fields;
use tandem_testkit::backend::{Backend, Script};
use tandem_testkit::client::{GrpcAnswer, grpc, note, rest};
use tandem_testkit::gateway;

const FULL: &str = "/v1/notes/a";

/// A `google.rpc.Status` of code 3 with one detail, whose length asks for padding in base64.
fn details() -> Vec<u8> {
    let mut detail = Vec::new();
    fields::put_bytes(1, b"type.googleapis.com/test.v1.Note", &mut detail);
    fields::put_bytes(2, &note("why"), &mut detail);
    let mut status = vec![0x08, 3];
    fields::put_bytes(2, b"of the details", &mut status);
    fields::put_bytes(3, &detail, &mut status);
    status
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_e_4_the_trailer_wins_and_the_details_pass_padded_or_not() {
    let (padded, plain) =
        (BASE64_STANDARD.encode(details()), BASE64_STANDARD_NO_PAD.encode(details()));
    assert_ne!(padded, plain);
    for text in [padded, plain.clone()] {
        let text: &'static str = text.leak();
        let backend = Backend::start(vec![Script::trailers(&[
            ("grpc-status", "5"),
            ("grpc-message", "of the trailer"),
            ("grpc-status-details-bin", text),
        ])]);
        let gateway = gateway(backend.address).start().await;

        let answer = rest(gateway.public, "GET", FULL, "").await;
        assert_eq!(answer.status, 404, "{}", answer.body);
        assert_eq!(
            answer.body,
            r#"{"code":5,"message":"of the trailer","details":[{"@type":"type.googleapis.com/test.v1.Note","text":"why"}]}"#
        );

        let answer = grpc(gateway.public, "Get", &[], &[&note("a")]).await;
        assert_eq!(answer.status(), "5");
        assert_eq!(said(&answer, "grpc-message"), "of the trailer");
        let passed = said(&answer, "grpc-status-details-bin");
        assert_eq!(passed.trim_end_matches('='), plain);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_e_12_callers_learn_no_address_and_no_name_of_the_house() {
    let gone = Backend::start(vec![Script::Echo]).address;
    let faults = [
        ("dead", None),
        ("reset", Some(Script::Reset(2))),
        ("refused", Some(Script::Reset(7))),
        ("garbage", Some(Script::Garbage(b"\xff\xff\xff\xff\xff\xff".to_vec()))),
        ("breaks off", Some(Script::ResetAfter { messages: Vec::new(), code: 8 })),
        ("no status", Some(Script::trailers(&[]))),
        ("two messages", Some(two())),
        ("a message that is none", Some(Script::message(vec![0x0a, 0xff]))),
    ];
    for (fault, script) in faults {
        let backend = script.map(|script| Backend::start(vec![script]));
        let address = backend.as_ref().map_or(gone, |backend| backend.address);
        let gateway = gateway(address).start().await;
        let answer = rest(gateway.public, "GET", FULL, "").await;
        assert!(answer.status >= 400, "{fault}: {}", answer.body);
        let mut read = vec![answer.head, answer.body];
        let answer = grpc(gateway.public, "Get", &[], &[&note("a")]).await;
        if fault != "a message that is none" {
            assert_ne!(answer.status(), "0", "{fault}");
        }
        read.push(said(&answer, "grpc-message"));
        for text in read {
            let port = address.port().to_string();
            for word in text.split(|c: char| !c.is_ascii_alphanumeric()) {
                // `it` is the upstream's name.
                assert!(word != port && word != "it" && word != "yaml", "{fault}: {text}");
            }
            assert!(!text.contains("127.0.0.1"), "{fault}: {text}");
        }
    }
}

/// A field beside the status.
fn said(answer: &GrpcAnswer, name: &str) -> String {
    let holder = answer.trailers.as_ref().unwrap_or(&answer.head);
    holder.get(name).map_or("", |value| value.to_str().expect("text")).to_owned()
}

fn two() -> Script {
    Script::Answer {
        http_status: 200,
        head: vec![("content-type", "application/grpc")],
        messages: vec![note("a"), note("b")],
        trailers: Some(vec![("grpc-status", "0")]),
    }
}
