//! How many more quartets would settle an open question (compare I-8).
//!
//! The half-width of an interval shrinks with the root of the number of quartets. A question is
//! settled when the interval leaves 1, or lies within the margin, whichever comes first.

/// Quartets to come, of a ratio with log `log` and half-width `half` after `quartets`, under a
/// margin such as 0.03. `None` when no number settles it: the ratio is exactly at the margin.
pub fn quartets(log: f64, half: f64, quartets: usize, margin: f64) -> Option<u64> {
    let wanted = log.abs().max(margin.ln_1p() - log.abs());
    if !(wanted > 0.0 && half.is_finite()) {
        return None;
    }
    let count = quartets as f64;
    Some((count * (half / wanted).powi(2) - count).ceil().max(0.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compare_i_8_the_example_needs_91_more() {
        let half = (1.22_f64.ln() - 0.93_f64.ln()) / 2.0;
        assert_eq!(quartets(1.07_f64.ln(), half, 30, 0.10), Some(91));
    }

    #[test]
    fn a_narrow_interval_needs_no_more_and_none_is_said_where_none_helps() {
        assert_eq!(quartets(1.5_f64.ln(), 0.01, 30, 0.03), Some(0));
        assert_eq!(quartets(0.0, 0.2, 30, 0.0), None);
    }
}
