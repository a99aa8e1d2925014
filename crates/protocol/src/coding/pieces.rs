//! A coded body decoded as it comes: what a sender has flushed is there at once.
//!
//! For bodies that are streams of messages and may never end. The bounds hold at every moment:
//! what has come out is weighed against what has come in so far, so a bomb stops where it begins
//! to grow, and what is held is one chunk and one step of output, however long the body lives.
//!
//! Not here: bodies that are one message (`super::decode`), the limit of each message of a stream
//! (`values`).

use bytes::{Buf as _, Bytes};

use super::{Coding, Decoder, MEMBERS_MOST, RATIO_FROM_BYTES, STEP_BYTES, malformed, no_decoder};
use crate::refusal::{Limit, Reason, Refusal};

/// Bytes that a member must bring on average, beyond the first [`MEMBERS_MOST`]: who sends each
/// message as a member of its own may go on for ever, who sends empty ones may not.
const MEMBER_BYTES_LEAST: u64 = 64;

/// Takes chunks of a coded body, gives decoded bytes.
pub struct Pieces {
    coding: Coding,
    decoder: Decoder,
    ratio_max: u64,
    /// What has come and was not looked at.
    rest: Bytes,
    /// Room for one step of output; what it holds means nothing.
    room: Box<[u8]>,
    came: u64,
    decoded: u64,
    members: u64,
    /// A member is complete, and none has begun behind it; so it is before the first byte.
    between: bool,
    /// The decoder may hold output that found no room.
    more: bool,
    failed: bool,
}

impl Pieces {
    /// `ratio_max`: decoded bytes for each byte that came, judged above 64 KiB (security LI-11).
    ///
    /// # Errors
    /// When there is no memory for a decoder.
    pub fn new(coding: Coding, ratio_max: usize) -> Result<Pieces, Refusal> {
        Ok(Pieces {
            coding,
            decoder: Decoder::new(coding).ok_or_else(no_decoder)?,
            ratio_max: ratio_max as u64,
            rest: Bytes::new(),
            room: vec![0; STEP_BYTES].into(),
            came: 0,
            decoded: 0,
            members: 0,
            between: true,
            more: false,
            failed: false,
        })
    }

    /// Takes what came next. Take everything out first.
    pub fn push(&mut self, data: Bytes) {
        debug_assert!(self.rest.is_empty(), "what came before was taken out");
        self.came += data.len() as u64;
        self.rest = data;
    }

    /// The next decoded bytes, never none of them; `None` when more must come, and after an error.
    ///
    /// # Errors
    /// 413 when more came out than the ratio allows; 400 for bytes that are not of the coding.
    #[expect(clippy::should_implement_trait, reason = "bytes may be pushed after a None")]
    pub fn next(&mut self) -> Option<Result<&[u8], Refusal>> {
        if self.failed {
            return None;
        }
        match self.decode() {
            Ok(0) => None,
            Ok(written) => Some(Ok(&self.room[..written])),
            Err(refusal) => {
                self.failed = true;
                self.rest = Bytes::new();
                Some(Err(refusal))
            }
        }
    }

    /// Bytes that were decoded into the room; 0 when more must come.
    fn decode(&mut self) -> Result<usize, Refusal> {
        while self.more || !self.rest.is_empty() {
            if std::mem::replace(&mut self.between, false) {
                self.begin_member()?;
            }
            let step = self.decoder.step(&self.rest, &mut self.room);
            let step = step.ok_or_else(|| malformed(self.coding))?;
            self.rest.advance(step.read);
            self.between = step.ended;
            self.more = !step.ended && step.written == self.room.len();
            self.decoded += step.written as u64;
            let most = self.ratio_max.saturating_mul(self.came).max(RATIO_FROM_BYTES as u64);
            if self.decoded > most {
                let message = format!(
                    "the decoded body is more than {} times as long as the coded one",
                    self.ratio_max
                );
                return Err(Refusal::new(Reason::TooLarge, message).over(Limit::Ratio));
            }
            if step.written > 0 {
                return Ok(step.written);
            }
            if step.read == 0 && !step.ended {
                // It takes nothing and gives nothing: what is left is not of the coding, unless
                // nothing is left.
                return if self.rest.is_empty() { Ok(0) } else { Err(malformed(self.coding)) };
            }
        }
        Ok(0)
    }

