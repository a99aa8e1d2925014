//! Codings of request bodies and of gRPC messages: gzip, deflate and zstd, decoded within bounds.
//!
//! Output is counted as it grows and decoding stops at the first byte too many, so a bomb costs
//! what the bounds allow, in memory and in time, whatever it claims to hold. The zstd window is
//! bounded too: a frame of twenty bytes may ask for one of gigabytes.
//!
//! [`decode`] gives the bytes of a whole body; [`Pieces`] gives them as they come, for bodies that
//! are streams; [`Meter`] only counts them, for messages that pass as they are.
//!
//! Anything else, `br` included, is refused with what is taken (protocols I-6). Not here: how gRPC
//! names the coding of its messages (`compression`), coding of what we send.
//!
//! Source: RFC 9110, section 8.4.1 (codings); RFC 1952 (gzip, members one behind the other);
//! RFC 1950 (deflate is the zlib format); RFC 8878 and RFC 9659 (zstd, a window of 8 MiB at most).

mod pieces;

use flate2::{Decompress, FlushDecompress, Status};
use http::{HeaderMap, header};
use zstd::zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

pub use self::pieces::Pieces;
use crate::refusal::{Limit, Reason, Refusal};

/// What a request may be coded in; the value of `Accept-Encoding` beside a refusal.
pub const ACCEPTED: &str = "gzip, deflate, zstd";

/// Bytes of output above which the ratio is judged (security LI-11).
const RATIO_FROM_BYTES: usize = 64 << 10;
/// Members or frames of one body. Each costs the decoder a fresh start, so that the smallest
/// lawful ones would be the dearest bytes that a caller can send.
const MEMBERS_MOST: u32 = 1_024;
/// 8 MiB: the largest window that RFC 9659 lets a sender use.
const ZSTD_WINDOW_LOG_MOST: u32 = 23;
/// The output grows by so many bytes.
const STEP_BYTES: usize = 32 << 10;

/// A coding that is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    Gzip,
    Deflate,
    Zstd,
}

impl Coding {
    /// The coding of this name, in lower case.
    pub fn of_name(name: &str) -> Option<Coding> {
        match name {
            "gzip" => Some(Coding::Gzip),
            "deflate" => Some(Coding::Deflate),
            "zstd" => Some(Coding::Zstd),
            _ => None,
        }
    }

    /// As headers write it.
    pub fn name(self) -> &'static str {
        match self {
            Coding::Gzip => "gzip",
            Coding::Deflate => "deflate",
            Coding::Zstd => "zstd",
        }
    }
}

/// How much may come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Decoded bytes (LI-10).
    pub bytes_max: usize,
    /// Decoded bytes for each byte that came, judged above 64 KiB (LI-11).
    pub ratio_max: usize,
}

impl Bounds {
    /// Bytes that may come out of so many coded ones.
    fn of(self, coded: usize) -> usize {
        self.bytes_max.min(self.ratio_max.saturating_mul(coded).max(RATIO_FROM_BYTES))
    }
}

/// The coding that the headers name; `None` where the body stands as it is.
///
/// # Errors
/// 415 for another coding, and for more than one.
pub fn of_body(headers: &HeaderMap) -> Result<Option<Coding>, Refusal> {
    let mut found = None;
    for value in headers.get_all(header::CONTENT_ENCODING) {
        let text = value.to_str().unwrap_or("?");
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let name = name.to_ascii_lowercase();
            if name == "identity" {
                continue;
            }
            let coding = Coding::of_name(&name).ok_or_else(unsupported)?;
            if found.replace(coding).is_some() {
                return Err(unsupported());
            }
        }
    }
    Ok(found)
}

fn unsupported() -> Refusal {
    let message = format!("the body may be coded in one of {ACCEPTED}");
    Refusal::new(Reason::ContentCoding, message)
}

