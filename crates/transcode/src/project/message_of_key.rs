//! The message that a key stands for: the chosen fields with their values, and nothing else.
//!
//! It is read off the key, not off the message that the key was made of, so two messages with one
//! key give the same bytes. Unknown fields, and fields that were not chosen, are in neither.
//!
//! Not here: how a key is written (`key`).

use tandem_contract::{Cardinality, Contract, Field, Kind, MessageId};

use super::put_around;
use crate::fault::Fault;
use crate::wire;

/// Reads a key once, from its beginning.
pub(super) struct Reader<'k> {
    pub(super) contract: &'k Contract,
    pub(super) rest: &'k [u8],
    /// Messages that may still be entered.
    pub(super) levels: u32,
}

impl Reader<'_> {
    /// Appends the message that comes next.
    ///
    /// # Errors
    /// When the bytes are no key of this type; keys are ours, so whoever sees this has mixed two.
    pub(super) fn message(&mut self, id: MessageId, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.levels = self.levels.checked_sub(1).ok_or_else(no_key)?;
        loop {
            let number = self.varint()?;
            if number == 0 {
                self.levels += 1;
                return Ok(());
            }
            let number = u32::try_from(number).map_err(|_error| no_key())?;
            let contract = self.contract;
            let field = contract.message(id).field_numbered(number).ok_or_else(no_key)?.1;
            self.field(field, out)?;
        }
    }

    fn field(&mut self, field: &Field, out: &mut Vec<u8>) -> Result<(), Fault> {
        let Field { number, kind, .. } = *field;
        match (field.cardinality, kind.message()) {
            (Cardinality::Singular, None) => self.scalar(number, kind, out),
            (Cardinality::Singular, Some(id)) => {
                put_around(number, kind, out, |out| self.message(id, out))
            }
            (Cardinality::Repeated, None) if field.packed && kind.packable() => {
                put_around(number, Kind::Bytes, out, |out| {
                    while self.another()? {
                        self.bare(kind, out)?;
                    }
                    Ok(())
                })
            }
            (Cardinality::Repeated | Cardinality::Map, None) => {
                while self.another()? {
                    self.scalar(number, kind, out)?;
                }
                Ok(())
            }
            (Cardinality::Repeated, Some(id)) => {
                while self.another()? {
                    put_around(number, kind, out, |out| self.message(id, out))?;
                }
                Ok(())
            }
            (Cardinality::Map, Some(entry)) => {
                while self.another()? {
                    put_around(number, kind, out, |out| self.entry(entry, out))?;
                }
                Ok(())
            }
        }
    }

    fn entry(&mut self, entry: MessageId, out: &mut Vec<u8>) -> Result<(), Fault> {
        let types = self.contract.message(entry);
        let kind = |number| types.field_numbered(number).map(|(_, field)| field.kind);
        let (key, value) = (kind(1).ok_or_else(no_key)?, kind(2).ok_or_else(no_key)?);
        self.scalar(1, key, out)?;
        match value.message() {
            Some(id) => put_around(2, value, out, |out| self.message(id, out)),
            None => self.scalar(2, value, out),
        }
    }

    /// Whether one more element follows.
    fn another(&mut self) -> Result<bool, Fault> {
        match self.varint()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(no_key()),
        }
    }

    fn scalar(&mut self, number: u32, kind: Kind, out: &mut Vec<u8>) -> Result<(), Fault> {
        wire::put_tag(number, kind.wire_type(), out);
        self.bare(kind, out)
    }

    fn bare(&mut self, kind: Kind, out: &mut Vec<u8>) -> Result<(), Fault> {
        match kind.wire_type() {
            1 => out.extend_from_slice(self.take(8)?),
            5 => out.extend_from_slice(self.take(4)?),
            2 => {
                let bytes = self.varint()?;
                wire::put_varint(bytes, out);
                let bytes = usize::try_from(bytes).map_err(|_error| no_key())?;
                out.extend_from_slice(self.take(bytes)?);
            }
            _ => wire::put_varint(self.varint()?, out),
        }
        Ok(())
    }

    fn varint(&mut self) -> Result<u64, Fault> {
        wire::varint(&mut self.rest).ok_or_else(no_key)
    }

    fn take(&mut self, bytes: usize) -> Result<&[u8], Fault> {
        let (taken, rest) = self.rest.split_at_checked(bytes).ok_or_else(no_key)?;
        self.rest = rest;
        Ok(taken)
    }
}

fn no_key() -> Fault {
    Fault::caller("the bytes are no key of this message")
}
