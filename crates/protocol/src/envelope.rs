//! The five bytes before each gRPC message, and the messages behind them.
//!
//! Two readers of one grammar: [`EnvelopeReader`] gives whole messages, [`Scanner`] lets bytes
//! pass and only counts. Any split of the bytes gives the same result in both. A message that is
//! too large is told from its head, before its bytes arrive; a length prefix reserves nothing.
//!
//! Source: gRPC over HTTP/2, "Length-Prefixed-Message".

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::coding::{Bounds, Coding, Meter, Unmetered};

/// Bytes before each message: a flag, then the length, most significant byte first.
pub const HEAD: usize = 5;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    pub compressed: bool,
    pub payload: Bytes,
}

/// The bytes are no messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// A flag other than 0 and 1.
    #[error("a message has the unknown flag {0}")]
    Flag(u8),
    /// More bytes than the limit.
    #[error("a message of {bytes} bytes is more than the limit of {limit}")]
    TooLarge { bytes: usize, limit: usize },
    /// More bytes than the limit, or than the ratio allows, once they are decoded.
    #[error(
        "a compressed message holds more than the limit of {limit} bytes, or too many times what it takes"
    )]
    Expands { limit: usize },
    /// A message is marked as compressed and no coding was named (protocols G-4).
    #[error("a message is compressed, and no encoding was named")]
    Unnamed,
    /// A compressed message is not what its coding says.
    #[error("a compressed message is not sound")]
    Unsound,
    /// The stream ended inside a message.
    #[error("the stream ended inside a message")]
    Truncated,
}

/// Writes one uncompressed message with its head.
pub fn frame(message: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(HEAD + message.len());
    out.put_u8(0);
    // Messages are bounded by limits far below 4 GiB.
    out.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    out.put_slice(message);
    out.freeze()
}

/// Leaves room for a head; the message is written behind it, then [`seal`] fills it in.
///
/// So a message goes from its source into the bytes that are sent, without a copy.
pub fn begin(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0; HEAD]);
}

/// Fills in the head of the one uncompressed message that was written since [`begin`] into an
/// empty buffer.
pub fn seal(mut out: Vec<u8>) -> Bytes {
    let length = out.len().saturating_sub(HEAD);
    if let Some(head) = out.first_chunk_mut::<HEAD>() {
        // Messages are bounded by limits far below 4 GiB.
        head[1..].copy_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    }
    out.into()
}

fn head(bytes: &[u8; HEAD], limit: usize) -> Result<(bool, usize), EnvelopeError> {
    let [flag, length @ ..] = *bytes;
    let compressed = match flag {
        0 => false,
        1 => true,
        flag => return Err(EnvelopeError::Flag(flag)),
    };
    let bytes = u32::from_be_bytes(length) as usize;
    if bytes > limit {
        return Err(EnvelopeError::TooLarge { bytes, limit });
    }
    Ok((compressed, bytes))
}

/// Takes chunks, gives messages.
#[derive(Debug)]
pub struct EnvelopeReader {
    limit: usize,
    // What has come and is not yet given out; a message that lies in one chunk is cut out of it
    // without a copy.
    chunk: Bytes,
    gathered: BytesMut,
    failed: bool,
}

impl EnvelopeReader {
    /// A reader that refuses messages of more than `limit` bytes.
    pub fn new(limit: usize) -> EnvelopeReader {
        EnvelopeReader { limit, chunk: Bytes::new(), gathered: BytesMut::new(), failed: false }
    }

    /// Takes what came next. Take all messages out first: what is left is at most one message's
    /// part.
    pub fn push(&mut self, data: Bytes) {
        if self.gathered.is_empty() && self.chunk.is_empty() {
            self.chunk = data;
        } else {
            if !self.chunk.is_empty() {
                self.gathered.put_slice(&std::mem::take(&mut self.chunk));
            }
            self.gathered.put_slice(&data);
        }
    }

    /// The next whole message; `None` when more bytes are needed, and after an error.
    #[expect(clippy::should_implement_trait, reason = "bytes may be pushed after a None")]
    pub fn next(&mut self) -> Option<Result<Envelope, EnvelopeError>> {
        if self.failed {
            return None;
        }
        let waiting: &[u8] = if self.gathered.is_empty() { &self.chunk } else { &self.gathered };
        let first = waiting.first_chunk::<HEAD>()?;
        let (compressed, bytes) = match head(first, self.limit) {
            Ok(head) => head,
            Err(error) => {
                self.failed = true;
                return Some(Err(error));
            }
        };
        if waiting.len() < HEAD + bytes {
            return None;
        }
        let payload = if self.gathered.is_empty() {
            self.chunk.advance(HEAD);
            self.chunk.split_to(bytes)
        } else {
            self.gathered.advance(HEAD);
            self.gathered.split_to(bytes).freeze()
        };
        Some(Ok(Envelope { compressed, payload }))
    }

