//! `tandem settings`: values of a service's own settings (hybrid section 2).
//!
//! A service is written by its full name or by an unambiguous tail of it.
//!
//! Not here: whole documents (`change`).

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::AdminArguments;
use super::ask::{Confirm, confirmed};
use super::change::{checked, say_published};
use crate::client::{Admin, Made};
use crate::failure::{Exit, Failure};
use crate::output::{self, Form};

#[derive(Debug, Args)]
pub(super) struct Of {
    /// The service, or an unambiguous tail of its name.
    service: String,
    /// The namespace, where more than one has settings for the service.
    #[arg(short, long, value_name = "NS")]
    namespace: Option<String>,
    #[command(flatten)]
    admin: AdminArguments,
}

#[derive(Debug, Subcommand)]
pub(super) enum Settings {
    /// Shows the values in force, and which instance runs them.
    Get(Of),
    /// Changes values: `max_discount_percent=30`, a JSON value or a word; `FIELD=` takes the field
    /// back to its default.
    Set {
        #[command(flatten)]
        of: Of,
        /// The fields and their values.
        #[arg(required = true, value_name = "FIELD=VALUE")]
        values: Vec<String>,
        /// Why, for the history and the audit log.
        #[arg(short, long, value_name = "TEXT")]
        message: String,
        /// Save a draft instead, which somebody else publishes.
        #[arg(long)]
        draft: bool,
    },
    /// Lists the versions in which these values changed.
    History(Of),
    /// Takes the values back to an older version; the rest of the document stays.
    Rollback {
        #[command(flatten)]
        of: Of,
        /// The version whose values are wanted.
        #[arg(long, value_name = "VERSION")]
        to: u32,
        /// Why, for the history and the audit log.
        #[arg(short, long, value_name = "TEXT")]
        message: String,
        #[command(flatten)]
        confirm: Confirm,
    },
}

/// The settings that are meant: their namespace and service.
async fn found(client: &Admin, of: &Of) -> Result<(String, String), Failure> {
    let names: Vec<String> = match &of.namespace {
        Some(name) => vec![checked(name)?.to_owned()],
        None => {
            let all = client.get("/api/v1/namespaces").await?;
            let names = all.as_array().into_iter().flatten();
            names.filter_map(|one| one["name"].as_str().map(str::to_owned)).collect()
        }
    };
    let mut all = Vec::new();
    for name in names {
        let listed = client.get(&format!("/api/v1/namespaces/{name}/settings")).await?;
        for one in listed.as_array().into_iter().flatten() {
            let service = one["service"].as_str().unwrap_or_default().to_owned();
            let written = one["written"].as_object().is_some_and(|values| !values.is_empty());
            let watched = one["instances"].as_array().is_some_and(|list| !list.is_empty());
            all.push((name.clone(), service, (written, watched)));
        }
    }
    let wanted = of.service.as_str();
    let meant = |service: &str| {
        service == wanted || service.strip_suffix(wanted).is_some_and(|head| head.ends_with('.'))
    };
    let mut matching: Vec<_> = all.iter().filter(|(_, service, _)| meant(service)).collect();
    // Two namespaces may serve one contract: meant is the one that wrote values, else the one whose
    // values somebody runs by.
    type Sign = fn(&(bool, bool)) -> bool;
    for sign in [(|(written, _)| *written) as Sign, |(_, watched)| *watched] {
        if matching.len() > 1 && matching.iter().filter(|(.., signs)| sign(signs)).count() == 1 {
            matching.retain(|(.., signs)| sign(signs));
        }
    }
    match matching.as_slice() {
        [(namespace, service, _)] => Ok((namespace.clone(), service.clone())),
        [] => {
            let known: Vec<&str> = all.iter().map(|(_, service, _)| service.as_str()).collect();
            let what = format!("no settings of `{}`", wanted.escape_debug());
            let failure = Failure::new(Exit::Usage, what);
            Err(match known.is_empty() {
                true => failure.because(
                    "no contract declares settings: a message with the option \
                     `(tandem.settings.v1.settings)`",
                ),
                false => failure.because(format!("there are those of {}", known.join(", "))),
            })
        }
        several => {
            let all: Vec<String> =
                several.iter().map(|(name, service, _)| format!("{name}: {service}")).collect();
            Err(Failure::new(Exit::Usage, format!("`{wanted}` may be one of several"))
                .because(all.join(", "))
                .fix("name the namespace with `--namespace NS`, or the whole service"))
        }
    }
}

fn at((namespace, service): &(String, String)) -> String {
    format!("/api/v1/namespaces/{namespace}/settings/{service}")
}

