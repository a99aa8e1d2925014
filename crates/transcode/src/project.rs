//! Some fields of a message, chosen by their paths: as a key, as the message that a key stands for,
//! cut out, or kept alone.
//!
//! A path goes through lists and maps to each element and each value: `books.author.name` is the
//! name of every book's author. What a parser would read counts, not how it was written: the last
//! scalar and the last member of a oneof win, split messages merge, unknown fields and fields of a
//! wrong wire type are nothing.
//!
//! Work is linear in the message, times the levels of groups, which are measured before they are
//! entered. A message nested past the limit (security LI-13) is an error, and so are bytes that
//! are no message, for whoever would cache or log them must not guess.
//!
//! Not here: which fields are chosen, and what for (the cache, the log, the differ).

mod key;
mod message_of_key;
mod wire_fields;

use std::collections::BTreeMap;
use std::sync::Arc;

use tandem_contract::{Cardinality, Contract, Field, Kind, MessageId};

use self::wire_fields::{Oneofs, broken, fits, put_value};
use crate::fault::Fault;
use crate::limits::Limits;
use crate::plan::Plans;
use crate::wire::{self, Value};

/// Names of one path, at most.
const STEPS_MOST: usize = 32;

/// Chosen fields of one message type. Made once, used for any number of messages.
#[derive(Debug)]
pub struct Projection {
    contract: Arc<Contract>,
    chosen: Chosen,
    wire_depth: u32,
}

/// What is chosen of a message: field numbers, whole or in part.
#[derive(Debug)]
struct Chosen {
    message: MessageId,
    fields: BTreeMap<u32, Part>,
}

#[derive(Debug)]
enum Part {
    Whole,
    /// Of the message, of each element of the list, of each value of the map.
    Below(Chosen),
}

/// Which fields stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    Chosen,
    Others,
}

impl Projection {
    /// Chooses the fields at `paths`, by names of the file or of JSON with dots between them.
    ///
    /// # Errors
    /// A sentence about the first path that names no field.
    pub fn new(plans: &Plans, message: MessageId, paths: &[&str]) -> Result<Projection, String> {
        let contract = Arc::clone(plans.contract());
        let mut chosen = Chosen { message, fields: BTreeMap::new() };
        for path in paths {
            chosen.choose(&contract, path)?;
        }
        Ok(Projection { contract, chosen, wire_depth: Limits::default().wire_depth })
    }

    /// Appends bytes that are the same for two messages if, and only if, the chosen fields have
    /// the same values in both. No key is the beginning of another one, so that keys may stand
    /// behind each other.
    ///
    /// An unset parent and one whose chosen fields are unset are the same; floats are compared by
    /// their bits, `Any` by its bytes.
    ///
    /// # Errors
    /// When the bytes are no message or nest too deep; `out` is then as before.
    pub fn key(&self, wire: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        let start = out.len();
        let writer = key::Writer { contract: &self.contract, wire_depth: self.wire_depth };
        writer
            .message(self.chosen.message, Some(&self.chosen), &[wire], 1, out)
            .map(drop)
            .inspect_err(|_fault| out.truncate(start))
    }

    /// Whether each of `paths` names a field, as [`Projection::new`] would say.
    ///
    /// # Errors
    /// A sentence about the first path that names no field.
    pub fn check(contract: &Contract, message: MessageId, paths: &[&str]) -> Result<(), String> {
        let mut chosen = Chosen { message, fields: BTreeMap::new() };
        paths.iter().try_for_each(|path| chosen.choose(contract, path))
    }

    /// Chooses every field that the type has.
    pub fn all(plans: &Plans, message: MessageId) -> Projection {
        let contract = Arc::clone(plans.contract());
        let fields = &contract.message(message).fields;
        let fields = fields.iter().map(|field| (field.number, Part::Whole)).collect();
        let chosen = Chosen { message, fields };
        Projection { contract, chosen, wire_depth: Limits::default().wire_depth }
    }

    /// Appends the message that `key` stands for: what was chosen, as [`Projection::key`] saw it.
    /// One key gives one message, byte for byte, whichever message the key was made of.
    ///
    /// # Errors
    /// When `key` is none of this projection; `out` is then as before.
    pub fn message_of_key(&self, key: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        let start = out.len();
        let levels = self.wire_depth;
        let mut reader = message_of_key::Reader { contract: &self.contract, rest: key, levels };
        reader.message(self.chosen.message, out).inspect_err(|_fault| out.truncate(start))
    }

    /// The message without the chosen fields; everything else stays, unknown fields too.
    ///
    /// # Errors
    /// When the bytes are no message.
    pub fn without(&self, wire: &[u8]) -> Result<Vec<u8>, Fault> {
        self.cut(wire, Keep::Others)
    }

    /// The message with the chosen fields alone. Parents of chosen fields stay as they are set.
    ///
    /// # Errors
    /// When the bytes are no message.
    pub fn only(&self, wire: &[u8]) -> Result<Vec<u8>, Fault> {
        self.cut(wire, Keep::Chosen)
    }

    fn cut(&self, wire: &[u8], keep: Keep) -> Result<Vec<u8>, Fault> {
        let mut out = Vec::with_capacity(wire.len());
        self.cut_message(&self.chosen, wire, keep, &mut out)?;
        Ok(out)
    }

