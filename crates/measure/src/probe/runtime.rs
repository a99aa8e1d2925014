//! What a process says of itself: `tandem.runtime.v1.Runtime/Snapshot`, read field by field.
//!
//! Whoever has a connection calls [`PATH`] with an empty message and hands over the answer. What
//! it says is detail beside the figures from outside, and the words of the service itself: nothing
//! here is believed over a clock of the kernel.

use std::time::Duration;

use tandem_contract::fields::{self, Field};
use tandem_judge::report::{Build, Runtime};

/// Where it is asked for.
pub const PATH: &str = "/tandem.runtime.v1.Runtime/Snapshot";

/// One answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    pub program: String,
    pub version: String,
    pub build: Build,
    /// The commit that it was built from.
    pub revision: String,
    /// Threads that run the service's code at one time; 0 where it does not say.
    pub parallelism: u32,
    pub allocator: String,
    pub detail: Option<Detail>,
}

/// Counters of its runtime, since it began.
#[derive(Debug, Clone, PartialEq)]
pub enum Detail {
    Go(Go),
    Tokio(Tokio),
}

/// `runtime/metrics` of Go (compare A-13).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Go {
    /// `None` is `off`.
    pub gogc_percent: Option<u32>,
    pub memory_limit_bytes: Option<u64>,
    pub gc_cycles: u64,
    pub allocated_bytes: u64,
    /// Good against each other only: both are overestimates.
    pub gc_cpu_s: f64,
    pub user_cpu_s: f64,
    pub gc_pauses: Durations,
    pub other_pauses: Durations,
    pub scheduling: Durations,
}

/// Of the tasks that carry calls. There is no collector.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Tokio {
    pub polls: u64,
    pub polled_s: f64,
    pub polls_long: u64,
    pub polls_long_s: f64,
    pub polls_long_from_s: f64,
    pub waits: u64,
    pub waited_s: f64,
    pub waits_long: u64,
    pub waits_long_s: f64,
    pub waits_long_from_s: f64,
}

/// How often a duration lay below which bound.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Durations(Vec<(f64, u64)>);

/// Buckets of one histogram; Go has about two hundred.
const BUCKETS_MOST: usize = 4096;
/// Bytes of a text; what is longer is cut.
const TEXT_BYTES_MOST: usize = 1024;

impl Snapshot {
    /// From the bytes of the answer, without the five of its envelope.
    ///
    /// # Errors
    /// When they are no such message.
    pub fn parse(message: &[u8]) -> Result<Snapshot, &'static str> {
        let mut snapshot = Snapshot::default();
        for field in fields::each(message) {
            let field = field?;
            match field.number {
                1 => snapshot.program = text(&field),
                2 => snapshot.version = text(&field),
                3 => (snapshot.build, snapshot.revision) = build(field.bytes)?,
                4 => snapshot.parallelism = u32::try_from(field.value).unwrap_or(u32::MAX),
                5 => snapshot.allocator = text(&field),
                6 => snapshot.detail = Some(Detail::Go(go(field.bytes)?)),
                7 => snapshot.detail = Some(Detail::Tokio(tokio(field.bytes)?)),
                _ => {}
            }
        }
        Ok(snapshot)
    }

    /// As a report has it, with what was counted in the stretches that are measured.
    pub fn runtime(&self, counted: &Counted) -> Runtime {
        let go = self.go();
        let said = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let Counted { stretches, cycles, stops, gc_cpu_s, user_cpu_s, polls, polls_long } = counted;
        // Where there is no collector there is no figure, and not the figure 0.
        let collected = go.filter(|_| *stretches > 0);
        let polled = self.tokio().filter(|_| *stretches > 0);
        let stop = collected.and_then(|_| stops.quantile(0.99));
        Runtime {
            parallelism: Some(self.parallelism).filter(|count| *count > 0),
            gogc: go.map(|go| match go.gogc_percent {
                Some(percent) => percent.to_string(),
                None => "off".to_owned(),
            }),
            allocator: said(&self.allocator),
            gc_cycles: collected.map(|_| *cycles),
            kind: self.detail.as_ref().map(|detail| detail.kind().to_owned()),
            gc_stop_p99_s: stop.map(|stop| stop.as_secs_f64()),
            gc_share_of_user: collected
                .filter(|_| *user_cpu_s > 0.0)
                .map(|_| gc_cpu_s / user_cpu_s),
            polls: polled.map(|_| *polls),
            polls_long: polled.map(|_| *polls_long),
            polls_long_from_s: polled.map(|tokio| tokio.polls_long_from_s),
        }
    }

    pub fn go(&self) -> Option<&Go> {
        match &self.detail {
            Some(Detail::Go(go)) => Some(go),
            Some(Detail::Tokio(_)) | None => None,
        }
    }

    pub fn tokio(&self) -> Option<&Tokio> {
        match &self.detail {
            Some(Detail::Tokio(tokio)) => Some(tokio),
            Some(Detail::Go(_)) | None => None,
        }
    }
}

