//! What a caller is told of its own call: only if it asks, and only if it may.

use tandem_testkit::client::{Answer, grpc, note, raw};
use tandem_testkit::{Backend, Script, TestGateway, gateway};

use super::header;

const MAY: &str = "auth: { public: true, debug: true }";

async fn gateway_of(script: Script, may: bool) -> (Backend, TestGateway) {
    let backend = Backend::start(vec![script]);
    let setup = gateway(backend.address);
    let setup = if may { setup.method("Get", MAY).method("Many", MAY) } else { setup };
    let gateway = setup.start().await;
    (backend, gateway)
}

async fn asked(gateway: &TestGateway, path: &str, debug: &str) -> Answer {
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: any\r\nconnection: close\r\nx-tandem-debug: {debug}\r\n\r\n"
    );
    raw(gateway.public, request.as_bytes()).await.unwrap()
}

/// The names of a `server-timing` value, which must be one by its grammar; each has a duration.
fn metrics(value: &str) -> Vec<String> {
    let one = |metric: &str| {
        let mut parts = metric.split(';').map(str::trim);
        let name = parts.next().unwrap().to_owned();
        assert!(!name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric()), "{value}");
        let duration = parts.next().and_then(|part| part.strip_prefix("dur=")).unwrap();
        assert!(duration.parse::<f64>().unwrap() >= 0.0, "{value}");
        for part in parts {
            let said = part.strip_prefix("desc=\"").and_then(|said| said.strip_suffix('"'));
            assert!(said.is_some_and(|said| !said.is_empty()), "{value}");
        }
        name
    };
    value.split(", ").map(one).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn experience_ux_35_a_caller_who_may_and_asks_is_told() {
    let (backend, gateway) = gateway_of(Script::Echo, true).await;
    let answer = asked(&gateway, "/v1/notes/a", "timing, served-by").await;
    assert_eq!(answer.status, 200);
    let told = metrics(header(&answer.head, "server-timing"));
    let all = ["listen", "detect", "policy", "decode", "upstream", "wait", "attempt", "answer"];
    assert_eq!(told, [&all[..], &["encode", "total"]].concat());
    assert_eq!(header(&answer.head, "x-tandem-served-by"), "it");
    let only = asked(&gateway, "/v1/notes/a", "served-by").await;
    assert_eq!(header(&only.head, "server-timing"), "");
    assert_eq!(header(&only.head, "x-tandem-served-by"), "it");
    let only = asked(&gateway, "/v1/notes/a", "timing").await;
    assert_eq!(header(&only.head, "x-tandem-served-by"), "");
    // An address is never told (protocols E-12), and the question never passes (security N-4).
    assert!(!answer.head.contains(&backend.address.port().to_string()), "{}", answer.head);
    for reached in backend.reached() {
        assert!(!reached.headers.keys().any(|name| name.as_str().starts_with("x-tandem")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn experience_ux_35_without_the_right_or_the_question_nothing_is_told() {
    let (backend, without) = gateway_of(Script::Echo, false).await;
    let (_backend, with) = gateway_of(Script::Echo, true).await;
    for (gateway, path, debug) in [
        (&without, "/v1/notes/a", "timing, served-by"),
        (&with, "/v1/notes/a", "everything"),
        (&with, "/v1/notes/a", ""),
        (&with, "/v1/read/a", "timing, served-by"), // another method of the same service
        (&with, "/v1/nothing", "timing, served-by"),
    ] {
        let answer = asked(gateway, path, debug).await;
        assert!(!answer.head.contains("server-timing"), "{path} {debug}: {}", answer.head);
        assert!(!answer.head.contains("x-tandem"), "{path} {debug}: {}", answer.head);
    }
    assert!(!backend.reached()[0].headers.contains_key("x-tandem-debug"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_fails_tells_where_its_time_went_too() {
    let backend = Backend::start(vec![Script::Hang]);
    let rules = "deadline: { default: 30ms }, auth: { public: true, debug: true }";
    let gateway = gateway(backend.address).method("Get", rules).start().await;
    let answer = asked(&gateway, "/v1/notes/a", "timing, served-by").await;
    assert_eq!(answer.status, 504);
    let timing = header(&answer.head, "server-timing");
    assert!(timing.contains("desc=\"no answer\""), "{timing}");
    assert!(metrics(timing).contains(&"upstream".to_owned()));
    assert_eq!(header(&answer.head, "x-tandem-served-by"), "it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_tells_what_is_known_in_its_head_and_all_of_it_in_trailers() {
    let script = Script::Answer {
        http_status: 200,
        head: vec![("content-type", "application/grpc"), ("server-timing", "db;dur=1")],
        messages: vec![note("a"), note("b")],
        trailers: Some(vec![("grpc-status", "0")]),
    };
    let (_backend, gateway) = gateway_of(script, true).await;
    let debug = [("x-tandem-debug", "timing, served-by")];
    let answer = grpc(gateway.public, "Many", &debug, &[&note("a")]).await;
    assert_eq!(answer.status(), "0");
    let head: Vec<_> = answer.head.get_all("server-timing").iter().collect();
    assert_eq!(head.len(), 2, "what the service says of its own time stays");
    assert_eq!(head[0], "db;dur=1");
    assert!(!metrics(head[1].to_str().unwrap()).contains(&"write".to_owned()));
    assert_eq!(answer.head["x-tandem-served-by"], "it");
    let trailers = answer.trailers.unwrap();
    let told = metrics(trailers["server-timing"].to_str().unwrap());
    assert_eq!(told.last().map(String::as_str), Some("total"));
    assert!(told.contains(&"answer".to_owned()), "{told:?}");
    // Of REST streams only the head can say something.
    let answer = asked(&gateway, "/v1/many", "timing").await;
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("server-timing: detect") || answer.head.contains("listen"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_cannot_say_who_served_in_our_place() {
    let script = Script::Answer {
        http_status: 200,
        head: vec![("content-type", "application/grpc"), ("x-tandem-served-by", "forged")],
        messages: vec![note("a")],
        trailers: Some(vec![("grpc-status", "0"), ("x-tandem-served-by", "forged")]),
    };
    for may in [true, false] {
        let (_backend, gateway) = gateway_of(script.clone(), may).await;
        let answer = asked(&gateway, "/v1/notes/a", "served-by").await;
        assert!(!answer.head.contains("forged"), "{}", answer.head);
        let answer = grpc(gateway.public, "Get", &[], &[&note("a")]).await;
        assert!(!answer.head.contains_key("x-tandem-served-by"));
        assert!(!answer.trailers.unwrap().contains_key("x-tandem-served-by"));
    }
}
