//! The step function of a rollout, replayed from counters.

#![expect(clippy::print_stdout, reason = "a test says its seed and what it found")]

use tandem_judge::rollout::{
    Block, Command, Counts, Guard, Hold, Kind, Observed, OnHarm, Plan, Rates, Record, Share, State,
    Transition, Trip, estimate, next,
};
use tandem_judge::stats::draws::Draws;

fn share(per_mille: u16) -> Share {
    Share::per_mille(per_mille).unwrap_or_else(|| panic!("{per_mille}"))
}

fn plan(guards: Vec<Kind>) -> Plan {
    let guards = guards.into_iter().zip(1..);
    Plan {
        shares: [10, 50, 250, 500, 1_000].map(share).to_vec(),
        dwell_s: 600,
        calls_least: 2_000,
        approve: Vec::new(),
        bake_s: 86_400,
        max_s: 7 * 86_400,
        guards: guards
            .map(|(kind, number)| Guard { name: format!("guard {number}"), kind })
            .collect(),
        alpha: 0.05,
        beta: 0.05,
        on_harm: OnHarm::RollBack,
    }
}

fn errors(tolerate: f64) -> Plan {
    plan(vec![Kind::Events { tolerate }])
}

/// A rollout and all that happened to it.
struct Run {
    plan: Plan,
    record: Record,
    now: Observed,
    seen: Vec<(Record, Observed, Transition)>,
}

impl Run {
    fn new(plan: Plan) -> Run {
        assert_eq!(plan.faults(), []);
        let (record, now) = (Record::new(&plan, 0), Observed::quiet(&plan, 0));
        Run { plan, record, now, seen: Vec::new() }
    }

    /// One look; the new state.
    fn tick(&mut self) -> State {
        if let Some((record, transition)) = next(&self.plan, &self.record, &self.now) {
            let before = std::mem::replace(&mut self.record, record);
            let counters_end = transition.to != State::Awaiting(self.record.step);
            self.seen.push((before, self.now.clone(), transition));
            self.now.command = None;
            if counters_end {
                self.now.guards = vec![Counts::default(); self.plan.guards.len()];
                self.now.calls = 0;
            }
        }
        self.record.state
    }

    fn command(&mut self, command: Command) -> State {
        self.now.command = Some(command);
        let state = self.tick();
        self.now.command = None;
        state
    }

    /// Up to the first share.
    fn serving(plan: Plan) -> Run {
        let mut run = Run::new(plan);
        assert_eq!(run.command(Command::Start), State::Learning);
        run.now.learned = true;
        assert_eq!(run.tick(), State::Mirroring);
        run.now.answers_equal = true;
        assert_eq!(run.tick(), State::Ready);
        let first = run.plan.shares[0];
        let state = if run.plan.approve.contains(&first) {
            assert_eq!(run.tick(), State::Ready, "it waits");
            run.command(Command::Approve)
        } else {
            run.tick()
        };
        assert_eq!(state, State::Stepping(0));
        assert_eq!(run.record.share, first);
        run
    }

    /// Calls and time enough for a step, without one event.
    fn spend(&mut self) {
        self.now.now_s += 600;
        self.now.calls += 2_000;
        for counts in &mut self.now.guards {
            counts.calls += 2_000;
        }
    }
}

fn counts(candidate: u64, primary: u64) -> Counts {
    Counts { candidate, primary, calls: 100_000, ..Counts::default() }
}