impl Detail {
    fn kind(&self) -> &'static str {
        match self {
            Detail::Go(_) => "go",
            Detail::Tokio(_) => "tokio",
        }
    }
}

/// What a runtime counted between two snapshots, summed over as many stretches as there were and
/// over restarts in between. It stands beside what is seen from outside, which is the same for
/// all, and never in its place.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counted {
    stretches: u64,
    cycles: u64,
    /// All threads stopped for a collection.
    stops: Durations,
    gc_cpu_s: f64,
    user_cpu_s: f64,
    polls: u64,
    polls_long: u64,
}

impl Counted {
    /// Adds what one process counted from `before` until `after`. A counter that went back is of
    /// another process, and counts as nothing.
    pub fn add(&mut self, before: &Snapshot, after: &Snapshot) {
        match (&before.detail, &after.detail) {
            (Some(Detail::Go(before)), Some(Detail::Go(after))) => {
                self.cycles += after.gc_cycles.saturating_sub(before.gc_cycles);
                self.stops.add(&after.gc_pauses.since(&before.gc_pauses));
                self.gc_cpu_s += (after.gc_cpu_s - before.gc_cpu_s).max(0.0);
                self.user_cpu_s += (after.user_cpu_s - before.user_cpu_s).max(0.0);
            }
            (Some(Detail::Tokio(before)), Some(Detail::Tokio(after))) => {
                self.polls += after.polls.saturating_sub(before.polls);
                self.polls_long += after.polls_long.saturating_sub(before.polls_long);
            }
            _ => return,
        }
        self.stretches += 1;
    }
}

impl Durations {
    fn parse(message: &[u8]) -> Result<Durations, &'static str> {
        let mut buckets = Vec::new();
        for field in fields::each(message) {
            let field = field?;
            if field.number != 1 {
                continue;
            }
            if buckets.len() >= BUCKETS_MOST {
                return Err("a histogram has too many buckets");
            }
            let (mut below_s, mut count) = (0.0, 0);
            for field in fields::each(field.bytes) {
                let field = field?;
                match field.number {
                    1 => below_s = number(&field)?,
                    2 => count = field.value,
                    _ => {}
                }
            }
            buckets.push((below_s, count));
        }
        buckets.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        Ok(Durations(buckets))
    }

    pub fn count(&self) -> u64 {
        self.0.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// What came after `earlier`.
    pub fn since(&self, earlier: &Durations) -> Durations {
        let before = |below: f64| {
            let same = |(bound, _): &&(f64, u64)| bound.total_cmp(&below).is_eq();
            earlier.0.iter().find(same).map_or(0, |(_, count)| *count)
        };
        let less = |(below, count): &(f64, u64)| (*below, count.saturating_sub(before(*below)));
        Durations(self.0.iter().map(less).collect())
    }

    /// With those of `more`, bucket by bucket.
    fn add(&mut self, more: &Durations) {
        for (below, count) in &more.0 {
            match self.0.binary_search_by(|(bound, _)| bound.total_cmp(below)) {
                Ok(place) => self.0[place].1 = self.0[place].1.saturating_add(*count),
                Err(place) => self.0.insert(place, (*below, *count)),
            }
        }
    }

    /// The bound below which this part of them lies.
    pub fn quantile(&self, part: f64) -> Option<Duration> {
        let wanted = (self.count() as f64 * part).ceil() as u64;
        let mut seen = 0_u64;
        let reached = self.0.iter().find(|(_, count)| {
            seen = seen.saturating_add(*count);
            seen >= wanted && seen > 0
        });
        reached.and_then(|(below, _)| Duration::try_from_secs_f64(*below).ok())
    }
}

fn build(message: &[u8]) -> Result<(Build, String), &'static str> {
    let (mut build, mut revision) = (Build::default(), String::new());
    for field in fields::each(message) {
        let field = field?;
        match field.number {
            1 => build.toolchain = text(&field),
            2 => build.flags = text(&field),
            3 => build.profile = text(&field),
            4 => revision = text(&field),
            _ => {}
        }
    }
    Ok((build, revision))
}

