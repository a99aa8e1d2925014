//! Runs the check that the tests of `config` run over the corpus.

#![no_main]

#[path = "../../crates/config/tests/checks/settings_edit.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|data: &[u8]| check::check(data));
