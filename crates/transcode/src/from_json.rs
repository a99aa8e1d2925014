//! JSON text → protobuf bytes, in one pass over the text.
//!
//! Values are written behind each other as they come; a nested message is written behind a slot
//! for its length, whose width is guessed from the last one of the same field and mended where
//! the guess was wrong. Keys are expected in the order of the contract and looked up where they
//! come in another.
//!
//! Recursion follows the text and is bounded by two counters: levels of JSON (the reader's) and
//! levels of messages that come out, which an object inside `Struct` makes three of (security
//! LI-12, LI-13). Every level moves what is inside it at most once, so the work is linear in the
//! text, times the levels.
//!
//! Not here: scalars (`scalars`), well-known types (`well_known`).
//!
//! Source: ProtoJSON (protocols, section 6).

mod scalars;
mod well_known;

use std::borrow::Cow;
use std::collections::HashSet;

use tandem_contract::{Kind, MessageId, WellKnown};

use crate::fault::{Fault, FaultLimit, Stop, echo};
use crate::json::{Reader, duplicate};
use crate::limits::{JsonOptions, Limits};
use crate::plan::{FieldPlan, MessagePlan, Plans, Shape, WIDTH_SLOTS};
use crate::scalar;
use crate::seen::{Keys, MapKey, Seen};
use crate::wire;

use self::scalars::Form;
use self::well_known::Types;
pub(crate) use self::well_known::put_seconds_nanos;

/// Reads one JSON value as `message` and gives its protobuf bytes.
///
/// # Errors
/// The first fault in the order of the text: no JSON, more than the limits allow, an unknown or
/// doubled key, a value that does not fit its field. Always the caller's fault.
pub fn wire_from_json(
    plans: &Plans,
    message: MessageId,
    json: &[u8],
    options: &JsonOptions,
    limits: &Limits,
) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::with_capacity(json.len());
    append_wire_from_json(plans, message, json, options, limits, &mut out)?;
    Ok(out)
}

/// As [`wire_from_json`], behind what stands in `out` already: room for a frame's head, a field
/// that was bound before.
///
/// # Errors
/// As [`wire_from_json`]; what `out` then holds behind its old length means nothing.
pub fn append_wire_from_json(
    plans: &Plans,
    message: MessageId,
    json: &[u8],
    options: &JsonOptions,
    limits: &Limits,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let mut writer = Writer::new(plans, json, options, limits)?;
    writer.reader.skip_space();
    writer.message(plans.message(message), 1, out)?;
    writer.reader.end()?;
    Ok(())
}

/// Reads one JSON value as the value of a field and appends the field.
pub(crate) fn field_from_json(
    plans: &Plans,
    (message, place): (MessageId, usize),
    json: &[u8],
    options: &JsonOptions,
    limits: &Limits,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let mut writer = Writer::new(plans, json, options, limits)?;
    let message = plans.message(message);
    writer.reader.skip_space();
    writer
        .field(&message.fields[place], 1, out)
        .map_err(|stop| stop.within(&json_name(&message.fields[place])))?;
    writer.reader.end()?;
    Ok(())
}

/// The JSON name of a field, for a fault.
fn json_name(field: &FieldPlan) -> String {
    let text = &field.json_key.text;
    String::from_utf8_lossy(&text[1..text.len() - 2]).into_owned()
}

/// A length that is to be written before what it counts.
struct Slot {
    start: usize,
    width: usize,
}

struct Writer<'p, 'a> {
    plans: &'p Plans,
    options: &'p JsonOptions,
    limits: &'p Limits,
    reader: Reader<'a>,
    /// Characters of the last string that held an escape.
    scratch: Vec<u8>,
    /// Bytes of the last length, by field. A wrong guess costs a move, nothing else.
    widths: [u8; WIDTH_SLOTS as usize],
    /// `Any` inside `Any`.
    any_depth: u32,
    types: Types,
}

