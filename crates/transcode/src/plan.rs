//! A contract compiled for conversion: what each message needs on both ways, in flat tables.
//!
//! Made once for a contract and shared by pointer; conversions only read it. Fields are found by
//! number in a dense array (a hash table above 255), by name in an open table of fingerprints;
//! the whole text `"name":` stands ready to be compared with and to be copied.
//!
//! Not here: what is done by it (`from_json`, `to_json`).

use std::collections::HashMap;
use std::sync::Arc;

use tandem_contract::{
    Cardinality, Contract, EnumId, Enumeration, Field, Kind, Message, MessageId, Presence,
    WellKnown,
};

use crate::{json, wire};

/// The plans of all messages of one contract. Immutable.
#[derive(Debug)]
pub struct Plans {
    contract: Arc<Contract>,
    messages: Vec<MessagePlan>,
    enums: Vec<EnumPlan>,
}

impl Plans {
    /// Compiles every message of `contract`. Takes time and memory in proportion to its fields
    /// (about 250 bytes each): made off the request path, kept beside the contract.
    pub fn new(contract: Arc<Contract>) -> Plans {
        let messages = contract.messages().map(|message| MessagePlan::new(&contract, message));
        let enums = contract.enumerations().map(EnumPlan::new);
        Plans { messages: messages.collect(), enums: enums.collect(), contract }
    }

    /// The contract that the plans were made from.
    pub fn contract(&self) -> &Arc<Contract> {
        &self.contract
    }

    #[inline]
    pub(crate) fn message(&self, id: MessageId) -> &MessagePlan {
        &self.messages[id.0 as usize]
    }

    #[inline]
    pub(crate) fn enumeration(&self, id: EnumId) -> &EnumPlan {
        &self.enums[id.0 as usize]
    }
}

/// One message. Its fields have the places that they have in the contract.
#[derive(Debug)]
pub(crate) struct MessagePlan {
    pub(crate) fields: Box<[FieldPlan]>,
    pub(crate) well_known: WellKnown,
    /// The message of a map's entries.
    pub(crate) map_entry: bool,
    pub(crate) full_name: Box<str>,
    pub(crate) oneofs: Box<[Box<str>]>,
    /// Place of the field by number, plus one; 0 for none.
    dense: Box<[u32]>,
    sparse: HashMap<u32, u32>,
    names: NameTable,
}

impl MessagePlan {
    fn new(contract: &Contract, message: &Message) -> MessagePlan {
        let fields: Box<[FieldPlan]> = message
            .fields
            .iter()
            .enumerate()
            .map(|(place, field)| FieldPlan::new(contract, message, place as u32, field))
            .collect();
        let mut dense = Vec::new();
        let mut sparse = HashMap::new();
        for (place, field) in fields.iter().enumerate() {
            let place = place as u32 + 1;
            if field.number < 256 {
                let slot = field.number as usize;
                dense.resize(dense.len().max(slot + 1), 0);
                if dense[slot] == 0 {
                    dense[slot] = place;
                }
            } else {
                sparse.entry(field.number).or_insert(place);
            }
        }
        // Names of JSON first: where a name of the file is the JSON name of another field, that
        // field is meant.
        let all = || message.fields.iter().enumerate();
        let json_names = all().map(|(place, field)| (field.json_name.as_bytes(), place as u32));
        let names = all().map(|(place, field)| (field.name.as_bytes(), place as u32));
        MessagePlan {
            names: NameTable::new(json_names.chain(names)),
            fields,
            well_known: message.well_known,
            map_entry: message.map_entry,
            full_name: message.full_name.clone(),
            oneofs: message.oneofs.as_slice().into(),
            dense: dense.into(),
            sparse,
        }
    }

    #[inline]
    pub(crate) fn numbered(&self, number: u32) -> Option<&FieldPlan> {
        let place = match self.dense.get(number as usize) {
            Some(place) => *place,
            None if number < 256 => 0,
            None => self.sparse.get(&number).copied().unwrap_or(0),
        };
        self.fields.get((place as usize).wrapping_sub(1))
    }

    #[inline]
    pub(crate) fn named(&self, name: &[u8]) -> Option<&FieldPlan> {
        self.names.find(name).map(|place| &self.fields[place as usize])
    }
}

/// How values of a field stand together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Singular,
    Repeated,
    /// Places of key and value in the message of the entries.
    Map {
        key: u32,
        value: u32,
    },
}

