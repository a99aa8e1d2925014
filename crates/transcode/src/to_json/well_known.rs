//! Messages whose JSON is their own: times, masks, wrappers, `Any`, `Struct` and its kin.

use tandem_contract::{Kind, WellKnown};

use super::scalars::put_base64;
use super::{Halt, Level, Printer, Written};
use crate::fault::Fault;
use crate::json;
use crate::plan::{FieldPlan, MessagePlan, Shape};
use crate::regroup::fits;
use crate::wire::Cursor;
use crate::{mask, times};

impl<'p> Printer<'p> {
    pub(super) fn well_known(
        &mut self,
        plan: &'p MessagePlan,
        wire: &[u8],
        level: Level,
        out: &mut Vec<u8>,
    ) -> Result<(), Halt> {
        match plan.well_known {
            WellKnown::Timestamp | WellKnown::Duration => self.time(plan, wire, out),
            WellKnown::FieldMask => self.mask(wire, out),
            WellKnown::Wrapper => self.wrapper(plan, wire, out),
            WellKnown::Any => self.any(wire, level, out),
            // Field 1 of a Struct is a map, of a ListValue a list.
            WellKnown::Struct | WellKnown::ListValue => self.collection(plan, wire, level, out),
            WellKnown::Value => self.value(plan, wire, level, out),
            WellKnown::No | WellKnown::Empty | WellKnown::HttpBody => {
                out.push(b'{');
                self.members(plan, &mut Cursor::new(wire), None, level, out)
            }
        }
    }

    fn time(&self, plan: &MessagePlan, wire: &[u8], out: &mut Vec<u8>) -> Result<(), Halt> {
        let (mut seconds, mut nanos) = (0, 0);
        let mut cursor = Cursor::new(wire);
        while !cursor.at_end() {
            match cursor.tag()? {
                0x08 => seconds = cursor.varint()? as i64,
                0x10 => nanos = cursor.varint()? as i32,
                tag => cursor.skip(tag, self.limits.wire_depth)?,
            }
        }
        out.push(b'"');
        let in_range = if plan.well_known == WellKnown::Timestamp {
            times::put_timestamp(seconds, nanos, out)
        } else {
            times::put_duration(seconds, nanos, out)
        };
        if !in_range {
            return Err(Fault::upstream(format!("{} is out of range", plan.full_name)).into());
        }
        out.push(b'"');
        Ok(())
    }

    fn mask(&self, wire: &[u8], out: &mut Vec<u8>) -> Result<(), Halt> {
        let mut text = String::new();
        let mut cursor = Cursor::new(wire);
        while !cursor.at_end() {
            let tag = cursor.tag()?;
            if tag != 0x0a {
                cursor.skip(tag, self.limits.wire_depth)?;
                continue;
            }
            let path = std::str::from_utf8(cursor.bytes()?).ok().and_then(mask::to_camel);
            let Some(path) = path else {
                return Err(Fault::upstream("a path of a mask that JSON cannot say").into());
            };
            if !text.is_empty() {
                text.push(',');
            }
            text.push_str(&path);
        }
        json::put_string(&text, out);
        Ok(())
    }

