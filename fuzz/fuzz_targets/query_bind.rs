//! Runs the check that the tests of `transcode` run over the corpus.

#![no_main]

#[path = "../../crates/transcode/tests/checks/shared.rs"]
mod shared;
#[path = "../../crates/transcode/tests/checks/query_bind.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|data: &[u8]| check::check(data));
