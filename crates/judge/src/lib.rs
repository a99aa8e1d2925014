//! What pairs of answers and samples of cost mean: differences, noise, intervals, a verdict, the
//! next step of a rollout.
//!
//! Pure: time and random numbers are arguments, so a verdict replays from its counters and a
//! seed. Nothing here opens, waits or draws; whoever measures fills the types of this crate,
//! because evidence defines what must be read.
//!
//! Not here: reading counters and clocks (`measure`), sending copies and publishing steps
//! (`gateway`).

pub mod pair;
pub mod diff;
pub mod noise;
pub mod stats;
pub mod cost;
pub mod capacity;
pub mod verdict;
pub mod live;
pub mod rollout;
pub mod report;
