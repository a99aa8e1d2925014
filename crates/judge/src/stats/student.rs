//! Student's t for whole degrees of freedom.
//!
//! Source: Abramowitz, Stegun, "Handbook of Mathematical Functions" (1964), 26.7.3 and 26.7.4:
//! the closed sums of A(t|ν). Test values: table 26.10.

/// P(|T| ≤ t) with `freedom` degrees of freedom.
pub fn within(t: f64, freedom: u32) -> f64 {
    let freedom = freedom.max(1);
    let angle = (t / f64::from(freedom).sqrt()).atan();
    let (sine, cosine) = angle.sin_cos();
    let squared = cosine * cosine;
    let mut term = if freedom % 2 == 1 { cosine } else { 1.0 };
    let mut sum = 0.0;
    let mut factor = if freedom % 2 == 1 { 1 } else { 0 };
    // Odd: cos θ (1 + 2/3 cos² θ + …); even: 1 + 1/2 cos² θ + 1·3/2·4 cos⁴ θ + …
    let terms = if freedom % 2 == 1 { (freedom - 1) / 2 } else { freedom / 2 };
    for _ in 0..terms {
        sum += term;
        term *= squared * f64::from(factor + 1) / f64::from(factor + 2);
        factor += 2;
    }
    if freedom % 2 == 1 { 2.0 / std::f64::consts::PI * (angle + sine * sum) } else { sine * sum }
}

/// The t within which |T| lies with probability `level`: 0.95 gives t₀.₉₇₅.
pub fn quantile(level: f64, freedom: u32) -> f64 {
    let (mut low, mut high) = (0.0, 1e6);
    for _ in 0..120 {
        let middle = f64::midpoint(low, high);
        if within(middle, freedom) < level {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_table() {
        for (freedom, level, expected) in [
            (1, 0.95, 12.706),
            (2, 0.95, 4.303),
            (5, 0.95, 2.571),
            (11, 0.95, 2.2010),
            (29, 0.95, 2.0452),
            (30, 0.95, 2.042),
            (60, 0.95, 2.000),
            (120, 0.95, 1.980),
            (3, 0.99, 5.841),
            (10, 0.99, 3.169),
            (4, 0.90, 2.132),
        ] {
            let found = quantile(level, freedom);
            assert!((found / expected - 1.0).abs() < 1e-3, "{freedom} {level}: {found}");
        }
    }
}
