//! What callers take, and what they are told where nothing fits (protocols A-5, E-2).

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn protocols_a_5_what_no_type_or_coding_fits_is_406_and_says_what_is_on_offer() {
    let backend = Backend::start(vec![Script::message(note("a"))]);
    let gateway = answers(&backend).await;
    let types = "this method answers application/json";
    let streams = "this method answers application/json, application/x-ndjson or text/event-stream";
    let codings = "answers are coded in zstd or gzip, or in nothing";
    for (path, header, value, said) in [
        (GET.1, "accept", "text/html", types),
        (GET.1, "accept", "text/html, application/xml;q=0.9", types),
        (GET.1, "accept", "*/*, application/json;q=0", types),
        (GET.1, "accept", "application/json;q=0.0", types),
        ("/v1/many", "accept", "text/html", streams),
        ("/v1/many", "accept", "application/json;q=0", streams),
        (GET.1, "accept-encoding", "br, identity;q=0", codings),
        (GET.1, "accept-encoding", "*;q=0", codings),
        ("/v1/page", "accept-encoding", "*;q=0", codings),
        ("/v1/many", "accept-encoding", "gzip;q=0, *;q=0", codings),
    ] {
        for http2 in BOTH {
            let transfer = ask(&gateway, http2, ("GET", path), &[(header, value)]).await;
            assert_eq!(transfer.status, 406, "{path} {value}");
            let body = format!(r#"{{"code":3,"message":"{said}","details":[]}}"#);
            assert_eq!(transfer.body, body, "{path} {value}");
        }
    }
    assert!(backend.reached().is_empty(), "what cannot be answered is not asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_a_5_several_types_with_weights_and_parameters() {
    let backend = Backend::start(vec![Script::message(note("a"))]);
    let gateway = answers(&backend).await;
    for (path, headers, media) in [
        (GET.1, &[("accept", "text/html, application/*;q=0.1")][..], "application/json"),
        (GET.1, &[("accept", "text/html;x=\"a,b\", */*;q=0.001")], "application/json"),
        (GET.1, &[("accept", "text/html"), ("accept", "application/json")], "application/json"),
        (GET.1, &[("accept", "application/json;charset=latin1;q=0.3")], "application/json"),
        // Nobody asks for charsets any more, and JSON has one (RFC 9110, section 12.5.2).
        (GET.1, &[("accept-charset", "iso-8859-1, *;q=0")], "application/json"),
        (GET.1, &[("accept-language", "xx;q=1, *;q=0")], "application/json"),
        ("/v1/many", &[("accept", "text/*;q=0.4, application/*;q=0.3")], "text/event-stream"),
        ("/v1/many", &[("accept", "*/*, application/json;q=0.9")], "application/x-ndjson"),
    ] {
        for http2 in BOTH {
            let transfer = ask(&gateway, http2, ("GET", path), headers).await;
            assert_eq!(transfer.status, 200, "{headers:?}");
            assert_eq!(transfer.header("content-type"), media, "{headers:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_p_9_head_has_no_body_whatever_the_answer_is() {
    let backend = Backend::start(vec![Script::trailers(&[("grpc-status", "5")])]);
    let gateway = answers(&backend).await;
    for (path, headers, status) in [
        (GET.1, &[][..], 404),
        ("/v1/nothing", &[], 404),
        ("/v1/notes", &[], 405),
        ("/v1//notes", &[], 400),
        (GET.1, &[("accept", "text/html")], 406),
        ("/test.v1.Notes/Get", &[], 405),
    ] {
        for http2 in BOTH {
            let get = ask(&gateway, http2, ("GET", path), headers).await;
            let head = ask(&gateway, http2, ("HEAD", path), headers).await;
            assert_eq!((get.status.as_u16(), head.status.as_u16()), (status, status), "{path}");
            assert!(!get.bytes.is_empty() && head.bytes.is_empty(), "{path}");
            assert_eq!(head.header("content-length"), get.header("content-length"), "{path}");
            assert_eq!(head.header("content-length"), get.bytes.len().to_string(), "{path}");
        }
    }
}
