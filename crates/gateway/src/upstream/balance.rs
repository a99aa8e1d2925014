//! Chooses one of two random endpoints: the one where a call is likely to wait less.
//!
//! Two random choices come within a constant of the best of all endpoints and, unlike the best
//! of all, do not send every thread to the same one at once (Mitzenmacher, "The Power of Two
//! Choices in Randomized Load Balancing", 1996). Load is the peak-EWMA of Finagle
//! (`com.twitter.finagle.loadbalancer.PeakEwma`): the time to an answer's head, which jumps up
//! with one slow answer and comes down slowly, times the calls that are out. An endpoint that
//! hangs grows heavy by its calls alone; one that is not chosen grows lighter with time and so
//! gets its next chance.
//!
//! Time and randomness are arguments. Not here: which endpoints may be chosen (`eject`,
//! `health`), which connection of an endpoint (`pool`).

use std::time::Duration;

use rand::{Rng, RngExt as _};
use tokio::time::Instant;

/// Time in which what was observed loses two thirds of its weight. Finagle's and Linkerd's
/// default: long beside a garbage collection, so that a pause is remembered beyond its end, and
/// short beside a deployment.
const DECAY: Duration = Duration::from_secs(10);

/// Quicker is not told from quick: below this, what differs is who was scheduled first, and one
/// hiccup would keep calls from an endpoint for as long as it is remembered.
const COST_LEAST: Duration = Duration::from_millis(1);

/// What one data thread knows of an endpoint's load.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    /// Seconds to the head of an answer; `None` until there was one.
    cost: Option<f64>,
    at: Instant,
    outstanding: u32,
}

impl Load {
    pub(super) fn new(now: Instant) -> Load {
        Load { cost: None, at: now, outstanding: 0 }
    }

    pub(super) fn began(&mut self) {
        self.outstanding += 1;
    }

    pub(super) fn ended(&mut self) {
        self.outstanding -= 1;
    }

    /// A head came after `took`.
    pub(super) fn answered(&mut self, took: Duration, now: Instant) {
        let took = took.as_secs_f64();
        let weight = self.weight_left(now);
        self.cost = Some(match self.cost {
            Some(cost) if took < cost => cost * weight + took * (1.0 - weight),
            Some(_) | None => took,
        });
        self.at = now;
    }

    /// Nothing came within `waited`: the endpoint is at least so slow. Says nothing where it is
    /// known to be slower; a quick failure must not look like a quick answer.
    pub(super) fn unanswered(&mut self, waited: Duration, now: Instant) {
        if self.cost(now).is_none_or(|cost| cost < waited.as_secs_f64()) {
            self.answered(waited, now);
        }
    }

    fn weight_left(&self, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(self.at);
        (-passed.as_secs_f64() / DECAY.as_secs_f64()).exp()
    }

    fn cost(&self, now: Instant) -> Option<f64> {
        self.cost.map(|cost| (cost * self.weight_left(now)).max(COST_LEAST.as_secs_f64()))
    }
}

/// Something that may be chosen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choice {
    pub(super) load: Load,
    /// Above 0; 1 for an endpoint that has been back for long (see `eject`).
    pub(super) weight: f64,
}

/// The place in `0..count` of the better of two random choices; `None` of nothing.
pub(super) fn choose(
    count: usize,
    choice: impl Fn(usize) -> Choice,
    now: Instant,
    random: &mut impl Rng,
) -> Option<usize> {
    match count {
        0 => None,
        1 => Some(0),
        _ => {
            let one = random.random_range(0..count);
            let other = random.random_range(0..count - 1);
            let other = if other >= one { other + 1 } else { other };
            let lighter = is_lighter(&choice(other), &choice(one), now);
            Some(if lighter { other } else { one })
        }
    }
}

