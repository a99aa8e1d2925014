//! The product in memory: the bytes of a request in chunks of every size → its messages → the
//! bytes of the answer, through the readers and writers alone, without a socket (protocols T-10).
//!
//! [`check`] strings them together as the gateway does, and is the only place that knows them.
//! Not here: the cases and what must come of them (`table`).

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

#[path = "../../../transcode/tests/common/mod.rs"]
mod common;
mod table;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use tandem_contract::{Contract, MethodKind};
use tandem_protocol::coding::{self, Bounds, Pieces};
use tandem_protocol::compression::{self, Agreed};
use tandem_protocol::envelope::{self, EnvelopeReader, Scanner};
use tandem_protocol::metadata::{self, Hop};
use tandem_protocol::refusal::{Reason, Refusal, Shape};
use tandem_protocol::status::{self, Code, Status};
use tandem_protocol::stream::{After, Envelope, EventId, Framer, Framing, Lines};
use tandem_protocol::values::Values;
use tandem_protocol::{CallerProtocol, cardinality, rest};
use tandem_transcode::{
    BindOptions, Limits, Plans, RestAnswer, RestRequest, RulePlan, append_json_from_wire,
    append_wire_from_json, next_request_from_rest, request_from_rest, response_to_rest,
};

use self::table::{
    Answer, AnswerEnd, BROKE_OFF, Back, BackEnd, CONTRACT, Caller, Case, Outcome, Reaches,
    TOO_LATE, cases, sorted,
};

const BOUNDS: Bounds = Bounds { bytes_max: 4 << 20, ratio_max: 100 };

#[test]
fn protocols_t_10_rest_callers_of_arrays_in_chunks_of_every_size() {
    every_case_of(Caller::Rest(Framing::Array));
}

#[test]
fn protocols_t_10_rest_callers_of_lines_in_chunks_of_every_size() {
    every_case_of(Caller::Rest(Framing::Lines(Lines::XNdjson)));
}

#[test]
fn protocols_t_10_rest_callers_of_events_in_chunks_of_every_size() {
    every_case_of(Caller::Rest(Framing::Events));
}

#[test]
fn protocols_t_10_grpc_callers_in_chunks_of_every_size() {
    every_case_of(Caller::Grpc);
}

#[test]
fn protocols_t_10_grpc_callers_of_json_in_chunks_of_every_size() {
    every_case_of(Caller::GrpcJson);
}

fn every_case_of(caller: Caller) {
    let contract = Contract::from_descriptor_set(&common::compiled(CONTRACT)).unwrap();
    let plans = Plans::new(Arc::new(contract));
    let mut checked = 0;
    for case in cases().into_iter().filter(|case| case.caller == caller) {
        let method = Method::of(&plans, case);
        let (asked, answer) = (case.asked().concat(), case.answer());
        let answered = answer.pieces.concat();
        let sent = Sent { asked: &asked, answer: &answer, answered: &answered };
        let (reaches, expected) = (case.reaches(), case.comes_back());
        for chunk in 1..=asked.len().max(answered.len()) {
            check(&method, case, sent, chunk, (&reaches, &expected));
        }
        checked += 1;
    }
    assert_eq!(checked, 128, "the table is whole");
}

struct Method<'a> {
    plans: &'a Plans,
    kind: MethodKind,
    rule: RulePlan,
    input: tandem_contract::MessageId,
    output: tandem_contract::MessageId,
}

impl Method<'_> {
    fn of(plans: &Plans, case: Case) -> Method<'_> {
        let contract = plans.contract();
        let (_, found) =
            contract.methods().find(|(_, method)| &*method.name == case.method()).unwrap();
        let rule = RulePlan::new(contract, &found.rules[0], found.input, found.output);
        Method { plans, kind: found.kind, rule, input: found.input, output: found.output }
    }
}

