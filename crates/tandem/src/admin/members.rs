//! Who holds which role in a namespace.
//!
//! Not here: what a role may do (`tandem_config::access`).

use serde::Deserialize;
use serde_json::{Value, json};
use tandem_config::access::{Role, Who, members};

use super::call::{Answer, Call};
use super::refusal::Refusal;

pub(super) async fn list(call: Call) -> Result<Answer, Refusal> {
    let (stored, namespace) = (call.stored()?, call.namespace()?);
    let mut shown: Vec<Value> = members::list(stored.store(), &call.principal, &namespace)?
        .into_iter()
        .map(|(who, role)| json!({ "who": who.as_str(), "role": role.name(), "from": "store" }))
        .collect();
    shown.extend(
        stored
            .platform_members(&namespace)
            .into_iter()
            .map(|(who, role)| json!({ "who": who, "role": role.name(), "from": "platform" })),
    );
    Ok(Answer::json(json!(shown)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MemberRole {
    role: Role,
}

fn who(call: &Call) -> Result<Who, Refusal> {
    Who::parse(call.part("who")).ok_or_else(|| {
        Refusal::malformed(
            "this names nobody who can be a member",
            "write `user:NAME`, `group:NAME` or `token:NAME`",
        )
    })
}

pub(super) async fn set(call: Call) -> Result<Answer, Refusal> {
    let MemberRole { role } = call.read()?;
    let (stored, namespace) = (call.stored()?, call.namespace()?);
    members::set(stored.store(), call.act(""), &namespace, &who(&call)?, role)?;
    stored.refresh_or_say();
    Ok(Answer::Nothing)
}

pub(super) async fn remove(call: Call) -> Result<Answer, Refusal> {
    let (stored, namespace) = (call.stored()?, call.namespace()?);
    members::remove(stored.store(), call.act(""), &namespace, &who(&call)?)?;
    stored.refresh_or_say();
    Ok(Answer::Nothing)
}