/// One field.
#[derive(Debug)]
pub(crate) struct FieldPlan {
    /// In the list of its message.
    pub(crate) place: u32,
    pub(crate) number: u32,
    pub(crate) kind: Kind,
    pub(crate) shape: Shape,
    /// Written packed.
    pub(crate) packed: bool,
    /// A default is not written.
    pub(crate) implicit: bool,
    /// Texts must be UTF-8 on the wire.
    pub(crate) utf8: bool,
    /// `null` is a value of the kind; of a singular field it is then no absence.
    pub(crate) takes_null: bool,
    /// Slot of its oneof among the seen bits: behind those of the fields.
    pub(crate) oneof: Option<u32>,
    /// What remembers the width of the last length of this field.
    pub(crate) width_slot: u8,
    /// The tag of one value: of the packed run where values are packed.
    pub(crate) tag: u32,
    tag_bytes: [u8; 5],
    tag_len: u8,
    /// `"jsonName":`
    pub(crate) json_key: KeyText,
    /// `"name_of_the_file":`
    pub(crate) name_key: Box<[u8]>,
}

impl FieldPlan {
    fn new(contract: &Contract, message: &Message, place: u32, field: &Field) -> FieldPlan {
        let shape = match (field.cardinality, field.kind) {
            (Cardinality::Singular, _) => Shape::Singular,
            (Cardinality::Map, Kind::Message(id)) => {
                let entry = contract.message(id);
                match (entry.field_numbered(1), entry.field_numbered(2)) {
                    (Some((key, _)), Some((value, _))) => {
                        Shape::Map { key: key as u32, value: value as u32 }
                    }
                    // Entries without key or value are messages like others.
                    _ => Shape::Repeated,
                }
            }
            (Cardinality::Repeated | Cardinality::Map, _) => Shape::Repeated,
        };
        let packed = field.packed && shape == Shape::Repeated;
        let wire_type = if packed { 2 } else { field.kind.wire_type() };
        let tag = field.number << 3 | u32::from(wire_type);
        let mut encoded = Vec::with_capacity(5);
        wire::put_varint(tag.into(), &mut encoded);
        let mut tag_bytes = [0; 5];
        tag_bytes[..encoded.len()].copy_from_slice(&encoded);
        let slots = message.fields.len() as u32;
        FieldPlan {
            place,
            number: field.number,
            kind: field.kind,
            shape,
            packed,
            implicit: field.presence == Presence::Implicit && shape == Shape::Singular,
            utf8: field.utf8,
            takes_null: takes_null(contract, field.kind),
            oneof: field.oneof.map(|oneof| slots + oneof),
            // Fields that share one disturb each other's guess and nothing else.
            width_slot: (place.wrapping_mul(31) ^ field.number ^ slots) as u8 % WIDTH_SLOTS,
            tag,
            tag_bytes,
            tag_len: encoded.len() as u8,
            json_key: KeyText::new(&key_text(&field.json_name)),
            name_key: key_text(&field.name).into(),
        }
    }

    /// Appends the tag of a value.
    #[inline]
    pub(crate) fn put_tag(&self, out: &mut Vec<u8>) {
        if self.tag_len == 1 {
            out.push(self.tag_bytes[0]);
        } else {
            out.extend_from_slice(&self.tag_bytes[..usize::from(self.tag_len)]);
        }
    }

    /// Whether the bytes begin with the tag; its length.
    #[inline]
    pub(crate) fn tag_at(&self, bytes: &[u8]) -> Option<usize> {
        if self.tag_len == 1 {
            return (bytes.first() == Some(&self.tag_bytes[0])).then_some(1);
        }
        let length = usize::from(self.tag_len);
        bytes.starts_with(&self.tag_bytes[..length]).then_some(length)
    }
}

/// Widths that a conversion remembers.
pub(crate) const WIDTH_SLOTS: u8 = 64;

/// Whether `null` is a value of the kind: of `Value` and `NullValue`.
fn takes_null(contract: &Contract, kind: Kind) -> bool {
    match kind {
        Kind::Message(id) | Kind::Group(id) => contract.message(id).well_known == WellKnown::Value,
        Kind::Enum(id) => &*contract.enumeration(id).full_name == "google.protobuf.NullValue",
        _ => false,
    }
}

fn key_text(name: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(name.len() + 3);
    json::put_string(name, &mut key);
    key.push(b':');
    key
}

/// `"name":`, with its first and last eight bytes as words, so that the keys that come in order
/// are compared without a call.
#[derive(Debug)]
pub(crate) struct KeyText {
    pub(crate) text: Box<[u8]>,
    /// The text, and zeros, where it has at most 32 bytes.
    padded: [u8; 32],
    head: u64,
    head_mask: u64,
    tail: u64,
}

impl KeyText {
    fn new(text: &[u8]) -> KeyText {
        let word = |bytes: &[u8]| {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            u64::from_le_bytes(word)
        };
        let head = &text[..text.len().min(8)];
        let mut padded = [0; 32];
        if text.len() <= 32 {
            padded[..text.len()].copy_from_slice(text);
        }
        KeyText {
            head: word(head),
            head_mask: word(&vec![0xff; head.len()]),
            tail: word(&text[text.len() - head.len()..]),
            text: text.into(),
            padded,
        }
    }

