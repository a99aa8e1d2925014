//! The limits that a call can meet, each with the name it is counted under (security LI-35).
//!
//! Not here: the numbers (`tandem-config`), what a caller is told (`super`).

/// A limit of security §4 that was met; each is counted (LI-35).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// LI-1: nothing is accepted until a connection ends.
    Connections,
    /// LI-1
    ConnectionsPerSource,
    /// LI-3
    HeadRead,
    /// LI-4
    KeepAlive,
    /// LI-5
    BodyPace,
    /// LI-6
    StalledWrite,
    /// LI-7, the caller's or the route's.
    Deadline,
    /// LI-7
    StreamIdle,
    /// LI-8, segments and parameters included.
    Uri,
    /// LI-9, how many.
    Headers,
    /// LI-9
    HeaderBytes,
    /// LI-10
    Message,
    /// LI-11
    Ratio,
    /// LI-12
    JsonDepth,
    /// LI-13
    WireDepth,
    /// LI-15
    JsonNodes,
    /// LI-16
    JsonOut,
    /// LI-17, a `-bin` value.
    Binary,
    /// LI-17, a token.
    Token,
    /// LI-20
    Resets,
    /// LI-22
    RequestsPerConnection,
    /// LI-25
    UpstreamMessage,
    /// LI-25
    UpstreamWaiting,
    /// LI-24: calls at once of a namespace.
    CallsAtOnce,
    /// `limits.rate` of a team.
    Rate,
    /// `limits.at_once` of a team.
    AtOnce,
    /// Keys of callers that were none, by source.
    KeyFailures,
}

impl Limit {
    /// In the order of their numbers (`limit as usize`).
    pub const ALL: [Limit; 27] = [
        Limit::Connections,
        Limit::ConnectionsPerSource,
        Limit::HeadRead,
        Limit::KeepAlive,
        Limit::BodyPace,
        Limit::StalledWrite,
        Limit::Deadline,
        Limit::StreamIdle,
        Limit::Uri,
        Limit::Headers,
        Limit::HeaderBytes,
        Limit::Message,
        Limit::Ratio,
        Limit::JsonDepth,
        Limit::WireDepth,
        Limit::JsonNodes,
        Limit::JsonOut,
        Limit::Binary,
        Limit::Token,
        Limit::Resets,
        Limit::RequestsPerConnection,
        Limit::UpstreamMessage,
        Limit::UpstreamWaiting,
        Limit::CallsAtOnce,
        Limit::Rate,
        Limit::AtOnce,
        Limit::KeyFailures,
    ];

    /// As metrics name it: by its key of `limits`, where there is one.
    pub fn name(self) -> &'static str {
        match self {
            Limit::Connections => "connections",
            Limit::ConnectionsPerSource => "connections_per_source",
            Limit::HeadRead => "head_read",
            Limit::KeepAlive => "keep_alive",
            Limit::BodyPace => "body_pace",
            Limit::StalledWrite => "stalled_write",
            Limit::Deadline => "deadline",
            Limit::StreamIdle => "stream_idle",
            Limit::Uri => "uri",
            Limit::Headers => "headers",
            Limit::HeaderBytes => "header_bytes",
            Limit::Message => "message",
            Limit::Ratio => "ratio",
            Limit::JsonDepth => "json_depth",
            Limit::WireDepth => "wire_depth",
            Limit::JsonNodes => "json_nodes",
            Limit::JsonOut => "json_out",
            Limit::Binary => "binary",
            Limit::Token => "token",
            Limit::Resets => "resets",
            Limit::RequestsPerConnection => "requests_per_connection",
            Limit::UpstreamMessage => "upstream_message",
            Limit::UpstreamWaiting => "upstream_waiting",
            Limit::CallsAtOnce => "calls_at_once",
            Limit::Rate => "rate",
            Limit::AtOnce => "at_once",
            Limit::KeyFailures => "key_failures",
        }
    }
}
