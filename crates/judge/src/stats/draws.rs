//! Random numbers from a seed, the same on every machine and in every version.
//!
//! Source: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators" (OOPSLA 2014),
//! figure 17 (SplitMix64). Bounded numbers: Lemire, "Fast Random Integer Generation in an
//! Interval" (2019), section 4, without the rejection, whose bias is below 2⁻³² here.

/// A stream of random numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draws(u64);

impl Draws {
    pub fn new(seed: u64) -> Draws {
        Draws(seed)
    }

    /// The next number.
    #[expect(clippy::should_implement_trait, reason = "it never ends, and is no iterator")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of `count` places.
    pub fn below(&mut self, count: usize) -> usize {
        let product = u128::from(self.next()) * count as u128;
        (product >> 64) as usize
    }

    /// From 0 to 1, without 1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Heads or tails.
    pub fn coin(&mut self) -> bool {
        self.next() >> 63 == 1
    }

    /// Standard normal: Box and Muller, "A Note on the Generation of Random Normal Deviates"
    /// (1958).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (2.0 * std::f64::consts::PI * self.unit()).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_that_of_the_published_generator() {
        // Vigna, splitmix64.c, seed 1234567: the vector that other implementations test against.
        let mut draws = Draws::new(1_234_567);
        let drawn: Vec<u64> = (0..3).map(|_| draws.next()).collect();
        assert_eq!(
            drawn,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn numbers_stay_in_their_bounds_and_reach_both_ends() {
        let mut draws = Draws::new(7);
        let drawn: Vec<usize> = (0..1_000).map(|_| draws.below(5)).collect();
        assert!((0..5).all(|place| drawn.contains(&place)), "seed 7: {drawn:?}");
        assert!(drawn.iter().all(|place| *place < 5));
        assert!((0..1_000).all(|_| (0.0..1.0).contains(&draws.unit())));
    }
}