    /// Appends the key: for most a copy of fixed size, which is no call.
    #[inline]
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        let length = self.text.len();
        let end = out.len() + length;
        if length <= 16 {
            out.extend_from_slice(&self.padded[..16]);
        } else if length <= 32 {
            out.extend_from_slice(&self.padded);
        } else {
            out.extend_from_slice(&self.text);
        }
        out.truncate(end);
    }

    /// Whether `bytes` begin with the key.
    #[inline]
    pub(crate) fn begins(&self, bytes: &[u8]) -> bool {
        let length = self.text.len();
        let Some(head) = bytes.first_chunk::<8>() else { return bytes.starts_with(&self.text) };
        if u64::from_le_bytes(*head) & self.head_mask != self.head {
            return false;
        }
        if length <= 8 {
            return true;
        }
        let tail = bytes.get(length - 8..).and_then(<[u8]>::first_chunk::<8>);
        tail.is_some_and(|tail| u64::from_le_bytes(*tail) == self.tail)
            && (length <= 16 || bytes[8..length - 8] == self.text[8..length - 8])
    }
}

/// One enum.
#[derive(Debug)]
pub(crate) struct EnumPlan {
    pub(crate) full_name: Box<str>,
    /// Numbers outside the list are no values of it.
    pub(crate) closed: bool,
    pub(crate) null_value: bool,
    /// `"NAME"` and its number; of several names of a number the first.
    quoted: Box<[Box<[u8]>]>,
    numbers: Box<[i32]>,
    names: NameTable,
    /// Place in `quoted` of the numbers 0 to 63, plus one.
    dense: [u32; 64],
    sparse: HashMap<i32, u32>,
}

impl EnumPlan {
    fn new(enumeration: &Enumeration) -> EnumPlan {
        let mut dense = [0; 64];
        let mut sparse = HashMap::new();
        let mut quoted = Vec::with_capacity(enumeration.values.len());
        for (place, (name, number)) in enumeration.values.iter().enumerate() {
            let place = place as u32 + 1;
            let mut text = Vec::with_capacity(name.len() + 2);
            json::put_string(name, &mut text);
            quoted.push(text.into_boxed_slice());
            match usize::try_from(*number).ok().and_then(|number| dense.get_mut(number)) {
                Some(first) if *first == 0 => *first = place,
                Some(_) => {}
                None => {
                    sparse.entry(*number).or_insert(place);
                }
            }
        }
        let names = enumeration.values.iter().enumerate();
        EnumPlan {
            full_name: enumeration.full_name.clone(),
            closed: enumeration.closed,
            null_value: &*enumeration.full_name == "google.protobuf.NullValue",
            names: NameTable::new(names.map(|(place, (name, _))| (name.as_bytes(), place as u32))),
            quoted: quoted.into(),
            numbers: enumeration.values.iter().map(|(_, number)| *number).collect(),
            dense,
            sparse,
        }
    }

    /// `"NAME"` of a number.
    #[inline]
    pub(crate) fn quoted(&self, number: i32) -> Option<&[u8]> {
        let place = match usize::try_from(number).ok().and_then(|number| self.dense.get(number)) {
            Some(place) => *place,
            None => self.sparse.get(&number).copied().unwrap_or(0),
        };
        self.quoted.get((place as usize).wrapping_sub(1)).map(|text| &**text)
    }

    /// Whether the number is a value: any is, unless the enum is closed.
    #[inline]
    pub(crate) fn has(&self, number: i32) -> bool {
        !self.closed || self.quoted(number).is_some()
    }

    #[inline]
    pub(crate) fn number(&self, name: &[u8]) -> Option<i32> {
        self.names.find(name).map(|place| self.numbers[place as usize])
    }

    /// The value of an unset field: the first of the list.
    pub(crate) fn default(&self) -> i32 {
        self.numbers.first().copied().unwrap_or(0)
    }
}

/// Names → places. An open table of fingerprints with the names in one run of bytes.
///
/// The fingerprint is made of a name's ends and length, which is cheap and can be made to
/// collide; a set of names that does, by accident or by intent, goes into a table of the standard
/// library instead, whose hash is keyed.
#[derive(Debug)]
struct NameTable {
    entries: Box<[NameEntry]>,
    names: Box<[u8]>,
    keyed: HashMap<Box<[u8]>, u32>,
}

#[derive(Debug, Clone, Copy)]
struct NameEntry {
    fingerprint: u32,
    from: u32,
    length: u32,
    /// Plus one; 0 for an empty entry.
    place: u32,
}

/// Entries that a look-up may pass by.
const PROBES_MOST: usize = 8;

