//! `tandem call METHOD -d JSON`: one unary call by reflection, to a server or to upstreams.
//!
//! With `--to` the upstreams themselves are called, past the gateway and its rules: one, or both
//! with the difference between their answers. Exit: 0 when they are equal, 3 when they differ.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use tandem_config::Tnd;
use tandem_contract::{Contract, Method, MethodKind};
use tandem_gateway::tasks::Side;
use tandem_gateway::upstream::Upstream;
use tandem_gateway::upstream::direct::Direct;
use tandem_protocol::status::{Code, Status};
use tandem_transcode::{JsonOptions, Limits, Plans, json_from_wire, wire_from_json};

use super::sides::Sides;
use super::target::{ServerArguments, contract_of, unanswered};
use crate::failure::{Exit, Failure};
use crate::output::{self, Form};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// `package.Service/Method`; an unambiguous tail is enough.
    method: String,
    /// The request as JSON, or `@FILE`.
    #[arg(short, long, default_value = "{}")]
    data: String,
    /// Metadata, `name: value`; may be repeated.
    #[arg(short = 'H', long = "header", value_name = "NAME:VALUE")]
    headers: Vec<String>,
    /// Call upstreams themselves instead of a server: one by its name, or `both`.
    #[arg(long, value_name = "NAME|both")]
    to: Option<String>,
    /// With `--to`: where the upstreams stand.
    #[arg(long, value_name = "FILE", default_value = "tandem.yaml", env = "TANDEM_CONFIG")]
    config: PathBuf,
    /// With `--to`: an upstream that stands in no file, once for each.
    #[arg(long = "upstream", value_name = "NAME=ADDR", conflicts_with = "config", requires = "to")]
    upstreams: Vec<String>,
    #[command(flatten)]
    server: ServerArguments,
}

pub(super) async fn call(
    arguments: Arguments,
    form: Form,
    timeout: Duration,
) -> Result<Exit, Failure> {
    let headers = headers_of(&arguments.headers)?;
    let json = match arguments.data.strip_prefix('@') {
        Some(file) => std::fs::read(file).map_err(|error| {
            Failure::new(Exit::Usage, format!("{file} cannot be read")).because(error.to_string())
        })?,
        None => arguments.data.clone().into_bytes(),
    };
    let Some(to) = &arguments.to else {
        let upstream = arguments.server.reach(timeout).await?;
        let contract = Arc::new(contract_of(&upstream, &arguments.server.server).await?);
        let call = Call::new(&contract, &arguments.method, &json, headers, timeout)?;
        let answer = call.to("server", &upstream).await?;
        return one(&answer, form);
    };
    let trust = arguments.server.trust.read()?;
    let sides = match arguments.upstreams.is_empty() {
        true => Sides::of_files(&arguments.config, &arguments.method, timeout).await?,
        false => Sides::named(&arguments.upstreams, &trust, timeout).await?,
    };
    let call = Call::new(&sides.contract, &arguments.method, &json, headers, timeout)?;
    let mut answers = Vec::new();
    for (name, upstream) in sides.chosen(to)? {
        answers.push(call.to(name, upstream).await?);
    }
    match &answers[..] {
        [first, second] => Ok(both(call.method.full_name(), first, second, form)),
        [only] => one(only, form),
        _ => unreachable!("one or two were chosen"),
    }
}

/// One request, ready to be sent to anybody.
struct Call {
    plans: Plans,
    method: Method,
    message: Vec<u8>,
    headers: HeaderMap,
    timeout: Duration,
}

/// How one of those who were called answered.
struct Answer {
    name: String,
    status: Status,
    /// `None` where the status is not OK.
    json: Option<String>,
    took: Duration,
}

impl Call {
    fn new(
        contract: &Arc<Contract>,
        asked: &str,
        json: &[u8],
        headers: HeaderMap,
        timeout: Duration,
    ) -> Result<Call, Failure> {
        let plans = Plans::new(Arc::clone(contract));
        let method = find(plans.contract(), asked)?.clone();
        if method.kind != MethodKind::Unary {
            return Err(Failure::new(Exit::Usage, format!("{} is a stream", method.full_name()))
                .fix("use a gRPC client such as grpcurl for streams, or curl where it has REST"));
        }
        let (options, limits) = (JsonOptions::default(), Limits::default());
        let message =
            wire_from_json(&plans, method.input, json, &options, &limits).map_err(|fault| {
                Failure::new(Exit::Usage, "the request cannot be read").because(fault.to_string())
            })?;
        Ok(Call { plans, method, message: message.to_vec(), headers, timeout })
    }

