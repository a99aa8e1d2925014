//! What a parser makes of a field on the wire: whether it is one of the type, and which member of
//! a oneof stays.

use std::collections::BTreeMap;

use tandem_contract::{Cardinality, Contract, Field, Kind};

use crate::fault::Fault;
use crate::wire::{self, Value};

/// The fault of bytes that are no message.
pub(super) fn broken(_broken: wire::Broken) -> Fault {
    Fault::caller("the bytes are no message")
}

/// Whether `value` is one that `field` can have: a wrong wire type makes it an unknown field, and
/// so does a number that a closed enum does not have (protocols J-13).
pub(super) fn fits(contract: &Contract, field: &Field, value: &Value<'_>) -> bool {
    if field.cardinality == Cardinality::Repeated
        && field.kind.packable()
        && matches!(value, Value::Bytes(_))
    {
        return true;
    }
    one_fits(contract, field.kind, value)
}

/// The same of one value, or one element.
pub(super) fn one_fits(contract: &Contract, kind: Kind, value: &Value<'_>) -> bool {
    match value {
        Value::Varint(number) => match kind {
            Kind::Int32
            | Kind::Int64
            | Kind::Uint32
            | Kind::Uint64
            | Kind::Sint32
            | Kind::Sint64
            | Kind::Bool => true,
            Kind::Enum(id) => {
                let enumeration = contract.enumeration(id);
                !enumeration.closed || enumeration.name(*number as i32).is_some()
            }
            _ => false,
        },
        Value::Fixed64(_) => matches!(kind, Kind::Double | Kind::Fixed64 | Kind::Sfixed64),
        Value::Fixed32(_) => matches!(kind, Kind::Float | Kind::Fixed32 | Kind::Sfixed32),
        Value::Bytes(_) => matches!(kind, Kind::String | Kind::Bytes | Kind::Message(_)),
        Value::Group(_) => matches!(kind, Kind::Group(_)),
    }
}

/// Which member of each oneof is set in the end, and since which field of the message.
#[derive(Debug, Default)]
pub(super) struct Oneofs {
    set: BTreeMap<u32, (u32, usize)>,
}

impl Oneofs {
    /// The field at `place` sets the member `number`.
    pub(super) fn set(&mut self, oneof: u32, number: u32, place: usize) {
        let (member, since) = self.set.entry(oneof).or_insert((number, place));
        if *member != number {
            (*member, *since) = (number, place);
        }
    }

    /// Whether the field at `place` is a member that another one took the place of later.
    pub(super) fn is_lost(&self, field: &Field, place: usize) -> bool {
        let Some((member, since)) = field.oneof.and_then(|oneof| self.set.get(&oneof)) else {
            return false;
        };
        *member != field.number || place < *since
    }
}

/// Appends a field as it was read.
pub(super) fn put_value(number: u32, value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Varint(value) => {
            wire::put_tag(number, 0, out);
            wire::put_varint(value, out);
        }
        Value::Fixed64(bits) => {
            wire::put_tag(number, 1, out);
            out.extend_from_slice(&bits.to_le_bytes());
        }
        Value::Fixed32(bits) => {
            wire::put_tag(number, 5, out);
            out.extend_from_slice(&bits.to_le_bytes());
        }
        Value::Bytes(bytes) => wire::put_bytes(number, bytes, out),
        Value::Group(bytes) => {
            wire::put_tag(number, 3, out);
            out.extend_from_slice(bytes);
            wire::put_tag(number, 4, out);
        }
    }
}