/// Whether `one` is lighter than `other`.
fn is_lighter(one: &Choice, other: &Choice, now: Instant) -> bool {
    // An endpoint that was never observed counts as fast as the one it stands beside: it gets
    // its share at once, and no more than it.
    let (cost, other_cost) = match (one.load.cost(now), other.load.cost(now)) {
        (Some(cost), Some(other_cost)) => (cost, other_cost),
        (Some(_) | None, None) | (None, Some(_)) => (1.0, 1.0),
    };
    let heavy =
        |choice: &Choice, cost: f64| cost * f64::from(choice.load.outstanding + 1) / choice.weight;
    heavy(one, cost) < heavy(other, other_cost)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    const SEED: u64 = 4;

    /// How often each of the loads is chosen of `draws`, with nothing outstanding.
    fn shares(choices: &[Choice], now: Instant, draws: usize) -> Vec<usize> {
        let mut random = StdRng::seed_from_u64(SEED);
        let mut chosen = vec![0; choices.len()];
        for _ in 0..draws {
            let at = choose(choices.len(), |at| choices[at], now, &mut random);
            chosen[at.expect("there are some")] += 1;
        }
        chosen
    }

    fn observed(now: Instant, took_ms: u64) -> Choice {
        let mut load = Load::new(now);
        load.answered(Duration::from_millis(took_ms), now);
        Choice { load, weight: 1.0 }
    }

    #[test]
    fn nothing_and_one_need_no_draw() {
        let now = Instant::now();
        let mut random = StdRng::seed_from_u64(SEED);
        let choice = observed(now, 1);
        assert_eq!(choose(0, |_| choice, now, &mut random), None);
        assert_eq!(choose(1, |_| choice, now, &mut random), Some(0));
    }

    #[test]
    fn equals_share_alike_and_the_slowest_of_three_is_never_the_better_of_two() {
        let now = Instant::now();
        let fresh = Choice { load: Load::new(now), weight: 1.0 };
        let equal = shares(&[fresh, fresh, fresh], now, 3_000);
        assert!(equal.iter().all(|chosen| (850..1150).contains(chosen)), "{equal:?} seed {SEED}");
        let unequal = shares(&[observed(now, 1), observed(now, 100), observed(now, 1)], now, 3_000);
        assert_eq!(unequal[1], 0, "{unequal:?} seed {SEED}");
        // One that nobody has tried yet gets its share beside one that is known.
        let unknown = shares(&[observed(now, 100), fresh], now, 1_000);
        assert!(unknown[1] > 400, "{unknown:?} seed {SEED}");
    }

    #[test]
    fn what_is_quick_enough_is_alike() {
        let now = Instant::now();
        let after = |micros| {
            let mut load = Load::new(now);
            load.answered(Duration::from_micros(micros), now);
            Choice { load, weight: 1.0 }
        };
        let alike = shares(&[after(50), after(1_000)], now, 1_000);
        assert!(alike[1] > 400, "{alike:?} seed {SEED}");
        let unlike = shares(&[after(50), after(1_001)], now, 1_000);
        assert_eq!(unlike[1], 0, "{unlike:?} seed {SEED}");
    }

    #[test]
    fn calls_that_are_out_weigh_as_much_as_time() {
        let now = Instant::now();
        let mut hanging = observed(now, 1);
        for _ in 0..10 {
            hanging.load.began();
        }
        assert!(is_lighter(&observed(now, 10), &hanging, now), "10 ms × 1 against 1 ms × 11");
        hanging.load.ended();
        hanging.load.ended();
        assert!(is_lighter(&hanging, &observed(now, 10), now), "1 ms × 9 against 10 ms × 1");
    }

    #[test]
    fn one_slow_answer_jumps_up_and_quick_ones_come_down_slowly() {
        let start = Instant::now();
        let mut load = observed(start, 1).load;
        load.answered(Duration::from_millis(500), start);
        assert!(load.cost(start).is_some_and(|cost| (0.499..0.501).contains(&cost)));
        // A quick answer a moment later hardly counts …
        let moment = start + Duration::from_millis(100);
        load.answered(Duration::from_millis(1), moment);
        assert!(load.cost(moment).is_some_and(|cost| cost > 0.49), "{load:?}");
        // … one after the time of decay leaves a third of the peak …
        let later = moment + DECAY;
        let mut decayed = load;
        decayed.answered(Duration::from_millis(1), later);
        assert!(decayed.cost(later).is_some_and(|cost| cost < 0.2), "{decayed:?}");
        // … and without any answer the peak fades as well.
        assert!(load.cost(later).is_some_and(|cost| (0.17..0.2).contains(&cost)), "{load:?}");
    }

    #[test]
    fn a_quick_failure_does_not_look_fast_and_a_long_silence_looks_slow() {
        let now = Instant::now();
        let mut load = observed(now, 50).load;
        load.unanswered(Duration::from_millis(1), now);
        assert!(load.cost(now).is_some_and(|cost| cost > 0.049), "{load:?}");
        load.unanswered(Duration::from_secs(2), now);
        assert!(load.cost(now).is_some_and(|cost| cost > 1.9), "{load:?}");
    }

    #[test]
    fn security_u_4_an_endpoint_that_begins_slowly_gets_fewer_calls() {
        let now = Instant::now();
        let back = Choice { weight: 0.1, ..observed(now, 10) };
        let chosen = shares(&[observed(now, 10), back], now, 1_000);
        assert_eq!(chosen[1], 0, "nothing is out: the other one is lighter, {chosen:?}");
        let mut busy = observed(now, 10);
        for _ in 0..12 {
            busy.load.began();
        }
        assert!(is_lighter(&back, &busy, now), "10 × 1 / 0.1 against 10 × 13");
    }
}
