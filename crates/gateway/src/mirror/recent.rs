//! How many pairs come a second at present: over the last half minute, not since the beginning.
//!
//! What is still to come takes as long as it takes at the rate of now. An average since the evidence
//! began is pulled down by every quiet hour before, and promises hours where minutes are left.
//!
//! Time is an argument, so it needs no clock.

use std::collections::VecDeque;
use std::time::Duration;

/// How far back it reaches.
const SECONDS: u64 = 30;

/// Counts by second.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Recent {
    /// Seconds with their counts, the oldest first; those without any are not there.
    seconds: VecDeque<(u64, u64)>,
}

impl Recent {
    /// Counts one at `at`, since the evidence began. A clock that was set back counts into the
    /// latest second that there is.
    pub(super) fn count(&mut self, at: Duration) {
        let second = at.as_secs();
        match self.seconds.back_mut() {
            Some((last, count)) if *last >= second => *count += 1,
            _ => self.seconds.push_back((second, 1)),
        }
        // The one that is not full yet is beyond those that are averaged.
        while self.seconds.len() > SECONDS as usize + 1 {
            self.seconds.pop_front();
        }
    }

    /// How many came in a second, at `now` since the evidence began; `None` in the first one. The
    /// second that is not over yet does not count, or it would be low whenever somebody looks.
    pub(super) fn per_second(&self, now: Duration) -> Option<f64> {
        let now = now.as_secs();
        let from = now.saturating_sub(SECONDS);
        let over = now - from;
        let inside = self.seconds.iter().filter(|(second, _)| (from..now).contains(second));
        let count: u64 = inside.map(|(_, count)| count).sum();
        (over > 0).then(|| count as f64 / over as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn the_rate_is_that_of_the_last_half_minute_whatever_was_before() {
        let mut recent = Recent::default();
        assert_eq!(recent.per_second(at(0.9)), None);
        // An hour of one call in ten seconds, then two hundred a second.
        (0..360).for_each(|ten| recent.count(at(f64::from(ten) * 10.0)));
        assert_eq!(recent.per_second(at(3_600.0)), Some(0.1));
        for tick in 0..30 * 200 {
            recent.count(at(3_600.0 + f64::from(tick) / 200.0));
        }
        assert_eq!(recent.per_second(at(3_630.0)), Some(200.0));
        // Half of it so far, and one of the calls before.
        assert_eq!(recent.per_second(at(3_615.0)), Some(3_001.0 / 30.0));
        // And when they stay away, there is none left after half a minute.
        assert_eq!(recent.per_second(at(3_645.5)), Some(100.0));
        assert_eq!(recent.per_second(at(3_660.0)), Some(0.0));
        assert!(recent.seconds.len() <= 31);
    }

    #[test]
    fn at_the_beginning_it_is_divided_by_the_time_that_there_was() {
        let mut recent = Recent::default();
        (0..1_600).for_each(|tick| recent.count(at(f64::from(tick) / 200.0)));
        assert_eq!(recent.per_second(at(8.3)), Some(200.0));
        // A clock that went back loses nothing.
        recent.count(at(3.0));
        assert_eq!(recent.seconds.iter().map(|(_, count)| count).sum::<u64>(), 1_601);
    }
}
