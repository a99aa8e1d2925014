//! Messages of a record by the contract: whether they are some, what of them may be kept, and which
//! fields they have.
//!
//! A value of a field that is `debug_redact` is replaced by one that tells nothing and is still
//! valid on the wire: texts and bytes by `redacted`, numbers by zero, messages by empty ones; lists
//! of numbers and maps go. What the contract does not know (other fields, an `Any` of another
//! contract) goes as well, for nobody can say that it is no secret. A message in which nothing of
//! that is stays as it is, byte for byte.
//!
//! Not here: values that are made (`crate::data`), JSON (`tandem_transcode`).

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use tandem_contract::fields::{put_bytes, put_varint, take, take_varint};
use tandem_contract::{Cardinality, Contract, Field, Kind, Message, MessageId, WellKnown};

use super::Fnv;

/// How deep messages may lie in each other: the limit of other parsers.
const DEPTH_MOST: u32 = 100;
/// How deep a path is told apart from others; below it fields count as those of their parent.
const PATH_MOST: u32 = 16;
/// In the place of a text.
const REDACTED: &[u8] = b"redacted";

/// Reads messages by a contract.
#[derive(Debug, Clone)]
pub struct Cleaner {
    contract: Arc<Contract>,
}

/// A message that may be written to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cleaned {
    bytes: Bytes,
    redacted: bool,
    paths: BTreeSet<u64>,
}

impl Cleaned {
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Whether it is another message than the one that was read.
    pub fn is_redacted(&self) -> bool {
        self.redacted
    }

    /// A number for each path of fields that it has, the same in all messages of its type.
    pub fn paths(&self) -> &BTreeSet<u64> {
        &self.paths
    }
}

/// Why bytes are no message of the type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct CleanFault {
    pub what: String,
}

impl Cleaner {
    pub fn new(contract: Arc<Contract>) -> Cleaner {
        Cleaner { contract }
    }

    /// Reads a message of type `id`.
    ///
    /// # Errors
    /// It is none.
    pub fn clean(&self, id: MessageId, message: &Bytes) -> Result<Cleaned, CleanFault> {
        let mut walk = Walk { contract: &self.contract, paths: BTreeSet::new() };
        let changed = walk.message(id, message, Way::TOP)?;
        let redacted = changed.is_some();
        let bytes = changed.map_or_else(|| message.clone(), Bytes::from);
        Ok(Cleaned { bytes, redacted, paths: walk.paths })
    }
}

struct Walk<'c> {
    contract: &'c Contract,
    paths: BTreeSet<u64>,
}

/// Where the walk is.
#[derive(Clone, Copy)]
struct Way {
    depth: u32,
    path: Fnv,
}

impl Way {
    const TOP: Way = Way { depth: 0, path: Fnv::NEW };

    fn below(self, number: u32) -> Way {
        let path = match self.depth < PATH_MOST {
            true => self.path.add(&number.to_le_bytes()),
            false => self.path,
        };
        Way { depth: self.depth + 1, path }
    }
}

/// A field as it stands on the wire.
struct Read<'a> {
    number: u32,
    wire: u8,
    /// All of it.
    whole: &'a [u8],
    /// Of a length-delimited field or a group: what is in it.
    inner: &'a [u8],
}

const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const DELIMITED: u8 = 2;
const GROUP: u8 = 3;
const GROUP_END: u8 = 4;
const FIXED32: u8 = 5;

fn fault(what: impl Into<String>) -> CleanFault {
    CleanFault { what: what.into() }
}

