//! The field mask of a PATCH, from the keys that its body has (protocols I-7).
//!
//! Keys are named as the file names them, down to lists, maps and messages with a JSON form of
//! their own, which count as a whole. `null` and empty objects are named too: they say that a
//! field is to be empty.

use tandem_contract::{Cardinality, Contract, MessageId, WellKnown};

use super::text::{Step, TextValue, field_of};
use crate::fault::{Fault, Stop};
use crate::json::{Next, Reader};
use crate::limits::Limits;
use crate::wire;

/// Bytes of a mask that is filled, at most. Each path repeats the names of its parents, so a mask
/// can be many times as long as the body that it is read from.
const MASK_BYTES_MOST: usize = 64 << 10;

/// Appends the mask of `body`, a JSON object of the type `message` that has been converted
/// before.
pub(super) fn put_mask(
    contract: &Contract,
    mask: Step,
    message: MessageId,
    body: &[u8],
    limits: &Limits,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    let mut reader = Reader::new(body, limits)?;
    let mut keys = Keys { contract, path: String::new(), mask: Vec::new() };
    keys.of_object(message, &mut reader)
        .map_err(|fault| fault.within(&field_of(contract, mask).name))?;
    TextValue::Message(keys.mask).put(contract, &[mask], out);
    Ok(())
}

struct Keys<'a> {
    contract: &'a Contract,
    /// Names down to the object that is read, a dot behind each.
    path: String,
    /// The fields of the mask.
    mask: Vec<u8>,
}

impl Keys<'_> {
    fn of_object(&mut self, id: MessageId, reader: &mut Reader<'_>) -> Result<(), Stop> {
        let message = self.contract.message(id);
        if reader.next()? != Next::Object {
            return Err(reader.unexpected("an object").into());
        }
        reader.object(|reader, key| {
            // An unknown key that may be ignored is no path either.
            let Some((_, field)) = message.field_named(&key) else { return reader.skip() };
            if field.extension {
                let name = &field.name;
                let reason = format!("{name} has no path in a mask; give the mask");
                return Err(reader.stop(&reason));
            }
            let parents = self.path.len();
            self.path.push_str(&field.name);
            let nested = field.kind.message().filter(|id| {
                field.cardinality == Cardinality::Singular
                    && self.contract.message(*id).well_known == WellKnown::No
            });
            match nested {
                Some(id) if reader.next()? == Next::Object => {
                    let (before, end) = (self.mask.len(), self.path.len());
                    self.path.push('.');
                    self.of_object(id, reader)?;
                    self.path.truncate(end);
                    // An empty object says that the message is to be empty.
                    if self.mask.len() == before {
                        self.put(reader)?;
                    }
                }
                _ => {
                    self.put(reader)?;
                    reader.skip()?;
                }
            }
            self.path.truncate(parents);
            Ok(())
        })
    }

    fn put(&mut self, reader: &Reader<'_>) -> Result<(), Stop> {
        wire::put_bytes(1, self.path.as_bytes(), &mut self.mask);
        if self.mask.len() > MASK_BYTES_MOST {
            let reason =
                format!("filled from the body it has more than {MASK_BYTES_MOST} bytes; give it");
            return Err(reader.stop(&reason));
        }
        Ok(())
    }
}
