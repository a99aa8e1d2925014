//! Runs the check that the tests of `measure` run over the corpus.

#![no_main]

#[path = "../../crates/measure/tests/checks/records.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|data: &[u8]| check::check(data));