/// What both sides send.
#[derive(Clone, Copy)]
struct Sent<'a> {
    asked: &'a [u8],
    answer: &'a Answer,
    /// The bytes of its messages.
    answered: &'a [u8],
}

/// What went on to the upstream: all of it, or what had gone before the refusal.
struct Asked {
    body: Vec<u8>,
    refused: Option<Refusal>,
}

/// The only place that calls the readers and writers.
fn check(
    method: &Method<'_>,
    case: Case,
    sent: Sent<'_>,
    chunk: usize,
    expected: (&Reaches, &Back),
) {
    let (reaches, expected) = expected;
    let what = format!("{case:?} by {chunk}");
    let protocol = match case.caller {
        Caller::Rest(_) => CallerProtocol::Rest,
        Caller::Grpc | Caller::GrpcJson => CallerProtocol::Grpc,
    };
    let headers = header_map(&case.headers());
    let hop = Hop { internal: false, mirrored: false, peer: IpAddr::V4(Ipv4Addr::LOCALHOST) };
    let mut metadata = metadata::to_upstream(&headers, protocol, hop).expect(&what);
    let agreed = match case.caller {
        Caller::Grpc => Agreed::by_caller(metadata.headers_mut()).expect(&what),
        Caller::Rest(_) | Caller::GrpcJson => Agreed::nothing(metadata.headers_mut()),
    };
    assert_eq!(names_of(&metadata.into_headers()), sorted(case.reaching_names()), "{what}");

    let asked = match case.caller {
        Caller::Rest(_) => ask_by_rest(method, &headers, sent.asked, chunk),
        Caller::Grpc => ask_by_grpc(method, agreed, sent.asked, chunk),
        Caller::GrpcJson => ask_by_json(method, &headers, sent.asked, chunk),
    };
    match reaches {
        Reaches::Nothing => assert!(asked.body.is_empty() && asked.refused.is_some(), "{what}"),
        Reaches::NotWhole => assert!(asked.refused.is_some(), "{what}"),
        Reaches::Whole(body) => {
            assert_eq!(asked.refused, None, "{what}");
            assert_eq!(asked.body, *body, "{what}");
        }
    }

    let came = match asked.refused {
        Some(refusal) => refused(&refusal, protocol),
        None if case.outcome == Outcome::Deadline => {
            refused(&Refusal::new(Reason::Deadline, TOO_LATE), protocol)
        }
        None => match case.caller {
            Caller::Rest(framing) => answer_by_rest(method, framing, sent, chunk),
            Caller::Grpc | Caller::GrpcJson => {
                answer_by_grpc(method, case.caller, agreed, sent, chunk)
            }
        },
    };
    compare(came, expected, &what);
}

fn ask_by_grpc(method: &Method<'_>, agreed: Agreed, body: &[u8], chunk: usize) -> Asked {
    let mut scanner = Scanner::new(BOUNDS.bytes_max).decoding(agreed.request, BOUNDS.ratio_max);
    let mut gone = Vec::new();
    let refused = (|| {
        for part in body.chunks(chunk) {
            scanner.pass(part).map_err(Refusal::of_envelope)?;
            counted(cardinality::of_request(method.kind, scanner.messages(), false))?;
            gone.extend_from_slice(part);
        }
        scanner.end().map_err(Refusal::of_envelope)?;
        counted(cardinality::of_request(method.kind, scanner.messages(), true))
    })();
    Asked { body: gone, refused: refused.err() }
}

