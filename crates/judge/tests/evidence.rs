//! The always-valid test against its reference values (compare E-3 to E-7, N-4, N-7, T-2, T-3,
//! T-13).

#![expect(clippy::print_stdout, reason = "a test says its seed and what it found")]

use tandem_judge::stats::draws::Draws;
use tandem_judge::stats::evidence::{
    Grid, HARM, NOISE, SAFETY, Stretch, budget_evidence, evidence, harm_threshold, rate_bound,
};

fn stretch(candidate: u64, primary: u64, share: f64) -> Stretch {
    Stretch { candidate, primary, share }
}

fn near(found: f64, expected: f64, what: &str) {
    assert!((found / expected - 1.0).abs() < 1e-3, "{what}: {found}, not {expected}");
}

#[test]
fn compare_e_3_evidence_is_that_of_the_reference() {
    let one = |candidate, primary, share| vec![stretch(candidate, primary, share)];
    let cases: [(Vec<Stretch>, Grid, f64, f64); 11] = [
        (one(7, 0, 0.5), HARM, 1.0, 58.863),
        (one(12, 3, 0.5), HARM, 1.0, 7.2091),
        (one(3, 0, 0.1), HARM, 1.0, 216.699),
        (one(40, 60, 0.25), HARM, 1.0, 27.8831),
        (vec![stretch(4, 0, 0.5), stretch(3, 1, 0.25)], HARM, 1.0, 60.4815),
        (one(40, 60, 0.25), HARM, 1.25, 1.51567),
        (one(8, 0, 0.5), NOISE, 1.0, 105.370),
        (one(60, 40, 0.5), NOISE, 1.0, 0.88612),
        (one(120, 80, 0.5), NOISE, 1.0, 4.73665),
        (one(88, 88, 0.5), SAFETY, 1.5, 4.88856),
        (one(20, 60, 0.25), SAFETY, 1.5, 0.80981),
    ];
    for (stretches, grid, tolerated, expected) in cases {
        near(evidence(&stretches, grid, tolerated), expected, &format!("{stretches:?}"));
    }
    near(evidence(&[], HARM, 1.0), 1.0, "no event is no evidence");
}

#[test]
fn compare_e_4_quiet_calls_prove_a_budget_after_the_reference_counts() {
    for (events, calls, budget) in [
        (0, 391, 0.01),
        (0, 3_927, 0.001),
        (0, 39_283, 0.0001),
        (1, 6_219, 0.001),
        (2, 8_364, 0.001),
    ] {
        assert!(budget_evidence(events, calls, budget) >= 20.0, "{events} in {calls}");
        assert!(budget_evidence(events, calls - 1, budget) < 20.0, "{events} in {calls} - 1");
    }
}

#[test]
fn compare_n_7_the_bound_is_about_four_six_and_eight_over_the_calls() {
    for (events, expected) in [(0, 3.93), (1, 6.22), (2, 8.37)] {
        let bound = rate_bound(events, 100_000) * 100_000.0;
        assert!((bound - expected).abs() < 0.01, "{events}: {bound}");
    }
    assert!(rate_bound(0, 3_927) <= 0.001 && rate_bound(0, 3_926) > 0.001);
    near(rate_bound(0, 0), 1.0, "nothing is known");
    near(rate_bound(5, 5), 1.0, "nothing is bounded");
}

#[test]
fn compare_e_5_harm_needs_the_reference_numbers_of_events() {
    // 1/α' = 40, 160, 960, 2,400.
    for (share, expected) in [(0.5, [7, 9, 12, 13]), (0.1, [3, 3, 4, 5]), (0.01, [2, 2, 3, 3])] {
        for (threshold, expected) in [40.0, 160.0, 960.0, 2_400.0].into_iter().zip(expected) {
            let needed = (1..).find(|n| evidence(&[stretch(*n, 0, share)], HARM, 1.0) >= threshold);
            assert_eq!(needed, Some(expected), "share {share}, threshold {threshold}");
        }
    }
    near(harm_threshold(0.05, 1, 1), 40.0, "one guard, first epoch");
    near(harm_threshold(0.05, 4, 5), 2_400.0, "four guards, fifth epoch");
}

