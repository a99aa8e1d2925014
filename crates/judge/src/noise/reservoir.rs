//! A few samples of each path, each difference with the same chance to be one of them (compare
//! N-10).
//!
//! Values are cut and redacted before they come here (`diff`). How long samples are kept, and who
//! may read them, is decided where they are stored.
//!
//! Source: Vitter, "Random Sampling with a Reservoir" (ACM TOMS 11, 1985), algorithm R.

use std::collections::BTreeMap;

use crate::diff::{Diff, RowId, What};
use crate::stats::draws::Draws;

/// Samples of one path.
const SAMPLES_MOST: usize = 20;

/// One difference as it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Where in the answer: `orders[id=17].price`.
    pub place: String,
    pub what: What,
    pub primary: Option<String>,
    pub other: Option<String>,
}

/// Samples by row, drawn from a seed.
#[derive(Debug, Clone)]
pub struct Samples {
    draws: Draws,
    rows: BTreeMap<RowId, (u64, Vec<Sample>)>,
}

impl Samples {
    pub fn new(seed: u64) -> Samples {
        Samples { draws: Draws::new(seed), rows: BTreeMap::new() }
    }

    /// Offers every listed difference of a pair.
    pub fn offer(&mut self, diff: &Diff) {
        for difference in &diff.listed {
            let (seen, kept) = self.rows.entry(difference.row).or_default();
            *seen += 1;
            let place = if kept.len() < SAMPLES_MOST {
                kept.len()
            } else {
                self.draws.below(usize::try_from(*seen).unwrap_or(usize::MAX))
            };
            if place >= SAMPLES_MOST {
                continue;
            }
            let sample = Sample {
                place: difference.path.place(),
                what: difference.what,
                primary: difference.primary.clone(),
                other: difference.other.clone(),
            };
            match kept.get_mut(place) {
                Some(old) => *old = sample,
                None => kept.push(sample),
            }
        }
    }

    /// Those of one row.
    pub fn of(&self, row: RowId) -> &[Sample] {
        self.rows.get(&row).map_or(&[], |(_, kept)| kept)
    }
}
