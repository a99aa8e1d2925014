//! Runs the check that the tests of `contract` run over the corpus.

#![no_main]

#[path = "../../crates/contract/tests/checks/path_template.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|data: &[u8]| check::check(data));
