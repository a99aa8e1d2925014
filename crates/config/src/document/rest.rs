//! What a team may choose about REST: the switches under `rest` and `json` (protocols J-17 and
//! section 14).
//!
//! Each is a type of its own, and the first value of each is what holds where nothing is written.
//!
//! Not here: what the choices do (`tandem-contract` for paths, `tandem-transcode` for bodies).

use std::time::Duration;

pub use tandem_contract::http_rule::path::{EncodedSlash, PathSwitches, TrailingSlash};
pub use tandem_transcode::{PatchMask, UnaskedBody, Unknown};

/// `rest`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RestSwitches {
    /// `encoded_slash` and `trailing_slash`.
    pub paths: PathSwitches,
    pub unknown_query: Unknown,
    pub unknown_json_field: Unknown,
    pub body_without_rule: UnaskedBody,
    pub patch_mask: PatchMask,
    pub stream_framing: StreamFraming,
    pub stream_envelope: StreamEnvelope,
    /// The field of a stream's messages that numbers its events, as a dotted path; else they are
    /// counted (protocols S-7). [`crate::check()`] holds it against the contract.
    pub sse_id_field: Option<Box<str>>,
    pub head_hold: HeadHold,
    pub error_details: ErrorDetails,
}

/// Which details of a failed call its caller sees, by gRPC too (protocols E-6).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ErrorDetails {
    /// All but `google.rpc.DebugInfo`, which is for the service's own people.
    #[default]
    Safe,
    All,
}

/// How long the head of a stream is held whose upstream says nothing behind its own; REST streams
/// alone, unary calls are never answered early (protocols A-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadHold(pub Duration);

impl Default for HeadHold {
    fn default() -> HeadHold {
        HeadHold(Duration::from_secs(1))
    }
}

/// How the messages of an answer are framed where a caller has no wish (protocols S-1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StreamFraming {
    #[default]
    Array,
    Ndjson,
    Sse,
}

/// What stands around each line of NDJSON (protocols S-6).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StreamEnvelope {
    /// Nothing.
    #[default]
    Bare,
    /// `{"result":…}`, and `{"error":…}` as the last line of a failed stream.
    ResultError,
}

/// `json`: how answers are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JsonSwitches {
    pub defaults: JsonDefaults,
    pub enums: JsonEnums,
    pub names: JsonNames,
    pub int64: JsonInt64,
}

/// Fields without presence that hold their default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum JsonDefaults {
    #[default]
    Omit,
    Emit,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum JsonEnums {
    #[default]
    Name,
    Number,
}

/// Names of fields: lowerCamelCase, or as in the .proto file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum JsonNames {
    #[default]
    Json,
    Proto,
}

/// 64-bit integers; beyond ±(2^53−1) they are strings all the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum JsonInt64 {
    #[default]
    String,
    Number,
}
