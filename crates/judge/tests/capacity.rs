//! The capacity search on a simulated queue (compare T-17): no clock, no socket.

#![expect(clippy::print_stdout, reason = "a test says its seed and what it found")]

use tandem_judge::capacity::{Next, Objective, Probe, Search};
use tandem_judge::stats::draws::Draws;

const SERVICE_S: f64 = 0.001;
const THRESHOLD_S: f64 = 0.020;
const OBJECTIVE: Objective = Objective { slow_budget: 0.01, error_budget: 0.001 };

/// One server, a fixed time of service, calls at random moments: what a probe would show.
fn probe(rate: f64, seconds: f64, draws: &mut Draws) -> Probe {
    let (mut clock, mut free_at) = (0.0_f64, 0.0_f64);
    let (mut ends, mut starts) = (Vec::new(), Vec::new());
    loop {
        clock -= (1.0 - draws.unit()).ln() / rate;
        if clock > seconds {
            break;
        }
        free_at = free_at.max(clock) + SERVICE_S;
        starts.push(clock);
        ends.push(free_at);
    }
    let slow = starts.iter().zip(&ends).filter(|(start, end)| *end - *start > THRESHOLD_S).count();
    let completed = ends.iter().filter(|end| **end <= seconds).count();
    let in_flight = (1..=50).map(|look| {
        let at = seconds * f64::from(look) / 50.0;
        let begun = starts.partition_point(|start| *start <= at);
        let ended = ends.partition_point(|end| *end <= at);
        (begun - ended) as u64
    });
    Probe {
        offered_calls: starts.len() as u64,
        timed: starts.len() as u64,
        completed: completed as u64,
        slow: slow as u64,
        errors: 0,
        in_flight: in_flight.collect(),
        cpu_cores: Some(rate * SERVICE_S),
    }
}

/// The rate at which one call in a hundred is slow, from long runs.
fn true_rate(draws: &mut Draws) -> f64 {
    let (mut low, mut high) = (500.0, 1_000.0);
    for _ in 0..10 {
        let middle = f64::midpoint(low, high);
        let long = probe(middle, 400.0, draws);
        if (long.slow as f64) < 0.01 * long.offered_calls as f64 {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

#[test]
fn compare_t_17_the_true_rate_of_a_queue_is_found_within_five_percent() {
    const SEED: u64 = 17;
    let mut draws = Draws::new(SEED);
    let expected = true_rate(&mut draws);
    for start in [100.0, 700.0, 3_000.0] {
        let mut search = Search::new(OBJECTIVE, start);
        let capacity = loop {
            match search.next() {
                Next::Probe { rate, seconds } => {
                    search.observe(&probe(rate, f64::from(seconds), &mut draws));
                }
                Next::Done(capacity) => break capacity,
            }
        };
        let high = capacity.high.unwrap_or(f64::INFINITY);
        println!(
            "seed {SEED}: from {start}: [{:.0}, {high:.0}]/s, true {expected:.0}/s, {} probes",
            capacity.low,
            search.seen().len()
        );
        assert!(!capacity.unsettled, "seed {SEED}: {capacity:?}");
        assert!(
            (capacity.low / expected - 1.0).abs() < 0.05,
            "seed {SEED}: {capacity:?} {expected}"
        );
        assert!((high / expected - 1.0).abs() < 0.06, "seed {SEED}: {capacity:?} {expected}");
    }
}
