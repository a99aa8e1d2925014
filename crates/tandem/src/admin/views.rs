//! What the admin API shows, as JSON. Fields are only ever added.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::{Value, json};
use tandem_gateway::View;
use tandem_gateway::observe::{Outcome, Room, Span};
use tandem_protocol::CallerProtocol;
use tandem_protocol::identity::hex;
use tandem_protocol::status::Code;

/// What does not change while the process lives.
pub(crate) struct About {
    pub(crate) version: &'static str,
    pub(crate) listeners: BTreeMap<String, SocketAddr>,
    pub(crate) threads: usize,
}

pub(crate) fn status(view: &View, about: &About) -> Value {
    let methods: Vec<Value> = view
        .metrics()
        .methods()
        .iter()
        .map(|method| {
            let figures = method.figures();
            let codes: serde_json::Map<String, Value> = figures
                .codes
                .iter()
                .enumerate()
                .filter(|(_, count)| **count > 0)
                .map(|(number, count)| {
                    let code = Code::from_number(u32::try_from(number).unwrap_or(u32::MAX));
                    (code.name().to_owned(), json!(count))
                })
                .collect();
            json!({
                "namespace": &*method.namespace,
                "method": &*method.method,
                "calls": figures.calls(),
                "errors": figures.errors(),
                "in_flight": figures.in_flight,
                "abandoned": figures.abandoned,
                "codes": codes,
                "mean_ms": match figures.calls() {
                    0 => Value::Null,
                    calls => json!(figures.durations.sum.as_secs_f64() * 1e3 / calls as f64),
                },
            })
        })
        .collect();
    let namespaces: Vec<Value> = view
        .namespaces()
        .into_iter()
        .map(|namespace| {
            json!({
                "name": namespace.name,
                "contract": namespace.contract,
                "digest": namespace.digest,
                "problems": namespace.problems,
            })
        })
        .collect();
    let listeners: serde_json::Map<String, Value> = about
        .listeners
        .iter()
        .map(|(name, address)| (name.clone(), json!(address.to_string())))
        .collect();
    json!({
        "version": about.version,
        "ready": view.ready(),
        "threads": about.threads,
        "listeners": listeners,
        "namespaces": namespaces,
        "methods": methods,
    })
}

pub(crate) fn spans(id: &str, spans: &[Span]) -> Value {
    let spans: Vec<Value> = spans
        .iter()
        .map(|span| {
            json!({
                "trace_id": hex(&span.trace),
                "span_id": hex(&span.span),
                "parent_id": span.parent.map(|parent| hex(&parent)),
                "name": &*span.name,
                "method": &*span.method,
                "listener": &*span.listener,
                "protocol": span.protocol.map(|protocol| match protocol {
                    CallerProtocol::Rest => "rest",
                    CallerProtocol::Grpc => "grpc",
                }),
                "upstream": span.upstream.as_deref(),
                "start_unix_nanos": nanos(span.started),
                "duration_nanos": nanos(span.took),
                "upstream_nanos": span.way.upstream_took().map(nanos),
                "rooms": rooms(&span.way.rooms(span.took)),
                "status": span.code.name(),
                "http_status": span.http_status,
                "request_id": &*span.request_id,
                "refused": span.reason.map(|reason| reason.name()),
                "received_bytes": span.received_bytes,
                "sent_bytes": span.sent_bytes,
                "abandoned": span.abandoned,
                "sampled": span.sampled,
            })
        })
        .collect();
    json!({ "trace_id": id, "spans": spans })
}

/// Where the time of a call went; a room begins so many nanoseconds behind its call.
fn rooms(rooms: &[Room]) -> Vec<Value> {
    let one = |room: &Room| {
        let mut shown = json!({
            "name": room.name,
            "start_nanos": room.from_nanos,
            "duration_nanos": nanos(room.took),
        });
        if let Some(attempt) = room.attempt {
            shown["endpoint"] = json!(attempt.endpoint);
            shown["outcome"] = json!(Outcome::name(attempt.outcome));
        }
        if !room.rooms.is_empty() {
            shown["rooms"] = json!(self::rooms(&room.rooms));
        }
        shown
    };
    rooms.iter().map(one).collect()
}

fn nanos(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