    /// Says whether the stream may end here.
    ///
    /// # Errors
    /// `Truncated` when part of a message is left.
    pub fn end(&self) -> Result<(), EnvelopeError> {
        if self.gathered.is_empty() && self.chunk.is_empty() {
            Ok(())
        } else {
            Err(EnvelopeError::Truncated)
        }
    }
}

/// Watches messages pass: counts them, refuses those that are too large, keeps nothing.
///
/// Compressed ones are decoded to be measured, and their bytes thrown away: the limit holds for
/// what a message is, not for what it takes (protocols G-4).
#[derive(Debug)]
pub struct Scanner {
    limit: usize,
    coding: Option<Coding>,
    ratio_max: usize,
    /// For the message that passes now, when it is compressed.
    meter: Option<Meter>,
    /// Room to decode into, from the first compressed message on.
    scratch: Vec<u8>,
    head: [u8; HEAD],
    head_bytes: usize,
    left: usize,
    messages: u64,
}

/// Bytes that are decoded at a time to be counted.
const SCRATCH_BYTES: usize = 32 << 10;

impl Scanner {
    /// A scanner that refuses messages of more than `limit` bytes, and every compressed one.
    pub fn new(limit: usize) -> Scanner {
        Scanner {
            limit,
            coding: None,
            ratio_max: 0,
            meter: None,
            scratch: Vec::new(),
            head: [0; HEAD],
            head_bytes: 0,
            left: 0,
            messages: 0,
        }
    }

    /// Takes messages in this coding that hold at most `ratio_max` times the bytes they take.
    #[must_use]
    pub fn decoding(mut self, coding: Option<Coding>, ratio_max: usize) -> Scanner {
        self.coding = coding;
        self.ratio_max = ratio_max;
        self
    }

    /// Looks at the next bytes. Heads that are complete in them count as messages.
    ///
    /// # Errors
    /// A flag that is none, a message over the limit, told by its head; a compressed message
    /// without a coding, over the limit once it is decoded, or unsound.
    pub fn pass(&mut self, mut data: &[u8]) -> Result<(), EnvelopeError> {
        while !data.is_empty() {
            if self.left > 0 {
                let (part, rest) = data.split_at(self.left.min(data.len()));
                self.left -= part.len();
                data = rest;
                self.measure(part)?;
                continue;
            }
            let taken = (HEAD - self.head_bytes).min(data.len());
            self.head[self.head_bytes..self.head_bytes + taken].copy_from_slice(&data[..taken]);
            self.head_bytes += taken;
            data = &data[taken..];
            if self.head_bytes == HEAD {
                let (compressed, bytes) = head(&self.head, self.limit)?;
                self.head_bytes = 0;
                self.left = bytes;
                self.messages += 1;
                if compressed {
                    let coding = self.coding.ok_or(EnvelopeError::Unnamed)?;
                    // No bytes are the empty message in every coding.
                    if bytes > 0 {
                        let bounds = Bounds { bytes_max: self.limit, ratio_max: self.ratio_max };
                        let meter = Meter::new(coding, bytes, bounds);
                        self.meter = Some(meter.ok_or(EnvelopeError::Unsound)?);
                        self.scratch.resize(SCRATCH_BYTES, 0);
                    }
                }
            }
        }
        Ok(())
    }

    /// Counts a part of a message that is compressed, and judges its end.
    fn measure(&mut self, part: &[u8]) -> Result<(), EnvelopeError> {
        let Some(meter) = &mut self.meter else { return Ok(()) };
        let measured = meter.pass(part, &mut self.scratch);
        let measured = measured.and_then(|()| if self.left == 0 { meter.end() } else { Ok(()) });
        if self.left == 0 {
            self.meter = None;
        }
        measured.map_err(|unmetered| match unmetered {
            Unmetered::TooLarge => EnvelopeError::Expands { limit: self.limit },
            Unmetered::Unsound => EnvelopeError::Unsound,
        })
    }

