//! Messages written as JSON.

use tandem_transcode::{JsonOptions, Limits, wire_from_json};

use super::common::{page, plans};

/// A `Page` in bytes.
pub(crate) fn wire(json: &str) -> Vec<u8> {
    let (options, limits) = (JsonOptions::default(), Limits::default());
    wire_from_json(plans(), page(), json.as_bytes(), &options, &limits)
        .unwrap_or_else(|fault| panic!("{fault}: {json}"))
}
