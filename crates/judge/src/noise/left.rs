//! How many calls are open until the class of a path is known, if it goes on as it did.
//!
//! An estimate for people who wait, and no evidence: it moves with the rates that were seen so
//! far, and whoever looks at it decides nothing by it.

use super::{Class, PathEvidence, Settings, Source};
use crate::stats::evidence::{NOISE, SAFETY, Stretch, budget_evidence, evidence};

use super::class::{EQUAL_AT, EQUAL_RATIO};

/// The evidence that proves a bound at 95 %.
const PROVEN: f64 = 20.0;
/// Calls beyond which nobody waits.
const CALLS_MOST: u64 = 1 << 40;

/// Calls still to come until `path`, one of `rows`, has a class; `Some(0)` where it has one,
/// `None` where no number of calls gives it one.
pub fn left(path: &PathEvidence, source: Source, settings: &Settings, rows: usize) -> Option<u64> {
    if path.class != Class::Unknown {
        return Some(0);
    }
    let PathEvidence { candidate_only, twin_only, both, calls, .. } = *path;
    // What was seen `times` as long.
    let seen = |events: u64, times: f64| (events as f64 * times).round() as u64;
    let bound = first(calls, |total, times| {
        budget_evidence(seen(candidate_only, times), total, settings.extra_most) >= PROVEN
    });
    if source == Source::Rules {
        // Nothing tells a difference from noise, and so none goes away by waiting.
        return bound.filter(|_| candidate_only == 0);
    }
    let stretch = |times| Stretch {
        candidate: seen(candidate_only, times),
        primary: seen(twin_only, times),
        share: 0.5,
    };
    let worse = || {
        first(calls, |_, times| evidence(&[stretch(times)], NOISE, 1.0) >= settings.worse_at(rows))
    };
    let equal =
        || first(calls, |_, times| evidence(&[stretch(times)], SAFETY, EQUAL_RATIO) >= EQUAL_AT);
    let quiet = twin_only == 0 && both == 0;
    let ways = match (candidate_only == 0, quiet) {
        (true, true) => [bound, None],
        // It will be found wrong, unless it was a single slip.
        (false, true) => [bound.filter(|_| candidate_only < 3), worse()],
        (_, false) => [bound.into_iter().chain(equal()).min(), worse()],
    };
    ways.into_iter().flatten().min()
}

/// The calls to come until `holds` of all calls and of how many times the calls so far they are.
fn first(calls: u64, holds: impl Fn(u64, f64) -> bool) -> Option<u64> {
    let from = calls.max(1);
    let holds = |total: u64| holds(total, total as f64 / from as f64);
    let mut high = from;
    while !holds(high) {
        high = high.checked_mul(2).filter(|total| *total <= CALLS_MOST)?;
    }
    let mut low = from;
    while low < high {
        let middle = low.midpoint(high);
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Some(high - calls)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(candidate_only: u64, twin_only: u64, calls: u64) -> PathEvidence {
        PathEvidence {
            path: "price".into(),
            class: Class::Unknown,
            candidate_only,
            twin_only,
            both: 0,
            calls,
            e_value: 1.0,
            bound: 1.0,
            critical: 0,
        }
    }

    #[test]
    fn a_quiet_path_waits_for_3_927_calls_in_all() {
        // Compare E-4: zero events prove less than 0.1 % after 3,927 calls.
        for calls in [0, 240, 3_926] {
            let found = left(&path(0, 0, calls), Source::Twin, &Settings::default(), 10);
            assert_eq!(found, Some(3_927 - calls), "{calls}");
        }
        let known = PathEvidence { class: Class::Identical, ..path(0, 0, 9) };
        assert_eq!(left(&known, Source::Twin, &Settings::default(), 10), Some(0));
    }

    #[test]
    fn what_differs_at_a_steady_rate_is_found_sooner_than_a_quiet_path_is_cleared() {
        // Compare N-4: of ten rows, twelve events of the candidate alone; 6 of 60 calls so far.
        let found = left(&path(6, 0, 60), Source::Twin, &Settings::default(), 10).unwrap();
        assert!((50..=70).contains(&found), "{found}");
    }

    #[test]
    fn noise_is_found_equal_by_its_discordant_calls() {
        // Compare E-7: 176 discordant calls at the median; counts that stay even take 254. Here
        // every second call is one.
        let found = left(&path(25, 25, 100), Source::Twin, &Settings::default(), 10).unwrap();
        assert!((252..=410).contains(&found), "{found}");
    }

    #[test]
    fn by_rules_alone_a_difference_never_becomes_noise() {
        let settings = Settings::default();
        assert_eq!(left(&path(1, 0, 100), Source::Rules, &settings, 10), None);
        assert_eq!(left(&path(0, 0, 100), Source::Rules, &settings, 10), Some(3_827));
    }
}
