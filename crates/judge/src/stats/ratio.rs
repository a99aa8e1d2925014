//! The ratio of two sides from paired blocks (compare I-5).
//!
//! Each quartet gives one log of a ratio; machines drift, and what drifts slower than a quartet
//! cancels in it. The interval is Student's over quartets. Beside it stands the share of sign
//! flips whose mean is as far from 0, which assumes nothing but that sides could be swapped.
//!
//! Source: Student, "The Probable Error of a Mean" (1908); Fisher, "The Design of Experiments"
//! (1935), section 21, for the flips; Phipson, Smyth, "Permutation P-values Should Never Be Zero"
//! (2010), for the one that is added.

use super::draws::Draws;
use super::student;

/// Quartets below which there is no interval (compare I-9).
pub const QUARTETS_LEAST: usize = 12;

/// A ratio candidate/primary.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio {
    pub value: f64,
    /// 95 %; `None` from too few quartets.
    pub interval: Option<(f64, f64)>,
    pub quartets: usize,
}

impl Ratio {
    /// The logs of value and half the interval's width.
    pub fn log(&self) -> (f64, Option<f64>) {
        let half = self.interval.map(|(low, high)| (high / low).ln() / 2.0);
        (self.value.ln(), half)
    }
}

/// The ratio whose logs by quartet are `logs`; `None` without any.
pub fn of_logs(logs: &[f64]) -> Option<Ratio> {
    let count = logs.len();
    if count == 0 || logs.iter().any(|log| !log.is_finite()) {
        return None;
    }
    let mean = logs.iter().sum::<f64>() / count as f64;
    let interval = (count >= QUARTETS_LEAST).then(|| {
        let half = student::quantile(0.95, count as u32 - 1) * deviation(logs, mean)
            / (count as f64).sqrt();
        ((mean - half).exp(), (mean + half).exp())
    });
    Some(Ratio { value: mean.exp(), interval, quartets: count })
}

fn deviation(values: &[f64], mean: f64) -> f64 {
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / (values.len() as f64 - 1.0)).sqrt()
}

/// Quartets up to which all flips are gone through.
const ALL_FLIPS_MOST: usize = 14;
const FLIPS: u32 = 10_000;

/// How likely a mean as far from 0 is if the sign of each log were a coin's: exact for few
/// quartets, else from drawn flips.
pub fn flip_p(logs: &[f64], draws: &mut Draws) -> f64 {
    let seen = logs.iter().sum::<f64>().abs();
    // Sums in another order differ in their last bits.
    let as_far = |sum: f64| sum.abs() >= seen * (1.0 - 1e-12);
    if logs.len() <= ALL_FLIPS_MOST {
        let all = 1_u32 << logs.len();
        let far = (0..all).filter(|flips| {
            let signed = |(place, log): (usize, &f64)| {
                if flips >> place & 1 == 1 { -log } else { *log }
            };
            as_far(logs.iter().enumerate().map(signed).sum())
        });
        return far.count() as f64 / f64::from(all);
    }
    let far = (0..FLIPS)
        .filter(|_| as_far(logs.iter().map(|log| if draws.coin() { -log } else { *log }).sum()))
        .count();
    (far as f64 + 1.0) / f64::from(FLIPS + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fisher, "The Design of Experiments", section 17: Darwin's maize, differences in eighths of
    /// an inch.
    const DARWIN: [f64; 15] =
        [49., -67., 8., 16., 6., 23., 28., 41., 14., 29., 56., 24., 75., 60., -48.];

    #[test]
    fn the_interval_of_darwins_maize_is_fishers() {
        // Mean 20.93, standard error 9.746, t at 14 degrees of freedom 2.145.
        let logs: Vec<f64> = DARWIN.iter().map(|difference| difference / 1_000.0).collect();
        let ratio = of_logs(&logs).unwrap();
        let (mean, half) = ratio.log();
        assert!((mean * 1_000.0 / 20.933 - 1.0).abs() < 1e-3, "{mean}");
        assert!((half.unwrap() * 1_000.0 / (2.1448 * 9.746) - 1.0).abs() < 1e-3, "{half:?}");
    }

    #[test]
    fn the_flips_of_darwins_maize_are_fishers() {
        // Fisher, section 21: 1,726 of 32,768 flips are as far, p = 5.267 %.
        let p = flip_p(&DARWIN, &mut Draws::new(1));
        assert!((p - 0.052_67).abs() < 0.006, "seed 1: {p}");
        // The first fourteen in full: 264 of 16,384 flips, counted by another program.
        let p = flip_p(&DARWIN[..14], &mut Draws::new(1));
        assert!((p - DARWIN_FOURTEEN).abs() < 1e-9, "{p}");
    }

    const DARWIN_FOURTEEN: f64 = 0.016_113_281_25;

    #[test]
    fn compare_i_9_fewer_than_twelve_quartets_give_no_interval() {
        assert_eq!(of_logs(&[0.1; 11]).unwrap().interval, None);
        assert!(of_logs(&[0.1; 12]).unwrap().interval.is_some());
        assert_eq!(of_logs(&[]), None);
        assert_eq!(of_logs(&[0.1, f64::NAN]), None);
    }
}
