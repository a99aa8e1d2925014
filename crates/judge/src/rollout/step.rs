//! The step function (compare §12, O-1).

use super::guard::{Counts, GuardEvidence, Kind, Under};
use super::plan::{OnHarm, Plan};
use super::share::Share;
use super::{Block, Command, Hold, Observed, Record, State, Transition, Trip};
use crate::stats::evidence::Stretch;

/// Seconds at one share after which the test of harm starts afresh.
const EPOCH_MOST_S: u64 = 6 * 3_600;
/// Evidence of harm at which a step does not advance.
const HARM_IN_SIGHT: f64 = 2.0;

/// What to write next; `None` to stay. A record that is written is the transition's alone: no
/// field of it comes from anywhere else.
pub fn next(plan: &Plan, record: &Record, observed: &Observed) -> Option<(Record, Transition)> {
    if record.state.is_final() {
        return None;
    }
    let evidence = judged(plan, record, &observed.guards);
    let outcome = decide(plan, record, observed, &evidence)?;
    let mut after = record.clone();
    outcome.apply(plan, observed, &mut after);
    let transition = Transition {
        from: record.state,
        to: after.state,
        share: after.share,
        epoch: after.epoch,
        at_s: observed.now_s,
        why: outcome.why,
        evidence,
    };
    Some((after, transition))
}

/// What every guard says, at the record's share and epoch.
pub(super) fn judged(plan: &Plan, record: &Record, counts: &[Counts]) -> Vec<GuardEvidence> {
    let none = Counts::default();
    plan.guards
        .iter()
        .enumerate()
        .map(|(place, guard)| {
            let under = Under {
                alpha: plan.alpha,
                beta: plan.beta,
                guards: plan.guards.len() as u32,
                epoch: record.epoch.max(1),
                share: served_share(record),
                past: record.past.get(place).map_or(&[], Vec::as_slice),
                past_calls: record.past_calls.get(place).copied().unwrap_or_default(),
            };
            guard.judged(counts.get(place).unwrap_or(&none), &under)
        })
        .collect()
}

/// The candidate's part of the events: of pairs, by mirror or in reverse, it is a half.
fn served_share(record: &Record) -> f64 {
    match record.state {
        State::Mirroring | State::Ready | State::Baking => 0.5,
        _ => record.share.part(),
    }
}

struct Outcome {
    to: State,
    why: String,
    /// What becomes of the counters.
    counters: Counters,
}

#[derive(Clone, Copy, PartialEq)]
enum Counters {
    /// They go on.
    Keep,
    /// The epoch is closed; what it showed goes on to count for safety.
    Close,
    /// The epoch is closed, and what was shown is forgotten.
    Discard,
}

fn to(to: State, why: impl Into<String>) -> Option<Outcome> {
    Some(Outcome { to, why: why.into(), counters: Counters::Close })
}

fn decide(
    plan: &Plan,
    record: &Record,
    observed: &Observed,
    evidence: &[GuardEvidence],
) -> Option<Outcome> {
    if let Some(outcome) = ordered(plan, record, observed) {
        return Some(outcome);
    }
    let waited_s = observed.now_s.saturating_sub(record.waiting_since_s);
    match record.state {
        State::Draft => None,
        State::Learning if observed.noise_too_high => to(
            State::Blocked(Block::NoiseTooHigh),
            "the primary differs from its twin too often to compare anything with it",
        ),
        State::Learning if observed.learned => to(State::Mirroring, "the noise is known"),
        State::Mirroring | State::Ready if observed.critical > 0 => to(
            State::Blocked(Block::CriticalDifference),
            "a critical field differs, and it is not noise",
        ),
        State::Mirroring | State::Ready if observed.answers_worse => {
            to(State::Blocked(Block::AnswersWorse), "the candidate's answers are worse")
        }
        State::Mirroring if observed.answers_equal && !harm(evidence) => {
            to(State::Ready, "the answers are not worse")
        }
        State::Learning | State::Mirroring if waited_s >= plan.max_s => {
            to(State::Held(Hold::NoEvidence), "the evidence did not come in time")
        }
        State::Ready if !observed.window_open => None,
        State::Ready if needs_approval(plan, 0) => None, // until somebody approves
        State::Ready => to(State::Stepping(0), "the answers are not worse"),
        State::Stepping(_) | State::Awaiting(_) => serving(plan, record, observed, evidence),
        State::Baking => baking(plan, record, observed, evidence),
        State::RollingBack if observed.drained => to(State::RolledBack, "no call is open"),
        State::Learning
        | State::Mirroring
        | State::Held(_)
        | State::RollingBack
        | State::Done
        | State::RolledBack
        | State::Cancelled
        | State::Blocked(_) => None,
    }
}