#[test]
fn compare_n_4_candidate_only_differences_needed_are_those_of_the_reference() {
    for (rows, expected) in [(1.0, 8), (10.0, 12), (100.0, 16), (1_000.0, 19)] {
        let reached = |n: &u64| evidence(&[stretch(*n, 0, 0.5)], NOISE, 1.0) >= rows / 0.01;
        assert_eq!((1..).find(reached), Some(expected), "{rows} rows");
    }
}

#[test]
fn compare_e_7_equal_sides_are_shown_safe_after_the_reference_medians() {
    const SEED: u64 = 7;
    let mut draws = Draws::new(SEED);
    // Medians of 9,000 runs of another program; the reference values, 176, 199 and 382, lie within
    // what a few hundred runs scatter. A thousand runs scatter by 5 %.
    for (share, tolerated, expected) in [(0.5, 1.5, 172.0), (0.25, 1.5, 207.0), (0.1, 1.5, 411.0)] {
        let mut needed: Vec<u64> = (0..1_001)
            .map(|_| {
                let mut events = stretch(0, 0, share);
                loop {
                    if draws.unit() < share {
                        events.candidate += 1
                    } else {
                        events.primary += 1
                    }
                    let reached = evidence(&[events], SAFETY, tolerated) >= 20.0;
                    if reached {
                        return events.candidate + events.primary;
                    }
                }
            })
            .collect();
        needed.sort_unstable();
        let median = needed[500] as f64;
        println!("seed {SEED}: share {share}: median {median}, elsewhere {expected}");
        assert!((median / expected - 1.0).abs() < 0.12, "seed {SEED}, share {share}: {median}");
    }
}

/// Steps of 1, 5, 25 and 50 %, and what of the calls is an event.
const SHARES: [f64; 4] = [0.01, 0.05, 0.25, 0.5];

#[test]
fn compare_t_2_equal_sides_rarely_look_harmful_however_often_one_looks() {
    const SEED: u64 = 2;
    let mut draws = Draws::new(SEED);
    let (mut one_test, mut by_epoch) = (0, 0);
    const STREAMS: u32 = 4_000;
    for _ in 0..STREAMS {
        let mut stretches: Vec<Stretch> = Vec::new();
        let (mut reached, mut reached_epoch) = (false, false);
        for (epoch, share) in (1..).zip(SHARES) {
            stretches.push(stretch(0, 0, share));
            for _ in 0..100 {
                let last = stretches.last_mut().unwrap_or_else(|| unreachable!());
                // Equal sides: an event is the candidate's by its share alone.
                if draws.unit() < share {
                    last.candidate += 1;
                    let last = *last;
                    // Evidence grows only with the candidate's events.
                    reached |= evidence(&stretches, HARM, 1.0) >= 20.0;
                    reached_epoch |= last.candidate >= 3
                        && evidence(&[last], HARM, 1.0) >= harm_threshold(0.05, 1, epoch);
                } else {
                    last.primary += 1;
                }
            }
        }
        one_test += u32::from(reached);
        by_epoch += u32::from(reached_epoch);
    }
    println!("seed {SEED}: {one_test} of {STREAMS} in one test, {by_epoch} by epochs");
    assert!(one_test * 20 <= STREAMS, "seed {SEED}: {one_test} of {STREAMS}");
    assert!(by_epoch * 20 <= STREAMS, "seed {SEED}: {by_epoch} of {STREAMS}");
}

#[test]
fn compare_t_3_late_harm_is_found_in_a_fresh_epoch() {
    const SEED: u64 = 3;
    let mut draws = Draws::new(SEED);
    let mut found: Vec<u64> = (0..301)
        .map(|_| {
            // 500 quiet events at 25 % belong to the epoch before; this one is the second.
            let mut events = stretch(0, 0, 0.5);
            loop {
                // Three times the rate at a share of a half: three of four events.
                if draws.unit() < 0.75 {
                    events.candidate += 1
                } else {
                    events.primary += 1
                }
                if evidence(&[events], HARM, 1.0) >= harm_threshold(0.05, 1, 2) {
                    return events.candidate + events.primary;
                }
            }
        })
        .collect();
    found.sort_unstable();
    println!("seed {SEED}: median {} events", found[150]);
    assert!(found[150] <= 60, "seed {SEED}: median {}", found[150]);
}