    fn wrapper(
        &mut self,
        plan: &'p MessagePlan,
        wire: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Halt> {
        let field = first_field(plan)?;
        let before = out.len();
        let mut found = false;
        let mut cursor = Cursor::new(wire);
        while !cursor.at_end() {
            let tag = cursor.tag()?;
            if tag == field.tag {
                // The last one counts.
                out.truncate(before);
                self.scalar(field, &mut cursor, out)?;
                found = true;
            } else {
                cursor.skip(tag, self.limits.wire_depth)?;
            }
        }
        if !found {
            self.default(field, out);
        }
        Ok(())
    }

    fn collection(
        &mut self,
        plan: &'p MessagePlan,
        wire: &[u8],
        level: Level,
        out: &mut Vec<u8>,
    ) -> Result<(), Halt> {
        let field = first_field(plan)?;
        let mut found = false;
        let mut cursor = Cursor::new(wire);
        while !cursor.at_end() {
            let tag = cursor.tag()?;
            if tag >> 3 != field.number || !fits(field, tag) {
                cursor.skip(tag, self.limits.wire_depth)?;
                continue;
            }
            if std::mem::replace(&mut found, true) {
                return Err(Halt::Disorder);
            }
            match field.shape {
                Shape::Map { key, value } => {
                    self.map(field, (key, value), &mut cursor, level, out)?
                }
                _ => self.repeated(field, tag, &mut cursor, level, out)?,
            };
        }
        if !found {
            let empty = if plan.well_known == WellKnown::Struct { b"{}" } else { b"[]" };
            out.extend_from_slice(empty);
        }
        Ok(())
    }

    fn value(
        &mut self,
        plan: &'p MessagePlan,
        wire: &[u8],
        level: Level,
        out: &mut Vec<u8>,
    ) -> Result<(), Halt> {
        let mut found = false;
        let mut cursor = Cursor::new(wire);
        while !cursor.at_end() {
            let tag = cursor.tag()?;
            let Some(field) = plan.numbered(tag >> 3).filter(|field| fits(field, tag)) else {
                cursor.skip(tag, self.limits.wire_depth)?;
                continue;
            };
            if std::mem::replace(&mut found, true) {
                return Err(Halt::Disorder);
            }
            if field.kind == Kind::Double {
                let mut ahead = cursor;
                if !f64::from_bits(ahead.fixed64()?).is_finite() {
                    return Err(Fault::upstream("a Value that holds no finite number").into());
                }
            }
            if self.singular(field, &mut cursor, level, out)? == Written::Unknown {
                return Err(Fault::upstream("a Value that holds nothing").into());
            }
        }
        if found { Ok(()) } else { Err(Fault::upstream("a Value that holds nothing").into()) }
    }

    /// `Any` of a type that the contract knows, no deeper than `any_depth`; else its bytes.
    fn any(&mut self, wire: &[u8], level: Level, out: &mut Vec<u8>) -> Result<(), Halt> {
        let (mut url, mut contents) = (&b""[..], &b""[..]);
        let mut cursor = Cursor::new(wire);
        while !cursor.at_end() {
            match cursor.tag()? {
                0x0a => url = cursor.bytes()?,
                0x12 => contents = cursor.bytes()?,
                tag => cursor.skip(tag, self.limits.wire_depth)?,
            }
        }
        let Ok(url) = std::str::from_utf8(url) else {
            return Err(Fault::upstream("the type of an Any is not UTF-8").into());
        };
        if url.is_empty() && contents.is_empty() {
            out.extend_from_slice(b"{}");
            return Ok(());
        }
        out.extend_from_slice(b"{\"@type\":");
        json::put_string(url, out);
        out.push(b',');
        let level = Level { any: level.any + 1, ..self.deeper(level)? };
        let known = url
            .rsplit_once('/')
            .and_then(|(_, name)| self.plans.contract().message_named(name))
            .filter(|_| level.any <= self.limits.any_depth)
            .map(|id| self.plans.message(id));
        match known {
            Some(plan) if matches!(plan.well_known, WellKnown::No | WellKnown::HttpBody) => {
                // Its members follow the type in the same object.
                let contents = self.in_order(plan, contents)?;
                self.members(plan, &mut Cursor::new(&contents), None, level, out)?;
            }
            Some(plan) => {
                out.extend_from_slice(b"\"value\":");
                self.message(plan, contents, level, out)?;
                out.push(b'}');
            }
            None => {
                out.extend_from_slice(b"\"value\":");
                put_base64(contents, out);
                out.push(b'}');
            }
        }
        self.bounded(out)
    }
}

fn first_field(plan: &MessagePlan) -> Result<&FieldPlan, Fault> {
    plan.numbered(1).ok_or_else(|| Fault::upstream(format!("{} has no field 1", plan.full_name)))
}
