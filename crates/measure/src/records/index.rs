//! The index of our own files: what is in them, without unpacking it.
//!
//! It stands in a skippable frame at the end (RFC 8878, section 3.1.2), which readers of zstd pass
//! over. Behind its contents stand their length and a mark again, so that it is found from the end.
//! It is a protobuf message:
//!
//! | number | of | holds |
//! |---|---|---|
//! | 1 | index | text, many: names of methods |
//! | 2 | index | message, many: calls in their order |
//! | 3 | index | number: calls in which something was redacted |
//! | 4 | index | number: calls that were left out because the file would have become too large |
//! | 5 | index | number: bytes of the entries, unpacked |
//! | 1, 2, 3, 4, 5 | call | number of its method, its moment in nanoseconds since 1970 (0 without), hash of its request, bytes of its messages, number of its frame |
//! | 6 | call | its status and one (0 without) |

use std::time::Duration;

use tandem_contract::fields::{self, put_bytes, put_number};

/// First bytes of a file of ours: a skippable frame with these contents.
pub(super) const MARK: &[u8; 16] = b"tandem records 1";
/// RFC 8878: a frame that readers skip.
pub(super) const SKIPPABLE: [u8; 4] = [0x50, 0x2a, 0x4d, 0x18];
/// The length of the contents, and the mark.
const TAIL: usize = 8 + MARK.len();

/// What a file of ours says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Index {
    pub methods: Vec<String>,
    pub calls: Vec<IndexedCall>,
    /// Calls in which something was redacted.
    pub redacted: u64,
    /// Calls that were left out because the file would have become too large.
    pub left_out: u64,
    /// Of all entries, unpacked.
    pub plain_bytes: u64,
}

/// One call of an index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IndexedCall {
    pub method: u32,
    /// Since 1970.
    pub at: Option<Duration>,
    /// Equal for calls that send the same.
    pub key: u64,
    /// Of its messages.
    pub bytes: u64,
    /// Number of the zstd frame that holds it.
    pub frame: u32,
    pub status: Option<u32>,
}

/// A skippable frame.
pub(super) fn skippable(contents: &[u8]) -> Vec<u8> {
    let length = u32::try_from(contents.len()).expect("an index has less than 4 GiB");
    [&SKIPPABLE[..], &length.to_le_bytes(), contents].concat()
}

impl Index {
    /// The frame at the end of the file.
    pub(super) fn frame(&self) -> Vec<u8> {
        let mut contents = Vec::new();
        for method in &self.methods {
            put_bytes(1, method.as_bytes(), &mut contents);
        }
        for call in &self.calls {
            let IndexedCall { method, at, key, bytes, frame, status } = *call;
            let mut message = Vec::new();
            put_number(1, method.into(), &mut message);
            let nanos = at.and_then(|at| u64::try_from(at.as_nanos()).ok());
            put_number(2, nanos.unwrap_or_default(), &mut message);
            put_number(3, key, &mut message);
            put_number(4, bytes, &mut message);
            put_number(5, frame.into(), &mut message);
            put_number(6, status.map_or(0, |status| u64::from(status) + 1), &mut message);
            put_bytes(2, &message, &mut contents);
        }
        put_number(3, self.redacted, &mut contents);
        put_number(4, self.left_out, &mut contents);
        put_number(5, self.plain_bytes, &mut contents);
        let length = contents.len() as u64;
        contents.extend_from_slice(&length.to_le_bytes());
        contents.extend_from_slice(MARK);
        skippable(&contents)
    }

    /// The index at the end of `file`; at most `calls_most` calls.
    ///
    /// # Errors
    /// A sentence about what is wrong with it, most likely that the file was cut.
    pub(super) fn of(file: &[u8], calls_most: usize) -> Result<Index, &'static str> {
        const NONE: &str = "its end is missing: there is no index";
        let (rest, tail) = file.len().checked_sub(TAIL).map(|at| file.split_at(at)).ok_or(NONE)?;
        let (length, mark) = tail.split_at(8);
        if mark != MARK {
            return Err(NONE);
        }
        let length = u64::from_le_bytes(length.try_into().map_err(|_| NONE)?);
        let length = usize::try_from(length).map_err(|_| NONE)?;
        let at = rest.len().checked_sub(length).ok_or(NONE)?;
        let head = rest[..at].split_last_chunk::<8>().ok_or(NONE)?.1;
        let whole = u32::try_from(length + TAIL).map_err(|_| NONE)?;
        if head[..4] != SKIPPABLE || head[4..] != whole.to_le_bytes() {
            return Err("its index is damaged");
        }
        Index::read(&rest[at..], calls_most)
    }

    fn read(contents: &[u8], calls_most: usize) -> Result<Index, &'static str> {
        let mut index = Index::default();
        for field in fields::each(contents) {
            let field = field.map_err(|_| "its index is damaged")?;
            match field.number {
                1 => {
                    let name = std::str::from_utf8(field.bytes);
                    index.methods.push(name.map_err(|_| "its index is damaged")?.to_owned());
                }
                2 => index.calls.push(call(field.bytes)?),
                3 => index.redacted = field.value,
                4 => index.left_out = field.value,
                5 => index.plain_bytes = field.value,
                _ => {}
            }
            if index.calls.len() > calls_most || index.methods.len() > calls_most {
                return Err("its index has more calls than are read");
            }
        }
        let is_known = |call: &IndexedCall| (call.method as usize) < index.methods.len();
        match index.calls.iter().all(is_known) {
            true => Ok(index),
            false => Err("its index is damaged"),
        }
    }
}

fn call(bytes: &[u8]) -> Result<IndexedCall, &'static str> {
    let mut call = IndexedCall::default();
    let small = |value: u64| u32::try_from(value).map_err(|_| "its index is damaged");
    for field in fields::each(bytes) {
        let field = field.map_err(|_| "its index is damaged")?;
        let value = field.value;
        match field.number {
            1 => call.method = small(value)?,
            2 => call.at = Some(Duration::from_nanos(value)).filter(|at| !at.is_zero()),
            3 => call.key = value,
            4 => call.bytes = value,
            5 => call.frame = small(value)?,
            6 => call.status = value.checked_sub(1).map(small).transpose()?,
            _ => {}
        }
    }
    Ok(call)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> Index {
        let call = IndexedCall {
            method: 1,
            at: Some(Duration::new(1_700_000_000, 9)),
            key: 77,
            bytes: 12,
            frame: 3,
            status: Some(0),
        };
        Index {
            methods: vec!["a.B/C".to_owned(), "a.B/D".to_owned()],
            calls: vec![call, IndexedCall::default()],
            redacted: 1,
            left_out: 2,
            plain_bytes: 90,
        }
    }

    #[test]
    fn an_index_is_found_from_the_end() {
        let file = [b"anything", &*index().frame()].concat();
        assert_eq!(Index::of(&file, 2), Ok(index()));
        assert!(Index::of(&file, 1).unwrap_err().contains("more calls"));
    }

    #[test]
    fn an_index_that_was_cut_or_damaged_is_none() {
        let file = [b"anything", &*index().frame()].concat();
        for end in 0..file.len() {
            assert!(Index::of(&file[..end], 2).is_err(), "{end}");
        }
        let mut unknown = index();
        unknown.methods.pop();
        assert!(Index::of(&unknown.frame(), 2).is_err());
    }
}