impl NameTable {
    /// Of names given twice the first counts.
    fn new<'a>(names: impl Iterator<Item = (&'a [u8], u32)>) -> NameTable {
        let names: Vec<_> = names.collect();
        let empty = NameEntry { fingerprint: 0, from: 0, length: 0, place: 0 };
        let mut entries = vec![empty; (names.len() * 2 + 2).next_power_of_two()];
        let mask = entries.len() - 1;
        let mut bytes: Vec<u8> = Vec::new();
        for (name, place) in &names {
            let print = fingerprint(name);
            let mut at = print as usize & mask;
            let mut probes = 0;
            loop {
                let entry = &mut entries[at];
                if entry.place == 0 {
                    let from = bytes.len() as u32;
                    bytes.extend_from_slice(name);
                    let length = name.len() as u32;
                    *entry = NameEntry { fingerprint: print, from, length, place: place + 1 };
                    break;
                }
                let known = entry.from as usize..(entry.from + entry.length) as usize;
                if bytes[known] == **name {
                    break;
                }
                probes += 1;
                if probes == PROBES_MOST {
                    return NameTable::keyed(&names);
                }
                at = (at + 1) & mask;
            }
        }
        NameTable { entries: entries.into(), names: bytes.into(), keyed: HashMap::new() }
    }

    fn keyed(names: &[(&[u8], u32)]) -> NameTable {
        let mut keyed = HashMap::new();
        for (name, place) in names {
            keyed.entry((*name).into()).or_insert(*place);
        }
        NameTable { entries: Box::default(), names: Box::default(), keyed }
    }

    #[inline]
    fn find(&self, name: &[u8]) -> Option<u32> {
        if self.entries.is_empty() {
            return self.keyed.get(name).copied();
        }
        let mask = self.entries.len() - 1;
        let print = fingerprint(name);
        let mut at = print as usize & mask;
        for _ in 0..PROBES_MOST {
            let entry = &self.entries[at];
            if entry.place == 0 {
                return None;
            }
            if entry.fingerprint == print && entry.length as usize == name.len() {
                let from = entry.from as usize;
                if self.names.get(from..from + name.len()) == Some(name) {
                    return Some(entry.place - 1);
                }
            }
            at = (at + 1) & mask;
        }
        None
    }
}

#[inline]
fn fingerprint(name: &[u8]) -> u32 {
    let word = match (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        (Some(head), Some(tail)) => {
            u64::from_le_bytes(*head) ^ u64::from_le_bytes(*tail).rotate_left(29)
        }
        _ => match (name.first_chunk::<4>(), name.last_chunk::<4>()) {
            (Some(head), Some(tail)) => {
                u64::from(u32::from_le_bytes(*head)) | u64::from(u32::from_le_bytes(*tail)) << 32
            }
            _ => name.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)),
        },
    };
    // Fibonacci hashing (Knuth, volume 3, section 6.4): the high bits of the product.
    ((word ^ name.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_whatever_their_length_and_strangers_are_not() {
        let names: Vec<String> =
            (1..600).map(|number| "n".repeat(number % 40) + &number.to_string()).collect();
        let table = NameTable::new(
            names.iter().enumerate().map(|(place, name)| (name.as_bytes(), place as u32)),
        );
        for (place, name) in names.iter().enumerate() {
            assert_eq!(table.find(name.as_bytes()), Some(place as u32), "{name}");
            assert_eq!(table.find(format!("{name}x").as_bytes()), None);
        }
        assert_eq!(table.find(b""), None);
    }

    #[test]
    fn names_made_to_collide_are_found_by_a_keyed_hash() {
        // Equal ends, equal length: one fingerprint for all.
        let names: Vec<String> = (0..1000).map(|n| format!("abcdefgh{n:06}ijklmnop")).collect();
        let table = NameTable::new(
            names.iter().enumerate().map(|(place, name)| (name.as_bytes(), place as u32)),
        );
        assert_eq!(table.keyed.len(), 1000);
        assert_eq!(table.find(b"abcdefgh000777ijklmnop"), Some(777));
        assert_eq!(table.find(b"abcdefgh001000ijklmnop"), None);
    }

    #[test]
    fn a_key_is_recognised_by_its_whole_text() {
        for name in ["a", "abcd", "abcde", "abcdefgh", "abcdefghijklm", "abcdefghijklmnopqrstuvw"] {
            let key = KeyText::new(&key_text(name));
            let text = format!("\"{name}\":1");
            assert!(key.begins(text.as_bytes()), "{name}");
            assert!(key.begins(format!("{text},\"more\":2}}").as_bytes()), "{name}");
            for place in 0..text.len() - 1 {
                let mut other = format!("{text},\"more\":2}}").into_bytes();
                other[place] ^= 1;
                assert!(!key.begins(&other), "{name} at {place}");
            }
            assert!(!key.begins(&text.as_bytes()[..text.len() - 2]), "{name}");
        }
    }
}
