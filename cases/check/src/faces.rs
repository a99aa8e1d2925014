//! The plain REST faces against the golden answers, which the gateway's transcoding is compared
//! with as well (by its own tests).
//!
//! A step of `golden/rest.json` is a call with its answer; the calls are made in their order, of
//! an empty catalogue. `TOKEN` in a path stands for the last page token that was answered.

use std::path::Path;

use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::Fault;
use crate::side::{Program, Side};

pub async fn run(programs: &[Program], golden: &Path, write: bool) -> Result<String, Fault> {
    let file = golden.join("rest.json");
    let mut steps: Vec<Map<String, Value>> =
        serde_json::from_str(&std::fs::read_to_string(&file)?)?;
    for (number, program) in programs.iter().enumerate() {
        let folder = tempfile::tempdir()?;
        let side = Side::start(program, folder.path(), "none").await?;
        let mut token = String::new();
        for step in &mut steps {
            let ask = step["ask"].as_str().ok_or("a step asks something")?.to_owned();
            let body = step.get("body").map(Value::to_string).unwrap_or_default();
            let (status, answer) = call(&side.rest, &ask.replace("TOKEN", &token), &body)
                .await
                .map_err(|fault| format!("{} {ask}: {fault}", side.name))?;
            if let Some(next) = answer["nextPageToken"].as_str() {
                token = next.to_owned();
            }
            let told = plain(answer);
            if write && number == 0 {
                step.insert("status".into(), status.into());
                step.insert("answer".into(), told.clone());
            }
            if step.get("status") != Some(&json!(status)) || step.get("answer") != Some(&told) {
                let wanted = json!({ "status": step.get("status"), "answer": step.get("answer") });
                return Err(format!(
                    "{} {ask} {body}\n  {status} {told}\n  golden {wanted}",
                    side.name
                )
                .into());
            }
        }
    }
    if write {
        let text = steps.iter().map(|step| Value::Object(step.clone()).to_string());
        let text = text.collect::<Vec<_>>().join(",\n");
        std::fs::write(&file, format!("[\n{text}\n]\n"))?;
    }
    Ok(format!("{} REST calls as the golden answers", steps.len()))
}

/// An answer without what may lawfully differ: times, texts of errors, and the details of what is
/// refused before the service is asked.
fn plain(mut answer: Value) -> Value {
    strip_times(&mut answer);
    let is_error = answer["code"].is_number();
    let Some(error) = answer.as_object_mut().filter(|_| is_error) else { return answer };
    error.remove("message");
    let details = error.remove("details").unwrap_or_default();
    let of_type = |name: &str| {
        let details = details.as_array().into_iter().flatten();
        details.clone().find(|detail| detail["@type"].as_str().is_some_and(|it| it.ends_with(name)))
    };
    if let Some(info) = of_type("google.rpc.ErrorInfo") {
        error.insert("reason".into(), info["reason"].clone());
        error.insert("domain".into(), info["domain"].clone());
        if let Some(bad) = of_type("google.rpc.BadRequest") {
            let violations = bad["fieldViolations"].as_array().into_iter().flatten();
            error.insert("fields".into(), violations.map(|one| one["field"].clone()).collect());
        }
    }
    answer
}

fn strip_times(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                match key.as_str() {
                    "createTime" | "updateTime" if member.is_string() => *member = json!("…"),
                    _ => strip_times(member),
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(strip_times),
        _ => {}
    }
}

/// One HTTP/1.1 request, by HTTP/1.0's framing: what comes until the connection is closed.
async fn call(address: &str, ask: &str, body: &str) -> Result<(u16, Value), Fault> {
    let mut stream = TcpStream::connect(address).await?;
    let length = body.len();
    let request = format!(
        "{ask} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let text = String::from_utf8(answer)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or("no answer")?;
    let status = head.split(' ').nth(1).ok_or("no status")?.parse()?;
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { unchunked(body)? } else { body.to_owned() };
    Ok((status, serde_json::from_str(&body).map_err(|error| format!("{error}: {body}"))?))
}

/// The chunks of a body behind each other; one that has no end is a fault.
fn unchunked(mut rest: &str) -> Result<String, Fault> {
    let mut body = String::new();
    loop {
        let (size, behind) = rest.split_once("\r\n").ok_or("the body was cut")?;
        let size = usize::from_str_radix(size, 16)?;
        if size == 0 {
            return Ok(body);
        }
        let (chunk, behind) = behind.split_at_checked(size).ok_or("the body was cut")?;
        body.push_str(chunk);
        rest = behind.strip_prefix("\r\n").ok_or("the body was cut")?;
    }
}
