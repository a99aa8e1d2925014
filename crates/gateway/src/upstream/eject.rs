//! When an endpoint is left out for a while because its calls fail, and how it comes back.
//!
//! Left out is who fails [`IN_A_ROW`] times in a row, or who fails at least half of its calls
//! while the others of its upstream do at least twice as well. The time grows with each return
//! that fails, and at most half of the endpoints are out at once: when everybody fails, the fault
//! is not an endpoint's (security U-4). Who returns begins slowly, and its first failure then is
//! enough.
//!
//! What counts as a failure is decided by whoever reports it: only what a caller's input cannot
//! bring about, or a stranger could take an endpoint out with bad requests.
//!
//! Time and randomness are arguments. Each data thread judges by its own calls.
//!
//! Not here: active checks (`health`), connections that cannot be made (`backoff`).

use std::time::Duration;

use tokio::time::Instant;

/// Failures in a row that are enough.
const IN_A_ROW: u32 = 5;
/// Calls without which a share says nothing.
const CALLS_LEAST: u32 = 20;
/// Shares are judged over one to two of these.
const WINDOW: Duration = Duration::from_secs(5);
/// Time out, the first time; it doubles.
const OUT: Duration = Duration::from_secs(1);
/// Half a minute: long beside a restart, and a repaired endpoint is back before people wonder.
const OUT_MOST: Duration = Duration::from_secs(30);
/// Time from the return to a full share of the calls.
const SLOW_START: Duration = Duration::from_secs(5);
/// The share of the calls at the return.
const WEIGHT_LEAST: f64 = 0.1;

/// What one data thread knows of an endpoint's calls.
#[derive(Debug, Clone)]
pub(super) struct Conduct {
    failures_in_a_row: u32,
    window_began: Instant,
    current: Tally,
    previous: Tally,
    /// Times out without a good while in between.
    times_out: u32,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    In,
    Out { until: Instant },
    Back { since: Instant },
}

/// Calls, and how many of them failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) calls: u32,
    pub(super) failures: u32,
}

impl std::ops::Add for Tally {
    type Output = Tally;

    fn add(self, other: Tally) -> Tally {
        Tally { calls: self.calls + other.calls, failures: self.failures + other.failures }
    }
}

impl Conduct {
    pub(super) fn new(now: Instant) -> Conduct {
        Conduct {
            failures_in_a_row: 0,
            window_began: now,
            current: Tally::default(),
            previous: Tally::default(),
            times_out: 0,
            state: State::In,
        }
    }

    /// What happened lately.
    pub(super) fn tally(&self) -> Tally {
        self.current + self.previous
    }

    pub(super) fn succeeded(&mut self, now: Instant) {
        self.turn(now);
        self.current.calls += 1;
        self.failures_in_a_row = 0;
    }

    /// Whether the endpoint has to go now. `others` is the tally of its siblings.
    pub(super) fn failed(&mut self, others: Tally, now: Instant) -> bool {
        self.turn(now);
        self.current.calls += 1;
        self.current.failures += 1;
        self.failures_in_a_row += 1;
        match self.state {
            // Calls that were out when it went.
            State::Out { .. } => false,
            State::Back { .. } => true,
            State::In => self.failures_in_a_row >= IN_A_ROW || self.is_worse_than(others),
        }
    }

    /// Leaves the endpoint out; says for how long. `random` is of 0 to 1 and spreads the returns.
    pub(super) fn eject(&mut self, random: f64, now: Instant) -> Duration {
        let out = OUT.saturating_mul(1 << self.times_out.min(10)).min(OUT_MOST);
        let out = out.mul_f64(0.9 + 0.2 * random);
        self.times_out += 1;
        self.failures_in_a_row = 0;
        (self.current, self.previous) = (Tally::default(), Tally::default());
        self.state = State::Out { until: now + out };
        out
    }

    /// Whether no call may go to it now.
    pub(super) fn is_out(&mut self, now: Instant) -> bool {
        self.turn(now);
        matches!(self.state, State::Out { .. })
    }

    /// Its share of the calls beside one that was never out: above 0, at most 1.
    pub(super) fn weight(&mut self, now: Instant) -> f64 {
        self.turn(now);
        match self.state {
            State::In | State::Out { .. } => 1.0,
            State::Back { since } => {
                let back = now.saturating_duration_since(since).as_secs_f64();
                (back / SLOW_START.as_secs_f64()).clamp(WEIGHT_LEAST, 1.0)
            }
        }
    }

    /// Lets time pass.
    fn turn(&mut self, now: Instant) {
        let windows =
            now.saturating_duration_since(self.window_began).as_nanos() / WINDOW.as_nanos();
        if windows > 0 {
            self.previous = if windows == 1 { self.current } else { Tally::default() };
            self.current = Tally::default();
            self.window_began = now;
        }
        match self.state {
            State::Out { until } if now >= until => self.state = State::Back { since: until },
            State::Back { since } if now >= since + SLOW_START => self.state = State::In,
            State::In | State::Out { .. } | State::Back { .. } => {}
        }
        if matches!(self.state, State::In) && self.current.failures + self.previous.failures == 0 {
            // A good while: the next time out is short again.
            if self.previous.calls > 0 {
                self.times_out = 0;
            }
        }
    }

