//! JSON text → protobuf bytes.
//!
//! Recursion follows the text and is bounded by two counters: levels of JSON (the reader's) and
//! levels of messages that come out, which an object inside `Struct` makes three of (security
//! LI-12, LI-13).
//!
//! Source: ProtoJSON (protocols, section 6).

use std::borrow::Cow;
use std::collections::HashSet;

use tandem_contract::{
    Cardinality, Contract, Field, Kind, Message, MessageId, Presence, WellKnown,
};

use crate::fault::{Fault, echo};
use crate::json::{Next, Reader, duplicate};
use crate::limits::{JsonOptions, Limits};
use crate::plan::Plans;
use crate::scalar::{self, Scalar};
use crate::{mask, times, wire};

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
    let mut reader = Reader::new(json, limits)?;
    let writer = Writer::new(plans.contract(), options, limits);
    let mut out = Vec::with_capacity(json.len());
    writer.message(message, &mut reader, 1, &mut out)?;
    reader.end()?;
    Ok(out)
}

/// Reads one JSON value as the value of `field` and appends the field.
pub(crate) fn field_from_json(
    plans: &Plans,
    field: &Field,
    json: &[u8],
    options: &JsonOptions,
    limits: &Limits,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let mut reader = Reader::new(json, limits)?;
    let writer = Writer::new(plans.contract(), options, limits);
    writer.field(field, &mut reader, 1, out).map_err(|fault| fault.within(&field.json_name))?;
    reader.end()
}

struct Writer<'a> {
    contract: &'a Contract,
    options: &'a JsonOptions,
    limits: &'a Limits,
}