/// Decodes a whole body.
///
/// # Errors
/// 413 when more comes out than the bounds allow; 400 for bytes that are not of this coding, that
/// end too early, or that go on behind the end.
pub fn decode(coding: Coding, body: &[u8], bounds: Bounds) -> Result<Vec<u8>, Refusal> {
    let bytes_max = bounds.of(body.len());
    let mut decoder = Decoder::new(coding).ok_or_else(no_decoder)?;
    let mut rest = body;
    let mut out = Vec::new();
    let mut members = 0;
    loop {
        let before = out.len();
        // One byte more than may come out shows that more would.
        let step = STEP_BYTES.min(bytes_max.saturating_sub(before) + 1);
        out.resize(before + step, 0);
        let step = decoder.step(rest, &mut out[before..]).ok_or_else(|| malformed(coding))?;
        out.truncate(before + step.written);
        rest = &rest[step.read..];
        if out.len() > bytes_max {
            return Err(too_large(bytes_max == bounds.bytes_max, bounds));
        }
        if step.ended {
            if rest.is_empty() {
                return Ok(out);
            }
            members += 1;
            if members == MEMBERS_MOST || !decoder.begin_again() {
                return Err(malformed(coding));
            }
        } else if step.read == 0 && step.written == 0 {
            // It wants more bytes, and there are none.
            return Err(malformed(coding));
        }
    }
}

fn malformed(coding: Coding) -> Refusal {
    Refusal::new(Reason::Malformed, format!("the body is not sound {}", coding.name()))
}

fn no_decoder() -> Refusal {
    Refusal::new(Reason::Bug, "a fault of the gateway")
}

fn too_large(by_bytes: bool, bounds: Bounds) -> Refusal {
    let Bounds { bytes_max, ratio_max } = bounds;
    let (message, limit) = if by_bytes {
        (format!("the decoded body has more than {bytes_max} bytes"), Limit::Message)
    } else {
        let text =
            format!("the decoded body is more than {ratio_max} times as long as the coded one");
        (text, Limit::Ratio)
    };
    Refusal::new(Reason::TooLarge, message).over(limit)
}

/// Counts the bytes of a coded message while it passes, and keeps none of them.
///
/// It takes the same bytes as [`decode`], however they are split.
pub struct Meter {
    decoder: Decoder,
    bytes_max: usize,
    decoded: usize,
    members: u32,
    /// A member is complete, and none has begun behind it.
    between: bool,
}

/// Why a coded message may not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmetered {
    /// It holds more than the bounds allow.
    TooLarge,
    /// It is not of this coding, ends too early or goes on behind its end.
    Unsound,
}

impl Meter {
    /// For a message of `coded` bytes; `None` when there is no memory for a decoder.
    pub fn new(coding: Coding, coded: usize, bounds: Bounds) -> Option<Meter> {
        Some(Meter {
            decoder: Decoder::new(coding)?,
            bytes_max: bounds.of(coded),
            decoded: 0,
            members: 0,
            between: false,
        })
    }

    /// Counts what comes next. `scratch` is any room to decode into; what it holds means nothing.
    ///
    /// # Errors
    /// At the first byte too many, and at the first that is not of the coding.
    pub fn pass(&mut self, mut coded: &[u8], scratch: &mut [u8]) -> Result<(), Unmetered> {
        loop {
            if self.between {
                if coded.is_empty() {
                    return Ok(());
                }
                self.members += 1;
                if self.members == MEMBERS_MOST || !self.decoder.begin_again() {
                    return Err(Unmetered::Unsound);
                }
                self.between = false;
            }
            let step = self.decoder.step(coded, scratch).ok_or(Unmetered::Unsound)?;
            self.decoded += step.written;
            if self.decoded > self.bytes_max {
                return Err(Unmetered::TooLarge);
            }
            coded = &coded[step.read..];
            self.between = step.ended;
            if !step.ended && coded.is_empty() && step.written < scratch.len() {
                // It wants more bytes; those that it had are all written.
                return Ok(());
            }
            if !step.ended && step.read == 0 && step.written == 0 {
                return Err(Unmetered::Unsound);
            }
        }
    }

