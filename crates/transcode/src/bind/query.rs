//! The query of a request → wire fields (protocols, section 4).
//!
//! Each parameter costs in proportion to its own text: names are looked up step by step, and what
//! is set already is known without looking at the body again.

use std::borrow::Cow;

use tandem_contract::{Cardinality, Contract, Message, MessageId, WellKnown};

use super::rule::{BodyPlan, RulePlan};
use super::taken::{Source, Taken};
use super::text::{Origin, STEPS_MOST, Step, TextValue, field_of, may_be_empty};
use super::{BindOptions, Unknown};
use crate::fault::{Fault, echo};
use crate::plan::Plans;

/// Appends what the parameters say and notes what they set.
pub(super) fn put_query(
    plans: &Plans,
    rule: &RulePlan,
    query: &str,
    options: &BindOptions,
    taken: &mut Taken,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let contract = plans.contract();
    let mut steps = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let key = decode(key)?;
        if !resolve(contract, rule.input, &key, &mut steps)? {
            if options.unknown_query == Unknown::Ignore {
                continue;
            }
            return Err(Fault::caller(format!("unknown parameter {}", echo(&key))));
        }
        if binds(rule, &steps, options, taken).map_err(|fault| fault.within(&key))? {
            put_parameter(plans, &steps, value, taken, out).map_err(|fault| fault.within(&key))?;
        }
    }
    Ok(())
}

/// Whether the rule lets a parameter bind this field; `false` where it is dropped.
fn binds(
    rule: &RulePlan,
    steps: &[Step],
    options: &BindOptions,
    taken: &Taken,
) -> Result<bool, Fault> {
    match &rule.body {
        BodyPlan::Whole | BodyPlan::WholeRaw => {
            if taken.setter(steps) == Some(Source::Path) {
                return Err(Fault::caller("the path has set it already"));
            }
            if options.unknown_query == Unknown::Ignore {
                return Ok(false);
            }
            Err(Fault::caller("the body is the whole message; a parameter binds nothing"))
        }
        BodyPlan::Field { step, .. } if steps.first() == Some(step) => {
            Err(Fault::caller("it belongs to the body"))
        }
        BodyPlan::Field { .. } | BodyPlan::None => Ok(true),
    }
}

fn put_parameter(
    plans: &Plans,
    steps: &[Step],
    value: &str,
    taken: &mut Taken,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let contract = plans.contract();
    let last = steps.last().expect("a name has at least one part");
    let field = field_of(contract, *last);
    if field.cardinality == Cardinality::Map
        || (field.cardinality == Cardinality::Repeated && field.kind.message().is_some())
    {
        return Err(Fault::caller("a parameter cannot say a map or a list of messages"));
    }
    taken.claim(contract, steps, Source::Query)?;
    let text = decode(value)?;
    if text.is_empty() && !may_be_empty(contract, field) {
        return Err(Fault::caller("it has no value"));
    }
    TextValue::parse(plans, field, &text, Origin::Query)?.put(contract, steps, out);
    Ok(())
}

/// Follows a dotted key by names of the file or of JSON (protocols Q-1); `false` when no field is
/// called so.
fn resolve(
    contract: &Contract,
    input: MessageId,
    key: &str,
    steps: &mut Vec<Step>,
) -> Result<bool, Fault> {
    steps.clear();
    let mut at = Some(input);
    for name in key.split('.') {
        if steps.len() == STEPS_MOST {
            return Err(Fault::caller(format!("a parameter with more than {STEPS_MOST} parts")));
        }
        let Some(id) = at else { return Ok(false) };
        let message = contract.message(id);
        if let Some(last) = steps.last() {
            let parent = field_of(contract, *last);
            if parent.cardinality != Cardinality::Singular {
                let reason = "a parameter cannot say a map or a list of messages";
                return Err(Fault::caller(reason).within(&parent.name));
            }
            if !has_parts(message.well_known) {
                let reason = format!("{} has no parts that a parameter can say", message.full_name);
                return Err(Fault::caller(reason).within(&parent.name));
            }
        }
        let Some(index) = named(message, name) else { return Ok(false) };
        steps.push((id, index));
        at = message.fields[index].kind.message();
    }
    Ok(true)
}

/// Whether fields of such a message can be given one by one.
fn has_parts(known: WellKnown) -> bool {
    match known {
        WellKnown::No
        | WellKnown::Empty
        | WellKnown::HttpBody
        | WellKnown::Timestamp
        | WellKnown::Duration => true,
        WellKnown::Any
        | WellKnown::FieldMask
        | WellKnown::Struct
        | WellKnown::Value
        | WellKnown::ListValue
        | WellKnown::Wrapper => false,
    }
}

/// A field by its name, its JSON name, or the JSON name that it would have had without a
/// `json_name` of its own.
fn named(message: &Message, name: &str) -> Option<usize> {
    if let Some((index, _)) = message.field_named(name) {
        return Some(index);
    }
    message.fields.iter().position(|field| !field.extension && is_camel_of(name, &field.name))
}

/// Whether `camel` is the lowerCamel form of `name` (descriptor.proto, `json_name`).
fn is_camel_of(camel: &str, name: &str) -> bool {
    let mut letters = camel.chars();
    let mut upper = false;
    for letter in name.chars() {
        if letter == '_' {
            upper = true;
            continue;
        }
        let due = if std::mem::take(&mut upper) { letter.to_ascii_uppercase() } else { letter };
        if letters.next() != Some(due) {
            return false;
        }
    }
    letters.next().is_none()
}

/// Percent-decodes one side of a pair; `+` is a space.
fn decode(raw: &str) -> Result<Cow<'_, str>, Fault> {
    if !raw.contains(['%', '+']) {
        return Ok(Cow::Borrowed(raw));
    }
    let bytes = raw.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'+' => decoded.push(b' '),
            b'%' => {
                let digit =
                    |at: usize| bytes.get(at).and_then(|digit| (*digit as char).to_digit(16));
                let (Some(high), Some(low)) = (digit(at + 1), digit(at + 2)) else {
                    return Err(Fault::caller(format!(
                        "{} has a `%` without two hex digits behind it",
                        echo(raw)
                    )));
                };
                decoded.push((high << 4 | low) as u8);
                at += 2;
            }
            byte => decoded.push(byte),
        }
        at += 1;
    }
    String::from_utf8(decoded)
        .map(Cow::Owned)
        .map_err(|_error| Fault::caller(format!("{} is not UTF-8", echo(raw))))
}

#[cfg(test)]
mod tests {
    use super::is_camel_of;

    #[test]
    fn lower_camel_is_told_from_other_names() {
        for (camel, name, is) in [
            ("fooBar", "foo_bar", true),
            ("foo", "foo", true),
            ("FooBar", "_foo_bar", true),
            ("foo3", "foo_3", true),
            ("fooBar", "foo__bar", true),
            ("foobar", "foo_bar", false),
            ("fooBa", "foo_bar", false),
            ("fooBarr", "foo_bar", false),
        ] {
            assert_eq!(is_camel_of(camel, name), is, "{camel} {name}");
        }
    }
}
