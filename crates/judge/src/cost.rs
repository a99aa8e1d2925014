//! What a call costs on each side, from interleaved blocks.
//!
//! A quartet is four blocks, ABBA or BAAB by coin, at one offered rate; both sides stay up and one
//! is called at a time (compare I-1). What was measured in a block is in [`Block`]; this module
//! says what follows for the two sides, always as a ratio beside absolute values.
//!
//! Not here: reading counters and clocks (`measure`), which ratio is better (`verdict`).

mod floor;
mod kept;
mod pauses;
mod price;
mod series;
mod slope;
mod times;
mod void;

use crate::stats::counts::Counts;
use crate::stats::draws::Draws;

pub use self::floor::{Floor, floor};
pub use self::kept::{series_of_text, series_to_text};
pub use self::pauses::{Pauses, pauses};
pub use self::price::{Cost, CostInput, Prices, break_even_days, cost};
pub use self::series::{Absolute, Measurement, Metric, logs_by_quartet, measure};
pub use self::slope::{Slope, idle_at_one_rate, slope, without_idle};
pub use self::times::{TIMES_LEAST, times_ratio};
pub use self::void::{BlockReadings, Void, unbelievable, void};

/// One of the two implementations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    Primary,
    Candidate,
}

/// What one side did and used in one block.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    pub side: Side,
    pub seconds: f64,
    /// Calls that were answered.
    pub calls: u64,
    /// `None` where the target cannot be read.
    pub cpu_s: Option<f64>,
    /// Used by the other side, which was not called (compare I-1).
    pub idle_cpu_s: Option<f64>,
    /// From the intended moment to the end, in microseconds.
    pub latency_us: Counts,
    pub peak_bytes: Option<u64>,
    pub allocations: Option<u64>,
    pub void: Option<Void>,
}

/// Four blocks at one offered rate, in turns; or eight, where both sides were called at once four
/// times. Nothing here looks at the order of blocks: in turns it is ABBA or BAAB, so that what
/// drifts meets both sides alike, and at once it meets them alike by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Quartet {
    /// Which start of both processes it belongs to (compare I-2).
    pub restart: u32,
    /// Calls a second.
    pub offered: f64,
    pub blocks: Vec<Block>,
}

impl Quartet {
    /// Whether every block counts. One that does not spoils the quartet: what drifts would no
    /// longer cancel.
    pub fn is_valid(&self) -> bool {
        self.blocks.iter().all(|block| block.void.is_none())
    }

    fn of(&self, side: Side) -> impl Iterator<Item = &Block> + Clone {
        self.blocks.iter().filter(move |block| block.side == side)
    }
}

/// The order of the four blocks of a quartet, by coin.
pub fn order(draws: &mut Draws) -> [Side; 4] {
    use Side::{Candidate, Primary};
    if draws.coin() {
        [Primary, Candidate, Candidate, Primary]
    } else {
        [Candidate, Primary, Primary, Candidate]
    }
}