/// `FIELD=VALUE`: JSON where it is JSON, a text otherwise.
fn assignments(texts: &[String]) -> Result<Value, Failure> {
    let mut values = Map::new();
    for text in texts {
        let Some((field, value)) = text.split_once('=') else {
            return Err(Failure::new(Exit::Usage, "a field and its value are written with `=`")
                .at(text.escape_debug().to_string())
                .fix("write FIELD=VALUE, for example max_discount_percent=30"));
        };
        let value = match value {
            "" => Value::Null,
            value => serde_json::from_str(value).unwrap_or_else(|_| json!(value)),
        };
        if values.insert(field.to_owned(), value).is_some() {
            return Err(Failure::new(Exit::Usage, format!("`{field}` is given twice")));
        }
    }
    Ok(Value::Object(values))
}

pub(super) async fn settings(
    command: Settings,
    form: Form,
    timeout: Duration,
) -> Result<Exit, Failure> {
    match command {
        Settings::Get(of) => {
            let client = of.admin.client(timeout)?;
            let shown = client.get(&at(&found(&client, &of).await?)).await?;
            match form {
                Form::Json => output::data(&shown.to_string()),
                Form::Text => output::data(&table(&shown)),
            }
        }
        Settings::Set { of, values, message, draft } => {
            let values = assignments(&values)?;
            let client = of.admin.client(timeout)?;
            let settings = found(&client, &of).await?;
            let (before, version) = client.get_tagged(&at(&settings)).await?;
            let body = json!({ "values": values, "why": message, "draft": draft });
            let told =
                client.send("PATCH", &at(&settings), Some(&body), &Made::From(version)).await?;
            if draft {
                match form {
                    Form::Json => output::data(&told.to_string()),
                    Form::Text => output::data(&format!(
                        "{}: saved as a draft; `tandem publish {}` makes it live",
                        settings.0, settings.0
                    )),
                }
                return Ok(Exit::Fine);
            }
            if form == Form::Text {
                let after = client.get(&at(&settings)).await?;
                output::talk(changes(&before["values"], &after["values"]).trim_end());
            }
            say_published(form, &settings.0, &told);
        }
        Settings::History(of) => {
            let client = of.admin.client(timeout)?;
            let path = format!("{}/versions", at(&found(&client, &of).await?));
            let told = client.get(&path).await?;
            for version in told.as_array().into_iter().flatten() {
                match form {
                    Form::Json => output::data(&version.to_string()),
                    Form::Text => output::data(&history_line(version)),
                }
            }
        }
        Settings::Rollback { of, to, message, confirm } => {
            let client = of.admin.client(timeout)?;
            let settings = found(&client, &of).await?;
            let (before, version) = client.get_tagged(&at(&settings)).await?;
            let what = format!("take the settings of {} back to version {to}", settings.1);
            confirmed(&confirm, &what)?;
            let body = json!({ "to": to, "why": message });
            let path = format!("{}/rollback", at(&settings));
            let told = client.send("POST", &path, Some(&body), &Made::From(version)).await?;
            if form == Form::Text {
                let after = client.get(&at(&settings)).await?;
                output::talk(changes(&before["values"], &after["values"]).trim_end());
            }
            say_published(form, &settings.0, &told);
        }
    }
    Ok(Exit::Fine)
}

/// The fields whose values differ.
fn changes(before: &Value, after: &Value) -> String {
    let (none, mut out) = (Map::new(), String::new());
    let (before, after) = (before.as_object().unwrap_or(&none), after.as_object().unwrap_or(&none));
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let (old, new) = (before.get(name), after.get(name));
        if old != new {
            let text = |value: Option<&Value>| value.map_or("-".to_owned(), Value::to_string);
            out.push_str(&format!("  {name}: {} → {}\n", text(old), text(new)));
        }
    }
    out
}

fn history_line(version: &Value) -> String {
    let text = |key: &str| version[key].as_str().unwrap_or_default().escape_debug().to_string();
    let when = text("when");
    let when = when.get(..19).unwrap_or(&when).replace('T', " ");
    let changed: Vec<String> = version["changed"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(|field| format!("{field}={}", version["values"][field]))
        .collect();
    let changed = changed.join(" ");
    format!(
        "{:>5} {when}  {:<20} {}  {changed}",
        version["number"].to_string(),
        text("who"),
        text("why")
    )
}

fn table(shown: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().escape_debug().to_string();
    let mut out = format!("{}   version {}\n", text(&shown["service"]), shown["version"]);
    let written = &shown["written"];
    for (field, value) in shown["values"].as_object().into_iter().flatten() {
        let default = if written.get(field).is_some() { "" } else { "   (default)" };
        out.push_str(&format!("  {field:<32} {value}{default}\n"));
    }
    for one in shown["instances"].as_array().into_iter().flatten() {
        let reason = match one["reason"].as_str() {
            Some(reason) => format!(": {}", reason.escape_debug()),
            None => String::new(),
        };
        out.push_str(&format!(
            "  instance {:<23} version {} {}{reason}\n",
            text(&one["instance"]),
            one["version"],
            text(&one["state"]),
        ));
    }
    out
}
