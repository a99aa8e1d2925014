//! Namespaces: their versions and drafts, checked, compared, published, rolled back.
//!
//! Not here: what a version is (`tandem_config::history`), single settings (`values`).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use tandem_config::access::Action;
use tandem_config::history::{Content, DiffLine, Draft, History, Origin, Version, diff};
use tandem_config::store::{NamespaceName, Revision, Scope};

use super::call::{Answer, Call, when};
use super::refusal::{Refusal, problem};
use crate::stored::{Change, Fault, Published};

pub(super) fn version_json(version: &Version, live: bool) -> Value {
    let Version { number, who, when: at, why, origin, text, contract } = version;
    json!({
        "number": number,
        "who": who,
        "when": when(*at),
        "why": why,
        "origin": match origin {
            Origin::Published => json!("published"),
            Origin::RolledBack { to } => json!({ "rolled_back": { "to": to } }),
        },
        "digest": text.to_string(),
        "contract": contract.map(|digest| digest.to_string()),
        "live": live,
    })
}

fn content_json(content: &Content, live: bool) -> Value {
    let mut shown = version_json(&content.version, live);
    shown["text"] = json!(&*content.text);
    shown
}

pub(super) fn diff_json(lines: &[DiffLine]) -> Value {
    let one = |line: &DiffLine| {
        let DiffLine { path, before, after } = line;
        json!({ "path": path, "before": before, "after": after })
    };
    lines.iter().map(one).collect()
}

pub(super) fn published_json(published: &Published) -> Answer {
    let Published { version, warnings, awaited } = published;
    let problems: Vec<Value> = warnings.iter().map(problem).collect();
    let version_shown = version_json(version, true);
    let body = json!({ "version": version_shown, "problems": problems, "awaited": awaited });
    Answer::of_version(body, version.number)
}

pub(super) async fn list(call: Call) -> Result<Answer, Refusal> {
    let served = call.admin.view.namespaces();
    let documents = call.admin.view.served();
    let stored = call.admin.stored.as_ref();
    let lines = stored.map(|stored| stored.lines()).unwrap_or_default();
    let mut names: Vec<String> = lines.iter().map(|line| line.name.to_string()).collect();
    names.extend(documents.iter().map(|(document, _)| document.namespace.clone()));
    names.sort();
    names.dedup();
    let mut shown = Vec::new();
    for name in names.into_iter().filter(|name| call.sees(name)) {
        let Some(scope) = Scope::namespace(&name) else { continue };
        let line = lines.iter().find(|line| line.name.as_str() == name);
        let state = served.iter().find(|state| state.name == name);
        let document = documents.iter().find(|(document, _)| document.namespace == name);
        let methods = document.and_then(|(document, contract)| {
            let services = document.services();
            let contract = contract.as_ref()?;
            Some(contract.methods().filter(|(_, one)| services.contains(&*one.service)).count())
        });
        let drafted = match (stored, call.may(Action::ReadDraft, &scope)) {
            (Some(stored), true) => stored.draft(&call.principal, &scope)?.is_some(),
            _ => false,
        };
        let problems: Vec<&String> = line
            .iter()
            .flat_map(|line| &line.problems)
            .chain(state.iter().flat_map(|state| &state.problems))
            .collect();
        shown.push(json!({
            "name": name,
            "role": call.principal.role_in(&scope).map(|role| role.name()),
            "version": line.and_then(|line| line.live.as_ref()).map_or(0, |one| one.version.number),
            "hosts": document.map(|(document, _)| document.hosts.clone()).unwrap_or_default(),
            "methods": methods,
            "draft": drafted,
            "contract": state.and_then(|state| state.contract.clone()),
            "problems": problems,
        }));
    }
    Ok(Answer::json(json!(shown)))
}

pub(super) async fn show(call: Call) -> Result<Answer, Refusal> {
    let name = call.namespace()?;
    let scope = Scope::Namespace(name.clone());
    let content = call.stored()?.live(&name);
    let number = content.as_ref().map_or(0, |content| content.version.number);
    let body = json!({
        "name": name.as_str(),
        "role": call.principal.role_in(&scope).map(|role| role.name()),
        "version": content.as_ref().map(|content| version_json(&content.version, true)),
        "text": content.as_ref().map(|content| &*content.text),
    });
    Ok(Answer::of_version(body, number))
}

