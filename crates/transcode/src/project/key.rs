//! The key of chosen fields: one spelling for each value.
//!
//! A message is its set fields in the order of their numbers, each with its number before it, and
//! a 0 behind them; a list is its elements, a 1 before each, and a 0; a map is the same with its
//! entries in the order of their keys. Numbers are varints in the form of their type, texts have
//! their length before them. So each part says where it ends, and two values cannot share a key.

use std::collections::BTreeMap;

use tandem_contract::{Cardinality, Contract, Field, Kind, MessageId, Presence};

use super::wire_fields::{Oneofs, broken, fits, one_fits};
use super::{Chosen, Part};
use crate::fault::Fault;
use crate::wire::{self, Value};

pub(super) struct Writer<'a> {
    pub(super) contract: &'a Contract,
    pub(super) wire_depth: u32,
}

impl Writer<'_> {
    /// Writes a message whose `parts` merge; all of it where nothing is chosen. Says whether a
    /// field of it is set.
    pub(super) fn message(
        &self,
        id: MessageId,
        chosen: Option<&Chosen>,
        parts: &[&[u8]],
        level: u32,
        out: &mut Vec<u8>,
    ) -> Result<bool, Fault> {
        if level > self.wire_depth {
            let most = self.wire_depth;
            return Err(Fault::caller(format!("more than {most} messages inside each other")));
        }
        let message = self.contract.message(id);
        let mut oneofs = Oneofs::default();
        let mut found: Vec<(u32, u32, Value<'_>)> = Vec::new();
        let fields = parts.iter().flat_map(|part| wire::each(part, self.wire_depth));
        for (place, read) in fields.enumerate() {
            let (number, value) = read.map_err(broken)?;
            let Some((_, field)) = message.field_numbered(number) else { continue };
            if !fits(self.contract, field, &value) {
                continue;
            }
            if let Some(oneof) = field.oneof {
                oneofs.set(oneof, number, place);
            }
            if chosen.is_none_or(|chosen| chosen.fields.contains_key(&number)) {
                found.push((number, place as u32, value));
            }
        }
        // Stable: of one field the order stays.
        found.sort_by_key(|(number, _, _)| *number);
        let before = out.len();
        for group in found.chunk_by(|one, other| one.0 == other.0) {
            let number = group[0].0;
            let Some((_, field)) = message.field_numbered(number) else { continue };
            let values = group
                .iter()
                .filter(|(_, place, _)| !oneofs.is_lost(field, *place as usize))
                .map(|(_, _, value)| *value);
            let below = match chosen.and_then(|chosen| chosen.fields.get(&number)) {
                Some(Part::Below(below)) => Some(below),
                Some(Part::Whole) | None => None,
            };
            let start = out.len();
            wire::put_varint(u64::from(number), out);
            if !self.field(field, below, values, level, out)? {
                out.truncate(start);
            }
        }
        let set = out.len() > before;
        out.push(0);
        Ok(set)
    }

    /// `false` where the field counts as unset.
    fn field<'w>(
        &self,
        field: &Field,
        below: Option<&Chosen>,
        values: impl Iterator<Item = Value<'w>>,
        level: u32,
        out: &mut Vec<u8>,
    ) -> Result<bool, Fault> {
        match (field.cardinality, field.kind.message()) {
            (Cardinality::Map, Some(entry)) => self.map(entry, below, values, level, out),
            (Cardinality::Singular, Some(id)) => {
                let parts: Vec<&[u8]> = values.filter_map(contents).collect();
                if parts.is_empty() {
                    return Ok(false);
                }
                let set = self.message(id, below, &parts, level + 1, out)?;
                // Of a whole message its presence is a part of the value.
                Ok(set || below.is_none())
            }
            (Cardinality::Singular, None) => {
                let Some(value) = values.last() else { return Ok(false) };
                if field.presence == Presence::Implicit && is_default(field.kind, value) {
                    return Ok(false);
                }
                put_scalar(field.kind, value, out);
                Ok(true)
            }
            (Cardinality::Repeated | Cardinality::Map, id) => {
                let before = out.len();
                for value in values {
                    match (id, value) {
                        (Some(id), value) => {
                            let Some(inner) = contents(value) else { continue };
                            out.push(1);
                            self.message(id, below, &[inner], level + 1, out)?;
                        }
                        (None, Value::Bytes(packed)) if field.kind.packable() => {
                            self.packed(field.kind, packed, out)?;
                        }
                        (None, value) => {
                            out.push(1);
                            put_scalar(field.kind, value, out);
                        }
                    }
                }
                let set = out.len() > before;
                out.push(0);
                Ok(set)
            }
        }
    }

    fn packed(&self, kind: Kind, mut packed: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        while !packed.is_empty() {
            let value = match kind.wire_type() {
                1 => packed.split_first_chunk().map(|(bits, rest)| {
                    packed = rest;
                    Value::Fixed64(u64::from_le_bytes(*bits))
                }),
                5 => packed.split_first_chunk().map(|(bits, rest)| {
                    packed = rest;
                    Value::Fixed32(u32::from_le_bytes(*bits))
                }),
                _ => wire::varint(&mut packed).map(Value::Varint),
            };
            let value = value.ok_or_else(|| broken(wire::Broken))?;
            if one_fits(self.contract, kind, &value) {
                out.push(1);
                put_scalar(kind, value, out);
            }
        }
        Ok(())
    }

    fn map<'w>(
        &self,
        entry: MessageId,
        below: Option<&Chosen>,
        values: impl Iterator<Item = Value<'w>>,
        level: u32,
        out: &mut Vec<u8>,
    ) -> Result<bool, Fault> {
        let types = self.contract.message(entry);
        let (Some((_, key)), Some((_, value))) = (types.field_numbered(1), types.field_numbered(2))
        else {
            return Ok(false);
        };
        if level >= self.wire_depth {
            let most = self.wire_depth;
            return Err(Fault::caller(format!("more than {most} messages inside each other")));
        }
        // The last entry of a key is the one that counts.
        let mut entries: BTreeMap<Vec<u8>, &[u8]> = BTreeMap::new();
        for bytes in values.filter_map(contents) {
            let mut key_value = None;
            // An entry whose value is no number of its closed enum is an unknown field.
            let mut known = true;
            for read in wire::each(bytes, self.wire_depth) {
                match read.map_err(broken)? {
                    (1, found) if one_fits(self.contract, key.kind, &found) => {
                        key_value = Some(found);
                    }
                    (2, found @ Value::Varint(_)) if matches!(value.kind, Kind::Enum(_)) => {
                        known = one_fits(self.contract, value.kind, &found);
                    }
                    _ => {}
                }
            }
            if known {
                let mut spelled = Vec::new();
                put_scalar(key.kind, key_value.unwrap_or(unset(key.kind)), &mut spelled);
                entries.insert(spelled, bytes);
            }
        }
        for (spelled, bytes) in &entries {
            out.push(1);
            out.extend_from_slice(spelled);
            let found = wire::each(bytes, self.wire_depth)
                .map_while(Result::ok)
                .filter(|(number, found)| {
                    *number == 2 && one_fits(self.contract, value.kind, found)
                })
                .map(|(_, found)| found);
            if let Some(id) = value.kind.message() {
                let parts: Vec<&[u8]> = found.filter_map(contents).collect();
                self.message(id, below, &parts, level + 2, out)?;
            } else {
                let default = match value.kind {
                    Kind::Enum(id) => {
                        let number = self.contract.enumeration(id).default();
                        Value::Varint(i64::from(number) as u64)
                    }
                    kind => unset(kind),
                };
                put_scalar(value.kind, found.last().unwrap_or(default), out);
            }
        }
        out.push(0);
        Ok(!entries.is_empty())
    }
}

