//! Requests whose bytes leave a doubt, and methods that are never served (protocols H-1, H-2):
//! what is answered on the socket, and that nothing of it reaches the service.
//!
//! Not here: the grammar itself, in all its splits (`protocol::http1`).

use std::time::Duration;

use tandem_testkit::backend::{Backend, Script};
use tandem_testkit::client::{RestCall, raw};
use tandem_testkit::gateway;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What comes for these bytes until the gateway closes, which it must.
async fn until_closed(address: std::net::SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let read = timeout(Duration::from_secs(5), stream.read_to_end(&mut answer));
    match read.await {
        Ok(_) => String::from_utf8_lossy(&answer).into_owned(),
        Err(_elapsed) => "it stays open".to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_h_1_a_doubt_about_framing_is_400_and_the_end_of_the_connection() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway(backend.address).start().await;
    // Behind each stands what a reader that frames otherwise would take for a request.
    const BEHIND: &str = "GET /v1/notes/smuggled HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut taken = Vec::new();
    let is_refused = |answer: &str| {
        answer.starts_with("HTTP/1.1 400 ") && answer.matches("HTTP/1.1 ").count() == 1
    };
    for head in [
        // Transfer-Encoding other than one `chunked`.
        "transfer-encoding: Chunked\r\n",
        "transfer-encoding: gzip, chunked\r\n",
        "transfer-encoding: chunked, gzip\r\n",
        "transfer-encoding: ,chunked\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked, chunked\r\n",
        "transfer-encoding: identity\r\n",
        "transfer-encoding: xchunked\r\n",
        "transfer-encoding:\r\n",
        "transfer-encoding : chunked\r\n",
        // Both, in either order.
        "content-length: 5\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
        // Content-Length that is no number, or two.
        "content-length: 5\r\ncontent-length: 5\r\n",
        "content-length: 05\r\n",
        "content-length: +5\r\n",
        "content-length: -5\r\n",
        "content-length: 0x5\r\n",
        "content-length: 5, 6\r\n",
        "content-length: 5\r\ncontent-length: 6\r\n",
        "content-length: 5 5\r\n",
        "content-length:\r\n",
        "content-length: 99999999999999999999999\r\n",
        // Lines.
        "x-a: 1\n",
        "x-a: 1\r2\r\n",
        "x-a: 1\r\n 2\r\n",
        "x-a: 1\r\n\t2\r\n",
        " x-a: 1\r\n",
        "x-a : 1\r\n",
        ": 1\r\n",
        "x-a\r\n",
        "x-a: \0\r\n",
        "x\u{1}a: 1\r\n",
        // Hosts.
        "host: b\r\n",
        "host: a\r\n",
    ] {
        let request = format!("POST /v1/notes HTTP/1.1\r\nhost: a\r\n{head}\r\n0\r\n\r\n{BEHIND}");
        let answer = until_closed(gateway.public, &request).await;
        if !is_refused(&answer) {
            taken.push((head, answer));
        }
    }
    for line in [
        "GET /v1/notes/a HTTP/1.1\r\n\r\n",
        "GET http://a/v1/notes/a HTTP/1.1\r\nhost: b\r\n\r\n",
        "GET http://u@a/v1/notes/a HTTP/1.1\r\nhost: u@a\r\n\r\n",
        "GET /v1/notes/a HTTP/1.1\r\nhost: a/b\r\n\r\n",
        "GET /v1/notes/a HTTP/1.1\r\nhost: a, b\r\n\r\n",
        "GET v1/notes/a HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET  /v1/notes/a HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /v1/notes/a b HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /v1/notes/a HTTP/1.2\r\nhost: a\r\n\r\n",
        "G(T /v1/notes/a HTTP/1.1\r\nhost: a\r\n\r\n",
    ] {
        let answer = until_closed(gateway.public, &format!("{line}{BEHIND}")).await;
        if !is_refused(&answer) {
            taken.push((line, answer));
        }
    }
    assert!(taken.is_empty(), "{taken:#?}");
    // HTTP/2: an authority and a host that differ.
    let headers = [("host", "other")];
    let call = RestCall::open(gateway.public, true, ("GET", "/v1/notes/a"), &headers, false).await;
    assert_eq!(call.finish().await.status, 400);
    assert!(backend.reached().is_empty(), "{:?}", backend.reached());
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_h_1_a_chunk_that_is_none_never_ends_a_request() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway(backend.address).start().await;
    for body in [
        "0x2\r\n{}\r\n0\r\n\r\n",
        "+2\r\n{}\r\n0\r\n\r\n",
        "\r\n{}\r\n0\r\n\r\n",
        "ffffffffffffffffff\r\n{}\r\n0\r\n\r\n",
        "2\r\n{}0\r\n\r\n",
        "2\r\n{}\n0\r\n\r\n",
        "g\r\n{}\r\n0\r\n\r\n",
        "2\r\n{}\r\n",
        "2 \r\n{}\r\n0\r\n\r\n",
        "2;a\nb\r\n{}\r\n0\r\n\r\n",
        "2\r\n{}\r\n0\r\nx: 1\n\r\n",
    ] {
        let head = "POST /v1/notes HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n\
                    transfer-encoding: chunked\r\n\r\n";
        let mut stream = TcpStream::connect(gateway.public).await.expect("a connection");
        stream.write_all(format!("{head}{body}").as_bytes()).await.expect("it is taken");
        stream.shutdown().await.expect("it is open");
        let mut answer = Vec::new();
        let read = timeout(Duration::from_secs(10), stream.read_to_end(&mut answer));
        let _ = read.await.expect("it is closed");
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{body:?}: {answer}");
    }
    assert!(backend.reached().is_empty(), "{:?}", backend.reached());
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_h_2_connect_and_trace_are_never_served_and_no_header_changes_the_method() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway(backend.address).start().await;
    for line in ["TRACE /v1/notes/a", "CONNECT a:80", "CONNECT /v1/notes/a"] {
        let request = format!("{line} HTTP/1.1\r\nhost: a:80\r\nconnection: close\r\n\r\n");
        let answer = until_closed(gateway.public, &request).await;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(["405", "400"].contains(&status), "{line}: {answer}");
        assert!(status == "405" || line.ends_with("a"), "{line}: {answer}");
    }
    let trace = RestCall::open(gateway.public, true, ("TRACE", "/v1/notes/a"), &[], false).await;
    let trace = trace.finish().await;
    assert_eq!((trace.status.as_u16(), trace.header("allow")), (405, "GET, POST"));
    assert!(backend.reached().is_empty(), "{:?}", backend.reached());

    // The method is the one on the request line, whatever else is said of it.
    for name in ["x-http-method-override", "x-http-method", "x-method-override"] {
        let request = format!(
            "POST /v1/notes/a HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{name}: GET\r\n\
             content-length: 0\r\n\r\n"
        );
        let answer = raw(gateway.public, request.as_bytes()).await.expect("an answer");
        assert_eq!(answer.status, 405, "{name}: {}", answer.body);
    }
    // Nor is a form a query.
    let form = "POST /v1/notes/a HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\
                content-type: application/x-www-form-urlencoded\r\ncontent-length: 8\r\n\r\nnumber=7";
    assert_eq!(raw(gateway.public, form.as_bytes()).await.expect("an answer").status, 405);
    let form = form.replace("/v1/notes/a", "/v1/notes");
    assert_eq!(raw(gateway.public, form.as_bytes()).await.expect("an answer").status, 415);
    assert!(backend.reached().is_empty(), "{:?}", backend.reached());
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_h_2_a_body_is_asked_for_only_when_it_is_wanted() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway(backend.address).limits("message: 1KiB").start().await;
    const JSON: &str = "content-type: application/json\r\n";
    for (line, headers, length, status) in [
        ("POST /v1/notes", JSON, 12, 200),
        ("POST /v1/notes", "content-type: text/plain\r\n", 12, 415),
        ("POST /v1/notes", "content-type: application/json\r\ncontent-encoding: br\r\n", 12, 415),
        ("POST /v1/notes", JSON, 1_025, 413),
        ("POST /v1/nothing", JSON, 12, 404),
        ("PUT /v1/notes", JSON, 12, 405),
        ("POST /v1/notes", "content-type: application/json\r\naccept: text/html\r\n", 12, 406),
        ("GET /v1/notes/a", JSON, 12, 400),
        ("POST /test.v1.Notes/Get", JSON, 12, 415),
    ] {
        let request = format!(
            "{line} HTTP/1.1\r\nhost: a\r\n{headers}expect: 100-continue\r\n\
             content-length: {length}\r\n\r\n"
        );
        let mut stream = TcpStream::connect(gateway.public).await.expect("a connection");
        stream.write_all(request.as_bytes()).await.expect("it is taken");
        let mut answer = vec![0; 4096];
        let read = timeout(Duration::from_secs(10), stream.read(&mut answer)).await;
        let read = read.expect("in time").expect("an answer");
        let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
        if status != 200 {
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{line}: {answer}");
            continue;
        }
        assert_eq!(answer, "HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(b"{\"text\":\"a\"}").await.expect("it is taken");
        let mut answer = vec![0; 4096];
        let read = timeout(Duration::from_secs(10), stream.read(&mut answer)).await;
        let read = read.expect("in time").expect("an answer");
        assert!(answer[..read].starts_with(b"HTTP/1.1 200 "));
    }
    assert_eq!(backend.reached().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_h_2_by_http_2_too_a_body_is_asked_for_only_when_it_is_wanted() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway(backend.address).start().await;
    for (media, expect, status, asked) in [
        ("application/json", "100-continue", 200, true),
        ("application/json", "100-Continue", 200, true),
        ("application/json", "something-else", 200, false),
        ("text/plain", "100-continue", 415, false),
    ] {
        let stream = TcpStream::connect(gateway.public).await.expect("a connection");
        let (mut send, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
        #[expect(clippy::disallowed_methods, reason = "a caller is no part of the gateway")]
        tokio::spawn(connection);
        let request = http::Request::post("http://any/v1/notes")
            .header("content-type", media)
            .header("expect", expect)
            .header("content-length", "12")
            .body(())
            .expect("a request");
        let (mut response, mut body) = send.send_request(request, false).expect("a stream");
        if asked {
            let told = std::future::poll_fn(|cx| response.poll_informational(cx));
            let told = timeout(Duration::from_secs(10), told).await.expect("in time");
            assert_eq!(told.expect("it is told").expect("it is told").status(), 100);
        }
        if status == 200 {
            body.send_data(bytes::Bytes::from_static(b"{\"text\":\"a\"}"), true).expect("room");
        }
        if !asked {
            let told = std::future::poll_fn(|cx| response.poll_informational(cx));
            let told = timeout(Duration::from_secs(10), told).await.expect("in time");
            assert!(told.is_none(), "{media} {expect}");
        }
        let response = timeout(Duration::from_secs(10), response).await.expect("in time");
        assert_eq!(response.expect("an answer").status(), status, "{media} {expect}");
    }
    assert_eq!(backend.reached().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_h_1_calls_in_front_of_a_doubt_are_answered_first() {
    let backend = Backend::start(vec![Script::Held]);
    let gateway = gateway(backend.address).start().await;
    let mut stream = TcpStream::connect(gateway.public).await.expect("a connection");
    let requests =
        "GET /v1/notes/a HTTP/1.1\r\nhost: a\r\n\r\nGET /v1/notes/b HTTP/1.1\nhost: a\n\n";
    stream.write_all(requests.as_bytes()).await.expect("requests");
    gateway.until(|_| backend.calls() == 1).await;
    backend.release();
    let mut answers = String::new();
    timeout(Duration::from_secs(10), stream.read_to_string(&mut answers))
        .await
        .expect("an end in time")
        .expect("answers");
    let statuses: Vec<&str> =
        answers.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, ["200", "400"], "{answers}");
    assert!(answers.ends_with("\"details\":[]}"), "{answers}");
    assert_eq!(backend.calls(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn security_li_9_a_head_without_an_end_is_refused_when_it_is_too_large() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway(backend.address).limits("header_bytes: 4KiB, uri: 1KiB").start().await;
    for filling in ["x-a: y\r\n", "\r\n"] {
        let request = format!("GET / HTTP/1.1\r\nhost: a\r\n{}", filling.repeat(20_000));
        let request = if filling == "\r\n" { filling.repeat(20_000) } else { request };
        let answer = until_closed(gateway.public, &request).await;
        // What is not read any more may cost the answer, never the end.
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
}
