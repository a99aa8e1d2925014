//! A few times of each side, such as builds: their ratio with its interval.
//!
//! Logs, because what slows a machine multiplies; Welch's interval for two means with the smaller
//! number of degrees of freedom, which is never too narrow for it.
//!
//! Source: Welch, "The significance of the difference between two means when the population
//! variances are unequal", Biometrika 29 (1938); the smaller freedom: Scheffé, "Practical solutions
//! of the Behrens-Fisher problem", JASA 65 (1970).

use crate::stats::student;

/// Of one side fewer than this give no interval.
pub const TIMES_LEAST: usize = 3;

/// candidate/primary, and where it lies with 95 %; `None` where a side has no time, or one that is
/// none. No interval below [`TIMES_LEAST`].
pub fn times_ratio(primary: &[f64], candidate: &[f64]) -> Option<(f64, Option<(f64, f64)>)> {
    let (primary, candidate) = (Logs::of(primary)?, Logs::of(candidate)?);
    let log = candidate.mean - primary.mean;
    let fewest = primary.count.min(candidate.count);
    let interval = (fewest >= TIMES_LEAST).then(|| {
        let freedom = u32::try_from(fewest - 1).unwrap_or(u32::MAX);
        let half = student::quantile(0.95, freedom)
            * (primary.variance_of_mean + candidate.variance_of_mean).sqrt();
        ((log - half).exp(), (log + half).exp())
    });
    Some((log.exp(), interval))
}

struct Logs {
    count: usize,
    mean: f64,
    variance_of_mean: f64,
}

impl Logs {
    fn of(times: &[f64]) -> Option<Logs> {
        if times.is_empty() || times.iter().any(|time| !time.is_finite() || *time <= 0.0) {
            return None;
        }
        let logs: Vec<f64> = times.iter().map(|time| time.ln()).collect();
        let count = logs.len() as f64;
        let mean = logs.iter().sum::<f64>() / count;
        let squares: f64 = logs.iter().map(|log| (log - mean).powi(2)).sum();
        let variance_of_mean = if logs.len() < 2 { 0.0 } else { squares / (count - 1.0) / count };
        Some(Logs { count: logs.len(), mean, variance_of_mean })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_means_have_the_interval_that_a_hand_gets() {
        // Logs 1, 2, 3 against 3, 4, 5: means 2 and 4, each of variance 1, so the half-width is
        // t(2) × √(2/3) = 4.3027 × 0.8165 = 3.5131.
        let of = |logs: [f64; 3]| logs.map(f64::exp);
        let (ratio, interval) = times_ratio(&of([1.0, 2.0, 3.0]), &of([3.0, 4.0, 5.0])).unwrap();
        let (low, high) = interval.unwrap();
        assert!((ratio.ln() - 2.0).abs() < 1e-9, "{ratio}");
        assert!((low.ln() - (2.0 - 3.5131)).abs() < 1e-3, "{low}");
        assert!((high.ln() - (2.0 + 3.5131)).abs() < 1e-3, "{high}");
    }

    #[test]
    fn too_few_times_have_a_ratio_and_no_interval_and_no_times_have_neither() {
        assert_eq!(times_ratio(&[4.0, 4.0], &[2.0, 2.0, 2.0]).map(|it| it.1), Some(None));
        assert_eq!(times_ratio(&[4.0, 4.0, 4.0], &[]), None);
        assert_eq!(times_ratio(&[0.0], &[1.0]), None);
        let (ratio, interval) = times_ratio(&[4.0; 3], &[2.0; 3]).unwrap();
        assert!((ratio - 0.5).abs() < 1e-12 && interval.is_some());
    }
}