impl Walk<'_> {
    /// What it becomes; `None` where it may stay as it is.
    fn message(
        &mut self,
        id: MessageId,
        bytes: &[u8],
        way: Way,
    ) -> Result<Option<Vec<u8>>, CleanFault> {
        let contract = self.contract;
        let described = contract.message(id);
        if way.depth > DEPTH_MOST {
            return Err(fault(format!("messages lie in each other {DEPTH_MOST} times and more")));
        }
        if described.well_known == WellKnown::Any {
            return self.any(bytes, way);
        }
        let (mut out, mut changed, mut rest) = (Vec::with_capacity(bytes.len()), false, bytes);
        while !rest.is_empty() {
            let name = &described.full_name;
            let read = next(&mut rest, DEPTH_MOST)
                .ok_or_else(|| fault(format!("it is no {name}: a field is cut short")))?;
            // What nobody knows, nobody can vouch for.
            let Some((_, field)) = described.field_numbered(read.number) else {
                changed = true;
                continue;
            };
            changed |= self.field(described, field, &read, way, &mut out)?;
        }
        Ok(changed.then_some(out))
    }

    /// Writes what may stay of a field; whether that is something else.
    fn field(
        &mut self,
        of: &Message,
        field: &Field,
        read: &Read<'_>,
        way: Way,
        out: &mut Vec<u8>,
    ) -> Result<bool, CleanFault> {
        let (usual, is_packed) = (field.kind.wire_type(), read.wire == DELIMITED);
        let may_be_packed = field.cardinality == Cardinality::Repeated && field.kind.packable();
        if read.wire != usual && !(is_packed && may_be_packed) {
            let (name, kind) = (&field.name, field.kind.name());
            return Err(fault(format!(
                "it is no {}: `{name}` is {kind}, and does not stand there as one",
                of.full_name
            )));
        }
        if field.kind == Kind::String && field.utf8 && std::str::from_utf8(read.inner).is_err() {
            let name = &field.name;
            return Err(fault(format!("it is no {}: `{name}` is not UTF-8", of.full_name)));
        }
        let way = way.below(field.number);
        self.paths.insert(way.path.0);
        if field.redact {
            self.redacted(field, out);
            return Ok(true);
        }
        let Some(id) = field.kind.message() else {
            out.extend_from_slice(read.whole);
            return Ok(false);
        };
        match self.message(id, read.inner, way)? {
            None => out.extend_from_slice(read.whole),
            Some(inner) if read.wire == GROUP => {
                put_varint(u64::from(field.number) << 3 | u64::from(GROUP), out);
                out.extend_from_slice(&inner);
                put_varint(u64::from(field.number) << 3 | u64::from(GROUP_END), out);
                return Ok(true);
            }
            Some(inner) => {
                put_bytes(field.number, &inner, out);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A value that tells nothing.
    fn redacted(&self, field: &Field, out: &mut Vec<u8>) {
        let is_text = matches!(field.kind, Kind::String | Kind::Bytes);
        match field.cardinality {
            Cardinality::Map => return,
            Cardinality::Repeated if !is_text => return,
            Cardinality::Repeated | Cardinality::Singular => {}
        }
        let tag = |wire: u8| u64::from(field.number) << 3 | u64::from(wire);
        match field.kind {
            Kind::String | Kind::Bytes => put_bytes(field.number, REDACTED, out),
            Kind::Message(_) => put_bytes(field.number, b"", out),
            Kind::Group(_) => {
                put_varint(tag(GROUP), out);
                put_varint(tag(GROUP_END), out);
            }
            Kind::Enum(id) => {
                let first = self.contract.enumeration(id).values.first();
                put_varint(tag(VARINT), out);
                put_varint(first.map_or(0, |(_, value)| i64::from(*value)) as u64, out);
            }
            kind => {
                let wire = kind.wire_type();
                put_varint(tag(wire), out);
                let bytes = match wire {
                    FIXED64 => 8,
                    FIXED32 => 4,
                    _ => 1,
                };
                out.resize(out.len() + bytes, 0);
            }
        }
    }

    /// A `google.protobuf.Any`: what it holds by its own type, where the contract has that.
    fn any(&mut self, bytes: &[u8], way: Way) -> Result<Option<Vec<u8>>, CleanFault> {
        let (mut url, mut value, mut rest, mut odd): (&[u8], &[u8], _, _) =
            (b"", b"", bytes, false);
        while !rest.is_empty() {
            let read = next(&mut rest, DEPTH_MOST)
                .ok_or_else(|| fault("it holds an Any of which a field is cut short"))?;
            match (read.number, read.wire) {
                (1, DELIMITED) => url = read.inner,
                (2, DELIMITED) => value = read.inner,
                _ => odd = true,
            }
        }
        let name = std::str::from_utf8(url).ok().and_then(|url| url.rsplit('/').next());
        let known = name.and_then(|name| self.contract.message_named(name));
        let cleaned = match known {
            // Whoever unpacks it would fail, and that is his to say.
            Some(id) => self.message(id, value, way.below(2)).unwrap_or(Some(Vec::new())),
            None if value.is_empty() => None,
            None => Some(Vec::new()),
        };
        if cleaned.is_none() && !odd {
            return Ok(None);
        }
        let mut out = Vec::new();
        put_bytes(1, url, &mut out);
        put_bytes(2, cleaned.as_deref().unwrap_or(value), &mut out);
        Ok(Some(out))
    }
}

/// The next field; `None` where it is cut short, of an unknown wire type, or a group without end.
fn next<'a>(rest: &mut &'a [u8], depth: u32) -> Option<Read<'a>> {
    let from = *rest;
    let tag = take_varint(rest)?;
    let number = u32::try_from(tag >> 3).ok().filter(|number| *number > 0)?;
    let wire = (tag & 7) as u8;
    let mut inner: &[u8] = b"";
    match wire {
        VARINT => drop(take_varint(rest)?),
        FIXED64 => drop(take(rest, 8)?),
        FIXED32 => drop(take(rest, 4)?),
        DELIMITED => {
            let length = usize::try_from(take_varint(rest)?).ok()?;
            inner = take(rest, length)?;
        }
        GROUP => inner = group(rest, number, depth)?,
        _ => return None,
    }
    let whole = &from[..from.len() - rest.len()];
    Some(Read { number, wire, whole, inner })
}

/// What stands before the end of the group `number`; goes past that.
fn group<'a>(rest: &mut &'a [u8], number: u32, depth: u32) -> Option<&'a [u8]> {
    let depth = depth.checked_sub(1)?;
    let from = *rest;
    loop {
        let before = *rest;
        let tag = take_varint(&mut { before })?;
        if tag & 7 == u64::from(GROUP_END) {
            take_varint(rest)?;
            let is_its_own = tag >> 3 == u64::from(number);
            return is_its_own.then(|| &from[..from.len() - before.len()]);
        }
        next(rest, depth)?;
    }
}
