//! What is concluded from rounds: a median and the interval around it.
//!
//! Of the rounds' values the median is given, with the order statistics around it that hold the
//! true median with a probability of at least 95 %: no assumption about the shape of the noise
//! (Conover, Practical Nonparametric Statistics, 1999, section 3.2).

/// A median with the interval that holds the true one with at least 95 %.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Median {
    pub middle: f64,
    pub low: f64,
    pub high: f64,
}

/// How the interval is made, for those who print it.
pub const INTERVAL: &str =
    "order statistics around the median of the rounds' ratios, at least 95 %";

/// The median of `values`; of fewer than six the interval is their whole range and holds less.
///
/// # Panics
/// When there is no value.
pub fn median(values: &[f64]) -> Median {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let count = sorted.len();
    let middle = (sorted[(count - 1) / 2] + sorted[count / 2]) / 2.0;
    let low = rank(count);
    Median { middle, low: sorted[low], high: sorted[count - 1 - low] }
}

/// The ratio of two sides, round by round: a machine that slows down slows both.
///
/// # Panics
/// When there is no round.
pub fn ratio(ours: &[f64], theirs: &[f64]) -> Median {
    let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs).collect();
    median(&ratios)
}

/// The greatest rank r, from 0, for which [r, count-1-r] holds the median with at least 95 %: the
/// number of values below the median is binomial (count, ½), and at most 2.5 % may lie in a tail.
fn rank(count: usize) -> usize {
    let mut probability = 0.5_f64.powi(count as i32);
    let mut tail = 0.0;
    for below in 0..count {
        tail += probability;
        if tail > 0.025 {
            return below.saturating_sub(1);
        }
        probability *= (count - below) as f64 / (below + 1) as f64;
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ranks from the table of the binomial distribution (Conover 1999, table A3), from 0.
    #[test]
    fn the_interval_is_that_of_the_binomial_table() {
        for (count, expected) in [(5, 0), (6, 0), (8, 0), (9, 1), (10, 1), (15, 3), (20, 5)] {
            assert_eq!(rank(count), expected, "{count} values");
        }
    }

    #[test]
    fn a_median_stands_between_its_bounds() {
        let values = [9.0, 1.0, 8.0, 2.0, 7.0, 3.0, 6.0, 4.0, 5.0];
        assert_eq!(median(&values), Median { middle: 5.0, low: 2.0, high: 8.0 });
        assert_eq!(median(&[2.0, 1.0]), Median { middle: 1.5, low: 1.0, high: 2.0 });
    }

    #[test]
    fn a_ratio_is_taken_within_a_round() {
        // The machine is four times slower in the second round; the ratio is not.
        let ratio = ratio(&[1.0, 4.0], &[2.0, 8.0]);
        assert_eq!(ratio, Median { middle: 0.5, low: 0.5, high: 0.5 });
    }
}
