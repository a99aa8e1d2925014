//! Calls as the spans of OTLP: one message `ExportTraceServiceRequest` of a batch.
//!
//! A call is a span of kind SERVER, each room below it one of kind INTERNAL, each attempt one of
//! kind CLIENT. Whatever the upstream records hangs below the call itself, whichever attempt it
//! came by: that is the span whose id went along.
//!
//! The bytes are written here field by field, as everywhere in this house where a handful of
//! fields is known beforehand; decision 0006 says why not by the OpenTelemetry crates.
//!
//! Sources: opentelemetry-proto 1.x, `trace/v1/trace.proto` (the tests read what is written here
//! by that very file); OpenTelemetry semantic conventions, "RPC" and "HTTP" server spans.

use std::time::Duration;

use tandem_contract::fields::{put_bytes, put_number};
use tandem_protocol::CallerProtocol;
use tandem_protocol::refusal::Reason;
use tandem_protocol::status::Code;

use super::traces::Span;
use super::way::{Attempt, Outcome, Room};

/// The method by which a batch is handed over.
pub(super) const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// `SpanKind`.
#[derive(Clone, Copy)]
enum Kind {
    Internal = 1,
    Server = 2,
    Client = 3,
}

/// `Span.flags`: the trace flag "sampled", and that it is known whether the parent is remote.
const SAMPLED: u32 = 0x01 | 0x100;
const PARENT_IS_REMOTE: u32 = 0x200;

/// `Status.code`.
const ERROR: u64 = 2;

/// Writes the message of a batch; `instance` is unlike that of any other process.
pub(super) fn request(spans: &[Span], instance: &str) -> Vec<u8> {
    let mut resource = Vec::new();
    put_text(1, "service.name", "tandem", &mut resource);
    put_text(1, "service.version", env!("CARGO_PKG_VERSION"), &mut resource);
    put_text(1, "service.instance.id", instance, &mut resource);
    let mut scope = Vec::new();
    put_bytes(1, b"tandem", &mut scope);
    put_bytes(2, env!("CARGO_PKG_VERSION").as_bytes(), &mut scope);
    let mut scope_spans = Vec::new();
    put_bytes(1, &scope, &mut scope_spans);
    for span in spans {
        put_call(span, &mut scope_spans);
    }
    let mut resource_spans = Vec::new();
    put_bytes(1, &resource, &mut resource_spans);
    put_bytes(2, &scope_spans, &mut resource_spans);
    let mut message = Vec::with_capacity(resource_spans.len() + 8);
    put_bytes(1, &resource_spans, &mut message);
    message
}

/// What every span has.
struct Head<'a> {
    trace: &'a [u8; 16],
    id: [u8; 8],
    parent: Option<[u8; 8]>,
    name: &'a str,
    kind: Kind,
    start: Duration,
    took: Duration,
    flags: u32,
}

fn put_head(head: &Head<'_>, out: &mut Vec<u8>) {
    let Head { trace, id, parent, name, kind, start, took, flags } = head;
    put_bytes(1, *trace, out);
    put_bytes(2, id, out);
    if let Some(parent) = parent {
        put_bytes(4, parent, out);
    }
    put_bytes(5, name.as_bytes(), out);
    put_number(6, *kind as u64, out);
    put_fixed64(7, nanos(*start), out);
    put_fixed64(8, nanos(*start + *took), out);
    put_fixed32(16, *flags, out);
}

