//! What one block of load showed: times by method and by how calls ended, counts, readings.
//!
//! Three times of each call (compare L-2): **latency** from the intended moment to the end,
//! **service** from the sending to the end, **lag** from the intended moment to the sending. The
//! first is what a caller of a real service would see; the second, printed alone, would hide a
//! stall; the third says how well the generator kept its schedule.
//!
//! Not here: whether a block counts, and what its times mean (`tandem-judge`).

use std::time::Duration;

use tandem_judge::capacity::Probe;
use tandem_judge::cost::{Block, BlockReadings, Side, void};
use tandem_judge::stats::counts::Counts;

use super::Outcome;
use crate::histogram::Histogram;

/// Codes of gRPC, 0 to 16; what is none of them is counted as UNKNOWN.
const CODES: usize = 17;
const UNKNOWN: u8 = 2;

/// Keeps the times of one block. Made once for a run: keeping a time allocates nothing.
#[derive(Debug)]
pub struct Recorder {
    methods: Vec<Keeping>,
    /// Calls that ended since it was last known which of them met a stall of the generator.
    ended: Vec<Ended>,
}

#[derive(Debug, Clone, Copy)]
struct Ended {
    method: usize,
    how: How,
    moments: Moments,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Ok,
    Failed,
    TimedOut,
}

#[derive(Debug, Default)]
struct Keeping {
    ok: Kept,
    failed: Kept,
    timed_out: Kept,
    codes: [u64; CODES],
    lost: u64,
    answer_bytes: u64,
}

#[derive(Debug, Default)]
struct Kept {
    latency: Histogram,
    service: Histogram,
    lag: Histogram,
    set_aside: u64,
}

/// What happened to one call; moments on one clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moments {
    pub(super) intended: Duration,
    /// When it could have been sent: the intended moment, or the end of the call that it had to
    /// wait for.
    pub(super) possible: Duration,
    pub(super) sent: Duration,
    pub(super) ended: Duration,
}

impl Recorder {
    /// For methods 0 to `methods` - 1; a call of another one is a bug, and panics.
    pub fn new(methods: usize) -> Recorder {
        let methods = (0..methods).map(|_| Keeping::default()).collect();
        Recorder { methods, ended: Vec::new() }
    }

    pub(super) fn ended(
        &mut self,
        method: usize,
        outcome: Outcome,
        answer_bytes: u64,
        moments: &Moments,
    ) {
        let keeping = &mut self.methods[method];
        keeping.answer_bytes += answer_bytes;
        let code = match outcome {
            Outcome::Answered(code) => code,
            Outcome::Lost(code) => {
                keeping.lost += 1;
                code
            }
        };
        let code = if usize::from(code) < CODES { code } else { UNKNOWN };
        keeping.codes[usize::from(code)] += 1;
        let how = if outcome == Outcome::Answered(0) { How::Ok } else { How::Failed };
        self.ended.push(Ended { method, how, moments: *moments });
    }

    /// The deadline passed: the call is kept as if it had ended then, and known to have taken
    /// longer (compare L-3).
    pub(super) fn timed_out(&mut self, method: usize, deadline: Duration, moments: &Moments) {
        let ended = moments.sent + deadline;
        let moments = Moments { ended, ..*moments };
        self.ended.push(Ended { method, how: How::TimedOut, moments });
    }

    /// Keeps the times of what has ended, those set aside that `met` a stall of the generator. A
    /// call that timed out is never one of them: its time is a bound, whoever looked.
    pub(super) fn settle(&mut self, met: impl Fn(&Moments) -> bool) {
        for Ended { method, how, moments } in self.ended.drain(..) {
            let Keeping { ok, failed, timed_out, .. } = &mut self.methods[method];
            match how {
                How::TimedOut => timed_out.keep(&moments),
                How::Ok if met(&moments) => ok.set_aside += 1,
                How::Ok => ok.keep(&moments),
                How::Failed if met(&moments) => failed.set_aside += 1,
                How::Failed => failed.keep(&moments),
            }
        }
    }

    /// What was kept, and starts anew.
    pub(super) fn take(&mut self) -> Recorded {
        self.settle(|_| false);
        let methods = self.methods.iter_mut().map(|keeping| {
            let Keeping { ok, failed, timed_out, codes, lost, answer_bytes } = keeping;
            OfMethod {
                ok: ok.take(),
                failed: failed.take(),
                timed_out: timed_out.take(),
                codes: std::mem::take(codes),
                lost: std::mem::take(lost),
                answer_bytes: std::mem::take(answer_bytes),
            }
        });
        Recorded { methods: methods.collect() }
    }
}

