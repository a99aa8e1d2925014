//! Protobuf bytes → JSON text, in one pass over the bytes.
//!
//! Fields are written as they come, which is right while each of them is one contiguous group:
//! what every serializer writes. Where a field comes back after others (a split message, a
//! scalar overwritten, scattered elements, a second member of a oneof, a map key given twice)
//! the pass is given up and made again with care: each message is then brought into groups
//! before it is written (`regroup`), so that messages merge and the last value wins (protocols
//! J-14). So it is where something is at fault: it may be a part that a later one completes. A
//! text is begun at most twice, whatever the bytes are.
//!
//! One counter of levels goes through messages, groups, map entries and the contents of `Any`;
//! what lies deeper is an error, never an abort. The length of the text is bounded as it grows.
//!
//! Not here: scalars (`scalars`), maps (`maps`), well-known types (`well_known`).
//!
//! Source: ProtoJSON (protocols, section 6).

mod maps;
mod scalars;
mod well_known;

use std::borrow::Cow;

use tandem_contract::{Kind, MessageId, WellKnown};

use crate::fault::{Fault, FaultKind, FaultLimit, Stop};
use crate::limits::{JsonOptions, Limits};
use crate::plan::{FieldPlan, MessagePlan, Plans, Shape};
use crate::regroup::{is_grouped, known, regrouped};
use crate::seen::Seen;
use crate::wire::{self, Broken, Cursor};

/// Writes the protobuf bytes of a `message` as JSON text.
///
/// # Errors
/// The upstream's fault: bytes that are no such message, text that is no UTF-8, a time out of
/// range, more levels than the limits allow. `TooLarge` when the text would grow past 16 times
/// the bytes (1 MiB at least, 64 MiB at most).
pub fn json_from_wire(
    plans: &Plans,
    message: MessageId,
    wire: &[u8],
    options: &JsonOptions,
    limits: &Limits,
) -> Result<Vec<u8>, Fault> {
    // What most messages become; a larger one grows once.
    let mut out = Vec::with_capacity(wire.len() * 2 + 64);
    append_json_from_wire(plans, message, wire, options, limits, &mut out)?;
    Ok(out)
}

/// As [`json_from_wire`], behind what stands in `out` already.
///
/// # Errors
/// As [`json_from_wire`]; what `out` then holds behind its old length means nothing.
pub fn append_json_from_wire(
    plans: &Plans,
    message: MessageId,
    wire: &[u8],
    options: &JsonOptions,
    limits: &Limits,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let plan = plans.message(message);
    written(plans, wire.len(), options, limits, out, |printer, out| {
        printer.message(plan, wire, Level { wire: 1, any: 0 }, out)
    })
}

/// Writes one field of a message as JSON: the form of `response_body` (protocols A-2).
pub(crate) fn field_to_json(
    plans: &Plans,
    path: &[(MessageId, usize)],
    wire: &[u8],
    options: &JsonOptions,
    limits: &Limits,
) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::with_capacity(wire.len() * 2 + 64);
    let (last, parents) = path.split_last().expect("a path has at least one step");
    let mut bytes = Cow::Borrowed(wire);
    for (id, place) in parents {
        let field = &plans.message(*id).fields[*place];
        bytes = Cow::Owned(merged(field, &bytes, limits)?);
    }
    let plan = plans.message(last.0);
    let field = &plan.fields[last.1];
    written(plans, wire.len(), options, limits, &mut out, |printer, out| {
        printer.only(plan, field, &bytes, out)
    })?;
    Ok(out)
}

/// Runs `write`, a second time with care where the first found no order.
fn written<'p>(
    plans: &'p Plans,
    wire_bytes: usize,
    options: &'p JsonOptions,
    limits: &'p Limits,
    out: &mut Vec<u8>,
    write: impl Fn(&mut Printer<'p>, &mut Vec<u8>) -> Result<(), Halt>,
) -> Result<(), Fault> {
    let base = out.len();
    let length_max = base.saturating_add(Limits::json_bytes_max(wire_bytes));
    let copies_left = COPIES_MOST.saturating_mul(wire_bytes).saturating_add(COPIES_FREE_BYTES);
    let mut printer = Printer { plans, options, limits, length_max, copies_left, careful: false };
    loop {
        match write(&mut printer, out) {
            Ok(()) => return Ok(()),
            Err(Halt::Fault(stop)) if printer.careful || stop.kind == FaultKind::TooLarge => {
                return Err(*stop);
            }
            Err(Halt::Disorder) if printer.careful => {
                return Err(Fault::upstream("the bytes are no message"));
            }
            // A value that is at fault may be one that a later one replaces or completes.
            Err(Halt::Disorder | Halt::Fault(_)) => {
                printer.careful = true;
                out.truncate(base);
            }
        }
    }
}

