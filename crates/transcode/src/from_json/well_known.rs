//! Messages whose JSON is their own: times, masks, wrappers, `Any`, `Struct` and its kin.

use std::borrow::Cow;

use tandem_contract::WellKnown;

use super::{Form, Strangers, Writer, at_element, at_key};
use crate::fault::{Fault, FaultLimit, Stop, echo};
use crate::json::{Next, Reader, duplicate};
use crate::plan::MessagePlan;
use crate::seen::{Keys, MapKey};
use crate::{mask, times, wire};

/// Width slots of the messages that have no plan of their own here.
const STRUCT_ENTRY: u8 = 61;
const STRUCT_VALUE: u8 = 62;
const ANY_VALUE: u8 = 63;

impl<'p, 'a> Writer<'p, 'a> {
    pub(super) fn well_known(
        &mut self,
        plan: &'p MessagePlan,
        level: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        match plan.well_known {
            WellKnown::Timestamp | WellKnown::Duration => {
                let at = self.reader.position();
                if self.reader.next()? != Next::String {
                    return Err(self.reader.unexpected("a string").into());
                }
                let text = self.reader.string()?;
                let read = if plan.well_known == WellKnown::Timestamp {
                    times::timestamp_of(&text)
                } else {
                    times::duration_of(&text)
                };
                let (seconds, nanos) = read.map_err(|fault| fault.at(at))?;
                put_seconds_nanos(seconds, nanos, out);
                Ok(())
            }
            WellKnown::FieldMask => {
                let at = self.reader.position();
                if self.reader.next()? != Next::String {
                    return Err(self.reader.unexpected("a string").into());
                }
                let text = self.reader.string()?;
                for path in mask::paths_of(&text, false).map_err(|fault| fault.at(at))? {
                    wire::put_bytes(1, path.as_bytes(), out);
                }
                Ok(())
            }
            WellKnown::Wrapper => {
                let field = plan.numbered(1).ok_or_else(|| broken(plan))?;
                self.scalar(field, Form::Single, out).map(drop)
            }
            WellKnown::Any => self.any(level, out),
            WellKnown::Struct => self.structure(level, out),
            WellKnown::Value => self.value(level, out),
            WellKnown::ListValue => self.list(level, out),
            WellKnown::No | WellKnown::Empty | WellKnown::HttpBody => {
                self.fields(plan, level, false, out)
            }
        }
    }

    /// `Any`: its type may stand anywhere in the object, so it is looked for first where it does
    /// not come first.
    fn any(&mut self, level: u32, out: &mut Vec<u8>) -> Result<(), Stop> {
        if self.reader.peek() != b'{' {
            return Err(self.reader.unexpected("an object").into());
        }
        let Some(url) = self.type_url()? else {
            // An empty object is an empty Any.
            return self.reader.skip();
        };
        let plan = url
            .rsplit_once('/')
            .and_then(|(_, name)| self.plans.contract().message_named(name))
            .map(|id| self.plans.message(id));
        let Some(plan) = plan else {
            let reason = format!("{} is no type of this contract", echo(&url));
            return Err(self.reader.stop(&reason));
        };
        if self.any_depth == self.limits.any_depth {
            let most = self.limits.any_depth;
            let stop = self.reader.stop(&format!("more than {most} Any inside each other"));
            return Err(Box::new(stop.over(FaultLimit::WireDepth)));
        }
        let level = self.deeper(level, 1)?;
        wire::put_bytes(1, url.as_bytes(), out);
        let before = out.len();
        out.push(2 << 3 | 2);
        let slot = self.open(ANY_VALUE, out);
        self.any_depth += 1;
        match plan.well_known {
            WellKnown::No | WellKnown::HttpBody => self.fields(plan, level, true, out)?,
            _ => self.any_value(plan, level, out)?,
        }
        self.any_depth -= 1;
        if out.len() == slot.start + slot.width {
            out.truncate(before);
        } else {
            self.close(ANY_VALUE, &slot, out);
        }
        Ok(())
    }