    fn is_worse_than(&self, others: Tally) -> bool {
        let own = self.tally();
        let half = own.failures * 2 >= own.calls;
        // own share ≥ 2 × the others' share, without dividing by nothing
        let worse = u64::from(own.failures) * u64::from(others.calls)
            >= 2 * u64::from(others.failures) * u64::from(own.calls);
        own.calls >= CALLS_LEAST && half && others.calls > 0 && worse
    }
}

/// Whether one more of `all` endpoints may go when `out` are out: at most half.
pub(super) fn may_go(out: usize, all: usize) -> bool {
    (out + 1) * 2 <= all
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: Tally = Tally { calls: 0, failures: 0 };
    const GOOD: Tally = Tally { calls: 100, failures: 0 };

    #[test]
    fn security_u_4_at_most_half_of_the_endpoints_are_out() {
        for (out, all, may) in [
            (0, 1, false),
            (0, 2, true),
            (1, 2, false),
            (0, 3, true),
            (1, 3, false),
            (1, 4, true),
            (2, 4, false),
            (127, 256, true),
            (128, 256, false),
        ] {
            assert_eq!(may_go(out, all), may, "{out} of {all}");
        }
    }

    #[test]
    fn security_u_4_failures_in_a_row_and_one_success_between() {
        let now = Instant::now();
        let mut conduct = Conduct::new(now);
        for _ in 0..IN_A_ROW - 1 {
            assert!(!conduct.failed(NOBODY, now));
        }
        conduct.succeeded(now);
        for _ in 0..IN_A_ROW - 1 {
            assert!(!conduct.failed(NOBODY, now));
        }
        assert!(conduct.failed(NOBODY, now));
    }

    /// Fails `failures` of `calls`, never two in a row as far as that goes; the last one fails.
    fn mixed(calls: u32, failures: u32, others: Tally) -> bool {
        let now = Instant::now();
        let mut conduct = Conduct::new(now);
        let mut successes = calls - failures;
        let mut verdict = false;
        for _ in 0..failures {
            if successes > 0 {
                conduct.succeeded(now);
                successes -= 1;
            }
            while successes > failures {
                conduct.succeeded(now);
                successes -= 1;
            }
            verdict = conduct.failed(others, now);
        }
        verdict
    }

    #[test]
    fn security_u_4_half_of_the_calls_beside_others_that_do_better() {
        let twice_as_good = Tally { calls: 100, failures: 25 };
        let hardly_better = Tally { calls: 100, failures: 26 };
        for (calls, failures, others, out) in [
            (20, 10, GOOD, true),
            (18, 9, GOOD, false),    // too few to say
            (22, 10, GOOD, false),   // less than half
            (20, 10, NOBODY, false), // nobody to compare with
            (20, 10, twice_as_good, true),
            (20, 10, hardly_better, false),
        ] {
            assert_eq!(mixed(calls, failures, others), out, "{failures} of {calls}, {others:?}");
        }
    }

    #[test]
    fn failures_that_are_long_past_do_not_count() {
        let start = Instant::now();
        let mut conduct = Conduct::new(start);
        for _ in 0..4 {
            conduct.failed(GOOD, start);
        }
        conduct.succeeded(start);
        assert_eq!(conduct.tally(), Tally { calls: 5, failures: 4 });
        conduct.succeeded(start + WINDOW);
        assert_eq!(conduct.tally(), Tally { calls: 6, failures: 4 }, "the window before counts");
        conduct.succeeded(start + WINDOW * 3);
        assert_eq!(conduct.tally(), Tally { calls: 1, failures: 0 });
    }

    #[test]
    fn security_u_4_time_out_grows_and_the_return_is_slow_and_on_trial() {
        let mut now = Instant::now();
        let mut conduct = Conduct::new(now);
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            let out = conduct.eject(0.5, now);
            assert_eq!(out, Duration::from_secs(seconds));
            assert!(conduct.is_out(now + out - Duration::from_nanos(1)));
            assert!(!conduct.failed(NOBODY, now), "what was under way does not eject twice");
            now += out;
            assert!(!conduct.is_out(now));
            assert!(conduct.weight(now) <= 0.11, "{}", conduct.weight(now));
            assert!(conduct.failed(NOBODY, now), "one failure at the return is enough");
        }
        conduct.eject(0.5, now);
        now += OUT_MOST;
        let half = conduct.weight(now + SLOW_START / 2);
        assert!((0.4..1.0).contains(&half), "{half}");
        now += SLOW_START * 2;
        assert!(conduct.weight(now) > 0.999);
        assert!(!conduct.failed(NOBODY, now), "the trial is over");
        // After a good while the first time out is short again.
        conduct.succeeded(now + WINDOW * 2);
        conduct.succeeded(now + WINDOW * 3);
        conduct.succeeded(now + WINDOW * 4);
        assert!(conduct.eject(1.0, now + WINDOW * 4) < OUT * 2);
    }

    #[test]
    fn returns_are_spread() {
        let now = Instant::now();
        let (mut early, mut late) = (Conduct::new(now), Conduct::new(now));
        assert_eq!(early.eject(0.0, now), Duration::from_millis(900));
        assert_eq!(late.eject(1.0, now), Duration::from_millis(1100));
    }
}