    /// Recursion follows the paths, not the bytes.
    fn cut_message(
        &self,
        chosen: &Chosen,
        bytes: &[u8],
        keep: Keep,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let message = self.contract.message(chosen.message);
        // A member that another one took the place of must not come back when that one is cut.
        let mut oneofs = Oneofs::default();
        for (place, field) in wire::each(bytes, self.wire_depth).enumerate() {
            let (number, value) = field.map_err(broken)?;
            if let Some((_, field)) = message.field_numbered(number)
                && let Some(oneof) = field.oneof
                && fits(&self.contract, field, &value)
            {
                oneofs.set(oneof, number, place);
            }
        }
        // The parts of a message are joined before it is cut, for the same reason.
        let mut parts: BTreeMap<u32, Vec<&[u8]>> = BTreeMap::new();
        for (place, read) in wire::each(bytes, self.wire_depth).enumerate() {
            let (number, value) = read.map_err(broken)?;
            let field = message.field_numbered(number).map(|(_, field)| field);
            if field.is_some_and(|field| oneofs.is_lost(field, place)) {
                continue;
            }
            match (chosen.fields.get(&number), field, keep) {
                (None, _, Keep::Others) => put_value(number, value, out),
                (None, _, Keep::Chosen) | (Some(Part::Whole), _, Keep::Others) => {}
                (Some(_), Some(field), _) if !fits(&self.contract, field, &value) => {}
                (Some(Part::Whole), _, Keep::Chosen) => put_value(number, value, out),
                (Some(Part::Below(below)), Some(field), _) => {
                    let (Value::Bytes(inner) | Value::Group(inner)) = value else { continue };
                    match field.cardinality {
                        Cardinality::Singular => parts.entry(number).or_default().push(inner),
                        Cardinality::Repeated => {
                            put_around(field.number, field.kind, out, |out| {
                                self.cut_message(below, inner, keep, out)
                            })?
                        }
                        Cardinality::Map => put_around(field.number, field.kind, out, |out| {
                            self.cut_entry(below, field, inner, keep, out)
                        })?,
                    }
                }
                (Some(Part::Below(_)), None, _) => {}
            }
        }
        for (number, parts) in parts {
            let (Some(Part::Below(below)), Some((_, field))) =
                (chosen.fields.get(&number), message.field_numbered(number))
            else {
                continue;
            };
            put_around(number, field.kind, out, |out| match &parts[..] {
                [whole] => self.cut_message(below, whole, keep, out),
                parts => self.cut_message(below, &parts.concat(), keep, out),
            })?;
        }
        Ok(())
    }

    /// An entry of a map keeps its key; its value is cut.
    fn cut_entry(
        &self,
        below: &Chosen,
        map: &Field,
        entry: &[u8],
        keep: Keep,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let Some(types) = map.kind.message().map(|id| self.contract.message(id)) else {
            return Ok(());
        };
        let value_kind = types.field_numbered(2).map(|(_, field)| field.kind);
        let mut parts = Vec::new();
        for field in wire::each(entry, self.wire_depth) {
            match (field.map_err(broken)?, value_kind) {
                ((2, Value::Bytes(inner)), Some(Kind::Message(_)))
                | ((2, Value::Group(inner)), Some(Kind::Group(_))) => parts.push(inner),
                ((2, _), _) => {}
                ((number, value), _) => put_value(number, value, out),
            }
        }
        let (Some(kind), false) = (value_kind, parts.is_empty()) else { return Ok(()) };
        put_around(2, kind, out, |out| self.cut_message(below, &parts.concat(), keep, out))
    }
}

impl Chosen {
    fn choose(&mut self, contract: &Contract, path: &str) -> Result<(), String> {
        let mut chosen = self;
        let mut names = path.split('.').peekable();
        for _ in 0..STEPS_MOST {
            let Some(name) = names.next() else { break };
            let message = contract.message(chosen.message);
            let Some((_, field)) = message.field_named(name) else {
                return Err(format!("`{path}`: `{}` has no field `{name}`", message.full_name));
            };
            if names.peek().is_none() {
                chosen.fields.insert(field.number, Part::Whole);
                return Ok(());
            }
            let below = below_of(contract, field)
                .ok_or_else(|| format!("`{path}`: `{name}` has no fields of its own"))?;
            let part = chosen
                .fields
                .entry(field.number)
                .or_insert_with(|| Part::Below(Chosen { message: below, fields: BTreeMap::new() }));
            match part {
                Part::Below(below) => chosen = below,
                // It is chosen already, with everything in it.
                Part::Whole => return Chosen::new(below).choose_rest(contract, path, names),
            }
        }
        Err(format!("`{path}` has more than {STEPS_MOST} names"))
    }

    fn new(message: MessageId) -> Chosen {
        Chosen { message, fields: BTreeMap::new() }
    }

    /// Checks the names of a path whose beginning was chosen before.
    fn choose_rest<'p>(
        mut self,
        contract: &Contract,
        path: &str,
        names: impl Iterator<Item = &'p str>,
    ) -> Result<(), String> {
        let rest: Vec<&str> = names.collect();
        self.choose(contract, &rest.join(".")).map_err(|what| format!("`{path}`: {what}"))
    }
}

/// The message whose fields a path may name below `field`: of a map the type of its values.
fn below_of(contract: &Contract, field: &Field) -> Option<MessageId> {
    let message = field.kind.message()?;
    if field.cardinality == Cardinality::Map {
        let (_, value) = contract.message(message).field_numbered(2)?;
        return value.kind.message();
    }
    Some(message)
}

/// Appends a message field whose contents `fill` writes.
fn put_around(
    number: u32,
    kind: Kind,
    out: &mut Vec<u8>,
    fill: impl FnOnce(&mut Vec<u8>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    if matches!(kind, Kind::Group(_)) {
        wire::put_tag(number, 3, out);
        fill(out)?;
        wire::put_tag(number, 4, out);
        return Ok(());
    }
    wire::put_tag(number, 2, out);
    let start = out.len();
    fill(out)?;
    let end = out.len();
    // The length is written behind the contents, then both change places.
    wire::put_varint((end - start) as u64, out);
    let length_bytes = out.len() - end;
    out[start..].rotate_right(length_bytes);
    Ok(())
}
