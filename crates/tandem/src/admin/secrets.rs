//! The secrets of a namespace: set, listed by fingerprint, never read back.
//!
//! Not here: sealing (`tandem_config::secret`).

use serde::Deserialize;
use serde_json::{Value, json};
use tandem_config::secret::{self, Secret};

use super::call::{Answer, Call};
use super::refusal::Refusal;
use crate::stored::random;

pub(super) async fn list(call: Call) -> Result<Answer, Refusal> {
    let stored = call.stored()?;
    let all = secret::list(stored.store(), stored.keys(), &call.principal, &call.scope()?)?;
    let shown: Vec<Value> = all
        .into_iter()
        .map(|line| {
            json!({
                "name": line.name,
                "fingerprint": line.fingerprint,
                "revision": line.revision.0,
            })
        })
        .collect();
    Ok(Answer::json(json!(shown)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretValue {
    value: String,
}

pub(super) async fn set(call: Call) -> Result<Answer, Refusal> {
    let SecretValue { value } = call.read()?;
    let stored = call.stored()?;
    let value = Secret::new(value.into_bytes());
    let (act, name) = (call.act(""), call.thing("name")?);
    secret::set(stored.store(), stored.keys(), &random, act, &call.scope()?, &name, &value)?;
    Ok(Answer::Nothing)
}

pub(super) async fn remove(call: Call) -> Result<Answer, Refusal> {
    let stored = call.stored()?;
    secret::remove(stored.store(), call.act(""), &call.scope()?, &call.thing("name")?)?;
    Ok(Answer::Nothing)
}
