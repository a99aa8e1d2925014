//! Maps: entries on the wire → members of an object, each key once.

use std::borrow::Cow;

use tandem_contract::Kind;

use super::scalars::put_text;
use super::{Halt, Level, Printer, Written, next_is};
use crate::plan::{FieldPlan, MessagePlan};
use crate::regroup::is_grouped;
use crate::scalar::integer;
use crate::seen::{Keys, MapKey};
use crate::wire::{Broken, Cursor};

impl<'p> Printer<'p> {
    pub(super) fn map(
        &mut self,
        field: &'p FieldPlan,
        (key, value): (u32, u32),
        cursor: &mut Cursor<'_>,
        level: Level,
        out: &mut Vec<u8>,
    ) -> Result<Written, Halt> {
        let Kind::Message(id) = field.kind else { return Ok(Written::Unknown) };
        let entry = self.plans.message(id);
        let (key, value) = (&entry.fields[key as usize], &entry.fields[value as usize]);
        let level = self.deeper(level)?;
        let mut keys = Keys::default();
        out.push(b'{');
        loop {
            let bytes = cursor.bytes()?;
            self.entry(entry, (key, value), bytes, &mut keys, level, out)?;
            self.bounded(out)?;
            if !next_is(field.tag, cursor) {
                break;
            }
        }
        match out.last_mut() {
            Some(last) if *last == b',' => {
                *last = b'}';
                Ok(Written::Value)
            }
            _ => {
                out.push(b'}');
                Ok(if self.options.emit_defaults { Written::Default } else { Written::Unknown })
            }
        }
    }

    fn entry<'w>(
        &mut self,
        plan: &'p MessagePlan,
        (key, value): (&'p FieldPlan, &'p FieldPlan),
        wire: &'w [u8],
        keys: &mut Keys<'w>,
        level: Level,
        out: &mut Vec<u8>,
    ) -> Result<(), Halt> {
        let before = out.len();
        let mut cursor = Cursor::new(wire);
        let mut map_key = None;
        // Key, then value, is the order of every serializer.
        if let Some(length) = key.tag_at(wire) {
            cursor.advance(length);
            map_key = Some(self.map_key(key, &mut cursor, out)?);
        }
        if map_key.is_some()
            && let Some(length) = value.tag_at(cursor.rest())
        {
            out.push(b':');
            cursor.advance(length);
            let written = self.singular(value, &mut cursor, level, out)?;
            if cursor.at_end() {
                // An entry that disappears takes no other with its key along.
                if written == Written::Unknown {
                    out.truncate(before);
                    return Ok(());
                }
                if let Some(map_key) = map_key
                    && !keys.insert(map_key)
                {
                    return Err(Halt::Disorder);
                }
                out.push(b',');
                return Ok(());
            }
        }
        out.truncate(before);
        self.odd_entry(plan, (key, value), wire, keys, level, out)
    }

    /// An entry without key or value, with one of them twice, or in another order.
    #[cold]
    fn odd_entry<'w>(
        &mut self,
        plan: &'p MessagePlan,
        (key, value): (&'p FieldPlan, &'p FieldPlan),
        wire: &'w [u8],
        keys: &mut Keys<'w>,
        level: Level,
        out: &mut Vec<u8>,
    ) -> Result<(), Halt> {
        if !self.careful && !is_grouped(self.plans, plan, wire, self.limits)? {
            return Err(Halt::Disorder);
        }
        let wire = &*self.in_order(plan, wire)?;
        let before = out.len();
        let find = |field: &FieldPlan| -> Result<Option<Cursor<'_>>, Broken> {
            let mut cursor = Cursor::new(wire);
            while !cursor.at_end() {
                let tag = cursor.tag()?;
                if tag == field.tag {
                    return Ok(Some(cursor));
                }
                cursor.skip(tag, self.limits.wire_depth)?;
            }
            Ok(None)
        };
        let (key_at, value_at) = (find(key)?, find(value)?);
        let map_key = match key_at {
            Some(mut cursor) => owned(self.map_key(key, &mut cursor, out)?),
            None => {
                let text = match key.kind {
                    Kind::String => &b"\"\""[..],
                    Kind::Bool => b"\"false\"",
                    _ => b"\"0\"",
                };
                out.extend_from_slice(text);
                match key.kind {
                    Kind::String => MapKey::Text(Cow::Borrowed(b"")),
                    _ => MapKey::Number(0),
                }
            }
        };
        out.push(b':');
        let written = match (value_at, value.kind) {
            (Some(mut cursor), _) => self.singular(value, &mut cursor, level, out)?,
            (None, Kind::Message(id) | Kind::Group(id)) => {
                let level = self.deeper(level)?;
                self.message(self.plans.message(id), b"", level, out)?;
                Written::Value
            }
            (None, _) => {
                self.default(value, out);
                Written::Value
            }
        };
        if written == Written::Unknown {
            out.truncate(before);
            return Ok(());
        }
        if !keys.insert(map_key) {
            return Err(Halt::Disorder);
        }
        out.push(b',');
        Ok(())
    }

    /// A key, quoted, and what tells it from others.
    #[inline]
    fn map_key<'w>(
        &mut self,
        key: &'p FieldPlan,
        cursor: &mut Cursor<'w>,
        out: &mut Vec<u8>,
    ) -> Result<MapKey<'w>, Halt> {
        if key.kind == Kind::String {
            let (bytes, length) = cursor.bytes_and_more()?;
            put_text(key, bytes, length, out)?;
            return Ok(MapKey::Text(Cow::Borrowed(&bytes[..length])));
        }
        let mut digits = itoa::Buffer::new();
        out.push(b'"');
        let number = match key.kind {
            Kind::Bool => {
                let value = cursor.varint()? != 0;
                out.extend_from_slice(if value { b"true" } else { b"false" });
                u64::from(value)
            }
            Kind::Uint64 | Kind::Fixed64 => {
                let value = match key.kind {
                    Kind::Uint64 => cursor.varint()?,
                    _ => cursor.fixed64()?,
                };
                out.extend_from_slice(digits.format(value).as_bytes());
                value
            }
            kind => {
                let value = integer(kind, cursor)?;
                out.extend_from_slice(digits.format(value).as_bytes());
                value as u64
            }
        };
        out.push(b'"');
        Ok(MapKey::Number(number))
    }
}

fn owned<'a>(key: MapKey<'_>) -> MapKey<'a> {
    match key {
        MapKey::Text(text) => MapKey::Text(Cow::Owned(text.into_owned())),
        MapKey::Number(number) => MapKey::Number(number),
    }
}
