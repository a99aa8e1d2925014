//! Any bytes end in JSON that is taken again, or in a fault; memory stays bounded.

use super::shared::plans;

/// Fails when what was written cannot be read.
pub(crate) fn check(data: &[u8]) {
    use tandem_transcode::{JsonOptions, Limits, json_from_wire, wire_from_json};
    let (options, limits) = (JsonOptions::default(), Limits::default());
    let id = plans().contract().message_named("t.M").expect("it is there");
    let Ok(json) = json_from_wire(plans(), id, data, &options, &limits) else { return };
    assert!(json.len() <= (16 * data.len()).max(1 << 20) + 4096);
    let read = wire_from_json(plans(), id, &json, &options, &limits);
    // What is known to lie deeper or wider than callers may send, and types that are not known.
    let text = String::from_utf8_lossy(&json);
    assert!(read.is_ok() || text.contains("@type") || text.matches('{').count() > 40, "{text}");
}
