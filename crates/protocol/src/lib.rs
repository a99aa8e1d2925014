//! REST and gRPC into one neutral form, and back.
//!
//! Everything here is a pure function or a small state machine: heads, headers, envelopes and
//! statuses go in, decisions and bytes come out. One place turns a refusal into bytes
//! ([`refusal`]), whatever protocol the caller speaks.
//!
//! This crate knows no socket, no file and no clock.
//!
//! Not here: how bytes move (`tandem-gateway`), JSON and protobuf (`tandem-transcode`).

mod accept;
pub mod cardinality;
pub mod coding;
pub mod compression;
pub mod conditional;
pub mod deadline;
pub mod detect;
pub mod encoder;
pub mod encoding;
pub mod envelope;
pub mod http1;
pub mod identity;
pub mod key_set;
pub mod metadata;
pub mod refusal;
pub mod rest;
pub mod status;
pub mod stream;
pub mod strict;
pub mod token;
pub mod values;

/// The protocol that a caller speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CallerProtocol {
    /// JSON over HTTP by the rules of `google.api.http`.
    Rest,
    /// gRPC over HTTP/2.
    Grpc,
}

impl CallerProtocol {
    /// For labels and logs.
    pub fn name(self) -> &'static str {
        match self {
            CallerProtocol::Rest => "rest",
            CallerProtocol::Grpc => "grpc",
        }
    }
}