/// A namespace as the platform's document has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewNamespace {
    #[serde(default)]
    members: Value,
    #[serde(default)]
    may: Value,
    #[serde(default)]
    quota: Value,
    #[serde(default)]
    why: String,
}

pub(super) async fn create(call: Call) -> Result<Answer, Refusal> {
    let NewNamespace { members, may, quota, why } = call.read()?;
    call.made_from_nothing()?;
    // What is not given is not written; what is given is judged as the document's.
    let parts = [("members", members), ("may", may), ("quota", quota)];
    let parts = parts.into_iter().filter(|(_, part)| !part.is_null());
    let grant: Value = parts.map(|(key, part)| (key.to_owned(), part)).collect();
    let (stored, namespace) = (call.stored()?, call.namespace()?);
    let (who, source) = (call.principal.clone(), call.source);
    let published = stored.create_namespace(who, source, namespace, grant, why).await?;
    Ok(published_json(&published))
}

/// The contract as it is served, a `google.protobuf.FileDescriptorSet`.
pub(super) async fn contract(call: Call) -> Result<Answer, Refusal> {
    let name = call.namespace()?;
    let served = call.admin.view.served();
    let found = served.into_iter().find(|(document, _)| document.namespace == name.as_str());
    let Some((_, contract)) = found else {
        return Err(Refusal::missing("no such namespace is served"));
    };
    let Some(contract) = contract else {
        return Err(Refusal::new(
            axum::http::StatusCode::SERVICE_UNAVAILABLE,
            "it has no contract yet",
            "start the service that tells it",
        ));
    };
    Ok(Answer::bytes("application/x-protobuf", contract.descriptor_set()))
}

pub(super) async fn versions(call: Call) -> Result<Answer, Refusal> {
    let (scope, live) = (call.scope()?, call.stored()?.live(&call.namespace()?));
    let live = live.map_or(0, |content| content.version.number);
    let all = History::new(call.stored()?.store()).versions(&call.principal, &scope)?;
    let shown: Vec<Value> =
        all.iter().map(|version| version_json(version, version.number == live)).collect();
    Ok(Answer::json(json!(shown)))
}

pub(super) async fn version(call: Call) -> Result<Answer, Refusal> {
    let (scope, live) = (call.scope()?, call.stored()?.live(&call.namespace()?));
    let live = live.map_or(0, |content| content.version.number);
    let history = History::new(call.stored()?.store());
    let content = history.version(&call.principal, &scope, call.number()?)?;
    Ok(Answer::json(content_json(&content, content.version.number == live)))
}

fn draft_answer(draft: &Draft) -> Answer {
    let Draft { text, base, who, when: at, revision } = draft;
    let body = json!({ "text": text, "base": base, "who": who, "when": when(*at) });
    Answer::Json(body, Some(format!("\"d{revision}\"")))
}