fn ask_by_json(method: &Method<'_>, headers: &HeaderMap, body: &[u8], chunk: usize) -> Asked {
    let mut reader = EnvelopeReader::new(BOUNDS.bytes_max);
    let (mut gone, mut count) = (Vec::new(), 0);
    let refused = (|| {
        let coding = compression::of_request(headers)?;
        for part in body.chunks(chunk) {
            reader.push(Bytes::copy_from_slice(part));
            while let Some(message) = reader.next() {
                let message = message.map_err(Refusal::of_envelope)?;
                let json = compression::open(message, coding, BOUNDS)?;
                let mut wire = Vec::new();
                envelope::begin(&mut wire);
                let (options, limits) = (Default::default(), Limits::default());
                append_wire_from_json(
                    method.plans,
                    method.input,
                    &json,
                    &options,
                    &limits,
                    &mut wire,
                )
                .map_err(|fault| Refusal::of_fault(&fault))?;
                count += 1;
                counted(cardinality::of_request(method.kind, count, false))?;
                gone.extend_from_slice(&envelope::seal(wire));
            }
        }
        reader.end().map_err(Refusal::of_envelope)?;
        counted(cardinality::of_request(method.kind, count, true))
    })();
    Asked { body: gone, refused: refused.err() }
}

fn ask_by_rest(method: &Method<'_>, headers: &HeaderMap, body: &[u8], chunk: usize) -> Asked {
    let mut gone = Vec::new();
    let refused = if method.kind.many_requests() {
        ask_by_values(method, headers, body, chunk, &mut gone)
    } else {
        (|| {
            rest::body_is_json(headers)?;
            let body = match coding::of_body(headers)? {
                Some(coding) => coding::decode(coding, body, BOUNDS)?,
                None => body.to_vec(),
            };
            bind(method, &body, true, &mut gone)
        })()
    };
    Asked { body: gone, refused: refused.err() }
}

/// Each value is a message as soon as its last byte has come.
fn ask_by_values(
    method: &Method<'_>,
    headers: &HeaderMap,
    body: &[u8],
    chunk: usize,
    gone: &mut Vec<u8>,
) -> Result<(), Refusal> {
    let may_be_list = method.rule.body_may_be_list(method.plans.contract());
    let mut values = Values::new(rest::body_of_values(headers, may_be_list)?, BOUNDS.bytes_max);
    let mut pieces = match coding::of_body(headers)? {
        Some(coding) => Some(Pieces::new(coding, BOUNDS.ratio_max)?),
        None => None,
    };
    for part in body.chunks(chunk) {
        match &mut pieces {
            None => values.push(part),
            Some(pieces) => {
                pieces.push(Bytes::copy_from_slice(part));
                while let Some(piece) = pieces.next() {
                    values.push(piece?);
                }
            }
        }
        while let Some(value) = values.next() {
            bind(method, &value.unwrap(), gone.is_empty(), gone)
                .map_err(|refusal| of_element(refusal, values.count() - 1))?;
        }
    }
    if let Some(pieces) = &pieces {
        pieces.end()?;
    }
    if let Some(last) = values.end().unwrap() {
        bind(method, &last, gone.is_empty(), gone)
            .map_err(|refusal| of_element(refusal, values.count() - 1))?;
    }
    Ok(())
}

fn of_element(mut refusal: Refusal, number: u64) -> Refusal {
    for violation in &mut refusal.violations {
        violation.description = format!("element {number}: {}", violation.description);
    }
    refusal.message = format!("element {number}: {}", refusal.message);
    refusal
}

fn bind(method: &Method<'_>, body: &[u8], first: bool, gone: &mut Vec<u8>) -> Result<(), Refusal> {
    let request = RestRequest {
        rule: &method.rule,
        values: &[],
        query: None,
        body,
        content_type: None,
        http_method: "POST",
    };
    let bind = if first { request_from_rest } else { next_request_from_rest };
    let mut wire = Vec::new();
    envelope::begin(&mut wire);
    bind(method.plans, request, &BindOptions::default(), &Limits::default(), &mut wire)
        .map_err(|fault| Refusal::of_fault(&fault))?;
    gone.extend_from_slice(&envelope::seal(wire));
    Ok(())
}

fn counted(judged: Result<(), cardinality::Cardinality>) -> Result<(), Refusal> {
    judged.map_err(|fault| Refusal::new(Reason::Cardinality, fault.to_string()))
}

