//! A REST request → the request message; the answer message → the REST body.
//!
//! Path, then body, then query; what two of them say about one field is refused, so no input can
//! override what the path says (protocols, section 3). Values of path and query stand as fields of
//! their own beside the body's; parsers merge messages.
//!
//! The work is linear in the request: one conversion of the body, one scan of its bytes where the
//! rule's path and the body can meet, one walk through the query. A request without body and query
//! whose path says strings allocates nothing but its output.
//!
//! Not here: media types and codings of the body (`tandem-protocol`).

mod body;
mod field_text;
mod patch;
mod query;
mod rule;
mod taken;
mod text;

pub use self::field_text::FieldText;
pub use self::rule::RulePlan;

use self::body::Said;
use self::rule::{AnswerPlan, BodyPlan};
use self::text::{Origin, Step, TextValue, field_of};
use crate::fault::Fault;
use crate::limits::{JsonOptions, Limits};
use crate::plan::Plans;
use crate::to_json::{field_to_json, json_from_wire};
use crate::wire::{self, Value};

/// A REST request after its rule was found.
#[derive(Debug, Clone, Copy)]
pub struct RestRequest<'a> {
    pub rule: &'a RulePlan,
    /// What the path binds, decoded, in the order of the rule's variables.
    pub values: &'a [String],
    /// As it stood in the target, without the `?`.
    pub query: Option<&'a str>,
    /// JSON text; any bytes where the rule [takes them raw](RulePlan::takes_raw); or nothing.
    pub body: &'a [u8],
    /// The media type of the body, parameters included; read for raw bodies only.
    pub content_type: Option<&'a str>,
    /// Of the request; PATCH fills masks (protocols I-7).
    pub http_method: &'a str,
}

/// What may be chosen about binding. The defaults refuse what would be lost in silence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BindOptions {
    /// How the body is read; its `ignore_unknown` is the switch `unknown_json_field`.
    pub json: JsonOptions,
    pub unknown_query: Unknown,
    pub body_without_rule: UnaskedBody,
    pub patch_mask: PatchMask,
}

/// Parameters that name no field, or that bind nothing under `body: "*"` (protocols B-4, Q-7).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unknown {
    #[default]
    Refuse,
    Ignore,
}

/// A body where the rule takes none (protocols B-6). It is never bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UnaskedBody {
    #[default]
    Refuse,
    Ignore,
}

/// The unset field mask of a PATCH (protocols I-7).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PatchMask {
    /// It is filled from the keys of the body.
    #[default]
    Fill,
    Leave,
}

/// Appends the request message to `out`, which is as before after a fault.
///
/// # Errors
/// The first fault of path, body and query in this order; always the caller's.
pub fn request_from_rest(
    plans: &Plans,
    request: RestRequest<'_>,
    options: &BindOptions,
    limits: &Limits,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let start = out.len();
    bind(plans, &request, options, limits, out).inspect_err(|_fault| out.truncate(start))
}

/// Appends a later message of a stream of requests to `out`, which is as before after a fault.
///
/// Path and query have bound into the first message (protocols S-10): they are not looked at,
/// and say nothing against this one.
///
/// # Errors
/// The first fault of the body; always the caller's.
pub fn next_request_from_rest(
    plans: &Plans,
    request: RestRequest<'_>,
    options: &BindOptions,
    limits: &Limits,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let start = out.len();
    let bound = body::put_body(plans, &request, options, limits, out).and_then(|has_body| {
        if has_body {
            fill_mask(plans, &request, options, limits, out)?;
        }
        Ok(())
    });
    bound.inspect_err(|_fault| out.truncate(start))
}

