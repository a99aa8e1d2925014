//! Protobuf bytes → the same message in one canonical form.
//!
//! Fields stand in the order of their numbers, each once: merged, the last one winning, packed as
//! the contract says, defaults without presence left out, the entries of maps by their keys,
//! every number in its shortest form. Two encodings of one message become the same bytes. Fields
//! that the contract does not know are kept behind the others, as they came (protocols J-15).
//!
//! Not on the path of a call between gRPC sides, whose messages pass unread.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::BTreeMap;

use tandem_contract::{Kind, MessageId};

use crate::fault::{Fault, FaultLimit};
use crate::limits::Limits;
use crate::plan::{FieldPlan, MessagePlan, Plans, Shape};
use crate::regroup::{Occurrence, key_of, occurrences};
use crate::scalar::Bits;
use crate::seen::MapKey;
use crate::wire::{self, Broken, Cursor};

/// Reads the protobuf bytes of a `message` and writes it in its canonical form.
///
/// # Errors
/// The upstream's fault: bytes that are no such message, text that is no UTF-8 where the contract
/// promises it, more levels than the limits allow.
pub fn wire_from_wire(
    plans: &Plans,
    message: MessageId,
    wire: &[u8],
    limits: &Limits,
) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::with_capacity(wire.len());
    let copies_left = Cell::new(wire.len().saturating_mul(8).saturating_add(1 << 20));
    let rewriter = Rewriter { plans, limits, copies_left };
    rewriter.message(plans.message(message), wire, 1, &mut out)?;
    Ok(out)
}

struct Rewriter<'p> {
    plans: &'p Plans,
    limits: &'p Limits,
    /// Bytes that may still be copied to join the parts of messages: a message that is split at
    /// each of a hundred levels would else stand a hundred times in memory (security R-6).
    copies_left: Cell<usize>,
}

impl From<Broken> for Fault {
    fn from(_broken: Broken) -> Fault {
        Fault::upstream("the bytes are no message")
    }
}

