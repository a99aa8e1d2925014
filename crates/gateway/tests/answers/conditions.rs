//! Answers that the caller has already (protocols A-5).

use tandem_testkit::client::End;

use super::*;

const TAGGED_BYTES_MOST: usize = 256 << 10;

#[tokio::test(flavor = "multi_thread")]
async fn protocols_a_5_a_get_has_a_tag_that_is_the_same_in_every_form_and_gateway() {
    let backend = Backend::start(vec![Script::message(sized(2_000))]);
    let (one, two) = (answers(&backend).await, answers(&backend).await);
    let tag = ask(&one, HTTP1, GET, &[]).await.header("etag").to_owned();
    assert!(tag.starts_with("W/\"") && tag.ends_with('"') && tag.len() == 26, "{tag}");
    for gateway in [&one, &two] {
        for http2 in BOTH {
            for coding in ["identity", "gzip", "zstd"] {
                for method in ["GET", "HEAD"] {
                    let line = (method, GET.1);
                    let coding = ("accept-encoding", coding);
                    let transfer = ask(gateway, http2, line, &[coding]).await;
                    assert_eq!((transfer.status.as_u16(), transfer.header("etag")), (200, &*tag));
                    let known = [coding, ("if-none-match", &tag)];
                    let transfer = ask(gateway, http2, line, &known).await;
                    assert_eq!((transfer.status.as_u16(), &*transfer.body), (304, ""));
                    assert_eq!(transfer.end, End::Complete);
                }
            }
        }
    }
    // Another answer, another tag; also where only its form differs.
    let other = ask(&one, HTTP1, GET, &[("accept", "application/json;defaults=emit")]).await;
    assert_ne!(other.header("etag"), tag);
    backend.set(vec![Script::message(sized(2_001))]);
    let other = ask(&one, HTTP1, GET, &[("if-none-match", &tag)]).await;
    assert_eq!(other.status, 200);
    assert_ne!(other.header("etag"), tag);
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_a_5_only_safe_whole_answers_that_went_well_have_a_tag() {
    let failed = Script::trailers(&[("grpc-status", "5")]);
    let any = [("if-none-match", "*")];
    for (script, line, status, tagged) in [
        (Script::message(note("a")), GET, 304, true),
        (Script::message(note("a")), ("HEAD", GET.1), 304, true),
        (Script::message(note("a")), ("GET", "/v1/page"), 304, true),
        (Script::message(sized(TAGGED_BYTES_MOST)), GET, 304, true),
        // To hash more would hold up other calls.
        (Script::message(sized(TAGGED_BYTES_MOST + 1)), GET, 200, false),
        (Script::message(note("a")), ("GET", "/v1/many"), 200, false),
        (failed, GET, 404, false),
        (with_metadata(&[("x-http-code", "203")], note("a")), GET, 203, false),
        (with_metadata(&[("x-http-code", "204")], note("a")), GET, 204, false),
        (Script::message(note("a")), ("GET", "/v1/nothing"), 404, false),
    ] {
        let backend = Backend::start(vec![script]);
        let gateway = answers(&backend).await;
        for http2 in BOTH {
            let transfer = ask(&gateway, http2, line, &any).await;
            assert_eq!(transfer.status, status, "{line:?}");
            assert_eq!(!transfer.header("etag").is_empty(), tagged, "{line:?}");
        }
    }
    // Other methods change something, or may: their condition is the service's to judge. That a
    // method has no side effects does not make POST safe.
    let backend = Backend::start(vec![Script::message(note("a"))]);
    let gateway = answers(&backend).await;
    for path in ["/v1/notes", "/v1/read"] {
        for condition in ["if-none-match", "if-match"] {
            let transfer = post(&gateway, HTTP1, path, &[(condition, "*")]).await;
            assert_eq!((transfer.status.as_u16(), transfer.header("etag")), (200, ""), "{path}");
            let reached = backend.reached().pop().expect("a call");
            assert_eq!(reached.headers[condition], "*", "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_a_5_a_304_says_what_the_200_would_have_said_and_nothing_of_the_body() {
    let metadata = [("cache-control", "max-age=60"), ("vary", "x-own"), ("expires", "0")];
    let backend = Backend::start(vec![with_metadata(&metadata, sized(5_000))]);
    let gateway = answers(&backend).await;
    for http2 in BOTH {
        let headers = [("accept-encoding", "zstd")];
        let full = ask(&gateway, http2, GET, &headers).await;
        let tag = full.header("etag").to_owned();
        let known = ask(&gateway, http2, GET, &[headers[0], ("if-none-match", &tag)]).await;
        assert_eq!((full.status.as_u16(), known.status.as_u16()), (200, 304));
        let of_body = ["content-type", "content-length", "content-encoding"];
        for name in of_body {
            assert_ne!(full.header(name), "", "{name}");
            assert_eq!(known.header(name), "", "{name}");
        }
        for name in full.headers.keys() {
            if of_body.contains(&name.as_str()) || ["x-request-id", "date"].contains(&name.as_str())
            {
                continue;
            }
            let of = |transfer: &Transfer| -> Vec<_> {
                transfer.headers.get_all(name).iter().cloned().collect()
            };
            assert_eq!(of(&full), of(&known), "{name}");
        }
        assert!(known.headers.contains_key("date"));
        let vary: Vec<_> = known.headers.get_all("vary").iter().collect();
        assert_eq!(vary, ["x-own", "Accept, Accept-Encoding"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_a_5_a_tag_of_the_service_is_kept_and_weak_where_its_bytes_are_not() {
    let backend = Backend::start(vec![with_metadata(&[("etag", "\"r7\"")], sized(5_000))]);
    let gateway = answers(&backend).await;
    for (coding, asked, status, tag) in [
        ("identity", "\"r6\"", 200, "\"r7\""),
        ("gzip", "\"r6\"", 200, "W/\"r7\""),
        // As the answer with a body has it, so that nobody keeps two names.
        ("gzip", "W/\"r7\"", 304, "W/\"r7\""),
        ("gzip", "\"r7\"", 304, "W/\"r7\""),
        ("identity", "W/\"r7\"", 304, "\"r7\""),
        ("identity", "\"r6\", \"r7\"", 304, "\"r7\""),
        ("identity", "r7", 200, "\"r7\""),
    ] {
        let headers = [("accept-encoding", coding), ("if-none-match", asked)];
        let transfer = ask(&gateway, HTTP1, GET, &headers).await;
        assert_eq!((transfer.status.as_u16(), transfer.header("etag")), (status, tag), "{asked}");
        if status == 200 {
            let head = ask(&gateway, HTTP1, ("HEAD", GET.1), &headers).await;
            assert_eq!((head.status.as_u16(), head.header("etag")), (200, tag), "{asked}");
        }
        // It may judge the condition itself: it sees it as any metadata.
        assert_eq!(backend.reached().pop().expect("a call").headers["if-none-match"], asked);
    }
    // What the service says is no tag is passed on, and names nothing.
    let backend = Backend::start(vec![with_metadata(&[("etag", "r7")], note("a"))]);
    let gateway = answers(&backend).await;
    let transfer = ask(&gateway, HTTP1, GET, &[("if-none-match", "*")]).await;
    assert_eq!((transfer.status.as_u16(), transfer.header("etag")), (200, "r7"));
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_a_5_head_says_what_get_says() {
    let backend = Backend::start(vec![Script::message(sized(5_000))]);
    let gateway = answers(&backend).await;
    for http2 in BOTH {
        let get = ask(&gateway, http2, GET, &[]).await;
        let head = ask(&gateway, http2, ("HEAD", GET.1), &[]).await;
        assert_eq!(head.bytes.len(), 0);
        assert_eq!(head.header("content-length"), "5000");
        let without = |transfer: &Transfer| {
            let mut headers = transfer.headers.clone();
            for name in ["x-request-id", "date"] {
                headers.remove(name);
            }
            headers
        };
        assert_eq!(without(&get), without(&head));
    }
}