fn bind(
    plans: &Plans,
    request: &RestRequest<'_>,
    options: &BindOptions,
    limits: &Limits,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let contract = &**plans.contract();
    let RestRequest { rule, values, query, .. } = *request;
    let taken = rule.taken.as_ref().map_err(Clone::clone)?;
    let said = || {
        rule.variables.iter().zip(values).map(|(path, text)| {
            TextValue::parse(plans, path.last(contract), text, Origin::Path)
                .map(|value| (path, value))
                .map_err(|fault| fault.within(&path.text))
        })
    };
    let has_body = if rule.watch.is_empty() {
        // Path and body cannot meet.
        for said in said() {
            let (path, value) = said?;
            value.put(contract, &path.steps, out);
        }
        body::put_body(plans, request, options, limits, out)?
    } else {
        let mut both = Vec::with_capacity(values.len());
        for said in said() {
            let (path, value) = said?;
            both.push(Said { path, value, held: false });
        }
        let start = out.len();
        let has_body = body::put_body(plans, request, options, limits, out)?;
        body::check(contract, rule, &out[start..], &mut both, limits)?;
        for Said { path, value, .. } in both.iter().filter(|said| !said.held) {
            value.put(contract, &path.steps, out);
        }
        has_body
    };
    let mut mask_is_set = false;
    if let Some(query) = query.filter(|query| !query.is_empty()) {
        let mut taken = taken.clone();
        if let BodyPlan::Field { step, .. } = &rule.body
            && has_body
        {
            taken.body_sets(contract, *step);
        }
        query::put_query(plans, rule, query, options, &mut taken, out)?;
        mask_is_set = rule.mask.is_some_and(|(mask, _)| taken.setter(&[mask]).is_some());
    }
    if has_body && !mask_is_set {
        fill_mask(plans, request, options, limits, out)?;
    }
    Ok(())
}

/// Names the keys of a PATCH's body in the mask beside it (protocols I-7).
fn fill_mask(
    plans: &Plans,
    request: &RestRequest<'_>,
    options: &BindOptions,
    limits: &Limits,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    if let Some((mask, message)) = request.rule.mask
        && request.http_method == "PATCH"
        && options.patch_mask == PatchMask::Fill
    {
        patch::put_mask(plans.contract(), mask, message, request.body, limits, out)?;
    }
    Ok(())
}

/// The body of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestAnswer<'a> {
    Json(Vec<u8>),
    /// What a `google.api.HttpBody` holds, as slices of the message (protocols A-3).
    Raw {
        /// Empty for none.
        content_type: &'a str,
        data: &'a [u8],
    },
}

/// Writes the answer's body: the message, or the field that the rule names (protocols A-2).
///
/// # Errors
/// As [`json_from_wire`]; of a raw answer also a media type that is no UTF-8.
pub fn response_to_rest<'a>(
    plans: &Plans,
    rule: &RulePlan,
    wire: &'a [u8],
    options: &JsonOptions,
    limits: &Limits,
) -> Result<RestAnswer<'a>, Fault> {
    match &rule.answer {
        AnswerPlan::Whole => {
            json_from_wire(plans, rule.output, wire, options, limits).map(RestAnswer::Json)
        }
        AnswerPlan::Field(path) => {
            field_to_json(plans, &path.steps, wire, options, limits).map(RestAnswer::Json)
        }
        AnswerPlan::Raw(steps) => raw_answer(plans, steps, wire, limits),
    }
}

