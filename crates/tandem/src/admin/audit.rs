//! The audit log of a namespace or of the platform.
//!
//! Not here: how entries hold together (`tandem_config::audit`).

use axum::http::StatusCode;
use serde_json::{Value, json};
use tandem_config::audit::{AuditEntry, ChainFault, Outcome, chain, noted_head};
use tandem_config::store::Digest;

use super::call::{Answer, Call, when};
use super::refusal::Refusal;

/// Entries of one answer.
const ENTRIES_MOST: u64 = 1_000;

fn entry_json(entry: &AuditEntry) -> Value {
    let AuditEntry {
        number,
        scope: _, // stands in the path
        when: at,
        who,
        action,
        object,
        why,
        source,
        before,
        after,
        outcome,
        previous,
    } = entry;
    json!({
        "number": number,
        "when": when(*at),
        "who": who,
        "action": action,
        "object": object,
        "why": why,
        "source": source.name(),
        "before": before.map(|digest| digest.to_string()),
        "after": after.map(|digest| digest.to_string()),
        "outcome": match outcome {
            Outcome::Done => json!("done"),
            Outcome::Refused(reason) => json!({ "refused": reason }),
        },
        "previous": previous.to_string(),
    })
}

fn number(call: &Call, name: &str, default: u64) -> Result<u64, Refusal> {
    let Some(text) = call.query.get(name) else { return Ok(default) };
    text.parse().map_err(|_| {
        Refusal::malformed(format!("`{name}` is no number"), format!("write `{name}=100`"))
    })
}

/// The newest first; `before` is the number of the oldest that is known already.
pub(super) async fn list(call: Call) -> Result<Answer, Refusal> {
    let (stored, scope) = (call.stored()?, call.scope()?);
    let head = noted_head(stored.store(), &scope)?;
    let most = number(&call, "most", 100)?.clamp(1, ENTRIES_MOST);
    let before = number(&call, "before", u64::MAX)?.clamp(1, head.number.saturating_add(1));
    let after = before.saturating_sub(1).saturating_sub(most);
    let wanted = usize::try_from(before - 1 - after).unwrap_or(0);
    let entries = match wanted {
        0 => Vec::new(),
        wanted => chain(stored.store(), &scope, after, wanted).map_err(broken)?,
    };
    let entries: Vec<Value> = entries.iter().rev().map(entry_json).collect();
    let head = json!({ "number": head.number, "digest": head.digest.to_string() });
    Ok(Answer::json(json!({ "entries": entries, "head": head })))
}

/// A chain that does not hold is an answer, not a failure of the question.
pub(super) async fn verify(call: Call) -> Result<Answer, Refusal> {
    let (stored, scope) = (call.stored()?, call.scope()?);
    let noted = match call.query.get("head").map(|text| Digest::parse(text)) {
        None => None,
        Some(Some(digest)) => Some(digest),
        Some(None) => {
            return Err(Refusal::malformed(
                "`head` is no head of a log",
                "write the 64 hex digits that `tandem audit verify` printed",
            ));
        }
    };
    let told = match tandem_config::audit::verify(stored.store(), &scope, noted) {
        Ok(verified) => json!({
            "whole": true,
            "entries": verified.head.number,
            "head": verified.head.digest.to_string(),
            "faults": [],
        }),
        Err(ChainFault::Store(fault)) => return Err(fault.into()),
        Err(fault) => json!({
            "whole": false,
            "entries": null,
            "head": null,
            "faults": [{ "code": fault.code().name(), "what": fault.to_string() }],
        }),
    };
    Ok(Answer::json(told))
}

fn broken(fault: ChainFault) -> Refusal {
    match fault {
        ChainFault::Store(fault) => fault.into(),
        fault => Refusal::coded(
            StatusCode::SERVICE_UNAVAILABLE,
            fault.code(),
            fault.to_string(),
            "`tandem audit verify` finds the first place",
        ),
    }
}
