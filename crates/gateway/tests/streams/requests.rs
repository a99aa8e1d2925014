//! Requests that are streams: what reaches the upstream, and which element was at fault.

use std::io::Write;

use tandem_contract::fields;
use tandem_testkit::backend::{Backend, Script};
use tandem_testkit::client::{End, RestCall, note};
use tandem_testkit::gateway;

use super::{HTTP1, HTTP2, JSON, STREAMS, get, post, streams};

/// The texts of the messages that reached the upstream.
fn texts(messages: &[bytes::Bytes]) -> Vec<Vec<u8>> {
    messages.iter().map(|message| message.to_vec()).collect()
}

fn numbered(text: &str, number: u64) -> Vec<u8> {
    let mut out = note(text);
    fields::put_number(2, number, &mut out);
    out
}

/// Path, media type, body, and the messages that must reach the upstream.
type Case<'a> = (&'a str, (&'a str, &'a str), &'a str, Vec<Vec<u8>>);

async fn become_messages(cases: &[Case<'_>]) {
    let backend = Backend::start(vec![Script::message(note("done"))]);
    let gateway = streams(&backend).await;
    let mut reached = 0;
    for (path, media, body, messages) in cases {
        for http2 in [HTTP1, HTTP2] {
            let transfer = post(&gateway, http2, path, &[*media], body.as_bytes()).await;
            assert_eq!(
                (transfer.status.as_u16(), &*transfer.body),
                (200, r#"{"text":"done"}"#),
                "{body}"
            );
            let last = &backend.reached()[reached];
            reached += 1;
            assert_eq!(texts(&last.messages), *messages, "{path} {body}");
            assert!(last.ended, "{body}");
        }
    }
}

const LINES: (&str, &str) = ("content-type", "application/x-ndjson");

#[tokio::test(flavor = "multi_thread")]
async fn protocols_s_9_streams_of_requests_reach_the_upstream_as_messages() {
    let two = || vec![note("a"), note("b")];
    become_messages(&[
        ("/v1/collect", JSON, r#"[{"text":"a"}, {"text":"b"}]"#, two()),
        ("/v1/collect", JSON, r#"{"text":"a"} {"text":"b"}{}"#, [two(), vec![vec![]]].concat()),
        ("/v1/collect", LINES, "{\"text\":\"a\"}\n\n{\"text\":\"b\"}", two()),
        ("/v1/collect", JSON, "[]", vec![]),
        ("/v1/collect", JSON, "", vec![]),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_s_10_path_and_query_bind_into_the_first_message_only() {
    let field = |number, text: &str| {
        let mut out = Vec::new();
        fields::put_bytes(number, text.as_bytes(), &mut out);
        out
    };
    let one = numbered("", 1);
    let (x, y, z) = (field(3, "x"), field(3, "y"), field(3, "z"));
    become_messages(&[
        // The path says something even where no element follows.
        ("/v1/collect/t", JSON, "[]", vec![note("t")]),
        (
            "/v1/collect/t",
            JSON,
            r#"[{"number":1},{"number":1}]"#,
            vec![[one.clone(), note("t")].concat(), one.clone()],
        ),
        // Later elements say nothing against the path.
        (
            "/v1/left/l",
            JSON,
            r#"[{"number":1},{"right":"r"}]"#,
            vec![[one.clone(), field(5, "l")].concat(), field(6, "r")],
        ),
        // A list of lists, because one element is a list itself.
        (
            "/v1/more/t",
            JSON,
            r#"[["x"],["y","z"]]"#,
            vec![[note("t"), x].concat(), [y.clone(), z.clone()].concat()],
        ),
        ("/v1/more/t?number=1", LINES, "[\"y\",\"z\"]", vec![[note("t"), y, z, one].concat()]),
    ])
    .await;
    // A rule that takes no body makes one message.
    let backend = Backend::start(vec![Script::message(note("done"))]);
    let gateway = streams(&backend).await;
    let transfer = get(&gateway, HTTP1, "/v1/collect/t", "*/*").await;
    assert_eq!(transfer.status, 200, "{}", transfer.body);
    assert_eq!(texts(&backend.reached()[0].messages), [note("t")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_s_9_a_fault_names_its_element_and_the_upstream_is_cancelled() {
    let backend = Backend::start(vec![Script::message(note("done"))]);
    let gateway = streams(&backend).await;
    let lines = ("content-type", "application/jsonl");
    for (path, media, body, status, message) in [
        ("/v1/collect", JSON, r#"[{"number":"x"}]"#, 400, "element 0: number: `x` is no number"),
        ("/v1/collect", JSON, "}", 400, "element 0: a value was expected (at byte 0)"),
        ("/v1/any/t", JSON, "1", 400, "element 0: a list of messages was expected (at byte 0)"),
        (
            "/v1/collect/t",
            JSON,
            r#"{"text":"u"}"#,
            400,
            "element 0: text: the body gives it another value than the path",
        ),
        ("/v1/collect?number=1", JSON, "[]", 400, "number: "),
        ("/v1/collect", ("content-type", "text/plain"), "x", 415, "the body must be"),
        ("/v1/collect", ("content-encoding", "br"), "x", 415, ""),
    ] {
        for http2 in [HTTP1, HTTP2] {
            let transfer = post(&gateway, http2, path, &[media], body.as_bytes()).await;
            assert_eq!(transfer.status, status, "{body}: {}", transfer.body);
            assert!(
                transfer.body.contains(&format!("\"message\":\"{message}")),
                "{}",
                transfer.body
            );
        }
    }
    assert!(backend.reached().is_empty(), "a fault in the first element reaches no upstream");
    let mut cancelled = 0;
    for (media, body, message) in [
        (
            JSON,
            r#"[{"text":"a"},{"text":"b"},{"number":"x"}]"#,
            "element 2: number: `x` is no number",
        ),
        (JSON, r#"[{"text":"a"},]"#, "element 1: a value was expected (at byte 14)"),
        (JSON, r#"[{"text":"a"},{"text":"b"}"#, "element 2: the body ends inside the list"),
        (lines, "{}\n{}\n{\"nope\":1}\n", "element 2: "),
    ] {
        for http2 in [HTTP1, HTTP2] {
            let transfer = post(&gateway, http2, "/v1/collect", &[media], body.as_bytes()).await;
            assert_eq!(transfer.status, 400, "{body}: {}", transfer.body);
            assert!(
                transfer.body.contains(&format!("\"message\":\"{message}")),
                "{}",
                transfer.body
            );
            cancelled += 1;
            backend.cancelled(cancelled).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_i_8_a_raw_body_becomes_messages_of_64_kib() {
    let backend = Backend::start(vec![Script::message(note("done"))]);
    let gateway = streams(&backend).await;
    let part = |name: &str, content_type: &str, data: &[u8]| {
        let (mut content, mut out) = (Vec::new(), Vec::new());
        if !content_type.is_empty() {
            fields::put_bytes(1, content_type.as_bytes(), &mut content);
        }
        if !data.is_empty() {
            fields::put_bytes(2, data, &mut content);
        }
        if !name.is_empty() {
            fields::put_bytes(1, name.as_bytes(), &mut out);
        }
        fields::put_bytes(2, &content, &mut out);
        out
    };
    let kib64 = 64 * 1024;
    for (number, (bytes, parts)) in
        [(0, vec![0]), (1, vec![1]), (kib64, vec![kib64]), (2 * kib64 + 1, vec![kib64, kib64, 1])]
            .into_iter()
            .enumerate()
    {
        let data = vec![b'x'; bytes];
        let headers = [("content-type", "image/x-own")];
        let transfer = post(&gateway, HTTP1, "/v1/upload/a", &headers, &data).await;
        assert_eq!(transfer.status, 200, "{}", transfer.body);
        let mut expected: Vec<Vec<u8>> =
            parts.iter().map(|bytes| part("", "", &vec![b'x'; *bytes])).collect();
        expected[0] = part("a", "image/x-own", &vec![b'x'; parts[0]]);
        assert!(texts(&backend.reached()[number].messages) == expected, "{bytes}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_s_11_http_2_flows_both_ways_at_once_and_http_1_one_after_the_other() {
    let backend = Backend::start(vec![Script::EchoEach]);
    let gateway = streams(&backend).await;
    let line = ("POST", "/v1/talk");
    let headers = [JSON, ("accept", "application/x-ndjson")];
    let mut call = RestCall::open(gateway.public, HTTP2, line, &headers, true).await;
    for (element, answer) in [("[{\"text\":\"a\"}", "\"a\"}\n"), (",{\"text\":\"b\"}", "\"b\"}\n")]
    {
        call.send(element.as_bytes()).await;
        call.until(answer).await;
    }
    call.send(b"]").await;
    call.send(b"").await;
    let both = "{\"text\":\"a\"}\n{\"text\":\"b\"}\n";
    let transfer = call.finish().await;
    assert_eq!((&*transfer.body, transfer.end), (both, End::Complete));

    let mut call = RestCall::open(gateway.public, HTTP1, line, &headers, true).await;
    for number in 1..=100 {
        call.send(b"{\"text\":\"a\"}").await;
        backend.answered(2 + number).await;
        assert!(!call.has_come(), "the answer began before the request had ended");
    }
    call.send(b"").await;
    let transfer = call.finish().await;
    assert_eq!((transfer.body, transfer.end), ("{\"text\":\"a\"}\n".repeat(100), End::Complete));

    // A fault behind the first answer: the framing says so.
    let mut call = RestCall::open(gateway.public, HTTP2, line, &headers, true).await;
    call.send(b"[{\"text\":\"a\"}").await;
    call.until("\"a\"}\n").await;
    call.send(b",{\"number\":\"x\"}").await;
    let transfer = call.finish().await;
    assert!(
        transfer.body.contains("\n{\"error\":{\"code\":3,\"message\":\"element 1: number: "),
        "{}",
        transfer.body
    );
    assert_eq!(transfer.end, End::Reset(2));
    backend.cancelled(1).await;
}

/// A body in a coding, flushed behind each part.
fn coded(coding: &str, parts: &[&str]) -> Vec<Vec<u8>> {
    fn cut<W: Write>(
        mut encoder: W,
        parts: &[&str],
        taken: impl Fn(&mut W) -> Vec<u8>,
    ) -> (W, Vec<Vec<u8>>) {
        let written = parts.iter().map(|part| {
            encoder.write_all(part.as_bytes()).expect("it fits into memory");
            encoder.flush().expect("it fits into memory");
            taken(&mut encoder)
        });
        let written = written.collect();
        (encoder, written)
    }
    let best = flate2::Compression::best();
    let (last, mut written) = match coding {
        "gzip" => {
            let encoder = flate2::write::GzEncoder::new(Vec::new(), best);
            let (encoder, written) = cut(encoder, parts, |one| std::mem::take(one.get_mut()));
            (encoder.finish(), written)
        }
        "deflate" => {
            let encoder = flate2::write::ZlibEncoder::new(Vec::new(), best);
            let (encoder, written) = cut(encoder, parts, |one| std::mem::take(one.get_mut()));
            (encoder.finish(), written)
        }
        _ => {
            let encoder = zstd::stream::write::Encoder::new(Vec::new(), 3);
            let encoder = encoder.expect("it fits into memory");
            let (encoder, written) = cut(encoder, parts, |one| std::mem::take(one.get_mut()));
            (encoder.finish(), written)
        }
    };
    written.push(last.expect("it fits into memory"));
    written
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_i_6_each_message_of_a_coded_stream_leaves_when_it_has_come() {
    let backend = Backend::start(vec![Script::EchoEach]);
    let gateway = streams(&backend).await;
    let lines: Vec<String> =
        (0..20).map(|number| format!("{{\"text\":\"message {number}\"}}\n")).collect();
    let parts: Vec<&str> = lines.iter().map(String::as_str).collect();
    let mut answered = 0;
    for coding in ["gzip", "deflate", "zstd"] {
        for http2 in [HTTP1, HTTP2] {
            let headers = [LINES, ("content-encoding", coding), ("accept", "application/x-ndjson")];
            let line = ("POST", "/v1/talk");
            let mut call = RestCall::open(gateway.public, http2, line, &headers, true).await;
            let mut written = coded(coding, &parts);
            let last = written.pop().expect("the end");
            for part in written {
                call.send(&part).await;
                answered += 1;
                // The upstream has answered it before the next one is sent.
                backend.answered(answered).await;
            }
            call.send(&last).await;
            call.send(b"").await;
            let transfer = call.finish().await;
            assert_eq!(transfer.end, End::Complete, "{coding}");
            assert_eq!(transfer.body, lines.concat(), "{coding}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn security_r_4_a_coded_stream_is_bounded_message_by_message_and_by_its_ratio() {
    let backend = Backend::start(vec![Script::message(note("done"))]);
    let limits = "message: 20KiB";
    let gateway = gateway(backend.address).contract(STREAMS).limits(limits).start().await;
    let sized = |bytes: usize| format!("{{\"text\":\"{}\"}}\n", noise(bytes - 11));
    let most = 20 << 10;
    let bomb = format!("{{\"text\":\"{}\"}}\n", " ".repeat(1 << 20));
    // White space between messages is no message, and no way around the ratio.
    let spaces = " ".repeat(1 << 20);
    for coding in ["gzip", "deflate", "zstd"] {
        for http2 in [HTTP1, HTTP2] {
            for (what, parts, status, message) in [
                // Ten messages, each at the limit: far more than one may have.
                ("at the limit", vec![sized(most); 10], 200, ""),
                ("over it", vec![sized(most), sized(most + 1)], 413, "element 1: a value has more"),
                ("a bomb", vec!["{}\n".to_owned(), bomb.clone()], 413, "element 1: "),
                (
                    "in between",
                    vec!["{}\n".to_owned(), spaces.clone()],
                    413,
                    "element 1: the decoded",
                ),
                ("cut off", vec!["{}\n".to_owned()], 400, "the body is not sound"),
            ] {
                let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
                let mut body = coded(coding, &parts);
                if what == "cut off" {
                    body.pop();
                }
                let headers = [LINES, ("content-encoding", coding)];
                let transfer = post(&gateway, http2, "/v1/collect", &headers, &body.concat()).await;
                let case = format!("{what} {coding} http2 {http2}: {}", transfer.body);
                assert_eq!(transfer.status, status, "{case}");
                assert!(
                    transfer.body.contains(&format!("\"message\":\"{message}")) || status == 200,
                    "{case}"
                );
            }
        }
    }
    let whole = backend.reached().into_iter().filter(|reached| reached.ended);
    assert_eq!(whole.map(|reached| reached.messages.len()).collect::<Vec<_>>(), [10; 6]);
}

/// Letters that hardly compress.
fn noise(length: usize) -> String {
    let mut state = 0x9e37_79b9_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'a' + (state >> 24) as u8 % 26)
    };
    std::iter::repeat_with(next).take(length).collect()
}
