//! The ratio of two quantiles, with restarts and quartets drawn again (compare I-6, I-2).
//!
//! A restart moves addresses and allocators, so blocks between two restarts are alike; drawing
//! whole restarts, then quartets in them, keeps that likeness in the interval.
//!
//! Source: Davison, Hinkley, "Bootstrap Methods and their Application" (1997), section 3.8
//! (hierarchical data) and section 5.3.1 (percentile interval); Kalibera, Jones, "Rigorous
//! Benchmarking in Reasonable Time" (2013), section 4, for restarts as a level.

use super::counts::Counts;
use super::draws::Draws;

/// Draws of one bootstrap.
pub const DRAWS: usize = 2_000;

/// What both sides measured in one quartet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Measured {
    pub primary: Counts,
    pub candidate: Counts,
}

/// A bootstrapped ratio.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Resampled {
    /// Of the merged counts.
    pub value: f64,
    /// 95 %.
    pub interval: (f64, f64),
    /// Two-sided, against a ratio of 1.
    pub p: f64,
}

/// The ratio candidate/primary of the quantile `part`, of quartets by restart. `None` when a side
/// has no values.
pub fn quantile_ratio(
    restarts: &[Vec<Measured>],
    part: f64,
    draws: &mut Draws,
) -> Option<Resampled> {
    let all = || restarts.iter().flatten();
    let primary = Counts::merged(all().map(|quartet| &quartet.primary));
    let candidate = Counts::merged(all().map(|quartet| &quartet.candidate));
    let value = ratio(candidate.quantile(part)?, primary.quantile(part)?)?;
    // All quartets over one list of values each, so that merging is adding.
    let dense = |side: fn(&Measured) -> &Counts, values: &Counts| -> Vec<Vec<Vec<u64>>> {
        let row = |quartet: &Measured| {
            let mut row = vec![0; values.pairs().len()];
            for (value, count) in side(quartet).pairs() {
                if let Ok(place) = values.pairs().binary_search_by_key(value, |pair| pair.0) {
                    row[place] = *count;
                }
            }
            row
        };
        restarts.iter().map(|quartets| quartets.iter().map(row).collect()).collect()
    };
    let primaries = dense(|quartet| &quartet.primary, &primary);
    let candidates = dense(|quartet| &quartet.candidate, &candidate);
    let mut sums = (vec![0; primary.pairs().len()], vec![0; candidate.pairs().len()]);
    let mut ratios = Vec::with_capacity(DRAWS);
    for _ in 0..DRAWS {
        sums.0.fill(0);
        sums.1.fill(0);
        for _ in 0..restarts.len() {
            let restart = draws.below(restarts.len());
            let quartets = restarts[restart].len();
            for _ in 0..quartets {
                let quartet = draws.below(quartets);
                add(&mut sums.0, &primaries[restart][quartet]);
                add(&mut sums.1, &candidates[restart][quartet]);
            }
        }
        let drawn = at(&sums.1, &candidate, part).zip(at(&sums.0, &primary, part));
        ratios.extend(drawn.and_then(|(candidate, primary)| ratio(candidate, primary)));
    }
    if ratios.is_empty() {
        return None;
    }
    ratios.sort_by(f64::total_cmp);
    let place = |part: f64| {
        let place = (part * (ratios.len() as f64 + 1.0)).round() as usize;
        ratios[place.clamp(1, ratios.len()) - 1]
    };
    let beyond = |side: fn(&f64) -> bool| ratios.iter().filter(|ratio| side(ratio)).count();
    let fewer = beyond(|ratio| *ratio <= 1.0).min(beyond(|ratio| *ratio >= 1.0)) as f64;
    let p = (2.0 * (fewer + 1.0) / (ratios.len() as f64 + 1.0)).min(1.0);
    Some(Resampled { value, interval: (place(0.025), place(0.975)), p })
}

fn ratio(candidate: u64, primary: u64) -> Option<f64> {
    (candidate > 0 && primary > 0).then(|| candidate as f64 / primary as f64)
}

fn add(sums: &mut [u64], row: &[u64]) {
    sums.iter_mut().zip(row).for_each(|(sum, count)| *sum += count);
}

fn at(sums: &[u64], values: &Counts, part: f64) -> Option<u64> {
    let total: u64 = sums.iter().sum();
    let rank = ((part * total as f64).ceil() as u64).max(1);
    let mut before = 0;
    let place = sums.iter().position(|count| {
        before += count;
        before >= rank
    })?;
    Some(values.pairs()[place].0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn restarts(draws: &mut Draws, ratio: f64) -> Vec<Vec<Measured>> {
        let mut side = |scale: f64| {
            Counts::of((0..400).map(|_| (1_000.0 * scale * (0.5 * draws.normal()).exp()) as u64))
        };
        let mut quartet = || Measured { primary: side(1.0), candidate: side(ratio) };
        (0..4).map(|_| (0..4).map(|_| quartet()).collect()).collect()
    }

    #[test]
    fn a_ratio_of_one_and_a_half_is_found_and_one_of_one_is_not() {
        let mut draws = Draws::new(11);
        let found = quantile_ratio(&restarts(&mut draws, 1.5), 0.5, &mut draws).unwrap();
        assert!(found.interval.0 < 1.5 && found.interval.1 > 1.5, "seed 11: {found:?}");
        assert!(found.p < 0.01, "seed 11: {found:?}");
        let found = quantile_ratio(&restarts(&mut draws, 1.0), 0.5, &mut draws).unwrap();
        assert!(found.interval.0 < 1.0 && found.interval.1 > 1.0, "seed 11: {found:?}");
        assert!(found.p > 0.05, "seed 11: {found:?}");
    }

    #[test]
    fn the_same_seed_draws_the_same_interval() {
        let data = restarts(&mut Draws::new(3), 1.2);
        let drawn = || quantile_ratio(&data, 0.99, &mut Draws::new(5));
        assert_eq!(drawn(), drawn());
        assert_eq!(quantile_ratio(&[], 0.5, &mut Draws::new(5)), None);
    }
}
