//! The product through sockets: what reached the upstream, and what came back, to the last header
//! and byte (protocols T-10).
//!
//! Not here: the cases and what must come of them (`table`, shared with the product in memory).

#[path = "../../protocol/tests/product/table.rs"]
mod table;

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use http::HeaderMap;
use tandem_contract::MethodKind;
use tandem_protocol::stream::{Framing, Lines};
use tandem_testkit::backend::{self, Backend, Reached, Script};
use tandem_testkit::client::{self, GrpcCall, RestCall};
use tandem_testkit::{TestGateway, gateway};

use self::table::{
    Answer, AnswerEnd, BackEnd, CONTRACT, Caller, Case, Outcome, Reaches, cases, sorted,
};

#[tokio::test(flavor = "multi_thread")]
async fn protocols_t_10_rest_callers_of_arrays() {
    every_case_of(Caller::Rest(Framing::Array)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_t_10_rest_callers_of_lines() {
    every_case_of(Caller::Rest(Framing::Lines(Lines::XNdjson))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_t_10_rest_callers_of_events() {
    every_case_of(Caller::Rest(Framing::Events)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_t_10_grpc_callers() {
    every_case_of(Caller::Grpc).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_t_10_grpc_callers_of_json() {
    every_case_of(Caller::GrpcJson).await;
}

/// One way to call: by HTTP/1.1 or HTTP/2.
#[derive(Debug, Clone, Copy)]
struct Call {
    case: Case,
    http2: bool,
}

async fn every_case_of(caller: Caller) {
    let versions: &[bool] =
        if matches!(caller, Caller::Rest(_)) { &[false, true] } else { &[true] };
    let cases = cases().into_iter().filter(|case| case.caller == caller);
    let calls: Vec<Call> = cases
        .flat_map(|case| versions.iter().map(move |http2| Call { case, http2: *http2 }))
        .collect();
    let (late, others): (Vec<Call>, Vec<Call>) =
        calls.into_iter().partition(|call| call.case.outcome == Outcome::Deadline);
    assert_eq!((late.len(), others.len()), (16 * versions.len(), 112 * versions.len()));

    let upstream = Backend::start(vec![Script::Hang]);
    let gateway = gateway(upstream.address).contract(CONTRACT).start().await;
    for call in others {
        upstream.set(vec![script(call.case.answer())]);
        check(call, &upstream, &gateway).await;
    }

    // Deadlines pass side by side.
    let upstream = Backend::start(vec![Script::Hang]);
    let patience = "deadline: { default: 1s }";
    let gateway = tandem_testkit::gateway(upstream.address).contract(CONTRACT).rules(patience);
    let gateway = gateway.start().await;
    let count = late.len();
    all(late.into_iter().map(|call| check(call, &upstream, &gateway))).await;
    upstream.cancelled(count).await;
}

async fn all<F: Future<Output = ()>>(futures: impl Iterator<Item = F>) {
    let mut running: Vec<Pin<Box<F>>> = futures.map(Box::pin).collect();
    poll_fn(|cx| {
        running.retain_mut(|one| one.as_mut().poll(cx).is_pending());
        if running.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

fn script(answer: Answer) -> Script {
    let Answer { head, pieces, end } = answer;
    let end = match end {
        AnswerEnd::Trailers(trailers) => backend::End::Trailers(trailers),
        AnswerEnd::InHead => backend::End::Bare,
        AnswerEnd::Reset(code) => backend::End::Reset(code),
        AnswerEnd::Never => return Script::Hang,
    };
    Script::Raw { head, pieces, end }
}

/// What came back.
struct Came {
    http_status: u16,
    grpc_status: Option<String>,
    head: HeaderMap,
    body: Vec<u8>,
    end: BackEnd,
}

/// The only place that calls.
async fn check(call: Call, upstream: &Backend, gateway: &TestGateway) {
    let what = format!("{call:?}");
    let Call { case, http2 } = call;
    let mut headers = case.headers();
    headers.push(("x-case", &what));
    let came = match case.caller {
        Caller::Rest(_) => by_rest(case, http2, &headers, gateway).await,
        Caller::Grpc | Caller::GrpcJson => by_grpc(case, &headers, gateway).await,
    };
    let expected = case.comes_back();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if expected.in_part {
        assert!(expected.body.starts_with(&came.body), "{what}: {}", text(&came.body));
    } else {
        assert_eq!(text(&came.body), text(&expected.body), "{what}");
        assert_eq!(came.body, expected.body, "{what}");
    }
    assert_eq!(came.http_status, expected.http_status, "{what}");
    assert_eq!(came.grpc_status, expected.grpc_status, "{what}");
    let stream = expected.end == BackEnd::Aborted
        || (case.kind.many_answers() && expected.http_status == 200);
    // A length where there is one; only HTTP/1 has to say that there is none.
    let framing = if stream { "transfer-encoding" } else { "content-length" };
    let by_rest = matches!(case.caller, Caller::Rest(_));
    let of_transfer = ["date", framing]
        .into_iter()
        .filter(|name| by_rest && (!http2 || *name != "transfer-encoding"));
    // A refusal may be coded too.
    let refused = by_rest && !expected.head.iter().any(|name| name == "vary");
    let of_version = of_transfer.chain(refused.then_some("vary")).map(str::to_owned);
    assert_eq!(came.end, expected.end, "{what}");
    assert_eq!(names_of(&came.head), sorted(expected.head.into_iter().chain(of_version)), "{what}");
    let mine =
        |reached: &&Reached| reached.headers.get("x-case").is_some_and(|case| *case == *what);
    let reached = upstream.reached();
    let mut reached = reached.iter().filter(mine);
    match case.reaches() {
        Reaches::Nothing => assert!(reached.next().is_none(), "{what}: it reached the upstream"),
        Reaches::NotWhole => assert!(reached.all(|reached| !reached.ended), "{what}: looks whole"),
        Reaches::Whole(body) => {
            let first = reached.next().expect(&what);
            assert!(reached.next().is_none(), "{what}: sent once");
            arrived(first, case, &body, &what);
        }
    }
}

fn arrived(reached: &Reached, case: Case, body: &[u8], what: &str) {
    assert_eq!(reached.path, format!("/test.v1.Notes/{}", case.method()), "{what}");
    assert_eq!(reached.body, body, "{what}");
    assert!(reached.ended, "{what}");
    let ours = ["content-type", "te", "traceparent", "x-request-id", "x-case"].into_iter();
    let timed = case.kind == MethodKind::Unary || case.outcome == Outcome::Deadline;
    let expected = ours.chain(case.reaching_names()).chain(timed.then_some("grpc-timeout"));
    assert_eq!(names_of(&reached.headers), sorted(expected), "{what}");
    assert!(reached.headers.get_all("x-mine").iter().eq(["y", "z"]), "{what}: in order");
    assert_eq!(reached.headers["content-type"], "application/grpc", "{what}");
    assert_eq!(reached.headers["x-mine-bin"], "AAE", "{what}: unpadded");
    assert_eq!(reached.headers["x-forwarded-for"], "127.0.0.1", "{what}");
}

async fn by_rest(case: Case, http2: bool, headers: &[(&str, &str)], gateway: &TestGateway) -> Came {
    let path = format!("/v1/{}", case.method().to_ascii_lowercase());
    let mut call = RestCall::open(gateway.public, http2, ("POST", &path), headers, true).await;
    for piece in case.asked() {
        call.send(&piece).await;
    }
    call.send(b"").await;
    let came = call.finish().await;
    let end = match came.end {
        client::End::Complete => BackEnd::Complete,
        client::End::Closed => BackEnd::Aborted,
        client::End::Reset(code) => {
            assert_eq!(code, 2, "{case:?}: INTERNAL_ERROR");
            BackEnd::Aborted
        }
    };
    Came {
        http_status: came.status.as_u16(),
        grpc_status: None,
        head: came.headers,
        body: came.body.into_bytes(),
        end,
    }
}

async fn by_grpc(case: Case, headers: &[(&str, &str)], gateway: &TestGateway) -> Came {
    let mut call = GrpcCall::open(gateway.public, case.method(), headers).await;
    for piece in case.asked() {
        call.bytes(&piece);
    }
    let came = call.finish().await;
    assert!(!came.reset, "{case:?}: it ends with a status");
    let status = came.status().to_owned();
    let end = match &came.trailers {
        None => BackEnd::Complete,
        Some(trailers) => BackEnd::Trailers(names_of(trailers)),
    };
    Came {
        http_status: came.http_status.as_u16(),
        grpc_status: Some(status),
        head: came.head,
        body: came.body,
        end,
    }
}

fn names_of(headers: &HeaderMap) -> Vec<String> {
    sorted(headers.keys().map(|name| name.as_str()))
}
