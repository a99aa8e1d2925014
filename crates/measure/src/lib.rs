//! Load at an offered rate, probes of what a call costs.

pub mod probe;