impl Kept {
    fn keep(&mut self, moments: &Moments) {
        let Moments { intended, possible, sent, ended } = *moments;
        self.latency.record(ended.saturating_sub(intended));
        self.service.record(ended.saturating_sub(sent));
        self.lag.record(sent.saturating_sub(possible));
    }

    fn take(&mut self) -> Times {
        let mut taken = |histogram: fn(&mut Kept) -> &mut Histogram| {
            let histogram = histogram(self);
            let counts = histogram.counts();
            if histogram.total() > 0 {
                histogram.reset();
            }
            counts
        };
        Times {
            latency: taken(|kept| &mut kept.latency),
            service: taken(|kept| &mut kept.service),
            lag: taken(|kept| &mut kept.lag),
            set_aside: std::mem::take(&mut self.set_aside),
        }
    }
}

/// The three times of some calls, in microseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Times {
    pub latency: Counts,
    pub service: Counts,
    pub lag: Counts,
    /// Calls beside these, whose times say more about the generator than about the service: it
    /// stood still when they were to be sent, or when they ended.
    pub set_aside: u64,
}

impl Times {
    /// All of several.
    pub fn merged<'t>(all: impl Iterator<Item = &'t Times> + Clone) -> Times {
        Times {
            latency: Counts::merged(all.clone().map(|times| &times.latency)),
            service: Counts::merged(all.clone().map(|times| &times.service)),
            lag: Counts::merged(all.clone().map(|times| &times.lag)),
            set_aside: all.map(|times| times.set_aside).sum(),
        }
    }

    /// Those set aside among them.
    pub fn calls(&self) -> u64 {
        self.latency.total() + self.set_aside
    }
}

/// What was kept of one method.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OfMethod {
    /// Answered with OK.
    pub ok: Times,
    /// Answered with another status, or lost.
    pub failed: Times,
    /// Not answered by the deadline. These times are lower bounds.
    pub timed_out: Times,
    /// By gRPC status, those that timed out left out.
    pub codes: [u64; CODES],
    /// Of those failed: nobody answered.
    pub lost: u64,
    pub answer_bytes: u64,
}

/// What was kept of all methods, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    pub methods: Vec<OfMethod>,
}

/// A percentile, and whether it is known or only known to be longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantile {
    pub value_us: u64,
    /// The call of this rank timed out: to be printed with "≥".
    pub at_least: bool,
}

impl Recorded {
    /// Adds another block's.
    pub fn merge(&mut self, other: &Recorded) {
        self.methods.resize_with(self.methods.len().max(other.methods.len()), OfMethod::default);
        for (own, other) in self.methods.iter_mut().zip(&other.methods) {
            own.ok = Times::merged([&own.ok, &other.ok].into_iter());
            own.failed = Times::merged([&own.failed, &other.failed].into_iter());
            own.timed_out = Times::merged([&own.timed_out, &other.timed_out].into_iter());
            for (own, other) in own.codes.iter_mut().zip(other.codes) {
                *own += other;
            }
            own.lost += other.lost;
            own.answer_bytes += other.answer_bytes;
        }
    }

    /// Calls that ended well or ran out of time. Those that failed are apart: a side that fails
    /// fast is not a fast side.
    pub fn latency_us(&self) -> Counts {
        let ok = self.methods.iter().map(|method| &method.ok.latency);
        Counts::merged(ok.chain(self.methods.iter().map(|method| &method.timed_out.latency)))
    }

    /// A percentile of [`Recorded::latency_us`]; `None` without calls.
    pub fn quantile(&self, part: f64) -> Option<Quantile> {
        let value_us = self.latency_us().quantile(part)?;
        let timed_out = self.methods.iter().map(|method| &method.timed_out.latency);
        let shortest = timed_out.filter_map(|counts| counts.ranked(1)).min();
        Some(Quantile { value_us, at_least: shortest.is_some_and(|bound| bound <= value_us) })
    }

    pub fn ok(&self) -> u64 {
        self.methods.iter().map(|method| method.ok.calls()).sum()
    }

    pub fn failed(&self) -> u64 {
        self.methods.iter().map(|method| method.failed.calls()).sum()
    }

    pub fn timed_out(&self) -> u64 {
        self.methods.iter().map(|method| method.timed_out.calls()).sum()
    }

    fn lost(&self) -> u64 {
        self.methods.iter().map(|method| method.lost).sum()
    }

    /// Calls whose times were set aside.
    pub fn set_aside(&self) -> u64 {
        self.all().map(|times| times.set_aside).sum()
    }

    fn all(&self) -> impl Iterator<Item = &Times> + Clone {
        self.methods.iter().flat_map(|method| [&method.ok, &method.failed, &method.timed_out])
    }
}

