//! What teams and the platform write: read, checked, explained.
//!
//! [`load()`] reads `tandem.yaml` and the files of the teams beside it and gives them back whole
//! or names every fault at its place; [`check()`] holds them against the contracts and against
//! what the platform lets each team claim. A fault is a [`Problem`] with a code that has a page
//! of the manual.
//!
//! Not here: carrying calls by what is written (`tandem-gateway`).

pub mod document;

pub use self::document::{Namespace, Platform};
