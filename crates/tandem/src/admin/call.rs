//! One call of the admin API: who asks, of what, with which body; and its answer.
//!
//! Not here: which calls there are (`table`).

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tandem_config::Act;
use tandem_config::access::{Action, ObjectId, Principal, authorise};
use tandem_config::audit::{Source, Timestamp};
use tandem_config::store::{NamespaceName, Scope, ThingName};

use super::Admin;
use super::refusal::Refusal;
use crate::people::Visitor;
use crate::stored::{Stored, now};

/// A call that its right was asked for.
pub(crate) struct Call {
    pub(super) admin: Admin,
    /// `None` where anybody may ask.
    pub(super) visitor: Option<Visitor>,
    pub(super) principal: Principal,
    pub(super) source: Source,
    /// What stands in the braces of the path.
    pub(super) path: BTreeMap<String, String>,
    pub(super) query: BTreeMap<String, String>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Call {
    /// The namespace of the path, or the platform where it has none.
    pub(super) fn scope(&self) -> Result<Scope, Refusal> {
        match self.path.get("namespace") {
            None => Ok(Scope::Platform),
            Some(_) => self.namespace().map(Scope::Namespace),
        }
    }

    /// The namespace of the path.
    pub(super) fn namespace(&self) -> Result<NamespaceName, Refusal> {
        let name = self.path.get("namespace").map_or("", String::as_str);
        NamespaceName::new(name).ok_or_else(|| Refusal::missing("there is no such namespace"))
    }

    /// A part of the path.
    pub(super) fn part(&self, name: &str) -> &str {
        self.path.get(name).map_or("", String::as_str)
    }

    /// A part of the path that is the name of a thing.
    pub(super) fn thing(&self, name: &str) -> Result<ThingName, Refusal> {
        ThingName::new(self.part(name)).ok_or_else(|| {
            Refusal::missing("a name has 1 to 63 of a-z, 0-9 and `-`; there is none like this")
        })
    }

    /// The version of the path.
    pub(super) fn number(&self) -> Result<u32, Refusal> {
        self.part("number")
            .parse()
            .ok()
            .filter(|number| *number > 0)
            .ok_or_else(|| Refusal::missing("a version is a number from 1"))
    }

    /// The store.
    pub(super) fn stored(&self) -> Result<&Arc<Stored>, Refusal> {
        self.admin.stored.as_ref().ok_or_else(|| match &self.admin.store_fault {
            None => Refusal::no_store(),
            Some(why) => Refusal::store_away(why),
        })
    }

    /// The body; a key that is not known there is refused (security T-8).
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        serde_json::from_slice(&self.body).map_err(|error| {
            Refusal::malformed(
                format!("the body cannot be read: {error}"),
                "see `/api/v1/openapi.json` for what is taken; a namespace or a version stands in \
                 the path or in `If-Match`, never in the body",
            )
        })
    }

    /// The version in `If-Match`, 0 for "there was none".
    pub(super) fn read_version(&self) -> Result<u32, Refusal> {
        let missing = || Refusal::no_condition("If-Match: \"7\"");
        let value = self.headers.get(header::IF_MATCH).ok_or_else(missing)?;
        quoted(value).and_then(|text| text.parse().ok()).ok_or_else(missing)
    }

    /// The draft in `If-Match`; `None` for `If-None-Match: *`.
    pub(super) fn read_draft(&self) -> Result<Option<u64>, Refusal> {
        let missing = || Refusal::no_condition("If-Match: \"d41\", or If-None-Match: *");
        if let Some(value) = self.headers.get(header::IF_MATCH) {
            let number = quoted(value).and_then(|text| text.strip_prefix('d')?.parse().ok());
            return number.map(Some).ok_or_else(missing);
        }
        match self.headers.get(header::IF_NONE_MATCH) {
            Some(value) if value == "*" => Ok(None),
            _ => Err(missing()),
        }
    }

    /// `If-None-Match: *`: what is made must not be there.
    pub(super) fn made_from_nothing(&self) -> Result<(), Refusal> {
        match self.headers.get(header::IF_NONE_MATCH) {
            Some(value) if value == "*" => Ok(()),
            _ => Err(Refusal::no_condition("If-None-Match: *")),
        }
    }

    /// An act of this visitor at this moment.
    pub(super) fn act<'a>(&'a self, why: &'a str) -> Act<'a> {
        Act { principal: &self.principal, source: self.source, when: now(), why }
    }

    /// Whether this visitor may do `action` to what it is done to in `scope`.
    pub(super) fn may(&self, action: Action, scope: &Scope) -> bool {
        let object = ObjectId::only(action.object_kind(), scope);
        authorise(&self.principal, action, &object).is_ok()
    }

    /// Whether this visitor may see that the namespace is there.
    pub(super) fn sees(&self, namespace: &str) -> bool {
        Scope::namespace(namespace).is_some_and(|scope| {
            self.may(Action::ReadDocument, &scope) || self.may(Action::ReadMembers, &scope)
        })
    }
}

fn quoted(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok()?.strip_prefix('"')?.strip_suffix('"')
}

/// What is answered.
pub(crate) enum Answer {
    /// 204.
    Nothing,
    /// JSON, with the tag of its version.
    Json(Value, Option<String>),
    /// Anything else.
    Whole(Response),
}

impl Answer {
    /// JSON without a tag.
    pub(super) fn json(value: Value) -> Answer {
        Answer::Json(value, None)
    }

    /// JSON of version `number`.
    pub(super) fn of_version(value: Value, number: u32) -> Answer {
        Answer::Json(value, Some(format!("\"{number}\"")))
    }

    /// Bytes of a media type.
    pub(super) fn bytes(media: &'static str, bytes: Vec<u8>) -> Answer {
        let mut response = Response::new(Body::from(bytes));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
        Answer::Whole(response)
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        match self {
            Answer::Nothing => StatusCode::NO_CONTENT.into_response(),
            Answer::Whole(response) => response,
            Answer::Json(value, tag) => {
                let mut response = axum::Json(value).into_response();
                let tag = tag.and_then(|tag| HeaderValue::try_from(tag).ok());
                if let Some(tag) = tag {
                    response.headers_mut().insert(header::ETAG, tag);
                }
                response
            }
        }
    }
}

/// `2026-11-28T10:00:00.123Z`.
pub(crate) fn when(time: Timestamp) -> String {
    let (days, rest) = (time.0 / 86_400_000, time.0 % 86_400_000);
    let (year, month, day) = civil(days);
    let (hour, minute) = (rest / 3_600_000, rest / 60_000 % 60);
    let (second, millis) = (rest / 1_000 % 60, rest % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// The date of a day since 1970-01-01.
///
/// Source: Howard Hinnant, chrono-Compatible Low-Level Date Algorithms, `civil_from_days`.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_a_date() {
        for (millis, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_210_096_789, "2024-02-29T12:34:56.789Z"),
            (4_102_444_799_999, "2099-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(when(Timestamp(millis)), expected);
        }
    }
}
