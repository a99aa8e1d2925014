//! HdrHistogram's own format, so that its tools and plots read what a run has kept.
//!
//! Source: HdrHistogram for Java 2.2, `AbstractHistogram.encodeIntoByteBuffer` (V2),
//! `encodeIntoCompressedByteBuffer`, `ZigZagEncoding.putLong` and `HistogramLogWriter`.
//!
//! Written here, not by the histogram's library: its writer takes a second base64 and a parser
//! with it, and there is nothing to read.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::{DIGITS, Histogram, LONGEST_US};

const COOKIE: u32 = 0x1c84_9303 | 0x10;
const COOKIE_COMPRESSED: u32 = 0x1c84_9304 | 0x10;

/// V2, not compressed.
pub fn encoded(histogram: &Histogram) -> Vec<u8> {
    let payload = payload(&histogram.counters());
    let mut out = Vec::with_capacity(40 + payload.len());
    out.extend_from_slice(&COOKIE.to_be_bytes());
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    out.extend_from_slice(&0_u32.to_be_bytes()); // no offset of the counters
    out.extend_from_slice(&u32::from(DIGITS).to_be_bytes());
    out.extend_from_slice(&1_u64.to_be_bytes()); // the lowest value that is told apart
    out.extend_from_slice(&LONGEST_US.to_be_bytes());
    out.extend_from_slice(&1_f64.to_be_bytes()); // integer to double ratio
    out.extend_from_slice(&payload);
    out
}

/// V2, compressed, in base64: what `result.json` and interval logs hold.
pub fn encoded_base64(histogram: &Histogram) -> String {
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    zlib.write_all(&encoded(histogram)).expect("a vector takes what it is given");
    let packed = zlib.finish().expect("a vector takes what it is given");
    let mut out = Vec::with_capacity(8 + packed.len());
    out.extend_from_slice(&COOKIE_COMPRESSED.to_be_bytes());
    out.extend_from_slice(&(packed.len() as u32).to_be_bytes());
    out.extend_from_slice(&packed);
    STANDARD.encode(out)
}

/// Counters as LEB128 of at most nine bytes, zigzag; runs of zeros as one negative number.
fn payload(counters: &[u64]) -> Vec<u8> {
    let mut out = Vec::new();
    for run in counters.chunk_by(|one, other| *one == 0 && *other == 0) {
        match run {
            [0, ..] if run.len() > 1 => put(-(run.len() as i64), &mut out),
            [count, ..] => put(i64::try_from(*count).unwrap_or(i64::MAX), &mut out),
            [] => {}
        }
    }
    out
}

fn put(value: i64, out: &mut Vec<u8>) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    for _ in 0..8 {
        if rest < 0x80 {
            out.push(rest as u8);
            return;
        }
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// An interval log: a line a histogram, as `HistogramLogProcessor` and its plotter read it.
#[derive(Debug, Clone)]
pub struct IntervalLog(String);

impl IntervalLog {
    /// Of a run that began `started` after the epoch.
    pub fn new(started: Duration) -> IntervalLog {
        let mut text = String::from("#[Histogram log format version 1.3]\n");
        let seconds = started.as_secs_f64();
        // Writing to a string does not fail.
        let _ = writeln!(text, "#[StartTime: {seconds:.3} (seconds since epoch)]");
        text.push_str("\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",");
        text.push_str("\"Interval_Compressed_Histogram\"\n");
        IntervalLog(text)
    }

    /// Adds what was kept from `at` of the run on. A tag tells the lines of one side, method and
    /// kind; characters that would end it are replaced.
    pub fn add(&mut self, tag: &str, at: Duration, length: Duration, histogram: &Histogram) {
        let tag: String = tag
            .chars()
            .map(|letter| match letter {
                ',' | '"' | '\\' => '_',
                letter if letter.is_whitespace() || letter.is_control() => '_',
                letter => letter,
            })
            .collect();
        // In milliseconds, as the readers of such logs expect when values are microseconds.
        let most = histogram.0.max() as f64 / 1_000.0;
        let _ = writeln!(
            self.0,
            "Tag={tag},{:.3},{:.3},{most:.3},{}",
            at.as_secs_f64(),
            length.as_secs_f64(),
            encoded_base64(histogram),
        );
    }

    pub fn text(&self) -> &str {
        &self.0
    }
}
