//! Encoders of answers, made once and used again by one data thread.
//!
//! A context costs some hundred kilobytes, so few are kept, and no more than
//! [`ENCODERS_MOST`] are lent at once: whoever gets none sends its body as it is. What a body
//! costs beside its own bytes is therefore bounded however many are open.
//!
//! Output is appended; [`Encoder::flush`] brings out all that went in, so that a reader can read
//! it now; without [`Encoder::end`] no reader takes a body for complete.
//!
//! Source: RFC 1952 (gzip); RFC 8878 and RFC 9659 (zstd; windows here are far below the 8 MiB
//! that readers must have).
//!
//! Not here: which coding an answer gets (`encoding`).

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use flate2::{Compress, Compression, FlushCompress, Status};
use zstd::zstd_safe::zstd_sys::ZSTD_EndDirective;
use zstd::zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer, ResetDirective};

use crate::encoding::Encoding;

/// Encoders lent at once.
pub const ENCODERS_MOST: usize = 256;
/// Encoders of each kind that wait for their next body.
const IDLE_MOST: usize = 4;
/// Of lists of products, 10 KB to 1 MB, level 2 makes a sixth to an eighth; 4 is a tenth shorter
/// for twice the time, 1 a third longer for half of it.
const GZIP_LEVEL: u32 = 2;
/// Level 3 makes the same of JSON, within some per cent, for up to twice the time and more memory.
const ZSTD_LEVEL: i32 = 1;
/// 32 KiB, as gzip has: JSON repeats itself within a few kilobytes, and a context of 300 KB is a
/// third of what a window four times as wide asks for.
const ZSTD_WINDOW_LOG: u32 = 15;
/// The output grows by so many bytes.
const STEP_BYTES: usize = 8 << 10;

/// The encoders of one data thread.
#[derive(Default)]
pub struct Encoders {
    gzip: RefCell<Vec<Engine>>,
    zstd: RefCell<Vec<Engine>>,
    lent: Cell<usize>,
}

impl Encoders {
    /// An encoder for one body; `None` where too many are lent or there is no memory for one.
    pub fn lend(self: &Rc<Self>, encoding: Encoding) -> Option<Encoder> {
        if self.lent.get() >= ENCODERS_MOST {
            return None;
        }
        let waiting = self.idle(encoding).borrow_mut().pop();
        let mut engine = match waiting {
            Some(engine) => engine,
            None => Engine::new(encoding)?,
        };
        engine.reset()?;
        self.lent.set(self.lent.get() + 1);
        Some(Encoder { engine: Some(engine), encoding, encoders: Rc::clone(self) })
    }

    /// A whole body, coded; `None` as for [`Encoders::lend`].
    pub fn code(self: &Rc<Self>, encoding: Encoding, body: &[u8]) -> Option<Vec<u8>> {
        let mut encoder = self.lend(encoding)?;
        let mut out = Vec::with_capacity(body.len() / 4 + 64);
        encoder.run(body, Until::Ended, &mut out)?;
        Some(out)
    }

    fn idle(&self, encoding: Encoding) -> &RefCell<Vec<Engine>> {
        match encoding {
            Encoding::Gzip => &self.gzip,
            Encoding::Zstd => &self.zstd,
        }
    }
}

/// Codes one body, piece by piece.
///
/// Each call is `None` where the library fails, which it does for want of memory only; the body
/// is then broken off.
pub struct Encoder {
    /// `None` in `drop` only.
    engine: Option<Engine>,
    encoding: Encoding,
    encoders: Rc<Encoders>,
}

impl Encoder {
    /// Takes what comes next; some of it may stay inside.
    pub fn write(&mut self, data: &[u8], out: &mut Vec<u8>) -> Option<()> {
        self.run(data, Until::Taken, out)
    }

    /// Brings out everything that went in.
    pub fn flush(&mut self, out: &mut Vec<u8>) -> Option<()> {
        self.run(b"", Until::Flushed, out)
    }

    /// Ends the body.
    pub fn end(&mut self, out: &mut Vec<u8>) -> Option<()> {
        self.run(b"", Until::Ended, out)
    }

