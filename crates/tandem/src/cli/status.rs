//! `tandem status`.

use std::fmt::Write as _;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::AdminArguments;
use crate::failure::{Exit, Failure};
use crate::output::{self, Form};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    admin: AdminArguments,
}

pub(super) async fn status(
    arguments: Arguments,
    form: Form,
    timeout: Duration,
) -> Result<Exit, Failure> {
    let status = arguments.admin.client(timeout)?.get("/api/v1/status").await?;
    match form {
        Form::Json => output::data(&status.to_string()),
        Form::Text => output::data(&table(&status)),
    }
    Ok(Exit::Fine)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or("")
}

fn table(status: &Value) -> String {
    let mut out = String::new();
    let none = Vec::new();
    let list = |key: &str| status[key].as_array().unwrap_or(&none);
    // Writing into a string does not fail.
    let _ = writeln!(
        out,
        "tandem {}   {}   {} data threads",
        text(status, "version"),
        if status["ready"] == Value::Bool(true) { "ready" } else { "not ready" },
        status["threads"],
    );
    for (name, address) in status["listeners"].as_object().into_iter().flatten() {
        let _ = writeln!(out, "  {name:<10} {}", address.as_str().unwrap_or(""));
    }
    for namespace in list("namespaces") {
        let how = namespace["contract"].as_str().unwrap_or("no contract yet");
        let _ = writeln!(out, "namespace {:<12} {how}", text(namespace, "name"));
        for problem in namespace["problems"].as_array().unwrap_or(&none) {
            let _ = writeln!(out, "  {}", problem.as_str().unwrap_or(""));
        }
    }
    let _ = writeln!(
        out,
        "{:<66} {:>9} {:>8} {:>8} {:>9}",
        "method", "calls", "errors", "now", "mean ms"
    );
    for method in list("methods") {
        let mean = method["mean_ms"].as_f64().map_or("-".to_owned(), |mean| format!("{mean:.2}"));
        let _ = writeln!(
            out,
            "{:<66} {:>9} {:>8} {:>8} {mean:>9}",
            format!("{} {}", text(method, "namespace"), text(method, "method")),
            method["calls"].to_string(),
            method["errors"].to_string(),
            method["in_flight"].to_string(),
        );
    }
    out
}