#[test]
fn a_rollout_goes_up_step_by_step_on_evidence_and_ends_when_it_has_baked() {
    let mut run = Run::serving(errors(1.5));
    run.spend();
    assert_eq!(run.tick(), State::Stepping(0), "time and calls are no evidence");
    run.now.guards[0] = counts(100, 20_000);
    assert_eq!(run.tick(), State::Stepping(1));
    for step in 1..4 {
        assert_eq!(run.tick(), State::Stepping(step), "no time and no calls yet");
        assert_eq!(run.record.share, run.plan.shares[step]);
        run.spend();
        // Equal sides: events by share.
        let part = run.record.share.part();
        run.now.guards[0] = counts((100.0 * part) as u64, (100.0 * (1.0 - part)) as u64);
        let expected = if step == 3 { State::Baking } else { State::Stepping(step + 1) };
        assert_eq!(run.tick(), expected);
    }
    assert_eq!((run.record.share, run.record.epoch), (Share::ALL, 5));
    run.now.now_s += 86_399;
    assert_eq!(run.tick(), State::Baking);
    run.now.now_s += 1;
    assert_eq!(run.tick(), State::Done);
    assert_eq!(run.tick(), State::Done);
}

#[test]
fn compare_o_1_dwell_and_calls_are_spent_in_each_step() {
    let evidence = |run: &mut Run| run.now.guards[0] = counts(100, 20_000);
    let mut run = Run::serving(errors(1.5));
    run.spend();
    evidence(&mut run);
    assert_eq!(run.tick(), State::Stepping(1));
    // Safety is a running product, so the evidence is there at once; time and calls are not.
    assert_eq!(run.tick(), State::Stepping(1));
    run.now.now_s += 599;
    run.now.calls = 2_000;
    assert_eq!(run.tick(), State::Stepping(1));
    run.now.now_s += 1;
    run.now.calls = 1_999;
    assert_eq!(run.tick(), State::Stepping(1));
    run.now.calls = 2_000;
    for spoiled in [
        Observed { readings_missing: true, ..run.now.clone() },
        Observed { window_open: false, ..run.now.clone() },
    ] {
        let fine = std::mem::replace(&mut run.now, spoiled);
        assert_eq!(run.tick(), State::Stepping(1));
        run.now = fine;
    }
    assert_eq!(run.tick(), State::Stepping(2));
}

#[test]
fn compare_t_13_no_errors_at_one_percent_are_not_enough_before_3_927_calls() {
    let mut run = Run::serving(plan(vec![Kind::Budget { most: 0.001 }]));
    run.now.now_s += 600;
    for (calls, expected) in [(2_000, 0), (3_926, 0), (3_927, 1)] {
        run.now.calls = calls;
        run.now.guards[0].calls = calls;
        assert_eq!(run.tick(), State::Stepping(expected), "{calls}");
    }
}

#[test]
fn compare_e_5_harm_rolls_back_from_three_events_on_and_at_its_threshold() {
    // At 1 % two events reach 1/α' of the first epoch, three are asked for.
    let mut run = Run::serving(errors(1.0001));
    run.now.guards[0] = counts(2, 0);
    assert_eq!(run.tick(), State::Stepping(0));
    run.now.guards[0] = counts(3, 0);
    assert_eq!(run.tick(), State::RollingBack);
    assert_eq!(run.record.share, Share::NONE);
    let (_, _, transition) = &run.seen[run.seen.len() - 1];
    assert!(transition.why.contains("guard 1"), "{}", transition.why);
    run.now.drained = true;
    assert_eq!(run.tick(), State::RolledBack);

    let mut run = Run::serving(Plan { on_harm: OnHarm::Hold, ..errors(1.0001) });
    run.now.guards[0] = counts(3, 0);
    assert_eq!(run.tick(), State::Held(Hold::Harm));
    assert_eq!(run.record.share, share(10), "a held share is frozen");
}

#[test]
fn compare_e_10_one_bad_endpoint_holds_and_does_not_roll_back() {
    let mut run = Run::serving(errors(1.25));
    run.now.guards[0] = counts(9, 0);
    run.now.without_worst_endpoint = Some(vec![counts(1, 0)]);
    assert_eq!(run.tick(), State::Held(Hold::BadEndpoint));
    run.now.without_worst_endpoint = None;
    assert_eq!(run.command(Command::Resume), State::Stepping(0));
    run.now.guards[0] = counts(9, 0);
    run.now.without_worst_endpoint = Some(vec![counts(8, 0)]);
    assert_eq!(run.tick(), State::RollingBack);
}

