//! `tandem trace TRACE_ID|REQUEST_ID`: the way of a call as a tree.

use std::fmt::Write as _;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::AdminArguments;
use crate::failure::{Exit, Failure};
use crate::output::{self, Form};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A trace id (32 hex digits), or the request id of an answer.
    id: String,
    #[command(flatten)]
    admin: AdminArguments,
}

pub(super) async fn trace(
    arguments: Arguments,
    form: Form,
    timeout: Duration,
) -> Result<Exit, Failure> {
    let id = &arguments.id;
    if !tandem_protocol::identity::request_id_is_usable(id) {
        return Err(Failure::new(Exit::Usage, format!("`{id}` is no id of a trace or a request")));
    }
    let admin = arguments.admin.client(timeout);
    let trace = id.len() == 32 && id.bytes().all(|byte| b"0123456789abcdef".contains(&byte));
    let mut found = Value::Null;
    if trace {
        found = admin.get(&format!("/api/v1/traces/{id}")).await?;
    }
    if spans(&found).is_empty() {
        let request = admin.get(&format!("/api/v1/requests/{id}")).await?;
        // A request is part of one trace: show all of it.
        found = match spans(&request).first().and_then(|span| span["trace_id"].as_str()) {
            Some(trace) => admin.get(&format!("/api/v1/traces/{trace}")).await?,
            None => request,
        };
    }
    if spans(&found).is_empty() {
        return Err(Failure::new(Exit::Failed, format!("nothing is known of `{id}`"))
            .because("only the last calls are kept, some thousands by data thread"));
    }
    match form {
        Form::Json => output::data(&found.to_string()),
        Form::Text => output::data(&tree(spans(&found))),
    }
    Ok(Exit::Fine)
}

fn spans(found: &Value) -> &[Value] {
    found["spans"].as_array().map_or(&[], Vec::as_slice)
}

/// The spans below each other, each with its time and the time of its upstream.
pub(super) fn tree(spans: &[Value]) -> String {
    let mut out = String::new();
    let ids: Vec<&str> = spans.iter().filter_map(|span| span["span_id"].as_str()).collect();
    let roots = spans.iter().filter(|span| {
        // A parent outside the gateway, the caller's own span, makes a root as well.
        span["parent_id"].as_str().is_none_or(|parent| !ids.contains(&parent))
    });
    for root in roots {
        write(root, spans, 0, &mut out);
    }
    out
}

fn write(span: &Value, spans: &[Value], depth: usize, out: &mut String) {
    // A trace that names itself as its parent must not keep us for ever.
    if depth > 32 {
        return;
    }
    let millis = |key: &str| span[key].as_f64().map(|nanos| nanos / 1e6);
    let text = |key: &str| span[key].as_str().unwrap_or("");
    let indent = "  ".repeat(depth);
    let mark = if depth == 0 { "" } else { "└ " };
    let status = match text("status") {
        "OK" => String::new(),
        other => format!("   {other}"),
    };
    // Writing into a string does not fail.
    let _ = writeln!(
        out,
        "{indent}{mark}{}   {:.1} ms   [{}]{status}",
        text("name"),
        millis("duration_nanos").unwrap_or(0.0),
        text("listener"),
    );
    if let Some(upstream) = span["upstream"].as_str() {
        let took = millis("upstream_nanos").map_or("no answer".into(), |ms| format!("{ms:.1} ms"));
        let _ = writeln!(out, "{indent}  └ {} ({upstream})   {took}", text("method"));
    }
    for child in spans.iter().filter(|child| child["parent_id"] == span["span_id"]) {
        write(child, spans, depth + 2, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_call_that_causes_a_call_is_its_parent_in_the_tree() {
        let span = |id: &str, parent: Value, name: &str, upstream: &str| {
            json!({
                "span_id": id, "parent_id": parent, "name": name, "method": "s.S/M",
                "listener": "public", "upstream": upstream, "status": "OK",
                "duration_nanos": 3_100_000, "upstream_nanos": 2_400_000,
            })
        };
        let spans = [
            span("aa", json!("ff"), "GET /v1/search", "rust"),
            span("bb", json!("aa"), "/s.S/M", "go"),
        ];
        assert_eq!(
            tree(&spans),
            "GET /v1/search   3.1 ms   [public]\n  └ s.S/M (rust)   2.4 ms\n    \
             └ /s.S/M   3.1 ms   [public]\n      └ s.S/M (go)   2.4 ms\n"
        );
    }

    #[test]
    fn a_span_that_is_its_own_parent_ends_all_the_same() {
        let span = json!({ "span_id": "aa", "parent_id": "aa", "name": "x" });
        let other = json!({ "span_id": "bb", "parent_id": null, "name": "y" });
        assert!(tree(&[span, other]).contains('y'));
    }
}
