//! Headers on their way through, seen at both ends (protocols, section 10): what reaches the
//! upstream of a request, and what reaches the caller of an answer.
//!
//! Not here: the rules as functions (`tandem-protocol`).

use std::net::SocketAddr;

use http::HeaderMap;
use tandem_testkit::backend::{Backend, Reached, Script};
use tandem_testkit::client::{GrpcCall, RestCall, grpc, note, raw, rest};
use tandem_testkit::gateway;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Caller {
    Http1,
    Http2,
    Grpc,
}

const CALLERS: [Caller; 3] = [Caller::Http1, Caller::Http2, Caller::Grpc];

/// Calls `Get` with these headers: whether it went well, and what reached the upstream.
async fn call(
    caller: Caller,
    address: SocketAddr,
    backend: &Backend,
    headers: &[(&str, &str)],
) -> (bool, Option<Reached>) {
    let before = backend.calls();
    let well = match caller {
        Caller::Grpc => {
            let answer = grpc(address, "Get", headers, &[&note("a")]).await;
            assert!(matches!(answer.status(), "0" | "3"), "{headers:?}: {}", answer.status());
            answer.status() == "0"
        }
        Caller::Http1 | Caller::Http2 => {
            let http2 = caller == Caller::Http2;
            let line = ("GET", "/v1/notes/a");
            let answer = RestCall::open(address, http2, line, headers, false).await.finish().await;
            assert!(matches!(answer.status.as_u16(), 200 | 400), "{headers:?}: {}", answer.body);
            answer.status == 200
        }
    };
    (well, backend.reached().get(before).cloned())
}

/// What the gateway says itself of every call.
const OURS: [&str; 6] =
    ["content-type", "grpc-timeout", "te", "traceparent", "x-forwarded-for", "x-request-id"];