#[test]
fn compare_g_9_hard_trips_need_no_statistics() {
    for trip in
        [Trip::NoHealthyEndpoint, Trip::CandidateRestarted, Trip::MostCallsFailed, Trip::LeaseLost]
    {
        let mut run = Run::serving(errors(1.5));
        run.now.trip = Some(trip);
        assert_eq!(run.tick(), State::RollingBack, "{trip:?}");
    }
    // Held too.
    let mut run = Run::serving(errors(1.5));
    assert_eq!(run.command(Command::Hold), State::Held(Hold::Operator));
    run.now.trip = Some(Trip::NoHealthyEndpoint);
    assert_eq!(run.tick(), State::RollingBack);
    // Before anything is served, a trip of the candidate harms nobody.
    let mut run = Run::new(errors(1.5));
    run.command(Command::Start);
    run.now.trip = Some(Trip::CandidateRestarted);
    assert_eq!(run.tick(), State::Learning);
}

#[test]
fn compare_o_4_a_lost_lease_while_baking_holds_and_keeps_serving() {
    let mut run = Run::serving(Plan { shares: [500, 1_000].map(share).to_vec(), ..errors(1.5) });
    run.spend();
    run.now.guards[0] = counts(400, 900);
    assert_eq!(run.tick(), State::Baking);
    run.now.trip = Some(Trip::LeaseLost);
    assert_eq!(run.tick(), State::Held(Hold::LeaseLost));
    assert_eq!(run.record.share, Share::ALL);
    run.now.trip = None;
    assert_eq!(run.command(Command::Resume), State::Baking);
}

#[test]
fn compare_o_6_a_changed_build_discards_what_was_shown() {
    let mut run = Run::serving(errors(1.5));
    run.spend();
    run.now.guards[0] = counts(100, 20_000);
    assert_eq!(run.tick(), State::Stepping(1));
    assert_eq!(run.record.past[0].len(), 1);
    run.now.build_changed = true;
    assert_eq!(run.tick(), State::Held(Hold::BuildChanged));
    assert_eq!(run.record.past[0].len(), 0);
    run.now.build_changed = false;
    assert_eq!(run.command(Command::Resume), State::Stepping(1));
    assert_eq!(run.record.share, share(50));
    run.spend();
    assert_eq!(run.tick(), State::Stepping(1), "nothing is shown of the new build");
}

#[test]
fn answers_that_are_worse_block_and_critical_ones_roll_back_what_serves() {
    let mirroring = || {
        let mut run = Run::new(errors(1.5));
        run.command(Command::Start);
        run.now.learned = true;
        assert_eq!(run.tick(), State::Mirroring);
        run
    };
    let mut run = mirroring();
    run.now.answers_worse = true;
    assert_eq!(run.tick(), State::Blocked(Block::AnswersWorse));
    let mut run = mirroring();
    run.now.critical = 1;
    assert_eq!(run.tick(), State::Blocked(Block::CriticalDifference));
    let mut run = Run::serving(errors(1.5));
    run.now.critical = 1;
    assert_eq!(run.tick(), State::RollingBack);
    let mut run = Run::new(errors(1.5));
    run.command(Command::Start);
    run.now.noise_too_high = true;
    assert_eq!(run.tick(), State::Blocked(Block::NoiseTooHigh));
}

#[test]
fn a_step_that_needs_approval_waits_with_its_share() {
    let mut run = Run::serving(Plan { approve: vec![share(10), share(50)], ..errors(1.5) });
    run.spend();
    run.now.guards[0] = counts(100, 20_000);
    assert_eq!(run.tick(), State::Awaiting(0));
    assert_eq!(run.record.share, share(10));
    run.now.guards[0] = counts(100, 20_001);
    assert_eq!(run.tick(), State::Awaiting(0));
    assert_eq!(run.command(Command::Approve), State::Stepping(1));
    // It goes on testing while it waits.
    let mut run = Run::serving(Plan { approve: vec![share(50)], ..errors(1.5) });
    run.spend();
    run.now.guards[0] = counts(100, 20_000);
    assert_eq!(run.tick(), State::Awaiting(0));
    run.now.guards[0] = counts(900, 20_000);
    assert_eq!(run.tick(), State::RollingBack);
}

