//! Runs the check that the tests of `judge` run over the corpus.

#![no_main]

#[path = "../../crates/judge/tests/checks/diff.rs"]
mod check;
#[path = "../../crates/judge/tests/common/mod.rs"]
mod common;

libfuzzer_sys::fuzz_target!(|data: &[u8]| check::check(data));
