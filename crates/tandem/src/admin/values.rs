//! The settings of services: shown with a form, changed field by field (hybrid SE-5, SE-9).
//!
//! Not here: what values are allowed (`tandem_config::settings`).

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tandem_config::access::{Action, ObjectId, ObjectKind, authorise};
use tandem_config::audit::Timestamp;
use tandem_config::document::{Require, SettingsRules};
use tandem_config::history::History;
use tandem_config::settings::{ServiceSettings, form, published};
use tandem_config::store::{NamespaceName, Revision, Scope};
use tandem_config::{Namespace, Problem, Tnd};
use tandem_contract::Contract;
use tandem_gateway::{Instance, InstanceState, ServiceInstances};

use super::call::{Answer, Call, when};
use super::refusal::{Refusal, problem};
use super::teams::{Rollback, published_json, version_json};
use crate::stored::{Change, ValuesFault, ValuesVersion};

impl From<ValuesFault> for Refusal {
    fn from(fault: ValuesFault) -> Refusal {
        match fault {
            ValuesFault::Act(fault) => fault.into(),
            ValuesFault::NoVersion => Refusal::coded(
                StatusCode::CONFLICT,
                Tnd::NoVersion,
                "the namespace has no version yet that could be changed",
                "start its service, so that its file becomes version 1, or `tandem apply` it",
            ),
            ValuesFault::Newer { read, live } => Refusal::newer(read, live),
            ValuesFault::Edit(fault) => Refusal::coded(
                StatusCode::UNPROCESSABLE_ENTITY,
                Tnd::SettingRefused,
                fault.to_string(),
                "change the document itself: `tandem show NS`, then `tandem apply`",
            ),
        }
    }
}

/// What serves of a namespace.
type Served = (Namespace, Arc<Contract>);

fn served(call: &Call, namespace: &NamespaceName) -> Result<Served, Refusal> {
    let name = namespace.as_str();
    let all = call.admin.view.served();
    let found = all.into_iter().find(|(document, _)| document.namespace == name);
    let (document, _) = found.ok_or_else(|| Refusal::missing("nothing of it is served yet"))?;
    let contract = call.admin.view.contract(name).ok_or_else(|| {
        Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "its contract is not known yet",
            "start the service that tells it",
        )
    })?;
    Ok((document, contract))
}

fn one(
    call: &Call,
    (document, contract): &Served,
    service: &str,
    settings: &Result<ServiceSettings, Vec<Problem>>,
) -> Value {
    let scope = Scope::namespace(&document.namespace);
    let message = contract.settings_of(service);
    let fields = message.map(|message| form(contract, message)).unwrap_or_default();
    let nothing = SettingsRules::default();
    let SettingsRules { values: written, require, access: _ } = // looked at as rights, below
        document.settings.get(service).unwrap_or(&nothing);
    let publisher = scope.as_ref().is_some_and(|scope| call.may(Action::Publish, scope));
    let may = |field: &str| {
        let Some(scope) = &scope else { return false };
        let name = format!("{service}/{field}");
        let object = ObjectId::named(ObjectKind::SettingsField, scope, name);
        publisher || authorise(&call.principal, Action::PublishField, &object).is_ok()
    };
    let may_change: Vec<&str> =
        fields.iter().map(|field| field.name.as_str()).filter(|field| may(field)).collect();
    let (values, problems) = match settings {
        Ok(settings) => (serde_json::from_str(&settings.json).unwrap_or_default(), Vec::new()),
        Err(problems) => (Value::Null, problems.iter().map(problem).collect()),
    };
    json!({
        "service": service,
        "message": message.map(|message| contract.message(message).full_name.to_string()),
        "version": version(call, &document.namespace),
        "require": match require {
            Require::None => "none",
            Require::All => "all",
        },
        "values": values,
        "written": written,
        "may_change": may_change,
        "fields": fields,
        "problems": problems,
        "instances": instances(call, &document.namespace, service),
    })
}

/// The live version; 0 where files alone are served.
fn version(call: &Call, namespace: &str) -> u32 {
    let live = call
        .admin
        .stored
        .as_ref()
        .zip(NamespaceName::new(namespace))
        .and_then(|(stored, name)| stored.live(&name));
    live.map_or(0, |content| content.version.number)
}

/// Which instance of a service runs which version.
pub(super) fn instances(call: &Call, namespace: &str, service: &str) -> Vec<Value> {
    let all = call.admin.view.settings();
    let found = all.iter().find(|one| one.namespace == namespace && one.service == service);
    found.map(instances_json).unwrap_or_default()
}

/// The instances of a service, as the status and the settings show them.
pub(super) fn instances_json(one: &ServiceInstances) -> Vec<Value> {
    let line = |instance: &Instance| {
        let Instance { instance: name, values, state, seen } = instance;
        let reason = match state {
            InstanceState::Refused { reason } => Some(reason),
            InstanceState::Pending | InstanceState::Applied | InstanceState::Gone => None,
        };
        let since = seen.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let seen = Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
        json!({
            "instance": name,
            "version": values.version,
            "state": state.name(),
            "reason": reason,
            "seen": when(seen),
        })
    };
    one.instances.iter().map(line).collect()
}

