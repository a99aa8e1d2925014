//! Protobuf bytes → JSON text.
//!
//! The fields of a message are gathered first, then written in the order of the contract: so split
//! messages are merged, the last scalar, oneof member and map entry win, and scattered elements
//! come together (protocols J-14). One counter of levels goes through messages, groups, map
//! entries and the contents of `Any`; what lies deeper is an error, never an abort.
//!
//! Source: ProtoJSON (protocols, section 6).

use std::borrow::Cow;
use std::collections::HashMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tandem_contract::{
    Cardinality, Contract, Field, Kind, Message, MessageId, Presence, WellKnown,
};

use crate::fault::Fault;
use crate::limits::{JsonOptions, Limits};
use crate::plan::Plans;
use crate::wire::{self, Value};
use crate::{json, mask, scalar, times};

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
    let printer = Printer::new(plans.contract(), options, limits, wire.len());
    let mut out = Vec::with_capacity(wire.len() * 2 + 16);
    printer.message(message, wire, Level { wire: 1, any: 0 }, &mut out)?;
    Ok(out)
}

/// Writes one field of a message as JSON: the form of `response_body` (protocols A-2).
pub(crate) fn field_to_json(
    plans: &Plans,
    path: &[(MessageId, usize)],
    wire: &[u8],
    options: &JsonOptions,
    limits: &Limits,
) -> Result<Vec<u8>, Fault> {
    let contract = &**plans.contract();
    let printer = Printer::new(contract, options, limits, wire.len());
    let mut out = Vec::with_capacity(wire.len() * 2 + 16);
    let mut bytes = Cow::Borrowed(wire);
    let (last, parents) = path.split_last().expect("a path has at least one step");
    for (id, index) in parents {
        let gathered = printer.gather(contract.message(*id), &bytes)?;
        let values = gathered.values[*index].clone();
        bytes = Cow::Owned(merged(&values).into_owned());
    }
    let message = contract.message(last.0);
    let gathered = printer.gather(message, &bytes)?;
    let field = &message.fields[last.1];
    let values = &gathered.values[last.1];
    if values.is_empty() {
        let message = field.kind.message();
        match field.cardinality {
            Cardinality::Repeated => out.extend_from_slice(b"[]"),
            Cardinality::Map => out.extend_from_slice(b"{}"),
            Cardinality::Singular if message.is_some() || field.presence != Presence::Implicit => {
                out.extend_from_slice(b"null");
            }
            Cardinality::Singular => {
                let default = scalar::default_of(contract, field.kind);
                printer.scalar(field, default, &mut out)?;
            }
        }
    } else {
        printer.field_value(field, values, Level { wire: 1, any: 0 }, &mut out)?;
    }
    Ok(out)
}

#[derive(Clone, Copy)]
struct Level {
    wire: u32,
    any: u32,
}

struct Printer<'a> {
    contract: &'a Contract,
    options: &'a JsonOptions,
    limits: &'a Limits,
    bytes_max: usize,
}

/// The values of a message by the index of their field; unknown fields are dropped (J-15).
struct Gathered<'a> {
    values: Vec<Vec<Value<'a>>>,
}