fn go(message: &[u8]) -> Result<Go, &'static str> {
    // What is zero is not written.
    let mut go = Go { gogc_percent: Some(0), ..Go::default() };
    for field in fields::each(message) {
        let field = field?;
        match field.number {
            1 => go.gogc_percent = u32::try_from(zigzag(field.value)).ok(),
            2 => go.memory_limit_bytes = Some(field.value),
            3 => go.gc_cycles = field.value,
            4 => go.allocated_bytes = field.value,
            5 => go.gc_cpu_s = number(&field)?,
            6 => go.user_cpu_s = number(&field)?,
            7 => go.gc_pauses = Durations::parse(field.bytes)?,
            8 => go.other_pauses = Durations::parse(field.bytes)?,
            9 => go.scheduling = Durations::parse(field.bytes)?,
            _ => {}
        }
    }
    Ok(go)
}

fn tokio(message: &[u8]) -> Result<Tokio, &'static str> {
    let mut tokio = Tokio::default();
    for field in fields::each(message) {
        let field = field?;
        match field.number {
            1 => tokio.polls = field.value,
            2 => tokio.polled_s = number(&field)?,
            3 => tokio.polls_long = field.value,
            4 => tokio.polls_long_s = number(&field)?,
            5 => tokio.polls_long_from_s = number(&field)?,
            6 => tokio.waits = field.value,
            7 => tokio.waited_s = number(&field)?,
            8 => tokio.waits_long = field.value,
            9 => tokio.waits_long_s = number(&field)?,
            10 => tokio.waits_long_from_s = number(&field)?,
            _ => {}
        }
    }
    Ok(tokio)
}

/// A service may say anything: texts are cut, and hold no control characters.
fn text(field: &Field<'_>) -> String {
    let text = String::from_utf8_lossy(&field.bytes[..field.bytes.len().min(TEXT_BYTES_MOST)]);
    text.chars().filter(|c| !c.is_control()).collect()
}