fn contents(value: Value<'_>) -> Option<&[u8]> {
    match value {
        Value::Bytes(bytes) | Value::Group(bytes) => Some(bytes),
        Value::Varint(_) | Value::Fixed64(_) | Value::Fixed32(_) => None,
    }
}

/// What an entry of a map means that lacks its key or its value.
fn unset(kind: Kind) -> Value<'static> {
    match kind.wire_type() {
        1 => Value::Fixed64(0),
        5 => Value::Fixed32(0),
        2 => Value::Bytes(b""),
        _ => Value::Varint(0),
    }
}

/// The number that a varint is to its type: parsers cut it to the type's width.
fn number_of(kind: Kind, value: u64) -> u64 {
    match kind {
        Kind::Int32 | Kind::Enum(_) => i64::from(value as i32) as u64,
        Kind::Uint32 | Kind::Sint32 => u64::from(value as u32),
        Kind::Bool => u64::from(value != 0),
        _ => value,
    }
}

fn is_default(kind: Kind, value: Value<'_>) -> bool {
    match value {
        Value::Varint(value) => number_of(kind, value) == 0,
        Value::Fixed64(bits) => bits == 0,
        Value::Fixed32(bits) => bits == 0,
        Value::Bytes(bytes) | Value::Group(bytes) => bytes.is_empty(),
    }
}

fn put_scalar(kind: Kind, value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Varint(value) => wire::put_varint(number_of(kind, value), out),
        Value::Fixed64(bits) => out.extend_from_slice(&bits.to_le_bytes()),
        Value::Fixed32(bits) => out.extend_from_slice(&bits.to_le_bytes()),
        Value::Bytes(bytes) | Value::Group(bytes) => {
            wire::put_varint(bytes.len() as u64, out);
            out.extend_from_slice(bytes);
        }
    }
}
