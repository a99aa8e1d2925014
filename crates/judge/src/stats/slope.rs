//! A line through points of which some are wrong (compare A-11).
//!
//! Source: Theil, "A Rank-invariant Method of Linear and Polynomial Regression Analysis" (1950);
//! Sen, "Estimates of the Regression Coefficient Based on Kendall's Tau" (JASA 63, 1968), whose
//! example in section 6 is the test.

use super::draws::Draws;

/// y = idle + marginal · x.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    pub idle: f64,
    pub marginal: f64,
}

/// The median of the slopes of all pairs of points with different x; `None` without any.
pub fn theil_sen(points: &[(f64, f64)]) -> Option<Line> {
    let mut slopes = Vec::new();
    for (place, (x, y)) in points.iter().enumerate() {
        for (other_x, other_y) in &points[place + 1..] {
            let slope = (other_y - y) / (other_x - x);
            if slope.is_finite() {
                slopes.push(slope);
            }
        }
    }
    let marginal = median(&mut slopes)?;
    let mut left: Vec<f64> = points.iter().map(|(x, y)| y - marginal * x).collect();
    Some(Line { idle: median(&mut left)?, marginal })
}

/// The line, and the 95 % interval of its slope from drawing the points of each x again.
pub fn with_interval(
    points: &[(f64, f64)],
    draws: &mut Draws,
    count: usize,
) -> Option<(Line, (f64, f64))> {
    let line = theil_sen(points)?;
    let mut by_x: Vec<Vec<(f64, f64)>> = Vec::new();
    let mut sorted = points.to_vec();
    sorted.sort_by(|one, other| one.0.total_cmp(&other.0));
    for group in sorted.chunk_by(|one, other| one.0.total_cmp(&other.0).is_eq()) {
        by_x.push(group.to_vec());
    }
    let mut drawn: Vec<f64> = (0..count)
        .filter_map(|_| {
            let again: Vec<(f64, f64)> = by_x
                .iter()
                .flat_map(|group| {
                    let again: Vec<_> =
                        group.iter().map(|_| group[draws.below(group.len())]).collect();
                    again
                })
                .collect();
            theil_sen(&again).map(|line| line.marginal)
        })
        .collect();
    drawn.sort_by(f64::total_cmp);
    let place = |part: f64| {
        let place = (part * (drawn.len() as f64 + 1.0)).round() as usize;
        drawn[place.clamp(1, drawn.len()) - 1]
    };
    (!drawn.is_empty()).then(|| (line, (place(0.025), place(0.975))))
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        count if count % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sens_example_has_a_slope_of_four() {
        // Sen (1968), section 6, after Graybill: the point estimate is 4.
        let points =
            [(1., 9.), (2., 15.), (3., 19.), (4., 20.), (10., 45.), (12., 55.), (18., 78.)];
        let line = theil_sen(&points).unwrap();
        assert!((line.marginal - 4.0).abs() < 1e-3, "{line:?}");
    }

    #[test]
    fn a_wild_point_does_not_move_the_line() {
        let mut points: Vec<(f64, f64)> =
            (1..=12).map(|x| (f64::from(x), 0.02 + 41e-6 * f64::from(x))).collect();
        points[5].1 = 10.0;
        let line = theil_sen(&points).unwrap();
        assert!((line.marginal / 41e-6 - 1.0).abs() < 1e-6, "{line:?}");
        assert!((line.idle - 0.02).abs() < 1e-6, "{line:?}");
        assert_eq!(theil_sen(&[(1.0, 2.0)]), None);
    }
}
