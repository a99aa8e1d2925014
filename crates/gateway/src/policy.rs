//! May this call go, and until when.
//!
//! Today: public methods and deadlines. Identity, limits by principal and the cache come before
//! the route as well (security, section 3); they will stand here.

use std::time::Duration;

use http::HeaderMap;
use tandem_protocol::CallerProtocol;
use tandem_protocol::deadline::{clamp, parse_grpc_timeout};
use tandem_protocol::refusal::{Reason, Refusal};
use tokio::time::Instant;

use crate::snapshot::MethodPlan;

/// A call that may go.
pub(crate) struct Admitted {
    /// `None`: as long as it takes.
    pub(crate) deadline: Option<Instant>,
}

/// Judges a call by its head.
///
/// # Errors
/// 401 for a method without an auth policy; INVALID_ARGUMENT for a deadline that is none.
pub(crate) fn admit(
    plan: &MethodPlan,
    protocol: CallerProtocol,
    headers: &HeaderMap,
    began: Instant,
) -> Result<Admitted, Refusal> {
    if !plan.public {
        return Err(Refusal::new(Reason::NoCredential, "a credential is needed"));
    }
    let asked = match protocol {
        CallerProtocol::Grpc => asked(headers)?,
        CallerProtocol::Rest => None,
    };
    let (default, max) = match plan.deadline {
        Some(bounds) => (Some(bounds.default), Some(bounds.max)),
        None => (None, None),
    };
    Ok(Admitted { deadline: clamp(asked, default, max).map(|left| began + left) })
}

fn asked(headers: &HeaderMap) -> Result<Option<Duration>, Refusal> {
    let Some(value) = headers.get("grpc-timeout") else { return Ok(None) };
    match value.to_str().ok().and_then(parse_grpc_timeout) {
        Some(timeout) => Ok(Some(timeout)),
        None => Err(Refusal::new(Reason::Malformed, "grpc-timeout is malformed")),
    }
}