    /// Says whether the message may end here.
    ///
    /// # Errors
    /// `Unsound` inside a member.
    pub fn end(&self) -> Result<(), Unmetered> {
        if self.between { Ok(()) } else { Err(Unmetered::Unsound) }
    }
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Meter { decoder: _, bytes_max, decoded, members, between } = self;
        f.debug_struct("Meter")
            .field("bytes_max", bytes_max)
            .field("decoded", decoded)
            .field("members", members)
            .field("between", between)
            .finish_non_exhaustive()
    }
}

enum Decoder {
    Gzip(Decompress),
    Deflate(Decompress),
    Zstd(DCtx<'static>),
}

/// What one call to a decoder did.
struct Step {
    read: usize,
    written: usize,
    /// A member or frame is complete.
    ended: bool,
}

impl Decoder {
    /// `None` when the library has no memory for one.
    fn new(coding: Coding) -> Option<Decoder> {
        Some(match coding {
            Coding::Gzip => Decoder::Gzip(gzip_member()),
            Coding::Deflate => Decoder::Deflate(Decompress::new(true)),
            Coding::Zstd => {
                let context = DCtx::try_create().and_then(|mut context| {
                    let window = DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MOST);
                    context.set_parameter(window).is_ok().then_some(context)
                });
                Decoder::Zstd(context?)
            }
        })
    }

    /// Readies it for another member; `false` where the coding has only one.
    fn begin_again(&mut self) -> bool {
        match self {
            Decoder::Gzip(inflate) => {
                *inflate = gzip_member();
                true
            }
            Decoder::Deflate(_) => false,
            // The context goes on to the next frame by itself.
            Decoder::Zstd(_) => true,
        }
    }

    /// `None` when the bytes are not of the coding.
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Option<Step> {
        match self {
            Decoder::Gzip(inflate) | Decoder::Deflate(inflate) => {
                let (read, written) = (inflate.total_in(), inflate.total_out());
                let status = inflate.decompress(input, output, FlushDecompress::None).ok()?;
                Some(Step {
                    read: (inflate.total_in() - read) as usize,
                    written: (inflate.total_out() - written) as usize,
                    ended: status == Status::StreamEnd,
                })
            }
            Decoder::Zstd(context) => {
                let mut input = InBuffer::around(input);
                let mut output = OutBuffer::around(output);
                let wanted = context.decompress_stream(&mut output, &mut input).ok()?;
                Some(Step { read: input.pos(), written: output.pos(), ended: wanted == 0 })
            }
        }
    }
}