fn put_call(span: &Span, out: &mut Vec<u8>) {
    let mut one = Vec::with_capacity(512);
    // The path of a gRPC call without its slash is the name that the conventions ask for.
    let name = span.name.strip_prefix('/').unwrap_or(&span.name);
    let remote = if span.parent.is_some() { PARENT_IS_REMOTE } else { 0 };
    put_head(
        &Head {
            trace: &span.trace,
            id: span.span,
            parent: span.parent,
            name,
            kind: Kind::Server,
            start: span.started,
            took: span.took,
            flags: SAMPLED | remote,
        },
        &mut one,
    );
    if let Some((service, method)) = span.method.rsplit_once('/') {
        put_text(9, "rpc.system", "grpc", &mut one);
        put_text(9, "rpc.service", service, &mut one);
        put_text(9, "rpc.method", method, &mut one);
    }
    put_count(9, "rpc.grpc.status_code", span.code as u64, &mut one);
    if span.protocol == Some(CallerProtocol::Rest)
        && let Some((method, route)) = span.name.split_once(' ')
    {
        put_text(9, "http.request.method", method, &mut one);
        put_text(9, "http.route", route, &mut one);
    }
    put_count(9, "http.response.status_code", span.http_status.into(), &mut one);
    put_text(9, "tandem.request_id", &span.request_id, &mut one);
    put_text(9, "tandem.listener", &span.listener, &mut one);
    if let Some(principal) = &span.principal {
        put_text(9, "enduser.id", principal, &mut one);
    }
    if let Some(upstream) = &span.upstream {
        put_text(9, "tandem.upstream", upstream, &mut one);
        put_count(9, "tandem.attempts", span.way.attempts().count() as u64, &mut one);
    }
    if let Some(reason) = span.reason.map(Reason::name) {
        put_text(9, "tandem.refused", reason, &mut one);
    }
    if span.abandoned {
        put_flag(9, "tandem.abandoned", &mut one);
    }
    put_status(is_servers_fault(span.code).then_some(span.code.name()), &mut one);
    put_bytes(2, &one, out);
    put_rooms(&span.way.rooms(span.took), span, span.span, out);
}

fn put_rooms(rooms: &[Room], span: &Span, parent: [u8; 8], out: &mut Vec<u8>) {
    for room in rooms {
        let mut one = Vec::with_capacity(128);
        let id: [u8; 8] = rand::random();
        let start = nanos(span.started).saturating_add_signed(room.from_nanos);
        put_head(
            &Head {
                trace: &span.trace,
                id,
                parent: Some(parent),
                name: room.name,
                kind: if room.attempt.is_some() { Kind::Client } else { Kind::Internal },
                start: Duration::from_nanos(start),
                took: room.took,
                flags: SAMPLED,
            },
            &mut one,
        );
        if let Some(Attempt { endpoint, outcome, .. }) = room.attempt {
            if let Some(upstream) = &span.upstream {
                put_text(9, "tandem.upstream", upstream, &mut one);
            }
            put_count(9, "tandem.endpoint", endpoint.into(), &mut one);
            if let Outcome::Failed(code) = outcome {
                put_count(9, "rpc.grpc.status_code", code as u64, &mut one);
            }
            put_status(outcome.name(), &mut one);
        }
        put_bytes(2, &one, out);
        put_rooms(&room.rooms, span, id, out);
    }
}

/// Codes that are errors of whoever serves; the others are the caller's own doing.
fn is_servers_fault(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

/// `Span.status`, where there is an error.
fn put_status(error: Option<&str>, out: &mut Vec<u8>) {
    if let Some(message) = error {
        let mut status = Vec::new();
        put_bytes(2, message.as_bytes(), &mut status);
        put_number(3, ERROR, &mut status);
        put_bytes(15, &status, out);
    }
}

/// A `KeyValue` of text.
fn put_text(number: u32, key: &str, text: &str, out: &mut Vec<u8>) {
    let mut value = Vec::with_capacity(text.len() + 4);
    put_bytes(1, text.as_bytes(), &mut value);
    put_key_value(number, key, &value, out);
}

/// … of a whole number; zero is written, for the field is one of a oneof.
fn put_count(number: u32, key: &str, count: u64, out: &mut Vec<u8>) {
    let mut value = Vec::with_capacity(12);
    put_number(3, count, &mut value);
    put_key_value(number, key, &value, out);
}

/// … of `true`.
fn put_flag(number: u32, key: &str, out: &mut Vec<u8>) {
    let mut value = Vec::with_capacity(2);
    put_number(2, 1, &mut value);
    put_key_value(number, key, &value, out);
}

fn put_key_value(number: u32, key: &str, value: &[u8], out: &mut Vec<u8>) {
    let mut pair = Vec::with_capacity(key.len() + value.len() + 6);
    put_bytes(1, key.as_bytes(), &mut pair);
    put_bytes(2, value, &mut pair);
    put_bytes(number, &pair, out);
}

fn put_fixed64(number: u8, value: u64, out: &mut Vec<u8>) {
    out.push(number << 3 | 1); // numbers up to 15
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_fixed32(number: u32, value: u32, out: &mut Vec<u8>) {
    let tag = number << 3 | 5;
    // Numbers from 16 to 2047: a tag of two bytes.
    out.extend_from_slice(&[(tag & 0x7f | 0x80) as u8, (tag >> 7) as u8]);
    out.extend_from_slice(&value.to_le_bytes());
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