/// What leaves no choice: hard trips, and what an operator asks for.
fn ordered(plan: &Plan, record: &Record, observed: &Observed) -> Option<Outcome> {
    let serves = record.share > Share::NONE;
    let back = |why: &str| to(State::RollingBack, why);
    if serves && record.state != State::RollingBack {
        match observed.trip {
            Some(Trip::NoHealthyEndpoint) => {
                return back("no endpoint of the candidate is healthy");
            }
            Some(Trip::CandidateRestarted) => return back("the candidate has restarted"),
            Some(Trip::MostCallsFailed) => return back("most calls of a second have failed"),
            // Everything is served already: to go back blindly would be the greater harm.
            Some(Trip::LeaseLost) if record.state == State::Baking => {}
            Some(Trip::LeaseLost) => return back("the lease was lost"),
            None => {}
        }
    }
    match (observed.command?, record.state) {
        (Command::Abort, State::RollingBack) => None,
        (Command::Abort, _) if serves => back("it was aborted"),
        (Command::Abort, _) => to(State::Cancelled, "it was aborted"),
        (Command::Start, State::Draft) if observed.targets_healthy && observed.contracts_equal => {
            to(State::Learning, "it was started")
        }
        (Command::Hold, State::Stepping(_) | State::Awaiting(_) | State::Mirroring) => {
            to(State::Held(Hold::Operator), "somebody asked for it")
        }
        (Command::Resume, State::Held(_)) if !serves => to(State::Mirroring, "it was resumed"),
        (Command::Resume, State::Held(_)) if record.share == Share::ALL => {
            to(State::Baking, "it was resumed")
        }
        (Command::Resume, State::Held(_)) => to(State::Stepping(record.step), "it was resumed"),
        (Command::Approve, State::Ready) if observed.window_open => {
            to(State::Stepping(0), "it was approved")
        }
        (Command::Approve, State::Awaiting(step)) if observed.window_open => {
            // Evidence may have changed since it began to wait.
            let evidence = judged(plan, record, &observed.guards);
            let unharmed = !harm(&evidence) && evidence.iter().all(|guard| guard.safe);
            (unharmed && !observed.readings_missing).then(|| up(plan, step, "it was approved"))
        }
        _ => None,
    }
}

/// While the candidate serves a part.
fn serving(
    plan: &Plan,
    record: &Record,
    observed: &Observed,
    evidence: &[GuardEvidence],
) -> Option<Outcome> {
    if observed.build_changed {
        let why = "a build has changed, so what was shown is about another one";
        let to = State::Held(Hold::BuildChanged);
        return Some(Outcome { to, why: why.into(), counters: Counters::Discard });
    }
    if observed.critical > 0 {
        return to(State::RollingBack, "a critical field differs, and it is not noise");
    }
    if let Some(harmful) = evidence.iter().find(|guard| guard.harmful) {
        return harmed(plan, record, observed, harmful);
    }
    if evidence.iter().any(|guard| guard.over) {
        return to(State::Held(Hold::Memory), "memory is over its limit");
    }
    if observed.too_many_keys {
        return to(State::Held(Hold::TooManyKeys), "more keys than can be told apart");
    }
    let step = match record.state {
        State::Stepping(step) => Some(step),
        _ => None,
    };
    let step_s = observed.now_s.saturating_sub(record.step_since_s);
    let calls = record.step_calls + observed.calls;
    let proven = evidence.iter().all(|guard| guard.safe)
        && evidence.iter().all(|guard| guard.harm < HARM_IN_SIGHT)
        && !observed.readings_missing;
    let spent = step_s >= plan.dwell_s && calls >= plan.calls_least;
    if let Some(step) = step
        && proven
        && spent
        && observed.window_open
    {
        if needs_approval(plan, step + 1) {
            let why = "the evidence is there, and the next share is to be approved";
            let to = State::Awaiting(step);
            return Some(Outcome { to, why: why.into(), counters: Counters::Keep });
        }
        return Some(up(plan, step, "the evidence is there"));
    }
    if observed.now_s.saturating_sub(record.waiting_since_s) >= plan.max_s {
        return if observed.readings_missing {
            to(State::Held(Hold::Readings), "readings that a guard needs are missing")
        } else {
            to(State::Held(Hold::NoEvidence), "the evidence did not come in time")
        };
    }
    if observed.now_s.saturating_sub(record.epoch_since_s) >= EPOCH_MOST_S {
        return to(record.state, "six hours at one share: harm is tested afresh");
    }
    None
}

