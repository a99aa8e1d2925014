//! A tolerance that would be enough, proposed and never applied (compare J-5).

/// The largest distances between the values of a primary and its twin on one path, one a pair:
/// where a pair has several values there, the farthest.
///
/// The 99.9th percentile lies among the largest thousandth, so no more is held of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Distances(Vec<f64>);

/// Distances that are held; of more pairs than a thousand times as many nothing more is proposed.
const KEPT_MOST: usize = 128;
/// Pairs below which there is no 99.9th percentile.
const PAIRS_LEAST: u64 = 1_000;

impl Distances {
    /// Takes in how far two values lie apart that should be one. Pairs that agree need not be told.
    pub(super) fn add(&mut self, distance: f64) {
        let distance = distance.abs();
        if !distance.is_finite() || distance <= 0.0 {
            return;
        }
        let place = self.0.partition_point(|held| *held > distance);
        if place < KEPT_MOST {
            self.0.insert(place, distance);
            self.0.truncate(KEPT_MOST);
        }
    }

    /// Twice the 99.9th percentile over so many pairs. `None` below a thousand, and where all but
    /// one in a thousand agree: then a tolerance is not what is missing.
    pub(super) fn proposed(&self, pairs: u64) -> Option<f64> {
        if pairs < PAIRS_LEAST {
            return None;
        }
        // In whole thousandths: 0.999 times a count is not exact.
        let above = usize::try_from(pairs - (pairs * 999).div_ceil(1_000)).ok()?;
        self.0.get(above).map(|distance| distance * 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compare_j_5_a_tolerance_is_twice_the_99_9th_percentile_of_the_twins_distance() {
        let mut distances = Distances::default();
        (1..1_000).for_each(|value| distances.add(f64::from(value)));
        assert_eq!(distances.proposed(999), None);
        distances.add(1e9);
        assert_eq!(distances.proposed(1_000), Some(1_998.0));
        distances.add(f64::NAN);
        assert_eq!(distances.proposed(1_000), Some(1_998.0));
        // 1,001 pairs, one of which agrees: two lie above the percentile's rank no longer.
        assert_eq!(distances.proposed(1_001), Some(1_998.0));
        assert_eq!(distances.proposed(3_000), Some(2.0 * 997.0));
        assert_eq!(distances.proposed(200_000), None);
    }

    #[test]
    fn where_nearly_all_agree_no_tolerance_is_proposed() {
        let mut distances = Distances::default();
        distances.add(0.5);
        assert_eq!((distances.proposed(1_999), distances.proposed(2_000)), (None, None));
        distances.add(0.25);
        assert_eq!(distances.proposed(1_999), Some(0.5));
        assert_eq!(distances.proposed(2_000), None);
    }
}
