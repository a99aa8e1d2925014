//! Recorded calls: files of `grpc.binarylog.v1.GrpcLogEntry`, read and written.
//!
//! Three kinds of file are read, told apart by their first bytes ([`Framing`]): our own records, the
//! logs that grpc-go writes, and those of grpc-java and of whoever delimits by varints; the latter
//! two may also be in zstd. What is written is always our own kind: zstd frames of varint-delimited
//! entries between two skippable frames, a mark and an index. So `zstd -d` makes a log of it that
//! other tools read, and how much there is can be said without unpacking it.
//!
//! What is kept of a call is what can be sent again: method, request messages, moment and status.
//! Metadata, addresses, texts of errors and answers are dropped while reading, so no credential of
//! a log gets any further. What is written has gone through [`Cleaner`], which takes out what is
//! `debug_redact`; no way leads from a call to a file without it.
//!
//! Bytes come from strangers: everything is counted, nothing recurses past a limit, and what cannot
//! be read says where, why and what to do.
//!
//! Not here: opening files, which calls are sent (`tandem`).

mod clean;
mod entry;
mod index;
mod read;
mod write;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

pub use self::clean::{CleanFault, Cleaned, Cleaner};
pub use self::index::{Index, IndexedCall};
pub use self::read::{Bounds, Log, read};
pub use self::write::{Writer, Written};

/// One call of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedCall {
    /// Its place among all calls of the log, from 0.
    pub number: u64,
    /// Number of its method in [`Log::methods`].
    pub method: u32,
    /// Since 1970: when it began. `None` where the log has no times.
    pub at: Option<Duration>,
    /// Request messages without envelopes.
    pub messages: Vec<Bytes>,
    /// Its gRPC status; `None` where the log does not have its end.
    pub status: Option<u32>,
    pub whole: Whole,
}

impl RecordedCall {
    /// Equal for calls that send the same.
    pub fn key(&self) -> u64 {
        key_hash(&self.messages)
    }
}

/// Whether all of what was sent is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whole {
    /// As far as the log says.
    Yes,
    /// The log ends before its half-close, its end or its cancellation.
    Open,
    /// The logger cut a message, or left its contents out.
    Cut,
}

/// How the entries of a file lie in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// As [`Writer`] writes: with an index.
    Records,
    /// Each behind its length as four bytes, the highest first: grpc-go's sinks.
    BigEndian,
    /// Each behind its length as a varint: grpc-java's sinks.
    Varint,
}

impl Framing {
    /// For people.
    pub fn text(self) -> &'static str {
        match self {
            Framing::Records => "records with an index",
            Framing::BigEndian => "a binary log as grpc-go writes it",
            Framing::Varint => "a binary log delimited by varints",
        }
    }
}

/// Why a file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct RecordFault {
    /// Number of the entry that it concerns, from 0; `None` for the file as a whole.
    pub entry: Option<u64>,
    /// Where that begins, in bytes of the entries as they are when unpacked.
    pub offset: u64,
    pub what: String,
    /// What to do.
    pub fix: String,
}

impl fmt::Display for RecordFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RecordFault { entry, offset, what, fix: _ } = self;
        match entry {
            Some(entry) => write!(f, "entry {entry}, at byte {offset}: {what}"),
            None => f.write_str(what),
        }
    }
}

/// The largest entry: what grpc-go's framing can say without being taken for another.
pub const ENTRY_BYTES_MOST: usize = (1 << 24) - 1;

/// FNV-1a, 64 bits: names what is equal, hides nothing.
///
/// Source: Fowler, Noll and Vo; the values of the test are those of their own table.
#[derive(Debug, Clone, Copy)]
struct Fnv(u64);

impl Fnv {
    const NEW: Fnv = Fnv(0xcbf2_9ce4_8422_2325);

    fn add(mut self, bytes: &[u8]) -> Fnv {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        self
    }
}

/// Of a call's request: equal for calls that send the same.
fn key_hash(messages: &[Bytes]) -> u64 {
    let add =
        |hash: Fnv, message: &Bytes| hash.add(&(message.len() as u64).to_le_bytes()).add(message);
    messages.iter().fold(Fnv::NEW, add).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_its_authors() {
        for (text, expected) in [
            ("", 0xcbf2_9ce4_8422_2325),
            ("a", 0xaf63_dc4c_8601_ec8c),
            ("foobar", 0x8594_4171_f739_67e8),
        ] {
            assert_eq!(Fnv::NEW.add(text.as_bytes()).0, expected, "{text}");
        }
        let one = [Bytes::from_static(b"ab"), Bytes::from_static(b"c")];
        let other = [Bytes::from_static(b"a"), Bytes::from_static(b"bc")];
        assert_ne!(key_hash(&one), key_hash(&other));
    }
}