    fn run(&mut self, data: &[u8], until: Until, out: &mut Vec<u8>) -> Option<()> {
        self.engine.as_mut()?.run(data, until, out)
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        self.encoders.lent.set(self.encoders.lent.get() - 1);
        let mut idle = self.encoders.idle(self.encoding).borrow_mut();
        if let Some(engine) = self.engine.take()
            && idle.len() < IDLE_MOST
        {
            idle.push(engine);
        }
    }
}

/// How far a call goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    Taken,
    Flushed,
    Ended,
}

enum Engine {
    Gzip(Compress),
    Zstd(CCtx<'static>),
}

impl Engine {
    fn new(encoding: Encoding) -> Option<Engine> {
        Some(match encoding {
            Encoding::Gzip => Engine::Gzip(Compress::new_gzip(Compression::new(GZIP_LEVEL), 15)),
            Encoding::Zstd => {
                let mut context = CCtx::try_create()?;
                for parameter in [
                    CParameter::CompressionLevel(ZSTD_LEVEL),
                    CParameter::WindowLog(ZSTD_WINDOW_LOG),
                ] {
                    context.set_parameter(parameter).ok()?;
                }
                Engine::Zstd(context)
            }
        })
    }

    /// Forgets a body that was begun; what was chosen stays.
    fn reset(&mut self) -> Option<()> {
        match self {
            Engine::Gzip(deflate) => deflate.reset(),
            Engine::Zstd(context) => {
                context.reset(ResetDirective::SessionOnly).ok()?;
            }
        }
        Some(())
    }

    fn run(&mut self, mut data: &[u8], until: Until, out: &mut Vec<u8>) -> Option<()> {
        loop {
            out.reserve(STEP_BYTES);
            let (read, done) = self.step(data, until, out)?;
            data = &data[read..];
            if done && data.is_empty() {
                return Some(());
            }
        }
    }

