//! Tokens of this API, and the API keys of callers.
//!
//! Not here: comparing what somebody presents (`crate::people`, `tandem_gateway`).

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tandem_config::access::issued::{self, Issued, Made, Sort, Wanted};
use tandem_config::store::ThingName;

use super::call::{Answer, Call, when};
use super::refusal::Refusal;
use crate::stored::random;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn line(id: &str, issued: &Issued) -> Value {
    let Issued { name, digest: _, who, when: made, expires, platform_admin, scopes } = issued;
    json!({
        "id": id, "name": name, "who": who, "when": when(*made), "expires": when(*expires),
        "platform_admin": platform_admin, "scopes": scopes,
    })
}

fn name_of(text: &str) -> Result<ThingName, Refusal> {
    ThingName::new(text)
        .ok_or_else(|| Refusal::malformed("`name` is no name", "write 1 to 63 of a-z, 0-9 and `-`"))
}

fn lifetime(days: Option<u32>) -> Duration {
    days.map_or(issued::LIFETIME, |days| DAY.saturating_mul(days))
}

fn made_json(made: &Made, key: &str) -> Answer {
    let mut shown = line(made.id.as_str(), &made.issued);
    // The one answer that holds it; it is in no log and in no store.
    shown[key] = json!(made.text.expose());
    Answer::json(shown)
}

pub(super) async fn tokens(call: Call) -> Result<Answer, Refusal> {
    let stored = call.stored()?;
    let all = issued::list(stored.store(), &call.principal, Sort::Token, &call.scope()?)?;
    let shown: Vec<Value> = all
        .iter()
        .map(|(id, issued)| {
            let mut shown = line(id, issued);
            shown["used"] = json!(call.admin.people.used(id).map(when));
            shown
        })
        .collect();
    Ok(Answer::json(json!(shown)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewToken {
    name: String,
    #[serde(default)]
    platform_admin: bool,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    expires_days: Option<u32>,
}

pub(super) async fn new_token(call: Call) -> Result<Answer, Refusal> {
    let NewToken { name, platform_admin, scopes, expires_days } = call.read()?;
    let wanted =
        Wanted { name: &name_of(&name)?, platform_admin, scopes, lifetime: lifetime(expires_days) };
    make(&call, Sort::Token, &wanted, "token")
}

pub(super) async fn revoke_token(call: Call) -> Result<Answer, Refusal> {
    revoke(&call, Sort::Token)
}

pub(super) async fn keys(call: Call) -> Result<Answer, Refusal> {
    let stored = call.stored()?;
    let all = issued::list(stored.store(), &call.principal, Sort::CallerKey, &call.scope()?)?;
    let shown: Vec<Value> = all.iter().map(|(id, issued)| line(id, issued)).collect();
    Ok(Answer::json(json!(shown)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewKey {
    name: String,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    expires_days: Option<u32>,
}

pub(super) async fn new_key(call: Call) -> Result<Answer, Refusal> {
    let NewKey { name, scopes, expires_days } = call.read()?;
    let wanted = Wanted {
        name: &name_of(&name)?,
        platform_admin: false,
        scopes,
        lifetime: lifetime(expires_days),
    };
    make(&call, Sort::CallerKey, &wanted, "key")
}

pub(super) async fn revoke_key(call: Call) -> Result<Answer, Refusal> {
    revoke(&call, Sort::CallerKey)
}

fn make(call: &Call, sort: Sort, wanted: &Wanted<'_>, shown_as: &str) -> Result<Answer, Refusal> {
    let stored = call.stored()?;
    let act = call.act("");
    let made = issued::issue(stored.store(), &random, act, sort, &call.scope()?, wanted)?;
    stored.refresh_or_say();
    Ok(made_json(&made, shown_as))
}

fn revoke(call: &Call, sort: Sort) -> Result<Answer, Refusal> {
    let stored = call.stored()?;
    issued::revoke(stored.store(), call.act(""), sort, &call.scope()?, &call.thing("id")?)?;
    stored.refresh_or_say();
    Ok(Answer::Nothing)
}
