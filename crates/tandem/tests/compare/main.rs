//! `tandem compare` as people and scripts meet it: two sides of known behaviour, small plans.

#![expect(clippy::print_stdout, reason = "skipped tests say so")]
#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

#[path = "../commands/place.rs"]
#[expect(dead_code, reason = "these tests need a part of what those of the commands do")]
mod place;

mod agent;
mod capacity;
mod corpus;
mod cost;
mod exits;
mod names;
mod report;
mod rubric;
mod runtime;
mod schema;
mod sides;
mod streams;
