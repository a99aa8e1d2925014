//! The shop whole: real services in Go and Rust behind the real gateway.
//!
//! The services are built by `./x test`, which names them in `TANDEM_CASES_RUST` and
//! `TANDEM_CASES_GO`; without these the tests say loudly that they were skipped.

#![expect(clippy::print_stdout, reason = "skipped tests say so")]
#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod backend;
mod calls;
mod faces;
mod faults;
mod follow;
mod reload;
mod settings;
