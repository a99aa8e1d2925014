//! What the path has to reach beside its peers (performance, section 4), and whether it did.
//!
//! A bar is met when the median is; the interval is printed beside it. A bar that is missed does
//! not end the program: the figures are for people.

use crate::peer::Peer;
use crate::round::Ratio;

struct Bar {
    scenario: &'static str,
    peer: Peer,
    /// Our CPU ÷ theirs at most: now, and as the goal.
    now: Option<f64>,
    goal: Option<f64>,
}

const fn bar(scenario: &'static str, peer: Peer, now: Option<f64>, goal: Option<f64>) -> Bar {
    Bar { scenario, peer, now, goal }
}

const BARS: [Bar; 13] = [
    bar("rest-small", Peer::Envoy, Some(0.30), Some(0.20)),
    bar("rest-small", Peer::GrpcGateway, Some(0.30), None),
    bar("rest-medium", Peer::Envoy, Some(0.18), Some(0.11)),
    bar("rest-medium", Peer::GrpcGateway, Some(0.12), None),
    bar("rest-large", Peer::Envoy, Some(0.18), Some(0.13)),
    bar("grpc-small", Peer::Envoy, Some(0.50), Some(0.15)),
    bar("grpc-small", Peer::Haproxy, None, Some(0.50)),
    bar("grpc-medium", Peer::Envoy, Some(0.90), Some(0.40)),
    bar("grpc-medium", Peer::Haproxy, None, Some(0.85)),
    bar("grpc-large", Peer::Envoy, Some(1.1), Some(0.75)),
    bar("stream-100", Peer::Envoy, Some(1.0), Some(0.30)),
    bar("stream-100", Peer::Haproxy, None, Some(0.60)),
    // Of what is added to the median, not of CPU.
    bar("added-p50", Peer::Envoy, Some(0.60), Some(0.45)),
];

pub(crate) fn print(ratios: &[Ratio]) {
    for bar in &BARS {
        let found =
            ratios.iter().find(|ratio| ratio.scenario == bar.scenario && ratio.peer == bar.peer);
        if let Some(ratio) = found {
            println!("{}", line(bar, ratio));
        }
    }
}

fn line(bar: &Bar, ratio: &Ratio) -> String {
    let Bar { scenario, peer, now, goal } = bar;
    let reached = ratio.median.middle;
    let mut line = format!("bar tandem/{} {scenario}: {reached:.2}", peer.name());
    if let Some(now) = now {
        let word = if reached <= *now { "met" } else { "missed" };
        line.push_str(&format!("; now <= {now:.2} {word}"));
    }
    if let Some(goal) = goal {
        let word = if reached <= *goal { "reached" } else { "not reached" };
        line.push_str(&format!("; goal <= {goal:.2} {word}"));
    }
    line
}

#[cfg(test)]
mod tests {
    use tandem_bench_payload::median::Median;

    use super::*;

    fn check(bar: &Bar, middle: f64, expected: &str) {
        let median = Median { middle, low: middle, high: middle };
        let ratio = Ratio { scenario: bar.scenario, peer: bar.peer, median };
        assert_eq!(line(bar, &ratio), expected);
    }

    #[test]
    fn both_sides_of_bar_and_goal() {
        let both = bar("s", Peer::Envoy, Some(1.0), Some(0.3));
        check(&both, 0.3, "bar tandem/envoy s: 0.30; now <= 1.00 met; goal <= 0.30 reached");
        check(&both, 0.31, "bar tandem/envoy s: 0.31; now <= 1.00 met; goal <= 0.30 not reached");
        check(&both, 1.0, "bar tandem/envoy s: 1.00; now <= 1.00 met; goal <= 0.30 not reached");
        check(
            &both,
            1.01,
            "bar tandem/envoy s: 1.01; now <= 1.00 missed; goal <= 0.30 not reached",
        );
        let goal = bar("s", Peer::Haproxy, None, Some(0.6));
        check(&goal, 0.6, "bar tandem/haproxy s: 0.60; goal <= 0.60 reached");
    }
}
