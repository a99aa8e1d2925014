//! The arithmetic of a rate: how often, with how much together.
//!
//! One number is kept for those whose calls are counted together: the moment at which all of their
//! calls would have been due, had they come evenly ("theoretical arrival time"). A call is let in
//! while that moment lies at most a burst ahead. What is never touched is whole again by itself, so
//! a bucket whose moment has passed is as good as none: forgetting it gives nothing away.
//!
//! Pure: times are nanoseconds since any moment, and an argument.
//!
//! Source: ITU-T I.371 (generic cell rate algorithm), the virtual scheduling form.

use tandem_config::document::Rate;

/// Nanoseconds of a second.
const SECOND: u64 = 1_000_000_000;

/// A rate as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gcra {
    /// Between two calls that come evenly. Rounded down: at the highest rate to a thousandth.
    pub(super) interval: u64,
    /// `interval` times the burst; below 10^15.
    most: u64,
}

impl Gcra {
    pub(crate) fn new(rate: Rate) -> Gcra {
        let Rate { per_second, burst } = rate;
        let interval = SECOND / u64::from(per_second.max(1));
        Gcra { interval, most: interval * u64::from(burst.max(1)) }
    }

    /// What is kept after a call at `now` that is let in; or how long until one would be.
    pub(super) fn decide(self, kept: u64, now: u64) -> Result<u64, u64> {
        let next = kept.max(now) + self.interval;
        match next - now {
            ahead if ahead <= self.most => Ok(next),
            ahead => Err(ahead - self.most),
        }
    }

    /// Calls that could come at `now` together.
    pub(super) fn left(self, kept: u64, now: u64) -> u64 {
        self.most.saturating_sub(kept.saturating_sub(now)) / self.interval
    }

    /// Until the burst is whole.
    pub(super) fn whole_in(kept: u64, now: u64) -> u64 {
        kept.saturating_sub(now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn gcra(per_second: u32, burst: u32) -> Gcra {
        Gcra::new(Rate { per_second, burst })
    }

    #[test]
    fn a_burst_goes_at_once_and_then_one_an_interval() {
        const MS: u64 = 1_000_000;
        let rate = gcra(10, 3); // one in 100 ms
        let now = 5_000 * MS;
        let mut kept = 0;
        // at, let in or how long to wait, left afterwards
        for (at, expected, left) in [
            (0, Ok(()), 2),
            (0, Ok(()), 1),
            (0, Ok(()), 0),
            (0, Err(100), 0),
            (99, Err(1), 0),
            (100, Ok(()), 0),
            (100, Err(100), 0),
            (350, Ok(()), 1),
            (350, Ok(()), 0),
            (350, Err(50), 0),
            (10_000, Ok(()), 2), // whole again, and no more than whole
        ] {
            let at = now + at * MS;
            let decided = rate.decide(kept, at);
            if let Ok(next) = decided {
                kept = next;
            }
            assert_eq!(decided.map(|_| ()).map_err(|wait| wait / MS), expected, "{at}");
            assert_eq!(rate.left(kept, at), left, "{at}");
        }
        assert_eq!(Gcra::whole_in(kept, now + 10_000 * MS), 100 * MS);
    }

    #[test]
    fn the_ends_of_the_range_do_not_run_over() {
        let fastest = gcra(1_000_000, 1_000_000);
        assert_eq!((fastest.interval, fastest.left(0, 0)), (1_000, 1_000_000));
        let slowest = gcra(1, 1_000_000);
        assert_eq!(slowest.left(0, 7), 1_000_000);
        assert!(slowest.decide(0, u64::MAX / 4).is_ok());
        // Rounding lets through less than a tenth of a per cent too much.
        let odd = gcra(999_999, 1);
        assert!(SECOND / odd.interval <= 1_000_000);
        assert!(gcra(600_001, 1).interval * 600_001 > SECOND / 1000 * 999);
    }

    proptest! {
        /// Against a bucket that holds time: it fills as time goes and a call takes an interval.
        #[test]
        fn it_lets_in_what_a_bucket_of_time_lets_in(
            per_second in 1_u32..2_000,
            burst in 1_u32..50,
            steps in prop::collection::vec(0_u64..20_000_000, 1..200),
        ) {
            let rate = gcra(per_second, burst);
            let (mut now, mut kept, mut credit) = (1, 0, rate.most);
            for step in steps {
                now += step;
                credit = (credit + step).min(rate.most);
                let decided = rate.decide(kept, now);
                prop_assert_eq!(decided.is_ok(), credit >= rate.interval);
                match decided {
                    Ok(next) => {
                        kept = next;
                        credit -= rate.interval;
                    }
                    Err(wait) => {
                        prop_assert_eq!(wait, rate.interval - credit);
                        prop_assert!(rate.decide(kept, now + wait).is_ok());
                        prop_assert!(rate.decide(kept, now + wait - 1).is_err());
                    }
                }
                prop_assert_eq!(rate.left(kept, now), credit / rate.interval);
                prop_assert_eq!(Gcra::whole_in(kept, now), rate.most - credit);
            }
        }
    }
}
