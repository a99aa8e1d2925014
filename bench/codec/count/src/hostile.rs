//! Whether hostile input costs no more than its length allows.
//!
//! Each attack is counted at growing sizes, each twice the one before (three, or two in a short
//! run). It fails when
//! - twice the size takes more than 2.3 times the instructions: 2 is linear, the rest is for a
//!   table that doubles just then;
//! - a byte of input or output takes more than [`PER_BYTE_MOST`] instructions, which finds what
//!   is linear and does everything once a level all the same;
//! - it holds more memory at once than 16 times its input and [`MEMORY_FREE`];
//! - it is refused and should not be, or the other way round;
//! - it does not end, or ends the program.
//!
//! What is refused early costs about the same at any size; that is fine by the same rules, and
//! below [`COUNT_FREE`] nothing is judged, for there the first page fault of a buffer is a part.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tandem_bench_payload::hostile::{Attack, all};

use crate::Outcome;
use crate::counter::{self, Ending};

const GROWTH_MOST: f64 = 2.3;
const PER_BYTE_MOST: f64 = 400.0;
const COUNT_FREE: u64 = 100_000;
const MEMORY_TIMES: u64 = 16;
/// An answer may be this large whatever its input is (security LI-16), and its buffer doubles.
const MEMORY_FREE: u64 = 2 << 20;

/// One attack at one size.
#[derive(Debug, Clone, Copy)]
struct Sample {
    size: usize,
    count: u64,
    ending: Ending,
    peak: u64,
}

pub(crate) fn run(short: bool) -> Outcome<()> {
    let attacks = all();
    let next = AtomicUsize::new(0);
    let faults = Mutex::new(Vec::new());
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(4);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(attack) = attacks.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(fault) = withstand(attack, short) {
                        println!("FAILED {}: {fault}", attack.name);
                        faults.lock().expect("no worker panics").push(attack.name.clone());
                    }
                }
            });
        }
    });
    let faults = faults.into_inner().expect("no worker panics");
    println!("{} attacks withstood, {} not", attacks.len() - faults.len(), faults.len());
    if faults.is_empty() { Ok(()) } else { Err(format!("not withstood: {}", faults.join(", "))) }
}

/// Counts `attack` at its sizes, the smallest first, and stops at the first fault: what grows by
/// powers is caught before it is large.
fn withstand(attack: &Attack, short: bool) -> Outcome<()> {
    let (largest, doublings) = if short { (attack.size_short, 1) } else { (attack.size, 2) };
    let mut before: Option<Sample> = None;
    for doubling in (0..=doublings).rev() {
        let size = largest >> doubling;
        let (count, ending) =
            counter::attack(&attack.name, size).map_err(|fault| format!("at {size}: {fault}"))?;
        let peak =
            counter::peak(&attack.name, size).map_err(|fault| format!("at {size}: {fault}"))?;
        let sample = Sample { size, count, ending, peak };
        println!("{}", line(&attack.name, sample, before));
        judge(attack.answered, sample, before)?;
        before = Some(sample);
    }
    Ok(())
}

fn per_byte(sample: Sample) -> f64 {
    let Ending { input_bytes, output_bytes } = sample.ending;
    sample.count as f64 / (input_bytes + output_bytes.unwrap_or(0)) as f64
}

fn growth(sample: Sample, before: Sample) -> f64 {
    sample.count as f64 / before.count as f64
}

fn line(name: &str, sample: Sample, before: Option<Sample>) -> String {
    let Sample { size, count, ending, peak } = sample;
    let outcome = match ending.output_bytes {
        Some(bytes) => format!("gives {bytes} B"),
        None => "refused".into(),
    };
    let growth = before.map_or(String::new(), |before| {
        format!(", {:.2} times the one before", growth(sample, before))
    });
    format!(
        "{name} {size}: {} B, {outcome}, {count} instructions, {:.1} a byte, peak {:.1} times \
         the input{growth}",
        ending.input_bytes,
        per_byte(sample),
        peak as f64 / ending.input_bytes as f64,
    )
}

fn judge(answered: Option<bool>, sample: Sample, before: Option<Sample>) -> Outcome<()> {
    let Sample { size, count, ending, peak } = sample;
    if let Some(answered) = answered
        && ending.output_bytes.is_some() != answered
    {
        let should = if answered { "answered" } else { "refused" };
        return Err(format!("at {size}: should have been {should}"));
    }
    let allowed = MEMORY_TIMES * ending.input_bytes + MEMORY_FREE;
    if peak > allowed {
        return Err(format!("at {size}: {peak} bytes at once, {allowed} are allowed"));
    }
    if count < COUNT_FREE {
        return Ok(());
    }
    if per_byte(sample) > PER_BYTE_MOST {
        return Err(format!(
            "at {size}: {:.0} instructions a byte, {PER_BYTE_MOST} are allowed",
            per_byte(sample)
        ));
    }
    match before.map(|before| growth(sample, before)) {
        Some(growth) if growth > GROWTH_MOST => Err(format!(
            "at {size}: {growth:.2} times the instructions of half the size, {GROWTH_MOST} are \
             allowed"
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(count: u64, peak: u64, output_bytes: Option<u64>) -> Sample {
        Sample { size: 1, count, ending: Ending { input_bytes: 1_000_000, output_bytes }, peak }
    }

    fn check(sample: Sample, before: Option<Sample>, expected: &str) {
        let outcome = judge(Some(true), sample, before).err().unwrap_or_default();
        assert!(outcome.contains(expected), "{outcome}");
        assert_eq!(outcome.is_empty(), expected.is_empty(), "{outcome}");
    }

    #[test]
    fn both_sides_of_each_bound() {
        let half = sample(10_000_000, 0, Some(0));
        check(sample(23_000_000, 0, Some(0)), Some(half), "");
        check(sample(23_000_001, 0, Some(0)), Some(half), "half the size");
        check(sample(400_000_000, 0, Some(0)), None, "");
        check(sample(401_000_000, 0, Some(0)), None, "a byte");
        // The output is work that was asked for.
        check(sample(401_000_000, 0, Some(1_000_000)), None, "");
        let allowed = 16_000_000 + (2 << 20);
        check(sample(1, allowed, Some(0)), None, "");
        check(sample(1, allowed + 1, Some(0)), None, "at once");
        check(sample(1, 0, None), None, "should have been answered");
        // Too little to be judged.
        check(sample(99_999, 0, Some(0)), Some(sample(1, 0, Some(0))), "");
        check(sample(100_000, 0, Some(0)), Some(sample(1, 0, Some(0))), "half the size");
    }

    #[test]
    fn what_should_be_refused_and_is_not_fails() {
        assert!(judge(Some(false), sample(1, 0, Some(0)), None).is_err());
        assert!(judge(Some(false), sample(1, 0, None), None).is_ok());
        assert!(judge(None, sample(1, 0, Some(0)), None).is_ok());
        assert!(judge(None, sample(1, 0, None), None).is_ok());
    }
}
