//! One element in bytes that are equal when the elements agree.
//!
//! What rules ignore is left out, sets and maps are sorted, zeros and NaN have one form, instants
//! are one number: so a set of elements is matched by bytes, in time that grows with their length
//! (compare J-7; whole bytes in the place of hashes of them, so nothing can collide). Tolerances
//! have no canonical form; elements that they would join stay unmatched here, and are joined when
//! unmatched ones are paired.

use tandem_contract::{Cardinality, Kind, MessageId, Presence, WellKnown};
use tandem_transcode::view::{MapKey, Unreadable, Value, Values, View};

use super::rules::Order;
use super::scalar;
use super::walk::{Walk, Way};
use super::well_known::{bytes_of, mask_paths, nanoseconds, type_of};

/// Messages inside each other that are brought into the form; deeper ones stand as they came.
const DEPTH_MOST: u32 = 100;

/// Writes canonical forms; `left` is how many values it may still read.
pub(super) struct Writer<'a, 'd> {
    walk: &'a Walk<'d>,
    pub(super) left: u32,
}

impl<'a, 'd> Writer<'a, 'd> {
    pub(super) fn new(walk: &'a Walk<'d>) -> Writer<'a, 'd> {
        Writer { walk, left: walk.left }
    }

    /// `value` in its form.
    pub(super) fn of(&mut self, value: &Value<'_>, way: Way<'d>) -> Result<Vec<u8>, Unreadable> {
        let mut out = Vec::new();
        self.value(value, way, &mut out)?;
        Ok(out)
    }

    fn value(
        &mut self,
        value: &Value<'_>,
        way: Way<'d>,
        out: &mut Vec<u8>,
    ) -> Result<(), Unreadable> {
        match value {
            Value::Signed(number) => out.extend_from_slice(&number.to_be_bytes()),
            Value::Unsigned(number) => out.extend_from_slice(&number.to_be_bytes()),
            Value::Bool(value) => out.push(u8::from(*value)),
            Value::Enum(number) => out.extend_from_slice(&number.to_be_bytes()),
            Value::Float(number) => out.extend_from_slice(&bits(f64::from(*number))),
            Value::Double(number) => out.extend_from_slice(&bits(*number)),
            Value::Text(bytes) | Value::Bytes(bytes) => put(bytes, out),
            Value::Message(id, contents) => return self.message(*id, contents, way, out),
        }
        Ok(())
    }

    fn message(
        &mut self,
        id: MessageId,
        wire: &[u8],
        way: Way<'d>,
        out: &mut Vec<u8>,
    ) -> Result<(), Unreadable> {
        if way.depth >= DEPTH_MOST {
            put(wire, out);
            return Ok(());
        }
        let way = Way { depth: way.depth + 1, ..way };
        let plans = &self.walk.differ.plans;
        let view = match plans.view(id, wire, &mut self.left) {
            Ok(view) => view,
            // No message of its type: it is what its bytes are.
            Err(Unreadable::Broken) => {
                out.push(b'!');
                put(wire, out);
                return Ok(());
            }
            Err(Unreadable::Exhausted) => return Err(Unreadable::Exhausted),
        };
        self.left = self.left.checked_sub(1).ok_or(Unreadable::Exhausted)?;
        let start = out.len();
        match plans.contract().message(id).well_known {
            WellKnown::Timestamp | WellKnown::Duration => {
                out.extend_from_slice(&nanoseconds(&view).to_be_bytes());
            }
            WellKnown::FieldMask => mask_paths(&view).into_iter().for_each(|path| put(path, out)),
            WellKnown::Any => {
                let name = type_of(&view);
                put(name, out);
                let known = std::str::from_utf8(name)
                    .ok()
                    .and_then(|name| plans.contract().message_named(name));
                match known {
                    Some(id) => {
                        let name = format!("[{}]", plans.contract().message(id).full_name);
                        let below = way.named(&name);
                        if !below.ignored() {
                            self.message(id, bytes_of(&view), below, out)?;
                        }
                    }
                    None => put(bytes_of(&view), out),
                }
            }
            WellKnown::No
            | WellKnown::Struct
            | WellKnown::Value
            | WellKnown::ListValue
            | WellKnown::Empty
            | WellKnown::Wrapper
            | WellKnown::HttpBody => self.fields(id, &view, way, out)?,
        }
        for (number, wire_type, bytes) in &view.unknown {
            if !way.named(&format!("#{number}")).ignored() {
                out.extend_from_slice(&number.to_be_bytes());
                out.push(*wire_type);
                put(bytes, out);
            }
        }
        // No form is the beginning of another one.
        let length = (out.len() - start) as u32;
        out.extend_from_slice(&length.to_be_bytes());
        Ok(())
    }

    fn fields(
        &mut self,
        id: MessageId,
        view: &View<'_>,
        way: Way<'d>,
        out: &mut Vec<u8>,
    ) -> Result<(), Unreadable> {
        let contract = self.walk.differ.plans.contract();
        let message = contract.message(id);
        let hidden = !matches!(message.well_known, WellKnown::No | WellKnown::HttpBody);
        for (place, values) in &view.fields {
            let field = &message.fields[*place];
            let below = if hidden { way } else { way.named(&field.name) };
            if below.ignored() {
                continue;
            }
            if let Values::Singular(value) = values
                && field.presence == Presence::Implicit
                && field.kind.message().is_none()
            {
                let default = match field.kind {
                    Kind::Enum(id) => Value::Enum(contract.enumeration(id).default()),
                    kind => Value::default_of(kind),
                };
                if scalar::is_default(value, &default) {
                    continue;
                }
            }
            out.extend_from_slice(&field.number.to_be_bytes());
            match values {
                Values::Singular(value) => self.value(value, below, out)?,
                Values::Repeated(values) => {
                    out.extend_from_slice(&(values.len() as u32).to_be_bytes());
                    let mut forms = Vec::with_capacity(values.len());
                    for value in values {
                        forms.push(self.of(value, below)?);
                    }
                    let order = below.rule().and_then(|rule| rule.order.as_ref());
                    if matches!(order, Some(Order::Set | Order::Keyed(_))) {
                        forms.sort_unstable();
                    }
                    forms.iter().for_each(|form| put(form, out));
                }
                Values::Map(entries) => {
                    out.extend_from_slice(&(entries.len() as u32).to_be_bytes());
                    for (key, value) in entries {
                        let names = field.cardinality == Cardinality::Map && hidden;
                        let text = super::walk::map_key_text(key);
                        let below = if names { below.named(&text) } else { below };
                        if below.ignored() {
                            continue;
                        }
                        match key {
                            MapKey::Bool(key) => out.push(u8::from(*key)),
                            MapKey::Signed(key) => out.extend_from_slice(&key.to_be_bytes()),
                            MapKey::Unsigned(key) => out.extend_from_slice(&key.to_be_bytes()),
                            MapKey::Text(key) => put(key, out),
                        }
                        self.value(value, below, out)?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn put(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
    out.extend_from_slice(bytes);
}

fn bits(number: f64) -> [u8; 8] {
    // −0 + 0 is 0.
    let number = if number.is_nan() { f64::NAN } else { number + 0.0 };
    number.to_be_bytes()
}
