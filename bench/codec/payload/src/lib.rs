//! What is converted and carried when something is measured: orders of three sizes, and hostile
//! input; and how the rounds of a measurement are read ([`median`]).
//!
//! The messages come from a seed, byte for byte the same on every machine, and is written by the
//! few lines of [`text`] and [`wire`], so that no codec under measurement makes its own input.
//!
//! Not here: who converts it, and what is counted (`tandem-bench-codec`, `tandem-bench-count`).

pub mod call;
pub mod hostile;
pub mod median;
pub mod order;
pub mod scenario;
pub mod text;
pub mod wire;

/// Descriptors of all of `proto/`, written by `tandem-bench-generate`.
pub const DESCRIPTORS: &[u8] = include_bytes!("../contract.binpb");

/// Full name of the message that is timed.
pub const ORDER: &str = "tandem.bench.v1.Order";
/// Full name of the message that is attacked.
pub const NODE: &str = "tandem.hostile.v1.Node";