/// Names beside those that the gateway says itself.
fn names(headers: &HeaderMap) -> Vec<&str> {
    let mut names: Vec<&str> = headers.keys().map(|name| name.as_str()).collect();
    assert!(OURS.iter().all(|name| names.contains(name)), "{names:?}");
    names.retain(|name| !OURS.contains(name));
    names.sort_unstable();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_m_1_what_belongs_to_the_hop_and_to_the_gateway_does_not_reach_the_upstream() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway(backend.address).start().await;
    let sent = [
        ("x-mine", "1"),
        ("x-mine", "2"),
        ("authorization", "Bearer x"),
        ("accept-encoding", "gzip"),
        ("x-request-id", "mine-0123456789"),
        ("x_request_id", "twin"),
        ("x-tandem-principal", "cm9vdA"),
        ("x_tandem_principal", "cm9vdA"),
        ("x-tandem-anything", "1"),
        ("x-forwarded-host", "a"),
        ("forwarded", "for=a"),
        ("grpc-tags-bin", "AA"),
        ("grpc-encoding", "identity"),
        ("grpc-message", "no"),
        ("connect-timeout-ms", "1"),
    ];
    for caller in CALLERS {
        // Names that `Connection` names go with it; HTTP/2 has no such header.
        let mut sent = sent.to_vec();
        if caller == Caller::Http1 {
            sent.extend([("x-hop", "1"), ("Connection", "keep-alive, X-Hop"), ("keep-alive", "5")]);
        }
        let (well, reached) = call(caller, gateway.public, &backend, &sent).await;
        assert!(well, "{caller:?}");
        let headers = reached.expect("it was sent").headers;
        let mut expected = vec!["authorization", "x-mine"];
        if caller == Caller::Grpc {
            expected.splice(1..1, ["grpc-encoding", "grpc-tags-bin"]);
        }
        assert_eq!(names(&headers), expected, "{caller:?}");
        assert!(headers.get_all("x-mine").iter().eq(["1", "2"]), "{caller:?}: in order");
        assert_eq!(headers["x-request-id"], "mine-0123456789");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_m_2_where_a_caller_says_that_it_comes_from_is_replaced() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway(backend.address).start().await;
    let sent = [("x-forwarded-for", "10.0.0.1, 10.0.0.2"), ("x-forwarded-proto", "https")];
    for caller in CALLERS {
        for address in [gateway.public, gateway.internal] {
            let (_, reached) = call(caller, address, &backend, &sent).await;
            let headers = reached.expect("it was sent").headers;
            assert!(headers.get_all("x-forwarded-for").iter().eq(["127.0.0.1"]), "{caller:?}");
            assert!(names(&headers).is_empty(), "{caller:?}: {headers:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_m_3_binary_values_arrive_unpadded_each_for_itself_and_bounded() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway(backend.address).start().await;
    // 8,192 bytes in base64, and one more.
    let most = "A".repeat(10_923);
    let above = "A".repeat(10_924);
    for caller in CALLERS {
        for (value, expected) in [
            ("AAE=", Some(&["AAE"][..])),
            ("AAE", Some(&["AAE"])),
            ("AAE=, AAI,AAM=", Some(&["AAE", "AAI", "AAM"])),
            ("", Some(&[""])),
            (&most, Some(&[&*most])),
            (&above, None),
            ("%%", None),
            ("AAE=x", None),
        ] {
            let headers = [("x-own-bin", value)];
            let (well, reached) = call(caller, gateway.public, &backend, &headers).await;
            let short = &value[..value.len().min(20)];
            assert_eq!(well, expected.is_some(), "{caller:?} {short}");
            let found = reached.map(|reached| reached.headers);
            match (found, expected) {
                (Some(headers), Some(expected)) => {
                    assert!(headers.get_all("x-own-bin").iter().eq(expected), "{caller:?} {short}");
                }
                (None, None) => {}
                (found, _) => panic!("{caller:?} {short}: {found:?}"),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_m_4_a_byte_that_is_no_printable_ascii_never_reaches_the_upstream() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway(backend.address).start().await;
    for byte in [0x00, 0x01, 0x0d, 0x7f, 0x80, 0xff_u8] {
        let mut request =
            b"GET /v1/notes/a HTTP/1.1\r\nhost: any\r\nconnection: close\r\nx-own: a".to_vec();
        request.push(byte);
        request.extend_from_slice(b"b\r\n\r\n");
        let answer = raw(gateway.public, &request).await;
        assert_eq!(answer.map(|answer| answer.status), Some(400), "{byte:#x}");
    }
    // Of these the HTTP/2 library lets some through.
    for value in ["\u{80}", "é", "a\u{ff}"] {
        for caller in [Caller::Http2, Caller::Grpc] {
            let (well, _) = call(caller, gateway.public, &backend, &[("x-own", value)]).await;
            assert!(!well, "{caller:?} {value:?}");
        }
    }
    assert_eq!(backend.calls(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_m_5_metadata_of_an_answer_goes_where_its_caller_can_read_it() {
    let own =
        [("x-own", "1"), ("x-own-bin", "AAE"), ("grpc-tags-bin", "AA"), ("content-language", "en")];
    let mut head = vec![("content-type", "application/grpc")];
    head.extend(own);
    let mut trailers = vec![("grpc-status", "0"), ("x-late", "2"), ("x-late", "3")];
    trailers.extend(own);
    let backend = Backend::start(vec![Script::Answer {
        http_status: 200,
        head,
        messages: vec![note("a")],
        trailers: Some(trailers),
    }]);
    let gateway = gateway(backend.address).start().await;
    let of = |headers: &HeaderMap| -> Vec<String> {
        let names = headers.keys().map(|name| name.as_str().to_owned());
        let mut names: Vec<String> = names.filter(|name| name != "x-request-id").collect();
        names.sort_unstable();
        names
    };
    let answer = grpc(gateway.public, "Get", &[], &[&note("a")]).await;
    // Languages of a message that passes are the service's to name.
    assert_eq!(
        of(&answer.head),
        ["content-language", "content-type", "server", "x-own", "x-own-bin"]
    );
    let trailers = answer.trailers.expect("trailers");
    assert_eq!(of(&trailers), ["content-language", "grpc-status", "x-late", "x-own", "x-own-bin"]);
    assert!(trailers.get_all("x-late").iter().eq(["2", "3"]), "in order");
    let line = ("GET", "/v1/notes/a");
    let answer = RestCall::open(gateway.public, true, line, &[], false).await.finish().await;
    let expected = [
        "content-length",
        "content-type",
        "date",
        "etag",
        "server",
        "trailer-content-language",
        "trailer-x-late",
        "trailer-x-own",
        "trailer-x-own-bin",
        "vary",
        "x-own",
        "x-own-bin",
    ];
    assert_eq!(of(&answer.headers), expected);
    assert!(answer.headers.get_all("trailer-x-late").iter().eq(["2", "3"]), "in order");
    // Behind a stream there is no place for them.
    let line = ("GET", "/v1/many");
    let answer = RestCall::open(gateway.public, true, line, &[], false).await.finish().await;
    assert_eq!(
        of(&answer.headers),
        ["content-type", "date", "server", "vary", "x-own", "x-own-bin"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_m_6_trailers_of_a_request_end_here() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway(backend.address).start().await;
    let mut call = GrpcCall::open(gateway.public, "Get", &[]).await;
    call.message(&note("a"));
    let trailers = [("x-late".parse().expect("a name"), "1".parse().expect("a value"))];
    call.send.send_trailers(trailers.into_iter().collect()).expect("the stream is open");
    let answer = call.read().await;
    assert_eq!((answer.status(), answer.messages.len()), ("0", 1));
    let request = "POST /v1/notes HTTP/1.1\r\nhost: any\r\nconnection: close\r\n\
                   content-type: application/json\r\ntransfer-encoding: chunked\r\n\
                   trailer: x-late\r\n\r\nc\r\n{\"text\":\"a\"}\r\n0\r\nx-late: 1\r\n\r\n";
    let answer = raw(gateway.public, request.as_bytes()).await.expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.body);
    let reached = backend.reached();
    assert_eq!(reached.len(), 2);
    for reached in reached {
        assert!(reached.ended && names(&reached.headers).is_empty(), "{:?}", reached.headers);
        assert_eq!(reached.messages, [note("a")]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_m_8_only_the_internal_listener_passes_a_principal_on() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway(backend.address).start().await;
    for caller in CALLERS {
        for (address, kept) in [(gateway.public, false), (gateway.internal, true)] {
            for name in ["x-tandem-principal", "X_Tandem_Principal"] {
                let headers = [(name, "cm9vdA")];
                let name = name.to_ascii_lowercase();
                // HTTP/2 has lower case only.
                let headers = if caller == Caller::Http1 { headers } else { [(&*name, "cm9vdA")] };
                let (_, reached) = call(caller, address, &backend, &headers).await;
                let found = reached.expect("it was sent").headers;
                let principal = found.get("x-tandem-principal").map(|value| value.as_bytes());
                let expected = (kept && name == "x-tandem-principal").then_some(&b"cm9vdA"[..]);
                assert_eq!(principal, expected, "{caller:?} {name} {kept}");
            }
        }
    }
    let answer = rest(gateway.public, "GET", "/v1/notes/a", "").await;
    assert!(!answer.head.contains("x-tandem"), "{}", answer.head);
}
