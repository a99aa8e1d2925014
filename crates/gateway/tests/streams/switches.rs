//! What a team may choose about streams (protocols, section 14).

use tandem_contract::fields;
use tandem_testkit::backend::{Backend, Script};
use tandem_testkit::client::{End, RestCall, note};
use tandem_testkit::gateway;

use super::{FULL, HTTP1, HTTP2, STREAMS, failed, get, ok};

#[tokio::test(flavor = "multi_thread")]
async fn protocols_s_6_a_route_says_how_streams_are_framed() {
    let backend = Backend::start(vec![failed(&["a"])]);
    let rules = "rest: { stream_framing: ndjson, stream_envelope: result_error }";
    let gateway = gateway(backend.address).contract(STREAMS).method("Many", rules).start().await;
    for http2 in [HTTP1, HTTP2] {
        let transfer = get(&gateway, http2, "/v1/many", "*/*").await;
        assert_eq!(transfer.header("content-type"), "application/x-ndjson");
        let lines = format!("{{\"result\":{{\"text\":\"a\"}}}}\n{{\"error\":{FULL}}}\n");
        assert_eq!((transfer.body, transfer.end), (lines, End::Complete));
        let transfer = get(&gateway, http2, "/v1/many", "application/json").await;
        assert_eq!(transfer.body, format!(r#"[{{"text":"a"}},{{"error":{FULL}}}"#));
    }
}

/// A `Note` with this text and number.
fn numbered(text: &str, number: u64) -> Vec<u8> {
    let mut out = note(text);
    fields::put_number(2, number, &mut out);
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_s_7_a_field_of_the_messages_numbers_the_events() {
    let messages =
        vec![numbered("a", 7), numbered("b\nc", u64::MAX), note("d\r"), note("\0"), note("é 1")];
    let script = Script::Answer {
        http_status: 200,
        head: vec![("content-type", "application/grpc")],
        messages,
        trailers: Some(vec![("grpc-status", "0")]),
    };
    let data = [
        r#"{"text":"a","number":"7"}"#,
        r#"{"text":"b\nc","number":"-1"}"#,
        r#"{"text":"d\r"}"#,
        r#"{"text":"\u0000"}"#,
        r#"{"text":"é 1"}"#,
    ];
    for (field, ids) in [
        // Counted, where nobody says otherwise.
        (None, [Some("1"), Some("2"), Some("3"), Some("4"), Some("5")]),
        (Some("number"), [Some("7"), Some("-1"), Some("0"), Some("0"), Some("0")]),
        // A text that could begin a line of its own is no id; nor is one that callers ignore.
        (Some("text"), [Some("a"), None, None, None, Some("é 1")]),
        // Unset, and of a type that can be.
        (Some("left"), [None; 5]),
    ] {
        let backend = Backend::start(vec![script.clone()]);
        let rules = field.map(|field| format!("rest: {{ sse_id_field: {field} }}"));
        let gateway = gateway(backend.address).contract(STREAMS);
        let gateway = gateway.method("Many", &rules.unwrap_or_default()).start().await;
        let mut expected = String::new();
        for (id, data) in ids.iter().zip(data) {
            expected += &id.map(|id| format!("id: {id}\n")).unwrap_or_default();
            expected += &format!("data: {data}\n\n");
        }
        expected += "event: end\ndata: {}\n\n";
        for http2 in [HTTP1, HTTP2] {
            let transfer = get(&gateway, http2, "/v1/many", "text/event-stream").await;
            assert_eq!(transfer.body, expected, "{field:?}");
            // Elsewhere it changes nothing.
            let transfer = get(&gateway, http2, "/v1/many", "application/json").await;
            assert_eq!(transfer.body, format!("[{}]", data.join(",")), "{field:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_s_1_the_route_says_what_comes_first_among_equals() {
    let backend = Backend::start(vec![ok(&["a"])]);
    for (framing, media) in [
        ("array", "application/json"),
        ("ndjson", "application/x-ndjson"),
        ("sse", "text/event-stream"),
    ] {
        let rules = format!("rest: {{ stream_framing: {framing} }}");
        let gateway = gateway(backend.address).contract(STREAMS).method("Many", &rules);
        let gateway = gateway.start().await;
        for (accept, expected) in [
            ("*/*", media),
            ("text/event-stream, application/x-ndjson, application/json", media),
            ("application/json", "application/json"),
            ("text/event-stream;q=0.9, */*;q=0.1", "text/event-stream"),
        ] {
            for http2 in [HTTP1, HTTP2] {
                let transfer = get(&gateway, http2, "/v1/many", accept).await;
                assert_eq!(transfer.header("content-type"), expected, "{framing} {accept}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_a_1_the_route_says_how_long_a_silent_head_is_held() {
    // The upstream sends its head and nothing else until the deadline has passed.
    let backend = Backend::start(vec![Script::HangAfter(Vec::new())]);
    for (hold, status) in [("1ms", 200), ("60s", 504)] {
        let rules = format!("rest: {{ head_hold: {hold} }}, deadline: {{ default: 1s }}");
        let gateway = gateway(backend.address).contract(STREAMS).method("Many", &rules);
        let gateway = gateway.start().await;
        for http2 in [HTTP1, HTTP2] {
            let line = ("GET", "/v1/many");
            let mut call = RestCall::open(gateway.public, http2, line, &[], false).await;
            assert_eq!(call.head().await, status, "{hold}");
        }
    }
}