impl Rewriter<'_> {
    fn message(
        &self,
        plan: &MessagePlan,
        wire: &[u8],
        level: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        if level > self.limits.wire_depth {
            let most = self.limits.wire_depth;
            let fault = Fault::upstream(format!("more than {most} messages inside each other"));
            return Err(fault.over(FaultLimit::WireDepth));
        }
        let mut unknown = Vec::new();
        let mut found = occurrences(self.plans, plan, wire, self.limits, Some(&mut unknown))?;
        let number = |place: u32| plan.fields[place as usize].number;
        found.sort_unstable_by_key(|found| (number(found.place), found.from));
        for group in found.chunk_by(|one, other| one.place == other.place) {
            let field = &plan.fields[group[0].place as usize];
            match (field.shape, field.kind) {
                (Shape::Singular, Kind::Message(_) | Kind::Group(_)) => {
                    let contents = self.merged(field, group, wire)?;
                    self.nested(field, &contents, level, out)?;
                }
                (Shape::Singular, _) => {
                    let last = group.last().map_or(&b""[..], |last| last.value(wire));
                    let before = out.len();
                    field.put_tag(out);
                    let is_default = self.scalar(field, &mut Cursor::new(last), out)?;
                    if is_default && field.implicit && !plan.map_entry {
                        out.truncate(before);
                    }
                }
                (Shape::Repeated, Kind::Message(_) | Kind::Group(_)) => {
                    for found in group {
                        let contents = self.contents(field, found.value(wire))?;
                        self.nested(field, contents, level, out)?;
                    }
                }
                (Shape::Repeated, _) => self.list(field, group, wire, &mut unknown, out)?,
                (Shape::Map { key, value }, _) => {
                    self.map(field, (key, value), group, wire, level, out, &mut unknown)?;
                }
            }
        }
        out.extend_from_slice(&unknown);
        Ok(())
    }

    fn contents<'w>(&self, field: &FieldPlan, value: &'w [u8]) -> Result<&'w [u8], Broken> {
        let mut cursor = Cursor::new(value);
        match field.kind {
            Kind::Group(_) => cursor.group(field.number, self.limits.wire_depth),
            _ => cursor.bytes(),
        }
    }

    /// The contents of all occurrences, one behind the other. One is not copied.
    fn merged<'w>(
        &self,
        field: &FieldPlan,
        group: &[Occurrence],
        wire: &'w [u8],
    ) -> Result<Cow<'w, [u8]>, Fault> {
        if let [one] = group {
            return Ok(Cow::Borrowed(self.contents(field, one.value(wire))?));
        }
        let mut contents = Vec::new();
        for found in group {
            contents.extend_from_slice(self.contents(field, found.value(wire))?);
        }
        let left = self
            .copies_left
            .get()
            .checked_sub(contents.len())
            .ok_or_else(|| Fault::upstream("too many of its messages are split into parts"))?;
        self.copies_left.set(left);
        Ok(Cow::Owned(contents))
    }

    fn nested(
        &self,
        field: &FieldPlan,
        contents: &[u8],
        level: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let Some(id) = field.kind.message() else { return Ok(()) };
        field.put_tag(out);
        if let Kind::Group(_) = field.kind {
            self.message(self.plans.message(id), contents, level + 1, out)?;
            wire::put_tag(field.number, 4, out);
            return Ok(());
        }
        let start = out.len();
        self.message(self.plans.message(id), contents, level + 1, out)?;
        put_length_before(start, out);
        Ok(())
    }

    fn list(
        &self,
        field: &FieldPlan,
        group: &[Occurrence],
        wire: &[u8],
        unknown: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let mut run = Vec::new();
        for found in group {
            let mut cursor = Cursor::new(found.value(wire));
            if found.tag & 7 == 2 && field.kind.packable() {
                cursor = Cursor::new(cursor.bytes()?);
            }
            // A single value is at its end after one step, a run after its last.
            loop {
                if cursor.at_end() {
                    break;
                }
                if self.is_unknown(field, cursor)? {
                    wire::put_tag(field.number, 0, unknown);
                    wire::put_varint(cursor.varint()?, unknown);
                    continue;
                }
                if !field.packed {
                    field.put_tag(&mut run);
                }
                self.scalar(field, &mut cursor, &mut run)?;
            }
        }
        if field.packed && !run.is_empty() {
            field.put_tag(out);
            wire::put_varint(run.len() as u64, out);
        }
        out.extend_from_slice(&run);
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "the two outputs and what stands on the wire")]
    fn map(
        &self,
        field: &FieldPlan,
        (key, value): (u32, u32),
        group: &[Occurrence],
        wire: &[u8],
        level: u32,
        out: &mut Vec<u8>,
        unknown: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let Some(id) = field.kind.message() else { return Ok(()) };
        let entry_plan = self.plans.message(id);
        let mut entries: BTreeMap<MapKey<'_>, &[u8]> = BTreeMap::new();
        for found in group {
            let entry = self.contents(field, found.value(wire))?;
            entries.insert(key_of(self.plans, field, key, entry, self.limits)?, entry);
        }
        let (key, value) = (&entry_plan.fields[key as usize], &entry_plan.fields[value as usize]);
        for entry in entries.into_values() {
            if self.holds_unknown(value, entry)? {
                // The entry as a whole is a field that is not known (J-13).
                wire::put_bytes(field.number, entry, unknown);
                continue;
            }
            field.put_tag(out);
            let start = out.len();
            // Key and value always stand in an entry, a default too.
            if !has(entry, key.tag, self.limits)? {
                self.put_default(key, out);
            }
            self.message(entry_plan, entry, level + 1, out)?;
            if !has(entry, value.tag, self.limits)? {
                self.put_default(value, out);
            }
            put_length_before(start, out);
        }
        Ok(())
    }

    fn put_default(&self, field: &FieldPlan, out: &mut Vec<u8>) {
        match field.kind {
            Kind::Enum(id) => {
                let number = self.plans.enumeration(id).default();
                field.put_tag(out);
                wire::put_varint(i64::from(number) as u64, out);
            }
            Kind::Message(_) | Kind::Group(_) => {
                wire::put_message(field.number, field.kind, b"", out);
            }
            kind => {
                field.put_tag(out);
                match kind.wire_type() {
                    1 => out.extend_from_slice(&[0; 8]),
                    5 => out.extend_from_slice(&[0; 4]),
                    _ => out.push(0),
                }
            }
        }
    }

    /// Whether a number that comes next lies outside its closed enum.
    fn is_unknown(&self, field: &FieldPlan, mut cursor: Cursor<'_>) -> Result<bool, Broken> {
        match field.kind {
            Kind::Enum(id) => Ok(!self.plans.enumeration(id).has(cursor.varint()? as i32)),
            _ => Ok(false),
        }
    }

    /// Whether the value of a map's entry lies outside its closed enum.
    fn holds_unknown(&self, value: &FieldPlan, entry: &[u8]) -> Result<bool, Broken> {
        let mut unknown = false;
        let mut cursor = Cursor::new(entry);
        while !cursor.at_end() {
            let tag = cursor.tag()?;
            if tag == value.tag {
                unknown = self.is_unknown(value, cursor)?;
            }
            cursor.skip(tag, self.limits.wire_depth)?;
        }
        Ok(unknown)
    }

    /// Copies one scalar in its shortest form; whether it is the default.
    fn scalar(
        &self,
        field: &FieldPlan,
        cursor: &mut Cursor<'_>,
        out: &mut Vec<u8>,
    ) -> Result<bool, Fault> {
        let bits = match field.kind {
            Kind::String | Kind::Bytes => {
                let bytes = cursor.bytes()?;
                if field.kind == Kind::String
                    && field.utf8
                    && simdutf8::basic::from_utf8(bytes).is_err()
                {
                    return Err(Fault::upstream("a string is not UTF-8"));
                }
                wire::put_varint(bytes.len() as u64, out);
                out.extend_from_slice(bytes);
                return Ok(bytes.is_empty());
            }
            Kind::Int32 | Kind::Enum(_) => Bits::Varint(i64::from(cursor.varint()? as i32) as u64),
            Kind::Uint32 | Kind::Sint32 => Bits::Varint(u64::from(cursor.varint()? as u32)),
            Kind::Bool => Bits::Varint(u64::from(cursor.varint()? != 0)),
            Kind::Int64 | Kind::Uint64 | Kind::Sint64 => Bits::Varint(cursor.varint()?),
            Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => Bits::Fixed64(cursor.fixed64()?),
            Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => Bits::Fixed32(cursor.fixed32()?),
            Kind::Message(_) | Kind::Group(_) => return Err(Broken.into()),
        };
        bits.put(out);
        Ok(bits.is_zero())
    }
}

/// Puts the length of what stands behind `start` before it.
fn put_length_before(start: usize, out: &mut Vec<u8>) {
    let length = out.len() - start;
    let (encoded, width) = wire::varint_bytes(length as u64);
    out.extend_from_slice(&encoded[..width]);
    out.copy_within(start..start + length, start + width);
    out[start..start + width].copy_from_slice(&encoded[..width]);
}

fn has(wire: &[u8], wanted: u32, limits: &Limits) -> Result<bool, Broken> {
    let mut cursor = Cursor::new(wire);
    while !cursor.at_end() {
        let tag = cursor.tag()?;
        if tag == wanted {
            return Ok(true);
        }
        cursor.skip(tag, limits.wire_depth)?;
    }
    Ok(false)
}