    fn begin_member(&mut self) -> Result<(), Refusal> {
        let most = u64::from(MEMBERS_MOST) + self.came / MEMBER_BYTES_LEAST;
        if self.members == most || (self.members > 0 && !self.decoder.begin_again()) {
            return Err(malformed(self.coding));
        }
        self.members += 1;
        Ok(())
    }

    /// Says whether the body may end here: between members, or before the first byte.
    ///
    /// # Errors
    /// 400 inside a member.
    pub fn end(&self) -> Result<(), Refusal> {
        if self.between || self.failed { Ok(()) } else { Err(malformed(self.coding)) }
    }
}

impl std::fmt::Debug for Pieces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pieces")
            .field("coding", &self.coding)
            .field("came", &self.came)
            .field("decoded", &self.decoded)
            .field("members", &self.members)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};
    use proptest::prelude::*;

    use super::super::tests::{ALL, coded, noise};
    use super::super::{Bounds, decode};
    use super::*;

    /// Decodes what comes in chunks of so many bytes.
    fn read(coding: Coding, body: &[u8], ratio_max: usize, step: usize) -> Result<Vec<u8>, Reason> {
        let mut pieces = Pieces::new(coding, ratio_max).unwrap();
        let mut out = Vec::new();
        for part in body.chunks(step) {
            pieces.push(Bytes::copy_from_slice(part));
            take(&mut pieces, &mut out)?;
        }
        pieces.end().map_err(|refusal| refusal.reason)?;
        Ok(out)
    }

    fn take(pieces: &mut Pieces, out: &mut Vec<u8>) -> Result<(), Reason> {
        while let Some(piece) = pieces.next() {
            let piece = piece.map_err(|refusal| refusal.reason)?;
            assert!((1..=STEP_BYTES).contains(&piece.len()), "what is held is bounded");
            out.extend_from_slice(piece);
        }
        Ok(())
    }

    #[test]
    fn protocols_i_6_what_was_flushed_is_there_before_the_body_ends() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        let mut deflate = ZlibEncoder::new(Vec::new(), Compression::best());
        let mut zstd = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
        let mut pieces = ALL.map(|coding| Pieces::new(coding, 100).unwrap());
        for number in 0..100 {
            let line = format!("{{\"text\":\"message {number}\"}}\n");
            gzip.write_all(line.as_bytes()).unwrap();
            gzip.flush().unwrap();
            deflate.write_all(line.as_bytes()).unwrap();
            deflate.flush().unwrap();
            zstd.write_all(line.as_bytes()).unwrap();
            zstd.flush().unwrap();
            let came = [
                std::mem::take(gzip.get_mut()),
                std::mem::take(deflate.get_mut()),
                std::mem::take(zstd.get_mut()),
            ];
            for ((coding, pieces), came) in ALL.iter().zip(&mut pieces).zip(came) {
                let mut out = Vec::new();
                pieces.push(came.into());
                take(pieces, &mut out).unwrap();
                assert_eq!(String::from_utf8(out).unwrap(), line, "{coding:?}");
                assert!(pieces.end().is_err(), "{coding:?}: it has not ended");
            }
        }
    }

    #[test]
    fn security_li_11_the_ratio_holds_at_every_moment_of_a_long_body() {
        for coding in ALL {
            // Zeros behind much noise: the whole is well within, and what has come as well.
            let body = coded(coding, &[noise(30_000), vec![0; 2 << 20]].concat());
            for step in [usize::MAX, 1_000, 1] {
                assert_eq!(
                    read(coding, &body, 100, step).map(|out| out.len()),
                    Ok(30_000 + (2 << 20))
                );
            }
            let most = 64 << 10;
            let small = coded(coding, &vec![0; most]);
            assert_eq!(read(coding, &small, 100, 7).map(|out| out.len()), Ok(most));
            let bomb = coded(coding, &vec![0; most + 1]);
            assert_eq!(read(coding, &bomb, 100, 7), Err(Reason::TooLarge), "{coding:?}");
        }
    }

    #[test]
    fn security_r_4_a_bomb_in_pieces_is_decoded_no_further_than_its_ratio() {
        for coding in ALL {
            let body = coded(coding, &vec![0; 8 << 20]);
            let mut pieces = Pieces::new(coding, 100).unwrap();
            let mut decoded = 0;
            let refused = body.chunks(100).find_map(|part| {
                pieces.push(Bytes::copy_from_slice(part));
                while let Some(piece) = pieces.next() {
                    match piece {
                        Ok(piece) => decoded += piece.len(),
                        Err(refusal) => return Some(refusal.reason),
                    }
                }
                None
            });
            assert_eq!(refused, Some(Reason::TooLarge), "{coding:?}");
            assert!(decoded <= (64 << 10).max(100 * body.len()), "{coding:?}: {decoded}");
            assert!(pieces.next().is_none(), "{coding:?}: nothing comes behind a refusal");
        }
    }

    #[test]
    fn a_message_may_be_a_member_of_its_own_for_ever_and_an_empty_one_may_not() {
        for coding in [Coding::Gzip, Coding::Zstd] {
            let member = coded(coding, &noise(200));
            let count = 5 * MEMBERS_MOST as usize;
            let out = read(coding, &member.repeat(count), 100, 999).unwrap();
            assert_eq!(out.len(), 200 * count, "{coding:?}");
            let empty = coded(coding, b"").repeat(count);
            assert_eq!(read(coding, &empty, 100, 999), Err(Reason::Malformed), "{coding:?}");
        }
        let twice = coded(Coding::Deflate, b"ab").repeat(2);
        assert_eq!(read(Coding::Deflate, &twice, 100, 3), Err(Reason::Malformed));
    }

    #[test]
    fn a_body_in_pieces_that_is_cut_short_or_empty() {
        for coding in ALL {
            assert_eq!(read(coding, b"", 100, 1), Ok(Vec::new()));
            let body = coded(coding, &noise(200));
            for end in 1..body.len() {
                assert_eq!(read(coding, &body[..end], 100, 13), Err(Reason::Malformed), "{end}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_split_gives_what_the_whole_gives(
            data in prop::collection::vec(any::<u8>(), 0..5_000),
            times in 1_usize..20,
            step in 1_usize..3_000,
        ) {
            let data = data.repeat(times);
            for coding in ALL {
                let body = coded(coding, &data);
                prop_assert_eq!(read(coding, &body, usize::MAX, step), Ok(data.clone()));
            }
        }

        #[test]
        fn any_bytes_in_pieces_end_as_the_whole_does(
            data in prop::collection::vec(any::<u8>(), 1..300),
            step in 1_usize..50,
        ) {
            for coding in ALL {
                let with_magic: &[u8] = match coding {
                    Coding::Gzip => b"\x1f\x8b\x08\0\0\0\0\0\0\0",
                    Coding::Deflate => b"\x78\x9c",
                    Coding::Zstd => b"\x28\xb5\x2f\xfd",
                };
                for body in [data.clone(), [with_magic, &data].concat()] {
                    // Of so few bytes the ratio allows as much from the beginning on.
                    let bounds = Bounds { bytes_max: 64 << 10, ratio_max: 1 };
                    let whole = decode(coding, &body, bounds).ok();
                    prop_assert_eq!(read(coding, &body, 1, step).ok(), whole);
                }
            }
        }
    }
}