    async fn to(&self, name: &str, upstream: &Upstream) -> Result<Answer, Failure> {
        let side = Side::new(tokio::runtime::Handle::current());
        let direct = Direct::to(upstream, &side).await.map_err(|error| unanswered(&error))?;
        let began = Instant::now();
        let answer = direct
            .unary(&self.method.path, &self.headers, &self.message, self.timeout)
            .await
            .map_err(|error| unanswered(&error))?;
        let took = began.elapsed();
        let (options, limits) = (JsonOptions::default(), Limits::default());
        let json = match answer.status.code {
            Code::Ok => {
                let out = json_from_wire(
                    &self.plans,
                    self.method.output,
                    &answer.message,
                    &options,
                    &limits,
                )
                .map_err(|fault| {
                    Failure::new(Exit::Failed, "the answer cannot be read")
                        .because(fault.to_string())
                })?;
                Some(String::from_utf8_lossy(&out).into_owned())
            }
            _ => None,
        };
        Ok(Answer { name: name.to_owned(), status: answer.status, json, took })
    }
}

fn one(answer: &Answer, form: Form) -> Result<Exit, Failure> {
    let Status { code, message, .. } = &answer.status;
    match (&answer.json, form) {
        (Some(json), _) => {
            output::data(json);
            Ok(Exit::Fine)
        }
        (None, Form::Text) => {
            let text = format!("{} {message}", code.name());
            Err(Failure::new(Exit::Failed, text.trim_end()))
        }
        (None, Form::Json) => {
            output::data(&json!({ "code": code.name(), "message": message }).to_string());
            Ok(Exit::Failed)
        }
    }
}

/// Differences that are shown to people.
const SHOWN_MOST: usize = 50;

fn both(method: &str, first: &Answer, second: &Answer, form: Form) -> Exit {
    let mut found = Vec::new();
    if first.status.code != second.status.code {
        found.push(Difference {
            path: "code".into(),
            values: [Some(json!(first.status.code.name())), Some(json!(second.status.code.name()))],
        });
    } else if let (Some(one), Some(other)) = (&first.json, &second.json) {
        differences("", parsed(one).as_ref(), parsed(other).as_ref(), &mut found);
    }
    match form {
        Form::Json => {
            let answers: Vec<Value> = [first, second]
                .map(|answer| {
                    json!({
                        "upstream": answer.name,
                        "code": answer.status.code.name(),
                        "message": answer.status.message,
                        "took_ms": answer.took.as_secs_f64() * 1e3,
                        "answer": answer.json.as_deref().and_then(parsed),
                    })
                })
                .to_vec();
            let shown: Vec<Value> = found
                .iter()
                .map(|difference| {
                    let [one, other] = &difference.values;
                    json!({
                        "path": difference.path,
                        // `null` may be a value: what is absent has no key.
                        "values": values(&first.name, one, &second.name, other),
                    })
                })
                .collect();
            let object = json!({
                "method": method,
                "equal": found.is_empty(),
                "answers": answers,
                "differences": shown,
            });
            output::data(&object.to_string());
        }
        Form::Text => {
            for answer in [first, second] {
                output::data(&format!(
                    "{}   {}   {:.1} ms\n{}",
                    answer.name,
                    answer.status.code.name(),
                    answer.took.as_secs_f64() * 1e3,
                    answer.json.as_deref().unwrap_or(&answer.status.message),
                ));
            }
            output::data(&told(&found, &first.name, &second.name));
        }
    }
    if found.is_empty() { Exit::Fine } else { Exit::Different }
}

fn values(first: &str, one: &Option<Value>, second: &str, other: &Option<Value>) -> Value {
    let mut object = serde_json::Map::new();
    for (name, value) in [(first, one), (second, other)] {
        if let Some(value) = value {
            object.insert(name.to_owned(), value.clone());
        }
    }
    Value::Object(object)
}

fn told(found: &[Difference], first: &str, second: &str) -> String {
    if found.is_empty() {
        return "equal".to_owned();
    }
    let text = |value: &Option<Value>| match value {
        Some(value) => value.to_string(),
        None => "absent".to_owned(),
    };
    let rows: Vec<[String; 3]> = found
        .iter()
        .take(SHOWN_MOST)
        .map(|difference| {
            let [one, other] = &difference.values;
            [
                difference.path.clone(),
                format!("{first} {}", text(one)),
                format!("{second} {}", text(other)),
            ]
        })
        .collect();
    let more = match found.len().checked_sub(SHOWN_MOST) {
        Some(more @ 1..) => format!("\n  … and {more} more"),
        _ => String::new(),
    };
    format!("{} differ:\n{}{more}", found.len(), super::table(&rows))
}

