//! Worse than last time (compare V-8).
//!
//! Ratios are compared, not times: the machine is on both sides of a ratio and cancels.

use super::Row;

/// A headline row that has become worse.
#[derive(Debug, Clone, PartialEq)]
pub struct Regression {
    pub id: String,
    pub before: (f64, (f64, f64)),
    pub now: (f64, (f64, f64)),
}

/// The rows whose interval lies wholly on the worse side of the old one, and whose ratio moved by
/// more than the margin. `margin` and direction of a row are given by its id.
pub fn regressions(
    before: &[Row],
    now: &[Row],
    rule: impl Fn(&str) -> (f64, bool),
) -> Vec<Regression> {
    let find = |row: &Row| {
        let old = before.iter().find(|old| old.id == row.id && old.headline)?;
        let (margin, smaller_is_better) = rule(&row.id);
        let (was, is) = (old.interval?, row.interval?);
        let apart = if smaller_is_better { is.0 > was.1 } else { is.1 < was.0 };
        let moved = (row.ratio / old.ratio).ln().abs() > margin.ln_1p();
        (apart && moved).then(|| Regression {
            id: row.id.clone(),
            before: (old.ratio, was),
            now: (row.ratio, is),
        })
    };
    now.iter().filter(|row| row.headline).filter_map(find).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Cell;
    use super::*;

    #[test]
    fn compare_v_8_a_regression_is_apart_and_beyond_the_margin() {
        let row = |ratio: f64, low: f64, high: f64| Row {
            id: "cpu".into(),
            ratio,
            interval: Some((low, high)),
            cell: Cell::Worse,
            counts: true,
            headline: true,
            p_holm: None,
            settling: None,
        };
        let before = [row(0.60, 0.58, 0.62)];
        for (now, smaller, expected) in [
            (row(0.66, 0.63, 0.69), true, 1),
            (row(0.66, 0.615, 0.70), true, 0),  // not apart
            (row(0.615, 0.621, 0.63), true, 0), // within the margin
            (row(0.50, 0.48, 0.52), true, 0),   // better
            (row(0.50, 0.48, 0.52), false, 1),
            (Row { headline: false, ..row(0.66, 0.63, 0.69) }, true, 0),
        ] {
            let found = regressions(&before, std::slice::from_ref(&now), |_| (0.03, smaller));
            assert_eq!(found.len(), expected, "{now:?}");
        }
    }
}
