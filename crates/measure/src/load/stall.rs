//! Times in which the generator did not look: the host had taken its core, the kernel was busy.
//!
//! A clock that waits awake turns with the loop every few microseconds. A turn that took much longer
//! than the thread had the processor for is one in which nobody sent or read anything, and no fault
//! of the calls in it: a burst of answers keeps the thread busy, and that is work. A host that takes
//! a virtual core away is not seen so, for the guest's clock counts on; but a turn runs a handful
//! of tasks of some 20 µs, so one of more than 200 µs is no work either.
//!
//! A call that should have been sent in a stall, or that ended in one, has a time that says more
//! about the generator than about the service: it is set aside from the times, whichever side it
//! went to and however it was answered, and counted (compare L-4). The middle of a call may hold as
//! many stalls as it likes, so long calls are set aside as seldom as short ones.
//!
//! Not here: how many of them make a block void (`tandem_judge::cost`).

use std::time::Duration;

/// A turn in which the thread went without the processor for longer than this is a stall: the lag
/// that a block may have (compare L-4).
pub const STALL_LEAST: Duration = Duration::from_micros(100);

/// A turn longer than this is a stall, whatever the thread's clock says of it.
const TURN_MOST: Duration = Duration::from_micros(200);

/// Until an answer that was waiting when a stall ended has been read.
const AFTER: Duration = STALL_LEAST;

/// What time it is, and the CPU time of the thread by then.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Moment {
    pub(super) now: Duration,
    pub(super) cpu: Duration,
}

/// The stalls of a block.
#[derive(Debug, Default)]
pub(super) struct Stalls {
    looked: Moment,
    /// In their order; they do not overlap. At most a block's length over [`STALL_LEAST`] of them.
    gaps: Vec<(Duration, Duration)>,
}

impl Stalls {
    /// Forgets what was, and looks from `now` on.
    pub(super) fn begin(&mut self, now: Moment) {
        self.looked = now;
        self.gaps.clear();
    }

    /// Somebody looks.
    pub(super) fn look(&mut self, at: Moment) {
        let took = at.now.saturating_sub(self.looked.now);
        let worked = at.cpu.saturating_sub(self.looked.cpu);
        if took.saturating_sub(worked) > STALL_LEAST || took > TURN_MOST {
            self.gaps.push((self.looked.now, at.now));
        }
        self.looked = at;
    }

    /// Whether a call met one: between its intended moment and its sending, or at its end.
    pub(super) fn met(&self, intended: Duration, sent: Duration, ended: Duration) -> bool {
        self.overlaps(intended, sent) || self.overlaps(ended.saturating_sub(AFTER), ended)
    }

    fn overlaps(&self, from: Duration, until: Duration) -> bool {
        let first = self.gaps.partition_point(|(_, end)| *end < from);
        self.gaps.get(first).is_some_and(|(start, _)| *start <= until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn us(time: u64) -> Duration {
        Duration::from_micros(time)
    }

    const fn at(now: u64, cpu: u64) -> Moment {
        Moment { now: us(now), cpu: us(cpu) }
    }

    #[test]
    fn a_call_meets_a_stall_where_it_is_sent_or_ends_and_not_in_its_middle() {
        let mut stalls = Stalls::default();
        stalls.begin(at(1_000, 0));
        // None up to 1,150; 1,150 to 3,000; 3,010 to 9,000.
        for now in [1_050, 1_150, 3_000, 3_010, 9_000, 9_001] {
            stalls.look(at(now, 0));
        }
        for (intended, sent, ended, expected, why) in [
            (1_000, 1_010, 1_149, false, "before the first"),
            (1_000, 1_010, 1_500, true, "its answer came while nobody looked"),
            (1_500, 3_001, 3_200, true, "it was to be sent while nobody looked"),
            (1_100, 1_101, 3_005, true, "its answer was read when the stall was over"),
            (3_005, 3_006, 9_200, false, "a stall in the middle is the call's own time"),
            (3_005, 3_006, 9_100, true, "just behind one"),
            (9_150, 9_151, 9_260, false, "after the last"),
        ] {
            let met = stalls.met(us(intended), us(sent), us(ended));
            assert_eq!(met, expected, "{intended} {sent} {ended}: {why}");
        }
        stalls.begin(at(20_000, 0));
        assert!(!stalls.met(us(1_500), us(3_001), us(3_200)), "a block begins anew");
    }

    #[test]
    fn a_turn_is_a_stall_by_what_the_thread_went_without_or_when_no_work_takes_so_long() {
        for (took, worked, expected) in [
            (100, 0, false),
            (101, 0, true),
            (200, 100, false),
            (200, 99, true),
            (200, 200, false),
            (201, 201, true),
        ] {
            let mut stalls = Stalls::default();
            stalls.begin(at(0, 7));
            stalls.look(at(took, 7 + worked));
            assert_eq!(stalls.met(us(50), us(50), us(9_000)), expected, "{took} {worked}");
        }
    }
}
