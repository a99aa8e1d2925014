//! Answers in gzip and zstd (protocols A-6), read by decoders that are not the gateway's.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use tandem_testkit::client::End;

use super::*;

const CODINGS: [&str; 3] = ["identity", "gzip", "zstd"];

/// What a reader makes of a body that is said to be coded so; `None` where it is not complete.
fn decoded(coding: &str, body: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let read = match coding {
        "" => return Some(body.to_vec()),
        "gzip" => flate2::read::MultiGzDecoder::new(body).read_to_end(&mut out),
        "zstd" => zstd::stream::read::Decoder::new(body).ok()?.read_to_end(&mut out),
        other => panic!("{other}"),
    };
    read.is_ok().then_some(out)
}

/// What a reader has of a body that may not be complete.
fn so_far(coding: &str, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match coding {
        "identity" => out.extend_from_slice(body),
        "gzip" => {
            let mut decoder = flate2::write::GzDecoder::new(&mut out);
            decoder.write_all(body).and_then(|()| decoder.flush()).expect("a sound beginning");
            drop(decoder);
        }
        "zstd" => {
            let mut decoder = zstd::stream::write::Decoder::new(&mut out).expect("memory");
            decoder.write_all(body).and_then(|()| decoder.flush()).expect("a sound beginning");
        }
        other => panic!("{other}"),
    }
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_a_6_bodies_above_1_kib_are_coded_as_the_caller_likes() {
    for bytes in [2, 1_023, 1_024, 1_025, 65_536, 65_537, 200_000] {
        let message = if bytes == 2 { Vec::new() } else { sized(bytes) };
        let backend = Backend::start(vec![Script::message(message)]);
        let gateway = answers(&backend).await;
        let plain = ask(&gateway, HTTP1, GET, &[]).await;
        assert_eq!(plain.bytes.len(), bytes);
        for http2 in BOTH {
            for asked in CODINGS {
                let transfer = ask(&gateway, http2, GET, &[("accept-encoding", asked)]).await;
                let place = format!("{bytes} {asked} http2 {http2}");
                let coding = if bytes > 1_024 && asked != "identity" { asked } else { "" };
                assert_eq!(transfer.header("content-encoding"), coding, "{place}");
                assert_eq!(transfer.header("vary"), "Accept, Accept-Encoding", "{place}");
                assert_eq!(transfer.end, End::Complete, "{place}");
                // What is coded while it is written has no length beforehand.
                let length = match (coding, bytes > 65_536) {
                    ("gzip" | "zstd", true) => String::new(),
                    _ => transfer.bytes.len().to_string(),
                };
                assert_eq!(transfer.header("content-length"), length, "{place}");
                assert!(coding.is_empty() || transfer.bytes.len() < bytes / 2, "{place}");
                let body = decoded(coding, &transfer.bytes).expect("a complete body");
                assert!(body == plain.bytes, "{place}");
                // One name for all forms of an answer.
                assert_eq!(transfer.header("etag"), plain.header("etag"), "{place}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_a_6_streams_are_coded_and_events_never() {
    let texts: Vec<String> = (0..200).map(|number| format!("text {number}")).collect();
    let backend = Backend::start(vec![Script::Answer {
        http_status: 200,
        head: vec![("content-type", "application/grpc")],
        messages: texts.iter().map(|text| note(text)).collect(),
        trailers: Some(vec![("grpc-status", "0")]),
    }]);
    let gateway = answers(&backend).await;
    for accept in ["application/json", "application/x-ndjson", "text/event-stream"] {
        let headers = [("accept", accept)];
        let plain = ask(&gateway, HTTP1, ("GET", "/v1/many"), &headers).await;
        assert!(plain.body.contains("text 199"), "{}", plain.body);
        for http2 in BOTH {
            for asked in CODINGS {
                let headers = [("accept", accept), ("accept-encoding", asked)];
                let transfer = ask(&gateway, http2, ("GET", "/v1/many"), &headers).await;
                let place = format!("{accept} {asked} http2 {http2}");
                let coded = accept != "text/event-stream" && asked != "identity";
                let coding = if coded { asked } else { "" };
                assert_eq!(transfer.header("content-encoding"), coding, "{place}");
                assert_eq!(transfer.header("vary"), "Accept, Accept-Encoding", "{place}");
                assert_eq!(transfer.header("etag"), "", "{place}");
                assert_eq!(transfer.end, End::Complete, "{place}");
                assert_eq!(decoded(coding, &transfer.bytes).unwrap(), plain.bytes, "{place}");
            }
        }
    }
    // The same for a stream without a message: what is there is not worth it.
    let backend = Backend::start(vec![Script::trailers(&[("grpc-status", "0")])]);
    let gateway = answers(&backend).await;
    let headers = [("accept-encoding", "gzip")];
    let transfer = ask(&gateway, HTTP2, ("GET", "/v1/many"), &headers).await;
    assert_eq!((transfer.body.as_str(), transfer.header("content-encoding")), ("[]", ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_a_6_and_s_8_a_message_is_readable_when_it_comes() {
    let backend = Backend::start(vec![Script::HangAfter(vec![note("first")]), Script::EchoEach]);
    let gateway = answers(&backend).await;
    for asked in CODINGS {
        // One after the other, each before the next is sent.
        let headers = [("content-type", "application/x-ndjson"), ("accept-encoding", asked)];
        for http2 in BOTH {
            backend.set(vec![Script::HangAfter(vec![note("first")])]);
            let many = ("GET", "/v1/many");
            let mut call = RestCall::open(gateway.public, http2, many, &headers[1..], false).await;
            call.until_body(|body| so_far(asked, body) == br#"[{"text":"first"}"#).await;
        }
        backend.set(vec![Script::EchoEach]);
        let talk = ("POST", "/v1/talk");
        let mut call = RestCall::open(gateway.public, HTTP2, talk, &headers, true).await;
        let mut said = String::new();
        for number in 1..20 {
            call.send(format!("{{\"number\":\"{number}\"}}\n").as_bytes()).await;
            said.push_str(if number == 1 { "[" } else { "," });
            said.push_str(&format!("{{\"number\":\"{number}\"}}"));
            if number == 1 {
                assert_eq!(call.head().await, 200);
            }
            call.until_body(|body| so_far(asked, body) == said.as_bytes()).await;
        }
        call.send(b"").await;
        let transfer = call.finish().await;
        let coding = if asked == "identity" { "" } else { asked };
        assert_eq!(decoded(coding, &transfer.bytes).unwrap(), format!("{said}]").as_bytes());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_a_6_and_s_3_a_failed_stream_looks_complete_in_no_coding() {
    let backend = Backend::start(vec![Script::Answer {
        http_status: 200,
        head: vec![("content-type", "application/grpc")],
        messages: vec![note("a"), note("b")],
        trailers: Some(vec![("grpc-status", "9"), ("grpc-message", "not so")]),
    }]);
    let gateway = answers(&backend).await;
    let record = r#"{"error":{"code":9,"message":"not so","details":[]}}"#;
    for (accept, body) in [
        ("application/json", format!(r#"[{{"text":"a"}},{{"text":"b"}},{record}"#)),
        ("application/x-ndjson", format!("{{\"text\":\"a\"}}\n{{\"text\":\"b\"}}\n{record}\n")),
    ] {
        for (http2, end) in [(HTTP1, End::Closed), (HTTP2, End::Reset(2))] {
            for asked in ["gzip", "zstd"] {
                let headers = [("accept", accept), ("accept-encoding", asked)];
                let transfer = ask(&gateway, http2, ("GET", "/v1/many"), &headers).await;
                let place = format!("{accept} {asked} http2 {http2}");
                assert_eq!(transfer.header("content-encoding"), asked, "{place}");
                assert_eq!(transfer.end, end, "{place}");
                let said = so_far(asked, &transfer.bytes);
                assert_eq!(String::from_utf8_lossy(&said), body, "{place}");
                // Whoever looks at the bytes alone sees that they have no end.
                assert_eq!(decoded(asked, &transfer.bytes), None, "{place}");
            }
        }
    }
    // Where the record is unmistakable, the body has its end, coded or not (S-6).
    let rules = "rest: { stream_framing: ndjson, stream_envelope: result_error }";
    let enveloped = gateway_of(&backend).method("Many", rules).start().await;
    for asked in ["gzip", "zstd"] {
        let headers = [("accept-encoding", asked)];
        let transfer = ask(&enveloped, HTTP1, ("GET", "/v1/many"), &headers).await;
        let body = decoded(asked, &transfer.bytes).expect("a complete body");
        assert!(body.ends_with(format!("{record}\n").as_bytes()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_a_6_raw_bodies_are_coded_by_their_type_and_never_twice() {
    let text = "a line of text that is there again and again\n".repeat(100);
    let mut state = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(5_000)
    .collect();
    let gzip = "gzip";
    for (media, metadata, data, coding) in [
        ("text/csv; header=present", &[][..], text.as_bytes(), gzip),
        ("image/svg+xml", &[], text.as_bytes(), gzip),
        ("image/png", &[], text.as_bytes(), ""),
        ("application/zip", &[], text.as_bytes(), ""),
        ("application/octet-stream", &[], text.as_bytes(), ""),
        ("", &[], text.as_bytes(), ""),
        ("text/event-stream", &[], text.as_bytes(), ""),
        // What does not become shorter.
        ("text/plain", &[], &noise, ""),
        // The service's own coding goes with its bytes.
        ("text/plain", &[("content-encoding", "br")], text.as_bytes(), "br"),
        ("text/plain", &[("cache-control", "no-transform")], text.as_bytes(), ""),
    ] {
        let backend = Backend::start(vec![with_metadata(metadata, http_body(media, data))]);
        let gateway = answers(&backend).await;
        for http2 in BOTH {
            let headers = [("accept-encoding", "gzip")];
            let transfer = ask(&gateway, http2, ("GET", "/v1/page"), &headers).await;
            assert_eq!(transfer.status, 200, "{media}: {}", transfer.body);
            assert_eq!(transfer.header("content-encoding"), coding, "{media} {metadata:?}");
            let length = transfer.bytes.len().to_string();
            assert_eq!(transfer.header("content-length"), length, "{media}");
            let reading = if coding == "br" { "" } else { coding };
            assert!(decoded(reading, &transfer.bytes).unwrap() == data, "{media}");
            // A stream is judged by the type of its first message.
            let transfer = ask(&gateway, http2, ("GET", "/v1/pages"), &headers).await;
            let coding = if media == "text/plain" && metadata.is_empty() { gzip } else { coding };
            assert_eq!(transfer.header("content-encoding"), coding, "{media} {metadata:?}");
            let reading = if coding == "br" { "" } else { coding };
            assert!(decoded(reading, &transfer.bytes).unwrap() == data, "{media}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_a_6_long_errors_are_coded_too() {
    let long: &'static str = "why it is so, ".repeat(100).leak();
    let backend =
        Backend::start(vec![Script::trailers(&[("grpc-status", "9"), ("grpc-message", long)])]);
    let gateway = answers(&backend).await;
    for (line, status, long) in [(GET, 400, true), (("GET", "/v1/nothing"), 404, false)] {
        for http2 in BOTH {
            for asked in CODINGS {
                let transfer = ask(&gateway, http2, line, &[("accept-encoding", asked)]).await;
                assert_eq!(transfer.status, status);
                let coding = if long && asked != "identity" { asked } else { "" };
                assert_eq!(transfer.header("content-encoding"), coding);
                assert_eq!(transfer.header("content-type"), "application/json");
                assert_eq!(transfer.header("content-length"), transfer.bytes.len().to_string());
                let body = decoded(coding, &transfer.bytes).expect("a complete body");
                assert!(body.starts_with(b"{\"code\":"), "{}", String::from_utf8_lossy(&body));
            }
        }
    }
    // A refusal of ours that repeats a long name.
    let headers = [("content-type", "application/json"), ("accept-encoding", "gzip, *;q=0")];
    let mut call =
        RestCall::open(gateway.public, HTTP2, ("POST", "/v1/notes"), &headers, true).await;
    call.send(br#"{"number":"x"}"#).await;
    call.send(b"").await;
    let transfer = call.finish().await;
    assert_eq!((transfer.status.as_u16(), transfer.header("content-encoding")), (400, "gzip"));
    assert!(decoded("gzip", &transfer.bytes).unwrap().starts_with(b"{\"code\":3,"));
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_a_6_and_a_4_what_has_no_body_has_no_coding() {
    let backend = Backend::start(vec![
        Script::message(sized(5_000)),
        with_metadata(&[("x-http-code", "204")], sized(5_000)),
    ]);
    let gateway = answers(&backend).await;
    let coded = [("accept-encoding", "gzip")];
    let transfer = ask(&gateway, HTTP2, ("HEAD", "/v1/notes/a"), &coded).await;
    assert_eq!((transfer.status.as_u16(), transfer.bytes.len()), (200, 0));
    // To know the length of the coded body it would have to be coded.
    assert_eq!(transfer.header("content-length"), "");
    assert_eq!(transfer.header("content-encoding"), "");
    assert_eq!(transfer.header("vary"), "Accept, Accept-Encoding");
    for http2 in BOTH {
        let transfer = ask(&gateway, http2, GET, &coded).await;
        assert_eq!((transfer.status.as_u16(), transfer.bytes.len()), (204, 0));
        for name in ["content-length", "content-encoding", "etag"] {
            assert_eq!(transfer.header(name), "", "{name}");
        }
    }
}

/// `curl` and `gzip` read what is sent, and tell a stream that failed.
#[tokio::test(flavor = "multi_thread")]
async fn protocols_a_6_curl_and_gzip_read_it() {
    let version = Command::new("curl").arg("-V").output();
    let Ok(version) = version else { return eprintln!("no curl on PATH: nothing was tried") };
    let knows = |word: &str| String::from_utf8_lossy(&version.stdout).contains(word);
    let backend = Backend::start(vec![Script::message(sized(5_000))]);
    let gateway = answers(&backend).await;
    let plain = ask(&gateway, HTTP1, GET, &[]).await;
    let curl = |option: &str, path: &str, more: &[&str]| {
        Command::new("curl")
            .args(["-q", "-s", "-N", "--noproxy", "*", "--max-time", "20", option])
            .args(more)
            .arg(format!("http://{}{path}", gateway.public))
            .output()
            .expect("curl runs")
    };
    let options = ["--http1.1", "--http2-prior-knowledge"];
    let options = if knows("HTTP2") { &options[..] } else { &options[..1] };
    for option in options {
        for coding in ["gzip", "zstd"] {
            if coding == "zstd" && !knows("zstd") {
                continue;
            }
            let header = format!("accept-encoding: {coding}");
            let read = curl(option, "/v1/notes/a", &["--compressed", "-H", &header]);
            assert_eq!(read.status.code(), Some(0), "{option} {coding}");
            assert!(read.stdout == plain.bytes, "{option} {coding}");
        }
    }
    let raw = curl("--http1.1", "/v1/notes/a", &["-H", "accept-encoding: gzip"]);
    let Ok(mut gunzip) =
        Command::new("gzip").arg("-dc").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()
    else {
        return eprintln!("no gzip on PATH");
    };
    gunzip.stdin.take().expect("it is piped").write_all(&raw.stdout).expect("it reads");
    let read = gunzip.wait_with_output().expect("it ends");
    assert!(read.status.success() && read.stdout == plain.bytes);

    backend.set(vec![Script::Answer {
        http_status: 200,
        head: vec![("content-type", "application/grpc")],
        messages: vec![note("a")],
        trailers: Some(vec![("grpc-status", "9")]),
    }]);
    let cut = curl("--http1.1", "/v1/many", &["--compressed", "-H", "accept-encoding: gzip"]);
    assert_ne!(cut.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&cut.stdout).contains("{\"error\":"), "{cut:?}");
}