impl<'p, 'a> Writer<'p, 'a> {
    fn new(
        plans: &'p Plans,
        json: &'a [u8],
        options: &'p JsonOptions,
        limits: &'p Limits,
    ) -> Result<Writer<'p, 'a>, Stop> {
        Ok(Writer {
            plans,
            options,
            limits,
            reader: Reader::new(json, limits)?,
            scratch: Vec::new(),
            widths: [1; WIDTH_SLOTS as usize],
            any_depth: 0,
            types: Types::default(),
        })
    }

    #[inline]
    fn deeper(&self, level: u32, levels: u32) -> Result<u32, Stop> {
        let level = level + levels;
        if level > self.limits.wire_depth {
            let most = self.limits.wire_depth;
            let stop = self.reader.stop(&format!("more than {most} messages inside each other"));
            return Err(Box::new(stop.over(FaultLimit::WireDepth)));
        }
        Ok(level)
    }

    #[inline]
    fn open(&self, width_slot: u8, out: &mut Vec<u8>) -> Slot {
        let width = usize::from(self.widths[usize::from(width_slot % WIDTH_SLOTS)]);
        let start = out.len();
        if width == 1 {
            out.push(0);
        } else {
            out.extend_from_slice(&[0; 5][..width]);
        }
        Slot { start, width }
    }

    /// Writes the length of what came behind the slot.
    #[inline]
    fn close(&mut self, width_slot: u8, slot: &Slot, out: &mut Vec<u8>) {
        let length = out.len() - slot.start - slot.width;
        if length < 0x80 && slot.width == 1 {
            out[slot.start] = length as u8;
            return;
        }
        self.close_wide(width_slot, slot, length, out);
    }

    #[inline(never)]
    fn close_wide(&mut self, width_slot: u8, slot: &Slot, length: usize, out: &mut Vec<u8>) {
        let (encoded, needed) = wire::varint_bytes(length as u64);
        if needed != slot.width {
            let body = slot.start + slot.width;
            if needed > slot.width {
                out.extend_from_slice(&[0; 10][..needed - slot.width]);
            }
            out.copy_within(body..body + length, slot.start + needed);
            out.truncate(slot.start + needed + length);
            self.widths[usize::from(width_slot % WIDTH_SLOTS)] = needed as u8;
        }
        out[slot.start..slot.start + needed].copy_from_slice(&encoded[..needed]);
    }

    fn message(
        &mut self,
        plan: &'p MessagePlan,
        level: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        match plan.well_known {
            WellKnown::No | WellKnown::Empty | WellKnown::HttpBody => {
                self.fields(plan, level, false, out)
            }
            _ => self.well_known(plan, level, out),
        }
    }

    /// The members of an ordinary message. Inside an `Any`, `@type` has been read already and
    /// may stand once.
    fn fields(
        &mut self,
        plan: &'p MessagePlan,
        level: u32,
        in_any: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        if self.reader.peek() != b'{' {
            return Err(self.reader.unexpected("an object").into());
        }
        self.reader.enter()?;
        let mut seen = Seen::default();
        if !self.reader.take(b'}') {
            let mut strangers = Strangers::default();
            // The field that is expected next.
            let mut next = 0;
            loop {
                match self.key(plan, next)? {
                    Key::Known(field) => {
                        next = field.place as usize + 1;
                        self.member(plan, field, &mut seen, level, out)?;
                    }
                    Key::Other(key) => self.stranger(&key, in_any, &mut strangers)?,
                }
                if !self.reader.more(b'}')? {
                    break;
                }
            }
        }
        self.reader.leave();
        Ok(())
    }