/// One block of load, as it was.
#[derive(Debug, Clone)]
pub struct Offered {
    /// As planned.
    pub length: Duration,
    /// From the start to the end of the last call, not less than `length`.
    pub took: Duration,
    /// Calls of the schedule.
    pub scheduled: u64,
    /// Of them: not sent, for too many were under way (compare L-3).
    pub unsent: u64,
    pub recorded: Recorded,
    /// Calls under way, at even distances over the schedule.
    pub in_flight: Vec<u64>,
    /// Part of the time in which the generator's thread worked; waiting awake is no work.
    pub generator_busy: f64,
    /// Part of the time that the host took away, in each half; 0 where the kernel says nothing.
    pub steal: [f64; 2],
}

/// What a side used in a block, as its probe says.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    pub cpu_s: Option<f64>,
    /// Used by the other side, which was not called.
    pub idle_cpu_s: Option<f64>,
    pub peak_bytes: Option<u64>,
    pub allocations: Option<u64>,
}

impl Offered {
    /// What says whether the block counts (compare L-4, A-6).
    pub fn readings(&self) -> BlockReadings {
        let all = Times::merged(self.recorded.all());
        BlockReadings {
            scheduled: self.scheduled,
            unsent: self.unsent,
            set_aside: all.set_aside,
            lag_p99_us: all.lag.quantile(0.99).unwrap_or(0),
            service_p50_us: all.service.quantile(0.5).unwrap_or(0),
            generator_busy: self.generator_busy,
            steal: self.steal,
        }
    }

    /// The block as it is judged.
    pub fn block(&self, side: Side, usage: &Usage) -> Block {
        let Usage { cpu_s, idle_cpu_s, peak_bytes, allocations } = *usage;
        Block {
            side,
            seconds: self.took.as_secs_f64(),
            calls: self.recorded.ok() + self.recorded.failed() - self.recorded.lost(),
            cpu_s,
            idle_cpu_s,
            latency_us: self.recorded.latency_us(),
            peak_bytes,
            allocations,
            void: void(&self.readings()),
        }
    }