/// Seconds: neither negative, nor endless, nor no number at all.
fn number(field: &Field<'_>) -> Result<f64, &'static str> {
    let number = f64::from_bits(field.value);
    (number.is_finite() && number >= 0.0).then_some(number).ok_or("a time is no length of time")
}

fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_contract::fields::{put_bytes, put_number};

    fn put_double(number: u32, value: f64, out: &mut Vec<u8>) {
        put_number(number, 0, out);
        // The tag of a fixed field in the place of the varint's, and its eight bytes.
        out.pop();
        let tag = out.pop().unwrap();
        out.push(tag | 1);
        out.extend_from_slice(&value.to_le_bytes());
    }

    fn durations(buckets: &[(f64, u64)]) -> Vec<u8> {
        let mut all = Vec::new();
        for (below, count) in buckets {
            let mut one = Vec::new();
            put_double(1, *below, &mut one);
            put_number(2, *count, &mut one);
            put_bytes(1, &one, &mut all);
        }
        all
    }

    fn of_go(cycles: u64, gogc: u64, stops: &[(f64, u64)]) -> Vec<u8> {
        let mut go = Vec::new();
        put_number(1, gogc, &mut go);
        put_number(3, cycles, &mut go);
        put_double(5, cycles as f64 * 0.1, &mut go);
        put_double(6, cycles as f64, &mut go);
        put_bytes(7, &durations(stops), &mut go);
        let mut build = Vec::new();
        put_bytes(1, b"go1.26.0", &mut build);
        put_bytes(2, b"-trimpath=true", &mut build);
        put_bytes(4, b"abc+", &mut build);
        let mut message = Vec::new();
        put_bytes(1, b"catalogue-go", &mut message);
        put_bytes(3, &build, &mut message);
        put_number(4, 2, &mut message);
        put_bytes(5, b"go", &mut message);
        put_bytes(6, &go, &mut message);
        message
    }

    #[test]
    fn compare_a_13_what_go_says_becomes_what_a_report_says() {
        let before = Snapshot::parse(&of_go(10, 200, &[(0.001, 20)])).unwrap();
        let after = of_go(110, 200, &[(0.004, 2), (0.001, 20), (0.0001, 198)]);
        let after = Snapshot::parse(&after).unwrap();
        assert_eq!((&*after.program, &*after.revision), ("catalogue-go", "abc+"));
        assert_eq!(after.build.toolchain, "go1.26.0");
        let mut counted = Counted::default();
        counted.add(&before, &after);
        let runtime = after.runtime(&counted);
        assert!(runtime.gc_share_of_user.is_some_and(|share| (share - 0.1).abs() < 1e-9));
        let expected = Runtime {
            parallelism: Some(2),
            gogc: Some("100".into()),
            allocator: Some("go".into()),
            gc_cycles: Some(100),
            kind: Some("go".into()),
            // 198 of the 200 new ones were below a tenth of a millisecond.
            gc_stop_p99_s: Some(0.0001),
            gc_share_of_user: runtime.gc_share_of_user,
            ..Runtime::default()
        };
        assert_eq!(runtime, expected);
        // Before the first stretch is over nothing is known of it.
        assert_eq!(after.runtime(&Counted::default()).gc_cycles, None);
    }

    #[test]
    fn compare_i_2_stretches_of_processes_that_were_started_anew_are_summed() {
        let snapshot =
            |cycles, stops: &[(f64, u64)]| Snapshot::parse(&of_go(cycles, 200, stops)).unwrap();
        let mut counted = Counted::default();
        counted.add(&snapshot(10, &[(0.001, 20)]), &snapshot(14, &[(0.001, 26), (0.002, 2)]));
        let last = snapshot(5, &[(0.0005, 4), (0.001, 2)]);
        counted.add(&snapshot(2, &[(0.0005, 2)]), &last);
        let runtime = last.runtime(&counted);
        // Two below 0.5 ms, eight below 1 ms, two below 2 ms.
        assert_eq!((runtime.gc_cycles, runtime.gc_stop_p99_s), (Some(7), Some(0.002)));
        assert_eq!(counted.stops.count(), 12);
        assert_eq!(counted.stops.quantile(0.5), Some(Duration::from_millis(1)));
        // Of two different processes nothing is known.
        counted.add(&snapshot(100, &[(0.001, 50)]), &last);
        assert_eq!(last.runtime(&counted).gc_cycles, Some(7));
    }

    #[test]
    fn compare_a_13_without_a_collector_there_is_none_and_not_zero() {
        let mut tokio = Vec::new();
        put_number(1, 5000, &mut tokio);
        put_number(3, 4, &mut tokio);
        put_double(5, 0.001, &mut tokio);
        let mut message = Vec::new();
        put_bytes(7, &tokio, &mut message);
        let snapshot = Snapshot::parse(&message).unwrap();
        let mut counted = Counted::default();
        counted.add(
            &Snapshot { detail: Some(Detail::Tokio(Tokio::default())), ..Snapshot::default() },
            &snapshot,
        );
        let expected = Runtime {
            kind: Some("tokio".into()),
            polls: Some(5000),
            polls_long: Some(4),
            polls_long_from_s: Some(0.001),
            ..Runtime::default()
        };
        assert_eq!(snapshot.runtime(&counted), expected);
        let read = snapshot.tokio().map(|of| (of.polls, of.polls_long, of.polls_long_from_s));
        assert_eq!(read, Some((5000, 4, 0.001)));
    }

    #[test]
    fn a_collector_that_is_off_is_said_to_be() {
        let gogc = |zigzag| {
            Snapshot::parse(&of_go(1, zigzag, &[])).unwrap().runtime(&Counted::default()).gogc
        };
        assert_eq!(gogc(1), Some("off".into()));
        assert_eq!(gogc(0), Some("0".into()));
        assert_eq!(gogc(800), Some("400".into()));
    }

    #[test]
    fn what_is_no_snapshot_or_no_time_is_refused() {
        assert_eq!(Snapshot::parse(b""), Ok(Snapshot::default()));
        for time in [f64::NAN, f64::INFINITY, -1.0] {
            assert!(Snapshot::parse(&of_go(1, 0, &[(time, 1)])).is_err(), "{time}");
        }
        let whole = of_go(1, 200, &[(0.001, 1)]);
        assert!(Snapshot::parse(&whole[..whole.len() - 1]).is_err());
        let many = vec![(0.001, 1); BUCKETS_MOST + 1];
        assert!(Snapshot::parse(&of_go(1, 200, &many)).is_err());
        let mut message = Vec::new();
        put_bytes(1, &vec![b'a'; 5000], &mut message);
        put_bytes(2, b"1\x1b[31m\n\xff", &mut message);
        let snapshot = Snapshot::parse(&message).unwrap();
        assert_eq!((snapshot.program.len(), &*snapshot.version), (1024, "1[31m\u{fffd}"));
    }

    #[test]
    fn quantiles_of_nothing_are_nothing() {
        assert_eq!(Durations::default().quantile(0.99), None);
        let one = Durations(vec![(0.5, 1)]);
        assert_eq!(one.quantile(0.5), Some(Duration::from_millis(500)));
        assert_eq!(one.since(&one).quantile(0.99), None);
    }
}
