//! One message as a parser would read it, a level at a time.
//!
//! Of a scalar and of a oneof the last occurrence counts, messages merge, elements come together
//! packed or not, of a map's entries with one key the last counts: two encodings of one message
//! give the same view. What the contract does not know stands apart, by number. Nested messages
//! stay bytes, so whoever looks decides how deep it goes.
//!
//! Work and memory are bounded by what the caller hands over: each value read takes one from
//! `left`, each 64 bytes copied another. Nothing recurses.
//!
//! Not here: what a difference is (`judge`), a canonical form of the bytes (`to_wire`).

use std::borrow::Cow;
use std::collections::HashMap;

use tandem_contract::{Field, Kind, Message, MessageId};

use crate::limits::Limits;
use crate::plan::{FieldPlan, MessagePlan, Plans, Shape};
use crate::regroup::{Occurrence, key_of, occurrences};
use crate::scalar::integer;
use crate::seen;
use crate::wire::{Broken, Cursor};

/// Why a message could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// The bytes are no such message.
    Broken,
    /// The message holds more than the caller wanted to read.
    Exhausted,
}

impl From<Broken> for Unreadable {
    fn from(_broken: Broken) -> Unreadable {
        Unreadable::Broken
    }
}

/// A field that the contract does not know: its number, its wire type, the bytes of its value as
/// they stand.
pub type Unknown<'w> = (u32, u8, &'w [u8]);

/// The fields of one message that are on the wire.
#[derive(Debug, Clone, PartialEq)]
pub struct View<'w> {
    /// By their place in [`Message::fields`], in rising order.
    pub fields: Vec<(usize, Values<'w>)>,
    /// What the contract does not know, by number and then in the order of the wire.
    pub unknown: Vec<Unknown<'w>>,
}

/// All that a field holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Values<'w> {
    Singular(Value<'w>),
    Repeated(Vec<Value<'w>>),
    /// By key, in rising order. A value that is not on the wire is its default.
    Map(Vec<(MapKey<'w>, Value<'w>)>),
}

/// One value. Numbers of all widths are one kind each, so that they compare by what they mean.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'w> {
    Signed(i64),
    Unsigned(u64),
    Bool(bool),
    Float(f32),
    Double(f64),
    /// UTF-8 where the contract promises it and the sender keeps the promise.
    Text(&'w [u8]),
    Bytes(&'w [u8]),
    Enum(i32),
    /// The contents of a message or a group.
    Message(MessageId, Cow<'w, [u8]>),
}

/// The key of a map's entry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum MapKey<'w> {
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Text(Cow<'w, [u8]>),
}

impl Plans {
    /// Reads one level of the protobuf bytes of `message`; `left` is how many values may be read.
    ///
    /// # Errors
    /// When the bytes are no such message, or hold more than `left`.
    pub fn view<'w>(
        &self,
        message: MessageId,
        wire: &'w [u8],
        left: &mut u32,
    ) -> Result<View<'w>, Unreadable> {
        let limits = Limits::default();
        let mut reader = Reader { plans: self, plan: self.message(message), limits, wire, left };
        reader.read(self.contract().message(message))
    }
}

struct Reader<'p, 'w, 'l> {
    plans: &'p Plans,
    plan: &'p MessagePlan,
    limits: Limits,
    wire: &'w [u8],
    left: &'l mut u32,
}

