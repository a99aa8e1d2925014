//! Copies of calls, sent to a candidate beside the caller's back.
//!
//! The caller never waits for this room and never sees its failures.

pub(crate) mod view;