#[test]
fn evidence_that_does_not_come_holds_and_six_hours_begin_a_new_epoch() {
    let mut run = Run::serving(errors(1.5));
    run.now.now_s = 6 * 3_600 - 1;
    assert_eq!((run.tick(), run.record.epoch), (State::Stepping(0), 1));
    run.now.now_s += 1;
    run.now.guards[0] = counts(1, 70);
    assert_eq!((run.tick(), run.record.epoch), (State::Stepping(0), 2));
    assert_eq!(run.record.past[0].len(), 1, "safety goes on");
    assert_eq!(run.record.step_since_s, 0, "the step is the same");
    run.now.now_s = 7 * 86_400;
    run.now.readings_missing = true;
    assert_eq!(run.tick(), State::Held(Hold::Readings));
    // Resumed, it has all its time again.
    run.now.readings_missing = false;
    assert_eq!(run.command(Command::Resume), State::Stepping(0));
    assert_eq!(run.tick(), State::Stepping(0));
    run.now.now_s += 7 * 86_400;
    assert_eq!(run.tick(), State::Held(Hold::NoEvidence));
    assert_eq!(run.command(Command::Abort), State::RollingBack);
}

#[test]
fn compare_t_15_equal_sides_do_not_trip_the_cpu_guard_and_a_dearer_one_does() {
    const SEED: u64 = 15;
    let run = |ratio: f64, buckets: usize| {
        let mut draws = Draws::new(SEED);
        let mut run = Run::serving(plan(vec![Kind::Ratio { tolerate: 1.2 }]));
        run.now.calls = 5_000;
        run.now.now_s = 600;
        let logs = (0..buckets).map(|_| ratio.ln() + 0.1 * draws.normal());
        run.now.guards[0].logs = logs.collect();
        run.tick()
    };
    assert_eq!(run(1.0, 19), State::Stepping(0), "too few buckets");
    assert_eq!(run(1.0, 60), State::Stepping(1), "seed {SEED}");
    assert_eq!(run(1.2, 60), State::Stepping(0), "seed {SEED}");
    assert_eq!(run(1.5, 60), State::RollingBack, "seed {SEED}");
}

#[test]
fn compare_g_7_memory_over_its_limit_three_times_holds() {
    let mut run = Run::serving(plan(vec![Kind::Memory { most: 100 }]));
    run.now.guards[0].memory = vec![50, 101, 101];
    assert_eq!(run.tick(), State::Stepping(0));
    run.now.guards[0].memory = vec![101, 101, 101];
    assert_eq!(run.tick(), State::Held(Hold::Memory));
}

#[test]
fn compare_t_14_two_gateways_with_half_the_traffic_decide_as_one_with_all() {
    let halves = [counts(2, 1), counts(1, 3)];
    let sum = Counts {
        candidate: halves.iter().map(|half| half.candidate).sum(),
        primary: halves.iter().map(|half| half.primary).sum(),
        calls: halves.iter().map(|half| half.calls).sum(),
        ..Counts::default()
    };
    let (mut one, mut two) = (Run::serving(errors(1.25)), Run::serving(errors(1.25)));
    one.now.guards[0] = Counts { calls: 200_000, ..counts(3, 4) };
    two.now.guards[0] = sum;
    assert_eq!(one.tick(), two.tick());
    assert_eq!(one.record, two.record);
}