    /// Takes a key and its colon.
    #[inline]
    fn key(&mut self, plan: &'p MessagePlan, next: usize) -> Result<Key<'p, 'a>, Stop> {
        // A serializer writes in the order of the contract and leaves some fields out.
        let rest = self.reader.rest();
        let ahead = plan.fields.get(next..).unwrap_or_default();
        for field in ahead.iter().take(LOOK_AHEAD) {
            if field.json_key.begins(rest) {
                self.reader.advance(field.json_key.text.len());
                self.reader.skip_space();
                return Ok(Key::Known(field));
            }
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        let plain = self.reader.quoted_into(&mut scratch)?;
        let name = plain.map_or(&*scratch, str::as_bytes);
        let key = match plan.named(name) {
            Some(field) => Key::Known(field),
            None => Key::Other(match plain {
                Some(plain) => Cow::Borrowed(plain),
                None => Cow::Owned(String::from_utf8_lossy(&scratch).into_owned()),
            }),
        };
        self.scratch = scratch;
        self.reader.colon()?;
        Ok(key)
    }

    #[inline]
    fn member(
        &mut self,
        plan: &'p MessagePlan,
        field: &'p FieldPlan,
        seen: &mut Seen,
        level: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        if !seen.insert(field.place) {
            return Err(duplicate(&self.reader, &json_name(field)).into());
        }
        if self.reader.peek() == b'n' && !(field.takes_null && field.shape == Shape::Singular) {
            // Unset, and so no member of its oneof.
            return self.reader.null();
        }
        if let Some(oneof) = field.oneof
            && !seen.insert(oneof)
        {
            return Err(self.second_member(plan, field));
        }
        self.field(field, level, out).map_err(|stop| at_field(stop, field))
    }

    #[cold]
    #[inline(never)]
    fn second_member(&self, plan: &MessagePlan, field: &FieldPlan) -> Stop {
        let oneof = field.oneof.unwrap_or(0) as usize - plan.fields.len();
        let name = plan.oneofs.get(oneof).map_or("", |name| name);
        self.reader.stop(&format!("a second member of the oneof `{name}`"))
    }

    /// A key that no field has.
    #[cold]
    fn stranger(&mut self, key: &str, in_any: bool, strangers: &mut Strangers) -> Result<(), Stop> {
        let of_any = in_any && key == "@type";
        if of_any || self.options.ignore_unknown {
            if !strangers.0.insert(key.to_owned()) {
                return Err(duplicate(&self.reader, key).into());
            }
            return self.reader.skip();
        }
        Err(self.reader.stop(&format!("unknown field {}", echo(key))))
    }

    /// One field with its value.
    fn field(&mut self, field: &'p FieldPlan, level: u32, out: &mut Vec<u8>) -> Result<(), Stop> {
        match field.shape {
            Shape::Singular => {
                if self.reader.peek() == b'n' && !field.takes_null {
                    return self.reader.null();
                }
                match field.kind {
                    Kind::Message(_) | Kind::Group(_) => self.nested(field, level, out),
                    _ => self.scalar(field, Form::Single, out).map(drop),
                }
            }
            Shape::Repeated => self.repeated(field, level, out),
            Shape::Map { key, value } => self.map(field, (key, value), level, out),
        }
    }

    /// A message with its tag and length, or between its group tags.
    fn nested(&mut self, field: &'p FieldPlan, level: u32, out: &mut Vec<u8>) -> Result<(), Stop> {
        let level = self.deeper(level, 1)?;
        match field.kind {
            Kind::Message(id) => {
                field.put_tag(out);
                let slot = self.open(field.width_slot, out);
                self.message(self.plans.message(id), level, out)?;
                self.close(field.width_slot, &slot, out);
            }
            Kind::Group(id) => {
                field.put_tag(out);
                self.message(self.plans.message(id), level, out)?;
                wire::put_tag(field.number, 4, out);
            }
            _ => {}
        }
        Ok(())
    }

    fn repeated(
        &mut self,
        field: &'p FieldPlan,
        level: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        if self.reader.peek() == b'n' {
            return self.reader.null();
        }
        if self.reader.peek() != b'[' {
            return Err(self.reader.unexpected("a list").into());
        }
        self.reader.enter()?;
        if self.reader.take(b']') {
            self.reader.leave();
            return Ok(());
        }
        let before = out.len();
        let packed = field.packed.then(|| {
            field.put_tag(out);
            self.open(field.width_slot, out)
        });
        let messages = field.kind.message().is_some();
        let mut number = 0;
        loop {
            let element = if self.reader.peek() == b'n' && !field.takes_null {
                Err(self.reader.stop("null is no element of this list"))
            } else if messages {
                self.nested(field, level, out)
            } else {
                let form = if field.packed { Form::Packed } else { Form::Element };
                // An unknown enum name that may be ignored leaves its element out (J-12).
                self.scalar(field, form, out).map(drop)
            };
            element.map_err(|stop| at_element(stop, number))?;
            number += 1;
            if !self.reader.more(b']')? {
                break;
            }
        }
        self.reader.leave();
        if let Some(slot) = packed {
            if out.len() == slot.start + slot.width {
                out.truncate(before);
            } else {
                self.close(field.width_slot, &slot, out);
            }
        }
        Ok(())
    }

    fn map(
        &mut self,
        field: &'p FieldPlan,
        (key, value): (u32, u32),
        level: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        if self.reader.peek() == b'n' {
            return self.reader.null();
        }
        if self.reader.peek() != b'{' {
            return Err(self.reader.unexpected("an object").into());
        }
        let Kind::Message(id) = field.kind else { return Ok(()) };
        let entry = self.plans.message(id);
        let (key, value) = (&entry.fields[key as usize], &entry.fields[value as usize]);
        let level = self.deeper(level, 1)?;
        self.reader.enter()?;
        if self.reader.take(b'}') {
            self.reader.leave();
            return Ok(());
        }
        let mut keys = Keys::default();
        loop {
            self.entry(field, key, value, &mut keys, level, out)?;
            if !self.reader.more(b'}')? {
                break;
            }
        }
        self.reader.leave();
        Ok(())
    }

    fn entry(
        &mut self,
        field: &'p FieldPlan,
        key: &'p FieldPlan,
        value: &'p FieldPlan,
        keys: &mut Keys<'a>,
        level: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        let at = self.reader.position();
        let mut scratch = std::mem::take(&mut self.scratch);
        let plain = self.reader.quoted_into(&mut scratch);
        self.scratch = scratch;
        let text: Cow<'a, str> = match plain? {
            Some(plain) => Cow::Borrowed(plain),
            None => Cow::Owned(String::from_utf8_lossy(&self.scratch).into_owned()),
        };
        let before = out.len();
        field.put_tag(out);
        let slot = self.open(field.width_slot, out);
        let map_key = if key.kind == Kind::String {
            key.put_tag(out);
            wire::put_varint(text.len() as u64, out);
            out.extend_from_slice(text.as_bytes());
            MapKey::Text(match &text {
                Cow::Borrowed(plain) => Cow::Borrowed(plain.as_bytes()),
                Cow::Owned(owned) => Cow::Owned(owned.clone().into_bytes()),
            })
        } else {
            let scalar = scalar::from_text(self.plans, key.kind, &text)
                .map_err(|fault| at_key(fault.at(at).into(), &text))?;
            scalar.put_field(key.number, out);
            MapKey::Number(scalar.wide())
        };
        if !keys.insert(map_key) {
            self.reader.back_to(at);
            return Err(duplicate(&self.reader, &text).into());
        }
        self.reader.colon()?;
        let written = if self.reader.peek() == b'n' && !value.takes_null {
            Err(self.reader.stop("null is no value of this map"))
        } else if value.kind.message().is_some() {
            self.nested(value, level, out).map(|()| true)
        } else {
            self.scalar(value, Form::Element, out)
        };
        if written.map_err(|stop| at_key(stop, &text))? {
            self.close(field.width_slot, &slot, out);
        } else {
            // The entry disappears with its unknown enum name (J-12).
            out.truncate(before);
        }
        Ok(())
    }
}

/// Fields that are tried in order before a key is looked up.
const LOOK_AHEAD: usize = 3;

enum Key<'p, 'a> {
    Known(&'p FieldPlan),
    Other(Cow<'a, str>),
}

/// Keys of an object that are no fields, none of them twice.
#[derive(Default)]
struct Strangers(HashSet<String>);

#[cold]
#[inline(never)]
fn at_field(mut stop: Stop, field: &FieldPlan) -> Stop {
    stop.put_within(&json_name(field));
    stop
}

#[cold]
#[inline(never)]
fn at_element(mut stop: Stop, number: usize) -> Stop {
    stop.put_within(&format!("[{number}]"));
    stop
}

#[cold]
#[inline(never)]
fn at_key(mut stop: Stop, key: &str) -> Stop {
    stop.put_within(&format!("[{}]", echo(key)));
    stop
}
