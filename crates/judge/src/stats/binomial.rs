//! Exact binomial tails, for any number of trials.
//!
//! The masses are walked from the most likely count outwards, each by its ratio to the one
//! before, and divided by their sum: no gamma function, and the far ends, which are too small to
//! matter, are not walked.
//!
//! Source: Johnson, Kemp, Kotz, "Univariate Discrete Distributions" (2005), 3.4.1, for the ratio.

/// The masses worth counting: from which count on, each relative to the largest, and their sum.
struct Masses {
    first: u64,
    masses: Vec<f64>,
    sum: f64,
}

/// Below this part of the largest mass nothing is counted.
const NEGLIGIBLE: f64 = 1e-18;

impl Masses {
    fn new(trials: u64, chance: f64) -> Masses {
        let odds = chance / (1.0 - chance);
        let mode = (((trials + 1) as f64 * chance).floor() as u64).min(trials);
        let mut below = Vec::new();
        let (mut mass, mut count) = (1.0, mode);
        while count > 0 && mass > NEGLIGIBLE {
            mass *= count as f64 / ((trials - count + 1) as f64 * odds);
            count -= 1;
            below.push(mass);
        }
        let first = count;
        let mut masses: Vec<f64> = below.into_iter().rev().collect();
        masses.push(1.0);
        let (mut mass, mut count) = (1.0, mode);
        while count < trials && mass > NEGLIGIBLE {
            mass *= (trials - count) as f64 * odds / (count + 1) as f64;
            count += 1;
            masses.push(mass);
        }
        let sum = masses.iter().sum();
        Masses { first, masses, sum }
    }
}

/// The largest count k with P(X < k) ≤ `tail`: 0 where already P(X = 0) is more.
pub fn low_rank(trials: u64, chance: f64, tail: f64) -> u64 {
    if chance <= 0.0 {
        return 0;
    }
    if chance >= 1.0 {
        return trials;
    }
    let masses = Masses::new(trials, chance);
    let mut below = 0.0;
    for (count, mass) in (masses.first..).zip(&masses.masses) {
        below += mass / masses.sum;
        if below > tail {
            return count;
        }
    }
    trials
}

/// The smallest count k with P(X < k) ≥ 1 − `tail`; `trials` + 1 where only that is certain.
pub fn high_rank(trials: u64, chance: f64, tail: f64) -> u64 {
    // X' = n − X is binomial too: P(X < k) ≥ 1 − tail is P(X' < n − k + 1) ≤ tail.
    trials + 1 - low_rank(trials, 1.0 - chance, tail)
}

/// P(X ≥ `count`).
pub fn at_least(count: u64, trials: u64, chance: f64) -> f64 {
    if count == 0 {
        return 1.0;
    }
    if count > trials || chance <= 0.0 {
        return 0.0;
    }
    if chance >= 1.0 {
        return 1.0;
    }
    let masses = Masses::new(trials, chance);
    let from = count.saturating_sub(masses.first) as usize;
    // The small ones first.
    masses.masses.iter().skip(from).rev().sum::<f64>() / masses.sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_are_those_of_the_published_distribution() {
        // scipy 1.17.1, stats.binom.sf(k - 1, n, p).
        for (count, trials, chance, expected) in [
            (63, 5_000, 0.01, 0.041_593_0),
            (62, 5_000, 0.01, 0.054_772_8),
            (8, 10, 0.5, 0.054_687_5),
            (1, 10, 0.1, 0.651_321_6),
            (0, 10, 0.1, 1.0),
            (11, 10, 0.1, 0.0),
            (10, 10, 1.0, 1.0),
        ] {
            let found = at_least(count, trials, chance);
            assert!((found - expected).abs() < 1e-6, "{count} of {trials}: {found}");
        }
    }
}