/// The contents of all occurrences of a message field, one behind the other: the field merged
/// (Encoding, "Last One Wins").
fn merged(field: &FieldPlan, wire: &[u8], limits: &Limits) -> Result<Vec<u8>, Fault> {
    let mut contents = Vec::new();
    for found in wire::each(wire, limits.wire_depth) {
        let (number, value) = found.map_err(|broken| *broken_bytes(broken))?;
        if number == field.number
            && let wire::Value::Bytes(bytes) | wire::Value::Group(bytes) = value
        {
            contents.extend_from_slice(bytes);
        }
    }
    Ok(contents)
}

#[derive(Clone, Copy)]
struct Level {
    wire: u32,
    any: u32,
}

/// Why a pass ended early.
enum Halt {
    /// A field came back after others, or a key came twice.
    Disorder,
    Fault(Stop),
}

impl From<Stop> for Halt {
    fn from(stop: Stop) -> Halt {
        Halt::Fault(stop)
    }
}

impl From<Fault> for Halt {
    #[cold]
    fn from(fault: Fault) -> Halt {
        Halt::Fault(fault.into())
    }
}

impl From<Broken> for Halt {
    fn from(broken: Broken) -> Halt {
        Halt::Fault(broken_bytes(broken))
    }
}

#[cold]
#[inline(never)]
fn broken_bytes(_broken: Broken) -> Stop {
    Box::new(Fault::upstream("the bytes are no message"))
}

impl Halt {
    #[cold]
    #[inline(never)]
    fn within(self, field: &FieldPlan) -> Halt {
        match self {
            Halt::Disorder => Halt::Disorder,
            Halt::Fault(stop) => {
                let text = &field.json_key.text;
                Halt::Fault(stop.within(&String::from_utf8_lossy(&text[1..text.len() - 2])).into())
            }
        }
    }
}

struct Printer<'p> {
    plans: &'p Plans,
    options: &'p JsonOptions,
    limits: &'p Limits,
    /// Of the output, with what stood in it before.
    length_max: usize,
    /// Bytes that may still be copied to bring messages into groups.
    copies_left: usize,
    /// Messages are grouped before they are written.
    careful: bool,
}

/// What is copied to bring messages into groups, in multiples of the whole: a message that is out
/// of order in each of a hundred levels would else stand a hundred times in memory (security R-6).
const COPIES_MOST: usize = 8;
/// What may be copied of any message, however short.
const COPIES_FREE_BYTES: usize = 1 << 20;

impl<'p> Printer<'p> {
    #[inline]
    fn bounded(&self, out: &[u8]) -> Result<(), Halt> {
        if out.len() <= self.length_max { Ok(()) } else { Err(too_large()) }
    }

    #[inline]
    fn deeper(&self, level: Level) -> Result<Level, Halt> {
        if level.wire >= self.limits.wire_depth {
            return Err(self.too_deep());
        }
        Ok(Level { wire: level.wire + 1, ..level })
    }

    #[cold]
    #[inline(never)]
    fn too_deep(&self) -> Halt {
        let most = self.limits.wire_depth;
        let fault = Fault::upstream(format!("more than {most} messages inside each other"));
        fault.over(FaultLimit::WireDepth).into()
    }

    fn message(
        &mut self,
        plan: &'p MessagePlan,
        wire: &[u8],
        level: Level,
        out: &mut Vec<u8>,
    ) -> Result<(), Halt> {
        let wire = self.in_order(plan, wire)?;
        match plan.well_known {
            WellKnown::No | WellKnown::Empty | WellKnown::HttpBody => {
                out.push(b'{');
                self.members(plan, &mut Cursor::new(&wire), None, level, out)
            }
            _ => self.well_known(plan, &wire, level, out),
        }
    }

