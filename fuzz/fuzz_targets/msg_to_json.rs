//! Runs the check that the tests of `transcode` run over the corpus.

#![no_main]

#[path = "../../crates/transcode/tests/checks/msg_to_json.rs"]
mod check;
#[path = "../../crates/transcode/tests/checks/shared.rs"]
mod shared;

libfuzzer_sys::fuzz_target!(|data: &[u8]| check::check(data));
