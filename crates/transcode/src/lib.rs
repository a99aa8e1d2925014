//! JSON text and protobuf bytes, one into the other, by the types of a contract.
//!
//! Five functions are the whole surface: [`wire_from_json`] and [`json_from_wire`] for messages,
//! [`request_from_rest`] and [`response_to_rest`] for calls with an HTTP rule, and
//! [`next_request_from_rest`] for the later messages of a stream. All of ProtoJSON is
//! kept. Whoever compares messages reads them level by level ([`view`]). Depth, size and count
//! are counters; nothing that a caller or an upstream sends recurses past them.
//!
//! The way inside is plain today: values are read one by one, nested messages are built aside and
//! copied. Plans that do both directions in one pass will take its place behind these functions.
//!
//! This crate knows no socket, no file and no clock.

mod bind;
mod fault;
mod from_json;
mod json;
mod limits;
mod mask;
mod plan;
mod project;
mod regroup;
mod scalar;
mod seen;
mod times;
mod to_json;
mod to_wire;
pub mod view;
mod wire;

pub use self::bind::{
    BindOptions, FieldText, PatchMask, RestAnswer, RestRequest, RulePlan, UnaskedBody, Unknown,
    next_request_from_rest, request_from_rest, response_to_rest,
};
pub use self::fault::{Fault, FaultKind, FaultLimit};
pub use self::from_json::{append_wire_from_json, wire_from_json};
pub use self::limits::{JsonOptions, Limits};
pub use self::plan::Plans;
pub use self::project::Projection;
pub use self::to_json::{append_json_from_wire, json_from_wire};
pub use self::to_wire::wire_from_wire;
