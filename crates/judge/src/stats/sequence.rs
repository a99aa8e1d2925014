//! An interval for a mean that holds at every moment at once (compare G-8).
//!
//! Source: Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, "Time-uniform Central Limit Theory and
//! Asymptotic Confidence Sequences" (Annals of Statistics 52, 2024), theorem 2.2, and its choice
//! of ρ for one time, here t = 30, in appendix B.2.

/// ρ² of the sequence that is narrowest around the thirtieth value.
pub fn rho_squared(alpha: f64) -> f64 {
    const NARROWEST_AT: f64 = 30.0;
    let twice = -2.0 * alpha.ln();
    (twice + (1.0 + twice).ln()) / NARROWEST_AT
}

/// Half the width after `count` values, in standard deviations.
pub fn half_width(count: u64, alpha: f64) -> f64 {
    let (count, rho) = (count as f64, rho_squared(alpha));
    let scaled = count * rho + 1.0;
    (scaled / (count * count * rho) * (scaled / (alpha * alpha)).ln()).sqrt()
}

/// Mean and interval of `values`, at every moment of a growing series; `None` of fewer than two.
pub fn interval(values: &[f64], alpha: f64) -> Option<(f64, f64, f64)> {
    let count = values.len();
    if count < 2 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / count as f64;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let half = half_width(count as u64, alpha) * (squares / (count as f64 - 1.0)).sqrt();
    Some((mean, mean - half, mean + half))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compare_g_8_rho_and_half_widths_are_those_of_the_reference() {
        assert!((rho_squared(0.05) / 0.264_538 - 1.0).abs() < 1e-3);
        for (count, expected) in [(20, 0.68230), (30, 0.55415), (120, 0.28547), (600, 0.13623)] {
            let found = half_width(count, 0.05);
            assert!((found / expected - 1.0).abs() < 1e-3, "{count}: {found}");
        }
    }
}
