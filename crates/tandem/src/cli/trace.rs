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
    let admin = arguments.admin.client(timeout)?;
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

/// The spans below each other, each with its time and where that went.
pub(super) fn tree(spans: &[Value]) -> String {
    let mut out = String::new();
    let ids: Vec<&str> = spans.iter().filter_map(|span| span["span_id"].as_str()).collect();
    let roots = spans.iter().filter(|span| {
        // A parent outside the gateway, the caller's own span, makes a root as well.
        span["parent_id"].as_str().is_none_or(|parent| !ids.contains(&parent))
    });
    for root in roots {
        let Line { text, below } = call(root, spans, 0);
        // Writing into a string does not fail.
        let _ = writeln!(out, "{text}");
        write(&below, "  ", &mut out);
    }
    out
}

/// A line, and those that hang below it.
struct Line {
    text: String,
    below: Vec<Line>,
}

impl Line {
    fn alone(text: String) -> Line {
        Line { text, below: Vec::new() }
    }
}

fn write(lines: &[Line], indent: &str, out: &mut String) {
    for (place, line) in lines.iter().enumerate() {
        let last = place + 1 == lines.len();
        let (mark, further) = if last { ("└ ", "  ") } else { ("├ ", "│ ") };
        let _ = writeln!(out, "{indent}{mark}{}", line.text);
        write(&line.below, &format!("{indent}{further}"), out);
    }
}

fn call(span: &Value, spans: &[Value], depth: usize) -> Line {
    let text = |key: &str| span[key].as_str().unwrap_or("");
    let said = [text("status"), text("refused")].map(|said| match said {
        "" | "OK" => String::new(),
        said => format!("   {said}"),
    });
    let mut line = Line::alone(format!(
        "{}   {:.1} ms   [{}]{}",
        text("name"),
        span["duration_nanos"].as_f64().unwrap_or(0.0) / 1e6,
        text("listener"),
        said.concat(),
    ));
    // A trace that names itself as its parent must not keep us for ever.
    if depth > 16 {
        return line;
    }
    let caused = spans.iter().filter(|child| child["parent_id"] == span["span_id"]);
    let mut caused: Vec<Line> = caused.map(|child| call(child, spans, depth + 1)).collect();
    let no_rooms = Vec::new();
    let rooms = span["rooms"].as_array().unwrap_or(&no_rooms);
    let asked = rooms.iter().position(|room| room["name"] == "upstream");
    let (before, behind) = rooms.split_at(asked.unwrap_or(rooms.len()));
    line.below.extend(beside(before));
    match span["upstream"].as_str() {
        Some(upstream) => {
            let took = span["upstream_nanos"].as_f64();
            let took = took.map_or("no answer".into(), |nanos| format!("{:.1} ms", nanos / 1e6));
            let mut asked = Line::alone(format!("{} ({upstream})   {took}", text("method")));
            if let Some(rooms) = behind.first().and_then(|room| room["rooms"].as_array()) {
                asked.below = upstream_rooms(rooms);
            }
            asked.below.append(&mut caused);
            line.below.push(asked);
        }
        None => line.below.append(&mut caused),
    }
    line.below.extend(beside(behind.get(1..).unwrap_or_default()));
    line
}

/// What came of each attempt: in one line, unless there were several.
fn upstream_rooms(rooms: &[Value]) -> Vec<Line> {
    let attempts = rooms.iter().filter(|room| room["name"] == "attempt").count();
    if attempts < 2 {
        return beside(rooms).into_iter().collect();
    }
    let mut number = 0;
    let one = |room: &Value| {
        let mut text = shown(room);
        if room["name"] == "attempt" {
            number += 1;
            text = text.replacen("attempt", &format!("attempt {number}"), 1);
        }
        Line::alone(text)
    };
    rooms.iter().map(one).collect()
}

/// Rooms one behind the other.
fn beside(rooms: &[Value]) -> Option<Line> {
    let texts: Vec<String> = rooms.iter().map(shown).collect();
    (!texts.is_empty()).then(|| Line::alone(texts.join(" · ")))
}

