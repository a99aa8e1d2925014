//! Values that a path or a query says in text, and how they become wire fields.
//!
//! A value is written with its parents around it, their lengths reckoned beforehand, so that a
//! string goes from the target into the message without a copy aside.
//!
//! Not here: who may set the field (`taken`), which field is meant (`query`, the rule).

use tandem_contract::{Cardinality, Contract, Field, Kind, MessageId, Presence, WellKnown};

use crate::fault::Fault;
use crate::from_json::put_seconds_nanos;
use crate::plan::Plans;
use crate::scalar::{self, Bits, Scalar};
use crate::wire::{self, Value};
use crate::{mask, times};

/// One step of a path: a message and the index of the field in it.
pub(super) type Step = (MessageId, usize);

/// Steps of one path, at most; the contract keeps its own paths to as many.
pub(super) const STEPS_MOST: usize = 32;

/// The field that a step means.
pub(super) fn field_of(contract: &Contract, step: Step) -> &Field {
    &contract.message(step.0).fields[step.1]
}

/// The value of a text in the form of its field.
#[derive(Debug)]
pub(super) enum TextValue<'a> {
    /// A string, as it is.
    Text(&'a str),
    Scalar(Scalar),
    /// The bytes of a message whose JSON is a string.
    Message(Vec<u8>),
}

/// Where a text comes from: masks may be spelled by the names of the file in a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Path,
    Query,
}

