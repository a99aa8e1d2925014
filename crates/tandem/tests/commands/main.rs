//! The command line as people and scripts meet it: what is said, in which form, with which exit.
//!
//! `TANDEM_REWRITE_GOLDEN` writes the golden files instead of comparing.

#![expect(clippy::print_stdout, reason = "skipped tests say so")]
#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod both;
mod corpus;
mod examples;
mod exits;
mod golden;
mod grown;
mod init;
mod kills;
mod namespaces;
mod pairs;
mod place;
mod rights;
mod run;
mod strangers;
mod teams;
mod values;
mod versions;