/// After all calls have moved: absolute budgets, and pairs the other way round.
fn baking(
    plan: &Plan,
    record: &Record,
    observed: &Observed,
    evidence: &[GuardEvidence],
) -> Option<Outcome> {
    if observed.trip == Some(Trip::LeaseLost) {
        return to(State::Held(Hold::LeaseLost), "the lease was lost");
    }
    if observed.critical > 0 {
        return to(State::RollingBack, "a critical field differs, and it is not noise");
    }
    if let Some(harmful) = evidence.iter().find(|guard| guard.harmful) {
        return harmed(plan, record, observed, harmful);
    }
    if evidence.iter().any(|guard| guard.over) {
        return to(State::Held(Hold::Memory), "memory is over its limit");
    }
    let baked = observed.now_s.saturating_sub(record.step_since_s) >= plan.bake_s;
    (baked && !observed.readings_missing).then(|| to(State::Done, "it has baked")).flatten()
}

fn harmed(
    plan: &Plan,
    record: &Record,
    observed: &Observed,
    harmful: &GuardEvidence,
) -> Option<Outcome> {
    // One endpoint that is broken is no fault of the build (compare E-10).
    if let Some(rest) = &observed.without_worst_endpoint
        && !harm(&judged(plan, record, rest))
    {
        return to(
            State::Held(Hold::BadEndpoint),
            format!("`{}` is harmed by one endpoint alone", harmful.name),
        );
    }
    let GuardEvidence { name, harm, harm_at, candidate, primary, .. } = harmful;
    let why = format!(
        "`{name}`: {candidate} events against {primary}, evidence {harm:.1} of {harm_at:.1}"
    );
    match plan.on_harm {
        OnHarm::RollBack => to(State::RollingBack, why),
        OnHarm::Hold => to(State::Held(Hold::Harm), why),
    }
}

fn harm(evidence: &[GuardEvidence]) -> bool {
    evidence.iter().any(|guard| guard.harmful)
}

fn needs_approval(plan: &Plan, step: usize) -> bool {
    plan.shares.get(step).is_some_and(|share| plan.approve.contains(share))
}

/// To the step behind `step`.
fn up(plan: &Plan, step: usize, why: &str) -> Outcome {
    let all = plan.shares.get(step + 1).is_none_or(|share| *share == Share::ALL);
    let to = if all { State::Baking } else { State::Stepping(step + 1) };
    Outcome { to, why: why.to_owned(), counters: Counters::Close }
}

impl Outcome {
    fn apply(&self, plan: &Plan, observed: &Observed, record: &mut Record) {
        let (from, to) = (record.state, self.to);
        if self.counters != Counters::Keep {
            self.close(plan, observed, record);
        }
        record.state = to;
        if matches!(from, State::Held(_)) {
            record.waiting_since_s = observed.now_s;
        }
        match to {
            State::Stepping(step) => {
                record.share = plan.shares.get(step).copied().unwrap_or(record.share);
                // Resumed, it is still the step that it was.
                let again = matches!(from, State::Held(_)) || from == to;
                if !again {
                    record.step = step;
                    record.step_since_s = observed.now_s;
                    record.step_calls = 0;
                }
            }
            State::Baking => {
                record.share = Share::ALL;
                record.step = plan.shares.len().saturating_sub(1);
                record.step_since_s = observed.now_s;
                record.step_calls = 0;
            }
            State::RollingBack | State::RolledBack | State::Cancelled | State::Blocked(_) => {
                record.share = Share::NONE;
            }
            State::Draft
            | State::Learning
            | State::Mirroring
            | State::Ready
            | State::Awaiting(_)
            | State::Held(_)
            | State::Done => {}
        }
    }

    fn close(&self, plan: &Plan, observed: &Observed, record: &mut Record) {
        let share = served_share(record);
        for (place, guard) in plan.guards.iter().enumerate() {
            let (Some(past), Some(calls)) =
                (record.past.get_mut(place), record.past_calls.get_mut(place))
            else {
                continue;
            };
            if self.counters == Counters::Discard {
                past.clear();
                *calls = (0, 0);
                continue;
            }
            let Some(counts) = observed.guards.get(place) else { continue };
            let Counts { candidate, primary, calls: served, logs: _, memory: _ } = counts;
            calls.0 += served;
            calls.1 += candidate;
            let fair = share > 0.0 && share < 1.0 && candidate + primary > 0;
            if fair && matches!(guard.kind, Kind::Events { .. }) {
                past.push(Stretch { candidate: *candidate, primary: *primary, share });
            }
        }
        record.step_calls += observed.calls;
        if self.counters == Counters::Discard {
            record.step_calls = 0;
        }
        let serves = matches!(self.to, State::Stepping(_) | State::Awaiting(_) | State::Baking);
        record.epoch += u32::from(serves);
        record.epoch_since_s = observed.now_s;
    }
}
