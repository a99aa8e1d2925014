//! Errors as AIP-193 asks: one `ErrorInfo`, and the fields that are at fault.

use prost::Message as _;
use tonic::{Code, Status};

use crate::protos::google::rpc;

/// A field that cannot be taken, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Path from the request.
    pub field: &'static str,
    /// The reason of the error if this is the first violation.
    pub reason: &'static str,
    pub description: String,
}

/// An error of `domain` with a fixed reason.
pub fn status(code: Code, domain: &str, reason: &str, message: impl Into<String>) -> Status {
    with_details(code, domain, reason, message.into(), &[])
}

/// INVALID_ARGUMENT: the first violation names the reason, all are listed.
///
/// # Panics
/// When `violations` is empty, which is a bug of the caller.
pub fn invalid(domain: &str, violations: &[Violation]) -> Status {
    let first = violations.first().expect("an error has a reason");
    let message = format!("{}: {}", first.field, first.description);
    with_details(Code::InvalidArgument, domain, first.reason, message, violations)
}

fn with_details(
    code: Code,
    domain: &str,
    reason: &str,
    message: String,
    violations: &[Violation],
) -> Status {
    let info = rpc::ErrorInfo {
        reason: reason.into(),
        domain: domain.into(),
        metadata: Default::default(),
    };
    let mut details = vec![any("google.rpc.ErrorInfo", info.encode_to_vec())];
    if !violations.is_empty() {
        let bad_request = rpc::BadRequest {
            field_violations: violations
                .iter()
                .map(|violation| rpc::bad_request::FieldViolation {
                    field: violation.field.into(),
                    description: violation.description.clone(),
                    ..Default::default()
                })
                .collect(),
        };
        details.push(any("google.rpc.BadRequest", bad_request.encode_to_vec()));
    }
    let whole = rpc::Status { code: code as i32, message: message.clone(), details };
    Status::with_details(code, message, whole.encode_to_vec().into())
}

fn any(name: &str, value: Vec<u8>) -> prost_types::Any {
    prost_types::Any { type_url: format!("type.googleapis.com/{name}"), value }
}
