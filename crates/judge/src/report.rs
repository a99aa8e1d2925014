//! Reports.
pub mod units;
