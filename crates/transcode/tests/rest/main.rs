//! REST requests bound to messages, and answers cut out of them.
//!
//! What a request became is read by the dynamic messages of another library, so that a split or a
//! doubled field shows as what an upstream would see.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

#[path = "../common/mod.rs"]
mod common;

mod answers;
mod binding;
mod bodies;
mod call;
mod later;
mod patch;
mod property;
mod query;
