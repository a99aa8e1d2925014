//! How long nobody connects to an address that could not be connected.
//!
//! Exponential, with jitter, as gRPC's "Connection Backoff Protocol" says, with one number of our
//! own: it stops growing at [`WAIT_MOST`], not at two minutes, because a repaired endpoint has to
//! answer again within five seconds (security U-4). A refused connection costs both sides little.
//!
//! Time and randomness are arguments.

use std::time::Duration;

use tokio::time::Instant;

const WAIT: Duration = Duration::from_millis(100);
const WAIT_MOST: Duration = Duration::from_secs(2);
const GROWTH: f64 = 1.6;
/// Part by which a wait is shorter or longer than its due.
const JITTER: f64 = 0.2;

/// Failures in a row, and until when they are heeded.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Backoff {
    failures: u32,
    until: Option<Instant>,
}

impl Backoff {
    pub(super) fn succeeded(&mut self) {
        *self = Backoff::default();
    }

    /// `random` is of 0 to 1.
    pub(super) fn failed(&mut self, random: f64, now: Instant) {
        self.until = Some(now + wait(self.failures, random));
        self.failures = self.failures.saturating_add(1);
    }

    /// Whether it is too early to connect.
    pub(super) fn holds(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}

fn wait(failures: u32, random: f64) -> Duration {
    // 2^31 growths are no number; ten are above the most.
    let due = WAIT.mul_f64(GROWTH.powi(failures.min(10).cast_signed())).min(WAIT_MOST);
    due.mul_f64(1.0 - JITTER + 2.0 * JITTER * random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_most_and_are_spread() {
        for (failures, random, ms) in [
            (0, 0.5, 100),
            (0, 0.0, 80),
            (0, 1.0, 120),
            (1, 0.5, 160),
            (2, 0.5, 256),
            (6, 0.5, 1677),
            (7, 0.5, 2000),
            (7, 1.0, 2400),
            (u32::MAX, 0.5, 2000),
        ] {
            assert_eq!(wait(failures, random).as_millis(), ms, "{failures} {random}");
        }
    }

    #[test]
    fn a_success_ends_the_wait() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        assert!(!backoff.holds(now));
        backoff.failed(0.5, now);
        assert!(backoff.holds(now + Duration::from_millis(99)));
        assert!(!backoff.holds(now + Duration::from_millis(100)));
        backoff.failed(0.5, now);
        assert!(backoff.holds(now + Duration::from_millis(159)));
        backoff.succeeded();
        assert!(!backoff.holds(now));
        backoff.failed(0.5, now);
        assert!(!backoff.holds(now + Duration::from_millis(100)), "counted from the start again");
    }
}