    /// The bytes of a message, grouped where that is asked for and they are not.
    #[inline]
    fn in_order<'w>(&mut self, plan: &MessagePlan, wire: &'w [u8]) -> Result<Cow<'w, [u8]>, Halt> {
        if !self.careful || is_grouped(self.plans, plan, wire, self.limits)? {
            return Ok(Cow::Borrowed(wire));
        }
        let Some(left) = self.copies_left.checked_sub(wire.len()) else {
            return Err(Fault::upstream("too many of its messages are out of order").into());
        };
        self.copies_left = left;
        Ok(Cow::Owned(regrouped(self.plans, plan, wire, self.limits)?))
    }

    /// The members of an object, a comma behind each, and its end in place of the last comma. A
    /// group goes to its end tag, so that it need not be measured first; anything else to the end
    /// of the bytes.
    fn members(
        &mut self,
        plan: &'p MessagePlan,
        cursor: &mut Cursor<'_>,
        end: Option<u32>,
        level: Level,
        out: &mut Vec<u8>,
    ) -> Result<(), Halt> {
        let mut seen = Seen::default();
        while !cursor.at_end() || end.is_some() {
            let tag = cursor.tag()?;
            if Some(tag) == end {
                break;
            }
            // Unknown fields do not count: not even against those that come once (J-15).
            let Some(field) = known(self.plans, plan, tag, *cursor) else {
                cursor.skip(tag, self.limits.wire_depth)?;
                continue;
            };
            if !seen.insert(field.place) {
                return Err(Halt::Disorder);
            }
            if let Some(oneof) = field.oneof
                && !seen.insert(oneof)
            {
                return Err(Halt::Disorder);
            }
            let before = out.len();
            self.put_key(field, out);
            let is_written = match field.shape {
                Shape::Singular => self.singular(field, cursor, level, out),
                Shape::Repeated => self.repeated(field, tag, cursor, level, out),
                Shape::Map { key, value } => self.map(field, (key, value), cursor, level, out),
            };
            match is_written {
                Ok(Written::Value) => out.push(b','),
                Ok(Written::Default) if self.options.emit_defaults => out.push(b','),
                Ok(Written::Default) => out.truncate(before),
                Ok(Written::Unknown) => {
                    // Nothing but values outside a closed enum: it is not there (J-13).
                    out.truncate(before);
                    seen.remove(field.place);
                    if let Some(oneof) = field.oneof {
                        seen.remove(oneof);
                    }
                }
                Err(halt) => return Err(halt.within(field)),
            }
            self.bounded(out)?;
        }
        if self.options.emit_defaults {
            self.defaults(plan, &seen, out)?;
        }
        match out.last_mut() {
            Some(last) if *last == b',' => *last = b'}',
            _ => out.push(b'}'),
        }
        Ok(())
    }

    #[inline]
    fn put_key(&self, field: &FieldPlan, out: &mut Vec<u8>) {
        if self.options.proto_names {
            out.extend_from_slice(&field.name_key);
        } else {
            field.json_key.put(out);
        }
    }

    /// The members that are not there and are wanted all the same (J-17).
    #[cold]
    fn defaults(
        &mut self,
        plan: &'p MessagePlan,
        seen: &Seen,
        out: &mut Vec<u8>,
    ) -> Result<(), Halt> {
        for field in &plan.fields {
            if seen.contains(field.place) || field.oneof.is_some() {
                continue;
            }
            let before = out.len();
            self.put_key(field, out);
            match field.shape {
                Shape::Repeated => out.extend_from_slice(b"[]"),
                Shape::Map { .. } => out.extend_from_slice(b"{}"),
                Shape::Singular if field.implicit => self.default(field, out),
                Shape::Singular => {
                    out.truncate(before);
                    continue;
                }
            }
            out.push(b',');
            self.bounded(out)?;
        }
        Ok(())
    }

    /// One field alone, or what stands for its absence (protocols A-2).
    fn only(
        &mut self,
        plan: &'p MessagePlan,
        field: &'p FieldPlan,
        wire: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Halt> {
        let wire = self.in_order(plan, wire)?;
        let level = Level { wire: 1, any: 0 };
        let before = out.len();
        let mut other = false;
        let mut found = Written::Unknown;
        let mut cursor = Cursor::new(&wire);
        while !cursor.at_end() {
            let tag = cursor.tag()?;
            let known = known(self.plans, plan, tag, cursor);
            if known.is_none_or(|known| known.place != field.place) {
                // Another member of its oneof decides with the field about who is set.
                other |=
                    field.oneof.is_some() && known.is_some_and(|known| known.oneof == field.oneof);
                cursor.skip(tag, self.limits.wire_depth)?;
                continue;
            }
            if found != Written::Unknown {
                return Err(Halt::Disorder);
            }
            found = match field.shape {
                Shape::Singular => self.singular(field, &mut cursor, level, out),
                Shape::Repeated => self.repeated(field, tag, &mut cursor, level, out),
                Shape::Map { key, value } => self.map(field, (key, value), &mut cursor, level, out),
            }
            .map_err(|halt| halt.within(field))?;
            self.bounded(out)?;
        }
        if other && found != Written::Unknown {
            return Err(Halt::Disorder);
        }
        if found == Written::Unknown {
            out.truncate(before);
            match field.shape {
                Shape::Repeated => out.extend_from_slice(b"[]"),
                Shape::Map { .. } => out.extend_from_slice(b"{}"),
                Shape::Singular if field.implicit => self.default(field, out),
                Shape::Singular => out.extend_from_slice(b"null"),
            }
        }
        Ok(())
    }

    #[inline]
    fn singular(
        &mut self,
        field: &'p FieldPlan,
        cursor: &mut Cursor<'_>,
        level: Level,
        out: &mut Vec<u8>,
    ) -> Result<Written, Halt> {
        match field.kind {
            Kind::Message(_) | Kind::Group(_) => {
                self.nested(field, cursor, level, out).map(|()| Written::Value)
            }
            _ => self.scalar(field, cursor, out).map(|written| match written {
                Written::Default if !field.implicit => Written::Value,
                written => written,
            }),
        }
    }

    fn nested(
        &mut self,
        field: &'p FieldPlan,
        cursor: &mut Cursor<'_>,
        level: Level,
        out: &mut Vec<u8>,
    ) -> Result<(), Halt> {
        let level = self.deeper(level)?;
        match field.kind {
            Kind::Message(id) => self.message(self.plans.message(id), cursor.bytes()?, level, out),
            Kind::Group(id) => {
                let plan = self.plans.message(id);
                let ordinary = matches!(
                    plan.well_known,
                    WellKnown::No | WellKnown::Empty | WellKnown::HttpBody
                );
                if ordinary && !self.careful {
                    out.push(b'{');
                    return self.members(plan, cursor, Some(field.number << 3 | 4), level, out);
                }
                let contents = cursor.group(field.number, self.limits.wire_depth)?;
                self.message(plan, contents, level, out)
            }
            _ => Ok(()),
        }
    }

    /// A run of elements, all in one encoding.
    fn repeated(
        &mut self,
        field: &'p FieldPlan,
        tag: u32,
        cursor: &mut Cursor<'_>,
        level: Level,
        out: &mut Vec<u8>,
    ) -> Result<Written, Halt> {
        out.push(b'[');
        if tag & 7 == 2 && field.kind.packable() {
            let mut run = Cursor::new(cursor.bytes()?);
            loop {
                while !run.at_end() {
                    self.element(field, &mut run, out)?;
                }
                if !next_is(tag, cursor) {
                    break;
                }
                run = Cursor::new(cursor.bytes()?);
            }
        } else if field.kind.message().is_some() {
            loop {
                self.nested(field, cursor, level, out)?;
                out.push(b',');
                self.bounded(out)?;
                if !next_is(tag, cursor) {
                    break;
                }
            }
        } else {
            loop {
                self.element(field, cursor, out)?;
                if !next_is(tag, cursor) {
                    break;
                }
            }
        }
        match out.last_mut() {
            Some(last) if *last == b',' => {
                *last = b']';
                Ok(Written::Value)
            }
            _ => {
                out.push(b']');
                Ok(if self.options.emit_defaults { Written::Default } else { Written::Unknown })
            }
        }
    }

    #[inline]
    fn element(
        &mut self,
        field: &'p FieldPlan,
        cursor: &mut Cursor<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Halt> {
        if self.scalar(field, cursor, out)? != Written::Unknown {
            out.push(b',');
        }
        self.bounded(out)
    }
}

/// What became of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    Value,
    /// Its default, which stands in the text all the same.
    Default,
    /// It is not there.
    Unknown,
}

/// Takes the tag of the next element, when it is one.
#[inline]
fn next_is(tag: u32, cursor: &mut Cursor<'_>) -> bool {
    let mut ahead = *cursor;
    if !ahead.at_end() && ahead.tag() == Ok(tag) {
        *cursor = ahead;
        return true;
    }
    false
}

#[cold]
#[inline(never)]
fn too_large() -> Halt {
    let fault = Fault::upstream("the answer is too many bytes of JSON");
    Fault { kind: FaultKind::TooLarge, ..fault }.over(FaultLimit::JsonOut).into()
}
