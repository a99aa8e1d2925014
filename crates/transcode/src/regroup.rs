//! Messages whose fields come back after others, brought into one group a field.
//!
//! Parsers must take such bytes (Encoding, "Last One Wins", "Field Order"): of a scalar and of a
//! oneof the last occurrence counts, messages merge, elements come together in their order, of a
//! map's entries with one key the last counts. A writer that goes over the bytes once needs them
//! grouped; this is the way there for the few messages that are not. Unknown fields are left
//! out. One level at a time: what is inside a field is not looked at, but for the keys of maps.
//!
//! Not here: writing (`to_json`, `to_wire`).

use std::borrow::Cow;
use std::collections::HashMap;

use tandem_contract::Kind;

use crate::limits::Limits;
use crate::plan::{FieldPlan, MessagePlan, Plans, Shape};
use crate::scalar::integer;
use crate::seen::{Keys, MapKey, Seen};
use crate::wire::{self, Broken, Cursor};

/// Whether a tag's wire type can be that of the field: its own; for elements also the other of
/// packed and unpacked.
#[inline]
pub(crate) fn fits(field: &FieldPlan, tag: u32) -> bool {
    if tag == field.tag {
        return true;
    }
    let wire_type = (tag & 7) as u8;
    field.shape == Shape::Repeated
        && (wire_type == field.kind.wire_type() || (wire_type == 2 && field.kind.packable()))
}

/// Whether every field of a message is one group of equal tags, every oneof has one member and
/// every map each key once.
pub(crate) fn is_grouped(
    plans: &Plans,
    plan: &MessagePlan,
    wire: &[u8],
    limits: &Limits,
) -> Result<bool, Broken> {
    let mut seen = Seen::default();
    let mut keys = Keys::default();
    let mut tag_before = 0;
    let mut cursor = Cursor::new(wire);
    while !cursor.at_end() {
        let tag = cursor.tag()?;
        let before = std::mem::replace(&mut tag_before, tag);
        let Some(field) = known(plans, plan, tag, cursor) else {
            cursor.skip(tag, limits.wire_depth)?;
            tag_before = 0;
            continue;
        };
        let goes_on = before == tag && field.shape != Shape::Singular;
        if !goes_on {
            if !seen.insert(field.place) || field.oneof.is_some_and(|oneof| !seen.insert(oneof)) {
                return Ok(false);
            }
            keys = Keys::default();
        }
        match field.shape {
            Shape::Map { key, .. } => {
                let entry = cursor.bytes()?;
                if !keys.insert(key_of(plans, field, key, entry, limits)?) {
                    return Ok(false);
                }
            }
            Shape::Singular | Shape::Repeated => cursor.skip(tag, limits.wire_depth)?,
        }
    }
    Ok(true)
}

/// The field of a tag; `None` for one that is unknown here by its number, its wire type or, in a
/// closed enum, its value, which stands next.
#[inline]
pub(crate) fn known<'p>(
    plans: &Plans,
    plan: &'p MessagePlan,
    tag: u32,
    mut value: Cursor<'_>,
) -> Option<&'p FieldPlan> {
    let field = plan.numbered(tag >> 3).filter(|field| fits(field, tag))?;
    match field.kind {
        Kind::Message(id) if let Shape::Map { value: place, .. } = field.shape => {
            let of_value = &plans.message(id).fields[place as usize];
            let Kind::Enum(id) = of_value.kind else { return Some(field) };
            let last = value.bytes().ok().and_then(|entry| last_number(of_value, entry));
            last.is_none_or(|number| plans.enumeration(id).has(number)).then_some(field)
        }
        // Of a map's entry the last value counts, and with one that is unknown the entry goes.
        Kind::Enum(id) if field.shape == Shape::Singular && !plan.map_entry => {
            let number = value.varint().ok()? as i32;
            plans.enumeration(id).has(number).then_some(field)
        }
        _ => Some(field),
    }
}

/// The last number of a map's entry; `None` where there is none, or the entry is no message,
/// which whoever reads it will say.
fn last_number(value: &FieldPlan, entry: &[u8]) -> Option<i32> {
    let mut number = None;
    let mut cursor = Cursor::new(entry);
    while !cursor.at_end() {
        let tag = cursor.tag().ok()?;
        if tag == value.tag {
            number = Some(cursor.varint().ok()? as i32);
        } else {
            // Nothing recurses here, whatever the depth.
            cursor.skip(tag, u32::MAX).ok()?;
        }
    }
    number
}

/// One occurrence of a field. Sixteen bytes, for a field can be as short as two.
#[derive(Clone, Copy)]
pub(crate) struct Occurrence {
    pub(crate) place: u32,
    pub(crate) tag: u32,
    /// Of its value, behind the tag.
    pub(crate) from: u32,
    to: u32,
}

impl Occurrence {
    pub(crate) fn value<'w>(&self, wire: &'w [u8]) -> &'w [u8] {
        wire.get(self.from as usize..self.to as usize).unwrap_or_default()
    }
}

