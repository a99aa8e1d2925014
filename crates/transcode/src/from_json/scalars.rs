//! Scalars of JSON: text, booleans, enums by name, integers in plain digits.
//!
//! What has another form (`1e3`, a number in a string, base64) goes the slower way of
//! `crate::scalar`.

use tandem_contract::Kind;

use super::Writer;
use crate::fault::Stop;
use crate::json;
use crate::plan::FieldPlan;
use crate::scalar::{self, Bits};
use crate::wire;

impl<'p> Writer<'p, '_> {
    /// One scalar. `false` when nothing is to stand in its place: an unknown enum name that the
    /// options let go (J-12).
    #[inline]
    pub(super) fn scalar(
        &mut self,
        field: &'p FieldPlan,
        form: Form,
        out: &mut Vec<u8>,
    ) -> Result<bool, Stop> {
        match field.kind {
            Kind::String => self.text(field, form, out).map(|()| true),
            Kind::Bool => {
                let value = match self.reader.peek() {
                    b't' | b'f' => self.reader.boolean()?,
                    _ => return Err(self.reader.unexpected("true or false").into()),
                };
                if value || form.keeps_default(field) {
                    form.put_tag(field, out);
                    out.push(u8::from(value));
                }
                Ok(true)
            }
            Kind::Enum(id) => {
                let plan = self.plans.enumeration(id);
                if self.reader.peek() != b'"' {
                    return self.number(field, form, out);
                }
                let at = self.reader.position();
                let mut scratch = std::mem::take(&mut self.scratch);
                self.reader.count()?;
                let plain = self.reader.quoted_into(&mut scratch)?;
                let name = plain.map_or(&*scratch, str::as_bytes);
                let number = plan.number(name);
                let Some(number) = number else {
                    if self.options.ignore_unknown {
                        return Ok(false);
                    }
                    let name = String::from_utf8_lossy(name);
                    return Err(scalar::unknown_name(plan, &name).at(at).into());
                };
                self.scratch = scratch;
                if number != 0 || form.keeps_default(field) {
                    form.put_tag(field, out);
                    wire::put_varint(i64::from(number) as u64, out);
                }
                Ok(true)
            }
            _ => self.number(field, form, out),
        }
    }

    #[inline]
    fn text(&mut self, field: &'p FieldPlan, form: Form, out: &mut Vec<u8>) -> Result<(), Stop> {
        if self.reader.peek() != b'"' {
            return Err(self.reader.unexpected("a string").into());
        }
        self.reader.count()?;
        let start = self.reader.position() + 1;
        match self.reader.plain_text() {
            Some(length) => {
                if length > 0 || form.keeps_default(field) {
                    form.put_tag(field, out);
                    wire::put_varint(length as u64, out);
                    json::put_front(self.reader.from(start), length, out);
                }
                Ok(())
            }
            None => self.escaped_text(field, form, out),
        }
    }

    #[inline(never)]
    fn escaped_text(
        &mut self,
        field: &FieldPlan,
        form: Form,
        out: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        let mut scratch = std::mem::take(&mut self.scratch);
        self.reader.quoted_into(&mut scratch)?;
        if !scratch.is_empty() || form.keeps_default(field) {
            form.put_tag(field, out);
            wire::put_varint(scratch.len() as u64, out);
            out.extend_from_slice(&scratch);
        }
        self.scratch = scratch;
        Ok(())
    }

    /// A number of any kind, in plain digits or in any other form.
    #[inline]
    fn number(
        &mut self,
        field: &'p FieldPlan,
        form: Form,
        out: &mut Vec<u8>,
    ) -> Result<bool, Stop> {
        let at = self.reader.position();
        let taken = match field.kind {
            Kind::Double => {
                let value = self.reader.plain_double().map(f64::to_bits);
                value.map(Bits::Fixed64)
            }
            Kind::Float | Kind::Bytes => None,
            Kind::Enum(id) => self
                .reader
                .plain_integer()
                .and_then(|(negative, magnitude)| Bits::integer(field.kind, negative, magnitude))
                .filter(|bits| self.plans.enumeration(id).has(bits.low32())),
            kind => {
                let quoted = self.reader.take(b'"');
                self.reader
                    .plain_integer()
                    .filter(|_| !quoted || self.reader.take(b'"'))
                    .and_then(|(negative, magnitude)| Bits::integer(kind, negative, magnitude))
            }
        };
        if let Some(bits) = taken {
            self.reader.count()?;
            if form.keeps_default(field) || !bits.is_zero() {
                form.put_tag(field, out);
                bits.put(out);
            }
            return Ok(true);
        }
        self.reader.back_to(at);
        self.other_number(field, form, out)
    }

    #[inline(never)]
    fn other_number(
        &mut self,
        field: &'p FieldPlan,
        form: Form,
        out: &mut Vec<u8>,
    ) -> Result<bool, Stop> {
        let value = scalar::from_json(self.plans, field.kind, &mut self.reader, self.options)?;
        let Some(value) = value else { return Ok(false) };
        if form.keeps_default(field) || !value.is_default() {
            form.put_tag(field, out);
            value.put(out);
        }
        Ok(true)
    }
}

/// How a scalar stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Alone: a default may be left out.
    Single,
    /// With its tag, whatever its value.
    Element,
    /// Without a tag.
    Packed,
}

impl Form {
    #[inline]
    fn keeps_default(self, field: &FieldPlan) -> bool {
        self != Form::Single || !field.implicit
    }

    #[inline]
    fn put_tag(self, field: &FieldPlan, out: &mut Vec<u8>) {
        if self != Form::Packed {
            field.put_tag(out);
        }
    }
}