/// Finds the last media type and the last bytes; parts of a split message lie in their order.
fn raw_answer<'a>(
    plans: &Plans,
    steps: &[Step],
    wire: &'a [u8],
    limits: &Limits,
) -> Result<RestAnswer<'a>, Fault> {
    let broken = |_broken| Fault::upstream("the bytes are no message");
    let contract = plans.contract();
    let mut parts = vec![wire];
    for step in steps {
        let message = contract.message(step.0);
        let field = field_of(contract, *step);
        let mut below = Vec::new();
        for part in parts {
            for found in wire::each(part, limits.wire_depth) {
                match found.map_err(broken)? {
                    (number, Value::Bytes(inner) | Value::Group(inner))
                        if number == field.number =>
                    {
                        below.push(inner);
                    }
                    // Another member of its oneof takes its place.
                    (number, _) if field.oneof.is_some() => {
                        let other = message.field_numbered(number);
                        if other.is_some_and(|(_, other)| {
                            other.oneof == field.oneof && number != field.number
                        }) {
                            below.clear();
                        }
                    }
                    _ => {}
                }
            }
        }
        parts = below;
    }
    let (mut content_type, mut data) = (&b""[..], &b""[..]);
    for part in parts {
        for found in wire::each(part, limits.wire_depth) {
            match found.map_err(broken)? {
                (1, Value::Bytes(bytes)) => content_type = bytes,
                (2, Value::Bytes(bytes)) => data = bytes,
                _ => {}
            }
        }
    }
    let content_type = std::str::from_utf8(content_type)
        .map_err(|_error| Fault::upstream("a string is not UTF-8").within("content_type"))?;
    Ok(RestAnswer::Raw { content_type, data })
}

#[cfg(test)]
#[path = "../tests/common/mod.rs"]
mod common;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tandem_contract::Contract;

    use super::*;

    /// A oneof as wide as contracts have them, beside a list.
    fn wide(members: usize) -> Plans {
        let members: String =
            (0..members).map(|number| format!("int32 m{number} = {};", number + 10)).collect();
        let text = format!(
            r#"syntax = "proto3"; package t; import "google/api/annotations.proto";
            message Part {{ repeated string list = 1; oneof one {{ string first = 2; {members} }} }}
            message Request {{ Part part = 1; repeated string words = 2; repeated string list = 3;
              oneof other {{ string second = 4; {members} }} }}
            service S {{
              rpc Field(Request) returns (Request) {{ option (google.api.http) = {{
                post: "/field/{{part.first}}" body: "part" }}; }}
              rpc Whole(Request) returns (Request) {{ option (google.api.http) = {{
                post: "/whole/{{second}}" body: "*" }}; }}
              rpc Apart(Request) returns (Request) {{ option (google.api.http) = {{
                post: "/apart/{{second}}" body: "part" }}; }}
            }}"#
        );
        Plans::new(Arc::new(Contract::from_descriptor_set(&common::compiled(&text)).unwrap()))
    }

    fn fields_read(plans: &Plans, method: &str, query: Option<&str>, body: &str) -> u64 {
        let contract = plans.contract();
        let (_, found) = contract.methods().find(|(_, found)| &*found.name == method).unwrap();
        let rule = RulePlan::new(contract, &found.rules[0], found.input, found.output);
        let values = ["value".to_owned()];
        let request = RestRequest {
            rule: &rule,
            values: &values,
            query,
            body: body.as_bytes(),
            content_type: None,
            http_method: "POST",
        };
        let before = body::tests::FIELDS_READ.get();
        let (options, limits) = (BindOptions::default(), Limits::default());
        request_from_rest(plans, request, &options, &limits, &mut Vec::new()).unwrap();
        body::tests::FIELDS_READ.get() - before
    }

    /// A body was once read again for each parameter and each member of a oneof.
    #[test]
    fn a_body_is_scanned_once_however_long_the_query_and_however_wide_a_oneof_is() {
        let list = |length: usize| format!("{{\"list\":[{}\"x\"]}}", "\"x\",".repeat(length - 1));
        let query = "words=x&".repeat(100);
        for members in [1, 2_000] {
            let plans = wide(members);
            for length in [10, 10_000] {
                let body = list(length);
                let most = length as u64 + 1;
                for query in [None, Some(&*query)] {
                    assert_eq!(fields_read(&plans, "Field", query, &body), most);
                    // Where path and body cannot meet there is nothing to scan.
                    assert_eq!(fields_read(&plans, "Apart", query, &body), 0);
                }
                assert_eq!(fields_read(&plans, "Whole", None, &body), length as u64);
            }
        }
    }
}