#[test]
fn compare_t_16_stored_observations_give_every_transition_again_bit_for_bit() {
    const SEED: u64 = 16;
    let mut draws = Draws::new(SEED);
    let mut transitions = 0;
    for _ in 0..60 {
        let kinds = vec![
            Kind::Events { tolerate: 1.5 },
            Kind::Budget { most: 0.01 },
            Kind::Ratio { tolerate: 1.2 },
        ];
        let mut run = Run::serving(Plan { approve: vec![share(250)], ..plan(kinds) });
        for _ in 0..200 {
            run.now.now_s += 60;
            run.now.calls += 500;
            let part = run.record.share.part();
            for _ in 0..50 {
                let events = &mut run.now.guards[0];
                if draws.unit() < part { events.candidate += 1 } else { events.primary += 1 }
            }
            run.now.guards[1].calls += 500;
            run.now.guards[1].candidate += u64::from(draws.below(40) == 0);
            run.now.guards[2].logs.push(0.05 * draws.normal());
            run.now.build_changed = draws.below(500) == 0;
            run.now.command = match draws.below(40) {
                0 => Some(Command::Approve),
                1 => Some(Command::Hold),
                2..=6 => Some(Command::Resume),
                _ => None,
            };
            let before = run.record.share;
            run.tick();
            assert!(
                run.record.share <= before || run.record.state != State::RollingBack,
                "seed {SEED}"
            );
        }
        for (record, observed, transition) in &run.seen {
            let again = next(&run.plan, record, observed).map(|(_, transition)| transition);
            assert_eq!(again.as_ref(), Some(transition), "seed {SEED}");
        }
        transitions += run.seen.len();
    }
    println!("seed {SEED}: {transitions} transitions");
    assert!(transitions > 600);
}

#[test]
fn a_plan_says_all_that_is_wrong_with_it() {
    let wrong = Plan {
        shares: vec![share(1_000)],
        approve: vec![share(70)],
        alpha: 0.0,
        beta: 1.0,
        ..plan(vec![Kind::Events { tolerate: 1.0 }, Kind::Budget { most: 1.0 }])
    };
    let paths: Vec<String> = wrong.faults().into_iter().map(|fault| fault.path).collect();
    let expected =
        ["steps.shares", "steps.approve", "decide.alpha", "decide.beta", "guards[0]", "guards[1]"];
    assert_eq!(paths, expected);
    let falling = Plan { shares: [50, 10, 1_000].map(share).to_vec(), ..errors(1.5) };
    assert_eq!(falling.faults().len(), 1);
}

#[test]
fn a_plan_is_turned_into_time_from_live_rates() {
    const SEED: u64 = 8;
    let rates = Rates { calls: 100.0, mirrored: 0.0, mirrored_s: 0.0, events: vec![0.01] };
    let half = Plan { shares: [500, 1_000].map(share).to_vec(), ..errors(1.5) };
    let found = estimate(&half, &rates, &mut Draws::new(SEED));
    // 176 events at one a second.
    let median = found.by_guard[0].unwrap_or(0.0);
    println!("seed {SEED}: {median} s");
    assert!((130.0..240.0).contains(&median), "seed {SEED}: {found:?}");
    assert_eq!(found.seconds, Some(600.0), "the dwell is longer");
    // Mirroring first, and the same is known before the first step.
    let mirrored = Rates { mirrored: 100.0, mirrored_s: 3_600.0, ..rates.clone() };
    assert_eq!(estimate(&half, &mirrored, &mut Draws::new(SEED)).by_guard[0], Some(0.0));
    let hasty = Plan { max_s: 60, ..half };
    assert_eq!(estimate(&hasty, &rates, &mut Draws::new(SEED)).seconds, None);
    let budget = plan(vec![Kind::Budget { most: 0.001 }]);
    let quiet = Rates { events: vec![0.0], ..rates };
    let found = estimate(&budget, &quiet, &mut Draws::new(SEED));
    assert_eq!(found.by_guard[0], Some(3_927.0), "a call a second at 1 %");
}
