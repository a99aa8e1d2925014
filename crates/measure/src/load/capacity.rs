//! Drives the search for a side's capacity (compare K-1 to K-3).
//!
//! `tandem_judge::capacity` says which rate comes next and when it knows enough; whoever calls
//! gives a closure that offers a rate for some seconds, waits until nothing is in flight
//! ([`offer`](super::offer) does) and says what it saw.

use tandem_judge::capacity::{Capacity, Next, Probe, Search};
use tandem_judge::cost::Side;

/// Searches one side.
pub async fn search(
    search: &mut Search,
    mut probe: impl AsyncFnMut(f64, u32) -> Probe,
) -> Capacity {
    loop {
        match search.next() {
            Next::Done(capacity) => return capacity,
            Next::Probe { rate, seconds } => search.observe(&probe(rate, seconds).await),
        }
    }
}

/// Searches both sides in turns, so that what drifts meets both.
pub async fn search_both(
    primary: &mut Search,
    candidate: &mut Search,
    mut probe: impl AsyncFnMut(Side, f64, u32) -> Probe,
) -> (Capacity, Capacity) {
    let mut sides = [(Side::Primary, primary, None), (Side::Candidate, candidate, None)];
    loop {
        for (side, search, found) in &mut sides {
            match search.next() {
                Next::Done(capacity) => *found = Some(capacity),
                Next::Probe { rate, seconds } => {
                    let seen = probe(*side, rate, seconds).await;
                    search.observe(&seen);
                }
            }
        }
        if let [(_, _, Some(primary)), (_, _, Some(candidate))] = sides {
            return (primary, candidate);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_judge::capacity::Objective;

    const OBJECTIVE: Objective = Objective { slow_budget: 0.01, error_budget: 0.001 };

    /// A side that serves everything below `limit` in time, and nothing above.
    fn seen(limit: f64, rate: f64, seconds: u32) -> Probe {
        let calls = (rate * f64::from(seconds)) as u64;
        Probe {
            offered_calls: calls,
            completed: calls,
            timed: calls,
            slow: if rate < limit { 0 } else { calls },
            errors: 0,
            in_flight: vec![1; 50],
            cpu_cores: Some(0.9),
        }
    }

    #[tokio::test]
    async fn compare_k_1_a_search_probes_what_it_is_asked_for_until_it_knows() {
        let mut searched = Search::new(OBJECTIVE, 100.0);
        let mut probes = 0;
        let found = search(&mut searched, async |rate, seconds| {
            probes += 1;
            seen(2_000.0, rate, seconds)
        })
        .await;
        assert!(found.low < 2_000.0 && found.high.unwrap() >= 2_000.0, "{found:?}");
        assert_eq!(searched.seen().len(), probes);
    }

    #[tokio::test]
    async fn compare_k_1_two_sides_are_probed_in_turns() {
        let mut searches = [(); 2].map(|()| Search::new(OBJECTIVE, 100.0));
        let [primary, candidate] = &mut searches;
        let mut order = Vec::new();
        let (of_primary, of_candidate) =
            search_both(primary, candidate, async |side, rate, seconds| {
                order.push(side);
                seen(if side == Side::Primary { 3_000.0 } else { 300.0 }, rate, seconds)
            })
            .await;
        assert!(of_primary.low > 2_800.0 && of_candidate.low < 300.0);
        let both = order.iter().filter(|side| **side == Side::Candidate).count().min(10);
        assert!(order.chunks(2).take(both).all(|pair| pair == [Side::Primary, Side::Candidate]));
    }
}
