//! Calls through a gateway to upstreams that are right, wrong, slow and gone.

use std::net::TcpListener;
use std::time::Duration;

use tandem_testkit::backend::{Backend, Script};
use tandem_testkit::client::{GrpcCall, grpc, note, raw, rest};
use tandem_testkit::gateway;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

#[tokio::test(flavor = "multi_thread")]
async fn rest_becomes_grpc_and_back() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway(backend.address).start().await;
    let answer = rest(gateway.public, "GET", "/v1/notes/hello?number=7", "").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.body, r#"{"text":"hello","number":"7"}"#);
    let answer = rest(gateway.public, "POST", "/v1/notes", r#"{"more":["a"]}"#).await;
    assert_eq!(answer.body, r#"{"more":["a"]}"#);
    let reached = &backend.reached()[0];
    assert_eq!(reached.path, "/test.v1.Notes/Get");
    assert!(reached.ended);
    let header = |name: &str| reached.headers[name].to_str().unwrap();
    assert_eq!(header("content-type"), "application/grpc");
    assert_eq!(header("te"), "trailers");
    assert_eq!(header("x-forwarded-for"), "127.0.0.1");
    assert!(header("grpc-timeout").ends_with('m'));
    assert!(header("traceparent").starts_with("00-"));
    assert!(answer.head.contains("x-request-id: "));
    assert!(!answer.head.contains("grpc-"), "{}", answer.head);
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_of_all_four_kinds_passes_through() {
    let backend = Backend::start(vec![Script::Answer {
        http_status: 200,
        head: vec![("content-type", "application/grpc"), ("x-head", "1")],
        messages: vec![note("a"), note("b")],
        trailers: Some(vec![("grpc-status", "0"), ("x-tail", "2")]),
    }]);
    let gateway = gateway(backend.address).start().await;
    for (method, sent) in [("Many", 1), ("Talk", 3)] {
        let message = note("x");
        let messages = vec![&message[..]; sent];
        let answer = grpc(gateway.public, method, &[("x-mine", "y")], &messages).await;
        assert_eq!(answer.status(), "0", "{method}");
        assert_eq!(answer.messages, [note("a"), note("b")]);
        assert_eq!(answer.head["x-head"], "1");
        assert_eq!(answer.trailers.unwrap()["x-tail"], "2");
        let reached = backend.reached().pop().unwrap();
        assert_eq!(reached.messages.len(), sent);
        assert_eq!(reached.headers["x-mine"], "y");
    }
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway_of(&backend).await;
    for (method, sent) in [("Get", 1), ("Collect", 2)] {
        let message = note("x");
        let answer = grpc(gateway.public, method, &[], &vec![&message[..]; sent]).await;
        assert_eq!((answer.status(), answer.messages.len()), ("0", 1), "{method}");
    }
}

async fn gateway_of(backend: &Backend) -> tandem_testkit::TestGateway {
    gateway(backend.address).start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_g_6_the_contract_says_how_many_messages_there_are() {
    let backend = Backend::start(vec![Script::Answer {
        http_status: 200,
        head: vec![("content-type", "application/grpc")],
        messages: vec![note("a"), note("b")],
        trailers: Some(vec![("grpc-status", "0")]),
    }]);
    let gateway = gateway_of(&backend).await;
    let message = note("x");
    assert_eq!(grpc(gateway.public, "Get", &[], &[]).await.status(), "12");
    assert_eq!(grpc(gateway.public, "Get", &[], &[&message, &message]).await.status(), "12");
    assert_eq!(grpc(gateway.public, "Many", &[], &[]).await.status(), "12");
    // Two answers where one is due.
    assert_eq!(grpc(gateway.public, "Get", &[], &[&message]).await.status(), "12");
    assert_eq!(grpc(gateway.public, "Collect", &[], &[]).await.status(), "12");
    assert_eq!(rest(gateway.public, "GET", "/v1/notes/a", "").await.status, 501);
    // None where one is due.
    let backend = Backend::start(vec![Script::trailers(&[("grpc-status", "0")])]);
    let gateway = gateway_of(&backend).await;
    assert_eq!(grpc(gateway.public, "Get", &[], &[&message]).await.status(), "12");
    assert_eq!(grpc(gateway.public, "Many", &[], &[&message]).await.status(), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_e_9_and_e_10_what_the_upstream_says_wrongly_is_never_ok() {
    let answer = |http_status, content_type, trailers: Option<Vec<_>>| Script::Answer {
        http_status,
        head: vec![("content-type", content_type)],
        messages: Vec::new(),
        trailers,
    };
    let grpc_type = "application/grpc";
    // A status in the head counts only where nothing follows.
    let twice = |in_head, in_trailers| Script::Answer {
        http_status: 200,
        head: vec![("content-type", "application/grpc"), ("grpc-status", in_head)],
        messages: vec![note("a")],
        trailers: Some(vec![("grpc-status", in_trailers)]),
    };
    for (script, grpc_status, rest_status) in [
        (twice("0", "5"), "5", 404),
        (twice("0", "x"), "2", 500),
        (answer(200, grpc_type, Some(vec![("grpc-status", "5")])), "5", 404),
        (answer(200, grpc_type, Some(vec![("grpc-status", "99")])), "2", 500),
        (answer(200, grpc_type, Some(vec![("grpc-status", "x")])), "2", 500),
        (answer(200, grpc_type, Some(vec![("grpc-status", "0"), ("grpc-status", "0")])), "2", 500),
        (answer(200, grpc_type, None), "13", 500),
        (answer(200, grpc_type, Some(vec![("x-other", "1")])), "13", 500),
        (answer(200, "text/html", None), "2", 500),
        (answer(400, "text/html", None), "13", 500),
        (answer(401, "text/html", None), "16", 401),
        (answer(403, "text/html", None), "7", 403),
        (answer(404, "text/html", None), "12", 501),
        (answer(429, "text/html", None), "14", 503),
        (answer(502, "text/html", None), "14", 503),
        (answer(503, "text/html", None), "14", 503),
        (answer(504, "text/html", None), "14", 503),
        (answer(418, "text/html", None), "2", 500),
        (answer(500, grpc_type, Some(vec![("grpc-status", "0")])), "2", 500),
        (Script::Reset(0x7), "14", 503),
        (Script::Reset(0x8), "1", 499),
        (Script::Reset(0xb), "8", 429),
        (Script::Reset(0xc), "7", 403),
        (Script::Reset(0x2), "13", 502),
        (Script::Garbage(b"\x07\0\0\0\0".to_vec()), "13", 502),
        (Script::Garbage(b"\0\0\0\0\x09abc".to_vec()), "13", 502),
    ] {
        let backend = Backend::start(vec![script.clone()]);
        let gateway = gateway_of(&backend).await;
        let message = note("x");
        let answer = grpc(gateway.public, "Get", &[], &[&message]).await;
        assert_eq!(answer.status(), grpc_status, "{script:?}");
        let answer = rest(gateway.public, "GET", "/v1/notes/a", "").await;
        assert_eq!(answer.status, rest_status, "{script:?}: {}", answer.body);
        assert!(answer.body.starts_with("{\"code\":"), "{}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_g_2_a_failure_before_the_first_message_is_one_head() {
    let backend = Backend::start(vec![Script::trailers(&[
        ("grpc-status", "9"),
        ("grpc-message", "not%20so"),
        ("x-tail", "1"),
    ])]);
    let gateway = gateway_of(&backend).await;
    let message = note("x");
    for method in ["Get", "Many"] {
        let answer = grpc(gateway.public, method, &[], &[&message]).await;
        assert!(answer.trailers.is_none(), "{method}: trailers-only");
        assert_eq!(answer.head["grpc-status"], "9");
        assert_eq!(answer.head["grpc-message"], "not so");
        assert_eq!(answer.head["x-tail"], "1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_s_3_a_stream_that_breaks_ends_with_a_status_of_ours() {
    let backend = Backend::start(vec![Script::ResetAfter {
        messages: vec![note("a"), note("b")],
        code: 0x2,
    }]);
    let gateway = gateway_of(&backend).await;
    let message = note("x");
    let answer = grpc(gateway.public, "Many", &[], &[&message]).await;
    assert_eq!(answer.messages.len(), 2);
    assert_eq!(answer.status(), "13");
    assert!(!answer.reset);
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_a_1_the_head_of_a_silent_stream_is_let_go() {
    let backend = Backend::start(vec![Script::HangAfter(Vec::new())]);
    let gateway = gateway_of(&backend).await;
    let mut call = GrpcCall::open(gateway.public, "Talk", &[]).await;
    call.message(&note("x"));
    // The head comes although no message does.
    assert!(call.head_comes(Duration::from_secs(3)).await);
    gateway.until(|gateway| gateway.figures("Talk").in_flight == 0).await;
    // A unary call says nothing before it can say all.
    let mut call = GrpcCall::open(gateway.public, "Get", &[]).await;
    call.message(&note("x"));
    assert!(!call.head_comes(Duration::from_millis(400)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn hybrid_hy_2_a_caller_that_leaves_cancels_its_call() {
    let backend = Backend::start(vec![Script::Hang]);
    let gateway = gateway_of(&backend).await;
    // gRPC: the stream is reset.
    let mut call = GrpcCall::open(gateway.public, "Get", &[]).await;
    call.message(&note("x"));
    call.send.send_data(bytes::Bytes::new(), true).unwrap();
    gateway.until(|_| backend.calls() == 1).await;
    call.send.send_reset(h2::Reason::CANCEL);
    backend.cancelled(1).await;
    // REST: the connection is closed.
    let mut stream = TcpStream::connect(gateway.public).await.unwrap();
    stream.write_all(b"GET /v1/notes/a HTTP/1.1\r\nhost: any\r\n\r\n").await.unwrap();
    gateway.until(|_| backend.calls() == 2).await;
    drop(stream);
    backend.cancelled(2).await;
    gateway.until(|gateway| gateway.figures("Get").abandoned == 2).await;
    assert_eq!(gateway.figures("Get").codes[1], 2, "counted as CANCELLED");
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_m_7_the_smaller_deadline_holds_and_cancels() {
    let backend = Backend::start(vec![Script::Hang]);
    let setup = gateway(backend.address).rules("deadline: { default: 200ms, max: 400ms }");
    let gateway = setup.start().await;
    let began = Instant::now();
    let answer = rest(gateway.public, "GET", "/v1/notes/a", "").await;
    assert_eq!(answer.status, 504, "{}", answer.body);
    assert!(began.elapsed() < Duration::from_secs(3));
    backend.cancelled(1).await;
    let message = note("x");
    for (asked, most) in [("50m", 50), ("9S", 400)] {
        let answer = grpc(gateway.public, "Get", &[("grpc-timeout", asked)], &[&message]).await;
        assert_eq!(answer.status(), "4", "{asked}");
        let reached = backend.reached().pop().unwrap();
        let told = reached.headers["grpc-timeout"].to_str().unwrap().trim_end_matches('m');
        assert!(told.parse::<u64>().unwrap() <= most, "{asked}: {told}");
    }
    let met = "tandem_limits_met_total{limit=\"deadline\"}";
    gateway.until(|gateway| gateway.metric(met) == 3).await;
    let answer = grpc(gateway.public, "Get", &[("grpc-timeout", "soon")], &[&message]).await;
    assert_eq!(answer.status(), "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn security_li_10_the_last_size_that_passes_and_the_first_that_does_not() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway(backend.address).limits("message: 1KiB").start().await;
    let sized = |bytes: usize| note(&"x".repeat(bytes - 3));
    let most = sized(1024);
    assert_eq!(most.len(), 1024);
    assert_eq!(grpc(gateway.public, "Get", &[], &[&most]).await.status(), "0");
    assert_eq!(grpc(gateway.public, "Get", &[], &[&sized(1025)]).await.status(), "8");
    let body = |bytes: usize| format!("{{\"text\":\"{}\"}}", "x".repeat(bytes - 11));
    assert_eq!(rest(gateway.public, "POST", "/v1/notes", &body(1024)).await.status, 200);
    assert_eq!(rest(gateway.public, "POST", "/v1/notes", &body(1025)).await.status, 413);
    // Without a length the bytes themselves are counted.
    let chunk = "x".repeat(900);
    let request = format!(
        "POST /v1/notes HTTP/1.1\r\nhost: any\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\nconnection: close\r\n\r\n\
         384\r\n{chunk}\r\n384\r\n{chunk}\r\n0\r\n\r\n"
    );
    assert_eq!(raw(gateway.public, request.as_bytes()).await.unwrap().status, 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn security_li_3_a_slow_head_is_told_and_closed() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway(backend.address).limits("head_read: 1s").start().await;
    let began = Instant::now();
    let answer = raw(gateway.public, b"GET /v1/notes/a HTTP/1.1\r\nhost").await;
    assert_eq!(answer.map(|answer| answer.status), Some(408));
    assert!(began.elapsed() >= Duration::from_millis(900));
    assert!(backend.reached().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn security_li_4_an_idle_connection_is_closed_and_a_used_one_is_not() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway(backend.address).limits("keep_alive: 1s").start().await;
    let mut stream = TcpStream::connect(gateway.public).await.unwrap();
    for _ in 0..2 {
        stream.write_all(b"GET /v1/notes/a HTTP/1.1\r\nhost: any\r\n\r\n").await.unwrap();
        let mut answer = vec![0; 4096];
        let read = stream.read(&mut answer).await.unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 200"));
    }
    let mut rest = Vec::new();
    let read = timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await;
    assert_eq!(read.expect("closed in time").unwrap(), 0);
}

/// Returns when a head that has begun is no longer waited for.
async fn head_is_too_slow(address: std::net::SocketAddr) {
    let answer = raw(address, b"GET /v1/notes/a HTTP/1.1\r\nhost").await;
    assert_eq!(answer.map(|answer| answer.status), Some(408));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_silent_for_long_carries_calls_as_before() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway(backend.address).limits("head_read: 1500ms").start().await;
    let mut stream = TcpStream::connect(gateway.public).await.unwrap();
    let call = b"GET /v1/notes/a HTTP/1.1\r\nhost: any\r\n\r\n";
    // The second comes in two parts, the third together with the fourth.
    for (pieces, answers) in
        [(vec![&call[..]], 1), (vec![&call[..20], &call[20..]], 1), (vec![&call.repeat(2)[..]], 2)]
    {
        for piece in pieces {
            stream.write_all(piece).await.unwrap();
            stream.flush().await.unwrap();
        }
        let mut read = Vec::new();
        while String::from_utf8_lossy(&read).matches("HTTP/1.1 200 OK").count() < answers {
            assert!(stream.read_buf(&mut read).await.unwrap() > 0, "it is kept");
        }
        head_is_too_slow(gateway.public).await; // by then it has been silent for longer than a second
    }
    let (_, closed) = tokio::join!(gateway.gateway.stop(), async {
        timeout(Duration::from_secs(5), stream.read_to_end(&mut Vec::new())).await
    });
    assert!(closed.is_ok(), "the drain does not wait for it");
}

#[tokio::test(flavor = "multi_thread")]
async fn security_li_4_a_silent_connection_is_closed_however_long_its_time() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway(backend.address).limits("keep_alive: 2s").start().await;
    let mut stream = TcpStream::connect(gateway.public).await.unwrap();
    stream.write_all(b"GET /v1/notes/a HTTP/1.1\r\nhost: any\r\n\r\n").await.unwrap();
    let began = Instant::now();
    let mut answer = Vec::new();
    let read = timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
    assert!(read.expect("closed in time").is_ok());
    assert!(answer.starts_with(b"HTTP/1.1 200"));
    assert!(began.elapsed() >= Duration::from_millis(1900));
}

#[tokio::test(flavor = "multi_thread")]
async fn security_li_1_a_source_holds_only_so_many_connections() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway(backend.address).limits("connections_per_source: 2").start().await;
    let one = TcpStream::connect(gateway.public).await.unwrap();
    let _two = TcpStream::connect(gateway.public).await.unwrap();
    gateway.until(|gateway| gateway.view.metrics().text().contains("connections_open 2")).await;
    let mut three = TcpStream::connect(gateway.public).await.unwrap();
    let mut nothing = Vec::new();
    let closed = timeout(Duration::from_secs(5), three.read_to_end(&mut nothing)).await;
    assert!(closed.is_ok(), "the third is closed at once");
    drop(one);
    gateway.until(|gateway| gateway.view.metrics().text().contains("connections_open 1")).await;
    assert_eq!(rest(gateway.public, "GET", "/v1/notes/a", "").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn security_h_odd_requests_never_reach_the_upstream() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway_of(&backend).await;
    for request in [
        "GET /v1/notes/a HTTP/1.1\r\n\r\n",
        "GET /v1/notes/a HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        "GET http://a/v1/notes/a HTTP/1.1\r\nhost: b\r\n\r\n",
        "GET /v1/notes/a HTTP/1.1\r\nhost: a@b\r\n\r\n",
        "GET /v1//notes HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /v1/notes/%2e%2e HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /v1/notes/a%2Fb HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /v1/notes/%00 HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /v1/notes/a HTTP/1.1\r\nhost: a\r\nx-tandem-mirror: run/candidate\r\n\r\n",
        "GET /v1/notes/a HTTP/1.1\r\nhost: a\r\nx-bad-bin: %%\r\n\r\n",
        "POST /v1/notes HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
        "POST /v1/notes HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\ncontent-length: 2\r\n\r\n",
    ] {
        let closing = request.replacen("\r\n\r\n", "\r\nconnection: close\r\n\r\n", 1);
        let answer = raw(gateway.public, closing.as_bytes()).await;
        assert_eq!(answer.map(|answer| answer.status), Some(400), "{request:?}");
    }
    assert!(backend.reached().is_empty(), "{:?}", backend.reached());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_breaks_off_is_never_sent_as_whole() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway_of(&backend).await;
    let mut stream = TcpStream::connect(gateway.public).await.unwrap();
    let half = "POST /v1/notes HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
                content-length: 100\r\n\r\n{\"text\":";
    stream.write_all(half.as_bytes()).await.unwrap();
    gateway.until(|gateway| gateway.figures("Get").in_flight == 1).await;
    drop(stream);
    gateway.until(|gateway| gateway.figures("Get").in_flight == 0).await;
    assert!(backend.reached().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_upstream_is_told_at_once_in_each_protocol() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gateway = gateway(free).start().await;
    let began = Instant::now();
    let answer = rest(gateway.public, "GET", "/v1/notes/a", "").await;
    assert_eq!(answer.status, 503);
    assert!(!answer.body.contains("127.0.0.1"), "{}", answer.body);
    let message = note("x");
    assert_eq!(grpc(gateway.public, "Get", &[], &[&message]).await.status(), "14");
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn security_u_3_a_stream_that_was_refused_is_sent_once_more() {
    let backend = Backend::start(vec![Script::Reset(0x7), Script::Echo]);
    let gateway = gateway_of(&backend).await;
    let answer = rest(gateway.public, "GET", "/v1/notes/a", "").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(backend.reached().len(), 2);
    // Any other end may have begun, so it is told.
    let backend = Backend::start(vec![Script::Reset(0x2), Script::Echo]);
    let gateway = gateway_of(&backend).await;
    assert_eq!(rest(gateway.public, "GET", "/v1/notes/a", "").await.status, 502);
    assert_eq!(backend.reached().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_d_2_media_types_are_exact() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway_of(&backend).await;
    let message = note("x");
    for (media, http_status, status) in [
        ("application/grpc", 200, "0"),
        ("application/grpc+proto", 200, "0"),
        ("application/grpc+json", 200, "3"), // it is no JSON
        ("application/grpc-web", 415, "none"),
        ("application/grpc;x", 415, "none"),
        ("application/json", 415, "none"),
    ] {
        let answer = grpc(gateway.public, "Get", &[("content-type", media)], &[&message]).await;
        assert_eq!(
            (answer.http_status.as_u16(), answer.status()),
            (http_status, status),
            "{media}"
        );
    }
    let secret = grpc(gateway.public, "Secret", &[], &[&message]).await;
    assert_eq!(secret.status(), "12");
    let secret = grpc(gateway.internal, "Secret", &[], &[&message]).await;
    assert_eq!(secret.status(), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn security_o_2_a_drain_lets_calls_finish() {
    let backend = Backend::start(vec![Script::Hang]);
    let setup = gateway(backend.address).rules("deadline: { default: 1s }");
    let gateway = setup.start().await;
    let public = gateway.public;
    let message = note("x");
    let mut call = GrpcCall::open(public, "Get", &[]).await;
    call.message(&message);
    let calling = async { call.finish().await };
    let stopping = async {
        gateway.until(|gateway| gateway.figures("Get").in_flight == 1).await;
        gateway.gateway.stop().await
    };
    let (answer, stopped) = tokio::join!(calling, stopping);
    assert_eq!(answer.status(), "4", "the call had its whole time");
    assert!(stopped.took < Duration::from_secs(8), "{stopped:?}");
    assert!(TcpStream::connect(public).await.is_err(), "nobody listens any more");
}
