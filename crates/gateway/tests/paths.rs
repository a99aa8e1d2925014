//! What a path means to a caller, with the switches and the rules of a team's configuration.

use tandem_testkit::backend::{Backend, Script};
use tandem_testkit::client::rest;
use tandem_testkit::gateway;

/// The status, the value of a header (empty where it is not there) and the body.
struct Told {
    status: u16,
    header: String,
    body: String,
}

async fn told(gateway: &tandem_testkit::TestGateway, request: &str, header: &str) -> Told {
    let (method, target) = request.split_once(' ').expect("a method and a target");
    let answer = rest(gateway.public, method, target, "").await;
    let line = answer.head.lines().find_map(|line| line.strip_prefix(&format!("{header}: ")));
    Told { status: answer.status, header: line.unwrap_or("").to_owned(), body: answer.body }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_p_5_an_encoded_slash_is_data_where_the_team_says_so() {
    let backend = Backend::start(vec![Script::Echo]);
    let strict = gateway(backend.address).start().await;
    let open = gateway(backend.address).rules("rest: { encoded_slash: decode }").start().await;
    for (target, refused, body) in [
        ("/v1/notes/a%2Fb", 400, r#"{"text":"a/b"}"#),
        ("/v1/notes/a%5Cb", 400, r#"{"text":"a\\b"}"#),
        ("/v1/notes/a%252Fb", 200, r#"{"text":"a%2Fb"}"#),
    ] {
        let request = format!("GET {target}");
        assert_eq!(told(&strict, &request, "").await.status, refused, "{target}");
        let answer = told(&open, &request, "").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, body), "{target}");
    }
    for target in ["/v1/notes/..%2Fb", "/v1/notes/%00", "/v1//notes", "/v1/nothing%2Fhere"] {
        assert_eq!(told(&open, &format!("GET {target}"), "").await.status, 400, "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_p_9_the_methods_of_a_path_are_told() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway = gateway(backend.address).start().await;
    for (request, status, allow) in [
        ("PUT /v1/notes/a", 405, "get, head, options"),
        ("GET /v1/notes", 405, "options, post"),
        ("OPTIONS /v1/notes/a", 204, "get, head, options"),
        ("OPTIONS /v1/nothing", 404, ""),
        ("HEAD /v1/notes/a", 200, ""),
    ] {
        let answer = told(&gateway, request, "allow").await;
        assert_eq!((answer.status, answer.header.as_str()), (status, allow), "{request}");
        let silent = request.starts_with("HEAD") || status == 204;
        assert_eq!(answer.body.is_empty(), silent, "{request}: {}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_p_10_a_slash_too_many_is_unknown_or_sent_on() {
    let backend = Backend::start(vec![Script::Echo]);
    let strict = gateway(backend.address).start().await;
    let kind = gateway(backend.address).rules("rest: { trailing_slash: redirect }").start().await;
    for (request, status, location) in [
        ("GET /v1/notes/a/", 308, "/v1/notes/a"),
        ("GET /v1/notes/a/?number=7", 308, "/v1/notes/a?number=7"),
        ("HEAD /v1/notes/%2e%2e%2e/", 308, "/v1/notes/%2e%2e%2e"),
        ("POST /v1/notes/", 308, "/v1/notes"),
        ("PUT /v1/notes/a/", 404, ""),
        ("GET /v1/nothing/", 404, ""),
        ("GET /", 404, ""),
        // Nothing that another host could be read from.
        ("GET //other.example/", 400, ""),
        ("GET /v1/notes/a%2F/", 400, ""),
    ] {
        let answer = told(&kind, request, "location").await;
        assert_eq!((answer.status, answer.header.as_str()), (status, location), "{request}");
        assert!(status != 308 || answer.body.is_empty(), "{request}");
        let answer = told(&strict, request, "location").await;
        let plain = if status == 308 { 404 } else { status };
        assert_eq!((answer.status, answer.header.as_str()), (plain, ""), "{request}");
    }
    assert_eq!(backend.reached().len(), 0, "none of them is a call");
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_p_14_configured_rules_are_served_instead_of_annotations() {
    let backend = Backend::start(vec![Script::Echo]);
    let rules = "http: [{ get: \"/v2/{text=notes/*}\" }, { custom: { kind: SEND, path: /v2/notes }, body: \"*\" }]";
    let gateway = gateway(backend.address).method("Get", rules).start().await;
    for (request, status, body) in [
        ("GET /v2/notes/a", 200, r#"{"text":"notes/a"}"#),
        ("SEND /v2/notes", 200, "{}"),
        ("GET /v2/notes", 405, ""),
        ("GET /v1/notes/a", 404, ""),
        ("POST /v1/notes", 404, ""),
    ] {
        let answer = told(&gateway, request, "").await;
        assert_eq!(answer.status, status, "{request}: {}", answer.body);
        assert!(body.is_empty() || answer.body == body, "{request}: {}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_j_17_answers_are_written_as_the_team_chose() {
    let backend = Backend::start(vec![Script::Echo]);
    for (choice, body) in [
        ("{}", r#"{"text":"a","number":"7"}"#),
        ("{ int64: number }", r#"{"text":"a","number":7}"#),
        ("{ defaults: emit }", r#"{"text":"a","number":"7","more":[]}"#),
    ] {
        let setup = gateway(backend.address).rules(&format!("json: {choice}"));
        let answer = told(&setup.start().await, "GET /v1/notes/a?number=7", "").await;
        assert_eq!(answer.body, body, "{choice}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_p_15_what_cannot_be_served_is_left_out_and_shown() {
    let backend = Backend::start(vec![Script::Echo]);
    // As of a contract that was not at hand when the documents were checked.
    let gateway = gateway(backend.address)
        .method("Get", "http: [{ get: \"/v1/{nothing}\" }, { get: \"/v1/same/{text}\" }]")
        .method("Many", "http: { get: \"/v1/same/{number}\" }")
        .start()
        .await;
    let namespaces = gateway.view.namespaces();
    assert_eq!(
        namespaces[0].problems,
        [
            "test.v1.Notes/Get: http[0]: column 6: template `/v1/{nothing}`: `test.v1.Note` has no \
             field `nothing`; name a field",
            "GET /v1/same/{number} is claimed twice: by test.v1.Notes/Get in `notes` and by \
             test.v1.Notes/Many in `notes`",
        ]
    );
    let answer = told(&gateway, "GET /v1/same/a", "").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"text":"a"}"#));
    assert_eq!(told(&gateway, "GET /v1/a", "").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_p_12_a_value_that_does_not_parse_is_400_with_its_field() {
    let backend = Backend::start(vec![Script::Echo]);
    let gateway =
        gateway(backend.address).method("Get", "http: { get: \"/v1/n/{number}\" }").start().await;
    for (value, status, said) in [
        ("9223372036854775807", 200, r#"{"number":"9223372036854775807"}"#),
        ("-9223372036854775808", 200, r#"{"number":"-9223372036854775808"}"#),
        ("9223372036854775808", 400, "\"field\":\"number\""),
        ("abc", 400, "\"field\":\"number\""),
        ("%31", 200, r#"{"number":"1"}"#),
    ] {
        let answer = told(&gateway, &format!("GET /v1/n/{value}"), "").await;
        assert_eq!(answer.status, status, "{value}: {}", answer.body);
        assert!(answer.body.contains(said), "{value}: {}", answer.body);
    }
}
