//! What the codec has to reach (performance, section 4), and whether it did.
//!
//! A bar is met when the median is; the interval is printed beside it. A bar that is missed does
//! not end the program: the figures are for people, regressions are the instruction counts'.

use crate::peer::Peer;
use crate::report::Ratio;

struct Bar {
    scenario: &'static str,
    peer: Peer,
    /// How many times faster at least: now, and as the goal.
    now: f64,
    goal: f64,
}

const BARS: [Bar; 4] = [
    Bar { scenario: "medium-in", peer: Peer::BuffaReflection, now: 6.0, goal: 8.0 },
    Bar { scenario: "medium-out", peer: Peer::BuffaReflection, now: 3.0, goal: 4.5 },
    Bar { scenario: "medium-in", peer: Peer::BuffaGenerated, now: 1.8, goal: 2.3 },
    Bar { scenario: "medium-out", peer: Peer::BuffaGenerated, now: 1.2, goal: 1.6 },
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
    let most = 1.0 / now;
    let word = if ratio.median.middle <= most { "pass" } else { "miss" };
    let goal_word = if ratio.median.middle <= 1.0 / goal { "reached" } else { "not reached" };
    format!(
        "bar tandem/{} {scenario} <= {most:.3} ({now} times): {:.3}  {word}; goal {:.3}: {goal_word}",
        peer.name(),
        ratio.median.middle,
        1.0 / goal,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_bench_payload::median::Median;

    fn check(middle: f64, expected: &str) {
        let median = Median { middle, low: middle, high: middle };
        let ratio = Ratio { scenario: "medium-in", peer: Peer::BuffaReflection, median };
        assert!(line(&BARS[0], &ratio).ends_with(expected), "{}", line(&BARS[0], &ratio));
    }

    #[test]
    fn both_sides_of_bar_and_goal() {
        check(0.125, "0.125  pass; goal 0.125: reached");
        check(0.126, "0.126  pass; goal 0.125: not reached");
        check(1.0 / 6.0, "0.167  pass; goal 0.125: not reached");
        check(0.168, "0.168  miss; goal 0.125: not reached");
    }
}