impl<'c> Printer<'c> {
    fn new(
        contract: &'c Contract,
        options: &'c JsonOptions,
        limits: &'c Limits,
        wire_bytes: usize,
    ) -> Printer<'c> {
        Printer { contract, options, limits, bytes_max: Limits::json_bytes_max(wire_bytes) }
    }

    fn bounded(&self, out: &[u8]) -> Result<(), Fault> {
        if out.len() <= self.bytes_max {
            return Ok(());
        }
        Err(Fault {
            kind: crate::FaultKind::TooLarge,
            ..Fault::upstream(format!("the answer is more than {} bytes of JSON", self.bytes_max))
        })
    }

    fn deeper(&self, level: Level) -> Result<Level, Fault> {
        if level.wire >= self.limits.wire_depth {
            let most = self.limits.wire_depth;
            return Err(Fault::upstream(format!("more than {most} messages inside each other")));
        }
        Ok(Level { wire: level.wire + 1, ..level })
    }

    fn gather<'w>(&self, message: &Message, bytes: &'w [u8]) -> Result<Gathered<'w>, Fault> {
        let mut values = vec![Vec::new(); message.fields.len()];
        let mut oneofs: Vec<Option<usize>> = vec![None; message.oneofs.len()];
        for field in wire::each(bytes, self.limits.wire_depth) {
            let (number, value) =
                field.map_err(|_broken| Fault::upstream("the bytes are no message"))?;
            let Some((index, field)) = message.field_numbered(number) else { continue };
            let unpacked = match value {
                Value::Bytes(packed)
                    if field.cardinality == Cardinality::Repeated && field.kind.packable() =>
                {
                    wire::packed(field.kind, packed)
                        .ok_or_else(|| Fault::upstream("packed values do not come out even"))?
                }
                value => vec![value],
            };
            for value in unpacked {
                if !fits(field.kind, &value) {
                    // A wrong wire type makes the field unknown.
                    continue;
                }
                if let (Kind::Enum(id), Value::Varint(number)) = (field.kind, value) {
                    let enumeration = self.contract.enumeration(id);
                    if enumeration.closed && enumeration.name(number as i32).is_none() {
                        continue; // outside a closed enum: an unknown field (J-13)
                    }
                }
                if let Some(oneof) = field.oneof
                    && let Some(other) = oneofs[oneof as usize].replace(index)
                    && other != index
                {
                    values[other].clear();
                }
                values[index].push(value);
            }
        }
        Ok(Gathered { values })
    }

    fn message(
        &self,
        id: MessageId,
        bytes: &[u8],
        level: Level,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let message = self.contract.message(id);
        match message.well_known {
            WellKnown::No | WellKnown::Empty | WellKnown::HttpBody => {
                out.push(b'{');
                self.fields(message, bytes, level, true, out)?;
                out.push(b'}');
                Ok(())
            }
            WellKnown::Any => self.any(message, bytes, level, out),
            WellKnown::Timestamp | WellKnown::Duration => {
                let (seconds, nanos) = self.seconds_nanos(message, bytes)?;
                let text = if message.well_known == WellKnown::Timestamp {
                    times::timestamp_text(seconds, nanos)
                } else {
                    times::duration_text(seconds, nanos)
                };
                let text = text.ok_or_else(|| {
                    Fault::upstream(format!("{} is out of range", message.full_name))
                })?;
                json::put_string(&text, out);
                Ok(())
            }
            WellKnown::FieldMask => {
                let mut text = String::new();
                for value in &self.gather(message, bytes)?.values[0] {
                    let path = std::str::from_utf8(payload(value)).ok().and_then(mask::to_camel);
                    let path = path
                        .ok_or_else(|| Fault::upstream("a path of a mask that JSON cannot say"))?;
                    if !text.is_empty() {
                        text.push(',');
                    }
                    text.push_str(&path);
                }
                json::put_string(&text, out);
                Ok(())
            }
            // Field 1 of a Struct is a map, of a ListValue a list.
            WellKnown::Struct | WellKnown::ListValue => {
                let (_, field) = first_field(message)?;
                let gathered = self.gather(message, bytes)?;
                self.field_value(field, &gathered.values[0], level, out)
            }
            WellKnown::Value => self.value(message, bytes, level, out),
            WellKnown::Wrapper => {
                let (index, field) = first_field(message)?;
                let gathered = self.gather(message, bytes)?;
                let value = gathered.values[index].last().copied();
                let value = value.unwrap_or_else(|| scalar::default_of(self.contract, field.kind));
                self.scalar(field, value, out)
            }
        }
    }

    /// The members of an object, without its braces.
    fn fields(
        &self,
        message: &Message,
        bytes: &[u8],
        level: Level,
        mut first: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let gathered = self.gather(message, bytes)?;
        for (field, values) in message.fields.iter().zip(&gathered.values) {
            let repeated = field.cardinality != Cardinality::Singular;
            let emit = self.options.emit_defaults
                && (repeated || (field.presence == Presence::Implicit && field.oneof.is_none()));
            let default = values.is_empty()
                || (field.presence == Presence::Implicit
                    && !repeated
                    && values.last().is_some_and(is_default));
            if default && !emit {
                continue;
            }
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            let name = if self.options.proto_names { &field.name } else { &field.json_name };
            json::put_string(name, out);
            out.push(b':');
            let unset = [scalar::default_of(self.contract, field.kind)];
            let values =
                if values.is_empty() && !repeated { &unset[..] } else { values.as_slice() };
            self.field_value(field, values, level, out)
                .map_err(|fault| fault.within(&field.json_name))?;
            self.bounded(out)?;
        }
        Ok(())
    }

    fn field_value(
        &self,
        field: &Field,
        values: &[Value<'_>],
        level: Level,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        match field.cardinality {
            Cardinality::Singular => match field.kind.message() {
                Some(id) => self.message(id, &merged(values), self.deeper(level)?, out),
                None => {
                    let last = values.last().copied();
                    let value =
                        last.unwrap_or_else(|| scalar::default_of(self.contract, field.kind));
                    self.scalar(field, value, out)
                }
            },
            Cardinality::Repeated => {
                out.push(b'[');
                for (number, value) in values.iter().enumerate() {
                    if number > 0 {
                        out.push(b',');
                    }
                    match field.kind.message() {
                        Some(id) => {
                            self.message(id, payload(value), self.deeper(level)?, out)?;
                        }
                        None => self.scalar(field, *value, out)?,
                    }
                    self.bounded(out)?;
                }
                out.push(b']');
                Ok(())
            }
            Cardinality::Map => self.map(field, values, level, out),
        }
    }

    fn scalar(&self, field: &Field, value: Value<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
        scalar::to_json(self.contract, field.kind, field.utf8, value, self.options, out)
    }

    fn map(
        &self,
        field: &Field,
        values: &[Value<'_>],
        level: Level,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let entry = self.contract.message(field.kind.message().expect("maps have entries"));
        let (Some((key_index, key_field)), Some((value_index, value_field))) =
            (entry.field_numbered(1), entry.field_numbered(2))
        else {
            return Err(Fault::upstream("a map without key or value"));
        };
        let level = self.deeper(level)?;
        // Key text in the order of its first coming, with the last entry's values.
        let mut places: HashMap<Vec<u8>, usize> = HashMap::new();
        let mut entries: Vec<(Vec<u8>, Vec<Value<'_>>)> = Vec::new();
        for value in values {
            let mut gathered = self.gather(entry, payload(value))?;
            let key = gathered.values[key_index].last().copied();
            let key = key.unwrap_or_else(|| scalar::default_of(self.contract, key_field.kind));
            let mut text = Vec::new();
            self.scalar(key_field, key, &mut text)?;
            if text.first() != Some(&b'"') {
                text.insert(0, b'"');
                text.push(b'"');
            }
            let contents = std::mem::take(&mut gathered.values[value_index]);
            match places.get(&text) {
                Some(place) => entries[*place].1 = contents,
                None => {
                    places.insert(text.clone(), entries.len());
                    entries.push((text, contents));
                }
            }
        }
        out.push(b'{');
        for (number, (key, contents)) in entries.iter().enumerate() {
            if number > 0 {
                out.push(b',');
            }
            out.extend_from_slice(key);
            out.push(b':');
            self.field_value(value_field, contents, level, out)?;
            self.bounded(out)?;
        }
        out.push(b'}');
        Ok(())
    }

    fn seconds_nanos(&self, message: &Message, bytes: &[u8]) -> Result<(i64, i32), Fault> {
        let gathered = self.gather(message, bytes)?;
        let number = |number: u32| {
            let index = message.field_numbered(number).map(|(index, _)| index);
            match index.and_then(|index| gathered.values[index].last()) {
                Some(Value::Varint(value)) => *value,
                _ => 0,
            }
        };
        Ok((number(1) as i64, number(2) as i32))
    }

    /// `Any` of a type that the contract knows, no deeper than `any_depth`; else its bytes.
    fn any(
        &self,
        message: &Message,
        bytes: &[u8],
        level: Level,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let gathered = self.gather(message, bytes)?;
        let part = |number: u32| {
            let index = message.field_numbered(number).map(|(index, _)| index);
            index.and_then(|index| gathered.values[index].last()).map_or(&b""[..], payload)
        };
        let (url, contents) = (part(1), part(2));
        let url = std::str::from_utf8(url)
            .map_err(|_error| Fault::upstream("the type of an Any is not UTF-8"))?;
        if url.is_empty() && contents.is_empty() {
            out.extend_from_slice(b"{}");
            return Ok(());
        }
        out.extend_from_slice(b"{\"@type\":");
        json::put_string(url, out);
        let level = Level { any: level.any + 1, ..self.deeper(level)? };
        let known = url
            .rsplit_once('/')
            .and_then(|(_, name)| self.contract.message_named(name))
            .filter(|_| level.any <= self.limits.any_depth);
        match known {
            Some(id) => {
                let inner = self.contract.message(id);
                if matches!(inner.well_known, WellKnown::No | WellKnown::HttpBody) {
                    // The comma belongs to the first member, if there is one.
                    self.fields(inner, contents, level, false, out)?;
                } else {
                    out.extend_from_slice(b",\"value\":");
                    self.message(id, contents, level, out)?;
                }
            }
            None => {
                out.extend_from_slice(b",\"value\":\"");
                out.extend_from_slice(BASE64_STANDARD.encode(contents).as_bytes());
                out.push(b'"');
            }
        }
        out.push(b'}');
        self.bounded(out)
    }

    fn value(
        &self,
        message: &Message,
        bytes: &[u8],
        level: Level,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let gathered = self.gather(message, bytes)?;
        let set =
            message.fields.iter().zip(&gathered.values).find(|(_, values)| !values.is_empty());
        match set {
            None => Err(Fault::upstream("a Value that holds nothing")),
            Some((field, values)) => {
                if let (Kind::Double, Some(Value::Fixed64(bits))) = (field.kind, values.last())
                    && !f64::from_bits(*bits).is_finite()
                {
                    return Err(Fault::upstream("a Value that holds no finite number"));
                }
                self.field_value(field, values, level, out)
            }
        }
    }
}

fn first_field(message: &Message) -> Result<(usize, &Field), Fault> {
    message
        .field_numbered(1)
        .ok_or_else(|| Fault::upstream(format!("{} has no field 1", message.full_name)))
}

/// Whether a value of this wire type can be one of `kind`.
fn fits(kind: Kind, value: &Value<'_>) -> bool {
    match value {
        Value::Varint(_) => wire::wire_type(kind) == 0,
        Value::Fixed64(_) => wire::wire_type(kind) == 1,
        Value::Fixed32(_) => wire::wire_type(kind) == 5,
        Value::Bytes(_) => wire::wire_type(kind) == 2,
        Value::Group(_) => wire::wire_type(kind) == 3,
    }
}

fn is_default(value: &Value<'_>) -> bool {
    match value {
        Value::Varint(value) | Value::Fixed64(value) => *value == 0,
        Value::Fixed32(value) => *value == 0,
        Value::Bytes(bytes) | Value::Group(bytes) => bytes.is_empty(),
    }
}

fn payload<'a>(value: &Value<'a>) -> &'a [u8] {
    match value {
        Value::Bytes(bytes) | Value::Group(bytes) => bytes,
        Value::Varint(_) | Value::Fixed64(_) | Value::Fixed32(_) => b"",
    }
}

/// Messages written one behind the other are the message merged (Encoding, "Last One Wins").
fn merged<'a>(values: &[Value<'a>]) -> Cow<'a, [u8]> {
    match values {
        [] => Cow::Borrowed(b""),
        [one] => Cow::Borrowed(payload(one)),
        many => Cow::Owned(many.iter().flat_map(|value| payload(value).iter().copied()).collect()),
    }
}
