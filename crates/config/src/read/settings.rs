//! `settings` of a team's file: values of services, and who may change them (hybrid SE-1, SE-5).
//!
//! Values are taken as they are written; only the contract knows what they mean.
//!
//! Not here: holding them against it (`crate::check`).

use std::collections::BTreeMap;

use serde_json::{Map, Number};

use super::Known::Now;
use super::namespace::is_full_name;
use super::{At, Reading};
use crate::access::Who;
use crate::document::{Require, SettingsRules};
use crate::problem::{Problem, Tnd};
use crate::source::{Value, cut};

/// How a reference to a secret begins.
const REFERENCE: &str = "store:";

pub(super) fn settings(reading: &mut Reading, at: &At<'_>) -> BTreeMap<String, SettingsRules> {
    let mut settings = BTreeMap::new();
    for entry in reading.entries(at) {
        if !is_full_name(entry.name()) {
            let what = format!("`{}` is no service", cut(entry.name()));
            let problem = Problem::error(Tnd::WrongType, what)
                .here("settings stand under the full name of their service")
                .fix("write `package.Service`");
            reading.problem_at_key(&entry, problem);
        }
        // `Service:` with nothing behind it changes nothing.
        let rules = match entry.node.value {
            Value::Null => SettingsRules::default(),
            _ => of_service(reading, &entry),
        };
        settings.insert(entry.name().to_owned(), rules);
    }
    settings
}

fn of_service(reading: &mut Reading, at: &At<'_>) -> SettingsRules {
    let fields = reading.fields(at, &[Now("values"), Now("require"), Now("access")]);
    let words = [("none", Require::None), ("all", Require::All)];
    SettingsRules {
        values: fields.get("values").map(|at| values(reading, at)).unwrap_or_default(),
        require: fields.get("require").and_then(|at| reading.word(at, &words)).unwrap_or_default(),
        access: fields.get("access").map(|at| access(reading, at)).unwrap_or_default(),
    }
}

fn values(reading: &mut Reading, at: &At<'_>) -> Map<String, serde_json::Value> {
    let mut values = Map::new();
    // Nothing but fields that are commented out.
    if matches!(at.node.value, Value::Null) {
        return values;
    }
    for entry in reading.entries(at) {
        if matches!(entry.node.value, Value::Null) {
            let what = format!("`{}` has no value", cut(entry.name()));
            let problem = Problem::error(Tnd::WrongType, what)
                .why("an empty line could mean the default or something forgotten")
                .fix("write a value; for the default take the line out");
            reading.problem(&entry, problem);
            continue;
        }
        if let Some(value) = json(reading, &entry) {
            values.insert(entry.name().to_owned(), value);
        }
    }
    values
}

/// The value as JSON. The depth is bounded by the budget of `yaml`.
fn json(reading: &mut Reading, at: &At<'_>) -> Option<serde_json::Value> {
    Some(match &at.node.value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        // The YAML library reads no larger ones.
        Value::Integer(number) => Number::from_i128(*number)?.into(),
        Value::Float(number) => Number::from_f64(*number)?.into(),
        Value::Text(text) if text.starts_with(REFERENCE) => {
            reference(reading, at);
            return None;
        }
        Value::Text(text) => text.as_str().into(),
        Value::List(_) => reading.list(at, json).into(),
        Value::Map(_) => {
            let mut object = Map::new();
            for entry in reading.entries(at) {
                if let Some(value) = json(reading, &entry) {
                    object.insert(entry.name().to_owned(), value);
                }
            }
            object.into()
        }
    })
}

fn reference(reading: &mut Reading, at: &At<'_>) {
    let problem = Problem::error(Tnd::NotBuiltIn, "settings hold no references to secrets")
        .here("`store:` names a secret, and this build does not hand one to a service")
        .why("settings are shown to everybody who may see the namespace, and kept in its history")
        .fix("take it out; give the service its secret in another way");
    reading.problem(at, problem);
}

fn access(reading: &mut Reading, at: &At<'_>) -> BTreeMap<String, Vec<Who>> {
    let mut access = BTreeMap::new();
    for entry in reading.entries(at) {
        access.insert(entry.name().to_owned(), reading.list(&entry, who));
    }
    access
}

fn who(reading: &mut Reading, at: &At<'_>) -> Option<Who> {
    let name = reading.text(at)?;
    let who = Who::parse(name);
    if who.is_none() {
        let problem = Problem::error(Tnd::WrongType, format!("`{}` is nobody", cut(name)))
            .here("who may change a field is a user, a group or a token")
            .fix("write `user:NAME`, `group:NAME` or `token:NAME`");
        reading.problem(at, problem);
    }
    who
}