fn parsed(json: &str) -> Option<Value> {
    serde_json::from_str(json).ok()
}

/// One place in which two answers differ; `None`: nothing stands there.
#[derive(Debug, PartialEq)]
struct Difference {
    path: String,
    values: [Option<Value>; 2],
}

/// Every place in which they differ, the innermost of each.
fn differences(path: &str, one: Option<&Value>, other: Option<&Value>, out: &mut Vec<Difference>) {
    match (one, other) {
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            let mut keys: Vec<&String> = one.keys().chain(other.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                differences(&path, one.get(key), other.get(key), out);
            }
        }
        (Some(Value::Array(one)), Some(Value::Array(other))) => {
            for index in 0..one.len().max(other.len()) {
                differences(&format!("{path}[{index}]"), one.get(index), other.get(index), out);
            }
        }
        (one, other) if one == other => {}
        (one, other) => {
            let values = [one.cloned(), other.cloned()];
            out.push(Difference { path: path.to_owned(), values });
        }
    }
}

fn headers_of(given: &[String]) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    for text in given {
        let parsed = text.split_once(':').and_then(|(name, value)| {
            let name = HeaderName::try_from(name.trim().to_ascii_lowercase()).ok()?;
            Some((name, HeaderValue::from_str(value.trim()).ok()?))
        });
        let Some((name, value)) = parsed else {
            return Err(Failure::new(Exit::Usage, format!("`{text}` is no header"))
                .fix("write `name: value`"));
        };
        headers.append(name, value);
    }
    Ok(headers)
}

/// The method that `asked` names, wholly or by its tail.
pub(crate) fn find<'a>(contract: &'a Contract, asked: &str) -> Result<&'a Method, Failure> {
    let asked = asked.trim_start_matches('/');
    let mut found: BTreeMap<&str, &Method> = BTreeMap::new();
    for (_, method) in contract.methods() {
        let name = method.full_name();
        if name == asked {
            return Ok(method);
        }
        let before = name.strip_suffix(asked);
        if before.is_some_and(|before| before.ends_with(['.', '/'])) {
            found.insert(name, method);
        }
    }
    let names: Vec<&str> = found.keys().copied().collect();
    match found.len() {
        1 => Ok(found.into_values().next().expect("there is one")),
        0 => {
            let all: Vec<&str> = contract.methods().map(|(_, method)| method.full_name()).collect();
            Err(no_method(asked, &all))
        }
        _ => Err(Failure::new(Exit::Usage, format!("`{asked}` could be several methods"))
            .fix(format!("name one of: {}", names.join(", ")))),
    }
}

/// Nobody has it; the nearest is named where one is near.
pub(super) fn no_method(asked: &str, all: &[&str]) -> Failure {
    let failure = Failure::new(Exit::Usage, format!("there is no method `{asked}`"))
        .coded(Tnd::UnknownMethod);
    match near(asked, all) {
        Some(near) => failure.fix(format!("did you mean `{near}`?")),
        None => failure.fix(format!("name one of: {}", all.join(", "))),
    }
}

/// The name whose whole, or whose tail behind a `/` or a `.`, is nearest to what was asked.
fn near<'a>(asked: &str, all: &[&'a str]) -> Option<&'a str> {
    let tails = |name: &'a str| {
        let behind = name.match_indices(['.', '/']).map(move |(place, _)| &name[place + 1..]);
        std::iter::once(name).chain(behind).map(move |tail| (tail, name))
    };
    let tails: Vec<(&str, &str)> = all.iter().copied().flat_map(tails).collect();
    let nearest = tandem_config::nearest(asked, tails.iter().map(|(tail, _)| *tail))?;
    tails.iter().find(|(tail, _)| *tail == nearest).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_places_differ() {
        let check = |one: Value, other: Value, paths: &[&str]| {
            let mut found = Vec::new();
            differences("", Some(&one), Some(&other), &mut found);
            let found: Vec<&str> = found.iter().map(|it| &*it.path).collect();
            assert_eq!(found, paths, "{one} {other}");
        };
        check(json!({}), json!({}), &[]);
        check(json!({ "a": 1, "b": 2 }), json!({ "b": 2, "a": 1 }), &[]);
        check(json!({ "a": 1 }), json!({ "a": "1" }), &["a"]);
        check(
            json!({ "a": { "b": [1, 2] } }),
            json!({ "a": { "b": [1, 3, 4] } }),
            &["a.b[1]", "a.b[2]"],
        );
        check(json!({ "a": null }), json!({}), &["a"]);
        check(json!({ "a": {} }), json!({ "a": [] }), &["a"]);
    }
}