    /// The `@type` of the object that stands next, which is not taken; `None` for `{}`.
    fn type_url(&mut self) -> Result<Option<Cow<'a, str>>, Stop> {
        let start = self.reader.position();
        // A copy of the reader looks ahead; its counters are not ours, the text is read twice.
        let mut ahead = self.reader.clone();
        ahead.enter()?;
        if ahead.take(b'}') {
            return Ok(None);
        }
        let mut scratch = Vec::new();
        let first = ahead.quoted_into(&mut scratch)?;
        if first.map_or(&*scratch, str::as_bytes) == b"@type" {
            ahead.colon()?;
            return ahead.type_name().map(Some);
        }
        if start >= self.types.to {
            self.types = Types::within(self.reader.clone())?;
        }
        let Some(at) = self.types.of(start) else {
            return Err(self.reader.stop("an Any without `@type`"));
        };
        ahead.back_to(at);
        ahead.type_name().map(Some)
    }

    /// The object of an `Any` whose message has a JSON form of its own, under `value`.
    fn any_value(
        &mut self,
        plan: &'p MessagePlan,
        level: u32,
        out: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        self.reader.enter()?;
        let mut strangers = Strangers::default();
        let mut found = false;
        // There is a `@type`, so the object is not empty.
        loop {
            let key = self.reader_key()?;
            if key == "value" {
                if std::mem::replace(&mut found, true) {
                    return Err(duplicate(&self.reader, &key).into());
                }
                self.message(plan, level, out).map_err(|stop| stop.within("value"))?;
            } else {
                self.stranger(&key, true, &mut strangers)?;
            }
            if !self.reader.more(b'}')? {
                break;
            }
        }
        self.reader.leave();
        if !found && plan.well_known != WellKnown::Empty {
            return Err(self.reader.stop(&format!("{} needs a `value`", plan.full_name)));
        }
        Ok(())
    }

    fn reader_key(&mut self) -> Result<Cow<'a, str>, Stop> {
        let mut scratch = Vec::new();
        let plain = self.reader.quoted_into(&mut scratch)?;
        self.reader.colon()?;
        Ok(plain.map_or_else(
            || Cow::Owned(String::from_utf8_lossy(&scratch).into_owned()),
            Cow::Borrowed,
        ))
    }

    /// `Struct`: field 1 is the map of its fields.
    fn structure(&mut self, level: u32, out: &mut Vec<u8>) -> Result<(), Stop> {
        if self.reader.next()? != Next::Object {
            return Err(self.reader.unexpected("an object").into());
        }
        // The entry of the map and the Value inside it.
        let level = self.deeper(level, 2)?;
        self.reader.enter()?;
        if self.reader.take(b'}') {
            self.reader.leave();
            return Ok(());
        }
        let mut keys = Keys::default();
        loop {
            let key = self.reader_key()?;
            let map_key = MapKey::Text(match &key {
                Cow::Borrowed(plain) => Cow::Borrowed(plain.as_bytes()),
                Cow::Owned(owned) => Cow::Owned(owned.clone().into_bytes()),
            });
            if !keys.insert(map_key) {
                return Err(duplicate(&self.reader, &key).into());
            }
            out.push(1 << 3 | 2);
            let entry = self.open(STRUCT_ENTRY, out);
            wire::put_bytes(1, key.as_bytes(), out);
            out.push(2 << 3 | 2);
            let value = self.open(STRUCT_VALUE, out);
            self.value(level, out).map_err(|stop| at_key(stop, &key))?;
            self.close(STRUCT_VALUE, &value, out);
            self.close(STRUCT_ENTRY, &entry, out);
            if !self.reader.more(b'}')? {
                break;
            }
        }
        self.reader.leave();
        Ok(())
    }

    /// `Value`: a oneof of six.
    fn value(&mut self, level: u32, out: &mut Vec<u8>) -> Result<(), Stop> {
        match self.reader.next()? {
            Next::Null => {
                self.reader.null()?;
                out.extend_from_slice(&[1 << 3, 0]);
            }
            Next::Number => {
                let at = self.reader.position();
                let text = self.reader.number()?;
                let number: f64 =
                    text.parse().ok().filter(|number: &f64| number.is_finite()).ok_or_else(
                        || Fault::caller(format!("{} is out of range", echo(text))).at(at),
                    )?;
                out.push(2 << 3 | 1);
                out.extend_from_slice(&number.to_bits().to_le_bytes());
            }
            Next::String => {
                self.reader.count()?;
                let mut scratch = std::mem::take(&mut self.scratch);
                let text = self.reader.quoted_into(&mut scratch)?;
                wire::put_bytes(3, text.map_or(&*scratch, str::as_bytes), out);
                self.scratch = scratch;
            }
            Next::Bool => {
                let value = self.reader.boolean()?;
                out.extend_from_slice(&[4 << 3, u8::from(value)]);
            }
            Next::Object => {
                let level = self.deeper(level, 1)?;
                out.push(5 << 3 | 2);
                let slot = self.open(STRUCT_VALUE, out);
                self.structure(level, out)?;
                self.close(STRUCT_VALUE, &slot, out);
            }
            Next::Array => {
                let level = self.deeper(level, 1)?;
                out.push(6 << 3 | 2);
                let slot = self.open(STRUCT_VALUE, out);
                self.list(level, out)?;
                self.close(STRUCT_VALUE, &slot, out);
            }
        }
        Ok(())
    }

    /// `ListValue`: field 1 is the list of its values.
    fn list(&mut self, level: u32, out: &mut Vec<u8>) -> Result<(), Stop> {
        if self.reader.next()? != Next::Array {
            return Err(self.reader.unexpected("a list").into());
        }
        let level = self.deeper(level, 1)?;
        self.reader.enter()?;
        if self.reader.take(b']') {
            self.reader.leave();
            return Ok(());
        }
        let mut number = 0;
        loop {
            out.push(1 << 3 | 2);
            let slot = self.open(STRUCT_ENTRY, out);
            self.value(level, out).map_err(|stop| at_element(stop, number))?;
            self.close(STRUCT_ENTRY, &slot, out);
            number += 1;
            if !self.reader.more(b']')? {
                break;
            }
        }
        self.reader.leave();
        Ok(())
    }
}