pub(super) async fn list(call: Call) -> Result<Answer, Refusal> {
    let served = match served(&call, &call.namespace()?) {
        Ok(served) => served,
        // Nothing is known of its services yet.
        Err(_) => return Ok(Answer::json(json!([]))),
    };
    let all = published(&served.0, &served.1);
    let shown: Vec<Value> =
        all.iter().map(|(service, settings)| one(&call, &served, service, settings)).collect();
    Ok(Answer::json(json!(shown)))
}

pub(super) async fn show(call: Call) -> Result<Answer, Refusal> {
    let namespace = call.namespace()?;
    let served = served(&call, &namespace)?;
    let service = call.part("service");
    let all = published(&served.0, &served.1);
    let settings = all.get(service).ok_or_else(no_settings)?;
    let shown = one(&call, &served, service, settings);
    Ok(Answer::of_version(shown, version(&call, namespace.as_str())))
}

fn no_settings() -> Refusal {
    Refusal::missing("no contract of this namespace declares settings for such a service")
}

/// A service that declares settings, or 404: nothing is written for a name that is none.
fn declared(call: &Call) -> Result<&str, Refusal> {
    let served = served(call, &call.namespace()?)?;
    let service = call.part("service");
    served.1.settings_of(service).map(|_| service).ok_or_else(no_settings)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SettingsChange {
    values: Map<String, Value>,
    #[serde(default)]
    why: String,
    #[serde(default)]
    draft: bool,
}

pub(super) async fn change(call: Call) -> Result<Answer, Refusal> {
    let SettingsChange { values, why, draft } = call.read()?;
    let read = call.read_version()?;
    let service = declared(&call)?;
    let changes = values
        .into_iter()
        .map(|(field, value)| (field, Some(value).filter(|value| !value.is_null())))
        .collect();
    if draft {
        return save_draft(&call, service, &changes, read);
    }
    publish(&call, service, &changes, why, read).await
}

async fn publish(
    call: &Call,
    service: &str,
    changes: &BTreeMap<String, Option<Value>>,
    why: String,
    read: u32,
) -> Result<Answer, Refusal> {
    let (stored, namespace) = (call.stored()?, call.namespace()?);
    let text = stored.with_values(&namespace, service, changes, read)?;
    let change = Change { namespace, text, contract: None };
    let published = stored.publish(call.principal.clone(), call.source, change, why, read).await?;
    Ok(published_json(&published))
}

/// The draft with the changes, from the draft that is there or from the live version.
fn save_draft(
    call: &Call,
    service: &str,
    changes: &BTreeMap<String, Option<Value>>,
    read: u32,
) -> Result<Answer, Refusal> {
    let (stored, scope) = (call.stored()?, call.scope()?);
    let history = History::new(stored.store());
    let (text, before): (String, Option<Revision>) = match stored.draft(&call.principal, &scope)? {
        Some(draft) => {
            let text = tandem_config::edit::set_values(&draft.text, service, changes);
            (text.map_err(ValuesFault::Edit)?, Some(draft.revision))
        }
        None => (stored.with_values(&call.namespace()?, service, changes, read)?, None),
    };
    let draft = history.save_draft(call.act(""), &scope, before, &text)?;
    Ok(Answer::json(json!({ "draft": { "base": draft.base, "who": draft.who } })))
}

pub(super) async fn versions(call: Call) -> Result<Answer, Refusal> {
    let (stored, namespace) = (call.stored()?, call.namespace()?);
    let live = stored.live(&namespace).map_or(0, |content| content.version.number);
    let service = declared(&call)?;
    let all = stored.values_versions(&call.principal, &namespace, service)?;
    let shown: Vec<Value> = all
        .iter()
        .map(|ValuesVersion { version, values, changed }| {
            let mut shown = version_json(version, version.number == live);
            shown["values"] = json!(values);
            shown["changed"] = json!(changed);
            shown
        })
        .collect();
    Ok(Answer::json(json!(shown)))
}

pub(super) async fn roll_back(call: Call) -> Result<Answer, Refusal> {
    let Rollback { to, why } = call.read()?;
    let read = call.read_version()?;
    let service = declared(&call)?;
    let (stored, namespace) = (call.stored()?, call.namespace()?);
    let changes = stored.values_back(&call.principal, &namespace, service, to)?;
    if changes.is_empty() {
        return Err(Refusal::new(
            StatusCode::CONFLICT,
            format!("the values are those of version {to} already"),
            "look at the history of these settings for another version",
        ));
    }
    let why = match why.as_str() {
        "" => format!("settings of {service} as in version {to}"),
        why => why.to_owned(),
    };
    publish(&call, service, &changes, why, read).await
}