    /// The block as a probe of capacity, held to `slow_us` microseconds. A call that timed out or
    /// was lost is not completed.
    pub fn probe(&self, slow_us: u64, cpu_cores: Option<f64>) -> Probe {
        let completed = self.recorded.ok() + self.recorded.failed() - self.recorded.lost();
        let ok = self.recorded.methods.iter().map(|method| &method.ok.latency);
        Probe {
            offered_calls: self.scheduled,
            completed,
            timed: self.scheduled.saturating_sub(self.recorded.set_aside()),
            slow: ok.map(|latency| latency.above(slow_us)).sum(),
            errors: self.recorded.failed() - self.recorded.lost(),
            in_flight: self.in_flight.clone(),
            cpu_cores,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_judge::cost::Void;

    const fn ms(time: u64) -> Duration {
        Duration::from_millis(time)
    }

    fn moments(intended: u64, sent: u64, ended: u64) -> Moments {
        let (intended, sent, ended) = (ms(intended), ms(sent), ms(ended));
        Moments { intended, possible: intended, sent, ended }
    }

    fn offered(recorded: Recorded) -> Offered {
        Offered {
            length: ms(1_000),
            took: ms(1_250),
            scheduled: 5,
            unsent: 0,
            recorded,
            in_flight: vec![1, 2, 1],
            generator_busy: 0.3,
            steal: [0.0, 0.01],
        }
    }

    /// Two good calls, one refused, one lost, one that timed out.
    fn five() -> Recorded {
        let mut recorder = Recorder::new(2);
        recorder.ended(0, Outcome::Answered(0), 10, &moments(0, 0, 2));
        recorder.ended(1, Outcome::Answered(0), 10, &moments(10, 14, 20));
        recorder.ended(1, Outcome::Answered(5), 0, &moments(20, 20, 21));
        recorder.ended(0, Outcome::Lost(14), 0, &moments(30, 30, 31));
        recorder.timed_out(0, ms(500), &moments(40, 41, 999));
        recorder.take()
    }

    #[test]
    fn compare_l_2_latency_counts_from_the_intended_moment_service_and_lag_from_the_sending() {
        let recorded = five();
        let late = &recorded.methods[1].ok;
        assert_eq!(late.latency.pairs(), Counts::of([10_007]).pairs());
        assert_eq!(late.service.pairs(), Counts::of([6_003]).pairs());
        assert_eq!(late.lag.pairs(), Counts::of([4_001]).pairs());
    }

    #[test]
    fn compare_l_3_a_call_that_timed_out_is_kept_at_its_deadline_and_marked() {
        let recorded = five();
        assert_eq!((recorded.ok(), recorded.failed(), recorded.timed_out()), (2, 2, 1));
        let service = recorded.methods[0].timed_out.service.pairs();
        assert_eq!(service, Counts::of([500_223]).pairs());
        let median = recorded.quantile(0.5).unwrap();
        assert!(!median.at_least && median.value_us < 11_000, "{median:?}");
        let most = recorded.quantile(0.99).unwrap();
        assert!(most.at_least && most.value_us > 500_000, "{most:?}");
        assert_eq!(Recorded::default().quantile(0.5), None);
    }

    #[test]
    fn compare_l_4_a_call_that_met_a_stall_is_counted_and_its_times_are_not() {
        let mut recorder = Recorder::new(1);
        let met = |moments: &Moments| moments.intended == ms(10);
        recorder.ended(0, Outcome::Answered(0), 10, &moments(0, 0, 2));
        recorder.ended(0, Outcome::Answered(0), 10, &moments(10, 14, 20));
        recorder.ended(0, Outcome::Answered(5), 0, &moments(10, 20, 21));
        recorder.timed_out(0, ms(500), &moments(10, 10, 999));
        recorder.settle(met);
        recorder.ended(0, Outcome::Answered(0), 10, &moments(30, 30, 31));
        recorder.settle(met);
        let recorded = recorder.take();
        assert_eq!((recorded.ok(), recorded.failed(), recorded.timed_out()), (3, 1, 1));
        assert_eq!(recorded.set_aside(), 2, "one good, one refused; never one that timed out");
        assert_eq!(recorded.latency_us().total(), 3);
        assert_eq!(recorded.methods[0].answer_bytes, 30);
        let block = Offered { scheduled: 20, ..offered(recorded.clone()) };
        assert_eq!((block.readings().set_aside, block.readings().lag_p99_us), (2, 0));
        assert_eq!(block.block(Side::Primary, &Usage::default()).void, None);
        let block = Offered { scheduled: 19, ..offered(recorded) };
        assert_eq!(block.block(Side::Primary, &Usage::default()).void, Some(Void::Stalled));
        assert_eq!((block.probe(9_000, None).timed, block.probe(9_000, None).completed), (17, 4));
        recorder.ended(0, Outcome::Answered(0), 0, &moments(0, 0, 1));
        assert_eq!(recorder.take().set_aside(), 0, "the next block has its own");
    }

    #[test]
    fn failed_calls_are_counted_by_their_status_and_kept_apart_from_latency() {
        let recorded = five();
        assert_eq!(recorded.methods[1].codes[5], 1);
        assert_eq!((recorded.methods[0].codes[14], recorded.methods[0].lost), (1, 1));
        assert_eq!(recorded.latency_us().total(), 3);
        let mut recorder = Recorder::new(1);
        recorder.ended(0, Outcome::Answered(99), 0, &moments(0, 0, 1));
        let recorded = recorder.take();
        assert_eq!((recorded.methods[0].codes[2], recorded.failed()), (1, 1));
    }

    #[test]
    fn a_block_is_judged_by_what_was_answered_and_read() {
        let usage = Usage { cpu_s: Some(0.5), ..Usage::default() };
        let block = offered(five()).block(Side::Candidate, &usage);
        assert_eq!((block.calls, block.latency_us.total()), (3, 3));
        assert_eq!((block.side, block.cpu_s), (Side::Candidate, Some(0.5)));
        assert!((block.seconds - 1.25).abs() < 1e-9);
        // One call of five was sent 4 ms late.
        assert_eq!(block.void, Some(Void::Lag));
        let unsent = Offered { unsent: 1, ..offered(five()) };
        assert_eq!(unsent.block(Side::Primary, &usage).void, Some(Void::Unsent));
    }

    #[test]
    fn compare_k_2_a_probe_counts_what_was_slow_failed_or_never_completed() {
        let probe = offered(five()).probe(9_000, Some(0.7));
        assert_eq!((probe.offered_calls, probe.completed), (5, 3));
        assert_eq!((probe.slow, probe.errors), (1, 1));
        assert_eq!((probe.in_flight.len(), probe.cpu_cores), (3, Some(0.7)));
    }

    #[test]
    fn blocks_merge_and_a_recorder_starts_anew() {
        let (mut all, block) = (five(), five());
        all.merge(&block);
        assert_eq!((all.ok(), all.failed(), all.timed_out()), (4, 4, 2));
        assert_eq!((all.methods[0].lost, all.methods[0].answer_bytes), (2, 20));
        let mut recorder = Recorder::new(1);
        recorder.ended(0, Outcome::Answered(0), 1, &moments(0, 0, 1));
        assert_eq!(recorder.take().ok(), 1);
        assert_eq!(recorder.take(), Recorded { methods: vec![OfMethod::default()] });
    }
}