/// How the upstream ended, behind its messages.
fn ended(answer: &Answer) -> Status {
    let said = match &answer.end {
        AnswerEnd::Trailers(trailers) => status::from_trailers(&header_map(trailers)),
        AnswerEnd::InHead => status::from_trailers(&header_map(&answer.head)),
        AnswerEnd::Reset(code) => {
            let code = status::from_reset(*code);
            Some(Status::new(code, BROKE_OFF))
        }
        AnswerEnd::Never => unreachable!("the deadline has passed"),
    };
    said.expect("it said something")
}

/// Trailing metadata: in an answer of one head all of it.
fn trailing(answer: &Answer) -> HeaderMap {
    match &answer.end {
        AnswerEnd::Trailers(trailers) => header_map(trailers),
        AnswerEnd::InHead => header_map(&answer.head),
        AnswerEnd::Reset(_) | AnswerEnd::Never => HeaderMap::new(),
    }
}

fn leading(answer: &Answer) -> HeaderMap {
    match &answer.end {
        AnswerEnd::InHead => HeaderMap::new(),
        AnswerEnd::Trailers(_) | AnswerEnd::Reset(_) | AnswerEnd::Never => header_map(&answer.head),
    }
}

fn answer_by_grpc(
    method: &Method<'_>,
    caller: Caller,
    agreed: Agreed,
    sent: Sent<'_>,
    chunk: usize,
) -> Back {
    let Sent { answer, answered, .. } = sent;
    let mut head = leading(answer);
    let coding = agreed.answered(&mut head).expect("it was offered");
    if caller == Caller::GrpcJson {
        head.remove(compression::ENCODING);
    }
    let mut out = metadata::head_to_caller(&head, CallerProtocol::Grpc);
    sign(&mut out);
    let mut scanner = Scanner::new(BOUNDS.bytes_max).decoding(coding, BOUNDS.ratio_max);
    let mut reader = EnvelopeReader::new(BOUNDS.bytes_max);
    let (mut body, mut broken) = (Vec::new(), None);
    for part in answered.chunks(chunk) {
        scanner.pass(part).expect("sound messages");
        let judged = cardinality::of_answer(method.kind, scanner.messages(), false);
        if let Err(refusal) = counted(judged) {
            broken = Some(refusal.status(Shape::Grpc));
            break;
        }
        if caller == Caller::Grpc {
            body.extend_from_slice(part);
            continue;
        }
        reader.push(Bytes::copy_from_slice(part));
        while let Some(message) = reader.next() {
            let mut json = Vec::new();
            envelope::begin(&mut json);
            let (options, limits) = (Default::default(), Limits::default());
            let wire = message.unwrap().payload;
            append_json_from_wire(method.plans, method.output, &wire, &options, &limits, &mut json)
                .unwrap();
            body.extend_from_slice(&envelope::seal(json));
        }
    }
    let said = broken.clone().unwrap_or_else(|| ended(answer));
    let mut trailers = HeaderMap::new();
    if broken.is_none() {
        metadata::trailers_to_caller(&trailing(answer), CallerProtocol::Grpc, &mut trailers);
    }
    said.put(&mut trailers);
    let status = trailers["grpc-status"].to_str().unwrap().to_owned();
    let end = if scanner.messages() == 0 {
        out.extend(trailers);
        BackEnd::Complete
    } else {
        BackEnd::Trailers(names_of(&trailers))
    };
    back(200, Some(status), &out, body, end)
}

