//! One row of the table: better, same, worse or unknown, seen from the candidate (compare V-4).

use crate::stats::{holm, needed};

/// What a row says about the candidate.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Cell {
    Better,
    Same,
    Worse,
    Unknown,
}

/// A row before it is judged.
#[derive(Debug, Clone, PartialEq)]
pub struct CellInput {
    pub id: String,
    /// candidate/primary.
    pub ratio: f64,
    /// 95 %; `None` where there is too little.
    pub interval: Option<(f64, f64)>,
    /// `None` where the row is judged by its interval alone: capacity.
    pub p: Option<f64>,
    pub quartets: usize,
    pub smaller_is_better: bool,
    /// Part by which sides may differ and still be the same: 0.03 of a cost, 0.1 of a p99.
    pub margin: f64,
    /// |log ratio| of two processes of one build; 0 where it was not measured.
    pub floor: f64,
    /// One of the set that was frozen before the run.
    pub headline: bool,
    /// Whether it decides who dominates.
    pub counts: bool,
}

/// A row as it is judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub id: String,
    pub ratio: f64,
    pub interval: Option<(f64, f64)>,
    pub cell: Cell,
    pub counts: bool,
    pub headline: bool,
    /// Adjusted over the headline rows.
    pub p_holm: Option<f64>,
    /// What would settle an unknown row.
    pub settling: Option<Settling>,
}

/// What an unknown row lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settling {
    /// More quartets.
    Quartets(u64),
    /// The difference is below what two processes of one build show: more of the same cannot tell.
    BelowFloor,
    /// An interval at all.
    NoInterval,
}

impl Settling {
    /// Seconds that the missing quartets take, at four blocks of `block_s` each.
    pub fn seconds(self, block_s: f64) -> Option<f64> {
        match self {
            Settling::Quartets(count) => Some(count as f64 * 4.0 * block_s),
            Settling::BelowFloor | Settling::NoInterval => None,
        }
    }
}

/// The share of false findings over the headline rows.
const ALPHA: f64 = 0.05;

/// Judges all rows of a table: the headline ones together (compare I-7).
pub fn cells(inputs: &[CellInput]) -> Vec<Row> {
    let headline = |input: &&CellInput| input.headline && input.p.is_some();
    let adjusted =
        holm::adjusted(&inputs.iter().filter(headline).filter_map(|row| row.p).collect::<Vec<_>>());
    let mut adjusted = adjusted.into_iter();
    inputs
        .iter()
        .map(|input| {
            let p_holm = headline(&input).then(|| adjusted.next()).flatten();
            let (cell, settling) = judge(input, p_holm);
            Row {
                id: input.id.clone(),
                ratio: input.ratio,
                interval: input.interval,
                cell,
                counts: input.counts,
                headline: input.headline,
                p_holm,
                settling,
            }
        })
        .collect()
}

fn judge(input: &CellInput, p_holm: Option<f64>) -> (Cell, Option<Settling>) {
    let Some((low, high)) = input.interval else {
        return (Cell::Unknown, Some(Settling::NoInterval));
    };
    let margin = input.margin.ln_1p();
    let (low, high, log) = (low.ln(), high.ln(), input.ratio.ln());
    if -margin <= low && high <= margin {
        return (Cell::Same, None);
    }
    let excludes_one = low > 0.0 || high < 0.0;
    let above_floor = log.abs() > input.floor;
    // Capacity has no p of its own; its interval excludes 1 if those of the sides are disjoint.
    let proven = !input.headline || p_holm.is_none_or(|p| p <= ALPHA);
    if excludes_one && above_floor && proven {
        let better = (log < 0.0) == input.smaller_is_better;
        return (if better { Cell::Better } else { Cell::Worse }, None);
    }
    let settling = if excludes_one && !above_floor {
        Settling::BelowFloor
    } else {
        match needed::quartets(log, (high - low) / 2.0, input.quartets, input.margin) {
            // What is open for the sake of the other rows takes a few quartets more.
            Some(count) => Settling::Quartets(count.max(1)),
            None => Settling::BelowFloor,
        }
    };
    (Cell::Unknown, Some(settling))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(ratio: f64, low: f64, high: f64) -> CellInput {
        CellInput {
            id: "cpu".into(),
            ratio,
            interval: Some((low, high)),
            p: None,
            quartets: 30,
            smaller_is_better: true,
            margin: 0.03,
            floor: 0.005,
            headline: false,
            counts: true,
        }
    }

    #[test]
    fn compare_v_4_a_row_is_judged_by_margin_floor_and_interval() {
        for (input, expected) in [
            (input(1.63, 1.59, 1.68), Cell::Worse),
            (input(0.61, 0.59, 0.63), Cell::Better),
            (CellInput { smaller_is_better: false, ..input(1.63, 1.59, 1.68) }, Cell::Better),
            // Inside the margin, even where the interval leaves 1.
            (input(1.01, 1.005, 1.015), Cell::Same),
            (input(1.0, 1.0 / 1.0299, 1.0299), Cell::Same),
            (input(1.0, 1.0 / 1.0301, 1.02), Cell::Unknown),
            (input(1.07, 0.93, 1.22), Cell::Unknown),
            (CellInput { interval: None, ..input(1.5, 1.0, 1.0) }, Cell::Unknown),
            // A floor forbids a finding, and never makes two sides the same.
            (CellInput { floor: 0.1, ..input(1.09, 1.05, 1.13) }, Cell::Unknown),
        ] {
            assert_eq!(judge(&input, None).0, expected, "{input:?}");
        }
    }

    #[test]
    fn an_unknown_row_says_what_would_settle_it() {
        let wide = CellInput { margin: 0.10, ..input(1.07, 0.93, 1.22) };
        assert_eq!(judge(&wide, None).1, Some(Settling::Quartets(91)));
        assert_eq!(Settling::Quartets(91).seconds(2.0), Some(728.0)); // about 12 minutes
        let low = CellInput { floor: 0.1, ..input(1.09, 1.05, 1.13) };
        assert_eq!(judge(&low, None).1, Some(Settling::BelowFloor));
    }

    #[test]
    fn compare_i_7_headline_rows_are_tested_together() {
        let row = |id: &str, p| CellInput {
            id: id.into(),
            p: Some(p),
            headline: true,
            ..input(1.2, 1.1, 1.3)
        };
        let rows = cells(&[row("cpu", 0.01), row("p99", 0.04), row("peak_mem", 0.03)]);
        let judged: Vec<_> = rows.iter().map(|row| row.cell).collect();
        assert_eq!(judged, [Cell::Worse, Cell::Unknown, Cell::Unknown], "{rows:?}");
        let rows = cells(&[row("cpu", 0.01), CellInput { p: None, ..row("capacity", 0.0) }]);
        assert!(rows.iter().all(|row| row.cell == Cell::Worse), "{rows:?}");
    }
}