impl<'w> Reader<'_, 'w, '_> {
    fn read(&mut self, message: &Message) -> Result<View<'w>, Unreadable> {
        let mut unknown = Vec::new();
        let mut found =
            occurrences(self.plans, self.plan, self.wire, &self.limits, Some(&mut unknown))?;
        // What the occurrences themselves take, elements of packed runs not yet counted.
        self.spend(found.len())?;
        let mut strangers = self.strangers(unknown.is_empty())?;
        found.sort_unstable_by_key(|found| (found.place, found.from));
        let mut fields = Vec::new();
        for group in found.chunk_by(|one, other| one.place == other.place) {
            let field = &self.plan.fields[group[0].place as usize];
            let described = &message.fields[group[0].place as usize];
            let values = match field.shape {
                Shape::Singular => Values::Singular(self.singular(field, group)?),
                Shape::Repeated => {
                    let elements = self.elements(field, group, &mut strangers)?;
                    if elements.is_empty() {
                        continue;
                    }
                    Values::Repeated(elements)
                }
                Shape::Map { key, value } => {
                    Values::Map(self.entries(field, described, (key, value), group)?)
                }
            };
            fields.push((group[0].place as usize, values));
        }
        strangers.sort_by_key(|(number, ..)| *number);
        Ok(View { fields, unknown: strangers })
    }

    fn spend(&mut self, values: usize) -> Result<(), Unreadable> {
        let values = u32::try_from(values).map_err(|_error| Unreadable::Exhausted)?;
        match self.left.checked_sub(values) {
            Some(left) => {
                *self.left = left;
                Ok(())
            }
            None => {
                *self.left = 0;
                Err(Unreadable::Exhausted)
            }
        }
    }

    /// The fields that are unknown by number, wire type or closed enum. One more pass over the
    /// tags, for the few messages that have any.
    fn strangers(&mut self, none: bool) -> Result<Vec<Unknown<'w>>, Unreadable> {
        let mut strangers = Vec::new();
        if none {
            return Ok(strangers);
        }
        let mut cursor = Cursor::new(self.wire);
        while !cursor.at_end() {
            let tag = cursor.tag()?;
            let is_known = crate::regroup::known(self.plans, self.plan, tag, cursor).is_some();
            let from = cursor.position();
            cursor.skip(tag, self.limits.wire_depth)?;
            if !is_known {
                self.spend(1)?;
                let bytes = self.wire.get(from..cursor.position()).unwrap_or_default();
                strangers.push((tag >> 3, (tag & 7) as u8, bytes));
            }
        }
        Ok(strangers)
    }

    fn singular(
        &mut self,
        field: &FieldPlan,
        group: &[Occurrence],
    ) -> Result<Value<'w>, Unreadable> {
        let Some(id) = field.kind.message() else {
            let last = group.last().map_or(&b""[..], |last| last.value(self.wire));
            return self.scalar(field.kind, &mut Cursor::new(last));
        };
        if let [one] = group {
            let contents = self.contents(field, one)?;
            return Ok(Value::Message(id, Cow::Borrowed(contents)));
        }
        let mut merged = Vec::new();
        for found in group {
            let contents = self.contents(field, found)?;
            self.spend(contents.len() / 64)?;
            merged.extend_from_slice(contents);
        }
        Ok(Value::Message(id, Cow::Owned(merged)))
    }

    fn contents(&self, field: &FieldPlan, found: &Occurrence) -> Result<&'w [u8], Broken> {
        let mut cursor = Cursor::new(found.value(self.wire));
        match field.kind {
            Kind::Group(_) => cursor.group(field.number, self.limits.wire_depth),
            _ => cursor.bytes(),
        }
    }

    fn elements(
        &mut self,
        field: &FieldPlan,
        group: &[Occurrence],
        strangers: &mut Vec<Unknown<'w>>,
    ) -> Result<Vec<Value<'w>>, Unreadable> {
        let mut elements = Vec::with_capacity(group.len());
        for found in group {
            if let Some(id) = field.kind.message() {
                let contents = self.contents(field, found)?;
                elements.push(Value::Message(id, Cow::Borrowed(contents)));
                continue;
            }
            let mut cursor = Cursor::new(found.value(self.wire));
            let packed = found.tag & 7 == 2 && field.kind.packable();
            if packed {
                cursor = Cursor::new(cursor.bytes()?);
            }
            // A single value is at its end after one step, a run after its last.
            while !cursor.at_end() {
                if packed {
                    self.spend(1)?;
                }
                let rest = cursor.rest();
                let value = self.scalar(field.kind, &mut cursor)?;
                match (field.kind, &value) {
                    (Kind::Enum(id), Value::Enum(number))
                        if !self.plans.enumeration(id).has(*number) =>
                    {
                        let length = rest.len() - cursor.rest().len();
                        strangers.push((field.number, 0, &rest[..length]));
                    }
                    _ => elements.push(value),
                }
            }
        }
        Ok(elements)
    }

    fn entries(
        &mut self,
        field: &FieldPlan,
        described: &Field,
        (key, value): (u32, u32),
        group: &[Occurrence],
    ) -> Result<Vec<(MapKey<'w>, Value<'w>)>, Unreadable> {
        let Some(id) = described.kind.message() else { return Err(Unreadable::Broken) };
        let plans = self.plans;
        let types = plans.message(id);
        let (key_plan, value_plan) = (&types.fields[key as usize], &types.fields[value as usize]);
        let mut entries: HashMap<seen::MapKey<'w>, Value<'w>> = HashMap::new();
        for found in group {
            let entry = Cursor::new(found.value(self.wire)).bytes()?;
            let key = key_of(plans, field, key, entry, &self.limits)?;
            let value = self.entry_value(value_plan, entry)?;
            entries.insert(key, value);
        }
        let mut entries: Vec<_> =
            entries.into_iter().map(|(key, value)| (map_key(key_plan.kind, key), value)).collect();
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(entries)
    }

    fn entry_value(&mut self, value: &FieldPlan, entry: &'w [u8]) -> Result<Value<'w>, Unreadable> {
        let mut found = None;
        let mut cursor = Cursor::new(entry);
        while !cursor.at_end() {
            let tag = cursor.tag()?;
            if tag != value.tag {
                cursor.skip(tag, self.limits.wire_depth)?;
                continue;
            }
            let read = match value.kind {
                Kind::Message(id) => Value::Message(id, Cow::Borrowed(cursor.bytes()?)),
                Kind::Group(id) => {
                    let contents = cursor.group(value.number, self.limits.wire_depth)?;
                    Value::Message(id, Cow::Borrowed(contents))
                }
                kind => self.scalar(kind, &mut cursor)?,
            };
            found = Some(match (found, read) {
                (Some(Value::Message(id, before)), Value::Message(_, more)) => {
                    self.spend((before.len() + more.len()) / 64)?;
                    Value::Message(id, Cow::Owned([before, more].concat()))
                }
                (_, read) => read,
            });
        }
        Ok(found.unwrap_or_else(|| self.default(value.kind)))
    }

    fn default(&self, kind: Kind) -> Value<'w> {
        match kind {
            Kind::Enum(id) => Value::Enum(self.plans.enumeration(id).default()),
            kind => Value::default_of(kind),
        }
    }

    fn scalar(&self, kind: Kind, cursor: &mut Cursor<'w>) -> Result<Value<'w>, Unreadable> {
        Ok(match kind {
            Kind::Double => Value::Double(f64::from_bits(cursor.fixed64()?)),
            Kind::Float => Value::Float(f32::from_bits(cursor.fixed32()?)),
            Kind::Bool => Value::Bool(cursor.varint()? != 0),
            Kind::String => Value::Text(cursor.bytes()?),
            Kind::Bytes => Value::Bytes(cursor.bytes()?),
            Kind::Enum(_) => Value::Enum(cursor.varint()? as i32),
            Kind::Uint64 => Value::Unsigned(cursor.varint()?),
            Kind::Uint32 => Value::Unsigned(u64::from(cursor.varint()? as u32)),
            Kind::Fixed64 => Value::Unsigned(cursor.fixed64()?),
            Kind::Fixed32 => Value::Unsigned(cursor.fixed32()?.into()),
            Kind::Int32
            | Kind::Int64
            | Kind::Sint32
            | Kind::Sint64
            | Kind::Sfixed32
            | Kind::Sfixed64 => Value::Signed(integer(kind, cursor)?),
            Kind::Message(_) | Kind::Group(_) => return Err(Unreadable::Broken),
        })
    }
}

