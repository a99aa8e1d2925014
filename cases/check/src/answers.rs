//! What of an answer is compared: everything but the text of an error.

use prost::Message as _;
use tonic::{Code, Response, Status};

use crate::google::rpc;
use crate::model::Refusal;

/// An answer or a refusal, with the number of the commit that it stands for.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen<T> {
    pub answer: Result<T, Refusal>,
    pub sequence: Option<i64>,
}

pub fn seen<T>(answered: Result<Response<T>, Status>) -> Seen<T> {
    let metadata = match &answered {
        Ok(response) => response.metadata(),
        Err(status) => status.metadata(),
    };
    let sequence = metadata
        .get("tandem-sequence")
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse().ok());
    let answer = answered.map(Response::into_inner).map_err(|status| refusal(&status));
    Seen { answer, sequence }
}

/// Code, reason and fields; an error without exactly one `ErrorInfo` of the case has no reason.
pub fn refusal(status: &Status) -> Refusal {
    let (mut reasons, mut fields) = (Vec::new(), Vec::new());
    let whole = rpc::Status::decode(status.details()).unwrap_or_default();
    for detail in whole.details {
        if detail.type_url.ends_with("/google.rpc.ErrorInfo") {
            let info = rpc::ErrorInfo::decode(&detail.value[..]).unwrap_or_default();
            if info.domain == "catalogue.tandem" {
                reasons.push(info.reason);
            }
        }
        if detail.type_url.ends_with("/google.rpc.BadRequest") {
            let bad = rpc::BadRequest::decode(&detail.value[..]).unwrap_or_default();
            fields.extend(bad.field_violations.into_iter().map(|violation| violation.field));
        }
    }
    let code: Code = status.code();
    let reason = match &mut reasons[..] {
        [reason] => std::mem::take(reason),
        _ => format!("{} reasons: {}", reasons.len(), status.message()),
    };
    Refusal { code, reason, fields }
}