    /// Messages whose heads have passed.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// Says whether the stream may end here.
    ///
    /// # Errors
    /// `Truncated` inside a head or a message.
    pub fn end(&self) -> Result<(), EnvelopeError> {
        if self.left == 0 && self.head_bytes == 0 { Ok(()) } else { Err(EnvelopeError::Truncated) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read_all(reader: &mut EnvelopeReader) -> Vec<Result<Envelope, EnvelopeError>> {
        std::iter::from_fn(|| reader.next()).collect()
    }

    #[test]
    fn protocols_g_5_the_last_length_that_passes_and_the_first_that_does_not() {
        for (bytes, fits) in [(0, true), (9, true), (10, true), (11, false)] {
            let mut reader = EnvelopeReader::new(10);
            reader.push(frame(&vec![7; bytes]));
            let read = read_all(&mut reader);
            assert_eq!(read[0].is_ok(), fits, "{bytes}");
            let mut scanner = Scanner::new(10);
            assert_eq!(scanner.pass(&frame(&vec![7; bytes])).is_ok(), fits, "{bytes}");
        }
    }

    #[test]
    fn a_message_too_large_is_told_by_its_head_alone() {
        let mut reader = EnvelopeReader::new(10);
        reader.push(Bytes::from_static(&[0, 0xff, 0xff, 0xff, 0xff]));
        let error = EnvelopeError::TooLarge { bytes: u32::MAX as usize, limit: 10 };
        assert_eq!(read_all(&mut reader), [Err(error)]);
        assert_eq!(Scanner::new(10).pass(&[0, 0xff, 0xff, 0xff, 0xff]), Err(error));
    }

    #[test]
    fn a_message_written_behind_its_head_is_framed_as_any_other() {
        for message in [&b""[..], b"abc", &[7; 70_000]] {
            let mut out = Vec::new();
            begin(&mut out);
            out.extend_from_slice(message);
            assert_eq!(seal(out), frame(message));
        }
    }

    #[test]
    fn a_stream_may_end_between_messages_only() {
        for (bytes, whole) in [(0, true), (1, false), (5, false), (7, false), (8, true)] {
            let message = frame(b"abc");
            let mut reader = EnvelopeReader::new(10);
            reader.push(message.slice(..bytes));
            let _ = read_all(&mut reader);
            assert_eq!(reader.end().is_ok(), whole, "{bytes}");
            let mut scanner = Scanner::new(10);
            scanner.pass(&message[..bytes]).unwrap();
            assert_eq!(scanner.end().is_ok(), whole, "{bytes}");
        }
    }

    #[test]
    fn protocols_g_4_a_compressed_message_is_measured_by_what_it_holds() {
        let coded = |coding: Coding, message: &[u8]| -> Vec<u8> {
            use flate2::Compression;
            use flate2::read::{GzEncoder, ZlibEncoder};
            use std::io::Read as _;
            let mut out = Vec::new();
            match coding {
                Coding::Gzip => GzEncoder::new(message, Compression::best()).read_to_end(&mut out),
                Coding::Deflate => {
                    ZlibEncoder::new(message, Compression::best()).read_to_end(&mut out)
                }
                Coding::Zstd => {
                    out = zstd::bulk::compress(message, 3).unwrap();
                    Ok(0)
                }
            }
            .unwrap();
            out
        };
        let framed = |payload: &[u8]| {
            let mut frame = frame(payload).to_vec();
            frame[0] = 1;
            frame
        };
        let expands = Err(EnvelopeError::Expands { limit: 200_000 });
        for coding in [Coding::Gzip, Coding::Deflate, Coding::Zstd] {
            let check = |frames: &[u8], coding, ratio, expected: Result<(), EnvelopeError>| {
                for split in [usize::MAX, 1_000, 1] {
                    let mut scanner = Scanner::new(200_000).decoding(coding, ratio);
                    let passed = frames.chunks(split).try_for_each(|part| scanner.pass(part));
                    let passed = passed.and_then(|()| scanner.end());
                    assert_eq!(passed, expected, "{coding:?} {split}");
                }
            };
            let named = Some(coding);
            let whole = coded(coding, &[7; 200_000]);
            let both = [framed(&whole), frame(b"plain").to_vec(), framed(&whole)].concat();
            check(&both, named, 100_000, Ok(()));
            check(&framed(&coded(coding, &[7; 200_001])), named, 100_000, expands);
            check(&framed(&whole), named, 100, expands); // the ratio
            check(&framed(&whole), None, 100_000, Err(EnvelopeError::Unnamed));
            check(&framed(b""), named, 100, Ok(()));
            check(&framed(b""), None, 100, Err(EnvelopeError::Unnamed));
            check(&framed(b"not coded"), named, 100, Err(EnvelopeError::Unsound));
            let cut = &whole[..whole.len() - 1];
            check(&framed(cut), named, 100_000, Err(EnvelopeError::Unsound));
            // A message ends where its head says, whatever the coding says of the next one.
            check(
                &[framed(cut), framed(&whole)].concat(),
                named,
                100_000,
                Err(EnvelopeError::Unsound),
            );
        }
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_messages(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6),
            splits in prop::collection::vec(1_usize..20, 0..60),
        ) {
            let bytes: Vec<u8> = messages.iter().flat_map(|message| frame(message)).collect();
            let mut reader = EnvelopeReader::new(40);
            let mut scanner = Scanner::new(40);
            let mut read = Vec::new();
            let mut rest = &bytes[..];
            let mut splits = splits.into_iter();
            while !rest.is_empty() {
                let length = splits.next().unwrap_or(rest.len()).min(rest.len());
                let (part, left) = rest.split_at(length);
                rest = left;
                scanner.pass(part).unwrap();
                reader.push(Bytes::copy_from_slice(part));
                read.extend(read_all(&mut reader).into_iter().map(|one| one.unwrap().payload));
            }
            prop_assert_eq!(read.len(), messages.len());
            for (read, sent) in read.iter().zip(&messages) {
                prop_assert_eq!(&read[..], &sent[..]);
            }
            prop_assert!(reader.end().is_ok() && scanner.end().is_ok());
            prop_assert_eq!(scanner.messages(), messages.len() as u64);
        }
    }
}
