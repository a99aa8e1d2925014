//! How many attempts after the first an upstream may be asked to bear.
//!
//! A bucket of one upstream and data thread: each call's first attempt puts in the share that its
//! document names (20 %), each second puts in the thread's part of [`PER_SECOND`], each further
//! attempt takes one out. In a full outage the upstream sees at most 1.2 × calls + 10 a second,
//! whatever the documents ask for (security U-3, LI-26).
//!
//! Time is an argument. Not here: whether a call may be tried again at all (`retry`).

use std::time::Duration;

use tandem_config::document::Share;
use tokio::time::Instant;

/// Attempts a second for those who call seldom, over all data threads.
const PER_SECOND: f64 = 10.0;
/// What is saved up in good times, in seconds of [`PER_SECOND`].
const SAVED: Duration = Duration::from_secs(10);

#[derive(Debug, Clone)]
pub(super) struct Budget {
    left: f64,
    at: Instant,
    per_second: f64,
}

impl Budget {
    /// The budget of one of `threads` data threads. It begins with one second's worth, and never
    /// with less than one attempt.
    pub(super) fn new(threads: usize, now: Instant) -> Budget {
        let per_second = PER_SECOND / threads.max(1) as f64;
        Budget { left: per_second.max(1.0), at: now, per_second }
    }

    /// A call's first attempt.
    pub(super) fn called(&mut self, share: Share, now: Instant) {
        self.put(f64::from(share.per_mille()) / 1000.0, now);
    }

    /// Takes one further attempt out; `false` where there is none.
    #[must_use]
    pub(super) fn take(&mut self, now: Instant) -> bool {
        self.put(0.0, now);
        let enough = self.left >= 1.0;
        if enough {
            self.left -= 1.0;
        }
        enough
    }

    fn put(&mut self, tokens: f64, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        // Below one attempt a bucket would never give any.
        let most = (self.per_second * SAVED.as_secs_f64()).max(1.0);
        self.left = (self.left + tokens + passed * self.per_second).min(most);
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(percent: u16) -> Share {
        Share::from_per_mille(percent * 10).expect("a share")
    }

    /// Further attempts of `calls` at once that all fail.
    fn outage(budget: &mut Budget, calls: usize, share: Share, now: Instant) -> usize {
        let mut further = 0;
        for _ in 0..calls {
            budget.called(share, now);
            further += usize::from(budget.take(now));
        }
        further
    }

    #[test]
    fn security_u_3_an_outage_costs_a_fifth_more_and_ten_a_second() {
        let now = Instant::now();
        for (calls, percent, most) in [(1_000, 20, 210), (1_000, 0, 10), (10, 100, 10), (1, 20, 1)]
        {
            let mut budget = Budget::new(1, now);
            let further = outage(&mut budget, calls, share(percent), now);
            assert!(further <= most && further + 1 >= most, "{calls} at {percent} %: {further}");
        }
    }

    #[test]
    fn security_li_26_ten_a_second_are_the_threads_together() {
        let now = Instant::now();
        for threads in [1, 2, 4, 100] {
            let mut budget = Budget::new(threads, now);
            while budget.take(now) {}
            let mut further = 0;
            for ms in 1..=10_000 {
                further += usize::from(budget.take(now + Duration::from_millis(ms)));
            }
            let most = 100 / threads;
            assert!(further <= most && further + 1 >= most, "{threads} threads: {further}");
        }
    }

    #[test]
    fn good_times_are_saved_up_to_a_bound() {
        let now = Instant::now();
        let mut budget = Budget::new(1, now);
        for _ in 0..100_000 {
            budget.called(share(20), now);
        }
        let mut further = 0;
        while budget.take(now) {
            further += 1;
        }
        assert_eq!(further, 100);
        assert!(!budget.take(now + Duration::from_millis(99)));
        assert!(budget.take(now + Duration::from_millis(101)));
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing() {
        let now = Instant::now() + Duration::from_secs(60);
        let mut budget = Budget::new(1, now);
        while budget.take(now) {}
        assert!(!budget.take(now - Duration::from_secs(60)));
        assert!(!budget.take(now));
    }
}
