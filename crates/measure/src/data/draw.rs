//! How keys and sizes are spread.

use tandem_judge::stats::draws::Draws;

/// Ranks from 1 to `n`, the k-th with a probability proportional to k^-s.
///
/// Source: Hörmann and Derflinger, "Rejection-Inversion to Generate Variates from Monotone
/// Discrete Distributions" (ACM TOMACS 6, 1996), section 3. Exact for any `n`, without a table.
#[derive(Debug, Clone, Copy)]
pub struct Zipf {
    n: f64,
    exponent: f64,
    first: f64,
    last: f64,
    squeeze: f64,
}

impl Zipf {
    /// Of `n` ranks; an exponent that is no positive number is taken for 1.1.
    pub fn new(n: u64, exponent: f64) -> Zipf {
        let exponent = if exponent.is_finite() && exponent > 0.0 { exponent } else { 1.1 };
        let n = n.max(1) as f64;
        let mut zipf = Zipf { n, exponent, first: 0.0, last: 0.0, squeeze: 0.0 };
        zipf.first = zipf.integral(1.5) - 1.0;
        zipf.last = zipf.integral(n + 0.5);
        zipf.squeeze = 2.0 - zipf.inverse(zipf.integral(2.5) - zipf.height(2.0));
        zipf
    }

    /// A rank, from 1.
    pub fn rank(&self, draws: &mut Draws) -> u64 {
        loop {
            let area = self.last + draws.unit() * (self.first - self.last);
            let place = self.inverse(area);
            let rank = (place + 0.5).floor().clamp(1.0, self.n);
            let near = rank - place <= self.squeeze;
            if near || area >= self.integral(rank + 0.5) - self.height(rank) {
                return rank as u64;
            }
        }
    }

    fn height(&self, place: f64) -> f64 {
        (-self.exponent * place.ln()).exp()
    }

    /// (x^(1-s) - 1) / (1-s), which is ln x at s = 1.
    fn integral(&self, place: f64) -> f64 {
        let log = place.ln();
        let power = (1.0 - self.exponent) * log;
        if power.abs() < 1e-8 { log * (1.0 + power / 2.0) } else { power.exp_m1() / power * log }
    }

    fn inverse(&self, area: f64) -> f64 {
        let power = (area * (1.0 - self.exponent)).max(-1.0);
        let by = if power.abs() < 1e-8 { 1.0 - power / 2.0 } else { power.ln_1p() / power };
        (by * area).exp()
    }
}

/// Sizes whose logarithm is normal with a deviation of 1: most are near the median, some ten
/// times as large.
#[derive(Debug, Clone, Copy)]
pub struct LogNormal {
    median: f64,
}

/// No field gets more.
const SIZE_MOST: f64 = 1_048_576.0;

impl LogNormal {
    pub fn new(median: f64) -> LogNormal {
        LogNormal { median: if median.is_finite() { median.clamp(1.0, SIZE_MOST) } else { 1.0 } }
    }

    /// A size in bytes, up to 1 MiB.
    pub fn size(&self, draws: &mut Draws) -> u64 {
        (self.median * draws.normal().exp()).clamp(1.0, SIZE_MOST).round() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compare_l_7_keys_follow_zipfs_law() {
        // Pearson's chi-square, 49 degrees of freedom: 74.92 at 1 %.
        for (seed, exponent) in [(1, 1.1), (2, 1.0), (3, 0.7), (4, 2.0)] {
            const RANKS: usize = 50;
            const COUNT: usize = 100_000;
            let zipf = Zipf::new(RANKS as u64, exponent);
            let mut draws = Draws::new(seed);
            let mut seen = [0_u64; RANKS];
            for _ in 0..COUNT {
                seen[zipf.rank(&mut draws) as usize - 1] += 1;
            }
            let weight = |rank: usize| ((rank + 1) as f64).powf(-exponent);
            let all: f64 = (0..RANKS).map(weight).sum();
            let distance: f64 = seen
                .iter()
                .enumerate()
                .map(|(rank, seen)| {
                    let expected = COUNT as f64 * weight(rank) / all;
                    (*seen as f64 - expected).powi(2) / expected
                })
                .sum();
            assert!(distance < 74.92, "seed {seed}, exponent {exponent}: {distance}");
        }
    }

    #[test]
    fn keys_of_a_large_space_stay_within_it_and_reach_its_tail() {
        const SEED: u64 = 5;
        let zipf = Zipf::new(1_000_000, 1.1);
        let mut draws = Draws::new(SEED);
        let ranks: Vec<u64> = (0..100_000).map(|_| zipf.rank(&mut draws)).collect();
        assert!(ranks.iter().all(|rank| (1..=1_000_000).contains(rank)), "seed {SEED}");
        assert!(ranks.iter().any(|rank| *rank > 500_000), "seed {SEED}");
        assert_eq!(Zipf::new(1, 1.1).rank(&mut draws), 1);
    }

    #[test]
    fn compare_l_7_sizes_are_log_normal() {
        // Kolmogorov and Smirnov's distance of the logarithms; 1.63/√n at 1 %.
        const SEED: u64 = 6;
        const COUNT: usize = 20_000;
        let sizes = LogNormal::new(4_096.0);
        let mut draws = Draws::new(SEED);
        let mut logs: Vec<f64> =
            (0..COUNT).map(|_| (sizes.size(&mut draws) as f64 / 4_096.0).ln()).collect();
        logs.sort_by(f64::total_cmp);
        let distance = logs
            .iter()
            .enumerate()
            .map(|(rank, log)| (normal(*log) - (rank as f64 + 0.5) / COUNT as f64).abs());
        let distance = distance.fold(0.0, f64::max);
        assert!(distance < 1.63 / (COUNT as f64).sqrt(), "seed {SEED}: {distance}");
    }

    /// The normal distribution function: Abramowitz and Stegun, 26.2.17, to 7.5e-8.
    fn normal(x: f64) -> f64 {
        let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
        let poly = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
        let sum: f64 =
            poly.iter().enumerate().map(|(power, part)| part * t.powi(power as i32 + 1)).sum();
        let tail = (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() * sum;
        if x >= 0.0 { 1.0 - tail } else { tail }
    }
}
