//! `tandem ls [NS|SERVICE]`: what a running gateway serves, a line a method.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tandem_config::Tnd;

use super::AdminArguments;
use crate::failure::{Exit, Failure};
use crate::output::{self, Form};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A namespace, or a service by its name or the tail of it.
    #[arg(value_name = "NS|SERVICE")]
    which: Option<String>,
    #[command(flatten)]
    admin: AdminArguments,
}

pub(super) async fn ls(
    arguments: Arguments,
    form: Form,
    timeout: Duration,
) -> Result<Exit, Failure> {
    let served = arguments.admin.client(timeout)?.get("/api/v1/methods").await?;
    let all = list(&served, "methods");
    let methods: Vec<&Value> = match &arguments.which {
        None => all.iter().collect(),
        Some(which) => all.iter().filter(|method| is_of(method, which)).collect(),
    };
    if let Some(which) = arguments.which.as_ref().filter(|_| methods.is_empty()) {
        // A namespace without a contract has no methods yet, and is no mistake.
        if !list(&served, "namespaces").iter().any(|namespace| text(namespace, "name") == which) {
            return Err(unknown(which, &served));
        }
    }
    match form {
        Form::Json => {
            let wanted = |namespace: &&Value| {
                arguments.which.is_none()
                    || arguments.which.as_deref() == Some(text(namespace, "name"))
                    || methods.iter().any(|method| method["namespace"] == namespace["name"])
            };
            let namespaces: Vec<&Value> =
                list(&served, "namespaces").iter().filter(wanted).collect();
            output::data(&json!({ "namespaces": namespaces, "methods": methods }).to_string());
        }
        Form::Text => {
            for namespace in list(&served, "namespaces") {
                let waits = namespace["contract"] == Value::Bool(false);
                if waits
                    && arguments.which.as_deref().is_none_or(|it| it == text(namespace, "name"))
                {
                    output::talk(&format!(
                        "{} has no contract yet: `tandem status` says why",
                        text(namespace, "name")
                    ));
                }
            }
            output::data(&super::table(&methods.iter().map(|it| row(it)).collect::<Vec<_>>()));
        }
    }
    Ok(Exit::Fine)
}

fn list<'a>(served: &'a Value, key: &str) -> &'a [Value] {
    served[key].as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or("")
}

fn service(method: &Value) -> &str {
    text(method, "method").split_once('/').map_or("", |(service, _)| service)
}

fn is_of(method: &Value, which: &str) -> bool {
    let service = service(method);
    let tail = service.strip_suffix(which).is_some_and(|front| front.ends_with('.'));
    text(method, "namespace") == which || service == which || tail
}

fn unknown(which: &str, served: &Value) -> Failure {
    let mut names: Vec<&str> =
        list(served, "namespaces").iter().map(|namespace| text(namespace, "name")).collect();
    names.extend(list(served, "methods").iter().map(service));
    names.dedup();
    let fix = match tandem_config::nearest(which, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("name one of: {}", names.join(", ")),
    };
    Failure::new(Exit::Usage, format!("there is no namespace and no service `{which}`"))
        .coded(Tnd::UnknownMethod)
        .fix(fix)
}

fn row(method: &Value) -> [String; 6] {
    let rest: Vec<String> = list(method, "rest").iter().map(rule).collect();
    let who = match (method["internal"].as_bool(), method["public"].as_bool()) {
        (Some(true), _) => "internal",
        (_, Some(true)) => "public",
        _ => "closed",
    };
    [
        text(method, "namespace").to_owned(),
        text(method, "method").to_owned(),
        text(method, "kind").replace('_', " "),
        who.to_owned(),
        text(method, "primary").to_owned(),
        if rest.is_empty() { "gRPC only".to_owned() } else { rest.join(", ") },
    ]
}

/// `GET /v1/books`.
pub(super) fn rule(rule: &Value) -> String {
    format!("{} {}", text(rule, "http_method"), text(rule, "path"))
}
