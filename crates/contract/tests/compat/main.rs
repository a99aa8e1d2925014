//! What breaks callers (protocols ), with `buf breaking` as the oracle.
//!
//! `./x test` names buf in `TANDEM_BUF`; without it the table is still held against our own
//! verdicts, and the test says that the oracle was not asked.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]
#![expect(clippy::print_stdout, reason = "what is skipped is said")]
#![expect(clippy::disallowed_methods, reason = "the oracle works on files")]

#[path = "../texts/mod.rs"]
mod texts;

mod calls;
mod follow;
mod wire_json;