/// The message with its fields in the order of the contract, each in one group.
///
/// # Errors
/// When the bytes are no message.
pub(crate) fn regrouped(
    plans: &Plans,
    plan: &MessagePlan,
    wire: &[u8],
    limits: &Limits,
) -> Result<Vec<u8>, Broken> {
    let mut occurrences = occurrences(plans, plan, wire, limits, None)?;
    occurrences.sort_unstable_by_key(|found| (found.place, found.from));
    let mut out = Vec::with_capacity(wire.len() + 16);
    for group in occurrences.chunk_by(|one, other| one.place == other.place) {
        let field = &plan.fields[group[0].place as usize];
        let value = |found: &Occurrence| found.value(wire);
        match (field.shape, field.kind) {
            (Shape::Singular, Kind::Message(_) | Kind::Group(_)) => {
                put_merged(field, group.iter().map(value), limits, &mut out)?;
            }
            (Shape::Singular, _) => {
                if let Some(last) = group.last() {
                    put_as_it_was(last, value(last), &mut out);
                }
            }
            (Shape::Repeated, _) => {
                let mixed = group.iter().any(|found| found.tag != group[0].tag);
                if mixed && field.kind.packable() {
                    put_packed(field, group, wire, &mut out)?;
                } else {
                    group.iter().for_each(|found| put_as_it_was(found, value(found), &mut out));
                }
            }
            (Shape::Map { key, .. }, _) => {
                // In the place of the first entry with its key stands the last one.
                let mut places: HashMap<MapKey<'_>, usize> = HashMap::new();
                let mut entries: Vec<&Occurrence> = Vec::new();
                for found in group {
                    let entry = Cursor::new(value(found)).bytes()?;
                    let key = key_of(plans, field, key, entry, limits)?;
                    let place = *places.entry(key).or_insert(entries.len());
                    match entries.get_mut(place) {
                        Some(entry) => *entry = found,
                        None => entries.push(found),
                    }
                }
                entries.iter().for_each(|found| put_as_it_was(found, value(found), &mut out));
            }
        }
    }
    Ok(out)
}

/// All that counts, in the order of the wire: a oneof's members from the last change of member.
/// What is not known is appended to `unknown`.
pub(crate) fn occurrences(
    plans: &Plans,
    plan: &MessagePlan,
    wire: &[u8],
    limits: &Limits,
    mut unknown: Option<&mut Vec<u8>>,
) -> Result<Vec<Occurrence>, Broken> {
    u32::try_from(wire.len()).map_err(|_error| Broken)?;
    let mut occurrences: Vec<Occurrence> = Vec::new();
    // By oneof: the member, and from where on it counts.
    let mut members: HashMap<u32, (u32, usize)> = HashMap::new();
    let mut cursor = Cursor::new(wire);
    while !cursor.at_end() {
        let tag = cursor.tag()?;
        let field = known(plans, plan, tag, cursor);
        let from = cursor.position();
        cursor.skip(tag, limits.wire_depth)?;
        let Some(field) = field else {
            if let Some(unknown) = &mut unknown {
                wire::put_varint(tag.into(), unknown);
                unknown.extend_from_slice(&wire[from..cursor.position()]);
            }
            continue;
        };
        if let Some(oneof) = field.oneof {
            let member = members.entry(oneof).or_insert((field.place, occurrences.len()));
            if member.0 != field.place {
                *member = (field.place, occurrences.len());
            }
        }
        occurrences.push(Occurrence {
            place: field.place,
            tag,
            from: from as u32,
            to: cursor.position() as u32,
        });
    }
    if !members.is_empty() {
        let mut number = 0;
        occurrences.retain(|found| {
            let counts = plan.fields[found.place as usize].oneof.is_none_or(|oneof| {
                members
                    .get(&oneof)
                    .is_none_or(|(place, from)| *place == found.place && number >= *from)
            });
            number += 1;
            counts
        });
    }
    Ok(occurrences)
}

fn put_as_it_was(found: &Occurrence, value: &[u8], out: &mut Vec<u8>) {
    wire::put_varint(found.tag.into(), out);
    out.extend_from_slice(value);
}

fn put_merged<'w>(
    field: &FieldPlan,
    values: impl Iterator<Item = &'w [u8]>,
    limits: &Limits,
    out: &mut Vec<u8>,
) -> Result<(), Broken> {
    let mut contents = Vec::new();
    for value in values {
        let mut cursor = Cursor::new(value);
        contents.extend_from_slice(match field.kind {
            Kind::Group(_) => cursor.group(field.number, limits.wire_depth)?,
            _ => cursor.bytes()?,
        });
    }
    wire::put_message(field.number, field.kind, &contents, out);
    Ok(())
}

fn put_packed(
    field: &FieldPlan,
    group: &[Occurrence],
    wire: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Broken> {
    let mut run = Vec::new();
    for found in group {
        let value = found.value(wire);
        run.extend_from_slice(match found.tag & 7 {
            2 => Cursor::new(value).bytes()?,
            _ => value,
        });
    }
    wire::put_bytes(field.number, &run, out);
    Ok(())
}

/// The key of a map's entry: the last one written, or the default.
pub(crate) fn key_of<'w>(
    plans: &Plans,
    field: &FieldPlan,
    key: u32,
    entry: &'w [u8],
    limits: &Limits,
) -> Result<MapKey<'w>, Broken> {
    let default = |kind| match kind {
        Kind::String => MapKey::Text(Cow::Borrowed(&b""[..])),
        _ => MapKey::Number(0),
    };
    let Kind::Message(id) = field.kind else { return Err(Broken) };
    let key = &plans.message(id).fields[key as usize];
    let mut found = default(key.kind);
    let mut cursor = Cursor::new(entry);
    while !cursor.at_end() {
        let tag = cursor.tag()?;
        if tag != key.tag {
            cursor.skip(tag, limits.wire_depth)?;
            continue;
        }
        found = match key.kind {
            Kind::String | Kind::Bytes => MapKey::Text(Cow::Borrowed(cursor.bytes()?)),
            Kind::Bool => MapKey::Number(u64::from(cursor.varint()? != 0)),
            Kind::Uint64 => MapKey::Number(cursor.varint()?),
            Kind::Fixed64 | Kind::Double => MapKey::Number(cursor.fixed64()?),
            Kind::Float => MapKey::Number(cursor.fixed32()?.into()),
            kind => MapKey::Number(integer(kind, &mut cursor)? as u64),
        };
    }
    Ok(found)
}