    /// Bytes read, and whether nothing waits to be written that `until` asks for.
    fn step(&mut self, data: &[u8], until: Until, out: &mut Vec<u8>) -> Option<(usize, bool)> {
        match self {
            Engine::Gzip(deflate) => {
                let flush = match until {
                    Until::Taken => FlushCompress::None,
                    Until::Flushed => FlushCompress::Sync,
                    Until::Ended => FlushCompress::Finish,
                };
                let before = deflate.total_in();
                let status = deflate.compress_vec(data, out, flush).ok()?;
                let done = match until {
                    Until::Taken => true,
                    // Room that is left says that nothing waits (zlib.h, `deflate`).
                    Until::Flushed => out.len() < out.capacity(),
                    Until::Ended => status == Status::StreamEnd,
                };
                Some(((deflate.total_in() - before) as usize, done))
            }
            Engine::Zstd(context) => {
                let directive = match until {
                    Until::Taken => ZSTD_EndDirective::ZSTD_e_continue,
                    Until::Flushed => ZSTD_EndDirective::ZSTD_e_flush,
                    Until::Ended => ZSTD_EndDirective::ZSTD_e_end,
                };
                let at = out.len();
                let mut output = OutBuffer::around_pos(out, at);
                let mut input = InBuffer::around(data);
                let waiting = context.compress_stream2(&mut output, &mut input, directive).ok()?;
                Some((input.pos(), until == Until::Taken || waiting == 0))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::coding::{self, Bounds, Coding};

    const BOTH: [(Encoding, Coding); 2] =
        [(Encoding::Gzip, Coding::Gzip), (Encoding::Zstd, Coding::Zstd)];

    fn decoded(coding: Coding, body: &[u8]) -> Option<Vec<u8>> {
        let wide = Bounds { bytes_max: 64 << 20, ratio_max: usize::MAX };
        coding::decode(coding, body, wide).ok()
    }

    /// What a reader has of a body that is not at its end.
    fn so_far(encoding: Encoding, coded: &[u8]) -> Vec<u8> {
        let mut out = vec![0; 1 << 20];
        match encoding {
            Encoding::Gzip => {
                let mut inflate = flate2::Decompress::new_gzip(15);
                let flush = flate2::FlushDecompress::None;
                let status = inflate.decompress(coded, &mut out, flush).unwrap();
                assert_ne!(status, Status::StreamEnd);
                out.truncate(inflate.total_out() as usize);
            }
            Encoding::Zstd => {
                let mut context = zstd::zstd_safe::DCtx::create();
                let mut output = OutBuffer::around(&mut out[..]);
                let mut input = InBuffer::around(coded);
                let wanted = context.decompress_stream(&mut output, &mut input).unwrap();
                assert_ne!(wanted, 0, "it is not at its end");
                let length = output.pos();
                out.truncate(length);
            }
        }
        out
    }

    #[test]
    fn protocols_a_6_what_was_flushed_can_be_read_and_nothing_is_complete_before_its_end() {
        for (encoding, coding) in BOTH {
            let encoders = Rc::<Encoders>::default();
            let mut encoder = encoders.lend(encoding).unwrap();
            let (mut coded, mut said) = (Vec::new(), Vec::new());
            for number in 0..20 {
                let message = format!("{{\"number\":{number},\"text\":\"the same again\"}}\n");
                said.extend_from_slice(message.as_bytes());
                encoder.write(message.as_bytes(), &mut coded).unwrap();
                encoder.flush(&mut coded).unwrap();
                assert_eq!(so_far(encoding, &coded), said, "{encoding:?}");
                assert_eq!(decoded(coding, &coded), None, "{encoding:?}: cut is no body");
                // To flush again what was flushed is nothing, or an empty block.
                let before = coded.len();
                encoder.flush(&mut coded).unwrap();
                assert!(coded.len() <= before + 5, "{encoding:?}");
            }
            encoder.end(&mut coded).unwrap();
            assert_eq!(decoded(coding, &coded), Some(said.clone()), "{encoding:?}");
            assert!(coded.len() < said.len() / 2, "{encoding:?}: {}", coded.len());
        }
    }

    #[test]
    fn an_encoder_that_was_dropped_in_the_middle_begins_anew() {
        for (encoding, coding) in BOTH {
            let encoders = Rc::<Encoders>::default();
            let mut out = Vec::new();
            let mut encoder = encoders.lend(encoding).unwrap();
            encoder.write(b"of another caller", &mut out).unwrap();
            drop(encoder);
            assert_eq!(encoders.idle(encoding).borrow().len(), 1);
            let body = encoders.code(encoding, b"mine").unwrap();
            assert_eq!(decoded(coding, &body).unwrap(), b"mine");
            assert_eq!(encoders.idle(encoding).borrow().len(), 1, "the same one");
        }
    }

    #[test]
    fn security_s_8_no_more_encoders_are_lent_than_there_may_be() {
        let encoders = Rc::<Encoders>::default();
        let mut lent: Vec<_> =
            (0..ENCODERS_MOST).map(|_| encoders.lend(Encoding::Zstd).unwrap()).collect();
        assert!(encoders.lend(Encoding::Gzip).is_none());
        lent.pop();
        assert!(encoders.lend(Encoding::Gzip).is_some());
        drop(lent);
        assert_eq!(encoders.lent.get(), 0);
        assert_eq!(encoders.zstd.borrow().len(), IDLE_MOST);
    }

    #[test]
    fn protocols_s_8_an_encoder_of_zstd_takes_no_more_than_one_of_gzip() {
        let mut engine = Engine::new(Encoding::Zstd).unwrap();
        let mut out = Vec::new();
        engine.run(&vec![b'x'; 4 << 20], Until::Flushed, &mut out).unwrap();
        let Engine::Zstd(context) = &engine else { unreachable!("it is one") };
        assert!(context.sizeof() < 320 << 10, "{}", context.sizeof());
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out_however_it_is_cut(
            parts in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..3_000), 0..200_usize, any::<bool>()), 0..12),
        ) {
            for (encoding, coding) in BOTH {
                let encoders = Rc::<Encoders>::default();
                let mut encoder = encoders.lend(encoding).unwrap();
                let (mut coded, mut said) = (Vec::new(), Vec::new());
                for (part, times, flushed) in &parts {
                    let part = part.repeat(*times);
                    encoder.write(&part, &mut coded).unwrap();
                    said.extend_from_slice(&part);
                    if *flushed {
                        encoder.flush(&mut coded).unwrap();
                    }
                }
                encoder.end(&mut coded).unwrap();
                prop_assert_eq!(decoded(coding, &coded), Some(said.clone()));
                let whole = encoders.code(encoding, &said).unwrap();
                prop_assert_eq!(decoded(coding, &whole), Some(said));
            }
        }
    }
}