impl<'c> Writer<'c> {
    fn new(contract: &'c Contract, options: &'c JsonOptions, limits: &'c Limits) -> Writer<'c> {
        Writer { contract, options, limits }
    }

    fn deeper(&self, level: u32, levels: u32, reader: &Reader<'_>) -> Result<u32, Fault> {
        let level = level + levels;
        if level > self.limits.wire_depth {
            let most = self.limits.wire_depth;
            return Err(reader.fault(format!("more than {most} messages inside each other")));
        }
        Ok(level)
    }

    fn message(
        &self,
        id: MessageId,
        reader: &mut Reader<'_>,
        level: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let message = self.contract.message(id);
        match message.well_known {
            WellKnown::No | WellKnown::Empty | WellKnown::HttpBody => {
                self.fields(message, reader, level, None, out)
            }
            WellKnown::Any => self.any(reader, level, out),
            WellKnown::Timestamp | WellKnown::Duration => {
                let at = reader.position();
                if reader.next()? != Next::String {
                    return Err(reader.unexpected("a string"));
                }
                let text = reader.string()?;
                let (seconds, nanos) = if message.well_known == WellKnown::Timestamp {
                    times::timestamp_of(&text)
                } else {
                    times::duration_of(&text)
                }
                .map_err(|fault| fault.at(at))?;
                put_seconds_nanos(seconds, nanos, out);
                Ok(())
            }
            WellKnown::FieldMask => {
                let at = reader.position();
                if reader.next()? != Next::String {
                    return Err(reader.unexpected("a string"));
                }
                let paths = mask::paths_of(&reader.string()?, false).map_err(|f| f.at(at))?;
                for path in paths {
                    wire::put_bytes(1, path.as_bytes(), out);
                }
                Ok(())
            }
            WellKnown::Struct => self.structure(reader, level, out),
            WellKnown::Value => self.value(reader, level, out),
            WellKnown::ListValue => self.list(reader, level, out),
            WellKnown::Wrapper => {
                let field = message
                    .field_numbered(1)
                    .ok_or_else(|| Fault::caller("a wrapper without a value field"))?
                    .1;
                if let Some(value) =
                    scalar::from_json(self.contract, field.kind, reader, self.options)?
                    && !value.is_default()
                {
                    value.put_field(1, out);
                }
                Ok(())
            }
        }
    }

    /// The keys of an ordinary message; `skip` is a key that somebody else has read.
    fn fields(
        &self,
        message: &Message,
        reader: &mut Reader<'_>,
        level: u32,
        skip: Option<&str>,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        if reader.next()? != Next::Object {
            return Err(reader.unexpected("an object"));
        }
        let mut seen = vec![false; message.fields.len()];
        let mut unknown_seen: HashSet<String> = HashSet::new();
        let mut oneofs_set = vec![false; message.oneofs.len()];
        reader.object(|reader, key| {
            if skip == Some(&*key) {
                return reader.skip();
            }
            let Some((index, field)) = message.field_named(&key) else {
                if !self.options.ignore_unknown {
                    return Err(reader.fault(format!("unknown field {}", echo(&key))));
                }
                if !unknown_seen.insert(key.to_string()) {
                    return Err(duplicate(reader, &key));
                }
                return reader.skip();
            };
            if std::mem::replace(&mut seen[index], true) {
                return Err(duplicate(reader, &key));
            }
            if reader.next()? == Next::Null && !takes_null(self.contract, field) {
                return reader.null();
            }
            if let Some(oneof) = field.oneof
                && std::mem::replace(&mut oneofs_set[oneof as usize], true)
            {
                return Err(reader.fault(format!(
                    "a second member of the oneof `{}`",
                    message.oneofs[oneof as usize]
                )));
            }
            self.field(field, reader, level, out).map_err(|fault| fault.within(&field.json_name))
        })
    }

    /// One field with its value, which is not a `null` that means "unset".
    fn field(
        &self,
        field: &Field,
        reader: &mut Reader<'_>,
        level: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        match field.cardinality {
            Cardinality::Singular => {
                if reader.next()? == Next::Null && !takes_null(self.contract, field) {
                    return reader.null();
                }
                self.singular(field, reader, level, out)
            }
            Cardinality::Repeated => self.repeated(field, reader, level, out),
            Cardinality::Map => self.map(field, reader, level, out),
        }
    }

    fn singular(
        &self,
        field: &Field,
        reader: &mut Reader<'_>,
        level: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        if field.kind.message().is_some() {
            return self.message_field(field.number, field.kind, reader, level, out);
        }
        if let Some(value) = self.scalar(field.kind, reader)?
            && (field.presence != Presence::Implicit || !value.is_default())
        {
            value.put_field(field.number, out);
        }
        Ok(())
    }

    fn scalar(&self, kind: Kind, reader: &mut Reader<'_>) -> Result<Option<Scalar>, Fault> {
        if is_null_value(self.contract, kind) && reader.next()? == Next::Null {
            reader.null()?;
            return Ok(Some(Scalar::Varint(0)));
        }
        scalar::from_json(self.contract, kind, reader, self.options)
    }

    fn message_field(
        &self,
        number: u32,
        kind: Kind,
        reader: &mut Reader<'_>,
        level: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let id = kind.message().expect("called for message fields only");
        let level = self.deeper(level, 1, reader)?;
        let mut inner = Vec::new();
        self.message(id, reader, level, &mut inner)?;
        wire::put_message(number, kind, &inner, out);
        Ok(())
    }

    fn repeated(
        &self,
        field: &Field,
        reader: &mut Reader<'_>,
        level: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        if reader.next()? != Next::Array {
            return Err(reader.unexpected("a list"));
        }
        let mut packed = Vec::new();
        reader.array(|reader, number| {
            let element = |fault: Fault| fault.within(&format!("[{number}]"));
            if reader.next()? == Next::Null && !takes_null(self.contract, field) {
                return Err(element(reader.fault("null is no element of this list")));
            }
            if field.kind.message().is_some() {
                return self
                    .message_field(field.number, field.kind, reader, level, out)
                    .map_err(element);
            }
            // An unknown enum name that may be ignored leaves its element out (J-12).
            let Some(value) = self.scalar(field.kind, reader).map_err(element)? else {
                return Ok(());
            };
            if field.packed {
                value.put(&mut packed);
            } else {
                value.put_field(field.number, out);
            }
            Ok(())
        })?;
        if !packed.is_empty() {
            wire::put_bytes(field.number, &packed, out);
        }
        Ok(())
    }

    fn map(
        &self,
        field: &Field,
        reader: &mut Reader<'_>,
        level: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        if reader.next()? != Next::Object {
            return Err(reader.unexpected("an object"));
        }
        let entry = self.contract.message(field.kind.message().expect("maps have entries"));
        let (Some((_, key_field)), Some((_, value_field))) =
            (entry.field_numbered(1), entry.field_numbered(2))
        else {
            return Err(Fault::caller("a map without key or value"));
        };
        let level = self.deeper(level, 1, reader)?;
        let mut seen: HashSet<Vec<u8>> = HashSet::new();
        reader.object(|reader, key| {
            let element = |fault: Fault| fault.within(&format!("[{}]", echo(&key)));
            let at = reader.position();
            let key_value = scalar::from_text(self.contract, key_field.kind, &key)
                .map_err(|fault| element(fault.at(at)))?;
            let mut inner = Vec::new();
            key_value.put_field(1, &mut inner);
            if !seen.insert(inner.clone()) {
                return Err(duplicate(reader, &key));
            }
            if reader.next()? == Next::Null && !takes_null(self.contract, value_field) {
                return Err(element(reader.fault("null is no value of this map")));
            }
            if value_field.kind.message().is_some() {
                self.message_field(2, value_field.kind, reader, level, &mut inner)
                    .map_err(element)?;
            } else {
                match self.scalar(value_field.kind, reader).map_err(element)? {
                    Some(value) => value.put_field(2, &mut inner),
                    // The entry disappears with its unknown enum name (J-12).
                    None => return Ok(()),
                }
            }
            wire::put_bytes(field.number, &inner, out);
            Ok(())
        })
    }

    /// `Any`: its type may stand anywhere in the object, so it is looked for first.
    fn any(&self, reader: &mut Reader<'_>, level: u32, out: &mut Vec<u8>) -> Result<(), Fault> {
        if reader.next()? != Next::Object {
            return Err(reader.unexpected("an object"));
        }
        let mut type_url: Option<String> = None;
        let mut empty = true;
        // A copy of the reader looks ahead; its counters are not ours, the text is read twice.
        reader.clone().object(|reader, key| {
            empty = false;
            if key != "@type" {
                return reader.skip();
            }
            if type_url.is_some() {
                return Err(duplicate(reader, &key));
            }
            type_url = Some(reader.string()?.into_owned());
            Ok(())
        })?;
        let Some(type_url) = type_url else {
            return if empty { reader.skip() } else { Err(reader.fault("an Any without `@type`")) };
        };
        let name = type_url.rsplit_once('/').map(|(_, name)| name);
        let id = name.and_then(|name| self.contract.message_named(name)).ok_or_else(|| {
            reader.fault(format!("{} is no type of this contract", echo(&type_url)))
        })?;
        let level = self.deeper(level, 1, reader)?;
        let message = self.contract.message(id);
        let mut inner = Vec::new();
        if message.well_known == WellKnown::No || message.well_known == WellKnown::HttpBody {
            self.fields(message, reader, level, Some("@type"), &mut inner)?;
        } else {
            let mut seen = false;
            reader.object(|reader, key| match &*key {
                "@type" => reader.skip(),
                "value" if !std::mem::replace(&mut seen, true) => {
                    self.message(id, reader, level, &mut inner)
                }
                "value" => Err(duplicate(reader, &key)),
                _ if self.options.ignore_unknown => reader.skip(),
                _ => Err(reader.fault(format!("unknown field {}", echo(&key)))),
            })?;
            if !seen && message.well_known != WellKnown::Empty {
                return Err(reader.fault(format!("{} needs a `value`", message.full_name)));
            }
        }
        wire::put_bytes(1, type_url.as_bytes(), out);
        if !inner.is_empty() {
            wire::put_bytes(2, &inner, out);
        }
        Ok(())
    }

    /// `Struct`: field 1 is the map of its fields.
    fn structure(
        &self,
        reader: &mut Reader<'_>,
        level: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        if reader.next()? != Next::Object {
            return Err(reader.unexpected("an object"));
        }
        // The entry of the map and the Value inside it.
        let level = self.deeper(level, 2, reader)?;
        let mut seen: HashSet<Cow<'_, str>> = HashSet::new();
        reader.object(|reader, key| {
            let mut value = Vec::new();
            self.value(reader, level, &mut value).map_err(|fault| fault.within(&key))?;
            let mut entry = Vec::new();
            wire::put_bytes(1, key.as_bytes(), &mut entry);
            wire::put_bytes(2, &value, &mut entry);
            wire::put_bytes(1, &entry, out);
            if seen.contains(&key) {
                return Err(duplicate(reader, &key));
            }
            seen.insert(Cow::Owned(key.into_owned()));
            Ok(())
        })
    }

    /// `Value`: a oneof of six.
    fn value(&self, reader: &mut Reader<'_>, level: u32, out: &mut Vec<u8>) -> Result<(), Fault> {
        match reader.next()? {
            Next::Null => {
                reader.null()?;
                Scalar::Varint(0).put_field(1, out);
            }
            Next::Number => {
                let at = reader.position();
                let text = reader.number()?;
                let number: f64 =
                    text.parse().ok().filter(|number: &f64| number.is_finite()).ok_or_else(
                        || Fault::caller(format!("{} is out of range", echo(text))).at(at),
                    )?;
                Scalar::Fixed64(number.to_bits()).put_field(2, out);
            }
            Next::String => wire::put_bytes(3, reader.string()?.as_bytes(), out),
            Next::Bool => Scalar::Varint(reader.boolean()?.into()).put_field(4, out),
            Next::Object => {
                let level = self.deeper(level, 1, reader)?;
                let mut inner = Vec::new();
                self.structure(reader, level, &mut inner)?;
                wire::put_bytes(5, &inner, out);
            }
            Next::Array => {
                let level = self.deeper(level, 1, reader)?;
                let mut inner = Vec::new();
                self.list(reader, level, &mut inner)?;
                wire::put_bytes(6, &inner, out);
            }
        }
        Ok(())
    }

    /// `ListValue`: field 1 is the list of its values.
    fn list(&self, reader: &mut Reader<'_>, level: u32, out: &mut Vec<u8>) -> Result<(), Fault> {
        if reader.next()? != Next::Array {
            return Err(reader.unexpected("a list"));
        }
        let level = self.deeper(level, 1, reader)?;
        reader.array(|reader, number| {
            let mut value = Vec::new();
            self.value(reader, level, &mut value)
                .map_err(|fault| fault.within(&format!("[{number}]")))?;
            wire::put_bytes(1, &value, out);
            Ok(())
        })
    }
}

pub(crate) fn put_seconds_nanos(seconds: i64, nanos: i32, out: &mut Vec<u8>) {
    for (number, value) in [(1, seconds), (2, i64::from(nanos))] {
        if value != 0 {
            Scalar::Varint(value as u64).put_field(number, out);
        }
    }
}

/// Whether `null` is a value of the field, not the absence of one.
fn takes_null(contract: &Contract, field: &Field) -> bool {
    if field.cardinality == Cardinality::Map {
        return false;
    }
    match field.kind {
        Kind::Message(id) => contract.message(id).well_known == WellKnown::Value,
        kind => is_null_value(contract, kind),
    }
}

fn is_null_value(contract: &Contract, kind: Kind) -> bool {
    matches!(kind, Kind::Enum(id)
        if &*contract.enumeration(id).full_name == "google.protobuf.NullValue")
}