pub(super) async fn draft(call: Call) -> Result<Answer, Refusal> {
    let draft = call.stored()?.draft(&call.principal, &call.scope()?)?;
    draft.as_ref().map(draft_answer).ok_or_else(|| Refusal::missing("there is no draft"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DraftText {
    text: String,
}

pub(super) async fn save_draft(call: Call) -> Result<Answer, Refusal> {
    let DraftText { text } = call.read()?;
    let read = call.read_draft()?.map(Revision);
    let stored = call.stored()?;
    let history = History::new(stored.store());
    let draft = history.save_draft(call.act(""), &call.scope()?, read, &text)?;
    Ok(draft_answer(&draft))
}

pub(super) async fn discard_draft(call: Call) -> Result<Answer, Refusal> {
    let read = call.read_draft()?.ok_or_else(|| Refusal::no_condition("If-Match: \"d41\""))?;
    let history = History::new(call.stored()?.store());
    history.discard_draft(call.act(""), &call.scope()?, Revision(read))?;
    Ok(Answer::Nothing)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DocumentText {
    text: String,
    /// A descriptor set in base64.
    #[serde(default)]
    contract: Option<String>,
}

fn set_of(contract: Option<&str>) -> Result<Option<Vec<u8>>, Refusal> {
    let decoded = contract.map(|text| BASE64_STANDARD.decode(text)).transpose();
    decoded.map_err(|error| {
        Refusal::malformed(
            format!("`contract` is no base64: {error}"),
            "send the bytes of a descriptor set in standard base64",
        )
    })
}

pub(super) async fn check(call: Call) -> Result<Answer, Refusal> {
    let DocumentText { text, contract } = call.read()?;
    let namespace = call.namespace()?;
    let contract = set_of(contract.as_deref())?;
    let stored = call.stored()?;
    let lines = stored.diff_to_live(&namespace, &text).unwrap_or_default();
    let problems = match stored.check(Change { namespace, text, contract }).await {
        Ok(checked) => checked.warnings().to_vec(),
        Err(Fault::Wrong(problems)) => problems,
        Err(fault) => return Err(fault.into()),
    };
    let problems: Vec<Value> = problems.iter().map(problem).collect();
    Ok(Answer::json(json!({ "problems": problems, "diff": diff_json(&lines) })))
}

#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum DiffOf {
    Text { text: String },
    Versions { from: u32, to: u32 },
}

pub(super) async fn diff_of(call: Call) -> Result<Answer, Refusal> {
    let lines = match call.read()? {
        DiffOf::Text { text } => call.stored()?.diff_to_live(&call.namespace()?, &text),
        DiffOf::Versions { from, to } => {
            let history = History::new(call.stored()?.store());
            let text = |number| -> Result<_, Refusal> {
                Ok(history.version(&call.principal, &call.scope()?, number)?.text)
            };
            let (before, after) = (text(from)?, text(to)?);
            diff(&before, &after).map_err(|fault| fault.to_string())
        }
    };
    let lines = lines
        .map_err(|why| Refusal::malformed(why, "send the text of a document, in YAML or JSON"))?;
    Ok(Answer::json(json!({ "diff": diff_json(&lines) })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Publication {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    draft: bool,
    #[serde(default)]
    why: String,
    #[serde(default)]
    contract: Option<String>,
}

fn neither_text_nor_draft() -> Refusal {
    Refusal::malformed(
        "the body has neither a `text` nor `draft: true`, or both",
        "send one of them: the document itself, or the word that the draft is meant",
    )
}

pub(super) async fn publish(call: Call) -> Result<Answer, Refusal> {
    let Publication { text, draft, why, contract } = call.read()?;
    let read = call.read_version()?;
    let (stored, namespace) = (call.stored()?, call.namespace()?);
    let text = match (text, draft) {
        (Some(text), false) => text,
        (None, true) => {
            let draft = stored.draft(&call.principal, &call.scope()?)?;
            draft.ok_or_else(|| Refusal::missing("there is no draft"))?.text
        }
        (Some(_), true) | (None, false) => return Err(neither_text_nor_draft()),
    };
    let change = Change { namespace, text, contract: set_of(contract.as_deref())? };
    let published = stored.publish(call.principal.clone(), call.source, change, why, read).await?;
    Ok(published_json(&published))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rollback {
    pub(super) to: u32,
    #[serde(default)]
    pub(super) why: String,
}

pub(super) async fn roll_back(call: Call) -> Result<Answer, Refusal> {
    let Rollback { to, why } = call.read()?;
    let read = call.read_version()?;
    let namespace: NamespaceName = call.namespace()?;
    let (who, source) = (call.principal.clone(), call.source);
    let published = call.stored()?.roll_back(who, source, namespace, to, why, read).await?;
    Ok(published_json(&published))
}

/// The platform's live document, as a namespace is shown.
pub(super) async fn platform(call: Call) -> Result<Answer, Refusal> {
    let stored = call.stored()?;
    let content = History::new(stored.store()).live(&call.principal, &Scope::Platform)?;
    let number = content.as_ref().map_or(0, |content| content.version.number);
    let body = json!({
        "name": Scope::Platform.as_str(),
        "role": null,
        "version": content.as_ref().map(|content| version_json(&content.version, true)),
        "text": content.as_ref().map(|content| &*content.text),
    });
    Ok(Answer::of_version(body, number))
}

pub(super) async fn publish_platform(call: Call) -> Result<Answer, Refusal> {
    let Publication { text, draft, why, contract: _ } = call.read()?;
    let read = call.read_version()?;
    let Some(text) = text.filter(|_| !draft) else { return Err(neither_text_nor_draft()) };
    let (who, source) = (call.principal.clone(), call.source);
    let published = call.stored()?.publish_platform(who, source, text, why, read).await?;
    Ok(published_json(&published))
}
