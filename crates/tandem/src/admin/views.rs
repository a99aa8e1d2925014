//! What the admin API shows, as JSON. Fields are only ever added.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tandem_config::document::{ResolvedMethod, Who};
use tandem_contract::{Contract, Idempotency, Method, MethodKind};
use tandem_gateway::View;
use tandem_gateway::observe::{Outcome, Room, Span};
use tandem_protocol::CallerProtocol;
use tandem_protocol::identity::hex;
use tandem_protocol::status::Code;

use super::{Admin, values};
use crate::stored::Stored;

/// What does not change while the process lives.
pub(crate) struct About {
    pub(crate) version: &'static str,
    pub(crate) listeners: BTreeMap<String, SocketAddr>,
    pub(crate) threads: usize,
}

/// What the gateway does, of the namespaces that are seen.
pub(crate) fn status(admin: &Admin, sees: &dyn Fn(&str) -> bool) -> Value {
    let (view, about) = (&admin.view, &admin.about);
    let methods: Vec<Value> = view
        .metrics()
        .methods()
        .iter()
        .filter(|method| sees(&method.namespace))
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
            let ms = |share| figures.durations.quantile(share).map(|time| time.as_secs_f64() * 1e3);
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
                "p50_ms": ms(0.5),
                "p99_ms": ms(0.99),
            })
        })
        .collect();
    let stored = admin.stored.as_ref();
    let lines = stored.map(|stored| stored.lines()).unwrap_or_default();
    let namespaces: Vec<Value> = view
        .namespaces()
        .into_iter()
        .filter(|namespace| sees(&namespace.name))
        .map(|namespace| {
            let line = lines.iter().find(|line| line.name.as_str() == namespace.name);
            let problems: Vec<&String> = namespace
                .problems
                .iter()
                .chain(line.iter().flat_map(|line| &line.problems))
                .collect();
            json!({
                "name": namespace.name,
                "contract": namespace.contract,
                "digest": namespace.digest,
                "version": line.and_then(|one| one.live.as_ref()).map_or(0, |one| one.version.number),
                "problems": problems,
            })
        })
        .collect();
    let settings: Vec<Value> = view
        .settings()
        .iter()
        .filter(|one| sees(&one.namespace))
        .map(|one| {
            json!({
                "namespace": one.namespace,
                "service": one.service,
                "version": one.values.version,
                "require": if one.require_all { "all" } else { "none" },
                "instances": values::instances_json(one),
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
        "store": match (stored, &admin.store_fault) {
            (Some(stored), _) => store(stored, sees),
            (None, Some(why)) => json!({ "unusable": &**why }),
            (None, None) => Value::Null,
        },
        "namespaces": namespaces,
        "settings": settings,
        "methods": methods,
    })
}

/// The state of the store, and the files that differ from it.
fn store(stored: &Stored, sees: &dyn Fn(&str) -> bool) -> Value {
    let differences: Vec<Value> = stored
        .differences()
        .iter()
        .filter(|one| sees(one.namespace.as_str()))
        .map(|one| {
            json!({
                "namespace": one.namespace.as_str(),
                "version": one.version,
                "who": one.who,
                "lines": one.lines.len(),
            })
        })
        .collect();
    json!({ "revision": stored.revision().0, "files_that_differ": differences })
}

/// Every method that is served, and by which rules; `tandem ls` and `describe` show it.
pub(crate) fn methods(view: &View, sees: &dyn Fn(&str) -> bool) -> Value {
    let limits = view.limits();
    let mut namespaces = Vec::new();
    let mut methods = Vec::new();
    for (namespace, contract) in view.served() {
        if !sees(&namespace.namespace) {
            continue;
        }
        let upstreams: Vec<Value> = namespace
            .upstreams
            .iter()
            .map(|(name, upstream)| {
                let addresses: Vec<String> =
                    upstream.addresses.iter().map(ToString::to_string).collect();
                json!({ "name": name, "addresses": addresses, "tls": upstream.tls.is_some() })
            })
            .collect();
        namespaces.push(json!({
            "name": namespace.namespace,
            "hosts": namespace.hosts,
            "contract": contract.is_some(),
            "upstreams": upstreams,
        }));
        let services = namespace.services();
        for (_, method) in contract.iter().flat_map(|contract| contract.methods()) {
            if services.contains(&*method.service) {
                let rules = namespace.resolve(&method.service, &method.name, method.kind, &limits);
                methods.push(one_method(&namespace.namespace, contract.as_deref(), method, &rules));
            }
        }
    }
    json!({ "namespaces": namespaces, "methods": methods })
}

fn one_method(
    namespace: &str,
    contract: Option<&Contract>,
    method: &Method,
    rules: &ResolvedMethod,
) -> Value {
    let message = |id| contract.map(|contract| contract.message(id).full_name.to_string());
    let rest: Vec<Value> = method
        .rules
        .iter()
        .map(|rule| {
            json!({
                "http_method": rule.http_method.name(),
                "path": rule.template.text(),
                "body": rule.body.text(),
                "response_body": rule.response_body.as_ref().map_or("", |path| &*path.text),
            })
        })
        .collect();
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    json!({
        "namespace": namespace,
        "method": method.full_name(),
        "kind": kind(method.kind),
        "idempotency": match method.idempotency {
            Idempotency::Unknown => "unknown",
            Idempotency::NoSideEffects => "no_side_effects",
            Idempotency::Idempotent => "idempotent",
        },
        "deprecated": method.deprecated,
        "input": message(method.input),
        "output": message(method.output),
        "rest": rest,
        "primary": rules.primary,
        "candidate": rules.candidate,
        "mirrored": rules.mirror.is_some(),
        "internal": rules.internal,
        "public": rules.auth.as_ref().is_some_and(|auth| auth.who == Who::Public),
        "deadline_ms": rules.deadline.map(|bounds| ms(bounds.default)),
        "deadline_ms_max": rules.deadline.map(|bounds| ms(bounds.max)),
        "message_bytes_max": rules.message_bytes_max,
        "retries": rules.retries.is_some(),
    })
}

/// The kind of call as `--json` and tables name it.
pub(crate) fn kind(kind: MethodKind) -> &'static str {
    match kind {
        MethodKind::Unary => "unary",
        MethodKind::ClientStream => "client_stream",
        MethodKind::ServerStream => "server_stream",
        MethodKind::Bidi => "bidi",
    }
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

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