fn gzip_member() -> Decompress {
    Decompress::new_gzip(15)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    pub(crate) const ALL: [Coding; 3] = [Coding::Gzip, Coding::Deflate, Coding::Zstd];
    const WIDE: Bounds = Bounds { bytes_max: 4 << 20, ratio_max: 100 };

    pub(crate) fn coded(coding: Coding, data: &[u8]) -> Vec<u8> {
        match coding {
            Coding::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
                encoder.write_all(data).unwrap();
                encoder.finish().unwrap()
            }
            Coding::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
                encoder.write_all(data).unwrap();
                encoder.finish().unwrap()
            }
            Coding::Zstd => zstd::bulk::compress(data, 3).unwrap(),
        }
    }

    /// Bytes that hardly compress.
    pub(crate) fn noise(length: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_u32;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        std::iter::repeat_with(next).take(length).collect()
    }

    /// The same from both that decode: the one that gives bytes, and the one that counts.
    fn refused(coding: Coding, body: &[u8], bounds: Bounds, reason: Reason) {
        let refusal = decode(coding, body, bounds).expect_err("a refusal");
        assert_eq!(refusal.reason, reason, "{coding:?}: {}", refusal.message);
        let unmetered = match reason {
            Reason::TooLarge => Unmetered::TooLarge,
            _ => Unmetered::Unsound,
        };
        for split in [usize::MAX, 1_000] {
            assert_eq!(metered(coding, body, bounds, split), Err(unmetered), "{coding:?} {split}");
        }
    }

    fn metered(
        coding: Coding,
        body: &[u8],
        bounds: Bounds,
        split: usize,
    ) -> Result<usize, Unmetered> {
        let mut meter = Meter::new(coding, body.len(), bounds).unwrap();
        let mut scratch = [0; 512];
        body.chunks(split).try_for_each(|part| meter.pass(part, &mut scratch))?;
        meter.end()?;
        Ok(meter.decoded)
    }

    #[test]
    fn protocols_i_6_three_codings_and_no_others() {
        for (given, expected) in [
            (&[][..], Some(None)),
            (&["identity"], Some(None)),
            (&["gzip"], Some(Some(Coding::Gzip))),
            (&["GZIP"], Some(Some(Coding::Gzip))),
            (&["deflate"], Some(Some(Coding::Deflate))),
            (&["zstd"], Some(Some(Coding::Zstd))),
            (&["identity, zstd"], Some(Some(Coding::Zstd))),
            (&["br"], None),
            (&["x-gzip"], None),
            (&["compress"], None),
            (&["gzip, gzip"], None),
            (&["gzip", "zstd"], None),
            (&["gzip;q=1"], None),
        ] {
            let mut headers = HeaderMap::new();
            for value in given {
                headers.append(header::CONTENT_ENCODING, HeaderValue::from_static(value));
            }
            match (of_body(&headers), expected) {
                (Ok(found), Some(expected)) => assert_eq!(found, expected, "{given:?}"),
                (Err(refusal), None) => assert_eq!(refusal.reason, Reason::ContentCoding),
                (found, _) => panic!("{given:?}: {found:?}"),
            }
        }
    }

    #[test]
    fn security_li_10_the_last_decoded_byte_that_passes_and_the_first_that_does_not() {
        let bounds = Bounds { bytes_max: 100_000, ratio_max: 100 };
        for coding in ALL {
            for (bytes, fits) in [(99_999, true), (100_000, true), (100_001, false)] {
                let body = coded(coding, &noise(bytes));
                if fits {
                    assert_eq!(decode(coding, &body, bounds).unwrap().len(), bytes);
                } else {
                    refused(coding, &body, bounds, Reason::TooLarge);
                }
            }
        }
    }

    #[test]
    fn security_li_11_the_ratio_is_judged_above_64_kib() {
        for coding in ALL {
            // Zeros compress a thousandfold; up to 64 KiB that is nobody's harm.
            let most = 64 << 10;
            let body = coded(coding, &vec![0; most]);
            assert!(most > 100 * body.len(), "{coding:?}: the ratio would be broken");
            assert_eq!(decode(coding, &body, WIDE).unwrap().len(), most, "{coding:?}");
            refused(coding, &coded(coding, &vec![0; most + 1]), WIDE, Reason::TooLarge);
            // A body whose ratio is known to a byte: the last that passes, the first that does not.
            let data = [noise(2_000), vec![0; 300_000]].concat();
            let body = coded(coding, &data);
            let ratio = data.len().div_ceil(body.len());
            let bounds = |ratio_max| Bounds { bytes_max: 4 << 20, ratio_max };
            assert_eq!(decode(coding, &body, bounds(ratio)).unwrap(), data, "{coding:?}");
            refused(coding, &body, bounds(ratio - 1), Reason::TooLarge);
        }
    }

    #[test]
    fn security_r_4_a_bomb_is_decoded_no_further_than_its_bound() {
        for coding in ALL {
            // 8 MiB of zeros in some kilobytes; where members may follow each other, 1 GiB.
            let members = if coding == Coding::Deflate { 1 } else { 128 };
            let body = coded(coding, &vec![0; 8 << 20]).repeat(members);
            assert!(body.len() < 4 << 20, "{coding:?}: it is a body that is let in");
            refused(coding, &body, WIDE, Reason::TooLarge);
            // With any ratio allowed the bytes stop it.
            let bounds = Bounds { bytes_max: 1 << 20, ratio_max: usize::MAX };
            refused(coding, &body, bounds, Reason::TooLarge);
        }
    }

    #[test]
    fn a_zstd_frame_that_asks_for_a_huge_window_is_refused() {
        // RFC 8878, section 3.1.1: magic, a descriptor without content size, the window, and an
        // empty last block. Exponent 13 is 8 MiB, 14 is 16 MiB.
        let frame = |exponent: u8| [0x28, 0xb5, 0x2f, 0xfd, 0x00, exponent << 3, 0x01, 0x00, 0x00];
        assert_eq!(decode(Coding::Zstd, &frame(13), WIDE).unwrap(), b"");
        refused(Coding::Zstd, &frame(14), WIDE, Reason::Malformed);
        refused(Coding::Zstd, &frame(31), WIDE, Reason::Malformed);
    }

    #[test]
    fn members_one_behind_the_other_are_one_body() {
        for coding in [Coding::Gzip, Coding::Zstd] {
            let body = [coded(coding, b"ab"), coded(coding, b""), coded(coding, b"cd")].concat();
            assert_eq!(decode(coding, &body, WIDE).unwrap(), b"abcd", "{coding:?}");
            let many = |members: u32| coded(coding, b"x").repeat(members as usize);
            assert_eq!(decode(coding, &many(MEMBERS_MOST), WIDE).unwrap().len(), 1_024);
            refused(coding, &many(MEMBERS_MOST + 1), WIDE, Reason::Malformed);
        }
        let twice = coded(Coding::Deflate, b"ab").repeat(2);
        refused(Coding::Deflate, &twice, WIDE, Reason::Malformed);
    }

    #[test]
    fn a_body_cut_short_or_with_bytes_behind_it_is_malformed() {
        for coding in ALL {
            let body = coded(coding, &noise(200));
            for end in 0..body.len() {
                refused(coding, &body[..end], WIDE, Reason::Malformed);
            }
            for behind in [&b"x"[..], b"\0\0\0\0", b"trailing text of some length"] {
                refused(coding, &[&body[..], behind].concat(), WIDE, Reason::Malformed);
            }
            let mut wrong = body.clone();
            let last = wrong.len() - 1;
            wrong[last] ^= 1;
            // zstd's frames of this library carry no checksum; the others do.
            if coding != Coding::Zstd {
                refused(coding, &wrong, WIDE, Reason::Malformed);
            }
        }
    }

    proptest! {
        #[test]
        fn what_was_coded_comes_back(
            data in prop::collection::vec(any::<u8>(), 0..5_000),
            times in 1_usize..20,
        ) {
            let data = data.repeat(times);
            for coding in ALL {
                let bounds = Bounds { bytes_max: data.len(), ratio_max: usize::MAX };
                let body = coded(coding, &data);
                prop_assert_eq!(decode(coding, &body, bounds).unwrap(), &data[..]);
                for split in [usize::MAX, 7, 1] {
                    prop_assert_eq!(metered(coding, &body, bounds, split), Ok(data.len()));
                }
            }
        }

        #[test]
        fn any_bytes_end_in_a_body_or_a_refusal(data in prop::collection::vec(any::<u8>(), 0..300)) {
            for coding in ALL {
                let with_magic: &[u8] = match coding {
                    Coding::Gzip => b"\x1f\x8b\x08\0\0\0\0\0\0\0",
                    Coding::Deflate => b"\x78\x9c",
                    Coding::Zstd => b"\x28\xb5\x2f\xfd",
                };
                for body in [data.clone(), [with_magic, &data].concat()] {
                    let decoded = decode(coding, &body, WIDE);
                    for split in [usize::MAX, 3] {
                        let counted = metered(coding, &body, WIDE, split).ok();
                        prop_assert_eq!(counted, decoded.as_ref().ok().map(Vec::len));
                    }
                    match decoded {
                        Ok(out) => prop_assert!(out.len() <= WIDE.bytes_max),
                        Err(refusal) => prop_assert!(
                            matches!(refusal.reason, Reason::Malformed | Reason::TooLarge)
                        ),
                    }
                }
            }
        }
    }
}