/// Where the `@type` stands in the objects of a text that was looked through: an `Any` whose type
/// comes late, and all below it. Each part of a text is looked through once.
#[derive(Default)]
pub(super) struct Types {
    /// Where an object begins and where the value of its `@type` does, by the first.
    found: Vec<(usize, usize)>,
    /// The end of what was looked through.
    to: usize,
}

impl Types {
    /// Looks through the value that stands next.
    fn within(mut reader: Reader<'_>) -> Result<Types, Stop> {
        let mut types = Types::default();
        types.look(&mut reader)?;
        types.to = reader.position();
        types.found.sort_unstable();
        Ok(types)
    }

    fn of(&self, start: usize) -> Option<usize> {
        let place = self.found.binary_search_by_key(&start, |(start, _)| *start).ok()?;
        Some(self.found[place].1)
    }

    /// Takes a value. No level is deeper than the reader allows, so the recursion is bounded.
    fn look(&mut self, reader: &mut Reader<'_>) -> Result<(), Stop> {
        let end = match reader.next()? {
            Next::Object => b'}',
            Next::Array => b']',
            Next::Null | Next::Bool | Next::Number | Next::String => return reader.skip(),
        };
        let start = reader.position();
        let mut known = false;
        let mut scratch = Vec::new();
        reader.enter()?;
        if !reader.take(end) {
            loop {
                if end == b'}' {
                    let key = reader.quoted_into(&mut scratch)?;
                    let is_type = key.map_or(&*scratch, str::as_bytes) == b"@type";
                    reader.colon()?;
                    if is_type && !std::mem::replace(&mut known, true) {
                        self.found.push((start, reader.position()));
                    }
                }
                self.look(reader)?;
                if !reader.more(end)? {
                    break;
                }
            }
        }
        reader.leave();
        Ok(())
    }
}

#[cold]
fn broken(plan: &MessagePlan) -> Fault {
    Fault::caller(format!("{} has no field 1", plan.full_name))
}

pub(crate) fn put_seconds_nanos(seconds: i64, nanos: i32, out: &mut Vec<u8>) {
    for (number, value) in [(1, seconds), (2, i64::from(nanos))] {
        if value != 0 {
            wire::put_tag(number, 0, out);
            wire::put_varint(value as u64, out);
        }
    }
}
