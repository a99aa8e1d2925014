//! Runs the check that the tests of `protocol` run over the corpus.

#![no_main]

#[path = "../../crates/protocol/tests/checks/jwt.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|data: &[u8]| check::check(data));