impl Value<'_> {
    /// What an unset field of `kind` means, but for enums, whose default is the contract's.
    pub fn default_of(kind: Kind) -> Value<'static> {
        match kind {
            Kind::Double => Value::Double(0.0),
            Kind::Float => Value::Float(0.0),
            Kind::Bool => Value::Bool(false),
            Kind::String => Value::Text(b""),
            Kind::Bytes => Value::Bytes(b""),
            Kind::Enum(_) => Value::Enum(0),
            Kind::Uint64 | Kind::Uint32 | Kind::Fixed64 | Kind::Fixed32 => Value::Unsigned(0),
            Kind::Int32
            | Kind::Int64
            | Kind::Sint32
            | Kind::Sint64
            | Kind::Sfixed32
            | Kind::Sfixed64 => Value::Signed(0),
            Kind::Message(id) | Kind::Group(id) => Value::Message(id, Cow::Borrowed(b"")),
        }
    }
}

fn map_key(kind: Kind, key: seen::MapKey<'_>) -> MapKey<'_> {
    match (kind, key) {
        (_, seen::MapKey::Text(text)) => MapKey::Text(text),
        (Kind::Bool, seen::MapKey::Number(number)) => MapKey::Bool(number != 0),
        (Kind::Uint32 | Kind::Uint64 | Kind::Fixed32 | Kind::Fixed64, seen::MapKey::Number(n)) => {
            MapKey::Unsigned(n)
        }
        (_, seen::MapKey::Number(number)) => MapKey::Signed(number as i64),
    }
}
