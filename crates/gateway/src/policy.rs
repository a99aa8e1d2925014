//! May this call go, by whom it comes, and until when.
//!
//! Order (security, section 3): limits by source and of the namespace, the deadline, who calls and
//! whether he may, limits by caller. All of it is judged from the head, without waiting for
//! anything.
//!
//! Rooms: `auth` (who), `limit` (how often). Not here: the cache, and the response to a refusal
//! (`protocol::refusal`).

pub(crate) mod auth;
pub(crate) mod limit;

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use tandem_protocol::CallerProtocol;
use tandem_protocol::deadline::{clamp, parse_grpc_timeout};
use tandem_protocol::metadata::{Hop, principal_passed_on};
use tandem_protocol::refusal::{Reason, Refusal};
use tokio::time::Instant;

use self::auth::{Credentials, Identity, Policy};
use self::limit::{Caller, Held, Registry, ToldLimits};
use crate::observe::Shard;
use crate::snapshot::MethodPlan;
use crate::thread::Thread;

/// What judges calls; the same for all data threads.
pub(crate) struct Judges {
    pub(crate) identity: Identity,
    pub(crate) limits: Registry,
}

/// A call that may go.
pub(crate) struct Admitted {
    /// `None`: as long as it takes.
    pub(crate) deadline: Option<Instant>,
    /// Who calls, where it was asked, or as a service passes it on.
    pub(crate) principal: Option<Arc<str>>,
    pub(crate) held: Held,
    /// What the answer says of the caller's limits.
    pub(crate) told: Option<ToldLimits>,
}

/// A call that may not, and what its answer says of the caller's limits.
pub(crate) struct NotAdmitted {
    pub(crate) refusal: Refusal,
    pub(crate) principal: Option<Arc<str>>,
    pub(crate) told: Option<ToldLimits>,
}

/// Judges a call by its head.
///
/// # Errors
/// 401, 403, 429; INVALID_ARGUMENT for a deadline that is none.
pub(crate) fn admit(
    thread: &Thread,
    plan: &MethodPlan,
    protocol: CallerProtocol,
    headers: &HeaderMap,
    hop: Hop,
    began: Instant,
) -> Result<Admitted, Box<NotAdmitted>> {
    let Judges { identity, limits } = &*thread.judges;
    let now = limits.time(began);
    let mut caller = Caller { peer: hop.peer, principal: None, headers };
    let over = |over: limit::Over| {
        let (refusal, told) = *over;
        Box::new(NotAdmitted { refusal, principal: None, told })
    };
    let passing = plan.limits.enter(caller, now).map_err(over)?;
    let judged = deadline(plan, protocol, headers, began).and_then(|deadline| {
        Ok((deadline, who(thread, identity, plan, headers, hop, began, now)?))
    });
    let (deadline, principal) = match judged {
        Ok(judged) => judged,
        Err(refusal) => {
            let told = passing.told_so_far();
            return Err(Box::new(NotAdmitted { refusal, principal: None, told }));
        }
    };
    caller.principal = principal.as_deref();
    match passing.known(caller) {
        Ok((held, told)) => Ok(Admitted { deadline, principal, held, told }),
        Err(refused) => Err(Box::new(NotAdmitted { principal, ..*over(refused) })),
    }
}

fn who(
    thread: &Thread,
    identity: &Identity,
    plan: &MethodPlan,
    headers: &HeaderMap,
    hop: Hop,
    now: Instant,
    limit_now: u64,
) -> Result<Option<Arc<str>>, Refusal> {
    let shown = match &plan.policy {
        Policy::Closed => {
            return Err(Refusal::new(Reason::NoCredential, "a credential is needed"));
        }
        Policy::Public => None,
        Policy::Known(known) => {
            let (peer, namespace) = (hop.peer, &*plan.counters.namespace);
            let credentials = Credentials { headers, peer, namespace, now, limit_now };
            let shard: &Shard = &thread.observe;
            let count = |check| shard.count_token(check);
            Some(known.judge(identity, &credentials, &thread.tokens, count)?)
        }
    };
    // A service that calls on somebody's behalf says for whom (protocols M-8). What it may call is
    // judged by its own credential all the same.
    Ok(principal_passed_on(headers, hop)?.map(Arc::from).or(shown))
}

fn deadline(
    plan: &MethodPlan,
    protocol: CallerProtocol,
    headers: &HeaderMap,
    began: Instant,
) -> Result<Option<Instant>, Refusal> {
    let asked = match protocol {
        CallerProtocol::Grpc => asked(headers)?,
        CallerProtocol::Rest => None,
    };
    let (default, max) = match plan.deadline {
        Some(bounds) => (Some(bounds.default), Some(bounds.max)),
        None => (None, None),
    };
    Ok(clamp(asked, default, max).map(|left| began + left))
}

fn asked(headers: &HeaderMap) -> Result<Option<Duration>, Refusal> {
    let Some(value) = headers.get("grpc-timeout") else { return Ok(None) };
    match value.to_str().ok().and_then(parse_grpc_timeout) {
        Some(timeout) => Ok(Some(timeout)),
        None => Err(Refusal::new(Reason::Malformed, "grpc-timeout is malformed")),
    }
}
