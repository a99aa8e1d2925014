//! Several tests at one error rate (compare I-7).
//!
//! Source: Holm, "A Simple Sequentially Rejective Multiple Test Procedure" (Scandinavian Journal
//! of Statistics 6, 1979), section 3.

/// Each p adjusted so that all those at or below α may be believed together.
pub fn adjusted(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|one, other| values[*one].total_cmp(&values[*other]));
    let mut adjusted = vec![1.0; values.len()];
    let mut most = 0.0_f64;
    for (rank, place) in order.into_iter().enumerate() {
        let left = (values.len() - rank) as f64;
        most = most.max((values[place] * left).min(1.0));
        adjusted[place] = most;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adjusted_values_are_those_of_another_library() {
        // statsmodels 0.14, multipletests(method="holm"); R's p.adjust gives the same.
        let found = adjusted(&[0.01, 0.04, 0.03, 0.005]);
        for (found, expected) in found.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((found - expected).abs() < 1e-12, "{found}");
        }
        assert_eq!(adjusted(&[]), [0.0; 0]);
        let capped = adjusted(&[0.9, 0.8]);
        assert!(capped.iter().all(|p| (p - 1.0).abs() < 1e-12), "{capped:?}");
    }
}
