//! What callers read of failures (protocols, section 8).

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use tandem_contract::fields;
use tandem_testkit::backend::{Backend, Script};
use tandem_testkit::client::{GrpcAnswer, RestCall, Transfer, grpc, note, rest};
use tandem_testkit::{Setup, TestGateway, gateway};

const FULL: &str = "/v1/notes/a";
const JSON: (&str, &str) = ("content-type", "application/json");

/// A call by HTTP/2 with these headers and a body.
async fn send(
    gateway: &TestGateway,
    line: (&str, &str),
    headers: &[(&str, &str)],
    body: &[u8],
) -> Transfer {
    let open = !body.is_empty();
    let mut call = RestCall::open(gateway.public, true, line, headers, open).await;
    if open {
        call.send(body).await;
        call.send(b"").await;
    }
    call.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_e_1_each_code_of_a_service_has_its_http_status() {
    const STATUSES: [u16; 17] =
        [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401];
    for (code, status) in STATUSES.into_iter().enumerate().skip(1).chain([(17, 500), (99, 500)]) {
        let text: &'static str = code.to_string().leak();
        let backend = Backend::start(vec![Script::trailers(&[("grpc-status", text)])]);
        let gateway = gateway(backend.address).start().await;
        let known = if code > 16 { 2 } else { code };
        for path in [FULL, "/v1/many"] {
            let answer = rest(gateway.public, "GET", path, "").await;
            let body = format!("{{\"code\":{known},\"message\":\"\",\"details\":[]}}");
            assert_eq!((answer.status, answer.body), (status, body), "{code} {path}");
        }
        for method in ["Get", "Many"] {
            let answer = grpc(gateway.public, method, &[], &[&note("a")]).await;
            assert_eq!(answer.status(), known.to_string(), "{code} {method}");
            assert_eq!(answer.http_status, 200);
        }
    }
}

/// What is wrong with a call, and what each caller is told of it.
struct Wrong {
    reason: &'static str,
    setup: fn(Setup) -> Setup,
    script: Script,
    rest: Option<Asked>,
    /// Status and code by REST.
    told: (u16, u32),
    grpc: Option<Asked>,
    /// The code by gRPC; or the HTTP status where that is all.
    grpc_told: Result<u32, u16>,
    /// A header beside the refusal, by REST and by gRPC; none where its name is empty.
    with: [(&'static str, &'static str); 2],
    /// It is the caller's doing: no request reaches the service to its end.
    of_caller: bool,
}

/// A request by HTTP/2.
type Asked = ((&'static str, &'static str), &'static [(&'static str, &'static str)], Vec<u8>);

#[tokio::test(flavor = "multi_thread")]
async fn protocols_e_2_each_reason_is_said_in_the_callers_own_protocol() {
    const GRPC: (&str, &str) = ("content-type", "application/grpc");
    const RPC: (&str, &str) = ("POST", "/test.v1.Notes/Get");
    const NONE: (&str, &str) = ("", "");
    let framed = || tandem_protocol::envelope::frame(&note("a")).to_vec();
    let get = || Some((("GET", FULL), &[][..], Vec::new()));
    let call = || Some((RPC, &[GRPC][..], framed()));
    let as_is = |setup: Setup| setup;
    let long: &'static str = format!("/v1/notes/{}", "x".repeat(8 * 1024)).leak();
    let large: &'static str = "x".repeat(16 * 1024).leak();
    let rest_types = ("accept", "application/json");
    let grpc_types = ("accept", "application/grpc, application/grpc+proto, application/grpc+json");
    let second = ("retry-after", "1");
    let json = br#"{"text":"a"}"#.to_vec();
    let plain = |reason, script, told, grpc_told, of_caller| Wrong {
        reason,
        setup: as_is,
        script,
        rest: get(),
        told,
        grpc: call(),
        grpc_told,
        with: [NONE, NONE],
        of_caller,
    };
    for wrong in [
        Wrong {
            rest: Some((("GET", "/v1/nothing"), &[], Vec::new())),
            grpc: Some((("POST", "/test.v1.Notes/Nothing"), &[GRPC], framed())),
            ..plain("no route or method", Script::Echo, (404, 5), Ok(12), true)
        },
        Wrong {
            rest: Some((("DELETE", FULL), &[], Vec::new())),
            grpc: Some((("GET", "/test.v1.Notes/Get"), &[GRPC], Vec::new())),
            with: [("allow", "GET, HEAD, OPTIONS"), ("allow", "POST")],
            ..plain("wrong HTTP method", Script::Echo, (405, 12), Err(405), true)
        },
        Wrong {
            rest: Some((("POST", "/v1/notes"), &[("content-type", "text/plain")], json.clone())),
            grpc: Some((RPC, &[("content-type", "application/grpc+thrift")], framed())),
            with: [rest_types, grpc_types],
            ..plain("media type", Script::Echo, (415, 3), Err(415), true)
        },
        Wrong {
            rest: Some((("GET", FULL), &[("accept", "text/html")], Vec::new())),
            grpc: None,
            ..plain("not acceptable", Script::Echo, (406, 3), Ok(0), true)
        },
        Wrong {
            rest: Some((("POST", "/v1/notes"), &[JSON, ("content-encoding", "br")], json.clone())),
            grpc: Some((RPC, &[GRPC, ("grpc-encoding", "br")], framed())),
            with: [
                ("accept-encoding", "gzip, deflate, zstd"),
                ("grpc-accept-encoding", "identity, gzip, deflate, zstd"),
            ],
            ..plain("content coding", Script::Echo, (415, 12), Ok(12), true)
        },
        Wrong {
            rest: Some((("GET", "/v1/notes/a?number=x"), &[], Vec::new())),
            grpc: Some((RPC, &[GRPC, ("grpc-timeout", "soon")], framed())),
            ..plain("cannot be parsed or bound", Script::Echo, (400, 3), Ok(3), true)
        },
        Wrong {
            rest: None,
            grpc: Some((RPC, &[GRPC], [&[1][..], &framed()[1..]].concat())),
            ..plain("compressed in nothing", Script::Echo, (0, 0), Ok(13), true)
        },
        // By gRPC the first of them may have left before the second came (G-6).
        Wrong {
            grpc: None,
            ..plain("two messages where one is due", two(), (501, 12), Ok(12), false)
        },
        Wrong {
            setup: |setup| setup.limits("message: 1KiB"),
            rest: Some((("POST", "/v1/notes"), &[JSON], vec![b' '; 1025])),
            grpc: Some((RPC, &[GRPC], tandem_protocol::envelope::frame(&[0; 1025]).to_vec())),
            ..plain("too large", Script::Echo, (413, 8), Ok(8), true)
        },
        Wrong {
            rest: Some((("GET", long), &[], Vec::new())),
            grpc: Some((("POST", long), &[GRPC], framed())),
            ..plain("URI too large", Script::Echo, (414, 3), Err(414), true)
        },
        Wrong {
            rest: Some((("GET", FULL), vec![("x-large", large)].leak(), Vec::new())),
            grpc: Some((RPC, vec![GRPC, ("x-large", large)].leak(), framed())),
            ..plain("head too large", Script::Echo, (431, 3), Err(431), true)
        },
        plain("rate or quota", Script::Reset(0xb), (429, 8), Ok(8), false),
        plain("not allowed", Script::Reset(0xc), (403, 7), Ok(7), false),
        Wrong {
            with: [second, second],
            ..plain("refused", Script::Reset(0x7), (503, 14), Ok(14), false)
        },
        Wrong {
            setup: |setup| setup.addresses(["127.0.0.1:1"]),
            with: [second, second],
            ..plain("no endpoint", Script::Echo, (503, 14), Ok(14), true)
        },
        Wrong {
            setup: |setup| setup.rules("deadline: { default: 100ms }"),
            ..plain("deadline", Script::Hang, (504, 4), Ok(4), false)
        },
        plain("unusable", Script::Garbage(b"\x07\0\0\0\0".to_vec()), (502, 13), Ok(13), false),
        Wrong {
            setup: |setup| setup.upstream("message: 1KiB"),
            ..plain("answer too large", Script::message(vec![0; 1025]), (502, 8), Ok(8), false)
        },
        plain("cancelled", Script::Reset(0x8), (499, 1), Ok(1), false),
    ] {
        let Wrong { reason, setup, script, rest, told, grpc, grpc_told, with, of_caller } = wrong;
        let backend = Backend::start(vec![script]);
        let gateway = setup(gateway(backend.address)).start().await;
        if let Some((line, headers, body)) = rest {
            let answer = send(&gateway, line, headers, &body).await;
            assert_eq!(answer.status, told.0, "{reason}: {}", answer.body);
            let begins = format!("{{\"code\":{},\"message\":\"", told.1);
            assert!(answer.body.starts_with(&begins), "{reason}: {}", answer.body);
            assert_eq!(answer.header("content-type"), "application/json", "{reason}");
            assert_eq!(answer.header(with[0].0), with[0].1, "{reason}: {:?}", answer.headers);
        }
        if let Some((line, headers, body)) = grpc {
            let answer = send(&gateway, line, headers, &body).await;
            assert!(answer.bytes.is_empty(), "{reason}");
            let status = match grpc_told {
                Ok(code) => (200, code.to_string()),
                Err(http) => (http, String::new()),
            };
            let got = (answer.status.as_u16(), answer.header("grpc-status").to_owned());
            assert_eq!(got, status, "{reason}: {:?}", answer.headers);
            assert_eq!(answer.header(with[1].0), with[1].1, "{reason}: {:?}", answer.headers);
        }
        // A stream may have begun by then; it was not ended.
        let ended = backend.reached().iter().any(|reached| reached.ended);
        assert_eq!(ended, !of_caller, "{reason}");
    }
    // gRPC needs HTTP/2 (D-2).
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway(backend.address).start().await;
    let answer = RestCall::open(gateway.public, false, RPC, &[GRPC], false).await.finish().await;
    assert_eq!((answer.status.as_u16(), answer.bytes.len()), (505, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_e_3_on_an_rpc_path_errors_are_written_as_connect_does() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway(backend.address).start().await;
    let long: &'static str = format!("/test.v1.Notes/Get?{}", "x".repeat(8 * 1024)).leak();
    for (line, headers, status, code, header) in [
        (
            ("POST", "/test.v1.Notes/Get"),
            &[JSON][..],
            415,
            "unknown",
            ("accept", "application/grpc"),
        ),
        (
            ("POST", "/test.v1.Notes/Get"),
            &[("content-type", "text/plain")],
            415,
            "unknown",
            ("", ""),
        ),
        (("POST", "/test.v1.Notes/Get"), &[], 415, "unknown", ("", "")),
        (("GET", "/test.v1.Notes/Get"), &[], 405, "unknown", ("allow", "POST")),
        (("PUT", "/test.v1.Notes/Get"), &[JSON], 405, "unknown", ("allow", "POST")),
        (("TRACE", "/test.v1.Notes/Get"), &[], 405, "unknown", ("allow", "")),
        (("POST", "/test.v1.Notes/Nothing"), &[JSON], 404, "unimplemented", ("", "")),
        (("POST", "/test.v1.Nobody/Get"), &[JSON], 404, "unimplemented", ("", "")),
        (("GET", "/test.v1.Nobody/Get"), &[], 404, "unimplemented", ("", "")),
        // An internal method is an unknown one outside.
        (("POST", "/test.v1.Notes/Secret"), &[JSON], 404, "unimplemented", ("", "")),
        // Bare.
        (("POST", long), &[JSON], 414, "", ("", "")),
    ] {
        let answer = send(&gateway, line, headers, b"").await;
        assert_eq!(answer.status, status, "{line:?}: {}", answer.body);
        if code.is_empty() {
            assert_eq!(answer.body, "", "{line:?}");
            continue;
        }
        let begins = format!("{{\"code\":\"{code}\",\"message\":\"");
        assert!(answer.body.starts_with(&begins), "{line:?}: {}", answer.body);
        // Keys outside code, message and details fail its clients.
        assert_eq!(answer.body.matches("\":").count(), 2, "{line:?}: {}", answer.body);
        assert_eq!(answer.header("content-type"), "application/json");
        let value = answer.header(header.0);
        assert!(header.0.is_empty() || value.starts_with(header.1), "{line:?}: {value}");
        assert!(header.0.is_empty() || !value.is_empty(), "{line:?}");
    }
    // Elsewhere a Status is written.
    let answer = send(&gateway, ("GET", "/test.v1/Notes/Get"), &[], b"").await;
    assert!(answer.body.starts_with("{\"code\":5,"), "{}", answer.body);
    assert!(backend.reached().is_empty());
}

/// A detail of `google.rpc`.
fn detail(name: &str, value: &[u8]) -> Vec<u8> {
    let mut any = Vec::new();
    fields::put_bytes(1, format!("type.googleapis.com/google.rpc.{name}").as_bytes(), &mut any);
    fields::put_bytes(2, value, &mut any);
    any
}

/// A failure of code 9 with these details, in trailers after so many messages.
fn failing(details: &[Vec<u8>], messages: usize) -> Script {
    let mut status = vec![0x08, 9];
    for detail in details {
        fields::put_bytes(3, detail, &mut status);
    }
    let details: &'static str = BASE64_STANDARD_NO_PAD.encode(status).leak();
    Script::Answer {
        http_status: 200,
        head: vec![("content-type", "application/grpc")],
        messages: vec![note("m"); messages],
        trailers: Some(vec![("grpc-status", "9"), ("grpc-status-details-bin", details)]),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_e_6_debug_info_is_for_nobody_outside() {
    // `detail: "secret"`, and `reason: "WHY"`.
    let secret = detail("DebugInfo", b"\x12\x06secret");
    let why = detail("ErrorInfo", b"\x0a\x03WHY");
    for (details, kept) in [
        (vec![secret.clone()], 0),
        (vec![secret.clone(), why.clone()], 1),
        (vec![why.clone(), secret.clone(), why.clone()], 2),
        (vec![why.clone()], 1),
        (Vec::new(), 0),
    ] {
        for messages in [0, 1] {
            let backend = Backend::start(vec![failing(&details, messages)]);
            let gateway = gateway(backend.address).start().await;
            for (path, accept) in
                [(FULL, "*/*"), ("/v1/many", "*/*"), ("/v1/many", "text/event-stream")]
            {
                let answer = send(&gateway, ("GET", path), &[("accept", accept)], b"").await;
                assert!(answer.body.contains("\"code\":9"), "{path}: {}", answer.body);
                assert_eq!(answer.body.matches("WHY").count(), kept, "{path}: {}", answer.body);
                assert!(!answer.body.contains("secret") && !answer.body.contains("DebugInfo"));
            }
            for method in ["Get", "Many"] {
                let answer = grpc(gateway.public, method, &[], &[&note("a")]).await;
                assert_eq!(answer.status(), "9", "{method} {messages}");
                let bytes = BASE64_STANDARD_NO_PAD
                    .decode(said(&answer, "grpc-status-details-bin"))
                    .expect("base64");
                let text = String::from_utf8_lossy(&bytes).into_owned();
                assert_eq!(text.matches("WHY").count(), kept, "{method} {messages}");
                assert!(!text.contains("secret") && !text.contains("DebugInfo"));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_e_7_retry_info_is_a_header_too() {
    let delay = |bytes: &[u8]| {
        let mut info = Vec::new();
        fields::put_bytes(1, bytes, &mut info);
        detail("RetryInfo", &info)
    };
    for (details, seconds) in [
        (vec![delay(b"\x08\x02")], "2"),
        // Rounded up: 2.000000001 s, and 0.5 s.
        (vec![delay(b"\x08\x02\x10\x01")], "3"),
        (vec![delay(b"\x10\x80\xca\xb5\xee\x01")], "1"),
        (vec![delay(b"")], "0"),
        (vec![detail("ErrorInfo", b"\x0a\x03WHY"), delay(b"\x08\x07")], "7"),
        // No time to wait: none, or one that is past.
        (vec![detail("RetryInfo", b"")], ""),
        (vec![delay(b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")], ""),
        (Vec::new(), ""),
    ] {
        let backend = Backend::start(vec![failing(&details, 0)]);
        let gateway = gateway(backend.address).start().await;
        for path in [FULL, "/v1/many"] {
            let answer = send(&gateway, ("GET", path), &[], b"").await;
            assert_eq!(answer.status, 400);
            assert_eq!(answer.header("retry-after"), seconds, "{details:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_e_8_messages_are_decoded_once_and_never_break_a_line() {
    for (given, rest_reads, grpc_reads) in [
        ("plain", "plain", "plain"),
        ("50%25", "50%", "50%25"),
        ("%C3%A9 %F0%9F%98%80", "é 😀", "%C3%A9 %F0%9F%98%80"),
        ("a%0D%0Ab%00", "a\\u000d\\u000ab\\u0000", "a%0D%0Ab%00"),
        // Broken escapes stay the text that they are.
        ("100%", "100%", "100%25"),
        ("%zz%4", "%zz%4", "%25zz%254"),
        ("%", "%", "%25"),
        // Once.
        ("%2525", "%25", "%2525"),
        // Bytes that are no UTF-8.
        ("%ff", "\u{fffd}", "%EF%BF%BD"),
    ] {
        let backend = Backend::start(vec![Script::trailers(&[
            ("grpc-status", "9"),
            ("grpc-message", given),
        ])]);
        let gateway = gateway(backend.address).start().await;
        let answer = send(&gateway, ("GET", FULL), &[], b"").await;
        let body = format!("{{\"code\":9,\"message\":\"{rest_reads}\",\"details\":[]}}");
        assert_eq!(answer.body, body, "{given}");
        let answer = grpc(gateway.public, "Get", &[], &[&note("a")]).await;
        assert_eq!(said(&answer, "grpc-message"), grpc_reads, "{given}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_e_6_a_route_may_show_everything() {
    let details = [detail("DebugInfo", b"\x12\x06secret")];
    for messages in [0, 1] {
        let backend = Backend::start(vec![failing(&details, messages)]);
        let setup = gateway(backend.address).rules("rest: { error_details: all }");
        let gateway = setup.start().await;
        for path in [FULL, "/v1/many"] {
            let answer = send(&gateway, ("GET", path), &[], b"").await;
            assert!(answer.body.contains("secret"), "{path}: {}", answer.body);
        }
        for method in ["Get", "Many"] {
            let answer = grpc(gateway.public, method, &[], &[&note("a")]).await;
            let bytes = BASE64_STANDARD_NO_PAD
                .decode(said(&answer, "grpc-status-details-bin"))
                .expect("base64");
            assert!(String::from_utf8_lossy(&bytes).contains("secret"), "{method} {messages}");
        }
    }
}

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
