//! Our own files, written: calls to zstd frames with an index behind them.
//!
//! Not here: what may stand in them (`clean`), where they are put (`tandem`).

use std::io;
use std::time::Duration;

use tandem_contract::fields::put_varint;

use super::clean::Cleaned;
use super::entry::Put;
use super::index::{self, Index, IndexedCall};
use super::key_hash;

/// Bytes of entries in a frame, about: calls are found without unpacking all of a file, and packed
/// as well as in one piece.
const FRAME_BYTES: usize = 1 << 20;
/// zstd's own choice.
const LEVEL: i32 = 3;

/// A file under way, in memory.
#[derive(Debug)]
pub struct Writer {
    file: Vec<u8>,
    frame: Vec<u8>,
    frames: u32,
    index: Index,
    bytes_most: u64,
}

/// A file, and what is to be said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    pub bytes: Vec<u8>,
    pub calls: u64,
    /// Calls in which something was redacted.
    pub redacted: u64,
    /// Calls that are not in it, for it would have become too large.
    pub left_out: u64,
}

impl Writer {
    /// At most `bytes_most` of entries, before they are packed.
    pub fn new(bytes_most: u64) -> Writer {
        Writer {
            file: index::skippable(index::MARK),
            frame: Vec::new(),
            frames: 0,
            index: Index::default(),
            bytes_most,
        }
    }

    /// Adds a call of `package.Service/Method`. Once one has no room, none behind it is added: what
    /// is in the file is the beginning of what was given.
    ///
    /// # Errors
    /// Out of memory.
    pub fn add(
        &mut self,
        method: &str,
        at: Option<Duration>,
        messages: &[Cleaned],
        status: Option<u32>,
    ) -> io::Result<()> {
        let mut put = Put::new(self.index.calls.len() as u64 + 1, at);
        let mut entries = vec![put.began(method)];
        entries.extend(messages.iter().map(|message| put.sent(message.bytes())));
        entries.push(put.half_closed());
        entries.extend(status.map(|status| put.ended(status)));
        let bytes: u64 = entries.iter().map(|entry| entry.len() as u64 + 5).sum();
        if self.index.left_out > 0 || self.index.plain_bytes + bytes > self.bytes_most {
            self.index.left_out += 1;
            return Ok(());
        }
        let known = self.index.methods.iter().position(|known| known == method);
        let place = known.unwrap_or_else(|| {
            self.index.methods.push(method.to_owned());
            self.index.methods.len() - 1
        });
        let sent: Vec<_> = messages.iter().map(|message| message.bytes().clone()).collect();
        self.index.calls.push(IndexedCall {
            method: place as u32,
            at,
            // Of what stands in the file: a hash of a secret that is easily guessed would tell it.
            key: key_hash(&sent),
            bytes: sent.iter().map(|message| message.len() as u64).sum(),
            frame: self.frames,
            status,
        });
        self.index.redacted += u64::from(messages.iter().any(Cleaned::is_redacted));
        let before = self.frame.len();
        for entry in &entries {
            put_varint(entry.len() as u64, &mut self.frame);
            self.frame.extend_from_slice(entry);
        }
        self.index.plain_bytes += (self.frame.len() - before) as u64;
        if self.frame.len() >= FRAME_BYTES {
            self.end_frame()?;
        }
        Ok(())
    }

    fn end_frame(&mut self) -> io::Result<()> {
        self.file.extend_from_slice(&zstd::bulk::compress(&self.frame, LEVEL)?);
        self.frame.clear();
        self.frames += 1;
        Ok(())
    }

    /// The whole file.
    ///
    /// # Errors
    /// Out of memory.
    pub fn finish(mut self) -> io::Result<Written> {
        if !self.frame.is_empty() || self.frames == 0 {
            self.end_frame()?;
        }
        self.file.extend_from_slice(&self.index.frame());
        let Index { calls, redacted, left_out, .. } = self.index;
        Ok(Written { bytes: self.file, calls: calls.len() as u64, redacted, left_out })
    }
}