fn shown(room: &Value) -> String {
    let name = room["name"].as_str().unwrap_or("");
    let nanos = room["duration_nanos"].as_f64().unwrap_or(0.0);
    let took = match nanos {
        short if short < 1e6 => format!("{:.0} µs", short / 1e3),
        long => format!("{:.1} ms", long / 1e6),
    };
    let endpoint = room["endpoint"].as_u64();
    let endpoint = endpoint.map_or(String::new(), |endpoint| format!(" at endpoint {endpoint}"));
    let outcome = room["outcome"].as_str().map_or(String::new(), |said| format!(" {said}"));
    format!("{name}{endpoint} {took}{outcome}")
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
    fn a_call_shows_where_its_time_went_room_by_room() {
        let room = |name: &str, nanos: u64| json!({ "name": name, "duration_nanos": nanos });
        let attempt = |endpoint: u64, nanos: u64, outcome: Value| json!({ "name": "attempt", "duration_nanos": nanos, "endpoint": endpoint, "outcome": outcome });
        let span = |upstream_rooms: Value| {
            json!({
                "span_id": "aa", "parent_id": null, "name": "GET /v1/a", "method": "s.S/M",
                "listener": "public", "upstream": "go", "status": "OK", "refused": null,
                "duration_nanos": 3_100_000, "upstream_nanos": 2_400_000,
                "rooms": [
                    room("listen", 40_000), room("detect", 2_000), room("policy", 3_400),
                    room("decode", 18_000),
                    { "name": "upstream", "duration_nanos": 2_900_000, "rooms": upstream_rooms },
                    room("encode", 12_000), room("write", 9_000),
                ],
            })
        };
        let caused = json!({
            "span_id": "bb", "parent_id": "aa", "name": "/t.T/M", "method": "t.T/M",
            "listener": "internal", "upstream": null, "status": "UNAVAILABLE",
            "refused": "unavailable", "duration_nanos": 100_000, "upstream_nanos": null,
            "rooms": [room("detect", 2_000), room("write", 1_000)],
        });
        let one = json!([
            room("wait", 5_000),
            attempt(0, 2_200_000, Value::Null),
            room("answer", 500_000),
        ]);
        assert_eq!(
            tree(&[span(one), caused]),
            "GET /v1/a   3.1 ms   [public]\n\
             \x20 ├ listen 40 µs · detect 2 µs · policy 3 µs · decode 18 µs\n\
             \x20 ├ s.S/M (go)   2.4 ms\n\
             \x20 │ ├ wait 5 µs · attempt at endpoint 0 2.2 ms · answer 500 µs\n\
             \x20 │ └ /t.T/M   0.1 ms   [internal]   UNAVAILABLE   unavailable\n\
             \x20 │   └ detect 2 µs · write 1 µs\n\
             \x20 └ encode 12 µs · write 9 µs\n"
        );
        let two = json!([
            room("wait", 5_000),
            attempt(1, 1_100_000, json!("UNAVAILABLE")),
            attempt(0, 1_200_000, Value::Null),
            room("answer", 500_000),
        ]);
        assert_eq!(
            tree(&[span(two)]),
            "GET /v1/a   3.1 ms   [public]\n\
             \x20 ├ listen 40 µs · detect 2 µs · policy 3 µs · decode 18 µs\n\
             \x20 ├ s.S/M (go)   2.4 ms\n\
             \x20 │ ├ wait 5 µs\n\
             \x20 │ ├ attempt 1 at endpoint 1 1.1 ms UNAVAILABLE\n\
             \x20 │ ├ attempt 2 at endpoint 0 1.2 ms\n\
             \x20 │ └ answer 500 µs\n\
             \x20 └ encode 12 µs · write 9 µs\n"
        );
    }

    #[test]
    fn a_span_that_is_its_own_parent_ends_all_the_same() {
        let span = json!({ "span_id": "aa", "parent_id": "aa", "name": "x" });
        let other = json!({ "span_id": "bb", "parent_id": null, "name": "y" });
        assert!(tree(&[span, other]).contains('y'));
    }
}
