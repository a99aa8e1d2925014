//! The limits of the process in the form in which the path reads them (security, section 4).
//!
//! Numbers and their defaults are `config`'s; here they only change their clothes. A limit that
//! is added there does not compile here until somebody has decided who keeps it.

use std::time::Duration;

use tandem_config::document::PlatformLimits;

/// Limits of one process; the same for each data thread.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at once, over all listeners (LI-1).
    pub connections: u32,
    /// Connections at once from one source address (LI-1).
    pub connections_per_source: u32,
    /// From the first byte of a head to its last (LI-3).
    pub head_read: Duration,
    /// Between two calls on a connection (LI-4).
    pub keep_alive: Duration,
    /// Bytes a second that a message under way must keep (LI-5).
    pub body_pace: u64,
    /// Time before that is asked (LI-5).
    pub body_pace_after: Duration,
    /// A write without progress (LI-6).
    pub stalled_write: Duration,
    /// Bytes of a request target (LI-8).
    pub uri_bytes: u32,
    /// Headers of one head (LI-9).
    pub headers: u32,
    /// Bytes of all names and values of one head (LI-9).
    pub header_bytes: u32,
    /// Decoded bytes of a request body for each byte that came (LI-11).
    pub ratio: u32,
    /// Levels of JSON (LI-12).
    pub json_depth: u32,
    /// Values in one JSON body (LI-15).
    pub json_nodes: u32,
    /// HTTP/2 streams at once on one connection (LI-18).
    pub streams: u32,
    /// HTTP/2 window of a stream (LI-19).
    pub stream_window_bytes: u32,
    /// HTTP/2 window of a connection (LI-19).
    pub connection_window_bytes: u32,
    /// Resets by the caller that wait to be accepted (LI-20).
    pub resets_pending: u32,
    /// Streams that we reset for the caller's faults (LI-20).
    pub resets_own: u32,
    /// Calls on one connection (LI-22).
    pub requests_per_connection: u32,
    /// Age at which a caller's connection is told to go, each up to a tenth sooner (protocols G-7).
    pub connection_age: Duration,
    /// A stream on which neither side says anything (LI-7).
    pub stream_idle: Duration,
}

impl Limits {
    /// The platform's limits for a process that may open `descriptors` files.
    pub fn of(document: &PlatformLimits, descriptors: u64) -> Limits {
        let PlatformLimits {
            connections,
            connections_per_source,
            handshake: _, // there is no TLS yet
            head_read,
            keep_alive,
            body_pace_bytes_per_second,
            body_pace_after,
            stalled_write,
            uri_bytes,
            headers,
            header_bytes,
            message_bytes: _, // each method has its own, never above it
            ratio,
            json_depth,
            json_nodes,
            json_out_bytes: _, // kept by `transcode` at its default
            streams,
            stream_window_bytes,
            connection_window_bytes,
            resets,
            control_frames_per_second: _, // the frame counter is not built yet
            requests_per_connection,
            connection_age,
            unary: _, // each method has its own
            unary_max: _,
            stream_idle,
            buffer_bytes: _, // memory is not watched yet
        } = document;
        let bytes = |bytes: u64| u32::try_from(bytes).unwrap_or(u32::MAX);
        // LI-1: half of what may be open, a reserve kept, never below 32.
        let most = descriptors.saturating_sub(DESCRIPTORS_KEPT) / 2;
        let most = u32::try_from(most).unwrap_or(u32::MAX).max(CONNECTIONS_LEAST);
        Limits {
            connections: (*connections).min(most),
            connections_per_source: *connections_per_source,
            head_read: *head_read,
            keep_alive: *keep_alive,
            body_pace: *body_pace_bytes_per_second,
            body_pace_after: *body_pace_after,
            stalled_write: *stalled_write,
            uri_bytes: bytes(*uri_bytes),
            headers: *headers,
            header_bytes: bytes(*header_bytes),
            ratio: *ratio,
            json_depth: *json_depth,
            json_nodes: *json_nodes,
            streams: *streams,
            stream_window_bytes: *stream_window_bytes,
            connection_window_bytes: *connection_window_bytes,
            resets_pending: *resets,
            resets_own: RESETS_OWN,
            requests_per_connection: *requests_per_connection,
            connection_age: *connection_age,
            stream_idle: *stream_idle,
        }
    }
}

/// Descriptors that connections never take (LI-1).
const DESCRIPTORS_KEPT: u64 = 512;
const CONNECTIONS_LEAST: u32 = 32;
/// Streams that we reset for a caller's faults on one connection (LI-20).
const RESETS_OWN: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_li_1_connections_fit_the_descriptors() {
        let document = PlatformLimits::default();
        for (descriptors, connections) in
            [(0, 32), (575, 32), (578, 33), (20_000, 9_744), (1 << 40, 10_000)]
        {
            assert_eq!(Limits::of(&document, descriptors).connections, connections);
        }
    }
}
