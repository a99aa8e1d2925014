//! The body of a request → wire fields, and the one scan that holds it against the path.
//!
//! The scan reads each field of the body's bytes once and goes down only where the path has set a
//! field or a oneof's member, so its cost is the body's own length times, at worst, the steps of
//! the rule's longest variable (groups are measured before they are entered). It does not grow
//! with the query, nor with the width of a oneof.
//!
//! Not here: media types and codings (`tandem-protocol`).

use tandem_contract::{Contract, FieldPath};

use super::rule::{BodyPlan, RulePlan, Watch, Watched};
use super::taken::second_member;
use super::text::{TextValue, field_of};
use super::{BindOptions, RestRequest, UnaskedBody};
use crate::fault::Fault;
use crate::from_json::{append_wire_from_json, field_from_json};
use crate::limits::Limits;
use crate::plan::Plans;
use crate::wire::{self, Value};

/// Appends what the body says; `false` where it says nothing.
pub(super) fn put_body(
    plans: &Plans,
    request: &RestRequest<'_>,
    options: &BindOptions,
    limits: &Limits,
    out: &mut Vec<u8>,
) -> Result<bool, Fault> {
    let RestRequest { rule, body, content_type, .. } = *request;
    let blank = body.iter().all(u8::is_ascii_whitespace);
    // An empty body is the empty message (I-2); of raw bytes only no bytes at all are empty, and
    // a media type makes even those a body.
    let no_bytes = body.is_empty() && content_type.is_none();
    match &rule.body {
        BodyPlan::None if blank || options.body_without_rule == UnaskedBody::Ignore => Ok(false),
        BodyPlan::None => Err(Fault::caller("this method takes no body")),
        BodyPlan::Whole | BodyPlan::Field { raw: false, .. } if blank => Ok(false),
        BodyPlan::WholeRaw | BodyPlan::Field { raw: true, .. } if no_bytes => Ok(false),
        BodyPlan::Whole => {
            append_wire_from_json(plans, rule.input, body, &options.json, limits, out)?;
            Ok(true)
        }
        BodyPlan::WholeRaw => {
            put_raw(content_type, body, out);
            Ok(true)
        }
        BodyPlan::Field { step, raw: true, .. } => {
            let field = field_of(plans.contract(), *step);
            let mut raw = Vec::with_capacity(body.len() + content_type.map_or(0, str::len) + 16);
            put_raw(content_type, body, &mut raw);
            wire::put_message(field.number, field.kind, &raw, out);
            Ok(true)
        }
        BodyPlan::Field { step, name, null, raw: false } => {
            if !null && body.trim_ascii() == b"null" {
                let place = body.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
                let fault = Fault::caller("a value was expected, null was found").at(place);
                return Err(fault.within(name));
            }
            field_from_json(plans, *step, body, &options.json, limits, out)?;
            Ok(true)
        }
    }
}

/// The fields of a `google.api.HttpBody`.
fn put_raw(content_type: Option<&str>, data: &[u8], out: &mut Vec<u8>) {
    if let Some(media) = content_type.filter(|media| !media.is_empty()) {
        wire::put_bytes(1, media.as_bytes(), out);
    }
    if !data.is_empty() {
        wire::put_bytes(2, data, out);
    }
}

/// What a variable says, and whether the body says it too.
#[derive(Debug)]
pub(super) struct Said<'a> {
    pub(super) path: &'a FieldPath,
    pub(super) value: TextValue<'a>,
    pub(super) held: bool,
}

/// Holds the bytes of a body against the path: it may repeat what that says, and nothing else
/// (protocols B-1), and no other member of a oneof (B-3).
pub(super) fn check(
    contract: &Contract,
    rule: &RulePlan,
    body: &[u8],
    said: &mut [Said<'_>],
    limits: &Limits,
) -> Result<(), Fault> {
    scan(contract, &rule.watch, body, said, limits).map_err(|(variable, fault)| {
        match rule.variables.get(variable) {
            Some(path) => fault.within(&path.text),
            None => fault,
        }
    })
}

/// A fault comes with the number of the variable that it is about.
fn scan(
    contract: &Contract,
    watch: &Watch,
    bytes: &[u8],
    said: &mut [Said<'_>],
    limits: &Limits,
) -> Result<(), (usize, Fault)> {
    for field in wire::each(bytes, limits.wire_depth) {
        #[cfg(test)]
        tests::FIELDS_READ.with(|read| read.set(read.get() + 1));
        // The bytes are our own; if they were broken, nothing could be said about them.
        let (number, value) =
            field.map_err(|_broken| (usize::MAX, Fault::caller("the body cannot be bound")))?;
        match (watch.find(number), value) {
            (None, _) => {}
            (Some(Watched::Sibling { message, oneof, variable }), _) => {
                return Err((*variable, second_member(contract, *message, *oneof)));
            }
            (Some(Watched::Parent(below)), Value::Bytes(inner) | Value::Group(inner)) => {
                scan(contract, below, inner, said, limits)?;
            }
            (Some(Watched::Variable(variable)), value) => {
                let Some(said) = said.get_mut(*variable) else { continue };
                if !said.value.equals(value, limits.wire_depth) {
                    let reason = "the body gives it another value than the path";
                    return Err((*variable, Fault::caller(reason)));
                }
                said.held = true;
            }
            (Some(Watched::Parent(_)), _) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use std::cell::Cell;

    thread_local! {
        /// Fields that scans of this thread have read.
        pub(in crate::bind) static FIELDS_READ: Cell<u64> = const { Cell::new(0) };
    }
}
