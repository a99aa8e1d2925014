//! Any query ends in a message or in a fault, and what it says can be written.

use super::shared::plans;

/// Fails when a message that was bound cannot be written.
pub(crate) fn check(data: &[u8]) {
    use tandem_transcode::{JsonOptions, Limits, RestRequest, json_from_wire, request_from_rest};
    let Ok(query) = std::str::from_utf8(data) else { return };
    let (options, limits) = (JsonOptions::default(), Limits::default());
    let (_, method) = plans().contract().methods().next().expect("there is one");
    let values = ["bound".to_owned()];
    let request = RestRequest {
        rule: &method.rules[0],
        values: &values,
        query: Some(query),
        body: b"",
        input: method.input,
        http_method: "GET",
    };
    let Ok(wire) = request_from_rest(plans(), request, &options, &limits) else { return };
    // Times and masks that the wire can say and JSON cannot are the only ones refused here.
    if let Ok(json) = json_from_wire(plans(), method.input, &wire, &options, &limits) {
        let text = String::from_utf8(json).expect("JSON is text");
        assert!(text.contains("\"s\":\"bound\""), "the path wins: {text}");
    }
}
