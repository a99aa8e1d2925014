//! Any query ends in a message or in a fault, and what it says can be written.

use super::shared::plans;

/// Fails when a message that was bound cannot be written.
pub(crate) fn check(data: &[u8]) {
    use tandem_transcode::{
        BindOptions, Limits, RestRequest, RulePlan, json_from_wire, request_from_rest,
    };
    let Ok(query) = std::str::from_utf8(data) else { return };
    let (options, limits) = (BindOptions::default(), Limits::default());
    let (_, method) = plans().contract().methods().next().expect("there is one");
    let values = ["bound".to_owned()];
    let contract = plans().contract();
    let rule = RulePlan::new(contract, &method.rules[0], method.input, method.output);
    let request = RestRequest {
        rule: &rule,
        values: &values,
        query: Some(query),
        body: b"",
        content_type: None,
        http_method: "GET",
    };
    let mut wire = Vec::new();
    if request_from_rest(plans(), request, &options, &limits, &mut wire).is_err() {
        assert!(wire.is_empty(), "a fault leaves nothing behind");
        return;
    }
    // Times and masks that the wire can say and JSON cannot are the only ones refused here.
    if let Ok(json) = json_from_wire(plans(), method.input, &wire, &options.json, &limits) {
        let text = String::from_utf8(json).expect("JSON is text");
        assert!(text.contains("\"s\":\"bound\""), "the path wins: {text}");
    }
}