fn answer_by_rest(method: &Method<'_>, framing: Framing, sent: Sent<'_>, chunk: usize) -> Back {
    let Sent { answer, answered, .. } = sent;
    let many = method.kind.many_answers();
    let mut out = metadata::head_to_caller(&leading(answer), CallerProtocol::Rest);
    let vary = HeaderValue::from_static("Accept, Accept-Encoding");
    out.insert(http::header::VARY, vary);
    sign(&mut out);
    let mut reader = EnvelopeReader::new(BOUNDS.bytes_max);
    let mut framer = Framer::new(framing, Envelope::Bare);
    let (mut body, mut count) = (Vec::new(), 0);
    for part in answered.chunks(chunk) {
        reader.push(Bytes::copy_from_slice(part));
        while let Some(message) = reader.next() {
            count += 1;
            if let Err(refusal) = counted(cardinality::of_answer(method.kind, count, false)) {
                return refused(&refusal, CallerProtocol::Rest);
            }
            let wire = message.unwrap().payload;
            let (options, limits) = (Default::default(), Limits::default());
            let written = response_to_rest(method.plans, &method.rule, &wire, &options, &limits);
            let RestAnswer::Json(json) = written.unwrap() else { panic!("it is no raw answer") };
            if many {
                body.extend_from_slice(&framer.message(&json, EventId::Ordinal));
            } else {
                body = json;
            }
        }
    }
    let said = ended(answer);
    let began = many && count > 0;
    if !began && said.code != Code::Ok && matches!(answer.end, AnswerEnd::Reset(_)) {
        return refused(&Refusal::new(Reason::UpstreamUnusable, BROKE_OFF), CallerProtocol::Rest);
    }
    if !many {
        metadata::trailers_to_caller(&trailing(answer), CallerProtocol::Rest, &mut out);
    }
    let status = rest::error_body(&said, Some(method.plans));
    match (said.code, began) {
        (Code::Ok, _) => {
            if many {
                body.extend_from_slice(&framer.success());
            }
            back(200, None, &out, body, BackEnd::Complete)
        }
        (_, true) => {
            let (record, after) = framer.failure(&status);
            body.extend_from_slice(&record);
            let end = match after {
                After::End => BackEnd::Complete,
                After::Abort => BackEnd::Aborted,
            };
            back(200, None, &out, body, end)
        }
        (code, false) => {
            back(code.http_status().as_u16(), None, &out, status.to_vec(), BackEnd::Complete)
        }
    }
}

fn refused(refusal: &Refusal, protocol: CallerProtocol) -> Back {
    let shape = match protocol {
        CallerProtocol::Rest => Shape::Rest,
        CallerProtocol::Grpc => Shape::Grpc,
    };
    let rendered = refusal.render(shape);
    let mut head = rendered.headers;
    sign(&mut head);
    let status = head.get("grpc-status").map(|status| status.to_str().unwrap().to_owned());
    back(rendered.status.as_u16(), status, &head, rendered.body.to_vec(), BackEnd::Complete)
}

/// What stands on every answer.
fn sign(head: &mut HeaderMap) {
    for name in ["content-type", "server", "x-request-id"] {
        head.insert(HeaderName::from_static(name), HeaderValue::from_static("any"));
    }
}

fn back(
    http_status: u16,
    grpc_status: Option<String>,
    head: &HeaderMap,
    body: Vec<u8>,
    end: BackEnd,
) -> Back {
    Back { http_status, grpc_status, head: names_of(head), body, in_part: false, end }
}

fn compare(came: Back, expected: &Back, what: &str) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if expected.in_part {
        assert!(expected.body.starts_with(&came.body), "{what}: {}", text(&came.body));
    } else {
        assert_eq!(text(&came.body), text(&expected.body), "{what}");
        assert_eq!(came.body, expected.body, "{what}");
    }
    assert_eq!(came.http_status, expected.http_status, "{what}");
    assert_eq!(came.grpc_status, expected.grpc_status, "{what}");
    assert_eq!(came.end, expected.end, "{what}");
    assert_eq!(came.head, expected.head, "{what}");
}

fn header_map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers
}

fn names_of(headers: &HeaderMap) -> Vec<String> {
    sorted(headers.keys().map(|name| name.as_str()))
}
