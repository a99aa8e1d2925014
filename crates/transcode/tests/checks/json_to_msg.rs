//! What is taken as JSON can be written as JSON again, and then stays as it is.

use super::shared::plans;

/// Fails when a message that was taken cannot be written, or changes on the way.
pub(crate) fn check(data: &[u8]) {
    use tandem_transcode::{JsonOptions, Limits, json_from_wire, wire_from_json};
    let (options, limits) = (JsonOptions::default(), Limits::default());
    let id = plans().contract().message_named("t.M").expect("it is there");
    let Ok(wire) = wire_from_json(plans(), id, data, &options, &limits) else { return };
    let json = json_from_wire(plans(), id, &wire, &options, &limits).expect("it was taken");
    let again = wire_from_json(plans(), id, &json, &options, &limits).expect("it was written");
    let json_again = json_from_wire(plans(), id, &again, &options, &limits).expect("it was taken");
    assert_eq!(json, json_again);
}
