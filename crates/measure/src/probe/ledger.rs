//! Adds up the CPU of processes that come and go.
//!
//! Pure. A child that ended and was waited for by its parent is in the parent's figure from then
//! on; one that nobody of the tree waited for would be lost, so its last figure is carried here.

use std::collections::BTreeMap;
use std::time::Duration;

/// A process for good: a pid comes back, a pid with its start time does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) start_ticks: u64,
}

/// What one process says of itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Spent {
    /// By its own threads.
    pub(super) own: Duration,
    /// By children that it waited for.
    pub(super) reaped: Duration,
}

impl Spent {
    fn all(self) -> Duration {
        self.own.saturating_add(self.reaped)
    }
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    living: BTreeMap<Process, Spent>,
    /// Of those that ended and are in no living process's figure.
    carried: Duration,
    /// What had been used when the first reading was taken.
    before: Option<Duration>,
    total: Duration,
}

/// Figures of children come in ticks, for user and kernel time apart: so much of an ended child
/// may seem to be missing from its parent's figure and is not.
const REAPED_UNSURE: Duration = Duration::from_millis(20);

impl Ledger {
    /// What was used since the first call, with `now` the figures of all that live.
    pub(super) fn advance(&mut self, now: BTreeMap<Process, Spent>) -> Duration {
        let ended = self.living.iter().filter(|(process, _)| !now.contains_key(process));
        let (ended, count) = ended.fold((Duration::ZERO, 0_u32), |(sum, count), (_, spent)| {
            (sum.saturating_add(spent.all()), count + 1)
        });
        let risen = |(process, spent): (&Process, &Spent)| {
            let before = self.living.get(process).map_or(Duration::ZERO, |before| before.reaped);
            spent.reaped.saturating_sub(before)
        };
        let risen: Duration = now.iter().map(risen).fold(Duration::ZERO, Duration::saturating_add);
        if ended > risen.saturating_add(REAPED_UNSURE.saturating_mul(count)) {
            self.carried = self.carried.saturating_add(ended.saturating_sub(risen));
        }
        let living = now.values().map(|spent| spent.all());
        let sum = living.fold(self.carried, Duration::saturating_add);
        self.living = now;
        let before = *self.before.get_or_insert(sum);
        // Counters only grow, even where a figure in ticks fell behind the clock before it.
        self.total = self.total.max(sum.saturating_sub(before));
        self.total
    }

    /// The instance began anew: all of what the next processes say was used since.
    pub(super) fn total(&self) -> Duration {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `(pid, own, reaped)` of each process in milliseconds, and what was used by then.
    type Read<'a> = (&'a [(u32, u64, u64)], u64);

    fn check(readings: &[Read<'_>]) {
        let mut ledger = Ledger::default();
        for (number, (processes, expected)) in readings.iter().enumerate() {
            let now = processes.iter().map(|&(pid, own, reaped)| {
                let (own, reaped) = (Duration::from_millis(own), Duration::from_millis(reaped));
                (Process { pid, start_ticks: 0 }, Spent { own, reaped })
            });
            let total = ledger.advance(now.collect());
            assert_eq!(total, Duration::from_millis(*expected), "reading {number}");
        }
    }

    #[test]
    fn what_was_used_before_the_first_reading_does_not_count() {
        check(&[(&[(1, 5000, 300)], 0), (&[(1, 5010, 300)], 10)]);
    }

    #[test]
    fn a_child_counts_while_it_runs_and_once_it_was_waited_for_but_not_twice() {
        check(&[
            (&[(1, 100, 0)], 0),
            (&[(1, 100, 0), (2, 400, 0)], 400),
            // Ended at 410, of which the parent's ticks know 400.
            (&[(1, 110, 400)], 410),
            // Began and ended between two readings.
            (&[(1, 110, 700)], 710),
        ]);
    }

    #[test]
    fn a_child_that_nobody_waited_for_is_not_lost() {
        check(&[
            (&[(1, 0, 0), (2, 0, 0)], 0),
            (&[(1, 5, 0), (2, 900, 0)], 905),
            (&[(1, 6, 0)], 906),
        ]);
    }

    #[test]
    fn a_root_that_ended_leaves_its_figure_and_another_adds_to_it() {
        check(&[(&[(1, 50, 0)], 0), (&[(1, 80, 0)], 30), (&[], 30), (&[(7, 40, 0)], 70)]);
    }

    #[test]
    fn ticks_that_lag_never_take_anything_back() {
        check(&[(&[(1, 0, 0), (2, 0, 0)], 0), (&[(1, 0, 0), (2, 15, 0)], 15), (&[(1, 0, 0)], 15)]);
    }
}
