//! The few statistics that verdicts rest on, each with its source and a published value as test.
//!
//! No distribution is fitted. Yes/no events are bets on a rate ratio that may be looked at at any
//! moment (`evidence`); series of blocks are paired ratios of logs (`ratio`); quantiles have exact
//! binomial intervals (`ranks`). Randomness comes from a seed that the caller prints (`draws`).

pub mod binomial;
pub mod bootstrap;
pub mod counts;
pub mod draws;
pub mod evidence;
pub mod holm;
pub mod needed;
pub mod ranks;
pub mod ratio;
pub mod sequence;
pub mod slope;
pub mod student;
