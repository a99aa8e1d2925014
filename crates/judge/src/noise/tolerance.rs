//! A tolerance that would be enough, proposed and never applied (compare J-5).

/// Distances between the values of a primary and its twin on one path.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Distances(Vec<f64>);

/// Distances that are kept: enough for the 99.9th percentile.
const KEPT_MOST: usize = 100_000;

impl Distances {
    /// Takes in two values that should be one.
    pub fn add(&mut self, primary: f64, twin: f64) {
        let distance = (primary - twin).abs();
        if distance.is_finite() && self.0.len() < KEPT_MOST {
            self.0.push(distance);
        }
    }

    /// Twice the 99.9th percentile; `None` below a thousand values, which do not have one.
    pub fn proposed(&self) -> Option<f64> {
        let count = self.0.len();
        if count < 1_000 {
            return None;
        }
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        // In whole thousandths: 0.999 times a count is not exact.
        let rank = (count * 999).div_ceil(1_000);
        Some(sorted[rank - 1] * 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compare_j_5_a_tolerance_is_twice_the_99_9th_percentile_of_the_twins_distance() {
        let mut distances = Distances::default();
        (1..1_000).for_each(|value| distances.add(f64::from(value), 0.0));
        assert_eq!(distances.proposed(), None);
        distances.add(1e9, 0.0);
        assert_eq!(distances.proposed(), Some(1_998.0));
        distances.add(f64::NAN, 0.0);
        assert_eq!(distances.proposed(), Some(1_998.0));
    }
}