impl<'a> TextValue<'a> {
    /// Reads `text` by the type of `field` (protocols P-12, Q-4, Q-5).
    pub(super) fn parse(
        plans: &Plans,
        field: &Field,
        text: &'a str,
        origin: Origin,
    ) -> Result<TextValue<'a>, Fault> {
        if field.kind == Kind::String {
            return Ok(TextValue::Text(text));
        }
        let contract = plans.contract();
        let Some(id) = field.kind.message() else {
            return scalar::from_text(plans, field.kind, text).map(TextValue::Scalar);
        };
        let message = contract.message(id);
        let mut bytes = Vec::new();
        match message.well_known {
            WellKnown::Timestamp => {
                let (seconds, nanos) = times::timestamp_of(text)?;
                put_seconds_nanos(seconds, nanos, &mut bytes);
            }
            WellKnown::Duration => {
                let (seconds, nanos) = times::duration_of(text)?;
                put_seconds_nanos(seconds, nanos, &mut bytes);
            }
            WellKnown::FieldMask => {
                for path in mask::paths_of(text, origin == Origin::Query)? {
                    wire::put_bytes(1, path.as_bytes(), &mut bytes);
                }
            }
            WellKnown::Wrapper => {
                let value = message.field_numbered(1).map(|(_, field)| field.kind);
                let kind = value.ok_or_else(|| Fault::caller("a wrapper without a value"))?;
                let value = scalar::from_text(plans, kind, text)?;
                if !value.is_default() {
                    value.put_field(1, &mut bytes);
                }
            }
            WellKnown::No
            | WellKnown::Any
            | WellKnown::Struct
            | WellKnown::Value
            | WellKnown::ListValue
            | WellKnown::Empty
            | WellKnown::HttpBody => {
                return Err(Fault::caller(format!("{} cannot be given here", message.full_name)));
            }
        }
        Ok(TextValue::Message(bytes))
    }

    /// Whether `found` in the bytes of a message is the same value.
    ///
    /// Messages are compared field by field, so that a length written wider than it must be is no
    /// difference.
    pub(super) fn equals(&self, found: Value<'_>, wire_depth: u32) -> bool {
        match (self, found) {
            (TextValue::Text(text), Value::Bytes(bytes)) => text.as_bytes() == bytes,
            (TextValue::Scalar(Scalar::Bytes(mine)), Value::Bytes(bytes)) => mine == bytes,
            (TextValue::Scalar(Scalar::Number(Bits::Varint(mine))), Value::Varint(value)) => {
                *mine == value
            }
            (TextValue::Scalar(Scalar::Number(Bits::Fixed64(mine))), Value::Fixed64(value)) => {
                *mine == value
            }
            (TextValue::Scalar(Scalar::Number(Bits::Fixed32(mine))), Value::Fixed32(value)) => {
                *mine == value
            }
            (TextValue::Message(mine), Value::Bytes(bytes) | Value::Group(bytes)) => {
                wire::each(mine, wire_depth).eq(wire::each(bytes, wire_depth))
            }
            _ => false,
        }
    }

    /// Appends the field at the end of `steps`, its parents around it.
    pub(super) fn put(&self, contract: &Contract, steps: &[Step], out: &mut Vec<u8>) {
        let (last, parents) = steps.split_last().expect("a path has at least one step");
        let last = field_of(contract, *last);
        // Without presence a default is not written. It needs to win over nothing: a body that
        // says another value was refused.
        let written = !(last.presence == Presence::Implicit
            && last.cardinality == Cardinality::Singular
            && self.is_default());
        let mut length = if written { self.field_bytes(last) } else { 0 };
        let mut lengths = [0; STEPS_MOST];
        for (place, parent) in parents.iter().enumerate().rev() {
            lengths[place] = length;
            let parent = field_of(contract, *parent);
            length = message_bytes(parent.number, parent.kind, length);
        }
        out.reserve(length);
        for (parent, length) in parents.iter().zip(lengths) {
            let parent = field_of(contract, *parent);
            if matches!(parent.kind, Kind::Group(_)) {
                wire::put_tag(parent.number, 3, out);
            } else {
                wire::put_tag(parent.number, 2, out);
                wire::put_varint(length as u64, out);
            }
        }
        if written {
            match self {
                TextValue::Text(text) => wire::put_bytes(last.number, text.as_bytes(), out),
                TextValue::Scalar(scalar) => scalar.put_field(last.number, out),
                TextValue::Message(message) => {
                    wire::put_message(last.number, last.kind, message, out);
                }
            }
        }
        for parent in parents.iter().rev() {
            let parent = field_of(contract, *parent);
            if matches!(parent.kind, Kind::Group(_)) {
                wire::put_tag(parent.number, 4, out);
            }
        }
    }

    fn is_default(&self) -> bool {
        match self {
            TextValue::Text(text) => text.is_empty(),
            TextValue::Scalar(scalar) => scalar.is_default(),
            TextValue::Message(_) => false,
        }
    }

    /// Bytes of the field with its tag.
    fn field_bytes(&self, field: &Field) -> usize {
        let delimited = |bytes: usize| varint_bytes(bytes as u64) + bytes;
        let value = match self {
            TextValue::Text(text) => delimited(text.len()),
            TextValue::Scalar(Scalar::Bytes(bytes)) => delimited(bytes.len()),
            TextValue::Scalar(Scalar::Number(Bits::Varint(value))) => varint_bytes(*value),
            TextValue::Scalar(Scalar::Number(Bits::Fixed64(_))) => 8,
            TextValue::Scalar(Scalar::Number(Bits::Fixed32(_))) => 4,
            TextValue::Message(message) => {
                return message_bytes(field.number, field.kind, message.len());
            }
        };
        tag_bytes(field.number) + value
    }
}

/// Bytes of a message field whose message has `length` bytes.
fn message_bytes(number: u32, kind: Kind, length: usize) -> usize {
    let around = if matches!(kind, Kind::Group(_)) {
        tag_bytes(number)
    } else {
        varint_bytes(length as u64)
    };
    tag_bytes(number) + around + length
}

fn tag_bytes(number: u32) -> usize {
    varint_bytes(u64::from(number) << 3)
}

fn varint_bytes(value: u64) -> usize {
    ((u64::BITS - (value | 1).leading_zeros()) as usize).div_ceil(7)
}

/// Whether the empty text is a value of `field`: `flag` and `flag=` in a query (protocols Q-3).
pub(super) fn may_be_empty(contract: &Contract, field: &Field) -> bool {
    let text = |kind| matches!(kind, Kind::String | Kind::Bytes);
    let Some(id) = field.kind.message() else { return text(field.kind) };
    let message = contract.message(id);
    match message.well_known {
        WellKnown::Wrapper => message.field_numbered(1).is_some_and(|(_, field)| text(field.kind)),
        known => known == WellKnown::FieldMask,
    }
}
